"""The reference's gradients against central differences of its loss, for every activation and loss."""

import numpy as np
import pytest

import backprop
from backprop import reference

HIDDEN = tuple(reference.ACTIVATIONS)
PAIRS = [
    (row.output or output, loss)
    for loss, row in reference.LOSSES.items()
    for output in ((row.output,) if row.output else reference.ACTIVATIONS)
]
N_SAMPLES = 4


def problem(hidden, output, loss):
    """A 3-4-3-2 net with weights around 1, so that units lie on both sides of zero but none near a kink at zero."""
    generator = np.random.default_rng(7)
    network = backprop.Network([3, 4, 3, 2], hidden, output)
    size = 0.25 if hidden == "exponential" else 1.0  # whose third derivative would grow beyond the differences
    network = network.with_parameters(size * generator.uniform(-1.0, 1.0, network.n_parameters))
    X = generator.uniform(-1.0, 1.0, (N_SAMPLES, 3))
    y = generator.uniform(0.0, 1.0, (N_SAMPLES, 2))
    row = reference.LOSSES[loss]
    return network, X, y / y.sum(axis=1, keepdims=True) if row.distribution else y


def central_differences(network, X, y, loss):
    """(L(w + h) - L(w - h))/2h for each w; at h = 2^-17 its errors, h^2/6 L''' and 2^-53 L/h, are near 1e-11."""
    h = 2.0**-17
    slopes = []
    for k in range(network.n_parameters):
        ends = []
        for step in (h, -h):
            w = network.parameters.copy()
            w[k] += step
            ends.append(reference.loss(network.with_parameters(w), X, y, loss))
        slopes.append((ends[0] - ends[1]) / (2.0 * h))
    return np.array(slopes)


def check(hidden, output, loss):
    network, X, y = problem(hidden, output, loss)
    value, gradient = reference.loss_and_gradient(network, X, y, loss)
    assert value == reference.loss(network, X, y, loss)
    np.testing.assert_allclose(gradient, central_differences(network, X, y, loss), rtol=0.0, atol=1e-9)
    for W in network.with_parameters(gradient).weights:
        assert np.count_nonzero(np.abs(W) > 1e-4) > W.size // 3  # the comparison is not one of zeros
    kernels_value, kernels_gradient = backprop.loss_and_gradient(network, X, y, loss)
    assert (value, gradient.tobytes()) == (kernels_value, kernels_gradient.tobytes())


@pytest.mark.parametrize(("output", "loss"), PAIRS)
def test_outputs_and_losses(output, loss):
    check("tanh", output, loss)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_hidden_activations(hidden):
    check(hidden, "identity", "squared_error")


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize(("output", "loss"), [pair for pair in PAIRS if reference.LOSSES[pair[1]].output])
def test_hidden_activations_under_other_losses(hidden, output, loss):
    check(hidden, output, loss)


def test_one_step_follows_the_gradient(engine):
    """Plain SGD on the full batch moves by the gradient times the learning rate, to the bit."""
    network, X, y = problem("tanh", "identity", "squared_error")
    _, gradient = engine.loss_and_gradient(network, X, y)
    settings = {"optimizer": backprop.SGD(0.125), "epochs": 1, "batch_size": N_SAMPLES, "shuffle": False}
    run = engine.train(network, X, y, **settings)
    assert run.network.parameters.tobytes() == (network.parameters - 0.125 * gradient).tobytes()
    fixed = engine.train(network, X, y, train_biases=False, **settings).network
    assert [W.tobytes() for W in fixed.weights] == [W.tobytes() for W in run.network.weights]
    assert [b.tobytes() for b in fixed.biases] == [b.tobytes() for b in network.biases]


@pytest.mark.parametrize("n_samples", [2, 3, 8, 13])
def test_the_row_at_which_a_sum_overflows_is_named(engine, n_samples):
    """Two rows of 1e308 do not fit in one sum: it stops being finite at the second, wherever that is."""
    network, y = backprop.Network([1, 1]).with_parameters([0.0, 0.0]), np.full(n_samples, 1e150)
    for s in range(1, n_samples):
        X = np.zeros((n_samples, 1))
        X[[s - 1, s]] = 1e158
        with pytest.raises(OverflowError, match=f"gradient is not finite at parameter 0, from row {s} on:"):
            engine.loss_and_gradient(network, X, y)
