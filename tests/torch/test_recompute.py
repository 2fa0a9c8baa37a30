"""`recompute` of lstmfast.torch's modules: less memory, the same bits, and where the switch goes."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from ..helpers import assert_same_bits

torch = pytest.importorskip("torch")

import lstmfast.torch  # noqa: E402

from .cut_helpers import CONFIG, CONFIGS, CUTS, ROWS, configured, cut_input  # noqa: E402
from .helpers import as_leaves, call, input_of, pair, randn, results, state_of, tensors, upstream  # noqa: E402


def kept_bytes(module: Any, x: Any) -> int:
    """What a call keeps for its backward pass."""
    found: dict[int, int] = {}

    def keep(tensor: Any) -> Any:
        found[tensor.data_ptr()] = tensor.nbytes
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y, _ = module(x)
    del y
    return sum(found.values())


@CONFIG
@pytest.mark.parametrize("cut", [None, *CUTS])
def test_the_same_bits(config: str, cut: str | None, dtype: str) -> None:
    kind, options = CONFIGS[config]
    _, ours = pair(kind, dtype, dropout=0.4 if "num_layers" in options else 0, **options)
    cuts = CUTS[cut](ours.batch_first) if cut else {}
    x, hx = cut_input(ours, cuts), state_of(ours, ROWS)
    expected = results(ours, x, hx, seed=3, **cuts)
    ours.recompute = True
    assert_same_bits(results(ours, x, hx, seed=3, **cuts), expected)


@pytest.mark.parametrize("name", ["LSTM", "GRU"])
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning")
@pytest.mark.usefixtures("fresh_dynamo")
def test_a_call_keeps_less(name: str, compiled: bool) -> None:
    make = getattr(lstmfast.torch, name)
    modules = [make(8, 64, recompute=recompute) for recompute in (False, True)]
    x = torch.randn(50, 4, 8)
    calls: Any = modules
    if compiled:
        calls = [torch.compile(module, backend="aot_eager", fullgraph=True) for module in modules]
    much, little = (kept_bytes(module, x) for module in calls)
    assert much - little == 50 * 4 * 4 * 64 * 4  # gates, a GRU's q among them: T * B * 4 H numbers of 4 bytes
    modules[1].load_state_dict(modules[0].state_dict())
    grads = [torch.autograd.grad(m(x)[0].square().sum(), tuple(m.parameters())) for m in modules]
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


@pytest.mark.parametrize("config", ["lstm, both ways, projected", "gru"])
def test_gradients_of_gradients(config: str) -> None:
    _, ours = configured(config)
    found = []
    for recompute in (False, True):
        ours.recompute = recompute
        x, hx = as_leaves(input_of(ours)), as_leaves(state_of(ours))
        y, end = call(ours, x, hx)
        first = torch.autograd.grad(
            [y, *tensors(end)], [x, *ours.parameters()], upstream([y, *tensors(end)]), create_graph=True
        )
        found.append(torch.autograd.grad(sum(grad.square().sum() for grad in first), [x, *tensors(hx)]))
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": lambda module: pickle.loads(pickle.dumps(module)),
}


class Named(torch.nn.LSTM):  # type: ignore[misc, name-defined]
    """A class of somebody's own, with something else by this name."""

    def recompute(self) -> str:
        return "theirs"


@pytest.mark.parametrize("name", COPIES)
def test_the_switch_goes_with_copies(name: str) -> None:
    for module in (lstmfast.torch.LSTM(3, 4), lstmfast.torch.accelerate(torch.nn.LSTM(3, 4))):
        assert not module.recompute
        assert not COPIES[name](module).recompute
        module.recompute = True
        assert COPIES[name](module).recompute
        module.recompute = False
        assert not COPIES[name](module).recompute


def test_the_switch_belongs_to_lstmfast() -> None:
    model = lstmfast.torch.accelerate(torch.nn.Sequential(torch.nn.LSTM(3, 4), Named(4, 5)))
    assert model[1].recompute() == "theirs"
    before = set(model[0].__dict__)
    model[0].recompute = True
    assert "recompute" not in str(model.state_dict().keys())
    lstmfast.torch.restore(model)
    assert not any("lstmfast" in name for name in model[0].__dict__)
    assert not lstmfast.torch.accelerate(model)[0].recompute
    assert set(model[0].__dict__) <= before
    assert inspect.signature(lstmfast.torch.LSTM) == inspect.signature(torch.nn.LSTM)
    rnn = lstmfast.torch.RNN(3, 4, recompute=True)
    x = randn((5, 2, 3), rnn.weight_ih_l0)
    assert torch.equal(rnn(x)[0], copy.copy(rnn)(x)[0])


def test_what_is_no_bool_is_refused() -> None:
    with pytest.raises(TypeError, match="recompute: expected True or False, got 1"):
        lstmfast.torch.LSTM(3, 4, recompute=1)  # type: ignore[arg-type]
    module = lstmfast.torch.LSTM(3, 4)
    with pytest.raises(TypeError, match="recompute: expected True or False, got 'yes'"):
        module.recompute = "yes"  # type: ignore[assignment]
    assert module.recompute is False
