#define _GNU_SOURCE /* the affinity of threads */
#include "threads.h"

#ifdef BP_HAS_OPENMP

#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static pid_t pid_at_import;
static int child_at_import;
static size_t stack_of_workers;

/* Bytes of each worker's stack by OMP_STACKSIZE, which is in kilobytes unless it has a unit; 0: not
 * set. */
static size_t asked_for_stack(void) {
    const char *text = getenv("OMP_STACKSIZE");
    char *unit;
    size_t size;
    if (text == NULL)
        return 0;
    size = strtoul(text, &unit, 10);
    while (*unit == ' ')
        unit++;
    switch (*unit | ' ') { /* in lower case */
    case 'b':
        return size;
    case 'm':
        return size << 20;
    case 'g':
        return size << 30;
    default:
        return size << 10;
    }
}

void bp_begin_threads(int made_by_fork) {
    pid_at_import = getpid();
    child_at_import = made_by_fork;
    stack_of_workers = asked_for_stack();
}

static int is_a_child(void) { return child_at_import || getpid() != pid_at_import; }

int bp_max_threads(void) { return is_a_child() ? 1 : omp_get_max_threads(); }

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void bp_barrier_wait(bp_barrier *meeting, int n_threads) {
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

static void *pass(void *gate) {
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

/* Whether n more threads can be made, beside each other: it is tried. Their stacks stay with the C
 * library, for those who come next. */
static int can_make(int n) {
    enum { MOST = 1024 };
    pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
    pthread_t threads[MOST];
    pthread_attr_t kind;
    int made = 0;
    if (n > MOST || pthread_attr_init(&kind) != 0)
        return 0;
    if (stack_of_workers > 0)
        pthread_attr_setstacksize(&kind, stack_of_workers);
    pthread_mutex_lock(&gate);
    while (made < n && pthread_create(&threads[made], &kind, pass, &gate) == 0)
        made++;
    pthread_mutex_unlock(&gate);
    pthread_attr_destroy(&kind);
    for (int k = 0; k < made; k++)
        pthread_join(threads[k], NULL);
    return made == n;
}

/* libgomp ends the process if it cannot make a thread. It keeps those of its last team, for each
 * thread that calls it others. */
static int can_have(int wanted) {
    static _Thread_local int had = 1;
    if (wanted > had && !can_make(wanted - had))
        return 0;
    had = wanted;
    return 1;
}

void bp_run(int *n_threads, void (*task)(void *argument, int thread), void *argument) {
    const int wanted = *n_threads, core = sched_getcpu();
    bp_barrier end = {0};
    if (wanted == 1 || is_a_child() || !can_have(wanted)) {
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
            bp_barrier_wait(&end, wanted);
        } else if (thread == 0) {
            *n_threads = 1;
            task(argument, 0);
        }
    }
}

ptrdiff_t bp_take(bp_counter *counter) { return atomic_fetch_add(&counter->next, 1); }

double bp_seconds(void) { return omp_get_wtime(); }

#else

void bp_begin_threads(int made_by_fork) { (void)made_by_fork; }

int bp_max_threads(void) { return 1; }

double bp_seconds(void) { return 0.0; }

void bp_run(int *n_threads, void (*task)(void *argument, int thread), void *argument) {
    *n_threads = 1;
    task(argument, 0);
}

void bp_barrier_wait(bp_barrier *meeting, int n_threads) { (void)meeting, (void)n_threads; }

ptrdiff_t bp_take(bp_counter *counter) { return counter->next++; }

#endif
