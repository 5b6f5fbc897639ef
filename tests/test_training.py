"""Runs: resumed, watched, stopped, diverged, interrupted; and what is left afterwards."""

import copy
import pickle
import re
import signal
import sys
import threading

import numpy as np
import pytest
from problems import interruption, run_bits

import backprop
from backprop.definition.randomness import shuffled

X = (np.arange(40.0).reshape(20, 2) % 11.0 - 5.0) / 5.0
Y = (np.arange(20.0) % 7.0) / 6.0
NETWORK = backprop.Network([2, 4, 1], rng=1)
OPTIMIZERS = [backprop.SGD(0.05), backprop.SGD(0.05, 0.9), backprop.SGD(0.05, 0.9, True), backprop.Adam(0.01)]
OPTIMIZERS += [backprop.AdamW(0.01), backprop.RMSprop(0.01), backprop.RMSprop(0.01, momentum=0.5)]
OPTIMIZERS += [backprop.Rprop(), backprop.Rprop("rprop+")]


def same(one, other):
    """Two runs are equal in every bit, whatever has ended them, and go on alike."""
    assert run_bits(one) | {"stopped": ""} == run_bits(other) | {"stopped": ""}
    after = [run.resume(X, Y, epochs=2) for run in (one, other)]
    assert after[0].network == after[1].network


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize("shuffle", [True, False])
def test_resume(engine, optimizer, shuffle):
    batch_size = None if isinstance(optimizer, backprop.Rprop) else 6
    settings = {"optimizer": optimizer, "batch_size": batch_size, "shuffle": shuffle, "rng": 5}
    whole = engine.train(NETWORK, X, Y, epochs=50, **settings)
    first = engine.train(NETWORK, X, Y, epochs=30, **settings)
    bits = first.network.parameters.tobytes(), first.losses.tobytes()
    same(first.resume(X, Y, epochs=20), whole)
    same(first.resume(X, Y, epochs=20), whole)  # resuming has not moved it on
    assert (first.network.parameters.tobytes(), first.losses.tobytes()) == bits
    assert (first.epochs, first.stopped) == (30, "epochs")
    piecewise = first
    for epochs in (1, 18, 1):
        piecewise = piecewise.resume(X, Y, epochs=epochs)
    same(piecewise, whole)


def test_losses(engine):
    """An epoch's loss is seen with weights that still move; the first, in one batch, with those of the start (N8)."""
    run = engine.train(NETWORK, X, Y, epochs=4, batch_size=20, shuffle=False)
    assert run.losses.shape == (4,)
    assert run.losses.dtype == np.float64
    assert run.losses[0] == engine.loss(NETWORK, X, Y)
    for epochs in (1, 2, 3):
        part = engine.train(NETWORK, X, Y, epochs=epochs, batch_size=20, shuffle=False)
        assert run.losses[epochs] == engine.loss(part.network, X, Y)
    assert run.network.loss(X, Y) < run.losses[-1]


def test_losses_cannot_be_changed(engine):
    """A resumed run starts from them, so they are read-only in whatever way the Training was come by."""
    run = engine.train(NETWORK, X, Y, epochs=2)
    for training in (run, run.resume(X, Y, epochs=1), pickle.loads(pickle.dumps(run)), copy.deepcopy(run)):
        with pytest.raises(ValueError, match="read-only"):
            training.losses[0] = 0.0


def test_long_curves():
    """The curve grows in pieces; every epoch is in it once, and in its place."""
    network = backprop.Network([1, 1])
    epochs = 150_001
    run = backprop.fast_train(network, [[1.0]], [2.0], optimizer=backprop.SGD(1e-5), epochs=epochs)
    assert run.losses.shape == (epochs,) == (run.epochs,)
    assert (np.diff(run.losses) < 0.0).all()
    parts = backprop.fast_train(network, [[1.0]], [2.0], optimizer=backprop.SGD(1e-5), epochs=65_536)
    parts = parts.resume([[1.0]], [2.0], epochs=epochs - 65_536)
    assert parts.losses.tobytes() == run.losses.tobytes()


