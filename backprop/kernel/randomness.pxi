# Randomness: raw 64-bit words of a NumPy bit generator that nothing else uses meanwhile, so that no lock is taken.

cdef uint64_t TWO_32 = 1ULL << 32


cdef bitgen_t *bitgen_of(stream) except NULL:
    """The C face of a NumPy BitGenerator, which must outlive it."""
    return <bitgen_t *>PyCapsule_GetPointer(stream.capsule, "BitGenerator")


cdef inline double uniform(bitgen_t *bitgen) noexcept nogil:
    """A multiple of 2^-53 in [0, 1): the upper 53 bits of a word."""
    return <double>(bitgen.next_uint64(bitgen.state) >> 11) * 1.1102230246251565e-16  # 2**-53


cdef inline uint64_t below(bitgen_t *bitgen, uint64_t n) noexcept nogil:
    """An unbiased integer in [0, n), n < 2^32, from the upper half of a word (Lemire 2019)."""
    cdef uint64_t m = (bitgen.next_uint64(bitgen.state) >> 32) * n
    cdef uint64_t rejected
    if <uint32_t>m < n:  # the number of rejected values is below n: this test mostly saves the division
        rejected = (TWO_32 - n) % n
        while <uint32_t>m < rejected:
            m = (bitgen.next_uint64(bitgen.state) >> 32) * n
    return m >> 32


cdef Py_ssize_t shuffled(bitgen_t *bitgen, int64_t *order, Py_ssize_t i, Py_ssize_t steps) noexcept nogil:
    """Up to `steps` steps of a Fisher-Yates shuffle of order (n,), at i, i - 1, ..., 1; return the next i, or 0."""
    cdef Py_ssize_t j, stop = max(i - steps, 0)
    for i in range(i, stop, -1):
        j = below(bitgen, i + 1)
        order[i], order[j] = order[j], order[i]
    return stop


def order(stream, Py_ssize_t n):
    """A shuffled order (n,) of n rows."""
    cdef int64_t[::1] order = np.arange(n, dtype=np.int64)
    cdef bitgen_t *bitgen = bitgen_of(stream)
    if n > 1:
        with nogil:
            shuffled(bitgen, &order[0], n - 1, n)
    return np.asarray(order)


cdef void normal_pair(bitgen_t *bitgen, double *pair) noexcept nogil:
    """Two standard normal numbers by the polar method (Marsaglia and Bray 1964) into pair (2,)."""
    cdef double u, v, s = 0.0, f
    while not 0.0 < s < 1.0:
        u = 2.0 * uniform(bitgen) - 1.0
        v = 2.0 * uniform(bitgen) - 1.0
        s = u * u + v * v
    f = sqrt((-2.0 * cr_log(s)) / s)
    pair[0], pair[1] = u * f, v * f


def initial_parameters(tuple sizes not None, stream, double factor, bint both, bint normal, double hidden_bias,
                       double[::1] out not None):
    """Fill out (n_parameters,) with random weights; biases are hidden_bias, those of the output layer 0.0.

    Weights are uniform in [-width, width) or normal of standard deviation width = sqrt(factor/n), n = n_in, or
    n_in + n_out for `both`.
    """
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
