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
