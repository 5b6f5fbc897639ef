"""L-BFGS (N13): quasi-Newton steps from the last few changes of weights and gradient, each with a line search.

Nocedal and Wright 2006: algorithm 7.4 for the direction (two loops), 3.5 and 3.6 for the strong Wolfe conditions (here
one loop), equation 3.59 for the interpolation. The slots are the last `memory` changes s of the weights, then as many
changes y of the gradient; the scalars are the number of pairs (s, y), the index of the newest, gamma, and every s*y.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from .passes import mean_loss
from .sums import dot
from .values import Architecture, Dataset, Hyperparameters, Matrix, NextWord, Vector, trained_indices

SUFFICIENT_DECREASE = 1e-4  # c1: a step must lower f by this share of the decrease that its slope predicts
CURVATURE = 0.9  # c2: |slope| at the end of a step may be this share of that at its start
LEAST_CURVATURE = 2.220446049250313e-16  # 2**-52: a pair is kept if s*y is above this share of the predicted decrease


class Point(NamedTuple):
    """A point on the line w + t*d: the objective f, its slope along d, and its gradient g."""

    t: float
    f: float
    slope: float
    g: Vector


def max_abs(x: Vector) -> float:
    """The largest absolute value."""
    found = 0.0
    for x_k in x:
        if abs(x_k) > found:
            found = abs(x_k)
    return found


# The objective: the mean loss plus l2/2 times the sum of the squared weights.


def objective(
    network: Architecture, w: Vector, settings: Hyperparameters, data: Dataset
) -> tuple[float, float, Vector]:
    """The mean loss, the objective f and the gradient of f, which is 0.0 for biases that are not trained."""
    _, _, l2, _ = settings.settings
    loss, g, overflow = mean_loss(network, w, settings.loss, data)
    if overflow >= 0:
        return loss, loss, g  # neither f nor g is used
    gradient = [0.0 for _ in w]
    for k in trained_indices(network.sizes, settings.train_biases):
        gradient[k] = g[k]
    if not l2 > 0.0:
        return loss, loss, gradient
    penalized = [0.0 for _ in w]
    for k in trained_indices(network.sizes, False):
        penalized[k] = w[k]
        gradient[k] = gradient[k] + l2 * w[k]
    return loss, loss + (0.5 * l2) * dot(penalized, penalized), gradient


# The direction d = -H*g.


def two_loops(g: Vector, pairs: list[tuple[Vector, Vector, float]], gamma: float) -> Vector:
    """-H*g, where H is gamma times the identity, updated with the pairs (s, y, s*y); pairs[0] is the newest."""
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


# The length of the step.


def clamped(u: float, low: float, high: float, otherwise: float) -> float:
    """u, or the nearer end of the interval; `otherwise` for a NaN."""
    return low if u < low else high if u > high else u if u == u else otherwise


def lowest_of_cubic(one: Point, other: Point) -> float:
    """The minimum of the cubic through two points and slopes: 0.0 is at one, 1.0 at the other; NaN if there is none."""
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
    """A point that satisfies the strong Wolfe conditions; after `most` trials the best so far, which may be the start.

    `low` is the lowest trial so far with a sufficient decrease. Once there is a `high`, such a point lies between the
    two. A trial that is not finite is too high.
    """
    low, high, last, last_but_one = start, None, math.inf, math.inf
    for _ in range(most):
        at, before = trial(t), low
        finite = math.isfinite(at.f) and math.isfinite(at.slope)
        if not (finite and at.f <= start.f + (SUFFICIENT_DECREASE * t) * start.slope and at.f < low.f):
            high = at
        elif abs(at.slope) <= -(CURVATURE * start.slope):
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
                break  # the interval has shrunk to a point: f has a kink there
    return low


def lbfgs_iteration(
    network: Architecture,
    w: Vector,
    slots: Matrix,
    scalars: Vector,
    next_word: NextWord,
    next_dropout_word: NextWord,
    settings: Hyperparameters,
    data: Dataset,
) -> tuple[float, str]:
    """Do one iteration: update w, slots and scalars. Return the loss before it, and why the method ends, or ""."""
    memory, most = int(settings.settings[0]), int(settings.settings[3])
    S, Y, tolerance = slots[:memory], slots[memory:], settings.settings[1]
    start, moves = list(w), trained_indices(network.sizes, settings.train_biases)
    loss, f, g = objective(network, w, settings, data)
    if not math.isfinite(loss):
        return loss, ""
    if not (math.isfinite(f) and all(map(math.isfinite, g))):
        return loss, "overflow"
    steepest = max_abs(g)
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
        held, newest = int(scalars[0]), int(scalars[1])
        if held > 0:
            order = [(newest - i) % memory for i in range(held)]
            d, t = two_loops(g, [(S[i], Y[i], scalars[3 + i]) for i in order], scalars[2]), 1.0
        else:
            d = [-(g_k / steepest) for g_k in g]
            t = 1.0 / math.sqrt(dot(d, d))
        slope = dot(g, d)
        if math.isfinite(slope) and slope < 0.0:
            found = line_search(Point(0.0, f, slope, g), t, trial, most)
            if found.t > 0.0:
                break
        scalars[0] = 0.0
        if held == 0:
            w[:] = start
            return loss, "line_search"
    for k in moves:
        w[k] = start[k] + found.t * d[k]
    s, y_ = [w[k] - start[k] for k in range(len(w))], [found.g[k] - g[k] for k in range(len(w))]
    sy, yy = dot(s, y_), dot(y_, y_)
    if sy > LEAST_CURVATURE * -(found.t * slope) and yy > 0.0 and math.isfinite(sy) and math.isfinite(yy):
        at = (newest + 1) % memory
        S[at][:], Y[at][:], scalars[3 + at] = s, y_, sy
        scalars[0], scalars[1], scalars[2] = float(held + 1 if held < memory else memory), float(at), sy / yy
    return loss, ""
