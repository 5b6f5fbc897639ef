# Work is counted in multiply-adds; this much of it takes a thread up to 20 ms, and then Python may look at its signals.
cdef double PAUSE_AFTER = 1e8


# So many steps of a shuffle are one piece of work.
cdef Py_ssize_t SHUFFLE_STEPS = 1 << 20


cdef void shuffle_on(Shared *shared) noexcept nogil:
    """Shuffle the identity order for this epoch, piece by piece."""
    cdef Py_ssize_t k
    if shared.to_shuffle < 0:
        for k in range(shared.n_samples):
            shared.order[k] = k
        shared.to_shuffle = shared.n_samples - 1
    shared.to_shuffle = shuffled(shared.bitgen, shared.order, shared.to_shuffle, SHUFFLE_STEPS)


cdef void begin_epoch(Shared *shared, Py_ssize_t epoch) noexcept nogil:
    """Set the epoch's learning rate, where each has its own."""
    if shared.learning_rates != NULL and epoch < shared.until:
        shared.settings[0] = shared.learning_rates[epoch]


cdef void train_blocks(void *argument, int thread) noexcept nogil:
    """A thread's part of a piece of training: batches, block by block, each followed by a step.

    All threads go through the same blocks, each on its own count of where they are.
    """
    cdef Shared *shared = <Shared *>argument
    cdef ThreadState *block = &shared.blocks[thread]
    cdef Py_ssize_t n = shared.n_samples, row = shared.row, batch_start = shared.batch_start, done = shared.done
    cdef Py_ssize_t rows, stop, k, to_shuffle = shared.to_shuffle
    cdef double work = 0.0, loss = 0.0, of_batch, of_epoch
    cdef bp_fpenv saved = bp_fpenv_enter()
    for k in range(shared.rule.n_scalars):
        block.scalars[k] = shared.scalars[k]
    block.of_batch, block.of_epoch = shared.of_batch, shared.of_epoch
    if thread == 0:
        begin_epoch(shared, done)
    transpose(shared, block, thread)
    barrier(shared, thread)
    while (done < shared.until and fabs(loss) <= DBL_MAX and work < shared.work * shared.n_threads
           and not shared.give_up):
        if to_shuffle != 0:
            if thread == 0:
                shared.to_shuffle = to_shuffle
                shuffle_on(shared)
            barrier(shared, thread)
            to_shuffle = shared.to_shuffle
            work += 16.0 * min(n, SHUFFLE_STEPS) * shared.n_threads
            barrier(shared, thread)
            continue
        stop = n if n - batch_start < shared.batch_size else batch_start + shared.batch_size
        rows = min(shared.rows, stop - row)
        visit(shared, thread, row, rows, row == batch_start)
        of_batch, of_epoch = <double>(stop - batch_start), <double>n
        if shared.weights != NULL:
            add_weights(shared, block, row, rows, row == batch_start)
            of_batch, of_epoch = block.of_batch, block.of_epoch
        work += rows * shared.row_work
        row += rows
        if row == stop:
            if of_batch != 0.0:  # or no row counts: no step
                update(shared, block, thread, of_batch)
            work += 8.0 * <double>shared.n_parameters
            batch_start = stop
        barrier(shared, thread)
        if row == n:
            loss = shared.total / of_epoch
            done += 1
            if thread == 0:  # all steps of the epoch are done, and none of the next begins before the others are here
                shared.losses[done - 1] = loss
                begin_epoch(shared, done)
            row, batch_start = 0, 0
            to_shuffle = 0 if shared.bitgen == NULL else -1
    if thread == 0:
        shared.row, shared.batch_start, shared.done, shared.to_shuffle = row, batch_start, done, to_shuffle
        for k in range(shared.rule.n_scalars):
            shared.scalars[k] = block.scalars[k]
        shared.of_batch, shared.of_epoch = block.of_batch, block.of_epoch
    bp_fpenv_leave(saved)


