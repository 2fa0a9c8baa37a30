"""The caches that the core found, and what it decides by them, as Python sees them."""

from __future__ import annotations

import pytest

from lstmfast import _core


def test_caches_grow_outwards() -> None:
    sizes = _core.caches()
    assert list(sizes) == [name for name in ("L1d", "L2", "L3") if name in sizes]
    assert list(sizes.values()) == sorted(sizes.values())
    assert all(size >= 4096 for size in sizes.values())


def test_heuristics_of_an_isa(isa: str) -> None:
    found = _core.heuristics(isa)
    assert list(found) == ["ask_from", "merge_few_from", "merge_from"]
    assert 0 < found["ask_from"] <= found["merge_few_from"] <= found["merge_from"] <= 16 << 20


def test_heuristics_of_an_unknown_isa() -> None:
    with pytest.raises(ValueError, match="isa: expected one of"):
        _core.heuristics("mmx")
