"""Arguments of constructors and of what a layer is told besides calls: a layer as asked for, or an error."""

from __future__ import annotations

from typing import Any

import numpy as np

import lstmfast

from ..changed import other
from ..draw import Draw, nearly
from ..layers import same_bits
from ..outcome import REFUSED, expect, outcome

CLASSES = (lstmfast.LSTM, lstmfast.GRU, lstmfast.RNN, lstmfast.LayerNormLSTM)
FUNCTIONS = (
    "Tanh",
    "Sigmoid",
    "Relu",
    "Affine",
    ("Affine", 0.5, 0.1),
    ("Elu", 0.5),
    "Softplus",
    "tanh",
    ("LeakyRelu",),
)
NAMES = (
    *("num_layers", "bias", "batch_first", "dropout", "bidirectional", "proj_size", "peephole", "coupled"),
    *("activations", "direction", "zoneout", "recurrent_dropout", "dtype", "seed", "init", "forget_bias"),
    *("nonlinearity", "reset_after", "clip", "isa", "other"),
)
# Sizes are small, or so large that there is no memory for them: what lies between would only take time.
LARGE = (2**50, 2**62, 2**63 - 1, 2**63, 10**30)


def size(draw: Draw) -> Any:
    kind = draw.below(8)
    if kind == 7:
        return draw.one_of(LARGE)
    if kind == 6:
        value = draw.value()
        return (
            value if not isinstance(value, (int, float)) or abs(value) < 9 or isinstance(value, bool) else 2.5
        )
    return kind - 1 if draw.seldom() else 1 + kind % 4


def option(draw: Draw) -> tuple[str, Any]:
    name = draw.one_of(NAMES)
    if name in ("num_layers", "proj_size"):
        return name, size(draw)
    usual: dict[str, tuple[Any, ...]] = {
        "activations": (None, [draw.one_of(FUNCTIONS) for _ in range(draw.below(5))]),
        "direction": ("forward", "reverse"),
        "dtype": ("float32", "float64", np.float32, "f8", "float16"),
        "init": ("uniform", "xavier", "orthogonal"),
        "isa": (None, *lstmfast.available_isas()),
        "nonlinearity": ("tanh", "relu"),
        "seed": (0, None),
    }
    if draw.seldom():
        return name, draw.value()
    if name in usual:
        return name, draw.one_of(usual[name])
    return name, draw.one_of((True, False, 0, 0.5, 1.0, None))


def one(data: bytes) -> None:
    draw = Draw(data)
    cls = draw.one_of(CLASSES)
    options = dict(option(draw) for _ in range(draw.below(6)))
    sizes = size(draw), size(draw)
    layer = outcome(lambda: cls(*sizes, **options), MemoryError)
    if layer is REFUSED:
        return
    for name, value in options.items():
        if isinstance(value, (bool, int)) and name not in (
            "seed",
            "forget_bias",
            "dropout",
            "zoneout",
            "recurrent_dropout",
            "clip",
        ):
            expect(getattr(layer, name) == value, f"{name}={value!r} became {getattr(layer, name)!r}")
    x = np.zeros((2, layer.input_size))
    y, _ = layer(x)
    expect(y.shape[0] == 2, f"y of {layer!r}")
    change_weights(draw, layer, x)
    smaller(draw, layer, x)


def change_weights(draw: Draw, layer: Any, x: Any) -> None:
    """update and load_state_dict: all new, or nothing."""
    before = dict(layer.parameters)
    new = (
        other(draw, layer.state_dict())
        if draw.flag()
        else {name: nearly(draw, array.shape, array.dtype.str) for name, array in before.items()}
    )
    method = layer.update if draw.flag() else layer.load_state_dict
    done = outcome(lambda: method(new) or True)
    if done is REFUSED:
        expect(
            all(layer.parameters[name] is before[name] for name in before),
            "weights that are refused have changed some",
        )
        return
    for name, array in layer.parameters.items():
        wanted = new[name] if name in new else before[name]
        with np.errstate(all="ignore"):
            expect(same_bits(array, np.asarray(wanted).astype(array.dtype)), f"{name} is not what was given")
    layer(x)


def smaller(draw: Draw, layer: Any, x: Any) -> None:
    kind = draw.one_of(("float16", "bfloat16", "int8", draw.text()))
    calibration = None if draw.flag() else nearly(draw, (3, layer.input_size), "f4")
    small = outcome(lambda: layer.quantize(kind, calibration))
    if small is REFUSED:
        return
    y, _ = small(x)
    again = small.dequantize()
    expect(y.dtype == np.float32 and y.shape == again(x)[0].shape, f"y of {small!r}")
    if kind != "int8":
        expect(same_bits(y, again(x)[0]), f"{small!r} and what it stands for have other bits")