cdef class Trainer(LossPass):
    """A run of training; w, slots, scalars and stream are moved on.

    rows is the batch size; slots (n_slots, n_parameters); stream a bit generator that nobody else uses, or None to
    visit the rows in their order.
    """

    cdef double[::1] w
    cdef double[:, ::1] slots
    cdef double[::1] scalars
    cdef double[::1] settings
    cdef object stream
    cdef int64_t[::1] order
    cdef const double[::1] drop_rates
    cdef object drops
    cdef Workspace masks
    cdef OnlineLayers online_layers       # plain SGD, one row a batch; else None
    cdef Threads threads
    cdef readonly str ended         # always "": see Method

    def __cinit__(self, sizes, names, double[::1] parameters not None, Py_ssize_t rows, n_threads, gradient, loss, data,
                  str rule not None, double[::1] settings not None, double[:, ::1] slots not None,
                  double[::1] scalars not None, stream, bint train_biases):
        cdef Shared *shared = &self.shared
        cdef Py_ssize_t code = update_names.index(rule)
        self.w, self.settings, self.slots, self.scalars, self.stream = parameters, settings, slots, scalars, stream
        self.ended = ""
        shared.rule = &update_rules[code]
        must_be("the settings", rule, shared.rule.n_settings, settings.shape[0])
        must_be("the slots", rule, shared.rule.n_slots * shared.n_parameters,
                slots.shape[0] * slots.shape[1])
        must_be("the scalars", rule, shared.rule.n_scalars, scalars.shape[0])
        shared.settings = &settings[0]
        shared.w, shared.train_biases = &parameters[0], train_biases
        shared.slots = &slots[0, 0] if shared.rule.n_slots else NULL
        shared.scalars = &scalars[0] if shared.rule.n_scalars else NULL
        shared.batch_size, shared.batch_start, shared.to_shuffle = rows, 0, 0
        self.threads = Threads(shared.n_threads)
        if stream is not None:
            shared.bitgen, shared.to_shuffle = bitgen_of(stream), -1
            self.order = np.empty(shared.n_samples, np.int64)
            shared.order = &self.order[0]
        suits = rows == 1 and rule == "sgd" and shared.loss.slopes == NULL and shared.weights == NULL
        self.online_layers = OnlineLayers(sizes, names) if suits else None

    def shape(self, double l1, double l2, double clip_norm):
        """Have penalties added to each batch's gradient, and its norm clipped; inf: it is not."""
        cdef bp_fpenv saved = bp_fpenv_enter()
        self.shared.l1, self.shared.l2, self.shared.clip_norm = l1, l2, clip_norm
        self.shared.shapes = l1 > 0.0 or l2 > 0.0 or clip_norm <= DBL_MAX
        bp_fpenv_leave(saved)
        if self.shared.shapes:
            self.online_layers = None

    def drop(self, const double[::1] rates not None, drops not None):
        """Drop hidden units, with the rate of each layer (n_layers - 1,), drawn from a stream that nobody else uses."""
        cdef Shared *shared = &self.shared
        cdef bp_layer *layer
        cdef Py_ssize_t l, doubles = 0
        cdef int thread
        self.drop_rates, self.drops, self.online_layers = rates, drops, None
        shared.drop_rates, shared.drops = &rates[0], bitgen_of(drops)
        for l in range(shared.n_layers - 1):
            doubles += 2 * aligned(shared.rows * shared.blocks[0].layers[l].n)
        self.masks = Workspace(doubles)
        for l in range(shared.n_layers - 1):
            layer = &shared.blocks[0].layers[l]
            if not within(self.drop_rates[l], 0.0, 1.0, False, False):
                continue
            layer.mask, layer.masked = self.masks.take(shared.rows * layer.n), self.masks.take(shared.rows * layer.n)
            shared.row_work += 32.0 * layer.n
            for thread in range(shared.n_threads):
                shared.blocks[thread].layers[l].mask, shared.blocks[thread].layers[l].masked = layer.mask, layer.masked
                shared.blocks[thread].layers[l + 1].x = layer.masked

    def train(self, double[::1] losses not None, Py_ssize_t done, Py_ssize_t until,
              const double[::1] learning_rates=None):
        """Fill losses[done:until], an epoch each; return how many are filled by now.

        learning_rates, if there are any, are those of the epochs, in the places of their losses.

        Comes back after up to 20 ms of work, at `until`, or after an epoch whose loss is not finite.
        """
        cdef Shared *shared = &self.shared
        shared.losses, shared.done, shared.until = &losses[0], done, until
        shared.learning_rates = NULL
        if learning_rates is not None:
            shared.learning_rates = &learning_rates[0]
        if self.online_layers is None:
            with nogil:
                self.threads.run(shared, train_blocks)
        else:
            with nogil:
                train_rows(shared, self.online_layers)
        return shared.done
