"""The loop over the epochs of one run.

The engine trains some epochs and returns. Then early stopping, schedule, callback and checkpoint have their turn.
"""

import math

import numpy as np

from . import _kernel, streams
from .arguments import FloatArray
from .checkpoint import CheckpointWriter
from .engine import Engine
from .errors import DivergenceError
from .network import Network
from .optimizers import plan_of, schedule_of, too_much_memory
from .run import EpochState, Run, progress_bar
from .samples import Samples
from .schedules import Rates
from .state import Result, RunState, Settings
from .stopping import Watcher

RATES_AT_ONCE = 1024  # most epochs whose learning rates are computed in advance
# Most epochs for which the curve reserves memory at once: a run that EarlyStopping ends may have epochs=10**9.
LOSSES_AT_ONCE = 65536


class Curve:
    """The loss of every epoch, as a list of arrays (pieces); the newest piece is being filled."""

    def __init__(self, losses: FloatArray) -> None:
        self._full = [losses] if losses.size else []
        self.begin = losses.size  # the first epoch of the newest piece
        self.piece = np.empty(0)
        self.done = 0  # epochs in the newest piece

    @property
    def epochs(self) -> int:
        """The number of epochs so far."""
        return self.begin + self.done

    def make_room(self, epochs: int) -> None:
        """Begin another piece if the newest one is full; `epochs` are still to come."""
        if self.done == self.piece.size:
            self._full += [self.piece] if self.done else []
            self.begin += self.done
            self.piece, self.done = np.empty(min(epochs, LOSSES_AT_ONCE)), 0

    def pieces(self) -> list[FloatArray]:
        """The losses so far, in pieces."""
        return [*self._full, self.piece[: self.done]] if self.done else self._full

    def losses(self) -> FloatArray:
        """The losses so far, as one array (epochs,)."""
        if not self._full and self.done == self.piece.size:
            return self.piece
        return np.concatenate(self.pieces())


def draws_order(settings: Settings, n: int) -> bool:
    """Whether each epoch visits n rows in a random order.

    A batch that holds all rows, and a full-batch method, visit them in their order (N8, N13).
    """
    several = (settings.batch_size or n) < n
    return bool(settings.shuffle) and several and plan_of(settings.optimizer).rule not in _kernel.METHODS


