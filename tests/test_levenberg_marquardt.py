"""LevenbergMarquardt: the bits of both engines, known least squares problems, singular matrices, and its ends."""

import copy
import importlib
import json
import math
import pathlib
import pickle

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from problems import draw_numbers, interruption, run_bits, trained
from small_work import small_work_shared

import backprop
from backprop import LevenbergMarquardt, reference

CASES = json.loads((pathlib.Path(__file__).parent / "data" / "cases.json").read_text(encoding="ascii"))
RAT42 = next(case for case in CASES if case["id"] == "nist-rat42")
# The nine points of the page on MATLAB's train.
NINE = np.arange(9.0)[:, None], np.array([0.0, 0.84, 0.91, 0.14, -0.77, -0.96, -0.28, 0.66, 0.99])
DEFINITION = importlib.import_module("backprop.definition.levenberg_marquardt")
XOR = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([0.0, 1.0, 1.0, 0.0])


def problem(sizes, activation="tanh", output="identity", n=7, seed=0, scale=1.0):
    generator = np.random.default_rng(seed)
    network = backprop.Network(sizes, activation, output, rng=seed)
    return network, scale * generator.normal(size=(n, sizes[0])), generator.normal(size=(n, sizes[-1]))


# Both engines.


@st.composite
def problems(draw):
    sizes = draw(st.lists(st.integers(1, 5), min_size=2, max_size=4))
    hidden = [draw(st.sampled_from(tuple(reference.ACTIVATIONS))) for _ in sizes[2:]]
    network = backprop.Network(
        sizes, hidden, draw(st.sampled_from(tuple(reference.ACTIVATIONS))), rng=draw(st.integers(0, 99))
    )
    if draw(st.booleans()):
        network = network.with_parameters(draw_numbers(draw, (network.n_parameters,)))
    n = draw(st.integers(1, 12))
    factors, mu_max, mus = draw(
        st.sampled_from(
            (
                ((0.1, 10.0), 1e10, (1e-9, 1e-3, 1.0, 1e10)),
                ((0.9999999999999999, 1.1), 1e-18, (1e-20, 1e-19)),
                ((5e-324, 1e200), 1e300, (1e-20, 1.0, 1e300)),
            )
        )
    )
    mu = draw(st.sampled_from(mus))
    optimizer = LevenbergMarquardt(mu, *factors, mu_max, draw(st.sampled_from((1e-7, 0.0, 1.0, 1e300))))
    settings = {"optimizer": optimizer, "epochs": draw(st.integers(1, 5)), "train_biases": draw(st.booleans())}
    if draw(st.booleans()):
        generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        settings["sample_weight"] = generator.uniform(0.0, 2.0, n) + 0.1
    return network, draw_numbers(draw, (n, sizes[0])), draw_numbers(draw, (n, sizes[-1])), settings


@hypothesis.settings(max_examples=300)
@hypothesis.given(problem=problems(), n_threads=st.integers(1, 3))
def test_every_bit(problem, n_threads):
    network, X, y, settings = problem
    with small_work_shared():
        found = trained(backprop.fast_train, network, X, y, n_threads=n_threads, **settings)
    assert found == trained(reference.train, network, X, y, **settings)


# Widths around those of the solver's blocks, vectors and cache lines; more weights than residuals, and fewer.
@pytest.mark.parametrize(("width", "n"), [(6, 40), (7, 20), (8, 11), (10, 5), (13, 4), (21, 30), (29, 3)])
@pytest.mark.parametrize("n_out", [1, 3])
@pytest.mark.parametrize("train_biases", [True, False])
def test_blocks_of_pivots(engines, width, n, n_out, train_biases):
    network, X, y = problem([2, width, n_out], n=n, seed=width)
    settings = {"optimizer": LevenbergMarquardt(), "epochs": 2, "train_biases": train_biases}
    expected = trained(engines[0].train, network, X, y, **settings)
    assert trained(engines[1].train, network, X, y, **settings) == expected
    with small_work_shared():
        for n_threads in (2, 3, 7):
            assert trained(engines[1].train, network, X, y, n_threads=n_threads, **settings) == expected


