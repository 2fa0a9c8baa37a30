"""Which weights a call computes with: those that PyTorch's own forward would, wherever they were put."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import lstmfast.torch  # noqa: E402

from .helpers import call, input_of, pair, quietly, tensors  # noqa: E402

KINDS = pytest.mark.parametrize("kind", ["lstm", "rnn_tanh"])


def assert_same_calls(theirs: Any, ours: Any, times: int = 2) -> None:
    for n in range(times):
        found = []
        for module in (theirs, ours):
            torch.manual_seed(n)
            y, end = call(module, input_of(module, seed=n))
            found.append([y, *tensors(end)])
        torch.testing.assert_close(found[1], found[0])


def in_the_list(module: Any) -> None:
    """Recurrent dropout of public code: tensors in the place of weights, which stay what they are."""
    module._flat_weights = [0.5 * weight.detach() for weight in module._flat_weights]


def one_in_the_list(module: Any) -> None:
    module._flat_weights[1] = module._flat_weights[1] * 2


def parameter_replaced(module: Any) -> None:
    module.weight_hh_l0 = torch.nn.Parameter(module.weight_hh_l0.detach() * 2)


def parameter_replaced_below(module: Any) -> None:
    module._parameters["weight_hh_l0"] = torch.nn.Parameter(module.weight_hh_l0.detach() * 2)


def parameter_deleted(module: Any) -> None:
    del module.weight_hh_l0


def plain_tensor_in_place(module: Any) -> None:
    weight = module.weight_hh_l0.detach()
    del module.weight_hh_l0
    module.weight_hh_l0 = weight * 2


def list_then_parameter(module: Any) -> None:
    in_the_list(module)
    parameter_replaced_below(module)


CHANGES = [
    in_the_list,
    one_in_the_list,
    parameter_replaced,
    parameter_replaced_below,
    parameter_deleted,
    plain_tensor_in_place,
    list_then_parameter,
]


@KINDS
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("called_before", [False, True])
def test_weights_put_elsewhere(kind: str, change: Callable[[Any], None], called_before: bool) -> None:
    theirs, ours = pair(kind, num_layers=2)
    if called_before:
        assert_same_calls(theirs, ours, 1)
    for module in (theirs, ours):
        change(module)
    assert_same_calls(theirs, ours)
    with torch.no_grad():
        for module in (theirs, ours):
            module.weight_ih_l0.mul_(0.5)
    assert_same_calls(theirs, ours)
    for module in (theirs, ours):
        in_the_list(module)
    assert_same_calls(theirs, ours)


@KINDS
def test_weights_that_a_hook_puts_there_have_gradients(kind: str) -> None:
    found = []
    for module in pair(kind):
        masks = torch.rand(module.weight_hh_l0.shape, generator=torch.Generator().manual_seed(2)).round()

        def drop(module: Any, _: Any, masks: Any = masks) -> None:
            dropped = [module.weight_hh_l0 * masks]
            module._flat_weights = [module.weight_ih_l0, *dropped, module.bias_ih_l0, module.bias_hh_l0]

        module.register_forward_pre_hook(drop)
        y, _ = module(input_of(module))
        found.append([y.detach(), *torch.autograd.grad(y.square().sum(), list(module.parameters()))])
    torch.testing.assert_close(found[1], found[0])


@KINDS
def test_a_list_that_does_not_fit_is_pytorchs_to_refuse(kind: str) -> None:
    for module in pair(kind):
        module._flat_weights = module._flat_weights[:3]
        with pytest.raises(Exception, match=r".*"):
            module(input_of(module))


@KINDS
def test_frozen_weights_put_elsewhere_are_noticed(kind: str) -> None:
    _, ours = pair(kind)
    ours.freeze()
    in_the_list(ours)
    with pytest.raises(RuntimeError, match="after freeze"):
        ours(input_of(ours))


# Parametrized weights.


class Doubled(torch.nn.Module):  # type: ignore[misc, name-defined]
    """A parametrization of one's own, which counts how often it is asked."""

    asked = 0

    def forward(self, weight: Any) -> Any:
        type(self).asked += 1
        return 2 * weight.tanh()


PARAMETRIZATIONS: dict[str, Callable[[Any], Any]] = {
    "weight_norm": lambda m: torch.nn.utils.parametrizations.weight_norm(m, "weight_hh_l0"),
    "spectral_norm": lambda m: torch.nn.utils.parametrizations.spectral_norm(m, "weight_hh_l0").eval(),
    "orthogonal": lambda m: torch.nn.utils.parametrizations.orthogonal(m, "weight_hh_l0"),
    "one's own": lambda m: torch.nn.utils.parametrize.register_parametrization(m, "weight_ih_l0", Doubled()),
    "weight_norm, old": lambda m: quietly(lambda: torch.nn.utils.weight_norm(m, "weight_hh_l0")),
    "spectral_norm, old": lambda m: quietly(lambda: torch.nn.utils.spectral_norm(m, "weight_hh_l0")).eval(),
}


@KINDS
@pytest.mark.parametrize("name", PARAMETRIZATIONS)
@pytest.mark.parametrize("when", ["accelerated before", "accelerated after", "made as ours"])
def test_parametrizations(kind: str, name: str, when: str) -> None:
    """The weights of each call are what the parametrization gives; and all may be undone."""
    theirs, ours = pair(kind, hidden_size=6, input_size=6)
    if when != "made as ours":
        ours = pair(kind, hidden_size=6, input_size=6)[0]
    if when == "accelerated before":
        lstmfast.torch.accelerate(ours)
    for module in (theirs, ours):
        torch.manual_seed(5)
        PARAMETRIZATIONS[name](module)
    if when == "accelerated after":
        lstmfast.torch.accelerate(ours)
    for n in range(3):
        x = input_of(theirs, seed=n)
        found = []
        for module in (theirs, ours):
            y, _ = call(module, x)
            grads = torch.autograd.grad(y.square().sum(), list(module.parameters()))
            with torch.no_grad():
                for parameter, grad in zip(module.parameters(), grads, strict=True):
                    parameter -= 0.01 * grad
            found.append([y.detach(), *grads])
        torch.testing.assert_close(found[1], found[0])
    (entry,) = lstmfast.torch.report(ours)
    assert entry.accelerated
    if when != "made as ours":
        lstmfast.torch.restore(ours)
        assert type(ours).__mro__[1:] == type(theirs).__mro__[1:]
        x = input_of(theirs, seed=8)
        torch.testing.assert_close(ours(x), theirs(x))


@KINDS
def test_parametrizations_are_asked_once_a_call(kind: str) -> None:
    _, ours = pair(kind)
    torch.nn.utils.parametrize.register_parametrization(ours, "weight_ih_l0", Doubled())
    x = input_of(ours)
    ours(x)
    before = Doubled.asked
    ours(x)
    assert Doubled.asked == before + 1


@KINDS
def test_parametrizations_removed_from_an_accelerated_module(kind: str) -> None:
    theirs = pair(kind)[0]
    ours = pair(kind)[0]
    for module in (theirs, ours):
        torch.nn.utils.parametrize.register_parametrization(module, "weight_ih_l0", Doubled())
    lstmfast.torch.accelerate(ours)
    for module in (theirs, ours):
        torch.nn.utils.parametrize.remove_parametrizations(module, "weight_ih_l0")
    assert type(ours) is getattr(lstmfast.torch, type(theirs).__name__)
    assert_same_calls(theirs, ours)
    lstmfast.torch.restore(ours)
    assert type(ours) is type(theirs)
