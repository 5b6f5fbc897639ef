"""Arrays of every kind give the bits of their C-contiguous float64 copy, and are never written."""

import decimal
import fractions
import tracemalloc

import numpy as np
import pandas as pd
import pytest

import backprop
from backprop import arguments

NETWORK = backprop.Network([3, 4, 2], "tanh", "identity", rng=3)
VALUES = (np.arange(33.0).reshape(11, 3) % 13.0 - 6.0) / 4.0  # exact in float16 as well
TARGETS = (np.arange(22.0).reshape(11, 2) % 7.0) / 8.0


def misaligned(a):
    raw = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    raw[...] = a
    assert not raw.flags.aligned
    return raw


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


# Each makes another array of the same numbers.
SAME_NUMBERS = {
    "float32": lambda a: a.astype(np.float32),
    "float16": lambda a: a.astype(np.float16),
    "longdouble": lambda a: a.astype(np.longdouble),
    "big_endian": lambda a: a.astype(">f8"),
    "little_endian": lambda a: a.astype("<f8"),
    "big_endian_float32": lambda a: a.astype(">f4"),
    "fortran": np.asfortranarray,
    "every_second_row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "every_third_column": lambda a: np.repeat(a, 3, axis=1)[:, ::3],
    "negative_strides": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "transposed": lambda a: a.T.copy().T,
    "read_only": read_only,
    "misaligned": misaligned,
    "list": np.ndarray.tolist,
    "tuple_of_rows": tuple,
    "objects": lambda a: a.astype(object),
    "fractions": lambda a: [[fractions.Fraction(value) for value in row] for row in a.tolist()],
    "decimals": lambda a: [[decimal.Decimal(value) for value in row] for row in a.tolist()],
    "data_frame": pd.DataFrame,
    "data_frame_of_mixed_kinds": lambda a: pd.DataFrame(
        {k: a[:, k].astype(np.float32 if k else np.float64) for k in range(a.shape[1])}
    ),
    "matrix_subclass": lambda a: a.view(type("Mine", (np.ndarray,), {})),
    "memoryview": lambda a: memoryview(a.copy()),
    "array_interface": lambda a: type("Wrapped", (), {"__array__": lambda self, dtype=None, copy=None: a})(),
}
WHOLE_NUMBERS = {
    kind: lambda a, kind=kind: a.astype(kind)
    for kind in ("bool", "int8", "uint8", "int16", "uint16", "int32", ">i4", "uint32", "int64", "uint64")
}
WHOLE_NUMBERS["list_of_int"] = lambda a: a.astype(int).tolist()
WHOLE_NUMBERS["data_frame_of_int"] = lambda a: pd.DataFrame(a.astype(int))


def results(engine, X, y):
    """Every bit that the public functions return for this data."""
    run = engine.train(NETWORK, X, y, epochs=2, batch_size=4)
    value, gradient = engine.loss_and_gradient(NETWORK, X, y)
    again = run.resume(X, y, epochs=1)
    parts = run.network.parameters, run.losses, again.network.parameters, engine.predict(NETWORK, X), gradient
    return [part.tobytes() for part in parts] + [value, engine.loss(NETWORK, X, y)]


def bytes_of(value):
    return np.asarray(value).tobytes()


@pytest.mark.parametrize("kind", SAME_NUMBERS.values(), ids=SAME_NUMBERS)
def test_same_numbers(engine, kind):
    X, y = kind(VALUES), kind(TARGETS)
    before = bytes_of(X), bytes_of(y)
    assert results(engine, X, y) == results(engine, VALUES, TARGETS)
    assert (bytes_of(X), bytes_of(y)) == before


@pytest.mark.parametrize("kind", WHOLE_NUMBERS.values(), ids=WHOLE_NUMBERS)
def test_whole_numbers(engine, kind):
    X, y = (VALUES > 0.0).astype(float), (TARGETS > 0.5).astype(float)
    assert results(engine, kind(X), kind(y)) == results(engine, X, y)


@pytest.mark.parametrize("value", [0.1, 1e-40, 3.4028235e38, 16777217.0])
def test_float32_is_converted_not_rounded_again(engine, value):
    single = np.full((1, 3), value, np.float32)
    assert engine.predict(NETWORK, single).tobytes() == engine.predict(NETWORK, single.astype(np.float64)).tobytes()


