"""`mask`: steps that are skipped in the midst of a row, in calls, in training and of smaller weights."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstmfast
from lstmfast._base.skipping import Skips

from ..core_helpers import assert_close, from_reference, ours
from ..helpers import (
    CELLS,
    Array,
    assert_same_bits,
    everything,
    has_memory,
    make,
    parts,
    random,
    random_call,
    random_state,
)
from .helpers import recorded

T, B = 9, 6
every_cell = pytest.mark.parametrize(("kind", "proj_size"), CELLS)


def random_marks(shape: tuple[int, ...], rate: float, seed: int) -> Array:
    """True at about so many places."""
    marks: Array = np.random.default_rng(seed).random(shape) < rate
    return marks


def random_mask(steps: int = T, rows: int = B, seed: int = 0) -> Array:
    """[T, B]: most steps are taken, every fourth row takes none, another all."""
    mask = random_marks((steps, rows), 0.6, seed)
    mask[:, 2::4], mask[:, 3::4] = False, True
    return mask


# By the reference, which goes step by step.


@st.composite
def calls(draw: st.DrawFn) -> tuple[Any, Any, dict[str, Any]]:
    """A model of float64, arguments, and what they say of steps, in the model's layout."""
    kind, proj_size = draw(st.sampled_from(CELLS))
    model = make(
        kind,
        draw(st.integers(1, 4)),
        draw(st.integers(5, 9)),
        num_layers=draw(st.integers(1, 3)),
        bidirectional=draw(st.booleans()),
        batch_first=draw(st.booleans()),
        bias=draw(st.booleans()),
        dropout=draw(st.sampled_from([0.0, 0.4])),
        proj_size=proj_size,
        dtype="float64",
        seed=draw(st.integers(0, 5)),
    )
    steps, rows = draw(st.integers(0, 8)), draw(st.none() | st.integers(0, 5))
    seed, rate = draw(st.integers(0, 2**20)), st.sampled_from([0.0, 0.3, 0.7, 1.0])
    arguments = random_call(model, steps, rows, with_state=draw(st.booleans()), seed=seed)
    axes = (steps,) if rows is None else (rows, steps) if model.batch_first else (steps, rows)
    said: dict[str, Any] = {"mask": random_marks(axes, draw(rate), seed)}
    if draw(st.booleans()):
        said["reset"] = random_marks(axes, draw(rate), seed + 1)
    if draw(st.booleans()):
        lengths = np.random.default_rng(seed).integers(0, steps + 1, 1 if rows is None else rows)
        said["lengths"] = int(lengths[0]) if rows is None else lengths
    return model, arguments, said


def dropped(model: Any, x: Array, seed: int) -> Array | None:
    """What `forward` with this seed multiplies outputs by, for the reference."""
    p, L = model.dropout, model.num_layers
    if p == 0 or L == 1:
        return None
    steps, rows = (len(x), 1) if x.ndim == 2 else x.shape[1::-1] if model.batch_first else x.shape[:2]
    features = (2 if model.bidirectional else 1) * (model.proj_size or model.hidden_size)
    drawn = np.random.default_rng(seed).random((L - 1, steps, rows, features), dtype=np.float32)
    return np.where(drawn >= np.float64(p), 1 / (1 - p), 0.0)


@settings(max_examples=400)
@given(calls(), st.booleans())
def test_all_results_are_the_references(call: tuple[Any, Any, dict[str, Any]], recompute: bool) -> None:
    model, arguments, said = call
    found = everything(model, *arguments, **said, recompute=recompute, seed=3)
    masks = dropped(model, arguments[0], 3)
    expected = from_reference(model, *arguments, **said, masks=masks)
    assert_close(ours(found), expected, "with a mask")
    if masks is None:
        assert_same_bits(found["called"], found["y"])


# By the bits of a row's taken steps alone.


def alone(model: Any, x: Array, state: Any, taken: Array, row: int) -> Any:
    """What a call gives of one row's taken steps; time first."""
    halves = [half[:, row : row + 1] for half in parts(state)]
    return model(x[taken[:, row], row : row + 1], tuple(halves) if len(halves) > 1 else halves[0])


