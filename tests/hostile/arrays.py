"""Data of every kind."""

import contextlib
import os
import tempfile
import threading

from .measured import check, data, in_threads, library, network, raises, results
from .table import condition

# Arrays.


def at_offset(a, offset):
    """The same numbers at an address that is not a multiple of their size."""
    import numpy as np

    raw = np.zeros(a.nbytes + 64, np.uint8)
    start = -raw.ctypes.data % 64 + offset
    moved = raw[start : start + a.nbytes].view(a.dtype).reshape(a.shape)
    moved[...] = a
    check(moved.ctypes.data % 8 == offset, "not at this offset")
    return moved


@condition()
def misaligned_by_1_to_7_bytes():
    X, y = data()
    return [results(at_offset(X, offset), at_offset(y, 8 - offset)) for offset in range(1, 8)]


@condition()
def foreign_byte_order():
    X, y = data()
    pairs = [(">f8", "<f8"), ("<f8", ">f8"), (">f4", ">f2"), (">g", ">f8")]
    return [results(X.astype(one), y.astype(other)) for one, other in pairs]


@condition()
def other_types():
    import numpy as np

    X, y = data()
    found = [results(X.astype(kind), y.astype(kind)) for kind in (np.float32, np.float16, np.longdouble, object)]
    definition = results((X * 8.0).astype(int), y, engine="reference")
    for kind in (np.int8, np.int16, np.int32, np.int64):
        check(results((X * 8.0).astype(kind), y) == definition, f"other bits from {kind.__name__}")
    return found


@condition()
def foreign_layouts():
    """Columns first, backward, every third, and a window that is moved by a row."""
    import numpy as np

    X, y = data()
    layouts = [
        np.asfortranarray,
        lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
        lambda a: np.repeat(np.repeat(a, 3, axis=0), 2, axis=1)[::3, ::2],
        lambda a: np.concatenate([a[:1], a])[1:],
        lambda a: np.moveaxis(np.stack([a, -a]), 0, 2)[:, :, 0],
    ]
    return [results(layout(X), layout(y)) for layout in layouts]


@condition()
def read_only_memory_maps():
    import numpy as np

    with tempfile.TemporaryDirectory() as folder:
        maps = []
        for name, a in zip("Xy", data(), strict=True):
            a.tofile(os.path.join(folder, name))
            maps.append(np.memmap(os.path.join(folder, name), a.dtype, "r", shape=a.shape))
        found = results(*maps)
        del maps  # Windows keeps a file that is mapped
    return found


@condition()
def read_only_arrays():
    import numpy as np

    X, y = data()
    frozen = [np.frombuffer(a.tobytes()).reshape(a.shape) for a in (X, y)]
    X.flags.writeable = y.flags.writeable = False
    return results(X, y), results(*frozen)


def same_as_copies(X, y):
    """These arrays give what the definition gives for plain copies of them."""
    check(results(X, y) == results(X.copy(), y.copy(), engine="reference"), "other bits")


@condition()
def overlapping_arrays():
    """X and y are one array, or two views of one buffer, moved by a row, or backward."""
    y = data()[1]
    for one, other in ((y, y), (y[:-1], y[1:]), (y[1:], y[:-1]), (y, y[::-1]), (y[::-1], y), (y[:, ::-1], y)):
        same_as_copies(one, other)
    return results()


@condition()
def repeated_rows():
    """Views with strides of 0."""
    import numpy as np

    X, y = data()
    same_as_copies(np.broadcast_to(X[3], X.shape), np.broadcast_to(y[5], y.shape))
    same_as_copies(np.broadcast_to(X[:, :1], X.shape), np.broadcast_to(y[:1], y.shape))
    return results()


@condition()
def buffers_of_python():
    """array.array and bytearray, which cannot be resized while a run looks at them; memoryviews."""
    import array

    backprop = library()
    X, y = data()
    held = [array.array("d", a.ravel().tolist()) for a in (X, y)]
    views = [memoryview(numbers).cast("B").cast("d", [24, 2]) for numbers in held]
    found = [results(*views), results(memoryview(X), memoryview(bytearray(y.tobytes())).cast("d", [24, 2]))]

    def callback(state):
        for numbers, view in zip(held, views, strict=True):
            view.release()  # the run's own is left
            with raises(BufferError):
                numbers.append(0.0)

    flat, net = array.array("d", y[:, 0].tolist()), backprop.Network([2, 1])
    check(net.loss(views[0], flat) == backprop.reference.loss(net, X, y[:, :1]), "another loss")
    backprop.fast_train(network(), *views, epochs=2, callback=callback)
    return found


class Lazy:
    """An object with __array__, which counts how often it is asked."""

    def __init__(self, make):
        self.make, self.asked = make, 0

    def __array__(self, dtype=None, copy=None):
        self.asked += 1
        return self.make()


