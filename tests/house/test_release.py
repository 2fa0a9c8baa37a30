"""What a release is made of says the same everywhere: versions, wheels, what is asked before it."""

from __future__ import annotations

import importlib.util
import re
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import lstmfast

from ..helpers import ROOT

SAYS = ("pyproject.toml", "CHANGELOG.md", "CITATION.cff")


def script(name: str) -> ModuleType:
    """A program of .ci, which is no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / ".ci" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_version_is_written_once_and_told_alike() -> None:
    said = {
        "pyproject.toml": re.search(r'^version = "(.+)"$', read("pyproject.toml"), re.M),
        "CHANGELOG.md": re.search(r"^## (\d\S*)", read("CHANGELOG.md"), re.M),
        "CITATION.cff": re.search(r"^version: (\S+)$", read("CITATION.cff"), re.M),
    }
    versions = {file: match and match[1] for file, match in said.items()}
    assert versions == dict.fromkeys(said, lstmfast.__version__)
    assert lstmfast.__version__ not in read("CMakeLists.txt")  # which reads it


@pytest.fixture
def released(tmp_path: Path) -> Path:
    """The files of a release, ready."""
    for name in SAYS:
        shutil.copyfile(ROOT / name, tmp_path / name)
    change(tmp_path, "CHANGELOG.md", r"^(## \d\S*).*$", r"\1 (2026-12-31)")
    return tmp_path


def change(folder: Path, name: str, pattern: str, replacement: str) -> None:
    text = (folder / name).read_text(encoding="utf-8")
    changed, count = re.subn(pattern, replacement, text, count=1, flags=re.M)
    assert count == 1
    (folder / name).write_text(changed, encoding="utf-8")


def test_a_release_is_checked(released: Path) -> None:
    check: Any = script("check_release")
    tag = f"v{lstmfast.__version__}"
    assert check.mistakes(tag, released) == []
    assert len(check.mistakes("v9.9", released)) == len(SAYS)


@pytest.mark.parametrize(
    ("name", "pattern", "replacement"),
    [
        ("pyproject.toml", r'^version = ".*"', 'version = "0.0.1"'),
        ("CITATION.cff", r"^version: .*", "version: 0.0.1"),
        ("CHANGELOG.md", r"^## \d\S*", "## 0.0.1"),
        ("CHANGELOG.md", r"^(## \d\S*).*$", r"\1 (unreleased)"),
        ("CHANGELOG.md", r"^(## \d\S*).*$", r"\1"),
    ],
)
def test_a_release_that_is_not_ready(released: Path, name: str, pattern: str, replacement: str) -> None:
    check: Any = script("check_release")
    change(released, name, pattern, replacement)
    (mistake,) = check.mistakes(f"v{lstmfast.__version__}", released)
    assert mistake.startswith(f"{name}: expected ")


def test_wheels_are_made_for_every_python_that_is_named() -> None:
    named = set(re.findall(r"Programming Language :: Python :: 3\.(\d+)", read("pyproject.toml")))
    built = set(re.findall(r'"cp3(\d+)-\*"', read("pyproject.toml")))
    assert named == built


def test_the_offline_build_asks_for_what_pyproject_names() -> None:
    offline: Any = script("offline")
    names = {re.split(r"[><=]", name)[0] for name in offline.requirements()}
    assert names == {"scikit-build-core", "pybind11", "numpy"}


def test_options_reach_every_compiler_in_its_own_form() -> None:
    """Through the function that clang-cl needs; but for two that say themselves what is not for it."""
    text = read("CMakeLists.txt")
    direct = re.findall(r"^ *target_compile_options\((\S+) .*$", text, re.M)
    assert sorted(set(direct)) == ["${target}", "bindings", "fast_bindings", "lstmfast_options"]
    gnu = re.findall(r"^ *target_compile_options\(lstmfast_options INTERFACE(.*)$", text, re.M)
    assert all("LSTMFAST_SANITIZE" in line or not line.strip() for line in gnu)
