"""Random streams: bit generators of a run's own, made from the rng of a caller, copied, and as plain values."""

from collections.abc import Callable
from typing import Any

import numpy as np

from . import arguments


def bit_generators() -> tuple[Any, ...]:
    """The 64-bit generators; a function, since NumPy imports its random module only when that is first used."""
    return (np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64)


def stream_of(rng: Any) -> Any:
    """A random stream of one's own that goes on where rng stands: a bit generator, or the seed of one."""
    if hasattr(rng, "__index__") and not isinstance(rng, arguments.BOOLEANS):
        seed = arguments.integer("rng", rng, 0)
        return seed if seed < 2**128 else np.random.PCG64(seed)  # whose state is no longer than others
    given = rng.bit_generator if isinstance(rng, np.random.Generator) else rng
    if isinstance(given, bit_generators()):
        return copied(given)
    if given is None or isinstance(given, np.random.SeedSequence):
        return np.random.PCG64(given)
    kinds = ", ".join(kind.__name__ for kind in bit_generators())
    raise TypeError(
        f"rng must be an integer >= 0, None, a SeedSequence, or a Generator or bit generator ({kinds}), "
        f"got {arguments.shown(rng)}"
    )


def started(stream: Any) -> Any:
    """The bit generator of a stream. Seeding one takes longer than a step of a small network: not before it is used."""
    return np.random.PCG64(stream) if isinstance(stream, int) else stream


def copied(stream: Any) -> Any:
    """Another stream in the same state."""
    if isinstance(stream, int):
        return stream
    own = next(kind for kind in bit_generators() if isinstance(stream, kind))(0)
    with stream.lock:
        own.state = stream.state | {"bit_generator": type(own).__name__}  # not the name of a subclass
    return own


def to_plain(stream: Any) -> Any:
    """A stream as integers, strings, lists and dicts."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(item) for name, item in value.items()}
        return value.tolist() if isinstance(value, np.ndarray) else value

    return stream if isinstance(stream, int) else plain(stream.state)


def from_plain(state: Any) -> Any:
    """The stream that to_plain was given."""

    def arrays(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: arrays(item) for name, item in value.items()}
        return np.array(value, np.uint64) if isinstance(value, list) else value

    if isinstance(state, int):
        return state
    own = {kind.__name__: kind for kind in bit_generators()}[state["bit_generator"]](0)
    own.state = arrays(state)
    return own


def advance(rng: Any, stream: Any) -> None:
    """Leave a generator that was given as rng where the stream stands that was taken from it."""
    if isinstance(stream, int):
        return
    given = rng.bit_generator if isinstance(rng, np.random.Generator) else rng
    if isinstance(given, bit_generators()):
        with given.lock:
            given.state = stream.state | {"bit_generator": type(given).__name__}


def next_word(stream: Any) -> Callable[[], int]:
    """The definition's way to draw: a function that returns a bit generator's next 64 random bits; None has none."""

    def draw() -> int:
        word: int = stream.random_raw()
        return word

    return draw
