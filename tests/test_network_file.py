"""Network files: exact, checked, replaced as a whole."""

import os
import pickle
import stat
import sys

import numpy as np
import pytest
from problems import signed

import backprop

SPECIAL = [0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1e-310, 1.7976931348623157e308, 1.0 / 3.0, -0.1, 1e22]


@pytest.fixture
def saved(tmp_path):
    """(network, the path of its file): 3-2-2 with every kind of number."""
    network = backprop.Network([3, 2, 2], "leaky_relu", "softmax", rng=1)
    network = network.with_parameters([*SPECIAL, *network.parameters[10:]])
    path = tmp_path / "net.txt"
    network.save(path)
    return network, path


def refused(path, *words):
    """Loading raises a ValueError that names the file and holds the words; what was there stays there."""
    before = path.read_bytes()
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        backprop.Network.load(path)
    assert type(caught.value) is ValueError
    for word in (os.fspath(path), *words):
        assert word in str(caught.value)
    assert path.read_bytes() == before


def test_round_trip_is_exact(saved):
    network, path = saved
    again = backprop.Network.load(path)
    assert again == network
    assert again.parameters.tobytes() == network.parameters.tobytes()
    assert again.parameters[:10].tobytes() == np.array(SPECIAL).tobytes()
    assert (again.sizes, again.activations) == (network.sizes, network.activations)
    assert not again.parameters.flags.writeable


@pytest.mark.parametrize("sizes", [[1, 1], [2, 3, 4, 5, 6], [40, 1, 40]])
def test_shapes_of_network(tmp_path, sizes):
    network = backprop.Network(sizes, ["tanh", "relu", "elu"][: len(sizes) - 2], "softsign", rng=2)
    network.save(tmp_path / "a")
    assert backprop.Network.load(tmp_path / "a") == network


def test_same_network_same_bytes(saved, tmp_path):
    network, path = saved
    pickle.loads(pickle.dumps(network)).save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    assert b"\r" not in path.read_bytes()
    assert path.read_bytes().startswith(
        b"backprop-network 1\nsizes 3 2 2\nactivations leaky_relu softmax\nW1[0] 0x0.0p+0 -0x0.0p+0\n"
    )


def test_path_as_text_or_pathlib(saved):
    network, path = saved
    network.save(str(path) + "2")
    assert backprop.Network.load(str(path) + "2") == backprop.Network.load(path)


def test_line_ends_of_windows(saved):
    network, path = saved
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert backprop.Network.load(path) == network


def test_truncated(saved):
    _, path = saved
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refused(path)
    path.write_bytes(whole[:-100])
    refused(path, "truncated")


def test_every_bit_altered(saved):
    _, path = saved
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in (place % 8, (place + 5) % 8):
            altered = bytearray(whole)
            altered[place] ^= 1 << bit
            path.write_bytes(altered)
            refused(path)
    path.write_bytes(whole.replace(b"0x1.", b"0x2.", 1))
    refused(path, "altered")


def test_lines_exchanged_or_added(saved):
    _, path = saved
    lines = path.read_bytes().splitlines(keepends=True)
    for other in (
        [*lines[:3], lines[4], lines[3], *lines[5:]],
        [*lines, b"\n"],
        [*lines, lines[-1]],
        [b"\n", *lines],
        lines[1:],
        [*lines[:4], *lines[5:]],
    ):
        path.write_bytes(b"".join(other))
        refused(path)


