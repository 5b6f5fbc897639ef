"""Epochs on many rows, from memory and from files that the system has cached: rows per second."""

import h5py
import numpy as np
import pytest

import backprop
from backprop import Adam, BlockShuffle, fast_train

ROWS, COLUMNS = 200_000, 20
KINDS = ("float64 in memory", "float32 in memory", "float64 memmap", "float32 memmap", "HDF5")
ON_DISK = ("float32 memmap", "HDF5")
SHUFFLES = {"in order": False, "full shuffle": True, "BlockShuffle": BlockShuffle()}
CASES = [(kind, name) for kind in KINDS for name in SHUFFLES if not (kind in ON_DISK and name == "full shuffle")]


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """The same rows of every kind."""
    folder = tmp_path_factory.mktemp("rows")
    X = np.random.default_rng(0).normal(size=(ROWS, COLUMNS)).astype(np.float32)
    for dtype in (np.float32, np.float64):
        np.save(folder / f"{dtype.__name__}.npy", X.astype(dtype))
    with h5py.File(folder / "rows.h5", "w") as file:
        file.create_dataset("X", data=X, chunks=(4096, COLUMNS))
    mapped = {f"{kind} memmap": np.load(folder / f"{kind}.npy", mmap_mode="r") for kind in ("float32", "float64")}
    with h5py.File(folder / "rows.h5") as file:
        yield mapped | {"float64 in memory": X.astype(np.float64), "float32 in memory": X, "HDF5": file["X"]}


@pytest.mark.parametrize(("kind", "shuffle"), CASES)
def test_epoch(benchmark, sources, kind, shuffle):
    """An epoch of Adam in batches of 32 on one thread."""
    network, X = backprop.Network([COLUMNS, 8, 1]), sources[kind]
    y = np.arange(ROWS) % 7 / 7.0
    settings = {"optimizer": Adam(), "epochs": 1, "shuffle": SHUFFLES[shuffle], "n_threads": 1}
    benchmark.extra_info["rows"] = ROWS
    benchmark.pedantic(fast_train, (network, X, y), settings, rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradient(benchmark, sources, kind):
    """A full pass, forward and backward, with as many threads as pay."""
    network = backprop.Network([COLUMNS, 8, 1])
    y = np.arange(ROWS) % 7 / 7.0
    benchmark.extra_info["rows"] = ROWS
    benchmark.pedantic(backprop.loss_and_gradient, (network, sources[kind], y), rounds=5, warmup_rounds=1)
