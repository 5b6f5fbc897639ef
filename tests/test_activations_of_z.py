"""Activations whose derivative is a function of the net input: no finite number gives a NaN, and slopes are slopes."""

import decimal
import itertools
import math

import numpy as np
import pytest
from problems import bits, result_bits, run_bits, some_problem

import backprop
from backprop import reference

OF_Z = [name for name, row in reference.ACTIVATIONS.items() if row.of_z]
BIGGEST = float(np.finfo(float).max)
POSITIVE = [0.0, 5e-324, 1e-310, 2.2250738585072014e-308, 1e-160, 1e-8, 0.5, 1.0, 2.0, 5.0, 6.0, 8.0, 19.0, 26.7, 38.0]
POSITIVE += [40.0, 709.0, 710.0, 745.0, 746.0, 1000.0, 1e9, 1e77, 1e103, 1e154, 1.5e154, 1e200, 9e307, 1e308, BIGGEST]
EXTREME = [sign * z for z in POSITIVE for sign in (1.0, -1.0)]


def test_which():
    assert OF_Z == ["silu", "gelu", "gaussian"]


@pytest.mark.parametrize("name", reference.ACTIVATIONS)
def test_no_finite_number_gives_a_nan(name):
    row = reference.ACTIVATIONS[name]
    for z in EXTREME:
        a = row.value(z)
        assert not math.isnan(a)
        if name != "exponential" or math.isfinite(a):
            assert math.isfinite(row.derivative(z if row.of_z else a))


@pytest.mark.parametrize("name", OF_Z)
def test_values_at_the_ends(name):
    row = reference.ACTIVATIONS[name]
    for z in (1e3, 1e154, 1e200, BIGGEST):
        ends = {"silu": (z, 1.0, 0.0, 0.0), "gelu": (z, 1.0, 0.0, 0.0), "gaussian": (0.0, 0.0, 0.0, 0.0)}[name]
        assert (row.value(z), row.derivative(z), row.value(-z), row.derivative(-z)) == ends
    for zero in (0.0, -0.0):
        at_zero = {"silu": (zero, 0.5), "gelu": (zero, 0.5), "gaussian": (1.0, -zero)}[name]
        assert bits([row.value(zero), row.derivative(zero)]) == bits(at_zero)


def test_constant_of_gelu():
    with decimal.localcontext(prec=40):
        pi = decimal.Decimal("3.14159265358979323846264338327950288420")
        assert float((2 / pi).sqrt()) == 0.7978845608028654
    assert 3.0 * 0.044715 == 0.134145


def exact(name, z):
    """The value by decimal arithmetic, from the formula of the literature."""
    with decimal.localcontext(prec=60):
        z = decimal.Decimal(z)
        if name == "silu":
            return z / (1 + (-z).exp())
        if name == "gaussian":
            return (-z * z).exp()
        pi = decimal.Decimal("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899")
        u = (2 / pi).sqrt() * (z + decimal.Decimal("0.044715") * z**3)
        return z / (1 + (-2 * u).exp())  # z/2*(1 + tanh(u))


@pytest.mark.parametrize("name", OF_Z)
def test_values_and_slopes(name):
    """Against the exact formula and its central differences, h = 2^-40 in 60 digits."""
    row, h = reference.ACTIVATIONS[name], 2.0**-40
    for z in np.linspace(-6.0, 6.0, 97).tolist():
        assert abs(row.value(z) - float(exact(name, z))) <= 1e-15 * max(1.0, abs(z))
        slope = float((exact(name, z + h) - exact(name, z - h)) / decimal.Decimal(2.0 * h))
        assert abs(row.derivative(z) - slope) <= 3e-14


@pytest.mark.parametrize("name", OF_Z)
@pytest.mark.parametrize("width", [1, 2, 3, 4, 7, 8, 9, 16])
def test_extremes_in_the_kernel(engines, name, width):
    """Every number as a net input of the output and of a hidden layer, beside others in its vector."""
    X = np.array([[z, 1.0] for z in EXTREME])
    shifts = np.arange(width) % 3 - 1.0
    weights = np.concatenate([np.ones(width), np.zeros(width), shifts])
    single = backprop.Network([2, width], output_activation=name).with_parameters(weights)
    deep = backprop.Network([2, width, 2], name).with_parameters(
        np.concatenate([weights, [0.0, 1e-300] * width, [0.0] * 2])
    )
    for network in (single, deep):
        for x in X:
            y = np.nextafter(network.predict([x]), -math.inf)  # so near that no loss overflows
            found = [result_bits(engine, "predict", network, [x]) for engine in engines]
            assert found[0] == found[1]
            found = [result_bits(engine, "loss_and_gradient", network, [x], y, "absolute_error") for engine in engines]
            assert found[0] == found[1]
            assert isinstance(found[0], list)  # and no error on the way


@pytest.mark.parametrize("name", OF_Z)
@pytest.mark.parametrize("loss", ["squared_error", "huber", "absolute_error"])
@pytest.mark.parametrize(
    ("optimizer", "batch_size"), [(backprop.SGD(0.05), 1), (backprop.Adam(), 1), (backprop.Adam(), 5)]
)
def test_hidden_and_output_together(engines, name, loss, optimizer, batch_size):
    """One row at a time by plain SGD, which has a path of its own, and blocks of rows; widths beside all lanes."""
    for width, hidden in itertools.product((1, 3, 9), (name, ["tanh", name], [name, "relu"])):
        layers = [width] * (1 if isinstance(hidden, str) else len(hidden))
        problem = some_problem(name, loss, optimizer, hidden=hidden, sizes=(3, *layers, width), batch_size=batch_size)
        X, y = problem.pieces[0][:2]
        runs = [engine.train(problem.network, X, y, epochs=2, **problem.settings) for engine in engines]
        assert run_bits(runs[0]) == run_bits(runs[1])


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_threads(threads_for_small_work, n_threads):
    problem = some_problem("gelu", "squared_error", None, hidden=["silu", "gaussian"], sizes=(3, 9, 7, 2), n_samples=70)
    X, y = problem.pieces[0][:2]
    alone = reference.train(problem.network, X, y, epochs=1, batch_size=33)
    assert run_bits(
        backprop.fast_train(problem.network, X, y, epochs=1, batch_size=33, n_threads=n_threads)
    ) == run_bits(alone)
    assert alone.network.predict(X, n_threads=n_threads).tobytes() == alone.network.predict(X).tobytes()


def test_other_names():
    with pytest.raises(ValueError, match="did you mean 'silu'"):
        backprop.Network([1, 2, 1], "swish")
