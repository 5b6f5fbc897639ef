"""Arguments of the public functions: checks, conversions and error messages.

Each error names the argument, the value given and the values allowed. Numbers inside arrays are checked by the engine
that computes with them; the errors about them are made here, so that both engines raise the same ones.
"""

import math
import operator
import reprlib
import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from functools import lru_cache
from typing import Any, SupportsIndex

import numpy as np
import numpy.typing as npt

from . import _kernel
from .matrices import Matrix, Sparse, is_sparse
from .sources import Source, check_file, is_source

FloatArray = npt.NDArray[np.float64]

# Names in other libraries, and the equivalent name here: for the hint in an error.
OTHER_NAMES = {
    "sigmoid": "logistic",
    "linear": "identity",
    "none": "identity",
    "mse": "squared_error",
    "mean_squared_error": "squared_error",
    "log_loss": "cross_entropy",
    "categorical_crossentropy": "cross_entropy",
    "categorical_cross_entropy": "cross_entropy",
    "sparse_categorical_crossentropy": "cross_entropy",
    "crossentropy": "cross_entropy",
    "bce": "binary_cross_entropy",
    "binary_crossentropy": "binary_cross_entropy",
    "leakyrelu": "leaky_relu",
    "exp": "exponential",
    "swish": "silu",
    "rbf": "gaussian",
    "mae": "absolute_error",
    "l1": "absolute_error",
    "mean_absolute_error": "absolute_error",
    "huber_loss": "huber",
    "smooth_l1": "huber",
    "poisson_loss": "poisson",
    "xavier": "glorot_uniform",
    "xavier_uniform": "glorot_uniform",
    "xavier_normal": "glorot_normal",
    "glorot": "glorot_uniform",
    "kaiming": "he_uniform",
    "kaiming_uniform": "he_uniform",
    "kaiming_normal": "he_normal",
    "he": "he_uniform",
    "lecun": "lecun_uniform",
}
# Advice about what is no number, for each argument that holds a matrix or vector.
TEXT_CURES = {
    "X": "turn text into numbers first, such as by pandas.get_dummies(X)",
    "y": "number classes from 0, such as by np.unique(y, return_inverse=True)[1]",
}

# Types that float() or a cast would convert, but that are no real numbers.
NOT_REAL = (str, bytes, bytearray, memoryview, complex, np.complexfloating, np.flexible, np.datetime64, np.timedelta64)
BOOLEANS = (bool, np.bool_)
NO_NUMBER = (*NOT_REAL, *BOOLEANS, np.ndarray)


class _Repr(reprlib.Repr):
    """Python's repr of values, but of long containers and strings only as much as an error shows."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("tuple", "list", "array", "dict", "set", "frozenset", "deque"):
            setattr(self, f"max{name}", 40)
        self.maxstring = self.maxlong = SHOWN

    def repr_ndarray(self, x: npt.NDArray[Any], level: int) -> str:
        """The repr of a small array of numbers; of any other array the shape and the dtype."""
        if x.size <= 20 and x.dtype.kind in "fiub":
            return repr(x)
        return f"<array of shape {x.shape} and dtype {cut(str(x.dtype), 40)}>"

    def repr_instance(self, x: Any, level: int) -> str:
        """The repr of any other object, whole: an exception in it passes through."""
        return repr(x)


SHOWN = 120  # most characters of a value in an error
_REPR = _Repr()


def shown(value: Any) -> str:
    """The repr of a value for an error message, in one line, cut after SHOWN characters."""
    try:
        return cut(_REPR.repr(value))
    except Exception:  # an integer with more digits than Python prints, or an error in the value's __repr__
        return f"{type_name(value)} that cannot be shown"


def cut(text: str, most: int = SHOWN) -> str:
    """A text of somebody else for an error message: in one line, cut after this many characters."""
    text = " ".join(text.split()) if "\n" in text else text
    return text if len(text) <= most else f"{text[:most]}..."


def type_name(value: Any) -> str:
    """The name of a value's class for an error message."""
    return cut(type(value).__name__, 60)


def ordered(value: Iterable[Any]) -> list[Any]:
    """The items of a sequence; TypeError for sets, mappings, bytes and NumPy scalars, which count as no sequences."""
    if isinstance(value, bytes | bytearray | Set | Mapping | np.generic):
        raise TypeError
    try:
        return list(value)
    except (ValueError, OverflowError):  # __len__ gives a negative number or one that is too large
        raise TypeError from None


