"""Who may run beside whom under `pytest -n`: a test marked `alone` has all the others wait.

conftest.py has what pytest calls from here.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest

# Two files that are there anyway: what the processes of a run lock.
DOOR, ROOM = Path(__file__), Path(__file__).with_name("__init__.py")


def alone_last(items: list[pytest.Item]) -> None:
    """Put tests that are `alone` last, where few others are left that would have to wait."""
    items.sort(key=is_alone)


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Give a test that is `alone` the room to itself; all others share it.

    Who waits for the room holds the door, so that others who come and go cannot keep him waiting for ever.
    """
    if not hasattr(item.config, "workerinput"):  # not a process of pytest-xdist: nothing runs beside it
        yield
        return
    with DOOR.open("rb") as door, ROOM.open("rb") as room:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if is_alone(item) else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
        fcntl.flock(room, fcntl.LOCK_UN)  # closing is not enough: a child that was forked may have it open


def is_alone(item: pytest.Item) -> bool:
    """Whether nothing may run beside a test."""
    return item.get_closest_marker("alone") is not None
