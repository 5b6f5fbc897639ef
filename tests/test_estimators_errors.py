"""An estimator does what it is asked to do, or refuses; a result that is not finite is an error that names its row."""

import pickle
import re
import warnings

import numpy as np
import pytest
import scikit_learn
import scipy.sparse
from sklearn.exceptions import ConvergenceWarning, NotFittedError

import backprop

if scikit_learn.TOO_OLD:
    pytest.skip(scikit_learn.REASON, allow_module_level=True)

from backprop.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X = np.sin(np.arange(200.0).reshape(40, 5))
T = np.cos(X @ np.arange(1.0, 6.0))
Y = np.arange(40) % 3
SMALL = {"hidden_layer_sizes": (4,), "max_iter": 4, "random_state": 41}


def with_one(values, row, value):
    values = values.copy()
    values[row] = value
    return values


def everything(model):
    """All attributes of an estimator, as bytes."""
    return pickle.dumps(model)


# Activations of the layers.


@pytest.mark.parametrize("hidden", [(5, 5), (5, 1), (5, 3, 2), (4,), ()])
@pytest.mark.parametrize("names", [[], ["tanh"], ["tanh", "relu"], ("relu",) * 3, ["tanh"] * 4])
@pytest.mark.parametrize(
    ("kind", "y", "n_out"), [(MLPClassifier, Y, 3), (MLPClassifier, Y > 0, 1), (MLPRegressor, T, 1)]
)
def test_a_list_has_an_activation_for_each_hidden_layer(kind, y, n_out, names, hidden):
    model = kind(**SMALL | {"hidden_layer_sizes": hidden, "activation": names})
    if len(names) == len(hidden):
        network = model.fit(X, y).network_
        assert network.sizes == (5, *hidden, n_out)
        assert network.activations[:-1] == tuple(names)
        return
    for fit in (model.fit, model.partial_fit):
        with pytest.raises(ValueError, match=rf"activation must list one name for each of {len(hidden)} hidden layers"):
            fit(X, y, **({"classes": np.unique(y)} if fit == model.partial_fit and kind is MLPClassifier else {}))
    with pytest.raises(NotFittedError):
        model.predict(X)


GOES_ON = {
    "activation": ({}, {"activation": "tanh"}),
    "list": ({}, {"activation": ["tanh"]}),
    "too long a list": ({}, {"activation": ["relu", "relu"]}),
    "output": ({}, {"loss": "poisson"}),
    "back": ({"loss": "poisson"}, {"loss": "huber"}),
}


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize(("before", "after"), GOES_ON.values(), ids=GOES_ON)
def test_a_fit_that_goes_on_keeps_its_activations(before, after, call):
    model = MLPRegressor(**SMALL | before, warm_start=True).fit(X, T + 1.0)
    model.set_params(**after)
    old = everything(model)
    with pytest.raises(ValueError, match="activation"):
        getattr(model, call)(X, T + 1.0)
    assert everything(model) == old
    assert model.set_params(warm_start=False, **({"activation": "tanh"} if "activation" in after else {})).fit(
        X, T + 1.0
    )


@pytest.mark.parametrize("name", [["relu"], "relu"])
def test_the_same_activations_by_another_name_go_on(name):
    model = MLPClassifier(**SMALL, warm_start=True).fit(X, Y)
    same = MLPClassifier(**SMALL, warm_start=True).fit(X, Y)
    assert model.set_params(activation=name).fit(X, Y).network_ == same.fit(X, Y).network_


def test_losses_with_the_same_output_may_follow_each_other():
    model = MLPRegressor(**SMALL, warm_start=True).fit(X, T)
    assert len(model.set_params(loss="huber").fit(X, T).loss_curve_) == 8


def test_arrays_put_into_coefs_have_the_inputs_and_outputs_of_the_fit():
    model = MLPClassifier(**SMALL).fit(X, Y)
    model.coefs_[-1], model.intercepts_[-1] = np.zeros((4, 5)), np.zeros(5)
    for call in (lambda: model.predict_proba(X), lambda: pickle.dumps(model)):
        with pytest.raises(ValueError, match="coefs_ must be for 5 features and 3 outputs"):
            call()
    model.coefs_, model.intercepts_ = [np.zeros((5, 7)), np.zeros((7, 3))], [np.zeros(7), np.zeros(3)]
    assert model.predict_proba(X).shape == (40, 3)


# Nothing has changed after an error.


def fail(state):
    if state.epoch % 4 == 2:
        raise KeyError("from the callback")


