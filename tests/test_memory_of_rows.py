"""Memory beside the rows: none is converted whole, be it float32, in Fortran order, sparse, or held back."""

import hashlib
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import scipy.sparse

import backprop
from backprop import training_file
from backprop.samples import Samples

N = 500_000
NETWORK = backprop.Network([30, 4, 1], rng=1)
SLACK = 3_000_000  # work space: one block of 512 rows takes 30*512 doubles and some


def peak(call):
    """The most memory that a call takes at once, in bytes; NumPy reports what it allocates."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module", params=["float32", "Fortran", "uint8", "csr"])
def big(request):
    """X of 15 to 120 MB, and y."""
    X = np.tile(np.arange(31.0, dtype=np.float32), 30 * N // 31 + 1)[: 30 * N].reshape(N, 30)
    y = np.ones((N, 1), np.float32)
    X *= np.float32(0.125)
    if request.param == "csr":
        stored = X[:, ::10].reshape(-1).copy()
        columns = np.tile(np.array([0, 10, 20], np.int32), N)
        return scipy.sparse.csr_array((stored, columns, np.arange(0, 3 * N + 1, 3, dtype=np.int32)), shape=(N, 30)), y
    made = {"float32": lambda: X, "Fortran": lambda: np.asfortranarray(X), "uint8": lambda: X.astype(np.uint8)}
    return made[request.param](), y


CALLS = {
    "L-BFGS": (0, lambda X, y: backprop.fast_train(NETWORK, X, y, epochs=1, optimizer=backprop.LBFGS())),
    "Adam": (8, lambda X, y: backprop.fast_train(NETWORK, X, y, epochs=1, batch_size=512)),
    "fraction": (
        30,  # the shuffled rows, those that are left, and their visiting order
        lambda X, y: backprop.fast_train(
            NETWORK, X, y, epochs=1, batch_size=512, stopping=backprop.EarlyStopping(validation_fraction=0.1)
        ),
    ),
    "loss": (0, lambda X, y: NETWORK.loss(X, y)),
    "gradient": (0, lambda X, y: backprop.loss_and_gradient(NETWORK, X, y)),
    "predict": (8, lambda X, y: NETWORK.predict(X)),
}


@pytest.mark.parametrize("call", CALLS)
def test_no_copy(big, call):
    """Beside X: the work space, and 8 bytes a row for the visiting order or for a prediction."""
    per_row, function = CALLS[call]
    assert peak(lambda: function(*big)) < per_row * N + SLACK


def test_a_digest_makes_no_copy(big):
    X, y = big
    samples = Samples(X if isinstance(X, np.ndarray) else backprop.arguments.rows(X, 30), y, None, float(N))
    begin = backprop.fast_train(NETWORK, np.zeros((1, 30)), [0.0], epochs=1)._result
    assert peak(lambda: training_file.identity(begin, samples)) < SLACK


def test_a_digest_is_that_of_the_doubles():
    """It is the digest of the digests of blocks of 4096 rows."""

    def of_blocks(array):
        parts = [hashlib.sha256(array[k : k + 4096].tobytes()).digest() for k in range(0, len(array), 4096)]
        return [hashlib.sha256(b"".join(parts)).hexdigest()]

    X = np.random.default_rng(1).random((10_000, 7)).astype(np.float32)
    expected = of_blocks(X.astype("<f8"))
    sparse = backprop.arguments.rows(scipy.sparse.csr_array(X), 7)
    for one in (X, np.asfortranarray(X), X.astype(float), sparse):
        assert training_file._digest(one) == expected
    labels = np.arange(100_000)
    assert training_file._digest(labels) == of_blocks(labels.astype("<i8"))


FIT = """
import resource, sys
import numpy as np, scipy.sparse
from backprop.estimators import MLPRegressor

X = scipy.sparse.random_array((4000, 30_000), density=0.002, format="csr", rng=1)
y = np.arange(4000.0) % 7.0
small = MLPRegressor(hidden_layer_sizes=4, max_iter=1, tol=0.0, random_state=0, solver=sys.argv[1])
small.set_params(early_stopping=sys.argv[2] if sys.argv[1] != "lbfgs" or sys.argv[2] != "score" else False)
import warnings; warnings.simplefilter("ignore")
small.fit(scipy.sparse.csr_array(np.eye(40, 30)), y[:40])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
small.fit(X, y)
small.predict(X), small.score(X, y)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss is in kilobytes on Linux alone")
@pytest.mark.parametrize("solver", ["adam", "lbfgs"])
@pytest.mark.parametrize("watched", ["score", "loss"])
def test_a_sparse_matrix_is_not_made_dense(solver, watched):
    """4,000 x 30,000 numbers, of which 0.2 % are stored: dense they are 960 MB."""
    shown = subprocess.run([sys.executable, "-c", FIT, solver, watched], capture_output=True, text=True, check=True)
    assert int(shown.stdout) < 100_000
