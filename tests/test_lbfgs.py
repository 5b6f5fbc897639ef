"""L-BFGS (N13): kernel and definition alike, the search along a line, where it ends, and what it finds."""

import ast
import contextlib
import copy
import hashlib
import importlib
import itertools
import math
import pickle
import subprocess
import sys

import numpy as np
import pytest
from problems import child_environment, error_bits, interruption, losses_for, run_bits
from small_work import small_work_shared

import backprop
from backprop import LBFGS, _kernel, reference

# The module has the method's name, and so has nothing else.
lbfgs = importlib.import_module("backprop.definition.lbfgs")

OUTPUTS = ("identity", "logistic", "softmax", "exponential", "tanh", "softplus")
HIDDEN = tuple(reference.ACTIVATIONS)
XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0.0, 1.0, 1.0, 0.0])
LINE = np.linspace(-1.0, 1.0, 20)[:, None]
NETWORK = backprop.Network([1, 5, 1], rng=1)
WAVE = np.sin(4.0 * LINE)


def problem(seed):
    """(network, X, y, settings) of any kind and scale."""
    rng = np.random.default_rng(seed)
    sizes = [int(rng.integers(1, 12)) for _ in range(rng.integers(2, 5))]
    output = str(rng.choice(OUTPUTS))
    loss = str(rng.choice(losses_for(output)))
    hidden = [str(rng.choice(HIDDEN)) for _ in sizes[2:]]
    network = backprop.Network(sizes, hidden, output, rng=seed)
    if rng.random() < 0.2:
        network = network.with_parameters(network.parameters * 10.0 ** rng.uniform(-5.0, 5.0))
    n = int(rng.integers(1, 20))
    X = rng.normal(size=(n, sizes[0])) * 10.0 ** rng.choice([0.0, 0.0, 0.0, -5.0, 3.0, 100.0, -200.0])
    y = rng.integers(0, sizes[-1], n) if output == "softmax" else rng.random((n, sizes[-1]))
    if loss == "squared_error":
        y = y * 10.0 ** rng.choice([0.0, 0.0, 0.0, -160.0, 4.0, 150.0])
    optimizer = LBFGS(
        int(rng.choice([1, 2, 3, 10])),
        float(rng.choice([0.0, 1e-8, 1e-4])),
        float(rng.choice([0.0, 0.0, 1e-3, 1.0])),
        int(rng.choice([1, 2, 5, 20])),
    )
    settings = {"loss": loss, "optimizer": optimizer, "epochs": int(rng.integers(1, 17))}
    settings["train_biases"] = bool(rng.random() < 0.8)
    if rng.random() < 0.3:
        settings["sample_weight"] = rng.integers(0, 4, n) * rng.random(n) + 1e-3
    return network, X, y, settings


