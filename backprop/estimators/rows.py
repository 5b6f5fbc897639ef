"""The rows of an estimator, converted for the kernel; scores and other means over rows."""

import math
from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length

from .. import _kernel, arguments
from ..arguments import FloatArray
from ..matrices import InMemory, Sparse, is_sparse
from ..samples import total_weight

Labels = npt.NDArray[np.int64]
# Kinds of X that the kernel reads where they lie; the first is that of all others, after scikit-learn's check.
KINDS = [np.float64, np.float32, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64, bool]


class Rows(NamedTuple):
    """Checked rows with their targets and sample weights."""

    X: InMemory  # (n_samples, n_features)
    y: FloatArray | Labels  # (n_samples, n_outputs), or (n_samples,) for the classes of a softmax output
    weight: FloatArray | None  # (n_samples,), or None: every row has the weight 1.0
    numbers: npt.NDArray[Any] | None = None  # the number of each row in the rows that were given; None: 0, 1, ...
    name: str = "row {}"  # a row's name in errors, by its number

    @property
    def n_samples(self) -> int:
        n_samples: int = self.X.shape[0]
        return n_samples

    @property
    def total_weight(self) -> float:
        return float(self.n_samples) if self.weight is None else math.fsum(self.weight.tolist())

    def part(self, chosen: npt.NDArray[Any]) -> "Rows":
        """The chosen rows (n_chosen,), which keep their numbers."""
        return Rows(self.X[chosen], self.y[chosen], None if self.weight is None else self.weight[chosen], chosen)

    def not_finite(self, what: str, s: int) -> OverflowError:
        """The error for a quantity of row s of these rows."""
        return not_finite(what, self.name.format(s if self.numbers is None else self.numbers[s]))

    def weighted(self, by_class: FloatArray | None) -> "Rows":
        """The rows, with each sample weight multiplied by the weight of its class in by_class (n_classes,)."""
        if by_class is None:
            return self
        codes = self.y if self.y.ndim == 1 else (self.y[:, 0] == 1.0).astype(np.int64)
        with np.errstate(over="ignore", invalid="ignore"):  # the check below raises its own error
            weight = by_class[codes] if self.weight is None else by_class[codes] * self.weight
        return self._replace(weight=in_range(weight, "class_weight, times sample_weight,"))


def matrix_of(X: Any, checked: Any) -> InMemory:
    """X after scikit-learn's check, as the kernel takes it: without a copy of an array or of a sparse matrix."""
    return Sparse.of("X", checked) if is_sparse(checked) else arguments.in_place(X, checked)


def place_of_text(error: ValueError, **given: Any) -> ValueError:
    """scikit-learn's error about arguments that it refused; about text, with its row and column."""
    if "could not convert string to float" in str(error):
        for argument, value in given.items():
            objects = np.asarray(value, object)
            for k, one in enumerate(objects.flat):
                try:
                    float(one)  # as scikit-learn, which takes "1.5" for 1.5
                except (TypeError, ValueError):
                    return ValueError(str(arguments.no_numbers(argument, value, objects, k)))
    return error


def in_range(weight: FloatArray, argument: str = "sample_weight") -> FloatArray:
    """The weights (n_samples,) themselves, or an error that names the first that is wrong, or their sum."""
    try:
        total_weight(_kernel, weight)
    except ValueError as error:
        zero = "" if np.any(weight) else "; a weight above zero is needed"
        raise ValueError(f"{str(error).replace('sample_weight', argument)}{zero}") from None
    return weight


def weights_of(sample_weight: Any, n_samples: int) -> FloatArray | None:
    """Sample weights as an array (n_samples,); a single number is the weight of every row."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        return in_range(np.full(n_samples, arguments.number("sample_weight", sample_weight, "[0, inf)")))
    kinds = {"dtype": np.float64, "order": "C", "input_name": "sample_weight"}
    try:
        weight = check_array(sample_weight, ensure_2d=False, **kinds)
    except ValueError as error:
        raise place_of_text(error, sample_weight=sample_weight) from None
    if weight.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar, got shape {weight.shape}")
    check_consistent_length(weight, np.empty(n_samples))
    return in_range(np.ascontiguousarray(weight))


def not_finite(what: str, row: str) -> OverflowError:
    return OverflowError(
        f"{what} of {row} is not finite: its target, sample weight or inputs, or the network's weights, are too large"
    )


def mean(values: FloatArray, weight: FloatArray | None, error: Callable[[int], Exception]) -> float:
    """The weighted mean of values (n_samples,); its sums are correctly rounded, so the same on every machine.

    error(s) makes the exception for the first row s at which the sum is not finite.
    """
    terms: FloatArray = values if weight is None else weight * values
    try:
        total = math.fsum(terms.tolist())
    except (OverflowError, ValueError):  # ValueError: infinities of both signs
        total = math.inf
    if not math.isfinite(total):
        bad = ~np.isfinite(np.add.accumulate(terms))
        raise error(int(bad.argmax() if bad.any() else np.abs(terms).argmax()))
    return total / (len(values) if weight is None else math.fsum(weight.tolist()))


def accuracy(right: npt.NDArray[np.bool_], weight: FloatArray | None) -> float:
    """The weighted share of True in right (n_samples,)."""
    if weight is None:
        return int(np.count_nonzero(right)) / len(right)
    return mean(right.astype(np.float64), weight, partial(not_finite, "the score"))


def r2(y: FloatArray, predicted: FloatArray, weight: FloatArray | None, error: Callable[[int], Exception]) -> float:
    """The mean R squared of the outputs; an output with constant targets has 1.0 if it fits them exactly, else 0.0.

    error(s) makes the exception for a score that is not finite, because of row s.
    """
    scores: list[float] = []
    worst: list[int] = []
    for t, o in zip(np.ascontiguousarray(y.T), np.ascontiguousarray(predicted.T), strict=True):
        squares, center = (t - o) * (t - o), mean(t, weight, error)
        missed = mean(squares, weight, error)
        spread = mean((t - center) * (t - center), weight, error)
        scores.append(1.0 - missed / spread if spread > 0.0 else 0.0 if missed > 0.0 else 1.0)
        worst.append(int((squares if weight is None else weight * squares).argmax()))
    return mean(np.array(scores), None, lambda j: error(worst[j]))


def log(x: FloatArray) -> FloatArray:
    """The correctly rounded logarithm; the logarithm of 0 is -inf."""
    out = np.empty(x.size)
    _kernel.elementary("log", np.ascontiguousarray(x).reshape(-1), out)
    return out.reshape(x.shape)