def known_name(argument: str, name: Any, known: Iterable[str]) -> str:
    """The name, if it is a known one; else an error that suggests the most similar known name."""
    known = tuple(known)
    if not isinstance(name, str):
        raise TypeError(f"{argument} must be a name (str), got {shown(name)}; known: {', '.join(known)}")
    if name in known:
        return known[known.index(name)]
    import difflib

    plain = name.lower().replace("-", "_").replace(" ", "_")
    near = [OTHER_NAMES.get(plain, ""), *difflib.get_close_matches(plain, known, 1, 0.5)]
    hint = next((f"did you mean {one!r}? " for one in near if one in known), "")
    raise ValueError(f"{argument} {shown(name)} is unknown; {hint}known: {', '.join(known)}")


def integer(argument: str, value: SupportsIndex, low: int, high: int | None = None) -> int:
    """The value as an int from low to high (None: without an upper bound); booleans are refused."""
    try:
        number = None if isinstance(value, BOOLEANS) else operator.index(value)
    except TypeError:
        number = None
    if number is not None and number >= low and (high is None or number <= high):
        return number
    allowed = f">= {low}" if high is None else f"from {low} to {high}"
    if number is None:
        raise TypeError(f"{argument} must be an integer {allowed}, got {shown(value)}")
    raise ValueError(f"{argument} must be an integer {allowed}, got {shown(number)}")


def number(argument: str, value: Any, allowed: str, otherwise: str = "") -> float:
    """The value as a finite float in an interval that is written as in mathematics, such as "(0, inf)" or "[0, 1)".

    `otherwise` ends the message about a wrong type: what else the argument may be.
    """
    real = value if type(value) is float else _real(argument, value, allowed, otherwise)
    if not within(real, allowed):
        raise ValueError(f"{argument} must be a finite number in {allowed}, got {shown(value)}")
    return real


def _real(argument: str, value: Any, allowed: str, otherwise: str) -> float:
    """The value as a float, or an error about its type."""
    try:
        if not isinstance(value, NO_NUMBER):
            return _kernel.in_contract(float, value)
    except OverflowError:
        raise ValueError(f"{argument} must be a finite number in {allowed}, got one too large for a float") from None
    except (TypeError, ValueError):
        pass
    raise TypeError(f"{argument} must be a real number in {allowed}{otherwise}, got {shown(value)}")


def within(value: float, interval: str) -> bool:
    """Whether a number is finite and in an interval such as "[0, 1)".

    The kernel compares: if the host has switched on flush-to-zero, Python's own comparison takes 5e-324 for 0.0.
    """
    return _kernel.within(value, *_cached_ends(interval))


def _ends(interval: str) -> tuple[float, float, bool, bool]:
    """The lower and the upper end of an interval, and whether each end belongs to it."""
    low, high = interval[1:-1].split(",")
    return float(low), float(high), interval[0] == "[", interval[-1] == "]"


_cached_ends = lru_cache(_ends)


def flag(argument: str, value: Any) -> bool:
    """The value as a bool; only booleans of Python and of NumPy are accepted."""
    if not isinstance(value, BOOLEANS):
        raise TypeError(f"{argument} must be True or False, got {shown(value)}")
    return bool(value)


def sizes(value: Iterable[SupportsIndex]) -> tuple[int, ...]:
    """The widths of the layers as ints, the input first."""
    try:
        widths = ordered(value)
    except TypeError:
        raise TypeError(f"sizes must be a sequence of layer widths such as [4, 10, 3], got {shown(value)}") from None
    if len(widths) < 2:
        raise ValueError(f"sizes must hold at least an input and an output width, got {shown(widths)}")
    result = tuple(integer(f"sizes[{index}]", width, 1) for index, width in enumerate(widths))
    if n_parameters(result) > sys.maxsize // 8:
        raise ValueError(f"sizes must ask for fewer parameters than memory has addresses, got {shown(list(result))}")
    return result


def n_parameters(sizes: tuple[int, ...]) -> int:
    """The number of weights and biases of a network of these sizes."""
    return sum((n_in + 1) * n_out for n_in, n_out in zip(sizes, sizes[1:], strict=False))