@pytest.mark.parametrize("value", [2**53 + 1, 2**63 - 1, -(2**63)])
def test_large_integers_round_to_nearest(engine, value):
    X = np.full((1, 3), value, np.int64)
    assert engine.predict(NETWORK, X).tobytes() == engine.predict(NETWORK, [[float(value)] * 3]).tobytes()


@pytest.mark.parametrize(
    "labels",
    [
        [0, 1, 2, 1],
        (0, 1, 2, 1),
        np.array([0, 1, 2, 1], np.uint8),
        np.array([0, 1, 2, 1], ">i2"),
        np.array([0.0, 1.0, 2.0, 1.0]),
        np.array([0.0, 1.0, 2.0, 1.0], np.float16),
        np.array([0, 9, 1, 9, 2, 9, 1, 9])[::2],
        pd.Series([0, 1, 2, 1], index=[7, 5, 3, 1]),
        [-0.0, 1.0, 2.0, 1.0],
    ],
)
def test_classes(engine, labels):
    network = backprop.Network([1, 3], output_activation="softmax")
    X = [[0.0], [1.0], [2.0], [3.0]]
    expected = engine.train(network, X, np.array([0, 1, 2, 1]), epochs=2).network
    assert engine.train(network, X, labels, epochs=2).network == expected


def test_boolean_classes(engine):
    network = backprop.Network([1, 2], output_activation="softmax")
    expected = engine.loss(network, [[0.0], [1.0]], [0, 1])
    assert engine.loss(network, [[0.0], [1.0]], np.array([False, True])) == expected


def test_flat_targets_of_other_kinds(engine):
    network = backprop.Network([1, 1])
    X = [[0.0], [1.0], [2.0]]
    expected = engine.loss(network, X, np.array([1.0, 0.5, 0.25]))
    for y in (
        [1, 0.5, 0.25],
        [[1.0], [0.5], [0.25]],
        pd.Series([1.0, 0.5, 0.25]),
        np.array([1.0, 0.5, 0.25], np.float32),
    ):
        assert engine.loss(network, X, y) == expected
    assert engine.loss(network, X, np.array([1.0, 9.0, 0.5, 9.0, 0.25])[::2]) == expected


def test_arrays_are_not_copied():
    """The kernel works on the caller's own array, but for the kinds that it does not read."""
    X = VALUES.copy()
    for part in (X, X[2:7], X[:1], X[:, ::-1], X[::3], np.asfortranarray(X), X.astype(np.float32), X > 0.0):
        assert arguments.rows(part, 3) is part
    assert arguments.targets(X, 11, 3, "squared_error") is X
    assert np.shares_memory(arguments.targets(X[:, 1], 11, 1, "squared_error"), X)
    for other in (misaligned(X), X.astype(">f8"), X.astype(np.float16), pd.DataFrame(np.asfortranarray(X))):
        found = arguments.rows(other, 3)
        assert found.dtype == np.float64
        assert found.flags.carray


@pytest.mark.parametrize("batch_size", [32, 10**6])
def test_memory_beyond_the_data(batch_size):
    """A row costs 8 bytes, for the visiting order: no copy of X or y, whatever the batch."""
    n = 100_000
    X, y = np.zeros((n, 30)), np.zeros((n, 2))
    network = backprop.Network([30, 8, 2])
    network.predict(X[:1])
    tracemalloc.start()
    try:
        backprop.fast_train(network, X, y, epochs=1, batch_size=batch_size)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * n + 600_000  # one block of rows takes at most 32,768 doubles and some


def test_nothing_is_written(engine):
    X, y = VALUES.copy(), TARGETS.copy()
    X.flags.writeable = y.flags.writeable = False
    before = NETWORK.parameters.tobytes()
    results(engine, X, y)
    assert (X.tobytes(), y.tobytes()) == (VALUES.tobytes(), TARGETS.tobytes())
    assert NETWORK.parameters.tobytes() == before


def test_results_do_not_follow_later_changes(engine):
    """What is returned shares no memory with what was passed in."""
    X, y = VALUES.copy(), TARGETS.copy()
    network = backprop.Network([3, 2], output_activation="identity")
    out = engine.predict(network, X)
    run = engine.train(network, X, y, epochs=1)
    kept = out.tobytes(), run.network.parameters.tobytes(), run.losses.tobytes()
    X[...] = y[...] = 5.0
    assert (out.tobytes(), run.network.parameters.tobytes(), run.losses.tobytes()) == kept
