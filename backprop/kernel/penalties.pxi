# Penalties on weights and the clipping of the gradient's norm (N16).


cdef void penalize(Shared *shared, ThreadState *own, int thread, double batch_weight) noexcept nogil:
    """Turn this thread's part of g, a sum over a batch, into the mean gradient with penalties.

    Biases have no penalty; the gradient of biases that are not trained becomes 0.0 and adds nothing to the norm.
    """
    cdef Optimizer *optimizer = &shared.optimizer
    cdef double *g = shared.sums.g
    cdef Py_ssize_t l, k = 0, start, stop
    cdef Span inputs
    cdef bp_layer *layer
    for l in range(shared.sizes.n_layers):
        layer = &own.layers[l]
        inputs = share(layer.n_in + 1, thread, shared.n_threads)
        start, stop = k + inputs.start * layer.n, k + min(inputs.stop, layer.n_in) * layer.n
        if start < stop and (optimizer.l1 > 0.0 or optimizer.l2 > 0.0):
            kernel.penalize(stop - start, batch_weight, optimizer.l1, optimizer.l2, optimizer.w + start, g + start)
        elif start < stop:
            kernel.mean_gradient(stop - start, batch_weight, g + start)
        if inputs.start < inputs.stop and inputs.stop > layer.n_in:
            start = k + layer.n_in * layer.n
            if optimizer.train_biases:
                kernel.mean_gradient(layer.n, batch_weight, g + start)
            else:
                memset(g + start, 0, layer.n * sizeof(double))
        k += (layer.n_in + 1) * layer.n


cdef void clip(Shared *shared, ThreadState *own, int thread) noexcept nogil:
    """Scale this thread's part of the mean gradient by clip_norm/norm, if the norm of the whole is above clip_norm."""
    cdef Optimizer *optimizer = &shared.optimizer
    cdef Py_ssize_t l, k = 0
    cdef Span inputs
    cdef bp_layer *layer
    cdef double *g
    barrier(shared, thread)
    if thread == 0:
        optimizer.norm = sqrt(kernel.dot(shared.sizes.n_parameters, shared.sums.g, shared.sums.g))
    barrier(shared, thread)
    if not optimizer.norm > optimizer.clip_norm:
        return
    for l in range(shared.sizes.n_layers):
        layer = &own.layers[l]
        inputs = share(layer.n_in + 1, thread, shared.n_threads)
        if inputs.start < inputs.stop:
            g = shared.sums.g + k + inputs.start * layer.n
            kernel.scaled((inputs.stop - inputs.start) * layer.n, optimizer.clip_norm / optimizer.norm, g, g)
        k += (layer.n_in + 1) * layer.n


def squares_of_weights(tuple sizes not None, const double[::1] parameters not None):
    """Sum of the squares of all weights, without the biases: N11 in each layer, then layer after layer."""
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
