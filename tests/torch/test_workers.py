"""Workers of PyTorch's DataLoader that run modules and streams, however they are begun."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys

import pytest

from ..core_helpers import users_environment
from ..helpers import ROOT

pytest.importorskip("torch")


# Those of fork are in test_fork.py.
METHODS = sorted(set(multiprocessing.get_all_start_methods()) - {"fork"})


@pytest.mark.parametrize("method", METHODS)
def test_workers_make_the_same(method: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.torch.workers", method],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=users_environment(),
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
