/* Nanoseconds for one value of the platform's exp and of cr_exp. Each round prints a line of four:
 * throughput of the platform's and of ours, in a loop over a buffer, then the latency of both, in a
 * chain where each argument depends on the last result. */
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "elementary.h"

enum { COUNT = 4096, REPEATS = 50, ROUNDS = 41 };

static double seconds(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static double x[COUNT], y[COUNT];

/* The passes are called through volatile pointers: a compiler that sees through them does each only
 * once. */
#define MEASURE(name, function)                                                                    \
    static void pass_##name(void) {                                                                \
        for (int k = 0; k < COUNT; k++)                                                            \
            y[k] = function(x[k]);                                                                 \
    }                                                                                              \
    static void chain_##name(void) {                                                               \
        double value = 0.0;                                                                        \
        for (int k = 0; k < COUNT; k++)                                                            \
            value = function(x[k] + 0x1p-60 * value);                                              \
        y[0] = value;                                                                              \
    }
MEASURE(platform, exp)
MEASURE(ours, cr_exp)

/* Nanoseconds for one value in REPEATS passes. */
static double nanoseconds(void (*volatile pass)(void)) {
    double began = seconds();
    for (int repeat = 0; repeat < REPEATS; repeat++)
        pass();
    return (seconds() - began) * 1e9 / (COUNT * REPEATS);
}

int main(void) {
    uint64_t state = 1;
    for (int k = 0; k < COUNT; k++) { /* uniform in [-8, 8] */
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        x[k] = (double)(state >> 11) * 0x1p-53 * 16.0 - 8.0;
    }
    for (int round = 0; round < ROUNDS; round++) {
        double a = nanoseconds(pass_platform), b = nanoseconds(pass_ours);
        double c = nanoseconds(chain_platform), d = nanoseconds(chain_ours);
        printf("%.3f %.3f %.3f %.3f\n", a, b, c, d);
    }
    return y[0] > 0.0 ? 0 : 1;
}
