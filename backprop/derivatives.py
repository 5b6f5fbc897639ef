"""Derivatives of a network: the gradient of the mean loss."""

import numpy as np
import numpy.typing as npt

from . import _kernel, arguments
from .arguments import FloatArray
from .network import Network, checked, mean_loss


def loss_and_gradient(
    network: Network,
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    loss: str | None = None,
    sample_weight: npt.ArrayLike | None = None,
) -> tuple[float, FloatArray]:
    """The mean loss over all rows and its gradient.

    Parameters
    ----------
    network : Network
    X : array_like of shape (n_samples, n_features)
    y : array_like of shape (n_samples, n_outputs), or (n_samples,)
    loss : str or None
    sample_weight : array_like of shape (n_samples,), or None
        As for `Network.loss`.

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
        If a row's loss, the sum of losses, or the gradient is not finite.

    Examples
    --------
    >>> import backprop
    >>> net = backprop.Network([1, 1]).with_parameters([2.0, 0.0])
    >>> backprop.loss_and_gradient(net, [[1.0], [2.0]], [1.0, 4.0])
    (0.25, array([0.5, 0.5]))
    """
    gradient = np.empty(checked(network).n_parameters)
    value = mean_loss(network, X, y, loss, sample_weight, gradient)
    k = _kernel.first_not_finite(gradient)
    if k >= 0:
        raise arguments.gradient_not_finite(k)
    return value, gradient
