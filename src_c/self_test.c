/* Known answers for whoever imports a build that nobody has tested: one compiled with -ffast-math,
 * say, or by a compiler with a defect. It takes microseconds; the tests ask far more. */
#include "self_test.h"

#include <string.h>

#include "elementary.h"

enum {
    ROWS = 7,   /* more than a tile of them */
    UNITS = 37, /* more than a tile of columns, in part */
    INPUTS = 6,
    VALUES = 9, /* more than a vector */
    SUMS = 5,   /* unit j is asked the one numbered j % SUMS */
    STEPS = 2,
    FUNCTIONS = 4,
    KNOWN = 3
};

static const double row[INPUTS] = {1.0, 1.0 + 0x1p-27, 0x1p53, 1.0, -0x1p53, 0x1p-1000};

static const struct {
    const char *of;
    double weights[INPUTS], bias, answer;
} sums[SUMS] = {
    {"a product is not rounded before it is added", {-1.0, 1.0 - 0x1p-27}, 0.0, 0.0},
    {"a sum is not in its order", {0.0, 0.0, 1.0, 1.0, 1.0}, 0.0, 0.0},
    {"subnormal numbers are lost", {[5] = 0x1p-60}, 0x1p-1074, 0x1p-1060 + 0x1p-1074},
    {"numbers are not rounded to nearest", {1.0}, 0x1p-54, 1.0},
    {"numbers are not rounded to nearest", {1.0}, -0x1p-55, 1.0},
};

static const struct {
    const char *rule, *wrong;
    double lr, start, gradient; /* a parameter, and the sum of its gradients over a batch */
    double batch;
    double answer;
} steps[STEPS] = {
    {"sgd", "a step of sgd is wrong", 1.0 + 0x1p-27, 1.0, 1.0 - 0x1p-27, 1.0, 0.0},
    {"adam", "a step of adam is wrong", 0.1, 0.5, 7.0, 3.0, 0x1.99999a826ea38p-2},
};

/* Of each function two values that the quick phase finds, and one that it leaves to the slow one.
 */
static const struct {
    const char *wrong;
    double (*scalar)(double x);
    double x[KNOWN], value[KNOWN];
} functions[FUNCTIONS] = {
    {"a value of exp is wrong",
     cr_exp,
     {1.0, -720.0, 0x1.83d4bcdebb3f4p+2},
     {0x1.5bf0a8b145769p+1, 0x0.0000993b4dc95p-1022, 0x1.ac50b409c8aeep+8}},
    {"a value of expm1 is wrong",
     cr_expm1,
     {1.0, 0x1p-5, 0x1.274bbf1efb1a2p-10},
     {0x1.b7e151628aed3p+0, 0x1.040ac0224fd93p-5, 0x1.2776572c2512ap-10}},
    {"a value of log is wrong",
     cr_log,
     {3.0, 0x1p-1074, 0x1.613955dc802f8p-35},
     {0x1.193ea7aad030bp+0, -0x1.74385446d71c3p+9, -0x1.7f02f9baf6035p+4}},
    {"a value of log1p is wrong",
     cr_log1p,
     {2.0, 0x1p-5, 0x1.8000000000003p-50},
     {0x1.193ea7aad030bp+0, 0x1.f829b0e783300p-6, 0x1.7ffffffffffffp-50}},
};

/* Numbers are equal if their bits are; zeros of either sign are asked for here as +0.0. */
static int differ(double a, double b) { return memcmp(&a, &b, sizeof a) != 0; }

static const char *wrong_sum(const bp_kernel *kernel) {
    double x[ROWS * INPUTS], W[(INPUTS + 1) * UNITS], z[ROWS * UNITS], softmax_stats[2 * ROWS],
        scratch[1];
    bp_layer layer = {.n_in = INPUTS, .n = UNITS, .W = W, .b = W + INPUTS * UNITS, .x = x};
    layer.z = layer.a = z;
    layer.scratch = scratch; /* of no use to so small a layer */
    layer.activation = kernel->activations;
    while (strcmp(layer.activation->name, "identity") != 0)
        layer.activation++;
    for (int s = 0; s < ROWS; s++)
        memcpy(x + s * INPUTS, row, sizeof row);
    for (int j = 0; j < UNITS; j++) {
        for (int i = 0; i < INPUTS; i++)
            W[i * UNITS + j] = sums[j % SUMS].weights[i];
        W[INPUTS * UNITS + j] = sums[j % SUMS].bias;
    }
    kernel->forward(&layer, 0, ROWS, softmax_stats);
    for (int k = 0; k < ROWS * UNITS; k++)
        if (differ(z[k], sums[k % UNITS % SUMS].answer))
            return sums[k % UNITS % SUMS].of;
    return NULL;
}

static const char *wrong_step(const bp_kernel *kernel) {
    for (int step = 0; step < STEPS; step++) {
        double w[VALUES], g[VALUES], slots[2 * VALUES] = {0.0}, rates[BP_RATES];
        double settings[4] = {steps[step].lr, 0.9, 0.999, 1e-8}, scalars[2] = {1.0, 1.0};
        const bp_update_rule *rule = kernel->update_rules;
        while (strcmp(rule->name, steps[step].rule) != 0)
            rule++;
        for (int k = 0; k < VALUES; k++) {
            w[k] = steps[step].start;
            g[k] = steps[step].gradient;
        }
        rule->begin(settings, scalars, rates);
        rule->update(0, VALUES, VALUES, steps[step].batch, rates, w, g, slots);
        for (int k = 0; k < VALUES; k++)
            if (differ(w[k], steps[step].answer))
                return steps[step].wrong;
    }
    return NULL;
}

static const char *wrong_scalar(void) {
    for (int code = 0; code < FUNCTIONS; code++)
        for (int k = 0; k < KNOWN; k++)
            if (differ(functions[code].scalar(functions[code].x[k]), functions[code].value[k]))
                return functions[code].wrong;
    return NULL;
}

static const char *wrong_value(const bp_kernel *kernel) {
    for (int code = 0; code < FUNCTIONS; code++) {
        double x[VALUES], value[VALUES];
        for (int k = 0; k < VALUES; k++)
            x[k] = functions[code].x[k < KNOWN ? k : 0];
        kernel->elementary[code](VALUES, x, value);
        for (int k = 0; k < VALUES; k++)
            if (differ(value[k], functions[code].value[k < KNOWN ? k : 0]))
                return functions[code].wrong;
    }
    return NULL;
}

const char *bp_self_test(const bp_kernel *kernel) {
    const char *wrong = wrong_scalar();
    for (; kernel != NULL && wrong == NULL; kernel = kernel->narrower) {
        wrong = wrong_sum(kernel);
        wrong = wrong != NULL ? wrong : wrong_step(kernel);
        wrong = wrong != NULL ? wrong : wrong_value(kernel);
    }
    return wrong;
}
