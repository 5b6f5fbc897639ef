"""Threads: who decides how many work, what a fork does to them, and that several callers can work at once."""

import concurrent.futures
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from problems import child_environment

import backprop
from backprop import _kernel, threads

LINUX = sys.platform == "linux"
AGAINST_HANGING = 120  # seconds
CORES_USED = "import backprop; print(backprop._kernel.max_threads())"


def shown(program, **environment):
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=child_environment(**environment),
        capture_output=True,
        text=True,
        check=True,
        timeout=AGAINST_HANGING,
    )
    return done.stdout.strip()


def problem(n=300, sizes=(20, 64, 64, 1), seed=0):
    generator = np.random.default_rng(seed)
    return backprop.Network(sizes, rng=seed), generator.normal(size=(n, sizes[0])), generator.normal(size=(n, 1))


def test_without_openmp_there_is_one_thread_and_with_it_more():
    if LINUX:
        assert "-fopenmp" in _kernel.FLAGS
    else:
        assert _kernel.max_threads() == 1


if LINUX:

    def test_omp_num_threads():
        assert [shown(CORES_USED, OMP_NUM_THREADS=count) for count in ("1", "2", "5")] == ["1", "2", "5"]

    def test_threadpoolctl():
        from threadpoolctl import threadpool_info, threadpool_limits

        assert any(pool["user_api"] == "openmp" for pool in threadpool_info())
        before = _kernel.max_threads()
        for count in (1, 3):
            with threadpool_limits(count, user_api="openmp"):
                assert _kernel.max_threads() == count
        assert _kernel.max_threads() == before

    def test_threads_that_share_a_core():
        """Where workers keep the first thread waiting it goes on alone for a while; no result shows it."""
        program = """
import os, numpy as np, backprop
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
X = np.random.default_rng(0).normal(size=(3000, 64))
net = backprop.Network([64, 200, 200, 2], "relu")
bits = set()
for n_threads in (1, 2, 3):
    run = backprop.fast_train(net, X, X[:, :2], epochs=4, batch_size=200, n_threads=n_threads)
    again = backprop.fast_train(net, X, X[:, :2], epochs=8, optimizer=backprop.LBFGS(), n_threads=n_threads)
    arrays = run.losses, run.network.parameters, again.network.parameters, net.predict(X, n_threads=n_threads)
    bits.add(b"".join(array.tobytes() for array in arrays))
print(len(bits))
"""
        assert shown(program, OMP_NUM_THREADS="3") == "1"

    def threads_of_this_process():
        return len(os.listdir("/proc/self/task"))

    def test_n_threads_is_obeyed():
        """As many threads come to work as asked for, if there is work for them, and none without."""
        program = """
import os, numpy as np, backprop
def threads(): return len(os.listdir("/proc/self/task"))
X, y = np.ones((4000, 100)), np.ones((4000, 1))
net = backprop.Network([100, 100, 100, 1])
counts = [threads()]
for action in (lambda: backprop.fast_train(net, X[:64], y[:64], epochs=1, batch_size=1),
               lambda: net.predict(X, n_threads=1),
               lambda: backprop.fast_train(net, X, y, epochs=1, batch_size=1000, n_threads=1),
               lambda: net.predict(X, n_threads=2),
               lambda: backprop.fast_train(net, X, y, epochs=1, batch_size=1000, n_threads=3),
               lambda: net.loss(X, y, n_threads=4)):
    action()
    counts.append(threads())
print(*(count - counts[0] for count in counts))
"""
        assert shown(program, OMP_NUM_THREADS="2", OPENBLAS_NUM_THREADS="1") == "0 0 0 0 1 2 3"

    @pytest.mark.parametrize(("name", "value"), [("THREAD_LIMIT", "1"), ("THREAD_LIMIT", "2"), ("DYNAMIC", "1")])
    def test_fewer_threads_than_asked_for(name, value):
        """OpenMP may give fewer; nobody waits for those that do not come."""
        program = """
import numpy as np, backprop
from small_work import share_small_work
share_small_work()
X, y = np.linspace(-1.0, 1.0, 600).reshape(200, 3), np.linspace(0.0, 1.0, 200)
net = backprop.Network([3, 5, 1])
found = set()
for n in (1, 3):
    run = backprop.fast_train(net, X, y, epochs=2, n_threads=n)
    found.add((run.network, run.losses.tobytes(), net.predict(X, n_threads=n).tobytes(), net.loss(X, y, n_threads=n)))
print(len(found))
"""
        assert shown(program, **{f"OMP_{name}": value}) == "1"

    @pytest.mark.parametrize(
        ("size", "threads"),
        [
            *((size, 2) for size in ("1048576B", "1024", "1024 k", "1m")),
            *((size, 1) for size in ("4294967296b", "4194304", "4194304K", "4096M", "4 g")),
        ],
    )
    def test_room_for_the_stacks_of_workers(size, threads):
        """OMP_STACKSIZE is in kilobytes unless a unit follows. Without room for such a stack one thread works."""
        program = """
import os, resource, numpy as np, backprop
from small_work import share_small_work
share_small_work()
X, net = np.ones((300, 3)), backprop.Network([3, 5, 1])
expected = net.loss(X, X[:, 0], n_threads=1)
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (512 << 20), resource.RLIM_INFINITY))
before = len(os.listdir("/proc/self/task"))
same = net.loss(X, X[:, 0], n_threads=2) == expected
print(same, len(os.listdir("/proc/self/task")) - before + 1)
"""
        environment = {"OMP_STACKSIZE": size, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}
        assert shown(program, **environment) == f"True {threads}"

    def test_a_child_made_by_fork_works_with_one_thread(threads_for_small_work):
        network, X, y = problem()
        run = backprop.fast_train(network, X, y, epochs=2, n_threads=2)
        expected = run.network.parameters.tobytes() + run.network.predict(X).tobytes()
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            signal.alarm(60)  # ends a child that hangs
            try:
                again = backprop.fast_train(network, X, y, epochs=2).network
                os.write(write, bytes([_kernel.max_threads()]) + again.parameters.tobytes()[:1000])
                same = again.parameters.tobytes() + again.predict(X).tobytes() == expected
                asked_for = backprop.fast_train(network, X, y, epochs=2, n_threads=2).network
                same = same and asked_for == again and asked_for.predict(X, n_threads=2).tobytes() in expected
                os.write(write, b"same" if same else b"different")
            finally:
                os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            answer = pipe.read()
        assert os.waitpid(pid, 0)[1] == 0
        assert answer[0] == 1
        assert answer[-4:] == b"same"


