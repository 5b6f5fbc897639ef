"""Declarations of what NumPy, <fenv.h> and src_c/ offer to the kernel."""

from libc.stdint cimport int64_t, uint64_t

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
    const Py_ssize_t BP_SCALARS
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

cdef extern from "rows.h":
    ctypedef struct bp_matrix:
        const double *doubles
        const char *data
        Py_ssize_t n_columns
        Py_ssize_t row_stride
        Py_ssize_t column_stride
        const void *indptr
        const void *indices
        Py_ssize_t n_stored
        void (*read)(const bp_matrix *matrix, Py_ssize_t row, double *x) noexcept nogil
    ctypedef void bp_read_row(const bp_matrix *matrix, Py_ssize_t row, double *x) noexcept nogil
    bp_read_row *bp_reader(char kind, Py_ssize_t size, Py_ssize_t index_size) noexcept nogil
    void bp_read_rows(const bp_matrix *matrix, const int64_t *order, Py_ssize_t first, Py_ssize_t rows,
                      double *x) noexcept nogil
    int bp_check_csr(const bp_matrix *matrix, Py_ssize_t n_rows, Py_ssize_t index_size) noexcept nogil

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
