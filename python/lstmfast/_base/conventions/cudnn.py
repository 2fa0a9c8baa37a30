"""cuDNN's weights: one row of numbers, the matrices of all layers and directions, then all their biases."""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

from .. import checks
from ..checks import AnyArray
from .holding import CALLED, WAYS, Layers

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def read(value: object, kind: str, options: MutableMapping[str, Any]) -> tuple[Layers, dict[str, Any]]:
    """Cut the numbers into arrays; sizes and flags, which they do not tell, are taken out of options."""
    for name in ("input_size", "hidden_size"):
        if name not in options:
            raise TypeError(f"{name}: expected an integer >= 1, for cuDNN's numbers do not tell, got nothing")
    I = checks.integer(options.pop("input_size"), "input_size", 1)
    H = checks.integer(options.pop("hidden_size"), "hidden_size", 1)
    L = checks.integer(options.pop("num_layers", 1), "num_layers", 1)
    bias = checks.flag(options.pop("bias", True), "bias")
    D = 2 if checks.flag(options.pop("bidirectional", False), "bidirectional") else 1
    numbers = checks.weight(value, CALLED)
    rows = GATES[kind] * H
    matrices = rows * (I + H) * D + (L - 1) * rows * (D * H + H) * D
    expected = matrices + (2 * rows * L * D if bias else 0)
    if numbers.shape != (expected,):
        raise ValueError(f"{CALLED}: expected shape {(expected,)} for 'cudnn', got {numbers.shape}")
    passes: list[dict[str, AnyArray]] = [{} for _ in range(L * D)]
    start = 0
    for names in (("weight_ih", "weight_hh"), ("bias_ih", "bias_hh") if bias else ()):
        for k, arrays in enumerate(passes):
            for name in names:
                columns = (H if name == "weight_hh" else I if k < D else D * H,) if "weight" in name else ()
                stop = start + math.prod((rows, *columns))
                arrays[name] = numbers[start:stop].reshape(rows, *columns)
                start = stop
    called = [f"{CALLED} (of _l{k // D}{WAYS[k % D]})" for k in range(L * D)]
    return [[(called[k], passes[k]) for k in range(first, first + D)] for first in range(0, L * D, D)], {}


def written(
    layers: Sequence[Sequence[Mapping[str, AnyArray]]], kind: str, rest: Mapping[str, Any]
) -> AnyArray:
    """Put the arrays into one row."""
    passes = [arrays for each in layers for arrays in each]
    return np.concatenate(
        [
            arrays[name].reshape(-1)
            for names in (("weight_ih", "weight_hh"), ("bias_ih", "bias_hh"))
            for arrays in passes
            for name in names
            if name in arrays
        ]
    )
