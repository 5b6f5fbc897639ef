cdef inline Span share(Py_ssize_t n, int thread, int n_threads) noexcept nogil:
    """A thread's part of n things: neighbours, and as many as the others have."""
    return Span(n * thread // n_threads, n * (thread + 1) // n_threads)


cdef inline void barrier(Shared *shared, int thread) noexcept nogil:
    """Wait for the other threads; the first one notes how long."""
    cdef double began
    if shared.n_threads > 1:
        began = bp_seconds() if thread == 0 else 0.0
        bp_barrier_wait(&shared.meeting, shared.n_threads)
        if thread == 0:
            shared.waited += bp_seconds() - began


cdef inline bint waits_too_long(Shared *shared, double allowance) noexcept nogil:
    """Whether the first thread has waited for longer than what the others have spared it, and for so many seconds."""
    return (shared.n_threads > 1 and shared.waited * shared.n_threads
            > (bp_seconds() - shared.began) * (shared.n_threads - 1) + allowance)


# After a call in which threads did not pay so many calls are made without them, then twice as many, up to the last.
cdef int FEWEST_ALONE = 8
cdef int MOST_ALONE = 256


cdef class Threads:
    """Whether threads pay just now: on a machine that others use too they may well not.

    A worker that has to share its core keeps the others waiting in every step. If the first thread waits for more than
    what the workers spare it, it goes on alone for a while. No result depends on that.
    """

    cdef int n_threads
    cdef int alone    # calls to make without the others
    cdef int next     # how many those are the next time; 0: all was well

    def __cinit__(self, int n_threads):
        self.n_threads, self.alone, self.next = n_threads, 0, FEWEST_ALONE

    cdef void run(self, Shared *shared, void (*task)(void *, int) noexcept nogil) noexcept nogil:
        """One call of a task, with all threads or with one; the first with all is short."""
        shared.work, shared.n_threads, shared.give_up = PAUSE_AFTER, self.n_threads, False
        if self.n_threads == 1 or self.alone > 0:
            shared.n_threads = 1
            self.alone = self.alone - 1
            bp_run(&shared.n_threads, task, shared)
            return
        if self.next > 0:
            shared.work /= 8.0
        shared.waited, shared.began = 0.0, bp_seconds()
        bp_run(&shared.n_threads, task, shared)
        if waits_too_long(shared, 0.0):
            self.alone = max(self.next, FEWEST_ALONE)
            self.next = min(2 * self.alone, MOST_ALONE)
        else:
            self.next = 0
