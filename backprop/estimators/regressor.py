"""MLPRegressor."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.base import RegressorMixin
from sklearn.utils import check_array, column_or_1d
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import _num_samples, check_is_fitted

from ..arguments import FloatArray
from .base import Perceptron
from .environment import exact
from .rows import Rows, log, mean, not_finite, r2, weights_of
from .solvers import least_squares


class MLPRegressor(RegressorMixin, Perceptron):
    """A multilayer perceptron for regression, with scikit-learn's parameters and attributes.

    Parameters
    ----------
    loss : {"squared_error", "poisson", "absolute_error", "huber"}, default "squared_error"
        In this order: half the squared error; half the deviance of counts, with an exponential output; the absolute
        error; squared up to an error of 1, absolute beyond.
    hidden_layer_sizes, activation, and all others
        As for `MLPClassifier`; the score that early stopping looks at is R squared.

    Attributes
    ----------
    network_, coefs_, intercepts_, loss_curve_, and all others but classes_
        As for `MLPClassifier`. With several outputs, ``loss_curve_`` has means over the outputs, as in scikit-learn.

    Raises
    ------
    TypeError, ValueError, backprop.DivergenceError
        As for `MLPClassifier`.

    Examples
    --------
    >>> import numpy as np
    >>> from backprop.estimators import MLPRegressor
    >>> X = np.linspace(-1.0, 1.0, 100).reshape(-1, 1)
    >>> reg = MLPRegressor(hidden_layer_sizes=20, activation="tanh", solver="rprop", tol=1e-6, random_state=0)
    >>> reg = reg.fit(X, X[:, 0]**2)
    >>> float(reg.score(X, X[:, 0]**2)) > 0.98
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Perceptron._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson", "absolute_error", "huber"})],
    }
    _y_numeric = True

    def __init__(
        self,
        loss: str = "squared_error",
        hidden_layer_sizes: Any = (100,),
        activation: Any = "relu",
        *,
        solver: Any = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.001,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool | str = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
    ) -> None:
        self.loss = loss
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.max_fun = max_fun

    def predict(self, X: Any) -> FloatArray:
        """The predicted targets of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_outputs) for several outputs
        """
        output = self._output(X)
        return output if output.shape[1] > 1 else output.reshape(-1)

    @exact
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R squared of the predictions, by scikit-learn's `r2_score`; the mean over several outputs.

        Parameters
        ----------
        X, y, sample_weight
            As for `MLPClassifier.score`.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If there is one row only, whose R squared is undefined.
        OverflowError
            If the score or a prediction is not finite; the message names the row.
        """
        check_is_fitted(self)
        n_samples = _num_samples(X)
        if n_samples < 2:
            raise ValueError(f"score needs two rows or more, got {n_samples}: R squared of fewer is undefined")
        weight = weights_of(sample_weight, n_samples)
        score = float(super().score(X, y, weight))
        if math.isfinite(score):
            return score
        targets = check_array(y, ensure_2d=False, dtype=np.float64).reshape(len(y), -1)
        predicted = self.predict(X).reshape(targets.shape)
        return r2(targets, predicted, weight, lambda s: not_finite("the score", f"row {s}"))

    def _encode(self, y: Any, call: str, classes: Any = None) -> npt.NDArray[Any]:
        """Targets as (n_samples, n_outputs)."""
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return np.ascontiguousarray(y.reshape(y.shape[0], -1), np.float64)

    def _outputs(self, targets: Any) -> tuple[int, str, str]:
        if least_squares(self.solver) and self.loss != "squared_error":
            raise ValueError(f"solver={self.solver!r} needs loss='squared_error', got {self.loss!r}")
        return targets.shape[1], "exponential" if self.loss == "poisson" else "identity", self.loss

    def _reported(self, rows: Rows) -> Callable[[float], float]:
        """A function that converts the kernel's loss to a mean over the outputs, or to half the deviance of counts."""
        n_outputs = float(rows.y.shape[1])
        if self.loss != "poisson":
            return lambda loss: loss / n_outputs
        y = rows.y
        deviance = np.where(y > 0.0, y * log(np.where(y > 0.0, y, 1.0)) - y, 0.0)
        error = partial(rows.not_finite, "the loss")
        rest = sum(mean(np.ascontiguousarray(deviance[:, j]), rows.weight, error) for j in range(y.shape[1]))
        return lambda loss: loss + rest

    def _score_rows(self, output: FloatArray, rows: Rows) -> float:
        return r2(np.asarray(rows.y, np.float64), output, rows.weight, partial(rows.not_finite, "the score"))

    def _constant_score(self, rows: Rows) -> float:
        return 1.0 if np.all(rows.y == rows.y[0]) else 0.0

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
