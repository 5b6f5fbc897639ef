from collections.abc import Callable
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

_Vector = npt.NDArray[np.float64]  # (n,), C-contiguous
_Matrix = npt.NDArray[np.float64]  # (rows, n), C-contiguous
_Labels = npt.NDArray[np.int64]  # (n_samples,), C-contiguous
_T = TypeVar("_T")

COMPILER: str
FLAGS: str
TARGETS: tuple[str, ...]  # the instruction sets that can be chosen here, the widest first
TARGET: str
THREAD_WORK: float
WAKING_WORK: float
ELEMENTARY: tuple[str, ...]
FORMS: tuple[str, ...]
ACTIVATIONS: tuple[str, ...]
LOSSES: dict[str, str]  # the output activation that the loss needs; "": any that has a derivative
TARGET_RANGES: dict[str, tuple[float, float]]  # the lowest and the highest target
UPDATE_RULES: dict[str, tuple[int, int]]  # n_slots, n_scalars
METHODS: dict[str, type[Method]]
__test__: dict[str, str]

def made_by_fork() -> bool: ...
def max_threads() -> int: ...
def self_test() -> str | None: ...
def elementary(name: str, x: _Vector, out: _Vector, form: str = "vector") -> None: ...
def exp(x: float) -> float: ...
def log(x: float) -> float: ...
def bad_target(loss: str, y: _Matrix) -> tuple[int, int, float] | None: ...
def order(stream: Any, n: int) -> _Labels: ...
def initial_parameters(
    sizes: tuple[int, ...], stream: Any, factor: float, both: bool, normal: bool, hidden_bias: float, out: _Vector
) -> None: ...
def first_not_finite(values: _Vector) -> int: ...
def squares_of_weights(sizes: tuple[int, ...], parameters: _Vector) -> float: ...
def sum_of_weights(weights: _Vector) -> tuple[int, float]: ...
def within(value: float, low: float, high: float, or_low: bool, or_high: bool) -> bool: ...
def to_classes(y: _Vector, n_classes: int, out: _Labels) -> int: ...
def predict(
    sizes: tuple[int, ...],
    names: tuple[str, ...],
    parameters: _Vector,
    X: _Matrix,
    out: _Matrix,
    n_threads: int,
) -> int: ...
def in_contract(function: Callable[..., _T], *arguments: Any) -> _T: ...
def empty(n: int) -> _Vector: ...

@disjoint_base
class Workspace:
    def __new__(cls, doubles: int) -> Self: ...

@disjoint_base
class OnlineLayers:
    def __new__(cls, sizes: tuple[int, ...], names: tuple[str, ...]) -> Self: ...

@disjoint_base
class Threads:
    def __new__(cls, n_threads: int) -> Self: ...

@disjoint_base
class Data:
    def __new__(cls, X: _Matrix, y: _Matrix | _Labels, weights: _Vector | None = None, weight: float = 0.0) -> Self: ...
    @property
    def n_samples(self) -> int: ...
    @property
    def weight(self) -> float: ...

@disjoint_base
class Pass:
    def __new__(
        cls,
        sizes: tuple[int, ...],
        names: tuple[str, ...],
        parameters: _Vector,
        rows: int,
        n_threads: int,
        gradient: _Vector | None = None,
    ) -> Self: ...
    @staticmethod
    def more_work(n_parameters: float, n_out: float) -> float: ...

class Predictor(Pass):
    def predict(self, X: Any) -> npt.NDArray[np.float64] | None: ...

@disjoint_base
class LossPass(Pass):
    def __new__(
        cls,
        sizes: tuple[int, ...],
        names: tuple[str, ...],
        parameters: _Vector,
        rows: int,
        n_threads: int,
        gradient: _Vector | None,
        loss: str,
        data: Data,
    ) -> Self: ...
    @property
    def total(self) -> float: ...
    @property
    def overflow(self) -> int: ...
    def run(self) -> bool: ...

@disjoint_base
class Trainer(LossPass):
    def __new__(
        cls,
        sizes: tuple[int, ...],
        names: tuple[str, ...],
        parameters: _Vector,
        rows: int,
        n_threads: int,
        gradient: _Vector,
        loss: str,
        data: Data,
        rule: str,
        settings: _Vector,
        slots: _Matrix,
        scalars: _Vector,
        stream: Any,
        train_biases: bool,
    ) -> Self: ...
    def drop(self, rates: _Vector, drops: Any) -> None: ...
    @property
    def ended(self) -> str: ...
    def shape(self, l1: float, l2: float, clip_norm: float) -> None: ...
    def train(self, losses: _Vector, done: int, until: int, learning_rates: _Vector | None = None) -> int: ...

@disjoint_base
class Method(LossPass):
    def __new__(
        cls,
        sizes: tuple[int, ...],
        names: tuple[str, ...],
        parameters: _Vector,
        rows: int,
        n_threads: int,
        gradient: _Vector,
        loss: str,
        data: Data,
        rule: str,
        settings: _Vector,
        slots: _Matrix,
        scalars: _Vector,
        stream: Any,
        train_biases: bool,
    ) -> Self: ...
    @property
    def ended(self) -> str: ...
    def train(self, losses: _Vector, done: int, until: int, learning_rates: _Vector | None = None) -> int: ...
    @property
    def evaluations(self) -> int: ...

@disjoint_base
class LBFGS(Method): ...

@disjoint_base
class LevenbergMarquardt(Method): ...
