"""Fixtures for all tests: one that takes `isa` runs on every ISA of this machine, `torch` needs PyTorch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import hypothesis
import pytest

import lstmfast

from .float_helpers import CAN_BE_SET, DEFAULT, host
from .helpers import DTYPES, ISAS, KINDS
from .side_by_side import alone_last, pytest_runtest_protocol

__all__ = ["pytest_runtest_protocol"]

# No deadline: the machines that run this are shared, and one slow example says nothing.
hypothesis.settings.register_profile("lstmfast", deadline=None, print_blob=True)
hypothesis.settings.load_profile("lstmfast")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that run on every ISA by themselves or beside PyTorch, and put those that run alone last."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        if "isa" in fixtures:
            item.add_marker("every_isa")
        if "torch" in fixtures or hasattr(getattr(item, "module", None), "torch"):
            item.add_marker("beside_torch")
    alone_last(items)


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> str:
    """Every instruction set of this machine."""
    return str(request.param)


@pytest.fixture(params=DTYPES)
def dtype(request: pytest.FixtureRequest) -> str:
    """Both dtypes."""
    return str(request.param)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Every cell."""
    return str(request.param)


@pytest.fixture
def torch() -> Any:
    """PyTorch, or the test is skipped."""
    return pytest.importorskip("torch")


@pytest.fixture
def threads() -> Iterator[None]:
    """Put the number of threads back after a test that changes it."""
    before = lstmfast.get_num_threads()
    yield
    lstmfast.set_num_threads(before)


@pytest.fixture
def default_floats() -> Iterator[None]:
    """Begin with the default floating-point environment, whatever the process that runs the tests has."""
    with host(DEFAULT) if CAN_BE_SET else nullcontext():
        yield


@pytest.fixture
def one_thread(threads: None) -> None:
    """Begin with one, and put their number back."""
    lstmfast.set_num_threads(1)
