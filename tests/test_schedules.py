"""Learning-rate schedules: their rates by hand, both engines to the bit, and runs that are resumed."""

import copy
import dataclasses
import decimal
import inspect
import itertools
import math
import pathlib
import pickle

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from problems import bits, run_bits, some_problem
from small_work import small_work_shared
from test_contract_source import offences

import backprop
from backprop import CosineDecay, ExponentialDecay, InverseScaling, ReduceOnPlateau, StepDecay, _kernel, reference
from backprop import schedules as module
from backprop.definition import elementary
from backprop.optimizers import plan_of

KINDS = (StepDecay, ExponentialDecay, InverseScaling, CosineDecay, ReduceOnPlateau)
SCHEDULES = [
    StepDecay(0.1, 3, 0.25),
    ExponentialDecay(0.1, 0.7),
    InverseScaling(0.1),
    InverseScaling(0.1, 0.75, 3.0),
    CosineDecay(0.1, 6),
    CosineDecay(0.1, 50, 0.01),
    ReduceOnPlateau(0.1, 0.25, 1),
    ReduceOnPlateau(0.1, 0.5, 2, 1e-3, 1e-3),
]
OPTIMIZERS = [
    lambda rate: backprop.SGD(rate),
    lambda rate: backprop.SGD(rate, 0.5),
    lambda rate: backprop.SGD(rate, 0.5, nesterov=True),
    lambda rate: backprop.Adam(rate),
    lambda rate: backprop.AdamW(rate, weight_decay=0.5),
    lambda rate: backprop.RMSprop(rate),
    lambda rate: backprop.RMSprop(rate, momentum=0.5),
]
# Watches, but neither stops nor restores.
WATCH = backprop.EarlyStopping(validation_fraction=0.4, patience=None, restore_best=False)


def rates(schedule, n, losses=(), functions=(_kernel.exp, _kernel.log)):
    """The rates of the first n epochs, with these losses."""
    of_run = module.Rates(schedule, [], *functions)
    found = []
    for epoch in range(n):
        found.append(of_run.of(epoch))
        if losses:
            of_run.see(losses[epoch])
    return found


def test_by_hand():
    assert rates(StepDecay(0.5, 2, 0.25), 6) == [0.5, 0.5, 0.125, 0.125, 0.03125, 0.03125]
    # exp(3*log(0.5)) is 0.12500000000000003: a power is exp of a multiple of log, which is rounded.
    assert rates(ExponentialDecay(0.5, 0.5), 4) == [0.5, 0.25, 0.125, 0.06250000000000001]
    assert rates(ExponentialDecay(0.3, 1.0), 3) == [0.3] * 3
    assert rates(InverseScaling(0.5, 1.0, 1.0), 4) == [0.5, 0.25, 0.16666666666666663, 0.125]
    assert rates(InverseScaling(0.6, 0.5, 3.0), 2) == [0.6, 0.3]
    assert rates(CosineDecay(0.8, 6), 8) == [
        0.8,
        0.8 * (0.5 * (1.0 + 0.8660254037844386)),  # sqrt(3)/2
        0.6000000000000001,
        0.4,
        0.2,
        0.8 * (0.5 * (1.0 - 0.8660254037844386)),
        0.0,
        0.0,
    ]
    assert rates(CosineDecay(0.8, 2, 0.2), 4) == [0.8, 0.5, 0.2, 0.2]
    assert rates(CosineDecay(0.8, 1, 0.2), 2) == [0.8, 0.2]


