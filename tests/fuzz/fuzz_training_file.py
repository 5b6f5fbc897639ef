"""Fuzz Training.load with the bytes of a file.

A file gives a run, or a ValueError that names the file. A run that it gives is saved and loaded again without the loss
of a bit, and what was loaded has the very numbers of the file, by the small reader of docs/training-file.md. It resumes
with finite numbers, or says why not, and the definition with it. A stream gives what a path gives, a pickle holds the
same, and a file that is made large takes no more memory than three times its size. The mutator knows lines, words,
values and the checksum, which it mostly renews, so that what lies behind it is reached.
"""

import io
import os
import pathlib
import pickle
import random
import tempfile

import atheris
import numpy as np
from driver import FindingError, changed_line, check_memory, check_streams, content, main, signed

with atheris.instrument_imports(include=["backprop"]):
    import backprop
    import backprop.training_file
    from backprop import reference

FOLDER = tempfile.mkdtemp()
PATH, AGAIN = os.path.join(FOLDER, "run.txt"), os.path.join(FOLDER, "again.txt")
DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "training-file.md"
reader: dict = {}
exec(DOCUMENT.read_text(encoding="utf-8").split("```python\n")[2].split("\n\n\nassert")[0], reader)

X = np.linspace(-1.0, 1.0, 6)[:, None]
Y = np.sin(4.0 * X)
LABELS = (X[:, 0] > 0.0).astype(int)
MOST_ROWS = 2000  # of what is resumed: the definition is slow


def saved_bytes(run):
    stream = io.BytesIO()
    run.save(stream)
    return stream.getvalue()


def one_input(data):
    check_memory(backprop.Training.load, PATH, data)
    with open(PATH, "wb") as file:
        file.write(data)
    check_streams(backprop.Training.load, PATH, data, lambda one, other: saved_bytes(one) == saved_bytes(other))
    try:
        run = backprop.Training.load(PATH)
    except ValueError as error:
        if type(error) is not ValueError or repr(PATH) not in str(error) or len(str(error)) > 2000:
            raise FindingError("the error is not the documented one, does not name the file, or has no end") from error
        return
    values = reader["read"](PATH)
    arrays = {"parameters": run.network.parameters, "state.losses": run.losses}
    arrays |= {"state.moments": run._state.slots, "state.powers": run._state.scalars}
    for label, array in arrays.items():
        if array.tobytes() != np.array(values[label], np.float64).tobytes():
            raise FindingError(f"{label} is not what the file says")
        if not np.isfinite(array).all():
            raise FindingError(f"{label} is not finite")
    run.save(AGAIN)
    saved, again = content(AGAIN), backprop.Training.load(AGAIN)
    again.save(AGAIN)
    if content(AGAIN) != saved or saved_bytes(run) != saved:
        raise FindingError("saved again, the bytes are others")
    if saved_bytes(pickle.loads(pickle.dumps(run))) != saved:
        raise FindingError("a pickle of it holds something else")
    resume(run, again)


def resume(run, again):
    """Both engines go on from it, to the same end."""
    if run.network.sizes[0] != 1 or run.network.n_parameters > MOST_ROWS:
        return
    y = LABELS if run.network.activations[-1] == "softmax" else Y[:, : run.network.sizes[-1]]
    outcomes = []
    for one, engine in ((run, run._engine), (again, reference.DEFINITION)):
        training = backprop.Training(one._result, engine)
        try:
            more = training.resume(X, y, epochs=2)
        except (ValueError, OverflowError) as error:
            if type(error) not in (ValueError, OverflowError, backprop.DivergenceError):
                raise FindingError("it does not say why it cannot be resumed") from error
            outcomes.append(repr(error))
            continue
        if not np.isfinite(more.network.parameters).all():
            raise FindingError("resumed to numbers that are not finite")
        outcomes.append((more.network.parameters.tobytes(), more.losses.tobytes(), more.stopped))
    if outcomes[0] != outcomes[1]:
        raise FindingError(f"kernel and definition resume to {outcomes}")


