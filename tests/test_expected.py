"""Problems of every shape that a kernel treats in its own way, with the reference's bytes for them, computed once.

tests/data/expected.txt holds a digest of those bytes for each problem; tools/make_expected.py makes it. So every
instruction set and number of threads is compared with the reference in a second.
"""

import hashlib
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

import backprop
from backprop import _kernel, reference
from backprop.optimizers import FULL_BATCH, METHODS

EXPECTED = pathlib.Path(__file__).parent / "data" / "expected.txt"
COUNT = 400  # small problems; those of LARGE come after them, then those with what came later, in two groups
LATER, LATEST = 100, 150
BLOCK_ROWS = (4095, 4096, 4098, 8192, 12290)  # rows of the last group, four problems each: sums of blocks (N19)

# (sizes, rows, batch): packed panels, several blocks to a batch, remainders of rows and columns beside full tiles.
LARGE = [
    ([784, 128, 10], 150, 128),
    ([70, 65, 33, 10], 300, 100),
    ([20, 64, 64, 1], 400, 32),
    ([130, 46, 45, 3], 200, 64),
    ([33, 97, 5], 700, 700),
    ([9, 40], 1100, 1100),
    ([3, 200, 31], 90, 45),
]


# What there was when the problems of each group were drawn; a longer list would draw others.
FIRST_ACTIVATIONS = ("identity", "logistic", "tanh", "relu", "leaky_relu", "elu", "softplus", "softsign", "softmax")
LATER_ACTIVATIONS = (*FIRST_ACTIVATIONS[:-1], "exponential", "softmax")
LATEST_ACTIVATIONS = (*LATER_ACTIVATIONS[:-1], "silu", "gelu", "gaussian", "softmax")


class Draw:
    """Choices from the raw words of a bit generator, whose streams NumPy guarantees."""

    def __init__(self, seed):
        self.words = np.random.PCG64(seed)

    def below(self, n):
        return int(self.words.random_raw() % n)

    def of(self, *choices):
        return choices[self.below(len(choices))]

    def array(self, *shape):
        """Eighths from -2 to 2, with zeros of both signs, some subnormal, some large."""
        words = self.words.random_raw(int(np.prod(shape)))
        values = (words % 33).astype(np.float64) / 8.0 - 2.0
        values[words >> 40 == 0] = -0.0
        rare = words >> np.uint64(58)
        values[rare == 1] = -0.0
        values[rare == 2] = 5e-324
        values[rare == 3] *= 2.0**40 if self.below(8) == 0 else 2.0**4
        return values.reshape(shape)


def latest_settings(draw, sizes, n, output):
    """An optimizer of any kind, schedules, penalties, weights of rows, dropout: what the last group has more."""
    rate = draw.of(
        0.01,
        backprop.StepDecay(0.0625, 2, 0.75),
        backprop.ExponentialDecay(0.0625, 0.875),
        backprop.InverseScaling(0.0625, 0.75, 0.5),
        backprop.CosineDecay(0.0625, 5, 0.01),
        backprop.ReduceOnPlateau(0.0625, 0.25, 1),
    )
    penalties = {}
    if draw.below(2):
        penalties = {"l1": draw.of(0.0, 0.01), "l2": draw.of(0.0, 0.1), "clip_norm": draw.of(None, 0.25, 4.0)}
    optimizer = draw.of(
        backprop.SGD(rate, **penalties),
        backprop.SGD(rate, 0.5, **penalties),
        backprop.Adam(rate, **penalties),
        backprop.AdamW(rate, weight_decay=0.5, **penalties),
        backprop.RMSprop(rate, **penalties),
        backprop.Rprop(**penalties),
        backprop.LBFGS(draw.of(1, 3, 10), l2=draw.of(0.0, 0.125)),
        backprop.LBFGS(max_evaluations=3),
        backprop.LevenbergMarquardt(draw.of(1e-3, 1.0)) if output != "softmax" else backprop.LBFGS(2),
    )
    settings = {"optimizer": optimizer, "epochs": draw.of(2, 3, 6)}
    if isinstance(optimizer, FULL_BATCH):
        settings |= {"batch_size": None, "epochs": draw.of(4, 12)}
    if isinstance(optimizer, backprop.LevenbergMarquardt):
        settings["loss"] = None
    if draw.below(3) == 0:
        settings["sample_weight"] = np.abs(draw.array(n)) % 4.0 + draw.of(0.0, 0.125)
        settings["sample_weight"][draw.below(n)] = 1.5
    if draw.below(3) == 0 and not isinstance(optimizer, METHODS):
        settings["dropout"] = backprop.Dropout(draw.of(0.25, 0.5, [draw.of(0.0, 0.75) for _ in sizes[2:]]), rng=n)
    return settings


