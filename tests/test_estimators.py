"""What the estimators promise beyond scikit-learn: the same bits, exact warm starts, and all that is added."""

import copy
import doctest
import importlib
import inspect
import pickle
import signal
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import scikit_learn
import scipy.sparse
import sklearn
import sklearn.neural_network as theirs
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris, load_wine, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import backprop
from backprop import _kernel

if scikit_learn.TOO_OLD:
    pytest.skip(scikit_learn.REASON, allow_module_level=True)

from backprop.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

IRIS = load_iris(return_X_y=True)
X, Y = StandardScaler().fit_transform(IRIS[0])[::2], IRIS[1][::2]
T = np.sin(X @ np.arange(1.0, 5.0))
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 10, "tol": 0.0, "random_state": 3}
KINDS = [(MLPClassifier, theirs.MLPClassifier, Y), (MLPRegressor, theirs.MLPRegressor, T)]
OURS = [(kind, y) for kind, _, y in KINDS]


def bits(model):
    """All that a fit leaves, but for what tells of the last call only."""
    curves = (model.loss_curve_, model.validation_scores_, model.validation_losses_)
    return model.network_, curves, model.t_, model.loss_, model.best_loss_, model.best_validation_score_


def test_import_of_backprop_alone():
    code = (
        "import backprop, sys; assert not any(name.partition('.')[0] in ('sklearn', 'scipy') for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("version", [None, "1.5.2"])
def test_without_scikit_learn(version, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("backprop.estimators")]:
        monkeypatch.delitem(sys.modules, name)
    if version is None:
        monkeypatch.setitem(sys.modules, "sklearn", None)
    else:
        monkeypatch.setattr(sklearn, "__version__", version)
    with pytest.raises(ImportError, match=r"exact-backprop\[sklearn\]"):
        importlib.import_module("backprop.estimators")


@pytest.mark.parametrize(("kind", "their_kind", "y"), KINDS)
def test_parameters(kind, their_kind, y):
    """Each has scikit-learn's meaning, default and place; ours come after them."""
    ours, of_them = inspect.signature(kind).parameters, inspect.signature(their_kind).parameters
    assert list(ours)[: len(of_them)] == list(of_them)
    assert all(
        ours[name].default == of_them[name].default and ours[name].kind == of_them[name].kind for name in of_them
    )


@pytest.mark.parametrize("name", ["MLPClassifier", "MLPRegressor"])
def test_examples_and_descriptions(name):
    kind = getattr(backprop.estimators, name)
    described = inspect.getdoc(MLPClassifier)
    assert all(parameter in described for parameter in MLPClassifier().get_params())
    assert doctest.DocTestParser().get_examples(inspect.getdoc(kind))
    assert doctest.testmod(sys.modules[kind.__module__]).failed == 0


# Compared with scikit-learn.


@pytest.mark.parametrize("activation", ["relu", "logistic"])
@pytest.mark.parametrize(("kind", "their_kind", "y"), KINDS)
def test_initial_weights(kind, their_kind, y, activation):
    """They are scikit-learn's, to the bit."""
    settings = {"hidden_layer_sizes": (5, 3), "activation": activation, "random_state": 7, "max_iter": 1}
    settings |= {"solver": "sgd", "learning_rate_init": 1e-300, "momentum": 0.0}
    ours, of_them = kind(**settings).fit(X, y), their_kind(**settings).fit(X, y)
    for name in ("coefs_", "intercepts_"):
        for one, other in zip(getattr(ours, name), getattr(of_them, name), strict=True):
            assert one.tobytes() == other.tobytes()


SAME = {
    "adam": {},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05},
    "momentum": {"solver": "sgd", "learning_rate_init": 0.05, "nesterovs_momentum": False},
    "plain": {"solver": "sgd", "learning_rate_init": 0.05, "momentum": 0.0},
    "invscaling": {"solver": "sgd", "learning_rate_init": 0.3, "learning_rate": "invscaling", "power_t": 0.4},
    "adaptive": {
        "solver": "sgd",
        "learning_rate_init": 0.02,
        "learning_rate": "adaptive",
        "tol": 0.05,
        "max_iter": 500,
    },
    "early_stopping": {"early_stopping": True, "learning_rate_init": 0.05, "validation_fraction": 0.3, "tol": 1e-3},
    "adam's": {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
}


WEIGHT = np.arange(75.0) % 4.0
TARGETS = {
    "classes": (MLPClassifier, Y, {}, {}),
    "two": (MLPClassifier, Y == 1, {}, {}),
    "labels": (MLPClassifier, np.column_stack([Y == 1, Y > 0, Y < 2]), {}, {}),
    "numbers": (MLPRegressor, T, {}, {}),
    "outputs": (MLPRegressor, np.column_stack([T, T * T]), {}, {}),
    "counts": (MLPRegressor, np.round(np.exp(T + 1.0)), {"loss": "poisson"}, {}),
    "weighted classes": (MLPClassifier, Y, {}, {"sample_weight": WEIGHT}),
    "weighted counts": (MLPRegressor, np.round(np.exp(T)), {"loss": "poisson"}, {"sample_weight": WEIGHT}),
}


@pytest.mark.parametrize("settings", SAME.values(), ids=SAME)
@pytest.mark.parametrize(("kind", "y", "loss", "weight"), TARGETS.values(), ids=TARGETS)
def test_same_fit(kind, y, loss, weight, settings):
    """Where a batch has all rows, both do the same, but for rounding."""
    settings = {"hidden_layer_sizes": (6, 5), "activation": "tanh", "random_state": 0, "max_iter": 60} | settings | loss
    ours = kind(**settings).fit(X, y, **weight)
    of_them = getattr(theirs, kind.__name__)(**settings).fit(X, y, **weight)
    for name in ("loss_curve_", "coefs_", "intercepts_", "loss_", "best_loss_", "validation_scores_"):
        one, other = getattr(ours, name), getattr(of_them, name)
        assert (one is None) == (other is None), name
        if isinstance(other, list) and other and np.ndim(other[0]):
            assert all(np.allclose(a, b, rtol=1e-6, atol=1e-8) for a, b in zip(one, other, strict=True)), name
        elif other is not None:
            assert np.allclose(one, other, rtol=1e-6, atol=1e-8), name
    for name in ("n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"):
        assert getattr(ours, name) == getattr(of_them, name), name
    assert np.allclose(ours.predict(X), of_them.predict(X), rtol=1e-6)
    assert np.allclose(ours.score(X, y), of_them.score(X, y))


@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "sgd", "max_iter": 3},
        {"solver": "sgd", "max_iter": 100, "tol": 10.0},
        {"solver": "adam", "max_iter": 100, "tol": 10.0, "early_stopping": True, "validation_fraction": 0.3},
        {"solver": "sgd", "max_iter": 1000, "tol": 10.0, "learning_rate": "adaptive", "learning_rate_init": 0.01},
    ],
)
@pytest.mark.parametrize(("kind", "their_kind", "y"), KINDS)
def test_verbose(kind, their_kind, y, settings, capsys):
    settings = {"verbose": True, "random_state": 0, "hidden_layer_sizes": (3,)} | settings
    their_kind(**settings).fit(X, y)
    expected = capsys.readouterr().out
    kind(**settings).fit(X, y)
    assert capsys.readouterr().out == expected != ""


