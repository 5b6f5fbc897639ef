# Threads that take blocks of a sum over rows (N19), each in work space of its own, and wait for each other only at the
# end of a call. Where they share pieces of rows instead (loss.pxi), they meet several times in each piece: that pays
# where a row takes much work.

# Blocks for each thread, at least: fewer would leave a thread without work at the end of the sum.
cdef int FEWEST_BLOCKS = 8

# Blocks in one call, at most: each has a gradient of its own.
cdef Py_ssize_t MOST_BLOCKS = 64


cdef struct BlocksOfCall:         # the blocks of one call
    Shared **workers        # (n_threads,): each thread's work space
    Py_ssize_t first        # number of the first block in the sum
    Py_ssize_t count
    bp_counter taken        # blocks that threads have taken
    bint to_the_end         # whether blocks are summed to their ends, though a sum of losses overflows
    double *g               # (count, n_parameters): the gradient of each block; NULL: no backward pass
    double *losses          # (count,): the sum of the losses of each block
    Py_ssize_t *overflow    # (count,): row at which that sum stopped being finite; -1: none


cdef bint blocks_pay(Pass work, Py_ssize_t rows) noexcept:
    """Whether threads should take blocks: there are enough, and one takes no longer than a call may (20 ms)."""
    cdef Shared *shared = &work.shared
    return (work.allowed > 1 and rows >= BLOCK_ROWS * FEWEST_BLOCKS * work.allowed
            and BLOCK_ROWS * shared.piece.row_work <= PAUSE_WORK)


cdef void visit_block(Shared *own, BlocksOfCall *job, Py_ssize_t k) noexcept nogil:
    """The sums of block k of a call, by one thread; its sum of losses begins anew, so `kept` means nothing here."""
    cdef Py_ssize_t row = (job.first + k) * BLOCK_ROWS, stop = min(own.samples.stop, row + BLOCK_ROWS), rows, l
    cdef double *g
    job.overflow[k] = -1
    if own.sums.g != NULL:
        g = job.g + k * own.sizes.n_parameters
        for l in range(own.sizes.n_layers):
            own.threads.layers[l].dW = g
            g += (own.threads.layers[l].n_in + 1) * own.threads.layers[l].n
    while row < stop:
        rows = min(own.piece.rows, stop - row)
        visit(own, 0, row, rows, row % BLOCK_ROWS)
        if not fabs(own.sums.losses.block) <= DBL_MAX and not job.to_the_end:
            job.overflow[k] = overflow_in(own, row)
            break
        row += rows
    job.losses[k] = own.sums.losses.block


cdef void visit_blocks(void *argument, int thread) noexcept nogil:
    """One thread's part of a call: block after block, each by the thread that is free first."""
    cdef BlocksOfCall *job = <BlocksOfCall *>argument
    cdef Shared *own = job.workers[thread]
    cdef bp_fpenv saved = bp_fpenv_enter()
    cdef Py_ssize_t k = bp_take(&job.taken)
    if own.sums.g != NULL and k < job.count:
        transpose(own, own.threads, 0)
    while k < job.count:
        visit_block(own, job, k)
        k = bp_take(&job.taken)
    bp_fpenv_leave(saved)


cdef class BlockWorkers:
    """The work space of each thread that takes blocks of a sum of `rows` rows by a Pass."""

    cdef list passes             # of the threads
    cdef bytearray pointers      # (n_threads,) of Shared *
    cdef Workspace space
    cdef double[::1] losses
    cdef Py_ssize_t[::1] overflow
    cdef BlocksOfCall job
    cdef Py_ssize_t most         # blocks in one call
    cdef int n_threads

    def __cinit__(self, Pass work not None, Py_ssize_t rows):
        cdef Py_ssize_t n = work.shared.sizes.n_parameters
        cdef double in_time = PAUSE_WORK / (BLOCK_ROWS * work.shared.piece.row_work)
        cdef Pass one
        cdef int thread
        cdef bint backward = work.shared.sums.g != NULL
        self.n_threads = work.allowed
        self.most = max(self.n_threads, min(MOST_BLOCKS, <Py_ssize_t>(in_time * self.n_threads)))
        self.losses, self.overflow = np.empty(self.most), np.empty(self.most, np.intp)
        self.job.losses, self.job.overflow = &self.losses[0], &self.overflow[0]
        if backward:
            self.space = Workspace(self.most * n)
            self.job.g = self.space.take(self.most * n)
        self.pointers = bytearray(self.n_threads * sizeof(Shared *))
        self.job.workers = <Shared **>PyByteArray_AS_STRING(self.pointers)
        self.passes = []
        for thread in range(self.n_threads):
            one = Pass(work.sizes, work.names, work.parameters, work.gradient if backward else None,
                       min(rows, BLOCK_ROWS), 1, INFINITY)
            one.shared.sums.loss, one.shared.sums.search = work.shared.sums.loss, work.shared.sums.search
            one.shared.sums.g = self.job.g
            self.passes.append(one)
            self.job.workers[thread] = &one.shared

    cdef bint not_finite(self) noexcept nogil:
        """Whether a number of X that a thread has searched is not finite."""
        cdef int thread
        for thread in range(self.n_threads):
            if self.job.workers[thread].threads.not_finite:
                return True
        return False

    cdef void run(self, Shared *shared, bint to_the_end) noexcept nogil:
        """About 20 ms of the sums over all rows: blocks from row sums.row on, then their place in the tree.

        Ends as visit_all does: with the sums of all, or at the row where the first block's sum of losses overflows,
        unless it goes on to the end.
        """
        cdef BlocksOfCall *job = &self.job
        cdef Sums *sums = &shared.sums
        cdef Py_ssize_t n = shared.samples.n_samples, k
        cdef int n_threads = self.n_threads, thread
        cdef bp_fpenv saved
        job.first, job.taken.next, job.to_the_end = sums.row // BLOCK_ROWS, 0, to_the_end
        job.count = min(self.most, (shared.samples.stop + BLOCK_ROWS - 1) // BLOCK_ROWS - job.first)
        for thread in range(n_threads):
            job.workers[thread].samples = shared.samples
        bp_run(&n_threads, visit_blocks, job)
        saved = bp_fpenv_enter()
        for k in range(job.count):
            next_block(&sums.losses, sums.row)
            sums.losses.block = job.losses[k]
            if job.overflow[k] >= 0:
                sums.row = job.overflow[k]
                break
            if sums.g != NULL:
                for thread in range(shared.n_threads if sums.row > 0 else 0):
                    keep_gradient(shared, &shared.threads[thread], thread, sums.row)
                memcpy(sums.g, job.g + k * shared.sizes.n_parameters, shared.sizes.n_parameters * sizeof(double))
            sums.row = min(n, sums.row + BLOCK_ROWS)
        if sums.g != NULL and sums.row == n:
            for thread in range(shared.n_threads):
                join_gradients(shared, &shared.threads[thread], thread, n)
        bp_fpenv_leave(saved)
