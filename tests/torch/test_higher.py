"""Gradients of gradients and many gradients at once, beside PyTorch's: equal, or the same kind of error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ..helpers import assert_same_bits

torch = pytest.importorskip("torch")

from torch.nn.utils.rnn import pack_padded_sequence  # noqa: E402

from .helpers import (  # noqa: E402
    B,
    P,
    as_leaves,
    call,
    data_of,
    input_of,
    leaf,
    outcome,
    pair,
    randn,
    state_of,
    tensors,
    upstream,
)

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "lstm": ("lstm", {}),
    "lstm, deep, dropout": ("lstm", {"num_layers": 2, "dropout": 0.5}),
    "lstm, both ways, projected": ("lstm", {"bidirectional": True, "proj_size": P, "batch_first": True}),
    "lstm, batch first, no bias": ("lstm", {"num_layers": 2, "batch_first": True, "bias": False}),
    "gru": ("gru", {"num_layers": 2, "bidirectional": True, "dropout": 0.5}),
    "gru, batch first, no bias": ("gru", {"batch_first": True, "bias": False}),
    "rnn": ("rnn_tanh", {"num_layers": 2, "bidirectional": True, "dropout": 0.5}),
    "rnn, relu": ("rnn_relu", {"batch_first": True}),
}
CONFIG = pytest.mark.parametrize("config", CONFIGS)
# In float32 oneDNN computes what PyTorch gives for a plain LSTM, and only that.
SOME = pytest.mark.parametrize(
    ("config", "dtype"),
    [
        ("lstm", "float32"),
        ("gru", "float32"),
        ("rnn", "float32"),
        *((config, "float64") for config in CONFIGS),
    ],
)
TOLERANCE = {"float32": {"rtol": 1e-3, "atol": 1e-4}, "float64": {"rtol": 1e-9, "atol": 1e-10}}


def configured(config: str, dtype: str = "float64") -> tuple[Any, Any]:
    kind, options = CONFIGS[config]
    return pair(kind, dtype, input_size=3, hidden_size=4, **options)


def assert_agree(found: Any, expected: Any, dtype: str) -> None:
    torch.testing.assert_close(found, expected, **TOLERANCE[dtype])


# Penalties: a gradient within a loss.

FORMS = ("plain", "packed", "one length", "unbatched", "one row", "one step", "no state")


def arguments(module: Any, form: str) -> tuple[Any, Any]:
    """An input of some form, and a state for it, all leaves."""
    rows = None if form == "unbatched" else 1 if form == "one row" else B
    x = as_leaves(input_of(module, rows, steps=1 if form == "one step" else 4))
    if form in ("packed", "one length"):
        lengths = [2, 4, 1] if form == "packed" else [4, 4, 4]
        x = pack_padded_sequence(
            x.detach(), torch.tensor(lengths), batch_first=module.batch_first, enforce_sorted=False
        )
        x = as_leaves(x)
    return x, None if form == "no state" else as_leaves(state_of(module, rows))


@CONFIG
@pytest.mark.parametrize(
    ("form", "wanted"), [("plain", "x"), ("plain", "weights"), *((form, "all") for form in FORMS)]
)
def test_penalties(config: str, form: str, wanted: str, dtype: str) -> None:
    """The gradient of |gradient|^2 + loss, of x, the states, the weights, and the outputs' gradients."""
    found = []
    for module in configured(config, dtype):
        x, hx = arguments(module, form)
        torch.manual_seed(3)
        y, end = call(module, x, hx)
        outputs = [data_of(y), *tensors(end)]
        grads = [leaf(each) for each in upstream(outputs)]
        weights = list(module.parameters())
        of = {"x": [data_of(x)], "weights": weights, "all": [data_of(x), *tensors(hx), *weights]}[wanted]
        first = torch.autograd.grad(outputs, of, grads, create_graph=True)
        penalty = sum((gradient**2).sum() for gradient in first) + sum(o.square().sum() for o in outputs)
        everything = [data_of(x), *tensors(hx), *weights, *grads]
        second = torch.autograd.grad(penalty, everything)
        found.append([*first, *second])
    assert_agree(found[1], found[0], dtype)


