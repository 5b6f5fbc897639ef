"""Make tests/data/golden.txt anew: the results of its runs by the reference.

A run is added by writing its line "run {...}" into the file; this script fills in the rest. Any difference that it
makes to the lines of a run that was there before is a change of results, and the changelog says so first.
"""

import importlib.util
import json
import pathlib

from backprop import reference

TESTS = pathlib.Path(__file__).parents[1] / "tests"


def golden_tests():
    """The test module: it has the file's path, its reader and the meaning of a spec."""
    spec = importlib.util.spec_from_file_location("test_golden", TESTS / "test_golden.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main():
    tests = golden_tests()
    lines = [line for line in tests.GOLDEN.read_text(encoding="ascii").splitlines() if line.startswith("#")]
    for spec, *_ in tests.read(tests.GOLDEN):
        run = tests.train(reference.train, spec)
        lines.append("run " + json.dumps(spec))
        lines.append("losses " + " ".join(map(float.hex, run.losses.tolist())))
        lines.append("parameters " + " ".join(map(float.hex, run.network.parameters.tolist())))
    tests.GOLDEN.write_text("\n".join(lines) + "\n", encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
