/* Quick phases of elementary.h, on all lanes of a vector (vector.h) at once.

   A product is exact if its factors have at most 53 significant bits together, and every exact one
   here is of that kind, so FMA is not needed. Where bp_muladd may use one, it only saves a
   rounding.

   Every bound that is stated here is proved by tools/prove_bounds.py, operation by operation. The
   remainders follow Tang (1989, 1990, 1992); the high part of a double is split off by adding and
   subtracting a large number, or by masking (Dekker 1971).

   Lanes that the rounding test does not decide go on, all together, to a function named *_rest:
   where a formula for small results fits the argument it tries that, and lanes that are left take
   the slow phase one by one. It is not inlined, as it is rare: one random argument in ten thousand,
   special values, and arguments where the result is tiny. */
#ifndef BP_QUICK_H
#define BP_QUICK_H

#include "elementary.h"
#include "vector.h"

/* result with slow(x) in the lanes that are set in `lanes`. */
BP_INLINE bp_vec bp_slow_lanes(double (*slow)(double), bp_vec x, bp_vec result, unsigned lanes) {
    double from[BP_LANES], to[BP_LANES];
    bp_store(from, x);
    bp_store(to, result);
    for (int lane = 0; lane < BP_LANES; lane++)
        if ((lanes >> lane & 1) != 0)
            to[lane] = slow(from[lane]);
    return bp_load(to);
}

/* x without its lowest 27 bits: 26 significant bits are left, whose square is exact. */
BP_INLINE bp_vec bp_upper(bp_vec x) {
    return bp_from_bits(bp_bits(x) & UINT64_C(0xfffffffff8000000));
}

/* The quick phase of exp, |x| <= 690: e^x = s + (s*tl + t*m) up to 2^-69.5*s.

   k = x/(log(2)/256) rounded, |k| < 2^18; r = x - k*log(2)/256 = r1 - r2 with |r| < 2^-9.52. r1 is
   exact: k*STEP_HI is a multiple of 2^-43 below 2^10, and if k != 0, r1 is a multiple of ulp(x) >=
   2^-62 below 2^-9. r2 <= 2^-26 errs by 2^-79. 1 + rh has 27 bits, |r1 - rh| <= 2^-27, and th 26,
   so th*rh and s = th*(1 + rh) are exact. 2^(k/256) is th*(1 + tl), and t its double. With
   q = e^r - 1 - r < 2^-20.05 and m = rl + q, e^x is s + s*tl + t*m. */
typedef struct {
    bp_vec s, tl, t, m;
} bp_exp_parts;

BP_INLINE bp_exp_parts bp_exp_quick(bp_vec x) {
    const bp_vec to_integer = bp_set(0x1.8p+52), to_26_bits = bp_set(0x1.8p+26);
    const bp_vec step_hi = bp_set(BP_EXP_STEP_HI), step_lo = bp_set(BP_EXP_STEP_LO);
    bp_vec shifted = bp_muladd(x, bp_set(BP_EXP_INVERSE), to_integer);
    bp_vec k = shifted - to_integer;
    bp_vec r1 = bp_nmuladd(k, step_hi, x);
    bp_vec r = bp_nmuladd(k, step_lo, r1);
    bp_vec rounded = r1 + to_26_bits;
    bp_vec rh = rounded - to_26_bits;
    bp_vec rl = bp_nmuladd(k, step_lo, r1 - rh);

    /* The low bits of shifted hold k; adding k << 44 to a row puts k/256 into the exponent. */
    bp_ivec index = bp_bits(shifted);
    bp_vec high, tl;
    bp_lookup(bp_exp_table, (index & 255) << 1, &high, &tl);
    bp_vec th = bp_from_bits(bp_bits(high) + (index << 44));

    bp_vec square = r * r;
    bp_vec sum = bp_muladd(square, bp_muladd(bp_set(BP_EXP_C_5), r, bp_set(BP_EXP_C_4)),
                           bp_muladd(bp_set(BP_EXP_C_3), r, bp_set(BP_EXP_C_2)));
    return (bp_exp_parts){bp_muladd(th, rh, th), tl, bp_muladd(th, tl, th),
                          bp_muladd(square, sum, rl)};
}

