"""Prove the error bounds of the quick phases in src_c/quick.h, and that the radii of their rounding tests exceed them.

Each formula of quick.h is repeated here on pairs (a bound of the ideal value's size, a bound of the computed value's
distance from it), all exact rationals, rounded up. An operation adds half an ulp of the largest result it can have,
2^-1075 at least, so results below the normal range are covered. bp_muladd counts as two roundings; a fused one omits
the first, and what is proved holds for it too. What quick.h computes without an error is checked from the grain of
the operands: multiples of g up to 2^53*g are doubles. Polynomials are compared with their series, tables with
logarithms and powers of 70 digits. The bounds hold for all that is added to the leading part of a result; that last
addition is the rounding which the test is about, and it is monotonic.

    prove_bounds.py              print the bounds and radii; fail if a radius is too small
    prove_bounds.py --self-test  fail unless every radius passes and half of every proved bound does not
"""

import re
import struct
import sys
from dataclasses import dataclass
from decimal import Decimal, getcontext
from fractions import Fraction
from itertools import product
from math import ceil, factorial, floor, log2
from pathlib import Path

getcontext().prec = 90

SOURCE = Path(__file__).resolve().parent.parent / "src_c"
QUICK = (SOURCE / "quick.h").read_text()
TABLES = (SOURCE / "elementary_tables.h").read_text()
HEX = r"-?0x[0-9a-f.]+p[+-]\d+"

SLACK = Fraction(1, 10**70)  # an upper bound of the error of any Decimal function below
LN2 = Fraction(Decimal(2).ln())
STEP = LN2 / 256


def power(n):
    """2^n."""
    return Fraction(2) ** n


LARGEST = Fraction(690)  # the largest |x| of exp's quick phase
NEAR, TINY = power(-6), power(-53)  # ends of the formulas for small results (the near forms)
EXPONENTS = 1024  # the largest |k| in log, for arguments 2^k*m


def from_hex(text):
    """The value of a C hex float."""
    return Fraction(float.fromhex(text))


def constant(name):
    """The value of a macro of elementary_tables.h."""
    return from_hex(re.search(rf"#define {name} ({HEX}) ", TABLES)[1])


def table(name, columns):
    """The rows of a table of elementary_tables.h."""
    body = re.search(rf"{name}\[.*?\] = {{(.*?)}};", TABLES, re.DOTALL)[1]
    values = [float.fromhex(text) for text in body.split(",")[:-1]]
    return [values[i : i + columns] for i in range(0, len(values), columns)]


def radii(function, pattern):
    """The numbers that `pattern` finds in a function of quick.h; they are the same wherever it matches."""
    body = re.search(rf"^BP_\w+ bp_\w+ {function}\(.*?^}}", QUICK, re.DOTALL | re.MULTILINE)[0]
    found = {match.groups() for match in re.finditer(pattern.replace("HEX", f"({HEX})"), body)}
    assert len(found) == 1, (function, found)
    return [from_hex(text) for text in found.pop()]


def to_bits(value):
    """The bits of a double."""
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def from_bits(bits):
    """The double with these bits, exactly."""
    return Fraction(struct.unpack("<d", struct.pack("<Q", bits))[0])


def binade(value):
    """The integer i with 2^i <= value < 2^(i + 1)."""
    i = value.numerator.bit_length() - value.denominator.bit_length()
    return i if power(i) <= value else i - 1


def half_ulp(size):
    """The largest error of rounding a number of at most this size."""
    return power(max(binade(size) - 53, -1075)) if size else Fraction(0)


def grain(value):
    """The largest power of two that divides a double."""
    return Fraction(value.numerator & -value.numerator, value.denominator)


def assert_exact(unit, size):
    """Multiples of `unit` up to `size` are doubles."""
    assert power(-1074) <= unit
    assert size <= power(53) * unit


def up(value):
    """A short rational at or just above `value`."""
    if value == 0:
        return value
    scale = power(100 - binade(value))
    return ceil(value * scale) / scale


@dataclass
class Value:
    """A computed number: the ideal one's size is at most `size`, the distance between the two at most `error`."""

    size: Fraction
    error: Fraction = Fraction(0)

    def __post_init__(self):
        """Keep the rationals short."""
        self.size, self.error = up(abs(self.size)), up(self.error)

    def __add__(self, other):
        """A sum or a difference."""
        size, error = self.size + other.size, self.error + other.error
        return Value(size, error + half_ulp(size + error))

    def __mul__(self, other):
        """A product."""
        size = self.size * other.size
        error = self.size * other.error + self.error * other.size + self.error * other.error
        return Value(size, error + half_ulp(size + error))

    def halved(self):
        """Half the number; only underflow rounds it."""
        return Value(self.size / 2, self.error / 2 + power(-1075))

    def within(self, size):
        """The same number where its ideal is known to be smaller."""
        return Value(min(self.size, size), self.error)

    def approximating(self, error):
        """The same number as an approximation of another ideal that is up to `error` away."""
        return Value(self.size + error, self.error + error)


