"""autocast for the CPU: PyTorch's own path, and ours where PyTorch's own raises."""

from __future__ import annotations

from typing import Any

import pytest

from ..core_helpers import run_python

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

import lstmfast.torch  # noqa: E402
from lstmfast.torch import _autocast  # noqa: E402

from .helpers import P, input_of, no_word_of_projections, outcome, pair, state_of, tensors  # noqa: E402

DTYPES = pytest.mark.parametrize("low", ["bfloat16", "float16"])


@DTYPES
@pytest.mark.parametrize("form", ["plain", "packed", "unbatched", "projected"])
@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_tanh"])
def test_as_pytorchs_where_that_works(kind: str, form: str, low: str, dtype: str) -> None:
    """In both dtypes of weights; where PyTorch's own raises, results are of the dtype that was asked for."""
    options = {"proj_size": P} if form == "projected" and kind == "lstm" else {}
    found = []
    for module in pair(kind, dtype, **options):
        x = input_of(module, None if form == "unbatched" else 3)
        given = pack_padded_sequence(x, torch.tensor([6, 4, 1])) if form == "packed" else x

        def run(module: Any = module, given: Any = given) -> Any:
            with torch.autocast("cpu", dtype=getattr(torch, low)), no_word_of_projections():
                y, end = module(given)
            return [y.data if form == "packed" else y, *tensors(end)]

        found.append(outcome(run))
    theirs, ours = found
    assert not isinstance(ours, Exception), repr(ours)
    if isinstance(theirs, Exception):
        assert not _autocast.works(getattr(torch, low), True)
        assert all(tensor.dtype is getattr(torch, low) for tensor in ours)
    else:
        torch.testing.assert_close(ours, theirs)


@DTYPES
@pytest.mark.parametrize("low_input", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_where_pytorchs_cannot(
    low: str, low_input: bool, batch_first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Computed in float32 from what came, and rounded; gradients arrive in the dtypes of what they are of."""
    monkeypatch.setattr(_autocast, "works", lambda dtype, on_graph: False)
    low_dtype = getattr(torch, low)
    _, ours = pair("lstm", "float32", num_layers=2, batch_first=batch_first)
    x, hx = input_of(ours), state_of(ours)
    if low_input:
        x, hx = x.to(low_dtype), tuple(state.to(low_dtype) for state in hx)
    expected = ours(x.float(), tuple(state.float() for state in hx))
    x.requires_grad_()
    with torch.autocast("cpu", dtype=low_dtype):
        way = lstmfast.torch.explain(ours, x, hx)
        y, (h, c) = ours(x, hx)
    assert (way.path, f"autocast to {low_dtype}" in way.reason) == ("lstmfast", True)
    for found, truth in zip((y, h, c), (expected[0], *expected[1]), strict=True):
        assert found.dtype is low_dtype
        assert torch.equal(found, truth.to(low_dtype))
    y.float().sum().backward()
    assert x.grad.dtype is x.dtype
    assert ours.weight_hh_l0.grad.dtype is torch.float32


def test_compiled_where_pytorchs_cannot(monkeypatch: pytest.MonkeyPatch, fresh_dynamo: None) -> None:
    """The graph breaks there, as at PyTorch's own."""
    monkeypatch.setattr(_autocast, "works", lambda dtype, on_graph: False)
    _, ours = pair("lstm", "float32")
    x = input_of(ours)
    compiled = torch.compile(lambda x: ours(x)[0] + 1, backend="eager")
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(compiled(x), ours(x)[0] + 1)


PROGRAM = """
import torch, lstmfast.torch
theirs, x = torch.nn.LSTM(3, 4), torch.randn(5, 2, 3)
found = []
for module in (theirs, lstmfast.torch.accelerate(torch.nn.LSTM(3, 4))):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        try:
            found.append(str(module(x)[0].dtype))
        except RuntimeError:
            found.append("RuntimeError")
print(*found)
"""


def test_on_a_cpu_with_avx2_alone() -> None:
    """As far as oneDNN may see."""
    found = run_python(PROGRAM, ONEDNN_MAX_CPU_ISA="AVX2").split()
    assert found[1] == "torch.bfloat16"
