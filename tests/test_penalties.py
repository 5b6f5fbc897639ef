"""L1 and L2 penalties and the bound of a gradient's norm: by hand, by differences, and both engines to the bit."""

import dataclasses
import itertools
import math
import pickle

import numpy as np
import pytest
from problems import optimizers_by_rule, run_bits, some_problem
from small_work import small_work_shared

import backprop
from backprop import reference
from backprop.definition import sums
from backprop.optimizers import FULL_BATCH, plan_of

PENALTIES = [
    {"l2": 0.25},
    {"l1": 0.01},
    {"l1": 0.01, "l2": 0.3},
    {"clip_norm": 0.1},
    {"clip_norm": 1e9},
    {"l1": 1e-3, "l2": 1e-2, "clip_norm": 0.05},
    {"l1": 5e-324, "l2": 5e-324, "clip_norm": 5e-324},
    {"l1": 0.0, "l2": 1e-300, "clip_norm": 1.7976931348623157e308},
]
# One for each rule, all of which take the three.
BY_RULE = {rule: one for rule, one in optimizers_by_rule().items() if hasattr(one, "clip_norm")}


def with_settings(optimizer, **penalties):
    return dataclasses.replace(optimizer, **penalties)


def one_step(engine, network, X, y, train_biases=True, **penalties):
    """The gradient that plain SGD went by, in one step of all rows at a learning rate of 1.0."""
    settings = {"optimizer": backprop.SGD(1.0, **penalties), "epochs": 1, "batch_size": len(X), "shuffle": False}
    run = engine.train(network, X, y, train_biases=train_biases, **settings)
    return network.parameters - run.network.parameters


def test_by_hand(engine):
    """One weight w = 2, a bias 1, an input 1, a target 0: the mean gradient is 3 for both."""
    network = backprop.Network([1, 1]).with_parameters([2.0, 1.0])
    row = ([[1.0]], [0.0])
    assert one_step(engine, network, *row).tolist() == [3.0, 3.0]
    assert one_step(engine, network, *row, l2=0.5).tolist() == [4.0, 3.0]
    assert one_step(engine, network, *row, l1=0.5).tolist() == [3.5, 3.0]
    assert one_step(engine, network, *row, l1=0.5, l2=0.25).tolist() == [4.0, 3.0]
    # The norm of (4, 3) is 5.
    assert one_step(engine, network, *row, l2=0.5, clip_norm=2.5).tolist() == [2.0, 1.5]
    assert one_step(engine, network, *row, l2=0.5, clip_norm=5.0).tolist() == [4.0, 3.0]
    # A bias that does not move does not count.
    assert one_step(engine, network, *row, l2=0.5, clip_norm=2.0, train_biases=False).tolist() == [2.0, 0.0]
    for w, slope in ((-2.0, -1.0), (0.0, 0.0), (-0.0, 0.0)):
        network = backprop.Network([1, 1]).with_parameters([w, -w])
        assert one_step(engine, network, *row, l1=1.0).tolist() == [slope, 0.0]


def test_slopes_are_those_of_the_objective(engine):
    """Central differences of the loss and l1*|w| + l2/2*w*w, the sums over weights alone."""
    network = backprop.Network([3, 4, 2], rng=4).with_parameters(np.random.default_rng(0).uniform(-1.0, 1.0, 26))
    generator = np.random.default_rng(1)
    X, y, l1, l2, h = generator.uniform(-1.0, 1.0, (5, 3)), generator.uniform(size=(5, 2)), 0.03, 0.4, 2.0**-17

    def objective(*step):
        moved = network.with_parameters(network.parameters + step)
        return engine.loss(moved, X, y) + sum(l1 * np.abs(W).sum() + l2 / 2.0 * (W * W).sum() for W in moved.weights)

    steps = h * np.eye(network.n_parameters)
    slopes = [(objective(*step) - objective(*-step)) / (2.0 * h) for step in steps]
    found = one_step(engine, network, X, y, l1=l1, l2=l2)
    np.testing.assert_allclose(found, slopes, rtol=0.0, atol=1e-9)
    plain = one_step(engine, network, X, y)
    for W in network.with_parameters(found - plain).weights:
        assert (np.abs(W) > 1e-3).all()
    for b in network.with_parameters(found - plain).biases:
        assert (b == 0.0).all()


@pytest.mark.parametrize("norm", [1e-3, 0.1, 0.5])
def test_the_norm_is_bounded(engine, norm):
    problem = some_problem("identity", "squared_error", None, n_samples=8)
    X, y = problem.pieces[0][:2]
    plain = one_step(engine, problem.network, X, 3.0 + y)
    clipped = one_step(engine, problem.network, X, 3.0 + y, clip_norm=norm)
    assert np.linalg.norm(plain) > 0.6
    assert np.linalg.norm(clipped) == pytest.approx(norm)
    np.testing.assert_allclose(clipped / norm, plain / np.linalg.norm(plain), atol=1e-12)


