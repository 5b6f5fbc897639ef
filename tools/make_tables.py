"""Write src_c/elementary_tables.h: constants and tables of the correctly rounded functions.

Only `decimal` is used, so the file is the same on every machine. Every property that the error
bounds in elementary.h rely on is asserted here. `--check` writes nothing and fails if the file
on disk differs.
"""

import struct
import sys
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, getcontext
from pathlib import Path

getcontext().prec = 160
getcontext().rounding = ROUND_HALF_EVEN

TARGET = Path(__file__).resolve().parent.parent / "src_c" / "elementary_tables.h"
D = Decimal
LN2 = D(2).ln()
PI = D("3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803482534")

EXP_ROWS = 256
LOG_ROWS = 256
LOG_LOWEST = D("0.6875")  # mantissas of log lie in [0.6875, 1.375)
GRID = 42  # high parts of log are multiples of 2^-42
MAX_FRACTION_BITS = 384


def power(n):
    """2^n, exactly."""
    return D(2) ** n


def to_integer(value):
    """The integer nearest to `value`, ties to even."""
    return int(value.to_integral_value(ROUND_HALF_EVEN))


def to_multiple(value, bits):
    """The multiple of 2^-bits nearest to `value`."""
    return D(to_integer(value * power(bits))) * power(-bits)


def to_double(value):
    """The double nearest to `value`, as an exact Decimal; normal range only."""
    if value == 0:
        return D(0)
    exponent = 0
    while abs(value) >= power(exponent + 1):
        exponent += 1
    while abs(value) < power(exponent):
        exponent -= 1
    return to_multiple(value, 52 - exponent)


def hexadecimal(value):
    """`value`, a double, as a C hex float."""
    assert to_double(value) == value
    return float(value).hex()


def cosine(x):
    """cos(x) by its series, for |x| <= pi."""
    total, term, i = D(0), D(1), 0
    while abs(term) > D(10) ** -80:
        total += term
        i += 2
        term = -term * x * x / (i * (i - 1))
    return total


