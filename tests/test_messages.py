"""The words of errors: the argument, what was given, what is allowed, what to type instead; at most 400 letters.

`CASES` has wrong calls of either engine; `BUILT` has those that no engine takes part in.
"""

import fractions
import math
import re

import numpy as np
import pandas as pd
import pytest

import backprop
from backprop import state, tutorial

MOST = 400  # letters of a message
X = [[0.5, -1.0], [1.0, 2.0], [0.0, 0.25]]
Y = [[0.0], [0.5], [1.0]]
NETWORK = backprop.Network([2, 3, 1], rng=1)
SOFTMAX = backprop.Network([2, 3], output_activation="softmax", rng=1)
COUNTS = backprop.Network([2, 1], output_activation="exponential", rng=1)
LINE = backprop.Network([1, 1]).with_parameters([0.0, 0.0])
STEEP = LINE.with_parameters([1e200, 0.0])
LARGEST = np.finfo(np.float64).max
MIXED = pd.DataFrame({"age": [41, 52, 33], "sex": ["F", "M", "F"]})
MISSING = pd.DataFrame({"a": pd.array([1, None, 3], "Int64"), "b": pd.array([1.5, 2.5, 3.5], "Float64")})


def train(**settings):
    settings = {"network": NETWORK, "X": X, "y": Y, "epochs": 2} | settings
    return lambda engine: engine.train(**settings)


def predict(X, network=NETWORK):
    return lambda engine: engine.predict(network, X)


def loss(y, network=SOFTMAX, X=X, **settings):
    return lambda engine: engine.loss(network, X, y, **settings)


def gradient(y, X, network=LINE, **settings):
    return lambda engine: engine.loss_and_gradient(network, X, y, **settings)


def watch(*data, **settings):
    return lambda engine: train(stopping=backprop.EarlyStopping(validation_data=data), **settings)(engine)


def moved(rng, **settings):
    """A run whose callback draws from the generator that shuffles the rows."""
    return lambda engine: train(rng=rng, batch_size=1, callback=lambda state: rng.random(), **settings)(engine)


