"""The least time that a case can take on a machine: arithmetic alone, from what `probes` measured.

Two things bound every step, and the larger of the two is the limit:

- the matrix products, at the rate of fused multiply-adds that the core's probe reaches;
- reading the recurrent weights, all of which every step needs anew. What fits in the first cache is read from
  there, what fits in the second but not the first from the second, and so on: the best that any order of work
  can do, since what was read last is still in the fast cache when the next step begins. The weights of the
  inputs have to be read only once a call, as products for many steps can be made together.

Where rows have lengths of their own, steps past a row's end are no products, but the recurrent weights are
still read T times: the longest row has T steps.

Where rows start anew nothing is saved: a step from the zero state counts like any other, and so does the
first one.

Quantised weights are fewer bytes to be read. The arithmetic with float16 and bfloat16 weights is float32's,
and so is its rate. No probe measures how fast products of int8 are made, so theirs count as nothing. That
leaves reading, which tells something where each recurrent weight that is read makes one product, that is with
one row; with more rows the products soon take longer, and no limit is claimed.

With N threads the rates are those of N threads at once, and caches that each core has to itself count N
times: the threads may share the weights out. Layers and directions follow one another. docs/benchmarking.md
tells the same at greater length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .cases import FLOAT32, Case

__all__ = ["Level", "Limits", "least_quantized_seconds", "least_seconds"]

# Bytes of a weight that is stored as a smaller type than float32.
SMALL = {"float16": 2, "bfloat16": 2, "int8": 1}


@dataclass(frozen=True)
class Level:
    """One level of memory, for all threads of the run together."""

    name: str
    capacity: float  # bytes; infinite for main memory
    gbps: float  # 1e9 bytes a second, loads


@dataclass(frozen=True)
class Limits:
    """What the machine itself can do, measured in the same run."""

    gflops: float  # fused multiply-adds, two operations each
    levels: tuple[Level, ...]  # fastest first; empty where the cache sizes are not known


def pass_seconds(nbytes: float, levels: Sequence[Level]) -> float:
    """Return the least time to read `nbytes` once, when the same bytes are read over and over.

    Without levels nothing is known, and nothing is claimed: 0.
    """
    seconds = below = 0.0
    for level in levels:
        reach = min(nbytes, level.capacity)
        seconds += max(reach - below, 0.0) / (1e9 * level.gbps)
        below = max(below, reach)
    return seconds


def least_seconds(case: Case, limits: Limits) -> float:
    """Return the least time of one call: per layer the larger of the two limits above, summed.

    Training makes every product three times and reads the recurrent weights twice a step, forward and back.
    """
    return _least_seconds(case, limits.levels, limits.gflops, FLOAT32)


def least_quantized_seconds(case: Case, limits: Limits, weights: str) -> float | None:
    """Return the same with weights of type `SMALL`; None where nothing that is known bounds a call.

    That is int8 with more than one row, or on a machine whose caches are not known: see above.
    """
    if weights != "int8":
        return _least_seconds(case, limits.levels, limits.gflops, SMALL[weights])
    if case.B > 1 or not limits.levels:
        return None
    return _least_seconds(case, limits.levels, math.inf, SMALL[weights])


def _least_seconds(case: Case, levels: Sequence[Level], gflops: float, size_of_weight: int) -> float:
    """Return the least time at this rate of multiply-adds, with weights of so many bytes."""
    times_products, times_weights = (3, 2) if case.trains else (1, 1)
    total = case.weight_bytes // FLOAT32 * size_of_weight
    total_seconds = pass_seconds(total, levels)
    least = 0.0
    for size in case.input_sizes:
        flops = 2 * case.gates * case.H * (size + case.H) * case.steps
        recurrent = size_of_weight * case.gates * case.H * case.H
        inputs = size_of_weight * case.gates * case.H * size
        # What a call reads once was last read a call ago: since then all weights have passed.
        once = total_seconds * inputs / total
        if case.T == 1:
            reading = once + total_seconds * recurrent / total
        else:
            reading = once + case.T * pass_seconds(recurrent, levels)
        least += max(times_products * flops / (1e9 * gflops), times_weights * reading)
    return least * case.directions


def intensity(case: Case) -> float:
    """Return operations per byte of weights that a call has to read: a row's place in a roofline picture."""
    recurrent = case.layers * case.directions * FLOAT32 * case.gates * case.H * case.H
    inputs = case.weight_bytes - recurrent
    return case.flops / ((2 if case.trains else 1) * (case.T * recurrent + inputs))


def geometric_mean(values: Sequence[float]) -> float:
    """Return the mean that is right for ratios; NaN of nothing."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan
