"""Sample weights (N17): what rows count in the loss and in the gradient, and in a batch that counts nothing."""

import copy
import decimal
import math
import pickle

import numpy as np
import pytest
from problems import bits, drawn_kinds, drawn_settings, outcome, run_bits, some_problem

import backprop
from backprop import reference
from backprop.definition.randomness import shuffled

X = np.linspace(-1.0, 1.0, 36).reshape(12, 3)
Y = np.cos(3.0 * X[:, :2])
C = np.array([1.0, 0.5, 0.0, 2.0, 3.0, 0.25, 0.0, 0.0, 1.0, 0.1, 7.0, 1e-3])
NETWORK = backprop.Network([3, 4, 2], rng=2)


def weights_for(generator, n, kind):
    """n weights, of one kind."""
    c = {
        "ones": lambda: np.ones(n),
        "uniform": lambda: generator.uniform(0.0, 2.0, n),
        "whole": lambda: generator.integers(0, 4, n).astype(np.float64),
        "powers": lambda: np.ldexp(1.0, generator.integers(-60, 60, n)),
        "mostly zero": lambda: np.where(generator.random(n) < 0.8, 0.0, generator.random(n)),
        "tiny": lambda: generator.uniform(0.0, 1.0, n) * 1e-310,
        "huge": lambda: generator.uniform(0.0, 1.0, n) * 1e299 / n,
        "same": lambda: np.full(n, generator.uniform(0.1, 9.0)),
    }[kind]()
    c[generator.integers(n)] += 0.0 if c.any() else 0.75
    return c


KINDS = ("ones", "uniform", "whole", "powers", "mostly zero", "tiny", "huge", "same")


def everything(engine, network, data, more, c, c_more, settings, **threads):
    """Every bit of a run, the run resumed with other data, the loss and its gradient."""
    loss = settings["loss"]
    run = outcome(engine.train, network, *data, sample_weight=c, epochs=2, **settings, **threads)
    found = [run_bits(run)]
    if isinstance(run, backprop.Training):
        again = outcome(run.resume, *more, sample_weight=c_more, epochs=1, **threads)
        found.append(run_bits(again))
        found.append(run_bits(outcome(run.resume, *more, epochs=1, **threads)))
    found.append(outcome(engine.loss, network, *data, loss, sample_weight=c, **threads))
    pair = outcome(engine.loss_and_gradient, network, *data, loss, sample_weight=c)
    return [*found, *(bits(part) if isinstance(part, np.ndarray) else part for part in pair)]


@pytest.mark.parametrize("seed", range(90))
def test_every_bit(engines, threads_for_small_work, seed):
    """Over outputs, losses, rules, kinds of weights, sizes of batches, and one to four threads."""
    generator = np.random.default_rng(seed)
    output, loss, optimizer, n = drawn_kinds(generator, seed)
    hidden = str(generator.choice(list(reference.ACTIVATIONS)))
    sizes = tuple(int(size) for size in generator.integers(1, 9, generator.integers(2, 5)))
    problem = some_problem(output, loss, optimizer, hidden=hidden, sizes=sizes, n_samples=n)
    (X, y, _, _), (X_more, y_more, _, _) = problem.pieces
    settings = drawn_settings(generator, seed, loss, optimizer, [1, 2, 3, 8, 130, 200])
    c = weights_for(generator, n, KINDS[seed % len(KINDS)])
    c_more = weights_for(generator, len(X_more), KINDS[(seed + 3) % len(KINDS)])
    given = (problem.network, (X, y), (X_more, y_more), c, c_more, settings)
    expected = everything(engines[0], *given)
    for count in (1, 1 + seed % 4):
        assert everything(engines[1], *given, n_threads=count) == expected


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("batch_size", [130, 520, 1300])
def test_batches_larger_than_a_block(engines, threads_for_small_work, batch_size, shuffle):
    """The sums over a batch and over an epoch carry on from block to block."""
    problem = some_problem("softmax", "cross_entropy", backprop.Adam(), sizes=(3, 2, 4), n_samples=1300)
    X, y = problem.pieces[0][:2]
    c = np.random.default_rng(1).uniform(0.0, 3.0, len(X))
    settings = {"sample_weight": c, "epochs": 2, "batch_size": batch_size, "shuffle": shuffle}
    expected = run_bits(engines[0].train(problem.network, X, y, **settings))
    for n_threads in (1, 2, 3):
        assert run_bits(engines[1].train(problem.network, X, y, n_threads=n_threads, **settings)) == expected


