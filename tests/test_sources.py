"""Rows on disk, read window by window: the bits of rows in memory; and what a source may do wrong."""

import functools
import pickle

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import scipy.sparse
import zarr
from host_modes import host_mode
from problems import bits, outcome, run_bits

import backprop
from backprop import reference, sources
from backprop.estimators import MLPRegressor
from backprop.parquet import ParquetRows

N = 9000


class Rows:
    """A user's class with a shape and slices, and nothing else; it remembers the largest slice."""

    def __init__(self, array):
        self.array, self.shape, self.most = array, array.shape, 0

    def __getitem__(self, rows):
        assert type(rows) is slice
        self.most = max(self.most, rows.stop - rows.start)
        return self.array[rows]


class Changing(Rows):
    """Rows of which one changes after some slices have been read."""

    def __init__(self, array, reads, change):
        super().__init__(array)
        self.reads, self.change = reads, change

    def __getitem__(self, rows):
        self.reads -= 1
        if self.reads == 0:
            self.change(self)
        return super().__getitem__(rows)


def in_hdf5(array, folder):
    with h5py.File(folder / "rows.h5", "w") as file:
        file.create_dataset("X", data=array, chunks=(1000, *array.shape[1:]), compression="gzip")
    return h5py.File(folder / "rows.h5")["X"]


def in_zarr(array, folder):
    return zarr.array(array, chunks=(777, *array.shape[1:]), store=str(folder / "rows.zarr"))


def in_parquet(array, folder):
    """Two files of several row groups."""
    names = [f"column {j}" for j in range(array.shape[1])]
    table = pyarrow.table({name: array[:, j] for j, name in enumerate(names)})
    pyarrow.parquet.write_table(table[:5000], folder / "a.parquet", row_group_size=1234)
    pyarrow.parquet.write_table(table[5000:], folder / "b.parquet", row_group_size=700)
    return ParquetRows([folder / "a.parquet", folder / "b.parquet"], names)


def in_a_file(array, folder):
    np.save(folder / "rows.npy", array)
    return np.load(folder / "rows.npy", mmap_mode="r")


KINDS = {"class": lambda array, folder: Rows(array), "hdf5": in_hdf5, "zarr": in_zarr, "parquet": in_parquet}
KINDS["memmap"] = in_a_file
TRAININGS = (
    {"optimizer": backprop.LBFGS()},
    {"optimizer": backprop.LevenbergMarquardt()},
    {"optimizer": backprop.Rprop()},
    {"optimizer": backprop.Adam(0.01), "batch_size": 100, "shuffle": False},
    {"optimizer": backprop.SGD(0.01), "batch_size": 5000, "shuffle": backprop.BlockShuffle(300, 7)},
    {"optimizer": backprop.SGD(0.01), "batch_size": 1, "shuffle": backprop.BlockShuffle(1000, 2)},
    {"optimizer": backprop.Adam(0.01), "shuffle": backprop.BlockShuffle(), "dropout": backprop.Dropout(0.2)},
    {
        "optimizer": backprop.Adam(0.01),
        "shuffle": backprop.BlockShuffle(100, 30),
        "stopping": backprop.EarlyStopping(validation_fraction=0.2),
    },
)


@pytest.fixture(params=[1, 3 * 4096, 1 << 20], ids=["a block", "one block", "all"])
def window(request, monkeypatch):
    """Windows of one block of rows, and of all rows."""
    monkeypatch.setattr(sources, "WINDOW", request.param)


@functools.cache
def rows():
    generator = np.random.default_rng(8)
    return generator.normal(size=(N, 3)).astype(np.float32), generator.normal(size=N), generator.random(N)


