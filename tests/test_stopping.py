"""EarlyStopping: what it watches, when it stops, what it gives back."""

import copy
import itertools
import pickle

import numpy as np
import pytest
from problems import run_bits

import backprop
from backprop import stopping
from backprop.definition.randomness import shuffled

X = np.linspace(-1.0, 1.0, 24)[:, None]
Y = np.sin(4.0 * X)
NETWORK = backprop.Network([1, 5, 1], rng=1)
# The other way round: the better the fit, the worse this.
OPPOSED = (X[::3], -Y[::3])
LM = backprop.LevenbergMarquardt()
SETTINGS = {"optimizer": backprop.Adam(0.05), "batch_size": 8}


def train(engine, stop, epochs=60, **more):
    return engine.train(NETWORK, X, Y, epochs=epochs, stopping=stop, **SETTINGS, **more)


@pytest.mark.parametrize(
    "stop",
    [
        backprop.EarlyStopping(validation_data=OPPOSED, patience=3),
        backprop.EarlyStopping(validation_fraction=0.3, patience=2),
        backprop.EarlyStopping(validation_fraction=0.01, patience=None, rng=5),
        backprop.EarlyStopping(patience=1, min_improvement=0.01),
        backprop.EarlyStopping(validation_data=(X, Y), target_loss=0.1),
        backprop.EarlyStopping(validation_data=OPPOSED, patience=2, restore_best=False),
    ],
    ids=repr,
)
def test_both_engines_agree(engines, stop):
    runs = [train(engine, stop) for engine in engines]
    assert run_bits(runs[0]) == run_bits(runs[1])
    assert run_bits(runs[0].resume(X, Y, epochs=4)) == run_bits(runs[1].resume(X, Y, epochs=4))


def test_the_watched_losses_are_those_of_the_weights(engine):
    seen = []
    stop = backprop.EarlyStopping(validation_data=OPPOSED, patience=None)
    run = train(engine, stop, epochs=7, callback=lambda state: seen.append(state.network))
    assert run.validation_losses.tolist() == [engine.loss(network, *OPPOSED) for network in seen]
    assert run.validation_losses.shape == run.losses.shape == (7,)
    best = int(run.validation_losses.argmin())
    assert run.best_epoch == best
    assert run.network == seen[best]
    assert engine.loss(run.network, *OPPOSED) == run.validation_losses[best]
    assert train(engine, stop, epochs=7).losses.tobytes() == train(engine, None, epochs=7).losses.tobytes()


def test_other_targets_for_the_rows_that_are_trained_on(engine):
    """The same X in validation_data does not mean the same y."""
    stop = backprop.EarlyStopping(validation_data=(X, -Y), patience=None)
    seen = []
    run = train(engine, stop, epochs=3, callback=lambda state: seen.append(state.network))
    assert run.validation_losses.tolist() == [engine.loss(network, X, -Y) for network in seen]


def test_patience(engine):
    """So many epochs after the last improvement, and the best weights come back."""
    run = train(engine, backprop.EarlyStopping(validation_data=OPPOSED, patience=3))
    assert run.stopped == "patience"
    assert run.epochs == run.best_epoch + 1 + 3
    whole = train(engine, None, epochs=run.epochs)
    assert whole.losses.tobytes() == run.losses.tobytes()
    last = train(engine, backprop.EarlyStopping(validation_data=OPPOSED, patience=3, restore_best=False))
    assert last.network == whole.network
    assert run.network == train(engine, None, epochs=run.best_epoch + 1).network


def test_min_improvement(engine):
    """What is lower, but not by enough, is the best yet does not count as an improvement."""
    run = train(engine, backprop.EarlyStopping(patience=4, min_improvement=1e3))
    assert (run.epochs, run.stopped) == (5, "patience")
    assert run.best_epoch == int(run.validation_losses.argmin()) > 0


@pytest.mark.parametrize("validation_data", [None, (X, Y)], ids=["rows that are trained on", "validation rows"])
@pytest.mark.parametrize("patience", [1, 3])
def test_an_equal_loss_is_no_improvement(engine, validation_data, patience):
    """Steps too short to move a weight: every loss is the first one, which stays the best."""
    stop = backprop.EarlyStopping(validation_data=validation_data, patience=patience)
    run = engine.train(NETWORK, X, Y, epochs=20, optimizer=backprop.SGD(5e-324), stopping=stop)
    assert set(run.validation_losses.tolist()) == {engine.loss(NETWORK, X, Y)}
    assert (run.stopped, run.epochs, run.best_epoch) == ("patience", 1 + patience, 0)


