/* Threads: OpenMP's, where there is OpenMP; elsewhere one.
 *
 * In a child made by fork() there is one too: the threads of its parent's pool do not exist there,
 * and libgomp would wait for them for ever. And so it is where there is no memory for threads. */
#ifndef BP_THREADS_H
#define BP_THREADS_H

#include <stddef.h>

#if defined(_OPENMP) && !defined(_WIN32)
#define BP_HAS_OPENMP
#endif

/* How many threads OpenMP would use now, by OMP_NUM_THREADS or whoever set it since. */
int bp_max_threads(void);

/* Once, before any of the others: remembers the process, and whether fork() has made it. */
void bp_begin_threads(int made_by_fork);

/* task(argument, thread) in *n_threads threads, thread counting from 0 in the calling one. Returns
 * when all are done. Where OpenMP gives fewer, as within a parallel region of the caller's, in a
 * child made by fork(), and without memory for threads, *n_threads becomes 1 before the task runs.
 */
void bp_run(int *n_threads, void (*task)(void *argument, int thread), void *argument);

/* Where the n_threads threads of a task wait for each other; all 0 at first. OpenMP's own barrier
 * spins for milliseconds before it lets others run, which is what it then waits for if they need
 * this core. */
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

void bp_barrier_wait(bp_barrier *meeting, int n_threads);

/* What threads share, piece by piece, as each gets to it: 0, 1, ..., if it was 0 at first. */
ptrdiff_t bp_take(bp_counter *counter);

/* A clock for whoever wants to know whether threads pay. */
double bp_seconds(void);

#endif
