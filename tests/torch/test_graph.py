"""Compiled, exported, traced and scripted graphs with lstmfast.torch's modules in them."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ..core_helpers import run_python

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

import lstmfast.torch  # noqa: E402

from .helpers import input_of, outcome, pair  # noqa: E402

# PyTorch says this of TorchScript, which parts of its own use while it compiles.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning"),
    pytest.mark.usefixtures("fresh_dynamo"),
]


class Model(torch.nn.Module):  # type: ignore[misc, name-defined]
    """Embedding, recurrent, linear."""

    def __init__(self, make: Callable[..., Any], **options: Any) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(10, 6)
        self.recurrent = make(6, 7, **options)
        self.head = torch.nn.Linear(7 * (2 if options.get("bidirectional") else 1), 3)

    def forward(self, tokens: Any, hx: Any = None) -> Any:
        y, end = self.recurrent(self.embedding(tokens), hx)
        h = end[0] if isinstance(end, tuple) else end
        return self.head(y) + h.sum()


LSTM, GRU, RNN = lstmfast.torch.LSTM, lstmfast.torch.GRU, lstmfast.torch.RNN
MODELS: dict[str, Callable[[], Any]] = {
    "lstm": lambda: Model(LSTM),
    "lstm, deep, both ways, batch first": lambda: Model(
        LSTM, num_layers=2, bidirectional=True, batch_first=True
    ),
    "gru": lambda: Model(GRU, num_layers=2, bidirectional=True),
    "rnn": lambda: Model(RNN, num_layers=2, nonlinearity="relu"),
    "dropout, evaluated": lambda: Model(LSTM, num_layers=2, dropout=0.5).eval(),
    "frozen": lambda: lstmfast.torch.freeze(Model(LSTM)),
}
TOKENS = torch.randint(0, 10, (5, 4))


def gradients(model: Any, call: Any, *arguments: Any) -> list[Any]:
    model.zero_grad()
    out = call(*arguments)
    (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
    return [out.detach(), *(p.grad.clone() for p in model.parameters() if p.grad is not None)]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("unbatched", [False, True])
def test_compiled_without_a_break(name: str, backend: str, unbatched: bool) -> None:
    model = MODELS[name]()
    tokens = TOKENS[:, 0] if unbatched else TOKENS
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    for found, expected in zip(
        gradients(model, compiled, tokens), gradients(model, model, tokens), strict=True
    ):
        torch.testing.assert_close(found, expected)
    with torch.no_grad():
        assert torch.equal(compiled(tokens), model(tokens))


def test_compiled_with_a_state() -> None:
    model = MODELS["lstm"]()
    hx = (torch.randn(1, 4, 7, requires_grad=True), torch.randn(1, 4, 7))
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    found = torch.autograd.grad(compiled(TOKENS, hx).sum(), hx[0])
    expected = torch.autograd.grad(model(TOKENS, hx).sum(), hx[0])
    assert torch.equal(found[0], expected[0])


@pytest.mark.skipif(not (shutil.which("c++") or shutil.which("g++")), reason="Inductor needs a compiler")
def test_compiled_by_inductor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # What Inductor has cached before may be of another layout of the tape: it does not look.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    model = MODELS["lstm, deep, both ways, batch first"]()
    compiled = torch.compile(model, fullgraph=True)
    for found, expected in zip(
        gradients(model, compiled, TOKENS), gradients(model, model, TOKENS), strict=True
    ):
        torch.testing.assert_close(found, expected)


def test_dropout_while_training_is_in_the_graph() -> None:
    model = Model(LSTM, num_layers=2, dropout=0.5)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    torch.manual_seed(1)
    found = gradients(model, compiled, TOKENS)
    torch.manual_seed(1)
    expected = gradients(model, model, TOKENS)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)


def test_changed_weights_are_seen_after_compiling() -> None:
    model = MODELS["lstm"]()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    gradients(model, compiled, TOKENS)
    changes: list[Callable[[Any], Any]] = [
        lambda w: w.data.mul_(0.5),
        lambda w: w.detach().numpy().fill(0.1),
        lambda w: torch.nn.init.uniform_(w, -0.3, 0.3),
    ]
    for change in changes:
        change(model.recurrent.weight_hh_l0)
        for found, expected in zip(
            gradients(model, compiled, TOKENS), gradients(model, model, TOKENS), strict=True
        ):
            assert torch.equal(found, expected)


def test_what_is_pytorchs_own_breaks_the_graph_as_there() -> None:
    model = Model(LSTM).to(torch.bfloat16)
    plain = Model(torch.nn.LSTM).to(torch.bfloat16)
    plain.load_state_dict(model.state_dict())
    with torch.no_grad():
        found = torch.compile(model, backend="eager")(TOKENS)
        torch.testing.assert_close(found, plain(TOKENS))
        torch._dynamo.reset()
        with pytest.raises(torch._dynamo.exc.Unsupported, match="lstmfast"):
            torch.compile(model, backend="eager", fullgraph=True)(TOKENS)


PACKED = pack_padded_sequence(torch.randn(5, 3, 6), torch.tensor([5, 3, 1]))


# Dynamo's own look at a tensor, where it breaks the graph to read a number of rows.
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("fullgraph", [False, True])
@pytest.mark.parametrize("train", [False, True])
def test_compiled_with_packed_sequences(backend: str, fullgraph: bool, train: bool) -> None:
    """Packed outside of the graph: PyTorch forbids Dynamo to look into its packing functions."""
    module = LSTM(6, 7)

    def call(packed: Any) -> Any:
        return module(packed)[0].data

    compiled = torch.compile(call, backend=backend, fullgraph=fullgraph)
    if train:
        for found, expected in zip(
            gradients(module, compiled, PACKED), gradients(module, call, PACKED), strict=True
        ):
            torch.testing.assert_close(found, expected)
    else:
        with torch.no_grad():
            assert torch.equal(compiled(PACKED), call(PACKED))


TRANSFORMS: dict[str, Callable[[Any], Callable[[Any], Any]]] = {
    "grad": lambda module: torch.func.grad(lambda x: module(x)[0].sum()),
    "jacrev": lambda module: torch.func.jacrev(lambda x: module(x)[0]),
    "vmap": lambda module: lambda x: torch.func.vmap(lambda x: module(x)[0])(torch.stack([x, 2 * x])),
    "jvp": lambda module: lambda x: torch.func.jvp(lambda x: module(x)[0], (x,), (x,))[1],
    "functional_call": lambda module: (
        lambda x: torch.func.functional_call(
            module, {name: 2 * weight for name, weight in module.named_parameters()}, (x,)
        )[0]
    ),
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("compiled", [False, True])
def test_transforms_are_pytorchs_own(name: str, compiled: bool, dtype: str) -> None:
    """In a compiled function as well: the same numbers, or an error where PyTorch has one."""
    found = []
    for module in pair("lstm", dtype):
        function = TRANSFORMS[name](module)
        if compiled:
            torch._dynamo.reset()
            function = torch.compile(function, backend="aot_eager")
        found.append(outcome(function, input_of(module)))
    theirs, ours = found
    assert isinstance(ours, Exception) == isinstance(theirs, Exception), repr(ours)[:300]
    if not isinstance(theirs, Exception):
        torch.testing.assert_close(ours, theirs)


IMPORTS = """
{first}
import torch
{second}
plain, x = torch.nn.LSTM(3, 5), torch.randn(4, 2, 3)
try:
    torch.compile(plain, backend="eager", fullgraph=True)(x)
    print("taken")
