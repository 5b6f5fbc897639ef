"""Dropout (N18): which hidden units are dropped, what becomes of the others, and where nothing is."""

import copy
import dataclasses
import pickle

import numpy as np
import pytest
from problems import drawn_kinds, drawn_settings, outcome, run_bits, some_problem

import backprop
from backprop import reference
from backprop.definition.randomness import shuffled

X = np.linspace(-1.0, 1.0, 36).reshape(12, 3)
Y = np.cos(3.0 * X[:, :2])
NETWORK = backprop.Network([3, 6, 5, 2], rng=2)
HALF = backprop.Dropout(0.5)


def stream_of(seed):
    """The stream as the contract says it."""
    return np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(1,)))


def drawn(stream, n):
    """n numbers u of the contract."""
    return (stream.random_raw(n) >> np.uint64(11)).astype(np.float64) * 2.0**-53


@pytest.mark.parametrize("seed", range(90))
def test_every_bit(engines, threads_for_small_work, seed):
    """Over activations, losses, rules, rates, sizes of batches, weights, and one to four threads."""
    generator = np.random.default_rng(seed)
    output, loss, optimizer, n = drawn_kinds(generator, seed)
    sizes = tuple(int(size) for size in generator.integers(1, 14, generator.integers(3, 6)))
    problem = some_problem(output, loss, optimizer, sizes=sizes, n_samples=n)
    hidden = [str(generator.choice(list(reference.ACTIVATIONS))) for _ in sizes[2:]]
    network = backprop.Network(sizes, hidden, output, rng=seed)
    (X, y, _, _), (X_more, y_more, _, _) = problem.pieces
    rates = [float(generator.choice([0.0, 0.1, 0.25, 0.5, 0.9, 5e-324, 1.0 - 2.0**-53])) for _ in hidden]
    dropout = backprop.Dropout(rates if seed % 3 else rates[0], rng=seed)
    settings = drawn_settings(generator, seed, loss, optimizer, [1, 2, 3, 8, 130]) | {"dropout": dropout}
    c = generator.uniform(0.0, 2.0, n) if seed % 4 == 0 else None

    def everything(engine, **threads):
        run = outcome(engine.train, network, X, y, epochs=2, sample_weight=c, **settings, **threads)
        found = [run_bits(run)]
        if isinstance(run, backprop.Training):
            found.append(run_bits(outcome(run.resume, X_more, y_more, epochs=2, **threads)))
        return found

    expected = everything(engines[0])
    for count in (1, 1 + seed % 4):
        assert everything(engines[1], n_threads=count) == expected


@pytest.mark.parametrize("n_threads", [1, 2, 3, 4])
@pytest.mark.parametrize("batch_size", [130, 700, 1300])
def test_batches_larger_than_a_block(engines, threads_for_small_work, batch_size, n_threads):
    """The order of the draws is that of the rows, however they are cut into blocks."""
    problem = some_problem("softmax", "cross_entropy", backprop.Adam(), sizes=(3, 3, 2, 4), n_samples=1300)
    X, y = problem.pieces[0][:2]
    settings = {"epochs": 2, "batch_size": batch_size, "dropout": backprop.Dropout([0.3, 0.6])}
    if n_threads == 1:
        expected = run_bits(engines[0].train(problem.network, X, y, **settings))
        assert run_bits(engines[1].train(problem.network, X, y, n_threads=1, **settings)) == expected
    runs = [backprop.fast_train(problem.network, X, y, n_threads=count, **settings) for count in (1, n_threads)]
    assert run_bits(runs[0]) == run_bits(runs[1])


@pytest.mark.parametrize("sizes", [(3, 300, 2), (2, 130, 150, 2), (1, 1, 1), (3, 17, 1, 9, 2)])
def test_wide_and_narrow_layers(engines, sizes):
    problem = some_problem("identity", "squared_error", backprop.Adam(), hidden="softsign", sizes=sizes, n_samples=40)
    X, y = problem.pieces[0][:2]
    settings = {"epochs": 1, "batch_size": 32, "dropout": HALF}
    runs = [engine.train(problem.network, X, y, **settings) for engine in engines]
    assert run_bits(runs[0]) == run_bits(runs[1])


