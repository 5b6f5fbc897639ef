/* The table of activations (N3). A row is a name, the value as an expression in the net input z,
 * and the derivative as an expression in the value a; each is the reference's row of the same name.
 * Everything else here follows from it.
 *
 * scale (rows, 2) is written by softmax alone: the largest z, and the sum S. */
#ifndef BP_ACTIVATIONS_H
#define BP_ACTIVATIONS_H

#include <math.h>
#include <stddef.h>

#include "elementary.h"
#include "ordered.h"

static inline double bp_tanh(double z) {
    double t = bp_expm1(-2.0 * fabs(z));
    return copysign(-t / (t + 2.0), z);
}

static inline double bp_softplus(double z) {
    return (z <= 0.0 ? 0.0 : z) + bp_log1p(bp_exp(-fabs(z)));
}

#define BP_ACTIVATIONS(ROW)                                                                        \
    ROW(identity, z, 1.0)                                                                          \
    ROW(logistic, 1.0 / (1.0 + bp_exp(-z)), a * (1.0 - a))                                         \
    ROW(tanh, bp_tanh(z), 1.0 - a * a)                                                             \
    ROW(relu, z <= 0.0 ? 0.0 : z, a <= 0.0 ? 0.0 : 1.0)                                            \
    ROW(leaky_relu, z <= 0.0 ? 0.01 * z : z, a <= 0.0 ? 0.01 : 1.0)                                \
    ROW(elu, z <= 0.0 ? bp_expm1(z) : z, a <= 0.0 ? a + 1.0 : 1.0)                                 \
    ROW(softplus, bp_softplus(z), -bp_expm1(-a))                                                   \
    ROW(softsign, z / (1.0 + fabs(z)), (1.0 - fabs(a)) * (1.0 - fabs(a)))

typedef struct bp_activation bp_activation;

/* A layer, and its part of the work space of a block of rows. */
typedef struct {
    ptrdiff_t n_in, n_out;
    const bp_activation *activation;
    double *W;       /* (n_in, n_out) */
    double *b;       /* (n_out) */
    double *dW;      /* like W: the gradient of the batch so far; unset without a backward pass */
    double *db;      /* like b */
    const double *x; /* (rows, n_in): the a of the layer below */
    double *z, *a;   /* (rows, n_out); z is a itself, except in the last layer */
    double *delta;   /* (rows, n_out) */
} bp_layer;

/* Each activation has loops of its own, so that for a single row, where latency is what counts, a
 * net input goes from the register that it was summed in straight into the activation.
 *
 * forward: z = x W + b, a = value(z). forward_row: the same for one row.
 * node_deltas: delta = (a - t)*derivative(a); NULL for softmax, whose loss needs no derivative.
 * hidden_deltas: delta[s][i] = (sum over j of delta_above[s][j]*W_above[i][j])*derivative(a[s][i]).
 * first_step: for the first layer and one row, its deltas and the step of plain SGD at once. */
struct bp_activation {
    const char *name;
    void (*forward)(const bp_layer *layer, ptrdiff_t rows, double *scale);
    void (*forward_row)(const bp_layer *layer, double *scale);
    void (*node_deltas)(const bp_layer *layer, ptrdiff_t rows, const double *t);
    void (*hidden_deltas)(const bp_layer *layer, const bp_layer *above, ptrdiff_t rows);
    void (*first_step)(const bp_layer *layer, const bp_layer *above, double lr, int train_biases);
};

/* Plain SGD on a layer after one row. */
static inline void bp_sgd_row(const bp_layer *layer, double lr, int train_biases) {
    const ptrdiff_t n_in = layer->n_in, n_out = layer->n_out;
    for (ptrdiff_t i = 0; i < n_in; i++)
        bp_sgd_weights(lr, n_out, layer->x[i], layer->delta, layer->W + i * n_out);
    if (train_biases)
        bp_sgd_weights(lr, n_out, 1.0, layer->delta, layer->b);
}

/* Values and deltas are stored two at a time, since they are loaded so: a load that spans two
 * stores has to wait until both have left the store buffer. */
