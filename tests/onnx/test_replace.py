"""Trained weights back into a model: what is written, what goes, and what does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

import lstmfast
import lstmfast.onnx
from lstmfast._bench.engines.onnx_runtime import sums_overflow

from ..helpers import Array, assert_same_bits, random
from ..onnx_nodes import Node
from .helpers import (
    WEIGHTS,
    H,
    I,
    helper,
    made,
    model_of,
    node_of,
    nodes,
    numpy_helper,
    onnx,
    output,
    run_by_runtime,
    value,
    whole,
)


def changed(layer: Any, seed: int = 9) -> Any:
    """The same layer with other weights."""
    other = layer.__copy__()
    other.load_state_dict(
        {
            name: random(array.shape, seed=seed + n, scale=0.3)
            for n, (name, array) in enumerate(layer.parameters.items())
        }
    )
    return other


def names_of(model: Any) -> list[str]:
    return [tensor.name for tensor in model.graph.initializer]


@settings(max_examples=100)
@given(nodes())
def test_every_node(node: Node) -> None:
    """What was written is read again, bit by bit, and nothing else has changed."""
    model = model_of(node)
    before = model.SerializeToString(deterministic=True)
    layer = changed(lstmfast.onnx.layers(model)["node"])
    new = lstmfast.onnx.replace(model, {"node": layer})
    assert model.SerializeToString(deterministic=True) == before
    onnx.checker.check_model(new)
    again = lstmfast.onnx.layers(new)["node"]
    assert repr(again) == repr(layer)
    assert_same_bits(dict(again.parameters), dict(layer.parameters))
    there = [name for name in WEIGHTS if name in node.inputs]
    assert names_of(new) == [f"node_{name}" for name in there]
    assert list(new.graph.node[0].attribute) == list(model.graph.node[0].attribute)
    assert (new.graph.input, new.graph.output) == (model.graph.input, model.graph.output)


def test_with_the_weights_that_it_has_a_model_computes_the_same() -> None:
    node = node_of("LSTM", peephole=True, direction="bidirectional", clip=0.5)
    model = model_of(node)
    new = lstmfast.onnx.replace(model, lstmfast.onnx.layers(model))
    assert_same_bits(run_by_runtime(new, node.inputs), run_by_runtime(model, node.inputs))


def test_a_trained_model_computes_what_its_layer_does() -> None:
    node = node_of("GRU", states=False)
    layer = changed(lstmfast.onnx.layers(model_of(node))["node"])
    Y, *_ = run_by_runtime(lstmfast.onnx.replace(model_of(node), {"node": layer}), node.inputs)
    y, _ = layer(node.inputs["X"])
    np.testing.assert_allclose(Y.reshape(y.shape), y, rtol=0, atol=2e-6)


def test_a_model_from_a_file_with_weights_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save_model(
        model_of(node_of("RNN")), path, save_as_external_data=True, location="w", size_threshold=0
    )
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    layer = changed(lstmfast.onnx.layers(path)["node"])
    new = lstmfast.onnx.replace(path, {"node": layer})
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
    assert_same_bits(
        dict(lstmfast.onnx.layers(new.SerializeToString())["node"].parameters), dict(layer.parameters)
    )


def test_nothing_to_replace() -> None:
    model = model_of(node_of("RNN"))
    new = lstmfast.onnx.replace(model, {})
    assert new == model
    assert new is not model


# What the old weights were made of.


def chain(operator: str, inputs: list[str], result: str, **attributes: Any) -> Any:
    return helper.make_node(operator, inputs, [result], **attributes)


def test_what_made_the_old_weights_goes_with_them() -> None:
    node = node_of("LSTM", states=False)
    W = node.inputs["W"]
    model = model_of(
        node,
        weights={"a": W[:, :6].astype(np.float16), "b": W[:, 6:]},
        before=[chain("Cast", ["a"], "a2", to=1), chain("Concat", ["a2", "b"], "made", axis=1)],
        W="made",
    )
    model.graph.value_info.append(output("made", rank=3))
    model.graph.value_info.append(output("a2", rank=3))
    model.graph.value_info.append(output("b", rank=3))
    layer = changed(lstmfast.onnx.layers(model)["node"])
    new = lstmfast.onnx.replace(model, {"node": layer})
    assert [each.op_type for each in new.graph.node] == ["LSTM"]
    assert names_of(new) == ["node_W", "node_R", "node_B"]
    assert not new.graph.value_info
    assert {tensor.data_type for tensor in new.graph.initializer} == {1}
    assert_same_bits(dict(lstmfast.onnx.layers(new)["node"].parameters), dict(layer.parameters))


def test_what_others_use_stays() -> None:
    """Another node, a node of another kind, an output of the model, a body."""
    node = node_of("RNN", states=False)
    model = model_of(
        node, weights={"a": node.inputs["W"]}, before=[chain("Identity", ["a"], "made")], W="made"
    )
    other = made(node, "other", W="made", R="R", B="B")
    del other.output[:]
    other.output.append("Y2")
    reader = helper.make_graph([chain("Identity", ["R"], "r")], "body", [], [output("r", rank=3)])
    model.graph.node.extend(
        [other, helper.make_node("If", ["flag"], ["r2"], then_branch=reader, else_branch=reader)]
    )
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "flag"))
    model.graph.output.extend([output("B", rank=2), output("Y2"), output("r2", rank=3)])
    found = lstmfast.onnx.layers(model)
    new = lstmfast.onnx.replace(model, {"node": changed(found["node"])})
    onnx.checker.check_model(new)
    assert names_of(new) == ["R", "B", "a", "flag", "node_W", "node_R", "node_B"]
    again = lstmfast.onnx.layers(new)
    assert_same_bits(dict(again["other"].parameters), dict(found["other"].parameters))
    assert not np.array_equal(
        again["node"].parameters["weight_ih_l0"], found["node"].parameters["weight_ih_l0"]
    )
    # Now the other one, too: W and what made it are used by nobody any more.
    new = lstmfast.onnx.replace(new, {"other": again["node"]})
    assert names_of(new) == ["R", "B", "flag", "node_W", "node_R", "node_B", "other_W", "other_R", "other_B"]
    assert [each.op_type for each in new.graph.node] == ["RNN", "RNN", "If"]


def test_a_node_of_which_others_use_another_output_stays() -> None:
    node = node_of("RNN", states=False)
    W = node.inputs["W"]
    both = np.concatenate([W, W + 1], axis=1)
    split = helper.make_node("Split", ["both", "parts"], ["made", "other"], axis=1)
    parts = np.array([H, H])
    model = model_of(node, weights={"both": both, "parts": parts}, before=[split], W="made")
    model.graph.output.append(output("other", rank=3))
    new = lstmfast.onnx.replace(model, {"node": changed(lstmfast.onnx.layers(model)["node"])})
    onnx.checker.check_model(new)
    assert [each.op_type for each in new.graph.node] == ["Split", "RNN"]
    assert names_of(new)[:2] == ["both", "parts"]


def test_a_layer_of_several_nodes_is_there_once() -> None:
    node = node_of("LSTM", states=False)
    model = model_of(node)
    for number in range(3):
        other = made(node, f"node_{number}")
        del other.output[:]
        other.output.append(f"Y{number}")
        model.graph.node.append(other)
    found: dict[str, Any] = dict(lstmfast.onnx.layers(model))
    found["node"].update(changed(found["node"]).parameters)  # it is all of them
    new = lstmfast.onnx.replace(model, found)
    assert names_of(new) == ["node_W", "node_R", "node_B"]
    assert len({id(layer) for layer in lstmfast.onnx.layers(new).values()}) == 1


def test_names_that_others_have() -> None:
    node = node_of("RNN", states=False)
    model = model_of(node, weights={"node_W": node.inputs["W"]}, W="node_W")
    body = helper.make_graph([chain("Identity", ["X"], "node_R")], "body", [], [output("node_R", rank=3)])
    model.graph.node.append(helper.make_node("If", ["flag"], ["r"], then_branch=body, else_branch=body))
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "flag"))
    new = lstmfast.onnx.replace(model, {"node": changed(lstmfast.onnx.layers(model)["node"])})
    assert names_of(new) == ["flag", "node_W_1", "node_R_1", "node_B"]


def test_models_in_which_all_constants_are_inputs() -> None:
    node = node_of("GRU", states=False)
    model = model_of(node, opset=8)
    model.ir_version = 3
    model.graph.input.extend(value(name, node.inputs[name]) for name in ("W", "R", "B"))
    onnx.checker.check_model(model)
    layer = changed(lstmfast.onnx.layers(model)["node"])
    new = lstmfast.onnx.replace(model, {"node": layer})
    onnx.checker.check_model(new)
    assert [each.name for each in new.graph.input] == ["X", "node_W", "node_R", "node_B"]
    assert_same_bits(dict(lstmfast.onnx.layers(new)["node"].parameters), dict(layer.parameters))


def test_a_node_in_a_body() -> None:
    """Its new weights are in the model's graph."""
    node = node_of("LSTM", states=False)
    tensors = [numpy_helper.from_array(node.inputs[name], name) for name in ("W", "R", "B")]
    body = helper.make_graph([made(node)], "body", [], [output("Y")], tensors)
    around = helper.make_node("If", ["flag"], ["result"], then_branch=body, else_branch=body)
    inputs = [value("X", node.inputs["X"]), helper.make_tensor_value_info("flag", 9, [])]
    model = whole(helper.make_graph([around], "graph", inputs, [output("result")]))
    found = lstmfast.onnx.layers(model)
    assert len(found) == 2
    new = lstmfast.onnx.replace(
        model, {name: changed(layer, n) for n, (name, layer) in enumerate(found.items())}
    )
    onnx.checker.check_model(new)
    assert len(new.graph.initializer) == 6
    assert not any(branch.g.initializer for branch in new.graph.node[0].attribute)
    for flag, layer in zip((False, True), lstmfast.onnx.layers(new).values(), strict=True):
        (Y,) = run_by_runtime(new, {"X": node.inputs["X"], "flag": np.array(flag)})
        y, _ = layer(node.inputs["X"])
        np.testing.assert_allclose(Y.reshape(y.shape), y, rtol=0, atol=2e-6)


