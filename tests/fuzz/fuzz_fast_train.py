"""Fuzz the arguments of fast_train, resume, Network, predict, loss, loss_and_gradient and the optimizers.

The bytes choose for each argument a value that is right, one that is wrong, or one of which nobody says which it is:
types, shapes, dtypes and layouts, NaN, infinities, subnormals and huge numbers, unknown names, and objects whose
special methods raise or lie. Then

* a call with a wrong argument raises TypeError or ValueError, and the message names one that is not right;
* a call whose arguments are right gives finite numbers, or says which number would not be: DivergenceError or
  OverflowError;
* the reference gives the same bits, or the same error in the same words;
* the arguments are as they were.

Anything else is a finding: another exception, a warning, a crash, a hang. Left out, since nothing could be promised:
iterators without an end, objects that lie about their class or about where their memory is, and sizes that fit in no
computer but in an address.
"""

import contextlib
import decimal
import fractions
import math
import os
import random
import re
import tempfile
import typing
from collections.abc import Callable
from typing import Any, NamedTuple

import atheris
import numpy as np
from driver import FindingError, main

with atheris.instrument_imports(include=["backprop"]):
    import backprop
    from backprop import _kernel, reference
    from backprop.network import INITIALIZERS
    from backprop.optimizers import FULL_BATCH, Optimizer
    from backprop.schedules import Schedule

from small_work import share_small_work  # which imports backprop, now that it is instrumented

INITIALIZERS = list(INITIALIZERS)
RIGHT, WRONG, UNSURE = "right", "wrong", "unsure"
OUTPUTS = _kernel.ACTIVATIONS
HIDDEN = tuple(name for name in OUTPUTS if name != "softmax")
PATH = os.path.join(tempfile.mkdtemp(), "run")
HUGE = 10**5000  # more digits than Python prints


class Argument(NamedTuple):
    make: Callable[[], Any]  # the value, anew for each engine: some can be used once only
    verdict: str


class HostileError(Exception):
    """What the special methods of hostile objects raise; it may come through."""


def raising(*_, **__):
    raise HostileError


METHODS = ["__array__", "__len__", "__index__", "__float__", "__iter__", "__getitem__", "__eq__", "__bool__", "__int__"]
METHODS += ["__repr__", "__getattr__", "__call__", "__next__", "__complex__", "__str__", "__lt__", "__format__"]
ANSWERS = [None, "text", b"bytes", -1, 2**70, HUGE, 2.5, math.nan, [1.0, 2.0], (), object, [[1.0], [1.0, 2.0]]]


class Choices:
    """Choices made by the bytes; the first of each, once they are used up."""

    def __init__(self, data):
        self.provider = atheris.FuzzedDataProvider(data)

    def between(self, low, high):
        return self.provider.ConsumeIntInRange(low, high)

    def pick(self, values):
        return values[self.between(0, len(values) - 1)]

    def one_in(self, n):
        return self.between(0, n - 1) == n - 1

    def text(self):
        return self.provider.ConsumeUnicode(self.between(0, 20))

    def generator(self):
        return np.random.default_rng(self.between(0, 2**32 - 1))


def hostile(choices):
    """An object whose special methods raise or give what they should not."""
    methods = {}
    for _ in range(choices.between(1, 4)):
        name = choices.pick(METHODS)
        answer = choices.pick(ANSWERS if name != "__index__" else [3, -1, "text", 2.5, None])  # epochs take their time
        methods[name] = raising if choices.one_in(2) else lambda self, *_, answer=answer, **__: answer
    if "__iter__" not in methods and "__getitem__" in methods:  # without an end, else
        methods["__getitem__"] = raising
    methods.setdefault("__repr__", lambda self: "Hostile()")
    kind = type("Hostile", (), {**methods, "__hash__": object.__hash__})
    return Argument(kind, UNSURE)


def odd(choices):
    """Something that is no number, name, flag or array of numbers."""
    value = choices.pick(
        [
            *[object, "net", "", b"bytes", 1j, {"a": 1}, {1, 2}, ..., NotImplemented, range, backprop.SGD, print, "12"],
            *[
                np.array(["a"]),
                np.void(b"1234"),
                np.datetime64(5, "s"),
                np.timedelta64(5, "s"),
                np.str_("x"),
                "x" * 5000,
            ],
            *["\ud800", np.complex128(1j), [object], (1, "a"), np.array([object]), np.array([1 + 1j])],
        ]
    )
    return Argument(lambda: value, WRONG)