FAILS = {
    "weights": ((X, Y, -np.ones(40)), {}),
    "callback": ((X, Y), {"callback": fail}),
    "other classes, and then the callback": ((X[:, :3], Y + 7), {"callback": fail}),
    "validation_data": ((X[:, :3], np.array(["a", "b"])[Y % 2]), {"validation_data": (X, Y)}),
    "divergence": ((X * 1e200, Y), {}),
}


@pytest.mark.parametrize("warm_start", [False, True])
@pytest.mark.parametrize(("rows", "given"), FAILS.values(), ids=FAILS)
def test_a_fit_that_fails_leaves_the_estimator_as_it_was(rows, given, warm_start):
    model = MLPClassifier(**SMALL, early_stopping=True, warm_start=warm_start).fit(X, Y)
    old, predicted = everything(model), model.predict(X)
    with pytest.raises((ValueError, ArithmeticError, KeyError)):
        model.fit(*rows, **given)
    assert everything(model) == old
    assert model.predict(X).tolist() == predicted.tolist()


def test_a_rate_that_a_failed_fit_was_given_is_that_of_the_next():
    settings = SMALL | {"solver": "sgd", "learning_rate": "adaptive", "tol": 10.0, "n_iter_no_change": 1}
    model = MLPRegressor(**settings, warm_start=True).fit(X, T)
    model.set_params(learning_rate_init=0.01)
    with pytest.raises(KeyError):
        model.fit(X, T, callback=fail)
    same = MLPRegressor(**settings, warm_start=True).fit(X, T).set_params(learning_rate_init=0.01)
    assert model.fit(X, T).network_ == same.fit(X, T).network_


# Results that are not finite.


HUGE = 1e155  # its square overflows


@pytest.mark.parametrize("early_stopping", [True, "score", "loss"])
@pytest.mark.parametrize("weight", [None, np.ones(40), np.full(40, 1e200)])
def test_rows_held_back_are_named_by_their_number(early_stopping, weight):
    """Some seeds hold the row back; with the others, the fit diverges."""
    row, target = 17, with_one(T, 17, HUGE if weight is None or weight[0] == 1.0 else 1e60)
    settings = SMALL | {"early_stopping": early_stopping, "validation_fraction": 0.3}
    held_back = 0
    for seed in range(12):
        model = MLPRegressor(**settings | {"random_state": seed})
        with pytest.raises(ArithmeticError, match=f"diverged|of row {row}, held back for validation, is not") as caught:
            model.fit(X, target, weight)
        held_back += caught.type is OverflowError
        with pytest.raises(NotFittedError):
            model.predict(X)
    assert 1 < held_back < 12


@pytest.mark.parametrize("early_stopping", [False, True, "loss"])
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "rprop", "lm", backprop.RMSprop(0.01)], ids=str)
@pytest.mark.parametrize("part", ["target", "input", "weight"])
def test_validation_rows_are_named(part, solver, early_stopping):
    x, y, weight = X[:9], T[:9], np.ones(9)
    if part == "target":
        y = with_one(y, 6, HUGE)
    elif part == "input":
        x = with_one(x, 6, 1e300)
    else:
        y, weight = with_one(y, 6, 1e100), with_one(weight, 6, 1e200)
    model = MLPRegressor(**SMALL | {"solver": solver, "early_stopping": early_stopping, "activation": "identity"})
    with pytest.raises(OverflowError, match="of validation row 6 is not finite") as caught:
        model.fit(X, T, validation_data=(x, y, weight))
    assert not isinstance(caught.value, backprop.DivergenceError)
    assert len(str(caught.value)) < 400


def test_losses_of_validation_rows_of_classes():
    """A weight times the logarithm of a probability, which overflows where it is not that of the likeliest class."""
    weight, x = np.ones(40), X.copy()
    weight[5:8], x[5:8] = 1e299, 1e290
    with pytest.raises(OverflowError, match=r"the watched loss of validation row [56] is not finite"):
        MLPClassifier(**SMALL, activation="identity").fit(X, Y, validation_data=(x, Y, weight))


@pytest.mark.parametrize("early_stopping", [False, True, "loss"])
def test_a_fit_that_diverges_says_so(early_stopping):
    """Its validation rows are not finite first, but neither are those that are trained on."""
    settings = SMALL | {"solver": "sgd", "learning_rate_init": 1e3, "activation": "identity", "max_iter": 200}
    with pytest.raises(backprop.DivergenceError, match="try a smaller learning rate"):
        MLPRegressor(**settings, early_stopping=early_stopping).fit(X, T, validation_data=(X, T))


