"""lstmfast.torch.LSTMCell, GRUCell and RNNCell beside torch.nn's: results, bits, memory, and mistakes."""

from __future__ import annotations

import copy
import inspect
import io
import pickle
import re
from collections.abc import Callable
from typing import Any

import pytest

from ..helpers import assert_same_bits, has_memory

torch = pytest.importorskip("torch")

import lstmfast.torch  # noqa: E402

from .cell_helpers import (  # noqa: E402
    CELLS,
    SHAPES,
    B,
    T,
    inputs_of,
    is_taken,
    loop,
    make,
    pair,
    results,
    state_of,
    whole,
)
from .helpers import (  # noqa: E402
    MEMORY,
    H,
    I,
    assert_agree,
    assert_same_outcome,
    leaf,
    outcome,
    randn,
    tensors,
)

NAMES = ("LSTMCell", "GRUCell", "RNNCell")


# Results.


@CELLS
@SHAPES
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
def test_every_result(kind: str, dtype: str, rows: int | None, bias: bool, with_state: bool) -> None:
    theirs, ours = pair(kind, dtype, bias=bias)
    x, hx = inputs_of(ours, rows), state_of(ours, kind, rows) if with_state else None
    expected, found = (results(loop, module, x, hx) for module in (theirs, ours))
    assert_agree(found, expected, dtype, str(ours))
    with torch.no_grad():
        y, _ = loop(ours, x, hx)
    assert_same_bits(y.numpy(), found["y"])


@CELLS
@SHAPES
@pytest.mark.parametrize("bias", [False, True])
def test_shapes_strides_and_types(kind: str, dtype: str, rows: int | None, bias: bool) -> None:
    for module in pair(kind, dtype, bias=bias):
        x = inputs_of(module, rows)[0]
        end = module(x)
        assert isinstance(end, tuple) is has_memory(kind)
        for state in tensors(end):
            assert tuple(state.shape) == ((H,) if rows is None else (rows, H))
            assert state.is_contiguous()
            assert type(state) is torch.Tensor
            assert state.dtype is x.dtype
            assert state.requires_grad


@CELLS
@SHAPES
@pytest.mark.parametrize("steps", [1, T, 150])
def test_bits_of_the_whole_sequence(kind: str, dtype: str, rows: int | None, steps: int) -> None:
    """Gradients of the weights, too: more than 128 terms are several groups of the core's."""
    _, ours = pair(kind, dtype)
    x, hx = inputs_of(ours, rows, steps), state_of(ours, kind, rows)

    def at_once(module: Any, x: Any, hx: Any) -> Any:
        states = [state[None] for state in tensors(hx)]
        y, end = module(x, tuple(states) if has_memory(kind) else states[0])
        ends = [state[0] for state in tensors(end)]
        return y, tuple(ends) if has_memory(kind) else ends[0]

    expected = results(at_once, whole(ours, kind), x, hx)
    assert_same_bits(results(loop, ours, x, hx), expected)


@CELLS
def test_rows_and_threads_change_no_bit(kind: str, dtype: str) -> None:
    _, ours = pair(kind, dtype, input_size=40, hidden_size=70)
    x, hx = inputs_of(ours, 9)[0], state_of(ours, kind, 9)
    with torch.no_grad():
        for threads in (1, 2):
            torch.set_num_threads(threads)
            together = [state.numpy() for state in tensors(ours(x, hx))]
            alone = ours(x[4], tuple(h[4] for h in hx) if has_memory(kind) else hx[4])
            assert_same_bits([state.numpy() for state in tensors(alone)], [state[4] for state in together])
    torch.set_num_threads(1)


