"""The compiled twin of the definition: the same functions, in the same order, with the same bits.

The definition takes one row at a time, the kernel a piece of some hundred rows. A block's sum over rows (N19) goes on
from piece to piece, in the order of the rows, so the size of a piece changes no bit. The pieces below hold the flow of
a pass and of training; the loops over vectors (products, activations, losses, update rules) are in src_c/, compiled
once for each instruction set, behind the table of functions `kernel`. Threads share the rows of a piece, then the
parameters.

X and y are read where they lie, whatever their kind, as doubles and piece by piece (matrices.pxi); all other matrices
are C-contiguous float64. NumPy allocates all memory, and nothing is allocated without the GIL. Every entry
point sets the floating-point environment, in every thread, and restores the caller's (fpenv.h).

Letters: sample `s`, input `i`, output `j`, layer `l`, parameter `k`; net input `z`, activation `a`, target `t`, loss
`L`, `delta` = dL/dz, parameters `w`, gradient `g`.
"""

from cpython.buffer cimport PyBuffer_FillInfo
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
include "kernel/matrices.pxi"
include "kernel/values.pxi"
include "kernel/elementary.pxi"
include "kernel/blocks.pxi"

include "kernel/workspace.pxi"
include "kernel/shared.pxi"
include "kernel/threads.pxi"

include "kernel/passes.pxi"
include "kernel/data.pxi"
include "kernel/workers.pxi"
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
include "kernel/partial.pxi"

include "kernel/predict.pxi"
include "kernel/self_test.pxi"
