"""ONNX models with recurrent nodes, changed: layers that go back into the model, or a ValueError."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

import lstmfast
import lstmfast.onnx

from ..draw import TEXTS, Draw
from ..layers import OPTIONS, made, same_bits
from ..outcome import REFUSED, expect, outcome

OPERATORS = ("LSTM", "GRU", "RNN", "lstm", "DynamicQuantizeLSTM", "")
NAMES = (
    "activations",
    "activation_alpha",
    "activation_beta",
    "clip",
    "direction",
    "hidden_size",
    "input_forget",
)
FUNCTIONS = (
    "Tanh",
    "Sigmoid",
    "Relu",
    "Affine",
    "LeakyRelu",
    "ScaledTanh",
    "HardSigmoid",
    "Elu",
    "Softsign",
    "tanh",
)


@functools.cache
def models() -> list[Any]:
    """What is exported of layers that ONNX has, and one whose weights come through nodes."""
    found = []
    for place, (name, options) in enumerate(OPTIONS):
        if name == "LayerNormLSTM" or options.get("zoneout") or options.get("proj_size"):
            continue
        for dtype in ("float32", "float64"):
            found.append(lstmfast.onnx.export(made(place, dtype, lstmfast.isa()), states=place % 2 == 0))
        found += [
            lstmfast.onnx.export(made(place, "float32", lstmfast.isa()).quantize(kind))
            for kind in ("int8", "bfloat16")
        ]
    found.append(through_nodes())
    return found


def through_nodes() -> Any:
    """W transposed and cast, R behind Identity, in a model with two nodes of one name."""
    numbers = np.random.default_rng(0).standard_normal
    constants = {
        "w": numbers((1, 2, 12)).astype("f2"),
        "r": numbers((1, 12, 3)).astype("f4"),
        "b": numbers((1, 24)).astype("f4"),
    }
    nodes = [
        helper.make_node("Transpose", ["w"], ["w_t"], perm=[0, 2, 1]),
        helper.make_node("Cast", ["w_t"], ["W"], to=1),
        helper.make_node("Identity", ["r"], ["R"]),
        helper.make_node("LSTM", ["x", "W", "R", "b"], ["y1"], name="same", hidden_size=3),
        helper.make_node("LSTM", ["x", "W", "R"], ["y2"], name="same", hidden_size=3, direction="reverse"),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "graph",
        [value("x", 1, ["T", "B", 2])],
        [value("y1", 1, None), value("y2", 1, None)],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


def attribute(draw: Draw) -> Any:
    """One that a recurrent node may have, of a right type or another."""
    name = draw.one_of(NAMES)
    kind = draw.below(5)
    value: Any = (
        draw.integer() % (1 << 63)
        if kind == 0
        else draw.real()
        if kind == 1
        else draw.one_of(("forward", "reverse", "bidirectional", "x"))
    )
    if kind == 3:
        value = [draw.one_of(FUNCTIONS) for _ in range(draw.below(7))]
    if kind == 4:
        value = [draw.real() for _ in range(draw.below(5))]
    if isinstance(value, float):
        value = float(np.float32(value)) if abs(value) < 1e38 else 1e38
    if isinstance(value, list):
        value = [each if isinstance(each, str) or abs(each) < 1e38 else 1.0 for each in value]
    return helper.make_attribute(name, value or [0.0]) if value == [] else helper.make_attribute(name, value)


def change(draw: Draw, model: Any) -> None:
    graph = model.graph
    kind = draw.below(10)
    recurrent = [node for node in graph.node if node.op_type in ("LSTM", "GRU", "RNN")]
    if kind < 3 and recurrent:
        node = draw.one_of(recurrent)
        made = attribute(draw)
        for at, each in enumerate(node.attribute):
            if each.name == made.name:
                del node.attribute[at]
                break
        if draw.below(8):
            node.attribute.append(made)
    elif kind < 6 and graph.initializer:
        tensor(draw, draw.one_of(graph.initializer))
    elif kind == 6 and recurrent:
        node = draw.one_of(recurrent)
        if node.input:
            names = [each.name for each in graph.initializer] + ["", "x", "none", *node.output]
            node.input[draw.below(len(node.input))] = draw.one_of(names)
    elif kind == 7 and recurrent:
        node = draw.one_of(recurrent)
        node.name, node.domain = (
            draw.one_of(TEXTS),
            draw.one_of(("", "", "ai.onnx", "com.microsoft", "other")),
        )
        node.op_type = draw.one_of(OPERATORS)
    elif kind == 8 and graph.node:
        if draw.flag():
            graph.node.append(graph.node[draw.below(len(graph.node))])
        else:
            del graph.node[draw.below(len(graph.node))]
    elif graph.initializer:
        del graph.initializer[draw.below(len(graph.initializer))]


def tensor(draw: Draw, found: Any) -> None:
    kind = draw.below(5)
    if kind == 0 and found.dims:
        found.dims[draw.below(len(found.dims))] = draw.one_of((0, 1, 2, 3, 6, 12, 13, -1, 2**31, 2**62))
    elif kind == 1:
        del found.dims[draw.below(len(found.dims) + 1) :]
    elif kind == 2:
        found.data_type = draw.below(25)
    elif kind == 3:
        raw = bytearray(found.raw_data)
        del raw[draw.below(len(raw) + 1) :]
        found.raw_data = bytes(raw)
    else:
        raw = bytearray(found.raw_data)
        for _ in range(1 + draw.below(3)):
            if raw:
                raw[draw.below(min(len(raw), 65536))] = draw.byte()
        found.raw_data = bytes(raw)


def one(data: bytes) -> None:
    draw = Draw(data)
    model = onnx.ModelProto()
    model.CopyFrom(draw.one_of(models()))
    for _ in range(1 + draw.below(3)):
        change(draw, model)
    content = model.SerializeToString()
    if draw.seldom():  # as if it had been cut short
        content = content[: draw.below(min(len(content), 65536))]
    found = outcome(lambda: lstmfast.onnx.layers(content))
    if found is REFUSED:
        return
    expect(found, "layers of a model are at least one")
    for name, layer in found.items():
        y, _ = layer(np.zeros((2, layer.input_size)))
        expect(y.shape[0] == 2 and isinstance(name, str), f"y of {layer!r}")
    there = outcome(lambda: lstmfast.onnx.replace(content, found))
    if there is REFUSED:
        return
    again = lstmfast.onnx.layers(there)
    expect(list(again) == list(found), "replace has changed the names of layers")
    for name, layer in found.items():
        for mine, back in zip(layer.parameters.values(), again[name].parameters.values(), strict=True):
            expect(same_bits(mine, back), f"{name}: weights that come back are others")