def test_target_loss(engine):
    run = train(engine, backprop.EarlyStopping(target_loss=0.1))
    assert run.stopped == "target_loss"
    assert run.validation_losses[-1] <= 0.1 < run.validation_losses[:-1].min()
    assert engine.loss(run.network, X, Y) == run.validation_losses[-1]
    again = train(engine, backprop.EarlyStopping(target_loss=float(run.validation_losses[-1])))
    assert again.epochs == run.epochs  # a loss that is equal is enough


def test_time_limit(engine, monkeypatch):
    """Between epochs, and the bits are those of a run of so many."""
    seconds = itertools.count()
    monkeypatch.setattr(stopping.time, "monotonic", lambda: next(seconds))
    run = train(engine, backprop.EarlyStopping(time_limit=4.0, patience=None, restore_best=False))
    assert (run.stopped, run.epochs) == ("time_limit", 4)
    assert run.network == train(engine, None, epochs=4).network


@pytest.mark.parametrize("restore_best", [True, False])
@pytest.mark.parametrize("patience", [3, 30])
def test_resume(engine, patience, restore_best):
    """In pieces or at once: the same bits; a run goes on from its last weights, and its patience goes on too."""
    stop = backprop.EarlyStopping(validation_fraction=0.25, patience=patience, restore_best=restore_best)
    whole, pieces = train(engine, stop, epochs=20), train(engine, stop, epochs=1)
    while pieces.epochs < whole.epochs:
        pieces = pieces.resume(X, Y, epochs=1)
    assert pieces.network == whole.network
    assert pieces.validation_losses.tobytes() == whole.validation_losses.tobytes()
    assert pieces.best_epoch == whole.best_epoch


REASONS = ["callback", "target_loss", "patience", "time_limit", "gradient", "epochs"]


@pytest.mark.parametrize("first", range(len(REASONS)))
def test_which_reason_is_given(engine, monkeypatch, first):
    """The first of those that hold; in a run's second epoch, since its first is always an improvement."""
    seconds = itertools.count()
    monkeypatch.setattr(stopping.time, "monotonic", lambda: next(seconds))
    holds = REASONS[first:]
    stop = backprop.EarlyStopping(
        validation_data=OPPOSED,
        target_loss=100.0 if "target_loss" in holds else None,
        patience=1 if "patience" in holds else None,
        min_improvement=1e3,
        time_limit=0.5 if "time_limit" in holds else None,
    )
    optimizer = backprop.LBFGS(tolerance=1e9 if "gradient" in holds else 0.0)
    more = {"epochs": 1, "callback": lambda state: "callback" in holds}
    run = engine.train(NETWORK, X, Y, optimizer=optimizer, stopping=stop, **more)
    assert run.resume(X, Y, **more).stopped == REASONS[first]


def test_a_run_out_of_patience_can_be_resumed(engine):
    run = train(engine, backprop.EarlyStopping(validation_data=OPPOSED, patience=3))
    more = run.resume(X, Y, epochs=50)
    assert (more.stopped, more.epochs) == ("patience", run.epochs + 3)
    assert (more.best_epoch, more.network) == (run.best_epoch, run.network)


@pytest.mark.parametrize("again", [lambda run: pickle.loads(pickle.dumps(run)), copy.copy, copy.deepcopy])
def test_it_travels(engine, again):
    run = train(engine, backprop.EarlyStopping(validation_data=OPPOSED, patience=4), epochs=3)
    other = again(run)
    assert run_bits(other) == run_bits(run)
    assert run_bits(other.resume(X, Y, epochs=9)) == run_bits(run.resume(X, Y, epochs=9))


def test_the_fraction(engine):
    """The last rows of an order of its own stream; what is left is trained on, in the order that it had."""
    order = shuffled(np.random.PCG64(7).random_raw, len(X))
    watched, rest = sorted(order[len(X) - 5 :]), sorted(order[: len(X) - 5])
    run = train(engine, backprop.EarlyStopping(validation_fraction=0.2, patience=None, rng=7), epochs=5)
    stop = backprop.EarlyStopping(validation_data=(X[watched], Y[watched]), patience=None)
    other = engine.train(NETWORK, X[rest], Y[rest], epochs=5, stopping=stop, **SETTINGS)
    found = [run_bits(one) for one in (run, other)]
    assert found[0].pop("settings") != found[1].pop("settings")
    assert found[0] == found[1]


