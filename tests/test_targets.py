"""Instruction sets: what is chosen, what can be forced, and what is said."""

import os
import platform
import subprocess
import sys

import pytest

import backprop
from backprop import _kernel


def python(program, target):
    environment = os.environ | {"BACKPROP_TARGET": target}
    return subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)


def test_the_baseline_is_always_there():
    assert _kernel.TARGETS[-1] == "baseline"
    assert _kernel.TARGET in _kernel.TARGETS
    assert _kernel.TARGET == os.environ.get("BACKPROP_TARGET", _kernel.TARGETS[0])


def test_names():
    known = {"x86_64": {"avx512", "avx2"}, "aarch64": {"neon"}, "arm64": {"neon"}}
    assert set(_kernel.TARGETS) <= known.get(platform.machine(), set()) | {"baseline"}


@pytest.mark.parametrize("target", _kernel.TARGETS)
def test_each_can_be_forced(target):
    done = python("import backprop; backprop.show_config()", target)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"\ninstruction set: {target} of {', '.join(_kernel.TARGETS)}, on " in done.stdout


def test_empty_means_unset():
    assert (
        f"\ninstruction set: {_kernel.TARGETS[0]} of " in python("import backprop; backprop.show_config()", "").stdout
    )


@pytest.mark.parametrize("target", ["avx9", "AVX2", "sse", "neon" if platform.machine() == "x86_64" else "avx2"])
def test_what_is_not_here_is_an_import_error(target):
    done = python("import backprop", target)
    assert done.returncode == 1
    here = ", ".join(_kernel.TARGETS)
    assert done.stderr.splitlines()[-1] == f"ImportError: BACKPROP_TARGET is {target!r}; this machine has: {here}"


def test_show_config_says_what_works(capsys):
    backprop.show_config()
    shown = capsys.readouterr().out
    assert f"instruction set: {_kernel.TARGET} of " in shown
    assert f"threads: {_kernel.max_threads()} at most\n" in shown
    assert f"compiler: {_kernel.COMPILER}\n" in shown
    assert "-ffp-contract=off" in shown or sys.platform == "win32"
