"""Compare the speed of backprop and of other programs, its peers: python benchmarks/peers.py [WORKLOAD ...].

Each measurement is a process of its own (peer_sides.py); backprop and a peer take turns. The table shows the median,
over the rounds, of backprop's time divided by the peer's. Both sides must arrive at the same figure (a loss, or the
size of the predictions) within a tolerance, so that none is fast by doing less; where they do not, the table says so
and the exit status is 1. The table goes to results/peers.md and results/peers.json. Needs gcc, FANN's library for
doubles, and the packages of the peers; a peer that is not there must be left out by --without.
"""

import argparse
import datetime
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from peer_sides import load_fann

import backprop
from backprop import _kernel

HERE = Path(__file__).parent
PLAIN_UPDATES = 10_000
PLAIN_FLAGS = ["-std=c11", "-O3", "-march=native", "-ffp-contract=off"]


class Peer(NamedTuple):
    """A peer: its title in the table, and its Python package (none: a C library or program)."""

    title: str
    package: str = ""


class Workload(NamedTuple):
    """A row of the table.

    title: what one repetition is. repeats: how many of these one measurement spans. tolerance: how far the figures of
    both sides may be apart, relatively; where rows are shuffled, as far as other orders carry a run. exceptions:
    tolerances of single peers. threads: how many suit the peers that can be told; None, all.
    """

    title: str
    peers: str
    tolerance: float
    repeats: int = 1
    exceptions: dict[str, float] = {}  # noqa: RUF012
    threads: int | None = None


PEERS = {
    "sklearn": Peer("scikit-learn", "scikit-learn"),
    "torch": Peer("PyTorch", "torch"),
    "torch-float32": Peer("PyTorch float32", "torch"),
    "jax": Peer("JAX", "jax"),
    "numba": Peer("Numba fastmath", "numba"),
    "fann": Peer("FANN"),
    "plain": Peer("plain C"),
}
MODULES = {"scikit-learn": "sklearn"}
BATCHES, PREDICTIONS = "sklearn torch torch-float32 jax", 1e-9
FANN_CLIPS = {"fann": 1e-2}  # the derivative of outputs below 0.01 or above 0.99
SINGLE = {"torch-float32": 1e-4}
WORKLOADS = {
    "seed": Workload("seed: an update of 2-2-2, one row at a time", "sklearn torch jax numba fann plain", 1e-6, 10_000),
    "online": Workload(
        "online: an update of 4-10-3, one row at a time", "sklearn torch jax numba fann", 1e-6, 30_000, FANN_CLIPS
    ),
    "tabular": Workload("tabular: 20-64-64-1, 5 epochs of 10,000 rows, batch 32, Adam", BATCHES, 0.25, threads=1),
    "mnist": Workload("mnist-shaped: 784-128-10, 3 epochs of 10,000 rows, batch 128", BATCHES, 0.1),
    "wide": Workload("wide: 784-512-256-10, 2 epochs of 10,000 rows, batch 512", BATCHES, 0.15),
    "predict-one": Workload("predict one row of 20-64-64-1", f"{BATCHES} fann", PREDICTIONS, 1, SINGLE),
    "predict-many": Workload("predict 10,000 rows of 20-64-64-1", BATCHES, PREDICTIONS, 1, SINGLE),
}
NOTES = """\
In parentheses: backprop's time divided by the peer's, the median of the rounds; below 1, backprop is faster. All \
compute in double precision except PyTorch float32. That column is empty where single rows are trained, since \
precision makes no difference to the time there. Each peer starts from the same weights and arrives at the same \
predictions, or close to the same loss: each shuffles the rows in its own way, and peers.json says how close the \
losses are. FANN always trains the biases, and scikit-learn's regression always has a linear output. In the first two \
rows backprop is therefore measured against scikit-learn, and in the first row also against FANN, with that variant \
of the network. The column "backprop" leaves these runs out and shows the median of the other runs, whose network is \
exactly that of the title.
"""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)}; all")
    parser.add_argument("--rounds", type=int, default=5, help="how often each pair is measured (5)")
    parser.add_argument("--without", action="append", choices=PEERS, default=[], help="leave this peer out")
    parser.add_argument("--output", type=Path, default=HERE / "results", help="the folder of the results")
    given = parser.parse_args()
    unknown = set(given.workloads) - set(WORKLOADS)
    if unknown or given.rounds < 1:
        parser.error(f"no such workload: {', '.join(sorted(unknown))}" if unknown else "--rounds must be at least 1")
    return given


