"""Rows of different lengths: each gives what it gives alone, and what is past its end is no matter."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import lstmfast

from ...core_helpers import Model, assert_close, from_reference, ours
from ...helpers import (
    Array,
    assert_same_bits,
    everything,
    make,
    parts,
    random_call,
    random_state,
    random_x,
)
from ...pieces import Shape, assert_pieces, every_cell, every_network, every_shape, random_lengths
from ...torch_helpers import BOUNDS, from_torch

T = 7
LENGTHS = [3, T, 0, 1, T, 5]


@pytest.fixture(autouse=True)
def _one_thread(threads: None) -> None:
    lstmfast.set_num_threads(1)


def call_of(shape: Shape, dtype: str, isa: str | None = None) -> tuple[Model, Any, Array]:
    """A model, its arguments and lengths."""
    model = shape.model(dtype, isa)
    return model, random_call(model, shape.T, shape.B), random_lengths(shape.T, shape.B)


def past_the_end(lengths: Any, steps: int) -> Array:
    """[T, B]: where rows have ended."""
    ended: Array = np.arange(steps)[:, np.newaxis] >= lengths
    return ended


@every_network
@every_cell
def test_reference(isa: str, kind: str, proj_size: int, num_layers: int, bidirectional: bool) -> None:
    for batch_first, with_state, recompute in itertools.product((False, True), repeat=3):
        model = make(
            kind,
            5,
            9,
            num_layers=num_layers,
            bidirectional=bidirectional,
            batch_first=batch_first,
            proj_size=proj_size,
            dtype="float64",
            isa=isa,
        )
        arguments = random_call(model, T, len(LENGTHS), with_state=with_state)
        results = everything(model, *arguments, lengths=LENGTHS, recompute=recompute)
        assert_close(ours(results), from_reference(model, *arguments, lengths=LENGTHS), str(model))
        for name in [name for name in results if name.startswith("called")]:
            forward = results["y" if name == "called" else name.removeprefix("called ")]
            assert_same_bits(results[name], forward, name)


@every_shape
def test_reference_of_large_calls(shape: Shape) -> None:
    model, arguments, lengths = call_of(shape, "float64")
    results = ours(everything(model, *arguments, lengths=lengths))
    assert_close(results, from_reference(model, *arguments, lengths=lengths), str(model))


@every_shape
def test_rows_alone(dtype: str, isa: str, shape: Shape) -> None:
    model, arguments, lengths = call_of(shape, dtype, isa)
    assert_pieces(model, arguments, lengths)


@every_shape
def test_threads(dtype: str, shape: Shape) -> None:
    model, arguments, lengths = call_of(shape, dtype)
    one = everything(model, *arguments, lengths=lengths)
    for threads in (2, 3, 5):
        lstmfast.set_num_threads(threads)
        for _ in range(2):  # a short call is shared only if one came just before
            assert_same_bits(everything(model, *arguments, lengths=lengths), one, f"{threads} threads: ")


@every_shape
def test_results_follow_their_rows(dtype: str, shape: Shape) -> None:
    model, (x, state, dy, dstate), lengths = call_of(shape, dtype)
    whole = everything(model, x, state, dy, dstate, lengths=lengths)

    def picked(value: Any, order: Array) -> Any:
        if isinstance(value, tuple):
            return tuple(part[:, order] for part in value)
        return value[:, order]

    lstmfast.set_num_threads(2)  # which share rows by turns, longest first: others than before
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(shape.B)
        arguments = [picked(value, order) for value in (x, state, dy, dstate)]
        shuffled = everything(model, *arguments, lengths=lengths[order])
        for name, array in whole.items():
            if not name.startswith("d "):  # a sum over the rows
                assert_same_bits(shuffled[name], array[:, order], name)


@every_cell
def test_what_is_past_the_end_is_not_read(dtype: str, isa: str, kind: str, proj_size: int) -> None:
    model = make(kind, 5, 9, num_layers=2, bidirectional=True, proj_size=proj_size, dtype=dtype, isa=isa)
    x, state, dy, dstate = random_call(model, T, len(LENGTHS))
    expected = everything(model, x, state, dy, dstate, lengths=LENGTHS)
    ended = past_the_end(LENGTHS, T)
    for name in ("called", "y", "dx"):
        assert_same_bits(expected[name][ended], np.zeros_like(expected[name][ended]), name)
        assert np.all(np.any(expected[name][~ended], axis=-1)), name
    for spoilt in (np.nan, np.inf, -1e30):
        x[ended] = dy[ended] = spoilt
        assert_same_bits(everything(model, x, state, dy, dstate, lengths=LENGTHS), expected)


@every_cell
def test_row_without_steps_keeps_its_state(dtype: str, isa: str, kind: str, proj_size: int) -> None:
    model = make(kind, 5, 9, num_layers=2, bidirectional=True, proj_size=proj_size, dtype=dtype, isa=isa)
    for lengths in (LENGTHS, [0] * len(LENGTHS)):
        arguments = random_call(model, T, len(LENGTHS))
        results = everything(model, *arguments, lengths=lengths)
        empty = np.flatnonzero(np.equal(lengths, 0))
        for n, (initial, dlast) in enumerate(zip(*map(parts, arguments[1::2]), strict=True)):
            assert_same_bits(results[f"state {n}"][:, empty], initial[:, empty])
            assert_same_bits(results[f"dstate {n}"][:, empty], dlast[:, empty])
    for name in model.parameters:  # of the last call, in which no row has a step
        assert not results[f"d {name}"].any(), name


@every_cell
def test_unbatched(dtype: str, kind: str, proj_size: int) -> None:
    """It is a batch of one row."""

    def with_rows(value: Any, axis: int) -> Any:
        if isinstance(value, tuple):
            return tuple(np.expand_dims(part, axis) for part in value)
        return np.expand_dims(value, axis)

    for batch_first, length in itertools.product((False, True), (0, 1, 4, T)):
        options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "batch_first": batch_first}
        model = make(kind, 5, 9, proj_size=proj_size, dtype=dtype, **options)
        arguments = random_call(model, T, None)
        axes = (0, 1, 0, 1) if batch_first else (1, 1, 1, 1)  # of x, state, dy and dstate
        batch = [with_rows(value, axis) for value, axis in zip(arguments, axes, strict=True)]
        results = everything(model, *arguments, lengths=length)
        for name, array in everything(model, *batch, lengths=[length]).items():
            axis = 1 if "state" in name else axes[0]
            assert_same_bits(results[name], array if name.startswith("d ") else array.squeeze(axis), name)


@every_cell
def test_out(dtype: str, kind: str, proj_size: int) -> None:
    """Zeros past the ends are written, too; and the new state may replace the old."""
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "proj_size": proj_size}
    for batch_first in (False, True):
        model = make(kind, 5, 9, dtype=dtype, batch_first=batch_first, **options)
        x, state = random_x(model, T, len(LENGTHS)), random_state(model, len(LENGTHS))
        expected_y, expected_state = model(x, state, lengths=LENGTHS)
        y = np.full_like(expected_y, np.nan)
        out = (y, state)
        assert model(x, state, lengths=LENGTHS, out=out) is out
        assert_same_bits(y, expected_y)
        assert_same_bits(parts(state), parts(expected_state))


def test_calls_with_large_weights(isa: str) -> None:
    """So large (34 MB) that several steps' input products are made at once although rows fill the tiles."""
    model = make("rnn_tanh", 2600, 1900, isa=isa)
    lengths = [5, 3, 5, 5, 2, 5, 0, 5]
    x, state = random_x(model, 5, 8), random_state(model, 8)
    y, end = model(x, state, lengths=lengths)
    for row in (1, 2, 4):
        length = lengths[row]
        alone = model(x[:length, row : row + 1], np.ascontiguousarray(state[:, row : row + 1]))
        assert_same_bits(alone, (y[:length, row : row + 1], end[:, row : row + 1]))
        assert not y[length:, row].any()


