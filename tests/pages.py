"""The Python on the pages of docs/: a page's blocks, in their order, are one program, and are run as that.

Where a block is followed by one of ```text, that is what it prints, word for word.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from .helpers import ROOT

DOCS = ROOT / "docs"
BLOCK = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\n```text\n(?P<text>.*?)^```\n)?", re.S | re.M)


class Block(NamedTuple):
    """One block of a page."""

    line: int  # of the page, where its code begins, from 0
    code: str
    printed: str | None  # what the page says that it prints


def blocks(page: str | Path) -> list[Block]:
    """All blocks of Python on a page."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [
        Block(text.count("\n", 0, found.start("code")), found["code"], found["text"])
        for found in BLOCK.finditer(text)
    ]


def run_page(
    page: str, names: Mapping[str, Any] | None = None, *, packages: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Run all blocks of a page of docs/ as one program, and return its variables.

    names are what the page's reader has already. Blocks that name one of `packages` are left out where that
    is not installed; all others must run. Where a block fails, the traceback tells the page's line.
    """
    missing = [package for package in packages if not find_spec(package)]
    done: dict[str, Any] = dict(names or {})
    for block in blocks(page):
        if any(re.search(rf"\b{package}\b", block.code) for package in missing):
            continue
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile("\n" * block.line + block.code, DOCS / page, "exec"), done)
        if block.printed is not None:
            assert said.getvalue() == block.printed, f"{page}, line {block.line + 1}"
    return done
