# Training data, and rows of it in visiting order.


cdef class Data:
    """X (n_samples, n_in) and its targets: y (n_samples, n_out), or classes y (n_samples,) of int64.

    sample_weight (n_samples,) has the sum total_weight; without it each weight is 1.0, and -1.0 stands for n_samples.
    With a total_weight of 1.0 a mean is the sum.
    """

    cdef const double[:, ::1] X
    cdef const double[:, ::1] y
    cdef const int64_t[::1] labels
    cdef const double[::1] sample_weight
    cdef readonly Py_ssize_t n_samples
    cdef readonly double total_weight
    cdef Samples samples     # pointers to the four arrays

    def __cinit__(self, const double[:, ::1] X not None, y, const double[::1] sample_weight=None,
                  double total_weight=-1.0):
        self.X, self.n_samples, self.total_weight = X, X.shape[0], total_weight
        self.samples.X, self.samples.n_samples = &self.X[0, 0], X.shape[0]
        if total_weight < 0.0:
            self.total_weight = <double>self.n_samples
        if sample_weight is not None:
            self.sample_weight = sample_weight
            self.samples.sample_weight = &self.sample_weight[0]
        if y.ndim == 1:
            self.labels = y
            self.samples.labels = &self.labels[0]
        else:
            self.y = y
            self.samples.y = &self.y[0, 0]


cdef const double *rows_of(Shared *shared, Py_ssize_t first, Span rows) noexcept nogil:
    """Inputs (rows, n_in) of a block whose row 0 is row `first` in visiting order; only `rows` of it are gathered.

    Nothing is copied where the visiting order is that of X.
    """
    cdef const Samples *samples = &shared.samples
    cdef Py_ssize_t s, n = shared.sizes.n_in
    cdef const int64_t *order = samples.order + first
    if samples.order == NULL:
        return samples.X + first * n
    for s in range(rows.start, rows.stop):
        kernel.gather(n, samples.X + order[s] * n, samples.X + order[min(s + 1, rows.stop - 1)] * n,
                      shared.block.x + s * n)
    return shared.block.x


cdef const double *targets_of(Shared *shared, Py_ssize_t first, Span rows) noexcept nogil:
    """Targets (rows, n_out) of the same rows; a class k becomes 1.0 in column k and 0.0 elsewhere."""
    cdef const Samples *samples = &shared.samples
    cdef double *t = shared.block.t
    cdef Py_ssize_t s, j, row, n = shared.sizes.n_out
    if samples.order == NULL and samples.labels == NULL:
        return samples.y + first * n
    for s in range(rows.start, rows.stop):
        row = first + s if samples.order == NULL else samples.order[first + s]
        for j in range(n):
            t[s * n + j] = ((1.0 if samples.labels[row] == j else 0.0) if samples.labels != NULL
                            else samples.y[row * n + j])
    return t


cdef const double *sample_weights_of(Shared *shared, Py_ssize_t first, Span rows) noexcept nogil:
    """Sample weights (rows,) of the same rows; NULL if each weight is 1.0."""
    cdef const Samples *samples = &shared.samples
    cdef Py_ssize_t s
    if samples.sample_weight == NULL or samples.order == NULL:
        return samples.sample_weight + first if samples.sample_weight != NULL else NULL
    for s in range(rows.start, rows.stop):
        shared.block.sample_weight[s] = samples.sample_weight[samples.order[first + s]]
    return shared.block.sample_weight


cdef void add_weights(Shared *shared, ThreadState *own, Py_ssize_t first, Py_ssize_t rows,
                      Py_ssize_t in_batch) noexcept nogil:
    """Add the sample weights of a whole piece of rows to those of its batch, from its row in_batch on, and of its epoch.

    Each thread does so for itself: no barrier then stands between the sum and the step that divides by it.
    """
    cdef const double *sample_weight = shared.samples.sample_weight + first
    if shared.samples.order != NULL:
        sample_weight = shared.block.sample_weight
    add_rows(&own.batch_weight, sample_weight, in_batch, rows)
    add_rows(&own.epoch_weight, sample_weight, first, rows)


cdef inline double weight_of(Shared *shared, const RowSum *weights, Py_ssize_t rows) noexcept nogil:
    """Sum of the sample weights of `rows` rows, as add_weights has left it; without sample weights their number."""
    return <double>rows if shared.samples.sample_weight == NULL else tree_sum(weights, rows)
