"""`accelerate`, `restore` and `report`: whole models, in place."""

from __future__ import annotations

import copy
import io
import os
from collections.abc import Callable
from typing import Any

import pytest

from ..core_helpers import run_python

torch = pytest.importorskip("torch")

import lstmfast.torch  # noqa: E402

OURS = (lstmfast.torch.LSTM, lstmfast.torch.GRU, lstmfast.torch.RNN, lstmfast.torch.LSTMCell)


class Tagger(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Embedding, recurrent, linear."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(20, 8)
        self.lstm = torch.nn.LSTM(8, 16, num_layers=2, batch_first=True, dropout=dropout)
        self.head = torch.nn.Linear(16, 20)

    def forward(self, tokens: Any) -> Any:
        return self.head(self.lstm(self.embedding(tokens))[0])


class Nest(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Modules in every kind of place."""

    def __init__(self) -> None:
        super().__init__()
        self.direct = torch.nn.LSTM(3, 4)
        self.listed = torch.nn.ModuleList([torch.nn.RNN(3, 4), torch.nn.Linear(3, 3)])
        self.named = torch.nn.ModuleDict({"deep": torch.nn.Sequential(torch.nn.LSTM(4, 4, bias=False))})
        self.twice = self.direct
        self.gru = torch.nn.GRU(3, 4)
        self.cell = torch.nn.LSTMCell(3, 4)


def weights(model: Any) -> list[int]:
    return [id(parameter) for parameter in model.parameters()]


def test_every_module_in_place() -> None:
    model = Nest()
    before = [(name, id(module)) for name, module in model.named_modules(remove_duplicate=False)]
    parameters, keys, text = weights(model), list(model.state_dict()), repr(model)
    assert lstmfast.torch.accelerate(model) is model
    assert [(n, id(m)) for n, m in model.named_modules(remove_duplicate=False)] == before
    assert (weights(model), list(model.state_dict()), repr(model)) == (parameters, keys, text)
    for module in (model.direct, model.listed[0], model.named["deep"][0], model.twice, model.gru, model.cell):
        assert type(module) in OURS
        assert isinstance(module, (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN, torch.nn.LSTMCell))
    assert lstmfast.torch.accelerate(model) is model  # again
    attributes = {name: set(vars(module)) for name, module in Nest().named_modules()}
    assert lstmfast.torch.restore(model) is model
    assert [(n, id(m)) for n, m in model.named_modules(remove_duplicate=False)] == before
    assert {name: set(vars(module)) for name, module in model.named_modules()} == attributes
    assert not any(isinstance(module, OURS) for module in model.modules())


def test_the_model_may_be_the_module() -> None:
    lstm = torch.nn.LSTM(3, 4)
    assert lstmfast.torch.accelerate(lstm) is lstm
    assert type(lstm) is lstmfast.torch.LSTM
    lstm.freeze()
    lstmfast.torch.restore(lstm)
    assert type(lstm) is torch.nn.LSTM
    assert "_lstmfast" not in vars(lstm)


def test_restore_leaves_what_was_made_as_ours() -> None:
    model = torch.nn.Sequential(lstmfast.torch.LSTM(3, 4), torch.nn.RNN(4, 4))
    lstmfast.torch.restore(lstmfast.torch.accelerate(model))
    assert [type(module) for module in model] == [lstmfast.torch.LSTM, torch.nn.RNN]


def test_restore_undoes_it_though_a_weight_is_computed_since() -> None:
    """Parametrizing puts a class of its own over ours; without it, the module is PyTorch's again."""
    model = lstmfast.torch.accelerate(torch.nn.Sequential(torch.nn.LSTM(3, 4)))
    torch.nn.utils.parametrizations.weight_norm(model[0], "weight_hh_l0")
    lstmfast.torch.restore(model)
    torch.nn.utils.parametrize.remove_parametrizations(model[0], "weight_hh_l0")
    assert type(model[0]) is torch.nn.LSTM


def test_report() -> None:
    class Own(torch.nn.LSTM):  # type: ignore[misc, name-defined]
        pass

    model = lstmfast.torch.accelerate(Nest())
    model.own = Own(3, 4)
    model.late = torch.nn.LSTM(3, 4)
    model.ours = lstmfast.torch.RNN(3, 4)
    model.normed = torch.nn.utils.parametrizations.weight_norm(torch.nn.LSTM(3, 4), "weight_hh_l0")
    entries = {entry.name: entry for entry in lstmfast.torch.report(model)}
    found = {name: (entry.accelerated, entry.reason) for name, entry in entries.items()}
    late = (False, "not accelerated yet: call lstmfast.torch.accelerate(model)")
    assert found == {
        "direct": (True, "accelerated"),
        "listed.0": (True, "accelerated"),
        "named.deep.0": (True, "accelerated"),
        "twice": (True, "accelerated"),
        "gru": (True, "accelerated"),
        "cell": (True, "accelerated"),
        "own": late,
        "late": late,
        "ours": (True, "made as lstmfast.torch.RNN"),
        "normed": late,
    }
    assert entries["gru"].module is model.gru
    assert str(entries["gru"]) == "gru: GRU(3, 4): accelerated"
    assert str(lstmfast.torch.report(torch.nn.LSTM(3, 4))[0]).startswith("(the model itself): LSTM(3, 4): ")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_report_of_what_others_have_made_of_modules() -> None:
    model = torch.nn.Sequential(torch.nn.LSTM(3, 4))
    scripted = torch.nn.Sequential(torch.jit.script(torch.nn.LSTM(3, 4)))
    quantized = torch.ao.quantization.quantize_dynamic(model, {torch.nn.LSTM}, dtype=torch.qint8)
    for other, reason in ((scripted, "TorchScript"), (quantized, "quantized by PyTorch")):
        before = type(other[0])
        lstmfast.torch.accelerate(other)
        assert type(other[0]) is before
        (entry,) = lstmfast.torch.report(other)
        assert not entry.accelerated
        assert reason in entry.reason


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("make", [torch.nn.LSTMCell, torch.nn.GRUCell, torch.nn.RNNCell, torch.nn.GRU])
def test_report_of_what_torchscript_has_compiled(make: Any) -> None:
    (entry,) = lstmfast.torch.report(torch.nn.Sequential(torch.jit.script(make(3, 4))))
    assert (entry.accelerated, "TorchScript" in entry.reason) == (False, True)


@pytest.mark.parametrize("function", ["accelerate", "restore", "report"])
@pytest.mark.parametrize("wrong", [None, [torch.nn.LSTM(3, 4)], torch.nn.LSTM, "model"])
def test_what_is_no_model(function: str, wrong: Any) -> None:
    with pytest.raises(TypeError, match=rf"^model: {function} expected a torch\.nn\.Module, got "):
        getattr(lstmfast.torch, function)(wrong)


def test_explain_of_modules_that_are_not_ours() -> None:
    x = torch.zeros(4, 2, 3)
    assert "call lstmfast.torch.accelerate" in str(lstmfast.torch.explain(torch.nn.LSTM(3, 4), x))
    assert "call lstmfast.torch.accelerate" in str(lstmfast.torch.explain(torch.nn.GRU(3, 4), x))
    for wrong in (torch.nn.Linear(3, 4), None):
        with pytest.raises(TypeError, match=r"^module: expected an LSTM, GRU, RNN or a cell of these, got "):
            lstmfast.torch.explain(wrong, x)  # type: ignore[arg-type, unused-ignore]


# What a model had before goes on working.


def test_hooks() -> None:
    model = Tagger()
    seen: list[str] = []
    model.lstm.register_forward_pre_hook(lambda *_: seen.append("before"))
    model.lstm.register_forward_hook(lambda *_: seen.append("after"))
    model.lstm.register_full_backward_hook(lambda *_: seen.append("back"))
    model.lstm.weight_hh_l0.register_hook(lambda grad: seen.append("gradient"))
    model.lstm.register_load_state_dict_post_hook(lambda *_: seen.append("loaded"))
    model.lstm.register_state_dict_post_hook(lambda *_: seen.append("saved"))
    model.lstm.register_full_backward_pre_hook(lambda *_: seen.append("to go back"))
    lstmfast.torch.accelerate(model)
    model(torch.zeros(2, 3, dtype=torch.int64)).sum().backward()
    model.load_state_dict(model.state_dict())
    assert sorted(seen) == ["after", "back", "before", "gradient", "loaded", "saved", "to go back"]


def test_tied_weights_and_references_from_elsewhere() -> None:
    first, second = torch.nn.LSTM(4, 4), torch.nn.LSTM(4, 4)
    second.weight_hh_l0 = first.weight_hh_l0
    model, elsewhere = torch.nn.ModuleList([first, second]), {"first": first}
    x = torch.randn(3, 2, 4)

    def gradient() -> Any:
        model.zero_grad()
        second(elsewhere["first"](x)[0])[0].sum().backward()
        return first.weight_hh_l0.grad.clone()

    expected = gradient()
    lstmfast.torch.accelerate(model)
    assert type(elsewhere["first"]) is lstmfast.torch.LSTM
    torch.testing.assert_close(gradient(), expected)


def trained(model: Any, make_optimizer: Callable[[Any], Any], accelerate_at: int | None) -> list[float]:
    """Losses of next-token training; the optimiser is made before."""
    optimizer = make_optimizer(model.parameters())
    losses = []
    for step in range(30):
        if step == accelerate_at:
            lstmfast.torch.accelerate(model)
        generator = torch.Generator().manual_seed(step)
        start = torch.randint(0, 20, (8, 1), generator=generator)
        tokens = (start + 3 * torch.arange(12)) % 20
        loss = torch.nn.functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("at", [0, 7])
def test_the_same_curve(dropout: float, at: int) -> None:
    """With dropout too: PyTorch draws the masks."""
    curves = []
    for accelerate_at in (None, at):
        torch.manual_seed(0)
        model = Tagger(dropout)
        curves.append(trained(model, lambda p: torch.optim.Adam(p, lr=0.02), accelerate_at))
    assert curves[0][-1] < 0.5 * curves[0][0]  # it learns
    assert curves[1] == pytest.approx(curves[0], rel=1e-5)


def test_copies_and_files(tmp_path: Any) -> None:
    model = lstmfast.torch.accelerate(Tagger())
    tokens = torch.randint(0, 20, (2, 5))
    with torch.no_grad():
        expected = model(tokens)
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        for other in (copy.deepcopy(model), torch.load(file, weights_only=False)):
            assert type(other.lstm) is lstmfast.torch.LSTM
            assert torch.equal(other(tokens), expected)
            assert weights(other) != weights(model)
            lstmfast.torch.restore(other)
            assert type(other.lstm) is torch.nn.LSTM
    x = torch.ones(3, 2, 8)
    torch.save({"module": model.lstm, "x": x, "y": model.lstm(x)[0].detach()}, tmp_path / "m")
    load = f"import torch; d = torch.load({str(tmp_path / 'm')!r}, weights_only=False)"
    assert run_python(f"{load}; print(torch.equal(d['module'](d['x'])[0], d['y']))").split() == ["True"]


def test_copies_of_modules_whose_weights_are_computed() -> None:
    """Parametrized modules copy themselves by their __dict__; pickles they refuse."""
    model = lstmfast.torch.accelerate(Tagger())
    torch.nn.utils.parametrizations.weight_norm(model.lstm, "weight_hh_l0")
    tokens = torch.randint(0, 20, (2, 5))
    with torch.no_grad():
        expected = model(tokens)
        other = copy.deepcopy(model)
        assert torch.equal(other(tokens), expected)
        other.lstm.parametrizations.weight_hh_l0.original0.mul_(2)
        assert not torch.equal(other(tokens), expected)
        assert torch.equal(model(tokens), expected)


def test_training_or_not_is_told_from_above() -> None:
    model = lstmfast.torch.accelerate(Tagger(dropout=0.5))
    tokens = torch.randint(0, 20, (2, 5))
    with torch.no_grad():
        assert not torch.equal(model.train()(tokens), model(tokens))
        assert torch.equal(model.eval()(tokens), model(tokens))
    assert not model.lstm.training


def test_symbolic_traces() -> None:
    """Our modules are leaves of them, as PyTorch's are."""
    model, x = torch.nn.Sequential(torch.nn.LSTM(3, 4)), torch.randn(5, 2, 3)
    expected = torch.fx.symbolic_trace(model)(x)[0]
    lstmfast.torch.accelerate(model)
    torch.testing.assert_close(torch.fx.symbolic_trace(model)(x)[0], expected)


def test_wrapped_and_compiled_models() -> None:
    inner = Tagger()
    compiled = torch.compile(inner, backend="eager")
    tokens = torch.randint(0, 20, (2, 5))
    with torch.no_grad():
        expected = inner(tokens)
        lstmfast.torch.accelerate(compiled)
        assert type(inner.lstm) is lstmfast.torch.LSTM
        torch.testing.assert_close(compiled(tokens), expected)


class Frames(torch.utils.data.Dataset):  # type: ignore[misc, name-defined]
    """What a module makes of a number, in whatever process asks."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __len__(self) -> int:
        return 8

    def __getitem__(self, n: int) -> Any:
        with torch.no_grad():
            return self.module(torch.full((30, 16, 8), n / 8))[0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_loader_whose_workers_are_forked() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        module = lstmfast.torch.accelerate(torch.nn.LSTM(8, 96))
        frames = Frames(module)
        expected = [frames[n] for n in range(8)]  # on two threads, which the workers do not have
        loader = torch.utils.data.DataLoader(
            frames, batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=60
        )
        assert all(torch.equal(a, b) for a, b in zip(loader, expected, strict=True))
    finally:
        torch.set_num_threads(before)


def test_imports() -> None:
    """PyTorch only where it is asked for; and its compiler, which takes a second, not even then."""
    program = "import sys, {}; print(*(name in sys.modules for name in ('torch', 'torch._dynamo')))"
    assert run_python(program.format("lstmfast")).split() == ["False", "False"]
    assert run_python(program.format("lstmfast.torch")).split() == ["True", "False"]
