"""What the host does to Python, to NumPy and to the process; callbacks; and what runs out."""

import contextlib
import os
import pathlib
import sys
import tempfile
import threading

from host_modes import control

from .measured import check, data, in_threads, initial, library, network, raises, results
from .table import LINUX, POSIX, condition

# How Python and OpenMP are started.

for name, options in {
    "undisturbed": [],
    "optimized": ["-O"],
    "without_docstrings": ["-OO"],
    "development_mode": ["-X", "dev"],
    "warnings_are_errors": ["-bb", "-W", "error"],
    "traced_allocations": ["-X", "tracemalloc=1"],
}.items():
    condition(*options, name=name)(results)

for name, environment in {
    "hash_seed": {"PYTHONHASHSEED": "1"},
    "debugging_allocator": {"PYTHONMALLOC": "debug"},
    "memory_filled_with_55": {"MALLOC_PERTURB_": "85", "PYTHONMALLOC": "malloc"},
    "memory_filled_with_ff": {"MALLOC_PERTURB_": "255", "PYTHONMALLOC": "malloc"},
    "one_thread": {"OMP_NUM_THREADS": "1"},
    "many_threads": {"OMP_NUM_THREADS": "24"},
    "dynamic_threads": {"OMP_DYNAMIC": "true", "OMP_NUM_THREADS": "3"},
    "thread_limit": {"OMP_THREAD_LIMIT": "1"},
    "no_parallel_regions": {"OMP_MAX_ACTIVE_LEVELS": "0"},
    "small_stacks_of_workers": {"OMP_STACKSIZE": "64k"},
    "passive_waiting": {"OMP_WAIT_POLICY": "passive"},
    "active_waiting": {"OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "infinite"},
    "threads_bound_to_one_place": {"OMP_PROC_BIND": "true", "OMP_PLACES": "{0}", "OMP_NUM_THREADS": "3"},
}.items():
    condition(name=name, **environment)(results)


# Callbacks.


@condition()
def recursion_from_a_callback():
    found = []

    def callback(state):
        if len(depth) < 10:
            depth.append(state.epoch)
            found.append(results(callback=callback))

    depth = []
    found.append(results(callback=callback))
    check(len(found) == 11, "no recursion")
    return found


@condition()
def recursion_without_end():
    import numpy as np

    backprop = library()
    net, (X, y), generator = network(), data(), np.random.default_rng(3)
    before = initial(net, generator)

    def callback(state):
        backprop.fast_train(net, X, y, epochs=1, rng=generator, callback=callback)

    with raises(RecursionError):
        callback(None)
    check(initial(net, generator) == before, "the network or the generator has changed")
    return results()


@condition()
def too_little_stack():
    """A RecursionError at whatever depth of a call leaves everything as it was."""
    import numpy as np

    backprop = library()
    net, (X, y) = network(), data()
    expected, usual, failed = (
        digests_of_calls(backprop, net, X, y, np.random.default_rng(3)),
        sys.getrecursionlimit(),
        0,
    )
    for limit in range(10, 60):
        generator = np.random.default_rng(3)
        before = initial(net, generator)
        try:
            sys.setrecursionlimit(limit)
            found = digests_of_calls(backprop, net, X, y, generator)
        except RecursionError:
            failed += 1
            found = None
        finally:
            sys.setrecursionlimit(usual)
        if found is None:
            check(initial(net, generator) == before, "the network or the generator has changed")
        else:
            check(found == expected, "other bits")
    check(0 < failed < 50, f"{failed} calls failed")
    return results()


def digests_of_calls(backprop, net, X, y, generator):
    """Predictions, a loss, a gradient and, as the last thing, a run that moves the generator on."""
    prediction, copied = net.predict(X).tobytes(), net.predict(X[::-1]).tobytes()
    value, gradient = backprop.loss_and_gradient(net, X, y)
    run = backprop.fast_train(net, X, y, epochs=2, rng=generator)
    return prediction, copied, net.loss(X, y), value, gradient.tobytes(), run.network.parameters.tobytes()


@condition()
def exceptions_from_a_callback():
    import numpy as np

    backprop = library()
    net, (X, y), generator = network(), data(), np.random.default_rng(3)
    run = backprop.fast_train(net, X, y, epochs=2)
    before = initial(net, generator), run.network.parameters.tobytes(), run.losses.tobytes()
    kinds = [KeyError, StopIteration, StopAsyncIteration, GeneratorExit, KeyboardInterrupt, SystemExit, MemoryError]
    for kind in [*kinds, type("Mine", (BaseException,), {})]:
        error = kind("mine")

        def callback(state, error=error):
            if state.epoch == 2:
                raise error

        for train in (
            lambda: backprop.fast_train(net, X, y, epochs=5, rng=generator, callback=callback),
            lambda: run.resume(X, y, epochs=5, callback=callback),
        ):
            caught = None
            try:
                train()
            except BaseException as raised:
                caught = raised
            check(caught is error, f"{caught!r} instead of {error!r}")
            after = initial(net, generator), run.network.parameters.tobytes(), run.losses.tobytes()
            check(after == before, "something has changed")
    return results()


@condition()
def callback_that_spoils_its_state():
    def callback(state):
        with raises(ValueError, "read-only"):
            state.network.parameters[0] = 1.0
        with raises(ValueError, "WRITEABLE"):
            state.network.parameters.setflags(write=True)
        with raises(AttributeError, "immutable"):
            state.network.sizes = ()
        state.epoch = state.loss = None
        state.__dict__.clear()

    return results(callback=callback)


@condition()
def callbacks_with_odd_answers():
    """Only True stops a run; a callback that counts as false is called all the same."""
    import numpy as np

    class Undecided:
        def __bool__(self):
            raise AssertionError("asked for its truth")

        __eq__ = __len__ = __bool__
        __hash__ = None

    answers = [Undecided(), np.ones(3), 1, "stop", Ellipsis, NotImplemented, (x for x in [True]), np.ma.masked]
    found = [results(callback=lambda state, answer=answer: answer) for answer in answers]

    class Record(list):
        __call__ = list.append

    record = Record()
    found.append(results(callback=record))
    check(len(record) == 12, f"{len(record)} calls")
    return found


# Little memory, and other things that run out.


def sizeable():
    """A problem whose arrays are megabytes, and their threads' stacks too."""
    import numpy as np

    backprop = library()
    net = backprop.Network([64, 256, 256, 2], rng=1)
    X = (np.arange(256 * 64).reshape(256, 64) % 17 - 8) / 8.0
    return net, X, X[:, :2].copy()


def work_on(net, X, y, generator):
    """Bits of a prediction, of a gradient and, as the last thing, of a run that moves the generator on."""
    backprop = library()
    prediction = net.predict(X[::-1], n_threads=4)
    _, gradient = backprop.loss_and_gradient(net, X, y)
    run = backprop.fast_train(net, X, y, epochs=1, batch_size=128, rng=generator, n_threads=4)
    return prediction.tobytes(), gradient.tobytes(), run.network.parameters.tobytes()


@condition(exists=LINUX, MALLOC_ARENA_MAX="1")
def little_memory():
    """The address space may grow by so much and no more: MemoryError or the same bits; each time in a new thread."""
    import resource

    import numpy as np

    net, X, y = sizeable()
    held, answers = (net.parameters.tobytes(), X.tobytes(), y.tobytes()), []

    def work(room):
        generator = np.random.default_rng(3)
        before = initial(net, generator)
        used = int(pathlib.Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        if room is not None:
            resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))
        try:
            answers.append(work_on(net, X, y, generator))
        except MemoryError:
            answers.append(None)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        if answers[-1] is None:
            check(initial(net, generator) == before, "the network or the generator has changed")

    for room in [*range(0, 8 << 20, 256 << 10), *range(8 << 20, 64 << 20, 4 << 20), None]:
        in_threads([lambda room=room: work(room)])
    expected = answers[-1]
    check(None in answers, "there was memory enough")
    check(all(answer in (None, expected) for answer in answers), "other bits")
    check((net.parameters.tobytes(), X.tobytes(), y.tobytes()) == held, "something has changed")
    return results()


