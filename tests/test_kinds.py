"""X and y of every kind, order and stride, and sparse X, give the bits of float64, in every call."""

import numpy as np
import pytest
import scipy.sparse
from small_work import small_work_shared

import backprop
from backprop import reference
from backprop.estimators import MLPClassifier, MLPRegressor

KINDS = ["float64", "float32", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]
LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "steps": lambda a: np.repeat(np.repeat(a, 2, axis=0), 3, axis=1)[::2, ::3],
    "negative strides": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
}
SPARSE = ["csr_array", "csr_matrix", "csc_array", "coo_array", "lil_array", "dok_array", "bsr_array", "dia_array"]
N = 37
NETWORK = backprop.Network([4, 5, 2], rng=3)
DEEP = backprop.Network([4, 3, 3, 2], "relu", rng=3)
WEIGHTS = (np.arange(N) % 4 + 1) / 4.0
STOPPING = {"patience": None, "rng": 2}


def rows(kind, n=N):
    """X (n, 4) and y (n, 2) that are exact in a kind; half of X is zero."""
    drawn = np.random.default_rng(7)
    X, y = drawn.integers(0, 4, (n, 4)) * (drawn.random((n, 4)) < 0.5), drawn.integers(0, 3, (n, 2))
    if np.dtype(kind).kind == "f":
        X, y = X / 8.0 - 0.1 * (X > 0), y / 4.0
    return X.astype(kind), y.astype(kind)


def bits(run):
    return run.network.parameters.tobytes(), run.losses.tobytes(), run.validation_losses.tobytes()


def trained(network=NETWORK, epochs=2, **settings):
    return lambda X, y, engine=backprop.fast_train: bits(engine(network, X, y, epochs=epochs, **settings))


def watching(X, y):
    """Early stopping by validation data of the same kind."""
    half = backprop.EarlyStopping(validation_data=(X[20:], y[20:], WEIGHTS[20:]), **STOPPING)
    return bits(backprop.fast_train(NETWORK, X[:20], y[:20], epochs=3, stopping=half))


def gradient(X, y):
    value, g = backprop.loss_and_gradient(NETWORK, X, y, sample_weight=WEIGHTS)
    return value, g.tobytes()


FRACTION = backprop.EarlyStopping(validation_fraction=0.3, **STOPPING)
CALLS = {
    "shuffled": trained(batch_size=8),
    "in order": trained(batch_size=8, shuffle=False),
    "online": trained(optimizer=backprop.SGD(0.1), batch_size=1),
    "online, in order": trained(DEEP, optimizer=backprop.SGD(0.1), batch_size=1, shuffle=False),
    "Rprop": trained(optimizer=backprop.Rprop()),
    "L-BFGS": trained(optimizer=backprop.LBFGS()),
    "Levenberg-Marquardt": trained(optimizer=backprop.LevenbergMarquardt()),
    "dropout": trained(dropout=backprop.Dropout(0.5)),
    "sample weights": trained(batch_size=8, sample_weight=WEIGHTS),
    "fraction": trained(batch_size=8, stopping=FRACTION, sample_weight=WEIGHTS),
    "online, fraction": trained(optimizer=backprop.SGD(0.1), batch_size=1, stopping=FRACTION),
    "in order, fraction": trained(batch_size=8, shuffle=False, stopping=FRACTION),
    "L-BFGS, fraction": trained(optimizer=backprop.LBFGS(), stopping=FRACTION),
    "Levenberg-Marquardt, fraction": trained(optimizer=backprop.LevenbergMarquardt(), stopping=FRACTION),
    "validation data": watching,
    "loss": lambda X, y: NETWORK.loss(X, y),
    "gradient": gradient,
    "predict": lambda X, y: NETWORK.predict(X).tobytes(),
    "predict, many rows": lambda X, y: (
        DEEP._of(DEEP.sizes, DEEP.activations, DEEP.parameters.copy()).predict(X, 1).tobytes()
    ),
}
EXPECTED = {}


