"""Plans: an optimizer as the engines take it; and the check of an optimizer's settings."""

from typing import Any, NamedTuple

from . import arguments
from .schedules import number_or_schedule


class Plan(NamedTuple):
    """An optimizer in plain values, as the engines take it."""

    rule: str  # the name of an update rule or of a full-batch method
    settings: tuple[float, ...]  # the rule's hyperparameters, in its order; a schedule gives its initial rate
    slots: tuple[float, ...]  # the initial value of each slot, the same for every parameter
    scalars: tuple[float, ...]  # the initial value of each scalar


def check(optimizer: Any, **ranges: str) -> None:
    """Convert these settings to numbers and check that they lie in their ranges."""
    for name, interval in ranges.items():
        convert = number_or_schedule if name == "learning_rate" else arguments.number
        object.__setattr__(optimizer, name, convert(name, getattr(optimizer, name), interval))