# The same bits.


# The last loss of a classifier, and of a regressor with a validation set. They change with the contract's version only.
LOSSES = {
    "sgd": ("0x1.1b05056395a38p-1", "0x1.095714f05eb89p-3"),
    "adam": ("0x1.a1ea2d53301e3p-1", "0x1.b6b19d53bce00p-5"),
    "lbfgs": ("0x1.a140a84098ca4p-5", "0x1.1727fe44502a4p-6"),
    "rprop": ("0x1.f0e7fbca60dd9p-4", "0x1.c8dc19bbea9ccp-6"),
}


@pytest.mark.parametrize("solver", LOSSES)
def test_bits(solver):
    settings = {"solver": solver, "hidden_layer_sizes": (8,), "max_iter": 20, "random_state": 3}
    settings |= {"batch_size": 20} if solver in ("sgd", "adam") else {}
    classifier = MLPClassifier(**settings).fit(*IRIS)
    regressor = MLPRegressor(**settings, activation="tanh", early_stopping=True).fit(IRIS[0], IRIS[1] * 1.0)
    assert (classifier.loss_.hex(), regressor.loss_.hex()) == LOSSES[solver]


WARM = {
    "adam": {},
    "batches": {"batch_size": 7},
    "sgd": {"solver": "sgd", "learning_rate_init": 0.05, "batch_size": 16},
    "plain": {"solver": "sgd", "momentum": 0.0},
    "invscaling": {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.5, "batch_size": 20},
    "adaptive": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 2, "batch_size": 20},
    "no shuffle": {"shuffle": False, "batch_size": 10},
    "rprop": {"solver": "rprop"},
    "lbfgs": {"solver": "lbfgs"},
    "object": {"solver": backprop.RMSprop(0.01), "batch_size": 10},
    "early_stopping": {"early_stopping": True, "batch_size": 20},
    "by loss": {"early_stopping": "loss", "batch_size": 20},
}


