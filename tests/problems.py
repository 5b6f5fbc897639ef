"""What several test files share: problems, drawn at random or made to measure, and comparisons of every bit."""

import contextlib
import dataclasses
import functools
import gc
import hashlib
import itertools
import math
import os
import signal
import threading
import typing

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

import backprop
from backprop import reference, streams
from backprop.optimizers import FULL_BATCH, Optimizer, plan_of

HIDDEN = tuple(reference.ACTIVATIONS)
OUTPUTS = (*reference.ACTIVATIONS, *{row.output for row in reference.LOSSES.values()} - {"", *reference.ACTIVATIONS})
SCALES = (5e-324, 1e-310, 1e-160, 1e-8, 1.0, 1.0, 1.0, 1.0, 30.0, 800.0, 1e9, 1e150)
SPECIAL = (0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, -1e-310, 1.0, -1.0, 709.5, -745.0, 1e150, -1e150)
# Random problems leave out Levenberg-Marquardt, which takes too long for the definition where there are many weights:
# test_levenberg_marquardt.py.
KINDS = [kind for kind in typing.get_args(Optimizer) if kind is not backprop.LevenbergMarquardt]
GENERATORS = (np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64)


def losses_for(output):
    """The losses that go with an output activation, by the reference's table."""
    alone = {row.output for row in reference.LOSSES.values()} - {"", *reference.ACTIVATIONS}
    return [
        name for name, row in reference.LOSSES.items() if row.output == output or not (row.output or output in alone)
    ]


@functools.cache
def optimizers_by_rule():
    """One optimizer for each update rule, found by trying settings of every optimizer class."""
    found = {}
    for kind in typing.get_args(Optimizer):
        fields = dataclasses.fields(kind)
        choices = {"bool": (False, True), "str": ("irprop-", "rprop+")}
        # A default among them, for settings above 1.
        for values in itertools.product(
            *(choices.get(getattr(f.type, "__name__", f.type), (0.05, 0.0, f.default)) for f in fields if not f.kw_only)
        ):
            try:
                optimizer = kind(*values)
            except (TypeError, ValueError):  # a setting that has no default, or out of range
                continue
            found.setdefault(plan_of(optimizer).rule, optimizer)
    return found


@st.composite
def schedules(draw):
    number = st.floats(5e-324, 1.0, allow_subnormal=True)
    initial, factor = draw(st.one_of(number, st.sampled_from((1e-3, 0.1, 1e300)))), draw(number)
    count = draw(st.integers(1, 5))
    choices = [backprop.StepDecay(initial, count, factor), backprop.ExponentialDecay(initial, factor)]
    choices += [backprop.InverseScaling(initial, draw(number), factor), backprop.CosineDecay(initial, count)]
    choices.append(backprop.CosineDecay(initial, count, initial * factor))
    if factor < 1.0:
        enough = draw(st.sampled_from((0.0, 1e-3, 1e300)))
        choices.append(backprop.ReduceOnPlateau(initial, factor, count % 2 + 1, enough))
    return draw(st.sampled_from(choices))


def penalties():
    """Penalties and a bound of the gradient's norm, or none of them."""
    size = st.one_of(st.sampled_from((0.0, 5e-324, 1e-3, 1.0, 1e300)), st.floats(0.0, 2.0, allow_subnormal=True))
    bound = st.one_of(st.none(), st.sampled_from((5e-324, 1e-160, 1e-3, 1.0, 1e300)), st.floats(0.1, 2.0))
    return st.one_of(st.just({}), st.fixed_dictionaries({}, optional={"l1": size, "l2": size, "clip_norm": bound}))


@st.composite
def optimizers(draw):
    kind = draw(st.sampled_from(KINDS))
    if kind is backprop.Rprop:
        steps = sorted(draw(st.tuples(*[st.sampled_from((5e-324, 1e-6, 0.1, 1.0, 50.0, 1e300))] * 3)))
        factors = draw(st.sampled_from(((1.2, 0.5), (1.0000000000000002, 0.9999999999999999), (1e300, 5e-324))))
        variant = draw(st.sampled_from(("irprop-", "rprop+")))
        return kind(variant, *factors, steps[1], steps[0], steps[2], **draw(penalties()))
    if kind is backprop.LBFGS:
        counts = draw(st.integers(1, 12)), draw(st.sampled_from((1, 2, 20)))
        return kind(counts[0], *[draw(st.sampled_from((0.0, 1e-8, 0.1, 1e300))) for _ in range(2)], counts[1])
    number = st.one_of(
        st.sampled_from((0.0, 1e-3, 0.1, 0.5, 0.9, 0.999)),
        st.floats(0.0, 1.0, exclude_max=True, allow_subnormal=True),
        st.sampled_from((5e-324, 1e3, 1e300)),
    )
    rate = st.one_of(number, schedules())
    try:
        return kind(
            **{
                field.name: draw(
                    st.booleans() if field.type in (bool, "bool") else rate if field.name == "learning_rate" else number
                )
                for field in dataclasses.fields(kind)
                if not field.kw_only
            },
            **(draw(penalties()) if hasattr(kind, "clip_norm") else {}),
        )
    except ValueError:
        hypothesis.reject()


