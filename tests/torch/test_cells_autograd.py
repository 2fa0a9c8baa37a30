"""Single steps on PyTorch's graph: gradients of every order, hooks, and what happens before going back."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import pytest

from ..helpers import assert_same_bits, has_memory

torch = pytest.importorskip("torch")

from torch.utils.checkpoint import checkpoint  # noqa: E402

import lstmfast.torch  # noqa: E402

from .cell_helpers import CELLS, B, inputs_of, loop, pair, state_of  # noqa: E402
from .helpers import as_leaves, assert_same_outcome, leaf, outcome, tensors, upstream  # noqa: E402


def loss_of(cell: Any, x: Any, hx: Any = None) -> Any:
    y, end = loop(cell, x, hx)
    return y.square().sum() + sum(state.sin().sum() for state in tensors(end))


def weights_of(cell: Any) -> list[Any]:
    return list(cell.parameters())


def grads_of(cell: Any, x: Any, hx: Any = None, **options: Any) -> list[Any]:
    of = [x, *tensors(hx), *weights_of(cell)]
    return list(torch.autograd.grad(loss_of(cell, x, hx), of, **options))


def left(cell: Any) -> dict[int, Any]:
    """What steps have left for the weights' gradients and nobody has taken."""
    (seen,) = cell._lstmfast.seen.values()
    shared = seen._shared()
    return {} if shared is None else shared._left


# Derivatives.


@CELLS
@pytest.mark.parametrize("rows", [None, 2])
@pytest.mark.parametrize("bias", [False, True])
def test_gradcheck(kind: str, rows: int | None, bias: bool) -> None:
    _, ours = pair(kind, bias=bias, input_size=2, hidden_size=3)
    x, hx = as_leaves(inputs_of(ours, rows, 3)), as_leaves(state_of(ours, kind, rows))

    def function(x: Any, *states_and_weights: Any) -> Any:
        states = states_and_weights[: 2 if has_memory(kind) else 1]  # the weights are the module's own
        y, end = loop(ours, x, states if has_memory(kind) else states[0])
        return (y, *tensors(end))

    inputs = (x, *tensors(hx), *weights_of(ours))
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)


@CELLS
@pytest.mark.parametrize("wanted", ["x", "weights", "all"])
def test_penalties(kind: str, wanted: str) -> None:
    found = []
    for module in pair(kind):
        x, hx = as_leaves(inputs_of(module)), as_leaves(state_of(module, kind))
        y, end = loop(module, x, hx)
        outputs = [y, *tensors(end)]
        grads = [leaf(each) for each in upstream(outputs)]
        weights = weights_of(module)
        of = {"x": [x], "weights": weights, "all": [x, *tensors(hx), *weights]}[wanted]
        first = torch.autograd.grad(outputs, of, grads, create_graph=True)
        penalty = sum(gradient.square().sum() for gradient in first) + sum(o.square().sum() for o in outputs)
        second = torch.autograd.grad(penalty, [x, *tensors(hx), *weights, *grads], create_graph=True)
        third = torch.autograd.grad(sum(each.square().sum() for each in second), weights)
        found.append([*first, *second, *third])
    torch.testing.assert_close(found[1], found[0], rtol=1e-8, atol=1e-9)


@CELLS
def test_graphs_of_gradients_change_no_bit(kind: str, dtype: str) -> None:
    _, ours = pair(kind, dtype)
    found = []
    for create_graph in (False, True):
        x, hx = as_leaves(inputs_of(ours)), as_leaves(state_of(ours, kind))
        grads = grads_of(ours, x, hx, create_graph=create_graph)
        assert all(grad.requires_grad is create_graph for grad in grads)
        found.append([grad.detach().numpy() for grad in grads])
    assert_same_bits(found[1], found[0])


