"""Penalties and clipping (N16): changes of a batch's mean gradient g before the update rule sees it."""

import math

from .sums import dot
from .updates import sign
from .values import Vector


def penalize(w: Vector, g: Vector, weights: list[int], l1: float, l2: float) -> None:
    """Add the slopes of l1*|w| and l2/2*w*w to g at the indices `weights`, which are all weights and no biases."""
    if l1 > 0.0 or l2 > 0.0:
        for k in weights:
            g[k] = (g[k] + l2 * w[k]) + l1 * sign(w[k])


def clip(g: Vector, clip_norm: float, trained: list[int]) -> None:
    """Scale g down to the norm clip_norm if its norm is larger (Pascanu, Mikolov and Bengio 2013).

    Parameters that are not trained count as 0.0 in the norm.
    """
    moving = [0.0 for _ in g]
    for k in trained:
        moving[k] = g[k]
    norm = math.sqrt(dot(moving, moving))
    if norm > clip_norm:
        for k in trained:
            g[k] = g[k] * (clip_norm / norm)
