/* The table of activations (N3). A row is a name, the value as an expression in the net inputs z,
 * and the derivative as an expression in the values a, or in z, as the letter before it says, all
 * vectors; each is the reference's row of the same name. Everything else here follows from it. */
#ifndef BP_ACTIVATIONS_H
#define BP_ACTIVATIONS_H

#include "kernel.h"
#include "quick.h"
#include "vector.h"

/* no where v <= 0.0, else yes: what a NaN gets. */
BP_INLINE bp_vec bp_sign_choice(bp_vec v, bp_vec no, bp_vec yes) {
    return bp_select(bp_less_equal(v, bp_set(0.0)), no, yes);
}

BP_INLINE bp_vec bp_positive(bp_vec z) { return bp_sign_choice(z, bp_set(0.0), z); }

BP_INLINE bp_vec bp_tanh(bp_vec z) {
    bp_vec t = bp_expm1_of_negative(-2.0 * bp_abs(z));
    return bp_copysign(t / (t + 2.0), z);
}

/* expm1 is not asked where it is not wanted. */
BP_INLINE bp_vec bp_elu(bp_vec z) {
    bp_mask below = bp_less_equal(z, bp_set(0.0));
    return bp_select(below, bp_expm1_of_negative(bp_select(below, z, bp_set(-1.0))), z);
}

BP_INLINE bp_vec bp_softplus(bp_vec z) { return bp_positive(z) + bp_log1p(bp_exp(-bp_abs(z))); }

BP_INLINE bp_vec bp_square(bp_vec d) { return d * d; }

BP_INLINE bp_vec bp_logistic(bp_vec z) { return 1.0 / (1.0 + bp_exp(-z)); }

BP_INLINE bp_vec bp_silu_slope(bp_vec z) {
    bp_vec s = bp_logistic(z);
    return s * (1.0 + z * (1.0 - s));
}

BP_INLINE bp_vec bp_gelu_tanh(bp_vec z) {
    return bp_tanh(0.7978845608028654 * (z + 0.044715 * ((z * z) * z)));
}

/* q is 0.0 long before z*z overflows. */
BP_INLINE bp_vec bp_gelu_slope(bp_vec z) {
    bp_vec t = bp_gelu_tanh(z), q = (0.5 * z) * (1.0 - t * t);
    return 0.5 * (1.0 + t) + 0.7978845608028654 * (q + 0.134145 * ((q * z) * z));
}

BP_INLINE bp_vec bp_gaussian(bp_vec z) { return bp_exp(-(z * z)); }

enum { BP_OF_a, BP_OF_z };

#define BP_ACTIVATIONS(ROW)                                                                        \
    ROW(identity, z, a, bp_set(1.0))                                                               \
    ROW(logistic, bp_logistic(z), a, (a * (1.0 - a)))                                              \
    ROW(tanh, bp_tanh(z), a, 1.0 - a * a)                                                          \
    ROW(relu, bp_positive(z), a, bp_sign_choice(a, bp_set(0.0), bp_set(1.0)))                      \
    ROW(leaky_relu, bp_sign_choice(z, 0.01 * z, z), a,                                             \
        bp_sign_choice(a, bp_set(0.01), bp_set(1.0)))                                              \
    ROW(elu, bp_elu(z), a, bp_sign_choice(a, a + 1.0, bp_set(1.0)))                                \
    ROW(softplus, bp_softplus(z), a, -bp_expm1_of_negative(-a))                                    \
    ROW(softsign, z / (1.0 + bp_abs(z)), a, bp_square(1.0 - bp_abs(a)))                            \
    ROW(exponential, bp_exp(z), a, a)                                                              \
    ROW(silu, z / (1.0 + bp_exp(-z)), z, bp_silu_slope(z))                                         \
    ROW(gelu, (0.5 * z) * (1.0 + bp_gelu_tanh(z)), z, bp_gelu_slope(z))                            \
    ROW(gaussian, bp_gaussian(z), z, -2.0 * (z * bp_gaussian(z)))

typedef bp_vec (*bp_function)(bp_vec);

