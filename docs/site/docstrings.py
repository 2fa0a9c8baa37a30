"""Docstrings as Markdown: examples in their prose become blocks of code, and a product like D*H stays one."""

from __future__ import annotations

import re
from typing import Any

import griffe

SECTION = re.compile(r"^Parameters\n-+\n.*?(?=^\w[\w ]*\n---|\Z)", re.S | re.M)
TOGETHER = re.compile(r"^(\w+(?:, \w+)+)\n((?:[ ]{4}.*\n?|\n(?=[ ]{4}))+)", re.M)
EXAMPLE = re.compile(r"(?:^|(?<=\n\n))(>>> .*?)(?=\n\n|\Z)", re.S)
CODE = re.compile(r"(``.+?``|`[^`]+`)")
TYPED = re.compile(r"\*{,2}\w[\w, *()]* : ")
PRODUCT = re.compile(r"(?<=[\w)])\*(?=[\w(])")


class AsMarkdown(griffe.Extension):  # type: ignore[misc] # Any, to mypy
    """Change every docstring as it is found."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:  # noqa: ANN401 - what griffe hands on
        """Change one."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    """Return a docstring so that Markdown takes nothing in it for what it is not.

    Examples are fenced, for they would be quotations of quotations, but for those in a section of their own.
    A product's sign would be half of an emphasis. Parameters that are told of together, and whose types the
    signature has, would all get the first one's: each is told of by itself.
    """
    text = SECTION.sub(lambda section: TOGETHER.sub(_one_by_one, section[0]), text)
    head, rule, rest = text.partition("\nExamples\n---")
    parts = re.split(r"(^```pycon\n.*?^```$)", EXAMPLE.sub(r"```pycon\n\1\n```", head), flags=re.S | re.M)
    parts[::2] = map(_products, parts[::2])
    return "".join(parts) + rule + rest


def _one_by_one(entry: re.Match[str]) -> str:
    told = entry[2].rstrip("\n")
    return "".join(f"{name}\n{told}\n" for name in entry[1].split(", ")) + entry[2][len(told) + 1 :]


def _products(text: str) -> str:
    """Escape signs of products, but for those in code, and in types of arguments, which are shown as code."""
    lines = text.split("\n")
    code: int | None = None  # how far what leads to a block of code stands in
    for n, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if line and code is not None and indent <= code:
            code = None
        if code is None and not TYPED.match(line):
            spans = CODE.split(line)
            spans[::2] = [PRODUCT.sub(r"\\*", span) for span in spans[::2]]
            lines[n] = "".join(spans)
        if line.endswith("::"):
            code = indent
    return "\n".join(lines)