def test_classes(engine):
    labels = (X[:, 0] > 0.0).astype(int)
    network = backprop.Network([1, 3, 2], output_activation="softmax")
    stop = backprop.EarlyStopping(validation_fraction=0.25, target_loss=0.2)
    run = engine.train(network, X, labels, epochs=200, stopping=stop, **SETTINGS)
    assert run.stopped == "target_loss"


def test_without_it(engine):
    run = train(engine, None, epochs=2)
    assert run.validation_losses.shape == (0,)
    assert run.best_epoch is None


def test_what_is_given_is_not_changed(engine):
    held = [part.copy() for part in (X, Y, *OPPOSED)]
    train(engine, backprop.EarlyStopping(validation_data=OPPOSED), epochs=3)
    train(engine, backprop.EarlyStopping(validation_fraction=0.5), epochs=3)
    assert all(np.array_equal(a, b) for a, b in zip(held, (X, Y, *OPPOSED), strict=True))


ONE = backprop.Network([1, 1], rng=1)


@pytest.mark.parametrize(
    ("watched", "row"),
    [
        (([[0.5]], [1e200]), "validation row 0"),  # the target
        (([[0.5], [0.5], [1e200]], [0.0, 0.0, 0.0]), "validation row 2"),  # the input
        (([[0.5], [0.5]], [1e153, 1.5e154], [1.0, 2.0]), "validation row 1"),  # the sum
        (([[0.5], [0.5]], [1e200, 0.0], [0.0, 1.0]), "validation row 0"),  # inf counted 0 times is a NaN
    ],
)
@pytest.mark.parametrize("optimizer", [backprop.Adam(), backprop.Rprop(), backprop.LBFGS(), LM], ids=repr)
def test_a_watched_loss_that_is_not_finite_names_its_row(engine, optimizer, watched, row):
    """Training has not diverged: no smaller learning rate would help."""
    stop = backprop.EarlyStopping(validation_data=watched)
    with pytest.raises(OverflowError, match=f"^the watched loss of {row} is not finite") as caught:
        engine.train(ONE, X, Y, epochs=3, stopping=stop, optimizer=optimizer)
    assert not isinstance(caught.value, backprop.DivergenceError)


def test_a_watched_row_is_named_by_its_number_among_those_that_were_given(engine):
    """Row 19 is held back by the draw; the watched rows count it otherwise."""
    order = shuffled(np.random.PCG64(0).random_raw, len(X))
    held_back = sorted(order[len(X) - 6 :])
    targets = Y.copy()
    targets[held_back[3]] = 1e200
    stop = backprop.EarlyStopping(validation_fraction=0.25)
    with pytest.raises(OverflowError, match=f"^the watched loss of row {held_back[3]} is not finite"):
        engine.train(ONE, X, targets, epochs=2, stopping=stop)


def test_a_resumed_run_watches_in_the_same_way(engine):
    stop = backprop.EarlyStopping(validation_data=([[1.0], [2.0]], [0.0, 0.0]))
    run = engine.train(ONE, X, Y, epochs=1, stopping=stop, optimizer=backprop.SGD(0.1))
    state = run._result._replace(network=ONE.with_parameters([1.2e154, 0.0]))
    watch = state.state.watch._replace(last=np.array([1e154, 0.0]))
    far = type(run)(state._replace(state=state.state._replace(watch=watch)), run._engine)
    with pytest.raises(OverflowError, match=r"^the watched loss of validation row 1 is not finite"):
        far.resume([[1e-200]], [0.0], epochs=1)


