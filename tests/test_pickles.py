"""Pickle, copy, joblib and skops: everything travels as plain data, and goes on to the same bits."""

import copy
import dataclasses
import io
import pickle
import pickletools
import subprocess
import sys
import typing

import joblib
import numpy as np
import pytest
import scikit_learn
import skops.io
from problems import optimizers_by_rule, run_bits

import backprop
from backprop import plain, reference, streams
from backprop.optimizers import FULL_BATCH, Optimizer
from backprop.schedules import Schedule

X = np.linspace(-1.0, 1.0, 24)[:, None]
Y = np.sin(4.0 * X)
NETWORK = backprop.Network([1, 5, 1], rng=1)
WATCHED = backprop.EarlyStopping(validation_data=(X[::3], -Y[::3], np.arange(8.0)), patience=3)


def by_pickle(protocol):
    return lambda value: pickle.loads(pickle.dumps(value, protocol))


def by_joblib(value):
    file = io.BytesIO()
    joblib.dump(value, file)
    file.seek(0)
    return joblib.load(file)


def by_skops(value):
    data = skops.io.dumps(value)
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


WAYS = {f"pickle {protocol}": by_pickle(protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)}
WAYS |= {"copy": copy.copy, "deepcopy": copy.deepcopy, "joblib": by_joblib, "skops": by_skops}


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def again(request):
    """A function that gives what has arrived."""
    return request.param


def names_in(value, protocol):
    """The modules and names of which a pickle speaks."""
    strings, found = [], set()
    for code, argument, _ in pickletools.genops(pickle.dumps(value, protocol)):
        if code.name == "GLOBAL":
            found.add(tuple(argument.split(" ")))
        elif code.name == "STACK_GLOBAL":
            found.add(tuple(strings[-2:]))
        elif isinstance(argument, str):
            strings.append(argument)
    return found


def trust_needed(value):
    return skops.io.get_untrusted_types(data=skops.io.dumps(value))


def is_plain(value, *more):
    """Only the value's own class, and these, must be trusted; a pickle names no more."""
    kinds = [type(value), *more]
    assert trust_needed(value) == sorted(f"{kind.__module__}.{kind.__qualname__}" for kind in kinds)
    allowed = {(kind.__module__, kind.__qualname__) for kind in kinds}
    assert names_in(value, 4) <= allowed | {("copyreg", "_reconstructor"), ("builtins", "object")}


# Networks.


def test_networks(again):
    network = backprop.Network([3, 4, 2], ["softplus"], "softmax", rng=2)
    network.predict(np.zeros((1, 3)))  # which makes something that must not travel
    other = again(network)
    assert type(other) is backprop.Network
    assert other == network
    assert not other.parameters.flags.writeable
    assert other.predict(np.ones((4, 3))).tobytes() == network.predict(np.ones((4, 3))).tobytes()
    is_plain(network)


def test_a_network_takes_no_other_state():
    with pytest.raises(AttributeError, match="immutable"):
        NETWORK.__setstate__(backprop.Network([2, 2]).__getstate__())
    assert NETWORK == backprop.Network([1, 5, 1], rng=1)


# Optimizers and other settings.


RULES = optimizers_by_rule()
SCHEDULES = [
    backprop.StepDecay(0.1, every=2),
    backprop.ExponentialDecay(0.1, 0.99),
    backprop.InverseScaling(0.1),
    backprop.CosineDecay(0.1, epochs=7),
    backprop.ReduceOnPlateau(0.1, patience=1),
]
SETTINGS = [
    *RULES.values(),
    backprop.Adam(np.float32(0.125), l1=0.01, l2=np.float64(0.1), clip_norm=np.longdouble(0.5)),
    *SCHEDULES,
    backprop.BlockShuffle(),
    backprop.BlockShuffle(np.int64(5), window=2**100),
    backprop.Dropout(0.5),
    backprop.Dropout(np.array([0.0, 0.25]), rng=2**100),
    backprop.EarlyStopping(validation_fraction=np.float64(0.25), patience=np.int64(3), target_loss=0.1),
    backprop.Checkpoint("run.txt", every=3),
]


def test_no_setting_is_left_out():
    assert {type(one) for one in SCHEDULES} == set(typing.get_args(Schedule))
    others = {backprop.EarlyStopping, backprop.Dropout, backprop.BlockShuffle, backprop.Checkpoint}
    assert {type(one) for one in SETTINGS} == {*typing.get_args(Optimizer), *typing.get_args(Schedule), *others}


@pytest.mark.parametrize("setting", SETTINGS, ids=repr)
def test_settings(again, setting):
    other = again(setting)
    assert type(other) is type(setting)
    assert repr(other) == repr(setting)
    assert other == setting
    is_plain(setting)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_optimizers_with_a_schedule(again, schedule):
    optimizer = backprop.SGD(schedule)
    assert again(optimizer) == optimizer
    is_plain(optimizer, type(schedule))


