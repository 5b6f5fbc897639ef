"""Rows are read where they lie: every kind of array, and CSR, gives the doubles that a conversion would give."""

import types

import numpy as np
import pytest
import scipy.sparse

from backprop import _kernel

KINDS = ["float64", "float32", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "bool"]
LAYOUTS = {
    "C": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "steps": lambda a: np.repeat(np.repeat(a, 2, axis=0), 3, axis=1)[::2, ::3],
    "negative strides": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "one row for all": lambda a: np.broadcast_to(a[:1], a.shape),
}


def extremes(kind):
    """A matrix (8, 5) of a kind with its extremes and what rounds."""
    dtype = np.dtype(kind)
    if dtype.kind == "f":
        limits = np.finfo(dtype)
        chosen = [0.0, -0.0, limits.max, -limits.max, limits.tiny, limits.smallest_subnormal, 1.0 + limits.eps, 0.1]
    elif dtype.kind == "b":
        chosen = [True, False, False, True, True]
    else:
        limits = np.iinfo(dtype)
        chosen = [0, 1, limits.min, limits.max, limits.max - 1, limits.max // 2, limits.max - 1024, limits.min + 511]
        chosen += [sign * (1 << bits) + add for bits in (24, 53, 54, 62) for add in (-1, 0, 1, 3) for sign in (1, -1)]
        chosen = [value for value in chosen if limits.min <= value <= limits.max]
    return np.resize(np.array(chosen, dtype), (8, 5))


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_dense(kind, layout):
    matrix = layout(extremes(kind))
    assert _kernel.readable(matrix)
    assert _kernel.doubles(matrix).tobytes() == matrix.astype(np.float64).tobytes()
    assert [[float(one) for one in row] for row in matrix.tolist()] == _kernel.doubles(matrix).tolist()


def test_integers_round_to_nearest_even():
    values = [2**53 + 1, 2**53 + 3, 2**62 + 2**9, 2**62 + 2**9 + 1, 2**62 + 3 * 2**9, 2**63 - 1, 2**63 - 513]
    for given in (np.array([values], np.int64), -np.array([values], np.int64), np.array([values], np.uint64)):
        assert _kernel.doubles(given).tolist() == [[float(one) for one in given[0].tolist()]]
    assert _kernel.doubles(np.array([[2**64 - 1, 2**64 - 1025, 2**63 + 1]], np.uint64)).tolist() == [
        [2.0**64, 2.0**64 - 2048.0, 2.0**63]
    ]


def test_a_truth_is_one_or_zero():
    assert _kernel.doubles(np.array([[0, 1, 2, 255]], np.uint8).view(bool)).tolist() == [[0.0, 1.0, 1.0, 1.0]]


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 2), np.float16),
        np.zeros((2, 2), np.longdouble),
        np.zeros((2, 2), complex),
        np.zeros((2, 2), object),
        np.zeros((2, 2), np.dtype(float).newbyteorder()),
        np.zeros((2, 2), np.dtype(np.int32).newbyteorder()),
        np.zeros(33, np.uint8)[1:].view(float).reshape(2, 2),
        np.zeros((2, 2), "M8[s]"),
    ],
    ids=str,
)
def test_other_arrays_are_for_numpy(array):
    if array.dtype.str[1:] != np.dtype(float).str[1:] or not array.dtype.isnative or not array.flags.aligned:
        assert not _kernel.readable(array)
        with pytest.raises(ValueError, match="no reader"):
            _kernel.doubles(array)


def csr(data, indices, indptr, shape=None):
    """An object with the arrays of a CSR matrix."""
    shape = shape or (len(indptr) - 1, 1 + max(indices, default=0))
    arrays = [np.array(one, np.int32) for one in (indices, indptr)]
    return types.SimpleNamespace(data=np.asarray(data), indices=arrays[0], indptr=arrays[1], shape=shape)


@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("kind", KINDS)
def test_sparse(kind, index):
    dense = np.where(np.arange(40).reshape(8, 5) % 3 == 1, extremes(kind), np.zeros((), kind))
    matrix = scipy.sparse.csr_array(dense)
    matrix.indices, matrix.indptr = matrix.indices.astype(index), matrix.indptr.astype(index)
    assert matrix.nnz < dense.size
    assert _kernel.doubles(matrix).tobytes() == (dense.astype(np.float64) + 0.0).tobytes()


def test_numbers_of_the_same_place_are_added():
    matrix = csr([0.1, 0.2, 0.3, 5.0], [1, 1, 1, 0], [0, 4, 4], (2, 3))
    assert _kernel.doubles(matrix).tolist() == [[5.0, (0.0 + 0.1 + 0.2) + 0.3, 0.0], [0.0] * 3]
    assert _kernel.doubles(csr(np.array([100, 100], np.int8), [0, 0], [0, 2])).tolist() == [[200.0]]


