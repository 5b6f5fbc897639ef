# Passes of pieces of rows through a network. Threads share the rows of a piece in the forward pass and in the deltas,
# the inputs of each layer in the gradient.

# Most rows in one piece. A packed panel of weights is used once per row of the piece, so many rows are better; its work
# space (2^21 doubles, 16 MB) bounds them, but for wide layers there are 128 all the same.
cdef Py_ssize_t PIECE_ROWS = 512
cdef Py_ssize_t PIECE_DOUBLES = 1 << 21
cdef Py_ssize_t FEWEST_ROWS = 128


cdef Py_ssize_t piece_rows(Py_ssize_t rows, Py_ssize_t width) noexcept nogil:
    """Rows in one piece, for `rows` in all of `width` doubles each: pieces of equal size, as few as there may be.

    No piece reaches beyond a block (N19): of more rows than a block's, the pieces are those of a block.
    """
    cdef Py_ssize_t most = max(1, min(PIECE_ROWS, max(FEWEST_ROWS, PIECE_DOUBLES // width))), pieces
    rows = min(rows, BLOCK_ROWS)
    pieces = max(1, (rows + most - 1) // most)
    return max(1, (rows + pieces - 1) // pieces)


cdef class Pass:
    """A network's layers, bound to its parameters and to the work space of one piece of rows.

    sizes (n_layers + 1,) and names (n_layers,) of the activations as in Network; parameters (n_parameters,); gradient
    (n_parameters,), or None for no backward pass; rows that a piece should hold, at most; n_threads that may work, of
    which each gets at least thread_work multiply-adds a piece; more_work: multiply-adds that a row takes beside its
    passes. One LossPass may use it.
    """

    cdef Shared shared
    cdef tuple sizes
    cdef tuple names
    cdef object parameters
    cdef const double[::1] w     # view of parameters
    cdef double[::1] gradient
    cdef Workspace space
    cdef Workspace kept          # of Sums.kept; None: sums of one block
    cdef bytearray states        # (n_threads,) of ThreadState, then (n_threads, n_layers) of bp_layer
    cdef int allowed             # the threads that may work, before it is asked whether their shares would be too small
    cdef bint taken              # a LossPass uses it

    def __cinit__(self, tuple sizes not None, tuple names not None, parameters not None, gradient, Py_ssize_t rows,
                  int n_threads, double thread_work, double more_work=0.0):
        cdef Shared *shared = &self.shared
        cdef Piece *piece = &shared.piece
        cdef Py_ssize_t n_layers = len(names), n_parameters = 0, transposed = 0, width, worth, doubles, own, l
        cdef bint backward = gradient is not None
        self.sizes, self.names, self.parameters, self.w, self.gradient = sizes, names, parameters, parameters, gradient
        if n_layers < 1:
            raise ValueError("a network must have a layer")
        must_be("the activations", sizes, len(sizes) - 1, n_layers)
        width = sizes[0] + 2 * sizes[n_layers]
        for l in range(n_layers):
            n_parameters += (sizes[l] + 1) * sizes[l + 1]
            width += sizes[l + 1] * (2 if backward else 1)
            if backward and l < n_layers - 1 and activations[ACTIVATIONS.index(names[l])].of_z:
                width += sizes[l + 1]
            if backward and l > 0:
                transposed += aligned(sizes[l] * sizes[l + 1])
        must_be("the parameters", sizes, n_parameters, self.w.shape[0])
        if backward:
            must_be("the gradients", sizes, n_parameters, self.gradient.shape[0])
        shared.sizes = Sizes(n_layers, sizes[0], sizes[n_layers], n_parameters)
        piece.rows = rows = piece_rows(rows, width)
        piece.row_work = <double>n_parameters * (3 if backward else 1) + 16.0 * width
        piece.row_work += more_work
        self.allowed = n_threads
        worth = <Py_ssize_t>min(1e6, rows * piece.row_work / thread_work)
        n_threads = max(1, min(n_threads, min(rows, worth)))
        doubles = (width + 4) * rows + 8 * (5 + 4 * n_layers) + transposed
        own = aligned(BP_RATES + BP_SCALARS)
        own += kernel.scratch(max(BP_PASS_PIVOTS, rows * shared.sizes.n_out, *sizes), max(sizes))
        self.space = Workspace(doubles + n_threads * aligned(own))
        self.states = bytearray(n_threads * (sizeof(ThreadState) + n_layers * sizeof(bp_layer)))
        shared.n_threads, shared.threads = n_threads, <ThreadState *>PyByteArray_AS_STRING(self.states)
        self.bind_threads(own)
        self.bind_layers()

    cdef int keep_blocks(self, Py_ssize_t rows) except -1:
        """Make room for the gradients of blocks (N19) that are kept while `rows` rows are summed."""
        cdef Sums *sums = &self.shared.sums
        if self.kept is None and sums.g != NULL and rows > BLOCK_ROWS:
            self.kept = Workspace(most_kept(rows) * self.shared.sizes.n_parameters)
            sums.kept = self.kept.take(0)
        return 0

    cdef int bind_threads(self, Py_ssize_t own) except -1:
        """Give the piece its work space, and each thread `own` doubles: rates, scalars and scratch."""
        cdef Shared *shared = &self.shared
        cdef Piece *piece = &shared.piece
        cdef ThreadState *state
        cdef Py_ssize_t l, rows = piece.rows
        cdef int thread
        piece.x, piece.t = self.space.take(rows * shared.sizes.n_in), self.space.take(rows * shared.sizes.n_out)
        piece.softmax_stats = self.space.take(rows * 2)
        piece.L, piece.sample_weight = self.space.take(rows), self.space.take(rows)
        for thread in range(shared.n_threads):
            state = &shared.threads[thread]
            state.layers = <bp_layer *>(shared.threads + shared.n_threads) + thread * shared.sizes.n_layers
            state.rates = self.space.take(own)
            state.scalars = state.rates + BP_RATES
            for l in range(shared.sizes.n_layers):
                state.layers[l].scratch = state.rates + aligned(BP_RATES + BP_SCALARS)
        return 0

    cdef int bind_layers(self) except -1:
        """Give the layers of thread 0 their arrays, and those of the other threads the same ones but the scratch."""
        cdef Shared *shared = &self.shared
        cdef Py_ssize_t l, k = 0, rows = shared.piece.rows, n_layers = shared.sizes.n_layers
        cdef bint backward = self.gradient is not None
        cdef bp_layer *layer
        cdef double *scratch
        cdef int thread
        for l in range(n_layers):
            layer = &shared.threads[0].layers[l]
            layer.n_in, layer.n = self.sizes[l], self.sizes[l + 1]
            layer.activation = &activations[ACTIVATIONS.index(self.names[l])]
            layer.W = &self.w[k]
            layer.b = layer.W + layer.n_in * layer.n
            layer.x = shared.threads[0].layers[l - 1].a if l > 0 else NULL
            layer.a = self.space.take(rows * layer.n)
            keeps_z = l == n_layers - 1 or (backward and layer.activation.of_z)
            layer.z = self.space.take(rows * layer.n) if keeps_z else layer.a
            if backward:
                layer.dW = &self.gradient[k]
                layer.delta = self.space.take(rows * layer.n)
                if l > 0:
                    layer.Wt = self.space.take(layer.n_in * layer.n)
            k += (layer.n_in + 1) * layer.n
            for thread in range(1, shared.n_threads):
                scratch = shared.threads[thread].layers[l].scratch
                shared.threads[thread].layers[l] = layer[0]
                shared.threads[thread].layers[l].scratch = scratch
        return 0


cdef void forward(Shared *shared, ThreadState *own, const double *x, Span rows) noexcept nogil:
    """Activations of every layer for these rows of a piece x (rows, n_in)."""
    cdef Py_ssize_t l
    own.layers[0].x = x
    if rows.start == rows.stop:
        return
    for l in range(shared.sizes.n_layers):
        kernel.forward(&own.layers[l], rows.start, rows.stop, shared.piece.softmax_stats)


cdef void node_deltas(Shared *shared, bp_layer *last, const double *t, Span rows) noexcept nogil:
    """Deltas of the output layer, before sample weights: delta = dL/dz (rows, n_out)."""
    cdef const bp_loss *loss = shared.sums.loss
    cdef Py_ssize_t at = rows.start * last.n, n = (rows.stop - rows.start) * last.n
    cdef const double *of = last.z if last.activation.of_z else last.a
    if loss.slopes != NULL:
        loss.slopes(n, last.a + at, t + at, last.delta + at)
        if loss.through_activation:
            last.activation.times_derivative(n, of + at, last.delta + at)
    elif loss.through_activation:
        last.activation.node_deltas(n, last.z + at, last.a + at, t + at, last.delta + at)
    else:
        kernel.differences(n, last.a + at, t + at, last.delta + at)


cdef void hidden_deltas(bp_layer *layer, const bp_layer *above, Span rows) noexcept nogil:
    """Deltas (rows, n) of a hidden layer from those of the layer above."""
    kernel.hidden_deltas(layer, above, rows.start, rows.stop)


cdef void backward(Shared *shared, ThreadState *own, const double *t, const double *sample_weight,
                   Span rows) noexcept nogil:
    """Deltas of every layer, with the weights of the forward pass; output deltas are times the sample weight.

    sample_weight (rows,), or NULL: each weight is 1.0.
    """
    cdef bp_layer *last = &own.layers[shared.sizes.n_layers - 1]
    cdef Py_ssize_t l, s, j
    if rows.start == rows.stop:
        return
    node_deltas(shared, last, t, rows)
    if sample_weight != NULL:
        for s in range(rows.start, rows.stop):
            for j in range(last.n):
                last.delta[s * last.n + j] = sample_weight[s] * last.delta[s * last.n + j]
    for l in range(shared.sizes.n_layers - 2, -1, -1):
        hidden_deltas(&own.layers[l], &own.layers[l + 1], rows)


cdef void join_kept(Shared *shared, ThreadState *own, int thread, int begin, int end, bint keep) noexcept nogil:
    """This thread's part of g = kept[begin] + (... + (kept[end - 1] + g)); keep: it then becomes kept[begin]."""
    cdef Py_ssize_t l, k = 0, start, size, n = shared.sizes.n_parameters
    cdef double *g = shared.sums.g
    cdef double *kept = shared.sums.kept
    cdef Span inputs
    cdef int b
    for l in range(shared.sizes.n_layers):
        inputs = share(own.layers[l].n_in + 1, thread, shared.n_threads)
        start, size = k + inputs.start * own.layers[l].n, (inputs.stop - inputs.start) * own.layers[l].n
        for b in range(end - 1, begin - 1, -1):
            kernel.axpy(size, kept + b * n + start, 1.0, g + start, g + start)
        if keep:
            memcpy(kept + begin * n + start, g + start, size * sizeof(double))
        k += (own.layers[l].n_in + 1) * own.layers[l].n


cdef void keep_gradient(Shared *shared, ThreadState *own, int thread, Py_ssize_t row) noexcept nogil:
    """Keep this thread's part of the gradient of the block before that which begins at this row of the batch."""
    cdef Py_ssize_t ended = row // BLOCK_ROWS - 1
    join_kept(shared, own, thread, ones(ended + 1) - 1, ones(ended), True)


cdef void join_gradients(Shared *shared, ThreadState *own, int thread, Py_ssize_t rows) noexcept nogil:
    """This thread's part of a batch's gradient, from the gradients of its blocks; it has `rows` rows."""
    if rows > BLOCK_ROWS:
        join_kept(shared, own, thread, 0, ones((rows - 1) // BLOCK_ROWS), False)


cdef void add_gradient(Shared *shared, ThreadState *own, int thread, Py_ssize_t in_batch,
                       Py_ssize_t rows) noexcept nogil:
    """Add this thread's part of a piece's gradient to that of its block; in_batch: the piece's first row in the batch.

    Each thread takes some inputs of each layer (the bias counts as input n_in) and all rows: to divide the rows would
    reorder the sums. Where a block begins, sums start at 0.0, and the gradient of the block before is kept.
    """
    cdef Py_ssize_t l
    cdef Span inputs
    cdef bint first = in_batch % BLOCK_ROWS == 0
    if first and in_batch > 0:
        keep_gradient(shared, own, thread, in_batch)
    for l in range(shared.sizes.n_layers):
        inputs = share(own.layers[l].n_in + 1, thread, shared.n_threads)
        kernel.gradient(&own.layers[l], first, rows, inputs.start, inputs.stop)


cdef void transpose(Shared *shared, ThreadState *own, int thread) noexcept nogil:
    """Copy this thread's part of every W, but the first layer's, to Wt."""
    cdef Py_ssize_t l
    cdef Span inputs
    for l in range(1, shared.sizes.n_layers):
        inputs = share(own.layers[l].n_in + 1, thread, shared.n_threads)
        kernel.transpose(&own.layers[l], inputs.start, inputs.stop)
