"""Time per value of exp, expm1, log and log1p."""

import numpy as np
import pytest

from backprop import _kernel

COUNT = 100_000
RANGES = {"exp": (-8.0, 8.0), "expm1": (-8.0, 0.0), "log": (1.0, 100.0), "log1p": (0.0, 1.0)}


@pytest.mark.parametrize("form", _kernel.FORMS)
@pytest.mark.parametrize("name", _kernel.ELEMENTARY)
def test_elementary(benchmark, name, form):
    x = np.random.default_rng(0).uniform(*RANGES[name], COUNT // 100 if form == "exact" else COUNT)
    out = np.empty_like(x)
    benchmark(_kernel.elementary, name, x, out, form=form)
    if benchmark.stats is not None:
        seconds = benchmark.stats.stats.median / len(x)
        benchmark.extra_info |= {"ns a value": round(seconds * 1e9, 2), "rows/s": round(1 / seconds)}
        benchmark.extra_info["GFLOP/s"] = float(f"{1e-9 / seconds:.3g}")  # one call: one operation
