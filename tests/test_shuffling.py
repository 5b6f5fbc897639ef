"""BlockShuffle (N9): the order in which rows are visited, the words that are drawn for it, and the argument itself."""

import copy
import dataclasses

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from problems import GENERATORS, block_shuffles, run_bits
from small_work import small_work_shared

import backprop
from backprop import BlockShuffle, _kernel, reference
from backprop.definition.randomness import below, block_shuffled, shuffled
from backprop.shuffling import within

X = np.linspace(-1.0, 1.0, 39).reshape(13, 3)
Y = np.cos(3.0 * X[:, :2])
NETWORK = backprop.Network([3, 5, 2], rng=1)

sizes = st.one_of(st.integers(1, 12), st.integers(1, 400))


def as_the_contract_says(next_word, n, rows, window):
    """N9, sentence by sentence."""

    def shuffle(listed):
        for i in range(len(listed) - 1, 0, -1):
            j = below(next_word, i + 1)
            listed[i], listed[j] = listed[j], listed[i]

    cut = [list(range(first, min(first + rows, n))) for first in range(0, n, rows)]
    shuffle(cut)
    order = []
    while cut:
        listed = [s for block in cut[:window] for s in block]
        del cut[:window]
        shuffle(listed)
        order += listed
    return order


def both_orders(kind, n, rows, window):
    """The order by kernel and definition, which have drawn the same words."""
    streams = kind(3), kind(3)
    orders = _kernel.order(streams[0], n, rows, window).tolist(), block_shuffled(streams[1].random_raw, n, rows, window)
    assert repr(streams[0].state) == repr(streams[1].state)
    assert orders[0] == orders[1]
    return orders[0]


