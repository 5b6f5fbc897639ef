"""Forks, threads, pools of processes, and signals."""

import ctypes
import os
import signal
import sys
import threading

from .measured import Child, check, data, in_child, in_threads, initial, library, network, raises, results
from .table import LINUX, POSIX, condition

# Forks, and other users of OpenMP.

THREADS_OF_OPENMP = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def in_openmp(function):
    """Call it in two threads of a parallel region, which another library's code has begun."""
    call = THREADS_OF_OPENMP(function)
    ctypes.CDLL("libgomp.so.1").GOMP_parallel(call, None, 2, 0)


@condition(exists=POSIX)
def fork_after_threads():
    return results(), in_child(results), in_child(lambda: in_child(results)), results()


@condition(exists=POSIX)
def fork_in_a_callback():
    """Parent and child both go on with the run in whose middle they part."""
    children = []

    def callback(state):
        if not children:
            children.append(Child())

    found = results(callback=callback)
    (child,) = children
    if child.pid == 0:
        child.send(lambda: found)
    return found, child.received()


@condition(exists=POSIX)
def fork_while_another_thread_trains():
    first, found, done = threading.Event(), [], threading.Event()

    def train():
        while not done.is_set():
            found.append(results())
            first.set()

    def fork():
        first.wait()
        found.extend([in_child(results) for _ in range(5)])
        done.set()

    in_threads([train, fork])
    return found


@condition(exists=LINUX)
def import_after_a_fork_after_threads_of_another_library():
    in_openmp(lambda argument: None)
    found = in_child(results)
    return found, results()


@condition(exists=LINUX)
def inside_a_parallel_region():
    found = []
    library()
    in_openmp(lambda argument: found.append(results()))
    check(len(found) == 2, "not in two threads")
    return found


# Python's threads.


@condition()
def eight_threads():
    """They import the package at the same time, too."""
    found = []
    in_threads([lambda: found.append(results())] * 8)
    return *found, results()


@condition()
def eight_threads_predict_and_one_trains():
    import numpy as np

    backprop = library()
    net, X = network(), data()[0]
    expected = backprop.reference.predict(net, X).tobytes()
    copies = np.asfortranarray(X)
    found = []

    def predict():
        for _ in range(100):
            check(net.predict(X).tobytes() == net.predict(copies).tobytes() == expected, "another prediction")

    in_threads([predict] * 8 + [lambda: found.append(results())])
    return *found, results()


@condition()
def one_run_resumed_by_eight_threads():
    """They share a generator as well: a call is refused or draws words of its own, as if each came after the last."""
    import numpy as np

    backprop = library()
    net, (X, y) = network(), data()
    run = backprop.fast_train(net, X, y, epochs=2)
    expected = backprop.reference.train(net, X, y, epochs=4).network
    generator, one_by_one = np.random.default_rng(3), np.random.default_rng(3)
    drawn, moved = [], []

    def resume():
        for _ in range(10):
            check(run.resume(X, y, epochs=2).network == expected, "another run")
            try:
                drawn.append(backprop.fast_train(net, X, y, epochs=1, rng=generator).network)
            except ValueError as error:
                moved.append(str(error))

    in_threads([resume] * 8)
    check(len(drawn) > 0, "no call has drawn")
    check(all("rng was drawn from during the call" in text for text in moved), "another error")
    alone = [backprop.fast_train(net, X, y, epochs=1, rng=one_by_one).network for _ in drawn]
    check(set(alone) == set(drawn), "words drawn twice, or left out")
    return results()


@condition()
def threads_switch_all_the_time():
    sys.setswitchinterval(1e-6)
    found = []
    in_threads([lambda: found.append(results())] * 3)
    return found


@condition()
def small_stacks_of_threads():
    library()
    threading.stack_size(256 * 1024)
    found = []
    in_threads([lambda: found.append(results())] * 2)
    return found


@condition()
def exception_sent_to_a_thread():
    """Python's own way to stop a thread ends a run that would go on for days."""
    import numpy as np

    backprop = library()
    net, (X, y), generator = network(), data(), np.random.default_rng(3)
    before = initial(net, generator)
    found, working = [], threading.Event()

    def work():
        with raises(TimeoutError):
            backprop.fast_train(net, X, y, epochs=10**9, rng=generator, callback=lambda state: working.set())
        found.append(results())

    thread = threading.Thread(target=work)
    thread.start()
    working.wait()
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(TimeoutError))
    thread.join()
    check(initial(net, generator) == before, "the generator or the network has changed")
    return found


@condition()
def daemons_train_while_python_ends():
    backprop = library()
    net, (X, y) = network(), data()
    for callback in (None, lambda state: None):
        threading.Thread(
            target=backprop.fast_train, args=(net, X, y), kwargs={"epochs": 10**9, "callback": callback}, daemon=True
        ).start()
    return results()


