"""Measure training on many rows: python benchmarks/large_data.py [memory speed threads blocks shuffling].

memory: private memory of a process that trains on a float32 file of 4,000,000 rows. speed: epochs from files, beside
those from memory. threads: two threads on 10^6 rows of a small network. blocks: instructions for each row of a sum of
several blocks, beside a sum of one. shuffling: how well `BlockShuffle` trains on rows that are sorted by their targets,
which is the worst case for it. Each prints its figures and the bar that they should meet.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

import backprop
from backprop import LBFGS, Adam, BlockShuffle, Network, _kernel, fast_train

ROWS, COLUMNS = 4_000_000, 20
MOST_MB = 160.0  # of private memory
SLOWEST_FILE = 1.3  # an epoch from a cached float32 memmap, at most, in units of one from float64 in memory
SLOWEST_TWO = 0.6  # two threads, at most, in units of one
MOST_INSTRUCTIONS = 1.02  # of a row in a sum of several blocks, at most, in units of one in a block

# Numbers of rows, with which the last window of an epoch has 14 or only 2 of the default blocks.
SORTED_ROWS = 200_000, 196_900
SEEDS = range(3)
MOST = 2.5  # the held-out loss after BlockShuffle(), at most, in units of that after the full shuffle
WAYS: dict[str, BlockShuffle] = {
    "BlockShuffle()": BlockShuffle(),
    "window=1": BlockShuffle(window=1),
    "rows=1024, window=64": BlockShuffle(1024, 64),
    "rows=4096, window=16": BlockShuffle(4096, 16),
    "rows=4096, window=1": BlockShuffle(4096, 1),
}


def sorted_rows(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows (n, 8), sorted by their targets, which are smooth and noisy; and a tenth as many others to hold out."""
    generator = np.random.default_rng(0)
    X = generator.normal(size=(n + n // 10, 8))
    y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 0.5 * np.abs(X[:, 3]) + 0.1 * generator.normal(size=len(X))
    order = np.argsort(y[:n])
    return X[order], y[order], X[n:], y[n:]


def shuffling() -> bool:
    """Print the held-out losses after three epochs of each way to visit sorted rows; whether the default is good."""
    ratios: dict[str, list[float]] = {name: [] for name in WAYS}
    network = Network([8, 32, 32, 1], "tanh")
    print("held-out loss after the full shuffle; of others, how many times that")
    for n in SORTED_ROWS:
        X, y, X_held_out, y_held_out = sorted_rows(n)
        for rng in SEEDS:
            losses = {
                name: fast_train(network, X, y, optimizer=Adam(), epochs=3, rng=rng, shuffle=shuffle).network.loss(
                    X_held_out, y_held_out
                )
                for name, shuffle in {"full": True, **WAYS}.items()
            }
            for name in WAYS:
                ratios[name].append(losses[name] / losses["full"])
            found = ", ".join(f"{name}: {ratios[name][-1]:.2f}" for name in WAYS)
            print(f"{n} rows, seed {rng}: full {losses['full']:.5f}; {found}")
    for name, found in ratios.items():
        print(f"{name}: at worst {max(found):.2f}, at best {min(found):.2f} times the full shuffle's loss")
    return max(ratios["BlockShuffle()"]) <= MOST


def write_rows(folder: Path, rows: int) -> tuple[Path, Path]:
    """Rows of float32 and their targets of float64, in files of NumPy; written piece by piece."""
    generator = np.random.default_rng(1)
    X = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, (rows, COLUMNS))
    y = np.lib.format.open_memmap(folder / "y.npy", "w+", np.float64, (rows,))
    for first in range(0, rows, 1 << 17):
        piece = generator.standard_normal((min(1 << 17, rows - first), COLUMNS), np.float32)
        X[first : first + len(piece)] = piece
        y[first : first + len(piece)] = np.tanh(piece[:, :5].sum(axis=1)) + 0.1 * piece[:, 7]
    X.flush()
    y.flush()
    return folder / "X.npy", folder / "y.npy"


def private_memory(action: Callable[[], object]) -> float:
    """The most megabytes of memory that is no file's, while the action runs in this process."""
    found, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.01):
            status = Path("/proc/self/status").read_text(encoding="ascii")
            found[0] = max(found[0], float(re.search(r"RssAnon:\s+(\d+)", status)[1]) / 1024.0)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        action()
    finally:
        done.set()
        thread.join()
    return found[0]


