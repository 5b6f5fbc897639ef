"""Dropout: its settings, checked once. The computation is in definition/dropout.py."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import arguments
from .hints import hinted_class


@hinted_class
@dataclass(frozen=True)
class Dropout:
    """Dropout: in training, a random share of the hidden units is set to 0.0, drawn separately for each row.

    Parameters
    ----------
    rate : float in [0, 1), or a sequence of them
        The probability that a unit is dropped: one for all hidden layers, or one for each. 0.0 drops nothing.
    rng : int >= 0, default 0
        Seed of the dropped units' random stream, which is separate from the one that shuffles the rows.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range.

    Notes
    -----
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov 2014, as inverted dropout: in training, the outputs of
    the units that are kept are multiplied by ``1/(1 - rate)``. Predictions, `Network.loss` and the losses that
    `EarlyStopping` watches use all units. The epochs' losses are computed with units dropped and are mostly higher.

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
        """The bit generator that dropped units are drawn from; None if no unit is ever dropped."""
        if not any(arguments.within(rate, "(0, 1)") for rate in self.rates(sizes)):
            return None
        return np.random.PCG64(np.random.SeedSequence(self.rng, spawn_key=(1,)))
