cdef void penalize_part(Shared *shared, ThreadState *block, int thread, double batch) noexcept nogil:
    """Make means with penalties of this thread's part of the gradient; a bias that does not move has none."""
    cdef Py_ssize_t l, k = 0, start, stop
    cdef Span inputs
    cdef bp_layer *layer
    for l in range(shared.n_layers):
        layer = &block.layers[l]
        inputs = share(layer.n_in + 1, thread, shared.n_threads)
        start, stop = k + inputs.start * layer.n, k + min(inputs.stop, layer.n_in) * layer.n
        if start < stop and (shared.l1 > 0.0 or shared.l2 > 0.0):
            kernel.penalize(stop - start, batch, shared.l1, shared.l2, shared.w + start, shared.g + start)
        elif start < stop:
            kernel.mean_gradient(stop - start, batch, shared.g + start)
        if inputs.start < inputs.stop and inputs.stop > layer.n_in:
            start = k + layer.n_in * layer.n
            if shared.train_biases:
                kernel.mean_gradient(layer.n, batch, shared.g + start)
            else:
                memset(shared.g + start, 0, layer.n * sizeof(double))
        k += (layer.n_in + 1) * layer.n


cdef void clip_part(Shared *shared, ThreadState *block, int thread) noexcept nogil:
    """Scale this thread's part of the gradient, if the norm of the whole is too large."""
    cdef Py_ssize_t l, k = 0
    cdef Span inputs
    cdef bp_layer *layer
    cdef double *g
    barrier(shared, thread)
    if thread == 0:
        shared.norm = sqrt(kernel.dot(shared.n_parameters, shared.g, shared.g))
    barrier(shared, thread)
    if not shared.norm > shared.clip_norm:
        return
    for l in range(shared.n_layers):
        layer = &block.layers[l]
        inputs = share(layer.n_in + 1, thread, shared.n_threads)
        if inputs.start < inputs.stop:
            g = shared.g + k + inputs.start * layer.n
            kernel.scaled((inputs.stop - inputs.start) * layer.n, shared.clip_norm / shared.norm, g, g)
        k += (layer.n_in + 1) * layer.n


def squares_of_weights(tuple sizes not None, const double[::1] parameters not None):
    """The sum of the squares of all weights, without the biases: by N11 in each layer, then over the layers."""
    cdef Py_ssize_t n, k = 0, n_in, n_out
    cdef double total = 0.0
    cdef bp_fpenv saved
    for n_in, n_out in zip(sizes, sizes[1:]):
        n = n_in * n_out
        if k + n + n_out > parameters.shape[0]:
            raise ValueError("there are too few parameters for these sizes")
        saved = bp_fpenv_enter()
        total += kernel.dot(n, &parameters[k], &parameters[k])
        bp_fpenv_leave(saved)
        k += n + n_out
    return total
