"""The optimizers: their settings, checked once, as small frozen dataclasses. The rules are in definition/updates.py."""

import copy
import math
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from . import _kernel, arguments
from .arguments import FloatArray
from .schedules import Schedule, number_or_schedule


class Plan(NamedTuple):
    """An optimizer as the engines take it."""

    rule: str  # the name of its update rule, or of its method
    settings: tuple[float, ...]  # the numbers that the rule takes, in its order; a schedule's is its first rate
    slots: tuple[float, ...]  # the state of each parameter before the first step
    scalars: tuple[float, ...]  # the state beside that


@dataclass(frozen=True, kw_only=True, repr=False)
class _Stepwise:
    """The base of the optimizers that take a step for each batch, by one of the update rules."""

    l1: float = 0.0
    l2: float = 0.0
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        _check(self, l1="[0, inf)", l2="[0, inf)")
        if self.clip_norm is not None:
            _check(self, clip_norm="(0, inf)")

    def __repr__(self) -> str:
        """As a call; what the optimizers share comes last, and where it is said."""
        shared, own = fields(self)[:3], fields(self)[3:]
        said = [one for one in shared if getattr(self, one.name) != one.default]
        return f"{type(self).__name__}({', '.join(f'{one.name}={getattr(self, one.name)!r}' for one in (*own, *said))})"

    def _rule(self) -> tuple[str, tuple[str, ...]]:
        """The name of its update rule, and the names of the settings that the rule takes, in their order."""
        raise NotImplementedError

    def _plan(self) -> Plan:
        """The plan of the update rule: before the first step 0.0 in every slot and 1.0 in every scalar."""
        rule, names = self._rule()
        values = [getattr(self, name) for name in names]
        numbers = tuple([value.initial if isinstance(value, Schedule) else value for value in values])
        n_slots, n_scalars = _kernel.UPDATE_RULES[rule]
        return Plan(rule, numbers, (0.0,) * n_slots, (1.0,) * n_scalars)

    def _could_leave(self, slots: FloatArray, scalars: FloatArray) -> bool:
        """Whether steps can have left these slots (n_slots, n_parameters) and scalars (n_scalars,)."""
        return (len(slots), len(scalars)) == _kernel.UPDATE_RULES[self._rule()[0]]


@dataclass(frozen=True, repr=False)
class SGD(_Stepwise):
    """Stochastic gradient descent, with classical or Nesterov momentum if asked for.

    Parameters
    ----------
    learning_rate : float in (0, inf) or a schedule
        `StepDecay`, `ExponentialDecay`, `InverseScaling`, `CosineDecay` and `ReduceOnPlateau` are schedules.
    momentum : float in [0, 1), default 0.0
        The share of the last step that is taken again; 0.0 keeps no velocity at all.
    nesterov : bool, default False
        Step from where the momentum leads; needs a momentum above 0.
    l1, l2 : float in [0, inf), default 0.0
        Penalties, by keyword: ``l1*abs(w)`` and ``l2/2*w**2`` of every weight, but no bias, are part of what is
        minimised. Losses are reported without them.
    clip_norm : float in (0, inf) or None, default None
        By keyword: a batch's gradient whose norm is larger is made that long.

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
        _check(self, learning_rate="(0, inf)", momentum="[0, 1)")
        object.__setattr__(self, "nesterov", arguments.flag("nesterov", self.nesterov))
        if self.nesterov and not self._moves_on:
            raise ValueError("nesterov=True needs a momentum above 0, got momentum=0.0")

    @property
    def _moves_on(self) -> bool:
        """Whether there is any momentum."""
        return arguments.within(self.momentum, "(0, 1)")

    def _rule(self) -> tuple[str, tuple[str, ...]]:
        if not self._moves_on:
            return "sgd", ("learning_rate",)
        return "nesterov" if self.nesterov else "momentum", ("learning_rate", "momentum")


@dataclass(frozen=True, repr=False)
class Adam(_Stepwise):
    """Adam: steps scaled by running means of the gradient and of its square.

    Parameters
    ----------
    learning_rate : float in (0, inf) or a schedule, default 1e-3
    beta_1 : float in [0, 1), default 0.9
        Decay of the mean of the gradient.
    beta_2 : float in [0, 1), default 0.999
        Decay of the mean of its square.
    epsilon : float in (0, inf), default 1e-8
        Added to the root of that mean, uncorrected as in the paper's efficient form.
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
        _check(self, **_OF_ADAM)

    def _rule(self) -> tuple[str, tuple[str, ...]]:
        return "adam", tuple(_OF_ADAM)


