"""The optimizers: their settings, checked once, as small frozen dataclasses. The rules are in reference/updates.py."""

from dataclasses import dataclass

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
        object.__setattr__(self, "learning_rate", arguments.number("learning_rate", self.learning_rate, "(0, inf)"))
        object.__setattr__(self, "momentum", arguments.number("momentum", self.momentum, "[0, 1)"))
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
        object.__setattr__(self, "learning_rate", arguments.number("learning_rate", self.learning_rate, "(0, inf)"))
        object.__setattr__(self, "beta_1", arguments.number("beta_1", self.beta_1, "[0, 1)"))
        object.__setattr__(self, "beta_2", arguments.number("beta_2", self.beta_2, "[0, 1)"))
        object.__setattr__(self, "epsilon", arguments.number("epsilon", self.epsilon, "(0, inf)"))

    @property
    def rule(self) -> str:
        """The name of its update rule."""
        return "adam"

    @property
    def settings(self) -> tuple[float, ...]:
        """The numbers that its rule takes, in their order."""
        return (self.learning_rate, self.beta_1, self.beta_2, self.epsilon)


Optimizer = SGD | Adam
