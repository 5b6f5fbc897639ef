"""The definition alone: a Python without site packages and without NumPy gets the bits that the kernel gets."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import backprop
from backprop.optimizers import penalties_of, plan_of
from backprop.shuffling import plain
from backprop.state import RunState, Settings

FOLDER = pathlib.Path(backprop.__file__).parent
X = np.linspace(-1.0, 1.0, 21).reshape(7, 3)
Y = np.cos(3.0 * X[:, :2])
NETWORK = backprop.Network([3, 4, 2], "tanh", rng=5)

# Run as `python -S -I`: an epoch needs no NumPy, and random words come from a function.
PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
from definition import epochs, values
from definition.passes import mean_loss, predict

given = json.load(sys.stdin)
given["hyperparameters"]["clip_norm"] = float(given["hyperparameters"]["clip_norm"])
words, dropped = iter(given["words"]), iter(given["dropped"])
network = values.Architecture(tuple(given["sizes"]), tuple(given["activations"]))
settings, data = values.Hyperparameters(**given["hyperparameters"]), values.Dataset(*given["data"])
w, slots, scalars = given["w"], given["slots"], given["scalars"]
one_epoch = epochs.METHODS.get(settings.rule, epochs.train_epoch)
losses = [
    one_epoch(network, w, slots, scalars, lambda: next(words), lambda: next(dropped), settings, data)[0]
    for _ in range(given["epochs"])
]
foreign = sorted(name for name in sys.modules if name.partition(".")[0] in ("numpy", "backprop", "site"))
loss, gradient, _ = mean_loss(network, w, settings.loss, data)
print(json.dumps([w, losses, predict(network, w, data.X)[0], loss, gradient, foreign]))
"""


@pytest.mark.parametrize(
    ("optimizer", "dropout", "batch_size", "shuffle"),
    [
        (backprop.SGD(0.1, momentum=0.9, l1=1e-3, clip_norm=0.5), None, 3, True),
        (backprop.Adam(0.01), backprop.Dropout(0.5, rng=2), 4, True),
        (backprop.RMSprop(0.01), None, 3, backprop.BlockShuffle(2, 3)),
        (backprop.Rprop(), None, None, True),
        (backprop.LBFGS(l2=1e-3), None, None, True),
        (backprop.LevenbergMarquardt(), None, None, True),
    ],
    ids=lambda one: type(one).__name__,
)
def test_without_numpy(optimizer, dropout, batch_size, shuffle):
    epochs, plan = 3, plan_of(optimizer)
    settings = Settings.checked(NETWORK, None, optimizer, batch_size, shuffle, dropout=dropout)
    state = RunState.first(NETWORK, settings, 1)
    l1, l2, clip_norm = penalties_of(optimizer)
    weights = [1.0, 2.0, 0.5, 1.0, 0.0, 1.0, 3.0]
    given = {
        "sizes": NETWORK.sizes,
        "activations": NETWORK.activations,
        "w": NETWORK.parameters.tolist(),
        "slots": state.slots.tolist(),
        "scalars": state.scalars.tolist(),
        "words": np.random.PCG64(1).random_raw(1000).tolist(),
        "dropped": [] if dropout is None else state.dropout.random_raw(1000).tolist(),
        "data": (X.tolist(), Y.tolist(), weights),
        "epochs": epochs,
        "hyperparameters": {
            "loss": settings.loss,
            "rule": plan.rule,
            "settings": plan.settings,
            "batch_size": settings.batch_size or len(X),
            "shuffle": plain(shuffle),
            "train_biases": True,
            "l1": l1,
            "l2": l2,
            "clip_norm": repr(clip_norm),
            "dropout_rates": None if dropout is None else dropout.rates(NETWORK.sizes),
        },
    }
    command = [sys.executable, "-S", "-I", "-c", PROGRAM, str(FOLDER)]
    done = subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=True)
    w, losses, predictions, loss, gradient, foreign = json.loads(done.stdout)
    more = {"batch_size": batch_size, "shuffle": shuffle, "sample_weight": weights, "dropout": dropout}
    run = backprop.fast_train(NETWORK, X, Y, optimizer=optimizer, epochs=epochs, rng=1, **more)
    assert foreign == []
    assert np.array(w).tobytes() == run.network.parameters.tobytes()
    assert np.array(losses).tobytes() == run.losses.tobytes()
    assert np.array(predictions).tobytes() == run.network.predict(X).tobytes()
    expected = backprop.loss_and_gradient(run.network, X, Y, sample_weight=weights)
    assert loss.hex() == expected[0].hex()
    assert np.array(gradient).tobytes() == expected[1].tobytes()
