/* Correctly rounded (to nearest, ties to even) exp, expm1, log and log1p of a double.

   Each function is Ziv's scheme (Ziv 1991): a quick phase computes the value as hi + lo, two
   doubles, with an error below some e; if hi + (lo - e) and hi + (lo + e) round to the same double,
   that is the result. Otherwise, and for special values, bp_*_slow decides with integers; it is
   right for every double by itself. Without FMA: an exact product is one of factors with at most 53
   significant bits together.

   In the bounds, u is 2^-53: an operation with a result below 2^(i+1) errs by at most 2^i*u. The
   remainders of the quick phases follow Tang (1989, 1990, 1992); the high part of a double is split
   off by adding and subtracting a large number, or by masking (Dekker 1971). */
#ifndef BP_ELEMENTARY_H
#define BP_ELEMENTARY_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __FAST_MATH__
#error "the error bounds need IEEE arithmetic: compile without -ffast-math"
#endif
/* Method 1 widens float only. */
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 1
#error "the error bounds need doubles that are rounded to double: on i386 use -msse2 -mfpmath=sse"
#endif

typedef struct {
    uint64_t high, nearest; /* the bits of th and t */
    double tail;            /* tl */
} bp_exp_row;

typedef struct {
    double reciprocal, hi, lo;
} bp_log_row;

extern const bp_exp_row bp_exp_table[256];
extern const bp_log_row bp_log_table[256];

#include "elementary_tables.h"

double bp_exp_slow(double x);
double bp_expm1_slow(double x);
double bp_log_slow(double x);
double bp_log1p_slow(double x);

