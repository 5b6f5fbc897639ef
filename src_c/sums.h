/* Sums over the parameter vector (N11), and what is done with whole vectors of parameters.
 *
 * A sum is eight partial sums, and element k goes into the one numbered k mod 8: these are lanes,
 * of one vector or of several. */
#ifndef BP_SUMS_H
#define BP_SUMS_H

#include "kernel.h"
#include "vector.h"

enum { BP_SUMS = 8 };
typedef struct {
    bp_vec part[BP_SUMS / BP_LANES];
} bp_partial;

BP_INLINE bp_partial bp_no_sums(void) {
    bp_partial sums;
    for (int v = 0; v < BP_SUMS / BP_LANES; v++)
        sums.part[v] = bp_set(0.0);
    return sums;
}

BP_INLINE double bp_sum(bp_partial sums) {
    double s[BP_SUMS];
    memcpy(s, sums.part, sizeof s);
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static double bp_dot(ptrdiff_t n, const double *x, const double *y) {
    bp_partial sums = bp_no_sums();
    ptrdiff_t k = 0;
    for (; k + BP_SUMS <= n; k += BP_SUMS)
        for (int v = 0; v < BP_SUMS / BP_LANES; v++) {
            ptrdiff_t at = k + v * BP_LANES;
            sums.part[v] = sums.part[v] + bp_load(x + at) * bp_load(y + at);
        }
    for (int v = 0; k < n; v++, k += BP_LANES) {
        bp_part part = bp_part_of(n - k < BP_LANES ? n - k : BP_LANES);
        bp_vec product = bp_load_part(x + k, part) * bp_load_part(y + k, part);
        sums.part[v] = sums.part[v] + bp_keep(part, product, bp_set(0.0));
    }
    return bp_sum(sums);
}

#endif