# Numbers.


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_sixteen_bits_are_rounded_to(kind: str) -> None:
    if onnx.defs.onnx_opset_version() < 22:
        pytest.skip("no operators of bfloat16 in this version of onnx")
    node = node_of("LSTM", states=False)
    model = model_of(node, opset=22)
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if kind == "float16":
            tensor.CopyFrom(numpy_helper.from_array(array.astype(np.float16), tensor.name))
        else:
            raw = (array.view(np.uint32) >> 16).astype("<u2").tobytes()
            tensor.CopyFrom(helper.make_tensor(tensor.name, 16, array.shape, raw, raw=True))
    layer = changed(lstmfast.onnx.layers(model)["node"])
    new = lstmfast.onnx.replace(model, {"node": layer})
    assert {tensor.data_type for tensor in new.graph.initializer} == {10 if kind == "float16" else 16}
    expected: Any = layer.quantize(kind).dequantize()
    found = lstmfast.onnx.layers(new)["node"].parameters
    for name in ("weight_ih_l0", "weight_hh_l0"):
        assert_same_bits(found[name], expected.parameters[name])
    layer.update({"weight_hh_l0": np.full((4 * H, H), 7e4 if kind == "float16" else 3.4e38, np.float32)})
    with pytest.raises(
        ValueError, match=rf"^layers\['node'\]: R: expected numbers that {kind} has, .* got 100 larg"
    ):
        lstmfast.onnx.replace(model, {"node": layer})


