"""Network.save and load, Training.save and load: kinds of files, streams, and the memory that loading takes."""

import errno
import gzip
import io
import os
import stat
import subprocess
import tempfile
import tracemalloc

import numpy as np
import pytest
from problems import run_bits, signed

import backprop
from backprop import text_file

X, Y = [[0.0], [0.5], [1.0]], [0.0, 0.25, 1.0]
NETWORK = backprop.Network([1, 4, 1], rng=3)
RUN = backprop.fast_train(NETWORK, X, Y, epochs=3, stopping=backprop.EarlyStopping(validation_data=(X, Y)))
SAVED = {"network": NETWORK, "run": RUN}


def bits(value):
    return value if isinstance(value, backprop.Network) else run_bits(value)


@pytest.fixture(params=SAVED.values(), ids=SAVED)
def value(request):
    """A network and a run, which are saved and loaded alike."""
    return request.param


@pytest.fixture
def content(value, tmp_path):
    """The bytes of the value's file."""
    value.save(tmp_path / "content")
    return (tmp_path / "content").read_bytes()


@pytest.fixture
def path(tmp_path):
    (tmp_path / "folder").mkdir()
    return tmp_path / "folder" / "saved"


# Streams.


class Few(io.RawIOBase):
    """A raw stream that takes and gives a few bytes at a time, as a socket may."""

    def __init__(self, content=b""):
        self.content, self.at = bytearray(content), 0

    def readable(self):
        return True

    def writable(self):
        return True

    def write(self, data):
        self.content += data[:7]
        return min(len(data), 7)

    def readinto(self, buffer):
        part = self.content[self.at : self.at + min(len(buffer), 5)]
        self.at += len(part)
        buffer[: len(part)] = part
        return len(part)


class Own:
    """A stream of one's own, with nothing but read and write."""

    def __init__(self, inner):
        self.inner, self.read, self.write = inner, inner.read, inner.write


def opened(path, *given, **named):
    return open(path, *given, **named)


STREAMS = {
    "BytesIO": lambda path: io.BytesIO(),
    "StringIO": lambda path: io.StringIO(),
    "binary": lambda path: opened(path, "w+b"),
    "raw": lambda path: opened(path, "w+b", buffering=0),
    "text": lambda path: opened(path, "w+", encoding="utf-8"),
    "utf-16": lambda path: opened(path, "w+", encoding="utf-16"),
    "line ends": lambda path: opened(path, "w+", encoding="ascii", newline="\r\n"),
    "spooled": lambda path: tempfile.SpooledTemporaryFile(max_size=10),  # noqa: SIM115
    "temporary": lambda path: tempfile.NamedTemporaryFile(dir=path.parent),  # noqa: SIM115
    "few": lambda path: Few(),
    "own": lambda path: Own(io.BytesIO()),
}


@pytest.mark.parametrize("kind", STREAMS)
def test_streams(value, path, kind):
    """Saved to and loaded from a stream, which stays open."""
    stream = STREAMS[kind](path)
    value.save(stream)
    inner = getattr(stream, "inner", stream)
    if kind != "few":
        inner.seek(0)
    assert bits(type(value).load(stream)) == bits(value)
    assert not inner.closed
    inner.close()


def test_the_bytes_of_a_stream_are_those_of_a_file(value, content):
    stream, text = io.BytesIO(b"before "), io.StringIO()
    stream.seek(7)
    value.save(stream)
    value.save(text)
    assert stream.getvalue() == b"before " + content
    assert text.getvalue() == content.decode()
    stream.seek(7)
    assert bits(type(value).load(stream)) == bits(value)


def test_a_packed_file(value, path):
    with gzip.open(path, "wb") as file:
        value.save(file)
    with gzip.open(path, "rb") as file:
        assert bits(type(value).load(file)) == bits(value)


@pytest.mark.parametrize("kind", [io.BytesIO, Few, lambda content: io.StringIO(content.decode("latin-1"))])
def test_streams_that_are_damaged(value, content, kind):
    damaged = {
        "truncated": content[:-1],
        "altered": content.replace(b"0x1.", b"0x2.", 1),
        "plain text": content.replace(b"0x1.", b"\xe9", 1),
        "must begin with": b"",
        "version": content.replace(b" 1\n", b" 2\n", 1),
    }
    for word, part in damaged.items():
        with pytest.raises(ValueError, match=f"^the stream .*{word}"):
            type(value).load(kind(part))


@pytest.mark.parametrize("given", [None, 7, [b"text"], memoryview(b"text")], ids=["none", "int", "list", "view"])
def test_a_stream_that_gives_neither_bytes_nor_text(value, given):
    class Odd:
        def read(self, size=-1):
            return given

    with pytest.raises(TypeError, match=r"a stream whose read\(\) gives bytes or text, not <class"):
        type(value).load(Odd())


