/* The C kernel as its callers see it: one table of functions for each instruction set.
 *
 * n_in and n are a layer's inputs and units. Rows of a matrix follow each other without a gap,
 * except in bp_online_layer. Functions for a block of rows (samples) take its rows from start up to
 * stop, so that threads can share it; no result depends on how it is cut. Nothing here allocates or
 * fails, except that factor_diagonal reports a matrix that is not positive definite. */
#ifndef BP_KERNEL_H
#define BP_KERNEL_H

#include <stddef.h>

typedef struct bp_kernel bp_kernel;
typedef struct bp_activation bp_activation;

/* A layer, and its arrays in the work space of a block of rows. */
typedef struct {
    ptrdiff_t n_in, n;
    const bp_activation *activation;
    const double *W; /* (n_in, n) */
    const double *b; /* (n): it follows W */
    double *Wt;      /* (n, n_in): W transposed; unset in the first layer */
    double *dW; /* (n_in + 1, n): the gradient of W, then of b; unset without a backward pass */
    const double *x; /* (rows, n_in): the a of the layer below, or its masked */
    double *z, *a;   /* (rows, n); z is a itself, except in the last layer and where a derivative is
                        a function of z */
    double *delta;   /* (rows, n) */
    double *scratch; /* of this thread, from a cache line on: see bp_kernel */
    double *mask;    /* (rows, n): what a is multiplied by for the layer above, 0.0 where a unit is
                        dropped; NULL: nothing is */
    double *masked;  /* (rows, n): the product, and 0.0 where a unit is dropped */
} bp_layer;

/* A layer for training on one row at a time (one_row.h). Each row of W, and b, z, a and delta, is
 * padded to stride doubles, full vectors; the padding is finite, and 0.0 in W and delta. */
typedef struct {
    ptrdiff_t n_in, n, stride;
    const bp_kernel *kernel; /* whose lanes fit the width */
    const bp_activation *activation;
    double *W;       /* (n_in, stride) */
    double *b;       /* (stride): it follows W */
    double *Wt;      /* (n, stride of the layer below); unset in the first layer */
    const double *x; /* (n_in) */
    double *z, *a, *delta;
} bp_online_layer;

/* An activation; the last of the table, softmax, has no derivative. */
struct bp_activation {
    const char *name;
    /* a = value(z) for n numbers; for softmax, rows of n_out, with softmax_stats (rows, 2): the
     * largest z, and the sum S. */
    void (*values)(ptrdiff_t n, ptrdiff_t n_out, const double *z, double *a, double *softmax_stats);
    int of_z; /* whether the derivative is a function of z; else of a */
    /* delta = (a - t)*derivative for n numbers; NULL for softmax, which has no derivative. */
    void (*node_deltas)(ptrdiff_t n, const double *z, const double *a, const double *t,
                        double *delta);
    /* delta = delta*derivative(of), where of is z or a. */
    void (*times_derivative)(ptrdiff_t n, const double *of, double *delta);
    /* For one row. forward: z = x W + b, a = value(z). outputs: that and the deltas of the last
     * layer, times the derivative; NULL for softmax. hidden_deltas as below. first_step: the first
     * layer's deltas and its step of plain SGD at once. */
    void (*online_forward)(const bp_online_layer *layer, double *softmax_stats);
    void (*online_outputs)(const bp_online_layer *layer, const double *t);
    void (*online_hidden_deltas)(const bp_online_layer *layer, const bp_online_layer *above);
    void (*online_first_step)(const bp_online_layer *layer, const bp_online_layer *above, double lr,
                              int train_biases);
};

/* A loss. values: the losses of rows of n outputs, into L (rows). */
typedef struct {
    const char *name;
    void (*values)(ptrdiff_t rows, ptrdiff_t n, const double *z, const double *o, const double *t,
                   const double *softmax_stats, double *L);
    /* delta = the slope for n outputs and targets; NULL: a - t. */
    void (*slopes)(ptrdiff_t n, const double *a, const double *t, double *delta);
    int through_activation; /* whether the output delta is times the activation's derivative */
    double low, high;       /* the smallest and the largest target */
    int distribution;       /* whether a row of targets must sum to 1 */
    const char *output;     /* the output activation it needs; "": any that has a derivative */
} bp_loss;

/* An update rule. begin, once a step, moves the scalars (n_scalars, at most BP_SCALARS) on and
 * derives from them and the optimizer's settings (n_settings) the numbers that the loop needs,
 * rates (BP_RATES). update is the step of the parameters from start up to stop: w, g
 * (n_parameters), g the gradient's sum over a batch, batch the number of its rows or their total
 * weight, slots (n_slots, n_parameters) what the rule keeps for each parameter. */
enum { BP_RATES = 8, BP_SCALARS = 2 };
typedef struct {
    const char *name;
    int n_slots, n_scalars, n_settings;
    void (*begin)(const double *settings, double *scalars, double *rates);
    void (*update)(ptrdiff_t start, ptrdiff_t stop, ptrdiff_t n_parameters, double batch,
                   const double *rates, double *w, const double *g, double *slots);
} bp_update_rule;

/* L-BFGS's pairs, in a ring of `memory` places: s, the change of the weights, and y, that of the
 * gradient; held of them are in use, newest is the place of the last one. */
typedef struct {
    ptrdiff_t n, memory, held, newest;
    const double *S, *Y; /* (memory, n) */
    const double *sy;    /* (memory): each pair's sum of s*y */
    double gamma;        /* sy/yy of the newest pair */
} bp_pairs;

