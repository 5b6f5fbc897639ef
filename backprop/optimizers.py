"""Optimizers: their settings, checked once, as frozen dataclasses. The update rules are in definition/updates.py."""

import copy
import math
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from . import _kernel, arguments
from .arguments import FloatArray
from .schedules import Schedule, number_or_schedule


class Plan(NamedTuple):
    """An optimizer in plain values, as the engines take it."""

    rule: str  # the name of an update rule or of a full-batch method
    settings: tuple[float, ...]  # the rule's hyperparameters, in its order; a schedule gives its initial rate
    slots: tuple[float, ...]  # the initial value of each slot, the same for every parameter
    scalars: tuple[float, ...]  # the initial value of each scalar


@dataclass(frozen=True, kw_only=True, repr=False)
class _Stepwise:
    """The base of the optimizers that take a step after each batch, by an update rule."""

    l1: float = 0.0
    l2: float = 0.0
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        _check(self, l1="[0, inf)", l2="[0, inf)")
        if self.clip_norm is not None:
            _check(self, clip_norm="(0, inf)")

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
        _check(self, learning_rate="(0, inf)", momentum="[0, 1)")
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
        _check(self, **_ADAM_RANGES)

    def _rule(self) -> tuple[str, tuple[str, ...]]:
        return "adam", tuple(_ADAM_RANGES)


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
        _check(self, **_ADAM_RANGES, weight_decay="[0, inf)")

    def _rule(self) -> tuple[str, tuple[str, ...]]:
        return "adamw", (*_ADAM_RANGES, "weight_decay")


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
        _check(self, learning_rate="(0, inf)", rho="[0, 1)", momentum="[0, 1)", epsilon="(0, inf)")

    def _rule(self) -> tuple[str, tuple[str, ...]]:
        if arguments.within(self.momentum, "(0, 1)"):
            return "rmsprop_momentum", ("learning_rate", "rho", "epsilon", "momentum")
        return "rmsprop", ("learning_rate", "rho", "epsilon")


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
        _check(self, increase="(1, inf)", decrease="(0, 1)", min_step="(0, inf)")
        _check(self, max_step=f"[{self.min_step!r}, inf)")
        _check(self, first_step=f"[{self.min_step!r}, {self.max_step!r}]")

    def _rule(self) -> tuple[str, tuple[str, ...]]:
        return _RPROP_RULES[self.variant], ("increase", "decrease", "min_step", "max_step")

    def _plan(self) -> Plan:
        """The plan of the update rule; its second slot holds the step sizes."""
        plan = super()._plan()
        return plan._replace(slots=(plan.slots[0], self.first_step, *plan.slots[2:]))


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS: quasi-Newton steps on all rows at once, with a line search for the length of each.

    Parameters
    ----------
    memory : int from 1 to 1000, default 10
        Number of recent steps from which the curvature is estimated. The state is ``2*memory`` numbers for each
        parameter.
    tolerance : float in [0, inf), default 1e-8
        The run ends when no component of the gradient is larger in absolute value.
    l2 : float in [0, inf), default 0.0
        Penalty: ``l2/2`` times the sum of the squared weights, without biases, is added to the objective. The reported
        losses do not include it.
    max_evaluations : int from 1 to 1000, default 20
        Most evaluations of the loss and its gradient in one line search; one is usually enough.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of its range.

    Notes
    -----
    Algorithms 7.4 (two loops), 3.5 and 3.6 (strong Wolfe conditions, c1 = 1e-4, c2 = 0.9) of Nocedal and Wright, 2006.
    An epoch is one iteration; its loss is that of the weights before the iteration. ``batch_size`` must be None and
    ``shuffle`` does nothing. ``stopped`` is "gradient" if the tolerance was reached, and "line_search" if no lower
    point was found, not even along the negative gradient: double precision is exhausted, or the loss is not
    differentiable there. In both cases ``losses[-1]`` is the loss of the returned weights.

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
        """The plan of N13, with the slots and scalars that definition/lbfgs.py describes."""
        settings = (float(self.memory), self.tolerance, self.l2, float(self.max_evaluations))
        scalars = (0.0, float(self.memory - 1), 0.0, *[0.0] * self.memory)
        return Plan("lbfgs", settings, (0.0,) * (2 * self.memory), scalars)

    def _could_leave(self, slots: FloatArray, scalars: FloatArray) -> bool:
        """Whether slots and scalars can be the method's state; the kernel uses two scalars as count and index."""
        if (len(slots), len(scalars)) != (2 * self.memory, 3 + self.memory):
            return False
        held, newest = scalars[:2].tolist()
        return held in range(self.memory + 1) and newest in range(self.memory)


