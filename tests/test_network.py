"""Network: how it is made, what it holds, and that it never changes."""

import copy
import pickle

import numpy as np
import pytest

import backprop
from backprop import reference
from backprop.network import INITIALIZERS

GENERATORS = (np.random.PCG64, np.random.PCG64DXSM, np.random.Philox, np.random.SFC64)


def hexadecimal(values):
    return [value.hex() for value in np.asarray(values).ravel().tolist()]


def test_attributes():
    network = backprop.Network([4, 10, 3], output_activation="softmax")
    assert network.sizes == (4, 10, 3)
    assert network.activations == ("tanh", "softmax")
    assert network.n_parameters == 4 * 10 + 10 + 10 * 3 + 3 == network.parameters.size
    assert [W.shape for W in network.weights] == [(4, 10), (10, 3)]
    assert [b.shape for b in network.biases] == [(10,), (3,)]
    assert isinstance(network.weights, tuple)
    assert isinstance(network.biases, tuple)
    flat = np.concatenate([part.ravel() for pair in zip(network.weights, network.biases, strict=True) for part in pair])
    assert flat.tobytes() == network.parameters.tobytes()
    assert all(np.shares_memory(part, network.parameters) for part in (*network.weights, *network.biases))


def test_defaults():
    assert backprop.Network([2, 3, 1]).activations == ("tanh", "identity")
    assert backprop.Network([2, 3, 1]) == backprop.Network((2, 3, 1), "tanh", "identity", rng=0)
    assert backprop.Network(np.array([2, 3, 1])) == backprop.Network(iter([2, 3, 1]))
    assert all(type(width) is int for width in backprop.Network(np.array([2, 3, 1])).sizes)


def test_one_activation_for_each_hidden_layer():
    network = backprop.Network([2, 3, 4, 1], ["relu", "elu"], "logistic")
    assert network.activations == ("relu", "elu", "logistic")
    assert backprop.Network([2, 1], []).activations == ("identity",)


@pytest.mark.parametrize("sizes", [(1, 1), (4, 10, 3), (2, 3, 4, 5, 1), (7, 300, 2)])
@pytest.mark.parametrize("seed", [0, 1, 2**64, 12345678901234567890123])
def test_initial_weights_are_the_references(sizes, seed):
    network = backprop.Network(sizes, rng=seed)
    assert hexadecimal(network.parameters) == hexadecimal(reference.initial_parameters(sizes, np.random.PCG64(seed)))
    for W, b in zip(network.weights, network.biases, strict=True):
        assert np.abs(W).max() <= np.sqrt(6.0 / sum(W.shape))
        assert hexadecimal(b) == hexadecimal(np.zeros(b.shape))


@pytest.mark.parametrize("initializer", INITIALIZERS)
@pytest.mark.parametrize("sizes", [(1, 1), (3, 5, 1), (5, 3, 3, 2), (200, 151)])
def test_initializers(initializer, sizes):
    """The reference's bits, as many words as it takes, and the variance that the name stands for."""
    stream, raw = np.random.PCG64(3), np.random.PCG64(3)
    network = backprop.Network(sizes, rng=stream, initializer=initializer)
    assert hexadecimal(network.parameters) == hexadecimal(reference.initial_parameters(sizes, raw, initializer))
    assert repr(stream.state) == repr(raw.state)
    (W, *_), (b, *_) = network.weights, network.biases
    assert not b.any()
    if W.size > 30_000:
        n_in, n_out = W.shape
        known = {"glorot": 2.0 / (n_in + n_out), "he": 2.0 / n_in, "lecun": 1.0 / n_in}
        factor, both, normal = INITIALIZERS[initializer]
        by_row = (factor if normal else factor / 3.0) / (n_in + n_out if both else n_in)
        variance = known.get(initializer.split("_")[0], by_row)
        assert W.var() == pytest.approx(variance, rel=0.03)
        within = np.mean(np.abs(W) <= np.sqrt(variance))  # 1/sqrt(3) of a uniform, 0.683 of a normal distribution
        assert within == pytest.approx(0.683 if initializer.endswith("normal") else 0.577, abs=0.01)


def test_biases_of_hidden_layers():
    network = backprop.Network([3, 4, 2, 5], rng=1, hidden_bias=0.25)
    expected = reference.initial_parameters((3, 4, 2, 5), np.random.PCG64(1), hidden_bias=0.25)
    assert hexadecimal(network.parameters) == hexadecimal(expected)
    assert [b.tolist() for b in network.biases] == [[0.25] * 4, [0.25] * 2, [0.0] * 5]
    plain = backprop.Network([3, 4, 2, 5], rng=1)
    assert all((W == V).all() for W, V in zip(network.weights, plain.weights, strict=True))
    for wrong in (np.inf, "0.1", None):
        with pytest.raises((TypeError, ValueError), match="hidden_bias must be"):
            backprop.Network([3, 4, 2], hidden_bias=wrong)


