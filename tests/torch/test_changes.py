"""Weights of lstmfast.torch's modules may change in any way: the next call sees it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import lstmfast.torch  # noqa: E402
from lstmfast.torch._own import own_of  # noqa: E402
from lstmfast.torch._reading import weights_of  # noqa: E402

from .helpers import assert_agree, input_of, outcome, pair, results  # noqa: E402

Change = Callable[[Any], None]


def by_an_optimizer(make: Callable[..., Any], **options: Any) -> Change:
    def change(module: Any) -> None:
        optimizer = make(module.parameters(), lr=0.05, **options)
        for step in range(2):
            optimizer.zero_grad()
            torch.manual_seed(step)
            x = torch.randn(4, 2, module.input_size, dtype=module.weight_hh_l0.dtype)
            (module(x)[0] ** 2).sum().backward()
            optimizer.step()

    return change


def load_state_dict(module: Any, **options: Any) -> None:
    module.load_state_dict({name: 0.5 * value for name, value in module.state_dict().items()}, **options)


def data_of_another_tensor(module: Any) -> None:
    module.weight_hh_l0.data = module.weight_hh_l0.data * 0.5


def data_in_place(module: Any) -> None:
    version = module.weight_hh_l0._version
    module.weight_hh_l0.data.mul_(0.5)
    assert module.weight_hh_l0._version == version  # PyTorch does not count it


def one_number_through_numpy(module: Any) -> None:
    module.bias_ih_l0.detach().numpy()[-1] += 1


def one_number_by_its_address(module: Any) -> None:
    kind = ctypes.c_float if module.weight_ih_l0.dtype is torch.float32 else ctypes.c_double
    (kind * module.weight_ih_l0.numel()).from_address(module.weight_ih_l0.data_ptr())[7] = 1.5


def the_least_bit(module: Any) -> None:
    weight = module.weight_hh_l0.detach().numpy()
    weight[2, 3] = np.nextafter(weight[2, 3], weight.dtype.type(9))


@torch.no_grad()  # type: ignore[untyped-decorator]
def rows_change_places(module: Any) -> None:
    weight = module.weight_hh_l0.data
    weight.copy_(weight.flip(0))


def two_weights_change_places(module: Any) -> None:
    bias = module.bias_ih_l0.data
    module.bias_ih_l0.data = module.bias_hh_l0.data
    module.bias_hh_l0.data = bias
    module.bias_ih_l0.data.mul_(2)


def all_negated(module: Any) -> None:
    for parameter in module.parameters():
        parameter.data.neg_()


def no_number(module: Any) -> None:
    module.weight_ih_l0.data[0, 0] = float("nan")


def another_parameter(module: Any) -> None:
    module.weight_hh_l0 = torch.nn.Parameter(0.5 * module.weight_hh_l0.detach())


def deleted_and_registered_again(module: Any) -> None:
    weight = 0.5 * module.weight_hh_l0.detach()
    del module.weight_hh_l0
    module.register_parameter("weight_hh_l0", torch.nn.Parameter(weight))


def initialised(module: Any) -> None:
    torch.manual_seed(5)
    for parameter in module.parameters():
        torch.nn.init.uniform_(parameter, -0.3, 0.3)


def one_vector_for_all(module: Any) -> None:
    vector = torch.nn.utils.parameters_to_vector(module.parameters())
    torch.nn.utils.vector_to_parameters(0.5 * vector, module.parameters())


def into_one_buffer(module: Any) -> None:
    """As data-parallel wrappers lay weights out; then the buffer changes."""
    parameters = list(module.parameters())
    flat = torch.cat([parameter.detach().reshape(-1) for parameter in parameters])
    begin = 0
    for parameter in parameters:
        parameter.data = flat[begin : begin + parameter.numel()].view_as(parameter)
        begin += parameter.numel()
    module(torch.zeros(2, 1, module.input_size, dtype=flat.dtype))
    flat.mul_(0.5)


def with_other_strides(module: Any) -> None:
    module.weight_hh_l0.data = module.weight_hh_l0.data.t().contiguous().t()
    module(torch.zeros(2, 1, module.input_size, dtype=module.weight_hh_l0.dtype))
    module.weight_hh_l0.data.mul_(0.5)


def in_shared_memory(module: Any) -> None:
    module.share_memory()
    module(torch.zeros(2, 1, module.input_size, dtype=module.weight_hh_l0.dtype))
    module.weight_hh_l0.detach().numpy()[...] *= 0.5


def there_and_back(module: Any) -> None:
    dtype = module.weight_hh_l0.dtype
    module.to(torch.float64 if dtype is torch.float32 else torch.float32)
    module(torch.zeros(2, 1, module.input_size, dtype=module.weight_hh_l0.dtype))
    module.to(dtype)
    module.weight_hh_l0.data.mul_(0.5)


@torch.no_grad()  # type: ignore[untyped-decorator]
def in_place(module: Any) -> None:
    module.weight_ih_l0.mul_(0.5)


def one_number_is_zeroed(module: Any) -> None:
    module.weight_hh_l0.data[1, 1].zero_()


def double_and_float(module: Any) -> None:
    dtype = module.weight_hh_l0.dtype
    module.double()
    module.weight_hh_l0.data.mul_(0.5)
    module.float()
    module.to(dtype)


def by_clipped_gradients(module: Any) -> None:
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
    x = torch.ones(4, 2, module.input_size, dtype=module.weight_hh_l0.dtype)
    module(x)[0].sum().backward()
    torch.nn.utils.clip_grad_norm_(module.parameters(), 0.1)
    optimizer.step()
    module.zero_grad()


def converted_by_swapping(module: Any) -> None:
    dtype = module.weight_hh_l0.dtype
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        module.to(torch.float64 if dtype is torch.float32 else torch.float32)
        module.weight_hh_l0.data.mul_(0.5)
        module.to(dtype)
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)


class Half(torch.nn.Module):  # type: ignore[misc, name-defined]
    def forward(self, weight: Any) -> Any:
        return 0.5 * weight


def computed(module: Any) -> None:
    torch.nn.utils.parametrize.register_parametrization(module, "weight_hh_l0", Half())


def computed_from_what_changes(module: Any) -> None:
    torch.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
    module(torch.zeros(2, 1, module.input_size, dtype=module.weight_ih_l0.dtype))
    module.parametrizations.weight_hh_l0.original0.data.mul_(0.5)


def of_spectral_norm(module: Any) -> None:
    """Evaluated: while training, each look at the weight is a step of its power iteration."""
    torch.manual_seed(3)
    torch.nn.utils.parametrizations.spectral_norm(module, "weight_hh_l0")
    module.eval()


def pruned(module: Any) -> None:
    import torch.nn.utils.prune as prune

    prune.l1_unstructured(module, "weight_hh_l0", amount=0.5)


CHANGES: dict[str, Change] = {
    "SGD": by_an_optimizer(torch.optim.SGD),
    "SGD, for each": by_an_optimizer(torch.optim.SGD, foreach=True),
    "Adam": by_an_optimizer(torch.optim.Adam, foreach=False),
    "Adam, for each": by_an_optimizer(torch.optim.Adam, foreach=True),
    "Adam, fused": by_an_optimizer(torch.optim.Adam, fused=True),
    "load_state_dict": load_state_dict,
    "load_state_dict, assigned": lambda module: load_state_dict(module, assign=True),
    "weight norm": lambda module: torch.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0"),
}
CHANGES |= {
    change.__name__.replace("_", " "): change
    for change in (
        data_of_another_tensor,
        data_in_place,
        one_number_through_numpy,
        one_number_by_its_address,
        the_least_bit,
        rows_change_places,
        two_weights_change_places,
        all_negated,
        no_number,
        another_parameter,
        deleted_and_registered_again,
        initialised,
        one_vector_for_all,
        into_one_buffer,
        with_other_strides,
        in_shared_memory,
        there_and_back,
        pruned,
        in_place,
        one_number_is_zeroed,
        double_and_float,
        by_clipped_gradients,
        converted_by_swapping,
        computed,
        computed_from_what_changes,
        of_spectral_norm,
    )
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_tanh"])
def test_the_next_call_has_the_weights_as_they_are(name: str, kind: str, dtype: str) -> None:
    """In inference and in training; and what was called before was not for nothing."""
    theirs, ours = pair(kind, dtype, num_layers=2)
    x = input_of(ours)
    with torch.no_grad():
        before = ours(x)[0].clone()
    for module in (theirs, ours):
        CHANGES[name](module)
    with torch.no_grad():
        found, expected = ours(x)[0], theirs(x)[0]
    assert lstmfast.torch.explain(ours, x).path == "lstmfast"
    assert not torch.equal(found, before) or name in ("weight norm", "the least bit")
    assert torch.equal(found.isnan(), expected.isnan())
    numbers = [{"y": torch.nan_to_num(y).numpy()} for y in (found, expected)]
    assert_agree(numbers[0], numbers[1], dtype, name)
    if name != "no number":
        assert_agree(results(ours, x), results(theirs, x), dtype, name)
    # Bits: as a module that has seen no other weights.
    fresh = type(ours)(ours.input_size, ours.hidden_size, num_layers=2, dtype=x.dtype)
    with torch.no_grad():
        for parameter, there in zip(fresh.parameters(), weights_of(ours), strict=True):
            parameter.copy_(there)
        assert torch.equal(torch.nan_to_num(fresh(x)[0]), torch.nan_to_num(found))


@pytest.mark.parametrize("name", [name for name in CHANGES if name != "no number"])
def test_the_next_call_may_be_one_that_trains(name: str) -> None:
    """No inference between the change and the call has packed the weights anew."""
    theirs, ours = pair("lstm", "float64")
    x = input_of(ours)
    results(ours, x)
    for module in (theirs, ours):
        module.zero_grad()
        CHANGES[name](module)
    assert_agree(results(ours, x), results(theirs, x), "float64", name)


def test_addresses_that_are_used_again() -> None:
    theirs, ours = pair("lstm", "float32")
    x = input_of(ours)
    seen: list[int] = []
    for step in range(30):
        for module in (theirs, ours):
            generator = torch.Generator().manual_seed(step)
            weight = torch.randn(module.weight_hh_l0.shape, generator=generator)
            module.weight_hh_l0 = torch.nn.Parameter(weight)
            del weight
        seen.append(ours.weight_hh_l0.data_ptr())
        with torch.no_grad():
            torch.testing.assert_close(ours(x)[0], theirs(x)[0])
    if len(set(seen)) == len(seen):
        pytest.skip("no address was used again")


def test_swapped_tensors_are_as_in_pytorch() -> None:
    """It refuses where something refers weakly to one of them, as PyTorch's own module does."""
    found = []
    for module in pair("lstm", "float32"):
        with torch.no_grad():
            module(input_of(module))
        other = torch.nn.Parameter(torch.full_like(module.weight_hh_l0, 0.1))
        error = outcome(torch.utils.swap_tensors, module.weight_hh_l0, other)
        with torch.no_grad():
            found.append((str(error), module(input_of(module))[0]))
    assert found[0][0] == found[1][0]
    torch.testing.assert_close(found[1][1], found[0][1])


def test_zero_and_minus_zero_are_two() -> None:
    """-0.0 equals 0.0, but bits are compared: nobody has to prove that it does not matter."""
    _, ours = pair("lstm", "float32")
    x = input_of(ours)
    packed = own_of(ours).packed
    with torch.no_grad():
        ours.weight_hh_l0.zero_()
        ours(x)
        first = packed._state
        ours.weight_hh_l0.neg_()
        ours(x)
    assert packed._state is not first
