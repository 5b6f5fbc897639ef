/* Correctly rounded (to nearest, ties to even) exp, expm1, log and log1p of a double.

   Each function is Ziv's scheme (Ziv 1991): a quick phase (quick.h) computes the value as hi + lo,
   two doubles, with an error below some e; if hi + (lo - e) and hi + (lo + e) round to the same
   double, that is the result. Otherwise, and for special values, bp_*_slow decides with integers;
   it is right for every double by itself. cr_* are both phases, for one double. */
#ifndef BP_ELEMENTARY_H
#define BP_ELEMENTARY_H

#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __FAST_MATH__
#error "the error bounds need IEEE arithmetic: compile without -ffast-math"
#endif
/* FLT_EVAL_METHOD 1 widens only float, which is not used. */
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 1
#error "the error bounds need doubles that are rounded to double: on i386 use -msse2 -mfpmath=sse"
#endif

/* The functions: X(name) for each. Tables of them have this order. */
#define BP_ELEMENTARY(X)                                                                           \
    X(exp)                                                                                         \
    X(expm1)                                                                                       \
    X(log)                                                                                         \
    X(log1p)

/* Rows j of the table of exp: 2^(j/256) = high*(1 + tail), high of 26 bits. Adding k << 44 to
 * high's bits, k = 256*q + j, must add q to its exponent, so that field is stored lowered by j/256.
 */
extern const double bp_exp_table[2 * 256];
/* Rows of the table of log, one for each interval of mantissas with equal leading bits: a
 * reciprocal r of the interval, -log(r) as hi + lo, and 0.0, which fills the row. */
extern const double bp_log_table[4 * 256];

#include "elementary_tables.h"

/* The slow phases. */
double bp_exp_slow(double x);
double bp_expm1_slow(double x);
double bp_log_slow(double x);
double bp_log1p_slow(double x);

/* Both phases. */
double cr_exp(double x);
double cr_expm1(double x);
double cr_log(double x);
double cr_log1p(double x);

#endif
