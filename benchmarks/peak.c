/* The peak rate of one core in double precision without fused operations: independent chains of a
 * multiplication and an addition, in registers. Usage: peak BITS, the width of a vector (128, 256
 * or 512); prints GFLOP/s, the best of some rounds. Compile it with -O2 -ffp-contract=off. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* CHAINS accumulators, two factors and a product fit into 16 registers, and hide the latency of an
 * addition. */
enum { CHAINS = 12, STEPS = 10000000, ROUNDS = 15 };

static double seconds(void) {
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#if defined(__x86_64__)
#define REGISTER "+v"
#define TARGET(name) __attribute__((target(name), noinline))
#elif defined(__aarch64__)
#define REGISTER "+w"
#define TARGET(name) __attribute__((noinline))
#else
#error "peak.c knows x86-64 and aarch64"
#endif

/* One pass of STEPS*CHAINS multiplications and additions. The empty asm tells the compiler that x
 * changes before each product, or it would compute the product once. */
#define PASS(bits, target)                                                                         \
    typedef double vector_##bits __attribute__((vector_size(bits / 8)));                           \
    TARGET(target) static double pass_##bits(void) {                                               \
        vector_##bits x = {0}, y = {0}, sum[CHAINS] = {{0}}, total = {0};                          \
        x += 0.5, y += 0.25;                                                                       \
        for (long step = 0; step < STEPS; step++) {                                                \
            _Pragma("GCC unroll 12") for (int k = 0; k < CHAINS; k++) {                            \
                __asm__ volatile("" : REGISTER(x));                                                \
                sum[k] = sum[k] + x * y;                                                           \
            }                                                                                      \
        }                                                                                          \
        for (int k = 0; k < CHAINS; k++)                                                           \
            total = total + sum[k];                                                                \
        return total[0];                                                                           \
    }

PASS(128, "sse2")
#if defined(__x86_64__)
PASS(256, "avx2")
PASS(512, "avx512f")
#endif

int main(int count, char **arguments) {
    double (*volatile pass)(void) = NULL, best = 0.0, flops;
    int bits = count == 2 ? atoi(arguments[1]) : 0;
    if (bits == 128)
        pass = pass_128;
#if defined(__x86_64__)
    if (bits == 256)
        pass = pass_256;
    if (bits == 512)
        pass = pass_512;
#endif
    if (pass == NULL)
        return 2;
    flops = 2.0 * CHAINS * STEPS * (bits / 64);
    for (int round = 0; round < ROUNDS; round++) {
        double began = seconds(), result = pass(), rate = flops / (seconds() - began) / 1e9;
        if (result != 0.125 * CHAINS * STEPS)
            return 1;
        if (rate > best)
            best = rate;
    }
    printf("%.2f\n", best);
    return 0;
}
