"""PyTorch's modules and lstmfast.torch's with the same weights, and all that a call of either gives.

Import this after `pytest.importorskip("torch")`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import PackedSequence

import lstmfast.torch
from lstmfast.torch._ours import Ours

from ..core_helpers import assert_close, unaligned
from ..helpers import Array
from ..torch_helpers import BOUNDS

I, H, P, T, B = 5, 7, 3, 6, 3  # odd, and none a whole vector


def make(library: Any, kind: str, dtype: str = "float64", **options: Any) -> Any:
    """`library`'s module (torch.nn's or lstmfast.torch's) of one of `helpers.KINDS`. A proj_size may be 0."""
    sizes = options.pop("input_size", I), options.pop("hidden_size", H)
    options["dtype"] = getattr(torch, dtype)
    if kind == "lstm":
        return library.LSTM(*sizes, **options)
    if not options.get("proj_size", 1):
        del options["proj_size"]
    if kind == "gru":
        return library.GRU(*sizes, **options)
    return library.RNN(*sizes, nonlinearity=kind.removeprefix("rnn_"), **options)


def pair(kind: str, dtype: str = "float64", **options: Any) -> tuple[Any, Any]:
    """PyTorch's module and ours, with the same weights."""
    torch.set_num_threads(1)  # on a busy machine its threads would wait for one another
    torch.manual_seed(0)
    theirs, ours = make(torch.nn, kind, dtype, **options), make(lstmfast.torch, kind, dtype, **options)
    assert not ours.load_state_dict(theirs.state_dict()).missing_keys
    return theirs, ours


def randn(shape: Any, like: torch.Tensor, seed: int = 1) -> torch.Tensor:
    """Normally distributed numbers, of another generator than PyTorch's own."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=like.dtype)


def input_of(module: Any, rows: int | None = B, steps: int = T, seed: int = 1) -> torch.Tensor:
    """An input for `module` in its layout; unbatched if rows is None."""
    axes = (steps,) if rows is None else (rows, steps) if module.batch_first else (steps, rows)
    return randn((*axes, module.input_size), module.weight_ih_l0, seed)


def state_of(module: Any, rows: int | None = B, seed: int = 10) -> Any:
    """An initial state for `module`: a pair for an LSTM."""
    depth = module.num_layers * (2 if module.bidirectional else 1)
    axes = (depth,) if rows is None else (depth, rows)
    h0 = randn((*axes, module.proj_size or module.hidden_size), module.weight_ih_l0, seed)
    if module.mode != "LSTM":
        return h0
    return h0, randn((*axes, module.hidden_size), module.weight_ih_l0, seed + 1)


def tensors(state: Any) -> list[torch.Tensor]:
    """The tensors of a state: none, one or two."""
    return [] if state is None else list(state) if isinstance(state, (tuple, list)) else [state]


def leaf(tensor: torch.Tensor) -> torch.Tensor:
    """A copy that wants a gradient."""
    return tensor.detach().clone().requires_grad_()


def as_leaves(value: Any) -> Any:
    """Copies that want gradients of a tensor, a packed sequence, a pair, or None."""
    if value is None:
        return None
    if isinstance(value, PackedSequence):
        return PackedSequence(leaf(value.data), *value[1:])
    return leaf(value) if isinstance(value, torch.Tensor) else tuple(map(leaf, value))


def data_of(value: Any) -> Any:
    """The tensor of an input or output, packed or not."""
    return value.data if isinstance(value, PackedSequence) else value


def is_ours(module: Any) -> bool:
    """Whether it is one of lstmfast.torch's."""
    return isinstance(module, Ours)


