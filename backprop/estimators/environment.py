"""The environment of an estimator's own arithmetic: that of the contract (N1), whatever the host has set."""

from collections.abc import Callable
from functools import partial, wraps
from typing import ParamSpec, TypeVar

import numpy as np

from .. import _kernel

P = ParamSpec("P")
T = TypeVar("T")


def exact(function: Callable[P, T]) -> Callable[P, T]:
    """The function, computed in the contract's floating-point environment and without NumPy's own errors.

    Python and NumPy add and multiply here in the mode that the host has set: another rounding, subnormal numbers taken
    for zero, traps, or np.seterr(all="raise"). Code of the user, such as a callback, is not called through it.
    """

    @wraps(function)
    def computed(*args: P.args, **kwargs: P.kwargs) -> T:
        with np.errstate(all="ignore"):
            return _kernel.in_contract(partial(function, *args, **kwargs))

    return computed