def block_shuffles():
    """Blocks and windows of few rows, and such as hold all rows of a problem."""
    return st.builds(backprop.BlockShuffle, st.integers(1, 16), st.sampled_from((1, 2, 3, 5, 16)))


def draw_numbers(draw, shape):
    """Numbers of one magnitude, with a few special ones among them; their bulk comes from a seed, which is faster."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = generator.uniform(-1.0, 1.0, shape) * draw(st.sampled_from(SCALES))
    for place, value in draw(
        st.lists(st.tuples(st.integers(0, values.size - 1), st.sampled_from(SPECIAL)), max_size=3)
    ):
        values.flat[place] = value
    return values


def draw_targets(draw, loss, n_samples, n_out):
    row = reference.LOSSES[loss]
    if row.distribution:
        if draw(st.booleans()):
            return np.array(draw(st.lists(st.integers(0, n_out - 1), min_size=n_samples, max_size=n_samples)))
        values = np.abs(draw_numbers(draw, (n_samples, n_out)))
        sums = values.sum(axis=1, keepdims=True)
        usable = (sums > 1e-300) & np.isfinite(sums)
        return np.where(usable, values / np.where(usable, sums, 1.0), np.eye(1, n_out))
    values = draw_numbers(draw, (n_samples, n_out))
    if math.isfinite(row.high):
        values = row.low + np.abs(np.remainder(values, row.high - row.low))
    return values[:, 0] if n_out == 1 and draw(st.booleans()) else values


@dataclasses.dataclass
class Problem:
    network: backprop.Network
    loss: str
    settings: dict
    seed: int
    generator: typing.Any  # a kind of bit generator, or None: rng is the seed itself
    pieces: (
        list  # of (X, y, epochs, the call of the callback that returns True): the first is trained, the rest resumed
    )


@st.composite
def problems(draw):
    sizes = draw(st.lists(st.integers(1, 40), min_size=2, max_size=6))
    output = draw(st.sampled_from(OUTPUTS))
    hidden = [draw(st.sampled_from(HIDDEN)) for _ in sizes[2:]]
    network = backprop.Network(sizes, hidden, output, rng=draw(st.integers(0, 2**64)))
    if draw(st.booleans()):
        network = network.with_parameters(draw_numbers(draw, (network.n_parameters,)))
    loss = draw(st.sampled_from(losses_for(output)))
    pieces = []
    for _ in range(draw(st.integers(1, 3))):
        n = draw(st.integers(1, 12))
        X, y = draw_numbers(draw, (n, sizes[0])), draw_targets(draw, loss, n, sizes[-1])
        pieces.append((X, y, draw(st.integers(1, 3)), draw(st.sampled_from((None, None, 0, 1, 2)))))
    settings = {
        "loss": draw(st.sampled_from((loss, None))) if loss == losses_for(output)[0] else loss,
        "optimizer": draw(st.one_of(st.none(), optimizers())),
        "batch_size": draw(st.one_of(st.none(), st.integers(1, 15))),
        "shuffle": draw(st.one_of(st.booleans(), block_shuffles())),
        "train_biases": draw(st.booleans()),
    }
    if isinstance(settings["optimizer"], FULL_BATCH):
        settings["batch_size"] = None
    return Problem(
        network, loss, settings, draw(st.integers(0, 2**70)), draw(st.sampled_from((None, *GENERATORS))), pieces
    )


def bits(array):
    """An array's type, shape and bytes; NaNs, which only errors can hold, are all alike."""
    array = np.asarray(array)
    if array.dtype == np.float64:
        array = np.where(np.isnan(array), math.nan, array)
    return array.dtype.str, array.shape, array.tobytes()


def error_bits(error):
    """An error's type, text, and all that it holds."""
    return type(error), str(error), {name: bits(value) for name, value in vars(error).items()}


def outcome(action, *arguments, **settings):
    """What an action returns, or what it raises with all that the error holds."""
    try:
        return action(*arguments, **settings)
    except Exception as error:
        return error_bits(error)


def result_bits(engine, name, *arguments):
    """Every bit of a prediction, a loss or a loss with its gradient."""
    result = outcome(getattr(engine, name), *arguments)
    if isinstance(result, tuple) and isinstance(result[0], type):
        return result
    return [bits(part) for part in result] if isinstance(result, tuple) else bits(result)


def state_bits(value):
    """Every bit of a part of a run's state: an array, a random stream, a number, None, or a tuple of such."""
    if isinstance(value, np.random.BitGenerator):
        return type(value), repr(value.state)
    if isinstance(value, tuple):
        return [state_bits(part) for part in value]
    return value if value is None else bits(value)


