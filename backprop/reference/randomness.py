"""Randomness (N9): from the raw words of a bit generator alone."""

import math
from typing import Any

from ..network import INITIALIZERS
from .elementary import log
from .updates import Vector

Stream = Any  # a NumPy bit generator


def uniform(stream: Stream) -> float:
    return float(stream.random_raw() >> 11) * 1.1102230246251565e-16  # 2**-53


def below(stream: Stream, n: int) -> int:
    """Lemire 2019: an unbiased integer below n < 2**32 from the upper half of a word."""
    while True:
        m: int = (stream.random_raw() >> 32) * n
        if m % 4294967296 >= (4294967296 - n) % n:
            return m >> 32


def shuffled(stream: Stream, n: int) -> list[int]:
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = below(stream, i + 1)
        order[i], order[j] = order[j], order[i]
    return order


def normal_pair(stream: Stream) -> tuple[float, float]:
    """Marsaglia and Bray 1964: two standard normal numbers, by the polar method."""
    while True:
        u = 2.0 * uniform(stream) - 1.0
        v = 2.0 * uniform(stream) - 1.0
        s = u * u + v * v
        if 0.0 < s < 1.0:
            f = math.sqrt((-2.0 * log(s)) / s)
            return u * f, v * f


def initial_parameters(
    sizes: tuple[int, ...], stream: Stream, initializer: str = "glorot_uniform", hidden_bias: float = 0.0
) -> Vector:
    """Weights of the variance that the initializer's rule says; each bias hidden_bias, an output's 0.0."""
    factor, both, normal = INITIALIZERS[initializer]
    parameters: Vector = []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        scale, n = math.sqrt(factor / float(n_in + n_out if both else n_in)), n_in * n_out
        if normal:
            pairs = [normal_pair(stream) for _ in range((n + 1) // 2)]
            parameters += [one * scale for pair in pairs for one in pair][:n]  # an odd one out is not kept
        else:
            parameters += [(2.0 * uniform(stream) - 1.0) * scale for _ in range(n)]
        parameters += [hidden_bias] * n_out
    parameters[-n_out:] = [0.0] * n_out
    return parameters
