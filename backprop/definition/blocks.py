"""Sums over rows (N19): blocks of consecutive rows in visiting order, joined by a fixed binary tree."""

import math
from collections.abc import Sequence

from .values import Matrix, Vector

BLOCK_ROWS = 4096  # rows in a block; the last block of a sum may have fewer


def blocks(rows: Sequence[int]) -> list[Sequence[int]]:
    """The rows of a sum, in the order in which they are visited, cut into blocks."""
    return [rows[first : first + BLOCK_ROWS] for first in range(0, len(rows), BLOCK_ROWS)]


def tree_sum(parts: Matrix) -> Vector:
    """The sums of all blocks, element by element; parts[b] has the sums of block b."""
    if len(parts) == 1:
        return parts[0]
    half = 1 << (len(parts) - 1).bit_length() - 1  # the largest power of two below len(parts)
    left, right = tree_sum(parts[:half]), tree_sum(parts[half:])
    return [left[k] + right[k] for k in range(len(left))]


def sum_of_rows(terms: Vector) -> float:
    """The sum of one number for each row, in visiting order."""
    parts = []
    for block in blocks(range(len(terms))):
        total = 0.0
        for s in block:
            total = total + terms[s]
        parts.append([total])
    return tree_sum(parts)[0]


def sum_of_weights(weights: Vector) -> tuple[int, float]:
    """The first row whose sample weight is not finite and >= 0, or -1; and the sum of all weights (N17).

    With such a row the sum is 0.0.
    """
    for s in range(len(weights)):
        if not 0.0 <= weights[s] < math.inf:
            return s, 0.0
    return -1, sum_of_rows(weights)
