"""The text form of a training run: versioned, exact, checked. docs/training-file.md describes it.

A value is one line: its label, the name of its kind, and its content. A tuple or an object is such a line, followed by
the lines of its items or fields. The classes of objects are found from the annotations of `Settings` and `RunState`, so
that this module names no setting. Values that are read pass the checks of their constructors and of `fast_train`.
"""

import hashlib
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from . import _kernel, arguments, streams, text_file
from .arguments import FloatArray
from .matrices import Matrix, Sparse
from .network import Network
from .optimizers import could_leave
from .plain import KINDS, names_of
from .samples import Samples
from .sources import Source
from .state import Result, RunState, Settings
from .stopping import Watch
from .text_file import File, Line, Text
from .version import contract_version

FORM = text_file.Form("backprop-training", "1", "a file of a training run")
CONSTANTS = {"none": None, "true": True, "false": False}
WORD = re.compile("[!-~]+")
INTEGER = rb"(?:0|-?[1-9][0-9]*+)"  # stricter than int(), which takes spaces, +, _
INTEGERS = re.compile(rb"(?:%b )*+%b" % (INTEGER, INTEGER))
NATURAL = re.compile("0|[1-9][0-9]*")
COUNT = re.compile("0|[1-9][0-9]{0,14}")
SHAPE = re.compile(f"(?:{COUNT.pattern})(?:,(?:{COUNT.pattern}))?")
MOST_DIGITS = 640  # most digits of an integer: Python converts 640 whatever its limit is set to
PIECE = 1 << 14  # numbers that are converted at once for a digest
MOST_LEVELS = 8  # most levels of values within values
# Bytes of memory that values may take: for each byte of the file, and in every file. The shortest number of six bytes
# is one of eight in memory; a file of many short values could take much more and is none that `write` has written.
MEMORY, SPARE_MEMORY = 1.5, 1 << 17
MEMORY_OF_ITEM = 16  # in a tuple
MEMORY_OF = {"text": 48, "int": 48, "float": 24, "float64": 512, "int64": 512}  # and its characters or numbers
MEMORY_OF_OBJECT = 4096  # of a class or a bit generator; an upper bound, as the others

# The state of each bit generator, with NumPy's names: the number of integers, and a bound that each is below.
PCG64_STATE = {"state.state": (1, 2**128), "state.inc": (1, 2**128), "has_uint32": (1, 2), "uinteger": (1, 2**32)}
STREAMS: dict[str, dict[str, tuple[int, int]]] = {
    "PCG64": PCG64_STATE,
    "PCG64DXSM": PCG64_STATE,
    "Philox": {
        "state.counter": (4, 2**64),
        "state.key": (2, 2**64),
        "buffer": (4, 2**64),
        "buffer_pos": (1, 5),
        "has_uint32": (1, 2),
        "uinteger": (1, 2**32),
    },
    "SFC64": {"state.state": (4, 2**64), "has_uint32": (1, 2), "uinteger": (1, 2**32)},
}


class Contents(NamedTuple):
    """All values of a file."""

    run: str | None  # in a checkpoint: the SHA-256 that identifies its run; else None
    sizes: npt.NDArray[np.int64]
    activations: tuple[str, ...]
    parameters: FloatArray
    stopped: str
    settings: Settings
    state: RunState


LABELS = {"slots": "moments", "scalars": "powers"}  # fields with another name in files of version 1


# Writing.


def lines_of(label: str, value: Any, numbers: Callable[[Matrix], list[str]]) -> Iterator[str]:
    """The lines of a value; `numbers` converts an array to words: all its numbers, or a digest of them."""
    kind, words = type(value).__name__, []
    if value is None or isinstance(value, bool):
        kind = str(value).lower()
    elif isinstance(value, str):
        kind, words = "text", [value]
    elif isinstance(value, int):
        if abs(value) >= 10**MOST_DIGITS:
            raise ValueError(f"{label} must have at most {MOST_DIGITS} digits to be written to a file")
        kind, words = "int", [str(value)]
    elif isinstance(value, float):
        kind, words = "float", text_file.hexadecimal([value])
    elif isinstance(value, np.ndarray | Sparse | Source):
        # The numbers of a matrix are used as doubles, whatever their kind.
        kind = value.dtype.name if isinstance(value, np.ndarray) and value.ndim != 2 else "float64"
        words = [",".join(map(str, value.shape)), *numbers(value)]
    elif kind in STREAMS:
        words = _words_of_stream(kind, streams.to_plain(value))
    elif kind not in KINDS:
        kind, words = "tuple", [str(len(value))]
    yield " ".join([label, kind, *words])
    if kind == "tuple":
        for k, item in enumerate(value):
            yield from lines_of(f"{label}[{k}]", item, numbers)
    elif kind in KINDS:
        for name in names_of(KINDS[kind]):
            yield from lines_of(f"{label}.{LABELS.get(name, name)}", getattr(value, name), numbers)


