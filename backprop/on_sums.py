"""train_on_sums(): training on rows that are elsewhere, on a cluster or on disks, under any engine."""

from .checkpoint import Checkpoint
from .elsewhere import OnSums, Sums
from .hints import hinted
from .network import Network
from .optimizers import FULL_BATCH, LBFGS, Optimizer
from .run import Callback, Run
from .state import Result, Settings
from .stopping import EarlyStopping
from .training import Training, train_elsewhere

DEFAULT_OPTIMIZER = LBFGS()


@hinted
def train_on_sums(
    network: Network,
    sums: Sums,
    *,
    optimizer: Optimizer = DEFAULT_OPTIMIZER,
    epochs: int = 100,
    loss: str | None = None,
    train_biases: bool = True,
    stopping: EarlyStopping | None = None,
    checkpoint: Checkpoint | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Training:
    """Train a network on rows that are elsewhere, with the bits of `fast_train` on all rows in one process.

    Each step takes all rows at once. The loop runs in this process; wherever it needs sums over the rows, it calls
    `sums`.

    Parameters
    ----------
    network : Network
        The network to start from; it does not change.
    sums : callable
        ``sums(network, of)`` returns parts that cover all rows, in any order: an iterable of what
        ``partial_sums(network, ..., of=of)`` gives, or of the bytes of such. `of` is "gradient", "loss" or, for
        LevenbergMarquardt, "normal_equations". The network has the current parameters, which need not be finite; it can
        be pickled.
    optimizer : LBFGS, LevenbergMarquardt, Rprop, SGD, Adam, AdamW or RMSprop
        With the update rules an epoch is one step, as in `fast_train` with ``batch_size=n_rows``.
    epochs, loss, train_biases, callback, progress
        As for `fast_train`. `loss` must be that of the parts.
    stopping : EarlyStopping or None
        Without validation_data, the loss of the training rows is watched, by ``sums(network, "loss")``. A
        validation_fraction is not possible.
    checkpoint : Checkpoint or None
        As for `fast_train`; rows are recognized by their first sums.

    Returns
    -------
    Training
        Its ``resume`` goes on in one process, its ``resume_on_sums`` on rows elsewhere, both with the same bits.

    Raises
    ------
    TypeError, ValueError
        As for `fast_train`; also if `sums` is no function, or returns something else than parts of this network, loss
        and kind that cover all rows.
    DivergenceError, OverflowError, OSError, CheckpointError
        As for `fast_train`.
    Exception
        Whatever `sums` raises, unchanged; nothing is left half done.

    Notes
    -----
    Sums are asked for once at each network; those of the last call are kept, and its loss is not asked for again.

    Examples
    --------
    >>> import backprop, numpy as np
    >>> X = np.linspace(-1.0, 1.0, 10000)[:, None]
    >>> y, net = X**2, backprop.Network([1, 3, 1])
    >>> def sums(network, of):  # one part after the other; docs/partial-sums.md has a process pool and MPI
    ...     for first in range(0, 10000, 4096):
    ...         rows = slice(first, first + 4096)
    ...         yield backprop.partial_sums(network, X[rows], y[rows], of=of, first_row=first, n_rows=10000)
    >>> run = backprop.train_on_sums(net, sums, epochs=5)
    >>> run.network == backprop.fast_train(net, X, y, optimizer=backprop.LBFGS(), epochs=5).network
    True
    """
    optimizer = DEFAULT_OPTIMIZER if optimizer is None else optimizer
    settings = Settings.checked(network, loss, optimizer, None, True, train_biases, stopping)
    run = Run.checked(epochs, callback, progress, checkpoint)
    engine = OnSums(sums, settings)
    rows = engine.rows(network)
    if not isinstance(optimizer, FULL_BATCH):
        settings = settings._replace(batch_size=rows.n_samples)
    return train_elsewhere(engine, Result.first(network, settings, 0), rows, run)
