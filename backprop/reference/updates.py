"""Update rules (N7): w, g and each of the moments are flat; `trained` are the parameters that may move."""

import math

Vector = list[float]
Rows = list[Vector]


def sgd(w: Vector, g: Vector, moments: Rows, powers: Vector, settings: Vector, trained: list[int]) -> None:
    (lr,) = settings
    for k in trained:
        w[k] = w[k] - lr * g[k]


def momentum(w: Vector, g: Vector, moments: Rows, powers: Vector, settings: Vector, trained: list[int]) -> None:
    (v,), (lr, mu) = moments, settings
    for k in trained:
        v[k] = mu * v[k] - lr * g[k]
        w[k] = w[k] + v[k]


def nesterov(w: Vector, g: Vector, moments: Rows, powers: Vector, settings: Vector, trained: list[int]) -> None:
    (v,), (lr, mu) = moments, settings
    for k in trained:
        v[k] = mu * v[k] - lr * g[k]
        w[k] = w[k] + (mu * v[k] - lr * g[k])


def adam(w: Vector, g: Vector, moments: Rows, powers: Vector, settings: Vector, trained: list[int]) -> None:
    """Kingma and Ba 2015, algorithm 1 in the efficient form at the end of their section 2."""
    (m, v), (lr, b1, b2, epsilon) = moments, settings
    powers[0] = powers[0] * b1
    powers[1] = powers[1] * b2
    rate = (lr * math.sqrt(1.0 - powers[1])) / (1.0 - powers[0])
    for k in trained:
        m[k] = b1 * m[k] + (1.0 - b1) * g[k]
        v[k] = b2 * v[k] + (1.0 - b2) * (g[k] * g[k])
        w[k] = w[k] - (rate * m[k]) / (math.sqrt(v[k]) + epsilon)


UPDATE_RULES = {"sgd": sgd, "momentum": momentum, "nesterov": nesterov, "adam": adam}
