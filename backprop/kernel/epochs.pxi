# Epochs of an update rule: batches of rows in visiting order, each followed by a step.

# Steps of a shuffle between two looks at the clock of the call.
cdef Py_ssize_t SHUFFLE_STEPS = 1 << 20


cdef void shuffle_on(Shared *shared) noexcept nogil:
    """Do up to SHUFFLE_STEPS steps of this epoch's shuffle, which starts from the order 0, 1, 2, ..."""
    cdef Epochs *epochs = &shared.epochs
    if epochs.to_shuffle < 0:
        begin_shuffle(&epochs.shuffle)
    epochs.to_shuffle = block_shuffled(epochs.bitgen, &epochs.shuffle, SHUFFLE_STEPS)


cdef void begin_epoch(Shared *shared, Py_ssize_t epoch) noexcept nogil:
    """Set the learning rate of this epoch, if each epoch has its own."""
    if shared.optimizer.learning_rates != NULL and epoch < shared.epochs.until:
        shared.optimizer.settings[0] = shared.optimizer.learning_rates[epoch]


cdef void train_epochs(void *argument, int thread) noexcept nogil:
    """One thread's part of a call of Trainer.train: shuffle for each epoch, then take batch by batch, piece by piece.

    All threads go through the same pieces, and each counts rows, batches and epochs in variables of its own: none has
    to wait until another has counted.
    """
    cdef Shared *shared = <Shared *>argument
    cdef Epochs *epochs = &shared.epochs
    cdef Optimizer *optimizer = &shared.optimizer
    cdef ThreadState *own = &shared.threads[thread]
    cdef Py_ssize_t n = shared.samples.n_samples, row = shared.sums.row, batch_start = epochs.batch_start
    cdef Py_ssize_t done = epochs.done, to_shuffle = epochs.to_shuffle, rows, stop, k
    cdef double work = 0.0, loss = 0.0, batch_weight
    cdef bp_fpenv saved = bp_fpenv_enter()
    for k in range(optimizer.rule.n_scalars):
        own.scalars[k] = optimizer.scalars[k]
    if shared.samples.sample_weight != NULL:
        own.batch_weight, own.epoch_weight = shared.sums.batch_weight, shared.sums.epoch_weight
    if thread == 0:
        begin_epoch(shared, done)
    transpose(shared, own, thread)
    barrier(shared, thread)
    while (done < epochs.until and fabs(loss) <= DBL_MAX and work < shared.clock.work * shared.n_threads
           and not shared.clock.give_up and (to_shuffle != 0 or is_here(&shared.samples, row))):
        if to_shuffle != 0:
            if thread == 0:
                epochs.to_shuffle = to_shuffle
                shuffle_on(shared)
            barrier(shared, thread)
            to_shuffle = epochs.to_shuffle
            work += 16.0 * min(n, SHUFFLE_STEPS) * shared.n_threads
            barrier(shared, thread)
            continue
        stop = n if n - batch_start < epochs.batch_size else batch_start + epochs.batch_size
        rows = min(min(stop, shared.samples.stop) - row, min(shared.piece.rows, rows_to_block_end(row - batch_start)))
        visit(shared, thread, row, rows, row - batch_start)
        if shared.samples.sample_weight != NULL:
            add_weights(shared, own, row, rows, row - batch_start)
        work += rows * shared.piece.row_work
        row += rows
        if row == stop:
            batch_weight = weight_of(shared, &own.batch_weight, stop - batch_start)
            join_gradients(shared, own, thread, stop - batch_start)
            if batch_weight != 0.0:  # all sample weights 0.0: no mean, hence no step
                update(shared, own, thread, batch_weight)
            work += 8.0 * <double>shared.sizes.n_parameters
            batch_start = stop
        barrier(shared, thread)
        if row == n:
            loss = tree_sum(&shared.sums.losses, n) / weight_of(shared, &own.epoch_weight, n)
            done += 1
            if thread == 0:  # the others may already visit rows of the next epoch, but take no step before a barrier
                epochs.losses[done - 1] = loss
                begin_epoch(shared, done)
            row, batch_start = 0, 0
            if shared.samples.one_epoch:
                break
            to_shuffle = 0 if epochs.bitgen == NULL else -1
    if thread == 0:
        shared.sums.row, epochs.batch_start, epochs.done, epochs.to_shuffle = row, batch_start, done, to_shuffle
        for k in range(optimizer.rule.n_scalars):
            optimizer.scalars[k] = own.scalars[k]
        if shared.samples.sample_weight != NULL:
            shared.sums.batch_weight, shared.sums.epoch_weight = own.batch_weight, own.epoch_weight
    bp_fpenv_leave(saved)


