"""Models with smaller weights from models."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from .._base import checks, kinds
from .._base.checks import AnyArray, Array
from .._base.layer import Layer
from . import rounding
from .quantized import Quantized
from .rounding import Floats, check_finite

LayerT = TypeVar("LayerT", bound=Layer)


def quantized(model: LayerT, kind: object, calibration: ArrayLike | None) -> Quantized[Any, Any, LayerT]:
    """Make the layer; see `Recurrent.quantize`."""
    if not model._KIND.smaller:
        raise TypeError(f"quantize: expected a layer that has smaller weights, got {type(model).__name__}")
    kind = checks.choice(kind, "kind", model._KIND.smaller)
    input_range = None if calibration is None else _checked_ranges(calibration, kind, model)
    arrays: dict[str, AnyArray] = {}
    saturated = {}
    for name, array in model._parameters.items():
        arrays[name] = floats = _in_float32(array, name)
        if not rounding.is_weight(name):
            continue
        if input_range is not None and rounding.reads_input(name):
            with checks.quiet():
                floats = (array * input_range).astype(np.float32)
            check_finite(floats, f"{name}, times the calibration's ranges")
        saturated[name] = 0
        if kind == "float16":
            arrays[name], saturated[name] = rounding.to_float16(floats)
        elif kind == "bfloat16":
            arrays[name], saturated[name] = rounding.to_bfloat16(floats)
        else:
            arrays[name], arrays[rounding.scale_name(name)] = rounding.to_int8(floats)
    if input_range is not None:
        arrays[rounding.INPUT_RANGE] = input_range

    cls: type[Quantized[Any, Any, LayerT]] = kinds.class_named(kinds.QUANTIZED + model._KIND.name)
    layer = cls.__new__(cls)
    more = {"dtype": "float32", "weight_dtype": kind, "calibrated": input_range is not None}
    layer._configure({**model._config(), **more, "saturated": saturated}, model.isa)
    layer._install(arrays)
    return layer


def _in_float32(array: Array, name: str) -> Floats:
    """Copy numbers; ValueError that names them if one is not finite."""
    with checks.quiet():
        floats = np.array(array, np.float32)
    check_finite(floats, name, array)
    return floats


def _checked_ranges(calibration: ArrayLike, kind: str, model: Layer) -> Floats:
    """Find what x is divided by, [I], from data like x."""
    if kind != "int8":
        raise ValueError(
            f"calibration: expected None for {kind}, which does not round x, got {checks.shown(calibration)}"
        )
    data = checks.real_array(calibration, "calibration")
    size = model.input_size
    if data.ndim not in (2, 3) or data.shape[-1] != size:
        axes = "[B, T, I]" if model.batch_first else "[T, B, I]"
        raise ValueError(f"calibration: expected {axes} or [T, I] with I = {size}, got shape {data.shape}")
    if data.size == 0:
        raise ValueError(f"calibration: expected at least one row of one step, got shape {data.shape}")
    return rounding.ranges(_in_float32(data, "calibration"))
