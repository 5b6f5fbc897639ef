/* Ordered products of which one factor has many zeros, as those behind a relu and many inputs have.
 *
 * 0.0*b is 0.0 or -0.0 where b is finite, and a sum that began at 0.0, each time rounded to
 * nearest, is never -0.0, so that adding such a product changes no bit of it: it may be left out. A
 * row of A is gone through by what a bit for each element says, k increasing as ever; lanes run
 * over j. Each multiplication then has to load its vector of B, so B comes in panels that the
 * first-level cache holds. One with a NaN or an infinity leaves nothing out. */
#ifndef BP_SPARSE_H
#define BP_SPARSE_H

#include "ordered.h"
#include "sums.h"
#include "vector.h"

/* Vectors in a row of a panel of B, which is 64 rows deep: 24 KB of a first-level cache of 32 KB or
 * more with 8 lanes, 16 KB with 4, less with fewer. */
#if BP_LANES == 8
#define BP_STRIP_VECS 6
#else
#define BP_STRIP_VECS 8
#endif

enum {
    BP_WORD = 64, /* bits of a word, one for each row of a panel */
    BP_STRIP = BP_STRIP_VECS * BP_LANES,
    BP_PANEL = BP_WORD * BP_STRIP,
    /* What is marked, and where need be transposed, at a time: so many rows and columns. */
    BP_MARKED = 512,
    BP_BITS = BP_MARKED * (BP_MARKED / BP_WORD)
};

/* Whether leaving out a share of zeros pays for sums of n columns. Fewer than six vectors wait for
 * each other's additions. */
BP_INLINE int bp_zeros_pay(double share, ptrdiff_t n) {
    const ptrdiff_t vecs = (n + BP_LANES - 1) / BP_LANES;
    return share >= (vecs < 6 ? 1.0 - (double)vecs / 10.0 : 0.25);
}

/* The scratch of a layer's products, whose sums have up to longest terms, longest at least the rows
 * of a block; widest: the most inputs or units. A panel and the bits of a part of A; for a gradient
 * also a strip of C and that part of A in a copy. Nothing is left out where no layer's factor is
 * large (bp_is_large). */
static ptrdiff_t bp_layer_scratch(ptrdiff_t longest, ptrdiff_t widest) {
    const ptrdiff_t words = (longest + BP_WORD - 1) / BP_WORD, most_words = BP_MARKED / BP_WORD;
    const ptrdiff_t rows = bp_least(widest, BP_MARKED);
    const ptrdiff_t copied = bp_least(words, most_words) * BP_WORD;
    const ptrdiff_t sparse = BP_PANEL + BP_BITS + rows * (BP_STRIP + copied);
    const ptrdiff_t dense = bp_scratch(longest, widest);
    return longest > BP_UNPACKED / widest && sparse > dense ? sparse : dense;
}

/* A bit for each of up to BP_WORD numbers: whether it is something else than 0.0 and -0.0. */
BP_INLINE uint64_t bp_not_zero(ptrdiff_t n, const double *x) {
    uint64_t word = 0;
    ptrdiff_t k = 0;
    for (; k + BP_LANES <= n; k += BP_LANES)
        word |= (uint64_t)bp_others(bp_equal(bp_load(x + k), bp_set(0.0))) << k;
    for (; k < n; k++)
        word |= (uint64_t)(x[k] != 0.0) << k;
    return word;
}

/* The share of zeros in a matrix, by whole vectors of a few of its rows. */
static double bp_share_of_zeros(ptrdiff_t rows, ptrdiff_t n, const double *x, ptrdiff_t row) {
    const ptrdiff_t every = (rows + 7) / 8, full = n / BP_LANES * BP_LANES;
    const bp_vec zero = bp_set(0.0), one = bp_set(1.0);
    bp_vec found = zero;
    double lanes[BP_LANES], zeros = 0.0;
    ptrdiff_t seen = 0;
    for (ptrdiff_t i = 0; i < rows; i += every, seen += full)
        for (ptrdiff_t k = 0; k < full; k += BP_LANES)
            found = found + bp_select(bp_equal(bp_load(x + i * row + k), zero), one, zero);
    bp_store(lanes, found);
    for (int lane = 0; lane < BP_LANES; lane++)
        zeros = zeros + lanes[lane];
    return seen > 0 ? zeros / (double)seen : 0.0;
}

/* A factor with its bits: the elements of a row that one word marks follow each other; row and
 * panel are the steps to the next row and to the next such part. */
typedef struct {
    const double *at;
    ptrdiff_t rows, depth, row, panel;
    uint64_t *bits; /* (words, rows) */
} bp_marked;

static void bp_mark(bp_marked A) {
    for (ptrdiff_t k = 0; k < A.depth; k += BP_WORD, A.at += A.panel)
        for (ptrdiff_t r = 0; r < A.rows; r++)
            *A.bits++ = bp_not_zero(bp_least(A.depth - k, BP_WORD), A.at + r * A.row);
}