@pytest.mark.parametrize("settings", WARM.values(), ids=WARM)
@pytest.mark.parametrize(("kind", "y"), OURS)
def test_warm_start(kind, y, settings):
    """5 epochs and 5 more are 10."""
    whole = kind(**SMALL | settings).fit(X, y)
    parts = kind(**SMALL | settings | {"max_iter": 5, "warm_start": True}).fit(X, y)
    parts = pickle.loads(pickle.dumps(parts)).fit(X, y)
    assert bits(parts) == bits(whole)
    assert (parts.n_iter_, whole.n_iter_) == (5, 10)


@pytest.mark.parametrize(
    "settings", [WARM[name] for name in WARM if name not in ("early_stopping", "by loss", "rprop", "lbfgs")]
)
@pytest.mark.parametrize(("kind", "y"), OURS)
def test_partial_fit(kind, y, settings):
    """10 calls with the same rows are a fit of 10 epochs."""
    whole = kind(**SMALL | settings).fit(X, y)
    parts = kind(**SMALL | settings)
    for _ in range(10):
        parts = copy.deepcopy(parts).partial_fit(X, y, **({} if kind is MLPRegressor else {"classes": [0, 1, 2]}))
    assert bits(parts) == bits(whole)
    assert parts.n_iter_ == 1


def test_other_rows_and_settings_go_on():
    """Rows, rates and optimizers may change from call to call."""
    model = MLPRegressor(**SMALL | {"solver": "sgd", "warm_start": True})
    for settings, rows in [({}, 60), ({"learning_rate_init": 1e-4}, 30), ({"solver": "adam"}, 50)]:
        before = model.set_params(**settings).fit(X[:rows], T[:rows]).network_
    assert model.t_ == 1400
    assert len(model.loss_curve_) == 30
    assert model.set_params(max_iter=1).fit(X, T).network_ != before
    with pytest.raises(ValueError, match="sizes of before"):
        model.set_params(hidden_layer_sizes=(9,)).fit(X, T)
    assert model.predict(X).shape == (75,)


OF_INTERRUPTS = {
    "last": {},
    "best": {"early_stopping": True},
    "rates": {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 2},
    "lbfgs": {"solver": "lbfgs", "batch_size": "auto"},
}