@CELLS
def test_many_gradients_at_once(kind: str) -> None:
    found = []
    for module in pair(kind):
        x, hx = as_leaves(inputs_of(module)), as_leaves(state_of(module, kind))
        y, _ = loop(module, x, hx)
        many = torch.stack(upstream([y, y + 1]))
        of = [x, *tensors(hx), *weights_of(module)]
        found.append(torch.autograd.grad(y, of, many, is_grads_batched=True, retain_graph=True))
        one_by_one = [torch.autograd.grad(y, of, each, retain_graph=True) for each in many]
        torch.testing.assert_close(found[-1], tuple(map(torch.stack, zip(*one_by_one, strict=True))))
    torch.testing.assert_close(found[1], found[0])


@CELLS
@pytest.mark.parametrize("output", [0, 1])
def test_each_output_may_be_all_that_is_gone_back_from(kind: str, output: int) -> None:
    found = []
    for module in pair(kind):
        end = tensors(module(inputs_of(module)[0], state_of(module, kind)))
        found.append(torch.autograd.grad(end[output % len(end)].square().sum(), weights_of(module)))
    torch.testing.assert_close(found[1], found[0])


@CELLS
@pytest.mark.parametrize("name", ["weight_ih", "weight_hh", "bias_ih", "bias_hh"])
def test_some_weights_alone_are_trained(kind: str, name: str) -> None:
    found = []
    for module in pair(kind):
        for other, weight in module.named_parameters():
            weight.requires_grad_(other == name)
        loss_of(module, inputs_of(module)).backward()
        assert [n for n, p in module.named_parameters() if p.grad is not None] == [name]
        found.append(getattr(module, name).grad)
        module.requires_grad_(False)
        assert not any(state.requires_grad for state in tensors(module(inputs_of(module)[0])))
    torch.testing.assert_close(found[1], found[0])


@CELLS
def test_what_is_not_asked_for_leaves_nothing_behind(kind: str) -> None:
    theirs, ours = pair(kind)
    found = []
    for module in (theirs, ours):
        x = as_leaves(inputs_of(module))
        loss = loss_of(module, x)
        found.append([torch.autograd.grad(loss, of, retain_graph=True) for of in (x, module.weight_hh)])
    torch.testing.assert_close(found[1], found[0])
    assert left(ours) == {}


@CELLS
def test_several_losses_go_through_the_same_steps(kind: str) -> None:
    found = []
    for module in pair(kind):
        x, weights = as_leaves(inputs_of(module)), weights_of(module)
        y, end = loop(module, x)
        grads = [torch.autograd.grad(y[t].sum(), weights, retain_graph=True) for t in (1, 4)]
        y.sum().backward(retain_graph=True)
        tensors(end)[0].sum().backward()  # adds to what is there
        found.append([*grads[0], *grads[1], x.grad, *(weight.grad for weight in weights)])
        with pytest.raises(RuntimeError, match="a second time"):
            y.sum().backward()
    torch.testing.assert_close(found[1], found[0])


@CELLS
def test_truncated_backpropagation(kind: str) -> None:
    """Losses of pieces, each gone back from before the next begins, and the weights change in between."""
    found = []
    for module in pair(kind):
        optimizer, hx, losses = torch.optim.SGD(module.parameters(), lr=0.1), None, []
        for piece in inputs_of(module, steps=20).split(4):
            y, hx = loop(module, piece, hx)
            hx = tuple(h.detach() for h in hx) if has_memory(kind) else hx.detach()
            loss = y.square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        found.append([*losses, *weights_of(module)])
    torch.testing.assert_close(found[1], found[0])


# What PyTorch sees of it.


@CELLS
def test_hooks(kind: str) -> None:
    found = []
    for module in pair(kind):
        seen: list[str] = []
        module.weight_hh.register_hook(lambda grad, seen=seen: seen.append("gradient"))
        module.weight_hh.register_post_accumulate_grad_hook(lambda p, seen=seen: seen.append("accumulated"))
        module.register_forward_hook(lambda *_, seen=seen: seen.append("forward"))
        module.register_full_backward_hook(lambda *_, seen=seen: seen.append("back"))
        module.weight_ih.register_hook(lambda grad: 2 * grad)
        x = as_leaves(inputs_of(module))
        loss_of(module, x).backward()
        assert (seen.count("gradient"), seen.count("accumulated")) == (1, 1)  # of all steps together
        found.append([sorted(seen), [x.grad, *(p.grad for p in module.parameters())]])
    assert found[1][0] == found[0][0]
    torch.testing.assert_close(found[1][1], found[0][1])