class Epochs:
    """The epochs of one run: an engine trains them; EarlyStopping, schedule, callback and checkpoint follow."""

    def __init__(
        self,
        engine: Engine,
        begin: Result,
        samples: Samples,
        watched: Samples | None,
        run: Run,
        writer: CheckpointWriter | None,
    ) -> None:
        network, _, settings, state = begin
        plan, stopping = plan_of(settings.optimizer), settings.stopping
        shuffles = draws_order(settings, samples.n_samples)
        self.engine, self.begin, self.samples, self.run, self.writer = engine, begin, samples, run, writer
        self.stream = streams.started(state.stream) if shuffles else state.stream
        stream = self.stream if shuffles else None
        try:
            self.trainer = engine.trainer(network, samples, settings, plan, state, stream, run.n_threads)
        except MemoryError:
            if plan.rule not in _kernel.METHODS:
                raise
            raise too_much_memory(settings.optimizer, network.n_parameters, samples.n_samples) from None
        self.curve, self.stopped = Curve(state.losses), "epochs"
        self.watcher = None
        if stopping is not None:
            rows = samples._replace(watched="row") if watched is None else watched
            self.watcher = Watcher(stopping, lambda one: self.loss_of(one, rows), state.watch)
        schedule, self.rates = schedule_of(settings.optimizer), None
        if schedule is not None:
            seen = self.watcher.losses if self.watcher else state.losses.tolist()
            self.rates = Rates(schedule, seen, engine.exp, engine.log)
        self.rates_of_piece, self.n_rates = np.empty(0), 0  # the newest piece's learning rates; how many are computed
        self.every_epoch = run.callback is not None or self.watcher is not None
        self.every_epoch = self.every_epoch or (self.rates is not None and self.rates.look_back)

    def train(self) -> Result:
        """Train until all epochs are done, or a method, EarlyStopping or the callback ends the run."""
        curve = self.curve
        epochs = curve.epochs
        last = epochs + self.run.epochs
        with progress_bar(self.run, self.samples.n_samples) as bar:
            if self.run.progress:
                self.trainer.on_pause(bar.within)
            while epochs < last and self.stopped == "epochs":
                before, halt = epochs, self.next_halt(epochs, last)
                self.train_until(halt)
                epochs = curve.epochs
                if epochs == before:
                    continue  # the engine returned within an epoch, to let Python handle signals
                bar.advance(epochs - before, float(curve.piece[curve.done - 1]))
                if self.every_epoch:
                    self.report()
                if self.writer is not None and epochs == halt and self.stopped == "epochs":
                    self.writer.after(halt, self.result)
        return self.result()

    def next_halt(self, epochs: int, last: int) -> int:
        """Make room in the curve, compute the next learning rates, and return the epoch count at which to come back.

        Of `last` epochs in all, `epochs` are done. The engine comes back for a report, a checkpoint, more learning
        rates, or where the piece of the curve is full.
        """
        curve = self.curve
        curve.make_room(last - epochs)
        begin = curve.begin
        halt = epochs + 1 if self.every_epoch else begin + curve.piece.size
        if self.rates is not None:
            if self.rates_of_piece.size != curve.piece.size or curve.done == 0:
                self.rates_of_piece, self.n_rates = np.empty(curve.piece.size), 0
            if curve.done >= self.n_rates:
                self.n_rates = min(halt - begin, curve.done + RATES_AT_ONCE)
                self.rates_of_piece[curve.done : self.n_rates] = [
                    self.rates.of(begin + k) for k in range(curve.done, self.n_rates)
                ]
            halt = begin + self.n_rates
        return halt if self.writer is None else min(halt, self.writer.until(epochs))

    def train_until(self, halt: int) -> None:
        """Let the engine train until `halt` epochs are done; it may return earlier, see `engine.Trainer.train`."""
        curve = self.curve
        rates = None if self.rates is None else self.rates_of_piece
        before, curve.done = curve.done, self.trainer.train(curve.piece, curve.done, halt - curve.begin, rates)
        if curve.done == before:
            return
        if not math.isfinite(curve.piece[curve.done - 1]) or self.trainer.ended == "overflow":
            raise self.divergence()
        self.stopped = self.trainer.ended or self.stopped

    def report(self) -> None:
        """Report the last epoch to EarlyStopping, to the schedule and to the callback, which may stop the run."""
        loss = float(self.curve.piece[self.curve.done - 1])
        if self.watcher is not None:
            self.stopped = self.watcher.after(self.snapshot()) or self.stopped
        if self.rates is not None:
            self.rates.see(self.watcher.losses[-1] if self.watcher else loss)
        if self.run.callback is not None:
            parameters, evaluations = self.trainer.parameters, self.trainer.evaluations
            state = EpochState(self.curve.epochs - 1, loss, self.snapshot, parameters, evaluations)
            if state.shown_to(self.run.callback):
                self.stopped = "callback"

    def loss_of(self, network: Network, samples: Samples) -> float:
        """The mean loss of a network; OverflowError names the row where the sum stops being finite."""
        return self.engine.loss(network, samples, self.begin.settings.loss, self.run.n_threads)

    def snapshot(self) -> Network:
        """The network with the current parameters; DivergenceError if one of them is not finite."""
        parameters = self.trainer.parameters
        if _kernel.first_not_finite(parameters) >= 0:
            raise self.divergence()
        return self.begin.network.with_parameters(parameters)

    def result(self) -> Result:
        """The result after the last epoch; DivergenceError if its parameters or slots are not finite."""
        trainer, (network, _, settings, state) = self.trainer, self.begin
        w, slots, scalars = trainer.parameters, trainer.slots, trainer.scalars
        if _kernel.first_not_finite(w) >= 0 or _kernel.first_not_finite(slots.reshape(-1)) >= 0:
            raise self.divergence()
        given_back, watch = network._of(network.sizes, network.activations, w.copy()), None
        if self.watcher is not None:
            given_back, watch = self.watcher.result(given_back)
        after = RunState(self.curve.losses(), slots, scalars, self.stream, watch, state.dropout)
        return Result(given_back, self.stopped, settings, after)

    def divergence(self) -> DivergenceError:
        """The error for a loss, parameters or slots that are not finite after the last epoch.

        If it is the first epoch of all, the loss of the weights before it may name a row.
        """
        curve, from_the_start = self.curve, ""
        if curve.epochs == 1 and not math.isfinite(curve.piece[curve.done - 1]):
            try:
                self.loss_of(self.begin.network, self.samples)
            except OverflowError as error:
                from_the_start = str(error)
        return DivergenceError(curve.epochs - 1, curve.losses(), from_the_start)
