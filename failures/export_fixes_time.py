"""An exported model that takes as many steps, or rows, as the example had.

Where: PyTorch's exporters, which write the example's sizes where they trace through a shape
(https://github.com/pytorch/pytorch/issues/41774; https://github.com/pytorch/pytorch/issues/45653 is the
warning about the batch); Keras on PyTorch, whose file of a free time axis makes one step. findings/ has both,
as they are today.
What comes of it: the first minute of every recording, or an error at the first batch of another size.
Here: `to_onnx` writes axes that are free, time, batch, or both, and the file gives the layer's numbers at any
of them; where a size is wanted it is said, `time=` and `batch=`.
"""

from __future__ import annotations

import importlib
import sys

import numpy as np

import lstmfast


def main() -> None:
    try:
        onnxruntime = importlib.import_module("onnxruntime")
        onnx = importlib.import_module("lstmfast.onnx")
        importlib.import_module("onnx")
    except ImportError as error:
        print(f"not run: {error}")
        return
    rng = np.random.default_rng(0)
    layers = (
        lstmfast.LSTM(3, 5, num_layers=2, bidirectional=True, batch_first=True, seed=0),
        lstmfast.LSTM(3, 5, peephole=True, clip=0.5, seed=0),
        lstmfast.GRU(3, 5, bidirectional=True, seed=0),
        lstmfast.RNN(3, 5, num_layers=2, seed=0),
    )
    for layer in layers:
        model = onnx.export(layer, lengths=True).SerializeToString()
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        for T, B in ((1, 1), (7, 1), (1, 4), (23, 9), (300, 2)):
            x = rng.standard_normal((B, T, 3) if layer.batch_first else (T, B, 3)).astype(np.float32)
            lengths = rng.integers(1, T + 1, B)
            y = session.run(["y"], {"x": x, "lengths": lengths.astype(np.int32)})[0]
            expected, _ = layer(x, lengths=lengths)
            if y.shape != expected.shape or np.abs(y - expected).max() > 1e-5:
                sys.exit(
                    f"lstmfast: a file of {layer!r} gives {y.shape}, not {expected.shape}, or other numbers"
                )
    print(f"lstmfast: its files take any number of steps and rows (ONNX Runtime {onnxruntime.__version__})")


if __name__ == "__main__":
    main()