/* out = f(x) for n numbers. */
BP_INLINE void bp_map(bp_function f, ptrdiff_t n, const double *x, double *out) {
    ptrdiff_t k = 0;
    for (; k + BP_LANES <= n; k += BP_LANES)
        bp_store(out + k, f(bp_load(x + k)));
    if (k < n) {
        bp_part part = bp_part_of(n - k);
        bp_store_part(out + k, part, f(bp_load_last(x + k, part)));
    }
}

BP_INLINE void bp_node_deltas(bp_function derivative, int of_z, ptrdiff_t n, const double *z,
                              const double *a, const double *t, double *delta) {
    ptrdiff_t k = 0;
    for (; k + BP_LANES <= n; k += BP_LANES) {
        bp_vec o = bp_load(a + k);
        bp_vec of = of_z ? bp_load(z + k) : o;
        bp_store(delta + k, (o - bp_load(t + k)) * derivative(of));
    }
    if (k < n) {
        bp_part part = bp_part_of(n - k);
        bp_vec o = bp_load_last(a + k, part);
        bp_vec of = of_z ? bp_load_last(z + k, part) : o;
        bp_store_part(delta + k, part, (o - bp_load_last(t + k, part)) * derivative(of));
    }
}

BP_INLINE void bp_times_derivative(bp_function derivative, ptrdiff_t n, const double *of,
                                   double *delta) {
    ptrdiff_t k = 0;
    for (; k + BP_LANES <= n; k += BP_LANES)
        bp_store(delta + k, bp_load(delta + k) * derivative(bp_load(of + k)));
    if (k < n) {
        bp_part part = bp_part_of(n - k);
        bp_vec of_k = bp_load_last(of + k, part);
        bp_store_part(delta + k, part, bp_load_last(delta + k, part) * derivative(of_k));
    }
}

/* delta = a - t for n numbers. */
static void bp_differences(ptrdiff_t n, const double *a, const double *t, double *delta) {
    ptrdiff_t k = 0;
    for (; k + BP_LANES <= n; k += BP_LANES)
        bp_store(delta + k, bp_load(a + k) - bp_load(t + k));
    if (k < n) {
        bp_part part = bp_part_of(n - k);
        bp_store_part(delta + k, part, bp_load_last(a + k, part) - bp_load_last(t + k, part));
    }
}

/* ---- one row at a time ---- */

/* Up to four vectors of sums, x (n_in), W (n_in, stride).
 *
 * A sum begins with its first product, not with 0.0, which is an addition less to wait for. As a
 * net input that could only make a -0.0 of a sum that is zero, and b + 0.0, which is never -0.0,
 * makes +0.0 of either. In a hidden delta it could only change the sign of a delta that is zero;
 * such a sign can reach a delta further down only as the sign of another zero, and ends in the
 * gradient 0.0 + x*delta. */
BP_INLINE void bp_online_sums(int n_vecs, ptrdiff_t n_in, ptrdiff_t stride, const double *x,
                              const double *W, bp_vec *sum) {
    for (int v = 0; v < n_vecs; v++)
        sum[v] = bp_spread(x) * bp_load(W + v * BP_LANES);
    for (ptrdiff_t i = 1; i < n_in; i++) {
        W += stride;
        for (int v = 0; v < n_vecs; v++)
            sum[v] = sum[v] + bp_spread(x + i) * bp_load(W + v * BP_LANES);
    }
}

/* w - lr*(0.0 + x*delta). Adding 0.0 makes +0.0 of a product that is -0.0, as a sum from 0.0 does.
 */
BP_INLINE void bp_online_move(int n_vecs, double lr, bp_vec x, const bp_vec *delta, double *w) {
    for (int v = 0; v < n_vecs; v++) {
        double *at = w + v * BP_LANES;
        bp_store(at, bp_load(at) - lr * (0.0 + x * delta[v]));
    }
}

BP_INLINE void bp_online_move_layer(int n_vecs, const bp_online_layer *layer, ptrdiff_t j,
                                    const bp_vec *delta, double lr, int train_biases) {
    double *W = layer->W + j;
    for (ptrdiff_t i = 0; i < layer->n_in; i++, W += layer->stride)
        bp_online_move(n_vecs, lr, bp_spread(layer->x + i), delta, W);
    if (train_biases)
        bp_online_move(n_vecs, lr, bp_set(1.0), delta, layer->b + j);
}