def results(train, seed):
    """Every bit of a run, of a resumed one, and of one with other data; or the error."""
    network, X, y, settings = problem(seed)
    found, c = [], settings.get("sample_weight")
    try:
        run = train(network, X, y, **settings)
        for rows in (len(X), len(X), len(X) // 2 + 1):
            found.append(run_bits(run))
            run = run.resume(X[:rows], y[:rows], epochs=4, sample_weight=None if c is None else c[:rows])
        found.append(run_bits(run))
    except backprop.DivergenceError as error:
        found.append(error_bits(error))
    return found


def summary(train, seed):
    """(how the run ended, a digest of all results)"""
    found = results(train, seed)
    end = found[0]["stopped"] if isinstance(found[0], dict) else "diverged"
    return end, hashlib.sha256(repr(found).encode()).hexdigest()


SEEDS = range(80)


def by_kernel(n_threads=None):
    def train(*arguments, **settings):
        return backprop.fast_train(*arguments, n_threads=n_threads, **settings)

    return [summary(train, seed) for seed in SEEDS]


@pytest.fixture(scope="module")
def by_reference():
    return [summary(reference.train, seed) for seed in SEEDS]


@pytest.mark.parametrize("n_threads", [None, 1, 2, 3])
def test_every_bit(by_reference, n_threads):
    """On all threads, though the work would not call for them."""
    with contextlib.nullcontext() if n_threads is None else small_work_shared():
        assert by_kernel(n_threads) == by_reference


@pytest.mark.parametrize("target", _kernel.TARGETS)
def test_every_instruction_set(by_reference, target):
    done = subprocess.run(
        [sys.executable, "-c", "import test_lbfgs; print(test_lbfgs.by_kernel())"],
        env=child_environment(BACKPROP_TARGET=target),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert ast.literal_eval(done.stdout) == by_reference


@pytest.mark.long
def test_every_bit_at_length():
    for seed in range(1000, 1500):
        assert summary(backprop.fast_train, seed) == summary(reference.train, seed), seed


def test_they_end_in_every_way(by_reference):
    assert {end for end, _ in by_reference} == {"epochs", "gradient", "line_search", "diverged"}


@pytest.mark.parametrize("width", range(1, 25))
def test_every_length(engines, width):
    """From one parameter to some more than three vectors of them, with every remainder."""
    network = backprop.Network([1, width], rng=width) if width > 1 else backprop.Network([1, 1], rng=5)
    X = np.array([[0.5], [-1.0], [0.25]])
    y = np.arange(3.0 * width).reshape(3, width) % 5.0
    settings = {"optimizer": LBFGS(3, 0.0), "epochs": 9, "train_biases": width % 2 == 0}
    runs = [engine.train(network, X, y, **settings) for engine in engines]
    assert run_bits(runs[0]) == run_bits(runs[1])


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("hidden", ["tanh", "relu"])
def test_every_output_and_loss(engines, output, hidden):
    for loss in losses_for(output):
        rng = np.random.default_rng(len(loss))
        X, y = rng.normal(size=(15, 3)), rng.random((15, 4))
        y = y / y.sum(axis=1, keepdims=True)
        network = backprop.Network([3, 6, 4], hidden, output, rng=2)
        runs = [engine.train(network, X, y, loss=loss, optimizer=LBFGS(5), epochs=12) for engine in engines]
        assert run_bits(runs[0]) == run_bits(runs[1])
        assert runs[0].network.loss(X, y, loss) < runs[0].losses[0]


def test_several_blocks_of_rows(engines):
    X = np.linspace(-1.0, 1.0, 1100).reshape(1100, 1)
    network = backprop.Network([1, 3, 1], "relu", rng=3)
    runs = [engine.train(network, X, np.abs(X), optimizer=LBFGS(), epochs=4) for engine in engines]
    assert run_bits(runs[0]) == run_bits(runs[1])


@pytest.mark.parametrize("n_threads", [2, 3])
def test_threads_change_no_bit(n_threads):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(1500, 20)), rng.normal(size=(1500, 1))
    network = backprop.Network([20, 64, 64, 1], rng=1)
    runs = [
        backprop.fast_train(network, X, y, optimizer=LBFGS(l2=1e-4), epochs=15, n_threads=count)
        for count in (1, n_threads)
    ]
    assert run_bits(runs[0]) == run_bits(runs[1])


# Runs.


@pytest.mark.parametrize("settings", [{}, {"memory": 2, "l2": 0.01}, {"max_evaluations": 2}], ids=repr)
def test_resume(engine, settings):
    """30 resumed by 20 are 50, in pieces of any size, copied and pickled on the way."""
    given = {"optimizer": LBFGS(**settings), "rng": 5}
    whole = engine.train(NETWORK, LINE, WAVE, epochs=50, **given)
    assert (whole.epochs, whole.stopped) == (50, "epochs")
    run = engine.train(NETWORK, LINE, WAVE, epochs=30, **given)
    before = run_bits(run)
    assert run_bits(run.resume(LINE, WAVE, epochs=20)) == run_bits(whole)
    assert run_bits(run) == before
    for epochs in (1, 18, 1):
        run = copy.deepcopy(pickle.loads(pickle.dumps(run))).resume(LINE, WAVE, epochs=epochs)
    assert run_bits(run) == run_bits(whole)


def test_a_file_keeps_it(tmp_path):
    """Saved at 30, and killed at 30 with a checkpoint: 20 more are 50."""
    whole = backprop.fast_train(NETWORK, LINE, WAVE, optimizer=LBFGS(), epochs=50)
    run = backprop.fast_train(NETWORK, LINE, WAVE, optimizer=LBFGS(), epochs=30)
    run.save(tmp_path / "run")
    again = backprop.Training.load(tmp_path / "run")
    assert run_bits(again) == run_bits(run)
    assert run_bits(again.resume(LINE, WAVE, epochs=20)) == run_bits(whole)

    class KilledError(Exception):
        pass

    def kill(state):
        if state.epoch == 34:
            raise KilledError

    settings = {"optimizer": LBFGS(), "epochs": 50, "checkpoint": backprop.Checkpoint(tmp_path / "kept", every=10)}
    with pytest.raises(KilledError):
        backprop.fast_train(NETWORK, LINE, WAVE, callback=kill, **settings)
    assert backprop.Training.load(tmp_path / "kept").epochs == 30
    assert run_bits(backprop.fast_train(NETWORK, LINE, WAVE, **settings)) == run_bits(whole)


def test_sample_weights(engine):
    """A row that counts twice is there twice; one that counts 0.0 is not there."""
    c = np.array([2.0, 0.0, 1.0] * 6 + [1.0, 2.0])
    weighted = engine.train(NETWORK, LINE, WAVE, optimizer=LBFGS(), epochs=9, sample_weight=c)
    rows = np.repeat(np.arange(20), c.astype(int))
    repeated = engine.train(NETWORK, LINE[rows], WAVE[rows], optimizer=LBFGS(), epochs=9)
    np.testing.assert_allclose(weighted.losses, repeated.losses, rtol=1e-6)
    assert weighted.losses[0] == engine.loss(NETWORK, LINE, WAVE, sample_weight=c)


def test_dropout_is_refused(engine):
    with pytest.raises(ValueError, match="dropout must be None with LBFGS"):
        engine.train(NETWORK, LINE, WAVE, optimizer=LBFGS(), dropout=backprop.Dropout(0.5))


def test_losses_are_those_before_the_iterations(engine):
    run = engine.train(NETWORK, LINE, WAVE, optimizer=LBFGS(l2=0.1), epochs=5)
    for epochs in range(1, 5):
        part = engine.train(NETWORK, LINE, WAVE, optimizer=LBFGS(l2=0.1), epochs=epochs)
        assert run.losses[epochs] == engine.loss(part.network, LINE, WAVE)
    assert run.losses[0] == engine.loss(NETWORK, LINE, WAVE)


def test_other_data_are_looked_at_anew(engine):
    """A run that goes on with other rows begins with their loss and gradient."""
    run = engine.train(NETWORK, LINE, WAVE, optimizer=LBFGS(), epochs=10)
    again = run.resume(-LINE, WAVE, epochs=30)
    assert again.losses[10] == engine.loss(run.network, -LINE, WAVE)
    assert engine.loss(again.network, -LINE, WAVE) < again.losses[10]


def test_no_word_is_drawn(engine):
    generator = np.random.PCG64(3)
    before = repr(generator.state)
    shuffled = engine.train(NETWORK, LINE, WAVE, optimizer=LBFGS(), epochs=5, rng=generator)
    assert repr(generator.state) == before
    assert shuffled.network == engine.train(NETWORK, LINE, WAVE, optimizer=LBFGS(), epochs=5, shuffle=False).network


def counted(monkeypatch):
    """The kernel's methods that are made from now on."""
    made = []

    class Noted(_kernel.LBFGS):
        def __init__(self, *arguments):
            made.append(self)

    monkeypatch.setitem(_kernel.METHODS, "lbfgs", Noted)
    return made


def counted_by_reference(monkeypatch):
    """A counter whose next number is how often the definition has evaluated the objective."""
    count, objective = itertools.count(), lbfgs.objective

    def counting(*arguments):
        next(count)
        return objective(*arguments)

    monkeypatch.setattr(lbfgs, "objective", counting)
    return count


def test_each_point_is_evaluated_once(monkeypatch):
    """The kernel evaluates the start and each trial; the definition, which looks again, each iteration's start too."""
    made, of_reference = counted(monkeypatch), counted_by_reference(monkeypatch)
    settings = {"optimizer": LBFGS(), "epochs": 60}
    for callback in (None, lambda state: None):
        run = backprop.fast_train(NETWORK, LINE, WAVE, callback=callback, **settings)
        assert 60 < made[-1].evaluations < 85
    assert run.epochs == 60
    reference.train(NETWORK, LINE, WAVE, **settings)
    assert next(of_reference) == made[-1].evaluations - 1 + run.epochs


@pytest.mark.parametrize(("exponent", "held"), [(-40, 0.0), (-30, 0.0), (-27, 0.0), (-25, 1.0), (-20, 1.0), (-1, 1.0)])
def test_a_pair_is_kept_for_its_curvature(engine, exponent, held):
    """s*y must be above 2^-52 of the decrease that the slope promises (N13): less of it is noise of rounding.

    Of two outputs, one is far on the straight part of its loss, and promises 1.0; the other, with the target 0.0, is
    all the curvature: s*y is its square.
    """
    network = backprop.Network([1, 2]).with_parameters([0.0, 2.0**exponent, 0.0, 0.0])
    settings = {"loss": "huber", "optimizer": LBFGS(3, 0.0, 0.0, 1), "train_biases": False}
    run = engine.train(network, [[1.0]], [[1e6, 0.0]], epochs=1, **settings)
    held_now, _, gamma, *products = run._state.scalars.tolist()
    assert (held_now, sorted(products)[:2]) == (held, [0.0, 0.0])
    assert run.network.weights[0][0, 0] == pytest.approx(1.0, rel=0.2)
    assert (gamma > 0.0) == (max(products) > 0.0) == bool(held)


def test_biases_stay_where_they_are(engine):
    """To the bit, -0.0 included."""
    network = NETWORK.with_parameters(np.where(np.arange(16) < 5, NETWORK.parameters, -0.0))
    flat = network.parameters.copy()
    flat[10:15] = NETWORK.parameters[10:15]
    network = network.with_parameters(flat)
    run = engine.train(network, LINE, WAVE, optimizer=LBFGS(l2=0.01), epochs=20, train_biases=False)
    for before, after in zip(network.biases, run.network.biases, strict=True):
        assert before.tobytes() == after.tobytes()
    assert run.losses[-1] < run.losses[0]
    assert run.stopped == "epochs" or run.stopped == "gradient"


def test_penalty(engine):
    """Where the method ends, the gradient of loss plus penalty is 0: of the weights with l2, of the biases without."""
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(30, 3)), rng.normal(size=(30, 2)) + 1.0
    network = backprop.Network([3, 2], rng=1)
    run = engine.train(network, X, y, optimizer=LBFGS(l2=0.5), epochs=99)
    assert run.stopped == "gradient"
    gradient = engine.loss_and_gradient(run.network, X, y)[1]
    np.testing.assert_allclose(gradient[:6] + 0.5 * run.network.parameters[:6], 0.0, atol=2e-8)
    np.testing.assert_allclose(gradient[6:], 0.0, atol=2e-8)
    assert np.abs(gradient[:6]).max() > 0.01
    assert run.losses[-1] == engine.loss(run.network, X, y)
    free = engine.train(network, X, y, optimizer=LBFGS(), epochs=99).network
    assert np.abs(run.network.weights[0]).sum() < np.abs(free.weights[0]).sum()


