"""The tutorial's worked example: every number of one step of backpropagation, under the tutorial's name for it.

The network has two inputs, two hidden and two output units, all logistic; the biases are not trained. Matt Mazur, "A
Step by Step Backpropagation Example", 2015.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from . import arguments
from .definition.losses import LOSSES, cross_entropy
from .definition.passes import derivatives, forward, hidden_deltas, node_deltas
from .definition.values import layers_of
from .derivatives import loss_and_gradient
from .network import Network, checked
from .optimizers import SGD
from .training import fast_train

# w1 and w2 lead from i1 and i2 to h1, w3 and w4 to h2; column j of W holds the weights into unit j.
NETWORK = Network.from_arrays(
    weights=[[[0.15, 0.25], [0.20, 0.30]], [[0.40, 0.50], [0.45, 0.55]]],
    biases=[[0.35, 0.35], [0.60, 0.60]],
    activation="logistic",
    output_activation="logistic",
)
INPUTS = (0.05, 0.10)
TARGETS = (0.01, 0.99)
LEARNING_RATE = 0.5


def walk(
    network: Network = NETWORK,
    x: npt.ArrayLike = INPUTS,
    t: npt.ArrayLike = TARGETS,
    *,
    learning_rate: float = LEARNING_RATE,
    loss: str | None = None,
    train_biases: bool = False,
) -> dict[str, float]:
    """Train one step on one sample, and return every number on the way in the tutorial's order.

    Parameters
    ----------
    network : Network
        A network with one hidden layer; by default that of the tutorial.
    x : array_like of shape (n_inputs,)
    t : array_like of shape (n_outputs,)
    learning_rate : float in (0, inf)
    loss : str or None
        As for `Network.loss`.
    train_biases : bool
        Whether to train the biases; the tutorial does not.

    Returns
    -------
    dict of str to float
        Units are counted from 1: ``i1``, ``h1``, ``o1``. So are weights: ``w1`` and on lead into h1, the next into h2,
        ..., o1, .... A bias has its unit's name: ``b_h1``. In order:

        * ``i1``, ``w1``, ``b_h1``, ``target_o1``: the given numbers;
        * ``net_h1``, ``out_h1``, ``net_o1``, ``out_o1``: the forward pass;
        * ``E_o1``, ``E_total``: the errors;
        * ``dE_total/dout_o1``, ``dout_o1/dnet_o1``, ``delta_o1``, ``dnet_o1/dw5``, ``dE_total/dw5``: the output layer.
          The first two only where the loss's delta is their product, as for the squared error;
        * ``dE_o1/dout_h1``, ``dE_total/dout_h1``, ``dout_h1/dnet_h1``, ``delta_h1``, ``dnet_h1/dw1``,
          ``dE_total/dw1``: the hidden layer, with the output weights as they were;
        * ``w1+`` (and ``b_h1+``): the new weights, all changed at once; ``E_total+``: the error with them.

    Raises
    ------
    TypeError, ValueError
        If the network has another number of hidden layers, or a shape or number does not fit.

    Examples
    --------
    >>> from backprop import tutorial
    >>> numbers = tutorial.walk()
    >>> f"{numbers['out_o1']:.8f} {numbers['E_total']:.9f} {numbers['w5+']:.8f}"
    '0.75136507 0.298371109 0.35891648'
    """
    if len(checked(network).sizes) != 3:
        raise ValueError(f"network must have one hidden layer, got {arguments.shown(network)}")
    (n_in, n_hidden, n_out), (hidden, output) = network.sizes, network.activations
    x, t = _vector("x", x, n_in), _vector("t", t, n_out)
    loss = arguments.loss_name(loss, output)
    E_total, gradient = loss_and_gradient(network, [x], [t], loss)
    inputs, targets = x.tolist(), t.tolist()
    layers = layers_of(network.parameters.tolist(), network.sizes)
    (_, h, o), (net_h, net_o) = forward(layers, network.activations, inputs)
    delta_o = node_deltas(loss, output, net_o, o, targets)
    delta_h = hidden_deltas(hidden, net_h, h, layers[1][0], delta_o)
    settings: Any = {"loss": loss, "optimizer": SGD(learning_rate), "epochs": 1, "train_biases": train_biases}
    step = fast_train(network, [x], [t], **settings).network

    w_h, b_h, w_o, b_o = _names(n_in, n_hidden, n_out)
    names = [name for row in (*w_h, b_h, *w_o, b_o) for name in row]  # in the order of the parameters
    w = dict(zip(names, network.parameters.tolist(), strict=True))
    dE_dw = dict(zip(names, gradient.tolist(), strict=True))
    new = dict(zip(names, step.parameters.tolist(), strict=True))
    weights = [w_h[i][j] for j in range(n_hidden) for i in range(n_in)]
    weights += [w_o[i][j] for j in range(n_out) for i in range(n_hidden)]

    numbers = {f"i{i + 1}": inputs[i] for i in range(n_in)}
    numbers |= {name: w[name] for name in (*weights, *b_h, *b_o)}
    numbers |= {f"target_o{j + 1}": targets[j] for j in range(n_out)}
    for layer, z, a in (("h", net_h, h), ("o", net_o, o)):
        for j in range(len(a)):
            numbers |= {f"net_{layer}{j + 1}": z[j], f"out_{layer}{j + 1}": a[j]}
    numbers |= _error_terms(loss, net_o, o, targets) | {"E_total": E_total}
    for j in range(n_out):
        if LOSSES[loss].through_activation:
            numbers[f"dE_total/dout_o{j + 1}"] = LOSSES[loss].slope(o[j], targets[j])
            numbers[f"dout_o{j + 1}/dnet_o{j + 1}"] = derivatives(output, net_o, o)[j]
        numbers[f"delta_o{j + 1}"] = delta_o[j]
        for i in range(n_hidden):
            numbers |= {f"dnet_o{j + 1}/d{w_o[i][j]}": h[i], f"dE_total/d{w_o[i][j]}": dE_dw[w_o[i][j]]}
    for i in range(n_hidden):
        total = 0.0
        for j in range(n_out):
            part = delta_o[j] * w[w_o[i][j]]
            total = total + part
            numbers[f"dE_o{j + 1}/dout_h{i + 1}"] = part
        numbers[f"dE_total/dout_h{i + 1}"] = total
        numbers[f"dout_h{i + 1}/dnet_h{i + 1}"] = derivatives(hidden, net_h, h)[i]
        numbers[f"delta_h{i + 1}"] = delta_h[i]
        for k in range(n_in):
            numbers |= {f"dnet_h{i + 1}/d{w_h[k][i]}": inputs[k], f"dE_total/d{w_h[k][i]}": dE_dw[w_h[k][i]]}
    numbers |= {f"{name}+": new[name] for name in weights}
    if train_biases:
        numbers |= {f"{name}+": new[name] for name in (*b_h, *b_o)}
    return _finite(numbers | {"E_total+": step.loss([x], [t], loss)})


def _finite(numbers: dict[str, float]) -> dict[str, float]:
    """The numbers themselves, or an error that names the first that is not finite."""
    for name, value in numbers.items():
        if not math.isfinite(value):
            raise OverflowError(f"{name} is not finite: the network's weights or x are too large")
    return numbers


def _names(n_in: int, n_hidden: int, n_out: int) -> tuple[list[list[str]], list[str], list[list[str]], list[str]]:
    """The tutorial's names of the hidden layer's W[i][j] and b[j], and of the output layer's.

    The weights into unit j are numbered one after the other, so W[i][j] of the hidden layer is w(j*n_in + i + 1).
    """
    w_h = [[f"w{j * n_in + i + 1}" for j in range(n_hidden)] for i in range(n_in)]
    w_o = [[f"w{n_hidden * (n_in + j) + i + 1}" for j in range(n_out)] for i in range(n_hidden)]
    return w_h, [f"b_h{j + 1}" for j in range(n_hidden)], w_o, [f"b_o{j + 1}" for j in range(n_out)]


def _error_terms(loss: str, z: list[float], o: list[float], t: list[float]) -> dict[str, float]:
    """The term of each output in the total error."""
    return {f"E_o{j + 1}": _error_of(loss, z, o, t, j) for j in range(len(o))}


def _vector(argument: str, values: npt.ArrayLike, length: int) -> arguments.FloatArray:
    """A sample's inputs or targets."""
    vector = arguments.float64(arguments.array(argument, values, (1,), f"({length},)"))
    if vector.shape != (length,):
        raise ValueError(f"{argument} must have shape ({length},), got {vector.shape}")
    if not np.isfinite(vector).all():
        raise ValueError(f"{argument} must be finite, got {arguments.shown(vector.tolist())}")
    return vector