KINDS_OF_DATA = {
    "arrays": (X, Y, np.arange(24.0)),
    "lists": (X.tolist(), Y.tolist(), [1] * 24),
    "no weights": (X, Y),
    "none for weights": (X, Y, None),
    "other types": (X.astype(np.float32), Y.astype(">f8"), np.arange(24, dtype=np.uint8)),
    "objects": (X.astype(object), Y.astype(np.longdouble), np.arange(24)),
}


@pytest.mark.parametrize("data", KINDS_OF_DATA.values(), ids=KINDS_OF_DATA)
def test_validation_data(again, data):
    """Rows, targets and weights arrive: alone, and as a part of a run's settings."""
    stop = backprop.EarlyStopping(validation_data=data, patience=3)
    run = backprop.fast_train(NETWORK, X, Y, epochs=2, stopping=stop)
    for other in (again(stop), again(run).settings.stopping):
        assert other == stop
        assert len(other.validation_data) == len(data)
        for part, expected in zip(other.validation_data, data, strict=True):
            assert (part is None) == (expected is None)
            if expected is not None:
                assert np.array_equal(np.array(part, np.float64), np.array(expected, np.float64))
    is_plain(stop)
    is_plain(run)


# Runs.


@pytest.mark.parametrize("optimizer", RULES.values(), ids=RULES)
def test_runs_of_every_optimizer(again, optimizer):
    batch_size = None if isinstance(optimizer, FULL_BATCH) else 5
    run = backprop.fast_train(NETWORK, X, Y, epochs=3, batch_size=batch_size, optimizer=optimizer)
    other = again(run)
    assert type(other) is backprop.Training
    assert run_bits(other) == run_bits(run)
    assert run_bits(other.resume(X, Y, epochs=2)) == run_bits(run.resume(X, Y, epochs=2))
    is_plain(run)


RUNS = {
    "watched": {"stopping": WATCHED},
    "dropped": {"dropout": backprop.Dropout(0.25)},
    "schedule": {"optimizer": backprop.Adam(backprop.ReduceOnPlateau(0.1, patience=1), clip_norm=1.0)},
    "seed": {"rng": 2**100},
    "blocks": {"shuffle": backprop.BlockShuffle(2, 3)},
    **{kind.__name__: {"rng": kind(4)} for kind in (np.random.PCG64DXSM, np.random.Philox, np.random.SFC64)},
}


@pytest.mark.parametrize("given", RUNS.values(), ids=RUNS)
def test_runs_of_every_state(engine, again, given):
    run = engine.train(NETWORK, X, Y, epochs=3, batch_size=7, **given)
    other = again(run)
    assert run_bits(other) == run_bits(run)
    assert run_bits(other.resume(X, Y, epochs=2)) == run_bits(run.resume(X, Y, epochs=2))
    assert other._engine == run._engine or type(other._engine) is type(run._engine)
    is_plain(run, *([reference.Definition] if type(run._engine) is reference.Definition else []))


def test_a_copy_shares_nothing_that_changes():
    run = backprop.fast_train(NETWORK, X, Y, epochs=3, batch_size=5)
    other = copy.copy(run)
    assert not np.shares_memory(other._state.slots, run._state.slots)
    assert other._state.stream is not run._state.stream


class Mine(backprop.Network):
    """A network of a user's class."""

    __slots__ = ()


@dataclasses.dataclass(frozen=True, repr=False)
class Faster(backprop.Adam):
    """An optimizer of a user's class."""


def test_classes_of_users_are_kept():
    run = backprop.fast_train(Mine([1, 5, 1]), X, Y, epochs=3, optimizer=Faster(0.1))
    for way in (plain.packed, plain.unpacked):  # classes of a test file have no name that a pickle could find
        assert type(way(run.network)) is Mine
        assert way(run.settings.optimizer) is run.settings.optimizer
    other = copy.copy(run)
    assert type(other.network) is Mine
    assert type(other.settings.optimizer) is Faster
    assert run_bits(other.resume(X, Y, epochs=2)) == run_bits(run.resume(X, Y, epochs=2))


def test_another_process():
    """A process that has imported nothing reads it, and goes on."""
    run = backprop.fast_train(NETWORK, X, Y, epochs=3, batch_size=5, stopping=WATCHED)
    program = (
        "import pickle, sys; run, X, y = pickle.load(sys.stdin.buffer); run = run.resume(X, y, epochs=2); "
        "pickle.dump(run, sys.stdout.buffer)"
    )
    data = pickle.dumps((run, X.tolist(), Y.tolist()))
    child = subprocess.run([sys.executable, "-c", program], input=data, capture_output=True, check=True)
    assert run_bits(pickle.loads(child.stdout)) == run_bits(run.resume(X, Y, epochs=2))


