"""Runs with known results: what backprop/golden.txt says, to the bit. tools/make_golden.py makes the file."""

import subprocess
import sys

import numpy as np
import pytest

from backprop import _kernel, verify

GOLDEN, EVERYTHING = verify.golden()
RUNS = [item for item in GOLDEN if item.parameters]


@pytest.mark.parametrize("item", RUNS, ids=[item.name for item in RUNS])
def test_golden(engine, item):
    run = verify.train(engine.train, item.spec)
    assert [value.hex() for value in run.losses.tolist()] == [value.hex() for value in item.losses]
    assert run.network.parameters.astype("<f8").tobytes() == np.array(item.parameters, "<f8").tobytes()


def test_golden_runs_differ():
    """Each spec is a run of its own, and each trains."""
    assert len({item.name for item in GOLDEN}) == len(GOLDEN)
    assert len({item.promised for item in GOLDEN}) == len(GOLDEN)
    assert len(RUNS) >= 12
    assert all(item.losses[-1] < item.losses[0] for item in RUNS)


@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_fingerprint(n_threads):
    found = verify.fingerprint(n_threads)
    assert found.differing == []
    assert found.sha256 == EVERYTHING
    assert found.n_numbers > 200_000


@pytest.mark.parametrize("name", _kernel.ELEMENTARY)
def test_function_values_are_the_references(name):
    """Some of them here, all of them when the file is made."""
    from backprop import reference

    x = verify.points(name)
    values = verify.results({"name": name})[0]
    for k in range(0, len(x), 499):
        assert values[k].hex() == getattr(reference, name)(float(x[k])).hex()


def run_verify(*arguments):
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd="/" if sys.platform != "win32" else None,
    )


def test_command():
    """One line for each instruction set and number of threads, the promised one below."""
    code = f"import sys; sys.path[:] = {sys.path!r}; from backprop.__main__ import main; sys.exit(main(['verify']))"
    done = run_verify("-c", code)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    fingerprints = [line for line in lines if line and line[-1] == EVERYTHING]
    assert {line[0] for line in fingerprints} == {*_kernel.TARGETS, "promised"}
    assert done.stdout.splitlines()[-1].startswith("Every bit is as promised: ")
    assert done.stderr == ""


def test_command_finds_a_wrong_bit(monkeypatch, capsys):
    """A result that is not as promised is named, and the exit status says so."""
    wrong = verify.Fingerprint("avx2", 1, "0" * 64, 5, ["momentum"])
    monkeypatch.setattr(verify, "fingerprints", lambda: iter([wrong]))
    assert verify.show() == 1
    assert "NOT as promised: momentum." in capsys.readouterr().out


def test_a_wrong_bit_differs(monkeypatch):
    """The last bit of one number of one run."""
    usual = verify.results

    def results(spec, *threads):
        found = usual(spec, *threads)
        if spec["name"] == "momentum":
            found[0] = found[0].copy()
            found[0][-1] = np.nextafter(found[0][-1], 1.0)
        return found

    monkeypatch.setattr(verify, "results", results)
    found = verify.fingerprint(1)
    assert found.differing == ["momentum"]
    assert found.sha256 != EVERYTHING
