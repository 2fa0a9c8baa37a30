"""Autograd of lstmfast.torch beside PyTorch's: what is wanted, what is kept, and who may change it when."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from ..helpers import assert_same_bits

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

import lstmfast.torch  # noqa: E402

from .conftest import MODULES  # noqa: E402
from .helpers import (  # noqa: E402
    MEMORY,
    B,
    P,
    as_leaves,
    assert_agree,
    call,
    data_of,
    input_of,
    leaf,
    make,
    outcome,
    pair,
    state_of,
    tensors,
    upstream,
)

CELL = pytest.mark.parametrize(("kind", "proj_size"), [(kind, P if proj else 0) for kind, proj in MODULES])
LAYOUTS = ((False, B), (True, B), (False, None), (True, None))  # batch_first and rows


# What is wanted, and when.


@CELL
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_what_is_not_wanted_is_not_given_and_changes_no_bit(
    kind: str, proj_size: int, dtype: str, dropout: float
) -> None:
    _, ours = pair(kind, dtype, num_layers=2, bidirectional=True, proj_size=proj_size, dropout=dropout)
    parameters = dict(ours.named_parameters())
    x, states = input_of(ours), dict(zip(("h0", "c0"), tensors(state_of(ours)), strict=False))
    given = {"x": x, **states, **parameters}

    def grads_of(wanted: set[str]) -> dict[str, Any]:
        here = {name: tensor.detach().requires_grad_(name in wanted) for name, tensor in given.items()}
        for name, parameter in parameters.items():
            parameter.requires_grad_(name in wanted)
            parameter.grad = None
        torch.manual_seed(4)
        hx = tuple(here[name] for name in states)
        y, end = call(ours, here["x"], hx if kind == "lstm" else hx[0])
        outputs = [y, *tensors(end)]
        assert all(output.requires_grad is bool(wanted) for output in outputs)
        if wanted:
            torch.autograd.backward(outputs, upstream(outputs))
        found = {name: (parameters.get(name, tensor)).grad for name, tensor in here.items()}
        return {name: grad.numpy() for name, grad in found.items() if grad is not None}

    full = grads_of(set(given))
    assert set(full) == set(given)
    tensors_given = ["x", *states]
    subsets = [set(some) for n in range(4) for some in itertools.combinations(tensors_given, n)]
    wishes = [some | all_weights for some in subsets for all_weights in (set(), set(parameters))]
    wishes += [{name} for name in parameters] + [set(given) - {name} for name in parameters]
    for wanted in wishes:
        assert_same_bits(
            grads_of(wanted), {name: full[name] for name in given if name in wanted}, str(wanted)
        )


@CELL
def test_each_output_may_be_all_that_is_gone_back_from(kind: str, proj_size: int, dtype: str) -> None:
    theirs, ours = pair(kind, dtype, num_layers=2, proj_size=proj_size)
    for n in range(3 if kind == "lstm" else 2):
        found = []
        for module in (theirs, ours):
            x, hx = as_leaves(input_of(module)), as_leaves(state_of(module))
            y, end = call(module, x, hx)
            output = [y, *tensors(end)][n]
            wanted = {"x": x, **dict(module.named_parameters())}
            wanted |= {f"state {m}": state for m, state in enumerate(tensors(hx))}
            grads = torch.autograd.grad(output, list(wanted.values()), upstream([output]))
            found.append({f"d{name}": grad.numpy() for name, grad in zip(wanted, grads, strict=True)})
        assert_agree(found[1], found[0], dtype, f"output {n}")


@CELL
def test_without_a_graph_bits_are_the_same(kind: str, proj_size: int, dtype: str) -> None:
    _, ours = pair(kind, dtype, num_layers=2, bidirectional=True, proj_size=proj_size)
    x, hx = input_of(ours), state_of(ours)

    def bits() -> list[Any]:
        y, end = call(ours, x, hx)
        assert y.requires_grad is torch.is_grad_enabled()
        assert y.is_inference() is torch.is_inference_mode_enabled()
        return [tensor.detach().numpy() for tensor in (y, *tensors(end))]

    expected = bits()
    with torch.no_grad():
        assert_same_bits(bits(), expected)
    with torch.inference_mode():
        assert_same_bits(bits(), expected)
        made_there = make(lstmfast.torch, kind, dtype, num_layers=2, bidirectional=True, proj_size=proj_size)
        made_there.load_state_dict(ours.state_dict())
        x, hx = x.clone(), state_of(ours)
    with torch.no_grad():
        assert_same_bits([call(made_there, x, hx)[0].numpy()], expected[:1])


# Ways through the graph.


def grads_of(module: Any, outputs: Callable[[Any, Any], list[Any]], times: int = 1) -> dict[str, Any]:
    """Gradients after `times` backward passes through what outputs(x, hx) gives, the graph kept for each."""
    x, hx = as_leaves(input_of(module)), as_leaves(state_of(module))
    module.zero_grad()
    torch.manual_seed(6)
    found = outputs(x, hx)
    for n in range(times):
        torch.autograd.backward(found, upstream(found), retain_graph=n < times - 1)
    wanted = {"x": x, **{f"state {n}": state for n, state in enumerate(tensors(hx))}}
    wanted |= dict(module.named_parameters())
    return {f"d {name}": tensor.grad.clone().numpy() for name, tensor in wanted.items()}


def plainly(module: Any) -> Callable[[Any, Any], list[Any]]:
    def outputs(x: Any, hx: Any) -> list[Any]:
        y, end = call(module, x, hx)
        return [y, *tensors(end)]

    return outputs


AUTOGRAD_CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("lstm", {"num_layers": 2, "dropout": 0.5}),
    "lstm, both ways, projected": ("lstm", {"bidirectional": True, "proj_size": P, "batch_first": True}),
    "gru": ("gru", {"num_layers": 2, "dropout": 0.5, "batch_first": True}),
    "rnn": ("rnn_tanh", {"num_layers": 2, "bidirectional": True, "dropout": 0.5}),
}
CONFIG = pytest.mark.parametrize("config", AUTOGRAD_CONFIGS)


def configured(config: str, dtype: str = "float64") -> tuple[Any, Any]:
    kind, options = AUTOGRAD_CONFIGS[config]
    return pair(kind, dtype, **options)


@CONFIG
@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpointing(config: str, dtype: str, use_reentrant: bool) -> None:
    from torch.utils.checkpoint import checkpoint

    _, ours = configured(config, dtype)
    runs = []

    def outputs(x: Any, hx: Any) -> list[Any]:
        return list(checkpoint(counted, x, *tensors(hx), use_reentrant=use_reentrant))

    def counted(x: Any, *states: Any) -> Any:
        runs.append(1)
        return tuple(plainly(ours)(x, states if len(states) == 2 else states[0]))

    assert_same_bits(grads_of(ours, outputs), grads_of(ours, plainly(ours)))
    assert len(runs) == 2


@CONFIG
def test_graphs_may_be_gone_through_twice_if_kept(config: str, dtype: str) -> None:
    theirs, ours = configured(config, dtype)
    once, twice = (grads_of(ours, plainly(ours), times) for times in (1, 2))
    assert_same_bits(twice, {name: 2 * grad for name, grad in once.items()})
    messages = []
    for module in (theirs, ours):
        y = call(module, leaf(input_of(module)))[0].sum()
        y.backward()
        with pytest.raises(RuntimeError, match="a second time") as error:
            y.backward()
        messages.append(str(error.value))
    assert messages[0] == messages[1]


@CONFIG
def test_gradients_add_up_over_calls(config: str, dtype: str) -> None:
    theirs, ours = configured(config, dtype)
    found = []
    for module in (theirs, ours):
        torch.manual_seed(6)
        module.zero_grad()
        end = None
        for n in range(3):  # each call from where the last one ended, as in truncated backpropagation
            y, end = call(module, input_of(module, seed=n), end)
            end = tuple(state.detach() for state in end) if isinstance(end, tuple) else end.detach()
            y.backward(upstream([y])[0])
        found.append({f"d {name}": p.grad.numpy() for name, p in module.named_parameters()})
    assert_agree(found[1], found[0], dtype, config)


@CONFIG
def test_hooks_run_as_on_pytorchs_modules(config: str) -> None:
    logs: list[list[Any]] = []
    for module in configured(config):
        log: list[Any] = []
        x, hx = as_leaves(input_of(module)), as_leaves(state_of(module))
        module.register_forward_pre_hook(lambda _, args, log=log: log.append(("pre", len(args))))
        module.register_forward_hook(lambda _, args, out, log=log: log.append(("post", len(args), len(out))))
        module.register_full_backward_pre_hook(lambda _, g, log=log: log.append(("back pre", len(g))))
        module.register_full_backward_hook(
            lambda _, g_in, g_out, log=log: log.append(("back", len(g_in), len(g_out)))
        )
        module.weight_hh_l0.register_hook(lambda grad: 2 * grad)
        module.weight_ih_l0.register_post_accumulate_grad_hook(lambda p, log=log: log.append(tuple(p.shape)))
        x.register_hook(lambda grad: 3 * grad)
        torch.manual_seed(6)
        y, _ = module(x, hx)
        y.register_hook(lambda grad: -grad)
        y.backward(upstream([y])[0])
        log.append({"dx": x.grad.numpy(), **{f"d {n}": p.grad.numpy() for n, p in module.named_parameters()}})
        logs.append(log)
    assert logs[1][:-1] == logs[0][:-1]
    assert len(logs[1]) == 6
    assert_agree(logs[1][-1], logs[0][-1], "float64", config)


@CONFIG
@MEMORY
def test_hooks_on_saved_tensors(config: str, dtype: str, moved: Callable[[Any], Any]) -> None:
    """What comes back from a hook may lie anywhere, with any strides."""
    _, ours = configured(config, dtype)
    seen: list[int] = []

    def pack(tensor: Any) -> Any:
        seen.append(tensor.numel())
        return moved(tensor)

    def outputs(x: Any, hx: Any) -> list[Any]:
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            return plainly(ours)(x, hx)

    assert_same_bits(grads_of(ours, outputs), grads_of(ours, plainly(ours)))
    assert len(seen) > len(list(ours.parameters()))


@CONFIG
@pytest.mark.parametrize("what", ["x", "weight_ih_l0", "weight_hh_l0"])
def test_saved_tensors_changed_in_place_are_an_error(config: str, dtype: str, what: str) -> None:
    _, ours = configured(config, dtype)
    x = 1 * leaf(input_of(ours))
    y, end = call(ours, x)
    with torch.no_grad():
        for state in tensors(end):
            state.mul_(2)  # nobody needs these
        {"x": x, **dict(ours.named_parameters())}[what].mul_(1)
    if what == "x" and ours.batch_first:  # as in PyTorch's: a copy is kept (test_kept)
        y.sum().backward()
        return
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@CONFIG
def test_y_may_be_changed_in_place_where_it_may_in_pytorch(config: str, dtype: str) -> None:
    found = []
    for module in configured(config, dtype):
        x = leaf(input_of(module))

        def gradients(module: Any = module, x: Any = x) -> Any:
            torch.manual_seed(1)
            y, _ = call(module, x)
            return torch.autograd.grad(torch.relu_(y).sum(), [x, *module.parameters()])

        found.append(outcome(gradients))
    theirs, ours = found
    if isinstance(theirs, Exception):
        assert type(ours) is type(theirs)
        assert "modified by an inplace operation" in str(ours)
    else:
        names = [str(n) for n in range(len(theirs))]
        by_name = [{n: g.numpy() for n, g in zip(names, each, strict=True)} for each in found]
        assert_agree(by_name[1], by_name[0], dtype, config)


@CONFIG
def test_last_states_may_be_changed_in_place(config: str, dtype: str) -> None:
    found = []
    for module in configured(config, dtype):
        x, hx = as_leaves(input_of(module)), as_leaves(state_of(module))
        torch.manual_seed(6)
        y, end = call(module, x, hx)
        for state in tensors(end):
            state.mul_(2)
        torch.autograd.backward([y, *tensors(end)], upstream([y, *tensors(end)]))
        found.append(
            {"dx": x.grad.numpy(), **{f"d {n}": p.grad.numpy() for n, p in module.named_parameters()}}
        )
    assert_agree(found[1], found[0], dtype, config)


@CONFIG
def test_create_graph_alone_is_fine(config: str, dtype: str) -> None:
    _, ours = configured(config, dtype)

    def outputs(x: Any, hx: Any) -> list[Any]:
        y, end = call(ours, x, hx)
        states = [s for s in tensors(end) if s.requires_grad]
        torch.autograd.grad([y, *states], x, upstream([y, *states]), create_graph=True)
        return [y, *states]

    assert_same_bits(grads_of(ours, outputs), grads_of(ours, plainly(ours)))


GRADCHECKS: dict[str, tuple[str, dict[str, Any], list[int] | None]] = {
    "lstm": ("lstm", {}, None),
    "lstm, 2 layers, both ways": ("lstm", {"num_layers": 2, "bidirectional": True}, None),
    "lstm, projected": ("lstm", {"proj_size": 2, "num_layers": 2, "batch_first": True}, None),
    "lstm, packed": ("lstm", {"bidirectional": True, "bias": False}, [2, 3, 1]),
    "gru": ("gru", {"num_layers": 2, "bidirectional": True}, None),
    "gru, packed": ("gru", {"bidirectional": True, "bias": False}, [2, 3, 1]),
    "rnn, packed": ("rnn_tanh", {"num_layers": 2}, [3, 3, 2]),
    "rnn, relu": ("rnn_relu", {"bidirectional": True}, None),
}


@pytest.mark.parametrize("config", GRADCHECKS)
def test_gradcheck(config: str) -> None:
    kind, options, lengths = GRADCHECKS[config]
    _, ours = pair(kind, input_size=2, hidden_size=3, **options)

    def function(x: Any, *states_and_weights: Any) -> Any:
        states = states_and_weights[: 2 if kind == "lstm" else 1]  # the weights are the module's own
        if lengths is not None:
            x = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
        y, end = call(ours, x, states if kind == "lstm" else states[0])
        return (data_of(y), *tensors(end))

    x, hx = as_leaves(input_of(ours, steps=3)), as_leaves(state_of(ours))
    assert torch.autograd.gradcheck(function, (x, *tensors(hx), *ours.parameters()))


@CONFIG
@pytest.mark.parametrize("output", [0, 1])
def test_upstream_gradients_that_are_negated_views(config: str, dtype: str, output: int) -> None:
    """Gradients of complex numbers are; their memory holds the opposite."""
    found = []
    for module in configured(config, dtype):
        x = leaf(input_of(module))
        torch.manual_seed(1)
        y, end = call(module, x)
        outputs = [y, *tensors(end)]
        z = torch.complex(torch.zeros_like(outputs[output]), outputs[output]).conj()
        loss = torch.view_as_real(z * torch.randn(z.shape, dtype=z.dtype)).sum()
        found.append(torch.autograd.grad(loss, [x, *module.parameters()]))
    by_name = [{str(n): g.numpy() for n, g in enumerate(each)} for each in found]
    assert_agree(by_name[1], by_name[0], dtype, config)
    x = leaf(input_of(module))
    y, _ = call(module.eval(), x)
    (minus,) = torch.autograd.grad(y, x, torch._neg_view(torch.ones_like(y)), retain_graph=True)
    (plus,) = torch.autograd.grad(y, x, torch.ones_like(y))
    assert torch.equal(minus, -plus)


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("output", [0, 1, 2])
def test_weights_that_an_output_does_not_meet_have_no_gradient(
    num_layers: int, bidirectional: bool, bias: bool, output: int
) -> None:
    """After one step, c_n does not depend on the last layer's projection: None, as in PyTorch."""
    given: list[list[str]] = []
    options: dict[str, Any] = {"num_layers": num_layers, "bidirectional": bidirectional, "bias": bias}
    for module in pair("lstm", proj_size=P, **options):
        y, end = call(module, input_of(module, steps=1))
        [y, *tensors(end)][output].sum().backward()
        given.append([name for name, weight in module.named_parameters() if weight.grad is not None])
    assert given[1] == given[0]
    assert (len(given[0]) < len(list(module.parameters()))) is (output == 2)


@CONFIG
@pytest.mark.parametrize("output", [0, 1])
def test_sparse_upstream_gradients(config: str, output: int) -> None:
    """As `gather(sparse_grad=True)` gives them: what they are when dense."""
    _, ours = configured(config)
    found = []
    for sparse in (False, True):
        x = leaf(input_of(ours))
        torch.manual_seed(1)
        y, end = call(ours, x)
        chosen = [y, *tensors(end)][output]
        first = torch.zeros_like(chosen[..., :1], dtype=torch.int64)
        picked = torch.gather(chosen, 2, first, sparse_grad=sparse)
        found.append(torch.autograd.grad(picked.sum(), [x, *ours.parameters()]))
    assert_same_bits([each.numpy() for each in found[1]], [each.numpy() for each in found[0]])
