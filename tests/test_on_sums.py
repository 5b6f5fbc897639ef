"""Training on partial sums: the bits of fast_train on all rows, and from there on in one process, and back."""

import functools
import hashlib
import math
import pathlib
import re
import struct
import subprocess
import sys

import numpy as np
import pytest
from problems import bits, child_environment, outcome, run_bits

import backprop
from backprop import PartialSums, partial_sums, train_on_sums

N = 4096 * 3 + 1000
NETWORK = backprop.Network([2, 3, 1], activation="tanh", rng=1)
METHODS = [
    backprop.LBFGS(),
    backprop.LBFGS(3, l2=0.01),
    backprop.LevenbergMarquardt(),
]
RULES = [
    backprop.Rprop(),
    backprop.SGD(0.05),
    backprop.SGD(0.05, momentum=0.9, nesterov=True),
    backprop.Adam(0.01, l1=1e-3, l2=1e-3, clip_norm=0.01),
    backprop.AdamW(backprop.CosineDecay(0.05, epochs=4)),
    backprop.RMSprop(0.01),
]


def rows(n=N, seed=0):
    generator = np.random.default_rng([n, seed])
    X, y = generator.normal(size=(n, 2)), generator.normal(size=(n, 1))
    return X, y, np.where(generator.random(n) < 0.1, 0.0, generator.random(n) * 8.0)


X, Y, C = rows()


def given_by(X, y, weights=None, at=(4096, 8192), **settings):
    """A function that gives parts of these rows, cut there, as bytes every second time; and the calls that it sees."""
    calls = []

    def sums(network, of):
        calls.append(of)
        edges = [0, *at, len(X)]
        for a, b in zip(edges, edges[1:], strict=False):
            c = None if weights is None else weights[a:b]
            settings_ = {"first_row": a, "n_rows": len(X), "of": of, **settings}
            part = partial_sums(network, X[a:b], y[a:b], sample_weight=c, **settings_)
            yield part.to_bytes() if len(calls) % 2 else part

    sums.calls = calls
    return sums


def all_rows(optimizer, n=N):
    """The arguments of fast_train with which all rows are one batch."""
    batches = {} if isinstance(optimizer, (*map(type, METHODS), backprop.Rprop)) else {"batch_size": n}
    return {"optimizer": optimizer, **batches}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("optimizer", [*METHODS, *RULES], ids=str)
def test_bits_of_one_process(optimizer, weighted):
    c = C if weighted else None
    run = train_on_sums(NETWORK, given_by(X, Y, c), optimizer=optimizer, epochs=4)
    promised = backprop.fast_train(NETWORK, X, Y, sample_weight=c, epochs=4, **all_rows(optimizer))
    assert run_bits(run) == run_bits(promised)
    # Each goes on where the other has ended.
    more = promised.resume(X, Y, sample_weight=c, epochs=3)
    assert run_bits(run.resume(X, Y, sample_weight=c, epochs=3)) == run_bits(more)
    assert run_bits(run.resume_on_sums(given_by(X, Y, c, (8192,)), epochs=3)) == run_bits(more)
    assert run_bits(promised.resume_on_sums(given_by(X, Y, c, ()), epochs=3)) == run_bits(more)


@pytest.mark.parametrize("optimizer", [backprop.LBFGS(), backprop.LevenbergMarquardt(), backprop.Adam(0.1)], ids=str)
def test_biases_that_are_not_trained(optimizer):
    settings = {"epochs": 4, "train_biases": False}
    network = backprop.Network([2, 3, 2, 1], activation="tanh", hidden_bias=0.5, rng=2)
    run = train_on_sums(network, given_by(X, Y), optimizer=optimizer, **settings)
    assert run_bits(run) == run_bits(backprop.fast_train(network, X, Y, **settings, **all_rows(optimizer)))


@pytest.mark.parametrize("optimizer", [backprop.LBFGS(), backprop.LevenbergMarquardt(), backprop.Rprop()], ids=str)
def test_steps_by_several_threads(threads_for_small_work, optimizer):
    """Levenberg-Marquardt factors its matrix by as many threads as there are."""
    network = backprop.Network([2, 25, 2, 1], rng=4)
    promised = backprop.fast_train(network, X, Y, epochs=3, n_threads=1, **all_rows(optimizer))
    assert run_bits(train_on_sums(network, given_by(X, Y), optimizer=optimizer, epochs=3)) == run_bits(promised)


