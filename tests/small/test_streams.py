"""Streams and pools of models with smaller weights: the bits of whole sequences, whichever way they go."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..core_helpers import run_python
from ..helpers import CELLS, ISAS, assert_same_bits, parts, random, random_state, random_x
from ..streams.chunks import WAYS, check_threads, streamed, whole
from ..streams.helpers import STEPS, joined, row_of, step_alone, zero_state
from .helpers import Int8Model, every_cell, every_weight_dtype, needs_fma, trained


def made(kind: str, weight_dtype: str, input_size: int = 5, hidden_size: int = 19, **options: Any) -> Any:
    """A float32 model, and its form with smaller weights; of int8 a calibrated one, with a proj_size of 4."""
    model = trained(kind, input_size, hidden_size, **options)
    calibrated = weight_dtype == "int8" and options.get("proj_size") == 4
    calibration = np.linspace(0.5, 3, input_size)[np.newaxis] if calibrated else None
    return model, model.quantize(weight_dtype, calibration)


# Streams.


@pytest.mark.parametrize("way", WAYS)
@every_weight_dtype
@every_cell
def test_same_bits(kind: str, proj_size: int, weight_dtype: str, isa: str, way: str) -> None:
    for layers, B, batch_first in ((1, 1, False), (2, 5, True), (3, 4, False)):
        options: dict[str, Any] = {"num_layers": layers, "batch_first": batch_first, "proj_size": proj_size}
        model, q = made(kind, weight_dtype, isa=isa, **options)
        x, state = random_x(model, 11, B), random_state(model, B)
        for cuts in (list(range(1, 11)), [4, 5], []):
            for given in (None, state):
                assert_same_bits(streamed(q, x, cuts, given, way), whole(q, x, given))


@needs_fma
@every_cell
def test_int8_steps_are_those_of_the_numpy_model(kind: str, proj_size: int, isa: str) -> None:
    model = trained(kind, 5, 19, num_layers=2, proj_size=proj_size, isa=isa)
    x, state = random_x(model, 6, 3), random_state(model, 3)
    q = model.quantize("int8", x[:1])
    assert_same_bits(streamed(q, x, [*range(1, 6)], state), Int8Model(model, x[:1])(x, state))


@every_weight_dtype
@pytest.mark.parametrize("rows", [127, 128, 129, 600])
def test_more_rows_than_a_block(kind: str, weight_dtype: str, rows: int) -> None:
    model, q = made(kind, weight_dtype, 3, 9, num_layers=3)
    x = random_x(model, 3, rows)
    assert_same_bits(streamed(q, x, [1, 2]), whole(q, x))


# Such that threads share rows, or the panels of one row or of some.
SIZES = [("lstm", 0, 1, 900), ("lstm", 350, 1, 1400), ("lstm", 200, 3, 700), ("rnn_tanh", 0, 1, 1900)]
SIZES += [(*cell, *size) for cell in CELLS for size in ((200, 64), (700, 40))]


@pytest.mark.usefixtures("threads")
@every_weight_dtype
@pytest.mark.parametrize(("kind", "proj_size", "rows", "hidden"), SIZES)
def test_same_bits_on_several_threads(
    kind: str, proj_size: int, weight_dtype: str, rows: int, hidden: int
) -> None:
    model, q = made(kind, weight_dtype, 60, hidden, num_layers=2, proj_size=proj_size)
    x = random_x(model, 4, rows)
    check_threads(q, x, 2)


@every_weight_dtype
@pytest.mark.parametrize("way", WAYS)
def test_out_and_a_single_row(kind: str, weight_dtype: str, way: str) -> None:
    step, run = WAYS[way]
    model, q = made(kind, weight_dtype, 3, 7)
    x = random_x(model, 6, 1)
    expected, _ = q(x)
    stream, one, many = q.stream(), np.empty(7, np.float32), np.empty((5, 7), np.float32)
    assert step(stream, x[0, 0], out=one) is one
    assert run(stream, np.ascontiguousarray(x[1:, 0]), out=many) is many
    assert_same_bits((one, many), (expected[0, 0], expected[1:, 0].copy()))
    stream.reset()
    for t in range(6):
        assert_same_bits(step(stream, x[t, 0].astype("float64")), expected[t, 0])  # whichever way it came


@every_weight_dtype
def test_nan_stays_in_its_row(weight_dtype: str) -> None:
    model, q = made("lstm", weight_dtype, num_layers=2)
    x = random_x(model, 6, 3)
    x[2, 0, 1], x[3, 1, 0] = np.nan, np.inf
    y, _ = streamed(q, x, [1, 2, 3, 4])
    assert_same_bits(y, q(x)[0])
    assert np.isnan(y[2:, 0]).all()
    assert np.isfinite(y[:, 2]).all()
    stream = q.stream(3)
    stream.run(x)
    stream.reset([0, 1])
    assert np.isfinite(stream.step(x[0])).all()


@every_weight_dtype
def test_snapshots(kind: str, weight_dtype: str) -> None:
    model, q = made(kind, weight_dtype, num_layers=2)
    x = random_x(model, 6, 2)
    stream, y = q.stream(2), q(x)[0]
    snapshots = [(stream.snapshot(), stream.step(frame))[0] for frame in x]
    for t in (5, 0, 3, 3, 1):
        stream.restore(snapshots[t])
        assert_same_bits(stream.run(x[t:]), y[t:])
    # A state is a state: the float32 model's streams take it, and give theirs.
    other = model.stream(2)
    other.restore(snapshots[3])
    assert_same_bits(other.state, snapshots_state(q, snapshots[3]))
    stream.restore(pickle.loads(pickle.dumps(snapshots[2])))
    assert_same_bits(stream.run(x[2:]), y[2:])


def snapshots_state(q: Any, snapshot: Any) -> Any:
    """The state in a snapshot of two rows."""
    stream = q.stream(2)
    stream.restore(snapshot)
    return stream.state


@every_weight_dtype
def test_copies_of_streams(kind: str, weight_dtype: str) -> None:
    model, q = made(kind, weight_dtype, num_layers=2)
    x = random_x(model, 8, 2)
    stream, (y, end) = q.stream(2), q(x)
    assert_same_bits(stream.run(x[:3]), y[:3])
    copies = [copy.copy(stream), copy.deepcopy(stream)]
    copies += [pickle.loads(pickle.dumps(stream, n)) for n in range(pickle.HIGHEST_PROTOCOL + 1)]
    for other in copies:
        assert type(other.model) is type(q)
        assert other.model.weight_dtype == weight_dtype
        assert_same_bits(dict(other.model.parameters), dict(q.parameters))
        assert_same_bits(other.run(x[3:]), y[3:])
        assert_same_bits(other.state, end)
    assert copies[0].model is q
    assert copies[1].model is not q
    assert_same_bits(stream.run(x[3:]), y[3:])  # which knows nothing of all that


def test_pickles_of_streams_are_small() -> None:
    model, q = made("lstm", "int8", 64, 128)
    assert len(pickle.dumps(q.stream(1))) < q.nbytes + 6000 < len(pickle.dumps(model.stream(1))) / 3


@every_weight_dtype
def test_a_stream_keeps_its_model(kind: str, weight_dtype: str) -> None:
    model, q = made(kind, weight_dtype)
    x = random_x(model, 4, 1)
    expected = q(x)
    stream, pool = q.stream(), q.stream_pool(2)
    assert stream.model is q
    assert pool.model is q
    alive = weakref.ref(q) if hasattr(q, "__weakref__") else None
    del q
    gc.collect()
    assert alive is None or alive() is not None
    assert_same_bits(stream.run(x), expected[0])
    assert_same_bits(stream.state, expected[1])
    id = pool.open()
    for t in range(4):
        assert_same_bits(pool.step([id], x[t]), expected[0][t])


@every_weight_dtype
def test_later_weights_of_the_model_are_not_its_own(weight_dtype: str) -> None:
    model, q = made("lstm", weight_dtype)
    x = random_x(model, 4, 2)
    expected, _ = q(x)
    stream = q.stream(2)
    assert_same_bits(stream.run(x[:2]), expected[:2])
    model.update({"weight_hh_l0": np.zeros((76, 19))})
    assert_same_bits(stream.run(x[2:]), expected[2:])


@every_weight_dtype
def test_made_by_hand(weight_dtype: str) -> None:
    model, q = made("lstm", weight_dtype)
    x = random_x(model, 4, 2)
    assert_same_bits(lstmfast.Stream(q, 2).run(x), q(x)[0])
    pool = lstmfast.StreamPool(q, 2)
    assert_same_bits(pool.step([pool.open(), pool.open()], x[0]), q(x)[0][0])


@every_weight_dtype
def test_what_they_say_of_themselves(weight_dtype: str) -> None:
    model, q = made("lstm", weight_dtype, 3, 32, num_layers=2)
    stream = q.stream(4)
    assert repr(stream) == f"Stream({q!r}, batch=4)"
    assert repr(q.stream_pool(4)) == f"<StreamPool of {q!r}: 0 of 4 streams open>"
    assert stream.nbytes == model.stream(4).nbytes
    assert (stream.batch, q.stream_pool(9).capacity) == (4, 9)


@every_weight_dtype
def test_mistakes(weight_dtype: str) -> None:
    _, q = made("lstm", weight_dtype, 3, 5)
    stream, pool = q.stream(2), q.stream_pool(2)
    before = stream.state
    for wrong in (np.zeros((2, 4)), np.zeros(3), "x", np.zeros((2, 3), complex)):
        with pytest.raises((TypeError, ValueError), match=r"^x: expected "):
            stream.step(wrong)
    with pytest.raises(ValueError, match=r"^x: expected "):
        stream.run(np.zeros((4, 3, 3)))
    with pytest.raises(ValueError, match=r"^ids: expected "):
        pool.step([3], np.zeros((1, 3), np.float32))
    for size in (0, -1):
        with pytest.raises(ValueError, match=r"^batch: expected "):
            q.stream(size)
        with pytest.raises(ValueError, match=r"^capacity: expected "):
            q.stream_pool(size)
    assert_same_bits(stream.state, before)
    _, both = made("lstm", weight_dtype, 3, 5, bidirectional=True)
    for call in (both.stream, lambda: both.stream_pool(2)):
        with pytest.raises(ValueError, match=r"^model: expected one direction.* got bidirectional=True"):
            call()


# Pools.


@every_weight_dtype
@every_cell
def test_any_order_of_everything(kind: str, proj_size: int, weight_dtype: str, isa: str) -> None:
    model, q = made(kind, weight_dtype, 3, 7, proj_size=proj_size, num_layers=2, isa=isa)
    generator = np.random.default_rng(ISAS.index(isa))
    pool, capacity = q.stream_pool(3), 3
    streams: dict[int, Any] = {}
    actions = ["open"] * 5 + ["step"] * 8 + ["close", "reset", "set", "state", "grow", "copy"]
    for n in range(80):
        action = generator.choice(actions)
        some = generator.permutation(np.array(list(streams), int))[: generator.integers(len(streams) + 1)]
        ids = some.tolist()
        if action == "open" and len(streams) < capacity:
            streams[pool.open()] = zero_state(q, 1)
        elif action == "step":
            x = random((len(ids), 3), seed=n)
            way = STEPS["fast" if n % 2 else "general"]
            assert_same_bits(way(pool, some, x), step_alone(q, streams, ids, x), f"y of turn {n}")
        elif action == "close":
            pool.close(ids)
            streams = {id: state for id, state in streams.items() if id not in ids}
        elif action == "reset":
            pool.reset(some)
            streams |= {id: zero_state(q, 1) for id in ids}
        elif action == "set":
            state = random_state(model, len(ids), seed=n)
            pool.set_state(some, state)
            streams |= {id: row_of(state, row) for row, id in enumerate(ids)}
        elif action == "grow":
            capacity += int(generator.integers(3))
            pool.grow(capacity)
        elif action == "copy":
            again = pickle.loads(pickle.dumps(pool))
            assert type(again.model) is type(q)
            assert_same_bits(again.state(list(streams)), joined(model, list(streams.values())))
            pool = copy.deepcopy(pool)  # which keeps the ISA
            assert pool.model.isa == isa
        assert pool.capacity == capacity
        assert sorted(pool.ids.tolist()) == sorted(streams)
        assert_same_bits(pool.state(list(streams)), joined(model, list(streams.values())))
    assert capacity > 3


@pytest.mark.usefixtures("threads")
@every_weight_dtype
@pytest.mark.parametrize(
    ("kind", "hidden_size", "options"),
    [
        ("lstm", 300, {}),
        ("lstm", 300, {"num_layers": 3}),
        ("lstm", 500, {"num_layers": 2, "proj_size": 200}),
        ("rnn_relu", 800, {"num_layers": 2}),
    ],
)
def test_others_order_and_threads_make_no_difference(
    kind: str, weight_dtype: str, hidden_size: int, options: dict[str, Any]
) -> None:
    model, q = made(kind, weight_dtype, 100, hidden_size, **options)
    lstmfast.set_num_threads(1)
    pool = q.stream_pool(9)
    ids = np.array([pool.open() for _ in range(8)])
    start = random_state(model, 8)
    streams = {id: row_of(start, n) for n, id in enumerate(ids.tolist())}
    x = random((8, 100))
    y = step_alone(q, streams, ids.tolist(), x)
    for threads in (1, 2):
        lstmfast.set_num_threads(threads)
        for groups in ([[*range(8)]], [[*range(7, -1, -1)]], [[3], [5, 0], [7, 6, 4, 2, 1]]):
            for _ in range(2):  # short work is shared only if some came just before
                pool.set_state(ids, start)
                for group in groups:
                    stepped = pool.step(ids[group], x[group])
                    assert_same_bits(stepped, y[group], f"{group}, {threads} threads")
                assert_same_bits(pool.state(ids), joined(model, list(streams.values())))


@every_weight_dtype
def test_growing_with_many_rows(kind: str, weight_dtype: str) -> None:
    _, q = made(kind, weight_dtype, 3, 24, num_layers=2)
    pool = q.stream_pool(4)
    ids = [pool.open() for _ in range(4)]
    x = random((5, 700, 3))
    y, end = q(x)
    for t in (0, 1):
        assert_same_bits(pool.step(ids, x[t, :4]), y[t, :4])
    pool.grow(700)
    ids += [pool.open() for _ in range(696)]
    state = pool.state(ids)
    _, before = q(x[:2])
    assert_same_bits(row_of(state, 3), row_of(before, 3))
    pool.set_state(ids, before)
    for t in (2, 3, 4):
        assert_same_bits(pool.step(ids, x[t]), y[t])
    assert_same_bits(pool.state(ids), end)


# Threads of the caller.


@every_weight_dtype
def test_each_thread_with_its_own(weight_dtype: str) -> None:
    model, q = made("lstm", weight_dtype, 16, 48, num_layers=2)
    x = random_x(model, 200, 4)
    expected, _ = q(x)

    def work(row: int) -> Any:
        frames = np.ascontiguousarray(x[:, row])
        if row % 2:
            stream = q.stream()
            return np.concatenate([[stream.step(frame) for frame in frames[:100]], stream.run(frames[100:])])
        pool = q.stream_pool(1)
        id = pool.open()
        return np.stack([pool.step(id, frame) for frame in frames])

    with ThreadPoolExecutor(2) as threads:
        for row, y in enumerate(threads.map(work, range(4))):
            assert_same_bits(y, expected[:, row].copy(), f"row {row}")


PICKLED = """
import pickle, sys
stream, frames = pickle.loads(bytes.fromhex(sys.argv[1]))
sys.stdout.write(pickle.dumps((stream.model.isa, stream.run(frames), stream.state)).hex())
"""


@every_weight_dtype
def test_a_stream_goes_on_in_another_process(weight_dtype: str, isa: str) -> None:
    model, q = made("lstm", weight_dtype, num_layers=2)
    x = random_x(model, 8, 2)
    y, end = q(x)
    stream = q.stream(2)
    stream.run(x[:4])
    sent = pickle.dumps((stream, x[4:])).hex()
    got = bytes.fromhex(run_python(PICKLED, sent, LSTMFAST_ISA=isa))
    used, later, state = pickle.loads(got)
    assert used == isa
    assert_same_bits((later, tuple(parts(state))), (y[4:], tuple(parts(end))))
