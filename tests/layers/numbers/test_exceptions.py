"""Exceptions of arithmetic: a caller's traps are not ours; flags stay, or gain what our arithmetic did."""

from __future__ import annotations

import ctypes
import ctypes.util
import sys

import numpy as np
import pytest

import lstmfast

from ...core_helpers import run_python
from ...float_helpers import CAN_BE_SET, CONTROLS, host
from ...helpers import everything, make, random

pytestmark = [
    pytest.mark.skipif(not CAN_BE_SET, reason="where fenv_t is another"),
    pytest.mark.usefixtures("default_floats"),
]

# Overflows, sums that are no number and ones that are rounded trap in whoever computes: here nobody but the
# core, for what Python itself does meanwhile is no arithmetic of floats.
TRAPPING = """
import ctypes, ctypes.util, sys
import numpy as np
import lstmfast
libm = ctypes.CDLL(ctypes.util.find_library("m"))
lstmfast._core.ignore_crowding(True)
model = lstmfast.LSTM(64, 256, seed=0)
rng = np.random.default_rng(0)
x, state = rng.standard_normal((5, 16, 64)).astype("float32"), tuple(np.zeros((2, 1, 16, 256), "float32"))
x[1, 1, 1], x[2, 2, 2], x[3, 3, :2], x[4, 4, 4] = np.nan, np.inf, (np.inf, -np.inf), 1e-40
x[3, 5] = 3e38
out = np.zeros((5, 16, 256), "float32"), tuple(np.zeros((2, 1, 16, 256), "float32"))
stream, pool = model.stream(batch=16), model.stream_pool(16)
ids = [pool.open() for _ in range(16)]
ALL = int(sys.argv[1], 16)
for threads in (1, 2, 4):
    lstmfast.set_num_threads(threads)
    libm.feclearexcept(ALL)  # what the x87 has noted before, of a long double of NumPy's say, would trap, too
    if libm.feenableexcept(ALL) == -1:
        print("this CPU cannot")
        break
    model(x, state, out=out)
    y, end, tape = model.forward(x, state)
    model.backward(tape, out[0])
    for frame in x:
        stream.step(frame)
        pool.step(ids, frame)
    assert libm.fegetexcept() == ALL
    libm.fedisableexcept(ALL)
    assert np.isnan(out[0]).any() and np.isfinite(out[0][:, 0]).all()
else:
    print("all came back")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="traps are set by functions of Linux' C libraries")
def test_traps_are_the_callers_own() -> None:
    """What would end the process where the core computed under them."""
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    if not hasattr(libm, "feenableexcept"):
        pytest.skip("this C library has no traps")
    everything_traps = 0x3D if CONTROLS["flush to zero"] == 0x9F80 else 0x1F
    if run_python(TRAPPING, hex(everything_traps)).strip() != "all came back":
        pytest.skip("this CPU does not trap")


INVALID, DIVIDED, OVERFLOWN, INEXACT = (1, 4, 8, 32) if CONTROLS["flush to zero"] == 0x9F80 else (1, 2, 4, 16)
FLAGS = INVALID | DIVIDED | OVERFLOWN | INEXACT
libm = ctypes.CDLL(ctypes.util.find_library("m")) if CAN_BE_SET else None


def flags_after(given: int | None) -> int:
    """The flags of this thread after a call that has something of everything, in an environment."""
    model = make("lstm", 5, 21)
    x = random((4, 3, 5))
    x[1, 0, :2], x[2, 1] = (np.inf, -np.inf), 3e38
    assert libm is not None
    if given is None:
        libm.feclearexcept(FLAGS)
        model(x)
        return int(libm.fetestexcept(FLAGS))
    with host(given):
        libm.feclearexcept(FLAGS)
        libm.feraiseexcept(DIVIDED)
        model(x)
        return int(libm.fetestexcept(FLAGS))


@pytest.mark.usefixtures("one_thread")
def test_flags_are_added_to() -> None:
    """As by any arithmetic, in the default environment: keeping them would cost each step."""
    assert flags_after(None) & (INVALID | INEXACT) == INVALID | INEXACT


@pytest.mark.usefixtures("one_thread")
@pytest.mark.skipif(CONTROLS.get("both") != 0x9FC0, reason="flags and what is asked for are apart there")
@pytest.mark.parametrize("given", CONTROLS.values(), ids=CONTROLS)
def test_flags_stay_in_another_environment(given: int) -> None:
    assert flags_after(given) == DIVIDED


def test_numpy_does_not_take_them_for_its_own() -> None:
    """It clears them before its own arithmetic: who has asked for errors gets none of ours."""
    model = make("lstm", 5, 21)
    x = random((4, 3, 5))
    x[1, 0, :2] = np.inf, -np.inf
    with np.errstate(all="raise"):
        found = everything(model, x)
        assert np.isnan(found["y"]).any()
        assert float((np.float32(1) + np.arange(3, dtype=np.float32)).sum()) == 6


def test_nothing_is_said() -> None:
    """No warning comes of numbers that are none."""
    model = lstmfast.GRU(5, 21, seed=0)
    x = random((4, 3, 5))
    x[1, 0, :2] = np.inf, -np.inf
    everything(model, x)  # pytest makes errors of warnings
