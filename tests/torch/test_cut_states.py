"""`reset_to` of lstmfast.torch's modules: what rows begin anew from, with its gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import assert_same_bits, parts

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

import lstmfast.torch  # noqa: E402

from .cut_helpers import (  # noqa: E402
    CONFIG,
    CONFIGS,
    CUT,
    CUTS,
    LENGTHS,
    ROWS,
    begins_of,
    configured,
    everything,
    marks,
)
from .helpers import (  # noqa: E402
    T,
    as_leaves,
    call,
    input_of,
    leaf,
    no_word_of_projections,
    pair,
    state_of,
    tensors,
    upstream,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
    pytest.mark.filterwarnings("ignore:.torch.jit.:DeprecationWarning"),
]
SHARED = pytest.mark.parametrize("shared", [False, True])


@pytest.fixture
def by_pytorch(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From when this is called on, nothing goes to the core."""
    return lambda: monkeypatch.setattr(lstmfast.torch._paths, "refusal_of_mode", lambda: "a test")


def assert_close(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-10, atol=1e-10, err_msg=name)


@CONFIG
@CUT
@SHARED
def test_results_and_gradients_are_the_plain_layers(config: str, cut: str, shared: bool, dtype: str) -> None:
    _, ours = configured(config, dtype)
    cuts = CUTS[cut](ours.batch_first)
    x, hx, begins = input_of(ours, ROWS), state_of(ours, ROWS), begins_of(ours, shared)
    assert lstmfast.torch.explain(ours, x, hx, **cuts, reset_to=begins).path == "lstmfast"
    found = everything(ours, x, hx, begins, cuts)
    model = getattr(lstmfast, type(ours).__name__).from_torch(ours)
    said = {name: np.asarray(value) for name, value in cuts.items()}
    if "reset" in said:
        said["reset"] = said["reset"] != 0

    def plain(state: Any) -> Any:
        halves = tuple(half.numpy() for half in tensors(state))
        return halves if len(halves) == 2 else halves[0]

    y, end, tape = model.forward(x.numpy(), plain(hx), **said, reset_to=plain(begins))
    dy, *dend = upstream([torch.tensor(each) for each in (y, *parts(end))])
    grads = model.backward(tape, dy.numpy(), plain(dend))
    expected = {"y": y, "dx": grads.x}
    for name, state in (("state", end), ("dstate", grads.state), ("dreset_to", grads.reset_to)):
        expected |= {f"{name} {n}": half for n, half in enumerate(parts(state))}
    expected |= {f"d {name}": array for name, array in grads.parameters.items()}
    assert_same_bits(dict(sorted(found.items())), dict(sorted(expected.items())))
    with torch.no_grad():
        assert_same_bits(ours(x, hx, **cuts, reset_to=begins)[0].numpy(), y)


class Piecewise(torch.nn.Module):  # type: ignore[misc, name-defined]
    """PyTorch's own module, called once for each piece of each row."""

    def __init__(self, theirs: Any) -> None:
        super().__init__()
        self.theirs = theirs

    def named_parameters(self, *_: Any) -> Any:
        return self.theirs.named_parameters()

    def forward(self, x: Any, hx: Any, lengths: Any, reset: Any, reset_to: Any) -> Any:
        theirs = self.theirs
        reset = torch.as_tensor(reset) != 0
        if theirs.batch_first:
            x, reset = x.transpose(0, 1), reset.T
        D = 2 if theirs.bidirectional else 1
        reverse = (torch.arange(theirs.num_layers * D) % D == 1)[:, None, None]
        width = D * (theirs.proj_size or theirs.hidden_size)
        ys, ends = [], []
        for b, length in enumerate(lengths):
            row, one = slice(b, b + 1), [half[:, b : b + 1] for half in tensors(hx)]
            begin = [half[:, None] if half.dim() == 2 else half[:, b : b + 1] for half in tensors(reset_to)]
            cuts = [t for t in range(1, length) if reset[t, b]]
            y, end = [], one
            for start, stop in zip([0, *cuts], [*cuts, length], strict=True):
                if length == 0:
                    break
                fresh = start > 0 or bool(reset[0, b])
                takes = torch.where(reverse, torch.tensor(stop == length), torch.tensor(not fresh))
                given = [torch.where(takes, h, c) for h, c in zip(one, begin, strict=True)]
                piece = x[start:stop, row]
                piece = piece.transpose(0, 1) if theirs.batch_first else piece
                out, last = theirs(piece, tuple(given) if len(given) == 2 else given[0])
                y.append(out.transpose(0, 1) if theirs.batch_first else out)
                gives = torch.where(reverse, torch.tensor(start == 0), torch.tensor(stop == length))
                end = [torch.where(gives, h, e) for h, e in zip(tensors(last), end, strict=True)]
            y.append(x.new_zeros((len(x) - length, 1, width)))
            ys.append(torch.cat(y))
            ends.append(end)
        whole = torch.cat(ys, 1)
        state = [torch.cat(halves, 1) for halves in zip(*ends, strict=True)]
        whole = whole.transpose(0, 1) if theirs.batch_first else whole
        return whole, tuple(state) if len(state) == 2 else state[0]


