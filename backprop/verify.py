"""The fingerprint of a release: fixed runs and function values, recomputed here and compared with the definition's.

`golden.txt` holds the definition's results: a SHA-256 of each run and function, and the numbers of small runs in
hexadecimal. Numbers are hashed as little-endian float64 on every machine.
"""

import hashlib
import importlib.resources
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from . import _kernel, optimizers
from .engine import Kernel
from .network import Network
from .passes import predictions
from .run import Run
from .state import Result, Settings
from .threads import POLICY, ThreadPolicy
from .training import Training
from .training import train as train_by
from .version import __version__, contract_version

# The settings of fast_train that a golden run may leave out.
DEFAULTS: dict[str, Any] = {"loss": None, "batch_size": None, "shuffle": True}
N_VALUES = 50_000  # values of each elementary function


@dataclass
class Golden:
    """A run or a function with its expected results: their SHA-256 and, of small runs, the numbers."""

    name: str
    spec: dict[str, Any]
    promised: str = ""
    losses: list[float] = field(default_factory=list)
    parameters: list[float] = field(default_factory=list)


def read(text: str) -> tuple[list[Golden], str]:
    """The expected results in a text like golden.txt, and the SHA-256 of all of them together.

    Lines begin with "run" or "function" (what to compute, as JSON), then "losses", "parameters" (hexadecimal floats)
    and "sha256" for it; one line "all" ends them; "#" is a comment.
    """
    found: list[Golden] = []
    everything = ""
    for line in text.splitlines():
        kind, _, rest = line.partition(" ")
        if kind in ("run", "function"):
            spec = json.loads(rest)
            found.append(Golden(spec["name"], spec))
        elif kind in ("losses", "parameters"):
            setattr(found[-1], kind, [float.fromhex(word) for word in rest.split()])
        elif kind == "sha256":
            found[-1].promised = rest
        elif kind == "all":
            everything = rest
        elif kind != "#":
            raise ValueError(f"golden.txt: {line!r}")
    return found, everything


def golden() -> tuple[list[Golden], str]:
    """The expected results of this release, and the SHA-256 of all of them together."""
    return read((importlib.resources.files(__package__) / "golden.txt").read_text(encoding="ascii"))