@condition()
def threads_of_an_event_loop():
    import asyncio

    async def gathered():
        return await asyncio.gather(*(asyncio.to_thread(results) for _ in range(4)))

    return asyncio.run(gathered())


# Pools.


def in_joblib(backend):
    import joblib

    X, y = data()
    # Arrays reach processes as read-only memory maps, however small they are.
    pool = joblib.Parallel(n_jobs=2, backend=backend, max_nbytes=1 if backend == "loky" else None)
    return pool(joblib.delayed(results)(X, y) for _ in range(3))


for backend in ("loky", "threading", "multiprocessing"):
    condition(name=f"joblib_{backend}")(lambda backend=backend: in_joblib(backend))


def in_pool(method):
    """In a pool of processes, after threads have worked in this one; and a run that is resumed in another process."""
    import multiprocessing

    backprop = library()
    net, (X, y) = network(), data()
    run = backprop.fast_train(net, X, y, epochs=2)
    with multiprocessing.get_context(method).Pool(2) as pool:
        found = pool.starmap(results, [(X, y)] * 3)
        resumed = pool.apply(run.resume, (X, y), {"epochs": 2})
    check(resumed.network == backprop.reference.train(net, X, y, epochs=4).network, "another run")
    return found


for method in ("spawn", "fork", "forkserver") if POSIX else ("spawn",):
    condition(name=f"multiprocessing_{method}")(lambda method=method: in_pool(method))


@condition()
def pool_of_an_executor():
    from concurrent.futures import ProcessPoolExecutor

    results()
    with ProcessPoolExecutor(2) as pool:
        return [future.result() for future in [pool.submit(results) for _ in range(3)]]


# Signals.


def interrupted(number, exception, handler):
    """A signal ends runs that would go on for days; network, run and generator are as before."""
    import numpy as np

    backprop = library()
    net, (X, y), generator = network(), data(), np.random.default_rng(3)
    run = backprop.fast_train(net, X, y, epochs=2)
    before = initial(net, generator), initial(run.network, generator), run.losses.tobytes()
    signal.signal(number, handler)
    for train in (
        lambda: backprop.fast_train(net, X, y, epochs=10**9, rng=generator),
        lambda: backprop.fast_train(net, X, y, epochs=10**9, rng=generator, optimizer=backprop.SGD(0.1), batch_size=1),
        lambda: run.resume(X, y, epochs=10**9),
    ):
        timer = threading.Timer(0.05, signal.raise_signal, [number])
        timer.start()
        with raises(exception):
            train()
        timer.join()
        after = initial(net, generator), initial(run.network, generator), run.losses.tobytes()
        check(after == before, "the network, the run or the generator has changed")
    return results()


def raising(exception):
    def handler(number, frame):
        raise exception

    return handler


HANDLERS = {"SIGINT": signal.default_int_handler, "SIGTERM": raising(SystemExit(3))}
HANDLERS |= {"SIGALRM": raising(TimeoutError()), "SIGUSR1": raising(GeneratorExit())} if POSIX else {}
ENDS = {"SIGINT": KeyboardInterrupt, "SIGTERM": SystemExit, "SIGALRM": TimeoutError, "SIGUSR1": GeneratorExit}

for name, handler in HANDLERS.items():
    condition(name=f"signal_{name}")(
        lambda name=name, handler=handler: interrupted(getattr(signal, name), ENDS[name], handler)
    )


@condition(exists=POSIX)
def timers_whose_handlers_train():
    """Signals come all the time; the handler trains and predicts, unless it is at it already."""
    found, busy = [], []

    def handler(number, frame):
        if not busy and len(found) < 20:
            busy.append(number)
            found.append(results())
            busy.clear()

    results()
    for number, timer in ((signal.SIGALRM, signal.ITIMER_REAL), (signal.SIGPROF, signal.ITIMER_PROF)):
        signal.signal(number, handler)
        signal.setitimer(timer, 1e-3, 1e-3)
    outside = []
    while len(found) < 20:
        outside.append(results())
    for timer in (signal.ITIMER_REAL, signal.ITIMER_PROF):
        signal.setitimer(timer, 0.0)
    return found + outside


@condition(exists=POSIX)
def stopped_and_continued():
    """By job control, as often as there is time for while another process sends the signals."""
    import time

    child = Child()
    if child.pid == 0:
        parent = os.getppid()

        def send():
            for _ in range(20):
                os.kill(parent, signal.SIGSTOP)
                time.sleep(0.005)
                os.kill(parent, signal.SIGCONT)
                time.sleep(0.005)

        child.send(send)
    found = [results() for _ in range(10)]
    child.received()
    return found