@CONFIG
@SHARED
def test_as_pytorch_piece_by_piece(config: str, shared: bool, by_pytorch: Callable[[], None]) -> None:
    """In float64, by the core and by PyTorch's operators."""
    theirs, ours = configured(config)
    cuts = {"lengths": LENGTHS, "reset": marks(ours.batch_first)}
    given = input_of(ours, ROWS), state_of(ours, ROWS), begins_of(ours, shared)
    with no_word_of_projections():
        expected = everything(Piecewise(theirs), *given, cuts)
    assert np.abs(expected["dreset_to 0"]).max() > 1e-3
    assert_close(everything(ours, *given, cuts), expected)
    by_pytorch()
    assert lstmfast.torch.explain(ours, *given[:2], **cuts, reset_to=given[2]).path == "torch"
    assert_close(everything(ours, *given, cuts), expected)


@CONFIG
@SHARED
def test_gradcheck_and_gradgradcheck(config: str, shared: bool) -> None:
    """By finite differences, with the same dropout each time, of all that a call depends on."""
    kind, options = CONFIGS[config]
    dropout = 0.4 if "num_layers" in options else 0
    _, ours = pair(kind, input_size=2, hidden_size=4, dropout=dropout, **options)
    cuts = CUTS["both"](ours.batch_first)
    x, hx = leaf(input_of(ours, ROWS)), as_leaves(state_of(ours, ROWS))
    begins = as_leaves(begins_of(ours, shared))
    count = len(tensors(hx))

    def function(x: Any, *given: Any) -> Any:
        torch.manual_seed(3)
        states, begin = given[:count], given[count : 2 * count]
        hx, reset_to = (states, begin) if count == 2 else (states[0], begin[0])
        y, end = call(ours, x, hx, **cuts, reset_to=reset_to)
        return (y, *tensors(end))

    given = (x, *tensors(hx), *tensors(begins), *ours.parameters())
    assert torch.autograd.gradcheck(function, given, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, given, fast_mode=True)


@pytest.mark.parametrize("batch_first", [False, True])
def test_halves_rows_and_layouts(batch_first: bool, by_pytorch: Callable[[], None]) -> None:
    _, ours = configured("lstm", batch_first=batch_first)
    x, reset = input_of(ours, ROWS), marks(batch_first)
    h, c = begins_of(ours, shared=True)
    y, end = ours(x, reset=reset, reset_to=(None, c))
    one, x_1, reset_1 = (slice(3, 4), x[3], reset[3]) if batch_first else (3, x[:, 3], reset[:, 3])
    for _ in range(2):
        torch.testing.assert_close(ours(x, reset=reset, reset_to=(0 * h, c)), (y, end))
        torch.testing.assert_close(ours(x, reset=reset, reset_to=[None, None]), ours(x, reset=reset))
        # Of each row, in memory of any kind.
        turned = c.repeat(1, ROWS).view(1, ROWS, -1).transpose(1, 2).contiguous().transpose(1, 2)
        torch.testing.assert_close(ours(x, reset=reset, reset_to=(None, turned)), (y, end))
        found = ours(x_1, reset=reset_1, reset_to=(None, c))[0]
        torch.testing.assert_close(found, y[3] if batch_first else y[:, one])
        by_pytorch()
    learned = torch.nn.Parameter(c)
    ours(x, reset=reset, reset_to=(None, learned))[0].sum().backward()
    assert learned.grad is not None
    assert learned.grad.abs().max() > 1e-3


