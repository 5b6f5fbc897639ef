"""Plain values: vectors, matrices and layers, the rows of a data set, and the settings of a run.

Letters, here and in every file of the definition: sample `s`, input `i`, output `j`, layer `l`, parameter `k`; weights
`W[i][j]` and biases `b[j]`; net input `z`, activation `a`, output `o`, target `t`, `delta` dLoss/dz.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

Vector = list[float]
Matrix = list[Vector]
Layer = tuple[Matrix, Vector]  # W (n_in, n_out) and b (n_out,)
NextWord = Callable[[], int]  # the next 64 random bits of a generator


class Architecture(NamedTuple):
    """A network without its parameters."""

    sizes: tuple[int, ...]  # widths of the layers, the input first
    activations: tuple[str, ...]  # one for each layer, the output's last


class Dataset(NamedTuple):
    """Rows and targets, all finite (N12), and their sample weights (N17)."""

    X: Matrix  # (n_samples, n_in)
    y: Matrix  # (n_samples, n_out); a class k is the row with 1.0 in column k and 0.0 elsewhere
    sample_weight: Vector  # (n_samples,)


class Hyperparameters(NamedTuple):
    """The settings of a run, in plain values."""

    loss: str
    rule: str  # the name of an update rule (N7) or of a full-batch method (N13, N14)
    settings: Vector  # the numbers that the rule takes, in its order
    batch_size: int
    shuffle: bool | tuple[int, int]  # in each epoch; (rows, window): by windows of blocks of rows (N9)
    train_biases: bool
    l1: float = 0.0
    l2: float = 0.0
    clip_norm: float = math.inf  # inf: the gradient is not clipped
    dropout_rates: Vector | None = None  # one for each hidden layer; None: no unit is dropped


def first_not_finite(values: Vector) -> int:
    """The index of the first NaN or infinity, or -1 (N12)."""
    for k in range(len(values)):
        if not math.isfinite(values[k]):
            return k
    return -1


def layers_of(parameters: Vector, sizes: tuple[int, ...]) -> list[Layer]:
    """The flat parameters as weights W[i][j] and biases b[j] of each layer."""
    rest, layers = iter(parameters), []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        W = [[next(rest) for _ in range(n_out)] for _ in range(n_in)]
        layers.append((W, [next(rest) for _ in range(n_out)]))
    return layers


def trained_indices(sizes: tuple[int, ...], train_biases: bool) -> list[int]:
    """The indices of the flat parameters that may move: all weights, and the biases if they are trained."""
    moves: list[bool] = []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        moves += [True] * n_in * n_out + [train_biases] * n_out
    return [k for k in range(len(moves)) if moves[k]]
