/* Threads: OpenMP's, where there is OpenMP; elsewhere one.
 *
 * In a child made by fork() there is one too: the threads of its parent's pool do not exist there,
 * and libgomp would wait for them for ever. */
#ifndef BP_THREADS_H
#define BP_THREADS_H

/* How many threads OpenMP would use now, by OMP_NUM_THREADS or whoever set it since. */
int bp_max_threads(void);

/* task(argument, thread) in n_threads threads, thread counting from 0 in the calling one. Returns
 * when all are done. */
void bp_run(int n_threads, void (*task)(void *argument, int thread), void *argument);

/* Within a task that has more than one thread: wait for all of them. */
void bp_barrier(void);

#endif
