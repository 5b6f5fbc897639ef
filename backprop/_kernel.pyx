"""The compiled twin of reference.py: the same functions, in the same order, with the same bits.

Where the reference takes one row, the kernel takes a block of rows; a sum over rows carries on from block to block, so
that the size of a block changes no bit. Matrices are C-contiguous float64; NumPy allocates all of them and nothing is
allocated without the GIL. Every entry sets the floating-point environment and puts the caller's back (fpenv.h).

Letters: sample `s`, input `i`, output `j`, layer `l`, parameter `k`.
"""

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport fabs, sqrt
from libc.stdint cimport int64_t, uint32_t, uint64_t

import numpy as np

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

cdef extern from "activations.h":
    ctypedef struct bp_layer:
        Py_ssize_t n_in
        Py_ssize_t n_out
        const bp_activation *activation
        double *W
        double *b
        double *dW
        double *db
        const double *x
        double *z
        double *a
        double *delta
    ctypedef struct bp_activation:
        const char *name
        void (*forward)(const bp_layer *layer, Py_ssize_t rows, double *scale) noexcept nogil
        void (*forward_row)(const bp_layer *layer, double *scale) noexcept nogil
        void (*node_deltas)(const bp_layer *layer, Py_ssize_t rows, const double *t) noexcept nogil
        void (*hidden_deltas)(const bp_layer *layer, const bp_layer *above, Py_ssize_t rows) noexcept nogil
        void (*first_step)(const bp_layer *layer, const bp_layer *above, double lr, bint train_biases) noexcept nogil
    const bp_activation *bp_activations
    const Py_ssize_t bp_n_activations
    void bp_sgd_row(const bp_layer *layer, double lr, bint train_biases) noexcept nogil

cdef extern from "ordered.h":
    void bp_gradient(bint first, Py_ssize_t rows, Py_ssize_t n_in, Py_ssize_t n_out, const double *x,
                     const double *delta, double *dW, double *db) noexcept nogil

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

# Work is counted in multiply-adds; this much of it takes up to 20 ms, and then Python may look at its signals.
cdef double PAUSE_AFTER = 2e7
# A block of rows and its work space stay in the second-level cache.
cdef Py_ssize_t BLOCK_ROWS = 128
cdef Py_ssize_t BLOCK_DOUBLES = 32768

# So many steps of a shuffle are one piece of work.
cdef Py_ssize_t SHUFFLE_STEPS = 1 << 20

cdef uint64_t TWO_32 = 1ULL << 32


cdef struct Block:
    bp_layer *layers
    Py_ssize_t n_layers
    Py_ssize_t n_in
    Py_ssize_t n_out
    Py_ssize_t rows    # the most that it holds
    double *x          # (rows, n_in): rows gathered in visiting order
    double *t          # (rows, n_out): their targets
    double *scale      # (rows, 2): softmax's largest z and sum


cdef struct Span:
    Py_ssize_t start
    Py_ssize_t stop


# Elementary functions, by the value: for tests and benchmarks.

ctypedef double (*Elementary)(double x) noexcept nogil

cdef check_length(Py_ssize_t length, Py_ssize_t needed):
    if length != needed:
        raise ValueError(f"the output must have length {needed}, got {length}")


ELEMENTARY = ("exp", "expm1", "log", "log1p")
cdef Elementary *quick = [cr_exp, cr_expm1, cr_log, cr_log1p]
cdef Elementary *slow = [bp_exp_slow, bp_expm1_slow, bp_log_slow, bp_log1p_slow]


def elementary(str name not None, const double[::1] x not None, double[::1] out not None, *, bint exact_phase=False):
    """Apply exp, expm1, log or log1p to each x; `exact_phase` sends all of them through the exact slow phase."""
    cdef Py_ssize_t code = ELEMENTARY.index(name), k
    cdef Elementary function = slow[code] if exact_phase else quick[code]
    cdef bp_fpenv saved
    check_length(out.shape[0], x.shape[0])
    with nogil:
        saved = bp_fpenv_enter()
        for k in range(x.shape[0]):
            out[k] = function(x[k])
        bp_fpenv_leave(saved)


# Activations: the table is in activations.h.

