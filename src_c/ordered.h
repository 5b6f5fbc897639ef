/* The three ordered products: forward (N2), hidden delta (N5) and weight gradient (N6).
 *
 * Shapes: x (rows, n_in), W and dW (n_in, n_out), b and db (n_out), z and delta (rows, n_out), below (rows, n_in); all
 * without gaps. Every element is one sum of its own, from 0.0 in the stated order, and no two products are fused: the
 * tiles below only decide how many such sums are under way at once, which hides the latency of the adder. A tile's size
 * is a constant where it is called, so that the accumulators stay in registers. */
#ifndef BP_ORDERED_H
#define BP_ORDERED_H

#include <stddef.h>

enum { BP_TILE_MAX = 8 };

/* z[s][j] = (sum over i increasing of x[s][i]*W[i][j]) + b[j], for n_rows rows and width outputs. */
static inline void bp_net_input_tile(ptrdiff_t n_rows, ptrdiff_t width, ptrdiff_t n_in, ptrdiff_t n_out,
                                     const double *restrict x, const double *restrict W,
                                     const double *restrict b, double *restrict z)
{
    double sum[4][BP_TILE_MAX];
    for (ptrdiff_t s = 0; s < n_rows; s++)
        for (ptrdiff_t j = 0; j < width; j++)
            sum[s][j] = 0.0;
    for (ptrdiff_t i = 0; i < n_in; i++)
        for (ptrdiff_t s = 0; s < n_rows; s++)
            for (ptrdiff_t j = 0; j < width; j++)
                sum[s][j] = sum[s][j] + x[s * n_in + i] * W[i * n_out + j];
    for (ptrdiff_t s = 0; s < n_rows; s++)
        for (ptrdiff_t j = 0; j < width; j++)
            z[s * n_out + j] = sum[s][j] + b[j];
}

static inline void bp_net_input_rows(ptrdiff_t n_rows, ptrdiff_t n_in, ptrdiff_t n_out,
                                     const double *restrict x, const double *restrict W,
                                     const double *restrict b, double *restrict z)
{
    ptrdiff_t j = 0;
    for (; j + 4 <= n_out; j += 4)
        bp_net_input_tile(n_rows, 4, n_in, n_out, x, W + j, b + j, z + j);
    for (; j + 2 <= n_out; j += 2)
        bp_net_input_tile(n_rows, 2, n_in, n_out, x, W + j, b + j, z + j);
    if (j < n_out)
        bp_net_input_tile(n_rows, 1, n_in, n_out, x, W + j, b + j, z + j);
}

static inline void bp_net_input(ptrdiff_t rows, ptrdiff_t n_in, ptrdiff_t n_out,
                                const double *restrict x, const double *restrict W,
                                const double *restrict b, double *restrict z)
{
    ptrdiff_t s = 0;
    for (; s + 4 <= rows; s += 4)
        bp_net_input_rows(4, n_in, n_out, x + s * n_in, W, b, z + s * n_out);
    for (; s < rows; s++)
        bp_net_input_rows(1, n_in, n_out, x + s * n_in, W, b, z + s * n_out);
}

/* below[s][i] = sum over j increasing of delta[s][j]*W[i][j], for one row and height inputs. */
static inline void bp_hidden_sum_tile(ptrdiff_t height, ptrdiff_t n_out, const double *restrict delta,
                                      const double *restrict W, double *restrict below)
{
    double sum[BP_TILE_MAX];
    for (ptrdiff_t i = 0; i < height; i++)
        sum[i] = 0.0;
    for (ptrdiff_t j = 0; j < n_out; j++)
        for (ptrdiff_t i = 0; i < height; i++)
            sum[i] = sum[i] + delta[j] * W[i * n_out + j];
    for (ptrdiff_t i = 0; i < height; i++)
        below[i] = sum[i];
}

static inline void bp_hidden_sum(ptrdiff_t rows, ptrdiff_t n_in, ptrdiff_t n_out,
                                 const double *restrict delta, const double *restrict W,
                                 double *restrict below)
{
    for (ptrdiff_t s = 0; s < rows; s++, delta += n_out, below += n_in) {
        ptrdiff_t i = 0;
        for (; i + 8 <= n_in; i += 8)
            bp_hidden_sum_tile(8, n_out, delta, W + i * n_out, below + i);
        for (; i + 2 <= n_in; i += 2)
            bp_hidden_sum_tile(2, n_out, delta, W + i * n_out, below + i);
        if (i < n_in)
            bp_hidden_sum_tile(1, n_out, delta, W + i * n_out, below + i);
    }
}

/* dW[i][j] goes on by x[s][i]*delta[s][j], s increasing, for one input and width outputs; from 0.0 if first. A stride of 0
 * between the rows' inputs makes x the constant 1.0 of the biases. */
static inline void bp_gradient_tile(int first, ptrdiff_t width, ptrdiff_t rows, ptrdiff_t stride,
                                    ptrdiff_t n_out, const double *restrict x,
                                    const double *restrict delta, double *restrict dW)
{
    double sum[BP_TILE_MAX];
    for (ptrdiff_t j = 0; j < width; j++)
        sum[j] = first ? 0.0 : dW[j];
    for (ptrdiff_t s = 0; s < rows; s++)
        for (ptrdiff_t j = 0; j < width; j++)
            sum[j] = sum[j] + x[s * stride] * delta[s * n_out + j];
    for (ptrdiff_t j = 0; j < width; j++)
        dW[j] = sum[j];
}

static inline void bp_gradient_row(int first, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t n_out,
                                   const double *restrict x, const double *restrict delta,
                                   double *restrict dW)
{
    ptrdiff_t j = 0;
    for (; j + 8 <= n_out; j += 8)
        bp_gradient_tile(first, 8, rows, stride, n_out, x, delta + j, dW + j);
    for (; j + 2 <= n_out; j += 2)
        bp_gradient_tile(first, 2, rows, stride, n_out, x, delta + j, dW + j);
    if (j < n_out)
        bp_gradient_tile(first, 1, rows, stride, n_out, x, delta + j, dW + j);
}

/* The gradient of a block of rows, added to dW and db, or put there if it is the batch's first block. */
static inline void bp_gradient(int first, ptrdiff_t rows, ptrdiff_t n_in, ptrdiff_t n_out,
                               const double *restrict x, const double *restrict delta,
                               double *restrict dW, double *restrict db)
{
    static const double one = 1.0;
    for (ptrdiff_t i = 0; i < n_in; i++)
        bp_gradient_row(first, rows, n_in, n_out, x + i, delta, dW + i * n_out);
    bp_gradient_row(first, rows, 0, n_out, &one, delta, db);
}

/* Plain SGD on one row: W[i][j] - lr*(0.0 + x[i]*delta[j]), and b alike unless it is NULL. Adding 0.0 makes +0.0 of
 * a product that is -0.0, as the gradient's sum does. */
static inline void bp_sgd_row(double lr, ptrdiff_t n_in, ptrdiff_t n_out, const double *restrict x,
                              const double *restrict delta, double *restrict W, double *restrict b)
{
    for (ptrdiff_t i = 0; i < n_in; i++)
        for (ptrdiff_t j = 0; j < n_out; j++)
            W[i * n_out + j] = W[i * n_out + j] - lr * (0.0 + x[i] * delta[j]);
    for (ptrdiff_t j = 0; b && j < n_out; j++)
        b[j] = b[j] - lr * (0.0 + delta[j]);
}

#endif
