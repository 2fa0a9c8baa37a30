"""`out=`: results in the caller's arrays, the same bits, and nothing written where a call is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..core_helpers import state_like, unaligned
from ..helpers import assert_same_bits, has_memory, make, parts, random_state, random_x
from ..traced import python_memory

OPTIONS: list[dict[str, Any]] = [{}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True}]


def empty_like(results: Any) -> Any:
    """Arrays of a result's shapes, full of NaN."""
    y, state = results
    arrays = [np.full_like(part, np.nan) for part in parts(state)]
    return np.full_like(y, np.nan), (tuple(arrays) if isinstance(state, tuple) else arrays[0])


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(("T", "B", "H"), [(1, 1, 5), (7, 3, 17), (9, 2, 90)])
def test_the_same_bits(
    kind: str, dtype: str, isa: str, options: dict[str, Any], T: int, B: int, H: int
) -> None:
    model = make(kind, 4, H, dtype=dtype, isa=isa, **options)
    x, state = random_x(model, T, B), random_state(model, B)
    for before in (None, state):
        expected = model(x, before)
        out = empty_like(expected)
        assert model(x, before, out=out) is out
        assert_same_bits(out, expected)
        # The way through Python: a call that the fast one does not take.
        slow = empty_like(expected)
        assert model(x=x, state=before, out=slow) is slow
        assert_same_bits(slow, expected)


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("T", [0, 1, 2, 30])
def test_a_state_in_place(kind: str, isa: str, options: dict[str, Any], by_name: bool, T: int) -> None:
    model = make(kind, 4, 40, isa=isa, **options)
    x, state = random_x(model, T, 3), random_state(model, 3)
    y, end = model(x, state)
    out = (np.empty_like(y), state)
    got = model(x=x, state=state, out=out) if by_name else model(x, state, out=out)
    assert got is out
    assert_same_bits(got, (y, end))


@pytest.mark.parametrize("options", [{}, {"num_layers": 3}, {"num_layers": 2, "bidirectional": True}])
def test_a_state_in_place_and_shared(kind: str, threads: None, options: dict[str, Any]) -> None:
    """Threads that share a step's panels read the old state to its end: none may write the new one before."""
    model = make(kind, 20, 700 if kind == "lstm" else 1400, **options)
    lstmfast.set_num_threads(3)
    x, state = random_x(model, 1, 1), random_state(model, 1)
    expected = state
    out = (model(x)[0], state_like(model, *(part.copy() for part in (*parts(state), parts(state)[0])[:2])))
    for _ in range(40 if options else 300):
        expected = model(x, expected)[1]
        model(x, out[1], out=out)
        assert_same_bits(out[1], expected)


def test_unbatched(kind: str) -> None:
    for batch_first in (False, True):
        model = make(kind, 4, 6, batch_first=batch_first)
        x = random_x(model, 5, 1)
        x = x[0] if batch_first else x[:, 0]
        expected = model(x)
        out = empty_like(expected)
        assert model(x, out=out) is out
        assert_same_bits(out, expected)


def test_strided_inputs_may_lie_anywhere_else(kind: str) -> None:
    model = make(kind, 4, 6)
    wide = random_x(model, 10, 3)
    expected = model(wide[::2])
    out = empty_like(expected)
    model(wide[::2], out=out)
    assert_same_bits(out, expected)


@pytest.mark.alone
def test_a_step_allocates_nothing() -> None:
    """Beside the core's own (tests/core/test_memory.cpp): no array and no tuple either."""
    model = make("lstm", 4, 64)
    x, state = random_x(model, 1, 1), random_state(model, 1)
    out = (np.empty((1, 1, 64), np.float32), state)

    def run() -> None:
        for _ in range(100):
            model(x, state, out=out)

    run()
    # The interpreter's own: the arguments' tuple and dict. One array more would make some 400 of it, and the
    # way through Python some 650.
    assert python_memory(run)[1] < 250


def frozen(array: Any) -> Any:
    array.flags.writeable = False
    return array


def with_h(end: Any, h: Any) -> Any:
    """A state with another h."""
    return (h, end[1]) if isinstance(end, tuple) else h


