"""The epochs of one call of fit or partial_fit: what is taken note of after each, and when to stop.

Everything that moves with the epochs is in `Progress`, which is replaced as a whole: what Ctrl-C interrupts can be
taken back to the end of the last epoch, from where it can be gone on, bit for bit.
"""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import DivergenceError
from ..network import Network
from ..training import Callback, EpochState, Training, fast_train
from .rows import Rows

SLICE = 0.25  # seconds after which the state is kept; at Ctrl-C the epochs since then are computed again
SMALLEST_RATE = 1e-6  # "adaptive" ends here
SHRINK = 5.0  # and divides by this


class FitDivergenceError(DivergenceError):
    """`backprop.DivergenceError`, in scikit-learn's words too."""

    def __str__(self) -> str:
        return (
            f"{super().__str__()}. Solver produced non-finite parameter weights. The input data may contain large "
            "values and need to be preprocessed."
        )


class Progress(NamedTuple):
    """How far a fit is; it goes on through warm starts and calls of partial_fit."""

    epochs: int = 0  # of this call
    seen: int = 0  # rows, in all calls
    loss: float = math.inf
    best_loss: float = math.inf
    best_score: float = -math.inf
    best_watched: float = math.inf  # the lowest validation loss
    best: Network | None = None  # with the best score or the lowest validation loss
    unimproved: int = 0  # epochs in a row
    rate: float | None = None  # what "adaptive" has come to
    lengths: tuple[int, int, int] = (0, 0, 0)  # of the three curves


class Curves(NamedTuple):
    """One number after each epoch of all calls."""

    losses: list[float]
    scores: list[float]
    watched: list[float]

    def cut(self, lengths: tuple[int, int, int]) -> None:
        for curve, length in zip(self, lengths, strict=True):
            del curve[length:]


class Rule(NamedTuple):
    """When to stop, and what to look at after an epoch."""

    max_epochs: int
    tol: float
    patience: float
    watch: str  # "loss" of training, "score" or "validation_loss" of the watched rows, or "": nothing
    adaptive: bool
    verbose: bool
    score: Callable[[Network], float] | None
    watched_loss: Callable[[Network], float] | None
    callback: Callback | None


class Run:
    """Trains by the rule; `training`, `progress` and `curves` are then where it has come to."""

    def __init__(
        self,
        rule: Rule,
        rows: Rows,
        settings: dict[str, Any],
        penalty: Callable[[Network], float],
        reported: Callable[[float], float],
        start: Network,
        training: Training | None,
        progress: Progress,
        curves: Curves,
    ) -> None:
        self.rule, self.rows, self.settings, self.start = rule, rows, settings, start
        self.penalty, self.reported = penalty, reported
        self.training, self.progress, self.curves = training, progress, curves
        self.why = ""
        self.before = 0.0  # the penalty of the weights before an epoch
        self.began = 0.0

    def train(self) -> str:
        """Train until the rule, the optimizer, a callback or Ctrl-C says stop; returns which."""
        while not self.why:
            done = self.progress.epochs
            self.began, self.before = time.monotonic(), self.penalty(self.network)
            try:
                training = self.trained(self.rule.max_epochs - done, self.after)
            except KeyboardInterrupt:
                self.curves.cut(self.progress.lengths)
                if self.progress.epochs > done:
                    self.training = self.trained(self.progress.epochs - done, None)
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
        """With the weights after the last epoch."""
        return self.start if self.training is None else self.training.network

    def trained(self, epochs: int, callback: Callback | None) -> Training:
        """Some epochs more, from where the training is."""
        weight: Any = {} if self.rows.weight is None else {"sample_weight": self.rows.weight}
        X, y = self.rows.X, self.rows.y
        optimizer = self.settings["optimizer"]
        if self.rule.adaptive and self.progress.rate is not None:
            optimizer = dataclasses.replace(optimizer, learning_rate=self.progress.rate)
        if self.training is None:
            settings = self.settings | {"optimizer": optimizer}
            return fast_train(self.start, X, y, epochs=epochs, callback=callback, **settings, **weight)
        settings = {name: value for name, value in self.settings.items() if name != "rng"} | {"optimizer": optimizer}
        training = dataclasses.replace(self.training, settings=self.training.settings._replace(**settings))
        return training.resume(X, y, epochs=epochs, callback=callback, **weight)

    def after(self, state: EpochState) -> bool:
        """Take note of an epoch; returns whether to come back from the kernel."""
        rule, old, curves = self.rule, self.progress, self.curves
        epochs, why = old.epochs + 1, ""
        network = state.network
        loss = self.reported(state.loss) + self.before
        after = self.penalty(network)
        curves.losses.append(loss)
        if rule.verbose:
            print(f"Iteration {epochs}, loss = {loss:.8f}")
        score = watched = None
        try:
            if rule.score is not None:
                score = rule.score(network)
                curves.scores.append(score)
                if rule.verbose:
                    print(f"Validation score: {score:f}")
            if rule.watched_loss is not None:
                watched = rule.watched_loss(network)
                curves.watched.append(watched)
                if rule.verbose:
                    print(f"Validation loss: {watched:f}")
        except OverflowError:
            raise DivergenceError(state.epoch, [*curves.losses[:-1], state.loss]) from None
        new = old._replace(
            epochs=epochs,
            seen=old.seen + self.rows.n_samples,
            loss=loss,
            lengths=(len(curves.losses), len(curves.scores), len(curves.watched)),
        )
        if rule.watch:
            new = self.judged(new, network, loss, score, watched)
        if new.unimproved > rule.patience:
            why, rate = self.unimproved(new)
            if why == "rate":
                new = new._replace(unimproved=0, rate=rate)
        if rule.callback is not None and rule.callback(state) is True:
            why = "callback"
        if not why and time.monotonic() - self.began > SLICE:
            why = "pause"
        if epochs == rule.max_epochs and why in ("rate", "pause"):
            why = ""  # there is no epoch left that it would be for
        self.progress, self.before, self.why = new, after, why
        return bool(why)

    def judged(
        self, new: Progress, network: Network, loss: float, score: float | None, watched: float | None
    ) -> Progress:
        """Whether the epoch has improved on all before by tol; and what is the best so far."""
        tol = self.rule.tol
        if self.rule.watch == "score":
            assert score is not None
            worse, better = score < new.best_score + tol, score > new.best_score
            new = new._replace(best_score=score, best=network) if better else new
        elif self.rule.watch == "validation_loss":
            assert watched is not None
            worse, better = watched > new.best_watched - tol, watched < new.best_watched
            new = new._replace(best_watched=watched, best=network) if better else new
        else:
            worse, better = loss > new.best_loss - tol, loss < new.best_loss
            new = new._replace(best_loss=loss) if better else new
        return new._replace(unimproved=new.unimproved + 1 if worse else 0)

    def unimproved(self, new: Progress) -> tuple[str, float]:
        """What follows from too many epochs without an improvement: to stop, or a smaller rate."""
        what = {"score": "Validation score", "validation_loss": "Validation loss"}.get(self.rule.watch, "Training loss")
        text = f"{what} did not improve more than tol={self.rule.tol:f} for {self.rule.patience} consecutive epochs."
        rate = 0.0 if new.rate is None else new.rate
        if not self.rule.adaptive:
            why, text = "no_change", f"{text} Stopping."
        elif rate <= SMALLEST_RATE:
            why, text = "no_change", f"{text} Learning rate too small. Stopping."
        else:
            rate = rate / SHRINK
            why, text = "rate", f"{text} Setting learning rate to {rate:f}"
        if self.rule.verbose:
            print(text)
        return why, rate
