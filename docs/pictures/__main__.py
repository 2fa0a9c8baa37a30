"""Draw the pictures of the pages: `python docs/pictures`, with lstmfast and matplotlib installed.

They are committed, small as they are: so pages have them in the repository, too, and the site is built
without a compiler. `--check` says which no longer show what the code computes, or were drawn by other code.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numbers_drawn import PICTURES, Numbers

HERE = Path(__file__).parent


def drawn_by() -> str:
    """Return a hash of all code in this folder."""
    sources = (path.read_bytes() for path in sorted(HERE.glob("*.py")))
    return hashlib.sha256(b"\0".join(sources)).hexdigest()[:16]


def draw() -> None:
    """Draw all."""
    import cells
    import curves
    import layouts
    import matplotlib as mpl
    import svg

    with mpl.rc_context(svg.STYLE):
        for name, numbers in PICTURES.items():
            (function,) = (getattr(room, name) for room in (cells, curves, layouts) if hasattr(room, name))
            shown = numbers()
            metadata = {"drawn_by": drawn_by(), "numbers": rounded(shown)}
            (HERE / f"{name}.svg").write_text(svg.text_of(function(shown), name, metadata), encoding="utf-8")
            print(f"{name}.svg")


def rounded(numbers: Numbers) -> Numbers:
    """Keep four digits, which is more than can be seen."""
    return {name: [float(f"{value:.4g}") for value in values] for name, values in numbers.items()}


def metadata_of(path: Path) -> Any:  # noqa: ANN401 - JSON
    """Return what a picture's file says that it shows, None if it says nothing."""
    found = (
        re.search(r"<metadata>(.*?)</metadata>", path.read_text(encoding="utf-8")) if path.is_file() else None
    )
    return json.loads(found[1]) if found else None


def check() -> list[str]:
    """Say of each picture that is not as it would be drawn now why it is not."""
    wrong = []
    for name, numbers in PICTURES.items():
        path = HERE / f"{name}.svg"
        shown = metadata_of(path)
        now = numbers()
        if shown is None:
            wrong.append(f"{name}: is not there, or says nothing of itself")
        elif shown["drawn_by"] != drawn_by():
            wrong.append(f"{name}: was drawn by other code")
        elif shown["numbers"].keys() != now.keys() or not all(
            np.allclose(shown["numbers"][key], now[key], rtol=1e-3, atol=0) for key in now
        ):
            wrong.append(f"{name}: shows other numbers")
    wrong += [f"{path.stem}: nobody draws it" for path in HERE.glob("*.svg") if path.stem not in PICTURES]
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="draw nothing; see whether they are as they would be"
    )
    if parser.parse_args().check:
        if found := check():
            sys.exit("\n".join([*found, "draw them anew: python docs/pictures"]))
    else:
        draw()