@pytest.mark.parametrize("n_threads", [1, 2, None])
def test_callers_in_several_python_threads(n_threads, threads_for_small_work):
    """They train, predict and take losses of one shared network at the same time."""
    network, X, y = problem()
    other, rows = problem(seed=1)[0], X[:3].copy()

    def work(_):
        run = backprop.fast_train(network, X, y, epochs=3, n_threads=n_threads)
        pieces = [run.network.parameters, run.losses, network.predict(X, n_threads=n_threads)]
        pieces += [network.predict(rows) for _ in range(50)] + [other.predict(X)]
        return [piece.tobytes() for piece in pieces], network.loss(X, y, n_threads=n_threads)

    alone = work(0)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(result == alone for result in pool.map(work, range(12)))


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_more_threads_than_rows(rows, threads_for_small_work):
    network, X, y = problem(n=rows)
    X = X.astype(np.float32)  # which takes the path of many rows
    assert network.predict(X, n_threads=4).tobytes() == network.predict(X, n_threads=1).tobytes()
    assert network.loss(X, y, n_threads=4) == network.loss(X, y, n_threads=1)
    runs = [backprop.fast_train(network, X, y, epochs=2, n_threads=count).network for count in (1, 4)]
    assert runs[0] == runs[1]


def test_other_python_threads_run_while_a_network_trains():
    network, X, y = problem(n=20_000)
    started, done, ticks = threading.Event(), threading.Event(), []

    def train():
        started.set()
        backprop.fast_train(network, X, y, epochs=2)
        done.set()

    thread = threading.Thread(target=train)
    thread.start()
    started.wait()
    while not done.is_set():
        ticks.append(1)
        done.wait(0.001)
    thread.join()
    assert len(ticks) > 3


def test_how_many_threads_for_how_much_work(monkeypatch):
    monkeypatch.setattr(_kernel, "max_threads", lambda: 8)
    policy = threads.ThreadPolicy()
    assert policy.threads_for(None, 0) == 1
    assert policy.threads_for(None, float("inf")) == 8
    assert policy.threads_for(3, float("inf")) == 3
    assert policy.threads_for(10**9, float("inf")) == threads.MOST_THREADS
    assert policy.threads_for(8, 2.5 * policy.waking_work) == 2
    with pytest.raises(ValueError, match="n_threads must be an integer >= 1, got 0"):
        policy.threads_for(0, 1)


def test_subnormals_survive_in_every_thread(threads_for_small_work):
    """A worker that flushed them to zero would lose these weights and outputs."""
    network = backprop.Network([1, 1]).with_parameters([5e-324, 0.0])
    X = np.ones((64, 1))
    assert (network.predict(X, n_threads=4) == 5e-324).all()
    assert (network.predict(X, n_threads=4) > 0.0).all()
