# Steps of the parameters by an optimizer's rule. Threads share the inputs of each layer, each with its weights.


cdef tuple counts_of(str rule, const double[::1] settings):
    """(n_settings, n_slots, n_scalars) of an update rule or a method; ValueError if there is none of that name."""
    cdef const bp_update_rule *row
    if rule == "levenberg_marquardt":
        return 4, 0, 1
    if rule == "lbfgs":
        must_be("the settings", rule, 4, settings.shape[0])
        if not 1.0 <= settings[0] <= 1e9:
            raise ValueError(f"the memory of lbfgs must be at least 1, got {settings[0]}")
        return 4, 2 * <Py_ssize_t>settings[0], 3 + <Py_ssize_t>settings[0]
    row = &update_rules[update_names.index(rule)]
    return row.n_settings, row.n_slots, row.n_scalars


cdef class Step:
    """An optimizer's rule, its settings, and its state, which training advances in place.

    settings (n_settings,): hyperparameters. slots (n_slots, n_parameters): numbers kept for each parameter, such as
    moments. scalars (n_scalars,): numbers kept beside them, such as powers of decay rates. train_biases: False keeps
    the biases. Numbers of settings, slots and scalars are those of the rule (kernel.h, lbfgs.pxi,
    levenberg_marquardt.pxi).
    """

    cdef str rule
    cdef double[::1] settings
    cdef double[:, ::1] slots
    cdef double[::1] scalars
    cdef bint train_biases
    cdef Py_ssize_t n_slots
    cdef Py_ssize_t n_scalars

    def __cinit__(self, str rule not None, double[::1] settings not None, double[:, ::1] slots not None,
                  double[::1] scalars not None, bint train_biases):
        n_settings, self.n_slots, self.n_scalars = counts_of(rule, settings)
        must_be("the settings", rule, n_settings, settings.shape[0])
        self.rule, self.settings, self.slots, self.scalars = rule, settings, slots, scalars
        self.train_biases = train_biases

    cdef int bind(self, LossPass sums) except -1:
        """Let the steps move the parameters of `sums`, a writable array, by its gradient.

        Raises ValueError if that array is read-only or has no gradient beside it, if slots or scalars have another
        number of elements than the rule needs, or if another trainer uses `sums`.
        """
        cdef Shared *shared = &sums.work.shared
        cdef Optimizer *optimizer = &shared.optimizer
        cdef double[::1] w = sums.work.parameters
        if sums.taken:
            raise ValueError("another trainer uses this LossPass")
        if shared.sums.g == NULL:
            raise ValueError("training needs an array for the gradient")
        if &w[0] != shared.threads[0].layers[0].W:
            raise ValueError("the parameters must be one array")
        must_be("the slots", self.rule, self.n_slots * shared.sizes.n_parameters,
                self.slots.shape[0] * self.slots.shape[1])
        must_be("the scalars", self.rule, self.n_scalars, self.scalars.shape[0])
        optimizer.w, optimizer.train_biases = &w[0], self.train_biases
        optimizer.slots = &self.slots[0, 0] if self.n_slots > 0 else NULL
        optimizer.scalars = &self.scalars[0] if self.n_scalars > 0 else NULL
        optimizer.settings = &self.settings[0]
        optimizer.clip_norm = INFINITY
        sums.taken = True
        return 0


cdef void update(Shared *shared, ThreadState *own, int thread, double batch_weight) noexcept nogil:
    """This thread's part of one step by the mean gradient of a batch, whose sample weights sum to batch_weight."""
    cdef Optimizer *optimizer = &shared.optimizer
    cdef Py_ssize_t l, k = 0
    cdef Span inputs
    cdef bp_layer *layer
    if optimizer.changes_gradient:
        penalize(shared, own, thread, batch_weight)
        batch_weight = 1.0
        if optimizer.clip_norm <= DBL_MAX:
            clip(shared, own, thread)
    optimizer.rule.begin(optimizer.settings, own.scalars, own.rates)
    for l in range(shared.sizes.n_layers):
        layer = &own.layers[l]
        inputs = share(layer.n_in + 1, thread, shared.n_threads)
        if not optimizer.train_biases:
            inputs.stop = min(inputs.stop, layer.n_in)
        if inputs.start < inputs.stop:
            optimizer.rule.update(k + inputs.start * layer.n, k + inputs.stop * layer.n, shared.sizes.n_parameters,
                                  batch_weight, own.rates, optimizer.w, shared.sums.g, optimizer.slots)
        k += (layer.n_in + 1) * layer.n
    transpose(shared, own, thread)
