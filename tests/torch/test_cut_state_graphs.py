"""`reset_to` on graphs: compiled, exported, traced; the operators by themselves."""

from __future__ import annotations

import io
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import lstmfast.torch  # noqa: E402
from lstmfast.torch import _operators, _weights  # noqa: E402

from ..helpers import assert_same_bits  # noqa: E402
from .cut_helpers import LENGTHS, ROWS, begins_of, configured, everything, marks  # noqa: E402
from .helpers import input_of, leaf, outcome, state_of  # noqa: E402

pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
    pytest.mark.usefixtures("fresh_dynamo"),
]
SHARED = pytest.mark.parametrize("shared", [False, True])


@SHARED
@pytest.mark.parametrize("rows", [ROWS, None])
@pytest.mark.parametrize("config", ["lstm, both ways, projected", "gru", "rnn, relu"])
def test_compiled_without_a_break(config: str, rows: int | None, shared: bool) -> None:
    _, ours = configured(config, "float32")
    x, hx, begins = input_of(ours, rows), state_of(ours, rows), begins_of(ours, shared, rows)
    cuts = {"lengths": torch.tensor(LENGTHS), "reset": marks(ours.batch_first and rows is not None)}
    if rows is None:
        cuts = {name: value[..., 0] for name, value in cuts.items()}
    compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
    compiled.named_parameters = ours.named_parameters
    expected = everything(ours, x, hx, begins, cuts)
    assert_same_bits(everything(compiled, x, hx, begins, cuts), expected)
    with torch.no_grad():
        found = compiled(x, hx, **cuts, reset_to=begins)[0]
    assert_same_bits(found.numpy(), expected["y"])
    assert torch.equal(compiled(x, hx, **cuts)[0], ours(x, hx, **cuts)[0])  # and without it


def test_compiled_with_half_a_state_and_refused() -> None:
    _, ours = configured("lstm", "float32")
    compiled = torch.compile(ours, backend="aot_eager")
    x, reset, (h, c) = input_of(ours, ROWS), marks(), begins_of(ours, shared=True)
    for half in (0, 1):
        begins = [None, None]
        begins[half] = leaf((h, c)[half])
        found, expected = (
            torch.autograd.grad(one(x, reset=reset, reset_to=begins)[0].square().sum(), begins[half])
            for one in (compiled, ours)
        )
        assert torch.equal(*found, *expected)
    with pytest.raises(
        ValueError, match=r"reset_to: c: expected shape \(1, 5, 7\) or \(1, 7\), got \(1, 3\)"
    ):
        compiled(x, reset=reset, reset_to=(h, c[:, :3]))


class Model(torch.nn.Module):  # type: ignore[misc, name-defined]
    """With a learned state."""

    def __init__(self) -> None:
        super().__init__()
        self.recurrent = lstmfast.torch.GRU(3, 4, 2, bidirectional=True)
        self.begins = torch.nn.Parameter(torch.randn(4, 4))

    def forward(self, x: Any, lengths: Any, reset: Any) -> Any:
        return self.recurrent(x, lengths=lengths, reset=reset, reset_to=self.begins)[0]


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
    other = (torch.randn(9, 3, 3), torch.tensor([9, 0, 4]), torch.rand(9, 3) < 0.5)
    for each in (given, other):
        assert torch.equal(loaded(*each), model(*each))
    loaded(*other).sum().backward()
    model(*other).sum().backward()
    assert torch.equal(loaded.begins.grad, model.begins.grad)


def test_traced_by_make_fx_and_seen_by_modes() -> None:
    _, ours = configured("rnn", "float32")
    x, reset, begins = input_of(ours, ROWS), marks(), begins_of(ours, shared=False)

    def run(x: Any, reset: Any, begins: Any) -> Any:
        return ours(x, reset=reset, reset_to=begins)[0]

    graph = make_fx(run)(x, reset, begins)
    assert torch.equal(graph(2 * x, ~reset, 3 * begins), run(2 * x, ~reset, 3 * begins))
    with FlopCounterMode(display=False) as mode:
        run(x, reset, leaf(begins)).sum().backward()
    assert mode.get_total_flops() > 0
    found = outcome(torch.jit.trace, run, (x, reset, begins))
    assert isinstance(found, RuntimeError)
    assert "reset: expected None while torch.onnx.export or torch.jit.trace" in str(found)


# The operators.

SPECS = [
    _weights.Spec("lstm", 3, 4, 2, True, True, 2),
    _weights.Spec("lstm", 3, 4, 1, False, True, 0),
    _weights.Spec("gru", 3, 4, 2, False, False, 0),
]