static inline uint64_t bp_bits(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double bp_from_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* x without its lowest 27 bits: 26 significant bits are left, whose square is exact. */
static inline double bp_upper(double x) {
    return bp_from_bits(bp_bits(x) & UINT64_C(0xfffffffff8000000));
}

/* The quick phase of exp, |x| <= 690: e^x = s + tail + middle + power up to 2^-69.3*s.

   k = x/(log(2)/256) rounded, |k| < 2^18; r = x - k*log(2)/256 = r1 - r2 with |r| < 2^-9.52. r1 is
   exact: k*STEP_HI is a multiple of 2^-43 below 2^10, and if k != 0, r1 is a multiple of ulp(x) >=
   2^-62 below 2^-9. r2 <= 2^-26 errs by 2^-79. one = 1 + rh has 27 bits, |r1 - rh| <= 2^-27, and th
   26, so s = th*one is exact. With 2^(k/256) = th*(1 + tl) and t its double,
       e^x = t*(1 + rh + rl + q) = s + s*tl + t*rl + t*q,   q = e^r - 1 - r < 2^-20.05.
   Errors in units of 2^-20*u*s: r (2^-63, times r) 1.4; r*r 0.5; t*(r*r) 1; two sums of the
   polynomial 2; their product 1; the polynomial itself 4 (2^-71); t, 2^-53 of q + rl, 1.1;
   s*tl + t*rl and its sums, all below 2^-24, 0.2; the caller's last sum, below 2^-19.9, 1.1: in all
   12.3, or 2^-69.3. Underflow adds nothing: s > 2^-997. */
typedef struct {
    double s, tail, middle, power;
} bp_exp_parts;

static inline bp_exp_parts bp_exp_quick(double x) {
    const double to_integer = 0x1.8p+52, to_26_bits = 0x1.8p+26;
    double shifted = x * BP_EXP_INVERSE + to_integer;
    double k = shifted - to_integer;
    double r1 = x - k * BP_EXP_STEP_HI;
    double r2 = k * BP_EXP_STEP_LO;
    double r = r1 - r2;
    double rounded = r1 + to_26_bits;
    double one = rounded - (to_26_bits - 1.0);
    double rl = (r1 - (rounded - to_26_bits)) - r2;

    /* The low bits of shifted hold k; adding k << 44 to a row puts k/256 into the exponent. */
    uint64_t index = bp_bits(shifted);
    const bp_exp_row *row = &bp_exp_table[index & 255];
    double th = bp_from_bits(row->high + (index << 44));
    double t = bp_from_bits(row->nearest + (index << 44));

    double square = r * r;
    double sum = (BP_EXP_C_2 + BP_EXP_C_3 * r) + square * (BP_EXP_C_4 + BP_EXP_C_5 * r);
    bp_exp_parts parts;
    parts.s = th * one;
    parts.tail = parts.s * row->tail;
    parts.middle = t * rl;
    parts.power = (t * square) * sum;
    return parts;
}

/* e^x, correctly rounded. e = 2^-68*s, 2.5 times the bound. */
static inline double bp_exp(double x) {
    if (!(fabs(x) <= 690.0)) {
        return bp_exp_slow(x);
    }
    bp_exp_parts p = bp_exp_quick(x);
    double e = p.s * 0x1p-68;
    double below = p.s + (p.power + (p.middle + (p.tail - e)));
    double above = p.s + (p.power + (p.middle + (p.tail + e)));
    return below == above ? below : bp_exp_slow(x);
}

/* e^x - 1, correctly rounded.

   |x| >= 2^-6: s - 1 is hi plus an exact remainder of at most 2^-53*max(s, 1), found by Dekker's
   sum, as s > 1 if and only if x > 0. It joins tail and adds less than 2^-105*max(s, 1) to the
   error of exp; e = 2^-68*max(s, 1).

   2^-53 <= |x| < 2^-6: x + x^2/2 + x^3*p with x^2 = xh^2 + xl*(x + xh), |xl| < 2^-25*|x|. xh^2/2
   and the sum hi = x + xh^2/2 with its remainder are exact. Errors in units of |x|^3/6*u: three
   products 3, p's two last sums 1.5, p itself 1.1, its inner terms 0.1, the sum of the remainder
   and x^3*p 1.1: 6.8, or 2^-52.8*|x|^3; all others 2^-81*|x|. e is 1.7 times as much. */
static inline double bp_expm1(double x) {
    double magnitude = fabs(x);
    if (magnitude < 0x1p-6) {
        if (magnitude < 0x1p-53) {
            return x; /* x^2/2 + ... is less than half the distance to x's neighbours */
        }
        double square = x * x;
        double xh = bp_upper(x), xl = x - xh;
        double half = 0.5 * (xh * xh);
        double hi = x + half;
        double rest = (half - (hi - x)) + 0.5 * (xl * (x + xh));
        double p = (BP_EXPM1_C_3 + BP_EXPM1_C_4 * x) +
                   square * ((BP_EXPM1_C_5 + BP_EXPM1_C_6 * x) +
                             square * (BP_EXPM1_C_7 + BP_EXPM1_C_8 * x));
        double cube = (x * square) * p;
        double e = magnitude * (square * 0x1p-52 + 0x1p-80);
        double below = hi + (cube + (rest - e));
        double above = hi + (cube + (rest + e));
        return below == above ? below : bp_expm1_slow(x);
    }
    if (!(magnitude <= 690.0)) {
        return bp_expm1_slow(x);
    }
    bp_exp_parts p = bp_exp_quick(x);
    double hi = p.s - 1.0;
    double tail, e;
    if (x < 0.0) {
        tail = p.tail + (p.s - (hi + 1.0));
        e = 0x1p-68;
    } else {
        tail = p.tail - (1.0 + (hi - p.s));
        e = p.s * 0x1p-68;
    }
    double below = hi + (p.power + (p.middle + (tail - e)));
    double above = hi + (p.power + (p.middle + (tail + e)));
    return below == above ? below : bp_expm1_slow(x);
}

/* The quick phase of log, s normal: log(s + tail) = hi + (lo - half) up to 2^-69.8.

   s + tail = 2^k*(mh + ml), mh a multiple of 2^-30, 0.6875 <= mh + ml < 1.375, |ml| <= 2^-31*1.1;
   |tail| <= ulp(s)/2, and 0 unless has_tail. With r the row's reciprocal of 13 bits, a multiple of
   2^-12, zh = mh*r - 1 is an exact multiple of 2^-42, and z = zh + zl is below 2^-8.9 in size.
   hi = k*LN2_HI - log(r)_hi + zh adds multiples of 2^-42 below 2^10, exactly.
   log(1 + z) = zh + zl - z^2/2 + z^3*p. Errors in units of 2^-72 = 2^-19*u: z (2^-62, times z) 2.1;
   z*z/2 1; lo - half, below 2^-18, 1; z^3*p, below 2^-28.2, the sums in lo, below 2^-28, 0.02; the
   polynomial 0.25: 4.4, or 2^-69.8. */
typedef struct {
    double hi, lo, half;
} bp_log_parts;

static inline bp_log_parts bp_log_quick(double s, double tail, int has_tail) {
    const double to_30_bits = 0x1.8p+22;
    /* 1 - 0.6875 in units of the mantissa: the exponent field becomes k + 1023. */
    uint64_t shifted = bp_bits(s) + UINT64_C(0x000a000000000000);
    uint64_t field = shifted >> 52;
    const bp_log_row *row = &bp_log_table[shifted >> 44 & 255];
    double k = (double)((int)field - 1023);
    double m = bp_from_bits(bp_bits(s) - (field << 52) + (UINT64_C(1023) << 52));
    double mh = (m + to_30_bits) - to_30_bits;
    double ml = m - mh;
    if (has_tail) {
        ml = ml + tail * bp_from_bits((UINT64_C(2046) - field) << 52);
    }
    double zh = mh * row->reciprocal - 1.0;
    double zl = ml * row->reciprocal;
    double z = zh + zl;
    double square = z * z;
    double p = (BP_LOG_C_3 + BP_LOG_C_4 * z) +
               square * ((BP_LOG_C_5 + BP_LOG_C_6 * z) + square * BP_LOG_C_7);
    bp_log_parts parts;
    parts.hi = (k * BP_LN2_HI + row->hi) + zh;
    parts.lo = (zl + (k * BP_LN2_LO + row->lo)) + (z * square) * p;
    parts.half = 0.5 * square;
    return parts;
}

/* The end of log(s + tail) if it is decided, else NaN. e = 2^-69, 1.7 times the bound. */
static inline double bp_log_rounded(double s, double tail, int has_tail) {
    bp_log_parts p = bp_log_quick(s, tail, has_tail);
    double below = p.hi + ((p.lo - 0x1p-69) - p.half);
    double above = p.hi + ((p.lo + 0x1p-69) - p.half);
    return below == above ? below : (double)NAN;
}

/* log(1 + x) for 2^-53 <= |x| < 2^-6 or x = 0 if it is decided, else NaN: x - x^2/2 + x^3*p, as in
   expm1. p has three last sums: in units of |x|^3/3*u the error is 7.6, or 2^-51.6*|x|^3, and e 1.5
   times as much. */
static inline double bp_log1p_near(double x) {
    double square = x * x;
    double xh = bp_upper(x), xl = x - xh;
    double half = 0.5 * (xh * xh);
    double hi = x - half;
    double rest = ((x - hi) - half) - 0.5 * (xl * (x + xh));
    double fourth = square * square;
    double p =
        ((BP_LOG1P_C_3 + BP_LOG1P_C_4 * x) + square * (BP_LOG1P_C_5 + BP_LOG1P_C_6 * x)) +
        fourth * ((BP_LOG1P_C_7 + BP_LOG1P_C_8 * x) + square * (BP_LOG1P_C_9 + BP_LOG1P_C_10 * x));
    double cube = (x * square) * p;
    double e = fabs(x) * (square * 0x1p-51 + 0x1p-80);
    double below = hi + (cube + (rest - e));
    double above = hi + (cube + (rest + e));
    return below == above ? below : (double)NAN;
}

/* log(x), correctly rounded. */
static inline double bp_log(double x) {
    double result = (double)NAN;
    if (fabs(x - 1.0) < 0x1p-6) {
        result = bp_log1p_near(x - 1.0); /* exact */
    } else if (x >= DBL_MIN && x <= DBL_MAX) {
        result = bp_log_rounded(x, 0.0, 0);
    }
    return result == result ? result : bp_log_slow(x);
}

/* log(1 + x), correctly rounded; beyond 2^-6 by 1 + x = s + tail, exactly (Dekker's sum). */
static inline double bp_log1p(double x) {
    double result = (double)NAN;
    double magnitude = fabs(x);
    if (magnitude < 0x1p-6) {
        if (magnitude < 0x1p-53) {
            return x; /* x^2/2 + ... is less than half the distance to x's neighbours */
        }
        result = bp_log1p_near(x);
    } else if (x > -1.0 && x <= 0x1p+1000) {
        double s = x + 1.0;
        double tail = x < 1.0 ? x - (s - 1.0) : 1.0 - (s - x);
        result = bp_log_rounded(s, tail, 1);
    }
    return result == result ? result : bp_log1p_slow(x);
}

double cr_exp(double x);
double cr_expm1(double x);
double cr_log(double x);
double cr_log1p(double x);

#endif
