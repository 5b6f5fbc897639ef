"""Passes of the kernel through a network: the predictions of many rows, their mean loss and its gradient."""

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from . import _kernel, arguments
from .arguments import FloatArray
from .matrices import RowsLike
from .samples import Samples, finite, windows_of
from .sources import Source, Windows
from .threads import ThreadPolicy


class Parametrized(Protocol):
    """The part of a Network that a pass needs."""

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of the layers, the input first."""

    @property
    def activations(self) -> tuple[str, ...]:
        """The name of each layer's activation, the output's last."""

    @property
    def parameters(self) -> FloatArray:
        """All parameters (n_parameters,)."""

    @property
    def n_parameters(self) -> int:
        """The number of weights and biases."""


def predictions(
    network: Parametrized,
    X: RowsLike,
    n_threads: int | None,
    policy: ThreadPolicy,
    error: Callable[[int], Exception] | None = None,
) -> FloatArray:
    """The outputs (n_samples, n_outputs) for the rows X; several threads work where that pays.

    error(s) makes the exception for the first row s whose output is not finite.
    """
    rows = arguments.rows(X, network.sizes[0])
    try:
        out = np.empty((rows.shape[0], network.sizes[-1]))
    except MemoryError:
        what, n_bytes = f"the prediction of X, {rows.shape[0]} rows,", 8 * rows.shape[0] * network.sizes[-1]
        raise arguments.too_much_memory(what, n_bytes, "predict some rows of X at a time") from None
    count = policy.threads_for(n_threads, rows.shape[0] * network.n_parameters)
    for first, part in windows_of(rows):
        part_of_out = out[first : first + part.shape[0]]
        row = _kernel.predict(
            network.sizes, network.activations, network.parameters, part, part_of_out, count, policy.thread_work
        )
        if row >= 0:
            finite(_kernel, "X", rows)
            row += first
            raise error(row) if error else arguments.result_not_finite("the prediction", row)
    return out


def loss_of_samples(
    network: Parametrized,
    samples: Samples,
    loss: str,
    n_threads: int | None,
    policy: ThreadPolicy,
    gradient: FloatArray | None = None,
    error: Callable[[int], Exception] | None = None,
) -> float:
    """The mean loss of samples; the gradient is written to `gradient` if an array (n_parameters,) is given.

    error(s) makes the exception for the first row s at which the sum of the losses is not finite.
    """
    mean, overflow = loss_pass(network, samples, loss, n_threads, policy, gradient)
    if overflow >= 0 or not math.isfinite(mean):
        raise error(overflow) if error and overflow >= 0 else samples.loss_not_finite(overflow)
    return mean


def loss_pass(
    network: Parametrized,
    samples: Samples,
    loss: str,
    n_threads: int | None,
    policy: ThreadPolicy,
    gradient: FloatArray | None,
) -> tuple[float, int]:
    """The mean loss, and the row at which the sum of losses stopped being finite, or -1."""
    work = _kernel.Pass(
        network.sizes,
        network.activations,
        network.parameters,
        gradient,
        samples.n_samples,
        policy.threads_for(n_threads, samples.n_samples * network.n_parameters),
        policy.thread_work,
    )
    sums = _kernel.LossPass(work, data_of(samples), loss, search=not samples.searched)
    while not sums.run():
        pass
    if sums.not_finite or (not samples.searched and sums.overflow >= 0):  # X comes first, in rows not yet read too
        finite(_kernel, "X", samples.X)
        if sums.not_finite:
            raise ValueError("X has changed while it was read; nothing else may write to it meanwhile")
    return sums.total, sums.overflow


def data_of(samples: Samples, stream: Any = None, block_rows: int = 1, window: int = 1) -> _kernel.Data:
    """The samples for the kernel: in memory, or window by window; a stream shuffles those (see `sources.Windows`)."""
    X, y, sample_weight, total_weight = samples[:4]
    chosen = samples.chosen
    if not samples.from_source:
        return _kernel.Data(X, y, sample_weight, total_weight, None, chosen)
    if chosen is not None:
        X, y = (part.take(chosen) if isinstance(part, Source) else part[chosen] for part in (X, y))
        sample_weight = None if sample_weight is None else sample_weight[chosen]
    windows = Windows(X, y, sample_weight, stream, block_rows, window, samples.searched)
    return _kernel.Data(None, None, sample_weight, total_weight, windows)