# Ends.


def test_it_ends_where_the_gradient_is_small(engine):
    run = engine.train(backprop.Network([1, 1], rng=1), LINE, 2.0 * LINE + 1.0, optimizer=LBFGS(), epochs=500)
    assert run.stopped == "gradient"
    assert run.epochs < 12
    assert run.losses[-1] == engine.loss(run.network, LINE, 2.0 * LINE + 1.0)
    np.testing.assert_allclose(run.network.parameters, [2.0, 1.0], atol=1e-6)
    again = run.resume(LINE, 2.0 * LINE + 1.0, epochs=50)
    assert (again.epochs, again.stopped) == (run.epochs + 1, "gradient")
    assert again.network == run.network
    assert again.losses.tobytes() == run.losses.tobytes() + run.losses[-1:].tobytes()


@pytest.mark.parametrize(("tolerance", "stopped"), [(1.0, "gradient"), (1.0 - 2.0**-53, "epochs")])
def test_a_gradient_of_just_the_tolerance_is_small(engine, tolerance, stopped):
    """A line whose slope is 1.0 everywhere."""
    settings = {"loss": "absolute_error", "optimizer": LBFGS(tolerance=tolerance), "train_biases": False}
    run = engine.train(backprop.Network([1, 1]), [[1.0]], [1e6], epochs=1, **settings)
    assert run.stopped == stopped


