#define _POSIX_C_SOURCE 200809L /* getpid */
#include "threads.h"

#ifdef BP_HAS_OPENMP

#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <unistd.h>

static pid_t pid_at_import;

__attribute__((constructor)) static void remember_pid(void) { pid_at_import = getpid(); }

int bp_max_threads(void) { return getpid() == pid_at_import ? omp_get_max_threads() : 1; }

void bp_run(int n_threads, void (*task)(void *argument, int thread), void *argument) {
    if (n_threads == 1) {
        task(argument, 0);
        return;
    }
#pragma omp parallel num_threads(n_threads)
    task(argument, omp_get_thread_num());
}

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void bp_meet(bp_meeting *meeting, int n_threads) {
    enum { SPINS = 200 };
    int round = atomic_load_explicit(&meeting->round, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&meeting->arrived, 1, memory_order_acq_rel) + 1 == n_threads) {
        atomic_store_explicit(&meeting->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&meeting->round, round + 1, memory_order_release);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&meeting->round, memory_order_acquire) == round;
         spins++)
        if (spins < SPINS)
            relax();
        else
            sched_yield();
}

double bp_seconds(void) { return omp_get_wtime(); }

#else

int bp_max_threads(void) { return 1; }

double bp_seconds(void) { return 0.0; }

void bp_run(int n_threads, void (*task)(void *argument, int thread), void *argument) {
    (void)n_threads;
    task(argument, 0);
}

void bp_meet(bp_meeting *meeting, int n_threads) { (void)meeting, (void)n_threads; }

#endif
