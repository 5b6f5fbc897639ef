"""exp, expm1, log and log1p are correctly rounded: the definition by integers, the kernel by the definition."""

import decimal
import gzip
import itertools
import math
import pathlib
import random
import struct
from fractions import Fraction

import numpy as np
import pytest

from backprop import _kernel, reference

FUNCTIONS = ("exp", "expm1", "log", "log1p")
DATA = pathlib.Path(__file__).parent / "data"
# Published lists of hard cases, an optional neighbour of the checkout: inputs only, one a line, in C's hexadecimal.
WORST_CASES = pathlib.Path(__file__).parents[2] / "shared" / "worst_cases"
BIG = 1.7976931348623157e308


def kernel(name, inputs, form="vector"):
    x = np.array(inputs, np.float64)
    out = np.empty_like(x)
    _kernel.elementary(name, x, out, form=form)
    return out.tolist()


def exactly(values):
    """Every bit, as text; all NaNs are alike."""
    return [value.hex() for value in values]


def check(name, inputs):
    """Both phases of the kernel against the definition."""
    expected = exactly(map(getattr(reference, name), inputs))
    for form in _kernel.FORMS:
        found = exactly(kernel(name, inputs, form))
        wrong = [(float.hex(x), *pair) for x, *pair in zip(inputs, found, expected, strict=True) if pair[0] != pair[1]]
        assert not wrong, f"{len(wrong)} of {len(inputs)} wrong, {form}: {wrong[:5]}"


# The definition, checked by other means than its own: power series in integers.

BITS = 400  # after the binary point; every error below is a few hundred units of the last


def atanh_series(numerator, denominator):
    """atanh(numerator/denominator)*2^BITS, to within 200 units: z + z^3/3 + z^5/5 + ..."""
    z = (numerator << BITS) // denominator
    square, power, total, i = z * z >> BITS, z, 0, 1
    while power not in (0, -1):
        total += power // i
        power = power * square >> BITS
        i += 2
    return total


LN2 = 18 * atanh_series(1, 26) - 2 * atanh_series(1, 4801) + 8 * atanh_series(1, 8749)


def enclosure_of_exp(x):
    """(low, high) around e^x: e^(k log 2 + r) = 2^k (1 + r + r^2/2 + ...)."""
    fixed = x.numerator * 2**BITS // x.denominator
    k = (2 * fixed + LN2) // (2 * LN2)
    r = fixed - k * LN2
    total, term, i = 0, 2**BITS, 0
    while term not in (0, -1):
        total, i = total + term, i + 1
        term = (term * r >> BITS) // i
    slack, scale = 2**20, Fraction(2) ** (k - BITS)  # k*LN2 is off by less than 2^19
    return (total - slack) * scale, (total + slack) * scale


def enclosure_of_log(x):
    """(low, high) around log(x): x = 2^k m, log(m) = 2 atanh((m - 1)/(m + 1))."""
    k = x.numerator.bit_length() - x.denominator.bit_length()
    m = x / Fraction(2) ** k
    if m > Fraction(4, 3):
        k, m = k + 1, m / 2
    z = (m - 1) / (m + 1)
    total, slack = 2 * atanh_series(z.numerator, z.denominator) + k * LN2, 2**20
    return Fraction(total - slack, 2**BITS), Fraction(total + slack, 2**BITS)


def rounded(x):
    """The nearest double of a Fraction, ties to even; an integer quotient is correctly rounded."""
    try:
        return x.numerator / x.denominator
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def by_integers(name, x):
    """The correctly rounded value, for a finite x where it is neither a NaN nor exact."""
    x = Fraction(x)
    if name in ("exp", "expm1"):
        low, high = enclosure_of_exp(x)
        if name == "expm1":
            low, high = low - 1, high - 1
    else:
        low, high = enclosure_of_log(x + 1 if name == "log1p" else x)
    assert rounded(low) == rounded(high)
    return rounded(low)


def random_inputs(name, count, seed):
    """Doubles of every magnitude; and, more of them, where the result is neither trivial nor out of range."""
    generator = random.Random(f"{name} {seed}")
    inputs = []
    while len(inputs) < count:
        kind = generator.randrange(4)
        if kind == 0:
            (x,) = struct.unpack("<d", struct.pack("<Q", generator.getrandbits(64)))
        elif kind == 1:
            x = generator.uniform(-1.0, 1.0) * 2.0 ** generator.randrange(-60, 11)
        elif kind == 2:
            x = generator.uniform(-750.0, 712.0) if name.startswith("exp") else generator.uniform(-1.0, 100.0)
        else:
            x = generator.uniform(-3.0, 3.0)
        inputs.append(abs(x) if name == "log" and x == x else x)
    return inputs


def rows_of(file, name):
    """[(input, result)] of a function, from a file with a line for each: function, input, result."""
    rows = [line.split() for line in (DATA / file).read_text(encoding="ascii").splitlines() if line[0] != "#"]
    return [(float.fromhex(x), float.fromhex(result)) for function, x, result in rows if function == name]


def edges(name):
    """Powers of two and their neighbours, and both sides of each place where a result becomes another kind."""
    centres = [sign * 2.0**e for e in range(-1074, 1024) for sign in (1.0, -1.0)]
    centres += [sign * x for sign in (1.0, -1.0) for x in (690.0, 708.3964185322641, 709.782712893384, 710.0)]
    centres += [-745.1332191019411, -746.0, -36.7368005696771, -37.42994775023705, -38.0, 1.0, 0.6875, 1.375]
    centres += [x + y for x in (0.0, 1.0) for y in (2.0**-6, -(2.0**-6), 2.0**-7)]
    near = [math.nextafter(x, end) for x in centres for end in (math.inf, -math.inf)]
    if name.startswith("exp"):
        near += [-708.4 - k / 8 for k in range(320)]  # subnormal results
        near += [k * math.log(2.0) / 2.0 for k in range(-2150, 2049)]
    return centres + near


