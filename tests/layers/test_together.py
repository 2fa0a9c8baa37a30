"""All that a call takes, together: `mask`, `reset_to`, `return_c` and the rest, beside the reference."""

from __future__ import annotations

from typing import Any, NamedTuple

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import lstmfast

from ..helpers import ISAS, Array, assert_same_bits, parts, random, random_call, random_state
from .helpers import results, state_for_all, with_rows
from .variants import CELLS, options_of, reference_of


class Question(NamedTuple):
    """A model of float64, a call of it (time first, with rows) and what it says of steps."""

    model: Any
    call: Any
    cuts: dict[str, Array]
    begins: Any  # reset_to, of each row
    shared: bool  # all rows' are one
    dc: Array | None
    recompute: bool


@st.composite
def questions(draw: st.DrawFn, kind: str) -> Question:
    """Everything in any combination."""
    options = draw(options_of(kind))
    options |= {"dropout": draw(st.sampled_from((0.0, 0.4))), "isa": draw(st.sampled_from(ISAS))}
    T, B, H = draw(st.integers(0, 8)), draw(st.integers(1, 5)), draw(st.integers(4, 20))
    model = getattr(lstmfast, kind)(3, H, dtype="float64", seed=draw(st.integers(0, 5)), **options)
    seed = draw(st.integers(0, 2**20))
    rng, rate = np.random.default_rng(seed), st.sampled_from((0.0, 0.3, 0.7, 1.0))
    cuts: dict[str, Array] = {"mask": rng.random((T, B)) < draw(rate)}
    if draw(st.booleans()):
        cuts["reset"] = rng.random((T, B)) < draw(rate)
    if draw(st.booleans()):
        cuts["lengths"] = rng.integers(0, T + 1, B)
    shared = draw(st.booleans())
    begins = None
    if draw(st.booleans()):
        begins = with_rows(state_for_all(model), B) if shared else random_state(model, B, 5)
    dc = None
    if kind == "LSTM" and draw(st.booleans()):
        dc = random((T, B, (2 if model.bidirectional else 1) * H), "float64", seed)
    call = random_call(model, T, B, seed=seed, with_state=draw(st.booleans()))
    return Question(model, call, cuts, begins, shared, dc, draw(st.booleans()))


def dropped(model: Any, T: int, B: int, seed: int) -> Array | None:
    """What `forward` with this seed multiplies outputs by."""
    p, L = model.dropout, model.num_layers
    if p == 0 or L == 1:
        return None
    features = (2 if model.bidirectional else 1) * (model.proj_size or model.hidden_size)
    drawn = np.random.default_rng(seed).random((L - 1, T, B, features), dtype=np.float32)
    return np.where(drawn >= np.float64(p), 1 / (1 - p), 0.0)


def from_reference(asked: Question) -> dict[str, Array]:
    """What `results` gives."""
    model = asked.model
    x, state, dy, dstate = asked.call
    memory = model._KIND.has_memory
    truth = reference_of(model)

    def pair(halves: Any) -> Any:
        return (None, None) if halves is None else (*parts(halves), None)[:2]

    masks = dropped(model, x.shape[0], x.shape[1], 3)
    y, ends, cache = truth.forward(x, *pair(state), **asked.cuts, masks=masks, reset_to=pair(asked.begins))
    dh_n, dc_n = pair(dstate)
    dx, dh, dc0, gradients, dcut = truth.backward_with_cut(cache, dy, dh_n, dc_n, asked.dc)
    found = {"y": y, "dx": dx, **{f"d {name}": array for name, array in gradients.items()}}
    if asked.dc is not None:
        found["c"] = truth.memory(cache)
    named: dict[str, Any] = {"end": ends, "dstate": (dh, dc0)}
    if asked.begins is not None:
        named["dreset_to"] = [half.sum(axis=1) for half in dcut] if asked.shared else dcut
    for name, halves in named.items():
        found |= {f"{name} {n}": half for n, half in enumerate(halves[: 2 if memory else 1])}
    return found


def given_of(asked: Question) -> dict[str, Any]:
    """What a call says of steps."""
    given: dict[str, Any] = dict(asked.cuts)
    if asked.begins is not None:
        ones = [half[:, 0] for half in parts(asked.begins)]
        one = tuple(ones) if len(ones) > 1 else ones[0]
        given["reset_to"] = one if asked.shared else asked.begins
    return given


