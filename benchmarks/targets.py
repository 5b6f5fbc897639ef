"""Print the project's figures of speed beside their targets: python benchmarks/targets.py.

Needs a C compiler (cc, or CC). Two sides that are compared are measured in turn, and the median of the ratios is shown;
another load on the machine spoils them. With Numba installed (the extra "peers"), it is compared too.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import workloads
from peer_sides import Numba

import backprop
from backprop import LBFGS, SGD, Adam, _kernel, fast_train

HERE = Path(__file__).parent
ROUNDS = 15


def show(what: str, figure: str, target: str) -> None:
    print(f"{what:58s} {figure:34s} target {target}", flush=True)


def seconds(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def compiled(folder: str, source: str, *more: str) -> str:
    """Compile a C program beside this file for this processor, without fused operations; the path of the program."""
    program = os.path.join(folder, source.removesuffix(".c"))
    command = [
        os.environ.get("CC", "cc"),
        "-std=c11",
        "-O3",
        "-ffp-contract=off",
        "-fno-math-errno",
        f"-I{HERE.parent / 'src_c'}",
    ]
    subprocess.run([*command, *more, "-o", program, str(HERE / source), "-lm"], check=True)
    return program


def tutorial(folder: str) -> None:
    program = compiled(folder, "tutorial_plain.c", "-march=native")
    network, data = workloads.tutorial_data()
    ours, plain = [], []
    for _ in range(ROUNDS):
        *times, _ = subprocess.run([program, "10000", "20"], check=True, capture_output=True, text=True).stdout.split()
        plain.append(statistics.median(map(float, times)))
        ours.append(
            statistics.median(
                seconds(
                    lambda: fast_train(
                        network, *data, optimizer=SGD(0.5), epochs=10_000, batch_size=1, train_biases=False
                    )
                )
                for _ in range(20)
            )
        )
    ratio = statistics.median(a / b for a, b in zip(ours, plain, strict=True))
    figure = f"{statistics.median(ours) * 1e3:.3f} ms, {ratio:.2f} x plain C"
    show("10,000 updates of the tutorial's network", figure, "1.25 x plain C")


def online() -> None:
    try:
        by_hand = Numba().train
    except ImportError:
        show("30,000 updates of 4-10-3", "not compared: Numba is not installed", "0.75 x Numba fastmath")
        return
    network, (X, y) = workloads.online_data()

    def fresh() -> list[np.ndarray]:
        (W1, W2), (b1, b2) = network.weights, network.biases
        return [W1.T.copy(), b1.copy(), W2.T.copy(), b2.copy()]

    weights = fresh()
    by_hand(X, y, *weights, 0.1, 0.1, 200)
    run = fast_train(network, X, y, optimizer=SGD(0.1), epochs=200, batch_size=1, shuffle=False)
    assert np.allclose(run.network.weights[0], weights[0].T, rtol=1e-6), "both must have done the same work"
    ours, theirs = [], []
    for _ in range(ROUNDS):
        weights = fresh()
        theirs.append(seconds(lambda weights=weights: by_hand(X, y, *weights, 0.1, 0.1, 200)))
        ours.append(
            seconds(lambda: fast_train(network, X, y, optimizer=SGD(0.1), epochs=200, batch_size=1, shuffle=False))
        )
    ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
    figure = f"{statistics.median(ours) * 1e3:.2f} ms, {ratio:.2f} x Numba"
    show("30,000 updates of 4-10-3, one sample at a time", figure, "0.75 x Numba fastmath")


def exponential(folder: str) -> None:
    elementary = str(HERE.parent / "src_c" / "elementary.c")
    program = compiled(folder, "exp_speed.c", elementary)
    output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    rounds = [[float(word) for word in line.split()] for line in output.splitlines()]
    for what, a, target in (("throughput", 0, "1.3"), ("latency", 2, "1.6")):
        ratio = statistics.median(row[a + 1] / row[a] for row in rounds)
        nanoseconds = statistics.median(row[a + 1] for row in rounds)
        show(f"scalar exp, {what}", f"{nanoseconds:.2f} ns, {ratio:.2f} x the platform's", f"{target} x glibc's")


def in_process(target: str, function: str) -> list[float]:
    """The value of a function of this file, called in a process that uses another instruction set."""
    script = f"import sys; sys.path.insert(0, {str(HERE)!r}); import targets; print(*targets.{function}())"
    environment = os.environ | {"BACKPROP_TARGET": target}
    shown = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=environment)
    return [float(word) for word in shown.stdout.split()]


def fastest(function: Callable[[], object], repeats: int = 300) -> float:
    return min(seconds(function) for _ in range(repeats))


def vector_functions() -> list[float]:
    """Nanoseconds a value: the elementary functions on a buffer, and tanh on a layer of 2,048 units."""
    found = []
    for name, low, high in (("exp", -8, 8), ("expm1", -8, 0), ("log", 1, 100), ("log1p", 0, 1)):
        x = np.random.default_rng(0).uniform(low, high, 2048)
        out = np.empty_like(x)
        found.append(fastest(lambda name=name, x=x, out=out: _kernel.elementary(name, x, out)) / 2048 * 1e9)
    X = np.ones((1, 1))
    for activation in ("tanh", "identity"):
        network = backprop.Network([1, 2048], output_activation=activation).with_parameters(
            np.random.default_rng(0).normal(size=4096)
        )
        found.append(fastest(lambda network=network: network.predict(X)) / 2048 * 1e9)
    return [*found[:4], found[4] - found[5]]


def widths() -> list[float]:
    """The cost of a network of 46 units over that of one of 45, and of 65 over 64."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(2048, 32)), rng.normal(size=(2048, 1))
    found = []
    for narrow, wide in ((45, 46), (64, 65)):
        ratios = []
        for _ in range(9):
            cost = [
                fastest(
                    lambda width=width: fast_train(
                        backprop.Network([32, width, width, 1]), X, y, epochs=1, batch_size=32, n_threads=1
                    ),
                    10,
                )
                for width in (narrow, wide)
            ]
            ratios.append(cost[1] / cost[0])
        found.append(statistics.median(ratios))
    return found