except torch._dynamo.exc.Unsupported:
    print("refused", torch._dynamo.config.allow_rnn)
ours = lstmfast.torch.LSTM(3, 5)
with torch.no_grad():
    print(torch.equal(torch.compile(ours, backend="eager", fullgraph=True)(x)[0], ours(x)[0]))
"""


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("import lstmfast.torch", ""),
        ("", "import torch._dynamo.variables.builder\nimport lstmfast.torch"),
        ("import lstmfast.torch", "import torch._dynamo"),
    ],
)
def test_dynamo_takes_ours_and_no_others_whoever_comes_first(first: str, second: str) -> None:
    assert run_python(IMPORTS.format(first=first, second=second)).split() == ["refused", "False", "True"]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("strict", [False, True])
def test_exported_saved_and_loaded(name: str, strict: bool) -> None:
    model = MODELS[name]()
    dims = {0: torch.export.Dim("a", min=2, max=64), 1: torch.export.Dim("b", min=2, max=64)}
    exported = torch.export.export(model, (TOKENS,), dynamic_shapes={"tokens": dims}, strict=strict)
    file = io.BytesIO()
    torch.export.save(exported, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    for tokens in (TOKENS, torch.randint(0, 10, (9, 3))):
        with torch.no_grad():
            assert torch.equal(loaded(tokens), model(tokens))


def test_exported_programs_keep_a_tape_only_for_who_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exported with gradients on, as they are by default."""
    from lstmfast.torch import _run

    model = torch.export.export(MODELS["lstm"](), (TOKENS,)).module()
    tapes: list[int] = []
    forward = _run.forward

    def counted(*args: Any, **options: Any) -> Any:
        tapes.append(1)
        return forward(*args, **options)

    monkeypatch.setattr(_run, "forward", counted)
    with torch.no_grad():
        expected = model(TOKENS)
    assert tapes == []
    found = model(TOKENS)
    assert torch.equal(found, expected)
    found.sum().backward()
    assert tapes == [1]
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_traced_by_make_fx_and_run_without_data() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    module, x = LSTM(6, 7, num_layers=2), torch.randn(5, 4, 6)
    with torch.no_grad():
        graph = make_fx(lambda x: module(x)[0])(x)
        assert "lstmfast.infer" in graph.code
        assert torch.equal(graph(2 * x), module(2 * x)[0])
        with FakeTensorMode(allow_non_fake_inputs=True) as mode:
            y, (h, c) = module(mode.from_tensor(x))
        assert (y.shape, h.shape, c.shape) == ((5, 4, 7), (2, 4, 7), (2, 4, 7))