def test_an_error_in_the_validation_data_says_so(engine):
    for data, words in (
        (([[1.0], [np.nan]], [0.0, 0.0]), "^in validation_data, X must be finite, got nan in row 1, column 0"),
        (([[1.0], [1.0]], [0.0, np.inf]), "^in validation_data, y must be finite, got inf in row 1, column 0"),
        (([[1.0]], [0.0], [-1.0]), "^in validation_data, sample_weight must be finite and >= 0, got -1.0 in row 0"),
        (([["a"]], [0.0]), "^in validation_data, X must hold real numbers, got 'a' in row 0, column 0"),
    ):
        with pytest.raises((ValueError, TypeError), match=words):
            train(engine, backprop.EarlyStopping(validation_data=data))


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.9])
def test_an_error_in_the_rows_names_the_row_that_was_given(engine, fraction):
    """The rows are checked before some of them are held back."""
    stop = backprop.EarlyStopping(validation_fraction=fraction)
    for s in range(0, len(X), 5):
        for name, given in {"X": X, "y": Y, "sample_weight": np.ones(len(X))}.items():
            broken = given.copy()
            broken[s] = np.nan
            rows = {"X": X, "y": Y, name: broken}
            with pytest.raises(ValueError, match=f"^{name} must be finite.* in row {s}\\b"):
                engine.train(NETWORK, stopping=stop, **rows)
        counts = np.ones((len(X), 1))
        counts[s] = -1.0
        poisson = backprop.Network([1, 1], output_activation="exponential")
        with pytest.raises(ValueError, match=f"^y must be >= 0 for loss 'poisson', got -1.0 in row {s}, column 0"):
            engine.train(poisson, X, counts, loss="poisson", stopping=stop)


@pytest.mark.parametrize(
    ("settings", "exception", "words"),
    [
        ({"patience": 0}, ValueError, "patience must be an integer >= 1, got 0"),
        ({"patience": 2.0}, TypeError, "patience must be an integer >= 1, got 2.0"),
        ({"validation_fraction": 1.0}, ValueError, r"validation_fraction must be a finite number in \(0, 1\), got 1.0"),
        ({"min_improvement": -1.0}, ValueError, r"min_improvement must be a finite number in \[0, inf\), got -1.0"),
        ({"target_loss": np.nan}, ValueError, "target_loss must be a finite number"),
        ({"time_limit": 0.0}, ValueError, r"time_limit must be a finite number in \(0, inf\), got 0.0"),
        ({"restore_best": 1}, TypeError, "restore_best must be True or False, got 1"),
        ({"rng": -1}, ValueError, "rng must be an integer >= 0, got -1"),
        (
            {"validation_data": X},
            TypeError,
            r"validation_data must be None or a tuple \(X, y\) or \(X, y, sample_weight\)",
        ),
        ({"validation_data": OPPOSED, "validation_fraction": 0.5}, ValueError, "must not both be given"),
    ],
)
def test_bad_settings(settings, exception, words):
    with pytest.raises(exception, match=words):
        backprop.EarlyStopping(**settings)


def test_bad_use(engine):
    with pytest.raises(TypeError, match=r"stopping must be None or a backprop.EarlyStopping\(...\), got 5"):
        train(engine, 5)
    with pytest.raises(ValueError, match=r"validation_fraction 0\.99 leaves none of 24 rows to train on"):
        train(engine, backprop.EarlyStopping(validation_fraction=0.99))
    with pytest.raises(ValueError, match=r"X must"):
        train(engine, backprop.EarlyStopping(validation_data=([[1.0, 2.0]], [0.0])))


ROWS = [[0.0], [0.5]]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ((ROWS, [0.0, 1.0]), (ROWS, [0.0, 1.0]), True),
        ((ROWS, [0.0, 1.0]), (np.array(ROWS), np.array([0.0, 1.0])), True),
        ((ROWS, [0.0, 1.0]), (ROWS, [0.0, 1.0], None), True),
        ((ROWS, [0.0, 1.0]), (ROWS, [[0.0], [1.0]]), True),
        ((ROWS, [[0.0], [1.0]]), (ROWS, [[0.0, 1.0]]), False),
        ((ROWS, [0.0, 1.0]), (ROWS, [0.0, 2.0]), False),
        ((ROWS, [0.0, 1.0]), (ROWS[:1], [0.0]), False),
        ((ROWS, [0.0, 1.0]), (ROWS, [0.0, 1.0], [1.0, 2.0]), False),
        ((ROWS, [0.0, 1.0]), None, False),
        (None, None, True),
    ],
)
def test_equality_looks_at_the_rows(one, other, same):
    one, other = (backprop.EarlyStopping(validation_data=data, patience=3) for data in (one, other))
    assert (one == other) is same
    assert (other == one) is same
    if same:
        assert hash(one) == hash(other)


def test_equality_looks_at_the_settings():
    assert backprop.EarlyStopping(patience=3) != backprop.EarlyStopping(patience=4)
    assert backprop.EarlyStopping() != 10
