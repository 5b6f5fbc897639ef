# Matrices that are read where they lie: arrays of any kind and strides, and CSR matrices.


cdef bp_read_row *reader_of(cnp.ndarray array, Py_ssize_t index_size):
    """The reader of an array's numbers; NULL if there is none for its kind, byte order or alignment."""
    cdef object dtype = array.dtype
    cdef str kind = dtype.kind
    if not cnp.PyArray_ISBEHAVED_RO(array):
        return NULL
    return bp_reader(<char>ord(kind), dtype.itemsize, index_size)


def readable(array not None):
    """Whether the kernel reads an array's rows where they lie, so that nobody has to convert it."""
    return reader_of(array, 0) != NULL


cdef class Matrix:
    """Rows of numbers, (n_rows, n_columns), read as doubles.

    `of`: an array (n_rows, n_columns), or (n_rows,), which is one column; or an object with the arrays data, indices
    and indptr of a CSR matrix, and its shape. `readable` must be true of the array, or of data.
    """

    cdef bp_matrix rows
    cdef readonly Py_ssize_t n_rows
    cdef readonly Py_ssize_t n_columns
    cdef tuple arrays       # those that `rows` points into: the array itself, or data, indices and indptr
    cdef bint can_overflow  # a sum of numbers of the same place, in CSR, may not be finite
    cdef bint is_float      # the numbers may be NaN or infinite

    def __cinit__(self, of not None):
        cdef cnp.ndarray data = of if isinstance(of, np.ndarray) else of.data
        self.n_rows, self.n_columns = of.shape if len(of.shape) == 2 else (of.shape[0], 1)
        self.rows.n_columns, self.rows.data = self.n_columns, <const char *>cnp.PyArray_DATA(data)
        self.is_float, self.arrays = data.dtype.kind == "f", (data,)
        if data is not of:
            self.bind_csr(data, of.indices, of.indptr)
            return
        self.rows.read = reader_of(data, 0)
        self.rows.column_stride = cnp.PyArray_STRIDE(data, data.ndim - 1)
        self.rows.row_stride = cnp.PyArray_STRIDE(data, 0)
        if self.rows.read == NULL:
            raise ValueError(f"no reader for an array of dtype {data.dtype}")
        if data.dtype == np.float64 and cnp.PyArray_IS_C_CONTIGUOUS(data):
            self.rows.doubles = <const double *>cnp.PyArray_DATA(data)

    cdef int bind_csr(self, cnp.ndarray data, cnp.ndarray indices, cnp.ndarray indptr) except -1:
        """Point to the arrays of a CSR matrix, whose indices are checked: reading trusts them."""
        cdef Py_ssize_t size = indices.dtype.itemsize
        cdef int state
        self.arrays = data, indices, indptr
        for array in self.arrays:
            if array.ndim != 1 or not (array.flags.c_contiguous and array.flags.aligned and array.dtype.isnative):
                raise ValueError("the arrays of a CSR matrix must be contiguous vectors")
        if indices.dtype.kind != "i" or indptr.dtype != indices.dtype or indptr.shape[0] != self.n_rows + 1:
            raise ValueError("the indices of a CSR matrix must be int32 or int64, and indptr one longer than its rows")
        self.rows.indices, self.rows.indptr = cnp.PyArray_DATA(indices), cnp.PyArray_DATA(indptr)
        self.rows.n_stored = min(data.shape[0], indices.shape[0])
        self.rows.read = reader_of(data, size)
        if self.rows.read == NULL:
            raise ValueError(f"no reader for a CSR matrix of {data.dtype} with indices of {indices.dtype}")
        with nogil:
            state = bp_check_csr(&self.rows, self.n_rows, size)
        if state == 0:
            raise ValueError("an index of a CSR matrix lies outside of it")
        self.can_overflow = state == 2
        return 0

    cdef double[::1] buffer(self):
        """Room for some rows: about 32 KB, or one row."""
        return np.empty(max(1, 4096 // max(1, self.n_columns)) * max(1, self.n_columns))

    cdef Py_ssize_t first_not_finite(self):
        """Index of the first number, row by row, that is NaN or infinite; -1 if there is none."""
        cdef Py_ssize_t row = 0, found = -1, n = self.n_columns, step
        cdef const bp_matrix *rows = &self.rows
        cdef double[::1] buffer
        cdef bp_fpenv saved
        if n == 0 or self.n_rows == 0 or not (self.is_float or self.can_overflow):
            return -1
        if rows.indptr != NULL and not self.can_overflow and Matrix(self.arrays[0]).first_not_finite() < 0:
            return -1
        buffer = self.buffer()
        step = self.n_rows if rows.doubles != NULL else buffer.shape[0] // n
        with nogil:
            saved = bp_fpenv_enter()
            while row < self.n_rows and found < 0:
                step = min(step, self.n_rows - row)
                found = kernel.first_not_finite(step * n, self.piece(row, step, &buffer[0]))
                if found >= 0:
                    found += row * n
                row += step
            bp_fpenv_leave(saved)
        return found

    cdef const double *piece(self, Py_ssize_t first, Py_ssize_t rows, double *buffer) noexcept nogil:
        """Rows first, first + 1, ... as doubles (rows, n_columns), in the buffer if they do not lie so already."""
        if self.rows.doubles != NULL:
            return self.rows.doubles + first * self.n_columns
        bp_read_rows(&self.rows, NULL, first, rows, buffer)
        return buffer


def doubles(matrix not None):
    """The rows of a matrix that the kernel reads, as a C-contiguous array of float64 (n_rows, n_columns)."""
    cdef Matrix given = Matrix(matrix)
    out = np.empty((given.n_rows, given.n_columns))
    cdef double[:, ::1] rows = out
    cdef bp_fpenv saved
    if out.size > 0:
        with nogil:
            saved = bp_fpenv_enter()
            bp_read_rows(&given.rows, NULL, 0, given.n_rows, &rows[0, 0])
            bp_fpenv_leave(saved)
    return out
