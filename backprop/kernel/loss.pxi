cdef void losses_of(Shared *shared, ThreadState *block, const double *t, const double *c, Span rows) noexcept nogil:
    """The loss of each of these rows of a block, times what the row counts."""
    cdef Py_ssize_t s
    cdef bp_layer *last = &block.layers[shared.n_layers - 1]
    cdef Py_ssize_t at = rows.start * last.n
    shared.loss.values(rows.stop - rows.start, last.n, last.z + at, last.a + at, t + at,
                       shared.softmax_stats + 2 * rows.start, shared.L + rows.start)
    if c != NULL:
        for s in range(rows.start, rows.stop):
            shared.L[s] = c[s] * shared.L[s]


cdef double add_losses(Shared *shared, Py_ssize_t rows, double total) noexcept nogil:
    """Add the losses of a block, row after row, to the epoch's total."""
    cdef Py_ssize_t s
    for s in range(rows):
        total = total + shared.L[s]
    return total


def bad_target(str loss not None, const double[:, ::1] y not None):
    """The first target out of its range: (s, j, value), or (s, -1, sum) for a row's sum; None if all are right."""
    cdef const bp_loss *row = &losses[loss_names.index(loss)]
    cdef Py_ssize_t s = 0, j = -1
    cdef double value = 0.0, total
    cdef bint bad = False
    cdef bp_fpenv saved
    if row.low == -DBL_MAX and row.high == DBL_MAX:
        return None
    with nogil:
        saved = bp_fpenv_enter()
        for s in range(y.shape[0]):
            total = 0.0
            for j in range(y.shape[1]):
                value = y[s, j]
                bad = not row.low <= value <= row.high
                if bad:
                    break
                total = total + value
            else:
                if row.distribution and not fabs(total - 1.0) <= 1e-9:
                    bad, value, j = True, total, -1
            if bad:
                break
        bp_fpenv_leave(saved)
    return (s, j, value) if bad else None


cdef void visit(Shared *shared, int thread, Py_ssize_t first, Py_ssize_t rows, bint first_of_batch) noexcept nogil:
    """Take the next rows forward, and back if there is a gradient.

    All threads call this together, and then wait at a barrier before they read what the others have left.
    """
    cdef ThreadState *block = &shared.blocks[thread]
    cdef Span part = share(rows, thread, shared.n_threads)
    cdef const double *x = rows_of(shared, first, part)
    cdef const double *t
    cdef const double *c = row_weights(shared, first, part)
    if shared.drops != NULL:
        if thread == 0:
            draw_masks(shared, rows)
        barrier(shared, thread)
    forward(shared, block, x, part)
    t = targets_of(shared, first, part)
    losses_of(shared, block, t, c, part)
    if shared.g != NULL:
        backward(shared, block, t, c, part)
    barrier(shared, thread)
    if thread == 0:
        shared.before = shared.total if first > 0 else 0.0
        shared.total = add_losses(shared, rows, shared.before)
        shared.give_up = waits_too_long(shared, 2e-3)
    if shared.g != NULL:
        add_gradient(shared, block, thread, first_of_batch, rows)


cdef void visit_all(void *argument, int thread) noexcept nogil:
    """A thread's part of one piece of a LossPass: all rows from where it stands, while no sum overflows."""
    cdef Shared *shared = <Shared *>argument
    cdef Py_ssize_t row = shared.row, rows, n = shared.n_samples
    cdef double work = 0.0
    cdef bp_fpenv saved = bp_fpenv_enter()
    if shared.g != NULL and row == 0:
        transpose(shared, &shared.blocks[thread], thread)
        barrier(shared, thread)
    while row < n and work < PAUSE_AFTER * shared.n_threads:
        rows = min(shared.rows, n - row)
        visit(shared, thread, row, rows, row == 0)
        barrier(shared, thread)
        work += rows * shared.row_work
        row += rows
        if not fabs(shared.total) <= DBL_MAX:
            row -= rows
            rows = 1
            while fabs(add_losses(shared, rows, shared.before)) <= DBL_MAX:
                rows += 1
            row += rows - 1  # at which the sum overflowed
            barrier(shared, thread)
            if thread == 0:
                shared.total = add_losses(shared, rows, shared.before)
            break
    if thread == 0:
        shared.row = row
    bp_fpenv_leave(saved)


cdef class LossPass(Pass):
    """The mean loss of all rows in their order and, where there is a gradient, its gradient."""

    cdef Data data
    cdef readonly double total
    cdef readonly Py_ssize_t overflow  # the row at which the sum of losses stopped being finite, or -1

    def __cinit__(self, sizes, names, parameters, rows, n_threads, gradient, str loss not None, Data data not None,
                  *arguments):
        cdef Shared *shared = &self.shared
        self.data, self.total, self.overflow = data, 0.0, -1
        must_be("the columns", "X", shared.n_in, data.X.shape[1])
        if data.y != NULL:
            must_be("the columns", "y", shared.n_out, data.y_view.shape[1])
        shared.loss = &losses[loss_names.index(loss)]
        shared.X, shared.y, shared.labels, shared.weights = &data.X[0, 0], data.y, data.labels, data.weights
        shared.n_samples, shared.row, shared.total = data.n_samples, 0, 0.0
        shared.order = NULL
        shared.g = &self.gradient[0] if gradient is not None else NULL

    def run(self):
        """Work for up to 20 ms; return whether the end is reached: `total` the mean loss, or `overflow` a row."""
        cdef Shared *shared = &self.shared
        cdef bp_fpenv saved
        cdef bint complete
        with nogil:
            bp_run(&shared.n_threads, visit_all, shared)
            saved = bp_fpenv_enter()
            complete = self.mean()
            bp_fpenv_leave(saved)
        return complete

    cdef bint mean(self) noexcept nogil:
        """After a piece: whether it was the last; then the sums become means."""
        cdef Shared *shared = &self.shared
        self.total = shared.total
        if not fabs(self.total) <= DBL_MAX:
            self.overflow = shared.row
        elif shared.row == shared.n_samples:
            self.total = self.total / self.data.weight
            if shared.g != NULL:
                kernel.mean_gradient(shared.n_parameters, self.data.weight, shared.g)
        return self.overflow >= 0 or shared.row == shared.n_samples
