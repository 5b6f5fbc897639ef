/* Two lanes of AVX2's registers with FMA: the narrower kernel of avx2, for layers of up to two
 * units. */
#include "variants.h"

#ifdef BP_HAS_X86
#include <immintrin.h>
#ifdef __clang__
#include "elementary.h"
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC target("avx2,fma")
#endif
#define BP_TARGET_PAIR_FMA
#define BP_KERNEL bp_pair_fma
#define BP_NAME "avx2 (2 lanes)"
#define BP_NARROWER NULL
#include "variant.h"
#ifdef __clang__
#pragma clang attribute pop
#endif
#else
typedef int bp_not_here;
#endif
