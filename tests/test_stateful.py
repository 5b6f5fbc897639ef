"""Whatever is done with a run on the way, its bits are those of one uninterrupted run of the definition.

So is its end: a run that diverges does so after the same epoch, with the same losses.
"""

import copy
import os
import pickle
import tempfile

import hypothesis.strategies as st
import numpy as np
import pytest
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


def has_run(machine):
    """Whether the first epoch has not diverged."""
    return machine.run is not None


def may_go_on(machine):
    return has_run(machine) and machine.run.epochs < MOST_EPOCHS


class Runs(RuleBasedStateMachine):
    """A run of the kernel that is resumed, stopped, copied and pickled, beside the definition's from the start."""

    def __init__(self):
        super().__init__()
        self.run, self.earlier, self.uninterrupted = None, [], {}

    def expected(self, epochs):
        """The definition's run of so many epochs, or its DivergenceError."""
        if epochs not in self.uninterrupted:
            try:
                run = reference.train(self.network, self.X, self.y, epochs=epochs, **self.settings)
            except backprop.DivergenceError as error:
                run = error
            self.uninterrupted[epochs] = run
        return self.uninterrupted[epochs]

    def seen_by_callback(self, epoch):
        """The definition's network after an epoch, of which a callback may see more than a run that ends there."""
        expected = self.expected(epoch + 1)
        if isinstance(expected, backprop.Training):
            return expected.network
        seen = []

        def callback(state):
            if state.epoch == epoch:
                seen.append(state.network)

        with pytest.raises(backprop.DivergenceError):
            reference.train(self.network, self.X, self.y, epochs=epoch + 1, callback=callback, **self.settings)
        return seen[0]

    def check(self, run):
        """Compare a run, or the DivergenceError of one, with what the definition gives for as many epochs."""
        if isinstance(run, backprop.DivergenceError):
            expected = self.expected(run.epoch + 1)
            assert isinstance(expected, backprop.DivergenceError)
            assert run.epoch == expected.epoch
        else:
            expected = self.expected(run.epochs)
            assert isinstance(expected, backprop.Training)
            assert run.network.parameters.tobytes() == expected.network.parameters.tobytes()
        assert run.losses.tobytes() == expected.losses.tobytes()

    def go_on(self, train, epochs, stopped):
        """Take over the run that train() gives, of so many epochs; one that diverges leaves the run as it was."""
        try:
            run = train()
        except backprop.DivergenceError as error:
            run = error
        self.check(run)
        if isinstance(run, backprop.DivergenceError):
            assert run.epoch < epochs
            return
        assert (run.epochs, run.stopped) == (epochs, stopped)
        if self.run is not None:
            self.earlier.append(self.run)
        self.run = run

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
        self.train_from_the_start()

    @precondition(lambda self: self.run is None)
    @rule()
    def train_from_the_start(self):
        """The first epoch, which may diverge: then so often as it is asked for."""
        self.go_on(lambda: backprop.fast_train(self.network, self.X, self.y, epochs=1, **self.settings), 1, "epochs")

    @precondition(may_go_on)
    @rule(epochs=st.integers(1, 3), n_threads=st.sampled_from([None, 1, 2]))
    def resume(self, epochs, n_threads):
        given = {"epochs": epochs, "sample_weight": self.weights, "n_threads": n_threads}
        self.go_on(lambda: self.run.resume(self.X, self.y, **given), self.run.epochs + epochs, "epochs")

    @precondition(may_go_on)
    @rule(after=st.integers(1, 3), look=st.booleans())
    def stop_by_callback(self, after, look):
        last = self.run.epochs + after - 1

        def callback(state):
            if look:
                assert state.network == self.seen_by_callback(state.epoch)
            return state.epoch == last

        given = {"epochs": 100, "sample_weight": self.weights, "callback": callback}
        self.go_on(lambda: self.run.resume(self.X, self.y, **given), last + 1, "callback")

    @precondition(has_run)
    @rule(after=st.integers(0, 2))
    def fail_in_callback(self, after):
        """The run that the caller holds stays as it was."""

        def callback(state):
            if state.epoch == self.run.epochs + after:
                raise KeyError("from the callback")

        with pytest.raises((KeyError, backprop.DivergenceError)) as caught:
            self.run.resume(self.X, self.y, epochs=5, sample_weight=self.weights, callback=callback)
        if caught.type is not KeyError:
            assert caught.value.epoch <= self.run.epochs + after
            self.check(caught.value)

    @precondition(has_run)
    @rule(make=st.sampled_from(COPIES))
    def go_on_with_a_copy(self, make):
        self.earlier.append(self.run)
        self.run = make(self.run)

    @precondition(has_run)
    @rule()
    def go_on_with_what_was_saved(self):
        self.earlier.append(self.run)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "run")
            self.run.save(path)
            self.run = backprop.Training.load(path)

    @precondition(may_go_on)
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
            try:
                run(checkpoint, callback)
            except KeyError:
                pass
            except backprop.DivergenceError as error:
                self.check(error)
            if os.path.exists(checkpoint.path):
                self.check(backprop.Training.load(checkpoint.path))
            self.go_on(lambda: run(checkpoint), before + 3, "epochs")

    @precondition(has_run)
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

    @precondition(has_run)
    @rule(data=st.data())
    def predict(self, data):
        rows = self.X[: data.draw(st.integers(1, len(self.X)))]
        expected = reference.predict(self.expected(self.run.epochs).network, rows)
        assert self.run.network.predict(rows).tobytes() == expected.tobytes()

    @precondition(has_run)
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


DIVERGES = {"sizes": [9, 9, 9], "activation": "relu", "classes": False, "optimizer": OPTIMIZERS[1], "batch_size": 1}
DIVERGES |= {"shuffle": True, "train_biases": True, "weighted": False, "rate": 0.5, "seed": 1606}  # after epoch 4


@pytest.mark.parametrize(
    "go_on",
    [
        lambda machine: machine.resume(epochs=3, n_threads=2),
        lambda machine: machine.stop_by_callback(after=3, look=False),
        lambda machine: machine.stop_by_callback(after=3, look=True),
        lambda machine: machine.fail_in_callback(after=2),
        lambda machine: machine.go_on_from_a_checkpoint(after=2, every=1, again=False),
        lambda machine: machine.go_on_from_a_checkpoint(after=2, every=2, again=True),
    ],
)
def test_run_that_diverges(go_on):
    """The definition diverges with it, and the run that is held stays as it was."""
    machine = Runs()
    machine.begin(**DIVERGES)
    machine.resume(epochs=3, n_threads=None)
    assert machine.run.epochs == 4
    assert isinstance(machine.expected(5), backprop.DivergenceError)
    go_on(machine)
    assert machine.run.epochs == 4
    machine.as_uninterrupted()
    machine.teardown()


def test_run_that_diverges_at_once():
    machine = Runs()
    machine.begin(**DIVERGES | {"optimizer": backprop.SGD(1e300)})
    assert machine.run is None
    machine.train_from_the_start()
    assert machine.run is None


def test_divergence_of_one_side_alone_is_seen():
    machine = Runs()
    machine.begin(**DIVERGES)
    with pytest.raises(AssertionError):
        machine.check(backprop.DivergenceError(1, [1.0, np.nan]))
    with pytest.raises(AssertionError):
        machine.check(backprop.DivergenceError(4, [1.0, 1.0, 1.0, 1.0, np.nan]))
    machine.settings["rng"] += 1  # the definition's run of so many epochs is made anew, by another seed
    machine.uninterrupted.clear()
    with pytest.raises(AssertionError):
        machine.check(machine.run)