def expected(call, kind):
    if (call, kind) not in EXPECTED:
        X, y = rows(kind)
        EXPECTED[call, kind] = CALLS[call](X.astype(np.float64), y.astype(np.float64))
    return EXPECTED[call, kind]


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_arrays(kind, layout, call):
    X, y = rows(kind)
    X, y = LAYOUTS[layout](X), LAYOUTS[layout](y)
    before = X.tobytes(), y.tobytes()
    assert CALLS[call](X, y) == expected(call, kind)
    assert (X.tobytes(), y.tobytes()) == before


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", KINDS)
def test_csr(kind, call):
    X, y = rows(kind)
    matrix = scipy.sparse.csr_array(X)
    kept = [one.copy() for one in (matrix.data, matrix.indices, matrix.indptr)]
    assert CALLS[call](matrix, y) == expected(call, kind)
    for one, other in zip(kept, (matrix.data, matrix.indices, matrix.indptr), strict=True):
        assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("form", SPARSE)
def test_sparse_of_every_form(form, engine):
    X, y = rows("float64")
    matrix = getattr(scipy.sparse, form)(X)
    assert engine.predict(NETWORK, matrix).tobytes() == NETWORK.predict(X).tobytes()
    assert engine.loss(NETWORK, matrix, y) == NETWORK.loss(X, y)
    run = engine.train(NETWORK, matrix, y, epochs=1)
    assert bits(run.resume(matrix, y, epochs=1)) == trained()(X, y)


@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_csr_that_is_not_canonical(index, engine):
    """Columns in any order, some twice, some stored zeros."""
    data, indices = np.array([0.1, 0.0, 0.2, 0.3, 1.5, -0.1, 7.0]), np.array([3, 1, 0, 3, 3, 2, 2], index)
    matrix = scipy.sparse.csr_array((data, indices, np.array([0, 5, 5, 7], index)), shape=(3, 4))
    assert not matrix.has_canonical_format
    dense = [[0.2, 0.0, 0.0, (0.1 + 0.3) + 1.5], [0.0] * 4, [0.0, 0.0, -0.1 + 7.0, 0.0]]
    assert engine.predict(NETWORK, matrix).tobytes() == NETWORK.predict(dense).tobytes()
    assert matrix.data.tolist() == data.tolist()


@pytest.mark.parametrize("call", ["shuffled", "online", "L-BFGS", "Levenberg-Marquardt", "fraction", "dropout"])
@pytest.mark.parametrize("form", ["float32", "uint64", "csr"])
def test_definition(form, call):
    """The definition converts by NumPy and by Python, the kernel by its reader."""
    X, y = rows("float32" if form == "csr" else form, 11)
    X = scipy.sparse.csr_array(X) if form == "csr" else np.asfortranarray(X)
    settings = {
        "shuffled": {"batch_size": 4},
        "online": {"batch_size": 1, "optimizer": backprop.SGD(0.1)},
        "L-BFGS": {"optimizer": backprop.LBFGS()},
        "Levenberg-Marquardt": {"optimizer": backprop.LevenbergMarquardt()},
        "fraction": {"stopping": FRACTION, "batch_size": 4},
        "dropout": {"dropout": backprop.Dropout(0.5)},
    }[call]
    call = trained(**settings)
    assert call(X, y) == call(X, y, reference.train)
    value, g = reference.loss_and_gradient(NETWORK, X, y)
    assert (value, g.tobytes()) == (NETWORK.loss(X, y), backprop.loss_and_gradient(NETWORK, X, y)[1].tobytes())
    assert reference.predict(NETWORK, X).tobytes() == NETWORK.predict(X).tobytes()


