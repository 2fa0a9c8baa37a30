"""What torch.nn's modules refuse, lstmfast.torch's refuse as they do; what the core cannot, PyTorch does."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

torch = pytest.importorskip("torch")

import lstmfast.torch  # noqa: E402

from .conftest import MODULE_KINDS  # noqa: E402
from .helpers import (  # noqa: E402
    B,
    P,
    assert_same_outcome,
    assert_still_right,
    call,
    input_of,
    no_word_of_projections,
    outcome,
    pair,
    quietly,
    state_of,
    tensors,
)

KIND = pytest.mark.parametrize("kind", MODULE_KINDS)


# Inputs and states that PyTorch refuses, or takes in a way of its own.

INPUTS: dict[str, Callable[[Any], Any]] = {
    "no dimension": lambda x: x[0, 0, 0],
    "one dimension": lambda x: x[0, 0],
    "four dimensions": lambda x: x[None],
    "a feature less": lambda x: x[..., 1:],
    "a feature more": lambda x: torch.cat([x, x[..., :1]], -1),
    "no feature": lambda x: x[..., :0],
    "no step": lambda x: x[:0],
    "no row": lambda x: x[:, :0],
    "no step and no row": lambda x: x[:0, :0],
    "no step, unbatched": lambda x: x[:0, 0],
    "unbatched, a feature less": lambda x: x[:, 0, 1:],
    "float16": lambda x: x.to(torch.float16),
    "bfloat16": lambda x: x.to(torch.bfloat16),
    "the other float": lambda x: x.to(torch.float64 if x.dtype == torch.float32 else torch.float32),
    "int64": lambda x: x.to(torch.int64),
    "bool": lambda x: x > 0,
    "complex": lambda x: x.to(torch.complex64),
    "None": lambda x: None,
    "an array": lambda x: x.numpy(),
    "a list": lambda x: x.tolist(),
    "a number": lambda x: 1.0,
    "meta": lambda x: x.to("meta"),
    "sparse": lambda x: x.to_sparse(),
    "sparse CSR": lambda x: quietly(lambda: x[:, 0].to_sparse_csr()),
    "nested": lambda x: quietly(lambda: torch.nested.nested_tensor([x[:, 0], x[:3, 0]])),
    "a tuple": lambda x: (x,),
}


@KIND
@pytest.mark.parametrize("what", INPUTS)
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("with_state", [False, True])
def test_inputs(kind: str, dtype: str, what: str, batch_first: bool, with_state: bool) -> None:
    theirs, ours = pair(kind, dtype, batch_first=batch_first)
    x = INPUTS[what](input_of(ours))
    hx = state_of(ours) if with_state else None
    assert_same_outcome(lambda: theirs(x, hx), lambda: ours(x, hx))
    assert_still_right(theirs, ours)


def test_calls_with_other_arguments(kind: str) -> None:
    theirs, ours = pair(kind)
    x, hx = input_of(ours), state_of(ours)
    calls: list[tuple[tuple[Any, ...], dict[str, Any], bool]] = [
        ((), {}, True),
        ((x, hx, None), {}, True),
        ((x,), {"h0": hx}, True),
        ((), {"hx": hx}, True),
        ((), {"input": x}, False),
        ((x,), {"hx": hx}, False),
        ((), {"input": x, "hx": hx}, False),
    ]
    for args, options, refused in calls:
        found = assert_same_outcome(
            partial(theirs, *args, **options), partial(ours, *args, **options), message=False
        )
        assert found is refused


def of_both(change: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda h, c: change(h) if c is None else (change(h), change(c))


def of_last(change: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda h, c: change(h) if c is None else (h, change(c))


def of_first(change: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda h, c: change(h) if c is None else (change(h), c)


STATES: dict[str, Callable[[Any, Any], Any]] = {
    f"{what}, {which}": where(change)
    for what, change in {
        "a layer less": lambda s: s[1:],
        "a layer more": lambda s: torch.cat([s, s]),
        "a row less": lambda s: s[:, 1:],
        "one row": lambda s: s[:, :1],
        "no row": lambda s: s[:, :0],
        "a unit less": lambda s: s[..., 1:],
        "a unit more": lambda s: torch.cat([s, s[..., :1]], -1),
        "two dimensions": lambda s: s[:, 0],
        "four dimensions": lambda s: s[None],
        "one dimension": lambda s: s[0, 0],
        "the other float": lambda s: s.to(torch.float64 if s.dtype == torch.float32 else torch.float32),
        "bfloat16": lambda s: s.to(torch.bfloat16),
        "int64": lambda s: s.to(torch.int64),
        "None": lambda s: None,
        "an array": lambda s: s.numpy(),
        "meta": lambda s: s.to("meta"),
        "sparse": lambda s: s.to_sparse(),
        "a number": lambda s: 0.0,
    }.items()
    for which, where in {"both": of_both, "the first": of_first, "the last": of_last}.items()
} | {
    "the wrong kind": lambda h, c: (h, h) if c is None else h,
    "a list": lambda h, c: [h] if c is None else [h, c],
    "a tuple of one": lambda h, c: (h,),
    "a tuple of three": lambda h, c: (h, h, h),
    "an empty tuple": lambda h, c: (),
    "a dict": lambda h, c: {"h": h, "c": c},
    "a string": lambda h, c: "hx",
    "changed places": lambda h, c: h if c is None else (c, h),
    "a stacked pair": lambda h, c: h if c is None else torch.stack([h, c]),
}


@KIND
@pytest.mark.parametrize("what", STATES)
@pytest.mark.parametrize("rows", [B, None])
def test_states(kind: str, dtype: str, what: str, rows: int | None) -> None:
    theirs, ours = pair(kind, dtype, num_layers=2)
    x, states = input_of(ours, rows), tensors(state_of(ours))
    if rows is None:
        states = [state[:, 0] for state in states]
        if "row" in what or "dimension" in what:
            states = [state[:, None] for state in states]  # what is right for rows is wrong here
    hx = outcome(lambda: STATES[what](*states, *[None] * (2 - len(states))))
    assert_same_outcome(lambda: theirs(x, hx), lambda: ours(x, hx))
    assert_still_right(theirs, ours)


@pytest.mark.parametrize("what", ["changed places", "a unit less, both", "a unit more, the first"])
def test_states_of_projections(what: str, dtype: str) -> None:
    theirs, ours = pair("lstm", dtype, proj_size=P)
    x, hx = input_of(ours), STATES[what](*state_of(ours))
    assert assert_same_outcome(lambda: theirs(x, hx), lambda: ours(x, hx))
    with no_word_of_projections():
        assert_still_right(theirs, ours)


# Weights that are no longer those of the constructor.

WEIGHTS: dict[str, Callable[[Any], Any]] = {
    "a row less": lambda w: w[1:],
    "a column less": lambda w: w[:, 1:],
    "a row more": lambda w: torch.cat([w, w[:1]]),
    "transposed": lambda w: w.T,
    "one dimension": lambda w: w[0],
    "empty": lambda w: w[:0],
    "the other float": lambda w: w.to(torch.float64 if w.dtype == torch.float32 else torch.float32),
    "bfloat16": lambda w: w.to(torch.bfloat16),
    "meta": lambda w: w.to("meta"),
    "other numbers": lambda w: w + 1,
    "other memory": lambda w: w.T.contiguous().T,
}


@KIND
@pytest.mark.parametrize("what", WEIGHTS)
@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l1"])
@pytest.mark.parametrize("way", ["setattr", "data"])
def test_replaced_weights(kind: str, what: str, name: str, way: str) -> None:
    """In float64: in float32 PyTorch's oneDNN reads past the end of weights that are too small."""
    theirs, ours = pair(kind, num_layers=2)
    x = input_of(ours)
    call(ours, x)  # it has packed the weights once

    def replaced(module: Any) -> Any:
        parameter = getattr(module, name)
        data = parameter.data
        new = WEIGHTS[what](data.clone())
        try:
            if way == "data":
                parameter.data = new
            else:
                setattr(module, name, torch.nn.Parameter(new))
            return module(x)
        finally:
            parameter.data = data
            setattr(module, name, parameter)

    assert_same_outcome(lambda: replaced(theirs), lambda: replaced(ours))
    assert_still_right(theirs, ours)


@KIND
@pytest.mark.parametrize("what", INPUTS)
def test_explain_never_raises_for_inputs(kind: str, what: str) -> None:
    _, ours = pair(kind)
    x = INPUTS[what](input_of(ours))
    assert lstmfast.torch.explain(ours, x).path == "torch"
    if x is not None:
        assert lstmfast.torch.explain(ours, input_of(ours), x).path == "torch"