SPOILED: dict[str, tuple[Callable[[Any], Any], type[Exception]]] = {
    "dtype": (lambda a: a.astype("float16"), TypeError),
    "byte order": (lambda a: a.astype(a.dtype.newbyteorder()), TypeError),
    "list": (lambda a: a.tolist(), TypeError),
    "None": (lambda a: None, TypeError),
    "shape": (lambda a: a[..., :-1].copy(), ValueError),
    "axes": (lambda a: a.reshape(-1), ValueError),
    "order": (np.asfortranarray, ValueError),
    "strided": (lambda a: np.repeat(a, 2, axis=-1)[..., ::2], ValueError),
    "read-only": (frozen, ValueError),
    "alignment": (unaligned, ValueError),
    "masked": (np.ma.masked_array, TypeError),
}


@pytest.mark.parametrize("by_name", [False, True])
@pytest.mark.parametrize("name", SPOILED)
def test_bad_arrays(kind: str, name: str, by_name: bool) -> None:
    spoil, error = SPOILED[name]
    model = make(kind, 3, 6, num_layers=2)
    x, state = random_x(model, 5, 3), random_state(model, 3)
    y, end = empty_like(model(x, state))
    for out, what in (
        ((spoil(y.copy()), end), "out: y"),
        ((y, with_h(end, spoil(parts(end)[0].copy()))), "out: h_n"),
    ):
        with pytest.raises(error, match=what):
            _ = model(x=x, state=state, out=out) if by_name else model(x, state, out=out)
    assert np.isnan(y).all()


@pytest.mark.parametrize("by_name", [False, True])
def test_shared_memory(kind: str, by_name: bool) -> None:
    """All places lie in one array here: x, a state of two layers and what would be written."""
    model = make(kind, 6, 6, num_layers=2)
    memory = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    size, half = 5 * 3 * 6, 2 * 3 * 6

    def place(start: int, *shape: int) -> Any:
        return memory[start : start + int(np.prod(shape))].reshape(shape)

    x, h0, c0 = place(0, 5, 3, 6), place(200, 2, 3, 6), place(300, 2, 3, 6)
    state = state_like(model, h0, c0)
    good = (place(400, 5, 3, 6), state_like(model, place(600, 2, 3, 6), place(700, 2, 3, 6)))
    model(x, state, out=good)  # side by side is apart
    before = memory.copy()
    wrong_y = [0, 6, size - 1, 200, 200 + half - 1, 600, 600 - size + 1]
    wrong_h = [0, size - 1, 201, 200 + half - 1, 200 - half + 1, 400, 400 + size - 1]
    if has_memory(kind):
        wrong_y += [300, 700]
        wrong_h += [300, 301, 700, 700 + half - 1]
    bad = [(place(start, 5, 3, 6), good[1]) for start in wrong_y]
    bad += [(good[0], with_h(good[1], place(start, 2, 3, 6))) for start in wrong_h]
    if has_memory(kind):
        bad += [
            (good[0], (good[1][0], place(start, 2, 3, 6)))
            for start in (
                0,
                size - 1,
                200,
                200 + half - 1,
                301,
                300 - half + 1,
                400,
                400 + size - 1,
                600,
                600 - half + 1,
            )
        ]
    for out in bad:
        with pytest.raises(ValueError, match=r"out: .*expected memory of its own"):
            _ = model(x=x, state=state, out=out) if by_name else model(x, state, out=out)
    np.testing.assert_array_equal(memory, before)


def test_no_pair(kind: str) -> None:
    model = make(kind, 3, 6)
    x = random_x(model, 5, 2)
    y, end = model(x)
    for out, error in ((y, TypeError), ((y, end, end), ValueError), ((), ValueError), ({"y": y}, TypeError)):
        with pytest.raises(error, match="out: expected"):
            model(x, out=out)
    for bad in (None, 3, [1], (y, y, y)):
        with pytest.raises((TypeError, ValueError), match="out: "):
            model(x, out=(y, bad))


def test_halves_must_differ() -> None:
    model = make("lstm", 3, 6)
    x, state = random_x(model, 5, 2), random_state(model, 2)
    y, (h, c) = model(x, state)
    for bad in ((y, (h, h)), (y, (state[1], c)), (y, (h, state[0]))):
        with pytest.raises(ValueError, match="expected memory of its own"):
            model(x, state, out=bad)
