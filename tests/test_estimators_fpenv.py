"""Changes of the host to the floating-point environment, or to NumPy's errors, reach no estimator (N1)."""

import functools
import json
import subprocess
import sys

import pytest
import scikit_learn
from problems import child_environment

if scikit_learn.TOO_OLD:
    pytest.skip(scikit_learn.REASON, allow_module_level=True)

CHILD = r'''
import contextlib, json, sys, warnings
import numpy as np, scipy.sparse
import backprop
from backprop.estimators import MLPClassifier, MLPRegressor
from host_modes import control, felt, set_control, set_mode

mode = sys.argv[1]
warnings.simplefilter("ignore")

# All data is made before the mode is set.
X = np.sin(np.arange(240.0).reshape(60, 4))
T = np.cos(X @ np.arange(1.0, 5.0)) / 3.0
TWO, THREE = (T > 0.0).astype(int), np.digitize(T, [-0.1, 0.1])
COUNTS = np.round(np.exp(3.0 * T + 1.0))
WEIGHT = np.arange(60.0) % 7.0 / 3.0
SINGLE, LONG = (X / 3.0).astype(np.float32), X.astype(np.longdouble) / 3.0
SUBNORMAL, SPARSE = np.full((60, 4), 1e-42, np.float32), scipy.sparse.csr_matrix(X)
LISTED = (X / 3.0).tolist()
TINY = T * 1e-200
KINDS = [
    (MLPRegressor, T, {}),
    (MLPRegressor, np.column_stack([T, T * T]), {}),
    (MLPRegressor, COUNTS, {"loss": "poisson"}),
    (MLPClassifier, TWO, {"class_weight": "balanced"}),
    (MLPClassifier, THREE, {"class_weight": {0: 1.0 / 3.0, 1: 0.1, 2: 0.7}}),
    (MLPClassifier, np.column_stack([TWO, 1 - TWO, THREE > 1]), {}),
]
SETTINGS = [
    {"alpha": 0.3, "batch_size": 7},
    {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.1, "n_iter_no_change": 1, "early_stopping": True},
    {"solver": "sgd", "learning_rate": "invscaling", "power_t": 1.0 / 3.0, "batch_size": 11},
    {"solver": "lbfgs", "early_stopping": "loss", "alpha": 1e-3},
    {"solver": "lbfgs"},
    {"early_stopping": "score", "validation_fraction": 1.0 / 3.0},
]
BASE = {"hidden_layer_sizes": (5, 3), "activation": "tanh", "max_iter": 12, "random_state": 3}
seen = []


def bits(model, X, y, weight=None):
    curves = [model.loss_curve_, model.validation_scores_ or [], model.validation_losses_ or [], [model.loss_]]
    yield from (model.network_.parameters, *map(np.array, curves))
    yield np.asarray(model.predict(X), float)
    yield np.array([model.score(X, y), model.score(X, y, weight)])
    if isinstance(model, MLPClassifier):
        yield from (model.predict_proba(X), model.predict_log_proba(X))


def fits():
    for kind, y, loss in KINDS:
        for settings in SETTINGS:
            yield from bits(kind(**BASE | settings | loss).fit(X, y, WEIGHT), X, y, WEIGHT)


def partial_fits():
    for kind, y, loss in KINDS[:2]:
        model = kind(**BASE | {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3} | loss)
        for rows in (60, 20, 37):
            model.partial_fit(X[:rows], y[:rows], WEIGHT[:rows])
        yield from bits(model, X, y, WEIGHT)


def conversions():
    for rows in (SINGLE, LONG, SUBNORMAL, SPARSE, LISTED):
        yield from bits(MLPClassifier(**BASE).fit(rows, TWO), rows, TWO, WEIGHT)
    yield from bits(MLPRegressor(**BASE, early_stopping=True).fit(X, TINY), X, TINY, WEIGHT)


def smallest_settings():
    model = MLPRegressor(**BASE | {"alpha": 5e-324, "learning_rate_init": 5e-324, "epsilon": 5e-324}).fit(X, T)
    yield from bits(model, X, T, WEIGHT)


def warm_starts():
    model = MLPRegressor(**BASE, warm_start=True, alpha=0.1).fit(X, T)
    yield from bits(model.fit(X, T, validation_data=(X[::2], T[::2], WEIGHT[::2])), X, T, WEIGHT)


def refusals():
    huge = T.copy()
    huge[7] = 1e155
    model = MLPRegressor(**BASE).fit(X, T)
    for call in (
        lambda: model.score(X, huge),
        lambda: model.fit(X, T, validation_data=(X, huge)),
        lambda: model.fit(X, T, WEIGHT - 1.0),
    ):
        try:
            call()
        except (ValueError, OverflowError) as error:
            yield np.frombuffer(str(error).encode(), np.uint8)


def callbacks():
    def look(state):
        seen.append((control(), felt(mode), np.geterr()))

    model = MLPRegressor(**BASE, early_stopping=True).fit(X, T, callback=look)
    look(None)
    yield model.network_.parameters


def found(action):
    """The bits of an action, or its error; the mode and NumPy's treatment of errors are the host's afterwards."""
    before = control()
    with contextlib.nullcontext() if mode != "numpy" else np.errstate(all="raise"):
        if mode != "numpy":
            set_mode(mode)
        during = control(), felt(mode), np.geterr()
        try:
            parts = [part.tobytes().hex() for part in action()]
        except Exception as error:
            if mode == "plain":
                raise
            parts = [repr(error)]
        finally:
            kept = control() == during[0]
            set_control(before)
    changed = [entry for entry in seen if entry != during]
    return {"bits": parts, "kept": kept, "changed": changed, "seen": len(seen), "felt": during[1:]}


print(json.dumps({name: found(globals()[name]) for name in sys.argv[2:]}))
'''

ACTIONS = ["fits", "partial_fits", "conversions", "smallest_settings", "warm_starts", "refusals", "callbacks"]
MODES = ["upward", "flush", "traps", "numpy"]


@functools.cache
def child(mode):
    """The result of each action in a process with this mode; "plain" leaves the environment alone."""
    arguments = [sys.executable, "-c", CHILD, mode, *ACTIONS]
    shown = subprocess.run(arguments, env=child_environment(), capture_output=True, text=True, timeout=600)
    assert (shown.returncode, shown.stderr) == (0, "")
    return json.loads(shown.stdout)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("mode", MODES)
def test_results_are_the_same(mode, action):
    found = child(mode)[action]
    assert found["kept"]
    assert found["bits"]
    assert found["bits"] == child("plain")[action]["bits"]


@pytest.mark.parametrize("mode", MODES)
def test_mode_is_the_hosts_in_callbacks(mode):
    found = child(mode)["callbacks"]
    assert found["seen"] > 3
    assert found["changed"] == []


def test_the_modes_are_real():
    assert child("upward")["fits"]["felt"][0] == [True, False, False]
    assert child("flush")["fits"]["felt"][0] == [False, False, True]
    assert child("numpy")["fits"]["felt"][1]["under"] == "raise"
