"""Every name of every table stands in every text that lists the names of that table, and no other name does."""

import inspect
import pathlib
import re
import typing

import pytest

import backprop
from backprop import _kernel, optimizers, schedules
from backprop.network import INITIALIZERS

ROOT = pathlib.Path(__file__).parents[1]


def text(path, begin="", end=""):
    """A text file from one phrase up to another, or a docstring."""
    whole = (ROOT / path).read_text(encoding="utf-8") if isinstance(path, str) else inspect.getdoc(path)
    assert begin in whole, f"{path}: {begin!r}"
    rest = whole.partition(begin)[2] if begin else whole
    assert end in rest, f"{path}: {end!r}"
    return rest.partition(end)[0] if end else rest


def classes(union):
    return [kind.__name__ for kind in typing.get_args(union)]


TABLES = {
    "activations": _kernel.ACTIVATIONS,
    "losses": tuple(_kernel.LOSSES),
    "optimizers": classes(optimizers.Optimizer),
    "optimizers that step": [name for name in classes(optimizers.Optimizer) if hasattr(getattr(backprop, name), "l1")],
    "schedules": classes(schedules.Schedule),
    "initializers": tuple(INITIALIZERS),
}
NEW = ("CHANGELOG.md", "### New")
# The texts that list a table's names.
LISTS = {
    "activations": [
        ("README.md", "Activations: ", "."),
        ("docs/contract.md", "## N3", "## N4"),
        ("docs/network-file.md", "**Activations** are ", "."),
        (backprop.Network, "Known: ", "\nrng"),
        NEW,
    ],
    "losses": [
        ("README.md", "Losses: ", "."),
        ("docs/contract.md", "## N4", "## N5"),
        (backprop.Network.loss, "loss : ", "n_threads"),
        (backprop.fast_train, "loss : ", "optimizer :"),
        NEW,
    ],
    "optimizers": [
        ("README.md", "Optimizers: ", ". A learning rate"),
        ("docs/optimizers.md",),
        (backprop.fast_train, "optimizer : ", "epochs"),
        NEW,
    ],
    "optimizers that step": [("docs/contract.md", "## N7", "## N8")],
    "schedules": [
        ("docs/optimizers.md",),
        ("docs/contract.md", "## N15", "## N16"),
        (backprop.SGD, "learning_rate : ", "momentum"),
        NEW,
    ],
    "initializers": [
        ("docs/contract.md", "## N9", "## N10"),
        (backprop.Network, "initializer : ", "hidden_bias"),
    ],
}
CASES = [(table, place) for table, places in LISTS.items() for place in places]


def words(found):
    """The names of a text, with their underscores, without those that are part of a longer one."""
    return set(re.findall(r"[A-Za-z_][A-Za-z0-9_]*", found))


def id_of(one):
    return one if isinstance(one, str) else getattr(one[0], "__qualname__", one[0])


@pytest.mark.parametrize(("table", "place"), CASES, ids=id_of)
def test_every_name_is_there(table, place):
    assert set(TABLES[table]) - words(text(*place)) == set()


@pytest.mark.parametrize(
    ("table", "place"),
    [
        ("activations", ("README.md", "Activations: ", ".")),
        ("losses", ("README.md", "Losses: ", ".")),
        ("activations", ("docs/network-file.md", "**Activations** are ", ".")),
    ],
)
def test_no_other_name_is_there(table, place):
    others = {"and", "for", "the", "output", "or", "layer", "only", "also", "softmax"}
    assert words(text(*place)) - set(TABLES[table]) <= others


def test_public_names():
    assert {*TABLES["optimizers"], *TABLES["schedules"]} <= set(backprop.__all__)


def test_a_missing_name_is_seen():
    assert "tanh" in words("identity, tanh; relu_6")
    assert "relu" not in words("identity, tanh; leaky_relu")
