"""The floating-point unit as another library or the host has set it."""

import contextlib
import ctypes
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from host_modes import MACHINE, ROUNDING, control, felt, host_mode, set_control, set_mode

from .measured import check, data, in_threads, library, network, results
from .table import POSIX, Condition, condition

# Another library or the host has set the floating-point unit.


def load_flushing_library():
    """A library that sets flush-to-zero as it is loaded: made by a compiler if there is one, or what it would do."""
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


@condition()
def mode_set_in_a_callback():
    """It stays as the callback left it."""
    plain, modes = control(), []

    def callback(state):
        if modes:
            check(control() == modes[-1], "the mode is not the host's in a callback")
        set_control(plain)
        set_mode(ROUNDING[len(modes) % 3])
        modes.append(control())

    found = results(callback=callback)
    check(control() == modes[-1], "the mode is not the host's after the call")
    return found


def calls(folder):
    """Every public function, some with an argument that is refused: the name and what to call."""
    import numpy as np

    backprop = library()
    X, y = data()
    net, path = network(), os.path.join(folder, "net")
    run = backprop.fast_train(net, X, y, epochs=1)
    return {
        "Network": lambda: backprop.Network([2, 30, 2], rng=np.random.SFC64(3)),
        "from_arrays": lambda: backprop.Network.from_arrays(net.weights, net.biases),
        "with_parameters": lambda: net.with_parameters(net.parameters.tolist()),
        "predict": lambda: net.predict(X),
        "predict a copy": lambda: net.predict(X.astype(np.float32)),
        "predict a list": lambda: net.predict(X.tolist()),
        "loss": lambda: net.loss(X, y),
        "loss_and_gradient": lambda: backprop.loss_and_gradient(net, X, y),
        "fast_train": lambda: backprop.fast_train(net, X, y, epochs=2),
        "resume": lambda: run.resume(X, y, epochs=2),
        "save": lambda: net.save(path),
        "load": lambda: backprop.Network.load(path),
        "no such file": lambda: backprop.Network.load(path + "s"),
        "X is not finite": lambda: net.predict(X + np.inf),
        "y does not fit": lambda: net.loss(X, y[:3]),
        "the run diverges": lambda: backprop.fast_train(net, X, y, optimizer=backprop.SGD(1e100)),
        "the prediction overflows": lambda: net.with_parameters(net.parameters * 1e300).predict(X * 1e300),
        "not a number": lambda: backprop.SGD("fast"),
    }


@condition()
def mode_kept_by_every_call():
    with tempfile.TemporaryDirectory() as folder:
        for call in calls(folder).values():
            for mode in (*ROUNDING, "flush"):
                with host_mode(mode), contextlib.suppress(ArithmeticError, OSError, TypeError, ValueError):
                    call()
    return results()


@condition()
def mode_and_lists():
    """Lists of numbers of several kinds, and of decimals, are converted as without a mode."""
    import decimal

    import numpy as np

    backprop = library()
    numbers = [
        [[np.int64(2**60 + 1), 1.5], [np.float32(1e-42), 0.5]],
        [np.array([2**60 + 1, 2**62 - 1]), np.array([1.5, 2.5])],
        (np.array([1e-42, 1.0], np.float32), np.array([5e-324, 1.0])),
        [[decimal.Decimal("0.1"), decimal.Decimal("123456.789e-3")], [1, decimal.Decimal("3.3e100")]],
    ]
    straight = backprop.Network([2, 2], "identity").with_parameters([1.0, 0.0, 0.0, 1.0, 0.0, 0.0])

    def converted():
        rates = [backprop.SGD(decimal.Decimal(text)).learning_rate for text in ("0.1", "123456.789e-3")]
        return [straight.predict(X).tobytes() for X in numbers], np.array(rates).tobytes()

    plain = converted()
    for mode in (*ROUNDING, "flush"):
        with host_mode(mode):
            found = converted()
        check(found == plain, f"other numbers with {mode}")
    return results()


# Not conditions, but what these are compared with, and what the modes would do to results that they reach.
DEFINITIONS = {"the definition": Condition(lambda: results(engine="reference"))}


def definition_under(mode):
    library()
    with host_mode(mode):
        return results(engine="reference")


for mode in (*ROUNDING, "flush"):
    DEFINITIONS[f"the definition under {mode}"] = Condition(lambda mode=mode: definition_under(mode))