@dataclass(frozen=True, repr=False)
class AdamW(_Stepwise):
    """Adam with weight decay beside its step.

    Parameters
    ----------
    learning_rate : float in (0, inf) or a schedule, default 1e-3
    beta_1 : float in [0, 1), default 0.9
    beta_2 : float in [0, 1), default 0.999
    epsilon : float in (0, inf), default 1e-8
        As for `Adam`.
    weight_decay : float in [0, inf), default 0.01
        Each step takes ``learning_rate*weight_decay`` of every trained parameter from it, biases included.
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
        _check(self, **_OF_ADAM, weight_decay="[0, inf)")

    def _rule(self) -> tuple[str, tuple[str, ...]]:
        return "adamw", (*_OF_ADAM, "weight_decay")


@dataclass(frozen=True, repr=False)
class RMSprop(_Stepwise):
    """Steps scaled by a running mean of the gradient's square.

    Parameters
    ----------
    learning_rate : float in (0, inf) or a schedule, default 1e-3
    rho : float in [0, 1), default 0.9
        Decay of the mean of the square.
    momentum : float in [0, 1), default 0.0
        The share of the last step that is taken again.
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
        _check(self, learning_rate="(0, inf)", rho="[0, 1)", momentum="[0, 1)", epsilon="(0, inf)")

    def _rule(self) -> tuple[str, tuple[str, ...]]:
        if arguments.within(self.momentum, "(0, 1)"):
            return "rmsprop_momentum", ("learning_rate", "rho", "epsilon", "momentum")
        return "rmsprop", ("learning_rate", "rho", "epsilon")