@every_cell
@pytest.mark.parametrize("weights", ["float32", "float64", "float16", "bfloat16", "int8"])
def test_a_row_has_the_bits_of_its_taken_steps(kind: str, proj_size: int, weights: str, isa: str) -> None:
    dtype = weights if weights in {"float32", "float64"} else "float32"
    model = make(kind, 3, 20, num_layers=2, bidirectional=True, proj_size=proj_size, dtype=dtype, isa=isa)
    x, state = random((T, B, 3), dtype, 1), random_state(model, B)
    model = model if weights == dtype else model.quantize(weights)
    mask = random_mask()
    y, end = model(x, state, mask=mask)
    P = proj_size or 20
    for row in range(B):
        of_row, end_of_row = alone(model, x, state, mask, row)
        assert_same_bits([half[:, row : row + 1] for half in parts(end)], parts(end_of_row))
        count = np.cumsum(mask[:, row])
        for t in range(T):
            k, following = count[t] - 1, count[t] - mask[t, row]
            zero = np.zeros(P, dtype)
            assert_same_bits(y[t, row, :P], of_row[k, 0, :P] if k >= 0 else zero)
            assert_same_bits(y[t, row, P:], of_row[following, 0, P:] if following < count[-1] else zero)


def test_threads_change_no_bit(kind: str, threads: None) -> None:
    model = make(kind, 30, 200, num_layers=2)
    x, mask = random((40, 24, 30), seed=1), random_mask(40, 24)
    lstmfast.set_num_threads(1)
    expected = everything(model, x, mask=mask)
    lstmfast.set_num_threads(2)
    assert_same_bits(everything(model, x, mask=mask), expected)


# What it does not change, and what it leaves alone.


@pytest.mark.parametrize("recompute", [False, True])
def test_a_mask_that_skips_nothing_is_none(kind: str, recompute: bool) -> None:
    model = make(kind, 3, 5, num_layers=2, bidirectional=True)
    for batched in (True, False):
        x, state, dy, dstate = random_call(model, T, B if batched else None)
        every = np.ones(x.shape[:-1], bool)
        expected = everything(model, x, state, dy, dstate, recompute=recompute)
        found = everything(model, x, state, dy, dstate, mask=every, recompute=recompute)
        assert_same_bits(found, expected)
        tapes = [model.forward(x, mask=mask, recompute=recompute)[2].nbytes for mask in (None, every)]
        assert tapes[0] == tapes[1]


def test_past_a_rows_length_it_says_nothing(kind: str) -> None:
    model = make(kind, 3, 5, bidirectional=True)
    x, state, dy, dstate = random_call(model, T, 3)
    lengths = np.array([4, 0, T])
    past = np.arange(T)[:, np.newaxis] >= lengths
    expected = everything(model, x, state, dy, dstate, lengths=lengths)
    assert_same_bits(everything(model, x, state, dy, dstate, lengths=lengths, mask=~past), expected)


def test_what_a_skipped_step_holds_is_no_matter(kind: str) -> None:
    model = make(kind, 3, 5, num_layers=2, bidirectional=True)
    x, state, dy, dstate = random_call(model, T, B)
    mask = random_mask()
    expected = everything(model, x, state, dy, dstate, mask=mask)
    x[~mask] = np.nan
    assert_same_bits(everything(model, x, state, dy, dstate, mask=mask), expected)
    assert not expected["dx"][~mask].any()


def test_an_output_that_nobody_made_is_zero_and_its_gradient_goes_nowhere(kind: str) -> None:
    model = make(kind, 3, 5)
    x, state, dy, dstate = random_call(model, T, 2)
    mask = np.arange(T)[:, np.newaxis] >= [4, 0]
    found = everything(model, x, state, dy, dstate, mask=mask)
    assert not found["y"][:4, 0].any()
    dy[:4, 0] = np.nan
    assert_same_bits(everything(model, x, state, dy, dstate, mask=mask), found)


