"""Docstrings as Markdown: examples within their prose become blocks of code, as in a section of examples."""

from __future__ import annotations

import re
from typing import Any

import griffe

EXAMPLE = re.compile(r"(?:^|(?<=\n\n))(>>> .*?)(?=\n\n|\Z)", re.S)


class Examples(griffe.Extension):
    """Fence what begins with `>>>`, which Markdown takes for quotations of quotations."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:  # noqa: ANN401 - what griffe hands on
        """Look at every docstring as it is found."""
        if obj.docstring is not None and ">>>" in obj.docstring.value:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(text: str) -> str:
    """Fence examples, but for those in a section of their own, which need no fence."""
    head, rule, rest = text.partition("\nExamples\n---")
    return EXAMPLE.sub(r"```pycon\n\1\n```", head) + rule + rest
