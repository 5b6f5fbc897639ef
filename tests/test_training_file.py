"""Files of training runs: exact, checked, safe, and resumed to the same bits."""

import itertools
import os
import pathlib
import pickle
import typing

import numpy as np
import pytest
from problems import optimizers_by_rule, run_bits, signed

import backprop
from backprop import _kernel, streams, training_file
from backprop.optimizers import FULL_BATCH, Optimizer, plan_of
from backprop.state import RunState, Settings

X = np.linspace(-1.0, 1.0, 12)[:, None]
Y = np.sin(4.0 * X)
LABELS = (X[:, 0] > 0.0).astype(np.int8)
NETWORK = backprop.Network([1, 3, 1], rng=1)
CLASSES = backprop.Network([1, 3, 2], "relu", "softmax", rng=1)
WATCHED = backprop.EarlyStopping(validation_data=(X[::3].tolist(), -Y[::3]), patience=3)

OPTIMIZERS = [
    backprop.SGD(0.1),
    backprop.SGD(0.1, momentum=0.9),
    backprop.SGD(0.1, momentum=0.5, nesterov=True),
    backprop.Adam(0.05),
    backprop.AdamW(0.05),
    backprop.RMSprop(0.01),
    backprop.RMSprop(0.01, momentum=0.5),
    backprop.Adam(backprop.StepDecay(0.1, 2, 0.5)),
    backprop.SGD(backprop.ReduceOnPlateau(0.1, patience=1)),
    backprop.Rprop(),
    backprop.Rprop("rprop+", first_step=0.01),
    backprop.LBFGS(memory=2, l2=0.01),
    backprop.LevenbergMarquardt(mu=0.1),
    backprop.SGD(backprop.StepDecay(0.1, every=2), l1=0.01, l2=0.1, clip_norm=0.5),
    backprop.Adam(backprop.CosineDecay(0.1, epochs=7)),
    backprop.RMSprop(backprop.ReduceOnPlateau(0.1, patience=2)),
]
RULES = {plan_of(one).rule for one in OPTIMIZERS}
OPTIMIZERS += [one for rule, one in optimizers_by_rule().items() if rule not in RULES]
STREAMS = {
    "seed": lambda: 0,
    "long seed": lambda: 2**128 - 1,
    "longer seed": lambda: 10**5000,
    "fresh": lambda: None,
    "seed sequence": lambda: np.random.SeedSequence([1, 2]),
    "generator": lambda: np.random.default_rng(3),
    "PCG64DXSM": lambda: np.random.PCG64DXSM(3),
    "Philox": lambda: np.random.Philox(3),
    "SFC64": lambda: np.random.SFC64(3),
}


def same(one, other):
    """Everything that two runs hold; a seed whose stream has not begun is still a seed."""
    assert run_bits(one) == run_bits(other)
    assert type(one._state.stream) is type(other._state.stream)


def check(run, path, X=X, y=Y):
    run.save(path)
    whole = path.read_bytes()
    again = backprop.Training.load(path)
    same(again, run)
    assert again._state.losses is not run._state.losses
    again.save(path)
    assert path.read_bytes() == whole
    same(again.resume(X, y, epochs=4), run.resume(X, y, epochs=4))
    again.save(path)
    assert path.read_bytes() == whole  # resuming it has changed nothing


@pytest.mark.parametrize("stop", [None, WATCHED, backprop.EarlyStopping(validation_fraction=0.3, restore_best=False)])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_every_optimizer(engine, tmp_path, optimizer, stop):
    batch_size = None if isinstance(optimizer, FULL_BATCH) else 5
    run = engine.train(NETWORK, X, Y, epochs=5, optimizer=optimizer, batch_size=batch_size, stopping=stop)
    check(run, tmp_path / "run")


def test_block_shuffle(engine, tmp_path):
    shuffle = backprop.BlockShuffle(3, window=10**30)
    run = engine.train(NETWORK, X, Y, epochs=3, batch_size=2, shuffle=shuffle)
    check(run, tmp_path / "run")
    assert b"\nsettings.shuffle BlockShuffle\nsettings.shuffle.rows int 3\n" in (tmp_path / "run").read_bytes()