def test_defaults(engine):
    """loss, optimizer and batch_size are filled in as documented, and the seeds are 0."""
    run = engine.train(NETWORK, X, Y, epochs=3)
    settings = {"loss": "squared_error", "optimizer": backprop.Adam(1e-3, 0.9, 0.999, 1e-8), "batch_size": 32, "rng": 0}
    same(run, engine.train(NETWORK, X, Y, epochs=3, shuffle=True, train_biases=True, **settings))
    softmax = backprop.Network([2, 3], output_activation="softmax")
    classes = np.arange(20) % 3
    run = engine.train(softmax, X, classes, epochs=3)
    assert run.network == engine.train(softmax, X, classes, epochs=3, loss="cross_entropy").network
    assert run.settings.loss == "cross_entropy"
    assert engine.train(NETWORK, X[:2], Y[:2], epochs=100).network == engine.train(NETWORK, X[:2], Y[:2]).network


def test_repr(engine):
    run = engine.train(NETWORK, X, Y, epochs=3)
    assert "Network([2, 4, 1]" in repr(run)
    assert "3 epochs" in repr(run)
    assert f"{run.losses[-1]:g}" in repr(run)


def test_fresh_entropy(engine):
    """rng=None draws another order each time; any integer is a seed of its own."""
    runs = [engine.train(NETWORK, X, Y, epochs=2, batch_size=1, rng=rng) for rng in (None, None, 0, 1, 2**100)]
    assert len({run.network for run in runs}) == 5


# Callbacks.


def test_callback_sees_every_epoch(engine):
    seen = []

    def callback(state):
        seen.append((state.epoch, state.loss, state.network))
        assert state.network is state.network
        assert repr(state) == f"EpochState(epoch={state.epoch}, loss={state.loss!r})"

    run = engine.train(NETWORK, X, Y, epochs=3, callback=callback).resume(X, Y, epochs=2, callback=callback)
    assert [epoch for epoch, _, _ in seen] == [0, 1, 2, 3, 4]
    assert [loss for _, loss, _ in seen] == run.losses.tolist()
    assert all(type(loss) is float and type(epoch) is int for epoch, loss, _ in seen)
    for epoch, _, network in seen:
        assert network == engine.train(NETWORK, X, Y, epochs=epoch + 1).network
    same(run, engine.train(NETWORK, X, Y, epochs=5))


def test_callback_that_counts_as_false(engine):
    class Record(list):
        __call__ = list.append

    record = Record()
    engine.train(NETWORK, X, Y, epochs=3, callback=record)
    assert [state.epoch for state in record] == [0, 1, 2]


@pytest.mark.parametrize("answer", [True, np.True_])
def test_callback_stops(engine, answer):
    run = engine.train(NETWORK, X, Y, epochs=9, callback=lambda state: answer if state.epoch == 3 else None)
    assert (run.epochs, run.stopped, run.losses.shape) == (4, "callback", (4,))
    same(run, engine.train(NETWORK, X, Y, epochs=4))
    again = run.resume(X, Y, epochs=1)
    assert (again.epochs, again.stopped) == (5, "epochs")


@pytest.mark.parametrize("answer", [None, False, 1, "stop", 0.0, np.ones(3), np.False_])
def test_only_true_stops(engine, answer):
    run = engine.train(NETWORK, X, Y, epochs=3, callback=lambda state: answer)
    assert (run.epochs, run.stopped) == (3, "epochs")