def test_gradients_too_large_for_a_norm(engine):
    """Squares that overflow make the norm infinite: such a gradient is shortened to nothing, and nothing moves."""
    network = backprop.Network([1, 1]).with_parameters([2.0, 1.0])
    settings = {"loss": "absolute_error", "optimizer": backprop.SGD(0.1, clip_norm=1.0), "epochs": 1}
    assert engine.train(network, [[1e200]], [1.0], **settings).network == network
    assert engine.train(network, [[1e150]], [1.0], **settings).network != network


@pytest.mark.parametrize("rule", BY_RULE)
@pytest.mark.parametrize("penalties", PENALTIES, ids=repr)
def test_both_engines_agree(engines, rule, penalties):
    optimizer = with_settings(BY_RULE[rule], **penalties)
    for (output, loss), train_biases, batch_size in zip(
        (("identity", "squared_error"), ("softmax", "cross_entropy"), ("logistic", "binary_cross_entropy")),
        (True, False, True),
        (1, 3, 4),
        strict=True,
    ):
        problem = some_problem(output, loss, optimizer, n_samples=7, batch_size=batch_size)
        X, y = problem.pieces[0][:2]
        settings = problem.settings | {"train_biases": train_biases, "epochs": 2}
        runs = [engine.train(problem.network, X, y, **settings) for engine in engines]
        assert run_bits(runs[0]) == run_bits(runs[1])
        more = [run.resume(X, y, epochs=2) for run in runs]
        assert run_bits(more[0]) == run_bits(more[1])
        assert run_bits(more[1]) == run_bits(backprop.fast_train(problem.network, X, y, **settings | {"epochs": 4}))


@pytest.mark.parametrize("sizes", [(1, 1), (2, 1), (1, 3, 1), (7, 8, 9, 3), (5, 17, 1)])
@pytest.mark.parametrize("penalties", PENALTIES, ids=repr)
def test_every_length_of_the_sum(engines, sizes, penalties):
    problem = some_problem("identity", "squared_error", backprop.SGD(0.1, **penalties), sizes=sizes, batch_size=5)
    X, y = problem.pieces[0][:2]
    runs = [engine.train(problem.network, X, y, epochs=2, **problem.settings) for engine in engines]
    assert run_bits(runs[0]) == run_bits(runs[1])


@pytest.mark.parametrize("penalties", PENALTIES, ids=repr)
def test_with_sample_weights_and_schedules(engines, penalties):
    optimizer = backprop.AdamW(backprop.ExponentialDecay(0.1, 0.5), weight_decay=0.1, **penalties)
    problem = some_problem("identity", "squared_error", optimizer, n_samples=9, batch_size=2)
    X, y = problem.pieces[0][:2]
    settings = problem.settings | {"epochs": 3, "sample_weight": [0.0, 0.0, 1.0, 0.3, 5.0, 2.0, 0.0, 0.1, 1.0]}
    runs = [engine.train(problem.network, X, y, **settings) for engine in engines]
    assert run_bits(runs[0]) == run_bits(runs[1])


@pytest.mark.parametrize("n_threads", [2, 3, 64])
@pytest.mark.parametrize("rule", BY_RULE)
def test_threads(rule, n_threads):
    """More threads than a layer has rows too: some of them have no part of it."""
    for penalties, train_biases in itertools.product((PENALTIES[2], PENALTIES[3], PENALTIES[5]), (True, False)):
        optimizer = with_settings(BY_RULE[rule], **penalties)
        problem = some_problem("softmax", "cross_entropy", optimizer, n_samples=90, batch_size=40)
        X, y = problem.pieces[0][:2]
        settings = problem.settings | {"epochs": 3, "train_biases": train_biases}
        alone = backprop.fast_train(problem.network, X, y, n_threads=1, **settings)
        with small_work_shared():
            threaded = backprop.fast_train(problem.network, X, y, n_threads=n_threads, **settings)
        assert run_bits(threaded) == run_bits(alone)


@pytest.mark.parametrize("rule", BY_RULE)
def test_nothing_asked_for_is_nothing_done(engine, rule):
    """Zeros give the bits of none, and a bound that no norm comes near those of no bound."""
    problem = some_problem("identity", "squared_error", BY_RULE[rule], n_samples=7)
    X, y = problem.pieces[0][:2]
    plain = engine.train(problem.network, X, y, epochs=3, **problem.settings)
    for penalties in ({"l1": 0.0, "l2": -0.0}, {"clip_norm": 1e300}):
        settings = problem.settings | {"optimizer": with_settings(BY_RULE[rule], **penalties)}
        run = engine.train(problem.network, X, y, epochs=3, **settings)
        assert run.network == plain.network
        assert run.losses.tobytes() == plain.losses.tobytes()


