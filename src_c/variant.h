/* A variant: everything that is compiled once for each instruction set, and its table of functions.
 *
 * The including file, variant_*.c, defines the target (vector.h), BP_KERNEL, the table's symbol,
 * BP_NAME, its name for users, and BP_NARROWER, the address of the table for layers narrower than a
 * vector. */
#include "activations.h"
#include "elementary.h"
#include "kernel.h"
#include "least_squares.h"
#include "losses.h"
#include "one_row.h"
#include "ordered.h"
#include "sparse.h"
#include "sums.h"
#include "updates.h"

/* z = x W + b for a layer of one unit: lanes run over rows s, of which there is at least a vector,
 * as lanes over one unit would leave all but one idle. It is the product of W^T (1, n_in) and x^T
 * (n_in, rows), the terms in the same order; then b is added. */
static void bp_single_net_inputs(const bp_layer *layer, ptrdiff_t start, ptrdiff_t stop) {
    const ptrdiff_t n_in = layer->n_in, rows = stop - start;
    double *z = layer->z + start;
    /* 1 row of W^T, `rows` columns of x^T: z[s] = the sum of W[k]*x[s][k] over k, from 0.0. */
    bp_packed_product(1, rows, n_in, bp_factor_of(layer->W, 0, 1), layer->x + start * n_in, n_in, 1,
                      z, 0, 1, NULL, layer->scratch);
    for (ptrdiff_t s = 0; s < rows; s += BP_LANES) {
        bp_part part = bp_part_of(bp_least(rows - s, BP_LANES));
        bp_store_part(z + s, part, bp_load_part(z + s, part) + layer->b[0]);
    }
}

/* Dropout (N18) for n numbers: out = 0.0 where the mask is 0.0, even if x is infinite or a NaN,
 * else x*mask, or x itself if not `times`. */
BP_INLINE void bp_drop(ptrdiff_t n, const double *mask, const double *x, int times, double *out) {
    const bp_vec zero = bp_set(0.0);
    for (ptrdiff_t k = 0; k < n; k += BP_LANES) {
        bp_part part = bp_part_of(bp_least(n - k, BP_LANES));
        bp_vec m = bp_load_part(mask + k, part), x_k = bp_load_part(x + k, part);
        bp_store_part(out + k, part, bp_select(bp_equal(m, zero), zero, times ? x_k * m : x_k));
    }
}

/* Rows [start, stop) of a layer: z = x W + b (rows, n), a = value(z), masked = a with units
 * dropped. */
static void bp_forward(const bp_layer *layer, ptrdiff_t start, ptrdiff_t stop,
                       double *softmax_stats) {
    const ptrdiff_t n_in = layer->n_in, n = layer->n, rows = stop - start;
    double *z = layer->z + start * n;
    /* The net inputs: lanes over rows, or over units. */
    if (n == 1 && rows >= BP_LANES)
        bp_single_net_inputs(layer, start, stop);
    else
        bp_layer_product(rows, n, n_in, layer->x + start * n_in, layer->W, n, 0, z, layer->b,
                         layer->scratch);
    /* Softmax keeps the maximum and the sum of each row, for the loss. */
    layer->activation->values(rows * n, n, z, layer->a + start * n, softmax_stats + 2 * start);
    if (layer->mask != NULL)
        bp_drop(rows * n, layer->mask + start * n, layer->a + start * n, 1,
                layer->masked + start * n);
}

/* Rows [start, stop) of a layer's deltas: delta = (delta_above W_above^T)*derivative, (rows,
 * n_above) times (n_above, n). A large W_above is transposed panel by panel while it is packed; of
 * a small one Wt is kept (bp_transpose_weights). A dropped unit's delta is 0.0, the others' sums
 * are multiplied by the mask before the derivative. */
static void bp_hidden_deltas(const bp_layer *layer, const bp_layer *above, ptrdiff_t start,
                             ptrdiff_t stop) {
    const ptrdiff_t n = layer->n, n_above = above->n, rows = stop - start;
    double *delta = layer->delta + start * n;
    const double *A = above->delta + start * n_above;
    if (rows == 0)
        return;
    /* The sums over the units above, by one of the two ways. */
    if (bp_is_large(n_above, n))
        bp_layer_product(rows, n, n_above, A, above->W, n_above, 1, delta, NULL, layer->scratch);
    else
        bp_layer_product(rows, n, n_above, A, above->Wt, n, 0, delta, NULL, layer->scratch);
    /* Some activations have their derivative as a function of z, the others of a. */
    const double *of = layer->activation->of_z ? layer->z : layer->a;
    if (layer->mask != NULL)
        bp_drop(rows * n, layer->mask + start * n, delta, 1, delta);
    layer->activation->times_derivative(rows * n, of + start * n, delta);
    if (layer->mask != NULL)
        bp_drop(rows * n, layer->mask + start * n, delta, 0, delta);
}

