"""`lengths` and `reset` where the core does not take the call: PyTorch's operators give what it would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import lstmfast.torch  # noqa: E402

from .cut_helpers import CONFIG, CUT, CUTS, ROWS, configured, cut_input  # noqa: E402
from .helpers import (  # noqa: E402
    T,
    as_leaves,
    assert_agree,
    input_of,
    outcome,
    randn,
    results,
    state_of,
    tensors,
    upstream,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
    # Which parts of PyTorch's own use when they are first asked for.
    pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning"),
]


@pytest.fixture
def by_pytorch(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From when this is called on, nothing goes to the core."""
    return lambda: monkeypatch.setattr(lstmfast.torch._paths, "refusal_of_mode", lambda: "a test")


def trained(module: Any, x: Any, hx: Any, cuts: dict[str, Any]) -> dict[str, Any]:
    """What `helpers.results` gives, whichever way the call goes."""
    x, hx = as_leaves(x), as_leaves(hx)
    y, end = module(x, hx, **cuts)
    outputs, wanted = [y, *tensors(end)], [x, *tensors(hx), *module.parameters()]
    grads = torch.autograd.grad(outputs, wanted, upstream(outputs))
    names = ["dx", *(f"dstate {n}" for n in range(len(tensors(hx))))]
    names += [f"d {name}" for name, _ in module.named_parameters()]
    found = dict(zip(names, grads, strict=True)) | {"y": y.detach()}
    found |= {f"state {n}": each.detach() for n, each in enumerate(tensors(end))}
    return {name: tensor.numpy() for name, tensor in found.items()}


@CONFIG
@CUT
@pytest.mark.parametrize("rows", [ROWS, None])
def test_by_pytorch_as_by_the_core(
    config: str, cut: str, rows: int | None, by_pytorch: Callable[[], None], dtype: str
) -> None:
    _, ours = configured(config, dtype)
    cuts = CUTS[cut](ours.batch_first if rows else False)
    x = cut_input(ours, cuts) if rows else input_of(ours, None)
    if not rows:  # one of the rows, alone
        cuts = {name: torch.as_tensor(value)[..., 0] for name, value in cuts.items()}
    hx = state_of(ours, rows)
    expected = results(ours, x, hx, **cuts)
    plainly = ours(x, **cuts)
    by_pytorch()
    assert lstmfast.torch.explain(ours, x, hx, **cuts).path == "torch"
    assert_agree(trained(ours, x, hx, cuts), expected, dtype, f"{config}, {cut}")
    torch.testing.assert_close(ours(x, **cuts), plainly)


@CONFIG
def test_no_row_has_steps(config: str, by_pytorch: Callable[[], None]) -> None:
    _, ours = configured(config)
    x, hx = input_of(ours, 2) * torch.nan, state_of(ours, 2)
    expected = results(ours, x, hx, lengths=[0, 0])
    by_pytorch()
    assert_agree(trained(ours, x, hx, {"lengths": [0, 0]}), expected, "float64", config)


WAYS: dict[str, Callable[[Any, Any, dict[str, Any]], Any]] = {
    "grad": lambda m, x, cuts: torch.func.grad(lambda x: m(x, **cuts)[0].square().sum())(x),
    "vmap": lambda m, x, cuts: torch.func.vmap(lambda x: m(x, **cuts)[0])(torch.stack([x, 2 * x])),
    "jvp": lambda m, x, cuts: torch.func.jvp(lambda x: m(x, **cuts)[0], (x,), (x,))[1],
    "forward_ad": lambda m, x, cuts: torch.autograd.functional.jacobian(
        lambda x: m(x, **cuts)[0], x, vectorize=True, strategy="forward-mode"
    ),
    "jacrev": lambda m, x, cuts: torch.func.jacrev(lambda x: m(x, **cuts)[0])(x),
    "functional_call": lambda m, x, cuts: torch.func.functional_call(
        m, {name: 2 * weight for name, weight in m.named_parameters()}, (x,), cuts
    )[0],
}