def coefficient(name, i):
    """A polynomial's coefficient as a number without error."""
    return Value(constant(f"{name}_{i}"))


def exp_series(i):
    """The coefficient of x^i in e^x."""
    return Fraction(1, factorial(i))


def log_series(i):
    """The coefficient of x^i in log(1 + x)."""
    return Fraction(1 if i % 2 else -1, i)


def polynomial_error(name, first, last, series, weight, bound):
    """A bound of |p(x) - f(x)|/|x|^weight, |x| <= bound, f the sum of series(i)*x^i from i = first on.

    It is sampled; between two samples it differs from the chord by at most step^2/8 times its second derivative,
    here the sum of the terms' derivatives. The coefficients of the series decrease, so its rest is less than a
    geometric series.
    """
    differences = [constant(f"{name}_{i}") - series(i) for i in range(first, last + 1)]
    differences += [-series(i) for i in range(last + 1, first + 13)]
    samples, bound = 250, up(bound)
    step, largest = bound / samples, Fraction(0)
    for j in range(-samples, samples + 1):
        value = Fraction(0)
        for difference in reversed(differences):
            value = value * (step * j) + difference
        largest = max(largest, abs(value * (step * j) ** (first - weight)))
    exponents = enumerate(differences, first - weight)
    bend = sum(abs(difference) * i * (i - 1) * bound ** (i - 2) for i, difference in exponents if i > 1)
    rest = abs(series(first + 13)) * bound ** (first + 13 - weight) / (1 - bound)
    return up(largest + bend * step**2 / 8 + rest)


def exp_rows():
    """th, tl and the error of tl in each row: 2^(j/256) = th*(1 + tl); th has at most 26 bits."""
    rows = []
    for j, (lowered, tail) in enumerate(table("bp_exp_table", 2)):
        high = from_bits(to_bits(lowered) + (j << 44))
        assert 1 <= high < 2
        assert grain(high) >= power(-25)
        exact = Fraction((Decimal(2).ln() * j / 256).exp())
        rows.append((high, Fraction(tail), up(abs(exact / high - 1 - Fraction(tail)) + SLACK)))
    assert len(rows) == 256
    return rows


def exp_reduction():
    """r, rl, the largest |rh|, the bound of |r|, and the largest |k| of bp_exp_quick."""
    inverse, high, low = (constant(f"BP_EXP_{name}") for name in ("INVERSE", "STEP_HI", "STEP_LO"))
    # The largest distance of k from x*inverse: the sum is rounded to an integer.
    distance = Fraction(1, 2) + half_ulp(LARGEST * inverse)
    k = floor(LARGEST * inverse + distance)
    assert k < power(18)
    bound = up(STEP / 2 * (1 + power(-17)))
    assert STEP * (distance + LARGEST * abs(inverse - 1 / STEP)) + SLACK * power(20) <= bound
    assert_exact(grain(high), k * high)
    r2 = Value(k) * Value(low).approximating(abs(STEP - high - low) + SLACK)
    # If k = 0, r1 = x. Otherwise |x| is not below this, and x, hence r1, is a multiple of the unit.
    unit = power(binade((1 - distance) / inverse) - 52)
    assert unit <= grain(high)
    r1 = bound + r2.size + r2.error
    assert_exact(unit, r1)
    # rh is a multiple of 2^-26; if k = 0, either rh = 0 or x is a multiple of 2^-79.
    nearest = power(-27)
    assert r1 < power(25)
    assert_exact(min(unit, power(-79)), nearest)
    return (Value(r1) + r2).within(bound), Value(nearest) + r2, r1 + nearest, bound, k


def exp_low_factor(r, rl, bound):
    """m of bp_exp_quick."""
    c2, c3, c4, c5 = (coefficient("BP_EXP_C", i) for i in range(2, 6))
    square = r * r
    total = square * (c5 * r + c4) + (c3 * r + c2)
    return (square * total).approximating(polynomial_error("BP_EXP_C", 2, 5, exp_series, 0, bound)) + rl


def exp_parts():
    """(row, exponent) -> s, tl, t, m of bp_exp_quick and the least s, for a row and 2^exponent; the least exponent."""
    r, rl, rh, bound, k = exp_reduction()
    m = exp_low_factor(r, rl, bound)

    def parts(row, exponent):
        high, tail, error = row
        th, tl = high * power(exponent), Value(tail).approximating(error)
        assert_exact(grain(th) * power(-26), th * (1 + rh))
        return Value(th * (1 + rh)), tl, Value(th) * tl + Value(th), m, th * (1 - rh)

    return parts, -k // 256


