"""The kernel equals the reference, bit for bit, in every result and every error."""

import itertools

import hypothesis
import numpy as np
import pytest
from problems import (
    HIDDEN,
    OUTPUTS,
    bits,
    everything,
    losses_for,
    optimizers_by_rule,
    problems,
    result_bits,
    run_bits,
    some_problem,
)

import backprop
from backprop import _kernel, reference
from backprop.optimizers import FULL_BATCH


# The long tests have more of them.
@hypothesis.settings(max_examples=200)
@hypothesis.given(problem=problems())
def test_every_bit(engines, problem):
    assert everything(engines[0], problem) == everything(engines[1], problem)


@pytest.mark.long
@hypothesis.settings(max_examples=1_500)
@hypothesis.given(problem=problems())
def test_every_bit_at_length(engines, problem):
    assert everything(engines[0], problem) == everything(engines[1], problem)


def test_tables():
    """Names and their order are the same in both, and each rule can be asked for."""
    assert OUTPUTS == _kernel.ACTIVATIONS
    assert list(_kernel.LOSSES.items()) == [(name, row.output) for name, row in reference.LOSSES.items()]
    assert tuple(_kernel.UPDATE_RULES) == tuple(reference.UPDATE_RULES)
    assert tuple(_kernel.METHODS) == tuple(reference.METHODS)
    assert set(optimizers_by_rule()) == {*reference.UPDATE_RULES, *reference.METHODS}
    big = np.finfo(np.float64).max
    limits = {name: (max(row.low, -big), min(row.high, big)) for name, row in reference.LOSSES.items()}
    assert limits == _kernel.TARGET_RANGES


@pytest.mark.parametrize(
    ("output", "loss", "rule"),
    [
        (output, loss, rule)
        for output in OUTPUTS
        for loss in losses_for(output)
        for rule in (*reference.UPDATE_RULES, *reference.METHODS)
        if rule != "levenberg_marquardt" or loss == "squared_error"
    ],
)
def test_every_output_loss_and_rule(engines, output, loss, rule):
    problem = some_problem(output, loss, optimizers_by_rule()[rule])
    expected = everything(engines[0], problem)
    assert expected == everything(engines[1], problem)
    assert isinstance(expected[0][-1], list)  # and no error on the way


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("n_hidden", [1, 4])
def test_every_hidden_activation(engines, hidden, n_hidden):
    optimizer = backprop.SGD(0.05, 0.9)
    problem = some_problem("identity", "squared_error", optimizer, hidden=hidden, sizes=(3, *[6] * n_hidden, 2))
    if hidden == "exponential":  # four of them on top of each other overflow
        problem.network = problem.network.with_parameters(problem.network.parameters / 16.0)
    expected = everything(engines[0], problem)
    assert expected == everything(engines[1], problem)
    assert isinstance(expected[0][-1], list)


@pytest.mark.parametrize("optimizer", [backprop.SGD(0.01), backprop.Adam()], ids=repr)
@pytest.mark.parametrize("batch_size", [1, 3, 127, 128, 129, 300, 1000])
@pytest.mark.parametrize("n_samples", [128, 129, 300])
def test_batches_larger_than_a_block(engines, n_samples, batch_size, optimizer):
    problem = some_problem(
        "softmax", "cross_entropy", optimizer, hidden="relu", n_samples=n_samples, batch_size=batch_size, epochs=1
    )
    assert everything(engines[0], problem) == everything(engines[1], problem)


@pytest.mark.parametrize("sizes", [(300, 3, 2), (3, 300, 2), (2, 3, 300), (70, 60, 50, 40)])
def test_wide_layers(engines, sizes):
    """Wide rows make blocks of fewer rows."""
    problem = some_problem(
        "identity",
        "squared_error",
        backprop.Adam(),
        hidden="softsign",
        sizes=sizes,
        n_samples=66,
        batch_size=64,
        epochs=1,
    )
    assert everything(engines[0], problem) == everything(engines[1], problem)


def problem_with_zeros(share, optimizer, **changes):
    """Layers so large that the products with zeros of X, of a relu and of its deltas are left out; of X, a share."""
    sizes = {"hidden": "relu", "sizes": (70, 90, 80, 3), "n_samples": 60}
    problem = some_problem("softmax", "cross_entropy", optimizer, **(sizes | changes))
    X = problem.pieces[0][0]
    rng = np.random.default_rng(11)
    X[rng.random(X.shape) < share] = 0.0
    X[rng.random(X.shape) < share / 8] = -0.0
    return problem


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("batch_size", [37, 60])
def test_zeros(engines, share, batch_size):
    problem = problem_with_zeros(share, backprop.Adam(), batch_size=batch_size, epochs=2)
    hidden = np.maximum(problem.pieces[0][0] @ problem.network.weights[0] + problem.network.biases[0], 0.0)
    assert 0.25 < np.mean(hidden == 0.0) < 0.75
    expected = everything(engines[0], problem)
    assert expected == everything(engines[1], problem)
    assert isinstance(expected[0][-1], list)


