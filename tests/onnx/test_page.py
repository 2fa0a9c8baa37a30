"""The examples in docs/onnx.md run as they stand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ..helpers import random
from ..pages import run_page

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import lstmfast.onnx  # noqa: E402


def test_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    encoder = lstmfast.LSTM(3, 4, bidirectional=True, seed=0)
    model = lstmfast.onnx.export(encoder)
    model.graph.node[
        next(n for n, node in enumerate(model.graph.node) if node.op_type == "LSTM")
    ].name = "/encoder/LSTM"
    onnx.save(model, "model.onnx")
    names = {
        "x": random((10, 2, 3)),
        "dy": np.ones((10, 2, 8), np.float32),
        "lstm": lstmfast.LSTM(3, 4, seed=0),
        "onnx": onnx,
    }
    done = run_page("onnx.md", names)
    assert list(done["layers"]) == ["/encoder/LSTM"]
    assert list(lstmfast.onnx.layers("trained.onnx")) == ["/encoder/LSTM"]
    y, _ = encoder(names["x"])
    assert np.array_equal(done["outputs"][0], y)
