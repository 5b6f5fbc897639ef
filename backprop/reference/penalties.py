"""What becomes of a batch's mean gradient g before the step (N16): penalties on the weights, a bound of its norm."""

import math

from .sums import dot
from .updates import Vector, sign


def penalize(w: Vector, g: Vector, weights: list[int], l1: float, l2: float) -> None:
    """Add the slopes of l1*|w| and l2/2*w*w, for those of the parameters that are weights."""
    if l1 > 0.0 or l2 > 0.0:
        for k in weights:
            g[k] = (g[k] + l2 * w[k]) + l1 * sign(w[k])


def clip(g: Vector, clip_norm: float, trained: list[int]) -> None:
    """Pascanu, Mikolov and Bengio 2013: g becomes shorter, not another direction. What does not move does not count."""
    moving = [0.0 for _ in g]
    for k in trained:
        moving[k] = g[k]
    norm = math.sqrt(dot(moving, moving))
    if norm > clip_norm:
        for k in trained:
            g[k] = g[k] * (clip_norm / norm)