@pytest.mark.parametrize(
    "failure", [KeyError("mine"), StopIteration(3), GeneratorExit(), KeyboardInterrupt(), SystemExit(4)], ids=repr
)
def test_exception_in_a_callback_reaches_the_caller(engine, failure):
    rng = np.random.PCG64(3)
    state = rng.state
    calls = []

    def callback(epoch_state):
        calls.append(epoch_state.epoch)
        if len(calls) == 2:
            raise failure

    with pytest.raises(type(failure)) as caught:
        engine.train(NETWORK, X, Y, epochs=9, batch_size=8, rng=rng, callback=callback)
    assert caught.value is failure
    assert calls == [0, 1]
    assert rng.state == state
    run = engine.train(NETWORK, X, Y, epochs=2)
    calls.clear()
    with pytest.raises(type(failure)):
        run.resume(X, Y, epochs=9, callback=callback)
    same(run, engine.train(NETWORK, X, Y, epochs=2))


def test_network_asked_for_too_late(engine):
    states = []
    engine.train(NETWORK, X, Y, epochs=2, callback=states.append)
    for state in states:
        with pytest.raises(RuntimeError, match="before the callback returns"):
            _ = state.network
    kept = []
    engine.train(NETWORK, X, Y, epochs=2, callback=lambda state: kept.append((state, state.network)))
    assert all(state.network is network for state, network in kept)


def test_training_inside_a_callback(engine):
    """A run holds no global state: another may go on inside it."""
    inner = []

    def callback(state):
        inner.append(engine.train(state.network, X, Y, epochs=2, batch_size=8, rng=state.epoch).network)

    run = engine.train(NETWORK, X, Y, epochs=2, callback=callback)
    same(run, engine.train(NETWORK, X, Y, epochs=2))
    for epoch, network in enumerate(inner):
        start = engine.train(NETWORK, X, Y, epochs=epoch + 1).network
        assert network == engine.train(start, X, Y, epochs=2, batch_size=8, rng=epoch).network


