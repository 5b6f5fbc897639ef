#define _GNU_SOURCE /* the affinity of threads */
#include "threads.h"

#ifdef BP_HAS_OPENMP

#include <omp.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <unistd.h>

static pid_t pid_at_import;

__attribute__((constructor)) static void remember_pid(void) { pid_at_import = getpid(); }

static int is_a_child(void) { return getpid() != pid_at_import; }

int bp_max_threads(void) { return is_a_child() ? 1 : omp_get_max_threads(); }

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

/* Leave a core to another thread. Linux may wake a worker on the very core that calls it, where it
 * waits until OpenMP's barrier, which spins, has used up the caller's share of time: milliseconds.
 * So the caller yields, and the worker goes elsewhere. */
static void leave(int core) {
    cpu_set_t all, others;
    if (sched_getcpu() != core || sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    others = all;
    CPU_CLR(core, &others);
    if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0)
        sched_setaffinity(0, sizeof all, &all);
}

void bp_run(int *n_threads, void (*task)(void *argument, int thread), void *argument) {
    const int wanted = *n_threads, core = sched_getcpu();
    bp_meeting end = {0};
    if (wanted == 1 || is_a_child()) {
        *n_threads = 1;
        task(argument, 0);
        return;
    }
#pragma omp parallel num_threads(wanted)
    {
        int thread = omp_get_thread_num();
        if (omp_get_num_threads() == wanted) {
            if (thread == 0)
                sched_yield();
            else
                leave(core);
            task(argument, thread);
            bp_meet(&end, wanted);
        } else if (thread == 0) {
            *n_threads = 1;
            task(argument, 0);
        }
    }
}

ptrdiff_t bp_take(bp_counter *counter) { return atomic_fetch_add(&counter->next, 1); }

double bp_seconds(void) { return omp_get_wtime(); }

#else

int bp_max_threads(void) { return 1; }

double bp_seconds(void) { return 0.0; }

void bp_run(int *n_threads, void (*task)(void *argument, int thread), void *argument) {
    *n_threads = 1;
    task(argument, 0);
}

void bp_meet(bp_meeting *meeting, int n_threads) { (void)meeting, (void)n_threads; }

ptrdiff_t bp_take(bp_counter *counter) { return counter->next++; }

#endif
