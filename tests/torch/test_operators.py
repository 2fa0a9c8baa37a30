"""The operators that lstmfast.torch puts into graphs, by themselves."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

import lstmfast._core as core  # noqa: E402
from lstmfast.torch import _operators, _reserve, _weights  # noqa: E402

# PyTorch says this of TorchScript, which parts of its own use while it compiles.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning"),
    pytest.mark.usefixtures("fresh_dynamo"),
]

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


@pytest.mark.parametrize(
    ("spec", "packed", "dropout", "dtype"),
    [
        (spec, packed, dropout, dtype)
        for spec, packed, dropout in itertools.product(SPECS, (False, True), (False, True))
        for dtype in ("float32", "float64")
        # Each takes a second; of a dtype nothing is asked but what it is.
        if (spec.num_layers > 1 or not dropout) and (dtype == "float32" or not (packed or dropout))
    ],
    ids=str,
)
def test_operators_are_what_torch_library_wants(spec: Any, packed: bool, dropout: bool, dtype: str) -> None:
    given = operands(spec, getattr(torch, dtype), packed, dropout)
    assert set(torch.library.opcheck(_operators.forward, (), given).values()) == {"SUCCESS"}
    plainly = {name: value for name, value in given.items() if "mask" not in name}
    for name in ("x", "h0", "c0"):
        plainly[name] = None if plainly[name] is None else plainly[name].detach()
    plainly["weights"] = [weight.detach() for weight in plainly["weights"]]
    assert set(torch.library.opcheck(_operators.infer, (), plainly).values()) == {"SUCCESS"}
    with torch.no_grad():
        y, h_n, c_n, reserve = _operators.forward(**given)
    rest = {name: given[name] for name in given if name != "x"}
    wanted = [n % 3 != 1 for n in range(3 + len(given["weights"]))]
    back = {
        "dy": torch.randn_like(y),
        "dh_n": torch.randn_like(h_n),
        "dc_n": torch.randn_like(c_n) if spec.cell == "lstm" else None,
        "x": given["x"].detach(),
        "y": y,
        "reserve": reserve,
        **rest,
        **{name: plainly[name] for name in ("h0", "c0", "weights")},
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
    flags = (False, True)
    for places, rows, dropout, recompute in itertools.product((1, 7, 16, 100), (1, 3, 16), flags, flags):
        for cut_rows in {0, 1, rows}:
            found = _reserve.size(spec, places, rows, dtype_.itemsize, dropout, recompute, cut_rows)
            assert found == network.tape_size(places, rows, recompute, dropout, cut_rows)


def test_operators_refuse_what_does_not_fit() -> None:
    given = operands(SPECS[0], torch.float32, False, False)
    plainly = {name: given[name] for name in given if "mask" not in name}
    with pytest.raises(ValueError, match="x: expected"), torch.no_grad():
        _operators.infer(**{**plainly, "h0": None, "c0": None, "x": torch.zeros(5, 4, 5, 6)})
    with pytest.raises(ValueError, match="h0: expected shape"), torch.no_grad():
        _operators.infer(**{**plainly, "h0": torch.zeros(1, 9, 7)})
    with pytest.raises(RuntimeError, match="expected weights of shapes"), torch.no_grad():
        _operators.infer(**{**plainly, "weights": [w[:-1] for w in plainly["weights"]]})


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("packed", [False, True])
def test_gradients_of_gradients_and_many_at_once(spec: Any, packed: bool) -> None:
    """By finite differences; and each of many is what it is alone."""
    given = operands(spec, torch.float64, packed, dropout=spec.num_layers > 1)
    wanted = [given[name] for name in ("x", "h0", "c0") if given[name] is not None]
    wanted = [*(tensor for tensor in wanted if tensor.requires_grad), *given["weights"]]

    def outputs(*_: Any) -> Any:
        y, h_n, c_n, _ = _operators.forward(**given)
        return (y, h_n, c_n) if spec.cell == "lstm" else (y, h_n)

    assert torch.autograd.gradgradcheck(outputs, wanted, fast_mode=True)
    found = outputs()
    grads = [torch.randn(3, *output.shape, dtype=output.dtype) for output in found]
    many = torch.vmap(lambda *each: torch.autograd.grad(found, wanted, each, retain_graph=True))(*grads)
    for n in range(3):
        one = torch.autograd.grad(found, wanted, [each[n] for each in grads], retain_graph=True)
        assert all(torch.equal(a[n], b) for a, b in zip(many, one, strict=True))
