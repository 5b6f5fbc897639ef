/* The three ordered products: forward (N2), hidden delta (N5) and weight gradient (N6).
 *
 * All are one: C[r][j] = start + sum over k increasing of A[r][k]*B[k][j], with A read through two
 * strides. Every element is one sum of its own in the stated order, no two products are fused, and
 * lanes run over j: the tiles below only decide how many such sums are under way at once. An
 * accumulator that is stored and loaded again goes on as if it had stayed, so k may be cut too.
 *
 *            forward        hidden delta            gradient
 *   A        x (rows, n_in) delta_above (rows, n)   x transposed (n_in, rows)
 *   B        W (n_in, n)    W_above transposed      delta (rows, n)
 *   C        z (rows, n)    sums (rows, n_in)       dW (n_in, n), going on from the block before
 */
#ifndef BP_ORDERED_H
#define BP_ORDERED_H

#include "kernel.h"
#include "vector.h"

enum {
    BP_TILE_ROWS = 6,
    BP_TILE_WIDTH = BP_TILE_VECS * BP_LANES,
    /* A panel of B, in its own place, is so many k deep and one tile wide. The deeper, the less
     * often C is loaded and stored; with the rows of A that meet it, it fits the second-level
     * cache, from which both come in time. */
    BP_DEPTH = 512,
    /* Rows of A that follow each other in memory, as the gradient's, are far from each other in k.
     * A narrow tile meets them so often that a copy pays, of so many doubles; for a wide one they
     * are fetched so many k ahead. */
    BP_WIDE = BP_TILE_WIDTH >= 32,
    BP_COPY = BP_WIDE ? 0 : 61440,
    BP_AHEAD = 16,
    /* What B may take of the second-level cache, in doubles, where it is read as it lies. */
    BP_UNPACKED = 4608,
    /* Fewer rows than these do not pay for packing. */
    BP_PACKED_ROWS = 24
};

/* A matrix read through strides, in doubles; tile is that from one tile's first row to the next's.
 */
typedef struct {
    const double *at;
    ptrdiff_t row, step, tile;
} bp_factor;

BP_INLINE bp_factor bp_factor_of(const double *at, ptrdiff_t row, ptrdiff_t step) {
    return (bp_factor){at, row, step, BP_TILE_ROWS * row};
}

/* The scratch of products with sums of up to longest terms, of rows of A up to widest. */
static ptrdiff_t bp_scratch(ptrdiff_t longest, ptrdiff_t widest) {
    ptrdiff_t depth = bp_least(longest, BP_DEPTH);
    ptrdiff_t rows = (widest + BP_TILE_ROWS - 1) / BP_TILE_ROWS * BP_TILE_ROWS; /* whole tiles */
    return depth * BP_TILE_WIDTH + (rows < BP_COPY / depth ? rows * depth : BP_COPY);
}

/* One tile: n_rows x n_vecs sums, the last vector in part. n_rows, n_vecs and full are constants
 * where this is called, so that the accumulators stay in registers.
 *
 * first: start at 0.0, else at C. bias (or NULL): added at the end. panel (or NULL): where B is
 * copied to in whole vectors, which takes no time beside the sums. */
BP_INLINE void bp_tile(int n_rows, int n_vecs, int full, ptrdiff_t depth, bp_factor A,
                       const double *B, ptrdiff_t B_step, double *C, ptrdiff_t C_row, bp_part part,
                       int first, const double *bias, double *panel) {
    bp_vec sum[BP_TILE_ROWS][BP_TILE_VECS];
#define BP_EACH(n, k) for (int k = 0; k < n; k++)
#define BP_VEC(p, v)                                                                               \
    (full || v + 1 < n_vecs ? bp_load((p) + v * BP_LANES) : bp_load_part((p) + v * BP_LANES, part))
    if (first) {
        BP_EACH(n_rows, r)
        BP_EACH(n_vecs, v) sum[r][v] = bp_set(0.0);
    } else {
        BP_EACH(n_rows, r)
        BP_EACH(n_vecs, v) sum[r][v] = BP_VEC(C + r * C_row, v);
    }
    for (ptrdiff_t k = 0; k < depth; k++, A.at += A.step, B += B_step) {
        bp_vec b[BP_TILE_VECS];
        if (BP_WIDE) {
            bp_fetch(A.at + BP_AHEAD * A.step);
            bp_fetch(A.at + BP_AHEAD * A.step + (n_rows - 1) * A.row);
        }
        BP_EACH(n_vecs, v) b[v] = BP_VEC(B, v);
        if (panel != NULL) {
            for (int v = 0; v < n_vecs; v += BP_VECS_OF_LINE)
                bp_fetch(B + BP_AHEAD * B_step + v * BP_LANES);
            BP_EACH(n_vecs, v) bp_store(panel + v * BP_LANES, b[v]);
            panel += n_vecs * BP_LANES;
        }
        BP_EACH(n_rows, r) {
            bp_vec a = bp_spread(A.at + r * A.row);
            BP_EACH(n_vecs, v) sum[r][v] = sum[r][v] + a * b[v];
        }
    }
    if (bias != NULL)
        BP_EACH(n_vecs, v) {
            bp_vec b = BP_VEC(bias, v);
            BP_EACH(n_rows, r) sum[r][v] = sum[r][v] + b;
        }
    BP_EACH(n_rows, r)
    BP_EACH(n_vecs, v) {
        double *c = C + r * C_row + v * BP_LANES;
        if (full || v + 1 < n_vecs)
            bp_store(c, sum[r][v]);
        else
            bp_store_part(c, part, sum[r][v]);
    }
#undef BP_VEC
#undef BP_EACH
}

