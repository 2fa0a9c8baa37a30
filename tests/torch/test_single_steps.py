"""Loops in Python over calls of one step of a module of sequences: PyTorch's results, and one sum for dW.

How single steps share the gradients of their weights is tested in `test_cells_autograd`; here is what such a
call has besides: y beside the state, layouts, and when it is no single step.
"""

from __future__ import annotations

from typing import Any

import pytest

from ..helpers import KINDS, assert_same_bits

torch = pytest.importorskip("torch")

from torch.utils.checkpoint import checkpoint  # noqa: E402

from lstmfast.torch import _calls  # noqa: E402

from .helpers import (  # noqa: E402
    as_leaves,
    assert_same_outcome,
    call,
    input_of,
    pair,
    results,
    state_of,
    tensors,
    upstream,
)

CELLS = pytest.mark.parametrize("kind", KINDS)
LAYOUTS = pytest.mark.parametrize(
    ("batch_first", "rows"), [(False, 3), (True, 3), (False, 1), (True, 1), (False, None)]
)


def loop(module: Any, x: Any, hx: Any = None) -> Any:
    """Run step by step, with y and the state both used: y, [T, ...] or [B, T, ...], and the last state."""
    axis = 1 if module.batch_first and x.dim() == 3 else 0
    outputs = []
    for t in range(x.shape[axis]):
        y, hx = call(module, x.narrow(axis, t, 1), hx)
        outputs.append(y)
    return torch.cat(outputs, axis), hx


def everything(run: Any, module: Any, x: Any, hx: Any) -> list[Any]:
    """Outputs, states and all gradients."""
    x, hx = as_leaves(x), as_leaves(hx)
    module.zero_grad()
    y, end = run(module, x, hx)
    outputs = [y, *tensors(end)]
    torch.autograd.backward(outputs, upstream(outputs))
    found = [*outputs, x.grad, *(h.grad for h in tensors(hx)), *(p.grad for p in module.parameters())]
    return [tensor.detach() for tensor in found]