/* The functions of one instruction set. */
struct bp_kernel {
    const char *name;
    ptrdiff_t lanes; /* doubles in a vector */
    /* Doubles of scratch that products need. longest: most terms of a sum; widest: most inputs or
     * units of a layer. */
    ptrdiff_t (*scratch)(ptrdiff_t longest, ptrdiff_t widest);
    const bp_kernel *narrower; /* for layers of fewer units than lanes; NULL: none */
    /* Tables, each ended by a row whose name is NULL. */
    const bp_activation *activations;
    const bp_loss *losses;
    const bp_update_rule *update_rules;
    /* The functions of BP_ELEMENTARY (elementary.h), in its order, of n numbers. */
    void (*const *elementary)(ptrdiff_t n, const double *x, double *out);
    /* The index of the first NaN or infinity, or -1. */
    ptrdiff_t (*first_not_finite)(ptrdiff_t n, const double *x);
    /* Copies a row of n numbers and prefetches the next. */
    void (*gather)(ptrdiff_t n, const double *row, const double *next, double *to);

    /* z = x W + b, a = value(z). */
    void (*forward)(const bp_layer *layer, ptrdiff_t start, ptrdiff_t stop, double *softmax_stats);
    /* delta = a - t for n numbers. */
    void (*differences)(ptrdiff_t n, const double *a, const double *t, double *delta);
    /* delta[s][i] = (sum over j of delta_above[s][j]*W_above[i][j])*derivative. */
    void (*hidden_deltas)(const bp_layer *layer, const bp_layer *above, ptrdiff_t start,
                          ptrdiff_t stop);
    /* dW[i][j] goes on by x[s][i]*delta[s][j], s increasing, or starts at 0.0 if first, for i in
     * [start, stop); i = n_in is the bias, with x = 1.0. */
    void (*gradient)(const bp_layer *layer, int first, ptrdiff_t rows, ptrdiff_t start,
                     ptrdiff_t stop);
    /* g, the sum over a batch as in bp_update_rule, becomes the mean. */
    void (*mean_gradient)(ptrdiff_t n, double batch, double *g);
    /* Wt = W transposed, for rows i of W in [start, stop); nothing where W is so large that it is
     * transposed while it is packed. */
    void (*transpose)(const bp_layer *layer, ptrdiff_t start, ptrdiff_t stop);

    /* delta = a - t. */
    void (*online_differences)(const bp_online_layer *layer, const double *t);
    /* The step of plain SGD on W and b, and on Wt of the layer above. */
    void (*online_step)(const bp_online_layer *layer, double lr, int train_biases);
    void (*online_step_transposed)(const bp_online_layer *layer, const bp_online_layer *above,
                                   double lr);
    /* Forward pass, deltas and step at once for two layers of one vector each, of this kernel's
     * lanes; the output is not softmax. */
    void (*online_two_layers)(const bp_online_layer *layers, const double *t,
                              int through_activation, double lr, int train_biases);

    /* dot: the sum of x*y (N11). max_abs: the largest |x|. axpy: out = w + t*d. */
    double (*dot)(ptrdiff_t n, const double *x, const double *y);
    double (*max_abs)(ptrdiff_t n, const double *x);
    void (*axpy)(ptrdiff_t n, const double *w, double t, const double *d, double *out);
    /* g, the sum over a batch, becomes the mean with penalties (N16), for n weights. */
    void (*penalize)(ptrdiff_t n, double batch, double l1, double l2, const double *w, double *g);
    /* to = factor*x; to may be x. */
    void (*scaled)(ptrdiff_t n, double factor, const double *x, double *to);
    /* d = x/by; returns the sum of d*d. */
    double (*divide)(ptrdiff_t n, const double *x, double by, double *d);
    /* d = -H g; returns the sum of g*d. alphas (held) is scratch. */
    double (*two_loops)(const bp_pairs *pairs, const double *g, double *d, double *alphas);

    /* Levenberg-Marquardt (least_squares.h), whose matrices have rows of stride doubles. jacobian:
     * this layer's columns of the rows s of J: x[s][i]*delta[s][j], then the biases' delta[s][j],
     * or 0.0 without train_biases. */
    void (*jacobian)(const bp_layer *layer, ptrdiff_t start, ptrdiff_t stop, int train_biases,
                     double *J, ptrdiff_t stride);
    /* C[i][j] goes on by left[k][i]*right[k][j], k increasing, or starts if first, for columns j in
     * [start, stop), full vectors, and i <= j below rows. */
    void (*add_products)(ptrdiff_t depth, ptrdiff_t rows, ptrdiff_t start, ptrdiff_t stop,
                         const double *left, const double *right, ptrdiff_t stride, int first,
                         double *C, double *scratch);
    /* Cholesky's rows [start, stop), from which the products of all rows above have been
     * subtracted, in their columns from the diagonal up to `columns`. Returns whether all pivots
     * are positive and finite. */
    int (*factor_diagonal)(ptrdiff_t start, ptrdiff_t stop, ptrdiff_t columns, ptrdiff_t stride,
                           double *U);
    /* The same rows in their columns [from, to), full vectors; minus (stop - start, stride) gets
     * the negated results. */
    void (*factor_columns)(ptrdiff_t start, ptrdiff_t stop, ptrdiff_t from, ptrdiff_t to,
                           ptrdiff_t stride, double *U, double *minus);
};

/* Rows of U that are factored together, and rows after which all that is below is updated at once.
 */
enum { BP_PIVOTS = 32, BP_PASS_PIVOTS = 4 * BP_PIVOTS };

/* The kernels that this build has, the widest instruction set first; NULL ends them. */
extern const bp_kernel *const bp_kernels[];

/* Whether this processor, and its operating system, can run a kernel. */
int bp_runs_here(const bp_kernel *kernel);

#endif
