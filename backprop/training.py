"""fast_train(), and the Training that it returns: check, allocate, call the kernel, wrap."""

import math
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from . import _kernel, arguments
from .arguments import FloatArray
from .checkpoint import Checkpoint, Keeper, carry_on
from .dropout import Dropout
from .errors import DivergenceError
from .network import Network, data, loss_of, loss_of_rows
from .optimizers import (
    FULL_BATCH,
    METHODS,
    Adam,
    LevenbergMarquardt,
    Optimizer,
    first_moments,
    schedule_of,
    shaping_of,
)
from .schedules import Rates
from .stopping import EarlyStopping, Watch, Watcher, parts

DEFAULT_OPTIMIZER = Adam()
RATES_AT_ONCE = 1024  # epochs whose learning rates are worked out in advance
LOSSES_AT_ONCE = 65536  # the curve grows by so many epochs: a run that is meant to be stopped may ask for any number


class Settings(NamedTuple):
    """What a run has in common with all that resume it, resolved and checked."""

    loss: str
    optimizer: Optimizer
    batch_size: int | None  # None: all rows
    shuffle: bool
    train_biases: bool
    stopping: EarlyStopping | None = None
    dropout: Dropout | None = None

    @classmethod
    def checked(
        cls,
        network: Network,
        loss: str | None,
        optimizer: Optimizer | None,
        batch_size: int | None,
        shuffle: bool,
        train_biases: bool,
        stopping: EarlyStopping | None,
        dropout: Dropout | None = None,
    ) -> "Settings":
        """The settings with their defaults filled in."""
        loss = loss_of(network, loss)
        if optimizer is not None and not isinstance(optimizer, Optimizer):
            kinds = ", ".join(f"{kind.__name__}(...)" for kind in get_args(Optimizer))
            raise TypeError(f"optimizer must be None or one of backprop's {kinds}, got {arguments.shown(optimizer)}")
        if stopping is not None and not isinstance(stopping, EarlyStopping):
            raise TypeError(f"stopping must be None or a backprop.EarlyStopping(...), got {arguments.shown(stopping)}")
        if dropout is not None:
            if not isinstance(dropout, Dropout):
                raise TypeError(f"dropout must be None or a backprop.Dropout(...), got {arguments.shown(dropout)}")
            dropout.rates(network.sizes)
            if isinstance(optimizer, METHODS):
                raise ValueError(
                    f"dropout must be None with {type(optimizer).__name__}, got {arguments.shown(dropout)}"
                )
        if isinstance(optimizer, FULL_BATCH) and batch_size is not None:
            kind, given = type(optimizer).__name__, arguments.shown(batch_size)
            raise ValueError(f"batch_size must be None with {kind}, which takes all rows at once, got {given}")
        if isinstance(optimizer, LevenbergMarquardt) and loss != "squared_error":
            raise ValueError(f"loss must be 'squared_error' with the optimizer LevenbergMarquardt, got {loss!r}")
        return cls(
            loss,
            DEFAULT_OPTIMIZER if optimizer is None else optimizer,
            batch_size_of(optimizer, batch_size),
            arguments.flag("shuffle", shuffle),
            arguments.flag("train_biases", train_biases),
            stopping,
            dropout,
        )


def batch_size_of(optimizer: Optimizer | None, batch_size: int | None) -> int | None:
    """32 if nothing is said, or all rows."""
    if batch_size is None:
        return None if isinstance(optimizer, FULL_BATCH) else 32
    return arguments.integer("batch_size", batch_size, 1)


