"""Text files with a checksum, replaced as a whole: the form of network files and of training files.

They are read from paths of regular files and from streams. The text is kept as bytes, and its words are converted piece
by piece: as Python objects they would take many times the file's size.
"""

import errno
import hashlib
import io
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import IO, Any, NamedTuple

from . import _kernel, arguments
from .arguments import FloatArray

File = str | bytes | os.PathLike[Any] | IO[Any] | io.IOBase  # a path, or a stream of bytes or text

# Hexadecimal floats with one space between them. float.fromhex() is less strict: it takes spaces, signs, decimals and
# "inf". One match of a whole line takes half the time of a match of each number.
NUMBER = rb"-?0x[0-9a-f]++(?:\.[0-9a-f]++)?p[+-]?[0-9]++"
NUMBERS = re.compile(rb"(?:%b )*+%b" % (NUMBER, NUMBER))
SHORTEST_NUMBER = 6  # bytes of the shortest number, "0x0p0", and the space before it
PIECE = 1 << 14  # bytes of a line whose words are converted at once
HEAD = 100  # bytes in which the first line ends


class Form(NamedTuple):
    """A file format: the words of its first line, and the name of such a file in errors (`what`)."""

    magic: str
    version: str
    what: str


class Line:
    """A part of a line of a file: words with one space between them; nothing is copied before it is asked for."""

    def __init__(self, data: bytes, begin: int, end: int) -> None:
        self.data, self.begin, self.end = data, begin, end

    def __len__(self) -> int:
        return self.end - self.begin

    def shown(self, most: int) -> str:
        """The first characters."""
        return self.data[self.begin : min(self.end, self.begin + most)].decode("ascii")

    def split(self) -> "tuple[str, Line | None]":
        """The first word, and the line after its space, if there is one; a word that is too long for one is cut."""
        space = self.data.find(b" ", self.begin, self.end)
        first = Line(self.data, self.begin, self.end if space < 0 else space).shown(PIECE)
        return first, None if space < 0 else Line(self.data, space + 1, self.end)

    def after(self, label: str, shown: int = 20) -> "Line | None":
        """The line after its first word, which must be this label; None: there is nothing after it."""
        found, rest = self.split()
        if found != label:
            raise ValueError(f"a line begins with {found[:shown]!r}, not with {label[:100]!r}")
        return rest

    @property
    def n_words(self) -> int:
        """The number of words."""
        return self.data.count(b" ", self.begin, self.end) + 1

    def matches(self, pattern: re.Pattern[bytes]) -> bool:
        """Whether the pattern matches the whole line."""
        return pattern.fullmatch(self.data, self.begin, self.end) is not None

    def pieces(self) -> Iterator[list[str]]:
        """The words, in lists of some hundreds."""
        begin, view = self.begin, memoryview(self.data)
        while begin <= self.end:
            cut = self.end if self.end - begin <= PIECE else self.data.find(b" ", begin + PIECE, self.end)
            cut = self.end if cut < 0 else cut
            yield str(view[begin:cut], "ascii").split(" ")
            begin = cut + 1

    def floats(self, out: FloatArray) -> None:
        """Write the numbers to out (n_words,); the line must match NUMBERS. OverflowError if one is too large."""
        k = 0
        for words in self.pieces():
            out[k : k + len(words)] = _kernel.in_contract(list, map(float.fromhex, words))
            k += len(words)


class Text:
    """The lines between the first line and the checksum, from which `line` takes the next one."""

    def __init__(self, data: bytes, begin: int, end: int) -> None:
        self.data, self.at, self.end = data, begin, end

    def __len__(self) -> int:
        """The number of bytes that are left."""
        return self.end - self.at

    @property
    def n_lines(self) -> int:
        """The number of lines that are left."""
        return self.data.count(b"\n", self.at, self.end)

    def line(self) -> Line:
        """The next line; an empty one after the last."""
        begin, end = self.at, self.data.find(b"\n", self.at, self.end)
        self.at = self.end if end < 0 else end + 1
        return Line(self.data, begin, self.end if end < 0 else end)


def hexadecimal(values: Iterable[float]) -> list[str]:
    """The numbers as hexadecimal words, without rounding."""
    words: list[str] = _kernel.in_contract(list, map(float.hex, values))
    return words


def is_stream(file: Any, method: str) -> bool:
    """Whether a file is no path, but has a method "read" or "write"."""
    return not isinstance(file, str | bytes | os.PathLike) and callable(getattr(file, method, None))


def name_of(file: Any) -> str:
    """The name of a path or stream in an error."""
    return repr(os.fsdecode(file)) if isinstance(file, str | bytes | os.PathLike) else "the stream"


def path_of(file: Any, method: str) -> str:
    """The path, as text; TypeError for what is neither a path nor a stream, such as the number of an open file."""
    if not isinstance(file, str | bytes | os.PathLike):
        raise TypeError(f"path must be a path, or a stream with a method {method}(), got {arguments.shown(file)}")
    path = os.fsdecode(file)
    if not path:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return path


# Writing.


def write(file: File, form: Form, lines: Iterable[str]) -> None:
    """Write the first line, `lines` and the checksum; the file at a path is replaced as a whole or not at all."""
    body = "\n".join([f"{form.magic} {form.version}", *lines]) + "\n"
    text = body + f"sha256 {hashlib.sha256(body.encode('ascii')).hexdigest()}\n"
    if is_stream(file, "write"):
        _write_to_stream(file, text)
        return
    path = path_of(file, "write")
    path, exists = replaceable(path)
    temporary = temporary_name(path)
    try:
        with open(temporary, "x", encoding="ascii", newline="\n") as new:
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
        if exists:
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
        _sync_folder(os.path.dirname(path))
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        with suppress(OSError):  # it has been renamed if all went well
            os.unlink(temporary)


