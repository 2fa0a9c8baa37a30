"""The examples in docs/keras.md run as they stand."""

from __future__ import annotations

import pytest

from ..pages import run_page

keras = pytest.importorskip("keras")

import lstmfast.keras  # noqa: E402 - which needs it


def test_the_page() -> None:
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4)])
    run_page("keras.md", {"model": model})
    assert isinstance(model.layers[0], lstmfast.keras.LSTM)
