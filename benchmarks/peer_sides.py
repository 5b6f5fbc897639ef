"""Measure one side, backprop or a peer, in this process: python peer_sides.py SIDE WORKLOAD [BESIDE].

Prints a line of JSON: the median seconds of what the workload repeats (a whole run, a prediction of all rows, or one of
a single row), and a figure that shows that the work was done: the trained network's loss on all rows, or the mean size
of the predictions. backprop computes the loss of every side, from its trained weights. BESIDE names the peer that
backprop is compared with: a run does only what that peer can do too.
"""

import ctypes
import json
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import workloads
from workloads import Run

import backprop
from backprop import Adam

FANN_LIBRARIES = ("libdoublefann.so.2", "libdoublefann.so", "libdoublefann.dylib")
SINGLE_ROWS = 2000

Layers = list[tuple[np.ndarray, np.ndarray]]  # W (n_in, n_out) and b (n_out,) of each layer

TRAINING = {
    "seed": workloads.seed_run,
    "online": workloads.online_run,
    "tabular": workloads.tabular_run,
    "mnist": workloads.image_run,
    "wide": workloads.wide_run,
}


def run_beside(workload: str, peer: str) -> Run:
    """The run as the peer can do it: FANN and scikit-learn train all biases; scikit-learn's output is linear."""
    run = TRAINING[workload]()
    if peer in ("fann", "sklearn"):
        run = run._replace(train_biases=True)
    if peer == "sklearn" and workload in ("seed", "online"):
        network = run.network
        run = run._replace(network=backprop.Network.from_arrays(network.weights, network.biases, "logistic"))
    return run


def layers_of(network: backprop.Network) -> Layers:
    return [(W.copy(), b.copy()) for W, b in zip(network.weights, network.biases, strict=True)]


class Ours:
    """This project, through its public functions. The other sides have the same five methods."""

    def start(self, run: Run) -> Callable[[], Any]:
        """Prepare everything before the first step; return a function that does the run, which is timed."""
        return run.train

    def layers(self, result: Any) -> Layers:
        """The trained W and b of each layer, from the value that the run returned."""
        return layers_of(result.network)

    def predictor(self, network: backprop.Network) -> Callable[[Any], Any]:
        """The network's prediction as a function of rows."""
        return network.predict

    def rows(self, X: np.ndarray) -> Any:
        """X in the form that the predictor takes."""
        return X

    def outputs(self, result: Any) -> np.ndarray:
        """The predictions as an array, from the value that the predictor returned."""
        return np.asarray(result)


class ScikitLearn(Ours):
    """MLPRegressor and MLPClassifier without a penalty and without early stopping."""

    def start(self, run: Run) -> Callable[[], Any]:
        model = self._model(run.network, run.y.dtype.kind == "i")
        adam = isinstance(run.optimizer, Adam)
        model.set_params(
            solver="adam" if adam else "sgd",
            learning_rate_init=run.optimizer.learning_rate,
            momentum=0.0,
            nesterovs_momentum=False,
            batch_size=run.batch_size,
            max_iter=run.epochs,
            shuffle=run.shuffle,
        )
        y = run.y.ravel() if run.y.shape[1:] == (1,) else run.y
        return lambda: model.fit(run.X, y)

    def layers(self, result: Any) -> Layers:
        return list(zip(result.coefs_, result.intercepts_, strict=True))

    def predictor(self, network: backprop.Network) -> Callable[[Any], Any]:
        model = self._model(network, classifier=False)
        model.set_params(max_iter=1)
        model.fit(np.zeros((2, network.sizes[0])), np.zeros(2))
        model.coefs_, model.intercepts_ = (list(arrays) for arrays in zip(*layers_of(network), strict=True))
        return model.predict

    @staticmethod
    def _model(network: backprop.Network, classifier: bool) -> Any:
        """A model that begins with the network's weights."""
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        layers = iter(layers_of(network))

        class Begun(MLPClassifier if classifier else MLPRegressor):
            def _init_coef(self, *_: Any) -> tuple[np.ndarray, np.ndarray]:
                return next(layers)

        return Begun(
            hidden_layer_sizes=network.sizes[1:-1],
            activation=network.activations[0],
            alpha=0.0,
            tol=0.0,
            n_iter_no_change=10**9,
            random_state=0,
        )


