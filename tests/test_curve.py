"""The curve of losses, which a run fills piece by piece."""

import numpy as np
import pytest

from backprop import epochs
from backprop.epochs import Curve


def fill(curve, count):
    """Fill `count` more places of the newest piece with the numbers of their epochs."""
    first = curve.epochs
    curve.piece[curve.done : curve.done + count] = np.arange(first, first + count)
    curve.done += count


@pytest.mark.parametrize("before", [0, 1, 5])
@pytest.mark.parametrize("steps", [[4], [1, 1, 1, 1], [3, 1], [4, 4, 2], [4, 1, 3, 2]], ids=str)
def test_every_epoch_has_its_place(monkeypatch, before, steps):
    """A curve counts its epochs, those before it included, and keeps their losses in order over all its pieces."""
    monkeypatch.setattr(epochs, "LOSSES_AT_ONCE", 4)
    curve, expected = Curve(np.arange(float(before))), before
    for count in steps:
        curve.make_room(sum(steps))
        fill(curve, count)
        expected += count
        assert curve.epochs == expected
        assert sum(piece.size for piece in curve.pieces()) == expected
        assert curve.losses().tolist() == list(range(expected))


@pytest.mark.parametrize(("to_come", "size"), [(1, 1), (4, 4), (5, 4), (10**9, 4)])
def test_a_piece_is_no_longer_than_what_is_to_come(monkeypatch, to_come, size):
    monkeypatch.setattr(epochs, "LOSSES_AT_ONCE", 4)
    curve = Curve(np.empty(0))
    curve.make_room(to_come)
    assert curve.piece.size == size


def test_a_piece_that_is_not_full_is_kept():
    curve = Curve(np.empty(0))
    curve.make_room(3)
    piece = curve.piece
    fill(curve, 2)
    curve.make_room(1)
    assert curve.piece is piece
    assert curve.done == 2