@dataclass(frozen=True)
class LevenbergMarquardt:
    """Levenberg-Marquardt: least squares to high accuracy, for small networks and small data.

    Each epoch solves a linear least squares problem for all parameters together, on all rows at once: ``batch_size``
    must be None, and the loss squared_error. Where other optimizers take thousands of epochs, it takes tens.

    Parameters
    ----------
    mu : float in [1e-20, mu_max], default 1e-3
        Initial damping: a large mu gives short steps along the gradient, a small one long Gauss-Newton steps.
    mu_decrease : float in (0, 1), default 0.1
        Factor of mu after a step that lowers the loss. mu never falls below 1e-20.
    mu_increase : float in [1.1, inf), default 10.0
        Factor of mu after a step that does not lower the loss and is undone.
    mu_max : float in (0, inf), default 1e10
        Largest mu that is tried: above it the run ends, and ``stopped`` is "damping".
    min_gradient : float in [0, inf), default 1e-7
        The run ends when the norm of the mean loss's gradient is at most this; ``stopped`` is "gradient".

    Raises
    ------
    TypeError, ValueError
        If a setting is no number, or out of its range.

    Notes
    -----
    Levenberg 1944, Marquardt 1963, and Hagan and Menhaj 1994 for networks; the names and numbers of the damping are
    those of MATLAB's trainlm. With the Jacobian J of the residuals e of n rows, the step is ``w - d`` with
    ``(J^T J + mu*n*I) d = J^T e``. The factor n lets the same mu suit few rows and many. The damping makes a singular
    ``J^T J`` regular, so there may be more parameters than residuals. With P parameters, the method needs memory for
    two matrices of P*P numbers; the time of an epoch grows with P**3, and with P*P for each row and output. The method
    is at its best below some hundred parameters.

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
        """Whether slots and scalars can be the method's state; with mu <= 0 an epoch would never end."""
        bounds = f"[1e-20, {self.mu_max!r}]"
        return (len(slots), len(scalars)) == (0, 1) and arguments.within(scalars[0].item(), bounds)


_ADAM_RANGES = {"learning_rate": "(0, inf)", "beta_1": "[0, 1)", "beta_2": "[0, 1)", "epsilon": "(0, inf)"}
_RPROP_RULES = {"irprop-": "irprop_minus", "rprop+": "rprop_plus"}

Optimizer = SGD | Adam | AdamW | RMSprop | Rprop | LBFGS | LevenbergMarquardt
# Optimizers that need the gradient of all rows for each step.
FULL_BATCH = (Rprop, LBFGS, LevenbergMarquardt)
# Full-batch methods: they choose the length of each step and the end of the run; each is a class of the kernel.
METHODS = (LBFGS, LevenbergMarquardt)


def _check(optimizer: Any, **ranges: str) -> None:
    """Convert these settings to numbers and check that they lie in their ranges."""
    for name, interval in ranges.items():
        check = number_or_schedule if name == "learning_rate" else arguments.number
        object.__setattr__(optimizer, name, check(name, getattr(optimizer, name), interval))


def schedule_of(optimizer: Optimizer) -> Schedule | None:
    """The schedule of the optimizer's learning rate, if it has one."""
    rate = getattr(optimizer, "learning_rate", None)
    return rate if isinstance(rate, Schedule) else None


def plan_of(optimizer: Optimizer) -> Plan:
    """The optimizer in plain values, as the engines take it."""
    return optimizer._plan()


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