@CONFIG
@pytest.mark.parametrize("form", ["plain", "packed"])
def test_penalties_add_up_in_memory_of_their_own(config: str, form: str) -> None:
    """Twice, where nothing but the penalty reaches the biases: whoever writes to a gradient writes to one."""
    found = []
    for module in configured(config):
        x, hx = arguments(module, form)
        for _ in range(2):
            torch.manual_seed(3)
            y, _ = call(module, x, hx)
            (gradient,) = torch.autograd.grad(data_of(y).sum(), data_of(x), create_graph=True)
            gradient.square().sum().backward()
        grads = {name: parameter.grad for name, parameter in module.named_parameters()}
        assert len({grad.data_ptr() for grad in grads.values()}) == len(grads)
        found.append(grads)
    assert_agree(found[1], found[0], "float64")


@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_tanh"])
def test_a_direction_by_itself_has_no_gradients(kind: str) -> None:
    """None, and not zeros: optimizers tell them apart."""
    found = []
    for module in pair(kind, "float64", input_size=3, hidden_size=4, bidirectional=True):
        y, _ = module(input_of(module))
        (first,) = torch.autograd.grad(y.sum(), module.weight_hh_l0, create_graph=True)
        weights = list(module.parameters())
        found.append(torch.autograd.grad(first.square().sum(), weights, allow_unused=True))
    assert [grad is None for grad in found[1]] == [grad is None for grad in found[0]]
    assert any(grad is None for grad in found[0])
    assert_agree([g for g in found[1] if g is not None], [g for g in found[0] if g is not None], "float64")


def test_the_cell_alone_after_one_step_has_no_projection() -> None:
    found = []
    for module in pair("lstm", "float64", input_size=3, hidden_size=4, proj_size=P):
        x = input_of(module, steps=1).requires_grad_()
        _, (_, c_n) = module(x)
        (first,) = torch.autograd.grad(c_n.square().sum(), x, create_graph=True)
        weights = list(module.parameters())
        found.append(torch.autograd.grad(first.square().sum(), weights, allow_unused=True))
    assert [grad is None for grad in found[1]] == [grad is None for grad in found[0]]
    assert_agree([g for g in found[1] if g is not None], [g for g in found[0] if g is not None], "float64")


def test_an_x_that_got_another_memory_changes_no_gradient() -> None:
    """With create_graph as without: what the call had is what counts."""
    found = []
    for create_graph in (False, True):
        _, ours = configured("lstm")
        x = input_of(ours).requires_grad_()
        y, _ = ours(x)
        x.data = torch.zeros_like(x)
        grads = torch.autograd.grad(y.square().sum(), list(ours.parameters()), create_graph=create_graph)
        found.append([grad.detach().numpy() for grad in grads])
    assert_same_bits(found[1], found[0])


@CONFIG
@pytest.mark.parametrize("form", ["plain", "packed"])
def test_third_derivatives(config: str, form: str) -> None:
    """Second ones have formulas; whoever goes on goes through PyTorch's own operators."""
    found = []
    for module in configured(config):
        x, hx = arguments(module, form)
        torch.manual_seed(3)
        y, _ = call(module, x, hx)
        of = data_of(y).square().sum()
        for _ in range(2):
            (gradient,) = torch.autograd.grad(of, data_of(x), create_graph=True)
            of = gradient.square().sum()
        found.append(torch.autograd.grad(of, [data_of(x), *tensors(hx), *module.parameters()]))
    assert_agree(found[1], found[0], "float64")


@CONFIG
def test_graphs_of_gradients_change_no_bit(config: str, dtype: str) -> None:
    """create_graph=True costs and changes nothing, until somebody goes through the graph."""
    _, ours = configured(config, dtype)
    found = []
    for create_graph in (False, True):
        x, hx = arguments(ours, "plain")
        torch.manual_seed(3)
        y, end = call(ours, x, hx)
        outputs = [y, *tensors(end)]
        grads = torch.autograd.grad(
            outputs, [x, *tensors(hx), *ours.parameters()], upstream(outputs), create_graph=create_graph
        )
        assert all(grad.requires_grad is create_graph for grad in grads)
        found.append([grad.detach().numpy() for grad in grads])
    assert_same_bits(found[1], found[0])


