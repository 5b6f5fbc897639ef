"""Learning-rate schedules (N15): frozen dataclasses that an optimizer takes in place of a constant learning rate.

Both engines use these classes, each with its own exp and log, which give the same bits.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import _kernel, arguments
from .hints import hinted_class

Function = Callable[[float], float]


@hinted_class
@dataclass(frozen=True)
class StepDecay:
    """Step decay: the learning rate is multiplied by a factor after every `every` epochs.

    Parameters
    ----------
    initial : float in (0, inf)
        The rate of the first epochs.
    every : int >= 1
        The number of epochs between two changes of the rate.
    factor : float in (0, 1], default 0.5
        The factor of each change.

    Raises
    ------
    TypeError, ValueError
        If a setting is no number, or out of its range.

    Notes
    -----
    ``initial*factor**(epoch//every)``, with epochs counted from 0 through all runs that were resumed.

    Examples
    --------
    >>> import backprop
    >>> backprop.SGD(backprop.StepDecay(0.1, every=50))
    SGD(learning_rate=StepDecay(initial=0.1, every=50, factor=0.5), momentum=0.0, nesterov=False)
    """

    initial: float
    every: int
    factor: float = 0.5

    def __post_init__(self) -> None:
        _check(self, {"initial": "(0, inf)", "factor": "(0, 1]"}, "every")

    def _rate(self, epoch: int, exp: Function, log: Function) -> float:
        return self.initial * exp(float(epoch // self.every) * log(self.factor))


@hinted_class
@dataclass(frozen=True)
class ExponentialDecay:
    """Exponential decay: the learning rate is multiplied by a factor after each epoch.

    Parameters
    ----------
    initial : float in (0, inf)
        The rate of the first epoch.
    factor : float in (0, 1]
        The factor of each epoch, such as 0.99.

    Raises
    ------
    TypeError, ValueError
        If a setting is no number, or out of its range.

    Notes
    -----
    ``initial*factor**epoch``, with epochs counted from 0 through all runs that were resumed.

    Examples
    --------
    >>> import backprop
    >>> backprop.Adam(backprop.ExponentialDecay(0.01, 0.99)).learning_rate.factor
    0.99
    """

    initial: float
    factor: float

    def __post_init__(self) -> None:
        _check(self, {"initial": "(0, inf)", "factor": "(0, 1]"})

    def _rate(self, epoch: int, exp: Function, log: Function) -> float:
        return self.initial * exp(float(epoch) * log(self.factor))


@hinted_class
@dataclass(frozen=True)
class InverseScaling:
    """Inverse scaling: the learning rate falls as a power of the number of epochs.

    Parameters
    ----------
    initial : float in (0, inf)
        The rate of the first epoch.
    power : float in (0, inf), default 0.5
        The exponent.
    scale : float in (0, inf), default 1.0
        The speed of the fall: after ``1/scale`` epochs the rate is ``2**-power`` times the initial one.

    Raises
    ------
    TypeError, ValueError
        If a setting is no number, or out of its range.

    Notes
    -----
    ``initial/(1 + scale*epoch)**power``, with epochs counted from 0 through all runs that were resumed (Robbins and
    Monro 1951: with a power above 0.5, up to 1, the noise of batches averages out).

    Examples
    --------
    >>> import backprop
    >>> backprop.SGD(backprop.InverseScaling(0.1), momentum=0.9).momentum
    0.9
    """

    initial: float
    power: float = 0.5
    scale: float = 1.0

    def __post_init__(self) -> None:
        _check(self, {"initial": "(0, inf)", "power": "(0, inf)", "scale": "(0, inf)"})

    def _rate(self, epoch: int, exp: Function, log: Function) -> float:
        return self.initial / exp(self.power * log(1.0 + self.scale * float(epoch)))


@hinted_class
@dataclass(frozen=True)
class CosineDecay:
    """Cosine decay: the learning rate falls along half a cosine wave, from `initial` to `final`.

    Parameters
    ----------
    initial : float in (0, inf)
        The rate of the first epoch.
    epochs : int >= 1
        The number of epochs until the rate is `final`.
    final : float in [0, initial], default 0.0
        The rate of epoch ``epochs`` and of all later ones. At 0.0, plain SGD and Adam no longer change the weights.

    Raises
    ------
    TypeError, ValueError
        If a setting is no number, or out of its range.

    Notes
    -----
    With ``c = (1 + cos(pi*epoch/epochs))/2``, ``initial*c + final*(1 - c)`` (Loshchilov and Hutter 2017, equation 5),
    with epochs counted from 0 through all runs that were resumed.

    Examples
    --------
    >>> import backprop
    >>> X, y = [[0.0], [0.5], [1.0]], [0.0, 0.25, 1.0]
    >>> adam = backprop.Adam(backprop.CosineDecay(0.1, epochs=80))
    >>> run = backprop.fast_train(backprop.Network([1, 4, 1]), X, y, optimizer=adam, epochs=80)
    >>> run.resume(X, y, epochs=5).network == run.network
    True
    """

    initial: float
    epochs: int
    final: float = 0.0

    def __post_init__(self) -> None:
        _check(self, {"initial": "(0, inf)"}, "epochs")
        _check(self, {"final": f"[0, {self.initial!r}]"})

    def _rate(self, epoch: int, exp: Function, log: Function) -> float:
        if epoch >= self.epochs:
            return self.final
        c = 0.5 * (1.0 + cosine(epoch, self.epochs))
        return self.initial * c + self.final * (1.0 - c)


@hinted_class
@dataclass(frozen=True)
class ReduceOnPlateau:
    """Reduction on a plateau: the learning rate is reduced when the loss has stopped falling.

    Parameters
    ----------
    initial : float in (0, inf)
        The rate of the first epochs.
    factor : float in (0, 1), default 0.5
        The factor of each reduction.
    patience : int >= 1, default 10
        The number of epochs without an improvement before a reduction; after it the count starts again at 0.
    min_improvement : float in [0, inf), default 0.0
        How much lower than the lowest loss so far a loss must be to count as an improvement.
    min_rate : float in [0, initial], default 0.0
        The lower bound of the rate.

    Raises
    ------
    TypeError, ValueError
        If a setting is no number, or out of its range.

    Notes
    -----
    The losses are those that `EarlyStopping` watches, if the run has it, and otherwise the training losses. The
    patience of `EarlyStopping` should be a few times this one.

    Examples
    --------
    >>> import backprop
    >>> backprop.Adam(backprop.ReduceOnPlateau(0.01)).learning_rate.patience
    10
    """

    initial: float
    factor: float = 0.5
    patience: int = 10
    min_improvement: float = 0.0
    min_rate: float = 0.0

    def __post_init__(self) -> None:
        _check(self, {"initial": "(0, inf)", "factor": "(0, 1)", "min_improvement": "[0, inf)"}, "patience")
        _check(self, {"min_rate": f"[0, {self.initial!r}]"})

    def _after(self, state: "Plateau", loss: float) -> "Plateau":
        """The state after an epoch with this loss; its rate is that of the next epoch."""
        lowest = loss if loss < state.lowest else state.lowest
        if loss < state.lowest - self.min_improvement:
            return Plateau(state.rate, lowest, 0)
        if state.waited + 1 < self.patience:
            return Plateau(state.rate, lowest, state.waited + 1)
        rate = state.rate * self.factor
        return Plateau(self.min_rate if rate < self.min_rate else rate, lowest, 0)


class Plateau(NamedTuple):
    """The state of a `ReduceOnPlateau`."""

    rate: float
    lowest: float  # the lowest loss so far
    waited: int  # epochs since an improvement, or since the rate was reduced


Schedule = StepDecay | ExponentialDecay | InverseScaling | CosineDecay | ReduceOnPlateau


def _check(schedule: Schedule, ranges: dict[str, str], *counts: str) -> None:
    """Convert these settings to numbers and check that they lie in their ranges; counts are integers >= 1."""
    for name, interval in ranges.items():
        object.__setattr__(schedule, name, arguments.number(name, getattr(schedule, name), interval))
    for name in counts:
        object.__setattr__(schedule, name, arguments.integer(name, getattr(schedule, name), 1))


BITS = 200
PI_BITS = 0x3243F6A8885A308D313198A2E03707344A4093822299F31D008  # pi*2**BITS, rounded down


def cosine(part: int, whole: int) -> float:
    """cos(pi*part/whole), 0 <= part <= whole, as N15 says.

    The series in integers, multiples of 2**-BITS, is quicker than in decimals. Both are within 2**-180 of the cosine:
    where the doubles nearest to the two ends of this interval are the same, they are that of the decimals too.
    """
    if 2 * part >= whole:
        return 0.0 if 2 * part == whole else -cosine(whole - part, whole)
    angle = PI_BITS * part // whole
    square = angle * angle >> BITS
    term = total = 1 << BITS
    k = 0
    while term:
        k += 2
        term = -(term * square >> BITS) // ((k - 1) * k)
        total += term
    low, high = (total - (1 << 20)) / (1 << BITS), (total + (1 << 20)) / (1 << BITS)
    return low if low == high else cosine_in_decimals(part, whole)


def cosine_in_decimals(part: int, whole: int) -> float:
    """The same for 2*part < whole: the double nearest to the series up to x**62, in 60 decimal digits."""
    from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal

    context = Context(prec=60, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX, clamp=0, traps=[])
    pi = Decimal("3.14159265358979323846264338327950288419716939937510582097494")
    x = context.divide(context.multiply(pi, Decimal(part)), Decimal(whole))
    square = context.multiply(x, x)
    term = total = Decimal(1)
    for k in range(2, 64, 2):
        term = context.divide(context.multiply(term, square), Decimal(-(k - 1) * k))
        total = context.add(total, term)
    return float(total)


class Rates:
    """The learning rates of a run's epochs, computed in the contract's floating-point environment.

    `losses` are those of the epochs before this run; exp and log are the engine's, correctly rounded.
    """

    def __init__(self, schedule: Schedule, losses: Iterable[float], exp: Function, log: Function) -> None:
        self.schedule, self.functions = schedule, (exp, log)
        self.plateau = Plateau(schedule.initial, math.inf, 0)
        for loss in losses if self.look_back else ():
            self.see(loss)

    @property
    def look_back(self) -> bool:
        """Whether the rate of an epoch depends on the losses of earlier epochs."""
        return isinstance(self.schedule, ReduceOnPlateau)

    def of(self, epoch: int) -> float:
        """The rate of an epoch, once `see` has had the losses of all earlier epochs."""
        if isinstance(self.schedule, ReduceOnPlateau):
            return self.plateau.rate
        return _kernel.in_contract(self.schedule._rate, epoch, *self.functions)

    def see(self, loss: float) -> None:
        """Update the state with the loss of an epoch."""
        if isinstance(self.schedule, ReduceOnPlateau):
            self.plateau = _kernel.in_contract(self.schedule._after, self.plateau, loss)


def number_or_schedule(argument: str, value: Any, interval: str) -> float | Schedule:
    """A finite number in an interval, or a schedule as it is."""
    if isinstance(value, Schedule):
        return value
    return arguments.number(argument, value, interval, " or a schedule such as backprop.StepDecay(...)")
