"""Checkpoints: files from which a killed run continues, to the same bits as without the interruption.

A checkpoint is a file as `Training.save` writes it, with one more line that identifies its run.
"""

import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import arguments
from .errors import CheckpointError, DivergenceError
from .hints import hinted_class
from .samples import Samples
from .state import Result

SECONDS = 60.0  # the default time between two checkpoints


@hinted_class
@dataclass(frozen=True)
class Checkpoint:
    """The file in which a run saves its progress, and how often it does.

    The same call, made again after the process was killed, continues from the file and ends with the bits of an
    uninterrupted run. If the file holds the complete run, the call returns it at once.

    Parameters
    ----------
    path : str or path-like
        The file, in an existing folder. It is replaced as a whole or not at all. Before training, the folder is tried:
        a path that cannot be written raises OSError then.
    every : int >= 1 or None
        Write whenever the number of epochs done is a multiple of this.
    seconds : float in (0, inf) or None
        Write at the end of an epoch if the last checkpoint is at least this old. The default is 60 if `every` is not
        given either; with both, a checkpoint is due by whichever comes first.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    The finished run is written too, whatever stopped it, but not a run that an exception ended. The file identifies its
    run by a SHA-256 of everything that the run's bits depend on: the network, the settings, the rows, the random stream
    and the contract's version. The file of another run raises ValueError and is not changed. `Training.load` reads the
    file too. If a checkpoint cannot be written, the `CheckpointError` has the run so far.

    Examples
    --------
    >>> import backprop, os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "run.txt")
    >>> X, y = [[0.0], [0.5], [1.0]], [0.0, 0.25, 1.0]
    >>> net, kept = backprop.Network([1, 4, 1]), backprop.Checkpoint(path, every=10)
    >>> run = backprop.fast_train(net, X, y, epochs=30, checkpoint=kept)
    >>> backprop.Training.load(path).network == run.network
    True
    """

    path: str | os.PathLike[str]
    every: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        try:
            named = os.fsdecode(self.path)
        except TypeError:
            shown = arguments.shown(self.path)
            raise TypeError(f"path must be a str or path-like, got {shown}") from None
        if not named:
            raise ValueError("path must name a file, got ''")
        if self.every is not None:
            object.__setattr__(self, "every", arguments.integer("every", self.every, 1))
        if self.seconds is not None:
            object.__setattr__(self, "seconds", arguments.number("seconds", self.seconds, "(0, inf)"))
        elif self.every is None:
            object.__setattr__(self, "seconds", SECONDS)


class CheckpointWriter:
    """The reader and writer of one run's checkpoints; the run starts from `begin` and ends at `last` epochs in all."""

    def __init__(self, checkpoint: Checkpoint, begin: Result, samples: Samples, last: int) -> None:
        from . import training_file

        self.path = os.path.abspath(os.fsdecode(checkpoint.path))  # a callback may change the working directory
        self.every, self.seconds, self.last = checkpoint.every, checkpoint.seconds, last
        self.run = training_file.identity(begin, samples)
        self.written = time.monotonic()

    def read(self) -> Result | None:
        """The result in the file, or None if there is no file; ValueError if the file belongs to another run."""
        from . import text_file, training_file

        text_file.remove_parts(self.path)
        if not os.path.exists(self.path):
            return None
        if not os.path.isfile(self.path):
            raise OSError(errno.EINVAL, "not a regular file", self.path)
        remedy = "remove the file or give another path to start again"
        try:
            run, saved = training_file.read(self.path)
        except ValueError as error:
            raise ValueError(f"the checkpoint {error}; {remedy}") from None
        if run != self.run:
            raise ValueError(
                f"{self.path!r} is {'no checkpoint' if run is None else 'the checkpoint of another run'}: the network, "
                f"settings, rows, rng and contract version must be those that it began with; {remedy}"
            )
        epochs = saved.state.losses.size
        if epochs > self.last:
            raise ValueError(
                f"{self.path!r} holds {epochs} epochs, more than the {self.last} that are asked for; {remedy}"
            )
        return saved

    def until(self, epochs: int) -> int:
        """The number of epochs at which training must next halt for a checkpoint, when `epochs` are done."""
        if self._is_time():
            return epochs + 1
        return self.last if self.every is None else epochs - epochs % self.every + self.every

    def after(self, epochs: int, result: Callable[[], Result]) -> None:
        """Write the run if a checkpoint is due; `epochs` are done."""
        if epochs < self.last and (self._is_time() or (self.every is not None and epochs % self.every == 0)):
            try:
                now = result()
            except DivergenceError:
                # The state is not finite: no checkpoint. It may become finite again; if not, the run raises at its end.
                return
            self.write(now)

    def try_to_write(self) -> None:
        """Raise the OSError that `write` would raise, as far as it can be known before training."""
        from . import text_file

        text_file.try_to_write(self.path)

    def write(self, result: Result) -> None:
        """Write a result; the file is replaced as a whole or not at all. An error takes the result along."""
        from . import training_file

        try:
            training_file.write(self.path, result, self.run)
        except OSError as error:
            raise CheckpointError(error.errno, error.strerror, self.path, result) from None
        self.written = time.monotonic()

    def _is_time(self) -> bool:
        return self.seconds is not None and time.monotonic() - self.written >= self.seconds
