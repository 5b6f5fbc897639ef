cdef struct Prediction:
    Shared *shared
    const double *X
    double *out
    Py_ssize_t row      # the first of the rows to do, and the one to stop before
    Py_ssize_t stop
    bp_counter taken    # blocks of them, each of as many rows as a thread has room for
    Py_ssize_t *bad     # (n_threads,): the first row where X or the result is not finite, or stop


cdef void predict_rows(void *argument, int thread) noexcept nogil:
    """Predict block after block, each by the thread that is free first."""
    cdef Prediction *job = <Prediction *>argument
    cdef Shared *shared = job.shared
    cdef ThreadState *block = &shared.blocks[thread]
    cdef Py_ssize_t most = shared.rows // shared.n_threads, start = most * thread, row, rows, k
    cdef const double *a = block.layers[shared.n_layers - 1].a + start * shared.n_out
    cdef bp_fpenv saved = bp_fpenv_enter()
    while job.bad[thread] == job.stop:
        row = job.row + bp_take(&job.taken) * most
        if row >= job.stop:
            break
        rows = min(most, job.stop - row)
        k = kernel.first_not_finite(rows * shared.n_in, job.X + row * shared.n_in)
        if k >= 0:
            job.bad[thread] = row + k // shared.n_in
            break
        forward(shared, block, job.X + (row - start) * shared.n_in, Span(start, start + rows))
        memcpy(job.out + row * shared.n_out, a, rows * shared.n_out * sizeof(double))
        k = kernel.first_not_finite(rows * shared.n_out, a)
        if k >= 0:
            job.bad[thread] = row + k // shared.n_out
    bp_fpenv_leave(saved)


def predict(tuple sizes not None, tuple names not None, const double[::1] parameters not None,
            const double[:, ::1] X not None, double[:, ::1] out not None, int n_threads):
    """Predict all rows; return one where X or the result is not finite, the first if X is finite, or -1."""
    cdef Pass work = Pass(sizes, names, parameters, X.shape[0], n_threads)
    cdef Shared *shared = &work.shared
    cdef Py_ssize_t[::1] bad = np.empty(shared.n_threads, np.intp)
    cdef Prediction job = Prediction(shared, &X[0, 0], &out[0, 0], 0, 0, bp_counter(0), &bad[0])
    cdef Py_ssize_t piece = max(1, <Py_ssize_t>(PAUSE_AFTER * shared.n_threads / shared.row_work)), thread, first
    while job.row < X.shape[0]:
        job.stop, job.taken.next = min(job.row + piece, X.shape[0]), 0
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


cdef class Predictor(Pass):
    """For a few rows: the whole prediction, its checks included, without a word of Python and without leaving the GIL.

    That keeps the work space to one caller at a time.
    """

    def __cinit__(self, *arguments):
        pass

    def predict(self, X):
        """The prediction for an array of a few rows, or None: whoever asks must see what is wrong, or take longer."""
        cdef Shared *shared = &self.shared
        cdef ThreadState *block = &shared.blocks[0]
        cdef bp_layer *last = &block.layers[shared.n_layers - 1]
        cdef const double *x
        cdef double *o
        cdef cnp.npy_intp shape[2]
        cdef bint finite
        cdef bp_fpenv saved
        cdef cnp.ndarray out
        if not (cnp.PyArray_CheckExact(X) and cnp.PyArray_NDIM(X) == 2 and cnp.PyArray_TYPE(X) == cnp.NPY_DOUBLE
                and cnp.PyArray_ISCARRAY_RO(X)):
            return None
        shape[0], shape[1] = cnp.PyArray_DIM(X, 0), shared.n_out
        if cnp.PyArray_DIM(X, 1) != shared.n_in or not 0 < shape[0] <= shared.rows:
            return None
        out = cnp.PyArray_EMPTY(2, shape, cnp.NPY_DOUBLE, False)
        x, o = <const double *>cnp.PyArray_DATA(X), <double *>cnp.PyArray_DATA(out)
        saved = bp_fpenv_enter()
        forward(shared, block, x, Span(0, shape[0]))
        memcpy(o, last.a, shape[0] * shared.n_out * sizeof(double))
        finite = (kernel.first_not_finite(shape[0] * shared.n_in, x) < 0
                  and kernel.first_not_finite(shape[0] * shared.n_out, o) < 0)
        bp_fpenv_leave(saved)
        return out if finite else None