def test_runs_in_threads():
    """Each thread gets the bits that it would get alone, from a network and data that all of them share."""
    seeds = range(4)
    found = {}

    def work(seed):
        found[seed] = backprop.fast_train(NETWORK, X, Y, epochs=2000, batch_size=8, rng=seed).network

    threads = [threading.Thread(target=work, args=(seed,)) for seed in seeds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {
        seed: backprop.fast_train(NETWORK, X, Y, epochs=2000, batch_size=8, rng=seed).network for seed in seeds
    }


# The progress bar.


def test_progress_bar(engine, capsys):
    run = engine.train(NETWORK, X, Y, epochs=7, progress=True)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "7/7" in shown.err
    assert f"loss {run.losses[-1]:.6g}" in shown.err
    again = run.resume(X, Y, epochs=3, progress=True)
    assert "3/3" in capsys.readouterr().err
    same(again, engine.train(NETWORK, X, Y, epochs=10))


@pytest.mark.parametrize("optimizer", [backprop.Adam(), backprop.LBFGS(), backprop.Rprop()], ids=str)
def test_progress_bar_of_long_epochs(monkeypatch, capsys, optimizer):
    """Rows are counted within an epoch, here whenever training pauses: 20 ms of work are fewer than these rows'."""
    monkeypatch.setattr(backprop.run, "LONG_EPOCH", 0.0)
    rows, network = np.linspace(-1.0, 1.0, 120_000).reshape(-1, 2), backprop.Network([2, 64, 64, 1])
    run = backprop.fast_train(network, rows, rows[:, :1], optimizer=optimizer, epochs=1, progress=True, n_threads=1)
    shown = capsys.readouterr().err
    seen = [int(number.replace(",", "")) for number in re.findall(r"row ([\d,]+) of 60,000", shown)]
    assert len(seen) > 3
    assert all(0 < row <= 60_000 for row in seen)
    assert "1/1" in shown
    assert f"loss {run.losses[-1]:.6g}" in shown


def test_no_bar_unless_asked(engine, capsys):
    engine.train(NETWORK, X, Y, epochs=3)
    assert capsys.readouterr() == ("", "")


def test_progress_bar_of_a_run_that_fails(engine, capsys):
    with pytest.raises(backprop.DivergenceError):
        engine.train(NETWORK, X, Y, epochs=7, progress=True, optimizer=backprop.SGD(1e300))
    assert capsys.readouterr().err.endswith("\n")  # the bar is closed


def test_progress_without_tqdm(engine, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    rng = np.random.PCG64(3)
    state = rng.state
    with pytest.raises(ImportError, match=r"progress=True needs tqdm: pip install .*\[progress\]"):
        engine.train(NETWORK, X, Y, epochs=2, progress=True, rng=rng)
    assert rng.state == state
    assert engine.train(NETWORK, X, Y, epochs=2).epochs == 2


# Divergence (N12).


def diverged(engine, *arguments, **settings):
    with pytest.raises(backprop.DivergenceError) as caught:
        engine.train(*arguments, **settings)
    return caught.value


def test_first_bad_epoch(engine):
    """Each step multiplies the weight by 1 - lr*x*x: the loss overflows in an epoch that follows from that."""
    network = backprop.Network([1, 1]).with_parameters([1.0, 0.0])
    settings = {"optimizer": backprop.SGD(2.0**200), "train_biases": False}
    # w = 1, -2^200, 2^400, -2^600: its square halved is not finite from epoch 3 on.
    error = diverged(engine, network, [[1.0]], [0.0], epochs=100, **settings)
    assert error.epoch == 3
    assert error.losses.shape == (4,)
    assert np.isfinite(error.losses[:3]).all()
    assert error.losses[3] == np.inf
    assert isinstance(error, ArithmeticError)
    assert isinstance(error, ValueError)
    for word in ("diverged", "loss", "epoch 3", "learning rate"):
        assert word in str(error)
    assert engine.train(network, [[1.0]], [0.0], epochs=3, **settings).losses.tobytes() == error.losses[:3].tobytes()


def test_resumed_run_counts_all_epochs(engine):
    network = backprop.Network([1, 1]).with_parameters([1.0, 0.0])
    run = engine.train(network, [[1.0]], [0.0], epochs=2, optimizer=backprop.SGD(2.0**200), train_biases=False)
    with pytest.raises(backprop.DivergenceError) as caught:
        run.resume([[1.0]], [0.0], epochs=10)
    assert caught.value.epoch == 3
    assert caught.value.losses[:2].tobytes() == run.losses.tobytes()
    assert caught.value.losses.shape == (4,)
    again = run.resume([[1.0]], [0.0], epochs=1)
    assert again.epochs == 3


def test_finite_losses_and_a_weight_that_is_not(engine):
    network = backprop.Network([1, 1]).with_parameters([1.0, 0.0])
    settings = {"optimizer": backprop.SGD(1e308), "epochs": 1, "train_biases": False}
    error = diverged(engine, network, [[100.0]], [0.0], **settings)
    assert error.epoch == 0
    assert error.losses.tolist() == [5000.0]
    assert "a parameter" in str(error)
    assert network.parameters.tolist() == [1.0, 0.0]


def test_finite_weights_and_a_state_that_is_not(engine):
    """Adam's v overflows to inf, which makes the step 0: the weights are finite, the run is not."""
    network = backprop.Network([1, 1]).with_parameters([1.0, 0.0])
    error = diverged(engine, network, [[1e77]], [-1e100], optimizer=backprop.Adam(), epochs=1)
    assert error.epoch == 0
    assert np.isfinite(error.losses).all()
    assert "state" in str(error)


def test_divergence_in_the_middle_of_an_epoch(engine):
    """A weight overflows in the first batch of the epoch; its loss, a NaN or infinity, is that epoch's."""
    network = backprop.Network([1, 1]).with_parameters([1.0, 0.0])
    settings = {"optimizer": backprop.SGD(1e308), "epochs": 5, "batch_size": 1, "shuffle": False}
    error = diverged(engine, network, [[100.0], [1.0], [2.0]], [0.0, 0.0, 0.0], **settings)
    assert error.epoch == 0
    assert not np.isfinite(error.losses[0])


def test_callback_sees_no_bad_epoch(engine):
    network = backprop.Network([1, 1]).with_parameters([1.0, 0.0])
    seen = []
    settings = {"optimizer": backprop.SGD(2.0**200), "epochs": 9, "train_biases": False, "callback": seen.append}
    error = diverged(engine, network, [[1.0]], [0.0], **settings)
    assert [state.epoch for state in seen] == list(range(error.epoch))


def test_no_network_of_a_callback_is_infinite(engine):
    network = backprop.Network([1, 1]).with_parameters([1.0, 0.0])
    settings = {"optimizer": backprop.SGD(1e308), "epochs": 3, "train_biases": False}
    error = diverged(engine, network, [[100.0]], [0.0], callback=lambda state: state.network, **settings)
    assert error.epoch == 0
    assert error.losses.tolist() == [5000.0]


def test_stopped_run_with_infinite_weights(engine):
    network = backprop.Network([1, 1]).with_parameters([1.0, 0.0])
    settings = {"optimizer": backprop.SGD(1e308), "epochs": 3, "train_biases": False}
    assert diverged(engine, network, [[100.0]], [0.0], callback=lambda state: True, **settings).epoch == 0


@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
def test_divergence_error_travels(engine, again):
    error = diverged(engine, backprop.Network([1, 1]), [[1.0]], [1.0], epochs=99, optimizer=backprop.SGD(1e100))
    other = again(error)
    assert type(other) is backprop.DivergenceError
    assert (other.epoch, str(other)) == (error.epoch, str(error))
    assert other.losses.tobytes() == error.losses.tobytes()


# Pickles and copies of a Training.


@pytest.mark.parametrize(
    "again", [lambda run: pickle.loads(pickle.dumps(run)), copy.copy, copy.deepcopy], ids=["pickle", "copy", "deepcopy"]
)
@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64])
def test_training_travels(engine, again, kind):
    run = engine.train(NETWORK, X, Y, epochs=3, batch_size=3, rng=kind(7))
    other = again(run)
    assert type(other) is backprop.Training
    assert other.stopped == run.stopped
    same(other.resume(X, Y, epochs=2), engine.train(NETWORK, X, Y, epochs=5, batch_size=3, rng=kind(7)))
    same(other, run)


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64])
def test_subclass_of_a_bit_generator(engine, kind):
    """Its state has another name on it; the stream is the same, and it is left advanced."""
    mine, plain = type("Mine", (kind,), {})(7), kind(7)
    runs = [engine.train(NETWORK, X, Y, epochs=2, batch_size=3, rng=rng) for rng in (mine, plain)]
    same(*runs)
    assert mine.random_raw() == plain.random_raw()


