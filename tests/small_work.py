"""How tests have several threads work on the smallest pieces: the one place that knows by what the package decides."""

import contextlib

from backprop import threads

USUAL = threads.POLICY
SMALLEST = threads.ThreadPolicy(waking_work=1e-3, thread_work=1e-3)


def share_small_work(share=True):
    """From now on as many threads work as are asked for, though the work would not call for them; or again as usual."""
    threads.POLICY = SMALLEST if share else USUAL


@contextlib.contextmanager
def small_work_shared():
    """The same within a block."""
    before = threads.POLICY
    share_small_work()
    try:
        yield
    finally:
        threads.POLICY = before
