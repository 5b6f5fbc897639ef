"""Rows are converted and checked once, at the door of each call; nothing below the door looks at them again."""

import collections

import numpy as np
import pytest

import backprop
from backprop import _kernel, arguments, engine, reference
from backprop.samples import Samples

X = np.linspace(-1.0, 1.0, 60).reshape(20, 3)
Y = np.cos(3.0 * X[:, :1])
C = np.linspace(0.0, 2.0, 20)
NETWORK = backprop.Network([3, 4, 1], rng=5)
EARLY = {
    "nothing": None,
    "the same rows": backprop.EarlyStopping(patience=3),
    "a fraction": backprop.EarlyStopping(validation_fraction=0.25),
}


@pytest.fixture
def looks(monkeypatch):
    """The calls that search through numbers or convert an array, by their name and the size of what they are given."""
    counts = collections.Counter()

    def counted(owner, name, wrap=lambda function: function):
        usual = getattr(owner, name)

        def noted(*given):
            counts[name, max(np.size(one) for one in given)] += 1
            return usual(*given)

        monkeypatch.setattr(owner, name, wrap(noted))

    for owner in (_kernel, engine.Kernel):
        counted(owner, "first_not_finite", staticmethod if owner is engine.Kernel else lambda function: function)
    for name in ("rows", "targets", "sample_weight"):
        counted(arguments, name, lambda function: function)
    return counts


@pytest.mark.parametrize("stopping", EARLY.values(), ids=EARLY)
@pytest.mark.parametrize("checkpoint", [False, True], ids=["", "checkpoint"])
@pytest.mark.parametrize("weight", [None, C], ids=["", "sample_weight"])
def test_one_look_in_a_call(looks, tmp_path, stopping, checkpoint, weight):
    kept = backprop.Checkpoint(tmp_path / "run", every=2) if checkpoint else None
    backprop.fast_train(NETWORK, X, Y, epochs=5, sample_weight=weight, stopping=stopping, checkpoint=kept)
    assert looks["first_not_finite", X.size] == 1
    assert looks["first_not_finite", Y.size] == 1
    assert (looks["rows", X.size], looks["targets", Y.size]) == (1, 1)
    assert looks["sample_weight", C.size] == (weight is not None)


def test_one_look_in_the_other_calls(looks):
    """A single pass looks at X itself, while it visits the rows."""
    run = backprop.fast_train(NETWORK, X, Y, epochs=2)
    for call, beforehand in (
        (lambda: run.resume(X, Y, epochs=2), 1),
        (lambda: NETWORK.loss(X, Y), 0),
        (lambda: backprop.loss_and_gradient(NETWORK, X, Y), 0),
    ):
        looks.clear()
        call()
        assert (looks["rows", X.size], looks["targets", Y.size]) == (1, 1)
        assert looks["first_not_finite", X.size] == beforehand


def test_float32_is_not_converted(monkeypatch):
    made, usual = [], arguments.float64

    def noted(value):
        made.append(value.dtype)
        return usual(value)

    monkeypatch.setattr(arguments, "float64", noted)
    stopping = backprop.EarlyStopping(validation_fraction=0.25)
    backprop.fast_train(NETWORK, X.astype(np.float32), Y.astype(np.float32), epochs=3, stopping=stopping)
    assert np.float32 not in made


@pytest.mark.parametrize("checks", [engine.KERNEL, reference.DEFINITION], ids=["kernel", "definition"])
def test_rows_keep_their_numbers(checks):
    """An error names the row of what was given, also where a part of the rows is held back for validation."""
    bad = X.copy()
    bad[17, 2] = np.nan
    with pytest.raises(ValueError, match="X must be finite, got nan in row 17, column 2"):
        Samples.checked(checks, NETWORK.sizes, bad, Y, "squared_error")
    for train in (backprop.fast_train, reference.train):
        with pytest.raises(ValueError, match="in row 17, column 2"):
            train(NETWORK, bad, Y, epochs=1, stopping=EARLY["a fraction"])
    samples = Samples.checked(checks, NETWORK.sizes, X, Y, "squared_error", C)
    part = samples.take(checks, np.array([1, 4]))
    assert (part.n_samples, part.X, part.chosen.tolist()) == (2, samples.X, [1, 4])
    assert part.total_weight == C[1] + C[4]
    assert samples.X is X
    with pytest.raises(ValueError, match="sum above 0"):
        samples.take(checks, np.array([0]))
