"""Memory: many calls of each public function leave it where it was.

It is counted in blocks of Python's allocator and in bytes of the C library's, not in pages: a call that leaves 16 bytes
or one object behind is seen after some hundred calls. Caches fill before the count begins.
"""

import copy
import ctypes
import dataclasses
import functools
import gc
import io
import itertools
import os
import pickle
import sys
import tempfile
import threading
import typing
import warnings

import numpy as np
import pytest
import scikit_learn
from small_work import small_work_shared

import backprop
from backprop import _kernel, reference, tutorial
from backprop.optimizers import FULL_BATCH, Optimizer

ROUNDS = 4  # a leak grows in each of them, and other threads of the process not in all
LEAST_BYTES = 16  # that a leak leaves behind
LONG = 100_000  # calls

NETWORK = backprop.Network([2, 3, 1], rng=1)
X = np.array([[0.0, 1.0], [1.0, 0.5], [0.25, 0.75], [-1.0, 0.5]])
Y = np.array([[1.0], [0.0], [0.5], [0.25]])
LISTS = X.tolist(), Y.tolist()
CLASSES = np.array([0, 1, 2, 1])
CLASSIFIER = backprop.Network([2, 3, 3], "relu", "softmax", rng=1)
WATCHED = backprop.EarlyStopping(validation_data=(X, Y), patience=1)
RUN = backprop.fast_train(NETWORK, X, Y, epochs=2, stopping=WATCHED, dropout=backprop.Dropout(0.5))
OF_DEFINITION = reference.train(NETWORK, X, Y, epochs=2)


class Statistics(ctypes.Structure):
    """struct mallinfo2 of glibc."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keep",
        )
    ]


def bytes_of_c():
    """Bytes that the C library has given out; 0 where it does not tell."""
    try:
        told = ctypes.CDLL(None).mallinfo2
    except (AttributeError, TypeError, OSError):
        return 0
    told.restype = Statistics
    found = told()
    return found.uordblks + found.hblkhd


@pytest.fixture(scope="module", autouse=True)
def objects_that_are_there():
    """The collector leaves out what other tests have made: it is called often here."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def counted():
    """(blocks of Python's allocator, bytes of the C library's) in use."""
    gc.collect()
    return sys.getallocatedblocks(), bytes_of_c()


def growth(call, count):
    """(blocks, bytes) that `count` calls leave behind in the round that leaves least; the first is not counted."""
    found = []
    for _ in range(ROUNDS):
        blocks, used = counted()
        for _ in itertools.repeat(None, count):
            call()
        after = counted()
        found.append((after[0] - blocks, after[1] - used))
        if len(found) > 1 and is_small(found[-1], count):
            break
    return min(found[1:])


def is_small(left, count):
    return 4 * left[0] < 3 * count and left[1] < LEAST_BYTES * count // 2


def raises(expected, call):
    """A call that ends in this error."""

    def caught():
        try:
            call()
        except expected:
            return
        raise AssertionError("there is no error")

    return caught


def saved(value):
    stream = io.BytesIO()
    value.save(stream)
    return stream.getvalue()


FILES = {type(value): saved(value) for value in (NETWORK, RUN)}


def trained(optimizer=None, network=NETWORK, y=Y, **settings):
    return lambda: backprop.fast_train(network, X, y, optimizer=optimizer, **{"epochs": 2} | settings)


def optimizers():
    """One of each kind, and of each schedule."""
    kinds = [kind for kind in typing.get_args(Optimizer) if kind is not backprop.SGD]
    schedules = [backprop.StepDecay(0.1, 1), backprop.ExponentialDecay(0.1, 0.9), backprop.InverseScaling(0.1)]
    schedules += [backprop.CosineDecay(0.1, 5), backprop.ReduceOnPlateau(0.1)]
    penalized = [backprop.SGD(0.1, 0.9, True, l1=0.1, l2=0.1, clip_norm=1.0), backprop.RMSprop(momentum=0.5)]
    return [backprop.SGD(0.1), *(kind() for kind in kinds), *penalized, *map(backprop.SGD, schedules)]


