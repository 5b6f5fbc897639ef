"""The forward and the backward pass: net input, squash, node deltas, hidden deltas, gradient; all rows."""

import math

from .activations import ACTIVATIONS, softmax_sum
from .blocks import blocks, sum_of_rows, tree_sum
from .dropout import masked
from .losses import LOSSES
from .values import Architecture, Dataset, Layer, Matrix, Vector, first_not_finite, layers_of

# The forward pass: the total net input (N2), then the activation function.


def net_input(x: Vector, W: Matrix, b: Vector) -> Vector:
    """z[j] = x[0]*W[0][j] + x[1]*W[1][j] + ... + b[j], summed in this order from 0.0."""
    z = []
    for j in range(len(b)):
        z_j = 0.0
        for i in range(len(x)):
            z_j = z_j + x[i] * W[i][j]
        z.append(z_j + b[j])
    return z


def squash(name: str, z: Vector) -> Vector:
    """A layer's outputs from its net inputs. To squash is the tutorial's word: to apply the activation function."""
    if name == "softmax":
        _, e, S = softmax_sum(z)
        return [e_j / S for e_j in e]
    return [ACTIVATIONS[name].value(z_j) for z_j in z]


def passed_on(a: Vector, masks: Matrix | None, l: int) -> Vector:
    """The inputs of layer l: the outputs a of the layer below, times their dropout masks if there are any."""
    return a if masks is None or l == 0 else masked(a, masks[l - 1])


def forward(
    layers: list[Layer], activations: tuple[str, ...], x: Vector, masks: Matrix | None = None
) -> tuple[Matrix, Matrix]:
    """The activations of every layer, the input first; and the net inputs of every layer but the input."""
    a: Matrix = [x]
    z: Matrix = []
    for l, ((W, b), name) in enumerate(zip(layers, activations, strict=True)):
        z.append(net_input(passed_on(a[-1], masks, l), W, b))
        a.append(squash(name, z[-1]))
    return a, z


# The backward pass: node deltas, hidden deltas (N5), gradient (N6).


def derivatives(name: str, z: Vector, a: Vector) -> Vector:
    """The activation's derivative for each unit of a layer, from z or from a."""
    row = ACTIVATIONS[name]
    return [row.derivative(of) for of in (z if row.of_z else a)]


def node_deltas(loss: str, name: str, z: Vector, o: Vector, t: Vector) -> Vector:
    """Deltas of the outputs: the loss's slope, times the activation's derivative unless the slope has it already."""
    slopes = [LOSSES[loss].slope(o[j], t[j]) for j in range(len(o))]
    if not LOSSES[loss].through_activation:
        return slopes
    return [slope * derivative for slope, derivative in zip(slopes, derivatives(name, z, o), strict=True)]


def hidden_deltas(name: str, z: Vector, a: Vector, W: Matrix, delta: Vector, mask: Vector | None = None) -> Vector:
    """Deltas of a hidden layer with outputs a, from those of the layer above, with its weights W before the step."""
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
    activations: tuple[str, ...],
    loss: str,
    x: Vector,
    t: Vector,
    weight: float,
    masks: Matrix | None = None,
) -> float:
    """Add one sample's gradient times its weight (N17) to g, flat as the parameters are; return its weighted loss."""
    a, z = forward(layers, activations, x, masks)
    deltas = [[weight * delta_j for delta_j in node_deltas(loss, activations[-1], z[-1], a[-1], t)]]
    for l in range(len(layers) - 1, 0, -1):
        mask = None if masks is None else masks[l - 1]
        deltas.insert(0, hidden_deltas(activations[l - 1], z[l - 1], a[l], layers[l][0], deltas[0], mask))
    k = 0
    for l in range(len(layers)):
        for a_i in [*passed_on(a[l], masks, l), 1.0]:  # the bias is the weight of an input that is always 1
            for delta_j in deltas[l]:
                g[k] = g[k] + a_i * delta_j
                k += 1
    return weight * LOSSES[loss].value(z[-1], a[-1], t)


# Functions of all rows, in their order.


def predict(network: Architecture, w: Vector, X: Matrix) -> tuple[Matrix, int]:
    """The outputs for each row, up to the first row whose outputs are not all finite; that row's index, or -1."""
    layers = layers_of(w, network.sizes)
    out: Matrix = []
    for s in range(len(X)):
        a, _ = forward(layers, network.activations, X[s])
        if first_not_finite(a[-1]) >= 0:
            return out, s
        out.append(a[-1])
    return out, -1


def mean_loss(network: Architecture, w: Vector, loss: str, data: Dataset) -> tuple[float, Vector, int]:
    """The mean loss of all rows in their order, its gradient, and the row at which a block's sum overflows, or -1.

    The first sum that overflows is returned instead of the mean.
    """
    layers = layers_of(w, network.sizes)
    totals, gradients = [], []
    for block in blocks(range(len(data.X))):
        total, g = 0.0, [0.0 for _ in w]
        for s in block:
            x, t, weight = data.X[s], data.y[s], data.sample_weight[s]
            total = total + add_gradient(g, layers, network.activations, loss, x, t, weight)
            if not math.isfinite(total):
                return total, g, s
        totals.append([total])
        gradients.append(g)
    total_weight = sum_of_rows(data.sample_weight)
    return tree_sum(totals)[0] / total_weight, [g_k / total_weight for g_k in tree_sum(gradients)], -1
