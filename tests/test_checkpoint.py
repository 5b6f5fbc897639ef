"""Checkpoints: whatever kills a run, when it is started again it ends with the bits of one that nobody disturbed."""

import builtins
import contextlib
import errno
import itertools
import os
import pathlib
import pickle
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from checkpoint_child import NETWORK, PATIENT, RUNS, X, Y, digest, train

import backprop
from backprop import checkpoint, reference, text_file

CHILD = pathlib.Path(__file__).with_name("checkpoint_child.py")
SETTINGS = {"optimizer": backprop.Adam(0.05), "batch_size": 8, "rng": 5}


@pytest.fixture(scope="module")
def undisturbed():
    """The digest of each run."""
    return {name: digest(train(name)) for name in RUNS}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run"


class StopError(Exception):
    """What the callbacks raise here."""


def stop_after(epochs):
    def callback(state):
        if state.epoch == epochs - 1:
            raise StopError

    return callback


def begun(path, epochs=5, **more):
    """Some epochs of a run whose callback then raised; a checkpoint of all but the last."""
    with pytest.raises(StopError):
        backprop.fast_train(
            NETWORK, X, Y, epochs=50, checkpoint=backprop.Checkpoint(path, every=1), callback=stop_after(epochs), **more
        )
    assert backprop.Training.load(path).epochs == epochs - 1
    return path.read_bytes()


# Killed.


def start(name, path, *more):
    return subprocess.Popen([sys.executable, CHILD, name, path, *more], stdout=subprocess.PIPE, text=True)


def version_of(path):
    """Another one for each file that was put in place."""
    with contextlib.suppress(OSError):
        found = os.stat(path)
        return found.st_ino, found.st_mtime_ns
    return None


def killed(child, path, changes, seconds):
    """Kill a child so long after it has written so many checkpoints, if it is still there; whether it was."""
    before = version_of(path)
    while changes > 0 and child.poll() is None:
        now = version_of(path)
        changes -= now != before
        before = now
    time.sleep(seconds)
    child.kill()
    child.communicate()
    return child.returncode == (-signal.SIGKILL if os.name == "posix" else 1)


KILLS = {"plain": 8, "watched": 8, "dropped": 5, "all rows": 4, "method": 4, "damped": 3, "definition": 3}


@pytest.mark.parametrize(
    ("name", "kills"),
    [*KILLS.items(), *(pytest.param(name, 4 * kills, marks=pytest.mark.long) for name, kills in KILLS.items())],
)
def test_killed_at_random_moments(undisturbed, path, name, kills):
    moments, began, reached = random.Random(name), 0, [0]
    while began < kills:
        if not killed(start(name, path), path, moments.randrange(4), moments.uniform(0.0, 0.02)):
            assert digest(backprop.Training.load(path)) == undisturbed[name]
            path.unlink()
            reached.append(0)
            continue
        began += 1
        if path.exists():  # a whole file, of no fewer epochs than before
            reached.append(backprop.Training.load(path).epochs)
            assert reached[-1] >= reached[-2]
    assert max(reached) > 0
    child = start(name, path)
    assert child.communicate()[0].split() == [undisturbed[name]]
    assert os.listdir(path.parent) == [path.name]


if os.name == "posix":

    def test_killed_at_every_step_of_writing(undisturbed, path):
        name, every = "plain", RUNS["plain"][2]
        seen = set()
        for step in itertools.count(1):
            path.unlink(missing_ok=True)
            child = start(name, path, str(step))
            printed = child.communicate()[0]
            if child.returncode == 0:
                assert printed.split() == [undisturbed[name]]
                break
            assert child.returncode == -signal.SIGKILL
            before = backprop.Training.load(path).epochs  # a whole file
            seen.add((before, len(os.listdir(path.parent))))
            assert digest(train(name, path, every=100)) == undisturbed[name]
            assert os.listdir(path.parent) == [path.name]
        assert step > 15
        # The old file or the new one, and beside the old one perhaps what was being written.
        assert seen == {(every, 1), (every, 2), (2 * every, 1)}


# Disks that are full, fail or lie.


class FullFile:
    """A file on a disk that has so many bytes left."""

    def __init__(self, file, left):
        self.file, self.left = file, left

    def write(self, text):
        self.file.write(text[: self.left])
        if len(text) > self.left:
            self.file.flush()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)