def test_an_error_of_a_stream_comes_through(value):
    class Full(io.BytesIO):
        def write(self, data):
            if data:
                raise OSError(errno.ENOSPC, "no space")

    with pytest.raises(OSError, match="no space"):
        value.save(Full())


@pytest.mark.parametrize("given", [b"GIF89a" + b"x" * 1000, b"backprop", b"backprop-network-2 1\n" + b"x" * 1000])
def test_the_first_line_comes_first(value, given):
    """No more is read of a stream that begins with something else."""
    stream = io.BytesIO(given)
    with pytest.raises(ValueError, match="it must begin with"):
        type(value).load(stream)
    assert stream.tell() <= 100


# Paths.


@pytest.mark.parametrize("bad", [0, 1, 2, True, False, None, 1.5, ["a"], bytearray(b"a"), object], ids=repr)
def test_what_is_no_file(value, bad):
    """Numbers are none, since open() would take over and close what they stand for."""
    with pytest.raises(TypeError, match=r"path must be a path, or a stream with a method read\(\), got"):
        type(value).load(bad)
    with pytest.raises(TypeError, match=r"path must be a path, or a stream with a method write\(\), got"):
        value.save(bad)
    for number in (0, 1, 2):
        os.fstat(number)


def test_content_is_no_path(value, content):
    for given in (content, content.decode()):
        with pytest.raises(ValueError, match=r"is the content of a file, not a path: load\(io\.BytesIO\(content\)\)"):
            type(value).load(given)


if os.name == "posix":

    @pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
    def test_a_device_is_refused(value, path, device):
        path.symlink_to(device)
        for one in (device, path):
            with pytest.raises(OSError, match=r"not a regular file|No such device"):
                type(value).load(one)

    def test_a_pipe_is_refused(value, path):
        """Without waiting for a writer. An open pipe is a stream."""
        os.mkfifo(path)
        with pytest.raises(OSError, match="not a regular file"):
            type(value).load(path)

    def test_an_open_pipe_is_a_stream(value, content):
        with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            value.save(child.stdin)
            child.stdin.close()
            assert bits(type(value).load(child.stdout)) == bits(value)


def test_a_read_only_file_stays(value, path):
    """A read-only file stays, as with open(), though the folder has permission to write."""
    path.write_bytes(b"precious")
    path.chmod(0o444)
    with pytest.raises(PermissionError, match="read-only") as caught:
        value.save(path)
    assert caught.value.filename == os.path.realpath(path)
    assert path.read_bytes() == b"precious"
    assert not path.stat().st_mode & stat.S_IWUSR
    assert os.listdir(path.parent) == [path.name]
    path.chmod(0o644)
    value.save(path)
    assert bits(type(value).load(path)) == bits(value)


@pytest.mark.parametrize("length", [64, 65, 100, 200, 233, 234, 250, 255])
def test_long_names(value, path, length):
    """Names may be as long as the file system allows."""
    path = path.with_name("n" * length)
    value.save(path)
    value.save(path)
    assert bits(type(value).load(path)) == bits(value)
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("name", ["n", "n" * 64, "n" * 65, "n" * 255, "\u00e9" * 60])
def test_temporary_names_are_no_longer_than_long_names(name):
    temporary = os.path.basename(text_file.temporary_name(name))
    assert len(os.fsencode(temporary)) <= max(64 + 22, len(os.fsencode(name)))
    assert temporary != os.path.basename(text_file.temporary_name(name))


# Memory.