def activations(n_hidden: int, hidden: str | Sequence[str], output: str) -> tuple[str, ...]:
    """The name of each layer's activation, the output's last."""
    in_hidden = [name for name in _kernel.ACTIVATIONS if name != "softmax"]
    listed = [hidden] if isinstance(hidden, str) else hidden if isinstance(hidden, list | tuple) else []
    if any(isinstance(name, str) and name == "softmax" for name in listed):
        raise ValueError(
            f"activation 'softmax' is for the output only; known for hidden layers: {', '.join(in_hidden)}"
        )
    if isinstance(hidden, str):
        names = [known_name("activation", hidden, in_hidden)] * n_hidden
    else:
        try:
            names = ordered(hidden)
        except TypeError:
            raise TypeError(
                f"activation must be a name or a list of one per hidden layer, got {shown(hidden)}"
            ) from None
        if len(names) != n_hidden:
            raise ValueError(f"activation must list one name for each of {n_hidden} hidden layers, got {len(names)}")
        names = [known_name(f"activation[{index}]", name, in_hidden) for index, name in enumerate(names)]
    return (*names, known_name("output_activation", output, _kernel.ACTIVATIONS))


def loss_name(loss: str | None, output: str) -> str:
    """The name of the loss (None: the default for the output activation); an error if the two do not fit."""
    if loss is None:
        return "cross_entropy" if output == "softmax" else "squared_error"
    name = known_name("loss", loss, _kernel.LOSSES)
    needs = _kernel.LOSSES
    fitting = [one for one in needs if needs[one] == output or (needs[one] == "" and output != "softmax")]
    if name not in fitting:
        raise ValueError(f"loss {name!r} does not go with output_activation {output!r}; allowed: {', '.join(fitting)}")
    return name


def masked_arrays() -> Any:
    """The class of masked arrays, or () as long as numpy.ma is not imported, when there can be no masked array."""
    return getattr(sys.modules.get("numpy.ma"), "MaskedArray", ())


def array(argument: str, value: Any, ndim: tuple[int, ...], shape: str) -> npt.NDArray[Any]:
    """The value as an array of real numbers whose number of dimensions is in ndim; numeric arrays are not copied.

    `shape` is the shape that errors ask for.
    """
    if type(value) is np.ndarray and value.ndim in ndim and value.dtype.kind in "fiub":
        return value
    if callable(getattr(value, "toarray", None)):
        raise TypeError(f"{argument} must be a dense array, got a sparse {type_name(value)}; use its toarray()")
    listed = isinstance(value, list | tuple)
    try:
        # NumPy converts the numbers of a list: in the contract's floating-point environment.
        converted = _kernel.in_contract(np.asanyarray, value) if listed else np.asanyarray(value)
    except (TypeError, ValueError) as error:
        what = "rows of unequal length" if listed else f"a {type_name(value)} that gives none"
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{argument} must be an array of shape {shape}, got {what} ({cut(str(error))})") from None
    masked = masked_arrays()
    if isinstance(converted, masked) or (listed and masked and any(isinstance(row, masked) for row in value)):
        raise TypeError(f"{argument} must be an array without a mask, got a masked array; fill or drop what is masked")
    result: npt.NDArray[Any] = np.asarray(converted)
    if result.dtype.kind == "O":  # DataFrames of mixed columns; lists of Decimal or Fraction
        result = _real_numbers(argument, value, result)
    if result.dtype.kind not in "fiub":
        raise no_numbers(argument, value, result, 0)
    if result.ndim not in ndim:
        hint = f"; one row is {argument}.reshape(1, -1)" if result.ndim == 1 else ""
        raise ValueError(f"{argument} must have shape {shape}, got shape {result.shape}{hint}")
    return result


def _real_numbers(argument: str, value: Any, objects: npt.NDArray[Any]) -> FloatArray:
    """An array of objects as float64; the error names the first object that is no real number, and its place."""
    try:
        if not any(isinstance(one, NOT_REAL) for one in objects.flat):
            converted: FloatArray = _kernel.in_contract(objects.astype, np.float64)
            return converted
    except (TypeError, ValueError, OverflowError):
        pass
    for k, one in enumerate(objects.flat):
        try:
            if isinstance(one, NOT_REAL):
                raise TypeError
            _kernel.in_contract(np.array([one], object).astype, np.float64)
        except OverflowError:
            where = place(objects.shape, k)
            raise ValueError(
                f"{argument} must hold numbers that fit in a float64, got a larger one{where}: {shown(one)}"
            ) from None
        except (TypeError, ValueError):
            raise no_numbers(argument, value, objects, k) from None
    raise TypeError(f"{argument} must hold real numbers, got objects that are none")


