"""A row with NaN that spoils the rows beside it, or whose NaN gets lost.

Where: ONNX Runtime's LSTM and GRU turn NaN into numbers where they have a bias
(findings/onnxruntime-bias-loses-nan.sh), so that a broken input looks like a result. Where a batch is
quantised with one scale for all its rows (ONNX Runtime's DynamicQuantizeLSTM), one row's numbers are the
others' matter.
What comes of it: a sensor fails, and the model goes on answering.
Here: NaN stays NaN in its own row, in y and in the state, from its step on; other rows have the bits that
they have without it.
"""

from __future__ import annotations

import sys

import numpy as np

import lstmfast

T, I, H = 6, 5, 19


def main() -> None:
    rng = np.random.default_rng(0)
    for kind in (lstmfast.LSTM, lstmfast.GRU, lstmfast.RNN):
        plain = kind(I, H, seed=0)
        relu = [lstmfast.RNN(I, H, nonlinearity="relu", seed=0)] if kind is lstmfast.RNN else []
        small = [plain.quantize(weights) for weights in ("float16", "bfloat16", "int8")]
        for layer in (plain, *relu, *small):
            for B in (1, 2, 5, 17):
                x = rng.standard_normal((T, B, I)).astype(np.float32)
                expected, _ = layer(x)
                x[3, B // 2, 1] = np.nan
                y, state = layer(x)
                h = state[0] if kind is lstmfast.LSTM else state
                others = np.arange(B) != B // 2
                if not np.array_equal(y[:, others], expected[:, others]):
                    sys.exit(f"lstmfast: {layer!r}: NaN in one of {B} rows changes the others")
                if not np.array_equal(y[:3, B // 2], expected[:3, B // 2]):
                    sys.exit(f"lstmfast: {layer!r}: NaN changes what was before it")
                if not np.isnan(y[3:, B // 2]).all() or not np.isnan(h[:, B // 2]).all():
                    sys.exit(f"lstmfast: {layer!r}: a row goes on with numbers after NaN")
    print("lstmfast: NaN stays in its row, and stays NaN")


def onnx_runtime() -> None:
    import importlib

    import lstmfast.onnx

    onnxruntime = importlib.import_module("onnxruntime")
    model = lstmfast.onnx.export(lstmfast.LSTM(I, H, seed=0)).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    x = np.zeros((T, 1, I), np.float32)
    x[3] = np.nan
    y = session.run(["y"], {"x": x})[0]
    said = "NaN" if np.isnan(y[3:]).all() else "numbers"
    print(f"ONNX Runtime {onnxruntime.__version__}: after a NaN come {said}")


if __name__ == "__main__":
    main()
    try:
        onnx_runtime()
    except Exception as error:  # whatever it does: this is about lstmfast
        print("ONNX Runtime:", error)