TYPE, VALUE, OVERFLOW = TypeError, ValueError, OverflowError
# Wrong calls of both engines: call(engine), the error's class, words of its message.
CASES = [
    # Arguments of other libraries, and those that belong to an object.
    (
        train(validation_data=(X, Y)),
        TYPE,
        "argument 'validation_data'; give stopping=backprop.EarlyStopping(validation",
    ),
    (train(validation_split=0.1), TYPE, "give stopping=backprop.EarlyStopping(validation_fraction=0.1)"),
    (train(learning_rate=0.1), TYPE, "has no argument 'learning_rate'; give optimizer=backprop.Adam(learning_rate="),
    (train(lr=0.1), TYPE, "has no argument 'lr'; give optimizer=backprop.Adam(learning_rate="),
    (train(weight_decay=0.1), TYPE, "give optimizer=backprop.AdamW(weight_decay=0.01)"),
    (train(momentum=0.9), TYPE, "give optimizer=backprop.SGD(0.1, momentum=0.9)"),
    (train(patience=5), TYPE, "give stopping=backprop.EarlyStopping(patience=10)"),
    (train(callbacks=[print]), TYPE, "has no argument 'callbacks'; did you mean callback?"),
    (train(verbose=True), TYPE, "has no argument 'verbose'; did you mean progress?"),
    (train(max_iter=5), TYPE, "has no argument 'max_iter'; did you mean epochs?"),
    (train(random_state=5), TYPE, "has no argument 'random_state'; did you mean rng?"),
    (train(sample_weights=[1, 1, 1]), TYPE, "has no argument 'sample_weights'; did you mean sample_weight?"),
    (train(early_stopping=True), TYPE, "has no argument 'early_stopping'; did you mean stopping?"),
    (train(unheard_of=1), TYPE, "has no argument 'unheard_of'; known: network, X, y, loss, optimizer,"),
    # Objects.
    (train(optimizer="adam"), TYPE, "got 'adam'; did you mean backprop.Adam()?"),
    (train(optimizer="SGD"), TYPE, "got 'SGD'; did you mean backprop.SGD(learning_rate=0.1)?"),
    (train(optimizer="l-bfgs"), TYPE, "got 'l-bfgs'; did you mean backprop.LBFGS()?"),
    (train(optimizer="lm"), TYPE, "got 'lm'; did you mean backprop.LevenbergMarquardt()?"),
    (train(optimizer=backprop.RMSprop), TYPE, "did you mean backprop.RMSprop()?"),
    (train(optimizer=0.01), TYPE, "got 0.01; did you mean backprop.Adam(0.01)?"),
    (train(optimizer="best"), TYPE, "optimizer must be None or one of backprop's SGD(...), Adam(...)"),
    (
        train(dropout=0.2),
        TYPE,
        "dropout must be None or a backprop.Dropout(...), got 0.2; did you mean backprop.Dropout(0.2)?",
    ),
    (train(dropout=[0.2]), TYPE, "got [0.2]; did you mean backprop.Dropout([0.2])?"),
    (train(dropout=backprop.Dropout), TYPE, "did you mean backprop.Dropout(0.2)?"),
    (train(stopping=True), TYPE, "got True; did you mean backprop.EarlyStopping()?"),
    (train(stopping=5), TYPE, "got 5; did you mean backprop.EarlyStopping(patience=5)?"),
    (train(stopping=(X, Y)), TYPE, "did you mean backprop.EarlyStopping(validation_data=(X, y))?"),
    (train(checkpoint="run.txt"), TYPE, "got 'run.txt'; did you mean backprop.Checkpoint('run.txt')?"),
    (
        train(callback=[print]),
        TYPE,
        "callback must be None or a function of one argument, got [<built-in function print>]",
    ),
    (train(network=[2, 1]), TYPE, "network must be a backprop.Network, got [2, 1]"),
    # Settings that do not go together.
    (
        train(optimizer=backprop.LBFGS(), batch_size=2),
        VALUE,
        "batch_size must be None with LBFGS, which takes all rows",
    ),
    (
        train(optimizer=backprop.LBFGS(), dropout=backprop.Dropout(0.5)),
        VALUE,
        "dropout must be None with LBFGS, got Dropout(rate=0.5, rng=0)",
    ),
    (
        train(optimizer=backprop.LevenbergMarquardt(), loss="huber"),
        VALUE,
        "loss must be 'squared_error' with the optimizer LevenbergMarquardt, got 'huber'",
    ),
    (
        train(dropout=backprop.Dropout([0.1, 0.2])),
        VALUE,
        "a rate for each of 1 hidden layers, or one for all, got 2 rates",
    ),
    (train(loss="mse", network=SOFTMAX), VALUE, "loss 'mse' is unknown; did you mean 'squared_error'?"),
    (
        train(loss="cross_entropy"),
        VALUE,
        "loss 'cross_entropy' does not go with output_activation 'identity'; allowed: ",
    ),
    (train(epochs=0), VALUE, "epochs must be an integer >= 1, got 0"),
    (train(batch_size=2.5), TYPE, "batch_size must be an integer >= 1, got 2.5"),
    (train(shuffle="yes"), TYPE, "shuffle must be True, False or a backprop.BlockShuffle(...), got 'yes'"),
    (train(shuffle=512), TYPE, "got 512; did you mean backprop.BlockShuffle(rows=512)?"),
    (train(shuffle="block"), TYPE, "got 'block'; did you mean backprop.BlockShuffle()?"),
    (train(rng=-1), VALUE, "rng must be an integer >= 0, got -1"),
    (train(rng=np.random.RandomState(0)), TYPE, "rng must be an integer >= 0, None, a SeedSequence, or a Generator"),
    (moved(np.random.default_rng(0)), VALUE, "rng was drawn from during the call"),
    (
        moved(np.random.Generator(np.random.SFC64(0))),
        VALUE,
        "give each call a generator of its own, such as one of rng.spawn",
    ),
    # Rows.
    (predict([1.0, 2.0]), VALUE, "X must have shape (n_samples, 2), got shape (2,); one row is X.reshape(1, -1)"),
    (predict([[1.0]]), VALUE, "X must have 2 columns, the width of the network's input, got shape (1, 1)"),
    (predict(np.empty((0, 2))), VALUE, "X must have at least one row and fewer than 2**32, got shape (0, 2)"),
    (
        predict(MIXED),
        TYPE,
        "X must hold real numbers, got 'F' in row 0, column 1 ('sex'); turn text into numbers first",
    ),
    (predict(MISSING), TYPE, "got <NA> in row 1, column 0 ('a'); drop rows with missing values or fill them in"),
    (
        predict(MIXED.to_numpy()),
        TYPE,
        "got 'F' in row 0, column 1; turn text into numbers first, such as by pandas.get_dum",
    ),
    (predict(np.array([["1", "2"]])), TYPE, "got '1' in row 0, column 0 of dtype <U1; turn text into numbers first"),
    (predict([[1.0, "2"]]), TYPE, "X must hold real numbers, got '1.0' in row 0, column 0 of dtype <U32"),
    (
        predict(np.array([[1, 2], [3, 4j]])),
        TYPE,
        "X must hold real numbers, got (1+0j) in row 0, column 0 of dtype complex128",
    ),
    (predict(np.array([[1, 2], [3, 4j]], object)), TYPE, "X must hold real numbers, got 4j in row 1, column 1"),
    (predict([[1.0, {"a": 1}]]), TYPE, "X must hold real numbers, got {'a': 1} in row 0, column 1"),
    (predict([[1.0, 10**400]]), VALUE, "numbers that fit in a float64, got a larger one in row 0, column 1: 1000"),
    (predict([[1.0, math.nan]]), VALUE, "X must be finite, got nan in row 0, column 1; drop rows with missing values"),
    (predict([[1.0, 0.0], [math.inf, 0.0]]), VALUE, "X must be finite, got inf in row 1, column 0"),
    (predict([[1.0], [2.0, 3.0]]), VALUE, "X must be an array of shape (n_samples, 2), got rows of unequal length ("),
    (predict({"a": [1.0]}), TYPE, "X must hold real numbers, got {'a': [1.0]}"),
    (train(y=MIXED["sex"]), TYPE, "y must hold real numbers, got 'F' in row 0"),
    (train(y=[0.0, 1.0]), VALUE, "y must have as many rows as X, 3, got shape (2,)"),
    (train(y=[[0.0, 1.0]] * 3), VALUE, "y must have shape (3, 1) or (3,), got shape (3, 2)"),
    (train(y=[0.0, math.nan, 1.0]), VALUE, "y must be finite, got nan in row 1, column 0; drop rows with missing"),
    (loss([1, 2, 3]), VALUE, "y must hold classes, integers from 0 to 2, got 3 in row 2; y - 1 begins at 0"),
    (loss([1.0, 2.0, 3.0]), VALUE, "got 3.0 in row 2; y - 1 begins at 0"),
    (loss([-1, 1, 1]), VALUE, "got -1 in row 0; np.unique(y, return_inverse=True)[1] numbers them from 0"),
    (
        loss([0, 1, 2, 3], X=[*X, X[0]]),
        VALUE,
        "got 3 in row 3; y has 4 classes, for which the network needs as many outputs",
    ),
    (
        loss(["a", "b", "c"]),
        TYPE,
        "got 'a' in row 0 of dtype <U1; number classes from 0, such as by np.unique(y, return",
    ),
    (loss([[0], [1], [2]]), VALUE, "y must have shape (3, 3) or (3,), got shape (3, 1); y.ravel() has one class for"),
    (
        loss([[0.5, 0.5, 0.5]] * 3),
        VALUE,
        "y must sum to 1 in each row (within 1e-9) for loss 'cross_entropy', got 1.5 in row 0",
    ),
    (
        loss([[1.0], [2.0], [-1.0]], COUNTS, loss="poisson"),
        VALUE,
        "y must be >= 0 for loss 'poisson', got -1.0 in row 2",
    ),
    (train(sample_weight=[1.0, -1.0, 1.0]), VALUE, "sample_weight must be finite and >= 0, got -1.0 in row 1"),
    (
        train(sample_weight=[0.0] * 3),
        VALUE,
        "sample_weight must have a sum above 0 and at most 1e300, got 0.0 for 3 rows",
    ),
    (train(sample_weight=[1.0]), VALUE, "sample_weight must have shape (3,), one for each row, got shape (1,)"),
    (train(sample_weight="balanced"), TYPE, "sample_weight must hold real numbers, got 'balanced' of dtype <U8"),
    (watch(X), TYPE, "validation_data must be None or a tuple (X, y) or (X, y, sample_weight)"),
    (watch([[1.0]], [1.0]), VALUE, "in validation_data, X must have 2 columns"),
    (watch(X, [0.0, math.inf, 0.0]), VALUE, "in validation_data, y must be finite, got inf in row 1, column 0"),
    # Results that are not finite.
    (
        predict([[1.0], [1e200]], STEEP),
        OVERFLOW,
        "the prediction of row 1 is not finite: the network's weights or the inputs",
    ),
    (loss([0.0, 1e200], LINE, X=[[1.0], [1.0]]), OVERFLOW, "the loss of row 1 is not finite"),
    (
        loss(
            [LARGEST] * 2,
            LINE,
            X=[[1.0]] * 2,
            loss="absolute_error",
            sample_weight=[0.3416557845264875, 0.38286439139549205],
        ),
        OVERFLOW,
        "the loss is not finite: ",
    ),
    (
        gradient([0.0, 1e150, 0.0], [[1.0], [1e200], [1.0]]),
        OVERFLOW,
        "the gradient is not finite at parameter 0, from row 1 on: ",
    ),
    (
        gradient([0.0, 1e150, 1e150], [[1.0], [1e158], [1e158]]),
        OVERFLOW,
        "the gradient is not finite at parameter 0, from row 2 on: ",
    ),
    (
        train(network=LINE, X=[[1.0], [1e200]], y=[0.0, 1e200]),
        backprop.DivergenceError,
        "scale X and y: with the weights before the first step, the loss of row 1 is not finite",
    ),
    (
        train(network=LINE, X=[[1.0], [2.0]], y=[0.0, 1.0], optimizer=backprop.SGD(1e10), epochs=50),
        backprop.DivergenceError,
        "training diverged: the loss is not finite after epoch 15 (loss inf); try a smaller learning rate, or scale X",
    ),
    (watch([[0.5, 0.0]], [1e200]), OVERFLOW, "the watched loss of validation row 0 is not finite"),
]

