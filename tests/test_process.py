"""The process and the shell around a build and the command line are left as they were."""

import importlib.machinery
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

import backprop
from backprop import loading

PACKAGE = pathlib.Path(backprop.__file__).parent


def run(code, folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [
        sys.executable,
        "-S",
        "-c",
        code,
        *arguments,
    ]  # -S: no package of this environment, which may be backprop
    return subprocess.run(command, env=environment, cwd=folder, text=True, capture_output=True)


@pytest.fixture
def not_built(tmp_path):
    """A copy of the package without its kernel, as an unpacked sdist has it."""
    kernels = [f"*{suffix}" for suffix in importlib.machinery.EXTENSION_SUFFIXES]
    shutil.copytree(PACKAGE, tmp_path / "backprop", ignore=shutil.ignore_patterns(*kernels, "__pycache__"))
    return tmp_path


@pytest.mark.parametrize("statement", ["import backprop", "from backprop import Network", "import backprop.reference"])
def test_a_package_that_is_not_built_says_so(not_built, statement):
    done = run(statement, not_built, "")
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        f"ImportError: backprop is not built in {not_built}: run `pip install -e .` there, or start Python in another "
        "folder to use the backprop that is installed"
    )


def test_an_error_within_the_kernel_is_not_hidden(not_built):
    """Only the kernel's own absence is called a missing build, not that of a module that it imports."""
    (not_built / "backprop" / "_kernel.py").write_text("import a_module_that_is_missing\n", "ascii")
    done = run("import backprop", not_built)
    assert done.stderr.strip().splitlines()[-1] == "ModuleNotFoundError: No module named 'a_module_that_is_missing'"


def test_a_build_that_switches_off_subnormal_numbers_is_refused(monkeypatch):
    """The kernel sets the thread right again. A process that was without subnormal numbers before stays as it is."""
    kept = iter([True, False])
    monkeypatch.setattr(loading, "keeps_subnormals", lambda: next(kept))
    with pytest.raises(ImportError, match=r"switched off subnormal numbers .* which is undone now; build it anew"):
        loading.load_kernel()
    for before, after in [(False, False), (True, True)]:
        kept = iter([before, after])
        loading.load_kernel()


def test_import_leaves_subnormal_numbers():
    assert loading.keeps_subnormals()


@pytest.mark.parametrize("lines", [0, 1, 3])
@pytest.mark.parametrize("command", ["tutorial", "verify"])
def test_a_reader_that_has_had_enough(command, lines):
    """`python -m backprop tutorial | head -1` ends without a traceback."""
    reader = f"import sys; [sys.stdin.readline() for _ in range({lines})]"
    with subprocess.Popen(
        [sys.executable, "-m", "backprop", command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as writer:
        subprocess.run([sys.executable, "-c", reader], stdin=writer.stdout, check=True)
        writer.stdout.close()
        assert writer.stderr.read() == ""
        assert writer.wait() in (0, 1)


@pytest.mark.parametrize("array", [lambda net: net.parameters, lambda net: net.weights[0], lambda net: net.biases[1]])
@pytest.mark.parametrize(
    "made",
    [
        lambda net: net,
        lambda net: net.with_parameters(net.parameters * 2.0),
        lambda net: backprop.fast_train(net, [[0.0], [1.0]], [0.0, 1.0], epochs=1).network,
        lambda net: backprop.Network.from_arrays(net.weights, net.biases, "tanh", "identity"),
    ],
    ids=["new", "with_parameters", "trained", "from_arrays"],
)
def test_nobody_can_change_a_network(made, array):
    """Neither an array nor any object that it is a view of lets its user write."""
    one = array(made(backprop.Network([1, 3, 1])))
    while one is not None:
        if isinstance(one, np.ndarray):
            with pytest.raises(ValueError, match="cannot set WRITEABLE flag"):
                one.setflags(write=True)
        else:
            assert memoryview(one).readonly
        one = getattr(one, "base", getattr(one, "obj", None))
