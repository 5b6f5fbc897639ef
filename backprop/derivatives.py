"""Derivatives of a network: the gradient of the mean loss."""

import math

import numpy as np
import numpy.typing as npt

from . import _kernel, arguments, threads
from .arguments import FloatArray
from .matrices import RowsLike, TargetsLike
from .network import Network, checked
from .passes import loss_of_samples, loss_pass
from .samples import Samples, loss_and_samples


def loss_and_gradient(
    network: Network,
    X: RowsLike,
    y: TargetsLike,
    loss: str | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> tuple[float, FloatArray]:
    """The mean loss over all rows and its gradient.

    Parameters
    ----------
    network : Network
    X : array_like, sparse matrix or rows on disk, of shape (n_samples, n_features)
    y : array_like or rows on disk, of shape (n_samples, n_outputs), or (n_samples,)
    loss : str or None
    sample_weight : array_like of shape (n_samples,), or None
        As for `Network.loss`; rows on disk are read piece by piece (docs/large-data.md).

    Returns
    -------
    loss : float
    gradient : ndarray of shape (n_parameters,)
        In the order of `Network.parameters`.

    Raises
    ------
    TypeError, ValueError
        If a shape does not fit, a number is not finite, or a target or weight is out of its range.
    OverflowError
        If a row's loss, the sum of losses, or the gradient is not finite; the message names the first such row.

    Examples
    --------
    >>> import backprop
    >>> net = backprop.Network([1, 1]).with_parameters([2.0, 0.0])
    >>> backprop.loss_and_gradient(net, [[1.0], [2.0]], [1.0, 4.0])
    (0.25, array([0.5, 0.5]))
    """
    sizes, activations = checked(network).sizes, network.activations
    name, samples = loss_and_samples(_kernel, sizes, activations, X, y, loss, sample_weight, search=False)
    gradient = np.empty(network.n_parameters)
    value = loss_of_samples(network, samples, name, None, threads.POLICY, gradient)
    k = _kernel.first_not_finite(gradient)
    if k >= 0:
        raise arguments.gradient_not_finite(k, overflow_of_gradient(network, samples, name, k))
    return value, gradient


def overflow_of_gradient(network: Network, samples: Samples, loss: str, k: int) -> int:
    """The first row at which a block's sum for parameter k stops being finite; -1: each is finite, their mean is not.

    A sum that is not finite stays so: the row in the block is found by halving. With a total weight of 1.0, a mean is
    the sum.
    """
    gradient = np.empty(network.n_parameters)

    def sum_is_finite(first: int, last: int) -> bool:
        X, y, weights, *_ = samples
        part = Samples(X[first:last], y[first:last], None if weights is None else weights[first:last], 1.0)
        loss_pass(network, part, loss, None, threads.POLICY, gradient)
        return math.isfinite(gradient[k])

    for first in range(0, samples.n_samples, _kernel.BLOCK):
        low, high = first, min(first + _kernel.BLOCK, samples.n_samples)
        if sum_is_finite(first, high):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if sum_is_finite(first, middle) else (low, middle)
        return low
    return -1
