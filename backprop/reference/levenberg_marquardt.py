"""Levenberg-Marquardt (N14): a Gauss-Newton step on all rows at once, damped until it lowers the loss.

Rows of the Jacobian J are r = (s, k): output k of sample s, outputs inside. Columns are the parameters, flat, and then
the residuals e = o[k] - t[k]; all of a row is times the root of what the sample counts. A = J^T J is symmetric: only
j >= i is there, and b = J^T e is the column after its last one, so that what is done to A is done to b.
"""

import math
from typing import Any

from .. import reference
from ..network import Network
from ..training import Settings
from .sums import dot
from .updates import Rows, Vector

LOWEST_MU = 1e-20  # without a bound it would reach 0.0, which no factor can raise again


def jacobian_rows(
    layers: list[tuple[Rows, Vector]], names: tuple[str, ...], x: Vector, t: Vector, c: float, train_biases: bool
) -> Rows:
    """One sample's rows of J, by a backward pass for each output; each ends in its residual. It counts c times."""
    a, z = reference.forward(layers, names, x)
    derivative, root = reference.derivatives(names[-1], z[-1], a[-1]), math.sqrt(c)
    rows = []
    for k in range(len(t)):
        deltas = [[root * ((1.0 if j == k else 0.0) * derivative[j]) for j in range(len(t))]]
        for l in range(len(layers) - 1, 0, -1):
            deltas.insert(0, reference.hidden_deltas(names[l - 1], z[l - 1], a[l], layers[l][0], deltas[0]))
        row: Vector = []
        for l in range(len(layers)):
            row += [a_i * delta_j for a_i in a[l] for delta_j in deltas[l]]
            row += [1.0 * delta_j if train_biases else 0.0 for delta_j in deltas[l]]
        rows.append([*row, root * (a[-1][k] - t[k])])
    return rows


def normal_equations(J: Rows) -> Rows:
    """A and b."""
    n = len(J[0]) - 1
    A = [[0.0] * (n + 1) for _ in range(n)]
    for i in range(n):
        for j in range(i, n + 1):
            s = 0.0
            for row in J:
                s = s + row[i] * row[j]
            A[i][j] = s
    return A


def factor(A: Rows, shift: float) -> Rows | None:
    """Cholesky: U with U^T U = A + shift*I, and (U^T)^-1 b as its last column; None if a pivot is not positive."""
    n = len(A)
    U = [[0.0] * (n + 1) for _ in range(n)]
    for i in range(n):
        for j in range(i, n + 1):
            s = A[i][j] + shift if j == i else A[i][j]
            for k in range(i):
                s = s - U[k][i] * U[k][j]
            if j == i:
                if not 0.0 < s < math.inf:
                    return None
                U[i][i] = math.sqrt(s)
            else:
                U[i][j] = s / U[i][i]
    return U


def back_substitution(U: Rows) -> Vector:
    """d with U d = the last column."""
    n = len(U)
    d = [0.0] * n
    for i in range(n - 1, -1, -1):
        s = U[i][n]
        for j in range(n - 1, i, -1):
            s = s - U[i][j] * d[j]
        d[i] = s / U[i][i]
    return d


def gradient_norm(A: Rows, C: float) -> float:
    """Of the mean loss: b/C."""
    g = [row[-1] / C for row in A]
    return math.sqrt(dot(g, g))


def mean_loss(network: Network, w: Vector, X: Rows, y: Rows, c: Vector) -> float:
    """The loss of N8 with other weights."""
    layers, total, C = reference.layers_of(w, network.sizes), 0.0, 0.0
    for s in range(len(X)):
        a, z = reference.forward(layers, network.activations, X[s])
        total = total + c[s] * reference.squared_error(z[-1], a[-1], y[s])
        C = C + c[s]
    return total / C


def levenberg_marquardt(
    network: Network,
    w: Vector,
    moments: Rows,
    powers: Vector,
    streams: Any,
    settings: Settings,
    X: Rows,
    y: Rows,
    c: Vector,
) -> tuple[float, str]:
    """One epoch: w moves on to a lower loss, or stays. Return the loss before it, and why the method is at its end."""
    decrease, increase, highest, min_gradient = settings.optimizer.settings
    loss = mean_loss(network, w, X, y, c)
    if not math.isfinite(loss):
        return loss, ""
    layers, C, mu = reference.layers_of(w, network.sizes), 0.0, powers[0]
    J = []
    for s in range(len(X)):
        J += jacobian_rows(layers, network.activations, X[s], y[s], c[s], settings.train_biases)
        C = C + c[s]
    A = normal_equations(J)
    if gradient_norm(A, C) <= min_gradient:
        return loss, "gradient"
    while mu <= highest:
        U = factor(A, mu * C)
        if U is not None:
            d = back_substitution(U)
            trial = [w[k] - d[k] for k in range(len(w))]
            if all(map(math.isfinite, trial)) and mean_loss(network, trial, X, y, c) < loss:
                w[:] = trial
                mu = mu * decrease
                powers[0] = mu if mu > LOWEST_MU else LOWEST_MU
                return loss, ""
        mu = mu * increase
    return loss, "damping"
