"""The kernel's objects: each pointer is to memory that is there and is kept, whoever composes them."""

import gc
import weakref

import numpy as np
import pytest

from backprop import _kernel

SIZES, NAMES, N = (2, 3, 1), ("tanh", "identity"), 13
X, Y = np.array([[0.0, 1.0], [1.0, 0.5], [0.25, 0.75]]), np.array([[1.0], [0.0], [0.5]])
COUNTS = {"sgd": (1, 0, 0), "adam": (4, 2, 2), "lbfgs": (4, 2 * 5, 3 + 5), "levenberg_marquardt": (4, 0, 1)}


def sums_of(parameters=None, gradient=None, rows=3):
    parameters = np.linspace(-1.0, 1.0, N) if parameters is None else parameters
    work = _kernel.Pass(SIZES, NAMES, parameters, gradient, rows, 1, 1.5e6)
    return _kernel.LossPass(work, _kernel.Data(X, Y), "squared_error")


def step_of(rule, settings=None, n_slots=None, n_scalars=None, n=N):
    """A step of the right lengths, but for those that are given."""
    of_settings, of_slots, of_scalars = COUNTS[rule]
    settings = np.full(of_settings, 0.1) if settings is None else np.array(settings)
    if rule == "lbfgs" and settings.size:
        settings[0] = 5.0
    slots = np.zeros((of_slots if n_slots is None else n_slots, n))
    return _kernel.Step(rule, settings, slots, np.ones(of_scalars if n_scalars is None else n_scalars), True)


def trainer_of(rule, sums, step):
    return _kernel.METHODS[rule](sums, step) if rule in _kernel.METHODS else _kernel.Trainer(sums, step, 1, None)


@pytest.mark.parametrize("rule", COUNTS)
def test_lengths_are_those_of_the_rule(rule):
    def sums():
        return sums_of(gradient=np.empty(N))

    trainer_of(rule, sums(), step_of(rule))
    with pytest.raises(ValueError, match=f"settings of {rule} must be {COUNTS[rule][0]} in number, got 0"):
        step_of(rule, settings=[])
    with pytest.raises(ValueError, match=f"slots of {rule} must be {COUNTS[rule][1] * N} in number, got"):
        trainer_of(rule, sums(), step_of(rule, n_slots=COUNTS[rule][1] + 1))
    with pytest.raises(ValueError, match=f"scalars of {rule} must be {COUNTS[rule][2]} in number, got"):
        trainer_of(rule, sums(), step_of(rule, n_scalars=COUNTS[rule][2] + 1))
    if COUNTS[rule][1]:
        with pytest.raises(ValueError, match=f"slots of {rule} must be"):
            trainer_of(rule, sums(), step_of(rule, n=N - 1))


@pytest.mark.parametrize("memory", [0.0, -1.0, np.nan, np.inf])
def test_memory_of_lbfgs(memory):
    with pytest.raises(ValueError, match="memory of lbfgs must be at least 1"):
        _kernel.Step("lbfgs", np.array([memory, 0.0, 0.0, 20.0]), np.empty((0, N)), np.empty(3), True)


@pytest.mark.parametrize("rule", COUNTS)
def test_each_object_serves_one_other(rule):
    """Pointers of a second owner would be to arrays that the first one may have let go."""
    work = _kernel.Pass(SIZES, NAMES, np.zeros(N), np.empty(N), 3, 1, 1.5e6)
    sums = _kernel.LossPass(work, _kernel.Data(X, Y), "squared_error")
    with pytest.raises(ValueError, match="another LossPass uses this Pass"):
        _kernel.LossPass(work, _kernel.Data(X, Y), "squared_error")
    trainer_of(rule, sums, step_of(rule))
    with pytest.raises(ValueError, match="another trainer uses this LossPass"):
        trainer_of(rule, sums, step_of(rule))
    with pytest.raises(ValueError, match="a trainer uses this LossPass"):
        sums.run()


@pytest.mark.parametrize("rule", COUNTS)
def test_training_needs_a_writable_array_and_a_gradient(rule):
    with pytest.raises(ValueError, match="needs an array for the gradient"):
        trainer_of(rule, sums_of(), step_of(rule))
    parameters = np.zeros(N)
    parameters.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        trainer_of(rule, sums_of(parameters, np.empty(N)), step_of(rule))


