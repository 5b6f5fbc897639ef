"""The words of the estimators' errors: fast_train's about the same rows, the row that was given, and briefly."""

import math

import numpy as np
import pandas as pd
import pytest
import scikit_learn
import scipy.sparse
import sklearn
import sklearn.exceptions

if scikit_learn.TOO_OLD:
    pytest.skip(scikit_learn.REASON, allow_module_level=True)

from backprop.estimators import MLPClassifier, MLPRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

MOST = 400  # letters of a message
N = 40
X = np.linspace(-1.0, 1.0, N)[:, None]
T = X[:, 0] ** 2
LABELS = (X[:, 0] > 0.0).astype(int)
MANY = np.array([f"class number {k}" for k in range(10**5)])
MIXED = pd.DataFrame({"age": X[:, 0], "sex": ["F"] * N})
SOLVERS = ["adam", "sgd", "lbfgs", "rprop", "lm"]
SUM = "must have a sum above 0 and at most 1e300"


def regressor(**settings):
    return MLPRegressor(hidden_layer_sizes=3, max_iter=2, random_state=0, **settings)


def classifier(**settings):
    return MLPClassifier(hidden_layer_sizes=3, max_iter=2, random_state=0, **settings)


def message(call, kind=ValueError):
    with pytest.raises(kind) as caught:
        call()
    assert len(str(caught.value)) <= MOST
    return str(caught.value)


WEIGHTS = [
    (np.full(N, 1e308), f"sample_weight {SUM}, got inf for 40 rows"),
    (1e308, f"sample_weight {SUM}, got inf for 40 rows"),
    (np.zeros(N), f"sample_weight {SUM}, got 0.0 for 40 rows; a weight above zero is needed"),
    (0, f"sample_weight {SUM}, got 0.0 for 40 rows"),
    (-2.0, "sample_weight must be a finite number in [0, inf), got -2.0"),
    (math.nan, "sample_weight must be a finite number in [0, inf), got nan"),
    (10**400, "sample_weight must be a finite number in [0, inf), got one too large for a float"),
    (np.r_[np.ones(N - 1), -1.0], "sample_weight must be finite and >= 0, got -1.0 in row 39"),
    ("balanced", "sample_weight must hold real numbers, got 'balanced'"),
]


@pytest.mark.parametrize(("weight", "words"), WEIGHTS, ids=[f"{k}-{words}" for k, (_, words) in enumerate(WEIGHTS)])
@pytest.mark.parametrize("solver", SOLVERS)
def test_sample_weight(solver, weight, words):
    """No parameter that the estimator does not have is named, and Python's own errors do not come through."""
    for model, y in ((regressor(solver=solver), T), (classifier(solver=solver), LABELS)):
        assert words in message(lambda model=model, y=y: model.fit(X, y, sample_weight=weight))
    if solver in ("adam", "sgd"):
        assert words in message(lambda: regressor(solver=solver).partial_fit(X, T, sample_weight=weight))


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs", "rprop"])
@pytest.mark.parametrize("weight", [5e-324, np.full(N, 5e-324)], ids=["one", "each"])
def test_weights_that_alpha_cannot_be_divided_by(solver, weight):
    words = f"sample_weight {SUM}, large enough to divide alpha=0.0001 by it, got 2e-322 for 40 rows"
    assert words in message(lambda: regressor(solver=solver).fit(X, T, sample_weight=weight))
    regressor(solver=solver, alpha=0.0).fit(X, T, sample_weight=weight)


def test_sample_weight_that_scikit_learn_does_not_look_at():
    with sklearn.config_context(assume_finite=True):
        weight = np.r_[np.ones(N - 1), math.nan]
        assert "sample_weight must be finite and >= 0, got nan in row 39" in message(
            lambda: regressor().fit(X, T, sample_weight=weight)
        )


@pytest.mark.parametrize(
    ("by_class", "words"),
    [
        ({0: 0, 1: 0}, f"class_weight, times sample_weight, {SUM}, got 0.0 for 40 rows"),
        ({0: 1e308, 1: 1e308}, f"class_weight, times sample_weight, {SUM}, got inf for 40 rows"),
        ({0: -2.0, 1: 1.0}, "class_weight, times sample_weight, must be finite and >= 0, got -2.0 in row 0"),
        ({0: 1.0, 1: math.nan}, "class_weight, times sample_weight, must be finite and >= 0, got nan in row 20"),
        ({0: 5e-324, 1: 5e-324}, f"{SUM}, large enough to divide alpha=0.0001 by it, got 2e-322 for 40 rows"),
    ],
    ids=str,
)
def test_class_weight(by_class, words):
    assert words in message(lambda: classifier(class_weight=by_class).fit(X, LABELS))


