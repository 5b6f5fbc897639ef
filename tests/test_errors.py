"""Bad input: each argument with its error, on both engines alike, and nothing changed afterwards."""

import copy
import math

import numpy as np
import pytest
import scipy.sparse

import backprop
from backprop import reference
from backprop.optimizers import plan_of

NETWORK = backprop.Network([2, 3, 2], "tanh", "identity", rng=1)
SOFTMAX = backprop.Network([2, 3, 3], "tanh", "softmax", rng=1)
LOGISTIC = backprop.Network([2, 3, 2], "tanh", "logistic", rng=1)
ONE = backprop.Network([2, 1])
X = [[0.5, -1.0], [1.0, 2.0], [0.0, 0.25]]
Y = [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]
CLASSES = [0, 2, 1]
HUGE = 10**400  # no double
RAGGED = [[1.0, 2.0], [3.0]]


class SparseVector:
    """As SciPy's sparse vectors, which it has since 1.13."""

    format, shape = "coo", (3,)

    def tocsr(self):
        return self


class Lazy:
    """It becomes an array, and can do nothing else."""

    def __init__(self, make):
        self.make = make

    def __array__(self, dtype=None, copy=None):
        return self.make()


async def waits(state):
    """A callback that nobody awaits."""


class Waits:
    """An object that is such a callback."""

    async def __call__(self, state):
        pass


class Immeasurable:
    """Its length is one that no sequence has."""

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __iter__(self):
        return iter([2, 1])

    def __repr__(self):
        return f"Immeasurable({self.length})"


def with_value(rows, value, s, column):
    rows = copy.deepcopy(rows)
    rows[s][column] = value
    return rows


def broken_csr(rows):
    """A sparse matrix with a column that it has not."""
    matrix = scipy.sparse.csr_array(rows)
    matrix.indices[1] = 7
    return matrix


# Arguments of X alone, which every function takes: X, exception, words of the message.
BAD_X = [
    ([1.0, 2.0], ValueError, ["X must have shape (n_samples, 2)", "(2,)", "X.reshape(1, -1)"]),
    (1.0, ValueError, ["X must have shape (n_samples, 2)", "()"]),
    ([[[1.0, 2.0]]], ValueError, ["X must have shape (n_samples, 2)", "(1, 1, 2)"]),
    ([[1.0, 2.0, 3.0]], ValueError, ["X must have 2 columns", "(1, 3)"]),
    ([[1.0]], ValueError, ["X must have 2 columns", "(1, 1)"]),
    (np.empty((0, 2)), ValueError, ["X must have at least one row", "(0, 2)"]),
    (np.empty((3, 0)), ValueError, ["X must have 2 columns", "(3, 0)"]),
    ([], ValueError, ["X must have shape", "(0,)"]),
    (RAGGED, ValueError, ["X must", "unequal length"]),
    (None, ValueError, ["X must have shape (n_samples, 2)", "()"]),
    ("12", TypeError, ["X must hold real numbers"]),
    ([["a", "b"]], TypeError, ["X must hold real numbers"]),
    ([[1.0, None]], ValueError, ["X must be finite, got nan in row 0, column 1"]),
    (np.ones((3, 2), complex), TypeError, ["X must hold real numbers", "complex128"]),
    (np.zeros((3, 2), "M8[s]"), TypeError, ["X must hold real numbers", "datetime64"]),
    (np.zeros((3, 2), "S3"), TypeError, ["X must hold real numbers"]),
    (np.ma.masked_array(X, mask=np.zeros((3, 2))), TypeError, ["X must", "masked"]),
    ([np.ma.masked_array(row, mask=[0, 1]) for row in X], TypeError, ["X must", "masked"]),
    (Lazy(lambda: np.ma.masked_array(X)), TypeError, ["X must", "masked"]),
    (Lazy(lambda: X), ValueError, ["X must be an array of shape (n_samples, 2)", "a Lazy that gives none"]),
    (Lazy(lambda: np.array(RAGGED)), ValueError, ["X must be an array of shape", "a Lazy that gives none"]),
    (Lazy(lambda: len(1.0)), TypeError, ["X must be an array of shape", "a Lazy that gives none (object of type"]),
    (scipy.sparse.csr_array(np.ones((3, 2), complex)), TypeError, ["X must hold real numbers", "sparse", "complex128"]),
    (scipy.sparse.csc_array(np.ones((3, 3))), ValueError, ["X must have 2 columns", "(3, 3)"]),
    (SparseVector(), ValueError, ["X must have two dimensions", "(3,)"]),
    (scipy.sparse.csr_array((0, 2)), ValueError, ["X must have at least one row", "(0, 2)"]),
    (
        scipy.sparse.csr_array(with_value(X, math.inf, 2, 0)),
        ValueError,
        ["X must be finite, got inf in row 2, column 0"],
    ),
    (broken_csr(X), ValueError, ["X must be a valid sparse matrix", "outside"]),
    ({"a": 1}, TypeError, ["X must"]),
    ([[1.0, HUGE]], (TypeError, ValueError, OverflowError), ["X must"]),
    (with_value(X, math.nan, 1, 1), ValueError, ["X must be finite, got nan in row 1, column 1"]),
    (with_value(X, math.inf, 2, 0), ValueError, ["X must be finite, got inf in row 2, column 0"]),
    (with_value(X, -math.inf, 0, 1), ValueError, ["X must be finite, got -inf in row 0, column 1"]),
    (np.array(with_value(X, math.nan, 0, 0), np.float32), ValueError, ["X must be finite, got nan in row 0, column 0"]),
    (np.full((300, 2), math.nan), ValueError, ["X must be finite, got nan in row 0, column 0"]),
    # signalling NaNs, of which a cast would warn
    (np.full((3, 2), 0x7FA00000, np.uint32).view(np.float32), ValueError, ["X must be finite, got nan in row 0"]),
]

