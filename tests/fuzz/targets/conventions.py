"""Other frameworks' weights, changed, as layers: one that computes, or an error that says what is wrong."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import lstmfast
from lstmfast._base.conventions.table import TABLE

from ..changed import other
from ..draw import Draw
from ..layers import OPTIONS, made, parts
from ..outcome import REFUSED, expect, outcome

NAMES = tuple(TABLE)
ARGUMENTS = (
    "batch_first",
    "dropout",
    "dtype",
    "clip",
    "nonlinearity",
    "reset_after",
    "forget_bias",
    "input_size",
)


@functools.cache
def written() -> list[tuple[Any, str, Any]]:
    """What to_weights makes of layers that a convention has arrays for."""
    found = []
    for place in range(len(OPTIONS)):
        layer = made(place, "float64", lstmfast.isa())
        for name in NAMES:
            arrays = outcome(functools.partial(layer.to_weights, name), KeyError)
            if arrays is not REFUSED:
                found.append((type(layer), name, arrays))
    return found


def one(data: bytes) -> None:
    draw = Draw(data)
    everything = written()
    cls, name, arrays = (
        everything[draw.below(len(everything))]
        if len(everything) <= 256
        else everything[(draw.byte() * 256 + draw.byte()) % len(everything)]
    )
    options: dict[str, Any] = {}
    if name == "cudnn" and draw.below(8):
        options = {"input_size": 2, "hidden_size": 3}
    for _ in range(draw.below(3)):
        arrays = other(draw, arrays)
    if draw.seldom():
        name = draw.one_of((*NAMES, draw.text()))
    if draw.seldom():
        options[draw.one_of(ARGUMENTS)] = draw.value()
    if draw.seldom():
        cls = draw.one_of((lstmfast.LSTM, lstmfast.GRU, lstmfast.RNN, lstmfast.LayerNormLSTM))
    rest: Any = {} if draw.flag() else None
    prefix = draw.text() if draw.seldom() else ""
    # A text is a path, of no file.
    files = (OSError,) if isinstance(arrays, (str, bytes)) else ()
    layer = outcome(lambda: cls.from_weights(arrays, name, prefix=prefix, rest=rest, **options), *files)
    if layer is REFUSED:
        return
    y, state = layer(np.zeros((1, 2, layer.input_size) if layer.batch_first else (2, 1, layer.input_size)))
    expect(y.ndim == 3 and len(parts(state)) == len(layer._KIND.states), f"a call of {layer!r}")
    outcome(lambda: layer.to_weights(draw.one_of(NAMES), rest=rest))
