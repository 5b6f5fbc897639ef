"""Engines: a run of training by the compiled kernel, and what the main flow asks of whoever computes one."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from . import _kernel, threads
from .arguments import FloatArray
from .network import Network, loss_of_samples
from .optimizers import Plan, penalties_of
from .samples import Checks, Samples
from .state import RunState, Settings
from .threads import ThreadPolicy


class Trainer(Protocol):
    """A run of training between two calls: where its parameters and the optimizer's state have come to."""

    @property
    def parameters(self) -> FloatArray:
        """The parameters (n_parameters,), which the next call may change in place."""

    @property
    def slots(self) -> FloatArray:
        """The optimizer's slots (n_slots, n_parameters), likewise."""

    @property
    def scalars(self) -> FloatArray:
        """The optimizer's scalars (n_scalars,), likewise."""

    @property
    def ended(self) -> str:
        """Why the method is at its end, or ""."""

    @property
    def evaluations(self) -> int:
        """How often a method has computed the loss of all rows."""

    def train(self, losses: FloatArray, done: int, until: int, rates: FloatArray | None, /) -> int:
        """Train epochs done, done + 1, ..., whose losses go to these places; return the first that is not done.

        It comes back at `until`, or earlier: when Python should look at its signals, after an epoch whose loss is not
        finite, or when the method is at its end. rates are the epochs' learning rates, in the places of their losses.
        """


class Engine(Checks, Protocol):
    """One of the two ways to compute a run, which give the same bits."""

    def exp(self, x: float, /) -> float:
        """The correctly rounded exponential, for schedules."""

    def log(self, x: float, /) -> float:
        """The correctly rounded logarithm, for schedules."""

    def order(self, stream: Any, n: int, /) -> npt.NDArray[np.int64]:
        """The numbers below n, shuffled by a bit generator (N9)."""

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
        """A trainer of the network, which stays as it is; state.slots and state.scalars move on.

        stream is the bit generator that the orders of the rows are drawn from, or None: in their own order.
        """


class KernelTrainer:
    """A kernel's Trainer or Method, and the arrays that it changes."""

    def __init__(
        self, kernel: _kernel.Trainer | _kernel.Method, parameters: FloatArray, slots: FloatArray, scalars: FloatArray
    ) -> None:
        self.kernel, self.parameters, self.slots, self.scalars = kernel, parameters, slots, scalars
        self.train = kernel.train

    @property
    def ended(self) -> str:
        """Why the method is at its end, or ""."""
        return self.kernel.ended

    @property
    def evaluations(self) -> int:
        """How often a method has computed the loss of all rows."""
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
        # A call of Trainer.train lasts for many epochs, so its work has no end; a method wakes threads for each sum.
        more_work = _kernel.more_work(plan.rule, n, network.sizes[-1])
        count = policy.threads_for(n_threads, math.inf if method is None else n_samples * (n + more_work))
        batch_size = min(settings.batch_size or n_samples, n_samples)
        w, gradient = _kernel.empty(n), _kernel.empty(n)
        w[...] = network.parameters
        work = _kernel.Pass(
            network.sizes, network.activations, w, gradient, batch_size, count, policy.thread_work, more_work
        )
        sums = _kernel.LossPass(work, _kernel.Data(*samples), settings.loss)
        step = _kernel.Step(plan.rule, np.array(plan.settings), state.slots, state.scalars, settings.train_biases)
        if method is not None:
            return KernelTrainer(method(sums, step), w, state.slots, state.scalars)
        trainer = _kernel.Trainer(sums, step, batch_size, stream)
        trainer.penalize(*penalties_of(settings.optimizer))
        if settings.dropout is not None and state.dropout is not None:
            trainer.drop(np.array(settings.dropout.rates(network.sizes)), state.dropout)
        return KernelTrainer(trainer, w, state.slots, state.scalars)


KERNEL = Kernel()
