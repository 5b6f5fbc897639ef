# Dropout masks of the hidden layers.


cdef void draw_masks(Shared *shared, Py_ssize_t rows) noexcept nogil:
    """Draw the masks (rows, n) of a piece: 0.0 drops a unit, keep_scale = 1/(1 - rate) keeps it.

    Order of the draws: row by row, in a row layer by layer. One thread draws them all, since a stream has one order.
    """
    cdef Py_ssize_t s, l, j
    cdef double rate, keep_scale
    cdef bp_layer *layer
    for s in range(rows):
        for l in range(shared.sizes.n_layers - 1):
            layer, rate = &shared.threads[0].layers[l], shared.epochs.drop_rates[l]
            if layer.mask == NULL:
                continue
            keep_scale = 1.0 / (1.0 - rate)
            for j in range(layer.n):
                layer.mask[s * layer.n + j] = 0.0 if uniform(shared.epochs.drop_bitgen) < rate else keep_scale