@pytest.mark.parametrize("kind", KINDS)
def test_same_bits_as_in_memory(tmp_path, monkeypatch, threads_for_small_work, kind):
    monkeypatch.setattr(sources, "WINDOW", 1)
    X, y, c = rows()
    source = KINDS[kind](X, tmp_path)
    network = backprop.Network([3, 4, 1], rng=4)
    assert bits(network.predict(source)) == bits(network.predict(X))
    assert network.loss(source, y, sample_weight=c) == network.loss(X, y, sample_weight=c)
    found, promised = (backprop.loss_and_gradient(network, one, y) for one in (source, X))
    assert (found[0], bits(found[1])) == (promised[0], bits(promised[1]))
    for settings in TRAININGS:
        given = settings | {"sample_weight": c, "epochs": 2}
        run, promised = (backprop.fast_train(network, one, y, **given) for one in (source, X))
        assert run_bits(run) == run_bits(promised), settings
        assert run_bits(run.resume(source, y, epochs=1)) == run_bits(promised.resume(X, y, epochs=1))


@pytest.mark.parametrize("settings", TRAININGS, ids=lambda settings: type(settings["optimizer"]).__name__)
def test_same_bits_as_the_definition(window, settings):
    X, y, _ = rows()
    network = backprop.Network([3, 2, 1], activation="relu", rng=4)
    promised = reference.train(network, Rows(X), Rows(y), epochs=1, **settings)
    assert run_bits(backprop.fast_train(network, Rows(X), Rows(y), epochs=1, **settings)) == run_bits(promised)
    assert run_bits(reference.train(network, X, y, epochs=1, **settings)) == run_bits(promised)


def test_targets_from_a_source(window):
    """Several outputs from a source of their own; classes and single outputs are read into memory."""
    X, y, _ = rows()
    Y = np.stack([y, -y], axis=1).astype(np.float32)
    network = backprop.Network([3, 2], rng=1)
    assert network.loss(Rows(X), Rows(Y)) == network.loss(X, Rows(Y)) == network.loss(X, Y)
    settings = {"optimizer": backprop.Adam(), "shuffle": backprop.BlockShuffle(128, 9), "epochs": 2}
    promised = run_bits(backprop.fast_train(network, X, Y, **settings))
    for given in ((Rows(X), Rows(Y)), (X, Rows(Y)), (Rows(X), Y)):
        assert run_bits(backprop.fast_train(network, *given, **settings)) == promised
    labels = (y > 0.0).astype(np.int8)
    network = backprop.Network([3, 2], output_activation="softmax", rng=1)
    assert network.loss(Rows(X), Rows(labels)) == network.loss(X, labels)
    assert "y must hold classes" in outcome(network.loss, Rows(X), Rows(labels + np.int8(7)))[1]


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", "i1", "u2", "i8", "?"])
def test_kinds_of_numbers(monkeypatch, dtype):
    monkeypatch.setattr(sources, "WINDOW", 1)
    X = (rows()[0] * 50).astype(dtype)
    network = backprop.Network([3, 2, 1], rng=4)
    assert bits(network.predict(Rows(X))) == bits(network.predict(X.astype(np.float64)))


def test_rows_are_read_by_windows(monkeypatch):
    X, y, _ = rows()
    monkeypatch.setattr(sources, "WINDOW", 1)
    source, network = Rows(X), backprop.Network([3, 2, 1])
    backprop.fast_train(network, source, y, optimizer=backprop.LBFGS(), epochs=1)
    network.predict(source)
    assert source.most == 4096
    source = Rows(X)
    backprop.fast_train(network, source, y, shuffle=backprop.BlockShuffle(64, 2), epochs=1)
    assert source.most == 4096  # the search for NaN; then blocks


def test_checkpoint(tmp_path):
    """The rows identify the run, not the place where they lie, nor the kind of their numbers."""
    X, y, _ = rows()
    network = backprop.Network([3, 2, 1])
    kept = backprop.Checkpoint(tmp_path / "run.txt", every=1)
    settings = {"shuffle": backprop.BlockShuffle(), "checkpoint": kept, "callback": lambda state: state.epoch == 1}
    backprop.fast_train(network, Rows(X), y, epochs=4, **settings)
    for again in (X, X.astype(np.float64), in_hdf5(X, tmp_path)):
        assert backprop.fast_train(network, again, y, epochs=4, **settings).epochs == 2
    other = X.copy()
    other[8000, 2] += 1.0
    assert (
        "the checkpoint of another run"
        in outcome(backprop.fast_train, network, Rows(other), y, epochs=4, **settings)[1]
    )