def _words_of_stream(kind: str, state: dict[str, Any]) -> list[str]:
    """The words of a bit generator's state."""
    words = []
    for name, (count, _) in STREAMS[kind].items():
        first, _, second = name.partition(".")
        found = state[first][second] if second else state[first]
        words += [name, *map(str, [found] if count == 1 else found)]
    _stream(kind, words)  # an error if the words could not be read back
    return words


def _written(array: Matrix) -> npt.NDArray[Any]:
    """The numbers of an array, flat, as they are written: those of a matrix as float64."""
    if isinstance(array, Sparse | Source) or array.ndim == 2:
        array = arguments.doubles(array)
    return array.reshape(-1)


def _numbers(array: Matrix) -> list[str]:
    values = _written(array)
    return text_file.hexadecimal(values.tolist()) if values.dtype == np.float64 else list(map(str, values.tolist()))


def _digest(array: Matrix) -> list[str]:
    """A SHA-256 as one word: that of the SHA-256s of the array's blocks of rows (N19), which can be found anywhere.

    Numbers are in little-endian order; they are converted block by block.
    """
    whole, step = hashlib.sha256(), _kernel.BLOCK
    at_once = array.rows_at_once if isinstance(array, Source) else step
    for first in range(0, array.shape[0], at_once):
        rows = array[first : first + at_once]
        for begin in range(0, rows.shape[0], step):
            piece = _written(rows[begin : begin + step])
            whole.update(hashlib.sha256(np.ascontiguousarray(piece, piece.dtype.newbyteorder("<")).data).digest())
    return [whole.hexdigest()]


def _settings(network: Network, settings: Settings) -> Settings:
    """The settings, with the validation data converted to arrays."""
    stopping = settings.stopping
    if stopping is None or stopping.validation_data is None:
        return settings
    X: Any = arguments.rows(stopping.validation_data[0], network.sizes[0])
    y: Any = arguments.targets(stopping.validation_data[1], X.shape[0], network.sizes[-1], settings.loss)
    given = [one for one in stopping.validation_data[2:] if one is not None]
    weights = [arguments.sample_weight(one, X.shape[0]) for one in given]
    return settings._replace(stopping=replace(stopping, validation_data=(X, y, *weights)))


def write(file: File, result: Result, run: str | None = None) -> None:
    """Write a result; the file at a path is replaced as a whole or not at all."""
    network, stopped, settings, state = result
    sizes, settings = np.array(network.sizes, np.int64), _settings(network, settings)
    parts = run, sizes, network.activations, network.parameters, stopped, settings, state
    named = zip(Contents._fields, parts, strict=True)
    text_file.write(file, FORM, [line for name, part in named for line in lines_of(name, part, _numbers)])


def identity(begin: Result, samples: Samples) -> str:
    """The SHA-256 of all that the bits of a run depend on: its beginning, the rows, and the contract's version."""
    network, _, settings, state = begin
    parts: dict[str, Any] = {"contract": contract_version, "sizes": network.sizes, "activations": network.activations}
    parts |= {"parameters": network.parameters, "settings": _settings(network, settings), "state": state}
    parts["rows"] = tuple(array for array in samples[:3] if array is not None)
    text = "\n".join(line for name, part in parts.items() for line in lines_of(name, part, _digest))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


# Reading.


def read(file: File) -> tuple[str | None, Result]:
    """The identity of a checkpoint's run (None: no checkpoint) and the result; ValueError says what is wrong."""
    try:
        contents = _contents(text_file.read(file, FORM))
        try:
            return contents.run, _result(contents)
        except (ValueError, TypeError, OverflowError) as error:
            raise ValueError(f"is not well formed: {error}") from None
    except OSError:  # io.UnsupportedOperation is a ValueError too
        raise
    except ValueError as error:
        raise ValueError(f"{text_file.name_of(file)} {error}") from None


