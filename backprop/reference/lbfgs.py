"""L-BFGS (N13): quasi-Newton steps from the last few changes of weights and gradient, each along a line.

Nocedal and Wright 2006: algorithm 7.4 for the direction (two loops), 3.5 and 3.6 for the strong Wolfe conditions (here
one loop), equation 3.59 for the interpolation. `moments` are the changes s of the weights, then the changes y of the
gradient; `powers` are how many pairs there are, which is the newest, gamma, and every s*y.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from ..network import Network
from ..training import Settings
from . import add_gradient, layers_of, trained_indices
from .data import Data
from .sums import dot
from .updates import Rows, Vector

ENOUGH = 1e-4  # of the decrease that the first slope promises (c1)
FLAT = 0.9  # of the first slope may be left (c2)
KEEP = 2.220446049250313e-16  # s*y is to be above this share of the decrease that was promised: 2**-52


class Point(NamedTuple):
    """On the line w + t*d: the objective f, its slope along d, and the gradient."""

    t: float
    f: float
    slope: float
    g: Vector


def largest(x: Vector) -> float:
    """The largest absolute value."""
    found = 0.0
    for x_k in x:
        if abs(x_k) > found:
            found = abs(x_k)
    return found


# The objective: the mean loss, and half the squared weights times l2.


def objective(network: Network, w: Vector, settings: Settings, data: Data) -> tuple[float, float, Vector]:
    """The mean loss of the rows in their order, the objective, and the objective's gradient; biases have no penalty."""
    _, _, l2, _ = settings.optimizer.settings
    layers, total, g = layers_of(w, network.sizes), 0.0, [0.0 for _ in w]
    C = 0.0
    for c in data.c:
        C = C + c
    for x, t, c in zip(*data, strict=True):
        total = total + add_gradient(g, layers, network.activations, settings.loss, x, t, c)
        if not math.isfinite(total):
            break  # the point is of no use, whatever the other rows say
    loss = total / C
    moves, weights = trained_indices(network.sizes, settings.train_biases), trained_indices(network.sizes, False)
    mean = [0.0 for _ in w]
    for k in moves:
        mean[k] = g[k] / C
    if not l2 > 0.0:
        return loss, loss, mean
    penalized = [0.0 for _ in w]
    for k in weights:
        penalized[k] = w[k]
        mean[k] = mean[k] + l2 * w[k]
    return loss, loss + (0.5 * l2) * dot(penalized, penalized), mean


# Where to: d = -H*g.


def two_loops(g: Vector, pairs: list[tuple[Vector, Vector, float]], gamma: float) -> Vector:
    """H is gamma, changed by the pairs (s, y, s*y), the newest first."""
    d, alphas = [-g_k for g_k in g], []
    for s, y, sy in pairs:
        alpha = dot(s, d) / sy
        d = [d[k] - alpha * y[k] for k in range(len(d))]
        alphas.append(alpha)
    d = [gamma * d_k for d_k in d]
    for i in range(len(pairs) - 1, -1, -1):
        s, y, sy = pairs[i]
        rest = alphas[i] - dot(y, d) / sy
        d = [d[k] + rest * s[k] for k in range(len(d))]
    return d


# How far.


def clamped(u: float, low: float, high: float, otherwise: float) -> float:
    """u, or the nearer end of the interval; `otherwise` for a NaN."""
    return low if u < low else high if u > high else u if u == u else otherwise


def lowest_of_cubic(one: Point, other: Point) -> float:
    """Where the cubic through two points with their slopes is lowest, in steps from one to the other; NaN: nowhere."""
    h = other.t - one.t
    a, b = one.slope * h, other.slope * h
    c = (a + b) - 3.0 * (other.f - one.f)
    radicand = c * c - a * b
    if not radicand >= 0.0:
        return math.nan
    root = math.sqrt(radicand)
    divisor = (b - a) + 2.0 * root
    return 1.0 - ((b + root) - c) / divisor if divisor > 0.0 else math.nan


