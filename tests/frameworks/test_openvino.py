"""OpenVINO's sequences: float32, forward alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .helpers import B as ROWS
from .helpers import Call, H, I, Result, T, Tree, prove, randomised

openvino = pytest.importorskip("openvino")

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def run(kind: str, direction: str, after: bool, arrays: Tree, call: Call) -> Result:
    """Run a sequence whose weights are constants of the model; batch first, [B, D, T, H] come out."""
    ov = openvino.opset13
    x = np.ascontiguousarray(call.x.swapaxes(0, 1))
    fed = [x, *(np.ascontiguousarray(part.swapaxes(0, 1)) for part in call.state)]
    parameters = [ov.parameter(array.shape, np.float32) for array in fed]
    lengths = ov.constant(np.full(ROWS, T, np.int64))
    constants = [ov.constant(np.array(arrays[name])) for name in "WRB"]
    options: dict[str, Any] = {"linear_before_reset": after} if kind == "GRU" else {}
    make = getattr(ov, f"{kind.lower()}_sequence")
    sequence = make(*parameters, lengths, *constants, arrays["R"].shape[2], direction, **options)
    model = openvino.compile_model(
        openvino.Model(sequence.outputs(), parameters), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    y, *state = model(fed).values()
    return Result(y.transpose(2, 0, 1, 3).reshape(T, ROWS, -1), tuple(part.swapaxes(0, 1) for part in state))


def numbers(kind: str, D: int, biases: int) -> Tree:
    G = GATES[kind]
    shapes = {"W": (D, G * H, I), "R": (D, G * H, H), "B": (D, biases * H)}
    return randomised({name: np.empty(shape) for name, shape in shapes.items()}, "float32")


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("kind", ["LSTM", "RNN"])
def test_lstm_and_rnn(kind: str, direction: str) -> None:
    arrays = numbers(kind, 2 if direction == "bidirectional" else 1, GATES[kind])
    prove(kind, "openvino", arrays, lambda *asked: run(kind, direction, False, *asked), dtype="float32")


@pytest.mark.parametrize("direction", ["forward", "bidirectional"])
@pytest.mark.parametrize("after", [False, True])
def test_gru(after: bool, direction: str) -> None:
    """With r after the product the biases have a fourth block: n's beside h."""
    arrays = numbers("GRU", 2 if direction == "bidirectional" else 1, 4 if after else 3)
    prove("GRU", "openvino", arrays, lambda *asked: run("GRU", direction, after, *asked), dtype="float32")
