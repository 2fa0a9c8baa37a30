"""Models that have a recurrence without a node of it: they are told from others, and told what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmfast.onnx
from lstmfast.onnx._without_nodes import ADVICE, recurrences_without_nodes

from ..helpers import random
from .helpers import helper, model_of, node_of, numpy_helper, output, value, whole

H = 4


def step(n: int, x: str, h: str, result: str, *, weight: str = "R", curve: str = "Tanh") -> list[Any]:
    """h' = tanh(x + R h), as nodes."""
    return [
        helper.make_node("MatMul", [h, weight], [f"product_{n}"]),
        helper.make_node("Add", [f"product_{n}", x], [f"sum_{n}"]),
        helper.make_node(curve, [f"sum_{n}"], [result]),
    ]


def model(nodes: list[Any]) -> Any:
    tensors = [numpy_helper.from_array(random((H, H), seed=n), f"R{n or ''}") for n in range(6)]
    tensors.append(numpy_helper.from_array(np.array(9), "times"))
    inputs = [value("x", random((2, H))), value("h0", random((2, H)))]
    return whole(helper.make_graph(nodes, "graph", inputs, [output(nodes[-1].output[0], rank=2)], tensors))


def looped(operator: str = "Loop", body_nodes: list[Any] | None = None) -> Any:
    nodes = body_nodes or step(0, "x", "h", "h2")
    carried = [value("h", random((2, H)))]
    ends = [output("h2", rank=2)]
    if operator == "Loop":
        counters = [helper.make_tensor_value_info("i", 7, []), helper.make_tensor_value_info("c", 9, [])]
        nodes = [helper.make_node("Identity", ["c"], ["c2"]), *nodes]
        body = helper.make_graph(
            nodes, "body", counters + carried, [helper.make_tensor_value_info("c2", 9, []), *ends]
        )
        node = helper.make_node("Loop", ["times", "", "h0"], ["last"], name="loop", body=body)
    else:
        body = helper.make_graph(nodes, "body", carried, ends)
        node = helper.make_node("Scan", ["h0"], ["last"], name="loop", body=body, num_scan_inputs=0)
    return model([node])


def unrolled(steps: int, *, weights: tuple[str, ...] = ("R",), curve: str = "Tanh") -> Any:
    nodes = []
    for n in range(steps):
        nodes += step(n, "x", f"h{n}", f"h{n + 1}", weight=weights[n % len(weights)], curve=curve)
    return model(nodes)


@pytest.mark.parametrize("operator", ["Loop", "Scan"])
def test_loops(operator: str) -> None:
    found = recurrences_without_nodes(looped(operator))
    assert found == [
        f"the {operator} 'loop' has products and activations in its body, as a recurrent layer step by step"
        " has",
        ADVICE,
    ]
    with pytest.raises(ValueError, match=r"^model: expected an LSTM, .*, got none; the ") as caught:
        lstmfast.onnx.layers(looped(operator))
    assert str(caught.value).endswith(ADVICE)


def test_loops_of_something_else() -> None:
    for nodes in (
        [helper.make_node("MatMul", ["h", "R"], ["h2"])],
        [helper.make_node("Tanh", ["h"], ["h2"])],
    ):
        assert recurrences_without_nodes(looped(body_nodes=nodes)) == []


@pytest.mark.parametrize("curve", ["Tanh", "Sigmoid", "Relu"])
def test_steps_one_after_the_other(curve: str) -> None:
    found = recurrences_without_nodes(unrolled(20, curve=curve))
    assert found == [
        "'R' is multiplied 20 times, each time with what came of the time before, as a recurrent layer is"
        " where its steps are written out",
        ADVICE,
    ]
    with pytest.raises(ValueError, match="got none; 'R' is multiplied 20 times"):
        lstmfast.onnx.layers(unrolled(20))


