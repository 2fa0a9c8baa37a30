"""`lengths`, `reset` and recomputing on graphs: compiled, exported, traced; the operators by themselves."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import lstmfast.torch  # noqa: E402
from lstmfast.torch import _operators, _weights  # noqa: E402

from .cut_helpers import CONFIGS, CUTS, LENGTHS, ROWS, configured, marks  # noqa: E402
from .helpers import input_of, leaf, outcome, state_of, tensors, upstream  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
    pytest.mark.usefixtures("fresh_dynamo"),
]


def as_tensors(cuts: dict[str, Any]) -> dict[str, Any]:
    return {name: torch.as_tensor(value) for name, value in cuts.items()}


def gradients(function: Callable[..., Any], module: Any, x: Any, hx: Any, cuts: dict[str, Any]) -> list[Any]:
    x, hx = leaf(x), None if hx is None else tuple(map(leaf, tensors(hx)))
    y, end = function(x, hx if hx is None or len(hx) == 2 else hx[0], **cuts)
    outputs, inputs = [y, *tensors(end)], [x, *tensors(hx), *module.parameters()]
    return [*outputs, *torch.autograd.grad(outputs, inputs, upstream(outputs))]


@pytest.mark.parametrize(
    ("config", "cut", "rows"),
    [
        *((config, "both", ROWS) for config in CONFIGS),
        ("rnn, relu", "lengths", ROWS),
        ("rnn, relu", "reset", ROWS),
        ("rnn, relu", "both", None),
    ],
)
def test_compiled_without_a_break(config: str, cut: str, rows: int | None) -> None:
    _, ours = configured(config, "float32")
    cuts = as_tensors(CUTS[cut](ours.batch_first and rows is not None))
    if rows is None:
        cuts = {name: value[..., 0] for name, value in cuts.items()}
    x, hx = input_of(ours, rows), state_of(ours, rows)
    compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
    found, expected = (gradients(call, ours, x, hx, cuts) for call in (compiled, ours))
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    with torch.no_grad():
        assert torch.equal(compiled(x, hx, **cuts)[0], expected[0])


def test_compiled_with_lists_and_arrays_and_without_again() -> None:
    _, ours = configured("lstm", "float32")
    compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
    x = input_of(ours, ROWS)
    for cuts in ({"lengths": LENGTHS}, {"reset": marks().numpy()}, {}, {"reset": marks().int().tolist()}):
        assert torch.equal(compiled(x, **cuts)[0], ours(x, **cuts)[0])


def test_compiled_and_refused() -> None:
    """What only data says is seen when the operator runs."""
    _, ours = configured("lstm", "float32")
    compiled, x = torch.compile(ours, backend="aot_eager"), input_of(ours, ROWS)
    compiled(x, lengths=torch.tensor(LENGTHS), reset=marks().int())
    for cuts, match in (
        ({"lengths": torch.tensor([1, 2, 3, 4, 7])}, "lengths: expected integers from 0 to 6"),
        ({"reset": marks().int() * 2}, "reset: expected .* 0 and 1, got 2"),
        ({"lengths": torch.tensor([1, 2])}, r"lengths: expected shape \(5,\)"),
        ({"reset": marks().T}, r"reset: expected shape \(6, 5\) \[T, B\]"),
    ):
        with pytest.raises(ValueError, match=match):
            compiled(x, **cuts)


def test_what_is_not_for_the_core_breaks_the_graph() -> None:
    _, ours = configured("lstm", "float32")
    ours, x = ours.bfloat16(), input_of(ours, ROWS).bfloat16()
    cuts = as_tensors(CUTS["both"](False))
    with torch.no_grad():
        assert torch.equal(torch.compile(ours, backend="eager")(x, **cuts)[0], ours(x, **cuts)[0])


class Model(torch.nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.recurrent = lstmfast.torch.LSTM(3, 4, 2, bidirectional=True)

    def forward(self, x: Any, lengths: Any, reset: Any) -> Any:
        return self.recurrent(x, lengths=lengths, reset=reset)[0]


@pytest.mark.parametrize("strict", [False, True])
def test_exported_saved_and_loaded(strict: bool) -> None:
    model = Model()
    given = (torch.randn(5, 4, 3), torch.tensor([1, 5, 0, 3]), torch.rand(5, 4) < 0.3)
    steps, rows = torch.export.Dim("steps", min=2, max=64), torch.export.Dim("rows", min=2, max=64)
    dims = ({0: steps, 1: rows}, {0: rows}, {0: steps, 1: rows})
    exported, file = torch.export.export(model, given, dynamic_shapes=dims, strict=strict), io.BytesIO()
    torch.export.save(exported, file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    other = (torch.randn(9, 3, 3), torch.tensor([9, 0, 4]), torch.rand(9, 3) < 0.3)
    for each in (given, other):
        assert torch.equal(loaded(*each), model(*each))
    with pytest.raises(ValueError, match="lengths: expected integers from 0 to 9"):
        loaded(other[0], other[1] + 1, other[2])


def test_traced_by_make_fx_and_seen_by_modes() -> None:
    _, ours = configured("rnn", "float32")
    x, cuts = input_of(ours, ROWS), as_tensors(CUTS["both"](False))
    graph = make_fx(lambda x, lengths, reset: ours(x, lengths=lengths, reset=reset)[0])(x, *cuts.values())
    assert torch.equal(graph(2 * x, *cuts.values()), ours(2 * x, **cuts)[0])
    counts, grads = [], []
    for given in (cuts, {}):
        ours.zero_grad()
        with FlopCounterMode(display=False) as mode:
            ours(x, **given)[0].sum().backward()
        counts.append(mode.get_total_flops())
        grads.append(ours.weight_hh_l0.grad)
    assert counts[0] == counts[1] > 0  # shapes say it
    assert torch.equal(grads[0], torch.autograd.grad(ours(x, **cuts)[0].sum(), ours.weight_hh_l0)[0])


def test_traces_and_onnx_take_neither() -> None:
    """They would hold what is given when they are made for constants."""
    given = (torch.randn(5, 4, 3), torch.tensor([1, 5, 0, 3]), torch.rand(5, 4) < 0.3)
    for way in (
        lambda: torch.onnx.export(Model(), given, io.BytesIO(), dynamo=False),
        lambda: torch.jit.trace(Model(), given),
    ):
        found = outcome(way)
        assert isinstance(found, RuntimeError)
        assert "lengths: expected None while torch.onnx.export or torch.jit.trace" in str(found)


# The operators.

SPECS = [
    _weights.Spec("lstm", 3, 4, 2, True, True, 2),
    _weights.Spec("lstm", 3, 4, 1, False, True, 0),
    _weights.Spec("rnn_tanh", 3, 4, 2, False, False, 0),
]


def operands(spec: Any, cuts: dict[str, Any], dtype: Any) -> dict[str, Any]:
    def draw(*shape: int) -> Any:
        return (torch.randn(shape, dtype=dtype) * 0.4).requires_grad_()

    return {
        "x": draw(6, ROWS, 3),
        "h0": draw(spec.depth, ROWS, spec.state_size),
        "c0": draw(spec.depth, ROWS, 4) if spec.cell == "lstm" else None,
        "weights": [draw(*shape) for _, shape, _ in spec.layout.shapes()],
        "batch_sizes": None,
        "masks": torch.rand(spec.num_layers - 1, 6, ROWS, spec.features) > 0.3
        if spec.num_layers > 1
        else None,
        "mask_scale": 1.5 if spec.num_layers > 1 else 0.0,
        "cell": spec.cell,
        "bias": spec.bias,
        "bidirectional": spec.bidirectional,
        **cuts,
    }


@pytest.mark.parametrize(
    ("spec", "cut"),
    [*((spec, "both") for spec in SPECS), *((SPECS[1], cut) for cut in ("lengths", "reset", "recompute"))],
    ids=str,
)
def test_operators_are_what_torch_library_wants(spec: Any, cut: str) -> None:
    cuts = {"recompute": True} if cut == "recompute" else as_tensors(CUTS[cut](False))
    if cut == "both":
        cuts["recompute"] = True
    given = operands(spec, cuts, torch.float32)
    assert set(torch.library.opcheck(_operators.forward, (), given).values()) == {"SUCCESS"}
    with torch.no_grad():
        y, h_n, c_n, reserve = _operators.forward(**given)
    plainly = {name: value for name, value in given.items() if "mask" not in name and name != "recompute"}
    for name in ("x", "h0", "c0"):
        plainly[name] = None if plainly[name] is None else plainly[name].detach()
    plainly["weights"] = [weight.detach() for weight in given["weights"]]
    assert set(torch.library.opcheck(_operators.infer, (), plainly).values()) == {"SUCCESS"}
    back = {
        **given,
        **plainly,
        "dy": torch.randn_like(y),
        "dh_n": torch.randn_like(h_n),
        "dc_n": torch.randn_like(c_n) if spec.cell == "lstm" else None,
        "y": y,
        "reserve": reserve,
        "wanted": [True] * (3 + len(given["weights"])),
    }
    tests = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
    assert set(torch.library.opcheck(_operators.backward, (), back, test_utils=tests).values()) == {"SUCCESS"}


@pytest.mark.parametrize("spec", SPECS[1:], ids=str)
def test_gradients_of_gradients_and_many_at_once(spec: Any) -> None:
    given = operands(spec, as_tensors(CUTS["both"](False)), torch.float64)
    wanted = [given[name] for name in ("x", "h0", "c0") if given[name] is not None] + given["weights"]

    def outputs(*_: Any) -> Any:
        y, h_n, c_n, _ = _operators.forward(**given)
        return (y, h_n, c_n) if spec.cell == "lstm" else (y, h_n)

    assert torch.autograd.gradgradcheck(outputs, wanted, fast_mode=True)
    found = outputs()
    grads = [torch.randn(2, *output.shape, dtype=output.dtype) for output in found]
    many = torch.vmap(lambda *each: torch.autograd.grad(found, wanted, each, retain_graph=True))(*grads)
    for n in range(2):
        one = torch.autograd.grad(found, wanted, [each[n] for each in grads], retain_graph=True)
        assert all(torch.equal(a[n], b) for a, b in zip(many, one, strict=True))


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "float lengths": (
        {"lengths": torch.ones(ROWS)},
        TypeError,
        "lengths: expected integers, got torch.float32",
    ),
    "bool lengths": (
        {"lengths": torch.ones(ROWS) > 0},
        TypeError,
        "lengths: expected integers, got torch.bool",
    ),
    "two axes": ({"lengths": torch.ones(1, ROWS, dtype=torch.int64)}, ValueError, "lengths: expected 1 axes"),
    "one axis": ({"reset": torch.ones(6)}, ValueError, "reset: expected 2 axes"),
    "packed": (
        {"batch_sizes": torch.full((6,), ROWS), "lengths": torch.ones(ROWS, dtype=torch.int64)},
        ValueError,
        "lengths: expected None beside batch_sizes",
    ),
    "complex": ({"reset": marks() * 1j}, TypeError, "reset: expected bools"),
    "too few": ({"lengths": torch.ones(2, dtype=torch.int64)}, ValueError, "lengths: expected shape"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_operators_refuse(name: str) -> None:
    cuts, error, match = REFUSED[name]
    given = operands(SPECS[1], cuts, torch.float32)
    if name == "packed":
        given["x"] = given["x"].flatten(0, 1)
    with torch.no_grad(), pytest.raises(error, match=match):
        _operators.forward(**given)
