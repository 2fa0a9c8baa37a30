"""`lengths` and `reset` of lstmfast.torch's modules: what lstmfast.LSTM makes of them, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import assert_same_bits, parts

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import lstmfast.torch  # noqa: E402

from .cut_helpers import (  # noqa: E402
    CONFIG,
    CONFIGS,
    CUT,
    CUTS,
    LENGTHS,
    ROWS,
    configured,
    cut_input,
    marks,
)
from .helpers import (  # noqa: E402
    I,
    T,
    as_leaves,
    assert_agree,
    call,
    input_of,
    leaf,
    no_word_of_projections,
    pair,
    randn,
    results,
    state_of,
    tensors,
    upstream,
)

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def by_plain_layer(ours: Any, x: Any, hx: Any, cuts: dict[str, Any]) -> dict[str, Any]:
    """What lstmfast.LSTM, GRU or RNN gives, by the names of `results`."""
    model = getattr(lstmfast, type(ours).__name__).from_torch(ours)
    cuts = {name: np.asarray(value) for name, value in cuts.items()}
    if "reset" in cuts:
        cuts["reset"] = cuts["reset"] != 0
    state = None if hx is None else tuple(h.numpy() for h in tensors(hx))
    given = state if state is None or len(state) == 2 else state[0]
    y, end, tape = model.forward(x.numpy(), given, **cuts)
    dy, *dend = (gradient.numpy() for gradient in upstream([torch.tensor(each) for each in (y, *parts(end))]))
    grads = model.backward(tape, dy, tuple(dend) if len(dend) == 2 else dend[0])
    found = {"y": y, **{f"state {n}": each for n, each in enumerate(parts(end))}, "dx": grads.x}
    if hx is not None:
        found |= {f"dstate {n}": each for n, each in enumerate(parts(grads.state))}
    return found | {f"d {name}": each for name, each in grads.parameters.items()}


@CONFIG
@CUT
@pytest.mark.parametrize("with_state", [False, True])
def test_results_and_gradients_are_the_plain_layers(
    config: str, cut: str, with_state: bool, dtype: str
) -> None:
    _, ours = configured(config, dtype)
    cuts = CUTS[cut](ours.batch_first)
    x, hx = cut_input(ours, cuts), state_of(ours, ROWS) if with_state else None
    found, expected = results(ours, x, hx, **cuts), by_plain_layer(ours, x, hx, cuts)
    assert_same_bits(dict(sorted(found.items())), dict(sorted(expected.items())))
    with torch.no_grad():
        y, end = call(ours, x, hx, **cuts)
    assert_same_bits(
        [y.numpy(), *(each.numpy() for each in tensors(end))],
        list(expected.values())[: 1 + len(tensors(end))],
    )


@CONFIG
def test_lengths_are_packed_sequences(config: str, dtype: str) -> None:
    """As PyTorch has them: packed, in descending order, and without empty rows."""
    theirs, ours = configured(config, dtype)
    lengths = torch.tensor([2, 6, 1, 5])
    x, hx = input_of(ours, 4), state_of(ours, 4)

    class Packed(torch.nn.Module):  # type: ignore[misc, name-defined]
        def forward(self, x: Any, hx: Any) -> Any:
            layout = {"batch_first": theirs.batch_first}
            packed = pack_padded_sequence(x, lengths, enforce_sorted=False, **layout)
            y, end = theirs(packed, hx)
            return pad_packed_sequence(y, total_length=T, **layout)[0], end

    packed = Packed()
    expected = results(packed, x, hx) | {f"d {n}": p.grad.numpy() for n, p in theirs.named_parameters()}
    assert_agree(results(ours, x, hx, lengths=lengths), expected, dtype, config)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize(
    "reset", [[0, 1, 0, 0, 1, 0], [1.0, 0, 0, 0, 0, 0], torch.tensor([0, 0, 0, 1, 1, 0])]
)
@pytest.mark.parametrize("length", [None, 0, 4, torch.tensor(3)])
def test_unbatched(batch_first: bool, reset: Any, length: Any) -> None:
    _, ours = configured("lstm", batch_first=batch_first)
    x, hx = input_of(ours, None), state_of(ours, None)
    one = {"reset": reset} if length is None else {"reset": reset, "lengths": length}
    many: dict[str, Any] = {name: torch.as_tensor(value)[None] for name, value in one.items()}
    if not batch_first:
        many["reset"] = many["reset"].T
    found = ours(x, hx, **one)
    expected = ours(x.unsqueeze(0 if batch_first else 1), tuple(h[:, None] for h in hx), **many)
    assert torch.equal(found[0], expected[0].squeeze(0 if batch_first else 1))
    assert torch.equal(found[1][1], expected[1][1].squeeze(1))


FORMS: dict[str, Callable[[Any], Any]] = {
    "list": lambda tensor: tensor.tolist(),
    "array": lambda tensor: tensor.numpy(),
    "int32": lambda tensor: tensor.to(torch.int32),
    "uint8": lambda tensor: tensor.to(torch.uint8),
    "strided": lambda tensor: torch.stack([tensor, tensor], -1)[..., 0],
}
OF_MARKS: dict[str, Callable[[Any], Any]] = {
    **FORMS,
    "bfloat16": lambda tensor: tensor.to(torch.bfloat16),
    "float64, wants a gradient": lambda tensor: tensor.double().requires_grad_(),
    "array of float32": lambda tensor: tensor.numpy().astype(np.float32),
}


@pytest.mark.parametrize("form", OF_MARKS)
def test_every_form_of_both(form: str) -> None:
    _, ours = configured("lstm")
    x = input_of(ours, ROWS)
    lengths, reset = torch.tensor(LENGTHS), marks()
    expected = ours(x, lengths=lengths, reset=reset)[0]
    given = FORMS[form](lengths) if form in FORMS else lengths
    assert torch.equal(ours(x, lengths=given, reset=OF_MARKS[form](reset))[0], expected)


PACKED = pack_padded_sequence(torch.zeros(T, ROWS, I), torch.tensor([6, 5, 4, 3, 1]))
BAD: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "too few lengths": ({"lengths": [1, 2]}, ValueError, r"lengths: expected shape \(5,\) \[B\], got \(2,\)"),
    "negative": (
        {"lengths": [1, -2, 3, 4, 5]},
        ValueError,
        r"lengths: expected integers from 0 to 6 .* -2 at",
    ),
    "too long": ({"lengths": torch.tensor([1, 2, 3, 4, 7])}, ValueError, r"from 0 to 6 .* got 7 at \[4\]"),
    "one length": ({"lengths": 3}, ValueError, r"lengths: expected shape \(5,\)"),
    "floats": ({"lengths": torch.ones(ROWS)}, TypeError, "lengths: expected an array of integers .* float32"),
    "bools": (
        {"lengths": torch.ones(ROWS, dtype=torch.bool)},
        TypeError,
        "lengths: expected an array of int",
    ),
    "turned": ({"reset": marks().T}, ValueError, r"reset: expected shape \(6, 5\) \[T, B\], got \(5, 6\)"),
    "two": ({"reset": 2 * marks()}, ValueError, r"reset: expected .* of 0 and 1, got 2 at \[0, 2\]"),
    "half": (
        {"reset": marks().numpy() * 0.5},
        ValueError,
        r"reset: expected .* 0 and 1, got 0.5 at \[0, 2\]",
    ),
    "NaN": ({"reset": marks() * torch.nan}, ValueError, "reset: expected .* of 0 and 1, got nan at"),
    "complex": ({"reset": marks() * 1j}, TypeError, "reset: expected an array of bools, or of 0 and 1, got"),
    "text": ({"reset": "never"}, TypeError, "reset: expected an array of bools, or of 0 and 1, got 'never'"),
    "no steps": ({"reset": []}, ValueError, r"reset: expected shape \(6, 5\) \[T, B\], got \(0,\)"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("by_pytorch", [False, True])
def test_bad_arguments(name: str, by_pytorch: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    _, ours = configured("lstm")
    x = input_of(ours, ROWS)
    before = ours(x)[0]
    given, error, match = BAD[name]
    with monkeypatch.context() as patch:
        if by_pytorch:
            patch.setattr(lstmfast.torch._paths, "refusal_of_mode", lambda: "a test")
        with pytest.raises(error, match=match):
            ours(x, **given)
        with pytest.raises(error, match=match):
            ours(x, **({"lengths": LENGTHS} | {"reset": marks()} | given))
    assert torch.equal(ours(x)[0], before)


@pytest.mark.parametrize("by_pytorch", [False, True])
@pytest.mark.parametrize("name", ["lengths", "reset"])
def test_neither_beside_packed_sequences(
    name: str, by_pytorch: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ours = configured("lstm", "float32")
    if by_pytorch:
        monkeypatch.setattr(lstmfast.torch._paths, "refusal_of_mode", lambda: "a test")
    with pytest.raises(TypeError, match=f"{name}: expected None beside a PackedSequence, got a tensor of"):
        ours(PACKED, **CUTS[name](False))


@CUT
def test_what_was_given_may_change_after_the_call(cut: str) -> None:
    _, ours = configured("lstm")
    grads = []
    for change in (False, True):
        cuts = {name: torch.as_tensor(value) for name, value in CUTS[cut](False).items()}
        y, _ = ours(input_of(ours, ROWS), **cuts)
        for value in cuts.values():
            if change:
                value.fill_(1)
        grads.append(torch.autograd.grad(y.sum(), ours.weight_hh_l0)[0])
    assert torch.equal(*grads)


@CUT
def test_frozen_and_checkpointed(cut: str) -> None:
    _, ours = configured("lstm")
    cuts = CUTS[cut](False)
    x = leaf(input_of(ours, ROWS))
    (expected,) = torch.autograd.grad(ours(x, **cuts)[0].square().sum(), x)
    y = checkpoint(lambda x: ours(x, **cuts)[0], x, use_reentrant=False)
    assert torch.equal(torch.autograd.grad(y.square().sum(), x)[0], expected)
    ours.freeze()
    assert torch.equal(torch.autograd.grad(ours(x, **cuts)[0].square().sum(), x)[0], expected)


# Gradients of gradients, and many at once.


@CONFIG
@CUT
def test_gradgradcheck(config: str, cut: str) -> None:
    """By finite differences, with the same dropout each time, of all that a call depends on."""
    kind, options = CONFIGS[config]
    _, ours = pair(
        kind, input_size=2, hidden_size=4, dropout=0.4 if "num_layers" in options else 0, **options
    )
    cuts = CUTS[cut](ours.batch_first)
    x, hx = leaf(input_of(ours, ROWS)), as_leaves(state_of(ours, ROWS))

    def function(x: Any, *given: Any) -> Any:
        states = given[: len(tensors(hx))]
        torch.manual_seed(3)
        y, end = call(ours, x, states if len(states) == 2 else states[0], **cuts)
        return (y, *tensors(end))

    assert torch.autograd.gradgradcheck(function, (x, *tensors(hx), *ours.parameters()), fast_mode=True)


def test_gradients_of_gradients_where_no_row_has_steps() -> None:
    _, ours = configured("lstm")
    x, hx = leaf(input_of(ours, 2)), as_leaves(state_of(ours, 2))
    y, end = ours(x, hx, lengths=[0, 0])
    wanted = [x, *hx, *ours.parameters()]
    grads = torch.autograd.grad([y, *end], wanted, upstream([y, *end]), create_graph=True)
    second = torch.autograd.grad(sum(grad.square().sum() for grad in grads), wanted, allow_unused=True)
    assert not any(grad is not None and grad.any() for grad in second)


@CUT
def test_batched_gradients(cut: str) -> None:
    _, ours = configured("lstm, both ways, projected")
    cuts = CUTS[cut](ours.batch_first)
    x = leaf(input_of(ours, ROWS))
    y, _ = call(ours, x, **cuts)
    dy = randn((3, *y.shape), y, 50)
    with no_word_of_projections():
        found = torch.autograd.grad(y, [x, ours.weight_hr_l0], dy, is_grads_batched=True, retain_graph=True)
    for n in range(3):
        one = torch.autograd.grad(y, [x, ours.weight_hr_l0], dy[n], retain_graph=True)
        assert all(torch.equal(many[n], each) for many, each in zip(found, one, strict=True))