# Wrong calls that no engine takes part in.
BUILT = [
    (lambda: backprop.Network([2]), VALUE, "sizes must hold at least an input and an output width, got [2]"),
    (lambda: backprop.Network([2, 0, 1]), VALUE, "sizes[1] must be an integer >= 1, got 0"),
    (lambda: backprop.Network(5), TYPE, "sizes must be a sequence of layer widths such as [4, 10, 3], got 5"),
    (lambda: backprop.Network([10**9, 10**10]), VALUE, "sizes must ask for fewer parameters than memory has addresses"),
    (
        lambda: backprop.Network([10**7, 10**7]),
        MemoryError,
        "a network of sizes [10000000, 10000000] would need 7.45e+05 GiB",
    ),
    (
        lambda: backprop.Network([2, 1], hidden_layer_sizes=3),
        TYPE,
        "Network() has no argument 'hidden_layer_sizes'; did",
    ),
    (lambda: backprop.Network([2, 1], seed=3), TYPE, "Network() has no argument 'seed'; did you mean rng?"),
    (
        lambda: backprop.Network([2, 3, 1], "sigmoid"),
        VALUE,
        "activation 'sigmoid' is unknown; did you mean 'logistic'?",
    ),
    (lambda: backprop.Network([2, 3, 1], "softmax"), VALUE, "activation 'softmax' is for the output only"),
    (
        lambda: backprop.Network([2, 3, 1], ["tanh"] * 2),
        VALUE,
        "activation must list one name for each of 1 hidden layers",
    ),
    (
        lambda: backprop.Network([2, 1], initializer="xavier"),
        VALUE,
        "'xavier' is unknown; did you mean 'glorot_uniform'?",
    ),
    (
        lambda: backprop.Network([2, 1], initializer="he"),
        VALUE,
        "initializer 'he' is unknown; did you mean 'he_uniform'?",
    ),
    (lambda: backprop.Network([2, 1], initializer="kaiming_normal"), VALUE, "did you mean 'he_normal'?"),
    (
        lambda: backprop.Network([2, 1], hidden_bias="0"),
        TYPE,
        "hidden_bias must be a real number in (-inf, inf), got '0'",
    ),
    (
        lambda: backprop.Network.from_arrays([[[math.nan]]], [[0.0]]),
        VALUE,
        "weights[0] must be finite, got nan in row 0, col",
    ),
    (
        lambda: backprop.Network.from_arrays([[[1.0]]], []),
        VALUE,
        "one array for each layer, got 1 weights and 0 biases",
    ),
    (lambda: NETWORK.with_parameters([1.0]), VALUE, "flat must have shape (13,), got (1,)"),
    (
        lambda: setattr(NETWORK, "sizes", 3),
        AttributeError,
        "a Network is immutable; to change 'sizes', make another one",
    ),
    (lambda: backprop.Adam(lr=0.1), TYPE, "Adam() has no argument 'lr'; did you mean learning_rate?"),
    (lambda: backprop.Adam(betas=(0.9, 0.99)), TYPE, "Adam() has no argument 'betas'; did you mean beta_1?"),
    (lambda: backprop.Adam(eps=1e-9), TYPE, "Adam() has no argument 'eps'; did you mean epsilon?"),
    (
        lambda: backprop.Adam("0.1"),
        TYPE,
        "learning_rate must be a real number in (0, inf) or a schedule such as backprop.",
    ),
    (lambda: backprop.Adam(0), VALUE, "learning_rate must be a finite number in (0, inf), got 0"),
    (lambda: backprop.SGD(), TYPE, "learning_rate"),
    (lambda: backprop.SGD(0.1, nesterov=True), VALUE, "nesterov=True needs a momentum above 0, got momentum=0.0"),
    (lambda: backprop.Rprop(variant="rprop-"), VALUE, "variant 'rprop-' is unknown; did you mean"),
    (lambda: backprop.LBFGS(history_size=5), TYPE, "LBFGS() has no argument 'history_size'; did you mean memory?"),
    (lambda: backprop.LBFGS(memory=0), VALUE, "memory must be an integer from 1 to 1000, got 0"),
    (lambda: backprop.LevenbergMarquardt(mu=0), VALUE, "mu must be a finite number in [1e-20, 10000000000.0], got 0"),
    (
        lambda: backprop.StepDecay(0.1, step_size=3),
        TYPE,
        "StepDecay() has no argument 'step_size'; known: initial, every",
    ),
    (lambda: backprop.CosineDecay(0.1, 10, final=0.2), VALUE, "final must be a finite number in [0, 0.1], got 0.2"),
    (lambda: backprop.Dropout(1.0), VALUE, "rate must be a finite number in [0, 1), got 1.0"),
    (lambda: backprop.Dropout(p=0.5), TYPE, "Dropout() has no argument 'p'; did you mean rate?"),
    (
        lambda: backprop.EarlyStopping(n_iter_no_change=5),
        TYPE,
        "EarlyStopping() has no argument 'n_iter_no_change'; did you mean",
    ),
    (lambda: backprop.EarlyStopping(validation_data=[X, Y]), TYPE, "; make a tuple of it: (X, y)"),
    (
        lambda: backprop.EarlyStopping((X, Y), 0.1),
        VALUE,
        "validation_data and validation_fraction must not both be given",
    ),
    (lambda: backprop.EarlyStopping(patience=0), VALUE, "patience must be an integer >= 1, got 0"),
    (lambda: backprop.Checkpoint(5), TYPE, "path must be a str or path-like, got 5"),
    (
        lambda: backprop.Checkpoint(filename="a.txt"),
        TYPE,
        "Checkpoint() has no argument 'filename'; did you mean path?",
    ),
    (lambda: backprop.fast_train(NETWORK, X, Y, n_threads=0), VALUE, "n_threads must be an integer >= 1, got 0"),
    (lambda: backprop.fast_train(NETWORK, X, Y, n_jobs=2), TYPE, "has no argument 'n_jobs'; did you mean n_threads?"),
    (
        lambda: backprop.fast_train(NETWORK, X, Y, epochs=1).resume(X, Y, epochs=1, batch_size=3),
        TYPE,
        "Training.resume() has no argument 'batch_size'; known: X, y, epochs",
    ),
    (lambda: tutorial.walk(LINE), VALUE, "network must have one hidden layer, got Network([1, 1]"),
    (lambda: tutorial.walk(x=[1.0]), VALUE, "x must have shape (2,), got (1,)"),
]