@CELLS
@MEMORY
def test_memory_of_every_kind(kind: str, dtype: str, moved: Any) -> None:
    _, ours = pair(kind, dtype)
    x, hx = inputs_of(ours)[0], state_of(ours, kind)
    elsewhere = tuple(map(moved, hx)) if has_memory(kind) else moved(hx)
    with torch.no_grad():
        expected, found = ours(x, hx), ours(moved(x), elsewhere)
    assert_same_bits([h.numpy() for h in tensors(found)], [h.numpy() for h in tensors(expected)])
    x, elsewhere = moved(x).requires_grad_(), tuple(h.requires_grad_() for h in tensors(elsewhere))
    end = ours(x, elsewhere if has_memory(kind) else elsewhere[0])
    torch.autograd.backward(tensors(end), [moved(torch.ones_like(h)) for h in tensors(end)])
    plain = leaf(x), tuple(map(leaf, tensors(hx)))
    end = ours(plain[0], plain[1] if has_memory(kind) else plain[1][0])
    torch.autograd.backward(tensors(end), [torch.ones_like(h) for h in tensors(end)])
    for one, other in zip((x, *elsewhere), (plain[0], *plain[1]), strict=True):
        assert torch.equal(one.grad, other.grad)


@CELLS
def test_results_may_be_written_to_and_no_input_is(kind: str, dtype: str) -> None:
    _, ours = pair(kind, dtype)
    x, hx = inputs_of(ours)[0], state_of(ours, kind)
    before = [tensor.clone() for tensor in (x, *tensors(hx))]
    with torch.no_grad():
        expected = [h.clone() for h in tensors(ours(x, hx))]
        for state in tensors(ours(x, hx)):
            state.zero_()
        found = tensors(ours(x, hx))
    assert all(map(torch.equal, found, expected))
    assert all(map(torch.equal, (x, *tensors(hx)), before))
    x.untyped_storage().resize_(0)  # nothing of ours holds on to it


@CELLS
def test_another_nonlinearity_from_then_on(kind: str) -> None:
    if not kind.startswith("rnn"):
        return
    theirs, ours = pair(kind)
    x = inputs_of(ours)[0]
    ours(x)
    for module in (theirs, ours):
        module.nonlinearity = "relu" if kind == "rnn_tanh" else "tanh"
    torch.testing.assert_close(ours(x), theirs(x))
    way = lstmfast.torch.explain(ours, x)
    assert (way.path, "nonlinearity" in way.reason) == ("torch", True)


@CELLS
def test_changed_weights_are_seen(kind: str, dtype: str) -> None:
    theirs, ours = pair(kind, dtype)
    x = inputs_of(ours)[0]
    changes: list[Callable[[Any], Any]] = [
        lambda w: w.data.mul_(0.5),
        lambda w: w.detach().numpy().fill(0.1),
        lambda w: torch.nn.init.uniform_(w, -0.3, 0.3, torch.Generator().manual_seed(1)),
        lambda w: setattr(w, "data", w.data.flip(0).clone()),
    ]
    for change in changes:
        for with_graph in (False, True):
            for module in (theirs, ours):
                change(module.weight_hh)
            with torch.set_grad_enabled(with_graph):
                torch.testing.assert_close(ours(x), theirs(x))
                assert is_taken(ours, x)
    for module in (theirs, ours):
        weight = torch.full_like(module.weight_ih, 0.05)
        module.weight_ih = torch.nn.Parameter(weight)
    torch.testing.assert_close(ours(x), theirs(x))


# The modules themselves.


@pytest.mark.parametrize("name", NAMES)
def test_constructors_are_pytorchs(name: str) -> None:
    theirs, ours = getattr(torch.nn, name), getattr(lstmfast.torch, name)
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert issubclass(ours, theirs)
    assert (ours.__module__, ours.__qualname__) == ("lstmfast.torch", name)
    good: list[tuple[Any, Any]] = [
        ((3, 4), {}),
        ((3, 4, False), {"dtype": torch.float64}),
        ((), {"input_size": 3, "hidden_size": 4, "device": "cpu"}),
        ((3, 4.0), {}),
        ((3, 0), {}),
        ((3, -1), {}),
        ((), {}),
        ((3, 4), {"unknown": 1}),
        ((3, 4), {"nonlinearity": "relu"}),
        ((3, 4), {"nonlinearity": "gelu"}),
    ]
    for args, options in good:
        made = []
        for cls in (theirs, ours):
            torch.manual_seed(5)
            made.append(outcome(cls, *args, **options))
        if isinstance(made[0], Exception):
            assert (type(made[1]), str(made[1])) == (type(made[0]), str(made[0]))
            continue
        assert repr(made[1]) == repr(made[0])
        states = [module.state_dict() for module in made]
        assert list(states[0]) == list(states[1])
        assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
        made[1].reset_parameters()