class RunState(NamedTuple):
    """What moves on with the epochs, beside the parameters."""

    losses: FloatArray  # (epochs so far,)
    moments: FloatArray  # (n_moments, n_parameters)
    powers: FloatArray  # (n_powers,): running products of Adam's betas
    stream: Any  # a bit generator, or the seed of one as long as none is needed
    watch: Watch | None = None
    dropout: Any = None  # the bit generator that dropped units are drawn from, if any are

    def copy(self) -> "RunState":
        stream = arguments.copy_of_stream(self.stream)
        dropout = None if self.dropout is None else arguments.copy_of_stream(self.dropout)
        return RunState(self.losses, self.moments.copy(), self.powers.copy(), stream, self.watch, dropout)

    def __reduce__(self) -> tuple[Any, ...]:
        """Bytes and integers: arrays that one NumPy has pickled do not load under every other."""
        watch = self.watch and (_packed(self.watch.losses), *self.watch[1:3], *map(_packed, self.watch[3:]))
        dropout = None if self.dropout is None else arguments.plain_stream(self.dropout)
        return _unpickled_state, (*map(_packed, self[:3]), arguments.plain_stream(self.stream), watch, dropout)


def _packed(array: FloatArray) -> tuple[tuple[int, ...], bytes]:
    return array.shape, array.astype("<f8").tobytes()


def _unpacked(packed: tuple[tuple[int, ...], bytes]) -> FloatArray:
    shape, data = packed
    return np.frombuffer(data, "<f8").reshape(shape).astype(np.float64)  # an array of its own, no view


def _unpickled_state(losses: Any, moments: Any, powers: Any, stream: Any, watch: Any, dropout: Any) -> RunState:
    if watch is not None:
        watch = Watch(_unpacked(watch[0]), *watch[1:3], *map(_unpacked, watch[3:]))
    stream = arguments.stream_of_plain(stream)
    dropout = None if dropout is None else arguments.stream_of_plain(dropout)
    return RunState(_unpacked(losses), _unpacked(moments), _unpacked(powers), stream, watch, dropout)


class Run(NamedTuple):
    """What is asked of one run only."""

    epochs: int
    callback: "Callback | None"
    progress: bool
    n_threads: int | None
    checkpoint: Checkpoint | None = None
    keeper: Keeper | None = None  # of the checkpoint

    @classmethod
    def checked(
        cls,
        epochs: int,
        callback: "Callback | None",
        progress: bool,
        checkpoint: Checkpoint | None,
        n_threads: int | None = None,
    ) -> "Run":
        """What was asked for."""
        epochs = arguments.integer("epochs", epochs, 1)
        if callback is not None and not callable(callback):
            raise TypeError(f"callback must be None or a function of one argument, got {arguments.shown(callback)}")
        if checkpoint is not None and not isinstance(checkpoint, Checkpoint):
            shown = arguments.shown(checkpoint)
            raise TypeError(f"checkpoint must be None or a backprop.Checkpoint(...), got {shown}")
        arguments.threads(n_threads, 0)
        return cls(epochs, callback, arguments.flag("progress", progress), n_threads, checkpoint)


