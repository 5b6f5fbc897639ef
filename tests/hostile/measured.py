"""What the hostile conditions measure: every bit that the package returns for a small problem."""

import contextlib
import hashlib
import json
import os
import pickle
import tempfile
import threading
import traceback
import warnings


def check(truth, what):
    if not truth:
        raise AssertionError(what)


@contextlib.contextmanager
def raises(kind, *words):
    """The block ends in just this exception, and each of the words is in its text."""
    try:
        yield
    except kind as error:
        check(type(error) is kind, f"{error!r} is not just {kind.__name__}")
        for word in words:
            check(word in str(error), f"{word!r} is not in {str(error)!r}")
    else:
        check(False, f"no {kind.__name__}")


# What is measured.


def library():
    """backprop, whose threads work on the smallest pieces."""
    from small_work import share_small_work

    import backprop

    share_small_work()
    return backprop


def data():
    """X (24, 2) in eighths, y (24, 2) in thirty-seconds, each row of which sums to 1: exact in every rounding mode."""
    import numpy as np

    s, i = np.arange(24)[:, None], np.arange(2)
    X = ((7 * s + 3 * i + s * i) % 23 - 11) / 8.0
    t = (5 * s % 33) / 32.0
    return X, np.concatenate([t, 1.0 - t], axis=1)


def digest(value):
    return hashlib.sha256(value if isinstance(value, bytes) else value.tobytes()).hexdigest()[:16]


def runs():
    """Hidden and output activation, loss, optimizer and batch size."""
    backprop = library()
    return [
        ("tanh", "identity", "squared_error", backprop.SGD(0.1), 1),
        ("logistic", "logistic", "binary_cross_entropy", backprop.SGD(0.1, 0.9), 5),
        ("elu", "softmax", "cross_entropy", backprop.SGD(0.1, 0.9, nesterov=True), 7),
        ("softplus", "softsign", "squared_error", backprop.Adam(0.01), 5),
    ]


def results(X=None, y=None, engine="kernel", callback=None):
    """A digest of each thing that the package returns for this data, by name; what was passed in must be unchanged."""
    import numpy as np

    backprop = library()
    if engine == "kernel":
        train, predict, loss = backprop.fast_train, backprop.Network.predict, backprop.Network.loss
        loss_and_gradient, draw = backprop.loss_and_gradient, initial_parameters
    else:
        twin = backprop.reference
        train, predict, loss = twin.train, twin.predict, twin.loss
        loss_and_gradient, draw = twin.loss_and_gradient, twin.initial_parameters
    X, y = data()[0] if X is None else X, data()[1] if y is None else y
    held = [value.tobytes() for value in (X, y) if hasattr(value, "tobytes")]
    n_in, n_out = np.shape(X)[1], np.shape(y)[1]
    found = {"philox": digest(np.array(draw((n_in, 30, n_out), np.random.Philox(5))))}
    for seed, (hidden, output, name, optimizer, batch_size) in enumerate(runs()):
        sizes = (n_in, 4, n_out)
        network = backprop.Network(sizes, hidden, output, rng=seed)
        before = network.parameters.tobytes()
        generator = np.random.default_rng(seed)
        settings = {"loss": name, "optimizer": optimizer, "batch_size": batch_size, "callback": callback}
        run = train(network, X, y, epochs=2, rng=generator, **settings)
        trained = run.network.parameters.tobytes()
        resumed = run.resume(X, y, epochs=1, callback=callback)
        value, gradient = loss_and_gradient(network, X, y, name)
        found |= {
            f"{output} {part}": digest(number)
            for part, number in {
                "initial": np.array(draw(sizes, np.random.PCG64(seed))),
                "parameters": trained,
                "losses": resumed.losses,
                "resumed": resumed.network.parameters,
                "stream": str(generator.bit_generator.state).encode(),
                "prediction": predict(run.network, X),
                "prediction of copies": predict(run.network, np.asfortranarray(X)),
                "loss": np.array(loss(run.network, X, y, name)),
                "value": np.array(value),
                "gradient": gradient,
            }.items()
        }
        check(network.parameters.tobytes() == before, "the network has changed")
        check(run.network.parameters.tobytes() == trained, "resuming has changed the run")
    found |= files(run.network)
    found |= subnormal(train, predict, n_in, n_out)
    check([value.tobytes() for value in (X, y) if hasattr(value, "tobytes")] == held, "X or y has changed")
    return found


def initial_parameters(sizes, stream):
    return library().Network(sizes, rng=stream).parameters


def files(network):
    """The bytes of its file, and what is read from it."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "net")
        network.save(path)
        with open(path, "rb") as file:
            text = file.read()
        check(os.listdir(folder) == ["net"], "a file is left over")
        read = type(network).load(path)
    return {
        "file": digest(text),
        "read": digest(read.parameters),
        "pickle": digest(pickle.loads(pickle.dumps(network)).parameters),
    }


def subnormal(train, predict, n_in, n_out):
    """Linear networks on data of which flush-to-zero would leave nothing."""
    import numpy as np

    backprop = library()
    tiny = (np.arange(1, 24 * n_in + 1) << 40).view(np.float64).reshape(24, n_in)
    targets = (np.arange(24 * n_out, 0, -1) << 41).view(np.float64).reshape(24, n_out)
    network = backprop.Network((n_in, 3, n_out), "identity", "identity", rng=1)
    run = train(network, tiny, targets, optimizer=backprop.SGD(0.25), epochs=2, batch_size=5)
    return {"subnormal run": digest(run.network.parameters), "subnormal prediction": digest(predict(network, tiny))}


def in_threads(functions):
    """Call each in a thread of its own, all at once; an exception in one is raised here."""
    errors, ready = [], threading.Barrier(len(functions))

    def work(function):
        try:
            ready.wait()
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def forked():
    """os.fork(), which warns where there are threads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


class Child:
    """A child made by os.fork() that has not been told what to do yet: `send` is for it, `received` for its parent."""

    def __init__(self):
        self.read, self.write = os.pipe()
        self.pid = forked()

    def send(self, work):
        """Work, send what comes out, and end."""
        status = 1
        try:
            os.write(self.write, json.dumps(work()).encode())
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)

    def received(self):
        os.close(self.write)
        with os.fdopen(self.read) as pipe:
            text = pipe.read()
        check(os.waitpid(self.pid, 0)[1] == 0, "the child has failed")
        return json.loads(text)


def in_child(work):
    """What work() returns in a child made by os.fork()."""
    child = Child()
    if child.pid == 0:
        child.send(work)
    return child.received()


def network():
    return library().Network([2, 5, 2], rng=3)


def initial(network, generator):
    """What a call that fails must leave as it is."""
    return network.parameters.tobytes(), str(generator.bit_generator.state)
