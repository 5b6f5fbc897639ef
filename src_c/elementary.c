/* Tables and slow phases of elementary.h.

   A slow phase computes with F fractional bits in 32-bit limbs, F = 128, 192, ..., 384, until both
   ends of the error interval round to the same double, so no list of hard cases is relied on. The
   last precision is only there to end the loop: the hardest doubles need about 120 bits from the
   leading one on (Lefevre and Muller 2001), a few more for expm1 and log1p of tiny arguments,
   where x^3 decides what x + x^2/2 leaves open; of 540,000 published hard cases and their negatives
   20 took F = 256 and none took more. */
#define BP_DEFINE_TABLES
#define BP_TARGET_SCALAR
#include "elementary.h"
#include "quick.h"

enum { MAX_LIMBS = 13, LN2_LIMBS = 12 };

/* A fixed-point number is n limbs a[0..n-1], least significant first: the sum of a[i]*2^(32*i) in
   units (ulps) of 2^-F, F = 32*(n - 1). Additions are modulo 2^32, so two's complement works. */

static void add(uint32_t *r, const uint32_t *a, const uint32_t *b, int n) {
    uint64_t carry = 0;
    for (int i = 0; i < n; i++) {
        carry += (uint64_t)a[i] + b[i];
        r[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static void subtract(uint32_t *r, const uint32_t *a, const uint32_t *b, int n) {
    uint64_t borrow = 0;
    for (int i = 0; i < n; i++) {
        uint64_t difference = (uint64_t)a[i] - b[i] - borrow;
        r[i] = (uint32_t)difference;
        borrow = difference >> 63;
    }
}

/* r = a - b if `negative`, else a + b. */
static void add_signed(uint32_t *r, const uint32_t *a, const uint32_t *b, int negative, int n) {
    if (negative) {
        subtract(r, a, b, n);
    } else {
        add(r, a, b, n);
    }
}

/* r = a*b rounded down, a and b not negative. */
static void multiply(uint32_t *r, const uint32_t *a, const uint32_t *b, int n) {
    uint32_t product[2 * MAX_LIMBS] = {0};
    for (int i = 0; i < n; i++) {
        uint64_t carry = 0;
        for (int j = 0; j < n; j++) {
            carry += (uint64_t)a[i] * b[j] + product[i + j];
            product[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
        product[i + n] = (uint32_t)carry;
    }
    memcpy(r, product + n - 1, (size_t)n * sizeof *r);
}

/* r = a/divisor rounded down, a not negative. */
static void divide_small(uint32_t *r, const uint32_t *a, uint32_t divisor, int n) {
    uint64_t rest = 0;
    for (int i = n - 1; i >= 0; i--) {
        rest = rest << 32 | a[i];
        r[i] = (uint32_t)(rest / divisor);
        rest %= divisor;
    }
}

/* r = a/2^count rounded down, a not negative, count >= 0. */
static void shift_right(uint32_t *r, const uint32_t *a, int count, int n) {
    int limbs = count / 32, bits = count % 32;
    for (int i = 0; i < n; i++) {
        uint64_t low = i + limbs < n ? a[i + limbs] : 0;
        uint64_t high = i + limbs + 1 < n ? a[i + limbs + 1] : 0;
        r[i] = (uint32_t)((high << 32 | low) >> bits);
    }
}

/* r = 2^exponent, or 0 if that is less than 1 ulp; exponent < 31. */
static void power_of_two(uint32_t *r, int exponent, int n) {
    int position = exponent + 32 * (n - 1);
    memset(r, 0, (size_t)n * sizeof *r);
    if (position >= 0) {
        r[position / 32] = UINT32_C(1) << position % 32;
    }
}

/* r = |x|*2^exponent rounded down, below 2^31. */
static void from_double(uint32_t *r, double x, int exponent, int n) {
    uint64_t bits = bp_bits(x);
    int field = (int)(bits >> 52 & 0x7ff);
    uint64_t mantissa = bits & UINT64_C(0x000fffffffffffff);
    if (field > 0) {
        mantissa |= UINT64_C(0x0010000000000000);
    } else {
        field = 1;
    }
    int position = field - 1075 + exponent + 32 * (n - 1);
    memset(r, 0, (size_t)n * sizeof *r);
    if (position < 0) {
        mantissa = position > -64 ? mantissa >> -position : 0;
        position = 0;
    }
    int limb = position / 32, shift = position % 32;
    uint64_t low = (mantissa & UINT32_MAX) << shift;
    uint64_t high = ((mantissa >> 32) << shift) + (low >> 32);
    uint32_t parts[3] = {(uint32_t)low, (uint32_t)high, (uint32_t)(high >> 32)};
    for (int i = 0; i < 3 && limb + i < n; i++) {
        r[limb + i] = parts[i];
    }
}

/* r = |k|*log(2), less than |k| ulps too small (0 ulps if k = 0). */
static void ln2_multiple(uint32_t *r, int k, int n) {
    const uint32_t *limbs = ln2_limbs + LN2_LIMBS - (n - 1);
    uint64_t carry = 0;
    for (int i = 0; i < n - 1; i++) {
        carry += (uint64_t)limbs[i] * (uint32_t)(k < 0 ? -k : k);
        r[i] = (uint32_t)carry;
        carry >>= 32;
    }
    r[n - 1] = (uint32_t)carry;
}

/* The double nearest to a*2^exponent, ties to even, a of at least 65 bits counted in ulps. */
static double to_double(const uint32_t *a, int exponent, int n) {
    uint32_t padded[MAX_LIMBS + 2] = {0};
    memcpy(padded, a, (size_t)n * sizeof *a);
    int top = 32 * n - 1;
    while ((padded[top / 32] >> top % 32 & 1) == 0) {
        top--;
    }
    /* The last bit kept is worth 2^unit; it is never below the subnormals' 2^-1074. */
    int last = top - 52;
    int unit = last + exponent - 32 * (n - 1);
    if (unit < -1074) {
        last += -1074 - unit;
        unit = -1074;
    }
    if (unit > 971) {
        return HUGE_VAL;
    }
    if (last > top + 1) {
        return 0.0;
    }
    int limb = last / 32, shift = last % 32;
    uint64_t mantissa = 0;
    if (last <= top) {
        mantissa = ((uint64_t)padded[limb + 1] << 32 | padded[limb]) >> shift;
        if (shift > 0) {
            mantissa |= (uint64_t)padded[limb + 2] << (64 - shift);
        }
    }
    int half = last - 1;
    uint32_t sticky = padded[half / 32] & ((UINT32_C(1) << half % 32) - 1);
    for (int i = 0; i < half / 32; i++) {
        sticky |= padded[i];
    }
    if ((padded[half / 32] >> half % 32 & 1) != 0 && (sticky != 0 || (mantissa & 1) != 0)) {
        mantissa++;
    }
    /* The implicit bit of a normal number, or a carry out of the mantissa, raises the exponent. */
    return bp_from_bits(((uint64_t)(unit + 1074) << 52) + mantissa);
}

/* The number of squarings of exp_limbs: 8, 13, 18, 23, 28 for n = 5, 7, 9, 11, 13. */
static int squarings(int n) { return 8 + 5 * (n - 5) / 2; }

/* Whether both (a - e)*2^exponent and (a + e)*2^exponent, e = 2^(squarings + 5) ulps, round to the
   same double, and that double. The last precision always settles: no value is below 2^-54. */
static int settled(double *result, const uint32_t *a, int exponent, int n) {
    uint32_t e[MAX_LIMBS], below[MAX_LIMBS], above[MAX_LIMBS];
    power_of_two(e, squarings(n) + 5 - 32 * (n - 1), n);
    subtract(below, a, e, n);
    add(above, a, e, n);
    /* Too few bits for to_double: below is less than 2^-(F - 65), or negative. */
    uint32_t leading = 0;
    for (int i = 2; i < n; i++) {
        leading |= below[i];
    }
    if (leading == 0 || below[n - 1] >> 31 != 0) {
        return 0;
    }
    *result = to_double(below, exponent, n);
    return n == MAX_LIMBS || *result == to_double(above, exponent, n);
}

/* r = e^t for 0 <= t < 0.701, at most 2^(squarings + 3) ulps too small: the series to degree 12 at
   t/2^squarings, squared as often.

   Horner's scheme with coefficients 12!/i!, divided by 12! at the end, errs by 1 ulp there; t was
   cut by 1 ulp; the rest of the series is below 2^-14 ulps (13 factors below 2^-8.5, ..., 2^-28.5,
   over 13! > 2^32.5). A squaring doubles the relative error and cuts 1 ulp: 3.1*2^squarings ulps
   of a value below 2.02. */
static void exp_limbs(uint32_t *r, const uint32_t *t, int n) {
    uint32_t small[MAX_LIMBS];
    uint32_t coefficient = 12;
    shift_right(small, t, squarings(n), n);
    memcpy(r, small, (size_t)n * sizeof *r);
    r[n - 1] += coefficient;
    for (uint32_t i = 11; i >= 1; i--) {
        coefficient *= i;
        multiply(r, r, small, n);
        r[n - 1] += coefficient;
    }
    divide_small(r, r, coefficient, n);
    for (int i = 0; i < squarings(n); i++) {
        multiply(r, r, r, n);
    }
}

/* e^x = 2^k*r for |x| < 746, with r in (0.99, 2.02); k is returned.

   k is floor(x/log(2)) or 1 less, so that 0 < x - k*log(2) < 0.701; |k| <= 1078. x is cut by at
   most 1 ulp and k*log(2) by |k|, which moves r by 2^11.2 ulps, in all (exp_limbs) by less than
   2^(squarings + 4.2). */
static int exp_reduced(uint32_t *r, double x, int n) {
    uint32_t argument[MAX_LIMBS], multiple[MAX_LIMBS];
    double quotient = x * 0x1.71547652b82fep+0 - 0x1p-8; /* 1/log(2) = 1.4426950408889634 */
    int k = (int)quotient;
    k -= k > quotient;
    from_double(argument, x, 0, n);
    ln2_multiple(multiple, k, n);
    if (x < 0.0) {
        subtract(argument, multiple, argument, n);
    } else {
        add_signed(argument, argument, multiple, k > 0, n);
    }
    exp_limbs(r, argument, n);
    return k;
}

/* e^x for every double. Outside [-746, 710] it is beyond the largest or the smallest double. The
   loop adds 64 bits of precision a turn, here and below. */
double bp_exp_slow(double x) {
    if (x != x) {
        return x;
    }
    if (x > 710.0) {
        return HUGE_VAL;
    }
    if (x < -746.0) {
        return 0.0;
    }
    double result = 0.0;
    for (int n = 5;; n += 2) {
        uint32_t power[MAX_LIMBS];
        int k = exp_reduced(power, x, n);
        if (settled(&result, power, k, n)) {
            return result;
        }
    }
}

/* e^x - 1 for every double: 2^k*(r - 2^-k) for x > 0, where 2^-k may be cut by 1 ulp, and
   -(1 - r*2^k) for x < 0. |x| < 2^-53 is x itself; below -38, e^x < 2^-54. */
double bp_expm1_slow(double x) {
    if (x != x || fabs(x) < 0x1p-53) {
        return x;
    }
    if (x > 710.0) {
        return HUGE_VAL;
    }
    if (x < -38.0) {
        return -1.0;
    }
    double result = 0.0;
    for (int n = fabs(x) < 0x1p-24 ? 7 : 5;; n += 2) {
        uint32_t power[MAX_LIMBS], one[MAX_LIMBS];
        int k = exp_reduced(power, x, n);
        if (x > 0.0) {
            power_of_two(one, -k, n);
            subtract(power, power, one, n);
        } else {
            power_of_two(one, 0, n);
            shift_right(power, power, -k, n);
            subtract(power, one, power, n);
            k = 0;
        }
        if (settled(&result, power, k, n)) {
            return x > 0.0 ? result : -result;
        }
    }
}

/* log((s + tail)*2^scale), s normal, s + tail != 1, |tail| <= ulp(s)/2; `negative` is its sign, n
   the first precision.

   With s + tail = 2^k*m, 0.6875 <= m < 1.375, y = the quick phase's log(m) - 2^-44 and
   d = m*e^-y - 1, which lies between 2^-44.1 and 2^-43.9:
       log(m) = y + d - d^2/2 + d^3/3 - ...
   e^-y errs by 2^(squarings + 3) + 5 ulps (k is 0 or -1 in its reduction), m by 1, so d by less
   than 1.4*2^(squarings + 3) + 11; the series of at most 8 terms by 16, its rest by 1; k*log(2),
   |k| <= 1075, by 1075: in all less than 2^(squarings + 5). y is a multiple of 2^-100, hence exact.
 */
static double log_limbs(double s, double tail, int scale, int negative, int n) {
    uint64_t shifted = bp_bits(s) + UINT64_C(0x000a000000000000);
    int k = (int)(shifted >> 52) - 1023;
    double m = bp_from_bits(bp_bits(s) - (shifted >> 52 << 52) + (UINT64_C(1023) << 52));
    bp_log_parts quick = bp_log_quick(m, 0.0);
    double y = (quick.hi + (quick.lo - quick.half)) - 0x1p-44;
    double result = 0.0;
    for (;; n += 2) {
        uint32_t sum[MAX_LIMBS], part[MAX_LIMBS], d[MAX_LIMBS], power[MAX_LIMBS];
        from_double(sum, s, -k, n);
        from_double(part, tail, -k, n);
        add_signed(sum, sum, part, tail < 0.0, n);
        int shift = -exp_reduced(part, -y, n);
        multiply(d, sum, part, n);
        shift_right(d, d, shift, n);
        d[n - 1] -= 1;

        from_double(sum, y, 0, n);
        memset(power, 0, sizeof power);
        add_signed(sum, power, sum, y < 0.0, n);
        add(sum, sum, d, n);
        memcpy(power, d, (size_t)n * sizeof *d);
        for (int i = 2; 43 * i < 32 * (n - 1); i++) {
            multiply(power, power, d, n);
            divide_small(part, power, (uint32_t)i, n);
            add_signed(sum, sum, part, i % 2 == 0, n);
        }
        ln2_multiple(part, k + scale, n);
        add_signed(sum, sum, part, k + scale < 0, n);
        if (negative) {
            memset(power, 0, sizeof power);
            subtract(sum, power, sum, n);
        }
        if (settled(&result, sum, 0, n)) {
            return negative ? -result : result;
        }
    }
}

/* log(x) for every double. A subnormal x is scaled by 2^54 first; near 1.0, where the result is
   small beside the terms, the first precision is higher. */
double bp_log_slow(double x) {
    if (!(x > 0.0 && x <= DBL_MAX)) {
        if (x == 0.0) {
            return -HUGE_VAL;
        }
        return x < 0.0 ? (double)NAN : x;
    }
    if (x == 1.0) {
        return 0.0;
    }
    int n = fabs(x - 1.0) < 0x1p-24 ? 7 : 5;
    if (x < DBL_MIN) {
        return log_limbs(x * 0x1p+54, 0.0, -54, 1, n);
    }
    return log_limbs(x, 0.0, 0, x < 1.0, n);
}

/* log(1 + x) for every double; 1 + x = s + tail as in bp_log1p. */
double bp_log1p_slow(double x) {
    if (!(x > -1.0 && x <= DBL_MAX)) {
        if (x == -1.0) {
            return -HUGE_VAL;
        }
        return x < -1.0 ? (double)NAN : x;
    }
    if (fabs(x) < 0x1p-53) {
        return x;
    }
    double s = x + 1.0;
    double tail = x < 1.0 ? x - (s - 1.0) : 1.0 - (s - x);
    return log_limbs(s, tail, 0, x < 0.0, fabs(x) < 0x1p-24 ? 7 : 5);
}

/* Both phases on one lane: with BP_TARGET_SCALAR a vector is a double. */

double cr_exp(double x) { return bp_exp(x); }

double cr_expm1(double x) { return bp_expm1(x); }

double cr_log(double x) { return bp_log(x); }

double cr_log1p(double x) { return bp_log1p(x); }