def message(call, *arguments):
    """The exception of a call and its message; no warning may come with it."""
    with pytest.raises(Exception) as caught:  # noqa: PT011
        call(*arguments)
    assert not isinstance(caught.value, Warning)
    return caught.value, str(caught.value)


def names(cases):
    return [f"{k}-{words[:40]}" for k, (_, _, words) in enumerate(cases)]


def test_there_are_many():
    assert len(CASES) + len(BUILT) >= 80


@pytest.mark.parametrize(("call", "kind", "words"), CASES, ids=names(CASES))
def test_words(engine, call, kind, words):
    error, text = message(call, engine)
    assert isinstance(error, kind), repr(error)
    assert words in text
    assert len(text) <= MOST


@pytest.mark.parametrize(("call", "kind", "words"), BUILT, ids=names(BUILT))
def test_words_of_what_is_built(call, kind, words):
    error, text = message(call)
    assert isinstance(error, kind), repr(error)
    assert words in text
    assert len(text) <= MOST


def test_the_memory_of_levenberg_marquardt():
    """Two matrices of 3*10**6 by 3*10**6 numbers are more than a process can address."""
    network = backprop.Network([1, 10**6, 1])
    call = train(network=network, X=[[0.0]], y=[0.0], optimizer=backprop.LevenbergMarquardt())
    with pytest.raises(MemoryError) as caught:
        call(type("Kernel", (), {"train": staticmethod(backprop.fast_train)}))
    assert str(caught.value) == (
        "LevenbergMarquardt on 3000001 parameters would need 1.34e+05 GiB, more memory than there is; "
        "LBFGS() and Adam() are for networks of this size"
    )


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        (
            backprop.LBFGS(memory=1000),
            "LBFGS on 1000000 parameters would need 14.9 GiB, .*; LBFGS\\(memory=3\\) needs less",
        ),
        (backprop.Adam(), "Adam on 1000000 parameters would need 0.0149 GiB, .*; SGD\\(\\) keeps the least"),
    ],
    ids=["LBFGS", "Adam"],
)
def test_the_memory_of_an_optimizers_state(monkeypatch, optimizer, words):
    def full(shape):
        raise MemoryError

    network = backprop.Network([1, 333_333, 1]).with_parameters(np.zeros(1_000_000))
    settings = state.Settings.checked(network, None, optimizer, None, True)
    monkeypatch.setattr(state.np, "empty", full)
    with pytest.raises(MemoryError, match=words):
        state.RunState.first(network, settings, 0)


