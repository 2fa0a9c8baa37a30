"""At least five times the NumPy reference, forward and backward. Not run by default: pytest -m speed.

All are measured in one run, in turns, and the best round of each counts: a disturbance slows a round, never
the best of many. Both may use the threads that they use by default.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from core_helpers import reference_of
from helpers import random

import lstmfast

pytestmark = pytest.mark.speed

HIDDEN = (32, 64, 128, 256)
ROUNDS = 15
WANTED = 5.0
STEPS = {1: 200, 16: 50}  # by batch: some milliseconds for the reference


@pytest.mark.parametrize("B", STEPS)
def test_five_times_the_reference(B: int) -> None:
    ours: dict[tuple[int, str], Callable[[], object]] = {}
    theirs: dict[tuple[int, str], Callable[[], object]] = {}
    for H in HIDDEN:
        model = lstmfast.LSTM(H, H, seed=0)
        truth = reference_of(model, "float32")
        x, dy = random((STEPS[B], B, H)), random((STEPS[B], B, H), seed=1)

        def ours_both(model: Any = model, x: Any = x, dy: Any = dy) -> None:
            model.backward(model.forward(x)[2], dy)

        def theirs_both(truth: Any = truth, x: Any = x, dy: Any = dy) -> None:
            truth.backward(truth.forward(x)[2], dy)

        ours[H, "forward"] = functools.partial(model, x)
        theirs[H, "forward"] = functools.partial(truth.forward, x)
        ours[H, "forward and backward"] = ours_both
        theirs[H, "forward and backward"] = theirs_both

    best: dict[tuple[str, tuple[int, str]], float] = {}
    for _ in range(ROUNDS):
        for case in ours:
            for who, work in (("ours", ours[case]), ("reference", theirs[case])):
                begin = time.perf_counter()
                work()
                took = time.perf_counter() - begin
                best[who, case] = min(took, best.get((who, case), np.inf))

    lines, ratios = [f"batch {B}, {STEPS[B]} steps, ms", f"    H {'':22}  reference     ours  times"], []
    for H, what in ours:
        mine, others = best["ours", (H, what)], best["reference", (H, what)]
        ratios.append(others / mine)
        lines.append(f"{H:5} {what:22} {1e3 * others:10.3f} {1e3 * mine:8.3f} {others / mine:6.1f}")
    assert min(ratios) >= WANTED, "\n".join(lines)
