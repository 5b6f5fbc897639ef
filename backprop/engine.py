"""Engines: the interface that training needs of an engine, and the engine of the compiled kernel.

The other engine, that of the definition, is in reference.py.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from . import _kernel, shuffling, threads
from .arguments import FloatArray
from .network import Network
from .optimizers import penalties_of
from .passes import data_of, loss_of_samples
from .plans import Plan
from .samples import Checks, Samples
from .state import RunState, Settings
from .threads import ThreadPolicy


class Trainer(Protocol):
    """A network in training: its current parameters, the optimizer's current state; `train` trains it further."""

    @property
    def parameters(self) -> FloatArray:
        """The current parameters (n_parameters,); the next `train` may change the array in place."""

    @property
    def slots(self) -> FloatArray:
        """The optimizer's current slots (n_slots, n_parameters); the next `train` may change the array in place."""

    @property
    def scalars(self) -> FloatArray:
        """The optimizer's current scalars (n_scalars,); the next `train` may change the array in place."""

    @property
    def ended(self) -> str:
        """The reason why a full-batch method has ended, such as "gradient"; "" if it has not."""

    @property
    def evaluations(self) -> int:
        """The number of times that a full-batch method has computed the loss of all rows."""

    def on_pause(self, function: Callable[[int], None], /) -> None:
        """Call a function of the next row, in visiting order, whenever training pauses within an epoch."""

    def train(self, losses: FloatArray, done: int, until: int, rates: FloatArray | None, /) -> int:
        """Train epochs done, done + 1, ... and write the loss of epoch k to losses[k]; return the first epoch not done.

        The call returns at epoch `until`, or earlier: to let Python handle signals such as Ctrl-C, after an epoch whose
        loss is not finite, or when a full-batch method ends. rates[k] is the learning rate of epoch k; None: it is
        constant.
        """


class Engine(Checks, Protocol):
    """One of the two engines, kernel or definition, which train with the same bits."""

    def exp(self, x: float, /) -> float:
        """The correctly rounded exponential, for schedules."""

    def log(self, x: float, /) -> float:
        """The correctly rounded logarithm, for schedules."""

    def order(self, stream: Any, n: int, /) -> npt.NDArray[np.int64]:
        """The integers 0, ..., n - 1, shuffled by a bit generator (N9)."""

    def loss(self, network: Network, samples: Samples, loss: str, n_threads: int | None, /) -> float:
        """The mean loss of all samples."""

    def trainer(
        self,
        network: Network,
        samples: Samples,
        settings: Settings,
        plan: Plan,
        state: RunState,
        stream: Any,
        n_threads: int | None,
        /,
    ) -> Trainer:
        """A trainer of a copy of the network; it may change state.slots and state.scalars in place.

        stream is the bit generator that shuffles the rows before each epoch; None: the rows keep their order.
        """


class KernelTrainer:
    """A Trainer or Method of the kernel, with the arrays that it changes in place."""

    def __init__(
        self, kernel: _kernel.Trainer | _kernel.Method, parameters: FloatArray, slots: FloatArray, scalars: FloatArray
    ) -> None:
        self.kernel, self.parameters, self.slots, self.scalars = kernel, parameters, slots, scalars
        self.train = kernel.train

    def on_pause(self, function: Callable[[int], None]) -> None:
        """Call a function of the next row whenever training pauses within an epoch."""
        self.kernel.pause = function

    @property
    def ended(self) -> str:
        """The reason why a full-batch method has ended, such as "gradient"; "" if it has not."""
        return self.kernel.ended

    @property
    def evaluations(self) -> int:
        """The number of times that a full-batch method has computed the loss of all rows."""
        return self.kernel.evaluations


@dataclass(frozen=True)
class Kernel:
    """The compiled kernel as an engine."""

    policy: ThreadPolicy | None = None  # None: threads.POLICY

    exp = staticmethod(_kernel.exp)
    log = staticmethod(_kernel.log)
    order = staticmethod(_kernel.order)
    first_not_finite = staticmethod(_kernel.first_not_finite)
    bad_target = staticmethod(_kernel.bad_target)
    sum_of_weights = staticmethod(_kernel.sum_of_weights)

    def loss(self, network: Network, samples: Samples, loss: str, n_threads: int | None) -> float:
        """The mean loss of all samples."""
        return loss_of_samples(network, samples, loss, n_threads, self.policy or threads.POLICY)

    def trainer(
        self,
        network: Network,
        samples: Samples,
        settings: Settings,
        plan: Plan,
        state: RunState,
        stream: Any,
        n_threads: int | None,
    ) -> KernelTrainer:
        """A trainer of the network, as `Engine.trainer` says."""
        n, n_samples, policy = network.n_parameters, samples.n_samples, self.policy or threads.POLICY
        method = _kernel.METHODS.get(plan.rule)  # None: an update rule
        # An update rule wakes its threads once for many epochs, which always pays; a method, for each sum over rows.
        more_work = _kernel.more_work(plan.rule, n, network.sizes[-1])
        count = policy.threads_for(n_threads, math.inf if method is None else n_samples * (n + more_work))
        batch_size = min(settings.batch_size or n_samples, n_samples)
        w, gradient = _kernel.empty(n), _kernel.empty(n)
        w[...] = network.parameters
        work = _kernel.Pass(
            network.sizes, network.activations, w, gradient, batch_size, count, policy.thread_work, more_work
        )
        blocks = shuffling.within(settings.shuffle, n_samples)
        sums = _kernel.LossPass(work, data_of(samples, stream, *blocks), settings.loss)
        step = _kernel.Step(plan.rule, np.array(plan.settings), state.slots, state.scalars, settings.train_biases)
        if method is not None:
            return KernelTrainer(method(sums, step), w, state.slots, state.scalars)
        trainer = _kernel.Trainer(sums, step, batch_size, None if samples.from_source else stream, *blocks)
        trainer.penalize(*penalties_of(settings.optimizer))
        if settings.dropout is not None and state.dropout is not None:
            trainer.drop(np.array(settings.dropout.rates(network.sizes)), state.dropout)
        return KernelTrainer(trainer, w, state.slots, state.scalars)


KERNEL = Kernel()