@CELLS
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpointing(kind: str, dtype: str, use_reentrant: bool) -> None:
    _, ours = pair(kind, dtype)
    found = []
    for checkpointed in (False, True):
        ours.zero_grad()
        x, hx = as_leaves(inputs_of(ours)), as_leaves(state_of(ours, kind))

        def run(x: Any, *states: Any) -> Any:
            y, end = loop(ours, x, states if has_memory(kind) else states[0])
            return (y, *tensors(end))

        outputs = run(x, *tensors(hx))
        if checkpointed:
            outputs = checkpoint(run, x, *tensors(hx), use_reentrant=use_reentrant)
        torch.autograd.backward(outputs, upstream(list(outputs)))
        found.append([x.grad, *(h.grad for h in tensors(hx)), *(p.grad for p in ours.parameters())])
    assert_same_bits([g.numpy() for g in found[1]], [g.numpy() for g in found[0]])


@CELLS
def test_saved_tensors_may_be_moved(kind: str, dtype: str) -> None:
    _, ours = pair(kind, dtype)
    x = as_leaves(inputs_of(ours))
    expected = grads_of(ours, x)

    def pack(tensor: Any) -> Any:
        numbers = tensor.detach().reshape(-1)
        return tensor.shape, torch.cat([numbers[:1], numbers])

    def unpack(packed: Any) -> Any:
        shape, moved = packed
        return moved[1:].view(shape)

    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        found = grads_of(ours, x)
    assert all(map(torch.equal, found, expected))


WAYS: dict[str, Any] = {
    "x": lambda cell, x, hx, end: x.mul_(2),
    "h": lambda cell, x, hx, end: tensors(hx)[0].mul_(2),
    "c": lambda cell, x, hx, end: tensors(hx)[-1].mul_(2),
    "a weight": lambda cell, x, hx, end: cell.weight_hh.mul_(2),
    "the new h": lambda cell, x, hx, end: tensors(end)[0].mul_(2),
    "the new c": lambda cell, x, hx, end: tensors(end)[-1].mul_(2),
    "nothing": lambda cell, x, hx, end: None,
}


@CELLS
@pytest.mark.parametrize("what", WAYS)
def test_changed_in_place_before_the_backward_pass(kind: str, what: str) -> None:
    def gradients(module: Any) -> Any:
        x, hx = as_leaves(inputs_of(module)[0]), as_leaves(state_of(module, kind))
        end = module(x, hx)
        loss: Any = sum(state.sum() for state in tensors(end))
        with torch.no_grad():
            WAYS[what](module, x, hx, end)
        return torch.autograd.grad(loss, [x, *tensors(hx), *module.parameters()])

    theirs, ours = pair(kind)
    assert_same_outcome(lambda: gradients(theirs), lambda: gradients(ours), message=False)


@CELLS
def test_weights_changed_behind_pytorchs_back_between_steps(kind: str) -> None:
    """Each step is one of the weights as they were then."""
    found = []
    for module in pair(kind):
        x = inputs_of(module)
        y, hx = loop(module, x[:3])
        module.bias_ih.data.mul_(-3)  # of which no gradient is a function
        more, _ = loop(module, x[3:], hx)
        found.append([y, more, *torch.autograd.grad((y + more).square().sum(), weights_of(module))])
    torch.testing.assert_close(found[1], found[0])


@CELLS
def test_graphs_end_and_nothing_stays(kind: str) -> None:
    _, ours = pair(kind)
    x = as_leaves(inputs_of(ours))
    loss = loss_of(ours, x)
    (seen,) = ours._lstmfast.seen.values()
    shared = weakref.ref(seen._shared())
    loss.backward()
    assert left(ours) == {}
    del loss
    gc.collect()
    assert shared() is None