def test_it_is_at_its_end_at_once(engine):
    run = engine.train(NETWORK, LINE, WAVE, optimizer=LBFGS(tolerance=1e9), epochs=5)
    assert (run.epochs, run.stopped, run.network) == (1, "gradient", NETWORK)
    assert run.losses.tolist() == [engine.loss(NETWORK, LINE, WAVE)]


def test_a_gradient_of_zero(engine):
    """Units that are all off: nothing leads down, and no tolerance is needed."""
    network = backprop.Network([1, 2, 1], "relu").with_parameters([0.0, 0.0, -1.0, -1.0, 1.0, 1.0, 0.0])
    run = engine.train(network, LINE, WAVE - WAVE, optimizer=LBFGS(tolerance=0.0), epochs=5)
    assert (run.epochs, run.stopped, run.network) == (1, "gradient", network)


def test_it_ends_on_an_edge(engine):
    """(2*abs(w) + abs(1 - w))/3 at its lowest, w = 0, where the slope that is computed is not 0."""
    network = backprop.Network([1, 1]).with_parameters([0.0, 0.0])
    X, y = [[1.0], [1.0], [1.0]], [0.0, 0.0, 1.0]
    settings = {"loss": "absolute_error", "optimizer": LBFGS(), "train_biases": False}
    run = engine.train(network, X, y, epochs=5, **settings)
    assert (run.epochs, run.stopped, run.network) == (1, "line_search", network)
    again = run.resume(X, y, epochs=5)
    assert (again.epochs, again.stopped, again.network) == (2, "line_search", network)