def test_under_a_dispatch_mode_a_frozen_module_looks_for_changes() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    module, x = LSTM(6, 7).freeze(), torch.randn(5, 4, 6)
    with torch.no_grad(), FlopCounterMode(display=False):
        assert torch.equal(module(x)[0], module(x)[0])
        module.weight_hh_l0.mul_(0.5)
        with pytest.raises(RuntimeError, match="unfreeze"):
            module(x)


STATES: dict[str, Callable[[Any], Any]] = {
    "half": lambda h: (h, None),
    "one tensor": lambda h: torch.stack([h, h]),
    "three": lambda h: (h, h, h),
    "a list": lambda h: [h, h],
    "a text": lambda h: "state",
    "another size": lambda h: (h, h[..., :-1]),
}


@pytest.mark.parametrize("name", STATES)
def test_under_a_dispatch_mode_states_are_taken_as_in_pytorch(name: str) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    ours, theirs, x = LSTM(6, 7), torch.nn.LSTM(6, 7), torch.randn(5, 4, 6)
    theirs.load_state_dict(ours.state_dict())
    hx = STATES[name](torch.randn(1, 4, 7))
    with torch.no_grad(), FlopCounterMode(display=False):
        found, expected = (outcome(lambda m=m: m(x, hx)[0]) for m in (ours, theirs))
    assert type(found) is type(expected)
    assert str(found) == str(expected) or isinstance(expected, torch.Tensor)


# TorchScript.


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", ["lstm, deep, both ways, batch first", "rnn"])
def test_traced_saved_and_loaded(name: str) -> None:
    model = MODELS[name]()
    with torch.no_grad():
        traced, file = torch.jit.trace(model, (TOKENS,)), io.BytesIO()
        torch.jit.save(traced, file)
        file.seek(0)
        for each in (traced, torch.jit.load(file)):
            torch.testing.assert_close(each(TOKENS), model(TOKENS))
            torch.testing.assert_close(each(TOKENS[:3, :2]), model(TOKENS[:3, :2]))


@pytest.mark.parametrize("make", [LSTM, GRU, RNN])
def test_scripted_models_are_pytorchs_own(make: Any) -> None:
    class Plain(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = make(6, 7)

        def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[name-defined]
            return self.recurrent(x)[0]

    model, x = Plain(), torch.randn(5, 4, 6)
    recurrent = model.recurrent
    scripted = torch.jit.script(model)
    assert type(recurrent) is make
    # Whoever prepares a module for scripting finds what it gives in the model itself: PyTorch puts it there.
    assert type(model.recurrent) is getattr(torch.nn, make.__name__)
    assert list(model.parameters()) == list(recurrent.parameters())
    with torch.no_grad():
        torch.testing.assert_close(scripted(x), model(x))
        model.recurrent.weight_hh_l0.mul_(0.5)  # the very same parameters
        torch.testing.assert_close(scripted(x), model(x))