def test_infinities_stay() -> None:
    layer = lstmfast.RNN(I, H)
    layer.update({"weight_hh_l0": np.full((H, H), np.inf)})
    new = lstmfast.onnx.replace(model_of(node_of("RNN")), {"node": layer})
    assert np.isinf(lstmfast.onnx.layers(new)["node"].parameters["weight_hh_l0"]).all()


def test_dequantized_weights_become_floats() -> None:
    small = lstmfast.LSTM(I, H, bidirectional=True, seed=0).quantize("int8")
    model = lstmfast.onnx.export(small)
    layer = changed(lstmfast.onnx.layers(model)["LSTM_l0"])
    new = lstmfast.onnx.replace(model, {"LSTM_l0": layer})
    assert "DequantizeLinear" not in {each.op_type for each in new.graph.node}
    assert_same_bits(dict(lstmfast.onnx.layers(new)["LSTM_l0"].parameters), dict(layer.parameters))


# Nodes of whole numbers.


def quantized_model(folder: Path, **options: Any) -> Any:
    quantization = pytest.importorskip("onnxruntime.quantization")
    lstmfast.LSTM(I, H, bidirectional=True, seed=0).to_onnx(folder / "model.onnx")
    quantization.quantize_dynamic(folder / "model.onnx", folder / "small.onnx", **options)
    return onnx.load(folder / "small.onnx")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("per_channel", [False, True])
