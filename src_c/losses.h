/* The losses of samples (N4): for each row, L = 0.0, then its terms in increasing j. */
#ifndef BP_LOSSES_H
#define BP_LOSSES_H

#include <float.h>

#include "activations.h"
#include "kernel.h"
#include "quick.h"
#include "vector.h"

static void bp_squared_error(ptrdiff_t rows, ptrdiff_t n, const double *z, const double *o,
                             const double *t, const double *scale, double *L) {
    (void)z, (void)scale;
    for (ptrdiff_t s = 0; s < rows; s++, o += n, t += n) {
        L[s] = 0.0;
        for (ptrdiff_t j = 0; j < n; j++) {
            double d = t[j] - o[j];
            L[s] = L[s] + 0.5 * (d * d);
        }
    }
}

/* scale (rows, 2) is softmax's largest z and sum. */
static void bp_cross_entropy(ptrdiff_t rows, ptrdiff_t n, const double *z, const double *o,
                             const double *t, const double *scale, double *L) {
    (void)o;
    for (ptrdiff_t start = 0; start < rows; start += BP_LANES) {
        ptrdiff_t stop = rows - start < BP_LANES ? rows - start : BP_LANES;
        double log_S[BP_LANES];
        for (ptrdiff_t s = 0; s < BP_LANES; s++)
            log_S[s] = s < stop ? scale[2 * (start + s) + 1] : 2.0;
        bp_store(log_S, bp_log(bp_load(log_S)));
        for (ptrdiff_t s = 0; s < stop; s++, z += n, t += n) {
            double m = scale[2 * (start + s)], sum = 0.0;
            for (ptrdiff_t j = 0; j < n; j++)
                if (t[j] != 0.0)
                    sum = sum + -(t[j] * ((z[j] - m) - log_S[s]));
            L[start + s] = sum;
        }
    }
}

static void bp_binary_cross_entropy(ptrdiff_t rows, ptrdiff_t n, const double *z, const double *o,
                                    const double *t, const double *scale, double *L) {
    enum { CHUNK = 64 };
    double term[CHUNK];
    ptrdiff_t s = 0, j = 0;
    (void)o, (void)scale;
    for (ptrdiff_t start = 0; start < rows * n; start += CHUNK) {
        ptrdiff_t stop = rows * n - start < CHUNK ? rows * n - start : CHUNK;
        for (ptrdiff_t k = 0; k < stop; k += BP_LANES) {
            bp_part part = bp_part_of(stop - k < BP_LANES ? stop - k : BP_LANES);
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

static const bp_loss bp_losses[bp_n_losses] = {
    {"squared_error", bp_squared_error, 1, -DBL_MAX, DBL_MAX, 0, ""},
    {"cross_entropy", bp_cross_entropy, 0, 0.0, DBL_MAX, 1, "softmax"},
    {"binary_cross_entropy", bp_binary_cross_entropy, 0, 0.0, 1.0, 0, "logistic"},
};

#endif
