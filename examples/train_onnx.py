"""Train the LSTM of an ONNX model, and write it back: its node gets new weights, and all else stays.

The model is made here, as an exporter might write it: an LSTM, and a head that makes a forecast of y. Trained
is the LSTM alone; gradients go through the head, which stays as it is.

python examples/train_onnx.py [folder]
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import lstmfast.onnx
from lstmfast import training

H = 32
path = Path(sys.argv[1] if len(sys.argv) > 1 else ".") / "forecaster.onnx"

rng = np.random.default_rng(0)
shapes = {"W": (1, 4 * H, 1), "R": (1, 4 * H, H), "B": (1, 8 * H), "head_W": (H, 1), "head_b": (1,)}
weights = {name: (0.2 * rng.standard_normal(shape)).astype(np.float32) for name, shape in shapes.items()}
nodes = [
    helper.make_node("LSTM", ["x", "W", "R", "B"], ["Y"], name="lstm", hidden_size=H),
    helper.make_node("Squeeze", ["Y", "axis"], ["y"]),
    helper.make_node("MatMul", ["y", "head_W"], ["product"]),
    helper.make_node("Add", ["product", "head_b"], ["forecast"]),
]
values = [helper.make_tensor_value_info(name, 1, ["time", "batch", 1]) for name in ("x", "forecast")]
constants = weights | {"axis": np.array([1])}
tensors = [numpy_helper.from_array(array, name) for name, array in constants.items()]
graph = helper.make_graph(nodes, "forecaster", values[:1], values[1:], tensors)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
onnx.save(model, path)


# The training: what is in the file, as layers.

lstm = lstmfast.onnx.layers(path)["lstm"]
print(f"in {path.name}: {lstm}")
head = training.Dense(H, 1)
stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer}
head.load_state_dict({"weight": stored["head_W"].T, "bias": stored["head_b"]})
adam = training.Adam(lstm, learning_rate=1e-2)


def batch() -> tuple[np.ndarray, np.ndarray]:
    """Waves of many lengths, [T, B, 1], and where each is one step later."""
    lengths, starts = rng.uniform(10, 40, 16), rng.uniform(0, 10, 16)
    waves = np.sin(2 * np.pi * (np.arange(61)[:, np.newaxis] / lengths + starts)).astype(np.float32)
    return waves[:-1, :, np.newaxis], waves[1:, :, np.newaxis]


for step in range(1, 301):
    x, target = batch()
    y, _, lstm_tape = lstm.forward(x)
    p, head_tape = head.forward(y)
    loss, dp = training.mean_squared_error(p, target)
    gradients = lstm.backward(lstm_tape, head.backward(head_tape, dp).x)
    clipped, _ = training.clip_global_norm(gradients.parameters, max_norm=1.0)
    adam.step(*clipped)
    if step % 100 == 0:
        print(f"step {step}: loss {loss:.5f}")

trained = lstmfast.onnx.replace(path, {"lstm": lstm})
onnx.checker.check_model(trained, full_check=True)
onnx.save(trained, path)


# What is in the file now.

again = lstmfast.onnx.layers(path)["lstm"]
same = all(np.array_equal(again.parameters[name], array) for name, array in lstm.parameters.items())
print(f"the file has the trained weights: {same}")
x, target = batch()
(forecast,) = ReferenceEvaluator(trained).run(None, {"x": x})
print(f"the model and the layer differ by at most {np.abs(forecast - head(lstm(x)[0])).max():.0e}")
before, after = (
    np.abs(ReferenceEvaluator(each).run(None, {"x": x})[0] - target).mean() for each in (model, trained)
)
print(f"error of its forecasts: {before:.3f} before, {after:.3f} after")