def test_no_optimizer_is_left_out():
    assert {type(one) for one in OPTIMIZERS} == set(typing.get_args(Optimizer))
    assert {one.__name__ for one in typing.get_args(Optimizer)} <= set(training_file.KINDS)
    assert {plan_of(one).rule for one in OPTIMIZERS} >= set(_kernel.UPDATE_RULES)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("make", STREAMS.values(), ids=STREAMS)
def test_every_stream(tmp_path, make, shuffle):
    check(backprop.fast_train(NETWORK, X, Y, epochs=3, batch_size=5, rng=make(), shuffle=shuffle), tmp_path / "run")


@pytest.mark.parametrize("y", [LABELS, LABELS.astype(float), np.eye(2)[LABELS]], ids=["labels", "floats", "rows"])
def test_validation_data_of_every_kind(tmp_path, y):
    for stop in (
        None,
        backprop.EarlyStopping(validation_data=(X.astype(np.float32), y), patience=None, target_loss=-1),
    ):
        check(backprop.fast_train(CLASSES, X, y, epochs=3, stopping=stop), tmp_path / "run", X, y)


@pytest.mark.parametrize("weights", [None, range(1, 13), np.linspace(0.0, 1.0, 12, dtype=np.float32)])
def test_weights_of_rows(tmp_path, weights):
    stop = backprop.EarlyStopping(validation_data=(X, Y, weights))
    check(backprop.fast_train(NETWORK, X, Y, epochs=3, sample_weight=weights, stopping=stop), tmp_path / "run")


@pytest.mark.parametrize("rate", [0.0, 0.5, 5e-324])
def test_dropout(engine, tmp_path, rate):
    """Whose stream is the state's last part."""
    path = tmp_path / "run"
    check(engine.train(NETWORK, X, Y, epochs=3, dropout=backprop.Dropout(rate, rng=2**100)), path)
    body = path.read_bytes().rpartition(b"sha256 ")[0]
    line = next(one for one in body.split(b"\n") if one.startswith(b"state.dropout "))
    other = b"PCG64 state.state 5 state.inc 7 has_uint32 0 uinteger 0" if line.endswith(b"none") else b"none"
    for value in (other, b"int 5", b"SFC64 state.state 1 2 3 4 has_uint32 0 uinteger 0", b"float64 1 0x1.0p+0"):
        path.write_bytes(signed(body.replace(line, b"state.dropout " + value)))
        refused(path, "state.dropout")


def test_other_settings(tmp_path):
    path = tmp_path / "run"
    check(backprop.fast_train(NETWORK, X, Y, loss="huber", batch_size=5, train_biases=False, epochs=2), path)
    check(backprop.fast_train(NETWORK, X, Y, epochs=9, callback=lambda state: state.epoch == 3), path)
    assert backprop.Training.load(path).stopped == "callback"
    stop = backprop.EarlyStopping(patience=2, min_improvement=0.5, target_loss=1e-9, time_limit=1e5, rng=2**70)
    check(backprop.fast_train(NETWORK, X, Y, epochs=9, stopping=stop), path)
    assert backprop.Training.load(path).settings.stopping == stop


def test_special_numbers(tmp_path):
    network = NETWORK.with_parameters([0.0, -0.0, 5e-324, -5e-324, 1e-310, 0.1, 1e22, -1.0 / 3.0, 2.0, 0.0])
    run = backprop.fast_train(network, X, Y, epochs=1, optimizer=backprop.SGD(5e-324))
    run.network.parameters.tolist()
    check(run, tmp_path / "run")


def test_a_pickle_of_what_was_loaded(tmp_path):
    run = backprop.fast_train(NETWORK, X, Y, epochs=5, stopping=WATCHED)
    run.save(tmp_path / "run")
    same(pickle.loads(pickle.dumps(backprop.Training.load(tmp_path / "run"))), run)


