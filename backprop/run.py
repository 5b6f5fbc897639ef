"""The arguments of one call that are no settings, such as epochs and callback; EpochState; the progress bar."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import iscoroutinefunction
from typing import Any, NamedTuple

from . import arguments, hints, threads
from .arguments import FloatArray
from .checkpoint import Checkpoint
from .network import Network


class EpochState:
    """The state of a run after an epoch, the argument of a callback.

    Attributes
    ----------
    epoch : int
        The number of the epoch, counted from 0 through all resumed runs.
    loss : float
        The mean loss of this epoch, summed up while the weights were changing.
    network : Network
        A copy with the weights after this epoch, made on first access, which must be before the callback returns.
    """

    def __init__(
        self,
        epoch: int,
        loss: float,
        network: Callable[[], Network],
        parameters: FloatArray | None = None,
        evaluations: int = 0,
    ) -> None:
        self.epoch = epoch
        self.loss = loss
        self._parameters = parameters  # the trainer's own array: read it before training goes on, never write
        self._evaluations = evaluations  # losses of all rows that a full-batch method has computed in this run
        self._make: Callable[[], Network] | None = network
        self._network: Network | None = None

    @property
    def network(self) -> Network:
        if self._network is None:
            if self._make is None:
                raise RuntimeError("state.network must be asked for before the callback returns: training has gone on")
            self._network = self._make()
        return self._network

    def shown_to(self, callback: "Callback") -> bool:
        """Call the callback; return whether it stops the run. Afterwards `network` can no longer be made."""
        answer = callback(self)
        self._make = self._parameters = None
        return isinstance(answer, arguments.BOOLEANS) and bool(answer)

    def __repr__(self) -> str:
        return f"EpochState(epoch={self.epoch}, loss={self.loss!r})"


Callback = Callable[[EpochState], Any]


class Run(NamedTuple):
    """The arguments of one call that its result does not store."""

    epochs: int
    callback: Callback | None
    progress: bool
    checkpoint: Checkpoint | None = None
    n_threads: int | None = None

    @classmethod
    def checked(
        cls,
        epochs: int,
        callback: Callback | None = None,
        progress: bool = False,
        checkpoint: Checkpoint | None = None,
        n_threads: int | None = None,
    ) -> "Run":
        """Check the arguments; an error names the one that is wrong."""
        epochs = arguments.integer("epochs", epochs, 1)
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be None or a function of one argument, got {arguments.shown(callback)}")
        if callback is not None and (iscoroutinefunction(callback) or iscoroutinefunction(type(callback).__call__)):
            shown = arguments.shown(callback)
            raise TypeError(f"callback must be a function with def, not async def, which nobody awaits; got {shown}")
        if checkpoint is not None and not isinstance(checkpoint, Checkpoint):
            path = ((str, os.PathLike), "Checkpoint({})")
            raise hints.instance("checkpoint", checkpoint, Checkpoint, "a backprop.Checkpoint(...)", path)
        n_threads = threads.checked(n_threads)
        return cls(epochs, callback, arguments.flag("progress", progress), checkpoint, n_threads)


LONG_EPOCH = 1.0  # seconds within an epoch after which the bar begins to count rows, and renews their number


class Bar:
    """A progress bar of the epochs of a run, which counts rows within long epochs; this one shows nothing."""

    def advance(self, done: int, loss: float) -> None:
        """`done` more epochs are done; the loss is that of the last."""

    def within(self, row: int) -> None:
        """The next row of the epoch is this one in visiting order; a method may visit the rows several times."""


class ShownBar(Bar):
    """A bar of tqdm."""

    def __init__(self, bar: Any, n_samples: int) -> None:
        self.bar, self.n_samples = bar, n_samples
        self.loss, self.seen = "", time.monotonic()

    def advance(self, done: int, loss: float) -> None:
        self.loss, self.seen = f"loss {loss:.6g}", time.monotonic()
        self.bar.set_postfix_str(self.loss, refresh=False)
        self.bar.update(done)

    def within(self, row: int) -> None:
        now = time.monotonic()
        if now - self.seen >= LONG_EPOCH:
            self.seen = now
            self.bar.set_postfix_str(f"row {row:,} of {self.n_samples:,}" + (f", {self.loss}" if self.loss else ""))


@contextmanager
def progress_bar(run: Run, n_samples: int) -> Iterator[Bar]:
    """A context with the bar of a run, which is closed at its end."""
    if not run.progress:
        yield Bar()
        return
    try:
        from tqdm import tqdm
    except ImportError:
        raise ImportError("progress=True needs tqdm: pip install 'exact-backprop[progress]'") from None
    with tqdm(total=run.epochs, unit="epoch") as bar:
        yield ShownBar(bar, n_samples)