def test_what_else_may_end_a_run_comes_before(engine):
    seen = []
    line = 2.0 * LINE + 1.0

    def callback(state):
        seen.append(state.network)
        return state.epoch == 2

    run = engine.train(backprop.Network([1, 1], rng=1), LINE, line, optimizer=LBFGS(), epochs=99, callback=callback)
    assert (run.epochs, run.stopped, run.network) == (3, "callback", seen[-1])
    stopping = backprop.EarlyStopping(target_loss=0.1)
    run = engine.train(NETWORK, LINE, WAVE, optimizer=LBFGS(), epochs=99, stopping=stopping)
    assert run.stopped == "target_loss"
    assert run.network.loss(LINE, WAVE) == run.validation_losses[-1] <= 0.1
    stopping = backprop.EarlyStopping(validation_data=(LINE, line), patience=50)
    run = engine.train(backprop.Network([1, 1], rng=1), LINE, line, optimizer=LBFGS(), epochs=99, stopping=stopping)
    assert run.stopped == "gradient"
    assert run.validation_losses[-1] == run.losses[-1]


def test_first_loss_is_not_finite(engine):
    network = backprop.Network([1, 1]).with_parameters([1e200, 0.0])
    with pytest.raises(backprop.DivergenceError) as caught:
        engine.train(network, [[1.0]], [0.0], optimizer=LBFGS(), epochs=9)
    assert (caught.value.epoch, caught.value.losses.tolist()) == (0, [math.inf])


def test_first_gradient_is_not_finite(engine):
    """A loss of 5e199 with a slope of 1e300*1e100; and an objective that only the penalty makes infinite."""
    network = backprop.Network([1, 1]).with_parameters([0.0, 0.0])
    with pytest.raises(backprop.DivergenceError, match="not finite after epoch 0") as caught:
        engine.train(network, [[1e300]], [1e100], optimizer=LBFGS(), epochs=9)
    assert (caught.value.epoch, caught.value.losses.tolist()) == (0, [0.5 * (1e100 * 1e100)])
    network = backprop.Network([1, 1]).with_parameters([1e160, 0.0])
    with pytest.raises(backprop.DivergenceError, match="not finite after epoch 0"):
        engine.train(network, [[0.0]], [0.0], optimizer=LBFGS(l2=1.0), epochs=9)


def test_an_overflow_on_the_way_is_only_a_trial(engine):
    """exp(710) is too much: where a step leads there, a shorter one is taken."""
    network = backprop.Network([1, 1], output_activation="exponential").with_parameters([0.0, 0.0])
    X, y = [[3000.0], [-3000.0]], [5.0, 0.5]
    run = engine.train(network, X, y, loss="poisson", optimizer=LBFGS(), epochs=300)
    assert run.stopped in ("gradient", "line_search")
    np.testing.assert_allclose(run.network.predict(X).ravel(), y, rtol=1e-4)


@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e-200, 1e-100, 1e-8, 1e8, 1e100, 1e150])
def test_scales(engines, scale):
    """Any scale of X or y is computed alike, and never makes the loss larger."""
    for X, y in ((LINE * scale, WAVE), (LINE, WAVE * scale), (LINE * scale, WAVE * scale)):
        runs = [engine.train(NETWORK, X, y, optimizer=LBFGS(tolerance=0.0), epochs=8) for engine in engines]
        assert run_bits(runs[0]) == run_bits(runs[1])
        assert runs[1].network.loss(X, y) <= runs[1].losses[0]