def test_the_default_initializer_is_glorots():
    assert backprop.Network([3, 4, 2], rng=1) == backprop.Network([3, 4, 2], rng=1, initializer="glorot_uniform")
    with pytest.raises(ValueError, match="initializer 'he_norml' is unknown; did you mean 'he_normal'"):
        backprop.Network([3, 4, 2], initializer="he_norml")
    with pytest.raises(TypeError, match=r"initializer must be a name \(str\), got None"):
        backprop.Network([3, 4, 2], initializer=None)


def test_initial_weights_by_hand():
    """The first word of PCG64(0), as NumPy documents its stream, makes the first weight (N9)."""
    u = (np.random.PCG64(0).random_raw() >> 11) * 2.0**-53
    assert backprop.Network([1, 5], rng=0).weights[0][0, 0] == (2.0 * u - 1.0) * 1.0  # sqrt(6/6)


@pytest.mark.parametrize("kind", GENERATORS)
def test_kinds_of_generator(kind):
    sizes = (3, 4, 2)
    expected = hexadecimal(reference.initial_parameters(sizes, kind(5)))
    bit_generator, wrapped, raw = kind(5), np.random.Generator(kind(5)), kind(5)
    assert hexadecimal(backprop.Network(sizes, rng=bit_generator).parameters) == expected
    assert hexadecimal(backprop.Network(sizes, rng=wrapped).parameters) == expected
    raw.random_raw(3 * 4 + 4 * 2)  # one word for each weight, none for a bias
    for left in (bit_generator, wrapped.bit_generator):
        assert repr(left.state) == repr(raw.state)


def test_kinds_of_seed():
    sequence = np.random.SeedSequence(5)
    assert backprop.Network([3, 2], rng=sequence) == backprop.Network(
        [3, 2], rng=np.random.PCG64(np.random.SeedSequence(5))
    )
    assert backprop.Network([3, 2], rng=sequence) == backprop.Network([3, 2], rng=sequence)
    assert backprop.Network([3, 2], rng=np.int8(5)) == backprop.Network([3, 2], rng=5)
    assert backprop.Network([3, 2], rng=None) != backprop.Network([3, 2], rng=None)
    generator = np.random.default_rng(5)
    assert backprop.Network([3, 2], rng=generator) != backprop.Network([3, 2], rng=generator)


@pytest.mark.parametrize(
    "rng",
    [
        pytest.param(np.random.MT19937(1), id="MT19937"),
        pytest.param(np.random.Generator(np.random.MT19937(1)), id="Generator"),
        pytest.param(np.random.RandomState(1), id="RandomState"),
        1.5,
        "1",
        True,
        [1],
        pytest.param(np.random, id="module"),
    ],
    ids=repr,
)
def test_other_randomness_is_refused(engine, rng):
    with pytest.raises(TypeError, match=r"rng must be .*PCG64DXSM"):
        backprop.Network([2, 2], rng=rng)
    with pytest.raises(TypeError, match=r"rng must be .*PCG64DXSM"):
        engine.train(backprop.Network([1, 1]), [[1.0]], [1.0], epochs=1, rng=rng)


@pytest.mark.parametrize("kind", GENERATORS)
@pytest.mark.parametrize("wrap", [lambda kind: kind, np.random.Generator], ids=["bit_generator", "Generator"])
def test_generator_is_left_advanced_only_on_success(engine, kind, wrap):
    network, X, y = backprop.Network([1, 1]), np.arange(7.0).reshape(7, 1) / 8.0, np.arange(7.0)

    def state(rng):
        return repr(getattr(rng, "bit_generator", rng).state)

    def fail(state):
        raise KeyError("stop")

    rng = wrap(kind(3))
    before = state(rng)
    with pytest.raises(KeyError):
        engine.train(network, X, y, epochs=2, batch_size=1, rng=rng, callback=fail)
    with pytest.raises(backprop.DivergenceError):
        engine.train(network, X, y, epochs=99, rng=rng, optimizer=backprop.SGD(1e300))
    with pytest.raises(ValueError, match="X must have 1 columns"):
        engine.train(network, [[1.0, 2.0]], [1.0], rng=rng)
    with pytest.raises(ValueError, match="unknown"):
        backprop.Network([2, 2, 2], "sigmoid", rng=rng)
    assert state(rng) == before

    run = engine.train(network, X, y, epochs=2, batch_size=1, rng=rng)
    assert run.network == engine.train(network, X, y, epochs=2, batch_size=1, rng=kind(3)).network
    after = state(rng)
    assert after != before
    assert repr(run._state.stream.state) == after
    assert engine.train(network, X, y, epochs=2, batch_size=1, rng=rng).network != run.network
    # A Training has a stream of its own: what becomes of the caller's generator does not reach a resumed run.
    assert (
        run.resume(X, y, epochs=2).network == engine.train(network, X, y, epochs=4, batch_size=1, rng=kind(3)).network
    )


