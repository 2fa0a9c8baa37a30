"""int8: the bits of the NumPy model on every ISA, whatever the sizes, the batch, the threads and the cuts."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstmfast

from ..helpers import CELLS, ISAS, assert_same_bits, parts, random_state, random_x
from ..pieces import NETWORKS, SHAPES, Shape, random_lengths, random_reset
from .helpers import Int8Model, calls, every_cell, f32, fma, in_both_orders, needs_fma, trained
from .int8 import check, on_every_isa

pytestmark = [needs_fma, pytest.mark.usefixtures("one_thread")]


# The NumPy model.


def test_multiply_adds_round_once() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.standard_normal((2, 3000)).astype(np.float32)
    near = generator.choice([0, 1e-7, 1e-3, 1, 1e4], 3000)  # what cancels most, and what does not
    c = (-(a * b) * (1 + near * generator.standard_normal(3000))).astype(np.float32)
    with np.errstate(all="ignore"):
        got = fma(a, b, c)
    up, down = np.nextafter(got, np.float32(np.inf)), np.nextafter(got, np.float32(-np.inf))
    for n in range(3000):
        exact = Fraction(float(a[n])) * Fraction(float(b[n])) + Fraction(float(c[n]))
        off = abs(Fraction(float(got[n])) - exact)
        assert off <= min(abs(Fraction(float(other[n])) - exact) for other in (up, down))
    # 641 * 6700417 is 2**32 + 1: the sum is 1 + 2**-24 and a bit that float64 has no room for, without
    # which it would be a tie, and go to the even 1.
    a, b = f32([641]), f32([6700417]) * np.float32(2.0**-56)
    assert fma(a, b, f32([1]))[0] == np.float32(1 + 2.0**-23)
    assert fma(-a, b, f32([-1]))[0] == -np.float32(1 + 2.0**-23)


# Every way through the code.


@every_cell
@pytest.mark.parametrize(("num_layers", "bidirectional"), NETWORKS)
def test_every_call(kind: str, proj_size: int, num_layers: int, bidirectional: bool) -> None:
    for model in in_both_orders(kind, proj_size, num_layers, bidirectional):
        made, exact = on_every_isa(model), Int8Model(model)
        for n, arguments in enumerate(calls(model, 7, 5)):
            expected = exact(**arguments)
            for isa, q in made.items():
                assert_same_bits(q(**arguments), expected, f"{isa}, call {n}: ")


SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 67, 129]


@pytest.mark.parametrize("H", SIZES)
def test_odd_sizes(kind: str, H: int) -> None:
    """Words of two or four terms, vectors and panels, full or not."""
    for I in (1, 2, 3, 5, 16, 67):
        model = trained(kind, I, H)
        exact, made = Int8Model(model), on_every_isa(model)
        for B in (1, 7):
            x, state = random_x(model, 3, B), random_state(model, B)
            expected = exact(x, state)
            for isa, q in made.items():
                assert_same_bits(q(x, state), expected, f"{isa}, I={I}, B={B}: ")


@pytest.mark.parametrize("H", [2, 3, 5, 16, 17, 33, 66, 131])
def test_odd_sizes_of_projections(H: int) -> None:
    for P in sorted({1, 2, 3, 15, 16, 17, 31, 65, H - 1}):
        if P >= H:
            continue
        model = trained("lstm", 3, H, proj_size=P, num_layers=2)
        exact, made = Int8Model(model), on_every_isa(model)
        for B in (1, 7):
            x, state = random_x(model, 3, B), random_state(model, B)
            expected = exact(x, state)
            for isa, q in made.items():
                assert_same_bits(q(x, state), expected, f"{isa}, P={P}, B={B}: ")


@settings(max_examples=60)
@given(data=st.data(), cell=st.sampled_from(CELLS))
def test_any_call(data: st.DataObject, cell: tuple[str, int]) -> None:
    kind, proj_size = cell
    model = trained(
        kind,
        data.draw(st.integers(1, 80), label="I"),
        data.draw(st.integers(5, 80), label="H"),
        num_layers=data.draw(st.integers(1, 3), label="layers"),
        bidirectional=data.draw(st.booleans(), label="bidirectional"),
        bias=data.draw(st.booleans(), label="bias"),
        batch_first=data.draw(st.booleans(), label="batch_first"),
        proj_size=proj_size,
        seed=data.draw(st.integers(0, 1000), label="seed"),
        isa=data.draw(st.sampled_from(ISAS), label="isa"),
    )
    T, B = data.draw(st.integers(1, 9), label="T"), data.draw(st.integers(1, 40), label="B")
    lstmfast.set_num_threads(data.draw(st.integers(1, 2), label="threads"))
    x = random_x(model, T, B)
    calibration = x if data.draw(st.booleans(), label="calibrated") else None
    q, exact = model.quantize("int8", calibration), Int8Model(model, calibration)
    axes = (B, T) if model.batch_first else (T, B)
    lengths = data.draw(st.sampled_from([None, random_lengths(T, B)]), label="lengths")
    reset = data.draw(st.sampled_from([None, random_reset(*axes)]), label="reset")
    state = data.draw(st.sampled_from([None, random_state(model, B)]), label="state")
    assert_same_bits(q(x, state, lengths=lengths, reset=reset), exact(x, state, lengths=lengths, reset=reset))


# Shapes of threads, chunks and turns: the NumPy model would take long, but it need see them only once.
SMALL = [name for name, shape in SHAPES.items() if shape.T * shape.B * shape.H < 70_000]


@pytest.mark.parametrize("name", SMALL)
def test_large_calls(name: str) -> None:
    shape = SHAPES[name]
    model = shape.model("float32")
    lengths = random_lengths(shape.T, shape.B)
    check(model, random_x(model, shape.T, shape.B), random_state(model, shape.B), lengths=lengths)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_isas_and_threads(shape: Shape) -> None:
    model = shape.model("float32")
    x, state = random_x(model, shape.T, shape.B), random_state(model, shape.B)
    cut = {"lengths": random_lengths(shape.T, shape.B), "reset": random_reset(shape.T, shape.B)}
    made = on_every_isa(model)
    plain, timed = made[ISAS[0]](x, state), made[ISAS[0]](x, state, **cut)
    for isa, q in made.items():
        for threads in (1, 2, 3, 5):
            lstmfast.set_num_threads(threads)
            for _ in range(2 if threads > 1 else 1):  # a short call is shared only if one came just before
                assert_same_bits(q(x, state), plain, f"{isa}, {threads} threads: ")
            assert_same_bits(q(x, state, **cut), timed, f"{isa}, {threads} threads, cut: ")


ROWS = 53


@every_cell
def test_a_row_depends_on_no_other(kind: str, proj_size: int, isa: str) -> None:
    """Batches of every size, and each row at any place in a tile."""
    model = trained(kind, 5, 18, num_layers=2, bidirectional=True, proj_size=proj_size, isa=isa)
    q = model.quantize("int8")
    x, state = random_x(model, 4, ROWS), random_state(model, ROWS)
    x *= np.exp(np.linspace(-5, 5, ROWS)).astype(np.float32)[:, np.newaxis]  # every row its own scale
    y, end = q(x, state)
    generator = np.random.default_rng(0)
    for size in (*range(1, 27), 47, 48, 49, ROWS):
        rows = generator.permutation(ROWS)[:size]
        few, few_end = q(x[:, rows], rows_of(state, rows))
        assert_same_bits(few, y[:, rows], f"{size} rows: ")
        assert_same_bits(few_end, rows_of(end, rows), f"{size} rows: ")


def rows_of(state: Any, rows: Any) -> Any:
    """The state of some rows."""
    picked = [np.ascontiguousarray(half[:, rows]) for half in parts(state)]
    return tuple(picked) if isinstance(state, tuple) else picked[0]


@every_cell
@pytest.mark.parametrize("B", [1, 3, 33])
def test_cuts_in_time(kind: str, proj_size: int, isa: str, B: int) -> None:
    model = trained(kind, 5, 19, num_layers=2, proj_size=proj_size, isa=isa)
    q = model.quantize("int8", random_x(model, 3, 2))
    x, state = random_x(model, 40, B), random_state(model, B)
    whole = q(x, state)
    for cuts in ([*range(1, 40)], [1], [39], [16, 17], [5, 21]):
        ys, carried = [], state
        for begin, end in itertools.pairwise([0, *cuts, 40]):
            y, carried = q(x[begin:end], carried)
            ys.append(y)
        assert_same_bits((np.concatenate(ys), carried), whole, f"{cuts}: ")


@every_cell
def test_repeatable(kind: str, proj_size: int, isa: str) -> None:
    """Nothing is left over from calls before, whatever they were."""
    model = trained(kind, 5, 19, num_layers=2, proj_size=proj_size, isa=isa)
    q = model.quantize("int8")
    x = random_x(model, 9, 5)
    first = q(x)
    kept = plain_copy(first)
    for other in (x * 1e30, x * np.float32(np.nan), x[:1], x[:, :1]):
        q(other)
        assert_same_bits(q(x), kept)
    assert_same_bits(first, kept)


def plain_copy(results: Any) -> Any:
    """Copies of all arrays."""
    return tuple(map(plain_copy, results)) if isinstance(results, tuple) else results.copy()
