/* Comparison of the kernels that run here, number by number. Two numbers are the same if their bits
 * are, or if both are NaN.
 *
 *     compare_kernels                        short runs of elementary and products
 *     compare_kernels elementary COUNT SEED  vectors against cr_*, COUNT random inputs a function
 *     compare_kernels list FUNCTION          vectors against cr_* for the numbers on stdin, one a
 *                                            line, their neighbours and, except for log, the
 *                                            negatives of all
 *     compare_kernels products SEED          everything else against the last kernel, the baseline
 *     compare_kernels digest COUNT SEED      digests of the results of the first kernel, for COUNT
 *                                            inputs a function and for all else
 *
 * The baseline's products are compared with plain loops. The exit status is 1 if anything differs.
 *
 * To be compiled together with the sources in src_c, with setup.py's flags, -Isrc_c and -lm. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "elementary.h"
#include "kernel.h"

enum { MOST_KERNELS = 8, SHOWN = 5 };

static const bp_kernel *kernels[MOST_KERNELS];
static int n_kernels;
static int anything_differs;

/* Find the kernels: each once, after it the narrower ones that it uses; the baseline is the last.
 */
static void find_kernels(void) {
    for (int k = 0; bp_kernels[k] != NULL; k++) {
        const bp_kernel *kernel = bp_runs_here(bp_kernels[k]) ? bp_kernels[k] : NULL;
        for (; kernel != NULL; kernel = kernel->narrower) {
            int known = 0;
            for (int i = 0; i < n_kernels; i++)
                known |= kernels[i] == kernel;
            if (!known && n_kernels < MOST_KERNELS)
                kernels[n_kernels++] = kernel;
        }
    }
}

/* The number of activations; softmax is the last of their table. */
static ptrdiff_t n_activations(void) {
    ptrdiff_t n = 0;
    while (bp_kernels[0]->activations[n].name != NULL)
        n++;
    return n;
}

static int same(double x, double y) {
    return (isnan(x) && isnan(y)) || memcmp(&x, &y, sizeof x) == 0;
}

/* Random numbers by splitmix64 (Steele, Lea and Flood 2014): below(n) from 0 up to n - 1. */

static uint64_t state;

