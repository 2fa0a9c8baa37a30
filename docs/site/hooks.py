"""What MkDocs does beside its own work: files from outside docs/ become pages, and pictures part of theirs.

Pages are plain Markdown that is read in the repository, too, so their links are the repository's. Of what
these lead to outside docs/, a Markdown file that the navigation names becomes a page under its own path, and
any other file is shown as source, on a page that the navigation does not name.
"""

from __future__ import annotations

import html
import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mkdocs.structure.files import File, Files, InclusionLevel

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(\]\()(?!\w+:)([^)#\s]+)((?:#[^)\s]*)?\))")
FENCED = re.compile(r"^(```|~~~).*?^\1\s*$", re.M | re.S)
SHOWN = {".py": "python", ".cpp": "cpp", ".h": "cpp", ".toml": "toml", ".yml": "yaml"}
PICTURES = {".gif", ".jpg", ".png", ".svg", ".webp"}
SOURCE = "source/"  # where files that are shown as source are on the site


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Bring in the pages from outside docs/, and the files that pages link to."""
    for path in _named(config["nav"]):
        if files.get_file_from_path(path) is None and (ROOT / path).is_file():
            files.append(File.generated(config, path, abs_src_path=str(ROOT / path)))
    pages = {_place(file): file.src_uri for file in files.documentation_pages()}
    for place in pages:
        for target in _targets(place):
            outside = target not in pages and not target.startswith("docs/") and (ROOT / target).is_file()
            if outside and files.get_file_from_path(_uri(target)) is None:
                files.append(_shown(target, config))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to where files are on the site; what is within fences stays."""
    if page.file.src_uri.startswith(SOURCE):
        return markdown
    if page.file.src_uri.startswith("api/"):  # whoever searches for a word first wants to be told of it
        page.meta.setdefault("search", {"boost": 0.2})
    here = _place(page.file)

    def led(match: re.Match[str]) -> str:
        target = _resolved(here, match[2])
        uri = target.removeprefix("docs/")
        if files.get_file_from_path(uri) is None:
            uri = _uri(target)
        if files.get_file_from_path(uri) is None:
            return match[0]  # which MkDocs then reports
        return f"{match[1]}{posixpath.relpath(uri, posixpath.dirname(page.file.src_uri) or '.')}{match[3]}"

    parts, end = [], 0
    for fence in FENCED.finditer(markdown):
        parts += [LINK.sub(led, markdown[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, LINK.sub(led, markdown[end:])])


def on_page_content(content: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Put pictures into their page, whose colours they then have."""

    def drawn(match: re.Match[str]) -> str:
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', match[0]))
        name = posixpath.basename(attributes["src"])
        svg = (ROOT / "docs" / "pictures" / name).read_text(encoding="utf-8")
        svg = svg[svg.index("<svg") :]
        svg = re.sub(r"<(metadata|style)\b.*?</\1>", "", svg, flags=re.S)
        svg = re.sub(r'<g id="[^"]*"', "<g", svg)  # names that every picture has
        label = html.escape(html.unescape(attributes["alt"]), quote=True)
        svg = svg.replace("<svg", f'<svg role="img" aria-label="{label}"', 1)
        return f'<div class="picture" data-search-exclude>{svg}</div>'

    content = re.sub(r'<p>\s*<img [^>]*src="[^"]*pictures/\w+\.svg"[^>]*>\s*</p>', drawn, content)
    # Before a block of code in docstrings, as reStructuredText has it.
    return re.sub(r"::</p>(?=\s*<div class=\"[^\"]*highlight)", ":</p>", content)


def _named(nav: Any) -> Iterator[str]:  # noqa: ANN401 - lists of strings and mappings of such lists
    """Find all files that the navigation names."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for value in nav.values():
            yield from _named(value)
    else:
        for value in nav or []:
            yield from _named(value)


def _place(file: File) -> str:
    """Where a page is in the repository."""
    inside = ROOT / "docs" / file.src_uri
    return f"docs/{file.src_uri}" if inside.is_file() else file.src_uri


def _resolved(place: str, link: str) -> str:
    """What a link of a file means, by its path in the repository."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(place), link))


def _targets(place: str) -> list[str]:
    """Find the files of the repository that a page links to."""
    text = FENCED.sub("", (ROOT / place).read_text(encoding="utf-8"))
    return [_resolved(place, link) for _, link, _ in LINK.findall(text)]


def _uri(path: str) -> str:
    """Where a file from outside docs/ is on the site: a picture under its own path, any other on a page."""
    return path if posixpath.splitext(path)[1] in PICTURES else f"{SOURCE}{path}.md"


def _shown(path: str, config: MkDocsConfig) -> File:
    """Return a picture as it is, or a page that shows a file."""
    uri = _uri(path)
    if uri == path:
        return File.generated(config, uri, abs_src_path=str(ROOT / path))
    text = (ROOT / path).read_text(encoding="utf-8")
    language = SHOWN.get(posixpath.splitext(path)[1], "text")
    page = f"---\nsearch:\n  exclude: true\n---\n\n# {path}\n\n~~~~~{language}\n{text.rstrip()}\n~~~~~\n"
    return File.generated(config, uri, content=page, inclusion=InclusionLevel.NOT_IN_NAV)
