"""Pauses: the kernel comes back to Python about every 20 ms, within a shuffle, an epoch or a batch; no result shows it.

The learning rate 1e-250 moves no weight, so that the loss of an epoch is that of the network, its rows in the order in
which they are visited.
"""

import numpy as np
import pytest

import backprop
from backprop import _kernel
from backprop.epochs import Epochs
from backprop.shuffling import within

SHUFFLED_AT_ONCE = 1 << 20  # rows, SHUFFLE_STEPS of the kernel


@pytest.fixture
def calls(monkeypatch):
    """One entry for each call of the kernel."""
    counted, train_until = [], Epochs.train_until

    def counting(self, halt):
        counted.append(halt)
        train_until(self, halt)

    monkeypatch.setattr(Epochs, "train_until", counting)
    return counted


def losses_of_epochs(network, X, y, weights, shuffle, epochs):
    """The loss of the network for the rows in the order of each epoch."""
    stream, found = np.random.PCG64(3), []
    for _ in range(epochs):
        order = _kernel.order(stream, len(X), *within(shuffle, len(X))) if shuffle else slice(None)
        found.append(network.loss(X[order], y[order], sample_weight=None if weights is None else weights[order]))
    return found


def trained(network, X, y, **settings):
    return backprop.fast_train(network, X, y, optimizer=backprop.SGD(1e-250), train_biases=False, rng=3, **settings)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("batch_size", [1, 100, 700])
def test_an_epoch_in_pieces_has_the_loss_of_its_rows(calls, batch_size, weighted, shuffle):
    generator = np.random.default_rng(0)
    X, y, weights = generator.normal(size=(700, 20)), generator.normal(size=(700, 1)), generator.uniform(size=700)
    network, weights = backprop.Network([20, 500, 400, 1], "relu", rng=1), weights if weighted else None
    run = trained(network, X, y, epochs=2, batch_size=batch_size, sample_weight=weights, shuffle=shuffle, n_threads=1)
    assert len(calls) >= 4  # two calls of the kernel for an epoch, at least
    assert run.network == network
    shuffled = shuffle and batch_size < len(X)  # a batch that holds all rows visits them in their order
    assert run.losses.tolist() == losses_of_epochs(network, X, y, weights, shuffled, 2)


@pytest.mark.parametrize(
    "shuffle",
    [
        True,
        backprop.BlockShuffle(1, 1),
        backprop.BlockShuffle(3, 2),
        backprop.BlockShuffle(1, SHUFFLED_AT_ONCE + 1),
        backprop.BlockShuffle(1000, 500),
    ],
    ids=repr,
)
@pytest.mark.parametrize("batch_size", [1, SHUFFLED_AT_ONCE])
def test_a_shuffle_in_pieces_is_that_of_all_rows(calls, batch_size, shuffle):
    X = np.linspace(-1.0, 1.0, SHUFFLED_AT_ONCE + 3)[:, None]
    network = backprop.Network([1, 1], rng=1)
    run = trained(network, X, X, epochs=2, batch_size=batch_size, shuffle=shuffle, n_threads=1)
    assert run.network == network
    assert run.losses.tolist() == losses_of_epochs(network, X, X, None, shuffle, 2)
