"""Early stopping: when to stop a run, and which weights to return.

Both engines use it, each with losses that it computes itself; these have the same bits.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from itertools import zip_longest
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from . import _kernel, arguments
from .arguments import FloatArray
from .hints import hinted_class
from .matrices import RowsLike, Sparse, TargetsLike, is_sparse
from .network import Network
from .samples import Checks, Samples
from .sources import Source, is_source

# X, y and sample weights.
ValidationData = tuple[RowsLike, TargetsLike] | tuple[RowsLike, TargetsLike, npt.ArrayLike | None]


@hinted_class
@dataclass(frozen=True)
class EarlyStopping:
    """Watch the loss of a validation set, stop when it no longer falls, and give back the best weights.

    Parameters
    ----------
    validation_data : tuple (X, y) or (X, y, sample_weight), or None
        Rows to watch, of the kinds and shapes that `fast_train` takes. They belong to the run: those on disk are read
        into memory when it is pickled.
    validation_fraction : float in (0, 1) or None
        Share of the training rows to watch instead of training on them: ``ceil(fraction*n_samples)`` rows, drawn at
        random. Rows on disk are then read twice in each epoch. If validation_data is None too, the loss of the training
        rows is watched, for about a third more time.
    patience : int >= 1 or None, default 10
        Stop after this many epochs without an improvement; None: no limit.
    min_improvement : float in [0, inf), default 0.0
        How much lower than the lowest loss so far a loss must be to count as an improvement.
    target_loss : float or None
        Stop when the watched loss is at most this.
    time_limit : float in (0, inf) or None
        Seconds after which to stop, at the end of an epoch.
    restore_best : bool, default True
        True: return the weights of the epoch with the lowest watched loss, whatever ended the run. False: the last
        weights.
    rng : int >= 0, default 0
        Seed of the draw of the validation rows, whose random stream is separate from the one that shuffles the rows.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range, or if both validation_data and validation_fraction are given.

    Notes
    -----
    The run's ``validation_losses`` are the watched losses, one after each epoch; its ``best_epoch`` is the first epoch
    with the lowest. ``stopped`` is "patience", "target_loss", "time_limit", "callback" or "epochs". The moment of the
    stop changes no bit: the last weights are those of a run of this number of epochs. `Training.resume` continues from
    the last weights, not from the best; after "patience" it waits for the full patience again. If several reasons hold
    at once, "callback" is given before "target_loss", then "patience", then "time_limit".

    A watched loss that is not finite ends the run with an OverflowError, which names the row.

    Examples
    --------
    >>> import backprop, numpy as np
    >>> X = np.linspace(-1.0, 1.0, 40)[:, None]
    >>> stopping = backprop.EarlyStopping(validation_fraction=0.25, patience=5)
    >>> run = backprop.fast_train(backprop.Network([1, 8, 1]), X, X**2, epochs=500, stopping=stopping)
    >>> bool(run.validation_losses.min() == run.validation_losses[run.best_epoch])
    True
    """

    validation_data: ValidationData | None = field(default=None, repr=False, compare=False)
    validation_fraction: float | None = None
    patience: int | None = 10
    min_improvement: float = 0.0
    target_loss: float | None = None
    time_limit: float | None = None
    restore_best: bool = True
    rng: int = 0

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        if self.validation_data is not None:
            if not isinstance(self.validation_data, tuple) or len(self.validation_data) not in (2, 3):
                raise arguments.no_validation_data(self.validation_data)
            if self.validation_fraction is not None:
                raise ValueError("validation_data and validation_fraction must not both be given")
        for name, interval in (("validation_fraction", "(0, 1)"), ("time_limit", "(0, inf)")):
            if getattr(self, name) is not None:
                put(name, arguments.number(name, getattr(self, name), interval))
        if self.target_loss is not None:
            put("target_loss", arguments.number("target_loss", self.target_loss, "(-inf, inf)"))
        if self.patience is not None:
            put("patience", arguments.integer("patience", self.patience, 1))
        put("min_improvement", arguments.number("min_improvement", self.min_improvement, "[0, inf)"))
        put("restore_best", arguments.flag("restore_best", self.restore_best))
        put("rng", arguments.integer("rng", self.rng, 0))

    def __eq__(self, other: object) -> bool:
        """Whether all settings are the same and the rows to watch have the same numbers."""
        if not isinstance(other, type(self)):
            return NotImplemented
        if any(getattr(self, one.name) != getattr(other, one.name) for one in fields(self) if one.compare):
            return False
        mine, others = self.validation_data or (), other.validation_data or ()
        try:
            return all(a is b or np.array_equal(_table(a), _table(b)) for a, b in zip_longest(mine, others))
        except ValueError:  # no arrays
            return False

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle arrays as lists, since arrays that one NumPy version has pickled do not load in every other."""
        data: Any = self.validation_data
        data = data and tuple(None if part is None else _listed(in_memory(part)) for part in data)
        return type(self), (data, *(getattr(self, one.name) for one in fields(self)[1:]))


