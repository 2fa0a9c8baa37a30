"""Any valid node: all attributes, inputs and outputs in any combination, against our reference in float64."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, assume, event, given, settings

from .session_helpers import (
    OUTPUTS,
    VERSION,
    WEIGHTS,
    Node,
    by_runtime,
    model_of,
    node_of,
    onnx,
    run,
    session_of,
)
from .session_truth import DEFAULTS, FUNCTIONS, USUAL, as_runtime, assert_close, truth

# Relative to the largest number of a result, where that is more than 1.
BOUND = {"float32": 1e-5, "float64": 1e-13, "float16": 4e-3}
NEWEST = min(24, onnx.defs.onnx_opset_version())


@st.composite
def activations(draw: st.DrawFn, operator: str, directions: int) -> dict[str, Any]:
    """Functions of each direction, and numbers for any part of those that take some."""
    count = len(USUAL[operator]) * directions
    names = draw(st.lists(st.sampled_from(FUNCTIONS), min_size=count, max_size=count))
    found: dict[str, Any] = {"activations": names}
    for place, kind in enumerate(("alpha", "beta")):
        takers = [name for name in names if len(DEFAULTS.get(name, ())) > place]
        numbers = draw(st.lists(st.sampled_from((-0.5, 0.1, 0.3, 0.8, 1.2)), max_size=len(takers)))
        if numbers:
            found[f"activation_{kind}"] = numbers
    return found


@st.composite
def nodes(draw: st.DrawFn) -> Node:
    """A node that the standard allows."""
    operator = draw(st.sampled_from(("LSTM", "GRU", "RNN")))
    direction = draw(st.sampled_from(("forward", "reverse", "bidirectional")))
    opset = draw(st.integers(7, NEWEST))
    attributes: dict[str, Any] = {}
    if direction != "forward" or draw(st.booleans()):
        attributes["direction"] = direction
    if opset >= 14 and draw(st.booleans()):
        attributes["layout"] = draw(st.sampled_from((0, 1)))
    if draw(st.booleans()):
        attributes["clip"] = draw(st.sampled_from((0.1, 0.7, 5.0)))
    if operator == "LSTM" and draw(st.booleans()):
        attributes["input_forget"] = draw(st.sampled_from((0, 1)))
    if operator == "GRU" and draw(st.booleans()):
        attributes["linear_before_reset"] = draw(st.sampled_from((0, 1)))
    if draw(st.booleans()):
        attributes |= draw(activations(operator, 2 if direction == "bidirectional" else 1))
    T, B = draw(st.integers(0, 4)), draw(st.integers(0, 3))
    sizes = {"I": draw(st.integers(1, 5)), "H": draw(st.sampled_from((1, 2, 5, 17)))}
    lengths = draw(st.none() | st.lists(st.integers(0, T), min_size=B, max_size=B))
    outputs = st.lists(st.sampled_from(OUTPUTS[operator]), min_size=1, unique=True)
    node = node_of(
        operator,
        T,
        B,
        **sizes,
        dtype=draw(st.sampled_from(tuple(BOUND))),
        bias=draw(st.booleans()),
        states=draw(st.booleans()),
        lengths=lengths,
        peepholes=operator == "LSTM" and draw(st.booleans()),
        wanted=draw(outputs),
        opset=opset,
        seed=draw(st.integers(0, 1000)),
        scale=0.5,  # or activations without bounds grow from step to step, and so do errors
        **attributes,
    )
    if draw(st.booleans()):
        node.attributes.pop("hidden_size")
    if draw(st.booleans()):
        node = node.but(initial_h=None)
    return node


def runtime_is_right(node: Node) -> bool:
    """Whether ONNX Runtime runs the node at all, and is right."""
    if VERSION < (1, 32) and node.operator == "RNN":
        return False  # reads anything for rows of length 0, and for numbers of functions that have none
    T, B, _ = node.inputs["X"].shape
    return as_runtime(node) and "hidden_size" in node.attributes and T > 0 and B > 0


@given(node=nodes(), static=st.booleans(), fed=st.sets(st.sampled_from(WEIGHTS)))
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_any_node(node: Node, static: bool, fed: set[str]) -> None:
    """fed: weights that the model has as inputs, for nodes that ONNX Runtime has no kernel for."""
    only_ours = node.batchwise or node.dtype == np.float64
    fed &= set(node.inputs) if only_ours else set()
    model = model_of(node, static=static, fed=sorted(fed))
    feeds = node.feeds | {name: node.inputs[name] for name in fed}
    session = session_of(model)
    right = truth(node)
    # Without bounds c may grow beyond all of them, and float16 ends at 65504.
    assume(all(np.abs(array).max(initial=0) < 1e4 for array in right.values()))
    for _ in range(2):
        found = run(session, feeds)
        assert {array.dtype for array in found.values()} == {node.dtype}
        assert_close(found, right, BOUND[node.dtype.name], node)
    if runtime_is_right(node):
        theirs = by_runtime(model, feeds)
        assume(all(np.isfinite(array).all() for array in theirs.values()))  # its Softplus is not beyond 88
        event("as ONNX Runtime")
        assert_close(theirs, found, 2 * BOUND[node.dtype.name], node)
