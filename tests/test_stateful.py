"""Whatever is done with a run on the way, its bits are those of one uninterrupted run of the definition."""

import contextlib
import copy
import os
import pickle
import tempfile

import hypothesis.strategies as st
import numpy as np
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import backprop
from backprop import reference

OPTIMIZERS = [
    backprop.SGD(0.125),
    backprop.SGD(0.0625, 0.75),
    backprop.SGD(0.03125, 0.5, nesterov=True),
    backprop.Adam(0.01),
]
COPIES = [copy.copy, copy.deepcopy] + [
    lambda value, protocol=protocol: pickle.loads(pickle.dumps(value, protocol))
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1)
]
MOST_EPOCHS = 12  # the definition is slow


class Runs(RuleBasedStateMachine):
    """A run of the kernel that is resumed, stopped, copied and pickled, beside the definition's from the start."""

    def __init__(self):
        super().__init__()
        self.run, self.earlier, self.uninterrupted = None, [], {}

    def expected(self, epochs):
        """The definition's run of so many epochs."""
        if epochs not in self.uninterrupted:
            self.uninterrupted[epochs] = reference.train(self.network, self.X, self.y, epochs=epochs, **self.settings)
        return self.uninterrupted[epochs]

    def check(self, run):
        expected = self.expected(run.epochs)
        assert run.network.parameters.tobytes() == expected.network.parameters.tobytes()
        assert run.losses.tobytes() == expected.losses.tobytes()

    @initialize(
        sizes=st.lists(st.integers(1, 9), min_size=2, max_size=4),
        activation=st.sampled_from(["tanh", "logistic", "relu", "softplus"]),
        classes=st.booleans(),
        optimizer=st.sampled_from(OPTIMIZERS),
        batch_size=st.integers(1, 7),
        shuffle=st.booleans(),
        train_biases=st.booleans(),
        weighted=st.booleans(),
        rate=st.sampled_from([None, 0.0, 0.25, 0.5]),
        seed=st.integers(0, 2**64),
    )
    def begin(self, sizes, activation, classes, optimizer, batch_size, shuffle, train_biases, weighted, rate, seed):
        self.network = backprop.Network(sizes, activation, "softmax" if classes else "identity", rng=seed)
        words = np.random.PCG64(seed).random_raw(6 * (sizes[0] + sizes[-1]))
        numbers = (words % 17).astype(np.float64).reshape(6, -1) / 8.0 - 1.0
        self.X = numbers[:, : sizes[0]]
        self.y = numbers[:, sizes[0] :] if not classes else (words[:6] % np.uint64(sizes[-1])).astype(np.int64)
        self.weights = [0.0, 1.0, 0.375, 3.0, 0.0, 0.1] if weighted else None
        self.settings = {"optimizer": optimizer, "batch_size": batch_size, "shuffle": shuffle}
        self.settings["sample_weight"] = self.weights
        self.settings["dropout"] = rate if rate is None else backprop.Dropout(rate)
        self.settings |= {"train_biases": train_biases, "rng": seed}
        self.run = backprop.fast_train(self.network, self.X, self.y, epochs=1, **self.settings)

    @precondition(lambda self: self.run.epochs < MOST_EPOCHS)
    @rule(epochs=st.integers(1, 3), n_threads=st.sampled_from([None, 1, 2]))
    def resume(self, epochs, n_threads):
        before = self.run.epochs
        self.earlier.append(self.run)
        self.run = self.run.resume(self.X, self.y, epochs=epochs, sample_weight=self.weights, n_threads=n_threads)
        assert (self.run.epochs, self.run.stopped) == (before + epochs, "epochs")

    @precondition(lambda self: self.run.epochs < MOST_EPOCHS)
    @rule(after=st.integers(1, 3), look=st.booleans())
    def stop_by_callback(self, after, look):
        last = self.run.epochs + after - 1

        def callback(state):
            if look:
                assert state.network == self.expected(state.epoch + 1).network
            return state.epoch == last

        self.earlier.append(self.run)
        self.run = self.run.resume(self.X, self.y, epochs=100, sample_weight=self.weights, callback=callback)
        assert (self.run.epochs, self.run.stopped) == (last + 1, "callback")

    @rule(after=st.integers(0, 2))
    def fail_in_callback(self, after):
        """What the caller holds stays as it was."""

        def callback(state):
            if state.epoch == self.run.epochs + after:
                raise KeyError("from the callback")

        try:
            self.run.resume(self.X, self.y, epochs=5, sample_weight=self.weights, callback=callback)
        except KeyError:
            return
        raise AssertionError("the callback's exception was lost")

    @rule(make=st.sampled_from(COPIES))
    def go_on_with_a_copy(self, make):
        self.earlier.append(self.run)
        self.run = make(self.run)

    @rule()
    def go_on_with_what_was_saved(self):
        self.earlier.append(self.run)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "run")
            self.run.save(path)
            self.run = backprop.Training.load(path)

    @precondition(lambda self: self.run.epochs < MOST_EPOCHS)
    @rule(after=st.integers(0, 3), every=st.integers(1, 3), again=st.booleans())
    def go_on_from_a_checkpoint(self, after, every, again):
        """Of a resumed run whose callback raised; perhaps the whole run from its start, by the same call."""
        before = self.run.epochs

        def callback(state):
            if state.epoch == before + after:
                raise KeyError("from the callback")

        def run(checkpoint, callback=None):
            if again:
                given = {**self.settings, "epochs": before + 3, "checkpoint": checkpoint, "callback": callback}
                return backprop.fast_train(self.network, self.X, self.y, **given)
            given = {"sample_weight": self.weights, "checkpoint": checkpoint, "callback": callback}
            return self.run.resume(self.X, self.y, epochs=3, **given)

        with tempfile.TemporaryDirectory() as folder:
            checkpoint = backprop.Checkpoint(os.path.join(folder, "run"), every=every)
            with contextlib.suppress(KeyError):
                run(checkpoint, callback)
            if os.path.exists(checkpoint.path):
                self.check(backprop.Training.load(checkpoint.path))
            self.earlier.append(self.run)
            self.run = run(checkpoint)
        assert (self.run.epochs, self.run.stopped) == (before + 3, "epochs")

    @rule(make=st.sampled_from(COPIES))
    def copy_the_network(self, make):
        again = make(self.run.network)
        assert again == self.run.network
        assert again.predict(self.X).tobytes() == self.run.network.predict(self.X).tobytes()

    @precondition(lambda self: self.earlier)
    @rule(data=st.data())
    def go_back(self, data):
        """To an earlier Training, which resuming it has not changed."""
        self.run = data.draw(st.sampled_from(self.earlier))

    @rule(data=st.data())
    def predict(self, data):
        rows = self.X[: data.draw(st.integers(1, len(self.X)))]
        expected = reference.predict(self.expected(self.run.epochs).network, rows)
        assert self.run.network.predict(rows).tobytes() == expected.tobytes()

    @rule()
    def loss(self):
        expected = reference.loss(self.expected(self.run.epochs).network, self.X, self.y, sample_weight=self.weights)
        assert self.run.network.loss(self.X, self.y, sample_weight=self.weights).hex() == expected.hex()

    @invariant()
    def as_uninterrupted(self):
        if self.run is not None:
            self.check(self.run)

    def teardown(self):
        for run in self.earlier:
            self.check(run)


Runs.TestCase.settings = settings(max_examples=60, stateful_step_count=12, deadline=None)
TestRuns = Runs.TestCase