@hypothesis.given(n=sizes, rows=sizes, window=sizes, kind=st.sampled_from(GENERATORS))
def test_every_order(n, rows, window, kind):
    found = both_orders(kind, n, rows, window)
    assert found == as_the_contract_says(kind(3).random_raw, n, rows, window)
    assert sorted(found) == list(range(n))
    m = -(-n // rows)
    blocks = shuffled(kind(3).random_raw, m)
    place = 0
    for first in range(0, m, window):
        mine = blocks[first : first + window]
        k = sum(min(rows, n - block * rows) for block in mine)
        assert {s // rows for s in found[place : place + k]} == set(mine)
        place += k
    assert place == n


@pytest.mark.parametrize(
    ("n", "rows", "window"), [(1, 1, 1), (1, 7, 3), (7, 7, 1), (8, 7, 1), (8, 7, 2), (6, 1, 1), (6, 1, 9), (13, 4, 3)]
)
def test_small_orders(n, rows, window):
    stream, other = np.random.PCG64(3), np.random.PCG64(3)
    expected = as_the_contract_says(stream.random_raw, n, rows, window)
    assert both_orders(np.random.PCG64, n, rows, window) == expected
    assert rows < n or expected == shuffled(other.random_raw, n)


def test_a_short_block_comes_wherever_the_order_puts_it():
    """The last block has one row; over some seeds, it is visited at every place."""
    places = {_kernel.order(np.random.PCG64(seed), 13, 4, 1).tolist().index(12) for seed in range(60)}
    assert places == {0, 4, 8, 12}


@hypothesis.given(n=sizes, rows=sizes, window=sizes)
def test_an_order_window_by_window(n, rows, window):
    """`order` of the blocks, then `shuffle` of the rows of each window: for data that is read window by window."""
    stream, other = np.random.PCG64(5), np.random.PCG64(5)
    blocks, found = _kernel.order(stream, -(-n // rows)), []
    for first in range(0, len(blocks), window):
        listed = np.concatenate([np.arange(n)[block * rows :][:rows] for block in blocks[first : first + window]])
        places = np.arange(len(listed))
        _kernel.shuffle(stream, places)
        found += listed[places].tolist()
    assert found == _kernel.order(other, n, rows, window).tolist()
    assert stream.state == other.state


def test_no_rows_and_no_words():
    stream, before = np.random.PCG64(5), np.random.PCG64(5).state
    assert _kernel.order(stream, 0).tolist() == _kernel.order(stream, 0, 3, 2).tolist() == []
    _kernel.shuffle(stream, np.empty(0, np.int64))
    _kernel.shuffle(stream, np.zeros(1, np.int64))
    assert _kernel.order(stream, 1, 5, 2).tolist() == [0]
    assert stream.state == before


@pytest.mark.parametrize(("rows", "window"), [(-1, 1), (1, 0), (3, -2)])
def test_the_kernel_refuses_what_would_never_end(rows, window):
    with pytest.raises(ValueError, match="rows and window must be at least 1"):
        _kernel.order(np.random.PCG64(0), 5, rows, window)


# Training.


@hypothesis.given(data=st.data())
def test_every_bit(engines, data):
    draw = data.draw
    n = draw(st.integers(1, 60))
    numbers = np.random.default_rng(n)
    x, y = numbers.normal(size=(n, 3)), numbers.normal(size=(n, 2))
    rate = draw(st.sampled_from([None, 0.0, 0.5]))
    settings = {"shuffle": draw(block_shuffles()), "batch_size": draw(st.integers(1, 64))}
    settings["dropout"] = None if rate is None else backprop.Dropout(rate)
    settings["optimizer"] = draw(st.sampled_from([None, backprop.SGD(0.1), backprop.SGD(0.1, 0.5)]))
    settings["sample_weight"] = draw(st.sampled_from([None, numbers.uniform(0.5, 2.0, n)]))
    kind, epochs = draw(st.sampled_from((None, *GENERATORS))), draw(st.integers(1, 3))
    expected = None
    for engine, n_threads in [(engines[0], {}), *((engines[1], {"n_threads": count}) for count in (1, 2, 3))]:
        rng = kind(7) if kind else 7
        with small_work_shared():
            run = engine.train(NETWORK, x, y, rng=rng, epochs=epochs, **settings, **n_threads)
            more = run.resume(x[: n // 2 + 1], y[: n // 2 + 1], epochs=2)
        found = run_bits(run), run_bits(more), repr(rng.state) if kind else None
        expected = expected or found
        assert found == expected


@pytest.mark.parametrize("optimizer", [backprop.SGD(0.1), backprop.Adam(0.01)], ids=["online", "blocks"])
def test_rows_are_visited_in_this_order(engine, optimizer):
    """An epoch in batches of one row is a run on the rows in that order."""
    run = engine.train(NETWORK, X, Y, epochs=2, batch_size=1, optimizer=optimizer, rng=4, shuffle=BlockShuffle(3, 2))
    stream = np.random.PCG64(4)
    orders = [block_shuffled(stream.random_raw, 13, 3, 2) for _ in range(2)]
    assert orders[0] != orders[1]
    assert run._state.stream.state == stream.state
    given = {"epochs": 1, "batch_size": 1, "optimizer": optimizer, "shuffle": False}
    first = engine.train(NETWORK, X[orders[0]], Y[orders[0]], **given)
    assert run.network == first.resume(X[orders[1]], Y[orders[1]], epochs=1).network


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("shuffle", [BlockShuffle(13, 1), BlockShuffle(13, 5), BlockShuffle(10**30, 10**30)], ids=repr)
def test_one_block_is_the_full_shuffle(engine, shuffle, batch_size):
    runs = [engine.train(NETWORK, X, Y, epochs=3, batch_size=batch_size, shuffle=one) for one in (True, shuffle)]
    bits = [run_bits(run) | {"settings": None} for run in runs]
    assert bits[0] == bits[1]
    assert runs[1].settings.shuffle == shuffle


def test_a_window_of_more_blocks_than_there_are(engine):
    given = {"epochs": 3, "batch_size": 4}
    runs = [engine.train(NETWORK, X, Y, shuffle=BlockShuffle(2, window), **given) for window in (7, 10**30)]
    assert runs[0].network == runs[1].network
    assert runs[0].network != engine.train(NETWORK, X, Y, **given).network


@pytest.mark.parametrize(
    "settings",
    [
        {"batch_size": 13},
        {"batch_size": 50},
        {"optimizer": backprop.Rprop()},
        {"optimizer": backprop.LBFGS()},
        {"optimizer": backprop.LevenbergMarquardt()},
    ],
    ids=repr,
)
def test_all_rows_at_once_keep_their_order(engine, settings):
    rng, other = np.random.PCG64(4), np.random.PCG64(4)
    run = engine.train(NETWORK, X, Y, epochs=3, rng=rng, shuffle=BlockShuffle(2, 3), **settings)
    assert run.network == engine.train(NETWORK, X, Y, epochs=3, shuffle=False, **settings).network
    assert rng.state == other.state


def test_blocks_are_of_the_rows_that_are_trained_on(engine):
    given = {"epochs": 3, "batch_size": 2, "shuffle": BlockShuffle(3, 2), "rng": 4}
    stop = backprop.EarlyStopping(validation_fraction=0.3, rng=7, restore_best=False)
    run = engine.train(NETWORK, X, Y, stopping=stop, **given)
    rows = sorted(shuffled(np.random.PCG64(7).random_raw, 13)[:9])
    other = engine.train(NETWORK, X[rows], Y[rows], **given)
    assert run.network == other.network
    assert run.losses.tolist() == other.losses.tolist()


# The value.


def test_value():
    one = BlockShuffle(np.int64(5), np.uint8(3))
    assert repr(one) == "BlockShuffle(rows=5, window=3)"
    assert (type(one.rows), type(one.window)) == (int, int)
    assert one == BlockShuffle(5, window=3) == copy.copy(one) == copy.deepcopy(one) == dataclasses.replace(one)
    assert hash(one) == hash(BlockShuffle(5, 3))
    assert one != BlockShuffle(3, 5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.rows = 4
    assert BlockShuffle().rows * BlockShuffle().window == 65536


def test_the_kernels_numbers_fit_its_integers():
    assert within(BlockShuffle(10**30, 10**40), 7) == (7, 7)
    assert within(BlockShuffle(2, 3), 7) == (2, 3)
    assert within(True, 7) == (7, 1)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"rows": 0}, ValueError, "rows must be an integer >= 1, got 0"),
        ({"rows": -3}, ValueError, "rows must be an integer >= 1, got -3"),
        ({"window": 0}, ValueError, "window must be an integer >= 1, got 0"),
        ({"rows": True}, TypeError, "rows must be an integer >= 1, got True"),
        ({"window": np.True_}, TypeError, "window must be an integer >= 1, got"),
        ({"rows": 2.0}, TypeError, "rows must be an integer >= 1, got 2.0"),
        ({"rows": None}, TypeError, "rows must be an integer >= 1, got None"),
        ({"window": "all"}, TypeError, "window must be an integer >= 1, got 'all'"),
        ({"windows": 3}, TypeError, r"BlockShuffle\(\) has no argument 'windows'; did you mean window\?"),
    ],
)
def test_bad_values(given, error, words):
    with pytest.raises(error, match=f"^{words}"):
        BlockShuffle(**given)


@pytest.mark.parametrize(
    ("bad", "hint"),
    [
        ("block", "did you mean backprop.BlockShuffle()?"),
        ("BlockShuffle", "did you mean backprop.BlockShuffle()?"),
        ("block_shuffle", "did you mean backprop.BlockShuffle()?"),
        (BlockShuffle, "did you mean backprop.BlockShuffle()?"),
        (5, "did you mean backprop.BlockShuffle(rows=5)?"),
        (1, ""),
        (0, ""),
        (-5, ""),
        (None, ""),
        ("yes", ""),
        ((2, 3), ""),
    ],
    ids=repr,
)
def test_what_is_no_shuffle(engine, bad, hint):
    with pytest.raises(TypeError) as caught:
        engine.train(NETWORK, X, Y, shuffle=bad)
    text = str(caught.value)
    assert text.startswith("shuffle must be True, False or a backprop.BlockShuffle(...), got ")
    assert text.endswith(f"; {hint}") if hint else "did you mean" not in text


def test_an_argument_that_belongs_inside():
    with pytest.raises(TypeError, match=r"give shuffle=backprop\.BlockShuffle\(window=256\)"):
        reference.train(NETWORK, X, Y, window=64)
