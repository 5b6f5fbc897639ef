"""Hostile processes: whatever the host does, the bits are the same, nothing crashes or hangs, nothing is lost.

The conditions are in hostile/, a table; each runs in a process of its own.
"""

import json
import os
import signal
import subprocess
import sys

import hostile
import pytest
from problems import child_environment

AGAINST_HANGING = 120  # seconds


def child(name):
    """What comes out under a condition."""
    condition = (hostile.CONDITIONS | hostile.DEFINITIONS)[name]
    command = [sys.executable, *condition.options, "-m", "hostile", name]
    process = subprocess.Popen(
        command,
        env=child_environment(**{"OMP_NUM_THREADS": "2"} | condition.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        shown, errors = process.communicate(timeout=AGAINST_HANGING)
    except subprocess.TimeoutExpired:
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)  # its own children too
        process.kill()
        process.communicate()
        raise
    assert (process.returncode, errors) == (0, ""), errors
    return json.loads(shown)


@pytest.fixture(scope="module")
def expected():
    """What the definition gives in a process that nobody disturbs."""
    (found,) = child("the definition")
    return found


@pytest.mark.parametrize("name", hostile.CONDITIONS)
def test_condition(expected, name):
    found = child(name)
    assert found
    assert all(one == expected for one in found)


@pytest.mark.parametrize("name", [name for name in hostile.DEFINITIONS if name != "the definition"])
def test_modes_reach_what_is_measured(expected, name):
    """The definition computes in the host's mode, so its results show that the conditions test something."""
    (found,) = child(name)
    assert found.keys() == expected.keys()
    assert found != expected


def test_there_are_conditions():
    assert len(hostile.CONDITIONS) >= 40
