"""What the files of networks and of training runs have in common: plain text with a checksum, replaced as a whole."""

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

# float.fromhex() takes more than this: spaces, signs, decimals, "inf". One by one it takes twice as long.
NUMBERS = re.compile(r"(?:-?0x[0-9a-f]++(?:\.[0-9a-f]++)?p[+-]?[0-9]++ )*+")


class Form(NamedTuple):
    """How the first line of a file reads, and what errors call the file."""

    magic: str
    version: str
    what: str


def hexadecimal(values: Iterable[float]) -> list[str]:
    """Each number as a word."""
    words: list[str] = _kernel.in_contract(list, map(float.hex, values))
    return words


def numbers(words: Sequence[str]) -> FloatArray:
    """The numbers of words that NUMBERS matches; OverflowError if one is too large to be finite."""
    return np.array(_kernel.in_contract(list, map(float.fromhex, words)), np.float64)


def write(path: str | os.PathLike[str], form: Form, lines: Iterable[str]) -> None:
    """Write lines between the first and the checksum; the file at path is replaced as a whole or not at all."""
    body = "\n".join([f"{form.magic} {form.version}", *lines]) + "\n"
    path = os.fsdecode(path)
    if not path:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    path = os.path.realpath(path)
    there = os.path.exists(path)
    if there and not os.path.isfile(path) and not os.path.isdir(path):
        raise OSError(errno.EINVAL, "not a regular file", path)
    beside = f"{path}.{os.urandom(8).hex()}.part"
    try:
        with open(beside, "x", encoding="ascii", newline="\n") as file:
            file.write(body + f"sha256 {hashlib.sha256(body.encode('ascii')).hexdigest()}\n")
            file.flush()
            os.fsync(file.fileno())
        if there:
            shutil.copymode(path, beside)
        os.replace(beside, path)
        _sync_folder(os.path.dirname(path))
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        with suppress(OSError):  # it is gone if all went well
            os.unlink(beside)


def _sync_folder(folder: str) -> None:
    """Make sure that the new name is on the disk, where the system lets one."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder in which one may write but not look
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that syncs no folders
            raise
    finally:
        os.close(descriptor)


def remove_parts(path: str) -> None:
    """Remove what writers of path have left that were killed."""
    folder, name = os.path.split(os.path.realpath(path))
    left = re.compile(re.escape(name) + r"\.[0-9a-f]{16}\.part")
    for entry in filter(left.fullmatch, os.listdir(folder)):
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, entry))


def read(path: str | os.PathLike[str], form: Form) -> list[str]:
    """The lines between the first and the checksum; ValueError says what is wrong with the file."""
    try:
        with open(path, encoding="ascii", newline="") as file:
            text = file.read().replace("\r\n", "\n")  # what transfers between systems do
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
