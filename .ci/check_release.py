"""See that all that names a version is ready for its release: python .ci/check_release.py v0.2.0."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def mistakes(tag: str, root: Path = ROOT) -> list[str]:
    """Say what is not as the tag has it."""
    said = {
        "pyproject.toml": r'^version = "(.+)"$',
        "CITATION.cff": r"^version: (\S+)$",
        "CHANGELOG.md": r"^## (\d\S*)",
    }
    found = []
    for name, pattern in said.items():
        match = re.search(pattern, (root / name).read_text(encoding="utf-8"), re.M)
        version = match[1] if match else "none"
        if f"v{version}" != tag:
            found.append(f"{name}: expected {tag.removeprefix('v')}, got {version}")
    heading = re.search(r"^## \d.*$", (root / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    if heading is None or not re.fullmatch(r"## \S+ \(\d{4}-\d\d-\d\d\)", heading[0]):
        found.append(
            f"CHANGELOG.md: expected a date, '## {tag[1:]} (2026-12-31)', got {heading and heading[0]!r}"
        )
    return found


if __name__ == "__main__":
    if wrong := mistakes(sys.argv[1]):
        sys.exit("\n".join(wrong))
    print(f"{sys.argv[1]}: everything says so")
