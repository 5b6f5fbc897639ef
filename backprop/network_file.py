"""The text form of a network: versioned, exact, checked. docs/network-file.md describes it."""

import os
import re
from collections.abc import Iterator

from . import text_file
from .arguments import FloatArray, shown

FORM = text_file.Form("backprop-network", "1", "a network file")
SIZES = re.compile("(?:[1-9][0-9]* )*")  # stricter than int(), which takes spaces, signs and underscores


def lengths(sizes: tuple[int, ...]) -> Iterator[tuple[str, int]]:
    """The label and the count of numbers of each line: the rows of W, then b, layer by layer."""
    for l, (n_in, n_out) in enumerate(zip(sizes, sizes[1:], strict=False), 1):
        for i in range(n_in):
            yield f"W{l}[{i}]", n_out
        yield f"b{l}", n_out


def write(path: str | os.PathLike[str], sizes: tuple[int, ...], activations: tuple[str, ...], flat: FloatArray) -> None:
    """Write a network; the file at path is replaced as a whole or not at all."""
    numbers = iter(text_file.hexadecimal(flat.tolist()))
    lines = ["sizes " + " ".join(map(str, sizes)), "activations " + " ".join(activations)]
    for label, length in lengths(sizes):
        lines.append(" ".join([label, *(next(numbers) for _ in range(length))]))
    text_file.write(path, FORM, lines)


def read(path: str | os.PathLike[str]) -> tuple[tuple[int, ...], tuple[str, ...], FloatArray]:
    """Sizes, activations and flat parameters of the network in a file; ValueError says what is wrong with it."""
    try:
        return _parsed(text_file.read(path, FORM))
    except ValueError as error:
        raise ValueError(f"{os.fsdecode(path)!r} {error}") from None


def _parsed(text: list[str]) -> tuple[tuple[int, ...], tuple[str, ...], FloatArray]:
    lines = [line.split(" ") for line in text]
    try:
        sizes = tuple(map(int, _words(lines[0], "sizes", SIZES)))
        activations = tuple(_words(lines[1], "activations"))
        words = []
        expected = list(lengths(sizes)) if len(lines) - 2 == sum(sizes[:-1]) + len(sizes) - 1 else []
        if not expected:
            raise ValueError(f"{len(lines) - 2} lines of numbers do not fit sizes {shown(list(sizes))}")
        for (label, length), line in zip(expected, lines[2:], strict=True):
            row = _words(line, label, text_file.NUMBERS)
            if len(row) != length:
                raise ValueError(f"line {label} holds {len(row)} numbers, not {length}")
            words += row
        return sizes, activations, text_file.numbers(words)
    except (ValueError, OverflowError, IndexError) as error:
        raise ValueError(f"is not well formed: {error}") from None


def _words(line: list[str], label: str, pattern: re.Pattern[str] | None = None) -> list[str]:
    if line[0] != label:
        raise ValueError(f"a line begins with {line[0][:20]!r}, not with {label!r}")
    if pattern and not pattern.fullmatch(" ".join([*line[1:], ""])):
        raise ValueError(f"line {label} does not hold numbers as a network file has them")
    return line[1:]
