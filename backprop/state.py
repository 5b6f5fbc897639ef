"""The values of a run of training: its settings, its state, its result. They know neither engine nor file."""

from typing import Any, NamedTuple, get_args

import numpy as np

from . import arguments, streams
from .arguments import FloatArray
from .dropout import Dropout
from .network import Network, checked
from .optimizers import FULL_BATCH, METHODS, Adam, LevenbergMarquardt, Optimizer, plan_of
from .stopping import EarlyStopping, Watch

DEFAULT_OPTIMIZER = Adam()


class Settings(NamedTuple):
    """The settings that a run has in common with all that resume it, resolved and checked."""

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
        train_biases: bool = True,
        stopping: EarlyStopping | None = None,
        dropout: Dropout | None = None,
    ) -> "Settings":
        """The settings with their defaults filled in."""
        loss = arguments.loss_name(loss, checked(network).activations[-1])
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
    """The rows of a batch: by default 32, or all (None) for an optimizer that needs them."""
    if batch_size is None:
        return None if isinstance(optimizer, FULL_BATCH) else 32
    return arguments.integer("batch_size", batch_size, 1)


class RunState(NamedTuple):
    """The state that moves on with the epochs, beside the parameters."""

    losses: FloatArray  # (epochs so far,)
    slots: FloatArray  # (n_slots, n_parameters): what the optimizer keeps of every parameter, such as moments
    scalars: FloatArray  # (n_scalars,): what it keeps beside that, such as running products of Adam's betas
    stream: Any  # a bit generator, or the seed of one as long as none is needed
    watch: Watch | None = None
    dropout: Any = None  # the bit generator that dropped units are drawn from, if any are

    @classmethod
    def first(cls, network: Network, settings: Settings, stream: Any) -> "RunState":
        """The state before the first epoch."""
        plan = plan_of(settings.optimizer)
        slots = np.empty((len(plan.slots), network.n_parameters))
        for k, value in enumerate(plan.slots):
            slots[k] = value
        dropout = None if settings.dropout is None else settings.dropout.stream(network.sizes)
        return cls(np.empty(0), slots, np.array(plan.scalars), stream, dropout=dropout)

    def copy(self) -> "RunState":
        """A state that may move on while this one stays."""
        stream = streams.copied(self.stream)
        dropout = None if self.dropout is None else streams.copied(self.dropout)
        return RunState(self.losses, self.slots.copy(), self.scalars.copy(), stream, self.watch, dropout)

    def __reduce__(self) -> tuple[Any, ...]:
        """Bytes and integers: arrays that one NumPy has pickled do not load under every other."""
        watch = self.watch and (_packed(self.watch.losses), *self.watch[1:3], *map(_packed, self.watch[3:]))
        dropout = None if self.dropout is None else streams.to_plain(self.dropout)
        return _unpickled_state, (*map(_packed, self[:3]), streams.to_plain(self.stream), watch, dropout)


def _packed(array: FloatArray) -> tuple[tuple[int, ...], bytes]:
    return array.shape, array.astype("<f8").tobytes()


def _unpacked(packed: tuple[tuple[int, ...], bytes]) -> FloatArray:
    shape, data = packed
    return np.frombuffer(data, "<f8").reshape(shape).astype(np.float64)  # an array of its own, no view


def _unpickled_state(losses: Any, slots: Any, scalars: Any, stream: Any, watch: Any, dropout: Any) -> RunState:
    if watch is not None:
        watch = Watch(_unpacked(watch[0]), *watch[1:3], *map(_unpacked, watch[3:]))
    stream = streams.from_plain(stream)
    dropout = None if dropout is None else streams.from_plain(dropout)
    return RunState(_unpacked(losses), _unpacked(slots), _unpacked(scalars), stream, watch, dropout)


class Result(NamedTuple):
    """The result of a run, which a file can hold and an engine can resume."""

    network: Network  # the one that is given back
    stopped: str
    settings: Settings
    state: RunState

    @classmethod
    def first(cls, network: Network, settings: Settings, rng: Any) -> "Result":
        """The result of no epoch at all, with a random stream of its own that goes on where rng stands."""
        return cls(network, "", settings, RunState.first(network, settings, streams.stream_of(rng)))

    def copy(self) -> "Result":
        """A result to go on from, whose state may move on while this one stays."""
        return self._replace(network=self.last, state=self.state.copy())

    @property
    def last(self) -> Network:
        """The network after the last epoch, where a resumed run begins."""
        watch = self.state.watch
        return self.network if watch is None else self.network.with_parameters(watch.last)
