# Levenberg-Marquardt (N14): A = J^T J and b = J^T e of the Jacobian J and the residuals e, then steps d with
# (A + mu*total_weight*I) d = b, by Cholesky, with a larger mu until the loss falls.

# Smallest damping. Without a bound mu would underflow to 0.0, which no factor can raise again.
cdef double LOWEST_MU = 1e-20


cdef void add_products(Shared *shared, Damped *job, int thread, Py_ssize_t depth, Span rows, const double *left,
                       const double *right, bint first, double *C) noexcept nogil:
    """This thread's part of C = C + left^T right (C = left^T right if first), on and right of the diagonal of C.

    left and right (depth, ...), C (rows, ...): all three point at the column rows.start. A thread that is free takes
    the next piece of columns: pieces further right have more rows, and are taken first.
    """
    cdef Py_ssize_t columns = job.columns - rows.start, start
    cdef Py_ssize_t pieces = (columns + BP_PIVOTS - 1) // BP_PIVOTS
    while True:
        start = (pieces - 1 - bp_take(&job.taken)) * BP_PIVOTS
        if start < 0:
            break
        kernel.add_products(depth, rows.stop - rows.start, start, min(start + BP_PIVOTS, columns), left, right,
                            job.stride, first, C, shared.threads[thread].layers[0].scratch)


cdef void jacobian_rows(Shared *shared, Damped *job, int thread, const double *t,
                        const double *sample_weight, Span rows) noexcept nogil:
    """Rows of J for these rows of a piece, one for each output k, by a backward pass from output k alone.

    Each is times the square root of its sample weight and ends in its residual.
    """
    cdef ThreadState *own = &shared.threads[thread]
    cdef bp_layer *layer
    cdef bp_layer *last = &own.layers[shared.sizes.n_layers - 1]
    cdef Py_ssize_t n_out = shared.sizes.n_out, s, j, k, l, column, at = rows.start * n_out
    cdef const double *of = last.z if last.activation.of_z else last.a
    cdef double *row
    cdef double root = 1.0
    if rows.start == rows.stop:
        return
    for k in range(n_out):
        for s in range(rows.start, rows.stop):
            for j in range(n_out):
                last.delta[s * n_out + j] = 1.0 if j == k else 0.0
        last.activation.times_derivative((rows.stop - rows.start) * n_out, of + at, last.delta + at)
        if sample_weight != NULL:
            for s in range(rows.start, rows.stop):
                root = sqrt(sample_weight[s])
                for j in range(n_out):
                    last.delta[s * n_out + j] = root * last.delta[s * n_out + j]
        for l in range(shared.sizes.n_layers - 2, -1, -1):
            hidden_deltas(&own.layers[l], &own.layers[l + 1], rows)
        row, column = job.J + k * job.stride, 0
        for l in range(shared.sizes.n_layers):
            layer = &own.layers[l]
            kernel.jacobian(layer, rows.start, rows.stop, shared.optimizer.train_biases, row + column,
                            n_out * job.stride)
            column += (layer.n_in + 1) * layer.n
        for s in range(rows.start, rows.stop):
            if sample_weight != NULL:
                root = sqrt(sample_weight[s])
            row[s * n_out * job.stride + column] = root * (last.a[s * n_out + k] - t[s * n_out + k])


cdef void join_matrices(Shared *shared, Damped *job, int thread, int begin, int end, bint keep) noexcept nogil:
    """This thread's rows of A = kept[begin] + (... + (kept[end - 1] + A)); keep: it then becomes kept[begin]."""
    cdef Py_ssize_t n = shared.sizes.n_parameters, size = n * job.stride, i, at, columns
    cdef Span rows = share(n, thread, shared.n_threads)
    cdef double *kept
    cdef int b
    for i in range(rows.start, rows.stop):
        at, columns = i * job.stride + i // 8 * 8, job.columns - i // 8 * 8
        for b in range(end - 1, begin - 1, -1):
            kept = job.U if b == 0 else job.kept + (b - 1) * size
            kernel.axpy(columns, kept + at, 1.0, job.A + at, job.A + at)
        if keep:
            kept = job.U if begin == 0 else job.kept + (begin - 1) * size
            memcpy(kept + at, job.A + at, columns * sizeof(double))