def runs(seed):
    net, classes = backprop.Network([1, 2, 1], rng=seed), backprop.Network([1, 2, 2], "relu", "softmax", rng=seed)
    stop = backprop.EarlyStopping(validation_data=(X[:3], LABELS[:3]), patience=2)
    yield backprop.fast_train(net, X, Y, epochs=2)
    yield backprop.fast_train(net, X, Y, epochs=2, optimizer=backprop.SGD(0.1, 0.9, True), rng=np.random.Philox(seed))
    yield backprop.fast_train(net, X, Y, epochs=2, optimizer=backprop.Rprop(), rng=np.random.SFC64(seed))
    yield backprop.fast_train(net, X, Y, epochs=3, optimizer=backprop.LBFGS(memory=2))
    yield backprop.fast_train(net, X, Y, epochs=2, optimizer=backprop.LevenbergMarquardt())
    yield backprop.fast_train(classes, X, LABELS, epochs=9, stopping=stop, optimizer=backprop.RMSprop(momentum=0.5))
    optimizer = backprop.Adam(backprop.StepDecay(0.1, 2, 0.5), clip_norm=1.0)
    yield backprop.fast_train(net, X, Y, epochs=2, optimizer=optimizer, dropout=backprop.Dropout((0.5,), rng=seed))
    watch = backprop.EarlyStopping(validation_fraction=0.5, restore_best=False, target_loss=0.01, time_limit=1e5)
    yield backprop.fast_train(net, X, Y, epochs=3, stopping=watch, shuffle=False, loss="huber", batch_size=2)


def seeds(seed):
    for run in runs(seed):
        run.save(AGAIN)
        yield content(AGAIN)


WORDS = [b"", b"0", b"1", b"2", b"-1", b"+1", b"01", b"1_0", b"1.0", b"nan", b"inf", b"0x", b"\t", b"\r", b"\0", b"-0"]
WORDS += [b"0x1.8p+1", b"0x1p1024", b"-0x0.0p+0", b"0x1p-1075", b"9" * 5000, b"18446744073709551616", b"4294967296"]
WORDS += [b"9223372036854775808", b"0,1", b"1,0", b"2,7", b"7", b"999999999999999", b"0,999999999999999", b"<os>"]
WORDS += [
    b"softmax",
    b"tanh",
    b"identity",
    b"epochs",
    b"huber",
    b"sha256 ",
    b"backprop-training",
    b"340282366920938463",
]
KINDS = [b"none", b"true", b"false", b"int", b"float", b"text", b"float64", b"int64", b"tuple", b"PCG64", b"SFC64"]
KINDS += [b"Philox", b"PCG64DXSM", b"MT19937", *(name.encode() for name in backprop.training_file.KINDS)]
VALUES = [b"none", b"true", b"int 0", b"int 7", b"int -1", b"float 0x1.0p+0", b"float 0x0.0p+0", b"text a", b"tuple 0"]
VALUES += [b"float64 0", b"float64 1 0x0.0p+0", b"int64 2 1 1", b"float64 1,1 0x1.0p+0", b"float64 0,7", b"int64 0"]


def other_kind(lines, k, words, choose):
    lines[k] = b" ".join([words[0], choose.choice(KINDS), *words[2:]])


def other_value(lines, k, words, choose):
    """Another value in its place, and what was inside it left out."""
    inside = words[0] + b".", words[0] + b"["
    while k + 1 < len(lines) and lines[k + 1].startswith(inside):
        del lines[k + 1]
    lines[k] = words[0] + b" " + choose.choice(VALUES)


def other_integer(lines, k, words, choose):
    words[choose.randrange(len(words))] = b"%d" % choose.randrange(choose.choice([10, 2 ** choose.randrange(1, 140)]))
    lines[k] = b" ".join(words)


def mutator(data, max_size, seed):
    """Mostly change lines and sign them again; sometimes any bytes, or the last line."""
    choose = random.Random(seed)
    if choose.randrange(16) == 0 or not data:
        return atheris.Mutate(data, max_size)
    body, mark, _ = data.rpartition(b"sha256 ")
    lines = (body if mark else data).removesuffix(b"\n").split(b"\n")
    for _ in range(choose.choice([1, 1, 1, 2, 4])):
        changed_line(lines, choose, WORDS, [other_kind, other_value, other_integer])
    body = b"\n".join(lines) + (b"\n" if choose.randrange(16) else b"")
    return signed(body)[:max_size]


if __name__ == "__main__":
    main(__file__, one_input, seeds, mutator, max_len=16384)
