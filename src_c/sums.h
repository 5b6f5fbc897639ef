/* Sums over the parameter vector (N11), and the other loops of L-BFGS (N13) over n parameters.
 *
 * A sum is eight partial sums from 0.0; element k goes into sum k mod 8, k increasing. The eight
 * are the lanes of BP_SUMS/BP_LANES vectors, on every instruction set the same eight, so its width
 * changes no bit. A single sum in order would wait for each addition before the next. */
#ifndef BP_SUMS_H
#define BP_SUMS_H

#include <float.h>

#include "kernel.h"
#include "vector.h"

/* The partial sums: lane l of part[v] is sum v*BP_LANES + l. */
enum { BP_SUMS = 8 };
typedef struct {
    bp_vec part[BP_SUMS / BP_LANES];
} bp_partial;

/* Eight sums of 0.0, with which every sum by N11 begins. */
BP_INLINE bp_partial bp_no_sums(void) {
    bp_partial sums;
    for (int v = 0; v < BP_SUMS / BP_LANES; v++)
        sums.part[v] = bp_set(0.0);
    return sums;
}

/* The total, added as N11 says. */
BP_INLINE double bp_sum(bp_partial sums) {
    double s[BP_SUMS];
    memcpy(s, sums.part, sizeof s);
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/* The index of the first NaN or infinity among n numbers, or -1. x - x is 0.0 for a finite x, else
 * a NaN, which stays in the sum: a chunk is finite if its sum is equal to itself. Four sums, since
 * one would wait for each addition; the order is free, as only NaN or 0.0 is asked. */
static ptrdiff_t bp_first_not_finite(ptrdiff_t n, const double *x) {
    enum { CHUNK = 64 * BP_LANES };
    ptrdiff_t start = 0;
    /* Whole chunks, up to the first that has such a number, or up to the last. */
    for (; start + CHUNK <= n; start += CHUNK) {
        bp_vec sum[4] = {bp_set(0.0), bp_set(0.0), bp_set(0.0), bp_set(0.0)};
        for (ptrdiff_t k = start; k < start + CHUNK; k += 4 * BP_LANES)
            for (int v = 0; v < 4; v++) {
                bp_vec x_k = bp_load(x + k + v * BP_LANES);
                sum[v] = sum[v] + (x_k - x_k);
            }
        bp_vec all = (sum[0] + sum[1]) + (sum[2] + sum[3]);
        if (bp_others(bp_equal(all, all)) != 0)
            break;
    }
    /* The numbers of that chunk, or those that fill no chunk, one by one. */
    for (; start < n; start++)
        if (!(fabs(x[start]) <= DBL_MAX))
            return start;
    return -1;
}

/* One pass over q (n): q = change(q, x), and the sum by N11 of with*q, the new q. The two loops of
 * L-BFGS are passes of this kind: each ends with the dot product that the next one begins with,
 * which saves reading q again. with may be x or q. */
typedef struct {
    double a, b;
} bp_factors;
typedef bp_vec (*bp_change)(bp_vec q, bp_vec x, bp_factors by);

BP_INLINE double bp_change_all(bp_change change, ptrdiff_t n, bp_factors by, const double *x,
                               double *q, const double *with) {
    bp_partial sums = bp_no_sums();
    ptrdiff_t k = 0;
    /* Eight elements at a time, one for each sum. */
    for (; k + BP_SUMS <= n; k += BP_SUMS)
        for (int v = 0; v < BP_SUMS / BP_LANES; v++) {
            const ptrdiff_t e = k + v * BP_LANES;
            bp_vec q_k = change(bp_load(q + e), bp_load(x + e), by);
            bp_store(q + e, q_k);
            sums.part[v] = sums.part[v] + bp_load(with + e) * q_k;
        }
    /* The last elements, fewer than eight, go to the first sums. */
    for (int v = 0; k < n; v++, k += BP_LANES) {
        bp_part part = bp_part_of(bp_least(n - k, BP_LANES));
        bp_vec q_k = change(bp_load_part(q + k, part), bp_load_part(x + k, part), by);
        bp_store_part(q + k, part, q_k);
        /* Lanes beyond n are kept out: 0.0 times an infinite factor would be a NaN. */
        sums.part[v] =
            sums.part[v] + bp_keep(part, bp_load_part(with + k, part) * q_k, bp_set(0.0));
    }
    return bp_sum(sums);
}

/* The changes: a*x, x/a, q + a*x, b*(q + a*x). */
BP_INLINE bp_vec bp_product_of(bp_vec q, bp_vec x, bp_factors by) {
    (void)q;
    return by.a * x;
}

BP_INLINE bp_vec bp_quotient_of(bp_vec q, bp_vec x, bp_factors by) {
    (void)q;
    return x / by.a;
}

BP_INLINE bp_vec bp_axpy_of(bp_vec q, bp_vec x, bp_factors by) { return q + by.a * x; }

BP_INLINE bp_vec bp_scaled_axpy_of(bp_vec q, bp_vec x, bp_factors by) {
    return by.b * (q + by.a * x);
}

/* The sum of x*y by N11, for n numbers each. Products and sums are rounded separately, as
 * everywhere but in the elementary functions. */
static double bp_dot(ptrdiff_t n, const double *x, const double *y) {
    bp_partial sums = bp_no_sums();
    ptrdiff_t k = 0;
    for (; k + BP_SUMS <= n; k += BP_SUMS)
        for (int v = 0; v < BP_SUMS / BP_LANES; v++) {
            const ptrdiff_t e = k + v * BP_LANES;
            sums.part[v] = sums.part[v] + bp_load(x + e) * bp_load(y + e);
        }
    for (int v = 0; k < n; v++, k += BP_LANES) {
        bp_part part = bp_part_of(bp_least(n - k, BP_LANES));
        bp_vec product = bp_load_part(x + k, part) * bp_load_part(y + k, part);
        sums.part[v] = sums.part[v] + bp_keep(part, product, bp_set(0.0));
    }
    return bp_sum(sums);
}

/* The largest |x[k]| of n numbers, 0.0 if n is 0; a NaN is passed over, since it is not larger. The
 * order is free: the largest of several is the same number in any. */
static double bp_max_abs(ptrdiff_t n, const double *x) {
    /* The largest of each lane first, then the largest lane. */
    double lanes[BP_LANES], found = 0.0;
    bp_vec most = bp_set(0.0);
    for (ptrdiff_t k = 0; k < n; k += BP_LANES) {
        bp_part part = bp_part_of(bp_least(n - k, BP_LANES));
        bp_vec x_k = bp_abs(bp_keep(part, bp_load_part(x + k, part), bp_set(0.0)));
        most = bp_select(bp_less(most, x_k), x_k, most);
    }
    memcpy(lanes, &most, sizeof lanes);
    for (int lane = 0; lane < BP_LANES; lane++)
        found = lanes[lane] > found ? lanes[lane] : found;
    return found;
}

/* out = w + t*d for n numbers: the trial point of a line search. */
static void bp_axpy(ptrdiff_t n, const double *w, double t, const double *d, double *out) {
    for (ptrdiff_t k = 0; k < n; k += BP_LANES) {
        bp_part part = bp_part_of(bp_least(n - k, BP_LANES));
        bp_store_part(out + k, part, bp_load_part(w + k, part) + t * bp_load_part(d + k, part));
    }
}

/* d = x/by for n numbers, and as the result the sum of d*d by N11. L-BFGS divides the gradient by
 * its largest element, so that no square overflows. */
static double bp_divide(ptrdiff_t n, const double *x, double by, double *d) {
    return bp_change_all(bp_quotient_of, n, (bp_factors){by, 0.0}, x, d, d);
}

/* L-BFGS's direction d = -H g, H the approximate inverse Hessian of the pairs (s, y): the two loops
 * of N13, Nocedal and Wright 2006, algorithm 7.4. Returns the slope, the sum of g*d.
 *
 * First loop, from the newest pair to the oldest: alpha = s*d/sy, d = d - alpha*y; after the oldest
 * pair, d is multiplied by gamma. Second loop, from the oldest pair to the newest: d = d + (alpha -
 * y*d/sy)*s. `at`: the pair's place in the ring of `memory` places, of which `held` are in use. */
static double bp_two_loops(const bp_pairs *pairs, const double *g, double *d, double *alphas) {
    const ptrdiff_t n = pairs->n, held = pairs->held;
    const double *S = pairs->S, *Y = pairs->Y;
    ptrdiff_t at = pairs->newest;
    double sum = bp_change_all(bp_product_of, n, (bp_factors){-1.0, 0.0}, g, d, S + at * n);
    for (ptrdiff_t i = 0; i < held; i++) {
        const ptrdiff_t older = at > 0 ? at - 1 : pairs->memory - 1;
        alphas[i] = sum / pairs->sy[at];
        if (i + 1 < held) {
            sum = bp_change_all(bp_axpy_of, n, (bp_factors){-alphas[i], 0.0}, Y + at * n, d,
                                S + older * n);
            at = older;
        } else {
            sum = bp_change_all(bp_scaled_axpy_of, n, (bp_factors){-alphas[i], pairs->gamma},
                                Y + at * n, d, Y + at * n);
        }
    }
    /* `at` is the oldest pair now; sum is y*d of it. The last pass ends with g*d, the slope. */
    for (ptrdiff_t i = held - 1; i >= 0; i--) {
        const ptrdiff_t newer = at + 1 < pairs->memory ? at + 1 : 0;
        sum = bp_change_all(bp_axpy_of, n, (bp_factors){alphas[i] - sum / pairs->sy[at], 0.0},
                            S + at * n, d, i > 0 ? Y + newer * n : g);
        at = newer;
    }
    return sum;
}

#endif
