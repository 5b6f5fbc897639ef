/* Training on one row at a time: plain SGD with batches of one, and no dropout or penalty.
 *
 * A bp_online_layer (kernel.h) has every row of W, and b, z, a, delta, padded to stride doubles,
 * full vectors, so that loops over units j need no partial vector. Shapes: x (n_in), W (n_in,
 * stride), b, z, a, delta (stride), Wt (n, stride of the layer below). Padding: W and delta are
 * 0.0, b is 2.0, so the padding's z is 2.0, where no activation is slow; it reaches no unit's
 * result.
 *
 * Wt is a second copy of W, kept up to date by the same steps: hidden deltas then have lanes over
 * the units below and need no transposition in each step. Both copies take w - lr*(0.0 + x*delta)
 * with the same factors, so they stay equal bit for bit. */
#ifndef BP_ONE_ROW_H
#define BP_ONE_ROW_H

#include "activations.h"
#include "kernel.h"
#include "vector.h"

/* sum[j] = x[0]*W[0][j] + x[1]*W[1][j] + ..., i increasing, for n_vecs (up to 4) vectors of j,
 * which stay in registers. x (n_in), W (n_in, stride).
 *
 * A sum begins with its first product and not, as N2 and N5 say, with 0.0 plus that product: one
 * addition less in a chain of additions that wait for each other. No result differs: the two sums
 * can only differ as -0.0 and +0.0. In a net input, bp_online_net_inputs adds b + 0.0, which is
 * never -0.0, and so makes +0.0 of either. In a hidden delta the sign of a zero can reach a delta
 * further down only as the sign of another zero, and ends in the gradient 0.0 + x*delta. */
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

/* w[j] = w[j] - lr*(0.0 + x*delta[j]) for n_vecs vectors of j, x the same in all lanes or a vector.
 * 0.0 + is N6's first addition: it makes +0.0 of a product that is -0.0. */
BP_INLINE void bp_online_move(int n_vecs, double lr, bp_vec x, const bp_vec *delta, double *w) {
    for (int v = 0; v < n_vecs; v++) {
        double *w_v = w + v * BP_LANES;
        bp_store(w_v, bp_load(w_v) - lr * (0.0 + x * delta[v]));
    }
}

/* The step of n_vecs vectors of units from j on: their columns of W, i increasing, and their b. A
 * bias is the weight of an input 1.0. */
BP_INLINE void bp_online_move_layer(int n_vecs, const bp_online_layer *layer, ptrdiff_t j,
                                    const bp_vec *delta, double lr, int train_biases) {
    double *W = layer->W + j;
    for (ptrdiff_t i = 0; i < layer->n_in; i++, W += layer->stride)
        bp_online_move(n_vecs, lr, bp_spread(layer->x + i), delta, W);
    if (train_biases)
        bp_online_move(n_vecs, lr, bp_set(1.0), delta, layer->b + j);
}

/* Set the padding of delta to 0.0, if these n_vecs vectors from j on include the row's last one,
 * the only one with padding. bp_part_of gives its lanes that are units. */
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

/* STEP(n_vecs, j, ...) for all vectors of a padded row of stride doubles, j the first unit of each
 * group: fours, then at most one pair and one single. n_vecs is a constant in each call, so that
 * the vectors stay in registers, and each x[i] is loaded once for up to four. */
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

/* z = x W + b for n_vecs vectors of units from j on, into z[] and the layer's z. + 0.0: see
 * bp_online_sums. */
BP_INLINE void bp_online_net_inputs(int n_vecs, ptrdiff_t j, const bp_online_layer *layer,
                                    bp_vec *z) {
    bp_online_sums(n_vecs, layer->n_in, layer->stride, layer->x, layer->W + j, z);
    for (int v = 0; v < n_vecs; v++)
        z[v] = z[v] + (bp_load(layer->b + j + v * BP_LANES) + 0.0);
    bp_online_store(n_vecs, z, layer->z + j);
}

/* a = value(x W + b). */
BP_INLINE void bp_online_forward(int n_vecs, ptrdiff_t j, bp_function value,
                                 const bp_online_layer *layer) {
    bp_vec z[4];
    bp_online_net_inputs(n_vecs, j, layer, z);
    for (int v = 0; v < n_vecs; v++)
        z[v] = value(z[v]);
    bp_online_store(n_vecs, z, layer->a + j);
}

/* Output deltas: (o - t)*derivative, or o - t where derivative is NULL (loss and activation are a
 * pair). o (n_vecs vectors) are the outputs from j on. t (n) is the caller's row without padding,
 * so the last vector of it is loaded in part. */
