"""Text files with a checksum, replaced as a whole: the form of network files and of training files."""

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple

import numpy as np

from . import _kernel
from .arguments import FloatArray

# Hexadecimal floats, each with a space after it. float.fromhex() is less strict: it takes spaces, signs, decimals and
# "inf". One match of a whole line takes half the time of a match of each number.
NUMBERS = re.compile(r"(?:-?0x[0-9a-f]++(?:\.[0-9a-f]++)?p[+-]?[0-9]++ )*+")


class Form(NamedTuple):
    """A file format: the words of its first line, and the name of such a file in errors (`what`)."""

    magic: str
    version: str
    what: str


def hexadecimal(values: Iterable[float]) -> list[str]:
    """The numbers as hexadecimal words, without rounding."""
    words: list[str] = _kernel.in_contract(list, map(float.hex, values))
    return words


def numbers(words: Sequence[str]) -> FloatArray:
    """The numbers of words that match NUMBERS; OverflowError if one is too large for a float64."""
    return np.array(_kernel.in_contract(list, map(float.fromhex, words)), np.float64)


def write(path: str | os.PathLike[str], form: Form, lines: Iterable[str]) -> None:
    """Write the first line, `lines` and the checksum; the file at path is replaced as a whole or not at all."""
    body = "\n".join([f"{form.magic} {form.version}", *lines]) + "\n"
    path = os.fsdecode(path)
    if not path:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    path = os.path.realpath(path)
    exists = os.path.exists(path)
    if exists and not os.path.isfile(path) and not os.path.isdir(path):
        raise OSError(errno.EINVAL, "not a regular file", path)
    temporary = f"{path}.{os.urandom(8).hex()}.part"
    try:
        with open(temporary, "x", encoding="ascii", newline="\n") as file:
            file.write(body + f"sha256 {hashlib.sha256(body.encode('ascii')).hexdigest()}\n")
            file.flush()
            os.fsync(file.fileno())
        if exists:
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
        _sync_folder(os.path.dirname(path))
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        with suppress(OSError):  # it has been renamed if all went well
            os.unlink(temporary)


def _sync_folder(folder: str) -> None:
    """Flush a folder's entries to the disk, where the system supports it: the renamed file is one of them."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder with permission to write but not to read
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that cannot sync folders
            raise
    finally:
        os.close(descriptor)


def remove_parts(path: str) -> None:
    """Remove the temporary files of writers of path that were killed."""
    folder, name = os.path.split(os.path.realpath(path))
    left = re.compile(re.escape(name) + r"\.[0-9a-f]{16}\.part")
    for entry in filter(left.fullmatch, os.listdir(folder)):
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, entry))


def read(path: str | os.PathLike[str], form: Form) -> list[str]:
    """The lines between the first line and the checksum; ValueError says what is wrong with the file."""
    try:
        with open(path, encoding="ascii", newline="") as file:
            text = file.read().replace("\r\n", "\n")  # line ends after a transfer from Windows
    except UnicodeDecodeError:
        raise ValueError(f"is not {form.what}: it is not plain text") from None
    first = text.split("\n", 1)[0].split(" ")
    if first[0] != form.magic:
        raise ValueError(f"is not {form.what}: it must begin with {form.magic!r}")
    if first[1:] != [form.version]:
        given = " ".join(first[1:])[:20]
        raise ValueError(f"is of format version {given!r}; this release reads version {form.version!r}")
    body, _, digest = text.rpartition("sha256 ")
    if not body or len(digest) != 65 or digest[-1] != "\n":
        raise ValueError("is truncated: its last line must be 'sha256' and 64 hexadecimal digits")
    if hashlib.sha256(body.encode("ascii")).hexdigest() != digest[:-1]:
        raise ValueError("was altered or damaged: its text does not match its sha256")
    if body[-1] != "\n":
        raise ValueError("is not well formed: 'sha256' does not begin a line")
    return body[:-1].split("\n")[1:]
