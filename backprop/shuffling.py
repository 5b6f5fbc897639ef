"""Block shuffle: its settings, checked once. The computation is in definition/randomness.py."""

from dataclasses import dataclass
from typing import Any

from . import arguments, hints
from .hints import hinted_class


@hinted_class
@dataclass(frozen=True)
class BlockShuffle:
    """A visiting order that is random enough for training, and needs few blocks of consecutive rows at a time.

    In each epoch the order of the blocks is shuffled. Then, for each `window` of blocks in that order, their rows are
    shuffled together and visited. All rows of a window fit in a cache or in a buffer, where ``shuffle=True`` visits
    rows from everywhere.

    Parameters
    ----------
    rows : int >= 1, default 256
        Rows of a block; the last block may be shorter. If there are no more rows than this, the order is that of
        ``shuffle=True``.
    window : int >= 1, default 256
        Blocks whose rows are shuffled together.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    A window of the defaults has 65,536 rows. Rows that are sorted, such as by their targets, train about as well as
    with ``shuffle=True`` if each window has many blocks. The last window of an epoch may have few: they are visited
    last, and should be small. ``window=1`` is only for rows that are in a random order already. For rows on disk,
    blocks should be whole chunks of the file: docs/large-data.md says how to choose both numbers.

    Examples
    --------
    >>> import backprop
    >>> X, y = [[0.0], [0.5], [1.0], [1.5]], [0.0, 0.25, 1.0, 2.25]
    >>> net = backprop.Network([1, 4, 1])
    >>> run = backprop.fast_train(net, X, y, batch_size=2, shuffle=backprop.BlockShuffle(rows=1, window=2))
    >>> run.settings.shuffle
    BlockShuffle(rows=1, window=2)
    """

    rows: int = 256
    window: int = 256

    def __post_init__(self) -> None:
        for name in ("rows", "window"):
            object.__setattr__(self, name, arguments.integer(name, getattr(self, name), 1))


def checked(shuffle: Any) -> bool | BlockShuffle:
    """The value as a bool or a BlockShuffle, or an error that says what is allowed."""
    if isinstance(shuffle, BlockShuffle):
        return shuffle
    if isinstance(shuffle, arguments.BOOLEANS):
        return bool(shuffle)
    # 0 and 1 rather stand for False and True.
    calls = ((int, "BlockShuffle(rows={})"),) if type(shuffle) is int and shuffle > 1 else ()
    allowed = "a backprop.BlockShuffle(...)"
    raise hints.instance("shuffle", shuffle, BlockShuffle, allowed, *calls, otherwise="True, False")


def plain(shuffle: bool | BlockShuffle) -> bool | tuple[int, int]:
    """The setting as the definition takes it: True, False, or (rows, window)."""
    return (shuffle.rows, shuffle.window) if isinstance(shuffle, BlockShuffle) else shuffle


def within(shuffle: bool | BlockShuffle, n: int) -> tuple[int, int]:
    """The setting as the kernel takes it for n rows: rows of a block and blocks of a window, at most n."""
    return (min(shuffle.rows, n), min(shuffle.window, n)) if isinstance(shuffle, BlockShuffle) else (n, 1)
