"""Nodes of the tree that joins the sums of blocks of rows (N19), each with its sums."""

import math
import operator
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from . import _kernel
from .arguments import FloatArray

ROWS = _kernel.BLOCK  # rows in a block
NOTHING = _kernel.empty(0)  # the sums of a node that holds its loss and its weight alone


class Node(NamedTuple):
    """The sums over the rows of `n_blocks` blocks from block `first_block` on, a node of the tree of all blocks."""

    first_block: int
    n_blocks: int
    loss: float  # sum of the losses, each times its sample weight (N8)
    weight: float  # sum of the sample weights; without them the number of rows
    loss_row: int  # the first row at which a block's sum of losses stops being finite, counted in all rows; -1: none
    loss_until: float  # that block's sum up to that row (N13); 0.0: none
    parameter: int  # the index of the first number of `sums` that is not finite, in a gradient a parameter; -1: none
    parameter_row: int  # the first row at which a block's gradient stops being finite there; -1: each is finite
    sums: FloatArray  # read-only, see PartialSums.nodes; with a loss_row 0.0, since nothing uses them

    @property
    def end(self) -> int:
        """The block after the last."""
        return self.first_block + self.n_blocks

    def rows(self, n_rows: int) -> range:
        """The rows of the node, of n_rows in all."""
        return range(self.first_block * ROWS, min(self.end * ROWS, n_rows))


def n_blocks(n_rows: int) -> int:
    """The number of blocks of so many rows."""
    return -(-n_rows // ROWS)


def half(count: int) -> int:
    """The number of blocks of a node's left half: the largest power of two below count, which is at least 2."""
    return int(1 << (count - 1).bit_length() - 1)


def within(begin: int, end: int, first: int, count: int) -> Iterator[tuple[int, int]]:
    """The largest nodes (first block, number of blocks) that lie in [begin, end), below the node (first, count)."""
    if begin <= first and first + count <= end:
        yield first, count
    elif first < end and begin < first + count:
        left = half(count)
        yield from within(begin, end, first, left)
        yield from within(begin, end, first + left, count - left)


def runs(nodes: Sequence[Node]) -> list[tuple[int, int]]:
    """The runs of blocks [begin, end) that nodes in order cover."""
    found: list[tuple[int, int]] = []
    for node in nodes:
        begin = found.pop()[0] if found and found[-1][1] == node.first_block else node.first_block
        found.append((begin, node.end))
    return found


def canonical(values: FloatArray) -> FloatArray:
    """The same numbers with one NaN for all, whose sign and payload depend on the processor; nobody can change them."""
    if _kernel.first_not_finite(values) >= 0:
        values = values.copy()
        values[np.isnan(values)] = math.nan
    return _kernel.read_only(values) if values.size else values


def canonical_number(value: float) -> float:
    """The number itself, or one NaN for all."""
    return math.nan if math.isnan(value) else value


def joined(left: Node, right: Node) -> Node:
    """The node of two neighbours, its left and its right half."""
    loss = canonical_number(_kernel.in_contract(operator.add, left.loss, right.loss))
    weight = _kernel.in_contract(operator.add, left.weight, right.weight)
    first, count = left.first_block, left.n_blocks + right.n_blocks
    overflows = left if left.loss_row >= 0 else right
    if overflows.loss_row >= 0:
        nothing = canonical(np.zeros(left.sums.size))
        return Node(first, count, loss, weight, overflows.loss_row, overflows.loss_until, -1, -1, nothing)
    sums = canonical(_kernel.joined(left.sums, right.sums))
    k = _kernel.first_not_finite(sums)
    rows = [one.parameter_row for one in (left, right) if one.parameter == k and one.parameter_row >= 0]
    return Node(first, count, loss, weight, -1, 0.0, k, rows[0] if k >= 0 and rows else -1, sums)


def join(nodes: list[Node], first: int, count: int) -> list[Node]:
    """These nodes below the node (first, count), joined as far as the tree allows; they are in order and disjoint."""
    if not nodes or (nodes[0].first_block, nodes[0].n_blocks) == (first, count):
        return nodes
    left = half(count)
    at = bisect_left(nodes, first + left, key=operator.attrgetter("first_block"))
    before, after = join(nodes[:at], first, left), join(nodes[at:], first + left, count - left)
    if before and after and before[0].n_blocks == left and after[0].n_blocks == count - left:
        return [joined(before[0], after[0])]
    return before + after