/* Tiles of one width, from the first row to the last. panel (or NULL): where the first of them
 * copies B to, for those that follow. */
BP_INLINE void bp_column(int n_vecs, int full, ptrdiff_t rows, ptrdiff_t depth, bp_factor A,
                         const double *B, ptrdiff_t B_step, double *C, ptrdiff_t C_row,
                         bp_part part, int first, const double *bias, double *panel) {
#define BP_TILE(n, panel)                                                                          \
    bp_tile(n, n_vecs, full, depth, A, B, B_step, C, C_row, part, first, bias, panel)
    if (panel != NULL && rows > BP_TILE_ROWS) {
        BP_TILE(BP_TILE_ROWS, panel);
        A.at += A.tile;
        B = panel;
        B_step = n_vecs * BP_LANES;
        C += BP_TILE_ROWS * C_row;
        rows -= BP_TILE_ROWS;
    }
    for (; rows >= BP_TILE_ROWS; rows -= BP_TILE_ROWS) {
        BP_TILE(BP_TILE_ROWS, NULL);
        A.at += A.tile;
        C += BP_TILE_ROWS * C_row;
    }
    switch (rows) {
    case 5:
        BP_TILE(5, NULL);
        break;
    case 4:
        BP_TILE(4, NULL);
        break;
    case 3:
        BP_TILE(3, NULL);
        break;
    case 2:
        BP_TILE(2, NULL);
        break;
    case 1:
        BP_TILE(1, NULL);
        break;
    default:
        break;
    }
#undef BP_TILE
}

/* Up to BP_TILE_WIDTH columns; panel as above. */
static void bp_columns(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t depth, bp_factor A, const double *B,
                       ptrdiff_t B_step, double *C, ptrdiff_t C_row, int first, const double *bias,
                       double *panel) {
    ptrdiff_t n_vecs = (n + BP_LANES - 1) / BP_LANES;
    ptrdiff_t last = n - (n_vecs - 1) * BP_LANES;
    bp_part part = bp_part_of(last);
#define BP_COLUMN(v)                                                                               \
    if (last == BP_LANES)                                                                          \
        bp_column(v, 1, rows, depth, A, B, B_step, C, C_row, part, first, bias, panel);            \
    else                                                                                           \
        bp_column(v, 0, rows, depth, A, B, B_step, C, C_row, part, first, bias, panel);
    switch (n_vecs) {
    case 1:
        BP_COLUMN(1) break;
#if BP_TILE_VECS == 4
    case 2:
        BP_COLUMN(2) break;
    case 3:
        BP_COLUMN(3) break;
    default:
        BP_COLUMN(4) break;
#elif BP_TILE_VECS == 2
    default:
        BP_COLUMN(2) break;
#else
#error "every width up to BP_TILE_VECS needs a case"
#endif
    }
#undef BP_COLUMN
}

