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


cdef int64_t[::1] shuffle_into(int64_t[::1] order, Py_ssize_t rows, Py_ssize_t window, Shuffle *shuffle):
    """Set up a shuffle of n > 0 rows into order (n,), by windows of blocks; return the memory of the blocks' order."""
    cdef int64_t[::1] blocks
    if rows < 1 or window < 1:
        raise ValueError(f"rows and window must be at least 1, got {rows} and {window}")
    blocks = np.empty((order.shape[0] - 1) // rows + 1, np.int64)
    shuffle.n, shuffle.n_blocks, shuffle.rows, shuffle.window = order.shape[0], blocks.shape[0], rows, window
    shuffle.order, shuffle.blocks, shuffle.chosen = &order[0], &blocks[0], NULL
    return blocks


cdef void begin_shuffle(Shuffle *shuffle) noexcept nogil:
    """Begin with the order 0, 1, 2, ... of the blocks."""
    cdef Py_ssize_t k
    for k in range(shuffle.n_blocks):
        shuffle.blocks[k] = k
    shuffle.block_swaps = shuffle.n_blocks - 1
    shuffle.next_block = shuffle.start = shuffle.stop = shuffle.swaps = 0


cdef void list_window(Shuffle *shuffle) noexcept nogil:
    """Put the rows of the next window into the order, block after block."""
    cdef Py_ssize_t k, s, first, end = shuffle.next_block + min(shuffle.window, shuffle.n_blocks - shuffle.next_block)
    shuffle.start = shuffle.stop
    for k in range(shuffle.next_block, end):
        first = shuffle.blocks[k] * shuffle.rows
        for s in range(first, first + min(shuffle.rows, shuffle.n - first)):
            shuffle.order[shuffle.stop] = s if shuffle.chosen == NULL else shuffle.chosen[s]
            shuffle.stop += 1
    shuffle.next_block, shuffle.swaps = end, shuffle.stop - shuffle.start - 1


cdef bint block_shuffled(bitgen_t *bitgen, Shuffle *shuffle, Py_ssize_t steps) noexcept nogil:
    """Up to `steps` steps of a shuffle that has begun, a window counted as one; whether any are left.

    The order of the blocks is shuffled, then the rows of each window, which are not listed before.
    """
    cdef Py_ssize_t left = shuffle.block_swaps
    shuffle.block_swaps = shuffled(bitgen, shuffle.blocks, left, steps)
    steps -= left - shuffle.block_swaps
    while steps > 0 and (shuffle.swaps > 0 or shuffle.next_block < shuffle.n_blocks):
        if shuffle.swaps == 0:
            list_window(shuffle)
            steps -= 1
        left = shuffle.swaps
        shuffle.swaps = shuffled(bitgen, shuffle.order + shuffle.start, left, steps)
        steps -= left - shuffle.swaps
    return shuffle.block_swaps > 0 or shuffle.swaps > 0 or shuffle.next_block < shuffle.n_blocks


def order(stream, Py_ssize_t n, Py_ssize_t rows=0, Py_ssize_t window=1):
    """A shuffled order (n,) of n rows, by windows of blocks of so many rows; rows = 0: of all rows at once."""
    cdef int64_t[::1] order = np.empty(n, np.int64), blocks
    cdef bitgen_t *bitgen = bitgen_of(stream)
    cdef Shuffle shuffle
    if n > 0:
        blocks = shuffle_into(order, rows or n, window, &shuffle)
        with nogil:
            begin_shuffle(&shuffle)
            while block_shuffled(bitgen, &shuffle, SHUFFLE_STEPS):
                pass
    return np.asarray(order)


def shuffle(stream, int64_t[::1] rows not None):
    """Shuffle rows (k,) in place, by the words and swaps that shuffle the order 0, ..., k - 1.

    Where a window of blocks is read at a time: `order` of the number of blocks, then this for the rows of each window,
    make the order that `order` makes of them all.
    """
    cdef bitgen_t *bitgen = bitgen_of(stream)
    if rows.shape[0] > 1:
        with nogil:
            shuffled(bitgen, &rows[0], rows.shape[0] - 1, rows.shape[0])


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
