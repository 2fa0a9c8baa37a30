"""How many operations ours are, for torch.utils.flop_counter: those of matrix products, as PyTorch's.

Shapes say it, so that rows with `lengths` count as if they had all steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch.utils.flop_counter import register_flop_formula

from .._base.kinds import BY_CELL
from .._base.parameters import count_of_pass
from . import _operators  # noqa: F401, that the operators are there

_Shape: TypeAlias = Sequence[int]


def _places(x: _Shape) -> int:
    """T*B of [T, B, I], N of [N, I]."""
    return math.prod(x[:-1])


@register_flop_formula([torch.ops.lstmfast.infer, torch.ops.lstmfast.forward])  # type: ignore[untyped-decorator]
def _forward(x: _Shape, h0: Any, c0: Any, weights: list[_Shape], *_: Any, **__: Any) -> int:
    """W_ih, W_hh and W_hr: each is multiplied once in each place."""
    return sum(2 * _places(x) * math.prod(weight) for weight in weights if len(weight) == 2)


@register_flop_formula(torch.ops.lstmfast.backward)  # type: ignore[untyped-decorator]
def _backward(
    dy: Any,
    dh_n: Any,
    dc_n: Any,
    x: _Shape,
    h0: Any,
    c0: Any,
    y: _Shape,
    reserve: Any,
    weights: list[_Shape],
    batch_sizes: Any,
    masks: Any,
    mask_scale: float,
    cell: str,
    bias: bool,
    bidirectional: bool,
    wanted: list[bool],
    *cuts: Any,
    **options: Any,
) -> int:
    """Count what is wanted: of each product the weight's gradient, and that of its other factor."""
    x_wanted, h0_wanted, _, *others_wanted = wanted  # behind the weights: what is multiplied with nothing
    is_projected = weights[1][1] * BY_CELL[cell].gates != weights[1][0]
    of_direction = count_of_pass(bias, is_projected)
    of_layer = of_direction * (2 if bidirectional else 1)
    rows = x[1] if len(x) == 3 else 0
    flops = 0
    for n, (weight, is_wanted) in enumerate(zip(weights, others_wanted, strict=False)):
        if len(weight) != 2:
            continue
        one = 2 * math.prod(weight)
        if is_wanted:
            flops += one * _places(x)
        if n % of_direction == 0 and n < of_layer and not x_wanted:
            continue
        before_first = n % of_direction == 1 and not h0_wanted  # nothing is multiplied with W_hh there
        flops += one * (_places(x) - (rows if before_first else 0))
    return flops
