"""What the core does not do goes along PyTorch's own path, and explain says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.autograd import forward_ad  # noqa: E402

import lstmfast.torch  # noqa: E402

from .conftest import MODULE_KINDS  # noqa: E402
from .helpers import (  # noqa: E402
    B,
    H,
    I,
    T,
    assert_same_outcome,
    assert_still_right,
    call,
    input_of,
    outcome,
    pair,
    randn,
    state_of,
)

KIND = pytest.mark.parametrize("kind", MODULE_KINDS)


class Plain(torch.Tensor):  # type: ignore[misc, name-defined]
    """A subclass that does nothing."""


# What is PyTorch's own, and why.


def compared(theirs: Any, ours: Any, reason: str, x: Any, hx: Any = None) -> Any:
    """What both give; `explain` names the reason, and it is PyTorch's code that runs."""
    way = lstmfast.torch.explain(ours, x, hx)
    assert way.path == "torch"
    assert reason in way.reason
    assert_same_outcome(lambda: theirs(x, hx), lambda: ours(x, hx))
    return ours(x, hx)


@pytest.fixture
def pytorch_calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Our modules whose call went along PyTorch's path."""
    calls: list[Any] = []
    for cls in (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN):

        def forward(self: Any, *args: Any, inner: Any = cls.forward) -> Any:
            if isinstance(self, (lstmfast.torch.LSTM, lstmfast.torch.GRU, lstmfast.torch.RNN)):
                calls.append(self)
            return inner(self, *args)

        monkeypatch.setattr(cls, "forward", forward)
    return calls


@KIND
def test_explain_says_what_is_done(kind: str, pytorch_calls: list[Any]) -> None:
    theirs, ours = pair(kind)
    call(ours, input_of(ours), state_of(ours))
    assert pytorch_calls == []
    compared(theirs, ours, "empty", input_of(ours)[:, :0])
    assert pytorch_calls == [ours, ours]


@KIND
def test_lower_precision(kind: str, pytorch_calls: list[Any]) -> None:
    theirs, ours = pair(kind, "float32")
    x = input_of(ours)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, _ = compared(theirs, ours, "autocast", x)
        assert y.dtype is theirs(x)[0].dtype
        with torch.autocast("cpu", enabled=False):
            call(ours, x)
    assert_still_right(theirs, ours)
    for dtype in (torch.bfloat16, torch.float16):
        compared(theirs.to(dtype), ours.to(dtype), str(dtype), x.to(dtype))
    assert len(pytorch_calls) == 6
    theirs.float(), ours.float()
    assert_still_right(theirs, ours)


@KIND
def test_meta_and_subclasses(kind: str, pytorch_calls: list[Any]) -> None:
    theirs, ours = pair(kind)
    x = input_of(ours)
    compared(theirs, ours, "Plain", x.as_subclass(Plain))
    hx = state_of(ours)
    hx = (hx[0].as_subclass(Plain), hx[1]) if kind == "lstm" else hx.as_subclass(Plain)
    compared(theirs, ours, "Plain", x, hx)
    assert len(pytorch_calls) == 4
    assert_still_right(theirs, ours)
    y, _ = compared(theirs.to("meta"), ours.to("meta"), "meta", x.to("meta"))
    assert (y.device.type, tuple(y.shape)) == ("meta", (T, B, H))


@KIND
def test_torch_func(kind: str, pytorch_calls: list[Any]) -> None:
    from torch.func import functional_call, grad, vmap

    theirs, ours = pair(kind)
    x = input_of(ours)
    reasons: list[str] = []

    def loss(module: Any) -> Callable[[Any], Any]:
        def of(x: Any) -> Any:
            if module is ours:
                reasons.append(str(lstmfast.torch.explain(ours, x)))
            return (module(x)[0] ** 2).sum()

        return of

    assert not assert_same_outcome(lambda: grad(loss(theirs))(x), lambda: grad(loss(ours))(x))
    many = torch.stack([x, 2 * x])
    assert_same_outcome(lambda: vmap(loss(theirs))(many), lambda: vmap(loss(ours))(many))
    assert len(reasons) == 2
    assert all(reason.startswith("torch: ") and "torch.func" in reason for reason in reasons)
    assert pytorch_calls == [ours, ours]

    doubled = {name: 2 * weight for name, weight in ours.named_parameters()}
    expected, found = (outcome(functional_call, module, doubled, (x,)) for module in (theirs, ours))
    assert not isinstance(expected, Exception)
    torch.testing.assert_close(found, expected)
    assert_still_right(theirs, ours)


@KIND
def test_forward_mode(kind: str) -> None:
    theirs, ours = pair(kind)
    x = input_of(ours)

    def tangent(module: Any) -> Any:
        with forward_ad.dual_level():
            if module is ours:
                way = lstmfast.torch.explain(ours, x)
                assert way.path == "torch"
                assert "forward-mode" in way.reason
            y, _ = module(forward_ad.make_dual(x, randn(x.shape, x, 5)))
            return tuple(forward_ad.unpack_dual(y))

    assert_same_outcome(lambda: tangent(theirs), lambda: tangent(ours))
    assert_still_right(theirs, ours)


@KIND
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_tracing(kind: str, pytorch_calls: list[Any]) -> None:
    theirs, ours = pair(kind)
    x = input_of(ours)
    reasons = []

    class Asking(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.inner = ours

        def forward(self, x: Any) -> Any:
            reasons.append(str(lstmfast.torch.explain(self.inner, x)))
            return self.inner(x)

    traced = torch.jit.trace(Asking(), (x,), check_trace=False)
    assert reasons == ["torch: torch.jit.trace is recording"]
    assert pytorch_calls == [ours]
    torch.testing.assert_close(traced(2 * x), theirs(2 * x))
    assert_still_right(theirs, ours)


@pytest.mark.parametrize("bad", [None, 3, "LSTM", torch.nn.Linear(2, 2), torch.nn.LSTM])
def test_explain_refuses_what_is_no_recurrent_module(bad: Any) -> None:
    with pytest.raises(TypeError, match="module: expected an LSTM, GRU, RNN or a cell of these"):
        lstmfast.torch.explain(bad, torch.zeros(1, 1, I))