def _contents(text: Text) -> Contents:
    """All values of the text."""
    try:
        reader = Reader(text)
        contents = Contents(*(reader.value(name) for name in Contents._fields))
        _demand(len(text) == 0, "there are lines too many")
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"is not well formed: {error}") from None
    return contents


class Reader:
    """The reader of the values of a file; it keeps account of the memory that they take."""

    def __init__(self, text: Text) -> None:
        self.text, self.left = text, SPARE_MEMORY + int(MEMORY * len(text))

    def take(self, memory: int) -> None:
        """Account for some bytes of memory, before they are taken."""
        self.left -= memory
        _demand(self.left >= 0, "it holds more values than a run of its length")

    def value(self, label: str, level: int = 0) -> Any:
        """Read the next value, which must have this label."""
        line = self.text.line().after(label, 40)
        _demand(level <= MOST_LEVELS, f"line {label[:100]} is too deep inside other values")
        kind, words = ("", None) if line is None else line.split()
        one = words.shown(len(words)) if words and words.n_words == 1 else ""
        self.take(MEMORY_OF_ITEM)
        if kind in CONSTANTS and words is None:
            return CONSTANTS[kind]
        if kind == "tuple" and COUNT.fullmatch(one):
            return tuple(self.value(f"{label}[{k}]", level + 1) for k in range(int(one)))
        self.take(MEMORY_OF.get(kind, MEMORY_OF_OBJECT) + (len(one) if kind in ("text", "int") else 0))
        if kind == "text" and WORD.fullmatch(one):
            return one
        if kind == "int" and words and words.matches(INTEGERS) and 0 < len(one.lstrip("-")) <= MOST_DIGITS:
            return int(one)
        if kind == "float" and one and words and words.matches(text_file.NUMBERS):
            return _kernel.in_contract(float.fromhex, one)
        if kind in ("float64", "int64") and words:
            shape, numbers = words.split()
            if SHAPE.fullmatch(shape):
                return self.array(label, kind, tuple(map(int, shape.split(","))), numbers)
        if kind in STREAMS:
            return _stream(kind, words.shown(text_file.PIECE).split(" ") if words else [])
        if kind in KINDS and words is None:
            known = KINDS[kind]
            named = ((name, f"{label}.{LABELS.get(name, name)}") for name in names_of(known))
            return known(**{name: self.value(inside, level + 1) for name, inside in named})
        raise ValueError(f"line {label} does not hold a value as a file of a training run has them")

    def array(self, label: str, kind: str, shape: tuple[int, ...], line: Line | None) -> npt.NDArray[Any]:
        """The numbers of the rest of a line, in this shape."""
        n = 0 if line is None else line.n_words
        _demand(math.prod(shape) == n, f"line {label} holds {n} numbers, which have no shape {shape}")
        pattern = text_file.NUMBERS if kind == "float64" else INTEGERS
        right = line is None or line.matches(pattern)
        _demand(right, f"line {label} holds something else than {kind} numbers")
        self.take(8 * n)
        flat, k = np.empty(n, kind), 0
        if line is not None and kind == "float64":
            line.floats(flat)
        elif line is not None:
            for words in line.pieces():
                flat[k : k + len(words)] = list(map(int, words))
                k += len(words)
        return flat.reshape(shape)


def _stream(kind: str, words: list[str]) -> Any:
    """The bit generator of these words, after checks: NumPy accepts states that make it read beyond its buffer."""
    state: dict[str, Any] = {"bit_generator": kind}
    rest = iter(words)
    for name, (count, end) in STREAMS[kind].items():
        label, *found = [next(rest, "") for _ in range(count + 1)]
        right = label == name and max(map(len, found)) < MOST_DIGITS and all(map(NATURAL.fullmatch, found))
        _demand(right, f"{kind} must have {name} and {count} integers")
        values = list(map(int, found))
        _demand(all(value < end for value in values), f"{kind} must have {name} below {end}")
        first, _, second = name.partition(".")
        value = values[0] if count == 1 else values
        state[first] = {**state.get(first, {}), second: value} if second else value
    _demand(next(rest, None) is None, f"{kind} has words too many")
    if kind in ("PCG64", "PCG64DXSM"):  # an even inc could repeat one word for ever, and a shuffle never end
        _demand(state["state"]["inc"] % 2 == 1, f"{kind} must have an odd state.inc")
    return streams.from_plain(state)