def instruction_sets() -> None:
    most = {"avx512": "1.5 ns, tanh 2.5 ns", "avx2": "2.2 ns", "baseline": "none"}
    for target in _kernel.TARGETS:
        figure = "{:.2f}, {:.2f}, {:.2f}, {:.2f}, {:.2f} ns".format(*in_process(target, "vector_functions"))
        show(f"{target}: exp, expm1, log, log1p and tanh, a value", figure, most.get(target, "none"))
        figure = "{:.2f}, {:.2f}".format(*in_process(target, "widths"))
        show(f"{target}: 46 units against 45, 65 against 64", figure, "1.15, 1.30")


def against_evaluations(sizes: list[int], X: np.ndarray, y: np.ndarray, epochs: int) -> None:
    """L-BFGS's time over that of its evaluations, each measured as an epoch of plain SGD on all rows."""
    network, kept, made, ratios = backprop.Network(sizes, rng=0), _kernel.METHODS["lbfgs"], [], []

    class Noted(_kernel.LBFGS):
        def __init__(self, *arguments: object) -> None:
            made.append(self)

    def train(optimizer: object, batch_size: int | None, epochs: int) -> backprop.Training:
        settings = {"epochs": epochs, "batch_size": batch_size, "shuffle": False, "n_threads": 1}
        return fast_train(network, X, y, optimizer=optimizer, **settings)

    _kernel.METHODS["lbfgs"] = Noted
    done = train(LBFGS(tolerance=0.0), None, epochs).epochs
    for _ in range(ROUNDS):
        ours = seconds(lambda: train(LBFGS(tolerance=0.0), None, epochs))
        ratios.append(ours / seconds(lambda: train(SGD(1e-9), len(X), made[0].evaluations)))
    _kernel.METHODS["lbfgs"] = kept
    what = f"L-BFGS, {'-'.join(map(str, sizes))}, {len(X)} rows, against its evaluations"
    show(what, f"{statistics.median(ratios):.2f} x {made[0].evaluations} in {done} iterations", "1.3 x")


def full_batch() -> None:
    X = np.random.default_rng(0).normal(size=(1000, 20))
    against_evaluations([20, 64, 64, 1], X, np.sin(X.sum(axis=1)), 30)
    corners = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    against_evaluations([2, 2, 1], corners, np.array([0.0, 1.0, 1.0, 0.0]), 500)


def two_threads() -> None:
    run = workloads.wide_run()
    ratios = [seconds(lambda: run.train(1)) / seconds(lambda: run.train(2)) for _ in range(5)]
    show("784-512-256-10, one thread against two", f"{statistics.median(ratios):.2f}", "1.8")


def more_cores() -> None:
    """The default number of threads against one: more cores must not make training slower."""
    network, (X, _) = workloads.tabular_data()
    runs = {
        "4-10-3, row by row": workloads.online_run().train,
        "20-64-64-1, batches of 32": workloads.tabular_run().train,
        "784-128-10, batches of 128": workloads.image_run().train,
        "784-512-256-10, batches of 512": workloads.wide_run().train,
        "one row of 20-64-64-1, 10,000 times": lambda n: [network.predict(X[:1], n_threads=n) for _ in range(10_000)],
        "10,000 rows of 20-64-64-1, 10 times": lambda n: [network.predict(X, n_threads=n) for _ in range(10)],
    }
    for what, run in runs.items():
        ratios = [seconds(lambda: run(None)) / seconds(lambda: run(1)) for _ in range(5)]  # noqa: B023
        show(f"{what}: all cores / one", f"{statistics.median(ratios):.2f}", "1, and noise")


