"""The rows of an estimator, converted for the kernel; scores and other means over rows."""

import math
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.utils import check_array
from sklearn.utils.validation import check_consistent_length

from .. import _kernel
from ..arguments import FloatArray

Labels = npt.NDArray[np.int64]
BLOCK = 1 << 20  # numbers of a sparse matrix that a prediction makes dense at once


class Rows(NamedTuple):
    """Checked rows with their targets and sample weights."""

    X: FloatArray  # (n_samples, n_features)
    y: FloatArray | Labels  # (n_samples, n_outputs), or (n_samples,) for the classes of a softmax output
    weight: FloatArray | None  # (n_samples,), or None: every row has the weight 1.0

    @property
    def n_samples(self) -> int:
        return len(self.X)

    @property
    def total_weight(self) -> float:
        return float(self.n_samples) if self.weight is None else math.fsum(self.weight.tolist())

    def part(self, chosen: npt.NDArray[Any]) -> "Rows":
        return Rows(self.X[chosen], self.y[chosen], None if self.weight is None else self.weight[chosen])

    def weighted(self, by_class: FloatArray | None) -> "Rows":
        """The rows, with each sample weight multiplied by the weight of its class in by_class (n_classes,)."""
        if by_class is None:
            return self
        codes = self.y if self.y.ndim == 1 else (self.y[:, 0] == 1.0).astype(np.int64)
        return self._replace(weight=by_class[codes] if self.weight is None else by_class[codes] * self.weight)


def dense(X: Any) -> FloatArray:
    """A checked matrix as C-contiguous float64; a sparse matrix is made dense."""
    return np.ascontiguousarray(X.toarray(order="C") if hasattr(X, "toarray") else X, np.float64)


def weights_of(sample_weight: Any, n_samples: int) -> FloatArray | None:
    """Sample weights as an array (n_samples,); a single number is the weight of every row."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        return np.full(n_samples, float(sample_weight))
    weight = check_array(sample_weight, ensure_2d=False, dtype=np.float64, order="C", input_name="sample_weight")
    if weight.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar, got shape {weight.shape}")
    check_consistent_length(weight, np.empty(n_samples))
    if np.any(weight < 0.0):
        raise ValueError(f"sample_weight must be >= 0, got {weight.min()} in row {weight.argmin()}")
    if not np.any(weight):
        raise ValueError("sample_weight must have a weight above zero, all are zero")
    return np.ascontiguousarray(weight)


def mean(values: FloatArray, weight: FloatArray | None) -> float:
    """The weighted mean of values (n_samples,); its sums are correctly rounded, so the same on every machine."""
    if weight is None:
        return math.fsum(values.tolist()) / len(values)
    return math.fsum((weight * values).tolist()) / math.fsum(weight.tolist())


def accuracy(right: npt.NDArray[np.bool_], weight: FloatArray | None) -> float:
    """The weighted share of True in right (n_samples,)."""
    return int(np.count_nonzero(right)) / right.shape[0] if weight is None else mean(right.astype(np.float64), weight)


def r2(y: FloatArray, predicted: FloatArray, weight: FloatArray | None) -> float:
    """The mean R squared of the outputs; an output with constant targets has 1.0 if it fits them exactly, else 0.0."""
    scores = []
    for t, o in zip(np.ascontiguousarray(y.T), np.ascontiguousarray(predicted.T), strict=True):
        with np.errstate(over="ignore"):  # a fit that diverges raises its own error
            error, spread = mean((t - o) * (t - o), weight), mean((t - mean(t, weight)) * (t - mean(t, weight)), weight)
        scores.append(1.0 - error / spread if spread > 0.0 else 0.0 if error > 0.0 else 1.0)
    return math.fsum(scores) / len(scores)


def log(x: FloatArray) -> FloatArray:
    """The correctly rounded logarithm; the logarithm of 0 is -inf."""
    out = np.empty(x.size)
    _kernel.elementary("log", np.ascontiguousarray(x).reshape(-1), out)
    return out.reshape(x.shape)