#define BP_FUNCTIONS(name, value, derivative)                                                      \
    static inline double bp_##name##_of(double z) { return (value); }                              \
    static inline double bp_##name##_derivative(double a) { return (void)a, (derivative); }        \
    static inline void bp_##name##_outputs(ptrdiff_t j, ptrdiff_t n_in, ptrdiff_t n_out,           \
                                           const double *x, const double *W, const double *b,      \
                                           double *z, double *a) {                                 \
        for (; j + 2 <= n_out; j += 2) {                                                           \
            bp_pair z_j = bp_net_input_pair(n_in, n_out, x, W + j, b + j);                         \
            bp_store(z + j, z_j);                                                                  \
            bp_store(a + j,                                                                        \
                     BP_PAIR(bp_##name##_of(BP_AT(z_j, 0)), bp_##name##_of(BP_AT(z_j, 1))));       \
        }                                                                                          \
        if (j < n_out) {                                                                           \
            z[j] = bp_net_input_one(n_in, n_out, x, W + j, b + j);                                 \
            a[j] = bp_##name##_of(z[j]);                                                           \
        }                                                                                          \
    }                                                                                              \
    static void bp_forward_##name(const bp_layer *layer, ptrdiff_t rows, double *scale) {          \
        const ptrdiff_t n_in = layer->n_in, n_out = layer->n_out;                                  \
        const double *x = layer->x;                                                                \
        double *z = layer->z, *a = layer->a;                                                       \
        (void)scale;                                                                               \
        for (; rows >= BP_ROWS; rows -= BP_ROWS) {                                                 \
            bp_net_input(n_in, n_out, x, layer->W, layer->b, z);                                   \
            for (ptrdiff_t k = 0; k < BP_ROWS * n_out; k++)                                        \
                a[k] = bp_##name##_of(z[k]);                                                       \
            x += BP_ROWS * n_in, z += BP_ROWS * n_out, a += BP_ROWS * n_out;                       \
        }                                                                                          \
        for (; rows > 0; rows--, x += n_in, z += n_out, a += n_out) {                              \
            ptrdiff_t j = 0;                                                                       \
            for (; j + 8 <= n_out; j += 8) {                                                       \
                bp_net_input_tile(1, 4, n_in, n_out, x, layer->W + j, layer->b + j, z + j);        \
                for (ptrdiff_t k = j; k < j + 8; k += 2)                                           \
                    bp_store(a + k, BP_PAIR(bp_##name##_of(z[k]), bp_##name##_of(z[k + 1])));      \
            }                                                                                      \
            bp_##name##_outputs(j, n_in, n_out, x, layer->W, layer->b, z, a);                      \
        }                                                                                          \
    }                                                                                              \
    static void bp_forward_row_##name(const bp_layer *layer, double *scale) {                      \
        if (layer->n_out >= 8)                                                                     \
            bp_forward_##name(layer, 1, scale);                                                    \
        else                                                                                       \
            bp_##name##_outputs(0, layer->n_in, layer->n_out, layer->x, layer->W, layer->b,        \
                                layer->z, layer->a);                                               \
    }                                                                                              \
    static void bp_node_deltas_##name(const bp_layer *layer, ptrdiff_t rows, const double *t) {    \
        const double *a = layer->a;                                                                \
        const ptrdiff_t n = rows * layer->n_out;                                                   \
        ptrdiff_t k = 0;                                                                           \
        for (; k + 2 <= n; k += 2)                                                                 \
            bp_store(layer->delta + k,                                                             \
                     BP_PAIR((a[k] - t[k]) * bp_##name##_derivative(a[k]),                         \
                             (a[k + 1] - t[k + 1]) * bp_##name##_derivative(a[k + 1])));           \
        if (k < n)                                                                                 \
            layer->delta[k] = (a[k] - t[k]) * bp_##name##_derivative(a[k]);                        \
    }                                                                                              \
    static void bp_hidden_deltas_##name(const bp_layer *layer, const bp_layer *above,              \
                                        ptrdiff_t rows) {                                          \
        const ptrdiff_t n = layer->n_out, n_above = above->n_out;                                  \
        const double *a = layer->a, *delta_above = above->delta;                                   \
        double *delta = layer->delta, sum[8];                                                      \
        for (; rows > 0; rows--, delta_above += n_above, a += n, delta += n) {                     \
            const double *W = above->W;                                                            \
            ptrdiff_t i = 0;                                                                       \
            for (; i + 8 <= n; i += 8, W += 8 * n_above) {                                         \
                bp_hidden_sum_tile(8, n_above, delta_above, W, sum);                               \
                for (ptrdiff_t k = 0; k < 8; k += 2)                                               \
                    bp_store(delta + i + k,                                                        \
                             BP_PAIR(sum[k] * bp_##name##_derivative(a[i + k]),                    \
                                     sum[k + 1] * bp_##name##_derivative(a[i + k + 1])));          \
            }                                                                                      \
            for (; i + 2 <= n; i += 2, W += 2 * n_above) {                                         \
                bp_hidden_sum_tile(2, n_above, delta_above, W, sum);                               \
                bp_store(delta + i, BP_PAIR(sum[0] * bp_##name##_derivative(a[i]),                 \
                                            sum[1] * bp_##name##_derivative(a[i + 1])));           \
            }                                                                                      \
            if (i < n) {                                                                           \
                bp_hidden_sum_tile(1, n_above, delta_above, W, sum);                               \
                delta[i] = sum[0] * bp_##name##_derivative(a[i]);                                  \
            }                                                                                      \
        }                                                                                          \
    }                                                                                              \
    static void bp_first_step_##name(const bp_layer *layer, const bp_layer *above, double lr,      \
                                     int train_biases) {                                           \
        const ptrdiff_t n_in = layer->n_in, n = layer->n_out, n_above = above->n_out;              \
        const double *x = layer->x, *a = layer->a, *W_above = above->W;                            \
        double sum[2];                                                                             \
        ptrdiff_t j = 0;                                                                           \
        if (n >= 8) {                                                                              \
            bp_hidden_deltas_##name(layer, above, 1);                                              \
            bp_sgd_row(layer, lr, train_biases);                                                   \
            return;                                                                                \
        }                                                                                          \
        for (; j + 2 <= n; j += 2, W_above += 2 * n_above) {                                       \
            bp_hidden_sum_tile(2, n_above, above->delta, W_above, sum);                            \
            bp_pair delta = BP_PAIR(sum[0] * bp_##name##_derivative(a[j]),                         \
                                    sum[1] * bp_##name##_derivative(a[j + 1]));                    \
            for (ptrdiff_t i = 0; i < n_in; i++)                                                   \
                bp_sgd_pair(lr, x[i], delta, layer->W + i * n + j);                                \
            if (train_biases)                                                                      \
                bp_sgd_pair(lr, 1.0, delta, layer->b + j);                                         \
        }                                                                                          \
        if (j < n) {                                                                               \
            bp_hidden_sum_tile(1, n_above, above->delta, W_above, sum);                            \
            double delta = sum[0] * bp_##name##_derivative(a[j]);                                  \
            for (ptrdiff_t i = 0; i < n_in; i++)                                                   \
                bp_sgd_one(lr, x[i], delta, layer->W + i * n + j);                                 \
            if (train_biases)                                                                      \
                bp_sgd_one(lr, 1.0, delta, layer->b + j);                                          \
        }                                                                                          \
    }
BP_ACTIVATIONS(BP_FUNCTIONS)
#undef BP_FUNCTIONS

/* Row by row: m the largest z, e[j] = exp(z[j] - m), S their sum in increasing j, a[j] = e[j]/S. */
static void bp_forward_softmax(const bp_layer *layer, ptrdiff_t rows, double *scale) {
    const ptrdiff_t n = layer->n_out;
    const double *z = layer->z;
    double *a = layer->a;
    bp_forward_identity(layer, rows, scale);
    for (; rows > 0; rows--, z += n, a += n, scale += 2) {
        double m = z[0], S = 0.0;
        for (ptrdiff_t j = 1; j < n; j++)
            m = z[j] > m ? z[j] : m;
        for (ptrdiff_t j = 0; j < n; j++) {
            a[j] = bp_exp(z[j] - m);
            S = S + a[j];
        }
        for (ptrdiff_t j = 0; j < n; j++)
            a[j] = a[j] / S;
        scale[0] = m;
        scale[1] = S;
    }
}

static void bp_forward_row_softmax(const bp_layer *layer, double *scale) {
    bp_forward_softmax(layer, 1, scale);
}

static const bp_activation bp_activations[] = {
#define BP_ENTRY(name, value, derivative)                                                          \
    {#name,                                                                                        \
     bp_forward_##name,                                                                            \
     bp_forward_row_##name,                                                                        \
     bp_node_deltas_##name,                                                                        \
     bp_hidden_deltas_##name,                                                                      \
     bp_first_step_##name},
    BP_ACTIVATIONS(BP_ENTRY)
#undef BP_ENTRY
        {"softmax", bp_forward_softmax, bp_forward_row_softmax, NULL, NULL, NULL},
};

enum { bp_n_activations = sizeof bp_activations / sizeof bp_activations[0] };

#endif
