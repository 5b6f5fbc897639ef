cdef void update(Shared *shared, ThreadState *block, int thread, double batch) noexcept nogil:
    """This thread's part of a step, by the mean gradient of a batch."""
    cdef Py_ssize_t l, k = 0
    cdef Span inputs
    cdef bp_layer *layer
    if shared.shapes:
        penalize_part(shared, block, thread, batch)
        batch = 1.0
        if shared.clip_norm <= DBL_MAX:
            clip_part(shared, block, thread)
    shared.rule.begin(shared.settings, block.scalars, block.rates)
    for l in range(shared.n_layers):
        layer = &block.layers[l]
        inputs = share(layer.n_in + 1, thread, shared.n_threads)
        if not shared.train_biases:
            inputs.stop = min(inputs.stop, layer.n_in)
        if inputs.start < inputs.stop:
            shared.rule.update(k + inputs.start * layer.n, k + inputs.stop * layer.n, shared.n_parameters, batch,
                               block.rates, shared.w, shared.g, shared.slots)
        k += (layer.n_in + 1) * layer.n
    transpose(shared, block, thread)