# y and loss, of the functions that take targets: network, y, loss, exception, words.
BAD_Y = [
    (NETWORK, [0.0, 1.0, 2.0], None, ValueError, ["y must have shape (3, 2)", "(3,)"]),
    (NETWORK, [[0.0], [1.0], [2.0]], None, ValueError, ["y must have shape (3, 2)", "(3, 1)"]),
    (NETWORK, Y[:2], None, ValueError, ["y must have as many rows as X, 3", "(2, 2)"]),
    (NETWORK, [Y], None, ValueError, ["y must have shape (3, 2)", "(1, 3, 2)"]),
    (NETWORK, [], None, ValueError, ["y must", "(0,)"]),
    (NETWORK, 1.0, None, ValueError, ["y must have shape (3, 2)", "()"]),
    (NETWORK, np.transpose(Y), None, ValueError, ["y must have as many rows as X"]),
    (NETWORK, [RAGGED[0], RAGGED[1], RAGGED[0]], None, ValueError, ["y must", "unequal length"]),
    (NETWORK, None, None, ValueError, ["y must have shape (3, 2)", "()"]),
    (NETWORK, [["a", "b"]] * 3, None, TypeError, ["y must hold real numbers"]),
    (NETWORK, np.ones((3, 2), complex), None, TypeError, ["y must hold real numbers", "complex128"]),
    (NETWORK, np.ma.masked_array(Y), None, TypeError, ["y must", "masked"]),
    (NETWORK, scipy.sparse.csr_array(Y), None, TypeError, ["y must be a dense array"]),
    (NETWORK, with_value(Y, math.nan, 2, 1), None, ValueError, ["y must be finite, got nan in row 2, column 1"]),
    (NETWORK, with_value(Y, -math.inf, 0, 0), None, ValueError, ["y must be finite, got -inf in row 0, column 0"]),
    (ONE, [1.0, math.inf, 0.0], None, ValueError, ["y must be finite, got inf in row 1, column 0"]),
    (ONE, Y, None, ValueError, ["y must have shape (3, 1) or (3,)", "(3, 2)"]),
    (SOFTMAX, [0, 1], None, ValueError, ["y must have as many rows as X, 3", "(2,)"]),
    (SOFTMAX, [[0], [1], [2]], None, ValueError, ["y must have shape (3, 3) or (3,)", "(3, 1)"]),
    (SOFTMAX, [0, 3, 1], None, ValueError, ["y must hold classes, integers from 0 to 2", "got 3 in row 1"]),
    (SOFTMAX, [0, 1, -1], None, ValueError, ["y must hold classes, integers from 0 to 2", "got -1 in row 2"]),
    (SOFTMAX, [0.0, 1.5, 1.0], None, ValueError, ["y must hold classes", "got 1.5 in row 1"]),
    (SOFTMAX, [0.0, math.nan, 1.0], None, ValueError, ["y must hold classes", "got nan in row 1"]),
    (SOFTMAX, [math.inf, 0.0, 1.0], None, ValueError, ["y must hold classes", "got inf in row 0"]),
    (
        SOFTMAX,
        np.array([2**64 - 1, 0, 1], np.uint64),
        None,
        ValueError,
        ["y must hold classes", "got 18446744073709551615 in row 0"],
    ),
    (SOFTMAX, ["a", "b", "c"], None, TypeError, ["y must hold real numbers"]),
    (SOFTMAX, [[0.5, 0.5, 0.0], [0.2, 0.2, 0.2], [1.0, 0.0, 0.0]], None, ValueError, ["y must sum to 1", "in row 1"]),
    (SOFTMAX, [[1.0, 0.0, 0.0], [0.5, 0.5 + 2e-9, 0.0], [1, 0, 0]], None, ValueError, ["y must sum to 1", "in row 1"]),
    (
        SOFTMAX,
        [[1.0, 0.0, 0.0], [1.5, -0.5, 0.0], [1, 0, 0]],
        None,
        ValueError,
        ["y must be >= 0", "got -0.5 in row 1, column 1"],
    ),
    (
        SOFTMAX,
        [[1.0, 0.0, 0.0], [1.0, -5e-324, 0.0], [1, 0, 0]],
        None,
        ValueError,
        ["y must be >= 0", "in row 1, column 1"],
    ),
    (SOFTMAX, [[1e308, 1e308, 0.0], [1, 0, 0], [1, 0, 0]], None, ValueError, ["y must sum to 1", "inf in row 0"]),
    (SOFTMAX, [[math.nan, 1.0, 0.0], [1, 0, 0], [1, 0, 0]], None, ValueError, ["y must be finite", "row 0, column 0"]),
    (
        LOGISTIC,
        [[0.0, 1.0], [0.5, 1.0000000000000002], [1, 1]],
        "binary_cross_entropy",
        ValueError,
        ["y must be in [0, 1]", "got 1.0000000000000002 in row 1, column 1"],
    ),
    (
        LOGISTIC,
        [[0.0, 1.0], [-5e-324, 1.0], [1, 1]],
        "binary_cross_entropy",
        ValueError,
        ["y must be in [0, 1]", "row 1, column 0"],
    ),
    (LOGISTIC, CLASSES, "binary_cross_entropy", ValueError, ["y must have shape (3, 2)"]),
    (
        NETWORK,
        Y,
        "cross_entropy",
        ValueError,
        ["loss 'cross_entropy'", "output_activation 'identity'", "squared_error"],
    ),
    (NETWORK, Y, "binary_cross_entropy", ValueError, ["loss 'binary_cross_entropy'", "'identity'", "squared_error"]),
    (SOFTMAX, CLASSES, "squared_error", ValueError, ["loss 'squared_error'", "'softmax'", "allowed: cross_entropy"]),
    (
        SOFTMAX,
        CLASSES,
        "binary_cross_entropy",
        ValueError,
        ["loss 'binary_cross_entropy'", "'softmax'", "cross_entropy"],
    ),
    (NETWORK, Y, "mse", ValueError, ["loss 'mse' is unknown", "did you mean 'squared_error'?"]),
    (NETWORK, Y, "squared-error", ValueError, ["loss", "did you mean 'squared_error'?"]),
    (NETWORK, Y, "bce", ValueError, ["loss", "did you mean 'binary_cross_entropy'?"]),
    (NETWORK, Y, "log_loss", ValueError, ["loss", "did you mean 'cross_entropy'?"]),
    (NETWORK, Y, "hinge", ValueError, ["loss 'hinge' is unknown", *reference.LOSSES]),
    (NETWORK, Y, "", ValueError, ["loss '' is unknown"]),
    (NETWORK, Y, 1, TypeError, ["loss must be a name"]),
    (NETWORK, Y, ["squared_error"], TypeError, ["loss must be a name"]),
]