def test_words_are_drawn_only_when_needed(engine):
    """No order is drawn for one batch, nor without shuffle; n rows take n - 1 words if none is rejected (N8, N9)."""
    network = backprop.Network([1, 1])
    four = [[0.5], [1.0], [1.5], [2.0]]
    for X, settings, words in (
        ([[0.5]], {"batch_size": 1}, 0),
        (four[:2], {"batch_size": 1, "shuffle": False}, 0),
        (four[:2], {"batch_size": 1}, 1),
        (four, {"batch_size": 3}, 3),
        (four, {"batch_size": 4}, 0),
        (four, {"batch_size": 5}, 0),
        (four, {}, 0),
        (four, {"optimizer": backprop.Rprop()}, 0),
        (four, {"batch_size": 3, "stopping": backprop.EarlyStopping(validation_fraction=0.25)}, 0),  # 3 to train on
        (four, {"batch_size": 2, "stopping": backprop.EarlyStopping(validation_fraction=0.25)}, 2),
    ):
        rng, raw = np.random.PCG64(9), np.random.PCG64(9)
        engine.train(network, X, X, epochs=2, rng=rng, **settings)
        if words:
            raw.random_raw(2 * words)
        assert rng.state == raw.state


def test_from_arrays():
    W1, b1, W2, b2 = np.arange(6.0).reshape(2, 3), [0.5, 1.5, -0.0], [[1], [2], [5e-324]], np.array([7], np.float32)
    network = backprop.Network.from_arrays([W1, W2], [b1, b2], "relu", "logistic")
    assert network.sizes == (2, 3, 1)
    assert network.activations == ("relu", "logistic")
    expected = [*range(6), 0.5, 1.5, -0.0, 1.0, 2.0, 5e-324, 7.0]
    assert hexadecimal(network.parameters) == hexadecimal(np.array(expected, float))
    W1[0, 0] = 99.0
    assert network.parameters[0] == 0.0
    turned = backprop.Network.from_arrays([np.asfortranarray(W1), W2], [b1, b2])
    assert hexadecimal(turned.weights[0]) == hexadecimal(W1)


def test_with_parameters():
    network = backprop.Network([2, 3, 1], "elu", "logistic")
    flat = np.linspace(-1.0, 1.0, network.n_parameters)
    other = network.with_parameters(flat)
    assert hexadecimal(other.parameters) == hexadecimal(flat)
    assert (other.sizes, other.activations) == (network.sizes, network.activations)
    assert not np.shares_memory(other.parameters, flat)
    assert flat.flags.writeable
    assert other.with_parameters(network.parameters) == network
    assert network.with_parameters(flat[::-1]) == network.with_parameters(flat[::-1].copy())
    assert network.with_parameters(list(range(13))) == network.with_parameters(np.arange(13.0))


def test_immutable():
    network = backprop.Network([2, 3, 1])
    bytes_before = network.parameters.tobytes()
    for array in (network.parameters, *network.weights, *network.biases):
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1.0
    for name in ("sizes", "activations", "weights", "biases", "parameters", "n_parameters", "_parameters", "anything"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(network, name, 1)
    with pytest.raises(AttributeError, match="immutable"):
        del network._parameters
    assert network.parameters.tobytes() == bytes_before


def test_trained_network_is_immutable(engine):
    start = backprop.Network([1, 2, 1])
    before = start.parameters.tobytes()
    run = engine.train(start, [[1.0], [2.0]], [1.0, 2.0], epochs=2)
    assert not run.network.parameters.flags.writeable
    assert start.parameters.tobytes() == before
    assert run.network != start


def test_equality_is_of_bits():
    network = backprop.Network([1, 1]).with_parameters([0.0, 1.0])
    same = backprop.Network.from_arrays([[[0.0]]], [[1.0]])
    assert network == same
    assert hash(network) == hash(same)
    assert network != network.with_parameters([-0.0, 1.0])
    assert network != network.with_parameters([0.0, 1.0 + 2.0**-52])
    assert network != backprop.Network([1, 1], output_activation="relu").with_parameters([0.0, 1.0])
    assert backprop.Network([1, 2, 2], "tanh").with_parameters(np.zeros(10)) != backprop.Network(
        [1, 2, 2], "relu"
    ).with_parameters(np.zeros(10))
    assert backprop.Network([2, 2]).with_parameters(np.zeros(6)) != backprop.Network([1, 3]).with_parameters(
        np.zeros(6)
    )
    assert network != "network"
    assert (network == 1) is False
    assert len({network, same, network.with_parameters([2.0, 1.0])}) == 2


@pytest.mark.parametrize(
    ("network", "text"),
    [
        (
            backprop.Network([4, 10, 3], output_activation="softmax"),
            "[4, 10, 3], activation='tanh', output_activation='softmax'",
        ),
        (backprop.Network([2, 3, 3, 1], "relu"), "[2, 3, 3, 1], activation='relu', output_activation='identity'"),
        (
            backprop.Network([2, 3, 3, 1], ["relu", "elu"]),
            "[2, 3, 3, 1], activation=['relu', 'elu'], output_activation='identity'",
        ),
        (backprop.Network([2, 1], output_activation="elu"), "[2, 1], activation='tanh', output_activation='elu'"),
    ],
)
def test_repr(network, text):
    assert repr(network) == f"Network({text})"
    again = eval(repr(network), {"Network": backprop.Network})
    assert (again.sizes, again.activations) == (network.sizes, network.activations)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol):
    special = [0.0, -0.0, 5e-324, -1.7976931348623157e308, 1.0 / 3.0, 2.2250738585072014e-308, 1e-310]
    network = backprop.Network([2, 1, 2], ["softplus"], "softmax").with_parameters(special)
    again = pickle.loads(pickle.dumps(network, protocol))
    assert again == network
    assert hexadecimal(again.parameters) == hexadecimal(special)
    assert not again.parameters.flags.writeable
    assert again.predict([[1e-9, 0.0]]).tobytes() == network.predict([[1e-9, 0.0]]).tobytes()