def test_saved_runs_with_watched_sources(tmp_path):
    X, y, _ = rows()
    stopping = backprop.EarlyStopping(validation_data=(Rows(X[:50]), y[:50]))
    run = backprop.fast_train(backprop.Network([3, 2, 1]), X, y, epochs=2, stopping=stopping)
    run.save(tmp_path / "run.txt")
    loaded = backprop.Training.load(tmp_path / "run.txt")
    again, promised = loaded.resume(X, y, epochs=1), run.resume(X, y, epochs=1)
    assert again.network == promised.network
    assert bits(again.validation_losses) == bits(promised.validation_losses)


def test_pickles_of_watched_sources():
    X, y, _ = rows()
    stopping = backprop.EarlyStopping(validation_data=(Rows(X[:50]), Rows(y[:50]), y[:50] ** 2))
    assert stopping == backprop.EarlyStopping(validation_data=(X[:50], y[:50], y[:50] ** 2))
    assert stopping != backprop.EarlyStopping(validation_data=(X[:50], y[:50]))
    assert pickle.loads(pickle.dumps(stopping)) == stopping
    sparse = backprop.EarlyStopping(validation_data=(scipy.sparse.csr_array(X[:50]), y[:50]))
    for watched in (stopping, sparse):
        run = backprop.fast_train(backprop.Network([3, 2, 1]), X, y, epochs=2, stopping=watched)
        again, promised = (one.resume(X, y, epochs=1) for one in (pickle.loads(pickle.dumps(run)), run))
        assert run_bits(again) == run_bits(promised)


def test_estimators_predict():
    X, y, _ = rows()
    model = MLPRegressor(hidden_layer_sizes=(4,)).partial_fit(X, y)
    assert bits(model.predict(Rows(X))) == bits(model.predict(X))


# What is refused, and what goes wrong.


@pytest.mark.parametrize("engine", [backprop.fast_train, reference.train])
def test_full_shuffle_is_refused(tmp_path, engine):
    X, y, _ = rows()
    network = backprop.Network([3, 1])
    for source in (Rows(X), in_a_file(X, tmp_path)):
        kind, text, _ = outcome(engine, network, source, y, epochs=1)
        assert kind is ValueError
        assert "shuffle=backprop.BlockShuffle()" in text
        assert isinstance(engine(network, source, y, epochs=1, batch_size=N), backprop.Training)
    Y = np.stack([y, -y], axis=1)
    kind, text, _ = outcome(engine, backprop.Network([3, 2]), X, Rows(Y), epochs=1)
    assert kind is ValueError
    assert "y is a Rows of 9000 rows" in text
    assert isinstance(engine(network, X, Rows(y), epochs=1), backprop.Training)  # read into memory
    memory = in_a_file(X.astype(np.float64), tmp_path)
    assert isinstance(backprop.fast_train(network, memory, y, epochs=1), backprop.Training)


def test_numbers_that_are_not_finite(window):
    X, y, _ = rows()
    network, bad = backprop.Network([3, 1], rng=1), X.copy()
    bad[8765, 1] = np.nan
    for call in (
        network.predict,
        lambda X: network.loss(X, y),
        lambda X: backprop.fast_train(network, X, y, **TRAININGS[0]),
    ):
        kind, text, _ = outcome(call, Rows(bad))
        assert kind is ValueError
        assert "row 8765, column 1" in text
    wrong = y.copy()
    wrong[8999] = np.inf
    assert "y " in outcome(network.loss, Rows(X), wrong)[1]
    assert "row 8765" in outcome(network.loss, Rows(bad), wrong)[1]  # X before y
    bad[8765, 1], bad[3, 0] = 0.0, 1e30
    assert "row 3" in outcome(network.with_parameters([1e300, 0.0, 0.0, 0.0]).predict, Rows(bad))[1]
    bad[8765, 1] = np.nan
    assert "row 8765" in outcome(network.with_parameters([1e300, 0.0, 0.0, 0.0]).predict, Rows(bad))[1]


def shorter(source):
    source.array = source.array[:7000]