@CELLS
def test_copies_and_files(kind: str, dtype: str) -> None:
    _, ours = pair(kind, dtype)
    x = inputs_of(ours)[0]
    expected = [h.detach() for h in tensors(ours(x))]
    file = io.BytesIO()
    torch.save(ours.freeze(), file)
    file.seek(0)
    copies = [copy.copy(ours), copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))]
    for other in (*copies, torch.load(file, weights_only=False)):
        assert type(other) is type(ours)
        assert not other.frozen
        assert all(map(torch.equal, tensors(other(x)), expected))


# Mistakes are PyTorch's.

BAD: dict[str, Callable[[Any, Any, bool], Any]] = {
    "no tensor": lambda x, hx, pair: ([1.0], hx),
    "None": lambda x, hx, pair: (None, hx),
    "three axes": lambda x, hx, pair: (x[None], hx),
    "no axes": lambda x, hx, pair: (x[0, 0], hx),
    "another width": lambda x, hx, pair: (x[:, :-1], hx),
    "no rows": lambda x, hx, pair: (x[:0], None),
    "no rows, with a state": lambda x, hx, pair: (x[:0], hx),
    "other rows": lambda x, hx, pair: (x[:2], hx),
    "unbatched beside a batch": lambda x, hx, pair: (x[0], hx),
    "dtype": lambda x, hx, pair: (x.to(torch.int64), hx),
    "precision": lambda x, hx, pair: (x.to(torch.bfloat16), hx),
    "a tensor for a pair, and a pair": lambda x, hx, pair: (x, hx[0] if pair else (hx, hx)),
    "a stacked pair": lambda x, hx, pair: (x, torch.stack(hx) if pair else hx[None]),
    "three of a pair": lambda x, hx, pair: (x, (*hx, hx[0]) if pair else [hx]),
    "one of a pair": lambda x, hx, pair: (x, hx[:1] if pair else hx[:, 0]),
    "no tensors": lambda x, hx, pair: (x, (1, 2) if pair else "h"),
    "a state of another width": lambda x, hx, pair: (x, (hx[0][:, :-1], hx[1]) if pair else hx[:, :-1]),
    "a state of another dtype": lambda x, hx, pair: (x, (hx[0].half(), hx[1]) if pair else hx.half()),
    "a cell state of another width": lambda x, hx, pair: (x, (hx[0], hx[1][:, :-1]) if pair else hx),
    "on meta": lambda x, hx, pair: (x.to("meta"), hx),
    "sparse": lambda x, hx, pair: (x.to_sparse(), hx),
    "negated": lambda x, hx, pair: (torch._neg_view(x), hx),
    "a list": lambda x, hx, pair: (x, list(hx) if pair else hx),
}


@CELLS
@pytest.mark.parametrize("what", BAD)
@pytest.mark.parametrize("with_graph", [False, True])
def test_arguments(kind: str, dtype: str, what: str, with_graph: bool) -> None:
    theirs, ours = pair(kind, dtype)
    x, hx = inputs_of(ours)[0], state_of(ours, kind)
    given = outcome(BAD[what], x, hx, has_memory(kind))
    assert not isinstance(given, Exception)
    with torch.set_grad_enabled(with_graph):
        assert_same_outcome(lambda: theirs(*given), lambda: ours(*given))
        lstmfast.torch.explain(ours, *given)  # never raises for these
        torch.testing.assert_close(ours(x, hx), theirs(x, hx))  # and nothing is left


