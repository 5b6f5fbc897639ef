"""Dropout: the share of hidden units that a row does without while it trains. The rules: reference/dropout.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import arguments


@dataclass(frozen=True)
class Dropout:
    """Hidden units are dropped at random while training, anew for each row, so that none relies on a few others.

    Parameters
    ----------
    rate : float in [0, 1), or a sequence of them
        The share of units that is dropped: of all hidden layers, or of each. 0.0 drops nothing.
    rng : int >= 0, default 0
        Seeds the draw of the units, a stream of its own.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov 2014, in the form that multiplies what is kept by
    ``1/(1 - rate)`` while training. Predictions, `Network.loss` and the losses that `EarlyStopping` watches are of the
    whole network, so the losses of the epochs, which are with units dropped, are mostly above them.

    Examples
    --------
    >>> import backprop
    >>> X, y = [[0.0], [0.5], [1.0]], [0.0, 0.25, 1.0]
    >>> net = backprop.Network([1, 8, 8, 1])
    >>> run = backprop.fast_train(net, X, y, epochs=5, dropout=backprop.Dropout([0.0, 0.25]))
    >>> run.settings.dropout
    Dropout(rate=(0.0, 0.25), rng=0)
    """

    rate: float | Sequence[float]
    rng: int = 0

    def __post_init__(self) -> None:
        rate: Any = self.rate
        if isinstance(rate, list | tuple | np.ndarray) and getattr(rate, "ndim", 1) > 0:
            rate = tuple(arguments.number(f"rate[{l}]", one, "[0, 1)") for l, one in enumerate(rate))
        else:
            rate = arguments.number("rate", rate, "[0, 1)")
        object.__setattr__(self, "rate", rate)
        object.__setattr__(self, "rng", arguments.integer("rng", self.rng, 0))

    def rates(self, sizes: tuple[int, ...]) -> tuple[float, ...]:
        """The rate of each hidden layer of a network of these sizes."""
        n_hidden = len(sizes) - 2
        if isinstance(self.rate, float):
            return (self.rate,) * n_hidden
        if len(self.rate) != n_hidden:
            raise ValueError(
                f"dropout must have a rate for each of {n_hidden} hidden layers, or one for all, "
                f"got {len(self.rate)} rates"
            )
        return tuple(self.rate)

    def stream(self, sizes: tuple[int, ...]) -> Any:
        """The stream that the units are drawn from; None if nothing is dropped."""
        if not any(arguments.within(rate, "(0, 1)") for rate in self.rates(sizes)):
            return None
        return np.random.PCG64(np.random.SeedSequence(self.rng, spawn_key=(1,)))
