/* Activations (N3): values and derivatives as expressions on vectors, and loops over a block of
 * rows.
 *
 * A row of BP_ACTIVATIONS is all that is said of an activation: its name, the value a as an
 * expression in the net input z, and the derivative da/dz as an expression in a, or in z, as the
 * letter before it says. Each row is the definition's row of the same name; the loops below and in
 * one_row.h, and the table bp_activations there, are made of the rows. softmax, which mixes the
 * units of a layer, is the only activation that is no such row.
 *
 * z, a, t (targets) and delta (dLoss/dz) of a block are (rows, n) without a gap, here as n numbers
 * in a row. Elements do not depend on each other, so any cut into vectors gives the same bits. */
#ifndef BP_ACTIVATIONS_H
#define BP_ACTIVATIONS_H

#include "kernel.h"
#include "quick.h"
#include "vector.h"

/* `no` where v <= 0.0, else `yes`; a NaN is not <= 0.0, gets `yes`, and is passed on by it. */
BP_INLINE bp_vec bp_sign_choice(bp_vec v, bp_vec no, bp_vec yes) {
    return bp_select(bp_less_equal(v, bp_set(0.0)), no, yes);
}

/* relu: 0.0 where z <= 0.0, else z. */
BP_INLINE bp_vec bp_positive(bp_vec z) { return bp_sign_choice(z, bp_set(0.0), z); }

/* tanh(|z|) = -t/(t + 2) with t = e^(-2|z|) - 1, then the sign of z. (e^z - e^-z)/(e^z + e^-z)
 * would overflow for large z and lose all digits for small ones. */
BP_INLINE bp_vec bp_tanh(bp_vec z) {
    bp_vec t = bp_expm1_of_negative(-2.0 * bp_abs(z));
    return bp_copysign(t / (t + 2.0), z);
}

/* e^z - 1 where z <= 0.0, else z. bp_expm1_of_negative is not for lanes above 0.0, so they are
 * given -1.0, which its quick phase decides, and their result is not used. */
BP_INLINE bp_vec bp_elu(bp_vec z) {
    bp_mask below = bp_less_equal(z, bp_set(0.0));
    return bp_select(below, bp_expm1_of_negative(bp_select(below, z, bp_set(-1.0))), z);
}

/* log(1 + e^z) = max(z, 0) + log(1 + e^-|z|): the exponential is at most 1, so that nothing
 * overflows. */
BP_INLINE bp_vec bp_softplus(bp_vec z) { return bp_positive(z) + bp_log1p(bp_exp(-bp_abs(z))); }

BP_INLINE bp_vec bp_square(bp_vec d) { return d * d; }

/* 1/(1 + e^-z): 0.0 where e^-z overflows to infinity. */
BP_INLINE bp_vec bp_logistic(bp_vec z) { return 1.0 / (1.0 + bp_exp(-z)); }

/* silu'(z) = s + z*s*(1 - s), s the logistic function. */
BP_INLINE bp_vec bp_silu_slope(bp_vec z) {
    bp_vec s = bp_logistic(z);
    return s * (1.0 + z * (1.0 - s));
}

/* The tanh in gelu's approximation (Hendrycks and Gimpel 2016); the first factor is sqrt(2/pi). */
BP_INLINE bp_vec bp_gelu_tanh(bp_vec z) {
    return bp_tanh(0.7978845608028654 * (z + 0.044715 * ((z * z) * z)));
}

/* gelu'(z); 0.134145 = 3*0.044715. q is 0.0 long before z*z overflows, but 0.0*infinity is a NaN:
 * hence (q*z)*z and not q*(z*z). */
BP_INLINE bp_vec bp_gelu_slope(bp_vec z) {
    bp_vec t = bp_gelu_tanh(z), q = (0.5 * z) * (1.0 - t * t);
    return 0.5 * (1.0 + t) + 0.7978845608028654 * (q + 0.134145 * ((q * z) * z));
}

BP_INLINE bp_vec bp_gaussian(bp_vec z) { return bp_exp(-(z * z)); }

/* Values of the letter that says what a derivative is a function of: a or z. */
enum { BP_OF_a, BP_OF_z };

/* ROW(name, value in z, what the derivative is a function of, derivative in that). The order is
 * that of the table bp_activations. */
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

/* A value or a derivative, as a function of one vector. The loops below take it as an argument and
 * are inlined where it is a constant, so no call is left. */
