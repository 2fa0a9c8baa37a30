"""DynamicQuantizeLSTM, which ONNX Runtime's quantisation makes: whole numbers as they are, on our kernels."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast.onnx

from ..helpers import Array, assert_same_bits
from .session_helpers import (
    Node,
    by_runtime,
    helper,
    model_of,
    node_of,
    numpy_helper,
    onnx,
    output,
    run,
    session_of,
    value,
    whole,
)
from .session_truth import assert_close, by_layer, layer_of, parameters_of, truth

QUANTIZED = ("W", "R", "W_scale", "W_zero_point", "R_scale", "R_zero_point")


def quantized(node: Node, folder: Path, *, unsigned: bool = False, **options: Any) -> Any:
    """What ONNX Runtime makes of a model of the node."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    logging.disable(logging.WARNING)  # of what it would like to be done before
    try:
        kind = getattr(quantization.QuantType, "QUInt8" if unsigned else "QInt8")
        paths = folder / "model.onnx", folder / "quantized.onnx"
        onnx.save(model_of(node, static=False), paths[0])
        quantization.quantize_dynamic(*paths, weight_type=kind, **options)
        return onnx.load(paths[1])
    finally:
        logging.disable(logging.NOTSET)


def constants(model: Any) -> dict[str, Array]:
    """The constants of its only node by the operator's names."""
    (node,) = model.graph.node
    assert node.op_type == "DynamicQuantizeLSTM"
    arrays = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    places = {1: "W", 2: "R", 3: "B", 7: "P"}
    places |= dict(enumerate(("W_scale", "W_zero_point", "R_scale", "R_zero_point"), 8))
    return {places[k]: arrays[name] for k, name in enumerate(node.input) if name in arrays}