@pytest.mark.parametrize("form", [np.asfortranarray, lambda a: a.astype(np.float32), scipy.sparse.csr_array])
@pytest.mark.parametrize("count", [2, 3])
def test_threads(form, count):
    """Threads read their own rows of a block."""
    X, y = rows("float32", 1500)
    X, y = X.astype(np.float64), y.astype(np.float64)
    network = backprop.Network([4, 9, 2], rng=3)
    ways = [{}, {"shuffle": False}, {"optimizer": backprop.LBFGS()}, {"optimizer": backprop.LevenbergMarquardt()}]
    for settings in ways:
        size = {} if "optimizer" in settings else {"batch_size": 700}
        alone = trained(network, n_threads=1, **settings, **size)(X, y)
        with small_work_shared():
            assert trained(network, n_threads=count, **settings, **size)(form(X), y.astype(np.float32)) == alone
    with small_work_shared():
        assert network.predict(form(X), n_threads=count).tobytes() == network.predict(X, 1).tobytes()
        assert network.loss(form(X), y, n_threads=count) == network.loss(X, y)


@pytest.mark.parametrize("form", [np.asarray, lambda a: a.astype(np.float32), scipy.sparse.csr_array])
def test_rows_that_are_held_back_are_not_there(form):
    """With a validation_fraction, the run is that of the rows that are left, whatever the method and the threads."""
    X, y = rows("float32", 70_000)
    weights = np.arange(70_000) % 3 + 0.5
    order = backprop._kernel.order(np.random.PCG64(2), len(X))
    left, watched = np.sort(order[: len(X) // 2]), np.sort(order[len(X) // 2 :])
    half = backprop.EarlyStopping(validation_fraction=0.5, **STOPPING)
    data = X[watched], y[watched], weights[watched]
    same = backprop.EarlyStopping(validation_data=data, **STOPPING)
    for settings in (
        {"batch_size": 30_000},
        {"batch_size": 64, "shuffle": False},
        {"optimizer": backprop.LBFGS()},
        {"optimizer": backprop.Rprop()},
    ):
        ways = [
            trained(epochs=1, n_threads=count, stopping=stopping, sample_weight=weight, **settings)(X, y)
            for X, y, weight, stopping, count in (
                (form(X), y, weights, half, 1),
                (form(X), y, weights, half, 2),
                (X[left], y[left], weights[left], same, 1),
            )
        ]
        assert ways[0] == ways[1] == ways[2]


def test_chosen_rows_are_rows_of_X():
    X, y = rows("float64")
    for bad in (-1, N):
        with pytest.raises(ValueError, match=f"must be of rows of X, got {bad} of {N}"):
            backprop._kernel.Data(X, y, None, 0.0, None, np.array([0, bad]))


def test_classes_and_sparse_rows(engine):
    X, _ = rows("float64")
    network, y = backprop.Network([4, 3], output_activation="softmax"), np.arange(N) % 3
    for settings in ({}, {"batch_size": 1, "optimizer": backprop.SGD(0.1)}):
        expected = bits(backprop.fast_train(network, X, y, epochs=2, **settings))
        for other in (scipy.sparse.csr_array(X), np.asfortranarray(X)):
            assert bits(engine.train(network, other, y, epochs=2, **settings)) == expected


@pytest.mark.parametrize("form", [np.asfortranarray, lambda a: a.astype(np.float32), scipy.sparse.csr_array])
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_the_first_bad_number_is_named(form, value):
    X = np.where(np.arange(30_000).reshape(10_000, 3) % 5, 0.0, 1.0)
    X[9_876, 1] = X[9_999, 0] = X[9_876, 2] = value
    network, y = backprop.Network([3, 1]), np.zeros(10_000)
    calls = [
        lambda: network.predict(form(X)),
        lambda: network.loss(form(X), y),
        lambda: backprop.loss_and_gradient(network, form(X), y),
        lambda: backprop.fast_train(network, form(X), y, epochs=1),
        lambda: backprop.fast_train(network, form(X), y, epochs=1, stopping=FRACTION),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=rf"X must be finite, got {value} in row 9876, column 1"):
            call()


def test_the_first_bad_target_is_named():
    y = np.full((5000, 2), 0.5, np.float32)
    y[4321, 1] = y[4322, 0] = 1.5
    network = backprop.Network([1, 2], output_activation="logistic")
    with pytest.raises(ValueError, match=r"got 1.5 in row 4321, column 1"):
        network.loss(np.zeros((5000, 1)), np.asfortranarray(y), "binary_cross_entropy")
    y[4000, 1] = np.nan
    with pytest.raises(ValueError, match="y must be finite, got nan in row 4000, column 1"):
        network.loss(np.zeros((5000, 1)), y)


@pytest.mark.parametrize("form", ["float32", "int16", "csr"])
def test_a_checkpoint_knows_its_rows_by_their_numbers(tmp_path, form):
    X, y = rows("int16")
    path = tmp_path / "run"
    stopping = backprop.EarlyStopping(validation_data=(X.astype(float), y.astype(float)), patience=None)
    kept = {"epochs": 2, "checkpoint": backprop.Checkpoint(path, every=1)}
    run = backprop.fast_train(NETWORK, X.astype(float), y.astype(float), stopping=stopping, **kept)
    written = path.read_bytes()
    other = scipy.sparse.csr_array(X) if form == "csr" else X.astype(form)
    watched = backprop.EarlyStopping(validation_data=(other, y.astype("int16")), patience=None)
    again = backprop.fast_train(NETWORK, other, y.astype("float32"), stopping=watched, **kept)
    assert bits(again) == bits(run)
    path.unlink()
    assert bits(backprop.fast_train(NETWORK, other, y, stopping=watched, **kept)) == bits(run)
    assert path.read_bytes() == written
    assert backprop.Training.load(path).resume(other, y, epochs=1).epochs == 3


@pytest.mark.parametrize("model", [MLPClassifier, MLPRegressor])
@pytest.mark.parametrize("form", ["csr_array", "csc_matrix", "float32", "Fortran", "int32"])
@pytest.mark.parametrize("solver", ["adam", "lbfgs", "sgd"])
def test_estimators(model, form, solver):
    X, y = rows("int32", 60)
    X, y = X.astype(float), (y.sum(1) % 3).astype(float)
    other = (
        getattr(scipy.sparse, form)(X) if "_" in form else np.asfortranarray(X) if form == "Fortran" else X.astype(form)
    )
    settings = {"hidden_layer_sizes": 4, "max_iter": 3, "solver": solver, "random_state": 1, "tol": 0.0}
    for early in (False, "loss"):
        one, two = (model(early_stopping=early, **settings) for _ in range(2))
        with pytest.warns():
            one.fit(X, y)
        with pytest.warns():
            two.fit(other, y)
        assert one.network_ == two.network_
        assert one.predict(X).tobytes() == two.predict(other).tobytes()
        assert one.score(X, y) == two.score(other, y)
    if solver != "lbfgs":
        classes = {} if model is MLPRegressor else {"classes": [0.0, 1.0, 2.0]}
        one, two = model(**settings).partial_fit(X, y, **classes), model(**settings).partial_fit(other, y, **classes)
        assert one.network_ == two.network_


def test_read_only_arrays_of_a_sparse_matrix():
    X = scipy.sparse.csr_array(np.eye(3))
    for one in (X.data, X.indices, X.indptr):
        one.flags.writeable = False
    network = backprop.Network([3, 1])
    assert network.loss(X, np.ones(3)) == network.loss(np.eye(3), np.ones(3))


@pytest.mark.parametrize("name", ["indices", "indptr"])
def test_indices_that_change_in_a_run(name):
    """Nothing outside of the arrays is read or written."""
    X = scipy.sparse.csr_array(np.ones((50, 3)))

    def change(state):
        getattr(X, name)[:] = 2**30 if state.epoch == 0 else -(2**30)

    backprop.fast_train(backprop.Network([3, 1]), X, np.ones(50), epochs=4, callback=change)