# Estimators.


if not scikit_learn.TOO_OLD:
    import pandas as pd

    from backprop.estimators import MLPClassifier, MLPRegressor

    LABELS = np.where(X[:, 0] > 0.3, "high", np.where(X[:, 0] > -0.3, "mid", "low"))
    SEVERAL = np.hstack([X > 0.0, X > 0.5, X < 0.1]).astype(int)
    PROBLEMS = {
        "regressor": (MLPRegressor, Y[:, 0]),
        "outputs": (MLPRegressor, np.hstack([Y, -Y])),
        "labels": (MLPClassifier, LABELS),
        "objects": (MLPClassifier, LABELS.astype(object)),
        "two classes": (MLPClassifier, (X[:, 0] > 0.0).astype(int)),
        "several labels": (MLPClassifier, SEVERAL),
    }
    SOLVERS = {
        "adam": {},
        "sgd": {"solver": "sgd", "learning_rate": "adaptive", "n_iter_no_change": 1, "tol": 1.0},
        "invscaling": {"solver": "sgd", "learning_rate": "invscaling"},
        "rprop": {"solver": "rprop"},
        "lbfgs": {"solver": "lbfgs"},
        "score": {"early_stopping": True},
        "loss": {"early_stopping": "loss"},
    }
    LARGER = np.repeat(X, 3, axis=0)

    def attributes(model):
        """Every attribute, in a form that can be compared."""
        found = {name: value for name, value in sorted(vars(model).items()) if name not in ("_training", "_shown")}
        found["_split_state"] = streams.plain_state(found.get("_split_state"))
        return {name: repr(value) for name, value in found.items()}

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    @pytest.mark.parametrize("settings", SOLVERS.values(), ids=SOLVERS)
    @pytest.mark.parametrize(("kind", "y"), PROBLEMS.values(), ids=PROBLEMS)
    def test_estimators(again, kind, y, settings):
        """A fit that goes on after the journey gives the bits of one that has stayed."""
        y = np.repeat(y, 3, axis=0)
        model = kind(hidden_layer_sizes=(4,), max_iter=4, random_state=5, warm_start=True, **settings).fit(LARGER, y)
        other = again(model)
        assert attributes(other) == attributes(model)
        assert (model._training is None) == (other._training is None)
        for _ in range(2):
            assert other.predict(LARGER).tolist() == model.predict(LARGER).tolist()
            before = list(model.loss_curve_)
            other.fit(LARGER, y)
            assert model.loss_curve_ == before  # the two share no list
            model.fit(LARGER, y)
            assert attributes(other) == attributes(model)
            assert run_bits(other._training) == run_bits(model._training)
        is_plain(model)

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    def test_estimators_with_other_parts(again):
        """Before a fit, with names of columns, with an optimizer of backprop, with other arrays, after a failed fit."""
        model = MLPRegressor(
            hidden_layer_sizes=(3,), solver=backprop.SGD(backprop.StepDecay(0.1, 2)), max_iter=3, random_state=0
        )
        assert attributes(again(model)) == attributes(model)
        is_plain(model, backprop.SGD, backprop.StepDecay)
        model.fit(pd.DataFrame(X, columns=["x"]), Y[:, 0])
        other = again(model)
        assert other.feature_names_in_.tolist() == ["x"]
        assert attributes(other) == attributes(model)
        is_plain(model, backprop.SGD, backprop.StepDecay)
        model.coefs_[0] = np.zeros((1, 3))
        model.set_params(warm_start=True)
        other = again(model)
        assert not other.coefs_[0].any()
        frame = pd.DataFrame(X, columns=["x"])
        assert attributes(other.fit(frame, Y[:, 0])) == attributes(model.fit(frame, Y[:, 0]))
        with pytest.raises(ValueError, match="diverged"):
            model.set_params(warm_start=False, solver=backprop.SGD(1e300)).fit(X, 1e150 * Y[:, 0])
        assert attributes(again(model)) == attributes(model)
        assert again(model).network_ == other.network_
        is_plain(model, backprop.SGD)

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    @pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
    @pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
    def test_no_more_trust_than_scikit_learn_asks_for(kind, solver):
        """One class: ours is the estimator's own, which skops does not know; theirs is the optimizer's, or none."""
        import sklearn.neural_network

        needed = []
        for module in (sklearn.neural_network, sys.modules["backprop.estimators"]):
            model = getattr(module, kind)(hidden_layer_sizes=(3,), solver=solver, max_iter=2).fit(X, np.arange(24) % 2)
            needed.append(trust_needed(model))
        assert len(needed[1]) == 1 >= len(needed[0])
