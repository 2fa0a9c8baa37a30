"""README.md's example does what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ..helpers import run_example

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def test_the_example_with_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = run_example("lstmfast.onnx")
    x = np.random.default_rng(0).standard_normal((100, 8, 3)).astype(np.float32)
    y, (h_n, c_n) = names["lstm"](x)
    for found, expected in zip(names["session"].run(None, {"x": x}), (y, h_n, c_n), strict=True):
        assert np.array_equal(found, expected)
    again = names["lstmfast"].onnx.session(names["trained"])
    assert np.array_equal(again.run(None, {"x": x})[0], y)
    assert repr(names["layer"]) == repr(names["lstm"])
