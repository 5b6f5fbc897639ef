"""Rows that lie elsewhere, such as on a disk: read block by block, through slices, and never whole."""

import operator
import os
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from . import _kernel

WINDOW = 1 << 20  # numbers that are read at once, about; whole blocks of rows (N19)
Array = npt.NDArray[Any]


class Rows(Protocol):
    """Rows of a shape (n_rows, n_columns) or (n_rows,), a slice of which is an array: the type of every source."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The number of rows, and of columns if each row has several numbers."""

    def __getitem__(self, rows: slice, /) -> Any:
        """The rows of a slice without a step, as an array or as something that NumPy converts to one."""


def is_source(value: Any) -> bool:
    """Whether a value has rows that should be read by slices: an HDF5 or Zarr array, or a class with shape and slices.

    Arrays in memory (those that NumPy converts without reading a file), data frames, lists and sparse matrices do not.
    """
    if isinstance(value, Source):
        return True
    if isinstance(value, np.ndarray | list | tuple | memoryview) or not isinstance(
        getattr(value, "shape", None), tuple
    ):
        return False
    if callable(getattr(value, "tocsr", None)):  # a sparse matrix
        return False
    if not hasattr(value, "__getitem__") or hasattr(value, "iloc") or hasattr(value, "to_numpy"):
        return False
    return hasattr(value, "chunks") or not (hasattr(value, "__array__") or hasattr(value, "__array_interface__"))


def on_disk(value: Any) -> bool:
    """Whether rows should not be visited in any order: those of a source, and of a memmap that holds no float64."""
    return is_source(value) or (isinstance(value, np.memmap) and value.dtype != np.float64 and _kernel.readable(value))


