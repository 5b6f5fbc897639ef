"""The tutorial's numbers, to the digits that it prints; and where its closing numbers come from."""

import math
import subprocess
import sys

import numpy as np
import pytest

import backprop
from backprop import tutorial

X, T = [[0.05, 0.10]], [[0.01, 0.99]]
SETTINGS = {"optimizer": backprop.SGD(0.5), "batch_size": 1, "train_biases": False}

# As printed: a string's digits after the point say how far it was rounded.
PRINTED = {
    "net_h1": "0.3775",
    "out_h1": "0.593269992",
    "out_h2": "0.596884378",
    "net_o1": "1.105905967",
    "out_o1": "0.75136507",
    "out_o2": "0.772928465",
    "E_o1": "0.274811083",
    "E_o2": "0.023560026",
    "E_total": "0.298371109",
    "dE_total/dout_o1": "0.74136507",
    "dout_o1/dnet_o1": "0.186815602",
    "dnet_o1/dw5": "0.593269992",
    "dE_total/dw5": "0.082167041",
    "delta_o1": "0.138498562",
    "w5+": "0.35891648",
    "w6+": "0.408666186",
    "w7+": "0.511301270",
    "w8+": "0.561370121",
    "dE_o1/dout_h1": "0.055399425",
    "dE_o2/dout_h1": "-0.019049118",  # -0.01904911826; the page prints ...119
    "dE_total/dout_h1": "0.036350306",
    "dout_h1/dnet_h1": "0.241300709",
    "dnet_h1/dw1": "0.05",
    "dE_total/dw1": "0.000438568",
    "w1+": "0.149780716",
    "w2+": "0.19956143",
    "w3+": "0.24975114",
    "w4+": "0.29950229",
}


def tutorial_network():
    """w1, w2 lead into h1, w3, w4 into h2; a column of W is what leads into one unit."""
    return backprop.Network.from_arrays(
        [[[0.15, 0.25], [0.20, 0.30]], [[0.40, 0.50], [0.45, 0.55]]],
        [[0.35, 0.35], [0.60, 0.60]],
        "logistic",
        "logistic",
    )


def as_printed(value, printed):
    return f"{value:.{len(printed.partition('.')[2])}f}"


def test_one_step(engine):
    net = tutorial_network()
    run = engine.train(net, X, T, epochs=1, **SETTINGS)
    W1, W2 = run.network.weights
    new = {"w1+": W1[0, 0], "w2+": W1[1, 0], "w3+": W1[0, 1], "w4+": W1[1, 1]}
    new |= {"w5+": W2[0, 0], "w6+": W2[1, 0], "w7+": W2[0, 1], "w8+": W2[1, 1]}
    new |= dict(zip(("out_o1", "out_o2"), engine.predict(net, X)[0], strict=True))
    new |= {"E_total": run.losses[0]}
    assert {name: as_printed(value, PRINTED[name]) for name, value in new.items()} == {
        name: PRINTED[name] for name in new
    }
    assert [b.tolist() for b in run.network.biases] == [[0.35, 0.35], [0.60, 0.60]]
    assert engine.loss(net, X, T) == run.losses[0]
    assert engine.loss(run.network, X, T) == 0.29102777369359933


def test_ten_thousand_steps(engine):
    run = engine.train(tutorial_network(), X, T, epochs=10_000, **SETTINGS)
    assert f"{engine.loss(run.network, X, T):.15f}" == "0.000035101877830"
    assert [f"{o:.9f}" for o in engine.predict(run.network, X)[0]] == ["0.015913620", "0.984064274"]
    # The printed 0.0000351085 is the error after 9,999 steps: the one that step 10,000 began with.
    assert f"{run.losses[-1]:.10f}" == "0.0000351085"
    assert run.losses.shape == (10_000,)