def test_a_seed_that_is_too_long(tmp_path):
    stop = backprop.EarlyStopping(rng=10**700)
    run = backprop.fast_train(NETWORK, X, Y, epochs=1, stopping=stop)
    with pytest.raises(ValueError, match=r"settings\.stopping\.rng must have at most 640 digits"):
        run.save(tmp_path / "run")
    with pytest.raises(ValueError, match=r"settings\.stopping\.rng must have at most 640 digits"):
        backprop.fast_train(NETWORK, X, Y, epochs=1, stopping=stop, checkpoint=backprop.Checkpoint(tmp_path / "run"))
    assert os.listdir(tmp_path) == []


def test_a_generator_that_would_stand_still(tmp_path):
    stream = np.random.PCG64(0)
    stream.state = {**stream.state, "state": {"state": 0, "inc": 0}}
    run = backprop.fast_train(NETWORK, X, Y, epochs=1, rng=stream, shuffle=False)
    with pytest.raises(ValueError, match=r"odd state\.inc"):
        run.save(tmp_path / "run")


# What is not as it should be.


def refused(path, *words):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        backprop.Training.load(path)
    assert type(caught.value) is ValueError
    for word in (os.fspath(path), *words):
        assert word in str(caught.value)
    assert len(str(caught.value)) < 1000 + len(os.fspath(path))
    return str(caught.value)


