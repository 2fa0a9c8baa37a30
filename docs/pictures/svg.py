"""Pictures as SVG files that are good in light and in dark, on a page and by themselves.

Text and lines have the colour of the text around them; curves have colours that a page may name anew
(`--blue` and so on in docs/assets/site.css). By itself, as in the repository's own pages, a picture asks the
reader's system whether it is dark. Text stays text. Pictures are as wide as a phone, and grow on a desk.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from lstmfast._base.colours import BLUE, GREEN, GREY, ORANGE

INK = "#010203"  # stands for the text's colour
NAMES = {BLUE: "blue", ORANGE: "orange", GREEN: "green", GREY: "grey"}
WIDTH = 4.2  # inches, 403 pixels

# matplotlib's types name every key.
STYLE: Any = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
}
ALONE = "svg{color:#1a1a1a}@media(prefers-color-scheme:dark){svg{color:#e6e6e6}}"


def figure(height: float) -> Figure:
    """Make an empty picture, so many inches high."""
    return Figure(figsize=(WIDTH, height))


def text_of(picture: Figure, name: str, metadata: Mapping[str, Any]) -> str:
    """Return a picture as the text of its file, with what it shows."""
    file = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        picture.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    for colour, variable in NAMES.items():
        svg = svg.replace(colour.lower(), f"var(--{variable}, {colour})")
    svg = re.sub(r"font-family: [^;\"]*(;|(?=\"))", "", svg)
    svg = re.sub(r"(font: [^;\"]*px) [^;\"]*", r"\1 sans-serif", svg)
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.S)
    # A style sheet is the whole document's: docs/site/hooks.py leaves it out of pages.
    kept = f"<metadata>{json.dumps(metadata)}</metadata>\n <style>{ALONE}</style>"
    head = re.search(r"<svg [^>]*>", svg)
    assert head
    return f"{svg[: head.end()]}\n {kept}{svg[head.end() :]}"