def test_one_parameter(engine):
    """0.5*(w - 3)**2 from w = 1: the first trial is a distance of 1 away, the next iteration is there."""
    network = backprop.Network([1, 1]).with_parameters([1.0, 0.0])
    run = engine.train(network, [[1.0]], [3.0], optimizer=LBFGS(), epochs=9, train_biases=False)
    assert run.losses.tolist() == [2.0, 0.5, 0.0]
    assert run.network.parameters.tolist() == [3.0, 0.0]


def test_interrupt_within_an_iteration():
    """One evaluation of these rows takes minutes."""
    network = backprop.Network([50, 2000, 2000, 2], "relu")
    X, y = np.zeros((100_000, 50)), np.zeros((100_000, 2))
    with interruption() as timer:
        timer.start()
        backprop.fast_train(network, X, y, optimizer=LBFGS(1), epochs=1)
    assert backprop.fast_train(network, X[:1], y[:1], optimizer=LBFGS(1)).stopped == "gradient"


# The search.


class Line:
    """A function of one number and its slope, as line_search asks for them; counts how often."""

    def __init__(self, function, slope):
        self.function, self.slope, self.asked = function, slope, []

    def __call__(self, t):
        self.asked.append(t)
        return lbfgs.Point(t, self.function(t), self.slope(t), [])


LINES = {
    "parabola": Line(lambda t: (t - 3.0) ** 2, lambda t: 2.0 * (t - 3.0)),
    "far parabola": Line(lambda t: (t - 3e4) ** 2, lambda t: 2.0 * (t - 3e4)),
    "near parabola": Line(lambda t: (t - 3e-6) ** 2, lambda t: 2.0 * (t - 3e-6)),
    "fourth power": Line(lambda t: (t - 2.0) ** 4, lambda t: 4.0 * (t - 2.0) ** 3),
    "wave": Line(lambda t: math.cos(t) - 0.01 * t, lambda t: -math.sin(t) - 0.01),
    "steep wall": Line(
        lambda t: -t + (0.0 if t < 1.5 else 1e9 * (t - 1.5)), lambda t: -1.0 + (0.0 if t < 1.5 else 1e9)
    ),
    # Moré and Thuente 1994, (5.1) with beta = 2, and (5.2) with beta = 0.004.
    "flat start": Line(lambda t: -t / (t * t + 2.0), lambda t: (t * t - 2.0) / (t * t + 2.0) ** 2),
    "narrow": Line(
        lambda t: (t + 0.004) ** 5 - 2.0 * (t + 0.004) ** 4,
        lambda t: 5.0 * (t + 0.004) ** 4 - 8.0 * (t + 0.004) ** 3,
    ),
    "overflow": Line(
        lambda t: (t - 1.0) ** 2 if t < 2.0 else math.inf, lambda t: 2.0 * (t - 1.0) if t < 2.0 else math.nan
    ),
    "no number": Line(lambda t: -t if t < 0.01 else math.nan, lambda t: -1.0 if t < 0.009 else -0.1),
}


@pytest.mark.parametrize("name", LINES)
@pytest.mark.parametrize("first", [1e-3, 0.1, 1.0, 10.0, 1e3])
def test_strong_wolfe_conditions(name, first):
    line = LINES[name]
    start = line(0.0)
    assert start.slope < 0.0
    line.asked.clear()
    found = lbfgs.line_search(start, first, line, 40)
    assert len(line.asked) <= 20
    assert found.t > 0.0
    assert found.f <= start.f + 1e-4 * found.t * start.slope
    flat = abs(found.slope) <= 0.9 * abs(start.slope)
    # A wall has no such point but by chance: it ends when there is little left between low and high.
    assert flat or any(0.0 < abs(t - found.t) <= 0.02 * found.t for t in line.asked)
    assert flat or name not in ("parabola", "far parabola", "near parabola", "fourth power", "overflow", "no number")


def test_search_without_a_lower_point():
    """A slope that is not that of the function: nothing is found, in as many trials as are allowed or fewer."""
    line = Line(lambda t: t, lambda t: 1.0)
    start = lbfgs.Point(0.0, 0.0, -1.0, [])
    assert lbfgs.line_search(start, 1.0, line, 7) is start
    assert len(line.asked) == 7
    line = Line(lambda t: 0.0, lambda t: 0.0)  # flat: not lower is too high
    assert lbfgs.line_search(start, 1.0, line, 7) is start
    line = Line(lambda t: math.nan, lambda t: math.nan)
    line.asked.clear()
    assert lbfgs.line_search(start, 5e-324, line, 99) is start
    assert len(line.asked) == 1  # nothing lies between 0 and the smallest number


