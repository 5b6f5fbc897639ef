"""Optimizers: their settings, checked once, as frozen dataclasses. The update rules are in definition/updates.py."""

import copy
import math
from dataclasses import dataclass, fields

from . import _kernel, arguments
from .arguments import FloatArray
from .hints import hinted_class
from .methods import LBFGS as LBFGS
from .methods import LevenbergMarquardt as LevenbergMarquardt
from .plans import Plan, check
from .schedules import Schedule


@dataclass(frozen=True, kw_only=True, repr=False)
class _Stepwise:
    """The base of the optimizers that take a step after each batch, by an update rule."""

    l1: float = 0.0
    l2: float = 0.0
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        check(self, l1="[0, inf)", l2="[0, inf)")
        if self.clip_norm is not None:
            check(self, clip_norm="(0, inf)")

    def __repr__(self) -> str:
        """The optimizer as a call; l1, l2 and clip_norm come last, and only where they are not the default."""
        shared, own = fields(self)[:3], fields(self)[3:]
        changed = [one for one in shared if getattr(self, one.name) != one.default]
        settings = [f"{one.name}={getattr(self, one.name)!r}" for one in (*own, *changed)]
        return f"{type(self).__name__}({', '.join(settings)})"

    def _rule(self) -> tuple[str, tuple[str, ...]]:
        """The name of the update rule, and the names of its settings in the rule's order."""
        raise NotImplementedError

    def _plan(self) -> Plan:
        """The plan of the update rule, with slots that start at 0.0 and scalars that start at 1.0."""
        rule, names = self._rule()
        values = [getattr(self, name) for name in names]
        numbers = tuple([value.initial if isinstance(value, Schedule) else value for value in values])
        n_slots, n_scalars = _kernel.UPDATE_RULES[rule]
        return Plan(rule, numbers, (0.0,) * n_slots, (1.0,) * n_scalars)

    def _could_leave(self, slots: FloatArray, scalars: FloatArray) -> bool:
        """Whether slots (n_slots, n_parameters) and scalars (n_scalars,) can be this optimizer's state."""
        return (len(slots), len(scalars)) == _kernel.UPDATE_RULES[self._rule()[0]]


@hinted_class
@dataclass(frozen=True, repr=False)
class SGD(_Stepwise):
    """Stochastic gradient descent, optionally with classical or Nesterov momentum.

    Parameters
    ----------
    learning_rate : float in (0, inf) or a schedule
        `StepDecay`, `ExponentialDecay`, `InverseScaling`, `CosineDecay` and `ReduceOnPlateau` are schedules.
    momentum : float in [0, 1), default 0.0
        The share of the last step that is added to the next one; 0.0 is plain gradient descent.
    nesterov : bool, default False
        Nesterov's form of momentum; needs a momentum above 0.
    l1, l2 : float in [0, inf), default 0.0
        Penalties, by keyword: ``l1*abs(w)`` and ``l2/2*w**2`` for every weight, but no bias, are added to the
        objective. The reported losses do not include them.
    clip_norm : float in (0, inf) or None, default None
        By keyword: a batch's gradient with a larger Euclidean norm is scaled down to this norm.

    Raises
    ------
    TypeError, ValueError
        If a setting is no number, or out of its range.

    Notes
    -----
    ``w = w - lr*g``; with momentum ``v = mu*v - lr*g; w = w + v`` (Polyak 1964), with Nesterov's
    ``w = w + (mu*v - lr*g)`` (Sutskever et al. 2013, section 2).

    Examples
    --------
    >>> import backprop
    >>> backprop.SGD(0.1, momentum=0.9)
    SGD(learning_rate=0.1, momentum=0.9, nesterov=False)
    """

    learning_rate: float | Schedule
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, learning_rate="(0, inf)", momentum="[0, 1)")
        object.__setattr__(self, "nesterov", arguments.flag("nesterov", self.nesterov))
        if self.nesterov and not self._has_momentum:
            raise ValueError("nesterov=True needs a momentum above 0, got momentum=0.0")

    @property
    def _has_momentum(self) -> bool:
        """Whether the momentum is above 0."""
        return arguments.within(self.momentum, "(0, 1)")

    def _rule(self) -> tuple[str, tuple[str, ...]]:
        if not self._has_momentum:
            return "sgd", ("learning_rate",)
        return "nesterov" if self.nesterov else "momentum", ("learning_rate", "momentum")