BP_INLINE void bp_online_deltas(int n_vecs, ptrdiff_t j, bp_function derivative, int of_z,
                                const bp_online_layer *layer, const double *t, const bp_vec *o) {
    bp_vec delta[4];
    for (int v = 0; v < n_vecs; v++) {
        ptrdiff_t k = j + v * BP_LANES;
        bp_vec t_k = k + BP_LANES <= layer->n ? bp_load(t + k)
                                              : bp_load_part(t + k, bp_part_of(layer->n - k));
        bp_vec argument = of_z ? bp_load(layer->z + k) : o[v];
        delta[v] = derivative == NULL ? o[v] - t_k : (o[v] - t_k) * derivative(argument);
    }
    bp_online_clear(n_vecs, layer, j, delta);
    bp_online_store(n_vecs, delta, layer->delta + j);
}

/* The last layer's forward pass and output deltas at once: the outputs stay in registers. */
BP_INLINE void bp_online_outputs(int n_vecs, ptrdiff_t j, bp_function value, bp_function derivative,
                                 int of_z, const bp_online_layer *layer, const double *t) {
    bp_vec o[4];
    bp_online_net_inputs(n_vecs, j, layer, o);
    for (int v = 0; v < n_vecs; v++)
        o[v] = value(o[v]);
    bp_online_store(n_vecs, o, layer->a + j);
    bp_online_deltas(n_vecs, j, derivative, of_z, layer, t, o);
}

/* Output deltas o - t after a forward pass that has stored the outputs. */
BP_INLINE void bp_online_difference(int n_vecs, ptrdiff_t j, const bp_online_layer *layer,
                                    const double *t) {
    bp_vec o[4];
    for (int v = 0; v < n_vecs; v++)
        o[v] = bp_load(layer->a + j + v * BP_LANES);
    bp_online_deltas(n_vecs, j, NULL, 0, layer, t, o);
}

/* Hidden deltas of n_vecs vectors of units i from `j` on: (sum over units k of the layer above,
 * increasing, of delta_above[k]*W_above[i][k])*derivative (N5). Wt of the layer above has W_above's
 * columns as rows, so lanes run over i. */
BP_INLINE void bp_online_hidden(int n_vecs, ptrdiff_t j, bp_function derivative, int of_z,
                                const bp_online_layer *layer, const bp_online_layer *above,
                                bp_vec *delta) {
    const double *argument = of_z ? layer->z : layer->a;
    bp_online_sums(n_vecs, above->n, layer->stride, above->delta, above->Wt + j, delta);
    for (int v = 0; v < n_vecs; v++)
        delta[v] = delta[v] * derivative(bp_load(argument + j + v * BP_LANES));
    bp_online_clear(n_vecs, layer, j, delta);
}

/* Hidden deltas, stored, of a layer that is not the first. */
BP_INLINE void bp_online_hidden_deltas(int n_vecs, ptrdiff_t j, bp_function derivative, int of_z,
                                       const bp_online_layer *layer, const bp_online_layer *above) {
    bp_vec delta[4];
    bp_online_hidden(n_vecs, j, derivative, of_z, layer, above, delta);
    bp_online_store(n_vecs, delta, layer->delta + j);
}

/* The first layer's deltas and step at once: no layer below needs these deltas, so they are never
 * stored. */
BP_INLINE void bp_online_first_step(int n_vecs, ptrdiff_t j, bp_function derivative, int of_z,
                                    const bp_online_layer *layer, const bp_online_layer *above,
                                    double lr, int train_biases) {
    bp_vec delta[4];
    bp_online_hidden(n_vecs, j, derivative, of_z, layer, above, delta);
    bp_online_move_layer(n_vecs, layer, j, delta, lr, train_biases);
}

/* The step of W and b by stored deltas. */
BP_INLINE void bp_online_step_part(int n_vecs, ptrdiff_t j, const bp_online_layer *layer, double lr,
                                   int train_biases) {
    bp_vec delta[4];
    for (int v = 0; v < n_vecs; v++)
        delta[v] = bp_load(layer->delta + j + v * BP_LANES);
    bp_online_move_layer(n_vecs, layer, j, delta, lr, train_biases);
}

/* The step of Wt of the layer above, whose rows have this layer's stride: Wt[j][i] -=
 * lr*(0.0 + delta_above[j]*a[i]), the product of W's step with its factors exchanged. */
BP_INLINE void bp_online_step_transposed_part(int n_vecs, ptrdiff_t i, const bp_online_layer *layer,
                                              const bp_online_layer *above, double lr) {
    bp_vec a[4];
    for (int v = 0; v < n_vecs; v++)
        a[v] = bp_load(layer->a + i + v * BP_LANES);
    for (ptrdiff_t j = 0; j < above->n; j++)
        bp_online_move(n_vecs, lr, bp_spread(above->delta + j), a,
                       above->Wt + j * layer->stride + i);
}

/* Entries of bp_kernel: the functions above for all vectors of a row. */
static void bp_online_differences(const bp_online_layer *layer, const double *t) {
    BP_ONLINE(bp_online_difference, layer->stride, layer, t);
}

static void bp_online_step(const bp_online_layer *layer, double lr, int train_biases) {
    BP_ONLINE(bp_online_step_part, layer->stride, layer, lr, train_biases);
}