def test_zero_times_an_infinite_weight(engines):
    """It is NaN, and not left out: one batch makes the weights of input 0 infinite, which is 0.0 in the next."""
    problem = problem_with_zeros(0.6, None)
    X, y = problem.pieces[0][:2]
    X[:, 0] = 0.0
    X[0, 0] = 1e308
    weights = [W.copy() for W in problem.network.weights]
    weights[0][0] = 0.0
    network = backprop.Network.from_arrays(weights, problem.network.biases, "relu", "softmax")
    settings = {"loss": "cross_entropy", "optimizer": backprop.SGD(1e4), "batch_size": 30, "shuffle": False}
    for engine in engines:
        with pytest.raises(backprop.DivergenceError) as caught:
            engine.train(network, X, y, epochs=1, **settings)
        assert np.isnan(caught.value.losses).tolist() == [True]


@pytest.mark.parametrize("width", range(1, 19))
def test_every_width(engines, width):
    problem = some_problem(
        "identity", "squared_error", backprop.SGD(0.01), hidden="softsign", sizes=(width, width, width), n_samples=9
    )
    assert everything(engines[0], problem) == everything(engines[1], problem)


@pytest.mark.parametrize("hidden", HIDDEN)
def test_two_narrow_layers_row_by_row(engines, hidden):
    """One row a batch and no layer wider than a vector: every pair of activations, every pair of widths up to 8."""
    kinds = [(output, loss) for output in OUTPUTS for loss in losses_for(output)]
    widths = itertools.cycle(itertools.product(range(1, 9), repeat=2))
    widths = itertools.islice(widths, HIDDEN.index(hidden), None)  # each loss with other widths
    for n_in, (output, loss) in enumerate(kinds * 2, 1):
        sizes = (1 + n_in % 9, *next(widths))
        problem = some_problem(
            output, loss, backprop.SGD(0.1), hidden=hidden, sizes=sizes, n_samples=3, epochs=2, batch_size=1
        )
        problem.settings["train_biases"] = n_in % 3 > 0
        assert everything(engines[0], problem) == everything(engines[1], problem), (sizes, output, loss)


def test_bounded_integers_are_drawn_alike():
    """The order of every small number of rows."""
    network = backprop.Network([1, 1])
    for n in range(2, 40):
        X = np.arange(float(n)).reshape(n, 1)
        runs = [train(network, X, X, epochs=1, batch_size=1) for train in (reference.train, backprop.fast_train)]
        assert run_bits(runs[0]) == run_bits(runs[1])


def test_classes_that_are_not_meant_cost_nothing(engine):
    """Where a target is 0 there is no term: not 0 times infinity, even if z[j] - m overflows (N4)."""
    network = backprop.Network([1, 3], output_activation="softmax")
    network = network.with_parameters([1.5e308, -1.5e308, 0.0, 0.0, 0.0, 0.0])
    for y in ([[1.0, 0.0, 0.0]], [0], [[1.0, -0.0, 0.0]]):
        assert engine.loss(network, [[1.0]], y) == 0.0
        value, gradient = engine.loss_and_gradient(network, [[1.0]], y)
        assert (value, gradient.tolist()) == (0.0, [0.0] * 6)
    with pytest.raises(OverflowError, match="the loss of row 0 "):
        engine.loss(network, [[1.0]], [1])


@pytest.mark.parametrize("rule", [*reference.UPDATE_RULES, *reference.METHODS])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_signs_of_zero(engines, rule, batch_size):
    """-0.0 in weights, data and gradients, in every combination: a sum from 0.0 is never -0.0, a product may be."""
    optimizer = optimizers_by_rule()[rule]
    batch_size = None if isinstance(optimizer, FULL_BATCH) else batch_size
    for hidden, signs in itertools.product(("identity", "relu"), itertools.product((0.0, -0.0, -1.0), repeat=3)):
        network = backprop.Network([1, 1, 1], hidden).with_parameters([signs[0], signs[1], signs[2], -0.0])
        for x, t in itertools.product((0.0, -0.0, -1.0), (0.0, -0.0, 1.0)):
            settings = {"optimizer": optimizer, "epochs": 2, "batch_size": batch_size, "shuffle": False}
            runs = [engine.train(network, [[x], [-x]], [t, -t], **settings) for engine in engines]
            assert run_bits(runs[0]) == run_bits(runs[1])
            assert result_bits(engines[0], "predict", network, [[x]]) == result_bits(
                engines[1], "predict", network, [[x]]
            )


def stream_with_word(word):
    """A PCG64 whose next word is this one: a step back from a state whose output (O'Neill's XSL-RR) rotates by 0."""
    stream = np.random.PCG64(1)
    state = stream.state
    multiplier, increment = 0x2360ED051FC65DA44385DF649FCCF645, state["state"]["inc"]
    high = 12345
    after = (high << 64) | (high ^ word)
    state["state"]["state"] = (after - increment) * pow(multiplier, -1, 2**128) % 2**128
    stream.state = state
    return stream