class EpochState:
    """What a callback is shown after an epoch.

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
        self._parameters = parameters  # those that are trained, for who is quick and changes nothing
        self._evaluations = evaluations  # of the loss of all rows by a method, in this run
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


@dataclass(frozen=True, eq=False, repr=False)
class Training:
    """The result of `fast_train`.

    Attributes
    ----------
    network : Network
        With the trained weights.
    losses : ndarray of shape (epochs,)
        The mean loss of each epoch of this run and of those it resumed, as seen while training: with weights that were
        still moving. The loss of the returned weights is ``run.network.loss(X, y)``.
    epochs : int
        How many there were, those of resumed runs included.
    stopped : str
        Why the run ended: "epochs", all were done; "callback", a callback returned True; what `EarlyStopping` found:
        "patience", "target_loss", "time_limit"; or what the method found: "gradient", "line_search" (`LBFGS`),
        "damping" (`LevenbergMarquardt`).
    validation_losses : ndarray of shape (epochs,), or (0,)
        With `EarlyStopping`, the watched loss after each epoch, with the weights of that moment.
    best_epoch : int or None
        With `EarlyStopping`, the first epoch with the lowest of them, counted from 0. If ``restore_best``, the network
        has its weights, and ``validation_losses[best_epoch]`` is its loss.
    settings : Settings
        The loss, optimizer, batch size and so on that were used.
    """

    network: Network
    stopped: str
    settings: Settings
    _state: RunState
    _continue: Callable[..., "Training"]

    @property
    def losses(self) -> FloatArray:
        self._state.losses.setflags(write=False)  # a resumed run goes on from them
        return self._state.losses.view()

    @property
    def epochs(self) -> int:
        return self._state.losses.size

    @property
    def validation_losses(self) -> FloatArray:
        watched = np.empty(0) if self._state.watch is None else self._state.watch.losses
        watched.setflags(write=False)
        return watched.view()

    @property
    def best_epoch(self) -> int | None:
        return None if self._state.watch is None else self._state.watch.best_epoch

    @property
    def _last(self) -> Network:
        """Where a resumed run begins."""
        watch = self._state.watch
        return self.network if watch is None else self.network.with_parameters(watch.last)

    def resume(
        self,
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        *,
        epochs: int,
        sample_weight: npt.ArrayLike | None = None,
        checkpoint: Checkpoint | None = None,
        callback: Callback | None = None,
        progress: bool = False,
        n_threads: int | None = None,
    ) -> "Training":
        """Train on, with all settings, the optimizer's state and the random stream as this run left them.

        30 epochs resumed by 20 give the bits of 50. The Training itself stays as it is, and can be resumed again.

        Parameters
        ----------
        X, y, epochs, sample_weight, checkpoint, callback, progress, n_threads
            As for `fast_train`; the data may be other data, what rows count is said anew, and the checkpoint must be a
            file of its own.

        Returns
        -------
        Training

        Raises
        ------
        TypeError, ValueError, DivergenceError
            As by `fast_train`; the Training stays as it is.

        Examples
        --------
        >>> import backprop
        >>> X, y = [[0.0], [0.5], [1.0]], [0.0, 0.25, 1.0]
        >>> net = backprop.Network([1, 4, 1])
        >>> run = backprop.fast_train(net, X, y, epochs=30).resume(X, y, epochs=20)
        >>> run.epochs, run.network == backprop.fast_train(net, X, y, epochs=50).network
        (50, True)
        """
        run = Run.checked(epochs, callback, progress, checkpoint, n_threads)
        return carry_on(self._continue, self._last, X, y, self.settings, self._state.copy(), run, sample_weight)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the run to a text file, exactly; `load` reads it back.

        A file that is there already is replaced as a whole or not at all. The file holds everything that `resume` needs
        but the data that was trained on; docs/training-file.md describes it. Unlike a pickle, it can be opened whoever
        made it.

        Parameters
        ----------
        path : str or path-like

        Raises
        ------
        OSError
            If it cannot be written.

        Examples
        --------
        >>> import backprop, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "run.txt")
        >>> X, y = [[0.0], [0.5], [1.0]], [0.0, 0.25, 1.0]
        >>> run = backprop.fast_train(backprop.Network([1, 4, 1]), X, y, epochs=30)
        >>> run.save(path)
        >>> again = backprop.Training.load(path)
        >>> again.resume(X, y, epochs=20).network == run.resume(X, y, epochs=20).network
        True
        """
        from . import training_file

        training_file.write(path, self)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "Training":
        """Read a run that `save` wrote, or the run in a `Checkpoint`'s file. Nothing in the file is executed.

        Parameters
        ----------
        path : str or path-like

        Returns
        -------
        Training
            It resumes with the same bits as the one that was saved.

        Raises
        ------
        ValueError
            If the file is truncated, altered, of another version, or holds no run; it says which.
        OSError
            If it cannot be read.

        Examples
        --------
        >>> import backprop, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "run.txt")
        >>> backprop.fast_train(backprop.Network([1, 1]), [[1.0], [2.0]], [1.0, 2.0], epochs=5).save(path)
        >>> backprop.Training.load(path).epochs
        5
        """
        from . import training_file

        return training_file.read(path)[1]

    def __repr__(self) -> str:
        return f"<Training: {self.network!r}, {self.epochs} epochs, last loss {self.losses[-1]:g}, {self.stopped!r}>"