def test_steps_whose_weights_are_copies() -> None:
    """As Keras on PyTorch writes them."""
    nodes = []
    for n in range(5):
        nodes.append(helper.make_node("Identity", ["R"], [f"copy_{n}"]))
        nodes.append(helper.make_node("Transpose", [f"copy_{n}"], [f"turned_{n}"]))
        nodes += step(n, "x", f"h{n}", f"h{n + 1}", weight=f"turned_{n}")
    assert recurrences_without_nodes(model(nodes))[0].startswith("'R' is multiplied 5 times, ")


def test_weights_that_several_layers_share_side_by_side_are_no_recurrence() -> None:
    """Nor are layers one after the other, nor a weight that is multiplied twice."""
    nodes = [node for n in range(20) for node in step(n, "x", "h0", f"h{n + 1}")]
    assert recurrences_without_nodes(model(nodes)) == []
    assert recurrences_without_nodes(unrolled(6, weights=("R", "R1", "R2", "R3", "R4", "R5"))) == []
    assert recurrences_without_nodes(unrolled(2)) == []


def test_values_that_are_multiplied_often_are_no_weights() -> None:
    nodes = step(0, "x", "h0", "h1")
    for n in range(1, 20):
        nodes += step(n, "x", f"h{n}", f"h{n + 1}", weight="x")
    assert recurrences_without_nodes(model(nodes)) == []


def test_products_without_an_activation_between_are_no_recurrence() -> None:
    nodes = [helper.make_node("MatMul", [f"h{n}", "R"], [f"h{n + 1}"]) for n in range(20)]
    assert recurrences_without_nodes(model(nodes)) == []


def test_models_with_nodes_have_none_beside() -> None:
    for operator in ("LSTM", "GRU", "RNN"):
        assert recurrences_without_nodes(model_of(node_of(operator))) == []


def test_a_model_of_neither() -> None:
    with pytest.raises(ValueError, match=r"^model: expected an LSTM, a GRU or an RNN node, got none$"):
        lstmfast.onnx.layers(model([helper.make_node("Tanh", ["x"], ["y"])]))


def test_whole_numbers_are_named_and_not_their_zero_point() -> None:
    nodes = []
    for n in range(5):
        whole_numbers = ["h_int8", "R", "zero_x", "zero_R"]
        nodes += [
            helper.make_node("DynamicQuantizeLinear", [f"h{n}"], ["h_int8", "scale_x", "zero_x"]),
            helper.make_node("MatMulInteger", whole_numbers, [f"product_{n}"]),
            helper.make_node("Cast", [f"product_{n}"], [f"sum_{n}"], to=1),
            helper.make_node("Tanh", [f"sum_{n}"], [f"h{n + 1}"]),
        ]
    quantized = model(nodes)
    quantized.graph.initializer.append(numpy_helper.from_array(np.array(0, np.int8), "zero_R"))
    assert recurrences_without_nodes(quantized)[0].startswith("'R' is multiplied 5 times, ")


def test_weights_that_are_rounded_on_the_way() -> None:
    """As quantize_static leaves what it does not see to be constant."""
    nodes = []
    for n in range(5):
        nodes.append(helper.make_node("Identity", ["R"], [f"copy_{n}"]))
        nodes.append(helper.make_node("QuantizeLinear", [f"copy_{n}", "scale"], [f"int8_{n}"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"int8_{n}", "scale"], [f"float_{n}"]))
        nodes += step(n, "x", f"h{n}", f"h{n + 1}", weight=f"float_{n}")
    assert recurrences_without_nodes(model(nodes))[0].startswith("'R' is multiplied 5 times, ")


def test_explain_says_so() -> None:
    pytest.importorskip("onnxruntime")
    found = lstmfast.onnx.explain(looped())
    assert found.nodes == ()
    assert found.notes == tuple(recurrences_without_nodes(looped()))
    assert str(found).splitlines()[0] == "no LSTM, GRU or RNN node"
    assert lstmfast.onnx.explain(model_of(node_of("LSTM"))).notes == ()