typedef bp_vec (*bp_function)(bp_vec);

/* out = f(x) for n numbers; out may be x. Lanes of the last vector that lie beyond n are 2.0, for
 * which no function is slow (bp_load_last). */
BP_INLINE void bp_map(bp_function f, ptrdiff_t n, const double *x, double *out) {
    ptrdiff_t k = 0;
    for (; k + BP_LANES <= n; k += BP_LANES)
        bp_store(out + k, f(bp_load(x + k)));
    if (k < n) {
        bp_part part = bp_part_of(n - k);
        bp_store_part(out + k, part, f(bp_load_last(x + k, part)));
    }
}

/* delta = (a - t)*derivative for n numbers: the output delta of the losses whose slope is a - t.
 * a is loaded once: it is the factor and, without of_z, also the derivative's argument. */
BP_INLINE void bp_node_deltas(bp_function derivative, int of_z, ptrdiff_t n, const double *z,
                              const double *a, const double *t, double *delta) {
    ptrdiff_t k = 0;
    for (; k + BP_LANES <= n; k += BP_LANES) {
        bp_vec o = bp_load(a + k);
        bp_vec argument = of_z ? bp_load(z + k) : o;
        bp_store(delta + k, (o - bp_load(t + k)) * derivative(argument));
    }
    if (k < n) {
        bp_part part = bp_part_of(n - k);
        bp_vec o = bp_load_last(a + k, part);
        bp_vec argument = of_z ? bp_load_last(z + k, part) : o;
        bp_store_part(delta + k, part, (o - bp_load_last(t + k, part)) * derivative(argument));
    }
}

/* delta = delta*derivative(x) for n numbers, x being z or a: the last factor of a hidden delta (N5)
 * and of an output delta whose loss has slopes of its own. */
BP_INLINE void bp_times_derivative(bp_function derivative, ptrdiff_t n, const double *x,
                                   double *delta) {
    ptrdiff_t k = 0;
    for (; k + BP_LANES <= n; k += BP_LANES)
        bp_store(delta + k, bp_load(delta + k) * derivative(bp_load(x + k)));
    if (k < n) {
        bp_part part = bp_part_of(n - k);
        bp_vec x_k = bp_load_last(x + k, part);
        bp_store_part(delta + k, part, bp_load_last(delta + k, part) * derivative(x_k));
    }
}

/* delta = a - t for n numbers: the output delta where loss and output activation are a pair whose
 * derivatives cancel: cross_entropy with softmax, binary_cross_entropy with logistic, poisson with
 * exponential. */
static void bp_differences(ptrdiff_t n, const double *a, const double *t, double *delta) {
    ptrdiff_t k = 0;
    for (; k + BP_LANES <= n; k += BP_LANES)
        bp_store(delta + k, bp_load(a + k) - bp_load(t + k));
    if (k < n) {
        bp_part part = bp_part_of(n - k);
        bp_store_part(delta + k, part, bp_load_last(a + k, part) - bp_load_last(t + k, part));
    }
}

/* The functions of each row: bp_NAME_of(z) and bp_NAME_derivative on vectors, and the loops over a
 * block that bp_activations points to. */
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
    }
BP_ACTIVATIONS(BP_FUNCTIONS)
#undef BP_FUNCTIONS

/* softmax of one row of n units, padded to stride (n itself in a block): m the largest z,
 * e[j] = exp(z[j] - m), S = sum of e[j], j increasing from 0.0, a[j] = e[j]/S. With m subtracted no
 * exponential overflows and one of them is 1.0, so S is at least 1. softmax_stats gets m and S,
 * which cross_entropy needs. The largest and the sum are plain loops, as their order is stated; the
 * exponentials and quotients are vectors. Padding, whose z is z[0], is not in S. */
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
        bp_vec padding = bp_set(m); /* exp(0.0): quick */
        bp_store_part(a + j, part, bp_exp(bp_keep(part, bp_load_part(z + j, part), padding) - m));
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

/* Row by row; z, a (rows, n_out), n = rows*n_out, softmax_stats (rows, 2). */
static void bp_softmax_values(ptrdiff_t n, ptrdiff_t n_out, const double *z, double *a,
                              double *softmax_stats) {
    for (; n > 0; n -= n_out, z += n_out, a += n_out, softmax_stats += 2)
        bp_softmax_row(n_out, n_out, z, a, softmax_stats);
}

#endif
