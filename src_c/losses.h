/* Losses (N4): the loss of each sample, and the slopes that begin the backward pass.
 *
 * Shapes: z, o, t (rows, n), net inputs, outputs and targets of the last layer; L (rows);
 * softmax_stats (rows, 2), m and S of each row (bp_softmax_row). A sample's loss is L = 0.0, then
 * its terms in increasing j, one addition after the other: the order is part of the contract, so
 * lanes never run over the terms of one sum. Where a term needs an elementary function, vectors of
 * terms are computed first and then added in that order.
 *
 * In a loop over samples, o, t and z advance by n: they point to the sample's row. */
#ifndef BP_LOSSES_H
#define BP_LOSSES_H

#include <float.h>

#include "activations.h"
#include "kernel.h"
#include "quick.h"
#include "vector.h"

/* term = (t - o)^2/2. */
static void bp_squared_error(ptrdiff_t rows, ptrdiff_t n, const double *z, const double *o,
                             const double *t, const double *softmax_stats, double *L) {
    (void)z, (void)softmax_stats;
    for (ptrdiff_t s = 0; s < rows; s++, o += n, t += n) {
        L[s] = 0.0;
        for (ptrdiff_t j = 0; j < n; j++) {
            double d = t[j] - o[j];
            L[s] = L[s] + 0.5 * (d * d);
        }
    }
}

/* term = -t*log(o), o being softmax's output: -(t*((z - m) - log(S))), where t is not 0.0. log(o)
 * itself would be -infinity where o underflows to 0.0, and 0.0*log(o) then a NaN. log(S) is
 * computed for BP_LANES samples at a time; lanes beyond the last sample get 2.0, which is quick. */
static void bp_cross_entropy(ptrdiff_t rows, ptrdiff_t n, const double *z, const double *o,
                             const double *t, const double *softmax_stats, double *L) {
    (void)o;
    for (ptrdiff_t start = 0; start < rows; start += BP_LANES) {
        ptrdiff_t stop = bp_least(rows - start, BP_LANES);
        double log_S[BP_LANES];
        for (ptrdiff_t s = 0; s < BP_LANES; s++)
            log_S[s] = s < stop ? softmax_stats[2 * (start + s) + 1] : 2.0;
        bp_store(log_S, bp_log(bp_load(log_S)));
        for (ptrdiff_t s = 0; s < stop; s++, z += n, t += n) {
            /* m is the largest z of the sample, so that no e^(z - m) of S overflows. */
            double m = softmax_stats[2 * (start + s)], sum = 0.0;
            for (ptrdiff_t j = 0; j < n; j++)
                if (t[j] != 0.0)
                    sum = sum + -(t[j] * ((z[j] - m) - log_S[s]));
            L[start + s] = sum;
        }
    }
}

/* term = -t*log(o) - (1 - t)*log(1 - o), o the logistic function of z: (max(z, 0) - z*t) + log(1 +
 * e^-|z|), which is finite for every finite z. The rows*n terms are computed CHUNK at a time,
 * whatever sample they belong to, since n is often 1; s and j say where the next one is added. */
static void bp_binary_cross_entropy(ptrdiff_t rows, ptrdiff_t n, const double *z, const double *o,
                                    const double *t, const double *softmax_stats, double *L) {
    enum { CHUNK = 64 };
    double term[CHUNK];
    ptrdiff_t s = 0, j = 0;
    (void)o, (void)softmax_stats;
    for (ptrdiff_t start = 0; start < rows * n; start += CHUNK) {
        ptrdiff_t stop = bp_least(rows * n - start, CHUNK);
        for (ptrdiff_t k = 0; k < stop; k += BP_LANES) {
            bp_part part = bp_part_of(bp_least(stop - k, BP_LANES));
            bp_vec z_k = bp_load_last(z + start + k, part), t_k = bp_load_part(t + start + k, part);
            bp_store_part(term + k, part,
                          (bp_positive(z_k) - z_k * t_k) + bp_log1p(bp_exp(-bp_abs(z_k))));
        }
        /* Each term goes to its sample, which term j = 0 begins. */
        for (ptrdiff_t k = 0; k < stop; k++) {
            L[s] = (j == 0 ? 0.0 : L[s]) + term[k];
            j++;
            if (j == n)
                s++, j = 0;
        }
    }
}