def _write_to_stream(stream: Any, text: str) -> None:
    """Write to a stream of bytes or of text; only a stream of text refuses bytes."""
    try:
        stream.write(b"")
    except TypeError:
        stream.write(text)
        return
    if not isinstance(stream, io.RawIOBase):
        stream.write(text.encode("ascii"))
        return
    buffered = io.BufferedWriter(stream)  # a raw stream may write less than it is given
    buffered.write(text.encode("ascii"))
    buffered.flush()
    buffered.detach()


def replaceable(path: str) -> tuple[str, bool]:
    """The path that links lead to, and whether a file is there; OSError if it is none that may be replaced."""
    path = os.path.realpath(path)
    if not os.path.exists(path) or os.path.isdir(path):
        return path, os.path.exists(path)
    if not os.path.isfile(path):
        raise OSError(errno.EINVAL, "not a regular file", path)
    # The folder decides whether a file can be renamed to path. A file without permission to write is to stay, though.
    if not os.stat(path).st_mode & 0o222 or not os.access(path, os.W_OK):
        raise OSError(errno.EACCES, f"{os.strerror(errno.EACCES)}, the file is read-only", path)
    return path, True


def try_to_write(path: str) -> None:
    """Make a temporary file as `write` does, and remove it: the OSError that `write` would raise comes now."""
    path, _ = replaceable(path)
    temporary = temporary_name(path)
    with suppress(FileNotFoundError):
        os.lstat(path)  # the name itself may be too long
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def temporary_name(path: str) -> str:
    """A new name in the folder of path for a file that is being written."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f"{_stem(name)}.{os.urandom(8).hex()}.part")


def _stem(name: str) -> str:
    """The beginning of the temporary names: a file system may allow no name that is longer than a long one."""
    encoded = os.fsencode(name)
    return name if len(encoded) <= 64 else hashlib.sha256(encoded).hexdigest()[:42]


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
    left = re.compile(re.escape(_stem(name)) + r"\.[0-9a-f]{16}\.part")
    try:
        entries = os.listdir(folder)
    except PermissionError:  # a folder with permission to write but not to read
        return
    for entry in filter(left.fullmatch, entries):
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, entry))


# Reading.


def read(file: File, form: Form) -> Text:
    """The lines between the first line and the checksum; ValueError says what is wrong with the file."""
    if is_stream(file, "read"):
        data = _data(file, form)
    else:
        path = path_of(file, "read")
        if path.startswith(f"{form.magic} "):
            raise ValueError("is the content of a file, not a path: load(io.BytesIO(content)) reads it")
        with open(path, "rb", opener=_regular_file) as opened:
            data = _data(opened, form)
    if not data.isascii():
        raise ValueError(f"is not {form.what}: it is not plain text")
    end = data.rfind(b"sha256 ")
    if end <= 0 or len(data) != end + 72 or data[-1:] != b"\n":
        raise ValueError("is truncated: its last line must be 'sha256' and 64 hexadecimal digits")
    if hashlib.sha256(memoryview(data)[:end]).hexdigest().encode() != data[end + 7 : -1]:
        raise ValueError("was altered or damaged: its text does not match its sha256")
    if data[end - 1 : end] != b"\n":
        raise ValueError("is not well formed: 'sha256' does not begin a line")
    return Text(data, data.index(b"\n") + 1, end)


def _regular_file(path: str, flags: int) -> int:
    """Open a regular file; a pipe or a device, which could have no end, is refused without waiting for it."""
    at_once: int = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    descriptor = os.open(path, flags | at_once)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):  # open() itself refuses a folder
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", path)
    return descriptor


def _data(stream: Any, form: Form) -> bytes:
    """All bytes of a stream of bytes or text, with the line ends of Unix; the first line is checked first."""
    head = _bytes(stream.read(HEAD), form)
    more = head
    while more and len(head) < HEAD and b"\n" not in head:  # a stream may give less than it is asked for
        more = _bytes(stream.read(HEAD), form)
        head += more
    _check_first_line(head.split(b"\n", 1)[0].removesuffix(b"\r").decode("ascii", "replace"), form)
    data = head + _bytes(stream.read(), form)
    return data.replace(b"\r\n", b"\n") if b"\r\n" in data else data  # line ends after a transfer from Windows


def _bytes(given: Any, form: Form) -> bytes:
    """The bytes or the text that a stream's read() has given, as bytes."""
    if isinstance(given, str):
        if not given.isascii():
            raise ValueError(f"is not {form.what}: it is not plain text")
        return given.encode("ascii")
    if not isinstance(given, bytes | bytearray):
        raise TypeError(f"path must be a path, or a stream whose read() gives bytes or text, not {type(given)!r}")
    return bytes(given)


def _check_first_line(line: str, form: Form) -> None:
    """Check the format's name and version."""
    magic, *version = line.split(" ")
    if magic != form.magic:
        raise ValueError(f"is not {form.what}: it must begin with {form.magic!r}")
    if version != [form.version]:
        given = " ".join(version)[:20]
        raise ValueError(f"is of format version {given!r}; this release reads version {form.version!r}")
