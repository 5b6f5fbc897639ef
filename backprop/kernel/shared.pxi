# What all threads of a pass share, and what each of them has: a ThreadState.


cdef struct ThreadState:
    bp_layer *layers   # (n_layers,), bound to the shared work space and to this thread's scratch
    double *rates      # (BP_RATES,): of the update rule
    double *scalars     # (2,)
    double of_batch    # what the rows of the batch and of the epoch so far count in all, where there are weights
    double of_epoch


cdef struct Shared:
    int n_threads
    bp_barrier meeting
    ThreadState *blocks      # (n_threads,)
    Py_ssize_t n_layers
    Py_ssize_t n_in
    Py_ssize_t n_out
    Py_ssize_t n_parameters
    Py_ssize_t rows    # the most that a block holds
    double *x          # (rows, n_in): rows gathered in visiting order
    double *t          # (rows, n_out): their targets
    double *softmax_stats      # (rows, 2): softmax's largest z and sum
    double *L          # (rows,): their losses
    double *c          # (rows,): what they count
    double row_work    # multiply-adds a row

    const double *X    # (n_samples, n_in)
    const double *y    # (n_samples, n_out), or NULL: classes
    const int64_t *labels
    const double *weights  # (n_samples,), or NULL: each row counts 1.0
    Py_ssize_t n_samples
    const bp_loss *loss
    double *g          # (n_parameters,), or NULL
    double total       # of the epoch's losses so far
    double before      # what it was before the last block
    double of_batch    # as in a ThreadState
    double of_epoch
    Py_ssize_t row     # the next row, in visiting order

    const bp_update_rule *rule
    double *w
    double *slots
    double *scalars
    double *settings
    const double *learning_rates  # of the epochs, as losses are; or NULL: that of settings
    bint train_biases
    bint shapes        # whether a batch's mean gradient is something else than what the rule gets (N16)
    double l1
    double l2
    double clip_norm   # inf: none
    double norm        # of the batch's gradient
    bitgen_t *bitgen
    const double *drop_rates  # (n_layers - 1,): of the hidden units
    bitgen_t *drops           # where they are drawn from, or NULL: none is dropped
    int64_t *order     # (n_samples,): the visiting order, or NULL: that of X
    Py_ssize_t batch_size
    Py_ssize_t batch_start
    Py_ssize_t to_shuffle  # where the epoch's shuffle stands; -1: not begun; 0: nothing left
    double *losses     # the epochs' losses, with the next to fill and the one to stop before
    Py_ssize_t done
    Py_ssize_t until
    double work        # that the call is to do, a thread
    double began       # when the call did, and how many seconds of it the first thread has waited for the others
    double waited
    bint give_up       # whether it has waited too long
    void *method       # what the tasks of a Method share, or NULL


cdef struct Span:
    Py_ssize_t start
    Py_ssize_t stop
