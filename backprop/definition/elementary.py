"""Elementary functions (N3), correctly rounded: more and more digits, until they determine the nearest double."""

import math
from collections.abc import Callable
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal

TINY = 5.551115123125783e-17  # 2**-54


def _context(digits: int) -> Context:
    return Context(prec=digits, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX, clamp=0, traps=[])


def _nearest(function: Callable[[Context], Decimal], plus: int = 0) -> float:
    """The double nearest to a real number plus an integer; the function's last digit is right to within one unit."""
    digits = 28
    while True:
        context, digits = _context(digits), 2 * digits
        value = function(context)
        low = context.add(value.next_minus(context), plus).next_minus(context)
        high = context.add(value.next_plus(context), plus).next_plus(context)
        if float(low) == float(high):
            return float(low)


def exp(x: float) -> float:
    if not -746.0 <= x <= 710.0:
        return x if x != x else math.inf if x > 0.0 else 0.0
    return _nearest(lambda context: context.exp(Decimal.from_float(x)))


def expm1(x: float) -> float:
    if abs(x) < TINY:  # x*x/2 is less than half a unit in the last place of x
        return x
    if not -746.0 <= x <= 710.0:
        return x if x != x else math.inf if x > 0.0 else -1.0
    return _nearest(lambda context: context.exp(Decimal.from_float(x)), plus=-1)


def log(x: float) -> float:
    if not 0.0 < x < math.inf or x == 1.0:
        return 0.0 if x == 1.0 else -math.inf if x == 0.0 else math.nan if x < 0.0 else x
    return _nearest(lambda context: context.ln(Decimal.from_float(x)))


def log1p(x: float) -> float:
    if abs(x) < TINY or not -1.0 < x < math.inf:
        return -math.inf if x == -1.0 else math.nan if x < -1.0 else x
    one_plus_x = _context(800).add(
        Decimal(1), Decimal.from_float(x)
    )  # exact: at most 309 digits before and 106 after the point
    return _nearest(lambda context: context.ln(one_plus_x))