@contextmanager
def no_word_of_projections() -> Any:
    """PyTorch warns that its oneDNN has no projections; we do not."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "LSTM with projections is not supported with oneDNN")
        yield


def call(module: Any, x: Any, hx: Any = None, **cuts: Any) -> Any:
    """`module(x, hx)`; one of ours must not leave it to PyTorch, and takes `lengths` and `reset`."""
    if is_ours(module):
        way = lstmfast.torch.explain(module, x, hx, **cuts)
        assert way.path == "lstmfast", str(way)
        return module(x, hx, **cuts)
    with no_word_of_projections():
        return module(x, hx)


def upstream(outputs: list[torch.Tensor]) -> list[torch.Tensor]:
    """Gradients of outputs, made up, the same for the same shapes."""
    return [randn(output.shape, output, 100 + n) for n, output in enumerate(outputs)]


def results(module: Any, x: Any, hx: Any = None, seed: int | None = None, **cuts: Any) -> dict[str, Array]:
    """Outputs, states and all gradients of a call, by the names that `assert_close` knows.

    seed: of PyTorch's generator, before the call.
    """
    x, hx = as_leaves(x), as_leaves(hx)
    module.zero_grad()
    if seed is not None:
        torch.manual_seed(seed)
    y, end = call(module, x, hx, **cuts)
    outputs = [data_of(y), *tensors(end)]
    with no_word_of_projections():
        torch.autograd.backward(outputs, upstream(outputs))
    found = {name_of_output(n): output.detach() for n, output in enumerate(outputs)}
    found |= {f"dstate {n}": state.grad for n, state in enumerate(tensors(hx))}
    found |= {f"d {name}": parameter.grad for name, parameter in module.named_parameters()}
    found["dx"] = data_of(x).grad
    return {name: tensor.numpy().copy() for name, tensor in found.items()}


def name_of_output(n: int) -> str:
    """The name of y, h_n and c_n in `results`."""
    return "y" if n == 0 else f"state {n - 1}"


def assert_agree(ours: Any, theirs: Any, dtype: str, what: str) -> None:
    """Compare `results` of ours with PyTorch's."""
    assert_close(ours, theirs, what, *BOUNDS[dtype])


def quietly(make: Callable[[], Any]) -> Any:
    """What make() gives, without PyTorch's warnings that it is new."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return make()


def outcome(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """What a call gives, or the exception that it raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*args, **options)
    except Exception as error:
        return error


def assert_same_outcome(theirs: Callable[[], Any], ours: Callable[[], Any], *, message: bool = True) -> bool:
    """The same kind of error in the same words, or the same tensors. Returns whether it was an error."""
    expected, found = outcome(theirs), outcome(ours)
    if isinstance(expected, Exception):
        assert type(found) is type(expected), f"{found!r} instead of {expected!r}"
        assert not message or str(found) == str(expected)
        return True
    assert not isinstance(found, Exception), repr(found)
    torch.testing.assert_close(found, expected, equal_nan=True)
    return False


def assert_still_right(theirs: Any, ours: Any) -> None:
    """A good call of both, after whatever went before."""
    x, hx = input_of(ours), state_of(ours)
    found, expected = call(ours, x, hx), call(theirs, x, hx)
    torch.testing.assert_close(found, expected)
    expected, found = (results(module, x, hx) for module in (theirs, ours))
    for name, truth in expected.items():
        np.testing.assert_allclose(found[name], truth, rtol=2e-5, atol=1e-5, err_msg=name)


# Memory of every kind that a tensor may have.


def one_byte_off(tensor: Any) -> Any:
    return torch.from_numpy(unaligned(tensor.detach().numpy()))


def one_number_off(tensor: Any) -> Any:
    return torch.cat([tensor.detach().reshape(-1)[:1], tensor.detach().reshape(-1)])[1:].view(tensor.shape)


def with_gaps(tensor: Any) -> Any:
    return torch.stack([tensor.detach(), tensor.detach()], -1)[..., 0]


def turned(tensor: Any) -> Any:
    return tensor.detach().transpose(0, -1).contiguous().transpose(0, -1)


def through_bytes(tensor: Any) -> Any:
    memory = bytearray(tensor.detach().numpy().tobytes())
    return torch.frombuffer(memory, dtype=tensor.dtype).view(tensor.shape)


MEMORY = pytest.mark.parametrize(
    "moved", [torch.clone, one_number_off, one_byte_off, with_gaps, turned, through_bytes]
)
