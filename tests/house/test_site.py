"""What of the documentation's site can be seen without building it: pages, links, names, pictures."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from types import SimpleNamespace
from typing import Any, cast

import pytest

from ..helpers import ROOT
from ..pages import DOCS

CONFIGURATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
NAV = re.findall(r"^ +- (?:.+: )?(\S+\.md)$", CONFIGURATION, re.M)
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
OUTSIDE = [page for page in NAV if not (DOCS / page).exists()]
# Modules whose public names the reference has: all that have any.
PUBLIC = [
    "",
    "datasets",
    "jax",
    "jax.linen",
    "jax.nnx",
    "keras",
    "onnx",
    "reference",
    "sklearn",
    "torch",
    "training",
]


def test_every_page_is_in_the_navigation() -> None:
    """Once, in mkdocs.yml, under `nav`."""
    assert sorted(set(NAV) - set(OUTSIDE)) == PAGES
    assert len(NAV) == len(set(NAV))
    assert [page for page in OUTSIDE if not (ROOT / page).is_file()] == []


def anchors(text: str) -> set[str]:
    """What the headings of a page are called in links to them, on the site as in the repository."""
    headings = re.findall(r"^#+ (.+?)$", re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M), re.M)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", NAV)
def test_links_lead_somewhere(page: str) -> None:
    """To files of the repository, to headings that they have; and pictures have words for who cannot see."""
    path = ROOT / page if page in OUTSIDE else DOCS / page
    text = re.sub(r"^(```|~~~).*?^\1$", "", path.read_text(encoding="utf-8"), flags=re.S | re.M)
    text = re.sub(r"`[^`\n]+`", "", text)
    wrong = []
    links = re.findall(r"(!?)\[([^]]*)\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)", text)
    for picture, words, target, anchor in links:
        file = path.parent / target if target else path
        if not file.exists():
            wrong.append(target)
        elif anchor and anchor not in anchors(file.read_text(encoding="utf-8")):
            wrong.append(f"{target}#{anchor}")
        elif picture and len(words) < 40:
            wrong.append(f"{target} has no words")
    assert wrong == []


def names_of(module: str) -> set[str]:
    """The public names of a module, which needs packages that may not be there: read, not imported."""
    folder = ROOT.joinpath("python", "lstmfast", *module.split("."))
    path = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            prefix = f"lstmfast.{module}".rstrip(".")
            return {f"{prefix}.{name}" for name in ast.literal_eval(node.value)}
    raise AssertionError(f"{path} has no __all__")


def test_every_public_name_is_in_the_reference() -> None:
    named = re.findall(
        r"^::: (\S+)$",
        "".join(path.read_text(encoding="utf-8") for path in (DOCS / "api").glob("*.md")),
        re.M,
    )
    modules = {f"lstmfast.{module}".rstrip(".") for module in PUBLIC}
    public = set().union(*map(names_of, PUBLIC)) - modules - {"lstmfast.__version__"}
    assert public
    assert {*named} - modules == public
    assert len(named) == len({*named})


def test_every_public_module_is_looked_at() -> None:
    package = ROOT / "python" / "lstmfast"
    modules = {
        ".".join(path.relative_to(package).with_suffix("").parts).removesuffix(".__init__")
        for path in package.rglob("*.py")
        if not re.search(r"/_(?!_init__)", f"/{path.relative_to(package).as_posix()}")
    }
    with_names = {module for module in modules if module not in {"__init__", "__main__"}}
    inner = {name for name in with_names if name.startswith(("reference.", "training."))}
    assert with_names - inner == set(PUBLIC) - {""}


def test_pictures_show_what_the_code_computes() -> None:
    done = subprocess.run(
        [sys.executable, str(DOCS / "pictures"), "--check"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_picture_is_on_a_page() -> None:
    pictures = {path.name for path in (DOCS / "pictures").glob("*.svg")}
    shown = re.findall(
        r"\]\(pictures/(\S+?\.svg)\)", "".join((DOCS / page).read_text("utf-8") for page in PAGES)
    )
    assert pictures
    assert sorted(shown) == sorted(pictures)


def test_nothing_is_fetched_from_elsewhere() -> None:
    """By pictures; fonts and scripts are the theme's own (`font: false`)."""
    assert "font: false" in CONFIGURATION
    for path in (DOCS / "pictures").glob("*.svg"):
        links = re.findall(r"(?:href|src)=\"([^\"]+)\"|url\(([^)]+)\)", path.read_text(encoding="utf-8"))
        assert all("".join(link).startswith("#") for link in links), path.name


# Docstrings on their way to Markdown: docs/site/docstrings.py.


def test_docstrings_become_markdown(monkeypatch: pytest.MonkeyPatch) -> None:
    griffe = SimpleNamespace(Extension=object, Object=object)  # which only the site needs
    monkeypatch.setitem(sys.modules, "griffe", cast("Any", griffe))
    spec = importlib.util.spec_from_file_location("docstrings", DOCS / "site" / "docstrings.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    as_markdown = module.as_markdown
    assert as_markdown(">>> 2*a\n4\n\nThen [L*D, B].") == "```pycon\n>>> 2*a\n4\n```\n\nThen [L\\*D, B]."
    assert as_markdown("Is `a*b`::\n\n    c = a*b\n\nand d*e.") == "Is `a*b`::\n\n    c = a*b\n\nand d\\*e."
    section = "A.\n\nParameters\n----------\n{}Returns\n-------\ny, z\n    4*H.\n"
    told = section.format("a, b\n    One.\n\n    Two.\nc : [D*H]\n    Three.\n\n")
    apart = section.format("a\n    One.\n\n    Two.\nb\n    One.\n\n    Two.\nc : [D*H]\n    Three.\n\n")
    assert as_markdown(told) == apart.replace("4*H", "4\\*H")
    examples = "A.\n\nExamples\n--------\n>>> 2*a\n"
    assert as_markdown(examples) == examples