# Values that cannot be shown whole.


class Loud:
    def __repr__(self):
        return "loud\n" * 10**5


class Mute:
    def __repr__(self):
        raise RuntimeError("nobody asks")


LONG_NAME = type("Long" * 10**4, (), {})
FIELDS = np.zeros(3, [(f"field {k}", float) for k in range(1000)])
HUGE = {
    "numbers": list(range(10**5)),
    "rows of numbers": [[0.5] * 1000] * 100,
    "tuple": tuple(np.linspace(0.0, 1.0, 10**5)),
    "text": "x" * 10**6,
    "bytes": b"x" * 10**6,
    "array": np.full((10**3, 10**3), 0.5),
    "objects": np.full(10**5, Loud(), object),
    "texts": ["y" * 10**4] * 1000,
    "structured": FIELDS,
    "dict": dict.fromkeys(range(10**5), 0.5),
    "set": set(range(10**5)),
    "integer": 10**5000,
    "fraction": fractions.Fraction(10**4000, 3),
    "loud": Loud(),
    "mute": Mute(),
    "many mutes": [Mute()] * 10**5,
    "long class": LONG_NAME(),
    "classes": [LONG_NAME],
    "table": pd.DataFrame({"z" * 10**5: ["w" * 10**5] * 3, "b": [1, 2, 3]}),
    "nested": [[[[[[[[[["deep"]]]]]]]]]] * 10**5,
}
ARGUMENTS = ["network", "X", "y", "loss", "optimizer", "batch_size", "shuffle", "rng", "train_biases", "sample_weight"]
ARGUMENTS += ["dropout", "stopping", "checkpoint", "callback", "progress", "epochs"]


