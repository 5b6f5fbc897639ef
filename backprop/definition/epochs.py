"""Epochs (N8): a visit to every row, and a step after each batch."""

from .blocks import blocks, sum_of_rows, tree_sum
from .dropout import draw_masks
from .lbfgs import lbfgs_iteration
from .levenberg_marquardt import levenberg_marquardt
from .passes import add_gradient
from .penalties import clip, penalize
from .randomness import block_shuffled, shuffled
from .updates import UPDATE_RULES
from .values import Architecture, Dataset, Hyperparameters, Matrix, NextWord, Vector, layers_of, trained_indices


def visiting_order(next_word: NextWord, n: int, settings: Hyperparameters) -> list[int]:
    """The rows 0, ..., n - 1 in the order of an epoch; no word is drawn for a batch that holds all rows."""
    if settings.shuffle is False or settings.batch_size >= n:
        return list(range(n))
    return shuffled(next_word, n) if settings.shuffle is True else block_shuffled(next_word, n, *settings.shuffle)


def train_epoch(
    network: Architecture,
    w: Vector,
    slots: Matrix,
    scalars: Vector,
    next_word: NextWord,
    next_dropout_word: NextWord,
    settings: Hyperparameters,
    data: Dataset,
) -> tuple[float, str]:
    """Visit every row once and update w, slots and scalars after each batch. Return the mean loss, and ""."""
    update, n = UPDATE_RULES[settings.rule], len(data.X)
    order = visiting_order(next_word, n, settings)
    losses: Vector = []  # of the rows in visiting order
    for first in range(0, n, settings.batch_size):
        batch = order[first : first + settings.batch_size]
        layers, gradients = layers_of(w, network.sizes), []
        for block in blocks(batch):
            g = [0.0 for _ in w]
            for s in block:
                masks = draw_masks(next_dropout_word, settings.dropout_rates, network.sizes)
                x, t, weight = data.X[s], data.y[s], data.sample_weight[s]
                losses.append(add_gradient(g, layers, network.activations, settings.loss, x, t, weight, masks))
            gradients.append(g)
        batch_weight = sum_of_rows([data.sample_weight[s] for s in batch])
        if batch_weight == 0.0:  # all rows of the batch have the weight 0.0: no step
            continue
        g = [g_k / batch_weight for g_k in tree_sum(gradients)]
        trained = trained_indices(network.sizes, settings.train_biases)
        penalize(w, g, trained_indices(network.sizes, False), settings.l1, settings.l2)
        clip(g, settings.clip_norm, trained)
        update(w, g, slots, scalars, settings.settings, trained)
    return sum_of_rows(losses) / sum_of_rows([data.sample_weight[s] for s in order]), ""


# Full-batch methods, with the arguments of train_epoch. An epoch is one iteration. The second result is the reason why
# the method ends, or "".
METHODS = {"lbfgs": lbfgs_iteration, "levenberg_marquardt": levenberg_marquardt}
