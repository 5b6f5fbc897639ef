"""Worked examples of others; tests/data/cases.json names their sources. Their weight rows are one per output unit."""

import json
import pathlib

import numpy as np
import pytest

import backprop

FILE = pathlib.Path(__file__).parent / "data" / "cases.json"
CASES = {case["id"]: case for case in json.loads(FILE.read_text(encoding="ascii"))}
# The expected numbers are 17 digits of computations with other sums and another exp: some last places differ.
CLOSE = {"rtol": 1e-14, "atol": 0.0}
# After 10,000 steps those last places have grown with the condition of the run.
AFTER_MANY_STEPS = {"rtol": 1e-10, "atol": 0.0}


def network_of(case):
    weights = [np.transpose(case[name]) for name in ("W1", "W2")]
    return backprop.Network.from_arrays(weights, [case["b1"], case["b2"]], "logistic", "logistic")


@pytest.fixture(scope="module")
def mazur():
    case = CASES["mazur-2-2-2"]
    return case, network_of(case), ([case["x"]], [case["t"]])


def steps(engine, network, data, epochs, train_biases):
    settings = {"optimizer": backprop.SGD(0.5), "batch_size": 1, "epochs": epochs, "train_biases": train_biases}
    return engine.train(network, *data, **settings).network


def test_mazur_forward(engine, mazur):
    case, network, data = mazur
    np.testing.assert_allclose(engine.predict(network, data[0]), [case["o0"]], **CLOSE)
    np.testing.assert_allclose(engine.loss(network, *data), case["E0"], **CLOSE)


def test_mazur_step_with_frozen_biases(engine, mazur):
    case, network, data = mazur
    expected = case["step1"]
    after = steps(engine, network, data, 1, False)
    for W, name in zip(after.weights, ("W1", "W2"), strict=True):
        np.testing.assert_allclose(W, np.transpose(expected[name]), **CLOSE)
    assert expected["biases_frozen"]
    assert [b.tolist() for b in after.biases] == [case["b1"], case["b2"]]
    np.testing.assert_allclose(engine.loss(after, *data), expected["E"], **CLOSE)


def test_mazur_step_with_trained_biases(engine, mazur):
    case, network, data = mazur
    expected = case["step1_bias_trained"]
    after = steps(engine, network, data, 1, True)
    for b, name in zip(after.biases, ("b1", "b2"), strict=True):
        np.testing.assert_allclose(b, expected[name], **CLOSE)
    np.testing.assert_allclose(engine.loss(after, *data), expected["E"], **CLOSE)
    frozen = steps(engine, network, data, 1, False)
    assert [W.tobytes() for W in after.weights] == [W.tobytes() for W in frozen.weights]


@pytest.mark.parametrize("biases", ["frozen", "trained"])
def test_mazur_ten_thousand_steps(engine, mazur, biases):
    case, network, data = mazur
    expected = case["after10000"][biases]
    after = steps(engine, network, data, 10_000, biases == "trained")
    np.testing.assert_allclose(engine.predict(after, data[0]), [expected["o"]], **AFTER_MANY_STEPS)
    np.testing.assert_allclose(engine.loss(after, *data), expected["E"], **AFTER_MANY_STEPS)


def test_brainjs_129(engine):
    case = CASES["brainjs-129"]
    network = network_of(case)
    expected = case["expect_double"]
    out = engine.predict(network, [[float(digit) for digit in digits] for digits in expected])
    np.testing.assert_allclose(out[:, 0], list(expected.values()), **CLOSE)
    assert np.float32(out[list(expected).index("10"), 0]) == pytest.approx(case["printed_f32_for_10"], rel=2.0**-22)
