# Sums over rows (N19): blocks of 4096 rows in visiting order, joined by a fixed binary tree.
#
# A block is added row by row. When the next one begins, it is joined with as many of the sums before it as the tree
# says, and kept: with b blocks before the current one, as many sums are kept as b has ones in binary, the first of
# which is that of the most blocks.

cdef enum:
    BLOCK_ROWS = 4096    # rows in a block; the last block of a sum may have fewer
    MOST_KEPT = 51       # sums that are kept, at most: no array has 2^63 rows

BLOCK = BLOCK_ROWS


cdef struct RowSum:      # a sum of one number for each row
    double block         # of the current block so far
    double kept[MOST_KEPT]


cdef inline int ones(Py_ssize_t n) noexcept nogil:
    """Number of ones in the binary form of n >= 0."""
    cdef int found = 0
    while n > 0:
        n &= n - 1
        found += 1
    return found


cdef inline Py_ssize_t rows_to_block_end(Py_ssize_t row) noexcept nogil:
    """Rows from row `row` of a sum to the end of its block."""
    return BLOCK_ROWS - row % BLOCK_ROWS


cdef int most_kept(Py_ssize_t rows) noexcept nogil:
    """Most sums that are kept at once while `rows` rows are summed: floor(log2(blocks))."""
    cdef Py_ssize_t blocks = (rows + BLOCK_ROWS - 1) // BLOCK_ROWS
    cdef int found = 0
    while blocks > 1:
        blocks //= 2
        found += 1
    return found


cdef void keep_block(RowSum *sum, Py_ssize_t row) noexcept nogil:
    """Keep the sum of the block before that which begins at row `row`, joined with those that the tree says."""
    cdef Py_ssize_t ended = row // BLOCK_ROWS - 1
    cdef int kept = ones(ended)
    while ended & 1:
        kept -= 1
        sum.block = sum.kept[kept] + sum.block
        ended >>= 1
    sum.kept[kept] = sum.block


cdef inline void next_block(RowSum *sum, Py_ssize_t row) noexcept nogil:
    """Begin the block whose first row is row `row` of the sum."""
    if row > 0:
        keep_block(sum, row)
    sum.block = 0.0


cdef double join_blocks(const RowSum *sum, Py_ssize_t rows) noexcept nogil:
    """The sum of the first `rows` rows: that of the current block, joined with those that are kept."""
    cdef int kept = ones((rows - 1) // BLOCK_ROWS)
    cdef double total = sum.block
    while kept > 0:
        kept -= 1
        total = sum.kept[kept] + total
    return total


cdef inline double tree_sum(const RowSum *sum, Py_ssize_t rows) noexcept nogil:
    """The sum of the first `rows` rows, of which the current block has the last."""
    return sum.block if rows <= BLOCK_ROWS else join_blocks(sum, rows)


cdef void add_rows(RowSum *sum, const double *terms, Py_ssize_t first, Py_ssize_t rows) noexcept nogil:
    """Add terms (rows,), one for each row; the first is that of row `first` of the sum."""
    cdef Py_ssize_t s = 0, stop
    cdef double block
    while s < rows:
        if (first + s) % BLOCK_ROWS == 0:
            next_block(sum, first + s)
        stop = min(rows, s + rows_to_block_end(first + s))
        block = sum.block
        for s in range(s, stop):
            block = block + terms[s]
        s, sum.block = stop, block


def sum_of_weights(const double[::1] weights not None):
    """(s, total): the first row s whose sample weight is no finite number >= 0, or -1; the sum of all, 0.0 with such a
    row.
    """
    cdef Py_ssize_t s, bad = -1
    cdef RowSum sum
    cdef double total = 0.0
    cdef bp_fpenv saved
    if weights.shape[0] == 0:
        return -1, 0.0
    with nogil:
        saved = bp_fpenv_enter()
        for s in range(weights.shape[0]):
            if not 0.0 <= weights[s] <= DBL_MAX:
                bad = s
                break
        if bad < 0:
            add_rows(&sum, &weights[0], 0, weights.shape[0])
            total = tree_sum(&sum, weights.shape[0])
        bp_fpenv_leave(saved)
    return bad, total