def wrong(choices, *values):
    """One of these, or something odd, or something hostile."""
    if choices.one_in(3):
        return hostile(choices) if choices.one_in(2) else odd(choices)
    value = choices.pick(values)
    return Argument(lambda: value, WRONG)


def right(value):
    return Argument(lambda: value, RIGHT)


def or_none(argument):
    """The argument where None is allowed, too."""
    with np.errstate(all="ignore"):  # casts, as in a call
        return right(None) if argument.verdict == WRONG and argument.make() is None else argument


def integers(choices, low, usual):
    """An integer from low up."""
    if choices.one_in(12):
        values = [low - 1, -3, -HUGE, low + 0.5, 1.0, True, np.True_, "3", None, math.nan, [1], np.array([1]), -(2**64)]
        return wrong(choices, *values)
    value = choices.pick(usual)
    if choices.one_in(4) and value is not None and abs(value) < 100:
        value = choices.pick([np.int8, np.uint64, np.int32, np.int64])(value)
    return right(value)


def flags(choices):
    if choices.one_in(16):
        return wrong(choices, 0, 1, None, "no", [], np.array(True), np.array([True]), 0.0, HUGE, -HUGE)
    return right(choices.pick([True, False, np.True_, np.False_]))


def shuffles(choices):
    """How the rows are visited."""
    if choices.one_in(16):
        return wrong(choices, 0, 1, None, "block", 512, backprop.BlockShuffle, (2, 3), HUGE, -HUGE)
    if choices.one_in(2):
        return right(choices.pick([True, False, np.True_, np.False_]))
    given = {name: integers(choices, 1, [1, 2, 3, 10**30]) for name in ("rows", "window")}
    made, _ = call(backprop.BlockShuffle, given)
    return right(True if made is None else made)


def names(choices, known, unknown=()):
    """A name."""
    if choices.one_in(10):
        unknown = [
            "sigmoid",
            "mse",
            "linear",
            "Tanh",
            "softmax ",
            "",
            None,
            1,
            HUGE,
            -HUGE,
            b"tanh",
            ["tanh"],
            *unknown,
        ]
        if choices.one_in(2):
            text = choices.text()
            return Argument(lambda: text, WRONG if text not in known else RIGHT)
        return wrong(choices, *unknown)
    name = choices.pick(known)
    return right(choices.pick([name, name, np.str_(name), "".join(list(name))]))


