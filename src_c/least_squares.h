/* What Levenberg-Marquardt needs (N14): rows of the Jacobian, J^T J, and the factor of Cholesky.
 *
 * Matrices have rows of stride doubles, of which the first columns, full vectors and cache lines,
 * are used; after the last parameter's column comes that of the residuals, or of what becomes of
 * them, then zeros. Of a symmetric matrix only what is on and right of the diagonal counts; left of
 * it stands what nobody reads. */
#ifndef BP_LEAST_SQUARES_H
#define BP_LEAST_SQUARES_H

#include <float.h>

#include "kernel.h"
#include "ordered.h"
#include "vector.h"

static void bp_jacobian(const bp_layer *layer, ptrdiff_t start, ptrdiff_t stop, int train_biases,
                        double *J, ptrdiff_t stride) {
    const ptrdiff_t n_in = layer->n_in, n = layer->n;
    for (ptrdiff_t s = start; s < stop; s++) {
        const double *x = layer->x + s * n_in, *delta = layer->delta + s * n;
        double *row = J + s * stride;
        if (n == 1)
            bp_scaled(n_in, delta[0], x, row);
        else
            for (ptrdiff_t i = 0; i < n_in; i++)
                bp_scaled(n, x[i], delta, row + i * n);
        bp_scaled(n, 1.0, delta, row + n_in * n);
        if (!train_biases)
            memset(row + n_in * n, 0, (size_t)n * sizeof *row);
    }
}

/* Tile by tile as wide as the products', each from the first row down to its last column's. */
static void bp_add_products(ptrdiff_t depth, ptrdiff_t rows, ptrdiff_t start, ptrdiff_t stop,
                            const double *left, const double *right, ptrdiff_t stride, int first,
                            double *C, double *scratch) {
    for (ptrdiff_t j = start; j < stop; j += BP_TILE_WIDTH) {
        ptrdiff_t end = stop - j < BP_TILE_WIDTH ? stop : j + BP_TILE_WIDTH;
        bp_packed_product(bp_least(end, rows), end - j, depth, bp_factor_of(left, 1, stride),
                          right + j, stride, 0, C + j, stride, first, NULL, scratch);
    }
}

/* Row k is ready when its turn comes; then it is subtracted from those below it. */
static int bp_factor_diagonal(ptrdiff_t start, ptrdiff_t stop, ptrdiff_t columns, ptrdiff_t stride,
                              double *U) {
    for (ptrdiff_t k = start; k < stop; k++) {
        double *row = U + k * stride;
        if (!(row[k] > 0.0 && row[k] <= DBL_MAX))
            return 0;
        const double root = sqrt(row[k]);
        row[k] = root;
        for (ptrdiff_t j = k + 1; j < columns; j++)
            row[j] = row[j] / root;
        for (ptrdiff_t i = k + 1; i < stop; i++) {
            double *below = U + i * stride;
            const double u = row[i];
            for (ptrdiff_t j = i; j < columns; j++)
                below[j] = below[j] - u * row[j];
        }
    }
    return 1;
}

/* Some vectors of columns right of the diagonal's block: each its own sums, in registers. */
BP_INLINE void bp_factor_tile(int n_vecs, ptrdiff_t start, ptrdiff_t stop, ptrdiff_t j,
                              ptrdiff_t stride, double *U, double *minus) {
    for (ptrdiff_t i = start; i < stop; i++) {
        bp_vec sum[BP_TILE_VECS];
        for (int v = 0; v < n_vecs; v++)
            sum[v] = bp_load(U + i * stride + j + v * BP_LANES);
        for (ptrdiff_t k = start; k < i; k++) {
            bp_vec u = bp_spread(U + k * stride + i);
            for (int v = 0; v < n_vecs; v++)
                sum[v] = sum[v] - u * bp_load(U + k * stride + j + v * BP_LANES);
        }
        for (int v = 0; v < n_vecs; v++) {
            sum[v] = sum[v] / bp_spread(U + i * stride + i);
            bp_store(U + i * stride + j + v * BP_LANES, sum[v]);
            bp_store(minus + (i - start) * stride + j + v * BP_LANES, -sum[v]);
        }
    }
}

static void bp_factor_columns(ptrdiff_t start, ptrdiff_t stop, ptrdiff_t from, ptrdiff_t to,
                              ptrdiff_t stride, double *U, double *minus) {
    ptrdiff_t j = from;
    for (; j + BP_TILE_WIDTH <= to; j += BP_TILE_WIDTH)
        bp_factor_tile(BP_TILE_VECS, start, stop, j, stride, U, minus);
    for (; j < to; j += BP_LANES)
        bp_factor_tile(1, start, stop, j, stride, U, minus);
}

#endif
