"""Truncated backpropagation through time: a sequence in pieces, gradients handed back or ending."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ...core_helpers import assert_close
from ...helpers import Array, assert_same_bits, parts
from .helpers import CELLS, TIMES, arguments, make_cell, named, run, times_of, truth

CUTS = ([1, 2, 9], [6], [0, 5, 5, 13])  # pieces of one step and of none, too
T, B = 13, 5


def pieces_of(cuts: list[int]) -> list[slice]:
    return [slice(begin, end) for begin, end in zip([0, *cuts], [*cuts, T], strict=True)]


def times_in(piece: slice, cut: dict[str, Array]) -> dict[str, Array]:
    """The lengths and reset of a piece: a row that ended before it, or ends in it, has fewer steps there."""
    given = {}
    if "lengths" in cut:
        given["lengths"] = np.clip(cut["lengths"] - piece.start, 0, piece.stop - piece.start)
    if "reset" in cut:
        given["reset"] = cut["reset"][piece]
    return given


def chained(model: Any, given: dict[str, Any], cut: dict[str, Array], cuts: list[int]) -> dict[str, Array]:
    """Piece by piece, the state's gradient handed back from each to the one before, the weights' summed."""
    pieces, state, outputs, tapes = pieces_of(cuts), given["state"], [], []
    for piece in pieces:
        y, state, tape = model.forward(given["x"][piece], state, **times_in(piece, cut))
        outputs.append(y)
        tapes.append(tape)
    back, dxs = given["dstate"], []
    sums: dict[str, Any] = dict.fromkeys(model.parameters, 0.0)
    for piece, tape in zip(reversed(pieces), reversed(tapes), strict=True):
        grads = model.backward(tape, given["dy"][piece], back)
        back = grads.state
        dxs.append(grads.x)
        sums = {name: sums[name] + gradient for name, gradient in grads.parameters.items()}
    return named(np.concatenate(outputs), state, np.concatenate(dxs[::-1]), back, sums)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("times", TIMES)
def test_pieces_add_up_to_the_whole(cell: str, times: str) -> None:
    """With the state's gradients handed back nothing is truncated: the sums are the whole's."""
    model = make_cell(cell, 3, 7, num_layers=2, dtype="float64")
    given, cut = arguments(model, T, B), times_of(times, T, B)
    whole = run(model, **given, **cut)
    for cuts in CUTS:
        assert_close(chained(model, given, cut, cuts), whole, f"cut at {cuts}", gradients=1e-12)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("times", ["lengths", "reset", "lengths and reset"])
def test_pieces_give_the_bits_of_the_whole(cell: str, dtype: str, isa: str, times: str) -> None:
    """All but the weights' gradients, which are sums over time; plain ones are in test_bits.py."""
    model = make_cell(cell, 3, 19, num_layers=2, dtype=dtype, isa=isa)
    given, cut = arguments(model, T, B), times_of(times, T, B)
    whole = run(model, **given, **cut)
    for cuts in CUTS:
        got = chained(model, given, cut, cuts)
        names = [name for name in whole if not name.startswith("d ")]
        assert_same_bits({n: got[n] for n in names}, {n: whole[n] for n in names}, f"cut at {cuts}: ")


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("recompute", [False, True])
def test_gradients_that_end_where_their_piece_begins(cell: str, times: str, recompute: bool) -> None:
    """The usual way to train on a long series: each piece's tape is dropped once the weights have learned.

    The reference does the same with the same weights, which change with every piece.
    """
    model = make_cell(cell, 3, 7, num_layers=2, dtype="float64")
    given, cut = arguments(model, T, B), times_of(times, T, B)
    state = given["state"]
    nothing = tuple(np.zeros_like(part) for part in parts(state))
    none: Any = nothing if len(nothing) == 2 else nothing[0]
    for piece in pieces_of([4, 9]):
        inputs = {"x": given["x"][piece], "state": state, "dy": given["dy"][piece], "dstate": none}
        expected = truth(model, **inputs, **times_in(piece, cut))
        options: dict[str, Any] = {**times_in(piece, cut), "recompute": recompute}
        y, state, tape = model.forward(inputs["x"], state, **options)
        grads = model.backward(tape, inputs["dy"])
        del tape
        actual = named(y, state, grads.x, grads.state, grads.parameters)
        assert_close(actual, expected, f"from {piece.start}")
        model.update(
            {name: model.parameters[name] - 0.1 * grads.parameters[name] for name in grads.parameters}
        )


@pytest.mark.parametrize("cell", CELLS)
def test_what_is_truncated_is_missing(cell: str) -> None:
    """A piece's loss alone does not reach the steps before it; handed back, the state's gradient does."""
    model: Any = make_cell(cell, 3, 7, num_layers=2, dtype="float64")
    given = arguments(model, T, B)
    given["dy"][:6] = 0  # all loss is in the second piece
    whole = run(model, **given)
    _, state, first = model.forward(given["x"][:6], given["state"])
    _, _, second = model.forward(given["x"][6:], state)
    grads = model.backward(second, given["dy"][6:], given["dstate"])
    assert (model.backward(first, given["dy"][:6]).x == 0).all()
    reached = model.backward(first, None, grads.state)
    assert_close({"dx": reached.x}, {"dx": whole["dx"][:6]}, "handed back", gradients=1e-12)
    assert np.abs(whole["dx"][:6]).max() > 1e-6
    name = "weight_hh_l0"
    missing = whole[f"d {name}"] - grads.parameters[name]
    assert_close({"d": reached.parameters[name]}, {"d": missing}, "the missing part", gradients=1e-12)


@pytest.mark.parametrize("cell", CELLS)
def test_a_marked_first_step_needs_no_state(cell: str) -> None:
    """New sequences in the middle of a stream: their rows' carried state, and its gradient, are nothing."""
    model = make_cell(cell, 3, 7, num_layers=2, dtype="float64")
    given = arguments(model, T, B)
    reset = np.zeros((T, B), bool)
    reset[0, [1, 3]] = True
    marked = run(model, **given, reset=reset)
    for part in parts(given["state"]):
        part[:, [1, 3]] = 0
    zeroed = run(model, **given)
    for name in ("dstate 0", "dstate 1"):
        if name in zeroed:
            assert (marked[name][:, [1, 3]] == 0).all()
            assert (zeroed[name][:, [1, 3]] != 0).any()
            zeroed[name][:, [1, 3]] = 0
    assert_same_bits(marked, zeroed)
