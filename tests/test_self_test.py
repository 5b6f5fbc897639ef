"""What a build is asked when it is imported: the answers are the definition's. `.ci/run` breaks builds on purpose."""

import pathlib
import re

import pytest

from backprop import _kernel, reference

SOURCE = (pathlib.Path(__file__).parents[1] / "src_c" / "self_test.c").read_text(encoding="ascii")


def numbers(text):
    return [float.fromhex(word) if "x" in word else float(word) for word in re.findall(r"[-+.\w]+", text)]


def test_this_build_passes():
    assert _kernel.self_test() is None


@pytest.mark.parametrize("name", _kernel.ELEMENTARY)
def test_function_values(name):
    x, values = re.search(rf"known_{name} =\s*\{{\s*\{{([^}}]*)\}},\s*\{{([^}}]*)\}}", SOURCE).groups()
    assert len(numbers(x)) == 3
    assert [getattr(reference, name)(value).hex() for value in numbers(x)] == [v.hex() for v in numbers(values)]


def test_the_last_value_of_each_function_needs_the_slow_phase():
    """At these a quick phase alone would round wrongly or not at all."""
    hard = (pathlib.Path(__file__).parent / "data" / "hard_inputs.txt").read_text(encoding="ascii").splitlines()
    cases = {tuple(line.split()[:2]) for line in hard if not line.startswith("#")}
    for name in _kernel.ELEMENTARY:
        x = re.search(rf"known_{name} =\s*\{{\s*\{{([^}}]*)\}}", SOURCE).group(1)
        assert (name, numbers(x)[-1].hex()) in {(f, float.fromhex(value).hex()) for f, value in cases}


def test_steps():
    row = re.search(r'"a step of adam is wrong",\s*\{([^}]*)\},([^}]*)\}', SOURCE)
    settings, (start, g, batch, end) = (numbers(text) for text in row.groups())
    w, moments, powers = [start], [[0.0], [0.0]], [1.0, 1.0]
    reference.UPDATE_RULES["adam"](w, [g / batch], moments, powers, settings, [0])
    assert w[0].hex() == end.hex()


def test_sums():
    """Python computes them as the contract says: products rounded, in their order."""
    row = [1.0, 1.0 + 2.0**-27, 2.0**53, 1.0, -(2.0**53), 2.0**-1000]
    weights = [[-1.0, 1.0 - 2.0**-27], [0.0, 0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0, 2.0**-60], [1.0], [1.0]]
    found = []
    for column, bias in zip(weights, [0.0, 0.0, 5e-324, 2.0**-54, -(2.0**-55)], strict=True):
        total = 0.0
        for x, w in zip(row, column, strict=False):
            total = total + x * w
        found.append(total + bias)
    assert found == [0.0, 0.0, 2.0**-1060 + 5e-324, 1.0, 1.0]
    assert 1.0 - (1.0 + 2.0**-27) * (1.0 - 2.0**-27) == 0.0
