"""How tests have several threads work on the smallest pieces: the one place that knows by what the kernel decides."""

import contextlib

from backprop import _kernel

USUAL = _kernel.THREAD_WORK, _kernel.WAKING_WORK  # multiply-adds


def share_small_work(share=True):
    """From now on as many threads work as are asked for, though the work would not call for them; or again as usual."""
    _kernel.THREAD_WORK, _kernel.WAKING_WORK = (1e-3, 1e-3) if share else USUAL


@contextlib.contextmanager
def small_work_shared():
    """The same within a block."""
    before = _kernel.THREAD_WORK, _kernel.WAKING_WORK
    share_small_work()
    try:
        yield
    finally:
        _kernel.THREAD_WORK, _kernel.WAKING_WORK = before
