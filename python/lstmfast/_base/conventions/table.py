"""The table: a row for each convention. What is asked of it."""

from __future__ import annotations

from collections.abc import Mapping

from .. import checks
from . import engines, frameworks
from .convention import Convention
from .forms import Form

TABLE: Mapping[str, Convention] = {row.name: row for row in (*frameworks.ROWS, *engines.ROWS)}


def row(name: object) -> Convention:
    """Find a row by its name."""
    expected = f"convention: expected one of {', '.join(map(repr, TABLE))}"
    if not isinstance(name, str):
        raise TypeError(f"{expected}, got {checks.shown(name)}")
    if name not in TABLE:
        raise ValueError(f"{expected}, got {checks.shown(name)}")
    return TABLE[name]


def forms(convention: Convention, kind: str) -> tuple[Form, ...]:
    """Find the forms of a kind of layer."""
    if kind not in convention.forms:
        there = " or ".join(convention.forms)
        raise ValueError(
            f"convention: expected one that has {kind}, got {convention.name!r}, which has {there}"
        )
    return convention.forms[kind]
