cdef class Data:
    """X (n_samples, n_in) and its targets: y (n_samples, n_outputs), or labels (n_samples,) of classes.

    weights (n_samples,) are what the rows count, of which `weight` is the sum; or None, where each counts 1.0.
    """

    cdef const double[:, ::1] X
    cdef const double *y
    cdef const int64_t *labels
    cdef readonly Py_ssize_t n_samples
    cdef const double[:, ::1] y_view
    cdef const int64_t[::1] labels_view
    cdef const double *weights
    cdef const double[::1] weights_view
    cdef readonly double weight

    def __cinit__(self, const double[:, ::1] X not None, y, const double[::1] weights=None, double weight=0.0):
        self.X, self.n_samples, self.weight = X, X.shape[0], weight
        if weights is None:
            self.weight = <double>self.n_samples
        else:
            self.weights_view = weights
            self.weights = &self.weights_view[0]
        if y.ndim == 1:
            self.labels_view = y
            self.labels = &self.labels_view[0]
        else:
            self.y_view = y
            self.y = &self.y_view[0, 0]


cdef const double *rows_of(Shared *shared, Py_ssize_t first, Span rows) noexcept nogil:
    """These of the rows from the first on, in visiting order: where they lie if that is the order of X, else gathered.

    Returns where row 0 of the block is, or would be.
    """
    cdef Py_ssize_t s, n = shared.n_in
    cdef const int64_t *order = shared.order + first
    if shared.order == NULL:
        return shared.X + first * n
    for s in range(rows.start, rows.stop):
        kernel.gather(n, shared.X + order[s] * n, shared.X + order[min(s + 1, rows.stop - 1)] * n, shared.x + s * n)
    return shared.x


cdef const double *targets_of(Shared *shared, Py_ssize_t first, Span rows) noexcept nogil:
    """Their targets; a label k is the row with 1.0 in column k and 0.0 elsewhere."""
    cdef Py_ssize_t s, j, row, n = shared.n_out
    if shared.order == NULL and shared.labels == NULL:
        return shared.y + first * n
    for s in range(rows.start, rows.stop):
        row = first + s if shared.order == NULL else shared.order[first + s]
        for j in range(n):
            shared.t[s * n + j] = ((1.0 if shared.labels[row] == j else 0.0) if shared.labels != NULL
                                   else shared.y[row * n + j])
    return shared.t


cdef const double *row_weights(Shared *shared, Py_ssize_t first, Span rows) noexcept nogil:
    """What they count, or NULL if each counts 1.0."""
    cdef Py_ssize_t s
    if shared.weights == NULL or shared.order == NULL:
        return shared.weights + first if shared.weights != NULL else NULL
    for s in range(rows.start, rows.stop):
        shared.c[s] = shared.weights[shared.order[first + s]]
    return shared.c


cdef void add_weights(Shared *shared, ThreadState *block, Py_ssize_t first, Py_ssize_t rows,
                      bint first_of_batch) noexcept nogil:
    """Add what the rows of a block count, row after row, to what its batch and its epoch count."""
    cdef Py_ssize_t s
    cdef const double *c = shared.weights + first
    cdef double of_batch = 0.0 if first_of_batch else block.of_batch
    cdef double of_epoch = 0.0 if first == 0 else block.of_epoch
    if shared.order != NULL:
        c = shared.c
    for s in range(rows):
        of_batch = of_batch + c[s]
        of_epoch = of_epoch + c[s]
    block.of_batch, block.of_epoch = of_batch, of_epoch
