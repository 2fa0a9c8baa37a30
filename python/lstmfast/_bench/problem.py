"""The same weights, inputs and truth for all engines, and the check that each passes before it is timed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import lstmfast
from lstmfast.reference import Reference

from .cases import Case

__all__ = ["STEPS", "TOLERANCES", "Array", "Problem", "Results", "difference", "make"]

Array: TypeAlias = NDArray[Any]
# y, h_n and c_n by name, shaped as PyTorch has them; for training y, dx and "d " + each parameter's name.
Results: TypeAlias = Mapping[str, Array]

# A step is checked after so many calls: a state that is not carried on shows.
STEPS = 3

# The largest difference from the truth, in units of the truth's largest value. Gates in a wrong order make
# 0.02 to 0.6, float32 rounding some 1e-6. int8 makes up to 0.05; its models are converted from the float32
# ones, whose order has been checked.
TOLERANCES = {"float32": 1e-4, "int8": 0.1}


@dataclass(frozen=True)
class Problem:
    """A case with its numbers. All arrays are C-ordered float32; engines copy what they keep."""

    case: Case
    weights: Mapping[str, Array]  # PyTorch's names and shapes
    x: Array  # [T, B, I]
    dy: Array  # [T, B, D*H], for training
    truth: Results  # float64


def make(case: Case, seed: int = 0) -> Problem:
    """Draw weights as PyTorch initialises them and inputs of unit variance, and compute the truth.

    For a step the truth is what comes out of the last of `STEPS` calls with the same x.
    """
    lstm = lstmfast.LSTM(case.I, case.H, case.layers, bidirectional=case.directions == 2, seed=seed)
    weights = lstm.state_dict()
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((case.T, case.B, case.I), np.float32)
    dy = generator.standard_normal((case.T, case.B, case.directions * case.H), np.float32)

    reference = Reference("lstm", weights, case.layers, case.directions == 2)
    h_n = c_n = None
    for _ in range(STEPS if case.work == "step" else 1):
        y, (h_n, c_n), cache = reference.forward(x, h_n, c_n)
    truth: dict[str, Array]
    if case.work == "train":
        dx, _, _, dparameters = reference.backward(cache, dy)
        truth = {"y": y, "dx": dx, **{f"d {name}": array for name, array in dparameters.items()}}
    else:
        assert h_n is not None
        assert c_n is not None
        truth = {"y": y, "h_n": h_n, "c_n": c_n}
    return Problem(case, weights, x, dy, truth)


def difference(results: Results, truth: Results) -> float:
    """Return the largest difference over all results, in units of each truth's largest value; NaN if one is.

    Raises
    ------
    ValueError
        If a result is missing or too many, or a shape is not the truth's.
    """
    if set(results) != set(truth):
        raise ValueError(f"expected results {', '.join(truth)}, got {', '.join(results)}")
    worst = 0.0
    for name, want in truth.items():
        got = np.asarray(results[name], np.float64)
        if got.shape != want.shape:
            raise ValueError(f"{name}: expected shape {want.shape}, got {got.shape}")
        scale = float(np.max(np.abs(want), initial=0.0)) or 1.0
        found = float(np.max(np.abs(got - want), initial=0.0)) / scale
        if math.isnan(found):
            return found
        worst = max(worst, found)
    return worst