ACTIVATIONS = tuple([bp_activations[code].name.decode() for code in range(bp_n_activations)])


# The forward pass.


cdef void forward(Block *block, const double *x, Py_ssize_t rows) noexcept nogil:
    """The activations of every layer for a block of rows x (rows, n_in)."""
    cdef Py_ssize_t l
    cdef bp_layer *layer
    block.layers[0].x = x
    for l in range(block.n_layers):
        layer = &block.layers[l]
        if rows == 1:
            layer.activation.forward_row(layer, block.scale)
        else:
            layer.activation.forward(layer, rows, block.scale)


# The total error of one sample, and its output deltas. scale: softmax's largest z and sum.


cdef double squared_error(Py_ssize_t n, const double *z, const double *o, const double *t,
                          const double *scale) noexcept nogil:
    cdef double L = 0.0, d
    cdef Py_ssize_t j
    for j in range(n):
        d = t[j] - o[j]
        L = L + 0.5 * (d * d)
    return L


cdef double cross_entropy(Py_ssize_t n, const double *z, const double *o, const double *t,
                          const double *scale) noexcept nogil:
    cdef double L = 0.0, log_S = cr_log(scale[1])
    cdef Py_ssize_t j
    for j in range(n):
        if t[j] != 0.0:
            L = L + -(t[j] * ((z[j] - scale[0]) - log_S))
    return L


cdef double binary_cross_entropy(Py_ssize_t n, const double *z, const double *o, const double *t,
                                 const double *scale) noexcept nogil:
    cdef double L = 0.0
    cdef Py_ssize_t j
    for j in range(n):
        L = L + (((0.0 if z[j] <= 0.0 else z[j]) - z[j] * t[j]) + cr_log1p(cr_exp(-fabs(z[j]))))
    return L


ctypedef double (*LossValue)(Py_ssize_t n, const double *z, const double *o, const double *t,
                             const double *scale) noexcept nogil

cdef struct Loss:
    const char *name
    LossValue value
    bint through_activation  # whether the output delta is multiplied by the activation's derivative
    double low               # what a target may be
    double high
    bint distribution        # whether a row of targets must sum to 1
    const char *output       # the output activation it needs; "": any that has a derivative