/* exp has no formula for small results: the slow phase. */
BP_COLD bp_vec bp_exp_rest(bp_vec x, bp_vec result, unsigned lanes) {
    return bp_slow_lanes(bp_exp_slow, x, result, lanes);
}

/* e^x, correctly rounded. The radius is e*s with e = 2^-69, 1.4 times the bound. It is added to tl,
   not to the result, since tl is known early: there the addition delays nothing. */
BP_INLINE bp_vec bp_exp(bp_vec x) {
    const bp_vec e = bp_set(0x1p-69);
    bp_exp_parts p = bp_exp_quick(x);
    bp_vec below = p.s + bp_muladd(p.t, p.m, p.s * (p.tl - e));
    bp_vec above = p.s + bp_muladd(p.t, p.m, p.s * (p.tl + e));
    bp_mask decided = bp_and(bp_equal(below, above), bp_less_equal(bp_abs(x), bp_set(690.0)));
    unsigned rest = bp_others(decided);
    return rest == 0 ? below : bp_exp_rest(x, below, rest);
}

/* 2^-53 <= |x| < 2^-6: x + x^2/2 + x^3*p with x^2 = xh^2 + xl*(x + xh), |xl| < 2^-25*|x|. xh^2/2
   and the sum hi = x + xh^2/2 with its remainder are exact. The rest errs by 2^-53*|x|^3 +
   2^-81*|x|; e is twice that. Below 2^-53, x^2/2 + ... is less than half the distance to x's
   neighbours. */
BP_COLD bp_vec bp_expm1_rest(bp_vec x, bp_vec result, unsigned lanes) {
    bp_vec magnitude = bp_abs(x), square = x * x;
    bp_vec xh = bp_upper(x), xl = x - xh;
    bp_vec half = 0.5 * (xh * xh);
    bp_vec hi = x + half;
    bp_vec rest = (half - (hi - x)) + 0.5 * (xl * (x + xh));
    bp_vec p = bp_muladd(square,
                         bp_muladd(square, bp_muladd(bp_set(BP_EXPM1_C_8), x, bp_set(BP_EXPM1_C_7)),
                                   bp_muladd(bp_set(BP_EXPM1_C_6), x, bp_set(BP_EXPM1_C_5))),
                         bp_muladd(bp_set(BP_EXPM1_C_4), x, bp_set(BP_EXPM1_C_3)));
    bp_vec cube = (x * square) * p;
    bp_vec e = magnitude * (square * 0x1p-52 + 0x1p-80);
    bp_vec below = hi + (cube + (rest - e));
    bp_vec above = hi + (cube + (rest + e));
    bp_mask decided = bp_and(bp_less(magnitude, bp_set(0x1p-6)), bp_equal(below, above));
    bp_mask tiny = bp_less(magnitude, bp_set(0x1p-53));
    result = bp_select(tiny, x, bp_select(decided, below, result));
    lanes &= ~(bp_lanes_of(decided) | bp_lanes_of(tiny));
    return bp_slow_lanes(bp_expm1_slow, x, result, lanes);
}

/* e^x - 1, correctly rounded: s - 1 is hi plus an exact remainder of at most 2^-53*max(s, 1), found
   by Dekker's sum, as s >= 1 for x > 0 and s <= 1 for x < 0. It joins the low parts; with the
   rounding of that sum the error is 2^-69.4*max(s, 1), and e = 2^-69*max(s, 1) 1.3 times as much.
 */
BP_INLINE bp_vec bp_expm1_from(bp_vec x, bp_mask usual, bp_exp_parts p, bp_vec hi, bp_vec remainder,
                               bp_vec e) {
    bp_vec low = bp_muladd(p.t, p.m, p.s * p.tl);
    bp_vec below = hi + (low + (remainder - e));
    bp_vec above = hi + (low + (remainder + e));
    unsigned rest = bp_others(bp_and(bp_equal(below, above), usual));
    return rest == 0 ? below : bp_expm1_rest(x, below, rest);
}

