"""Tests run side by side under `pytest -n`, and those that measure something run alone all the same."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .. import side_by_side

# Each test notes when it began and ended.
TESTS = """
import time
import pytest

def noted(name):
    begun = time.monotonic()
    time.sleep(0.05)
    with open("noted", "a") as file:
        file.write(f"{name} {begun} {time.monotonic()}\\n")

@pytest.mark.parametrize("n", range(8))
def test_first(n):
    noted("any")

@pytest.mark.alone
@pytest.mark.parametrize("n", range(6))
def test_alone(n):
    noted("alone")

@pytest.mark.parametrize("n", range(8))
def test_last(n):
    noted("any")
"""


def test_whoever_is_alone_runs_alone(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    shutil.copy(side_by_side.__file__, tmp_path / "conftest.py")
    (tmp_path / "__init__.py").touch()
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = alone\n")
    (tmp_path / "test_some.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-n", "3", "--maxschedchunk", "1", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert re.search(r"\b22 passed in ", done.stdout), done.stdout + done.stderr

    lines = [line.split() for line in (tmp_path / "noted").read_text().splitlines()]
    times = [(kind, float(begun), float(ended)) for kind, begun, ended in lines]
    together = [
        {first[0], second[0]}
        for n, first in enumerate(times)
        for second in times[:n]
        if first[1] < second[2] and second[1] < first[2]
    ]
    assert {"any"} in together  # or the test could not fail
    assert not any("alone" in kinds for kinds in together)