@CUT
@pytest.mark.parametrize("name", WAYS)
@pytest.mark.parametrize("config", ["lstm, both ways, projected", "lstm, deep, no bias", "rnn"])
def test_transforms(name: str, cut: str, config: str) -> None:
    """Beside the same with autograd alone."""
    _, ours = configured(config)
    cuts, x = CUTS[cut](ours.batch_first), input_of(ours, ROWS)
    found = WAYS[name](ours, x, cuts)
    if name == "grad":
        leaf = x.clone().requires_grad_()
        (expected,) = torch.autograd.grad(ours(leaf, **cuts)[0].square().sum(), leaf)
    elif name == "vmap":
        expected = torch.stack([ours(x, **cuts)[0], ours(2 * x, **cuts)[0]])
    elif name == "jvp":
        _, expected = torch.autograd.functional.jvp(lambda x: ours(x, **cuts)[0], x, x)
    elif name in ("jacrev", "forward_ad"):
        expected = torch.autograd.functional.jacobian(lambda x: ours(x, **cuts)[0], x)
    else:
        with torch.no_grad():
            for weight in ours.parameters():
                weight.mul_(2)
        expected = ours(x, **cuts)[0]
    torch.testing.assert_close(found, expected)


def test_cuts_made_within_a_transform() -> None:
    """Tensors there stand for others; those that are one for each of many are refused."""
    _, ours = configured("lstm")
    x = input_of(ours, ROWS)

    def loss(x: Any, lengths: Any) -> Any:
        return ours(x, lengths=lengths + 1, reset=x[..., 0].detach() > 0)[0].sum()

    lengths, leaf = torch.arange(ROWS), x.clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(leaf, lengths), leaf)
    torch.testing.assert_close(torch.func.grad(loss)(x, lengths), expected)
    with pytest.raises(TypeError, match="lengths: expected the same for all that vmap runs over"):
        torch.func.vmap(lambda lengths: ours(x, lengths=lengths)[0])(torch.stack([lengths, lengths]))


@CUT
@pytest.mark.parametrize("way", ["bfloat16", "autocast"])
def test_lower_precision(cut: str, way: str) -> None:
    _, ours = configured("lstm, both ways, projected", "float32")
    cuts, x = CUTS[cut](True), input_of(ours, ROWS)
    expected = ours(x, **cuts)[0]
    if way == "autocast":
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = ours(x, **cuts)[0]
    else:
        found = ours.bfloat16()(x.bfloat16(), **cuts)[0]
        assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.03)
    assert not torch.equal(found.float(), expected)


MISTAKES: dict[str, Callable[[Any, Any], tuple[Any, Any]]] = {
    "input_size": lambda x, hx: (x[..., 1:], hx),
    "dtype": lambda x, hx: (x.float(), hx),
    "axes": lambda x, hx: (x[None], hx),
    "no tensor": lambda x, hx: ("x", hx),
    "no steps": lambda x, hx: (x[:0], hx),
    "a state of other rows": lambda x, hx: (x, tuple(h[:, 1:] for h in hx)),
    "half a state": lambda x, hx: (x, hx[:1]),
    "a state without rows": lambda x, hx: (x, tuple(h[:, 0] for h in hx)),
    "one with too many": lambda x, hx: (x[:, 0], hx),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_told_by_pytorch(name: str) -> None:
    theirs, ours = configured("lstm")
    x, hx = MISTAKES[name](input_of(ours, ROWS), state_of(ours, ROWS))
    expected = outcome(theirs, x, hx)
    steps, unbatched = getattr(x, "shape", (T,))[0], getattr(x, "ndim", 3) == 2
    reset = torch.zeros(T)[:steps] if unbatched else torch.zeros(steps, ROWS)
    found = outcome(ours, x, hx, reset=reset)
    assert type(found) is type(expected)
    assert name == "one with too many" or str(found)[:50] == str(expected)[:50]


def test_a_batch_without_rows() -> None:
    _, ours = configured("lstm")
    x = randn((T, 0, ours.input_size), ours.weight_ih_l0)
    y, _ = ours(x, lengths=[], reset=torch.zeros(T, 0))
    assert y.shape == (T, 0, ours.hidden_size)
    with pytest.raises(ValueError, match=r"lengths: expected shape \(0,\) \[B\], got \(1,\)"):
        ours(x, lengths=[3])
