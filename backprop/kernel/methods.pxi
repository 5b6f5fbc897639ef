# Methods: full-batch optimizers that choose the length of each step themselves, and know when they have converged.

METHODS = {"lbfgs": LBFGS, "levenberg_marquardt": LevenbergMarquardt}


def more_work(str rule not None, double n_parameters, double n_out):
    """Multiply-adds that the optimizer takes for each row beside the passes; 0.0 but for levenberg_marquardt."""
    return n_out * n_parameters * (2.0 + 0.5 * n_parameters) if rule == "levenberg_marquardt" else 0.0


cdef class Method:
    """Training by a full-batch method: moves the parameters of `sums` and the state of `step`.

    An iteration is an epoch; its loss is the mean loss before its step. Subclasses have `iterate`.
    """

    cdef LossPass sums
    cdef Step step
    cdef Shared *shared       # that of sums.work
    cdef Threads threads
    cdef public object pause  # None, or a function of the next row, called where Python handles signals
    cdef const char *reason   # why the method has ended, NULL if it has not
    cdef readonly str ended   # the same: "gradient", "line_search", "damping" or "overflow"; "" if it has not
    cdef readonly Py_ssize_t evaluations  # of the objective; 0 for a method that counts none
    cdef bp_fpenv outside     # the caller's floating-point environment
    cdef double unseen        # multiply-adds of each thread since Python last handled signals
    cdef double worked        # multiply-adds of each thread in this call

    def __cinit__(self, LossPass sums not None, Step step not None):
        step.bind(sums)
        self.sums, self.step, self.shared = sums, step, &sums.work.shared
        self.reason, self.ended = NULL, ""
        self.evaluations, self.unseen, self.worked = 0, 0.0, 0.0
        self.threads = Threads(self.shared.n_threads)

    cdef int needs(self, str rule) except -1:
        """Check that the step's lengths are those of this rule."""
        if self.step.rule != rule:
            raise ValueError(f"the rule of the step must be {rule!r}, got {self.step.rule!r}")
        return 0

    def train(self, double[::1] losses not None, Py_ssize_t done, Py_ssize_t until, learning_rates=None):
        """Iterate for about 20 ms; fill losses[done:until], one for each iteration; return how many are filled by now.

        learning_rates is ignored. Returns only between iterations: early at `until`, after an iteration whose loss is
        not finite, and when the method has ended, which `ended` says.
        """
        cdef double loss = 0.0
        self.worked = 0.0
        with nogil:
            self.outside = bp_fpenv_enter()
            try:
                while done < until and self.reason == NULL and fabs(loss) <= DBL_MAX and self.worked < PAUSE_WORK:
                    self.iterate(&loss)
                    losses[done] = loss
                    done += 1
            finally:
                bp_fpenv_leave(self.outside)
        if self.reason != NULL:
            self.ended = self.reason.decode()
        return done

    cdef int iterate(self, double *loss) except -1 nogil:
        """One iteration; sets the loss before its step, and `reason` if the method has ended."""
        return 0

    cdef int evaluate(self) except -1 nogil:
        """Mean loss at w into sums.total, and its gradient into g unless that is NULL; both may be not finite."""
        cdef Shared *shared = self.shared
        cdef Py_ssize_t before
        cdef bint complete = False
        shared.sums.row, self.sums.overflow = 0, -1
        self.evaluations = self.evaluations + 1
        if self.sums.elsewhere is not None:
            return self.ask("gradient", NULL)
        while not complete:
            before = shared.sums.row
            self.provide()
            if self.sums.workers is not None:
                self.sums.workers.run(shared, False)
            else:
                self.threads.run(shared, visit_all)
            self.check_signals((shared.sums.row - before) * shared.piece.row_work / <double>shared.n_threads)
            complete = self.sums.mean()
        return 0

    cdef int ask(self, const char *of, double *total_weight) except -1 nogil:
        """Have the sums over rows that are elsewhere computed there: the mean loss into sums.total, the total weight.

        It writes a gradient into g. The caller's code runs in the caller's floating-point environment.
        """
        bp_fpenv_leave(self.outside)
        with gil:
            loss, weight = self.sums.elsewhere(of.decode())
            self.sums.total = loss
            if total_weight != NULL:
                total_weight[0] = weight
        bp_fpenv_enter()
        return 0

    cdef int provide(self) except -1 nogil:
        """Load the window of the next row, if it is not here; reading runs in the caller's environment."""
        if is_here(&self.shared.samples, self.shared.sums.row):
            return 0
        bp_fpenv_leave(self.outside)
        with gil:
            self.sums.data.provide(self.shared)
        bp_fpenv_enter()
        return 0

    cdef int check_signals(self, double work) except -1 nogil:
        """Count multiply-adds that each thread has done; after 20 ms of them let Python handle its signals.

        A handler runs in the caller's floating-point environment.
        """
        self.worked = self.worked + work
        self.unseen = self.unseen + work
        if self.unseen >= PAUSE_WORK:
            self.unseen = 0.0
            bp_fpenv_leave(self.outside)
            with gil:
                PyErr_CheckSignals()
                if self.pause is not None:
                    self.pause(self.shared.sums.row)
            bp_fpenv_enter()
        return 0