/* dW (n_in + 1, n) goes on by x^T delta for rows i in [start, stop) of it, or starts if first; row
 * n_in is the bias, a weight of an input 1.0. rows: samples of the block. */
static void bp_gradient(const bp_layer *layer, int first, ptrdiff_t rows, ptrdiff_t start,
                        ptrdiff_t stop) {
    /* The constant input of the bias, the same for every sample: a factor with distances of 0. */
    static const double one = 1.0;
    const ptrdiff_t n_in = layer->n_in, n = layer->n;
    const ptrdiff_t inputs = bp_least(stop, n_in);
    if (n == 1 && start < inputs) /* lanes run over inputs */
        bp_product(1, inputs - start, rows, bp_factor_of(layer->delta, 0, 1), layer->x + start,
                   n_in, layer->dW + start, 0, first, NULL, layer->scratch);
    else if (start < inputs)
        bp_gradient_product(inputs - start, n, rows, layer->x + start, n_in, layer->delta,
                            layer->dW + start * n, first, layer->scratch);
    if (start <= n_in && stop > n_in)
        bp_product(1, n, rows, bp_factor_of(&one, 0, 0), layer->delta, n, layer->dW + n_in * n, n,
                   first, NULL, layer->scratch);
}

/* Wt = W transposed for rows i of W in [start, stop), unless W is large: see bp_hidden_deltas. */
static void bp_transpose_weights(const bp_layer *layer, ptrdiff_t start, ptrdiff_t stop) {
    const ptrdiff_t n_in = layer->n_in, n = layer->n;
    /* The bias, row n_in of the parameters, has no part in the transposed weights. */
    stop = bp_least(stop, n_in);
    if (start < stop && !bp_is_large(n, n_in))
        bp_transposed(stop - start, n, layer->W + start * n, n, layer->Wt + start, n_in);
}

/* Copy a row of n numbers, and fetch the next one of a shuffled order, which no processor foresees.
 */
static void bp_gather(ptrdiff_t n, const double *row, const double *next, double *to) {
    for (ptrdiff_t k = 0; k < n; k += BP_LINE)
        bp_fetch_to_second(next + k);
    memcpy(to, row, (size_t)n * sizeof *to);
}

/* The elementary functions of n numbers, and their table. */
#define BP_FUNCTION(name)                                                                          \
    static void bp_##name##_of_all(ptrdiff_t n, const double *x, double *out) {                    \
        bp_map(bp_##name, n, x, out);                                                              \
    }
BP_ELEMENTARY(BP_FUNCTION)
#undef BP_FUNCTION

/* Entry k is the k-th function of BP_ELEMENTARY: callers know a function by this number. */
static void (*const bp_elementary[])(ptrdiff_t, const double *, double *) = {
#define BP_ENTRY(name) bp_##name##_of_all,
    BP_ELEMENTARY(BP_ENTRY)
#undef BP_ENTRY
};

/* The table that this variant is known by; kernel.h says what each function does. The functions
 * above it are static, so that every variant has its own under the same names. */
const bp_kernel BP_KERNEL = {
    .name = BP_NAME,
    .lanes = BP_LANES,
    .scratch = bp_layer_scratch,
    .narrower = BP_NARROWER,
    .activations = bp_activations,
    .losses = bp_losses,
    .update_rules = bp_update_rules,
    .elementary = bp_elementary,
    .first_not_finite = bp_first_not_finite,
    .gather = bp_gather,
    .forward = bp_forward,
    .differences = bp_differences,
    .hidden_deltas = bp_hidden_deltas,
    .gradient = bp_gradient,
    .mean_gradient = bp_mean_gradient,
    .transpose = bp_transpose_weights,
    .online_differences = bp_online_differences,
    .online_step = bp_online_step,
    .online_step_transposed = bp_online_step_transposed,
    .online_two_layers = bp_online_two_layers,
    .dot = bp_dot,
    .penalize = bp_penalize,
    .scaled = bp_scaled,
    .max_abs = bp_max_abs,
    .axpy = bp_axpy,
    .divide = bp_divide,
    .two_loops = bp_two_loops,
    .jacobian = bp_jacobian,
    .add_products = bp_add_products,
    .factor_diagonal = bp_factor_diagonal,
    .factor_columns = bp_factor_columns,
};
