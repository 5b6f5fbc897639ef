"""Losses (N4): the error of one sample from its net inputs z, outputs o and targets t, and the slope of each term."""

import math
from collections.abc import Callable
from typing import NamedTuple

from .activations import softmax_sum
from .elementary import exp, log, log1p
from .values import Matrix, Vector


def squared_error(z: Vector, o: Vector, t: Vector) -> float:
    L = 0.0
    for j in range(len(o)):
        d = t[j] - o[j]
        L = L + 0.5 * (d * d)
    return L


def cross_entropy(z: Vector, o: Vector, t: Vector) -> float:
    m, _, S = softmax_sum(z)
    L = 0.0
    for j in range(len(z)):
        if t[j] != 0.0:
            L = L + -(t[j] * ((z[j] - m) - log(S)))
    return L


def binary_cross_entropy(z: Vector, o: Vector, t: Vector) -> float:
    L = 0.0
    for j in range(len(z)):
        L = L + (((0.0 if z[j] <= 0.0 else z[j]) - z[j] * t[j]) + log1p(exp(-abs(z[j]))))
    return L


def absolute_error(z: Vector, o: Vector, t: Vector) -> float:
    L = 0.0
    for j in range(len(o)):
        L = L + abs(t[j] - o[j])
    return L


def huber(z: Vector, o: Vector, t: Vector) -> float:
    """Huber 1964: squared up to a distance of 1, absolute beyond."""
    L = 0.0
    for j in range(len(o)):
        d = abs(t[j] - o[j])
        L = L + (d - 0.5 if d > 1.0 else 0.5 * (d * d))
    return L


def poisson(z: Vector, o: Vector, t: Vector) -> float:
    """The negative log-likelihood of counts t with means o = exp(z), but for log(t!), which no weight changes."""
    L = 0.0
    for j in range(len(o)):
        L = L + (o[j] - t[j] * z[j])
    return L


def difference(o: float, t: float) -> float:
    return o - t


def direction(o: float, t: float) -> float:
    d = o - t
    return 1.0 if d > 0.0 else -1.0 if d < 0.0 else d


def bounded_difference(o: float, t: float) -> float:
    d = o - t
    return 1.0 if d > 1.0 else -1.0 if d < -1.0 else d


class Loss(NamedTuple):
    value: Callable[[Vector, Vector, Vector], float]
    slope: Callable[[float, float], float]  # from o and t: dLoss/do if through_activation, else dLoss/dz
    through_activation: bool  # whether the output delta is multiplied by the activation's derivative
    low: float  # the lowest target
    high: float  # the highest target
    distribution: bool  # whether a row of targets must sum to 1
    output: str  # the output activation it needs; "": any that has a derivative


LOSSES = {
    "squared_error": Loss(squared_error, difference, True, -math.inf, math.inf, False, ""),
    "cross_entropy": Loss(cross_entropy, difference, False, 0.0, math.inf, True, "softmax"),
    "binary_cross_entropy": Loss(binary_cross_entropy, difference, False, 0.0, 1.0, False, "logistic"),
    "absolute_error": Loss(absolute_error, direction, True, -math.inf, math.inf, False, ""),
    "huber": Loss(huber, bounded_difference, True, -math.inf, math.inf, False, ""),
    "poisson": Loss(poisson, difference, False, 0.0, math.inf, False, "exponential"),
}


def bad_target(loss: str, y: Matrix) -> tuple[int, int, float] | None:
    """The first target out of its range: (s, j, target), or (s, -1, sum) where a row's sum is wrong; None: no error."""
    row = LOSSES[loss]
    for s in range(len(y)):
        total = 0.0
        for j in range(len(y[s])):
            if not row.low <= y[s][j] <= row.high:
                return s, j, y[s][j]
            total = total + y[s][j]
        if row.distribution and not abs(total - 1.0) <= 1e-9:
            return s, -1, total
    return None