def test_pauses_change_no_bit():
    """A call of the kernel may end within a batch: large nets, so that 1e8 multiply-adds do."""
    network = backprop.Network([40, 400, 400, 2], "relu", rng=1)
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(1200, 40)), generator.normal(size=(1200, 2))
    runs = [
        backprop.fast_train(network, X, y, epochs=2, batch_size=1100, dropout=HALF, n_threads=count) for count in (1, 2)
    ]
    assert run_bits(runs[0]) == run_bits(runs[1])


@pytest.mark.parametrize("rate", [0.0, -0.0, [0.0, 0.0]])
@pytest.mark.parametrize("optimizer", [backprop.SGD(0.1), backprop.Adam(0.1)], ids=repr)
@pytest.mark.parametrize("batch_size", [1, 5])
def test_a_rate_of_zero_is_no_dropout(engine, rate, optimizer, batch_size):
    """Nothing is drawn, and no stream made."""
    settings = {"epochs": 3, "optimizer": optimizer, "batch_size": batch_size}
    run = engine.train(NETWORK, X, Y, dropout=backprop.Dropout(rate), **settings)
    plain = engine.train(NETWORK, X, Y, **settings)
    assert run._state.dropout is plain._state.dropout is None
    assert run.network == plain.network
    assert run.losses.tolist() == plain.losses.tolist()


def test_only_layers_with_a_rate_draw(engine):
    run = engine.train(NETWORK, X, Y, epochs=3, dropout=backprop.Dropout([0.0, 0.25], rng=9))
    stream = stream_of(9)
    stream.random_raw(3 * 12 * 5)
    assert run._state.dropout.state == stream.state


def test_the_order_of_the_draws(engine):
    """Two steps on rows in a shuffled order, written down with NumPy: rows as visited, layers, units."""
    network = backprop.Network([3, 6, 5, 2], "identity", rng=2)
    rates = (0.5, 0.25)
    settings = {"optimizer": backprop.SGD(0.25), "epochs": 1, "batch_size": 3, "rng": 4}
    run = engine.train(network, X[:5], Y[:5], dropout=backprop.Dropout(rates, rng=3), **settings)
    stream, order = stream_of(3), shuffled(np.random.PCG64(4).random_raw, 5)
    total = 0.0
    for batch in (order[:3], order[3:]):
        slopes, (W1, W2, W3), (b1, b2, b3) = np.zeros(network.n_parameters), network.weights, network.biases
        for s in batch:
            masks = [(drawn(stream, n) >= rate) / (1.0 - rate) for n, rate in zip((6, 5), rates, strict=True)]
            h1 = (X[s] @ W1 + b1) * masks[0]
            h2 = (h1 @ W2 + b2) * masks[1]
            d3 = h2 @ W3 + b3 - Y[s]
            d2 = (W3 @ d3) * masks[1]
            d1 = (W2 @ d2) * masks[0]
            parts = [np.outer(X[s], d1), d1, np.outer(h1, d2), d2, np.outer(h2, d3), d3]
            slopes += np.concatenate([part.ravel() for part in parts])
            total += 0.5 * (d3 @ d3)
        network = network.with_parameters(network.parameters - 0.25 * slopes / len(batch))
    np.testing.assert_allclose(network.parameters, run.network.parameters, rtol=0.0, atol=1e-13)
    assert abs(run.losses[0] - total / 5.0) < 1e-13
    assert run._state.dropout.state == stream.state


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.8])
def test_the_share_of_dropped_units(engine, rate):
    """Near the rate: units whose weights a step has not moved were dropped; what others pass on makes up for that."""
    n = 2000
    network = backprop.Network([1, n, 1], "identity").with_parameters(np.r_[np.ones(n), np.zeros(n), np.ones(n) / n, 0])
    given = network, [[1.0]], [[-1.0]]
    run = engine.train(*given, optimizer=backprop.SGD(1e-6), epochs=1, dropout=backprop.Dropout(rate, rng=1))
    dropped = run.network.weights[0][0] == 1.0
    assert np.array_equal(dropped, run.network.weights[1][:, 0] == 1.0 / n)
    assert np.array_equal(dropped, drawn(stream_of(1), n) < rate)
    assert abs(dropped.mean() - rate) < 4.0 * np.sqrt(rate * (1.0 - rate) / n)
    output = np.sqrt(2.0 * run.losses[0]) - 1.0  # 1.0 without dropout
    assert abs(output - 1.0) < 4.0 * np.sqrt(rate / (1.0 - rate) / n)
    assert abs(output - (1.0 - dropped.mean()) / (1.0 - rate)) < 1e-12


