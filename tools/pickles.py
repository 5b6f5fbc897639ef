"""Pickles made under one Python must load under the others, and go on to the same bits.

python pickles.py make FOLDER     pickle runs and estimators, in a file named after this Python
python pickles.py check FOLDER    load the files of every Python, continue, and compare with what is made here

Estimators are left out where scikit-learn is older than `backprop.estimators` needs.
"""

import argparse
import io
import pathlib
import pickle
import platform
import sys
import warnings

import joblib
import numpy as np
import skops.io

import backprop

try:
    from backprop.estimators import MLPClassifier, MLPRegressor
except ImportError:
    ESTIMATORS = []
else:
    SHARED = {"hidden_layer_sizes": (5,), "random_state": 1, "warm_start": True}
    ESTIMATORS = [
        MLPClassifier(solver="adam", **SHARED),
        MLPClassifier(solver="sgd", early_stopping=True, **SHARED),
        MLPRegressor(solver="lbfgs", **SHARED),
        MLPRegressor(solver=backprop.RMSprop(0.01), **SHARED),
    ]

X = [[s / 8.0, (7 * s) % 5 / 4.0] for s in range(-16, 16)]
Y = [[x[0] * x[1], abs(x[0])] for x in X]
LABELS = [["low", "mid", "high"][s % 3] for s in range(32)]
WATCHED = backprop.EarlyStopping(validation_data=(X[::2], np.array(Y[::2]), range(16)), patience=2)
RUNS = [
    {"optimizer": backprop.SGD(0.125), "rng": np.random.PCG64(4)},
    {"optimizer": backprop.SGD(0.0625, 0.75), "rng": np.random.PCG64DXSM(4)},
    {"optimizer": backprop.SGD(backprop.StepDecay(0.1, 2), 0.5, nesterov=True), "rng": np.random.Philox(4)},
    {"optimizer": backprop.Adam(0.01, l2=0.01, clip_norm=1.0), "rng": np.random.SFC64(4)},
    {"optimizer": backprop.AdamW(0.01), "dropout": backprop.Dropout(0.25)},
    {"optimizer": backprop.RMSprop(backprop.ReduceOnPlateau(0.01, patience=1)), "stopping": WATCHED},
    {"optimizer": backprop.Rprop("rprop+"), "batch_size": None},
    {"optimizer": backprop.LBFGS(memory=3), "batch_size": None},
    {"optimizer": backprop.LevenbergMarquardt(), "batch_size": None},
]


def by_joblib(value):
    file = io.BytesIO()
    joblib.dump(value, file)
    return file.getvalue()


def from_skops(data):
    return skops.io.loads(data, trusted=skops.io.get_untrusted_types(data=data))


WAYS = {
    **{f"protocol {k}": (lambda value, k=k: pickle.dumps(value, k), pickle.loads) for k in range(6)},
    "joblib": (by_joblib, lambda data: joblib.load(io.BytesIO(data))),
    "skops": (skops.io.dumps, from_skops),
}


def values(epochs):
    """A run with each optimizer, state and kind of stream, and fitted estimators."""
    for settings in RUNS:
        network = backprop.Network([2, 5, 2], "tanh", "identity", rng=3)
        yield backprop.fast_train(network, X, Y, epochs=epochs, **{"batch_size": 5, **settings})
    for estimator in ESTIMATORS:
        y = LABELS if isinstance(estimator, MLPClassifier) else Y
        yield type(estimator)(**estimator.get_params(deep=False)).set_params(max_iter=epochs).fit(X, y)


def continued(value, epochs):
    """The same after some more epochs."""
    if isinstance(value, backprop.Training):
        return value.resume(X, Y, epochs=epochs)
    return value.set_params(max_iter=epochs).fit(X, Y if isinstance(value, MLPRegressor) else LABELS)


def content(value):
    """The bytes of a run or an estimator: network, losses and predictions."""
    if isinstance(value, backprop.Training):
        return value.network.parameters.tobytes() + value.losses.tobytes() + value.network.predict(X).tobytes()
    return value.network_.parameters.tobytes() + repr([value.loss_curve_, value.predict(X).tolist()]).encode()


def make(folder):
    path = folder / f"{platform.python_version()}-numpy-{np.__version__}.pickles"
    made = list(values(3))
    path.write_bytes(pickle.dumps({name: [dump(value) for value in made] for name, (dump, _) in WAYS.items()}))
    print(f"made {path.name}: {len(WAYS)} times {len(made)} runs and estimators")


def check(folder):
    """Compare all files; return their number, or raise at the first value that differs."""
    expected = [content(continued(value, 2)) for value in values(3)]
    paths = sorted(folder.glob("*.pickles"))
    for path in paths:
        found = pickle.loads(path.read_bytes())
        for name, (_, load) in WAYS.items():
            for number, (data, wanted) in enumerate(zip(found[name], expected, strict=False)):
                if content(continued(load(data), 2)) != wanted:
                    raise SystemExit(f"{path.name}: number {number} by {name} goes on to other bits")
        count = min(len(found[name]), len(expected))
        print(f"Python {platform.python_version()}, NumPy {np.__version__} reads {count} of {path.name}: the same bits")
    return len(paths)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "check"])
    parser.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # fits that have not converged, and other versions of scikit-learn
    if arguments.what == "make":
        make(arguments.folder)
        return 0
    return 0 if check(arguments.folder) else 1


if __name__ == "__main__":
    sys.exit(main())
