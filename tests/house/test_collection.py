"""The suite itself: its tests have the same names at every run, so that they can be run again, or shared out.

pytest-xdist refuses to start where two processes have collected other names.
"""

from __future__ import annotations

import re

import pytest


def test_names_are_the_same_at_every_run(request: pytest.FixtureRequest) -> None:
    """A set's text has an order of its own in each process, and an object's has its address."""
    changing = re.compile(r"\{'[^':{}]*'(, '[^':{}]*')*\}|\bat 0x[0-9a-f]+")
    names = [item.nodeid for item in request.session.items if changing.search(item.nodeid)]
    assert names == []
