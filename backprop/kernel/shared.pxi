# `Shared`: state that all threads of a pass read and write. `ThreadState`: one thread's own.
# Pointers are to memory that the objects Pass, Data, Step and Trainer keep; n_parameters counts weights and biases.


cdef struct Span:           # indices in [start, stop)
    Py_ssize_t start
    Py_ssize_t stop


cdef struct ThreadState:
    bp_layer *layers        # (n_layers,): the layers in `Piece`'s work space, with this thread's scratch
    double *rates           # (BP_RATES,): constants of one step, which the update rule's begin() derives
    double *scalars         # (2,): this thread's copy of the update rule's scalars
    bint not_finite         # a number of X that this thread has searched, where Sums.search says so, is not finite
    RowSum batch_weight     # sum of the sample weights of the batch so far; unset without sample weights
    RowSum epoch_weight     # sum of the sample weights of the epoch so far; unset without sample weights


cdef struct Sizes:
    Py_ssize_t n_layers     # layers with weights: hidden layers and the output layer
    Py_ssize_t n_in         # columns of X
    Py_ssize_t n_out        # columns of y
    Py_ssize_t n_parameters


cdef struct Piece:          # work space of one piece of rows
    Py_ssize_t rows         # most rows in one piece
    double row_work         # multiply-adds that one row takes
    double *x               # (rows, n_in): inputs gathered in visiting order
    double *t               # (rows, n_out): targets gathered in visiting order
    double *softmax_stats   # (rows, 2): largest z, and sum of exp(z - largest z)
    double *L               # (rows,): losses, each times its sample weight
    double *sample_weight   # (rows,): sample weights gathered in visiting order


cdef struct Samples:             # all rows, or a window of them: rows [start, stop) in visiting order
    Py_ssize_t n_samples         # all rows
    Py_ssize_t start
    Py_ssize_t stop
    bp_matrix X                  # (stop - start, n_in)
    bp_matrix y                  # (stop - start, n_out); unset: targets are labels
    bint in_place                # X and y are doubles without a gap
    bint one_epoch               # the window is of a shuffled order: the next epoch has another
    const int64_t *labels        # (stop - start,): classes; NULL: targets are y
    const double *sample_weight  # (stop - start,); NULL: each weight is 1.0
    int64_t *order               # (stop - start,): the visiting order, as rows of X; NULL: the order of X


cdef struct Sums:           # sums over the rows visited so far
    const bp_loss *loss
    bint search             # whether X is searched for NaN and infinities when it is visited
    Py_ssize_t row          # the next row, in visiting order
    RowSum losses           # sum of the losses of the epoch so far
    double before           # losses.block before the last piece of rows
    double *g               # (n_parameters,): sum of the gradients of the batch's block; NULL: no backward pass
    double *kept            # (most_kept, n_parameters): such sums of blocks before it, as in RowSum; NULL: one block
    double total_weight     # sum of the sample weights of all rows, or their number
    RowSum batch_weight     # as in ThreadState, kept from call to call
    RowSum epoch_weight


cdef struct Optimizer:
    const bp_update_rule *rule    # NULL: a method of methods.pxi
    double *w                     # (n_parameters,)
    double *slots                 # (n_slots, n_parameters): moments, step sizes, L-BFGS pairs; NULL: none
    double *scalars               # (n_scalars,): powers of decay rates, counts, damping
    double *settings              # (n_settings,): hyperparameters; of an update rule, the learning rate is the first
    const double *learning_rates  # one for each epoch, at the index of its loss; NULL: settings[0] for all epochs
    bint train_biases
    bint changes_gradient         # l1, l2 or clip_norm change the mean gradient before the update rule sees it (N16)
    double l1
    double l2
    double clip_norm              # inf: no clipping
    double norm                   # of the mean gradient, where it is clipped


cdef struct Shuffle:        # a visiting order in the making, see `block_shuffled`
    Py_ssize_t n            # rows
    Py_ssize_t rows         # rows of a block; the last block may be short
    Py_ssize_t window       # blocks of a window; the last window may have fewer
    Py_ssize_t n_blocks
    int64_t *order          # (n,): the visiting order
    const int64_t *chosen   # (n,): the rows of X that are visited, in their order; NULL: 0, 1, 2, ...
    int64_t *blocks         # (n_blocks,): the order of the blocks
    Py_ssize_t block_swaps  # steps left of the shuffle of the blocks
    Py_ssize_t next_block   # the first block, in their order, that has been in no window yet
    Py_ssize_t start        # the window's rows are order[start:stop]
    Py_ssize_t stop
    Py_ssize_t swaps        # steps left of the shuffle of the window's rows


cdef struct Epochs:
    Py_ssize_t done               # index of the next loss to fill
    Py_ssize_t until              # index of the loss to stop before
    double *losses                # (at least until,): the mean loss of each epoch
    Py_ssize_t batch_size
    Py_ssize_t batch_start        # first row of the batch, in visiting order
    bitgen_t *bitgen              # draws the visiting order; NULL: rows are not shuffled
    Shuffle shuffle               # unset where rows are not shuffled
    Py_ssize_t to_shuffle         # whether rows are left of this epoch's shuffle; -1: it has not begun
    bitgen_t *drop_bitgen         # draws the dropout masks; NULL: no dropout
    const double *drop_rates      # (n_layers - 1,): dropout rate of each hidden layer


cdef struct Clock:
    double work             # multiply-adds that each thread does before this call returns
    double began            # when this call began, in seconds
    double waited           # seconds of this call that thread 0 has waited at barriers
    bint give_up            # threads cost more than they save: this call returns early


cdef struct Shared:
    int n_threads
    bp_barrier barrier
    ThreadState *threads    # (n_threads,)
    Sizes sizes
    Piece piece
    Samples samples
    Sums sums
    Optimizer optimizer
    Epochs epochs
    Clock clock
    void *method            # state of a method (`Damped` of Levenberg-Marquardt); NULL: it has none to share


cdef enum Stage:       # of an iteration of Levenberg-Marquardt
    JACOBIAN    # A and b, piece of rows by piece of rows
    DAMP        # U = A + mu*total_weight*I
    FACTOR      # U becomes its Cholesky factor, BP_PIVOTS rows at a time
    TRIAL       # the loss at w - d
    ENDED       # this iteration is over


cdef struct Damped:      # the state of an iteration of Levenberg-Marquardt
    Stage stage
    Py_ssize_t columns      # n_parameters + 1, rounded up to full cache lines
    Py_ssize_t stride       # doubles from row to row of the matrices; columns or a cache line more
    double *J               # (rows*n_out, stride): Jacobian of a piece of rows; column n_parameters: the residuals
    double *A               # (n_parameters, stride): J^T J on and right of the diagonal; column n_parameters is J^T e
    double *U               # (n_parameters, stride): the Cholesky factor; column n_parameters becomes d
    double *kept            # (most_kept - 1, n_parameters, stride): A of earlier blocks, as in RowSum; U is the first
    double *minus           # (BP_PASS_PIVOTS, stride): rows of U, negated
    double *before          # (n_parameters,): w before the step
    const double *settings  # factors of mu after success and after failure, largest mu, smallest gradient norm
    double mu
    double total_weight     # sum of all sample weights
    bint elsewhere          # the rows are elsewhere: another function than damped_step gets the sums over them
    double loss             # the mean loss before the step
    Py_ssize_t column       # first of the BP_PIVOTS rows that are factored next
    bp_counter taken        # pieces of BP_PIVOTS columns that threads have taken, the last piece first
    double work             # multiply-adds of all threads in this call
    const char *reason      # why the method has ended; NULL: it has not