class Torch(Ours):
    """A Sequential of Linear layers, run eagerly; the optimizers of batches are the fused ones."""

    def __init__(self, dtype: str = "float64") -> None:
        import torch

        self.torch, self.dtype = torch, getattr(torch, dtype)

    def start(self, run: Run) -> Callable[[], Any]:
        model, X = self._model(run.network), self.rows(run.X)
        if run.batch_size == 1:
            return self._online(run, model, X)
        if run.y.dtype.kind == "i":
            y, loss = self.torch.tensor(run.y), self.torch.nn.CrossEntropyLoss()
        else:
            y = self.rows(run.y.reshape(len(run.y), -1))

            def loss(o: Any, t: Any) -> Any:
                return 0.5 * ((o - t) ** 2).mean()

        kind = self.torch.optim.Adam if isinstance(run.optimizer, Adam) else self.torch.optim.SGD
        optimizer = kind(model.parameters(), lr=run.optimizer.learning_rate, fused=True)

        def train() -> Any:
            for _ in range(run.epochs):
                order = self.torch.randperm(len(X))
                x, t = X[order], y[order]
                for first in range(0, len(X), run.batch_size):
                    batch = slice(first, first + run.batch_size)
                    optimizer.zero_grad()
                    loss(model(x[batch]), t[batch]).backward()
                    optimizer.step()
            return model

        return train

    def _online(self, run: Run, model: Any, X: Any) -> Callable[[], Any]:
        y = self.rows(run.y)
        for name, parameter in model.named_parameters():
            parameter.requires_grad = run.train_biases or name.endswith("weight")
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = self.torch.optim.SGD(trained, lr=run.optimizer.learning_rate)

        def train() -> Any:
            for _ in range(run.epochs):
                for s in range(len(X)):
                    optimizer.zero_grad()
                    (0.5 * ((model(X[s]) - y[s]) ** 2).sum()).backward()
                    optimizer.step()
            return model

        return train

    def layers(self, result: Any) -> Layers:
        linear = [layer for layer in result if isinstance(layer, self.torch.nn.Linear)]
        return [tuple(p.detach().double().numpy() for p in (layer.weight.T, layer.bias)) for layer in linear]

    def predictor(self, network: backprop.Network) -> Callable[[Any], Any]:
        return self.torch.inference_mode()(self._model(network).eval())

    def rows(self, X: np.ndarray) -> Any:
        return self.torch.tensor(X, dtype=self.dtype)

    def outputs(self, result: Any) -> np.ndarray:
        return result.double().numpy()

    def _model(self, network: backprop.Network) -> Any:
        nn = self.torch.nn
        kinds = {"logistic": nn.Sigmoid, "tanh": nn.Tanh, "relu": nn.ReLU}
        parts = []
        for (W, b), name in zip(layers_of(network), network.activations, strict=True):
            linear = nn.Linear(*W.shape, dtype=self.dtype)
            with self.torch.no_grad():
                linear.weight.copy_(self.rows(W.T))
                linear.bias.copy_(self.rows(b))
            parts += [linear, kinds[name]()] if name in kinds else [linear]
        return nn.Sequential(*parts)