def test_class_weight_times_sample_weight():
    model = classifier(class_weight={0: 1e200, 1: 1.0})
    text = message(lambda: model.fit(X, LABELS, sample_weight=np.full(N, 1e200)))
    assert "class_weight, times sample_weight, must be finite and >= 0, got inf in row 0" in text


@pytest.mark.parametrize("kind", [list, np.array, pd.DataFrame], ids=["list", "array", "table"])
def test_what_is_no_pair_of_rows(kind):
    data = kind(np.linspace(0.0, 1.0, 10**5).reshape(-1, 2))
    text = message(lambda: regressor().fit(X, T, validation_data=data), TypeError)
    assert text.startswith("validation_data must be None or a tuple (X, y) or (X, y, sample_weight), got ")
    assert "; make a tuple of it: (X, y)" in message(lambda: regressor().fit(X, T, validation_data=[X, T]), TypeError)


def test_many_other_classes():
    """Neither those before nor those after are listed whole."""
    rows = np.zeros((len(MANY), 1))
    first = classifier().partial_fit(X, LABELS, classes=[0, 1])
    assert "`classes=<array of shape (100000,)" in message(lambda: first.partial_fit(X, LABELS, classes=MANY))
    assert "`classes=['class number 0', " in message(lambda: first.partial_fit(X, LABELS, classes=MANY.tolist()))
    assert "not among those of the first fit, [0 1]: ['class number 0' " in message(
        lambda: first.partial_fit(rows, MANY)
    )
    warm = classifier(warm_start=True).fit(X, LABELS)
    assert "Previously got [0 1], `y` has ['class number 0' " in message(lambda: warm.fit(rows, MANY))


def test_many_layers():
    warm = regressor(warm_start=True).fit(X, T).set_params(hidden_layer_sizes=[2] * 1000)
    assert "the sizes of before, (1, 3, 1), got (1, 2, 2, " in message(lambda: warm.fit(X, T))
    deep = [np.ones((1, 1))] * 1000, [np.ones(1)] * 1000
    assert "coefs_init must be for layers of (1, 3, 1), got arrays for (1, 1, 1, " in message(
        lambda: regressor().fit(X, T, coefs_init=deep[0], intercepts_init=deep[1])
    )


def test_text():
    """A TypeError of fast_train, a ValueError here, as in scikit-learn."""
    words = "X must hold real numbers, got 'F' in row 0, column 1 ('sex'); turn text into numbers first"
    assert words in message(lambda: regressor().fit(MIXED, T))
    assert words in message(lambda: classifier().fit(MIXED, LABELS))
    assert "y must hold real numbers, got 'F' in row 0" in message(lambda: regressor().fit(X, MIXED["sex"]))
    words = "X must hold real numbers, got 'F' in row 0, column 1; turn text into numbers first"
    assert words in message(lambda: regressor().fit(MIXED.to_numpy(), T))


@pytest.mark.parametrize("s", range(0, N, 3))
def test_the_row_that_was_given(s):
    """The wrong row is found before rows are held back for validation."""
    counts = np.arange(float(N))
    counts[s] = -1.0
    words = f"y must be >= 0 for loss 'poisson', got -1.0 in row {s}, column 0"
    assert words in message(lambda: regressor(loss="poisson", early_stopping=True).fit(X, counts))
    assert words in message(lambda: regressor(loss="poisson").fit(X, counts))


@pytest.mark.parametrize("s", [0, 115, 116, 117, 118, 600, 699])
def test_rows_of_a_sparse_matrix_are_counted_from_its_beginning(s):
    """20,000 columns: 117 rows are made dense at once."""
    model = MLPRegressor(hidden_layer_sizes=(), max_iter=1, random_state=0, solver="rprop")
    model.fit(scipy.sparse.csr_array(np.eye(3, 20_000)), np.arange(3.0))
    model.coefs_ = [np.full((20_000, 1), 1e200)]
    rows = scipy.sparse.csr_array((np.array([1e300]), (np.array([s]), np.array([0]))), shape=(700, 20_000))
    assert f"the prediction of row {s} is not finite" in message(lambda: model.predict(rows), OverflowError)
