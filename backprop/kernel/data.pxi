# Training data, and rows of it in visiting order.


cdef class Data:
    """X (n_samples, n_in) and its targets: y (n_samples, n_out), or classes y (n_samples,) of int64.

    X and y (n_samples, n_out) are read where they lie; each is what `Matrix` takes. sample_weight (n_samples,) has the
    sum total_weight; without it each weight is 1.0. A total_weight of -1.0 stands for n_samples; with 1.0 a mean is the
    sum. chosen (n_chosen,): only these rows of all four, in this order, which are then the n_samples rows; total_weight
    is their sum.

    With `windows`, which has n_samples, X and y are None, and so many rows at a time are here as windows.load(row)
    gives, which begin with this row in visiting order: (X, y, sample_weight, order), where order (n_rows,) of int64 is
    the order in which they are visited, or None. Windows in the order of the rows begin and end where blocks do (N19).
    """

    cdef Matrix X
    cdef Matrix y            # None: targets are labels
    cdef const int64_t[::1] labels
    cdef const double[::1] sample_weight
    cdef int64_t[::1] order
    cdef object windows      # None: all rows are here
    cdef readonly Py_ssize_t n_samples
    cdef readonly double total_weight
    cdef Samples samples     # pointers to the rows that are here

    def __cinit__(self, X, y, const double[::1] sample_weight=None, double total_weight=-1.0, windows=None,
                  int64_t[::1] chosen=None):
        self.windows, self.total_weight = windows, total_weight
        if windows is not None:
            self.n_samples = self.samples.n_samples = windows.n_samples
            self.sample_weight = sample_weight
            self.samples.sample_weight = &self.sample_weight[0] if sample_weight is not None else NULL
        else:
            self.bind(0, X, y, sample_weight, chosen)
            self.n_samples = self.samples.n_samples = self.samples.stop
        if total_weight < 0.0:
            self.total_weight = <double>self.n_samples

    cdef int bind(self, Py_ssize_t start, X, y, const double[::1] sample_weight, int64_t[::1] order) except -1:
        """Point to rows that begin with row `start`; order: only these rows of all four, in this order."""
        cdef Samples *samples = &self.samples
        cdef Py_ssize_t n_rows, k
        self.X, self.y, self.labels, self.sample_weight, self.order = Matrix(X), None, None, sample_weight, order
        n_rows = self.X.n_rows if order is None else order.shape[0]
        samples.start, samples.stop, samples.X = start, start + n_rows, self.X.rows
        samples.sample_weight = &self.sample_weight[0] if sample_weight is not None else NULL
        samples.order, samples.labels, samples.y.doubles = NULL, NULL, NULL
        if order is not None:
            samples.order = &self.order[0]
            for k in range(n_rows):
                if not 0 <= order[k] < self.X.n_rows:
                    raise ValueError(f"an order must be of rows of X, got {order[k]} of {self.X.n_rows}")
        if y.ndim == 1:
            self.labels = y
            samples.labels = &self.labels[0]
        else:
            self.y = Matrix(y)
            samples.y = self.y.rows
        samples.in_place = samples.X.doubles != NULL and samples.y.doubles != NULL
        return 0

    cdef int provide(self, Shared *shared) except -1:
        """Load the window of the next row, sums.row, if it is not here."""
        cdef Py_ssize_t row = shared.sums.row, columns = self.X.n_columns if self.X is not None else shared.sizes.n_in
        if self.windows is None or is_here(&shared.samples, row):
            return 0
        shared.samples.stop = shared.samples.start  # no row is here, should this fail
        X, y, sample_weight, order = self.windows.load(row)
        self.bind(row, X, y, sample_weight, order)
        self.samples.one_epoch = order is not None
        must_be("the columns", "X", columns, self.X.n_columns)
        must_be("the rows", "y", self.X.n_rows, y.shape[0])
        if self.y is not None:
            must_be("the columns", "y", shared.sizes.n_out, self.y.n_columns)
        if self.samples.stop > self.n_samples or self.X.n_rows == 0:
            raise ValueError(f"a window must end at row {self.n_samples} at most, got {self.samples.stop}")
        shared.samples = self.samples
        return 0


cdef inline bint is_here(const Samples *samples, Py_ssize_t row) noexcept nogil:
    """Whether a row is in the window, by its number in visiting order."""
    return samples.start <= row < samples.stop


cdef const double *rows_of(Shared *shared, Py_ssize_t first, Span rows) noexcept nogil:
    """Inputs (rows, n_in) of a piece whose row 0 is row `first` in visiting order; only `rows` of it are gathered.

    Nothing is copied where X holds doubles in the visiting order.
    """
    cdef const Samples *samples = &shared.samples
    cdef Py_ssize_t s, n = shared.sizes.n_in
    cdef const double *X = samples.X.doubles
    cdef const int64_t *order
    first -= samples.start
    order = samples.order + first
    if X == NULL:
        bp_read_rows(&samples.X, samples.order, first + rows.start, rows.stop - rows.start,
                     shared.piece.x + rows.start * n)
        return shared.piece.x
    if samples.order == NULL:
        return X + first * n
    for s in range(rows.start, rows.stop):
        kernel.gather(n, X + order[s] * n, X + order[min(s + 1, rows.stop - 1)] * n, shared.piece.x + s * n)
    return shared.piece.x


cdef const double *targets_of(Shared *shared, Py_ssize_t first, Span rows) noexcept nogil:
    """Targets (rows, n_out) of the same rows; a class k becomes 1.0 in column k and 0.0 elsewhere."""
    cdef const Samples *samples = &shared.samples
    cdef double *t = shared.piece.t
    cdef Py_ssize_t s, j, row, n = shared.sizes.n_out
    cdef const double *y = samples.y.doubles
    first -= samples.start
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
    first -= samples.start
    if samples.sample_weight == NULL or samples.order == NULL:
        return samples.sample_weight + first if samples.sample_weight != NULL else NULL
    for s in range(rows.start, rows.stop):
        shared.piece.sample_weight[s] = samples.sample_weight[samples.order[first + s]]
    return shared.piece.sample_weight


cdef void add_weights(Shared *shared, ThreadState *own, Py_ssize_t first, Py_ssize_t rows,
                      Py_ssize_t in_batch) noexcept nogil:
    """Add the sample weights of a piece of rows to those of its batch, from row in_batch of it on, and of its epoch.

    Each thread does so for itself: no barrier then stands between the sum and the step that divides by it.
    """
    cdef const double *sample_weight = shared.samples.sample_weight + (first - shared.samples.start)
    if shared.samples.order != NULL:
        sample_weight = shared.piece.sample_weight
    add_rows(&own.batch_weight, sample_weight, in_batch, rows)
    add_rows(&own.epoch_weight, sample_weight, first, rows)


cdef inline double weight_of(Shared *shared, const RowSum *weights, Py_ssize_t rows) noexcept nogil:
    """Sum of the sample weights of `rows` rows, as add_weights has left it; without sample weights their number."""
    return <double>rows if shared.samples.sample_weight == NULL else tree_sum(weights, rows)
