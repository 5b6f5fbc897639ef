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
/* Method 1 widens float only. */
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 1
#error "the error bounds need doubles that are rounded to double: on i386 use -msse2 -mfpmath=sse"
#endif

/* 2^(j/256) = high*(1 + tail), high of 26 bits; the exponent field of high is lowered by j/256. */
extern const double bp_exp_table[2 * 256];
/* For mantissas with equal leading bits: a reciprocal r; -log(r) as hi + lo; 0.0. */
extern const double bp_log_table[4 * 256];

#include "elementary_tables.h"

double bp_exp_slow(double x);
double bp_expm1_slow(double x);
double bp_log_slow(double x);
double bp_log1p_slow(double x);

double cr_exp(double x);
double cr_expm1(double x);
double cr_log(double x);
double cr_log1p(double x);

#endif
