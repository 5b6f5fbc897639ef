"""What the host has done to the floating-point environment reaches no result, and is still there afterwards (N1)."""

import json
import subprocess
import sys

import pytest
from problems import child_environment

CHILD = r'''
import json, pickle, signal, sys, tempfile, threading
import numpy as np
import scipy.sparse
import backprop
from backprop.optimizers import plan_of
from backprop import _kernel
from host_modes import control, felt, set_control, set_mode
from small_work import share_small_work

mode, action = sys.argv[1:]


# All data is made before the mode is set.
X = np.linspace(-2.0, 2.0, 60).reshape(20, 3)
Y = np.linspace(0.0, 1.0, 40).reshape(20, 2)
CLASSES = np.arange(20) % 2
SUBNORMAL, SUBNORMAL_Y = X * 1e-308, Y * 1e-308
ROWS = [X, SUBNORMAL, X * 400.0, X.astype(np.float32), SUBNORMAL.astype(np.longdouble)]
CONVERTED = [np.full((1, 3), 1e-42, np.float32), np.full((1, 3), 2**53 + 1, np.int64)]
CONVERTED.append(np.array([[5e-324, -5e-324, 1.0]]))
CONVERTED.append(np.full((1, 3), np.longdouble(1) / 3))
CONVERTED += [np.asfortranarray([[1e-42, 0.1, -1e-45]], np.float32), np.full((1, 3), 2**63 + 1025, np.uint64)]
CONVERTED += [scipy.sparse.csr_array(np.asarray(one)) for one in CONVERTED[:2]]
HUGE_X, INFINITE_X = X * 1e200, np.full((2, 3), np.inf)
SMALL = [5e-324, -1e-310, 2.2250738585072014e-308, 1.0 / 3.0]
SINGLE = np.array([[1e-42, 1.0]], np.float32)
POINTS = np.concatenate([np.linspace(-745.0, 709.0, 3001), np.linspace(-1.0, 1.0, 3001), SMALL])
POSITIVE = np.abs(POINTS)
STRAIGHT = backprop.Network([3, 2]).with_parameters([1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0])
LINEAR = backprop.Network([3, 4, 2], "identity", "identity", rng=1)
LINEAR = LINEAR.with_parameters(LINEAR.parameters * 1e-3)
LARGE = backprop.Network([3, 3]).with_parameters(np.full(12, 1e200))
REFUSED = [
    ("logistic", [[-5e-324, 1.0]], "binary_cross_entropy"),
    ("logistic", [[0.0, 1.0000000000000002]], "binary_cross_entropy"),
    ("softmax", [[-5e-324, 1.0]], None),
    ("softmax", [[0.5, 0.5 + 2e-9]], None),
]
folder = tempfile.mkdtemp()


def initial_weights():
    yield backprop.Network([3, 7, 2], rng=5).parameters
    yield backprop.Network([3, 300, 2], rng=np.random.Philox(5)).parameters


def training():
    for optimizer in (backprop.SGD(0.1), backprop.SGD(0.1, 0.9), backprop.SGD(0.1, 0.9, True), backprop.Adam(0.01)):
        for hidden, output, y in (("tanh", "identity", Y), ("softplus", "softmax", CLASSES), ("elu", "logistic", Y)):
            network = backprop.Network([3, 5, 2], hidden, output, rng=1)
            run = backprop.fast_train(network, X, y, epochs=3, batch_size=3, optimizer=optimizer)
            run = run.resume(X, y, epochs=2)
            yield from (run.network.parameters, run.losses, run._state.slots)
            run = backprop.fast_train(network, X, y, epochs=6, optimizer=backprop.LBFGS(3, l2=0.01))
            yield from (run.network.parameters, run.losses, run._state.slots, run._state.scalars)
    for hidden in ("tanh", "softplus"):
        network = backprop.Network([3, 7, 2], hidden, rng=1)
        run = backprop.fast_train(network, X, Y, epochs=4, optimizer=backprop.LevenbergMarquardt())
        yield from (run.network.parameters, run.losses, run._state.scalars)


def between_signals():
    """Iterations so long that Python handles its signals within them, in the host's mode; arithmetic then goes on."""
    handled = []
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, lambda *arguments: handled.append(felt(mode)))
        signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    rows, y = np.tile(X, (1500, 1)), np.tile(Y, (1500, 1))
    for l2 in (0.0, 0.01):
        network = backprop.Network([3, 50, 50, 2], rng=1)
        run = backprop.fast_train(network, rows, y, optimizer=backprop.LBFGS(3, l2=l2), epochs=4, n_threads=1)
        yield from (run.network.parameters, run.losses, run._state.slots, run._state.scalars)
    network = backprop.Network([3, 40, 2], rng=1)
    run = backprop.fast_train(network, rows, y, optimizer=backprop.LevenbergMarquardt(), epochs=2, n_threads=1)
    yield from (run.network.parameters, run.losses, run._state.scalars)
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        assert handled


MANY_X, MANY_Y = np.tile(X, (410, 1)), np.tile(Y, (410, 1))
MANY_WEIGHTS = np.tile(np.linspace(0.0, 3.0, 20) * 1e-3, 410)


def parts(network, of):
    """The function of a caller that has set a mode; parts go through bytes and are joined in it, too."""
    seen.append((control(), felt(mode)))
    for rows in (slice(4096, 8200), slice(0, 4096)):
        part = backprop.partial_sums(
            network, MANY_X[rows], MANY_Y[rows], None, MANY_WEIGHTS[rows], first_row=rows.start, n_rows=8200, of=of
        )
        yield backprop.PartialSums.from_bytes(part.to_bytes())


def on_sums():
    network = backprop.Network([3, 4, 2], rng=1)
    loss, gradient = backprop.PartialSums.merge(parts(network, "gradient")).mean()
    yield from (np.array(loss), gradient)
    rules = (backprop.Rprop(), backprop.SGD(1e-308), backprop.Adam(0.01, clip_norm=0.1))
    for optimizer in (backprop.LBFGS(3, l2=0.01), backprop.LevenbergMarquardt(), *rules):
        run = backprop.train_on_sums(network, parts, optimizer=optimizer, epochs=4)
        yield from (run.network.parameters, run.losses, run._state.slots, run._state.scalars)


def subnormal_training():
    for optimizer in (backprop.SGD(0.1), backprop.SGD(1e-3, 0.5), backprop.Adam(1e-300)):
        run = backprop.fast_train(LINEAR, SUBNORMAL, SUBNORMAL_Y, epochs=3, batch_size=2, optimizer=optimizer)
        yield from (run.network.parameters, run.losses, run._state.slots)


def passes():
    network = backprop.Network([3, 5, 2], "logistic", "softmax", rng=2)
    for rows in ROWS:
        yield network.predict(rows)
        yield np.array(network.loss(rows, CLASSES))
        value, gradient = backprop.loss_and_gradient(network, rows, CLASSES)
        yield from (np.array(value), gradient)
    for rows in CONVERTED:
        yield STRAIGHT.predict(rows)


def with_threads():
    """Workers inherit the mode, and set the contract's."""
    share_small_work()
    for rows, y, optimizer in ((X, Y, backprop.Adam(0.01)), (SUBNORMAL, SUBNORMAL_Y, backprop.SGD(1e-3, 0.5))):
        run = backprop.fast_train(LINEAR, rows, y, epochs=3, batch_size=7, optimizer=optimizer, n_threads=4)
        yield from (run.network.parameters, run.losses, run._state.slots)
        yield run.network.predict(rows, n_threads=4)
        yield np.array(run.network.loss(rows, y, n_threads=4))


def elementary():
    for name in _kernel.ELEMENTARY:
        for form in _kernel.FORMS:
            out = np.empty_like(POINTS)
            _kernel.elementary(name, POSITIVE if name == "log" else POINTS, out, form=form)
            yield out.view(np.uint64)


def files():
    network = backprop.Network([1, 2]).with_parameters(SMALL)
    network.save(folder + "/net")
    with open(folder + "/net", "rb") as file:
        yield np.frombuffer(file.read(), np.uint8)
    yield backprop.Network.load(folder + "/net").parameters
    yield pickle.loads(pickle.dumps(network)).parameters
    stop = backprop.EarlyStopping(min_improvement=5e-324, target_loss=-5e-324, restore_best=False)
    run = backprop.fast_train(network, [[0.0]], [SMALL[2:]], epochs=2, optimizer=backprop.SGD(5e-324), stopping=stop)
    run.save(folder + "/run")
    with open(folder + "/run", "rb") as file:
        yield np.frombuffer(file.read(), np.uint8)
    backprop.Training.load(folder + "/run").save(folder + "/run")
    with open(folder + "/run", "rb") as file:
        yield np.frombuffer(file.read(), np.uint8)
    yield backprop.Network.from_arrays([[SMALL[:2]]], [SMALL[2:]]).parameters
    yield backprop.Network.from_arrays([SINGLE], [[0.0, 0.0]]).parameters


def refusals():
    """Checks of values are the same: the smallest step outside of a range is seen."""
    for output, y, loss in REFUSED:
        try:
            backprop.Network([3, 2], output_activation=output).loss(X[:1], y, loss)
            yield np.array([0])
        except ValueError as error:  # of the message the words before the number, which Python may print otherwise
            yield np.frombuffer(str(error).partition("got")[0].encode(), np.uint8)
    try:
        backprop.fast_train(backprop.Network([3, 2]), X, Y, epochs=90, optimizer=backprop.SGD(1e100))
    except backprop.DivergenceError as error:
        yield from (np.array(error.epoch), error.losses[:-1])


def tiny_class():
    try:
        backprop.Network([3, 2], output_activation="softmax").loss(X[:1], [5e-324])
        yield np.array([0])
    except ValueError:
        yield np.array([1])


def settings():
    """The smallest numbers that an optimizer takes."""
    yield np.array([backprop.SGD(5e-324).learning_rate, backprop.Adam(5e-324, 5e-324, 5e-324, 5e-324).epsilon])
    yield np.array([ord(letter) for letter in plan_of(backprop.SGD(0.1, 5e-324)).rule])
    yield np.array(plan_of(backprop.SGD(0.1, 5e-324)).settings)


seen = []


def host_code():
    """The mode is the host's in callbacks, in signal handlers, in threads that it starts, and after each call."""

    def look(*arguments):
        seen.append((control(), felt(mode)))

    network = backprop.Network([3, 5, 2], rng=1)
    backprop.fast_train(network, X, Y, epochs=3, callback=look)
    look()

    class Enough(Exception):
        pass

    def handler(number, frame):
        look()
        raise Enough

    signal.signal(signal.SIGINT, handler)
    timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
    try:
        timer.start()
        backprop.fast_train(network, X, Y, epochs=10**9)
    except Enough:
        look()
    timer.join()
    network, rows = backprop.Network([3, 50, 50, 2], rng=1), np.tile(X, (20_000, 1))
    timer = threading.Timer(0.2, signal.raise_signal, [signal.SIGINT])
    try:
        timer.start()
        backprop.fast_train(network, rows, np.tile(Y, (20_000, 1)), optimizer=backprop.LBFGS(), epochs=10**9)
    except Enough:
        look()
    timer.join()
    network = backprop.Network([3, 5, 2], rng=1)
    for call in (
        lambda: network.predict(X),
        lambda: network.predict(INFINITE_X),
        lambda: LARGE.predict(HUGE_X),
        lambda: backprop.fast_train(network, X, Y, epochs=99, optimizer=backprop.SGD(1e100)),
        lambda: network.loss(X, Y),
        lambda: backprop.loss_and_gradient(network, X, Y),
        lambda: backprop.Network([3, 3]),
        lambda: network.save(folder + "/other"),
        lambda: backprop.Network.load(folder + "/other"),
        lambda: backprop.Network.load(folder + "/none"),
    ):
        try:
            call()
        except (ValueError, ArithmeticError, OSError):
            pass
        look()
    for optimizer in (backprop.LBFGS(), backprop.LevenbergMarquardt(), backprop.Rprop()):
        backprop.train_on_sums(network, parts, optimizer=optimizer, epochs=2)
        look()
    results = []
    thread = threading.Thread(target=lambda: results.append(backprop.fast_train(network, X, Y, epochs=3)))
    thread.start()
    thread.join()
    look()
    yield results[0].network.parameters


before = control()
set_mode(mode)
during, felt_during = control(), felt(mode)
try:
    parts = list(globals()[action]())
finally:
    after = control()
    set_control(before)
changed = [entry for entry in seen if entry != (during, felt_during)]
print(json.dumps({"bits": [part.tobytes().hex() for part in parts], "kept": after == during, "changed": changed,
                  "seen": len(seen), "felt": felt_during, "set": during != before}))
'''

