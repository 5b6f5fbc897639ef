"""Columns of Parquet files as a source of rows, read row group by row group (the extra "parquet": pyarrow)."""

import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from . import _kernel, arguments


def _listed(argument: str, value: Any, allowed: str, kinds: Any) -> list[Any]:
    """The value as a list of one or more objects of these kinds."""
    listed = [value] if isinstance(value, kinds) else list(value) if isinstance(value, Iterable) else []
    if not listed or not all(isinstance(one, kinds) for one in listed):
        error = ValueError if listed == [] and isinstance(value, Iterable) else TypeError
        raise error(f"{argument} must be {allowed}, got {arguments.shown(value)}")
    return listed


class ParquetRows:
    """Some columns of one or several Parquet files, as rows that a net is trained on without reading them all.

    Parameters
    ----------
    paths : str or path-like, or a sequence of them
        The files, in the order of their rows.
    columns : sequence of str, or str
        The columns, which hold real numbers and no nulls. A single name gives rows of one number, as for `y`.

    Attributes
    ----------
    shape : tuple
        (n_rows, n_columns), or (n_rows,) for a single name.

    Raises
    ------
    ImportError
        If pyarrow is not installed.
    ValueError
        If a file does not have one of the columns, or a row that is read has a null.
    TypeError
        If a column holds no numbers.
    OSError
        If a file cannot be read.

    Notes
    -----
    ``rows[a:b]`` reads the row groups that have rows a to b - 1, and keeps the last of them for the next slice. With
    `BlockShuffle`, blocks of as many rows as a row group has read each group once in an epoch.

    Examples
    --------
    >>> import backprop, os, tempfile, numpy as np, pyarrow, pyarrow.parquet
    >>> from backprop.parquet import ParquetRows
    >>> path = os.path.join(tempfile.mkdtemp(), "rows.parquet")
    >>> table = pyarrow.table({"a": [0.0, 0.5, 1.0], "b": [1, 2, 3], "target": [1.0, 2.0, 3.0]})
    >>> pyarrow.parquet.write_table(table, path)
    >>> X, y = ParquetRows(path, ["a", "b"]), ParquetRows(path, "target")
    >>> X.shape, y.shape
    ((3, 2), (3,))
    >>> run = backprop.fast_train(backprop.Network([2, 1]), X, y, optimizer=backprop.LBFGS(), epochs=5)
    """

    def __init__(
        self, paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], columns: Sequence[str] | str
    ) -> None:
        try:
            import pyarrow.parquet
        except ImportError:
            raise ImportError('ParquetRows needs pyarrow: pip install "exact-backprop[parquet]"') from None
        listed = _listed("paths", paths, "a file or several, str or path-like", str | os.PathLike)
        self.columns = _listed("columns", columns, "a name of a column or several", str)
        self._files = [pyarrow.parquet.ParquetFile(os.fspath(path)) for path in listed]
        self._groups: list[tuple[int, int]] = []  # the file and the number in it of each row group
        ends: list[int] = []
        for f, file in enumerate(self._files):
            self._check_columns(f)
            for group in range(file.metadata.num_row_groups):
                self._groups.append((f, group))
                ends.append((ends[-1] if ends else 0) + file.metadata.row_group(group).num_rows)
        self._ends = np.array(ends, np.int64)  # the number of the first row after each group
        n_rows = ends[-1] if ends else 0
        self.shape: tuple[int, ...] = (n_rows,) if isinstance(columns, str) else (n_rows, len(self.columns))
        self._kept: tuple[int, npt.NDArray[Any]] | None = None  # the group that was read last

    def _check_columns(self, f: int) -> None:
        """Raise the error about a column that file f does not have."""
        names = self._files[f].schema_arrow.names
        for name in self.columns:
            if name not in names:
                shown = arguments.shown(names)
                raise ValueError(f"columns must be columns of each file, got {name!r}; file {f} has {shown}")

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        """The rows of a slice without a step, as an array of numbers."""
        first, last, step = rows.indices(self.shape[0])
        if step != 1:
            raise ValueError(f"rows must be a slice without a step, got {rows}")
        pieces, g = [], int(np.searchsorted(self._ends, first, side="right"))
        while first < last:
            begin = int(self._ends[g - 1]) if g > 0 else 0
            piece = self._group(g, begin)[first - begin : last - begin]
            pieces.append(piece)
            first += len(piece)
            g += 1
        table = _kernel.in_contract(np.concatenate, pieces) if pieces else np.empty((0, len(self.columns)))
        return table if len(self.shape) == 2 else table[:, 0]

    def _group(self, g: int, begin: int) -> npt.NDArray[Any]:
        """All rows of group g, the first of which is row `begin`."""
        if self._kept is None or self._kept[0] != g:
            f, group = self._groups[g]
            table = self._files[f].read_row_group(group, columns=self.columns)
            self._kept = (
                g,
                _kernel.in_contract(np.column_stack, [self._numbers(table, name, begin) for name in self.columns]),
            )
        return self._kept[1]

    def _numbers(self, table: Any, name: str, begin: int) -> npt.NDArray[Any]:
        """A column of a group, whose first row is row `begin`."""
        column = table.column(name)
        if column.null_count:
            row = begin + int(np.argmax(column.is_null().to_numpy()))
            raise ValueError(f"column {name!r} must have no nulls, got one in row {row}; drop or fill such rows")
        numbers: npt.NDArray[Any] = column.to_numpy()
        if numbers.dtype.kind not in "fiub":
            raise TypeError(f"column {name!r} must hold real numbers, got {column.type}")
        return numbers