def test_copy():
    network = backprop.Network([2, 3, 1], rng=4)
    for again in (copy.copy(network), copy.deepcopy(network), copy.deepcopy([network])[0]):
        assert again == network
        assert not again.parameters.flags.writeable


def test_subclass_keeps_its_kind(tmp_path):
    class Named(backprop.Network):
        __slots__ = ()

    network = Named([2, 3, 1])
    assert type(network.with_parameters(np.zeros(13))) is Named
    assert type(Named.from_arrays(network.weights, network.biases)) is Named
    network.save(tmp_path / "net")
    assert type(Named.load(tmp_path / "net")) is Named
    assert network == backprop.Network([2, 3, 1])
    assert repr(network).startswith("Named(")


def test_predict_returns_a_new_array():
    network = backprop.Network([2, 1])
    X = np.ones((3, 2))
    out = network.predict(X)
    assert (out.shape, out.dtype, out.flags.c_contiguous, out.flags.writeable) == ((3, 1), np.float64, True, True)
    out[...] = 0.0
    assert network.predict(X)[0, 0] != 0.0


def test_result_not_finite_names_the_first_row(engine):
    network = backprop.Network([1, 1]).with_parameters([1e200, 0.0])
    X = np.ones((300, 1))
    X[257] = X[290] = -1e200
    with pytest.raises(OverflowError, match="prediction of row 257"):
        engine.predict(network, X)
    with pytest.raises(OverflowError, match="the loss of row 0 "):
        engine.loss(network, X, np.zeros(300))
    X[:] = 0.0
    X[131] = 1e-40  # 1e160 squared is too much, and so is each further row
    with pytest.raises(OverflowError, match="the loss of row 131 "):
        engine.loss(network, X, np.zeros(300))
    with pytest.raises(OverflowError, match="the loss of row 131 "):
        engine.loss_and_gradient(network, X, np.zeros(300))


def test_sum_of_losses_not_finite(engine):
    """Each loss is finite and their sum is not: the row where it stops being finite is named."""
    network = backprop.Network([1, 1]).with_parameters([1.0, 0.0])
    X = np.full((200, 1), 1.3e154)  # half its square is 8.4e307
    with pytest.raises(OverflowError, match="the loss of row 2 "):
        engine.loss(network, X, np.zeros(200))
    assert engine.loss(network, X[:2], np.zeros(2)) == 0.5 * (1.3e154 * 1.3e154)


def test_gradient_not_finite(engine):
    network = backprop.Network([1, 1]).with_parameters([1e154, 0.0])
    assert engine.loss(network, [[1.0]], [0.0]) > 1e307
    network = backprop.Network([1, 1]).with_parameters([1e-60, 0.0])
    with pytest.raises(OverflowError, match="gradient is not finite at parameter 0"):
        engine.loss_and_gradient(network, [[1e200]], [0.0])


def test_parameters_cannot_be_made_writable():
    network = backprop.Network([2, 3, 1])
    for array in (network.parameters, network.weights[0], network.biases[1], copy.deepcopy(network).parameters):
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.setflags(write=True)


def test_repr_of_names_that_are_numpys():
    assert repr(backprop.Network([2, 3, 1], np.str_("relu"))) == repr(backprop.Network([2, 3, 1], "relu"))
