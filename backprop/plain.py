"""Values of a run as plain data: numbers, strings, bytes, and tuples, lists and dicts of these.

Pickle, copy, joblib and skops store this form. It names classes by words of this package, so that skops asks for trust
in no more than the class of the stored object, and it holds no object of NumPy, whose pickles not every other version
of NumPy reads. A packed tuple, array, network, stream or object is a tuple that begins with the word for its kind.
"""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_args, get_type_hints

import numpy as np
import numpy.typing as npt

from . import _kernel, streams
from .network import Network
from .state import Result, RunState, Settings
from .stopping import EarlyStopping, in_memory


def _classes(*hints: Any) -> Iterator[tuple[str, Any]]:
    """The named tuples and dataclasses of this package that annotations lead to, by name."""
    for hint in hints:
        of_here = isinstance(hint, type) and hint.__module__.startswith(f"{__package__}.")
        if of_here and (is_dataclass(hint) or hasattr(hint, "_fields")):
            yield hint.__name__, hint
            yield from _classes(*get_type_hints(hint).values())
        else:
            yield from _classes(*get_args(hint))


KINDS: dict[str, Any] = dict(_classes(Settings, RunState))  # classes of the settings and the state of a run
PACKED = {**KINDS, "Result": Result}


def names_of(kind: Any) -> tuple[str, ...]:
    """The names of the fields of a dataclass or named tuple."""
    return tuple(one.name for one in fields(kind)) if is_dataclass(kind) else kind._fields


def packed(value: Any) -> Any:
    """A value as plain data; an object of another class, such as a subclass, stays as it is."""
    kind = type(value)
    if kind is np.ndarray:
        return packed_array(value)
    if kind is tuple:
        return ("tuple", *map(packed, value))
    if kind is Network:
        return ("Network", *value.__getstate__().values())
    if kind in streams.bit_generators():
        return ("stream", streams.to_plain(value))
    if PACKED.get(kind.__name__) is not kind:
        return value
    if kind is EarlyStopping and value.validation_data is not None:
        data = tuple(None if part is None else in_memory(part) for part in value.validation_data)
        value = replace(value, validation_data=data)
    return (kind.__name__, {name: packed(getattr(value, name)) for name in names_of(kind)})


def unpacked(value: Any) -> Any:
    """The value that `packed` has made plain data of."""
    if not isinstance(value, tuple):
        return value
    kind, *parts = value
    if kind == "array":
        return unpacked_array(*parts)
    if kind == "tuple":
        return tuple(map(unpacked, parts))
    if kind == "Network":
        network = Network.__new__(Network)
        network.__setstate__(dict(zip(("sizes", "activations", "parameters"), parts, strict=True)))
        return network
    if kind == "stream":
        return streams.from_plain(parts[0])
    return PACKED[kind](**{name: unpacked(part) for name, part in parts[0].items()})


def packed_array(array: npt.NDArray[Any]) -> tuple[Any, ...]:
    """An array: its dtype, its shape, and its bytes, or a list of its objects."""
    if array.dtype.kind not in "biufSU":
        return ("array", None, array.shape, array.reshape(-1).tolist())
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:  # of another length on other machines
        array = _kernel.in_contract(array.astype, np.float64)
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return ("array", little.dtype.str, array.shape, little.tobytes())


def unpacked_array(dtype: str | None, shape: tuple[int, ...], data: Any) -> npt.NDArray[Any]:
    """The array of a dtype, a shape and data."""
    if dtype is not None:  # a copy, as bytes are read-only
        return np.frombuffer(data, dtype).reshape(shape).astype(np.dtype(dtype).newbyteorder("="))
    flat = np.empty(len(data), object)
    flat[:] = data
    return flat.reshape(shape)
