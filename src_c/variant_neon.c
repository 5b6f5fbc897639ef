/* NEON, which every aarch64 processor has. */
#include "variants.h"

#ifdef BP_HAS_NEON
#define BP_TARGET_NEON
#define BP_KERNEL bp_neon
#define BP_NAME "neon"
#define BP_NARROWER NULL
#include "variant.h"
#else
typedef int bp_not_here;
#endif
