/* Ordered products, three of them: forward (N2), hidden delta (N5) and weight gradient (N6).
 *
 * All are one matrix product C (rows, n) = start + A (rows, depth) B (depth, n): C[r][j] is the sum
 * over k increasing of A[r][k]*B[k][j], from 0.0 or from what stands in C. Each element is one sum
 * of its own in that order, a product is rounded before it is added, and lanes run over j. Tiles
 * only decide how many such sums are under way at once. A sum that is stored and loaded again goes
 * on as if it had stayed in its register, so k may be cut into pieces too.
 *
 * The scheme is Goto and van de Geijn's (2008): a tile of C in registers, a panel of B packed for
 * the caches. Unlike a BLAS it never splits or reorders a sum.
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
    /* Most rows k of a packed panel of B, which is one tile wide. The deeper, the less often C is
     * loaded and stored; with the rows of A that are multiplied by it, it must fit the second-level
     * cache: 512 k of an AVX-512 tile are 128 KB. */
    BP_DEPTH = 512,
    /* In the gradient's A, x transposed, rows follow each other in memory, and each step in k is a
     * whole row of x away: another cache line. With narrow tiles (all but AVX-512) A is read so
     * often that it is copied, BP_COPY doubles at a time; with wide ones it is prefetched BP_AHEAD
     * steps ahead. */
    BP_WIDE = BP_TILE_WIDTH >= 32,
    BP_COPY = BP_WIDE ? 0 : 61440,
    BP_AHEAD = 16,
    /* The largest B, in doubles (36 KB), that is read in its own place and not packed. */
    BP_UNPACKED = 4608,
    /* The fewest rows of A for which packing B pays: they share the cost of the copy. */
    BP_PACKED_ROWS = 24
};

/* A matrix A that is read through strides, in doubles: A[r][k] = at[r*row + k*step]. tile is the
 * distance from a tile's first row to the next tile's, more than BP_TILE_ROWS*row in a copy. */
typedef struct {
    const double *at;
    ptrdiff_t row, step, tile;
} bp_factor;

/* A in its own place. */
BP_INLINE bp_factor bp_factor_of(const double *at, ptrdiff_t row, ptrdiff_t step) {
    return (bp_factor){at, row, step, BP_TILE_ROWS * row};
}

/* Doubles of scratch that a product needs: a panel and a copy of a part of A. longest: most terms
 * of a sum. widest: most rows of A that are copied. */
static ptrdiff_t bp_scratch(ptrdiff_t longest, ptrdiff_t widest) {
    ptrdiff_t depth = bp_least(longest, BP_DEPTH);
    ptrdiff_t rows = (widest + BP_TILE_ROWS - 1) / BP_TILE_ROWS * BP_TILE_ROWS; /* whole tiles */
    return depth * BP_TILE_WIDTH + (rows < BP_COPY / depth ? rows * depth : BP_COPY);
}

/* One tile of C: n_rows x n_vecs vectors of sums over k < depth. n_rows, n_vecs and full are
 * constants where this is called, so that the accumulators stay in registers: each k costs n_vecs
 * loads of B and n_rows broadcasts of A for n_rows*n_vecs products.
 *
 * full: whether the last vector of a row has all lanes, else `part` says which. first: sums start
 * at 0.0, else at C. bias (n) or NULL: added at the end. panel or NULL: gets a copy of B's rows in
 * whole vectors for the tiles below, which is hidden behind the arithmetic. */
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

/* A column of tiles, from the first row to the last: full tiles, then one of the rows that are
 * left. panel or NULL: the first tile copies B there (rows of n_vecs vectors), and the others read
 * it. */
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

/* Compute up to BP_TILE_WIDTH columns of C; panel as in bp_column. The switch calls code compiled
 * for each number of vectors, with the last one full or not: full vectors need no masked load in
 * each k, which would cost more. */
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

/* to[j][i] = from[i][j] for i below rows and j below n: square blocks of BP_LANES in registers, the
 * edges one by one. from_row, to_row: doubles from a row to the next. */
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

/* Whether B (depth, n) is too large to be read in its own place. One tile's width needs no packing:
 * its rows follow each other without a gap. */
BP_INLINE int bp_is_large(ptrdiff_t depth, ptrdiff_t n) {
    return n > BP_TILE_WIDTH && depth * n > BP_UNPACKED;
}

/* A copy of A, whose rows r follow each other in memory (A.row = 1): tile after tile, and in each
 * the BP_TILE_ROWS numbers of k = 0, those of k = 1, and so on, as bp_tile reads them. The last
 * tile may have fewer rows, in the same room. */
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

/* A product with a large B, panel by panel. transposed: B[k][j] is B[j*B_step + k], and each panel
 * is transposed into scratch before it is used; else B[k*B_step + j], and the first tile packs it.
 *
 * k is cut into `pieces` of about the same depth; sums go on in C from one to the next, and the
 * bias joins the last. Rows are cut only where A is copied, into blocks that fit BP_COPY. */
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

/* The product for n columns: packed if B is large and there are rows enough to share the copy, else
 * with B in its own place, one tile's width of columns at a time. */
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
