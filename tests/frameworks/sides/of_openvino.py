"""OpenVINO's operators LSTMSequence, GRUSequence, RNNSequence."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..outcomes import B, H, I, Outcome, T, inputs, random_like, time_first

NEEDS = ("openvino",)
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def _node(kind: str, D: int = 1, after: bool | None = None) -> Outcome:
    openvino: Any = importlib.import_module("openvino")
    ops: Any = importlib.import_module("openvino.opset14")

    G = _GATES[kind]
    shapes = [(D, G * H, I), (D, G * H, H), (D, (G + 1 if after else G) * H)]
    arrays = dict(zip("WRB", random_like(shapes), strict=True))
    x = ops.parameter([B, T, I], np.float32, "x")
    zero = ops.constant(np.zeros((B, D, H), np.float32))
    lengths = ops.constant(np.full(B, T, np.int32))
    states = [zero, zero] if kind == "LSTM" else [zero]
    weights = [ops.constant(arrays[name]) for name in "WRB"]
    more: dict[str, Any] = {} if after is None else {"linear_before_reset": after}
    node = getattr(ops, f"{kind.lower()}_sequence")(
        x, *states, lengths, *weights, H, "bidirectional" if D == 2 else "forward", **more
    )
    model = openvino.Model([node.output(0)], [x], "layer")
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    given = inputs()
    y = next(iter(compiled(time_first(given)).values()))  # [B, D, T, H]
    y = np.ascontiguousarray(y.transpose(2, 0, 1, 3).reshape(T, B, D * H))
    options = {} if after is None else {"reset_after": after}
    versions = {"openvino": openvino.__version__}
    return Outcome(kind, "openvino", arrays, given, y, options=options, versions=versions)


CASES: dict[str, Callable[[], Outcome]] = {
    "LSTM": partial(_node, "LSTM"),
    "LSTM both ways": partial(_node, "LSTM", 2),
    "GRU": partial(_node, "GRU", after=False),
    "GRU after": partial(_node, "GRU", after=True),
    "GRU both ways": partial(_node, "GRU", 2, after=True),
    "RNN": partial(_node, "RNN"),
}
