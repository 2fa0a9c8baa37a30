"""Rows cut in pieces by `reset`: the whole gives what the pieces give one by one; nothing crosses a cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstmfast
from lstmfast._base.kinds import BY_CELL

from ...core_helpers import assert_close, from_reference, ours
from ...helpers import DTYPES, ISAS, KINDS, Array, assert_same_bits, everything, make, parts, random_call
from ...pieces import (
    Shape,
    assert_pieces,
    every_cell,
    every_network,
    every_shape,
    pieces_of,
    random_lengths,
    random_reset,
)

T = 8
# One row for each way to be cut. Where they start; in the middle; twice; steps that follow one another; the
# last step; all steps; none; only past the end; at the end's last step; all, past the end, too; of no step.
LENGTHS = [T, T, T, T, T, T, T, 5, 5, 5, 0]
MARKED: list[list[int]] = [
    [0],
    [4],
    [2, 5],
    [3, 4, 5],
    [7],
    [*range(T)],
    [],
    [5, 7],
    [4, 6],
    [*range(T)],
    [0, 1],
]
RESET = np.array([[t in marked for marked in MARKED] for t in range(T)])
B = len(MARKED)


@pytest.fixture(autouse=True)
def _one_thread(threads: None) -> None:
    lstmfast.set_num_threads(1)


@every_network
@every_cell
def test_reference(isa: str, kind: str, proj_size: int, num_layers: int, bidirectional: bool) -> None:
    options: dict[str, Any] = {"num_layers": num_layers, "bidirectional": bidirectional, "isa": isa}
    for batch_first in (False, True):
        model = make(kind, 5, 9, proj_size=proj_size, batch_first=batch_first, dtype="float64", **options)
        reset = RESET.T if batch_first else RESET
        for with_state, lengths in ((True, LENGTHS), (True, None), (False, LENGTHS)):
            arguments = random_call(model, T, B, with_state=with_state)
            truth = from_reference(model, *arguments, lengths=lengths, reset=reset)
            results = everything(model, *arguments, lengths=lengths, reset=reset)
            assert_close(ours(results), truth, str(model))


@every_network
@every_cell
def test_pieces_one_by_one(
    dtype: str, isa: str, kind: str, proj_size: int, num_layers: int, bidirectional: bool
) -> None:
    options: dict[str, Any] = {"num_layers": num_layers, "bidirectional": bidirectional, "isa": isa}
    model = make(kind, 5, 9, proj_size=proj_size, dtype=dtype, **options)
    arguments = random_call(model, T, B)
    for lengths in (None, LENGTHS):
        for recompute in (False, True):
            assert_pieces(model, arguments, lengths, RESET, recompute=recompute)


@every_shape
def test_pieces_of_large_calls(dtype: str, shape: Shape) -> None:
    model = shape.model(dtype)
    arguments = random_call(model, shape.T, shape.B)
    assert_pieces(model, arguments, random_lengths(shape.T, shape.B), random_reset(shape.T, shape.B))


@pytest.mark.parametrize("directions", [1, 2])
def test_cuts_next_to_where_a_chunk_begins(isa: str, directions: int) -> None:
    """The backward pass takes the last 256 steps, then the first 44."""
    model = Shape(T=300, B=1, I=5, H=64, directions=directions).model("float64", isa)
    arguments = random_call(model, 300, 1)
    for cut in (1, 43, 44, 45, 255, 256, 257, 299):  # for both directions, which come from opposite ends
        assert_pieces(model, arguments, None, (np.arange(300) == cut)[:, np.newaxis])


@every_shape
def test_threads(dtype: str, shape: Shape) -> None:
    model = shape.model(dtype)
    arguments = random_call(model, shape.T, shape.B)
    cut: dict[str, Any] = {
        "lengths": random_lengths(shape.T, shape.B),
        "reset": random_reset(shape.T, shape.B),
    }
    one = everything(model, *arguments, **cut)
    for threads in (2, 3):
        lstmfast.set_num_threads(threads)
        for _ in range(2):  # a short call is shared only if one came just before
            assert_same_bits(everything(model, *arguments, **cut), one, f"{threads} threads: ")


@every_cell
def test_layouts(dtype: str, kind: str, proj_size: int) -> None:
    """Marks are in x's own: [B, T] with batch_first, [T] unbatched."""
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "proj_size": proj_size, "dtype": dtype}
    model, batch_first = (make(kind, 5, 9, batch_first=value, **options) for value in (False, True))
    x, state, dy, dstate = random_call(model, T, B)
    expected = everything(model, x, state, dy, dstate, reset=RESET)
    results = everything(batch_first, x.swapaxes(0, 1), state, dy.swapaxes(0, 1), dstate, reset=RESET.T)
    for name in ("called", "y", "dx"):
        results[name] = results[name].swapaxes(0, 1)
    assert_same_bits(results, expected)

    def of_row(value: Any, row: int) -> Any:
        if isinstance(value, tuple):
            return tuple(part[:, row] for part in value)
        return value[:, row]

    for row in range(B):
        arguments = [of_row(value, row) for value in (x, state, dy, dstate)]
        for of in (model, batch_first):
            results = everything(of, *arguments, reset=RESET[:, row])
            for name, array in results.items():
                if not name.startswith("d "):  # a sum over the rows
                    assert_same_bits(array, expected[name][:, row], name)


