"""What other engines make of our models: a table in the documentation says it, and each cell is run here."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest

import lstmfast.onnx
from lstmfast._base.kinds import class_named

from ..helpers import ROOT, Array, parts, random
from .engines import ENGINES

onnx = pytest.importorskip("onnx")

pytestmark = pytest.mark.tools

I, H = 3, 5
HARD: Any = ("HardSigmoid", 0.2, 0.5)
STACK: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "batch_first": True}
HEADER = "| layer | ONNX Runtime | OpenVINO | OpenCV | tract | MNN |"
VERDICTS = (RIGHT, WRONG, REFUSED) = ("right", "**wrong, silently**", "refused")


class Row(NamedTuple):
    """A layer, and how it is exported."""

    kind: str
    options: Mapping[str, Any] = MappingProxyType({})
    weights: str = ""
    lengths: bool = False


def rows_of(kind: str) -> dict[str, Row]:
    """The rows of a kind, by their names in the table."""
    return {
        f"`{kind}`": Row(kind),
        f"`{kind}`, 2 layers, bidirectional, batch first": Row(kind, STACK),
        f'`{kind}(direction="reverse")`': Row(kind, {"direction": "reverse"}),
        f"`{kind}(clip=0.3)`": Row(kind, {"clip": 0.3}),
        f"`{kind}`, `lengths=True`": Row(kind, lengths=True),
        f'`{kind}`, "float16"': Row(kind, weights="float16"),
        f'`{kind}`, "bfloat16"': Row(kind, weights="bfloat16"),
        f'`{kind}`, "int8"': Row(kind, weights="int8"),
    }


ROWS: dict[str, Row] = {
    **rows_of("LSTM"),
    "`LSTM(peephole=True)`": Row("LSTM", {"peephole": True}),
    "`LSTM(coupled=True)`": Row("LSTM", {"coupled": True}),
    "`LSTM`, Relu for g": Row("LSTM", {"activations": ("Sigmoid", "Relu", "Tanh")}),
    "`LSTM`, HardSigmoid gates": Row("LSTM", {"activations": (HARD, "Tanh", "Tanh")}),
    **rows_of("GRU"),
    "`GRU(reset_after=False)`": Row("GRU", {"reset_after": False}),
    "`GRU`, Relu for n": Row("GRU", {"activations": ("Sigmoid", "Relu")}),
    **rows_of("RNN"),
    '`RNN(nonlinearity="relu")`': Row("RNN", {"nonlinearity": "relu"}),
}
FORMS = ("free", "fixed")


def table() -> dict[str, list[str]]:
    """The cells by their row's name, as the documentation has them."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))]
    (text,) = [text for text in texts if HEADER in text]
    lines = text.split(HEADER)[1].strip().split("\n\n")[0].splitlines()[1:]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name: found for name, *found in cells}


def said(cell: str, form: str) -> str:
    """What a cell says of a form: of a file of free sizes without states in brackets, if that is another."""
    match = re.fullmatch(r"([^(]+)(?: \((.+)\))?", cell)
    assert match
    return match[2] if form == "free" and match[2] else match[1]


def inputs_of(layer: Any, row: Row, T: int, B: int, states: bool, seed: int) -> dict[str, Array]:
    """What a call takes, by the model's names."""
    given = {"x": random((B, T, I) if layer.batch_first else (T, B, I), seed=seed)}
    if row.lengths:
        given["lengths"] = np.array([T, T - 3, T - 1][:B], np.int32)
    if states:
        state = (layer._depth, B, H)
        given |= {f"{name}_0": random(state, seed=seed + n + 1) for n, name in enumerate(layer._KIND.states)}
    return given


def results(layer: Any, given: dict[str, Array]) -> dict[str, Array]:
    """What our layer makes of it, by the model's names."""
    states = [given[f"{name}_0"] for name in layer._KIND.states if f"{name}_0" in given]
    state = None if not states else states[0] if len(states) == 1 else tuple(states)
    y, end = layer(given["x"], state, lengths=given.get("lengths"))
    return dict(zip(("y", "h_n", "c_n"), (y, *parts(end)), strict=False))


def exported(row: Row, form: str, path: Path) -> tuple[dict[str, Array], dict[str, Array]]:
    """Write a model; return what it takes in two calls, those of the second as "again NAME", and its results.

    With free sizes the second call has others.
    """
    layer = class_named(row.kind)(I, H, seed=0, **row.options)
    if row.weights:
        layer = layer.quantize(row.weights)
    fixed = form == "fixed"
    sizes = {"time": 6, "batch": 2} if fixed else {}
    layer.to_onnx(path, states=fixed, lengths=row.lengths, **sizes)
    plain = layer.dequantize() if row.weights else layer
    given: dict[str, Array] = {}
    expected: dict[str, Array] = {}
    for seed, (prefix, T, B) in enumerate((("", 6, 2), ("again ", *((6, 2) if fixed else (5, 3))))):
        inputs = inputs_of(plain, row, T, B, fixed, 10 * seed)
        given |= {prefix + name: array for name, array in inputs.items()}
        expected |= {prefix + name: array for name, array in results(plain, inputs).items()}
    return given, expected


def judged(found: Mapping[str, Array], expected: Mapping[str, Array]) -> str:
    """Right, or wrong and by so much that it cannot be rounding."""
    if any(found[name].shape != array.shape for name, array in expected.items()):
        return WRONG
    error = max(float(np.abs(found[name] - array).max()) for name, array in expected.items())
    return RIGHT if error < 2e-6 else WRONG if error > 0.02 else f"off by {error}"


def verdict(engine: str, row: Row, form: str, folder: Path) -> str:
    """Run a model in a process of its own."""
    given, expected = exported(row, form, folder / "model.onnx")
    np.savez(folder / "inputs.npz", **given)  # type: ignore[arg-type]
    files = [str(folder / name) for name in ("model.onnx", "inputs.npz", "results.npz")]
    command = [sys.executable, "-m", "tests.onnx.engines", engine, *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    (folder / "log.txt").write_text(done.stdout + done.stderr)
    if done.returncode:
        return REFUSED
    return judged(np.load(folder / "results.npz"), expected)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ROWS)
def test_every_engine(name: str, engine: str, form: str, tmp_path: Path) -> None:
    if importlib.util.find_spec(ENGINES[engine][1]) is None:
        pytest.skip(f"needs {ENGINES[engine][1]}")
    cell = table()[name][list(ENGINES).index(engine)]
    assert verdict(engine, ROWS[name], form, tmp_path) == said(cell, form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ROWS)
def test_our_session(name: str, form: str, tmp_path: Path) -> None:
    """Beside the table it says that our own is always right."""
    pytest.importorskip("onnxruntime")
    given, expected = exported(ROWS[name], form, tmp_path / "model.onnx")
    session = lstmfast.onnx.session(tmp_path / "model.onnx")
    for prefix in ("", "again "):
        inputs = {each.name: given[prefix + each.name] for each in session.get_inputs()}
        found = dict(zip(("y", "h_n", "c_n"), session.run(None, inputs), strict=False))
        assert judged(found, {each: expected[prefix + each] for each in found}) == RIGHT
    assert {node.path for node in lstmfast.onnx.explain(tmp_path / "model.onnx").nodes} == {"lstmfast"}


def test_the_table_has_every_row() -> None:
    cells = table()
    assert list(cells) == list(ROWS)
    for row in cells.values():
        assert len(row) == len(ENGINES)
        assert {said(cell, form) for cell in row for form in FORMS} <= set(VERDICTS)
