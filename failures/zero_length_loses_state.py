"""A row of no steps whose state becomes zero.

Where: ONNX Runtime and OpenVINO, of LSTM, GRU and RNN with sequence_lens; the operator's text does not say
what is right (https://github.com/onnx/onnx/issues/1674). PyTorch refuses such rows
(https://github.com/pytorch/pytorch/issues/4582).
What comes of it: of streams that are stepped in chunks as one batch, those in which nothing came forget what
they heard.
Here: a row of length 0 keeps its initial state, as does one whose steps are all masked, in every direction,
layer and cell; its gradient passes through. (`lstmfast.onnx.session` does what ONNX Runtime does, for it
stands in its place: docs/onnx.md.)
"""

from __future__ import annotations

import sys

import numpy as np

import lstmfast

T, B, I, H = 5, 3, 4, 6


def main() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((T, B, I)).astype(np.float32)
    mask = np.ones((T, B), bool)
    mask[:, 1] = False
    for kind in (lstmfast.LSTM, lstmfast.GRU, lstmfast.RNN):
        for options in ({}, {"direction": "reverse"}, {"bidirectional": True, "num_layers": 2}):
            layer = kind(I, H, seed=0, **options)
            depth = 4 if options.get("bidirectional") else 1
            halves = 2 if kind is lstmfast.LSTM else 1
            given = tuple(rng.standard_normal((depth, B, H)).astype(np.float32) for _ in range(halves))
            state = given if halves == 2 else given[0]
            for cut in ({"lengths": [T, 0, 2]}, {"mask": mask}):
                y, end, tape = layer.forward(x, state, **cut)
                grads = layer.backward(tape, np.ones_like(y), state)
                ends = end if halves == 2 else (end,)
                dstates = grads.state if halves == 2 else (grads.state,)
                for before, after, gradient in zip(given, ends, dstates, strict=True):
                    said = f"{layer!r} with {next(iter(cut))}"
                    if not np.array_equal(after[:, 1], before[:, 1]):
                        sys.exit(f"lstmfast: {said}: a row without a step has lost its state")
                    if not np.array_equal(gradient[:, 1], before[:, 1]):  # which is dstate, too
                        sys.exit(f"lstmfast: {said}: the gradient of such a row's state is not what came")
                    if np.array_equal(after[:, 0], before[:, 0]):
                        sys.exit(f"lstmfast: {said}: a row with steps has its initial state still")
    print("lstmfast: rows of no steps keep their state")


def onnx_runtime() -> None:
    import importlib

    onnxruntime = importlib.import_module("onnxruntime")
    helper = importlib.import_module("onnx").helper
    given = {
        "X": np.ones((1, 2, 1), np.float32),
        "W": np.ones((1, 1, 1), np.float32),
        "R": np.ones((1, 1, 1), np.float32),
        "sequence_lens": np.array([1, 0], np.int32),
        "initial_h": np.full((1, 2, 1), 0.7, np.float32),
    }
    node = helper.make_node(
        "RNN", ["X", "W", "R", "", "sequence_lens", "initial_h"], ["", "Y_h"], hidden_size=1
    )
    inputs = [
        helper.make_tensor_value_info(name, 6 if name == "sequence_lens" else 1, a.shape)
        for name, a in given.items()
    ]
    graph = helper.make_graph([node], "one", inputs, [helper.make_tensor_value_info("Y_h", 1, (1, 2, 1))])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    kept = session.run(None, given)[0][0, 1, 0]
    print(f"ONNX Runtime {onnxruntime.__version__}: a state of 0.7 is {kept:.1f} after a row of no steps")


if __name__ == "__main__":
    main()
    try:
        onnx_runtime()
    except Exception as error:  # whatever it does: this is about lstmfast
        print("ONNX Runtime:", error)
