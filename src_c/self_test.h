#ifndef BP_SELF_TEST_H
#define BP_SELF_TEST_H

#include "kernel.h"

/* A message that says what this kernel, or one of the narrower ones that it falls back on, gets
 * wrong of a few sums, steps and function values with known answers; NULL if nothing. */
const char *bp_self_test(const bp_kernel *kernel);

#endif