static void bp_online_step_transposed(const bp_online_layer *layer, const bp_online_layer *above,
                                      double lr) {
    BP_ONLINE(bp_online_step_transposed_part, layer->stride, layer, above, lr);
}

/* Each activation's functions for one row, which bp_activations points to. softmax_stats is for
 * softmax alone. */
#define BP_FUNCTIONS(name, value, of, derivative)                                                  \
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

/* z = x W + b by identity, then softmax. The padding's z becomes z[0], so that its exponential is
 * at most 1.0 and quick; bp_softmax_row leaves it out of the sum. */
static void bp_softmax_online_forward(const bp_online_layer *layer, double *softmax_stats) {
    bp_identity_online_forward(layer, softmax_stats);
    for (ptrdiff_t j = layer->n; j < layer->stride; j++)
        layer->z[j] = layer->z[0];
    bp_softmax_row(layer->n, layer->stride, layer->z, layer->a, softmax_stats);
}

/* The table of activations: rows of BP_ACTIVATIONS in their order, then softmax, which as an output
 * layer without a derivative has only values; a row without a name ends it. It stands here since
 * its rows point to functions for a block (activations.h) and for one row (above). */
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

/* Two layers, each no wider than one vector, are trained by one function: bp_online_two_layers. Its
 * pieces that depend on an activation are the next two functions, one of each for every row. */

/* a = value(z) of hidden units, one vector. Their derivatives go into the layer's delta, which
 * holds no deltas here: both are computed from the same registers. */
BP_INLINE bp_vec bp_values_and_slopes(bp_function value, bp_function derivative, int of_z, bp_vec z,
                                      const bp_online_layer *layer) {
    bp_vec a = value(z);
    bp_store(layer->delta, derivative(of_z ? z : a));
    return a;
}

/* delta of one vector of output units from z: o - t, times the derivative if through_activation. z
 * and a = o are stored for the loss, which the caller computes. */
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

/* The two functions of each activation, in the order of bp_activations, in which a layer's
 * activation has its place; softmax, the last one there, has no entry. */
static const struct {
    bp_vec (*hidden)(bp_vec z, const bp_online_layer *layer);
    bp_vec (*outputs)(bp_vec z, const bp_online_layer *layer, const double *t,
                      int through_activation);
} bp_functions[] = {
#define BP_ENTRY(name, value, of, derivative) {bp_##name##_hidden, bp_##name##_outputs},
    BP_ACTIVATIONS(BP_ENTRY)
#undef BP_ENTRY
};

/* The sum of x[j]*rows[j], j increasing from 0 below n, where x is a vector in a register and
 * rows (n, BP_LANES). The loop has BP_LANES turns, a constant, so that the compiler unrolls it and
 * a lane's number is a constant; j < n ends it. Its first product begins the sum: see
 * bp_online_sums. */
BP_INLINE bp_vec bp_lanes_times(ptrdiff_t n, bp_vec x, const double *rows) {
    bp_vec sum = bp_lane(x, 0) * bp_load(rows);
    for (int j = 1; j < BP_LANES; j++)
        if (j < n)
            sum = sum + bp_lane(x, j) * bp_load(rows + j * BP_LANES);
    return sum;
}

/* The step of rows (n, BP_LANES): rows[j] -= lr*(0.0 + x[j]*delta), j below n. */
BP_INLINE void bp_lanes_move(ptrdiff_t n, double lr, bp_vec x, bp_vec delta, double *rows) {
    for (int j = 0; j < BP_LANES; j++)
        if (j < n)
            bp_online_move(1, lr, bp_lane(x, j), &delta, rows + j * BP_LANES);
}

/* Forward pass, deltas and step of plain SGD of two layers, one vector each, for one row. layers[0]
 * is the hidden layer. a and delta pass from one layer to the other in registers; by way of memory
 * they would cost a tenth of the time of a 2-2-2 network. All deltas are computed before a weight
 * is changed (N5). */
static void bp_online_two_layers(const bp_online_layer *layers, const double *t,
                                 int through_activation, double lr, int train_biases) {
    const bp_online_layer *last = layers + 1;
    bp_vec z, a, delta, hidden_delta;
    bp_online_sums(1, layers->n_in, layers->stride, layers->x, layers->W, &z);
    z = z + (bp_load(layers->b) + 0.0);
    a = bp_functions[layers->activation - bp_activations].hidden(z, layers);
    z = bp_lanes_times(last->n_in, a, last->W) + (bp_load(last->b) + 0.0);
    delta = bp_functions[last->activation - bp_activations].outputs(z, last, t, through_activation);
    hidden_delta = bp_lanes_times(last->n, delta, last->Wt) * bp_load(layers->delta);
    bp_online_clear(1, layers, 0, &hidden_delta);
    bp_online_move_layer(1, layers, 0, &hidden_delta, lr, train_biases);
    bp_lanes_move(last->n_in, lr, a, delta, last->W);
    if (train_biases)
        bp_online_move(1, lr, bp_set(1.0), &delta, last->b);
    bp_lanes_move(last->n, lr, delta, a, last->Wt);
}

#endif