@dataclass(frozen=True, repr=False)
class Rprop(_Stepwise):
    """Resilient backpropagation: each weight has a step of its own, and only the sign of its slope counts.

    A step grows as long as the slope keeps its sign and shrinks when it changes. It takes all rows at once:
    ``batch_size`` must be None.

    Parameters
    ----------
    variant : {"irprop-", "rprop+"}, default "irprop-"
        What a weight does whose slope has changed its sign: it stays for a step, or goes back to where it was.
    increase : float in (1, inf), default 1.2
    decrease : float in (0, 1), default 0.5
        The factors of a step that grows or shrinks.
    first_step : float in (0, inf), default 0.1
    min_step : float in (0, inf), default 1e-6
    max_step : float in (0, inf), default 50.0
        The first step and the bounds, in units of the weights: ``min_step <= first_step <= max_step``.
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
        _check(self, increase="(1, inf)", decrease="(0, 1)", min_step="(0, inf)")
        _check(self, max_step=f"[{self.min_step!r}, inf)")
        _check(self, first_step=f"[{self.min_step!r}, {self.max_step!r}]")

    def _rule(self) -> tuple[str, tuple[str, ...]]:
        return _RPROP_RULES[self.variant], ("increase", "decrease", "min_step", "max_step")

    def _plan(self) -> Plan:
        """The plan of the update rule, whose second slot is the step of each weight."""
        plan = super()._plan()
        return plan._replace(slots=(plan.slots[0], self.first_step, *plan.slots[2:]))


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS: quasi-Newton steps on all rows at once, each as long as a line search finds it good.

    Parameters
    ----------
    memory : int from 1 to 1000, default 10
        From how many of the last steps it learns how the slope changes. It keeps twice as many numbers a parameter.
    tolerance : float in [0, inf), default 1e-8
        End where no component of the gradient is larger.
    l2 : float in [0, inf), default 0.0
        Adds ``l2/2`` times the sum of the squared weights, without the biases, to what is made small. The losses that
        are reported are without it.
    max_evaluations : int from 1 to 1000, default 20
        How often an iteration may look at the loss and its gradient on the way along one line; mostly it is once.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of its range.

    Notes
    -----
    Algorithms 7.4 (two loops), 3.5 and 3.6 (strong Wolfe conditions, c1 = 1e-4, c2 = 0.9) of Nocedal and Wright, 2006.
    An epoch is one iteration, and its loss is that of the weights before it; ``batch_size`` must be None and
    ``shuffle`` does nothing. ``stopped`` is "gradient" where the method has reached its tolerance, and "line_search"
    where it found no lower point, not even straight downhill: there the numbers' precision is at its end, or the loss
    has an edge. Either way ``losses[-1]`` is then the loss of the returned weights.

    Examples
    --------
    >>> import backprop
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> net = backprop.Network([2, 4, 1], rng=1)
    >>> run = backprop.fast_train(net, X, y, optimizer=backprop.LBFGS())
    >>> (run.network.predict(X) > 0.5).ravel().tolist(), bool(run.losses[-1] < 1e-9), run.stopped
    ([False, True, True, False], True, 'gradient')
    """

    memory: int = 10
    tolerance: float = 1e-8
    l2: float = 0.0
    max_evaluations: int = 20

    def __post_init__(self) -> None:
        for name in ("memory", "max_evaluations"):
            object.__setattr__(self, name, arguments.integer(name, getattr(self, name), 1, 1000))
        _check(self, tolerance="[0, inf)", l2="[0, inf)")

    def _plan(self) -> Plan:
        """The plan of N13: `memory` changes of the weights, as many of the gradient, and what is known of the pairs."""
        settings = (float(self.memory), self.tolerance, self.l2, float(self.max_evaluations))
        scalars = (0.0, float(self.memory - 1), 0.0, *[0.0] * self.memory)
        return Plan("lbfgs", settings, (0.0,) * (2 * self.memory), scalars)

    def _could_leave(self, slots: FloatArray, scalars: FloatArray) -> bool:
        """Whether an iteration can have left these; the kernel takes some of the scalars for indices."""
        if (len(slots), len(scalars)) != (2 * self.memory, 3 + self.memory):
            return False
        held, newest = scalars[:2].tolist()
        return held in range(self.memory + 1) and newest in range(self.memory)