cdef void normal_equations(Shared *shared, Damped *job, int thread, Py_ssize_t first, Py_ssize_t rows) noexcept nogil:
    """This thread's part of what a piece of rows adds to its block's A and b, after its forward pass and its losses.

    Where a block begins, A and b of the block before are kept.
    """
    cdef Span part = share(rows, thread, shared.n_threads)
    cdef Py_ssize_t ended = first // BLOCK_ROWS - 1
    if first == 0:
        transpose(shared, &shared.threads[thread], thread)
    elif first % BLOCK_ROWS == 0:
        join_matrices(shared, job, thread, ones(ended + 1) - 1, ones(ended), True)
    visit(shared, thread, first, rows, first)
    jacobian_rows(shared, job, thread, targets_of(shared, first, part), sample_weights_of(shared, first, part), part)
    barrier(shared, thread)
    add_products(shared, job, thread, rows * shared.sizes.n_out, Span(0, shared.sizes.n_parameters), job.J, job.J,
                 first % BLOCK_ROWS == 0, job.A)
    if first + rows == shared.samples.n_samples and first + rows > BLOCK_ROWS:
        barrier(shared, thread)
        join_matrices(shared, job, thread, 0, ones(ended + 1), False)


cdef void damp(Shared *shared, Damped *job, int thread) noexcept nogil:
    """This thread's rows of U = A + mu*total_weight*I."""
    cdef Span rows = share(shared.sizes.n_parameters, thread, shared.n_threads)
    cdef Py_ssize_t i, at, start
    cdef double shift = job.mu * job.total_weight
    for i in range(rows.start, rows.stop):
        start = i // 8 * 8
        at = i * job.stride
        memcpy(job.U + at + start, job.A + at + start, (job.columns - start) * sizeof(double))
        job.U[at + i] = job.U[at + i] + shift


