"""compare without its timing."""

from __future__ import annotations

import pytest

from lstmfast._small import compare as _compare


@pytest.fixture
def briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is timed but the calls that give the results."""
    monkeypatch.setattr(_compare, "TIMING", 0.0)
