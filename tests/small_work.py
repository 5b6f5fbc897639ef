"""Threads for small work in the tests: as many as are asked for, though the work would not call for them."""

import contextlib

from backprop import threads

USUAL = threads.POLICY
EAGER = threads.ThreadPolicy(waking_work=1e-3, thread_work=1e-3)


def share_small_work(share=True):
    """From now on threads share small work; or, again, as usual."""
    threads.POLICY = EAGER if share else USUAL


@contextlib.contextmanager
def small_work_shared():
    """The same within a block."""
    before = threads.POLICY
    share_small_work()
    try:
        yield
    finally:
        threads.POLICY = before
