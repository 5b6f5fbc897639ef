"""The engine of training on rows that are elsewhere: a function of the caller gives partial sums over them."""

import inspect
import math
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import numpy as np

from . import _kernel, arguments, threads
from .arguments import FloatArray
from .engine import KERNEL, KernelTrainer
from .network import Network
from .nodes import Node
from .optimizers import LevenbergMarquardt, penalties_of
from .partial import PartialSums, digest_of, mean_loss, whole
from .plans import Plan
from .samples import Samples
from .state import RunState, Settings

Sums = Callable[[Network, str], Any]
BYTES = (bytes, bytearray, memoryview)


class Elsewhere(Samples):
    """Rows that are elsewhere: X (32,) is the SHA-256 of the first sums over them, y (1,) their number."""

    __slots__ = ()

    @property
    def n_samples(self) -> int:
        """The number of rows."""
        return int(self.y[0])


def checked(sums: Any) -> Sums:
    """The argument itself if it is a function of the caller that can give sums, else a TypeError."""
    if not callable(sums):
        hint = "; def sums(network, of): return parts" if isinstance(sums, PartialSums | list | tuple) else ""
        raise TypeError(f"sums must be a function of a network and a name, got {arguments.shown(sums)}{hint}")
    if inspect.iscoroutinefunction(sums) or inspect.iscoroutinefunction(type(sums).__call__):
        shown = arguments.shown(sums)
        raise TypeError(f"sums must be a function with def, not async def, which nobody awaits; got {shown}")
    return sums  # type: ignore[no-any-return]


def opened(parts: Any) -> Iterator[Any]:
    """The parts that `sums` has returned, with bytes made PartialSums again."""
    if inspect.isawaitable(parts) or hasattr(parts, "__aiter__"):
        if inspect.iscoroutine(parts):
            parts.close()
        raise TypeError(f"sums must return parts, not something to await, got {arguments.shown(parts)}")
    if isinstance(parts, (PartialSums, *BYTES)):
        parts = [parts]
    try:
        each = iter(parts)
    except TypeError:
        raise TypeError(
            f"sums must return a PartialSums, its bytes, or an iterable of such, got {arguments.shown(parts)}"
        ) from None
    return (PartialSums.from_bytes(part) if isinstance(part, BYTES) else part for part in each)


