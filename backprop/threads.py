"""The number of threads that work on a call."""

from typing import NamedTuple, SupportsIndex

from . import _kernel, arguments

MOST_THREADS = 1024


def checked(n_threads: SupportsIndex | None) -> int | None:
    """The argument n_threads, checked: an int, or None."""
    return None if n_threads is None else arguments.integer("n_threads", n_threads, 1)


class ThreadPolicy(NamedTuple):
    """The least work for which threads pay, in multiply-adds. No result depends on it."""

    waking_work: float = 4e6  # work of one thread in a call for which it is woken
    thread_work: float = 1.5e6  # work of one thread between two barriers

    def threads_for(self, n_threads: SupportsIndex | None, multiply_adds: float) -> int:
        """The number of threads for this work: at most n_threads; None: at most as many as OpenMP would use."""
        allowed = checked(n_threads) or _kernel.max_threads()
        return max(1, int(min(allowed, multiply_adds / self.waking_work, MOST_THREADS)))


POLICY = ThreadPolicy()
