"""Throughput of training."""

import numpy as np
import pytest
import workloads

import backprop
from backprop import SGD, Adam, fast_train, reference


def test_tutorial(measure):
    """10,000 updates of the 2-2-2 network on its one sample."""
    network, data = workloads.tutorial_data()
    measure(
        lambda: fast_train(network, *data, optimizer=SGD(0.5), epochs=10_000, batch_size=1, train_biases=False),
        network, rows=10_000, training=True, updates=10_000,
    )  # fmt: skip


def test_tutorial_by_the_reference(measure):
    """100 updates of the tutorial's network by the definition in plain Python, for the ratio."""
    network, data = workloads.tutorial_data()
    measure(
        lambda: reference.train(network, *data, optimizer=SGD(0.5), epochs=100, batch_size=1, train_biases=False),
        network, rows=100, training=True, updates=100,
    )  # fmt: skip


def test_online(measure):
    """30,000 updates of a 4-10-3 network, one sample at a time."""
    network, data = workloads.online_data()
    measure(
        lambda: fast_train(network, *data, optimizer=SGD(0.1), epochs=200, batch_size=1, shuffle=False),
        network, rows=30_000, training=True, updates=30_000,
    )  # fmt: skip


def test_tabular(measure):
    """An epoch of a 20-64-64-1 tanh network, Adam, batches of 32."""
    network, data = workloads.tabular_data()
    measure(
        lambda: fast_train(network, *data, optimizer=Adam(1e-3), epochs=1, batch_size=32),
        network, rows=10_000, training=True, updates=313,
    )  # fmt: skip


def test_images(measure):
    """An epoch of a 784-128-10 network, SGD, batches of 128."""
    network, data = workloads.image_data()
    measure(
        lambda: fast_train(network, *data, optimizer=SGD(0.1), epochs=1, batch_size=128),
        network, rows=10_000, training=True, updates=79,
    )  # fmt: skip


@pytest.mark.parametrize("dead", [False, True], ids=["alive", "half dead"])
def test_dead_units(measure, dead):
    """An epoch of a 20-64-64-1 relu network, Adam, after 10**4 steps: with half of the units dead, m is subnormal."""
    network, data = workloads.tabular_data("relu")
    run = fast_train(network, *data, optimizer=Adam(1e-3), epochs=1, batch_size=32)
    if dead:
        biases = [b.copy() for b in run.network.biases]
        for b in biases[:-1]:
            b[::2] = -1e6
        killed = backprop.Network.from_arrays(run.network.weights, biases, "relu")
        run = run._with(network=killed)
    run = run.resume(*data, epochs=32)
    moments = np.abs(run._state.slots[0])
    assert dead == bool(np.any((moments > 0.0) & (moments < np.finfo(float).tiny)))
    measure(lambda: run.resume(*data, epochs=1), network, rows=10_000, training=True, updates=313)


def test_one_call(measure):
    """The cost of a call: fast_train on one sample and one epoch."""
    network, data = workloads.tutorial_data()
    measure(lambda: fast_train(network, *data, epochs=1), network, rows=1, training=True, updates=1)


def test_partial_sums_and_merge(measure):
    """One pass over 10,000 rows: loss and gradient of three parts, their bytes, and the whole."""
    network, (X, y) = workloads.tabular_data()
    n, cuts = len(X), range(0, len(X), 4096)

    def one_pass():
        parts = [
            backprop.partial_sums(network, X[k : k + 4096], y[k : k + 4096], first_row=k, n_rows=n).to_bytes()
            for k in cuts
        ]
        return backprop.PartialSums.merge(backprop.PartialSums.from_bytes(part) for part in parts).mean()

    measure(one_pass, network, rows=n, training=True)