def test_the_delta_of_a_dropped_unit_is_zero_whatever_its_derivative_is(engines):
    """exp(1e5) and its derivative are infinite; 0.0 times that would not be a number."""
    network = backprop.Network.from_arrays([[[1e5, 1.0]], np.ones((2, 1))], [[0.0, 0.0], [0.0]], "exponential")
    seed = next(seed for seed in range(60) if (drawn(stream_of(seed), 2) < 0.5).tolist() == [True, False])
    settings = {"epochs": 1, "optimizer": backprop.SGD(0.5), "dropout": backprop.Dropout(0.5, seed)}
    runs = [engine.train(network, [[1.0]], [0.0], **settings) for engine in engines]
    assert run_bits(runs[0]) == run_bits(runs[1])
    assert runs[0].network.weights[0][0, 0] == 1e5
    assert runs[0].network.weights[0][0, 1] < 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_dropped_is_zero_whatever_it_was(engines, bad):
    """A unit that overflows is of no effect in a row that does without it, and it is not hidden in another."""
    weights = [[1e200, 1.0], [-1e200 if np.isnan(bad) else 1e200, 1.0]]
    network = backprop.Network.from_arrays([weights, np.ones((2, 1))], [[0.0, 0.0], [0.0]], "identity")
    row = [[1e200, 1e200]]
    seeds = [seed for seed in range(60) if (drawn(stream_of(seed), 2) < 0.5).tolist() == [True, False]]
    settings = {"epochs": 1, "optimizer": backprop.SGD(1e-300)}
    for seed in seeds[:3]:
        runs = [
            engine.train(network, row, [4e200], dropout=backprop.Dropout(0.5, seed), **settings) for engine in engines
        ]
        assert run_bits(runs[0]) == run_bits(runs[1])
        assert runs[0].losses.tolist() == [0.0]
    for engine in engines:
        with pytest.raises(backprop.DivergenceError):
            engine.train(network, row, [4e200], **settings)


def test_signs_of_zero(engines):
    """A dropped unit's delta is 0.0, not -0.0 or NaN, whatever the derivative is."""
    for hidden in reference.ACTIVATIONS:
        network = backprop.Network([1, 4, 4, 1], hidden, rng=1)
        for x in (-1.0, 0.0, -0.0, 30.0):
            settings = {"epochs": 4, "optimizer": backprop.SGD(0.1, 0.5), "dropout": HALF, "batch_size": 1}
            runs = [outcome(engine.train, network, [[x], [-x]], [1.0, -1.0], **settings) for engine in engines]
            assert run_bits(runs[0]) == run_bits(runs[1])


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda run: pickle.loads(pickle.dumps(run))])
def test_resume(engine, again):
    """In pieces or at once: the stream goes on; the first run stays as it is."""
    settings = {"dropout": backprop.Dropout([0.5, 0.0], rng=7), "batch_size": 5}
    whole = engine.train(NETWORK, X, Y, epochs=9, **settings)
    part = engine.train(NETWORK, X, Y, epochs=5, **settings)
    before = run_bits(part)
    for _ in range(2):
        assert run_bits(again(part).resume(X, Y, epochs=4)) == run_bits(whole)
    assert run_bits(part) == before == run_bits(again(part))


def test_files(engine, tmp_path):
    path = tmp_path / "run.txt"
    for dropout in (HALF, backprop.Dropout([0.25, 0.0], 5), backprop.Dropout(0.0), None):
        run = engine.train(NETWORK, X, Y, epochs=2, dropout=dropout)
        run.save(path)
        again = backprop.Training.load(path)
        assert run_bits(again) == run_bits(run)
        assert run_bits(again.resume(X, Y, epochs=2)) == run_bits(run.resume(X, Y, epochs=2))


