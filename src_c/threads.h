/* Threads: OpenMP's where the build has it, else one, the caller's.
 *
 * A child made by fork() has one too: the threads of its parent's pool do not exist there, and
 * libgomp would wait for them for ever. One is also taken where there is no memory for more. */
#ifndef BP_THREADS_H
#define BP_THREADS_H

#include <stddef.h>

#if defined(_OPENMP) && !defined(_WIN32)
#define BP_HAS_OPENMP
#endif

/* The number of threads that OpenMP would use now: OMP_NUM_THREADS, or what was set since. */
int bp_max_threads(void);

/* Called once, before any of the others: remembers the process, and whether fork() has made it. */
void bp_begin_threads(int made_by_fork);

/* Runs task(argument, thread) in *n_threads threads, thread = 0 in the calling one, and returns
 * when all are done. *n_threads becomes 1, before the task runs, where OpenMP gives fewer (within a
 * parallel region of the caller's), in a child made by fork(), and without memory for threads. */
void bp_run(int *n_threads, void (*task)(void *argument, int thread), void *argument);

/* A barrier for the n_threads threads of a task, and a counter that they share; all 0 at first.
 * OpenMP's own barrier spins for milliseconds before it lets others run: if a thread that it waits
 * for needs this core, those are lost. */
#ifdef BP_HAS_OPENMP
typedef struct {
    _Atomic int arrived, round;
} bp_barrier;
typedef struct {
    _Atomic ptrdiff_t next;
} bp_counter;
#else
typedef struct {
    int unused;
} bp_barrier;
typedef struct {
    ptrdiff_t next;
} bp_counter;
#endif

/* Returns when all n_threads threads have called it. */
void bp_barrier_wait(bp_barrier *meeting, int n_threads);

/* The next number, 0, 1, ..., each to one thread only: pieces of work, for whoever is free. */
ptrdiff_t bp_take(bp_counter *counter);

/* Seconds of a clock, to find whether threads pay; 0.0 without OpenMP. */
double bp_seconds(void);

#endif
