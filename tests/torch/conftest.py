"""What tests of several files ask for by name. PyTorch is imported when they do: it may not be there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..helpers import CELLS as MODULES
from ..helpers import KINDS as MODULE_KINDS

__all__ = ["MODULES", "MODULE_KINDS"]  # those that lstmfast.torch has modules of: all


@pytest.fixture(params=MODULE_KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Every cell."""
    return str(request.param)


@pytest.fixture
def fresh_dynamo() -> Iterator[None]:
    import torch

    torch._dynamo.reset()
    torch.manual_seed(0)
    yield
    torch._dynamo.reset()