def test_deviance_of_huge_counts():
    counts = with_one(np.ones(40), 23, 1e306)
    with pytest.raises(OverflowError, match="the loss of row 23 is not finite"):
        MLPRegressor(**SMALL, loss="poisson").fit(X, counts)


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("form", [np.asarray, np.ndarray.tolist, scipy.sparse.csr_matrix])
def test_score_names_the_row(form, columns):
    y = T if columns == 1 else np.column_stack([T, T * T, T])
    model = MLPRegressor(**SMALL).fit(X, y)
    assert np.isfinite(model.score(form(X), y))
    y = y.copy()
    y.reshape(40, -1)[11, -1] = HUGE
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(OverflowError, match="the score of row 11 is not finite"):
            model.score(form(X), y)
    with pytest.raises(OverflowError, match="the score of row 30 is not finite"):
        model.score(
            X,
            with_one(T, 30, 1e100) if columns == 1 else y * 0.0 + with_one(T, 30, 1e100)[:, None],
            with_one(np.ones(40), 30, 1e200),
        )


def test_score_of_nearly_constant_targets():
    """The spread of targets underflows where the errors do not: their quotient is not finite."""
    with pytest.raises(OverflowError, match="the score of row 1 is not finite"):
        MLPRegressor(**SMALL).fit(X, T).score(X[:2], [0.0, 1e-160])


def test_score_of_one_row():
    model = MLPRegressor(**SMALL).fit(X, T)
    with pytest.raises(ValueError, match="score needs two rows or more, got 1"):
        model.score(X[:1], T[:1])


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("weight", [np.full(40, 1e308), np.zeros(40), np.full(40, np.nan), -np.ones(40)])
def test_score_with_wrong_weights(kind, weight):
    y = Y if kind is MLPClassifier else T
    model = kind(**SMALL).fit(X, y)
    with pytest.raises(ValueError, match="sample_weight"):
        model.score(X, y, weight)
    assert 0.0 < abs(model.score(X, y, np.arange(40.0))) <= 1e3


@pytest.mark.parametrize("method", ["predict", "predict_proba", "predict_log_proba", "score"])
def test_predictions_name_the_row(method):
    model = MLPClassifier(**SMALL).fit(X, Y)
    model.coefs_[0] = np.full((5, 4), 1e200)
    with pytest.raises(OverflowError, match="row 3"):
        getattr(model, method)(with_one(X, 3, 1e200), *([Y] if method == "score" else []))


# Stopping early.


VALIDATION = (X[1::2], T[1::2])


@pytest.mark.parametrize("early_stopping", ["loss", "score"])
def test_lbfgs_stops_early_when_asked_to(early_stopping):
    settings = {"hidden_layer_sizes": (20,), "max_iter": 300, "random_state": 0, "alpha": 0.0, "tol": 1e-9}
    model = MLPRegressor(**settings, solver="lbfgs", early_stopping=early_stopping)
    model.fit(X[::2], T[::2], validation_data=VALIDATION)
    assert model.network_.loss(*VALIDATION) == min(model.validation_losses_) < model.validation_losses_[-1]
    assert model.n_iter_ < 300
    of_object = MLPRegressor(**settings, solver=backprop.LBFGS(tolerance=1e-9), early_stopping=early_stopping)
    assert model.network_ == of_object.fit(X[::2], T[::2], validation_data=VALIDATION).network_
    held_back = MLPRegressor(**settings, solver="lbfgs", early_stopping=early_stopping).fit(X, T)
    best = held_back.best_validation_loss_ if early_stopping == "loss" else held_back.best_validation_score_
    assert best == (
        min(held_back.validation_losses_) if early_stopping == "loss" else max(held_back.validation_scores_)
    )


def test_lbfgs_that_stops_early_keeps_its_own_ends():
    settings = {"random_state": 0, "solver": "lbfgs", "early_stopping": "loss", "n_iter_no_change": np.inf}
    with pytest.warns(ConvergenceWarning, match="max_fun=12"):
        assert MLPRegressor(**settings, max_fun=12).fit(X, T).n_iter_ <= 12
    assert MLPRegressor(**settings, max_iter=5000, tol=1e-12).fit(X, T).n_iter_ < 5000


def test_lbfgs_warns_of_a_plain_true():
    settings = SMALL | {"solver": "lbfgs", "max_iter": 500}
    with pytest.warns(UserWarning, match="solver='lbfgs' ignores early_stopping=True"):
        ignored = MLPRegressor(**settings, early_stopping=True).fit(X, T)
    assert ignored.network_ == MLPRegressor(**settings).fit(X, T).network_


RARE = np.arange(400) % 20 == 0
NOISE = np.random.PCG64(0).random_raw(1200).reshape(400, 3) / 2.0**63 - 1.0


