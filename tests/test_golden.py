"""Runs with known results: what tests/data/golden.txt says, to the bit. tools/make_golden.py makes the file."""

import json
import pathlib

import numpy as np
import pytest

import backprop

GOLDEN = pathlib.Path(__file__).parent / "data" / "golden.txt"


def read(path):
    """[(spec, losses, parameters)]: lines "run" with the spec as JSON, "losses" and "parameters" in hexadecimal."""
    runs = []
    for line in path.read_text(encoding="ascii").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "run":
            runs.append([json.loads(rest)])
        elif kind in ("losses", "parameters"):
            runs[-1].append([float.fromhex(word) for word in rest.split()])
        elif kind != "#":
            raise ValueError(f"{path.name}: {line!r}")
    return runs


def data(spec):
    """X and y by a rule of exact numbers: eighths for X; for y classes, or thirty-seconds in [0, 1]."""
    n, n_in, n_out = spec["n_samples"], spec["sizes"][0], spec["sizes"][-1]
    X = [[((7 * s + 3 * i + s * i) % 23 - 11) / 8.0 for i in range(n_in)] for s in range(n)]
    if spec["output_activation"] == "softmax":
        return X, [(s * s + s // 3) % n_out for s in range(n)]
    return X, [[(5 * s + 11 * j + s * j) % 33 / 32.0 for j in range(n_out)] for s in range(n)]


def train(engine_train, spec):
    """The run of a spec: trained, then resumed as often as "resume" says."""
    network = backprop.Network(spec["sizes"], spec["activation"], spec["output_activation"], rng=spec["seed"])
    kind, *settings = spec["optimizer"]
    X, y = data(spec)
    run = engine_train(network, X, y, optimizer=getattr(backprop, kind)(*settings), **spec["settings"])
    for epochs in spec["resume"]:
        run = run.resume(X, y, epochs=epochs)
    return run


RUNS = read(GOLDEN)


@pytest.mark.parametrize(("spec", "losses", "parameters"), RUNS, ids=[spec["name"] for spec, *_ in RUNS])
def test_golden(engine, spec, losses, parameters):
    run = train(engine.train, spec)
    assert [value.hex() for value in run.losses.tolist()] == [value.hex() for value in losses]
    assert run.network.parameters.astype("<f8").tobytes() == np.array(parameters, "<f8").tobytes()


def test_golden_runs_differ():
    """Each spec is a run of its own, and each trains."""
    assert len({spec["name"] for spec, *_ in RUNS}) == len(RUNS) >= 12
    assert len({tuple(parameters) for _, _, parameters in RUNS}) == len(RUNS)
    assert all(losses[-1] < losses[0] for _, losses, _ in RUNS)
