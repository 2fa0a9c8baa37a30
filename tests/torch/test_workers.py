"""Workers of PyTorch's DataLoader that run modules and streams, however they are begun."""

from __future__ import annotations

import multiprocessing

import pytest

from ..core_helpers import run_module

pytest.importorskip("torch")


# Those of fork are in test_fork.py.
METHODS = sorted(set(multiprocessing.get_all_start_methods()) - {"fork"})


@pytest.mark.parametrize("method", METHODS)
def test_workers_make_the_same(method: str) -> None:
    assert run_module("tests.torch.workers", method) == "True\n"