def test_pauses_change_no_bit(engines):
    """A call of the kernel may end within a batch and within an epoch: large nets, so that 1e8 multiply-adds do."""
    network = backprop.Network([40, 400, 400, 2], "relu", rng=1)
    generator = np.random.default_rng(0)
    X, y, c = generator.normal(size=(1200, 40)), generator.normal(size=(1200, 2)), generator.uniform(size=1200)
    runs = [
        backprop.fast_train(network, X, y, sample_weight=c, epochs=2, batch_size=1100, n_threads=count)
        for count in (1, 2)
    ]
    assert run_bits(runs[0]) == run_bits(runs[1])
    order = shuffled(np.random.PCG64(0).random_raw, 1200)
    total = of_all = 0.0
    for s in order:
        of_all = of_all + float(c[s])
    still = {"optimizer": backprop.SGD(1e-250), "train_biases": False}  # no step moves a weight
    first = backprop.fast_train(network, X, y, sample_weight=c, epochs=1, batch_size=1100, n_threads=1, **still)
    for s in order:
        total = total + float(c[s]) * network.loss(X[s : s + 1], y[s : s + 1])
    assert first.losses.tolist() == [total / of_all]


@pytest.mark.parametrize("batch_size", [1, 3, 12])
@pytest.mark.parametrize("optimizer", [backprop.SGD(0.1), backprop.Adam(0.1)], ids=repr)
def test_ones_are_no_weights(engine, optimizer, batch_size):
    settings = {"epochs": 3, "batch_size": batch_size, "optimizer": optimizer}
    plain = engine.train(NETWORK, X, Y, **settings)
    ones = engine.train(NETWORK, X, Y, sample_weight=np.ones(12), **settings)
    assert run_bits(ones) == run_bits(plain)
    assert engine.loss(NETWORK, X, Y, sample_weight=[1] * 12) == engine.loss(NETWORK, X, Y)
    pairs = [engine.loss_and_gradient(NETWORK, X, Y, sample_weight=c) for c in (None, [True] * 12)]
    assert pairs[0][0] == pairs[1][0]
    assert bits(pairs[0][1]) == bits(pairs[1][1])


def test_a_batch_that_counts_nothing_takes_no_step(engine):
    """Adam's powers and moments stay too; the batches beside it go on as if it were not there."""
    c = np.array([1.0, 2.0, 3.0, 0.0, -0.0, 0.0, 1.0, 0.0, 0.5, 0.0, 0.0, 0.0])
    settings = {"epochs": 2, "batch_size": 3, "shuffle": False, "optimizer": backprop.Adam(0.1)}
    run = engine.train(NETWORK, X, Y, sample_weight=c, **settings)
    kept = np.r_[0:3, 6:9]
    other = engine.train(NETWORK, X[kept], Y[kept], sample_weight=c[kept], **settings)
    assert run_bits(run) == run_bits(other)
    assert run._state.scalars.tolist() == [0.9 * 0.9 * 0.9 * 0.9, 0.999 * 0.999 * 0.999 * 0.999]


def test_whole_weights_repeat_rows(engine):
    """In mathematics, a row that counts 3 is a row that is there three times; bits differ in the last places."""
    c = np.array([3, 0, 1, 2, 5, 0, 1, 1, 4, 2, 0, 1])
    repeated = np.repeat(X, c, axis=0), np.repeat(Y, c, axis=0)
    value, gradient = engine.loss_and_gradient(NETWORK, X, Y, sample_weight=c)
    expected, slopes = engine.loss_and_gradient(NETWORK, *repeated)
    assert math.isclose(value, expected, rel_tol=1e-14)
    np.testing.assert_allclose(gradient, slopes, rtol=1e-12, atol=1e-15)
    assert np.abs(gradient - engine.loss_and_gradient(NETWORK, X, Y)[1]).max() > 1e-3
    settings = {"epochs": 5, "batch_size": 100, "optimizer": backprop.Rprop(), "shuffle": False}
    settings["batch_size"] = None
    runs = [engine.train(NETWORK, X, Y, sample_weight=c, **settings), engine.train(NETWORK, *repeated, **settings)]
    np.testing.assert_allclose(runs[0].losses, runs[1].losses, rtol=1e-12)


