"""The suite itself: its tests have the same names at every run, so that they can be run again, or shared out.

pytest-xdist refuses to start where two processes have collected other names.
"""

from __future__ import annotations

import ast
import re

import pytest

from ..helpers import ROOT


def test_names_are_the_same_at_every_run(request: pytest.FixtureRequest) -> None:
    """A set's text has an order of its own in each process, and an object's has its address."""
    changing = re.compile(r"\{'[^':{}]*'(, '[^':{}]*')*\}|\bat 0x[0-9a-f]+")
    names = [item.nodeid for item in request.session.items if changing.search(item.nodeid)]
    assert names == []


def test_who_needs_pytorch_takes_its_fixture() -> None:
    """Or is not among the tests `beside_torch`, all that CI's session with PyTorch runs."""
    asks = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for function in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(function, ast.FunctionDef)
        for call in ast.walk(function)
        if isinstance(call, ast.Call) and ast.unparse(call) == "pytest.importorskip('torch')"
    ]
    assert asks == []
