"""Networks of small integers: every sum is exact in any order, so NumPy's products say what each shape must give.

A term that is lost, taken twice, or of another row shows, whatever the way: tiles, packed panels, rows with zeros.
"""

import numpy as np
import pytest

import backprop

# (rows, widths): below and beyond 24 rows, 64 and 512 terms of a sum, blocks of 512 rows, and one tile of columns.
SHAPES = [
    (1, (1100, 40, 3)),
    (23, (600, 70, 9)),
    (24, (1100, 70, 33)),
    (65, (70, 1100, 70)),
    (100, (513, 300, 8)),
    (600, (90, 530, 33)),
    (1100, (130, 70, 70)),
    (1537, (70, 40, 1)),
]


def integers(generator, shape, zeros):
    """Whole numbers from -3 to 3, of which this share is 0."""
    values = generator.integers(1, 4, shape) * generator.choice([-1, 1], shape)
    return np.where(generator.random(shape) < zeros, 0, values)


def problem(rows, widths, zeros):
    generator = np.random.default_rng(rows)
    X, y = integers(generator, (rows, widths[0]), zeros), integers(generator, (rows, widths[-1]), zeros)
    weights = [integers(generator, shape, 0.2) for shape in zip(widths, widths[1:], strict=False)]
    return X, y, weights, [integers(generator, width, 0.2) for width in widths[1:]]


@pytest.mark.parametrize("zeros", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_sums_of_integers_are_exact(shape, zeros):
    X, y, (first, second), (b, c) = problem(*shape, zeros)
    network = backprop.Network.from_arrays([first, second], [b, c], "relu")
    hidden = np.maximum(X @ first + b, 0)
    output = hidden @ second + c
    delta = output - y
    below = (delta @ second.T) * (hidden > 0)
    gradient = [X.T @ below, below.sum(axis=0), hidden.T @ delta, delta.sum(axis=0)]
    expected = np.concatenate([part.reshape(-1) for part in gradient]) / len(X)
    X, y = X.astype(float), y.astype(float)
    assert np.array_equal(network.predict(X), output)
    loss, found = backprop.loss_and_gradient(network, X, y)
    assert loss == (delta * delta).sum() / 2 / len(X)
    assert np.array_equal(found, expected)
    step = backprop.fast_train(network, X, y, epochs=1, batch_size=len(X), optimizer=backprop.SGD(0.5), shuffle=False)
    assert np.array_equal(step.network.parameters, network.parameters - 0.5 * expected)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("zeros", [0.0, 0.3, 0.9])
def test_a_row_of_many_is_that_row_alone(shape, zeros):
    """Numbers that are rounded: a row alone goes another way through the kernel, and its sums have the same order."""
    rows, widths = shape
    generator = np.random.default_rng(rows)
    X = np.where(generator.random((rows, widths[0])) < zeros, 0.0, generator.normal(size=(rows, widths[0])))
    network = backprop.Network(widths, "relu", rng=1)
    network = network.with_parameters(network.parameters + 0.01 * generator.normal(size=network.n_parameters))
    together = network.predict(X)
    alone = [network.predict(X[s : s + 1]) for s in range(0, rows, 7)]
    assert together[::7].tobytes() == np.concatenate(alone).tobytes()


@pytest.mark.parametrize("n_out", [3, 520])
def test_damped_steps_with_many_outputs(n_out):
    """More residuals of one row than terms that a sum takes at once: straight lines are fitted all the same."""
    x = np.linspace(-1.0, 1.0, 7)[:, None]
    y = x * np.linspace(-2.0, 2.0, n_out) + np.linspace(0.0, 1.0, n_out)
    optimizer = backprop.LevenbergMarquardt(1e-6)
    run = backprop.fast_train(backprop.Network([1, n_out]), x, y, epochs=2, optimizer=optimizer)
    assert np.allclose(run.network.weights[0][0], np.linspace(-2.0, 2.0, n_out), rtol=0.0, atol=1e-9)
    assert np.allclose(run.network.biases[0], np.linspace(0.0, 1.0, n_out), rtol=0.0, atol=1e-9)
