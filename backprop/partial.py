"""Partial sums: the sums of losses and gradients over some of the rows, which any engine may compute and join."""

import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from . import _kernel, arguments, partial_bytes, threads
from .arguments import FloatArray
from .derivatives import overflow_of_gradient
from .hints import hinted
from .matrices import RowsLike
from .network import Network, checked
from .nodes import NOTHING, ROWS, Node, canonical, canonical_number, join, n_blocks, runs, within
from .optimizers import LevenbergMarquardt, too_much_memory
from .partial_bytes import KINDS, MOST_ROWS, Contents
from .passes import loss_pass
from .samples import Samples
from .version import contract_version


@dataclass(frozen=True, eq=False, repr=False)
class PartialSums:
    """Sums over some of the rows of a data set, made by `partial_sums`, `merge` and `from_bytes`.

    Two are equal if all their bits are. Pickles hold what `to_bytes` gives.

    Attributes
    ----------
    of : str
        "gradient", "loss" or "normal_equations".
    loss : str
        The name of the loss.
    n_rows : int
        The number of rows of the whole data set.
    rows : tuple of range
        The rows that the sums cover, as runs of consecutive rows.
    contract_version : int
        The version of the arithmetic contract by which they were computed: that of this release.
    nodes : tuple of Node
        The sums themselves: the largest nodes of the contract's tree (N19) that cover the rows. Each is a named tuple
        with `first_block` and `n_blocks`, in blocks of 4096 rows; `loss`, the sum of the losses; `weight`, the sum of
        the sample weights, or the number of rows; and the read-only array `sums`: of "gradient" the sum of the
        gradients (n_parameters,), of "normal_equations" the sums A and b of N14, row after row: ``A[i, i:]``, then
        ``b[i]``. docs/partial-sums.md describes the other fields, which tell at which row a sum overflows.

    Examples
    --------
    >>> import backprop
    >>> net = backprop.Network([1, 1]).with_parameters([2.0, 0.0])
    >>> part = backprop.partial_sums(net, [[1.0], [2.0]], [1.0, 4.0], first_row=0, n_rows=2)
    >>> part
    <PartialSums: gradient, squared_error, rows 0 to 1 of 2>
    >>> part.mean()
    (0.25, array([0.5, 0.5]))
    """

    _contents: Contents

    @property
    def of(self) -> str:
        return self._contents.of

    @property
    def loss(self) -> str:
        return self._contents.loss

    @property
    def n_rows(self) -> int:
        return self._contents.n_rows

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self._contents.nodes

    @property
    def rows(self) -> tuple[range, ...]:
        return tuple(range(begin * ROWS, min(end * ROWS, self.n_rows)) for begin, end in runs(self.nodes))

    @property
    def contract_version(self) -> int:
        return contract_version

    @classmethod
    def merge(cls, parts: "Iterable[PartialSums]") -> "PartialSums":
        """The sums over all rows that these parts cover, joined as far as the tree allows.

        Neither the order of the parts nor how the rows were cut into them, nor what was merged before, changes a bit.

        Parameters
        ----------
        parts : iterable of PartialSums
            At least one. A part may be there several times, as when a worker has computed it again.

        Returns
        -------
        PartialSums

        Raises
        ------
        TypeError
            If something else is among the parts.
        ValueError
            If two parts overlap without having the same rows, or have the same rows and other bits; or if they are not
            of one network, loss, number of rows and kind of sums. The message names a part by its rows.

        Examples
        --------
        >>> import backprop, numpy as np
        >>> X, y, net = np.ones((10000, 1)), np.zeros(10000), backprop.Network([1, 1])
        >>> parts = [backprop.partial_sums(net, X[f : f + 4096], y[f : f + 4096], first_row=f, n_rows=10000)
        ...          for f in (8192, 0, 4096)]
        >>> loss, gradient = backprop.PartialSums.merge(parts).mean()
        >>> loss == net.loss(X, y)
        True
        """
        distinct = _distinct(parts)
        first = next(iter(distinct.values()))
        spans = sorted(((span.start, span.stop, part) for part in distinct.values() for span in part.rows), key=_start)
        for (_, end, before), (start, _, after) in zip(spans, spans[1:], strict=False):
            if start < end:
                raise ValueError(
                    f"parts must have the same rows where they overlap, got {_named(before)}, and {_named(after)}; cut "
                    "the rows in the same way each time, or leave one part out"
                )
        nodes = sorted((node for part in distinct.values() for node in part.nodes), key=operator.itemgetter(0))
        return cls(first._contents._replace(nodes=tuple(join(nodes, 0, n_blocks(first.n_rows)))))

    def mean(self) -> Any:
        """The mean loss of all rows and its gradient, with the bits of `backprop.loss_and_gradient`.

        Returns
        -------
        (float, ndarray of shape (n_parameters,)) or float
            Of "gradient" the mean loss and its gradient, of "loss" the mean loss alone, as `Network.loss` gives it.

        Raises
        ------
        ValueError
            If rows are missing, of which the message names the first run; if the sample weights do not have a sum above
            0 and at most 1e300; or with "normal_equations".
        OverflowError
            If the loss or the gradient is not finite; the message names the row.

        Examples
        --------
        >>> import backprop
        >>> net = backprop.Network([1, 1]).with_parameters([2.0, 0.0])
        >>> backprop.partial_sums(net, [[1.0]], [4.0], first_row=0, n_rows=1, of="loss").mean()
        2.0
        """
        if self.of == "normal_equations":
            raise ValueError("mean() is of the sums of 'gradient' or 'loss', got 'normal_equations'; see nodes[0].sums")
        node = whole(self)
        value = mean_loss(node)
        if not math.isfinite(value):
            raise arguments.result_not_finite("the loss", node.loss_row)
        if self.of == "loss":
            return value
        gradient = np.empty(node.sums.size)
        _kernel.divide_sums(node.sums, node.weight, gradient)
        k = _kernel.first_not_finite(gradient)
        if k >= 0:
            raise arguments.gradient_not_finite(k, node.parameter_row if node.parameter == k else -1)
        return value, gradient

    def to_bytes(self) -> bytes:
        """The sums as bytes with versions and a checksum; docs/partial-sums.md describes them.

        The same sums give the same bytes on every machine.

        Examples
        --------
        >>> import backprop
        >>> net = backprop.Network([1, 1]).with_parameters([2.0, 0.0])
        >>> part = backprop.partial_sums(net, [[1.0]], [4.0], first_row=0, n_rows=1)
        >>> backprop.PartialSums.from_bytes(part.to_bytes()) == part
        True
        """
        return partial_bytes.pack(self._contents)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> "PartialSums":
        """The sums that `to_bytes` has made bytes of. Nothing in the bytes is executed.

        Raises
        ------
        TypeError
            If the argument is not of bytes.
        ValueError
            If the bytes are cut off, altered, of another contract version or none that `to_bytes` makes.
        """
        if not isinstance(data, bytes | bytearray | memoryview):
            raise TypeError(f"data must be bytes, a bytearray or a memoryview, got {arguments.shown(data)}")
        return cls(partial_bytes.unpack(data))

    def __eq__(self, other: object) -> bool:
        return self.to_bytes() == other.to_bytes() if isinstance(other, PartialSums) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._contents[:-1])

    def __reduce__(self) -> tuple[Any, ...]:
        return PartialSums.from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        return f"<PartialSums: {self.of}, {self.loss}, {_named(self)} of {self.n_rows}>"


