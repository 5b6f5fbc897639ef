/* AVX2 with FMA, which is for the elementary functions alone. */
#include "variants.h"

#ifdef BP_HAS_X86
#include <immintrin.h>
#ifdef __clang__
#include "elementary.h"
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define BP_TARGET_AVX2
#define BP_KERNEL bp_avx2
#define BP_NAME "avx2"
#define BP_NARROWER &bp_pair_fma
#include "variant.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#else
typedef int bp_not_here;
#endif
