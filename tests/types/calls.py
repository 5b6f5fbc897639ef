"""Calls for type checkers: those that end in "type: ignore" must not type-check, all others must.

Nobody runs this file. `.ci/stages/lint` has mypy and basedpyright read it; both report a "type: ignore" on a line that
has no error.
"""

import numpy as np
import numpy.typing as npt

import backprop
from backprop import reference, tutorial
from backprop.matrices import SparseLike
from backprop.parquet import ParquetRows

X = np.zeros((4, 2))
y = [0.0, 1.0, 1.0, 0.0]
net = backprop.Network([2, 4, 1], activation=["relu"], output_activation="logistic", rng=3)
run = backprop.fast_train(net, X, y, loss="binary_cross_entropy", optimizer=backprop.Adam(backprop.StepDecay(0.1, 5)))
more: backprop.Training = run.resume(X, y, epochs=3, callback=lambda state: state.epoch > 1)
again: backprop.Network = reference.train(net, X, y, epochs=1).network
backprop.fast_train(net, X, y, shuffle=backprop.BlockShuffle(rows=2, window=1))
reference.train(net, X, y, shuffle=backprop.BlockShuffle())
step: dict[str, float] = tutorial.walk()

part: backprop.PartialSums = backprop.partial_sums(net, X, y, first_row=0, n_rows=4, of="loss")
sums: backprop.PartialSums = backprop.PartialSums.merge([part, backprop.PartialSums.from_bytes(part.to_bytes())])
on_sums: backprop.Training = backprop.train_on_sums(net, lambda network, of: [part], optimizer=backprop.Rprop())
further: backprop.Training = run.resume_on_sums(lambda network, of: part.to_bytes(), epochs=3)


def sparse(rows: SparseLike) -> float:
    """A sparse matrix may be X, but not y."""
    backprop.fast_train(net, rows, y).resume(rows, y, epochs=1).network.predict(rows)
    net.loss(X, rows)  # type: ignore
    return net.loss(rows, y)


class Columns:
    """A source of rows: a shape and slices."""

    shape = (4, 2)

    def __getitem__(self, rows: slice) -> npt.NDArray[np.float32]:
        return X[rows].astype(np.float32)


backprop.fast_train(net, Columns(), y, stopping=backprop.EarlyStopping(validation_data=(Columns(), y)))
run.resume(Columns(), ParquetRows("rows.parquet", "target"), epochs=1)
reference.predict(net, Columns())
predicted: npt.NDArray[np.float64] = net.predict(ParquetRows(["rows.parquet"], ["a", "b"]))
found: tuple[float, npt.NDArray[np.float64]] = backprop.loss_and_gradient(net, Columns(), Columns())
same: float = net.loss(Columns(), Columns(), sample_weight=y)
net.predict(backprop.Adam())  # type: ignore
net.loss(X, Columns(), sample_weight=Columns())  # type: ignore

# Names that do not exist.
backprop.Adm(1e-2)  # type: ignore
backprop.fast_trian(net, X, y)  # type: ignore
x1 = backprop.estimator  # type: ignore
reference.fit(net, X, y)  # type: ignore
tutorial.wlak()  # type: ignore
x2 = net.weight  # type: ignore
net.predict_proba(X)  # type: ignore
x3 = run.loss  # type: ignore
x4 = run.settings.learning_rate  # type: ignore

# Arguments that do not exist.
backprop.Network([2, 1], activations="relu")  # type: ignore
backprop.fast_train(net, X, y, epoch=3)  # type: ignore
backprop.fast_train(net, X, y, learning_rate=0.1)  # type: ignore
backprop.fast_train(net, X, y, 100)  # type: ignore
backprop.SGD(0.1, momentum_rate=0.9)  # type: ignore
backprop.EarlyStopping(validation=(X, y))  # type: ignore
run.resume(X, y)  # type: ignore
backprop.partial_sums(net, X, y, first_row=0)  # type: ignore
backprop.train_on_sums(net, lambda network, of: [part], batch_size=32)  # type: ignore
net.predict(X, threads=2)  # type: ignore

# Arguments of another type.
backprop.Network("2-4-1")  # type: ignore
backprop.Network([2, 4, 1], activation=3)  # type: ignore
backprop.fast_train("net", X, y)  # type: ignore
backprop.fast_train(net, X, y, optimizer="adam")  # type: ignore
backprop.fast_train(net, X, y, dropout=0.2)  # type: ignore
backprop.fast_train(net, X, y, epochs=1.5)  # type: ignore
backprop.fast_train(net, X, y, shuffle="no")  # type: ignore
backprop.fast_train(net, X, y, shuffle=(1024, 64))  # type: ignore
backprop.BlockShuffle(rows=0.5)  # type: ignore
backprop.fast_train(net, X, y, callback="print")  # type: ignore
backprop.Adam("cosine")  # type: ignore
backprop.Checkpoint(3.5, every=10)  # type: ignore
backprop.loss_and_gradient(net, X, y, loss=0)  # type: ignore
backprop.train_on_sums(net, part)  # type: ignore
backprop.PartialSums.merge(part)  # type: ignore
backprop.PartialSums.from_bytes("part")  # type: ignore

# Values that do not change, and results of another type.
net.sizes = (2, 1)  # type: ignore
backprop.Adam().beta_1 = 0.5  # type: ignore
backprop.BlockShuffle().rows = 3  # type: ignore
count: int = net.loss(X, y)  # type: ignore
trained: backprop.Network = backprop.fast_train(net, X, y)  # type: ignore