def test_a_row_that_takes_no_step_keeps_its_state(kind: str) -> None:
    model = make(kind, 3, 5, num_layers=2, bidirectional=True)
    x, state, dy, dstate = random_call(model, T, 2)
    found = everything(model, x, state, dy, dstate, mask=np.zeros((T, 2), bool), reset=np.ones((T, 2), bool))
    for n, (half, dhalf) in enumerate(zip(parts(state), parts(dstate), strict=True)):
        assert_same_bits([found[f"state {n}"], found[f"dstate {n}"]], [half, dhalf])
    assert not any(found[name].any() for name in found if name in {"y", "dx"} or name.startswith("d "))


def test_arguments_are_copied_and_left_alone(kind: str) -> None:
    model = make(kind, 3, 5, num_layers=2, bidirectional=True)
    x, state, dy, dstate = random_call(model, T, B)
    mask, reset = random_mask(), random_marks((T, B), 0.2, 5)
    before = [array.copy() for array in (x, dy, mask, reset)]
    y, _, tape = model.forward(x, state, mask=mask, reset=reset)
    expected = model.backward(tape, dy, dstate)
    assert_same_bits([x, dy, mask, reset], before)
    mask[...] = ~mask
    reset[...] = True
    again = model.backward(tape, dy, dstate)
    assert_same_bits(again.x, expected.x)
    assert_same_bits(again.parameters, expected.parameters)
    with pytest.raises(ValueError, match="read-only"):
        y[0] = 1


def test_a_tape_counts_what_it_holds_of_the_taken_steps(kind: str) -> None:
    model = make(kind, 3, 5)
    x, mask = random((T, B, 3), seed=1), random_mask()
    mask[:, 3::4] = mask[:, :1]  # fewer steps than T in all rows
    few = int(mask.sum(axis=0).max())
    assert few < T
    compact, _, tape = model.forward(random((few, B, 3), seed=1), lengths=mask.sum(axis=0))
    held = model.forward(x, mask=mask)[2].nbytes - tape.nbytes
    assert held > compact.nbytes + few * B * 3 * 4


def test_the_core_is_told_no_more_than_there_is_to_say(kind: str) -> None:
    """It is faster without lengths and reset, and it computes as many steps as a row takes."""
    model = make(kind, 3, 5)
    x = random((T, 2, 3), seed=1)
    core = recorded(model)
    mask = np.zeros((T, 2), bool)
    mask[[1, 2, 6], 0] = mask[[0, 5, 8], 1] = True
    reset = np.zeros((T, 2), bool)
    reset[7, 0] = True  # after its last step
    tape = model.forward(x, mask=mask, reset=reset)[2]
    assert core.seen[:2] == (None, None)
    assert tape._core.nbytes == model.forward(x[:3])[2]._core.nbytes
    model(x, mask=mask, reset=reset)
    assert core.seen[:2] == (None, None)
    reset[5, 0] = True
    model.forward(x, mask=mask, reset=reset, lengths=[T, 8])
    assert core.seen[0].tolist() == [3, 2]
    assert core.seen[1].tolist() == [[False, False], [False, False], [True, False]]


@pytest.mark.parametrize("batch_first", [False, True])
def test_gradients_are_summed_in_the_order_of_the_repeats(batch_first: bool) -> None:
    """That of the output itself first: in float32 another order would give another sum."""
    large = 2.0**30
    skips = Skips(np.array([[0, 1, 0, 0, 0, 1, 0]], bool).T, None, None, batch_first, (False, True))
    dy = np.zeros((7, 1, 2), np.float32)
    dy[1:5, 0, 0] = large, 1, -large, 3  # (((large + 1) - large) + 3
    dy[:6, 0, 1] = 7, 7, 3, -large, 1, large  # the other way round, to the step at 5
    sums = skips.sums(dy.swapaxes(0, 1) if batch_first else dy)
    assert sums.reshape(2, 2).tolist() == [[3, 14], [0, 3]]


# Layouts and places for results.


