"""The Python on the pages that need no framework runs, and prints what they say; no page's is forgotten."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import lstmfast

from ..helpers import ROOT, random
from ..pages import DOCS, blocks, run_page

# What their readers have already; others are tested beside the framework that they are about.
ALONE = ["how-it-works.md", "index.md", "smaller-weights.md", "streaming.md", "training.md"]


@pytest.mark.parametrize("page", ALONE)
def test_it_does_what_it_says(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if any(".save(" in block.code for block in blocks(page)):
        pytest.importorskip("safetensors")
    monkeypatch.chdir(tmp_path)
    run_page(page)


def test_the_pictures_are_of_the_code_beside_them() -> None:
    """One step forward and back: the page's weights are those of the picture."""
    done = run_page("how-it-works.md")
    for name in ("forward", "backward"):
        svg = (DOCS / "pictures" / f"{name}.svg").read_text(encoding="utf-8")
        shown = json.loads(svg.split("<metadata>")[1].split("</metadata>")[0])["numbers"]
        dz = done["grads"].parameters["bias_ih_l0"]
        np.testing.assert_allclose(
            [*dz, done["dh"].item(), done["dc"].item()], [*shown["dz"], *shown["dbefore"][1:]], rtol=1e-3
        )
        np.testing.assert_allclose([done["h"].item(), done["c"].item()], shown["after"], rtol=1e-3)


def test_conventions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    class Layer:
        """What gives weights as Keras does."""

        def get_weights(self) -> list[np.ndarray]:
            return [random(shape) for shape in ((8, 128), (32, 128), (128,))]

    class Module:
        """What gives weights as PyTorch does."""

        def state_dict(self) -> dict[str, np.ndarray]:
            return lstmfast.LSTM(8, 32, seed=0).state_dict()

    amp = lstmfast.LSTM(1, 3, seed=0)
    rest = {
        "head_weight": random((3,)),
        "head_bias": random((1,)),
        "h_0": random((1, 3)),
        "c_0": random((1, 3)),
    }
    Path("amp.nam").write_text(json.dumps(amp.to_weights("nam", rest=rest)), encoding="utf-8")
    deep = lstmfast.LSTM(40, 128, num_layers=2, bidirectional=True, seed=0)
    names = {
        "keras_layer": Layer(),
        "module": Module(),
        "variables": {"params": {"GRUCell_0": lstmfast.GRU(3, 4, seed=0).to_weights("flax")}},
        "numbers": deep.to_weights("cudnn"),
        "x": random((20, 1, 1)),
        "json": json,
    }
    with open("again.nam", "w", encoding="utf-8") as file:
        done = run_page("conventions.md", names | {"file": file})
    assert done["out"].shape == (20, 1)
    assert json.loads(Path("again.nam").read_text()) == json.loads(Path("amp.nam").read_text())
    assert all(np.array_equal(w, deep.parameters[name]) for name, w in done["lstm"].parameters.items())


def test_no_page_is_forgotten() -> None:
    """A page with Python on it is given to `run_page` by some test."""
    tests = [path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("*/test_*.py")]
    run = {page for text in tests for page in re.findall(r'\brun_page\(\s*"([\w/.-]+)"', text)} | {*ALONE}
    pages = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md") if blocks(path)}
    assert run == pages


def test_no_block_is_hidden() -> None:
    """Python stands between plain fences, at the beginning of its lines: no other would be found and run."""
    pages = [*DOCS.rglob("*.md")]
    assert pages
    wrong = [
        (path.name, line)
        for path in pages
        for line in re.findall(r"^.*(?:```|~~~).*\bpy.*$", path.read_text(encoding="utf-8"), re.M)
        if line != "```python"
    ]
    assert wrong == []
