"""fast_train(), the Training that it returns, and the main flow of a run: check the arguments, train, save.

One flow serves both engines: `fast_train` runs it with the compiled kernel, `backprop.reference` with the definition.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from . import arguments, plain, sources, streams
from .arguments import FloatArray
from .checkpoint import Checkpoint, CheckpointWriter
from .dropout import Dropout
from .elsewhere import Elsewhere, OnSums, Sums
from .engine import KERNEL, Engine
from .epochs import Epochs, draws_order
from .errors import CheckpointError
from .hints import hinted
from .matrices import RowsLike, TargetsLike
from .network import Network
from .optimizers import Optimizer
from .run import Callback, Run
from .samples import Samples
from .shuffling import BlockShuffle
from .sources import Source
from .state import Result, RunState, Settings
from .stopping import EarlyStopping, split
from .text_file import File


@dataclass(frozen=True, eq=False, repr=False)
class Training:
    """The result of `fast_train`.

    Attributes
    ----------
    network : Network
        The network with the trained weights.
    losses : ndarray of shape (epochs,)
        The mean loss of each epoch, those of resumed runs included. It is summed up during the epoch, while the weights
        change; the loss of the returned weights is ``run.network.loss(X, y)``.
    epochs : int
        The number of epochs, those of resumed runs included.
    stopped : str
        The reason why the run ended: "epochs", all are done; "callback", it returned True; "patience", "target_loss"
        or "time_limit" of `EarlyStopping`; "gradient" or "line_search" of `LBFGS`; "gradient" or "damping" of
        `LevenbergMarquardt`.
    validation_losses : ndarray of shape (epochs,), or (0,)
        With `EarlyStopping`, the watched loss after each epoch.
    best_epoch : int or None
        With `EarlyStopping`, the first epoch with the lowest watched loss, counted from 0. With ``restore_best``, the
        network has the weights after this epoch, and ``validation_losses[best_epoch]`` is its loss.
    settings : Settings
        The loss, optimizer, batch size and so on that were used.
    """

    _result: Result
    _engine: Engine

    @property
    def network(self) -> Network:
        return self._result.network

    @property
    def stopped(self) -> str:
        return self._result.stopped

    @property
    def settings(self) -> Settings:
        return self._result.settings

    @property
    def _state(self) -> RunState:
        return self._result.state

    def _with(self, **changes: Any) -> "Training":
        """The same run with other fields of its result."""
        return Training(self._result._replace(**changes), self._engine)

    @property
    def losses(self) -> FloatArray:
        self._state.losses.setflags(write=False)  # a resumed run starts with this array
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

    @hinted
    def resume(
        self,
        X: RowsLike,
        y: TargetsLike,
        *,
        epochs: int,
        sample_weight: npt.ArrayLike | None = None,
        checkpoint: Checkpoint | None = None,
        callback: Callback | None = None,
        progress: bool = False,
        n_threads: int | None = None,
    ) -> "Training":
        """Train for more epochs, with the settings, the optimizer's state and the random stream of this run's end.

        30 epochs, resumed for 20 more, give the bits of 50. This Training does not change and can be resumed again.

        Parameters
        ----------
        X, y, epochs, sample_weight, checkpoint, callback, progress, n_threads
            As for `fast_train`: X and y may be on disk (docs/large-data.md). The rows may be others than before.
            sample_weight is not taken over from this run. A checkpoint must use another file than this run did.

        Returns
        -------
        Training

        Raises
        ------
        TypeError, ValueError, DivergenceError, OverflowError
            As for `fast_train`; this Training does not change.

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
        return train(self._engine, self._result.copy(), X, y, sample_weight, run)

    @hinted
    def resume_on_sums(
        self,
        sums: Sums,
        *,
        epochs: int,
        checkpoint: Checkpoint | None = None,
        callback: Callback | None = None,
        progress: bool = False,
    ) -> "Training":
        """Train for more epochs on rows that are elsewhere, with all that `resume` goes on with.

        The bits are those of `resume` with the same rows.

        Parameters
        ----------
        sums, epochs, checkpoint, callback, progress
            As for `train_on_sums`.

        Returns
        -------
        Training

        Raises
        ------
        TypeError, ValueError, DivergenceError, OverflowError
            As for `train_on_sums`; also ValueError if this run had dropout or batches of fewer than all rows.

        Examples
        --------
        >>> import backprop
        >>> X, y, net = [[0.0], [0.5], [1.0]], [0.0, 0.25, 1.0], backprop.Network([1, 4, 1])
        >>> def sums(network, of):
        ...     return [backprop.partial_sums(network, X, y, of=of, first_row=0, n_rows=3)]
        >>> run = backprop.fast_train(net, X, y, optimizer=backprop.LBFGS(), epochs=3)
        >>> run.resume_on_sums(sums, epochs=2).network == run.resume(X, y, epochs=2).network
        True
        """
        run, settings = Run.checked(epochs, callback, progress, checkpoint), self.settings
        if settings.dropout is not None:
            raise ValueError(f"dropout must be None on sums, got {settings.dropout!r}; resume(X, y) has it")
        begin, engine = self._result.copy(), OnSums(sums, settings)
        rows = engine.rows(begin.network)
        if settings.batch_size is not None and settings.batch_size < rows.n_samples:
            raise ValueError(
                f"batch_size must be at least the number of rows on sums, {rows.n_samples}, got {settings.batch_size}; "
                "resume(X, y) takes smaller batches, train_on_sums(run.network, sums) begins anew"
            )
        return train_elsewhere(engine, begin, rows, run)

    def save(self, path: File) -> None:
        """Write the run to a text file, exactly; `load` reads it back.

        An existing file is replaced as a whole or not at all; one that is read-only stays. The file holds everything
        that `resume` needs but the training data; docs/training-file.md describes it. Unlike a pickle, it is safe to
        load from any source.

        Parameters
        ----------
        path : str, bytes or path-like; or a stream
            As for `Network.save`.

        Raises
        ------
        OSError
            If the file cannot be written.

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

        training_file.write(path, self._result)

    @classmethod
    def load(cls, path: File) -> "Training":
        """Read a run that `save` wrote, or the run in a `Checkpoint`'s file. Nothing in the file is executed.

        Parameters
        ----------
        path : str, bytes or path-like; or a stream
            As for `Network.load`.

        Returns
        -------
        Training
            The saved run; `resume` gives the same bits as before saving.

        Raises
        ------
        ValueError
            If the file is truncated, altered, of another version, or holds no run; the message says which.
        OSError
            If the file cannot be read, or is not a regular file.

        Examples
        --------
        >>> import backprop, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "run.txt")
        >>> backprop.fast_train(backprop.Network([1, 1]), [[1.0], [2.0]], [1.0, 2.0], epochs=5).save(path)
        >>> backprop.Training.load(path).epochs
        5
        """
        from . import training_file

        return cls(training_file.read(path)[1], KERNEL)

    def __getstate__(self) -> dict[str, Any]:
        """Plain data for pickle, copy, joblib and skops; the kernel is not stored as the engine."""
        return {"result": plain.packed(self._result), "engine": None if self._engine is KERNEL else self._engine}

    def __setstate__(self, state: dict[str, Any]) -> None:
        object.__setattr__(self, "_result", plain.unpacked(state["result"]))
        object.__setattr__(self, "_engine", state["engine"] or KERNEL)

    def __repr__(self) -> str:
        return f"<Training: {self.network!r}, {self.epochs} epochs, last loss {self.losses[-1]:g}, {self.stopped!r}>"


def train_or_resume(engine: Engine, begin: Result, samples: Samples, run: Run, rng: Any = 0) -> Training:
    """Train from the result `begin`, or from this run's checkpoint if its file exists.

    The state of `begin` is changed in place. With rng None (fresh entropy), the random stream is not part of the run's
    identity, and the run continues with the stream in the checkpoint.
    """
    network, _, settings, state = begin
    trained, watched = split(engine, network.sizes, samples, settings.loss, settings.stopping)
    if run.checkpoint is None:
        return Training(Epochs(engine, begin, trained, watched, run, None).train(), engine)
    last = state.losses.size + run.epochs
    identified = begin._replace(state=state._replace(stream=None)) if rng is None else begin
    writer = CheckpointWriter(run.checkpoint, identified, samples, last)
    saved = writer.read()
    if saved is not None:
        # with_parameters keeps the class of the caller's network, which may be a subclass of Network.
        saved = saved._replace(network=network.with_parameters(saved.network.parameters), settings=settings)
        if saved.stopped != "epochs" or saved.state.losses.size == last:
            return Training(saved, engine)
        begin = saved._replace(network=saved.last)
        run = run._replace(epochs=last - saved.state.losses.size)
    writer.try_to_write()
    try:
        result = Epochs(engine, begin, trained, watched, run, writer).train()
        writer.write(result)
    except CheckpointError as error:
        if isinstance(error.training, Result):  # else it is the error of another run, which a callback has trained
            error.training = Training(error.training, engine)
        raise
    return Training(result, engine)


def train_elsewhere(engine: OnSums, begin: Result, rows: Elsewhere, run: Run) -> Training:
    """Train from the result `begin` on rows that are elsewhere; the Training can be resumed on rows in this process."""
    try:
        return replace(train_or_resume(engine, begin, rows, run), _engine=KERNEL)
    except CheckpointError as error:
        if isinstance(error.training, Training) and error.training._engine is engine:
            error.training = replace(error.training, _engine=KERNEL)
        raise


def _check_order(settings: Settings, argument: str, value: Any) -> None:
    """Raise ValueError for rows on disk that would be visited in a random order, before they are read."""
    shape = Source.of(argument, value).shape
    n = n_rows = shape[0] if shape else 0
    if settings.stopping is not None and settings.stopping.validation_fraction is not None:
        n -= math.ceil(n * settings.stopping.validation_fraction)
    if settings.shuffle is True and draws_order(settings, n):
        kind = arguments.type_name(value)
        raise ValueError(
            f"{argument} is a {kind} of {n_rows} rows, which are read block by block and not one by one: "
            "shuffle=True would visit them in any order; give shuffle=backprop.BlockShuffle(), or False"
        )


def train(
    engine: Engine,
    begin: Result,
    X: RowsLike,
    y: TargetsLike,
    sample_weight: npt.ArrayLike | None,
    run: Run,
    rng: Any = 0,
) -> Training:
    """Check the rows once and train from the result `begin`; a generator given as rng is advanced at the end."""
    before = streams.mark(rng, begin.state.stream)
    if sources.on_disk(X):
        _check_order(begin.settings, "X", X)
    if sources.is_source(y) and math.prod(y.shape[1:]) != 1:  # type: ignore[union-attr]  # else it is read whole
        _check_order(begin.settings, "y", y)
    samples = Samples.checked(engine, begin.network.sizes, X, y, begin.settings.loss, sample_weight)
    training = train_or_resume(engine, begin, samples, run, rng)
    streams.advance(rng, training._state.stream, before)
    return training


@hinted
def fast_train(
    network: Network,
    X: RowsLike,
    y: TargetsLike,
    *,
    loss: str | None = None,
    optimizer: Optimizer | None = None,
    epochs: int = 100,
    batch_size: int | None = None,
    shuffle: bool | BlockShuffle = True,
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
        The network to start from; it does not change.
    X : array_like, sparse matrix or rows on disk, of shape (n_samples, n_features)
        Finite numbers. An array of float64, float32, integers or booleans, in any order, and a sparse matrix of SciPy
        are used without a copy: each row is converted to float64 when it is read, integers to the nearest. They must
        not change during the call (in a callback, or by another thread). Rows on disk, such as an HDF5 dataset or a
        class with shape and slices, are read piece by piece (docs/large-data.md); they need ``shuffle=BlockShuffle()``
        or False, or batches of all rows. Anything else, such as a list or a data frame, is converted once.
    y : array_like or rows on disk, of shape (n_samples, n_outputs), or (n_samples,)
        Targets, used as X is, but not sparse; 1-D for one output, or the integer classes of a softmax output.
    loss : str or None
        "squared_error" (half the squared distance; any output but softmax), "cross_entropy" (softmax; rows of y are
        >= 0 and sum to 1), "binary_cross_entropy" (logistic; y in [0, 1]), "absolute_error" (any output but softmax),
        "huber" (squared up to a distance of 1, absolute beyond; any output but softmax), "poisson" (exponential; counts
        y >= 0). None takes cross_entropy for a softmax output and squared_error otherwise.
    optimizer : SGD, Adam, AdamW, RMSprop, Rprop, LBFGS, LevenbergMarquardt or None
        None is ``Adam()``.
    epochs : int >= 1
        The number of passes over all rows.
    batch_size : int >= 1 or None
        Rows per step; None is 32, or all rows for Rprop, LBFGS and LevenbergMarquardt, which accept only None. The
        last batch of an epoch may be shorter.
    shuffle : bool or BlockShuffle
        True visits the rows in a new random order in each epoch, a `BlockShuffle` in one that needs few blocks of
        consecutive rows at a time. A batch that holds all rows keeps their order, as LBFGS and LevenbergMarquardt do,
        and draws no random number.
    rng : int, SeedSequence, Generator, BitGenerator or None, default 0
        The random stream that shuffles the rows; None takes fresh entropy. A generator is advanced if the call
        succeeds, and must not be used by another thread or a callback meanwhile.
    train_biases : bool
        False keeps the biases as they are.
    sample_weight : array_like of shape (n_samples,), or None
        Finite numbers >= 0 with a sum above 0 and at most 1e300. Loss and gradient are weighted means: a row of weight
        3.0 counts as three equal rows in the same batch.
    dropout : Dropout or None
        Drop a random share of the hidden units in training, drawn separately for each row.
    stopping : EarlyStopping or None
        Watch a validation set, stop when its loss no longer falls, return the best weights.
    checkpoint : Checkpoint or None
        Save the run to a file at intervals, and continue from the file if it already holds this same run.
    n_threads : int >= 1 or None
        Most threads to use; None: as many as OpenMP would use. Small work uses one. No bit depends on it.
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
        If an argument is of the wrong kind, unknown, out of range or of a shape that does not fit; or if others have
        drawn from the generator that was given as rng.
    DivergenceError
        If the loss of an epoch is not finite, or at the end a parameter or the optimizer's state.
    OverflowError
        If a loss that `EarlyStopping` watches is not finite; the message names the row.
    OSError
        If a checkpoint cannot be read, or its file cannot be written: as far as that can be known, before training.
    CheckpointError
        If a checkpoint cannot be written later, as when a disk is full. The previous file does not change, and the
        error's ``.training`` is the run so far. It is an OSError.
    KeyboardInterrupt
        Soon after Ctrl-C; the arguments have not changed.

    Notes
    -----
    Backpropagation as Rumelhart, Hinton and Williams derive it (1986). `backprop.definition` states every operation in
    its order; the result equals that of `backprop.reference.train` bit for bit.

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
    begin = Result.first(network, settings, rng)
    run = Run.checked(epochs, callback, progress, checkpoint, n_threads)
    return train(KERNEL, begin, X, y, sample_weight, run, rng)
