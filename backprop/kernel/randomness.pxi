cdef uint64_t TWO_32 = 1ULL << 32


cdef bitgen_t *bitgen_of(stream) except NULL:
    return <bitgen_t *>PyCapsule_GetPointer(stream.capsule, "BitGenerator")


cdef inline double uniform(bitgen_t *stream) noexcept nogil:
    return <double>(stream.next_uint64(stream.state) >> 11) * 1.1102230246251565e-16  # 2**-53


cdef inline uint64_t below(bitgen_t *stream, uint64_t n) noexcept nogil:
    """Lemire 2019: an unbiased integer below n < 2**32 from the upper half of a word."""
    cdef uint64_t m = (stream.next_uint64(stream.state) >> 32) * n
    cdef uint64_t rejected
    if <uint32_t>m < n:  # what is rejected is less than n: mostly the division is saved
        rejected = (TWO_32 - n) % n
        while <uint32_t>m < rejected:
            m = (stream.next_uint64(stream.state) >> 32) * n
    return m >> 32


cdef Py_ssize_t shuffled(bitgen_t *stream, int64_t *order, Py_ssize_t i, Py_ssize_t steps) noexcept nogil:
    """So many steps of a shuffle, with i from where it stands down to 1; returns where it then stands."""
    cdef Py_ssize_t j, stop = max(i - steps, 0)
    for i in range(i, stop, -1):
        j = below(stream, i + 1)
        order[i], order[j] = order[j], order[i]
    return stop


def order(stream, Py_ssize_t n):
    """A shuffled order of n rows."""
    cdef int64_t[::1] order = np.arange(n, dtype=np.int64)
    cdef bitgen_t *bitgen = bitgen_of(stream)
    if n > 1:
        with nogil:
            shuffled(bitgen, &order[0], n - 1, n)
    return np.asarray(order)


cdef void normal_pair(bitgen_t *bitgen, double *pair) noexcept nogil:
    """Marsaglia and Bray 1964: two standard normal numbers, by the polar method."""
    cdef double u, v, s = 0.0, f
    while not 0.0 < s < 1.0:
        u = 2.0 * uniform(bitgen) - 1.0
        v = 2.0 * uniform(bitgen) - 1.0
        s = u * u + v * v
    f = sqrt((-2.0 * cr_log(s)) / s)
    pair[0], pair[1] = u * f, v * f


def initial_parameters(tuple sizes not None, stream, double factor, bint both, bint normal, double hidden_bias,
                       double[::1] out not None):
    """Weights of the variance that the initializer's rule says; each bias hidden_bias, an output's 0.0."""
    cdef bitgen_t *bitgen = bitgen_of(stream)
    cdef Py_ssize_t n_in, n_out, k = 0, start, end
    cdef double width
    cdef double[2] pair
    cdef bp_fpenv saved
    for n_in, n_out in zip(sizes, sizes[1:]):
        saved = bp_fpenv_enter()
        width = sqrt(factor / <double>(n_in + n_out if both else n_in))
        start, end = k, k + n_in * n_out
        while k < end:
            if not normal:
                out[k] = (2.0 * uniform(bitgen) - 1.0) * width
            else:
                if (k - start) % 2 == 0:
                    normal_pair(bitgen, pair)
                out[k] = pair[(k - start) % 2] * width
            k += 1
        end = k + n_out
        while k < end:
            out[k] = hidden_bias if end < out.shape[0] else 0.0
            k += 1
        bp_fpenv_leave(saved)
