"""A layer's weights as the inputs of ONNX's nodes: W, R, B and P of one layer, its directions stacked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .._base import checks
from .._base.checks import AnyArray
from .._base.conventions.orders import ONNX, Order
from .._base.kinds import Kind
from .._base.parameters import PEEPHOLES, Layout


class Numbers(NamedTuple):
    """A parameter as it is stored."""

    array: AnyArray  # of bfloat16 its bits
    kind: str = ""  # of smaller weights: "float16", "bfloat16" or "int8"
    scale: AnyArray | None = None  # of int8: what rows are multiplied by
    divisor: AnyArray | None = None  # of int8 with a calibration: what columns are then divided by

    @property
    def overflows(self) -> bool:
        """Whether whole numbers times their scale are more than a float32 holds."""
        if self.scale is None:
            return False
        with checks.quiet():
            return not bool(np.isfinite(np.float32(127) * self.scale).all())


def inputs(
    parameters: Mapping[str, Numbers], layout: Layout, kind: Kind, layer: int, convention: Order = ONNX
) -> dict[str, Numbers]:
    """Return W, R, B and P of a layer by these names, the latter two where there are any."""
    coupled = layout.gates < kind.gates
    ends = [f"_l{layer}{suffix}" for suffix in ("", "_reverse")[: layout.directions]]

    def stacked(name: str) -> Numbers:
        passes = [parameters[f"{name}{end}"] for end in ends]
        scales = [numbers.scale for numbers in passes]
        return Numbers(
            np.stack([convention.written(numbers.array, kind, coupled) for numbers in passes]),
            passes[0].kind,
            # A gate that is not there is 0 times something.
            _stacked(scales, lambda scale: convention.written(scale, kind, coupled, f=1)),
            passes[0].divisor,
        )

    found = {"W": stacked("weight_ih"), "R": stacked("weight_hh")}
    if layout.bias:
        both = [stacked(name).array for name in ("bias_ih", "bias_hh")]
        found["B"] = Numbers(np.concatenate(both, axis=1))
    if layout.peepholes:
        peepholes = [parameters[f"{PEEPHOLES}{end}"].array for end in ends]
        found["P"] = Numbers(np.stack([convention.written_peepholes(each, coupled) for each in peepholes]))
    return found


def _stacked(arrays: Sequence[AnyArray | None], written: Callable[[AnyArray], AnyArray]) -> AnyArray | None:
    there = [written(array) for array in arrays if array is not None]
    return np.stack(there) if there else None
