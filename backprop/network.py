"""Network: the sizes, activations and parameters of a multilayer perceptron, immutable."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn, Self, SupportsIndex

import numpy as np
import numpy.typing as npt

from . import _kernel, arguments, streams, threads
from .arguments import FloatArray
from .hints import hinted
from .matrices import RowsLike, TargetsLike
from .passes import loss_of_samples, predictions
from .samples import loss_and_samples
from .text_file import File

# Multiply-adds of the largest prediction that is made without releasing the GIL: about 10 microseconds.
SMALL_WORK = 100_000


# Initializers: factor; whether fan = n_in + n_out, else n_in; whether weights are normal, else uniform. Normal weights
# have the standard deviation sqrt(factor/fan); uniform ones lie between -sqrt(factor/fan) and sqrt(factor/fan).
INITIALIZERS = {
    "glorot_uniform": (6.0, True, False),
    "glorot_normal": (2.0, True, True),
    "he_uniform": (6.0, False, False),
    "he_normal": (2.0, False, True),
    "lecun_uniform": (3.0, False, False),
    "lecun_normal": (1.0, False, True),
}


class Network:
    """A dense feed-forward network, with its weights.

    Parameters
    ----------
    sizes : sequence of int
        Widths of the layers, the input first: ``[4, 10, 3]`` has 4 inputs, 10 hidden units and 3 outputs.
    activation : str or list of str, default "tanh"
        Activation of the hidden layers: one name for all, or a list of one for each. Known: identity, logistic, tanh,
        relu, leaky_relu, elu, softplus, softsign, exponential, silu, gelu, gaussian.
    output_activation : str, default "identity"
        Activation of the output layer: any of these, or softmax.
    rng : int, SeedSequence, Generator, BitGenerator or None, default 0
        Random stream of the initial weights; None takes fresh entropy. A generator is advanced by the draw; two threads
        must not use the same one at once.
    initializer : str, default "glorot_uniform"
        Distribution of the initial weights: glorot_uniform, glorot_normal, he_uniform, he_normal, lecun_uniform or
        lecun_normal. Those of He are for relu and similar activations.
    hidden_bias : float, default 0.0
        Initial bias of every hidden unit. A few tenths keep the relu units of a small network from dying.

    Attributes
    ----------
    sizes : tuple of int
    activations : tuple of str
        The name of each layer's activation, the output's last.
    weights : tuple of ndarray of shape (n_in, n_out)
    biases : tuple of ndarray of shape (n_out,)
    parameters : ndarray of shape (n_parameters,)
        All weights and biases as one flat array: layer by layer, W row by row, then b.
    n_parameters : int

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, unknown or out of range.

    Notes
    -----
    Weights have mean 0 and, layer by layer, the variance ``2/(n_in + n_out)`` (Glorot and Bengio 2010), ``2/n_in`` (He
    et al. 2015) or ``1/n_in`` (LeCun et al. 1998); uniform weights lie between plus and minus
    ``sqrt(3*variance)``. The output's biases are 0. All arrays are float64 and read-only. Two networks are equal if
    their sizes, their activations and every bit of their parameters are equal.

    Examples
    --------
    >>> import backprop
    >>> net = backprop.Network([4, 10, 3], output_activation="softmax", rng=0)
    >>> net
    Network([4, 10, 3], activation='tanh', output_activation='softmax')
    >>> net.n_parameters
    83
    >>> net.predict([[5.1, 3.5, 1.4, 0.2]]).shape
    (1, 3)
    """

    __slots__ = ("_activations", "_parameters", "_predictor", "_sizes")

    _activations: tuple[str, ...]
    _parameters: FloatArray
    _predictor: _kernel.Predictor  # made by the first prediction
    _sizes: tuple[int, ...]

    @hinted
    def __init__(
        self,
        sizes: Iterable[SupportsIndex],
        activation: str | Sequence[str] = "tanh",
        output_activation: str = "identity",
        *,
        rng: Any = 0,
        initializer: str = "glorot_uniform",
        hidden_bias: float = 0.0,
    ) -> None:
        widths = arguments.sizes(sizes)
        rule = INITIALIZERS[arguments.known_name("initializer", initializer, INITIALIZERS)]
        names = arguments.activations(len(widths) - 2, activation, output_activation)
        bias = arguments.number("hidden_bias", hidden_bias, "(-inf, inf)")
        stream = streams.started(streams.stream_of(rng))
        before = streams.mark(rng, stream)
        try:
            flat = np.empty(arguments.n_parameters(widths))
        except MemoryError:
            what = f"a network of sizes {arguments.shown(list(widths))}"
            n_bytes = 8 * arguments.n_parameters(widths)
            raise arguments.too_much_memory(what, n_bytes, "give smaller sizes") from None
        _kernel.initial_parameters(widths, stream, *rule, bias, flat)
        streams.advance(rng, stream, before)
        self._fill(widths, names, flat)

    def _fill(self, sizes: tuple[int, ...], activations: tuple[str, ...], flat: FloatArray) -> None:
        object.__setattr__(self, "_sizes", sizes)
        object.__setattr__(self, "_activations", activations)
        object.__setattr__(self, "_parameters", _kernel.read_only(flat))

    @classmethod
    def _of(cls, sizes: tuple[int, ...], activations: tuple[str, ...], flat: FloatArray) -> Self:
        """A network that takes over the flat parameters (n_parameters,) without a copy."""
        network = cls.__new__(cls)
        network._fill(sizes, activations, flat)
        return network

    @classmethod
    def from_arrays(
        cls,
        weights: Sequence[npt.ArrayLike],
        biases: Sequence[npt.ArrayLike],
        activation: str | Sequence[str] = "tanh",
        output_activation: str = "identity",
    ) -> Self:
        """A network with given weights; the arrays are copied.

        Parameters
        ----------
        weights : sequence of array_like of shape (n_in, n_out)
            One for each layer; a layer computes ``x @ W + b``.
        biases : sequence of array_like of shape (n_out,)
        activation, output_activation
            As for `Network`.

        Raises
        ------
        TypeError, ValueError
            If the shapes do not fit each other, or a number is not finite.

        Examples
        --------
        >>> import backprop
        >>> backprop.Network.from_arrays([[[1.0], [2.0]]], [[0.5]]).predict([[1.0, 1.0]])
        array([[3.5]])
        """
        weights, biases = arguments.layers("weights", weights), arguments.layers("biases", biases)
        if len(weights) == 0 or len(weights) != len(biases):
            raise ValueError(
                f"weights and biases must hold one array for each layer, got {len(weights)} weights "
                f"and {len(biases)} biases"
            )
        widths: list[int] = []
        parts = []
        for l, (W, b) in enumerate(zip(weights, biases, strict=True)):
            W = arguments.array(f"weights[{l}]", W, (2,), "(n_in, n_out)")
            widths = widths or [W.shape[0]]
            if W.shape[0] != widths[-1] or 0 in W.shape:
                raise ValueError(
                    f"weights[{l}] must have shape ({widths[-1] or 'n_in >= 1'}, n_out >= 1), got {W.shape}"
                )
            b = arguments.array(f"biases[{l}]", b, (1,), f"({W.shape[1]},)")
            if b.shape[0] != W.shape[1]:
                raise ValueError(f"biases[{l}] must have shape ({W.shape[1]},), got {b.shape}")
            widths.append(W.shape[1])
            for name, part in ((f"weights[{l}]", W), (f"biases[{l}]", b)):
                part = arguments.float64(part)
                k = _kernel.first_not_finite(part.reshape(-1))
                if k >= 0:
                    raise ValueError(f"{name} must be finite, got {part.flat[k]}{arguments.place(part.shape, k)}")
                parts.append(part.reshape(-1))
        names = arguments.activations(len(widths) - 2, activation, output_activation)
        return cls._of(tuple(widths), names, np.concatenate(parts))

    def with_parameters(self, flat: npt.ArrayLike) -> Self:
        """The same network with other parameters.

        Parameters
        ----------
        flat : array_like of shape (n_parameters,)
            In the order of `parameters`; copied.

        Raises
        ------
        TypeError, ValueError
            If the shape is wrong, or a number is not finite.

        Examples
        --------
        >>> import backprop
        >>> net = backprop.Network([2, 1])
        >>> net.with_parameters([1, 2, 3]).weights[0]
        array([[1.],
               [2.]])
        """
        values = arguments.array("flat", flat, (1,), f"({self.n_parameters},)")
        if values.shape[0] != self.n_parameters:
            raise ValueError(f"flat must have shape ({self.n_parameters},), got {values.shape}")
        values = arguments.float64(values)
        k = _kernel.first_not_finite(values)
        if k >= 0:
            raise ValueError(f"flat must be finite, got {values[k]} at index {k}")
        return self._of(self._sizes, self._activations, values.copy())

    @property
    def sizes(self) -> tuple[int, ...]:
        """Widths of the layers, the input first."""
        return self._sizes

    @property
    def activations(self) -> tuple[str, ...]:
        """The name of each layer's activation, the output's last."""
        return self._activations

    @property
    def parameters(self) -> FloatArray:
        """All parameters, flat and read-only: layer by layer, W row by row, then b."""
        return self._parameters

    @property
    def n_parameters(self) -> int:
        """The number of weights and biases."""
        return self._parameters.size

    @property
    def weights(self) -> tuple[FloatArray, ...]:
        """The weights of each layer, (n_in, n_out); read-only views of `parameters`."""
        return tuple(W for W, _ in self._layers())

    @property
    def biases(self) -> tuple[FloatArray, ...]:
        """The biases of each layer, (n_out,); read-only views of `parameters`."""
        return tuple(b for _, b in self._layers())

    def _layers(self) -> Iterator[tuple[FloatArray, FloatArray]]:
        k = 0
        for n_in, n_out in zip(self._sizes, self._sizes[1:], strict=False):
            end = k + n_in * n_out
            yield self._parameters[k:end].reshape(n_in, n_out), self._parameters[end : end + n_out]
            k = end + n_out

    def predict(self, X: RowsLike, n_threads: int | None = None) -> FloatArray:
        """The network's output for each row.

        Parameters
        ----------
        X : array_like, sparse matrix or rows on disk, of shape (n_samples, n_features)
            Finite numbers, used without a copy as by `fast_train`; rows on disk are read piece by piece
            (docs/large-data.md).
        n_threads : int >= 1 or None
            Most threads to use; None: as many as OpenMP would use. Small work uses one. No bit depends on it.

        Returns
        -------
        ndarray of shape (n_samples, n_outputs)
            Row k equals ``predict(X[k:k+1])`` bit for bit.

        Raises
        ------
        TypeError, ValueError
            If X has another shape, or a number in it is not finite.
        OverflowError
            If an output is not finite; the message names the first such row.

        Examples
        --------
        >>> import backprop
        >>> backprop.Network([2, 3, 1], rng=1).predict([[0.0, 0.0]])
        array([[0.]])
        """
        if n_threads is not None:
            arguments.integer("n_threads", n_threads, 1)
        try:
            out = self._predictor.predict(X)
        except AttributeError:  # the first prediction
            object.__setattr__(self, "_predictor", _predictor(self))
            out = self._predictor.predict(X)
        if out is not None:
            return out
        return predictions(self, X, n_threads, threads.POLICY)

    def loss(
        self,
        X: RowsLike,
        y: TargetsLike,
        loss: str | None = None,
        n_threads: int | None = None,
        sample_weight: npt.ArrayLike | None = None,
    ) -> float:
        """The mean loss over all rows.

        Parameters
        ----------
        X : array_like, sparse matrix or rows on disk, of shape (n_samples, n_features)
            Finite numbers, used without a copy as by `fast_train`; rows on disk are read piece by piece
            (docs/large-data.md).
        y : array_like or rows on disk, of shape (n_samples, n_outputs), or (n_samples,)
            Targets; 1-D for one output, or integer classes of a softmax output.
        loss : str or None
            squared_error (half the squared distance), cross_entropy, binary_cross_entropy, absolute_error, huber or
            poisson; `fast_train` says which output each needs. None takes cross_entropy for a softmax output and
            squared_error otherwise.
        n_threads : int >= 1 or None
            As in `predict`.
        sample_weight : array_like of shape (n_samples,), or None
            Finite numbers >= 0 with a sum above 0. The result is then the weighted mean.

        Returns
        -------
        float

        Raises
        ------
        TypeError, ValueError
            If a shape does not fit, a number is not finite, or a target or weight is out of its range.
        OverflowError
            If a loss, the sum of losses or their mean is not finite; the message names the first such row.

        Examples
        --------
        >>> import backprop
        >>> backprop.Network([1, 1], rng=None).with_parameters([2, 0]).loss([[1], [2]], [1, 4])
        0.25
        """
        threads.checked(n_threads)
        name, samples = loss_and_samples(
            _kernel, self._sizes, self._activations, X, y, loss, sample_weight, search=False
        )
        return loss_of_samples(self, samples, name, n_threads, threads.POLICY)

    def save(self, path: File) -> None:
        """Write the network to a text file, exactly; `load` reads it back.

        An existing file is replaced as a whole or not at all; one that is read-only stays. The format has a version and
        hexadecimal numbers; docs/network-file.md describes it.

        Parameters
        ----------
        path : str, bytes or path-like; or a stream
            A stream is an object with a method ``write`` that takes bytes or text, such as ``io.BytesIO()``. It is
            left open.

        Raises
        ------
        OSError
            If the file cannot be written.

        Examples
        --------
        >>> import backprop, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "net.txt")
        >>> net = backprop.Network([2, 3, 1])
        >>> net.save(path)
        >>> backprop.Network.load(path) == net
        True
        """
        from . import network_file

        network_file.write(path, self._sizes, self._activations, self._parameters)

    @classmethod
    def load(cls, path: File) -> Self:
        """Read a network that `save` wrote. Nothing in the file is executed.

        Parameters
        ----------
        path : str, bytes or path-like; or a stream
            Of a regular file. A stream is an object with a method ``read`` that gives bytes or text, and is read to its
            end. Bytes are always a path: a file's content is read by ``load(io.BytesIO(content))``.

        Raises
        ------
        ValueError
            If the file is truncated, altered, of another version, or not a network; the message says which.
        OSError
            If the file cannot be read, or is not a regular file.

        Examples
        --------
        >>> import backprop, os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "net.txt")
        >>> backprop.Network([1, 1], rng=7).save(path)
        >>> backprop.Network.load(path)
        Network([1, 1], activation='tanh', output_activation='identity')
        """
        from . import network_file

        return cls._of(*network_file.read(path))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Network):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[tuple[int, ...], tuple[str, ...], bytes]:
        return self._sizes, self._activations, self._parameters.tobytes()

    def __repr__(self) -> str:
        hidden = self._activations[:-1]
        activation = hidden[0] if len(set(hidden)) == 1 else list(hidden) if hidden else "tanh"
        return (
            f"{type(self).__name__}({list(self._sizes)}, activation={activation!r}, "
            f"output_activation={self._activations[-1]!r})"
        )

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(
            f"a Network is immutable; to change {arguments.shown(name)}, make another one, e.g. with_parameters()"
        )

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Network is immutable; {arguments.shown(name)} cannot be deleted")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Plain data for pickle, joblib and skops: arrays that one NumPy version has pickled do not load in all."""
        data = self._parameters.astype("<f8").tobytes()
        return {"sizes": self._sizes, "activations": self._activations, "parameters": data}

    def __setstate__(self, state: dict[str, Any]) -> None:
        if hasattr(self, "_parameters"):
            raise AttributeError("a Network is immutable; its state cannot be set again")
        flat = np.frombuffer(state["parameters"], "<f8").astype(np.float64)
        self._fill(tuple(state["sizes"]), tuple(state["activations"]), flat)


def _predictor(network: Network) -> _kernel.Predictor:
    """The compiled predictor of a network, for predictions of up to SMALL_WORK multiply-adds."""
    rows = max(1, SMALL_WORK // network.n_parameters)
    return _kernel.Predictor(network.sizes, network.activations, network.parameters, rows)


def checked(network: object) -> Network:
    """The argument itself if it is a Network, else a TypeError."""
    if not isinstance(network, Network):
        raise TypeError(f"network must be a backprop.Network, got {arguments.shown(network)}")
    return network
