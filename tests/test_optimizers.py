"""The update rules by hand: one weight, one input 1.0, so that the gradient is w - t, and numbers that are exact."""

import math

import numpy as np
import pytest

import backprop
from backprop import optimizers

NETWORK = backprop.Network([1, 1], output_activation="identity")


def path(engine, optimizer, start, targets):
    """The weight after each step, for a gradient w - t with another t in each."""
    run, found = None, []
    for t in targets:
        if run is None:
            network = NETWORK.with_parameters([start, 0.0])
            run = engine.train(network, [[1.0]], [t], optimizer=optimizer, epochs=1, train_biases=False)
        else:
            run = run.resume([[1.0]], [t], epochs=1)
        found.append(run.network.parameters[0])
    return found


def test_irprop_minus(engine):
    """Steps grow by 2 while the slope keeps its sign; when it changes, the weight waits, then moves by half."""
    rprop = backprop.Rprop(increase=2.0, decrease=0.5, first_step=1.0, min_step=0.25, max_step=4.0)
    # Slopes: 8, 7, 5, 1, -3 (changed: wait), -3, and so on.
    assert path(engine, rprop, 8.0, [0.0] * 7) == [7.0, 5.0, 1.0, -3.0, -3.0, -1.0, 3.0]


def test_rprop_plus(engine):
    """When the slope changes its sign the step is taken back."""
    rprop = backprop.Rprop("rprop+", increase=2.0, decrease=0.5, first_step=1.0, min_step=0.25, max_step=4.0)
    assert path(engine, rprop, 8.0, [0.0] * 7) == [7.0, 5.0, 1.0, -3.0, 1.0, -1.0, 1.0]


@pytest.mark.parametrize("variant", ["irprop-", "rprop+"])
def test_rprop_sees_signs_only(engine, variant):
    """Slopes whose product underflows or overflows have signs all the same."""
    rprop = backprop.Rprop(variant, increase=2.0, decrease=0.5, first_step=1.0, min_step=0.25, max_step=4.0)
    plain = path(engine, rprop, 0.0, [1.0, 2.0, 4.0])
    assert path(engine, rprop, 0.0, [1e150, 1e100, 1e150]) == plain == [1.0, 3.0, 7.0]
    assert path(engine, rprop, 0.0, [0.0] * 3) == [0.0] * 3
    tiny = backprop.Rprop(variant, increase=2.0, decrease=0.5, first_step=5e-324, min_step=5e-324, max_step=4.0)
    assert path(engine, tiny, 0.0, [1e-200] * 3) == [5e-324, 1.5e-323, 3.5e-323]


def test_rprop_bounds_its_steps(engine):
    rprop = backprop.Rprop(first_step=50.0)
    assert path(engine, rprop, 0.0, [1e6] * 3) == [50.0, 100.0, 150.0]
    rprop = backprop.Rprop(first_step=1.0, min_step=1.0)
    assert path(engine, rprop, 0.0, [0.5] * 5) == [1.0, 1.0, 0.0, 0.0, 1.0]


def test_rmsprop(engine):
    """v = 0.5*16 = 8 is no square; 0.75*0 + 0.25*16 = 4 is."""
    assert path(engine, backprop.RMSprop(1.0, 0.75, epsilon=2.0), 4.0, [0.0]) == [4.0 - 4.0 / (2.0 + 2.0)]
    found = path(engine, backprop.RMSprop(1.0, 0.75, momentum=0.5, epsilon=2.0), 4.0, [0.0, 3.0])
    v = 0.75 * 4.0
    assert found == [3.0, 3.0 - (0.5 * 1.0 + 0.0 / (math.sqrt(v) + 2.0))]


def test_adamw_is_adam_and_decay(engine):
    """Without decay it is Adam, to the bit; with it, each weight loses its share first."""
    targets = [1.0, -2.0, 0.5]
    adam = path(engine, backprop.Adam(0.1), 4.0, targets)
    assert path(engine, backprop.AdamW(0.1, weight_decay=0.0), 4.0, targets) == adam
    (once,) = path(engine, backprop.AdamW(0.5, weight_decay=0.5), 4.0, targets[:1])
    (plain,) = path(engine, backprop.Adam(0.5), 4.0, targets[:1])
    assert once == (4.0 - 0.25 * 4.0) - (4.0 - plain)


@pytest.mark.parametrize("optimizer", [backprop.AdamW(0.1), backprop.RMSprop(0.1), backprop.Rprop()], ids=repr)
def test_they_train(engine, optimizer):
    X = np.linspace(-1.0, 1.0, 16)[:, None]
    network = backprop.Network([1, 6, 1], rng=2)
    run = engine.train(network, X, np.sin(3.0 * X), optimizer=optimizer, epochs=60)
    assert run.losses[-1] < 0.3 * run.losses[0]


def test_full_batch_is_the_default_of_rprop():
    X, y = np.linspace(-1.0, 1.0, 50)[:, None], np.linspace(0.0, 1.0, 50)
    run = backprop.fast_train(backprop.Network([1, 3, 1]), X, y, optimizer=backprop.Rprop(), epochs=2)
    assert run.settings.batch_size is None
    assert run.losses[0] == pytest.approx(backprop.Network([1, 3, 1]).loss(X, y), rel=1e-12)  # in another order


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: backprop.Rprop("irprop+"), "variant 'irprop\\+' is unknown; did you mean 'rprop\\+'"),
        (lambda: backprop.Rprop(increase=1.0), r"increase must be a finite number in \(1, inf\), got 1.0"),
        (lambda: backprop.Rprop(decrease=1.0), r"decrease must be a finite number in \(0, 1\), got 1.0"),
        (lambda: backprop.Rprop(max_step=1e-9), r"max_step must be a finite number in \[1e-06, inf\), got 1e-09"),
        (lambda: backprop.Rprop(first_step=60.0), r"first_step must be a finite number in \[1e-06, 50.0\], got 60.0"),
        (lambda: backprop.AdamW(weight_decay=-0.1), r"weight_decay must be a finite number in \[0, inf\), got -0.1"),
        (lambda: backprop.RMSprop(rho=1.0), r"rho must be a finite number in \[0, 1\), got 1.0"),
    ],
)
def test_bad_settings(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_every_optimizer_is_documented():
    for kind in optimizers.Optimizer.__args__:
        assert all(word in kind.__doc__ for word in ("Parameters", "Raises", "Notes", "Examples"))