cdef void step_alone(Shared *shared, double total_weight) noexcept nogil:
    """A step on one thread by the gradient of all rows; it takes little beside so many."""
    cdef Optimizer *optimizer = &shared.optimizer
    cdef ThreadState *own = shared.threads
    cdef int n_threads = shared.n_threads
    cdef Py_ssize_t k
    shared.n_threads = 1
    for k in range(optimizer.rule.n_scalars):
        own.scalars[k] = optimizer.scalars[k]
    update(shared, own, 0, total_weight)
    for k in range(optimizer.rule.n_scalars):
        optimizer.scalars[k] = own.scalars[k]
    shared.n_threads = n_threads


cdef void train_by_blocks(Shared *shared, BlockWorkers workers) noexcept nogil:
    """About 20 ms of epochs of a single batch each, all rows in their order, of which threads take blocks."""
    cdef Epochs *epochs = &shared.epochs
    cdef Py_ssize_t n = shared.samples.n_samples, before
    cdef double work = 0.0, loss = 0.0, total_weight = shared.sums.total_weight
    cdef bp_fpenv saved
    begin_epoch(shared, epochs.done)
    while (epochs.done < epochs.until and fabs(loss) <= DBL_MAX and work < PAUSE_WORK
           and is_here(&shared.samples, shared.sums.row)):
        before = shared.sums.row
        workers.run(shared, True)
        work += (shared.sums.row - before) * shared.piece.row_work / workers.n_threads
        if shared.sums.row < n:
            continue
        saved = bp_fpenv_enter()
        step_alone(shared, total_weight)
        loss = tree_sum(&shared.sums.losses, n) / total_weight
        bp_fpenv_leave(saved)
        epochs.losses[epochs.done] = loss
        epochs.done += 1
        begin_epoch(shared, epochs.done)
        shared.sums.row = 0