def _result(contents: Contents) -> Result:
    """Check the contents and make the result; resuming it can raise an error, but do no harm."""
    run, sizes, names, flat, stopped, settings, state = contents
    _demand(run is None or (isinstance(run, str) and re.fullmatch("[0-9a-f]{64}", run)), "run is no SHA-256")
    _demand(_is_array(sizes, np.int64, (None,)) and isinstance(names, tuple) and names, "it holds no network")
    widths = arguments.sizes(sizes.tolist())
    names = arguments.activations(len(widths) - 2, names[:-1], names[-1])
    n = arguments.n_parameters(widths)
    _demand(_is_array(flat, np.float64, (n,)), f"parameters must be {n} numbers for these sizes")
    network = Network._of(widths, names, flat)
    _demand(isinstance(stopped, str) and re.fullmatch("[a-z_]+", stopped), "stopped must be a name")
    _demand(isinstance(settings, Settings), "settings must be Settings")
    _demand(settings == Settings.checked(network, **settings._asdict()), "the settings are none that a run has")
    if settings.stopping is not None and settings.stopping.validation_data is not None:
        parts = settings.stopping.validation_data
        _demand(all(isinstance(part, np.ndarray) for part in parts), "validation_data must be arrays")
        X, y, *weights = parts
        Samples.checked(_kernel, network.sizes, X, y, settings.loss, *weights)
    _demand(isinstance(state, RunState), "state must be RunState")
    _check_state(network, settings, state)
    return Result(network, stopped, settings, state)


def _check_state(network: Network, settings: Settings, state: RunState) -> None:
    """Check that a run with these settings can have this state; that its numbers are finite is known already."""
    _demand(_is_array(state.losses, np.float64, (None,)) and state.losses.size, "state.losses must be numbers")
    n = network.n_parameters
    _demand(_is_array(state.slots, np.float64, (None, n)), f"state.moments must be rows of {n} numbers")
    _demand(_is_array(state.scalars, np.float64, (None,)), "state.powers must be numbers")
    kept = could_leave(settings.optimizer, state.slots, state.scalars)
    _demand(kept, "state.moments and state.powers are none that the optimizer keeps")
    _demand(_is_stream(state.stream), "state.stream must be a bit generator, or the seed of one")
    wanted = None if settings.dropout is None else settings.dropout.stream(network.sizes)
    _demand(type(state.dropout) is type(wanted), "state.dropout must be a PCG64 if units are dropped, else none")
    watch, epochs, given = state.watch, state.losses.size, network.parameters
    if settings.stopping is None:
        _demand(watch is None, "state.watch must be none, as settings.stopping is")
        return
    _demand(isinstance(watch, Watch), "state.watch must be a Watch")
    assert watch is not None
    for name, size in (("losses", epochs), ("best", given.size), ("last", given.size)):
        _demand(_is_array(getattr(watch, name), np.float64, (size,)), f"state.watch.{name} must be {size} numbers")
    best = int(_kernel.in_contract(np.argmin, watch.losses))
    _demand(type(watch.best_epoch) is int and watch.best_epoch == best, "state.watch.best_epoch is not the best")
    _demand(type(watch.since) is int and 0 <= watch.since < epochs, "state.watch.since is no epoch of the run")
    given_back = watch.best if settings.stopping.restore_best else watch.last
    same = np.array_equal(given_back.view(np.int64), given.view(np.int64))
    _demand(same, "parameters are not those that the run gives back")


def _is_array(value: Any, dtype: type, shape: tuple[int | None, ...]) -> bool:
    """Whether a value is an array of this dtype and shape; None stands for any length."""
    if not isinstance(value, np.ndarray) or value.dtype != dtype or value.ndim != len(shape):
        return False
    return all(wanted in (None, length) for wanted, length in zip(shape, value.shape, strict=True))


def _is_stream(value: Any) -> bool:
    return (type(value) is int and value >= 0) or isinstance(value, streams.bit_generators())


def _demand(holds: Any, message: str) -> None:
    if not holds:
        raise ValueError(message)