def whole(sums: PartialSums) -> Node:
    """The sums over all rows; ValueError if some are missing, or if their weights have no sum to divide by."""
    at = 0
    for span in sums.rows:
        if span.start > at:
            break
        at = span.stop
    if at < sums.n_rows:
        following = [span.start for span in sums.rows if span.start > at]
        last = following[0] if following else sums.n_rows
        raise ValueError(
            f"the sums must cover all {sums.n_rows} rows, but rows {at} to {last - 1} are missing; merge them with the "
            "parts of these rows first"
        )
    node = sums.nodes[0]
    if not arguments.within(node.weight, "(0, 1e300]"):
        raise arguments.bad_weights(sums.n_rows, node.weight)
    return node


def mean_loss(node: Node) -> float:
    """The mean loss (N8) from the sums over all rows; it may be not finite."""
    return float(_kernel.in_contract(operator.truediv, node.loss, node.weight))


def digest_of(network: Network) -> bytes:
    """The SHA-256 of a network's sizes, activations and parameters."""
    found = sha256(repr((network.sizes, network.activations)).encode("ascii"))
    found.update(network.parameters.astype("<f8", copy=False).tobytes())
    return found.digest()


def _start(span: tuple[int, int, PartialSums]) -> int:
    return span[0]


def _named(part: PartialSums) -> str:
    """A part by its rows, for a message."""
    spans = [f"{span.start} to {span.stop - 1}" for span in part.rows]
    return f"rows {', '.join(spans[:3])}{', ...' if len(spans) > 3 else ''}"


