"""Random words made to measure (N9): each of the rare words at which a draw is decided goes to the right side.

The words come from a list and not from a generator. The kernel takes them through a `bitgen_t` of ctypes.
"""

import ctypes
import random

import numpy as np
import pytest

import backprop
from backprop import _kernel, engine, reference
from backprop.definition import randomness
from backprop.optimizers import plan_of
from backprop.samples import Samples
from backprop.state import RunState, Settings

HALF = 1 << 63  # the word of the uniform number 0.5
STEP = 1 << 11  # between the words of two neighbouring uniform numbers
NEXT_UINT64 = ctypes.CFUNCTYPE(ctypes.c_uint64, ctypes.c_void_p)


class Bitgen(ctypes.Structure):
    """bitgen_t of numpy/random/bitgen.h, of which the kernel uses the first two fields."""

    _fields_ = [("state", ctypes.c_void_p), ("next_uint64", NEXT_UINT64), ("others", ctypes.c_void_p * 3)]


class Words:
    """A stream of chosen words, for both engines; those of a generator follow."""

    def __init__(self, *words):
        self.rest, self.more = list(words), random.Random(0)
        self.bitgen = Bitgen(None, NEXT_UINT64(lambda state: self.random_raw()))
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        self.capsule = new(ctypes.addressof(self.bitgen), b"BitGenerator", None)

    def random_raw(self):
        return self.rest.pop(0) if self.rest else self.more.getrandbits(64)


def orders(words, n):
    """The shuffled order of n rows, by each engine."""
    return [one.order(Words(*words), n).tolist() for one in (engine.KERNEL, reference.DEFINITION)]


def drawn(upper, n):
    """The first draw below n for the upper half of a word, by each engine; None: the word is rejected.

    The first step of a shuffle puts it into the last place. A second word, which draws another number, tells rejection.
    """
    result = (upper * n) >> 32
    other = (result + 1) % n
    words = upper << 32, ((((other << 32) + (1 << 31)) // n) << 32) + 12345
    found = [order[-1] for order in orders(words, n)]
    return [None if one == other else one for one in found]


@pytest.mark.parametrize("n", [2, 3, 5, 6, 7, 10, 12, 641, 1000, 4096, 65537])
def test_every_result_below_n_has_as_many_words(n):
    """Each has 2^32//n upper halves, in a row: the first and the last of them count, those beside them do not."""
    share, extra = divmod(1 << 32, n)
    for result in sorted({0, 1, n // 2, n - 1}):
        first = -(-((result << 32) + extra) // n)
        last = first + share - 1
        assert drawn(first, n) == drawn(last, n) == [result, result]
        for beside in (first - 1, last + 1):
            assert not 0 <= beside < 1 << 32 or result not in drawn(beside, n)


def test_a_word_may_be_rejected_several_times():
    """One upper half is left over for 3, the first: 2^32 = 3*1431655765 + 1."""
    for rejected in range(4):
        words = [*[0] * rejected, 1 << 63, 0]
        assert [order[2] for order in orders(words, 3)] == [1, 1]
    assert drawn(0, 3) == [None, None]


def initial(words):
    """The two weights of a network, and what is left of the words, by each engine."""
    out, streams = np.empty(3), [Words(*words) for _ in range(2)]
    _kernel.initial_parameters((2, 1), streams[0], 2.0, False, True, 0.0, out)
    defined = randomness.initial_parameters((2, 1), streams[1].random_raw, 2.0, False, True, 0.0)
    assert out.tolist() == defined
    assert streams[0].rest == streams[1].rest
    return defined[:2], streams[0].rest


@pytest.mark.parametrize(
    "words",
    [(HALF, HALF), (0, HALF), (HALF, 0), (0, 0), (2**64 - 1, 2**64 - 1)],
    ids=["the centre", "on the circle", "on the circle below", "a corner", "the other corner"],
)
def test_a_point_outside_the_circle_is_drawn_anew(words):
    """The polar method takes points with 0 < u*u + v*v < 1, since it divides by that and takes its logarithm."""
    inside = HALF + (1 << 61), HALF - (1 << 60)
    expected = initial([*inside, 5])
    assert expected[1] == [5]
    assert np.isfinite(expected[0]).all()
    assert initial([*words, *inside, 5]) == initial([*words, *words, *inside, 5]) == expected


@pytest.mark.parametrize("word", [HALF + STEP, HALF + (1 << 40)])
def test_a_point_near_the_centre_is_taken(word):
    """The smallest u*u + v*v above 0 is 2^-104."""
    weights, rest = initial([word, HALF, 5])
    assert rest == [5]
    assert weights[0] > 0.0 == weights[1]


def loss_with(word, rate, engine):
    """The loss of an epoch whose only hidden unit draws this word."""
    network = backprop.Network.from_arrays([[[1.0]], [[1.0]]], [[0.0], [0.0]], "identity")
    optimizer = backprop.SGD(0.1)
    settings = Settings.checked(network, None, optimizer, 1, False, dropout=backprop.Dropout(rate))
    state = RunState.first(network, settings, 0)._replace(dropout=Words(word))
    samples = Samples.checked(_kernel, network.sizes, [[1.0]], [[0.0]], "squared_error")
    losses = np.empty(1)
    engine.trainer(network, samples, settings, plan_of(optimizer), state, None, 1).train(losses, 0, 1, None)
    return losses[0]


@pytest.mark.parametrize("by", [engine.KERNEL, reference.DEFINITION], ids=["kernel", "reference"])
@pytest.mark.parametrize("rate", [0.5, 0.25, 0.75, 2.0**-53, 1.0 - 2.0**-53, 3 * 2.0**-52])
def test_a_unit_is_dropped_below_its_rate(by, rate):
    """A unit is dropped by rate*2^53 of the 2^53 uniform numbers: those below the rate, and not the rate itself."""
    word = int(rate * 2.0**64)
    kept = 0.5 * (1.0 / (1.0 - rate)) ** 2
    assert loss_with(word - 1, rate, by) == 0.0
    assert loss_with(word - STEP, rate, by) == 0.0
    assert loss_with(word, rate, by) == kept
    assert loss_with(min(word + STEP, 2**64 - 1), rate, by) == kept
    assert (loss_with(0, rate, by), loss_with(2**64 - 1, rate, by)) == (0.0, kept)