def short_by_shape(source):
    source.shape = (7000, 3)


def narrower(source):
    source.array = source.array[:, :2]


def text_in_it(source):
    source.array = source.array.astype(str)


def not_finite(source):
    source.array = source.array.copy()
    source.array[4100, 2] = np.inf


def failing(source):
    raise OSError("the disk is gone")


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        (shorter, ValueError, ["X[4096:8192]", "shape (4096, 3)", "(2904, 3)"]),
        (short_by_shape, ValueError, ["(9000, 3) when the call began", "(7000, 3) now"]),
        (narrower, ValueError, ["X[", "shape (4096, 3)", "(4096, 2)"]),
        (text_in_it, TypeError, ["X[", "real numbers"]),
        (not_finite, ValueError, ["row 4100, column 2", "changed", "inf"]),
        (failing, OSError, ["the disk is gone"]),
    ],
)
@pytest.mark.parametrize("settings", TRAININGS[:4], ids=lambda settings: type(settings["optimizer"]).__name__)
def test_a_source_that_changes(monkeypatch, change, kind, words, settings):
    """It is read well once, by the search for NaN, and otherwise in training; the next run is not disturbed."""
    monkeypatch.setattr(sources, "WINDOW", 1)
    X, y, _ = rows()
    network = backprop.Network([3, 2, 1])
    source = Changing(X, 4, change)
    with pytest.raises(kind) as caught:
        backprop.fast_train(network, source, y, epochs=3, **settings)
    text = " ".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert all(word in text for word in words), text
    assert isinstance(backprop.fast_train(network, Rows(X), y, epochs=1, **settings), backprop.Training)


def test_shapes_that_do_not_fit():
    X, y, _ = rows()
    network = backprop.Network([3, 1])
    assert "3 columns" in outcome(network.loss, Rows(X[:, :2]), y)[1]
    assert "as many rows as X, 9000" in outcome(network.loss, Rows(X), y[1:])[1]
    assert "as many rows as X, 9000" in outcome(network.loss, Rows(X), Rows(y[1:]))[1]
    assert "(n_samples, 3)" in outcome(network.loss, Rows(X[:, 0]), y)[1]
    assert "y must have shape" in outcome(network.loss, Rows(X), Rows(X))[1]
    source = Rows(X)
    source.shape = ("many", 3)
    assert "X.shape" in outcome(network.predict, source)[1]
    assert "X.shape" in outcome(backprop.fast_train, network, source, y)[1]
    source.shape = ()
    assert "(n_samples, 3)" in outcome(backprop.fast_train, network, source, y)[1]


def test_a_memmap_whose_file_was_truncated(tmp_path):
    """Reading it would end the process."""
    X, y, _ = rows()
    source = in_a_file(X, tmp_path)
    with (tmp_path / "rows.npy").open("r+b") as file:
        file.truncate(128 + 12 * 8000 + 5)
    kind, text, _ = outcome(backprop.Network([3, 1]).loss, source, y)
    assert kind is ValueError
    assert "row 8000 of 9000" in text


def test_parquet_errors(tmp_path):
    table = pyarrow.table({"a": [1.0, None, 3.0], "b": [1, 2, 3], "text": ["x", "y", "z"]})
    path = str(tmp_path / "rows.parquet")
    pyarrow.parquet.write_table(table, path, row_group_size=2)
    assert "'c'" in outcome(ParquetRows, path, ["a", "c"])[1]
    assert outcome(ParquetRows, path, [])[0] is ValueError
    assert outcome(ParquetRows, [], ["a"])[0] is ValueError
    assert "null" in outcome(lambda: ParquetRows(path, ["a"])[0:2])[1]
    assert "row 1" in outcome(lambda: ParquetRows(path, ["a"])[0:2])[1]
    assert "'text'" in outcome(lambda: ParquetRows(path, ["text"])[0:2])[1]
    assert ParquetRows(path, "b")[1:3].tolist() == [2, 3]
    assert ParquetRows(path, ["b", "b"])[0:0].shape == (0, 2)
    with pytest.raises(ValueError, match="without a step"):
        ParquetRows(path, "b")[::2]


