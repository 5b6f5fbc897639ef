"""One suite, two engines: the reference and the kernel behind the same few functions."""

import multiprocessing.util
import os
import tempfile

import hypothesis
import pytest
from small_work import share_small_work, small_work_shared

import backprop
from backprop import reference

if os.environ.get("THREADS_FOR_SMALL_WORK"):
    share_small_work()

hypothesis.settings.register_profile("default", deadline=None, max_examples=100, print_blob=True)
hypothesis.settings.register_profile("ci", deadline=None, max_examples=100, derandomize=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "default")


class ReferenceEngine:
    train = staticmethod(reference.train)
    predict = staticmethod(reference.predict)
    loss = staticmethod(reference.loss)
    loss_and_gradient = staticmethod(reference.loss_and_gradient)


class KernelEngine:
    train = staticmethod(backprop.fast_train)
    predict = staticmethod(backprop.Network.predict)
    loss = staticmethod(backprop.Network.loss)
    loss_and_gradient = staticmethod(backprop.loss_and_gradient)


ENGINES = {"reference": ReferenceEngine, "kernel": KernelEngine}


@pytest.fixture(params=ENGINES.values(), ids=ENGINES, scope="session")
def engine(request):
    """Behaviour tests run once with each engine."""
    return request.param


@pytest.fixture(scope="session")
def engines():
    """(reference, kernel), for tests that compare them."""
    return tuple(ENGINES.values())


@pytest.fixture
def threads_for_small_work():
    """As many threads work as are asked for, though the work would not call for them."""
    with small_work_shared():
        yield


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory):
    """A folder that takes with it what examples leave in temporary folders, and child processes that are killed."""
    tmp_path_factory.getbasetemp()  # pytest's own, which it keeps for a while, is beside it
    multiprocessing.util.get_temp_dir()  # so is that of multiprocessing, which removes it when the process ends
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, pytest.MonkeyPatch.context() as patch:
        for name in ("TMPDIR", "TEMP", "TMP"):
            patch.setenv(name, folder)
        patch.setattr(tempfile, "tempdir", folder)
        yield


def pytest_collection_modifyitems(config, items):
    """The long run is asked for: pytest -m long."""
    if config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if not item.get_closest_marker("long")]
