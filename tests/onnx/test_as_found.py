"""Models as they are found: weights that other nodes make, in files of their own, in outer graphs."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast.onnx

from ..helpers import Array, assert_same_bits
from ..onnx_nodes import Node, layer_of
from .helpers import WEIGHTS, helper, made, model_of, node_of, numpy_helper, onnx, output, value, whole

FLOAT, FLOAT16, BFLOAT16 = 1, 10, 16


def ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def assert_reads(model: Any, node: Node, name: str = "node") -> None:
    """Expect the weights of the node, bit by bit."""
    found = lstmfast.onnx.layers(model)
    assert list(found) == [name]
    expected = layer_of(node)
    assert repr(found[name]) == repr(expected)
    assert_same_bits(dict(found[name].parameters), dict(expected.parameters))


def chain(operator: str, inputs: list[str], result: str, **attributes: Any) -> Any:
    return helper.make_node(operator, inputs, [result], **attributes)


# What makes W of other constants, in the words of opset 14 unless it says else.


def ways() -> dict[str, tuple[Node, int, dict[str, Array], list[Any]]]:
    """By name: the node as it is in the end, the opset, the constants and the nodes that make W of them."""
    node = node_of("LSTM", direction="bidirectional", states=False)
    W = node.inputs["W"]
    first, second = W
    half = node._replace(inputs={**node.inputs, "W": W.astype(np.float16).astype(np.float32)})
    flat = {"flat": W.reshape(-1)}
    found: dict[str, tuple[Node, int, dict[str, Array], list[Any]]] = {
        "Identity": (node, 14, {"a": W}, [chain("Identity", ["a"], "made")]),
        "Transpose": (
            node,
            14,
            {"a": np.ascontiguousarray(W.transpose(2, 1, 0))},
            [chain("Transpose", ["a"], "made", perm=[2, 1, 0])],
        ),
        "Cast": (half, 14, {"a": W.astype(np.float16)}, [chain("Cast", ["a"], "made", to=FLOAT)]),
        "Concat": (
            node,
            14,
            {"a": W[:, :6], "b": W[:, 6:]},
            [chain("Concat", ["a", "b"], "made", axis=1)],
        ),
        "Unsqueeze": (
            node,
            14,
            {"a": first, "b": second, "axis": ints(0)},
            [
                chain("Unsqueeze", ["a", "axis"], "a1"),
                chain("Unsqueeze", ["b", "axis"], "b1"),
                chain("Concat", ["a1", "b1"], "made", axis=0),
            ],
        ),
        "Unsqueeze of opset 11": (
            node,
            11,
            {"a": first, "b": second},
            [
                chain("Unsqueeze", ["a"], "a1", axes=[0]),
                chain("Unsqueeze", ["b"], "b1", axes=[0]),
                chain("Concat", ["a1", "b1"], "made", axis=0),
            ],
        ),
        "Squeeze": (
            node,
            14,
            {"a": W[np.newaxis], "axis": ints(0)},
            [chain("Squeeze", ["a", "axis"], "made")],
        ),
        "Reshape": (
            node,
            14,
            {**flat, "shape": ints(*W.shape)},
            [chain("Reshape", ["flat", "shape"], "made")],
        ),
        "Slice": (
            node,
            14,
            {
                "a": np.concatenate([W, W[:, :3]], axis=1),
                "start": ints(0),
                "end": ints(W.shape[1]),
                "axis": ints(1),
            },
            [chain("Slice", ["a", "start", "end", "axis"], "made")],
        ),
        "Slice of opset 9": (
            node,
            9,
            {"a": np.concatenate([W, W[:, :3]], axis=1)},
            [chain("Slice", ["a"], "made", starts=[0], ends=[W.shape[1]], axes=[1])],
        ),
        "Split": (
            node,
            14,
            {"a": np.concatenate([W + 1, W], axis=1), "parts": ints(W.shape[1], W.shape[1])},
            [helper.make_node("Split", ["a", "parts"], ["other", "made"], axis=1)],
        ),
        "Mul and Add": (
            node._replace(inputs={**node.inputs, "W": W * np.float32(2) + np.float32(1)}),
            14,
            {"a": W, "two": np.array(2, np.float32), "one": np.array(1, np.float32)},
            [chain("Mul", ["a", "two"], "a2"), chain("Add", ["a2", "one"], "made")],
        ),
        "ConstantOfShape": (
            node._replace(inputs={**node.inputs, "W": np.full_like(W, 0.25)}),
            14,
            {"shape": ints(*W.shape)},
            [
                chain(
                    "ConstantOfShape",
                    ["shape"],
                    "made",
                    value=numpy_helper.from_array(np.array([0.25], np.float32)),
                )
            ],
        ),
        "Shape, Gather and Reshape": (
            node,
            14,
            {**flat, "like": W, "all": ints(0, 1, 2)},
            [
                chain("Shape", ["like"], "sizes"),
                chain("Gather", ["sizes", "all"], "shape"),
                chain("Reshape", ["flat", "shape"], "made"),
            ],
        ),
    }
    # Whole numbers, as quantizers write them: of one scale, of one for each row, of one for each direction.
    whole_numbers = np.arange(W.size).reshape(W.shape) % 251
    scales: dict[int | None, Array] = {
        None: np.array(0.013, np.float32),
        1: np.linspace(0.01, 0.03, W.shape[1]).astype(np.float32),
    }
    for kind, (axis, scale), opset in itertools.product(("int8", "uint8"), scales.items(), (10, 13, 21)):
        if axis is not None and opset == 10:
            continue  # one scale alone
        zero = np.full(scale.shape, 3 if kind == "int8" else 128).astype(kind)
        stored = (whole_numbers - (125 if kind == "int8" else 0)).astype(kind)
        per = scale if axis is None else scale[:, np.newaxis]
        offset = np.float32(zero.flat[0])
        floats = (stored.astype(np.float32) - offset) * per
        more = {} if axis is None else {"axis": axis}
        found[f"DequantizeLinear of {kind}, axis {axis}, opset {opset}"] = (
            node._replace(inputs={**node.inputs, "W": floats.astype(np.float32)}),
            opset,
            {"a": stored, "scale": scale, "zero": zero},
            [chain("DequantizeLinear", ["a", "scale", "zero"], "made", **more)],
        )
    return found


WAYS = ways()


@pytest.mark.parametrize("way", WAYS)
def test_weights_that_other_nodes_make(way: str) -> None:
    node, opset, constants, before = WAYS[way]
    model = model_of(node, weights=constants, before=before, opset=opset, W="made")
    onnx.checker.check_model(model)
    assert_reads(model, node)
    # Out of order: the float16 tool of ONNX Runtime writes such.
    reordered = list(reversed(model.graph.node))
    del model.graph.node[:]
    model.graph.node.extend(reordered)
    assert_reads(model, node)


def test_a_dequantized_matrix_of_com_microsoft() -> None:
    """Of 16 bits, which ONNX had not yet."""
    node = node_of("GRU", states=False)
    stored = (1000 * node.inputs["W"]).astype(np.int16)
    floats = stored.astype(np.float32) * np.float32(0.001)
    before = chain("DequantizeLinear", ["a", "scale"], "made", domain="com.microsoft")
    model = model_of(
        node, weights={"a": stored, "scale": np.array(0.001, np.float32)}, before=[before], W="made"
    )
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    assert_reads(model, node._replace(inputs={**node.inputs, "W": floats}))


def test_constant_nodes() -> None:
    node = node_of("LSTM", peephole=True, states=False)
    before = [
        chain("Constant", [], f"{name}_made", value=numpy_helper.from_array(node.inputs[name]))
        for name in WEIGHTS
    ]
    called: Any = {name: f"{name}_made" for name in WEIGHTS}
    assert_reads(model_of(node, before=before, **called), node)


def test_a_chain_of_ten_thousand() -> None:
    node = node_of("RNN", states=False)
    count = 10_000
    before = [chain("Identity", [f"a{n}"], f"a{n + 1}") for n in range(count)]
    assert_reads(model_of(node, weights={"a0": node.inputs["W"]}, before=before, W=f"a{count}"), node)


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_whole_models_of_sixteen_bits(kind: str) -> None:
    node = node_of("LSTM", states=False, peephole=True)
    model = model_of(node, opset=22)
    rounded = {}
    for tensor in model.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if kind == "float16":
            made_of = numpy_helper.from_array(array.astype(np.float16), tensor.name)
            rounded[tensor.name] = array.astype(np.float16).astype(np.float32)
        else:
            bits = array.view(np.uint32) >> 16
            raw = bits.astype("<u2").tobytes()
            made_of = helper.make_tensor(tensor.name, BFLOAT16, array.shape, raw, raw=True)
            rounded[tensor.name] = (bits << 16).astype(np.uint32).view(np.float32)
        tensor.CopyFrom(made_of)
    assert_reads(model, node._replace(inputs={**node.inputs, **rounded}))


def test_initializers_that_are_inputs_too() -> None:
    """As all of them are in old models, and as some are in those that let their callers override them."""
    node = node_of("GRU", states=False)
    model = model_of(node, opset=8)
    model.ir_version = 3
    model.graph.input.extend(value(name, node.inputs[name]) for name in WEIGHTS if name in node.inputs)
    assert_reads(model, node)


def test_weights_in_a_file_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = node_of("LSTM", states=False)
    path = tmp_path / "model.onnx"
    onnx.save_model(
        model_of(node), path, save_as_external_data=True, location="weights.bin", size_threshold=0
    )
    assert (tmp_path / "weights.bin").exists()
    assert_reads(path, node)
    monkeypatch.chdir(tmp_path)  # where a path has no folder
    assert_reads("model.onnx", node)
    apart = onnx.load(path, load_external_data=False)
    for model in (apart, path.read_bytes()):
        with pytest.raises(
            ValueError, match=r"'W' is in a file of its own, which was not read: expected the mod"
        ):
            lstmfast.onnx.layers(model)
    onnx.load_external_data_for_model(apart, str(tmp_path))
    assert_reads(apart, node)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(ValueError, match=r"model\.onnx: expected its weights in files beside it: "):
        lstmfast.onnx.layers(path)


# Bodies of other nodes.


def bodied(operator: str, node: Node, *, inner: bool) -> Any:
    """A model whose If, Loop or Scan has the node in its body. inner: with W there."""
    graph_weights = {name: node.inputs[name] for name in WEIGHTS if name in node.inputs}
    own = {"W": graph_weights.pop("W")} if inner else {}
    if inner:
        graph_weights["W"] = own["W"] + 1  # another, that the body does not see
    tensors = [numpy_helper.from_array(array, name) for name, array in own.items()]
    inputs, outputs, more = [], [output("Y")], []
    if operator == "Loop":
        inputs = [helper.make_tensor_value_info("i", 7, []), helper.make_tensor_value_info("c", 9, [])]
        more = [chain("Identity", ["c"], "c2")]
        outputs = [helper.make_tensor_value_info("c2", 9, []), output("Y")]
    if operator == "Scan":
        inputs = [helper.make_tensor_value_info("step", FLOAT, [2])]
    body = helper.make_graph([*more, made(node)], "body", inputs, outputs, tensors)
    outer = [value("X", node.inputs["X"])]
    if operator == "If":
        outer.append(helper.make_tensor_value_info("flag", 9, []))
        other = helper.make_graph([chain("Identity", ["X"], "other")], "else", [], [output("other")])
        around = helper.make_node(
            "If", ["flag"], ["result"], name="around", then_branch=body, else_branch=other
        )
    elif operator == "Loop":
        around = helper.make_node("Loop", ["times", ""], ["result"], name="around", body=body)
        graph_weights["times"] = np.array(2)
    else:
        around = helper.make_node("Scan", ["steps"], ["result"], name="around", body=body, num_scan_inputs=1)
        graph_weights["steps"] = np.zeros((3, 2), np.float32)
    tensors = [numpy_helper.from_array(array, name) for name, array in graph_weights.items()]
    return whole(helper.make_graph([around], "graph", outer, [output("result")], tensors))


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("operator", ["If", "Loop", "Scan"])
def test_bodies(operator: str, inner: bool) -> None:
    node = node_of("LSTM", states=False)
    assert_reads(bodied(operator, node, inner=inner), node)


def test_what_a_body_is_given_is_no_constant() -> None:
    """Though the graph around it has one of that name."""
    node = node_of("LSTM", states=False)
    model = bodied("Scan", node, inner=False)
    body = next(each.g for each in model.graph.node[0].attribute if each.name == "body")
    body.input[0].name = "R"
    with pytest.raises(
        ValueError, match=r"node 'node' \(LSTM\): expected R to be a constant, but 'R' is an inp"
    ):
        lstmfast.onnx.layers(model)


def test_functions_of_the_models_own() -> None:
    """Two calls, each with weights of its own."""
    node = node_of("GRU", states=False)
    other = node_of("GRU", states=False, seed=50)
    function = helper.make_function(
        "own",
        "Layer",
        ["X", "W", "R", "B"],
        ["Y"],
        [helper.make_node("GRU", ["X", "W", "R", "B"], ["Y"], name="node", hidden_size=5)],
        [helper.make_opsetid("", 14)],
    )
    calls = [
        helper.make_node("Layer", ["X", *(f"{name}{n}" for name in "WRB")], [f"Y{n}"], domain="own")
        for n in "12"
    ]
    tensors = [
        numpy_helper.from_array(each.inputs[name], f"{name}{n}")
        for n, each in (("1", node), ("2", other))
        for name in "WRB"
    ]
    graph = helper.make_graph(
        calls, "graph", [value("X", node.inputs["X"])], [output("Y1"), output("Y2")], tensors
    )
    model = whole(graph, functions=[function], domains=["own"])
    onnx.checker.check_model(model)
    found = lstmfast.onnx.layers(model)
    assert len(found) == 2
    for layer, each in zip(found.values(), (node, other), strict=True):
        assert_same_bits(dict(layer.parameters), dict(layer_of(each).parameters))
    # And a function that makes a weight, in a model whose nodes are in none.
    twice = helper.make_function(
        "own",
        "Twice",
        ["a"],
        ["b"],
        [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 14)],
    )
    model = model_of(
        node,
        weights={"half": node.inputs["W"] / 2},
        before=[helper.make_node("Twice", ["half"], ["made"], domain="own")],
        W="made",
    )
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.functions.append(twice)
    assert_reads(model, node)


# What is no constant.


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ([chain("Identity", ["X"], "made")], "'X' is an input of the model"),
        ([chain("Identity", ["nothing"], "made")], "'nothing' is nowhere in the model"),
        ([chain("Identity", ["made"], "made")], "'made' is computed from itself"),
        (
            [chain("Identity", ["b"], "a"), chain("Identity", ["a"], "b"), chain("Add", ["a", "R"], "made")],
            "is computed from itself",
        ),
        ([chain("RandomNormal", [], "made", shape=[1, 20, 4])], "'made' is drawn by RandomNormal"),
        ([chain("Reshape", ["R", "R"], "made")], "'made' cannot be computed by onnx from Reshape: "),
        ([chain("Unknown", ["R"], "made")], "'made' cannot be computed by onnx from Unknown: "),
    ],
)
def test_weights_that_are_no_constants(before: list[Any], reason: str) -> None:
    model = model_of(node_of("LSTM", states=False), before=before, W="made")
    with pytest.raises(
        ValueError, match=r"^node 'node' \(LSTM\): expected W to be a constant, but "
    ) as caught:
        lstmfast.onnx.layers(model)
    assert reason in str(caught.value)


def test_weights_that_a_branch_makes() -> None:
    branch = helper.make_graph([chain("Identity", ["R"], "r")], "branch", [], [output("r")])
    before = helper.make_node("If", ["flag"], ["made"], then_branch=branch, else_branch=branch)
    model = model_of(
        node_of("LSTM", states=False), before=[before], weights={"flag": np.array(True)}, W="made"
    )
    with pytest.raises(ValueError, match="but 'made' is computed by If"):
        lstmfast.onnx.layers(model)


def test_sparse_weights() -> None:
    node = node_of("LSTM", states=False)
    model = model_of(node, W="sparse")
    values = numpy_helper.from_array(np.ones(2, np.float32), "sparse")
    places = numpy_helper.from_array(ints(0, 5), "places")
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [1, 20, 4]))
    with pytest.raises(ValueError, match="but 'sparse' is a sparse tensor"):
        lstmfast.onnx.layers(model)
