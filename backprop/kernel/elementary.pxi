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
