# Elementary functions of src_c/elementary.c: for Python's own formulas, for tests and for benchmarks.

ctypedef double (*Elementary)(double x) noexcept nogil

ELEMENTARY = ("exp", "expm1", "log", "log1p")
FORMS = ("vector", "scalar", "exact")
cdef Elementary *scalar_forms = [cr_exp, cr_expm1, cr_log, cr_log1p]
cdef Elementary *exact_forms = [bp_exp_slow, bp_expm1_slow, bp_log_slow, bp_log1p_slow]


def elementary(str name not None, const double[::1] x not None, double[::1] out not None, str form not None="vector"):
    """out (n,) = the function `name` of x (n,), correctly rounded.

    Forms: "vector", all lanes of a vector at once; "scalar", one value at a time; "exact", the slow phase only, which
    the other two enter when the fast one cannot decide how to round.
    """
    cdef Py_ssize_t code = ELEMENTARY.index(name), k, way = FORMS.index(form)
    cdef Elementary function = exact_forms[code] if way == 2 else scalar_forms[code]
    cdef bp_fpenv saved
    if out.shape[0] != x.shape[0]:
        raise ValueError(f"the output must have length {x.shape[0]}, got {out.shape[0]}")
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
    """Correctly rounded exp(x)."""
    cdef bp_fpenv saved = bp_fpenv_enter()
    x = cr_exp(x)
    bp_fpenv_leave(saved)
    return x


def log(double x):
    """Correctly rounded log(x)."""
    cdef bp_fpenv saved = bp_fpenv_enter()
    x = cr_log(x)
    bp_fpenv_leave(saved)
    return x
