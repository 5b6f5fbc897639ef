"""The losses by hand, and what their minima are known to be."""

import math

import numpy as np
import pytest

import backprop

LINE = backprop.Network([1, 1], output_activation="identity")


def at(engine, distance, loss):
    """The loss, and its slope in the bias, of one row whose output is so far above its target."""
    network = LINE.with_parameters([0.0, distance])
    value, gradient = engine.loss_and_gradient(network, [[0.0]], [0.0], loss)
    return value, gradient[1]


@pytest.mark.parametrize(
    ("loss", "distance", "value", "slope"),
    [
        ("absolute_error", 3.0, 3.0, 1.0),
        ("absolute_error", -0.25, 0.25, -1.0),
        ("absolute_error", 0.0, 0.0, 0.0),
        ("absolute_error", 5e-324, 5e-324, 1.0),
        ("huber", 0.5, 0.125, 0.5),
        ("huber", -0.5, 0.125, -0.5),
        ("huber", 1.0, 0.5, 1.0),
        ("huber", 3.0, 2.5, 1.0),
        ("huber", -3.0, 2.5, -1.0),
        ("squared_error", 3.0, 4.5, 3.0),
    ],
)
def test_values(engine, loss, distance, value, slope):
    assert at(engine, distance, loss) == (value, slope)


def test_poisson(engine):
    """exp(z) - t*z, whose slope is exp(z) - t; the link is the output's."""
    network = backprop.Network([1, 1], output_activation="exponential").with_parameters([0.0, 1.0])
    value, gradient = engine.loss_and_gradient(network, [[0.0]], [3.0], "poisson")
    assert (value, gradient[1]) == (math.e - 3.0, math.e - 3.0)
    assert engine.predict(network, [[0.0]]) == math.e


def constant(loss, output="identity"):
    """The constant that a loss prefers for the targets 0, 1 and 8."""
    network = backprop.Network([1, 1], output_activation=output)
    rows, settings = np.zeros((3, 1)), {"loss": loss, "batch_size": 3, "epochs": 4000}
    run = backprop.fast_train(network, rows, [0.0, 1.0, 8.0], optimizer=backprop.SGD(0.01), **settings)
    return run.network.predict([[0.0]])[0, 0]


def test_minima():
    """The mean, the median, and something between."""
    assert constant("squared_error") == pytest.approx(3.0, abs=1e-6)
    assert constant("absolute_error") == pytest.approx(1.0, abs=0.01)
    assert constant("huber") == pytest.approx(1.0, abs=1e-6)  # (0 - 1) + (1 - 1) + 1, the bounded distances, are 0
    assert constant("poisson", "exponential") == pytest.approx(3.0, abs=1e-6)


def test_targets_of_poisson_are_counts(engine):
    network = backprop.Network([1, 1], output_activation="exponential")
    with pytest.raises(ValueError, match=r"y must be >= 0 for loss 'poisson', got -1.0 in row 1, column 0"):
        engine.train(network, [[0.0], [1.0]], [0.0, -1.0], loss="poisson")
    with pytest.raises(ValueError, match="loss 'poisson' does not go with output_activation 'identity'"):
        engine.train(LINE, [[0.0]], [0.0], loss="poisson")


def test_a_class_that_is_not_meant_adds_no_term(engine):
    """Though its probability is 0, its logarithm not finite, and 0 times that a NaN (N4)."""
    network = backprop.Network.from_arrays([[[1e308, -1e308]]], [[0.0, 0.0]], output_activation="softmax")
    assert engine.loss(network, [[1.5]], [0]) == engine.loss(network, [[1.5]], [[1.0, -0.0]]) == 0.0


@pytest.mark.parametrize(("beside", "right"), [(0.9e-9, True), (1.1e-9, False), (1.9e-9, False)])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rows_of_targets_sum_to_one(engine, beside, right, sign):
    """Within 1e-9."""
    network = backprop.Network([1, 3], output_activation="softmax")
    y = [[0.25, 0.25, 0.5], [0.5, 0.25, 0.25 + sign * beside]]
    if right:
        assert engine.loss(network, [[0.0], [1.0]], y) > 0.0
        return
    with pytest.raises(ValueError, match=r"y must sum to 1 in each row \(within 1e-9\) .* in row 1"):
        engine.loss(network, [[0.0], [1.0]], y)
