/* Variants that this build has: BP_HAS_X86 all x86-64 ones, BP_HAS_NEON that of aarch64, and always
 * the baseline. BP_PLAIN_C asks for plain C alone on any processor, to test it. */
#ifndef BP_VARIANTS_H
#define BP_VARIANTS_H

#include "kernel.h"

#if !defined(BP_PLAIN_C) && defined(__GNUC__) && defined(__x86_64__)
#define BP_HAS_X86
#elif !defined(BP_PLAIN_C) && defined(__GNUC__) && defined(__aarch64__)
#define BP_HAS_NEON
#endif

extern const bp_kernel bp_baseline, bp_pair_fma, bp_avx2, bp_avx512, bp_neon;

#endif
