"""Every mistake with a pool gets an error that names the argument, and leaves all states and ids alone."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..core_helpers import unaligned
from ..helpers import assert_same_bits, make, parts, random, random_state
from .helpers import STEPS

SLOTS = 2**24  # by which ids of one place differ
HUGE = 10**5000  # str() refuses it


def used_pool(kind: str = "lstm", dtype: str = "float32", **options: Any) -> tuple[Any, list[int], list[int]]:
    """A pool of six, three open streams of it, and two closed ones."""
    pool = make(kind, 3, 5, num_layers=2, dtype=dtype, **options).stream_pool(6)
    ids = [pool.open() for _ in range(5)]
    pool.set_state(ids, random_state(pool.model, 5))
    pool.step(ids, random((5, 3), dtype))
    closed = [ids.pop(3), ids.pop(1)]
    pool.close(closed)
    return pool, ids, closed


def all_of(pool: Any) -> list[Any]:
    """All that a mistake could have changed."""
    numbers = [pool.capacity, len(pool), pool.nbytes]
    return [np.array(numbers), pool.ids, pool._core.saved()[0], *parts(pool.state(pool.ids))]


def refuse(
    pool: Any, error: Any, message: str, call: Callable[..., Any], *arguments: Any, **named: Any
) -> None:
    """Check that a call raises an error with a message of this beginning, and changes nothing."""
    before = all_of(pool)
    with pytest.raises(error, match=f"^{re.escape(message)}"):
        call(*arguments, **named)
    assert_same_bits(all_of(pool), before)


def refuse_step(pool: Any, error: Any, message: str, ids: Any, x: Any, **named: Any) -> None:
    """Likewise of a step, by both ways."""
    for step in STEPS.values():
        refuse(pool, error, message, step, pool, ids, x, **named)


def bad_ids(open: list[int], closed: list[int]) -> list[tuple[Any, type[Exception], str]]:
    """What no call takes for ids, and what it says of them."""
    a, b, _ = open
    never = [-1, -a - 1, -(2**63), 5, 6, SLOTS - 1, a + SLOTS, a - SLOTS, closed[0] + 3 * SLOTS, 10**6]
    never += [2**62, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**64)]
    cases: list[tuple[Any, type[Exception], str]] = []
    for id in never:
        cases += [(id, ValueError, f"expected open streams, got {id}, which this pool never gave")]
        cases += [([b, id, a], ValueError, f"expected open streams, got {id}, which this pool never gave")]
    for id in closed:
        for ids in (id, [id], [a, id], [id, a], np.array([b, a, id, -1])):
            cases += [(ids, ValueError, f"expected open streams, got {id}, which is closed")]
    for ids in ([a, a], [b, a, b], [a] * 20, np.array([a, b] * 9, "uint8")):
        cases += [(ids, ValueError, f"expected each stream once, got {ids[0]} twice")]
    shapes: list[Any] = [[[a, b]], [[a], [b]], np.zeros((0, 2), int), np.full((1, 1, 1), a)]
    cases += [(ids, ValueError, "expected one axis [n], or one id, got (") for ids in shapes]
    cases += [([a, [b]], ValueError, "expected integers, got a list of length 2: ")]
    kinds: list[Any] = [
        float(a),
        [float(a)],
        np.array([a, b], "float32"),
        np.zeros(0),
        1j,
        np.nan,
    ]
    kinds += [
        "0",
        str(a),
        b"0",
        [str(a)],
        "",
        None,
        [None],
        [a, None],
        {a},
        {a: b},
        object(),
        slice(None),
        pytest,
    ]
    kinds += [True, False, np.True_, [True, False], np.ones(2, bool), np.ma.masked_array([a, b])]
    kinds += [np.array([a], object), np.array([a], "m8[s]"), np.array([a], "M8[s]")]
    return cases + [(ids, TypeError, "expected integers, got ") for ids in kinds]


def test_ids(kind: str, dtype: str) -> None:
    pool, open, closed = used_pool(kind, dtype)
    for ids, error, message in bad_ids(open, closed):
        shape = np.shape(ids) if message.startswith(("expected open", "expected each")) else ()
        message = f"ids: {message}"
        for call in (pool.close, pool.reset, pool.state, lambda ids: pool.set_state(ids, None)):
            refuse(pool, error, message, call, ids)
        x = np.ones((*shape[:1], 3), dtype)
        refuse_step(pool, error, message, ids, x)
        out = np.full((*shape[:1], 5), 7, dtype)
        refuse_step(pool, error, message, ids, x, out=out)
        assert (out == 7).all()


@pytest.mark.parametrize(
    "shape", [(), (3,), (2,), (2, 4), (3, 2), (3, 3), (1, 3), (2, 3, 1), (1, 2, 3), (0, 3), (6,)]
)
def test_shape_of_x(kind: str, shape: tuple[int, ...]) -> None:
    pool, (a, b, _), _ = used_pool(kind)
    message = f"x: expected shape (2, 3) [n, I], got {shape}"
    refuse_step(pool, ValueError, message, [a, b], np.ones(shape, "float32"))
    refuse_step(
        pool, ValueError, message, np.array([a, b]), np.ones(shape, "float32"), out=np.ones((2, 5), "float32")
    )


def test_x_of_one_id() -> None:
    pool, (a, _, _), _ = used_pool()
    for ids in (a, [a], np.array([a])):
        for shape in ((), (2,), (4,), (2, 3), (1, 4), (1, 1, 3), (0, 3)):
            message = f"x: expected shape (1, 3) [n, I] or (3,) [I], got {shape}"
            refuse_step(pool, ValueError, message, ids, np.ones(shape, "float32"))
    message = "x: expected [I] of one id, or [n, I] of ids [n], got "
    for one in (a, np.int64(a), np.array(a)):
        refuse_step(pool, ValueError, f"{message}one id with x [n, I]", one, np.ones((1, 3), "float32"))
    for several in ([a], (a,), np.array([a])):
        refuse_step(pool, ValueError, f"{message}ids [n] with x [I]", several, np.ones(3, "float32"))


NO_NUMBERS: list[Any] = [
    np.zeros((2, 3), kind) for kind in ("complex64", "object", "U3", "S3", "M8[s]", "m8[s]")
]
NO_NUMBERS += [None, "x", {"a": 1}, object(), np.ma.masked_array(np.zeros((2, 3))), 10**100, [["a"]]]


def test_x_that_is_no_array_of_numbers() -> None:
    pool, (a, b, _), _ = used_pool()
    for x in NO_NUMBERS:
        for ids in ([a, b], np.array([a, b])):
            refuse_step(pool, TypeError, "x: expected an array of real numbers, got ", ids, x)


def test_out() -> None:
    pool, (a, b, _), _ = used_pool()
    both = np.full(16, 7, "float32")
    out, read_only, x = both[:10].reshape(2, 5), np.full((2, 5), 7, "float32"), random((2, 3))
    read_only.flags.writeable = False
    mistakes: list[tuple[Any, type[Exception], str]] = [
        ([[0] * 5] * 2, TypeError, "expected an array of shape (2, 5) [n, H], got a list of length 2"),
        (True, TypeError, "expected an array of shape (2, 5) [n, H], got True"),
        (np.ma.masked_array(out), TypeError, "expected an array of shape (2, 5) [n, H], got a masked array"),
        (out.astype("float64"), TypeError, "expected an array of dtype float32, got "),
        (out.astype(">f4"), TypeError, "expected an array of dtype float32, got "),
        (both[:5], ValueError, "expected shape (2, 5) [n, H], got (5,)"),
        (both[:15].reshape(3, 5), ValueError, "expected shape (2, 5) [n, H], got (3, 5)"),
        (out[None], ValueError, "expected shape (2, 5) [n, H], got (1, 2, 5)"),
        (both[:6].reshape(2, 3), ValueError, "expected shape (2, 5) [n, H], got (2, 3)"),
        (np.asfortranarray(out), ValueError, "expected an aligned array in C order, got one that is not"),
        (
            np.repeat(out, 2, axis=1)[:, ::2],
            ValueError,
            "expected an aligned array in C order, got one that is",
        ),
        (unaligned(out), ValueError, "expected an aligned array in C order, got one that is not"),
        (read_only, ValueError, "expected a writeable array, got one that is read-only"),
    ]
    for wrong, error, message in mistakes:
        for ids in ([a, b], np.array([a, b])):
            refuse_step(pool, error, f"out: {message}", ids, x, out=wrong)
            assert not isinstance(wrong, np.ndarray) or (wrong == 7).all()
    for first in (0, 4, 9, 10):
        shared = both[first : first + 6].reshape(2, 3)
        if first < 10:
            message = "out: expected memory of its own, got some that x has, too"
            refuse_step(pool, ValueError, message, np.array([a, b]), shared, out=out)
    refuse_step(pool, ValueError, "out: expected shape (5,) [H], got (1, 5)", a, x[0], out=out[:1])
    refuse_step(pool, ValueError, "out: expected shape (1, 5) [n, H], got (5,)", [a], x[:1], out=out[0])
    assert (both == 7).all()


def test_a_wrong_call() -> None:
    pool, (a, b, _), _ = used_pool()
    x = random((2, 3))
    for arguments in ((), ([a, b],), ([a, b], x, None), ([a, b], x, x)):
        refuse(pool, TypeError, "", pool.step, *arguments)
    for named in ({"y": None}, {"x": x}, {"out": None, "state": None}):
        refuse(pool, TypeError, "", pool.step, [a, b], x, **named)


ZERO = np.zeros((2, 2, 5))
STATES: list[tuple[Any, type[Exception], str]] = [
    (ZERO, TypeError, "state: expected a pair (h, c), got an array"),
    ((ZERO,), ValueError, "state: expected a pair (h, c), got a tuple of length 1"),
    (3, TypeError, "state: expected a pair (h, c), got 3 (int)"),
    ((ZERO[..., :4], ZERO), ValueError, "state: h: expected shape (2, 2, 5) [L*D, B, H]"),
    ((ZERO[0], ZERO[0]), ValueError, "state: h: expected shape (2, 2, 5) [L*D, B, H]"),
    ((ZERO, np.zeros((2, 3, 5))), ValueError, "state: c: expected shape (2, 2, 5) [L*D, B, H]"),
    ((ZERO, ZERO[:1]), ValueError, "state: c: expected shape (2, 2, 5) [L*D, B, H]"),
    ((ZERO, "c"), TypeError, "state: c: expected an array of real numbers, got "),
    ((ZERO * 1j, ZERO), TypeError, "state: h: expected an array of real numbers, got "),
]


def test_states() -> None:
    pool, (a, b, _), _ = used_pool()
    for state, error, message in STATES:
        refuse(pool, error, message, pool.set_state, [a, b], state)


def test_states_of_an_rnn() -> None:
    pool, (a, b, _), _ = used_pool("rnn_tanh")
    pair = "state: expected one array h, got a tuple of length 2"
    refuse(pool, TypeError, pair, pool.set_state, [a, b], (ZERO, ZERO))
    for bad in (ZERO[:1], ZERO[:, :1], ZERO[..., :4], ZERO[0]):
        refuse(pool, ValueError, "state: h: expected shape (2, 2, 5)", pool.set_state, [a, b], bad)


def test_too_many_streams() -> None:
    pool, _, _ = used_pool()
    for _ in range(3):
        pool.open()
    message = "all 6 streams of the pool are open: close some, or make room, grow(capacity)"
    for _ in range(3):
        refuse(pool, RuntimeError, message, pool.open)


CAPACITIES: list[Any] = [
    (0, ValueError, "expected an integer >= 1, got 0 (int)"),
    (-1, ValueError, "expected an integer >= 1, got -1 (int)"),
    (-HUGE, ValueError, "expected an integer >= 1, got an integer of 16610 bits"),
    (SLOTS + 1, ValueError, f"expected an integer <= {SLOTS}, got {SLOTS + 1} (int)"),
    (2**62, ValueError, f"expected an integer <= {SLOTS}, got {2**62} (int)"),
    (sys.maxsize + 1, ValueError, f"expected an integer <= {SLOTS}, got {2**63} (int)"),
    (HUGE, ValueError, f"expected an integer <= {SLOTS}, got an integer of 16610 bits"),
    (True, TypeError, "expected an integer >= 1, got the bool True"),
    (7.0, TypeError, "expected an integer >= 1, got 7.0 (float)"),
    (1.5, TypeError, "expected an integer >= 1, got 1.5 (float)"),
    ("7", TypeError, "expected an integer >= 1, got '7' (str)"),
    (None, TypeError, "expected an integer >= 1, got None"),
    ([7], TypeError, "expected an integer >= 1, got a list of length 1"),
]


@pytest.mark.parametrize(("capacity", "error", "message"), CAPACITIES, ids=map(str, range(len(CAPACITIES))))
def test_capacity(capacity: Any, error: type[Exception], message: str) -> None:
    pool, _, _ = used_pool()
    for call in (
        pool.grow,
        pool.model.stream_pool,
        lambda capacity: lstmfast.StreamPool(pool.model, capacity),
    ):
        refuse(pool, error, f"capacity: {message}", call, capacity)


def test_a_smaller_capacity() -> None:
    pool, _, _ = used_pool()
    for capacity in (1, 5):
        message = f"capacity: expected at least what it is now, 6, got {capacity}"
        refuse(pool, ValueError, message, pool.grow, capacity)


def test_models() -> None:
    one_direction = r"^model: expected one direction.* got bidirectional=True"
    for model in (make("lstm", 3, 5, bidirectional=True), make("rnn_relu", 3, 5, bidirectional=True)):
        for call in (model.stream_pool, lambda capacity, model=model: lstmfast.StreamPool(model, capacity)):
            with pytest.raises(ValueError, match=one_direction):
                call(3)
    values: list[Any] = [None, 3, lstmfast.LSTM, make("lstm", 3, 5)._network, used_pool()[0]]
    for value in values:
        with pytest.raises(TypeError, match=r"^model: expected an LSTM, a GRU or an RNN, got "):
            lstmfast.StreamPool(value, 3)