def _distinct(parts: Iterable[PartialSums]) -> dict[tuple[range, ...], PartialSums]:
    """The parts by their rows, each once; an error if one does not belong to the others."""
    distinct: dict[tuple[range, ...], PartialSums] = {}
    try:
        each = iter(parts)
    except TypeError:
        raise TypeError(f"parts must be an iterable of PartialSums, got {arguments.shown(parts)}") from None
    given = list(each)
    for k, part in enumerate(given):
        if not isinstance(part, PartialSums):
            hint = "; PartialSums.from_bytes reads bytes" if isinstance(part, bytes | bytearray | memoryview) else ""
            raise TypeError(f"parts[{k}] must be a PartialSums, got {arguments.shown(part)}{hint}")
        _check_alike(given[0], part)
        before = distinct.setdefault(part.rows, part)
        if before is not part and before != part:
            raise ValueError(
                f"parts of the same rows must have the same bits, got two others of {_named(part)}; was one computed "
                "from other data, targets or weights?"
            )
    if not distinct:
        raise ValueError("parts must have at least one PartialSums, got none")
    return distinct


def _check_alike(first: PartialSums, part: PartialSums) -> None:
    """Check that a part is one of the same whole as the first."""
    for name, cure in (
        ("n_rows", "give the number of all rows to each"),
        ("of", "compute all with the same of="),
        ("loss", "compute all with the same loss="),
    ):
        mine, others = getattr(part, name), getattr(first, name)
        if mine != others:
            raise ValueError(
                f"parts must have the same {name}, got {mine!r} in that of {_named(part)} and {others!r} in that of "
                f"{_named(first)}; {cure}"
            )
    if part._contents.network != first._contents.network:
        raise ValueError(
            f"parts must be of one network, but that of {_named(part)} is of another, or of other parameters, than "
            f"that of {_named(first)}; compute all with the network as it is now"
        )


@hinted
def partial_sums(
    network: Network,
    X: RowsLike,
    y: npt.ArrayLike,
    loss: str | None = None,
    sample_weight: npt.ArrayLike | None = None,
    *,
    first_row: int,
    n_rows: int,
    n_threads: int | None = None,
    of: str = "gradient",
) -> PartialSums:
    """The sums of losses and gradients over a part of the rows.

    Parts of all rows, computed anywhere and joined by `PartialSums.merge`, give the bits of one process.

    Parameters
    ----------
    network : Network
    X : array_like or sparse matrix of shape (n, n_features)
    y : array_like of shape (n, n_outputs), or (n,)
    loss : str or None
    sample_weight : array_like of shape (n,), or None
        The part's rows, as for `Network.loss`. The weights of a part may all be 0.0.
    first_row : int >= 0
        The number of the part's first row in the whole data set: a multiple of 4096.
    n_rows : int from 1 to 2**53
        The number of rows of the whole data set. The part ends there, or at a multiple of 4096.
    n_threads : int >= 1 or None
        As for `Network.loss`.
    of : str
        "gradient": sums of losses and gradients. "loss": of losses alone. "normal_equations": A and b of
        `LevenbergMarquardt` and the losses, for the loss squared_error.

    Returns
    -------
    PartialSums

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, a shape does not fit, a number is not finite, or a target or weight is out
        of its range. Messages count rows in the whole data set.

    Notes
    -----
    A sum that overflows is no error here: `PartialSums.mean` raises it, with the first such row of all.

    Examples
    --------
    >>> import backprop, numpy as np
    >>> X, y, net = np.ones((5000, 1)), np.zeros(5000), backprop.Network([1, 1])
    >>> parts = [
    ...     backprop.partial_sums(net, X[:4096], y[:4096], first_row=0, n_rows=5000),
    ...     backprop.partial_sums(net, X[4096:], y[4096:], first_row=4096, n_rows=5000),
    ... ]
    >>> loss, gradient = backprop.PartialSums.merge(parts).mean()
    >>> expected = backprop.loss_and_gradient(net, X, y)
    >>> bool(loss == expected[0] and (gradient == expected[1]).all())
    True
    """
    sizes = checked(network).sizes
    name, of = arguments.loss_name(loss, network.activations[-1]), arguments.known_name("of", of, KINDS)
    if of == "normal_equations" and name != "squared_error":
        raise ValueError(f"of='normal_equations' needs the loss 'squared_error', got {name!r}; give of='gradient'")
    n_threads = threads.checked(n_threads)
    given = arguments.rows(X, sizes[0])
    begin, n_rows = _extent(first_row, n_rows, given.shape[0])
    samples = Samples.checked(_kernel, sizes, given, y, name, sample_weight, part_from=begin * ROWS)
    nodes = []
    for first, count in within(begin, begin + n_blocks(given.shape[0]), 0, n_blocks(n_rows)):
        rows = slice((first - begin) * ROWS, (first + count - begin) * ROWS)
        weights = None if samples.sample_weight is None else samples.sample_weight[rows]
        part = samples._replace(X=samples.X[rows], y=samples.y[rows], sample_weight=weights)
        nodes.append(_node(network, part, name, of, n_threads, first, count))
    return PartialSums(Contents(of, name, n_rows, network.n_parameters, digest_of(network), tuple(nodes)))


