# Online training: plain SGD with batches of one row. Every gradient is then a single product and is used at once, so
# that one loop over a layer's weights does its backward pass and its step.


cdef class OnlineLayers:
    """A copy of the layers in the form that suits one row at a time: rows of W padded to full vectors."""

    cdef bp_online_layer *layers
    cdef Py_ssize_t n_layers
    cdef bint narrow             # two layers of one vector each, of the same lanes: online_two_layers
    cdef double *softmax_stats   # (2,)
    cdef bytearray table         # (n_layers,) of bp_online_layer
    cdef Workspace space

    def __cinit__(self, tuple sizes not None, tuple names not None):
        cdef Py_ssize_t l, doubles = 8
        cdef bp_online_layer *layer
        self.n_layers = len(names)
        self.table = bytearray(self.n_layers * sizeof(bp_online_layer))
        self.layers = <bp_online_layer *>PyByteArray_AS_STRING(self.table)
        for l in range(self.n_layers):
            layer = &self.layers[l]
            layer.n_in, layer.n = sizes[l], sizes[l + 1]
            layer.kernel = kernel
            while layer.kernel.narrower != NULL and layer.n <= layer.kernel.narrower.lanes:
                layer.kernel = layer.kernel.narrower
            layer.stride = (layer.n + layer.kernel.lanes - 1) // layer.kernel.lanes * layer.kernel.lanes
            layer.activation = &layer.kernel.activations[ACTIVATIONS.index(names[l])]
            doubles += aligned((layer.n_in + 1) * layer.stride) + 3 * aligned(layer.stride)
            if l > 0:
                doubles += aligned(layer.n * self.layers[l - 1].stride)
        self.space = Workspace(doubles)
        self.softmax_stats = self.space.take(2)
        for l in range(self.n_layers):
            layer = &self.layers[l]
            layer.W = self.space.take((layer.n_in + 1) * layer.stride)
            layer.b = layer.W + layer.n_in * layer.stride
            layer.a, layer.delta = self.space.take(layer.stride), self.space.take(layer.stride)
            layer.z = self.space.take(layer.stride)
            if l > 0:
                layer.Wt = self.space.take(layer.n * self.layers[l - 1].stride)
                layer.x = self.layers[l - 1].a
        layer = &self.layers[self.n_layers - 1]
        self.narrow = (self.n_layers == 2 and self.layers.kernel == layer.kernel
                       and self.layers.stride == layer.stride == layer.kernel.lanes
                       and layer.activation.online_outputs != NULL)

    cdef void load(self, const double *w) noexcept nogil:
        """Copy w (n_parameters,) into padded rows.

        Padding: weights 0.0, biases 2.0, which keeps the padding lanes at z = 2.0, where no activation takes a slow
        path.
        """
        cdef Py_ssize_t l, i, j, below
        cdef bp_online_layer *layer
        for l in range(self.n_layers):
            layer = &self.layers[l]
            below = self.layers[l - 1].stride if l > 0 else 0
            for j in range(layer.n * below):
                layer.Wt[j] = 0.0
            for i in range(layer.n_in + 1):
                for j in range(layer.stride):
                    if j >= layer.n:
                        layer.W[i * layer.stride + j] = 0.0
                        continue
                    layer.W[i * layer.stride + j] = w[j]
                    if l > 0 and i < layer.n_in:
                        layer.Wt[j * below + i] = w[j]
                w += layer.n
            for j in range(layer.n, layer.stride):
                layer.b[j] = 2.0

    cdef void save(self, double *w) noexcept nogil:
        """Copy the parameters back to w (n_parameters,)."""
        cdef Py_ssize_t l, i, j
        cdef bp_online_layer *layer
        for l in range(self.n_layers):
            layer = &self.layers[l]
            for i in range(layer.n_in + 1):
                for j in range(layer.n):
                    w[j] = layer.W[i * layer.stride + j]
                w += layer.n