/* Deltas are 0.0 beside the layer's units. */
BP_INLINE void bp_online_clear(int n_vecs, const bp_online_layer *layer, ptrdiff_t j,
                               bp_vec *delta) {
    if (j + n_vecs * BP_LANES == layer->stride)
        delta[n_vecs - 1] = bp_keep(bp_part_of(layer->n - (layer->stride - BP_LANES)),
                                    delta[n_vecs - 1], bp_set(0.0));
}

BP_INLINE void bp_online_store(int n_vecs, const bp_vec *from, double *to) {
    for (int v = 0; v < n_vecs; v++)
        bp_store(to + v * BP_LANES, from[v]);
}

/* STEP(n_vecs, j, ...) for all vectors of a padded row, up to four from each j on. */
#define BP_ONLINE(STEP, stride, ...)                                                               \
    do {                                                                                           \
        ptrdiff_t j = 0;                                                                           \
        for (; j + 4 * BP_LANES <= (stride); j += 4 * BP_LANES)                                    \
            STEP(4, j, __VA_ARGS__);                                                               \
        if (j + 2 * BP_LANES <= (stride)) {                                                        \
            STEP(2, j, __VA_ARGS__);                                                               \
            j += 2 * BP_LANES;                                                                     \
        }                                                                                          \
        if (j < (stride))                                                                          \
            STEP(1, j, __VA_ARGS__);                                                               \
    } while (0)

BP_INLINE void bp_online_net_inputs(int n_vecs, ptrdiff_t j, const bp_online_layer *layer,
                                    bp_vec *z) {
    bp_online_sums(n_vecs, layer->n_in, layer->stride, layer->x, layer->W + j, z);
    for (int v = 0; v < n_vecs; v++)
        z[v] = z[v] + (bp_load(layer->b + j + v * BP_LANES) + 0.0);
    bp_online_store(n_vecs, z, layer->z + j);
}

BP_INLINE void bp_online_forward(int n_vecs, ptrdiff_t j, bp_function value,
                                 const bp_online_layer *layer) {
    bp_vec z[4];
    bp_online_net_inputs(n_vecs, j, layer, z);
    for (int v = 0; v < n_vecs; v++)
        z[v] = value(z[v]);
    bp_online_store(n_vecs, z, layer->a + j);
}

/* (o - t)*derivative, or o - t without a derivative. */
BP_INLINE void bp_online_deltas(int n_vecs, ptrdiff_t j, bp_function derivative, int of_z,
                                const bp_online_layer *layer, const double *t, const bp_vec *o) {
    bp_vec delta[4];
    for (int v = 0; v < n_vecs; v++) {
        ptrdiff_t at = j + v * BP_LANES;
        bp_vec t_j = at + BP_LANES <= layer->n ? bp_load(t + at)
                                               : bp_load_part(t + at, bp_part_of(layer->n - at));
        bp_vec of = of_z ? bp_load(layer->z + at) : o[v];
        delta[v] = derivative == NULL ? o[v] - t_j : (o[v] - t_j) * derivative(of);
    }
    bp_online_clear(n_vecs, layer, j, delta);
    bp_online_store(n_vecs, delta, layer->delta + j);
}

/* The last layer's forward pass and deltas at once: its outputs stay in registers. */
BP_INLINE void bp_online_outputs(int n_vecs, ptrdiff_t j, bp_function value, bp_function derivative,
                                 int of_z, const bp_online_layer *layer, const double *t) {
    bp_vec o[4];
    bp_online_net_inputs(n_vecs, j, layer, o);
    for (int v = 0; v < n_vecs; v++)
        o[v] = value(o[v]);
    bp_online_store(n_vecs, o, layer->a + j);
    bp_online_deltas(n_vecs, j, derivative, of_z, layer, t, o);
}

BP_INLINE void bp_online_difference(int n_vecs, ptrdiff_t j, const bp_online_layer *layer,
                                    const double *t) {
    bp_vec o[4];
    for (int v = 0; v < n_vecs; v++)
        o[v] = bp_load(layer->a + j + v * BP_LANES);
    bp_online_deltas(n_vecs, j, NULL, 0, layer, t, o);
}

