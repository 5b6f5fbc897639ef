/* Threads by OpenMP, and by none where a build has no OpenMP. */
#define _GNU_SOURCE /* sched_getcpu, sched_setaffinity */
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

/* Bytes of each worker's stack by OMP_STACKSIZE, a number of kilobytes unless a unit (B, K, M, G)
 * follows; 0: not set. */
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

/* Whether fork() has made this process: another process id than at import, or a fork before it. */
static int is_a_child(void) { return child_at_import || getpid() != pid_at_import; }

int bp_max_threads(void) { return is_a_child() ? 1 : omp_get_max_threads(); }

/* A pause in a loop that waits: the core's other thread gets its resources meanwhile. */
static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* A barrier by counting (Mellor-Crummey and Scott 1991): the last thread to arrive begins the next
 * round, and the others wait for that, SPINS turns awake, then yielding the core in each. */
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

/* Move the calling worker off a core, if it may run on another. Linux may wake a worker on the very
 * core of the thread that woke it, where it waits until OpenMP's barrier, which spins, has used up
 * that thread's share of time: milliseconds. Hence the first thread yields, and the worker moves.
 */
static void leave(int core) {
    cpu_set_t all, others;
    if (sched_getcpu() != core || sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    others = all;
    CPU_CLR(core, &others);
    if (CPU_COUNT(&others) > 0 && sched_setaffinity(0, sizeof others, &others) == 0)
        sched_setaffinity(0, sizeof all, &all);
}

/* A thread that waits at a gate, a locked mutex, and ends. */
static void *pass(void *gate) {
    pthread_mutex_lock(gate);
    pthread_mutex_unlock(gate);
    return NULL;
}

/* Whether n more threads can exist at the same time: they are made, held at a gate, and ended. The
 * C library keeps their stacks for the next threads, OpenMP's. */
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

/* Whether a team of this many threads can be had. libgomp ends the process if it cannot make a
 * thread, so it is tried first; it keeps the threads of its last team, other ones for each thread
 * that calls it, so only more of them than the last time are in doubt. */
static int can_have(int wanted) {
    static _Thread_local int had = 1;
    if (wanted > had && !can_make(wanted - had))
        return 0;
    had = wanted;
    return 1;
}

/* The team's own barrier at the end (`end`) lets OpenMP's, which spins, find all threads there. */
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

/* Without OpenMP: one thread. */

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