@pytest.mark.parametrize(("output", "loss"), [("softmax", "cross_entropy"), ("logistic", "binary_cross_entropy")])
def test_other_losses(output, loss):
    y = (X[:, 0] > 0.0).astype(np.int64) if loss == "cross_entropy" else (X[:, :1] > 0.0) * 1.0
    network = backprop.Network([2, 3, 2 if loss == "cross_entropy" else 1], output_activation=output, rng=1)
    run = train_on_sums(network, given_by(X, y, loss=loss), loss=loss, epochs=3)
    promised = backprop.fast_train(network, X, y, loss=loss, epochs=3, **all_rows(backprop.LBFGS()))
    assert run_bits(run) == run_bits(promised)


@pytest.mark.parametrize("n", [1, 2, 4096])
@pytest.mark.parametrize("optimizer", [backprop.SGD(0.05), backprop.LBFGS(), backprop.LevenbergMarquardt()], ids=str)
def test_few_rows(optimizer, n):
    x, y, _ = rows(n)
    run = train_on_sums(NETWORK, given_by(x, y, at=()), optimizer=optimizer, epochs=5)
    assert run_bits(run) == run_bits(backprop.fast_train(NETWORK, x, y, epochs=5, **all_rows(optimizer, n)))


@pytest.mark.parametrize("optimizer", [backprop.LBFGS(), backprop.LevenbergMarquardt(), backprop.Rprop()], ids=str)
@pytest.mark.parametrize("data", [True, False])
def test_stopping(optimizer, data):
    watched = rows(500, 7)[:2] if data else None
    stopping = backprop.EarlyStopping(watched, patience=2)
    sums, seen = given_by(X, Y), []
    run = train_on_sums(NETWORK, sums, optimizer=optimizer, epochs=15, stopping=stopping, callback=seen.append)
    promised = backprop.fast_train(NETWORK, X, Y, epochs=15, stopping=stopping, **all_rows(optimizer))
    assert run_bits(run) == run_bits(promised)
    assert len(seen) == run.epochs
    assert data or "loss" in sums.calls or isinstance(optimizer, backprop.LBFGS)
    stopped = train_on_sums(NETWORK, given_by(X, Y), optimizer=optimizer, callback=lambda state: state.epoch == 1)
    assert (stopped.stopped, stopped.epochs) == ("callback", 2)


def test_sums_are_asked_for_once():
    sums = given_by(X, Y)
    run = train_on_sums(NETWORK, sums, optimizer=backprop.Rprop(), epochs=3)
    assert sums.calls == ["gradient"] * 3
    sums = given_by(X, Y)
    run.resume_on_sums(sums, epochs=1)
    assert sums.calls == ["gradient"]
    seen, sums = [], given_by(X, Y)
    train_on_sums(NETWORK, sums, epochs=4, callback=lambda state: seen.append(state._evaluations) and None)
    assert sums.calls == ["gradient"] * seen[-1]
    sums = given_by(X, Y)
    train_on_sums(NETWORK, sums, epochs=2, optimizer=backprop.LevenbergMarquardt())
    assert sums.calls[:2] == ["normal_equations", "loss"]


# Runs that diverge.


@pytest.mark.parametrize("optimizer", [*METHODS, *RULES[:2]], ids=str)
@pytest.mark.parametrize("high", [(10, 11, 5000, 5001), (10, 5000, 9000), (6000, 7000, 7500)])
def test_losses_that_overflow(optimizer, high):
    y = Y.copy()
    y[list(high)] = 1.2e154
    network = backprop.Network([2, 1], rng=1)
    promised = outcome(backprop.fast_train, network, X, y, epochs=3, **all_rows(optimizer))
    found = outcome(train_on_sums, network, given_by(X, y), optimizer=optimizer, epochs=3)
    assert found[0] is backprop.DivergenceError
    assert found[2]["losses"] == promised[2]["losses"]
    assert found == promised


def test_parameters_that_are_not_finite():
    """They are so after a step, and the function of the caller is asked for sums at such a network."""
    for optimizer in (backprop.SGD(1e308), backprop.SGD(1e150), backprop.Adam(1e308)):
        for network in (NETWORK, backprop.Network([2, 3, 1], activation="relu", rng=2)):
            promised = outcome(backprop.fast_train, network, X, Y, epochs=5, **all_rows(optimizer))
            found = outcome(train_on_sums, network, given_by(X, Y), optimizer=optimizer, epochs=5)
            assert found == promised
            assert found[0] is backprop.DivergenceError