/* What a panel adds to n_vecs vectors of every row of C, the last of them in part. n_vecs is a
 * constant where this is called. */
BP_INLINE void bp_sparse_rows(int n_vecs, bp_marked A, const double *panel, double *C,
                              ptrdiff_t C_row, bp_part part, int first, const double *bias) {
    for (; A.rows > 0; A.rows--, A.at += A.row, A.bits++, C += C_row) {
        bp_vec sum[BP_STRIP_VECS];
#define BP_EACH(v) for (int v = 0; v < n_vecs; v++)
#define BP_VEC(p, v)                                                                               \
    (v + 1 < n_vecs ? bp_load((p) + v * BP_LANES) : bp_load_part((p) + v * BP_LANES, part))
        if (first) {
            BP_EACH(v) sum[v] = bp_set(0.0);
        } else {
            /* Rows of C are far from each other, so that nothing else fetches them. */
            for (int v = 0; v < n_vecs; v += BP_VECS_OF_LINE)
                bp_fetch(C + 4 * C_row + v * BP_LANES);
            BP_EACH(v) sum[v] = BP_VEC(C, v);
        }
        for (uint64_t left = *A.bits; left != 0; left &= left - 1) {
            ptrdiff_t k = bp_lowest_bit(left);
            bp_vec a = bp_spread(A.at + k);
            const double *b = panel + k * (n_vecs * BP_LANES);
            BP_EACH(v) sum[v] = sum[v] + a * bp_load(b + v * BP_LANES);
        }
        if (bias != NULL)
            BP_EACH(v) sum[v] = sum[v] + BP_VEC(bias, v);
        for (int v = 0; v < n_vecs - 1; v++)
            bp_store(C + v * BP_LANES, sum[v]);
        bp_store_part(C + (n_vecs - 1) * BP_LANES, part, sum[n_vecs - 1]);
#undef BP_VEC
#undef BP_EACH
    }
}

/* The same for a panel (A.depth, whole vectors), of which n columns count. */
static void bp_sparse_panel(ptrdiff_t n, bp_marked A, const double *panel, double *C,
                            ptrdiff_t C_row, int first, const double *bias) {
    const ptrdiff_t n_vecs = (n + BP_LANES - 1) / BP_LANES, width = n_vecs * BP_LANES;
    const bp_part part = bp_part_of(n - (width - BP_LANES));
    if (bp_first_not_finite(A.depth * width, panel) >= 0) {
        bp_factor all = bp_factor_of(A.at, A.row, 1);
        bp_product(A.rows, n, A.depth, all, panel, width, C, C_row, first, bias, NULL);
        return;
    }
    switch (n_vecs) {
#define BP_CASE(v)                                                                                 \
    case v:                                                                                        \
        bp_sparse_rows(v, A, panel, C, C_row, part, first, bias);                                  \
        break;
        BP_CASE(1)
        BP_CASE(2)
        BP_CASE(3)
        BP_CASE(4)
        BP_CASE(5)
        BP_CASE(6)
#if BP_STRIP_VECS == 8
        BP_CASE(7)
        BP_CASE(8)
#elif BP_STRIP_VECS != 6
#error "every width up to BP_STRIP_VECS needs a case"
#endif
#undef BP_CASE
    default:
        break;
    }
}

/* A panel of B: depth rows of width numbers, panel_step from one to the next. */
BP_INLINE void bp_pack(ptrdiff_t depth, ptrdiff_t width, const double *B, ptrdiff_t B_step,
                       double *panel, ptrdiff_t panel_step) {
    for (; depth > 0; depth--, B += B_step, panel += panel_step) {
        ptrdiff_t j = 0;
        for (; j + BP_LANES <= width; j += BP_LANES)
            bp_store(panel + j, bp_load(B + j));
        for (; j < width; j++)
            panel[j] = B[j];
    }
}

/* C (A.rows, n), strip by strip of about the same width, each panel by panel; transposed: B[k][j]
 * is at B[j*B_step + k]. */
static void bp_sparse_product(bp_marked A, ptrdiff_t n, const double *B, ptrdiff_t B_step,
                              int transposed, double *C, ptrdiff_t C_row, int first,
                              const double *bias, double *panel) {
    const ptrdiff_t vecs = (n + BP_LANES - 1) / BP_LANES;
    const ptrdiff_t strips = (vecs + BP_STRIP_VECS - 1) / BP_STRIP_VECS;
    for (ptrdiff_t strip = 0; strip < strips; strip++) {
        ptrdiff_t j = vecs * strip / strips * BP_LANES;
        ptrdiff_t end = vecs * (strip + 1) / strips * BP_LANES;
        ptrdiff_t padded = end - j, width = end < n ? padded : n - j;
        bp_marked part = A;
        for (ptrdiff_t k = 0; k < A.depth; k += BP_WORD, part.at += A.panel, part.bits += A.rows) {
            part.depth = bp_least(A.depth - k, BP_WORD);
            if (width < padded)
                memset(panel, 0, (size_t)(part.depth * padded) * sizeof *panel);
            if (transposed)
                bp_transposed(width, part.depth, B + j * B_step + k, B_step, panel, padded);
            else
                bp_pack(part.depth, width, B + k * B_step + j, B_step, panel, padded);
            bp_sparse_panel(width, part, panel, C + j, C_row, first && k == 0,
                            k + part.depth == A.depth && bias != NULL ? bias + j : NULL);
        }
    }
}

