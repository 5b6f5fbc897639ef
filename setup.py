"""The build settings that pyproject.toml cannot hold: the extension, its flags, and Cython's directives."""

import glob
import os
import pathlib
import sys
import tempfile
from itertools import dropwhile

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

# Flags for the contract's arithmetic: no operation is fused or reassociated, in the generated C either. They come after
# the user's CFLAGS and so override a -ffast-math there. The linker gets them too: with -ffast-math or
# -funsafe-math-optimizations, it would add code that sets flush-to-zero when the module is loaded. -fno-math-errno
# makes sqrt one instruction. -g0 overrides the -g that some interpreters pass on, which makes wheels five times larger.
#
# BACKPROP_OPENMP=0: a build without OpenMP, which uses one thread.
# BACKPROP_CHECKS=1: the build that tools/sanitize.sh tests, with all of Cython's checks and with readable backtraces.
checks = os.environ.get("BACKPROP_CHECKS") == "1"
if sys.platform == "win32":
    flags = ["/O2", "/std:c11", "/fp:precise"]
else:
    flags = ["-std=c11", "-O3", "-ffp-contract=off", "-fno-fast-math", "-fno-unsafe-math-optimizations"]
    flags += ["-fno-math-errno", "-fno-trapping-math", "-g0"]
    flags += ["-O1", "-g", "-fno-omit-frame-pointer"] if checks else []
    threads = sys.platform == "linux" and os.environ.get("BACKPROP_OPENMP") != "0"
    flags += ["-fopenmp"] if threads else []


def literal(words: list[str]) -> str:
    """The words, joined by spaces, as a string literal in C."""
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
    """The command build_ext, with BP_FLAGS set to all flags: the interpreter's, the user's CFLAGS and those above."""

    def build_extensions(self) -> None:
        if "-fopenmp" in flags:
            self.find_openmp()
        super().build_extensions()

    def find_openmp(self) -> None:
        """Stop with a sentence on what to do where the compiler has no OpenMP, as clang without its library."""
        if self.compiles("#include <omp.h>", flags):
            return
        without = [flag for flag in flags if flag != "-fopenmp"]
        if self.compiles("#include <stddef.h>", without):  # else the build itself shows what is wrong
            raise CompileError(
                "this compiler finds no OpenMP (omp.h): install it (for clang, Debian's package libomp-dev), or build "
                "without threads: BACKPROP_OPENMP=0 pip install ..."
            )

    def compiles(self, line: str, options: list[str]) -> bool:
        """Whether the compiler takes a source of this line with these options."""
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder, "source.c")
            source.write_text(f"{line}\nint number;\n", "ascii")
            try:
                self.compiler.compile([str(source)], output_dir=folder, extra_postargs=options)
            except CompileError:
                return False
        return True

    def build_extension(self, ext: Extension) -> None:
        command = getattr(self.compiler, "compiler_so", [])  # setuptools does not tell the flags that it gives to MSVC
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
