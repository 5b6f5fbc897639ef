"""One call's wishes: how many epochs, who looks at them, and the progress bar."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple

from . import arguments
from .arguments import FloatArray
from .checkpoint import Checkpoint
from .network import Network
from .threads import POLICY


class EpochState:
    """The state of a run after an epoch, as a callback is shown it.

    Attributes
    ----------
    epoch : int
        Counted from 0, through all runs that were resumed.
    loss : float
        The mean loss of this epoch, as seen while training.
    network : Network
        A copy with the weights after this epoch, made when it is first asked for; ask before the callback returns.
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
        self._parameters = parameters  # the live ones: to be read at once, and not to be changed
        self._evaluations = evaluations  # how often a method has computed the loss of all rows, in this run
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
        """Call the callback; return whether it stops the run. The weights move on afterwards."""
        answer = callback(self)
        self._make = self._parameters = None
        return isinstance(answer, arguments.BOOLEANS) and bool(answer)

    def __repr__(self) -> str:
        return f"EpochState(epoch={self.epoch}, loss={self.loss!r})"


Callback = Callable[[EpochState], Any]


class Run(NamedTuple):
    """The arguments of one call that its results do not remember."""

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
        """The run, or an error that names the argument that is wrong."""
        epochs = arguments.integer("epochs", epochs, 1)
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be None or a function of one argument, got {arguments.shown(callback)}")
        if checkpoint is not None and not isinstance(checkpoint, Checkpoint):
            shown = arguments.shown(checkpoint)
            raise TypeError(f"checkpoint must be None or a backprop.Checkpoint(...), got {shown}")
        POLICY.threads_for(n_threads, 0)
        return cls(epochs, callback, arguments.flag("progress", progress), checkpoint, n_threads)


def progress_bar(run: Run) -> AbstractContextManager[Callable[[int, float], None]]:
    """A function to call with the number of epochs done and the last loss; it shows a bar if one was asked for."""
    return _bar(run.epochs) if run.progress else nullcontext(_no_bar)


def _no_bar(done: int, loss: float) -> None:
    pass


@contextmanager
def _bar(epochs: int) -> Iterator[Callable[[int, float], None]]:
    try:
        from tqdm import tqdm
    except ImportError:
        raise ImportError("progress=True needs tqdm: pip install 'exact-backprop[progress]'") from None
    with tqdm(total=epochs, unit="epoch") as bar:

        def advance(done: int, loss: float) -> None:
            bar.set_postfix_str(f"loss {loss:.6g}", refresh=False)
            bar.update(done)

        yield advance
