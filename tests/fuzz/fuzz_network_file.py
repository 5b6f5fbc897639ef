"""Fuzz Network.load with the bytes of a file.

A file that docs/network-file.md allows gives a network, which is saved and loaded again without the loss of a bit; any
other gives a ValueError that names the file. What is allowed is decided here by another reader, written from that
document. A stream gives what a path gives, and a file that is made large takes no more memory than three times its
size. The mutator knows lines, words and the checksum, which it mostly renews, so that what lies behind it is reached.
"""

import contextlib
import io
import math
import os
import random
import re
import tempfile

import atheris
from driver import FindingError, changed_line, check_memory, check_streams, content, main, signed

with atheris.instrument_imports(include=["backprop"]):
    import backprop
    import backprop.network_file

HIDDEN = {"identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "softplus", "softsign", "exponential"}
HIDDEN |= {"silu", "gelu", "gaussian"}
NUMBER = re.compile(r"-?0x[0-9a-f]+(\.[0-9a-f]+)?p[+-]?[0-9]+")
FOLDER = tempfile.mkdtemp()
PATH, AGAIN = os.path.join(FOLDER, "net.txt"), os.path.join(FOLDER, "again.txt")


def expected(data):
    """(sizes, activations, numbers) of a file that the document allows, else None."""
    lines = data.replace(b"\r\n", b"\n").split(b"\n")
    if len(lines) < 6 or lines[-1] != b"" or not all(byte < 128 for byte in data):
        return None
    body = b"".join(line + b"\n" for line in lines[:-2])
    if signed(body).split(b"\n") != lines or lines[0] != b"backprop-network 1":
        return None
    words = [line.decode().split(" ") for line in lines[1:-2]]
    (head, *sizes), (names_head, *names), *rows = words
    if (head, names_head) != ("sizes", "activations") or not all(re.fullmatch("[1-9][0-9]{0,8}", n) for n in sizes):
        return None
    sizes = [int(size) for size in sizes]
    if len(sizes) < 2 or len(names) != len(sizes) - 1:
        return None
    if not (set(names[:-1]) <= HIDDEN and names[-1] in HIDDEN | {"softmax"}):
        return None
    if len(rows) != sum(sizes[:-1]) + len(names):
        return None
    numbers = []
    for l, n_out in enumerate(sizes[1:], 1):
        for label in [*(f"W{l}[{i}]" for i in range(sizes[l - 1])), f"b{l}"]:
            found, *row = rows.pop(0)
            if found != label or len(row) != n_out or not all(map(NUMBER.fullmatch, row)):
                return None
            for word in row:
                try:
                    numbers.append(float.fromhex(word))
                except OverflowError:
                    return None
    return tuple(sizes), tuple(names), numbers


def one_input(data):
    check_memory(backprop.Network.load, PATH, data)
    with open(PATH, "wb") as file:
        file.write(data)
    check_streams(backprop.Network.load, PATH, data, lambda one, other: one == other)
    wanted = expected(data)
    try:
        network = backprop.Network.load(PATH)
    except ValueError as error:
        if type(error) is not ValueError or repr(PATH) not in str(error) or len(str(error)) > 2000:
            raise FindingError("the error is not the documented one, does not name the file, or has no end") from error
        if wanted is not None:
            raise FindingError("refused, though the document allows it") from error
        return
    if wanted is None:
        raise FindingError(f"loaded as {network!r}, though the document does not allow it")
    if (network.sizes, network.activations) != wanted[:2]:
        raise FindingError(f"loaded as {network!r}")
    if list(map(float.hex, network.parameters.tolist())) != list(map(float.hex, wanted[2])):
        raise FindingError("loaded with other parameters")
    if not all(map(math.isfinite, network.parameters.tolist())):
        raise FindingError("loaded with parameters that are not finite")
    network.save(AGAIN)
    saved, again = content(AGAIN), backprop.Network.load(AGAIN)
    if again != network or again.parameters.tobytes() != network.parameters.tobytes():
        raise FindingError("saved and loaded again, the network is another")
    again.save(AGAIN)
    if content(AGAIN) != saved:
        raise FindingError("saved again, the bytes are others")
    stream = io.BytesIO()
    network.save(stream)
    if stream.getvalue() != saved:
        raise FindingError("saved to a stream, the bytes are others")


def networks(seed):
    for k, (sizes, hidden, output) in enumerate(
        [
            ([1, 1], "tanh", "identity"),
            ([3, 2, 2], "leaky_relu", "softmax"),
            ([2, 3, 4, 1], ["relu", "elu"], "logistic"),
            ([4, 1, 1, 1, 2], ["softplus", "softsign", "identity"], "tanh"),
        ]
    ):
        yield backprop.Network(sizes, hidden, output, rng=seed + k)


def seeds(seed):
    for network in networks(seed):
        network.save(AGAIN)
        yield content(AGAIN)


WORDS = [
    b"",
    b"0",
    b"1",
    b"2",
    b"-1",
    b"+1",
    b"01",
    b"1_0",
    b"10",
    b"1.0",
    b"1e3",
    b"nan",
    b"inf",
    b"-inf",
    b"0x",
    b"\t",
]
WORDS += [b"0x1.8p+1", b"0x1p1024", b"-0x0.0p+0", b"0x1.fffffffffffff8p+1023", b"0x1p-1075", b"0x1p99999999999", b"1p3"]
WORDS += [b"0x0.00000000000008p-1022", b"9" * 5000, b"99999999999999999999", b"4294967296", b"0X1P+3", b"0x1.8p+1\x0b"]
WORDS += [
    b"softmax",
    b"tanh",
    b"TANH",
    b"relu ",
    b"sizes",
    b"W1[0]",
    b"b1",
    b"sha256 ",
    b"backprop-network",
    b"\r",
    b"\0",
]


def other_sizes(lines, _k, _words, choose):
    """Sizes whose sum is what it was, as is then the number of lines."""
    if len(lines) > 1:
        sizes = lines[1].split(b" ")
        with contextlib.suppress(ValueError):
            a, b = choose.sample(range(1, len(sizes)), 2)
            by = choose.choice([1, 2, 5, 10**6, 10**9, 10**18])
            sizes[a], sizes[b] = b"%d" % (int(sizes[a]) + by), b"%d" % (int(sizes[b]) - by)
            lines[1] = b" ".join(sizes)


def mutator(data, max_size, seed):
    """Mostly change lines and sign them again; sometimes any bytes, or the last line."""
    choose = random.Random(seed)
    if choose.randrange(8) == 0 or not data:
        return atheris.Mutate(data, max_size)
    body, mark, _ = data.rpartition(b"sha256 ")
    lines = (body if mark else data).split(b"\n")
    for _ in range(choose.choice([1, 1, 1, 2, 4])):
        changed_line(lines, choose, WORDS, [other_sizes])
    body = choose.choice([b"\n"] * 15 + [b"\r\n"]).join(lines)
    body = body if body.endswith(b"\n") or choose.randrange(8) == 0 else body + b"\n"
    return signed(body.replace(b"\r\n", b"\n"))[:max_size] if choose.randrange(16) else signed(body)[:max_size]


if __name__ == "__main__":
    main(__file__, one_input, seeds, mutator)