@hinted_class
@dataclass(frozen=True, repr=False)
class Adam(_Stepwise):
    """Adam: steps scaled by running means of the gradient and of its square.

    Parameters
    ----------
    learning_rate : float in (0, inf) or a schedule, default 1e-3
    beta_1 : float in [0, 1), default 0.9
        Decay of the mean of the gradient.
    beta_2 : float in [0, 1), default 0.999
        Decay of the mean of the gradient's square.
    epsilon : float in (0, inf), default 1e-8
        Added to the root of that mean, which has no bias correction, as in the paper's efficient form.
    l1, l2, clip_norm
        As for `SGD`.

    Raises
    ------
    TypeError, ValueError
        If a setting is no number, or out of its range.

    Notes
    -----
    Kingma and Ba 2015, algorithm 1 in the efficient form at the end of section 2.

    Examples
    --------
    >>> import backprop
    >>> backprop.Adam(1e-2).beta_2
    0.999
    """

    learning_rate: float | Schedule = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, **_ADAM_RANGES)

    def _rule(self) -> tuple[str, tuple[str, ...]]:
        return "adam", tuple(_ADAM_RANGES)


@hinted_class
@dataclass(frozen=True, repr=False)
class AdamW(_Stepwise):
    """Adam with decoupled weight decay.

    Parameters
    ----------
    learning_rate : float in (0, inf) or a schedule, default 1e-3
    beta_1 : float in [0, 1), default 0.9
    beta_2 : float in [0, 1), default 0.999
    epsilon : float in (0, inf), default 1e-8
        As for `Adam`.
    weight_decay : float in [0, inf), default 0.01
        Each step subtracts ``learning_rate*weight_decay*w`` from every trained parameter w, biases included.
    l1, l2, clip_norm
        As for `SGD`.

    Raises
    ------
    TypeError, ValueError
        If a setting is no number, or out of its range.

    Notes
    -----
    Loshchilov and Hutter 2019, algorithm 2.

    Examples
    --------
    >>> import backprop
    >>> backprop.AdamW(weight_decay=0.1).weight_decay
    0.1
    """

    learning_rate: float | Schedule = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, **_ADAM_RANGES, weight_decay="[0, inf)")

    def _rule(self) -> tuple[str, tuple[str, ...]]:
        return "adamw", (*_ADAM_RANGES, "weight_decay")


@hinted_class
@dataclass(frozen=True, repr=False)
class RMSprop(_Stepwise):
    """Steps scaled by a running mean of the gradient's square.

    Parameters
    ----------
    learning_rate : float in (0, inf) or a schedule, default 1e-3
    rho : float in [0, 1), default 0.9
        Decay of the mean of the square.
    momentum : float in [0, 1), default 0.0
        The share of the last step that is added to the next one.
    epsilon : float in (0, inf), default 1e-8
        Added to the root of the mean.
    l1, l2, clip_norm
        As for `SGD`.

    Raises
    ------
    TypeError, ValueError
        If a setting is no number, or out of its range.

    Notes
    -----
    ``v = rho*v + (1 - rho)*g*g; w = w - lr*g/(sqrt(v) + epsilon)`` (Tieleman and Hinton 2012, lecture 6.5); with
    momentum ``u = mu*u + lr*g/(sqrt(v) + epsilon); w = w - u``.

    Examples
    --------
    >>> import backprop
    >>> backprop.RMSprop(0.01)
    RMSprop(learning_rate=0.01, rho=0.9, momentum=0.0, epsilon=1e-08)
    """

    learning_rate: float | Schedule = 1e-3
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, learning_rate="(0, inf)", rho="[0, 1)", momentum="[0, 1)", epsilon="(0, inf)")

    def _rule(self) -> tuple[str, tuple[str, ...]]:
        if arguments.within(self.momentum, "(0, 1)"):
            return "rmsprop_momentum", ("learning_rate", "rho", "epsilon", "momentum")
        return "rmsprop", ("learning_rate", "rho", "epsilon")