def is_here(name: str) -> bool:
    """Whether a peer can be measured."""
    if name == "fann":
        return load_fann() is not None
    package = PEERS[name].package
    return bool(shutil.which("gcc") if name == "plain" else importlib.util.find_spec(MODULES.get(package, package)))


def cores() -> int:
    """The number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def plain_program(folder: str) -> str:
    program = os.path.join(folder, "tutorial_plain")
    subprocess.run(["gcc", *PLAIN_FLAGS, "-o", program, str(HERE / "tutorial_plain.c"), "-lm"], check=True)
    return program


def measure(side: str, workload: str, beside: str, plain: str) -> tuple[float, float]:
    """The seconds and the figure of one process."""
    if side == "plain":
        words = subprocess.run([plain, str(PLAIN_UPDATES), "101"], check=True, capture_output=True, text=True)
        *times, error = map(float, words.stdout.split())
        return statistics.median(times), error
    wanted = WORKLOADS[workload].threads if side != "backprop" else None
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    environment = os.environ | dict.fromkeys(names, str(wanted or cores())) | {"JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-W", "ignore", str(HERE / "peer_sides.py"), side, workload, beside]
    process = subprocess.run(command, env=environment, capture_output=True, text=True)
    if process.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{process.stderr}")
    result = json.loads(process.stdout.splitlines()[-1])
    return result["seconds"], result["proof"]


def as_titled(name: str, workload: str) -> bool:
    """Whether the run compared with this peer is exactly that of the workload's title, with nothing cut."""
    return workload not in ("seed", "online") or (name != "sklearn" and (workload, name) != ("seed", "fann"))


def compare(name: str, workload: str, rounds: int, plain: str) -> dict[str, Any]:
    """One cell of the table: rounds in which backprop and a peer are measured in turn."""
    pairs = []
    for _ in range(rounds):
        ours, theirs = (measure(side, workload, name, plain) for side in ("backprop", name))
        pairs.append((ours, theirs))
    work = WORKLOADS[workload]
    tolerance = work.exceptions.get(name, work.tolerance)
    agree = all(abs(a - b) <= max(tolerance * abs(b), 1e-12) for (_, a), (_, b) in pairs)
    cell = {
        "ours": [a / work.repeats for (a, _), _ in pairs],
        "theirs": [b / work.repeats for _, (b, _) in pairs],
        "ratio": statistics.median(a / b for (a, _), (b, _) in pairs),
        "proofs": [pairs[-1][0][1], pairs[-1][1][1]],
        "tolerance": tolerance,
        "agree": agree,
    }
    print(
        f"{workload:13s} {time_text(statistics.median(cell['ours'])):>8s}  {PEERS[name].title:16s} "
        f"{time_text(statistics.median(cell['theirs'])):>8s}  ratio {number(cell['ratio'], 2)}"
        + ("" if agree else "  THE RESULTS DIFFER: {:.9g} and {:.9g}".format(*cell["proofs"])),
        flush=True,
    )
    return cell


def number(value: float, digits: int) -> str:
    """A positive number as text with this many significant digits, without an exponent."""
    return np.format_float_positional(value, precision=digits, fractional=False, trim="-")


