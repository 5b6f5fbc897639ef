"""The definition: every bit of every result of `backprop`, in plain Python.

Read it from top to bottom after the tutorial; it keeps the tutorial's order: net input, squash, total error, node
deltas, hidden deltas, update. The elementary functions and the activations stand before it, in elementary.py and
activations.py, the optimizers' steps in updates.py. The letters are those of the contract: sample `s`, input `i`,
output `j`, layer `l`; `W[i][j]`, `b[j]` weights and biases, `z` net input, `a` activation, `o` output, `t` target,
`delta` dLoss/dz. A sum is a loop, since its order is part of the result: nothing is fused, reassociated or left to a
library. The compiled kernel has the same functions in the same order and is held to them bit for bit.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .. import arguments
from ..checkpoint import Checkpoint, carry_on
from ..dropout import Dropout
from ..errors import DivergenceError
from ..network import Network, loss_of, rows_of
from ..optimizers import Optimizer, at_rate, schedule_of, shaping_of
from ..schedules import Rates
from ..stopping import EarlyStopping, Watcher, parts
from ..training import Callback, EpochState, Run, RunState, Settings, Training, progress_bar, start
from .activations import ACTIVATIONS as ACTIVATIONS
from .data import Data, finite, weights_of
from .dropout import draw_masks, masked
from .elementary import exp, log, log1p
from .elementary import expm1 as expm1
from .levenberg_marquardt import levenberg_marquardt
from .penalties import clip, penalize
from .randomness import Stream, shuffled
from .randomness import initial_parameters as initial_parameters
from .updates import UPDATE_RULES, Rows, Vector

Layer = tuple[Rows, Vector]


def softmax_sum(z: Vector) -> tuple[float, Vector, float]:
    """The largest z, m; every exp(z[j] - m); and their sum in increasing j."""
    m = z[0]
    for z_j in z:
        if z_j > m:
            m = z_j
    e = [exp(z_j - m) for z_j in z]
    S = 0.0
    for e_j in e:
        S = S + e_j
    return m, e, S


# The forward pass: total net input (N2), then squash it.


def net_input(x: Vector, W: Rows, b: Vector) -> Vector:
    z = []
    for j in range(len(b)):
        z_j = 0.0
        for i in range(len(x)):
            z_j = z_j + x[i] * W[i][j]
        z.append(z_j + b[j])
    return z


def squash(name: str, z: Vector) -> Vector:
    if name == "softmax":
        _, e, S = softmax_sum(z)
        return [e_j / S for e_j in e]
    return [ACTIVATIONS[name].value(z_j) for z_j in z]


def passed_on(a: Vector, masks: Rows | None, l: int) -> Vector:
    """What layer l is given of the outputs a of the layer below, of which some may be dropped; none of the input."""
    return a if masks is None or l == 0 else masked(a, masks[l - 1])


def forward(layers: list[Layer], names: tuple[str, ...], x: Vector, masks: Rows | None = None) -> tuple[Rows, Rows]:
    """The activations of every layer, the input first; and the net inputs of every layer but the input."""
    a: Rows = [x]
    z: Rows = []
    for l, ((W, b), name) in enumerate(zip(layers, names, strict=True)):
        z.append(net_input(passed_on(a[-1], masks, l), W, b))
        a.append(squash(name, z[-1]))
    return a, z


# The total error of one sample (N4), and its output deltas.


def squared_error(z: Vector, o: Vector, t: Vector) -> float:
    L = 0.0
    for j in range(len(o)):
        d = t[j] - o[j]
        L = L + 0.5 * (d * d)
    return L


def cross_entropy(z: Vector, o: Vector, t: Vector) -> float:
    m, _, S = softmax_sum(z)
    L = 0.0
    for j in range(len(z)):
        if t[j] != 0.0:
            L = L + -(t[j] * ((z[j] - m) - log(S)))
    return L


def binary_cross_entropy(z: Vector, o: Vector, t: Vector) -> float:
    L = 0.0
    for j in range(len(z)):
        L = L + (((0.0 if z[j] <= 0.0 else z[j]) - z[j] * t[j]) + log1p(exp(-abs(z[j]))))
    return L


def absolute_error(z: Vector, o: Vector, t: Vector) -> float:
    L = 0.0
    for j in range(len(o)):
        L = L + abs(t[j] - o[j])
    return L


def huber(z: Vector, o: Vector, t: Vector) -> float:
    """Huber 1964: squared up to a distance of 1, absolute beyond."""
    L = 0.0
    for j in range(len(o)):
        d = abs(t[j] - o[j])
        L = L + (d - 0.5 if d > 1.0 else 0.5 * (d * d))
    return L


def poisson(z: Vector, o: Vector, t: Vector) -> float:
    """The negative log-likelihood of counts t with means o = exp(z), but for log(t!), which no weight changes."""
    L = 0.0
    for j in range(len(o)):
        L = L + (o[j] - t[j] * z[j])
    return L


def difference(o: float, t: float) -> float:
    return o - t


def direction(o: float, t: float) -> float:
    d = o - t
    return 1.0 if d > 0.0 else -1.0 if d < 0.0 else d


def bounded_difference(o: float, t: float) -> float:
    d = o - t
    return 1.0 if d > 1.0 else -1.0 if d < -1.0 else d


class Loss(NamedTuple):
    value: Callable[[Vector, Vector, Vector], float]
    slope: Callable[[float, float], float]  # of an output o and its target t
    through_activation: bool  # whether the output delta is multiplied by the activation's derivative
    low: float  # what a target may be
    high: float
    distribution: bool  # whether a row of targets must sum to 1
    output: str  # the output activation it needs; "": any that has a derivative


LOSSES = {
    "squared_error": Loss(squared_error, difference, True, -math.inf, math.inf, False, ""),
    "cross_entropy": Loss(cross_entropy, difference, False, 0.0, math.inf, True, "softmax"),
    "binary_cross_entropy": Loss(binary_cross_entropy, difference, False, 0.0, 1.0, False, "logistic"),
    "absolute_error": Loss(absolute_error, direction, True, -math.inf, math.inf, False, ""),
    "huber": Loss(huber, bounded_difference, True, -math.inf, math.inf, False, ""),
    "poisson": Loss(poisson, difference, False, 0.0, math.inf, False, "exponential"),
}


def check_targets(loss: str, y: Rows) -> None:
    row = LOSSES[loss]
    for s in range(len(y)):
        total = 0.0
        for j in range(len(y[s])):
            if not row.low <= y[s][j] <= row.high:
                raise arguments.bad_target(loss, s, j, y[s][j])
            total = total + y[s][j]
        if row.distribution and not abs(total - 1.0) <= 1e-9:
            raise arguments.bad_target(loss, s, -1, total)


# The backward pass: node deltas, hidden deltas (N5), gradient (N6).


def derivatives(name: str, z: Vector, a: Vector) -> Vector:
    row = ACTIVATIONS[name]
    return [row.derivative(of) for of in (z if row.of_z else a)]


def node_deltas(loss: str, name: str, z: Vector, o: Vector, t: Vector) -> Vector:
    slopes = [LOSSES[loss].slope(o[j], t[j]) for j in range(len(o))]
    if not LOSSES[loss].through_activation:
        return slopes
    return [slope * derivative for slope, derivative in zip(slopes, derivatives(name, z, o), strict=True)]


def hidden_deltas(name: str, z: Vector, a: Vector, W: Rows, delta: Vector, mask: Vector | None = None) -> Vector:
    """Deltas of a hidden layer with output a from those of the layer W above it; its weights are still the old ones."""
    below, derivative = [], derivatives(name, z, a)
    for i in range(len(a)):
        g = 0.0
        for j in range(len(delta)):
            g = g + delta[j] * W[i][j]
        if mask is None:
            below.append(g * derivative[i])
        else:
            below.append(0.0 if mask[i] == 0.0 else (g * mask[i]) * derivative[i])
    return below


def add_gradient(
    g: Vector,
    layers: list[Layer],
    names: tuple[str, ...],
    loss: str,
    x: Vector,
    t: Vector,
    c: float,
    masks: Rows | None = None,
) -> float:
    """Add one sample's gradient to g, flat as the parameters are; return the sample's loss. It counts c times (N17)."""
    a, z = forward(layers, names, x, masks)
    deltas = [[c * delta_j for delta_j in node_deltas(loss, names[-1], z[-1], a[-1], t)]]
    for l in range(len(layers) - 1, 0, -1):
        mask = None if masks is None else masks[l - 1]
        deltas.insert(0, hidden_deltas(names[l - 1], z[l - 1], a[l], layers[l][0], deltas[0], mask))
    k = 0
    for l in range(len(layers)):
        for a_i in [*passed_on(a[l], masks, l), 1.0]:  # the bias is the weight of an input that is always 1
            for delta_j in deltas[l]:
                g[k] = g[k] + a_i * delta_j
                k += 1
    return c * LOSSES[loss].value(z[-1], a[-1], t)


# Epochs (N8), and the twins of the public functions; randomness (N9) is in randomness.py.


def layers_of(parameters: Vector, sizes: tuple[int, ...]) -> list[Layer]:
    """The flat parameters as weights W[i][j] and biases b[j] of each layer."""
    rest, layers = iter(parameters), []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        W = [[next(rest) for _ in range(n_out)] for _ in range(n_in)]
        layers.append((W, [next(rest) for _ in range(n_out)]))
    return layers


def trained_indices(sizes: tuple[int, ...], train_biases: bool) -> list[int]:
    """Which of the flat parameters may move."""
    moves: list[bool] = []
    for n_in, n_out in zip(sizes, sizes[1:], strict=False):
        moves += [True] * n_in * n_out + [train_biases] * n_out
    return [k for k in range(len(moves)) if moves[k]]


def train_epoch(
    network: Network,
    w: Vector,
    moments: Rows,
    powers: Vector,
    streams: tuple[Stream, Stream],
    settings: Settings,
    X: Rows,
    y: Rows,
    c: Vector,
) -> tuple[float, str]:
    """Visit every row once; w, moments and powers move on after each batch. Return the loss, and why to end: ""."""
    update, total, of_all, n = UPDATE_RULES[settings.optimizer.rule], 0.0, 0.0, len(X)
    order = shuffled(streams[0], n) if settings.shuffle else list(range(n))
    size = settings.batch_size or n
    for first in range(0, n, size):
        batch = order[first : first + size]
        layers, g, C = layers_of(w, network.sizes), [0.0 for _ in w], 0.0
        for s in batch:
            masks = draw_masks(streams[1], settings.dropout, network.sizes)
            total = total + add_gradient(g, layers, network.activations, settings.loss, X[s], y[s], c[s], masks)
            C = C + c[s]
            of_all = of_all + c[s]
        if C == 0.0:  # no row counts: no step
            continue
        g = [g_k / C for g_k in g]
        trained = trained_indices(network.sizes, settings.train_biases)
        l1, l2, clip_norm = shaping_of(settings.optimizer)
        penalize(w, g, trained_indices(network.sizes, False), l1, l2)
        clip(g, clip_norm, trained)
        update(w, g, moments, powers, list(settings.optimizer.settings), trained)
    return total / of_all, ""


# An epoch of the optimizers that have no update rule, with the same arguments and results.
from .lbfgs import lbfgs_iteration  # noqa: E402 (it is made of what stands above)

METHODS = {"lbfgs": lbfgs_iteration, "levenberg_marquardt": levenberg_marquardt}


def data_of(network: Network, X: ArrayLike, y: ArrayLike, loss: str, sample_weight: ArrayLike | None = None) -> Data:
    """X and y as lists of rows; a class k is the row with 1.0 in column k and 0.0 elsewhere."""
    rows, n_out = finite("X", rows_of(network, X)), network.sizes[-1]
    targets = arguments.targets(y, len(rows), n_out, loss)
    if targets.ndim == 1:
        t = [[1.0 if j == k else 0.0 for j in range(n_out)] for k in targets.tolist()]
    else:
        t = finite("y", targets)
        check_targets(loss, t)
    return Data(rows, t, weights_of(sample_weight, len(rows)))


def continue_training(
    network: Network,
    X: ArrayLike,
    y: ArrayLike,
    settings: Settings,
    state: RunState,
    run: Run,
    sample_weight: ArrayLike | None = None,
) -> Training:
    """Train for some epochs more; the network stays as it is, the state's stream moves on."""
    stopping = settings.stopping
    split = parts(network, X, y, sample_weight, settings.loss, stopping, shuffled)
    data, watched = [data_of(network, one.X, one.y, settings.loss, one.sample_weight) for one in split]
    watcher = stopping and Watcher(stopping, lambda one: loss_of_rows(one, watched, settings.loss)[0], state.watch)
    w, moments, powers = network.parameters.tolist(), state.moments.tolist(), state.powers.tolist()
    losses, stream, stopped = state.losses.tolist(), arguments.started(state.stream), "epochs"
    streams = stream, state.dropout
    one_epoch, schedule = METHODS.get(settings.optimizer.rule, train_epoch), schedule_of(settings.optimizer)
    rates = None if schedule is None else Rates(schedule, watcher.losses if watcher else losses, exp, log)

    def snapshot(*moments: Vector) -> Network:
        if not all(math.isfinite(value) for values in (w, *moments) for value in values):
            raise DivergenceError(len(losses) - 1, losses)
        return network.with_parameters(w)

    def training() -> Training:
        last, watch = snapshot(*moments), None
        if watcher:
            last, watch = watcher.result(last)
        arrays = np.array(losses), np.array(moments).reshape(state.moments.shape), np.array(powers)
        return Training(last, stopped, settings, RunState(*arrays, stream, watch, state.dropout), continue_training)

    with progress_bar(run) as advance:
        for epoch in range(len(losses), len(losses) + run.epochs):
            now = settings
            if rates:
                now = settings._replace(optimizer=at_rate(settings.optimizer, rates.of(epoch)))
            loss, ended = one_epoch(network, w, moments, powers, streams, now, *data)
            losses.append(loss)
            if not math.isfinite(loss) or ended == "overflow":
                raise DivergenceError(epoch, losses)
            stopped = ended or stopped
            advance(1, losses[-1])
            if watcher:
                stopped = watcher.after(snapshot(), [losses]) or stopped
            if rates:
                rates.see(watcher.losses[-1] if watcher else losses[-1])
            if run.callback is not None and EpochState(epoch, losses[-1], snapshot).shown_to(run.callback):
                stopped = "callback"
            if stopped != "epochs":
                break
            if run.keeper:
                run.keeper.after(epoch + 1, training)
    return training()


