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