def in_a_thread():
    with small_work_shared():
        thread = threading.Thread(target=trained(n_threads=2))
        thread.start()
        thread.join()


def with_two_threads():
    with small_work_shared():
        trained(n_threads=2)()
        NETWORK.loss(X, Y, n_threads=2)
        NETWORK.predict(X.astype(np.float32), n_threads=2)


def with_a_checkpoint():
    path = os.path.join(tempfile.gettempdir(), "run")
    trained(checkpoint=backprop.Checkpoint(path, every=1))()
    trained(checkpoint=backprop.Checkpoint(path, every=1))()
    os.unlink(path)


def partly(state):
    return state.epoch == 0 and state.network.n_parameters > 0


# The calls, and how many of them in the short run.
CALLS = {
    "Network": (lambda: backprop.Network([2, 3, 1]), 500),
    "Network, normal": (lambda: backprop.Network([2, 3, 1], rng=np.random.PCG64(1), initializer="he_normal"), 200),
    "from_arrays": (lambda: backprop.Network.from_arrays(NETWORK.weights, NETWORK.biases), 500),
    "with_parameters": (lambda: NETWORK.with_parameters(NETWORK.parameters), 500),
    "attributes": (
        lambda: (NETWORK.weights, NETWORK.biases, repr(NETWORK), hash(NETWORK), NETWORK == RUN.network),
        500,
    ),
    "predict": (lambda: NETWORK.predict(X), 500),
    "predict, first": (lambda: NETWORK.with_parameters(NETWORK.parameters).predict(X), 500),
    "predict, lists": (lambda: NETWORK.predict(LISTS[0]), 500),
    "predict, float32": (lambda: NETWORK.predict(X.astype(np.float32)), 500),
    "loss": (lambda: NETWORK.loss(X, Y), 500),
    "loss, lists and weights": (lambda: NETWORK.loss(*LISTS, sample_weight=[1, 2, 3, 4]), 200),
    "loss_and_gradient": (lambda: backprop.loss_and_gradient(NETWORK, X, Y), 500),
    "save": (lambda: saved(NETWORK), 200),
    "save to a path": (lambda: NETWORK.save(os.path.join(tempfile.gettempdir(), "net")), 50),
    "load": (lambda: backprop.Network.load(io.BytesIO(FILES[backprop.Network])), 200),
    "copies": (lambda: (copy.copy(NETWORK), copy.deepcopy(NETWORK), pickle.loads(pickle.dumps(NETWORK))), 200),
    "Training": (lambda: (RUN.losses, RUN.validation_losses, RUN.best_epoch, RUN.settings, repr(RUN)), 500),
    "resume": (lambda: RUN.resume(X, Y, epochs=1), 150),
    "Training.save": (lambda: saved(RUN), 100),
    "Training.load": (lambda: backprop.Training.load(io.BytesIO(FILES[backprop.Training])), 100),
    "copies of a Training": (lambda: (copy.copy(RUN), copy.deepcopy(RUN), pickle.loads(pickle.dumps(RUN))), 100),
    "validation_fraction": (trained(stopping=backprop.EarlyStopping(validation_fraction=0.25)), 150),
    "EarlyStopping": (lambda: pickle.loads(pickle.dumps(backprop.EarlyStopping(validation_data=(X, Y)))), 200),
    "watched": (trained(stopping=WATCHED), 150),
    "dropout": (trained(dropout=backprop.Dropout([0.5])), 150),
    "checkpoint": (with_a_checkpoint, 100),
    "callback": (trained(callback=partly), 150),
    "sample_weight": (trained(sample_weight=[1, 2, 3, 4], batch_size=2), 150),
    "generator": (lambda: trained(rng=np.random.default_rng(0))(), 150),
    "labels": (trained(network=CLASSIFIER, y=CLASSES), 150),
    "two threads": (with_two_threads, 50),
    "a thread of the caller's": (
        in_a_thread,
        2000,
    ),  # the C library's memory for a thread's own is some kilobytes more or less
    "reference.train": (lambda: reference.train(NETWORK, X, Y, epochs=1), 40),
    "reference.train, L-BFGS": (lambda: reference.train(NETWORK, X, Y, epochs=1, optimizer=backprop.LBFGS()), 40),
    "reference.resume": (lambda: OF_DEFINITION.resume(X, Y, epochs=1), 40),
    "reference.predict": (lambda: reference.predict(NETWORK, X), 200),
    "reference.loss": (lambda: reference.loss(NETWORK, X, Y), 200),
    "reference.loss_and_gradient": (lambda: reference.loss_and_gradient(NETWORK, X, Y), 200),
    "tutorial.walk": (tutorial.walk, 200),
    "show_config": (backprop.show_config, 200),
}
for one in optimizers():
    CALLS[f"fast_train, {one!r}"] = (trained(one, batch_size=None if isinstance(one, FULL_BATCH) else 1), 150)
    settings = {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
    CALLS[f"optimizer, {one!r}"] = (functools.partial(dataclasses.replace, one, **settings), 200)

NAN = np.full((4, 2), np.nan)
DIVERGING = trained(backprop.SGD(1e200), epochs=9)
ERRORS = {
    "a type": (TypeError, lambda: backprop.Network(5)),
    "a name": (ValueError, lambda: backprop.Network([1, 1], output_activation="sigmoid")),
    "immutable": (AttributeError, lambda: setattr(NETWORK, "weights", 1)),
    "NaN in X": (ValueError, lambda: NETWORK.predict(NAN)),
    "NaN in training": (ValueError, lambda: backprop.fast_train(NETWORK, NAN, Y)),
    "a shape": (ValueError, lambda: NETWORK.loss(X, Y[:3])),
    "a class": (ValueError, lambda: CLASSIFIER.loss(X, [0, 1, 2, 3])),
    "an optimizer": (TypeError, trained(5)),
    "a setting": (ValueError, lambda: backprop.Adam(-1.0)),
    "a weight": (ValueError, trained(sample_weight=[1, 2, 3, -4])),
    "divergence": (backprop.DivergenceError, DIVERGING),
    "divergence of the definition": (
        backprop.DivergenceError,
        lambda: reference.train(NETWORK, X, Y, optimizer=backprop.SGD(1e200), epochs=9),
    ),
    "overflow": (OverflowError, lambda: NETWORK.loss(X, Y * 1e200)),
    "overflow of an output": (OverflowError, lambda: RUN.network.with_parameters(np.full(13, 1e308)).predict(X)),
    "the callback's": (ZeroDivisionError, trained(callback=lambda state: 1 / 0)),
    "a file": (ValueError, lambda: backprop.Network.load(io.BytesIO(FILES[backprop.Network][:-9]))),
    "a file of a run": (ValueError, lambda: backprop.Training.load(io.BytesIO(FILES[backprop.Training][:-9]))),
    "no file": (OSError, lambda: backprop.Network.load(os.path.join(tempfile.gettempdir(), "none"))),
    "no folder": (OSError, trained(checkpoint=backprop.Checkpoint(os.path.join(tempfile.gettempdir(), "none", "run")))),
    "the kernel's": (ValueError, lambda: _kernel.Step("lbfgs", np.zeros(4), np.empty((0, 1)), np.empty(3), True)),
}
CALLS |= {f"error: {name}": (raises(*error), 100) for name, error in ERRORS.items()}


@pytest.mark.parametrize("name", CALLS)
def test_nothing_grows(name):
    call, count = CALLS[name]
    left = growth(call, count)
    assert is_small(left, count), f"{count} calls leave {left[0]} blocks and {left[1]} bytes"


def at_length(call):
    """100,000 calls leave what a hundredth of them could: caches have been filled by some calls before."""
    for _ in itertools.repeat(None, 300):
        call()
    blocks, used = counted()
    for _ in itertools.repeat(None, LONG):
        call()
    after = counted()
    assert after[0] - blocks < LONG // 100
    assert after[1] - used < LEAST_BYTES * LONG // 100


@pytest.mark.long
@pytest.mark.longest
@pytest.mark.parametrize("name", CALLS)
def test_nothing_grows_at_length(name):
    at_length(CALLS[name][0])


def of_estimators():
    """The calls of the estimators."""
    from sklearn.base import clone

    from backprop.estimators import MLPClassifier, MLPRegressor

    small = {"hidden_layer_sizes": (3,), "max_iter": 2, "random_state": 0}
    regressor, classifier = MLPRegressor(**small), MLPClassifier(**small)
    fitted, sorter = clone(regressor).fit(X, Y[:, 0]), clone(classifier).fit(X, CLASSES)
    stopping = MLPRegressor(early_stopping="loss", validation_fraction=0.5, **small)
    return {
        "fit": lambda: clone(regressor).fit(X, Y[:, 0]),
        "fit again": lambda: fitted.fit(X, Y[:, 0]),
        "fit, lbfgs": lambda: clone(regressor).set_params(solver="lbfgs").fit(X, Y[:, 0]),
        "fit, early stopping": lambda: clone(stopping).fit(X, Y[:, 0]),
        "fit, classes": lambda: clone(classifier).fit(X, CLASSES),
        "partial_fit": lambda: clone(regressor).partial_fit(X, Y[:, 0]).partial_fit(X, Y[:, 0]),
        "partial_fit, classes": lambda: clone(classifier).partial_fit(X, CLASSES, classes=[0, 1, 2]),
        "predict": lambda: (fitted.predict(X), fitted.score(X, Y[:, 0])),
        "predict, classes": lambda: (sorter.predict(X), sorter.predict_proba(X), sorter.predict_log_proba(X)),
        "pickle": lambda: pickle.loads(pickle.dumps(fitted)),
        "error": raises(ValueError, lambda: clone(regressor).fit(NAN, Y[:, 0])),
        "error, predict": raises(ValueError, lambda: fitted.predict(NAN)),
    }


NAMES_OF_ESTIMATORS = ["fit", "fit again", "fit, lbfgs", "fit, early stopping", "fit, classes", "partial_fit"]
NAMES_OF_ESTIMATORS += ["partial_fit, classes", "predict", "predict, classes", "pickle", "error", "error, predict"]


@scikit_learn.needed
@pytest.mark.parametrize("name", NAMES_OF_ESTIMATORS)
def test_nothing_grows_in_estimators(name):
    """partial_fit makes the curve of losses longer, by design: hence a new estimator in each call.

    scikit-learn itself keeps some fifty blocks more or less, however many calls there are.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        left = growth(of_estimators()[name], 100)
    assert is_small(left, 100), f"100 calls leave {left[0]} blocks and {left[1]} bytes"


@scikit_learn.needed
@pytest.mark.long
@pytest.mark.longest
@pytest.mark.parametrize("name", NAMES_OF_ESTIMATORS)
def test_nothing_grows_in_estimators_at_length(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        at_length(of_estimators()[name])


@pytest.mark.parametrize("size", [1, 16, 1000, 100_000])
def test_a_leak_is_seen(size):
    """Memory that a C function leaves behind is counted, and memory that Python keeps."""
    if bytes_of_c():
        malloc = ctypes.CDLL(None).malloc
        malloc.argtypes, malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
        assert not is_small(growth(lambda: malloc(size), 200), 200)
    kept = []
    assert not is_small(growth(lambda: kept.append(bytearray(size)), 200), 200)
    assert is_small(growth(lambda: bytearray(size), 200), 200)
