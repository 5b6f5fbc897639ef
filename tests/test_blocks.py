"""Sums over rows (N19): blocks of 4096 rows, joined by a tree; in the definition, the kernel, and in NumPy."""

import functools
import math

import numpy as np
import pytest
from problems import bits, outcome, run_bits

import backprop
from backprop import _kernel, reference
from backprop.definition.blocks import BLOCK_ROWS, blocks, sum_of_rows, sum_of_weights, tree_sum

AT_BOUNDARIES = (4095, 4096, 4097, 4098, 8192, 12290)
OPTIMIZERS = (
    (backprop.SGD(0.05), {"batch_size": 5000}),  # blocks of the batch lie across those of the epoch
    (backprop.SGD(0.05, momentum=0.5), {"batch_size": 4096}),
    (backprop.Adam(0.01), {"batch_size": 10_000, "shuffle": False}),
    (backprop.Adam(0.01, l2=0.1, clip_norm=0.01), {"batch_size": 20_000}),
    (backprop.SGD(0.01), {"batch_size": 1}),
    (backprop.RMSprop(0.01), {"batch_size": 100}),
    (backprop.Rprop(), {}),
    (backprop.LBFGS(), {}),
    (backprop.LevenbergMarquardt(), {}),
)


def rows(n, seed=0, n_in=2):
    """Rows, targets of one output, and sample weights; numbers of many sizes, so that another order shows."""
    generator = np.random.default_rng([n, seed])
    X, y = generator.normal(size=(n, n_in)), generator.normal(size=n)
    return X, y, np.where(generator.random(n) < 0.1, 0.0, 2.0 ** generator.integers(-9, 9, n) * generator.random(n))


def numpy_tree(terms):
    """N19's sum of terms (n, ...) by NumPy: accumulate adds in order."""
    parts = [np.add.accumulate(terms[k : k + 4096])[-1] + 0.0 for k in range(0, len(terms), 4096)]
    while len(parts) > 1:  # level by level from below: the same tree, since only a last part may be alone
        pairs = [parts[k] + parts[k + 1] for k in range(0, len(parts) - 1, 2)]
        parts = pairs + parts[len(pairs) * 2 :]
    return parts[0]


def test_tree():
    parts = [[1.0], [2.0**-53], [2.0**-53], [-1.0], [2.0**-54]]
    assert tree_sum(parts) == [((1.0 + 2.0**-53) + (2.0**-53 - 1.0)) + 2.0**-54]
    assert [len(block) for block in blocks(range(2 * BLOCK_ROWS + 1))] == [4096, 4096, 1]
    in_order = np.add.accumulate(np.full(4097, 0.1))[-1]
    assert sum_of_rows([0.1] * 4097) == in_order  # a block of one row: one sum either way


@pytest.mark.parametrize("n", [1, 2, *AT_BOUNDARIES, 16384, 16385, 40960, 150_000, 173_000])
def test_sum_of_weights(n):
    c = rows(n, 1)[2]
    promised = numpy_tree(c)
    assert sum_of_weights(c.tolist()) == (-1, promised)
    assert _kernel.sum_of_weights(c) == (-1, promised)
    assert math.isclose(promised, math.fsum(c), rel_tol=1e-12)
    if n > 12288:
        assert promised != np.add.accumulate(c)[-1]  # one sum from the first row to the last


@pytest.mark.parametrize("n_blocks", range(1, 41))
def test_every_number_of_blocks(threads_for_small_work, n_blocks):
    """Losses and gradients of a linear unit, beside N19 in NumPy."""
    n = 4096 * n_blocks - 1234 * (n_blocks % 3)
    X, y, c = rows(n, 2)
    network = backprop.Network([2, 1], rng=n_blocks)
    o = (X[:, 0] * network.weights[0][0, 0] + X[:, 1] * network.weights[0][1, 0]) + network.biases[0][0]
    L, delta = 0.5 * ((y - o) * (y - o)), o - y
    rows_of_g = np.stack([X[:, 0] * delta, X[:, 1] * delta, 1.0 * delta], axis=1)
    loss, g = backprop.loss_and_gradient(network, X, y)
    assert loss == numpy_tree(L) / n == network.loss(X, y, n_threads=1 + n_blocks % 4)
    assert bits(g) == bits(numpy_tree(rows_of_g) / n)
    C = numpy_tree(c)
    weighted, g = backprop.loss_and_gradient(network, X, y, sample_weight=c)
    assert weighted == numpy_tree(c * L) / C
    delta = c * delta
    assert bits(g) == bits(numpy_tree(np.stack([X[:, 0] * delta, X[:, 1] * delta, delta], axis=1)) / C)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", AT_BOUNDARIES)