def has_allocation_hooks():
    """CPython's own module for tests, which not every distribution has.

    Not on 3.12 and later: where memory fails as they make a function with annotations, they give the function's code
    back once too often and end later, with a few lines of plain Python and no extension at all; 3.11 does not.
    """
    import importlib.util
    import sys

    return importlib.util.find_spec("_testcapi") is not None and sys.version_info < (3, 12)


@condition(exists=has_allocation_hooks())
def every_allocation_fails_once():
    """Of Python's objects, one after the other: MemoryError or the same bits, and nothing has moved."""
    import _testcapi

    import numpy as np

    backprop = library()
    net, (X, y), generator = network(), data(), np.random.default_rng(3)
    before = initial(net, generator)
    calls = {
        "predict": lambda: net.predict(X).tobytes(),
        "predict a copy": lambda: net.predict(X[::-1]).tobytes(),
        "loss": lambda: net.loss(X, y),
        "fast_train": lambda: backprop.fast_train(net, X, y, epochs=2, rng=1).network.parameters.tobytes(),
    }
    for name, call in calls.items():
        expected, failed = call(), 0
        for k in range(1, 200):
            found = None
            _testcapi.set_nomemory(k, k + 1)
            try:
                found = call()
            except (MemoryError, RuntimeError):  # Python's "can't allocate lock"
                failed += 1
            finally:
                _testcapi.remove_mem_hooks()
            check(found in (None, expected), f"other bits of {name}")
        check(failed > 0, f"nothing failed in {name}")
    check(initial(net, generator) == before, "the network has changed")
    return results()


