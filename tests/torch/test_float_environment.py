"""The same bits on PyTorch's threads, whatever floating-point environment they and the caller have."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest

from ..float_helpers import CAN_BE_SET, CONTROLS, DEFAULT, host

torch = pytest.importorskip("torch")

import lstmfast.torch  # noqa: E402

pytestmark = [
    pytest.mark.skipif(not CAN_BE_SET, reason="where fenv_t is another"),
    pytest.mark.usefixtures("default_floats"),
]


@pytest.fixture
def two_threads() -> Iterator[None]:
    ours, theirs = lstmfast.get_num_threads(), torch.get_num_threads()
    lstmfast.set_num_threads(2)
    torch.set_num_threads(2)
    yield
    lstmfast.set_num_threads(ours)
    torch.set_num_threads(theirs)


def results(module: Any, x: Any) -> list[Any]:
    """Everything of a training step. The loss's gradients are 1, in whatever environment they are made."""
    x = x.detach().requires_grad_()
    y, state = module(x)
    states = state if isinstance(state, tuple) else (state,)
    found = torch.autograd.grad(
        [y, *states], [x, *module.parameters()], [torch.ones_like(a) for a in (y, *states)]
    )
    return [a.detach().clone() for a in (y, *states, *found)]


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("given", CONTROLS.values(), ids=CONTROLS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_modules(kind: str, given: int) -> None:
    torch.manual_seed(0)
    module = getattr(lstmfast.torch, kind)(64, 128)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2.0**-127)
    x = torch.randn(6, 16, 64)
    expected = results(module, x)
    assert any(bool(((a != 0) & (a.abs() < 2.0**-126)).any()) for a in expected)
    for again in range(3):  # a pool, packed weights and awake threads are there from the second on
        with host(given):
            found = results(module, x)
        for a, b in zip(found, expected, strict=True):
            assert torch.equal(a.view(torch.int32), b.view(torch.int32)), again


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("given", CONTROLS.values(), ids=CONTROLS)
@pytest.mark.parametrize("kind", ["LSTMCell", "GRUCell", "RNNCell"])
def test_single_steps(kind: str, given: int) -> None:
    torch.manual_seed(0)
    cell = getattr(lstmfast.torch, kind)(64, 128)
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.mul_(2.0**-127)
    x = torch.randn(16, 64)

    def step(x: Any) -> Any:
        end = cell(x)
        return end if isinstance(end, tuple) else (end, end)

    def found() -> list[Any]:
        with torch.no_grad():
            kept_nothing = step(x)
        given = x.detach().requires_grad_()
        h, c = step(given)
        grads = torch.autograd.grad([h, c], [given, *cell.parameters()], [torch.ones_like(h)] * 2)
        return [*kept_nothing, h.detach().clone(), c.detach().clone(), *grads]

    expected = found()
    assert any(bool(((a != 0) & (a.abs() < 2.0**-126)).any()) for a in expected)
    with host(given):
        again = found()
    for a, b in zip(again, expected, strict=True):
        assert torch.equal(a.view(torch.int32), b.view(torch.int32))


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("given", CONTROLS.values(), ids=CONTROLS)
def test_backward_on_another_thread(given: int) -> None:
    """Than the forward pass, with another environment than that had, either way."""
    torch.manual_seed(0)
    module = lstmfast.torch.LSTM(64, 128)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2.0**-127)
    x = torch.randn(6, 16, 64)
    ones = torch.ones(6, 16, 128)
    found: list[list[Any]] = []

    def forward(environment: int) -> Any:
        with host(environment):
            return module(x)[0]

    def backward(y: Any, environment: int) -> None:
        with host(environment):
            grads = torch.autograd.grad(y, list(module.parameters()), ones)
        found.append([y.detach().clone(), *grads])

    for here, there in ((DEFAULT, DEFAULT), (DEFAULT, given), (given, DEFAULT), (given, given)):
        thread = Thread(target=backward, args=(forward(here), there))
        thread.start()
        thread.join()
    assert len(found) == 4
    assert bool(((found[0][0] != 0) & (found[0][0].abs() < 2.0**-126)).any())
    for other in found[1:]:
        for a, b in zip(other, found[0], strict=True):
            assert torch.equal(a.view(torch.int32), b.view(torch.int32))


@pytest.mark.usefixtures("two_threads")
def test_flush_denormal_is_pytorchs_own() -> None:
    """What PyTorch is told about its arithmetic is not about ours; and it still holds after our calls."""
    torch.manual_seed(0)
    module = lstmfast.torch.LSTM(64, 128)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(2.0**-127)
    x = torch.randn(6, 16, 64)
    expected = results(module, x)
    if not torch.set_flush_denormal(True):
        pytest.skip("this CPU cannot")
    try:
        found = results(module, x)
        small = torch.full((1,), 2.0**-126) * 0.5
    finally:
        torch.set_flush_denormal(False)
    assert small.item() == 0
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a.view(torch.int32), b.view(torch.int32))