N = 1_000_000
NET, TRAINING = b"backprop-network 1\n", b"backprop-training 1\n"
ONE = NET + b"sizes 1 1\nactivations tanh\n"
WIDE = NET + b"sizes 1 %d\nactivations tanh\nW1[0]" % (N // 6) + b" 0x0p0" * (N // 6)


def layers(n):
    """A network of many layers, in few bytes."""
    lines = b"".join(b"W%d[0] 0x0p0\nb%d 0x0p0\n" % (k, k) for k in range(1, n + 1))
    return NET + b"sizes" + b" 1" * (n + 1) + b"\nactivations" + b" elu" * n + b"\n" + lines


def items(n, *lines):
    """A tuple of many equal values, each of them one line or several."""
    parts = (b"".join(b"run[%d]%b\n" % (k, line) for line in lines) for k in range(n))
    return TRAINING + b"run tuple %d\n" % n + b"".join(parts)


HOSTILE = {
    "line feeds": NET + b"\n" * N,
    "line feeds of a run": TRAINING + b"\n" * N,
    "spaces": ONE + b"W1[0]" + b" " * N + b"\nb1 0x0p0\n",
    "sizes": NET + b"sizes" + b" 10" * (N // 5) + b"\nactivations tanh\n" + b"\n" * (N // 5 * 2),
    "larger sizes": NET + b"sizes" + b" 999" * (N // 5) + b"\nactivations tanh\n" + b"\n" * (N // 5),
    "names": NET + b"sizes 1 1\nactivations" + b" ab" * (N // 3) + b"\nW1[0] 0x0p0\nb1 0x0p0\n",
    "short numbers": WIDE + b"\nb1" + b" 0x0p0" * (N // 6) + b"\n",
    "layers": layers(20_000),
    "a long number": ONE + b"W1[0] 0x" + b"0" * N + b"p0\nb1 0x0p0\n",
    "a long label": TRAINING + b"r" * N + b"\n",
    "a long text": TRAINING + b"run text " + b"r" * N + b"\n",
    "a long integer": TRAINING + b"run int " + b"9" * N + b"\n",
    "integers": TRAINING + b"run int64 %d" % (N // 2) + b" 0" * (N // 2) + b"\n",
    "floats": TRAINING + b"run float64 %d" % (N // 6) + b" 0x0p0" * (N // 6) + b"\n",
    "none": items(N // 20, b" none"),
    "texts": items(N // 20, b" text ab"),
    "tuples": items(N // 20, b" tuple 0"),
    "numbers": items(N // 20, b" float 0x1p0"),
    "arrays": items(N // 20, b" float64 0"),
    "streams": items(N // 60, b" SFC64 state.state 1 2 3 4 has_uint32 1 uinteger 4"),
    "objects": items(N // 60, b" Dropout", b".rate float 0x1p-1", b".rng int 1"),
}


def peak_of(load, path):
    """The most memory that Python and NumPy hold at once, and what load gives or raises."""
    with pytest.raises(FileNotFoundError):
        load(path.with_name("other"))  # whatever is imported or made once
    tracemalloc.start()
    try:
        outcome = load(path)
    except (ValueError, FileNotFoundError) as error:
        outcome = error
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, outcome


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
def test_memory_for_files_of_strangers(path, body):
    """At most three times the file, and a few hundred kilobytes for any; refused with short words, or loaded."""
    path.write_bytes(signed(body))
    load = backprop.Network.load if body.startswith(NET) else backprop.Training.load
    peak, outcome = peak_of(load, path)
    assert peak < 3 * path.stat().st_size + 400_000
    if isinstance(outcome, ValueError):
        assert len(str(outcome)) < 400 + len(str(path))
    else:
        assert outcome.sizes[0] == 1


ROWS = np.zeros((5000, 2))
LARGE = {
    "network": lambda: backprop.Network([200, 100, 200]),
    "adam": lambda: backprop.fast_train(backprop.Network([2, 3000, 2]), ROWS[:9], ROWS[:9], epochs=1),
    "validation data": lambda: backprop.fast_train(
        backprop.Network([2, 2], output_activation="softmax"),
        ROWS[:9],
        [0] * 9,
        epochs=1,
        stopping=backprop.EarlyStopping(validation_data=(ROWS, [0] * 5000)),
    ),
    "losses": lambda: backprop.fast_train(
        backprop.Network([2, 2]), ROWS[:2], ROWS[:2], epochs=20_000, stopping=backprop.EarlyStopping(patience=None)
    ),
}


@pytest.mark.parametrize("make", LARGE.values(), ids=LARGE)
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_memory_for_files_of_ones_own(path, make, ends):
    value = make()
    value.save(path)
    path.write_bytes(path.read_bytes().replace(b"\n", ends))
    peak, again = peak_of(type(value).load, path)
    assert bits(again) == bits(value)
    assert peak < 3 * path.stat().st_size + 400_000


@pytest.mark.parametrize("zeros", [False, True])
def test_many_layers_with_a_rate_each(path, zeros):
    """The most values that a file of its length holds; the limit on memory does not refuse it."""
    network = backprop.Network([1] * 5000)
    network = network.with_parameters(np.zeros(network.n_parameters)) if zeros else network
    dropout = backprop.Dropout([0.5] * 4998)
    run = backprop.fast_train(network, X, [0.0] * 3, epochs=1, dropout=dropout, optimizer=backprop.SGD(0.1))
    run.save(path)
    assert bits(backprop.Training.load(path)) == bits(run)


def test_the_checksum_has_a_line_of_its_own(value, content):
    """A last line that goes on into the checksum, which is right, is no line of the format."""
    body = content[: content.rindex(b"sha256 ")]
    assert signed(body) == content
    for altered in (body[:-1], body[:-1] + b" "):
        with pytest.raises(ValueError, match="'sha256' does not begin a line"):
            type(value).load(io.BytesIO(signed(altered)))


@pytest.mark.parametrize("kind", [backprop.Network, backprop.Training])
def test_a_stream_that_cannot_be_read_keeps_its_own_error(kind, tmp_path):
    with open(tmp_path / "file", "wb") as stream, pytest.raises(io.UnsupportedOperation, match="read"):
        kind.load(stream)