@pytest.mark.parametrize(
    ("indices", "indptr"),
    [([0, 3], [0, 1, 2]), ([0, -1], [0, 1, 2]), ([0, 1], [0, 1, 3]), ([0, 1], [0, 2, 1]), ([0, 1], [-1, 1, 2])],
)
def test_an_index_outside_is_found(indices, indptr):
    with pytest.raises(ValueError, match="lies outside"):
        _kernel.doubles(csr([1.0, 2.0], indices, indptr, (2, 3)))


def test_arrays_of_csr_must_fit_each_other():
    good = csr([1.0, 2.0], [0, 1], [0, 1, 2])
    for name, other in (
        ("indptr", good.indptr[:2]),
        ("indptr", good.indptr.astype(np.int64)),
        ("indices", good.indices.astype(np.uint32)),
        ("indices", np.zeros(4, np.int32)[::2]),
        ("data", good.data.reshape(2, 1)),
        ("data", good.data.astype(np.float16)),
    ):
        with pytest.raises(ValueError, match="CSR matrix"):
            _kernel.doubles(types.SimpleNamespace(**(vars(good) | {name: other})))
    with pytest.raises(ValueError, match="lies outside"):
        _kernel.doubles(types.SimpleNamespace(**(vars(good) | {"data": np.ones(1)})))


FORMS = {
    "float64": np.asarray,
    "float32": lambda a: a.astype(np.float32),
    "Fortran": np.asfortranarray,
    "steps": LAYOUTS["steps"],
    "csr": scipy.sparse.csr_array,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
@pytest.mark.parametrize("shape", [(1, 1), (700, 9), (3, 5000)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_the_first_that_is_not_finite(form, shape, value):
    matrix = np.where(np.arange(shape[0] * shape[1]) % 4, 0.0, 1.5).reshape(shape)
    assert _kernel.first_not_finite(form(matrix)) == -1
    for k in (matrix.size - 1, matrix.size * 2 // 3, 0):
        matrix.flat[k] = value
        assert _kernel.first_not_finite(form(matrix)) == k


def test_a_sum_in_csr_may_not_be_finite():
    matrix = csr([1.0, 1e308, 1e308], [1, 2, 2], [0, 1, 3], (2, 3))
    assert _kernel.first_not_finite(matrix) == 5
    assert _kernel.first_not_finite(csr([1e308, 1e308], [0, 1], [0, 2])) == -1


def test_whole_numbers_are_finite():
    assert _kernel.first_not_finite(np.full((3, 2), 2**64 - 1, np.uint64)) == -1


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_the_first_bad_target(form):
    y = np.full((2000, 3), 0.5)
    assert _kernel.bad_target("binary_cross_entropy", form(y)) is None
    y[1700, 1] = 1.5
    assert _kernel.bad_target("binary_cross_entropy", form(y)) == (1700, 1, 1.5)
    assert _kernel.bad_target("squared_error", form(y)) is None
    assert _kernel.bad_target("cross_entropy", form(y)) == (0, -1, 1.5)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_bits_of_the_kernel(form):
    """Loss, gradient and predictions of rows that are read where they lie."""
    sizes, names = (5, 4, 2), ("tanh", "identity")
    X = np.arange(3000.0).reshape(600, 5) % 7.0 * (np.arange(3000).reshape(600, 5) % 3 > 0)
    y = np.arange(1200.0).reshape(600, 2) % 5.0
    parameters = np.cos(np.arange(34.0))

    def results(X, y):
        gradient, out = np.empty(34), np.empty((600, 2))
        work = _kernel.Pass(sizes, names, parameters, gradient, 600, 2, 1.0)
        sums = _kernel.LossPass(work, _kernel.Data(X, y), "squared_error")
        while not sums.run():
            pass
        assert _kernel.predict(sizes, names, parameters, X, out, 2, 1.0) == -1
        return sums.total, gradient.tobytes(), out.tobytes()

    assert results(form(X), form(y)) == results(X, y)
    for bad in (17, 599):
        other = X.copy()
        other[bad, 3] = np.nan
        assert _kernel.predict(sizes, names, parameters, form(other), np.empty((600, 2)), 1, 1.0) == bad


def test_predictor_takes_every_kind():
    predictor = _kernel.Predictor((5, 2), ("tanh",), np.cos(np.arange(12.0)), 10)
    for kind in KINDS:
        X = np.where(np.arange(30).reshape(6, 5) % 2, 1, 0).astype(kind)
        for layout in LAYOUTS.values():
            expected = predictor.predict(np.ascontiguousarray(layout(X), np.float64))
            assert predictor.predict(layout(X)).tobytes() == expected.tobytes()
    assert predictor.predict(np.full((1, 5), np.nan, np.float32)) is None
    assert predictor.predict(np.zeros((1, 5), np.float16)) is None
    assert predictor.predict(np.zeros((11, 5), np.float32)) is None
