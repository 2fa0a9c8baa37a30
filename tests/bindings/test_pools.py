"""The core's pools called past the Python layers: an exception or a right result, never a crash."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast import _core

from ..core_helpers import unaligned
from ..helpers import DTYPES, assert_same_bits, make, random, random_state
from ..streams.helpers import STEPS

SLOTS = 2**24  # by which ids of one place differ
MOST_ID = 2**62
MISTAKES = (TypeError, ValueError, RuntimeError)  # the last is pybind11's, for objects without their inside
POOLS: dict[str, Any] = {"float32": _core.StreamPool32, "float64": _core.StreamPool64}


def used_core(kind: str, dtype: str) -> tuple[Any, Any, Any]:
    """A core's pool of four, its network, and the ids of two open streams."""
    model = make(kind, 3, 5, num_layers=2, dtype=dtype)
    pool = model.stream_pool(4)
    for _ in range(3):
        pool.open()
    pool.set_state(pool.ids, random_state(model, 3))
    pool.close(pool.ids[1])
    return pool._core, model._network, pool.ids


def all_of(core: Any) -> list[Any]:
    """All that a mistake could have changed."""
    ids = core.ids()
    numbers = np.array([core.capacity, core.open_count, core.nbytes])
    return [numbers, ids, core.saved()[0], *(half for half in core.read(ids) if half is not None)]


def refuse(core: Any, call: Callable[..., Any], *arguments: Any) -> None:
    before = all_of(core)
    with pytest.raises(MISTAKES):
        call(*arguments)
    assert_same_bits(all_of(core), before)


def not_as(array: Any) -> list[Any]:
    """What is not the C-ordered, aligned array that the core takes in its place."""
    other = "float64" if array.dtype == "float32" else "float32"
    wider = np.zeros((*array.shape[:-1], array.shape[-1] + 1), array.dtype)
    backward = array[..., ::-1].copy()[..., ::-1]
    kinds = [
        array.astype(other),
        array.astype(array.dtype.newbyteorder()),
        array.astype(object),
        array.tolist(),
    ]
    return [*kinds, unaligned(array), backward, array[None], wider, "x", 3, object()]


def networks(dtype: str) -> list[Any]:
    """All but the one that the pool was made for."""
    others = [
        make("lstm", 3, 6, num_layers=2, dtype=dtype),
        make("lstm", 4, 5, num_layers=2, dtype=dtype),
        make("lstm", 3, 5, dtype=dtype),
        make("lstm", 3, 5, num_layers=2, bias=False, dtype=dtype),
        make("lstm", 3, 5, num_layers=2, proj_size=4, dtype=dtype),
        make("lstm", 3, 5, num_layers=2, bidirectional=True, dtype=dtype),
        make("rnn_tanh", 3, 5, num_layers=3, dtype=dtype),
        make("lstm", 3, 5, num_layers=2, dtype="float64" if dtype == "float32" else "float32"),
    ]
    halves = [kind.__new__(kind) for kind in (_core.Network32, _core.Network64)]
    return [*(model._network for model in others), *halves, others[0], None, 3, "x"]


def test_making_one(dtype: str) -> None:
    pool, network = POOLS[dtype], make("lstm", 3, 5, dtype=dtype)._network
    both = make("rnn_relu", 3, 5, bidirectional=True, dtype=dtype)._network
    other = make("lstm", 3, 5, dtype="float64" if dtype == "float32" else "float32")._network
    for capacity in (0, -1, SLOTS + 1, 2**62, -(2**63), 2**63, 2**64, 1.5, "3", None, [3], network):
        with pytest.raises((TypeError, ValueError)):
            pool(network, capacity)
    for wrong in (both, other, None, 3, "x", np.zeros(3), make("lstm", 3, 5, dtype=dtype)):
        with pytest.raises((TypeError, ValueError)):
            pool(wrong, 3)
    for arguments in ((), (network,), (network, 3, 3)):
        with pytest.raises(TypeError):
            pool(*arguments)


def test_step(kind: str, dtype: str) -> None:
    core, network, ids = used_core(kind, dtype)
    x, y = random((2, 3), dtype), np.full((2, 5), 7, dtype)
    for wrong in networks(dtype):
        refuse(core, core.step, wrong, ids, x)
    for wrong in [
        *not_as(ids),
        None,
        ids[:1],
        ids + 1,
        ids - 9,
        ids + SLOTS,
        ids[[0, 0]],
        ids.astype("int32"),
        ids[0],
    ]:
        refuse(core, core.step, network, wrong, x)
    for wrong in [*not_as(x), None, x[:1], x[0]]:
        refuse(core, core.step, network, ids, wrong)
    read_only = y.copy()
    read_only.flags.writeable = False
    for wrong in [*not_as(y), y[:1], y[0], read_only]:
        refuse(core, core.step, network, ids, x, wrong)
    assert (y == 7).all()
    for arguments in ((), (network,), (network, ids), (network, ids, x, y, y)):
        refuse(core, core.step, *arguments)
    given = core.step(network, ids, x, y)
    assert np.shares_memory(given, y)


