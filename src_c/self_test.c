/* Self-test: a few sums, steps and function values with known answers, for a build that nobody has
 * tested: one with -ffast-math, say, or by a compiler with a defect. It takes microseconds and runs
 * at import; the tests ask far more. */
#include "self_test.h"

#include <string.h>

#include "elementary.h"

#define LENGTH(array) ((int)(sizeof(array) / sizeof *(array)))

enum {
    ROWS = 7,   /* more than BP_TILE_ROWS, in part */
    UNITS = 37, /* more than BP_TILE_WIDTH on every instruction set, in part */
    INPUTS = 6,
    VALUES = 9, /* more than a vector */
    KNOWN = 3
};

/* The input row of every sum. */
static const double row[INPUTS] = {1.0, 1.0 + 0x1p-27, 0x1p53, 1.0, -0x1p53, 0x1p-1000};

/* Sums row*weights + bias whose answer tells a defect. Unit j of the layer has the weights of sum
 * j % LENGTH(sums). The first would be -2^-54 with a fused product, the second 1.0 in another
 * order, since 2^53 + 1.0 is 2^53; the third has a subnormal product; the last two would be
 * above 1.0 if rounded upwards, and below it if rounded downwards. */
static const struct {
    const char *wrong;
    double weights[INPUTS], bias, answer;
} sums[] = {
    {"a product is not rounded before it is added", {-1.0, 1.0 - 0x1p-27}, 0.0, 0.0},
    {"a sum is not in its order", {0.0, 0.0, 1.0, 1.0, 1.0}, 0.0, 0.0},
    {"subnormal numbers are lost", {[5] = 0x1p-60}, 0x1p-1074, 0x1p-1060 + 0x1p-1074},
    {"numbers are not rounded to nearest", {1.0}, 0x1p-54, 1.0},
    {"numbers are not rounded to nearest", {1.0}, -0x1p-55, 1.0},
};

/* One step of a rule from its first state. settings: those of the rule, in its order. */
static const struct {
    const char *rule, *wrong;
    double settings[4];
    double start, gradient; /* a parameter, and the sum of its gradients over a batch */
    double batch;
    double answer;
} steps[] = {
    {"sgd", "a step of sgd is wrong", {1.0 + 0x1p-27}, 1.0, 1.0 - 0x1p-27, 1.0, 0.0},
    {"adam",
     "a step of adam is wrong",
     {0.1, 0.9, 0.999, 1e-8},
     0.5,
     7.0,
     3.0,
     0x1.99999a826ea38p-2},
};

/* Arguments and values of each function: two that the quick phase finds, and the third left to the
 * slow one. */
typedef double known_values[2][KNOWN];
static const known_values known_exp = {
    {1.0, -720.0, 0x1.83d4bcdebb3f4p+2},
    {0x1.5bf0a8b145769p+1, 0x0.0000993b4dc95p-1022, 0x1.ac50b409c8aeep+8}};
static const known_values known_expm1 = {
    {1.0, 0x1p-5, 0x1.274bbf1efb1a2p-10},
    {0x1.b7e151628aed3p+0, 0x1.040ac0224fd93p-5, 0x1.2776572c2512ap-10}};
static const known_values known_log = {
    {3.0, 0x1p-1074, 0x1.613955dc802f8p-35},
    {0x1.193ea7aad030bp+0, -0x1.74385446d71c3p+9, -0x1.7f02f9baf6035p+4}};
static const known_values known_log1p = {
    {2.0, 0x1p-5, 0x1.8000000000003p-50},
    {0x1.193ea7aad030bp+0, 0x1.f829b0e783300p-6, 0x1.7ffffffffffffp-50}};

static const struct {
    const char *wrong;
    double (*scalar)(double x);
    const double *x, *value; /* (KNOWN) */
} functions[] = {
#define ENTRY(name) {"a value of " #name " is wrong", cr_##name, known_##name[0], known_##name[1]},
    BP_ELEMENTARY(ENTRY)
#undef ENTRY
};

/* Numbers differ if their bits do. An answer 0.0 means +0.0, so -0.0 is wrong. */
static int differ(double a, double b) { return memcmp(&a, &b, sizeof a) != 0; }

/* The message of the first sum that is wrong, or NULL: a layer's forward pass (ROWS, INPUTS) by
 * (INPUTS, UNITS), with identity. */
static const char *wrong_sum(const bp_kernel *kernel) {
    double x[ROWS * INPUTS], W[(INPUTS + 1) * UNITS], z[ROWS * UNITS], softmax_stats[2 * ROWS],
        scratch[1];
    bp_layer layer = {.n_in = INPUTS, .n = UNITS, .W = W, .b = W + INPUTS * UNITS, .x = x};
    layer.z = layer.a = z;
    layer.scratch = scratch; /* not used by so small a layer */
    layer.activation = kernel->activations;
    while (strcmp(layer.activation->name, "identity") != 0)
        layer.activation++;
    for (int s = 0; s < ROWS; s++)
        memcpy(x + s * INPUTS, row, sizeof row);
    for (int j = 0; j < UNITS; j++) {
        for (int i = 0; i < INPUTS; i++)
            W[i * UNITS + j] = sums[j % LENGTH(sums)].weights[i];
        W[INPUTS * UNITS + j] = sums[j % LENGTH(sums)].bias;
    }
    kernel->forward(&layer, 0, ROWS, softmax_stats);
    for (int k = 0; k < ROWS * UNITS; k++)
        if (differ(z[k], sums[k % UNITS % LENGTH(sums)].answer))
            return sums[k % UNITS % LENGTH(sums)].wrong;
    return NULL;
}

/* The message of the first step that is wrong, or NULL. A rule that keeps more than there is room
 * for here is refused. */
static const char *wrong_step(const bp_kernel *kernel) {
    enum { SLOTS = 2 };
    for (int step = 0; step < LENGTH(steps); step++) {
        double w[VALUES], g[VALUES], slots[SLOTS * VALUES] = {0.0}, rates[BP_RATES];
        double scalars[BP_SCALARS];
        const bp_update_rule *rule = kernel->update_rules;
        while (strcmp(rule->name, steps[step].rule) != 0)
            rule++;
        if (rule->n_slots > SLOTS || rule->n_settings > LENGTH(steps[step].settings))
            return steps[step].wrong;
        for (int k = 0; k < BP_SCALARS; k++)
            scalars[k] = 1.0;
        for (int k = 0; k < VALUES; k++) {
            w[k] = steps[step].start;
            g[k] = steps[step].gradient;
        }
        rule->begin(steps[step].settings, scalars, rates);
        rule->update(0, VALUES, VALUES, steps[step].batch, rates, w, g, slots);
        for (int k = 0; k < VALUES; k++)
            if (differ(w[k], steps[step].answer))
                return steps[step].wrong;
    }
    return NULL;
}

/* The message of the first wrong value of a cr_* function, or NULL. */
static const char *wrong_scalar(void) {
    for (int code = 0; code < LENGTH(functions); code++)
        for (int k = 0; k < KNOWN; k++)
            if (differ(functions[code].scalar(functions[code].x[k]), functions[code].value[k]))
                return functions[code].wrong;
    return NULL;
}

/* The message of the first wrong value of a function on vectors, or NULL: known arguments, and the
 * first of them again, in more lanes than a vector has. */
static const char *wrong_value(const bp_kernel *kernel) {
    for (int code = 0; code < LENGTH(functions); code++) {
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