def test_files_whose_stream_is_missing_or_too_much(tmp_path):
    """The state must be one that such a run has."""
    for dropout, state in ((HALF, None), (None, np.random.PCG64(1)), (HALF, np.random.Philox(1)), (HALF, 5)):
        run = backprop.fast_train(NETWORK, X, Y, epochs=1, dropout=dropout)
        run._with(state=run._state._replace(dropout=state)).save(tmp_path / "run.txt")
        with pytest.raises(ValueError, match=r"state\.dropout must be a PCG64 if units are dropped, else none"):
            backprop.Training.load(tmp_path / "run.txt")


def test_together_with_everything_else(engines, threads_for_small_work, tmp_path):
    """Weights, penalties, clipping, a schedule, rows that are watched; stopped, and carried on from a checkpoint."""
    c = np.array([1.0, 0.5, 0.0, 2.0, 3.0, 0.25, 0.0, 0.0, 1.0, 0.1, 7.0, 1e-3])
    rate = backprop.StepDecay(0.1, every=2, factor=0.5)
    settings = {"optimizer": backprop.Adam(rate, l1=1e-3, l2=1e-2, clip_norm=0.1), "batch_size": 3, "epochs": 6}
    settings |= {"sample_weight": c, "dropout": backprop.Dropout([0.5, 0.25], 3)}
    settings["stopping"] = backprop.EarlyStopping(validation_data=(X[:5], Y[:5], c[:5]), patience=None)
    found = []
    for k, engine in enumerate(engines):
        found.append(run_bits(engine.train(NETWORK, X, Y, **settings)))
        kept = backprop.Checkpoint(tmp_path / f"{k}.txt", every=2)

        def callback(state):
            if state.epoch == 3:
                raise KeyError

        with pytest.raises(KeyError):
            engine.train(NETWORK, X, Y, callback=callback, checkpoint=kept, **settings)
        assert backprop.Training.load(kept.path).epochs == 2
        found.append(run_bits(engine.train(NETWORK, X, Y, checkpoint=kept, **settings)))
    assert found == [found[0]] * 4


def test_watched_losses_and_callbacks_see_the_whole_network(engine):
    seen = []
    stop = backprop.EarlyStopping(patience=None, restore_best=False)
    settings = {"epochs": 4, "dropout": HALF, "stopping": stop}
    run = engine.train(NETWORK, X, Y, callback=lambda state: seen.append(state.network), **settings)
    assert run.validation_losses.tolist() == [engine.loss(network, X, Y) for network in seen]
    assert run.network == seen[-1]
    assert run.losses[-1] != run.validation_losses[-2]
    plain = engine.train(NETWORK, X, Y, epochs=4, dropout=HALF)
    assert plain.network == run.network


def test_the_order_of_rows_is_as_without(engine):
    """Dropout draws from a stream of its own, and the stream of the order from its."""
    runs = [engine.train(NETWORK, X, Y, epochs=3, batch_size=5, rng=5, dropout=dropout) for dropout in (None, HALF)]
    assert runs[0].network != runs[1].network
    assert runs[0]._state.stream.state == runs[1]._state.stream.state
    other = engine.train(NETWORK, X, Y, epochs=3, batch_size=5, rng=5, dropout=backprop.Dropout(0.5, 1))
    assert other.network != runs[1].network


def test_without_hidden_layers(engine):
    network = backprop.Network([3, 2])
    run = engine.train(network, X, Y, epochs=2, dropout=HALF)
    assert run.network == engine.train(network, X, Y, epochs=2).network
    assert engine.train(network, X, Y, epochs=2, dropout=backprop.Dropout([])).network == run.network


