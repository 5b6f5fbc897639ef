"""Dropout (N18): which hidden units a row does without while it trains."""

from ..dropout import Dropout
from .randomness import Stream, uniform
from .updates import Rows, Vector


def draw_masks(stream: Stream, dropout: Dropout | None, sizes: tuple[int, ...]) -> Rows | None:
    """What the units of each hidden layer are multiplied by: 0.0 if dropped, else what makes up for those that are."""
    if dropout is None:
        return None
    masks = []
    for rate, n in zip(dropout.rates(sizes), sizes[1:-1], strict=True):
        scale = 1.0 / (1.0 - rate)
        masks.append([0.0 if rate > 0.0 and uniform(stream) < rate else scale for _ in range(n)])
    return masks


def masked(x: Vector, mask: Vector) -> Vector:
    """x times the mask, and 0.0 where that is 0.0, whatever x is."""
    return [0.0 if m == 0.0 else x_i * m for x_i, m in zip(x, mask, strict=True)]
