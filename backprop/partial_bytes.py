"""The bytes of partial sums: versioned, little-endian, checked. docs/partial-sums.md describes them."""

import hashlib
import math
import struct
from typing import NamedTuple

import numpy as np

from . import _kernel
from .nodes import NOTHING, Node, canonical, canonical_number, n_blocks, runs, within
from .version import contract_version

MAGIC, FORM = b"BPSUMS\r\n", 1
HEAD = struct.Struct("<8sII24s24sQQ32sQ")
NODE = struct.Struct("<QQddqdqq")
DIGEST = 32  # bytes of a SHA-256
KINDS = ("gradient", "loss", "normal_equations")  # of sums
MOST_ROWS = 2**53  # the numbers up to here are doubles


class Contents(NamedTuple):
    """All that the bytes hold beside versions and checksum."""

    of: str
    loss: str
    n_rows: int
    n_parameters: int
    network: bytes  # SHA-256 of its sizes, activations and parameters
    nodes: tuple[Node, ...]


def width(of: str, n_parameters: int) -> int:
    """The numbers that a node holds beside its loss and its weight."""
    return {"gradient": n_parameters, "loss": 0, "normal_equations": n_parameters * (n_parameters + 3) // 2}[of]


def pack(contents: Contents) -> bytes:
    """The bytes of partial sums."""
    of, loss, n_rows, n_parameters, network, nodes = contents
    names = of.encode("ascii"), loss.encode("ascii")
    parts = [HEAD.pack(MAGIC, FORM, contract_version, *names, n_rows, n_parameters, network, len(nodes))]
    for *numbers, sums in nodes:
        parts += [NODE.pack(*numbers), sums.astype("<f8", copy=False).tobytes()]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return b"".join([*parts, digest.digest()])


def unpack(data: bytes | bytearray | memoryview) -> Contents:
    """What `pack` has made bytes of; ValueError says what is wrong. Takes no more memory than the bytes do."""
    view = memoryview(data)
    view = view.cast("B") if view.c_contiguous else memoryview(bytes(view))
    _demand(bytes(view[:8]) == MAGIC[: len(view)] and len(view) > 0, "they do not begin as partial sums do")
    _demand(len(view) >= HEAD.size + DIGEST, f"they are cut off after {len(view)} bytes")
    _, form, version, of, loss, n_rows, n_parameters, network, count = HEAD.unpack_from(view)
    _demand(form == FORM, f"they have the form {form}, and this release reads the form {FORM}")
    if version != contract_version:
        raise ValueError(
            f"partial sums of contract version {version} cannot be joined with those of version {contract_version}: "
            "other operations, other bits; install the same release of backprop on all machines"
        )
    names = [name.rstrip(b"\0").decode("ascii", "replace") for name in (of, loss)]
    _demand(names[0] in KINDS and names[1] in _kernel.LOSSES, "they name no sums that this release knows")
    wide = width(names[0], n_parameters)
    wanted = HEAD.size + count * (NODE.size + 8 * wide) + DIGEST
    _demand(len(view) == wanted, f"they have {len(view)} bytes instead of {wanted}: cut off, or joined with others")
    _demand(hashlib.sha256(view[:-DIGEST]).digest() == view[-DIGEST:], "their checksum is wrong: they were altered")
    _demand(0 < n_rows <= MOST_ROWS and n_parameters > 0 and count > 0, "they hold no sums")
    nodes: list[Node] = []
    for at in range(HEAD.size, wanted - DIGEST, NODE.size + 8 * wide):
        first, blocks, total, weight, row, until, k, k_row = NODE.unpack_from(view, at)
        total, until = canonical_number(total), canonical_number(until)
        sums = np.frombuffer(view, "<f8", wide, at + NODE.size).astype(np.float64) if wide else NOTHING
        nodes.append(Node(first, blocks, total, weight, row, until, k, k_row, canonical(sums)))
        _check(nodes[-1], n_rows)
    keys = [(one.first_block, one.n_blocks) for one in nodes]
    _demand(all(a.end <= b.first_block for a, b in zip(nodes, nodes[1:], strict=False)), "their nodes overlap")
    of_tree = [key for first, end in runs(nodes) for key in within(first, end, 0, n_blocks(n_rows))]
    _demand(keys == of_tree, "their nodes are not the largest of the tree")
    return Contents(names[0], names[1], n_rows, n_parameters, network, tuple(nodes))


def _check(node: Node, n_rows: int) -> None:
    """Check that a node's numbers can be sums of its rows."""
    _demand(node.n_blocks > 0 and node.end <= n_blocks(n_rows), "they hold a node that is none of the tree")
    rows, k = node.rows(n_rows), _kernel.first_not_finite(node.sums)
    _demand(node.weight >= 0.0, "they hold a weight below 0")
    overflows = node.loss_row in rows and not math.isfinite(node.loss) and not math.isfinite(node.loss_until)
    _demand(overflows or (node.loss_row == -1 and node.loss_until == 0.0), "the row of a loss that overflows is wrong")
    _demand(node.parameter == k, "the parameter whose sum overflows is wrong")
    _demand(node.parameter_row == -1 or (k >= 0 and node.parameter_row in rows), "the row of its overflow is wrong")


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"data must be bytes that PartialSums.to_bytes has made: {what}")