def test_search_gives_back_the_best_of_its_trials():
    line = Line(lambda t: -t, lambda t: -1.0)
    start = line(0.0)
    line.asked.clear()
    found = lbfgs.line_search(start, 1.0, line, 3)
    assert line.asked == [1.0, 10.0, 100.0]
    assert found.t == 100.0


# Slopes that promise a decrease which the values are too coarse to show: behind the start downhill still, or uphill.
COARSE = {"downhill": Line(lambda t: 0.0, lambda t: -1.0), "uphill": Line(lambda t: 0.0, lambda t: 1e3)}


@pytest.mark.parametrize("name", COARSE)
def test_search_looks_at_no_point_twice(name):
    """Not at the start either: it ends where no number is left between the ends of its interval."""
    line, start = COARSE[name], lbfgs.Point(0.0, 0.0, -1.0, [])
    line.asked.clear()
    assert lbfgs.line_search(start, 1.0, line, 5000) is start
    assert 0.0 < min(line.asked) < 1e-322
    assert len(set(line.asked)) == len(line.asked) < 5000


def test_both_engines_look_at_as_many_points(monkeypatch):
    """The same search of a network whose loss, 1e300, hides what a step changes."""
    made, of_reference = counted(monkeypatch), counted_by_reference(monkeypatch)
    network = backprop.Network([1, 1]).with_parameters([0.0, 0.0])
    settings = {"loss": "absolute_error", "optimizer": LBFGS(1, 0.0, 0.0, 1000), "train_biases": False}
    runs = [train(network, [[1.0]], [1e300], epochs=2, **settings) for train in (backprop.fast_train, reference.train)]
    assert [(run.stopped, run.network == network) for run in runs] == [("line_search", True)] * 2
    assert 400 < made[-1].evaluations == next(of_reference) < 1000


def test_lowest_of_a_cubic():
    def point(t, f, slope):
        return lbfgs.Point(t, f, slope, [])

    parabola = point(1.0, 4.0, -4.0), point(4.0, 1.0, 2.0)  # (t - 3)**2
    assert lbfgs.lowest_of_cubic(*parabola) == pytest.approx(2.0 / 3.0)
    assert lbfgs.lowest_of_cubic(*parabola[::-1]) == pytest.approx(1.0 / 3.0)
    cubic = point(0.0, 0.0, -3.0), point(2.0, 2.0, 9.0)  # t**3 - 3t, lowest at 1
    assert lbfgs.lowest_of_cubic(*cubic) == pytest.approx(0.5)
    beyond = point(0.0, 0.0, -3.0), point(0.5, -1.375, -2.25)
    assert lbfgs.lowest_of_cubic(*beyond) == pytest.approx(2.0)
    assert math.isnan(lbfgs.lowest_of_cubic(point(0.0, 0.0, -1.0), point(1.0, -1.0, -1.0)))  # a straight line
    assert math.isnan(lbfgs.lowest_of_cubic(point(0.0, 0.0, -1.0), point(1.0, math.inf, 1.0)))
    assert math.isnan(lbfgs.lowest_of_cubic(point(0.0, 0.0, -1e200), point(1.0, -1e200, 1e200)))


def test_sum_of_the_parameter_vector():
    """N11, by the letter."""
    x = [2.0**53, 1.0, 1.0, 1.0, -(2.0**53), 1.0, 1.0, 1.0, 3.0, 5.0]
    s = [x[0] + x[8], x[1] + x[9], *x[2:8]]
    expected = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))
    assert lbfgs.dot(x, [1.0] * 10) == expected
    assert expected != sum(x)


def test_two_loops_are_the_bfgs_matrix():
    """Against the matrix of Nocedal and Wright, equation 6.17, made of the same pairs."""
    rng = np.random.default_rng(4)
    n, held, gamma = 7, 4, 0.3
    A = rng.normal(size=(n, n))
    A = A @ A.T + np.eye(n)
    pairs, H = [], gamma * np.eye(n)
    for _ in range(held):
        s = rng.normal(size=n)
        y = A @ s
        rho = 1.0 / (y @ s)
        V = np.eye(n) - rho * np.outer(y, s)
        H = V.T @ H @ V + rho * np.outer(s, s)
        pairs.insert(0, (s.tolist(), y.tolist(), float(s @ y)))
    g = rng.normal(size=n)
    np.testing.assert_allclose(lbfgs.two_loops(g.tolist(), pairs, gamma), -H @ g, rtol=1e-10)