# What a review found.


class OneBuffer(Rows):
    """Rows whose slices are all given in the same memory."""

    def __init__(self, array):
        super().__init__(array)
        self.buffer = np.empty_like(array)

    def __getitem__(self, rows):
        self.buffer[: rows.stop - rows.start] = self.array[rows]
        return self.buffer[: rows.stop - rows.start]


class Masked(Rows):
    def __getitem__(self, rows):
        return np.ma.array(self.array[rows], mask=self.array[rows] > 2.0)


class TwoKinds(Rows):
    """Rows of int64 before row 4096, of float64 after it."""

    def __getitem__(self, rows):
        part = self.array[rows]
        return part if rows.start < 4096 else part.astype(np.float64)


def test_one_buffer_for_all_slices(monkeypatch):
    monkeypatch.setattr(sources, "WINDOW", 1)
    X, y, _ = rows()
    network = backprop.Network([3, 2, 1])
    assert network.loss(OneBuffer(X), OneBuffer(y)) == network.loss(X, y)
    for settings in TRAININGS:
        run = backprop.fast_train(network, OneBuffer(X), OneBuffer(y), epochs=2, **settings)
        assert run_bits(run) == run_bits(backprop.fast_train(network, X, y, epochs=2, **settings))


def test_masked_slices():
    X, y, _ = rows()
    assert "without a mask" in outcome(backprop.Network([3, 1]).loss, Masked(X), y)[1]


def test_other_rounding_modes(tmp_path, monkeypatch):
    """Windows of two kinds, and columns of two kinds in Parquet, become the nearest doubles."""
    monkeypatch.setattr(sources, "WINDOW", 1)
    X = np.arange(3 * N).reshape(N, 3) + 2**53 + 1
    y, network = rows()[1], backprop.Network([3, 1]).with_parameters([1e-17] * 4)
    table = pyarrow.table({"a": X[:, 0], "b": X[:, 1].astype(np.float64), "c": X[:, 2]})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet")
    settings = {"shuffle": backprop.BlockShuffle(100, 50), "epochs": 1, "optimizer": backprop.SGD(1e-300)}

    def everything():
        parquet = ParquetRows(tmp_path / "rows.parquet", ["a", "b", "c"])
        return [
            run_bits(backprop.fast_train(network, TwoKinds(X), y, **settings)),
            bits(network.predict(parquet)),
            network.loss(TwoKinds(X), y),
        ]

    promised = everything()
    assert promised[2] == network.loss(X, y)
    with host_mode("upward"):
        found = everything()
    assert found == promised


def test_the_row_that_has_changed_is_that_of_the_caller(monkeypatch):
    """Also where rows are held back for validation."""
    monkeypatch.setattr(sources, "WINDOW", 1)
    X, y, _ = rows()
    source = Changing(X, 4, not_finite)
    settings = {"stopping": backprop.EarlyStopping(validation_fraction=0.3), "shuffle": backprop.BlockShuffle()}
    text = outcome(backprop.fast_train, backprop.Network([3, 1]), source, y, epochs=2, **settings)[1]
    assert "row 4100, column 2" in text


def test_views_and_weights_of_truncated_files(tmp_path):
    """Reading them would end the process."""
    np.save(tmp_path / "rows.npy", np.ones(9000))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    X, y, _ = rows()
    with (tmp_path / "rows.npy").open("r+b") as file:
        file.truncate(1000)
    network = backprop.Network([3, 1])
    assert "sample_weight is a memmap whose file" in outcome(network.loss, X, y, sample_weight=mapped)[1]
    assert "X is a memmap whose file" in outcome(network.predict, np.asarray(mapped).reshape(3000, 3)[::2])[1]
    assert "y is a memmap whose file" in outcome(network.loss, X, mapped)[1]


