"""Data as lists of rows: finite (N12), with what each row counts (N17)."""

import math
from typing import NamedTuple

from numpy.typing import ArrayLike

from .. import arguments
from .updates import Rows, Vector


class Data(NamedTuple):
    X: Rows
    y: Rows
    c: Vector  # what each row counts


def finite(argument: str, matrix: arguments.FloatArray) -> Rows:
    """The matrix as a list of rows (N12)."""
    rows: Rows = matrix.tolist()
    for s, row in enumerate(rows):
        for column, value in enumerate(row):
            if not math.isfinite(value):
                raise arguments.not_finite(argument, s, column, value)
    return rows


def weights_of(sample_weight: ArrayLike | None, n: int) -> Vector:
    """What each row counts (N17): 1.0 if nothing is said."""
    if sample_weight is None:
        return [1.0] * n
    c: Vector = arguments.sample_weight(sample_weight, n).tolist()
    total = 0.0
    for s in range(n):
        if not 0.0 <= c[s] < math.inf:
            raise arguments.bad_weight(s, c[s])
        total = total + c[s]
    if not 0.0 < total <= 1e300:
        raise arguments.bad_weights(n, total)
    return c