@dataclass(frozen=True)
class LevenbergMarquardt:
    """Levenberg-Marquardt: the method for small data and small networks that shall fit exactly.

    Each epoch solves a linear least squares problem for all parameters together, on all rows at once: ``batch_size``
    must be None, and the loss squared_error. Where other optimizers take thousands of epochs, it takes tens.

    Parameters
    ----------
    mu : float in [1e-20, mu_max], default 1e-3
        The damping of the first epoch: a large one makes short steps downhill, a small one long steps by curvature.
    mu_decrease : float in (0, 1), default 0.1
        Its factor after a step that has lowered the loss. It never falls below 1e-20.
    mu_increase : float in [1.1, inf), default 10.0
        Its factor after one that has not, and is taken back.
    mu_max : float in (0, inf), default 1e10
        Above it no step is looked for any more: the run is at its end, and ``stopped`` is "damping".
    min_gradient : float in [0, inf), default 1e-7
        Where the norm of the mean loss's gradient is at most this, ``stopped`` is "gradient".

    Raises
    ------
    TypeError, ValueError
        If a setting is no number, or out of its range.

    Notes
    -----
    Levenberg 1944, Marquardt 1963, and Hagan and Menhaj 1994 for networks; the names and numbers of the damping are
    those of MATLAB's trainlm. With the Jacobian J of the residuals e of n rows, the step is ``w - d`` with
    ``(J^T J + mu*n*I) d = J^T e``. The damping is for the mean over the rows, so that the same numbers suit few rows
    and many, and makes a singular ``J^T J`` regular: more parameters than residuals are no hindrance. Memory grows with
    the square of the number of parameters P, two matrices of P*P numbers; the time of an epoch with its cube, and with
    P*P for each row and output. It is at its best below some hundred parameters.

    Examples
    --------
    >>> import backprop
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
    >>> net = backprop.Network([2, 2, 1], rng=0)
    >>> run = backprop.fast_train(net, X, y, optimizer=backprop.LevenbergMarquardt(), epochs=100)
    >>> run.stopped, run.epochs < 30, bool(run.network.loss(X, y) < 1e-12)
    ('gradient', True, True)
    """

    mu: float = 1e-3
    mu_decrease: float = 0.1
    mu_increase: float = 10.0
    mu_max: float = 1e10
    min_gradient: float = 1e-7

    def __post_init__(self) -> None:
        _check(self, mu_decrease="(0, 1)", mu_increase="[1.1, inf)", mu_max="[1e-20, inf)", min_gradient="[0, inf)")
        _check(self, mu=f"[1e-20, {self.mu_max!r}]")

    def _plan(self) -> Plan:
        """The plan of N14, whose one scalar is the damping mu."""
        settings = (self.mu_decrease, self.mu_increase, self.mu_max, self.min_gradient)
        return Plan("levenberg_marquardt", settings, (), (self.mu,))

    def _could_leave(self, slots: FloatArray, scalars: FloatArray) -> bool:
        """Whether an epoch can have left these; a damping that is not above 0 would grow for ever."""
        bounds = f"[1e-20, {self.mu_max!r}]"
        return (len(slots), len(scalars)) == (0, 1) and arguments.within(scalars[0].item(), bounds)


_OF_ADAM = {"learning_rate": "(0, inf)", "beta_1": "[0, 1)", "beta_2": "[0, 1)", "epsilon": "(0, inf)"}
_RPROP_RULES = {"irprop-": "irprop_minus", "rprop+": "rprop_plus"}

Optimizer = SGD | Adam | AdamW | RMSprop | Rprop | LBFGS | LevenbergMarquardt
# Optimizers that need the gradient of all rows for a step.
FULL_BATCH = (Rprop, LBFGS, LevenbergMarquardt)
# Full-batch optimizers that decide themselves how far to go and when to end: classes of their own in the kernel.
METHODS = (LBFGS, LevenbergMarquardt)


def _check(optimizer: Any, **ranges: str) -> None:
    """Convert these settings to numbers and check that they lie in their ranges."""
    for name, interval in ranges.items():
        check = number_or_schedule if name == "learning_rate" else arguments.number
        object.__setattr__(optimizer, name, check(name, getattr(optimizer, name), interval))


def schedule_of(optimizer: Optimizer) -> Schedule | None:
    """The schedule of its learning rate, if there is one."""
    rate = getattr(optimizer, "learning_rate", None)
    return rate if isinstance(rate, Schedule) else None


def plan_of(optimizer: Optimizer) -> Plan:
    """The optimizer as the engines take it."""
    return optimizer._plan()


def could_leave(optimizer: Optimizer, slots: FloatArray, scalars: FloatArray) -> bool:
    """Whether the optimizer can have left this state, which a file may hold."""
    return optimizer._could_leave(slots, scalars)


def penalties_of(optimizer: Optimizer) -> tuple[float, float, float]:
    """l1, l2 and clip_norm, which change a batch's gradient before the step; a clip_norm of inf does nothing."""
    if not isinstance(optimizer, _Stepwise):
        return 0.0, 0.0, math.inf
    return optimizer.l1, optimizer.l2, math.inf if optimizer.clip_norm is None else optimizer.clip_norm


def at_rate(optimizer: Optimizer, rate: float) -> Optimizer:
    """The same optimizer with a number in the place of its schedule, which may have come to 0.0."""
    now = copy.copy(optimizer)
    object.__setattr__(now, "learning_rate", rate)
    return now
