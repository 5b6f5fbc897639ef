/* Levenberg-Marquardt (N14): rows of the Jacobian J, the normal equations' matrix A = J^T J, and
 * its Cholesky factor U, A = U^T U with U upper triangular.
 *
 * Shapes: matrices have rows of stride doubles, of which the first `columns` are in use, full
 * vectors and cache lines: one column a parameter, then the right-hand side, then zeros. In J that
 * column holds the residuals e, in A it becomes b = J^T e, and in U it becomes v, the solution of
 * U^T v = b, since all three go through the same sums. Of a symmetric matrix only the part on and
 * right of the diagonal is computed and read; left of it anything may stand.
 *
 * Every element is one sum in the order of N14, k or r increasing, so lanes and threads share
 * columns j and tiles of them, never the terms of a sum. */
#ifndef BP_LEAST_SQUARES_H
#define BP_LEAST_SQUARES_H

#include <float.h>

#include "kernel.h"
#include "ordered.h"
#include "vector.h"

/* This layer's columns of the rows s of J from start up to stop: x[s][i]*delta[s][j] at i*n + j,
 * then the biases' 1.0*delta[s][j], or 0.0 without train_biases. Lanes run over j, or over i if n
 * is 1. J points to the layer's first column. */
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

/* C (rows, columns) goes on by left^T right, both (depth, ...), for columns j in [start, stop):
 * tiles of columns as wide as those of ordered.h, each from row 0 down to the row of its last
 * column, so that little left of the diagonal is computed. */
static void bp_add_products(ptrdiff_t depth, ptrdiff_t rows, ptrdiff_t start, ptrdiff_t stop,
                            const double *left, const double *right, ptrdiff_t stride, int first,
                            double *C, double *scratch) {
    for (ptrdiff_t j = start; j < stop; j += BP_TILE_WIDTH) {
        ptrdiff_t end = stop - j < BP_TILE_WIDTH ? stop : j + BP_TILE_WIDTH;
        bp_packed_product(bp_least(end, rows), end - j, depth, bp_factor_of(left, 1, stride),
                          right + j, stride, 0, C + j, stride, first, NULL, scratch);
    }
}

/* Cholesky's rows [start, stop) in their columns from the diagonal up to `columns`, in place. Row k
 * is complete when its turn comes, as the rows above have subtracted their products in increasing
 * order; it is divided by the root of its pivot and subtracts u[k][i]*u[k][j] from the rows i
 * below. Returns 0 if a pivot is not above 0.0 and finite (the matrix is not positive definite),
 * else 1. */
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

/* Rows [start, stop) in n_vecs vectors of columns from j on, right of the diagonal's block, which
 * is factored: from a[i][j] the products u[k][i]*u[k][j] are subtracted, k increasing from start to
 * below i, then it is divided by u[i][i]. The sums stay in registers, so a row is loaded once and
 * stored once. minus (stop - start, stride) gets -u[i][j], by which bp_add_products subtracts these
 * rows from those below: s + (-u)*u has the bits of s - u*u. */
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

/* The columns [from, to), full vectors: tiles, then single vectors. */
static void bp_factor_columns(ptrdiff_t start, ptrdiff_t stop, ptrdiff_t from, ptrdiff_t to,
                              ptrdiff_t stride, double *U, double *minus) {
    ptrdiff_t j = from;
    for (; j + BP_TILE_WIDTH <= to; j += BP_TILE_WIDTH)
        bp_factor_tile(BP_TILE_VECS, start, stop, j, stride, U, minus);
    for (; j < to; j += BP_LANES)
        bp_factor_tile(1, start, stop, j, stride, U, minus);
}

#endif
