"""The text form of a network: versioned, exact, checked. docs/network-file.md describes it."""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from . import _kernel, arguments, text_file
from .arguments import FloatArray
from .text_file import File, Line, Text

FORM = text_file.Form("backprop-network", "1", "a network file")
SIZES = re.compile(rb"(?:[1-9][0-9]*+ )*+[1-9][0-9]*+")  # stricter than int(), which takes spaces, signs, underscores
NAMES = {name: name for name in _kernel.ACTIVATIONS}


def lengths(sizes: Sequence[int]) -> Iterator[tuple[str, int]]:
    """The label and the count of numbers of each line: the rows of W, then b, layer by layer."""
    for l, (n_in, n_out) in enumerate(zip(sizes, sizes[1:], strict=False), 1):
        for i in range(n_in):
            yield f"W{l}[{i}]", n_out
        yield f"b{l}", n_out


def write(file: File, sizes: tuple[int, ...], activations: tuple[str, ...], flat: FloatArray) -> None:
    """Write a network; the file at a path is replaced as a whole or not at all."""
    numbers = iter(text_file.hexadecimal(flat.tolist()))
    lines = ["sizes " + " ".join(map(str, sizes)), "activations " + " ".join(activations)]
    for label, length in lengths(sizes):
        lines.append(" ".join([label, *(next(numbers) for _ in range(length))]))
    text_file.write(file, FORM, lines)


def read(file: File) -> tuple[tuple[int, ...], tuple[str, ...], FloatArray]:
    """Sizes, activations and flat parameters of the network in a file; ValueError says what is wrong with it."""
    try:
        return _parsed(text_file.read(file, FORM))
    except OSError:  # io.UnsupportedOperation is a ValueError too
        raise
    except ValueError as error:
        raise ValueError(f"{text_file.name_of(file)} {error}") from None


def _parsed(text: Text) -> tuple[tuple[int, ...], tuple[str, ...], FloatArray]:
    try:
        first, second = text.line().after("sizes"), text.line().after("activations")
        sizes = arguments.sizes(_sizes(first, text.n_lines))
        names = _activations(second, len(sizes) - 1)
        names = arguments.activations(len(sizes) - 2, names[:-1], names[-1])
        n = arguments.n_parameters(sizes)
        if n * text_file.SHORTEST_NUMBER > len(text):
            raise ValueError(f"its lines are too short for the {n} numbers of such a network")
        flat, k = np.empty(n), 0
        for label, length in lengths(sizes):
            row = text.line().after(label)
            _numeric(row, label, text_file.NUMBERS)
            if row is None or row.n_words != length:
                raise ValueError(f"line {label} holds {row.n_words if row else 0} numbers, not {length}")
            row.floats(flat[k : k + length])
            k += length
        return sizes, names, flat
    except (ValueError, OverflowError) as error:
        raise ValueError(f"is not well formed: {error}") from None


def _sizes(line: Line | None, n_lines: int) -> tuple[int, ...]:
    """The sizes, which must ask for this many lines of numbers; they are counted before they are kept."""
    _numeric(line, "sizes", SIZES)
    if line is not None:
        wanted = sum(sum(map(int, words)) for words in line.pieces()) + line.n_words - 1
        last = int(line.data[line.data.rfind(b" ", 0, line.end) + 1 : line.end])
        if wanted - last == n_lines > 0:
            return tuple(int(word) for words in line.pieces() for word in words)
    raise ValueError(f"{n_lines} lines of numbers do not fit sizes {line.shown(100) if line else ''}")


def _activations(line: Line | None, count: int) -> tuple[str, ...]:
    """The names of the activations, of which there must be so many."""
    found = 0 if line is None else line.n_words
    if line is None or found != count:
        raise ValueError(f"line activations holds {found} names, not {count}")
    return tuple(
        NAMES.get(word) or arguments.known_name("activation", word, NAMES) for words in line.pieces() for word in words
    )


def _numeric(line: Line | None, label: str, pattern: re.Pattern[bytes]) -> None:
    if line is not None and not line.matches(pattern):
        raise ValueError(f"line {label} does not hold numbers as a network file has them")
