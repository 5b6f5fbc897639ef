"""Build the kernel for other processors and by other compilers, and compare its results there with those made here.

    python tools/cross_check.py [ARCH ...]

It runs on an x86-64 Debian, by a Python that has what setup.py and the tests need, the latter for the compilers.

arm64, s390x, ppc64el, armhf, i386: Debian's cross compiler, and Debian's Python and NumPy of that architecture under
qemu-user, run cross_child.py: golden runs, hard inputs, the problems of tests/data/expected.txt, the reference, and
millions of values whose bytes this machine's kernel has made. i386 goes without the reference, which that
architecture's Python rounds twice. riscv64: compare_kernels.c, whose digests must be the same as here. nehalem,
haswell: this machine's Python on such a processor. gcc-O2 and so on: the parity tests too.

The foreign Pythons are unpacked into a folder of the cache, with a package configuration of their own, so that this
machine's stays as it is. Compilers and qemu that are missing are installed if the user is root, else named.
"""

import argparse
import functools
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[1]
PARITY = ROOT / "tests" / "test_parity.py"
LEAST = 1_000_000  # least number of values compared on each architecture

# The extension as setup.py describes it, after Cython has run: for the NumPy of a folder, or for this Python's.
DESCRIBE = """
import json, sys
import numpy, setuptools
sys.path[:0] = sys.argv[1:]
from distutils.core import run_setup
(extension,) = run_setup("setup.py", stop_after="init").ext_modules
print(json.dumps(vars(extension)))
"""


@dataclass(frozen=True)
class Foreign:
    """An architecture of Debian: its compiler's prefix, qemu's name for it, and the instruction set chosen there."""

    compiler: str
    qemu: str
    target: str = "baseline"
    flags: tuple[str, ...] = ()
    reference: bool = True


FOREIGN = {
    "arm64": Foreign("aarch64-linux-gnu", "aarch64", "neon"),
    "s390x": Foreign("s390x-linux-gnu", "s390x"),
    "ppc64el": Foreign("powerpc64le-linux-gnu", "ppc64le"),
    "armhf": Foreign("arm-linux-gnueabihf", "arm"),
    "i386": Foreign("i686-linux-gnu", "i386", flags=("-msse2", "-mfpmath=sse"), reference=False),
}
RISCV64 = "riscv64-linux-gnu"  # Debian 12 has a compiler for it, but no Python
PROCESSORS = {"nehalem": ("Nehalem", "baseline"), "haswell": ("Haswell", "avx2")}
COMPILERS = tuple(f"{compiler}-{level}" for compiler in ("gcc", "clang") for level in ("O2", "O3"))
NAMES = (*FOREIGN, "riscv64", *PROCESSORS, *COMPILERS)


class CheckError(Exception):
    """A failed check, with the message for the user."""