class Jax(Ours):
    """The whole run as one compiled function; rows are gathered once an epoch, and scans are unrolled a little."""

    def __init__(self) -> None:
        import jax

        jax.config.update("jax_enable_x64", True)
        self.jax, self.compiled = jax, None

    def start(self, run: Run) -> Callable[[], Any]:
        if self.compiled is None:
            self.compiled = self.jax.jit(self._online(run) if run.batch_size == 1 else self._batches(run))
            self.jax.block_until_ready(self.compiled(self._layers(run.network)))
        layers = self._layers(run.network)
        return lambda: self.jax.block_until_ready(self.compiled(layers))

    def layers(self, result: Any) -> Layers:
        return [(np.asarray(W), np.asarray(b)) for W, b in result]

    def predictor(self, network: backprop.Network) -> Callable[[Any], Any]:
        layers, output = self._layers(network), self._output(network)
        predict = self.jax.jit(lambda X: output(layers, X))
        return lambda X: np.asarray(predict(X))

    def _layers(self, network: backprop.Network) -> Any:
        return [(self.jax.numpy.asarray(W), self.jax.numpy.asarray(b)) for W, b in layers_of(network)]

    def _output(self, network: backprop.Network) -> Callable[[Any, Any], Any]:
        """The network as a function of layers and rows; its net inputs instead of softmax, which the loss includes."""
        jax = self.jax
        kinds = {"logistic": jax.nn.sigmoid, "tanh": jax.numpy.tanh, "relu": jax.nn.relu}

        def output(layers: Any, x: Any) -> Any:
            for (W, b), name in zip(layers, network.activations, strict=True):
                x = kinds.get(name, lambda z: z)(x @ W + b)
            return x

        return output

    def _online(self, run: Run) -> Callable[[Any], Any]:
        jax, output, lr = self.jax, self._output(run.network), run.optimizer.learning_rate
        rows = (jax.numpy.asarray(run.X), jax.numpy.asarray(run.y))
        gradient = jax.grad(lambda layers, x, t: 0.5 * ((output(layers, x) - t) ** 2).sum())

        def step(layers: Any, row: Any) -> tuple[Any, None]:
            moved = gradient(layers, *row)
            return [
                (W - lr * dW, b - lr * db if run.train_biases else b)
                for (W, b), (dW, db) in zip(layers, moved, strict=True)
            ], None

        def epoch(_: Any, layers: Any) -> Any:
            return jax.lax.scan(step, layers, rows, unroll=min(5, len(run.X)))[0]

        return lambda layers: jax.lax.fori_loop(0, run.epochs, epoch, layers)

    def _batches(self, run: Run) -> Callable[[Any], Any]:
        jax, output, lr = self.jax, self._output(run.network), run.optimizer.learning_rate
        count, whole = len(run.X), len(run.X) - len(run.X) % run.batch_size
        X, classes = jax.numpy.asarray(run.X), run.y.dtype.kind == "i"
        y = jax.nn.one_hot(run.y, run.network.sizes[-1]) if classes else jax.numpy.asarray(run.y.reshape(count, -1))

        def loss(layers: Any, x: Any, t: Any) -> Any:
            o = output(layers, x)
            if classes:
                return -(jax.nn.log_softmax(o) * t).sum(-1).mean()
            return 0.5 * ((o - t) ** 2).mean()

        gradient, tree = jax.grad(loss), jax.tree.map

        def sgd_step(layers: Any, batch: Any) -> tuple[Any, None]:
            return tree(lambda w, g: w - lr * g, layers, gradient(layers, *batch)), None

        def adam_step(state: Any, batch: Any) -> tuple[Any, None]:
            layers, m, v, power_1, power_2 = state
            g = gradient(layers, *batch)
            power_1, power_2 = 0.9 * power_1, 0.999 * power_2
            rate = lr * jax.numpy.sqrt(1.0 - power_2) / (1.0 - power_1)
            m = tree(lambda m, g: 0.9 * m + 0.1 * g, m, g)
            v = tree(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
            layers = tree(lambda w, m, v: w - rate * m / (jax.numpy.sqrt(v) + 1e-8), layers, m, v)
            return (layers, m, v, power_1, power_2), None

        adam = isinstance(run.optimizer, Adam)
        step = adam_step if adam else sgd_step

        def epoch(state: Any, key: Any) -> tuple[Any, None]:
            order = jax.random.permutation(key, count)
            x, t = X[order], y[order]
            batches = tuple(a[:whole].reshape(-1, run.batch_size, a.shape[1]) for a in (x, t))
            state, _ = jax.lax.scan(step, state, batches, unroll=2)
            return (step(state, (x[whole:], t[whole:]))[0] if whole < count else state), None

        def train(layers: Any) -> Any:
            zeros = tree(jax.numpy.zeros_like, layers)
            state = (layers, zeros, zeros, 1.0, 1.0) if adam else layers
            state, _ = jax.lax.scan(epoch, state, jax.random.split(jax.random.PRNGKey(0), run.epochs))
            return state[0] if adam else state

        return train


class Numba(Ours):
    """A loop over rows for a network of one hidden layer, written by hand, compiled with fastmath."""

    def __init__(self) -> None:
        import numba

        @numba.njit(fastmath=True)
        def train(X, y, W1, b1, W2, b2, lr, bias_lr, epochs):
            h, delta = np.empty(W1.shape[0]), np.empty(W2.shape[0])
            for _ in range(epochs):
                for s in range(X.shape[0]):
                    for i in range(W1.shape[0]):
                        z = b1[i]
                        for k in range(X.shape[1]):
                            z += W1[i, k] * X[s, k]
                        h[i] = 1 / (1 + np.exp(-z))
                    for j in range(W2.shape[0]):
                        z = b2[j]
                        for i in range(W1.shape[0]):
                            z += W2[j, i] * h[i]
                        o = 1 / (1 + np.exp(-z))
                        delta[j] = (o - y[s, j]) * o * (1 - o)
                    for i in range(W1.shape[0]):
                        g = 0.0
                        for j in range(W2.shape[0]):
                            g += delta[j] * W2[j, i]
                            W2[j, i] -= lr * delta[j] * h[i]
                        g *= h[i] * (1 - h[i])
                        for k in range(X.shape[1]):
                            W1[i, k] -= lr * g * X[s, k]
                        b1[i] -= bias_lr * g
                    for j in range(W2.shape[0]):
                        b2[j] -= bias_lr * delta[j]

        self.train, self.compiled = train, False

    def start(self, run: Run) -> Callable[[], Any]:
        if not self.compiled:
            self.compiled = True
            self.start(run._replace(epochs=1))()
        (W1, b1), (W2, b2) = layers_of(run.network)
        weights, lr = (W1.T.copy(), b1, W2.T.copy(), b2), run.optimizer.learning_rate

        def train() -> Any:
            self.train(run.X, run.y, *weights, lr, lr if run.train_biases else 0.0, run.epochs)
            return weights

        return train

    def layers(self, result: Any) -> Layers:
        W1, b1, W2, b2 = result
        return [(W1.T, b1), (W2.T, b2)]


class FannConnection(ctypes.Structure):
    """A weight between two neurons, as FANN lists them."""

    _fields_ = (("start", ctypes.c_uint), ("end", ctypes.c_uint), ("weight", ctypes.c_double))


class FannData(ctypes.Structure):
    """The beginning of FANN's struct fann_train_data."""

    _fields_ = (
        ("errno", ctypes.c_int),
        ("error_log", ctypes.c_void_p),
        ("error_text", ctypes.c_void_p),
        ("rows", ctypes.c_uint),
        ("n_in", ctypes.c_uint),
        ("n_out", ctypes.c_uint),
        ("inputs", ctypes.POINTER(ctypes.POINTER(ctypes.c_double))),
        ("targets", ctypes.POINTER(ctypes.POINTER(ctypes.c_double))),
    )


def load_fann() -> Any:
    """FANN's library for doubles, with the signatures of the functions used here; None if it is not installed."""
    for name in FANN_LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        break
    else:
        return None
    pointer, doubles, unsigned = ctypes.c_void_p, ctypes.POINTER(ctypes.c_double), ctypes.c_uint
    types = {
        "create_standard_array": (pointer, unsigned, ctypes.POINTER(unsigned)),
        "create_train": (pointer, unsigned, unsigned, unsigned),
        "get_total_connections": (unsigned, pointer),
        "get_connection_array": (None, pointer, pointer),
        "set_weight_array": (None, pointer, pointer, unsigned),
        "set_activation_function_hidden": (None, pointer, ctypes.c_int),
        "set_activation_function_output": (None, pointer, ctypes.c_int),
        "set_activation_steepness_hidden": (None, pointer, ctypes.c_double),
        "set_activation_steepness_output": (None, pointer, ctypes.c_double),
        "set_training_algorithm": (None, pointer, ctypes.c_int),
        "set_train_error_function": (None, pointer, ctypes.c_int),
        "set_learning_rate": (None, pointer, ctypes.c_float),
        "train_epoch": (ctypes.c_float, pointer, pointer),
        "run": (doubles, pointer, doubles),
    }
    for name, (result, *given) in types.items():
        function = getattr(library, f"fann_{name}")
        function.restype, function.argtypes = result, given
    return library


class Fann(Ours):
    """FANN by ctypes: incremental training with the linear error function; an epoch is one call."""

    # FANN's code and steepness of each activation: FANN's own logistic and tanh are twice as steep.
    CODES = {"identity": (0, 1.0), "logistic": (3, 0.5), "tanh": (5, 1.0)}  # noqa: RUF012
    INCREMENTAL, LINEAR_ERROR = 0, 0

    def __init__(self) -> None:
        self.fann = load_fann()

    def start(self, run: Run) -> Callable[[], Any]:
        network = self._network(run.network)
        self.sizes = run.network.sizes
        self.fann.fann_set_training_algorithm(network, self.INCREMENTAL)
        self.fann.fann_set_train_error_function(network, self.LINEAR_ERROR)
        self.fann.fann_set_learning_rate(network, run.optimizer.learning_rate)
        data = self._data(run.X, run.y)

        def train() -> Any:
            for _ in range(run.epochs):
                self.fann.fann_train_epoch(network, data)
            return network

        return train

    def layers(self, result: Any) -> Layers:
        connections = self._connections(result)
        places = {(c.start, c.end): c.weight for c in connections}
        starts = self._starts(self.sizes)
        layers = []
        for l, (n_in, n) in enumerate(zip(self.sizes, self.sizes[1:], strict=False)):
            from_0, to_0 = starts[l], starts[l + 1]
            W = np.array([[places[from_0 + i, to_0 + j] for j in range(n)] for i in range(n_in + 1)])
            layers.append((W[:-1], W[-1]))
        return layers

    def predictor(self, network: backprop.Network) -> Callable[[Any], Any]:
        fann, run, self.sizes = self._network(network), self.fann.fann_run, network.sizes
        return lambda row: run(fann, row)

    def rows(self, X: np.ndarray) -> Any:
        return (ctypes.c_double * X.size)(*X.ravel())

    def outputs(self, result: Any) -> np.ndarray:
        return np.array(result[: self.sizes[-1]])

    @staticmethod
    def _starts(sizes: tuple[int, ...]) -> list[int]:
        """The number of each layer's first neuron; a neuron for the biases ends each layer."""
        return [sum(sizes[:l]) + l for l in range(len(sizes))]

    def _connections(self, network: Any) -> Any:
        connections = (FannConnection * self.fann.fann_get_total_connections(network))()
        self.fann.fann_get_connection_array(network, connections)
        return connections

    def _network(self, given: backprop.Network) -> Any:
        fann, sizes = self.fann, given.sizes
        network = fann.fann_create_standard_array(len(sizes), (ctypes.c_uint * len(sizes))(*sizes))
        for where, name in (("hidden", given.activations[0]), ("output", given.activations[-1])):
            code, steepness = self.CODES[name]
            getattr(fann, f"fann_set_activation_function_{where}")(network, code)
            getattr(fann, f"fann_set_activation_steepness_{where}")(network, steepness)
        connections, starts = self._connections(network), self._starts(sizes)
        weights = {
            (starts[l] + i, starts[l + 1] + j): w
            for l, (W, b) in enumerate(layers_of(given))
            for (i, j), w in np.ndenumerate(np.vstack([W, b]))
        }
        for connection in connections:
            connection.weight = weights[connection.start, connection.end]
        fann.fann_set_weight_array(network, connections, len(connections))
        return network

    def _data(self, X: np.ndarray, y: np.ndarray) -> Any:
        data = self.fann.fann_create_train(len(X), X.shape[1], y.shape[1])
        seen = ctypes.cast(data, ctypes.POINTER(FannData)).contents
        for s in range(len(X)):
            for to, values in ((seen.inputs[s], X[s]), (seen.targets[s], y[s])):
                for k, value in enumerate(values):
                    to[k] = value
        return data


SIDES: dict[str, Callable[[], Ours]] = {
    "backprop": Ours,
    "sklearn": ScikitLearn,
    "torch": Torch,
    "torch-float32": lambda: Torch("float32"),
    "jax": Jax,
    "numba": Numba,
    "fann": Fann,
}


def timed(start: Callable[[], Callable[[], Any]]) -> tuple[float, Any]:
    """The median seconds of what start() returns, over three calls or as many more as fit 0.2 s; the last result."""
    times: list[float] = []
    while len(times) < 3 or (sum(times) < 0.2 and len(times) < 101):
        function = start()
        began = time.perf_counter()
        result = function()
        times.append(time.perf_counter() - began)
    return statistics.median(times), result


def train(side: Ours, run: Run) -> tuple[float, float]:
    """The seconds of a run, and the trained network's loss."""
    seconds, result = timed(lambda: side.start(run))
    weights, biases = zip(*side.layers(result), strict=True)
    names = run.network.activations
    network = backprop.Network.from_arrays(weights, biases, names[:-1], names[-1])
    return seconds, network.loss(run.X, run.y)


def mean_size(side: Ours, results: Iterable[Any]) -> float:
    """The mean size of predictions, each looked at before the next is made."""
    return float(np.mean([np.abs(side.outputs(result)).mean() for result in results]))


def predict_one(side: Ours) -> tuple[float, float]:
    """The median seconds of a prediction of one row, and the mean size of the predictions of all rows."""
    network, (X, _) = workloads.tabular_data()
    predict, rows = side.predictor(network), [side.rows(X[s : s + 1]) for s in range(SINGLE_ROWS)]
    proof = mean_size(side, map(predict, rows))

    def one_by_one() -> None:
        for row in rows:
            predict(row)

    return timed(lambda: one_by_one)[0] / SINGLE_ROWS, proof


def predict_many(side: Ours) -> tuple[float, float]:
    """The seconds of a prediction of all rows, and the mean size."""
    network, (X, _) = workloads.tabular_data()
    predict, rows = side.predictor(network), side.rows(X)
    predict(rows)
    seconds, result = timed(lambda: lambda: predict(rows))
    return seconds, mean_size(side, [result])


def main(name: str, workload: str, beside: str = "") -> None:
    side = SIDES[name]()
    if workload in TRAINING:
        seconds, proof = train(side, run_beside(workload, beside or name))
    else:
        seconds, proof = {"predict-one": predict_one, "predict-many": predict_many}[workload](side)
    print(json.dumps({"seconds": seconds, "proof": proof}))


if __name__ == "__main__":
    main(*sys.argv[1:])