def test_losses_of_both_signs():
    """L-BFGS takes the first sum that is not finite, an epoch of Rprop the sum of all rows, which is NaN."""
    poisson = backprop.Network([1, 1], output_activation="exponential").with_parameters([1.0, 0.0])
    x, y = np.zeros((9000, 1)), np.ones((9000, 1))
    x[[5000, 6000]], y[6000] = 800.0, 1e308
    for optimizer in (backprop.LBFGS(), backprop.Rprop()):
        promised = outcome(backprop.fast_train, poisson, x, y, loss="poisson", **all_rows(optimizer))
        sums = given_by(x, y, at=(4096,), loss="poisson")
        assert outcome(train_on_sums, poisson, sums, loss="poisson", optimizer=optimizer) == promised


def test_a_watched_loss_that_overflows():
    stopping = backprop.EarlyStopping()
    promised = outcome(backprop.fast_train, NETWORK, X, Y, epochs=5, stopping=stopping, **all_rows(backprop.SGD(1e200)))
    found = outcome(train_on_sums, NETWORK, given_by(X, Y), epochs=5, stopping=stopping, optimizer=backprop.SGD(1e200))
    assert found[:2] == promised[:2]
    assert found[0] is OverflowError


# Checkpoints.


class StopError(Exception):
    pass


@pytest.mark.parametrize("optimizer", [backprop.LBFGS(), backprop.LevenbergMarquardt(), backprop.Adam(0.05)], ids=str)
def test_checkpoint(optimizer, tmp_path):
    path = tmp_path / "run"
    settings = {"optimizer": optimizer, "epochs": 6, "checkpoint": backprop.Checkpoint(path, every=1)}

    def stop(state):
        if state.epoch == 3:
            raise StopError

    with pytest.raises(StopError):
        train_on_sums(NETWORK, given_by(X, Y), callback=stop, **settings)
    assert backprop.Training.load(path).epochs == 3
    for other in (given_by(X, Y, C), given_by(X[:-1], Y[:-1])):
        with pytest.raises(ValueError, match="another run"):
            train_on_sums(NETWORK, other, **settings)
    run = train_on_sums(NETWORK, given_by(X, Y, at=(8192,)), **settings)
    promised = backprop.fast_train(NETWORK, X, Y, epochs=6, **all_rows(optimizer))
    assert run_bits(run) == run_bits(promised)
    loaded = backprop.Training.load(path)
    assert run_bits(loaded.resume(X, Y, epochs=2)) == run_bits(promised.resume(X, Y, epochs=2))
    never = given_by(X, Y)
    assert run_bits(train_on_sums(NETWORK, never, **settings)) == run_bits(promised)
    assert len(never.calls) == 1  # to know the rows again
    more = backprop.Checkpoint(tmp_path / "more", every=1)
    again = loaded.resume_on_sums(given_by(X, Y), epochs=2, checkpoint=more)
    assert run_bits(again) == run_bits(promised.resume(X, Y, epochs=2))


def test_a_checkpoint_that_cannot_be_written(tmp_path, monkeypatch):
    from backprop import text_file

    monkeypatch.setattr(text_file, "write", functools.partial(_fail))
    with pytest.raises(backprop.CheckpointError) as caught:
        train_on_sums(NETWORK, given_by(X, Y), epochs=2, checkpoint=backprop.Checkpoint(tmp_path / "run", every=1))
    assert caught.value.training.resume(X, Y, epochs=1).epochs == 2


def _fail(*_):
    raise OSError(28, "no space left")


# The function of the caller.


@pytest.mark.parametrize("optimizer", [*METHODS[1:], backprop.Rprop()], ids=str)
@pytest.mark.parametrize("kind", [StopError, KeyboardInterrupt, TypeError, SystemExit])
def test_errors_of_the_function_come_out_unchanged(optimizer, kind):
    raised = kind("mine")

    def failing_at(call):
        sums = given_by(X, Y)

        def failing(network, of):
            yield from sums(network, of)
            if len(sums.calls) == call:
                raise raised

        return failing

    for call in (1, 2, 4):
        with pytest.raises(kind) as caught:
            train_on_sums(NETWORK, failing_at(call), optimizer=optimizer)
        assert caught.value is raised
    run = train_on_sums(NETWORK, given_by(X, Y), optimizer=optimizer, epochs=2)
    before = run_bits(run)
    with pytest.raises(kind):
        run.resume_on_sums(failing_at(3), epochs=9)
    assert run_bits(run) == before


