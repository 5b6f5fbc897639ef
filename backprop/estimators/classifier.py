"""MLPClassifier."""

from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import ClassifierMixin
from sklearn.utils import column_or_1d
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import _num_samples

from .. import _kernel, arguments
from ..arguments import FloatArray
from .base import Perceptron, _has_partial_fit
from .environment import exact
from .rows import Rows, accuracy, log, weights_of
from .solvers import least_squares


def _both(output: FloatArray) -> FloatArray:
    """The probabilities (n_samples, 2) of two classes, of which output (n_samples, 1) has the second."""
    return np.hstack([1.0 - output, output])


class MLPClassifier(ClassifierMixin, Perceptron):
    """A multilayer perceptron for classification, with scikit-learn's parameters and attributes.

    The network has one logistic output for two classes, a softmax output for more, and a logistic output for each of
    several labels. The loss is the cross entropy. All computations are in float64.

    Parameters
    ----------
    hidden_layer_sizes : int or sequence of int >= 1, default (100,)
        Widths of the hidden layers; there may be none.
    activation : str or list of str, default "relu"
        Activation of the hidden layers: identity, logistic, tanh, relu, or another one of `backprop.Network`; a list
        has one for each layer.
    solver : {"adam", "sgd", "lbfgs", "rprop", "lm"} or an optimizer of backprop, default "adam"
        "rprop" is `backprop.Rprop`, "lm" Levenberg and Marquardt's method. An object such as ``backprop.RMSprop(0.01)``
        is used with its own settings; `alpha`, `learning_rate_init` and the like are then ignored.
    alpha : float >= 0, default 0.0001
        L2 penalty: ``0.5*alpha/B`` times the sum of the squared weights, without biases, is added to the mean loss of a
        batch. B is the mean total weight of a batch: without sample weights, its mean number of rows. "lm" has no
        penalty.
    batch_size : int >= 1 or "auto", default "auto"
        Rows per step; "auto" is 200, or all if there are fewer. "lbfgs", "rprop" and "lm" take all rows at once.
    learning_rate : {"constant", "invscaling", "adaptive"}, default "constant"
        Schedule of the learning rate of "sgd". "invscaling": the rate of an epoch is
        ``learning_rate_init/(rows seen + 1)**power_t``. "adaptive": instead of stopping for lack of improvement, the
        rate is divided by 5, until it is 1e-6.
    learning_rate_init : float > 0, default 0.001
        Initial learning rate of "sgd" and "adam".
    power_t : float >= 0, default 0.5
        Exponent of "invscaling".
    max_iter : int >= 1, default 200
        Most epochs (iterations of a full-batch solver) in one call of fit.
    shuffle : bool, default True
        Visit the rows in a new order in each epoch.
    random_state : int, RandomState or None, default None
        Random state that draws the initial weights and the validation rows, with the same result as in scikit-learn,
        and the seed for the order of the rows, which is another than in scikit-learn.
    tol : float >= 0, default 1e-4
        Least change of loss or score that counts as an improvement; for "lbfgs", the fit ends when no component of the
        gradient is larger.
    verbose : bool, default False
        Print a line after each epoch.
    warm_start : bool, default False
        Continue from the end of the last fit, with its optimizer state and random stream: 5 epochs and 5 more give the
        bits of 10.
    momentum : float in [0, 1), default 0.9
    nesterovs_momentum : bool, default True
        Momentum of "sgd", and whether it is Nesterov's.
    early_stopping : bool, "score" or "loss", default False
        Hold back a share of the rows, stop when their score (True, "score") or loss no longer improves by `tol`, and
        keep the best weights. If False, the training loss decides. "lbfgs" ignores a plain True, as in scikit-learn,
        with a warning. For classes of unequal size, "loss" is the better choice: an accuracy may never rise.
    validation_fraction : float in [0, 1), default 0.1
        The share that early stopping holds back; see also the validation_data of `fit`.
    beta_1 : float in [0, 1), default 0.9
    beta_2 : float in [0, 1), default 0.999
    epsilon : float > 0, default 1e-8
        As for `backprop.Adam`; only for "adam".
    n_iter_no_change : int >= 1 or inf, default 10
        Patience: more epochs than this in a row without an improvement end the fit.
    max_fun : int >= 1, default 15000
        Most evaluations of the loss by "lbfgs".
    class_weight : dict, "balanced" or None, default None
        Weights of the classes, which multiply sample_weight in training and in the validation score and loss;
        "balanced" gives every class the same weight in total.

    Attributes
    ----------
    network_ : backprop.Network
        The fitted network, which is immutable.
    coefs_, intercepts_ : list of ndarray of shape (n_in, n_out) and (n_out,)
        Weights and biases of the network, read-only arrays. If you replace an array in a list, predictions use the new
        one.
    classes_ : ndarray of shape (n_classes,)
    loss_curve_ : list of float
        The mean loss of each epoch plus the penalty of the weights before the epoch.
    loss_, best_loss_ : float
        The last and the lowest loss with penalty; ``best_loss_`` is None with early stopping. For "lbfgs", ``loss_`` is
        that of the weights after the last iteration.
    validation_scores_, validation_losses_ : list of float or None
        Score and loss of the validation rows after each epoch: the one that early stopping watches, or both with
        validation_data; None otherwise. The losses are without the penalty.
    best_validation_score_, best_validation_loss_ : float or None
        The best watched score or loss; None if early stopping does not watch it.
    n_iter_ : int
        Epochs of the last call.
    t_ : int
        Number of rows visited in all calls.
    n_features_in_, feature_names_in_, n_layers_, n_outputs_, out_activation_
        As in scikit-learn.

    Raises
    ------
    TypeError, ValueError
        If a parameter or the data are invalid.
    backprop.DivergenceError
        If the loss of the training rows or a weight is not finite; it is a ValueError too. With early stopping,
        scikit-learn raises no such error.
    OverflowError
        If a prediction, or the score or the loss of validation rows is not finite; the message names the row.

    A fit that fails leaves the estimator as it was before.

    Notes
    -----
    Glorot and Bengio 2010 (initial weights), Kingma and Ba 2015 (Adam), Sutskever et al. 2013 (momentum), Liu and
    Nocedal 1989 (L-BFGS), Riedmiller and Braun 1993 (Rprop), Marquardt 1963.

    At Ctrl-C, fit gives a warning and keeps the weights after the last complete epoch, or the best ones with early
    stopping. With `warm_start`, the next fit continues from there.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from backprop.estimators import MLPClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> clf = MLPClassifier(hidden_layer_sizes=10, learning_rate_init=0.02, max_iter=500, random_state=1).fit(X, y)
    >>> float(clf.score(X, y)) > 0.95
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Perceptron._parameter_constraints,
        "class_weight": [dict, str, None],
    }
    _y_numeric = False
    classes_: npt.NDArray[Any]

    def __init__(
        self,
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
        class_weight: Any = None,
    ) -> None:
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
        self.class_weight = class_weight

    @available_if(_has_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Train for one more epoch, on these rows; N calls with the same rows give the bits of a fit of N epochs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,) or None
        classes : array-like of shape (n_classes,) or None
            All classes of all calls; required in the first call.

        Returns
        -------
        self
        """
        self._validate_params()
        if not self.__sklearn_is_fitted__():
            if classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
        elif classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
            raise ValueError(
                f"`classes={arguments.shown(classes)}` is not the same as on last call to partial_fit, was: "
                f"{arguments.cut(str(self.classes_))}"
            )
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,), or (n_samples, n_outputs) of 0 and 1 for several labels
        """
        return self._decode(self._output(X))

    def predict_proba(self, X: Any) -> FloatArray:
        """The probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        output = self._output(X)
        return output if output.shape[1] > 1 else _kernel.in_contract(_both, output)

    def predict_log_proba(self, X: Any) -> FloatArray:
        """The logarithm of `predict_proba`, correctly rounded; that of 0 is -inf.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return log(self.predict_proba(X))

    @exact
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy of the predictions, by scikit-learn's `accuracy_score`.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,) or None

        Returns
        -------
        float
        """
        return float(super().score(X, y, weights_of(sample_weight, _num_samples(X))))

    def _decode(self, output: FloatArray) -> npt.NDArray[Any]:
        """The predicted classes for the network's output (n_samples, n_outputs)."""
        if self._multilabel:
            return (output > 0.5).astype(np.int64)
        n = len(self.classes_)  # 1 if all training rows have the same class
        codes = output.argmax(axis=1) if n > 2 else np.minimum(output[:, 0] > 0.5, n - 1)
        decoded: npt.NDArray[Any] = self.classes_[codes]
        return decoded

    def _encode(self, y: Any, call: str, classes: Any = None) -> Any:
        """Classes as integers (n_samples,); two classes or several labels as 0.0 and 1.0 (n_samples, n_outputs)."""
        if not hasattr(y, "toarray") and y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        kind = type_of_target(y, input_name="y")
        if kind not in ("binary", "multiclass", "multilabel-indicator"):
            check_classification_targets(y)
            raise ValueError(f"y must hold one class for each row, or 0 and 1 for several labels; got {kind}")
        several = kind == "multilabel-indicator"
        if several:
            y = np.ascontiguousarray(y.toarray() if hasattr(y, "toarray") else y)
        found = np.arange(y.shape[1]) if several else np.unique(y)
        if call == "first":
            self.classes_, self._multilabel = found if classes is None or several else unique_labels(classes), several
        if several != self._multilabel:
            raise ValueError(
                f"y must be {'several labels' if self._multilabel else 'one class'} a row, as it was before"
            )
        if call == "again" and not np.array_equal(found, self.classes_):
            raise ValueError(
                "warm_start can only be used where `y` has the same classes as in the previous call to fit. Previously "
                f"got {arguments.cut(str(self.classes_))}, `y` has {arguments.cut(str(found))}"
            )
        unknown = np.setdiff1d(found, self.classes_)
        if unknown.size or (several and len(found) != len(self.classes_)):
            raise ValueError(
                f"y has classes that are not among those of the first fit, {arguments.cut(str(self.classes_))}: "
                f"{arguments.cut(str(unknown))}"
            )
        if several:
            return y.astype(np.float64)
        codes = np.searchsorted(self.classes_, y).astype(np.int64)
        return codes if len(self.classes_) > 2 else (codes == 1).astype(np.float64).reshape(-1, 1)

    def _outputs(self, targets: Any) -> tuple[int, str, str]:
        if targets.ndim == 1:
            if least_squares(self.solver):
                raise ValueError(
                    "Levenberg and Marquardt's method is for two classes, for several labels and for MLPRegressor; got "
                    f"solver={self.solver!r} with {len(self.classes_)} classes"
                )
            return len(self.classes_), "softmax", "cross_entropy"
        return targets.shape[1], "logistic", "squared_error" if least_squares(self.solver) else "binary_cross_entropy"

    def _class_weights(self, targets: Any) -> FloatArray | None:
        if self.class_weight is None:
            return None
        if self._multilabel:
            raise ValueError("class_weight is for one class a row; with several labels, give sample_weight")
        codes = targets if targets.ndim == 1 else (targets[:, 0] == 1.0).astype(np.int64)
        found = np.unique(codes)
        weights = np.ones(len(self.classes_))
        labels = self.classes_[codes]
        weights[found] = compute_class_weight(self.class_weight, classes=self.classes_[found], y=labels)
        return weights

    def _score_rows(self, output: FloatArray, rows: Rows) -> float:
        if rows.y.ndim == 1:
            return accuracy(output.argmax(axis=1) == rows.y, rows.weight)
        return accuracy(np.all((output > 0.5) == (rows.y > 0.5), axis=1), rows.weight)

    def _constant_score(self, rows: Rows) -> float:
        y = rows.y if rows.y.ndim == 1 else np.unique(rows.y, axis=0, return_inverse=True)[1].reshape(-1)
        return accuracy(y == np.bincount(y, rows.weight).argmax(), rows.weight)

    def _stratum(self, rows: Rows) -> Any:
        return rows.y > 0.5 if rows.y.ndim == 2 and not self._multilabel else None

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