def first_state(settings: Settings) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """What the optimizer keeps of each parameter, and beside them (N7): 0.0, but for Rprop's steps; powers are 1.0."""
    optimizer = settings.optimizer
    if isinstance(optimizer, METHODS):
        return optimizer.first_state
    n_moments, n_powers = _kernel.UPDATE_RULES[optimizer.rule]
    return first_moments(optimizer, n_moments), (1.0,) * n_powers


def fits(optimizer: Optimizer, moments: FloatArray, powers: FloatArray) -> bool:
    """Whether the optimizer can have left these. Nothing of the size that a stranger's settings ask for is made."""
    if isinstance(optimizer, METHODS):
        return optimizer.fits(len(moments), powers.tolist())
    return (len(moments), len(powers)) == _kernel.UPDATE_RULES[optimizer.rule]


def start(network: Network, settings: Settings, stream: Any) -> RunState:
    """The state before the first epoch."""
    first, powers = first_state(settings)
    moments = np.empty((len(first), network.n_parameters))
    for k, value in enumerate(first):
        moments[k] = value
    dropout = None if settings.dropout is None else settings.dropout.stream(network.sizes)
    return RunState(np.empty(0), moments, np.array(powers), stream, dropout=dropout)


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


def continue_training(
    network: Network,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    settings: Settings,
    state: RunState,
    run: Run,
    sample_weight: npt.ArrayLike | None = None,
) -> Training:
    """Train for some epochs more; the network stays as it is, the state moves on."""
    stopping = settings.stopping
    trained, to_watch = parts(network, X, y, sample_weight, settings.loss, stopping, _kernel.order)
    rows = data(network, trained.X, trained.y, settings.loss, trained.sample_weight)
    watcher = None
    if stopping is not None:
        watched = rows
        if to_watch is not trained:
            watched = data(network, to_watch.X, to_watch.y, settings.loss, to_watch.sample_weight)
        watcher = Watcher(stopping, lambda one: loss_of_rows(one, watched, settings.loss, run.n_threads), state.watch)
    rule = settings.optimizer.rule
    kind = _kernel.METHODS.get(rule)  # None: an update rule
    shuffle = settings.shuffle and rows.n_samples > 1 and kind is None
    stream = arguments.started(state.stream) if shuffle else state.stream
    w, gradient = _kernel.empty(network.n_parameters), _kernel.empty(network.n_parameters)
    w[...] = network.parameters
    # A call of Trainer's lasts for many epochs; a method wakes threads for each sum over the rows.
    more_work = _kernel.more_work(rule, network.n_parameters, network.sizes[-1])
    work = math.inf if kind is None else rows.n_samples * (network.n_parameters + more_work)
    batch_size = min(settings.batch_size or rows.n_samples, rows.n_samples)
    passes = _kernel.Pass(
        network.sizes,
        network.activations,
        w,
        gradient,
        batch_size,
        arguments.threads(run.n_threads, work),
        _kernel.THREAD_WORK,
        more_work,
    )
    sums = _kernel.LossPass(passes, rows, settings.loss)
    step = _kernel.Step(rule, np.array(settings.optimizer.settings), state.moments, state.powers, settings.train_biases)
    trainer: _kernel.Trainer | _kernel.Method
    if kind is not None:
        trainer = kind(sums, step)
    else:
        trainer = _kernel.Trainer(sums, step, batch_size, stream if shuffle else None)
        trainer.penalize(*shaping_of(settings.optimizer))
        if settings.dropout is not None and state.dropout is not None:
            trainer.drop(np.array(settings.dropout.rates(network.sizes)), state.dropout)
    schedule = schedule_of(settings.optimizer)
    rates = None
    if schedule is not None:
        rates = Rates(schedule, watcher.losses if watcher else state.losses.tolist(), _kernel.exp, _kernel.log)
    one_by_one = run.callback is not None or watcher is not None or (rates is not None and rates.look_back)
    curve, stopped, last = [state.losses] if state.losses.size else [], "epochs", state.losses.shape[0] + run.epochs
    first = state.losses.shape[0]  # the epoch at which the newest piece of the curve begins

    def training(curve: list[FloatArray]) -> Training:
        losses = curve[0] if len(curve) == 1 else np.concatenate(curve)
        if _kernel.first_not_finite(w) >= 0 or _kernel.first_not_finite(state.moments.reshape(-1)) >= 0:
            raise DivergenceError(losses.shape[0] - 1, losses)
        final, watch = network._of(network.sizes, network.activations, w.copy()), None
        if watcher:
            final, watch = watcher.result(final)
        after = RunState(losses, state.moments, state.powers, stream, watch, state.dropout)
        return Training(final, stopped, settings, after, continue_training)

    with progress_bar(run) as advance:
        while first < last and stopped == "epochs":
            piece, done = np.empty(min(last - first, LOSSES_AT_ONCE)), 0
            rates_of_piece, known = None if rates is None else np.empty(piece.shape[0]), 0
            while done < piece.shape[0] and stopped == "epochs":
                before, until = done, done + 1 if one_by_one else piece.shape[0]
                if rates is not None and rates_of_piece is not None:
                    if done == known:
                        known = min(until, done + RATES_AT_ONCE)
                        rates_of_piece[done:known] = [rates.of(first + k) for k in range(done, known)]
                    until = known
                if run.keeper is not None:
                    until = min(until, run.keeper.until(first + done) - first)
                done = trainer.train(piece, done, until, rates_of_piece)
                if done == before:
                    continue
                epoch, loss = first + done - 1, float(piece[done - 1])
                if not math.isfinite(loss) or trainer.ended == "overflow":
                    raise DivergenceError(epoch, np.concatenate([*curve, piece[:done]]))
                stopped = trainer.ended or stopped
                advance(done - before, loss)
                if one_by_one:
                    snapshot = _snapshot(network, w, curve, piece[:done])
                    if watcher is not None:
                        stopped = watcher.after(snapshot(), [*curve, piece[:done]]) or stopped
                    if rates is not None:
                        rates.see(watcher.losses[-1] if watcher else loss)
                    if run.callback is not None and EpochState(epoch, loss, snapshot, w, trainer.evaluations).shown_to(
                        run.callback
                    ):
                        stopped = "callback"
                if run.keeper is not None and done == until and stopped == "epochs":
                    run.keeper.after(first + done, partial(training, [*curve, piece[:done]]))
            curve.append(piece if done == piece.shape[0] else piece[:done].copy())
            first += done
    return training(curve)