def time_text(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    seconds = float(f"{seconds:.3g}")
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{number(seconds / size, 3)} {unit}"
    return f"{number(seconds * 1e9, 3)} ns"


def processor() -> str:
    """The processor's model name, and family and model numbers that tell it from others of that name."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    found = dict(re.findall(r"^([^\t:]+?)\s*: (.*)$", info.read_text().partition("\n\n")[0], re.MULTILINE))
    name = found.get("model name", platform.machine())
    more = [f"{key} {found[key]}" for key in ("cpu family", "model") if key in found]
    return f"{name} ({', '.join(more)})" if more else name


def operating_system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        return platform.system()
    return f"{name}, {platform.system()}"


def fann_version() -> str:
    """FANN tells its version only in the name of its file."""
    load_fann()
    maps = Path("/proc/self/maps")
    found = re.search(r"libdoublefann\.so\.([\d.]+)", maps.read_text()) if maps.exists() else None
    return found[1] if found else "of unknown version"


def versions(names: list[str]) -> dict[str, str]:
    """The versions of all programs that are compared."""
    found = {"backprop": backprop.__version__, "Python": platform.python_version(), "NumPy": np.__version__}
    for name in names:
        title, package = PEERS[name]
        if package:
            found[title.removesuffix(" float32").removesuffix(" fastmath")] = importlib.metadata.version(package)
    if "fann" in names:
        found["FANN"] = fann_version()
    if "plain" in names:
        version = subprocess.run(["gcc", "-dumpfullversion"], check=True, capture_output=True, text=True).stdout.strip()
        found["gcc (plain C)"] = version
    return found


def machine() -> dict[str, Any]:
    return {
        "processor": processor(),
        "cores": cores(),
        "system": operating_system(),
        "compiler of backprop": _kernel.COMPILER,
        "instruction set": _kernel.TARGET,
    }


def ours_of(workload: str, cells: dict[str, Any]) -> float:
    """Backprop's seconds in a row of the table: from runs that match the row's title exactly, if there are any."""
    titled = [cell for name, cell in cells.items() if as_titled(name, workload)] or list(cells.values())
    return statistics.median(seconds for cell in titled for seconds in cell["ours"])


def markdown(report: dict[str, Any]) -> str:
    """The table, below a line that says where and with what it was measured."""
    names = [name for name in PEERS if any(name in row for row in report["results"].values())]
    where, used = report["machine"], dict(report["versions"])
    ours = f"backprop {used.pop('backprop')} ({where['compiler of backprop']}, {where['instruction set']})"
    lines = [
        f"{report['date']}, {where['processor']}, {where['cores']} cores, {where['system']}. {ours}, "
        + ", ".join(f"{name} {version}" for name, version in used.items())
        + f". Rounds: {report['rounds']}.",
        "",
        "| | backprop | " + " | ".join(PEERS[name].title for name in names) + " |",
        "|---|" + "--:|" * (1 + len(names)),
    ]
    for workload, cells in report["results"].items():
        row = [WORKLOADS[workload].title, f"**{time_text(ours_of(workload, cells))}**"]
        for name in names:
            cell = cells.get(name)
            if cell is None:
                row.append("")
            elif cell["agree"]:
                row.append(f"{time_text(statistics.median(cell['theirs']))} ({number(cell['ratio'], 2)})")
            else:
                row.append("results differ")
        lines.append(f"| {' | '.join(row)} |")
    return "\n".join([*lines, "", NOTES])


def main() -> int:
    given = arguments()
    chosen = [workload for workload in WORKLOADS if workload in (given.workloads or WORKLOADS)]
    wanted = {w: [p for p in WORKLOADS[w].peers.split() if p not in given.without] for w in chosen}
    needed = [name for name in PEERS if any(name in names for names in wanted.values())]
    missing = [name for name in needed if not is_here(name)]
    if missing:
        options = " ".join(f"--without {name}" for name in missing)
        sys.exit(f"not installed: {', '.join(PEERS[name].title for name in missing)}; to leave them out: {options}")
    report: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "versions": versions(needed),
        "rounds": given.rounds,
        "results": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        plain = plain_program(folder) if "plain" in needed else ""
        for workload, names in wanted.items():
            if names:
                report["results"][workload] = {n: compare(n, workload, given.rounds, plain) for n in names}
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "peers.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (given.output / "peers.md").write_text(markdown(report), encoding="utf-8")
    print(f"\n{markdown(report)}")
    return 0 if all(cell["agree"] for cells in report["results"].values() for cell in cells.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
