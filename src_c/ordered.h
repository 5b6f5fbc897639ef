/* The three ordered products: forward (N2), hidden delta (N5) and weight gradient (N6).
 *
 * Shapes: x (rows, n_in), W and dW (n_in, n_out), b and db (n_out), z and delta (rows, n_out),
 * below (rows, n_in); all without gaps. Every element is one sum of its own, from 0.0 in the stated
 * order, and no two products are fused: the tiles below only decide how many such sums are under
 * way at once, which hides the latency of the adder. A tile's size is a constant where it is
 * called, so that the accumulators stay in registers. */
#ifndef BP_ORDERED_H
#define BP_ORDERED_H

#include <stddef.h>
#include <string.h>

/* Two neighbouring outputs. Left to itself gcc 12 vectorises along the sum instead, and spends more
 * on bringing the products back into order than it gains. */
#if defined(__GNUC__) && !defined(BP_PLAIN_C)
typedef double bp_pair __attribute__((vector_size(16)));
#define BP_PAIR(a, b) ((bp_pair){(a), (b)})
#define BP_AT(pair, k) ((pair)[k])
#define BP_ADD(a, b) ((a) + (b))
#define BP_SUB(a, b) ((a) - (b))
#define BP_MUL(a, b) ((a) * (b))
#else
typedef struct {
    double at[2];
} bp_pair;
#define BP_PAIR(a, b) ((bp_pair){{(a), (b)}})
#define BP_AT(pair, k) ((pair).at[k])
#define BP_ADD(a, b) BP_PAIR((a).at[0] + (b).at[0], (a).at[1] + (b).at[1])
#define BP_SUB(a, b) BP_PAIR((a).at[0] - (b).at[0], (a).at[1] - (b).at[1])
#define BP_MUL(a, b) BP_PAIR((a).at[0] * (b).at[0], (a).at[1] * (b).at[1])
#endif

static inline bp_pair bp_load(const double *from) {
    bp_pair pair;
    memcpy(&pair, from, sizeof pair);
    return pair;
}

static inline void bp_store(double *to, bp_pair pair) { memcpy(to, &pair, sizeof pair); }

enum { BP_ROWS = 4, BP_PAIRS = 4 };

/* z[s][j] = (sum over i increasing of x[s][i]*W[i][j]) + b[j], for n_rows rows and 2*n_pairs
 * outputs. */
static inline void bp_net_input_tile(ptrdiff_t n_rows, ptrdiff_t n_pairs, ptrdiff_t n_in,
                                     ptrdiff_t n_out, const double *restrict x,
                                     const double *restrict W, const double *restrict b,
                                     double *restrict z) {
    bp_pair sum[BP_ROWS][BP_PAIRS];
    for (ptrdiff_t s = 0; s < n_rows; s++)
        for (ptrdiff_t p = 0; p < n_pairs; p++)
            sum[s][p] = BP_PAIR(0.0, 0.0);
    for (ptrdiff_t i = 0; i < n_in; i++, W += n_out)
        for (ptrdiff_t s = 0; s < n_rows; s++) {
            bp_pair x_i = BP_PAIR(x[s * n_in + i], x[s * n_in + i]);
            for (ptrdiff_t p = 0; p < n_pairs; p++)
                sum[s][p] = BP_ADD(sum[s][p], BP_MUL(x_i, bp_load(W + 2 * p)));
        }
    for (ptrdiff_t s = 0; s < n_rows; s++)
        for (ptrdiff_t p = 0; p < n_pairs; p++)
            bp_store(z + s * n_out + 2 * p, BP_ADD(sum[s][p], bp_load(b + 2 * p)));
}

/* The same for one row and two outputs, or one: the net inputs are returned. The sum begins with
 * its first product, not with 0.0, which is an addition less to wait for. That could only make a
 * -0.0 of a sum that is zero, and b + 0.0, which is never -0.0, makes +0.0 of either. */
static inline bp_pair bp_net_input_pair(ptrdiff_t n_in, ptrdiff_t n_out, const double *x,
                                        const double *W, const double *b) {
    bp_pair bias = BP_ADD(bp_load(b), BP_PAIR(0.0, 0.0));
    bp_pair sum = BP_MUL(BP_PAIR(x[0], x[0]), bp_load(W));
    for (ptrdiff_t i = 1; i < n_in; i++) {
        W += n_out;
        sum = BP_ADD(sum, BP_MUL(BP_PAIR(x[i], x[i]), bp_load(W)));
    }
    return BP_ADD(sum, bias);
}

static inline double bp_net_input_one(ptrdiff_t n_in, ptrdiff_t n_out, const double *x,
                                      const double *W, const double *b) {
    double bias = b[0] + 0.0, sum = x[0] * W[0];
    for (ptrdiff_t i = 1; i < n_in; i++)
        sum = sum + x[i] * W[i * n_out];
    return sum + bias;
}

