"""Partial sums: however the rows are cut, whoever computes the parts, the whole has the bits of one process."""

import copy
import functools
import hashlib
import math
import pickle
import struct
import tracemalloc

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.sparse
from problems import bits, losses_for, outcome

import backprop
from backprop import PartialSums, nodes, partial, partial_bytes, partial_sums, reference

LINEAR = backprop.Network([1, 1], rng=1)
LOSSES = [
    ("squared_error", "identity"),
    ("absolute_error", "tanh"),
    ("huber", "identity"),
    ("binary_cross_entropy", "logistic"),
    ("poisson", "exponential"),
    ("cross_entropy", "softmax"),
]


def rows(n, loss="squared_error", n_out=1, seed=0):
    """Rows (n, 1), targets that suit the loss, and sample weights of many sizes, some of them 0.0."""
    generator = np.random.default_rng([n, seed])
    X, y = generator.normal(size=(n, 1)), generator.random((n, n_out))
    if loss == "cross_entropy":
        y = generator.integers(0, n_out, n)
    return X, y, np.where(generator.random(n) < 0.1, 0.0, 2.0 ** generator.integers(-9, 9, n) * generator.random(n))


def cut(network, X, y, at, **settings):
    """Parts of rows that are cut at these blocks."""
    weights, n = settings.pop("sample_weight", None), X.shape[0]
    edges = [0, *(4096 * block for block in sorted(at)), n]
    return [
        partial_sums(network, X[a:b], y[a:b], sample_weight=None if weights is None else weights[a:b], first_row=a,
                     n_rows=n, **settings)
        for a, b in zip(edges, edges[1:], strict=False)
    ]  # fmt: skip


def mean_bits(sums):
    value = sums.mean()
    return value if sums.of == "loss" else (value[0], bits(value[1]))


def promised_bits(network, X, y, loss=None, sample_weight=None):
    value, gradient = backprop.loss_and_gradient(network, X, y, loss, sample_weight)
    return value, bits(gradient)


# The whole is that of one process.


@st.composite
def cuts(draw):
    """The number of rows of up to 200 blocks, the blocks at which they are cut, and a shuffled list with duplicates."""
    blocks = draw(st.one_of(st.integers(1, 20), st.integers(1, 200)))
    n = 4096 * blocks - draw(st.sampled_from((0, 0, 1, 2000, 4095)))
    at = draw(st.sets(st.integers(1, blocks - 1), max_size=12)) if blocks > 1 else set()
    parts = draw(st.permutations(range(len(at) + 1)))
    more = draw(st.lists(st.sampled_from(parts), max_size=3))
    return n, at, [*parts, *more]


@hypothesis.settings(max_examples=60)
@hypothesis.given(cuts(), st.booleans(), st.integers(1, 4), st.sampled_from(("gradient", "loss")), st.randoms())
def test_any_cut_any_order_and_duplicates(threads_for_all_examples, cut_as, weighted, n_threads, of, random):
    n, at, order = cut_as
    X, y, c = rows(n)
    c = c if weighted else None
    parts = cut(LINEAR, X, y, at, sample_weight=c, n_threads=n_threads, of=of)
    given = [parts[k] for k in order]
    sums = PartialSums.merge(given)
    promised = promised_bits(LINEAR, X, y, None, c)
    assert mean_bits(sums) == (promised if of == "gradient" else promised[0])
    assert sums == partial_sums(LINEAR, X, y, sample_weight=c, first_row=0, n_rows=n, of=of)
    # Some are joined first, in any groups.
    groups = {}
    for part in parts:
        groups.setdefault(random.randrange(3), []).append(part)
    halves = [PartialSums.from_bytes(PartialSums.merge(group).to_bytes()) for group in groups.values()]
    assert PartialSums.merge(halves).to_bytes() == sums.to_bytes()