def damped_step() -> None:
    """Levenberg-Marquardt on 1,000 rows and 201 weights, against NumPy and LAPACK: Jacobian, matrix, solution, loss."""
    rng, steps, decrease = np.random.default_rng(0), 6, 0.9
    X = rng.normal(size=(1000, 8))
    y = np.sin(X @ rng.normal(size=(8, 1))) + 0.1 * rng.normal(size=(1000, 1))
    network = backprop.Network([8, 20, 1], rng=0)
    n, n_parameters = len(X), network.n_parameters

    def by_numpy() -> list[float]:
        (W1, W2), (b1, b2) = [[array.copy() for array in arrays] for arrays in (network.weights, network.biases)]
        J, mu, losses = np.ones((n, n_parameters)), 0.1, []
        for step in range(steps + 1):
            a = np.tanh(X @ W1 + b1)
            e = a @ W2 + b2 - y
            losses.append(float((e * e).sum() / (2 * n)))
            assert losses[-1] == min(losses), "a step that another mu would have to be found for"
            if step == steps:
                return losses[:-1]
            delta = (1.0 - a * a) * W2.T
            np.multiply(X[:, :, None], delta[:, None, :], out=J[:, :160].reshape(n, 8, 20))
            J[:, 160:180], J[:, 180:200] = delta, a
            A = J.T @ J
            A.flat[:: n_parameters + 1] += mu * n
            d = np.linalg.solve(A, J.T @ e[:, 0])
            W1, b1 = W1 - d[:160].reshape(8, 20), b1 - d[160:180]
            W2, b2 = W2 - d[180:200, None], b2 - d[200:]
            mu *= decrease
        raise AssertionError

    def by_us() -> list[float]:
        optimizer = backprop.LevenbergMarquardt(0.1, decrease)
        losses: list[float] = fast_train(network, X, y, optimizer=optimizer, epochs=steps).losses.tolist()
        return losses

    assert np.allclose(by_us(), by_numpy(), rtol=1e-9), "both must have done the same work"
    times = [[seconds(by_us) / steps, seconds(by_numpy) / steps] for _ in range(2 * ROUNDS)]
    ratio = statistics.median(ours / theirs for ours, theirs in times)
    figure = f"{statistics.median(ours for ours, _ in times) * 1e3:.2f} ms, {ratio:.2f} x NumPy and LAPACK"
    show("Levenberg-Marquardt, 1,000 rows, 201 weights, a step", figure, "1.5 x NumPy and LAPACK")


def definition() -> None:
    network, data = workloads.tutorial_data()
    settings = {"optimizer": SGD(0.5), "batch_size": 1, "train_biases": False}
    slow = seconds(lambda: backprop.reference.train(network, *data, epochs=1000, **settings)) / 1000
    fast = seconds(lambda: fast_train(network, *data, epochs=100_000, **settings)) / 100_000
    show("the definition in plain Python, an update", f"{slow * 1e6:.1f} us, {slow / fast:.0f} x the kernel's", "none")


def one_call() -> None:
    network, data = workloads.tutorial_data()
    microseconds = statistics.median(seconds(lambda: fast_train(network, *data, epochs=1)) for _ in range(5000)) * 1e6
    show("fast_train on one sample and one epoch", f"{microseconds:.1f} us", "25 us")


def self_test() -> None:
    seconds = fastest(lambda: _kernel.self_test())
    show("self-test of a build, in every import", f"{seconds * 1e6:.0f} us", "100 us")


def import_time() -> None:
    script = "import numpy, time; t = time.perf_counter(); import backprop; print(time.perf_counter() - t)"
    times = [
        float(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True).stdout) for _ in range(11)
    ]
    show("import backprop, beyond NumPy", f"{statistics.median(times) * 1e3:.1f} ms", "20 ms")


def interrupt() -> None:
    network, X, y = backprop.Network([50, 2000, 2000, 2], "relu"), np.zeros((100_000, 50)), np.zeros((100_000, 2))
    delays = []
    for _ in range(5):
        sent: list[float] = []

        def send(sent: list[float] = sent) -> None:
            sent.append(time.perf_counter())
            signal.raise_signal(signal.SIGINT)

        timer = threading.Timer(0.5, send)
        timer.start()
        try:
            fast_train(network, X, y, epochs=1, batch_size=len(X))
        except KeyboardInterrupt:
            delays.append(time.perf_counter() - sent[0])
        timer.join()
    show("Ctrl-C in one batch of 10**5 rows of 50-2000-2000-2", f"{max(delays):.3f} s at most of 5", "about 0.5 s")


def memory() -> None:
    X = np.random.default_rng(0).normal(size=(1_000_000, 30))
    y = X[:, :1].copy()
    network = backprop.Network([30, 20, 1])
    for batch_size, what in ((32, "batches of 32"), (1_000_000, "one full batch")):
        for shuffle in (True, False):
            tracemalloc.start()
            fast_train(network, X, y, optimizer=Adam(), epochs=1, batch_size=batch_size, shuffle=shuffle)
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            order = 8 * len(X) if shuffle and batch_size < len(X) else 0
            what_all = f"memory, 10**6 rows of 30, {what}, {'shuffled' if shuffle else 'in order'}"
            figure = f"{peak / 1e6:.3f} MB, {(peak - order) / 1e3:.0f} kB beyond the order"
            show(what_all, figure, "8 bytes a row, parameters, state, one block")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        tutorial(folder)
        exponential(folder)
    online()
    instruction_sets()
    full_batch()
    two_threads()
    more_cores()
    damped_step()
    definition()
    one_call()
    self_test()
    import_time()
    interrupt()
    memory()


if __name__ == "__main__":
    main()
