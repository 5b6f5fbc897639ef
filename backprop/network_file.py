"""The text form of a network: versioned, exact, checked. docs/network-file.md describes it."""

import errno
import hashlib
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from . import _kernel
from .arguments import FloatArray, shown

MAGIC, VERSION = "backprop-network", "1"
# Python's int() and float.fromhex() take more than these: spaces, signs, underscores, decimals, "inf".
SIZES = re.compile("(?:[1-9][0-9]* )*")
NUMBERS = re.compile(r"(?:-?0x[0-9a-f]++(?:\.[0-9a-f]++)?p[+-]?[0-9]++ )*+")  # one by one it takes twice as long


def lengths(sizes: tuple[int, ...]) -> Iterator[tuple[str, int]]:
    """A label and a length for each line of numbers: the rows of W, then b, layer by layer."""
    for l, (n_in, n_out) in enumerate(zip(sizes, sizes[1:], strict=False), 1):
        for i in range(n_in):
            yield f"W{l}[{i}]", n_out
        yield f"b{l}", n_out


def write(path: str | os.PathLike[str], sizes: tuple[int, ...], activations: tuple[str, ...], flat: FloatArray) -> None:
    """Write a network; the file at path is replaced as a whole or not at all."""
    words: list[str] = _kernel.in_contract(list, map(float.hex, flat.tolist()))
    numbers = iter(words)
    lines = [f"{MAGIC} {VERSION}", "sizes " + " ".join(map(str, sizes)), "activations " + " ".join(activations)]
    for label, length in lengths(sizes):
        lines.append(" ".join([label, *(next(numbers) for _ in range(length))]))
    body = "\n".join(lines) + "\n"
    path = os.fsdecode(path)
    if not path:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    path = os.path.realpath(path)
    there = os.path.exists(path)
    if there and not os.path.isfile(path) and not os.path.isdir(path):
        raise OSError(errno.EINVAL, "not a regular file", path)
    beside = f"{path}.{os.getpid()}.{threading.get_ident()}"
    try:
        with open(beside, "x", encoding="ascii", newline="\n") as file:
            file.write(body + f"sha256 {hashlib.sha256(body.encode('ascii')).hexdigest()}\n")
            file.flush()
            os.fsync(file.fileno())
        if there:
            shutil.copymode(path, beside)
        os.replace(beside, path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        with suppress(OSError):  # it is gone if all went well
            os.unlink(beside)


def read(path: str | os.PathLike[str]) -> tuple[tuple[int, ...], tuple[str, ...], FloatArray]:
    """Sizes, activations and flat parameters of the network in a file; ValueError says what is wrong with it."""
    name = os.fsdecode(path)
    try:
        with open(path, encoding="ascii", newline="") as file:
            text = file.read().replace("\r\n", "\n")  # what transfers between systems do
    except UnicodeDecodeError:
        raise ValueError(f"{name!r} is not a network file: it is not plain text") from None
    try:
        return _parsed(text)
    except ValueError as error:
        raise ValueError(f"{name!r} {error}") from None


def _parsed(text: str) -> tuple[tuple[int, ...], tuple[str, ...], FloatArray]:
    first = text.split("\n", 1)[0].split(" ")
    if first[0] != MAGIC:
        raise ValueError(f"is not a network file: it must begin with {MAGIC!r}")
    if first[1:] != [VERSION]:
        raise ValueError(f"is of format version {' '.join(first[1:])[:20]!r}; this release reads version {VERSION!r}")
    body, _, digest = text.rpartition("sha256 ")
    if not body or len(digest) != 65 or digest[-1] != "\n":
        raise ValueError("is truncated: its last line must be 'sha256' and 64 hexadecimal digits")
    if hashlib.sha256(body.encode("ascii")).hexdigest() != digest[:-1]:
        raise ValueError("was altered or damaged: its text does not match its sha256")
    lines = [line.split(" ") for line in body.split("\n")]
    try:
        sizes = tuple(map(int, _words(lines[1], "sizes", SIZES)))
        activations = tuple(_words(lines[2], "activations"))
        numbers = []
        expected = list(lengths(sizes)) if len(lines) - 4 == sum(sizes[:-1]) + len(sizes) - 1 else []
        if not expected or lines[-1] != [""]:
            raise ValueError(f"{len(lines) - 4} lines of numbers do not fit sizes {shown(list(sizes))}")
        for (label, length), line in zip(expected, lines[3:-1], strict=True):
            words = _words(line, label, NUMBERS)
            if len(words) != length:
                raise ValueError(f"line {label} holds {len(words)} numbers, not {length}")
            numbers += words
        flat: FloatArray = np.array(_kernel.in_contract(list, map(float.fromhex, numbers)))
    except (ValueError, OverflowError, IndexError) as error:
        raise ValueError(f"is not well formed: {error}") from None
    return sizes, activations, flat


def _words(line: list[str], label: str, pattern: re.Pattern[str] | None = None) -> list[str]:
    if line[0] != label:
        raise ValueError(f"a line begins with {line[0][:20]!r}, not with {label!r}")
    if pattern and not pattern.fullmatch(" ".join([*line[1:], ""])):
        raise ValueError(f"line {label} does not hold numbers as a network file has them")
    return line[1:]
