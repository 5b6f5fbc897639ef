"""Hostile conditions: `python hostile.py NAME` brings one about in this process and prints what came out, as JSON.

Each condition is a function; it returns one or more `results()` that were had under it, all of which must be those of
the definition in a process that nobody disturbs. Beside that, a condition raises an error if an exception, a floating-
point mode, or something that the caller holds is not what it should be. `assert` is not used: a condition may be that
Python ignores it. NumPy and backprop are imported where they are used: a condition may have to come before.
"""

import contextlib
import ctypes
import hashlib
import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import NamedTuple

from host_modes import MACHINE, ROUNDING, SYSTEM, control, felt, host_mode, set_control, set_mode

LINUX = SYSTEM == "Linux"
POSIX = SYSTEM != "Windows"


class Condition(NamedTuple):
    bring_about: Callable
    options: tuple  # of Python's command line
    environment: dict


CONDITIONS = {}


def condition(*options, name=None, exists=True, **environment):
    """Enter a function in the table, if there is such a thing on this platform."""

    def enter(function):
        if exists:
            CONDITIONS[name or function.__name__] = Condition(function, options, environment)
        return function

    return enter


def check(truth, what):
    if not truth:
        raise AssertionError(what)


@contextlib.contextmanager
def raises(kind, *words):
    """The block ends in just this exception, and each of the words is in its text."""
    try:
        yield
    except kind as error:
        check(type(error) is kind, f"{error!r} is not just {kind.__name__}")
        for word in words:
            check(word in str(error), f"{word!r} is not in {str(error)!r}")
    else:
        check(False, f"no {kind.__name__}")


# What is measured.


def library():
    """backprop, whose threads work on the smallest pieces."""
    import backprop

    backprop._kernel.THREAD_WORK = backprop._kernel.WAKING_WORK = 1e-3
    return backprop


def data():
    """X (24, 2) in eighths, y (24, 2) in thirty-seconds, each row of which sums to 1: exact in every rounding mode."""
    import numpy as np

    s, i = np.arange(24)[:, None], np.arange(2)
    X = ((7 * s + 3 * i + s * i) % 23 - 11) / 8.0
    t = (5 * s % 33) / 32.0
    return X, np.concatenate([t, 1.0 - t], axis=1)


def digest(value):
    return hashlib.sha256(value if isinstance(value, bytes) else value.tobytes()).hexdigest()[:16]


def runs():
    """Hidden and output activation, loss, optimizer and batch size."""
    backprop = library()
    return [
        ("tanh", "identity", "squared_error", backprop.SGD(0.1), 1),
        ("logistic", "logistic", "binary_cross_entropy", backprop.SGD(0.1, 0.9), 5),
        ("elu", "softmax", "cross_entropy", backprop.SGD(0.1, 0.9, nesterov=True), 7),
        ("softplus", "softsign", "squared_error", backprop.Adam(0.01), 5),
    ]


def results(X=None, y=None, engine="kernel"):
    """A digest of each thing that the package returns for this data, by name; what was passed in must be unchanged."""
    import numpy as np

    backprop = library()
    if engine == "kernel":
        train, predict, loss = backprop.fast_train, backprop.Network.predict, backprop.Network.loss
        loss_and_gradient, draw = backprop.loss_and_gradient, initial_parameters
    else:
        twin = backprop.reference
        train, predict, loss = twin.train, twin.predict, twin.loss
        loss_and_gradient, draw = twin.loss_and_gradient, twin.initial_parameters
    X, y = data()[0] if X is None else X, data()[1] if y is None else y
    held = [value.tobytes() for value in (X, y) if hasattr(value, "tobytes")]
    n_in, n_out = np.shape(X)[1], np.shape(y)[1]
    found = {"philox": digest(np.array(draw((n_in, 30, n_out), np.random.Philox(5))))}
    for seed, (hidden, output, name, optimizer, batch_size) in enumerate(runs()):
        sizes = (n_in, 4, n_out)
        network = backprop.Network(sizes, hidden, output, rng=seed)
        before = network.parameters.tobytes()
        generator = np.random.default_rng(seed)
        run = train(network, X, y, loss=name, optimizer=optimizer, epochs=2, batch_size=batch_size, rng=generator)
        trained = run.network.parameters.tobytes()
        resumed = run.resume(X, y, epochs=1)
        value, gradient = loss_and_gradient(network, X, y, name)
        found |= {
            f"{output} {part}": digest(number)
            for part, number in {
                "initial": np.array(draw(sizes, np.random.PCG64(seed))),
                "parameters": trained,
                "losses": resumed.losses,
                "resumed": resumed.network.parameters,
                "stream": str(generator.bit_generator.state).encode(),
                "prediction": predict(run.network, X),
                "prediction of copies": predict(run.network, np.asfortranarray(X)),
                "loss": np.array(loss(run.network, X, y, name)),
                "value": np.array(value),
                "gradient": gradient,
            }.items()
        }
        check(network.parameters.tobytes() == before, "the network has changed")
        check(run.network.parameters.tobytes() == trained, "resuming has changed the run")
    found |= files(run.network)
    found |= subnormal(train, predict, n_in, n_out)
    check([value.tobytes() for value in (X, y) if hasattr(value, "tobytes")] == held, "X or y has changed")
    return found