def test_without_a_mark_its_gradient_is_zero_and_not_none(by_pytorch: Callable[[], None]) -> None:
    """So that a learned state is like any other parameter, whichever batch comes."""
    _, ours = configured("gru")
    x, hx = input_of(ours, ROWS), state_of(ours, ROWS)
    expected = ours(x, hx)
    for cuts in ({}, {"reset": torch.zeros(T, ROWS)}, {"lengths": LENGTHS}, {"lengths": [0] * ROWS}):
        begins = leaf(begins_of(ours, shared=True))
        found = ours(x, hx, **cuts, reset_to=begins)
        if "lengths" not in cuts:
            torch.testing.assert_close(found, expected)
        (grad,) = torch.autograd.grad(found[0].sum(), begins)
        assert not grad.any()
    by_pytorch()
    begins = leaf(begins_of(ours, shared=True))
    (grad,) = torch.autograd.grad(ours(x, hx, reset_to=begins)[0].sum(), begins)
    assert not grad.any()


def test_second_derivatives_where_nothing_is_cut() -> None:
    _, ours = configured("gru")
    x, hx = leaf(input_of(ours, ROWS)), leaf(state_of(ours, ROWS))
    wanted = [x, hx, *ours.parameters()]
    found = []
    for more in ({}, {"reset_to": leaf(begins_of(ours, shared=True))}):
        y, _ = ours(x, hx, **more)
        grads = torch.autograd.grad(y.square().sum(), wanted, create_graph=True)
        found.append(torch.autograd.grad(sum(grad.square().sum() for grad in grads), wanted))
    torch.testing.assert_close(*found)


def test_what_no_output_depends_on_has_no_gradient() -> None:
    """After one step c comes before the last layer's projection."""
    _, ours = configured("lstm, both ways, projected")
    x, begins = input_of(ours, ROWS, steps=1), as_leaves(begins_of(ours, shared=True))
    _, (_, c_n) = ours(x, reset=torch.ones(ROWS, 1), reset_to=begins)
    weights = [ours.weight_hh_l0, ours.weight_hr_l0, ours.weight_hr_l0_reverse]
    grads = torch.autograd.grad(c_n.sum(), [*weights, *begins], allow_unused=True)
    assert [grad is None for grad in grads] == [False, True, True, False, False]


def test_frozen_quantized_and_many_gradients() -> None:
    _, ours = configured("lstm", "float32")
    x, reset = input_of(ours, ROWS), marks()
    begins = as_leaves(begins_of(ours, shared=True))

    def gradients() -> Any:
        y, _ = ours(x, reset=reset, reset_to=begins)
        return torch.autograd.grad(y.square().sum(), begins)

    expected = gradients()
    ours.freeze()
    assert all(torch.equal(a, b) for a, b in zip(gradients(), expected, strict=True))
    ours.unfreeze()
    y, _ = ours(x, reset=reset, reset_to=begins)
    dy = torch.stack([y.detach(), 2 * y.detach()])
    (many,) = torch.autograd.grad(y, begins[:1], dy, is_grads_batched=True, retain_graph=True)
    assert torch.equal(many[0], torch.autograd.grad(y, begins[:1], dy[0])[0])
    model = torch.nn.Sequential(lstmfast.torch.accelerate(torch.nn.LSTM(5, 7)))
    lstmfast.torch.quantize(model, "float16")
    with torch.no_grad():
        found = model[0](x, reset=reset, reset_to=begins)[0]
        plain = lstmfast.LSTM.from_torch(model[0]).quantize("float16")
        halves = tuple(half.detach().numpy() for half in begins)
        assert_same_bits(found.numpy(), plain(x.numpy(), reset=reset.numpy(), reset_to=halves)[0])
    with pytest.raises(RuntimeError, match="is quantized to float16, for inference, and has no gradients"):
        model[0](x, reset=reset, reset_to=begins)


