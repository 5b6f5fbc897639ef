# Threads: how they divide work, wait for each other, and are left out where they do not pay.

# Multiply-adds that one thread does before a call returns to Python, which then handles Ctrl-C: about 20 ms.
cdef double PAUSE_WORK = 1e8

# Calls on one thread after a call in which several did not pay: 8 at first, then twice as many each time, up to 256.
cdef int FEWEST_ALONE = 8
cdef int MOST_ALONE = 256


cdef inline Span share(Py_ssize_t n, int thread, int n_threads) noexcept nogil:
    """One thread's part of n things: contiguous, of a size that differs by at most 1 from thread to thread."""
    return Span(n * thread // n_threads, n * (thread + 1) // n_threads)


cdef inline void barrier(Shared *shared, int thread) noexcept nogil:
    """Wait for the other threads; thread 0 measures for how long."""
    cdef double began
    if shared.n_threads > 1:
        began = bp_seconds() if thread == 0 else 0.0
        bp_barrier_wait(&shared.barrier, shared.n_threads)
        if thread == 0:
            shared.clock.waited += bp_seconds() - began


cdef inline bint waits_too_long(Shared *shared, double allowance) noexcept nogil:
    """Whether threads cost more than they save.

    They do if thread 0 has waited longer than (n-1)/n of the elapsed time, the most that n threads can save, plus
    `allowance` seconds divided by n.
    """
    return (shared.n_threads > 1 and shared.clock.waited * shared.n_threads
            > (bp_seconds() - shared.clock.began) * (shared.n_threads - 1) + allowance)


cdef class Threads:
    """The number of threads of the next call: all, or one for a while after a call in which several did not pay.

    On a machine that other programs use too, a thread that shares its core keeps all others waiting in every step. No
    result depends on the number of threads.
    """

    cdef int n_threads
    cdef int alone    # calls still to make on one thread
    cdef int next     # calls on one thread after the next failure; 0: the last call with several threads paid

    def __cinit__(self, int n_threads):
        self.n_threads, self.alone, self.next = n_threads, 0, FEWEST_ALONE

    cdef void run(self, Shared *shared, void (*task)(void *, int) noexcept nogil) noexcept nogil:
        """Call the task once, with all threads or with one; until a call has paid, those with all are 1/8 as long."""
        shared.clock.work, shared.n_threads, shared.clock.give_up = PAUSE_WORK, self.n_threads, False
        if self.n_threads == 1 or self.alone > 0:
            shared.n_threads = 1
            self.alone = self.alone - 1
            bp_run(&shared.n_threads, task, shared)
            return
        if self.next > 0:
            shared.clock.work /= 8.0
        shared.clock.waited, shared.clock.began = 0.0, bp_seconds()
        bp_run(&shared.n_threads, task, shared)
        if waits_too_long(shared, 0.0):
            self.alone = max(self.next, FEWEST_ALONE)
            self.next = min(2 * self.alone, MOST_ALONE)
        else:
            self.next = 0