def in_memory(part: Any) -> npt.NDArray[Any]:
    """A part of validation data as an array; a sparse matrix is made dense, and a source is read."""
    if is_source(part):
        return Source.of("X", part).doubles()
    return Sparse.of("X", part).dense() if is_sparse(part) else np.asarray(part)


def _table(part: Any) -> npt.NDArray[Any]:
    """A part of validation data, targets (n_samples,) as (n_samples, 1), which is their shape in a saved run."""
    array = in_memory(part)
    return array[:, np.newaxis] if array.ndim == 1 else array


def _listed(array: npt.NDArray[Any]) -> Any:
    """The numbers of an array as a list; those of a longdouble, which a list would keep as such, are converted."""
    if array.dtype.kind == "f":
        array = _kernel.in_contract(array.astype, np.float64)
    return array.tolist()


class Watch(NamedTuple):
    """The state of early stopping, which a resumed run takes over."""

    losses: FloatArray  # watched losses (epochs so far,)
    best_epoch: int  # the first epoch with the lowest watched loss
    since: int  # the epoch from which patience counts
    best: FloatArray  # parameters (n_parameters,) after best_epoch
    last: FloatArray  # parameters (n_parameters,) after the last epoch


def improves(loss: float, lowest: float, minimum: float) -> tuple[bool, bool]:
    """Whether a loss is lower than the lowest by more than `minimum`, and whether it is lower at all."""
    return loss < lowest - minimum, loss < lowest


class Splitter(Checks, Protocol):
    """The functions of an engine that splitting needs."""

    def order(self, stream: Any, n: int, /) -> npt.NDArray[np.int64]:
        """The integers 0, ..., n - 1, shuffled by a bit generator (N9)."""


def split(
    engine: Splitter, sizes: tuple[int, ...], samples: Samples, loss: str, stopping: EarlyStopping | None
) -> tuple[Samples, Samples | None]:
    """The samples to train on and the samples to watch; None: watch those that are trained on.

    With validation_fraction, the last of the shuffled rows are watched; within both parts the rows keep their order.
    Errors name the rows that were given.
    """
    if stopping is None:
        return samples, None
    if stopping.validation_data is not None:
        X, y, *weights = stopping.validation_data
        try:
            given = Samples.checked(engine, sizes, X, y, loss, *weights)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"in validation_data, {error}") from None
        return samples, given._replace(watched="validation row")
    if stopping.validation_fraction is None:
        return samples, None
    n = samples.n_samples
    n_watched = math.ceil(n * stopping.validation_fraction)
    if n_watched == n:
        raise ValueError(f"validation_fraction {stopping.validation_fraction!r} leaves none of {n} rows to train on")
    is_watched = np.zeros(n, bool)
    is_watched[engine.order(np.random.PCG64(stopping.rng), n)[n - n_watched :]] = True
    trained, watched = (np.flatnonzero(part).astype(np.int64, copy=False) for part in (~is_watched, is_watched))
    return samples.take(engine, trained), samples.take(engine, watched)._replace(watched="row")


class Watcher:
    """The watcher of a run: it records the watched loss after each epoch and decides when to stop."""

    def __init__(self, stopping: EarlyStopping, loss_of: Callable[[Network], float], watch: Watch | None) -> None:
        self.stopping, self.loss_of = stopping, loss_of
        self.losses: list[float] = [] if watch is None else watch.losses.tolist()
        self.best_epoch, self.since = (-1, -1) if watch is None else (watch.best_epoch, watch.since)
        self.best = None if watch is None else watch.best
        self.began = time.monotonic()

    def after(self, network: Network) -> str:
        """Record the network after an epoch; return the reason to stop, or ""."""
        loss = self.loss_of(network)
        epoch, stopping = len(self.losses), self.stopping
        lowest = self.losses[self.best_epoch] if self.losses else math.inf
        self.losses.append(loss)
        # Comparisons in the contract's floating-point environment: a host's flush-to-zero would change them.
        enough, lower = _kernel.in_contract(improves, loss, lowest, stopping.min_improvement)
        if enough:
            self.since = epoch
        if lower:
            self.best_epoch, self.best = epoch, network.parameters
        if stopping.target_loss is not None and not _kernel.in_contract(improves, stopping.target_loss, loss, 0.0)[1]:
            return "target_loss"
        if stopping.patience is not None and epoch - self.since >= stopping.patience:
            self.since = epoch  # a resumed run starts with its full patience
            return "patience"
        if stopping.time_limit is not None and time.monotonic() - self.began >= stopping.time_limit:
            return "time_limit"
        return ""

    def result(self, last: Network) -> tuple[Network, Watch]:
        """The network to return, and the state from which a resumed run continues."""
        assert self.best is not None
        watch = Watch(np.array(self.losses), self.best_epoch, self.since, self.best, last.parameters)
        return (last.with_parameters(self.best) if self.stopping.restore_best else last), watch