def _snapshot(network: Network, w: FloatArray, curve: list[FloatArray], newest: FloatArray) -> Callable[[], Network]:
    """The network of the moment, or, since no NaN is a result, the error that the run would end with."""

    def make() -> Network:
        if _kernel.first_not_finite(w) >= 0:
            losses = np.concatenate([*curve, newest])
            raise DivergenceError(losses.shape[0] - 1, losses)
        return network.with_parameters(w)

    return make


def fast_train(
    network: Network,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    loss: str | None = None,
    optimizer: Optimizer | None = None,
    epochs: int = 100,
    batch_size: int | None = None,
    shuffle: bool = True,
    rng: Any = 0,
    train_biases: bool = True,
    sample_weight: npt.ArrayLike | None = None,
    dropout: Dropout | None = None,
    stopping: EarlyStopping | None = None,
    checkpoint: Checkpoint | None = None,
    n_threads: int | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Training:
    """Train a network on rows X with targets y. The same arguments give the same bits, everywhere.

    Parameters
    ----------
    network : Network
        Where to start; it stays as it is.
    X : array_like of shape (n_samples, n_features)
        Finite numbers. C-contiguous float64 is used where it lies, and must not change meanwhile (in a callback, or
        by another thread); anything else is converted once.
    y : array_like of shape (n_samples, n_outputs), or (n_samples,)
        Targets; 1-D for one output, or the integer classes of a softmax output.
    loss : str or None
        "squared_error" (half the squared distance; any output but softmax), "cross_entropy" (softmax; rows of y are
        >= 0 and sum to 1), "binary_cross_entropy" (logistic; y in [0, 1]), "absolute_error", "huber" (squared up to a
        distance of 1, absolute beyond; any output but softmax both), "poisson" (exponential; counts y >= 0). None takes
        cross_entropy for a softmax output and squared_error otherwise.
    optimizer : SGD, Adam, AdamW, RMSprop, Rprop, LBFGS, LevenbergMarquardt or None
        None is ``Adam()``.
    epochs : int >= 1
        How often every row is visited.
    batch_size : int >= 1 or None
        Rows a step; None is 32, or all rows for Rprop, LBFGS and LevenbergMarquardt, which take no other. The last
        batch of an epoch may be shorter.
    shuffle : bool
        Visit the rows in a new random order in each epoch; LBFGS and LevenbergMarquardt take them in their own.
    rng : int, SeedSequence, Generator, BitGenerator or None, default 0
        The random stream of the order; None takes fresh entropy. A generator is left advanced if the call succeeds.
    train_biases : bool
        False keeps the biases as they are.
    sample_weight : array_like of shape (n_samples,), or None
        What each row counts, in the loss and in the gradient: finite numbers >= 0 with a sum above 0 (and at most
        1e300). The mean is over what the rows count, so that 3.0 is as a row that is there three times in its batch.
    dropout : Dropout or None
        Do without a random share of the hidden units, other ones for each row, while training.
    stopping : EarlyStopping or None
        Watch a validation set, stop when its loss no longer falls, give back the best weights.
    checkpoint : Checkpoint or None
        Write how far the run is to a file, and go on from there if the file holds this very run already.
    n_threads : int >= 1 or None
        How many threads may work; None: as many as OpenMP would use. Changes no bit, and small work takes one.
    callback : callable or None
        Called with an `EpochState` (``.epoch``, ``.loss``, ``.network``) after every epoch; returning True stops.
    progress : bool
        Show a bar (needs tqdm, the extra "progress").

    Returns
    -------
    Training
        ``.network``, ``.losses``, ``.epochs``, ``.stopped`` and ``.resume()``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, unknown, out of range or of a shape that does not fit.
    DivergenceError
        If the loss of an epoch, or in the end a weight, is not finite.
    OSError
        If a checkpoint cannot be read or written; the one before stays as it was.
    KeyboardInterrupt
        Soon after Ctrl-C; what was passed in is as it was.

    Notes
    -----
    Backpropagation as Rumelhart, Hinton and Williams derive it (1986); every operation in its order is written down in
    `backprop.reference`, and the result equals that of `backprop.reference.train` bit for bit.

    Examples
    --------
    >>> import backprop
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> net = backprop.Network([2, 4, 1], output_activation="logistic", rng=3)
    >>> run = backprop.fast_train(net, X, y, loss="binary_cross_entropy", optimizer=backprop.Adam(0.1), epochs=200)
    >>> run.network.predict(X).round(1).ravel().tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    settings = Settings.checked(network, loss, optimizer, batch_size, shuffle, train_biases, stopping, dropout)
    state = start(network, settings, arguments.stream(rng))
    run = Run.checked(epochs, callback, progress, checkpoint, n_threads)
    training = carry_on(continue_training, network, X, y, settings, state, run, sample_weight, rng)
    arguments.advance(rng, training._state.stream)
    return training
