"""Workloads that the benchmarks share, and the number of their operations."""

from typing import NamedTuple

import numpy as np

import backprop
from backprop import SGD, Adam, tutorial
from backprop.optimizers import Optimizer

Data = tuple[np.ndarray, np.ndarray]


class Run(NamedTuple):
    """A run of training: the arguments of fast_train."""

    network: backprop.Network
    X: np.ndarray
    y: np.ndarray
    optimizer: Optimizer
    epochs: int
    batch_size: int
    shuffle: bool = True
    train_biases: bool = True

    def train(self, n_threads: int | None = None) -> backprop.Training:
        """Train; the result of fast_train."""
        network, X, y, *_ = self
        settings = {name: getattr(self, name) for name in self._fields[3:]}
        return backprop.fast_train(network, X, y, n_threads=n_threads, **settings)


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
    """A 784-128-10 network and 10,000 random rows of ten classes, of the shape of MNIST's images."""
    rng = np.random.default_rng(5)
    classes = rng.integers(0, 10, 10_000)
    X = np.clip(rng.uniform(0, 1, (10, 784))[classes] + 0.5 * rng.normal(size=(10_000, 784)), 0, 1)
    return backprop.Network([784, 128, 10], "relu", "softmax"), (X, classes)


def wide_data() -> tuple[backprop.Network, Data]:
    """A 784-512-256-10 network and the rows of image_data."""
    return backprop.Network([784, 512, 256, 10], "relu", "softmax"), image_data()[1]


def seed_run() -> Run:
    """10,000 updates of the tutorial's network, its biases fixed."""
    network, data = tutorial_data()
    return Run(network, *data, SGD(0.5), epochs=10_000, batch_size=1, shuffle=False, train_biases=False)


def online_run() -> Run:
    """30,000 updates of a 4-10-3 network, one row at a time, in order."""
    network, data = online_data()
    return Run(network, *data, SGD(0.1), epochs=200, batch_size=1, shuffle=False)


def tabular_run() -> Run:
    """Five epochs of a 20-64-64-1 network."""
    network, data = tabular_data()
    return Run(network, *data, Adam(1e-3), epochs=5, batch_size=32)


def image_run() -> Run:
    """Three epochs of a 784-128-10 network."""
    network, data = image_data()
    return Run(network, *data, SGD(0.1), epochs=3, batch_size=128)


def wide_run() -> Run:
    """Two epochs of a 784-512-256-10 network."""
    network, data = wide_data()
    return Run(network, *data, SGD(0.1), epochs=2, batch_size=512)


def operations(network: backprop.Network, training: bool) -> int:
    """Multiplications and additions that a row needs in the ordered products; training takes three of them."""
    weights = [W.size for W in network.weights]
    return 2 * (3 * sum(weights) - weights[0] if training else sum(weights))