/* C = A B + bias with sums that begin at 0.0; B as above. */
static void bp_layer_product(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t depth, const double *A,
                             const double *B, ptrdiff_t B_step, int transposed, double *C,
                             const double *bias, double *scratch) {
    if (rows < BP_PACKED_ROWS || !bp_is_large(depth, n) ||
        !bp_zeros_pay(bp_share_of_zeros(rows, depth, A, depth), n)) {
        bp_factor factor = bp_factor_of(A, depth, 1);
        if (transposed)
            bp_packed_product(rows, n, depth, factor, B, B_step, 1, C, n, 1, bias, scratch);
        else
            bp_product(rows, n, depth, factor, B, B_step, C, n, 1, bias, scratch);
        return;
    }
    for (ptrdiff_t i = 0; i < rows; i += BP_MARKED)
        for (ptrdiff_t k = 0; k < depth; k += BP_MARKED) {
            bp_marked part = {.at = A + i * depth + k, .row = depth, .panel = BP_WORD};
            part.rows = bp_least(rows - i, BP_MARKED);
            part.depth = bp_least(depth - k, BP_MARKED);
            part.bits = (uint64_t *)(scratch + BP_PANEL);
            bp_mark(part);
            bp_sparse_product(part, n, B + (transposed ? k : k * B_step), B_step, transposed,
                              C + i * n, n, k == 0, k + part.depth == depth ? bias : NULL, scratch);
        }
}

/* C (inputs, n) goes on by x transposed (inputs, rows) times delta (rows, n), or starts if first. A
 * row of x has step doubles.
 *
 * Of x and delta, the one with more zeros is transposed into a copy whose parts for one word follow
 * each other, else each row of one would lie in another page. If that is delta, it is C transposed
 * that is made, a strip at a time; for fewer rows than a word has bits that does not pay. */
static void bp_gradient_product(ptrdiff_t inputs, ptrdiff_t n, ptrdiff_t rows, const double *x,
                                ptrdiff_t step, const double *delta, double *C, int first,
                                double *scratch) {
    int by_inputs = 0, by_units = 0;
    if (inputs >= BP_PACKED_ROWS && bp_is_large(rows, n)) {
        double of_x = bp_share_of_zeros(rows, inputs, x, step);
        double of_delta = bp_share_of_zeros(rows, n, delta, n);
        by_inputs = bp_zeros_pay(of_x, n);
        by_units = rows >= BP_WORD && bp_zeros_pay(of_delta, inputs);
        if (by_inputs && by_units)
            by_units = of_delta > of_x;
    }
    if (!by_inputs && !by_units) {
        bp_product(inputs, n, rows, bp_factor_of(x, 1, step), delta, n, C, n, first, NULL, scratch);
        return;
    }
    const ptrdiff_t m = by_units ? n : inputs, A_step = by_units ? n : step;
    const double *A = by_units ? delta : x;
    uint64_t *bits = (uint64_t *)(scratch + BP_PANEL);
    double *strip = scratch + BP_PANEL + BP_BITS;
    for (ptrdiff_t i = 0; i < m; i += BP_MARKED)
        for (ptrdiff_t k = 0; k < rows; k += BP_MARKED) {
            bp_marked part = {.row = BP_WORD, .bits = bits};
            part.rows = bp_least(m - i, BP_MARKED);
            part.depth = bp_least(rows - k, BP_MARKED);
            part.panel = part.rows * BP_WORD;
            double *copy = strip + part.rows * BP_STRIP;
            part.at = copy;
            for (ptrdiff_t w = 0; w < part.depth; w += BP_WORD)
                bp_transposed(bp_least(part.depth - w, BP_WORD), part.rows,
                              A + (k + w) * A_step + i, A_step, copy + w * part.rows, BP_WORD);
            bp_mark(part);
            int starts = first && k == 0;
            if (!by_units) {
                bp_sparse_product(part, n, delta + k * n, n, 0, C + i * n, n, starts, NULL,
                                  scratch);
                continue;
            }
            for (ptrdiff_t j = 0; j < inputs; j += BP_STRIP) {
                ptrdiff_t width = bp_least(inputs - j, BP_STRIP);
                double *to = C + j * n + i;
                if (!starts)
                    bp_transposed(width, part.rows, to, n, strip, width);
                bp_sparse_product(part, width, x + k * step + j, step, 0, strip, width, starts,
                                  NULL, scratch);
                bp_transposed(part.rows, width, strip, width, to, n);
            }
        }
}

#endif