@pytest.mark.parametrize("version", [b"2", b"0", b"1.1", b"", b"1 2", b"x" * 1000])
def test_other_version(saved, version):
    _, path = saved
    body = path.read_bytes().rpartition(b"sha256 ")[0]
    path.write_bytes(signed(body.replace(b"backprop-network 1", b"backprop-network " + version, 1)))
    refused(path, "version", "reads version '1'")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
        b'{"sizes": [2, 3, 1]}',
        b"a,b,c\n1,2,3\n",
        pickle.dumps([1.0, 2.0]),
        "backprop-network 1\nsizes 1 1\nñ".encode("latin-1"),
        "backprop-network 1\n".encode("utf-16"),
        b"\xef\xbb\xbfbackprop-network 1\n",
        b"Backprop-Network 1\n",
    ],
)
def test_not_a_network_file(tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)
    refused(path, "not a network file")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"sizes 3 2 2", b"sizes 3 2 0"),
        (b"sizes 3 2 2", b"sizes 3 2"),
        (b"sizes 3 2 2", b"sizes -3 2 2"),
        (b"sizes 3 2 2", b"sizes 99999999999999 2 2"),
        (b"sizes 3 2 2", b"sizes 3 2.0 2"),
        (b"sizes 3 2 2", b"sizes"),
        (b"sizes 3 2 2", b"size 3 2 2"),
        (b"sizes 3 2 2", b"sizes +3 2 2"),
        (b"sizes 3 2 2", b"sizes 03 2 2"),
        (b"sizes 3 2 2", b"sizes 3 2 2\t"),
        (b"sizes 3 2 2", b"sizes 3 0_2 2"),
        (b"sizes 3 2 2", b"sizes -1000000000 1000000005 2"),  # as many lines as there are; nobody may count to it
        (b"sizes 3 2 2", b"sizes " + b"9" * 5000 + b" 2 2"),
        (b"leaky_relu softmax", b"softmax leaky_relu"),
        (b"leaky_relu softmax", b"sigmoid softmax"),
        (b"leaky_relu softmax", b"softmax"),
        (b"leaky_relu softmax", b"leaky_relu leaky_relu softmax"),
        (b"activations leaky_relu softmax", b"activations"),
        (b"W1[0] 0x0.0p+0", b"W1[0] nan"),
        (b"W1[0] 0x0.0p+0", b"W1[0] inf"),
        (b"W1[0] 0x0.0p+0", b"W1[0] 0x1.0p+1024"),
        (b"W1[0] 0x0.0p+0", b"W1[0] zero"),
        (b"W1[0] 0x0.0p+0", b"W1[0] 0.0"),
        (b"W1[0] 0x0.0p+0", b"W1[0] 0"),
        (b"W1[0] 0x0.0p+0", b"W1[0] +0x0.0p+0"),
        (b"W1[0] 0x0.0p+0", b"W1[0] 0x0.0p+0\t"),
        (b"W1[0] 0x0.0p+0", b"W1[0] 0X0.0P+0"),
        (b"W1[0] 0x0.0p+0", b"W1[0]"),
        (b"W1[0] 0x0.0p+0", b"W1[0] 0x0.0p+0 0x0.0p+0"),
        (b"W1[0]", b"W1[1]"),
        (b"b2 ", b"b3 "),
        (b"b2 ", b"\nb2 "),
        (b"\nb2 ", b" "),
    ],
)
def test_well_signed_but_wrong(saved, old, new):
    """A sum that fits is no proof: what is in the file is checked as well."""
    _, path = saved
    body = path.read_bytes().rpartition(b"sha256 ")[0]
    assert old in body
    path.write_bytes(signed(body.replace(old, new, 1)))
    refused(path)


@pytest.mark.parametrize("number", [b"0x1.4p+3", b"0x1.40000p+3", b"0xap+0", b"0x1.4p3", b"0x0.00000000000014p+55"])
def test_numbers_as_other_languages_write_them(saved, number):
    """C's %a leaves it to the library which digit comes before the point."""
    network, path = saved
    body = path.read_bytes().rpartition(b"sha256 ")[0]
    path.write_bytes(signed(body.replace(b"W1[0] 0x0.0p+0", b"W1[0] " + number, 1)))
    assert backprop.Network.load(path).parameters.tolist() == [10.0, *network.parameters[1:]]


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        backprop.Network.load(tmp_path / "nowhere")
    with pytest.raises((IsADirectoryError, PermissionError)):  # the second on Windows
        backprop.Network.load(tmp_path)
    with pytest.raises(FileNotFoundError):
        backprop.Network([1, 1]).save(tmp_path / "no_folder" / "net.txt")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", [None, 1.5, 7, ["net"]])
def test_path_of_another_kind(bad):
    with pytest.raises(TypeError):
        backprop.Network([1, 1]).save(bad)
    if bad != 7:  # open() takes a number as a file that is open already
        with pytest.raises(TypeError):
            backprop.Network.load(bad)


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()], ids=repr)
def test_a_failed_save_leaves_the_old_file(saved, monkeypatch, step, failure):
    network, path = saved
    before = path.read_bytes()

    def fail(*arguments):
        raise failure

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(failure)):
        network.with_parameters(-network.parameters).save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    network.with_parameters(-network.parameters).save(path)
    assert backprop.Network.load(path) != network


def test_save_over_a_folder(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        backprop.Network([1, 1]).save(tmp_path / "folder")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


if sys.platform != "win32":  # where making a link takes a right of its own

    def test_save_through_a_link(saved, tmp_path):
        network, path = saved
        os.symlink(path, tmp_path / "link")
        network.with_parameters(-network.parameters).save(tmp_path / "link")
        assert (tmp_path / "link").is_symlink()
        assert backprop.Network.load(path) == network.with_parameters(-network.parameters)


def test_what_is_no_file_is_left_alone(tmp_path):
    if os.name == "nt":  # which has no such files
        return
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="not a regular file"):
        backprop.Network([1, 1]).save(pipe)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert os.listdir(tmp_path) == ["pipe"]
    with pytest.raises(FileNotFoundError):
        backprop.Network([1, 1]).save("")


def test_the_mode_of_a_replaced_file_is_kept(tmp_path):
    path = tmp_path / "net"
    backprop.Network([1, 1]).save(path)
    path.chmod(0o600)
    backprop.Network([1, 2]).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_bytes_path(tmp_path):
    path = os.fsencode(tmp_path / "net")
    backprop.Network([1, 1]).save(path)
    assert backprop.Network.load(path) == backprop.Network([1, 1])


@pytest.mark.parametrize("path", ["missing/net", "."])
def test_errors_name_the_path_that_was_asked_for(tmp_path, path):
    with pytest.raises(OSError, match=r"[Dd]irectory") as caught:
        backprop.Network([1, 1]).save(tmp_path / path)
    assert caught.value.filename == os.path.realpath(tmp_path / path)
    assert caught.value.filename2 is None