@pytest.mark.parametrize("name", FUNCTIONS)
def test_definition_against_integers(name):
    inputs = [x for x, _ in rows_of("hard_inputs.txt", name)] + edges(name)[::5] + random_inputs(name, 2000, "integers")
    low = -math.inf if name.startswith("exp") else 0.0 if name == "log" else -1.0
    inputs = [x for x in inputs if max(low, -800.0) < x < BIG and x not in (0.0, 1.0)]
    if name.startswith("exp"):
        inputs = [x for x in inputs if x < 800.0]
    else:
        inputs = [x for x in inputs if name == "log" or abs(x) > 1e-30]  # atanh_series has 400 bits after the point
    if name == "expm1":
        inputs = [x for x in inputs if abs(x) > 1e-30]
    assert len(inputs) > 1500
    found = exactly(map(getattr(reference, name), inputs))
    assert found == exactly(by_integers(name, x) for x in inputs)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("file", ["special_values.txt", "hard_inputs.txt"])
def test_known_values(file, name):
    inputs, expected = zip(*rows_of(file, name), strict=True)
    assert exactly(map(getattr(reference, name), inputs)) == exactly(expected)
    check(name, inputs)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_edges(name):
    check(name, edges(name))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_random_inputs(name):
    check(name, random_inputs(name, 10_000, "short"))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_next_to_round_results(name):
    """Inputs whose results lie near a double, or halfway between two, as far as libm can say."""
    generator = random.Random(name)
    inverse = {"exp": math.log, "expm1": math.log1p, "log": math.exp, "log1p": math.expm1}[name]
    results = [
        generator.uniform(0.5, 30.0) if name.startswith("exp") else generator.uniform(-0.9, 30.0) for _ in range(1000)
    ]
    centres = [inverse(result) for result in results]
    check(name, [x for centre in centres for x in (math.nextafter(centre, 0.0), centre, math.nextafter(centre, 99.0))])


@pytest.mark.long
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_million_random_inputs(name):
    for part in range(20):
        check(name, random_inputs(name, 50_000, part))


def test_monotonic():
    """Correct rounding keeps the order: neighbouring inputs never have results in the wrong order."""
    for name in FUNCTIONS:
        x = 0.7 + np.arange(100_000) * 2.0**-53
        for start in (x, x * 2.0**-7, x * 2.0**9):
            out = np.array(kernel(name, start))
            assert (np.diff(out) >= 0.0).all()
            assert out[-1] > out[0]


# The nearest formula leaves these two undecided, which the quick phase had decided.
BESIDE = {"log1p": float.fromhex("0x1.f845f8de69a49p-7"), "log": float.fromhex("0x1.03f8df23716b2p+0")}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_result_does_not_depend_on_its_neighbours(name):
    """Lanes that are decided stay as they are when others of the same vector go on to rarer formulas."""
    rare = {"exp": 800.0, "expm1": 1e-60, "log": 5e-324, "log1p": 1e-60}[name]
    generator = random.Random(f"{name} beside")
    inputs = [generator.choice((1.0, -1.0)) * generator.uniform(2.0**-8, 2.0**-5) for _ in range(200_000)]
    inputs = [1.0 + x if name == "log" else x for x in inputs] + [BESIDE.get(name, 0.5)]
    alone = kernel(name, inputs, "scalar")
    for beside in (rare, 0.3):
        pairs = [x for pair in zip(inputs, itertools.repeat(beside), strict=False) for x in pair]
        assert kernel(name, pairs)[::2] == alone
    if name in BESIDE:
        check(name, [BESIDE[name], rare])


def test_unknown_name():
    with pytest.raises(ValueError, match="tuple"):
        kernel("sin", [1.0])
    assert _kernel.ELEMENTARY == FUNCTIONS


if WORST_CASES.is_dir():

    def worst_cases(file):
        content = file.read_bytes()
        lines = gzip.decompress(content) if file.suffix == ".gz" else content
        return [float.fromhex(line) for line in lines.decode("ascii").split()]

    @pytest.mark.parametrize("file", sorted(WORST_CASES.glob("*_rn_*.txt")), ids=lambda file: file.name)
    def test_hardest_published_cases(file):
        name = file.name.partition("_")[0]
        inputs = worst_cases(file)
        check(name, inputs)
        chosen = [x for x in inputs if abs(x) > 1e-30][::10]
        assert exactly(map(getattr(reference, name), chosen)) == exactly(by_integers(name, x) for x in chosen)

    @pytest.mark.long
    @pytest.mark.parametrize("file", sorted(WORST_CASES.glob("*_all.txt.gz")), ids=lambda file: file.name)
    def test_all_published_cases(file):
        check(file.name.partition("_")[0], worst_cases(file))


def test_the_definition_does_not_depend_on_the_decimal_context():
    plain = [reference.exp(0.3), reference.expm1(0.3), reference.log(0.3), reference.log1p(0.3)]
    with decimal.localcontext() as context:
        context.prec, context.rounding = 3, decimal.ROUND_UP
        context.traps[decimal.FloatOperation] = context.traps[decimal.Inexact] = True
        assert [reference.exp(0.3), reference.expm1(0.3), reference.log(0.3), reference.log1p(0.3)] == plain
