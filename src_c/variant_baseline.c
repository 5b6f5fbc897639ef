/* Baseline: SSE2, which every x86-64 processor has, else one number at a time. */
#include "variants.h"

#ifdef BP_HAS_X86
#define BP_TARGET_PAIR
#else
#define BP_TARGET_SCALAR
#endif
#define BP_KERNEL bp_baseline
#define BP_NAME "baseline"
#define BP_NARROWER NULL
#include "variant.h"
