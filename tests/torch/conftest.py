"""What tests of several files ask for by name. PyTorch is imported when they do: it may not be there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ..helpers import CELLS, KINDS

# Those that lstmfast.torch has modules of.
MODULE_KINDS = tuple(kind for kind in KINDS if kind != "gru")
MODULES = tuple(cell for cell in CELLS if cell[0] in MODULE_KINDS)


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
