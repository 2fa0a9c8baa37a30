"""How fast the trained model runs, against the NumPy reference with the same weights."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lstmfast import LSTM
from lstmfast.reference import Reference

# float32 rounding over a few hundred steps, in units of the largest value; a mistake is far outside.
TOLERANCE = 1e-4
ROUNDS = 5  # at the least

Results: TypeAlias = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Row:
    """One kind of work, done by both."""

    shape: str  # "T x B", steps and rows
    work: str
    ours: list[float]  # seconds, one per round
    reference: list[float]
    difference: float  # the largest between the results, in units of the largest value

    @property
    def ratio(self) -> float:
        """How many times faster, by the best round of each."""
        return min(self.reference) / min(self.ours)

    @property
    def median_ratio(self) -> float:
        """How many times faster, by the median round of each."""
        return statistics.median(self.reference) / statistics.median(self.ours)


def compare(lstm: LSTM, inputs: list[NDArray[np.float32]], seconds: float = 0.3) -> list[Row]:
    """Time forward, and forward with backward, on each input.

    Parameters
    ----------
    lstm : LSTM
        One layer, float32.
    inputs : list of float32 arrays [T, B, I]
    seconds : float
        About how long each row may take, as far as `ROUNDS` rounds allow.

    Raises
    ------
    ArithmeticError
        If both do not compute the same: there is nothing to compare then.
    """
    reference = Reference("lstm", lstm.parameters, dtype=np.float32)

    def forward(x: NDArray[Any]) -> Results:
        return {"y": lstm(x)[0]}

    def reference_forward(x: NDArray[Any]) -> Results:
        return {"y": reference.forward(x)[0]}

    def forward_backward(x: NDArray[Any]) -> Results:
        y, _, tape = lstm.forward(x)
        grads = lstm.backward(tape, np.ones_like(y))
        return {"y": y, "dx": grads.x, **grads.parameters}

    def reference_forward_backward(x: NDArray[Any]) -> Results:
        y, _, cache = reference.forward(x)
        dx, _, _, grads = reference.backward(cache, np.ones_like(y))
        return {"y": y, "dx": dx, **grads}

    rows = []
    for x in inputs:
        rows.append(_row("forward", forward, reference_forward, x, seconds))
        rows.append(_row("forward + backward", forward_backward, reference_forward_backward, x, seconds))
    return rows


def _row(
    work: str,
    ours: Callable[[NDArray[Any]], Results],
    reference: Callable[[NDArray[Any]], Results],
    x: NDArray[Any],
    seconds: float,
) -> Row:
    shape = f"{x.shape[0]} x {x.shape[1]}"
    difference = _difference(ours(x), reference(x))
    if not difference <= TOLERANCE:
        raise ArithmeticError(
            f"{shape}, {work}: lstmfast and the NumPy reference differ by {difference:.1e} of the largest"
        )
    row = Row(shape, work, [], [], difference)
    end = time.perf_counter() + seconds
    # Turn about, so that what else the machine does meets both.
    while len(row.ours) < ROUNDS or time.perf_counter() < end:
        for function, times in ((ours, row.ours), (reference, row.reference)):
            start = time.perf_counter()
            function(x)
            times.append(time.perf_counter() - start)
    return row


def _difference(a: Results, b: Results) -> float:
    """Return the largest difference between arrays of one name, in units of the largest value of each."""
    return max(float(np.max(np.abs(a[name] - b[name])) / np.max(np.abs(b[name]))) for name in a)
