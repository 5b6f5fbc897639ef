# Self-test at import: a build that breaks the contract's arithmetic is refused.


def self_test():
    """Name of the operation that this build gets wrong with the chosen instruction set; None if all are right."""
    cdef double[3] L = [2.0**53, 1.0, -2.0**53]
    cdef RowSum sum
    cdef const char *wrong
    cdef bint in_order
    cdef bp_fpenv saved = bp_fpenv_enter()
    add_rows(&sum, L, 0, 3)
    in_order = tree_sum(&sum, 3) == 0.0
    wrong = bp_self_test(kernel)
    bp_fpenv_leave(saved)
    if wrong != NULL:
        return wrong.decode()
    return None if in_order else "the order of a sum of losses"


def enter_contract():
    """Set the contract's floating-point environment in this thread for good."""
    bp_fpenv_enter()


cdef object wrong_here = self_test()
if wrong_here:
    raise ImportError(f"this build of backprop breaks the arithmetic contract: {wrong_here} ({TARGET}; {COMPILER}; "
                      f"{FLAGS}); build it anew, without flags such as -ffast-math")
