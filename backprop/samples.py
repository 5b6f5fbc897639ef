"""Samples: the rows that a call was given, converted and checked once, at the door of the call."""

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from . import arguments
from .arguments import FloatArray


class Checks(Protocol):
    """The searches for invalid numbers in rows (N12); both engines have functions of these names."""

    def first_not_finite(self, values: FloatArray, /) -> int:
        """The index of the first NaN or infinity of a flat array, or -1."""

    def bad_target(self, loss: str, y: FloatArray, /) -> tuple[int, int, float] | None:
        """The first target out of its range: (s, j, target), or (s, -1, sum) where a row's sum is wrong."""

    def sum_of_weights(self, weights: FloatArray, /) -> tuple[int, float]:
        """The first row whose sample weight is not finite and >= 0, or -1; and the sum of the weights before it."""


class Samples(NamedTuple):
    """Checked rows with their targets and sample weights."""

    X: FloatArray  # (n_samples, n_features), C-contiguous and finite
    y: npt.NDArray[Any]  # (n_samples, n_outputs), or the classes of a softmax output (n_samples,) as int64
    sample_weight: FloatArray | None  # (n_samples,), or None: every row has the weight 1.0
    total_weight: float  # the sum of the weights (N17)
    watched: str = ""  # the kind of watched rows, such as "validation row"; "": rows that are trained on
    given: npt.NDArray[np.intp] | None = None  # (n_samples,): the rows' numbers where they were given; None: 0, 1, ...

    @classmethod
    def checked(
        cls,
        checks: Checks,
        sizes: tuple[int, ...],
        X: npt.ArrayLike,
        y: npt.ArrayLike,
        loss: str,
        sample_weight: npt.ArrayLike | None = None,
        *,
        part_from: int | None = None,
    ) -> "Samples":
        """Check and convert rows for a network of these sizes and a loss; errors name the first invalid number.

        part_from: the rows are a part of others, the first of which has this number; weights may then sum to 0.0, and
        total_weight is 1.0, with which a mean is the sum. None: all rows.
        """
        first = part_from or 0
        X = finite(checks, "X", arguments.rows(X, sizes[0]), first)
        y = arguments.targets(y, X.shape[0], sizes[-1], loss, first)
        if y.ndim == 2:
            bad = checks.bad_target(loss, finite(checks, "y", y, first))
            if bad is not None:
                raise arguments.bad_target(loss, first + bad[0], *bad[1:])
        weights = None if sample_weight is None else arguments.sample_weight(sample_weight, X.shape[0])
        if part_from is not None:
            if weights is not None:
                sum_of_weights(checks, weights, first)
            return cls(X, y, weights, 1.0)
        return cls(X, y, weights, float(X.shape[0]) if weights is None else total_weight(checks, weights))

    @property
    def n_samples(self) -> int:
        """The number of rows."""
        return len(self.X)

    def take(self, checks: Checks, rows: npt.NDArray[np.intp]) -> "Samples":
        """A copy of the rows with these indices, which errors name as before."""
        weights = None if self.sample_weight is None else self.sample_weight[rows]
        total = float(len(rows)) if weights is None else total_weight(checks, weights)
        return Samples(self.X[rows], self.y[rows], weights, total, self.watched, rows)

    def loss_not_finite(self, s: int) -> OverflowError:
        """The error about the sum of losses, which stops being finite at row s; -1: at none, but their mean is not."""
        number = s if self.given is None or s < 0 else int(self.given[s])
        what = "the watched loss" if self.watched else "the loss"
        return arguments.result_not_finite(what, number, self.watched or "row")


def loss_and_samples(
    checks: Checks,
    sizes: tuple[int, ...],
    activations: tuple[str, ...],
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    loss: str | None,
    sample_weight: npt.ArrayLike | None,
) -> tuple[str, Samples]:
    """The name of the loss for a network of these sizes and activations, and the rows, which are checked."""
    name = arguments.loss_name(loss, activations[-1])
    return name, Samples.checked(checks, sizes, X, y, name, sample_weight)


def finite(checks: Checks, argument: str, matrix: FloatArray, first_row: int = 0) -> FloatArray:
    """The matrix itself, or an error that names its first number that is not finite; row 0 is called first_row."""
    k = checks.first_not_finite(matrix.reshape(-1))
    if k >= 0:
        s, column = divmod(k, matrix.shape[1])
        raise arguments.not_finite(argument, first_row + s, column, matrix[s, column])
    return matrix


def sum_of_weights(checks: Checks, weights: FloatArray, first_row: int = 0) -> float:
    """The sum of the sample weights, which may be 0.0; or an error that names the first invalid weight."""
    s, total = checks.sum_of_weights(weights)
    if s >= 0:
        raise arguments.bad_weight(first_row + s, weights[s].item())
    return total


def total_weight(checks: Checks, weights: FloatArray) -> float:
    """The sum of the sample weights, or an error that names the first invalid weight."""
    total = sum_of_weights(checks, weights)
    if not arguments.within(total, "(0, 1e300]"):
        raise arguments.bad_weights(weights.shape[0], total)
    return total