# The other arguments of fast_train() and reference.train(): settings, exception, words.
BAD_SETTINGS = [
    ({"epochs": 0}, ValueError, ["epochs must be an integer >= 1, got 0"]),
    ({"epochs": -3}, ValueError, ["epochs must be an integer >= 1, got -3"]),
    ({"epochs": 1.0}, TypeError, ["epochs must be an integer >= 1, got 1.0"]),
    ({"epochs": True}, TypeError, ["epochs must be an integer >= 1, got True"]),
    ({"epochs": np.True_}, TypeError, ["epochs must be an integer"]),
    ({"epochs": "10"}, TypeError, ["epochs must be an integer >= 1, got '10'"]),
    ({"epochs": None}, TypeError, ["epochs must be an integer"]),
    ({"batch_size": 0}, ValueError, ["batch_size must be an integer >= 1, got 0"]),
    ({"batch_size": -1}, ValueError, ["batch_size must be an integer >= 1, got -1"]),
    ({"batch_size": 2.5}, TypeError, ["batch_size must be an integer >= 1, got 2.5"]),
    ({"batch_size": True}, TypeError, ["batch_size must be an integer"]),
    ({"batch_size": "all"}, TypeError, ["batch_size must be an integer"]),
    ({"shuffle": 1}, TypeError, ["shuffle must be True, False or a backprop.BlockShuffle(...), got 1"]),
    ({"shuffle": None}, TypeError, ["shuffle must be True, False or a backprop.BlockShuffle(...), got None"]),
    ({"train_biases": "no"}, TypeError, ["train_biases must be True or False, got 'no'"]),
    ({"train_biases": 0}, TypeError, ["train_biases must be True or False"]),
    ({"progress": 1}, TypeError, ["progress must be True or False"]),
    ({"callback": "print"}, TypeError, ["callback must be None or a function", "'print'"]),
    ({"callback": True}, TypeError, ["callback must be None or a function"]),
    ({"callback": waits}, TypeError, ["callback must be a function with def, not async def", "waits"]),
    ({"callback": Waits()}, TypeError, ["callback must be a function with def, not async def", "Waits"]),
    ({"optimizer": "adam"}, TypeError, ["optimizer must be None or one of backprop's SGD", "'adam'"]),
    ({"optimizer": backprop.Adam}, TypeError, ["optimizer must be None or one of backprop's SGD"]),
    ({"optimizer": 0.1}, TypeError, ["optimizer must be None or one of backprop's SGD"]),
    ({"optimizer": 0}, TypeError, ["optimizer must be None or one of backprop's SGD"]),
    ({"optimizer": backprop.Rprop(), "batch_size": 2}, ValueError, ["batch_size must be None with Rprop", "got 2"]),
    ({"rng": -1}, ValueError, ["rng must be an integer >= 0, got -1"]),
    ({"rng": 0.5}, TypeError, ["rng must be", "0.5"]),
    ({"rng": "seed"}, TypeError, ["rng must be", "'seed'"]),
    ({"rng": True}, TypeError, ["rng must be", "True"]),
    ({"rng": np.random.RandomState(0)}, TypeError, ["rng must be", "PCG64"]),
    ({"rng": np.random.MT19937(0)}, TypeError, ["rng must be", "PCG64"]),
    ({"rng": np.random.Generator(np.random.MT19937(0))}, TypeError, ["rng must be", "MT19937"]),
    ({"network": "net"}, TypeError, ["network must be a backprop.Network, got 'net'"]),
    ({"network": None}, TypeError, ["network must be a backprop.Network"]),
    ({"network": backprop.Network}, TypeError, ["network must be a backprop.Network"]),
]

