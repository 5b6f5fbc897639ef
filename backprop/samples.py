"""Samples: the rows that a call was given, converted and checked once, at the door of the call."""

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from . import arguments
from .arguments import FloatArray
from .matrices import Matrix, RowsLike, TargetsLike
from .sources import Source


class Checks(Protocol):
    """The searches for invalid numbers in rows (N12); both engines have functions of these names."""

    def first_not_finite(self, matrix: Matrix, /) -> int:
        """The index of the first NaN or infinity of a matrix, row by row, or -1."""

    def bad_target(self, loss: str, y: npt.NDArray[Any], /) -> tuple[int, int, float] | None:
        """The first target out of its range: (s, j, target), or (s, -1, sum) where a row's sum is wrong."""

    def sum_of_weights(self, weights: FloatArray, /) -> tuple[int, float]:
        """The first row whose sample weight is not finite and >= 0, or -1; and the sum of the weights before it."""


class Samples(NamedTuple):
    """Checked rows with their targets and sample weights. X and y are of any kind that the kernel reads, or sources."""

    X: Matrix  # (n_samples, n_features), finite
    y: Any  # (n_samples, n_outputs), finite, or the classes of a softmax output (n_samples,) as int64
    sample_weight: FloatArray | None  # (n_samples,), or None: every row has the weight 1.0
    total_weight: float  # the sum of the weights (N17)
    watched: str = ""  # the kind of watched rows, such as "validation row"; "": rows that are trained on
    chosen: npt.NDArray[np.int64] | None = None  # (n_samples,): these are only these rows of the three; None: all
    searched: bool = True  # False: the pass that reads X must search it for numbers that are not finite

    @classmethod
    def checked(
        cls,
        checks: Checks,
        sizes: tuple[int, ...],
        X: RowsLike,
        y: TargetsLike,
        loss: str,
        sample_weight: npt.ArrayLike | None = None,
        *,
        part_from: int | None = None,
        search: bool = True,
    ) -> "Samples":
        """Check and convert rows for a network of these sizes and a loss; errors name the first invalid number.

        part_from: the rows are a part of others, the first of which has this number; weights may then sum to 0.0, and
        total_weight is 1.0, with which a mean is the sum. None: all rows. search: False leaves the search of X for
        numbers that are not finite to the pass that reads X, unless anything else is wrong.
        """
        first, rows = part_from or 0, arguments.rows(X, sizes[0])
        if not search:
            try:
                samples = cls.checked_but_X(checks, sizes, rows, y, loss, sample_weight, part_from)
            except (TypeError, ValueError):
                finite(checks, "X", rows, first)
                raise
            return samples._replace(searched=False)
        finite(checks, "X", rows, first)
        return cls.checked_but_X(checks, sizes, rows, y, loss, sample_weight, part_from)

    @classmethod
    def checked_but_X(
        cls,
        checks: Checks,
        sizes: tuple[int, ...],
        rows: Matrix,
        y: TargetsLike,
        loss: str,
        sample_weight: npt.ArrayLike | None,
        part_from: int | None,
    ) -> "Samples":
        """Check and convert targets and weights of rows as `checked` does."""
        first = part_from or 0
        targets = arguments.targets(y, rows.shape[0], sizes[-1], loss, first)
        if targets.ndim == 2:
            valid_targets(checks, loss, targets, first)
        weights = None if sample_weight is None else arguments.sample_weight(sample_weight, rows.shape[0])
        if part_from is not None:
            if weights is not None:
                sum_of_weights(checks, weights, first)
            return cls(rows, targets, weights, 1.0)
        return cls(rows, targets, weights, float(rows.shape[0]) if weights is None else total_weight(checks, weights))

    @property
    def n_samples(self) -> int:
        """The number of rows."""
        n_samples: int = self.X.shape[0] if self.chosen is None else self.chosen.shape[0]
        return n_samples

    @property
    def from_source(self) -> bool:
        """Whether X or y is read window by window."""
        return isinstance(self.X, Source) or isinstance(self.y, Source)

    def take(self, checks: Checks, rows: npt.NDArray[np.int64]) -> "Samples":
        """The rows with these indices, without a copy of X; errors name them as before."""
        total = float(len(rows)) if self.sample_weight is None else total_weight(checks, self.sample_weight[rows])
        return self._replace(total_weight=total, chosen=rows)

    def loss_not_finite(self, s: int) -> OverflowError:
        """The error about the sum of losses, which stops being finite at row s; -1: at none, but their mean is not."""
        number = s if self.chosen is None or s < 0 else int(self.chosen[s])
        what = "the watched loss" if self.watched else "the loss"
        return arguments.result_not_finite(what, number, self.watched or "row")


def loss_and_samples(
    checks: Checks,
    sizes: tuple[int, ...],
    activations: tuple[str, ...],
    X: RowsLike,
    y: TargetsLike,
    loss: str | None,
    sample_weight: npt.ArrayLike | None,
    search: bool = True,
) -> tuple[str, Samples]:
    """The name of the loss for a network of these sizes and activations, and the rows, as `Samples.checked`."""
    name = arguments.loss_name(loss, activations[-1])
    return name, Samples.checked(checks, sizes, X, y, name, sample_weight, search=search)


def finite(checks: Checks, argument: str, matrix: Matrix, first_row: int = 0) -> Matrix:
    """The matrix itself, or an error that names its first number that is not finite; row 0 is called first_row."""
    for first, rows in windows_of(matrix):
        k = checks.first_not_finite(rows)
        if k >= 0:
            s, column = divmod(k, matrix.shape[1])
            number = arguments.doubles(rows[s : s + 1])[0, column]
            raise arguments.not_finite(argument, first_row + first + s, column, number)
    return matrix


def valid_targets(checks: Checks, loss: str, y: Matrix, first_row: int = 0) -> None:
    """Raise the error about the first target that is not finite or out of its range; row 0 is called first_row."""
    for first, rows in windows_of(y):
        k, bad = checks.first_not_finite(rows), checks.bad_target(loss, rows)
        s, column = divmod(k, y.shape[1])
        if k >= 0 and (bad is None or s <= bad[0]):
            number = arguments.doubles(rows[s : s + 1])[0, column]
            raise arguments.not_finite("y", first_row + first + s, column, number)
        if bad is not None:
            s, column, number = bad
            raise arguments.bad_target(loss, first_row + first + s, column, number)


def windows_of(matrix: Matrix) -> Iterable[tuple[int, Any]]:
    """A matrix in pieces that are in memory, each after the number of its first row."""
    return matrix.windows() if isinstance(matrix, Source) else ((0, matrix),)


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
