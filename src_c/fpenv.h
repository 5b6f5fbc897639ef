/* The floating-point environment the contract is written for (N1): round to nearest, subnormals
 * kept, traps masked.
 *
 * bp_fpenv_enter() sets it in the calling thread and returns what was there; bp_fpenv_leave() puts
 * that back. Writing the control register costs 7 to 9 ns where fesetenv costs 190, so the
 * common processors get the register and the others <fenv.h>; BP_PLAIN_C asks for <fenv.h> on any,
 * to test it. */
#ifndef BP_FPENV_H
#define BP_FPENV_H

#if !defined(BP_PLAIN_C) && (defined(__x86_64__) || defined(_M_X64) || defined(__SSE2_MATH__))

#include <xmmintrin.h>

typedef unsigned int bp_fpenv;

/* x86: MXCSR, the control register of SSE, AVX and AVX-512. */
static inline bp_fpenv bp_fpenv_enter(void) {
    bp_fpenv saved = _mm_getcsr();
    /* All exceptions masked, nearest, neither flush-to-zero nor denormals-are-zero. */
    _mm_setcsr(0x1F80);
    return saved;
}

static inline void bp_fpenv_leave(bp_fpenv saved) { _mm_setcsr(saved); }

#elif !defined(BP_PLAIN_C) && defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))

#include <stdint.h>

typedef uint64_t bp_fpenv;

/* aarch64: FPCR; 0 is nearest, no flush to zero, no traps. */
static inline bp_fpenv bp_fpenv_enter(void) {
    bp_fpenv saved;
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" : : "r"((bp_fpenv)0));
    return saved;
}

static inline void bp_fpenv_leave(bp_fpenv saved) {
    __asm__ volatile("msr fpcr, %0" : : "r"(saved));
}

#else

#include <fenv.h>

typedef fenv_t bp_fpenv;

/* Elsewhere: <fenv.h>, whose default environment is the contract's. */
static inline bp_fpenv bp_fpenv_enter(void) {
    bp_fpenv saved;
    fegetenv(&saved);
    fesetenv(FE_DFL_ENV);
    return saved;
}

static inline void bp_fpenv_leave(bp_fpenv saved) { fesetenv(&saved); }

#endif

#endif