static uint64_t word(void) {
    uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static ptrdiff_t below(ptrdiff_t n) { return (ptrdiff_t)((word() >> 32) % (uint64_t)n); }

static double between(double low, double high) {
    return low + (high - low) * ((double)(word() >> 11) * 0x1p-53);
}

static double double_of(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* Elementary functions, in the order of the kernels' tables. */
static const struct {
    const char *name;
    double (*scalar)(double x);
} functions[] = {
#define ENTRY(name) {#name, cr_##name},
    BP_ELEMENTARY(ENTRY)
#undef ENTRY
};

/* LONGEST: most inputs at a time. ALIGNMENTS: doubles in a cache line, at each of which an array
 * may begin. GUARD: doubles on either side of the results, which must stay as they are. */
enum {
    N_FUNCTIONS = sizeof functions / sizeof *functions,
    LONGEST = 512,
    ALIGNMENTS = 8,
    GUARD = 8
};

static uint64_t n_inputs[N_FUNCTIONS], n_differ[N_FUNCTIONS][MOST_KERNELS];

/* Compare a function for n <= LONGEST inputs x, on every kernel; inputs and results begin at random
 * places, and half of the time the results overwrite the inputs. */
static void compare_function(int function, ptrdiff_t n, const double *x) {
    static _Alignas(64) double inputs[LONGEST + ALIGNMENTS];
    static _Alignas(64) double outputs[LONGEST + ALIGNMENTS + 2 * GUARD];
    const double guard = 0x1.23456789abcdep-7;
    double expected[LONGEST];
    for (ptrdiff_t i = 0; i < n; i++)
        expected[i] = functions[function].scalar(x[i]);
    n_inputs[function] += (uint64_t)n;
    for (int k = 0; k < n_kernels; k++) {
        double *out = outputs + GUARD + below(ALIGNMENTS);
        double *in = below(2) == 0 ? out : inputs + below(ALIGNMENTS);
        for (ptrdiff_t i = -GUARD; i < n + GUARD; i++)
            out[i] = guard;
        memcpy(in, x, (size_t)n * sizeof *x);
        kernels[k]->elementary[function](n, in, out);
        for (ptrdiff_t i = -GUARD; i < n + GUARD; i++) {
            double wanted = i < 0 || i >= n ? guard : expected[i];
            if (same(out[i], wanted))
                continue;
            if (n_differ[function][k]++ < SHOWN)
                printf("%s, %s: [%td] of %td is %a, not %a; x = %a\n", kernels[k]->name,
                       functions[function].name, i, n, out[i], wanted,
                       i < 0 || i >= n ? 0.0 : x[i]);
        }
    }
}

static void report_functions(void) {
    for (int k = 0; k < n_kernels; k++)
        for (int f = 0; f < N_FUNCTIONS; f++) {
            if (n_inputs[f] == 0)
                continue;
            printf("%s, %s: %" PRIu64 " inputs, %" PRIu64 " differ\n", kernels[k]->name,
                   functions[f].name, n_inputs[f], n_differ[f][k]);
            anything_differs |= n_differ[f][k] != 0;
        }
}

static const double ranges[][2] = {
    {-8.0, 8.0}, {-750.0, 712.0}, {-1.0, 100.0}, {0x1p-8, 0x1p-5}, {1.0 - 0x1p-6, 1.0 + 0x1p-6}};
/* Arguments at which a formula begins or ends, and special values. */
static const double edges[] = {0.0,     0x1p-1074, 0x1p-1022, 0x1p-54,  0x1p-53,  0x1p-24,
                               0x1p-6,  0.6875,    0.984375,  1.0,      1.015625, 1.375,
                               2.0,     37.5,      690.0,     709.79,   745.14,   0x1p+52,
                               0x1p+53, 0x1p+1000, DBL_MAX,   HUGE_VAL, NAN};
/* Arguments that log and log1p decide with the usual formula but not with the one for small
 * results, which is tried on them where another lane needs it. */
static const double decided_once[] = {0x1.03f8df23716b2p+0, 0x1.f845f8de69a49p-7};

/* A random argument: of a usual range, any bits, a power of two away from 0.0 or 1.0, or at an
 * edge. */
static double any_input(void) {
    ptrdiff_t kind = below(9);
    double sign = below(2) == 0 ? 1.0 : -1.0, mantissa = between(1.0, 2.0);
    if (kind < 5)
        return between(ranges[kind][0], ranges[kind][1]);
    if (kind == 5)
        return double_of(word());
    if (kind == 6)
        return sign * ldexp(mantissa, (int)below(80) - 64);
    if (kind == 7)
        return 1.0 + sign * ldexp(mantissa, -1 - (int)below(54));
    if (below(16) == 0)
        return decided_once[below(2)];
    double x = sign * edges[below((ptrdiff_t)(sizeof edges / sizeof *edges))];
    for (ptrdiff_t steps = below(4); steps > 0; steps--)
        x = nextafter(x, below(2) == 0 ? HUGE_VAL : -HUGE_VAL);
    return x;
}

static void compare_random(uint64_t count, uint64_t seed) {
    double x[LONGEST];
    state = seed;
    for (int f = 0; f < N_FUNCTIONS; f++)
        for (uint64_t done = 0; done < count;) {
            ptrdiff_t n = 1 + below(LONGEST);
            n = (uint64_t)n > count - done ? (ptrdiff_t)(count - done) : n;
            for (ptrdiff_t i = 0; i < n; i++)
                x[i] = any_input();
            compare_function(f, n, x);
            done += (uint64_t)n;
        }
    report_functions();
}

/* Compare a function for the numbers on stdin; 0 if one of them cannot be read. */
static int compare_list(int function) {
    double x[LONGEST];
    ptrdiff_t n = 0;
    char line[256], *end;
    while (fgets(line, sizeof line, stdin) != NULL) {
        double given = strtod(line, &end);
        if (end == line) {
            fprintf(stderr, "not a number: %s", line);
            return 0;
        }
        const double near[] = {given, nextafter(given, HUGE_VAL), nextafter(given, -HUGE_VAL)};
        for (int i = 0; i < 3; i++) {
            x[n++] = near[i];
            if (functions[function].scalar != cr_log)
                x[n++] = -near[i];
        }
        if (n > LONGEST - 6) {
            compare_function(function, n, x);
            n = 0;
        }
    }
    compare_function(function, n, x);
    report_functions();
    return 1;
}

/* Everything else is compared by trials of random shapes and numbers. A trial draws the same
 * numbers for each kernel, as it begins with the same seed. */

/* The results of a trial: numbers, in parts with a name each, which end at `stop`. */
enum { MOST_PARTS = 1024, MOST_ARRAYS = 1024 };
typedef struct {
    const char *name;
    size_t stop;
} results_part;
typedef struct {
    double *numbers;
    size_t n, room;
    results_part parts[MOST_PARTS];
    int n_parts;
} results;

/* Record a part: the first n of each row of stride numbers. */
static void record_rows(results *to, const char *name, ptrdiff_t rows, ptrdiff_t n,
                        ptrdiff_t stride, const double *from) {
    size_t more = (size_t)(rows * n);
    if (to->n_parts == MOST_PARTS)
        abort();
    if (to->n + more > to->room) {
        to->room = 2 * (to->n + more);
        to->numbers = realloc(to->numbers, to->room * sizeof *to->numbers);
        if (to->numbers == NULL)
            abort();
    }
    for (ptrdiff_t s = 0; s < rows; s++, to->n += (size_t)n)
        memcpy(to->numbers + to->n, from + s * stride, (size_t)n * sizeof *from);
    to->parts[to->n_parts++] = (results_part){name, to->n};
}

static void record(results *to, const char *name, ptrdiff_t n, const double *from) {
    record_rows(to, name, 1, n, n, from);
}

/* Special numbers of this trial, each level with those before it: 0: none, 1: zeros, 2: subnormal,
 * 3: huge, 4: infinite or NaN. */
static int rare;

static double number(void) {
    double x = between(-2.0, 2.0);
    if (rare == 0 || below(8) != 0)
        return x;
    switch (below(rare)) {
    case 0:
        return copysign(0.0, x);
    case 1:
        return x * 0x1p-1050;
    case 2:
        return x * 0x1p+1000;
    default:
        return below(8) != 0 ? x : below(2) == 0 ? copysign(HUGE_VAL, x) : (double)NAN;
    }
}

/* Arrays of the trial, which run_trial frees. */
static double *arrays[MOST_ARRAYS];
static int n_arrays;

/* n zeros, at any multiple of 8 bytes. They end where their memory does, so that AddressSanitizer
 * sees an access beyond. */
static double *zeros(ptrdiff_t n) {
    ptrdiff_t offset = below(ALIGNMENTS);
    double *memory = calloc(offset + n > 0 ? (size_t)(offset + n) : 1, sizeof *memory);
    if (memory == NULL || n_arrays == MOST_ARRAYS)
        abort();
    arrays[n_arrays++] = memory;
    return memory + offset;
}

static double *numbers(ptrdiff_t n, double spread) {
    double *made = zeros(n);
    for (ptrdiff_t i = 0; i < n; i++)
        made[i] = number() * spread;
    return made;
}

/* n random numbers, of which so many eighths are 0.0 or -0.0, as after a relu. */
static double *thinned(ptrdiff_t n, ptrdiff_t eighths) {
    double *made = numbers(n, 1.0);
    for (ptrdiff_t i = 0; i < n; i++)
        if (below(8) < eighths)
            made[i] = copysign(0.0, made[i]);
    /* One number is not finite, so only its panel of B is multiplied in full. */
    if (below(8) == 0) {
        ptrdiff_t i = below(n);
        made[i] = below(2) == 0 ? HUGE_VAL : (double)NAN;
    }
    return made;
}

static double *copy(ptrdiff_t n, const double *from) {
    double *made = zeros(n);
    memcpy(made, from, (size_t)n * sizeof *from);
    return made;
}

/* C[r][j] = start + sum over k increasing of A[r][k]*B[k][j], + bias[j] if any. */
static void plain_product(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t depth, const double *A,
                          ptrdiff_t A_row, ptrdiff_t A_step, const double *B, int first, double *C,
                          const double *bias) {
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t j = 0; j < n; j++) {
            double sum = first ? 0.0 : C[r * n + j];
            for (ptrdiff_t k = 0; k < depth; k++)
                sum = sum + A[r * A_row + k * A_step] * B[k * n + j];
            C[r * n + j] = bias == NULL ? sum : sum + bias[j];
        }
}

/* Sizes around multiples of all lanes and tiles. One time in eight B is large enough to be packed,
 * a third of these times deeper than a panel, and one time in 64 A is larger than one copy
 * (BP_COPY). */
static void choose_sizes(ptrdiff_t *rows, ptrdiff_t *n_in, ptrdiff_t *n) {
    ptrdiff_t *const sizes[] = {rows, n_in, n};
    ptrdiff_t chosen = below(64), n_large = chosen < 1 ? 2 : chosen < 8 ? 1 : 0, first = below(3);
    for (int i = 0; i < 3; i++)
        *sizes[i] = n_large > 0 ? 33 + below(30) : 1 + below(below(2) == 0 ? 20 : 80);
    for (ptrdiff_t i = first; i < first + n_large; i++)
        *sizes[i % 3] = (n_large > 1 ? 230 : below(3) == 0 ? 510 : 100) + below(150);
}

/* Scratch that is enough for every kernel's products of these sizes. */
static double *scratch_for(ptrdiff_t rows, ptrdiff_t n_in, ptrdiff_t n) {
    ptrdiff_t longest = rows > n_in ? rows : n_in, size = 0;
    longest = longest > n ? longest : n;
    for (int k = 0; k < n_kernels; k++) {
        ptrdiff_t needs = kernels[k]->scratch(longest, n_in > n ? n_in : n);
        size = needs > size ? needs : size;
    }
    return zeros(size);
}

/* The three products of a layer (rows, n_in) -> (rows, n), by a kernel, or by plain loops if it is
 * NULL. Most blocks are cut, and the later part is computed first: the other one must not touch it.
 */
static void compare_products(const bp_kernel *kernel, results *to, ptrdiff_t rows, ptrdiff_t n_in,
                             ptrdiff_t n, ptrdiff_t zeros_of_x, ptrdiff_t zeros_of_delta) {
    const bp_activation *identity = &kernels[n_kernels - 1]->activations[0];
    if (kernel != NULL)
        identity = &kernel->activations[0];
    double *scratch = scratch_for(rows, n_in, n), *softmax_stats = zeros(2 * rows);
    double *W = thinned((n_in + 1) * n, 0);
    double *x = thinned(rows * n_in, zeros_of_x), *delta = thinned(rows * n, zeros_of_delta);
    double *dW = numbers((n_in + 1) * n, 1.0);
    bp_layer layer = {.n_in = n_in, .n = n, .activation = identity, .scratch = scratch};
    layer.W = W, layer.b = W + n_in * n, layer.Wt = zeros(n * n_in), layer.dW = dW;
    layer.x = x, layer.delta = delta, layer.z = layer.a = zeros(rows * n);
    bp_layer lower = {.n_in = 1, .n = n_in, .activation = identity, .scratch = scratch};
    lower.a = x, lower.delta = zeros(rows * n_in);
    ptrdiff_t row = below(3) == 0 ? 0 : below(rows + 1), i_W = below(n_in + 1);
    ptrdiff_t i = below(3) == 0 ? 0 : below(n_in + 2);
    if (kernel != NULL) {
        kernel->forward(&layer, row, rows, softmax_stats);
        kernel->forward(&layer, 0, row, softmax_stats);
        kernel->transpose(&layer, i_W, n_in + 1);
        kernel->transpose(&layer, 0, i_W);
        kernel->hidden_deltas(&lower, &layer, row, rows);
        kernel->hidden_deltas(&lower, &layer, 0, row);
    } else {
        plain_product(rows, n, n_in, x, n_in, 1, W, 1, layer.z, layer.b);
        for (ptrdiff_t j = 0; j < n; j++)
            for (ptrdiff_t k = 0; k < n_in; k++)
                layer.Wt[j * n_in + k] = W[k * n + j];
        plain_product(rows, n_in, n, delta, n, 1, layer.Wt, 1, lower.delta, NULL);
    }
    record(to, "forward", rows * n, layer.z);
    /* Wt is not recorded, since a kernel need not fill it where W is large; the deltas depend on
     * it. */
    record(to, "hidden deltas", rows * n_in, lower.delta);
    for (int first = 1; first >= 0; first--) {
        static const double one = 1.0;
        if (kernel != NULL) {
            kernel->gradient(&layer, first, rows, i, n_in + 1);
            kernel->gradient(&layer, first, rows, 0, i);
        } else {
            plain_product(n_in, n, rows, x, 1, n_in, delta, first, dW, NULL);
            plain_product(1, n, rows, &one, 0, 0, delta, first, dW + n_in * n, NULL);
        }
        record(to, first ? "first gradient" : "continued gradient", (n_in + 1) * n, dW);
    }
}

static void try_products(const bp_kernel *kernel, results *to) {
    ptrdiff_t rows, n_in, n;
    choose_sizes(&rows, &n_in, &n);
    compare_products(kernel, to, rows, n_in, n, 0, 0);
}

/* Layers large enough for their zeros to be left out; every other time one size is larger than the
 * part of a matrix that is marked at a time (BP_MARKED). */
static void try_sparse_products(const bp_kernel *kernel, results *to) {
    ptrdiff_t sizes[3];
    for (int i = 0; i < 3; i++)
        sizes[i] = below(4) == 0 ? 33 + below(30) : 64 + below(26);
    ptrdiff_t large = below(2) == 0 ? 1 : below(3); /* inputs more often: they are cut */
    sizes[large] = below(2) == 0 ? 510 : 90;
    sizes[large] += below(120);
    ptrdiff_t zeros_of_x = below(9), zeros_of_delta = below(9);
    compare_products(kernel, to, sizes[0], sizes[1], sizes[2], zeros_of_x, zeros_of_delta);
}

/* Activations, losses, and layers with and without dropout. */
static void try_functions(const bp_kernel *kernel, results *to) {
    static const double spreads[] = {1.0, 4.0, 20.0, 400.0};
    ptrdiff_t rows = 1 + below(20), n = 1 + below(40), all = rows * n;
    double *z = numbers(all, spreads[below(4)]), *t = numbers(all, 1.0),
           *softmax_stats = zeros(2 * rows);
    double *L = zeros(rows), *a = NULL;
    int in_place = below(2) == 0;
    for (int f = 0; kernel->activations[f].name != NULL; f++) {
        const bp_activation *activation = &kernel->activations[f];
        a = in_place ? copy(all, z) : zeros(all);
        activation->values(all, n, in_place ? a : z, a, softmax_stats);
        record(to, activation->name, all, a);
        if (activation->node_deltas == NULL)
            continue;
        double *delta = zeros(all), *product = copy(all, t);
        activation->node_deltas(all, z, a, t, delta);
        record(to, "node deltas", all, delta);
        activation->times_derivative(all, a, product);
        activation->times_derivative(all, z, product);
        record(to, "times derivative", all, product);
    }
    /* a and softmax_stats are now those of softmax, the last activation. */
    record(to, "softmax_stats", 2 * rows, softmax_stats);
    for (int l = 0; kernel->losses[l].name != NULL; l++) {
        kernel->losses[l].values(rows, n, z, a, t, softmax_stats, L);
        record(to, kernel->losses[l].name, rows, L);
        if (kernel->losses[l].slopes != NULL) {
            double *slopes = zeros(all);
            kernel->losses[l].slopes(all, a, t, slopes);
            record(to, "slopes", all, slopes);
        }
    }
    double *delta = zeros(all);
    kernel->differences(all, a, t, delta);
    record(to, "differences", all, delta);
    ptrdiff_t n_finite = below(2000), n_all = n_finite + 1 + below(1000);
    double *mostly_finite = zeros(n_all);
    mostly_finite[n_finite] = mostly_finite[n_all - 1] = below(2) == 0 ? HUGE_VAL : (double)NAN;
    double first[] = {(double)kernel->first_not_finite(n_all, mostly_finite),
                      (double)kernel->first_not_finite(n_finite, mostly_finite)};
    record(to, "first that is not finite", 2, first);

    ptrdiff_t n_in = 1 + below(20), row = below(rows + 1);
    bp_layer layer = {.n_in = n_in, .n = n, .scratch = scratch_for(rows, n_in, n)};
    layer.activation = &kernel->activations[below(n_activations())];
    layer.W = numbers((n_in + 1) * n, 1.0), layer.b = layer.W + n_in * n;
    layer.x = numbers(rows * n_in, 1.0), layer.z = zeros(all), layer.a = a;
    kernel->forward(&layer, row, rows, softmax_stats);
    kernel->forward(&layer, 0, row, softmax_stats);
    record(to, "forward", all, a);
    record(to, "forward's softmax_stats", 2 * rows, softmax_stats);

    /* Forward pass with units dropped, and the deltas. */
    if (layer.activation->times_derivative == NULL)
        return;
    bp_layer above = {.n_in = n, .n = 3, .scratch = layer.scratch};
    above.W = numbers(3 * n, 1.0), above.Wt = zeros(3 * n), above.delta = numbers(rows * 3, 1.0);
    layer.mask = zeros(all), layer.masked = zeros(all), layer.delta = zeros(all);
    for (ptrdiff_t k = 0; k < all; k++)
        layer.mask[k] = below(3) == 0 ? 0.0 : 1.5;
    kernel->forward(&layer, row, rows, softmax_stats);
    kernel->forward(&layer, 0, row, softmax_stats);
    record(to, "masked", all, layer.masked);
    kernel->transpose(&above, 0, n + 1);
    kernel->hidden_deltas(&layer, &above, row, rows);
    kernel->hidden_deltas(&layer, &above, 0, row);
    record(to, "masked deltas", all, layer.delta);
}

/* A setting of an update rule by its place: the first is most often a rate, the next ones are
 * decays or momenta, the fourth is an epsilon. */
static double any_setting(int place) {
    static const double lowest[] = {0.0, 0.5, 0.9};
    return place == 3 ? 1e-8 : between(place < 3 ? lowest[place] : 0.0, 1.0);
}

/* Three steps of every update rule from random slots, then the other loops over parameters. Arrays
 * have the sizes that the rule's row says, so that AddressSanitizer sees a rule that takes more. */
static void try_updates(const bp_kernel *kernel, results *to) {
    static const double batches[] = {1.0, 2.0, 3.0, 0.7, 0.25, 32.0, 1e-310, 0x1p-1023, 0x1p-1022};
    ptrdiff_t n = 1 + below(150), start = below(n + 1), stop = start + below(n - start + 1);
    double batch = batches[below(9)];
    double *g = numbers(n, 1.0);
    for (int r = 0; kernel->update_rules[r].name != NULL; r++) {
        const bp_update_rule *rule = &kernel->update_rules[r];
        ptrdiff_t all = rule->n_slots * n;
        double *w = numbers(n, 1.0), *slots = numbers(all, 1.0);
        double *settings = zeros(rule->n_settings), *scalars = zeros(rule->n_scalars);
        double *rates = zeros(BP_RATES);
        for (int k = 0; k < rule->n_settings; k++)
            settings[k] = any_setting(k);
        for (int k = 0; k < rule->n_scalars; k++)
            scalars[k] = 1.0;
        /* Rules take roots of the second moments: the only slot, or those after the first. They are
         * mostly positive, so that mostly numbers are compared and not NaNs. */
        for (ptrdiff_t k = rule->n_slots > 1 ? n : 0; k < all; k++)
            slots[k] = below(16) == 0 ? slots[k] : fabs(slots[k]);
        for (int step = 0; step < 3; step++) {
            rule->begin(settings, scalars, rates);
            rule->update(start, stop, n, batch, rates, w, g, slots);
        }
        record(to, rule->name, n, w);
        record(to, "slots", all, slots);
        record(to, "rates", BP_RATES, rates);
        record(to, "scalars", rule->n_scalars, scalars);
    }
    kernel->mean_gradient(stop, batch, g);
    record(to, "mean gradient", n, g);
    double *w = numbers(n, 1.0), *penalized = copy(n, g);
    double sum = kernel->dot(n - start, w + start, g + start);
    record(to, "dot", 1, &sum);
    kernel->penalize(stop - start, batch, between(0.0, 1.0), between(0.0, 1.0), w + start,
                     penalized + start);
    record(to, "penalties", n, penalized);
    kernel->scaled(stop - start, between(0.5, 1.0), g + start, g + start);
    record(to, "scaled", n, g);
}

/* Steps of plain SGD on one row, in the order of training. */
enum { MOST_LAYERS = 3, N_STEPS = 2 };
typedef struct {
    int n_layers;
    ptrdiff_t sizes[MOST_LAYERS + 1];
    int activations[MOST_LAYERS];
    int narrow, through_activation, train_biases;
    double lr;
    double *w[MOST_LAYERS]; /* (sizes[l] + 1, sizes[l + 1]) */
} online_trial;

/* The layers of a trial in the form of one_row.h, with its weights. narrow: each layer takes the
 * kernel with the fewest lanes that its units fit. */
static void make_online_layers(const bp_kernel *kernel, const online_trial *trial,
                               bp_online_layer *layers) {
    for (int l = 0; l < trial->n_layers; l++) {
        bp_online_layer *layer = &layers[l];
        ptrdiff_t n_in = trial->sizes[l], n = trial->sizes[l + 1];
        *layer = (bp_online_layer){.n_in = n_in, .n = n, .kernel = kernel};
        while (trial->narrow && layer->kernel->narrower != NULL &&
               n <= layer->kernel->narrower->lanes)
            layer->kernel = layer->kernel->narrower;
        layer->stride = (n + layer->kernel->lanes - 1) / layer->kernel->lanes;
        layer->stride *= layer->kernel->lanes;
        layer->activation = &layer->kernel->activations[trial->activations[l]];
        layer->W = zeros((n_in + 1) * layer->stride), layer->b = layer->W + n_in * layer->stride;
        layer->z = zeros(layer->stride), layer->a = zeros(layer->stride);
        layer->delta = zeros(layer->stride);
        for (ptrdiff_t i = 0; i <= n_in; i++)
            memcpy(layer->W + i * layer->stride, trial->w[l] + i * n, (size_t)n * sizeof(double));
        for (ptrdiff_t j = n; j < layer->stride; j++)
            layer->b[j] = 2.0;
        if (l == 0)
            continue;
        layer->x = layers[l - 1].a, layer->Wt = zeros(n * layers[l - 1].stride);
        for (ptrdiff_t j = 0; j < n; j++)
            for (ptrdiff_t i = 0; i < n_in; i++)
                layer->Wt[j * layers[l - 1].stride + i] = trial->w[l][i * n + j];
    }
}

/* Whether online_two_layers can train these layers. */
static int one_vector_each(const online_trial *trial, const bp_online_layer *layers) {
    return trial->n_layers == 2 && trial->activations[1] != n_activations() - 1 &&
           layers[0].kernel == layers[1].kernel && layers[0].stride == layers[0].kernel->lanes &&
           layers[1].stride == layers[1].kernel->lanes;
}

/* The number of elements that are neither zero nor NaN. */
static double others_than_zero(ptrdiff_t n, const double *x) {
    double others = 0.0;
    for (ptrdiff_t j = 0; j < n; j++)
        others += fabs(x[j]) > 0.0; /* an infinite input times padding is a NaN */
    return others;
}

/* Record the layers after a step. Of two layers, only what online_two_layers stores as well. */
static void record_online_layers(const online_trial *trial, const bp_online_layer *layers,
                                 results *to) {
    const int all = trial->n_layers > 2;
    for (int l = 0; l < trial->n_layers; l++) {
        ptrdiff_t n_in = layers[l].n_in, n = layers[l].n;
        record_rows(to, "W and b", n_in + 1, n, layers[l].stride, layers[l].W);
        if (all || l == trial->n_layers - 1) {
            record(to, "z", n, layers[l].z);
            record(to, "a", n, layers[l].a);
        }
        double beside = 0.0;
        for (ptrdiff_t i = 0; i < n_in; i++)
            beside +=
                others_than_zero(layers[l].stride - n, layers[l].W + i * layers[l].stride + n);
        record(to, "other than 0.0 beside W", 1, &beside);
        if (l == 0)
            continue; /* its deltas are not kept */
        record_rows(to, "W transposed", n, n_in, layers[l - 1].stride, layers[l].Wt);
        if (!all)
            continue;
        record(to, "deltas", n, layers[l].delta);
        beside = others_than_zero(layers[l].stride - n, layers[l].delta + n);
        record(to, "other than 0.0 beside the deltas", 1, &beside);
    }
}

/* One step of training on the row x, t. */
static void step_of_row(const online_trial *trial, bp_online_layer *layers, const double *x,
                        const double *t, results *to) {
    const int n_layers = trial->n_layers;
    bp_online_layer *last = &layers[n_layers - 1];
    double softmax_stats[2], lr = trial->lr;
    layers[0].x = x;
    if (one_vector_each(trial, layers)) {
        layers[0].kernel->online_two_layers(layers, t, trial->through_activation, lr,
                                            trial->train_biases);
        record_online_layers(trial, layers, to);
        return;
    }
    for (int l = 0; l < n_layers - 1; l++)
        layers[l].activation->online_forward(&layers[l], softmax_stats);
    if (trial->through_activation) {
        last->activation->online_outputs(last, t);
    } else {
        last->activation->online_forward(last, softmax_stats);
        last->kernel->online_differences(last, t);
    }
    for (int l = n_layers - 1; l > 0; l--) {
        bp_online_layer *above = &layers[l], *layer = &layers[l - 1];
        if (l > 1)
            layer->activation->online_hidden_deltas(layer, above);
        else
            layer->activation->online_first_step(layer, above, lr, trial->train_biases);
        above->kernel->online_step(above, lr, trial->train_biases);
        layer->kernel->online_step_transposed(layer, above, lr);
    }
    record_online_layers(trial, layers, to);
}

/* Two steps of a network of two or three layers. */
static void try_rows(const bp_kernel *kernel, results *to) {
    online_trial trial;
    trial.n_layers = 2 + (int)below(2);
    ptrdiff_t most = trial.n_layers == 2 ? 8 : below(2) == 0 ? 10 : 80;
    for (int l = 0; l <= trial.n_layers; l++)
        trial.sizes[l] = 1 + below(most);
    for (int l = 0; l < trial.n_layers; l++) {
        trial.activations[l] = (int)below(n_activations() - 1);
        trial.w[l] = numbers((trial.sizes[l] + 1) * trial.sizes[l + 1], 1.0);
    }
    trial.narrow = below(2) == 0, trial.train_biases = below(4) != 0;
    trial.through_activation = below(2) == 0, trial.lr = between(0.0, 0.5);
    /* softmax, the last of the table, has no derivative. */
    if (!trial.through_activation && below(2) == 0)
        trial.activations[trial.n_layers - 1] = (int)n_activations() - 1;
    double *x = numbers(N_STEPS * trial.sizes[0], 1.0);
    double *t = numbers(N_STEPS * trial.sizes[trial.n_layers], 1.0);
    bp_online_layer layers[MOST_LAYERS];
    make_online_layers(kernel, &trial, layers);
    for (int s = 0; s < N_STEPS; s++)
        step_of_row(&trial, layers, x + s * trial.sizes[0], t + s * trial.sizes[trial.n_layers],
                    to);
}

/* Sums over parameters and L-BFGS's direction. */
static void try_sums(const bp_kernel *kernel, results *to) {
    const ptrdiff_t n = 1 + below(100), memory = 1 + below(5);
    double *w = numbers(n, 1.0), *g = numbers(n, 1.0), *d = zeros(n), *out = zeros(n);
    double *S = numbers(memory * n, 1.0), *Y = numbers(memory * n, 1.0), *sy = zeros(memory);
    double *alphas = zeros(memory), sums[4];
    for (ptrdiff_t i = 0; i < memory; i++)
        sy[i] = between(0.5, 2.0);
    bp_pairs pairs = {n, memory, 1 + below(memory), below(memory), S, Y, sy, between(0.1, 10.0)};
    sums[0] = kernel->divide(n, g, between(-2.0, -0.5), out);
    record(to, "divide", n, out);
    sums[1] = kernel->two_loops(&pairs, g, d, alphas);
    record(to, "two loops", n, d);
    kernel->axpy(n, w, between(0.0, 2.0), d, out);
    record(to, "axpy", n, out);
    sums[2] = kernel->dot(n, w, out), sums[3] = kernel->max_abs(n, w);
    record(to, "sums", 4, sums);
}

/* Clear a matrix left of the diagonal, where kernels may leave anything. */
static void clear_lower(ptrdiff_t n, ptrdiff_t stride, double *A) {
    for (ptrdiff_t i = 0; i < n; i++)
        memset(A + i * stride, 0, (size_t)i * sizeof *A);
}

/* The Jacobian of one layer, J^T J + mu, and its Cholesky factor up to the first pivot that is not
 * positive. */
static void try_least_squares(const bp_kernel *kernel, results *to) {
    ptrdiff_t rows = 1 + below(40), n_in = below(8) == 0 ? 40 + below(40) : 1 + below(9);
    ptrdiff_t n = 1 + below(9), row = below(rows + 1), n_parameters = (n_in + 1) * n;
    ptrdiff_t columns = (n_parameters + 8) / 8 * 8, stride = columns + 8 * below(2);
    int train_biases = below(4) != 0;
    double *J = zeros(rows * stride), *A = zeros(n_parameters * stride),
           *scratch = scratch_for(rows, n_in, BP_PIVOTS);
    double *minus = zeros(BP_PIVOTS * stride), mu = between(0.0, 4.0);
    bp_layer layer = {.n_in = n_in, .n = n};
    layer.x = numbers(rows * n_in, 1.0), layer.delta = numbers(rows * n, 1.0);
    kernel->jacobian(&layer, row, rows, train_biases, J, stride);
    kernel->jacobian(&layer, 0, row, train_biases, J, stride);
    for (ptrdiff_t s = 0; s < rows; s++)
        J[s * stride + n_parameters] = number();
    record_rows(to, "Jacobian", rows, columns, stride, J);
    for (int first = 1; first >= 0; first--)
        for (ptrdiff_t j = 0; j < columns; j += BP_PIVOTS)
            kernel->add_products(rows, n_parameters, j,
                                 columns - j < BP_PIVOTS ? columns : j + BP_PIVOTS, J, J, stride,
                                 first, A, scratch);
    clear_lower(n_parameters, stride, A);
    record_rows(to, "products", n_parameters, columns, stride, A);
    for (ptrdiff_t i = 0; i < n_parameters; i++)
        A[i * stride + i] = A[i * stride + i] + mu;
    for (ptrdiff_t start = 0; start < n_parameters; start += BP_PIVOTS) {
        ptrdiff_t stop = n_parameters - start < BP_PIVOTS ? n_parameters : start + BP_PIVOTS;
        ptrdiff_t right = (stop + 7) / 8 * 8;
        if (!kernel->factor_diagonal(start, stop, right, stride, A))
            break;
        kernel->factor_columns(start, stop, right, columns, stride, A, minus);
        if (stop < n_parameters)
            kernel->add_products(stop - start, n_parameters - stop, 0, columns - stop, minus + stop,
                                 A + start * stride + stop, stride, 0, A + stop * (stride + 1),
                                 scratch);
    }
    clear_lower(n_parameters, stride, A);
    record_rows(to, "factor", n_parameters, columns, stride, A);
}

/* The trials. Plain loops exist for the first N_PRODUCTS. */
static const struct {
    const char *name;
    void (*run)(const bp_kernel *kernel, results *to);
    int rarer; /* how many times rarer than the others */
} trials[] = {{"products", try_products, 1},
              {"sparse products", try_sparse_products, 8},
              {"functions", try_functions, 1},
              {"updates", try_updates, 1},
              {"rows", try_rows, 1},
              {"sums", try_sums, 1},
              {"least squares", try_least_squares, 1}};
enum { N_TRIALS = sizeof trials / sizeof *trials, N_PRODUCTS = 2 };

/* One trial with this seed, into `to`. */
static void run_trial(int trial, const bp_kernel *kernel, uint64_t seed, results *to) {
    state = seed;
    state = word();
    rare = (int)below(5);
    to->n = 0, to->n_parts = 0;
    trials[trial].run(kernel, to);
    while (n_arrays > 0)
        free(arrays[--n_arrays]);
}

/* Compare a kernel, or the plain loops if it is NULL, with the baseline: count trials, seeds from
 * seed on. */
static void compare_trials_of(int trial, const bp_kernel *kernel, int count, uint64_t seed) {
    static results expected, found;
    uint64_t n_numbers = 0, differing = 0;
    const char *name = kernel == NULL ? "plain loops" : kernel->name;
    count /= trials[trial].rarer;
    for (uint64_t s = seed; s < seed + (uint64_t)count; s++) {
        run_trial(trial, kernels[n_kernels - 1], s, &expected);
        run_trial(trial, kernel, s, &found);
        if (expected.n != found.n)
            abort();
        n_numbers += found.n;
        for (size_t k = 0, part = 0; k < found.n; k++) {
            while (k >= found.parts[part].stop)
                part++;
            if (!same(found.numbers[k], expected.numbers[k]) && differing++ < SHOWN)
                printf("%s, %s: %s, %a, not %a; seed %" PRIu64 "\n", name, trials[trial].name,
                       found.parts[part].name, found.numbers[k], expected.numbers[k], s);
        }
    }
    printf("%s, %s: %d trials, %" PRIu64 " numbers, %" PRIu64 " differ\n", name, trials[trial].name,
           count, n_numbers, differing);
    anything_differs |= differing != 0;
}

static void compare_trials(int count, uint64_t seed) {
    for (int trial = 0; trial < N_TRIALS; trial++)
        for (int k = 0; k + 1 < n_kernels; k++)
            compare_trials_of(trial, kernels[k], count, seed);
    for (int trial = 0; trial < N_PRODUCTS; trial++)
        compare_trials_of(trial, NULL, count, seed);
}

/* FNV-1a (Fowler, Noll and Vo 1991) over the bits of numbers, the low byte first; all NaNs are
 * alike. */
static uint64_t digest_of(uint64_t digest, size_t n, const double *x) {
    for (size_t k = 0; k < n; k++) {
        uint64_t bits = UINT64_C(0x7ff8000000000000);
        if (!isnan(x[k]))
            memcpy(&bits, &x[k], sizeof bits);
        for (int byte = 0; byte < 8; byte++)
            digest = (digest ^ (bits >> 8 * byte & 0xff)) * UINT64_C(0x100000001b3);
    }
    return digest;
}

/* Digests of the first kernel's results, which other machines' are compared with. */
static void print_digests(uint64_t count, uint64_t seed) {
    static results found;
    const uint64_t begin = UINT64_C(0xcbf29ce484222325);
    double x[LONGEST], out[LONGEST];
    for (int f = 0; f < N_FUNCTIONS; f++) {
        uint64_t digest = begin;
        state = seed;
        for (uint64_t done = 0; done < count;) {
            ptrdiff_t n = 1 + below(LONGEST);
            n = (uint64_t)n > count - done ? (ptrdiff_t)(count - done) : n;
            for (ptrdiff_t i = 0; i < n; i++)
                x[i] = any_input();
            kernels[0]->elementary[f](n, x, out);
            digest = digest_of(digest_of(digest, (size_t)n, x), (size_t)n, out);
            done += (uint64_t)n;
        }
        printf("%s: %" PRIu64 " numbers, digest %016" PRIx64 "\n", functions[f].name, count,
               digest);
    }
    for (int trial = 0; trial < N_TRIALS; trial++) {
        uint64_t digest = begin, n_numbers = 0;
        for (uint64_t s = seed; s < seed + 300u / (unsigned)trials[trial].rarer; s++) {
            run_trial(trial, kernels[0], s, &found);
            digest = digest_of(digest, found.n, found.numbers);
            n_numbers += found.n;
        }
        printf("%s: %" PRIu64 " numbers, digest %016" PRIx64 "\n", trials[trial].name, n_numbers,
               digest);
    }
}

int main(int argc, char **argv) {
    find_kernels();
    printf("kernels:");
    for (int k = 0; k < n_kernels; k++)
        printf("%s %s", k > 0 ? "," : "", kernels[k]->name);
    printf("\n");
    const char *mode = argc > 1 ? argv[1] : "";
    int understood = 0;
    if (argc == 1) {
        compare_random(200000, 1);
        compare_trials(300, 1);
        understood = 1;
    } else if (argc == 4 && strcmp(mode, "elementary") == 0) {
        compare_random(strtoull(argv[2], NULL, 0), strtoull(argv[3], NULL, 0));
        understood = 1;
    } else if (argc == 4 && strcmp(mode, "digest") == 0) {
        print_digests(strtoull(argv[2], NULL, 0), strtoull(argv[3], NULL, 0));
        understood = 1;
    } else if (argc == 3 && strcmp(mode, "products") == 0) {
        compare_trials(3000, strtoull(argv[2], NULL, 0));
        understood = 1;
    } else if (argc == 3 && strcmp(mode, "list") == 0) {
        for (int f = 0; f < N_FUNCTIONS; f++)
            if (strcmp(argv[2], functions[f].name) == 0)
                understood = compare_list(f);
    }
    if (!understood)
        fprintf(stderr, "usage: compare_kernels [elementary COUNT SEED | list FUNCTION | "
                        "products SEED | digest COUNT SEED]\n");
    return understood ? anything_differs : 2;
}