@pytest.mark.parametrize("which", ["h", "c", "both", "a stacked pair"])
@pytest.mark.parametrize("frozen", [False, True])
def test_a_state_of_rows_beside_an_input_without(
    which: str, dtype: str, frozen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PyTorch's own step may go on with it, so it is not asked."""
    ours = lstmfast.torch.LSTMCell(I, H, dtype=getattr(torch, dtype))
    if frozen:
        ours.freeze()
    monkeypatch.setattr(torch.nn.LSTMCell, "forward", lambda *args: pytest.fail("PyTorch's step was asked"))
    x, right, rows = (randn(shape, ours.weight_hh) for shape in ((I,), (H,), (H, H)))
    pairs: dict[str, Any] = {"h": (rows, right), "c": [right, rows], "both": (rows, rows)}
    half = "c" if which == "c" else "h"
    message = f"hx: expected {half} of shape ({H},) [H] beside an unbatched input [I], got ({H}, {H})"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ours(x, pairs.get(which, torch.stack([rows, rows])))
    assert [half.shape for half in ours(x, (right, right))] == [(H,), (H,)]  # and nothing is left


@CELLS
@pytest.mark.parametrize("arguments", [(), (1, 2, 3), {"x": 1}, {"input": None}])
def test_calls_with_other_arguments(kind: str, arguments: Any) -> None:
    theirs, ours = pair(kind)
    args, options = (arguments, {}) if isinstance(arguments, tuple) else ((), arguments)
    expected, found = (outcome(module, *args, **options) for module in (theirs, ours))
    assert type(found) is type(expected)


@CELLS
@pytest.mark.parametrize("name", ["weight_ih", "weight_hh", "bias_ih", "bias_hh"])
@pytest.mark.parametrize("what", ["None", "a row less", "bfloat16", "double"])
def test_replaced_weights(kind: str, name: str, what: str) -> None:
    theirs, ours = pair(kind, "float32")
    x = inputs_of(ours)[0]
    changes: dict[str, Callable[[Any], Any]] = {
        "None": lambda w: None,
        "a row less": lambda w: torch.nn.Parameter(w[:-1].detach()),
        "bfloat16": lambda w: torch.nn.Parameter(w.detach().bfloat16()),
        "double": lambda w: torch.nn.Parameter(w.detach().double()),
    }
    for module in (theirs, ours):
        module(x)
        setattr(module, name, changes[what](getattr(module, name)))
    assert_same_outcome(lambda: theirs(x), lambda: ours(x))


@CELLS
@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
def test_lower_precision(kind: str, low: Any) -> None:
    theirs, ours = pair(kind, "float32")
    x = inputs_of(ours)[0]
    with torch.autocast("cpu", dtype=low):
        assert not is_taken(ours, x)
        assert_same_outcome(lambda: theirs(x), lambda: ours(x))
    theirs.to(low), ours.to(low)
    assert_same_outcome(lambda: theirs(x.to(low)), lambda: ours(x.to(low)))


def test_a_cell_has_no_lengths() -> None:
    cell = make(lstmfast.torch, "lstm")
    for name in ("lengths", "reset"):
        with pytest.raises(TypeError, match=rf"^{name}: expected None for a cell of one step, got "):
            lstmfast.torch.explain(cell, torch.zeros(B, I), **{name: [1]})
        with pytest.raises(TypeError, match=name):
            cell(torch.zeros(B, I), **{name: [1]})


def test_subclasses_of_tensors_are_pytorchs() -> None:
    class Plain(torch.Tensor):  # type: ignore[misc, name-defined]
        pass

    theirs, ours = pair("gru")
    x = randn((B, I), ours.weight_ih).as_subclass(Plain)
    assert not is_taken(ours, x)
    torch.testing.assert_close(ours(x), theirs(x))
