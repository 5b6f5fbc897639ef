"""The kernel's rates beside the peak rate of this machine: python benchmarks/limits.py.

The peak is the rate of independent multiplications and additions, unfused as the contract has them, in vectors as
wide as the instruction set's (peak.c). Beside it stand the rates of each product of each layer on one thread
(products.c, compiled with src_c as the extension was), the same with zeros, whose products are left out but counted as
operations, and of whole training, where gathering rows, activations, losses and updates take time but are not counted
as operations. Needs gcc (or CC) and an otherwise
idle machine; BACKPROP_TARGET chooses the instruction set.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import workloads
from workloads import Run

from backprop import _kernel

HERE = Path(__file__).parent
SOURCES = HERE.parent / "src_c"
BITS = {"baseline": 128, "neon": 128, "avx2": 256, "avx512": 512}
TRAINING = {"tabular": workloads.tabular_run, "mnist": workloads.image_run, "wide": workloads.wide_run}
REPEATS = 3


def compiled(folder: str, source: str, *more: str) -> str:
    """Compile a C program beside this file; the path of the program."""
    program = os.path.join(folder, source.removesuffix(".c"))
    compiler = os.environ.get("CC", "gcc")
    subprocess.run([compiler, "-std=c11", *more, "-o", program, str(HERE / source), "-lm"], check=True)
    return program


def cores() -> list[int]:
    """The numbers of the cores that this process may use; of all, where the system does not say."""
    return sorted(os.sched_getaffinity(0)) if pinning() else list(range(os.cpu_count() or 1))


def pinning() -> bool:
    return hasattr(os, "sched_setaffinity")


def started(program: str, core: int) -> subprocess.Popen[str]:
    """Start peak on one core."""

    def pin() -> None:
        if pinning():
            os.sched_setaffinity(0, [core])

    command = [program, str(BITS[_kernel.TARGET])]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=pin)


def finished(process: subprocess.Popen[str]) -> float:
    output, _ = process.communicate()
    if process.returncode != 0:
        sys.exit(f"{process.args} failed with status {process.returncode}")
    return float(output)


def ceilings(folder: str) -> tuple[float, float]:
    """The peak GFLOP/s of the best core by itself, and of all cores at the same time."""
    program = compiled(folder, "peak.c", "-O2", "-ffp-contract=off")
    single = [finished(started(program, core)) for core in cores()]
    together = [finished(process) for process in [started(program, core) for core in cores()]]
    for core, alone, beside in zip(cores(), single, together, strict=True):
        print(f"core {core}: {alone:.1f} GFLOP/s alone, {beside:.1f} beside the others")
    print(f"all {len(together)} together: {sum(together):.1f} GFLOP/s")
    return max(single), sum(together)


def rate(gigaflops: float, ceiling: float) -> str:
    return f"{gigaflops:9.1f} {gigaflops / ceiling:6.0%}"


def show_products(program: str, ceiling: float, zeros: int) -> None:
    """Print a line for each layer of each workload; the first layer has no deltas below it."""
    if zeros > 0:
        print(f"\nthe same where {zeros} % of the inputs and of the deltas are 0.0, as behind a relu:")
    print(f"\n{'one thread, GFLOP/s and share':32s} {'forward':>16s} {'hidden delta':>16s} {'gradient':>16s}")
    for name, make in TRAINING.items():
        run = make()
        for l, (n_in, n) in enumerate(zip(run.network.sizes, run.network.sizes[1:], strict=False)):
            command = [program, _kernel.TARGET, *map(str, (run.batch_size, n_in, n, zeros))]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            forward, deltas, gradient = (rate(float(word), ceiling) for word in output.split())
            title = f"{name}: {run.batch_size} rows, {n_in} to {n}"
            print(f"{title:32s} {forward} {deltas if l > 0 else '-':>16s} {gradient}", flush=True)


def seconds(function: Callable[[], object]) -> float:
    began = time.perf_counter()
    function()
    return time.perf_counter() - began


def training_rate(run: Run, n_threads: int) -> float:
    """The GFLOP/s of the products in the fastest of some runs."""
    flops = run.epochs * len(run.X) * workloads.operations(run.network, training=True)
    return flops / min(seconds(lambda: run.train(n_threads)) for _ in range(REPEATS)) / 1e9


def show_training(one: float, together: float) -> None:
    """Print a line for each workload: training with one thread and with all."""
    threads = len(cores())
    counts = [1, threads] if threads > 1 else [1]
    titles = " ".join(f"{'1 thread' if count == 1 else f'{count} threads':>16s}" for count in counts)
    print(f"\n{'training, GFLOP/s and share':32s} {titles}")
    for name, make in TRAINING.items():
        run = make()
        rates = [rate(training_rate(run, count), one if count == 1 else together) for count in counts]
        print(f"{name:32s} {' '.join(rates)}", flush=True)


def main() -> None:
    print(f"{_kernel.TARGET}, {BITS[_kernel.TARGET]} bits, {_kernel.COMPILER}")
    with tempfile.TemporaryDirectory() as folder:
        one, together = ceilings(folder)
        kernel = [f"-I{SOURCES}", *_kernel.FLAGS.split(), *map(str, sorted(SOURCES.glob("*.c")))]
        products = compiled(folder, "products.c", *kernel)
        for zeros in (0, 40):
            show_products(products, one, zeros)
    show_training(one, together)


if __name__ == "__main__":
    main()
