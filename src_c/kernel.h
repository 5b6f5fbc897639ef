/* What the kernel's flow sees of a variant: one table of functions for each instruction set.
 *
 * n_in and n are a layer's widths. Rows of a matrix follow each other without a gap, except in
 * bp_online_layer. Functions for a block take its rows from start up to stop, so that threads can
 * share it; none of their results depends on how it is cut. */
#ifndef BP_KERNEL_H
#define BP_KERNEL_H

#include <stddef.h>

typedef struct bp_kernel bp_kernel;
typedef struct bp_activation bp_activation;

/* A layer and its part of the work space of a block of rows. */
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

/* A layer in the form that suits one row at a time. Each row of W, and b, z, a and delta, is padded
 * to stride, which is full vectors; what lies there is finite, and 0.0 in W and delta. */
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

/* The losses of rows of n outputs, each into its place in L. */
typedef struct {
    const char *name;
    void (*values)(ptrdiff_t rows, ptrdiff_t n, const double *z, const double *o, const double *t,
                   const double *softmax_stats, double *L);
    /* delta = the slope for n outputs and targets; NULL: a - t. */
    void (*slopes)(ptrdiff_t n, const double *a, const double *t, double *delta);
    int through_activation; /* whether the output delta is times the activation's derivative */
    double low, high;       /* what a target may be */
    int distribution;       /* whether a row of targets must sum to 1 */
    const char *output;     /* the output activation it needs; "": any that has a derivative */
} bp_loss;

/* One step for the parameters from start up to stop. g is the sum over a batch, whose rows count
 * batch in all, slots (n_slots, n_parameters). The n_settings settings are the optimizer's;
 * begin, once a step, derives from them and the scalars what its loop needs (BP_RATES doubles). */
enum { BP_RATES = 8, BP_SCALARS = 2 };
typedef struct {
    const char *name;
    int n_slots, n_scalars, n_settings;
    void (*begin)(const double *settings, double *scalars, double *rates);
    void (*update)(ptrdiff_t start, ptrdiff_t stop, ptrdiff_t n_parameters, double batch,
                   const double *rates, double *w, const double *g, double *slots);
} bp_update_rule;

/* What L-BFGS keeps: a ring of pairs, changes of the weights and of the gradient. */
typedef struct {
    ptrdiff_t n, memory, held, newest;
    const double *S, *Y, *sy; /* (memory, n) both, and each pair's sum of s*y */
    double gamma;
} bp_pairs;

struct bp_kernel {
    const char *name;
    ptrdiff_t lanes;
    /* How many doubles of scratch products need whose sums have up to longest terms; widest: the
     * most inputs or units of a layer. */
    ptrdiff_t (*scratch)(ptrdiff_t longest, ptrdiff_t widest);
    const bp_kernel *narrower; /* for layers of fewer units than lanes; NULL: none */
    /* Tables, each ended by a row whose name is NULL. */
    const bp_activation *activations;
    const bp_loss *losses;
    const bp_update_rule *update_rules;
    /* exp, expm1, log, log1p of n numbers. */
    void (*const *elementary)(ptrdiff_t n, const double *x, double *out);
    ptrdiff_t (*first_not_finite)(ptrdiff_t n, const double *x);
    /* Copies a row of n numbers and fetches the next. */
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
    /* All of that at once for two layers of one vector each, of this kernel's lanes; the output is
     * no softmax. */
    void (*online_two_layers)(const bp_online_layer *layers, const double *t,
                              int through_activation, double lr, int train_biases);

    /* The sum of x*y (N11), the largest |x|, out = w + t*d. */
    double (*dot)(ptrdiff_t n, const double *x, const double *y);
    double (*max_abs)(ptrdiff_t n, const double *x);
    void (*axpy)(ptrdiff_t n, const double *w, double t, const double *d, double *out);
    /* g, the sum over a batch as above, becomes the mean with penalties (N16), for n weights. */
    void (*penalize)(ptrdiff_t n, double batch, double l1, double l2, const double *w, double *g);
    /* to = factor*x; to may be x. */
    void (*scaled)(ptrdiff_t n, double factor, const double *x, double *to);
    /* d = x/by; returns the sum of d*d. */
    double (*divide)(ptrdiff_t n, const double *x, double by, double *d);
    /* d = -H g; returns the sum of g*d. alphas (held) is scratch. */
    double (*two_loops)(const bp_pairs *pairs, const double *g, double *d, double *alphas);

    /* For least_squares.h, whose matrices have rows of stride doubles. The columns of this layer in
     * the rows s of the Jacobian J: x[s][i]*delta[s][j], then delta[s][j], or 0.0 without
     * train_biases. */
    void (*jacobian)(const bp_layer *layer, ptrdiff_t start, ptrdiff_t stop, int train_biases,
                     double *J, ptrdiff_t stride);
    /* C[i][j] goes on by left[k][i]*right[k][j], k increasing, or starts if first, for columns j in
     * [start, stop), full vectors, and i <= j below rows. */
    void (*add_products)(ptrdiff_t depth, ptrdiff_t rows, ptrdiff_t start, ptrdiff_t stop,
                         const double *left, const double *right, ptrdiff_t stride, int first,
                         double *C, double *scratch);
    /* Rows [start, stop) of U, of which the factors of those above have been subtracted: their
     * columns from the diagonal up to columns; whether all pivots are positive and finite. */
    int (*factor_diagonal)(ptrdiff_t start, ptrdiff_t stop, ptrdiff_t columns, ptrdiff_t stride,
                           double *U);
    /* Then their columns [from, to), full vectors, which minus (stop - start, stride) gets negated.
     */
    void (*factor_columns)(ptrdiff_t start, ptrdiff_t stop, ptrdiff_t from, ptrdiff_t to,
                           ptrdiff_t stride, double *U, double *minus);
};

/* Rows of U that are factored together, and after how many what is below them is gone through. */
enum { BP_PIVOTS = 32, BP_PASS_PIVOTS = 4 * BP_PIVOTS };

/* The kernels that this build has, the widest instruction set first; NULL ends them. */
extern const bp_kernel *const bp_kernels[];

/* Whether this processor can run it. */
int bp_runs_here(const bp_kernel *kernel);

#endif