@pytest.fixture(scope="module", params=["plain", "watched"])
def saved(request, tmp_path_factory):
    """The bytes of a file."""
    path = tmp_path_factory.mktemp("saved") / "run"
    if request.param == "plain":
        run = backprop.fast_train(NETWORK, X, Y, epochs=3, batch_size=5, rng=np.random.Philox(3))
    else:
        run = backprop.fast_train(NETWORK, X, Y, epochs=9, stopping=WATCHED, optimizer=backprop.Rprop())
    run.save(path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "other"


def test_truncated(saved, path):
    for length in range(0, len(saved), 7):
        path.write_bytes(saved[:length])
        refused(path)
    path.write_bytes(saved[:-1])
    refused(path, "truncated")


def test_bits_altered(saved, path):
    for place in range(0, len(saved), 5):
        altered = bytearray(saved)
        altered[place] ^= 1 << place % 8
        path.write_bytes(altered)
        refused(path)


@pytest.mark.parametrize("content", [b"", b"backprop-network 1\n", pickle.dumps([1.0]), b"\xff", b"backprop-training"])
def test_not_such_a_file(path, content):
    path.write_bytes(content)
    refused(path)
    backprop.Network([1, 1]).save(path)
    refused(path, "is not a file of a training run")


@pytest.mark.parametrize("version", [b"2", b"0", b"", b"1 2"])
def test_other_version(saved, path, version):
    path.write_bytes(saved.replace(b"backprop-training 1", b"backprop-training " + version, 1))
    refused(path, "version", "reads version '1'")


def test_lines_left_out_twice_or_exchanged(saved, path):
    lines = saved.rpartition(b"sha256 ")[0].splitlines(keepends=True)
    for k in range(1, len(lines)):
        for other in (lines[:k] + lines[k + 1 :], lines[: k + 1] + lines[k:], [*lines[:k], b"\n", *lines[k:]]):
            path.write_bytes(signed(b"".join(other)))
            refused(path, "well formed")
        if k > 1:
            path.write_bytes(signed(b"".join([*lines[: k - 1], lines[k], lines[k - 1], *lines[k + 1 :]])))
            refused(path, "well formed")


VALUES = [b"none", b"true", b"int 0", b"int -1", b"int 7", b"float 0x1.0p+0", b"float -0x1.0p-3", b"text a", b"tuple 0"]
VALUES += [b"float64 0", b"float64 1 0x0.0p+0", b"int64 2 1 1", b"float64 0,10", b"float64 0,999999999999999", b"SGD"]
VALUES += [b"tuple 999999999999999", b"int 123456789012345678901234567890", b"RunState", b"float64 1,1 0x1.0p+0"]


def test_a_value_of_another_kind(saved, path):
    """In the place of any other: refused, or a run that resumes, or says that it cannot."""
    lines = saved.rpartition(b"sha256 ")[0].splitlines()
    for k, value in itertools.product(range(1, len(lines)), VALUES):
        label = lines[k].split(b" ")[0]
        end = k + 1
        while end < len(lines) and lines[end].startswith((label + b".", label + b"[")):  # what is inside
            end += 1
        path.write_bytes(signed(b"\n".join([*lines[:k], label + b" " + value, *lines[end:], b""])))
        try:
            run = backprop.Training.load(path)
        except ValueError:
            refused(path)
            continue
        try:
            resumed = run.resume(X, Y, epochs=2)
        except (ValueError, TypeError):
            continue
        assert np.isfinite(resumed.network.parameters).all()


@pytest.mark.parametrize(
    "value",
    [
        b"int 01",
        b"int +1",
        b"int 1_0",
        b"int -0",
        b"int",
        b"int 1 2",
        b"int " + b"9" * 641,
        b"int " + b"9" * 100000,
        b"float 1.0",
        b"float nan",
        b"float inf",
        b"float 0x1.0p+1024",
        b"float",
        b"text",
        b"text a b",
        b"true false",
        b"None",
        b"True",
        b"",
        b"Network",
        b"Training",
        b"Contents",
        b"os.system",
        b"SGD 1",
        b"float64",
        b"float64 2 0x1.0p+0",
        b"float64 1,1,1 0x1.0p+0",
        b"float64 -1 0x1.0p+0",
        b"float64 1 1.0",
        b"float64 1 nan",
        b"float64 99999999999999999999 0x1.0p+0",
        b"int64 1 9223372036854775808",
        b"int64 1 1.0",
        b"int64 1",
        b"object 1 1",
        b"tuple",
        b"tuple -1",
        b"tuple x",
        b"MT19937 state.state 1",
    ],
)
def test_a_value_that_is_none(path, value):
    """Where any is allowed to stand."""
    path.write_bytes(signed(b"backprop-training 1\nrun " + value + b"\n"))
    assert "not with 'sizes'" not in refused(path, "not well formed")


def test_streams(path):
    """NumPy itself would read beyond its memory with some of these."""

    def stream(text):
        path.write_bytes(signed(f"backprop-training 1\nrun {text}\n".encode()))

    fine = [
        "PCG64 state.state 5 state.inc 7 has_uint32 0 uinteger 0",
        "PCG64DXSM state.state 5 state.inc 7 has_uint32 0 uinteger 0",
        "Philox state.counter 0 0 0 1 state.key 1 2 buffer 1 2 3 4 buffer_pos 4 has_uint32 0 uinteger 0",
        "SFC64 state.state 1 2 3 4 has_uint32 1 uinteger 4294967295",
    ]
    assert [one.split(" ")[0] for one in fine] == [kind.__name__ for kind in streams.bit_generators()]
    for text in fine:
        stream(text)
        refused(path, "a line begins with '', not with 'sizes'")
        words = text.split(" ")
        for k in range(1, len(words)):
            for word in ("", "-1", "x", "1.0", "01", str(2**128), "9" * 5000, "state"):
                stream(" ".join([*words[:k], word, *words[k + 1 :]]))
                refused(path, f"well formed: {words[0]} must")
            stream(" ".join([*words[:k], *words[k + 1 :]]))
            refused(path, f"well formed: {words[0]} must")
        stream(f"{text} 1")
        refused(path, f"{words[0]} has words too many")
    stream(fine[0].replace("inc 7", "inc 8"))
    refused(path, "PCG64 must have an odd state.inc")
    stream(fine[2].replace("buffer_pos 4", "buffer_pos 5"))
    refused(path, "Philox must have buffer_pos below 5")


def test_values_in_values(path):
    """However deep, and however many are announced, it neither hangs nor takes memory."""
    names = "".join("run" + "[0]" * k + " tuple 1\n" for k in range(2000))
    path.write_bytes(signed(b"backprop-training 1\n" + names.encode()))
    refused(path, "too deep")


CHANGES = {
    "other sizes": (b"sizes int64 3 1 3 1", b"sizes int64 3 1 3 2", "parameters must be"),
    "sizes of no network": (b"sizes int64 3 1 3 1", b"sizes int64 3 1 0 1", "sizes"),
    "huge sizes": (b"sizes int64 3 1 3 1", b"sizes int64 3 1 4611686018427387904 1", "sizes"),
    "huge, but not too huge": (b"sizes int64 3 1 3 1", b"sizes int64 3 1 99999999999 1", "parameters must be"),
    "negative sizes": (b"sizes int64 3 1 3 1", b"sizes int64 3 1 -3 1", "sizes"),
    "an activation": (b"[0] text tanh", b"[0] text softmax", "softmax"),
    "a loss": (b"loss text squared_error", b"loss text cross_entropy", "cross_entropy"),
    "no loss": (b"loss text squared_error", b"loss none", "the settings"),
    "a shuffle of no rows": (
        b"shuffle true",
        b"shuffle BlockShuffle\nsettings.shuffle.rows int 0\nsettings.shuffle.window int 2",
        "rows must be an integer >= 1, got 0",
    ),
    "a shuffle that is a number": (b"shuffle true", b"shuffle int 5", "shuffle must be True"),
    "a batch size": (b"batch_size int 5", b"batch_size int 0", "batch_size"),
    "no batch size": (b"batch_size int 5", b"batch_size none", "the settings"),
    "a setting": (b"beta_1 float 0x1.c", b"beta_1 float 0x1.cp+1 0x1.c", "beta_1"),
    "a setting out of its range": (b"learning_rate float ", b"learning_rate float -", "learning_rate"),
    "another optimizer": (b"optimizer Adam\n", b"optimizer AdamW\n", "weight_decay"),
    "stopped": (b"stopped text epochs", b"stopped text <script>", "stopped"),
    "run": (b"run none", b"run text 12", "SHA-256"),
    "no losses": (b"losses float64 3 ", b"losses float64 0 ", "losses"),
    "a watch": (b"state.watch none", b"state.watch int 1", "watch"),
    "powers": (b"powers float64 2 ", b"powers float64 1,2 ", "state.powers must be numbers"),
    "a stream": (b"state.stream Philox", b"state.stream SFC64", "SFC64"),
}


@pytest.mark.parametrize(("old", "new", "words"), CHANGES.values(), ids=CHANGES)
def test_well_signed_but_wrong(tmp_path, old, new, words):
    path = tmp_path / "run"
    backprop.fast_train(NETWORK, X, Y, epochs=3, batch_size=5, rng=np.random.Philox(3)).save(path)
    body = path.read_bytes().rpartition(b"sha256 ")[0]
    assert body.count(old) == 1
    path.write_bytes(signed(body.replace(old, new)))
    refused(path, words)


WATCH_CHANGES = {
    "best_epoch": (lambda w: w._replace(best_epoch=w.best_epoch + 1), "best_epoch"),
    "true": (lambda w: w._replace(best_epoch=True), "best_epoch"),
    "since": (lambda w: w._replace(since=99), "since"),
    "negative": (lambda w: w._replace(since=-1), "since"),
    "losses": (lambda w: w._replace(losses=w.losses[:-1]), "losses"),
    "best": (lambda w: w._replace(best=w.best[:-1]), "best"),
    "other best": (lambda w: w._replace(best=w.last), "gives back"),
    "last": (lambda w: w._replace(last=w.last.reshape(1, -1)), "last"),
    "none": (lambda w: None, "must be a Watch"),
}


@pytest.mark.parametrize(("change", "words"), WATCH_CHANGES.values(), ids=WATCH_CHANGES)
def test_a_watch_that_does_not_fit(tmp_path, change, words):
    run = backprop.fast_train(NETWORK, X, Y, epochs=9, stopping=WATCHED)
    state = run._state._replace(watch=change(run._state.watch))
    training_file.write(tmp_path / "run", run._result._replace(state=state))
    refused(tmp_path / "run", words)


def test_an_optimizer_of_many_moments_is_not_believed(tmp_path):
    """A state's size is compared before anything of that size is made."""
    run = backprop.fast_train(NETWORK, X, Y, epochs=2)
    for shape in ((0, 10), (2, 11), (3, 10), (20,)):
        state = run._state._replace(slots=np.zeros(shape))
        training_file.write(tmp_path / "run", run._result._replace(state=state))
        refused(tmp_path / "run", "state.moments")


@pytest.mark.parametrize("mu", [0.0, -0.0, -1.0, 9e-21, 1e10 * 1.001, 5e-324])
def test_a_damping_that_leads_nowhere(tmp_path, mu):
    run = backprop.fast_train(NETWORK, X, Y, epochs=2, optimizer=backprop.LevenbergMarquardt())
    state = run._state._replace(scalars=np.array([mu]))
    path = tmp_path / "run"
    training_file.write(path, run._result._replace(state=state))
    refused(path, "none that the optimizer keeps")


def test_indices_of_lbfgs_are_not_believed(tmp_path):
    """The kernel would read and write beyond its memory; and no memory is taken because a setting asks for it."""
    path = tmp_path / "run"
    run = backprop.fast_train(NETWORK, X, Y, epochs=4, optimizer=backprop.LBFGS(memory=3))
    assert run._state.scalars[0] == 3.0
    for k, value in itertools.product((0, 1), (-1.0, 0.5, 4.0, 1e9, -1e300, 5e-324, 3.0)):
        powers = run._state.scalars.copy()
        powers[k] = value
        state = run._state._replace(scalars=powers)
        training_file.write(path, run._result._replace(state=state))
        if (k, value) == (0, 3.0):
            assert backprop.Training.load(path).epochs == 4
        else:
            refused(path, "none that the optimizer keeps")
    run.save(path)
    body = path.read_bytes().rpartition(b"sha256 ")[0]
    for memory in (b"2", b"4", b"1000", b"1000000000000", b"9" * 30):
        path.write_bytes(signed(body.replace(b"optimizer.memory int 3", b"optimizer.memory int " + memory)))
        refused(path, "none that the optimizer keeps" if len(memory) < 5 else "memory")


def test_line_ends_of_windows(saved, path):
    path.write_bytes(saved.replace(b"\n", b"\r\n"))
    assert backprop.Training.load(path).epochs > 0


def test_settings_are_made_by_their_own_checks():
    """The file's reader calls Settings.checked with each field by its name."""
    checked = Settings.checked.__func__.__annotations__
    assert set(Settings._fields) <= set(checked)


def test_the_documents_example(tmp_path, monkeypatch):
    """The text in docs/training-file.md is what its code writes, and every line of it is one that it explains."""
    text = (pathlib.Path(__file__).parents[1] / "docs" / "training-file.md").read_text(encoding="utf-8")
    code, example = text.split("```python\n")[1].split("```")[0], text.split("```text\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert (tmp_path / "run.txt").read_text(encoding="ascii") == example
    fields = [training_file.LABELS.get(name, name) for name in RunState._fields]
    for word in (*training_file.Contents._fields, *fields, *training_file.STREAMS, *training_file.CONSTANTS):
        assert f"`{word}`" in text or f".{word}`" in text


def test_paths(tmp_path):
    run = backprop.fast_train(NETWORK, X, Y, epochs=1)
    run.save(os.fsencode(tmp_path / "a"))
    same(backprop.Training.load(os.fsencode(tmp_path / "a")), run)
    with pytest.raises(OSError, match="folder"):
        run.save(tmp_path / "folder" / "a")
    with pytest.raises(FileNotFoundError):
        backprop.Training.load(tmp_path / "folder" / "a")
    with pytest.raises(TypeError):
        run.save(1.5)
