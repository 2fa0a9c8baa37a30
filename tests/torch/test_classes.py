"""Classes over torch.nn.LSTM, GRU and RNN, forwards of a module's own, and what torch.fx makes of ours."""

from __future__ import annotations

import copy
import functools
import io
import types
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402

import lstmfast.torch  # noqa: E402

from .helpers import is_ours, outcome, pair, tensors  # noqa: E402


class Orthogonal(torch.nn.LSTM):  # type: ignore[misc, name-defined]
    """Initial values of its own, and nothing else."""

    def reset_parameters(self) -> None:
        super().reset_parameters()
        torch.nn.init.orthogonal_(self.weight_hh_l0)


class WithLengths(torch.nn.LSTM):  # type: ignore[misc, name-defined]
    """As in public code for forecasts: lengths, zeros among them, and a state where there is none."""

    def freeze(self) -> None:
        raise AssertionError("not for us to call")

    def forward(self, x: Any, hx: Any = None, lengths: Any = None) -> Any:
        if lengths is None:
            return super().forward(x, hx)
        packed = pack_padded_sequence(x, lengths.clamp(min=1), enforce_sorted=False)
        y, end = super().forward(packed, hx)
        y, _ = pad_packed_sequence(y, total_length=len(x))
        none = (lengths == 0)[None, :, None]
        return y.masked_fill(none, 0.0), tuple(state.masked_fill(none, 0.0) for state in end)


class Grandchild(WithLengths):
    """A class over that."""

    def forward(self, x: Any, hx: Any = None, lengths: Any = None) -> Any:
        y, end = super().forward(x, hx, lengths)
        return y + x.mean(), end


class Mixin:
    """Something beside."""

    def forward(self, *args: Any, **options: Any) -> Any:
        y, end = super().forward(*args, **options)  # type: ignore[misc]
        return 2 * y, end


class Mixed(Mixin, torch.nn.RNN):  # type: ignore[misc, name-defined]
    """With it."""


class MixedGRU(Mixin, torch.nn.GRU):  # type: ignore[misc, name-defined]
    """The same over a GRU."""


class Clashing(torch.nn.LSTM):  # type: ignore[misc, name-defined]
    """Attributes with names that lstmfast could have used."""

    _weights = _states = _spec = _own = _prepare = unfreeze = call = run = 1

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.frozen, self.recompute = "mine", 0.5

    def forward(self, *args: Any) -> Any:
        self.frozen = "mine"  # and set when we are there
        assert (self.frozen, self.recompute, self._weights) == ("mine", 0.5, 1)
        return super().forward(*args)


CLASSES = [Orthogonal, WithLengths, Grandchild, Mixed, MixedGRU, Clashing]


def made(cls: Any) -> Any:
    torch.manual_seed(0)
    return cls(4, 6)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows with each call of the core."""
    from lstmfast.torch import _run

    calls: list[int] = []
    for name in ("infer", "forward"):
        monkeypatch.setattr(_run, name, counting(getattr(_run, name), calls))
    return calls


def counting(function: Any, calls: list[int]) -> Any:
    def count(*args: Any, **options: Any) -> Any:
        calls.append(1)
        return function(*args, **options)

    return count


@pytest.mark.parametrize("cls", CLASSES)
def test_subclasses(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reaches PyTorch's own forward is ours to compute; the rest is as it was."""
    theirs, ours = made(cls), made(cls)
    assert lstmfast.torch.accelerate(ours) is ours
    assert isinstance(ours, cls)
    assert is_ours(ours)
    assert type(ours).__name__ == cls.__name__
    assert repr(ours) == repr(theirs)
    x = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(1))
    calls = counted(monkeypatch)
    extra: list[dict[str, Any]] = [{}] + (
        [{"lengths": torch.tensor([5, 0, 2])}] if issubclass(cls, WithLengths) else []
    )
    for options in extra:
        found = []
        for module in (theirs, ours):
            y, end = module(x, **options)
            grads = torch.autograd.grad(y.square().sum(), list(module.parameters()))
            found.append([y.detach(), *(state.detach() for state in tensors(end)), *grads])
        torch.testing.assert_close(found[1], found[0])
    assert len(calls) == len(extra)
    (entry,) = lstmfast.torch.report(ours)
    assert entry.accelerated
    way = lstmfast.torch.explain(ours, x)
    own = cls in (WithLengths, Grandchild, Mixed, MixedGRU, Clashing)
    assert way.path == ("its own" if own else "lstmfast")
    assert ("has a forward of its own" in entry.reason) is own
    assert lstmfast.torch.freeze(ours) is ours
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])
    lstmfast.torch.restore(ours)
    assert type(ours) is cls
    assert set(vars(ours)) == set(vars(theirs))


