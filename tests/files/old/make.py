"""What lstmfast of one version pickles and saves, kept so that later versions show that they read it.

Run once with that version installed, and NumPy 1 (whose pickles every NumPy reads): python make.py FOLDER.
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np

import lstmfast

X = np.random.default_rng(1).uniform(-1, 1, (5, 2, 3)).astype(np.float32)


def models() -> dict[str, Any]:
    """One of each class, dtype and kind of weights."""
    lstm = lstmfast.LSTM(3, 4, 2, seed=0)
    return {
        "lstm": lstm,
        "lstm_float64": lstmfast.LSTM(3, 4, bias=False, bidirectional=True, dtype="float64", seed=1),
        "lstm_projected": lstmfast.LSTM(3, 6, 2, dropout=0.25, proj_size=2, seed=2),
        "rnn_tanh": lstmfast.RNN(3, 4, 2, seed=3),
        "rnn_relu": lstmfast.RNN(3, 5, nonlinearity="relu", batch_first=True, seed=4),
        "lstm_float16": lstm.quantize("float16"),
        "lstm_bfloat16": lstm.quantize("bfloat16"),
        "lstm_int8": lstm.quantize("int8", X),
        "rnn_int8": lstmfast.RNN(3, 4, seed=3).quantize("int8"),
    }


def others(lstm: lstmfast.LSTM) -> dict[str, Any]:
    """What else can be pickled, in the midst of its work."""
    stream = lstm.stream(2)
    stream.run(X)
    pool = lstm.stream_pool(3)
    first, second = pool.open(), pool.open()
    pool.step([second, first], X[0])
    _, _, tape = lstm.forward(X)
    return {
        "stream": stream,
        "snapshot": stream.snapshot(),
        "pool": pool,
        "gradients": lstm.backward(tape, np.ones((5, 2, 4), np.float32)),
        "flow": lstmfast.gradient_flow(lstm, X, lambda y: (0.0, np.ones_like(y))),
        "comparison": lstmfast.compare(lstm, lstm.quantize("int8"), X),
    }


def main(folder: Path) -> None:
    """Write every pickle and file, and what the models give for X."""
    folder.mkdir(parents=True)
    made = models()
    for name, model in made.items():
        model.save(folder / f"{name}.safetensors")
    for name, value in {**made, **others(made["lstm"])}.items():
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(value, protocol=4))
    np.savez(folder / "outputs.npz", x=X, **{name: model(X)[0] for name, model in made.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