@pytest.mark.parametrize("rule", BY_RULE)
def test_saved_and_loaded(rule, tmp_path):
    """With a schedule, too, where there is a learning rate."""
    optimizer = with_settings(BY_RULE[rule], l1=1e-3, l2=0.1, clip_norm=0.5)
    if hasattr(optimizer, "learning_rate"):
        optimizer = with_settings(optimizer, learning_rate=backprop.ReduceOnPlateau(0.1, patience=1))
    problem = some_problem("identity", "squared_error", optimizer, n_samples=7)
    X, y = problem.pieces[0][:2]
    run = backprop.fast_train(problem.network, X, y, epochs=3, **problem.settings)
    run.save(tmp_path / "run.txt")
    again = backprop.Training.load(tmp_path / "run.txt")
    assert again.settings == run.settings
    assert run_bits(again.resume(X, y, epochs=4)) == run_bits(run.resume(X, y, epochs=4))


def test_losses_are_reported_without_penalties(engine):
    problem = some_problem("identity", "squared_error", None, n_samples=6)
    X, y = problem.pieces[0][:2]
    settings = {"epochs": 1, "batch_size": 6, "shuffle": False}
    run = engine.train(problem.network, X, y, optimizer=backprop.Adam(l1=1.0, l2=1.0), **settings)
    assert run.losses[0] == engine.loss(problem.network, X, y)


def test_penalties_make_weights_smaller():
    X = np.linspace(-1.0, 1.0, 64)[:, None]
    network = backprop.Network([1, 12, 1])
    runs = [
        backprop.fast_train(network, X, np.sin(5.0 * X), optimizer=backprop.Adam(0.01, **penalties), epochs=100)
        for penalties in ({}, {"l2": 1e-2}, {"l1": 1e-2})
    ]
    plain, ridge, lasso = [sum((W * W).sum() for W in run.network.weights) for run in runs]
    assert ridge < 0.8 * plain
    assert lasso < 0.8 * plain


@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 15, 16, 17, 1000])
def test_order_of_the_sum(n):
    """Element k goes into sum k mod 8 (N11)."""
    x = np.random.default_rng(n).uniform(-1.0, 1.0, n)
    parts = [np.float64(0.0)] * 8
    for k in range(n):
        parts[k % 8] = parts[k % 8] + x[k] * x[k]
    s = parts
    assert sums.dot(x.tolist(), x.tolist()) == ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))


def test_settings_and_looks():
    for rule, optimizer in BY_RULE.items():
        assert "l1" not in repr(optimizer)
        assert "clip_norm" not in repr(optimizer)
        for penalties in PENALTIES:
            one = with_settings(optimizer, **penalties)
            assert one != optimizer
            assert plan_of(one) == plan_of(optimizer)
            assert plan_of(one).rule == rule
            assert eval(repr(one), vars(backprop)) == one
            again = pickle.loads(pickle.dumps(one))
            assert (again, hash(again), repr(again)) == (one, hash(one), repr(one))
    assert repr(backprop.SGD(0.1, l2=np.float32(0.5))) == "SGD(learning_rate=0.1, momentum=0.0, nesterov=False, l2=0.5)"
    assert repr(backprop.Rprop(clip_norm=1)).endswith("max_step=50.0, clip_norm=1.0)")
    with pytest.raises(dataclasses.FrozenInstanceError):
        optimizer.l2 = 0.1


@pytest.mark.parametrize("kind", dict.fromkeys(map(type, BY_RULE.values())))
@pytest.mark.parametrize(
    ("penalties", "error", "message"),
    [
        ({"l1": -0.1}, ValueError, r"l1 must be a finite number in \[0, inf\), got -0.1"),
        ({"l2": math.inf}, ValueError, r"l2 must be a finite number in \[0, inf\), got inf"),
        ({"l2": None}, TypeError, r"l2 must be a real number in \[0, inf\), got None"),
        ({"clip_norm": 0.0}, ValueError, r"clip_norm must be a finite number in \(0, inf\), got 0.0"),
        ({"clip_norm": "1"}, TypeError, r"clip_norm must be a real number in \(0, inf\), got '1'"),
        ({"l2": backprop.StepDecay(0.1, 1)}, TypeError, r"l2 must be a real number in \[0, inf\), got StepDecay"),
    ],
)
def test_bad_settings(kind, penalties, error, message):
    needed = {"learning_rate": 0.1} if kind is backprop.SGD else {}
    with pytest.raises(error, match=message):
        kind(**needed, **penalties)


def test_every_stepwise_optimizer_takes_them():
    assert set(BY_RULE) == set(reference.UPDATE_RULES)
    assert all(isinstance(BY_RULE[rule], FULL_BATCH) for rule in ("irprop_minus", "rprop_plus"))
