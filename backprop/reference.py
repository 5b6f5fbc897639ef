"""The definition with the interface of `backprop`: the same arguments, the same bits, some thousand times slower.

`train`, `predict`, `loss` and `loss_and_gradient` do in plain Python what `fast_train`, `Network.predict`,
`Network.loss` and `backprop.loss_and_gradient` do. The definition itself is `backprop/definition/`, which uses neither
NumPy nor the rest of the package; this module converts between arrays and its lists and raises the errors.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from . import arguments, shuffling, streams
from .arguments import FloatArray
from .checkpoint import Checkpoint
from .definition import blocks, losses, passes, randomness, values
from .definition.activations import ACTIVATIONS as ACTIVATIONS
from .definition.elementary import exp as exp
from .definition.elementary import expm1 as expm1
from .definition.elementary import log as log
from .definition.elementary import log1p as log1p
from .definition.epochs import METHODS, train_epoch
from .definition.losses import LOSSES as LOSSES
from .definition.updates import UPDATE_RULES as UPDATE_RULES
from .definition.values import Architecture, Dataset, Hyperparameters, Vector
from .dropout import Dropout
from .hints import hinted
from .matrices import Matrix, RowsLike, TargetsLike
from .network import INITIALIZERS, Network, checked
from .optimizers import Optimizer, penalties_of, plan_of, with_learning_rate
from .plans import Plan
from .run import Callback, Run
from .samples import Samples, finite, loss_and_samples
from .shuffling import BlockShuffle
from .state import Result, RunState, Settings
from .stopping import EarlyStopping
from .training import Training
from .training import train as train_by


def dataset(samples: Samples, n_out: int) -> Dataset:
    """The samples as lists of rows; a class k becomes the row with 1.0 in column k and 0.0 elsewhere."""
    X, y, weights = arguments.doubles(samples.X), samples.y, samples.sample_weight
    y = y if y.ndim == 1 else arguments.doubles(y)
    if samples.chosen is not None:
        X, y, weights = X[samples.chosen], y[samples.chosen], None if weights is None else weights[samples.chosen]
    targets = y.tolist() if y.ndim == 2 else [[1.0 if j == k else 0.0 for j in range(n_out)] for k in y.tolist()]
    return Dataset(X.tolist(), targets, [1.0] * samples.n_samples if weights is None else weights.tolist())


class DefinitionTrainer:
    """A network in training by the definition, one epoch in each call of `train`."""

    evaluations = 0

    def __init__(
        self, network: Network, data: Dataset, settings: Settings, plan: Plan, state: RunState, stream: Any
    ) -> None:
        self.network, self.data, self.settings, self.plan = network, data, settings, plan
        self.next_words = streams.next_word(stream), streams.next_word(state.dropout)
        self.slots_shape = state.slots.shape
        self.w = network.parameters.tolist()
        self.state = state.slots.tolist(), state.scalars.tolist()
        self.ended = ""

    @property
    def parameters(self) -> FloatArray:
        """The parameters (n_parameters,)."""
        return np.array(self.w)

    @property
    def slots(self) -> FloatArray:
        """The optimizer's slots (n_slots, n_parameters)."""
        return np.array(self.state[0]).reshape(self.slots_shape)

    @property
    def scalars(self) -> FloatArray:
        """The optimizer's scalars (n_scalars,)."""
        return np.array(self.state[1])

    def on_pause(self, function: Callable[[int], None]) -> None:
        """The definition does not pause within an epoch."""

    def train(self, losses: FloatArray, done: int, until: int, rates: FloatArray | None) -> int:
        """Train one epoch, as `engine.Trainer.train` says."""
        optimizer = self.settings.optimizer
        rule, numbers = self.plan.rule, self.plan.settings
        if rates is not None:
            numbers = plan_of(with_learning_rate(optimizer, rates[done].item())).settings
        dropout = self.settings.dropout
        hyperparameters = Hyperparameters(
            self.settings.loss,
            rule,
            list(numbers),
            self.settings.batch_size or len(self.data.X),
            shuffling.plain(self.settings.shuffle),
            self.settings.train_biases,
            *penalties_of(optimizer),
            None if dropout is None else list(dropout.rates(self.network.sizes)),
        )
        one_epoch = METHODS.get(rule, train_epoch)
        network = Architecture(self.network.sizes, self.network.activations)
        losses[done], self.ended = one_epoch(network, self.w, *self.state, *self.next_words, hyperparameters, self.data)
        return done + 1