def single_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Have the rows of each call that goes as a single step noted."""
    noted: list[int] = []
    run_step = _calls._run_step

    def noting(network: Any, own: Any, given: Any, *others: Any) -> Any:
        noted.append(given.rows)
        return run_step(network, own, given, *others)

    monkeypatch.setattr(_calls, "_run_step", noting)
    return noted


@CELLS
@LAYOUTS
@pytest.mark.parametrize("bias", [True, False])
def test_a_loop_has_the_bits_of_the_sequence(
    kind: str, dtype: str, batch_first: bool, rows: int | None, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Gradients of the weights, too: they are made at once, of all steps."""
    noted = single_steps(monkeypatch)
    theirs, ours = pair(kind, dtype, batch_first=batch_first, bias=bias)
    for steps in (1, 6, 150):
        x, hx = input_of(ours, rows, steps), state_of(ours, rows)
        expected = everything(call, ours, x, hx)
        noted.clear()
        found = everything(loop, ours, x, hx)
        assert noted == [rows or 1] * steps
        assert_same_bits([t.numpy() for t in found], [t.numpy() for t in expected])
    close = {"rtol": 1e-4, "atol": 1e-4} if dtype == "float32" else {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(found, everything(loop, theirs, x, hx), **close)


@CELLS
@LAYOUTS
def test_shapes_and_strides_are_those_of_longer_calls(kind: str, batch_first: bool, rows: int | None) -> None:
    theirs, ours = pair(kind, batch_first=batch_first)
    for module in (theirs, ours):
        y, end = call(module, input_of(module, rows, 1))
        shapes = [tuple(t.shape) for t in (y, *tensors(end))]
        assert all(t.is_contiguous() and t.requires_grad for t in (y, *tensors(end)))
        if module is theirs:
            expected = shapes
    assert shapes == expected


@CELLS
@pytest.mark.parametrize("which", [(0,), (1,), (0, 1), (-1,), (0, -1)])
def test_some_outputs_alone_are_gone_back_from(kind: str, which: tuple[int, ...]) -> None:
    found = []
    for module in pair(kind):
        x, hx = as_leaves(input_of(module, steps=1)), as_leaves(state_of(module))
        y, end = call(module, x, hx)
        outputs = [y, *tensors(end)]
        loss = sum((outputs[n].square().sum() for n in which), x.new_zeros(()))
        of = [x, *tensors(hx), *module.parameters()]
        found.append(torch.autograd.grad(loss, of, allow_unused=True))
    torch.testing.assert_close(found[1], found[0])


@CELLS
@pytest.mark.parametrize("rows", [3, None])
def test_gradients_of_gradients(kind: str, rows: int | None) -> None:
    found = []
    for module in pair(kind):
        x, hx = as_leaves(input_of(module, rows, 3)), as_leaves(state_of(module, rows))
        y, end = loop(module, x, hx)
        loss = y.square().sum() + sum(state.sin().sum() for state in tensors(end))
        of = [x, *tensors(hx), *module.parameters()]
        first = torch.autograd.grad(loss, of, create_graph=True)
        second = torch.autograd.grad(sum(grad.square().sum() for grad in first), of)
        found.append([*first, *second])
    torch.testing.assert_close(found[1], found[0])


@CELLS
def test_many_gradients_at_once(kind: str) -> None:
    found = []
    for module in pair(kind):
        x, hx = as_leaves(input_of(module, steps=2)), as_leaves(state_of(module))
        y, _ = loop(module, x, hx)
        many = torch.stack(upstream([y, y + 1]))
        of = [x, *tensors(hx), *module.parameters()]
        found.append(torch.autograd.grad(y, of, many, is_grads_batched=True))
    torch.testing.assert_close(found[1], found[0])


@CELLS
def test_a_weights_gradient_is_made_once(kind: str) -> None:
    _, ours = pair(kind)
    seen: list[int] = []
    ours.weight_hh_l0.register_hook(lambda grad: seen.append(len(seen)))
    y, _ = loop(ours, input_of(ours, steps=5))
    y.sum().backward()
    assert seen == [0]


@CELLS
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpointing(kind: str, use_reentrant: bool) -> None:
    _, ours = pair(kind)
    found = []

    def flat(x: Any, *states: Any) -> Any:
        y, end = loop(ours, x, states if kind == "lstm" else states[0])
        return y, *tensors(end)

    def run(_: Any, x: Any, hx: Any) -> Any:
        y, *end = checkpoint(flat, x, *tensors(hx), use_reentrant=use_reentrant)
        return y, tuple(end)

    for way in (loop, run):
        found.append([t.numpy() for t in everything(way, ours, input_of(ours), state_of(ours))])
    assert_same_bits(found[1], found[0])


WAYS: dict[str, Any] = {
    "x": lambda module, x, hx, y, end: x.mul_(2),
    "x's memory": lambda module, x, hx, y, end: setattr(x, "data", x.data * 2),
    "h": lambda module, x, hx, y, end: tensors(hx)[0].mul_(2),
    "c": lambda module, x, hx, y, end: tensors(hx)[-1].mul_(2),
    "a weight": lambda module, x, hx, y, end: module.weight_hh_l0.mul_(2),
    "y": lambda module, x, hx, y, end: y.mul_(2),
    "h_n": lambda module, x, hx, y, end: tensors(end)[0].mul_(2),
    "c_n": lambda module, x, hx, y, end: tensors(end)[-1].mul_(2),
}


@CELLS
@pytest.mark.parametrize("what", WAYS)
def test_changed_in_place_before_the_backward_pass(kind: str, dtype: str, what: str) -> None:
    """As it is with a call of several steps, whatever that is in PyTorch."""

    def gradients(steps: int) -> Any:
        _, module = pair(kind, dtype)
        x, hx = as_leaves(input_of(module, steps=steps)), as_leaves(state_of(module))
        y, end = call(module, x, hx)
        loss: Any = y.sum() + sum(state.sum() for state in tensors(end))
        with torch.no_grad():
            WAYS[what](module, x, hx, y, end)
        grads = torch.autograd.grad(loss, [x, *tensors(hx), *module.parameters()])
        return [bool(grad.isfinite().all()) for grad in grads]

    assert_same_outcome(lambda: gradients(2), lambda: gradients(1), message=False)


@CELLS
def test_results_have_memory_of_their_own(kind: str) -> None:
    _, ours = pair(kind)
    y, end = call(ours, input_of(ours, steps=1))
    before = [tensor.detach().clone() for tensor in (y, *tensors(end))]
    y.detach().zero_()
    torch.testing.assert_close([t.detach() for t in tensors(end)], before[1:])


@pytest.mark.parametrize(
    "options",
    [{"num_layers": 2}, {"bidirectional": True}, {"proj_size": 3}],
    ids=["two layers", "two ways", "projected"],
)
def test_other_modules_go_as_they_did(options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = single_steps(monkeypatch)
    theirs, ours = pair("lstm", **options)
    x, hx = input_of(ours, steps=1), state_of(ours)
    found = [results(module, x, hx) for module in (theirs, ours)]
    for name, tensor in found[0].items():
        torch.testing.assert_close(torch.from_numpy(found[1][name]), torch.from_numpy(tensor))
    assert noted == []


def test_calls_that_are_no_single_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many rows, cut, frozen, recomputed, or without a graph."""
    noted = single_steps(monkeypatch)
    _, ours = pair("lstm")
    x = input_of(ours, steps=1)
    many = input_of(ours, 17, 1)
    call(ours, many)
    call(ours, x, lengths=torch.tensor([1, 0, 1]))
    call(ours, x, reset=torch.tensor([[True, False, True]]))
    with torch.no_grad():
        call(ours, x)
    ours.recompute = True
    call(ours, x)
    ours.recompute = False
    ours.freeze()
    call(ours, x.requires_grad_())
    ours.unfreeze()
    assert noted == []
    call(ours, x)
    call(ours, many[:, :16])
    assert noted == [3, 16]


@CELLS
def test_layouts_and_rows_may_change_from_call_to_call(kind: str) -> None:
    found = []
    for module in pair(kind):
        losses = []
        for batch_first, rows in ((False, 3), (True, 3), (True, 1), (False, 1), (False, None), (False, 3)):
            module.batch_first = batch_first
            y, end = call(module, input_of(module, rows, 1), state_of(module, rows))
            losses.append(y.sum() + sum(state.sin().sum() for state in tensors(end)))
        found.append(torch.autograd.grad(sum(losses), list(module.parameters())))
    torch.testing.assert_close(found[1], found[0])
