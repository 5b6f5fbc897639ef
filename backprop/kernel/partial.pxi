# Partial sums: sums over some of the blocks (N19), joined elsewhere.


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
