"""The epochs of one call of fit or partial_fit: the record of each epoch, and the rule when to stop.

Everything that changes with the epochs is in `Progress`, which is replaced as a whole after each epoch. A fit that
Ctrl-C interrupts is set back to the end of its last epoch and can be continued from there, bit for bit.
"""

import dataclasses
import math
import time
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from .. import _kernel, engine, threads
from ..arguments import FloatArray
from ..errors import DivergenceError
from ..network import Network
from ..passes import loss_of_samples
from ..run import Callback, EpochState, Run
from ..samples import Samples
from ..state import Result, Settings
from ..training import Training, train_or_resume
from .environment import exact
from .rows import Rows

SLICE = 0.25  # seconds between two copies of the state; at Ctrl-C the epochs since the last copy are computed again
SMALLEST_RATE = 1e-6  # the learning rate at which "adaptive" ends
SHRINK = 5.0  # the factor by which "adaptive" divides the learning rate
FLAT_DESCENT = (
    2.220446049250313e-09  # lbfgs ends when an iteration lowers the loss by less than this share, as in SciPy
)

UNFINISHED = {  # reasons to stop a fit before it has converged
    "epochs": "it has reached max_iter={estimator.max_iter}",
    "evaluations": "it has reached max_fun={estimator.max_fun}",
    "line_search": "lbfgs finds no lower point, but the gradient is not small; scaled data may help",
}


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
    descent: float = math.inf  # the loss of the last iteration of lbfgs
    watch: str = ""  # the watched quantity, as in Rule; a change resets lowest, best and unimproved
    lowest: float = math.inf  # the lowest watched loss, or the negative of the highest score
    best: Network | None = None  # the network with the lowest validation loss or highest score
    unimproved: int = 0  # epochs in a row without an improvement
    rate: float | None = None  # the learning rate of "adaptive"
    first_rate: float = 0.0  # learning_rate_init in the last call
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

    incremental: bool  # partial_fit: one epoch
    max_epochs: int
    max_evaluations: int
    tol: float
    patience: float
    watch: str  # the watched quantity: training "loss", validation "score" or "validation_loss"; "": none
    descent: bool  # lbfgs: max_evaluations, and an iteration that hardly lowers the loss, end the fit
    verbose: bool
    score: Callable[[Network], float] | None
    watched_loss: Callable[[Network], float] | None
    constant_score: float  # the best score of an answer that is the same for every row
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

    def train(self) -> None:
        """Train until the rule, the optimizer, a callback or Ctrl-C ends the fit; `why` is then the reason."""
        while not self.why:
            done, rate = self.progress.epochs, self.progress.rate
            # A resumed run evaluates the loss of its first weights once more, which does not count.
            self.evaluated = self.progress.evaluations - (self.progress.evaluations > 0)
            self.began, self.penalty_before = time.monotonic(), exact(self.penalty)(None)
            try:
                training = self.trained(self.rule.max_epochs - done, rate, self.after)
            except KeyboardInterrupt:
                self.curves.cut(self.progress.lengths)
                if self.progress.epochs > done:
                    self.training = self.trained(self.progress.epochs - done, rate, None)
                self.why = "interrupt"
                return
            except DivergenceError as error:
                raise FitDivergenceError(error.epoch, error.losses, error.from_the_start) from None
            self.training = training
            if training.stopped != "callback":
                self.why = training.stopped
            elif self.why in ("pause", "rate"):
                self.why = ""

    def warn(self, estimator: Any) -> None:
        """Warn of a fit of this estimator that has not converged, or whose validation score says nothing."""
        if self.why == "interrupt":
            warnings.warn("Training interrupted by user.", stacklevel=4)
        elif self.why in UNFINISHED and not self.rule.incremental:
            text = UNFINISHED[self.why].format(estimator=estimator)
            warnings.warn(f"the fit has not converged: {text}", ConvergenceWarning, stacklevel=4)
        scores, constant = self.curves.scores, self.rule.constant_score
        if self.rule.watch == "score" and len(scores) > 1 and max(scores) <= max(scores[0], constant) < 1.0:
            bar = "that of the first epoch" if scores[0] >= constant else "that of one answer for all rows"
            warnings.warn(
                f"early stopping by the score had nothing to go by: the validation score never rose above "
                f"{max(scores[0], constant):g}, {bar}; early_stopping='loss' watches the validation loss instead",
                ConvergenceWarning,
                stacklevel=4,
            )

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

    @exact
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
        progress, why, penalty = self.recorded(state)
        answer = None if self.rule.callback is None else self.rule.callback(state)
        if isinstance(answer, bool | np.bool_) and answer:
            why = "callback"
        if not why and time.monotonic() - self.began > SLICE:
            why = "pause"
        if progress.epochs == self.rule.max_epochs and why in ("rate", "pause"):
            why = ""  # after the last epoch the kernel returns anyway
        self.progress, self.penalty_before, self.why = progress, penalty, why
        return bool(why)

    @exact
    def recorded(self, state: EpochState) -> tuple[Progress, str, float]:
        """The progress after an epoch, the reason to stop or "", and the penalty of the weights."""
        rule, curves, before = self.rule, self.curves, self.progress
        penalty = self.penalty(state._parameters)
        loss = self.reported(state.loss) + self.penalty_before
        if not math.isfinite(loss):
            raise DivergenceError(state.epoch, [*curves.losses, loss])
        curves.losses.append(loss)
        if rule.verbose:
            print(f"Iteration {before.epochs + 1}, loss = {loss:.8f}")
        cost = self.watched(state, loss)
        evaluations, descent, why = self.evaluated + state._evaluations, math.inf, ""
        if rule.descent:
            fallen, size = before.descent - loss, max(abs(before.descent), abs(loss), 1.0)
            if before.descent < math.inf and abs(fallen) <= FLAT_DESCENT * size:
                why = "flat"
            elif evaluations > rule.max_evaluations:
                why = "evaluations"
            descent = loss
        lowest, best, unimproved, rate = before.lowest, before.best, before.unimproved, before.rate
        if before.watch != rule.watch:
            lowest, best, unimproved = math.inf, None, 0
        if rule.watch:
            unimproved = unimproved + 1 if cost > lowest - rule.tol else 0
            if cost < lowest:
                lowest, best = cost, None if rule.watch == "loss" else state.network
            if not why and unimproved > rule.patience:
                why, rate = self.too_many_unimproved(rate)
                unimproved = 0 if why == "rate" else unimproved
        progress = Progress(
            epochs=before.epochs + 1,
            seen=before.seen + self.rows.n_samples,
            loss=loss,
            descent=descent,
            watch=rule.watch,
            lowest=lowest,
            best=best,
            unimproved=unimproved,
            rate=rate,
            first_rate=before.first_rate,
            evaluations=evaluations,
            lengths=(len(curves.losses), len(curves.scores), len(curves.watched)),
        )
        return progress, why, penalty

    def watched(self, state: EpochState, loss: float) -> float:
        """Record the score and the loss of the validation rows; return the watched quantity, of which less is better.

        If they are not finite, neither may be the loss of the training rows with these weights: a fit that diverges.
        """
        rule, curves = self.rule, self.curves
        try:
            if rule.watched_loss is not None:
                curves.watched.append(rule.watched_loss(state.network))
            if rule.score is not None:
                curves.scores.append(rule.score(state.network))
        except OverflowError:
            if self.overflows(state.network):
                raise DivergenceError(state.epoch, [*curves.losses[:-1], math.inf]) from None
            raise
        if rule.verbose and rule.score is not None:
            print(f"Validation score: {curves.scores[-1]:f}")
        if rule.verbose and rule.watched_loss is not None:
            print(f"Validation loss: {curves.watched[-1]:f}")
        if rule.watch == "score":
            return -curves.scores[-1]
        return curves.watched[-1] if rule.watch == "validation_loss" else loss

    def overflows(self, network: Network) -> bool:
        """Whether the loss of the training rows is not finite."""
        try:
            loss_of_samples(network, self.samples, self.settings["loss"], None, threads.POLICY)
        except OverflowError:
            return True
        return False

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
