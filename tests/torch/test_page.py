"""The examples in docs/pytorch.md run as they stand."""

from __future__ import annotations

from typing import Any

import pytest

from ..pages import run_page

torch = pytest.importorskip("torch")

import lstmfast.torch  # noqa: E402


def test_the_page() -> None:
    class Model(torch.nn.Module):  # type: ignore[misc, name-defined]
        """A model with a layer, whose reset and lengths its reader has at hand."""

        def __init__(self) -> None:
            super().__init__()
            self.lstm = torch.nn.LSTM(3, 5)

        def forward(self, x: Any) -> Any:
            return self.lstm(x)[0]

    model = Model()
    inputs = {f"x{n}": torch.randn(10, 4, 3) for n in (1, 2)}
    h, c = torch.zeros(2, 1, 5)
    state = {"hx": (torch.zeros(1, 4, 5), torch.zeros(1, 4, 5)), "h": h, "c": c}
    starts = torch.zeros(100, 4, dtype=torch.bool)
    module = lstmfast.torch.LSTM(3, 5)
    names = {"model": model, "module": module, "x": torch.randn(100, 4, 3), "episode_starts": starts}
    done = run_page("pytorch.md", names | state | inputs)
    assert done["y"].shape == (100, 4, 5)
    assert lstmfast.torch.report(model)[0].accelerated