def step_in_the_wrong_order(w, eta):
    """One step of the tutorial's older script: the hidden deltas use output weights that are updated already."""

    def logistic(z):
        return 1.0 / (1.0 + math.exp(-z))

    (i1, i2), (t1, t2) = X[0], T[0]
    w1, w2, w3, w4, w5, w6, w7, w8 = w
    h1, h2 = logistic(w1 * i1 + w2 * i2 + 0.35), logistic(w3 * i1 + w4 * i2 + 0.35)
    o1, o2 = logistic(w5 * h1 + w6 * h2 + 0.6), logistic(w7 * h1 + w8 * h2 + 0.6)
    d1, d2 = (o1 - t1) * o1 * (1 - o1), (o2 - t2) * o2 * (1 - o2)
    w5, w6, w7, w8 = w5 - eta * d1 * h1, w6 - eta * d1 * h2, w7 - eta * d2 * h1, w8 - eta * d2 * h2
    g1, g2 = (d1 * w5 + d2 * w7) * h1 * (1 - h1), (d1 * w6 + d2 * w8) * h2 * (1 - h2)
    w = [w1 - eta * g1 * i1, w2 - eta * g1 * i2, w3 - eta * g2 * i1, w4 - eta * g2 * i2, w5, w6, w7, w8]
    return w, (o1, o2), 0.5 * (t1 - o1) ** 2 + 0.5 * (t2 - o2) ** 2


def test_where_the_closing_numbers_come_from():
    """0.291027924 and the two outputs are those of the wrong order; it ends on another error than the right one."""
    w, errors, outputs = [0.15, 0.2, 0.25, 0.3, 0.4, 0.45, 0.5, 0.55], [], []
    for _ in range(10_001):
        w, o, error = step_in_the_wrong_order(w, 0.5)
        errors.append(error)
        outputs.append(o)
    assert f"{errors[0]:.9f}" == PRINTED["E_total"]
    assert f"{errors[1]:.9f}" == "0.291027924"
    assert f"{tutorial.walk()['E_total+']:.9f}" == "0.291027774"
    assert [f"{o:.9f}" for o in outputs[10_000]] == ["0.015912196", "0.984065734"]


def test_walk_prints_the_tutorials_numbers():
    numbers = tutorial.walk()
    assert {name: as_printed(numbers[name], PRINTED[name]) for name in PRINTED} == PRINTED
    assert numbers["E_total+"] == 0.29102777369359933
    assert tutorial.NETWORK == tutorial_network()


def test_walk_is_in_the_tutorials_order():
    names = list(tutorial.walk())
    order = ["i1", "w1", "net_h1", "out_h1", "net_o1", "out_o1", "E_o1", "E_total", "dE_total/dout_o1"]
    order += ["dout_o1/dnet_o1", "delta_o1", "dE_total/dw5", "dE_total/dout_h1", "dout_h1/dnet_h1", "dE_total/dw1"]
    places = [names.index(name) for name in [*order, "w1+", "E_total+"]]
    assert places == sorted(places)