def data(spec: dict[str, Any]) -> tuple[list[list[float]], list[Any]]:
    """X and y from integer formulas, exact as float64: X in eighths; y classes, or thirty-seconds in [0, 1]."""
    n, n_in, n_out = spec["n_samples"], spec["sizes"][0], spec["sizes"][-1]
    X = [[((7 * s + 3 * i + s * i) % 23 - 11) / 8.0 for i in range(n_in)] for s in range(n)]
    if spec["output_activation"] == "softmax":
        return X, [(s * s + s // 3) % n_out for s in range(n)]
    return X, [[(5 * s + 11 * j + s * j) % 33 / 32.0 for j in range(n_out)] for s in range(n)]


def train(engine_train: Any, spec: dict[str, Any], **more: Any) -> Any:
    """Train the run of a spec; resume it once for each number of epochs in "resume"."""
    network = Network(spec["sizes"], spec["activation"], spec["output_activation"], rng=spec["seed"])
    kind, *settings = spec["optimizer"]
    X, y = data(spec)
    run = engine_train(network, X, y, optimizer=getattr(optimizers, kind)(*settings), **spec["settings"], **more)
    for epochs in spec["resume"]:
        run = run.resume(X, y, epochs=epochs)
    return run


def points(name: str) -> np.ndarray[Any, Any]:
    """The arguments of a function (N_VALUES,): of either sign, in size from 2**-10 to 2**9; positive for logs."""
    words = np.random.PCG64(len(name)).random_raw(N_VALUES)
    fractions = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
    values = np.ldexp(1.0 + fractions, (words % 19).astype(np.int32) - 10)
    return values if name.startswith("log") else np.where(words >> np.uint64(8) & np.uint64(1) == 1, values, -values)


def kernel_train(
    policy: ThreadPolicy,
    n_threads: int | None,
    network: Network,
    X: Any,
    y: Any,
    *,
    epochs: int,
    rng: Any = 0,
    **given: Any,
) -> Training:
    """Train as `fast_train` does, with the thread policy of the caller."""
    settings = Settings.checked(network, **DEFAULTS | given)
    begin, run = Result.first(network, settings, rng), Run.checked(epochs, n_threads=n_threads)
    return train_by(Kernel(policy), begin, X, y, None, run, rng)


def results(
    spec: dict[str, Any], n_threads: int | None = None, policy: ThreadPolicy = POLICY
) -> list[np.ndarray[Any, Any]]:
    """The kernel's results: losses, parameters and predictions of a run, or a function's values."""
    if "sizes" not in spec:
        values = np.empty(N_VALUES)
        _kernel.elementary(spec["name"], points(spec["name"]), values)
        return [values]
    run = train(partial(kernel_train, policy, n_threads), spec)
    return [run.losses, run.network.parameters, predictions(run.network, data(spec)[0], n_threads, policy)]


def little_endian(arrays: list[np.ndarray[Any, Any]]) -> bytes:
    """The bytes of arrays as little-endian float64, one array after the other."""
    return b"".join(array.astype("<f8").tobytes() for array in arrays)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Fingerprint:
    """All results with one instruction set and number of threads."""

    target: str
    n_threads: int
    sha256: str
    n_numbers: int
    differing: list[str]  # the names of the results that differ from golden.txt


def fingerprint(n_threads: int) -> Fingerprint:
    """Compute all results with this process's instruction set and n_threads threads, however small the work."""
    policy = POLICY if n_threads == 1 else ThreadPolicy(waking_work=1e-3, thread_work=1e-3)
    content, differing = b"", []
    for item in golden()[0]:
        part = little_endian(results(item.spec, n_threads, policy))
        content += part
        if sha256(part) != item.promised:
            differing.append(item.name)
    return Fingerprint(_kernel.TARGET, n_threads, sha256(content), len(content) // 8, differing)


# The program of a child process, in which BACKPROP_TARGET selects the instruction set.
CHILD = """
import dataclasses, json, sys
sys.path[:] = json.loads(sys.argv[1])
from backprop.verify import fingerprint
print(json.dumps([dataclasses.asdict(fingerprint(int(count))) for count in sys.argv[2:]]))
"""


def fingerprints() -> Iterator[Fingerprint]:
    """The fingerprints of each instruction set of this machine, with one thread and with all threads."""
    for target in _kernel.TARGETS:
        done = subprocess.run(
            [sys.executable, "-c", CHILD, json.dumps(sys.path), *map(str, sorted({1, _kernel.max_threads()}))],
            env=os.environ | {"BACKPROP_TARGET": target},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        for line in json.loads(done.stdout):
            yield Fingerprint(**line)


def show() -> int:
    """Print the fingerprints and the promised one; return 0 if all are equal, else 1."""
    began = time.perf_counter()
    python = f"{platform.python_implementation()} {platform.python_version()}, NumPy {np.__version__}"
    print(f"backprop {__version__}, arithmetic contract {contract_version}; {python}, {platform.platform()}\n")
    print(f"{'instruction set':15}  {'threads':>7}  SHA-256 of all results", flush=True)
    promised, numbers, wrong = golden()[1], 0, set()
    for found in fingerprints():
        print(f"{found.target:15}  {found.n_threads:7}  {found.sha256}", flush=True)
        numbers += found.n_numbers
        wrong |= set(found.differing) or ({"all together"} if found.sha256 != promised else set())
    print(f"{'promised':24}  {promised}\n")
    if wrong:
        print(
            f"NOT as promised: {', '.join(sorted(wrong))}. Please report it, with what backprop.show_config() prints."
        )
    else:
        print(f"Every bit is as promised: {numbers:,} numbers ({time.perf_counter() - began:.1f} s).")
    return 1 if wrong else 0