@hinted_class
@dataclass(frozen=True, repr=False)
class Rprop(_Stepwise):
    """Resilient backpropagation: each weight has its own step size, and only the sign of its gradient matters.

    The step size grows while the gradient keeps its sign and shrinks when the sign changes. Every step uses all rows:
    ``batch_size`` must be None.

    Parameters
    ----------
    variant : {"irprop-", "rprop+"}, default "irprop-"
        After a change of sign, the weight stays where it is for one step (irprop-), or takes its last step back
        (rprop+).
    increase : float in (1, inf), default 1.2
    decrease : float in (0, 1), default 0.5
        Factors by which a step size grows and shrinks.
    first_step : float in (0, inf), default 0.1
    min_step : float in (0, inf), default 1e-6
    max_step : float in (0, inf), default 50.0
        The initial step size and its bounds, in units of the weights: ``min_step <= first_step <= max_step``.
    l1, l2, clip_norm
        As for `SGD`.

    Raises
    ------
    TypeError, ValueError
        If a setting is no number, unknown, or out of its range.

    Notes
    -----
    Riedmiller and Braun 1993 (with weight backtracking); Igel and Huesken 2000 (iRprop-, FANN's default).

    Examples
    --------
    >>> import backprop
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> net = backprop.Network([2, 4, 1], rng=3)
    >>> run = backprop.fast_train(net, X, y, optimizer=backprop.Rprop(), epochs=100)
    >>> bool(run.losses[-1] < 1e-6)
    True
    """

    variant: str = "irprop-"
    increase: float = 1.2
    decrease: float = 0.5
    first_step: float = 0.1
    min_step: float = 1e-6
    max_step: float = 50.0

    def __post_init__(self) -> None:
        super().__post_init__()
        arguments.known_name("variant", self.variant, _RPROP_RULES)
        check(self, increase="(1, inf)", decrease="(0, 1)", min_step="(0, inf)")
        check(self, max_step=f"[{self.min_step!r}, inf)")
        check(self, first_step=f"[{self.min_step!r}, {self.max_step!r}]")

    def _rule(self) -> tuple[str, tuple[str, ...]]:
        return _RPROP_RULES[self.variant], ("increase", "decrease", "min_step", "max_step")

    def _plan(self) -> Plan:
        """The plan of the update rule; its second slot holds the step sizes."""
        plan = super()._plan()
        return plan._replace(slots=(plan.slots[0], self.first_step, *plan.slots[2:]))


_ADAM_RANGES = {"learning_rate": "(0, inf)", "beta_1": "[0, 1)", "beta_2": "[0, 1)", "epsilon": "(0, inf)"}
_RPROP_RULES = {"irprop-": "irprop_minus", "rprop+": "rprop_plus"}

Optimizer = SGD | Adam | AdamW | RMSprop | Rprop | LBFGS | LevenbergMarquardt
# Optimizers that need the gradient of all rows for each step.
FULL_BATCH = (Rprop, LBFGS, LevenbergMarquardt)
# Full-batch methods: they choose the length of each step and the end of the run; each is a class of the kernel.
METHODS = (LBFGS, LevenbergMarquardt)


def schedule_of(optimizer: Optimizer) -> Schedule | None:
    """The schedule of the optimizer's learning rate, if it has one."""
    rate = getattr(optimizer, "learning_rate", None)
    return rate if isinstance(rate, Schedule) else None


def plan_of(optimizer: Optimizer) -> Plan:
    """The optimizer in plain values, as the engines take it."""
    return optimizer._plan()


def too_much_memory(optimizer: Optimizer, n_parameters: int, n_samples: int = 1) -> MemoryError:
    """The error about an optimizer whose state, or whose working memory, is more than there is."""
    kind, n_numbers = type(optimizer).__name__, len(plan_of(optimizer).slots) * n_parameters
    instead = "SGD() keeps the least" if n_numbers else "use smaller batches or fewer parameters"
    if isinstance(optimizer, LBFGS):
        instead = "LBFGS(memory=3) needs less, Adam() still less"
    elif isinstance(optimizer, LevenbergMarquardt):
        n_blocks = -(-n_samples // _kernel.BLOCK)  # of N19: matrices are kept for sums of earlier blocks
        n_numbers = max(2, n_blocks.bit_length()) * n_parameters**2
        instead = "LBFGS() and Adam() are for networks of this size"
    return arguments.too_much_memory(f"{kind} on {n_parameters} parameters", 8 * n_numbers, instead)


def could_leave(optimizer: Optimizer, slots: FloatArray, scalars: FloatArray) -> bool:
    """Whether slots and scalars, as read from a file, can be the optimizer's state."""
    return optimizer._could_leave(slots, scalars)


def penalties_of(optimizer: Optimizer) -> tuple[float, float, float]:
    """The optimizer's l1, l2 and clip_norm, which change a batch's gradient; inf: the gradient is not clipped."""
    if not isinstance(optimizer, _Stepwise):
        return 0.0, 0.0, math.inf
    return optimizer.l1, optimizer.l2, math.inf if optimizer.clip_norm is None else optimizer.clip_norm


def with_learning_rate(optimizer: Optimizer, rate: float) -> Optimizer:
    """A copy of the optimizer with a number for its schedule; unlike the constructor, it accepts a rate of 0.0."""
    changed = copy.copy(optimizer)
    object.__setattr__(changed, "learning_rate", rate)
    return changed