# What the kernel's functions alone take, and everything that makes no pass through a network: call, exception, words.
BAD_CALLS = {
    **{
        f"n_threads={n!r} of {name}": (lambda call=call, n=n: call(n), exception, ["n_threads must be an integer >= 1"])
        for n, exception in ((0, ValueError), (-1, ValueError), (1.0, TypeError), (True, TypeError), ("2", TypeError))
        for name, call in {
            "fast_train": lambda n: backprop.fast_train(NETWORK, X, Y, n_threads=n),
            "predict": lambda n: NETWORK.predict(X, n),
            "loss": lambda n: NETWORK.loss(X, Y, n_threads=n),
            "resume": lambda n: backprop.fast_train(NETWORK, X, Y, epochs=1).resume(X, Y, epochs=1, n_threads=n),
        }.items()
    },
    **{
        f"sizes={sizes!r}": (lambda sizes=sizes: backprop.Network(sizes), exception, ["sizes", *words])
        for sizes, exception, words in (
            ([], ValueError, ["at least an input and an output"]),
            ([4], ValueError, ["at least an input and an output", "[4]"]),
            ([4, 0], ValueError, ["sizes[1] must be an integer >= 1, got 0"]),
            ([0, 4], ValueError, ["sizes[0] must be an integer >= 1, got 0"]),
            ([4, 0, 2], ValueError, ["sizes[1] must be an integer >= 1, got 0"]),
            ([4, -2, 2], ValueError, ["sizes[1] must be an integer >= 1, got -2"]),
            ([4, 2.0], TypeError, ["sizes[1] must be an integer >= 1, got 2.0"]),
            ([True, 2], TypeError, ["sizes[0] must be an integer >= 1, got True"]),
            (["4", "2"], TypeError, ["sizes[0] must be an integer >= 1, got '4'"]),
            ("42", TypeError, ["sizes[0] must be an integer"]),
            (None, TypeError, ["sequence of layer widths"]),
            (7, TypeError, ["sequence of layer widths"]),
            ([[4, 2]], ValueError, ["at least an input and an output"]),
            (b"42", TypeError, ["sequence of layer widths"]),
            (np.void(b"42"), TypeError, ["sequence of layer widths"]),
            ({4, 2}, TypeError, ["sequence of layer widths"]),
            (Immeasurable(2**70), TypeError, ["sequence of layer widths"]),
            (Immeasurable(-1), TypeError, ["sequence of layer widths"]),
            ({4: 2, 2: 1}, TypeError, ["sequence of layer widths"]),
            (np.array([4.0, 2.0]), TypeError, ["sizes[0] must be an integer"]),
        )
    },
    **{
        f"activation={name!r}": (
            lambda name=name: backprop.Network([2, 3, 3, 1], name),
            exception,
            ["activation", *words],
        )
        for name, exception, words in (
            ("sigmoid", ValueError, ["'sigmoid' is unknown", "did you mean 'logistic'?", *reference.ACTIVATIONS]),
            ("Sigmoid", ValueError, ["did you mean 'logistic'?"]),
            ("linear", ValueError, ["did you mean 'identity'?"]),
            ("ReLU", ValueError, ["did you mean 'relu'?"]),
            ("leaky-relu", ValueError, ["did you mean 'leaky_relu'?"]),
            ("LeakyReLU", ValueError, ["did you mean 'leaky_relu'?"]),
            ("tan", ValueError, ["did you mean 'tanh'?"]),
            ("qqqqqqqq", ValueError, ["'qqqqqqqq' is unknown; known:"]),
            ("softmax", ValueError, ["'softmax'"]),
            (["tanh"], ValueError, ["2 hidden layers, got 1"]),
            (["tanh"] * 3, ValueError, ["2 hidden layers, got 3"]),
            (["tanh", "sigmoid"], ValueError, ["activation[1] 'sigmoid' is unknown", "did you mean 'logistic'?"]),
            (["tanh", None], TypeError, ["activation[1] must be a name"]),
            (np.void(b"hi"), TypeError, ["activation must be a name or a list"]),
            (None, TypeError, ["activation must be a name or a list"]),
            (1, TypeError, ["activation must be a name or a list"]),
            (b"hi", TypeError, ["activation must be a name or a list"]),
            ({"relu"}, TypeError, ["activation must be a name or a list"]),
            ([np.array(["tanh", "relu"])] * 2, TypeError, ["activation[0] must be a name"]),
        )
    },
    "output_activation='sigmoid'": (
        lambda: backprop.Network([2, 1], "tanh", "sigmoid"),
        ValueError,
        ["output_activation 'sigmoid'", "'logistic'?"],
    ),
    "output_activation='soft max'": (
        lambda: backprop.Network([2, 1], "tanh", "soft max"),
        ValueError,
        ["output_activation", "'softmax'?"],
    ),
    "output_activation=None": (
        lambda: backprop.Network([2, 1], "tanh", None),
        TypeError,
        ["output_activation must be a name"],
    ),
    "output_activation=[...]": (
        lambda: backprop.Network([2, 1], "tanh", ["relu"]),
        TypeError,
        ["output_activation must be a name"],
    ),
    **{
        f"from_arrays({case})": (lambda w=w, b=b: backprop.Network.from_arrays(w, b), exception, words)
        for case, w, b, exception, words in (
            ("nothing", [], [], ValueError, ["weights and biases", "0"]),
            ("a bias missing", [np.ones((2, 2))], [], ValueError, ["weights and biases", "1 weights", "0 biases"]),
            ("flat weights", [np.ones(2)], [np.ones(2)], ValueError, ["weights[0] must have shape (n_in, n_out)"]),
            ("deep biases", [np.ones((2, 2))], [np.ones((1, 2))], ValueError, ["biases[0] must have shape (2,)"]),
            ("short biases", [np.ones((2, 3))], [np.ones(2)], ValueError, ["biases[0] must have shape (3,)", "(2,)"]),
            (
                "layers that do not meet",
                [np.ones((2, 3)), np.ones((2, 1))],
                [np.ones(3), [1]],
                ValueError,
                ["weights[1] must have shape (3, "],
            ),
            ("no outputs", [np.ones((2, 0))], [np.ones(0)], ValueError, ["weights[0] must have shape"]),
            ("no inputs", [np.ones((0, 2))], [np.ones(2)], ValueError, ["weights[0] must have shape"]),
            ("nan", [[[1.0, math.nan]]], [[1.0, 1.0]], ValueError, ["weights[0] must be finite, got nan"]),
            ("inf", [[[1.0, 1.0]]], [[1.0, -math.inf]], ValueError, ["biases[0] must be finite, got -inf"]),
            ("words", [[["a", "b"]]], [[1.0, 1.0]], TypeError, ["weights[0] must hold real numbers"]),
            ("complex", [[[1.0, 1j]]], [[1.0, 1.0]], TypeError, ["weights[0] must hold real numbers"]),
            ("ragged", [[[1.0, 2.0], [1.0]]], [[1.0, 1.0]], ValueError, ["weights[0] must"]),
            ("no sequence of weights", None, [[1.0]], TypeError, ["weights"]),
            ("no sequence of biases", [[[1.0]]], 1.0, TypeError, ["biases"]),
            ("an array that is no sequence", Lazy(lambda: np.ones((1, 1, 1))), [[1.0]], TypeError, ["weights must be"]),
        )
    },
    "from_arrays, too many activations": (
        lambda: backprop.Network.from_arrays([[[1.0]]], [[1.0]], ["tanh"]),
        ValueError,
        ["activation", "0 hidden layers"],
    ),
    **{
        f"with_parameters({case})": (lambda flat=flat: ONE.with_parameters(flat), exception, ["flat", *words])
        for case, flat, exception, words in (
            ("too few", [1.0, 2.0], ValueError, ["(3,)", "(2,)"]),
            ("too many", np.ones(4), ValueError, ["(3,)", "(4,)"]),
            ("two dimensions", np.ones((3, 1)), ValueError, ["(3,)"]),
            ("nan", [1.0, math.nan, 1.0], ValueError, ["finite, got nan at index 1"]),
            ("inf", [1.0, 1.0, math.inf], ValueError, ["finite, got inf at index 2"]),
            ("words", ["a", "b", "c"], TypeError, ["real numbers"]),
            ("None", None, ValueError, ["(3,)", "()"]),
        )
    },
    **{
        f"{kind.__name__}({name}={value!r})": (
            lambda kind=kind, settings=settings, name=name, value=value: kind(**{**settings, name: value}),
            TypeError if isinstance(value, bool | str | list | None | complex) else ValueError,
            [f"{name} must be", interval],
        )
        for kind, settings, ranges in (
            (backprop.SGD, {"learning_rate": 0.1}, {"learning_rate": "(0, inf)", "momentum": "[0, 1)"}),
            (
                backprop.Adam,
                {},
                {"learning_rate": "(0, inf)", "epsilon": "(0, inf)", "beta_1": "[0, 1)", "beta_2": "[0, 1)"},
            ),
        )
        for name, interval in ranges.items()
        for value in (
            -0.1,
            -5e-324,
            math.nan,
            math.inf,
            -math.inf,
            True,
            "0.1",
            None,
            [0.1],
            1j,
            *([0, 0.0, -0.0] if interval == "(0, inf)" else [1, 1.0, 1.5]),
        )
    },
    "SGD(nesterov=1)": (lambda: backprop.SGD(0.1, 0.9, 1), TypeError, ["nesterov must be True or False, got 1"]),
    "SGD(nesterov without momentum)": (
        lambda: backprop.SGD(0.1, nesterov=True),
        ValueError,
        ["nesterov=True needs a momentum"],
    ),
    "SGD()": (lambda: backprop.SGD(), TypeError, ["learning_rate"]),
    "SGD(learning_rate=10**400)": (lambda: backprop.SGD(HUGE), (TypeError, ValueError), ["learning_rate must be"]),
    "SGD(learning_rate=array)": (lambda: backprop.SGD(np.array([0.1])), TypeError, ["learning_rate must be"]),
    "resume(epochs=0)": (
        lambda: backprop.fast_train(NETWORK, X, Y, epochs=1).resume(X, Y, epochs=0),
        ValueError,
        ["epochs must be"],
    ),
    "resume without epochs": (lambda: backprop.fast_train(NETWORK, X, Y, epochs=1).resume(X, Y), TypeError, ["epochs"]),
    "resume with a setting": (
        lambda: backprop.fast_train(NETWORK, X, Y, epochs=1).resume(X, Y, epochs=1, batch_size=3),
        TypeError,
        ["batch_size"],
    ),
    "an unknown argument": (
        lambda: backprop.fast_train(NETWORK, X, Y, learning_rate=0.1),
        TypeError,
        ["learning_rate"],
    ),
    "settings by position": (lambda: backprop.fast_train(NETWORK, X, Y, "squared_error"), TypeError, ["positional"]),
    "backprop.nothing": (lambda: backprop.nothing, AttributeError, ["nothing"]),
}