cdef void factor(Shared *shared, Damped *job, int thread) noexcept nogil:
    """This thread's part of one step of the Cholesky factorization: BP_PIVOTS rows, from row `column` on.

    The square of these rows on the diagonal is factored already; here are the columns right of it. A pass is
    BP_PASS_PIVOTS rows. The products of the step's rows are subtracted from the other rows of the pass at once, and
    from the rows below the pass only when the pass ends, for all its rows together.
    """
    cdef Py_ssize_t n = shared.sizes.n_parameters, start = job.column, stop = min(start + BP_PIVOTS, n)
    cdef Py_ssize_t first = start // BP_PASS_PIVOTS * BP_PASS_PIVOTS, last = min(first + BP_PASS_PIVOTS, n)
    cdef Py_ssize_t right = aligned(stop)
    cdef Span lines = share((job.columns - right) // 8, thread, shared.n_threads)
    cdef double *minus = job.minus + (start - first) * job.stride
    kernel.factor_columns(start, stop, right + 8 * lines.start, right + 8 * lines.stop, job.stride, job.U, minus)
    barrier(shared, thread)
    if stop == last:
        start, minus, last = first, job.minus, n
    if stop < last:
        add_products(shared, job, thread, stop - start, Span(stop, last), minus + stop,
                     job.U + start * job.stride + stop, False, job.U + stop * (job.stride + 1))


cdef void back_substitution(Shared *shared, Damped *job, double *w) noexcept nogil:
    """w = before - d with U d = c, c being column n_parameters of U, which becomes d."""
    cdef Py_ssize_t n = shared.sizes.n_parameters, i, j
    cdef double *c = job.U + n
    cdef double d
    for j in range(n - 1, -1, -1):
        d = c[j * job.stride] / job.U[j * job.stride + j]
        w[j] = job.before[j] - d
        for i in range(j):
            c[i * job.stride] = c[i * job.stride] - job.U[i * job.stride + j] * d


cdef double gradient_norm(Shared *shared, Damped *job) noexcept nogil:
    """Euclidean norm of the gradient of the mean loss, b/total_weight."""
    cdef Py_ssize_t k
    cdef double *g = job.before  # as scratch: w is copied there only afterwards
    for k in range(shared.sizes.n_parameters):
        g[k] = job.A[k * job.stride + shared.sizes.n_parameters] / job.total_weight
    return sqrt(kernel.dot(shared.sizes.n_parameters, g, g))


cdef void attempt(Damped *job) noexcept nogil:
    """Begin a step with this mu, or end if mu is above its largest value."""
    job.stage = DAMP
    if not job.mu <= job.settings[2]:
        job.stage, job.reason = ENDED, "damping"


cdef void reject(Shared *shared, Damped *job) noexcept nogil:
    """Undo the step and begin another with a larger mu."""
    memcpy(shared.optimizer.w, job.before, shared.sizes.n_parameters * sizeof(double))
    job.mu = job.mu * job.settings[1]
    attempt(job)


cdef void pivots(Shared *shared, Damped *job, Py_ssize_t column) noexcept nogil:
    """Factor the next BP_PIVOTS rows on the diagonal; after the last ones begin the trial."""
    cdef Py_ssize_t n = shared.sizes.n_parameters, stop = min(column + BP_PIVOTS, n)
    job.column, job.stage, job.taken.next = column, FACTOR, 0
    if column < n:
        if not kernel.factor_diagonal(column, stop, aligned(stop), job.stride, job.U):
            reject(shared, job)
        return
    back_substitution(shared, job, shared.optimizer.w)
    job.stage, shared.sums.row = TRIAL, 0
    if kernel.first_not_finite(n, shared.optimizer.w) >= 0:
        reject(shared, job)


cdef void next_stage(Shared *shared, Damped *job, Py_ssize_t rows) noexcept nogil:
    """Decide what all threads do next: thread 0 alone, between two barriers, after `rows` rows or a part of U."""
    if job.stage == DAMP:
        pivots(shared, job, 0)
        return
    if job.stage == FACTOR:
        pivots(shared, job, job.column + BP_PIVOTS)
        return
    shared.sums.row, job.taken.next = shared.sums.row + rows, 0
    if shared.sums.row < shared.samples.n_samples:
        return
    after_rows(shared, job, tree_sum(&shared.sums.losses, shared.samples.n_samples) / job.total_weight)


cdef void after_rows(Shared *shared, Damped *job, double loss) noexcept nogil:
    """Decide what comes after the sums over all rows, with the mean loss: steps, another mu, or the end."""
    if job.stage == TRIAL:
        if loss < job.loss:
            job.mu = job.mu * job.settings[0]
            shared.optimizer.scalars[0] = job.mu if job.mu > LOWEST_MU else LOWEST_MU
            job.stage = ENDED
        else:
            reject(shared, job)
        return
    job.loss = loss
    if not fabs(loss) <= DBL_MAX:
        job.stage = ENDED
    elif gradient_norm(shared, job) <= job.settings[3]:
        job.stage, job.reason = ENDED, "gradient"
    else:
        memcpy(job.before, shared.optimizer.w, shared.sizes.n_parameters * sizeof(double))
        attempt(job)


cdef inline bint visits_rows(const Damped *job) noexcept nogil:
    return job.stage == JACOBIAN or job.stage == TRIAL


cdef void damped_step(void *argument, int thread) noexcept nogil:
    """One thread's part of about 20 ms of an iteration: all threads go through the same stages together."""
    cdef Shared *shared = <Shared *>argument
    cdef Damped *job = <Damped *>shared.method
    cdef double work = 0.0, n = <double>shared.sizes.n_parameters
    cdef Py_ssize_t rows
    cdef bp_fpenv saved = bp_fpenv_enter()
    while (job.stage != ENDED and not (job.elsewhere and job.stage == TRIAL)
           and work < shared.clock.work * shared.n_threads and not shared.clock.give_up):
        rows = min(shared.piece.rows, min(shared.samples.stop - shared.sums.row, rows_to_block_end(shared.sums.row)))
        if visits_rows(job) and not is_here(&shared.samples, shared.sums.row):
            break
        if job.stage == JACOBIAN:
            normal_equations(shared, job, thread, shared.sums.row, rows)
            work += rows * shared.piece.row_work
        elif job.stage == DAMP:
            damp(shared, job, thread)
            work += n * n
        elif job.stage == FACTOR:
            factor(shared, job, thread)
            work += 0.5 * BP_PIVOTS * (n - <double>job.column) * (n - <double>job.column)
        else:
            visit(shared, thread, shared.sums.row, rows, shared.sums.row)
            work += rows * n
        barrier(shared, thread)
        if thread == 0:
            next_stage(shared, job, rows)
        barrier(shared, thread)
    if thread == 0:
        job.work = work
    bp_fpenv_leave(saved)


cdef class LevenbergMarquardt(Method):
    """Levenberg-Marquardt for squared errors. settings: as in `Damped`. No slots; scalars (1,): mu.

    Jacobian and normal equations need memory for about 2*n_parameters^2 doubles; those of more than a block of rows for
    as many again for each doubling of the blocks beyond three.
    """

    cdef Damped job
    cdef double[::1] matrices

    def __cinit__(self, *arguments):
        cdef Shared *shared = self.shared
        cdef Damped *job = &self.job
        cdef Py_ssize_t n = shared.sizes.n_parameters, residuals, extra
        self.needs("levenberg_marquardt")
        job.columns = aligned(n + 1)
        # An odd number of cache lines: with a power of two all rows of a column would fall into one set of the cache.
        job.stride = job.columns + (8 if job.columns // 8 % 2 == 0 else 0)
        residuals = max(FEWEST_ROWS, min(PIECE_ROWS, PIECE_DOUBLES // job.stride))
        shared.piece.rows = max(1, min(shared.piece.rows, residuals // shared.sizes.n_out))
        residuals = shared.piece.rows * shared.sizes.n_out
        extra = max(0, most_kept(shared.samples.n_samples) - 1)
        self.matrices = np.zeros((residuals + (2 + extra) * n + BP_PASS_PIVOTS) * job.stride + 8)
        job.J = <double *>((<size_t>&self.matrices[0] + 63) // 64 * 64)
        job.A = job.J + residuals * job.stride
        job.U = job.A + n * job.stride
        job.kept = job.U + n * job.stride
        job.minus = job.kept + extra * n * job.stride
        job.before, job.settings, job.reason = shared.sums.g, shared.optimizer.settings, NULL
        job.total_weight, job.elsewhere = self.sums.data.total_weight, self.sums.elsewhere is not None
        shared.sums.g, shared.method = NULL, job

    cdef int iterate(self, double *loss) except -1 nogil:
        cdef Damped *job = &self.job
        job.stage, job.mu, job.taken.next = JACOBIAN, self.shared.optimizer.scalars[0], 0
        self.shared.sums.row = 0
        while job.stage != ENDED:
            if job.elsewhere and visits_rows(job):
                self.ask(<char *>"normal_equations" if job.stage == JACOBIAN else <char *>"loss", &job.total_weight)
                after_rows(self.shared, job, self.sums.total)
                continue
            if visits_rows(job):
                self.provide()
            self.threads.run(self.shared, damped_step)
            self.check_signals(job.work / <double>self.shared.n_threads)
        loss[0], self.reason = job.loss, job.reason
        return 0
