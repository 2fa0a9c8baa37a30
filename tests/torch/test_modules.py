"""lstmfast.torch.LSTM, GRU and RNN beside torch.nn's with the same weights: results, gradients, autograd."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ..helpers import assert_same_bits

torch = pytest.importorskip("torch")

import lstmfast.torch  # noqa: E402

from .conftest import MODULES  # noqa: E402
from .helpers import (  # noqa: E402
    MEMORY,
    B,
    I,
    P,
    T,
    assert_agree,
    call,
    input_of,
    outcome,
    pair,
    randn,
    results,
    state_of,
    tensors,
    upstream,
)

CELL = pytest.mark.parametrize(("kind", "proj_size"), [(kind, P if proj else 0) for kind, proj in MODULES])
LAYOUTS = ((False, B), (True, B), (False, None), (True, None))  # batch_first and rows


# Results.


@CELL
@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_every_result(
    kind: str, proj_size: int, dtype: str, num_layers: int, bidirectional: bool, bias: bool
) -> None:
    for (batch_first, rows), with_state, dropout in itertools.product(
        LAYOUTS, (False, True), (0.0, 0.4)[:num_layers]
    ):
        theirs, ours = pair(
            kind,
            dtype,
            num_layers=num_layers,
            bidirectional=bidirectional,
            bias=bias,
            proj_size=proj_size,
            batch_first=batch_first,
            dropout=dropout,
        )
        arguments = input_of(ours, rows), state_of(ours, rows) if with_state else None
        what = f"{ours}, rows={rows}, state={with_state}"
        assert_agree(results(ours, *arguments, seed=7), results(theirs, *arguments, seed=7), dtype, what)
        # The same numbers were drawn, and as many.
        state = torch.get_rng_state()
        results(theirs, *arguments, seed=7)
        assert torch.equal(state, torch.get_rng_state()), what
        ours.eval(), theirs.eval()
        with torch.no_grad():
            y, y_theirs = call(ours, *arguments)[0], call(theirs, *arguments)[0]
        assert_agree({"y": y.numpy()}, {"y": y_theirs.numpy()}, dtype, what)


@CELL
@pytest.mark.parametrize("dropout", [0.0, 0.3, 0.5, 1.0])
def test_random_numbers_are_taken_as_pytorch_takes_them(
    kind: str, proj_size: int, dtype: str, dropout: float
) -> None:
    """Also where nothing is on a graph; masks show in y."""
    theirs, ours = pair(kind, dtype, num_layers=3, proj_size=proj_size, dropout=dropout, bidirectional=True)
    x = input_of(ours)
    for grad, training in itertools.product((False, True), (False, True)):
        found = []
        for module in (theirs, ours):
            torch.manual_seed(3)
            before = torch.get_rng_state()
            with torch.set_grad_enabled(grad):
                y = call(module.train(training), x)[0].detach().numpy()
            found.append((y, torch.get_rng_state()))
        assert torch.equal(found[0][1], found[1][1])
        assert torch.equal(before, found[1][1]) is not (training and 0 < dropout < 1)
        assert_agree({"y": found[1][0]}, {"y": found[0][0]}, dtype, f"{ours}, {grad}, {training}")


@CELL
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.5, 1.0])
def test_nan_and_infinity_flow_as_in_pytorch(
    kind: str, proj_size: int, dtype: str, bidirectional: bool, dropout: float
) -> None:
    options = {"num_layers": 2, "bidirectional": bidirectional, "proj_size": proj_size, "dropout": dropout}
    wrong = []
    spoilt = ("x", "state", "weight_hh_l0", "bias_ih_l1")
    for bad, where in itertools.product((np.nan, np.inf, -np.inf), spoilt):
        found = []
        for module in pair(kind, dtype, **options):
            x, hx = input_of(module), state_of(module)
            with torch.no_grad():
                here = {"x": x[3], "state": tensors(hx)[-1][0], **dict(module.named_parameters())}[where]
                here.view(-1)[1] = bad
            found.append(results(module, x, hx, seed=1))
        wrong += [
            (bad, where, name)
            for name, truth in found[0].items()
            for test in (np.isnan, np.isinf)
            if (test(found[1][name]) != test(truth)).any()
        ]
    assert not wrong


@CELL
@pytest.mark.parametrize("bidirectional", [False, True])
def test_memory_and_graph_of_results_are_as_pytorchs(
    kind: str, proj_size: int, dtype: str, bidirectional: bool
) -> None:
    for (batch_first, rows), num_layers, grad, frozen, x_wanted in itertools.product(
        (*LAYOUTS, (True, 1), (False, 1)), (1, 2), (False, True), (False, True), (False, True)
    ):
        seen = []
        modules = pair(
            kind,
            dtype,
            num_layers=num_layers,
            bidirectional=bidirectional,
            proj_size=proj_size,
            batch_first=batch_first,
        )
        for module in modules:
            module.requires_grad_(not frozen)
            x = input_of(module, rows).requires_grad_(x_wanted)
            with torch.set_grad_enabled(grad):
                y, end = call(module, x)
            seen.append(
                [
                    (t.shape, t.stride(), t.dtype, t.is_contiguous(), t.is_leaf, t.requires_grad, type(t))
                    for t in (y, *tensors(end))
                ]
            )
            assert isinstance(end, tuple if kind == "lstm" else torch.Tensor)
        assert seen[0] == seen[1], f"{modules[1]}, {rows=}, {grad=}, {frozen=}, {x_wanted=}"


@CELL
@MEMORY
@pytest.mark.parametrize("what", ["x", "state", "weights", "upstream"])
def test_memory_of_any_kind(
    kind: str, proj_size: int, dtype: str, moved: Callable[[Any], Any], what: str
) -> None:
    """Strides and addresses change no bit."""
    _, ours = pair(kind, dtype, num_layers=2, proj_size=proj_size)

    def found(moved: Callable[[Any], Any]) -> dict[str, Any]:
        x, hx = input_of(ours), state_of(ours)
        if what == "x":
            x = moved(x)
        if what == "state":
            hx = tuple(map(moved, hx)) if kind == "lstm" else moved(hx)
        if what == "weights":
            for parameter in ours.parameters():
                parameter.data = moved(parameter.data)
        with torch.no_grad():
            y_alone, _ = call(ours, x, hx)
        x.requires_grad_()
        for state in tensors(hx):
            state.requires_grad_()
        y, end = call(ours, x, hx)
        outputs = [y, *tensors(end)]
        dys = [moved(dy) if what == "upstream" else dy for dy in upstream(outputs)]
        grads = torch.autograd.grad(outputs, [x, *tensors(hx), *ours.parameters()], dys)
        return {str(n): t.detach().numpy() for n, t in enumerate((y_alone, *outputs, *grads))}

    assert_same_bits(found(moved), found(lambda tensor: tensor.detach().clone()))


@CELL
def test_inputs_that_are_one_step_repeated(kind: str, proj_size: int, dtype: str) -> None:
    _, ours = pair(kind, dtype, proj_size=proj_size)
    x = input_of(ours)[:1].expand(T, B, I)
    with torch.no_grad():
        assert_same_bits(call(ours, x)[0].numpy(), call(ours, x.contiguous())[0].numpy())


@CELL
def test_number_of_threads_changes_no_bit(kind: str, proj_size: int, dtype: str) -> None:
    found = []
    for threads in (1, 2):
        _, ours = pair(kind, dtype, hidden_size=70, num_layers=2, bidirectional=True, proj_size=proj_size)
        torch.set_num_threads(threads)
        found.append(results(ours, input_of(ours, 9, 20), state_of(ours, 9)))
    assert_same_bits(found[1], found[0])


def test_pytorchs_own_module_inputs(dtype: str) -> None:
    """The calls that PyTorch tests its own modules with."""
    pytest.importorskip("expecttest")  # PyTorch's test code wants it
    from torch.testing._internal.common_modules import module_db

    infos = [info for info in module_db if info.module_cls in (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN)]
    assert len(infos) >= 3
    count, x_dtype = 0, getattr(torch, dtype)
    for info in infos:
        ours_class = getattr(lstmfast.torch, info.module_cls.__name__)
        for training in (True, False) if info.train_and_eval_differ else (True,):
            for case in info.module_inputs_func(info, "cpu", x_dtype, True, training=training):
                made, forward = case.constructor_input, case.forward_input
                modules = [cls(*made.args, **made.kwargs) for cls in (info.module_cls, ours_class)]
                modules[1].load_state_dict(modules[0].state_dict())
                arguments = [*forward.args, *forward.kwargs.values(), None][:2]
                theirs, ours = (
                    results(m.to(x_dtype).train(training), arguments[0], arguments[1], 2) for m in modules
                )
                assert_agree(ours, theirs, dtype, f"{case.desc}: {modules[1]}")
                count += 1
    assert count >= 10


# The modules themselves.


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_constructors_are_pytorchs(name: str) -> None:
    theirs, ours = getattr(torch.nn, name), getattr(lstmfast.torch, name)
    assert inspect.signature(ours) == inspect.signature(theirs)
    good: list[Any] = [
        ((3, 4), {}),
        ((3, 4, 2, False, True, 0.5, True), {"dtype": torch.float64}),
        ((), {"input_size": 3, "hidden_size": 4, "bidirectional": True, "device": "cpu"}),
    ]
    if name == "LSTM":
        good += [((3, 4), {"proj_size": 2})]
    if name == "RNN":
        good += [((3, 4, 1, "relu"), {})]
        del good[1]  # its fourth argument is the nonlinearity
    for args, options in good:
        modules = []
        for cls in (theirs, ours):
            torch.manual_seed(5)
            modules.append(cls(*args, **options))
        assert repr(modules[0]) == repr(modules[1])
        dicts = [module.state_dict() for module in modules]
        assert list(dicts[0]) == list(dicts[1])
        assert all(torch.equal(dicts[0][key], dicts[1][key]) for key in dicts[0])
        assert [n for n, _ in modules[0].named_parameters()] == [n for n, _ in modules[1].named_parameters()]
        modules[1].reset_parameters()
        assert not torch.equal(modules[1].weight_hh_l0, modules[0].weight_hh_l0)
        modules[0].load_state_dict(modules[1].state_dict())
        x = randn((2, 3, 3), modules[0].weight_hh_l0)
        torch.testing.assert_close(call(modules[1].eval(), x)[0], call(modules[0].eval(), x)[0])


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(
    ("args", "options"),
    [
        ((), {}),
        ((3,), {}),
        ((3, 0), {}),
        ((3, -1), {}),
        ((-3, 4), {}),
        ((3, 4, 0), {}),
        ((3, 4.0), {}),
        ((3, "4"), {}),
        ((3, 4), {"num_layers": "2"}),
        ((3, 4), {"dropout": 1.5}),
        ((3, 4), {"dropout": -0.1}),
        ((3, 4), {"dropout": True}),
        ((3, 4), {"proj_size": 4}),
        ((3, 4), {"proj_size": -1}),
        ((3, 4), {"proj_size": 2}),
        ((3, 4), {"nonlinearity": "gelu"}),
        ((3, 4), {"unknown": 1}),
        ((3, 4), {"dtype": torch.int64}),
    ],
)
def test_constructors_refuse_what_pytorchs_refuse(name: str, args: Any, options: Any) -> None:
    theirs, ours = (
        outcome(getattr(library, name), *args, **options) for library in (torch.nn, lstmfast.torch)
    )
    if isinstance(theirs, Exception):
        assert (type(ours), str(ours)) == (type(theirs), str(theirs))
    else:
        assert repr(ours) == repr(theirs)