def operands(spec: Any, rows: int, half: bool, dtype: Any) -> dict[str, Any]:
    """With a state of so many rows, or a half of it."""

    def draw(*shape: int) -> Any:
        return (torch.randn(shape, dtype=dtype) * 0.4).requires_grad_()

    masks = torch.rand(spec.num_layers - 1, 6, ROWS, spec.features) > 0.3 if spec.num_layers > 1 else None
    memory = spec.cell == "lstm"
    return {
        "x": draw(6, ROWS, 3),
        "h0": draw(spec.depth, ROWS, spec.state_size),
        "c0": draw(spec.depth, ROWS, 4) if memory else None,
        "weights": [draw(*shape) for _, shape, _ in spec.layout.shapes()],
        "batch_sizes": None,
        "masks": masks,
        "mask_scale": 1.5 if spec.num_layers > 1 else 0.0,
        "cell": spec.cell,
        "bias": spec.bias,
        "bidirectional": spec.bidirectional,
        "lengths": torch.tensor(LENGTHS),
        "reset": marks(),
        "cut_h": None if half and memory else draw(spec.depth, rows, spec.state_size),
        "cut_c": draw(spec.depth, rows, 4) if memory else None,
    }


@pytest.mark.parametrize(("rows", "half"), [(1, False), (ROWS, False), (1, True)])
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_operators_are_what_torch_library_wants(spec: Any, rows: int, half: bool) -> None:
    given = operands(spec, rows, half, torch.float32)
    assert set(torch.library.opcheck(_operators.forward, (), given).values()) == {"SUCCESS"}
    with torch.no_grad():
        y, h_n, c_n, reserve = _operators.forward(**given)
    plainly = {
        name: value.detach() if isinstance(value, torch.Tensor) else value
        for name, value in given.items()
        if "mask" not in name
    }
    plainly["weights"] = [weight.detach() for weight in given["weights"]]
    assert set(torch.library.opcheck(_operators.infer, (), plainly).values()) == {"SUCCESS"}
    begins = 2 if spec.cell == "lstm" else 1
    back = {
        **given,
        **plainly,
        "dy": torch.randn_like(y),
        "dh_n": torch.randn_like(h_n),
        "dc_n": torch.randn_like(c_n) if spec.cell == "lstm" else None,
        "y": y,
        "reserve": reserve,
        "wanted": [True] * (3 + len(given["weights"])) + [not half, True][:begins],
    }
    tests = ("test_schema", "test_faketensor", "test_aot_dispatch_dynamic")
    assert set(torch.library.opcheck(_operators.backward, (), back, test_utils=tests).values()) == {"SUCCESS"}


@pytest.mark.parametrize(("rows", "half"), [(1, False), (ROWS, True)])
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_gradients_of_gradients_and_many_at_once(spec: Any, rows: int, half: bool) -> None:
    given = operands(spec, rows, half, torch.float64)
    wanted = [given[name] for name in ("x", "h0", "c0", "cut_h", "cut_c") if given[name] is not None]
    wanted += given["weights"]

    def outputs(*_: Any) -> Any:
        y, h_n, c_n, _ = _operators.forward(**given)
        return (y, h_n, c_n) if spec.cell == "lstm" else (y, h_n)

    assert torch.autograd.gradcheck(outputs, wanted, fast_mode=True)
    assert torch.autograd.gradgradcheck(outputs, wanted, fast_mode=True)
    found = outputs()
    grads = [torch.randn(2, *output.shape, dtype=output.dtype) for output in found]
    many = torch.vmap(lambda *each: torch.autograd.grad(found, wanted, each, retain_graph=True))(*grads)
    for n in range(2):
        one = torch.autograd.grad(found, wanted, [each[n] for each in grads], retain_graph=True)
        assert all(torch.equal(a[n], b) for a, b in zip(many, one, strict=True))


def test_operators_refuse() -> None:
    spec = SPECS[1]
    refused: tuple[tuple[dict[str, Any], type[Exception], str], ...] = (
        ({"cut_h": torch.zeros(1, 4)}, ValueError, "cut_h: expected 3 axes"),
        ({"cut_h": torch.zeros(1, 1, 4).double()}, TypeError, "cut_h: expected torch.float32"),
        ({"cut_h": torch.zeros(1, 2, 4)}, ValueError, "cut_c: expected as many rows as cut_h, 2, got 1"),
        ({"cut_h": torch.zeros(1, 1, 5)}, ValueError, "cut_h: expected"),
        ({"cell": "gru"}, ValueError, "cut_c: expected None, for this cell has no c"),
        ({"batch_sizes": torch.full((6,), ROWS)}, ValueError, "cut_h: expected None beside batch_sizes"),
    )
    for changed, error, match in refused:
        given = operands(spec, 1, False, torch.float32) | changed
        if "batch_sizes" in changed:
            given |= {"x": given["x"].flatten(0, 1), "lengths": None, "reset": None}
        with torch.no_grad(), pytest.raises(error, match=match):
            _operators.forward(**given)
    given = operands(spec, 1, False, torch.float32)
    with torch.no_grad():
        y, _, _, reserve = _operators.forward(**given)
        for name in ("cut_h", "cut_c"):
            wrong = {**given, name: torch.zeros(1, 1, 5), "wanted": [True] * (5 + len(given["weights"]))}
            with pytest.raises(ValueError, match=f"{name}: expected shape"):
                _operators.backward(y, None, None, y=y, reserve=reserve, **wrong)
