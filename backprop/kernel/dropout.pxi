cdef void draw_masks(Shared *shared, Py_ssize_t rows) noexcept nogil:
    """What the hidden units are multiplied by, for the rows of a block: row by row, in each layer by layer."""
    cdef Py_ssize_t s, l, j
    cdef double rate, keep_scale
    cdef bp_layer *layer
    for s in range(rows):
        for l in range(shared.n_layers - 1):
            layer, rate = &shared.blocks[0].layers[l], shared.drop_rates[l]
            if layer.mask == NULL:
                continue
            keep_scale = 1.0 / (1.0 - rate)
            for j in range(layer.n):
                layer.mask[s * layer.n + j] = 0.0 if uniform(shared.drops) < rate else keep_scale
