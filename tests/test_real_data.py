"""Real data: iris and digits as scikit-learn ships them, learnt to more than 0.95 of rows never seen."""

import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris

import backprop


def held_out_accuracy(data, n_folds, train):
    """The share of rows that a network which has not seen them gets right, each row once; X is scaled by the others."""
    order = np.random.default_rng(0).permutation(len(data.data))
    X, y = data.data[order], data.target[order]
    right = 0
    for fold in range(n_folds):
        held_out = np.arange(len(X)) % n_folds == fold
        mean, spread = X[~held_out].mean(axis=0), X[~held_out].std(axis=0)
        scaled = (X - mean) / np.where(spread > 0.0, spread, 1.0)
        network = train(scaled[~held_out], y[~held_out])
        right += np.sum(network.predict(scaled[held_out]).argmax(axis=1) == y[held_out])
    return right / len(X)


@pytest.mark.parametrize("labels", [np.int64, np.float64, np.uint8])
def test_iris(labels):
    start = backprop.Network([4, 10, 3], output_activation="softmax")

    def train(X, y):
        run = backprop.fast_train(start, X, y.astype(labels), optimizer=backprop.Adam(0.01), epochs=60)
        assert run.losses[-1] < 0.1 < run.losses[0]
        return run.network

    assert held_out_accuracy(load_iris(), 5, lambda X, y: start) < 0.7
    assert held_out_accuracy(load_iris(), 5, train) > 0.95


def test_iris_on_both_engines(engine):
    start = backprop.Network([4, 6, 3], "relu", "softmax", rng=1)

    def train(X, y):
        return engine.train(start, X, y, optimizer=backprop.Adam(0.03), epochs=20, batch_size=8).network

    assert held_out_accuracy(load_iris(), 5, train) > 0.95


@pytest.mark.parametrize(
    ("activation", "output", "loss", "optimizer"),
    [
        ("relu", "softmax", None, backprop.Adam()),
        ("tanh", "softmax", None, backprop.SGD(0.05, momentum=0.9)),
        ("softplus", "logistic", "binary_cross_entropy", backprop.SGD(0.05, momentum=0.9, nesterov=True)),
        ("logistic", "logistic", "squared_error", backprop.Adam(0.01)),
    ],
)
def test_digits(activation, output, loss, optimizer):
    start = backprop.Network([64, 48, 10], activation, output)

    def train(X, y):
        targets = y if output == "softmax" else np.eye(10)[y]
        run = backprop.fast_train(start, X, targets, loss=loss, optimizer=optimizer, epochs=40)
        assert run.losses[-1] < 0.1 * run.losses[0]
        return run.network

    assert held_out_accuracy(load_digits(), 3, train) > 0.95


def test_regression():
    """A smooth function of one variable is learnt to a hundredth in the mean."""
    X = np.linspace(-2.0, 2.0, 201).reshape(-1, 1)
    y = np.sin(2.0 * X[:, 0])
    network = backprop.Network([1, 20, 20, 1])
    run = backprop.fast_train(network, X, y, optimizer=backprop.Adam(3e-3), epochs=1500)
    assert np.abs(run.network.predict(X)[:, 0] - y).mean() < 0.01