def test_what_is_no_source_and_what_is_read_whole(tmp_path):
    X, y, _ = rows()
    network = backprop.Network([3, 1])
    assert not sources.is_source(memoryview(X))
    assert backprop.fast_train(network, memoryview(X), y, epochs=1).epochs == 1
    assert backprop.fast_train(network, X, Rows(y[:, np.newaxis]), epochs=1).epochs == 1
    big_endian = in_a_file(X.astype(">f4"), tmp_path)
    assert backprop.fast_train(network, big_endian, y, epochs=1).epochs == 1
    source = Rows(X)
    source.shape = (9000.5, 3)
    assert "X.shape" in outcome(network.predict, source)[1]


def test_workers_take_blocks_of_windows(monkeypatch, threads_for_small_work):
    """17 blocks, a window each, of which two threads take one after the other."""
    monkeypatch.setattr(sources, "WINDOW", 1)
    generator = np.random.default_rng(3)
    X, y = generator.normal(size=(16 * 4096 + 5, 2)), generator.normal(size=16 * 4096 + 5)
    network = backprop.Network([2, 1])
    for optimizer in (backprop.LBFGS(), backprop.Rprop()):
        run = backprop.fast_train(network, Rows(X), y, optimizer=optimizer, epochs=2, n_threads=2)
        assert run_bits(run) == run_bits(backprop.fast_train(network, X, y, optimizer=optimizer, epochs=2, n_threads=1))


def test_rows_of_later_windows_are_named(monkeypatch):
    monkeypatch.setattr(sources, "WINDOW", 1)
    X, Y = np.zeros((9000, 1)), np.zeros((9000, 2))
    X[5000] = 1e10
    network = backprop.Network([1, 1]).with_parameters([1e300, 0.0])
    assert "row 5000" in outcome(network.predict, Rows(X))[1]
    Y[5000, 1] = 2.0
    network = backprop.Network([1, 2], output_activation="logistic")
    assert "row 5000" in outcome(network.loss, X, Rows(Y), "binary_cross_entropy")[1]


def test_a_batch_of_all_rows_that_are_not_held_back():
    """It is not shuffled, hence not refused."""
    X, y, _ = rows()
    settings = {"batch_size": 4500, "stopping": backprop.EarlyStopping(validation_fraction=0.5), "epochs": 1}
    network = backprop.Network([3, 1])
    run = backprop.fast_train(network, Rows(X), y, **settings)
    assert run_bits(run) == run_bits(backprop.fast_train(network, X, y, **settings))
    assert outcome(backprop.fast_train, network, Rows(X), y, **(settings | {"batch_size": 4499}))[0] is ValueError


def test_windows_are_as_long_as_the_wider_of_X_and_y_allows(monkeypatch):
    monkeypatch.setattr(sources, "WINDOW", 3 * 4096 * 2)
    X, y, _ = rows()
    wide, narrow = Rows(np.hstack([X, X])), Rows(np.stack([y, y], axis=1))
    backprop.fast_train(backprop.Network([6, 2]), wide, narrow, optimizer=backprop.LBFGS(), epochs=1)
    assert wide.most == 4096


def test_targets_of_a_wrong_shape_are_not_read():
    X, _, _ = rows()
    targets = Rows(X)
    assert "y must have shape" in outcome(backprop.Network([3, 1]).loss, Rows(X), targets)[1]
    assert targets.most == 0


def test_notes_do_not_pile_up():
    X, y, _ = rows()
    network, error = backprop.Network([3, 1]), OSError("gone")

    def fail(source):
        raise error

    for _ in range(3):
        with pytest.raises(OSError, match="gone"):
            network.loss(Changing(X, 1, fail), y)
    assert len(error.__notes__) == 1


def test_few_chosen_rows_take_few_windows(monkeypatch):
    monkeypatch.setattr(sources, "WINDOW", 1)
    source = Changing(np.ones((40_960, 1)), 0, None)
    subset = sources.Source.of("X", source).take(np.array([0, 40_959]))
    assert len(subset[0:2]) == 2
    assert source.reads == -2


def test_arguments_of_parquet_rows():
    wrong = (None, "a", "paths must be"), (1, "a", "paths must be"), ("x", None, "columns must be")
    for paths, columns, words in wrong:
        kind, text, _ = outcome(ParquetRows, paths, columns)
        assert kind is TypeError
        assert words in text