@CELLS
def test_an_error_on_the_way_back_is_told_and_forgotten(kind: str) -> None:
    _, ours = pair(kind)
    x = as_leaves(inputs_of(ours))
    expected = grads_of(ours, x)
    y, _ = loop(ours, x)

    def fail(gradient: Any) -> Any:
        raise ValueError("not now")

    handle = y.register_hook(fail)
    assert isinstance(outcome(lambda: y.sum().backward(retain_graph=True)), ValueError)
    handle.remove()
    assert all(map(torch.equal, grads_of(ours, x), expected))


@CELLS
def test_threads_train_the_same_module(kind: str) -> None:
    _, ours = pair(kind)
    x = inputs_of(ours)
    expected = grads_of(ours, as_leaves(x))
    wrong: list[Any] = []

    def work() -> None:
        for _ in range(20):
            if not all(map(torch.equal, grads_of(ours, as_leaves(x)), expected)):
                wrong.append(1)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong


@CELLS
def test_weights_shared_by_two_modules(kind: str) -> None:
    found = []
    for library in (0, 1):
        first, second = (pair(kind)[library] for _ in range(2))
        second.weight_hh = first.weight_hh
        x = inputs_of(first)
        (loss_of(first, x) + loss_of(second, 2 * x)).backward()
        found.append([p.grad for p in (*first.parameters(), *second.parameters())])
    torch.testing.assert_close(found[1], found[0])


@CELLS
def test_computed_weights_get_their_gradients(kind: str) -> None:
    """Weights that are not leaves, given anew by functional_call, as in meta-learning."""
    found = []
    for module in pair(kind):
        scale = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
        weights = {name: scale * weight for name, weight in module.named_parameters()}
        x, hx = inputs_of(module), None
        for step in x:
            hx = torch.func.functional_call(module, weights, (step, hx))
        (first,) = torch.autograd.grad(tensors(hx)[0].square().sum(), scale, create_graph=True)
        found.append([first, *torch.autograd.grad(first, scale)])
    torch.testing.assert_close(found[1], found[0])


@CELLS
def test_transforms_of_torch_func(kind: str) -> None:
    theirs, ours = pair(kind)
    x = inputs_of(ours)[0]

    def loss(module: Any) -> Any:
        return lambda x: tensors(module(x))[0].square().sum()

    for transform in (torch.func.grad, torch.func.hessian, torch.func.vmap):
        by_theirs, by_ours = transform(loss(theirs)), transform(loss(ours))
        assert_same_outcome(lambda run=by_theirs: run(x), lambda run=by_ours: run(x))  # type: ignore[misc]
    kept: list[Any] = []

    def keep(x: Any) -> Any:
        kept.append(x)
        return x.sum()

    torch.func.grad(keep)(x)  # whose wrapper outlives it
    assert_same_outcome(lambda: theirs(kept[0]), lambda: ours(kept[0]))
    with torch.no_grad():
        assert_same_outcome(lambda: theirs(kept[0]), lambda: ours(kept[0]))


@CELLS
def test_rows_may_differ_from_step_to_step(kind: str) -> None:
    """As in beam search; the terms of all of them are summed up together."""
    found = []
    for module in pair(kind):
        x, hx, loss = inputs_of(module), None, 0
        for n in (3, 2, 1):
            hx = module(
                x[n, :n], None if hx is None else tuple(h[:n] for h in hx) if has_memory(kind) else hx[:n]
            )
            loss = loss + tensors(hx)[0].square().sum()
        found.append(torch.autograd.grad(loss, weights_of(module)))
    torch.testing.assert_close(found[1], found[0])
    assert B == 3


@CELLS
def test_in_inference_mode(kind: str) -> None:
    _, ours = pair(kind)
    x = inputs_of(ours)
    expected, _ = loop(ours, x)
    with torch.inference_mode():
        y, _ = loop(ours, x)
        assert y.is_inference()
    assert torch.equal(y, expected)
    frozen = pair(kind)[1].freeze()
    with torch.inference_mode(), torch.enable_grad():
        assert torch.equal(loop(frozen, x)[0], expected)
    assert isinstance(lstmfast.torch.explain(ours, x[0]), lstmfast.torch.Explanation)