@pytest.mark.parametrize("rule", COUNTS)
def test_a_rule_is_for_its_own_trainer(rule):
    kinds = {one: kind for one, kind in _kernel.METHODS.items() if one != rule}
    for kind in kinds.values():
        with pytest.raises(ValueError, match="the rule of the step must be"):
            kind(sums_of(gradient=np.empty(N)), step_of(rule))
    if rule in _kernel.METHODS:
        with pytest.raises(ValueError, match="is no update rule"):
            _kernel.Trainer(sums_of(gradient=np.empty(N)), step_of(rule), 1, None)
    with pytest.raises(ValueError, match="not in tuple"):
        _kernel.Step("momenta", np.empty(1), np.empty((0, N)), np.empty(0), True)


def test_a_network_has_a_layer():
    with pytest.raises(ValueError, match="must have a layer"):
        _kernel.Pass((2,), (), np.empty(0), None, 1, 1, 1.5e6)


def test_rates_of_dropout_are_as_many_as_hidden_layers():
    trainer = trainer_of("sgd", sums_of(gradient=np.empty(N)), step_of("sgd"))
    with pytest.raises(ValueError, match="rates of dropout must be 1 in number, got 2"):
        trainer.drop(np.array([0.5, 0.5]), np.random.PCG64(0))


class Array(np.ndarray):
    """An array that can be watched."""


def watched(array):
    array = np.array(array).view(Array)
    return array, weakref.ref(array)


@pytest.mark.parametrize("rule", COUNTS)
def test_arrays_are_kept_as_long_as_they_are_used(rule):
    of_settings, of_slots, of_scalars = COUNTS[rule]
    settings = {"lbfgs": [5.0, 0.0, 0.1, 20.0], "levenberg_marquardt": [0.1, 10.0, 1e10, 0.0]}
    of_rule = settings.get(rule, [0.1] * of_settings)
    scalars = [0.01] if rule == "levenberg_marquardt" else np.zeros(of_scalars)
    arrays = [np.linspace(-1.0, 1.0, N), np.empty(N), X, Y, np.ones(3), of_rule, np.zeros((of_slots, N)), scalars]
    arrays, seen = map(list, zip(*map(watched, arrays), strict=True))
    work = _kernel.Pass(SIZES, NAMES, arrays[0], arrays[1], 3, 1, 1.5e6)
    sums = _kernel.LossPass(work, _kernel.Data(*arrays[2:5], 3.0), "squared_error")
    trainer = trainer_of(rule, sums, _kernel.Step(rule, *arrays[5:], True))
    del arrays, work, sums
    gc.collect()
    assert all(one() is not None for one in seen)
    assert trainer.train(np.empty(2), 0, 2) >= 1
    assert trainer.evaluations >= (rule == "lbfgs")
    del trainer
    gc.collect()
    assert all(one() is None for one in seen)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n", [1, 7, 64, 700, 1025])
def test_one_number_that_is_not_finite_is_found_anywhere(n, value):
    """Large and small numbers beside it are finite, whatever their sum is."""
    values = np.resize([1.7e308, 5e-324, 1.7e308, -1.7e308, 0.0], n)
    assert _kernel.first_not_finite(values) == -1
    for k in range(n):
        kept, values[k] = values[k], value
        assert _kernel.first_not_finite(values) == k
        values[k] = kept


@pytest.mark.parametrize("exponent", [-1022, -1021, -3, 0, 5, 995])
@pytest.mark.parametrize("share", [0.0, 2.0**-52, 2.0**-31 - 2.0**-52, 2.0**-30, 2.0**-12, 0.5])
def test_a_mean_is_the_sum_divided_by_the_weight(exponent, share):
    """By a product with 1/weight only where the weight is a power of two, and so 1/weight exact."""
    weight = 2.0**exponent * (1.0 + share)
    X, y = np.array([[1.0]]), np.linspace(-3.0, 3.0, 9999)[None] / 7.0
    parameters, gradient = np.zeros(2 * 9999), np.empty(2 * 9999)
    work = _kernel.Pass((1, 9999), ("identity",), parameters, gradient, 1, 1, 1.5e6)
    sums = _kernel.LossPass(work, _kernel.Data(X, y, np.array([weight]), weight), "squared_error")
    assert sums.run()
    assert gradient.tolist() == [(0.0 + weight * (0.0 - t)) / weight for t in y[0].tolist()] * 2
