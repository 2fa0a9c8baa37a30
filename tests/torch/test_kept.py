"""What a call keeps: whoever changes x, states or weights after it meets what PyTorch does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from .helpers import (  # noqa: E402
    B,
    P,
    T,
    as_leaves,
    assert_same_outcome,
    call,
    input_of,
    no_word_of_projections,
    outcome,
    pair,
    state_of,
    tensors,
)

KINDS = pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("lstm", {}),
        ("lstm", {"num_layers": 2, "bidirectional": True}),
        ("lstm", {"proj_size": P}),
        ("gru", {}),
        ("gru", {"num_layers": 2, "bidirectional": True}),
        ("rnn_tanh", {}),
        ("rnn_relu", {"num_layers": 2, "bias": False}),
    ],
    ids=["lstm", "lstm, deep", "lstm, projected", "gru", "gru, deep", "rnn", "rnn, relu"],
)


def scaled(tensor: Any, y: Any) -> None:
    tensor.mul_(3)


def rectified(tensor: Any, y: Any) -> None:
    torch.relu_(tensor)


def filled(tensor: Any, y: Any) -> None:
    tensor.copy_(torch.ones_like(tensor))


def shifted_by_y(tensor: Any, y: Any) -> None:
    tensor += y.detach().mean()


def written_to_by_numpy(tensor: Any, y: Any) -> None:
    tensor.detach().numpy()[...] *= 3


def replaced(tensor: Any, y: Any) -> None:
    tensor.data = torch.ones_like(tensor)


def in_part(tensor: Any, y: Any) -> None:
    tensor[..., :1].zero_()


WAYS = [scaled, rectified, filled, shifted_by_y, written_to_by_numpy, replaced, in_part]


@KINDS
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("rows", [B, 1, None])
@pytest.mark.parametrize("steps", [T, 1])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_input_changed_after_the_call(
    kind: str, options: dict[str, Any], batch_first: bool, rows: int | None, steps: int, way: Any, dtype: str
) -> None:
    modules = pair(kind, dtype, batch_first=batch_first, **options)

    def gradients(module: Any, way: Any) -> Any:
        x = input_of(module, rows, steps)
        y, _ = call(module, x)
        with torch.no_grad():
            way(x, y)
        return torch.autograd.grad(y.square().sum(), list(module.parameters()))

    assert_as_right(lambda module, way: outcome(gradients, module, way), *modules, way)


def assert_as_right(gradients: Any, theirs: Any, ours: Any, way: Any) -> None:
    """The same kind of error, or the same gradients; where PyTorch's are of another x, ours may be right."""
    with no_word_of_projections():
        expected, found = gradients(theirs, way), gradients(ours, way)
        truth = gradients(theirs, lambda x, y: None)
    if isinstance(expected, Exception):
        assert type(found) is type(expected), f"{found!r} instead of {expected!r}"
        return
    assert not isinstance(found, Exception), repr(found)
    is_right = close(expected, truth)
    if is_right or not (close(found, truth) or way is written_to_by_numpy):
        torch.testing.assert_close(found, expected)


def close(a: Any, b: Any) -> bool:
    return all(torch.allclose(x, y, rtol=1e-4, atol=1e-5) for x, y in zip(a, b, strict=True))


@KINDS
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_input_on_the_graph_changed_after_the_call(
    kind: str, options: dict[str, Any], batch_first: bool, way: Any, dtype: str
) -> None:
    """As in a residual connection: x += y."""
    modules = pair(kind, dtype, batch_first=batch_first, **options)

    def gradients(module: Any, way: Any) -> Any:
        start = as_leaves(input_of(module))
        x = 1 * start
        y, _ = call(module, x)
        if way in (written_to_by_numpy, replaced):
            with torch.no_grad():
                way(x, y)
        else:
            way(x, y)
        return torch.autograd.grad(y.square().sum(), [start, *module.parameters()])

    assert_as_right(lambda module, way: outcome(gradients, module, way), *modules, way)


@KINDS
@pytest.mark.parametrize("what", ["state", "weight"])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("way", [scaled, filled, in_part], ids=lambda way: way.__name__)
def test_states_and_weights_changed_after_the_call(
    kind: str, options: dict[str, Any], what: str, batch_first: bool, way: Any, dtype: str
) -> None:
    modules = pair(kind, dtype, batch_first=batch_first, **options)

    def gradients(module: Any) -> Callable[[], Any]:
        def run() -> Any:
            x, hx = as_leaves(input_of(module)), as_leaves(state_of(module))
            y, _ = call(module, x, hx)
            with torch.no_grad():
                way(tensors(hx)[0] if what == "state" else module.weight_hh_l0, y)
            return torch.autograd.grad(y.square().sum(), [x, *tensors(hx), *module.parameters()])

        return run

    with no_word_of_projections():
        assert_same_outcome(*(gradients(module) for module in modules), message=False)


@KINDS
def test_inputs_made_in_inference_mode(kind: str, options: dict[str, Any], dtype: str) -> None:
    """Features that somebody else has computed: batch first, PyTorch keeps a copy, and trains."""
    modules = pair(kind, dtype, batch_first=True, **options)

    def gradients(module: Any) -> Callable[[], Any]:
        def run() -> Any:
            with torch.inference_mode():
                x = input_of(module) * 1
            y, _ = module(x)
            return torch.autograd.grad(y.square().sum(), list(module.parameters()))

        return run

    with no_word_of_projections():
        assert not assert_same_outcome(*(gradients(module) for module in modules))


@KINDS
def test_time_first_inputs_that_are_not_dense_are_copied(kind: str, options: dict[str, Any]) -> None:
    """A buffer kept batch first, and turned for the call, is filled anew before the backward pass."""
    _, ours = pair(kind, **options)
    grads = []
    for refill in (False, True):
        buffer = input_of(ours).transpose(0, 1).contiguous()
        y, _ = call(ours, buffer.transpose(0, 1))
        if refill:
            buffer.numpy()[...] = 0
        grads.append(torch.autograd.grad(y.square().sum(), list(ours.parameters())))
    torch.testing.assert_close(grads[1], grads[0], rtol=0, atol=0)
