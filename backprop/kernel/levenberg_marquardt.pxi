# Without a bound the damping would reach 0.0, which no factor can raise again.
cdef double LOWEST_MU = 1e-20


cdef enum Stage:
    JACOBIAN
    COPY
    FACTOR
    TRIAL
    ENDED


cdef struct Damped:
    Stage stage
    Py_ssize_t stride       # of the matrices' rows, of which columns are used: n_parameters + 1, in full cache lines
    Py_ssize_t columns
    double *J               # (rows*n_out, stride): the Jacobian of a block of rows, and its residuals
    double *A               # (n_parameters, stride): J^T J, and J^T e
    double *U               # (n_parameters, stride): the factor
    double *minus           # (BP_PASS_PIVOTS, stride): rows of U, negated
    double *before          # (n_parameters,): the weights
    const double *settings
    double mu
    double weight           # what all rows count
    double loss
    Py_ssize_t column       # the first of the pivots that are next
    bp_counter taken        # pieces of BP_PIVOTS columns, the last first, each by the thread that is free first
    double work             # done in this call, in multiply-adds
    const char *reason


cdef void add_products(Shared *shared, Damped *job, int thread, Py_ssize_t depth, Span rows, const double *left,
                       const double *right, bint first, double *C) noexcept nogil:
    """This thread's part of C = C + left^T right, for these rows of C on and right of its diagonal.

    All three begin at the column of the first of these rows.
    """
    cdef Py_ssize_t columns = job.columns - rows.start, start
    cdef Py_ssize_t pieces = (columns + BP_PIVOTS - 1) // BP_PIVOTS
    while True:
        start = (pieces - 1 - bp_take(&job.taken)) * BP_PIVOTS
        if start < 0:
            break
        kernel.add_products(depth, rows.stop - rows.start, start, min(start + BP_PIVOTS, columns), left, right,
                            job.stride, first, C, shared.blocks[thread].layers[0].scratch)


cdef void jacobian_rows(Shared *shared, Damped *job, int thread, const double *t, const double *c,
                        Span rows) noexcept nogil:
    """The rows of J of these of a block, by a backward pass for each output; each ends in its residual."""
    cdef ThreadState *block = &shared.blocks[thread]
    cdef bp_layer *layer
    cdef bp_layer *last = &block.layers[shared.n_layers - 1]
    cdef Py_ssize_t n_out = shared.n_out, s, j, k, l, column, at = rows.start * n_out
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
        if c != NULL:
            for s in range(rows.start, rows.stop):
                root = sqrt(c[s])
                for j in range(n_out):
                    last.delta[s * n_out + j] = root * last.delta[s * n_out + j]
        for l in range(shared.n_layers - 2, -1, -1):
            hidden_deltas(&block.layers[l], &block.layers[l + 1], rows)
        row, column = job.J + k * job.stride, 0
        for l in range(shared.n_layers):
            layer = &block.layers[l]
            kernel.jacobian(layer, rows.start, rows.stop, shared.train_biases, row + column, n_out * job.stride)
            column += (layer.n_in + 1) * layer.n
        for s in range(rows.start, rows.stop):
            if c != NULL:
                root = sqrt(c[s])
            row[s * n_out * job.stride + column] = root * (last.a[s * n_out + k] - t[s * n_out + k])


cdef void normal_equations(Shared *shared, Damped *job, int thread, Py_ssize_t first, Py_ssize_t rows) noexcept nogil:
    """A thread's part of what these rows add to A and b, after their forward pass and their losses."""
    cdef Span part = share(rows, thread, shared.n_threads)
    if first == 0:
        transpose(shared, &shared.blocks[thread], thread)
    visit(shared, thread, first, rows, first == 0)
    jacobian_rows(shared, job, thread, targets_of(shared, first, part), row_weights(shared, first, part), part)
    barrier(shared, thread)
    add_products(shared, job, thread, rows * shared.n_out, Span(0, shared.n_parameters), job.J, job.J, first == 0,
                 job.A)


cdef void copy(Shared *shared, Damped *job, int thread) noexcept nogil:
    """A thread's rows of A + mu*C*I."""
    cdef Span rows = share(shared.n_parameters, thread, shared.n_threads)
    cdef Py_ssize_t i, at, start
    cdef double shift = job.mu * job.weight
    for i in range(rows.start, rows.stop):
        start = i // 8 * 8
        at = i * job.stride
        memcpy(job.U + at + start, job.A + at + start, (job.columns - start) * sizeof(double))
        job.U[at + i] = job.U[at + i] + shift


cdef void factor(Shared *shared, Damped *job, int thread) noexcept nogil:
    """A thread's part of Cholesky, where a block on the diagonal is done: its rows, then what is below them.

    Of that only the rows of this pass, until the last block of it; then all others, by all of its rows at once.
    """
    cdef Py_ssize_t n = shared.n_parameters, start = job.column, stop = min(start + BP_PIVOTS, n)
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
    """w = before - d, with U d = the last column, which becomes d."""
    cdef Py_ssize_t n = shared.n_parameters, i, j
    cdef double *c = job.U + n
    cdef double d
    for j in range(n - 1, -1, -1):
        d = c[j * job.stride] / job.U[j * job.stride + j]
        w[j] = job.before[j] - d
        for i in range(j):
            c[i * job.stride] = c[i * job.stride] - job.U[i * job.stride + j] * d


cdef double gradient_norm(Shared *shared, Damped *job) noexcept nogil:
    """Of the mean loss."""
    cdef Py_ssize_t k
    cdef double *g = job.before  # which is not needed yet
    for k in range(shared.n_parameters):
        g[k] = job.A[k * job.stride + shared.n_parameters] / job.weight
    return sqrt(kernel.dot(shared.n_parameters, g, g))


