/* The kernels of this build, and the test whether this processor can run one. */
#include "variants.h"

const bp_kernel *const bp_kernels[] = {
#ifdef BP_HAS_X86
    &bp_avx512,   &bp_avx2,
#endif
#ifdef BP_HAS_NEON
    &bp_neon,
#endif
    &bp_baseline, NULL,
};

/* A kernel needs every feature that its variant_*.c is compiled for. The compiler's own test also
 * asks whether the operating system saves the wide registers. */
int bp_runs_here(const bp_kernel *kernel) {
#ifdef BP_HAS_X86
    __builtin_cpu_init();
    if (kernel == &bp_avx2)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (kernel == &bp_avx512)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    (void)kernel;
    return 1;
}
