"""The table that the conditions enter themselves in."""

import platform
from collections.abc import Callable
from typing import NamedTuple

SYSTEM = platform.system()
LINUX = SYSTEM == "Linux"
POSIX = SYSTEM != "Windows"


class Condition(NamedTuple):
    """What brings it about, and how Python must be started for it."""

    bring_about: Callable
    options: tuple = ()  # of Python's command line
    environment: dict = {}  # noqa: RUF012


CONDITIONS = {}


def condition(*options, name=None, exists=True, **environment):
    """Enter a function under its name or another, if there is such a thing on this platform."""

    def enter(function):
        if exists:
            CONDITIONS[name or function.__name__] = Condition(function, options, environment)
        return function

    return enter