cdef Loss[3] losses = [
    Loss("squared_error", squared_error, True, -DBL_MAX, DBL_MAX, False, ""),
    Loss("cross_entropy", cross_entropy, False, 0.0, DBL_MAX, True, "softmax"),
    Loss("binary_cross_entropy", binary_cross_entropy, False, 0.0, 1.0, False, "logistic"),
]
cdef tuple loss_names = tuple([losses[code].name.decode() for code in range(sizeof(losses) // sizeof(Loss))])
LOSSES = {name: losses[code].output.decode() for code, name in enumerate(loss_names)}
TARGETS = {name: (losses[code].low, losses[code].high) for code, name in enumerate(loss_names)}


cdef double add_losses(Block *block, const Loss *loss, const double *t, Py_ssize_t rows,
                       double total) noexcept nogil:
    """Add the losses of a block, row after row, to the epoch's total."""
    cdef bp_layer *last = &block.layers[block.n_layers - 1]
    cdef Py_ssize_t s, n = block.n_out
    for s in range(rows):
        total = total + loss.value(n, last.z + s * n, last.a + s * n, t + s * n, block.scale + 2 * s)
    return total


def bad_target(str loss not None, const double[:, ::1] y not None):
    """The first target out of its range: (s, j, value), or (s, -1, sum) for a row's sum; None if all are right."""
    cdef Loss *row = &losses[loss_names.index(loss)]
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


cdef void node_deltas(bp_layer *last, const Loss *loss, const double *t, Py_ssize_t rows) noexcept nogil:
    cdef Py_ssize_t k
    if loss.through_activation:
        last.activation.node_deltas(last, rows, t)
    else:
        for k in range(rows * last.n_out):
            last.delta[k] = last.a[k] - t[k]


cdef void hidden_deltas(bp_layer *layer, const bp_layer *above, Py_ssize_t rows) noexcept nogil:
    layer.activation.hidden_deltas(layer, above, rows)


cdef void backward(Block *block, const Loss *loss, const double *t, Py_ssize_t rows) noexcept nogil:
    """The deltas of every layer; all weights are still the old ones."""
    cdef Py_ssize_t l
    node_deltas(&block.layers[block.n_layers - 1], loss, t, rows)
    for l in range(block.n_layers - 2, -1, -1):
        hidden_deltas(&block.layers[l], &block.layers[l + 1], rows)


cdef void add_gradient(Block *block, bint first, Py_ssize_t rows) noexcept nogil:
    """Add a block's gradient to the batch's; the first block of a batch starts from 0.0."""
    cdef Py_ssize_t l
    cdef bp_layer *layer
    for l in range(block.n_layers):
        layer = &block.layers[l]
        bp_gradient(first, rows, layer.n_in, layer.n_out, layer.x, layer.delta, layer.dW, layer.db)


cdef void mean_gradient(double *g, Py_ssize_t n_parameters, Py_ssize_t batch) noexcept nogil:
    """g/B; with B a power of two g*(1/B) is the same number."""
    cdef double B = <double>batch, reciprocal = 1.0 / B
    cdef Py_ssize_t k
    if batch == 1:
        return
    if batch & (batch - 1) == 0:
        for k in range(n_parameters):
            g[k] = g[k] * reciprocal
    else:
        for k in range(n_parameters):
            g[k] = g[k] / B


# Update rules: w, g and each row of the moments (n_moments, n_parameters) are flat.


cdef void sgd(double *w, const double *g, double *moments, Py_ssize_t n_parameters, double *powers,
              const double *settings, const Span *trained, Py_ssize_t n_spans) noexcept nogil:
    cdef double lr = settings[0]
    cdef Py_ssize_t span, k
    for span in range(n_spans):
        for k in range(trained[span].start, trained[span].stop):
            w[k] = w[k] - lr * g[k]


cdef void momentum(double *w, const double *g, double *moments, Py_ssize_t n_parameters, double *powers,
                   const double *settings, const Span *trained, Py_ssize_t n_spans) noexcept nogil:
    cdef double lr = settings[0], mu = settings[1]
    cdef double *v = moments
    cdef Py_ssize_t span, k
    for span in range(n_spans):
        for k in range(trained[span].start, trained[span].stop):
            v[k] = mu * v[k] - lr * g[k]
            w[k] = w[k] + v[k]


cdef void nesterov(double *w, const double *g, double *moments, Py_ssize_t n_parameters, double *powers,
                   const double *settings, const Span *trained, Py_ssize_t n_spans) noexcept nogil:
    cdef double lr = settings[0], mu = settings[1]
    cdef double *v = moments
    cdef Py_ssize_t span, k
    for span in range(n_spans):
        for k in range(trained[span].start, trained[span].stop):
            v[k] = mu * v[k] - lr * g[k]
            w[k] = w[k] + (mu * v[k] - lr * g[k])


cdef void adam(double *w, const double *g, double *moments, Py_ssize_t n_parameters, double *powers,
               const double *settings, const Span *trained, Py_ssize_t n_spans) noexcept nogil:
    cdef double lr = settings[0], b1 = settings[1], b2 = settings[2], epsilon = settings[3]
    cdef double c1 = 1.0 - b1, c2 = 1.0 - b2, rate
    cdef double *m = moments
    cdef double *v = moments + n_parameters
    cdef Py_ssize_t span, k
    powers[0] = powers[0] * b1
    powers[1] = powers[1] * b2
    rate = (lr * sqrt(1.0 - powers[1])) / (1.0 - powers[0])
    for span in range(n_spans):
        for k in range(trained[span].start, trained[span].stop):
            m[k] = b1 * m[k] + c1 * g[k]
            v[k] = b2 * v[k] + c2 * (g[k] * g[k])
            w[k] = w[k] - (rate * m[k]) / (sqrt(v[k]) + epsilon)


ctypedef void (*Update)(double *w, const double *g, double *moments, Py_ssize_t n_parameters, double *powers,
                        const double *settings, const Span *trained, Py_ssize_t n_spans) noexcept nogil

cdef struct UpdateRule:
    const char *name
    Update update
    int n_moments
    int n_powers

cdef UpdateRule[4] update_rules = [
    UpdateRule("sgd", sgd, 0, 0),
    UpdateRule("momentum", momentum, 1, 0),
    UpdateRule("nesterov", nesterov, 1, 0),
    UpdateRule("adam", adam, 2, 2),
]
cdef tuple update_names = tuple([update_rules[code].name.decode()
                                 for code in range(sizeof(update_rules) // sizeof(UpdateRule))])
UPDATE_RULES = {name: (update_rules[code].n_moments, update_rules[code].n_powers)
                for code, name in enumerate(update_names)}


cdef double sgd_row(Block *block, const Loss *loss, const double *x, const double *t, double lr,
                    bint train_biases) noexcept nogil:
    """`sgd` after a batch of one row, all in one: every gradient is a single product and is used at once.

    A layer's weights change when the deltas of the layer below have been taken from them. Returns the row's loss.
    """
    cdef bp_layer *layers = block.layers
    cdef bp_layer *last = layers + block.n_layers - 1
    cdef Py_ssize_t l
    cdef double L
    forward(block, x, 1)
    L = loss.value(last.n_out, last.z, last.a, t, block.scale)
    node_deltas(last, loss, t, 1)
    for l in range(block.n_layers - 1, 1, -1):
        hidden_deltas(&layers[l - 1], &layers[l], 1)
        bp_sgd_row(&layers[l], lr, train_biases)
    if block.n_layers > 1:
        layers.activation.first_step(layers, &layers[1], lr, train_biases)
        layers += 1
    bp_sgd_row(layers, lr, train_biases)
    return L


# Randomness: the raw words of a bit generator that nobody else holds.


cdef bitgen_t *words(stream) except NULL:
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


def initial_parameters(tuple sizes not None, stream, double[::1] out not None):
    """Glorot and Bengio 2010, equation 16: uniform weights, zero biases."""
    cdef bitgen_t *generator = words(stream)
    cdef Py_ssize_t n_in, n_out, k = 0, end
    cdef double limit
    cdef bp_fpenv saved
    for n_in, n_out in zip(sizes, sizes[1:]):
        saved = bp_fpenv_enter()
        limit = sqrt(6.0 / <double>(n_in + n_out))
        end = k + n_in * n_out
        while k < end:
            out[k] = (2.0 * uniform(generator) - 1.0) * limit
            k += 1
        end = k + n_out
        while k < end:
            out[k] = 0.0
            k += 1
        bp_fpenv_leave(saved)


# Epochs, and what the public functions call.


def first_not_finite(const double[::1] values not None):
    """The index of the first NaN or infinity, or -1."""
    cdef Py_ssize_t k, found = -1
    cdef bp_fpenv saved
    with nogil:
        saved = bp_fpenv_enter()
        for k in range(values.shape[0]):
            if not fabs(values[k]) <= DBL_MAX:
                found = k
                break
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
    """function(*arguments) in the contract's floating-point environment; for code that runs nothing of the host's.

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


cdef class Pass:
    """Blocks of rows through a network: its layers bound to parameters, and the work space of one block.

    sizes and activations as Network has them; parameters (n_parameters,); rows: the most a block need hold; gradient
    (n_parameters,), or None where there is no backward pass.
    """

    cdef Block block
    cdef Py_ssize_t n_parameters
    cdef double row_work            # multiply-adds a row
    cdef const double[::1] parameters
    cdef double[::1] gradient
    cdef double[::1] space
    cdef unsigned char[::1] table

    def __cinit__(self, tuple sizes not None, tuple activations not None, const double[::1] parameters not None,
                  Py_ssize_t rows, gradient=None, *arguments):
        cdef Block *block = &self.block
        cdef bp_layer *layer
        cdef Py_ssize_t l, width = sizes[0] + sizes[len(sizes) - 1] * 2 + 2
        cdef double *free
        cdef bint backward = gradient is not None
        block.n_layers, block.n_in, block.n_out = len(activations), sizes[0], sizes[len(sizes) - 1]
        for l in range(block.n_layers):
            width += sizes[l + 1] * (2 if backward else 1)
        block.rows = max(1, min(rows, BLOCK_ROWS, BLOCK_DOUBLES // width))
        self.parameters = parameters
        self.gradient = gradient
        self.space = np.empty(block.rows * width)
        self.table = np.empty(block.n_layers * sizeof(bp_layer), np.uint8)
        block.layers = <bp_layer *>&self.table[0]
        free = &self.space[0]
        block.x, free = free, free + block.rows * block.n_in
        block.t, free = free, free + block.rows * block.n_out
        block.scale, free = free, free + block.rows * 2
        self.n_parameters = 0
        for l in range(block.n_layers):
            layer = &block.layers[l]
            layer.n_in, layer.n_out = sizes[l], sizes[l + 1]
            layer.activation = &bp_activations[ACTIVATIONS.index(activations[l])]
            layer.W = <double *>&parameters[self.n_parameters]
            layer.b = layer.W + layer.n_in * layer.n_out
            if backward:
                layer.dW = &self.gradient[self.n_parameters]
                layer.db = layer.dW + layer.n_in * layer.n_out
            self.n_parameters += (layer.n_in + 1) * layer.n_out
            layer.x = block.layers[l - 1].a if l > 0 else NULL
            layer.a, free = free, free + block.rows * layer.n_out
            layer.z = layer.a
            if l == block.n_layers - 1:
                layer.z, free = free, free + block.rows * layer.n_out
            if backward:
                layer.delta, free = free, free + block.rows * layer.n_out
        self.row_work = <double>self.n_parameters * (3 if backward else 1) + 8.0 * width

    def predict(self, const double[:, ::1] X not None, double[:, ::1] out not None, Py_ssize_t row):
        """Predict from a row on; return the next row to do, or -1 - s if the result of row s is not finite."""
        cdef Block *block = &self.block
        cdef double *a = block.layers[block.n_layers - 1].a
        cdef Py_ssize_t rows, k
        cdef double work = 0.0
        cdef bp_fpenv saved
        with nogil:
            saved = bp_fpenv_enter()
            while row < X.shape[0] and work < PAUSE_AFTER:
                rows = min(block.rows, X.shape[0] - row)
                forward(block, &X[row, 0], rows)
                for k in range(rows * block.n_out):
                    if not fabs(a[k]) <= DBL_MAX:
                        break
                    (&out[row, 0])[k] = a[k]
                else:
                    row += rows
                    work += rows * self.row_work
                    continue
                row = -1 - (row + k // block.n_out)
                break
            bp_fpenv_leave(saved)
        return row


cdef class Data:
    """X (n_samples, n_in) and its targets: y (n_samples, n_outputs), or labels (n_samples,) of classes."""

    cdef const double[:, ::1] X
    cdef const double *y
    cdef const int64_t *labels
    cdef readonly Py_ssize_t n_samples
    cdef const double[:, ::1] y_view
    cdef const int64_t[::1] labels_view

    def __cinit__(self, const double[:, ::1] X not None, y):
        self.X, self.n_samples = X, X.shape[0]
        if y.ndim == 1:
            self.labels_view = y
            self.labels = &self.labels_view[0]
        else:
            self.y_view = y
            self.y = &self.y_view[0, 0]


cdef const double *rows_of(Data data, Block *block, const int64_t *order, Py_ssize_t start,
                           Py_ssize_t rows) noexcept nogil:
    """Rows start.. in visiting order: where they lie if that is the order of X, else gathered."""
    cdef Py_ssize_t s, i
    cdef const double *x
    if order == NULL:
        return &data.X[start, 0]
    for s in range(rows):
        x = &data.X[order[start + s], 0]
        for i in range(block.n_in):
            block.x[s * block.n_in + i] = x[i]
    return block.x


cdef const double *targets_of(Data data, Block *block, const int64_t *order, Py_ssize_t start,
                              Py_ssize_t rows) noexcept nogil:
    """Their targets; a label k is the row with 1.0 in column k and 0.0 elsewhere."""
    cdef Py_ssize_t s, j, row, n = block.n_out
    if order == NULL and data.labels == NULL:
        return data.y + start * n
    for s in range(rows):
        row = start + s if order == NULL else order[start + s]
        for j in range(n):
            block.t[s * n + j] = (1.0 if data.labels[row] == j else 0.0) if data.labels != NULL else data.y[row * n + j]
    return block.t


cdef class LossPass(Pass):
    """The mean loss of all rows in their order and, where there is a gradient, its gradient."""

    cdef const Loss *loss
    cdef Data data
    cdef double *g                  # (n_parameters,), or NULL
    cdef Py_ssize_t row             # the next row, in visiting order
    cdef readonly double total
    cdef readonly Py_ssize_t overflow  # the row at which the sum of losses stopped being finite, or -1

    def __cinit__(self, sizes, activations, parameters, rows, gradient, str loss not None, Data data not None,
                  *arguments):
        self.loss = &losses[loss_names.index(loss)]
        self.data, self.row, self.total, self.overflow = data, 0, 0.0, -1
        self.g = &self.gradient[0] if gradient is not None else NULL

    cdef double visit(self, const int64_t *order, Py_ssize_t rows, bint first) noexcept nogil:
        """Take the next rows forward, and back if there is a gradient; return the multiply-adds spent."""
        cdef Block *block = &self.block
        cdef const double *t
        forward(block, rows_of(self.data, block, order, self.row, rows), rows)
        t = targets_of(self.data, block, order, self.row, rows)
        self.total = add_losses(block, self.loss, t, rows, self.total)
        if self.g != NULL:
            backward(block, self.loss, t, rows)
            add_gradient(block, first, rows)
        self.row += rows
        return <double>rows * self.row_work

    cdef void find_overflow(self, Py_ssize_t rows, double total) noexcept nogil:
        """The last rows made the total infinite or NaN: which of them was it? The block still holds them."""
        cdef const double *t
        self.row -= rows
        t = targets_of(self.data, &self.block, NULL, self.row, rows)
        self.overflow = self.row
        while fabs(add_losses(&self.block, self.loss, t, self.overflow - self.row + 1, total)) <= DBL_MAX:
            self.overflow += 1

    def run(self):
        """Work for up to 20 ms; return whether the end is reached: `total` the mean loss, or `overflow` a row."""
        cdef Py_ssize_t n = self.data.n_samples, rows
        cdef double work = 0.0, before
        cdef bint done = False
        cdef bp_fpenv saved
        with nogil:
            saved = bp_fpenv_enter()
            while not done and work < PAUSE_AFTER:
                rows, before = min(self.block.rows, n - self.row), self.total
                work += self.visit(NULL, rows, self.row == 0)
                if not fabs(self.total) <= DBL_MAX:
                    self.find_overflow(rows, before)
                    done = True
                elif self.row == n:
                    self.total = self.total / <double>n
                    if self.g != NULL:
                        mean_gradient(self.g, self.n_parameters, n)
                    done = True
            bp_fpenv_leave(saved)
        return done


cdef class Trainer(LossPass):
    """A run of training; w, moments, powers and stream are moved on.

    rows is the batch size; moments (n_moments, n_parameters); stream a bit generator that nobody else uses, or None to
    visit the rows in their order.
    """

    cdef const UpdateRule *rule
    cdef double[::1] w
    cdef double[:, ::1] moments
    cdef double[::1] powers
    cdef const double[::1] settings
    cdef bitgen_t *words
    cdef object stream
    cdef int64_t[::1] order         # (n_samples,): the visiting order, where it is not the identity
    cdef Py_ssize_t batch_size
    cdef Py_ssize_t batch_start
    cdef Py_ssize_t to_shuffle      # where the epoch's shuffle stands; -1: not begun; 0: nothing left
    cdef bint one_by_one            # plain SGD, one row a batch
    cdef bint train_biases
    cdef Py_ssize_t[:, ::1] trained  # (n_spans, 2): the parameters that may move, from .. to

    def __cinit__(self, sizes, activations, double[::1] parameters not None, Py_ssize_t rows, gradient, loss, data,
                  str rule not None, const double[::1] settings not None, double[:, ::1] moments not None,
                  double[::1] powers not None, stream, bint train_biases):
        cdef Py_ssize_t l, k = 0
        self.rule = &update_rules[update_names.index(rule)]
        self.w, self.settings, self.moments, self.powers = parameters, settings, moments, powers
        self.batch_size, self.batch_start, self.train_biases = rows, 0, train_biases
        self.to_shuffle = 0 if stream is None else -1
        self.one_by_one = rows == 1 and self.rule.update == sgd
        self.words, self.stream = NULL, stream
        if stream is not None:
            self.words = words(stream)
            self.order = np.empty(self.data.n_samples, np.int64)
        self.trained = np.empty((1 if train_biases else self.block.n_layers, 2), np.intp)
        for l in range(self.trained.shape[0]):
            self.trained[l, 0] = k
            self.trained[l, 1] = k + sizes[l] * sizes[l + 1]
            k = self.trained[l, 1] + sizes[l + 1]
        if train_biases:
            self.trained[0, 1] = self.n_parameters

    cdef double shuffle_on(self) noexcept nogil:
        """Shuffle the identity order for this epoch, piece by piece; returns the work."""
        cdef Py_ssize_t k
        if self.to_shuffle < 0:
            for k in range(self.data.n_samples):
                self.order[k] = k
            self.to_shuffle = self.data.n_samples - 1
        k = self.to_shuffle
        self.to_shuffle = shuffled(self.words, &self.order[0], k, SHUFFLE_STEPS)
        return 16.0 * <double>(k - self.to_shuffle)

    cdef double next_block(self, const int64_t *order) noexcept nogil:
        """The next rows of a batch; after its last ones the update. Returns the multiply-adds spent."""
        cdef Py_ssize_t n = self.data.n_samples
        cdef Py_ssize_t stop = n if n - self.batch_start < self.batch_size else self.batch_start + self.batch_size
        cdef double work = self.visit(order, min(self.block.rows, stop - self.row), self.row == self.batch_start)
        if self.row == stop:
            mean_gradient(self.g, self.n_parameters, stop - self.batch_start)
            self.rule.update(&self.w[0], self.g, &self.moments[0, 0] if self.rule.n_moments else NULL,
                             self.n_parameters, &self.powers[0] if self.rule.n_powers else NULL, &self.settings[0],
                             <Span *>&self.trained[0, 0], self.trained.shape[0])
            self.batch_start = stop
            work += 8.0 * <double>self.n_parameters
        return work

    cdef double next_rows(self, const int64_t *order, double work) noexcept nogil:
        """Plain SGD, row by row, for about so much work; returns what was spent."""
        cdef Block *block = &self.block
        cdef const double *t = self.data.y
        cdef Py_ssize_t n = self.data.n_samples, row = self.row, s
        cdef double total = self.total, lr = self.settings[0], spent = 0.0
        while row < n and spent < work:
            s = row if order == NULL else order[row]
            if t == NULL:
                total = total + sgd_row(block, self.loss, &self.data.X[s, 0],
                                        targets_of(self.data, block, NULL, s, 1), lr, self.train_biases)
            else:
                total = total + sgd_row(block, self.loss, &self.data.X[s, 0], t + s * block.n_out, lr,
                                        self.train_biases)
            spent += self.row_work
            row += 1
        self.row, self.total = row, total
        return spent

    def train(self, double[::1] losses not None, Py_ssize_t done, Py_ssize_t until):
        """Fill losses[done:until], an epoch each; return how many are filled by now.

        Comes back after up to 20 ms of work, at `until`, or after an epoch whose loss is not finite.
        """
        cdef Py_ssize_t n = self.data.n_samples
        cdef const int64_t *order = &self.order[0] if self.words != NULL else NULL
        cdef double work = 0.0, loss
        cdef bp_fpenv saved
        with nogil:
            saved = bp_fpenv_enter()
            while done < until and work < PAUSE_AFTER:
                if self.to_shuffle != 0:
                    work += self.shuffle_on()
                    continue
                work += self.next_rows(order, PAUSE_AFTER - work) if self.one_by_one else self.next_block(order)
                if self.row == n:
                    loss = self.total / <double>n
                    losses[done] = loss
                    done += 1
                    self.row, self.batch_start, self.total = 0, 0, 0.0
                    if self.words != NULL:
                        self.to_shuffle = -1
                    if not fabs(loss) <= DBL_MAX:
                        break
            bp_fpenv_leave(saved)
        return done