def goes_on(path, before):
    """The old checkpoint is there, alone, and the run ends as if nothing had been."""
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    run = backprop.fast_train(NETWORK, X, Y, epochs=50, checkpoint=backprop.Checkpoint(path, every=20))
    assert digest(run) == digest(backprop.fast_train(NETWORK, X, Y, epochs=50))
    path.write_bytes(before)


def test_a_full_disk(path, monkeypatch):
    before = begun(path)
    for left in [0, 1, *range(7, len(before), len(before) // 12), len(before) - 1]:

        def full(*given, left=left, **named):
            file = builtins.open(*given, **named)  # noqa: SIM115
            return FullFile(file, left) if "x" in given else file

        with monkeypatch.context() as patched:
            patched.setattr(text_file, "open", full, raising=False)
            with pytest.raises(OSError, match=r"No space left on device.*run") as caught:
                backprop.fast_train(NETWORK, X, Y, epochs=50, checkpoint=backprop.Checkpoint(path, every=1))
            assert caught.value.errno == errno.ENOSPC
        goes_on(path, before)


if sys.platform != "win32":  # which has no such limits

    def test_a_limit_of_the_system(path):
        import resource

        before = begun(path)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        for size in (0, 1, 1000, len(before) // 2, len(before) - 1):
            try:
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
                with pytest.raises(OSError, match=r"too large.*run"):
                    backprop.fast_train(NETWORK, X, Y, epochs=50, checkpoint=backprop.Checkpoint(path, every=1))
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            goes_on(path, before)


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("failure", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()], ids=repr)
def test_a_failing_disk(path, monkeypatch, step, failure):
    before = begun(path)

    def fail(*given):
        raise failure

    with monkeypatch.context() as patched:
        patched.setattr(os, step, fail)
        with pytest.raises(type(failure)):
            backprop.fast_train(NETWORK, X, Y, epochs=50, checkpoint=backprop.Checkpoint(path, every=1))
    goes_on(path, before)


if os.name == "posix":

    @pytest.mark.parametrize("number", [errno.EIO, errno.EINVAL])
    def test_a_folder_that_cannot_be_synced(path, monkeypatch, number):
        """An error, but where the file system has no such thing; a whole file either way."""
        before, calls, fsync = begun(path), [], os.fsync

        def fail(descriptor):
            calls.append(descriptor)
            if len(calls) % 2 == 0:
                raise OSError(number, os.strerror(number))
            fsync(descriptor)

        kept = backprop.Checkpoint(path, every=1)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", fail)
            with contextlib.nullcontext() if number == errno.EINVAL else pytest.raises(OSError, match="run"):
                backprop.fast_train(NETWORK, X, Y, epochs=50, checkpoint=kept)
        assert backprop.Training.load(path).epochs == (50 if number == errno.EINVAL else 5)
        path.write_bytes(before)
        goes_on(path, before)


def test_a_disk_that_lies(path):
    """A file that is cut or full of zeros is refused, and stays as it is."""
    whole = begun(path)
    n = len(whole)
    cut = [whole[:length] for length in (0, 1, 20, n // 2, n - 70, n - 1)]
    garbled = [b"\0" * n, whole[: n // 2] + b"\0" * (n - n // 2), whole.replace(b"0x1.", b"0x1,", 1), whole * 2]
    for content in cut + garbled:
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match=r"the checkpoint '.*run' .*; remove the file or give another path"
        ) as caught:
            backprop.fast_train(NETWORK, X, Y, epochs=50, checkpoint=backprop.Checkpoint(path, every=1))
        assert type(caught.value) is ValueError
        assert path.read_bytes() == content


@pytest.mark.parametrize("writes", [1, 3, 10])
def test_an_error_takes_the_run_along(engine, path, monkeypatch, writes):
    """The disk is full at the first, a later or the last checkpoint: no epoch is lost."""
    left = itertools.count(1)

    def full(*given, **named):
        if "x" in given and next(left) == writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return builtins.open(*given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(text_file, "open", full, raising=False)
        with pytest.raises(backprop.CheckpointError, match=r"No space left.*save it elsewhere") as caught:
            engine.train(NETWORK, X, Y, epochs=10, stopping=PATIENT, checkpoint=backprop.Checkpoint(path, every=1))
    error = caught.value
    assert isinstance(error, OSError)
    assert (error.errno, error.filename) == (errno.ENOSPC, os.path.abspath(path))
    assert error.training.epochs == writes
    undisturbed = engine.train(NETWORK, X, Y, epochs=10, stopping=PATIENT)
    for one in (error, pickle.loads(pickle.dumps(error))):
        run = one.training if writes == 10 else one.training.resume(X, Y, epochs=10 - writes)
        assert digest(run) == digest(undisturbed)
        assert str(one) == str(error)


# Nothing else changes.


@pytest.mark.parametrize("stop", [None, PATIENT], ids=["", "watched"])
@pytest.mark.parametrize(
    "kept", [{"every": 1}, {"every": 3}, {"every": 100}, {"seconds": 4.0}, {"every": 4, "seconds": 7.0}]
)
def test_no_bit_changes_and_callbacks_see_the_same(engine, path, monkeypatch, kept, stop):
    seconds = itertools.count()
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: float(next(seconds)))
    written = []
    write = checkpoint.CheckpointWriter.write

    def noted(self, result):
        written.append(result.state.losses.size)
        write(self, result)

    monkeypatch.setattr(checkpoint.CheckpointWriter, "write", noted)
    seen, expected = {True: [], False: []}, None
    for with_one in (False, True):
        for callback in (None, lambda state, s=seen[with_one]: s.append((state.epoch, state.loss, state.network))):
            rng = np.random.default_rng(3)
            given = {"epochs": 10, "rng": rng, "stopping": stop, "callback": callback}
            if with_one:
                given["checkpoint"] = backprop.Checkpoint(path, **kept)
            run = engine.train(NETWORK, X, Y, **given)
            bits = digest(run), str(rng.bit_generator.state)
            expected = expected or bits
            assert bits == expected
            if with_one:
                assert digest(backprop.Training.load(path)) == bits[0]
                path.unlink()
    assert seen[True] == seen[False]
    assert written[-1] == 10
    if "seconds" not in kept:
        assert written == [*range(kept["every"], 10, kept["every"]), 10] * 2
    else:
        assert 4 < len(written) < 16


@pytest.mark.parametrize(("begin", "every", "at"), [(5, 3, [6, 9, 12]), (4, 5, [5, 10]), (6, 3, [9, 12]), (1, 20, [])])
def test_checkpoints_are_multiples_wherever_the_run_begins(engine, path, monkeypatch, begin, every, at):
    run, written = engine.train(NETWORK, X, Y, epochs=begin), []
    write = checkpoint.CheckpointWriter.write

    def noted(self, result):
        written.append(result.state.losses.size)
        write(self, result)

    monkeypatch.setattr(checkpoint.CheckpointWriter, "write", noted)
    run.resume(X, Y, epochs=13 - begin, checkpoint=backprop.Checkpoint(path, every=every))
    assert written == [*at, 13]


def test_how_often(path):
    assert backprop.Checkpoint(path).seconds == 60.0
    assert backprop.Checkpoint(path, every=5).seconds is None
    assert backprop.Checkpoint(path, every=5, seconds=2) == backprop.Checkpoint(path, 5, 2.0)


# Going on.


@pytest.mark.parametrize("stop", [None, PATIENT], ids=["", "watched"])
@pytest.mark.parametrize("rng", [lambda: 3, lambda: np.random.default_rng(3), lambda: np.random.Philox(3)])
def test_a_run_in_pieces(engines, path, rng, stop):
    """Begun by one engine, continued by the other, and returned by both."""
    left = []
    for train_on in [engines[0].train, engines[1].train, engines[0].train, engines[1].train, engines[0].train]:
        stream = rng()
        with contextlib.suppress(StopError):
            run = train_on(
                NETWORK,
                X,
                Y,
                epochs=10,
                batch_size=8,
                rng=stream,
                stopping=stop,
                checkpoint=backprop.Checkpoint(path, every=1),
                callback=stop_after([4, 8, 99, 99, 99][len(left)]),
            )
            assert run.stopped == "epochs"
        left.append(backprop.Training.load(path).epochs)
    assert left == [3, 7, 10, 10, 10]
    other = rng()
    expected = backprop.fast_train(NETWORK, X, Y, epochs=10, batch_size=8, rng=other, stopping=stop)
    assert digest(run) == digest(expected)
    if not isinstance(stream, int):
        streams = [getattr(one, "bit_generator", one).state for one in (stream, other)]
        assert str(streams[0]) == str(streams[1])
    assert digest(run.resume(X, Y, epochs=3)) == digest(expected.resume(X, Y, epochs=3))


def test_a_complete_run_is_returned_at_once(engine, path):
    kept, seen = backprop.Checkpoint(path), []
    run = engine.train(NETWORK, X, Y, epochs=3, checkpoint=kept, callback=lambda state: seen.append(state.epoch))
    before = path.read_bytes(), path.stat().st_mtime_ns
    again = engine.train(NETWORK, X, Y, epochs=3, checkpoint=kept, callback=lambda state: seen.append(state.epoch))
    assert digest(again) == digest(run)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert seen == [0, 1, 2]
    more = engine.train(NETWORK, X, Y, epochs=5, checkpoint=kept, callback=lambda state: seen.append(state.epoch))
    assert digest(more) == digest(engine.train(NETWORK, X, Y, epochs=5))
    assert seen == [0, 1, 2, 3, 4]


def test_a_run_that_was_stopped_stays_so(engine, path):
    kept = backprop.Checkpoint(path, every=2)
    run = engine.train(NETWORK, X, Y, epochs=9, checkpoint=kept, callback=lambda state: state.epoch == 4)
    again = engine.train(NETWORK, X, Y, epochs=9, checkpoint=kept)
    assert digest(again) == digest(run)
    assert (again.stopped, again.epochs) == ("callback", 5)
    stop = backprop.EarlyStopping(target_loss=1e3)
    path.unlink()
    run = engine.train(NETWORK, X, Y, epochs=9, checkpoint=kept, stopping=stop)
    again = engine.train(NETWORK, X, Y, epochs=20, checkpoint=kept, stopping=stop)
    assert digest(again) == digest(run)
    assert (again.stopped, again.epochs) == ("target_loss", 1)


def test_fresh_entropy_goes_on_in_its_own_stream(path):
    given = {"rng": None, "batch_size": 8}
    before = begun(path, **given)
    run = backprop.fast_train(NETWORK, X, Y, epochs=50, checkpoint=backprop.Checkpoint(path), **given)
    path.write_bytes(before)
    assert digest(backprop.Training.load(path).resume(X, Y, epochs=46)) == digest(run)
    assert digest(backprop.fast_train(NETWORK, X, Y, epochs=50, **given)) != digest(run)


def test_resume_with_one(engine, path):
    first = engine.train(NETWORK, X, Y, epochs=4, stopping=PATIENT)
    kept = backprop.Checkpoint(path, every=1)
    with pytest.raises(StopError):
        first.resume(X, Y, epochs=6, checkpoint=kept, callback=stop_after(8))
    assert backprop.Training.load(path).epochs == 7
    run = first.resume(X, Y, epochs=6, checkpoint=kept)
    assert digest(run) == digest(engine.train(NETWORK, X, Y, epochs=10, stopping=PATIENT))
    assert digest(first.resume(X, Y, epochs=6, checkpoint=kept)) == digest(run)
    with pytest.raises(ValueError, match="another run"):
        run.resume(X, Y, epochs=6, checkpoint=kept)
    assert first.epochs == 4


def test_divergence_is_the_same(engine, path):
    """Found in the same epoch, with the same losses, in one go and started again."""
    settings = {"optimizer": backprop.SGD(1e5), "epochs": 200}
    found = []
    for kept in (None, backprop.Checkpoint(path, every=1), backprop.Checkpoint(path, every=1)):
        with pytest.raises(backprop.DivergenceError) as caught:
            engine.train(backprop.Network([1, 1], rng=1), X, 10.0 * Y, checkpoint=kept, **settings)
        found.append((caught.value.epoch, caught.value.losses.tobytes(), str(caught.value)))
    assert found[0] == found[1] == found[2]
    assert 1 <= backprop.Training.load(path).epochs <= found[0][0]


# Which run it is.


OTHER = {
    "network": {"network": backprop.Network([1, 12, 1], rng=2)},
    "activation": {"network": NETWORK.from_arrays(NETWORK.weights, NETWORK.biases, "logistic")},
    "X": {"X": np.concatenate([X[:-1], [[1.0000000000000002]]])},
    "y": {"y": np.concatenate([Y[:-1], [[np.nextafter(Y[-1, 0], 2.0)]]])},
    "sample_weight": {"sample_weight": [1.0] * 29 + [2.0]},
    "order of the rows": {"X": X[::-1], "y": Y[::-1]},
    "rng": {"rng": 6},
    "generator": {"rng": np.random.default_rng(5)},
    "fresh": {"rng": None},
    "learning_rate": {"optimizer": backprop.Adam(0.050000000000000003 * 1.0000000000000002)},
    "optimizer": {"optimizer": backprop.AdamW(0.05)},
    "batch_size": {"batch_size": 9},
    "loss": {"loss": "huber"},
    "dropout": {"dropout": backprop.Dropout(0.25)},
    "l2": {"optimizer": backprop.Adam(0.05, l2=5e-324)},
    "shuffle": {"shuffle": False},
    "block shuffle": {"shuffle": backprop.BlockShuffle(30)},
    "train_biases": {"train_biases": False},
    "stopping": {"stopping": backprop.EarlyStopping(patience=11)},
}


@pytest.mark.parametrize("change", OTHER.values(), ids=OTHER)
def test_another_run_is_refused(engine, path, change):
    before = begun(path, **SETTINGS)
    given = {"network": NETWORK, "X": X, "y": Y, "epochs": 50, **SETTINGS, **change}
    with pytest.raises(ValueError, match=r"run' is the checkpoint of another run.*remove the file or give another"):
        engine.train(**given, checkpoint=backprop.Checkpoint(path))
    assert path.read_bytes() == before


def test_block_shuffle(engines, path):
    """A run by windows of blocks goes on, and its blocks and windows tell it from other runs."""
    given = {**SETTINGS, "epochs": 9, "shuffle": backprop.BlockShuffle(4, 3)}
    kept = backprop.Checkpoint(path, every=1)
    for engine, epochs in zip(engines, (4, 7), strict=True):
        with pytest.raises(StopError):
            engine.train(NETWORK, X, Y, checkpoint=kept, callback=stop_after(epochs), **given)
    for rows, window in ((3, 3), (4, 2)):
        with pytest.raises(ValueError, match="another run"):
            backprop.fast_train(
                NETWORK, X, Y, checkpoint=kept, **{**given, "shuffle": backprop.BlockShuffle(rows, window)}
            )
    run = engines[0].train(NETWORK, X, Y, checkpoint=kept, **given)
    assert digest(run) == digest(backprop.fast_train(NETWORK, X, Y, **given))


def test_weights_of_rows(engine, path):
    weights = np.linspace(0.5, 2.0, 30)
    before = begun(path, sample_weight=weights)
    run = engine.train(NETWORK, X, Y, epochs=8, sample_weight=weights.tolist(), checkpoint=backprop.Checkpoint(path))
    assert digest(run) == digest(backprop.fast_train(NETWORK, X, Y, epochs=8, sample_weight=weights))
    path.write_bytes(before)
    for other in (None, weights[::-1]):
        with pytest.raises(ValueError, match="another run"):
            engine.train(NETWORK, X, Y, epochs=8, sample_weight=other, checkpoint=backprop.Checkpoint(path))
    with pytest.raises(ValueError, match="sample_weight must be finite"):
        engine.train(NETWORK, X, Y, epochs=8, sample_weight=-weights, checkpoint=backprop.Checkpoint(path))
    assert path.read_bytes() == before


def test_dropout(engines, path):
    """The stream that units are drawn from goes on too."""
    given = {"epochs": 9, "dropout": backprop.Dropout(0.25, rng=3), "rng": None, "shuffle": False}
    kept = backprop.Checkpoint(path, every=1)
    for engine, epochs in zip(engines, (4, 7), strict=True):
        with pytest.raises(StopError):
            engine.train(NETWORK, X, Y, checkpoint=kept, callback=stop_after(epochs), **given)
    run = engines[0].train(NETWORK, X, Y, checkpoint=kept, **given)
    other = backprop.fast_train(NETWORK, X, Y, **given)
    assert run.network == other.network
    assert str(run._state.dropout.state) == str(other._state.dropout.state)
    with pytest.raises(ValueError, match="another run"):
        backprop.fast_train(NETWORK, X, Y, checkpoint=kept, **{**given, "dropout": backprop.Dropout(0.25, rng=4)})


@pytest.mark.parametrize("kept", [{"every": 1}, {"every": 300}])
@pytest.mark.parametrize(
    "schedule", [backprop.ExponentialDecay(0.1, 0.99), backprop.ReduceOnPlateau(0.1, patience=1)], ids=repr
)
def test_schedules(path, schedule, kept):
    """Whose rates the kernel is given many at a time."""
    given = {"epochs": 700 if "every" in kept and kept["every"] > 1 else 9, "optimizer": backprop.SGD(schedule)}
    with pytest.raises(StopError):
        backprop.fast_train(
            NETWORK,
            X,
            Y,
            checkpoint=backprop.Checkpoint(path, **kept),
            callback=stop_after(given["epochs"] - 2),
            **given,
        )
    run = backprop.fast_train(NETWORK, X, Y, checkpoint=backprop.Checkpoint(path, **kept), **given)
    assert digest(run) == digest(backprop.fast_train(NETWORK, X, Y, **given))
    path.unlink()
    run = backprop.fast_train(NETWORK, X, Y, checkpoint=backprop.Checkpoint(path, **kept), **given)
    assert digest(run) == digest(backprop.fast_train(NETWORK, X, Y, **given))


def test_other_validation_data_is_another_run(path):
    begun(path, stopping=backprop.EarlyStopping(validation_data=(X, Y)))
    with pytest.raises(ValueError, match="another run"):
        backprop.fast_train(
            NETWORK,
            X,
            Y,
            stopping=backprop.EarlyStopping(validation_data=(X, -Y)),
            checkpoint=backprop.Checkpoint(path),
        )


def test_another_contract_is_another_run(path, monkeypatch):
    begun(path)
    monkeypatch.setattr(backprop.training_file, "contract_version", 3)
    with pytest.raises(ValueError, match="another run"):
        backprop.fast_train(NETWORK, X, Y, checkpoint=backprop.Checkpoint(path))


SAME = {
    "lists": {"X": X.tolist(), "y": Y.tolist()},
    "one column": {"y": Y[:, 0]},
    "order in memory": {"X": np.asfortranarray(X), "y": np.stack([Y, Y])[0].astype(">f8")},
    "threads": {"n_threads": 3},
    "defaults": {"loss": "squared_error", "batch_size": 8, "shuffle": True},
    "a network that was saved": {"network": backprop.Network.from_arrays(NETWORK.weights, NETWORK.biases)},
    "a callback": {"callback": lambda state: None},
    "seed": {"rng": np.int64(5)},
}


@pytest.mark.parametrize("change", SAME.values(), ids=SAME)
def test_the_same_run_in_other_words(path, change):
    before = begun(path, **SETTINGS)
    given = {"network": NETWORK, "X": X, "y": Y, "epochs": 50, **SETTINGS, **change}
    run = backprop.fast_train(**given, checkpoint=backprop.Checkpoint(path))
    assert path.read_bytes() != before
    assert digest(run) == digest(backprop.fast_train(NETWORK, X, Y, epochs=50, **SETTINGS))


def test_fewer_epochs_than_it_holds(engine, path):
    before = begun(path)
    with pytest.raises(ValueError, match=r"holds 4 epochs, more than the 3 that are asked for; remove"):
        engine.train(NETWORK, X, Y, epochs=3, checkpoint=backprop.Checkpoint(path))
    assert path.read_bytes() == before


def test_what_is_no_checkpoint_stays(engine, path):
    run = backprop.fast_train(NETWORK, X, Y, epochs=3)
    run.save(path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=r"run' is no checkpoint"):
        engine.train(NETWORK, X, Y, epochs=3, checkpoint=backprop.Checkpoint(path))
    assert path.read_bytes() == before
    path.write_text("Dear diary\n")
    with pytest.raises(ValueError, match=r"is not a file of a training run"):
        engine.train(NETWORK, X, Y, epochs=3, checkpoint=backprop.Checkpoint(path))
    assert path.read_text() == "Dear diary\n"


# Paths.


def test_what_killed_writers_have_left_is_removed(path):
    left = [path.with_name(f"run.{k:016x}.part") for k in range(3)]
    others = [
        path.with_name(name) for name in ("run.part", "run.1.part", f"other.{1:016x}.part", f"run.{1:016x}.parts")
    ]
    for one in left + others:
        one.write_text("")
    backprop.fast_train(NETWORK, X, Y, epochs=2, checkpoint=backprop.Checkpoint(path))
    assert sorted(path.parent.iterdir()) == sorted([path, *others])


@pytest.mark.parametrize("name", ["a+b", "(a", "[a]", "a.b", "a|b", "a" * 65, "a" * 255])
def test_left_files_of_names_with_a_meaning(path, name):
    """Characters that mean something in a pattern stand for themselves; long names are shortened."""
    path, other = path.with_name(name), path.with_name(f"axb.{1:016x}.part")
    pathlib.Path(text_file.temporary_name(os.fspath(path))).write_text("")
    other.write_text("")
    backprop.fast_train(NETWORK, X, Y, epochs=2, checkpoint=backprop.Checkpoint(path))
    assert sorted(path.parent.iterdir()) == sorted([path, other])


def test_a_folder_that_cannot_be_listed(engine, path, monkeypatch):
    """One with permission to write, but not to read."""

    def refused(folder):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)

    begun(path)
    monkeypatch.setattr(os, "listdir", refused)
    run = engine.train(NETWORK, X, Y, epochs=9, checkpoint=backprop.Checkpoint(path, every=4))
    assert digest(backprop.Training.load(path)) == digest(run)


def too_early(state):
    pytest.fail("it has begun")


def test_a_folder_that_cannot_be_written_is_known_before(engine, path, monkeypatch):
    def read_only(name, flags, *mode):
        if flags & os.O_CREAT:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), name)
        return os_open(name, flags, *mode)

    os_open = os.open
    monkeypatch.setattr(os, "open", read_only)
    with pytest.raises(OSError, match="Read-only") as caught:
        engine.train(NETWORK, X, Y, epochs=9, checkpoint=backprop.Checkpoint(path), callback=too_early)
    assert caught.value.filename == os.path.realpath(path)


if sys.platform == "linux":

    def test_a_folder_of_the_system_is_known_before(engine):
        with pytest.raises(OSError, match=r"/proc/run\.txt"):
            engine.train(NETWORK, X, Y, epochs=9, checkpoint=backprop.Checkpoint("/proc/run.txt"), callback=too_early)


def test_a_read_only_checkpoint(engine, path):
    """A complete run is returned; one that would have to be written is refused before it begins."""
    kept = backprop.Checkpoint(path)
    run = engine.train(NETWORK, X, Y, epochs=4, checkpoint=kept)
    path.chmod(0o444)
    before = path.read_bytes()
    assert digest(engine.train(NETWORK, X, Y, epochs=4, checkpoint=kept)) == digest(run)
    with pytest.raises(PermissionError, match="read-only"):
        engine.train(NETWORK, X, Y, epochs=5, checkpoint=kept, callback=too_early)
    assert path.read_bytes() == before
    path.chmod(0o644)


def test_a_folder_that_is_not_there(engine, path):
    """Is known before anything is computed."""
    kept = backprop.Checkpoint(path / "run")
    with pytest.raises(FileNotFoundError):
        engine.train(NETWORK, X, Y, epochs=1, checkpoint=kept, callback=lambda state: pytest.fail("it has begun"))
    path.mkdir()
    with pytest.raises(OSError, match="not a regular file"):
        engine.train(NETWORK, X, Y, epochs=1, checkpoint=backprop.Checkpoint(path))


if os.name == "posix":

    def test_what_is_no_file(path):
        os.mkfifo(path)
        with pytest.raises(OSError, match="not a regular file"):
            backprop.fast_train(NETWORK, X, Y, epochs=1, checkpoint=backprop.Checkpoint(path))

    def test_through_a_link(path):
        path.symlink_to(path.with_name("elsewhere"))
        run = backprop.fast_train(NETWORK, X, Y, epochs=2, checkpoint=backprop.Checkpoint(path, every=1))
        assert path.is_symlink()
        assert digest(backprop.Training.load(path.with_name("elsewhere"))) == digest(run)


def test_a_callback_that_goes_to_another_folder(tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    kept = backprop.Checkpoint("run", every=1)
    backprop.fast_train(NETWORK, X, Y, epochs=3, checkpoint=kept, callback=lambda state: os.chdir(tmp_path / "other"))
    assert sorted(os.listdir(tmp_path)) == ["other", "run"]
    assert os.listdir(tmp_path / "other") == []


def test_bytes_path(path):
    backprop.fast_train(NETWORK, X, Y, epochs=2, checkpoint=backprop.Checkpoint(os.fsencode(path)))
    assert backprop.Training.load(path).epochs == 2


# Errors.


@pytest.mark.parametrize(
    ("settings", "exception", "words"),
    [
        ({"path": 5}, TypeError, "path must be a str or path-like, got 5"),
        ({"path": None}, TypeError, "path must be a str or path-like, got None"),
        ({"path": ""}, ValueError, "path must name a file, got ''"),
        ({"every": 0}, ValueError, "every must be an integer >= 1, got 0"),
        ({"every": 2.0}, TypeError, "every must be an integer >= 1, got 2.0"),
        ({"every": True}, TypeError, "every must be an integer >= 1, got True"),
        ({"seconds": 0}, ValueError, r"seconds must be a finite number in \(0, inf\), got 0"),
        ({"seconds": float("inf")}, ValueError, r"seconds must be a finite number in \(0, inf\), got inf"),
        ({"seconds": "1"}, TypeError, r"seconds must be a real number in \(0, inf\), got '1'"),
    ],
)
def test_bad_settings(settings, exception, words):
    with pytest.raises(exception, match=words):
        backprop.Checkpoint(**{"path": "run", **settings})


def test_bad_use(engine, path):
    for bad in (5, "run", backprop.Checkpoint, path):
        with pytest.raises(TypeError, match=r"checkpoint must be None or a backprop.Checkpoint\(...\), got"):
            engine.train(NETWORK, X, Y, epochs=1, checkpoint=bad)
        with pytest.raises(TypeError, match=r"checkpoint must be None"):
            engine.train(NETWORK, X, Y, epochs=1).resume(X, Y, epochs=1, checkpoint=bad)
    begun(path)
    kept = backprop.Checkpoint(path)
    with pytest.raises(ValueError, match=r"X must be finite, got nan in row 0, column 0"):
        engine.train(NETWORK, X * np.nan, Y, checkpoint=kept)
    with pytest.raises(ValueError, match=r"y must have as many rows"):
        engine.train(NETWORK, X, Y[1:], checkpoint=kept)


def test_the_definition_begins_and_the_kernel_ends(path, undisturbed):
    with pytest.raises(StopError):
        train("definition", path, callback=stop_after(5))
    function, settings, every = RUNS["definition"]
    assert function is reference.train
    run = backprop.fast_train(NETWORK, X, Y, checkpoint=backprop.Checkpoint(path, every=every), **settings)
    assert digest(run) == undisturbed["definition"]


def test_the_error_of_a_run_in_a_callback_is_its_own(tmp_path):
    """Its training is that of the run that could not be saved, though a run with a checkpoint passes the error on."""
    net, X, y = backprop.Network([1, 1]), [[1.0], [2.0]], [1.0, 2.0]
    folder, outer = tmp_path / "folder", backprop.Checkpoint(tmp_path / "outer")
    folder.mkdir()

    def train_another(state):
        settings = {"epochs": 3, "callback": lambda _: folder.exists() and folder.rmdir()}
        backprop.fast_train(net, X, y, checkpoint=backprop.Checkpoint(folder / "inner"), **settings)

    with pytest.raises(backprop.CheckpointError, match="inner") as caught:
        backprop.fast_train(net, X, y, epochs=2, callback=train_another, checkpoint=outer)
    assert caught.value.training.epochs == 3
    assert caught.value.training.resume(X, y, epochs=1).epochs == 4


def test_a_name_that_is_too_long_is_refused_before_training(tmp_path):
    epochs = []
    with pytest.raises(OSError, match="File name too long"):
        backprop.fast_train(
            backprop.Network([1, 1]),
            [[1.0]],
            [1.0],
            checkpoint=backprop.Checkpoint(tmp_path / ("a" * 300)),
            callback=epochs.append,
        )
    assert epochs == []
