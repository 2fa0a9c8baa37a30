"""Ctrl-C in the midst of a long call of a module, forward and on the way back."""

from __future__ import annotations

import pytest

from ..core_helpers import run_python
from ..interrupts import INTERRUPTED

SCRIPT = """
import sys
import torch
import lstmfast.torch

torch.manual_seed(0)
threads = int(sys.argv[1])
torch.set_num_threads(threads)
T, B, H = 250, 32, 1024
module = lstmfast.torch.LSTM(1, H)
x = torch.randn(T, B, 1)
small = module(x[:5])[0].detach()

y = module(x)[0]
loss = y.square().sum()
for _ in range(2):
    assert interrupted(lambda: module(x)) < 1
assert was_not_made(lambda: module(x))
loss.backward(retain_graph=True)
expected = [p.grad.clone() for p in module.parameters()]
module.zero_grad()
waited = interrupted(lambda: loss.backward(retain_graph=True))
assert waited < 1, waited
assert all(p.grad is None for p in module.parameters())
loss.backward()
assert all(torch.equal(p.grad, g) for p, g in zip(module.parameters(), expected))
assert torch.equal(module(x[:5])[0], small)
print("done")
"""


@pytest.mark.parametrize("threads", ["1", "2"])
def test_ctrl_c_is_answered(torch: object, threads: str) -> None:
    assert run_python(INTERRUPTED + SCRIPT, threads) == "done\n"