def train(
    network: Network,
    X: ArrayLike,
    y: ArrayLike,
    *,
    loss: str | None = None,
    optimizer: Optimizer | None = None,
    epochs: int = 100,
    batch_size: int | None = None,
    shuffle: bool = True,
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
    state = start(network, settings, arguments.stream(rng))
    run = Run.checked(epochs, callback, progress, checkpoint)
    training = carry_on(continue_training, network, X, y, settings, state, run, sample_weight, rng)
    arguments.advance(rng, training._state.stream)
    return training


def predict(network: Network, X: ArrayLike) -> arguments.FloatArray:
    """`Network.predict` in plain Python."""
    rows, out = finite("X", rows_of(network, X)), []
    layers = layers_of(network.parameters.tolist(), network.sizes)
    for s, x in enumerate(rows):
        a, _ = forward(layers, network.activations, x)
        if not all(map(math.isfinite, a[-1])):
            raise arguments.result_not_finite("the prediction", s)
        out.append(a[-1])
    return np.array(out)


def loss_and_gradient(
    network: Network, X: ArrayLike, y: ArrayLike, loss: str | None = None, sample_weight: ArrayLike | None = None
) -> tuple[float, arguments.FloatArray]:
    """`backprop.loss_and_gradient` in plain Python."""
    value, g = mean_loss(network, X, y, loss, sample_weight)
    for k in range(len(g)):
        if not math.isfinite(g[k]):
            raise arguments.gradient_not_finite(k)
    return value, np.array(g)


def loss(
    network: Network, X: ArrayLike, y: ArrayLike, loss: str | None = None, sample_weight: ArrayLike | None = None
) -> float:
    """`Network.loss` in plain Python."""
    return mean_loss(network, X, y, loss, sample_weight)[0]


def mean_loss(
    network: Network, X: ArrayLike, y: ArrayLike, loss: str | None, sample_weight: ArrayLike | None
) -> tuple[float, Vector]:
    name = loss_of(network, loss)
    return loss_of_rows(network, data_of(network, X, y, name, sample_weight), name)


def loss_of_rows(network: Network, data: Data, name: str) -> tuple[float, Vector]:
    layers, g = layers_of(network.parameters.tolist(), network.sizes), [0.0] * network.n_parameters
    total, C = 0.0, 0.0
    for s in range(len(data.X)):
        total = total + add_gradient(g, layers, network.activations, name, data.X[s], data.y[s], data.c[s])
        C = C + data.c[s]
        if not math.isfinite(total):
            raise arguments.result_not_finite("the loss", s)
    return total / C, [g_k / C for g_k in g]
