"""Recurrences that a model holds without an LSTM, a GRU or an RNN node: as a loop, or step after step."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ._models import bodies, every_node

ADVICE = (
    "weights of such a model can be taken from the framework that made it: its layers have them, for"
    " load_state_dict"
)

_LOOPS = {"Loop", "Scan"}
_PRODUCTS = {"MatMul", "Gemm", "Einsum", "MatMulInteger", "QLinearMatMul"}
_CURVES = {"Sigmoid", "Tanh", "Relu", "HardSigmoid", "Elu", "LeakyRelu", "Softsign", "Softplus"}
_FORMS = {"Cast", "DequantizeLinear", "Identity", "QuantizeLinear", "Transpose"}
_FEWEST_STEPS = 3  # a weight that is used twice in a row is no recurrence yet


def recurrences_without_nodes(model: Any) -> list[str]:
    """Say which recurrences a model seems to have beside its LSTM, GRU and RNN nodes, and what to do.

    What Keras 3 exports, but for some layers on TensorFlow, and what comes from JAX, is a Loop or one step
    after the other. Neither can be told for sure from what only looks like it. Nothing where none is seen.
    """
    found = [
        f"the {node.op_type} {node.name or node.output[0]!r} has products and activations in its body, as a"
        " recurrent layer step by step has"
        for node in every_node(model.graph.node)
        if node.op_type in _LOOPS and _is_step(node)
    ]
    steps, weight = _unrolled(model.graph)
    if steps >= _FEWEST_STEPS:
        found.append(
            f"{weight!r} is multiplied {steps} times, each time with what came of the time before, as a"
            " recurrent layer is where its steps are written out"
        )
    return [*found, ADVICE] if found else []


def _is_step(node: Any) -> bool:
    operators = {each.op_type for _, graph in bodies(node) for each in every_node(graph.node)}
    return bool(operators & _PRODUCTS) and bool(operators & _CURVES)


def _unrolled(graph: Any) -> tuple[int, str]:
    """How often in a row a weight is multiplied, with activations between, and which: the most there is."""
    weights = _weights(graph)
    users = Counter(
        weights[name]
        for node in graph.node
        if node.op_type in _PRODUCTS
        for name in _factors(node)
        if name in weights
    )
    often = [weight for weight, count in users.items() if count >= _FEWEST_STEPS]
    return max(((_in_a_row(graph, weights, weight), weight) for weight in often), default=(0, ""))


def _factors(node: Any) -> list[str]:
    """Return what a product multiplies, without scales and zero points."""
    if node.op_type == "Einsum":
        return list(node.input)
    return list(node.input[0:4:3] if node.op_type == "QLinearMatMul" else node.input[:2])


def _weights(graph: Any) -> dict[str, str]:
    """Constants, and what is one of them in another form, by the name of that one."""
    found = {tensor.name: tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            found |= {name: name for name in node.output}
        elif node.op_type in _FORMS and set(node.input[:1]) & found.keys():
            found[node.output[0]] = found[node.input[0]]
    return found


def _in_a_row(graph: Any, weights: dict[str, str], weight: str) -> int:
    """How many products with a weight are on one path, with an activation between each two."""
    steps: dict[str, int] = {}  # on the way to a value
    ready: dict[str, bool] = {}  # whether an activation has come since
    most = 0
    for node in graph.node:
        before = max((steps.get(name, 0) for name in node.input), default=0)
        active = any(ready.get(name, False) for name in node.input if steps.get(name, 0) == before)
        multiplied = node.op_type in _PRODUCTS and any(weights.get(name) == weight for name in _factors(node))
        if multiplied and (active or not before):
            before, active = before + 1, False
        elif node.op_type in _CURVES:
            active = before > 0
        for name in node.output:
            steps[name], ready[name] = before, active
        most = max(most, before)
    return most
