# Scratch memory, and the check of array lengths.


cdef Py_ssize_t aligned(Py_ssize_t doubles) noexcept nogil:
    """Number of doubles rounded up to whole cache lines (8 doubles, 64 bytes)."""
    return (doubles + 7) // 8 * 8


def empty(Py_ssize_t n):
    """Uninitialized array of n doubles that begins at a cache line."""
    array = np.empty(n + 7)
    cdef Py_ssize_t start = (64 - <size_t>cnp.PyArray_DATA(array) % 64) % 64 // 8
    return array[start:start + n]


cdef class Workspace:
    """Scratch memory of float64 in one array, from which `take` cuts pieces that begin at a cache line."""

    cdef double[::1] array
    cdef double *free    # the first double that no piece holds

    def __cinit__(self, Py_ssize_t doubles):
        self.array = empty(doubles)
        self.free = &self.array[0]

    cdef double *take(self, Py_ssize_t doubles):
        cdef double *piece = self.free
        self.free = piece + aligned(doubles)
        return piece


cdef int must_be(str name, owner, Py_ssize_t needed, Py_ssize_t given) except -1:
    """Check a length, from which pointers are made.

    Arguments that Python has validated are not enough: a subclass of Network can override `sizes`, and its arrays are
    then shorter than it says.
    """
    if given != needed:
        raise ValueError(f"{name} of {owner} must be {needed} in number, got {given}")
    return 0