@pytest.mark.parametrize("train_biases", [False, True])
def test_walk_on_another_network(train_biases):
    """3-4-2, tanh and softplus, against NumPy's arithmetic, which rounds differently in the last places only."""
    net = backprop.Network([3, 4, 2], "tanh", "softplus", rng=7).with_parameters(np.sin(np.arange(1.0, 27.0)))
    x, t, eta = np.array([0.3, -1.1, 0.7]), np.array([0.2, 1.5]), 0.25
    numbers = tutorial.walk(net, x, t, learning_rate=eta, train_biases=train_biases)
    (W1, W2), (b1, b2) = net.weights, net.biases
    net_h = x @ W1 + b1
    h = np.tanh(net_h)
    net_o = h @ W2 + b2
    o = np.log1p(np.exp(net_o))
    slope = 1 / (1 + np.exp(-net_o))
    delta_o = (o - t) * slope
    delta_h = (W2 @ delta_o) * (1 - h**2)
    expected = {"E_total": np.sum((t - o) ** 2) / 2}
    for i in range(3):
        expected[f"i{i + 1}"] = x[i]
    for j in range(4):
        expected |= {f"net_h{j + 1}": net_h[j], f"out_h{j + 1}": h[j], f"delta_h{j + 1}": delta_h[j]}
        expected |= {f"dE_total/dout_h{j + 1}": (W2 @ delta_o)[j], f"dout_h{j + 1}/dnet_h{j + 1}": 1 - h[j] ** 2}
        expected |= {f"dE_o{k + 1}/dout_h{j + 1}": delta_o[k] * W2[j, k] for k in range(2)}
        expected[f"b_h{j + 1}"] = b1[j]
        for i in range(3):
            w = f"w{3 * j + i + 1}"
            expected |= {w: W1[i, j], f"dnet_h{j + 1}/d{w}": x[i], f"dE_total/d{w}": x[i] * delta_h[j]}
            expected[f"{w}+"] = W1[i, j] - eta * x[i] * delta_h[j]
    for j in range(2):
        expected |= {f"target_o{j + 1}": t[j], f"net_o{j + 1}": net_o[j], f"out_o{j + 1}": o[j]}
        expected |= {f"E_o{j + 1}": (t[j] - o[j]) ** 2 / 2, f"delta_o{j + 1}": delta_o[j], f"b_o{j + 1}": b2[j]}
        expected |= {f"dE_total/dout_o{j + 1}": o[j] - t[j], f"dout_o{j + 1}/dnet_o{j + 1}": slope[j]}
        for i in range(4):
            w = f"w{12 + 4 * j + i + 1}"
            expected |= {w: W2[i, j], f"dnet_o{j + 1}/d{w}": h[i], f"dE_total/d{w}": h[i] * delta_o[j]}
            expected[f"{w}+"] = W2[i, j] - eta * h[i] * delta_o[j]
    if train_biases:
        expected |= {f"b_h{j + 1}+": b1[j] - eta * delta_h[j] for j in range(4)}
        expected |= {f"b_o{j + 1}+": b2[j] - eta * delta_o[j] for j in range(2)}
    after = numbers.pop("E_total+")
    assert set(numbers) == set(expected)
    assert numbers == pytest.approx(expected, rel=1e-13, abs=1e-15)
    assert after < numbers["E_total"]


@pytest.mark.parametrize(("output", "loss"), [("softmax", "cross_entropy"), ("logistic", "binary_cross_entropy")])
def test_walk_with_another_loss(output, loss):
    """The delta is o - t at once; the parts of the error add up to the product's own loss."""
    net = backprop.Network([2, 3, 3], "elu", output, rng=5)
    x, t = [0.5, -1.0], [0.25, 0.0, 0.75]
    numbers = tutorial.walk(net, x, t, loss=loss)
    outputs = net.predict([x])[0]
    assert [numbers[f"delta_o{j}"] for j in (1, 2, 3)] == (outputs - np.array(t)).tolist()
    assert "dE_total/dout_o1" not in numbers
    assert numbers["E_total"] == net.loss([x], [t], loss)
    assert sum(numbers[f"E_o{j}"] for j in (1, 2, 3)) == pytest.approx(numbers["E_total"], rel=1e-14)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"network": backprop.Network([2, 2])}, "network"),
        ({"network": backprop.Network([2, 2, 2, 2])}, "network"),
        ({"network": "2-2-2"}, "network"),
        ({"x": [1.0]}, "x must have shape"),
        ({"t": [1.0, 2.0, 3.0]}, "t must have shape"),
        ({"learning_rate": -0.5}, "learning_rate"),
    ],
)
def test_walk_of_bad_input(arguments, words):
    with pytest.raises((TypeError, ValueError), match=words):
        tutorial.walk(**arguments)


def test_command_line():
    """What a newcomer runs first shows every number as the tutorial prints it, and how it ends."""
    shown = subprocess.run(
        [sys.executable, "-m", "backprop", "tutorial"], capture_output=True, text=True, check=True, timeout=600
    )
    assert shown.stderr == ""
    lines = {text for text in PRINTED.values() if text not in shown.stdout}
    assert lines == set()
    for text in ("0.291027774", "0.291027924", "0.000035101877830", "0.0000351085", "0.015913620", "0.984064274"):
        assert text in shown.stdout


@pytest.mark.parametrize("words", [[], ["tutorials"]])
def test_command_line_misused(words):
    shown = subprocess.run([sys.executable, "-m", "backprop", *words], capture_output=True, text=True, timeout=600)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr.startswith("usage: python -m backprop")
