"""lstmfast.torch.LSTM, GRU and RNN on packed sequences, beside torch.nn's with the same weights."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import assert_same_bits

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence  # noqa: E402

from .conftest import MODULES  # noqa: E402
from .helpers import (  # noqa: E402
    I,
    P,
    assert_agree,
    call,
    data_of,
    input_of,
    leaf,
    outcome,
    pair,
    randn,
    results,
    state_of,
    tensors,
    upstream,
)

CELL = pytest.mark.parametrize(("kind", "proj_size"), [(kind, P if proj else 0) for kind, proj in MODULES])
LENGTHS = {
    "sorted": [6, 4, 4, 1],
    "unsorted": [2, 6, 1, 6, 3],
    "all the same": [5, 5, 5],
    "all of one step": [1, 1, 1],
    "one row": [4],
    "long and short": [17, 1, 1, 1, 1],
    "descending": [9, 8, 7, 6, 5, 4, 3, 2, 1],
    "ascending": [1, 2, 3, 4, 5, 6, 7, 8, 9],
}


def packed_of(module: Any, lengths: list[int], **options: Any) -> Any:
    """A packed sequence of such rows for `module`."""
    x = input_of(module, len(lengths), max(lengths))
    options.setdefault("enforce_sorted", lengths == sorted(lengths, reverse=True))
    return pack_padded_sequence(x, torch.tensor(lengths), batch_first=module.batch_first, **options)


def by_hand(batch_sizes: Any, like: Any, **options: Any) -> Any:
    """A packed sequence with such batch_sizes, and as many rows of data as they add up to at least."""
    sizes = torch.as_tensor(batch_sizes)
    return PackedSequence(randn((max(int(sizes.sum()), 1), I), like), sizes, **options)


@CELL
@pytest.mark.parametrize("rows", LENGTHS)
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_every_result(
    kind: str, proj_size: int, dtype: str, rows: str, num_layers: int, bidirectional: bool
) -> None:
    options = {"num_layers": num_layers, "bidirectional": bidirectional, "proj_size": proj_size}
    lengths = LENGTHS[rows]
    for with_state, dropout, bias in itertools.product(
        (False, True), (0.0, 0.4)[:num_layers], (True, False)[: 2 if rows == "unsorted" else 1]
    ):
        theirs, ours = pair(kind, dtype, bias=bias, dropout=dropout, **options)
        packed = packed_of(ours, lengths)
        hx = state_of(ours, len(lengths)) if with_state else None
        what = f"{ours}, {lengths}, state={with_state}"
        expected = results(theirs, packed, hx, seed=7)
        generator = torch.get_rng_state()
        assert_agree(results(ours, packed, hx, seed=7), expected, dtype, what)
        assert torch.equal(torch.get_rng_state(), generator), what


@CELL
@pytest.mark.parametrize("rows", LENGTHS)
@pytest.mark.parametrize("enforce_sorted", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_packing_of_results_is_pytorchs(
    kind: str, proj_size: int, rows: str, enforce_sorted: bool, batch_first: bool
) -> None:
    """batch_sizes and indices, memory and graph."""
    lengths = sorted(LENGTHS[rows], reverse=True) if enforce_sorted else LENGTHS[rows]
    modules = pair(kind, proj_size=proj_size, batch_first=batch_first, bidirectional=True)
    for grad in (True, False):
        seen = []
        for module in modules:
            packed = packed_of(module, lengths, enforce_sorted=enforce_sorted)
            with torch.set_grad_enabled(grad):
                y, end = call(module, packed)
            assert type(y) is PackedSequence
            for found, given in zip(y[1:], packed[1:], strict=True):
                assert (found is None) is (given is None)
                assert found is None or torch.equal(found, given)
            seen.append([(t.shape, t.stride(), t.requires_grad, t.is_leaf) for t in (y.data, *tensors(end))])
        assert seen[0] == seen[1]
        padded, lengths_found = pad_packed_sequence(y, batch_first=batch_first)
        assert lengths_found.tolist() == lengths
        assert padded.shape[:2] == (
            (len(lengths), max(lengths)) if batch_first else (max(lengths), len(lengths))
        )


@CELL
@pytest.mark.parametrize(
    "batch_sizes", [[3, 2, 1], [3, 3, 3], [1], [4], [1, 1, 1, 1], [7, 7, 1], [5, 4, 4, 4, 1]]
)
def test_batch_sizes_made_by_hand(kind: str, proj_size: int, dtype: str, batch_sizes: list[int]) -> None:
    theirs, ours = pair(kind, dtype, proj_size=proj_size, bidirectional=True)
    order = torch.randperm(batch_sizes[0], generator=torch.Generator().manual_seed(1))
    hx = state_of(ours, batch_sizes[0])
    for indices in ({}, {"sorted_indices": order, "unsorted_indices": torch.argsort(order)}):
        packed = by_hand(batch_sizes, ours.weight_ih_l0, **indices)
        found, expected = (results(module, packed, hx) for module in (ours, theirs))
        assert_agree(found, expected, dtype, f"{ours}, {batch_sizes}")


MALFORMED: dict[str, Any] = {
    "negative at the end": torch.tensor([3, 2, -1]),
    "negative in the middle": torch.tensor([3, -2, 1]),
    "negative at the start": torch.tensor([-3, 2, 1]),
    "all negative": torch.tensor([-3, -3]),
    "zero at the end": torch.tensor([3, 2, 0]),
    "zero at the start": torch.tensor([0, 0]),
    "ascending": torch.tensor([1, 2, 3]),
    "up and down": torch.tensor([2, 3, 1]),
    "huge": torch.tensor([2**62, 1]),
    "sums that run over": torch.tensor([2**62, 2**62, 2**62, 2**62]),
    "none": torch.tensor([], dtype=torch.int64),
    "int32": torch.tensor([3, 2, 1], dtype=torch.int32),
    "float64": torch.tensor([3.0, 2.0, 1.0]),
    "two-dimensional": torch.tensor([[3, 2, 1]]),
    "with gaps": torch.tensor([3, 9, 2, 9, 1, 9])[::2],
    "a scalar": torch.tensor(6),
}
DATA_ROWS = {"as the sizes say": 6, "too few": 5, "too many": 7, "one": 1, "none": 0}


@CELL
@pytest.mark.parametrize("batch_sizes", MALFORMED)
def test_malformed_batch_sizes_are_pytorchs_to_judge(kind: str, proj_size: int, batch_sizes: str) -> None:
    for rows, with_state in itertools.product((*DATA_ROWS.values(), 12), (False, True)):
        assert_same_end(kind, proj_size, MALFORMED[batch_sizes], rows, with_state)


@CELL
@pytest.mark.parametrize("rows", DATA_ROWS)
@pytest.mark.parametrize("batch_sizes", [[3, 2, 1], [6], [2, 2, 2], [1, 1, 1, 1, 1, 1]])
def test_wrong_sums_are_pytorchs_to_judge(
    kind: str, proj_size: int, rows: str, batch_sizes: list[int]
) -> None:
    for with_state in (False, True):
        assert_same_end(kind, proj_size, torch.tensor(batch_sizes), DATA_ROWS[rows], with_state)


def assert_same_end(kind: str, proj_size: int, sizes: Any, rows: int, with_state: bool) -> None:
    """Call both: the same kind of error, or the same result; and a good call is right afterwards."""
    theirs, ours = pair(kind, proj_size=proj_size)
    hx = state_of(ours, 3) if with_state else None
    packed = PackedSequence(randn((rows, I), ours.weight_ih_l0), sizes)
    expected, found = (outcome(module, packed, hx) for module in (theirs, ours))
    what = f"{sizes}, {rows} rows, state={with_state}: {expected!r:.200}"
    if isinstance(expected, Exception):
        assert (type(found), str(found)) == (type(expected), str(expected)), what
    else:
        assert not isinstance(found, Exception), f"{what} and {found!r}"
        for one, other in zip(
            (found[0].data, *tensors(found[1])), (expected[0].data, *tensors(expected[1])), strict=True
        ):
            torch.testing.assert_close(one, other, msg=what)
    good = packed_of(ours, [3, 1])
    torch.testing.assert_close(call(ours, good)[0].data, call(theirs, good)[0].data)


INDICES: dict[str, Any] = {
    "out of range": ([0, 1, 3], [0, 1, 2]),
    "negative": ([0, -1, 1], [0, 2, 1]),
    "unsorting out of range": ([0, 1, 2], [0, 1, 3]),
    "too few": ([0, 1], [0, 1]),
    "too many": ([0, 1, 2, 0], [0, 1, 2, 2]),
    "one twice": ([0, 0, 1], [1, 1, 0]),
}


@pytest.mark.parametrize("indices", INDICES)
@pytest.mark.parametrize("with_state", [False, True])
def test_wrong_indices_are_pytorchs_to_judge(kind: str, indices: str, with_state: bool) -> None:
    theirs, ours = pair(kind)
    sorting, unsorting = map(torch.tensor, INDICES[indices])
    packed = PackedSequence(randn((6, I), ours.weight_ih_l0), torch.tensor([3, 2, 1]), sorting, unsorting)
    hx = state_of(ours, 3) if with_state else None
    expected, found = (outcome(module, packed, hx) for module in (theirs, ours))
    if isinstance(expected, Exception):
        assert (type(found), str(found)) == (type(expected), str(expected))
        return
    torch.testing.assert_close(found[0].data, expected[0].data)
    torch.testing.assert_close(found[1], expected[1])


BAD_STATES: dict[str, Any] = {
    "one row less": (2, 2),
    "one row more": (4, 4),
    "one of them less": (3, 2),
    "no row": (0, 0),
}


@pytest.mark.parametrize("states", BAD_STATES)
@pytest.mark.parametrize("lengths", [[3, 2, 1], [1, 3, 2]])
def test_states_of_other_rows_are_refused_as_by_pytorch(kind: str, states: str, lengths: list[int]) -> None:
    theirs, ours = pair(kind)
    made = [tensors(state_of(ours, rows))[-n] for n, rows in enumerate(BAD_STATES[states])]
    hx = tuple(made) if kind == "lstm" else made[0]
    expected, found = (outcome(module, packed_of(module, lengths), hx) for module in (theirs, ours))
    if isinstance(expected, Exception):
        assert (type(found), str(found)) == (type(expected), str(expected))
    else:
        torch.testing.assert_close(found, expected)


@CELL
@pytest.mark.parametrize("bidirectional", [False, True])
def test_bits_are_those_of_padded_rows(kind: str, proj_size: int, dtype: str, bidirectional: bool) -> None:
    """Of lstmfast itself with `lengths`, and of each row alone."""
    lengths = LENGTHS["unsorted"]
    _, module = pair(kind, dtype, proj_size=proj_size, bidirectional=bidirectional, num_layers=2)
    x, hx = input_of(module, len(lengths), max(lengths)), state_of(module, len(lengths))
    options: dict[str, Any] = {"proj_size": proj_size} if proj_size else {}
    options |= {"num_layers": 2, "bidirectional": bidirectional, "dtype": dtype}
    if kind.startswith("rnn"):
        options["nonlinearity"] = kind.removeprefix("rnn_")
    model = getattr(lstmfast, type(module).__name__)(module.input_size, module.hidden_size, **options)
    model.load_state_dict(module.state_dict())
    states = [state.numpy() for state in tensors(hx)]
    y, end = model(x.numpy(), tuple(states) if kind == "lstm" else states[0], lengths=np.array(lengths))
    with torch.no_grad():
        packed, packed_end = call(
            module, pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False), hx
        )
        padded, _ = pad_packed_sequence(packed, total_length=max(lengths))
        assert_same_bits(padded.numpy(), y)
        assert_same_bits([t.numpy() for t in tensors(packed_end)], list(end) if kind == "lstm" else [end])
        for row, steps in enumerate(lengths):
            alone = [state[:, row] for state in tensors(hx)]
            y_alone, _ = call(module, x[:steps, row], tuple(alone) if kind == "lstm" else alone[0])
            assert_same_bits(y_alone.numpy(), padded[:steps, row].numpy(), f"row {row}")


@CELL
def test_what_is_not_wanted_is_not_given(kind: str, proj_size: int, dtype: str) -> None:
    _, ours = pair(kind, dtype, proj_size=proj_size, bidirectional=True, num_layers=2)
    lengths = LENGTHS["unsorted"]
    packed, hx = packed_of(ours, lengths), state_of(ours, len(lengths))
    parameters = dict(ours.named_parameters())

    def grads_of(wanted: set[str]) -> dict[str, Any]:
        x = leaf(packed.data).requires_grad_("x" in wanted)
        states = {f"h{n}": leaf(s).requires_grad_(f"h{n}" in wanted) for n, s in enumerate(tensors(hx))}
        for name, parameter in parameters.items():
            parameter.requires_grad_(name in wanted)
            parameter.grad = None
        here = {"x": x, **states, **parameters}
        state = tuple(states.values()) if kind == "lstm" else states["h0"]
        y, end = call(ours, PackedSequence(x, *packed[1:]), state)
        outputs = [data_of(y), *tensors(end)]
        torch.autograd.backward(outputs, upstream(outputs))
        return {name: tensor.grad.numpy() for name, tensor in here.items() if tensor.grad is not None}

    everything = {"x", *parameters, *(f"h{n}" for n, _ in enumerate(tensors(hx)))}
    full = grads_of(everything)
    assert set(full) == everything
    for wanted in ({"x"}, {"h0"}, everything - {"x"}, set(parameters), *({name} for name in parameters)):
        found = grads_of(wanted)
        assert set(found) == wanted
        assert_same_bits(found, {name: full[name] for name in found}, str(wanted))
