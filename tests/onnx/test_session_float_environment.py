"""The same bits in a session, whatever floating-point environment its maker, callers and threads have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ..float_helpers import CAN_BE_SET, CONTROLS, DEFAULT, host, set_control
from ..helpers import Array, assert_same_bits
from .session_helpers import Node, model_of, node_of, options_of, run, session_of
from .session_truth import by_layer, layer_of

pytestmark = [
    pytest.mark.skipif(not CAN_BE_SET, reason="where fenv_t is another"),
    pytest.mark.usefixtures("default_floats"),
]

# Weights so small that sums of products are denormal; the first is shared by threads.
NODES = {
    "LSTM": node_of("LSTM", 12, 16, 32, 64, states=True, scale=2.0**-126),
    "GRU": node_of("GRU", 5, 3, 6, 20, linear_before_reset=1, scale=2.0**-126),
    "functions": node_of("RNN", 5, 3, 6, 20, activations=["Affine"], activation_alpha=[0.3], scale=2.0**-126),
}


def with_small_biases(node: Node) -> Node:
    """And states as small, so that results are denormal, too."""
    small = ("B", "initial_h", "initial_c")
    tiny = {name: node.inputs[name] * np.float32(2.0**-126) for name in small if name in node.inputs}
    return node.but(**tiny)


@pytest.mark.parametrize("given", CONTROLS.values(), ids=CONTROLS)
@pytest.mark.parametrize("name", NODES)
def test_sessions(name: str, given: int) -> None:
    node = with_small_biases(NODES[name])
    expected = by_layer(node, layer_of(node))
    assert any(((a != 0) & (np.abs(a) < 2.0**-126)).any() for a in expected.values())
    model = model_of(node)
    options = options_of(session__set_denormal_as_zero="1", threads=2)
    sessions = [made_in(given, model), session_of(model, threads=2, sess_options=options)]
    set_control(DEFAULT)  # of which the second had its thread flush denormals, too
    for session in sessions:
        assert_same_bits(run(session, node.feeds), expected)
        for _ in range(2):
            with host(given):
                found = run(session, node.feeds)
            assert_same_bits(found, expected)


def made_in(given: int, model: Any, **options: Any) -> Any:
    """A session whose maker, of whom its threads have theirs, has that environment.

    ONNX Runtime itself leaves its maker's thread another one: it sets or clears what flushes denormals.
    """
    set_control(given)
    try:
        return session_of(model, intra_op=2, **options)
    finally:
        set_control(DEFAULT)


@pytest.mark.parametrize("given", CONTROLS.values(), ids=CONTROLS)
@pytest.mark.parametrize("weights", ["float16", "bfloat16", "int8"])
def test_smaller_weights(weights: str, given: int) -> None:
    """Weights are rounded when the session is made."""
    node = node_of("LSTM", 5, 3, 6, 20, scale=2.0**-14, seed=int(given) % 1000 + len(weights))
    expected = by_layer(node, layer_of(node).quantize(weights))
    session = made_in(given, model_of(node), weights=weights)
    with host(given):
        found = run(session, node.feeds)
    assert_same_bits(found, expected)


@pytest.mark.parametrize("given", CONTROLS.values(), ids=CONTROLS)
def test_float16(given: int) -> None:
    """Nodes of float16 are computed in float32, and cast."""

    def cast(arrays: dict[str, Array], dtype: str) -> dict[str, Any]:
        return {name: array.astype(dtype) for name, array in arrays.items()}

    line: dict[str, Any] = {"activations": ["Affine"], "activation_alpha": [1.0], "activation_beta": [0.0]}
    node = node_of("RNN", 5, 3, 6, 20, bias=False, **line)
    node = node.but(
        X=node.inputs["X"] * np.float32(2.0**-18)
    )  # denormal, as halves, and so is what comes of it
    half = replace(node, inputs=cast(node.inputs, "float16"))
    wide = replace(node, inputs=cast(half.inputs, "float32"))
    expected = cast(by_layer(wide, layer_of(wide)), "float16")
    assert np.count_nonzero(expected["Y"]) > 0.9 * expected["Y"].size
    session = made_in(given, model_of(half))
    with host(given):
        found = run(session, half.feeds)
    assert_same_bits(found, expected)