class OnSums:
    """The kernel as an engine, with sums over rows that the caller's function gives. One run uses it."""

    exp = staticmethod(_kernel.exp)
    log = staticmethod(_kernel.log)
    order = staticmethod(_kernel.order)
    first_not_finite = staticmethod(_kernel.first_not_finite)
    bad_target = staticmethod(_kernel.bad_target)
    sum_of_weights = staticmethod(_kernel.sum_of_weights)

    def __init__(self, sums: Any, settings: Settings) -> None:
        if settings.stopping is not None and settings.stopping.validation_fraction is not None:
            raise ValueError(
                f"validation_fraction must be None on sums, got {settings.stopping.validation_fraction!r}: the rows "
                "are elsewhere, and none can be held back; give validation_data=(X, y), or neither to watch all rows"
            )
        self.sums, self.loss_name = checked(sums), settings.loss
        self.first = "normal_equations" if isinstance(settings.optimizer, LevenbergMarquardt) else "gradient"
        self.last: PartialSums | None = None  # those of the last call

    def merged(self, network: Network, of: str) -> PartialSums:
        """The sums over all rows at a network, by the caller's function if they are not those of its last call."""
        digest, last = digest_of(network), self.last
        if last is not None and last._contents.network == digest and of in (last.of, "loss"):
            return last
        sums = PartialSums.merge(opened(self.sums(network, of)))
        if sums._contents.network != digest:
            raise ValueError(
                "sums must return parts of the network that it is given, got parts of another or of other parameters; "
                "call partial_sums(network, ...) with the network of each call"
            )
        for name, wanted in (("of", of), ("loss", self.loss_name), ("n_rows", last.n_rows if last else sums.n_rows)):
            if getattr(sums, name) != wanted:
                raise ValueError(
                    f"sums must return parts with {name}={wanted!r}, got {getattr(sums, name)!r}; give "
                    f"{name}={wanted!r} to partial_sums"
                )
        whole(sums)
        self.last = sums
        return sums

    def rows(self, network: Network) -> Elsewhere:
        """The rows, known by their first sums: those at the network with which the run begins."""
        sums = self.merged(network, self.first)
        digest = np.frombuffer(sha256(sums.to_bytes()).digest(), np.uint8)
        return Elsewhere(digest, np.array([sums.n_rows]), None, sums.nodes[0].weight)

    def loss(self, network: Network, samples: Samples, loss: str, n_threads: int | None) -> float:
        """The mean loss of all rows, or of validation rows in this process."""
        if not isinstance(samples, Elsewhere):
            return KERNEL.loss(network, samples, loss, n_threads)
        node = self.merged(network, "loss").nodes[0]
        value = mean_loss(node)
        if not math.isfinite(value):
            raise samples.loss_not_finite(node.loss_row)
        return value

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
        """A trainer of the network, as `Engine.trainer` says; all rows are one batch, which is not shuffled."""
        n, n_in, n_out = network.n_parameters, network.sizes[0], network.sizes[-1]
        w, gradient = _kernel.empty(n), _kernel.empty(n)
        w[...] = network.parameters
        elsewhere = SumsOfParts(self, network, w, gradient, settings.train_biases)
        method = _kernel.METHODS.get(plan.rule)  # None: an update rule
        more_work = _kernel.more_work(plan.rule, n, n_out)
        count = threads.POLICY.threads_for(n_threads, 0.0 if more_work == 0.0 else float(n) ** 3)
        names = network.activations
        work = _kernel.Pass(network.sizes, names, w, gradient, count, count, threads.POLICY.thread_work, more_work)
        width = _kernel.Data(np.zeros((1, n_in)), np.zeros((1, n_out)))
        sums = _kernel.LossPass(work, width, settings.loss, elsewhere)
        step = _kernel.Step(plan.rule, np.array(plan.settings), state.slots, state.scalars, settings.train_biases)
        if method is not None:
            elsewhere.method = method(sums, step)
            return KernelTrainer(elsewhere.method, w, state.slots, state.scalars)
        trainer = _kernel.Trainer(sums, step, 1, None)
        trainer.penalize(*penalties_of(settings.optimizer))
        return KernelTrainer(trainer, w, state.slots, state.scalars)


class SumsOfParts:
    """The function that the kernel calls for sums over rows: they are those at the parameters w of a trainer."""

    def __init__(
        self, engine: OnSums, network: Network, w: FloatArray, gradient: FloatArray, train_biases: bool
    ) -> None:
        self.engine, self.network, self.w, self.gradient = engine, network, w, gradient
        self.train_biases = train_biases
        self.method: Any = None  # None: an update rule

    def __call__(self, of: str) -> tuple[float, float]:
        """The mean loss and the total weight; the mean gradient is written to `gradient`, A and b to the method."""
        network = self.network._of(self.network.sizes, self.network.activations, self.w.copy())
        node = self.engine.merged(network, of).nodes[0]
        loss = mean_loss(node)
        if of == "gradient":
            _kernel.divide_sums(node.sums, node.weight, self.gradient)
            if self.method is not None and node.loss_row >= 0:
                loss = node.loss_until  # N13
        elif of == "normal_equations":
            _kernel.take_equations(self.method, self._trained(node))
        return loss, node.weight

    def _trained(self, node: Node) -> FloatArray:
        """A and b of a node, with 0.0 for biases that are not trained, as if their columns of J were 0.0."""
        if self.train_biases:
            return node.sums
        fixed: list[bool] = []
        for n_in, n in zip(self.network.sizes, self.network.sizes[1:], strict=False):
            fixed += [False] * (n_in * n) + [True] * n
        is_fixed, packed, at = np.array([*fixed, False]), node.sums.copy(), 0  # the last column is b
        for i in range(len(fixed)):
            row = packed[at : at + len(is_fixed) - i]
            row[is_fixed[i:] | is_fixed[i]] = 0.0
            at += row.size
        return packed