BP_INLINE void bp_online_hidden(int n_vecs, ptrdiff_t j, bp_function derivative, int of_z,
                                const bp_online_layer *layer, const bp_online_layer *above,
                                bp_vec *delta) {
    const double *of = of_z ? layer->z : layer->a;
    bp_online_sums(n_vecs, above->n, layer->stride, above->delta, above->Wt + j, delta);
    for (int v = 0; v < n_vecs; v++)
        delta[v] = delta[v] * derivative(bp_load(of + j + v * BP_LANES));
    bp_online_clear(n_vecs, layer, j, delta);
}

BP_INLINE void bp_online_hidden_deltas(int n_vecs, ptrdiff_t j, bp_function derivative, int of_z,
                                       const bp_online_layer *layer, const bp_online_layer *above) {
    bp_vec delta[4];
    bp_online_hidden(n_vecs, j, derivative, of_z, layer, above, delta);
    bp_online_store(n_vecs, delta, layer->delta + j);
}

BP_INLINE void bp_online_first_step(int n_vecs, ptrdiff_t j, bp_function derivative, int of_z,
                                    const bp_online_layer *layer, const bp_online_layer *above,
                                    double lr, int train_biases) {
    bp_vec delta[4];
    bp_online_hidden(n_vecs, j, derivative, of_z, layer, above, delta);
    bp_online_move_layer(n_vecs, layer, j, delta, lr, train_biases);
}

BP_INLINE void bp_online_step_part(int n_vecs, ptrdiff_t j, const bp_online_layer *layer, double lr,
                                   int train_biases) {
    bp_vec delta[4];
    for (int v = 0; v < n_vecs; v++)
        delta[v] = bp_load(layer->delta + j + v * BP_LANES);
    bp_online_move_layer(n_vecs, layer, j, delta, lr, train_biases);
}

BP_INLINE void bp_online_step_transposed_part(int n_vecs, ptrdiff_t i, const bp_online_layer *layer,
                                              const bp_online_layer *above, double lr) {
    bp_vec a[4];
    for (int v = 0; v < n_vecs; v++)
        a[v] = bp_load(layer->a + i + v * BP_LANES);
    for (ptrdiff_t j = 0; j < above->n; j++)
        bp_online_move(n_vecs, lr, bp_spread(above->delta + j), a,
                       above->Wt + j * layer->stride + i);
}

static void bp_online_differences(const bp_online_layer *layer, const double *t) {
    BP_ONLINE(bp_online_difference, layer->stride, layer, t);
}

static void bp_online_step(const bp_online_layer *layer, double lr, int train_biases) {
    BP_ONLINE(bp_online_step_part, layer->stride, layer, lr, train_biases);
}

/* The layer above's Wt, whose rows have this layer's stride. */
static void bp_online_step_transposed(const bp_online_layer *layer, const bp_online_layer *above,
                                      double lr) {
    BP_ONLINE(bp_online_step_transposed_part, layer->stride, layer, above, lr);
}

/* ---- the table ---- */

#define BP_FUNCTIONS(name, value, of, derivative)                                                  \
    BP_INLINE bp_vec bp_##name##_of(bp_vec z) { return (value); }                                  \
    BP_INLINE bp_vec bp_##name##_derivative(bp_vec of) { return (void)of, (derivative); }          \
    static void bp_##name##_values(ptrdiff_t n, ptrdiff_t n_out, const double *z, double *a,       \
                                   double *softmax_stats) {                                        \
        (void)n_out, (void)softmax_stats;                                                          \
        bp_map(bp_##name##_of, n, z, a);                                                           \
    }                                                                                              \
    static void bp_##name##_node_deltas(ptrdiff_t n, const double *z, const double *a,             \
                                        const double *t, double *delta) {                          \
        bp_node_deltas(bp_##name##_derivative, BP_OF_##of, n, z, a, t, delta);                     \
    }                                                                                              \
    static void bp_##name##_times_derivative(ptrdiff_t n, const double *x, double *delta) {        \
        bp_times_derivative(bp_##name##_derivative, n, x, delta);                                  \
    }                                                                                              \
    static void bp_##name##_online_forward(const bp_online_layer *layer, double *softmax_stats) {  \
        (void)softmax_stats;                                                                       \
        BP_ONLINE(bp_online_forward, layer->stride, bp_##name##_of, layer);                        \
    }                                                                                              \
    static void bp_##name##_online_outputs(const bp_online_layer *layer, const double *t) {        \
        BP_ONLINE(bp_online_outputs, layer->stride, bp_##name##_of, bp_##name##_derivative,        \
                  BP_OF_##of, layer, t);                                                           \
    }                                                                                              \
    static void bp_##name##_online_hidden_deltas(const bp_online_layer *layer,                     \
                                                 const bp_online_layer *above) {                   \
        BP_ONLINE(bp_online_hidden_deltas, layer->stride, bp_##name##_derivative, BP_OF_##of,      \
                  layer, above);                                                                   \
    }                                                                                              \
    static void bp_##name##_online_first_step(                                                     \
        const bp_online_layer *layer, const bp_online_layer *above, double lr, int train_biases) { \
        BP_ONLINE(bp_online_first_step, layer->stride, bp_##name##_derivative, BP_OF_##of, layer,  \
                  above, lr, train_biases);                                                        \
    }