def settings_with(name, value):
    negative = isinstance(value, int | fractions.Fraction)  # a positive number may be right
    return {"network": NETWORK, "X": X, "y": Y, "epochs": 1} | {name: -value if negative else value}


@pytest.mark.parametrize("value", HUGE.values(), ids=HUGE)
@pytest.mark.parametrize("name", ARGUMENTS)
def test_no_message_is_long(engine, name, value):
    if name in ("X", "y") and isinstance(value, fractions.Fraction):
        value = [[Mute(), value]]
    error, text = message(lambda: engine.train(**settings_with(name, value)))
    assert isinstance(error, TypeError | ValueError), repr(error)
    assert re.search(rf"\b{name}\b", text)
    assert len(text) <= MOST


CALLS = {
    "sizes": backprop.Network,
    "activation": lambda value: backprop.Network([2, 3, 1], value),
    "output_activation": lambda value: backprop.Network([2, 3, 1], "tanh", value),
    "initializer": lambda value: backprop.Network([2, 1], initializer=value),
    "hidden_bias": lambda value: backprop.Network([2, 1], hidden_bias=value),
    "weights": lambda value: backprop.Network.from_arrays(value, [[1.0]]),
    "biases": lambda value: backprop.Network.from_arrays([[[1.0]]], value),
    "flat": NETWORK.with_parameters,
    "learning_rate": backprop.Adam,
    "l2": lambda value: backprop.SGD(0.1, l2=value),
    "variant": lambda value: backprop.Rprop(value),
    "memory": lambda value: backprop.LBFGS(memory=value),
    "initial": lambda value: backprop.StepDecay(value, 3),
    "every": lambda value: backprop.StepDecay(0.1, value),
    "rate": backprop.Dropout,
    "validation_data": lambda value: backprop.EarlyStopping(validation_data=value),
    "patience": lambda value: backprop.EarlyStopping(patience=value),
    "target_loss": lambda value: backprop.EarlyStopping(target_loss=value),
    "n_threads": lambda value: NETWORK.predict(X, value),
    "x": lambda value: tutorial.walk(x=value),
}


