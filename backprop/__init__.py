"""Train small and medium neural networks on CPUs in double precision, with the same bits on every machine.

This module holds the public names. `backprop.reference` computes the same results in plain Python and so defines them;
`backprop.tutorial` is a worked example of one training step.
"""

import importlib
from typing import TYPE_CHECKING

from . import loading  # noqa: F401  the first import: its errors say what is wrong with a build
from .checkpoint import Checkpoint
from .derivatives import loss_and_gradient
from .dropout import Dropout
from .errors import CheckpointError, DivergenceError
from .network import Network
from .on_sums import train_on_sums
from .optimizers import LBFGS, SGD, Adam, AdamW, LevenbergMarquardt, RMSprop, Rprop
from .partial import PartialSums, partial_sums
from .run import EpochState
from .schedules import CosineDecay, ExponentialDecay, InverseScaling, ReduceOnPlateau, StepDecay
from .shuffling import BlockShuffle
from .stopping import EarlyStopping
from .training import Training, fast_train
from .version import __version__, contract_version, show_config

__all__ = [
    "LBFGS",
    "SGD",
    "Adam",
    "AdamW",
    "BlockShuffle",
    "Checkpoint",
    "CheckpointError",
    "CosineDecay",
    "DivergenceError",
    "Dropout",
    "EarlyStopping",
    "EpochState",
    "ExponentialDecay",
    "InverseScaling",
    "LevenbergMarquardt",
    "Network",
    "PartialSums",
    "RMSprop",
    "ReduceOnPlateau",
    "Rprop",
    "StepDecay",
    "Training",
    "__version__",
    "contract_version",
    "fast_train",
    "loss_and_gradient",
    "partial_sums",
    "show_config",
    "train_on_sums",
]

if TYPE_CHECKING:
    from . import reference as reference
    from . import tutorial as tutorial
else:

    def __getattr__(name):
        """Import the submodules `reference` and `tutorial` on first access: `import backprop` does not need them."""
        if name in ("reference", "tutorial"):
            return importlib.import_module(f"{__name__}.{name}")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
