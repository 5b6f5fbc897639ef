"""The workloads that the benchmarks share, and what they cost in arithmetic."""

import numpy as np

import backprop
from backprop import tutorial

Data = tuple[np.ndarray, np.ndarray]


def tutorial_data() -> tuple[backprop.Network, Data]:
    """The tutorial's 2-2-2 network and its one sample."""
    return tutorial.NETWORK, (np.array([tutorial.INPUTS]), np.array([tutorial.TARGETS]))


def online_data() -> tuple[backprop.Network, Data]:
    """A 4-10-3 logistic network and 150 rows of three classes."""
    rng = np.random.default_rng(1)
    X, classes = rng.normal(size=(150, 4)), rng.integers(0, 3, 150)
    X[np.arange(150), classes] += 1.5
    return backprop.Network([4, 10, 3], "logistic", "logistic"), (X, np.eye(3)[classes] * 0.98 + 0.01)


def tabular_data(activation: str = "tanh") -> tuple[backprop.Network, Data]:
    """A 20-64-64-1 network and 10,000 rows of a noisy function of five columns."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(10_000, 20))
    y = np.tanh(X[:, :5] @ rng.normal(size=5)) + 0.1 * rng.normal(size=10_000)
    return backprop.Network([20, 64, 64, 1], activation), (X, y)


def image_data() -> tuple[backprop.Network, Data]:
    """A 784-128-10 network and 10,000 rows of ten classes, shaped as images of digits are."""
    rng = np.random.default_rng(5)
    classes = rng.integers(0, 10, 10_000)
    X = np.clip(rng.uniform(0, 1, (10, 784))[classes] + 0.5 * rng.normal(size=(10_000, 784)), 0, 1)
    return backprop.Network([784, 128, 10], "relu", "softmax"), (X, classes)


def operations(network: backprop.Network, training: bool) -> int:
    """Multiplications and additions that a row needs in the ordered products; training takes three of them."""
    weights = [W.size for W in network.weights]
    return 2 * (3 * sum(weights) - weights[0] if training else sum(weights))