BP_ACTIVATIONS(BP_FUNCTIONS)
#undef BP_FUNCTIONS

/* Row by row: m the largest z, e[j] = exp(z[j] - m), S their sum in increasing j, a[j] = e[j]/S.
 * What lies beside a padded row's units is less than 1 and not in S. */
BP_INLINE void bp_softmax_row(ptrdiff_t n, ptrdiff_t stride, const double *z, double *a,
                              double *softmax_stats) {
    double m = z[0], S = 0.0;
    for (ptrdiff_t j = 1; j < n; j++)
        m = z[j] > m ? z[j] : m;
    ptrdiff_t j = 0;
    for (; j + BP_LANES <= stride; j += BP_LANES)
        bp_store(a + j, bp_exp(bp_load(z + j) - m));
    if (j < stride) {
        bp_part part = bp_part_of(stride - j);
        bp_vec beside = bp_set(m);
        bp_store_part(a + j, part, bp_exp(bp_keep(part, bp_load_part(z + j, part), beside) - m));
    }
    for (j = 0; j < n; j++)
        S = S + a[j];
    for (j = 0; j + BP_LANES <= stride; j += BP_LANES)
        bp_store(a + j, bp_load(a + j) / S);
    if (j < stride) {
        bp_part part = bp_part_of(stride - j);
        bp_store_part(a + j, part, bp_load_last(a + j, part) / S);
    }
    softmax_stats[0] = m;
    softmax_stats[1] = S;
}

static void bp_softmax_values(ptrdiff_t n, ptrdiff_t n_out, const double *z, double *a,
                              double *softmax_stats) {
    for (; n > 0; n -= n_out, z += n_out, a += n_out, softmax_stats += 2)
        bp_softmax_row(n_out, n_out, z, a, softmax_stats);
}

static void bp_softmax_online_forward(const bp_online_layer *layer, double *softmax_stats) {
    bp_identity_online_forward(layer, softmax_stats);
    for (ptrdiff_t j = layer->n; j < layer->stride; j++)
        layer->z[j] = layer->z[0];
    bp_softmax_row(layer->n, layer->stride, layer->z, layer->a, softmax_stats);
}

