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