def exp_proof():
    """The function from the radius to the error of bp_exp, both in units of s.

    The least exponent is the worst: there underflow is nearest.
    """
    parts, exponent = exp_parts()
    rows = exp_rows()

    def error(radius):
        worst = Fraction(0)
        for row in rows:
            s, tl, t, m, least = parts(row, exponent)
            low = t * m + s * (tl + Value(radius))
            worst = max(worst, low.error / least)
        return worst

    return error


def expm1_proof():
    """The function from the radius to the error of bp_expm1_from, both in units of max(s, 1).

    If x > 0, errors grow with s, so that exponent 0 stands for all; if x < 0, they shrink with s, so that -1 does,
    and the row of 1 with exponent 0.
    """
    parts, _ = exp_parts()
    rows = exp_rows()

    def error(radius):
        worst = Fraction(0)
        for j, row in enumerate(rows):
            for exponent in (0, -1):
                s, tl, t, m, least = parts(row, exponent)
                # Dekker's sum needs s <= 1 if x < 0, s >= 1 if x > 0; rh has the sign of x if k = 0.
                assert j == 0 or (s.size <= 1 if exponent else least >= 1)
                remainder = Value(half_ulp(max(s.size, 1)))
                e = Value(radius) if exponent else s * Value(radius)
                low = t * m + s * tl
                worst = max(worst, (low + (remainder + e)).error / (1 if exponent else least))
        return worst

    return error


def expm1_polynomial(x, square):
    """p of bp_expm1_rest."""
    c3, c4, c5, c6, c7, c8 = (coefficient("BP_EXPM1_C", i) for i in range(3, 9))
    return square * (square * (c8 * x + c7) + (c6 * x + c5)) + (c4 * x + c3)


def log1p_polynomial(x, square):
    """The polynomial of bp_log1p_near."""
    c3, c4, c5, c6, c7, c8, c9, c10 = (coefficient("BP_LOG1P_C", i) for i in range(3, 11))
    low = square * (c6 * x + c5) + (c4 * x + c3)
    high = square * (c10 * x + c9) + (c8 * x + c7)
    return (square * square) * high + low


def near_proof(polynomial, error_of_polynomial, cubic, linear):
    """The function from a scale of the radius |x|*(x^2*cubic + linear) to (lowest |x|, error), 32 pieces to a binade.

    x^2/2 = xh^2/2 + xl*(x + xh)/2; the first is exact, and so is the remainder of its sum with x (Dekker).
    """
    # Below, |f(x) - x| <= x^2/2/(1 - |x|) is less than half the distance of x to its neighbours.
    below = TINY * (1 - power(-53))
    assert below / (1 - below) < power(-53)

    def errors(scale):
        for i, j in product(range(binade(TINY), binade(NEAR)), range(32)):
            lowest, highest = (power(i) * (1 + Fraction(n, 32)) for n in (j, j + 1))
            unit = power(i - 25)  # the largest |x - xh|, that is |xl|
            half = highest**2 / 2
            assert_exact(unit**2 / 2, half)
            assert half <= lowest
            x = Value(highest)
            rest = Value(half_ulp(highest + half)) + (Value(unit) * (x + x)).halved()
            square = x * x
            cube = (x * square) * polynomial(x, square).approximating(error_of_polynomial)
            e = x * (square * Value(scale * cubic) + Value(scale * linear))
            yield lowest, (cube + (rest + e)).error

    return errors


def near_share(errors, cubic, linear, scale):
    """The largest part of the radius that the error takes."""
    return max(error / (scale * lowest * (lowest**2 * cubic + linear)) for lowest, error in errors(scale))


def log_rows():
    """(lowest, highest, r, hi, lo, error of lo) of each row, for doubles from the lowest to below the highest."""
    rows, offset = [], 0x000A000000000000
    for i, (r, high, low, zero) in enumerate(table("bp_log_table", 4)):
        ends = [from_bits((1023 << 52) + (j << 44) - offset) for j in (i, i + 1)]
        error = abs(-Fraction(Decimal(r).ln()) - Fraction(high) - Fraction(low)) + SLACK
        assert zero == 0
        assert ends[1] <= power(binade(ends[0]) + 1)
        rows.append((*ends, Fraction(r), Fraction(high), Fraction(low), up(error)))
    assert len(rows) == 256
    return rows


def log_z(row):
    """ml and the largest |zh| of bp_log_quick in a row; checks what is exact."""
    lowest, highest, r, high, _, _ = row
    mh, k, ln2 = power(-30), Value(EXPONENTS).size, constant("BP_LN2_HI")
    assert_exact(power(binade(lowest) - 52), mh / 2)
    assert_exact(mh * grain(r), highest * r)
    zh = max(abs(lowest * r - 1), abs(highest * r - 1))
    unit = min(mh * grain(r), grain(ln2), grain(high) if high else 1)
    assert_exact(grain(ln2), k * ln2)
    assert_exact(unit, k * ln2 + abs(high) + zh)
    return Value(half_ulp(lowest)) * Value(1) + Value(mh / 2), zh