def no_numbers(argument: str, value: Any, array: npt.NDArray[Any], k: int) -> TypeError:
    """The error about element k of an array that `value` has become: it is no real number."""
    one = array.flat[k] if array.size else None
    of_dtype = "" if array.dtype.kind == "O" else f" of dtype {cut(str(array.dtype), 40)}"
    cure = ""
    if isinstance(one, str | bytes):
        cure = TEXT_CURES.get(argument, "")
    elif type_name(one) in ("NAType", "NaTType"):  # of pandas, which the core does not import
        cure = "drop rows with missing values or fill them in, such as by fillna"
    where = place(array.shape, k)
    columns = getattr(value, "columns", ())
    if array.ndim == 2 and hasattr(columns, "__len__") and len(columns) == array.shape[1]:
        where = f"{where} ({shown(list(columns)[k % array.shape[1]])})"
    shown_one = shown(one.item() if isinstance(one, np.generic) else one) if array.size else "an empty array"
    return TypeError(f"{argument} must hold real numbers, got {shown_one}{where}{of_dtype}{cure and f'; {cure}'}")


def place(shape: tuple[int, ...], k: int) -> str:
    """The place of element k of an array of this shape, in words; none for a single value."""
    if len(shape) > 2:
        return f" at index {tuple(int(i) for i in np.unravel_index(k, shape))}"
    names = ("row", "column")
    index = np.unravel_index(k, shape) if shape else ()
    return "".join(f"{',' if d else ' in'} {names[d]} {i}" for d, i in enumerate(index))


def layers(argument: str, value: Iterable[Any]) -> list[Any]:
    """The items of a sequence that has one array for each layer."""
    try:
        return ordered(value)
    except TypeError:
        raise TypeError(f"{argument} must be a sequence of arrays, one for each layer, got {shown(value)}") from None


def float64(value: npt.NDArray[Any]) -> FloatArray:
    """The array itself if it is C-contiguous, aligned float64; else a copy that is."""
    if value.dtype == np.float64 and value.flags.c_contiguous and value.flags.aligned:
        return value
    with np.errstate(all="ignore"):  # infinities and NaNs get their errors later, when the values are checked
        return _kernel.in_contract(value.astype, np.float64, "C")


def doubles(matrix: Matrix) -> FloatArray:
    """The numbers of a matrix as C-contiguous float64; the array itself if they are so already."""
    if isinstance(matrix, Source):
        return matrix.doubles()
    return matrix.dense() if isinstance(matrix, Sparse) else float64(matrix)