def test_nodes_of_whole_numbers(per_channel: bool, tmp_path: Path) -> None:
    """Take layers of int8, and round others to it; ONNX Runtime runs the result, where its sums have room."""
    model = quantized_model(tmp_path, per_channel=per_channel)
    x: Array = random((6, 1, I))
    for layer in (
        lstmfast.LSTM(I, H, bidirectional=True, seed=3),
        lstmfast.LSTM(I, H, bidirectional=True, seed=3).quantize("int8"),
    ):
        new = lstmfast.onnx.replace(model, {"LSTM_l0_quant": layer})
        onnx.checker.check_model(new)
        assert len(new.graph.initializer) == len(model.graph.initializer)
        again: Any = lstmfast.onnx.layers(new)["LSTM_l0_quant"]
        expected: Any = lstmfast.LSTM(I, H, bidirectional=True, seed=3).quantize("int8")
        assert_same_bits(dict(again.parameters), dict(expected.parameters))
        ours = lstmfast.onnx.session(new.SerializeToString()).run(None, {"x": x})[0]
        np.testing.assert_allclose(ours, expected(x)[0], rtol=0, atol=0.02)
        if not sums_overflow(None):
            np.testing.assert_allclose(run_by_runtime(new, {"x": x})[0], expected(x)[0], rtol=0, atol=0.02)


@pytest.mark.filterwarnings("ignore")
def test_layers_that_are_no_int8(tmp_path: Path) -> None:
    model = quantized_model(tmp_path)
    lstm = lstmfast.LSTM(I, H, bidirectional=True)
    for layer in (lstm.quantize("float16"), lstm.quantize("int8", calibration=random((3, 2, I)))):
        with pytest.raises(
            ValueError, match=r"^layers\['LSTM_l0_quant'\]: expected int8 without a calibration, got "
        ):
            lstmfast.onnx.replace(model, {"LSTM_l0_quant": layer})
    with pytest.raises(TypeError, match=r"expected an object of type LSTM or QuantizedLSTM, got "):
        lstmfast.onnx.replace(model, {"LSTM_l0_quant": lstmfast.GRU(I, H)})


# What does not fit.


@pytest.mark.parametrize(
    "layer",
    [
        lstmfast.LSTM(I, H + 1),
        lstmfast.LSTM(I + 1, H),
        lstmfast.LSTM(I, H, bias=False),
        lstmfast.LSTM(I, H, 2),
        lstmfast.LSTM(I, H, bidirectional=True),
        lstmfast.LSTM(I, H, direction="reverse"),
        lstmfast.LSTM(I, H, batch_first=True),
        lstmfast.LSTM(I, H, peephole=True),
        lstmfast.LSTM(I, H, coupled=True),
        lstmfast.LSTM(I, H, clip=1.0),
        lstmfast.LSTM(I, H, activations=("Sigmoid", "Tanh", "Relu")),
        lstmfast.LSTM(I, H, proj_size=2),
        lstmfast.LSTM(I, H, zoneout=0.5),
        lstmfast.LSTM(I, H, dtype="float64"),
    ],
)
def test_layers_that_do_not_fit(layer: Any) -> None:
    with pytest.raises(
        ValueError, match=rf"^layers\['node'\]: expected one like the node's, LSTM\({I}, {H}\), got LSTM\("
    ):
        lstmfast.onnx.replace(model_of(node_of("LSTM")), {"node": layer})


def test_dropout_is_no_matter() -> None:
    layer = lstmfast.LSTM(I, H, dropout=0.5, recurrent_dropout=0.1)
    lstmfast.onnx.replace(model_of(node_of("LSTM")), {"node": layer})


@pytest.mark.parametrize(
    ("layers", "error", "message"),
    [
        ([], TypeError, r"layers: expected a mapping from names to layers, got a list of length 0"),
        (
            {"other": lstmfast.LSTM(I, H)},
            ValueError,
            r"layers: expected names of \['node'\], got 'other' \(str\)",
        ),
        (
            {"node": lstmfast.GRU(I, H)},
            TypeError,
            r"layers\['node'\]: expected an object of type LSTM, got an object of type GRU",
        ),
        (
            {"node": lstmfast.LSTM(I, H).quantize("int8")},
            TypeError,
            r"layers\['node'\]: expected an object of type LSTM, got an object of type QuantizedLSTM",
        ),
        (
            {"node": {}},
            TypeError,
            r"layers\['node'\]: expected an object of type LSTM, got a dict of length 0",
        ),
    ],
)
def test_wrong_layers(layers: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{message}$"):
        lstmfast.onnx.replace(model_of(node_of("LSTM")), layers)


def test_a_node_that_cannot_be_read() -> None:
    model = model_of(node_of("LSTM"), W="X")
    with pytest.raises(
        ValueError, match=r"^node 'node' \(LSTM\): expected W to be a constant, but 'X' is an input"
    ):
        lstmfast.onnx.replace(model, {"node": lstmfast.LSTM(I, H)})