def numbers(choices, low, low_counts, high):
    """A real number in an interval."""
    if choices.one_in(10):
        values = [
            -0.1,
            math.nan,
            math.inf,
            -math.inf,
            -5e-324,
            HUGE,
            -HUGE,
            True,
            "0.1",
            None,
            [0.1],
            1j,
            np.array(0.1),
        ]
        values += [
            np.array([0.1]),
            fractions.Fraction(-HUGE, HUGE // 10 + 1),
            np.longdouble("1e4000"),
            decimal.Decimal("sNaN"),
            np.float32("inf"),
        ]
        values += [
            decimal.Decimal("1e400"),
            np.longdouble("nan"),
            np.void(b"1234"),
            np.timedelta64(5, "s"),
            b"0.1",
            bytearray(b"1"),
        ]
        values += [fractions.Fraction(HUGE, 3)] + ([] if low_counts else [0, 0.0, -0.0, np.float16(0.0)])
        return wrong(choices, *values, *([high, np.float32(high), int(high)] if high < math.inf else []))
    if high == 1.0:
        value = choices.pick([0.9, 0.5, 0.0, 0.999, 5e-324, 0.9999999999999999, 1e-300, 0.25])
    else:
        value = choices.pick([0.01, 0.1, 1e-3, 1.0, 5e-324, 1e300, 1e-308, 1e3, 1.7976931348623157e308])
    if value == 0.0 and not low_counts:
        value = 0.5
    convert = choices.pick([float, float, float, np.float64, np.longdouble, fractions.Fraction, decimal.Decimal])
    return right(convert(value))


def optimizers(choices):
    """None, or an optimizer; its own arguments may be wrong, and then it is none."""
    if choices.one_in(12):
        return wrong(choices, "adam", backprop.Adam, 0.1, 0, False, HUGE, ["sgd"])
    kind = choices.pick([*typing.get_args(Optimizer), None])
    if kind is None:
        return right(None)
    if kind is backprop.Rprop:
        given = {"variant": names(choices, ["irprop-", "rprop+"])}
        if choices.one_in(3):
            given["first_step"] = numbers(choices, 0.0, False, math.inf)
            if given["first_step"].verdict == RIGHT:
                given["first_step"] = Argument(given["first_step"].make, UNSURE)  # it may lie beyond the bounds
        made, _ = call(kind, given | penalties(choices))
        return right(made if isinstance(made, kind) else None)
    if kind is backprop.LBFGS:
        given = {"memory": integers(choices, 1, [1, 2, 10]), "max_evaluations": integers(choices, 1, [1, 3, 20])}
        given |= {name: numbers(choices, 0.0, True, math.inf) for name in ("tolerance", "l2")}
        made, _ = call(kind, given)
        return right(made if isinstance(made, kind) else None)
    if kind is backprop.LevenbergMarquardt:
        given = {
            "mu_decrease": numbers(choices, 0.0, False, 1.0),
            "min_gradient": numbers(choices, 0.0, True, math.inf),
        }
        if choices.one_in(3):
            given["mu"] = Argument(numbers(choices, 0.0, False, math.inf).make, UNSURE)  # it may lie beyond the bounds
        made, _ = call(kind, given)
        return right(made if isinstance(made, kind) else None)
    rate = schedules(choices) if choices.one_in(3) else numbers(choices, 0.0, False, math.inf)
    if kind is backprop.SGD:
        given = {"learning_rate": rate, "momentum": right(0.0), "nesterov": right(False)}
        if choices.one_in(2):
            given["momentum"] = numbers(choices, 0.0, True, 1.0)
            given["nesterov"] = flags(choices)
            both_right = given["momentum"].verdict == given["nesterov"].verdict == RIGHT
            if both_right and given["nesterov"].make() and not given["momentum"].make():
                given["nesterov"] = Argument(given["nesterov"].make, WRONG)
    else:
        given = {"learning_rate": rate, "epsilon": numbers(choices, 0.0, False, math.inf)}
        shares = ("rho", "momentum") if kind is backprop.RMSprop else ("beta_1", "beta_2")
        given |= {name: numbers(choices, 0.0, True, 1.0) for name in shares}
        if kind is backprop.AdamW:
            given["weight_decay"] = numbers(choices, 0.0, True, math.inf)
    made, _ = call(kind, given | penalties(choices))
    return right(made if isinstance(made, kind) else None)


def penalties(choices):
    """Penalties and a bound of the gradient's norm, or none of them."""
    given = {name: numbers(choices, 0.0, True, math.inf) for name in ("l1", "l2") if choices.one_in(4)}
    if choices.one_in(4):
        given["clip_norm"] = or_none(numbers(choices, 0.0, False, math.inf))
    return given


def schedules(choices):
    """A learning rate for each epoch; its own arguments may be wrong, and then there is none."""
    kind = choices.pick([*typing.get_args(Schedule)])
    given = {"initial": numbers(choices, 0.0, False, math.inf)}
    counts = {backprop.StepDecay: "every", backprop.CosineDecay: "epochs", backprop.ReduceOnPlateau: "patience"}
    if kind in counts:
        given[counts[kind]] = integers(choices, 1, [1, 2, 5])
    if kind is backprop.InverseScaling:
        given |= {name: numbers(choices, 0.0, False, math.inf) for name in ("power", "scale")}
    elif kind is not backprop.CosineDecay:
        given["factor"] = numbers(choices, 0.0, False, 1.0)
        if kind is not backprop.ReduceOnPlateau and given["factor"].verdict == WRONG:
            given["factor"] = Argument(given["factor"].make, UNSURE)  # it may be 1.0
    if kind is backprop.ReduceOnPlateau:
        given["min_improvement"] = numbers(choices, 0.0, True, math.inf)
    made, _ = call(kind, given)
    return right(made) if isinstance(made, kind) else Argument(lambda: None, WRONG)


def stoppings(choices):
    """None, or what to watch."""
    if choices.one_in(16):
        return wrong(choices, "stop", True, 5, backprop.EarlyStopping)
    if choices.one_in(2):
        return right(None)
    given = {"patience": or_none(integers(choices, 1, [None, 1, 2])), "restore_best": flags(choices)}
    given["min_improvement"] = numbers(choices, 0.0, True, math.inf)
    made, _ = call(backprop.EarlyStopping, given)
    return right(made)


def checkpoints(choices):
    """None, or a file that is not there yet."""
    if choices.one_in(16):
        return wrong(choices, "run", True, 5, backprop.Checkpoint)
    if choices.one_in(2):
        return right(None)
    given = {
        "path": right(PATH),
        "every": or_none(integers(choices, 1, [1, 2])),
        "seconds": or_none(numbers(choices, 0.0, False, math.inf)),
    }
    made, _ = call(backprop.Checkpoint, given)

    def fresh():
        with contextlib.suppress(FileNotFoundError):
            os.unlink(PATH)
        return made

    return Argument(fresh, RIGHT)


def dropouts(choices, n_hidden):
    """None, or how many units are dropped."""
    if choices.one_in(16):
        return wrong(choices, 0.5, True, "half", backprop.Dropout, [0.5], backprop.Dropout([0.5] * (n_hidden + 1)))
    if choices.one_in(2):
        return right(None)
    rate = numbers(choices, 0.0, True, 1.0)
    if isinstance(rate.make(), list | np.ndarray):  # one for each layer
        rate = Argument(rate.make, UNSURE)
    made, _ = call(backprop.Dropout, {"rate": rate, "rng": integers(choices, 0, [0, 1, 2**70])})
    if made is None or not isinstance(made.rate, float):
        return right(None)
    return right(backprop.Dropout([made.rate, 0.0, 0.25][:n_hidden], made.rng) if choices.one_in(2) else made)


def layer_sizes(choices):
    """(the argument, the sizes)."""
    sizes = [choices.pick([2, 1, 3, 4, 9]) for _ in range(choices.between(2, 4))]
    if choices.one_in(12):
        values = [
            [],
            [3],
            [3, 0],
            [-1, 2],
            [2.0, 3],
            ["4", "2"],
            "42",
            None,
            7,
            [True, 2],
            [math.nan, 2],
            [2, HUGE],
            {},
        ]
        values += [[2, -HUGE], np.array([2.0, 3.0]), np.array([[2], [3]]), [2**40, 2**40], [2**62, 1], b"", [[2], [3]]]
        values += [[2, None], [2, [3]], range(3), range(5, 0, -1)[4:], [2, 10**30, 3], np.array(5), [2, hostile]]
        return wrong(choices, *values), sizes
    form = choices.pick([list, tuple, np.array, iter, lambda s: [np.int8(n) for n in s], lambda s: np.array(s, ">i8")])
    return Argument(lambda: form(sizes), RIGHT), sizes


def hidden_activations(choices, n):
    if choices.one_in(2):
        one = names(choices, HIDDEN, ["softmax"])
        if not isinstance(one.make(), str):
            one = Argument(one.make, UNSURE)  # without hidden layers, an empty list of names is one
        return one
    if choices.one_in(10):
        values = [
            ["tanh"] * (n + 1),
            ["tanh"] * n + ["softmax"],
            [np.array([1, 2])] * (n + 1),
            None,
            5,
            HUGE,
            ("relu", 3) * 9,
        ]
        return wrong(choices, *values, {"tanh"}, b"")
    given = [names(choices, HIDDEN, ["softmax"]) for _ in range(n)]
    form = choices.pick([list, tuple, iter])
    verdict = max((one.verdict for one in given), key=[RIGHT, UNSURE, WRONG].index, default=RIGHT)
    return Argument(lambda: form([one.make() for one in given]), verdict)


def streams(choices):
    seed = choices.pick([0, 1, 2**32, 2**64 + 1, 2**200])
    if choices.one_in(10):
        values = [
            -1,
            -HUGE,
            0.5,
            "seed",
            True,
            np.random.RandomState(0),
            np.random.MT19937(0),
            np.random.PCG64,
            math.nan,
        ]
        values += [np.random.Generator(np.random.MT19937(0)), [1, 2], np.array([1, 2]), int]
        return wrong(choices, *values)
    kind = choices.pick([np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64])
    makers = [lambda: seed, lambda: kind(seed), lambda: np.random.Generator(kind(seed))]
    makers += [lambda: np.random.SeedSequence(seed), lambda: np.uint64(seed % 2**64)]
    return Argument(choices.pick(makers), RIGHT)


SCALES = [1.0, 0.0, 5e-324, 1e-310, 1e-160, 1e-8, 30.0, 800.0, 1e9, 1e150, 1e300]
SPECIAL = [0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1.0, -1.0, 1.7976931348623157e308, -745.2, 709.9]


class Sparse:
    def toarray(self):
        return np.ones((2, 2))

    def __repr__(self):
        return "Sparse()"


class Holder:
    """Has nothing but __array__."""

    def __init__(self, value):
        self.value = value

    def __array__(self, dtype=None, copy=None):
        return self.value

    def __repr__(self):
        return "Holder()"


def matrix(choices, shape, low=-math.inf, high=math.inf):
    """Finite float64 numbers in [low, high]."""
    values = choices.generator().uniform(-1.0, 1.0, shape) * choices.pick(SCALES)
    for _ in range(choices.between(0, 3)):
        if values.size:
            values.flat[choices.between(0, values.size - 1)] = choices.pick(SPECIAL)
    return np.clip(values, low, high) if low > -math.inf or high < math.inf else values


def unaligned(values):
    raw = np.empty(values.nbytes + 1, np.uint8)
    raw[1:] = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    return raw[1:].view(values.dtype).reshape(values.shape)


def frozen(values):
    values.setflags(write=False)
    return values


EXACT = [
    lambda v: v,
    lambda v: v.tolist(),
    np.asfortranarray,
    lambda v: frozen(v.copy()),
    lambda v: np.repeat(v, 2, axis=0)[::2],
    lambda v: v[::-1].copy()[::-1],
    lambda v: v.astype(">f8"),
    lambda v: v.astype(np.longdouble),
    lambda v: v.astype(object),
    lambda v: tuple(v.tolist()),
    lambda v: Holder(v),
    unaligned,
    lambda v: np.array([decimal.Decimal(x) for x in v.ravel()], object).reshape(v.shape),
    lambda v: np.array([fractions.Fraction(x) if abs(x) < math.inf else x for x in v.ravel()], object).reshape(v.shape),
    lambda v: v.astype(np.longdouble).astype(object),
    lambda v: v.view(np.recarray),
]
ROUNDING = [lambda v: np.clip(v, -1e38, 1e38).astype(np.float32), lambda v: np.clip(v, -6e4, 6e4).astype(np.float16)]
ROUNDING += [
    lambda v: np.clip(v, -100, 100).astype(np.int8),
    lambda v: np.clip(v, 0, 1e15).astype(np.uint64),
    lambda v: v > 0,
]
NESTED = [1.0]
for _ in range(70):
    NESTED = [NESTED]


def broken(choices, values):
    """What is no array of finite numbers of this shape."""
    values = values.copy()
    whole = [
        lambda v: None,
        lambda v: v.astype(complex),
        lambda v: v.astype("S8"),
        lambda v: v.astype(str),
        lambda v: NESTED,
    ]
    whole += [
        lambda v: v[:0],
        lambda v: v[None, None],
        lambda v: 1.0,
        lambda v: [],
        lambda v: [[1.0], [1.0, 2.0]],
        lambda v: Sparse(),
    ]
    whole += [
        lambda v: np.ma.masked_array(v),
        lambda v: v.view("V8"),
        lambda v: v.view("M8[s]"),
        lambda v: v.view("m8[s]"),
    ]
    whole += [lambda v: [["1"] * 2] * len(v), lambda v: np.full(v.shape, HUGE, object), lambda v: np.zeros((len(v), 0))]
    whole += [lambda v: [[memoryview(b"12")] * 2] * len(v), lambda v: Holder("abc"), lambda v: Holder(v.tolist())]
    whole += [lambda v: v.astype([("a", "f8")]), lambda v: "12"]
    whole += [
        lambda v: np.full(v.shape, "1", object),
        lambda v: np.full(v.shape, None),
        lambda v: [v, v],
        lambda v: HUGE,
    ]
    if choices.one_in(2) and values.size:
        bad = choices.pick([math.nan, math.inf, -math.inf])
        values.flat[choices.between(0, values.size - 1)] = bad
        form = choices.pick([*EXACT, lambda v: v.astype(np.float32), lambda v: v.astype(np.float16), signalling])
        return Argument(lambda: form(values), WRONG)
    form = choices.pick(whole)
    return Argument(lambda: form(values), WRONG)


def signalling(values):
    """float32, with every NaN or infinity a signalling NaN."""
    bits = np.clip(values, -1e30, 1e30).astype(np.float32).view(np.uint32)
    bits[~np.isfinite(values)] = 0x7FA00000
    return bits.view(np.float32)


def inputs(choices, n, n_in):
    values = matrix(choices, (n, n_in))
    if choices.one_in(12):
        other = [values[:, 1:], values[0], [[]], HUGE, np.broadcast_to(1.0, (2**33, n_in))]
        return broken(choices, values) if choices.one_in(2) else wrong(choices, *other)
    form = choices.pick(EXACT if choices.one_in(2) else [EXACT[0], *ROUNDING])
    return Argument(lambda: form(values), RIGHT)


def layer_arrays(choices, arrays):
    """The weights, or the biases, of every layer."""
    if choices.one_in(12):
        return wrong(
            choices, [], None, 1.0, arrays[1:], [*arrays, arrays[0]], 5, "ab", HUGE, [None] * len(arrays), {}, iter([])
        )
    forms = [choices.pick(EXACT) for _ in arrays]
    parts = [Argument(lambda a=a, form=form: form(a), RIGHT) for a, form in zip(arrays, forms, strict=True)]
    if choices.one_in(8):
        parts[choices.between(0, len(parts) - 1)] = (
            broken(choices, arrays[0]) if choices.one_in(2) else hostile(choices)
        )
    verdict = max((part.verdict for part in parts), key=[RIGHT, UNSURE, WRONG].index)
    form = choices.pick([list, tuple])
    return Argument(lambda: form([part.make() for part in parts]), verdict)


def targets(choices, n, n_out, loss):
    """Targets for a loss (a name); the loss that is asked for may be another."""
    if loss == "cross_entropy":
        if choices.one_in(2):
            labels = choices.generator().integers(0, n_out, n)
            if choices.one_in(10):
                labels[choices.between(0, n - 1)] = choices.pick([-1, n_out, 2**62])
                form = choices.pick(
                    [np.asarray, lambda v: v.tolist(), lambda v: v.astype(float), lambda v: v.astype(object)]
                )
                return Argument(lambda: form(labels), WRONG)
            dtype = choices.pick([np.int64, np.int8, np.uint64, np.float64, np.float16, ">i4", object, np.longdouble])
            return Argument(lambda: labels.astype(dtype), RIGHT)
        rows = np.abs(matrix(choices, (n, n_out), 0.0, 1e9)) + 1e-9
        values = rows / rows.sum(axis=1, keepdims=True)
        forms = EXACT
    else:
        values = matrix(choices, (n, n_out), *((0.0, 1.0) if loss == "binary_cross_entropy" else ()))
        if loss == "poisson":
            values = np.abs(values)
        if n_out == 1 and choices.one_in(2):
            values = values[:, 0]
        forms = EXACT
    if choices.one_in(12):
        return broken(choices, values)
    if choices.one_in(12):
        other = [
            values[1:],
            np.concatenate([values, values]),
            np.reshape(values, (1, *np.shape(values), 1)),
        ]
        if loss == "binary_cross_entropy":
            other += [values + 1.1, values - 1.1]
        if loss == "cross_entropy":
            other += [values * 0.9, values - 1.0, np.eye(n, n_out) * 2.0]
        return wrong(choices, *other)
    form = choices.pick(forms)
    return Argument(lambda: form(values), RIGHT)


def sample_weights(choices, n):
    """None, or what each row counts."""
    if choices.one_in(2):
        return right(None)
    values = np.abs(matrix(choices, (n,)))
    if choices.one_in(12):
        other = [values[1:], np.concatenate([values, values]), values[:, None], values - 1e308, np.zeros(n), HUGE]
        return or_none(broken(choices, values) if choices.one_in(2) else wrong(choices, *other, np.full(n, 1.1e300)))
    form = choices.pick(EXACT)
    # The sum may be 0.0 or too large.
    return Argument(lambda: form(values), RIGHT if np.any(values > 0.0) and values.max() < 1e299 else UNSURE)


# Calls and their outcomes.

host = {"errors": "warn"}  # what NumPy does about overflow and so on, by the host's will


def bits(value):
    """Every bit of a result."""
    if isinstance(value, Optimizer | Schedule):
        return repr(value)
    if isinstance(value, backprop.Training):
        state = value._state
        arrays = [value.losses, value.validation_losses, state.slots, state.scalars]
        return [bits(value.network), value.stopped, value.best_epoch, bits(arrays)]
    if isinstance(value, backprop.EarlyStopping | backprop.Checkpoint | backprop.Dropout | backprop.BlockShuffle):
        return repr(value)
    if isinstance(value, backprop.Network):
        return [value.sizes, value.activations, bits(value.parameters)]
    if isinstance(value, tuple | list):
        return [bits(part) for part in value]
    value = np.asarray(value)
    if not np.isfinite(value).all():
        raise FindingError(f"a result that is not finite: {value!r}")
    return [value.dtype.str, value.shape, value.tobytes()]


def snapshot(value):
    """What must not change of an argument."""
    if isinstance(value, Holder):
        value = value.value
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiubc" and value.size < 10**6:
        return value.dtype.str, value.shape, value.strides, value.flags.writeable, value.tobytes()
    if isinstance(value, np.random.Generator):
        value = value.bit_generator
    return repr(value.state) if isinstance(value, np.random.BitGenerator) else None


def outcome(function, given):
    """(the result, None) or (None, the error); the arguments stay as they were, a generator only after an error."""
    with np.errstate(all="ignore"):  # casts that the caller makes
        values = {name: argument.make() for name, argument in given.items()}
    before = {name: snapshot(value) for name, value in values.items()}
    try:
        with np.errstate(all=host["errors"]):
            result, error = function(**values), None
    except Exception as raised:
        result, error = None, raised
    after = {name: snapshot(value) for name, value in values.items()}
    for name in values:
        if before[name] != after[name] and (name != "rng" or error is not None):
            raise FindingError(f"{name} has changed") from error
    return result, error, after.get("rng")


NOT_FINITE = (backprop.DivergenceError, OverflowError)


def judge(function, given, result, error):
    """Whether such an outcome may be."""
    not_right = {name for name, argument in given.items() if argument.verdict != RIGHT}
    is_wrong = [name for name, argument in given.items() if argument.verdict == WRONG]
    if error is None:
        if is_wrong:
            raise FindingError(
                f"{function.__name__} gives a result, though {is_wrong} are wrong: {given_values(given)}"
            )
        bits(result)
        return
    if isinstance(error, HostileError) and not_right:
        return
    says_where = re.search(r"diverged|of row \d+ is not finite|not finite at parameter \d+", str(error))
    if type(error) in NOT_FINITE and not is_wrong and says_where:
        return
    if type(error) in (TypeError, ValueError):
        if len(str(error)) > 3000:
            raise FindingError(f"{function.__name__}: an error of {len(str(error))} characters") from error
        if any(re.search(rf"\b{name}\b", str(error)) for name in not_right):
            return
    raise FindingError(f"{function.__name__} with {sorted(not_right)} not right: {given_values(given)}") from error


def given_values(given):
    shown = {}
    for name, argument in given.items():
        try:
            shown[name] = (argument.verdict, repr(argument.make())[:300])
        except Exception as error:
            shown[name] = (argument.verdict, f"no repr: {type(error).__name__}")
    return shown


def call(function, given, twin=None):
    """The results of a call and of its twin in the reference, each or None, after all checks."""
    result, error, stream = outcome(function, given)
    judge(function, given, result, error)
    if twin is None or isinstance(error, HostileError) or given.get("n_threads", right(None)).verdict != RIGHT:
        return result, None
    given = {name: argument for name, argument in given.items() if name != "n_threads"}
    other_result, other_error, other_stream = outcome(twin, given)
    if (type(error), str(error)) != (type(other_error), str(other_error)):
        raise FindingError(f"kernel and reference: {error!r}, {other_error!r}, {given_values(given)}") from error
    if isinstance(error, backprop.DivergenceError) and error.epoch != other_error.epoch:
        raise FindingError("kernel and reference diverge in other epochs")
    if error is None and (bits(result), stream) != (bits(other_result), other_stream):
        raise FindingError(f"kernel and reference give other bits: {given_values(given)}")
    return result, other_result


def callbacks(choices):
    def ask(state):
        if not math.isfinite(state.loss) or state.network is None:
            raise FindingError("a callback sees what is not finite")

    if choices.one_in(16):
        bad = wrong(choices, "print", True, 5, HUGE)
        return right(None) if callable(bad.make()) else bad
    stop = choices.pick([None, True, 1, "True", np.True_, np.array([True, False])])
    return right(choices.pick([None, ask, lambda state: stop]))


def one_input(data):
    choices = Choices(data)
    small = choices.one_in(3)  # threads for the smallest work
    host["errors"] = choices.pick(["warn", "raise", "ignore"])
    share_small_work(small)
    sizes_argument, sizes = layer_sizes(choices)
    output = names(choices, OUTPUTS, [["relu"]])
    given = {"sizes": sizes_argument, "activation": hidden_activations(choices, len(sizes) - 2)}
    if sizes_argument.verdict != RIGHT and given["activation"].verdict == RIGHT:  # the number of layers is another
        given["activation"] = Argument(given["activation"].make, UNSURE)
    given |= {"output_activation": output, "initializer": names(choices, INITIALIZERS)}
    made, _ = call(backprop.Network, {**given, "rng": streams(choices)})
    if made is None or list(made.sizes) != sizes:
        made = backprop.Network(sizes, "tanh", choices.pick(OUTPUTS))
    flat = matrix(choices, (made.n_parameters,)) if choices.one_in(2) else made.parameters
    flat = broken(choices, flat) if choices.one_in(16) else right(flat)
    made = call(made.with_parameters, {"flat": flat})[0] or made
    network = wrong(choices, "net", backprop.Network, HUGE) if choices.one_in(24) else right(made)
    output = made.activations[-1]
    fitting = [
        loss for loss, needs in _kernel.LOSSES.items() if needs in (output, "" if output != "softmax" else output)
    ]
    name = choices.pick(fitting)
    usual = name == ("cross_entropy" if output == "softmax" else "squared_error")
    loss = names(choices, [name]) if not usual or choices.one_in(2) else right(None)
    if loss.verdict != RIGHT and loss.make() is None:
        loss = Argument(loss.make, RIGHT if usual else UNSURE)
    if choices.one_in(24):
        others = [other for other in _kernel.LOSSES if other not in fitting]
        loss = Argument(lambda: others[0], WRONG)

    def data_arguments():
        n = choices.between(1, 6)
        X, y = inputs(choices, n, sizes[0]), targets(choices, n, sizes[-1], name)
        if X.verdict != RIGHT and y.verdict == RIGHT:
            y = Argument(y.make, UNSURE)  # an X of other length
        if loss.verdict != RIGHT:
            y = Argument(y.make, UNSURE)  # wrong for one loss, right for another
        c = sample_weights(choices, n)
        if RIGHT != X.verdict and c.verdict == RIGHT:
            c = Argument(c.make, UNSURE)
        return {"X": X, "y": y, "sample_weight": c}

    def run_arguments():
        given = {"epochs": integers(choices, 1, [1, 2]), "callback": callbacks(choices)}
        given["progress"] = wrong(choices, 0, None, "no") if choices.one_in(24) else right(False)
        return given

    action = choices.pick(["train", "train", "predict", "loss", "loss_and_gradient", "from_arrays"])
    threads = or_none(integers(choices, 1, [1, None, 2, 3, 10**400]))
    if action == "train":
        given = {"network": network, **data_arguments(), "loss": loss, "optimizer": optimizers(choices)}
        given |= {**run_arguments(), "batch_size": or_none(integers(choices, 1, [None, 1, 2, 3, 5, 10**30]))}
        if isinstance(given["optimizer"].make(), FULL_BATCH):
            given["batch_size"] = right(None)
        if isinstance(given["optimizer"].make(), backprop.LevenbergMarquardt):
            if made.n_parameters > 60:  # for which the definition takes too long
                given["optimizer"] = right(None)
            elif name != "squared_error":
                given["loss"] = Argument(loss.make, WRONG)
        given |= {"shuffle": shuffles(choices), "train_biases": flags(choices), "rng": streams(choices)}
        given["stopping"], given["checkpoint"] = stoppings(choices), checkpoints(choices)
        given["dropout"] = dropouts(choices, len(made.sizes) - 2)
        if isinstance(given["optimizer"].make(), backprop.optimizers.METHODS) and given["dropout"].make() is not None:
            given["dropout"] = Argument(given["dropout"].make, WRONG)
        run, twin = call(backprop.fast_train, {**given, "n_threads": threads}, reference.train)
        if twin is None:
            return
        given = {**data_arguments(), **run_arguments(), "checkpoint": checkpoints(choices)}
        call(run.resume, {**given, "n_threads": threads}, twin.resume)
    elif action == "predict":
        X = {"X": data_arguments()["X"]}
        call(made.predict, {**X, "n_threads": threads}, lambda **given: reference.predict(made, **given))
    elif action == "loss":
        given = {**data_arguments(), "loss": loss, "n_threads": threads}
        call(made.loss, given, lambda **given: reference.loss(made, **given))
    elif action == "from_arrays":
        given = {"weights": layer_arrays(choices, made.weights), "biases": layer_arrays(choices, made.biases)}
        for one, other in (("weights", "biases"), ("biases", "weights")):  # whose shapes must fit
            if given[one].verdict != RIGHT and given[other].verdict == RIGHT:
                given[other] = Argument(given[other].make, UNSURE)
        fits = RIGHT if given["weights"].verdict == RIGHT else UNSURE  # the number of layers may be another
        given["activation"] = Argument(lambda: list(made.activations[:-1]), fits)
        again, _ = call(backprop.Network.from_arrays, {**given, "output_activation": right(output)})
        if (
            again is not None
            and given["weights"].verdict == given["biases"].verdict == RIGHT
            and (again.parameters != made.parameters).any()
        ):
            raise FindingError("from_arrays makes another network")
    else:
        given = {"network": network, **data_arguments(), "loss": loss}
        call(backprop.loss_and_gradient, given, reference.loss_and_gradient)


def seeds(seed):
    generator = random.Random(seed)
    for _ in range(200):
        yield generator.randbytes(generator.choice([50, 200, 600]))


if __name__ == "__main__":
    main(__file__, one_input, seeds, max_len=1000)