@pytest.fixture(scope="module")
def threads_for_all_examples():
    from small_work import small_work_shared

    with small_work_shared():
        yield


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("loss", "output"), LOSSES)
def test_every_loss(threads_for_small_work, loss, output, weighted):
    assert loss in losses_for(output)
    n_out = 3 if loss == "cross_entropy" else 2
    network = backprop.Network([1, 2, n_out], "relu", output, rng=3)
    X, y, c = rows(4096 * 5 + 77, loss, n_out)
    c = c if weighted else None
    promised = promised_bits(network, X, y, loss, c)
    for n_threads, at in ((1, {1}), (2, {1, 2, 3}), (3, {2, 5}), (4, set())):
        parts = cut(network, X, y, at, loss=loss, sample_weight=c, n_threads=n_threads)
        assert mean_bits(PartialSums.merge(parts[::-1])) == promised
        parts = cut(network, X, y, at, loss=loss, sample_weight=c, of="loss")
        assert mean_bits(PartialSums.merge(parts[::-1])) == promised[0]


@pytest.mark.parametrize("n", [1, 4095, 4096, 4097, 12290, 17000])
def test_the_definition(n):
    X, y, c = rows(n)
    network = backprop.Network([1, 2, 1], "relu", rng=n)
    for weights in (None, c):
        value, gradient = reference.loss_and_gradient(network, X, y, sample_weight=weights)
        parts = cut(network, X, y, range(1, -(-n // 4096)), sample_weight=weights)
        assert mean_bits(PartialSums.merge(parts)) == (value, bits(gradient))


@pytest.mark.parametrize("weighted", [False, True])
def test_normal_equations(threads_for_small_work, weighted):
    """A and b by the definition, however the rows are cut."""
    from backprop.definition import blocks, levenberg_marquardt
    from backprop.definition.values import layers_of

    n = 4096 * 4 + 9
    X, y, c = rows(n, n_out=2)
    network = backprop.Network([1, 2, 2], "tanh", rng=5)
    weights = c if weighted else np.ones(n)
    layers, found = layers_of(network.parameters.tolist(), network.sizes), []
    for block in blocks.blocks(range(n)):
        J = []
        for s in block:
            x, t, weight = X[s].tolist(), y[s].tolist(), weights[s].item()
            J += levenberg_marquardt.jacobian_rows(layers, network.activations, x, t, weight, True)
        found.append(levenberg_marquardt.normal_equations(J))
    size = network.n_parameters
    A = [blocks.tree_sum([part[i] for part in found]) for i in range(size)]
    packed = [A[i][j] for i in range(size) for j in range(i, size + 1)]
    for n_threads, at in ((1, {1, 2, 3, 4}), (2, {2}), (3, {1, 3}), (1, set())):
        parts = cut(
            network, X, y, at, sample_weight=c if weighted else None, of="normal_equations", n_threads=n_threads
        )
        (node,) = PartialSums.merge(parts).nodes
        assert node.sums.tolist() == packed
        assert node.loss / node.weight == network.loss(X, y, sample_weight=c if weighted else None)


class Source:
    """Rows that are read by slices."""

    def __init__(self, array):
        self.array, self.shape = array, array.shape

    def __getitem__(self, rows):
        return self.array[rows]


@pytest.mark.parametrize("of", partial_bytes.KINDS)
@pytest.mark.parametrize("kind", [np.asarray, Source, np.asfortranarray])
def test_rows_of_other_kinds(kind, of):
    """float32 rows and those of a source, as they lie; errors name the row of the whole data set."""
    n = 4096 * 5 + 9
    X, y = np.float32(np.random.default_rng(0).normal(size=(n, 3))), np.float32(np.random.default_rng(1).random((n, 1)))
    network = backprop.Network([3, 2, 1], rng=0)
    at = {2, 3}
    sums = PartialSums.merge(cut(network, X, y, at, of=of))
    assert sums == partial_sums(network, X.astype(float), y.astype(float), first_row=0, n_rows=n, of=of)
    edges = [0, 8192, 12288, n]
    parts = [
        partial_sums(network, kind(X[a:b]), kind(y[a:b]), of=of, first_row=a, n_rows=n)
        for a, b in zip(edges, edges[1:], strict=False)
    ]
    assert PartialSums.merge(parts) == sums
    X[13_000, 1] = math.inf
    with pytest.raises(ValueError, match="X must be finite, got inf in row 13000, column 1"):
        partial_sums(network, kind(X[12288:]), kind(y[12288:]), first_row=12288, n_rows=n)


def test_sparse_rows():
    X = np.where(np.random.default_rng(0).random((9000, 20)) < 0.1, 1.5, 0.0)
    y, network = X[:, :1] - X[:, 1:2], backprop.Network([20, 2, 1], rng=0)
    promised = promised_bits(network, X, y)
    assert mean_bits(PartialSums.merge(cut(network, scipy.sparse.csr_matrix(X), y, {1, 2}))) == promised


def test_nodes_are_the_largest_of_the_tree():
    X, y, _ = rows(4096 * 11)
    for first, last, keys in (
        (0, 11, [(0, 11)]),
        (0, 10, [(0, 8), (8, 2)]),
        (1, 11, [(1, 1), (2, 2), (4, 4), (8, 3)]),
        (9, 11, [(9, 1), (10, 1)]),
    ):
        a, b = 4096 * first, 4096 * last
        part = partial_sums(LINEAR, X[a:b], y[a:b], first_row=a, n_rows=len(X))
        assert [(node.first_block, node.n_blocks) for node in part.nodes] == keys
        assert part.rows == (range(a, b),)
        blocks = cut(LINEAR, X[a:b], y[a:b], range(1, last - first))
        assert len(blocks) == last - first
    assert list(nodes.within(3, 5, 0, 2**41)) == [(3, 1), (4, 1)]


def test_weights_of_a_part_may_be_zero():
    X, y, c = rows(9000)
    c[:4096] = 0.0
    parts = cut(LINEAR, X, y, {1}, sample_weight=c)
    assert mean_bits(PartialSums.merge(parts)) == promised_bits(LINEAR, X, y, None, c)
    nothing = PartialSums.merge(cut(LINEAR, X, y, {1}, sample_weight=0.0 * c))
    assert outcome(nothing.mean) == outcome(LINEAR.loss, X, y, sample_weight=0.0 * c)
    huge = PartialSums.merge(cut(LINEAR, X, y, {1}, sample_weight=np.full(9000, 1e297)))
    assert outcome(huge.mean) == outcome(LINEAR.loss, X, y, sample_weight=np.full(9000, 1e297))


# Sums that are not finite.


@pytest.mark.parametrize("at", [set(), {1}, {2}, {1, 2}])
@pytest.mark.parametrize("high", [(10, 11, 5000, 5001), (10, 5000, 6000, 7000), (9000, 9001, 9002), (10, 5000, 9000)])
def test_losses_that_overflow(at, high):
    X, y = np.zeros((12_000, 1)), np.zeros((12_000, 1))
    y[list(high)] = 1.2e154
    network = LINEAR.with_parameters([0.5, 0.0])
    promised = outcome(network.loss, X, y)
    assert promised[0] is OverflowError
    for of in ("gradient", "loss"):
        sums = PartialSums.merge(cut(network, X, y, at, of=of)[::-1])
        assert outcome(sums.mean) == promised
        assert PartialSums.from_bytes(sums.to_bytes()) == sums
        assert sums == partial_sums(network, X, y, first_row=0, n_rows=12_000, of=of)


@pytest.mark.parametrize("at", [set(), {1}, {2}, {1, 2}])
@pytest.mark.parametrize("more", [(), (6000, 7000), (11_000, 11_001)])
def test_gradients_that_overflow(at, more):
    X, y = np.zeros((12_000, 1)), np.zeros(12_000)
    high = [10, 5000, *more]
    X[high], y[high] = 1e300, 1.7e8
    network = LINEAR.with_parameters([0.0, 0.0])
    promised = outcome(backprop.loss_and_gradient, network, X, y)
    assert promised[0] is OverflowError
    sums = PartialSums.merge(cut(network, X, y, at)[::-1])
    assert outcome(sums.mean) == promised
    assert PartialSums.from_bytes(sums.to_bytes()) == sums
    assert sums == partial_sums(network, X, y, first_row=0, n_rows=12_000)


def test_losses_of_both_signs():
    """The first sum that is not finite, as L-BFGS needs it, and the sum to the end, which is NaN here."""
    poisson = backprop.Network([1, 1], output_activation="exponential").with_parameters([1.0, 0.0])
    X, y = np.zeros((9000, 1)), np.ones(9000)
    X[[5000, 6000]], y[6000] = 800.0, 1e308  # losses inf, and inf - 8e310
    (node,) = PartialSums.merge(cut(poisson, X, y, {1, 2}, loss="poisson")).nodes
    assert (node.loss_row, node.loss_until) == (5000, math.inf)
    assert math.isnan(node.loss)
    assert not node.sums.any()


# Errors.


def test_where_a_part_begins_and_ends():
    X, y, _ = rows(5000)
    for settings, message in (
        ({"first_row": 5000, "n_rows": 10_000}, "begin the part at row 4096 or 8192"),
        ({"first_row": 0, "n_rows": 10_000}, "give 8192 rows, or n_rows=5000"),
        ({"first_row": 0, "n_rows": 6000}, "give 6000 rows, or n_rows=5000"),
        ({"first_row": 0, "n_rows": 4999}, "n_rows is the number of rows of the whole"),
        ({"first_row": 4096, "n_rows": 4096}, "first_row must be an integer from 0 to 4095, got 4096"),
        ({"first_row": -1, "n_rows": 5000}, "first_row must be an integer from 0"),
        ({"first_row": 0, "n_rows": 0}, "n_rows must be an integer from 1"),
        ({"first_row": 0, "n_rows": 2**53 + 1}, "n_rows must be an integer from 1"),
        ({"first_row": 0, "n_rows": 5000, "of": "hessian"}, "of 'hessian' is unknown"),
        ({"first_row": 0, "n_rows": 5000, "of": "normal_equations", "loss": "huber"}, "give of='gradient'"),
    ):
        with pytest.raises(ValueError, match=message):
            partial_sums(LINEAR, X, y[:, 0], **settings)
    with pytest.raises(TypeError, match="did you mean first_row"):
        partial_sums(LINEAR, X, y, firstrow=0, n_rows=5000)
    with pytest.raises(TypeError, match="Network"):
        partial_sums("net", X, y, first_row=0, n_rows=5000)


def test_rows_in_messages_are_those_of_the_whole():
    X, y, _ = rows(4096)
    part = functools.partial(partial_sums, first_row=8192, n_rows=20_000)
    bad = np.where(np.arange(4096)[:, None] == 7, math.nan, X)
    with pytest.raises(ValueError, match="X must be finite, got nan in row 8199"):
        part(LINEAR, bad, bad)
    with pytest.raises(ValueError, match="y must be finite, got nan in row 8199"):
        part(LINEAR, X, bad, None, bad[:, 0])
    with pytest.raises(ValueError, match="sample_weight must be finite and >= 0, got nan in row 8199"):
        part(LINEAR, X, y, None, np.abs(bad[:, 0]))
    logistic = backprop.Network([1, 1], output_activation="logistic")
    with pytest.raises(ValueError, match="in row 8192, column 0"):
        part(logistic, X, y + 2.0, "binary_cross_entropy")
    softmax = backprop.Network([1, 3], output_activation="softmax")
    for labels in (np.full(4096, 3), np.full(4096, 3.0)):
        with pytest.raises(ValueError, match="in row 8192"):
            part(softmax, X, labels)


def test_parts_that_do_not_belong_together():
    X, y, _ = rows(20_000)
    parts = cut(LINEAR, X, y, {1, 2})
    other = LINEAR.with_parameters(LINEAR.parameters * 2.0)
    refused = functools.partial(pytest.raises, ValueError)
    with refused(match="rows 8192 to 19999 is of another, or of other parameters, than that of rows 0 to 4095"):
        PartialSums.merge([parts[0], cut(other, X, y, {1, 2})[2]])
    with refused(match="the same n_rows, got 12288 in that of rows 0 to 4095 and 20000"):
        PartialSums.merge([parts[0], cut(LINEAR, X[:12_288], y[:12_288], {1})[0]])
    with refused(match="the same loss, got 'huber'"):
        PartialSums.merge([parts[0], cut(LINEAR, X, y, {1}, loss="huber")[1]])
    with refused(match="the same of, got 'loss'"):
        PartialSums.merge([parts[0], cut(LINEAR, X, y, {1}, of="loss")[1]])
    with refused(match="the same rows where they overlap, got rows 0 to 4095, and rows 0 to 8191"):
        PartialSums.merge([*parts, cut(LINEAR, X, y, {2})[0]])
    with refused(match="the same bits, got two others of rows 4096 to 8191"):
        PartialSums.merge([*parts, cut(LINEAR, X, 2.0 * y, {1, 2})[1]])
    with refused(match="at least one PartialSums"):
        PartialSums.merge([])
    with refused(match="rows 4096 to 8191 are missing"):
        PartialSums.merge([parts[2], parts[0]]).mean()
    with refused(match="rows 8192 to 19999 are missing"):
        PartialSums.merge(parts[:2]).mean()
    with refused(match="rows 0 to 4095 are missing"):
        parts[1].mean()
    with refused(match="normal_equations"):
        partial_sums(LINEAR, X, y, first_row=0, n_rows=20_000, of="normal_equations").mean()
    for wrong in (5, [parts[0], None], [parts[0].to_bytes()]):
        with pytest.raises(TypeError, match="PartialSums"):
            PartialSums.merge(wrong)


# Values and bytes.


def test_values():
    X, y, _ = rows(20_000)
    a, b, c = cut(LINEAR, X, y, {1, 2})
    for way in (copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))):
        assert way(a) == a
        assert hash(way(a)) == hash(a)
    assert a != b
    assert a != 5
    assert (
        repr(PartialSums.merge([a, c]))
        == "<PartialSums: gradient, squared_error, rows 0 to 4095, 8192 to 19999 of 20000>"
    )
    assert b"backprop.partial" in pickle.dumps(a)
    assert b"numpy" not in pickle.dumps(a)
    assert a.contract_version == backprop.contract_version
    with pytest.raises(AttributeError):
        a.n_rows = 5
    for node in PartialSums.from_bytes(a.to_bytes()).nodes + a.nodes:
        with pytest.raises(ValueError, match="read-only"):
            node.sums[0] = 1.0
        with pytest.raises(ValueError, match="WRITEABLE"):
            node.sums.setflags(write=True)


EXAMPLE = {
    of: PartialSums.merge([cut(LINEAR, *rows(20_000)[:2], {1, 2}, of=of)[k] for k in (0, 2)])
    for of in partial_bytes.KINDS
}


@pytest.mark.parametrize("of", partial_bytes.KINDS)
def test_bytes(of):
    part = EXAMPLE[of]
    data = part.to_bytes()
    assert len(data) == 120 + len(part.nodes) * (64 + 8 * {"gradient": 2, "loss": 0, "normal_equations": 5}[of]) + 32
    for kind in (bytes, bytearray, memoryview):
        assert PartialSums.from_bytes(kind(data)) == part
    spread = np.repeat(np.frombuffer(data, np.uint8), 2).data[::2]
    assert PartialSums.from_bytes(spread) == part
    assert hashlib.sha256(data[:-32]).digest() == data[-32:]
    for wrong in ("text", None, 5, [1]):
        with pytest.raises(TypeError, match="bytes"):
            PartialSums.from_bytes(wrong)


@pytest.mark.parametrize("of", partial_bytes.KINDS)
def test_altered_bytes(of):
    data = EXAMPLE[of].to_bytes()
    for size in range(len(data)):
        with pytest.raises(ValueError, match="data must be bytes that"):
            PartialSums.from_bytes(data[:size])
    for k in range(len(data)):
        changed = bytearray(data)
        changed[k] ^= 1 << k % 8
        with pytest.raises(ValueError, match=r"to_bytes has made|contract version"):
            PartialSums.from_bytes(changed)
    with pytest.raises(ValueError, match="joined with others"):
        PartialSums.from_bytes(data + data)


def signed(data):
    return bytes(data[:-32]) + hashlib.sha256(data[:-32]).digest()


def with_number(data, form, at, value):
    changed = bytearray(data)
    struct.pack_into(form, changed, at, value)
    return signed(changed)


def test_wrong_contents_with_a_right_checksum():
    data = EXAMPLE["gradient"].to_bytes()
    with pytest.raises(ValueError, match="contract version 1 cannot be joined with those of version 2"):
        PartialSums.from_bytes(with_number(data, "<I", 12, 1))
    node = 120
    for form, at, value in (
        ("<I", 8, 2),
        ("<Q", 64, 0),
        ("<Q", 64, 2**60),
        ("<Q", 64, 4096),
        ("<Q", 112, 2**63),
        ("<Q", 72, 2**63),
        ("<Q", node, 2),
        ("<Q", node, 5),
        ("<Q", node, 2**63),
        ("<Q", node + 8, 0),
        ("<Q", node + 8, 3),
        ("<d", node + 24, -1.0),
        ("<d", node + 24, math.nan),
        ("<q", node + 32, 5),
        ("<d", node + 40, 1.0),
        ("<q", node + 48, 0),
        ("<q", node + 56, 0),
        ("<d", node + 64, math.inf),
    ):
        with pytest.raises(ValueError, match="to_bytes has made"):
            PartialSums.from_bytes(with_number(data, form, at, value))
    for at in (16, 40):
        with pytest.raises(ValueError, match="name no sums"):
            PartialSums.from_bytes(with_number(data, "8s", at, b"\xffmoments"))


@hypothesis.given(
    st.sampled_from(partial_bytes.KINDS),
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from((0, 1, 2, 4, 5, 2**52, 2**63, 0x7FF0 << 48, 2**64 - 1))),
             min_size=1, max_size=4),
)  # fmt: skip
def test_bytes_with_any_contents(of, changes):
    """Numbers of eight bytes anywhere, and a right checksum: sums that can be joined and written, or a ValueError."""
    changed = bytearray(EXAMPLE[of].to_bytes())
    for place, value in changes:
        struct.pack_into("<Q", changed, min(8 * place, len(changed) - 40), value)
    try:
        part = PartialSums.from_bytes(signed(changed))
    except ValueError:
        return
    assert PartialSums.from_bytes(part.to_bytes()) == part
    assert PartialSums.merge([part, part]) == part
    assert repr(part)
    if of != "normal_equations":
        with pytest.raises(ValueError, match=r"are missing|sum above 0"):
            part.mean()