def save_fails(limit, number):
    """A file that cannot be written leaves the one that was there, and nothing beside it."""
    import resource

    backprop = library()
    net, other = network(), backprop.Network([2, 30, 2], rng=4)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "net")
        net.save(path)
        usual = resource.getrlimit(limit)
        resource.setrlimit(limit, (number, usual[1]))
        try:
            with raises(OSError, str(path)):
                other.save(path)
        finally:
            resource.setrlimit(limit, usual)
        check(os.listdir(folder) == ["net"], "a file is left over")
        check(backprop.Network.load(path) == net, "the file has changed")
    return results()


if POSIX:
    import resource

    for name, limit, number in [
        ("no_room_for_a_file", resource.RLIMIT_FSIZE, 100),
        ("no_file_descriptor_left", resource.RLIMIT_NOFILE, 3),
    ]:
        condition(name=name)(lambda limit=limit, number=number: save_fails(limit, number))


# What the host does to Python and NumPy.


@condition(exists=POSIX)
def folder_is_gone():
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)
    found = results()
    with raises(FileNotFoundError):
        network().save("net")
    os.chdir("/")
    return found


@condition(exists=POSIX)
def standard_streams_closed():
    """The next file that is opened gets their numbers."""
    kept = [os.dup(number) for number in range(3)]
    for number in range(3):
        os.close(number)
    found = results()
    for number, copy in enumerate(kept):
        os.dup2(copy, number)
    return found


@condition(exists=LINUX)
def one_core_and_three_threads(**environment):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.nice(19)
    return results()


@condition()
def collector_runs_all_the_time():
    import gc

    gc.set_threshold(1)
    modes = [control()]
    gc.callbacks.append(lambda phase, info: modes.append(control()))
    found = results()
    check(len(modes) > 100, "the collector has not run")
    check(set(modes) == {modes[0]}, "the collector has run in another mode")
    gc.callbacks.clear()
    gc.disable()
    return found, results()


@condition()
def traced_and_profiled():
    events = []

    def watch(frame, event, argument):
        events.append(event)
        return watch

    sys.settrace(watch)
    threading.settrace(watch)
    sys.setprofile(watch)
    found = results()
    in_threads([results])
    sys.setprofile(None)
    sys.settrace(None)
    check(len(events) > 1000, "nothing was traced")
    return found