# What it finds.


def solved(hidden, output, loss, seeds):
    found = 0
    for seed in seeds:
        network = backprop.Network([2, 2, 1], hidden, output, rng=seed)
        run = backprop.fast_train(network, *XOR, loss=loss, optimizer=LBFGS(), epochs=500)
        found += bool((np.abs(run.network.predict(XOR[0]).ravel() - XOR[1]) < 0.4).all())
    return found / len(seeds)


@pytest.mark.parametrize(("hidden", "share"), [("logistic", 0.45), ("tanh", 0.70)])
def test_xor(hidden, share):
    """How many starts of the smallest network lead to a solution; the others end in another valley, or in none."""
    assert solved(hidden, "identity", "squared_error", range(100)) >= share


@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_same_minimum_as_scipy(l2):
    """Of a loss with one minimum: softmax without hidden layers."""
    from scipy import optimize

    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 4))
    y = (X @ rng.normal(size=(4, 3)) + rng.normal(size=(60, 3))).argmax(axis=1)
    network = backprop.Network([4, 3], output_activation="softmax", rng=1)

    def objective(w):
        value, gradient = backprop.loss_and_gradient(network.with_parameters(w), X, y)
        weights = np.concatenate([w[:12], np.zeros(3)])
        return value + 0.5 * l2 * weights @ weights, gradient + l2 * weights

    theirs = optimize.minimize(objective, network.parameters, jac=True, method="L-BFGS-B", tol=1e-14)
    run = backprop.fast_train(network, X, y, optimizer=LBFGS(l2=l2), epochs=1000)
    assert run.stopped == "gradient"
    assert objective(run.network.parameters)[0] == pytest.approx(theirs.fun, rel=1e-10)


def test_a_narrow_valley():
    """0.5*(u*v - 1)**2 with u and v of scales 1e3 apart, from far away."""
    network = backprop.Network([1, 1, 1], "identity").with_parameters([30.0, 0.0, -0.02, 0.0])
    run = backprop.fast_train(network, [[1.0]], [1.0], optimizer=LBFGS(), epochs=200, train_biases=False)
    assert run.stopped == "gradient"
    assert run.losses[-1] < 1e-15


# Settings.


@pytest.mark.parametrize(
    ("settings", "kind", "message"),
    [
        ({"memory": 0}, ValueError, "memory must be an integer from 1 to 1000, got 0"),
        ({"memory": 1001}, ValueError, "memory must be an integer from 1 to 1000, got 1001"),
        ({"max_evaluations": 10**400}, ValueError, "max_evaluations must be an integer from 1 to 1000, got"),
        ({"memory": 2.5}, TypeError, r"memory must be an integer from 1 to 1000, got 2\.5"),
        ({"max_evaluations": 0}, ValueError, "max_evaluations must be an integer from 1 to 1000, got 0"),
        ({"max_evaluations": True}, TypeError, "max_evaluations must be an integer from 1 to 1000, got True"),
        ({"tolerance": -1e-9}, ValueError, r"tolerance must be a finite number in \[0, inf\), got -1e-09"),
        ({"tolerance": math.inf}, ValueError, r"tolerance must be a finite number in \[0, inf\), got inf"),
        ({"l2": math.nan}, ValueError, r"l2 must be a finite number in \[0, inf\), got nan"),
        ({"l2": "1"}, TypeError, r"l2 must be a real number in \[0, inf\), got '1'"),
    ],
)
def test_bad_settings(settings, kind, message):
    with pytest.raises(kind, match=message):
        LBFGS(**settings)


def test_it_takes_all_rows(engine):
    with pytest.raises(ValueError, match="batch_size must be None with LBFGS, which takes all rows at once, got 5"):
        engine.train(NETWORK, LINE, WAVE, optimizer=LBFGS(), batch_size=5)
    assert engine.train(NETWORK, LINE, WAVE, optimizer=LBFGS(), epochs=1).settings.batch_size is None


def test_settings_are_numbers():
    optimizer = LBFGS(np.int32(3), np.float32(0.5), 2, np.uint8(7))
    assert repr(optimizer) == "LBFGS(memory=3, tolerance=0.5, l2=2.0, max_evaluations=7)"
    assert [type(value) for value in (optimizer.memory, optimizer.tolerance, optimizer.l2)] == [int, float, float]
    assert optimizer == pickle.loads(pickle.dumps(optimizer))