@condition()
def objects_with_array():
    """They are asked once a call; what they give instead of numbers becomes an error that names the argument."""
    import numpy as np

    backprop = library()
    net, (X, y) = network(), data()
    found = results(Lazy(lambda: X), Lazy(lambda: y))
    other = X.copy()

    def changing():
        other[...] = -other
        return other.copy()

    lazy = Lazy(changing)
    prediction = net.predict(lazy)
    check(lazy.asked == 1, "asked more than once")
    check(prediction.tobytes() == backprop.reference.predict(net, -X).tobytes(), "another prediction")

    def failing(error):
        raise error

    refused = [
        (lambda: failing(ValueError("mine")), ValueError, ["Lazy", "mine"]),
        (lambda: failing(TypeError("mine")), TypeError, ["Lazy", "mine"]),
        (lambda: 3.0, ValueError, ["Lazy"]),
        (lambda: X[:, :1], ValueError, ["2 columns", "(24, 1)"]),
        (lambda: X[0], ValueError, ["(n_samples, 2)", "(2,)"]),
        (lambda: X.astype(complex), TypeError, ["real numbers", "complex128"]),
        (lambda: np.ma.masked_array(X), TypeError, ["mask"]),
    ]
    for make, kind, words in refused:
        for call in (lambda X: net.predict(X), lambda X: net.loss(X, y), lambda X: backprop.fast_train(net, X, y)):
            with raises(kind, "X must", *words):
                call(Lazy(make))
    with raises(RuntimeError, "mine"):  # the host's own
        net.predict(Lazy(lambda: failing(RuntimeError("mine"))))
    return found


@condition()
def subclasses_of_arrays():
    import numpy as np

    class Hostile(np.ndarray):
        """Nothing that a subclass may override is used."""

        def refuse(self, *arguments, **settings):
            raise AssertionError("the subclass was asked")

        __getitem__ = __array_ufunc__ = __array_function__ = __iter__ = __len__ = __eq__ = __float__ = refuse
        astype = reshape = copy = tolist = ravel = refuse
        __hash__ = None

    class Other(np.ndarray):
        def __array_finalize__(self, parent):
            self.numbers = getattr(parent, "numbers", 0) + 1

        def __getitem__(self, index):
            return 7.0

    X, y = data()
    found = [results(X.view(kind), y.view(kind)) for kind in (Other, np.matrix, np.recarray)]
    backprop = library()
    net = network()
    one, other = X.view(Hostile), y.view(Hostile)
    run, expected = backprop.fast_train(net, one, other, epochs=2), backprop.reference.train(net, X, y, epochs=2)
    check(run.network == expected.network, "another run")
    check(type(net.predict(one)) is np.ndarray, "a subclass is returned")
    check(net.predict(one).tobytes() == backprop.reference.predict(net, X).tobytes(), "another prediction")
    return found


@condition()
def masked_arrays():
    """Refused wherever they are, even if nothing is masked."""
    import numpy as np

    backprop = library()
    net, (X, y) = network(), data()
    for masked in (
        np.ma.masked_array,
        lambda a: list(map(np.ma.masked_array, a)),
        lambda a: Lazy(lambda: np.ma.array(a)),
    ):
        for name, call in {
            "X": lambda a: net.predict(a(X)),
            "y": lambda a: net.loss(X, a(y)),
            "flat": lambda a: net.with_parameters(a(net.parameters)) if a is np.ma.masked_array else net.predict(a(X)),
            "weights[0]": lambda a: backprop.Network.from_arrays([a(net.weights[0])], [net.biases[0]]),
        }.items():
            name = "X" if name == "flat" and masked is not np.ma.masked_array else name
            with raises(TypeError, f"{name} must be an array without a mask", "got a masked array"):
                call(masked)
    return results()


@condition()
def arrays_that_another_thread_changes():
    """What comes out is nobody's promise, but it comes out or is an error, and the next call is right."""
    import numpy as np

    backprop = library()
    X, y = data()
    softmax = backprop.Network([2, 5, 3], output_activation="softmax", rng=3)
    labels = np.arange(24) % 3
    spoiled, done = (X.copy(), y.copy(), labels.copy()), threading.Event()

    def spoil():
        values = [(np.nan, -np.inf, -1), (1e300, 1e308, 2**62), (0.5, 0.5, 1)]
        while not done.is_set():
            for numbers in values:
                for a, number in zip(spoiled, numbers, strict=True):
                    a[::2] = number

    def train():
        for _ in range(20):
            for net, targets in ((network(), spoiled[1]), (softmax, spoiled[2])):
                with contextlib.suppress(ArithmeticError, ValueError):
                    backprop.fast_train(net, spoiled[0], targets, epochs=20, batch_size=3)
                with contextlib.suppress(ArithmeticError, ValueError):
                    net.predict(spoiled[0])
                with contextlib.suppress(ArithmeticError, ValueError):
                    backprop.loss_and_gradient(net, spoiled[0], targets)
        done.set()

    in_threads([spoil, train])
    return results()