def test_a_word_that_is_rejected(engine):
    """Below 3, a word whose upper half is 0 is drawn again, and the lower half does not matter (N9)."""
    for word, n_words in ((0xFFFFFFFF, 3), (0x1FFFFFFFF, 2)):
        stream, raw = stream_with_word(word), stream_with_word(word)
        assert raw.random_raw() == word
        raw.random_raw(n_words - 1)
        engine.train(backprop.Network([1, 1]), [[0.0], [1.0], [2.0]], [0.0] * 3, epochs=1, batch_size=2, rng=stream)
        assert stream.state == raw.state


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("output", OUTPUTS)
def test_a_nan_is_passed_on(engines, hidden, output):
    """inf - inf in the first layer's net input of row 1 is never hidden by what comes after it."""
    flat = [1e200, 1.0, -1e200, 1.0, 0.0, 0.0, 0.0, 1.0, 0.5, 1.0, 0.0, 0.0]
    network = backprop.Network([2, 2, 2], hidden, output).with_parameters(flat)
    X = [[0.0, 0.0], [1e200, 1e200], [0.0, 0.0]]
    y = [[0.0, 1.0]] * 3
    for engine in engines:
        for name, data in (("predict", [X]), ("loss", [X, y]), ("loss_and_gradient", [X, y])):
            with pytest.raises(OverflowError, match="of row 1 is not finite"):
                getattr(engine, name)(network, *data)
        with pytest.raises(backprop.DivergenceError) as caught:
            engine.train(network, X, y, epochs=3)
        assert np.isnan(caught.value.losses).tolist() == [True]


def test_classes_are_one_hot_rows(engine):
    problem = some_problem("softmax", "cross_entropy", backprop.Adam(0.01))
    X = problem.pieces[0][0]
    labels = np.arange(len(X)) % 4
    rows = np.eye(4)[labels]
    settings = problem.settings | {"epochs": 4}
    by_class = engine.train(problem.network, X, labels, **settings)
    assert run_bits(by_class) == run_bits(engine.train(problem.network, X, rows, **settings))
    assert engine.loss(problem.network, X, labels) == engine.loss(problem.network, X, rows)
    pair = [engine.loss_and_gradient(problem.network, X, y) for y in (labels, rows)]
    assert [bits(part) for part in pair[0]] == [bits(part) for part in pair[1]]


def test_flat_targets_of_one_output(engine):
    problem = some_problem("identity", "squared_error", backprop.Adam(0.01), sizes=(3, 5, 1))
    X, y = problem.pieces[0][:2]
    settings = problem.settings | {"epochs": 4}
    flat = engine.train(problem.network, X, y[:, 0], **settings)
    assert run_bits(flat) == run_bits(engine.train(problem.network, X, y, **settings))
    assert engine.loss(problem.network, X, y[:, 0]) == engine.loss(problem.network, X, y)


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_row_alone(engine, output):
    """predict(X)[k] equals predict(X[k:k+1])[0], also where tiles and blocks end (N10)."""
    problem = some_problem(output, losses_for(output)[0], None, n_samples=131, hidden="softsign")
    X = problem.pieces[0][0]
    together = engine.predict(problem.network, X)
    for k in [*range(9), 126, 127, 128, 129, 130]:
        assert bits(together[k]) == bits(engine.predict(problem.network, X[k : k + 1])[0])


@pytest.mark.parametrize("n_threads", [1, 2, 3, 64])
def test_threads_change_no_bit(n_threads):
    problem = some_problem("softmax", "cross_entropy", backprop.Adam(), n_samples=300, batch_size=128)
    X, y = problem.pieces[0][:2]
    network = problem.network
    assert bits(network.predict(X, n_threads)) == bits(network.predict(X))
    assert network.loss(X, y, n_threads=n_threads) == network.loss(X, y)
    alone = backprop.fast_train(network, X, y, epochs=2)
    threaded = backprop.fast_train(network, X, y, epochs=2, n_threads=n_threads)
    assert run_bits(threaded) == run_bits(alone)
    again = threaded.resume(X, y, epochs=2, n_threads=n_threads)
    assert run_bits(again) == run_bits(alone.resume(X, y, epochs=2))


@pytest.mark.parametrize("optimizer", [backprop.Adam(1e-3, 0.75, 0.75), backprop.SGD(1e-3, 0.75)], ids=repr)
def test_subnormal_state_runs_on(engines, optimizer):
    """The state of units that died ends in subnormal numbers that never reach zero."""
    network = backprop.Network([1, 2, 1], "relu").with_parameters([1.0, 2.0, 0.0, 0.0, 0.5, 0.5, 0.0])
    X, y = np.array([[1.0], [2.0]]), [1.0, 0.0]
    settings = {"optimizer": optimizer, "epochs": 2, "batch_size": 2}
    runs = [engine.train(network, X, y, **settings).resume(-X, y, epochs=2700) for engine in engines]
    assert run_bits(runs[0]) == run_bits(runs[1])
    of_units = np.abs(runs[1]._state.slots[0, :6])
    assert (of_units > 0.0).all()
    assert (of_units < np.finfo(float).tiny).all()
