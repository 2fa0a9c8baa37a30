"""What is right of a node: by our reference in float64, and, bit by bit, by a layer of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import lstmfast
from lstmfast.reference import Reference

from ..helpers import Array
from .session_helpers import GATES, WEIGHTS, Node

USUAL = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}

# What alpha and beta are where a node does not say: of the operators of these names, and in ONNX Runtime.
DEFAULTS: dict[str, tuple[float, ...]] = {
    "Affine": (1.0, 0.0),
    "LeakyRelu": (0.01,),
    "ThresholdedRelu": (1.0,),
    "ScaledTanh": (1.0, 1.0),
    "HardSigmoid": (0.2, 0.5),
    "Elu": (1.0,),
}
RUNTIMES = DEFAULTS | {"Affine": (0.0, 0.0), "ThresholdedRelu": (0.0,), "ScaledTanh": (0.0, 0.0)}
FUNCTIONS = (*DEFAULTS, "Tanh", "Sigmoid", "Relu", "Softsign", "Softplus")


def as_runtime(node: Node) -> bool:
    """Whether ONNX Runtime could run it, so that what it does is what ours does."""
    return node.dtype != np.float64 and not node.batchwise


def truth(node: Node) -> dict[str, Array]:
    """What the node's results are, in float64."""
    given = {name: array.astype("float64") for name, array in node.inputs.items()}
    D, _, H = given["R"].shape
    direction = node.attributes.get("direction", "forward")
    x = given["X"].swapaxes(0, 1) if node.batchwise else given["X"]
    T, B = x.shape[:2]
    states = [given.get("initial_h"), given.get("initial_c")]
    h0, c0 = (half.swapaxes(0, 1) if half is not None and node.batchwise else half for half in states)
    lengths = node.inputs.get("sequence_lens", np.full(B, T)).astype(int)
    y, ends = np.zeros((T, D, B, H)), np.zeros((2, D, B, H))
    for d in range(D):
        reverse = direction == "reverse" or d == 1
        for b in range(B):
            cut = slice(lengths[b])
            halves = [None if half is None else half[d : d + 1, b : b + 1] for half in (h0, c0)]
            if lengths[b] == 0:
                for end, half in zip(ends, halves, strict=True):
                    end[d, b] = 0 if half is None or as_runtime(node) else half[0, 0]
                continue
            network = reference_of(node, d, reverse)
            found, (h_n, c_n), _ = network.forward(
                x[cut, b : b + 1], halves[0], halves[1] if node.operator == "LSTM" else None
            )
            y[cut, d, b] = found[:, 0]
            ends[0, d, b] = h_n[0, 0]
            if c_n is not None:
                ends[1, d, b] = c_n[0, 0]
    if node.batchwise:
        y, ends = y.transpose(2, 0, 1, 3), ends.swapaxes(1, 2)
    results = {"Y": y, "Y_h": ends[0], "Y_c": ends[1]}
    return {name: results[name] for name in node.outputs}


def reference_of(node: Node, d: int, reverse: bool) -> Reference:
    """One direction of the node."""
    operator, count = node.operator, len(USUAL[node.operator])
    after = node.attributes.get("linear_before_reset", 0) == 1
    cell = {"LSTM": "lstm", "GRU": "gru" if after else "gru_reset_before", "RNN": "rnn_tanh"}[operator]
    return Reference(
        cell,
        {f"{name}_l0": array.astype("float64") for name, array in parameters_of(node, d).items()},
        coupled=is_coupled(node),
        clip=clip_of(node),
        activations=tuple(activations_of(node)[d * count : (d + 1) * count]),
        reverse=reverse,
    )


def layer_of(node: Node, **options: Any) -> Any:
    """The node as a layer of ours; its activations must be the same in both directions."""
    direction, given = node.attributes.get("direction", "forward"), node.inputs
    functions = activations_of(node)[: len(USUAL[node.operator])]
    options |= {
        "bidirectional": direction == "bidirectional",
        "direction": "reverse" if direction == "reverse" else "forward",
        "batch_first": node.batchwise,
        "bias": "B" in given,
        "clip": clip_of(node),
        "activations": [(name, *numbers) if numbers else name for name, numbers in functions],
        "dtype": node.dtype,
    }
    if node.operator == "LSTM":
        options |= {"peephole": "P" in given, "coupled": is_coupled(node)}
    if node.operator == "GRU":
        options["reset_after"] = node.attributes.get("linear_before_reset", 0) == 1
    layer = getattr(lstmfast, node.operator)(given["X"].shape[-1], given["R"].shape[-1], **options)
    weights: dict[str, Array] = {}
    for d, way in enumerate(("", "_reverse")[: len(given["R"])]):
        weights |= {f"{name}_l0{way}": array for name, array in parameters_of(node, d).items()}
    layer.load_state_dict(weights)
    return layer


