/* Ordered products C = A B (ordered.h) where A has many zeros, as outputs of relu and many inputs
 * do.
 *
 * The product 0.0*b is 0.0 or -0.0 where b is finite. A sum that began at 0.0 and is rounded to
 * nearest is never -0.0, so adding such a product changes no bit of it: it is left out. A panel of
 * B with a NaN or an infinity, whose product with 0.0 would be a NaN, leaves nothing out.
 *
 * Each row of A has a bit for every element, set where it is not zero, and the set bits are gone
 * through from the lowest, so k increases as in ordered.h; lanes run over j. Without tiles each
 * product has to load its vector of B, so B comes in panels that the first-level cache holds. */
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
    /* Rows and columns of A that are marked at a time (and transposed, for the gradient), which
     * bounds the scratch. */
    BP_MARKED = 512,
    BP_BITS = BP_MARKED * (BP_MARKED / BP_WORD)
};

/* Whether leaving out zeros pays, for this share of them and sums of n columns. From six vectors
 * on, a quarter of zeros is enough; with fewer, each addition waits for the one before it, and more
 * zeros are needed: 0.5 with five vectors, 0.9 with one. */
BP_INLINE int bp_zeros_pay(double share, ptrdiff_t n) {
    const ptrdiff_t vecs = (n + BP_LANES - 1) / BP_LANES;
    return share >= (vecs < 6 ? 1.0 - (double)vecs / 10.0 : 0.25);
}

/* Doubles of scratch for all products of a network's layers. longest: most terms of a sum, at least
 * the rows of a block. widest: most inputs or units of a layer. Here a product needs a panel and
 * the bits of a part of A; a gradient also a strip of C and a copy of that part of A. Where no
 * layer has a large factor (bp_is_large), only what ordered.h needs. */
static ptrdiff_t bp_layer_scratch(ptrdiff_t longest, ptrdiff_t widest) {
    const ptrdiff_t words = (longest + BP_WORD - 1) / BP_WORD, most_words = BP_MARKED / BP_WORD;
    const ptrdiff_t rows = bp_least(widest, BP_MARKED);
    const ptrdiff_t copied = bp_least(words, most_words) * BP_WORD;
    const ptrdiff_t sparse = BP_PANEL + BP_BITS + rows * (BP_STRIP + copied);
    const ptrdiff_t dense = bp_scratch(longest, widest);
    return longest > BP_UNPACKED / widest && sparse > dense ? sparse : dense;
}

/* Bit k: whether x[k] is neither 0.0 nor -0.0, for up to BP_WORD numbers. A NaN is not zero. */
BP_INLINE uint64_t bp_not_zero(ptrdiff_t n, const double *x) {
    uint64_t word = 0;
    ptrdiff_t k = 0;
    for (; k + BP_LANES <= n; k += BP_LANES)
        word |= (uint64_t)bp_others(bp_equal(bp_load(x + k), bp_set(0.0))) << k;
    /* The numbers that fill no vector; a NaN compares unequal to 0.0 here as well. */
    for (; k < n; k++)
        word |= (uint64_t)(x[k] != 0.0) << k;
    return word;
}

/* An estimate of the share of zeros in x (rows, n), whose rows are `row` doubles apart: from at
 * most eight of its rows, whole vectors only. It decides the way, not the result. */
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

/* A part of A with its bits. Elements of a row that share a word follow each other in memory. row:
 * distance in doubles to the next row; panel: to the next BP_WORD elements of the same row.
 * bits[w * rows + r] marks word w of row r. */
typedef struct {
    const double *at;
    ptrdiff_t rows, depth, row, panel;
    uint64_t *bits; /* (words, rows) */
} bp_marked;

/* Set the bits, word after word, each for all rows. */
static void bp_mark(bp_marked A) {
    for (ptrdiff_t k = 0; k < A.depth; k += BP_WORD, A.at += A.panel)
        for (ptrdiff_t r = 0; r < A.rows; r++)
            *A.bits++ = bp_not_zero(bp_least(A.depth - k, BP_WORD), A.at + r * A.row);
}

/* Add the terms of one panel of B (at most BP_WORD rows of n_vecs vectors) to A.rows rows of C;
 * `part` are the lanes of the last vector that lie within C. n_vecs is a constant where this is
 * called, so that sums stay in registers. first: they start at 0.0. bias or NULL: added at the end.
 */
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
            /* C's rows are far apart, so the processor does not fetch them ahead: four ahead. */
            for (int v = 0; v < n_vecs; v += BP_VECS_OF_LINE)
                bp_fetch(C + 4 * C_row + v * BP_LANES);
            BP_EACH(v) sum[v] = BP_VEC(C, v);
        }
        /* One product for each set bit; left & (left - 1) is without the lowest of them. */
        for (uint64_t left = *A.bits; left != 0; left &= left - 1) {
            ptrdiff_t k = bp_lowest_bit(left);
            bp_vec a = bp_spread(A.at + k);
            const double *b = panel + k * (n_vecs * BP_LANES);
            BP_EACH(v) sum[v] = sum[v] + a * bp_load(b + v * BP_LANES);
        }
        /* The bias comes last (N2). */
        if (bias != NULL)
            BP_EACH(v) sum[v] = sum[v] + BP_VEC(bias, v);
        for (int v = 0; v < n_vecs - 1; v++)
            bp_store(C + v * BP_LANES, sum[v]);
        bp_store_part(C + (n_vecs - 1) * BP_LANES, part, sum[n_vecs - 1]);
#undef BP_VEC
#undef BP_EACH
    }
}

/* bp_sparse_rows for a panel (A.depth, whole vectors), of which n columns are C's. With a NaN or an
 * infinity in it, the ordered product of all elements. */
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

/* Copy a panel of B: depth rows of width numbers, B_step and panel_step apart. */
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

/* The product C (A.rows, n) of A and B, without the terms where A is 0.0: strip by strip of columns
 * of about the same width, at most BP_STRIP_VECS vectors, each from panels of BP_WORD rows of B.
 * first: sums start at 0.0, else they go on from C. bias or NULL: added at the end. transposed:
 * B[k][j] is B[j*B_step + k]. Padding in the last strip's panel is 0.0, so that the search for NaN
 * and infinity finds none there. */
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

/* C (rows, n) = A (rows, depth) B (depth, n) + bias, sums from 0.0: forward and hidden deltas. B as
 * in bp_sparse_product. Ordered (ordered.h) unless there are zeros enough to leave out. */
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

/* A gradient: C (inputs, n) goes on by the sums over rows s, increasing, of x[s][i]*delta[s][j], or
 * starts at 0.0 if first. Rows of x are step doubles apart.
 *
 * The one of x and delta with more zeros takes the part of A: it is transposed into a copy, in
 * which the elements of one word follow each other; in place each would lie in another page.
 * by_inputs: A is x transposed. by_units: A is delta transposed and C's transpose is computed, a
 * strip of BP_STRIP inputs at a time, transposed in and out of C; with fewer rows than a word has
 * bits that does not pay. A product's factors change places, which changes no bit. */
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
            /* Later blocks of rows go on with the sums of the earlier ones. */
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