static const bp_activation bp_activations[] = {
#define BP_ENTRY(name, value, of, derivative)                                                      \
    {#name,                                                                                        \
     bp_##name##_values,                                                                           \
     BP_OF_##of,                                                                                   \
     bp_##name##_node_deltas,                                                                      \
     bp_##name##_times_derivative,                                                                 \
     bp_##name##_online_forward,                                                                   \
     bp_##name##_online_outputs,                                                                   \
     bp_##name##_online_hidden_deltas,                                                             \
     bp_##name##_online_first_step},
    BP_ACTIVATIONS(BP_ENTRY)
#undef BP_ENTRY
        {"softmax", bp_softmax_values, 0, NULL, NULL, bp_softmax_online_forward, NULL, NULL, NULL},
    {NULL, NULL, 0, NULL, NULL, NULL, NULL, NULL, NULL},
};

/* ---- nets of two layers, each one vector wide ---- */

/* The values of hidden units; their derivatives go into the layer's delta. */
BP_INLINE bp_vec bp_values_and_slopes(bp_function value, bp_function derivative, int of_z, bp_vec z,
                                      const bp_online_layer *layer) {
    bp_vec a = value(z);
    bp_store(layer->delta, derivative(of_z ? z : a));
    return a;
}

/* The deltas of outputs, whose net inputs and values go into the layer's z and a. */
BP_INLINE bp_vec bp_deltas_of_outputs(bp_function value, bp_function derivative, int of_z, bp_vec z,
                                      const bp_online_layer *layer, const double *t,
                                      int through_activation) {
    bp_vec o = value(z), delta = o - bp_load_part(t, bp_part_of(layer->n));
    if (through_activation)
        delta = delta * derivative(of_z ? z : o);
    bp_store(layer->z, z);
    bp_store(layer->a, o);
    bp_online_clear(1, layer, 0, &delta);
    return delta;
}

#define BP_FUNCTIONS(name, value, of, derivative)                                                  \
    static bp_vec bp_##name##_hidden(bp_vec z, const bp_online_layer *layer) {                     \
        return bp_values_and_slopes(bp_##name##_of, bp_##name##_derivative, BP_OF_##of, z, layer); \
    }                                                                                              \
    static bp_vec bp_##name##_outputs(bp_vec z, const bp_online_layer *layer, const double *t,     \
                                      int through_activation) {                                    \
        return bp_deltas_of_outputs(bp_##name##_of, bp_##name##_derivative, BP_OF_##of, z, layer,  \
                                    t, through_activation);                                        \
    }
BP_ACTIVATIONS(BP_FUNCTIONS)
#undef BP_FUNCTIONS

/* By the place in bp_activations; softmax has none. */
static const struct {
    bp_vec (*hidden)(bp_vec z, const bp_online_layer *layer);
    bp_vec (*outputs)(bp_vec z, const bp_online_layer *layer, const double *t,
                      int through_activation);
} bp_functions[] = {
#define BP_ENTRY(name, value, of, derivative) {bp_##name##_hidden, bp_##name##_outputs},
    BP_ACTIVATIONS(BP_ENTRY)
#undef BP_ENTRY
};

/* from[0]*rows[0] + from[1]*rows[1] + ..., n of them; the rows are vectors. */
BP_INLINE bp_vec bp_lanes_times(ptrdiff_t n, bp_vec from, const double *rows) {
    bp_vec sum = bp_lane(from, 0) * bp_load(rows);
    for (int j = 1; j < BP_LANES; j++)
        if (j < n)
            sum = sum + bp_lane(from, j) * bp_load(rows + j * BP_LANES);
    return sum;
}

/* The rows' steps by the products of n lanes with the vector. */
BP_INLINE void bp_lanes_move(ptrdiff_t n, double lr, bp_vec from, bp_vec times, double *rows) {
    for (int j = 0; j < BP_LANES; j++)
        if (j < n)
            bp_online_move(1, lr, bp_lane(from, j), &times, rows + j * BP_LANES);
}

/* A row's forward pass, deltas and step of plain SGD at once. What one layer takes from the other
 * stays in registers: by way of memory a tenth of the tutorial's time would go there. */
static void bp_online_two_layers(const bp_online_layer *layers, const double *t,
                                 int through_activation, double lr, int train_biases) {
    const bp_online_layer *last = layers + 1;
    bp_vec z, a, delta, below;
    bp_online_sums(1, layers->n_in, layers->stride, layers->x, layers->W, &z);
    z = z + (bp_load(layers->b) + 0.0);
    a = bp_functions[layers->activation - bp_activations].hidden(z, layers);
    z = bp_lanes_times(last->n_in, a, last->W) + (bp_load(last->b) + 0.0);
    delta = bp_functions[last->activation - bp_activations].outputs(z, last, t, through_activation);
    below = bp_lanes_times(last->n, delta, last->Wt) * bp_load(layers->delta);
    bp_online_clear(1, layers, 0, &below);
    bp_online_move_layer(1, layers, 0, &below, lr, train_biases);
    bp_lanes_move(last->n_in, lr, a, delta, last->W);
    if (train_biases)
        bp_online_move(1, lr, bp_set(1.0), &delta, last->b);
    bp_lanes_move(last->n, lr, delta, a, last->Wt);
}

#endif
