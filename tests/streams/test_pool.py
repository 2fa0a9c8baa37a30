"""A pool of streams does what each of them would do alone.

To the bit, whichever are stepped together, in which order, and by how many threads.
"""

from __future__ import annotations

import copy
import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..core_helpers import run_python
from ..helpers import CELLS, ISAS, assert_same_bits, make, random, random_state
from .helpers import check, joined, opened, row_of, step_alone, zero_state

COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "the oldest pickle": lambda pool: pickle.loads(pickle.dumps(pool, 0)),
    "the newest pickle": lambda pool: pickle.loads(pickle.dumps(pool, pickle.HIGHEST_PROTOCOL)),
}


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize(("kind", "proj_size"), CELLS)
def test_any_order_of_everything(kind: str, proj_size: int, layers: int, dtype: str, isa: str) -> None:
    model = make(kind, 3, 7, proj_size=proj_size, num_layers=layers, dtype=dtype, isa=isa)
    generator = np.random.default_rng([layers, ISAS.index(isa)])
    pool, capacity = model.stream_pool(3), 3
    streams: dict[int, Any] = {}
    closed: list[int] = []
    actions = ["open"] * 5 + ["step"] * 8 + ["close", "reset", "set", "state", "grow", "copy"]
    for n in range(150):
        action = generator.choice(actions)
        some = generator.permutation(np.array(list(streams), int))[: generator.integers(len(streams) + 1)]
        ids = some.tolist()
        if action == "open" and len(streams) == capacity:
            with pytest.raises(RuntimeError):
                pool.open()
        elif action == "open":
            id = pool.open()
            assert type(id) is int
            assert id not in streams
            assert id not in closed
            streams[id] = zero_state(model, 1)
        elif action == "step":
            x = random((len(ids), 3), dtype, seed=n)
            assert_same_bits(pool.step(some, x), step_alone(model, streams, ids, x), f"y of turn {n}")
        elif action == "close":
            pool.close(ids)
            closed += ids
            for id in ids:
                del streams[id]
        elif action == "reset":
            pool.reset(some)
            streams |= {id: zero_state(model, 1) for id in ids}
        elif action == "set":
            state = random_state(model, len(ids), seed=n)
            pool.set_state(some, state)
            streams |= {id: row_of(state, row) for row, id in enumerate(ids)}
        elif action == "state":
            assert_same_bits(pool.state(some), joined(model, [streams[id] for id in ids]))
        elif action == "grow":
            capacity += int(generator.integers(3))
            pool.grow(capacity)
        else:
            check(pickle.loads(pickle.dumps(pool)), streams, closed)
            pool = copy.deepcopy(pool)  # which keeps the ISA
            assert pool.model.isa == isa
        assert pool.capacity == capacity
        check(pool, streams, closed)
    assert closed
    assert capacity > 5


LARGE: list[tuple[str, int, dict[str, Any]]] = [
    ("lstm", 300, {}),
    ("lstm", 400, {"num_layers": 3}),
    ("lstm", 500, {"num_layers": 2, "proj_size": 200}),
    ("rnn_tanh", 800, {"num_layers": 2}),
]


@pytest.mark.parametrize(("kind", "hidden_size", "options"), LARGE)
def test_others_order_and_threads_make_no_difference(
    threads: None, dtype: str, isa: str, kind: str, hidden_size: int, options: dict[str, Any]
) -> None:
    """Threads share the panels of one row and of some, and rows."""
    model = make(kind, 300, hidden_size, dtype=dtype, isa=isa, **options)
    lstmfast.set_num_threads(1)
    pool, streams = opened(model, 9, 8)
    ids, x = np.array(list(streams)), random((8, 300), dtype)
    start = pool.state(ids)
    y = step_alone(model, streams, ids.tolist(), x)
    together = [[[*range(8)]], [[*range(7, -1, -1)]], [[3], [5, 0], [7, 6, 4, 2, 1]]]
    for count in (1, 2):
        lstmfast.set_num_threads(count)
        for groups in together:
            for _ in range(2):  # short work is shared only if some came just before
                pool.set_state(ids, start)
                for group in groups:
                    assert_same_bits(pool.step(ids[group], x[group]), y[group], f"{group}, {count} threads")
                check(pool, streams)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(("kind", "proj_size"), CELLS)
def test_more_rows_than_a_block(
    threads: None, kind: str, proj_size: int, layers: int, dtype: str, isa: str
) -> None:
    """With layers enough threads share the rows, each with a part of the scratch."""
    model = make(kind, 40, 24, proj_size=proj_size, num_layers=layers, dtype=dtype, isa=isa)
    pool, streams = opened(model, 1600, 1550)
    other = copy.copy(pool)
    ids = np.random.default_rng(0).permutation(pool.ids)[:1500]
    x = random((1500, 40), dtype)
    y = step_alone(model, streams, ids.tolist(), x)
    for same, count in ((pool, 1), (other, 2)):
        lstmfast.set_num_threads(count)
        assert_same_bits(same.step(ids, x), y)
        check(same, streams)


