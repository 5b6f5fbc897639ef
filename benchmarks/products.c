/* The kernel's three products, each by itself on one thread. Usage: products KERNEL ROWS N_IN N
 * PERCENT; prints the GFLOP/s of the forward product, of the hidden deltas below the layer and of
 * the gradient of its weights, with PERCENT of x and of delta 0.0. Each rate is the best of ROUNDS,
 * with all that fits in the caches. It is compiled together with src_c. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel.h"

enum { ROUNDS = 9 };
static const double ROUND_SECONDS = 0.01;

static double seconds(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static const bp_kernel *kernel_named(const char *name) {
    for (const bp_kernel *const *kernel = bp_kernels; *kernel != NULL; kernel++)
        if (strcmp((*kernel)->name, name) == 0 && bp_runs_here(*kernel))
            return *kernel;
    return NULL;
}

/* n numbers between -1 and 1, a share of them 0.0, aligned to a cache line. */
static double *numbers(ptrdiff_t n, double zeros) {
    static uint64_t state = 1;
    double *memory = aligned_alloc(64, ((size_t)n * sizeof(double) + 63) / 64 * 64);
    if (memory == NULL)
        exit(1);
    for (ptrdiff_t k = 0; k < n; k++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        double x = (double)(state >> 11) * 0x1p-53;
        memory[k] = x < zeros ? 0.0 : 2.0 * x - 1.0;
    }
    return memory;
}

/* A layer (n_in, n), the layer below it, whose units are its inputs, and the rows of a batch. */
typedef struct {
    const bp_kernel *kernel;
    bp_layer layer, below;
    ptrdiff_t rows;
    double *softmax_stats; /* (rows, 2) */
} bench;

static void forward(const bench *b) { b->kernel->forward(&b->layer, 0, b->rows, b->softmax_stats); }

static void deltas(const bench *b) { b->kernel->hidden_deltas(&b->below, &b->layer, 0, b->rows); }

static void gradient(const bench *b) {
    b->kernel->gradient(&b->layer, 1, b->rows, 0, b->layer.n_in);
}

/* GFLOP/s of a product in the best round. */
static double rate(void (*product)(const bench *), const bench *b) {
    const double flops = 2.0 * (double)b->rows * (double)b->layer.n_in * (double)b->layer.n;
    double best = 0.0;
    for (int round = 0; round < ROUNDS; round++) {
        double began = seconds(), passed, found;
        long calls = 0;
        do {
            product(b);
            calls++;
            passed = seconds() - began;
        } while (passed < ROUND_SECONDS);
        found = flops * (double)calls / passed / 1e9;
        if (found > best)
            best = found;
    }
    return best;
}

int main(int count, char **arguments) {
    bench b = {0};
    if (count != 6 || (b.kernel = kernel_named(arguments[1])) == NULL)
        return 2;
    const ptrdiff_t rows = atol(arguments[2]), n_in = atol(arguments[3]), n = atol(arguments[4]);
    const double zeros = atof(arguments[5]) / 100.0;
    double *parameters = numbers((n_in + 1) * n, 0.0);
    b.rows = rows;
    b.softmax_stats = numbers(2 * rows, 0.0);
    b.layer = (bp_layer){.n_in = n_in, .n = n, .W = parameters, .b = parameters + n_in * n};
    b.layer.activation = b.below.activation = &b.kernel->activations[0]; /* identity */
    b.layer.x = b.below.a = b.below.z = numbers(rows * n_in, zeros);
    b.layer.a = b.layer.z = numbers(rows * n, 0.0);
    b.layer.delta = numbers(rows * n, zeros);
    b.layer.dW = numbers((n_in + 1) * n, 0.0);
    b.layer.Wt = numbers(n * n_in, 0.0);
    ptrdiff_t longest = rows > n_in ? rows : n_in;
    longest = longest > n ? longest : n;
    b.layer.scratch = b.below.scratch = numbers(b.kernel->scratch(longest, longest), 0.0);
    b.below.n = n_in;
    b.below.delta = numbers(rows * n_in, 0.0);
    printf("%.3f", rate(forward, &b));
    printf(" %.3f", rate(deltas, &b));
    printf(" %.3f\n", rate(gradient, &b));
    return 0;
}
