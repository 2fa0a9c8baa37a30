"""What the core offers to tests and measurements: its activations, its peak, its number of threads."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lstmfast import _core

from ..core_helpers import unaligned
from ..helpers import ISAS, Array


def test_threads_of_the_core(threads: None) -> None:
    for number in (0, -1, -(2**31)):
        with pytest.raises(ValueError, match=r"^n: "):
            _core.set_num_threads(number)
    for bad in (2**31, 1.5, None, "2"):
        with pytest.raises(TypeError):
            _core.set_num_threads(bad)  # type: ignore[arg-type]
    _core.set_num_threads(3)
    assert _core.get_num_threads() == 3


@pytest.mark.parametrize("function", [_core.sigmoid, _core.tanh])
def test_bad_arguments_of_activations(function: Callable[..., Array]) -> None:
    x = np.zeros(8, np.float32)
    cases: list[tuple[Any, Any, type[Exception]]] = [
        (x.reshape(2, 4), "scalar", ValueError),
        (np.array(1, "f"), "scalar", ValueError),
        (x[::2], "scalar", ValueError),
        (x[::-1], "scalar", ValueError),
        (unaligned(x), "scalar", ValueError),
        (np.broadcast_to(np.float32(1), (8,)), "scalar", ValueError),
        (x.astype("float16"), "scalar", TypeError),
        (x.astype("int64"), "scalar", TypeError),
        (x.astype(">f8"), "scalar", TypeError),
        (x.tolist(), "scalar", TypeError),
        (None, "scalar", TypeError),
        (1.0, "scalar", TypeError),
        (x, "mmx", ValueError),
        (x, None, TypeError),
    ]
    for argument, isa, error in cases:
        with pytest.raises(error):
            function(argument, isa)
    assert function(np.zeros(0, "f"), "scalar").shape == (0,)


@pytest.mark.parametrize("seconds", [0, -1, math.nan, math.inf, -math.inf, 61, 1e300])
def test_seconds_of_peak_gflops(seconds: float) -> None:
    with pytest.raises(ValueError, match=r"^seconds: "):
        _core.peak_gflops(ISAS[0], "float32", seconds)


@pytest.mark.alone
def test_peak_gflops(dtype: str, isa: str) -> None:
    with pytest.raises(ValueError, match=r"^isa: "):
        _core.peak_gflops("mmx", dtype)
    for bad in ("float16", "", "f4", "FLOAT32"):
        with pytest.raises(ValueError, match=r"^dtype: "):
            _core.peak_gflops(isa, bad)
    for arguments in ((None, dtype), (isa, None), (isa, dtype, "1"), (isa, dtype, None), (isa, np.float32)):
        with pytest.raises(TypeError):
            _core.peak_gflops(*arguments)
    assert 0.05 < _core.peak_gflops(isa, dtype, 0.02) < 1e4


@pytest.mark.alone
def test_load_gbps(isa: str) -> None:
    for seconds in (0, -1, math.nan, math.inf):
        with pytest.raises(ValueError, match=r"^seconds: "):
            _core.load_gbps(isa, 4096, seconds)
    for nbytes in (0, -1, -(2**63)):
        with pytest.raises(ValueError, match=r"^nbytes: "):
            _core.load_gbps(isa, nbytes)
    with pytest.raises(MemoryError):
        _core.load_gbps(isa, 2**62)
    with pytest.raises(ValueError, match=r"^isa: "):
        _core.load_gbps("mmx", 4096)
    for arguments in ((None, 4096), (isa, None), (isa, 1.5), (isa, 2**64), (isa,)):
        with pytest.raises(TypeError):
            _core.load_gbps(*arguments)
    for nbytes in (1000, 4097, 16384):
        assert 0.01 < _core.load_gbps(isa, nbytes, 0.005) < 1e5
