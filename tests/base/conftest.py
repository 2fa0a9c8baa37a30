"""A model of every kind, with right arguments for everything."""

from __future__ import annotations

from typing import Any

import pytest

from ..helpers import KINDS
from .helpers import Case


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest) -> Any:
    case = Case(request.param)
    yield case
    case.check()
