"""The tutorial's first step, on both engines."""

import backprop
from backprop import reference


def test_first_step():
    net = backprop.Network.from_arrays(
        [[[0.15, 0.25], [0.2, 0.3]], [[0.4, 0.5], [0.45, 0.55]]], [[0.35, 0.35], [0.6, 0.6]], "logistic", "logistic"
    )
    data = [[0.05, 0.1]], [[0.01, 0.99]]
    settings = {"optimizer": backprop.SGD(0.5), "epochs": 1, "batch_size": 1, "train_biases": False}
    run = backprop.fast_train(net, *data, **settings)
    assert run.network.loss(*data) == 0.29102777369359933
    assert run.network == reference.train(net, *data, **settings).network