cdef void attempt(Damped *job) noexcept nogil:
    """Begin to look for a step with this mu, if it is not too large."""
    job.stage = COPY
    if not job.mu <= job.settings[2]:
        job.stage, job.reason = ENDED, "damping"


cdef void reject(Shared *shared, Damped *job) noexcept nogil:
    """Take the step back and look for another with a larger mu."""
    memcpy(shared.w, job.before, shared.n_parameters * sizeof(double))
    job.mu = job.mu * job.settings[1]
    attempt(job)


cdef void pivots(Shared *shared, Damped *job, Py_ssize_t column) noexcept nogil:
    """The next block on the diagonal; after the last, the trial."""
    cdef Py_ssize_t n = shared.n_parameters, stop = min(column + BP_PIVOTS, n)
    job.column, job.stage, job.taken.next = column, FACTOR, 0
    if column < n:
        if not kernel.factor_diagonal(column, stop, aligned(stop), job.stride, job.U):
            reject(shared, job)
        return
    back_substitution(shared, job, shared.w)
    job.stage, shared.row = TRIAL, 0
    if kernel.first_not_finite(n, shared.w) >= 0:
        reject(shared, job)


cdef void next_stage(Shared *shared, Damped *job, Py_ssize_t rows) noexcept nogil:
    """After what all threads have done together, one of them decides how to go on."""
    cdef double loss
    if job.stage == COPY:
        pivots(shared, job, 0)
        return
    if job.stage == FACTOR:
        pivots(shared, job, job.column + BP_PIVOTS)
        return
    shared.row, job.taken.next = shared.row + rows, 0
    if shared.row < shared.n_samples:
        return
    loss = shared.total / job.weight
    if job.stage == TRIAL:
        if loss < job.loss:
            job.mu = job.mu * job.settings[0]
            shared.scalars[0] = job.mu if job.mu > LOWEST_MU else LOWEST_MU
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
        memcpy(job.before, shared.w, shared.n_parameters * sizeof(double))
        attempt(job)


cdef void damped_step(void *argument, int thread) noexcept nogil:
    """A thread's part of a piece of an iteration: all go through the same stages, block by block."""
    cdef Shared *shared = <Shared *>argument
    cdef Damped *job = <Damped *>shared.method
    cdef double work = 0.0, n = <double>shared.n_parameters
    cdef Py_ssize_t rows
    cdef bp_fpenv saved = bp_fpenv_enter()
    while job.stage != ENDED and work < shared.work * shared.n_threads and not shared.give_up:
        rows = min(shared.rows, shared.n_samples - shared.row)
        if job.stage == JACOBIAN:
            normal_equations(shared, job, thread, shared.row, rows)
            work += rows * shared.row_work
        elif job.stage == COPY:
            copy(shared, job, thread)
            work += n * n
        elif job.stage == FACTOR:
            factor(shared, job, thread)
            work += 0.5 * BP_PIVOTS * (n - <double>job.column) * (n - <double>job.column)
        else:
            visit(shared, thread, shared.row, rows, False)
            work += rows * n
        barrier(shared, thread)
        if thread == 0:
            next_stage(shared, job, rows)
        barrier(shared, thread)
    if thread == 0:
        job.work = work
    bp_fpenv_leave(saved)


cdef class LevenbergMarquardt(Method):
    """The weights, and mu in scalars, move on to a lower loss, by a step that all weights take together."""

    cdef Damped job
    cdef double[::1] matrices

    @staticmethod
    def more_work(double n_parameters, double n_out):
        return n_out * n_parameters * (2.0 + 0.5 * n_parameters)

    def __cinit__(self, *arguments):
        cdef Shared *shared = &self.shared
        cdef Damped *job = &self.job
        cdef Py_ssize_t n = shared.n_parameters, residuals
        job.columns = aligned(n + 1)
        job.stride = job.columns + (8 if job.columns // 8 % 2 == 0 else 0)  # no power of two: columns would share a set
        residuals = max(FEWEST_ROWS, min(BLOCK_ROWS, BLOCK_DOUBLES // job.stride))
        shared.rows = max(1, min(shared.rows, residuals // shared.n_out))
        residuals = shared.rows * shared.n_out
        self.matrices = np.zeros((residuals + 2 * n + BP_PASS_PIVOTS) * job.stride + 8)
        job.J = <double *>((<size_t>&self.matrices[0] + 63) // 64 * 64)
        job.A = job.J + residuals * job.stride
        job.U = job.A + n * job.stride
        job.minus = job.U + n * job.stride
        must_be("the settings", "levenberg_marquardt", 4, self.settings.shape[0])
        must_be("the scalars", "levenberg_marquardt", 1, self.scalars.shape[0])
        job.before, job.settings, job.reason = &self.gradient[0], &self.settings[0], NULL
        job.weight = self.data.weight
        shared.w, shared.scalars, shared.train_biases = &self.w[0], &self.scalars[0], self.train_biases
        shared.g, shared.method = NULL, job

    cdef int iterate(self, double *loss) except -1 nogil:
        cdef Damped *job = &self.job
        job.stage, job.mu, job.taken.next = JACOBIAN, self.scalars[0], 0
        self.shared.row = 0
        while job.stage != ENDED:
            self.threads.run(&self.shared, damped_step)
            self.look(job.work / <double>self.shared.n_threads)
        loss[0], self.reason = job.loss, job.reason
        return 0


METHODS = {"lbfgs": LBFGS, "levenberg_marquardt": LevenbergMarquardt}
