"""What walks the table takes arrays of any namespace: JAX', traced ones too, and PyTorch's tensors."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from typing import Any

import pytest

from lstmfast._base.conventions import walking
from lstmfast._base.conventions.forms import Sizes
from lstmfast._base.conventions.table import TABLE

from ..helpers import ROOT, assert_same_bits, random


def test_traced_by_jax() -> None:
    if importlib.util.find_spec("jax") is None:
        pytest.skip("needs jax")
    command = [sys.executable, "-m", f"{__package__}.jax_arrays"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) == sum(len(forms) for row in TABLE.values() for forms in row.forms.values())


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.name)
def test_tensors(torch: Any, row: Any) -> None:
    for kind, forms in row.forms.items():
        for form in forms:
            sizes = Sizes(3, 4, 2 if "r" in form.parts else 0)
            theirs = {array.name: random(array.shape(sizes), seed=k) for k, array in enumerate(form.arrays)}
            tensors = {name: torch.from_numpy(array).requires_grad_() for name, array in theirs.items()}
            ours = walking.read(tensors, form, kind, sizes)
            found = walking.written(ours, form, kind, sizes)
            expected = walking.read(theirs, form, kind, sizes)
            assert_same_bits({name: tensor.detach().numpy() for name, tensor in ours.items()}, expected)
            assert_same_bits({name: tensor.detach().numpy() for name, tensor in found.items()}, theirs)
            sum(tensor.sum() for tensor in ours.values()).backward()  # they are on the graph
            assert all(tensor.grad is not None for tensor in tensors.values())