def test_it_keeps_a_large_network_from_learning_noise(engine):
    """What it is for."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(40, 8))
    y = rows[:, 0] + generator.normal(size=40)
    fresh = generator.normal(size=(400, 8))
    network = backprop.Network([8, 24, 1], rng=0)
    found = []
    for dropout in (None, HALF):
        run = engine.train(network, rows, y, optimizer=backprop.Adam(0.02), epochs=60, batch_size=10, dropout=dropout)
        found.append((run.network.loss(rows, y), run.network.loss(fresh, fresh[:, 0])))
    assert found[0][0] < found[1][0]
    assert found[0][1] > 1.2 * found[1][1]


@pytest.mark.parametrize(
    ("settings", "exception", "words"),
    [
        ({"rate": 1.0}, ValueError, r"rate must be a finite number in \[0, 1\), got 1.0"),
        ({"rate": -0.1}, ValueError, r"rate must be a finite number in \[0, 1\), got -0.1"),
        ({"rate": np.nan}, ValueError, r"rate must be a finite number in \[0, 1\), got nan"),
        ({"rate": "0.5"}, TypeError, r"rate must be a real number in \[0, 1\), got '0.5'"),
        ({"rate": None}, TypeError, r"rate must be a real number in \[0, 1\), got None"),
        ({"rate": True}, TypeError, r"rate must be a real number in \[0, 1\), got True"),
        ({"rate": np.array(0.5)}, TypeError, r"rate must be a real number in \[0, 1\), got array\(0.5\)"),
        ({"rate": {0.5}}, TypeError, r"rate must be a real number in \[0, 1\), got \{0.5\}"),
        ({"rate": [0.5, 1.0]}, ValueError, r"rate\[1\] must be a finite number in \[0, 1\), got 1.0"),
        ({"rate": (0.5, [0.5])}, TypeError, r"rate\[1\] must be a real number in \[0, 1\), got \[0.5\]"),
        ({"rate": np.array([[0.5]])}, TypeError, r"rate\[0\] must be a real number in \[0, 1\), got array"),
        ({"rate": 0.5, "rng": -1}, ValueError, "rng must be an integer >= 0, got -1"),
        ({"rate": 0.5, "rng": 0.5}, TypeError, "rng must be an integer >= 0, got 0.5"),
        ({"rate": 0.5, "rng": None}, TypeError, "rng must be an integer >= 0, got None"),
    ],
)
def test_bad_settings(settings, exception, words):
    with pytest.raises(exception, match=f"^{words}"):
        backprop.Dropout(**settings)


def test_settings():
    assert backprop.Dropout(np.float32(0.5)) == HALF
    assert backprop.Dropout(0) == backprop.Dropout(0.0)
    same = [backprop.Dropout(rates, np.int8(3)) for rates in ([0.5, 0], (0.5, 0.0), np.array([0.5, 0.0]))]
    assert same[0] == same[1] == same[2]
    assert hash(same[0]) == hash(same[2])
    assert same[0].rate == (0.5, 0.0)
    assert repr(same[0]) == "Dropout(rate=(0.5, 0.0), rng=3)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        HALF.rate = 0.1
    assert HALF.rates((3, 4, 5, 6)) == (0.5, 0.5)


def test_bad_use(engine):
    for bad in (0.5, "half", backprop.Dropout, [0.5]):
        with pytest.raises(TypeError, match=r"^dropout must be None or a backprop\.Dropout\(\.\.\.\), got "):
            engine.train(NETWORK, X, Y, dropout=bad)
    words = "^dropout must have a rate for each of 2 hidden layers, or one for all, got 3 rates"
    with pytest.raises(ValueError, match=words):
        engine.train(NETWORK, X, Y, dropout=backprop.Dropout([0.5] * 3))
    with pytest.raises(TypeError, match="dropout"):
        engine.train(NETWORK, X, Y, epochs=1).resume(X, Y, epochs=1, dropout=HALF)


def test_a_failed_run_leaves_the_stream(engine):
    run = engine.train(NETWORK, X, Y, epochs=2, dropout=HALF)
    before = run_bits(run)

    def callback(state):
        raise KeyError

    with pytest.raises(KeyError):
        run.resume(X, Y, epochs=2, callback=callback)
    with pytest.raises(backprop.DivergenceError):
        run.resume(X, Y * 1e300, epochs=2)
    assert run_bits(run) == before
