"""Pickles made under one Python must load under the others, and go on to the same bits.

python pickles.py make FOLDER     pickle networks and runs, in a file named after this Python
python pickles.py check FOLDER    load the files of every Python, resume the runs, and compare with runs made here
"""

import argparse
import pathlib
import pickle
import platform
import sys

import numpy as np

import backprop

X = [[s / 8.0, (7 * s) % 5 / 4.0] for s in range(-8, 8)]
Y = [[x[0] * x[1], abs(x[0])] for x in X]
OPTIMIZERS = [
    backprop.SGD(0.125),
    backprop.SGD(0.0625, 0.75),
    backprop.SGD(0.03125, 0.5, nesterov=True),
    backprop.Adam(0.01),
]
STREAMS = [np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64]
PROTOCOLS = range(2, 6)


def runs(epochs):
    """A run with each optimizer and kind of stream."""
    for optimizer, stream in zip(OPTIMIZERS, STREAMS, strict=True):
        network = backprop.Network([2, 5, 2], "tanh", "identity", rng=3)
        yield backprop.fast_train(network, X, Y, optimizer=optimizer, epochs=epochs, batch_size=5, rng=stream(4))


def content(run):
    """The bytes of a run: network, losses and state."""
    return run.network.parameters.tobytes() + run.losses.tobytes() + run.network.predict(X).tobytes()


def make(folder):
    path = folder / f"{platform.python_version()}-numpy-{np.__version__}.pickles"
    path.write_bytes(b"".join(pickle.dumps(run, protocol) for protocol in PROTOCOLS for run in runs(epochs=3)))
    print(f"made {path.name}: {len(PROTOCOLS) * len(OPTIMIZERS)} runs")


def check(folder):
    """Compare all files; return their number, or raise at the first run that differs."""
    straight = [content(run) for run in runs(epochs=5)]
    paths = sorted(folder.glob("*.pickles"))
    for path in paths:
        with path.open("rb") as file:
            for protocol in PROTOCOLS:
                for number, expected in enumerate(straight):
                    run = pickle.load(file)
                    if content(run.resume(X, Y, epochs=2)) != expected:
                        raise SystemExit(f"{path.name}: run {number} by protocol {protocol} goes on to other bits")
        print(f"Python {platform.python_version()}, NumPy {np.__version__} reads {path.name}: the same bits")
    return len(paths)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["make", "check"])
    parser.add_argument("folder", type=pathlib.Path)
    arguments = parser.parse_args()
    if arguments.what == "make":
        make(arguments.folder)
        return 0
    return 0 if check(arguments.folder) else 1


if __name__ == "__main__":
    sys.exit(main())