def caught(call, *arguments, **settings):
    """The exception of a call; no warning may come with it (the configuration makes each an error)."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        call(*arguments, **settings)
    return caught.value


def check(error, exception, words):
    assert isinstance(error, exception), repr(error)
    assert not isinstance(error, Warning)
    for word in words:
        assert word in str(error)


def alike(errors):
    """Both engines say the same."""
    assert [type(error) for error in errors] == [type(errors[0])] * 2
    assert [str(error) for error in errors] == [str(errors[0])] * 2


def ids(rows):
    return [f"{k}-{row[-1][0]}" for k, row in enumerate(rows)]


@pytest.mark.parametrize(("bad", "exception", "words"), BAD_X, ids=ids(BAD_X))
@pytest.mark.parametrize("function", ["predict", "loss", "loss_and_gradient", "train"])
def test_bad_X(engines, function, bad, exception, words):
    n = bad.shape[0] if isinstance(bad, np.ndarray) and bad.ndim == 2 and bad.shape[0] else 3
    targets = [] if function == "predict" else [np.zeros((n, 2))]
    errors = [caught(getattr(engine, function), NETWORK, bad, *targets) for engine in engines]
    check(errors[0], exception, words)
    alike(errors)


@pytest.mark.parametrize(("network", "bad", "loss", "exception", "words"), BAD_Y, ids=ids(BAD_Y))
@pytest.mark.parametrize("function", ["loss", "loss_and_gradient", "train"])
def test_bad_y_or_loss(engines, function, network, bad, loss, exception, words):
    errors = [caught(getattr(engine, function), network, X, bad, loss=loss) for engine in engines]
    check(errors[0], exception, words)
    alike(errors)


@pytest.mark.parametrize(("settings", "exception", "words"), BAD_SETTINGS, ids=ids(BAD_SETTINGS))
def test_bad_settings(engines, settings, exception, words):
    settings = {"network": NETWORK, "X": X, "y": Y, **settings}
    errors = [caught(engine.train, **settings) for engine in engines]
    check(errors[0], exception, words)
    alike(errors)


@pytest.mark.parametrize(("call", "exception", "words"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_bad_calls(call, exception, words):
    check(caught(call), exception, words)


@pytest.mark.parametrize("bad", [None, "net", backprop.Network, 5])
def test_what_is_no_network(engines, bad):
    errors = [caught(engine.loss_and_gradient, bad, X, Y) for engine in engines]
    check(errors[0], TypeError, ["network must be a backprop.Network"])
    alike(errors)
    for function in (reference.predict, lambda network, X: reference.loss(network, X, Y)):
        check(caught(function, bad, X), TypeError, ["network must be a backprop.Network"])


def test_X_is_looked_at_first(engines):
    """Of several faults the same one is reported: X before y, shapes before values, names before arrays."""
    nan = with_value(X, math.nan, 0, 0)
    for bad_X, bad_y, loss, words in (
        (nan, with_value(Y, math.nan, 0, 0), None, "X must be finite"),
        (nan, [1.0], None, "X must be finite"),
        ([1.0], [1.0], None, "X must have shape"),
        (nan, Y, "mse", "loss 'mse' is unknown"),
    ):
        errors = [caught(engine.train, NETWORK, bad_X, bad_y, loss=loss) for engine in engines]
        check(errors[0], ValueError, [words])
        alike(errors)


def test_nothing_changed_afterwards(engine):
    """After every refusal the arguments and the generator are as they were, and the same call goes on working."""
    network = backprop.Network([2, 3, 2], rng=1)
    before = engine.train(network, X, Y, epochs=2)
    bits = network.parameters.tobytes()
    rng = np.random.default_rng(4)
    state = repr(rng.bit_generator.state)
    data = np.array(X), np.array(Y)
    broken = np.array(with_value(X, math.nan, 2, 1)), np.array(with_value(Y, math.inf, 2, 1))
    for settings in (
        {"X": broken[0], "y": data[1]},
        {"X": data[0], "y": broken[1]},
        {"X": data[0], "y": data[1], "epochs": 0},
        {"X": data[0], "y": data[1], "loss": "mse"},
        {"X": data[0], "y": data[1], "optimizer": backprop.SGD(1e308), "epochs": 50},
    ):
        with pytest.raises((ValueError, ArithmeticError)):
            engine.train(network, rng=rng, **settings)
    with pytest.raises(ValueError, match="X must be finite"):
        before.resume(broken[0], data[1], epochs=1)
    assert (data[0].tolist(), data[1].tolist()) == (X, Y)
    assert network.parameters.tobytes() == bits
    assert repr(rng.bit_generator.state) == state
    again = engine.train(network, X, Y, epochs=2)
    assert again.network == before.network
    assert before.resume(X, Y, epochs=1).network == again.resume(X, Y, epochs=1).network


def test_what_is_at_the_edge_is_allowed(engine):
    """The neighbours of the errors above."""
    tolerated = [[1.0 / 3.0] * 3, [0.5, 0.5 + 9e-10, 0.0], [1.0, -0.0, 0.0]]
    assert math.isfinite(engine.loss(SOFTMAX, X, tolerated))
    assert math.isfinite(engine.loss(LOGISTIC, X, [[0.0, 1.0], [1.0, -0.0], [0.5, 5e-324]], "binary_cross_entropy"))
    assert engine.train(NETWORK, X, Y, epochs=1, batch_size=10**30).epochs == 1
    assert engine.train(NETWORK, X, Y, epochs=np.int8(1), batch_size=np.uint64(2)).epochs == 1
    assert engine.train(NETWORK, X, Y, epochs=1, shuffle=np.False_).epochs == 1
    assert engine.train(NETWORK, X, Y, epochs=1, optimizer=backprop.SGD(5e-324)).epochs == 1
    assert backprop.SGD(1, 0) == backprop.SGD(np.float32(1.0), 0.0)
    assert plan_of(backprop.Adam(beta_1=0.0, beta_2=0, epsilon=5e-324)).settings == (1e-3, 0.0, 0.0, 5e-324)
    assert engine.train(NETWORK, X, Y, epochs=10**30, callback=lambda state: True).epochs == 1


NOT_REAL = ["0.1", b"0.1", bytearray(b"0.1"), memoryview(b"0.1"), 1j, np.complex128(1 + 5j)]
NOT_REAL += [np.void(b"0.1"), np.timedelta64(1, "s"), np.datetime64(1, "s")]  # float() takes the first two


@pytest.mark.parametrize("bad", NOT_REAL, ids=lambda bad: type(bad).__name__)
def test_what_is_no_real_number(bad):
    check(caught(backprop.SGD, bad), TypeError, ["learning_rate must be a real number"])
    if not isinstance(bad, bytearray | memoryview):
        rows = np.array([[1.0, bad]], object)
        errors = [caught(reference.predict, NETWORK, rows), caught(NETWORK.predict, rows)]
        check(errors[0], TypeError, ["X must hold real numbers"])
        alike(errors)


def test_softmax_is_for_the_output():
    check(caught(backprop.Network, [2, 3, 1], "softmax"), ValueError, ["activation 'softmax' is for the output only"])


def test_a_long_double_out_of_range_is_an_error_not_a_warning():
    too_large = np.array([[np.longdouble("1e400"), 1.0]])
    if np.isinf(np.longdouble("1e400")):  # where a long double is a double
        return
    check(caught(NETWORK.predict, too_large), ValueError, ["X must be finite, got inf in row 0, column 0"])


class NoRepr:
    def __repr__(self):
        raise RuntimeError("nobody asks")


class WrongRepr:
    def __repr__(self):
        return 5


@pytest.mark.parametrize("bad", [10**5000, NoRepr(), WrongRepr(), "x" * 10**5], ids=lambda bad: type(bad).__name__)
def test_what_cannot_be_shown_in_an_error(bad):
    """Python prints no integer of so many digits; the error is about the argument nevertheless, and not endless."""
    calls = {"sizes": lambda: backprop.Network(bad), "activation": lambda: backprop.Network([2, 3, 1], bad)}
    for name in ("network", "optimizer", "loss", "shuffle", "train_biases", "progress", "callback", "epochs", "rng"):
        given = {"network": NETWORK, "X": X, "y": Y, name: -bad if isinstance(bad, int) else bad}
        calls[name] = lambda given=given: backprop.fast_train(**given)
    calls["learning_rate"] = lambda: backprop.SGD(bad)
    calls["weights"] = lambda: backprop.Network.from_arrays(bad, [[1.0]])
    for name, call in calls.items():
        error = caught(call)
        check(error, (TypeError, ValueError), [name])
        assert len(str(error)) < 500


def test_what_numpy_does_about_overflow_is_the_hosts_affair():
    rows = np.array([[np.longdouble("1e-4000"), np.longdouble("1e-320")], [1.0, 2.0]])
    halves = np.array([[6e-8, 1.0]], np.float16)
    expected = [NETWORK.predict(x).tobytes() for x in (rows, halves)]
    with np.errstate(all="raise"):
        assert [NETWORK.predict(x).tobytes() for x in (rows, halves)] == expected
        check(caught(NETWORK.predict, BAD_X[-1][0]), ValueError, ["X must be finite"])


def test_divergence_without_losses_can_be_shown():
    assert "epoch 0" in str(backprop.DivergenceError(0, []))


def test_the_nan_of_a_divergence_is_the_same_everywhere(engines):
    """Processors make NaNs of either sign."""
    network, X = backprop.Network([1, 2], output_activation="softmax", rng=1), [[1e10], [-1e10]]
    settings = {"optimizer": backprop.SGD(1.7e308), "epochs": 3, "batch_size": 1, "shuffle": False}
    for engine in engines:
        with pytest.raises(backprop.DivergenceError) as caught:
            engine.train(network, X, [0, 1], **settings)
        assert caught.value.losses.astype("<f8").tobytes().hex() == "000000000000f87f"


def says(kind, name, value):
    """A subclass that says something else of itself than its base class does."""
    return type(kind.__name__, (kind,), {name: property(lambda self: value)})


def plans(kind, **changes):
    """A subclass of an optimizer whose plan is another than its base class's."""
    return type(kind.__name__, (kind,), {"_plan": lambda self: kind._plan(self)._replace(**changes)})