def test_training_is_immutable(engine):
    run = engine.train(NETWORK, X, Y, epochs=1)
    for name in ("network", "losses", "epochs", "stopped", "settings"):
        with pytest.raises(AttributeError):
            setattr(run, name, None)


# Ctrl-C. Uninterrupted, each of these calls would work for minutes.


def interrupted(call):
    with interruption() as timer:
        timer.start()
        call()


def test_interrupt_a_run_of_many_epochs():
    rng = np.random.default_rng(6)
    state = rng.bit_generator.state
    interrupted(lambda: backprop.fast_train(NETWORK, X, Y, epochs=10**9, batch_size=8, rng=rng))
    assert rng.bit_generator.state == state
    same(backprop.fast_train(NETWORK, X, Y, epochs=3), backprop.fast_train(NETWORK, X, Y, epochs=3))


def test_interrupt_a_resumed_run():
    run = backprop.fast_train(NETWORK, X, Y, epochs=30)
    kept = run.network.parameters.tobytes(), run.losses.tobytes()
    interrupted(lambda: run.resume(X, Y, epochs=10**9))
    assert (run.network.parameters.tobytes(), run.losses.tobytes()) == kept
    same(run.resume(X, Y, epochs=20), backprop.fast_train(NETWORK, X, Y, epochs=50))