ACTIONS = ["initial_weights", "training", "subnormal_training", "passes", "elementary", "files", "refusals"]
ACTIONS += ["tiny_class", "settings", "with_threads", "between_signals", "on_sums"]


def child(mode, action):
    arguments = [sys.executable, "-c", CHILD, mode, action]
    shown = subprocess.run(arguments, env=child_environment(), capture_output=True, text=True, timeout=600)
    assert (shown.returncode, shown.stderr) == (0, "")
    return json.loads(shown.stdout)


@pytest.fixture(scope="module")
def plain():
    """The results of an action in a process that has left the environment alone."""
    return {action: child("plain", action) for action in (*ACTIONS, "host_code")}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("mode", ["upward", "flush", "traps"])
def test_results_are_the_same(plain, mode, action):
    found = child(mode, action)
    assert found["kept"]
    assert found["bits"]
    assert found["bits"] == plain[action]["bits"]


@pytest.mark.parametrize("mode", ["upward", "flush", "traps"])
def test_mode_is_the_hosts_in_its_own_code(plain, mode):
    found = child(mode, "host_code")
    assert found["changed"] == []
    assert found["kept"]
    assert found["seen"] >= 28
    assert found["bits"] == plain["host_code"]["bits"]


@pytest.mark.parametrize(
    ("mode", "felt"),
    [("plain", [False, False, False]), ("upward", [True, False, False]), ("flush", [False, False, True])],
)
def test_the_modes_are_real(mode, felt):
    """Python's own additions go wrong under them, so the other tests here test something."""
    found = child(mode, "initial_weights")
    assert found["felt"] == felt
    assert found["set"] == (mode != "plain")