def test_plateau_by_hand():
    losses = [4.0, 3.0, 3.0, 2.5, 2.6, 2.6, 2.7, 2.0, 2.0, 2.0, 2.0, 1.0]
    plateau = ReduceOnPlateau(1.0, 0.5, patience=2)
    #        improves 4, 3; 3 waits, 2.5 improves; 2.6, 2.6: reduced; 2.7 waits, 2 improves; 2, 2: reduced; 2 waits
    assert rates(plateau, 12, losses) == [1.0] * 6 + [0.5] * 4 + [0.25] * 2
    # Lower by less than 0.75 is no improvement, but counts as the lowest.
    enough = ReduceOnPlateau(1.0, 0.5, patience=2, min_improvement=0.75)
    assert rates(enough, 8, [4.0, 3.0, 2.5, 2.0, 1.5, 1.0, 0.5, 0.5]) == [1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.25, 0.25]
    assert rates(ReduceOnPlateau(1.0, 0.5, 1, min_rate=0.3), 5, [1.0] * 5) == [1.0, 1.0, 0.5, 0.3, 0.3]


def test_rates_stay_finite():
    """At the ends of all ranges: a rate may come to 0.0, but is never negative, infinite or NaN."""
    big, tiny = float(np.finfo(float).max), 5e-324
    ends = [
        StepDecay(big, 1, tiny),
        StepDecay(tiny, 2**80, 1.0),
        ExponentialDecay(big, tiny),
        ExponentialDecay(big, 1.0),
    ]
    ends += [InverseScaling(*values) for values in itertools.product((tiny, 1.0, big), repeat=3)]
    ends += [CosineDecay(big, 7, big), CosineDecay(big, 7), CosineDecay(tiny, 7, tiny), CosineDecay(1.0, 10**40)]
    ends += [ReduceOnPlateau(big, tiny, 1), ReduceOnPlateau(tiny, tiny, 1, big, tiny)]
    for schedule in ends:
        found = rates(schedule, 9, [1.0] * 9)
        assert found[0] == schedule.initial
        assert all(math.isfinite(rate) and rate >= 0.0 for rate in found)
        assert all(later <= math.nextafter(earlier, math.inf) for earlier, later in itertools.pairwise(found))


@hypothesis.given(
    st.integers(0, 10_000), st.floats(5e-324, 1.0), st.floats(1e-9, 1e9), st.integers(1, 10_000), st.floats(1e-6, 1e3)
)
def test_both_engines_have_the_same_rates(epoch, factor, number, whole, initial):
    """exp and log are the kernel's or the reference's; the rest is shared."""
    all_of_them = [StepDecay(initial, whole, factor), ExponentialDecay(initial, factor)]
    all_of_them += [InverseScaling(initial, number, 1.0 / number), CosineDecay(initial, whole, 0.5 * initial)]
    for schedule in all_of_them:
        found = [
            module.Rates(schedule, [], *functions).of(epoch)
            for functions in ((_kernel.exp, _kernel.log), (elementary.exp, elementary.log))
        ]
        assert bits(found[0]) == bits(found[1])


