"""The common base of MLPClassifier and MLPRegressor: parameters, checks, the fit, predictions."""

import math
import operator
import warnings
from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar, Self, get_args

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, Options, StrOptions
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from .. import _kernel, arguments, threads
from ..arguments import FloatArray, shown
from ..matrices import InMemory
from ..network import Network
from ..optimizers import Optimizer
from ..passes import loss_of_samples, predictions
from ..run import Callback
from ..samples import Samples
from ..sources import is_source
from .environment import exact
from .fit import Curves, Fit, Progress, Rule
from .plain import packed_state, unpacked_state
from .rows import KINDS, Rows, matrix_of, place_of_text, weights_of
from .solvers import SOLVERS, full_batch, l2_of, optimizer_of, state_fits

HIDDEN = [name for name in _kernel.ACTIVATIONS if name != "softmax"]
OUTPUT_NAMES = {"exponential": "exp"}  # scikit-learn's names of output activations, where they differ


def _has_partial_fit(estimator: "Perceptron") -> bool:
    """Whether the estimator has partial_fit, which full-batch solvers have not."""
    if full_batch(estimator.solver):
        raise AttributeError(f"partial_fit is for solvers that take batches of rows, not for {shown(estimator.solver)}")
    return True


class Perceptron(BaseEstimator):
    """The base of MLPClassifier and MLPRegressor."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "hidden_layer_sizes": ["array-like", Interval(Integral, 1, None, closed="left")],
        "activation": [StrOptions(set(HIDDEN)), list, tuple],
        "solver": [StrOptions(set(SOLVERS)), *get_args(Optimizer)],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "batch_size": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean", StrOptions({"score", "loss"})],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left"), Options(Real, {math.inf})],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
    }

    network_: Network
    coefs_: list[FloatArray]
    intercepts_: list[FloatArray]
    solver: Any
    _y_numeric: bool
    _validate_params = exact(BaseEstimator._validate_params)

    # Methods that the two estimators override.

    def _encode(self, y: Any, call: str, classes: Any = None) -> Any:
        """y as the kernel takes it; call: "first" for a new fit, "again" for a warm start, "part" for some rows."""
        raise NotImplementedError

    def _outputs(self, y: Any) -> tuple[int, str, str]:
        """The number of outputs, the output activation and the loss."""
        raise NotImplementedError

    def _score_rows(self, output: FloatArray, rows: Rows) -> float:
        """The score of the network's output (n_samples, n_outputs) for these rows."""
        raise NotImplementedError

    def _constant_score(self, rows: Rows) -> float:
        """The best score for these rows of an answer that is the same for every row."""
        raise NotImplementedError

    def _stratum(self, rows: Rows) -> Any:
        """The labels (n_samples,) by which the draw of the validation rows is stratified, or None."""
        return None

    def _reported(self, rows: Rows) -> Callable[[float], float]:
        """A function that converts the kernel's loss to the one that scikit-learn reports."""
        return lambda loss: loss

    def _class_weights(self, targets: Any) -> FloatArray | None:
        """The weight of each class (n_classes,), or None."""
        return None

    # Fitting.

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        validation_data: Any = None,
        coefs_init: Any = None,
        intercepts_init: Any = None,
        callback: Callback | None = None,
    ) -> Self:
        """Fit to rows X with targets y.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Finite numbers. All computations are in float64; an array or a sparse matrix is converted piece by piece,
            without a copy of X. Rows on disk are read whole, but not for predictions (docs/large-data.md).
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,) or None
            Weights >= 0.
        validation_data : tuple (X, y) or (X, y, sample_weight), or None
            Rows to watch, in place of a share of the training rows. ``validation_scores_`` and ``validation_losses_``
            are then their scores and losses, with or without `early_stopping`.
        coefs_init : list of array-like of shape (n_in, n_out), or None
        intercepts_init : list of array-like of shape (n_out,), or None
            Initial weights and biases, one array for each layer; give both or none. By default `random_state` draws
            them.
        callback : callable or None
            Called with a `backprop.EpochState` after every epoch; returning True ends the fit.

        Returns
        -------
        self
        """
        self._validate_params()
        given = None if coefs_init is None and intercepts_init is None else (coefs_init, intercepts_init)
        return self._fit(X, y, sample_weight, validation_data, given, callback)

    @available_if(_has_partial_fit)
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train for one more epoch, on these rows; N calls with the same rows give the bits of a fit of N epochs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,) or None

        Returns
        -------
        self
        """
        self._validate_params()
        return self._fit(X, y, sample_weight, incremental=True)

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_data: Any = None,
        given: tuple[Any, Any] | None = None,
        callback: Callback | None = None,
        incremental: bool = False,
        classes: Any = None,
    ) -> Self:
        if incremental and self.early_stopping:
            raise ValueError(f"partial_fit does not support early_stopping={self.early_stopping}")
        if self.early_stopping and not self._early_stopping:
            warnings.warn(
                "solver='lbfgs' ignores early_stopping=True, as in scikit-learn; it stops by early_stopping='score' or "
                "'loss'",
                ConvergenceWarning,
                stacklevel=3,
            )
        before = self.__dict__.copy()
        try:
            fit = self._begun(X, y, sample_weight, validation_data, given, callback, incremental, classes)
            batch, n = self.batch_size, fit.rows.n_samples
            if batch != "auto" and batch > n and not full_batch(self.solver):
                warnings.warn(f"batch_size={batch} is more than the {n} rows, which are one batch", stacklevel=3)
            fit.train()
            self._publish(fit)
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            if self.__sklearn_is_fitted__():
                self._curves.cut(self._progress.lengths)
            raise
        fit.warn(self)
        return self

    @exact
    def _begun(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        validation_data: Any,
        given: tuple[Any, Any] | None,
        callback: Callback | None,
        incremental: bool,
        classes: Any,
    ) -> Fit:
        """The fit, ready to train, of checked arguments."""
        first = not self.__sklearn_is_fitted__() or not (self.warm_start or incremental)
        hidden = self._hidden()
        X, y = self._validated(X, y, first)
        targets = self._encode(y, "first" if first else "part" if incremental else "again", classes)
        if incremental and getattr(self, "class_weight", None) == "balanced":
            raise ValueError(
                "class_weight='balanced' needs all rows, which partial_fit has not: give a dict of weights"
            )
        by_class = self._class_weights(targets)
        rows = Rows(X, targets, weights_of(sample_weight, X.shape[0])).weighted(by_class)
        n_outputs, output, loss = self._outputs(targets)
        sizes = (X.shape[1], *hidden, n_outputs)
        begin = self._new_fit(sizes, output, given) if first else self._continued_fit(sizes, output, given)
        start, training, progress, curves, random_state = begin
        validation = None if validation_data is None else self._watched(validation_data).weighted(by_class)
        split = self._early_stopping and validation is None
        if split:  # before rows are held back: errors name the rows that were given
            Samples.checked(_kernel, sizes, rows.X, rows.y, loss, rows.weight)
        rows, watched = self._split(rows, random_state) if split else (rows, validation)
        if first:
            self._seed = int(random_state.randint(2**32, dtype=np.uint64))
        progress = self._restarted(progress)
        batch = self._batch_size(rows.n_samples)
        optimizer = optimizer_of(self, self._l2(rows, batch), progress, rows.n_samples)
        if training is not None and not state_fits(training.settings.optimizer, optimizer):
            start, training = training.network, None
        rule = self._rule(start, watched, loss, incremental, callback, validation is not None)
        settings = {"loss": loss, "optimizer": optimizer, "batch_size": batch, "rng": self._seed}
        settings["shuffle"] = bool(self.shuffle)
        reported = self._reported(rows)
        return Fit(rule, rows, settings, l2_of(optimizer), reported, start, training, progress, curves)

    def _new_fit(self, sizes: tuple[int, ...], output: str, given: Any) -> tuple[Any, ...]:
        """The network, training, progress, curves and random state of a new fit."""
        self._forget()
        random_state = check_random_state(self.random_state)
        start = self._start(sizes, output, given, random_state)
        self._split_state = random_state.get_state(legacy=False)
        return start, None, Progress(), Curves([], [], []), random_state

    def _continued_fit(self, sizes: tuple[int, ...], output: str, given: Any) -> tuple[Any, ...]:
        """The same of a warm start or a partial_fit: those at the end of the last call."""
        start, training = self._network(), self._training
        if start.sizes != sizes:
            raise ValueError(f"a fit that goes on needs the sizes of before, {shown(start.sizes)}, got {shown(sizes)}")
        names = arguments.activations(len(sizes) - 2, self.activation, output)
        if given is None and start.activations != names:
            raise ValueError(
                f"a fit that goes on needs the activations of before, {shown(start.activations)}, got {shown(names)}; "
                "give the old ones, or begin a new fit (warm_start=False)"
            )
        replaced = start is not self._published
        start = start if given is None else self._start(sizes, output, given, None)
        if training is not None and (replaced or given is not None):
            training = training._with(network=start)
        bitgen = getattr(np.random, self._split_state["bit_generator"])()
        random_state = np.random.RandomState(bitgen)
        random_state.set_state(self._split_state)  # it draws the same validation rows again
        return start, training, self._progress, self._curves, random_state

    def _validated(self, X: Any, y: Any, reset: bool) -> tuple[InMemory, Any]:
        """X as the kernel takes it, and y, after scikit-learn's checks; reset: there may be other features."""
        kinds = {"accept_sparse": "csr", "multi_output": True, "dtype": KINDS}
        try:
            checked, y = validate_data(self, X, y, **kinds, y_numeric=self._y_numeric, reset=reset)
        except ValueError as error:
            raise place_of_text(error, X=X, y=y) from None
        return matrix_of(X, checked), y

    def _hidden(self) -> tuple[int, ...]:
        """The widths of the hidden layers."""
        widths = np.atleast_1d(np.asarray(self.hidden_layer_sizes)).tolist()
        return tuple(arguments.integer(f"hidden_layer_sizes[{k}]", width, 1) for k, width in enumerate(widths))

    def _start(self, sizes: tuple[int, ...], output: str, given: Any, random_state: Any) -> Network:
        """The initial network: of the given arrays, or with the weights that scikit-learn would draw."""
        names = self.activation if isinstance(self.activation, str) else list(self.activation)
        arguments.activations(len(sizes) - 2, names, output)
        if given is not None:
            if given[0] is None or given[1] is None:
                raise ValueError("coefs_init and intercepts_init must be given both, or none of them")
            network = Network.from_arrays(given[0], given[1], names, output)
            if network.sizes != sizes:
                raise ValueError(
                    f"coefs_init must be for layers of {shown(sizes)}, got arrays for {shown(network.sizes)}"
                )
            return network
        every = [names] * (len(sizes) - 1) if isinstance(names, str) else [*names, names[-1] if names else "relu"]
        weights, biases = [], []
        for n_in, n_out, name in zip(sizes, sizes[1:], every, strict=False):
            bound = math.sqrt((2.0 if name == "logistic" else 6.0) / (n_in + n_out))
            weights.append(-bound + (bound + bound) * random_state.random_sample((n_in, n_out)))
            biases.append(-bound + (bound + bound) * random_state.random_sample(n_out))
        return Network.from_arrays(weights, biases, names, output)

    def _watched(self, validation_data: Any) -> Rows:
        """The checked rows of the argument validation_data."""
        if not isinstance(validation_data, tuple) or len(validation_data) not in (2, 3):
            raise arguments.no_validation_data(validation_data)
        X, y = self._validated(validation_data[0], validation_data[1], False)
        weight = weights_of(validation_data[2] if len(validation_data) == 3 else None, X.shape[0])
        return Rows(X, self._encode(y, "part"), weight, name="validation row {}")

    def _split(self, rows: Rows, random_state: Any) -> tuple[Rows, Rows]:
        """The rows to train on and the validation rows, split as scikit-learn splits them."""
        train, watch = train_test_split(
            np.arange(rows.n_samples),
            random_state=random_state,
            test_size=self.validation_fraction,
            stratify=self._stratum(rows),
        )
        if watch.size < 2:
            raise ValueError(
                f"The validation set is too small, {watch.size} of {rows.n_samples} rows: give more rows, or a larger "
                f"validation_fraction than {self.validation_fraction}"
            )
        return rows.part(train), rows.part(watch)._replace(name="row {}, held back for validation,")

    @property
    def _early_stopping(self) -> bool:
        """Whether to use validation rows; with a plain True lbfgs does not, as in scikit-learn."""
        return bool(self.early_stopping) and (self.solver != "lbfgs" or isinstance(self.early_stopping, str))

    def _restarted(self, progress: Progress) -> Progress:
        """The progress at the beginning of a call; "adaptive" keeps its rate if learning_rate_init is the same."""
        first = float(self.learning_rate_init)
        adaptive = self.solver == "sgd" and self.learning_rate == "adaptive"
        keeps_rate = adaptive and progress.rate is not None and progress.first_rate == first
        rate = progress.rate if keeps_rate else first if adaptive else None
        return progress._replace(epochs=0, evaluations=0, rate=rate, first_rate=first)

    def _batch_size(self, n_samples: int) -> int | None:
        if full_batch(self.solver):
            return None
        return min(200 if self.batch_size == "auto" else int(self.batch_size), n_samples)

    def _l2(self, rows: Rows, batch_size: int | None) -> float:
        """alpha divided by the mean total weight of a batch; scikit-learn divides by the total weight of each batch."""
        n_batches = -(-rows.n_samples // (batch_size or rows.n_samples))
        l2 = float(self.alpha) * n_batches / rows.total_weight
        if not math.isfinite(l2):
            raise ValueError(
                "sample_weight must have a sum above 0 and at most 1e300, large enough to divide "
                f"alpha={shown(self.alpha)} by it, got {rows.total_weight!r} for {rows.n_samples} rows"
            )
        return l2

    def _rule(
        self, start: Network, watched: Rows | None, loss: str, incremental: bool, callback: Callback | None, given: bool
    ) -> Rule:
        """The stopping rule of a call; given: the validation rows are those of the argument validation_data."""
        by_loss = self.early_stopping == "loss"
        watch = "" if self.solver == "lbfgs" else "loss"
        score = watched_loss = None
        if watched is not None:
            rows = watched
            samples = Samples.checked(_kernel, start.sizes, rows.X, rows.y, loss, rows.weight)
            samples = samples._replace(watched="row")
            if self._early_stopping:
                watch = "validation_loss" if by_loss else "score"
            if given or not by_loss:

                def score(network: Network) -> float:
                    error = partial(rows.not_finite, "the prediction")
                    return self._score_rows(predictions(network, rows.X, None, threads.POLICY, error), rows)

            if given or by_loss:

                def watched_loss(network: Network) -> float:
                    error = partial(rows.not_finite, "the watched loss")
                    return loss_of_samples(network, samples, loss, None, threads.POLICY, error=error)

        return Rule(
            incremental,
            1 if incremental else int(self.max_iter),
            int(self.max_fun),
            float(self.tol),
            math.inf if self.n_iter_no_change == math.inf else int(self.n_iter_no_change),
            watch,
            self.solver == "lbfgs",
            bool(self.verbose),
            score,
            watched_loss,
            self._constant_score(watched) if watched is not None and watch == "score" else -math.inf,
            callback,
        )

    def _publish(self, fit: Fit) -> None:
        """Set the fitted attributes."""
        progress, watch = fit.progress, fit.rule.watch
        none_yet = progress.watch != watch  # Ctrl-C came before the end of the first epoch
        self._training, self._progress, self._curves = fit.training, progress, fit.curves
        best = progress.best if watch == progress.watch else None
        self._published = fit.network if best is None else best
        self._put(self._published)
        self.loss_curve_ = fit.curves.losses
        self.loss_ = fit.loss_now() if fit.rule.descent or none_yet else progress.loss
        self.best_loss_ = progress.lowest if watch == "loss" and not none_yet else None
        self.validation_scores_ = fit.curves.scores if fit.rule.score else None
        self.best_validation_score_ = -progress.lowest if watch == "score" and not none_yet else None
        self.validation_losses_ = fit.curves.watched if fit.rule.watched_loss else None
        self.best_validation_loss_ = progress.lowest if watch == "validation_loss" and not none_yet else None
        self.n_iter_ = progress.epochs
        self.t_ = progress.seen
        self._no_improvement_count = progress.unimproved
        self.n_layers_ = len(self.network_.sizes)
        self.n_outputs_ = self.network_.sizes[-1]
        self.out_activation_ = OUTPUT_NAMES.get(self.network_.activations[-1], self.network_.activations[-1])

    # The network, and coefs_ and intercepts_: views of its arrays.

    def _put(self, network: Network) -> None:
        self.network_ = network
        self.coefs_, self.intercepts_ = list(network.weights), list(network.biases)
        self._shown = [*self.coefs_, *self.intercepts_]

    def _network(self) -> Network:
        """The fitted network; a new one if the user has put other arrays into coefs_ or intercepts_."""
        arrays = [*self.coefs_, *self.intercepts_]
        if len(arrays) != len(self._shown) or not all(map(operator.is_, arrays, self._shown)):
            names, ends = self.network_.activations, (self.n_features_in_, self.n_outputs_)
            network = Network.from_arrays(self.coefs_, self.intercepts_, names[:-1], names[-1])
            if (network.sizes[0], network.sizes[-1]) != ends:
                needed = f"{ends[0]} features and {ends[1]} outputs"
                raise ValueError(f"coefs_ must be for {needed}, got arrays for {shown(network.sizes)}")
            self._put(network)
        return self.network_

    def _forget(self) -> None:
        """Remove the fitted network, so that a callback of a new fit does not predict with the older one."""
        for name in ("network_", "coefs_", "intercepts_"):
            self.__dict__.pop(name, None)

    def __sklearn_is_fitted__(self) -> bool:
        return "network_" in self.__dict__

    def __getstate__(self) -> dict[str, Any]:
        if self.__sklearn_is_fitted__():
            self._network()
        return packed_state(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(unpacked_state(state))
        if self.__sklearn_is_fitted__():
            self._put(self.network_)

    # Predicting.

    def _output(self, X: Any) -> FloatArray:
        """The network's output, (n_samples, n_outputs)."""
        if "network_" not in self.__dict__:
            check_is_fitted(self)
        network = self._network()
        if type(X) is np.ndarray and "feature_names_in_" not in self.__dict__:
            try:
                return network.predict(X)
            except (TypeError, ValueError, ArithmeticError):  # scikit-learn's check below raises its own error
                pass
        return self._checked_output(X, network)

    @exact
    def _checked_output(self, X: Any, network: Network) -> FloatArray:
        """The network's output for rows that scikit-learn checks first; a source's are read block by block."""
        if is_source(X):
            return predictions(network, X, None, threads.POLICY)
        checked = validate_data(self, X, accept_sparse="csr", dtype=KINDS, reset=False)
        return predictions(network, matrix_of(X, checked), None, threads.POLICY)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
