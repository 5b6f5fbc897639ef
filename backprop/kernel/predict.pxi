# Predictions: of many rows by threads, of a few without any Python object but the result.


cdef struct Prediction:
    Shared *shared
    const bp_matrix *X  # (n_samples, n_in)
    double *out         # (n_samples, n_out)
    Py_ssize_t row      # rows [row, stop) are those of this call
    Py_ssize_t stop
    bp_counter taken    # pieces of rows that threads have taken
    Py_ssize_t *bad     # (n_threads,): first row where X or the result is not finite, in each thread's pieces; or stop


cdef void predict_rows(void *argument, int thread) noexcept nogil:
    """Predict piece after piece, each by the thread that is free first, in that thread's part of the work space."""
    cdef Prediction *job = <Prediction *>argument
    cdef Shared *shared = job.shared
    cdef ThreadState *own = &shared.threads[thread]
    cdef Py_ssize_t n_in = shared.sizes.n_in, n_out = shared.sizes.n_out
    cdef Py_ssize_t most = shared.piece.rows // shared.n_threads, start = most * thread, row, rows, k
    cdef const double *a = own.layers[shared.sizes.n_layers - 1].a + start * n_out
    cdef const double *x
    cdef bp_fpenv saved = bp_fpenv_enter()
    while job.bad[thread] == job.stop:
        row = job.row + bp_take(&job.taken) * most
        if row >= job.stop:
            break
        rows = min(most, job.stop - row)
        if job.X.doubles != NULL:
            x = job.X.doubles + row * n_in
        else:
            x = shared.piece.x + start * n_in
            bp_read_rows(job.X, NULL, row, rows, shared.piece.x + start * n_in)
        k = kernel.first_not_finite(rows * n_in, x)
        if k >= 0:
            job.bad[thread] = row + k // n_in
            break
        forward(shared, own, x - start * n_in, Span(start, start + rows))
        memcpy(job.out + row * n_out, a, rows * n_out * sizeof(double))
        k = kernel.first_not_finite(rows * n_out, a)
        if k >= 0:
            job.bad[thread] = row + k // n_out
    bp_fpenv_leave(saved)


def predict(tuple sizes not None, tuple names not None, parameters not None, X not None,
            double[:, ::1] out not None, int n_threads, double thread_work):
    """Predict all rows of X (n_samples, n_in), as in `Matrix`, into out (n_samples, n_out); return a row, or -1.

    The row is the first whose result is not finite if all of X is finite; else one where X or the result is not.
    """
    cdef Matrix rows = Matrix(X)
    cdef Pass work = Pass(sizes, names, parameters, None, rows.n_rows, n_threads, thread_work)
    cdef Shared *shared = &work.shared
    cdef Py_ssize_t[::1] bad = np.empty(shared.n_threads, np.intp)
    cdef Prediction job = Prediction(shared, &rows.rows, &out[0, 0], 0, 0, bp_counter(0), &bad[0])
    cdef Py_ssize_t piece = max(1, <Py_ssize_t>(PAUSE_WORK * shared.n_threads / shared.piece.row_work)), thread, first
    while job.row < rows.n_rows:
        job.stop, job.taken.next = min(job.row + piece, rows.n_rows), 0
        for thread in range(bad.shape[0]):
            bad[thread] = job.stop
        with nogil:
            bp_run(&shared.n_threads, predict_rows, &job)
        first = min(bad)
        if first < job.stop:
            return first
        job.row = job.stop
        PyErr_CheckSignals()
    return -1


cdef class Predictor:
    """Predictions of up to `rows` rows at once, on one thread.

    Checks and passes run without a call into Python and without releasing the GIL, which also keeps the work space to
    one caller at a time.
    """

    cdef Pass work

    def __cinit__(self, tuple sizes not None, tuple names not None, parameters not None, Py_ssize_t rows):
        self.work = Pass(sizes, names, parameters, None, rows, 1, INFINITY)

    def predict(self, X):
        """Predictions (n, n_out) for X (n, n_in), an array of which `readable` is true.

        None if X is anything else, has too many rows, or X or the result is not finite: the caller then finds the error
        or takes the way for many rows.
        """
        cdef Shared *shared = &self.work.shared
        cdef ThreadState *own = &shared.threads[0]
        cdef bp_layer *last = &own.layers[shared.sizes.n_layers - 1]
        cdef const double *x
        cdef double *o
        cdef cnp.npy_intp shape[2]
        cdef bint finite
        cdef bp_fpenv saved
        cdef cnp.ndarray out
        cdef bp_matrix rows
        if not (cnp.PyArray_CheckExact(X) and cnp.PyArray_NDIM(X) == 2):
            return None
        shape[0], shape[1] = cnp.PyArray_DIM(X, 0), shared.sizes.n_out
        if cnp.PyArray_DIM(X, 1) != shared.sizes.n_in or not 0 < shape[0] <= shared.piece.rows:
            return None
        x = <const double *>cnp.PyArray_DATA(X)
        if not (cnp.PyArray_TYPE(X) == cnp.NPY_DOUBLE and cnp.PyArray_ISCARRAY_RO(X)):
            rows.n_columns, rows.data, rows.read = shared.sizes.n_in, <const char *>x, reader_of(X, 0)
            rows.row_stride, rows.column_stride = cnp.PyArray_STRIDE(X, 0), cnp.PyArray_STRIDE(X, 1)
            if rows.read == NULL:
                return None
            x = NULL
        out = cnp.PyArray_EMPTY(2, shape, cnp.NPY_DOUBLE, False)
        o = <double *>cnp.PyArray_DATA(out)
        saved = bp_fpenv_enter()
        if x == NULL:
            bp_read_rows(&rows, NULL, 0, shape[0], shared.piece.x)
            x = shared.piece.x
        forward(shared, own, x, Span(0, shape[0]))
        memcpy(o, last.a, shape[0] * shared.sizes.n_out * sizeof(double))
        finite = (kernel.first_not_finite(shape[0] * shared.sizes.n_in, x) < 0
                  and kernel.first_not_finite(shape[0] * shared.sizes.n_out, o) < 0)
        bp_fpenv_leave(saved)
        return out if finite else None