def child(what: str, X_path: str, y_path: str) -> None:
    """One run on files, in a process of its own; prints its private memory."""
    X = np.load(X_path, mmap_mode="r") if X_path.endswith(".npy") else h5py.File(X_path)["X"]
    y, network = np.load(y_path, mmap_mode="r"), Network([COLUMNS, 8, 1])
    if what == "L-BFGS":
        action = lambda: fast_train(network, X, y, optimizer=LBFGS(), epochs=1)  # noqa: E731
    else:
        action = lambda: fast_train(network, X, y, epochs=1, shuffle=BlockShuffle())  # noqa: E731
    print(private_memory(action))


def memory() -> bool:
    """Print the private memory of an L-BFGS iteration and of an Adam epoch on files; whether all are below the bar."""
    with tempfile.TemporaryDirectory() as name:
        X_path, y_path = write_rows(Path(name), ROWS)
        hdf5 = Path(name) / "X.h5"
        with h5py.File(hdf5, "w") as file:
            X = np.load(X_path, mmap_mode="r")
            out = file.create_dataset("X", X.shape, X.dtype, chunks=(4096, COLUMNS))
            for first in range(0, ROWS, 1 << 17):
                out[first : first + (1 << 17)] = X[first : first + (1 << 17)]
        good = True
        for path in (X_path, hdf5):
            for what in ("L-BFGS", "Adam"):
                arguments = [sys.executable, __file__, "--child", what, str(path), str(y_path)]
                done = subprocess.run(arguments, check=True, capture_output=True, text=True)
                megabytes = float(done.stdout)
                print(f"private memory, {ROWS} x {COLUMNS} float32, {path.suffix}, {what}: {megabytes:.0f} MB"
                      f" (bar: {MOST_MB:.0f})")  # fmt: skip
                good = good and megabytes <= MOST_MB
    return good