@pytest.mark.parametrize("value", HUGE.values(), ids=HUGE)
@pytest.mark.parametrize("name", CALLS)
def test_no_message_of_what_is_built_is_long(name, value):
    if isinstance(value, int):
        value = -value
    if isinstance(value, fractions.Fraction):
        value = [value]
    error, text = message(CALLS[name], value)
    assert isinstance(error, TypeError | ValueError), repr(error)
    assert re.search(rf"\b{name}\b", text)
    assert len(text) <= MOST


@pytest.mark.parametrize("name", ["validation" * 10**4, "lr" * 10**4])
def test_a_long_argument_name(engine, name):
    assert len(message(train(**{name: 1}), engine)[1]) <= MOST


@pytest.mark.parametrize("n", [3, 10**4])
def test_watching_rows_of_large_numbers(engine, n):
    data = np.full((n, 2), 0.5), np.full(n, 1e200)
    _, text = message(watch(*data), engine)
    assert "validation row 0" in text
    assert len(text) <= MOST


# A generator that others draw from.


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_generator_that_moved_stays_where_others_moved_it(engine, kind, wrapped):
    bitgen, other = kind(5), kind(5)
    rng = np.random.Generator(bitgen) if wrapped else bitgen
    with pytest.raises(ValueError, match="rng was drawn from during the call"):
        train(rng=rng, batch_size=1, callback=lambda state: bitgen.random_raw())(engine)
    other.random_raw(2)
    assert bitgen.random_raw(4).tolist() == other.random_raw(4).tolist()


def test_a_run_within_a_run_by_the_same_generator(engine):
    rng = np.random.default_rng(3)
    with pytest.raises(ValueError, match="rng was drawn from during the call"):
        train(rng=rng, batch_size=1, callback=lambda state: bool(train(rng=rng, batch_size=1)(engine)))(engine)


def test_a_network_drawn_in_a_callback_by_the_same_generator(engine):
    rng = np.random.default_rng(3)
    with pytest.raises(ValueError, match="rng was drawn from during the call"):
        train(rng=rng, batch_size=2, callback=lambda state: bool(backprop.Network([2, 1], rng=rng).sizes))(engine)


@pytest.mark.parametrize(
    "settings",
    [
        {"shuffle": False, "batch_size": 1},
        {"batch_size": len(X)},
        {"optimizer": backprop.Rprop()},
        {"optimizer": backprop.LBFGS()},
    ],
)
def test_a_generator_that_shuffles_nothing_may_move(engine, settings):
    """No word was drawn twice, and none is taken back."""
    rng, other = np.random.default_rng(3), np.random.default_rng(3)
    run = train(rng=rng, callback=lambda state: rng.random() > 2.0, **settings)(engine)
    other.random(run.epochs)
    assert rng.random() == other.random()


def test_a_generator_is_left_advanced(engine):
    """Two calls by one generator, one after the other, are another shuffle each."""
    rng = np.random.default_rng(3)
    first, second = train(rng=rng, batch_size=1)(engine), train(rng=rng, batch_size=1)(engine)
    assert first.network != second.network