def test_the_loss_is_the_weighted_mean(engine):
    of_rows = [engine.loss(NETWORK, X[s : s + 1], Y[s : s + 1]) for s in range(12)]
    assert math.isclose(engine.loss(NETWORK, X, Y, sample_weight=C), np.average(of_rows, weights=C), rel_tol=1e-14)
    run = engine.train(NETWORK, X, Y, sample_weight=C, optimizer=backprop.Rprop(), epochs=1)
    assert math.isclose(run.losses[0], np.average(of_rows, weights=C), rel_tol=1e-14)
    assert engine.loss(NETWORK, X, Y, sample_weight=C) == engine.loss_and_gradient(NETWORK, X, Y, None, C)[0]


def test_the_gradient_against_central_differences():
    value, gradient = reference.loss_and_gradient(NETWORK, X, Y, sample_weight=C)
    h = 2.0**-17
    for k in range(NETWORK.n_parameters):
        ends = []
        for step in (h, -h):
            w = NETWORK.parameters.copy()
            w[k] += step
            ends.append(reference.loss(NETWORK.with_parameters(w), X, Y, sample_weight=C))
        assert abs((ends[0] - ends[1]) / (2.0 * h) - gradient[k]) < 1e-9
    assert value > 0.0
    assert np.abs(gradient).max() > 0.01


@pytest.mark.parametrize(
    "divisor", [2.0**-1074, 2.0**-1023, 2.0**-1022, 3.0 * 2.0**-1024, 2.0**-3, 2.0**40, 2.0**996, 3.0 * 2.0**900, 0.7]
)
def test_one_division(engines, divisor):
    """The mean is g/C, also where C is a power of two whose reciprocal is infinite or subnormal."""
    network = backprop.Network([1, 1]).with_parameters([1.0, 0.0])
    for x in (1.0, 0.3, 1e-9):
        given = network, [[x]], [[0.1]]
        pairs = [engine.loss_and_gradient(*given, sample_weight=[divisor]) for engine in engines]
        delta = divisor * (x - 0.1)
        assert pairs[0][1].tolist() == pairs[1][1].tolist() == [(0.0 + x * delta) / divisor, (0.0 + delta) / divisor]
        runs = [
            engine.train(*given, sample_weight=[divisor], epochs=2, optimizer=backprop.Adam()) for engine in engines
        ]
        assert run_bits(runs[0]) == run_bits(runs[1])


@pytest.mark.parametrize("resumed", [False, True])
def test_resume(engine, resumed):
    """30 epochs resumed by 20 give the bits of 50; a run without weights can be resumed with some."""
    settings = {"sample_weight": C, "optimizer": backprop.Adam(0.01), "batch_size": 5}
    whole = engine.train(NETWORK, X, Y, epochs=10, **settings)
    part = engine.train(NETWORK, X, Y, epochs=6, **settings)
    for again in (part, pickle.loads(pickle.dumps(part)), copy.deepcopy(part)):
        assert run_bits(again.resume(X, Y, epochs=4, sample_weight=C)) == run_bits(whole)
    assert run_bits(part.resume(X, Y, epochs=4)) != run_bits(whole)


def test_watched_rows_count(engine, tmp_path):
    """The third member of validation_data; without any, the training rows with their weights."""
    for given, expected in (((X[:5], Y[:5], C[:5]), C[:5]), ((X[:5], Y[:5], None), None)):
        stop = backprop.EarlyStopping(validation_data=given, restore_best=False)
        run = engine.train(NETWORK, X, Y, epochs=3, stopping=stop)
        assert run.validation_losses[-1] == engine.loss(run.network, X[:5], Y[:5], sample_weight=expected)
        run.save(tmp_path / "run.txt")
        for other in (pickle.loads(pickle.dumps(run)), backprop.Training.load(tmp_path / "run.txt")):
            assert run_bits(other.resume(X, Y, epochs=2)) == run_bits(run.resume(X, Y, epochs=2))
    stop = backprop.EarlyStopping(restore_best=False)
    run = engine.train(NETWORK, X, Y, sample_weight=C, epochs=3, stopping=stop)
    assert run.validation_losses[-1] == engine.loss(run.network, X, Y, sample_weight=C)


