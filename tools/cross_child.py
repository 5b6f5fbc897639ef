"""The part of cross_check.py that runs in every Python it tests, foreign ones too; it needs only NumPy and backprop.

    cross_child.py make FILE                     compute the results that no file holds, and store them
    cross_child.py check FILE [--no-reference]   compute them again and compare; also compare all stored results

The last line of its output is an account in JSON. NaNs count as equal; of all other values, every bit is compared.
"""

import argparse
import importlib.util
import itertools
import json
import pathlib
import platform
import re
import sys
import types
from collections.abc import Iterator
from typing import Any

import numpy as np

import backprop
from backprop import _kernel, reference, verify

TESTS = pathlib.Path(__file__).resolve().parents[1] / "tests"
N_INPUTS = 260_000  # arguments of each elementary function: more than a million in all
N_BY_INTEGERS = 5000  # the number of these that are computed by the slow phase too
N_BY_REFERENCE = 500
N_ROWS = 3000


class Decorator:
    """A stand-in for each of pytest's decorators: only the tests' data is needed here."""

    def __getattr__(self, name: str) -> "Decorator":
        return self

    def __call__(self, *arguments: Any, **settings: Any) -> "Decorator":
        return self


def tests_module(name: str) -> Any:
    """A file of tests as a module, where there is no pytest."""
    pytest = types.ModuleType("pytest")
    pytest.mark = Decorator()  # type: ignore[attr-defined]
    sys.modules.setdefault("pytest", pytest)
    spec = importlib.util.spec_from_file_location(name, TESTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


problems, functions = map(tests_module, ("test_expected", "test_elementary"))


class Account:
    """The number of values compared, and the places where some differed."""

    def __init__(self) -> None:
        self.values = 0
        self.differ = 0
        self.where: list[str] = []

    def add(self, name: str, values: int, differ: int) -> None:
        self.values += values
        self.differ += differ
        if differ:
            self.where.append(f"{name}: {differ} of {values}")

    def compare(self, name: str, found: Any, expected: Any) -> None:
        found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
        assert found.shape == expected.shape, name
        unlike = found.view(np.uint64) != expected.view(np.uint64)
        self.add(name, found.size, int((unlike & ~(np.isnan(found) & np.isnan(expected))).sum()))


def elementary(name: str, x: np.ndarray, form: str = "vector") -> np.ndarray:
    out = np.empty_like(x)
    _kernel.elementary(name, x, out, form=form)
    return out


def trained() -> Iterator[tuple[str, np.ndarray]]:
    """(name, values) of the results of runs of middle size, for every optimizer and number of threads."""
    optimizers = (backprop.SGD(0.125), backprop.SGD(0.0625, 0.5), backprop.SGD(0.0625, 0.5, nesterov=True))
    outputs = ("softmax", "identity", "tanh", "logistic")
    draw = problems.Draw(0)
    X, more = draw.array(192, 50), draw.array(N_ROWS, 50)
    y = np.array([draw.below(10) for _ in X])
    for number, (optimizer, output) in enumerate(zip((*optimizers, backprop.Adam(0.01)), outputs, strict=True)):
        network = backprop.Network([50, 70, 40, 10], ["tanh", "logistic"], output, rng=number)
        targets = y if output == "softmax" else np.eye(10)[y]
        for n_threads in (1, 2):
            settings: dict[str, Any] = {"optimizer": optimizer, "batch_size": (1, 5, 32, 64)[number]}
            run = backprop.fast_train(network, X, targets, epochs=2, rng=number, n_threads=n_threads, **settings)
            name = f"{output}, {n_threads} threads"
            yield f"{name}: weights", run.network.parameters
            yield f"{name}: losses", run.losses
            yield f"{name}: predictions", run.network.predict(more, n_threads=n_threads)
            yield f"{name}: gradient", backprop.loss_and_gradient(run.network, X, targets)[1]
    rows, targets, network = np.tile(X, (43, 1)), np.tile(np.eye(10)[y], (43, 1)), backprop.Network([50, 3, 10], rng=1)
    for of in ("gradient", "normal_equations"):
        part = backprop.partial_sums(network, rows, targets, first_row=4096, n_rows=4096 + len(rows), of=of)
        yield f"partial sums: bytes of {of}", np.frombuffer(part.to_bytes(), np.uint8).astype(np.float64)


def make(file: str) -> None:
    stored: dict[str, Any] = dict(trained())
    for name in _kernel.ELEMENTARY:
        edges = functions.edges(name)
        inputs = [*functions.random_inputs(name, N_INPUTS - len(edges), "cross"), *edges]
        stored[f"{name} of"] = x = np.array(inputs)
        stored[name] = elementary(name, x)
    np.savez(file, **stored)


def check_stored(account: Account, file: str, with_reference: bool) -> None:
    with np.load(file) as archive:
        stored = {name: archive[name].astype(np.float64) for name in archive.files}
    for name in _kernel.ELEMENTARY:
        x, expected = stored.pop(f"{name} of"), stored.pop(name)
        account.compare(name, elementary(name, x), expected)
        account.compare(f"{name}, scalar", elementary(name, x, "scalar"), expected)
        part = slice(None, None, N_INPUTS // N_BY_INTEGERS)
        account.compare(f"{name}, exact", elementary(name, x[part].copy(), "exact"), expected[part])
        if with_reference:
            part = slice(0, N_BY_REFERENCE)
            by_reference = [getattr(reference, name)(value) for value in x[part].tolist()]
            account.compare(f"{name}, reference", by_reference, expected[part])
    for name, values in trained():
        account.compare(name, values, stored.pop(name))
    assert not stored


def check_golden(account: Account) -> None:
    for item in verify.golden()[0]:
        found = verify.results(item.spec)
        if item.parameters:
            account.compare(f"golden run {item.name}: losses", found[0], item.losses)
            account.compare(f"golden run {item.name}: parameters", found[1], item.parameters)
        values = sum(part.size for part in found)
        differ = verify.sha256(verify.little_endian(found)) != item.promised
        account.add(f"golden {item.name} (by its digest)", values, values if differ else 0)


def check_hard_inputs(account: Account) -> None:
    for file, name, form in itertools.product(
        ("special_values.txt", "hard_inputs.txt"), _kernel.ELEMENTARY, _kernel.FORMS
    ):
        x, expected = np.array(functions.rows_of(file, name)).T.copy()
        account.compare(f"{file}, {name}, {form}", elementary(name, x, form), expected)


def check_problems(account: Account, with_reference: bool) -> None:
    """Compare the problems of test_expected.py by digests, with one thread or two, and some with the reference."""
    digests = problems.expected()
    for number in problems.NUMBERS:
        n_threads = 1 + number % 2
        found = problems.by_kernel(number, n_threads)
        # Errors are among the results, as text.
        values = sum(len(part) // 8 for part in found if not re.match(rb"[A-Z][A-Za-z]*Error\(", part))
        differ = problems.digest(found) != digests[number]
        account.add(f"problem {number}, {n_threads} threads (by its digest)", values, values if differ else 0)
        if with_reference and number < problems.COUNT and number % 20 == 0:
            differ = problems.by_reference(number) != found
            account.add(f"problem {number}, reference", values, values if differ else 0)


def check(file: str, with_reference: bool) -> Account:
    # Use the number of threads asked for, also where there is little work.
    tests_module("small_work").share_small_work()
    account = Account()
    check_golden(account)
    check_hard_inputs(account)
    check_problems(account, with_reference)
    check_stored(account, file, with_reference)
    return account


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["make", "check"])
    parser.add_argument("file")
    parser.add_argument("--no-reference", action="store_true")
    arguments = parser.parse_args()
    if arguments.what == "make":
        make(arguments.file)
        return
    account = check(arguments.file, not arguments.no_reference)
    here = {
        "package": backprop.__file__,
        "compiler": _kernel.COMPILER,
        "target": _kernel.TARGET,
        "targets": _kernel.TARGETS,
        "order": sys.byteorder,
        "bits": platform.architecture()[0],
    }
    print(json.dumps({**vars(account), **here}))


if __name__ == "__main__":
    main()
