"""Random streams: made from a caller's rng, copied, and converted to and from plain values.

A stream is a bit generator of NumPy, or an int: the seed of a PCG64 that is not made before it is used.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import arguments


def bit_generators() -> tuple[Any, ...]:
    """The classes of 64-bit generators; a function, since NumPy imports numpy.random only on first use."""
    return (np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64)


def generator_of(rng: Any) -> Any:
    """The caller's bit generator in an argument rng; None if it is anything else."""
    given = rng.bit_generator if isinstance(rng, np.random.Generator) else rng
    return given if isinstance(given, bit_generators()) else None


def stream_of(rng: Any) -> Any:
    """The stream of an argument rng: a copy of its bit generator in the same state, or its seed."""
    if hasattr(rng, "__index__") and not isinstance(rng, arguments.BOOLEANS):
        seed = arguments.integer("rng", rng, 0)
        return seed if seed < 2**128 else np.random.PCG64(seed)  # its state has a fixed length, a seed has not
    given = generator_of(rng)
    if given is not None:
        return copied(given)
    if rng is None or isinstance(rng, np.random.SeedSequence):
        return np.random.PCG64(rng)
    kinds = ", ".join(kind.__name__ for kind in bit_generators())
    raise TypeError(
        f"rng must be an integer >= 0, None, a SeedSequence, or a Generator or bit generator ({kinds}), "
        f"got {arguments.shown(rng)}"
    )


def started(stream: Any) -> Any:
    """The bit generator of a stream. Seeding takes longer than a small network's step: call this only before a draw."""
    return np.random.PCG64(stream) if isinstance(stream, int) else stream


def copied(stream: Any) -> Any:
    """A copy of a stream in the same state."""
    if isinstance(stream, int):
        return stream
    copy = next(kind for kind in bit_generators() if isinstance(stream, kind))(0)
    with stream.lock:
        copy.state = stream.state | {"bit_generator": type(copy).__name__}  # the stream's class may be a subclass
    return copy


def to_plain(stream: Any) -> Any:
    """A stream as plain values: integers, strings, lists and dicts."""
    return stream if isinstance(stream, int) else plain_state(stream.state)


def from_plain(state: Any) -> Any:
    """The stream that `to_plain` has converted to plain values."""
    if isinstance(state, int):
        return state
    bitgen = {kind.__name__: kind for kind in bit_generators()}[state["bit_generator"]](0)
    bitgen.state = numpy_state(state)
    return bitgen


def plain_state(value: Any) -> Any:
    """The state of a bit generator with lists for its arrays."""
    if isinstance(value, dict):
        return {name: plain_state(item) for name, item in value.items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def numpy_state(value: Any) -> Any:
    """The state of a bit generator with arrays for its lists."""
    if isinstance(value, dict):
        return {name: numpy_state(item) for name, item in value.items()}
    return np.array(value, np.uint64) if isinstance(value, list) else value


def mark(rng: Any, stream: Any) -> Any:
    """The state of a stream that has been copied from a caller's generator rng, before any draw; else None."""
    return None if isinstance(stream, int) or generator_of(rng) is None else to_plain(stream)


def advance(rng: Any, stream: Any, before: Any) -> None:
    """Advance the caller's generator rng, if it is one, to the state of the stream that was copied from it.

    `before` is the stream's `mark`. If the generator is in another state by now, others have drawn the same words from
    it: an error.
    """
    if before is None or to_plain(stream) == before:
        return
    given = generator_of(rng)
    with given.lock:
        if to_plain(given) | {"bit_generator": type(stream).__name__} != before:
            raise ValueError(
                "rng was drawn from during the call, by another thread or a callback, which got the same random "
                "numbers: give each call a generator of its own, such as one of rng.spawn(8), or an integer"
            )
        given.state = stream.state | {"bit_generator": type(given).__name__}


def next_word(stream: Any) -> Callable[[], int]:
    """A function that returns the next 64 random bits of a bit generator, for the definition; None: never called."""

    def draw() -> int:
        word: int = stream.random_raw()
        return word

    return draw