def block_problem(draw, number):
    """A narrow network with a linear output on one to four blocks of rows, in batches that they do not divide."""
    n = BLOCK_ROWS[number // 4]
    hidden = draw.of("relu", "leaky_relu", "softsign", "tanh" if n < 4097 else "relu")
    network = backprop.Network([2, draw.of(1, 2, 3), draw.of(1, 2)], hidden, rng=number)
    optimizer, batch_size = (
        (draw.of(backprop.LBFGS(), backprop.LBFGS(2, l2=0.125)), None),
        (draw.of(backprop.LevenbergMarquardt(), backprop.Rprop()), None),
        (draw.of(backprop.SGD(0.0625, 0.5), backprop.RMSprop(0.01)), draw.of(4096, 5000, 4097)),
        (draw.of(backprop.Adam(0.01, l2=0.01, clip_norm=0.5), backprop.Adam(0.01)), draw.of(700, 20_000)),
    )[number % 4]
    settings = {"optimizer": optimizer, "batch_size": batch_size, "epochs": 2, "rng": number}
    settings |= {"loss": None, "train_biases": True, "shuffle": draw.of(True, False, backprop.BlockShuffle(300, 4))}
    if draw.below(2):
        settings["sample_weight"] = np.abs(draw.array(n)) % 4.0
    return network, draw.array(n, 2), draw.array(n, network.sizes[-1]), settings


def problem(number):
    """(network, X, y, settings of a run) of this number."""
    draw = Draw(number)
    if number >= COUNT + len(LARGE) + LATER + LATEST:
        return block_problem(draw, number - COUNT - len(LARGE) - LATER - LATEST)
    later = number >= COUNT + len(LARGE)
    latest = number >= COUNT + len(LARGE) + LATER
    known = LATEST_ACTIVATIONS if latest else LATER_ACTIVATIONS if later else FIRST_ACTIVATIONS
    hidden = [name for name in known if name != "softmax"]
    if number >= COUNT and not later:
        sizes, n, batch = LARGE[number - COUNT]
        activations = [draw.of("tanh", "relu", "logistic") for _ in sizes[2:]]
        epochs = 1
    else:
        widths = (1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 16, 17, 24, 33)
        sizes = [draw.of(*widths) for _ in range(draw.of(2, 3, 3, 4))]
        n, batch, epochs = draw.of(1, 2, 3, 5, 7, 12, 13), draw.of(1, 1, 2, 3, 5, 32), draw.of(1, 2, 3)
        activations = [draw.of(*hidden) for _ in sizes[2:]]
    output = draw.of("identity", "softmax", "logistic", *known)
    network = backprop.Network(sizes, activations, output, rng=number)
    X, loss = draw.array(n, sizes[0]), None
    if output == "softmax":
        y = np.array([draw.below(sizes[-1]) for _ in range(n)])
    elif output == "logistic" and draw.below(2):
        y, loss = np.abs(draw.array(n, sizes[-1])) % 1.0, "binary_cross_entropy"
    elif output == "exponential" and draw.below(2):
        y, loss = np.abs(draw.array(n, sizes[-1])), "poisson"
    else:
        y = draw.array(n, sizes[-1])
        loss = draw.of(None, "absolute_error", "huber") if later else None
    optimizer = draw.of(
        backprop.SGD(0.125), backprop.SGD(0.0625, 0.5), backprop.SGD(0.03125, 0.875, nesterov=True), backprop.Adam(0.01)
    )
    if later:
        optimizer = draw.of(
            backprop.AdamW(0.01, weight_decay=0.5),
            backprop.RMSprop(0.01),
            backprop.RMSprop(0.01, 0.5, 0.75),
            backprop.Rprop(),
            backprop.Rprop("rprop+", 1.5, 0.25, 0.01, 1e-3, 1.0),
        )
        batch = None if isinstance(optimizer, backprop.Rprop) else batch
        epochs = epochs if batch else 9
    settings = {"loss": loss, "optimizer": optimizer, "epochs": epochs, "batch_size": batch, "rng": number}
    if latest:
        settings |= latest_settings(draw, sizes, n, output)
    return network, X, y, settings | {"shuffle": bool(draw.below(4)), "train_biases": bool(draw.below(6))}


def parts(train, predict, loss_and_gradient, number):
    """The bytes of all results of a problem, or the error."""
    network, X, y, settings = problem(number)
    try:
        run = train(network, X, y, **settings)
        found = [run.network.parameters, run.losses, run._state.slots, run._state.scalars]
    except ArithmeticError as error:
        found = [np.frombuffer(repr(error).encode(), np.uint8)]
    for function, arguments in ((predict, ()), (loss_and_gradient, (y, settings["loss"]))):
        try:
            results = function(network, X, *arguments)
            found += [np.asarray(part) for part in (results if isinstance(results, tuple) else (results,))]
        except ArithmeticError as error:
            found.append(np.frombuffer(repr(error).encode(), np.uint8))
    return [part.astype(part.dtype.newbyteorder("<")).tobytes() for part in found]


def digest(found):
    return hashlib.sha256(b"|".join(found)).hexdigest()[:32]


def by_reference(number):
    return parts(reference.train, reference.predict, reference.loss_and_gradient, number)


def by_kernel(number, n_threads=None):
    def train(*arguments, **settings):
        return backprop.fast_train(*arguments, n_threads=n_threads, **settings)

    def predict(network, X):
        return network.predict(X, n_threads=n_threads)

    return parts(train, predict, backprop.loss_and_gradient, number)


def expected():
    return EXPECTED.read_text(encoding="ascii").split()


NUMBERS = range(COUNT + len(LARGE) + LATER + LATEST + 4 * len(BLOCK_ROWS))


@pytest.mark.parametrize("n_threads", [1, 2, 3, 4])
def test_every_problem(n_threads, threads_for_small_work):
    """With so many threads, though the work would not call for them."""
    digests = expected()
    assert len(digests) == len(NUMBERS)
    wrong = [number for number in NUMBERS if digest(by_kernel(number, n_threads)) != digests[number]]
    assert wrong == []


def test_threads_as_the_work_calls_for():
    digests = expected()
    assert [number for number in NUMBERS if digest(by_kernel(number)) != digests[number]] == []


@pytest.mark.parametrize("target", _kernel.TARGETS)
def test_every_instruction_set(target, tmp_path):
    """The same in a process that is made to use this one of the instruction sets that the machine has."""
    arguments = ["-q", "-p", "no:cacheprovider", __file__, "-k", "every_problem or as_the_work"]
    environment = os.environ | {"BACKPROP_TARGET": target}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,  # python -m looks there first, and a checkout may hold a package that is not built
    )
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


@pytest.mark.parametrize("number", [*NUMBERS[:COUNT:20], *NUMBERS[COUNT + len(LARGE) + 5 :: 10]])
def test_they_are_the_references(number):
    """Some of them here, all of them when the file is made."""
    found = by_reference(number)
    assert digest(found) == expected()[number]
    assert found == by_kernel(number)


SLOWEST = (507, 608)  # Levenberg-Marquardt with hundreds of weights or more, in plain Python


@pytest.mark.long
def test_all_are_the_references():
    numbers = [number for number in NUMBERS if number not in SLOWEST]
    assert [number for number in numbers if digest(by_reference(number)) != expected()[number]] == []


@pytest.mark.long
@pytest.mark.longest
@pytest.mark.parametrize("number", SLOWEST)
def test_the_slowest_are_the_references(number):
    assert digest(by_reference(number)) == expected()[number]


def test_the_problems_differ():
    assert len(set(expected())) == len(NUMBERS)
    assert sum(len(by_kernel(number)) > 4 for number in NUMBERS) > 0.8 * len(NUMBERS)  # most end without an error