# PyTorch's packed sequences, whose rows have a step at least.

PACKED = [3, T, 2, 1, T, 5]


@every_network
@every_cell
@pytest.mark.usefixtures("torch")
def test_pytorch(dtype: str, kind: str, proj_size: int, num_layers: int, bidirectional: bool) -> None:
    for batch_first, with_state, bias in itertools.product((False, True), repeat=3):
        model = make(
            kind,
            6,
            11,
            num_layers=num_layers,
            bidirectional=bidirectional,
            bias=bias,
            batch_first=batch_first,
            proj_size=proj_size,
            dtype=dtype,
        )
        arguments = random_call(model, T, len(PACKED), with_state=with_state)
        expected = from_torch(model, *arguments, lengths=PACKED)
        results = ours(everything(model, *arguments, lengths=PACKED))
        assert_close(results, expected, str(model), *BOUNDS[dtype])


@pytest.mark.parametrize("shape", [Shape(T=300, B=3, I=5, H=24), Shape(T=20, B=40, I=16, H=48)])
@pytest.mark.usefixtures("torch")
def test_pytorch_of_longer_calls(dtype: str, isa: str, shape: Shape) -> None:
    model, arguments, lengths = call_of(shape, dtype, isa)
    lengths = np.maximum(lengths, 1)
    expected = from_torch(model, *arguments, lengths=lengths)
    results = ours(everything(model, *arguments, lengths=lengths))
    assert_close(results, expected, str(model), *BOUNDS[dtype])
