# Methods: full-batch optimizers that decide themselves how far to go, and when they are at their end.


cdef class Method(LossPass):
    """What they share. An iteration is an epoch; its loss is that of the weights before it.

    The arguments are those of Trainer. w, slots and scalars are moved on; stream is not used.
    """

    cdef double[::1] w
    cdef double[:, ::1] slots
    cdef double[::1] scalars
    cdef const double[::1] settings
    cdef bint train_biases
    cdef readonly str ended   # why the method is at its end; "": it is not
    cdef const char *reason   # the same, or NULL
    cdef readonly Py_ssize_t evaluations
    cdef Threads threads
    cdef bp_fpenv outside     # the caller's floating-point environment
    cdef double unseen        # work done since Python looked at its signals
    cdef double worked        # work done in this call

    def __cinit__(self, sizes, names, double[::1] parameters not None, rows, n_threads, gradient, loss, data, str rule,
                  const double[::1] settings not None, double[:, ::1] slots not None, double[::1] scalars not None,
                  stream, bint train_biases):
        self.w, self.settings, self.slots, self.scalars = parameters, settings, slots, scalars
        self.shared.w, self.train_biases = &parameters[0], train_biases
        self.reason, self.ended = NULL, ""
        self.evaluations, self.unseen, self.worked = 0, 0.0, 0.0
        self.threads = Threads(self.shared.n_threads)

    def train(self, double[::1] losses not None, Py_ssize_t done, Py_ssize_t until, learning_rates=None):
        """Fill losses[done:until], an iteration each; return how many are filled by now. There are no learning rates.

        Comes back after some 20 ms of work, but not within an iteration; at `until`; after an iteration whose loss is
        not finite; or when the method is at its end, which `ended` says.
        """
        cdef double loss = 0.0
        self.worked = 0.0
        with nogil:
            self.outside = bp_fpenv_enter()
            try:
                while done < until and self.reason == NULL and fabs(loss) <= DBL_MAX and self.worked < PAUSE_AFTER:
                    self.iterate(&loss)
                    losses[done] = loss
                    done += 1
            finally:
                bp_fpenv_leave(self.outside)
        if self.reason != NULL:
            self.ended = self.reason.decode()
        return done

    cdef int iterate(self, double *loss) except -1 nogil:
        """One iteration; sets the loss before it, and `reason` if the method is at its end."""
        return 0

    cdef int evaluate(self) except -1 nogil:
        """The mean loss at w into `total`, which may not be finite, and its gradient into shared.g, if there is one."""
        cdef Shared *shared = &self.shared
        cdef Py_ssize_t before
        cdef bint complete = False
        shared.row, self.overflow = 0, -1
        self.evaluations = self.evaluations + 1
        while not complete:
            before = shared.row
            self.threads.run(shared, visit_all)
            self.look((shared.row - before) * shared.row_work / <double>shared.n_threads)
            complete = self.mean()
        return 0

    cdef int look(self, double work) except -1 nogil:
        """After so much work: Python may look at its signals every 20 ms, in the caller's environment."""
        self.worked = self.worked + work
        self.unseen = self.unseen + work
        if self.unseen >= PAUSE_AFTER:
            self.unseen = 0.0
            bp_fpenv_leave(self.outside)
            with gil:
                PyErr_CheckSignals()
            bp_fpenv_enter()
        return 0