class Commands:
    """Runs commands; prints them and their output always if verbose, else only when they fail."""

    verbose = False

    def __call__(self, *words: Any, cwd: Any = ROOT, **variables: Any) -> str:
        """The standard output of a command, run with these environment variables besides the others."""
        command = [str(word) for word in words]
        environment = {name: value for name, value in os.environ.items() if name != "BACKPROP_TARGET"}
        environment |= {"PYTHONDONTWRITEBYTECODE": "1"} | {name: str(value) for name, value in variables.items()}
        done = subprocess.run(
            command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        said = f"+ {' '.join(command)}\n{done.stdout}{done.stderr}"
        if done.returncode:
            raise CheckError(f"exit status {done.returncode}:\n{said}")
        if self.verbose:
            print(said)
        return done.stdout


run = Commands()

# Packages that the machine must have.


def packages(name: str) -> list[str]:
    """Debian packages without which this architecture cannot be checked."""
    if name in COMPILERS:
        return ["gcc"] if name.startswith("gcc") else ["clang", "libomp-dev"]
    if name in PROCESSORS:
        return ["gcc", "qemu-user-static"]
    compiler = FOREIGN[name].compiler if name in FOREIGN else RISCV64
    return ["gcc", "qemu-user-static", f"gcc-{compiler}", f"libc6-dev-{name}-cross"]


def install(names: Sequence[str]) -> None:
    wanted = sorted({package for name in names for package in packages(name)})
    missing = [package for package in wanted if not is_installed(package)]
    if not missing:
        return
    command = ["apt-get", "install", "-qy", "--no-install-recommends", *missing]
    if os.geteuid() != 0:
        raise CheckError(f"packages are missing; as root: {' '.join(command)}")
    run("apt-get", "update", "-q")
    run(*command, DEBIAN_FRONTEND="noninteractive")


def is_installed(package: str) -> bool:
    command = ["dpkg-query", "-W", "-f", "${Status}", package]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout == "install ok installed"


# Python and NumPy of another architecture.


def fetched_root(name: str, cache: pathlib.Path) -> pathlib.Path:
    """The folder that holds this architecture's Python and NumPy; they are fetched the first time."""
    home = cache / platform.freedesktop_os_release()["VERSION_CODENAME"] / name
    root = home / "root"
    if not root.exists():
        shutil.rmtree(home, ignore_errors=True)
        fetch(name, home, home / "unfinished")
        (home / "unfinished").rename(root)
    return root


def fetch(name: str, home: pathlib.Path, root: pathlib.Path) -> None:
    archives = home / "cache" / "archives"
    for folder in (archives / "partial", home / "state" / "lists" / "partial", root):
        folder.mkdir(parents=True)
    (home / "status").touch()
    (home / "apt.conf").write_text(apt_configuration(name, home), encoding="utf-8")
    apt = functools.partial(run, "apt-get", "-qy", cwd=archives, APT_CONFIG=home / "apt.conf")
    try:
        apt("update")
    except CheckError as error:  # a list that is not what its signature says is left out; the rest is usable
        lines = [line for line in str(error).splitlines() if line.startswith("E: ")]
        print(f"{name}: not all package lists could be had: {lines[0] if lines else error}", file=sys.stderr)
    apt("install", "--download-only", "--no-install-recommends", "python3-numpy", "libgomp1")
    (interpreter,) = archives.glob("python3.*-minimal_*.deb")
    apt("download", f"lib{interpreter.name.partition('-')[0]}-dev")
    for package in sorted(archives.glob("*.deb")):
        run("dpkg", "-x", package, root)
    for link in root.rglob("*"):  # qemu would follow an absolute link out of the folder
        if link.is_symlink() and os.path.isabs(os.readlink(link)):
            target = os.path.relpath(f"{root}{os.readlink(link)}", link.parent)
            link.unlink()
            link.symlink_to(target)
    shutil.rmtree(home / "cache")
    shutil.rmtree(home / "state")


def apt_configuration(name: str, home: pathlib.Path) -> str:
    """A configuration of apt with this machine's sources, keys and proxies, but state, caches and hooks of its own."""
    left_out = ("APT::Architecture", "APT::Update::", "DPkg::", "Dir::State", "Dir::Cache")
    lines = [line for line in run("apt-config", "dump").splitlines() if not line.startswith(left_out)]
    settings = {
        "APT::Architecture": name,
        "APT::Architectures::": name,
        "APT::Sandbox::User": "root",  # apt's own user, _apt, cannot read a cache in a home folder
        "Dir::State": home / "state",
        "Dir::State::status": home / "status",
        "Dir::Cache": home / "cache",
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::parts": "/dev/null",
    }
    return "\n".join([*lines, *(f'{key} "{value}";' for key, value in settings.items()), ""])


def packages_of(root: pathlib.Path) -> pathlib.Path:
    return root / "usr" / "lib" / "python3" / "dist-packages"


def interpreter_of(root: pathlib.Path) -> pathlib.Path:
    (interpreter,) = root.glob("usr/bin/python3.*")
    return interpreter


# Builds.


def build(to: pathlib.Path, compiler: Sequence[str], level: str = "-O3", root: pathlib.Path | None = None) -> None:
    """The package with its extension in to/site, for the Python of a root, or for this one."""
    built = shutil.ignore_patterns("*.so", "_kernel.c", "__pycache__")
    for name in ("backprop", "src_c"):
        shutil.copytree(ROOT / name, to / name, ignore=built, dirs_exist_ok=True)
    for name in ("setup.py", "pyproject.toml"):
        shutil.copy(ROOT / name, to)
    folders = [] if root is None else [packages_of(root)]
    extension = json.loads(run(sys.executable, "-c", DESCRIBE, *folders, cwd=to).splitlines()[-1])
    includes = [*extension["include_dirs"], sysconfig.get_path("include")]
    if root is not None:
        (headers,) = packages_of(root).glob("numpy/*core/include")
        includes = ["src_c", root / "usr" / "include" / interpreter_of(root).name, root / "usr" / "include", headers]
    flags = [flag.replace("-O3", level) for flag in extension["extra_compile_args"]]
    macros = [f"-D{key}={value.replace('-O3', level)}" for key, value in extension["define_macros"]]
    places = [f"-I{folder}" for folder in includes]
    shutil.copytree(to / "backprop", to / "site" / "backprop", ignore=built, dirs_exist_ok=True)
    library = to / "site" / "backprop" / "_kernel.so"
    run(*compiler, *flags, *macros, *places, "-fPIC", "-shared", *extension["sources"], "-o", library, cwd=to)


def compile_comparison(compiler: str, to: pathlib.Path) -> None:
    """compare_kernels.c, by setup.py's flags."""
    flags = ("-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-static", "-Isrc_c")
    run(compiler, *flags, "tools/compare_kernels.c", *sorted(ROOT.glob("src_c/*.c")), "-o", to, "-lm")


Python = Callable[..., str]  # runs a Python with these arguments


def foreign_python(name: str, root: pathlib.Path, site: pathlib.Path) -> Python:
    (libraries,) = root.glob("usr/lib/*-linux-gnu*")
    folders = [root / "lib" / libraries.name, libraries, libraries / "blas", libraries / "lapack"]
    return functools.partial(
        run,
        f"qemu-{FOREIGN[name].qemu}-static",
        "-L",
        root,
        interpreter_of(root),
        cwd=site,
        LD_LIBRARY_PATH=":".join(map(str, folders)),
        PYTHONHOME=root / "usr",
        PYTHONPATH=f"{site}:{packages_of(root)}",
    )


def native_python(site: pathlib.Path, *before: str) -> Python:
    return functools.partial(run, *before, sys.executable, cwd=site, PYTHONPATH=site)


# Checks.


@dataclass(frozen=True)
class Checked:
    what: str
    values: int


class Checks:
    """A folder to work in, with this machine's own build and its results, made once."""

    def __init__(self, work: pathlib.Path, cache: pathlib.Path) -> None:
        self.work, self.cache = work, cache

    @functools.cached_property
    def site(self) -> pathlib.Path:
        build(self.work / "here", ["gcc"])
        return self.work / "here" / "site"

    @functools.cached_property
    def stored(self) -> pathlib.Path:
        file = self.work / "stored.npz"
        native_python(self.site)(ROOT / "tools" / "cross_child.py", "make", file)
        return file

    def child(self, python: Python, site: pathlib.Path, target: str | None = None, reference: bool = True) -> Checked:
        """cross_child.py in this Python with each instruction set; the widest must be the target, if one is given.

        The reference has no instruction sets: it runs with the widest only.
        """
        command = [ROOT / "tools" / "cross_child.py", "check", self.stored]

        def account_of(chosen: str, with_reference: bool = False) -> dict[str, Any]:
            more = [] if with_reference else ["--no-reference"]
            account: dict[str, Any] = json.loads(python(*command, *more, BACKPROP_TARGET=chosen).splitlines()[-1])
            if account["differ"]:
                where = "; ".join(account["where"][:20])
                raise CheckError(f"{account['target']}: {account['differ']:,} of {account['values']:,} differ: {where}")
            if not account["package"].startswith(f"{site}/"):
                raise CheckError(f"another build was tested: {account['package']}")
            return account

        first = account_of("", reference)
        if target not in (None, first["target"]):
            raise CheckError(f"the instruction set is {first['target']}, not {target}")
        values = first["values"] + sum(account_of(narrower)["values"] for narrower in first["targets"][1:])
        what = f"{first['order']}-endian, {first['bits']}, {first['compiler'].strip()}, {', '.join(first['targets'])}"
        return Checked(what, values)

    def foreign(self, name: str) -> Checked:
        kind, root, folder = FOREIGN[name], fetched_root(name, self.cache), self.work / name
        build(folder, [f"{kind.compiler}-gcc", *kind.flags], root=root)
        python = foreign_python(name, root, folder / "site")
        return self.child(python, folder / "site", kind.target, kind.reference)

    def processor(self, name: str) -> Checked:
        model, target = PROCESSORS[name]
        return self.child(native_python(self.site, "qemu-x86_64-static", "-cpu", model), self.site, target)

    def compiler(self, name: str) -> Checked:
        compiler, _, level = name.partition("-")
        folder = self.work / name
        build(folder, [compiler], f"-{level}")
        python = native_python(folder / "site")
        checked = self.child(python, folder / "site")
        python("-m", "pytest", "-q", "-p", "no:cacheprovider", PARITY)
        return Checked(f"{checked.what}, -{level}, parity tests passed", checked.values)

    def riscv64(self) -> Checked:
        """compare_kernels.c, whose digests must be those of this machine's widest instruction set."""
        here, there = self.work / "compare_here", self.work / "compare_riscv64"
        compile_comparison("gcc", here)
        compile_comparison(f"{RISCV64}-gcc", there)
        run("qemu-riscv64-static", there)
        arguments = ("digest", 260_000, 1)
        expected, found = run(here, *arguments).splitlines()[1:], run("qemu-riscv64-static", there, *arguments)
        version = run(f"{RISCV64}-gcc", "-dumpfullversion").strip()
        if found.splitlines()[1:] != expected:
            raise CheckError(f"other digests than here:\n{found}, not\n" + "\n".join(expected))
        values = sum(int(line.partition(": ")[2].split()[0]) for line in expected)
        return Checked(f"little-endian, 64bit, gcc {version}, baseline (C alone, by digests)", values)

    def check(self, name: str) -> Checked:
        if name in FOREIGN:
            return self.foreign(name)
        if name in PROCESSORS:
            return self.processor(name)
        return self.riscv64() if name == "riscv64" else self.compiler(name)


def report(checks: Checks, name: str) -> bool:
    """Check an architecture and print its line; returns whether all is well."""
    began = time.monotonic()
    try:
        checked = checks.check(name)
        if checked.values < LEAST:
            raise CheckError(f"only {checked.values:,} values were compared")
    except CheckError as failure:
        print(f"{name:<9} FAILED: {failure}", flush=True)
        return False
    seconds = time.monotonic() - began
    print(f"{name:<9} {checked.what}: {checked.values:,} values compared, 0 differ ({seconds:.0f} s)", flush=True)
    return True


def main() -> int:
    assert __doc__ is not None
    caches = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arch", nargs="*", metavar="ARCH", help=f"{', '.join(NAMES)}; all of them if none is given")
    text = "where foreign Pythons are kept, 120 MB each; remove it to fetch them anew (%(default)s)"
    parser.add_argument("--cache", type=pathlib.Path, default=caches / "backprop-cross-check", help=text)
    parser.add_argument("--verbose", action="store_true", help="print all commands and what they say")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.arch if name not in NAMES]
    if unknown:
        parser.error(f"{unknown[0]!r} is none of {', '.join(NAMES)}")
    run.verbose = arguments.verbose
    names = arguments.arch or NAMES
    try:
        install(names)
    except CheckError as failure:
        print(failure)
        return 1
    with tempfile.TemporaryDirectory() as work:
        checks = Checks(pathlib.Path(work).resolve(), arguments.cache.resolve())
        fine = [report(checks, name) for name in names]
        return 0 if all(fine) else 1


if __name__ == "__main__":
    sys.exit(main())
