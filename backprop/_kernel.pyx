"""The compiled twin of reference/: the same functions, in the same order, with the same bits.

Where the reference takes one row, the kernel takes a block of rows; a sum over rows carries on from block to block, so
that the size of a block changes no bit. The flow is here; what works on vectors of numbers (products, activations,
losses, update rules) is in src_c/, once for each instruction set, behind the table of functions `kernel`. Threads share
the rows of a block, then the parameters. Matrices are C-contiguous float64; NumPy allocates all of them and nothing is
allocated without the GIL. Every entry, in every thread, sets the floating-point environment and puts the caller's back
(fpenv.h).

Letters: sample `s`, input `i`, output `j`, layer `l`, parameter `k`.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport INFINITY, NAN, fabs, sqrt
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cimport numpy as cnp

import os

import numpy as np

cnp.import_array()

cdef extern from "numpy/random/bitgen.h":
    ctypedef struct bitgen_t:
        void *state
        uint64_t (*next_uint64)(void *state) noexcept nogil

cdef extern from "<fenv.h>":
    ctypedef struct fenv_t:
        pass
    const fenv_t *FE_DFL_ENV
    int fegetenv(fenv_t *saved)
    int fesetenv(const fenv_t *saved)

cdef extern from "fpenv.h":
    ctypedef struct bp_fpenv:
        pass
    bp_fpenv bp_fpenv_enter() noexcept nogil
    void bp_fpenv_leave(bp_fpenv saved) noexcept nogil

cdef extern from "elementary.h":
    double cr_exp(double x) noexcept nogil
    double cr_expm1(double x) noexcept nogil
    double cr_log(double x) noexcept nogil
    double cr_log1p(double x) noexcept nogil
    double bp_exp_slow(double x) noexcept nogil
    double bp_expm1_slow(double x) noexcept nogil
    double bp_log_slow(double x) noexcept nogil
    double bp_log1p_slow(double x) noexcept nogil

cdef extern from "kernel.h":
    const Py_ssize_t BP_RATES
    const Py_ssize_t BP_PIVOTS
    const Py_ssize_t BP_PASS_PIVOTS
    ctypedef struct bp_layer:
        Py_ssize_t n_in
        Py_ssize_t n
        const bp_activation *activation
        const double *W
        const double *b
        double *Wt
        double *dW
        const double *x
        double *z
        double *a
        double *delta
        double *scratch
        double *mask
        double *masked
    ctypedef struct bp_online_layer:
        Py_ssize_t n_in
        Py_ssize_t n
        Py_ssize_t stride
        const bp_kernel *kernel
        const bp_activation *activation
        double *W
        double *b
        double *Wt
        const double *x
        double *z
        double *a
        double *delta
    ctypedef struct bp_activation:
        const char *name
        bint of_z
        void (*node_deltas)(Py_ssize_t n, const double *z, const double *a, const double *t,
                            double *delta) noexcept nogil
        void (*times_derivative)(Py_ssize_t n, const double *of, double *delta) noexcept nogil
        void (*online_forward)(const bp_online_layer *layer, double *softmax_stats) noexcept nogil
        void (*online_outputs)(const bp_online_layer *layer, const double *t) noexcept nogil
        void (*online_hidden_deltas)(const bp_online_layer *layer, const bp_online_layer *above) noexcept nogil
        void (*online_first_step)(const bp_online_layer *layer, const bp_online_layer *above, double lr,
                               bint train_biases) noexcept nogil
    ctypedef struct bp_loss:
        const char *name
        void (*values)(Py_ssize_t rows, Py_ssize_t n, const double *z, const double *o, const double *t,
                       const double *softmax_stats, double *L) noexcept nogil
        void (*slopes)(Py_ssize_t n, const double *a, const double *t, double *delta) noexcept nogil
        bint through_activation
        double low
        double high
        bint distribution
        const char *output
    ctypedef struct bp_update_rule:
        const char *name
        int n_slots
        int n_scalars
        int n_settings
        void (*begin)(const double *settings, double *scalars, double *rates) noexcept nogil
        void (*update)(Py_ssize_t start, Py_ssize_t stop, Py_ssize_t n_parameters, double batch,
                       const double *rates, double *w, const double *g, double *slots) noexcept nogil
    ctypedef struct bp_pairs:
        Py_ssize_t n
        Py_ssize_t memory
        Py_ssize_t held
        Py_ssize_t newest
        const double *S
        const double *Y
        const double *sy
        double gamma
    ctypedef struct bp_kernel:
        const char *name
        Py_ssize_t lanes
        Py_ssize_t (*scratch)(Py_ssize_t longest, Py_ssize_t widest) noexcept nogil
        const bp_kernel *narrower
        const bp_activation *activations
        const bp_loss *losses
        const bp_update_rule *update_rules
        void (**elementary)(Py_ssize_t n, const double *x, double *out) noexcept nogil
        Py_ssize_t (*first_not_finite)(Py_ssize_t n, const double *x) noexcept nogil
        void (*gather)(Py_ssize_t n, const double *row, const double *next, double *to) noexcept nogil
        void (*forward)(const bp_layer *layer, Py_ssize_t start, Py_ssize_t stop, double *softmax_stats) noexcept nogil
        void (*differences)(Py_ssize_t n, const double *a, const double *t, double *delta) noexcept nogil
        void (*hidden_deltas)(const bp_layer *layer, const bp_layer *above, Py_ssize_t start,
                              Py_ssize_t stop) noexcept nogil
        void (*gradient)(const bp_layer *layer, bint first, Py_ssize_t rows, Py_ssize_t start,
                         Py_ssize_t stop) noexcept nogil
        void (*mean_gradient)(Py_ssize_t n, double batch, double *g) noexcept nogil
        void (*transpose)(const bp_layer *layer, Py_ssize_t start, Py_ssize_t stop) noexcept nogil
        void (*online_differences)(const bp_online_layer *layer, const double *t) noexcept nogil
        void (*online_step)(const bp_online_layer *layer, double lr, bint train_biases) noexcept nogil
        void (*online_step_transposed)(const bp_online_layer *layer, const bp_online_layer *above,
                                       double lr) noexcept nogil
        void (*online_two_layers)(const bp_online_layer *layers, const double *t, bint through_activation, double lr,
                           bint train_biases) noexcept nogil
        double (*dot)(Py_ssize_t n, const double *x, const double *y) noexcept nogil
        void (*penalize)(Py_ssize_t n, double batch, double l1, double l2, const double *w, double *g) noexcept nogil
        void (*scaled)(Py_ssize_t n, double factor, const double *x, double *to) noexcept nogil
        double (*max_abs)(Py_ssize_t n, const double *x) noexcept nogil
        void (*axpy)(Py_ssize_t n, const double *w, double t, const double *d, double *out) noexcept nogil
        double (*divide)(Py_ssize_t n, const double *x, double by, double *d) noexcept nogil
        double (*two_loops)(const bp_pairs *pairs, const double *g, double *d, double *alphas) noexcept nogil
        void (*jacobian)(const bp_layer *layer, Py_ssize_t start, Py_ssize_t stop, bint train_biases, double *J,
                         Py_ssize_t stride) noexcept nogil
        void (*add_products)(Py_ssize_t depth, Py_ssize_t rows, Py_ssize_t start, Py_ssize_t stop, const double *left,
                             const double *right, Py_ssize_t stride, bint first, double *C,
                             double *scratch) noexcept nogil
        bint (*factor_diagonal)(Py_ssize_t start, Py_ssize_t stop, Py_ssize_t columns, Py_ssize_t stride,
                                double *U) noexcept nogil
        void (*factor_columns)(Py_ssize_t start, Py_ssize_t stop, Py_ssize_t first, Py_ssize_t last, Py_ssize_t stride,
                               double *U, double *minus) noexcept nogil
    const bp_kernel **bp_kernels
    bint bp_runs_here(const bp_kernel *kernel)

cdef extern from "threads.h":
    int bp_max_threads() nogil
    void bp_begin_threads(bint made_by_fork)
    void bp_run(int *n_threads, void (*task)(void *argument, int thread) noexcept nogil, void *argument) noexcept nogil
    ctypedef struct bp_barrier:
        pass
    ctypedef struct bp_counter:
        Py_ssize_t next
    Py_ssize_t bp_take(bp_counter *counter) noexcept nogil
    double bp_seconds() noexcept nogil
    void bp_barrier_wait(bp_barrier *meeting, int n_threads) noexcept nogil

cdef extern from "self_test.h":
    const char *bp_self_test(const bp_kernel *kernel) nogil

cdef extern from *:
    """
    #include <float.h>
    #if defined(__clang__)
    #define BP_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define BP_COMPILER "gcc " __VERSION__
    #else
    #define BP_COMPILER "a compiler that is neither gcc nor clang"
    #endif
    """
    const double DBL_MAX
    const char *BP_COMPILER
    const char *BP_FLAGS

COMPILER = BP_COMPILER.decode()
FLAGS = BP_FLAGS.decode()


# Instruction sets.


cdef list kernels_here():
    """The kernels that this processor can run, as codes of bp_kernels, the widest first."""
    cdef Py_ssize_t k = 0
    found = []
    while bp_kernels[k] != NULL:
        if bp_runs_here(bp_kernels[k]):
            found.append(k)
        k += 1
    return found


cdef list codes = kernels_here()
TARGETS = tuple([bp_kernels[<Py_ssize_t>code].name.decode() for code in codes])
TARGET = os.environ.get("BACKPROP_TARGET") or TARGETS[0]
if TARGET not in TARGETS:
    raise ImportError(f"BACKPROP_TARGET is {TARGET!r}; this machine has: {', '.join(TARGETS)}")
cdef const bp_kernel *kernel = bp_kernels[<Py_ssize_t>codes[TARGETS.index(TARGET)]]

# Work is counted in multiply-adds; this much of it takes a thread up to 20 ms, and then Python may look at its signals.
cdef double PAUSE_AFTER = 1e8
# Rows of a block: many, since each panel that is packed serves all of them, but its work space has an end.
cdef Py_ssize_t BLOCK_ROWS = 512
cdef Py_ssize_t BLOCK_DOUBLES = 1 << 21
cdef Py_ssize_t FEWEST_ROWS = 128

# So many steps of a shuffle are one piece of work.
cdef Py_ssize_t SHUFFLE_STEPS = 1 << 20

cdef uint64_t TWO_32 = 1ULL << 32

# Without a bound the damping would reach 0.0, which no factor can raise again.
cdef double LOWEST_MU = 1e-20

# Between two times that threads wait for each other, each should have so much to do, in multiply-adds; and so much in
# all, or they are not woken.
THREAD_WORK = 1.5e6
WAKING_WORK = 4e6


def made_by_fork():
    """Whether fork() has made this process, and no exec() has followed: its parent may have had threads of OpenMP's.

    On Linux that is a flag (PF_FORKNOEXEC of proc_pid_stat(5)), in the seventh field after the name in parentheses.
    """
    try:
        with open("/proc/self/stat", "rb") as file:
            return bool(int(file.read().rpartition(b")")[2].split()[6]) & 0x40)
    except (OSError, ValueError, IndexError):
        return False


bp_begin_threads(made_by_fork())


def max_threads():
    """How many threads OpenMP would use; 1 without it, and in a child made by fork."""
    return bp_max_threads()


# Elementary functions, by the value: for tests and benchmarks.

ctypedef double (*Elementary)(double x) noexcept nogil

cdef check_length(Py_ssize_t length, Py_ssize_t needed):
    if length != needed:
        raise ValueError(f"the output must have length {needed}, got {length}")


ELEMENTARY = ("exp", "expm1", "log", "log1p")
FORMS = ("vector", "scalar", "exact")
cdef Elementary *scalar_forms = [cr_exp, cr_expm1, cr_log, cr_log1p]
cdef Elementary *exact_forms = [bp_exp_slow, bp_expm1_slow, bp_log_slow, bp_log1p_slow]


def elementary(str name not None, const double[::1] x not None, double[::1] out not None, str form not None="vector"):
    """exp, expm1, log or log1p of each x, by all lanes of a vector, one by one, or all through the exact slow phase."""
    cdef Py_ssize_t code = ELEMENTARY.index(name), k, way = FORMS.index(form)
    cdef Elementary function = exact_forms[code] if way == 2 else scalar_forms[code]
    cdef bp_fpenv saved
    check_length(out.shape[0], x.shape[0])
    if x.shape[0] == 0:
        return
    with nogil:
        saved = bp_fpenv_enter()
        if way == 0:
            kernel.elementary[code](x.shape[0], &x[0], &out[0])
        else:
            for k in range(x.shape[0]):
                out[k] = function(x[k])
        bp_fpenv_leave(saved)


def exp(double x):
    """exp(x) of the contract, for what is computed in Python."""
    cdef bp_fpenv saved = bp_fpenv_enter()
    x = cr_exp(x)
    bp_fpenv_leave(saved)
    return x


def log(double x):
    """log(x) of the contract, for what is computed in Python."""
    cdef bp_fpenv saved = bp_fpenv_enter()
    x = cr_log(x)
    bp_fpenv_leave(saved)
    return x


# Names and codes: the tables are in src_c/.

cdef const bp_activation *activations = kernel.activations
cdef const bp_loss *losses = kernel.losses
cdef const bp_update_rule *update_rules = kernel.update_rules


cdef list names_of_activations():
    cdef const bp_activation *row = activations
    names = []
    while row.name != NULL:
        names.append(row.name.decode())
        row += 1
    return names


cdef list names_of_losses():
    cdef const bp_loss *row = losses
    names = []
    while row.name != NULL:
        names.append(row.name.decode())
        row += 1
    return names


cdef list names_of_update_rules():
    cdef const bp_update_rule *row = update_rules
    names = []
    while row.name != NULL:
        names.append(row.name.decode())
        row += 1
    return names


ACTIVATIONS = tuple(names_of_activations())
cdef tuple loss_names = tuple(names_of_losses())
LOSSES = {name: losses[code].output.decode() for code, name in enumerate(loss_names)}
TARGET_RANGES = {name: (losses[code].low, losses[code].high) for code, name in enumerate(loss_names)}
cdef tuple update_names = tuple(names_of_update_rules())
UPDATE_RULES = {name: (update_rules[code].n_slots, update_rules[code].n_scalars)
                for code, name in enumerate(update_names)}


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


cdef inline Span share(Py_ssize_t n, int thread, int n_threads) noexcept nogil:
    """A thread's part of n things: neighbours, and as many as the others have."""
    return Span(n * thread // n_threads, n * (thread + 1) // n_threads)


cdef inline void barrier(Shared *shared, int thread) noexcept nogil:
    """Wait for the other threads; the first one notes how long."""
    cdef double began
    if shared.n_threads > 1:
        began = bp_seconds() if thread == 0 else 0.0
        bp_barrier_wait(&shared.meeting, shared.n_threads)
        if thread == 0:
            shared.waited += bp_seconds() - began


cdef inline bint waits_too_long(Shared *shared, double allowance) noexcept nogil:
    """Whether the first thread has waited for longer than what the others have spared it, and for so many seconds."""
    return (shared.n_threads > 1 and shared.waited * shared.n_threads
            > (bp_seconds() - shared.began) * (shared.n_threads - 1) + allowance)


# Randomness: the raw words of a bit generator that nobody else holds.


cdef bitgen_t *bitgen_of(stream) except NULL:
    return <bitgen_t *>PyCapsule_GetPointer(stream.capsule, "BitGenerator")


cdef inline double uniform(bitgen_t *stream) noexcept nogil:
    return <double>(stream.next_uint64(stream.state) >> 11) * 1.1102230246251565e-16  # 2**-53


cdef inline uint64_t below(bitgen_t *stream, uint64_t n) noexcept nogil:
    """Lemire 2019: an unbiased integer below n < 2**32 from the upper half of a word."""
    cdef uint64_t m = (stream.next_uint64(stream.state) >> 32) * n
    cdef uint64_t rejected
    if <uint32_t>m < n:  # what is rejected is less than n: mostly the division is saved
        rejected = (TWO_32 - n) % n
        while <uint32_t>m < rejected:
            m = (stream.next_uint64(stream.state) >> 32) * n
    return m >> 32


cdef Py_ssize_t shuffled(bitgen_t *stream, int64_t *order, Py_ssize_t i, Py_ssize_t steps) noexcept nogil:
    """So many steps of a shuffle, with i from where it stands down to 1; returns where it then stands."""
    cdef Py_ssize_t j, stop = max(i - steps, 0)
    for i in range(i, stop, -1):
        j = below(stream, i + 1)
        order[i], order[j] = order[j], order[i]
    return stop


def order(stream, Py_ssize_t n):
    """A shuffled order of n rows."""
    cdef int64_t[::1] order = np.arange(n, dtype=np.int64)
    cdef bitgen_t *bitgen = bitgen_of(stream)
    if n > 1:
        with nogil:
            shuffled(bitgen, &order[0], n - 1, n)
    return np.asarray(order)


cdef void normal_pair(bitgen_t *bitgen, double *pair) noexcept nogil:
    """Marsaglia and Bray 1964: two standard normal numbers, by the polar method."""
    cdef double u, v, s = 0.0, f
    while not 0.0 < s < 1.0:
        u = 2.0 * uniform(bitgen) - 1.0
        v = 2.0 * uniform(bitgen) - 1.0
        s = u * u + v * v
    f = sqrt((-2.0 * cr_log(s)) / s)
    pair[0], pair[1] = u * f, v * f


def initial_parameters(tuple sizes not None, stream, double factor, bint both, bint normal, double hidden_bias,
                       double[::1] out not None):
    """Weights of the variance that the initializer's rule says; each bias hidden_bias, an output's 0.0."""
    cdef bitgen_t *bitgen = bitgen_of(stream)
    cdef Py_ssize_t n_in, n_out, k = 0, start, end
    cdef double width
    cdef double[2] pair
    cdef bp_fpenv saved
    for n_in, n_out in zip(sizes, sizes[1:]):
        saved = bp_fpenv_enter()
        width = sqrt(factor / <double>(n_in + n_out if both else n_in))
        start, end = k, k + n_in * n_out
        while k < end:
            if not normal:
                out[k] = (2.0 * uniform(bitgen) - 1.0) * width
            else:
                if (k - start) % 2 == 0:
                    normal_pair(bitgen, pair)
                out[k] = pair[(k - start) % 2] * width
            k += 1
        end = k + n_out
        while k < end:
            out[k] = hidden_bias if end < out.shape[0] else 0.0
            k += 1
        bp_fpenv_leave(saved)


# Dropout.


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


# The forward pass.


cdef void forward(Shared *shared, ThreadState *block, const double *x, Span rows) noexcept nogil:
    """The activations of every layer for these rows of a block x."""
    cdef Py_ssize_t l
    block.layers[0].x = x
    if rows.start == rows.stop:
        return
    for l in range(shared.n_layers):
        kernel.forward(&block.layers[l], rows.start, rows.stop, shared.softmax_stats)


cdef void losses_of(Shared *shared, ThreadState *block, const double *t, const double *c, Span rows) noexcept nogil:
    """The loss of each of these rows of a block, times what the row counts."""
    cdef Py_ssize_t s
    cdef bp_layer *last = &block.layers[shared.n_layers - 1]
    cdef Py_ssize_t at = rows.start * last.n
    shared.loss.values(rows.stop - rows.start, last.n, last.z + at, last.a + at, t + at,
                       shared.softmax_stats + 2 * rows.start, shared.L + rows.start)
    if c != NULL:
        for s in range(rows.start, rows.stop):
            shared.L[s] = c[s] * shared.L[s]


cdef double add_losses(Shared *shared, Py_ssize_t rows, double total) noexcept nogil:
    """Add the losses of a block, row after row, to the epoch's total."""
    cdef Py_ssize_t s
    for s in range(rows):
        total = total + shared.L[s]
    return total


def bad_target(str loss not None, const double[:, ::1] y not None):
    """The first target out of its range: (s, j, value), or (s, -1, sum) for a row's sum; None if all are right."""
    cdef const bp_loss *row = &losses[loss_names.index(loss)]
    cdef Py_ssize_t s = 0, j = -1
    cdef double value = 0.0, total
    cdef bint bad = False
    cdef bp_fpenv saved
    if row.low == -DBL_MAX and row.high == DBL_MAX:
        return None
    with nogil:
        saved = bp_fpenv_enter()
        for s in range(y.shape[0]):
            total = 0.0
            for j in range(y.shape[1]):
                value = y[s, j]
                bad = not row.low <= value <= row.high
                if bad:
                    break
                total = total + value
            else:
                if row.distribution and not fabs(total - 1.0) <= 1e-9:
                    bad, value, j = True, total, -1
            if bad:
                break
        bp_fpenv_leave(saved)
    return (s, j, value) if bad else None


# The backward pass.


cdef void node_deltas(Shared *shared, bp_layer *last, const double *t, Span rows) noexcept nogil:
    cdef Py_ssize_t at = rows.start * last.n, n = (rows.stop - rows.start) * last.n
    cdef const double *of = last.z if last.activation.of_z else last.a
    if shared.loss.slopes != NULL:
        shared.loss.slopes(n, last.a + at, t + at, last.delta + at)
        if shared.loss.through_activation:
            last.activation.times_derivative(n, of + at, last.delta + at)
    elif shared.loss.through_activation:
        last.activation.node_deltas(n, last.z + at, last.a + at, t + at, last.delta + at)
    else:
        kernel.differences(n, last.a + at, t + at, last.delta + at)


cdef void hidden_deltas(bp_layer *layer, const bp_layer *above, Span rows) noexcept nogil:
    kernel.hidden_deltas(layer, above, rows.start, rows.stop)


cdef void backward(Shared *shared, ThreadState *block, const double *t, const double *c, Span rows) noexcept nogil:
    """The deltas of every layer; all weights are still the old ones. Those of the outputs times what the row counts."""
    cdef bp_layer *last = &block.layers[shared.n_layers - 1]
    cdef Py_ssize_t l, s, j
    if rows.start == rows.stop:
        return
    node_deltas(shared, last, t, rows)
    if c != NULL:
        for s in range(rows.start, rows.stop):
            for j in range(last.n):
                last.delta[s * last.n + j] = c[s] * last.delta[s * last.n + j]
    for l in range(shared.n_layers - 2, -1, -1):
        hidden_deltas(&block.layers[l], &block.layers[l + 1], rows)


cdef void add_gradient(Shared *shared, ThreadState *block, int thread, bint first, Py_ssize_t rows) noexcept nogil:
    """Add this thread's part of a block's gradient to the batch's; the first block of a batch starts from 0.0."""
    cdef Py_ssize_t l
    cdef Span inputs
    for l in range(shared.n_layers):
        inputs = share(block.layers[l].n_in + 1, thread, shared.n_threads)
        kernel.gradient(&block.layers[l], first, rows, inputs.start, inputs.stop)


cdef void transpose(Shared *shared, ThreadState *block, int thread) noexcept nogil:
    """This thread's part of every Wt."""
    cdef Py_ssize_t l
    cdef Span inputs
    for l in range(1, shared.n_layers):
        inputs = share(block.layers[l].n_in + 1, thread, shared.n_threads)
        kernel.transpose(&block.layers[l], inputs.start, inputs.stop)


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


# Plain SGD with batches of one row: layers in the form that suits that.


cdef void online_layers_step(bp_online_layer *layers, Py_ssize_t n_layers, const bp_loss *loss, double *softmax_stats,
                             const double *t, double lr, bint train_biases) noexcept nogil:
    """Forward, backward and step, layer by layer.

    A layer's weights change when the deltas of the layer below have been taken from them.
    """
    cdef bp_online_layer *last = layers + n_layers - 1
    cdef Py_ssize_t l
    for l in range(n_layers - 1):
        layers[l].activation.online_forward(&layers[l], softmax_stats)
    if loss.through_activation:
        last.activation.online_outputs(last, t)
    else:
        last.activation.online_forward(last, softmax_stats)
        last.kernel.online_differences(last, t)
    for l in range(n_layers - 1, 1, -1):
        layers[l - 1].activation.online_hidden_deltas(&layers[l - 1], &layers[l])
        layers[l].kernel.online_step(&layers[l], lr, train_biases)
        layers[l - 1].kernel.online_step_transposed(&layers[l - 1], &layers[l], lr)
    if n_layers > 1:
        layers.activation.online_first_step(layers, &layers[1], lr, train_biases)
        layers[1].kernel.online_step(&layers[1], lr, train_biases)
        layers.kernel.online_step_transposed(layers, &layers[1], lr)
    else:
        layers.kernel.online_step(layers, lr, train_biases)


cdef double online_row(bp_online_layer *layers, Py_ssize_t n_layers, bint narrow, const bp_loss *loss,
                       double *softmax_stats, const double *x, const double *t, double lr,
                       bint train_biases) noexcept nogil:
    """A row's part of training, all in one: every gradient is a single product and is used at once.

    narrow: online_two_layers does it. Returns the row's loss.
    """
    cdef const bp_online_layer *last = layers + n_layers - 1
    cdef double L
    layers.x = x
    if narrow:
        layers.kernel.online_two_layers(layers, t, loss.through_activation, lr, train_biases)
    else:
        online_layers_step(layers, n_layers, loss, softmax_stats, t, lr, train_biases)
    loss.values(1, last.n, last.z, last.a, t, softmax_stats, &L)
    return L


# Epochs, and what the public functions call.


def first_not_finite(const double[::1] values not None):
    """The index of the first NaN or infinity, or -1."""
    cdef Py_ssize_t found = -1
    cdef bp_fpenv saved
    if values.shape[0] > 0:
        with nogil:
            saved = bp_fpenv_enter()
            found = kernel.first_not_finite(values.shape[0], &values[0])
            bp_fpenv_leave(saved)
    return found


def within(double value, double low, double high, bint or_low, bint or_high):
    """Whether low < value < high, or one of the ends that count too; never for a NaN or an infinity."""
    cdef bp_fpenv saved = bp_fpenv_enter()
    cdef bint inside = low < value < high or (or_low and value == low) or (or_high and value == high)
    inside = inside and fabs(value) <= DBL_MAX
    bp_fpenv_leave(saved)
    return inside


def to_classes(const double[::1] y not None, Py_ssize_t n_classes, int64_t[::1] out not None):
    """Convert numbers to classes; return the index of the first that is no integer from 0 to n_classes - 1, or -1."""
    cdef Py_ssize_t s, bad = -1
    cdef bp_fpenv saved = bp_fpenv_enter()
    for s in range(y.shape[0]):
        if not 0.0 <= y[s] < <double>n_classes or <double><int64_t>y[s] != y[s]:
            bad = s
            break
        out[s] = <int64_t>y[s]
    bp_fpenv_leave(saved)
    return bad


def in_contract(function, *arguments):
    """function(*arguments) in the contract's floating-point environment; for conversions of numbers.

    <fenv.h> is asked too, for units that do not compute here but convert: x87 rounds a long double.
    """
    cdef bp_fpenv saved
    cdef fenv_t whole
    fegetenv(&whole)
    fesetenv(FE_DFL_ENV)
    saved = bp_fpenv_enter()
    try:
        return function(*arguments)
    finally:
        bp_fpenv_leave(saved)
        fesetenv(&whole)


cdef Py_ssize_t aligned(Py_ssize_t doubles) noexcept nogil:
    """Rounded up to whole cache lines."""
    return (doubles + 7) // 8 * 8


def empty(Py_ssize_t n):
    """An array of n doubles that begins at a cache line."""
    array = np.empty(n + 7)
    cdef Py_ssize_t start = (64 - <size_t>cnp.PyArray_DATA(array) % 64) % 64 // 8
    return array[start:start + n]


cdef class Workspace:
    """Scratch of float64, cut from one array so that every piece begins at a cache line."""

    cdef double[::1] array
    cdef double *free

    def __cinit__(self, Py_ssize_t doubles):
        self.array = empty(doubles)
        self.free = &self.array[0]

    cdef double *take(self, Py_ssize_t doubles):
        cdef double *piece = self.free
        self.free = piece + aligned(doubles)
        return piece


cdef int must_be(str what, owner, Py_ssize_t needed, Py_ssize_t given) except -1:
    """A subclass can say of itself what its arrays do not hold."""
    if given != needed:
        raise ValueError(f"{what} of {owner} must be {needed} in number, got {given}")
    return 0


cdef class Pass:
    """Blocks of rows through a network: its layers bound to parameters, and the work space of one block.

    sizes and activations as Network has them; parameters (n_parameters,); rows: the most a block need hold; n_threads
    that may work; gradient (n_parameters,), or None where there is no backward pass.
    """

    cdef Shared shared
    cdef const double[::1] parameters
    cdef double[::1] gradient
    cdef Workspace space
    cdef bytearray table

    def __cinit__(self, tuple sizes not None, tuple names not None, const double[::1] parameters not None,
                  Py_ssize_t rows, int n_threads, gradient=None, *arguments):
        cdef Shared *shared = &self.shared
        cdef bp_layer *layer
        cdef ThreadState *block
        cdef int thread
        cdef Py_ssize_t l, k, n_layers = len(names), n_in, n_out, width
        cdef Py_ssize_t doubles, own, most, pieces, worth, transposed = 0, n_parameters = 0
        cdef bint backward = gradient is not None
        self.parameters, self.gradient = parameters, gradient
        must_be("the activations", sizes, len(sizes) - 1, n_layers)
        n_in, n_out = sizes[0], sizes[n_layers]
        width = n_in + 2 * n_out
        for l in range(n_layers):
            n_parameters += (sizes[l] + 1) * sizes[l + 1]
            width += sizes[l + 1] * (2 if backward else 1)
            if backward and l < n_layers - 1 and activations[ACTIVATIONS.index(names[l])].of_z:
                width += sizes[l + 1]
            if backward and l > 0:
                transposed += aligned(sizes[l] * sizes[l + 1])
        must_be("the parameters", sizes, n_parameters, parameters.shape[0])
        if backward:
            must_be("the gradients", sizes, n_parameters, self.gradient.shape[0])
        most = max(1, min(BLOCK_ROWS, max(FEWEST_ROWS, BLOCK_DOUBLES // width)))
        pieces = max(1, (rows + most - 1) // most)
        rows = max(1, (rows + pieces - 1) // pieces)  # blocks of equal size
        shared.row_work = <double>parameters.shape[0] * (3 if backward else 1) + 16.0 * width
        shared.row_work += self.more_work(parameters.shape[0], n_out)
        worth = <Py_ssize_t>min(1e6, rows * shared.row_work / <double>THREAD_WORK)
        n_threads = max(1, min(n_threads, min(rows, worth)))
        doubles = (width + 4) * rows + 8 * (5 + 4 * n_layers) + transposed
        own = aligned(BP_RATES + 2) + kernel.scratch(max(BP_PASS_PIVOTS, rows * n_out, *sizes), max(sizes))
        self.space = Workspace(doubles + n_threads * aligned(own))
        self.table = bytearray(n_threads * (sizeof(ThreadState) + n_layers * sizeof(bp_layer)))
        shared.n_threads, shared.blocks = n_threads, <ThreadState *>PyByteArray_AS_STRING(self.table)
        shared.n_layers, shared.n_in, shared.n_out, shared.rows = n_layers, n_in, n_out, rows
        shared.x, shared.t = self.space.take(rows * n_in), self.space.take(rows * n_out)
        shared.softmax_stats = self.space.take(rows * 2)
        shared.L, shared.c = self.space.take(rows), self.space.take(rows)
        for thread in range(n_threads):
            block = &shared.blocks[thread]
            block.layers = <bp_layer *>(shared.blocks + n_threads) + thread * n_layers
            block.rates = self.space.take(own)
            block.scalars = block.rates + BP_RATES
            k = 0
            for l in range(n_layers):
                layer = &block.layers[l]
                if thread > 0:
                    layer[0] = shared.blocks[0].layers[l]
                    layer.scratch = block.rates + aligned(BP_RATES + 2)
                    continue
                layer.n_in, layer.n = sizes[l], sizes[l + 1]
                layer.activation = &activations[ACTIVATIONS.index(names[l])]
                layer.W = &parameters[k]
                layer.b = layer.W + layer.n_in * layer.n
                layer.scratch = block.rates + aligned(BP_RATES + 2)
                layer.x = block.layers[l - 1].a if l > 0 else NULL
                layer.a = self.space.take(rows * layer.n)
                keeps_z = l == n_layers - 1 or (backward and layer.activation.of_z)
                layer.z = self.space.take(rows * layer.n) if keeps_z else layer.a
                if backward:
                    layer.dW = &self.gradient[k]
                    layer.delta = self.space.take(rows * layer.n)
                    if l > 0:
                        layer.Wt = self.space.take(layer.n_in * layer.n)
                k += (layer.n_in + 1) * layer.n
        shared.n_parameters, shared.method = parameters.shape[0], NULL

    @staticmethod
    def more_work(double n_parameters, double n_out):
        """What a row costs beside its passes, in multiply-adds."""
        return 0.0


cdef struct Prediction:
    Shared *shared
    const double *X
    double *out
    Py_ssize_t row      # the first of the rows to do, and the one to stop before
    Py_ssize_t stop
    bp_counter taken    # blocks of them, each of as many rows as a thread has room for
    Py_ssize_t *bad     # (n_threads,): the first row where X or the result is not finite, or stop


cdef void predict_rows(void *argument, int thread) noexcept nogil:
    """Predict block after block, each by the thread that is free first."""
    cdef Prediction *job = <Prediction *>argument
    cdef Shared *shared = job.shared
    cdef ThreadState *block = &shared.blocks[thread]
    cdef Py_ssize_t most = shared.rows // shared.n_threads, start = most * thread, row, rows, k
    cdef const double *a = block.layers[shared.n_layers - 1].a + start * shared.n_out
    cdef bp_fpenv saved = bp_fpenv_enter()
    while job.bad[thread] == job.stop:
        row = job.row + bp_take(&job.taken) * most
        if row >= job.stop:
            break
        rows = min(most, job.stop - row)
        k = kernel.first_not_finite(rows * shared.n_in, job.X + row * shared.n_in)
        if k >= 0:
            job.bad[thread] = row + k // shared.n_in
            break
        forward(shared, block, job.X + (row - start) * shared.n_in, Span(start, start + rows))
        memcpy(job.out + row * shared.n_out, a, rows * shared.n_out * sizeof(double))
        k = kernel.first_not_finite(rows * shared.n_out, a)
        if k >= 0:
            job.bad[thread] = row + k // shared.n_out
    bp_fpenv_leave(saved)


def predict(tuple sizes not None, tuple names not None, const double[::1] parameters not None,
            const double[:, ::1] X not None, double[:, ::1] out not None, int n_threads):
    """Predict all rows; return one where X or the result is not finite, the first if X is finite, or -1."""
    cdef Pass work = Pass(sizes, names, parameters, X.shape[0], n_threads)
    cdef Shared *shared = &work.shared
    cdef Py_ssize_t[::1] bad = np.empty(shared.n_threads, np.intp)
    cdef Prediction job = Prediction(shared, &X[0, 0], &out[0, 0], 0, 0, bp_counter(0), &bad[0])
    cdef Py_ssize_t piece = max(1, <Py_ssize_t>(PAUSE_AFTER * shared.n_threads / shared.row_work)), thread, first
    while job.row < X.shape[0]:
        job.stop, job.taken.next = min(job.row + piece, X.shape[0]), 0
        for thread in range(bad.shape[0]):
            bad[thread] = job.stop
        with nogil:
            bp_run(&shared.n_threads, predict_rows, &job)
        first = min(bad)
        if first < job.stop:
            return first
        job.row = job.stop
        PyErr_CheckSignals()
    return -1


cdef class Predictor(Pass):
    """For a few rows: the whole prediction, its checks included, without a word of Python and without leaving the GIL.

    That keeps the work space to one caller at a time.
    """

    def __cinit__(self, *arguments):
        pass

    def predict(self, X):
        """The prediction for an array of a few rows, or None: whoever asks must see what is wrong, or take longer."""
        cdef Shared *shared = &self.shared
        cdef ThreadState *block = &shared.blocks[0]
        cdef bp_layer *last = &block.layers[shared.n_layers - 1]
        cdef const double *x
        cdef double *o
        cdef cnp.npy_intp shape[2]
        cdef bint finite
        cdef bp_fpenv saved
        cdef cnp.ndarray out
        if not (cnp.PyArray_CheckExact(X) and cnp.PyArray_NDIM(X) == 2 and cnp.PyArray_TYPE(X) == cnp.NPY_DOUBLE
                and cnp.PyArray_ISCARRAY_RO(X)):
            return None
        shape[0], shape[1] = cnp.PyArray_DIM(X, 0), shared.n_out
        if cnp.PyArray_DIM(X, 1) != shared.n_in or not 0 < shape[0] <= shared.rows:
            return None
        out = cnp.PyArray_EMPTY(2, shape, cnp.NPY_DOUBLE, False)
        x, o = <const double *>cnp.PyArray_DATA(X), <double *>cnp.PyArray_DATA(out)
        saved = bp_fpenv_enter()
        forward(shared, block, x, Span(0, shape[0]))
        memcpy(o, last.a, shape[0] * shared.n_out * sizeof(double))
        finite = (kernel.first_not_finite(shape[0] * shared.n_in, x) < 0
                  and kernel.first_not_finite(shape[0] * shared.n_out, o) < 0)
        bp_fpenv_leave(saved)
        return out if finite else None


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


def sum_of_weights(const double[::1] weights not None):
    """The first row whose weight is no finite number >= 0, or -1; and the sum of those before it."""
    cdef Py_ssize_t s, bad = -1
    cdef double total = 0.0
    cdef bp_fpenv saved
    with nogil:
        saved = bp_fpenv_enter()
        for s in range(weights.shape[0]):
            if not 0.0 <= weights[s] <= DBL_MAX:
                bad = s
                break
            total = total + weights[s]
        bp_fpenv_leave(saved)
    return bad, total


cdef class Data:
    """X (n_samples, n_in) and its targets: y (n_samples, n_outputs), or labels (n_samples,) of classes.

    weights (n_samples,) are what the rows count, of which `weight` is the sum; or None, where each counts 1.0.
    """

    cdef const double[:, ::1] X
    cdef const double *y
    cdef const int64_t *labels
    cdef readonly Py_ssize_t n_samples
    cdef const double[:, ::1] y_view
    cdef const int64_t[::1] labels_view
    cdef const double *weights
    cdef const double[::1] weights_view
    cdef readonly double weight

    def __cinit__(self, const double[:, ::1] X not None, y, const double[::1] weights=None, double weight=0.0):
        self.X, self.n_samples, self.weight = X, X.shape[0], weight
        if weights is None:
            self.weight = <double>self.n_samples
        else:
            self.weights_view = weights
            self.weights = &self.weights_view[0]
        if y.ndim == 1:
            self.labels_view = y
            self.labels = &self.labels_view[0]
        else:
            self.y_view = y
            self.y = &self.y_view[0, 0]


cdef const double *rows_of(Shared *shared, Py_ssize_t first, Span rows) noexcept nogil:
    """These of the rows from the first on, in visiting order: where they lie if that is the order of X, else gathered.

    Returns where row 0 of the block is, or would be.
    """
    cdef Py_ssize_t s, n = shared.n_in
    cdef const int64_t *order = shared.order + first
    if shared.order == NULL:
        return shared.X + first * n
    for s in range(rows.start, rows.stop):
        kernel.gather(n, shared.X + order[s] * n, shared.X + order[min(s + 1, rows.stop - 1)] * n, shared.x + s * n)
    return shared.x


cdef const double *targets_of(Shared *shared, Py_ssize_t first, Span rows) noexcept nogil:
    """Their targets; a label k is the row with 1.0 in column k and 0.0 elsewhere."""
    cdef Py_ssize_t s, j, row, n = shared.n_out
    if shared.order == NULL and shared.labels == NULL:
        return shared.y + first * n
    for s in range(rows.start, rows.stop):
        row = first + s if shared.order == NULL else shared.order[first + s]
        for j in range(n):
            shared.t[s * n + j] = ((1.0 if shared.labels[row] == j else 0.0) if shared.labels != NULL
                                   else shared.y[row * n + j])
    return shared.t


cdef const double *row_weights(Shared *shared, Py_ssize_t first, Span rows) noexcept nogil:
    """What they count, or NULL if each counts 1.0."""
    cdef Py_ssize_t s
    if shared.weights == NULL or shared.order == NULL:
        return shared.weights + first if shared.weights != NULL else NULL
    for s in range(rows.start, rows.stop):
        shared.c[s] = shared.weights[shared.order[first + s]]
    return shared.c


cdef void add_weights(Shared *shared, ThreadState *block, Py_ssize_t first, Py_ssize_t rows,
                      bint first_of_batch) noexcept nogil:
    """Add what the rows of a block count, row after row, to what its batch and its epoch count."""
    cdef Py_ssize_t s
    cdef const double *c = shared.weights + first
    cdef double of_batch = 0.0 if first_of_batch else block.of_batch
    cdef double of_epoch = 0.0 if first == 0 else block.of_epoch
    if shared.order != NULL:
        c = shared.c
    for s in range(rows):
        of_batch = of_batch + c[s]
        of_epoch = of_epoch + c[s]
    block.of_batch, block.of_epoch = of_batch, of_epoch


cdef void visit(Shared *shared, int thread, Py_ssize_t first, Py_ssize_t rows, bint first_of_batch) noexcept nogil:
    """Take the next rows forward, and back if there is a gradient.

    All threads call this together, and then wait at a barrier before they read what the others have left.
    """
    cdef ThreadState *block = &shared.blocks[thread]
    cdef Span part = share(rows, thread, shared.n_threads)
    cdef const double *x = rows_of(shared, first, part)
    cdef const double *t
    cdef const double *c = row_weights(shared, first, part)
    if shared.drops != NULL:
        if thread == 0:
            draw_masks(shared, rows)
        barrier(shared, thread)
    forward(shared, block, x, part)
    t = targets_of(shared, first, part)
    losses_of(shared, block, t, c, part)
    if shared.g != NULL:
        backward(shared, block, t, c, part)
    barrier(shared, thread)
    if thread == 0:
        shared.before = shared.total if first > 0 else 0.0
        shared.total = add_losses(shared, rows, shared.before)
        shared.give_up = waits_too_long(shared, 2e-3)
    if shared.g != NULL:
        add_gradient(shared, block, thread, first_of_batch, rows)


cdef void visit_all(void *argument, int thread) noexcept nogil:
    """A thread's part of one piece of a LossPass: all rows from where it stands, while no sum overflows."""
    cdef Shared *shared = <Shared *>argument
    cdef Py_ssize_t row = shared.row, rows, n = shared.n_samples
    cdef double work = 0.0
    cdef bp_fpenv saved = bp_fpenv_enter()
    if shared.g != NULL and row == 0:
        transpose(shared, &shared.blocks[thread], thread)
        barrier(shared, thread)
    while row < n and work < PAUSE_AFTER * shared.n_threads:
        rows = min(shared.rows, n - row)
        visit(shared, thread, row, rows, row == 0)
        barrier(shared, thread)
        work += rows * shared.row_work
        row += rows
        if not fabs(shared.total) <= DBL_MAX:
            row -= rows
            rows = 1
            while fabs(add_losses(shared, rows, shared.before)) <= DBL_MAX:
                rows += 1
            row += rows - 1  # at which the sum overflowed
            barrier(shared, thread)
            if thread == 0:
                shared.total = add_losses(shared, rows, shared.before)
            break
    if thread == 0:
        shared.row = row
    bp_fpenv_leave(saved)


cdef class LossPass(Pass):
    """The mean loss of all rows in their order and, where there is a gradient, its gradient."""

    cdef Data data
    cdef readonly double total
    cdef readonly Py_ssize_t overflow  # the row at which the sum of losses stopped being finite, or -1

    def __cinit__(self, sizes, names, parameters, rows, n_threads, gradient, str loss not None, Data data not None,
                  *arguments):
        cdef Shared *shared = &self.shared
        self.data, self.total, self.overflow = data, 0.0, -1
        must_be("the columns", "X", shared.n_in, data.X.shape[1])
        if data.y != NULL:
            must_be("the columns", "y", shared.n_out, data.y_view.shape[1])
        shared.loss = &losses[loss_names.index(loss)]
        shared.X, shared.y, shared.labels, shared.weights = &data.X[0, 0], data.y, data.labels, data.weights
        shared.n_samples, shared.row, shared.total = data.n_samples, 0, 0.0
        shared.order = NULL
        shared.g = &self.gradient[0] if gradient is not None else NULL

    def run(self):
        """Work for up to 20 ms; return whether the end is reached: `total` the mean loss, or `overflow` a row."""
        cdef Shared *shared = &self.shared
        cdef bp_fpenv saved
        cdef bint complete
        with nogil:
            bp_run(&shared.n_threads, visit_all, shared)
            saved = bp_fpenv_enter()
            complete = self.mean()
            bp_fpenv_leave(saved)
        return complete

    cdef bint mean(self) noexcept nogil:
        """After a piece: whether it was the last; then the sums become means."""
        cdef Shared *shared = &self.shared
        self.total = shared.total
        if not fabs(self.total) <= DBL_MAX:
            self.overflow = shared.row
        elif shared.row == shared.n_samples:
            self.total = self.total / self.data.weight
            if shared.g != NULL:
                kernel.mean_gradient(shared.n_parameters, self.data.weight, shared.g)
        return self.overflow >= 0 or shared.row == shared.n_samples


cdef class OnlineLayers:
    """The layers in the form that suits one row at a time, beside the flat parameters w."""

    cdef bp_online_layer *layers
    cdef Py_ssize_t n_layers
    cdef bint narrow          # two layers, each one vector wide, of the same lanes
    cdef double *softmax_stats
    cdef bytearray table
    cdef Workspace space

    def __cinit__(self, tuple sizes not None, tuple names not None):
        cdef Py_ssize_t l, doubles = 8
        cdef bp_online_layer *layer
        self.n_layers = len(names)
        self.table = bytearray(self.n_layers * sizeof(bp_online_layer))
        self.layers = <bp_online_layer *>PyByteArray_AS_STRING(self.table)
        for l in range(self.n_layers):
            layer = &self.layers[l]
            layer.n_in, layer.n = sizes[l], sizes[l + 1]
            layer.kernel = kernel
            while layer.kernel.narrower != NULL and layer.n <= layer.kernel.narrower.lanes:
                layer.kernel = layer.kernel.narrower
            layer.stride = (layer.n + layer.kernel.lanes - 1) // layer.kernel.lanes * layer.kernel.lanes
            layer.activation = &layer.kernel.activations[ACTIVATIONS.index(names[l])]
            doubles += aligned((layer.n_in + 1) * layer.stride) + 3 * aligned(layer.stride)
            if l > 0:
                doubles += aligned(layer.n * self.layers[l - 1].stride)
        self.space = Workspace(doubles)
        self.softmax_stats = self.space.take(2)
        for l in range(self.n_layers):
            layer = &self.layers[l]
            layer.W = self.space.take((layer.n_in + 1) * layer.stride)
            layer.b = layer.W + layer.n_in * layer.stride
            layer.a, layer.delta = self.space.take(layer.stride), self.space.take(layer.stride)
            layer.z = self.space.take(layer.stride)
            if l > 0:
                layer.Wt = self.space.take(layer.n * self.layers[l - 1].stride)
                layer.x = self.layers[l - 1].a
        layer = &self.layers[self.n_layers - 1]
        self.narrow = (self.n_layers == 2 and self.layers.kernel == layer.kernel
                       and self.layers.stride == layer.stride == layer.kernel.lanes
                       and layer.activation.online_outputs != NULL)

    cdef void load(self, const double *w) noexcept nogil:
        """Take the parameters over; what lies beside them is 0.0, and 2.0 as a bias, so that no activation is slow."""
        cdef Py_ssize_t l, i, j, below
        cdef bp_online_layer *layer
        for l in range(self.n_layers):
            layer = &self.layers[l]
            below = self.layers[l - 1].stride if l > 0 else 0
            for j in range(layer.n * below):
                layer.Wt[j] = 0.0
            for i in range(layer.n_in + 1):
                for j in range(layer.stride):
                    if j >= layer.n:
                        layer.W[i * layer.stride + j] = 0.0
                        continue
                    layer.W[i * layer.stride + j] = w[j]
                    if l > 0 and i < layer.n_in:
                        layer.Wt[j * below + i] = w[j]
                w += layer.n
            for j in range(layer.n, layer.stride):
                layer.b[j] = 2.0

    cdef void save(self, double *w) noexcept nogil:
        cdef Py_ssize_t l, i, j
        cdef bp_online_layer *layer
        for l in range(self.n_layers):
            layer = &self.layers[l]
            for i in range(layer.n_in + 1):
                for j in range(layer.n):
                    w[j] = layer.W[i * layer.stride + j]
                w += layer.n


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


cdef void train_rows(Shared *shared, OnlineLayers own) noexcept nogil:
    """A piece of training by plain SGD, row by row."""
    cdef Py_ssize_t n = shared.n_samples, row = shared.row, done = shared.done, s
    cdef double work = 0.0, loss = 0.0, total = shared.total, lr
    cdef const double *t
    cdef bp_fpenv saved = bp_fpenv_enter()
    own.load(shared.w)
    begin_epoch(shared, done)
    lr = shared.settings[0]
    while done < shared.until and fabs(loss) <= DBL_MAX and work < PAUSE_AFTER:
        if shared.to_shuffle != 0:
            shuffle_on(shared)
            work += 16.0 * min(n, SHUFFLE_STEPS)
            continue
        while row < n and work < PAUSE_AFTER:
            s = row if shared.order == NULL else shared.order[row]
            t = shared.y + s * shared.n_out if shared.labels == NULL else targets_of(shared, row, Span(0, 1))
            total = (total if row > 0 else 0.0) + online_row(own.layers, own.n_layers, own.narrow, shared.loss,
                                                             own.softmax_stats, shared.X + s * shared.n_in, t, lr,
                                                             shared.train_biases)
            work += shared.row_work
            row += 1
        if row == n:
            loss = total / <double>n
            shared.losses[done] = loss
            done += 1
            if shared.learning_rates != NULL:
                begin_epoch(shared, done)
                lr = shared.settings[0]
            row = 0
            shared.to_shuffle = 0 if shared.bitgen == NULL else -1
    own.save(shared.w)
    shared.row, shared.done, shared.total = row, done, total
    bp_fpenv_leave(saved)


# After a call in which threads did not pay so many calls are made without them, then twice as many, up to the last.
cdef int FEWEST_ALONE = 8
cdef int MOST_ALONE = 256


cdef class Threads:
    """Whether threads pay just now: on a machine that others use too they may well not.

    A worker that has to share its core keeps the others waiting in every step. If the first thread waits for more than
    what the workers spare it, it goes on alone for a while. No result depends on that.
    """

    cdef int n_threads
    cdef int alone    # calls to make without the others
    cdef int next     # how many those are the next time; 0: all was well

    def __cinit__(self, int n_threads):
        self.n_threads, self.alone, self.next = n_threads, 0, FEWEST_ALONE

    cdef void run(self, Shared *shared, void (*task)(void *, int) noexcept nogil) noexcept nogil:
        """One call of a task, with all threads or with one; the first with all is short."""
        shared.work, shared.n_threads, shared.give_up = PAUSE_AFTER, self.n_threads, False
        if self.n_threads == 1 or self.alone > 0:
            shared.n_threads = 1
            self.alone = self.alone - 1
            bp_run(&shared.n_threads, task, shared)
            return
        if self.next > 0:
            shared.work /= 8.0
        shared.waited, shared.began = 0.0, bp_seconds()
        bp_run(&shared.n_threads, task, shared)
        if waits_too_long(shared, 0.0):
            self.alone = max(self.next, FEWEST_ALONE)
            self.next = min(2 * self.alone, MOST_ALONE)
        else:
            self.next = 0


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


# Methods: full-batch optimizers that decide themselves how far to go, and when they are at their end.


cdef class Method(LossPass):
    """What they share. An iteration is an epoch; its loss is that of the weights before it.

    The arguments are those of Trainer. w, slots and scalars are moved on; stream is not used.
    """

    cdef double[::1] w
    cdef double[:, ::1] slots
    cdef double[::1] scalars
    cdef const double[::1] settings
    cdef bint train_biases
    cdef readonly str ended   # why the method is at its end; "": it is not
    cdef const char *reason   # the same, or NULL
    cdef readonly Py_ssize_t evaluations
    cdef Threads threads
    cdef bp_fpenv outside     # the caller's floating-point environment
    cdef double unseen        # work done since Python looked at its signals
    cdef double worked        # work done in this call

    def __cinit__(self, sizes, names, double[::1] parameters not None, rows, n_threads, gradient, loss, data, str rule,
                  const double[::1] settings not None, double[:, ::1] slots not None, double[::1] scalars not None,
                  stream, bint train_biases):
        self.w, self.settings, self.slots, self.scalars = parameters, settings, slots, scalars
        self.shared.w, self.train_biases = &parameters[0], train_biases
        self.reason, self.ended = NULL, ""
        self.evaluations, self.unseen, self.worked = 0, 0.0, 0.0
        self.threads = Threads(self.shared.n_threads)

    def train(self, double[::1] losses not None, Py_ssize_t done, Py_ssize_t until, learning_rates=None):
        """Fill losses[done:until], an iteration each; return how many are filled by now. There are no learning rates.

        Comes back after some 20 ms of work, but not within an iteration; at `until`; after an iteration whose loss is
        not finite; or when the method is at its end, which `ended` says.
        """
        cdef double loss = 0.0
        self.worked = 0.0
        with nogil:
            self.outside = bp_fpenv_enter()
            try:
                while done < until and self.reason == NULL and fabs(loss) <= DBL_MAX and self.worked < PAUSE_AFTER:
                    self.iterate(&loss)
                    losses[done] = loss
                    done += 1
            finally:
                bp_fpenv_leave(self.outside)
        if self.reason != NULL:
            self.ended = self.reason.decode()
        return done

    cdef int iterate(self, double *loss) except -1 nogil:
        """One iteration; sets the loss before it, and `reason` if the method is at its end."""
        return 0

    cdef int evaluate(self) except -1 nogil:
        """The mean loss at w into `total`, which may not be finite, and its gradient into shared.g, if there is one."""
        cdef Shared *shared = &self.shared
        cdef Py_ssize_t before
        cdef bint complete = False
        shared.row, self.overflow = 0, -1
        self.evaluations = self.evaluations + 1
        while not complete:
            before = shared.row
            self.threads.run(shared, visit_all)
            self.look((shared.row - before) * shared.row_work / <double>shared.n_threads)
            complete = self.mean()
        return 0

    cdef int look(self, double work) except -1 nogil:
        """After so much work: Python may look at its signals every 20 ms, in the caller's environment."""
        self.worked = self.worked + work
        self.unseen = self.unseen + work
        if self.unseen >= PAUSE_AFTER:
            self.unseen = 0.0
            bp_fpenv_leave(self.outside)
            with gil:
                PyErr_CheckSignals()
            bp_fpenv_enter()
        return 0


cdef double ENOUGH = 1e-4               # of the decrease that the first slope promises (c1)
cdef double FLAT = 0.9                  # of the first slope may be left (c2)
cdef double KEEP = 2.220446049250313e-16  # s*y is to be above this share of the decrease that was promised: 2**-52


cdef struct Point:
    double t       # on the line w + t*d
    double loss    # the mean loss
    double f       # the objective
    double slope   # of the objective, along d


cdef inline double clamped(double u, double low, double high, double otherwise) noexcept nogil:
    """u, or the nearer end of the interval; `otherwise` for a NaN."""
    return low if u < low else high if u > high else u if u == u else otherwise


cdef double lowest_of_cubic(const Point *one, const Point *other) noexcept nogil:
    """Where the cubic through two points with their slopes is lowest, in steps from one to the other; NaN: nowhere."""
    cdef double h = other.t - one.t, a = one.slope * h, b = other.slope * h
    cdef double c = (a + b) - 3.0 * (other.f - one.f), radicand = c * c - a * b, root, divisor
    if not radicand >= 0.0:
        return NAN
    root = sqrt(radicand)
    divisor = (b - a) + 2.0 * root
    return 1.0 - ((b + root) - c) / divisor if divisor > 0.0 else NAN


cdef inline bint is_finite(const Point *point) noexcept nogil:
    return fabs(point.f) <= DBL_MAX and fabs(point.slope) <= DBL_MAX


cdef class LBFGS(Method):
    """L-BFGS. slots: the changes s of the weights, then the changes y of the gradient (2*memory, n_parameters);
    scalars: how many pairs there are, which is the newest, gamma, and every s*y (3 + memory,).

    The gradient where an iteration ends is that where the next one begins: only the first one of a run evaluates it.
    """

    cdef Workspace room
    cdef bp_pairs pairs
    cdef Point here        # the last evaluation; that at w between iterations
    cdef bint known        # whether there was one
    cdef double tolerance
    cdef double l2
    cdef Py_ssize_t most   # trials of a search
    cdef double *start     # where the line starts: the weights, and the gradient
    cdef double *start_g
    cdef double *low_g     # the gradient at the lowest trial
    cdef double *d
    cdef double *weights   # the parameters with 0.0 for biases
    cdef double *alphas

    def __cinit__(self, *arguments):
        cdef Py_ssize_t n = self.shared.n_parameters, memory
        must_be("the settings", "lbfgs", 4, self.settings.shape[0])
        memory = <Py_ssize_t>self.settings[0]
        must_be("the slots", "lbfgs", 2 * memory * n, self.slots.shape[0] * self.slots.shape[1])
        must_be("the scalars", "lbfgs", 3 + memory, self.scalars.shape[0])
        self.tolerance, self.l2, self.most = self.settings[1], self.settings[2], <Py_ssize_t>self.settings[3]
        self.room = Workspace(5 * aligned(n) + aligned(memory))
        self.start, self.start_g, self.low_g = self.room.take(n), self.room.take(n), self.room.take(n)
        self.d, self.weights, self.alphas = self.room.take(n), self.room.take(n), self.room.take(memory)
        self.pairs.n, self.pairs.memory = n, memory
        self.pairs.S, self.pairs.Y, self.pairs.sy = &self.slots[0, 0], &self.slots[memory, 0], &self.scalars[3]
        self.known = False

    cdef int objective(self) except -1 nogil:
        """The mean loss at w, the objective, and the objective's gradient; biases have no penalty."""
        cdef Shared *shared = &self.shared
        cdef Py_ssize_t l, k = 0, n_weights
        cdef bp_layer *layer
        cdef double *g = shared.g
        self.evaluate()
        self.here.loss = self.here.f = self.total
        for l in range(shared.n_layers):
            layer = &shared.blocks.layers[l]
            n_weights = layer.n_in * layer.n
            if not self.train_biases:
                memset(g + k + n_weights, 0, layer.n * sizeof(double))
            if self.l2 > 0.0:
                memcpy(self.weights + k, layer.W, n_weights * sizeof(double))
                memset(self.weights + k + n_weights, 0, layer.n * sizeof(double))
                kernel.axpy(n_weights, g + k, self.l2, layer.W, g + k)
            k += n_weights + layer.n
        if self.l2 > 0.0:
            self.here.f = self.total + (0.5 * self.l2) * kernel.dot(k, self.weights, self.weights)
        return 0

    cdef void move(self, double t) noexcept nogil:
        """w = start + t*d, where it may move."""
        cdef Shared *shared = &self.shared
        cdef Py_ssize_t l, k = 0
        cdef bp_layer *layer
        kernel.axpy(shared.n_parameters, self.start, t, self.d, shared.w)
        if not self.train_biases:
            for l in range(shared.n_layers):
                layer = &shared.blocks.layers[l]
                k += layer.n_in * layer.n
                memcpy(shared.w + k, self.start + k, layer.n * sizeof(double))
                k += layer.n

    cdef int trial(self, double t) except -1 nogil:
        """Evaluate the objective at start + t*d, with its slope; what is not finite is not finite in the result."""
        cdef Shared *shared = &self.shared
        self.move(t)
        self.here = Point(t, NAN, NAN, NAN)
        if kernel.first_not_finite(shared.n_parameters, shared.w) < 0:
            self.objective()
            self.here.slope = kernel.dot(shared.n_parameters, shared.g, self.d)
        return 0

    cdef int line_search(self, const Point *start, double t) except -1 nogil:
        """Move to a point with the strong Wolfe conditions; after `most` trials to the best so far, maybe the start."""
        cdef Shared *shared = &self.shared
        cdef Py_ssize_t size = shared.n_parameters * sizeof(double), _trial
        cdef Point low = start[0], high = start[0], before
        cdef bint bounded = False, onward
        cdef double last = INFINITY, last_but_one = INFINITY, width, u
        for _trial in range(self.most):
            self.trial(t)
            before = low
            if not (is_finite(&self.here) and self.here.f <= start.f + (ENOUGH * t) * start.slope
                    and self.here.f < low.f):
                high, bounded = self.here, True
            elif fabs(self.here.slope) <= -(FLAT * start.slope):
                return 0
            else:
                onward = not bounded or high.t > low.t
                if (self.here.slope > 0.0) == onward:
                    high, bounded = low, True
                low = self.here
                memcpy(self.low_g, shared.g, size)
            if not bounded:
                t = before.t + lowest_of_cubic(&before, &low) * (low.t - before.t)
                t = clamped(t, 2.0 * low.t, 10.0 * low.t, 10.0 * low.t)
            else:
                if is_finite(&high):
                    u = clamped(lowest_of_cubic(&low, &high), 0.1, 0.9, 0.5)
                else:
                    u = 0.5 if low.t > 0.0 else 0.1
                width = fabs(high.t - low.t)
                if width > 0.66 * last_but_one:
                    u = 0.5
                last, last_but_one = width, last
                t = low.t + u * (high.t - low.t)
                if width <= 0.01 * low.t or t == low.t or t == high.t:
                    break  # what is left is an edge
        self.here = low
        if low.t > 0.0:
            self.move(low.t)
            memcpy(shared.g, self.low_g, size)
        else:
            memcpy(shared.w, self.start, size)
            memcpy(shared.g, self.start_g, size)
        return 0

    cdef int iterate(self, double *loss) except -1 nogil:
        cdef Shared *shared = &self.shared
        cdef bp_pairs *pairs = &self.pairs
        cdef Py_ssize_t n = shared.n_parameters, at
        cdef double steepest, t, slope, sy, yy
        cdef double *s
        cdef double *y
        cdef Point start
        if not self.known:
            self.objective()
            self.known = True
            loss[0] = self.here.loss
            if not fabs(loss[0]) <= DBL_MAX:
                return 0
            if not fabs(self.here.f) <= DBL_MAX or kernel.first_not_finite(n, shared.g) >= 0:
                self.reason = "overflow"
                return 0
        loss[0] = self.here.loss
        steepest = kernel.max_abs(n, shared.g)
        if steepest <= self.tolerance:
            self.reason = "gradient"
            return 0
        memcpy(self.start, shared.w, n * sizeof(double))
        memcpy(self.start_g, shared.g, n * sizeof(double))
        start = self.here
        start.t = 0.0
        while True:
            pairs.held, pairs.newest = <Py_ssize_t>self.scalars[0], <Py_ssize_t>self.scalars[1]
            pairs.gamma = self.scalars[2]
            if pairs.held > 0:
                slope, t = kernel.two_loops(pairs, self.start_g, self.d, self.alphas), 1.0
            else:
                t = 1.0 / sqrt(kernel.divide(n, self.start_g, -steepest, self.d))
                slope = kernel.dot(n, self.start_g, self.d)
            self.look((4.0 * pairs.held + 12.0) * n)
            if fabs(slope) <= DBL_MAX and slope < 0.0:
                start.slope = slope
                self.line_search(&start, t)
                if self.here.t > 0.0:
                    break
            self.scalars[0] = 0.0
            if pairs.held == 0:
                self.reason = "line_search"
                return 0
        s, y = self.d, self.low_g
        kernel.differences(n, shared.w, self.start, s)
        kernel.differences(n, shared.g, self.start_g, y)
        sy, yy = kernel.dot(n, s, y), kernel.dot(n, y, y)
        if KEEP * -(self.here.t * slope) < sy <= DBL_MAX and 0.0 < yy <= DBL_MAX:
            at = (pairs.newest + 1) % pairs.memory
            memcpy(&self.slots[at, 0], s, n * sizeof(double))
            memcpy(&self.slots[pairs.memory + at, 0], y, n * sizeof(double))
            self.scalars[0], self.scalars[1] = min(pairs.held + 1, pairs.memory), at
            self.scalars[2], self.scalars[3 + at] = sy / yy, sy
        return 0


# Levenberg-Marquardt.


cdef enum Stage:
    JACOBIAN
    COPY
    FACTOR
    TRIAL
    ENDED


cdef struct Damped:
    Stage stage
    Py_ssize_t stride       # of the matrices' rows, of which columns are used: n_parameters + 1, in full cache lines
    Py_ssize_t columns
    double *J               # (rows*n_out, stride): the Jacobian of a block of rows, and its residuals
    double *A               # (n_parameters, stride): J^T J, and J^T e
    double *U               # (n_parameters, stride): the factor
    double *minus           # (BP_PASS_PIVOTS, stride): rows of U, negated
    double *before          # (n_parameters,): the weights
    const double *settings
    double mu
    double weight           # what all rows count
    double loss
    Py_ssize_t column       # the first of the pivots that are next
    bp_counter taken        # pieces of BP_PIVOTS columns, the last first, each by the thread that is free first
    double work             # done in this call, in multiply-adds
    const char *reason


cdef void add_products(Shared *shared, Damped *job, int thread, Py_ssize_t depth, Span rows, const double *left,
                       const double *right, bint first, double *C) noexcept nogil:
    """This thread's part of C = C + left^T right, for these rows of C on and right of its diagonal.

    All three begin at the column of the first of these rows.
    """
    cdef Py_ssize_t columns = job.columns - rows.start, start
    cdef Py_ssize_t pieces = (columns + BP_PIVOTS - 1) // BP_PIVOTS
    while True:
        start = (pieces - 1 - bp_take(&job.taken)) * BP_PIVOTS
        if start < 0:
            break
        kernel.add_products(depth, rows.stop - rows.start, start, min(start + BP_PIVOTS, columns), left, right,
                            job.stride, first, C, shared.blocks[thread].layers[0].scratch)


cdef void jacobian_rows(Shared *shared, Damped *job, int thread, const double *t, const double *c,
                        Span rows) noexcept nogil:
    """The rows of J of these of a block, by a backward pass for each output; each ends in its residual."""
    cdef ThreadState *block = &shared.blocks[thread]
    cdef bp_layer *layer
    cdef bp_layer *last = &block.layers[shared.n_layers - 1]
    cdef Py_ssize_t n_out = shared.n_out, s, j, k, l, column, at = rows.start * n_out
    cdef const double *of = last.z if last.activation.of_z else last.a
    cdef double *row
    cdef double root = 1.0
    if rows.start == rows.stop:
        return
    for k in range(n_out):
        for s in range(rows.start, rows.stop):
            for j in range(n_out):
                last.delta[s * n_out + j] = 1.0 if j == k else 0.0
        last.activation.times_derivative((rows.stop - rows.start) * n_out, of + at, last.delta + at)
        if c != NULL:
            for s in range(rows.start, rows.stop):
                root = sqrt(c[s])
                for j in range(n_out):
                    last.delta[s * n_out + j] = root * last.delta[s * n_out + j]
        for l in range(shared.n_layers - 2, -1, -1):
            hidden_deltas(&block.layers[l], &block.layers[l + 1], rows)
        row, column = job.J + k * job.stride, 0
        for l in range(shared.n_layers):
            layer = &block.layers[l]
            kernel.jacobian(layer, rows.start, rows.stop, shared.train_biases, row + column, n_out * job.stride)
            column += (layer.n_in + 1) * layer.n
        for s in range(rows.start, rows.stop):
            if c != NULL:
                root = sqrt(c[s])
            row[s * n_out * job.stride + column] = root * (last.a[s * n_out + k] - t[s * n_out + k])


cdef void normal_equations(Shared *shared, Damped *job, int thread, Py_ssize_t first, Py_ssize_t rows) noexcept nogil:
    """A thread's part of what these rows add to A and b, after their forward pass and their losses."""
    cdef Span part = share(rows, thread, shared.n_threads)
    if first == 0:
        transpose(shared, &shared.blocks[thread], thread)
    visit(shared, thread, first, rows, first == 0)
    jacobian_rows(shared, job, thread, targets_of(shared, first, part), row_weights(shared, first, part), part)
    barrier(shared, thread)
    add_products(shared, job, thread, rows * shared.n_out, Span(0, shared.n_parameters), job.J, job.J, first == 0,
                 job.A)


cdef void copy(Shared *shared, Damped *job, int thread) noexcept nogil:
    """A thread's rows of A + mu*C*I."""
    cdef Span rows = share(shared.n_parameters, thread, shared.n_threads)
    cdef Py_ssize_t i, at, start
    cdef double shift = job.mu * job.weight
    for i in range(rows.start, rows.stop):
        start = i // 8 * 8
        at = i * job.stride
        memcpy(job.U + at + start, job.A + at + start, (job.columns - start) * sizeof(double))
        job.U[at + i] = job.U[at + i] + shift


cdef void factor(Shared *shared, Damped *job, int thread) noexcept nogil:
    """A thread's part of Cholesky, where a block on the diagonal is done: its rows, then what is below them.

    Of that only the rows of this pass, until the last block of it; then all others, by all of its rows at once.
    """
    cdef Py_ssize_t n = shared.n_parameters, start = job.column, stop = min(start + BP_PIVOTS, n)
    cdef Py_ssize_t first = start // BP_PASS_PIVOTS * BP_PASS_PIVOTS, last = min(first + BP_PASS_PIVOTS, n)
    cdef Py_ssize_t right = aligned(stop)
    cdef Span lines = share((job.columns - right) // 8, thread, shared.n_threads)
    cdef double *minus = job.minus + (start - first) * job.stride
    kernel.factor_columns(start, stop, right + 8 * lines.start, right + 8 * lines.stop, job.stride, job.U, minus)
    barrier(shared, thread)
    if stop == last:
        start, minus, last = first, job.minus, n
    if stop < last:
        add_products(shared, job, thread, stop - start, Span(stop, last), minus + stop,
                     job.U + start * job.stride + stop, False, job.U + stop * (job.stride + 1))


cdef void back_substitution(Shared *shared, Damped *job, double *w) noexcept nogil:
    """w = before - d, with U d = the last column, which becomes d."""
    cdef Py_ssize_t n = shared.n_parameters, i, j
    cdef double *c = job.U + n
    cdef double d
    for j in range(n - 1, -1, -1):
        d = c[j * job.stride] / job.U[j * job.stride + j]
        w[j] = job.before[j] - d
        for i in range(j):
            c[i * job.stride] = c[i * job.stride] - job.U[i * job.stride + j] * d


cdef double gradient_norm(Shared *shared, Damped *job) noexcept nogil:
    """Of the mean loss."""
    cdef Py_ssize_t k
    cdef double *g = job.before  # which is not needed yet
    for k in range(shared.n_parameters):
        g[k] = job.A[k * job.stride + shared.n_parameters] / job.weight
    return sqrt(kernel.dot(shared.n_parameters, g, g))


cdef void attempt(Damped *job) noexcept nogil:
    """Begin to look for a step with this mu, if it is not too large."""
    job.stage = COPY
    if not job.mu <= job.settings[2]:
        job.stage, job.reason = ENDED, "damping"


cdef void reject(Shared *shared, Damped *job) noexcept nogil:
    """Take the step back and look for another with a larger mu."""
    memcpy(shared.w, job.before, shared.n_parameters * sizeof(double))
    job.mu = job.mu * job.settings[1]
    attempt(job)


cdef void pivots(Shared *shared, Damped *job, Py_ssize_t column) noexcept nogil:
    """The next block on the diagonal; after the last, the trial."""
    cdef Py_ssize_t n = shared.n_parameters, stop = min(column + BP_PIVOTS, n)
    job.column, job.stage, job.taken.next = column, FACTOR, 0
    if column < n:
        if not kernel.factor_diagonal(column, stop, aligned(stop), job.stride, job.U):
            reject(shared, job)
        return
    back_substitution(shared, job, shared.w)
    job.stage, shared.row = TRIAL, 0
    if kernel.first_not_finite(n, shared.w) >= 0:
        reject(shared, job)


cdef void next_stage(Shared *shared, Damped *job, Py_ssize_t rows) noexcept nogil:
    """After what all threads have done together, one of them decides how to go on."""
    cdef double loss
    if job.stage == COPY:
        pivots(shared, job, 0)
        return
    if job.stage == FACTOR:
        pivots(shared, job, job.column + BP_PIVOTS)
        return
    shared.row, job.taken.next = shared.row + rows, 0
    if shared.row < shared.n_samples:
        return
    loss = shared.total / job.weight
    if job.stage == TRIAL:
        if loss < job.loss:
            job.mu = job.mu * job.settings[0]
            shared.scalars[0] = job.mu if job.mu > LOWEST_MU else LOWEST_MU
            job.stage = ENDED
        else:
            reject(shared, job)
        return
    job.loss = loss
    if not fabs(loss) <= DBL_MAX:
        job.stage = ENDED
    elif gradient_norm(shared, job) <= job.settings[3]:
        job.stage, job.reason = ENDED, "gradient"
    else:
        memcpy(job.before, shared.w, shared.n_parameters * sizeof(double))
        attempt(job)


cdef void damped_step(void *argument, int thread) noexcept nogil:
    """A thread's part of a piece of an iteration: all go through the same stages, block by block."""
    cdef Shared *shared = <Shared *>argument
    cdef Damped *job = <Damped *>shared.method
    cdef double work = 0.0, n = <double>shared.n_parameters
    cdef Py_ssize_t rows
    cdef bp_fpenv saved = bp_fpenv_enter()
    while job.stage != ENDED and work < shared.work * shared.n_threads and not shared.give_up:
        rows = min(shared.rows, shared.n_samples - shared.row)
        if job.stage == JACOBIAN:
            normal_equations(shared, job, thread, shared.row, rows)
            work += rows * shared.row_work
        elif job.stage == COPY:
            copy(shared, job, thread)
            work += n * n
        elif job.stage == FACTOR:
            factor(shared, job, thread)
            work += 0.5 * BP_PIVOTS * (n - <double>job.column) * (n - <double>job.column)
        else:
            visit(shared, thread, shared.row, rows, False)
            work += rows * n
        barrier(shared, thread)
        if thread == 0:
            next_stage(shared, job, rows)
        barrier(shared, thread)
    if thread == 0:
        job.work = work
    bp_fpenv_leave(saved)


cdef class LevenbergMarquardt(Method):
    """The weights, and mu in scalars, move on to a lower loss, by a step that all weights take together."""

    cdef Damped job
    cdef double[::1] matrices

    @staticmethod
    def more_work(double n_parameters, double n_out):
        return n_out * n_parameters * (2.0 + 0.5 * n_parameters)

    def __cinit__(self, *arguments):
        cdef Shared *shared = &self.shared
        cdef Damped *job = &self.job
        cdef Py_ssize_t n = shared.n_parameters, residuals
        job.columns = aligned(n + 1)
        job.stride = job.columns + (8 if job.columns // 8 % 2 == 0 else 0)  # no power of two: columns would share a set
        residuals = max(FEWEST_ROWS, min(BLOCK_ROWS, BLOCK_DOUBLES // job.stride))
        shared.rows = max(1, min(shared.rows, residuals // shared.n_out))
        residuals = shared.rows * shared.n_out
        self.matrices = np.zeros((residuals + 2 * n + BP_PASS_PIVOTS) * job.stride + 8)
        job.J = <double *>((<size_t>&self.matrices[0] + 63) // 64 * 64)
        job.A = job.J + residuals * job.stride
        job.U = job.A + n * job.stride
        job.minus = job.U + n * job.stride
        must_be("the settings", "levenberg_marquardt", 4, self.settings.shape[0])
        must_be("the scalars", "levenberg_marquardt", 1, self.scalars.shape[0])
        job.before, job.settings, job.reason = &self.gradient[0], &self.settings[0], NULL
        job.weight = self.data.weight
        shared.w, shared.scalars, shared.train_biases = &self.w[0], &self.scalars[0], self.train_biases
        shared.g, shared.method = NULL, job

    cdef int iterate(self, double *loss) except -1 nogil:
        cdef Damped *job = &self.job
        job.stage, job.mu, job.taken.next = JACOBIAN, self.scalars[0], 0
        self.shared.row = 0
        while job.stage != ENDED:
            self.threads.run(&self.shared, damped_step)
            self.look(job.work / <double>self.shared.n_threads)
        loss[0], self.reason = job.loss, job.reason
        return 0


METHODS = {"lbfgs": LBFGS, "levenberg_marquardt": LevenbergMarquardt}


# What every build is asked when it is imported.


def self_test():
    """What this build gets wrong of the contract's arithmetic with the chosen instruction set, or None."""
    cdef double[3] L = [2.0**53, 1.0, -2.0**53]
    cdef Shared shared
    cdef const char *wrong
    cdef bint in_order
    cdef bp_fpenv saved = bp_fpenv_enter()
    shared.L = L
    in_order = add_losses(&shared, 3, 0.0) == 0.0
    wrong = bp_self_test(kernel)
    bp_fpenv_leave(saved)
    if wrong != NULL:
        return wrong.decode()
    return None if in_order else "the order of a sum of losses"


cdef object wrong_here = self_test()
if wrong_here:
    raise ImportError(f"this build of backprop breaks the arithmetic contract: {wrong_here} ({TARGET}; {COMPILER}; "
                      f"{FLAGS}); build it anew, without flags such as -ffast-math")