cdef class Trainer:
    """Training by an update rule: moves the parameters of `sums` and the state of `step`.

    batch_size: rows between two steps. stream: a bit generator that nothing else uses, for a new visiting order in each
    epoch, by windows of so many blocks of so many rows, rows = 0: of all rows at once; None visits the rows in the
    order of X.
    """

    cdef LossPass sums
    cdef Step step
    cdef Shared *shared              # that of sums.work
    cdef object stream
    cdef int64_t[::1] order
    cdef int64_t[::1] blocks
    cdef const double[::1] drop_rates
    cdef object drops
    cdef Workspace masks
    cdef OnlineLayers online_layers  # for plain SGD with batches of one row; else None
    cdef Threads threads
    cdef public object pause         # None, or a function of the next row, called when `train` returns within an epoch
    cdef readonly str ended          # always "", as for a method that goes on
    cdef readonly Py_ssize_t evaluations  # always 0: a method counts its evaluations of the objective

    def __cinit__(self, LossPass sums not None, Step step not None, Py_ssize_t batch_size, stream, Py_ssize_t rows=0,
                  Py_ssize_t window=1):
        cdef Shared *shared = &sums.work.shared
        if step.rule not in update_names:
            raise ValueError(f"{step.rule!r} is no update rule")
        step.bind(sums)
        self.sums, self.step, self.shared, self.stream = sums, step, shared, stream
        self.ended, self.evaluations = "", 0
        self.threads = Threads(shared.n_threads)
        shared.optimizer.rule = &update_rules[update_names.index(step.rule)]
        shared.epochs.batch_size = batch_size
        if batch_size >= shared.samples.n_samples and stream is None:
            sums.make_room()
        else:
            sums.work.keep_blocks(batch_size)
        if stream is not None:
            shared.epochs.bitgen, shared.epochs.to_shuffle = bitgen_of(stream), -1
            self.order = np.empty(shared.samples.n_samples, np.int64)
            self.blocks = shuffle_into(self.order, rows or self.order.shape[0], window, &shared.epochs.shuffle)
            shared.epochs.shuffle.chosen, shared.samples.order = shared.samples.order, &self.order[0]
        suits = (batch_size == 1 and step.rule == "sgd" and shared.sums.loss.slopes == NULL
                 and shared.samples.sample_weight == NULL and sums.elsewhere is None)
        self.online_layers = OnlineLayers(sums.work.sizes, sums.work.names) if suits else None

    def penalize(self, double l1, double l2, double clip_norm):
        """Add L1 and L2 penalties to each mean gradient, then clip its norm; clip_norm inf: no clipping."""
        cdef Optimizer *optimizer = &self.shared.optimizer
        cdef bp_fpenv saved = bp_fpenv_enter()
        optimizer.l1, optimizer.l2, optimizer.clip_norm = l1, l2, clip_norm
        optimizer.changes_gradient = l1 > 0.0 or l2 > 0.0 or clip_norm <= DBL_MAX
        bp_fpenv_leave(saved)
        if optimizer.changes_gradient:
            self.online_layers = None

    def drop(self, const double[::1] rates not None, drops not None):
        """Drop hidden units at the rate of their layer, rates (n_layers - 1,), drawn from the bit generator `drops`."""
        cdef Shared *shared = self.shared
        cdef ThreadState *own
        cdef bp_layer *layer
        cdef Py_ssize_t l, rows = shared.piece.rows, n_hidden = shared.sizes.n_layers - 1, doubles = 1
        cdef int thread
        must_be("the rates", "dropout", n_hidden, rates.shape[0])
        self.drop_rates, self.drops, self.online_layers, self.sums.workers = rates, drops, None, None
        shared.epochs.drop_rates, shared.epochs.drop_bitgen = &rates[0], bitgen_of(drops)
        for l in range(n_hidden):
            doubles += 2 * aligned(rows * shared.threads[0].layers[l].n)
        self.masks = Workspace(doubles)
        for l in range(n_hidden):
            layer = &shared.threads[0].layers[l]
            if not within(self.drop_rates[l], 0.0, 1.0, False, False):
                continue
            layer.mask, layer.masked = self.masks.take(rows * layer.n), self.masks.take(rows * layer.n)
            shared.piece.row_work += 32.0 * layer.n
            for thread in range(shared.n_threads):
                own = &shared.threads[thread]
                own.layers[l].mask, own.layers[l].masked = layer.mask, layer.masked
                own.layers[l + 1].x = layer.masked

    def train(self, double[::1] losses not None, Py_ssize_t done, Py_ssize_t until,
              const double[::1] learning_rates=None):
        """Train for about 20 ms; fill losses[done:until], one for each epoch; return how many are filled by now.

        learning_rates, if given, has an epoch's rate at the index of its loss. Returns early at `until`, after an epoch
        whose loss is not finite, and at the end of a window.
        """
        cdef Shared *shared = self.shared
        shared.epochs.losses, shared.epochs.done, shared.epochs.until = &losses[0], done, until
        self.sums.data.provide(shared)
        shared.optimizer.learning_rates = NULL
        if learning_rates is not None:
            shared.optimizer.learning_rates = &learning_rates[0]
        if self.sums.elsewhere is not None:
            self.train_elsewhere(done)
            return done + 1
        with nogil:
            if self.online_layers is not None:
                online_rows(shared, self.online_layers)
            elif self.sums.workers is not None:
                train_by_blocks(shared, self.sums.workers)
            else:
                self.threads.run(shared, train_epochs)
        if self.pause is not None and shared.sums.row > 0:
            self.pause(shared.sums.row)
        if shared.samples.one_epoch and shared.epochs.done > done:
            shared.samples.stop = shared.samples.start  # no row is here
        return shared.epochs.done

    cdef int train_elsewhere(self, Py_ssize_t done) except -1:
        """One epoch of a single batch of rows that are elsewhere, as are their mean loss and mean gradient."""
        cdef bp_fpenv saved
        loss, _ = self.sums.elsewhere("gradient")
        self.shared.epochs.losses[done] = loss
        saved = bp_fpenv_enter()
        begin_epoch(self.shared, done)
        step_alone(self.shared, 1.0)
        bp_fpenv_leave(saved)
        return 0
