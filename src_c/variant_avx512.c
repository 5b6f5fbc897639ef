/* AVX-512: the features that Skylake-X and Zen 4 have. The attribute makes clang, and the pragma
 * gcc, compile this file alone for them, so that the build needs no flag for a processor. */
#include "variants.h"

#ifdef BP_HAS_X86
#include <immintrin.h>
#ifdef __clang__
#include "elementary.h"
#pragma clang attribute push(                                                                      \
    __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")
#endif
#define BP_TARGET_AVX512
#define BP_KERNEL bp_avx512
#define BP_NAME "avx512"
#define BP_NARROWER &bp_avx2
#include "variant.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#else
typedef int bp_not_here;
#endif
