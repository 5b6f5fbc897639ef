/* The losses of samples (N4): for each row, L = 0.0, then its terms in increasing j. */
#ifndef BP_LOSSES_H
#define BP_LOSSES_H

#include <float.h>

#include "activations.h"
#include "kernel.h"
#include "quick.h"
#include "vector.h"

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

/* softmax_stats (rows, 2) is softmax's largest z and sum. */
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
            double m = softmax_stats[2 * (start + s)], sum = 0.0;
            for (ptrdiff_t j = 0; j < n; j++)
                if (t[j] != 0.0)
                    sum = sum + -(t[j] * ((z[j] - m) - log_S[s]));
            L[start + s] = sum;
        }
    }
}

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
        for (ptrdiff_t k = 0; k < stop; k++) {
            L[s] = (j == 0 ? 0.0 : L[s]) + term[k];
            j++;
            if (j == n)
                s++, j = 0;
        }
    }
}

static void bp_absolute_error(ptrdiff_t rows, ptrdiff_t n, const double *z, const double *o,
                              const double *t, const double *softmax_stats, double *L) {
    (void)z, (void)softmax_stats;
    for (ptrdiff_t s = 0; s < rows; s++, o += n, t += n) {
        L[s] = 0.0;
        for (ptrdiff_t j = 0; j < n; j++)
            L[s] = L[s] + fabs(t[j] - o[j]);
    }
}

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

static void bp_poisson(ptrdiff_t rows, ptrdiff_t n, const double *z, const double *o,
                       const double *t, const double *softmax_stats, double *L) {
    (void)softmax_stats;
    for (ptrdiff_t s = 0; s < rows; s++, z += n, o += n, t += n) {
        L[s] = 0.0;
        for (ptrdiff_t j = 0; j < n; j++)
            L[s] = L[s] + (o[j] - t[j] * z[j]);
    }
}

/* 1.0 above high, -1.0 below -high, else d itself. */
BP_INLINE bp_vec bp_slope(bp_vec d, double high) {
    return bp_select(bp_less(bp_set(high), d), bp_set(1.0),
                     bp_select(bp_less(d, bp_set(-high)), bp_set(-1.0), d));
}

BP_INLINE void bp_slopes(double high, ptrdiff_t n, const double *a, const double *t,
                         double *delta) {
    for (ptrdiff_t k = 0; k < n; k += BP_LANES) {
        bp_part part = bp_part_of(bp_least(n - k, BP_LANES));
        bp_vec d = bp_load_part(a + k, part) - bp_load_part(t + k, part);
        bp_store_part(delta + k, part, bp_slope(d, high));
    }
}

static void bp_absolute_error_slopes(ptrdiff_t n, const double *a, const double *t, double *delta) {
    bp_slopes(0.0, n, a, t, delta);
}

static void bp_huber_slopes(ptrdiff_t n, const double *a, const double *t, double *delta) {
    bp_slopes(1.0, n, a, t, delta);
}

static const bp_loss bp_losses[] = {
    {"squared_error", bp_squared_error, NULL, 1, -DBL_MAX, DBL_MAX, 0, ""},
    {"cross_entropy", bp_cross_entropy, NULL, 0, 0.0, DBL_MAX, 1, "softmax"},
    {"binary_cross_entropy", bp_binary_cross_entropy, NULL, 0, 0.0, 1.0, 0, "logistic"},
    {"absolute_error", bp_absolute_error, bp_absolute_error_slopes, 1, -DBL_MAX, DBL_MAX, 0, ""},
    {"huber", bp_huber, bp_huber_slopes, 1, -DBL_MAX, DBL_MAX, 0, ""},
    {"poisson", bp_poisson, NULL, 0, 0.0, DBL_MAX, 0, "exponential"},
    {NULL, NULL, NULL, 0, 0.0, 0.0, 0, NULL},
};

#endif