def layer_with(node: Node, found: dict[str, Array]) -> Any:
    """Our own layer of int8 with just those whole numbers and scales."""
    layer = layer_of(node).quantize("int8")
    H = node.inputs["R"].shape[-1]
    arrays = dict(layer._weights) if hasattr(layer, "_weights") else dict(layer.parameters)
    for d, way in enumerate(("", "_reverse")[: len(node.inputs["R"])]):
        for ours, theirs in (("ih", "W"), ("hh", "R")):
            whole_numbers = found[theirs][d].T  # [4H, columns]
            scale = np.broadcast_to(np.atleast_1d(found[f"{theirs}_scale"][d]), (4 * H,)).astype("float32")
            one = node.but(W=whole_numbers[np.newaxis].repeat(d + 1, 0))
            arrays[f"weight_{ours}_l0{way}"] = parameters_of(one, d)["weight_ih"]
            one = node.but(W=scale[np.newaxis, :, np.newaxis].repeat(d + 1, 0))
            arrays[f"weight_{ours}_l0{way}_scale"] = parameters_of(one, d)["weight_ih"][:, 0]
    layer._install({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    return layer


NODES = {
    "forward": node_of("LSTM", 9, 5, 12, 24, states=True),
    "reverse": node_of("LSTM", 9, 5, 12, 24, direction="reverse", bias=False),
    "bidirectional": node_of("LSTM", 9, 5, 12, 24, direction="bidirectional", lengths=[9, 0, 4, 9, 1]),
    "peepholes": node_of("LSTM", 9, 5, 12, 24, peepholes=True, input_forget=1),
    "functions": node_of("LSTM", 9, 5, 12, 24, activations=["HardSigmoid", "Tanh", "Softsign"], clip=0.9),
}
OPTIONS = ("plain", "per_channel", "reduce_range")


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("name", NODES)
def test_as_a_layer_of_int8(name: str, option: str, tmp_path: Path) -> None:
    node = NODES[name]
    model = quantized(node, tmp_path, **({} if option == "plain" else {option: True}))
    for threads in (1, 2):
        found = run(session_of(model, threads=threads, intra_op=threads), node.feeds)
        assert_close(found, truth(node), 0.1)
        assert_same_bits(found, by_layer(node, layer_with(node, constants(model))))


def test_a_row_does_not_depend_on_others(tmp_path: Path) -> None:
    """As it does in ONNX Runtime, which rounds all rows of a step by one scale."""
    node = NODES["forward"]
    model = quantized(node, tmp_path)
    session = session_of(model)
    expected = run(session, node.feeds)
    for b in range(5):
        row = {
            name: np.ascontiguousarray(np.take(array, [b], 1 if array.ndim > 1 else 0))
            for name, array in node.feeds.items()
        }
        for output_name, array in run(session, row).items():
            assert_same_bits(array, np.ascontiguousarray(np.take(expected[output_name], [b], -2)))


def test_two_nodes_with_the_same_weights(tmp_path: Path) -> None:
    """Packed once, and right."""
    node = NODES["forward"]
    model = quantized(node, tmp_path)
    (one,) = model.graph.node
    again = onnx.NodeProto()
    again.CopyFrom(one)
    again.name = "again"
    again.output[:] = [f"{name}_again" for name in one.output]
    model.graph.node.append(again)
    for each in list(model.graph.output):
        twin = model.graph.output.add()
        twin.CopyFrom(each)
        twin.name = f"{each.name}_again"
    found = run(session_of(model), node.feeds)
    for name in node.outputs:
        assert_same_bits(found[f"{name}_again"], found[name])


# Those that are not taken.


def made_by_hand(node: Node, **arrays: Any) -> Any:
    """A node with such whole numbers, scales and zero points."""
    weights: dict[str, Array] = {name: node.inputs[name] for name in ("B", "P") if name in node.inputs}
    names = ["X", "W", "R", "B", "", "", "", "", "W_scale", "W_zero_point", "R_scale", "R_zero_point"]
    one = helper.make_node(
        "DynamicQuantizeLSTM", names, node.outputs, domain="com.microsoft", name="node", **node.attributes
    )
    return whole(
        [one],
        [value("X", node.inputs["X"])],
        [output(name) for name in node.outputs],
        {**weights, **arrays},
        domains=["com.microsoft"],
    )


def whole_numbers(
    node: Node, *, unsigned: bool = False, zero: int = 0, per_row: bool = False
) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name in ("W", "R"):
        array = node.inputs[name].swapaxes(1, 2)
        D, _, rows = array.shape
        kind = np.uint8 if unsigned else np.int8
        scale = np.abs(array).max(axis=(1, 2)) / (127 if not unsigned else 120)
        offset = zero + (128 if unsigned else 0)
        found[name] = np.clip(
            np.rint(array / scale[:, None, None]) + offset, *((0, 255) if unsigned else (-127, 127))
        ).astype(kind)
        axes = (D, rows) if per_row else (D,)
        found[f"{name}_scale"] = np.broadcast_to(scale[:, None] if per_row else scale, axes).astype("float32")
        found[f"{name}_zero_point"] = np.full(axes, offset, kind)
    return found


def test_per_row_as_per_tensor() -> None:
    node = node_of("LSTM", 4, 3, 5, 6)
    found = [
        run(session_of(made_by_hand(node, **whole_numbers(node, per_row=per_row))), node.feeds)
        for per_row in (False, True)
    ]
    assert_same_bits(found[1], found[0])
    assert_close(found[0], truth(node), 0.05)


def not_ours() -> dict[str, tuple[dict[str, Array], str]]:
    node = node_of("LSTM", 4, 3, 5, 6)
    lowest = whole_numbers(node)
    lowest["R"][0, 1, 2] = -128
    no_scale = whole_numbers(node)
    no_scale["W_scale"] = np.zeros(1, np.float32)
    return {
        "uint8": (
            whole_numbers(node, unsigned=True),
            "W: its weights are of uint8; those of int8 are taken",
        ),
        "zero point": (
            whole_numbers(node, zero=3),
            "W_zero_point: expected zeros: whole numbers with an offset are not taken",
        ),
        "-128": (lowest, "R: expected whole numbers from -127 to 127, got -128"),
        "no scale": (no_scale, "W_scale: expected finite numbers of at least 2**-126"),
    }


@pytest.mark.parametrize("name", not_ours())
def test_left_to_onnxruntime(name: str) -> None:
    """With the results that it has without us."""
    arrays, reason = not_ours()[name]
    node = node_of("LSTM", 4, 3, 5, 6)
    model = made_by_hand(node, **arrays)
    assert_same_bits(run(session_of(model, ours_alone=False), node.feeds), by_runtime(model, node.feeds))
    (told,) = lstmfast.onnx.explain(model).nodes
    assert (told.operator, told.path, told.reason) == ("DynamicQuantizeLSTM", "onnxruntime", reason)


def test_weights_that_are_inputs() -> None:
    node = node_of("LSTM", 4, 3, 5, 6)
    arrays = whole_numbers(node)
    model = made_by_hand(node, **arrays)
    model.graph.input.append(value("W", arrays["W"]))  # a constant that a call may replace
    assert_same_bits(run(session_of(model, ours_alone=False), node.feeds), by_runtime(model, node.feeds))
    (told,) = lstmfast.onnx.explain(model).nodes
    assert told.path == "onnxruntime"
    assert told.reason.startswith("its weights are inputs of the model as well")


def test_a_node_without_scales() -> None:
    """No valid one; what ONNX Runtime says of it stays its own."""
    node = node_of("LSTM", 4, 3, 5, 6)
    model = made_by_hand(node, **whole_numbers(node))
    model.graph.node[0].input[8] = ""
    with pytest.raises(ValueError, match=r"^model: expected an ONNX model that onnxruntime takes: "):
        session_of(model, ours_alone=False)
