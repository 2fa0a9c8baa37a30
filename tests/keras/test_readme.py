"""README.md's example of a Keras model does what it says."""

from __future__ import annotations

import pytest

from ..helpers import run_example

keras = pytest.importorskip("keras")

import lstmfast.keras  # noqa: E402 - which needs it


def test_the_example(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "KERAS_BACKEND", keras.backend.backend()
    )  # which the example sets, and has no say in any more
    if keras.backend.backend() == "numpy":
        pytest.skip("Keras does not train on NumPy")
    names = run_example("lstmfast.keras")
    assert capsys.readouterr().out.startswith("lstmfast")
    gru = names["model"].layers[1]
    assert lstmfast.keras.explain(gru).path == "lstmfast"
    lstmfast.keras.restore(names["model"])
    assert type(gru) is keras.layers.GRU
