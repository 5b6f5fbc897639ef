"""The optimizers: their settings, checked once, as small frozen dataclasses. The rules are in reference/updates.py."""

from dataclasses import dataclass
from typing import Any

from . import arguments


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent, with classical or Nesterov momentum if asked for.

    Parameters
    ----------
    learning_rate : float in (0, inf)
    momentum : float in [0, 1), default 0.0
        The share of the last step that is taken again; 0.0 keeps no velocity at all.
    nesterov : bool, default False
        Step from where the momentum leads; needs a momentum above 0.

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

    learning_rate: float
    momentum: float = 0.0
    nesterov: bool = False

    def __post_init__(self) -> None:
        _check(self, learning_rate="(0, inf)", momentum="[0, 1)")
        object.__setattr__(self, "nesterov", arguments.flag("nesterov", self.nesterov))
        if self.nesterov and not self._moves_on:
            raise ValueError("nesterov=True needs a momentum above 0, got momentum=0.0")

    @property
    def _moves_on(self) -> bool:
        """Whether there is any momentum."""
        return arguments.within(self.momentum, "(0, 1)")

    @property
    def rule(self) -> str:
        """The name of its update rule."""
        return "nesterov" if self.nesterov else "momentum" if self._moves_on else "sgd"

    @property
    def settings(self) -> tuple[float, ...]:
        """The numbers that its rule takes, in their order."""
        return (self.learning_rate, self.momentum) if self._moves_on else (self.learning_rate,)


@dataclass(frozen=True)
class Adam:
    """Adam: steps scaled by running means of the gradient and of its square.

    Parameters
    ----------
    learning_rate : float in (0, inf), default 1e-3
    beta_1 : float in [0, 1), default 0.9
        Decay of the mean of the gradient.
    beta_2 : float in [0, 1), default 0.999
        Decay of the mean of its square.
    epsilon : float in (0, inf), default 1e-8
        Added to the root of that mean, uncorrected as in the paper's efficient form.

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

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _check(self, **_OF_ADAM)

    @property
    def rule(self) -> str:
        """The name of its update rule."""
        return "adam"

    @property
    def settings(self) -> tuple[float, ...]:
        """The numbers that its rule takes, in their order."""
        return (self.learning_rate, self.beta_1, self.beta_2, self.epsilon)


@dataclass(frozen=True)
class AdamW:
    """Adam with weight decay beside its step.

    Parameters
    ----------
    learning_rate : float in (0, inf), default 1e-3
    beta_1 : float in [0, 1), default 0.9
    beta_2 : float in [0, 1), default 0.999
    epsilon : float in (0, inf), default 1e-8
        As for `Adam`.
    weight_decay : float in [0, inf), default 0.01
        Each step takes ``learning_rate*weight_decay`` of every trained parameter from it, biases included.

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

    learning_rate: float = 1e-3
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        _check(self, **_OF_ADAM, weight_decay="[0, inf)")

    @property
    def rule(self) -> str:
        """The name of its update rule."""
        return "adamw"

    @property
    def settings(self) -> tuple[float, ...]:
        """The numbers that its rule takes, in their order."""
        return (self.learning_rate, self.beta_1, self.beta_2, self.epsilon, self.weight_decay)


@dataclass(frozen=True)
class RMSprop:
    """Steps scaled by a running mean of the gradient's square.

    Parameters
    ----------
    learning_rate : float in (0, inf), default 1e-3
    rho : float in [0, 1), default 0.9
        Decay of the mean of the square.
    momentum : float in [0, 1), default 0.0
        The share of the last step that is taken again.
    epsilon : float in (0, inf), default 1e-8
        Added to the root of the mean.

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

    learning_rate: float = 1e-3
    rho: float = 0.9
    momentum: float = 0.0
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        _check(self, learning_rate="(0, inf)", rho="[0, 1)", momentum="[0, 1)", epsilon="(0, inf)")

    @property
    def rule(self) -> str:
        """The name of its update rule."""
        return "rmsprop_momentum" if arguments.within(self.momentum, "(0, 1)") else "rmsprop"

    @property
    def settings(self) -> tuple[float, ...]:
        """The numbers that its rule takes, in their order."""
        needed = (self.learning_rate, self.rho, self.epsilon)
        return needed if self.rule == "rmsprop" else (*needed, self.momentum)


@dataclass(frozen=True)
class Rprop:
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
        arguments.known_name("variant", self.variant, _RPROP_RULES)
        _check(self, increase="(1, inf)", decrease="(0, 1)", min_step="(0, inf)")
        _check(self, max_step=f"[{self.min_step!r}, inf)")
        _check(self, first_step=f"[{self.min_step!r}, {self.max_step!r}]")

    @property
    def rule(self) -> str:
        """The name of its update rule."""
        return _RPROP_RULES[self.variant]

    @property
    def settings(self) -> tuple[float, ...]:
        """The numbers that its rule takes, in their order."""
        return (self.increase, self.decrease, self.min_step, self.max_step)

    @property
    def first_moments(self) -> tuple[float, ...]:
        """What its rule keeps of each parameter, before the first step."""
        return (0.0, self.first_step, 0.0)


_OF_ADAM = {"learning_rate": "(0, inf)", "beta_1": "[0, 1)", "beta_2": "[0, 1)", "epsilon": "(0, inf)"}
_RPROP_RULES = {"irprop-": "irprop_minus", "rprop+": "rprop_plus"}

Optimizer = SGD | Adam | AdamW | RMSprop | Rprop
# Those whose step is for the whole sum over the rows.
FULL_BATCH = (Rprop,)
# Of these, those that decide themselves how far to go and when to end: classes of their own in the kernel.
METHODS: tuple[Any, ...] = ()


def _check(optimizer: Optimizer, **ranges: str) -> None:
    """Make numbers of these settings, and check that they lie in their ranges."""
    for name, interval in ranges.items():
        object.__setattr__(optimizer, name, arguments.number(name, getattr(optimizer, name), interval))


def first_moments(optimizer: Optimizer, n_moments: int) -> tuple[float, ...]:
    """What its rule keeps of each parameter, before the first step: 0.0, but for Rprop's steps."""
    return (optimizer.first_moments if isinstance(optimizer, Rprop) else (0.0, 0.0))[:n_moments]
