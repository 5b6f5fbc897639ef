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
ELEMENTARY: tuple[str, ...]
ACTIVATIONS: tuple[str, ...]
LOSSES: dict[str, str]  # the output activation that the loss needs; "": any that has a derivative
TARGETS: dict[str, tuple[float, float]]  # the lowest and the highest target
UPDATE_RULES: dict[str, tuple[int, int]]  # n_moments, n_powers
__test__: dict[str, str]

def elementary(name: str, x: _Vector, out: _Vector, *, exact_phase: bool = False) -> None: ...
def bad_target(loss: str, y: _Matrix) -> tuple[int, int, float] | None: ...
def initial_parameters(sizes: tuple[int, ...], stream: Any, out: _Vector) -> None: ...
def first_not_finite(values: _Vector) -> int: ...
def within(value: float, low: float, high: float, or_low: bool, or_high: bool) -> bool: ...
def to_classes(y: _Vector, n_classes: int, out: _Labels) -> int: ...
def in_contract(function: Callable[..., _T], *arguments: Any) -> _T: ...

@disjoint_base
class Data:
    def __new__(cls, X: _Matrix, y: _Matrix | _Labels) -> Self: ...
    @property
    def n_samples(self) -> int: ...

@disjoint_base
class Pass:
    def __new__(
        cls,
        sizes: tuple[int, ...],
        activations: tuple[str, ...],
        parameters: _Vector,
        rows: int,
        gradient: _Vector | None = None,
    ) -> Self: ...
    def predict(self, X: _Matrix, out: _Matrix, row: int) -> int: ...

@disjoint_base
class LossPass(Pass):
    def __new__(
        cls,
        sizes: tuple[int, ...],
        activations: tuple[str, ...],
        parameters: _Vector,
        rows: int,
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
        activations: tuple[str, ...],
        parameters: _Vector,
        rows: int,
        gradient: _Vector,
        loss: str,
        data: Data,
        rule: str,
        settings: _Vector,
        moments: _Matrix,
        powers: _Vector,
        stream: Any,
        train_biases: bool,
    ) -> Self: ...
    def train(self, losses: _Vector, done: int, until: int) -> int: ...
