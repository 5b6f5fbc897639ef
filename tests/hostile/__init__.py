"""Hostile conditions: `python -m hostile NAME` brings one about in this process and prints what came out, as JSON.

Each condition is a function; it returns one or more `results()` that were had under it, all of which must be those of
the definition in a process that nobody disturbs. Beside that, a condition raises an error if an exception, a floating-
point mode, or something that the caller holds is not what it should be.

`assert` is not used: a condition may be that Python ignores it. NumPy and backprop are imported where they are used: a
condition may have to come before.
"""

from . import arrays, concurrency, interpreter, processor
from .table import CONDITIONS

DEFINITIONS = processor.DEFINITIONS

__all__ = ["CONDITIONS", "DEFINITIONS", "arrays", "concurrency", "interpreter"]