/* term = |t - o|. */
static void bp_absolute_error(ptrdiff_t rows, ptrdiff_t n, const double *z, const double *o,
                              const double *t, const double *softmax_stats, double *L) {
    (void)z, (void)softmax_stats;
    for (ptrdiff_t s = 0; s < rows; s++, o += n, t += n) {
        L[s] = 0.0;
        for (ptrdiff_t j = 0; j < n; j++)
            L[s] = L[s] + fabs(t[j] - o[j]);
    }
}

/* term = d^2/2 up to |d| = 1, then |d| - 1/2, d = t - o (Huber 1964). */
static void bp_huber(ptrdiff_t rows, ptrdiff_t n, const double *z, const double *o, const double *t,
                     const double *softmax_stats, double *L) {
    (void)z, (void)softmax_stats;
    for (ptrdiff_t s = 0; s < rows; s++, o += n, t += n) {
        L[s] = 0.0;
        for (ptrdiff_t j = 0; j < n; j++) {
            double d = fabs(t[j] - o[j]);
            L[s] = L[s] + (d > 1.0 ? d - 0.5 : 0.5 * (d * d));
        }
    }
}

/* term = o - t*z, o = e^z: the negative log-likelihood of a count t without its log(t!). */
static void bp_poisson(ptrdiff_t rows, ptrdiff_t n, const double *z, const double *o,
                       const double *t, const double *softmax_stats, double *L) {
    (void)softmax_stats;
    for (ptrdiff_t s = 0; s < rows; s++, z += n, o += n, t += n) {
        L[s] = 0.0;
        for (ptrdiff_t j = 0; j < n; j++)
            L[s] = L[s] + (o[j] - t[j] * z[j]);
    }
}

/* The slope dL/do of absolute_error (high 0.0) and huber (1.0), d = o - t: 1.0 above high, -1.0
 * below -high, else d itself, so that a NaN stays one. */
BP_INLINE bp_vec bp_slope(bp_vec d, double high) {
    return bp_select(bp_less(bp_set(high), d), bp_set(1.0),
                     bp_select(bp_less(d, bp_set(-high)), bp_set(-1.0), d));
}

/* delta = the slope for n outputs a and targets t; times_derivative (activations.h) completes it.
 */
BP_INLINE void bp_slopes(double high, ptrdiff_t n, const double *a, const double *t,
                         double *delta) {
    for (ptrdiff_t k = 0; k < n; k += BP_LANES) {
        bp_part part = bp_part_of(bp_least(n - k, BP_LANES));
        bp_vec d = bp_load_part(a + k, part) - bp_load_part(t + k, part);
        bp_store_part(delta + k, part, bp_slope(d, high));
    }
}

/* The two losses whose slope is not o - t. */
static void bp_absolute_error_slopes(ptrdiff_t n, const double *a, const double *t, double *delta) {
    bp_slopes(0.0, n, a, t, delta);
}

static void bp_huber_slopes(ptrdiff_t n, const double *a, const double *t, double *delta) {
    bp_slopes(1.0, n, a, t, delta);
}

/* The table of losses. A row: name, of the loss and its function above; slopes, NULL where the
 * slope is o - t; whether the output delta is multiplied by the activation's derivative; the
 * smallest and the largest target; whether a row of targets must sum to 1; the output activation it
 * needs, "" for any that has a derivative. */
static const bp_loss bp_losses[] = {
#define BP_ENTRY(name, ...) {#name, bp_##name, __VA_ARGS__}
    BP_ENTRY(squared_error, NULL, 1, -DBL_MAX, DBL_MAX, 0, ""),
    BP_ENTRY(cross_entropy, NULL, 0, 0.0, DBL_MAX, 1, "softmax"),
    BP_ENTRY(binary_cross_entropy, NULL, 0, 0.0, 1.0, 0, "logistic"),
    BP_ENTRY(absolute_error, bp_absolute_error_slopes, 1, -DBL_MAX, DBL_MAX, 0, ""),
    BP_ENTRY(huber, bp_huber_slopes, 1, -DBL_MAX, DBL_MAX, 0, ""),
    BP_ENTRY(poisson, NULL, 0, 0.0, DBL_MAX, 0, "exponential"),
#undef BP_ENTRY
    {NULL, NULL, NULL, 0, 0.0, 0.0, 0, NULL},
};

#endif