@pytest.fixture
def interrupts():
    """Python's own handler for Ctrl-C, which a shell may have its background jobs ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize("settings", OF_INTERRUPTS.values(), ids=OF_INTERRUPTS)
@pytest.mark.parametrize(("kind", "y"), OURS)
def test_interrupt(kind, y, settings):
    """What Ctrl-C leaves are the epochs so far, from which the fit can go on."""

    def interrupt(state):
        if state.epoch == 7:
            signal.raise_signal(signal.SIGINT)

    settings = SMALL | {"max_iter": 12, "batch_size": 20} | settings
    model = kind(**settings, warm_start=True)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, y, callback=interrupt)
    assert bits(model) == bits(kind(**settings | {"max_iter": 7}).fit(X, y))
    assert model.n_iter_ == 7
    assert bits(model.set_params(max_iter=5).fit(X, y)) == bits(kind(**settings).fit(X, y))


def test_interrupt_before_the_first_epoch_ends():
    def interrupt(state):
        raise KeyboardInterrupt

    model = MLPRegressor(**SMALL)
    with pytest.warns(UserWarning, match="interrupted by user"):
        model.fit(X, T, callback=interrupt)
    assert (model.n_iter_, model.t_, model.loss_curve_) == (0, 0, [])
    assert model.predict(X).shape == (75,)


def test_state_is_kept_in_between(monkeypatch):
    """How often the state is kept changes nothing."""
    expected = bits(MLPClassifier(**SMALL).fit(X, Y))
    monkeypatch.setattr("backprop.estimators.fit.SLICE", -1.0)
    assert bits(MLPClassifier(**SMALL).fit(X, Y)) == expected


def test_squares_of_weights():
    """By N11 in each layer: eight partial sums."""
    rng = np.random.default_rng(0)
    for sizes in [(1, 1), (3, 5, 2), (7, 11, 4, 3)]:
        network = backprop.Network(sizes, rng=1).with_parameters(rng.normal(size=backprop.Network(sizes).n_parameters))
        total = 0.0
        for W in network.weights:
            s = [0.0] * 8
            for k, w in enumerate(W.reshape(-1).tolist()):
                s[k % 8] = s[k % 8] + w * w
            total = total + (((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7])))
        assert _kernel.squares_of_weights(sizes, network.parameters) == total
    with pytest.raises(ValueError, match="too few"):
        _kernel.squares_of_weights((2, 3), np.zeros(8))


@pytest.mark.parametrize("slice_", [1e9, -1.0])
def test_lbfgs(slice_, monkeypatch):
    """How often the state is kept changes neither the weights nor what is counted."""
    monkeypatch.setattr("backprop.estimators.fit.SLICE", slice_)
    settings = SMALL | {"solver": "lbfgs", "max_iter": 500, "tol": 1e-4}
    with pytest.warns(ConvergenceWarning, match="max_fun=12"):
        few = MLPClassifier(**settings, max_fun=12).fit(X, Y)
    assert few.n_iter_ == 12
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MLPRegressor(**settings).fit(X, T, WEIGHT, validation_data=(X, T))
    of_them = theirs.MLPRegressor(**settings).fit(X, T, WEIGHT)
    assert model.loss_ < of_them.loss_ * 1.5
    assert len(model.validation_losses_) == model.n_iter_ < 500
    assert model.best_loss_ is None
    assert model.loss_ <= model.loss_curve_[-1]


@pytest.mark.parametrize(("kind", "y"), OURS)
def test_rows_are_predicted_alone_as_among_others(kind, y):
    model = kind(**SMALL).fit(X, y)
    for method in ("predict", "predict_proba", "predict_log_proba")[: 3 if kind is MLPClassifier else 1]:
        predict = getattr(model, method)
        whole = predict(X)
        assert all(predict(X[k : k + 1]).tobytes() == whole[k : k + 1].tobytes() for k in range(len(X)))


# More than scikit-learn.


@pytest.mark.parametrize("early_stopping", [False, True, "score", "loss"])
@pytest.mark.parametrize(("kind", "y"), OURS)
def test_validation_data(kind, y, early_stopping):
    settings = SMALL | {"early_stopping": early_stopping, "learning_rate_init": 0.1, "max_iter": 40}
    model = kind(**settings, n_iter_no_change=3).fit(X[::2], y[::2], validation_data=(X[1::2], y[1::2]))
    scores, losses = model.validation_scores_, model.validation_losses_
    assert len(scores) == len(losses) == len(model.loss_curve_) == model.n_iter_
    last = kind(**settings | {"early_stopping": False, "max_iter": model.n_iter_}).fit(X[::2], y[::2])
    assert np.isclose(scores[-1], last.score(X[1::2], y[1::2]), rtol=1e-12)
    if early_stopping == "loss":
        assert model.best_validation_loss_ == min(losses)
        assert model.network_.loss(X[1::2], y[1::2]) == min(losses)
        assert model.n_iter_ < 40
    elif early_stopping:
        assert model.best_validation_score_ == max(scores)
        assert np.isclose(model.score(X[1::2], y[1::2]), max(scores), rtol=1e-12)
        assert model.n_iter_ < 40
    else:
        assert model.network_ == last.network_


def test_validation_data_is_checked():
    with pytest.raises(TypeError, match="validation_data"):
        MLPClassifier().fit(X, Y, validation_data=X)
    with pytest.raises(ValueError, match="classes that are not among"):
        MLPClassifier().fit(X, Y, validation_data=(X, Y + 1))
    with pytest.raises(ValueError, match="features"):
        MLPClassifier().fit(X, Y, validation_data=(X[:, :2], Y))


@pytest.mark.parametrize("early_stopping", [False, True, "loss"])
@pytest.mark.parametrize("y", [T, np.column_stack([T, T])])
def test_divergence(early_stopping, y):
    model = MLPRegressor(**SMALL | {"solver": "sgd", "learning_rate_init": 1e3, "activation": "identity"})
    model.set_params(early_stopping=early_stopping, max_iter=200)
    with pytest.raises(
        backprop.DivergenceError, match=r"diverged: .*try a smaller learning rate.*preprocessed"
    ) as caught:
        model.fit(X, y)
    assert isinstance(caught.value, ValueError)
    assert len(pickle.loads(pickle.dumps(caught.value)).losses) == caught.value.epoch + 1
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_callback():
    seen = []
    model = MLPClassifier(**SMALL).fit(
        X, Y, callback=lambda state: seen.append(state.network) or np.True_ & (state.epoch == 3)
    )
    assert (model.n_iter_, len(seen), seen[-1]) == (4, 4, model.network_)
    with pytest.raises(ZeroDivisionError):
        MLPClassifier(**SMALL).fit(X, Y, callback=lambda state: 1 / 0)
    model = MLPClassifier(**SMALL, warm_start=True).fit(X, Y)
    before = bits(model)
    with pytest.raises(ZeroDivisionError):
        model.fit(X, Y, callback=lambda state: state.epoch == 15 and 1 / 0)
    assert bits(model) == before
    assert bits(model.fit(X, Y)) == bits(MLPClassifier(**SMALL | {"max_iter": 20}).fit(X, Y))


def test_initial_weights_of_ones_own():
    start = MLPClassifier(**SMALL | {"max_iter": 3}).fit(X, Y)
    arrays = {"coefs_init": start.coefs_, "intercepts_init": start.intercepts_}
    tiny = SMALL | {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1}
    assert MLPClassifier(**tiny).fit(X, Y, **arrays).network_ == start.network_
    assert MLPClassifier(**tiny, warm_start=True).fit(X, Y).fit(X, Y, **arrays).network_ == start.network_
    with pytest.raises(ValueError, match="both"):
        MLPClassifier().fit(X, Y, coefs_init=start.coefs_)
    with pytest.raises(ValueError, match="coefs_init must be for"):
        MLPClassifier().fit(X, Y, **arrays)


def test_arrays_can_be_replaced():
    model = MLPRegressor(**SMALL | {"warm_start": True}).fit(X, T)
    with pytest.raises(ValueError, match="read-only"):
        model.coefs_[0][0, 0] = 0.0
    model.coefs_[0] = np.zeros((4, 8))
    model.intercepts_ = [np.zeros(8), np.ones(1)]
    assert model.predict(X).tolist() == [1.0] * 75
    assert pickle.loads(pickle.dumps(model)).predict(X).tolist() == [1.0] * 75
    model.set_params(solver="sgd", learning_rate_init=1e-300, momentum=0.0, max_iter=1).fit(X, T)
    assert model.predict(X).tolist() == [1.0] * 75
    model.coefs_ = model.coefs_[:1]
    with pytest.raises(ValueError, match="one array for each layer"):
        model.predict(X)


def test_activations_of_each_layer():
    model = MLPClassifier(**SMALL | {"hidden_layer_sizes": (5, 4), "activation": ["tanh", "softplus"]}).fit(X, Y)
    assert model.network_.activations == ("tanh", "softplus", "softmax")
    with pytest.raises(ValueError, match="did you mean"):
        MLPClassifier(activation=["reluu"]).fit(X, Y)
    assert MLPClassifier(**SMALL | {"hidden_layer_sizes": ()}).fit(X, Y).network_.sizes == (4, 3)


OBJECTS = [backprop.SGD(0.01), backprop.Adam(0.01), backprop.AdamW(0.01), backprop.RMSprop(0.01), backprop.Rprop()]
OBJECTS += [backprop.LBFGS(), backprop.Adam(backprop.CosineDecay(0.1, 10))]


@pytest.mark.parametrize("solver", OBJECTS, ids=repr)
def test_optimizer_objects(solver):
    model = MLPClassifier(**SMALL | {"solver": solver}).fit(X, Y)
    start = MLPClassifier(**SMALL | {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1}).fit(X, Y).network_
    assert model.loss_curve_[-1] < model.loss_curve_[0]
    assert model.network_ != start
    assert hasattr(model, "partial_fit") == (not isinstance(solver, backprop.Rprop | backprop.LBFGS))


def test_class_weight():
    """It multiplies sample_weight, and weighs the watched rows too."""
    factors = np.array([1.0, 0.0, 2.5])
    for weight in (None, WEIGHT):
        expected = MLPClassifier(**SMALL).fit(X, Y, factors[Y] if weight is None else factors[Y] * weight)
        model = MLPClassifier(**SMALL, class_weight={1: 0.0, 2: 2.5}).fit(X, Y, weight)
        assert bits(model) == bits(expected)
    labels = np.array(["a", "b"])[(Y == 1) * 1]
    balanced = MLPClassifier(**SMALL, class_weight="balanced").fit(X, labels)
    assert bits(balanced) == bits(MLPClassifier(**SMALL).fit(X, labels, np.where(labels == "a", 0.75, 1.5)))
    watched = {"validation_data": (X, Y)}
    model = MLPClassifier(**SMALL, class_weight={1: 0.0, 2: 2.5}).fit(X, Y, **watched)
    assert np.isclose(model.validation_scores_[-1], model.score(X, Y, factors[Y]), rtol=1e-12)
    assert model.validation_losses_[-1] == model.network_.loss(X, Y, sample_weight=factors[Y])
    with pytest.raises(ValueError, match=r"balanced.*partial_fit"):
        MLPClassifier(class_weight="balanced").partial_fit(X, Y, classes=[0, 1, 2])
    with pytest.raises(ValueError, match="one class a row"):
        MLPClassifier(class_weight={0: 2.0}).fit(X, np.eye(3, dtype=int)[Y])
    with pytest.raises(ValueError, match="class_weight"):
        MLPClassifier(class_weight={7: 2.0}).fit(X, Y)


def test_sample_weight():
    expected = MLPRegressor(**SMALL).fit(X, T)
    assert bits(MLPRegressor(**SMALL).fit(X, T, np.ones(75))) == bits(expected)
    assert bits(MLPRegressor(**SMALL).fit(X, T, 1)) == bits(expected)
    for early_stopping in (False, "loss", "score"):
        settings = SMALL | {"early_stopping": early_stopping}
        weighted = MLPRegressor(**settings).fit(X, T, WEIGHT, validation_data=(X, T, WEIGHT + 1.0))
        assert np.isclose(weighted.validation_scores_[-1], weighted.score(X, T, WEIGHT + 1.0)) or early_stopping
        assert min(weighted.validation_losses_) < weighted.validation_losses_[0]
    for wrong in (np.zeros(75), -np.ones(75), np.ones(74), np.ones((75, 2)), np.full(75, np.nan)):
        with pytest.raises(ValueError, match=r"[Ww]eight|inconsistent"):
            MLPRegressor(**SMALL).fit(X, T, wrong)


def test_metadata_routing():
    with sklearn.config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        model = make_pipeline(scaler, MLPRegressor(**SMALL).set_fit_request(sample_weight=True))
        model.fit(X, T, sample_weight=WEIGHT)
    assert bits(model[-1]) == bits(MLPRegressor(**SMALL).fit(scaler.fit_transform(X), T, WEIGHT))


@pytest.mark.parametrize("solver", ["lm", backprop.LevenbergMarquardt()])
def test_least_squares(solver):
    settings = SMALL | {"solver": solver, "activation": "tanh", "max_iter": 200}
    assert MLPRegressor(**settings).fit(X, T).score(X, T) > 0.95  # adam comes to 0.7
    whole = MLPRegressor(**settings | {"max_iter": 8}).fit(X, T)
    half = MLPRegressor(**settings | {"max_iter": 4, "warm_start": True}).fit(X, T)
    assert bits(half.fit(X, T)) == bits(whole)
    assert MLPRegressor(**settings).fit(X, T, WEIGHT).score(X, T, WEIGHT) > 0.95
    two = MLPClassifier(**settings).fit(X, Y == 1)
    assert two.score(X, Y == 1) > 0.95
    assert two.out_activation_ == "logistic"
    with pytest.raises(ValueError, match="with 3 classes"):
        MLPClassifier(**settings).fit(X, Y)
    with pytest.raises(ValueError, match="needs loss='squared_error'"):
        MLPRegressor(**settings, loss="huber").fit(X, T)


# Data of all kinds, and scikit-learn's tools.


def test_labels_of_all_kinds():
    expected = MLPClassifier(**SMALL).fit(X, Y)
    for names in (np.array(["a", "b", "c"]), np.array(["a", "b", "c"], object), np.array([-1.5, 0.0, 7.0])[:0]):
        if names.size:
            model = MLPClassifier(**SMALL).fit(X, names[Y])
            assert model.classes_.tolist() == names.tolist()
            assert (model.predict(X) == names[expected.predict(X)]).all()
    two = MLPClassifier(**SMALL).fit(X, np.array(["no", "yes"])[(Y > 0) * 1])
    assert two.out_activation_ == "logistic"
    assert set(two.predict(X)) <= {"no", "yes"}
    assert two.predict_proba(X).shape == (75, 2)
    with pytest.raises(ValueError, match="Unknown label type"):
        MLPClassifier().fit(X, T)


def test_several_labels():
    rows, labels = make_multilabel_classification(n_samples=60, n_classes=4, random_state=0)
    model = MLPClassifier(**SMALL).fit(rows, labels)
    assert model.predict(rows).shape == model.predict_proba(rows).shape == (60, 4)
    assert model.classes_.tolist() == [0, 1, 2, 3]
    same = MLPClassifier(**SMALL).fit(rows, scipy.sparse.csr_matrix(labels))
    assert same.network_ == model.network_
    with pytest.raises(ValueError, match="must be several labels"):
        model.set_params(warm_start=True).fit(rows, labels[:, 0])


def test_data_frames_and_sparse_matrices():
    frame = pd.DataFrame(X, columns=list("abcd"))
    expected = MLPClassifier(**SMALL).fit(X, Y)
    named = MLPClassifier(**SMALL).fit(frame, Y)
    assert named.network_ == expected.network_
    assert named.feature_names_in_.tolist() == list("abcd")
    assert named.predict_proba(frame).tobytes() == expected.predict_proba(X).tobytes()
    with pytest.warns(UserWarning, match="feature names"):
        named.predict(X)
    for kind in (scipy.sparse.csr_matrix, scipy.sparse.csc_array, scipy.sparse.coo_matrix):
        sparse = MLPClassifier(**SMALL).fit(kind(X), Y)
        assert sparse.network_ == expected.network_
        assert sparse.predict_proba(kind(X)).tobytes() == expected.predict_proba(X).tobytes()


def test_everything_is_float64():
    small = MLPRegressor(**SMALL).fit(X.astype(np.float32), T.astype(np.float32))
    same = MLPRegressor(**SMALL).fit(X.astype(np.float32).astype(np.float64), T.astype(np.float32))
    assert bits(small) == bits(same)
    assert small.predict(X.astype(np.float32)).dtype == np.float64


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_grid(backend):
    """Processes and threads give the bits of one."""
    import joblib

    grid = {"mlp__alpha": [1e-4, 1e-2], "mlp__learning_rate_init": [0.01, 0.1]}
    model = make_pipeline(StandardScaler(), MLPClassifier(**SMALL))
    model.steps[-1] = ("mlp", model.steps[-1][1])
    one = GridSearchCV(model, grid, cv=3, n_jobs=1).fit(*load_wine(return_X_y=True))
    with joblib.parallel_backend(backend, n_jobs=2):
        two = GridSearchCV(model, grid, cv=3).fit(*load_wine(return_X_y=True))
    assert two.cv_results_["mean_test_score"].tobytes() == one.cv_results_["mean_test_score"].tobytes()
    assert bits(two.best_estimator_["mlp"]) == bits(one.best_estimator_["mlp"])


def test_calibration():
    model = CalibratedClassifierCV(MLPClassifier(**SMALL), cv=3).fit(X, Y)
    assert model.predict_proba(X).shape == (75, 3)


def test_output_is_a_data_frame_in_a_pipeline():
    model = make_pipeline(StandardScaler(), MLPRegressor(**SMALL)).set_output(transform="pandas")
    model.fit(pd.DataFrame(X, columns=list("abcd")), T)
    assert model[-1].feature_names_in_.tolist() == list("abcd")


def test_warnings_and_errors():
    with pytest.warns(ConvergenceWarning, match="max_iter=10"):
        MLPClassifier(**SMALL).fit(X, Y)
    with pytest.warns(UserWarning, match="batch_size=80"):
        MLPClassifier(**SMALL | {"batch_size": 80, "tol": 1.0, "max_iter": 100}).fit(X, Y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MLPClassifier(**SMALL | {"tol": 1.0, "max_iter": 100}).fit(X, Y)
    for wrong in (0, (5, 0), -1, (2.5,), "many"):
        with pytest.raises((TypeError, ValueError), match="hidden_layer_sizes"):
            MLPClassifier(hidden_layer_sizes=wrong).fit(X, Y)
    for wrong in ({"activation": "softmax"}, {"solver": "newton"}, {"early_stopping": "yes"}, {"momentum": 1.0}):
        with pytest.raises(ValueError, match=f"The '{next(iter(wrong))}' parameter"):
            MLPClassifier(**wrong).fit(X, Y)
    with pytest.raises(AttributeError, match="has no attribute 'partial_fit'"):
        MLPClassifier(solver="rprop").partial_fit(X, Y)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping"):
        MLPRegressor(early_stopping="loss").partial_fit(X, T)
    large = MLPRegressor(**SMALL | {"hidden_layer_sizes": ()}).fit(X, T)
    large.coefs_[0] = np.full((4, 1), 1e300)
    with pytest.raises(OverflowError, match="row 0"):
        large.predict(np.full((1, 4), 1e300))


@pytest.mark.parametrize("solver", ["sgd", "adam"])
@pytest.mark.parametrize("kind", [MLPRegressor, theirs.MLPRegressor], ids=["ours", "theirs"])
def test_a_loss_that_is_lower_by_just_tol_is_an_improvement(kind, solver):
    """Steps too short to move a weight keep the loss: with tol=0 the fit goes on, as in scikit-learn."""
    settings = {"solver": solver, "learning_rate_init": 1e-250, "n_iter_no_change": 2, "max_iter": 9}
    settings |= {"hidden_layer_sizes": (3,), "shuffle": False, "momentum": 0.0, "random_state": 0}
    rows, targets = np.linspace(-1.0, 1.0, 10).reshape(5, 2), np.linspace(0.0, 1.0, 5)
    assert kind(**settings, tol=0.0).fit(rows, targets).n_iter_ == 9
    assert kind(**settings, tol=1e-9).fit(rows, targets).n_iter_ == 4


@pytest.mark.parametrize(("kind", "y"), OURS)
def test_a_fit_that_fails_leaves_the_curves(kind, y):
    """A warm start whose callback raises: the curve is that of the epochs before, from which the next fit goes on."""
    model, other = (kind(**SMALL, warm_start=True).fit(X, y) for _ in range(2))
    before = list(model.loss_curve_)

    def fails(state):
        if state.epoch == len(before) + 3:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        model.fit(X, y, callback=fails)
    assert model.loss_curve_ == before
    assert bits(model.fit(X, y)) == bits(other.fit(X, y))
