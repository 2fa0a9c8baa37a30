"""Nodes of com.microsoft's DynamicQuantizeLSTM, whose weights are whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._base import checks, kinds
from .._base.checks import FLOAT32, AnyArray
from .._base.conventions.orders import ONNX_QUANTIZED
from .._small import rounding
from ._constants import Constants
from ._nodes import (
    INPUTS,
    OPTIONAL,
    REQUIRED,
    WAYS,
    attributes,
    check_shapes,
    configuration,
    named_inputs,
    vectors,
    weights,
)
from ._scopes import Place

NUMBERS = ("W_scale", "W_zero_point", "R_scale", "R_zero_point")
ALL_INPUTS = (*INPUTS, *NUMBERS)
_MATRICES = {"W": "weight_ih", "R": "weight_hh"}


def quantized(
    place: Place, constants: Constants
) -> tuple[dict[str, Any], dict[str, AnyArray], tuple[int, ...]]:
    """Read a node, as `_nodes.plain` does: of int8 where its numbers are those of such layers.

    Else of float32, with what its whole numbers stand for.
    """
    options = attributes(place.node)
    given = named_inputs(place.node, ALL_INPUTS)
    found = weights(place.scope, given, constants, (*REQUIRED, *OPTIONAL, *NUMBERS))
    D, I, H = check_shapes(kinds.LSTM, options, found, inputs_first=True)
    config = configuration(kinds.LSTM, options, (I, H), FLOAT32, given)
    coupled = config["coupled"]
    made_of = tuple(id(array) for array in found.values())
    floats = {name: found[name].astype(FLOAT32) for name in OPTIONAL if name in found}
    whole = {(name, d): _whole(found, name, d) for d in range(D) for name in _MATRICES}
    as_int8 = all(_fits(*numbers) for numbers in whole.values())
    parameters: dict[str, AnyArray] = {}
    for d, way in enumerate(WAYS[:D]):
        for name, ours in _MATRICES.items():
            numbers, scale = whole[name, d]
            if as_int8:
                called = f"{ours}_l0{way}"
                parameters[called] = ONNX_QUANTIZED.read(numbers.astype(np.int8), kinds.LSTM, coupled)
                parameters[rounding.scale_name(called)] = ONNX_QUANTIZED.read(scale, kinds.LSTM, coupled)
            else:
                with checks.quiet():
                    widened = numbers.astype(np.float32) * scale
                parameters[f"{ours}_l0{way}"] = ONNX_QUANTIZED.read(widened, kinds.LSTM, coupled)
        parameters |= vectors(kinds.LSTM, floats, d, coupled)
    if as_int8:
        saturated = {name: 0 for name in parameters if rounding.is_weight(name)}
        config |= {"weight_dtype": "int8", "calibrated": False, "saturated": saturated}
    return config, parameters, made_of


def _whole(found: dict[str, AnyArray], name: str, d: int) -> tuple[AnyArray, AnyArray]:
    """Return a direction's whole numbers less their zero, [inputs, 4*H], and the scale of each column."""
    array = found[name]
    if array.dtype.name not in {"int8", "uint8"}:
        raise ValueError(f"expected {name} of int8 or uint8, got {array.dtype}")
    D, columns = array.shape[0], array.shape[2]
    scale, zero = found.get(f"{name}_scale"), found.get(f"{name}_zero_point")
    if scale is None:
        raise ValueError(f"expected {name}_scale, got none")
    for called, numbers in ((f"{name}_scale", scale), (f"{name}_zero_point", zero)):
        if numbers is not None and numbers.shape not in {(D,), (D, columns)}:
            raise ValueError(f"expected {called} of shape {(D,)} or {(D, columns)}, got {numbers.shape}")
    whole = array[d].astype(np.int16)
    if zero is not None:
        whole -= zero[d].astype(np.int16)
    return whole, np.broadcast_to(scale[d].astype(FLOAT32), columns)


def _fits(whole: AnyArray, scale: AnyArray) -> bool:
    """Whether an int8 layer may have such numbers."""
    in_range = bool((np.abs(whole) <= 127).all())
    return in_range and bool((np.isfinite(scale) & (scale >= rounding.LEAST_SCALE)).all())
