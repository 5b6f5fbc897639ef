# Checks and conversions of numbers, in the contract's floating-point environment; numbers that nobody can change.


cdef class Shown:
    """The memory of an array, shown to others for reading alone."""

    cdef const double[::1] values

    def __cinit__(self, const double[::1] values not None):
        self.values = values

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        PyBuffer_FillInfo(buffer, self, <void *>&self.values[0], self.values.shape[0] * sizeof(double), 1, flags)


def read_only(values not None):
    """The same numbers as an array that nobody can make writable: its base shows the memory, not the array given."""
    return np.frombuffer(Shown(values))


def first_not_finite(values not None):
    """Index of the first NaN or infinity of a vector or, row by row, of a matrix as in `Matrix`; -1: there is none."""
    return Matrix(values).first_not_finite()


def within(double value, double low, double high, bint or_low, bint or_high):
    """Whether a finite value is in (low, high), or equals low if or_low, or high if or_high."""
    cdef bp_fpenv saved = bp_fpenv_enter()
    cdef bint inside = low < value < high or (or_low and value == low) or (or_high and value == high)
    inside = inside and fabs(value) <= DBL_MAX
    bp_fpenv_leave(saved)
    return inside


def to_classes(const double[::1] y not None, Py_ssize_t n_classes, int64_t[::1] out not None):
    """Convert y (n,) to classes in out (n,); return the first index that holds no integer in [0, n_classes), or -1."""
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
    """function(*arguments) in the contract's floating-point environment.

    <fenv.h> is set too, not only the unit that computes float64: x87 rounds where a long double is converted.
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