def test_loss_and_gradient(threads_for_small_work, n, weighted):
    X, y, c = rows(n)
    network = backprop.Network([2, 3, 1], activation="relu", rng=n)
    c = c if weighted else None
    promised, g = reference.loss_and_gradient(network, X, y, sample_weight=c)
    loss, found = backprop.loss_and_gradient(network, X, y, sample_weight=c)
    assert (loss, bits(found)) == (promised, bits(g))
    for n_threads in (1, 2, 3, 4):
        assert network.loss(X, y, sample_weight=c, n_threads=n_threads) == promised


@pytest.mark.parametrize("case", range(len(OPTIMIZERS)), ids=lambda k: type(OPTIMIZERS[k][0]).__name__ + str(k))
@pytest.mark.parametrize("n", [4098, 12290])
def test_training(threads_for_small_work, n, case):
    """Two epochs, a third in a resumed run, with other rows; with weights every second time."""
    optimizer, settings = OPTIMIZERS[case]
    X, y, c = rows(n)
    c = c if (case + n // 4098) % 2 else None
    network = backprop.Network([2, 3, 1], activation="relu", rng=case)
    promised = reference.train(network, X, y, optimizer=optimizer, epochs=1, sample_weight=c, **settings)
    more = promised.resume(X[:8193], y[:8193], epochs=1)
    for n_threads in (1, 2, 3):
        given = {"optimizer": optimizer, "epochs": 1, "sample_weight": c, "n_threads": n_threads, **settings}
        run = backprop.fast_train(network, X, y, **given)
        assert run_bits(run) == run_bits(promised)
        assert run_bits(run.resume(X[:8193], y[:8193], epochs=1, n_threads=n_threads)) == run_bits(more)


@pytest.mark.parametrize("settings", [{"batch_size": 5000}, {"batch_size": 9000, "shuffle": False}])
def test_dropout_and_watched_rows(threads_for_small_work, settings):
    X, y, c = rows(9001)
    network = backprop.Network([2, 3, 1], activation="relu", rng=1)
    given = {"dropout": backprop.Dropout(0.25), "epochs": 2, "sample_weight": c, **settings}
    given["stopping"] = backprop.EarlyStopping(validation_data=rows(5000, 3)[:2])
    promised = reference.train(network, X, y, **given)
    for n_threads in (1, 2):
        assert run_bits(backprop.fast_train(network, X, y, n_threads=n_threads, **given)) == run_bits(promised)


def test_several_outputs_and_labels(threads_for_small_work):
    X, _, c = rows(8200)
    labels = np.random.default_rng(5).integers(0, 3, 8200)
    network = backprop.Network([2, 3], output_activation="softmax", rng=1)
    promised = reference.loss_and_gradient(network, X, labels, sample_weight=c)
    found = backprop.loss_and_gradient(network, X, labels, sample_weight=c)
    assert (found[0], bits(found[1])) == (promised[0], bits(promised[1]))
    Y = np.stack([X[:, 0], X[:, 0] * X[:, 1]], axis=1)
    network = backprop.Network([2, 2, 2], activation="relu", rng=1)
    settings = {"optimizer": backprop.LevenbergMarquardt(), "epochs": 2, "sample_weight": c}
    assert run_bits(backprop.fast_train(network, X, Y, **settings)) == run_bits(
        reference.train(network, X, Y, **settings)
    )


# Sums that are not finite.


@pytest.mark.parametrize("engine", ["kernel", "definition"])
def test_row_of_the_block_whose_sum_overflows(engine):
    """No row is named where the sums of the blocks are finite and their sum is not."""
    X, y = np.zeros((9000, 1)), np.zeros(9000)
    y[[10, 11, 5000, 5001]] = 1.2e154  # losses of 0.7e308 each, two in each of two blocks
    network = backprop.Network([1, 1], rng=1)
    loss = network.loss if engine == "kernel" else functools.partial(reference.loss, network)
    assert outcome(loss, X, y)[1].startswith("the loss is not finite")
    y[[6000, 7000]] = 1.2e154
    assert outcome(loss, X, y)[1].startswith("the loss of row 6000 is")


@pytest.mark.parametrize("engine", [backprop, reference])
def test_row_of_the_block_whose_gradient_overflows(engine):
    X, y = np.zeros((9000, 1)), np.zeros(9000)
    X[[10, 5000]], y[[10, 5000]] = 1e300, 1.7e8
    network = backprop.Network([1, 1], rng=1).with_parameters([0.0, 0.0])
    assert "parameter 0:" in str(outcome(engine.loss_and_gradient, network, X, y))
    X[[6000, 7000]], y[[6000, 7000]] = 1e300, 1.7e8
    assert "parameter 0, from row 6000 on" in str(outcome(engine.loss_and_gradient, network, X, y))


def test_overflowing_losses_in_training(threads_for_small_work):
    X, y, _ = rows(9000)
    y[[10, 11, 5000, 5001]] = 1.2e154
    network = backprop.Network([2, 1], rng=1)
    for optimizer in (backprop.LBFGS(), backprop.LevenbergMarquardt(), backprop.SGD(1e-3)):
        for more in ((), (6000, 7000)):
            y[list(more)] = 1.2e154
            settings = {"optimizer": optimizer, "epochs": 2, "batch_size": None}
            found = outcome(backprop.fast_train, network, X, y, **settings)
            promised = outcome(reference.train, network, X, y, **settings)
            assert found[0] is backprop.DivergenceError
            assert found[:2] == promised[:2]


# Threads that take blocks of their own.


@pytest.mark.parametrize("optimizer", [backprop.Rprop(), backprop.Adam(0.01, clip_norm=0.1), backprop.LBFGS()], ids=str)
@pytest.mark.parametrize("weighted", [False, True])
def test_threads_take_blocks(threads_for_small_work, optimizer, weighted):
    """140,000 rows are 35 blocks, enough for four threads."""
    X, y, c = rows(140_000)
    network = backprop.Network([2, 3, 1], activation="relu", rng=7)
    settings = {"optimizer": optimizer, "batch_size": None, "epochs": 2, "sample_weight": c if weighted else None}
    if isinstance(optimizer, backprop.Adam):
        settings |= {"batch_size": 200_000, "shuffle": False}
    runs = []
    for n_threads in (1, 2, 3, 4):
        run = backprop.fast_train(network, X, y, n_threads=n_threads, **settings)
        runs.append((run_bits(run), run_bits(run.resume(X, y, epochs=1, n_threads=5 - n_threads))))
    assert runs[1:] == runs[:1] * 3


def test_rates_of_epochs_where_threads_take_blocks(threads_for_small_work):
    X, y, _ = rows(16 * 4096)
    settings = {"optimizer": backprop.Adam(backprop.ExponentialDecay(0.1, 0.5)), "batch_size": len(X), "epochs": 6}
    runs = [backprop.fast_train(backprop.Network([2, 1]), X, y, n_threads=k, **settings) for k in (1, 2)]
    assert run_bits(runs[0]) == run_bits(runs[1])


def test_overflow_where_threads_take_blocks(threads_for_small_work):
    X, y, _ = rows(70_000)
    y[[50_000, 50_001, 50_007, 60_000]] = 1.2e154
    y[[65_000, 65_001, 65_002]] = 1.2e154
    network = backprop.Network([2, 1], rng=1)
    for n_threads in (1, 2):
        assert "row 50007" in outcome(network.loss, X, y, n_threads=n_threads)[1]
    losses = []
    for optimizer in (backprop.Rprop(), backprop.LBFGS()):
        found = [outcome(backprop.fast_train, network, X, y, optimizer=optimizer, n_threads=k) for k in (1, 2)]
        assert found[0] == found[1]
        assert found[0][0] is backprop.DivergenceError
        losses.append(found[0])
    poisson = backprop.Network([1, 1], output_activation="exponential").with_parameters([1.0, 0.0])
    X, y = np.zeros((70_000, 1)), np.ones(70_000)
    X[[40_000, 41_000]], y[41_000] = 800.0, 1e308  # losses inf, and inf - 8e310
    found = [outcome(backprop.fast_train, poisson, X, y, loss="poisson", optimizer=backprop.Rprop(), n_threads=k)
             for k in (1, 2)]  # fmt: skip
    assert found[0] == found[1]


# Numbers of X that are not finite are searched by the pass itself, where each row is visited once.


@pytest.mark.parametrize("n", [10, 5000, 70_000])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_numbers_of_X_come_first(threads_for_small_work, n, number):
    """Before an overflow in an earlier row, a bad target and a bad weight; though the loss hides it."""
    X, y, c = rows(n)
    network = backprop.Network([2, 1, 1], activation="logistic", rng=1)  # infinity is squashed
    X[n - 1, 1] = number
    huge = y.copy()
    huge[0] = 1e200
    bad = y.copy()
    bad[1] = np.nan
    for given in ({"y": y}, {"y": huge}, {"y": bad}, {"y": y, "sample_weight": -c}, {"y": y[1:]}):
        for n_threads in (1, 2):
            kind, text, _ = outcome(network.loss, X, n_threads=n_threads, **given)
            assert kind is ValueError
            assert f"row {n - 1}, column 1" in text
        assert f"row {n - 1}, column 1" in outcome(backprop.loss_and_gradient, network, X, **given)[1]