@pytest.mark.parametrize("cls", CLASSES)
def test_copies_and_pickles_of_subclasses(cls: Any) -> None:
    ours = lstmfast.torch.accelerate(made(cls))
    x = torch.randn(5, 3, 4)
    with torch.no_grad():
        expected = ours(x)
        file = io.BytesIO()
        torch.save(ours, file)
        file.seek(0)
        for other in (copy.copy(ours), copy.deepcopy(ours), torch.load(file, weights_only=False)):
            assert is_ours(other)
            assert type(other) is type(ours)
            torch.testing.assert_close(other(x), expected, rtol=0, atol=0)
            assert type(lstmfast.torch.restore(other)) is cls


def test_a_class_without_a_place_for_ours() -> None:
    """An order of bases of its own: left as it is, and said why."""

    class Meta(type(torch.nn.LSTM)):  # type: ignore[misc]
        def mro(cls) -> Any:
            if cls.__name__ != "Odd" or len(cls.__bases__) > 1:
                raise TypeError("no other order")
            return super().mro()

    odd = Meta("Odd", (torch.nn.LSTM,), {})(4, 6)
    lstmfast.torch.accelerate(odd)
    assert type(odd).__name__ == "Odd"
    assert not is_ours(odd)
    (entry,) = lstmfast.torch.report(odd)
    assert (entry.accelerated, "cannot have ours among its bases" in entry.reason) == (False, True)


# A forward of a module's own.


def around(function: Any) -> Any:
    def forward(*args: Any, **options: Any) -> Any:
        return function(*args, **options)

    return forward


FORWARDS = {
    "partial": lambda m: functools.partial(torch.nn.LSTM.forward, m),
    "closure": lambda m: around(m.forward),
    "bound by hand": lambda m: types.MethodType(torch.nn.LSTM.forward, m),
}


@pytest.mark.parametrize("name", FORWARDS)
@pytest.mark.parametrize("after", [False, True])
def test_forwards_of_a_modules_own(name: str, after: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is said of a call is what runs."""
    lstm = torch.nn.LSTM(4, 6)
    if after:
        lstmfast.torch.accelerate(lstm)
    lstm.forward = FORWARDS[name](lstm)  # type: ignore[no-untyped-call, unused-ignore]
    if not after:
        lstmfast.torch.accelerate(lstm)
    x = torch.randn(5, 3, 4)
    calls = counted(monkeypatch)
    lstm(x)
    (entry,) = lstmfast.torch.report(lstm)
    way = lstmfast.torch.explain(lstm, x)
    assert not entry.accelerated
    assert "forward of its own" in entry.reason
    assert "forward of its own" in way.reason
    assert way.path == ("its own" if after else "torch")
    assert bool(calls) is (after and name == "closure")
    lstmfast.torch.restore(lstm)
    assert type(lstm) is torch.nn.LSTM


# torch.fx.


def hooked(module: Any) -> Any:
    module.register_forward_pre_hook(lambda _, args: (2 * args[0], *args[1:]))
    module.register_forward_hook(lambda _, args, out: (3 * out[0], out[1]))
    return module


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_tanh"])
@pytest.mark.parametrize("way", ["made as ours", "accelerated", "copied"])
def test_hooks_run_once_in_symbolic_traces(kind: str, way: str) -> None:
    theirs, ours = pair(kind, "float32")
    if way != "made as ours":
        ours = lstmfast.torch.accelerate(copy.deepcopy(theirs))
    if way == "copied":
        ours = copy.deepcopy(ours)
    x = torch.randn(5, 3, theirs.input_size)
    expected = torch.nn.Sequential(hooked(theirs))(x)
    graph = torch.fx.symbolic_trace(torch.nn.Sequential(hooked(ours)))
    torch.testing.assert_close(graph(x), expected)
    assert [node.op for node in graph.graph.nodes].count("call_module") == 1


class OfState(torch.nn.Module):  # type: ignore[misc, name-defined]
    """x is a buffer, and only the state is traced."""

    def __init__(self, lstm: Any) -> None:
        super().__init__()
        self.lstm = lstm
        self.register_buffer("x", torch.ones(5, 3, 5, dtype=torch.float64))

    def forward(self, h: Any, c: Any) -> Any:
        return self.lstm(self.x, (h, c))[0]


def test_symbolic_traces_of_the_state_alone() -> None:
    theirs, ours = pair("lstm")
    h, c = torch.rand(2, 1, 3, 7, dtype=torch.float64)
    expected = OfState(theirs)(h, c)
    torch.testing.assert_close(torch.fx.symbolic_trace(OfState(ours))(h, c), expected)


def test_symbolic_traces_go_into_subclasses_as_into_pytorchs() -> None:
    found = []
    for accelerate in (False, True):
        module = made(WithLengths)
        if accelerate:
            lstmfast.torch.accelerate(module)
        found.append(outcome(torch.fx.symbolic_trace, torch.nn.Sequential(module)))
    assert type(found[1]) is type(found[0])
