"""The versions of the release and of the arithmetic contract; how the package was built."""

import platform

import numpy as np

from . import _kernel

__version__ = "0.1.0"
contract_version = 2


def show_config() -> None:
    """Print the release, the contract's version, the compiler and its flags, the instruction set and the threads.

    Examples
    --------
    >>> import backprop
    >>> backprop.show_config()  # doctest: +ELLIPSIS
    backprop ..., arithmetic contract 2
    ...
    """
    lines = {
        f"backprop {__version__}, arithmetic contract {contract_version}": "",
        "compiler": _kernel.COMPILER,
        "flags": _kernel.FLAGS,
        "instruction set": f"{_kernel.TARGET} of {', '.join(_kernel.TARGETS)}, on {platform.machine()}",
        "threads": f"{_kernel.max_threads()} at most",
        "python": f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}",
        "numpy": np.__version__,
    }
    print("\n".join(f"{name}: {value}" if value else name for name, value in lines.items()))
