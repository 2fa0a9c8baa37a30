"""Whatever form a pool's arguments have, and whichever way a call takes, results are the same."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ..core_helpers import unaligned
from ..helpers import CELLS, assert_same_bits, make, random, random_state
from .helpers import STEPS, check, joined, opened, row_of, step_alone, zero_state

IDS: dict[str, Callable[[Any], Any]] = {
    "int64": lambda ids: ids,
    "list": lambda ids: ids.tolist(),
    "tuple": lambda ids: tuple(ids.tolist()),
    "numbers of NumPy": list,
    "range": lambda ids: range(ids[0], ids[-1] + 1) if (np.diff(ids) == 1).all() else ids,
    "int32": lambda ids: ids.astype("int32"),
    "uint64": lambda ids: ids.astype("uint64"),
    "uint8": lambda ids: ids.astype("uint8"),
    "byte order": lambda ids: ids.astype(">i8"),
    "long long": lambda ids: ids.astype("q"),
    "strided": lambda ids: np.repeat(ids, 3)[::3],
    "reversed": lambda ids: ids[::-1].copy()[::-1],
    "unaligned": unaligned,
    "recarray": lambda ids: ids.view(np.recarray),
}
X: dict[str, Callable[[Any], Any]] = {
    "plain": lambda x: x,
    "list": lambda x: x.tolist(),
    "float64": lambda x: x.astype("float64"),
    "longdouble": lambda x: x.astype("longdouble"),
    "Fortran": np.asfortranarray,
    "strided": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "backward": lambda x: x[::-1].copy()[::-1],
    "unaligned": unaligned,
    "byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "recarray": lambda x: x.view(np.recarray),
}
NONE: list[Any] = [[], (), np.zeros(0, "int64"), np.zeros(0, "uint8")]


def itself(array: Any) -> Any:
    return array


def read_only(array: Any) -> Any:
    if isinstance(array, np.ndarray):
        array = array.view()
        array.flags.writeable = False
    return array


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_kinds_of_ids_and_x(kind: str, dtype: str, step: Callable[..., Any]) -> None:
    model = make(kind, 3, 5, num_layers=2, dtype=dtype)
    pool, streams = opened(model, 9, 9)
    before = pool.state(list(streams))
    for picked in ([0, 1, 2, 3], [8, 2, 5], [4]):
        ids = np.array(list(streams))[picked]
        x = random((len(ids), 3), dtype)
        after = dict(streams)
        y = step_alone(model, after, ids.tolist(), x)
        for (of_ids, ids_of), (of_x, x_of) in itertools.product(IDS.items(), X.items()):
            for protected in (itself, read_only):
                what = f"ids: {of_ids}, x: {of_x}"
                given = step(pool, protected(ids_of(ids)), protected(x_of(x)))
                assert_same_bits(given, y, what)
                assert given.flags.writeable, what
                check(pool, after)
                state = pool.state(protected(ids_of(ids)))
                assert_same_bits(state, joined(model, [after[id] for id in ids.tolist()]), what)
                pool.set_state(protected(ids_of(np.array(list(streams)))), before)
                check(pool, streams)


@pytest.mark.parametrize("other", ["float16", "int8", "uint64", "bool"])
def test_x_of_other_dtypes(dtype: str, other: str) -> None:
    model = make("lstm", 3, 5, dtype=dtype)
    pool, streams = opened(model, 4, 4)
    ids, x = list(streams), (random((4, 3), seed=3, scale=2) ** 2).astype(other)
    assert_same_bits(pool.step(ids, x), step_alone(model, streams, ids, x.astype(dtype)))


@pytest.mark.parametrize("out", [False, True])
@pytest.mark.parametrize(("kind", "proj_size"), CELLS)
def test_the_fast_and_the_general_way(kind: str, proj_size: int, dtype: str, isa: str, out: bool) -> None:
    for hidden_size, layers in ((6, 1), (17, 3), (90, 2)):  # below and above the work without the GIL
        model = make(kind, 4, hidden_size, proj_size=proj_size, num_layers=layers, dtype=dtype, isa=isa)
        fast, streams = opened(model, 12, 11)
        general = copy.copy(fast)
        for n, picked in enumerate(([3], [10, 0, 4], range(11), range(10, -1, -2))):
            ids = np.array(list(streams))[list(picked)]
            x = random((len(ids), 4), dtype, seed=n)
            y = step_alone(model, streams, ids.tolist(), x)
            for pool, step in ((fast, STEPS["fast"]), (general, STEPS["general"])):
                into = np.full_like(y, np.nan) if out else None
                given = step(pool, ids, x, out=into)
                assert given is into or not out
                assert_same_bits(given, y)
                check(pool, streams)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_out(kind: str, dtype: str, step: Callable[..., Any]) -> None:
    model = make(kind, 3, 5, dtype=dtype)
    pool, streams = opened(model, 4, 4)
    ids, x = np.array(list(streams))[[2, 0]], random((2, 3), dtype)
    room = np.full((6, 5), 7, dtype)
    outs = [np.empty((2, 5), dtype), room[2:4], np.zeros((2, 5), dtype).view(np.recarray)]
    for out in outs:
        y = step_alone(model, streams, ids.tolist(), x)
        assert step(pool, ids, x, out=out) is out
        assert_same_bits(np.asarray(out), y)
    assert (room[[0, 1, 4, 5]] == 7).all()
    assert step(pool, ids=ids, x=x, out=None) is not None
    step_alone(model, streams, ids.tolist(), x)
    # ids may lie anywhere: they have been read before.
    both = np.full(2 * 5, ids[0], np.int64)
    both[1] = ids[1]
    out = both.view(dtype)[:10].reshape(2, 5)
    y = step_alone(model, streams, ids.tolist(), x)
    assert_same_bits(step(pool, both[:2], x, out=out), y)
    check(pool, streams)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_one_id(kind: str, dtype: str, step: Callable[..., Any]) -> None:
    model = make(kind, 3, 5, num_layers=2, dtype=dtype)
    pool, streams = opened(model, 3, 3)
    id, x = list(streams)[1], random((3,), dtype)
    for name in (id, np.int64(id), np.int32(id), np.array(id), np.array(id, "uint64")):
        y = step_alone(model, streams, [id], x[None])[0]
        assert_same_bits(step(pool, name, x), y)
        y = step_alone(model, streams, [id], x[None])[0]
        assert_same_bits(step(pool, name, x.tolist()), y)
        y, out = step_alone(model, streams, [id], x[None])[0], np.empty(5, dtype)
        assert step(pool, name, x, out=out) is out
        assert_same_bits(out, y)
        check(pool, streams)
        assert_same_bits(pool.state(name), streams[id])
        streams[id] = random_state(model, 1, seed=9)
        pool.set_state(name, streams[id])
        check(pool, streams)
    calls: list[Callable[[Any], Any]] = [pool.reset, lambda name: pool.set_state(name, None)]
    for call in calls:
        call(np.int16(id))
        streams[id] = zero_state(model, 1)
        check(pool, streams)
        streams[id] = random_state(model, 1, seed=8)
        pool.set_state([id], streams[id])
    pool.close(np.array(id))
    del streams[id]
    check(pool, streams, [id])


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_no_ids(kind: str, dtype: str, step: Callable[..., Any]) -> None:
    model = make(kind, 3, 5, num_layers=2, dtype=dtype)
    for count in (0, 2):
        pool, streams = opened(model, 2, count)
        for ids in NONE:
            out = np.zeros((0, 5), dtype)
            assert step(pool, ids, np.zeros((0, 3)), out=out) is out
            assert_same_bits(step(pool, ids, np.zeros((0, 3), dtype)), out)
            assert_same_bits(pool.state(ids), zero_state(model, 0))
            pool.set_state(ids, zero_state(model, 0))
            pool.set_state(ids, None)
            pool.reset(ids)
            pool.close(ids)
            check(pool, streams)


def test_kinds_of_states(dtype: str) -> None:
    model = make("lstm", 3, 5, num_layers=2, proj_size=2, dtype=dtype)
    pool, streams = opened(model, 4, 4)
    ids = list(streams)[::-2]
    h, c = random_state(model, 2, seed=30)
    for state in (
        [h, c],
        (h.tolist(), c),
        (np.asfortranarray(h), unaligned(c)),
        (h.astype("float64"), c[...]),
    ):
        pool.set_state(ids, None)
        pool.set_state(ids, state)
        check(pool, streams | {id: row_of((h, c), row) for row, id in enumerate(ids)})
    copied = pool.state(ids)
    pool.step(ids, np.ones((2, 3)))
    assert_same_bits(copied, (h, c))  # it is a copy
    copied[0][...] = 7
    assert not (pool.state(ids)[0] == 7).any()