@CONFIG
def test_inputs_that_depend_on_one_another(config: str) -> None:
    """Weights and input made of one tensor: each gradient counts its own way, once."""
    found = []
    for module in configured(config):
        torch.manual_seed(3)
        scale = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
        weights = {name: scale * weight for name, weight in module.named_parameters()}
        x = scale * input_of(module)
        x = x + weights["weight_ih_l0"].sum()
        y, _ = torch.func.functional_call(module, weights, (x,))
        (first,) = torch.autograd.grad(y.square().sum(), scale, create_graph=True)
        (second,) = torch.autograd.grad(first, scale, create_graph=True)
        (third,) = torch.autograd.grad(second, scale)
        found.append([first.detach(), second.detach(), third])
    torch.testing.assert_close(found[1], found[0], rtol=1e-8, atol=1e-9)


@CONFIG
@pytest.mark.parametrize("form", ["plain", "packed"])
def test_gradgradcheck(config: str, form: str) -> None:
    _, ours = configured(config)
    ours.eval()
    x, hx = arguments(ours, form)

    def function(data: Any, *states_and_weights: Any) -> Any:
        states = states_and_weights[: len(tensors(hx))]  # the weights are the module's own
        given = data if form == "plain" else torch.nn.utils.rnn.PackedSequence(data, *x[1:])
        y, end = call(ours, given, states if len(states) == 2 else states[0])
        return (data_of(y), *tensors(end))

    inputs = (data_of(x), *tensors(hx), *ours.parameters())
    assert torch.autograd.gradgradcheck(function, inputs, fast_mode=True)


# Every function of torch.autograd.functional, of an input and of a weight.


def functions(module: Any) -> dict[str, Callable[[], Any]]:
    x = input_of(module, steps=3)
    v = randn(x.shape, x, 7)
    weight = module.weight_hh_l0.detach()
    w = randn(weight.shape, weight, 8)

    def outputs(x: Any) -> Any:
        torch.manual_seed(3)
        return module(x)[0]

    def loss(x: Any) -> Any:
        return outputs(x).square().sum()

    def loss_of_weight(weight: Any) -> Any:
        torch.manual_seed(3)
        return torch.func.functional_call(module, {"weight_hh_l0": weight}, (x,))[0].square().sum()

    y = randn(outputs(x).shape, x, 9)
    by = torch.autograd.functional
    forward: dict[str, Any] = {"vectorize": True, "outer_jacobian_strategy": "forward-mode"}
    made: dict[str, Callable[[], Any]] = {
        "vjp": lambda: by.vjp(outputs, x, y),
        "vjp, create_graph": lambda: by.vjp(outputs, x, y, create_graph=True),
        "jvp": lambda: by.jvp(outputs, x, v),
        "jvp, create_graph": lambda: by.jvp(outputs, x, v, create_graph=True),
        "jvp of a weight": lambda: by.jvp(loss_of_weight, weight, w),
        "jacobian": lambda: by.jacobian(outputs, x),
        "jacobian, vectorize": lambda: by.jacobian(outputs, x, vectorize=True),
        "jacobian, forward": lambda: by.jacobian(outputs, x, vectorize=True, strategy="forward-mode"),
        "jacobian, create_graph": lambda: by.jacobian(outputs, x, create_graph=True),
        "hessian": lambda: by.hessian(loss, x),
        "hessian, vectorize": lambda: by.hessian(loss, x, vectorize=True),
        "hessian, create_graph": lambda: by.hessian(loss, x, create_graph=True),
        "hessian, forward": lambda: by.hessian(loss, x, **forward),
        "hessian of a weight": lambda: by.hessian(loss_of_weight, weight),
        "vhp": lambda: by.vhp(loss, x, v),
        "vhp of a weight": lambda: by.vhp(loss_of_weight, weight, w),
        "hvp": lambda: by.hvp(loss, x, v),
        "hvp of a weight": lambda: by.hvp(loss_of_weight, weight, w),
    }
    func = torch.func
    made |= {
        "func.grad": lambda: func.grad(loss)(x),
        "func.grad_and_value": lambda: func.grad_and_value(loss)(x),
        "func.grad of grad": lambda: func.grad(lambda x: func.grad(loss)(x).square().sum())(x),
        "func.vjp": lambda: func.vjp(outputs, x)[1](y),
        "func.jvp": lambda: func.jvp(outputs, (x,), (v,)),
        "func.linearize": lambda: func.linearize(outputs, x)[1](v),
        "func.jacrev": lambda: func.jacrev(outputs)(x),
        "func.jacfwd": lambda: func.jacfwd(outputs)(x),
        "func.hessian": lambda: func.hessian(loss)(x),
        "func.vmap": lambda: func.vmap(outputs)(torch.stack([x, v])),
        "func.vmap of grad": lambda: func.vmap(func.grad(loss))(torch.stack([x, v])),
        "func.grad of a weight": lambda: func.grad(loss_of_weight)(weight),
        "func.functionalize": lambda: func.functionalize(outputs)(x),
    }
    return made


