"""Matrices that are no arrays: sparse ones, such as SciPy's, kept as they are. SciPy itself is not needed."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from . import _kernel
from .sources import Rows, Source


class SparseLike(Protocol):
    """A sparse matrix or array of SciPy, or one that looks the same."""

    @property
    def format(self) -> str:
        """The name of its form, such as "csr"."""

    def tocsr(self) -> Any:
        """The matrix in the form CSR, with data, indices, indptr and shape."""


RowsLike = npt.ArrayLike | SparseLike | Rows  # X of the public functions
TargetsLike = npt.ArrayLike | Rows  # y


def is_sparse(value: Any) -> bool:
    """Whether a value is a sparse matrix or array of SciPy, or one that looks the same."""
    return isinstance(getattr(value, "format", None), str) and callable(getattr(value, "tocsr", None))


@dataclass(frozen=True, eq=False)
class Sparse:
    """A matrix in the form CSR; several numbers of the same place are added, as doubles, in the order of `data`."""

    data: npt.NDArray[Any]  # (n_stored,): numbers of a kind that the kernel reads
    indices: npt.NDArray[Any]  # (n_stored,): their columns, as int32 or int64
    indptr: npt.NDArray[Any]  # (n_rows + 1,), as indices: row s has the numbers from indptr[s] up to indptr[s + 1]
    shape: tuple[int, int]

    ndim = 2
    format = "csr"  # as SciPy's, so that `of` takes it too

    def tocsr(self) -> "Sparse":
        """The matrix itself."""
        return self

    @classmethod
    def of(cls, argument: str, value: Any) -> "Sparse":
        """The arrays of a sparse matrix, which are not copied where the kernel can read them."""
        if len(value.shape) != 2:
            raise ValueError(f"{argument} must have two dimensions, got a sparse array of shape {tuple(value.shape)}")
        if value.format == "coo":  # tocsr adds numbers of the same place in their own kind, in which they may overflow
            value = _kernel.in_contract(value.astype, np.float64)
        csr = _kernel.in_contract(value.tocsr)
        data, indices, indptr = (np.ascontiguousarray(one) for one in (csr.data, csr.indices, csr.indptr))
        if data.dtype.kind not in "fiub":
            raise TypeError(f"{argument} must hold real numbers, got a sparse matrix of dtype {data.dtype}")
        if not _kernel.readable(data):
            with np.errstate(all="ignore"):  # what becomes infinite gets its error later
                data = _kernel.in_contract(data.astype, np.float64)
        if indices.dtype != indptr.dtype or indices.dtype not in (np.int32, np.int64):
            indices, indptr = indices.astype(np.int64), indptr.astype(np.int64)
        matrix = cls(data, indices, indptr, (int(csr.shape[0]), int(csr.shape[1])))
        try:
            _kernel.Matrix(matrix)
        except ValueError as error:
            raise ValueError(f"{argument} must be a valid sparse matrix: {error}") from None
        return matrix

    @property
    def size(self) -> int:
        """The number of elements, zeros included."""
        return math.prod(self.shape)

    def __getitem__(self, rows: Any) -> "Sparse":
        """The rows of a slice, which share these arrays; or copies of those with the indices `rows` (n_chosen,)."""
        if isinstance(rows, slice):
            first, last, _ = rows.indices(self.shape[0])
            last = max(first, last)
            return Sparse(self.data, self.indices, self.indptr[first : last + 1], (last - first, self.shape[1]))
        begin, count = self.indptr[rows], np.diff(self.indptr)[rows]
        indptr = np.concatenate([np.zeros(1, count.dtype), np.cumsum(count, dtype=count.dtype)])
        stored = np.repeat(begin - indptr[:-1], count.astype(np.intp)) + np.arange(indptr[-1], dtype=count.dtype)
        return Sparse(self.data[stored], self.indices[stored], indptr, (len(rows), self.shape[1]))

    def dense(self) -> npt.NDArray[np.float64]:
        """All elements as float64 (n_rows, n_columns)."""
        out = np.zeros(self.shape)
        part = slice(self.indptr[0], self.indptr[-1])
        row = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr).astype(np.intp))
        with np.errstate(all="ignore"):
            values = _kernel.in_contract(self.data[part].astype, np.float64)
            _kernel.in_contract(np.add.at, out, (row, self.indices[part]), values)
        return out


InMemory = npt.NDArray[Any] | Sparse  # rows that the kernel reads where they lie
Matrix = InMemory | Source  # rows of these kinds, or on a disk