def log_proof():
    """The function from the radius to the error of bp_log_decided, both absolute."""
    c3, c4, c5, c6, c7 = (coefficient("BP_LOG_C", i) for i in range(3, 8))
    high, low = constant("BP_LN2_HI"), constant("BP_LN2_LO")
    ln2_low = Value(EXPONENTS) * Value(low).approximating(abs(LN2 - high - low) + SLACK)
    rows = [(*log_z(row), *row[2:]) for row in log_rows()]
    bound = max(zh + ml.size * r for ml, zh, r, *_ in rows)
    error_of_polynomial = polynomial_error("BP_LOG_C", 3, 7, log_series, 0, bound)

    def error(radius):
        worst = Fraction(0)
        for ml, zh, r, _, row_low, row_error in rows:
            zl = ml * Value(r)
            z = Value(zh) + zl
            square = z * z
            p = square * (square * c7 + (c6 * z + c5)) + (c4 * z + c3)
            cubic = (z * square * p).approximating(error_of_polynomial)
            lo = cubic + (zl + (ln2_low + Value(row_low).approximating(row_error)))
            worst = max(worst, ((lo + Value(radius)) + square.halved()).error)
        return worst

    return error


def exponent_text(value):
    """A number as a power of two."""
    return f"2^{log2(value):.2f}"


def report(name, bound, radius, share):
    """Print a line on a form; whether the radius is large enough."""
    print(f"{name:11} bound {bound:30} radius {radius:30} radius/bound {float(1 / share):.2f}")
    return share <= 1


def check_main(name, error, radius, unit):
    """Report a form with one radius; whether the radius passes, and whether half the bound does."""
    bound = error(radius)
    passes = report(name, exponent_text(bound) + unit, exponent_text(radius) + unit, bound / radius)
    return passes, error(bound / 2) <= bound / 2


def check_near(name, errors, *radius):
    """The same for a near form; its bound is given half the radius's linear term."""
    cubic, linear = radius
    share = near_share(errors, cubic, linear, 1)
    bound = max((error - linear / 2 * lowest) / lowest**3 for lowest, error in errors(1)), linear / 2
    texts = ["{}*|x|^3 + {}*|x|".format(*map(exponent_text, pair)) for pair in (bound, radius)]
    return report(name, *texts, share), near_share(errors, cubic, linear, share / 2) <= 1


def smallest(error):
    """The smallest multiple of 2^-74 that is a radius at least as large as its bound."""
    radius = power(-74) * floor(error(power(-70)) * power(74))
    while error(radius) > radius:
        radius += power(-74)
    return radius


def main(arguments):
    """Print every bound and radius; 0 if all radii pass."""
    if arguments not in ([], ["--self-test"]):
        return "usage: prove_bounds.py [--self-test]"
    exp, expm1, log = exp_proof(), expm1_proof(), log_proof()
    (exp_radius,) = radii("bp_exp", r"\be = bp_set\(HEX\)")
    (expm1_radius,) = radii("bp_expm1_of_negative", r"bp_set\(HEX\)\);")
    assert radii("bp_expm1", r"negative, bp_set\(HEX\), p\.s \* HEX\)") == [expm1_radius] * 2
    (log_radius,) = radii("bp_log_decided", r"p\.lo [+-] HEX\)")
    expm1_near = radii("bp_expm1_rest", r"square \* HEX \+ HEX\)")
    log1p_near = radii("bp_log1p_near", r"square \* HEX \+ HEX\)")
    expm1_error = polynomial_error("BP_EXPM1_C", 3, 8, exp_series, 3, NEAR)
    log1p_error = polynomial_error("BP_LOG1P_C", 3, 10, log_series, 3, NEAR)
    results = [
        check_main("exp", exp, exp_radius, "*s"),
        check_main("expm1", expm1, expm1_radius, "*max(s, 1)"),
        check_near("expm1, near", near_proof(expm1_polynomial, expm1_error, *expm1_near), *expm1_near),
        check_main("log, log1p", log, log_radius, ""),
        check_near("log1p, near", near_proof(log1p_polynomial, log1p_error, *log1p_near), *log1p_near),
    ]
    for name, error in (("exp", exp), ("expm1", expm1)):
        radius = smallest(error)
        print(f"{name}: the smallest safe multiple of 2^-74 is {float(radius).hex()} = {exponent_text(radius)}")
    if not all(passes for passes, _ in results):
        return "a radius is smaller than the bound"
    if arguments and any(half_passes for _, half_passes in results):
        return "half of a bound passes"
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
