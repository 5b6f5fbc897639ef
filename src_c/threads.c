#define _POSIX_C_SOURCE 200809L /* getpid */
#include "threads.h"

#if defined(_OPENMP) && !defined(_WIN32)

#include <omp.h>
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

void bp_barrier(void) {
#pragma omp barrier
}

#else

int bp_max_threads(void) { return 1; }

void bp_run(int n_threads, void (*task)(void *argument, int thread), void *argument) {
    (void)n_threads;
    task(argument, 0);
}

void bp_barrier(void) {}

#endif