BP_INLINE bp_vec bp_expm1(bp_vec x) {
    bp_exp_parts p = bp_exp_quick(x);
    bp_vec hi = p.s - 1.0;
    bp_mask negative = bp_less(x, bp_set(0.0));
    bp_vec remainder = bp_select(negative, p.s - (hi + 1.0), (p.s - hi) - 1.0);
    return bp_expm1_from(x, bp_less_equal(bp_abs(x), bp_set(690.0)), p, hi, remainder,
                         bp_select(negative, bp_set(0x1p-69), p.s * 0x1p-69));
}

/* e^x - 1, correctly rounded, for x <= 0 or NaN: s <= 1, so Dekker's sum has one case. */
BP_INLINE bp_vec bp_expm1_of_negative(bp_vec x) {
    bp_exp_parts p = bp_exp_quick(x);
    bp_vec hi = p.s - 1.0;
    return bp_expm1_from(x, bp_less_equal(bp_set(-690.0), x), p, hi, p.s - (hi + 1.0),
                         bp_set(0x1p-69));
}

/* The quick phase of log: log(s + tail) = hi + (lo - half) up to 2^-69.9, for s normal and below
   1.375*2^1023, |tail| <= ulp(s)/2, and tail = 0 beyond 2^1001.

   s + tail = 2^k*(mh + ml), mh a multiple of 2^-30, mh + ml from 0.6875 (less 2^-54, with a tail)
   to 1.375, |ml| <= 2^-31 + 2^-53. With r the row's reciprocal of 13 bits, a multiple of 2^-12, zh
   = mh*r - 1 is an exact multiple of 2^-42, and z = zh + zl is below 2^-8.9 in size. hi = k*LN2_HI
   - log(r)_hi + zh adds multiples of 2^-42 below 2^10, exactly. log(1 + z) = zh + zl - z^2/2 +
   z^3*p; the largest errors are those of z (2^-62, times z), z*z/2 and lo - half.
   Above 1.375*2^1023 the result is a NaN, which decides nothing. */
typedef struct {
    bp_vec hi, lo, half;
} bp_log_parts;

BP_INLINE bp_log_parts bp_log_quick(bp_vec s, bp_vec tail) {
    const bp_vec to_30_bits = bp_set(0x1.8p+22);
    /* 1 - 0.6875 in units of the mantissa: the exponent field becomes k + 1023. */
    bp_ivec shifted = bp_bits(s) + UINT64_C(0x000a000000000000);
    bp_ivec field = shifted >> 52, row = (shifted >> 44 & 255) << 2;
    bp_vec reciprocal, row_hi, row_lo, zero;
    bp_lookup(bp_log_table, row, &reciprocal, &row_hi);
    bp_lookup(bp_log_table + 2, row, &row_lo, &zero);
    /* The field as the low bits of 2^52. */
    bp_vec k = bp_from_bits(field + UINT64_C(0x4330000000000000)) - (0x1p+52 + 1023.0);
    bp_vec m = bp_from_bits(bp_bits(s) - (field << 52) + UINT64_C(0x3ff0000000000000));
    bp_vec mh = (m + to_30_bits) - to_30_bits;
    bp_vec ml = bp_muladd(tail, bp_from_bits((UINT64_C(2046) - field) << 52), m - mh);
    bp_vec zh = mh * reciprocal - 1.0;
    bp_vec zl = ml * reciprocal;
    bp_vec z = zh + zl;
    bp_vec square = z * z;
    bp_vec p = bp_muladd(
        square,
        bp_muladd(square, bp_set(BP_LOG_C_7), bp_muladd(bp_set(BP_LOG_C_6), z, bp_set(BP_LOG_C_5))),
        bp_muladd(bp_set(BP_LOG_C_4), z, bp_set(BP_LOG_C_3)));
    bp_log_parts parts;
    parts.hi = bp_muladd(k, bp_set(BP_LN2_HI), row_hi) + zh;
    parts.lo = bp_muladd(z * square, p, zl + bp_muladd(k, bp_set(BP_LN2_LO), row_lo));
    parts.half = 0.5 * square;
    return parts;
}

/* The rounding test of log: whether both ends of the error interval round to the same double, which
 * is below. The radius is 2^-69, 1.9 times the bound. */
BP_INLINE bp_mask bp_log_decided(bp_log_parts p, bp_vec *below) {
    bp_vec above = p.hi + ((p.lo + 0x1p-69) - p.half);
    *below = p.hi + ((p.lo - 0x1p-69) - p.half);
    return bp_equal(*below, above);
}