def check_file(argument: str, value: Any) -> None:
    """Raise ValueError if the file of a memmap has become too short, which would end the process when it is read."""
    whole = None  # the memmap of the whole file, of which the value may be a view of a view
    while isinstance(value, np.ndarray):
        whole, value = value if isinstance(value, np.memmap) else whole, value.base
    name = getattr(whole, "filename", None)
    if whole is None or name is None:
        return
    try:
        size = os.stat(name).st_size
    except OSError:
        return  # the file has another name by now; its contents stay mapped
    if size < whole.offset + whole.nbytes:
        row_bytes = max(1, whole.nbytes // max(1, whole.shape[0]))
        row = max(0, size - whole.offset) // row_bytes
        raise ValueError(
            f"{argument} is a memmap whose file {str(name)!r} has been truncated: row {row} of {whole.shape[0]} and "
            f"what follows is missing; write the file again and open it anew"
        )


class Source:
    """The rows of a source, (n_rows, n_columns) or (n_rows,), each slice of which is checked when it is read."""

    def __init__(self, argument: str, value: Any, shape: tuple[int, ...]) -> None:
        self.argument, self.value, self.shape = argument, value, shape
        # Other slices are copied: a class may give the next one in the same memory, or a view of what it goes on with.
        self.gives_copies = isinstance(value, Source) or type(value).__module__.split(".")[0] in ("h5py", "zarr")

    @classmethod
    def of(cls, argument: str, value: Any) -> "Source":
        """The source in an argument; a Source itself stays as it is."""
        if isinstance(value, Source):
            return value
        try:
            return cls(argument, value, tuple(operator.index(size) for size in value.shape))
        except TypeError:
            raise TypeError(f"{argument}.shape must be a tuple of integers, got {str(value.shape)[:80]}") from None

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape, dtype=object))

    @property
    def rows_at_once(self) -> int:
        """Rows of a window: whole blocks (N19), of about WINDOW numbers."""
        columns = max(1, self.size // max(1, self.shape[0]))
        return max(1, WINDOW // columns // _kernel.BLOCK) * _kernel.BLOCK

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> Array:
        """The rows of a slice without a step, all finite, as an array that the kernel reads."""
        first, last, _ = rows.indices(self.shape[0])
        array = self.read(first, max(first, last))
        k = _kernel.first_not_finite(array if array.ndim == 2 else array.reshape(1, -1))
        if k >= 0:
            s, column = divmod(k, array.size // len(array))
            place = f"row {self.number(first + s)}, column {column}"
            raise ValueError(
                f"{self.argument} has changed while it was in use: {array.reshape(-1)[k]} is now in {place}; nothing "
                "else may write to it meanwhile"
            )
        return array

    def number(self, s: int) -> int:
        """The number of row s among the rows that the caller gave."""
        return s

    def windows(self) -> Iterator[tuple[int, Array]]:
        """All rows in their order: the number of the first row of each window, and the window, which is not checked."""
        for first in range(0, self.shape[0], self.rows_at_once):
            yield first, self.read(first, min(first + self.rows_at_once, self.shape[0]))

    def read(self, first: int, last: int) -> Array:
        """Rows first, ..., last - 1 as an array that the kernel reads; errors name them."""
        name = f"{self.argument}[{first}:{last}]"
        self.check_length(name)
        try:
            given = self.value[first:last]
            array = np.asarray(given) if self.gives_copies else np.array(given)
        except Exception as error:
            note = f"{name}, of {self.shape[0]} rows, could not be read"
            if note not in getattr(error, "__notes__", ()):
                error.add_note(note)
            raise
        if isinstance(given, np.ma.MaskedArray):
            raise TypeError(f"{name} must be an array without a mask, got a masked array; fill or drop what is masked")
        if hasattr(given, "toarray"):
            raise TypeError(f"{name} must be a dense array, got a sparse one; use its toarray()")
        expected = (last - first, *self.shape[1:])
        if array.shape != expected:
            raise ValueError(f"{name} must be an array of shape {expected}, got shape {array.shape}")
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{name} must hold real numbers, got an array of dtype {array.dtype}")
        if not _kernel.readable(array):
            with np.errstate(all="ignore"):  # what becomes infinite gets its error from the caller
                array = _kernel.in_contract(array.astype, np.float64)
        return array

    def check_length(self, name: str) -> None:
        """Raise ValueError if the source has another shape by now."""
        shape = self.value.shape
        if not isinstance(shape, tuple) or shape != self.shape:
            raise ValueError(
                f"{name} cannot be read: {self.argument} had the shape {self.shape} when the call began, and has "
                f"{str(shape)[:80]} now; nothing else may write to it meanwhile"
            )

    def doubles(self) -> npt.NDArray[np.float64]:
        """All rows as float64, in memory: for the definition."""
        out = np.empty(self.shape)
        for first, array in self.windows():
            _kernel.in_contract(np.copyto, out[first : first + len(array)], array, "same_kind")
        return out

    def take(self, rows: npt.NDArray[np.intp]) -> "Source":
        """The rows with these indices, which increase."""
        return Subset(self, rows)


class Subset(Source):
    """Chosen rows of a source."""

    def __init__(self, source: Source, rows: npt.NDArray[np.intp]) -> None:
        super().__init__(source.argument, source, (len(rows), *source.shape[1:]))
        self.rows = rows

    def read(self, first: int, last: int) -> Array:
        """Chosen rows first, ..., last - 1: all rows between them are read, and the others dropped."""
        if first == last:
            return np.empty((0, *self.shape[1:]))
        rows = self.rows[first:last]
        low, step = int(rows[0]), self.value.rows_at_once
        pieces = []
        while low <= rows[-1]:  # no more than a window at once, though few rows of it are chosen
            high = min(low + step, int(rows[-1]) + 1)
            begin, end = np.searchsorted(rows, (low, high))
            pieces.append(self.value.read(low, high)[rows[begin:end] - low])
            low = int(rows[end]) if end < len(rows) else high
        rows_read: Array = _kernel.in_contract(np.concatenate, pieces)
        return rows_read

    def number(self, s: int) -> int:
        """The number of row s among the rows that the caller gave."""
        return int(self.value.number(int(self.rows[s])))


class Unsearched(Source):
    """A source whose numbers nobody has searched: its slices may have some that are not finite."""

    @classmethod
    def of_matrix(cls, X: Any) -> Any:
        """X itself, unless it is a source."""
        return cls(X.argument, X, X.shape) if isinstance(X, Source) else X

    def __getitem__(self, rows: slice) -> Array:
        """The rows of a slice without a step, as an array that the kernel reads."""
        first, last, _ = rows.indices(self.shape[0])
        rows_read: Array = self.value.read(first, max(first, last))
        return rows_read


class Windows:
    """The windows of rows that the kernel asks for, one after the other (see `Data` of the kernel).

    In the order of the rows; or, with a `stream`, in BlockShuffle's (N9): `block_rows` rows of a block, and `window`
    blocks that are shuffled together, which are read whenever an epoch comes to them. searched: X has been searched for
    numbers that are not finite, so that one is an error now.
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        sample_weight: npt.NDArray[np.float64] | None,
        stream: Any = None,
        block_rows: int = 1,
        window: int = 1,
        searched: bool = True,
    ) -> None:
        self.n_samples = int(X.shape[0])
        self.parts, self.stream = (X if searched else Unsearched.of_matrix(X), y, sample_weight), stream
        self.block_rows, self.window = block_rows, window
        self.rows_at_once = min(part.rows_at_once for part in (X, y) if isinstance(part, Source))
        self.blocks = np.empty(0, np.int64)  # this epoch's order of the blocks, from the next one on

    def load(self, row: int) -> tuple[Any, Any, Any, npt.NDArray[np.int64] | None]:
        """X, y and sample weights of the window that begins at this row in visiting order, and the order within it."""
        if self.stream is None:
            rows = slice(row, min(row + self.rows_at_once, self.n_samples))
            X, y, weights = (None if part is None else part[rows] for part in self.parts)
            return X, y, weights, None
        if row == 0:
            self.blocks = _kernel.order(self.stream, -(-self.n_samples // self.block_rows))
        chosen, self.blocks = self.blocks[: self.window], self.blocks[self.window :]
        first = chosen * self.block_rows
        last = np.minimum(first + self.block_rows, self.n_samples)
        X, y, weights = (None if part is None else gathered(part, first, last) for part in self.parts)
        order = np.arange(int(np.sum(last - first)), dtype=np.int64)
        _kernel.shuffle(self.stream, order)
        return X, y, weights, order


def gathered(part: Any, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> Any:
    """Rows first[k], ..., last[k] - 1 of a matrix for each k, one after the other."""
    spans = list(zip(first.tolist(), last.tolist(), strict=True))
    if not isinstance(part, Source):
        return part[np.concatenate([np.arange(*span) for span in spans])]
    pieces = {span: part[slice(*span)] for span in sorted(spans)}  # read in the order in which they lie
    return _kernel.in_contract(np.concatenate, [pieces[span] for span in spans])
