"""What pyproject.toml cannot say: the extension, its flags, and Cython's directives."""

import glob
import os
import sys
from itertools import dropwhile

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# The contract's arithmetic: no fused or reassociated operation, in the generated C too. They come after the user's
# CFLAGS, so that a -ffast-math there is taken back, for the linker too, which would otherwise add what sets
# flush-to-zero when the module is loaded. -fno-math-errno lets sqrt be one instruction; -g0 because an interpreter
# built with -g passes it on and makes wheels five times larger.
#
# BACKPROP_CHECKS=1 builds what tools/sanitize.sh tests: with all of Cython's checks, and so that a report can be read.
checks = os.environ.get("BACKPROP_CHECKS") == "1"
if sys.platform == "win32":
    flags = ["/O2", "/std:c11", "/fp:precise"]
else:
    flags = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-fast-math", "-fno-math-errno", "-fno-trapping-math", "-g0"]
    flags += ["-O1", "-g", "-fno-omit-frame-pointer"] if checks else []
    flags += ["-fopenmp"] if sys.platform == "linux" else []


def literal(words: list[str]) -> str:
    """The words as a string in C."""
    text = " ".join(words).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


extension = Extension(
    "backprop._kernel",
    sources=["backprop/_kernel.pyx", *sorted(glob.glob("src_c/*.c"))],
    include_dirs=["src_c", np.get_include()],
    depends=sorted(["backprop/_kernel.pxd", *glob.glob("backprop/kernel/*.pxi"), *glob.glob("src_c/*.h")]),
    define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_24_API_VERSION"), ("BP_FLAGS", literal(flags))],
    extra_compile_args=flags,
    extra_link_args=[] if sys.platform == "win32" else flags,
)


class BuildExt(build_ext):
    """Tells the kernel every flag that it is compiled with: the interpreter's, the user's CFLAGS, and those above."""

    def build_extension(self, ext: Extension) -> None:
        command = getattr(self.compiler, "compiler_so", [])  # setuptools does not say what it gives to MSVC
        before = dropwhile(lambda word: not word.startswith("-"), command)
        ext.define_macros[-1] = ("BP_FLAGS", literal([*before, *flags]))
        super().build_extension(ext)


setup(
    cmdclass={"build_ext": BuildExt},
    ext_modules=cythonize(
        [extension],
        compiler_directives={
            "language_level": 3,
            "boundscheck": checks,
            "wraparound": False,
            "initializedcheck": checks,
            "nonecheck": checks,
            "overflowcheck": checks,
            "cdivision": not checks,
            "embedsignature": False,
            "auto_pickle": False,
        },
    ),
)