def seconds(action: Callable[[], object]) -> float:
    """The time of one call."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def side_by_side(actions: dict[str, Callable[[], object]], rounds: int = 7) -> dict[str, list[float]]:
    """The times of several actions, taken in turn."""
    found: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            found[name].append(seconds(action))
    return found


def speed() -> bool:
    """Print the times of Adam epochs from memory and from files that the system has cached."""
    rows, network = 500_000, Network([COLUMNS, 8, 1])
    with tempfile.TemporaryDirectory() as name:
        X_path, y_path = write_rows(Path(name), rows)
        X32, y = np.load(X_path, mmap_mode="r"), np.load(y_path)
        X = np.asarray(X32, np.float64)
        np.save(Path(name) / "X64.npy", X)
        with h5py.File(Path(name) / "X.h5", "w") as file:
            file.create_dataset("X", data=X32, chunks=(4096, COLUMNS))
        hdf5 = h5py.File(Path(name) / "X.h5")["X"]
        X64 = np.load(Path(name) / "X64.npy", mmap_mode="r")

        def epoch(X: object, shuffle: bool | BlockShuffle) -> Callable[[], object]:
            return lambda: fast_train(network, X, y, epochs=1, shuffle=shuffle, n_threads=1)

        found = side_by_side(
            {
                "float64 in memory, full shuffle": epoch(X, True),
                "float64 in memory, BlockShuffle": epoch(X, BlockShuffle()),
                "float64 in memory, in order": epoch(X, False),
                "float32 in memory, full shuffle": epoch(np.asarray(X32), True),
                "float32 memmap, BlockShuffle": epoch(X32, BlockShuffle()),
                "float32 memmap, in order": epoch(X32, False),
                "float64 memmap, full shuffle": epoch(X64, True),
                "HDF5 float32, BlockShuffle": epoch(hdf5, BlockShuffle()),
                "HDF5 float32, in order": epoch(hdf5, False),
            }
        )
    base = found["float64 in memory, full shuffle"]
    ratios = {name: statistics.median(a / b for a, b in zip(times, base, strict=True)) for name, times in found.items()}
    for name, times in found.items():
        print(
            f"Adam epoch of {rows} rows, {name}: {statistics.median(times):.3f} s, {ratios[name]:.2f} times the first"
        )
    print(f"bar: float32 memmap, BlockShuffle at most {SLOWEST_FILE} times the first")
    return ratios["float32 memmap, BlockShuffle"] <= SLOWEST_FILE


def threads() -> bool:
    """Print the times of one and two threads on 10^6 rows of a 20-8-1 network, side by side."""
    generator, network = np.random.default_rng(2), Network([COLUMNS, 8, 1])
    X = generator.normal(size=(1_000_000, COLUMNS))
    y = X[:, 0] * X[:, 1]
    good = True
    for what, optimizer in (("L-BFGS", LBFGS()), ("Rprop", backprop.Rprop()), ("loss", None)):
        if optimizer is None:
            actions = {k: (lambda k=k: [network.loss(X, y, n_threads=k) for _ in range(8)]) for k in (1, 2)}
        else:
            actions = {
                k: (lambda k=k, o=optimizer: fast_train(network, X, y, optimizer=o, epochs=8, n_threads=k))
                for k in (1, 2)
            }
        found = side_by_side(actions)
        ratio = statistics.median(b / a for a, b in zip(found[1], found[2], strict=True))
        print(f"{what}, 10^6 rows of 20-8-1: two threads take {ratio:.2f} of one's time (bar: {SLOWEST_TWO})")
        good = good and ratio <= SLOWEST_TWO
    return good


def blocks() -> bool:
    """Print the instructions of a row in sums of 8 blocks and of one, by valgrind, on one thread."""
    good = True
    for sizes in ("20,8,1", "20,64,64,1"):
        counts = {n: count_loss_passes(sizes, n) for n in (4096, 8192, 32768)}
        per_row = (counts[32768] - counts[8192]) / (32768 - 8192)
        in_a_block = (counts[4096] - count_loss_passes(sizes, 2048)) / 2048
        ratio = per_row / in_a_block
        print(f"{sizes}: {per_row:.0f} instructions a row in several blocks, {in_a_block:.0f} within one: {ratio:.4f}"
              f" (bar: {MOST_INSTRUCTIONS})")  # fmt: skip
        good = good and ratio <= MOST_INSTRUCTIONS
    return good


def count_loss_passes(sizes: str, rows: int) -> int:
    """The instructions of `loss_and_gradient` in the kernel's passes, for so many rows."""
    output = subprocess.run(["nm", _kernel.__file__], check=True, capture_output=True, text=True).stdout
    symbol = re.search(r"\b[tT] (__pyx_pw_\w*8LossPass_\d+run)$", output, re.MULTILINE)[1]
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"]
    command += [f"--toggle-collect={symbol}", sys.executable, __file__, "--pass", sizes, str(rows)]
    environment = os.environ | {"BACKPROP_TARGET": "avx2", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return int(re.search(r"Collected : (\d+)", done.stderr)[1])


def one_pass(sizes: str, rows: str) -> None:
    """One loss and gradient, for valgrind."""
    network, n = Network([int(size) for size in sizes.split(",")]), int(rows)
    X = np.linspace(-1.0, 1.0, n * network.sizes[0]).reshape(n, -1)
    backprop.loss_and_gradient(network, X, X[:, 0])


PARTS = {"memory": memory, "speed": speed, "threads": threads, "blocks": blocks, "shuffling": shuffling}


def main(names: list[str]) -> bool:
    """Measure these parts, or all; whether every bar is met."""
    results = {}
    for name in names or PARTS:
        print(f"-- {name}", flush=True)
        results[name] = PARTS[name]()
    missed = ", ".join(name for name, good in results.items() if not good)
    print(f"bars missed: {missed}" if missed else "every bar is met")
    return not missed


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    elif sys.argv[1:2] == ["--pass"]:
        one_pass(*sys.argv[2:])
    else:
        raise SystemExit(not main(sys.argv[1:]))
