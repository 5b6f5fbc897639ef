# Losses: the check of targets, the mean loss of all rows, and its gradient.


def bad_target(str loss not None, y not None):
    """The first target out of the loss's range: (s, j, y[s][j]), or (s, -1, sum) for a row that does not sum to 1.

    None if all targets of y (n_samples, n_out), a matrix as in `Matrix`, are in range. A row's sum may be 1e-9 from 1.
    """
    cdef const bp_loss *row = &losses[loss_names.index(loss)]
    cdef Matrix targets = Matrix(y)
    cdef double[::1] buffer = targets.buffer()
    cdef Py_ssize_t s = 0, j = -1
    cdef double value = 0.0, total
    cdef const double *t
    cdef bint bad = False
    cdef bp_fpenv saved
    if row.low == -DBL_MAX and row.high == DBL_MAX:
        return None
    with nogil:
        saved = bp_fpenv_enter()
        for s in range(targets.n_rows):
            t, total = targets.piece(s, 1, &buffer[0]), 0.0
            for j in range(targets.n_columns):
                value = t[j]
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


cdef void losses_of(Shared *shared, ThreadState *own, const double *t, const double *sample_weight,
                    Span rows) noexcept nogil:
    """Loss of each of these rows of a piece, times its sample weight, into piece.L (rows,)."""
    cdef Py_ssize_t s
    cdef double *L = shared.piece.L
    cdef bp_layer *last = &own.layers[shared.sizes.n_layers - 1]
    cdef Py_ssize_t at = rows.start * last.n
    shared.sums.loss.values(rows.stop - rows.start, last.n, last.z + at, last.a + at, t + at,
                            shared.piece.softmax_stats + 2 * rows.start, L + rows.start)
    if sample_weight != NULL:
        for s in range(rows.start, rows.stop):
            L[s] = sample_weight[s] * L[s]


cdef void visit(Shared *shared, int thread, Py_ssize_t first, Py_ssize_t rows, Py_ssize_t in_batch) noexcept nogil:
    """Forward pass of a piece of rows, its losses and, where there is a gradient, its backward pass.

    All threads call it, and meet at a barrier before they read each other's results. Row 0 of the piece is row `first`
    in visiting order and row in_batch of its batch, of which the piece lies in one block (N19).
    """
    cdef ThreadState *own = &shared.threads[thread]
    cdef Sums *sums = &shared.sums
    cdef Span part = share(rows, thread, shared.n_threads)
    cdef const double *x = rows_of(shared, first, part)
    cdef const double *t
    cdef const double *sample_weight = sample_weights_of(shared, first, part)
    cdef Py_ssize_t n_in = shared.sizes.n_in
    if sums.search and kernel.first_not_finite((part.stop - part.start) * n_in, x + part.start * n_in) >= 0:
        own.not_finite = True
    if shared.epochs.drop_bitgen != NULL:
        if thread == 0:
            draw_masks(shared, rows)
        barrier(shared, thread)
    forward(shared, own, x, part)
    t = targets_of(shared, first, part)
    losses_of(shared, own, t, sample_weight, part)
    if sums.g != NULL:
        backward(shared, own, t, sample_weight, part)
    barrier(shared, thread)
    if thread == 0:
        sums.before = sums.losses.block if first % BLOCK_ROWS != 0 else 0.0
        add_rows(&sums.losses, shared.piece.L, first, rows)
        shared.clock.give_up = waits_too_long(shared, 2e-3)
    if sums.g != NULL:
        add_gradient(shared, own, thread, in_batch, rows)


cdef Py_ssize_t overflow_in(Shared *shared, Py_ssize_t row) noexcept nogil:
    """The row at which the block's sum of losses stopped being finite, in the piece that begins at `row`.

    The sum becomes that up to this row.
    """
    cdef double *block = &shared.sums.losses.block
    cdef const double *L = shared.piece.L
    block[0] = shared.sums.before + L[0]
    while fabs(block[0]) <= DBL_MAX:
        row += 1
        L += 1
        block[0] = block[0] + L[0]
    return row


