"""Checkpoints: a run that was killed, at whatever moment, goes on from the last one to the same bits.

The file is that of `Training.save`, with a line that says which run it belongs to.
"""

import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import arguments
from .errors import DivergenceError
from .samples import Samples
from .state import Result

SECONDS = 60.0


@dataclass(frozen=True)
class Checkpoint:
    """Where a run writes how far it is, and how often.

    The same call, made again after the process was killed, goes on from what the file holds, and ends with the bits of
    a run that nobody disturbed. If that run is complete, the call returns it at once.

    Parameters
    ----------
    path : str or path-like
        The file, in a folder that exists. It is replaced as a whole or not at all.
    every : int >= 1 or None
        Write after each epoch whose count is a multiple of this.
    seconds : float in (0, inf) or None
        Write at the end of an epoch when so many seconds have passed since the last time. 60 if neither is given; with
        both, whichever comes first.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    The end of the run is written too, whatever ended it; an exception is none. The file tells runs apart by a SHA-256
    of all that their bits depend on: the network, the settings, the rows, the random stream and the contract's version.
    A file of another run raises ValueError and stays as it is. `Training.load` reads the file as well.

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
    """Reads and writes the checkpoints of one run, which begins with a result and ends after `last` epochs."""

    def __init__(self, checkpoint: Checkpoint, begin: Result, samples: Samples, last: int) -> None:
        from . import training_file

        self.path = os.path.abspath(os.fsdecode(checkpoint.path))  # a callback may go to another folder
        self.every, self.seconds, self.last = checkpoint.every, checkpoint.seconds, last
        self.run = training_file.identity(begin, samples)
        self.written = time.monotonic()

    def read(self) -> Result | None:
        """The last result of this run in the file, if there is a file."""
        from . import text_file, training_file

        text_file.remove_parts(self.path)
        if not os.path.exists(self.path):
            return None
        if not os.path.isfile(self.path):
            raise OSError(errno.EINVAL, "not a regular file", self.path)
        begin_anew = "remove the file or give another path to begin anew"
        try:
            run, saved = training_file.read(self.path)
        except ValueError as error:
            raise ValueError(f"the checkpoint {error}; {begin_anew}") from None
        if run != self.run:
            raise ValueError(
                f"{self.path!r} is {'no checkpoint' if run is None else 'the checkpoint of another run'}: the network, "
                f"settings, rows, rng and contract version must be those that it began with; {begin_anew}"
            )
        epochs = saved.state.losses.size
        if epochs > self.last:
            raise ValueError(
                f"{self.path!r} holds {epochs} epochs, more than the {self.last} that are asked for; {begin_anew}"
            )
        return saved

    def until(self, epochs: int) -> int:
        """The next number of epochs after which there must be a halt, when so many are done."""
        if self._is_time():
            return epochs + 1
        return self.last if self.every is None else epochs - epochs % self.every + self.every

    def after(self, epochs: int, result: Callable[[], Result]) -> None:
        """Write the run, if it is time to; so many epochs are done."""
        if epochs < self.last and (self._is_time() or (self.every is not None and epochs % self.every == 0)):
            try:
                now = result()
            except DivergenceError:
                # A state that is not finite may become finite again; if it has not, the run says so at its end.
                return
            self.write(now)

    def write(self, result: Result) -> None:
        """Replace the file, as a whole or not at all."""
        from . import training_file

        training_file.write(self.path, result, self.run)
        self.written = time.monotonic()

    def _is_time(self) -> bool:
        return self.seconds is not None and time.monotonic() - self.written >= self.seconds