@SOME
@pytest.mark.parametrize("name", functions(configured("lstm")[0]))
def test_functional(config: str, name: str, dtype: str) -> None:
    found = [outcome(functions(module)[name]) for module in configured(config, dtype)]
    expected, ours = found
    if isinstance(expected, Exception):
        # Where PyTorch's own fails, ours may do better; never be wrong.
        assert isinstance(ours, Exception) or not name.startswith("func."), "not compared with anything"
        return
    assert not isinstance(ours, Exception), repr(ours)
    assert_agree(ours, expected, dtype)


# Many at once.


@SOME
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("create_graph", [False, True])
def test_batched_gradients(config: str, form: str, create_graph: bool, dtype: str) -> None:
    _, ours = configured(config, dtype)
    x, hx = arguments(ours, form)
    torch.manual_seed(3)
    y, end = call(ours, x, hx)
    outputs = [data_of(y), *tensors(end)]
    wanted = [data_of(x), *tensors(hx), *ours.parameters()]
    grads = [torch.stack([randn(o.shape, o, 50 + n) for n in range(3)]) for o in outputs]
    found = torch.autograd.grad(
        outputs, wanted, grads, is_grads_batched=True, create_graph=create_graph, retain_graph=True
    )
    for n in range(3):
        one = torch.autograd.grad(outputs, wanted, [each[n] for each in grads], retain_graph=True)
        assert_same_bits([each[n].detach().numpy() for each in found], [each.numpy() for each in one])
    if create_graph:
        expected = []
        for n in range(3):
            one = torch.autograd.grad(outputs, wanted, [each[n] for each in grads], create_graph=True)
            expected.append(
                torch.autograd.grad(sum(g.square().sum() for g in one), wanted, retain_graph=True)
            )
        second = torch.autograd.grad(sum(each.square().sum() for each in found), wanted)
        sums = [sum(parts) for parts in zip(*expected, strict=True)]
        assert_agree(list(second), sums, dtype)


@CONFIG
@pytest.mark.parametrize("form", ["plain", "packed", "unbatched"])
def test_vmap_over_a_gradient(config: str, form: str) -> None:
    """torch.func's kind of many, over a call that was made before; each axis, and some for all alike."""
    _, ours = configured(config)
    x, hx = arguments(ours, form)
    y, end = call(ours, x, hx)
    outputs = [data_of(y), *tensors(end)]
    wanted = [data_of(x), *tensors(hx), *ours.parameters()]
    grads = [torch.stack([randn(o.shape, o, 50 + n) for n in range(3)], dim=1) for o in outputs]
    alike = upstream(outputs)[-1]

    def back(*each: Any) -> Any:
        return torch.autograd.grad(outputs, wanted, [*each, alike], retain_graph=True)

    found = torch.vmap(back, in_dims=1)(*grads[:-1])
    for n in range(3):
        one = back(*(each[:, n] for each in grads[:-1]))
        assert_same_bits([each[n].numpy() for each in found], [each.numpy() for each in one])


# Learning to learn.


@CONFIG
def test_maml_of_second_order(config: str) -> None:
    """A step of gradient descent within the loss, on the module's own weights."""
    found = []
    for module in configured(config):
        module.eval()
        weights = dict(module.named_parameters())
        x = input_of(module)
        y, _ = torch.func.functional_call(module, weights, (x,))
        grads = torch.autograd.grad(y.square().sum(), list(weights.values()), create_graph=True)
        moved = {name: w - 0.1 * g for (name, w), g in zip(weights.items(), grads, strict=True)}
        y, _ = torch.func.functional_call(module, moved, (x,))
        found.append(torch.autograd.grad(y.square().sum(), list(weights.values())))
    assert_agree(found[1], found[0], "float64")
