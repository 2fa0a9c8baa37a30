"""LSTM, GRU and RNN as ONNX has them, as layers of ours: its names, gate orders and axes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import lstmfast

from .helpers import Array

# ONNX's gates, of which ours are these: iofc for i f g o, coupled i g o; zrh for r z n.
GATES = {"LSTM": (0, 2, 3, 1), "GRU": (1, 0, 2), "RNN": (0,)}
COUPLED = (0, 3, 1)
# Its peepholes, iof, for i f o, or coupled i o.
PEEPHOLES, COUPLED_PEEPHOLES = (0, 2, 1), (0, 1)

TAKES_ALPHA = {"Affine", "LeakyRelu", "ThresholdedRelu", "ScaledTanh", "HardSigmoid", "Elu"}
TAKES_BETA = {"Affine", "ScaledTanh", "HardSigmoid"}


class Node(NamedTuple):
    """A node: its operator, attributes and inputs by the operator's names."""

    operator: str
    attributes: dict[str, Any]
    inputs: dict[str, Array]


def run(node: Node) -> dict[str, Array]:
    """Y, Y_h and, of an LSTM, Y_c, by a layer of ours."""
    given, attributes = node.inputs, node.attributes
    batchwise = attributes.get("layout", 0) == 1
    model = layer_of(node)
    D, H = given["R"].shape[0], attributes["hidden_size"]
    state: Any = [given.get("initial_h"), given.get("initial_c")]
    if batchwise:
        state = [None if half is None else half.swapaxes(0, 1) for half in state]
    is_lstm = node.operator == "LSTM"
    y, end = model(given["X"], tuple(state) if is_lstm else state[0], lengths=given.get("sequence_lens"))
    ends = end if is_lstm else (end,)
    y = y.reshape(*y.shape[:2], D, H)
    if not batchwise:
        y = y.swapaxes(1, 2)
    named = zip(("Y_h", "Y_c"), (half.swapaxes(0, 1) if batchwise else half for half in ends), strict=False)
    return {"Y": y, **dict(named)}


def layer_of(node: Node) -> Any:
    """The layer, in the dtype of the node's weights."""
    operator, attributes, given = node
    coupled = attributes.get("input_forget", 0) == 1
    direction = attributes.get("direction", "forward")
    options: dict[str, Any] = {
        "bidirectional": direction == "bidirectional",
        "direction": "reverse" if direction == "reverse" else "forward",
        "batch_first": attributes.get("layout", 0) == 1,
        "bias": "B" in given,
        "clip": attributes.get("clip"),
        "activations": _activations(operator, attributes),
        "dtype": given["W"].dtype,
    }
    if operator == "LSTM":
        options |= {"peephole": "P" in given, "coupled": coupled}
    if operator == "GRU":
        options["reset_after"] = attributes.get("linear_before_reset", 0) == 1
    if operator == "RNN" and options["activations"] == ["Relu"]:
        options |= {"nonlinearity": "relu", "activations": None}
    H = attributes["hidden_size"]
    model = getattr(lstmfast, operator)(given["W"].shape[-1], H, **options)
    gates = COUPLED if coupled else GATES[operator]
    weights = {}
    for d, way in enumerate(("", "_reverse")[: given["R"].shape[0]]):
        of_way = {"weight_ih": given["W"][d], "weight_hh": given["R"][d]}
        if "B" in given:
            of_way["bias_ih"], of_way["bias_hh"] = np.split(given["B"][d], 2)
        for name, array in of_way.items():
            parts = np.split(array, len(GATES[operator]))
            weights[f"{name}_l0{way}"] = np.concatenate([parts[gate] for gate in gates])
        if "P" in given:
            peepholes = COUPLED_PEEPHOLES if coupled else PEEPHOLES
            weights[f"weight_ch_l0{way}"] = np.stack([np.split(given["P"][d], 3)[gate] for gate in peepholes])
    model.load_state_dict(weights)
    return model


def _activations(operator: str, attributes: dict[str, Any]) -> Any:
    """Read them: numbers are consumed in the order of the functions that take any."""
    if "activations" not in attributes:
        return None
    alphas, betas = (iter(attributes.get(f"activation_{name}", ())) for name in ("alpha", "beta"))
    found: list[Any] = []
    for name in attributes["activations"]:
        one = [next(alphas, None)] if name in TAKES_ALPHA else []
        one += [next(betas, None)] if name in TAKES_BETA else []
        given = [number for number in one if number is not None]
        found.append((name, *given) if given else name)
    count = {"LSTM": 3, "GRU": 2, "RNN": 1}[operator]
    assert found == found[:count] * (len(found) // count)  # ours are the same in both directions
    return found[:count]