@every_cell
def test_layouts_give_the_same_bits(kind: str, proj_size: int) -> None:
    options = {"num_layers": 2, "bidirectional": True, "proj_size": proj_size}
    model = make(kind, 3, 6, **options)
    other = make(kind, 3, 6, batch_first=True, **options)
    x, state, dy, dstate = random_call(model, T, B)
    said: dict[str, Any] = {"mask": random_mask(), "reset": random_marks((T, B), 0.2, 5)}
    lengths = np.array([9, 4, 9, 7, 0, 8])
    expected = everything(model, x, state, dy, dstate, **said, lengths=lengths)
    turned: dict[str, Any] = {name: array.T for name, array in said.items()}
    found = everything(other, x.swapaxes(0, 1), state, dy.swapaxes(0, 1), dstate, **turned, lengths=lengths)
    for name in ("called", "y", "dx"):
        found[name] = found[name].swapaxes(0, 1)
    assert_same_bits(found, expected)
    for model_1 in (model, other):
        row = [half[:, 1] for half in parts(state)]
        y, _ = model_1(
            x[:, 1],
            tuple(row) if has_memory(kind) else row[0],
            lengths=4,
            **{name: array[:, 1] for name, array in said.items()},
        )
        assert_same_bits(y, expected["called"][:, 1])


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("batched", [False, True])
def test_results_are_written_in_place(kind: str, batched: bool, batch_first: bool) -> None:
    model = make(kind, 3, 5, num_layers=2, bidirectional=True, batch_first=batch_first)
    x, state, *_ = random_call(model, T, B if batched else None)
    mask = random_marks(x.shape[:-1], 0.5, 3)
    expected, end = model(x, state, mask=mask)
    y = np.full_like(expected, np.nan)
    out = (y, state)  # the new state in the place of the old one
    assert model(x, state, mask=mask, out=out) is out
    assert_same_bits(y, expected)
    assert_same_bits(parts(state), parts(end))


@pytest.mark.parametrize("form", [list, np.array, np.asfortranarray])
def test_masks_of_many_forms(form: Any) -> None:
    model = make("lstm", 3, 5)
    x, mask = random((T, B, 3), seed=1), random_mask()
    given = form(mask.tolist() if form is list else mask)
    assert_same_bits(model(x, mask=given)[0], model(x, mask=mask)[0])


def test_smaller_weights_take_it_in_every_layout(kind: str) -> None:
    for batch_first in (False, True):
        model = make(kind, 3, 5, num_layers=2, bidirectional=True, batch_first=batch_first)
        x, state, *_ = random_call(model, T, B)
        mask = random_mask().T if batch_first else random_mask()
        small = model.quantize("float16")
        assert_same_bits(small(x, state, mask=mask)[0], small.dequantize()(x, state, mask=mask)[0])


# What cannot be.


@pytest.mark.parametrize(
    ("mask", "error", "message"),
    [
        (np.ones((T, B)), TypeError, "expected an array of bools [T, B], got one of dtype float64"),
        (np.ones((T, B), "i8"), TypeError, "expected an array of bools [T, B], got one of dtype int64"),
        (True, ValueError, "expected shape (9, 6) [T, B], got ()"),
        (np.ones((B, T), bool), ValueError, "expected shape (9, 6) [T, B], got (6, 9)"),
        (np.ones(T, bool), ValueError, "expected shape (9, 6) [T, B], got (9,)"),
        ([], ValueError, "expected shape (9, 6) [T, B], got (0,)"),
        ("no", TypeError, "expected an array of bools [T, B], got 'no' (str), as an array of dtype <U2"),
        (
            np.ma.masked_array(np.ones((T, B), bool)),
            TypeError,
            "expected an array of bools [T, B], got a masked",
        ),
    ],
)
def test_masks_that_are_none(kind: str, mask: Any, error: type[Exception], message: str) -> None:
    model = make(kind, 3, 5)
    x = random((T, B, 3))
    for call in (model, model.forward, model.quantize("int8")):
        with pytest.raises(error, match=f"^{re.escape('mask: ' + message)}"):
            call(x, mask=mask)
    with pytest.raises(ValueError, match=r"^mask: expected shape \(9,\) \[T\], got \(9, 1\)$"):
        model(x[:, 0], mask=np.ones((T, 1), bool))


def test_it_goes_by_name_and_streams_do_not_take_it(kind: str) -> None:
    model = make(kind, 3, 5)
    for call in (type(model).__call__, type(model).forward):
        assert inspect.signature(call).parameters["mask"].kind is inspect.Parameter.KEYWORD_ONLY
    with pytest.raises(TypeError):
        model.stream().run(random((T, 3)), mask=np.ones(T, bool))
