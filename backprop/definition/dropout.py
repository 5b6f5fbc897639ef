"""Dropout (N18): random hidden units whose outputs are 0.0 in training, drawn separately for each row."""

from .randomness import uniform
from .values import Matrix, NextWord, Vector


def draw_masks(next_word: NextWord, rates: Vector | None, sizes: tuple[int, ...]) -> Matrix | None:
    """The factors of one row's hidden units, layer by layer: 0.0 for a dropped unit, else 1/(1 - rate)."""
    if rates is None:
        return None
    masks = []
    for rate, n in zip(rates, sizes[1:-1], strict=True):
        keep_scale = 1.0 / (1.0 - rate)
        masks.append([0.0 if rate > 0.0 and uniform(next_word) < rate else keep_scale for _ in range(n)])
    return masks


def masked(x: Vector, mask: Vector) -> Vector:
    """x times the mask, unit by unit; 0.0 where the mask is 0.0, even if x is not finite."""
    return [0.0 if m == 0.0 else x_i * m for x_i, m in zip(x, mask, strict=True)]