@condition()
def numpy_raises_for_everything():
    """The host's handling of NumPy's floating-point errors is for its own arithmetic."""
    import decimal

    import numpy as np

    library()
    net, X = network(), data()[0]
    tiny = np.array([[1e-320, 1.0]], np.longdouble) / 3
    signaling = np.array([[0x7FA00000, 0]], np.uint32).view(np.float32)
    decimals = [[decimal.Decimal("1e-320"), decimal.Decimal(1)]]
    expected = [net.predict(rows).tobytes() for rows in (tiny, decimals, X[::-1])]
    np.seterr(all="raise")
    np.setbufsize(16)
    np.set_printoptions(precision=1, floatmode="fixed")
    state = np.geterr(), np.getbufsize(), np.get_printoptions()
    found = results()
    check([net.predict(rows).tobytes() for rows in (tiny, decimals, X[::-1])] == expected, "other bits")
    with raises(ValueError, "X must be finite, got nan in row 0, column 0"):
        net.predict(signaling)
    check((np.geterr(), np.getbufsize(), np.get_printoptions()) == state, "NumPy's settings have changed")
    return found


@condition()
def global_random_state():
    """NumPy's and Python's are neither used nor moved."""
    import random

    import numpy as np

    found = []
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002
        random.seed(seed)
        before = str(np.random.get_state()), random.getstate()  # noqa: NPY002
        found.append(results())
        check((str(np.random.get_state()), random.getstate()) == before, "a random state has moved")  # noqa: NPY002
    return found


@condition()
def generators_that_have_travelled():
    """Copies and pickles of generators go on as they would have done, and so do what is made from them."""
    import copy
    import pickle

    import numpy as np

    backprop = library()
    net, (X, y) = network(), data()
    for kind in (np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64):
        made, subclass = kind(7), type("Mine", (kind,), {})(7)
        made.random_raw(3)
        subclass.random_raw(3)
        copies = [copy.deepcopy(made), pickle.loads(pickle.dumps(made)), subclass]
        copies.append(np.random.Generator(copy.deepcopy(made)))
        found = {backprop.fast_train(net, X, y, epochs=2, batch_size=3, rng=rng).network for rng in copies}
        check(found == {backprop.reference.train(net, X, y, epochs=2, batch_size=3, rng=made).network}, "another run")
        states = {str(getattr(rng, "bit_generator", rng).state | {"bit_generator": kind}) for rng in [*copies, made]}
        check(len(states) == 1, "the generators have not been moved on alike")
    return results()


@condition()
def imported_twice():
    """A host that throws modules away and imports them again: old networks train on, new ones are of another class."""
    first, net = results(), network()
    run = library().fast_train(net, *data(), epochs=2)
    for name in [name for name in sys.modules if name.partition(".")[0] == "backprop"]:
        del sys.modules[name]
    second, again = results(), network()
    check(again is not net and again.parameters.tobytes() == net.parameters.tobytes(), "another network")
    check(run.resume(*data(), epochs=2).epochs == 4, "the old run cannot be resumed")
    return first, second


def interpreters():
    """CPython's subinterpreters, under the name that this release has for them, or None."""
    import importlib.util

    names = ("_interpreters", "_xxsubinterpreters")
    return next((name for name in names if importlib.util.find_spec(name) is not None), None)


@condition(exists=interpreters() is not None)
def imported_in_a_subinterpreter():
    """NumPy, or else this package, refuses that with an ImportError, or it works; the main one goes on."""
    import importlib

    first, net, X = results(), network(), data()[0]
    module = importlib.import_module(interpreters())
    program = f"""
import sys
import warnings
sys.path[:] = {sys.path!r}
warnings.simplefilter("ignore")  # of NumPy, that it is not made for this
try:
    import backprop
except ImportError:
    pass
else:
    net = backprop.Network([2, 5, 2], rng=3)
    if net.predict({X.tolist()!r}).tobytes() != {net.predict(X).tobytes()!r}:
        raise AssertionError("another prediction")
"""
    one = module.create()
    check(module.run_string(one, program) is None, "neither works nor is refused")
    module.destroy(one)
    return first, results()


def comma_locale():
    """A locale of this machine that writes 0,5 for one half, or None."""
    import locale

    for name in ("de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8", "fr_FR.utf8", "German", "French"):
        with contextlib.suppress(locale.Error):
            before = locale.setlocale(locale.LC_ALL)
            locale.setlocale(locale.LC_ALL, name)
            locale.setlocale(locale.LC_ALL, before)
            return name
    return None


@condition(exists=comma_locale() is not None)
def decimal_comma():
    import locale

    locale.setlocale(locale.LC_ALL, comma_locale())
    return results()