WAYS: dict[str, Callable[[Any, Any], Any]] = {
    "grad": lambda loss, begins: torch.func.grad(loss)(begins),
    "vmap": lambda loss, begins: torch.func.vmap(torch.func.grad(loss))(torch.stack([begins, begins]))[1],
    "jacfwd": lambda loss, begins: torch.func.jacfwd(loss)(begins),
}


@pytest.mark.parametrize("name", WAYS)
def test_transforms(name: str) -> None:
    _, ours = configured("gru")
    x, reset = input_of(ours, ROWS), marks()

    def loss(begins: Any) -> Any:
        return ours(x, reset=reset, reset_to=begins)[0].square().sum()

    begins = leaf(begins_of(ours, shared=True))
    (expected,) = torch.autograd.grad(loss(begins), begins)
    torch.testing.assert_close(WAYS[name](loss, begins.detach()), expected)


@pytest.mark.parametrize("way", ["bfloat16", "autocast"])
def test_lower_precision(way: str) -> None:
    _, ours = configured("lstm, both ways, projected", "float32")
    x, reset, begins = input_of(ours, ROWS), marks(True), begins_of(ours, shared=True)
    expected = ours(x, reset=reset, reset_to=begins)[0]
    if way == "autocast":
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = ours(x.bfloat16(), reset=reset, reset_to=begins)[0]
    else:
        halves = tuple(half.bfloat16() for half in begins)
        found = ours.bfloat16()(x.bfloat16(), reset=reset, reset_to=halves)[0]
    torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.03)


# What cannot be.

PACKED = pack_padded_sequence(torch.zeros(T, ROWS, 5, dtype=torch.float64), torch.tensor([6, 5, 4, 3, 1]))
BAD: dict[str, tuple[Callable[[Any, Any], Any], type[Exception], str]] = {
    "no pair": (lambda h, c: h, TypeError, r"reset_to: expected a pair \(h, c\), got a tensor"),
    "three": (lambda h, c: (h, c, c), ValueError, r"reset_to: expected a pair \(h, c\), got 3 parts"),
    "an array": (lambda h, c: (h.numpy(), c), TypeError, r"reset_to: h: expected a tensor, got an array"),
    "wide": (
        lambda h, c: (h[:, :3], c),
        ValueError,
        r"reset_to: h: expected shape \(1, 5, 7\) or \(1, 7\), got \(1, 3\)",
    ),
    "rows": (lambda h, c: (h, c[None].repeat(1, 3, 1)), ValueError, r"reset_to: c: expected .* \(1, 3, 7\)"),
    "mixed": (
        lambda h, c: (h, c[:, None].repeat(1, ROWS, 1)),
        ValueError,
        "reset_to: expected h and c both with an axis of rows, or both without",
    ),
    "float32": (
        lambda h, c: (h, c.float()),
        TypeError,
        r"reset_to: c: expected torch.float64 on cpu, as the input, got torch.float32 on cpu",
    ),
    "meta": (lambda h, c: (h.to("meta"), c), TypeError, "reset_to: h: expected .* on meta"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments(name: str, by_pytorch: Callable[[], None]) -> None:
    _, ours = configured("lstm")
    x = input_of(ours, ROWS)
    give, error, match = BAD[name]
    given = give(*begins_of(ours, shared=True))
    for _ in range(2):
        for cuts in ({}, {"reset": marks()}):
            with pytest.raises(error, match=match):
                ours(x, **cuts, reset_to=given)
        by_pytorch()


def test_not_beside_packed_sequences_nor_with_rows_unbatched(by_pytorch: Callable[[], None]) -> None:
    _, ours = configured("lstm")
    h, c = begins_of(ours, shared=False)
    _, gru = configured("gru, no bias")
    for _ in range(2):
        with pytest.raises(TypeError, match="reset_to: expected None beside a PackedSequence, got a tuple"):
            ours(PACKED, reset_to=(h, c))
        with pytest.raises(ValueError, match=r"reset_to: h: expected shape \(1, 7\), got \(1, 5, 7\)"):
            ours(input_of(ours, None), reset_to=(h, c))
        with pytest.raises(TypeError, match="reset_to: expected a tensor, got"):
            gru(input_of(gru, ROWS), reset_to=(h, c))
        by_pytorch()