@pytest.mark.parametrize("kind", CELLS)
@settings(max_examples=150)
@given(data=st.data())
def test_all_is_as_in_the_reference(kind: str, data: st.DataObject) -> None:
    asked = data.draw(questions(kind))
    given = given_of(asked)
    more: dict[str, Any] = {} if asked.dc is None else {"return_c": True}
    found = results(asked.model, asked.call, asked.dc, **given, **more, recompute=asked.recompute, seed=3)
    expected = from_reference(asked)
    assert set(found) == set(expected)
    for name, array in expected.items():
        scale = 1 + np.abs(array).max(initial=0)
        np.testing.assert_allclose(found[name] / scale, array / scale, rtol=0, atol=1e-10, err_msg=name)
    called = asked.model(*asked.call[:2], **given, **more)
    if asked.model.dropout == 0 or asked.model.num_layers == 1:
        ends = [found[name] for name in found if name.startswith("end")]
        assert_same_bits([called[0], *parts(called[1])], [found["y"], *ends])
        assert_same_bits(list(called[2:]), [found["c"]] if more else [])


@pytest.mark.parametrize("kind", CELLS)
@settings(max_examples=60)
@given(data=st.data())
def test_layouts_and_places_for_results_change_no_bit(kind: str, data: st.DataObject) -> None:
    asked = data.draw(questions(kind))
    model, given = asked.model, given_of(asked)
    x, state, *_ = asked.call
    more: dict[str, Any] = {} if asked.dc is None else {"return_c": True}
    y, end, *memory = model(x, state, **given, **more)
    out = (np.full_like(y, np.nan), model(x, state)[1])
    assert model(x, state, **given, out=out) is out
    assert_same_bits([out[0], *parts(out[1])], [y, *parts(end)])
    # With rows first.
    turned = type(model)(**{**model._config(), "batch_first": True}, isa=model.isa)
    turned.load_state_dict(model.state_dict())
    swapped = {name: array.T if name in {"mask", "reset"} else array for name, array in given.items()}
    y_1, end_1, *memory_1 = turned(x.swapaxes(0, 1), state, **swapped, **more)
    assert_same_bits([y_1.swapaxes(0, 1), *parts(end_1)], [y, *parts(end)])
    assert_same_bits([array.swapaxes(0, 1) for array in memory_1], memory)
    # A row alone, without the axis of rows.
    for each in (model, turned):
        row = dict(given)
        row |= {name: array[:, -1] for name, array in given.items() if name in {"mask", "reset"}}
        if "lengths" in given:
            row["lengths"] = int(given["lengths"][-1])
        if "reset_to" in given and not asked.shared:
            row["reset_to"] = of_row(given["reset_to"])
        y_2, end_2, *memory_2 = each(x[:, -1], None if state is None else of_row(state), **row, **more)
        assert_same_bits([y_2, *parts(end_2)], [y[:, -1], *(half[:, -1] for half in parts(end))])
        assert_same_bits(memory_2, [array[:, -1] for array in memory])


def of_row(state: Any) -> Any:
    """The last row's part of a state."""
    halves = [half[:, -1] for half in parts(state)]
    return tuple(halves) if len(halves) > 1 else halves[0]


def test_c_of_a_skipped_step_is_repeated() -> None:
    model = lstmfast.LSTM(3, 5, seed=0)
    x, state = random((6, 1, 3)), random_state(model, 1)
    mask = np.array([[0, 1, 0, 0, 1, 0]], bool).T
    _, _, tape, c = model.forward(x, state, mask=mask, return_c=True)
    alone = model(x[mask[:, 0]], state, return_c=True)
    assert not c[0].any()
    assert_same_bits(c[1:, 0], alone[2][[0, 0, 0, 1, 1], 0])
    # A gradient of a repeated c is one of the step that made it; of what nobody made it goes nowhere.
    dc = np.zeros_like(c)
    dc[0], dc[3] = np.nan, 1
    repeated = model.backward(tape, None, dc=dc)
    dc[...] = 0
    dc[1] = 1
    assert_same_bits(repeated.x, model.backward(tape, None, dc=dc).x)
    assert np.abs(repeated.x[1]).max() > 1e-3