def in_place(value: Any, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The array itself if the value was an array that the kernel reads where it lies; else C-contiguous float64."""
    return array if isinstance(value, np.ndarray) and _kernel.readable(array) else float64(array)


def rows(value: Any, n_in: int) -> Matrix:
    """X (n_samples, n_in) as it is, if the kernel reads its kind; else as a float64 array."""
    X: Matrix
    shape = f"(n_samples, {n_in})"
    if is_sparse(value):
        X = Sparse.of("X", value)
    elif is_source(value):
        X = source("X", value, (2,), shape)
    else:
        X = array("X", value, (2,), shape)
        check_file("X", value)
    if X.shape[1] != n_in:
        raise ValueError(f"X must have {n_in} columns, the width of the network's input, got shape {X.shape}")
    if not 0 < X.shape[0] < 2**32:
        raise ValueError(f"X must have at least one row and fewer than 2**32, got shape {X.shape}")
    return in_place(value, X) if isinstance(X, np.ndarray) else X


def source(argument: str, value: Any, ndim: tuple[int, ...], shape: str) -> Source:
    """A source of rows whose number of dimensions is in ndim."""
    found = Source.of(argument, value)
    if found.ndim not in ndim:
        raise ValueError(f"{argument} must have shape {shape}, got a source of shape {found.shape}")
    return found


def targets(value: Any, n_samples: int, n_out: int, loss: str, first_row: int = 0) -> npt.NDArray[Any] | Source:
    """y (n_samples, n_out) as X in `rows`, or the classes of a softmax output as int64 (n_samples,).

    A source with one number for each row is read into memory. first_row is the number that an error gives row 0.
    """
    labels = _kernel.LOSSES[loss] == "softmax"
    shape = f"({n_samples}, {n_out})" + (f" or ({n_samples},)" if labels or n_out == 1 else "")
    y: Any = source("y", value, (1, 2), shape) if is_source(value) else array("y", value, (1, 2), shape)
    if y.shape[0] != n_samples:
        raise ValueError(f"y must have as many rows as X, {n_samples}, got shape {y.shape}")
    if isinstance(y, Source):
        if math.prod(y.shape[1:]) == 1:
            value = y = _kernel.in_contract(np.concatenate, [rows for _, rows in y.windows()])
        elif y.shape == (n_samples, n_out):
            return y
    check_file("y", value)
    if y.ndim == 2 or not labels:
        if y.ndim == 1 and n_out == 1:
            y = y.reshape(n_samples, 1)
        if y.shape != (n_samples, n_out):
            hint = "; y.ravel() has one class for each row" if labels and y.shape == (n_samples, 1) else ""
            raise ValueError(f"y must have shape {shape}, got shape {y.shape}{hint}")
        return in_place(value, y)
    if y.dtype.kind == "f":
        classes = np.empty(n_samples, np.int64)
        s = _kernel.to_classes(float64(y), n_out, classes)
    else:
        wrong = (y < 0) | (y >= n_out)
        s = int(np.argmax(wrong)) if np.any(wrong) else -1
        classes = np.ascontiguousarray(y, np.int64)
    if s >= 0:
        raise ValueError(
            f"y must hold classes, integers from 0 to {n_out - 1}, got {y[s].item()!r} in row {first_row + s}"
            f"{_how_to_number(y, n_out)}"
        )
    return classes


def _how_to_number(y: npt.NDArray[Any], n_out: int) -> str:
    """Advice about classes y (n_samples,) that are not numbered from 0."""
    if np.all((y >= 1) & (y <= n_out)):
        return "; y - 1 begins at 0"
    found = np.unique(y)
    if len(found) > n_out:
        return f"; y has {len(found)} classes, for which the network needs as many outputs"
    return "; np.unique(y, return_inverse=True)[1] numbers them from 0" if np.all(found == np.round(found)) else ""


def sample_weight(value: Any, n_samples: int) -> FloatArray:
    """The sample weights as a float64 array (n_samples,)."""
    weights = array("sample_weight", value, (1,), f"({n_samples},)")
    check_file("sample_weight", value)
    if weights.shape[0] != n_samples:
        raise ValueError(f"sample_weight must have shape ({n_samples},), one for each row, got shape {weights.shape}")
    return float64(weights)


def no_validation_data(value: Any) -> TypeError:
    """The error about an argument validation_data that is neither None nor a tuple."""
    hint = (
        f"; make a tuple of it: ({'X, y' if len(value) == 2 else 'X, y, sample_weight'})"
        if (isinstance(value, list) and len(value) in (2, 3))
        else ""
    )
    return TypeError(
        f"validation_data must be None or a tuple (X, y) or (X, y, sample_weight), got {shown(value)}{hint}"
    )


def bad_weight(s: int, value: float) -> ValueError:
    return ValueError(f"sample_weight must be finite and >= 0, got {value!r} in row {s}")


def bad_weights(n_samples: int, total: float) -> ValueError:
    return ValueError(f"sample_weight must have a sum above 0 and at most 1e300, got {total!r} for {n_samples} rows")


def not_finite(argument: str, s: int, column: int, value: float) -> ValueError:
    cure = "; drop rows with missing values or fill them in" if math.isnan(value) else ""
    return ValueError(f"{argument} must be finite, got {value} in row {s}, column {column}{cure}")


def bad_target(loss: str, s: int, j: int, value: float) -> ValueError:
    """The error for target j of row s, which is out of range; j = -1: the sum of row s is not 1, but value."""
    low, high = _kernel.TARGET_RANGES[loss]
    if j < 0:
        return ValueError(f"y must sum to 1 in each row (within 1e-9) for loss {loss!r}, got {value!r} in row {s}")
    allowed = f">= {low:g}" if high > 1.0 else f"in [{low:g}, {high:g}]"
    return ValueError(f"y must be {allowed} for loss {loss!r}, got {value!r} in row {s}, column {j}")


def result_not_finite(what: str, row: int, kind: str = "row") -> OverflowError:
    """The error about a quantity of a row that is not finite; row -1: of all rows together."""
    of = f" of {kind} {row}" if row >= 0 else ""
    return OverflowError(f"{what}{of} is not finite: the network's weights or the inputs are too large")


def gradient_not_finite(k: int, s: int) -> OverflowError:
    """The error about parameter k, whose sum over the rows stops being finite at row s; -1: the mean is not finite."""
    where = f", from row {s} on" if s >= 0 else ""
    return OverflowError(
        f"the gradient is not finite at parameter {k}{where}: the network's weights or the inputs are too large"
    )


def too_much_memory(what: str, n_bytes: int, instead: str) -> MemoryError:
    """The error about something that needs more bytes than there are."""
    return MemoryError(f"{what} would need {n_bytes / 2**30:.3g} GiB, more memory than there is; {instead}")