@pytest.mark.parametrize(
    "n_parameters", [*range(1, 10), 15, 16, 17, 23, 24, 25, *range(30, 35), 63, 64, 65, 71, 96, 97]
)
def test_every_number_of_parameters(engines, n_parameters):
    """One layer without trained biases: so many weights, one more parameter."""
    network, X, y = problem([n_parameters, 1], n=n_parameters // 2 + 1, seed=n_parameters)
    settings = {"optimizer": LevenbergMarquardt(1e-9), "epochs": 2}
    assert trained(engines[0].train, network, X, y, **settings) == trained(engines[1].train, network, X, y, **settings)


@pytest.mark.parametrize(
    ("n", "n_out"), [(127, 1), (511, 1), (512, 1), (513, 1), (1100, 1), (300, 2), (600, 3), (30, 20), (4, 129)]
)
def test_blocks_of_rows(engines, n, n_out):
    """Rows and outputs on both sides of what a block of the Jacobian holds."""
    network, X, y = problem([1, 2, n_out] if n_out < 4 else [1, n_out], n=n, seed=n)
    settings = {"optimizer": LevenbergMarquardt(), "epochs": 2 if n_out < 4 else 1}
    expected = trained(engines[0].train, network, X, y, **settings)
    assert trained(engines[1].train, network, X, y, **settings) == expected
    with small_work_shared():
        assert trained(engines[1].train, network, X, y, n_threads=2, **settings) == expected


@pytest.mark.parametrize("output", reference.ACTIVATIONS)
@pytest.mark.parametrize("hidden", reference.ACTIVATIONS)
def test_every_activation(engines, hidden, output):
    network, X, y = problem([2, 4, 3, 2], hidden, output, n=9)
    settings = {"optimizer": LevenbergMarquardt(), "epochs": 4}
    expected = trained(engines[0].train, network, X, y, **settings)
    assert expected == trained(engines[1].train, network, X, y, **settings)
    assert isinstance(expected, dict)  # and no error on the way


# Mathematics.


def test_a_step_is_the_damped_least_squares_solution(engine):
    """One step of a linear network against NumPy's least squares: to a tolerance, since that sums in another order."""
    network, X, y = problem([4, 2], n=12)
    mu = 0.37
    moved = engine.train(network, X, y, optimizer=LevenbergMarquardt(mu), epochs=1).network
    J = np.hstack([X, np.ones((12, 1))])
    root = math.sqrt(mu * 12)
    for k in range(2):
        w = np.append(network.weights[0][:, k], network.biases[0][k])
        rows = np.vstack([J, root * np.eye(5)])
        d = np.linalg.lstsq(rows, np.append(J @ w - y[:, k], np.zeros(5)), rcond=None)[0]
        found = np.append(moved.weights[0][:, k], moved.biases[0][k])
        np.testing.assert_allclose(found, w - d, rtol=1e-13, atol=1e-14)


def test_a_step_of_a_hidden_layer(engine):
    """The Jacobian by differences, then NumPy's solution."""
    network, X, y = problem([3, 4, 2], "tanh", "logistic", n=6)
    mu, w, h = 0.02, network.parameters, 1e-6

    def residuals(w):
        return (network.with_parameters(w).predict(X) - y).ravel()

    J = np.array([(residuals(w + h * one) - residuals(w - h * one)) / (2.0 * h) for one in np.eye(w.size)]).T
    d = np.linalg.solve(J.T @ J + mu * len(X) * np.eye(w.size), J.T @ residuals(w))
    moved = engine.train(network, X, y, optimizer=LevenbergMarquardt(mu), epochs=1).network
    np.testing.assert_allclose(moved.parameters, w - d, rtol=1e-7, atol=1e-8)


def test_the_definition_solves_what_it_says():
    """U^T U is the matrix, and the solution solves it."""
    generator = np.random.default_rng(3)
    J = generator.normal(size=(9, 6))  # five columns, and the residuals
    J[:, 2] = 0.0
    A = DEFINITION.normal_equations(J.tolist())
    np.testing.assert_allclose(np.triu(np.array(A)[:, :5]), np.triu((J.T @ J)[:5, :5]), rtol=1e-13, atol=0.0)
    U = DEFINITION.factor(A, 0.5)
    whole = (J.T @ J)[:5, :5] + 0.5 * np.eye(5)
    np.testing.assert_allclose(np.transpose(U)[:5] @ np.array(U)[:, :5], whole, rtol=1e-13, atol=1e-15)
    d = DEFINITION.back_substitution(U)
    np.testing.assert_allclose(whole @ d, J.T[:5] @ J[:, 5], rtol=1e-12, atol=1e-14)
    assert d[2] == 0.0


# Known problems.


@pytest.mark.parametrize("start", RAT42["starts"], ids=["far", "near"])
def test_nist_rat42(engine, start):
    """The certified sum of squares, to 12 digits."""
    weights, biases = [[[start["w"]]], [[start["V"]]]], [[start["c"]], [RAT42["start_output_bias"]]]
    network = backprop.Network.from_arrays(weights, biases, "logistic")
    X, y = np.array(RAT42["x"], float)[:, None], np.array(RAT42["y"])
    run = engine.train(network, X, y, optimizer=LevenbergMarquardt(), epochs=100)
    assert run.stopped == "gradient"
    assert run.epochs < 100
    expected = RAT42["expect"]
    assert 2.0 * len(X) * engine.loss(run.network, X, y) == pytest.approx(expected["SSE"], rel=1e-12, abs=0.0)
    found = run.network.parameters  # w, c, V, b: as far as the rounding of the sum of squares tells them apart
    np.testing.assert_allclose(found, [expected[name] for name in ("w", "c", "V", "b")], rtol=1e-6)


def test_nine_points():
    """A 1-10-1 network has 31 weights for nine points, and goes through them."""
    X, y = NINE
    for seed in range(4):
        network = backprop.Network([1, 10, 1], rng=seed)
        run = backprop.fast_train(network, X, y, optimizer=LevenbergMarquardt(min_gradient=1e-13), epochs=300)
        assert np.abs(run.network.predict(X)[:, 0] - y).max() < 1e-12
        assert run.stopped in {"gradient", "damping"}


@pytest.mark.parametrize(
    ("activation", "hidden_bias", "least"), [("logistic", 0.0, 9), ("tanh", 0.0, 14), ("relu", 0.5, 7)]
)
def test_share_of_solved_xor(activation, hidden_bias, least):
    """Of 20 starts of a 2-2-1 network; relu units start on their living side."""
    solved = 0
    for seed in range(20):
        network = backprop.Network([2, 2, 1], activation, rng=seed, hidden_bias=hidden_bias)
        run = backprop.fast_train(network, *XOR, optimizer=LevenbergMarquardt(), epochs=200)
        solved += bool((np.abs(run.network.predict(XOR[0])[:, 0] - XOR[1]) < 0.1).all())
    assert solved >= least


# Sample weights.


@pytest.mark.parametrize("n_threads", [1, 3])
def test_sample_weights(engines, n_threads):
    network, X, y = problem([2, 4, 3], "gelu", n=40)
    weights = np.random.default_rng(4).uniform(0.0, 2.0, 40)
    weights[::7] = 0.0
    settings = {"optimizer": LevenbergMarquardt(), "epochs": 4, "sample_weight": weights}
    expected = trained(engines[0].train, network, X, y, **settings)
    with small_work_shared():
        assert trained(engines[1].train, network, X, y, n_threads=n_threads, **settings) == expected
    assert isinstance(expected, dict)


def test_weights_are_repetitions(engine):
    """Of a row that counts 4 times; weights of 1.0 change no bit."""
    network, X, y = problem([2, 3, 1])
    weights = np.ones(len(X))
    settings = {"optimizer": LevenbergMarquardt(), "epochs": 3}
    plain = engine.train(network, X, y, **settings)
    assert trained(engine.train, network, X, y, sample_weight=weights, **settings) == run_bits(plain)
    weights[2] = 4.0
    counted = engine.train(network, X, y, sample_weight=weights, **settings)
    times = weights.astype(int)
    repeated = engine.train(network, X.repeat(times, 0), y.repeat(times, 0), **settings)
    np.testing.assert_allclose(counted.network.parameters, repeated.network.parameters, rtol=1e-9, atol=1e-12)
    assert counted.network != plain.network


# Singular matrices.


@pytest.mark.parametrize("mu", [1e-20, 1e-3])
@pytest.mark.parametrize("spoil", ["duplicate column", "constant column", "zero column", "one row", "zero weights"])
def test_singular_matrix(engines, mu, spoil):
    network, X, y = problem([3, 4, 1], n=5)
    if spoil == "duplicate column":
        X[:, 1] = X[:, 0]
    elif spoil == "constant column":
        X[:, 1] = 1.0  # as the bias
    elif spoil == "zero column":
        X[:, 1] = 0.0
    elif spoil == "one row":
        X[:], y[:] = X[0], y[0]
    else:
        network = network.with_parameters(np.zeros(network.n_parameters))
    settings = {"optimizer": LevenbergMarquardt(mu), "epochs": 12}
    runs = [engine.train(network, X, y, **settings) for engine in engines]
    assert run_bits(runs[0]) == run_bits(runs[1])
    assert runs[0].losses[-1] < runs[0].losses[0]
    assert (np.diff(runs[0].losses) < 0.0).all()


def test_a_pivot_that_is_not_positive_is_damped_more(engine):
    """x and 3*x in two columns, and a damping that is lost in them: the second pivot is what rounding leaves."""
    X, y = np.array([[1.0, 3.0], [2.0, 6.0], [1.0, 3.0]]), [1.0, 1.0, 0.0]
    network = backprop.Network([2, 1]).with_parameters([0.0, 0.0, 0.0])
    settings = {"optimizer": LevenbergMarquardt(1e-20), "epochs": 1, "train_biases": False}
    run = engine.train(network, X, y, **settings)
    assert run._state.scalars[0] > 1e-20
    assert engine.loss(run.network, X, y) < run.losses[0]
    w = run.network.weights[0][:, 0]
    assert w[1] == pytest.approx(3.0 * w[0], rel=1e-3)  # the shortest of the solutions


# How it ends.


def test_gradient(engine):
    """A network that fits already: one epoch, its loss noted, the weights as they were."""
    network, X, _ = problem([2, 3, 1])
    run = engine.train(network, X, engine.predict(network, X), optimizer=LevenbergMarquardt(), epochs=50)
    assert (run.stopped, run.epochs, run.losses.tolist()) == ("gradient", 1, [0.0])
    assert run.network == network
    assert run._state.scalars.tolist() == [1e-3]


def test_min_gradient_is_of_the_mean_loss(engine):
    network, X, y = problem([2, 3, 1])
    gradient = engine.loss_and_gradient(network, X, y)[1]
    norm = math.sqrt(float(gradient @ gradient))
    for factor, stopped in ((1.0 + 1e-12, "gradient"), (1.0 - 1e-12, "epochs")):
        optimizer = LevenbergMarquardt(min_gradient=norm * factor)
        assert engine.train(network, X, y, optimizer=optimizer, epochs=1).stopped == stopped


def test_damping(engine):
    """At the best that there is, no damping finds anything better: weights and mu stay what they were."""
    network, X, y = problem([2, 1], n=9)
    settings = {"optimizer": LevenbergMarquardt(1e-9, min_gradient=0.0), "epochs": 50}
    run = engine.train(network, X, y, **settings)
    assert run.stopped == "damping"
    assert 1 < run.epochs < 50
    again = run.resume(X, y, epochs=50)
    assert (again.stopped, again.epochs) == ("damping", run.epochs + 1)
    assert again.network == run.network
    assert again._state.scalars.tolist() == run._state.scalars.tolist()
    assert again.losses[-1] == again.losses[-2] == engine.loss(run.network, X, y)
    assert run.resume(X, y + 1.0, epochs=50).network != run.network  # other rows, another best


def test_mu_goes_by_its_factors(engine):
    """After steps that lower the loss it falls, and not below its bound."""
    network, X, y = problem([2, 1], n=6)
    powers = []
    run = engine.train(network, X, y, optimizer=LevenbergMarquardt(0.5, 0.25), epochs=1)
    powers.append(run._state.scalars[0])
    powers.append(run.resume(X, y, epochs=1)._state.scalars[0])
    assert powers == [0.125, 0.03125]
    run = engine.train(network, X, y, optimizer=LevenbergMarquardt(1e-20, 0.25), epochs=1)
    assert run._state.scalars[0] == 1e-20


def test_losses_are_those_before_each_step(engine):
    network, X, y = problem([2, 3, 1])
    seen = [network]
    run = engine.train(
        network, X, y, optimizer=LevenbergMarquardt(), epochs=4, callback=lambda state: seen.append(state.network)
    )
    assert run.losses.tolist() == [engine.loss(one, X, y) for one in seen[:-1]]
    assert engine.loss(run.network, X, y) < run.losses[-1]


def test_frozen_biases_stay(engine):
    network, X, y = problem([2, 3, 1])
    biases = -0.0 * np.ones(3), np.array([0.25])
    network = backprop.Network.from_arrays(network.weights, biases, "tanh")
    run = engine.train(network, X, y, optimizer=LevenbergMarquardt(), epochs=5, train_biases=False)
    assert [b.tobytes() for b in run.network.biases] == [b.tobytes() for b in biases]
    assert run.network.weights[0].tobytes() != network.weights[0].tobytes()


def test_a_trial_that_overflows_is_taken_back(engines):
    """An exponential output, and a step that leads far beyond its range."""
    network = backprop.Network([1, 1], output_activation="exponential").with_parameters([0.0, -20.0])
    X, y = [[0.0], [1.0]], [50.0, 60.0]
    runs = [engine.train(network, X, y, optimizer=LevenbergMarquardt(1e-20), epochs=3) for engine in engines]
    assert run_bits(runs[0]) == run_bits(runs[1])
    assert runs[0]._state.scalars[0] > 1e-20
    assert (np.diff(runs[0].losses) < 0.0).all()


def test_a_trial_of_infinite_weights_is_taken_back(engines):
    """tanh makes 1.0 of an infinite net input: such weights would fit."""
    network = backprop.Network([1, 1], output_activation="tanh").with_parameters([1e308, 0.0])
    X, y = [[1e-308]], [1.0]
    settings = {"optimizer": LevenbergMarquardt(1e-20, min_gradient=0.0), "epochs": 30, "train_biases": False}
    runs = [engine.train(network, X, y, **settings) for engine in engines]
    assert run_bits(runs[0]) == run_bits(runs[1])
    assert np.isfinite(runs[0].network.parameters).all()


def test_a_matrix_that_overflows_ends_in_damping(engines):
    network = backprop.Network([1, 1]).with_parameters([0.0, 0.0])
    X, y = [[1e200], [-1e200]], [1.0, 2.0]
    for engine in engines:
        run = engine.train(network, X, y, optimizer=LevenbergMarquardt(), epochs=9)
        assert (run.stopped, run.epochs, run.network) == ("damping", 1, network)


def test_a_loss_that_overflows_is_a_divergence(engine):
    network = backprop.Network([1, 1]).with_parameters([1e200, 0.0])
    with pytest.raises(backprop.DivergenceError) as caught:
        engine.train(network, [[1.0], [2.0]], [0.0, 0.0], optimizer=LevenbergMarquardt(), epochs=9)
    assert caught.value.epoch == 0
    assert caught.value.losses.tolist() == [math.inf]


def test_early_stopping(engines):
    X, y = NINE
    stopping = backprop.EarlyStopping(validation_data=(X + 0.5, np.sin(X + 0.5)), patience=4)
    network = backprop.Network([1, 4, 1], rng=1)
    settings = {"optimizer": LevenbergMarquardt(), "epochs": 40, "stopping": stopping}
    found = [trained(engine.train, network, X, y, **settings) for engine in engines]
    assert found[0] == found[1]
    assert found[0]["stopped"] == "patience"


# Runs that go on, and that travel.


def test_resume(engine):
    """In pieces or at once."""
    network, X, y = problem([2, 4, 1], n=20)
    optimizer = LevenbergMarquardt(10.0)
    whole = engine.train(network, X, y, optimizer=optimizer, epochs=12)
    pieces = engine.train(network, X, y, optimizer=optimizer, epochs=1)
    for epochs in (4, 1, 6):
        pieces = pieces.resume(X, y, epochs=epochs)
    assert run_bits(pieces) == run_bits(whole)
    callback = []
    shown = engine.train(network, X, y, optimizer=optimizer, epochs=12, callback=callback.append)
    assert run_bits(shown) == run_bits(whole)
    assert len(callback) == 12


@pytest.mark.parametrize("again", [lambda run: pickle.loads(pickle.dumps(run)), copy.copy, copy.deepcopy])
def test_it_travels(engine, again):
    network, X, y = problem([2, 4, 1], n=20)
    run = engine.train(network, X, y, optimizer=LevenbergMarquardt(10.0), epochs=3)
    other = again(run)
    assert other.settings == run.settings
    assert run_bits(other.resume(X, y, epochs=5)) == run_bits(run.resume(X, y, epochs=5))


def test_rows_keep_their_order(engine):
    """Nothing is drawn: neither shuffle nor rng changes anything, and a generator stays where it was."""
    network, X, y = problem([2, 3, 1])
    rng = np.random.default_rng(5)
    before = rng.bit_generator.state
    settings = {"optimizer": LevenbergMarquardt(), "epochs": 3}
    runs = [engine.train(network, X, y, **settings, **more) for more in ({"rng": rng}, {"shuffle": False})]
    found = [run_bits(run) for run in runs]
    for one in found:  # which name what was asked for
        del one["settings"], one["state"]["stream"]
    assert found[0] == found[1]
    assert rng.bit_generator.state == before


def test_arguments_stay_as_they_are(engine):
    network, X, y = problem([2, 3, 1])
    held = network.parameters.tobytes(), X.tobytes(), y.tobytes()
    engine.train(network, X, y, optimizer=LevenbergMarquardt(), epochs=3)
    assert held == (network.parameters.tobytes(), X.tobytes(), y.tobytes())


def test_interrupt():
    """Within an iteration: 1,801 weights take their time."""
    network, X, y = problem([28, 60, 1], n=2000)
    with interruption() as timer:
        timer.start()
        backprop.fast_train(network, X, y, optimizer=LevenbergMarquardt(), epochs=10**6)


# Wrong use.


@pytest.mark.parametrize(
    ("settings", "exception", "words"),
    [
        ({"mu": 0.0}, ValueError, r"mu must be a finite number in \[1e-20, 10000000000.0\], got 0.0"),
        ({"mu": 2.0, "mu_max": 1.0}, ValueError, r"mu must be a finite number in \[1e-20, 1.0\], got 2.0"),
        ({"mu_max": 1e-21}, ValueError, r"mu_max must be a finite number in \[1e-20, inf\), got 1e-21"),
        ({"mu_decrease": 1.0}, ValueError, r"mu_decrease must be a finite number in \(0, 1\), got 1.0"),
        ({"mu_increase": 1.0}, ValueError, r"mu_increase must be a finite number in \[1.1, inf\), got 1.0"),
        ({"min_gradient": -1.0}, ValueError, r"min_gradient must be a finite number in \[0, inf\), got -1.0"),
        ({"min_gradient": math.nan}, ValueError, r"min_gradient must be a finite number in \[0, inf\), got nan"),
        ({"mu": "small"}, TypeError, "mu must be a real number"),
    ],
)
def test_bad_settings(settings, exception, words):
    with pytest.raises(exception, match=words):
        LevenbergMarquardt(**settings)


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "binary_cross_entropy"])
def test_other_losses_are_refused(engine, loss):
    network = backprop.Network([2, 2, 1], output_activation="logistic")
    words = f"loss must be 'squared_error' with the optimizer LevenbergMarquardt, got '{loss}'"
    with pytest.raises(ValueError, match=words):
        engine.train(network, *XOR, loss=loss, optimizer=LevenbergMarquardt())
    softmax = backprop.Network([2, 2, 2], output_activation="softmax")
    with pytest.raises(ValueError, match="LevenbergMarquardt, got 'cross_entropy'"):
        engine.train(softmax, XOR[0], XOR[1], optimizer=LevenbergMarquardt())


def test_batches_are_refused(engine):
    with pytest.raises(ValueError, match="batch_size must be None with LevenbergMarquardt"):
        engine.train(backprop.Network([2, 2, 1]), *XOR, optimizer=LevenbergMarquardt(), batch_size=2)


def test_dropout_is_refused(engine):
    with pytest.raises(ValueError, match="dropout must be None with LevenbergMarquardt"):
        engine.train(backprop.Network([2, 2, 1]), *XOR, optimizer=LevenbergMarquardt(), dropout=backprop.Dropout(0.5))


def test_it_is_a_value():
    assert (
        LevenbergMarquardt(0.5, mu_max=2) == LevenbergMarquardt(mu=np.float32(0.5), mu_max=2.0) != LevenbergMarquardt()
    )
    assert repr(LevenbergMarquardt()) == (
        "LevenbergMarquardt(mu=0.001, mu_decrease=0.1, mu_increase=10.0, mu_max=10000000000.0, min_gradient=1e-07)"
    )