def test_interrupt_with_callback_and_bar(capsys):
    epochs = []

    def callback(state):
        if not epochs:
            timer.start()
        epochs.append(state.epoch)

    with interruption() as timer:
        backprop.fast_train(NETWORK, X, Y, epochs=10**9, callback=callback, progress=True)
    assert epochs == list(range(len(epochs)))
    assert capsys.readouterr().err.endswith("\n")


@pytest.fixture(scope="module")
def big():
    """A network, and rows, of which one pass takes minutes."""
    return backprop.Network([50, 2000, 2000, 2], "relu"), np.zeros((100_000, 50)), np.zeros((100_000, 2))


@pytest.mark.parametrize("optimizer", [backprop.Adam(), backprop.SGD(0.1)], ids=repr)
def test_interrupt_one_huge_batch(big, optimizer):
    network, rows, targets = big
    kept = network.parameters.tobytes()
    settings = {"epochs": 1, "batch_size": len(rows), "optimizer": optimizer}
    interrupted(lambda: backprop.fast_train(network, rows, targets, **settings))
    assert network.parameters.tobytes() == kept
    assert network.predict(rows[:1]).shape == (1, 2)


def test_interrupt_an_epoch_of_small_batches(big):
    network, rows, targets = big
    interrupted(lambda: backprop.fast_train(network, rows, targets, epochs=1, batch_size=1))
    assert network.predict(rows[:1]).shape == (1, 2)


@pytest.mark.parametrize("function", ["predict", "loss", "loss_and_gradient"])
def test_interrupt_a_pass_over_many_rows(big, function):
    network, rows, targets = big
    calls = {
        "predict": lambda: network.predict(rows),
        "loss": lambda: network.loss(rows, targets),
        "loss_and_gradient": lambda: backprop.loss_and_gradient(network, rows, targets),
    }
    interrupted(calls[function])
    assert network.predict(rows[:1]).shape == (1, 2)


def test_signal_handler_may_use_the_package():
    """A handler runs between two pieces of a run's work, and may do such work itself."""
    expected = backprop.fast_train(NETWORK, X, Y, epochs=5).network
    found = []

    class Enough(KeyboardInterrupt):
        pass

    def handler(number, frame):
        found.append(backprop.fast_train(NETWORK, X, Y, epochs=5).network)
        raise Enough

    previous = signal.signal(signal.SIGINT, handler)
    timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
    try:
        with pytest.raises(Enough):  # noqa: PT012
            timer.start()
            backprop.fast_train(NETWORK, X, Y, epochs=10**9)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, previous)
    assert found == [expected]


def test_losses_cannot_be_made_writable(engine):
    run = engine.train(NETWORK, X, Y, epochs=2)
    for training in (run, pickle.loads(pickle.dumps(run))):
        with pytest.raises(ValueError, match="WRITEABLE"):
            training.losses.setflags(write=True)
        with pytest.raises(ValueError, match="read-only"):
            training.losses.base[0] = 0.0


def test_a_long_shuffle_is_one_shuffle():
    """It is done in pieces of 2**20 steps; here, one row at a time, every place in the order shows in the weights."""
    n = 2**20 + 5000
    x, t = np.sin(np.arange(n)).tolist(), np.cos(np.arange(n)).tolist()
    network = backprop.Network([1, 1])
    run = backprop.fast_train(
        network, np.array(x)[:, None], t, optimizer=backprop.SGD(0.1), epochs=1, batch_size=1, rng=3
    )
    stream = np.random.PCG64(3)
    w, b = network.parameters.tolist()
    for s in shuffled(stream.random_raw, n):
        delta = ((0.0 + x[s] * w) + b) - t[s]
        w, b = w - 0.1 * (0.0 + x[s] * delta), b - 0.1 * (0.0 + delta)
    assert run.network.parameters.tolist() == [w, b]
    assert run._state.stream.state == stream.state
