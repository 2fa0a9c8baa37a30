"""The same weights, inputs and truth for all engines, and the check that each passes before it is timed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import lstmfast
from lstmfast._base.kinds import class_named
from lstmfast.reference import Reference

from .cases import Case

__all__ = ["ORDERS", "STEPS", "TOLERANCES", "Array", "Problem", "Results", "difference", "make", "model"]

Array: TypeAlias = NDArray[Any]
# y, h_n and for an LSTM c_n by name, shaped as PyTorch has them; for training y, dx and "d " + each
# parameter's name, for fit the last of these alone.
Results: TypeAlias = Mapping[str, Array]
Layer: TypeAlias = lstmfast.LSTM | lstmfast.RNN | lstmfast.GRU

# A step is checked after so many calls: a state that is not carried on shows.
STEPS = 3
# In how many orders a pool's streams come.
ORDERS = 8

# By the weights' type, the largest difference from the truth, in units of the truth's largest value. Gates in
# a wrong order make 0.02 to 0.6, float32 rounding some 1e-6.
# A weight in float16 is off by up to u = 2**-11 of itself, in bfloat16 by up to 2**-8. The errors of a sum's
# terms are independent: with weights as PyTorch initialises them, uniform within 1/sqrt(H), and x of unit
# variance they put the sum off by some u/4 (root mean square). The largest difference was 1.6 u over the
# suites, and 2 u over ten seeds of small problems, so four u are allowed.
# int8 makes up to 0.05; its models are converted from the float32 ones, whose order has been checked.
TOLERANCES = {"float32": 1e-4, "float16": 4 * 2.0**-11, "bfloat16": 4 * 2.0**-8, "int8": 0.1}


@dataclass(frozen=True)
class Problem:
    """A case with its numbers. All arrays are C-ordered float32; engines copy what they keep."""

    case: Case
    weights: Mapping[str, Array]  # PyTorch's names and shapes
    x: Array  # [T, B, I]; of a chain, whose first node alone takes it, [1, B, I]
    dy: Array  # [T, B, D*H], for training
    # [B] int64, in no order; None where all rows are T long. What x and dy hold past a row's end is not zero:
    # an engine must ignore it.
    lengths: Array | None
    # [T, B] bool: where a row starts anew, from the zero state; None where none does.
    reset: Array | None
    # [calls, B] int64, of a pool: the order in which the streams come in each call, over and over.
    orders: Array | None
    truth: Results  # float64


def model(case: Case, isa: str | None = None, seed: int | None = None) -> Layer:
    """Make the model of a case, its weights drawn as PyTorch initialises them."""
    layer: Any = class_named(case.kind.name)
    made: Layer = layer(case.I, case.H, case.layers, bidirectional=case.directions == 2, isa=isa, seed=seed)
    return made


def make(case: Case, seed: int = 0) -> Problem:
    """Draw weights as PyTorch initialises them and inputs of unit variance, and compute the truth.

    For a step, of a pool too, the truth is what comes out of the last of `STEPS` calls with the same x; for a
    chain what its last node puts out.
    """
    weights = model(case, seed=seed).state_dict()
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((1 if case.work == "chain" else case.T, case.B, case.I), np.float32)
    dy = generator.standard_normal((case.T, case.B, case.directions * case.H), np.float32)
    lengths = None if case.valid == 100 else _draw_lengths(case, generator)
    reset = None if case.reset == 0 else _draw_reset(case, generator)
    orders = None
    if case.work == "pool":
        orders = generator.permuted(np.tile(np.arange(case.B), (ORDERS, 1)), axis=1)

    reference = Reference(case.kind.cells[0].name, weights, case.layers, case.directions == 2)
    if lengths is None and reset is None:
        truth = _truth(reference, case, x, dy)
    else:
        truth = _truth_by_piece(reference, case, x, dy, lengths, reset)
    return Problem(case, weights, x, dy, lengths, reset, orders, truth)


def _draw_lengths(case: Case, generator: np.random.Generator) -> Array:
    """Draw lengths whose sum is `case.steps`: one is T, the others spread from 1 to T; in no order."""
    T, others = case.T, case.B - 1
    mean = (case.steps - T) / (others * T)
    # One u out of each of equal parts of [0, 1): u ** (1 / mean - 1) has that mean, whatever the seed.
    u = (np.arange(others) + generator.random(others)) / others
    lengths = np.clip(np.rint(T * u ** (1 / mean - 1)), 1, T).astype(np.int64)
    # A few steps are left over, or too many: one each for as many rows as can have one more, or less.
    while left := case.steps - T - int(lengths.sum()):
        able = generator.permutation(np.flatnonzero(lengths < T if left > 0 else lengths > 1))
        lengths[able[: abs(left)]] += 1 if left > 0 else -1
    return generator.permutation(np.append(lengths, T))


def _draw_reset(case: Case, generator: np.random.Generator) -> Array:
    """Draw `case.starts` of the T * B places, all alike: episodes end whenever they do."""
    reset = np.zeros(case.T * case.B, np.bool_)
    reset[generator.choice(reset.size, case.starts, replace=False)] = True
    return reset.reshape(case.T, case.B)


def _truth(reference: Reference, case: Case, x: Array, dy: Array) -> dict[str, Array]:
    """Compute the results of whole sequences."""
    h_n = c_n = None
    for _ in range(STEPS if case.goes_on else case.T if case.work == "chain" else 1):
        y, (h_n, c_n), cache = reference.forward(x, h_n, c_n)
        if case.work == "chain":
            x = y
    if case.trains:
        dx, _, _, dparameters = reference.backward(cache, dy)
        gradients = {f"d {name}": array for name, array in dparameters.items()}
        return gradients if case.work == "fit" else {"y": y, "dx": dx, **gradients}
    assert h_n is not None
    return {"y": y, "h_n": h_n} | ({} if c_n is None else {"c_n": c_n})


def _truth_by_piece(
    reference: Reference, case: Case, x: Array, dy: Array, lengths: Array | None, reset: Array | None
) -> dict[str, Array]:
    """Cut each row to its length and where it starts anew, compute each piece alone and put all together.

    Zeros past the end in y and dx, which begin with time; weights' gradients summed. The final state is the
    one after the row's last step: of its last piece, for the reverse direction of its first.
    """
    whole: dict[str, Array] = {}
    for b in range(case.B):
        length = case.T if lengths is None else int(lengths[b])
        cuts = [] if reset is None else (1 + np.flatnonzero(reset[1:length, b])).tolist()
        row = slice(b, b + 1)
        for start, stop in zip([0, *cuts], [*cuts, length], strict=True):
            piece = slice(start, stop)
            ends = [stop == length, start == 0][: case.directions] * case.layers
            for name, part in _truth(reference, case, x[piece, row], dy[piece, row]).items():
                if name in {"y", "dx"}:
                    whole.setdefault(name, np.zeros((case.T, case.B, part.shape[2])))[piece, row] = part
                elif name in {"h_n", "c_n"}:
                    state = whole.setdefault(name, np.zeros((len(part), case.B, case.H)))
                    state[ends, row] = part[ends]
                else:
                    whole[name] = whole.get(name, 0.0) + part
    return whole


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