def run_bits(run):
    """Every bit of a Training: what the user sees, and the state with which it goes on; an outcome's error as it is."""
    if not isinstance(run, backprop.Training):
        return run
    state = run._state._replace(stream=streams.started(run._state.stream))
    return {
        "parameters": bits(run.network.parameters),
        "losses": bits(run.losses),
        "validation_losses": bits(run.validation_losses),
        "state": {name: state_bits(value) for name, value in state._asdict().items()},
        **{name: getattr(run, name) for name in ("network", "epochs", "best_epoch", "stopped", "settings")},
    }


def trained(train, *arguments, **settings):
    """Every bit of the run that is trained so, or of the DivergenceError in which it ends."""
    try:
        return run_bits(train(*arguments, **settings))
    except backprop.DivergenceError as error:
        return error_bits(error)


def everything(engine, problem):
    """All results of an engine on a problem, in an order that both share."""
    found, seen = [], []

    def callback_stopping_at(stop):
        calls = itertools.count()

        def callback(state):
            seen.append((state.epoch, state.loss, bits(state.network.parameters)))
            return next(calls) == stop

        return callback

    rng = problem.generator(problem.seed) if problem.generator else problem.seed
    run = None
    for X, y, epochs, stop in problem.pieces:
        callback = None if stop is None else callback_stopping_at(stop)
        if run is None:
            run = outcome(
                engine.train, problem.network, X, y, epochs=epochs, callback=callback, rng=rng, **problem.settings
            )
        else:
            run = outcome(run.resume, X, y, epochs=epochs, callback=callback)
        found.append(run_bits(run))
        if not isinstance(run, backprop.Training):
            break
        found.append(result_bits(engine, "predict", run.network, X))
    if problem.generator:
        found.append(repr(rng.state))
    X, y = problem.pieces[0][:2]
    found.append(result_bits(engine, "predict", problem.network, X))
    found.append(result_bits(engine, "loss", problem.network, X, y, problem.loss))
    found.append(result_bits(engine, "loss_and_gradient", problem.network, X, y, problem.loss))
    return found, seen


def some_problem(output, loss, optimizer, *, hidden="tanh", sizes=(3, 5, 4), n_samples=11, epochs=3, batch_size=4):
    """A problem of moderate numbers, where nothing overflows."""
    generator = np.random.default_rng(len(output) + len(loss) + n_samples)
    X = generator.uniform(-2.0, 2.0, (n_samples, sizes[0]))
    row, n_out = reference.LOSSES[loss], sizes[-1]
    y = generator.uniform(0.0, 1.0, (n_samples, n_out))
    if row.distribution:
        y = y / y.sum(axis=1, keepdims=True)
    network = backprop.Network(sizes, hidden, output, rng=n_samples)
    settings = {"loss": loss, "optimizer": optimizer, "batch_size": batch_size}
    if isinstance(optimizer, FULL_BATCH):
        settings["batch_size"] = None
    pieces = [(X, y, epochs, None), (X[: n_samples // 2 + 1], y[: n_samples // 2 + 1], 1, None)]
    return Problem(network, loss, settings, 5, None, pieces)


def drawn_kinds(generator, seed):
    """(output activation, loss, optimizer, number of rows): each output in its turn, the others at random."""
    output = OUTPUTS[seed % len(OUTPUTS)]
    loss = losses_for(output)[generator.integers(len(losses_for(output)))]
    rules = list(optimizers_by_rule().values())
    optimizer = rules[generator.integers(len(rules))]
    return output, loss, optimizer, int(generator.choice([1, 2, 7, 11, 30, 140]))


def drawn_settings(generator, seed, loss, optimizer, batch_sizes):
    """Settings of a run: a size of batches among those given, if the optimizer takes batches."""
    settings = {"optimizer": optimizer, "loss": loss, "shuffle": bool(generator.integers(2)), "rng": seed}
    if settings["shuffle"] and seed % 3 == 0:
        settings["shuffle"] = backprop.BlockShuffle(1 + seed % 7, 1 + seed % 4)
    settings["train_biases"] = bool(generator.integers(2))
    batch_size = int(generator.choice(batch_sizes))
    return settings | {"batch_size": None if isinstance(optimizer, FULL_BATCH) else batch_size}


# Processes.


def child_environment(**changes):
    """The environment of a child process that finds this folder's modules, with these changes."""
    path = os.pathsep.join(filter(None, [os.path.dirname(__file__), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path} | changes


@contextlib.contextmanager
def interruption():
    """A timer that sends SIGINT to this process soon after it is started; the block must end in KeyboardInterrupt."""
    timer = threading.Timer(0.3, signal.raise_signal, [signal.SIGINT])
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    gc.disable()  # hypothesis hooks into the collector, and what is raised in such a hook is lost
    try:
        with pytest.raises(KeyboardInterrupt):
            yield timer
    finally:
        gc.enable()
        timer.join()
        signal.signal(signal.SIGINT, handler)


# Files.


def signed(body):
    """A file with this body, as `save` would end it."""
    return body + b"sha256 " + hashlib.sha256(body).hexdigest().encode("ascii") + b"\n"