def _error_of(loss: str, z: list[float], o: list[float], t: list[float], j: int) -> float:
    """The term of one output in the total error."""
    if loss == "cross_entropy":  # term j: the softmax of all outputs, but only the target of output j
        return cross_entropy(z, o, [t[k] if k == j else 0.0 for k in range(len(t))])
    return LOSSES[loss].value(z[j : j + 1], o[j : j + 1], t[j : j + 1])


# The printed page, with as many digits as the tutorial has: {name:.9f} stands for a number of `walk`.
PAGE = """\
A step of backpropagation, by hand: two inputs, two hidden units, two outputs, all logistic.
  i1 = {i1:.2f}  i2 = {i2:.2f}   targets {target_o1:.2f} and {target_o2:.2f}   learning rate eta = {eta:.1f}
  w1 = {w1:.2f}  w2 = {w2:.2f}  w3 = {w3:.2f}  w4 = {w4:.2f}   b1 = {b_h1:.2f}
  w5 = {w5:.2f}  w6 = {w6:.2f}  w7 = {w7:.2f}  w8 = {w8:.2f}   b2 = {b_o1:.2f}

The forward pass
  net_h1 = w1 * i1 + w2 * i2 + b1 * 1 = {w1} * {i1} + {w2} * {i2} + {b_h1} * 1 = {net_h1:.4f}
  out_h1 = 1/(1 + e^-net_h1) = {out_h1:.9f}
  net_h2 = w3 * i1 + w4 * i2 + b1 * 1 = {net_h2:.4f}
  out_h2 = {out_h2:.9f}
  net_o1 = w5 * out_h1 + w6 * out_h2 + b2 * 1
         = {w5} * {out_h1:.9f} + {w6} * {out_h2:.9f} + {b_o1} * 1 = {net_o1:.9f}
  out_o1 = 1/(1 + e^-net_o1) = {out_o1:.8f}
  net_o2 = w7 * out_h1 + w8 * out_h2 + b2 * 1 = {net_o2:.9f}
  out_o2 = {out_o2:.9f}

The total error
  E_o1 = 1/2 (target_o1 - out_o1)^2 = 1/2 ({target_o1} - {out_o1:.8f})^2 = {E_o1:.9f}
  E_o2 = {E_o2:.9f}
  E_total = E_o1 + E_o2 = {E_total:.9f}

The backward pass: the output layer
  dE_total/dw5 = dE_total/dout_o1 * dout_o1/dnet_o1 * dnet_o1/dw5
    dE_total/dout_o1 = -(target_o1 - out_o1) = {dE_total/dout_o1:.8f}
    dout_o1/dnet_o1  = out_o1 (1 - out_o1) = {dout_o1/dnet_o1:.9f}
    dnet_o1/dw5      = out_h1 = {dnet_o1/dw5:.9f}
  dE_total/dw5 = {dE_total/dout_o1:.8f} * {dout_o1/dnet_o1:.9f} * {dnet_o1/dw5:.9f} = {dE_total/dw5:.9f}
  delta_o1 = dE_total/dout_o1 * dout_o1/dnet_o1 = {delta_o1:.9f}
  delta_o2 = {delta_o2:.9f}
  w5+ = w5 - eta * dE_total/dw5 = {w5} - {eta} * {dE_total/dw5:.9f} = {w5+:.8f}
  w6+ = {w6+:.9f}
  w7+ = {w7+:.9f}
  w8+ = {w8+:.9f}

The backward pass: the hidden layer, with w5 to w8 as they were
  dE_total/dw1 = dE_total/dout_h1 * dout_h1/dnet_h1 * dnet_h1/dw1
    dE_o1/dout_h1    = delta_o1 * w5 = {delta_o1:.9f} * {w5:.2f} = {dE_o1/dout_h1:.9f}
    dE_o2/dout_h1    = delta_o2 * w7 = {dE_o2/dout_h1:.9f}
    dE_total/dout_h1 = {dE_o1/dout_h1:.9f} + {dE_o2/dout_h1:.9f} = {dE_total/dout_h1:.9f}
    dout_h1/dnet_h1  = out_h1 (1 - out_h1) = {dout_h1/dnet_h1:.9f}
    dnet_h1/dw1      = i1 = {dnet_h1/dw1:.2f}
  dE_total/dw1 = {dE_total/dout_h1:.9f} * {dout_h1/dnet_h1:.9f} * {dnet_h1/dw1:.2f} = {dE_total/dw1:.9f}
  delta_h1 = dE_total/dout_h1 * dout_h1/dnet_h1 = {delta_h1:.9f}
  delta_h2 = {delta_h2:.9f}
  w1+ = w1 - eta * dE_total/dw1 = {w1} - {eta} * {dE_total/dw1:.9f} = {w1+:.9f}
  w2+ = {w2+:.8f}
  w3+ = {w3+:.8f}
  w4+ = {w4+:.8f}

All eight weights change at once. The error was {E_total:.9f}, now it is {E_total+:.9f}.
"""

NOTE = """\
Differences from the tutorial. The numbers that it derives by hand agree with those above to its last digit, but for
dE_o2/dout_h1, where it prints -0.019049119 for -0.019049118. Its closing numbers do not follow from its text. The error
0.291027924 after one step, and the outputs 0.015912196 and 0.984065734 after 10,000 steps, result if the hidden deltas
are computed with the updated w5 to w8. The text says to use the original weights. This program does so, and its error
after one step is 0.291027774. The tutorial's 0.0000351085 is the error with the original weights after 9,999 steps.
"""