cdef void visit_all(void *argument, int thread) noexcept nogil:
    """One thread's part of a call of LossPass.run: visit rows from sums.row on, while no block's sum overflows.

    After an overflow sums.row is the row at which the block's sum of losses stopped being finite.
    """
    cdef Shared *shared = <Shared *>argument
    cdef Sums *sums = &shared.sums
    cdef ThreadState *own = &shared.threads[thread]
    cdef Py_ssize_t row = sums.row, rows, n = shared.samples.n_samples, stop = shared.samples.stop
    cdef double work = 0.0
    cdef bp_fpenv saved = bp_fpenv_enter()
    if sums.g != NULL and row == 0:
        transpose(shared, own, thread)
        barrier(shared, thread)
    while row < stop and work < PAUSE_WORK * shared.n_threads:
        rows = min(shared.piece.rows, min(stop - row, rows_to_block_end(row)))
        visit(shared, thread, row, rows, row)
        barrier(shared, thread)
        work += rows * shared.piece.row_work
        if not fabs(sums.losses.block) <= DBL_MAX:
            barrier(shared, thread)
            if thread == 0:
                sums.row = overflow_in(shared, row)
            break
        row += rows
    if thread == 0 and fabs(sums.losses.block) <= DBL_MAX:
        sums.row = row
    if sums.g != NULL and row == n:
        join_gradients(shared, own, thread, n)
    bp_fpenv_leave(saved)


cdef class LossPass:
    """The mean loss of all rows, in the order of X, and its gradient if the Pass has an array for it.

    One Trainer or Method may use it, and then calls it instead of the caller. search: look for numbers of X that are
    not finite, which ends the pass: `not_finite` then says so. elsewhere: None, or a function that gives it
    the sums over the rows, which are elsewhere; those in `data` only say how wide a row is.
    """

    cdef Pass work
    cdef Data data
    cdef BlockWorkers workers          # threads that take blocks of their own; None: they share pieces of rows
    cdef object elsewhere              # gives sums over rows that are elsewhere; None: the rows are in `data`
    cdef bint taken                    # a Trainer or Method uses it
    cdef readonly double total         # the mean loss, once run() has returned True
    cdef readonly bint not_finite      # a number of X that was searched is not finite
    cdef readonly Py_ssize_t overflow  # row at which a block's sum of losses stopped being finite; -1: none

    def __cinit__(self, Pass work not None, Data data not None, str loss not None, elsewhere=None, bint search=False):
        cdef Shared *shared = &work.shared
        if work.taken:
            raise ValueError("another LossPass uses this Pass")
        if data.windows is None:
            must_be("the columns", "X", shared.sizes.n_in, data.X.n_columns)
        if data.y is not None:
            must_be("the columns", "y", shared.sizes.n_out, data.y.n_columns)
        self.work, self.data, self.elsewhere, self.total, self.overflow = work, data, elsewhere, 0.0, -1
        shared.samples, shared.sums.search, self.not_finite = data.samples, search, False
        shared.sums.loss = &losses[loss_names.index(loss)]
        shared.sums.total_weight = data.total_weight
        shared.sums.g = &work.gradient[0] if work.gradient is not None else NULL
        work.taken = True

    def run(self):
        """Work for about 20 ms; return whether all rows are done, or the sum of losses or X is not finite."""
        cdef Shared *shared = &self.work.shared
        cdef bp_fpenv saved
        cdef bint complete
        cdef int thread
        if self.taken:
            raise ValueError("a trainer uses this LossPass")
        self.make_room()
        self.data.provide(shared)
        with nogil:
            if self.workers is not None:
                self.workers.run(shared, False)
            else:
                bp_run(&shared.n_threads, visit_all, shared)
            saved = bp_fpenv_enter()
            complete = self.mean()
            bp_fpenv_leave(saved)
        for thread in range(shared.n_threads):
            self.not_finite = self.not_finite or shared.threads[thread].not_finite
        self.not_finite = self.not_finite or (self.workers is not None and self.workers.not_finite())
        return complete or self.not_finite

    cdef int make_room(self) except -1:
        """Allocate what the sums over all rows need; let threads take blocks of their own, where that pays."""
        cdef Py_ssize_t rows = self.data.n_samples
        self.work.keep_blocks(rows)
        if self.workers is None and blocks_pay(self.work, rows):
            self.workers = BlockWorkers(self.work, rows)
        return 0

    cdef bint mean(self) noexcept nogil:
        """Whether all rows are done or a block's sum has overflowed; in the first case sums become means."""
        cdef Shared *shared = &self.work.shared
        cdef Py_ssize_t n = shared.samples.n_samples
        cdef bint complete = shared.sums.row == n
        if not fabs(shared.sums.losses.block) <= DBL_MAX:
            self.total, self.overflow = shared.sums.losses.block, shared.sums.row
        elif complete:
            self.total = tree_sum(&shared.sums.losses, n) / shared.sums.total_weight
            if shared.sums.g != NULL:
                kernel.mean_gradient(shared.sizes.n_parameters, shared.sums.total_weight, shared.sums.g)
        return self.overflow >= 0 or complete
