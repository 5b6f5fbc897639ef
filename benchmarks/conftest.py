"""A fixture that runs a benchmark and writes down rows/s, updates/s and GFLOP/s beside its seconds."""

from collections.abc import Callable
from typing import Any

import pytest
from workloads import operations

import backprop


@pytest.fixture
def measure(benchmark: Any) -> Callable[..., Any]:
    """measure(function, network, rows=, training=, updates=): run it, and record its rates (rows/s and so on)."""

    def run(
        function: Callable[[], Any], network: backprop.Network, *, rows: int, training: bool, updates: int = 0
    ) -> Any:
        result = benchmark(function)
        if benchmark.stats is not None:  # stats is None under --benchmark-disable
            seconds = benchmark.stats.stats.median
            benchmark.extra_info["rows/s"] = round(rows / seconds)
            benchmark.extra_info["GFLOP/s"] = float(f"{rows * operations(network, training) / seconds / 1e9:.3g}")
            if updates:
                benchmark.extra_info["updates/s"] = round(updates / seconds)
        return result

    return run