def test_the_fraction_takes_the_weights_along(engine):
    order = shuffled(np.random.PCG64(7).random_raw, 12)
    watched, rest = sorted(order[9:]), sorted(order[:9])
    c = C + 0.5
    stop = backprop.EarlyStopping(validation_fraction=0.25, patience=None, rng=7)
    run = engine.train(NETWORK, X, Y, sample_weight=c.tolist(), epochs=4, stopping=stop)
    stop = backprop.EarlyStopping(validation_data=(X[watched], Y[watched], c[watched]), patience=None)
    other = engine.train(NETWORK, X[rest], Y[rest], sample_weight=c[rest], epochs=4, stopping=stop)
    assert run.network == other.network
    assert run.losses.tolist() == other.losses.tolist()
    assert run.validation_losses.tolist() == other.validation_losses.tolist()


@pytest.mark.parametrize(
    "same",
    [
        list,
        tuple,
        lambda c: c.astype(np.float32),
        lambda c: c.astype(">f8"),
        lambda c: np.repeat(c, 2)[::2],
        lambda c: c.astype(np.int8),
        lambda c: c.astype(object),
        lambda c: [decimal.Decimal(one) for one in c.tolist()],
    ],
)
def test_weights_of_every_kind(engine, same):
    c = np.array([1.0, 0.0, 2.0, 3.0, 0.0, 1.0, 1.0, 5.0, 1.0, 0.0, 1.0, 100.0])
    held = c.copy()
    given = same(c)
    assert run_bits(engine.train(NETWORK, X, Y, sample_weight=given, epochs=2)) == run_bits(
        engine.train(NETWORK, X, Y, sample_weight=c, epochs=2)
    )
    assert engine.loss(NETWORK, X, Y, sample_weight=given) == engine.loss(NETWORK, X, Y, sample_weight=c)
    assert np.array_equal(held, c)


def with_value(value, s=1):
    c = np.ones(12)
    c[s] = value
    return c


@pytest.mark.parametrize(
    ("bad", "exception", "words"),
    [
        (np.ones(11), ValueError, r"must have shape \(12,\), one for each row, got shape \(11,\)"),
        (np.ones((12, 1)), ValueError, r"must have shape \(12,\), got shape \(12, 1\)"),
        (1.0, ValueError, r"must have shape \(12,\), got shape \(\)"),
        (with_value(-0.5), ValueError, "must be finite and >= 0, got -0.5 in row 1"),
        (with_value(-5e-324, 11), ValueError, "must be finite and >= 0, got -5e-324 in row 11"),
        (with_value(np.nan, 0), ValueError, "must be finite and >= 0, got nan in row 0"),
        (with_value(np.inf), ValueError, "must be finite and >= 0, got inf in row 1"),
        (np.zeros(12), ValueError, "must have a sum above 0 and at most 1e300, got 0.0 for 12 rows"),
        (np.full(12, -0.0), ValueError, "must have a sum above 0 and at most 1e300, got 0.0 for 12 rows"),
        (with_value(1.1e300), ValueError, r"must have a sum above 0 and at most 1e300, got 1\.1e\+300 for 12 rows"),
        (np.full(12, 1.7e308), ValueError, "must have a sum above 0 and at most 1e300, got inf for 12 rows"),
        (["a"] * 12, TypeError, "must hold real numbers, got 'a' in row 0 of dtype <U1"),
        (np.ones(12) * 1j, TypeError, r"must hold real numbers, got 1j in row 0 of dtype complex128"),
        (np.ma.masked_array(np.ones(12), [True] + [False] * 11), TypeError, "must be an array without a mask"),
        ([None] * 12, ValueError, "must be finite and >= 0, got nan in row 0"),
        ([10**400] * 12, ValueError, "must hold numbers that fit in a float64"),
        ("balanced", TypeError, "must hold real numbers, got 'balanced'"),
        ({0: 1.0}, TypeError, "must hold real numbers, got {0: 1.0}"),
    ],
)
def test_bad_weights(engine, bad, exception, words):
    run = engine.train(NETWORK, X, Y, epochs=1)
    before = run_bits(run)
    stop = backprop.EarlyStopping(validation_data=(X, Y, bad))
    for call in (
        lambda: engine.train(NETWORK, X, Y, sample_weight=bad),
        lambda: engine.train(NETWORK, X, Y, stopping=stop),
        lambda: run.resume(X, Y, epochs=1, sample_weight=bad),
        lambda: engine.loss(NETWORK, X, Y, sample_weight=bad),
        lambda: engine.loss_and_gradient(NETWORK, X, Y, sample_weight=bad),
    ):
        with pytest.raises(exception, match=f"^(in validation_data, )?sample_weight {words}"):
            call()
    assert run_bits(run) == before


