"""The house as docs/design.md has it: wings, who may know whom, and no circles."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import lstmfast

from .imports import PACKAGE, circles, graph, modules, wing

# The sources, also where a wheel of them is what is imported.
FOLDER = Path(__file__).parents[2] / "python" / PACKAGE
MOST_WINGS = 18
ALL = "all"
USERS = "users"  # of a public wing that nothing within needs
CORE = "_core"  # compiled, and known by whoever hands it arrays

MODULES = modules(FOLDER)
IMPORTS = graph(FOLDER)
WINGS = sorted({wing(name) for name in MODULES} - {PACKAGE, CORE, "__main__"})


def known_by(folder: Path) -> set[str]:
    """Who may know a wing, by the first line of its first file."""
    first = (folder / "__init__.py").read_text(encoding="utf-8").partition("\n")[0]
    match = re.fullmatch(r"# Known by: ([\w, ]+)", first)
    assert match, f"{folder.name}/__init__.py: expected '# Known by: ...' in the first line, got {first!r}"
    return set(match[1].split(", "))


def test_wings_are_few_packages() -> None:
    assert len(WINGS) <= MOST_WINGS
    assert [name for name in WINGS if not (FOLDER / name / "__init__.py").is_file()] == []


def test_no_module_imports_another_that_imports_it() -> None:
    assert len(IMPORTS) > 100
    assert circles(IMPORTS) == []


def test_no_wing_knows_another_that_knows_it() -> None:
    between: dict[str, set[str]] = {wing(name): set() for name in MODULES}
    for name, others in IMPORTS.items():
        between[wing(name)] |= {wing(other) for other in others} - {wing(name)}
    assert circles(between) == []


@pytest.mark.parametrize("known", [PACKAGE, *WINGS])
def test_wings_are_known_only_by_whom_they_say(known: str) -> None:
    may = known_by(FOLDER if known == PACKAGE else FOLDER / known)
    assert may <= {ALL, USERS, PACKAGE, "__main__", *WINGS}
    knowing = {
        wing(name)
        for name, others in IMPORTS.items()
        for other in others
        if wing(other) == known and wing(name) != known
    }
    if may == {USERS}:
        assert not known.startswith("_")
        assert knowing == set()
        return
    assert knowing  # else the wing is dead, or the reading of imports is
    if may != {ALL}:
        assert knowing - may == set()
        assert may - knowing == set()  # nor is a line out of date


def test_the_truth_knows_nothing() -> None:
    """What everything is compared with must not be computed by what it judges."""
    names = [name for name in MODULES if wing(name) == "reference"]
    assert {other for name in names for other in IMPORTS[name] if wing(other) != "reference"} == set()
    assert len(names) > 3
    assert Path(lstmfast.reference.__file__).name == "__init__.py"


def test_circles_are_found() -> None:
    imports = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": set(), "e": {"d"}}
    assert circles(imports) == [["a", "b", "c"]]
    assert circles(imports | {"c": {"d"}}) == []


@pytest.mark.parametrize(
    "source",
    [
        "from . import b",
        "from .b import x",
        "from ..wing import b",
        "import lstmfast.wing.b",
        "from lstmfast.wing.b import x",
        "def f():\n    from . import b",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .b import x",
        "import importlib\nimportlib.import_module('lstmfast.wing.b')",
    ],
)
def test_imports_of_every_form_are_seen(source: str, tmp_path: Path) -> None:
    folder = tmp_path / PACKAGE
    (folder / "wing").mkdir(parents=True)
    for path in (folder / "__init__.py", folder / "wing" / "__init__.py"):
        path.write_text("")
    (folder / "wing" / "a.py").write_text(source)
    (folder / "wing" / "b.py").write_text("from .a import y")
    assert circles(graph(folder)) == [["lstmfast.wing.a", "lstmfast.wing.b"]]
