"""The same bits: as a layer of ours with the same weights, on any number of threads and ISA, in any batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ..helpers import Array, assert_same_bits, random
from .session_helpers import Node, by_us, model_of, node_of, run, session_of
from .session_truth import by_layer, layer_of

KINDS = ("float16", "bfloat16", "int8")

# Shared by rows, by directions and by panels, in every form of the operator; and one for its caller alone.
NODES = {
    "rows": node_of("LSTM", 12, 13, 16, 48, states=True),
    "directions": node_of("LSTM", 90, 1, 40, 60, direction="bidirectional"),
    "panels": node_of("LSTM", 20, 1, 70, 256),
    "rows of different lengths": node_of(
        "GRU", 12, 13, 16, 48, direction="bidirectional", lengths=[12, 1, 7, *range(2, 12)]
    ),
    "rows first": node_of("LSTM", 12, 13, 16, 48, direction="bidirectional", states=True, layout=1),
    "GRU, directions": node_of("GRU", 90, 1, 40, 60, direction="bidirectional", linear_before_reset=1),
    "GRU, panels": node_of("GRU", 20, 1, 70, 256, linear_before_reset=1),
    "GRU, panels, reset before": node_of("GRU", 20, 1, 70, 256),
    "peepholes": node_of("LSTM", 20, 5, 30, 70, peepholes=True, direction="reverse"),
    "coupled": node_of("LSTM", 20, 5, 30, 70, peepholes=True, input_forget=1),
    "functions": node_of("LSTM", 9, 5, 8, 40, activations=["HardSigmoid", "Softsign", "Relu"], clip=0.7),
    "RNN": node_of("RNN", 30, 9, 30, 50, direction="bidirectional"),
    "ReLU": node_of("RNN", 30, 9, 30, 50, activations=["Relu"], scale=0.5),
    "float64": node_of("LSTM", 12, 5, 16, 24, dtype="float64", states=True, lengths=[12, 0, 3, 5, 1]),
    "small": node_of("LSTM", 2, 1, 3, 5),
}
named = pytest.mark.parametrize("name", NODES)


@named
def test_as_a_layer(name: str, isa: str) -> None:
    node = NODES[name]
    expected = by_layer(node, layer_of(node, isa=isa))
    for threads in (1, 2):
        assert_same_bits(by_us(node, isa=isa, threads=threads, intra_op=threads), expected)


@named
def test_many_threads(name: str) -> None:
    """More than there are CPUs."""
    node = NODES[name]
    session = session_of(model_of(node), threads=5, intra_op=5)
    expected = by_us(node)
    for _ in range(3):
        assert_same_bits(run(session, node.feeds), expected)


def row_of(node: Node, b: int) -> Node:
    """One row of a node's batch."""
    axes = {"X": 0 if node.batchwise else 1, "sequence_lens": 0}
    states = dict.fromkeys(("initial_h", "initial_c"), 0 if node.batchwise else 1)
    cut: dict[str, Array] = {}
    for name, axis in (axes | states).items():
        if name in node.inputs:
            cut[name] = np.ascontiguousarray(np.take(node.inputs[name], [b], axis))
    return node.but(**cut)


@named
def test_a_row_alone(name: str) -> None:
    node = NODES[name]
    session = session_of(model_of(node, static=False))
    expected = run(session, node.feeds)
    for b in range(node.inputs["X"].shape[0 if node.batchwise else 1]):
        for output, array in run(session, row_of(node, b).feeds).items():
            axis = 0 if node.batchwise else -2
            assert_same_bits(array, np.ascontiguousarray(np.take(expected[output], [b], axis)), output)


@pytest.mark.parametrize("name", ["rows", "coupled", "functions", "GRU, panels"])
def test_step_by_step(name: str) -> None:
    """Each with the state that the last one gave: what streams are to users of ONNX."""
    node = NODES[name].but(**node_of(NODES[name].operator, *sizes(NODES[name]), states=True).feeds)
    session = session_of(model_of(node, static=False))
    expected, states = run(session, node.feeds), dict(node.feeds)
    steps = []
    for x in node.inputs["X"]:
        found = run(session, {**states, "X": x[np.newaxis]})
        states = {key: found[f"Y_{key[-1]}"] for key in states if key != "X"}
        steps.append(found["Y"])
    assert_same_bits(np.concatenate(steps), expected["Y"])
    assert_same_bits(found["Y_h"], expected["Y_h"])