def line_search(start: Point, t: float, trial: Callable[[float], Point], most: int) -> Point:
    """A point with the strong Wolfe conditions; after `most` trials the best so far, which may be the start.

    It lies between `low`, the lowest that has descended enough, and `high`, once there is one. A trial that is not
    finite is too high.
    """
    low, high, last, last_but_one = start, None, math.inf, math.inf
    for _ in range(most):
        at, before = trial(t), low
        finite = math.isfinite(at.f) and math.isfinite(at.slope)
        if not (finite and at.f <= start.f + (ENOUGH * t) * start.slope and at.f < low.f):
            high = at
        elif abs(at.slope) <= -(FLAT * start.slope):
            return at
        else:
            onward = high is None or high.t > low.t
            if (at.slope > 0.0) == onward:
                high = low
            low = at
        if high is None:
            u = lowest_of_cubic(before, low)
            t = clamped(before.t + u * (low.t - before.t), 2.0 * low.t, 10.0 * low.t, 10.0 * low.t)
        else:
            finite = math.isfinite(high.f) and math.isfinite(high.slope)
            u = clamped(lowest_of_cubic(low, high), 0.1, 0.9, 0.5) if finite else 0.5 if low.t > 0.0 else 0.1
            width = abs(high.t - low.t)
            if width > 0.66 * last_but_one:
                u = 0.5
            last, last_but_one = width, last
            t = low.t + u * (high.t - low.t)
            if width <= 0.01 * low.t or t == low.t or t == high.t:
                break  # what is left is an edge
    return low


def lbfgs_iteration(
    network: Network,
    w: Vector,
    moments: Rows,
    powers: Vector,
    streams: object,
    settings: Settings,
    X: Rows,
    y: Rows,
    c: Vector,
) -> tuple[float, str]:
    """One iteration. Return the loss before it, and why the method is at its end, or ""."""
    memory, most = int(settings.optimizer.settings[0]), int(settings.optimizer.settings[3])
    S, Y, tolerance = moments[:memory], moments[memory:], settings.optimizer.settings[1]
    start, moves, data = list(w), trained_indices(network.sizes, settings.train_biases), Data(X, y, c)
    loss, f, g = objective(network, w, settings, data)
    if not math.isfinite(loss):
        return loss, ""
    if not (math.isfinite(f) and all(map(math.isfinite, g))):
        return loss, "overflow"
    steepest = largest(g)
    if steepest <= tolerance:
        return loss, "gradient"

    def trial(t: float) -> Point:
        for k in moves:
            w[k] = start[k] + t * d[k]
        if not all(map(math.isfinite, w)):
            return Point(t, math.nan, math.nan, g)
        _, f, g_t = objective(network, w, settings, data)
        return Point(t, f, dot(g_t, d), g_t)

    while True:
        held, newest = int(powers[0]), int(powers[1])
        if held > 0:
            order = [(newest - i) % memory for i in range(held)]
            d, t = two_loops(g, [(S[i], Y[i], powers[3 + i]) for i in order], powers[2]), 1.0
        else:
            d = [-(g_k / steepest) for g_k in g]
            t = 1.0 / math.sqrt(dot(d, d))
        slope = dot(g, d)
        if math.isfinite(slope) and slope < 0.0:
            found = line_search(Point(0.0, f, slope, g), t, trial, most)
            if found.t > 0.0:
                break
        powers[0] = 0.0
        if held == 0:
            w[:] = start
            return loss, "line_search"
    for k in moves:
        w[k] = start[k] + found.t * d[k]
    s, y_ = [w[k] - start[k] for k in range(len(w))], [found.g[k] - g[k] for k in range(len(w))]
    sy, yy = dot(s, y_), dot(y_, y_)
    if sy > KEEP * -(found.t * slope) and yy > 0.0 and math.isfinite(sy) and math.isfinite(yy):
        at = (newest + 1) % memory
        S[at][:], Y[at][:], powers[3 + at] = s, y_, sy
        powers[0], powers[1], powers[2] = float(held + 1 if held < memory else memory), float(at), sy / yy
    return loss, ""
