# Rows of a block: many, since each panel that is packed serves all of them, but its work space has an end.
cdef Py_ssize_t BLOCK_ROWS = 512
cdef Py_ssize_t BLOCK_DOUBLES = 1 << 21
cdef Py_ssize_t FEWEST_ROWS = 128


cdef class Pass:
    """Blocks of rows through a network: its layers bound to parameters, and the work space of one block.

    sizes and activations as Network has them; parameters (n_parameters,); rows: the most a block need hold; n_threads
    that may work; gradient (n_parameters,), or None where there is no backward pass.
    """

    cdef Shared shared
    cdef const double[::1] parameters
    cdef double[::1] gradient
    cdef Workspace space
    cdef bytearray table

    def __cinit__(self, tuple sizes not None, tuple names not None, const double[::1] parameters not None,
                  Py_ssize_t rows, int n_threads, gradient=None, *arguments):
        cdef Shared *shared = &self.shared
        cdef bp_layer *layer
        cdef ThreadState *block
        cdef int thread
        cdef Py_ssize_t l, k, n_layers = len(names), n_in, n_out, width
        cdef Py_ssize_t doubles, own, most, pieces, worth, transposed = 0, n_parameters = 0
        cdef bint backward = gradient is not None
        self.parameters, self.gradient = parameters, gradient
        must_be("the activations", sizes, len(sizes) - 1, n_layers)
        n_in, n_out = sizes[0], sizes[n_layers]
        width = n_in + 2 * n_out
        for l in range(n_layers):
            n_parameters += (sizes[l] + 1) * sizes[l + 1]
            width += sizes[l + 1] * (2 if backward else 1)
            if backward and l < n_layers - 1 and activations[ACTIVATIONS.index(names[l])].of_z:
                width += sizes[l + 1]
            if backward and l > 0:
                transposed += aligned(sizes[l] * sizes[l + 1])
        must_be("the parameters", sizes, n_parameters, parameters.shape[0])
        if backward:
            must_be("the gradients", sizes, n_parameters, self.gradient.shape[0])
        most = max(1, min(BLOCK_ROWS, max(FEWEST_ROWS, BLOCK_DOUBLES // width)))
        pieces = max(1, (rows + most - 1) // most)
        rows = max(1, (rows + pieces - 1) // pieces)  # blocks of equal size
        shared.row_work = <double>parameters.shape[0] * (3 if backward else 1) + 16.0 * width
        shared.row_work += self.more_work(parameters.shape[0], n_out)
        worth = <Py_ssize_t>min(1e6, rows * shared.row_work / <double>THREAD_WORK)
        n_threads = max(1, min(n_threads, min(rows, worth)))
        doubles = (width + 4) * rows + 8 * (5 + 4 * n_layers) + transposed
        own = aligned(BP_RATES + 2) + kernel.scratch(max(BP_PASS_PIVOTS, rows * n_out, *sizes), max(sizes))
        self.space = Workspace(doubles + n_threads * aligned(own))
        self.table = bytearray(n_threads * (sizeof(ThreadState) + n_layers * sizeof(bp_layer)))
        shared.n_threads, shared.blocks = n_threads, <ThreadState *>PyByteArray_AS_STRING(self.table)
        shared.n_layers, shared.n_in, shared.n_out, shared.rows = n_layers, n_in, n_out, rows
        shared.x, shared.t = self.space.take(rows * n_in), self.space.take(rows * n_out)
        shared.softmax_stats = self.space.take(rows * 2)
        shared.L, shared.c = self.space.take(rows), self.space.take(rows)
        for thread in range(n_threads):
            block = &shared.blocks[thread]
            block.layers = <bp_layer *>(shared.blocks + n_threads) + thread * n_layers
            block.rates = self.space.take(own)
            block.scalars = block.rates + BP_RATES
            k = 0
            for l in range(n_layers):
                layer = &block.layers[l]
                if thread > 0:
                    layer[0] = shared.blocks[0].layers[l]
                    layer.scratch = block.rates + aligned(BP_RATES + 2)
                    continue
                layer.n_in, layer.n = sizes[l], sizes[l + 1]
                layer.activation = &activations[ACTIVATIONS.index(names[l])]
                layer.W = &parameters[k]
                layer.b = layer.W + layer.n_in * layer.n
                layer.scratch = block.rates + aligned(BP_RATES + 2)
                layer.x = block.layers[l - 1].a if l > 0 else NULL
                layer.a = self.space.take(rows * layer.n)
                keeps_z = l == n_layers - 1 or (backward and layer.activation.of_z)
                layer.z = self.space.take(rows * layer.n) if keeps_z else layer.a
                if backward:
                    layer.dW = &self.gradient[k]
                    layer.delta = self.space.take(rows * layer.n)
                    if l > 0:
                        layer.Wt = self.space.take(layer.n_in * layer.n)
                k += (layer.n_in + 1) * layer.n
        shared.n_parameters, shared.method = parameters.shape[0], NULL

    @staticmethod
    def more_work(double n_parameters, double n_out):
        """What a row costs beside its passes, in multiply-adds."""
        return 0.0


cdef void forward(Shared *shared, ThreadState *block, const double *x, Span rows) noexcept nogil:
    """The activations of every layer for these rows of a block x."""
    cdef Py_ssize_t l
    block.layers[0].x = x
    if rows.start == rows.stop:
        return
    for l in range(shared.n_layers):
        kernel.forward(&block.layers[l], rows.start, rows.stop, shared.softmax_stats)


cdef void node_deltas(Shared *shared, bp_layer *last, const double *t, Span rows) noexcept nogil:
    cdef Py_ssize_t at = rows.start * last.n, n = (rows.stop - rows.start) * last.n
    cdef const double *of = last.z if last.activation.of_z else last.a
    if shared.loss.slopes != NULL:
        shared.loss.slopes(n, last.a + at, t + at, last.delta + at)
        if shared.loss.through_activation:
            last.activation.times_derivative(n, of + at, last.delta + at)
    elif shared.loss.through_activation:
        last.activation.node_deltas(n, last.z + at, last.a + at, t + at, last.delta + at)
    else:
        kernel.differences(n, last.a + at, t + at, last.delta + at)


cdef void hidden_deltas(bp_layer *layer, const bp_layer *above, Span rows) noexcept nogil:
    kernel.hidden_deltas(layer, above, rows.start, rows.stop)


cdef void backward(Shared *shared, ThreadState *block, const double *t, const double *c, Span rows) noexcept nogil:
    """The deltas of every layer; all weights are still the old ones. Those of the outputs times what the row counts."""
    cdef bp_layer *last = &block.layers[shared.n_layers - 1]
    cdef Py_ssize_t l, s, j
    if rows.start == rows.stop:
        return
    node_deltas(shared, last, t, rows)
    if c != NULL:
        for s in range(rows.start, rows.stop):
            for j in range(last.n):
                last.delta[s * last.n + j] = c[s] * last.delta[s * last.n + j]
    for l in range(shared.n_layers - 2, -1, -1):
        hidden_deltas(&block.layers[l], &block.layers[l + 1], rows)


cdef void add_gradient(Shared *shared, ThreadState *block, int thread, bint first, Py_ssize_t rows) noexcept nogil:
    """Add this thread's part of a block's gradient to the batch's; the first block of a batch starts from 0.0."""
    cdef Py_ssize_t l
    cdef Span inputs
    for l in range(shared.n_layers):
        inputs = share(block.layers[l].n_in + 1, thread, shared.n_threads)
        kernel.gradient(&block.layers[l], first, rows, inputs.start, inputs.stop)


cdef void transpose(Shared *shared, ThreadState *block, int thread) noexcept nogil:
    """This thread's part of every Wt."""
    cdef Py_ssize_t l
    cdef Span inputs
    for l in range(1, shared.n_layers):
        inputs = share(block.layers[l].n_in + 1, thread, shared.n_threads)
        kernel.transpose(&block.layers[l], inputs.start, inputs.stop)