# What crosses a cut: nothing.


@pytest.mark.parametrize("bidirectional", [False, True])
@every_cell
def test_no_gradient_crosses(dtype: str, isa: str, kind: str, proj_size: int, bidirectional: bool) -> None:
    """Of the gradient of one piece's outputs nothing comes to the other pieces' inputs."""
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": bidirectional, "proj_size": proj_size}
    model = make(kind, 5, 9, dtype=dtype, isa=isa, **options)
    x, state, dy, _ = random_call(model, T, 1)
    reset = np.isin(np.arange(T), [3, 6])[:, np.newaxis]
    for start, stop in pieces_of(T, reset[:, 0]):
        within = np.zeros_like(dy)
        within[start:stop] = dy[start:stop]
        results = everything(model, x, state, within, reset=reset)
        outside = np.delete(results["dx"], np.s_[start:stop], axis=0)
        assert_same_bits(outside, np.zeros_like(outside))
        assert np.all(np.any(results["dx"][start:stop], axis=-1))
        # The first piece began with the forward direction's initial state, the last with the reverse one's.
        for n in range(len(parts(state))):
            reached = results[f"dstate {n}"].any(axis=(1, 2)).tolist()
            assert reached == [start == 0, stop == T][: 1 + bidirectional] * 2


@every_cell
def test_what_is_before_a_cut_is_forgotten(dtype: str, isa: str, kind: str, proj_size: int) -> None:
    """Even NaN: in the inputs of other pieces, and in an initial state that nothing starts from."""
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "proj_size": proj_size}
    model = make(kind, 5, 9, dtype=dtype, isa=isa, **options)
    x, state, _, _ = random_call(model, T, 1)
    reset = np.isin(np.arange(T), [0, 3, 6])[:, np.newaxis]
    expected, _ = model(x, state, reset=reset)
    for start, stop in pieces_of(T, reset[:, 0]):
        spoilt = x.copy()
        spoilt[:start] = spoilt[stop:] = np.nan
        for part in parts(state):
            part[::2] = np.nan  # the forward direction's, which the mark at step 0 makes it ignore
        y, _ = model(spoilt, state, reset=reset)
        assert_same_bits(y[start:stop], expected[start:stop])
        assert np.isnan(y).any()


# Any cuts at all.


@st.composite
def cut_calls(draw: st.DrawFn) -> tuple[Any, Any, Any, Array | None]:
    """A model, its arguments, lengths and marks."""
    kind, hidden_size = draw(st.sampled_from(KINDS)), draw(st.integers(1, 70))
    model = make(
        kind,
        draw(st.integers(1, 70)),
        hidden_size,
        num_layers=draw(st.integers(1, 3)),
        bidirectional=draw(st.booleans()),
        bias=draw(st.booleans()),
        proj_size=draw(st.integers(0, hidden_size - 1)) if BY_CELL[kind].projects else 0,
        dtype=draw(st.sampled_from(DTYPES)),
        isa=draw(st.sampled_from(ISAS)),
    )
    steps, rows = draw(st.integers(0, 20)), draw(st.integers(0, 20))
    lengths = draw(st.none() | st.lists(st.integers(0, steps), min_size=rows, max_size=rows))
    rate = draw(st.sampled_from([0.0, 0.05, 0.3, 0.8, 1.0]))
    reset = np.random.default_rng(draw(st.integers(0, 2**31))).random((steps, rows)) < rate
    return model, random_call(model, steps, rows, seed=draw(st.integers(0, 2**31))), lengths, reset


@settings(max_examples=150)
@given(cut_calls(), st.booleans(), st.integers(1, 3))
def test_any_cuts(drawn: tuple[Any, Any, Any, Array | None], recompute: bool, threads: int) -> None:
    lstmfast.set_num_threads(threads)
    assert_pieces(*drawn, recompute=recompute)