@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_a_score_that_never_rises_is_warned_of(kind):
    """An accuracy stays that of the larger class; R squared, below that of the mean."""
    settings = {"hidden_layer_sizes": (5,), "random_state": 0, "early_stopping": True}
    with pytest.warns(ConvergenceWarning, match=r"never rose above .*early_stopping='loss'"):
        kind(**settings).fit(NOISE, RARE * 1 if kind is MLPClassifier else RARE * 1.0)


@pytest.mark.parametrize(
    "settings", [{"early_stopping": "loss"}, {"early_stopping": False}, {"learning_rate_init": 0.1}]
)
def test_a_score_that_rises_is_not_warned_of(settings):
    settings = {"hidden_layer_sizes": (8,), "random_state": 0, "early_stopping": True, "tol": 1e-3} | settings
    y = NOISE[:, 0] > 0.0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = MLPClassifier(**settings, max_iter=2000).fit(NOISE, y)
    assert model.n_iter_ < 2000
    assert caught == []


def test_ctrl_c_before_the_first_epoch_leaves_no_best():
    def interrupt(state):
        raise KeyboardInterrupt

    for early_stopping in (False, True, "loss"):
        model = MLPRegressor(**SMALL, early_stopping=early_stopping)
        with pytest.warns(UserWarning, match="interrupted"):
            model.fit(X, T, callback=interrupt)
        assert (model.best_loss_, model.best_validation_score_, model.best_validation_loss_) == (None, None, None)
        assert np.isfinite(model.loss_)


# Rates of calls that go on.


def test_another_first_rate_begins_adaptive_anew():
    settings = SMALL | {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.01, "momentum": 0.0}
    settings |= {"tol": 10.0, "n_iter_no_change": 1, "warm_start": True, "max_iter": 9}

    def one_more(**changes):
        model = MLPRegressor(**settings).fit(X, T)
        return model.set_params(max_iter=1, **changes).fit(X, T).network_

    kept, anew = one_more(), one_more(learning_rate_init=0.02)
    assert anew == one_more(learning_rate="constant", learning_rate_init=0.02)
    assert kept != one_more(learning_rate="constant")
    assert kept == one_more(learning_rate="constant", learning_rate_init=0.01 / 5.0 / 5.0 / 5.0 / 5.0)


def test_invscaling_counts_the_rows_of_all_calls():
    settings = SMALL | {"solver": "sgd", "momentum": 0.0, "learning_rate_init": 0.5, "power_t": 0.4}
    model = MLPRegressor(**settings, learning_rate="invscaling")
    seen = 0
    for n in (20, 40, 7, 31):
        rate = 0.5 / backprop.reference.exp(0.4 * backprop.reference.log(1.0 + seen))
        constant = pickle.loads(pickle.dumps(model)).set_params(learning_rate="constant", learning_rate_init=rate)
        model.partial_fit(X[:n], T[:n])
        assert model.network_ == constant.partial_fit(X[:n], T[:n]).network_
        seen += n


@pytest.mark.parametrize(
    ("X", "y", "words"),
    [
        ([["1.5", "2"], ["3", "a"]], [1.0, 2.0], "X must hold real numbers, got 'a' in row 1, column 1"),
        ([["1.5"], ["2"]], np.array([1.0, "b"], object), "y must hold real numbers, got 'b' in row 1"),
    ],
)
def test_text_that_is_no_number_is_named(X, y, words):
    """scikit-learn takes "1.5" for 1.5, so such text is not what is wrong."""
    with pytest.raises(ValueError, match=re.escape(words)):
        MLPRegressor(max_iter=2).fit(X, y)


def test_a_warm_start_of_lbfgs_on_other_rows_is_not_flat():
    """The loss of other rows is higher than the last one of the rows before, which is no sign that the fit is done."""
    X = np.random.default_rng(0).normal(size=(60, 3))
    model = MLPRegressor(hidden_layer_sizes=(5,), solver="lbfgs", warm_start=True, max_iter=20, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, X @ [1.0, 2.0, 3.0]).fit(X, 10.0 * (X @ [1.0, 2.0, 3.0]) + 3.0)
    assert model.n_iter_ == 20


def test_a_fit_that_diverges_from_the_start_says_so():
    with pytest.raises(backprop.DivergenceError, match="with the weights before the first step, the loss of row 0"):
        MLPRegressor(hidden_layer_sizes=(), max_iter=3, solver="sgd").fit([[1e160], [2e160]], [1.0, 2.0])


def test_a_score_of_no_rows_and_of_no_fit():
    with pytest.raises(ValueError, match="two rows or more, got 0"):
        MLPRegressor(hidden_layer_sizes=(), max_iter=1, solver="sgd").fit([[1.0], [2.0]], [1.0, 2.0]).score(
            np.empty((0, 1)), []
        )
    with pytest.raises(NotFittedError):
        MLPRegressor().score([[1.0]], [1.0])