def by_layer(node: Node, layer: Any) -> dict[str, Array]:
    """What a layer makes of the node's inputs, in ONNX's form."""
    given, B = node.inputs, node.inputs["X"].shape[0 if node.batchwise else 1]
    state: Any = [given.get("initial_h"), given.get("initial_c")]
    if node.batchwise:
        state = [None if half is None else half.swapaxes(0, 1) for half in state]
    y, end = layer(
        given["X"],
        tuple(state) if node.operator == "LSTM" else state[0],
        lengths=given.get("sequence_lens"),
    )
    D, _, H = given["R"].shape
    y = y.reshape(*y.shape[:2], D, H)
    ends = end if node.operator == "LSTM" else (end, None)
    results = {"Y": y if node.batchwise else y.swapaxes(1, 2)}
    for name, half in zip(("Y_h", "Y_c"), ends, strict=True):
        if half is not None:
            assert half.shape == (D, B, H)
            results[name] = half.swapaxes(0, 1) if node.batchwise else half
    return {name: np.ascontiguousarray(results[name]) for name in node.outputs}


def is_coupled(node: Node) -> bool:
    """Whether f is 1 - i."""
    return node.operator == "LSTM" and node.attributes.get("input_forget", 0) == 1


def clip_of(node: Node) -> float | None:
    """Its clip, as the float32 that an attribute is."""
    return float(np.float32(node.attributes["clip"])) if "clip" in node.attributes else None


def parameters_of(node: Node, d: int) -> dict[str, Array]:
    """The weights of a direction by our names, in our orders."""
    given = {name: array[d] for name, array in node.inputs.items() if name in WEIGHTS}
    coupled = is_coupled(node)
    # ONNX's i o f c and z r h as our i f g o, i g o and r z n; its peepholes i o f as our i f o and i o.
    order = {"LSTM": [0, 3, 1] if coupled else [0, 2, 3, 1], "GRU": [1, 0, 2], "RNN": [0]}[node.operator]

    def gates(array: Array) -> Array:
        parts = np.split(array, GATES[node.operator])
        return np.concatenate([parts[gate] for gate in order])

    parameters = {"weight_ih": gates(given["W"]), "weight_hh": gates(given["R"])}
    if "B" in given:
        parameters["bias_ih"], parameters["bias_hh"] = map(gates, np.split(given["B"], 2))
    if "P" in given:
        peepholes = np.split(given["P"], 3)
        parameters["weight_ch"] = np.stack([peepholes[gate] for gate in ([0, 1] if coupled else [0, 2, 1])])
    return parameters


def activations_of(node: Node) -> list[tuple[str, tuple[float, ...]]]:
    """Each direction's functions with their numbers, dealt out in order as far as they last."""
    lists = (node.attributes.get(f"activation_{kind}", ()) for kind in ("alpha", "beta"))
    given = [iter(np.array(numbers, np.float32).tolist()) for numbers in lists]
    defaults = RUNTIMES if as_runtime(node) else DEFAULTS
    by_lower = {name.lower(): name for name in FUNCTIONS}
    found = []
    for name in node.attributes.get("activations", USUAL[node.operator] * 2):
        proper = by_lower[name.lower()]
        numbers = [
            next(numbers, default) for numbers, default in zip(given, defaults.get(proper, ()), strict=False)
        ]
        found.append((proper, tuple(numbers)))
    return found


def assert_close(
    found: Mapping[str, Array], right: Mapping[str, Array], bound: float, what: object = ""
) -> None:
    """Compare results by name: to `bound`, relative to the largest number where that is more than 1."""
    assert list(found) == list(right)
    for name, expected in right.items():
        array = found[name]
        assert array.shape == expected.shape, f"{what} {name}: {array.shape}, {expected.shape}"
        if not expected.size:
            continue
        scale = max(1.0, float(np.abs(expected).max()))
        error = float(np.abs(array.astype("float64") - expected).max()) / scale
        assert error <= bound, f"{what} {name}: off by {error:.3g}, more than {bound:.3g}"