/* BP_ROWS rows. */
static inline void bp_net_input(ptrdiff_t n_in, ptrdiff_t n_out, const double *restrict x,
                                const double *restrict W, const double *restrict b,
                                double *restrict z) {
    ptrdiff_t j = 0;
    for (; j + 4 <= n_out; j += 4)
        bp_net_input_tile(BP_ROWS, 2, n_in, n_out, x, W + j, b + j, z + j);
    for (; j + 2 <= n_out; j += 2)
        bp_net_input_tile(BP_ROWS, 1, n_in, n_out, x, W + j, b + j, z + j);
    for (ptrdiff_t s = 0; j < n_out && s < BP_ROWS; s++)
        z[s * n_out + j] = bp_net_input_one(n_in, n_out, x + s * n_in, W + j, b + j);
}

/* sum[i] = sum over j increasing of delta[j]*W[i][j], for one row and height inputs. It begins with
 * its first product, not with 0.0. That could only change the sign of a delta that is zero; such a
 * sign can reach a delta further down only as the sign of another zero, and ends in the gradient's
 * sums, which do begin with 0.0. */
static inline void bp_hidden_sum_tile(ptrdiff_t height, ptrdiff_t n_out,
                                      const double *restrict delta, const double *restrict W,
                                      double *restrict sum) {
    for (ptrdiff_t i = 0; i < height; i++)
        sum[i] = delta[0] * W[i * n_out];
    for (ptrdiff_t j = 1; j < n_out; j++)
        for (ptrdiff_t i = 0; i < height; i++)
            sum[i] = sum[i] + delta[j] * W[i * n_out + j];
}

/* dW[i][j] goes on by x[s][i]*delta[s][j], s increasing, for one input and 2*n_pairs outputs; from
 * 0.0 if first. A stride of 0 between the rows' inputs makes x the constant 1.0 of the biases. */
static inline void bp_gradient_tile(int first, ptrdiff_t n_pairs, ptrdiff_t rows, ptrdiff_t stride,
                                    ptrdiff_t n_out, const double *restrict x,
                                    const double *restrict delta, double *restrict dW) {
    bp_pair sum[BP_PAIRS];
    for (ptrdiff_t p = 0; p < n_pairs; p++)
        sum[p] = first ? BP_PAIR(0.0, 0.0) : bp_load(dW + 2 * p);
    for (ptrdiff_t s = 0; s < rows; s++, x += stride, delta += n_out) {
        bp_pair x_i = BP_PAIR(x[0], x[0]);
        for (ptrdiff_t p = 0; p < n_pairs; p++)
            sum[p] = BP_ADD(sum[p], BP_MUL(x_i, bp_load(delta + 2 * p)));
    }
    for (ptrdiff_t p = 0; p < n_pairs; p++)
        bp_store(dW + 2 * p, sum[p]);
}

static inline void bp_gradient_row(int first, ptrdiff_t rows, ptrdiff_t stride, ptrdiff_t n_out,
                                   const double *restrict x, const double *restrict delta,
                                   double *restrict dW) {
    ptrdiff_t j = 0;
    for (; j + 8 <= n_out; j += 8)
        bp_gradient_tile(first, 4, rows, stride, n_out, x, delta + j, dW + j);
    for (; j + 2 <= n_out; j += 2)
        bp_gradient_tile(first, 1, rows, stride, n_out, x, delta + j, dW + j);
    if (j < n_out) {
        double sum = first ? 0.0 : dW[j];
        for (ptrdiff_t s = 0; s < rows; s++)
            sum = sum + x[s * stride] * delta[s * n_out + j];
        dW[j] = sum;
    }
}

/* The gradient of a block of rows, added to dW and db, or put there if it is the batch's first
 * block. */
static inline void bp_gradient(int first, ptrdiff_t rows, ptrdiff_t n_in, ptrdiff_t n_out,
                               const double *restrict x, const double *restrict delta,
                               double *restrict dW, double *restrict db) {
    static const double one = 1.0;
    for (ptrdiff_t i = 0; i < n_in; i++)
        bp_gradient_row(first, rows, n_in, n_out, x + i, delta, dW + i * n_out);
    bp_gradient_row(first, rows, 0, n_out, &one, delta, db);
}

/* w - lr*(0.0 + x*delta). Adding 0.0 makes +0.0 of a product that is -0.0, as a sum from 0.0 does.
 */
static inline void bp_sgd_pair(double lr, double x, bp_pair delta, double *w) {
    bp_pair g = BP_ADD(BP_PAIR(0.0, 0.0), BP_MUL(BP_PAIR(x, x), delta));
    bp_store(w, BP_SUB(bp_load(w), BP_MUL(BP_PAIR(lr, lr), g)));
}

static inline void bp_sgd_one(double lr, double x, double delta, double *w) {
    w[0] = w[0] - lr * (0.0 + x * delta);
}

/* The same for n weights that share x. */
static inline void bp_sgd_weights(double lr, ptrdiff_t n, double x, const double *delta,
                                  double *w) {
    ptrdiff_t j = 0;
    for (; j + 2 <= n; j += 2)
        bp_sgd_pair(lr, x, bp_load(delta + j), w + j);
    if (j < n)
        bp_sgd_one(lr, x, delta[j], w + j);
}

#endif
