"""What fuzzing has kept of each target, run once more; tests/core/fuzz does it for the core's own targets."""

from __future__ import annotations

import importlib
import re

import pytest

from ..helpers import ROOT

FOLDER = ROOT / "tests/fuzz"
TARGETS = sorted(path.stem for path in (FOLDER / "targets").glob("[a-z]*.py"))
NEEDS = {"files": ("safetensors",), "onnx_models": ("onnx",)}


@pytest.mark.parametrize("target", TARGETS)
def test_corpus(target: str) -> None:
    for package in NEEDS.get(target, ()):
        pytest.importorskip(package)
    module = importlib.import_module(f"tests.fuzz.targets.{target}")
    inputs = sorted((FOLDER / "corpus" / target).iterdir())
    assert inputs, "no corpus"
    for path in inputs:
        try:
            module.one(path.read_bytes())
        except Exception as error:
            raise AssertionError(f"{path.relative_to(ROOT)}: {error}") from error


def test_each_target_has_a_corpus() -> None:
    lists = (ROOT / "tests/core/fuzz/CMakeLists.txt").read_text(encoding="utf-8")
    (names,) = re.findall(r"^set\(targets ([a-z_ \n]+)\)$", lists, re.M)
    expected = [*(f"core_{name}" for name in names.split()), *TARGETS]
    assert sorted(path.name for path in (FOLDER / "corpus").iterdir()) == sorted(expected)


def test_the_corpus_is_small() -> None:
    sizes = [path.stat().st_size for path in (FOLDER / "corpus").rglob("*") if path.is_file()]
    assert sum(sizes) < 300_000
