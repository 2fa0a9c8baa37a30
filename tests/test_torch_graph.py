"""Compiled, exported and traced graphs with lstmfast.torch's modules in them."""

from __future__ import annotations

import io
import itertools
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from core_helpers import run_python

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402
from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

import lstmfast._core as core  # noqa: E402
import lstmfast.torch  # noqa: E402
from lstmfast.torch import _operators, _weights  # noqa: E402

# What PyTorch says of itself while it compiles.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]


@pytest.fixture(autouse=True)
def fresh_dynamo() -> Iterator[None]:
    torch._dynamo.reset()
    torch.manual_seed(0)
    yield
    torch._dynamo.reset()


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


LSTM, RNN = lstmfast.torch.LSTM, lstmfast.torch.RNN
MODELS: dict[str, Callable[[], Any]] = {
    "lstm": lambda: Model(LSTM),
    "lstm, deep, both ways, batch first": lambda: Model(
        LSTM, num_layers=2, bidirectional=True, batch_first=True
    ),
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
def test_compiled_by_inductor() -> None:
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


# The operators by themselves.

SPECS = [
    _weights.Spec(cell, 6, 7, layers, both, bias, proj)
    for cell, layers, both, bias, proj in [
        ("lstm", 1, False, True, 0),
        ("lstm", 3, True, False, 0),
        ("lstm", 2, True, True, 3),
        ("rnn_tanh", 2, True, True, 0),
        ("rnn_relu", 1, False, False, 0),
    ]
]


def operands(spec: Any, dtype: Any, packed: bool, dropout: bool) -> dict[str, Any]:
    def draw(*shape: int) -> Any:
        return (torch.randn(shape, dtype=dtype) * 0.4).requires_grad_()

    x, sizes = draw(5, 4, 6), None
    if packed:
        sequence = pack_padded_sequence(x.detach(), torch.tensor([5, 3, 3, 1]))
        x, sizes = sequence.data.requires_grad_(), sequence.batch_sizes
    masks = torch.rand(spec.num_layers - 1, *x.shape[:-1], spec.features) > 0.3 if dropout else None
    return {
        "x": x,
        "h0": draw(spec.depth, 4, spec.state_size),
        "c0": draw(spec.depth, 4, 7) if spec.cell == "lstm" else None,
        "weights": [draw(*shape) for _, shape, _ in spec.layout.shapes()],
        "batch_sizes": sizes,
        "masks": masks,
        "mask_scale": 1.5 if dropout else 0.0,
        "cell": spec.cell,
        "bias": spec.bias,
        "bidirectional": spec.bidirectional,
    }


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize(("packed", "dropout"), [*itertools.product((False, True), repeat=2)])
def test_operators_are_what_torch_library_wants(spec: Any, packed: bool, dropout: bool, dtype: str) -> None:
    if dropout and spec.num_layers == 1:
        pytest.skip("there is nothing between layers")
    given = operands(spec, getattr(torch, dtype), packed, dropout)
    if dtype == "float32" or not dropout:  # each takes a second
        assert set(torch.library.opcheck(_operators.forward, (), given).values()) == {"SUCCESS"}
    plainly = {name: value for name, value in given.items() if "mask" not in name}
    for name in ("x", "h0", "c0"):
        plainly[name] = None if plainly[name] is None else plainly[name].detach()
    plainly["weights"] = [weight.detach() for weight in plainly["weights"]]
    assert set(torch.library.opcheck(_operators.infer, (), plainly).values()) == {"SUCCESS"}
    with torch.no_grad():
        y, h_n, c_n, reserve = _operators.forward(**given)
    rest = {name: given[name] for name in given if name not in ("x", "h0", "c0")}
    wanted = [n % 3 != 1 for n in range(2 + len(given["weights"]))]
    back = {
        "dy": torch.randn_like(y),
        "dh_n": torch.randn_like(h_n),
        "dc_n": torch.randn_like(c_n) if spec.cell == "lstm" else None,
        "x": given["x"].detach(),
        "y": y,
        "reserve": reserve,
        **rest,
        "weights": plainly["weights"],
        "wanted": wanted,
    }
    tests = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
    assert set(torch.library.opcheck(_operators.backward, (), back, test_utils=tests).values()) == {"SUCCESS"}


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("dtype_", [torch.float32, torch.float64], ids=str)
def test_the_reserve_has_the_size_that_the_core_says(spec: Any, dtype_: Any) -> None:
    weights = [torch.zeros(shape, dtype=dtype_) for _, shape, _ in spec.layout.shapes()]
    network = _weights.Packed(spec).network(weights, 1)
    assert isinstance(network, core.Network32 if dtype_ is torch.float32 else core.Network64)
    for places, rows, dropout in itertools.product((1, 7, 16, 100), (1, 3, 16), (False, True)):
        found = _operators.reserve_size(spec, places, rows, dtype_.itemsize, dropout)
        assert found == network.tape_size(places, rows, False, dropout)


def test_operators_refuse_what_does_not_fit() -> None:
    given = operands(SPECS[0], torch.float32, False, False)
    plainly = {name: given[name] for name in given if "mask" not in name}
    with pytest.raises(ValueError, match="x: expected"), torch.no_grad():
        _operators.infer(**{**plainly, "h0": None, "c0": None, "x": torch.zeros(5, 4, 5, 6)})
    with pytest.raises(ValueError, match="h0: expected shape"), torch.no_grad():
        _operators.infer(**{**plainly, "h0": torch.zeros(1, 9, 7)})
    with pytest.raises(RuntimeError, match="expected weights of shapes"), torch.no_grad():
        _operators.infer(**{**plainly, "weights": [w[:-1] for w in plainly["weights"]]})


def test_gradients_of_gradients_are_refused_in_graphs_too() -> None:
    given = operands(SPECS[0], torch.float64, False, False)
    y, *_ = _operators.forward(**given)
    (gradient,) = torch.autograd.grad(y.sum(), given["x"], create_graph=True)
    with pytest.raises(RuntimeError, match="not gradients of gradients"):
        gradient.sum().backward()


# TorchScript.


@pytest.mark.parametrize("name", ["lstm", "rnn"])
def test_scripted_models_are_pytorchs_own(name: str) -> None:
    class Plain(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = LSTM(6, 7) if name == "lstm" else RNN(6, 7)

        def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[name-defined]
            return self.recurrent(x)[0]

    model, x = Plain(), torch.randn(5, 4, 6)
    recurrent = model.recurrent
    scripted = torch.jit.script(model)
    assert type(recurrent) in (LSTM, RNN)
    # Whoever prepares a module for scripting finds what it gives in the model itself: PyTorch puts it there.
    assert type(model.recurrent) in (torch.nn.LSTM, torch.nn.RNN)
    assert list(model.parameters()) == list(recurrent.parameters())
    with torch.no_grad():
        torch.testing.assert_close(scripted(x), model(x))
        model.recurrent.weight_hh_l0.mul_(0.5)  # the very same parameters
        torch.testing.assert_close(scripted(x), model(x))
