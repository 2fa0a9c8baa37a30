"""README.md's example of a Keras model does what it says."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ..helpers import ROOT

keras = pytest.importorskip("keras")

import lstmfast.keras  # noqa: E402 - which needs it


def test_the_example(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "KERAS_BACKEND", keras.backend.backend()
    )  # which the example sets, and has no say in any more
    if keras.backend.backend() == "numpy":
        pytest.skip("Keras does not train on NumPy")
    examples = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.S | re.M
    )
    (example,) = (text for text in examples if "lstmfast.keras" in text)
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    assert capsys.readouterr().out.startswith("lstmfast")
    gru = names["model"].layers[1]
    assert lstmfast.keras.explain(gru).path == "lstmfast"
    lstmfast.keras.restore(names["model"])
    assert type(gru) is keras.layers.GRU