def sizes(node: Node) -> tuple[int, int, int, int]:
    T, B, I = node.inputs["X"].shape
    return T, B, I, node.inputs["R"].shape[-1]


# Smaller weights.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [name for name in NODES if name != "float64"])
def test_smaller_weights(name: str, kind: str, isa: str) -> None:
    node = NODES[name]
    expected = by_layer(node, layer_of(node, isa=isa).quantize(kind))
    assert expected["Y"].tobytes() != by_us(node)["Y"].tobytes()
    for threads in (1, 2):
        found = by_us(node, isa=isa, weights=kind, threads=threads, intra_op=threads)
        assert_same_bits(found, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_smaller_weights_of_others(kind: str) -> None:
    """Nodes of float64, and those with weights that are not finite, stay as they are."""
    node = NODES["float64"]
    assert_same_bits(by_us(node, weights=kind), by_us(node))
    for name in ("W", "R", "B"):
        node = NODES["small"]
        array = node.inputs[name].copy()
        array.flat[3] = np.inf
        node = node.but(**{name: array})
        assert_same_bits(by_us(node, weights=kind), by_us(node))


# float16: float32 in between.


@named
def test_float16(name: str) -> None:
    node = in_halves(NODES[name])
    wide = node.but(**{key: array.astype("float32") for key, array in node.inputs.items() if is_half(array)})
    expected = {key: array.astype("float16") for key, array in by_us(wide).items()}
    for threads in (1, 2):
        assert_same_bits(by_us(node, threads=threads, intra_op=threads), expected)


def is_half(array: Array) -> bool:
    return array.dtype == np.float16


def in_halves(node: Node) -> Node:
    return node.but(
        **{key: array.astype("float16") for key, array in node.inputs.items() if array.dtype.kind == "f"}
    )


@pytest.mark.parametrize("kind", KINDS)
def test_float16_with_smaller_weights(kind: str) -> None:
    node = in_halves(NODES["rows"])
    wide = node.but(**{key: array.astype("float32") for key, array in node.inputs.items() if is_half(array)})
    expected = {key: array.astype("float16") for key, array in by_us(wide, weights=kind).items()}
    assert_same_bits(by_us(node, weights=kind), expected)


# Numbers of every kind.


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_numbers_that_are_none(dtype: str) -> None:
    """NaN and infinities spread to their rows and no others."""
    node = node_of("LSTM", 4, 5, 3, 6, dtype=dtype)
    clean = by_us(node)
    x = node.inputs["X"].copy()
    x[1, 1], x[2, 3, 0] = np.nan, np.inf
    found: dict[str, Any] = by_us(node.but(X=x))
    for name, array in found.items():
        others = np.take(array, [0, 2, 4], -2)
        assert_same_bits(others, np.take(clean[name], [0, 2, 4], -2), name)
    assert np.isnan(found["Y"][1:, 0, 1]).all()
    assert_same_bits(found["Y"][0], clean["Y"][0])


def test_large_and_tiny_numbers_of_float16() -> None:
    """What is too large for it becomes infinite, and what is denormal stays so."""
    node = node_of("RNN", 3, 2, 4, 4, activations=["Affine"], activation_alpha=[1.0], activation_beta=[0.0])
    for scale in (1e9, 30000.0, 1e-6):
        x = random((3, 2, 4), seed=7, scale=scale).clip(-65504, 65504)
        half = in_halves(node.but(X=x))
        right = by_us(replace(half, inputs={key: a.astype("float32") for key, a in half.inputs.items()}))
        found = by_us(half)
        for name, array in found.items():
            with np.errstate(over="ignore"):
                assert_same_bits(array, right[name].astype("float16"))