COUNT_THREADS = """
import os, numpy as np, lstmfast
model, x = lstmfast.LSTM(300, 600, seed=0), np.ones((1, 300), np.float32)
lstmfast.set_num_threads(2)

def count(call):
    reader, writer = os.pipe()
    if not os.fork():  # a child begins without threads: it has those that this very call asks for
        call()
        os.write(writer, str(len(os.listdir("/proc/self/task"))).encode())
        os._exit(0)
    os.wait()
    return int(os.read(reader, 9))

pools = [model.stream_pool(capacity) for capacity in (50, 2, 1)]
calls = [lambda: model(x[None])] + [lambda pool=pool: pool.step([pool.open()], x) for pool in pools]
print(*map(count, calls))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_one_row_is_shared_by_as_many_threads_as_in_a_call() -> None:
    """Whatever the capacity."""
    assert run_python(COUNT_THREADS) == "2 2 2 2\n"


def test_ids_are_never_given_twice() -> None:
    pool = make("lstm", 2, 3).stream_pool(3)
    generator = np.random.default_rng(0)
    given: list[int] = []
    for _ in range(500):
        given += [pool.open() for _ in range(3 - len(pool))]
        assert set(given[-3:]) >= set(pool.ids.tolist()) - set(given[:-3])
        pool.close(generator.permutation(pool.ids)[: generator.integers(1, 4)])
    assert len(set(given)) == len(given) > 600
    assert min(given) >= 0


def test_a_new_stream_begins_from_zero(kind: str, dtype: str) -> None:
    """Also in the place of a closed one."""
    model = make(kind, 3, 5, num_layers=2, dtype=dtype)
    pool, streams = opened(model, 4, 4)
    pool.close(list(streams)[:3])
    fresh = [pool.open() for _ in range(3)]
    assert_same_bits(pool.state(fresh), zero_state(model, 3))
    x = random((3, 3), dtype)
    assert_same_bits(pool.step(fresh, x), model(x[None])[0][0])


def test_what_a_pool_says_of_itself() -> None:
    model = make("lstm", 3, 5)
    pool = model.stream_pool(4)
    assert pool.model is model
    assert pool.capacity == 4
    assert bool(pool)
    assert len(pool) == 0
    assert pool.ids.tolist() == []
    assert repr(pool) == f"<StreamPool of {model!r}: 0 of 4 streams open>"
    id = pool.open()
    for name in (id, np.int64(id), np.uint8(id), np.array(id)):
        assert name in pool
    for other in (id + 1, -1, 2**63, 10**30, float(id), str(id), None, [id], np.array([id])):
        assert other not in pool


def test_bytes_of_a_stream() -> None:
    for layers, dtype, size in ((1, "float32", 4), (3, "float64", 8)):
        model = make("lstm", 3, 20, num_layers=layers, dtype=dtype)
        few, many = (model.stream_pool(capacity).nbytes for capacity in (1000, 3000))
        assert size * layers * 40 < (many - few) / 2000 <= size * layers * 40 + 25


def test_growing(kind: str, dtype: str) -> None:
    model = make(kind, 3, 5, num_layers=2, dtype=dtype)
    pool, streams = opened(model, 4, 4)
    closed = list(streams)[1]
    pool.close(closed)
    del streams[closed]
    for capacity in (4, 5, 700):
        pool.grow(capacity)
        assert pool.capacity == capacity
        check(pool, streams, [closed])
    streams |= {pool.open(): zero_state(model, 1) for _ in range(697)}
    with pytest.raises(RuntimeError):
        pool.open()
    ids, x = list(streams), random((700, 3), dtype)
    assert_same_bits(pool.step(ids, x), step_alone(model, streams, ids, x))
    check(pool, streams, [closed])


def test_copies(kind: str, dtype: str) -> None:
    """Ids go on to mean the same, closed ones nothing, and the next ones are new to every copy."""
    model = make(kind, 3, 5, num_layers=2, dtype=dtype)
    pool, streams = opened(model, 6, 5)
    closed = list(streams)[1:3]
    for id in closed:
        pool.close(id)
        del streams[id]
    x = random((2, 3), dtype)
    for way, copied in COPIES.items():
        other, own = copied(pool), dict(streams)
        assert type(other) is type(pool), way
        assert (other.model is model) == (way == "copy"), way
        assert other.capacity == 6, way
        check(other, own, closed)
        for n in range(6):
            ids = list(own)[: 2 + n % 2 : 1 + n % 2]
            assert_same_bits(other.step(ids, x[: len(ids)]), step_alone(model, own, ids, x), way)
            if len(own) < 6:
                id = other.open()
                assert id not in [*own, *closed], way
                own[id] = zero_state(model, 1)
            else:
                other.close(ids)
                own = {id: state for id, state in own.items() if id not in ids}
            check(other, own, closed)
        check(pool, streams, closed)  # which knows nothing of all that


def test_later_weights_hold_from_the_next_step(kind: str) -> None:
    model = make(kind, 3, 5, num_layers=2)
    pool, streams = opened(model, 3, 3)
    ids = list(streams)
    for seed in range(4):
        x = random((3, 3), seed=seed)
        assert_same_bits(pool.step(ids, x), step_alone(model, streams, ids, x))
        weights = make(kind, 3, 5, num_layers=2, seed=seed + 10).state_dict()
        if seed % 2:
            model.update({"weight_hh_l1": weights["weight_hh_l1"]})
        else:
            model.load_state_dict(weights)
    check(pool, streams)
