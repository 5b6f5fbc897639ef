"""The attributes of a fitted estimator as plain data, for pickle, copy, joblib and skops."""

from typing import Any

import numpy as np

from .. import streams
from ..engine import KERNEL
from ..plain import packed, packed_array, unpacked
from ..training import Training
from .fit import Curves, Progress

ARRAYS = ("classes_", "feature_names_in_")  # attributes that are arrays
LEFT_OUT = ("coefs_", "intercepts_", "_shown", "_published")  # views of the network's arrays, and the network again
# Attributes that are lists of `Curves`, in its order, or None.
CURVES = ("loss_curve_", "validation_scores_", "validation_losses_")


def packed_state(state: dict[str, Any]) -> dict[str, Any]:
    """The attributes as plain data; the parameters of the estimator stay as they are."""
    plain = {name: value for name, value in state.items() if name not in LEFT_OUT}
    for name in ARRAYS:
        if isinstance(plain.get(name), np.ndarray):
            plain[name] = packed_array(plain[name])
    if "network_" not in state:  # no fit has ended
        return {name: value for name, value in plain.items() if name not in PACKERS}
    plain["_replaced"] = state["network_"] is not state["_published"]
    for name, curve in zip(CURVES, state["_curves"], strict=True):
        plain[name] = True if plain[name] is curve else plain[name]
    for name, (pack, _) in PACKERS.items():
        plain[name] = pack(plain[name])
    return plain


def unpacked_state(plain: dict[str, Any]) -> dict[str, Any]:
    """The attributes that `packed_state` has made plain data of, without the views of the network's arrays."""
    state = dict(plain)
    for name in ARRAYS:
        if isinstance(state.get(name), tuple):
            state[name] = unpacked(state[name])
    if "network_" not in state:
        return state
    for name, (_, unpack) in PACKERS.items():
        state[name] = unpack(state[name])
    state["_published"] = None if state.pop("_replaced") else state["network_"]
    for name, curve in zip(CURVES, state["_curves"], strict=True):
        state[name] = curve if state[name] is True else state[name]
    return state


def _pack_training(training: Training | None) -> Any:
    return None if training is None else packed(training._result)


def _unpack_training(plain: Any) -> Training | None:
    return None if plain is None else Training(unpacked(plain), KERNEL)


def _pack_progress(progress: Progress) -> dict[str, Any]:
    return progress._asdict() | {"lengths": list(progress.lengths), "best": packed(progress.best)}


def _unpack_progress(plain: dict[str, Any]) -> Progress:
    lengths = tuple(plain["lengths"])
    return Progress(**(plain | {"lengths": lengths, "best": unpacked(plain["best"])}))


PACKERS: dict[str, tuple[Any, Any]] = {
    "network_": (packed, unpacked),
    "_training": (_pack_training, _unpack_training),
    "_progress": (_pack_progress, _unpack_progress),
    "_curves": (lambda curves: [list(curve) for curve in curves], lambda plain: Curves(*map(list, plain))),
    "_split_state": (streams.plain_state, streams.numpy_state),
}
