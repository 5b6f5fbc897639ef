# Training data, and rows of it in visiting order.


cdef class Data:
    """X (n_samples, n_in) and its targets: y (n_samples, n_out), or classes y (n_samples,) of int64.

    X and y (n_samples, n_out) are read where they lie; each is what `Matrix` takes. sample_weight (n_samples,) has the
    sum total_weight; without it each weight is 1.0 and total_weight is n_samples. chosen (n_chosen,): only these rows
    of all four, in this order, which are then the n_samples rows; total_weight is their sum.
    """

    cdef Matrix X
    cdef Matrix y            # None: targets are labels
    cdef const int64_t[::1] labels
    cdef const double[::1] sample_weight
    cdef int64_t[::1] chosen
    cdef readonly Py_ssize_t n_samples
    cdef readonly double total_weight
    cdef Samples samples     # pointers to the four

    def __cinit__(self, X not None, y not None, const double[::1] sample_weight=None, double total_weight=0.0,
                  int64_t[::1] chosen=None):
        cdef Py_ssize_t k
        self.X, self.chosen = Matrix(X), chosen
        self.n_samples, self.total_weight = self.X.n_rows if chosen is None else chosen.shape[0], total_weight
        self.samples.X, self.samples.n_samples = self.X.rows, self.n_samples
        if chosen is not None:
            self.samples.order = &self.chosen[0]
            for k in range(self.n_samples):
                if not 0 <= chosen[k] < self.X.n_rows:
                    raise ValueError(f"chosen must be rows of X, got {chosen[k]} of {self.X.n_rows}")
        if sample_weight is None:
            self.total_weight = <double>self.n_samples
        else:
            self.sample_weight = sample_weight
            self.samples.sample_weight = &self.sample_weight[0]
        if y.ndim == 1:
            self.labels = y
            self.samples.labels = &self.labels[0]
        else:
            self.y = Matrix(y)
            self.samples.y = self.y.rows
        self.samples.in_place = self.samples.X.doubles != NULL and self.samples.y.doubles != NULL


cdef const double *rows_of(Shared *shared, Py_ssize_t first, Span rows) noexcept nogil:
    """Inputs (rows, n_in) of a block whose row 0 is row `first` in visiting order; only `rows` of it are gathered.

    Nothing is copied where X holds doubles in the visiting order.
    """
    cdef const Samples *samples = &shared.samples
    cdef Py_ssize_t s, n = shared.sizes.n_in
    cdef const double *X = samples.X.doubles
    cdef const int64_t *order = samples.order + first
    if X == NULL:
        bp_read_rows(&samples.X, samples.order, first + rows.start, rows.stop - rows.start,
                     shared.block.x + rows.start * n)
        return shared.block.x
    if samples.order == NULL:
        return X + first * n
    for s in range(rows.start, rows.stop):
        kernel.gather(n, X + order[s] * n, X + order[min(s + 1, rows.stop - 1)] * n, shared.block.x + s * n)
    return shared.block.x


cdef const double *targets_of(Shared *shared, Py_ssize_t first, Span rows) noexcept nogil:
    """Targets (rows, n_out) of the same rows; a class k becomes 1.0 in column k and 0.0 elsewhere."""
    cdef const Samples *samples = &shared.samples
    cdef double *t = shared.block.t
    cdef Py_ssize_t s, j, row, n = shared.sizes.n_out
    cdef const double *y = samples.y.doubles
    if samples.labels == NULL and y == NULL:
        bp_read_rows(&samples.y, samples.order, first + rows.start, rows.stop - rows.start, t + rows.start * n)
        return t
    if samples.order == NULL and samples.labels == NULL:
        return y + first * n
    for s in range(rows.start, rows.stop):
        row = first + s if samples.order == NULL else samples.order[first + s]
        for j in range(n):
            t[s * n + j] = (1.0 if samples.labels[row] == j else 0.0) if samples.labels != NULL else y[row * n + j]
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
    """Add the sample weights of a piece of rows to those of its batch, from row in_batch of it on, and of its epoch.

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
