"""Sizes at every edge of a vector, a tile, a panel, a group and a chunk of time, against the reference.

lanes      1 (scalar), 8 and 4 (avx2), 16 and 8 (avx512), 4 and 2 (neon) numbers of float32 and float64
row tile   3 (scalar, avx2) or 6 (avx512, neon) rows; groups of 8 tiles: 24 or 48 rows
panel      4 vectors: 4 blocks of units (RNN) or 4 gates of one (LSTM); with one row 8 panels are a group
time       forward, too few rows to fill tiles: input products of as many steps as 64 KiB of z hold, or more
           where W_ih is larger
           backward: chunks of as many steps as 512 KiB of dz hold, but of 128 terms at least
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstmfast

from ...core_helpers import Model, assert_close, from_reference, ours, state_like
from ...helpers import DTYPES, ISAS, KINDS, assert_same_bits, everything, gates_of, make, parts, random

VECTOR_EDGES = [n + d for n in (8, 16, 32, 48, 64, 128) for d in (-1, 0, 1)]
SIZES = sorted({*range(1, 10), 11, 13, 23, 37, *VECTOR_EDGES})
ROWS = [*range(1, 10), 11, 12, 13, 17, 18, 19, 23, 24, 25, 31, 47, 48, 49, 50, 71, 73, 95, 96, 97, 101]

# Forward, gradients, and what gradients are relative to at least. All numbers here are of order 1: an element
# that is lost, doubled or taken from elsewhere is off by a thousand times what float32 rounds away.
BOUNDS = {"float64": (1e-12, 1e-10, 0.0), "float32": (3e-6, 2e-5, 1.0)}

MERGED_BYTES = 64 * 1024
CHUNK_BYTES = 512 * 1024


@pytest.fixture(autouse=True)
def _one_thread(threads: None) -> None:
    lstmfast.set_num_threads(1)


def check(model: Model, T: int, B: int, seed: int = 1) -> None:
    """Compare all results, with an initial state and gradients of everything, with the reference's."""
    D = 2 if model.bidirectional else 1
    depth = model.num_layers * D
    axes = (B, T) if model.batch_first else (T, B)
    I, H, dtype = model.input_size, model.hidden_size, model.dtype
    x = random((*axes, I), dtype, seed, scale=I**-0.5)
    dy = random((*axes, D * H), dtype, seed + 40)
    h, c, dh, dc = (random((depth, B, H), dtype, seed + 50 + n) for n in range(4))
    arguments = x, state_like(model, h, c), dy, state_like(model, dh, dc)
    what = f"{model}, T={T}, B={B}, {model.isa}"
    truth = from_reference(model, *arguments)
    assert_close(ours(everything(model, *arguments)), truth, what, *BOUNDS[dtype.name])


def test_hidden_size(kind: str, dtype: str, isa: str) -> None:
    for H in SIZES:
        check(make(kind, 3, H, dtype=dtype, isa=isa), 3, 2)


def test_input_size(kind: str, dtype: str, isa: str) -> None:
    for I in SIZES:
        check(make(kind, I, 5, dtype=dtype, isa=isa), 2, 3)


def test_rows(kind: str, dtype: str, isa: str) -> None:
    for B in ROWS:
        check(make(kind, 3, 17, dtype=dtype, isa=isa), 2, B)


def test_all_sizes_equal(kind: str, dtype: str, isa: str) -> None:
    """Square matrices, which nothing but their numbers can tell from their transposes."""
    for n in (1, 2, 3, 4, 7, 8, 16, 17):
        check(make(kind, n, n, num_layers=2, bidirectional=True, dtype=dtype, isa=isa), n, n)


@pytest.mark.parametrize("batch_first", [False, True])
def test_layers_of_odd_sizes(kind: str, dtype: str, isa: str, batch_first: bool) -> None:
    """Each direction writes its half of rows whose other half is the other's, at odd offsets."""
    for H in (1, 5, 9, 17):
        for B in (1, 3, 7):
            options: dict[str, Any] = {"num_layers": 3, "bidirectional": True, "batch_first": batch_first}
            check(make(kind, 4, H, dtype=dtype, isa=isa, **options), 4, B)


@pytest.mark.parametrize("terms", [63, 64, 65, 127, 128, 129, 257, 511, 512, 513, 1023, 1024, 1025])
def test_long_chains(kind: str, dtype: str, isa: str, terms: int) -> None:
    """x's k runs over I, and that of dz over H."""
    check(make(kind, terms, 2, dtype=dtype, isa=isa), 1, 7)
    if terms <= 257:
        check(make(kind, 1, terms, dtype=dtype, isa=isa), 2, 7)


