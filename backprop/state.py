"""The settings, the state and the result of a run, as values that depend on no engine and no file format."""

from numbers import Integral, Real
from typing import Any, NamedTuple, get_args

import numpy as np

from . import arguments, hints, shuffling, streams
from .arguments import FloatArray
from .dropout import Dropout
from .network import Network, checked
from .optimizers import FULL_BATCH, METHODS, Adam, LevenbergMarquardt, Optimizer, plan_of, too_much_memory
from .shuffling import BlockShuffle
from .stopping import EarlyStopping, Watch

DEFAULT_OPTIMIZER = Adam()


class Settings(NamedTuple):
    """The settings of a run and of all runs that resume it, checked and with the defaults filled in."""

    loss: str
    optimizer: Optimizer
    batch_size: int | None  # None: all rows
    shuffle: bool | BlockShuffle
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
        shuffle: bool | BlockShuffle,
        train_biases: bool = True,
        stopping: EarlyStopping | None = None,
        dropout: Dropout | None = None,
    ) -> "Settings":
        """Check the settings and fill in the defaults."""
        loss = arguments.loss_name(loss, checked(network).activations[-1])
        if optimizer is not None and not isinstance(optimizer, Optimizer):
            kinds = ", ".join(f"{kind.__name__}(...)" for kind in get_args(Optimizer))
            allowed = f"one of backprop's {kinds}"
            raise hints.instance("optimizer", optimizer, Optimizer, allowed, (bool, ""), (Real, "Adam({})"))
        if stopping is not None and not isinstance(stopping, EarlyStopping):
            calls = (bool, "EarlyStopping()"), (Integral, "EarlyStopping(patience={})")
            calls += ((tuple, "EarlyStopping(validation_data=(X, y))"),)
            raise hints.instance("stopping", stopping, EarlyStopping, "a backprop.EarlyStopping(...)", *calls)
        if dropout is not None:
            if not isinstance(dropout, Dropout):
                calls = (bool, "Dropout(0.2)"), ((Real, list, tuple), "Dropout({})")
                raise hints.instance("dropout", dropout, Dropout, "a backprop.Dropout(...)", *calls)
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
            shuffling.checked(shuffle),
            arguments.flag("train_biases", train_biases),
            stopping,
            dropout,
        )


def batch_size_of(optimizer: Optimizer | None, batch_size: int | None) -> int | None:
    """The number of rows of a batch: by default 32, or None (all rows) for an optimizer that needs all."""
    if batch_size is None:
        return None if isinstance(optimizer, FULL_BATCH) else 32
    return arguments.integer("batch_size", batch_size, 1)


class RunState(NamedTuple):
    """The state of a run after some epochs, without the network's parameters."""

    losses: FloatArray  # (epochs so far,)
    slots: FloatArray  # (n_slots, n_parameters): the optimizer's state for each parameter, such as moments
    scalars: FloatArray  # (n_scalars,): the optimizer's other state, such as products of Adam's betas
    stream: Any  # the bit generator that shuffles the rows, or its seed until the first draw
    watch: Watch | None = None
    dropout: Any = None  # the bit generator that dropped units are drawn from; None: no unit is dropped

    @classmethod
    def first(cls, network: Network, settings: Settings, stream: Any) -> "RunState":
        """The state before the first epoch."""
        plan = plan_of(settings.optimizer)
        try:
            slots = np.empty((len(plan.slots), network.n_parameters))
        except MemoryError:
            raise too_much_memory(settings.optimizer, network.n_parameters) from None
        for k, value in enumerate(plan.slots):
            slots[k] = value
        dropout = None if settings.dropout is None else settings.dropout.stream(network.sizes)
        return cls(np.empty(0), slots, np.array(plan.scalars), stream, dropout=dropout)

    def copy(self) -> "RunState":
        """A copy that training may change in place."""
        stream = streams.copied(self.stream)
        dropout = None if self.dropout is None else streams.copied(self.dropout)
        return RunState(self.losses, self.slots.copy(), self.scalars.copy(), stream, self.watch, dropout)


class Result(NamedTuple):
    """The result of a run; a file can hold it, and an engine can resume it."""

    network: Network  # the network that the run returns
    stopped: str  # the reason why the run ended
    settings: Settings
    state: RunState

    @classmethod
    def first(cls, network: Network, settings: Settings, rng: Any) -> "Result":
        """The result before the first epoch, with a random stream that starts in the state of rng."""
        return cls(network, "", settings, RunState.first(network, settings, streams.stream_of(rng)))

    def copy(self) -> "Result":
        """A copy to resume from: with the last network, and with a state that training may change in place."""
        return self._replace(network=self.last, state=self.state.copy())

    @property
    def last(self) -> Network:
        """The network after the last epoch, where a resumed run begins."""
        watch = self.state.watch
        return self.network if watch is None else self.network.with_parameters(watch.last)