@pytest.mark.parametrize("whole", [1, 2, 3, 4, 5, 6, 7, 12, 97, 1000, 10**6 + 3])
def test_cosine(whole):
    """Against math.cos, which may be some last places off near 0; symmetric to the bit; exact where it can be."""
    for part in {*range(min(whole + 1, 120)), whole // 2, whole // 3, whole}:
        value = module.cosine(part, whole)
        assert value == pytest.approx(math.cos(math.pi * part / whole), abs=1e-15)
        assert value == -module.cosine(whole - part, whole)
        assert bits(value) != bits(-0.0)
        for exact, (top, bottom) in {1.0: (0, 1), 0.5: (1, 3), 0.0: (1, 2), -0.5: (2, 3), -1.0: (1, 1)}.items():
            if part * bottom == whole * top:
                assert value == exact


@pytest.mark.parametrize("whole", [1, 3, 4, 8, 97, 1000, 2**31 - 1, 10**18 + 9])
def test_both_ways_of_the_cosine(whole):
    """In integers it is the double that N15 defines in decimals."""
    most = (whole - 1) // 2
    parts = {*range(min(most, 60) + 1), *(most - k for k in range(min(most, 20))), *(most * k // 97 for k in range(97))}
    for part in parts:
        assert bits(module.cosine(part, whole)) == bits(module.cosine_in_decimals(part, whole))


def test_the_cosine_in_doubt_is_that_of_the_decimals(monkeypatch):
    """Where 200 bits do not tell the nearest double, decimals do; no such place is known, so fewer bits make one."""
    asked = []
    monkeypatch.setattr(module, "BITS", 60)
    monkeypatch.setattr(module, "PI_BITS", module.PI_BITS >> 140)
    monkeypatch.setattr(module, "cosine_in_decimals", lambda part, whole: asked.append((part, whole)) or 0.25)
    assert module.cosine(1, 5) == 0.25
    assert asked == [(1, 5)]


def test_the_series_of_the_cosine_is_long_enough():
    """What is left out of it, and its roundings, lie far beyond the digits of a double."""
    with decimal.localcontext(prec=100) as context:
        context.traps[decimal.Inexact] = False
        half_pi = decimal.Decimal("1.5707963267948966192313216916397514420985846996875529")
        assert half_pi**64 / math.factorial(64) < decimal.Decimal("1e-75")


def test_no_operation_that_the_contract_forbids():
    found = offences(pathlib.Path(inspect.getsourcefile(module)).read_text(encoding="utf-8"))
    assert [one for one in found if not any(word in one for word in ("dataclasses", "getattr", "self.power"))] == []


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize("batch_size", [1, 4])
def test_both_engines_agree(engines, make, schedule, batch_size):
    problem = some_problem("logistic", "squared_error", make(schedule), n_samples=5, batch_size=batch_size)
    X, y = problem.pieces[0][:2]
    runs = [engine.train(problem.network, X, y, epochs=5, **problem.settings) for engine in engines]
    assert run_bits(runs[0]) == run_bits(runs[1])
    more = [run.resume(X, y, epochs=3) for run in runs]
    assert run_bits(more[0]) == run_bits(more[1])
    whole = backprop.fast_train(problem.network, X, y, epochs=8, **problem.settings)
    assert run_bits(whole) == run_bits(more[1])


@pytest.mark.parametrize("make", OPTIMIZERS)
@pytest.mark.parametrize("batch_size", [1, 3])
def test_each_epoch_has_its_rate(engine, make, batch_size):
    """An epoch is that of a run which had the number all along, from the same state."""
    schedule = StepDecay(0.25, 1, 0.5)
    problem = some_problem("identity", "squared_error", make(schedule), n_samples=7, batch_size=batch_size)
    X, y = problem.pieces[0][:2]
    settings = problem.settings | {"shuffle": False}
    whole = engine.train(problem.network, X, y, epochs=3, **settings)
    by_hand = None
    for rate in (0.25, 0.125, 0.0625):
        settings["optimizer"] = make(rate)
        if by_hand is None:
            by_hand = engine.train(problem.network, X, y, epochs=1, **settings)
        else:
            constant = by_hand._with(settings=by_hand.settings._replace(optimizer=make(rate)))
            by_hand = constant.resume(X, y, epochs=1)
    assert by_hand.network == whole.network
    assert by_hand.losses.tobytes() == whole.losses.tobytes()
    assert whole.settings.optimizer == make(schedule)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
@pytest.mark.parametrize("stop", [None, WATCH])
@pytest.mark.parametrize(("optimizer", "batch_size"), [(backprop.SGD, 1), (backprop.Adam, 4)])
def test_resumed(engine, schedule, stop, optimizer, batch_size):
    """30 epochs and 20 are 50, in every other cut and through a pickle too."""
    problem = some_problem("identity", "squared_error", optimizer(schedule), n_samples=6, sizes=(3, 2, 1))
    X, y = problem.pieces[0][:2]
    settings = problem.settings | {"batch_size": batch_size, "stopping": stop}
    whole = engine.train(problem.network, X, y, epochs=50, **settings)
    resumed = engine.train(problem.network, X, y, epochs=30, **settings).resume(X, y, epochs=20)
    assert run_bits(resumed) == run_bits(whole)
    if engine.train is not reference.train:
        cut = pickle.loads(pickle.dumps(backprop.fast_train(problem.network, X, y, epochs=17, **settings)))
        for _ in range(33):
            cut = cut.resume(X, y, epochs=1)
        assert run_bits(cut) == run_bits(whole)
        seen = []
        watched = backprop.fast_train(problem.network, X, y, epochs=50, callback=seen.append, **settings)
        assert run_bits(watched) == run_bits(whole)


def test_plateau_looks_at_the_watched_losses(engine):
    """With EarlyStopping they decide, not the training's: here they rise from the start."""
    problem = some_problem("identity", "squared_error", None, n_samples=8, sizes=(3, 2, 1))
    X, y = problem.pieces[0][:2]
    away = 2.0 * problem.network.predict(X) - y
    stop = backprop.EarlyStopping(validation_data=(X, away), patience=None, restore_best=False)
    settings = {"epochs": 9, "batch_size": 4}
    plateau = backprop.SGD(ReduceOnPlateau(0.01, 0.5, 2))
    watched = engine.train(problem.network, X, y, optimizer=plateau, stopping=stop, **settings)
    assert (np.diff(watched.validation_losses) > 0.0).all()
    assert (np.diff(watched.losses) < 0.0).all()
    # The first epoch improves on nothing, then two do not: reduced before epochs 3, 5 and 7.
    late = engine.train(problem.network, X, y, optimizer=backprop.SGD(0.01), epochs=3, batch_size=4)
    for rate in (0.005, 0.0025, 0.00125):
        late = late._with(settings=late.settings._replace(optimizer=backprop.SGD(rate)))
        late = late.resume(X, y, epochs=2)
    assert late.losses.tobytes() == watched.losses.tobytes()
    alone = engine.train(problem.network, X, y, optimizer=plateau, **settings)
    constant = engine.train(problem.network, X, y, optimizer=backprop.SGD(0.01), **settings)
    assert alone.network == constant.network


@pytest.mark.parametrize("n_threads", [2, 3])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_threads(schedule, n_threads):
    problem = some_problem("softmax", "cross_entropy", backprop.AdamW(schedule), n_samples=90, batch_size=40)
    X, y = problem.pieces[0][:2]
    alone = backprop.fast_train(problem.network, X, y, epochs=8, **problem.settings)
    with small_work_shared():
        threaded = backprop.fast_train(problem.network, X, y, epochs=8, n_threads=n_threads, **problem.settings)
    assert run_bits(threaded) == run_bits(alone)


def test_more_epochs_than_are_worked_out_at_once(monkeypatch):
    problem = some_problem("identity", "squared_error", backprop.SGD(ExponentialDecay(0.1, 0.999)), n_samples=3)
    X, y = problem.pieces[0][:2]
    runs = []
    for at_once, batch_size in itertools.product((1024, 7, 1), (1, 2)):
        monkeypatch.setattr(backprop.epochs, "RATES_AT_ONCE", at_once)
        settings = problem.settings | {"batch_size": batch_size}
        runs.append(run_bits(backprop.fast_train(problem.network, X, y, epochs=1500, **settings)))
        monkeypatch.setattr(backprop.epochs, "LOSSES_AT_ONCE", 11)
        assert run_bits(backprop.fast_train(problem.network, X, y, epochs=1500, **settings)) == runs[-1]
        monkeypatch.undo()
    assert runs[0::2] == [runs[0]] * 3
    assert runs[1::2] == [runs[1]] * 3


def test_a_rate_of_zero_moves_nothing(engine):
    problem = some_problem("identity", "squared_error", None, n_samples=4)
    X, y = problem.pieces[0][:2]
    for make in (OPTIMIZERS[0], OPTIMIZERS[3], OPTIMIZERS[4], OPTIMIZERS[5]):
        run = engine.train(problem.network, X, y, optimizer=make(CosineDecay(0.05, 2)), epochs=2)
        assert run.resume(X, y, epochs=3).network == run.network != problem.network


def test_settings_and_looks():
    for make, schedule in itertools.product(OPTIMIZERS, SCHEDULES):
        optimizer, number = make(schedule), make(0.1)
        assert optimizer == make(dataclasses.replace(schedule)) != number
        assert plan_of(optimizer) == plan_of(number)
        assert eval(repr(optimizer), vars(backprop)) == optimizer
        for again in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
            assert (again, hash(again), repr(again)) == (optimizer, hash(optimizer), repr(optimizer))
    schedule = StepDecay(np.float32(0.5), np.int64(3), 1)
    assert [type(value) for value in dataclasses.astuple(schedule)] == [float, int, float]
    with pytest.raises(dataclasses.FrozenInstanceError):
        schedule.initial = 1.0


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: StepDecay(0.0, 1), ValueError, r"initial must be a finite number in \(0, inf\), got 0.0"),
        (lambda: StepDecay("0.1", 1), TypeError, r"initial must be a real number in \(0, inf\), got '0.1'"),
        (lambda: StepDecay(0.1, 0), ValueError, "every must be an integer >= 1, got 0"),
        (lambda: StepDecay(0.1, 2.0), TypeError, "every must be an integer >= 1, got 2.0"),
        (lambda: StepDecay(0.1, 1, 0.0), ValueError, r"factor must be a finite number in \(0, 1\], got 0.0"),
        (lambda: ExponentialDecay(0.1, 1.5), ValueError, r"factor must be a finite number in \(0, 1\], got 1.5"),
        (lambda: InverseScaling(0.1, 0.0), ValueError, r"power must be a finite number in \(0, inf\), got 0.0"),
        (
            lambda: InverseScaling(0.1, 1.0, math.inf),
            ValueError,
            r"scale must .* \(0, inf\), got inf",
        ),
        (lambda: CosineDecay(0.1, -1), ValueError, "epochs must be an integer >= 1, got -1"),
        (lambda: CosineDecay(0.1, True), TypeError, "epochs must be an integer >= 1, got True"),
        (lambda: CosineDecay(0.1, 5, 0.2), ValueError, r"final must be a finite number in \[0, 0.1\], got 0.2"),
        (lambda: ReduceOnPlateau(0.1, 1.0), ValueError, r"factor must be a finite number in \(0, 1\), got 1.0"),
        (lambda: ReduceOnPlateau(0.1, patience=0), ValueError, "patience must be an integer >= 1, got 0"),
        (lambda: ReduceOnPlateau(0.1, min_improvement=-1), ValueError, r"min_improvement must .* \[0, inf\), got -1"),
        (
            lambda: ReduceOnPlateau(0.1, min_rate=0.2),
            ValueError,
            r"min_rate must .* \[0, 0.1\], got 0.2",
        ),
        (lambda: backprop.SGD(StepDecay), TypeError, r"learning_rate must be .* in \(0, inf\) or a schedule such as "),
        (lambda: backprop.Adam("cosine"), TypeError, r"or a schedule such as backprop.StepDecay\(...\), got 'cosine'"),
        (lambda: backprop.AdamW(-0.1), ValueError, r"learning_rate must be a finite number in \(0, inf\), got -0.1"),
        (
            lambda: backprop.SGD(0.1, StepDecay(0.1, 1)),
            TypeError,
            r"momentum must .* \[0, 1\), got Step",
        ),
        (lambda: backprop.Rprop(first_step=StepDecay(0.1, 1)), TypeError, "first_step must be a real number in "),
    ],
)
def test_bad_settings(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_every_schedule_is_documented():
    for kind in KINDS:
        assert all(word in kind.__doc__ for word in ("Parameters", "Raises", "Notes", "Examples"))
        assert getattr(backprop, kind.__name__) is kind
