"""Hostile processes: whatever the host does, the bits are the same, nothing crashes or hangs, nothing is lost.

The conditions are in hostile.py, a table; each runs in a process of its own.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys

import hostile
import pytest

AGAINST_HANGING = 300  # seconds


def child(name):
    """What comes out under a condition."""
    condition = hostile.CONDITIONS[name]
    command = [sys.executable, *condition.options, pathlib.Path(__file__).with_name("hostile.py"), name]
    environment = os.environ | {"OMP_NUM_THREADS": "2"} | condition.environment
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        shown, errors = process.communicate(timeout=AGAINST_HANGING)
    except subprocess.TimeoutExpired:
        if hostile.POSIX:
            os.killpg(process.pid, signal.SIGKILL)  # its own children too
        process.kill()
        process.communicate()
        raise
    assert (process.returncode, errors) == (0, "")
    return json.loads(shown)


@pytest.fixture(scope="module")
def expected():
    """What the definition gives in a process that nobody disturbs."""
    (found,) = child("reference")
    return found


@pytest.mark.parametrize("name", hostile.CONDITIONS)
def test_condition(expected, name):
    found = child(name)
    assert found
    assert all(one == expected for one in found)


def test_there_are_conditions():
    assert len(hostile.CONDITIONS) >= 10
