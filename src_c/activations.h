/* The table of activations (N3). A row is a name, the value as an expression in the net input z, and the derivative as
 * an expression in the value a; each is the reference's row of the same name. Everything else here follows from it.
 *
 * Shapes: z, a, delta (rows, n) without gaps; scale (rows, 2), used by softmax alone: the largest z, and the sum S. */
#ifndef BP_ACTIVATIONS_H
#define BP_ACTIVATIONS_H

#include <math.h>
#include <stddef.h>

#include "elementary.h"

static inline double bp_tanh(double z)
{
    double t = cr_expm1(-2.0 * fabs(z));
    return copysign(-t / (t + 2.0), z);
}

static inline double bp_softplus(double z)
{
    return (z <= 0.0 ? 0.0 : z) + cr_log1p(cr_exp(-fabs(z)));
}

static inline double bp_softsign_derivative(double a)
{
    double d = 1.0 - fabs(a);
    return d * d;
}

#define BP_ACTIVATIONS(ROW)                                                                        \
    ROW(identity, z, 1.0)                                                                          \
    ROW(logistic, 1.0 / (1.0 + cr_exp(-z)), a * (1.0 - a))                                         \
    ROW(tanh, bp_tanh(z), 1.0 - a * a)                                                             \
    ROW(relu, z <= 0.0 ? 0.0 : z, a <= 0.0 ? 0.0 : 1.0)                                            \
    ROW(leaky_relu, z <= 0.0 ? 0.01 * z : z, a <= 0.0 ? 0.01 : 1.0)                                \
    ROW(elu, z <= 0.0 ? cr_expm1(z) : z, a <= 0.0 ? a + 1.0 : 1.0)                                 \
    ROW(softplus, bp_softplus(z), -cr_expm1(-a))                                                   \
    ROW(softsign, z / (1.0 + fabs(z)), bp_softsign_derivative(a))

/* a = value(z); a may be z. */
typedef void bp_value(ptrdiff_t rows, ptrdiff_t n, const double *zs, double *as, double *scale);
/* delta = delta * derivative(a). */
typedef void bp_chain(ptrdiff_t rows, ptrdiff_t n, const double *as, double *delta);

#define BP_LOOPS(name, value, derivative)                                                          \
    static void bp_value_##name(ptrdiff_t rows, ptrdiff_t n, const double *zs, double *as,         \
                                double *scale)                                                     \
    {                                                                                              \
        (void)scale;                                                                               \
        for (ptrdiff_t k = 0; k < rows * n; k++) {                                                 \
            double z = zs[k];                                                                      \
            as[k] = (value);                                                                       \
        }                                                                                          \
    }                                                                                              \
    static void bp_chain_##name(ptrdiff_t rows, ptrdiff_t n, const double *as, double *delta)      \
    {                                                                                              \
        for (ptrdiff_t k = 0; k < rows * n; k++) {                                                 \
            double a = as[k];                                                                      \
            (void)a;                                                                               \
            delta[k] = delta[k] * (derivative);                                                    \
        }                                                                                          \
    }
BP_ACTIVATIONS(BP_LOOPS)
#undef BP_LOOPS

/* Row by row: m the largest z, e[j] = exp(z[j] - m), S their sum in increasing j, a[j] = e[j]/S. */
static void bp_value_softmax(ptrdiff_t rows, ptrdiff_t n, const double *zs, double *as, double *scale)
{
    for (ptrdiff_t s = 0; s < rows; s++, zs += n, as += n, scale += 2) {
        double m = zs[0], S = 0.0;
        for (ptrdiff_t j = 1; j < n; j++)
            m = zs[j] > m ? zs[j] : m;
        for (ptrdiff_t j = 0; j < n; j++) {
            as[j] = cr_exp(zs[j] - m);
            S = S + as[j];
        }
        for (ptrdiff_t j = 0; j < n; j++)
            as[j] = as[j] / S;
        scale[0] = m;
        scale[1] = S;
    }
}

typedef struct {
    const char *name;
    bp_value *value;
    bp_chain *chain; /* NULL: for an output layer only, with a loss that needs no derivative */
} bp_activation;

static const bp_activation bp_activations[] = {
#define BP_ENTRY(name, value, derivative) {#name, bp_value_##name, bp_chain_##name},
    BP_ACTIVATIONS(BP_ENTRY)
#undef BP_ENTRY
        {"softmax", bp_value_softmax, NULL},
};

enum { bp_n_activations = sizeof bp_activations / sizeof bp_activations[0] };

#endif