def solve(matrix, right):
    """The solution of a small linear system, by elimination."""
    n = len(right)
    rows = [[*row, b] for row, b in zip(matrix, right, strict=True)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda r: abs(rows[r][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for r in range(n):
            if r != i:
                factor = rows[r][i] / rows[i][i]
                rows[r] = [a - factor * b for a, b in zip(rows[r], rows[i], strict=True)]
    return [rows[i][n] / rows[i][i] for i in range(n)]


def fit(series, first, last, bound, zero_at_origin):
    """Coefficients first..last of a polynomial close to the sum of series(i)*x^i, i >= first.

    Powers of one parity are fitted at a time, as a polynomial in t = x*x on [0, bound^2], through
    the zeros of a Chebyshev polynomial; with `zero_at_origin` that polynomial is stretched until
    its lowest zero is t = 0, which makes the error of t*p(t), not of p(t), nearly equal-ripple.
    """
    coefficients = {}
    for start in (first, first + 1):
        indices = list(range(start, last + 1, 2))
        k = len(indices)
        if zero_at_origin:
            zeros = [cosine(PI * (2 * i + 1) / (2 * (k + 1))) for i in range(k)]
            low = cosine(PI * (2 * k + 1) / (2 * (k + 1)))
        else:
            zeros = [cosine(PI * (2 * i + 1) / (2 * k)) for i in range(k)]
            low = D(-1)
        nodes = [bound * bound * (z - low) / (1 - low) for z in zeros]
        values = [sum(series(start + 2 * i) * t**i for i in range(30)) for t in nodes]
        solution = solve([[t**i for i in range(k)] for t in nodes], values)
        coefficients.update(zip(indices, map(to_double, solution), strict=True))
    return dict(sorted(coefficients.items()))


def worst_error(series, coefficients, weight, bound):
    """An upper bound of |p(x) - f(x)|/|x|^weight on [-bound, bound], f the series from the first index on.

    |p - f|/|x|^weight is sampled at 2,001 points; between them it moves by at most its largest
    slope times half a step, and the slope is bounded by the sum of the terms' slopes.
    """
    first = min(coefficients)
    differences = {i: coefficients.get(i, D(0)) - series(i) for i in range(first, first + 40)}
    step = bound / 1000
    sampled = max(
        abs(sum(d * (step * j) ** (i - weight) for i, d in differences.items())) for j in range(-1000, 1001) if j
    )
    slope = sum(abs(d) * (i - weight) * bound ** (i - weight - 1) for i, d in differences.items() if i > weight)
    return sampled + slope * step / 2


def exp_series(i):
    """1/i!."""
    value = D(1)
    for j in range(2, i + 1):
        value /= j
    return value


def log_series(i):
    """The coefficient of x^i in log(1 + x)."""
    return D(1 if i % 2 else -1) / i


def define(name, value, note):
    """A C macro with its decimal value in a comment."""
    return f"#define {name} {hexadecimal(value)} /* {float(value):.17g}: {note} */"


def define_polynomial(name, coefficients, error):
    """The macros of a polynomial's coefficients, after its asserted error."""
    lines = [f"/* {name}: {error} */"]
    lines += [f"#define {name}_{i} {hexadecimal(c)} /* {float(c):.17g} */" for i, c in coefficients.items()]
    return lines


def exp_constants():
    """Reduction constants and polynomials of exp and expm1."""
    step = LN2 / EXP_ROWS
    high = to_multiple(step, 43)
    low = to_double(step - high)
    # k*high is exact for |k| < 2^18; |k*low| <= 2^-26
    assert high * power(43) < power(35)
    assert abs(low) <= power(-44)
    assert abs(step - high - low) <= power(-98)
    bound = step / 2 * (1 + power(-17))
    main = fit(exp_series, 2, 5, bound, True)
    assert worst_error(exp_series, main, 0, bound) <= power(-71)
    near = fit(exp_series, 3, 8, power(-6), False)
    assert worst_error(exp_series, near, 3, power(-6)) <= power(D("-55.5"))
    return [
        define("BP_EXP_INVERSE", to_double(1 / step), "256/log(2)"),
        define("BP_EXP_STEP_HI", high, "log(2)/256, a multiple of 2^-43"),
        define("BP_EXP_STEP_LO", low, "log(2)/256 - BP_EXP_STEP_HI"),
        *define_polynomial("BP_EXP_C", main, "e^r - 1 - r to 2^-71 for |r| <= log(2)/512*(1 + 2^-17)"),
        *define_polynomial("BP_EXPM1_C", near, "(e^x - 1 - x - x^2/2)/x^3 to 2^-55.5 for |x| <= 2^-6"),
    ]


def exp_rows():
    """2^(j/256) = th*(1 + tl) nearly, th of 26 bits; its exponent field is lowered by j/256."""
    rows = []
    for j in range(EXP_ROWS):
        value = (LN2 * j / EXP_ROWS).exp()
        high = to_multiple(value, 25)
        tail = to_double(value / high - 1)
        assert 1 <= high < 2
        assert abs(tail) <= power(-26)
        bits = (1023 << 52) + to_integer((high - 1) * power(52)) - (j << 44)
        (lowered,) = struct.unpack("<d", struct.pack("<Q", bits))
        rows.append(f"    {lowered.hex()}, {hexadecimal(tail)},")
    return rows


def log_constants():
    """Reduction constants and polynomials of log and log1p."""
    high = to_multiple(LN2, GRID)
    low = to_double(LN2 - high)
    assert abs(low) <= power(-GRID - 1)
    assert abs(LN2 - high - low) <= power(-GRID - 54)
    bound = log_bound()
    main = fit(log_series, 3, 7, bound, False)
    assert worst_error(log_series, main, 0, bound) <= power(-74)
    near = fit(log_series, 3, 10, power(-6), False)
    assert worst_error(log_series, near, 3, power(-6)) <= power(D("-54.5"))
    return [
        define("BP_LN2_HI", high, "log(2), a multiple of 2^-42"),
        define("BP_LN2_LO", low, "log(2) - BP_LN2_HI"),
        *define_polynomial("BP_LOG_C", main, "log(1 + z) - z + z^2/2 to 2^-74 for |z| <= 2^-8.9"),
        *define_polynomial("BP_LOG1P_C", near, "(log(1 + x) - x + x^2/2)/x^3 to 2^-54.5 for |x| <= 2^-6"),
    ]


def log_intervals():
    """(lowest, highest, reciprocal) of each row: doubles between the ends have equal leading bits."""
    start = to_integer((LOG_LOWEST * 2 - 1) * LOG_ROWS)
    for i in range(LOG_ROWS):
        ends = []
        for position in (start + i, start + i + 1):
            carry, fraction = divmod(position, LOG_ROWS)
            ends.append((1 + D(fraction) / LOG_ROWS) * power(carry - 1))
        yield *ends, to_multiple(2 / (ends[0] + ends[1]), 12)


def log_bound():
    """The largest |m*r - 1| of the table."""
    bound = max(max(abs(low * r - 1), abs(high * r - 1)) for low, high, r in log_intervals())
    assert bound <= power(D("-8.9")) - power(-30)
    return bound


def log_rows():
    """r, and -log(r) as hi, a multiple of 2^-42, plus lo."""
    rows = []
    for _, _, r in log_intervals():
        assert r < D("1.5")
        value = -r.ln()
        high = to_multiple(value, GRID)
        low = to_double(value - high)
        assert abs(low) <= power(-GRID - 1)
        rows.append(f"    {hexadecimal(r)}, {hexadecimal(high)}, {hexadecimal(low)}, 0.0,")
    return rows


def ln2_limbs():
    """floor(log(2)*2^384) in 32-bit limbs, the least significant first."""
    value = int((LN2 * power(MAX_FRACTION_BITS)).to_integral_value(ROUND_FLOOR))
    limbs = [f"0x{value >> 32 * i & 0xFFFFFFFF:08x}" for i in range(MAX_FRACTION_BITS // 32)]
    return ["    " + ", ".join(limbs[i : i + 6]) + "," for i in range(0, len(limbs), 6)]


def contents():
    """The whole header."""
    return "\n".join(
        [
            "/* Constants and tables of elementary.h. Generated by tools/make_tables.py; do not edit. */",
            "#ifndef BP_ELEMENTARY_TABLES_H",
            "#define BP_ELEMENTARY_TABLES_H",
            "",
            "/* clang-format off */",
            *exp_constants(),
            *log_constants(),
            "",
            "#ifdef BP_DEFINE_TABLES",
            "const double bp_exp_table[2 * 256] = {",
            *exp_rows(),
            "};",
            "",
            "const double bp_log_table[4 * 256] = {",
            *log_rows(),
            "};",
            "",
            "/* floor(log(2)*2^384), least significant limb first. */",
            f"static const uint32_t ln2_limbs[{MAX_FRACTION_BITS // 32}] = {{",
            *ln2_limbs(),
            "};",
            "#endif",
            "/* clang-format on */",
            "",
            "#endif",
            "",
        ]
    )


def main(arguments):
    """Write the header, or with `--check` compare it with the file on disk."""
    text = contents()
    if arguments == ["--check"]:
        same = TARGET.exists() and TARGET.read_bytes() == text.encode()
        return 0 if same else f"{TARGET} differs from what this program writes"
    if arguments:
        return "usage: make_tables.py [--check]"
    TARGET.write_bytes(text.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
