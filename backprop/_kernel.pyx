"""The compiled twin of reference/: the same functions, in the same order, with the same bits.

Where the reference takes one row, the kernel takes a block of rows; a sum over rows carries on from block to block, so
that the size of a block changes no bit. The flow is here; what works on vectors of numbers (products, activations,
losses, update rules) is in src_c/, once for each instruction set, behind the table of functions `kernel`. Threads share
the rows of a block, then the parameters. Matrices are C-contiguous float64; NumPy allocates all of them and nothing is
allocated without the GIL. Every entry, in every thread, sets the floating-point environment and puts the caller's back
(fpenv.h).

Letters: sample `s`, input `i`, output `j`, layer `l`, parameter `k`.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.exc cimport PyErr_CheckSignals
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport INFINITY, NAN, fabs, sqrt
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

cimport numpy as cnp

import os

import numpy as np

cnp.import_array()

include "kernel/build.pxi"
include "kernel/tables.pxi"
include "kernel/values.pxi"
include "kernel/elementary.pxi"
include "kernel/workspace.pxi"
include "kernel/shared.pxi"
include "kernel/threads.pxi"
include "kernel/data.pxi"
include "kernel/passes.pxi"
include "kernel/loss.pxi"
include "kernel/updates.pxi"
include "kernel/one_row.pxi"
include "kernel/epochs.pxi"
include "kernel/randomness.pxi"
include "kernel/dropout.pxi"
include "kernel/penalties.pxi"
include "kernel/methods.pxi"
include "kernel/lbfgs.pxi"
include "kernel/levenberg_marquardt.pxi"
include "kernel/predict.pxi"
include "kernel/self_test.pxi"