class Definition:
    """The definition as an engine."""

    def exp(self, x: float) -> float:
        """The correctly rounded exponential, for schedules."""
        return exp(x)

    def log(self, x: float) -> float:
        """The correctly rounded logarithm, for schedules."""
        return log(x)

    def first_not_finite(self, matrix: Matrix) -> int:
        """The index of the first NaN or infinity of a matrix, row by row, or -1."""
        return values.first_not_finite(arguments.doubles(matrix).reshape(-1).tolist())

    def bad_target(self, loss: str, y: npt.NDArray[Any]) -> tuple[int, int, float] | None:
        """The first target out of its range: (s, j, target), or (s, -1, sum) where a row's sum is wrong."""
        return losses.bad_target(loss, arguments.doubles(y).tolist())

    def sum_of_weights(self, weights: FloatArray) -> tuple[int, float]:
        """The first row whose sample weight is not finite and >= 0, or -1; and the sum of the weights before it."""
        return blocks.sum_of_weights(weights.tolist())

    def order(self, stream: Any, n: int) -> npt.NDArray[np.int64]:
        """The integers 0, ..., n - 1, shuffled by a bit generator (N9)."""
        return np.array(randomness.shuffled(streams.next_word(stream), n))

    def loss(self, network: Network, samples: Samples, loss: str, n_threads: int | None = None) -> float:
        """The mean loss of all samples."""
        return mean_loss(network, samples, loss)[0]

    def trainer(
        self,
        network: Network,
        samples: Samples,
        settings: Settings,
        plan: Plan,
        state: RunState,
        stream: Any,
        n_threads: int | None,
    ) -> DefinitionTrainer:
        """A trainer of the network, as `engine.Engine.trainer` says."""
        return DefinitionTrainer(network, dataset(samples, network.sizes[-1]), settings, plan, state, stream)


DEFINITION = Definition()


@hinted
def train(
    network: Network,
    X: RowsLike,
    y: TargetsLike,
    *,
    loss: str | None = None,
    optimizer: Optimizer | None = None,
    epochs: int = 100,
    batch_size: int | None = None,
    shuffle: bool | BlockShuffle = True,
    rng: Any = 0,
    train_biases: bool = True,
    sample_weight: ArrayLike | None = None,
    dropout: Dropout | None = None,
    stopping: EarlyStopping | None = None,
    checkpoint: Checkpoint | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Training:
    """`backprop.fast_train` in plain Python: the same bits, some thousand times slower."""
    settings = Settings.checked(network, loss, optimizer, batch_size, shuffle, train_biases, stopping, dropout)
    begin = Result.first(network, settings, rng)
    run = Run.checked(epochs, callback, progress, checkpoint)
    return train_by(DEFINITION, begin, X, y, sample_weight, run, rng)


def predict(network: Network, X: RowsLike) -> FloatArray:
    """`Network.predict` in plain Python."""
    rows = arguments.doubles(finite(DEFINITION, "X", arguments.rows(X, checked(network).sizes[0]))).tolist()
    out, bad = passes.predict(Architecture(network.sizes, network.activations), network.parameters.tolist(), rows)
    if bad >= 0:
        raise arguments.result_not_finite("the prediction", bad)
    return np.array(out)


def loss(
    network: Network, X: RowsLike, y: TargetsLike, loss: str | None = None, sample_weight: ArrayLike | None = None
) -> float:
    """`Network.loss` in plain Python."""
    sizes, activations = checked(network).sizes, network.activations
    name, samples = loss_and_samples(DEFINITION, sizes, activations, X, y, loss, sample_weight)
    return mean_loss(network, samples, name)[0]


def loss_and_gradient(
    network: Network, X: RowsLike, y: TargetsLike, loss: str | None = None, sample_weight: ArrayLike | None = None
) -> tuple[float, FloatArray]:
    """`backprop.loss_and_gradient` in plain Python."""
    sizes, activations = checked(network).sizes, network.activations
    name, samples = loss_and_samples(DEFINITION, sizes, activations, X, y, loss, sample_weight)
    value, g = mean_loss(network, samples, name)
    k = values.first_not_finite(g)
    if k >= 0:
        raise arguments.gradient_not_finite(k, overflow_of_gradient(network, samples, name, k))
    return value, np.array(g)


def mean_loss(network: Network, samples: Samples, loss: str) -> tuple[float, Vector]:
    """The mean loss of samples and its gradient, or an error that names the row at which the sum overflows."""
    data, parameters = dataset(samples, network.sizes[-1]), network.parameters.tolist()
    value, g, bad = passes.mean_loss(Architecture(network.sizes, network.activations), parameters, loss, data)
    if bad >= 0 or not math.isfinite(value):
        raise samples.loss_not_finite(bad)
    return value, g


def overflow_of_gradient(network: Network, samples: Samples, loss: str, k: int) -> int:
    """The first row at which a block's sum for parameter k is not finite; -1: each is, but not their mean."""
    layers = values.layers_of(network.parameters.tolist(), network.sizes)
    rows = list(zip(*dataset(samples, network.sizes[-1]), strict=True))
    for block in blocks.blocks(range(len(rows))):
        g = [0.0] * network.n_parameters
        for s in block:
            passes.add_gradient(g, layers, network.activations, loss, *rows[s])
            if not math.isfinite(g[k]):
                return s
    return -1


def initial_parameters(
    sizes: tuple[int, ...], stream: Any, initializer: str = "glorot_uniform", hidden_bias: float = 0.0
) -> Vector:
    """The parameters of a new `Network` in plain Python, drawn from a bit generator."""
    return randomness.initial_parameters(sizes, streams.next_word(stream), *INITIALIZERS[initializer], hidden_bias)
