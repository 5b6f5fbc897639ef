"""Levenberg-Marquardt (N14): a Gauss-Newton step on all rows at once, damped until it lowers the loss.

The Jacobian J has a row for each output k of each sample s; k changes fastest. Its columns are the flat parameters; one
more column holds the residuals e = o[k] - t[k]. Rows are multiplied by the root of the sample weight. A = J^T J is
symmetric: only j >= i is stored. b = J^T e is A's last column, so that every operation on A is done to b too.
"""

import math

from .blocks import blocks, sum_of_rows, tree_sum
from .losses import squared_error
from .passes import derivatives, forward, hidden_deltas
from .sums import dot
from .values import Architecture, Dataset, Hyperparameters, Layer, Matrix, NextWord, Vector, layers_of

LOWEST_MU = 1e-20  # the least damping: from 0.0, no factor could raise it again


def jacobian_rows(
    layers: list[Layer], activations: tuple[str, ...], x: Vector, t: Vector, weight: float, train_biases: bool
) -> Matrix:
    """One sample's rows of J, by a backward pass for each output; the last column of each is its residual.

    Each row is multiplied by the root of the sample weight.
    """
    a, z = forward(layers, activations, x)
    derivative, root = derivatives(activations[-1], z[-1], a[-1]), math.sqrt(weight)
    rows = []
    for k in range(len(t)):
        deltas = [[root * ((1.0 if j == k else 0.0) * derivative[j]) for j in range(len(t))]]
        for l in range(len(layers) - 1, 0, -1):
            deltas.insert(0, hidden_deltas(activations[l - 1], z[l - 1], a[l], layers[l][0], deltas[0]))
        row: Vector = []
        for l in range(len(layers)):
            row += [a_i * delta_j for a_i in a[l] for delta_j in deltas[l]]
            row += [1.0 * delta_j if train_biases else 0.0 for delta_j in deltas[l]]
        rows.append([*row, root * (a[-1][k] - t[k])])
    return rows


def normal_equations(J: Matrix) -> Matrix:
    """A and b of a block: the sums over the rows of J, in their order, of row[i]*row[j]."""
    n = len(J[0]) - 1
    A = [[0.0] * (n + 1) for _ in range(n)]
    for i in range(n):
        for j in range(i, n + 1):
            s = 0.0
            for row in J:
                s = s + row[i] * row[j]
            A[i][j] = s
    return A


def factor(A: Matrix, shift: float) -> Matrix | None:
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


def back_substitution(U: Matrix) -> Vector:
    """The solution d (n,) of U d = the last column of U (n, n + 1)."""
    n = len(U)
    d = [0.0] * n
    for i in range(n - 1, -1, -1):
        s = U[i][n]
        for j in range(n - 1, i, -1):
            s = s - U[i][j] * d[j]
        d[i] = s / U[i][i]
    return d


def gradient_norm(A: Matrix, total_weight: float) -> float:
    """The norm of the mean loss's gradient, which is b divided by the total weight."""
    g = [row[-1] / total_weight for row in A]
    return math.sqrt(dot(g, g))


def squared_loss(network: Architecture, w: Vector, data: Dataset) -> float:
    """The mean squared_error of all rows (N8) with the parameters w."""
    layers, losses = layers_of(w, network.sizes), []
    for x, t, weight in zip(*data, strict=True):
        a, z = forward(layers, network.activations, x)
        losses.append(weight * squared_error(z[-1], a[-1], t))
    return sum_of_rows(losses) / sum_of_rows(data.sample_weight)


def levenberg_marquardt(
    network: Architecture,
    w: Vector,
    slots: Matrix,
    scalars: Vector,
    next_word: NextWord,
    next_dropout_word: NextWord,
    settings: Hyperparameters,
    data: Dataset,
) -> tuple[float, str]:
    """Do one epoch: change w to a lower loss, or leave it. The only scalar is the damping mu.

    Return the loss before the epoch, and why the method ends, or "".
    """
    decrease, increase, highest, min_gradient = settings.settings
    loss = squared_loss(network, w, data)
    if not math.isfinite(loss):
        return loss, ""
    layers, total_weight, mu = layers_of(w, network.sizes), sum_of_rows(data.sample_weight), scalars[0]
    parts = []
    for block in blocks(range(len(data.X))):
        J = []
        for s in block:
            x, t, weight = data.X[s], data.y[s], data.sample_weight[s]
            J += jacobian_rows(layers, network.activations, x, t, weight, settings.train_biases)
        parts.append(normal_equations(J))
    A = [tree_sum([part[i] for part in parts]) for i in range(len(w))]
    if gradient_norm(A, total_weight) <= min_gradient:
        return loss, "gradient"
    while mu <= highest:
        U = factor(A, mu * total_weight)
        if U is not None:
            d = back_substitution(U)
            trial = [w[k] - d[k] for k in range(len(w))]
            if all(map(math.isfinite, trial)) and squared_loss(network, trial, data) < loss:
                w[:] = trial
                mu = mu * decrease
                scalars[0] = mu if mu > LOWEST_MU else LOWEST_MU
                return loss, ""
        mu = mu * increase
    return loss, "damping"