/* log(1 + x) for 2^-53 <= |x| < 2^-6: x - x^2/2 + x^3*p, as in expm1, with an error of
   2^-51.8*|x|^3 + 2^-81*|x|, of which e is 1.8 times. */
BP_INLINE bp_mask bp_log1p_near(bp_vec x, bp_vec *below) {
    bp_vec square = x * x;
    bp_vec xh = bp_upper(x), xl = x - xh;
    bp_vec half = 0.5 * (xh * xh);
    bp_vec hi = x - half;
    bp_vec rest = ((x - hi) - half) - 0.5 * (xl * (x + xh));
    bp_vec fourth = square * square;
    bp_vec low = bp_muladd(square, bp_muladd(bp_set(BP_LOG1P_C_6), x, bp_set(BP_LOG1P_C_5)),
                           bp_muladd(bp_set(BP_LOG1P_C_4), x, bp_set(BP_LOG1P_C_3)));
    bp_vec high = bp_muladd(square, bp_muladd(bp_set(BP_LOG1P_C_10), x, bp_set(BP_LOG1P_C_9)),
                            bp_muladd(bp_set(BP_LOG1P_C_8), x, bp_set(BP_LOG1P_C_7)));
    bp_vec cube = (x * square) * bp_muladd(fourth, high, low);
    bp_vec e = bp_abs(x) * (square * 0x1p-51 + 0x1p-80);
    bp_vec above = hi + (cube + (rest + e));
    *below = hi + (cube + (rest - e));
    return bp_equal(*below, above);
}

/* log(x) near 1.0 as log1p(x - 1.0), which is exact there (Sterbenz), else the slow phase. */
BP_COLD bp_vec bp_log_rest(bp_vec x, bp_vec result, unsigned lanes) {
    bp_vec below, d = x - 1.0; /* exact where it is used */
    bp_mask decided = bp_and(bp_log1p_near(d, &below), bp_less(bp_abs(d), bp_set(0x1p-6)));
    result = bp_select(decided, below, result);
    return bp_slow_lanes(bp_log_slow, x, result, lanes & ~bp_lanes_of(decided));
}

/* log(x), correctly rounded. */
BP_INLINE bp_vec bp_log(bp_vec x) {
    bp_vec below;
    bp_mask decided = bp_log_decided(bp_log_quick(x, bp_set(0.0)), &below);
    bp_mask normal = bp_and(bp_less_equal(bp_set(DBL_MIN), x), bp_less_equal(x, bp_set(DBL_MAX)));
    unsigned rest = bp_others(bp_and(decided, normal));
    return rest == 0 ? below : bp_log_rest(x, below, rest);
}

/* log1p for small x; |x| < 2^-53 is x itself; else the slow phase. */
BP_COLD bp_vec bp_log1p_rest(bp_vec x, bp_vec result, unsigned lanes) {
    bp_vec below;
    bp_mask decided = bp_and(bp_log1p_near(x, &below), bp_less(bp_abs(x), bp_set(0x1p-6)));
    bp_mask tiny = bp_less(bp_abs(x), bp_set(0x1p-53));
    result = bp_select(tiny, x, bp_select(decided, below, result));
    lanes &= ~(bp_lanes_of(decided) | bp_lanes_of(tiny));
    return bp_slow_lanes(bp_log1p_slow, x, result, lanes);
}

/* log(1 + x), correctly rounded; 1 + x = s + tail, exactly (Dekker's sum). */
BP_INLINE bp_vec bp_log1p(bp_vec x) {
    bp_vec below, s = x + 1.0;
    bp_vec tail = bp_select(bp_less(x, bp_set(1.0)), x - (s - 1.0), 1.0 - (s - x));
    bp_mask decided = bp_log_decided(bp_log_quick(s, tail), &below);
    bp_mask normal = bp_and(bp_less(bp_set(-1.0), x), bp_less_equal(x, bp_set(0x1p+1000)));
    unsigned rest = bp_others(bp_and(decided, normal));
    return rest == 0 ? below : bp_log1p_rest(x, below, rest);
}

#endif
