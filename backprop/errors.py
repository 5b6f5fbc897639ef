"""The exceptions of training: DivergenceError, for numbers that are no longer finite, and CheckpointError."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt


class DivergenceError(ArithmeticError, ValueError):
    """Training gave a number that is not finite; a smaller learning rate or scaled data may help.

    Attributes
    ----------
    epoch : int
        The epoch, counted from 0, whose loss is not finite; or the last one, if every loss is finite but a parameter
        or the optimizer's state is not.
    losses : ndarray of shape (epoch + 1,)
        The loss of every epoch up to and including that one.
    """

    def __init__(self, epoch: int, losses: npt.ArrayLike, from_the_start: str = "") -> None:
        self.epoch = epoch
        self.from_the_start = from_the_start  # the error about the loss of the weights before the first step; "": none
        self.losses = np.array(losses, np.float64)
        self.losses[np.isnan(self.losses)] = math.nan  # one NaN for all: its sign and payload depend on the processor
        super().__init__(epoch, self.losses)

    def __str__(self) -> str:
        if self.losses.size == 0:
            return f"training diverged after epoch {self.epoch}"
        what = "a parameter or the optimizer's state" if math.isfinite(self.losses[-1]) else "the loss"
        cure = "try a smaller learning rate, or scale X and y"
        if self.from_the_start:
            cure = f"scale X and y: with the weights before the first step, {self.from_the_start}"
        return f"training diverged: {what} is not finite after epoch {self.epoch} (loss {self.losses[-1]}); {cure}"


class CheckpointError(OSError):
    """A checkpoint could not be written during training; nothing of the run is lost.

    Attributes
    ----------
    training : Training
        The run so far, or the complete run. Save it elsewhere with ``training.save(path)``, or train the epochs that
        are left with ``training.resume``.
    errno, strerror, filename
        As for `OSError`.
    """

    def __init__(self, errno: int | None, strerror: str | None, filename: str, training: Any) -> None:
        super().__init__(errno, strerror, filename)
        self.training = training

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.errno, self.strerror, self.filename, self.training)

    def __str__(self) -> str:
        return (
            f"{super().__str__()}; the run so far is this error's .training: "
            "save it elsewhere with error.training.save(path)"
        )