@pytest.mark.parametrize("H", [127, 128, 129, 257, 513])
def test_groups_of_panels(kind: str, dtype: str, isa: str, H: int) -> None:
    """One row takes 8 panels at once, two in a pass: up to 128 units of an LSTM, 512 of an RNN."""
    for B in (1, 2, 3):
        check(make(kind, 2, H, dtype=dtype, isa=isa), 2 if H < 500 else 1, B)


def test_no_rows_and_no_steps(kind: str, dtype: str, isa: str) -> None:
    for options in ({}, {"num_layers": 3, "bidirectional": True}, {"batch_first": True, "bias": False}):
        model = make(kind, 3, 5, dtype=dtype, isa=isa, **options)
        for T, B in ((0, 0), (0, 1), (0, 7), (1, 0), (7, 0), (1, 1)):
            check(model, T, B)


def test_no_steps_hand_the_state_through(kind: str, dtype: str, isa: str) -> None:
    model = make(kind, 3, 5, dtype=dtype, isa=isa, num_layers=2)
    h, c, dh, dc = (random((2, 4, 5), dtype, seed) for seed in range(4))
    state, dstate = state_like(model, h, c), state_like(model, dh, dc)
    results = everything(model, np.zeros((0, 4, 3), dtype), state, np.zeros((0, 4, 5), dtype), dstate)
    for n, (before, after) in enumerate(zip(parts(state), parts(dstate), strict=True)):
        assert_same_bits(results[f"called state {n}"], before)
        assert_same_bits(results[f"state {n}"], before)
        assert_same_bits(results[f"dstate {n}"], after)
    assert not any(array.any() for name, array in results.items() if name.startswith("d "))


def around(chunk: int) -> list[int]:
    """Numbers of steps at the edges of one and of two chunks."""
    return [chunk - 1, chunk, chunk + 1, 2 * chunk, 2 * chunk + 1]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("B", [1, 2, 5])
def test_chunks_of_the_input_product(kind: str, dtype: str, isa: str, B: int, bidirectional: bool) -> None:
    """Too few rows to fill tiles: steps whose 64 KiB of z are made at once."""
    H = 256 // gates_of(kind)  # whole panels on every ISA
    gates = 256 * np.dtype(dtype).itemsize
    model = make(kind, 2, H, dtype=dtype, isa=isa, bidirectional=bidirectional, batch_first=bidirectional)
    for T in around(MERGED_BYTES // (B * gates)):
        x = random((B, T, 2) if bidirectional else (T, B, 2), dtype)
        state = [random((2 if bidirectional else 1, B, H), dtype, n) for n in (1, 2)]
        y, end = model(x, state_like(model, state[0], state[1]))
        truth = from_reference(model, x, state_like(model, state[0], state[1]), np.zeros_like(y), None)
        actual = {"y": y, **{f"state {n}": array for n, array in enumerate(parts(end))}}
        expected = {name: array for name, array in truth.items() if name in actual}
        assert_close(actual, expected, f"T={T}", *BOUNDS[dtype])


@pytest.mark.parametrize(("H", "B"), [(64, 16), (65, 33)])
def test_chunks_of_the_backward_pass(kind: str, dtype: str, isa: str, H: int, B: int) -> None:
    """Steps whose 512 KiB of dz are made before dx and the parameters' gradients are."""
    gate_bytes = gates_of(kind) * H * np.dtype(dtype).itemsize
    chunk = CHUNK_BYTES // (B * gate_bytes)
    for T in around(chunk)[1:3]:
        check(make(kind, 3, H, dtype=dtype, isa=isa), T, B)
    check(make(kind, 3, H, dtype=dtype, isa=isa, bidirectional=True, batch_first=True), 2 * chunk + 1, B)


@pytest.mark.parametrize(
    ("H", "B", "T"),
    [
        (300, 10, 25),  # chunks of 12 steps, because 128 terms are more than 512 KiB of dz
        (64, 600, 3),  # chunks of one step, more than 512 KiB each
        (600, 1, 130),  # chunks of 128 steps of one row
    ],
)
def test_chunks_of_few_steps(dtype: str, isa: str, H: int, B: int, T: int) -> None:
    check(make("lstm", 2, H, dtype=dtype, isa=isa), T, B)


@settings(max_examples=100)
@given(
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(DTYPES),
    isa=st.sampled_from(ISAS),
    I=st.sampled_from(SIZES),
    H=st.sampled_from([n for n in SIZES if n <= 65]),
    B=st.sampled_from([0, *ROWS]),
    T=st.integers(0, 5),
    num_layers=st.integers(1, 2),
    bidirectional=st.booleans(),
    bias=st.booleans(),
    batch_first=st.booleans(),
)
def test_edges_together(
    kind: str, dtype: str, isa: str, I: int, H: int, B: int, T: int, **options: Any
) -> None:
    check(make(kind, I, H, dtype=dtype, isa=isa, **options), T, B)
