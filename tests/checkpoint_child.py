"""The runs of test_checkpoint.py, and a process that makes one of them and is killed: checkpoint_child.py RUN PATH.

A third argument K has it kill itself at the K-th step of writing its second checkpoint.
"""

import builtins
import hashlib
import os
import shutil
import signal
import sys

import numpy as np

import backprop
from backprop import reference, streams, text_file

X = np.linspace(-1.0, 1.0, 30)[:, None]
Y = np.sin(4.0 * X)
NETWORK = backprop.Network([1, 12, 1], rng=1)
PATIENT = backprop.EarlyStopping(validation_fraction=0.3, patience=15)

# What is called, with which settings; and how many epochs lie between two checkpoints.
RUNS = {
    "plain": (backprop.fast_train, {"epochs": 300, "optimizer": backprop.Adam(0.01), "batch_size": 4, "rng": 5}, 7),
    "watched": (backprop.fast_train, {"epochs": 5000, "stopping": PATIENT, "optimizer": backprop.Adam(0.1)}, 3),
    "dropped": (backprop.fast_train, {"epochs": 250, "dropout": backprop.Dropout(0.25), "batch_size": 7}, 6),
    "method": (backprop.fast_train, {"epochs": 60, "optimizer": backprop.LBFGS(memory=4)}, 1),
    "damped": (backprop.fast_train, {"epochs": 40, "optimizer": backprop.LevenbergMarquardt()}, 1),
    "all rows": (backprop.fast_train, {"epochs": 200, "optimizer": backprop.Rprop("rprop+")}, 5),
    "definition": (reference.train, {"epochs": 8, "optimizer": backprop.SGD(0.1, momentum=0.9), "batch_size": 7}, 1),
}


def train(name, path=None, every=None, **more):
    function, settings, usual = RUNS[name]
    kept = None if path is None else backprop.Checkpoint(path, every=every or usual)
    return function(NETWORK, X, Y, checkpoint=kept, **settings, **more)


def digest(run):
    """The SHA-256 of all bits of a run."""
    state = run._state
    arrays = [run.network.parameters, run.losses, run.validation_losses, state.slots, state.scalars]
    arrays += [] if state.watch is None else [state.watch.best, state.watch.last]
    drawn = [one and streams.to_plain(one) for one in (state.stream, state.dropout)]
    others = repr([run.stopped, run.best_epoch, state.watch and state.watch[1:3], drawn])
    return hashlib.sha256(b"".join(array.tobytes() for array in arrays) + others.encode()).hexdigest()


class Steps:
    """Calls of what writes a file, counted; one of them is the last."""

    def __init__(self, last):
        self.left, self.files = last, 0

    def step(self):
        self.left -= self.files == 2
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, function):
        def call(*given, **named):
            self.step()
            result = function(*given, **named)
            self.step()
            return result

        return call

    def open(self, *given, **named):
        self.files += named.get("newline") == "\n"  # one that is written
        self.step()
        file = builtins.open(*given, **named)  # noqa: SIM115
        self.step()
        write, flush = file.write, file.flush

        def in_pieces(text):
            for k in range(0, len(text), len(text) // 3):
                write(text[k : k + len(text) // 3])
                flush()
                self.step()

        class Slow:
            def __enter__(self):
                return self

            def __exit__(self, *error):
                file.close()

            def __getattr__(self, name):
                return in_pieces if name == "write" else getattr(file, name)

        return Slow()


if __name__ == "__main__":
    if len(sys.argv) == 4:
        steps = Steps(int(sys.argv[3]))
        text_file.open = steps.open
        for module, name in (
            (os, "fsync"),
            (os, "replace"),
            (os, "open"),
            (os, "close"),
            (os, "unlink"),
            (shutil, "copymode"),
        ):
            setattr(module, name, steps.around(getattr(module, name)))
    print(digest(train(*sys.argv[1:3])))