def _extent(first_row: SupportsIndex, n_rows: SupportsIndex, n: int) -> tuple[int, int]:
    """The first block of a part of n rows, and the number of all rows."""
    n_rows = arguments.integer("n_rows", n_rows, 1, MOST_ROWS)
    first_row = arguments.integer("first_row", first_row, 0, n_rows - 1)
    if first_row % ROWS:
        below = first_row // ROWS * ROWS
        raise ValueError(
            f"first_row must be a multiple of {ROWS}, got {first_row}; begin the part at row {below} or {below + ROWS}"
        )
    end = first_row + n
    if end > n_rows:
        raise ValueError(
            f"X must end at row n_rows={n_rows}, got {n} rows from first_row={first_row} on, to row {end}; n_rows is "
            "the number of rows of the whole data set"
        )
    if end < n_rows and end % ROWS:
        above = min(n_rows, -(-end // ROWS) * ROWS)
        raise ValueError(
            f"X must end at a multiple of {ROWS} or at n_rows={n_rows}, got {n} rows from first_row={first_row} on, to "
            f"row {end}; give {above - first_row} rows, or n_rows={end} if these are the last"
        )
    return first_row // ROWS, n_rows


# Nodes.


def _node(network: Network, part: Samples, loss: str, of: str, n_threads: int | None, first: int, count: int) -> Node:
    """The node (first, count), whose rows are those of a part; the total weight of the part is 1.0."""
    weights, offset = part.sample_weight, first * ROWS
    weight = float(part.n_samples) if weights is None else _kernel.sum_of_weights(weights)[1]
    sums = NOTHING
    if of == "normal_equations":
        total, sums = _normal_equations(network, part, n_threads)
        row, until = -1, 0.0
        if not math.isfinite(total):
            until, row = loss_pass(network, part, loss, n_threads, threads.POLICY, None)
    else:
        gradient = np.empty(network.n_parameters) if of == "gradient" else None
        total, row = loss_pass(network, part, loss, n_threads, threads.POLICY, gradient)
        sums = NOTHING if gradient is None else gradient
        until = total
        if row >= 0:
            total = _sum_to_the_end(network, part, loss)
    if row >= 0:
        nothing, until = canonical(np.zeros(sums.size)), canonical_number(until)
        return Node(first, count, canonical_number(total), weight, offset + row, until, -1, -1, nothing)
    k, k_row = _kernel.first_not_finite(sums), -1
    if k >= 0 and of == "gradient":
        k_row = overflow_of_gradient(network, part, loss, k)
    k_row = offset + k_row if k_row >= 0 else -1
    return Node(first, count, canonical_number(total), weight, -1, 0.0, k, k_row, canonical(sums))


def _normal_equations(network: Network, part: Samples, n_threads: int | None) -> tuple[float, FloatArray]:
    """The sum of the losses, and A and b, row after row: an iteration that ends before its first step."""
    n, w = network.n_parameters, network.parameters.copy()
    rule, policy = "levenberg_marquardt", threads.POLICY
    more_work = _kernel.more_work(rule, n, network.sizes[-1])
    count = policy.threads_for(n_threads, part.n_samples * (n + more_work))
    try:
        work = _kernel.Pass(
            network.sizes, network.activations, w, np.empty(n), part.n_samples, count, policy.thread_work, more_work
        )
        sums = _kernel.LossPass(work, _kernel.Data(*part[:4]), "squared_error")
        settings = np.array([0.5, 2.0, -1.0, math.inf])  # every norm of the gradient, and no mu, is small enough
        step = _kernel.Step(rule, settings, np.empty((0, n)), np.array([1.0]), True)
        method = _kernel.LevenbergMarquardt(sums, step)
        total = np.empty(1)
        method.train(total, 0, 1)
        return float(total[0]), _kernel.equations(method)
    except MemoryError:
        raise too_much_memory(LevenbergMarquardt(), n, part.n_samples) from None


def _sum_to_the_end(network: Network, part: Samples, loss: str) -> float:
    """The sum of losses that is not finite, but with all rows of its blocks, as an epoch adds them (N8)."""
    n, w, total = network.n_parameters, network.parameters.copy(), np.empty(1)
    work = _kernel.Pass(network.sizes, network.activations, w, np.empty(n), part.n_samples, 1, math.inf)
    sums = _kernel.LossPass(work, _kernel.Data(*part[:4]), loss)
    step = _kernel.Step("sgd", np.array([1.0]), np.empty((0, n)), np.empty(0), True)
    trainer = _kernel.Trainer(sums, step, part.n_samples, None)
    # The trainer divides by the weight of these rows, which leaves inf and NaN as they are.
    while trainer.train(total, 0, 1) == 0:
        pass
    return float(total[0])
