"""Count the instructions of two fixed runs by valgrind: python benchmarks/instructions.py [--write].

A count repeats to a few millionths, on a busy machine too, so it shows a change that a clock would miss. Only the epoch
loop is counted, on one thread and with AVX2, the widest set that valgrind knows. Counts depend on the compiler, and
instructions.json keeps the known ones under its name. A count more than 3 % above fails; one more than 3 % below says
that the known counts should be renewed, which --write does for the compiler at hand.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import workloads
from workloads import Run

from backprop import _kernel

BASELINE = Path(__file__).with_suffix(".json")
SLACK = 0.03
ENVIRONMENT = {"BACKPROP_TARGET": "avx2", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


def tabular_run() -> Run:
    """Two epochs of 2,000 rows of the tabular workload."""
    run = workloads.tabular_run()
    return run._replace(X=run.X[:2000], y=run.y[:2000], epochs=2)


RUNS = {"seed": workloads.seed_run, "tabular": tabular_run}


def epoch_loop() -> str:
    """The symbol of Trainer.train in the extension; Cython numbers the methods."""
    output = subprocess.run(["nm", _kernel.__file__], check=True, capture_output=True, text=True).stdout
    found = re.findall(r"\b[tT] (__pyx_pw_\w*7Trainer_\d+train)$", output, re.MULTILINE)
    if len(found) != 1:
        sys.exit(f"Trainer.train must be one symbol of {_kernel.__file__}, found: {found}")
    return found[0]


def count(name: str) -> int:
    """The instructions of one run."""
    command = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        "--collect-atstart=no",
        f"--toggle-collect={epoch_loop()}",
        sys.executable,
        __file__,
        "--run",
        name,
    ]
    process = subprocess.run(command, env=os.environ | ENVIRONMENT, capture_output=True, text=True)
    found = re.search(r"Collected : (\d+)", process.stderr)
    if process.returncode != 0 or found is None or found[1] == "0":
        sys.exit(f"{' '.join(command)} counted nothing:\n{process.stderr}")
    return int(found[1])


def known() -> dict[str, dict[str, int]]:
    return json.loads(BASELINE.read_text(encoding="utf-8")) if BASELINE.exists() else {}


def write(counts: dict[str, int]) -> None:
    """Renew the entry of this compiler."""
    entries = dict(sorted((known() | {_kernel.COMPILER: counts}).items()))
    BASELINE.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")


def compare(counts: dict[str, int], allow_new: bool) -> int:
    """Print the counts beside the known ones; return the exit status."""
    entry, status = known().get(_kernel.COMPILER), 0
    for name, number in counts.items():
        if entry is None or name not in entry:
            print(f"{name}: {number:,} instructions; none known for {_kernel.COMPILER}")
            status = status if allow_new else 1
            continue
        change = number / entry[name] - 1.0
        verdict = ""
        if change > SLACK:
            verdict, status = "; TOO MANY", 1
        elif change < -SLACK:
            verdict = "; fewer: renew the known counts with --write"
        print(f"{name}: {number:,} instructions, {change:+.3%} against {entry[name]:,}{verdict}")
    return status


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", action="store_true", help="keep these counts as the known ones of this compiler")
    parser.add_argument("--allow-new", action="store_true", help="a compiler without known counts is no failure")
    parser.add_argument("--run", choices=RUNS, help="only do this run, without counting: what valgrind is given")
    given = parser.parse_args()
    if given.run:
        RUNS[given.run]().train(n_threads=1)
        return 0
    missing = [program for program in ("valgrind", "nm") if shutil.which(program) is None]
    if missing:
        sys.exit(f"not installed: {', '.join(missing)}")
    counts = {name: count(name) for name in RUNS}
    if not given.write:
        return compare(counts, given.allow_new)
    write(counts)
    print("\n".join(f"{name}: {number:,} instructions" for name, number in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