@pytest.mark.parametrize(
    ("network", "optimizer", "message"),
    [
        (says(backprop.Network, "sizes", (2, 400_000, 2)), None, r"parameters of \(2, 400000, 2\) .* 2000002 .* 17"),
        (says(backprop.Network, "activations", ("tanh",) * 3), None, r"activations of \(2, 3, 2\) .* 2 .* 3"),
        (None, plans(backprop.SGD, settings=())(0.1), "settings of sgd .* 1 .* 0"),
        (None, plans(backprop.SGD, rule="adamw")(0.1), "settings of adamw .* 5 .* 1"),
        (None, plans(backprop.LBFGS, settings=(1e5, 0.0, 0.0, 20.0))(), "slots of lbfgs .* 3400000 .* 340"),
        (None, plans(backprop.LBFGS, settings=(10.0,))(), "settings of lbfgs .* 4 .* 1"),
        (None, plans(backprop.LevenbergMarquardt, settings=())(), "settings of levenberg_marquardt .* 4 .* 0"),
    ],
)
def test_subclasses_that_say_what_is_not_so(network, optimizer, message):
    """The kernel reads no memory that is not there."""
    network = (network or backprop.Network)([2, 3, 2], "tanh", rng=1)
    with pytest.raises(ValueError, match=message):
        backprop.fast_train(network, X, Y, optimizer=optimizer, epochs=2)
