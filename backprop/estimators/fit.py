"""The epochs of one call of fit or partial_fit: the record of each epoch, and the rule when to stop.

Everything that changes with the epochs is in `Progress`, which is replaced as a whole after each epoch. A fit that
Ctrl-C interrupts is set back to the end of its last epoch and can be continued from there, bit for bit.
"""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import _kernel, engine, threads
from ..arguments import FloatArray
from ..errors import DivergenceError
from ..network import Network, loss_of_samples
from ..run import Callback, EpochState, Run
from ..samples import Samples
from ..state import Result, Settings
from ..training import Training, train_or_resume
from .rows import Rows

SLICE = 0.25  # seconds between two copies of the state; at Ctrl-C the epochs since the last copy are computed again
SMALLEST_RATE = 1e-6  # the learning rate at which "adaptive" ends
SHRINK = 5.0  # the factor by which "adaptive" divides the learning rate
FLAT_DESCENT = (
    2.220446049250313e-09  # lbfgs ends when an iteration lowers the loss by less than this share, as in SciPy
)


class FitDivergenceError(DivergenceError):
    """`backprop.DivergenceError`, whose message ends with scikit-learn's."""

    def __str__(self) -> str:
        return (
            f"{super().__str__()}. Solver produced non-finite parameter weights. The input data may contain large "
            "values and need to be preprocessed."
        )


class Progress(NamedTuple):
    """The progress of a fit; warm starts and further calls of partial_fit continue it."""

    epochs: int = 0  # epochs of this call
    seen: int = 0  # rows visited in all calls
    loss: float = math.inf  # the loss of the last epoch
    watch: str = ""  # the watched quantity, as in Rule; a change resets lowest, best and unimproved
    lowest: float = math.inf  # the lowest watched loss, or the negative of the highest score
    best: Network | None = None  # the network with the lowest validation loss or highest score
    unimproved: int = 0  # epochs in a row without an improvement
    rate: float | None = None  # the learning rate of "adaptive"
    evaluations: int = 0  # evaluations of the loss by lbfgs in this call
    lengths: tuple[int, int, int] = (0, 0, 0)  # the lengths of the three curves


class Curves(NamedTuple):
    """The curves of a fit: a number for each epoch of all calls."""

    losses: list[float]
    scores: list[float]
    watched: list[float]

    def cut(self, lengths: tuple[int, int, int]) -> None:
        """Cut each curve to its length."""
        for curve, length in zip(self, lengths, strict=True):
            del curve[length:]


class Rule(NamedTuple):
    """The rule when to stop a fit, and the functions to evaluate after each epoch."""

    max_epochs: int
    max_evaluations: int
    tol: float
    patience: float
    watch: str  # the watched quantity: training "loss", its "descent", validation "score" or "validation_loss"
    verbose: bool
    score: Callable[[Network], float] | None
    watched_loss: Callable[[Network], float] | None
    callback: Callback | None