def test_both_parts_must_count(engine):
    stop = backprop.EarlyStopping(validation_fraction=0.25, rng=7)
    order = shuffled(np.random.PCG64(7).random_raw, 12)
    for rows, n in ((order[9:], 3), (order[:9], 9)):
        c = np.ones(12)
        c[rows] = 0.0
        with pytest.raises(ValueError, match=f"^sample_weight must have a sum above 0 .* got 0.0 for {n} rows"):
            engine.train(NETWORK, X, Y, sample_weight=c, stopping=stop)
    with pytest.raises(ValueError, match=r"^sample_weight must have shape \(12,\)"):
        engine.train(NETWORK, X, Y, sample_weight=[1.0], stopping=stop)


def test_X_and_y_are_looked_at_first(engine):
    broken = X.copy()
    broken[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"^X must be finite"):
        engine.train(NETWORK, broken, Y, sample_weight=[-1.0])
    with pytest.raises(ValueError, match=r"^y must"):
        engine.loss(NETWORK, X, Y[:5], sample_weight=[-1.0])


def test_a_weighted_loss_that_overflows(engine):
    """c*L beyond the largest number, though L is not; and 0.0 times an infinite L, which is not hidden."""
    network = backprop.Network([1, 1]).with_parameters([1.0, 0.0])
    for rows, c, bad in (([[1e10], [1.0]], [1e299, 1.0], 0), ([[1.0], [1e200]], [1.0, 0.0], 1)):
        with pytest.raises(OverflowError, match=f"the loss of row {bad} is not finite"):
            engine.loss(network, rows, [0.0, 0.0], sample_weight=c)
        with pytest.raises(OverflowError, match=f"the loss of row {bad} is not finite"):
            engine.loss_and_gradient(network, rows, [0.0, 0.0], sample_weight=c)
        with pytest.raises(backprop.DivergenceError) as caught:
            engine.train(network, rows, [0.0, 0.0], sample_weight=c, epochs=5)
        assert caught.value.epoch == 0


def test_the_largest_weights(engines):
    """No order of the rows makes an infinite sum of weights whose sum is allowed."""
    c = np.full(12, 1e300 / 12.0)
    runs = [engine.train(NETWORK, X, Y, sample_weight=c, epochs=3, batch_size=5) for engine in engines]
    assert run_bits(runs[0]) == run_bits(runs[1])
    assert np.isfinite(runs[0].losses).all()


def test_imbalanced_classes(engine):
    """What the weights are for: a rare class is found."""
    generator = np.random.default_rng(3)
    labels = (np.arange(120) % 12 == 0).astype(int)
    rows = generator.normal(size=(120, 1)) + 1.5 * labels[:, None]
    network = backprop.Network([1, 2], output_activation="softmax")
    c = np.where(labels == 1, 11.0, 1.0)
    found = []
    for weights in (None, c):
        settings = {"optimizer": backprop.Adam(0.1), "epochs": 20, "sample_weight": weights}
        run = engine.train(network, rows, labels, **settings)
        found.append((engine.predict(run.network, rows).argmax(axis=1) == 1)[labels == 1].mean())
    assert found[1] > found[0] + 0.3


def test_what_is_given_is_not_changed(engine):
    c = C.copy()
    c.flags.writeable = False
    engine.train(NETWORK, X, Y, sample_weight=c, epochs=2)
    engine.loss_and_gradient(NETWORK, X, Y, sample_weight=c)
    assert c.tolist() == C.tolist()
