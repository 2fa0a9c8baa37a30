"""Single steps within models: accelerated, frozen, of other people's classes, compiled and exported."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from ..helpers import has_memory

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402

import lstmfast.torch  # noqa: E402
from lstmfast import _core  # noqa: E402

from .cell_helpers import CELLS, B, inputs_of, is_taken, loop, make, pair, state_of  # noqa: E402
from .helpers import H, I, as_leaves, assert_same_outcome, outcome, tensors  # noqa: E402

NAMES = ("LSTMCell", "GRUCell", "RNNCell")


class Decoder(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A loop over steps, each of which reads what the one before gave."""

    def __init__(self, kind: str, dtype: str = "float64") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.cell = make(torch.nn, kind, dtype)
        self.head = torch.nn.Linear(H, I, dtype=getattr(torch, dtype))

    def forward(self, x: Any, hx: Any) -> Any:
        outputs = []
        for _ in range(4):
            hx = self.cell(x, hx)
            x = self.head(hx[0] if isinstance(hx, tuple) else hx)
            outputs.append(x)
        return torch.stack(outputs)


def given(model: Decoder, kind: str) -> tuple[Any, Any]:
    return inputs_of(model.cell)[0], state_of(model.cell, kind)


def gradients(model: Any, *arguments: Any) -> list[Any]:
    model.zero_grad()
    out = model(*arguments)
    out.square().sum().backward()
    return [out.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


# Accelerated.


@CELLS
def test_accelerate_report_and_restore(kind: str, dtype: str) -> None:
    model = Decoder(kind, dtype)
    arguments = given(model, kind)
    theirs, expected = type(model.cell), gradients(model, *arguments)
    attributes, keys = set(vars(model.cell)), list(model.state_dict())
    (entry,) = lstmfast.torch.report(model)
    assert (entry.name, entry.accelerated) == ("cell", False)
    assert "call lstmfast.torch.accelerate" in str(lstmfast.torch.explain(model.cell, *arguments))
    assert lstmfast.torch.accelerate(model) is model
    assert type(model.cell) is getattr(lstmfast.torch, theirs.__name__)
    (entry,) = lstmfast.torch.report(model)
    assert (entry.accelerated, entry.reason) == (True, "accelerated")
    assert is_taken(model.cell, *arguments)
    torch.testing.assert_close(gradients(model, *arguments), expected)
    assert list(model.state_dict()) == keys
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(other(*arguments), model(*arguments))
        assert type(lstmfast.torch.restore(other).cell) is theirs
    model.cell.freeze()
    lstmfast.torch.restore(model)
    assert type(model.cell) is theirs
    assert set(vars(model.cell)) == attributes
    torch.testing.assert_close(gradients(model, *arguments), expected)


class Scaled(torch.nn.LSTMCell):  # type: ignore[misc, name-defined]
    """A forward of its own around PyTorch's."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        h, c = super().forward(2 * input, hx)
        return h, 0.5 * c


class Orthogonal(torch.nn.GRUCell):  # type: ignore[misc, name-defined]
    """Other initial weights, and nothing else."""

    def reset_parameters(self) -> None:
        super().reset_parameters()
        torch.nn.init.orthogonal_(self.weight_hh)


class Kept(torch.nn.RNNCell):  # type: ignore[misc, name-defined]
    """Attributes with names that lstmfast could have used."""

    freeze = run = sizes = 1

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.frozen = self.seen = "mine"


@pytest.mark.parametrize("cls", [Scaled, Orthogonal, Kept])
def test_classes_of_others(cls: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    theirs = cls(I, H)
    ours = lstmfast.torch.accelerate(copy.deepcopy(theirs))
    assert isinstance(ours, cls)
    assert type(ours).__name__ == cls.__name__
    x = torch.randn(B, I)
    found = [torch.autograd.grad(tensors(m(x))[0].sum(), list(m.parameters())) for m in (theirs, ours)]
    torch.testing.assert_close(found[1], found[0])
    way = lstmfast.torch.explain(ours, x)
    assert way.path == ("its own" if cls is Scaled else "lstmfast")
    calls: list[int] = []
    run = _core.cell_infer

    def counting(*args: Any) -> None:
        calls.append(1)
        run(*args)

    monkeypatch.setattr(_core, "cell_infer", counting)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x))
    assert calls == [1]
    again = pickle.loads(pickle.dumps(ours))
    assert isinstance(again, cls)
    torch.testing.assert_close(again(x), theirs(x))
    assert type(lstmfast.torch.restore(ours)) is cls


def test_an_instance_with_a_forward_of_its_own_is_left_alone() -> None:
    cell = torch.nn.LSTMCell(I, H)
    cell.forward = lambda *_: "theirs"
    assert lstmfast.torch.accelerate(cell)(1) == "theirs"
    (entry,) = lstmfast.torch.report(cell)
    assert not entry.accelerated
    base = torch.nn.RNNCellBase(3, 4, True, 1)
    lstmfast.torch.accelerate(base)
    assert type(base) is torch.nn.RNNCellBase
    assert "another than torch.nn.LSTMCell" in lstmfast.torch.report(base)[0].reason


@CELLS
@pytest.mark.parametrize("name", ["weight_norm", "orthogonal"])
def test_computed_weights(kind: str, name: str) -> None:
    found = []
    for cell in pair(kind):
        torch.manual_seed(1)
        getattr(torch.nn.utils.parametrizations, name)(cell, "weight_hh")
        x = as_leaves(inputs_of(cell))
        y, _ = loop(cell, x)
        with torch.nn.utils.parametrize.cached():
            more, _ = loop(cell, x)
        found.append(torch.autograd.grad((y + more).square().sum(), [x, *cell.parameters()]))
    torch.testing.assert_close(found[1], found[0])
    _, ours = pair(kind)
    torch.nn.utils.parametrizations.weight_norm(ours, "weight_hh")
    with pytest.raises(RuntimeError, match=r"^freeze: .* got weight_hh, computed at each call$"):
        ours.freeze()


# Frozen.


@CELLS
def test_frozen_results_are_the_same_bits(kind: str, dtype: str) -> None:
    _, ours = pair(kind, dtype)
    x, hx = inputs_of(ours), state_of(ours, kind)
    expected, _ = loop(ours, x, hx)
    assert not ours.frozen
    assert ours.freeze() is ours
    assert ours.frozen
    with torch.no_grad():
        assert torch.equal(loop(ours, x, hx)[0], expected)
        assert torch.equal(loop(ours, x)[0], loop(ours.unfreeze(), x)[0])


@CELLS
def test_frozen_weights_are_constants_on_the_graph(kind: str) -> None:
    _, ours = pair(kind)
    x, hx = as_leaves(inputs_of(ours)), as_leaves(state_of(ours, kind))
    expected = torch.autograd.grad(loop(ours, x, hx)[0].square().sum(), [x, *tensors(hx)], create_graph=True)
    ours.freeze()
    y, _ = loop(ours, x, hx)
    found = torch.autograd.grad(y.square().sum(), [x, *tensors(hx)], create_graph=True)
    assert all(map(torch.equal, found, expected))
    assert torch.autograd.grad(found[0].square().sum(), x, retain_graph=True)[0].shape == x.shape
    y.sum().backward()
    assert all(weight.grad is None for weight in ours.parameters())
    assert not any(state.requires_grad for state in tensors(ours(inputs_of(ours)[0])))


@CELLS
def test_weights_that_change_after_all(kind: str) -> None:
    _, ours = pair(kind)
    x = inputs_of(ours)[0]
    ours.freeze()
    with torch.no_grad():
        ours.bias_hh.mul_(2)
    for ask in (lambda: ours(x), lambda: lstmfast.torch.explain(ours, x)):
        with pytest.raises(RuntimeError, match=r"changed, replaced or moved after freeze\(\)"):
            ask()
    ours.unfreeze()
    assert is_taken(ours, x)
    ours.freeze().bfloat16()
    with pytest.raises(RuntimeError, match=r"after freeze\(\)"):
        ours(x)
    with pytest.raises(RuntimeError, match=r"^freeze: .*bfloat16"):
        ours.freeze()


def test_whole_models_are_frozen() -> None:
    model = torch.nn.ModuleList([lstmfast.torch.LSTMCell(3, 4), lstmfast.torch.RNN(3, 4)])
    assert all(module.frozen for module in lstmfast.torch.freeze(model))
    assert not any(module.frozen for module in lstmfast.torch.unfreeze(model))
    model[0].nonlinearity = "of no meaning to an LSTM"
    odd = lstmfast.torch.RNNCell(3, 4, nonlinearity="gelu")
    with pytest.raises(RuntimeError, match=r"^0: freeze: .* its nonlinearity is 'gelu'$"):
        lstmfast.torch.freeze(torch.nn.ModuleList([odd]))
    assert isinstance(outcome(odd, torch.zeros(2, 3)), RuntimeError)


def test_quantize_leaves_cells_as_they_are() -> None:
    model = torch.nn.ModuleList([torch.nn.LSTM(3, 4), torch.nn.LSTMCell(3, 4)])
    x = torch.randn(2, 3)
    expected = tensors(lstmfast.torch.accelerate(copy.deepcopy(model))[1](x))
    lstmfast.torch.quantize(model, "int8")
    assert all(map(torch.equal, tensors(model[1](x)), expected))
    lstmfast.torch.restore(model)
    with torch.no_grad():
        model[0].weight_hh_l0[0, 0] = torch.nan
    with pytest.raises(ValueError, match="finite"):
        lstmfast.torch.quantize(model, "int8")
    assert [type(module) for module in model] == [torch.nn.LSTM, torch.nn.LSTMCell]


# Those who trace.


@CELLS
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")
@pytest.mark.usefixtures("fresh_dynamo")
def test_compiled_without_a_break(kind: str, backend: str, frozen: bool) -> None:
    model = lstmfast.torch.accelerate(Decoder(kind))
    arguments = given(model, kind)
    if frozen:
        lstmfast.torch.freeze(model)
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    expected = gradients(model, *arguments)
    assert len(expected) == (3 if frozen else 7)  # the head's two, and the cell's four
    torch.testing.assert_close(gradients(compiled, *arguments), expected)
    with torch.no_grad():
        torch.testing.assert_close(compiled(*arguments), model(*arguments))


@CELLS
@pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")
def test_exported_and_traced(kind: str) -> None:
    model = lstmfast.torch.accelerate(Decoder(kind)).eval()
    arguments = given(model, kind)
    expected = model(*arguments)
    torch.testing.assert_close(torch.export.export(model, arguments).module()(*arguments), expected)
    torch.testing.assert_close(make_fx(model)(*arguments)(*arguments), expected)
    torch.testing.assert_close(torch.jit.trace(model, arguments, check_trace=False)(*arguments), expected)
    lstmfast.torch.freeze(model)
    torch.testing.assert_close(make_fx(model)(*arguments)(*arguments), expected)


@CELLS
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scripted_modules_are_pytorchs_own(kind: str) -> None:
    _, ours = pair(kind)
    x = inputs_of(ours)[0]
    scripted = torch.jit.script(ours)
    torch.testing.assert_close(scripted(x), ours(x))
    with torch.no_grad():
        ours.weight_hh.mul_(0.5)  # the very same parameters
    torch.testing.assert_close(scripted(x), ours(x))


@CELLS
def test_symbolic_traces_and_dispatch_modes(kind: str) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    theirs, ours = pair(kind)
    x = inputs_of(ours)[0]
    graph = torch.fx.symbolic_trace(torch.nn.Sequential(ours))
    assert [node.op for node in graph.graph.nodes].count("call_module") == 1
    torch.testing.assert_close(graph(x), theirs(x))
    counts = []
    for module in (theirs, ours):
        with FlopCounterMode(display=False) as counter:
            module(x)
            if module is ours:
                assert lstmfast.torch.explain(ours, x).path == "torch"
        counts.append(counter.get_total_flops())
    assert counts[1] == counts[0] > 0


@CELLS
def test_other_devices(kind: str) -> None:
    theirs, ours = pair(kind)
    x = inputs_of(ours)[0].to("meta")
    theirs.to("meta"), ours.to("meta")
    assert tensors(ours(x))[0].device.type == "meta"
    assert not is_taken(ours, x)
    assert_same_outcome(lambda: theirs(x).shape, lambda: ours(x).shape) if not has_memory(kind) else None


def test_names_are_public() -> None:
    assert set(NAMES) <= set(lstmfast.torch.__all__)