class Fit:
    """The fit of one call: `train` follows the rule and replaces `training`, `progress` and `curves`."""

    def __init__(
        self,
        rule: Rule,
        rows: Rows,
        settings: dict[str, Any],
        l2: float,
        reported: Callable[[float], float],
        start: Network,
        training: Training | None,
        progress: Progress,
        curves: Curves,
    ) -> None:
        self.rule, self.rows, self.settings, self.start = rule, rows, settings, start
        self.samples = Samples.checked(_kernel, start.sizes, rows.X, rows.y, settings["loss"], rows.weight)
        self.l2, self.reported = l2, reported
        self.training, self.progress, self.curves = training, progress, curves
        self.why = ""
        self.penalty_before = 0.0  # the penalty of the weights before the current epoch
        self.began = 0.0  # when the current call of the kernel began
        self.evaluated = 0  # evaluations of the loss before this call of the kernel

    def train(self) -> str:
        """Train until the rule, the optimizer, a callback or Ctrl-C ends the fit; return the reason."""
        while not self.why:
            done, rate = self.progress.epochs, self.progress.rate
            # A resumed run evaluates the loss of its first weights once more, which does not count.
            self.evaluated = self.progress.evaluations - (self.progress.evaluations > 0)
            self.began, self.penalty_before = time.monotonic(), self.penalty(None)
            try:
                training = self.trained(self.rule.max_epochs - done, rate, self.after)
            except KeyboardInterrupt:
                self.curves.cut(self.progress.lengths)
                if self.progress.epochs > done:
                    self.training = self.trained(self.progress.epochs - done, rate, None)
                return "interrupt"
            except DivergenceError as error:
                raise FitDivergenceError(error.epoch, error.losses) from None
            self.training = training
            if training.stopped != "callback":
                self.why = training.stopped
            elif self.why in ("pause", "rate"):
                self.why = ""
        return self.why

    @property
    def network(self) -> Network:
        """The network with the weights after the last epoch."""
        return self.start if self.training is None else self.training.network

    def penalty(self, parameters: FloatArray | None) -> float:
        """The penalty 0.5*l2*sum(w*w) for parameters (n_parameters,); None: for those of `network`."""
        if self.l2 == 0.0:
            return 0.0
        flat = self.network.parameters if parameters is None else parameters
        return 0.5 * self.l2 * _kernel.squares_of_weights(self.start.sizes, flat)

    def loss_now(self) -> float:
        """The loss of `network`, with its penalty."""
        loss = loss_of_samples(self.network, self.samples, self.settings["loss"], None, threads.POLICY)
        return self.reported(loss) + self.penalty(None)

    def trained(self, epochs: int, rate: float | None, callback: Callback | None) -> Training:
        """The training after some more epochs."""
        optimizer = self.settings["optimizer"]
        if rate is not None:
            optimizer = dataclasses.replace(optimizer, learning_rate=rate)
        settings = self.settings | {"optimizer": optimizer}
        rng = settings.pop("rng")
        if self.training is None:
            begin = Result.first(self.start, Settings.checked(self.start, **settings), rng)
        else:  # the random stream continues
            begin = self.training._result.copy()
            begin = begin._replace(settings=begin.settings._replace(**settings))
        return train_or_resume(engine.KERNEL, begin, self.samples, Run.checked(epochs, callback))

    def after(self, state: EpochState) -> bool:
        """Record an epoch; return whether the kernel must return."""
        rule, curves = self.rule, self.curves
        epochs, seen, _, watch, lowest, best, unimproved, rate, _, _ = self.progress
        epochs, seen, why = epochs + 1, seen + self.rows.n_samples, ""
        penalty = self.penalty(state._parameters)
        loss = self.reported(state.loss) + self.penalty_before
        if not math.isfinite(loss):
            raise DivergenceError(state.epoch, [*curves.losses, loss])
        curves.losses.append(loss)
        if rule.verbose:
            print(f"Iteration {epochs}, loss = {loss:.8f}")
        cost = loss
        try:
            if rule.score is not None:
                curves.scores.append(rule.score(state.network))
                cost = -curves.scores[-1]
                if rule.verbose:
                    print(f"Validation score: {curves.scores[-1]:f}")
            if rule.watched_loss is not None:
                curves.watched.append(rule.watched_loss(state.network))
                cost = curves.watched[-1] if rule.watch == "validation_loss" else cost
                if rule.verbose:
                    print(f"Validation loss: {curves.watched[-1]:f}")
        except OverflowError:
            raise DivergenceError(state.epoch, [*curves.losses[:-1], state.loss]) from None
        if watch != rule.watch:
            watch, lowest, best, unimproved = rule.watch, math.inf, None, 0
        if watch == "descent":
            if lowest < math.inf and lowest - loss <= FLAT_DESCENT * max(abs(lowest), abs(loss), 1.0):
                why = "flat"
            lowest = loss
            if not why and self.evaluated + state._evaluations > rule.max_evaluations:
                why = "evaluations"
        else:
            cost = loss if watch == "loss" else cost
            unimproved = unimproved + 1 if cost > lowest - rule.tol else 0
            if cost < lowest:
                lowest, best = cost, None if watch == "loss" else state.network
            if unimproved > rule.patience:
                why, rate = self.too_many_unimproved(rate)
                unimproved = 0 if why == "rate" else unimproved
        answer = None if rule.callback is None else rule.callback(state)
        if isinstance(answer, bool | np.bool_) and answer:
            why = "callback"
        if not why and time.monotonic() - self.began > SLICE:
            why = "pause"
        if epochs == rule.max_epochs and why in ("rate", "pause"):
            why = ""  # after the last epoch the kernel returns anyway
        lengths = len(curves.losses), len(curves.scores), len(curves.watched)
        evaluations = self.evaluated + state._evaluations
        self.progress = Progress(epochs, seen, loss, watch, lowest, best, unimproved, rate, evaluations, lengths)
        self.penalty_before, self.why = penalty, why
        return bool(why)

    def too_many_unimproved(self, rate: float | None) -> tuple[str, float | None]:
        """The reason to stop after too many epochs without an improvement, or "rate" and a smaller learning rate."""
        what = {"score": "Validation score", "validation_loss": "Validation loss"}.get(self.rule.watch, "Training loss")
        text = f"{what} did not improve more than tol={self.rule.tol:f} for {self.rule.patience} consecutive epochs."
        why = "no_change"
        if rate is None:
            text = f"{text} Stopping."
        elif rate <= SMALLEST_RATE:
            text = f"{text} Learning rate too small. Stopping."
        else:
            why, rate = "rate", rate / SHRINK
            text = f"{text} Setting learning rate to {rate:f}"
        if self.rule.verbose:
            print(text)
        return why, rate
