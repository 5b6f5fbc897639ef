"""Random numbers (N9), made from the raw 64-bit words of a bit generator and nothing else."""

import math

from .elementary import log
from .values import NextWord, Vector


def uniform(next_word: NextWord) -> float:
    """A number in [0, 1): the upper 53 bits of a word."""
    return float(next_word() >> 11) * 1.1102230246251565e-16  # 2**-53


def below(next_word: NextWord, n: int) -> int:
    """An unbiased integer below n < 2**32, from the upper half of a word (Lemire 2019)."""
    while True:
        m = (next_word() >> 32) * n
        if m % 4294967296 >= (4294967296 - n) % n:
            return m >> 32


def shuffled(next_word: NextWord, n: int) -> list[int]:
    """The integers 0, ..., n - 1 in a random order (Fisher and Yates, from the last place down)."""
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = below(next_word, i + 1)
        order[i], order[j] = order[j], order[i]
    return order


def block_shuffled(next_word: NextWord, n: int, rows: int, window: int) -> list[int]:
    """The integers 0, ..., n - 1 in an order of which each part is needed from few blocks of consecutive integers.

    The order of the blocks of `rows` integers is shuffled; then, for each `window` of them in that order, the list of
    their integers.
    """
    blocks, order = shuffled(next_word, (n - 1) // rows + 1), list[int]()
    for first in range(0, len(blocks), window):
        windowed = blocks[first : first + window]
        listed = [s for block in windowed for s in range(n)[block * rows : block * rows + rows]]
        order += [listed[k] for k in shuffled(next_word, len(listed))]
    return order


def normal_pair(next_word: NextWord) -> tuple[float, float]:
    """Two standard normal numbers, by the polar method (Marsaglia and Bray 1964)."""
    while True:
        u = 2.0 * uniform(next_word) - 1.0
        v = 2.0 * uniform(next_word) - 1.0
        s = u * u + v * v
        if 0.0 < s < 1.0:
            f = math.sqrt((-2.0 * log(s)) / s)
            return u * f, v * f


def initial_parameters(
    sizes: tuple[int, ...], next_word: NextWord, factor: float, both: bool, normal: bool, hidden_bias: float
) -> Vector:
    """Initial weights, uniform in [-width, width) or normal with the standard deviation width, layer by layer.

    width is sqrt(factor/fan), where fan is n_in + n_out if `both`, else n_in. Biases of hidden units are hidden_bias,
    those of outputs 0.0.
    """
    parameters: Vector = []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        width, n = math.sqrt(factor / float(n_in + n_out if both else n_in)), n_in * n_out
        if normal:
            pairs = [normal_pair(next_word) for _ in range((n + 1) // 2)]
            parameters += [one * width for pair in pairs for one in pair][:n]  # the last one is left out if n is odd
        else:
            parameters += [(2.0 * uniform(next_word) - 1.0) * width for _ in range(n)]
        parameters += [hidden_bias] * n_out
    parameters[-n_out:] = [0.0] * n_out
    return parameters