def initial_parameters(sizes, stream):
    return library().Network(sizes, rng=stream).parameters


def files(network):
    """The bytes of its file, and what is read from it."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "net")
        network.save(path)
        with open(path, "rb") as file:
            text = file.read()
        check(os.listdir(folder) == ["net"], "a file is left over")
        read = type(network).load(path)
    return {
        "file": digest(text),
        "read": digest(read.parameters),
        "pickle": digest(pickle.loads(pickle.dumps(network)).parameters),
    }


def subnormal(train, predict, n_in, n_out):
    """Linear networks on data of which flush-to-zero would leave nothing."""
    import numpy as np

    backprop = library()
    tiny = (np.arange(1, 24 * n_in + 1) << 40).view(np.float64).reshape(24, n_in)
    targets = (np.arange(24 * n_out, 0, -1) << 41).view(np.float64).reshape(24, n_out)
    network = backprop.Network((n_in, 3, n_out), "identity", "identity", rng=1)
    run = train(network, tiny, targets, optimizer=backprop.SGD(0.25), epochs=2, batch_size=5)
    return {"subnormal run": digest(run.network.parameters), "subnormal prediction": digest(predict(network, tiny))}


condition()(results)  # one that is not hostile


@condition()
def reference():
    """The definition, undisturbed: what all others must return."""
    return results(engine="reference")


# Another library or the host has set the floating-point unit.


def load_flushing_library():
    """A library that sets flush-to-zero as it is loaded: made by a compiler if there is one, else what that would do."""
    register = {
        "x86_64": '__asm__ volatile("stmxcsr %0" : "=m"(word)); word |= 0x8040; '
        '__asm__ volatile("ldmxcsr %0" : : "m"(word));',
        "aarch64": '__asm__ volatile("mrs %0, fpcr" : "=r"(word)); word |= 1 << 24; '
        '__asm__ volatile("msr fpcr, %0" : : "r"(word));',
    }[MACHINE]
    word = "unsigned int" if MACHINE == "x86_64" else "unsigned long"
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None) if POSIX else None
    if compiler is None:
        set_mode("flush")
    else:
        with tempfile.TemporaryDirectory() as folder:
            source, built = pathlib.Path(folder, "flush.c"), os.path.join(folder, "flush.so")
            source.write_text(f"__attribute__((constructor)) static void flush(void) {{ {word} word; {register} }}\n")
            subprocess.run([compiler, "-shared", "-fPIC", "-ffast-math", "-o", built, source], check=True)
            ctypes.CDLL(built)
    check(felt("flush")[2], "subnormal numbers are not flushed")


@condition()
def flush_before_import():
    load_flushing_library()
    check("numpy" not in sys.modules, "NumPy is there already")
    return results()


@condition()
def flush_after_import():
    library()
    load_flushing_library()
    return results()


@condition()
def flush_between_two_calls():
    first = results()
    load_flushing_library()
    return first, results()


@condition()
def flush_in_a_thread():
    """Only one thread, started later, has it set; then it trains."""
    found = [results()]

    def work():
        load_flushing_library()
        found.append(results())

    in_threads([work])
    return *found, results()


@condition()
def workers_born_under_flush():
    """The threads that share the work take over the mode in which they are made."""
    plain = control()
    set_mode("flush")
    found = results()
    set_control(plain)
    return found, results()


def under(mode):
    library()
    with host_mode(mode):
        return results()


for mode in (*ROUNDING, "traps"):
    condition(name=f"mode_{mode}")(lambda mode=mode: under(mode))


def in_threads(functions):
    """Call each in a thread of its own, all at once; an exception in one is raised here."""
    errors, ready = [], threading.Barrier(len(functions))

    def work(function):
        try:
            ready.wait()
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


if __name__ == "__main__":
    before = control()
    found = CONDITIONS[sys.argv[1]].bring_about()
    print(json.dumps(found if isinstance(found, list | tuple) else [found]))
