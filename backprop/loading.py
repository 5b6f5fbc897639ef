"""The kernel is loaded: an error says what to do if it is not built, or if loading it changed the host's arithmetic."""

import importlib
import pathlib


def keeps_subnormals(smallest: float = 5e-324) -> bool:
    """Whether this thread keeps subnormal numbers; a library linked with -ffast-math switches them off."""
    return smallest * 1.0 != 0.0


def load_kernel() -> None:
    """Import the compiled kernel, or raise an ImportError that names the cure."""
    kept = keeps_subnormals()
    try:
        kernel = importlib.import_module("._kernel", __package__)
    except ModuleNotFoundError as error:
        if error.name != f"{__package__}._kernel":
            raise
        folder = pathlib.Path(__file__).parents[1]
        raise ImportError(
            f"backprop is not built in {folder}: run `pip install -e .` there, or start Python in another folder to "
            "use the backprop that is installed"
        ) from None
    if kept and not keeps_subnormals():
        kernel.enter_contract()  # keeps subnormal numbers again, and rounds to nearest, as processes begin
        raise ImportError(
            "this build of backprop switched off subnormal numbers in the process that loaded it, which is undone now; "
            "build it anew, without flags such as -ffast-math or -funsafe-math-optimizations in LDFLAGS "
            f"({kernel.COMPILER}; {kernel.FLAGS})"
        )


load_kernel()
