# Partial sums: sums over some of the blocks (N19). They are joined elsewhere, for a LossPass of rows that are there.


def joined(const double[::1] left not None, const double[::1] right not None):
    """The sums left + right (n,), element by element, of neighbouring nodes of the tree."""
    cdef double[::1] out = np.empty(left.shape[0])
    cdef bp_fpenv saved
    must_be("the sums", "neighbouring nodes", left.shape[0], right.shape[0])
    if left.shape[0] > 0:
        with nogil:
            saved = bp_fpenv_enter()
            kernel.axpy(left.shape[0], &left[0], 1.0, &right[0], &out[0])
            bp_fpenv_leave(saved)
    return np.asarray(out)


def divide_sums(const double[::1] sums not None, double total_weight, double[::1] out not None):
    """The means sums/total_weight into out; both (n,)."""
    cdef bp_fpenv saved
    must_be("the means", "sums", sums.shape[0], out.shape[0])
    if sums.shape[0] > 0:
        with nogil:
            saved = bp_fpenv_enter()
            memcpy(&out[0], &sums[0], sums.shape[0] * sizeof(double))
            kernel.mean_gradient(sums.shape[0], total_weight, &out[0])
            bp_fpenv_leave(saved)


def equations(LevenbergMarquardt method not None):
    """A and b of the method's last iteration, row after row: A[i][i:], then b[i]."""
    cdef Damped *job = &method.job
    cdef Py_ssize_t n = method.shared.sizes.n_parameters, i, at = 0
    cdef double[::1] packed = np.empty(n * (n + 3) // 2)
    for i in range(n):
        memcpy(&packed[at], job.A + i * job.stride + i, (n + 1 - i) * sizeof(double))
        at += n + 1 - i
    return np.asarray(packed)


def take_equations(LevenbergMarquardt method not None, const double[::1] packed not None):
    """Give the method A and b, as `equations` has them, for rows that are elsewhere."""
    cdef Damped *job = &method.job
    cdef Py_ssize_t n = method.shared.sizes.n_parameters, i, at = 0
    must_be("the sums", "the normal equations", n * (n + 3) // 2, packed.shape[0])
    for i in range(n):
        memcpy(job.A + i * job.stride + i, &packed[at], (n + 1 - i) * sizeof(double))
        at += n + 1 - i