/* to[j][i] = from[i][j] for i below rows and j below n, each with a row of its own length. */
BP_INLINE void bp_transposed(ptrdiff_t rows, ptrdiff_t n, const double *from, ptrdiff_t from_row,
                             double *to, ptrdiff_t to_row) {
    ptrdiff_t i = 0;
    for (; i + BP_LANES <= rows; i += BP_LANES) {
        ptrdiff_t j = 0;
        for (; j + BP_LANES <= n; j += BP_LANES) {
            bp_vec block[BP_LANES];
            for (int k = 0; k < BP_LANES; k++)
                block[k] = bp_load(from + (i + k) * from_row + j);
            bp_transpose(block);
            for (int k = 0; k < BP_LANES; k++)
                bp_store(to + (j + k) * to_row + i, block[k]);
        }
        for (; j < n; j++)
            for (int k = 0; k < BP_LANES; k++)
                to[j * to_row + i + k] = from[(i + k) * from_row + j];
    }
    for (; i < rows; i++)
        for (ptrdiff_t j = 0; j < n; j++)
            to[j * to_row + i] = from[i * from_row + j];
}

/* Whether B (depth, n) is too large to be read as it lies. */
BP_INLINE int bp_is_large(ptrdiff_t depth, ptrdiff_t n) {
    return n > BP_TILE_WIDTH && depth * n > BP_UNPACKED;
}

/* A copy of rows that follow each other: tile after tile, each k after k. */
BP_INLINE bp_factor bp_copied(ptrdiff_t rows, ptrdiff_t depth, bp_factor A, double *to) {
    for (ptrdiff_t k = 0; k < depth; k++) {
        const double *from = A.at + k * A.step;
        double *part = to + k * BP_TILE_ROWS;
        ptrdiff_t i = 0;
        for (; i + BP_TILE_ROWS <= rows; i += BP_TILE_ROWS, part += depth * BP_TILE_ROWS)
            memcpy(part, from + i, BP_TILE_ROWS * sizeof *part);
        for (; i < rows; i++)
            *part++ = from[i];
    }
    return (bp_factor){to, 1, BP_TILE_ROWS, BP_TILE_ROWS * depth};
}

/* A product with a large B, panel by panel; transposed: B[k][j] is at B[j*B_step + k]. */
static void bp_packed_product(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t depth, bp_factor A,
                              const double *B, ptrdiff_t B_step, int transposed, double *C,
                              ptrdiff_t C_row, int first, const double *bias, double *scratch) {
    ptrdiff_t pieces = (depth + BP_DEPTH - 1) / BP_DEPTH;
    double *panel = scratch, *copy = scratch + (depth + pieces - 1) / pieces * BP_TILE_WIDTH;
    int copies = !BP_WIDE && A.row == 1 && A.step > 1 && n > 4 * BP_TILE_WIDTH;
    for (ptrdiff_t piece = 0; piece < pieces; piece++) {
        ptrdiff_t start = depth * piece / pieces, part = depth * (piece + 1) / pieces - start;
        int last = piece + 1 == pieces;
        ptrdiff_t most = copies ? BP_COPY / part / BP_TILE_ROWS * BP_TILE_ROWS : rows;
        for (ptrdiff_t i = 0; i < rows; i += most) {
            ptrdiff_t block = bp_least(rows - i, most);
            bp_factor A_part = {A.at + i * A.row + start * A.step, A.row, A.step, A.tile};
            if (copies)
                A_part = bp_copied(block, part, A_part, copy);
            for (ptrdiff_t j = 0; j < n; j += BP_TILE_WIDTH) {
                ptrdiff_t width = bp_least(n - j, BP_TILE_WIDTH);
                const double *from = transposed ? panel : B + start * B_step + j;
                if (transposed)
                    bp_transposed(width, part, B + j * B_step + start, B_step, panel, width);
                bp_columns(block, width, part, A_part, from, transposed ? width : B_step,
                           C + i * C_row + j, C_row, first && piece == 0,
                           last && bias != NULL ? bias + j : NULL, transposed ? NULL : panel);
            }
        }
    }
}

/* The product for n columns. */
static void bp_product(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t depth, bp_factor A, const double *B,
                       ptrdiff_t B_step, double *C, ptrdiff_t C_row, int first, const double *bias,
                       double *scratch) {
    if (rows >= BP_PACKED_ROWS && bp_is_large(depth, n)) {
        bp_packed_product(rows, n, depth, A, B, B_step, 0, C, C_row, first, bias, scratch);
        return;
    }
    for (ptrdiff_t j = 0; j < n; j += BP_TILE_WIDTH)
        bp_columns(rows, bp_least(n - j, BP_TILE_WIDTH), depth, A, B + j, B_step, C + j, C_row,
                   first, bias == NULL ? NULL : bias + j, NULL);
}

#endif