def test_bytes_take_no_more_memory_than_they_are():
    X, y, _ = rows(4096)
    network = backprop.Network([1, 30_000, 1])
    data = partial_sums(network, X[:1], y[:1], first_row=0, n_rows=1).to_bytes()
    huge = with_number(data, "<Q", 72, 2**40)
    tracemalloc.start()
    try:
        PartialSums.from_bytes(data)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(data)
        tracemalloc.reset_peak()
        with pytest.raises(ValueError, match="cut off"):
            PartialSums.from_bytes(huge)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(data)
    finally:
        tracemalloc.stop()


def test_stored_bytes():
    """The bytes of a release before: the form does not change without a number of its own."""
    network = LINEAR.with_parameters([2.0, 0.5])
    part = partial_sums(network, [[1.0], [2.0]], [1.0, 4.0], sample_weight=[1.0, 3.0], first_row=4096, n_rows=4098)
    assert hashlib.sha256(part.to_bytes()).hexdigest() == STORED
    assert partial.digest_of(network).hex() == STORED_NETWORK


STORED = "b0f5eb43953f2c480cf6ae5f20e3aac06932e713f36d8b41c47e0a1700de4438"
STORED_NETWORK = "5625fffe317df0054de3794d092fcc15ba9a9cd48863d5d1cceec051680982d9"


def test_the_first_row_that_overflows_is_named():
    """Of all parts, for the loss and for the first parameter."""

    def message(network, X, y, loss):
        cuts = ((0, 4096), (4096, 8192), (8192, 9000))
        parts = [backprop.partial_sums(network, X[a:b], y[a:b], loss, first_row=a, n_rows=9000) for a, b in cuts]
        found = outcome(backprop.PartialSums.merge(parts[::-1]).mean)
        assert found[:2] == outcome(backprop.loss_and_gradient, network, X, y, loss)[:2]
        return found[1]

    network = backprop.Network([2, 1]).with_parameters([0.0, 0.0, 0.0])
    X, y = np.zeros((9000, 2)), np.zeros(9000)
    y[[10, 5000]] = 1e200
    assert "row 10 " in message(network, X, y, "squared_error")
    y[:] = 1.0
    X[10:13, 0] = X[5000:5003, 0] = 1.7e308
    assert "parameter 0, from row 11 on" in message(network, X, y, "absolute_error")
    X[10:13] = X[10:13, ::-1]
    assert "parameter 0, from row 5001 on" in message(network, X, y, "absolute_error")
