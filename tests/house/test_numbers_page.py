"""Tests that a page of the docs names, as what holds its promises, are there."""

from __future__ import annotations

import re

from ..helpers import ROOT

PAGE = (ROOT / "docs" / "numerics.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.(?:py|cpp))(?:::(\w+))?`", PAGE)


def test_they_are_there() -> None:
    missing = [
        f"{path}::{name}"
        for path, name in NAMED
        if not (ROOT / path).is_file()
        or (name and f"\ndef {name}(" not in (ROOT / path).read_text(encoding="utf-8"))
    ]
    assert missing == []


def test_every_promise_names_one() -> None:
    """Each paragraph, entry of a list and row of a table between these headings, but those of exceptions."""
    begin, end = PAGE.index("\n## Equal bits\n"), PAGE.index("\n## Smaller weights\n")
    rows = [line for line in PAGE[begin:end].splitlines() if line.startswith("| ")]
    promised = [
        row for row in rows if "what may change" not in row and "way in" not in row and "---" not in row
    ]
    promised += re.findall(r"^- \*.*?(?=^-|^$)", PAGE[begin:end], re.M | re.S)
    assert len(promised) > 25
    assert [text for text in promised if "`tests/" not in text] == []