cdef void online_layers_step(bp_online_layer *layers, Py_ssize_t n_layers, const bp_loss *loss, double *softmax_stats,
                             const double *t, double lr, bint train_biases) noexcept nogil:
    """Forward pass, backward pass and step of one row, layer by layer.

    A layer's weights change only after the deltas of the layer below have been computed from them.
    """
    cdef bp_online_layer *last = layers + n_layers - 1
    cdef Py_ssize_t l
    for l in range(n_layers - 1):
        layers[l].activation.online_forward(&layers[l], softmax_stats)
    if loss.through_activation:
        last.activation.online_outputs(last, t)
    else:
        last.activation.online_forward(last, softmax_stats)
        last.kernel.online_differences(last, t)
    for l in range(n_layers - 1, 1, -1):
        layers[l - 1].activation.online_hidden_deltas(&layers[l - 1], &layers[l])
        layers[l].kernel.online_step(&layers[l], lr, train_biases)
        layers[l - 1].kernel.online_step_transposed(&layers[l - 1], &layers[l], lr)
    if n_layers > 1:
        layers.activation.online_first_step(layers, &layers[1], lr, train_biases)
        layers[1].kernel.online_step(&layers[1], lr, train_biases)
        layers.kernel.online_step_transposed(layers, &layers[1], lr)
    else:
        layers.kernel.online_step(layers, lr, train_biases)


cdef double online_row(bp_online_layer *layers, Py_ssize_t n_layers, bint narrow, const bp_loss *loss,
                       double *softmax_stats, const double *x, const double *t, double lr,
                       bint train_biases) noexcept nogil:
    """Train by one row x (n_in,) with targets t (n_out,); return its loss before the step."""
    cdef const bp_online_layer *last = layers + n_layers - 1
    cdef double L
    layers.x = x
    if narrow:
        layers.kernel.online_two_layers(layers, t, loss.through_activation, lr, train_biases)
    else:
        online_layers_step(layers, n_layers, loss, softmax_stats, t, lr, train_biases)
    loss.values(1, last.n, last.z, last.a, t, softmax_stats, &L)
    return L


cdef void online_rows(Shared *shared, OnlineLayers online) noexcept nogil:
    """About 20 ms of online training on one thread, through epochs and their shuffles."""
    cdef const Samples *samples = &shared.samples
    cdef Epochs *epochs = &shared.epochs
    cdef Py_ssize_t n = samples.n_samples, row = shared.sums.row, done = epochs.done, s
    cdef double work = 0.0, loss = 0.0, block = shared.sums.losses.block, lr
    cdef bint all_here = samples.start == 0 and samples.stop == n and not samples.one_epoch
    cdef const double *x
    cdef const double *t
    cdef bp_fpenv saved = bp_fpenv_enter()
    online.load(shared.optimizer.w)
    begin_epoch(shared, done)
    lr = shared.optimizer.settings[0]
    while done < epochs.until and fabs(loss) <= DBL_MAX and work < PAUSE_WORK:
        if epochs.to_shuffle != 0:
            shuffle_on(shared)
            work += 16.0 * min(n, SHUFFLE_STEPS)
            continue
        while row < samples.stop and work < PAUSE_WORK:
            s = row - samples.start
            s = s if samples.order == NULL else samples.order[s]
            if samples.in_place:
                x, t = samples.X.doubles + s * shared.sizes.n_in, samples.y.doubles + s * shared.sizes.n_out
            else:
                if samples.X.doubles != NULL:
                    x = samples.X.doubles + s * shared.sizes.n_in  # no copy, though the order is another
                else:
                    x = rows_of(shared, row, Span(0, 1))
                t = targets_of(shared, row, Span(0, 1))
            block = block + online_row(online.layers, online.n_layers, online.narrow, shared.sums.loss,
                                       online.softmax_stats, x, t, lr, shared.optimizer.train_biases)
            work += shared.piece.row_work
            row += 1
            if row % BLOCK_ROWS == 0 and row < n:
                shared.sums.losses.block = block
                next_block(&shared.sums.losses, row)
                block = 0.0
        if row < n:
            break  # the pause, or the end of the window
        shared.sums.losses.block = block
        loss = tree_sum(&shared.sums.losses, n) / <double>n
        epochs.losses[done] = loss
        done += 1
        if shared.optimizer.learning_rates != NULL:
            begin_epoch(shared, done)
            lr = shared.optimizer.settings[0]
        row, block = 0, 0.0
        if not all_here:
            break
        epochs.to_shuffle = 0 if epochs.bitgen == NULL else -1
    online.save(shared.optimizer.w)
    shared.sums.row, epochs.done, shared.sums.losses.block = row, done, block
    bp_fpenv_leave(saved)