def test_what_the_function_must_be():
    async def coroutine(network, of):
        return []

    async def generator(network, of):
        yield b""

    class Callable:
        async def __call__(self, network, of):
            return []

    for wrong, message in (
        (None, "a function of a network and a name, got None"),
        ([1], r"def sums\(network, of\): return parts"),
        (coroutine, "async def"),
        (Callable(), "async def"),
        (lambda network, of: coroutine(network, of), "something to await"),
        (generator, "something to await"),
        (lambda network, of: None, "must return a PartialSums, its bytes, or an iterable of such, got None"),
        (lambda network, of: 5, "got 5"),
        (lambda network, of: [None], r"parts\[0\] must be a PartialSums"),
        (lambda network, of: [(1, 2)], r"parts\[0\] must be a PartialSums"),
    ):
        with pytest.raises(TypeError, match=message):
            train_on_sums(NETWORK, wrong)
        with pytest.raises(TypeError, match=message):
            backprop.fast_train(NETWORK, X[:9], Y[:9], optimizer=backprop.LBFGS(), epochs=1).resume_on_sums(
                wrong, epochs=1
            )


def test_what_the_function_must_return():
    stale = list(given_by(X, Y)(NETWORK, "gradient"))
    for sums, message in (
        (lambda network, of: [], "at least one"),
        (lambda network, of: [b""], "do not begin as"),
        (lambda network, of: [b"BPSUMS\r\n"], "cut off"),
        (lambda network, of: stale, "parts of the network that it is given"),
        (lambda network, of: list(given_by(X, Y)(network, of))[:2], "rows 8192 to 13287 are missing"),
        (lambda network, of: given_by(X, Y)(network, "loss"), "with of='gradient', got 'loss'"),
        (given_by(X, Y, loss="huber"), "with loss='squared_error', got 'huber'"),
        (given_by(X, Y, 0.0 * C), "sample_weight must have a sum above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            train_on_sums(NETWORK, sums)
    fewer = iter([given_by(X, Y), given_by(X[:9000], Y[:9000], at=(4096,))])
    with pytest.raises(ValueError, match="n_rows=13288, got 9000"):
        train_on_sums(NETWORK, lambda network, of: next(fewer)(network, of), optimizer=backprop.Rprop())
    whole = PartialSums.merge
    run = train_on_sums(NETWORK, lambda network, of: whole(opened(given_by(X, Y)(network, of))), epochs=2)
    again = train_on_sums(NETWORK, lambda network, of: whole(opened(given_by(X, Y)(network, of))).to_bytes(), epochs=2)
    assert run_bits(run) == run_bits(again)


def opened(parts):
    return [PartialSums.from_bytes(part) if isinstance(part, bytes) else part for part in parts]


def test_settings_that_need_the_rows_here():
    sums = given_by(X, Y)
    with pytest.raises(ValueError, match="validation_fraction must be None on sums"):
        train_on_sums(NETWORK, sums, stopping=backprop.EarlyStopping(validation_fraction=0.1))
    small = backprop.fast_train(NETWORK, X[:50], Y[:50], epochs=1)
    with pytest.raises(ValueError, match="batch_size must be at least the number of rows on sums, 13288, got 32"):
        small.resume_on_sums(sums, epochs=1)
    dropped = backprop.fast_train(NETWORK, X, Y, batch_size=N, epochs=1, dropout=backprop.Dropout(0.5))
    with pytest.raises(ValueError, match="dropout must be None on sums"):
        dropped.resume_on_sums(sums, epochs=1)
    assert "gradient" in sums.calls
    with pytest.raises(TypeError, match="no argument 'batch_size'"):
        train_on_sums(NETWORK, sums, batch_size=32)
    with pytest.raises(TypeError, match=r"did you mean backprop.LBFGS\(\)"):
        train_on_sums(NETWORK, sums, optimizer="lbfgs")
    with pytest.raises(ValueError, match="with the optimizer LevenbergMarquardt, got 'huber'"):
        train_on_sums(NETWORK, sums, optimizer=backprop.LevenbergMarquardt(), loss="huber")
    assert run_bits(train_on_sums(NETWORK, sums, optimizer=None, epochs=1)) == run_bits(
        train_on_sums(NETWORK, sums, epochs=1)
    )


def test_the_function_may_train_networks_itself():
    """Another run within it disturbs nothing."""
    sums = given_by(X, Y)

    def nested(network, of):
        train_on_sums(NETWORK, sums, optimizer=backprop.Rprop(), epochs=2)
        backprop.fast_train(NETWORK, X[:9], Y[:9], epochs=1)
        return sums(network, of)

    run = train_on_sums(NETWORK, nested, epochs=3)
    assert bits(run.network.parameters) == bits(train_on_sums(NETWORK, sums, epochs=3).network.parameters)
    assert math.isfinite(run.losses[-1])


# The programs of docs/partial-sums.md.

TEXT = (pathlib.Path(__file__).parents[1] / "docs" / "partial-sums.md").read_text(encoding="utf-8")


def run_program(text, folder, **environment):
    """What a program of the text prints, run as a file of its own."""
    path = folder / "program.py"
    path.write_text(text, encoding="utf-8")
    program = [sys.executable, str(path)]
    environment = child_environment(**environment)
    shown = subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert (shown.returncode, shown.stderr) == (0, "")
    return shown.stdout


def test_program_with_a_process_pool(tmp_path):
    (program,) = [one for one in re.findall(r"^```python\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE) if "Pool" in one]
    assert run_program(program, tmp_path) == "True\n"


STAND_IN = """
class World:
    rank, size = 0, 1

    def allgather(self, one):
        return [one]


class MPI:
    COMM_WORLD = World()
"""


def test_program_under_mpi(tmp_path):
    """With a stand-in for mpi4py, as one rank; .ci/stages/mpi runs it with several."""
    (tmp_path / "mpi4py.py").write_text(STAND_IN, encoding="utf-8")
    (program,) = re.findall(r"^```py\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    x = np.arange(50_000)[:, None] * [7, 11, 13] % 1009 / 1009.0
    y = x[:, 0] * x[:, 1] - x[:, 2]
    alone = backprop.fast_train(backprop.Network([3, 8, 1], rng=0), x, y, optimizer=backprop.LBFGS(), epochs=10)
    digest = hashlib.sha256(alone.network.parameters.tobytes()).hexdigest()
    assert run_program(program, tmp_path) == f"{digest}\n"


def test_bytes_are_those_of_the_text():
    """The table's fields, read by a few lines of its own."""
    data = memoryview(partial_sums(NETWORK, X, Y, None, C, first_row=0, n_rows=N).to_bytes())
    text = repr((NETWORK.sizes, NETWORK.activations)).encode("ascii")
    size = NETWORK.n_parameters
    head = struct.unpack_from("<8sII24s24sQQ32sQ", data)
    assert head[:3] == (b"BPSUMS\r\n", 1, backprop.contract_version)
    assert [one.rstrip(b"\0") for one in head[3:5]] == [b"gradient", b"squared_error"]
    assert head[5:7] == (N, size)
    assert head[7] == hashlib.sha256(text + NETWORK.parameters.astype("<f8").tobytes()).digest()
    assert head[8] == 1
    first, blocks, loss, weight, *others = struct.unpack_from("<QQddqdqq", data, 120)
    assert (first, blocks, others) == (0, 4, [-1, 0.0, -1, -1])
    sums = struct.unpack_from(f"<{size}d", data, 184)
    value, gradient = backprop.loss_and_gradient(NETWORK, X, Y, sample_weight=C)
    assert loss / weight == value
    assert [one / weight for one in sums] == gradient.tolist()
    assert data[184 + 8 * size :] == hashlib.sha256(data[: 184 + 8 * size]).digest()


def test_matrices_of_many_blocks():
    """Levenberg-Marquardt's A is kept for sums of earlier blocks in rows of its own, here of five blocks."""
    generator = np.random.default_rng(4)
    X, n = generator.normal(size=(4 * 4096 + 100, 2)), 4 * 4096 + 100
    y = np.sin(X[:, 0])
    network, optimizer = backprop.Network([2, 50, 1], rng=1), backprop.LevenbergMarquardt()

    def sums(network, of):
        for first in range(0, n, 4096):
            rows = slice(first, first + 4096)
            yield backprop.partial_sums(network, X[rows], y[rows], first_row=first, n_rows=n, of=of)

    promised = backprop.train_on_sums(network, sums, optimizer=optimizer, epochs=1)
    for n_threads in (1, 2):
        run = backprop.fast_train(network, X, y, optimizer=optimizer, epochs=1, n_threads=n_threads)
        assert run.network == promised.network
