"""Train small and medium neural networks on CPUs in double precision, with the same bits on every machine.

The names that users need are here; `backprop.reference` is the definition of what they compute, and
`backprop.tutorial` the worked example that it all starts from.
"""

import importlib
from typing import Any

from .checkpoint import Checkpoint
from .derivatives import loss_and_gradient
from .dropout import Dropout
from .errors import DivergenceError
from .network import Network
from .optimizers import LBFGS, SGD, Adam, AdamW, LevenbergMarquardt, RMSprop, Rprop
from .run import EpochState
from .schedules import CosineDecay, ExponentialDecay, InverseScaling, ReduceOnPlateau, StepDecay
from .stopping import EarlyStopping
from .training import Training, fast_train
from .version import __version__, contract_version, show_config

__all__ = [
    "LBFGS",
    "SGD",
    "Adam",
    "AdamW",
    "Checkpoint",
    "CosineDecay",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "EpochState",
    "ExponentialDecay",
    "InverseScaling",
    "LevenbergMarquardt",
    "Network",
    "RMSprop",
    "ReduceOnPlateau",
    "Rprop",
    "StepDecay",
    "Training",
    "__version__",
    "contract_version",
    "fast_train",
    "loss_and_gradient",
    "show_config",
]


def __getattr__(name: str) -> Any:
    """`reference` and `tutorial` are imported when first asked for."""
    if name in ("reference", "tutorial"):
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