def test_reading_writing_and_closing(kind: str, dtype: str) -> None:
    core, _, ids = used_core(kind, dtype)
    wrong_ids = [*not_as(ids), None, ids + 1, ids[[0, 1, 0]], np.full(100, ids[0]), ids.astype("uint64")]
    for call in (core.read, core.close, lambda ids: core.write(ids, None, None)):
        for wrong in wrong_ids:
            refuse(core, call, wrong)
    h = c = random((2, 2, 5), dtype)
    for wrong in [*not_as(h), h[:1], h[:, :1].copy(), h[0]]:
        refuse(core, core.write, ids, wrong, None)
        refuse(core, core.write, ids, h, wrong)
    if kind != "lstm":
        refuse(core, core.write, ids, h, c)
    for arguments in ((), (ids,), (ids, h), (ids, h, None, None)):
        refuse(core, core.write, *arguments)


def test_growing(dtype: str) -> None:
    core, _, _ = used_core("lstm", dtype)
    for capacity in (3, 0, -1, SLOTS + 1, 2**62, -(2**63), 2**63, 1.5, "5", None):
        refuse(core, core.grow, capacity)
    core.grow(4)
    core.grow(5)
    assert core.capacity == 5


@pytest.mark.parametrize("place", range(4))
def test_tables_of_nonsense(dtype: str, place: int) -> None:
    core, _, _ = used_core("lstm", dtype)
    table = core.saved()[0]
    for wrong in [*not_as(table), table[:3], np.concatenate([table, [4]]), np.zeros((4, 0), int), None]:
        refuse(core, core.restore_table, wrong)
    past_all = MOST_ID + SLOTS + place
    other = (place + 1) % 4
    for entry in (
        2**63 - 1,
        -(2**63),
        past_all,
        -1 - past_all,
        other,
        -1 - other,
        5,
        4 + SLOTS,
        place + SLOTS // 2,
    ):
        wrong = table.copy()
        wrong[place] = entry
        refuse(core, core.restore_table, wrong)


def test_tables_that_can_be(dtype: str) -> None:
    """Whatever the pool has open: from then on it is what the table says."""
    for uses in (0, 1, 1000, MOST_ID // SLOTS - 2):
        core, network, _ = used_core("lstm", dtype)
        first, second, third = SLOTS * uses, 1 + SLOTS * uses, 2 + SLOTS * uses
        core.restore_table(np.array([-1 - first, second, third, -1 - 3]))
        ids = np.array([third, second])
        assert core.open_count == 2
        assert sorted(core.ids().tolist()) == [second, third]
        assert all((half == 0).all() for half in core.read(ids))
        core.step(network, ids, random((2, 3), dtype))
        assert {core.open(), core.open()} == {3, first}
        assert core.open() == -1
        core.close(ids)
        assert {core.open(), core.open()} == {second + SLOTS, third + SLOTS}
        refuse(core, core.read, ids)


def test_half_made_ones(dtype: str) -> None:
    """What pickle could make: an object without its inside, or with another's."""
    kind: Any = POOLS[dtype]
    core = kind.__new__(kind)
    ids, x = np.zeros(1, np.int64), random((1, 3), dtype)
    network = make("lstm", 3, 5, dtype=dtype)._network
    calls: list[Callable[[], Any]] = [
        core.open,
        core.ids,
        core.saved,
        lambda: core.step(network, ids, x),
        lambda: core.read(ids),
        lambda: core.write(ids, None, None),
        lambda: core.close(ids),
        lambda: core.grow(3),
        lambda: core.restore_table(ids),
        lambda: core.capacity,
        lambda: core.open_count,
        lambda: core.nbytes,
    ]
    for call in calls:
        with pytest.raises(MISTAKES):
            call()


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_pools_with_odd_parts(dtype: str, step: Callable[..., Any]) -> None:
    model = make("lstm", 3, 5, dtype=dtype)
    ids, x = np.zeros(1, np.int64), random((1, 3), dtype)
    half_model = lstmfast.LSTM.__new__(lstmfast.LSTM)
    half_cores = [kind.__new__(kind) for kind in (*POOLS.values(), _core.Stream32, _core.Stream64)]
    other = [make("lstm", 3, 6, dtype=other).stream_pool(1)._core for other in DTYPES]
    cores: list[Any] = [None, 3, x, model, model._network, model.stream()._core, *half_cores, *other]
    for core in cores:
        pool: Any = model.stream_pool(1)
        pool.open()
        pool._core = core
        with pytest.raises((AttributeError, *MISTAKES)):
            step(pool, ids, x)
    for model_of_it in (
        None,
        3,
        x,
        half_model,
        make("lstm", 3, 6, dtype=dtype),
        make("rnn_relu", 3, 5, dtype=dtype),
    ):
        pool = model.stream_pool(1)
        pool.open()
        pool._model = model_of_it
        with pytest.raises((AttributeError, *MISTAKES)):
            step(pool, ids, x)
    for odd in (
        lstmfast.StreamPool.__new__(lstmfast.StreamPool),
        None,
        3,
        x,
        model,
        model.stream(),
        object(),
    ):
        with pytest.raises((AttributeError, *MISTAKES)):
            step(odd, ids, x)
