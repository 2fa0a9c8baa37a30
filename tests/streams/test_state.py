"""The state of a stream: read, set, reset, kept for later, copied and pickled."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import CELLS, assert_same_bits, has_memory, make, parts, random_state, random_x


def moved(model: Any, rows: int) -> Any:
    """A stream that is somewhere."""
    stream = model.stream(rows)
    stream.state = random_state(model, rows)
    return stream


def goes_on_alike(stream: Any, model: Any, state: Any) -> None:
    """Check that the stream goes on as the model does from that state; both are moved."""
    x = random_x(model, 3, stream.batch, seed=11)
    y, end = model(x, state)
    assert_same_bits(stream.run(x), y)
    assert_same_bits(stream.state, end)


@pytest.mark.parametrize(("kind", "proj_size"), CELLS)
def test_it_begins_with_zero(kind: str, proj_size: int, dtype: str) -> None:
    model = make(kind, 3, 7, num_layers=2, proj_size=proj_size, dtype=dtype)
    state = model.stream(4).state
    assert_same_bits(state, model(np.zeros((0, 4, 3)))[1])
    assert isinstance(state, tuple) == has_memory(kind)


@pytest.mark.parametrize(("kind", "proj_size"), CELLS)
def test_it_can_be_set_and_read(kind: str, proj_size: int, dtype: str) -> None:
    model = make(kind, 3, 7, num_layers=2, proj_size=proj_size, dtype=dtype)
    stream, state = model.stream(4), random_state(model, 4)
    stream.state = state
    assert_same_bits(stream.state, state)
    goes_on_alike(stream, model, state)


def test_what_is_read_and_what_was_set_are_copies() -> None:
    model = make("lstm", 3, 7)
    stream, state = model.stream(2), random_state(model, 2)
    stream.state = state
    kept = tuple(half.copy() for half in state)
    for halves in (state, stream.state):
        for half in halves:
            half[...] = 5
    assert_same_bits(stream.state, kept)
    before = stream.state
    stream.step(np.ones((2, 3)))
    assert_same_bits(before, kept)


def test_other_forms_of_a_state() -> None:
    model = make("lstm", 3, 7, num_layers=2)
    h, c = random_state(model, 1)
    zero = np.zeros_like(h)
    stream = model.stream()
    for given, expected in (
        ((h[:, 0], c[:, 0]), (h, c)),
        ([h.tolist(), c.astype("float64")], (h, c)),
        ((None, c), (zero, c)),
        ((h[:, 0], None), (h, zero)),
        ((None, c[:, 0]), (zero, c)),
        ((None, None), (zero, zero)),
        (None, (zero, zero)),
    ):
        stream.state = (h + 1, c + 1)
        stream.state = given
        assert_same_bits(stream.state, expected)
    rnn = make("rnn_tanh", 3, 7, num_layers=2)
    single = rnn.stream()
    single.state = h[:, 0]
    assert_same_bits(single.state, h)
    single.state = None
    assert_same_bits(single.state, zero)


def test_all_rows_are_reset(kind: str) -> None:
    model = make(kind, 3, 7, num_layers=2)
    stream = moved(model, 3)
    stream.reset()
    assert not any(half.any() for half in parts(stream.state))
    goes_on_alike(stream, model, None)


@pytest.mark.parametrize(
    "rows",
    [
        2,
        np.int64(2),
        [2, 0],
        (4, 4),
        np.array([1], np.uint8),
        np.array([3, 2, 1, 0, 4])[::2],
        [],
        [True, False, False, True, True],
        np.zeros(5, np.bool_),
    ],
    ids=str,
)
def test_some_rows_are_reset(rows: Any, kind: str) -> None:
    model = make(kind, 3, 7, num_layers=2)
    stream, state = model.stream(5), random_state(model, 5)
    stream.state = state
    stream.reset(rows)
    for half in parts(state):
        half[:, np.asarray(rows, int if np.size(rows) == 0 else None)] = 0
    assert_same_bits(stream.state, state)
    goes_on_alike(stream, model, state)


@pytest.mark.parametrize(("kind", "proj_size"), CELLS)
def test_it_goes_back_to_a_snapshot(kind: str, proj_size: int, dtype: str) -> None:
    model = make(kind, 3, 7, num_layers=2, proj_size=proj_size, dtype=dtype)
    stream = moved(model, 3)
    state = stream.state
    before = stream.snapshot()
    for _ in range(2):  # it can be used more than once
        goes_on_alike(stream, model, state)
        stream.restore(before)
        assert_same_bits(stream.state, state)
    other = model.stream(3)
    other.restore(pickle.loads(pickle.dumps(before)))
    goes_on_alike(other, model, state)
    assert before.nbytes == sum(half.nbytes for half in parts(state))
    shapes = " and ".join(str(half.shape) for half in parts(state))
    assert repr(before) == f"StreamSnapshot({shapes} of {dtype})"


def copies(stream: Any) -> dict[str, Any]:
    return {
        "pickle": pickle.loads(pickle.dumps(stream)),
        "copy": copy.copy(stream),
        "deepcopy": copy.deepcopy(stream),
    }


def test_copies_go_on_by_themselves(kind: str, dtype: str) -> None:
    model = make(kind, 3, 7, num_layers=2, dtype=dtype)
    stream = moved(model, 3)
    state = stream.state
    made = copies(stream)
    stream.run(random_x(model, 4, 3))
    for what, other in made.items():
        assert type(other) is lstmfast.Stream, what
        assert_same_bits(other.state, state, what)
        goes_on_alike(other, model, state)
    assert made["copy"].model is model
    assert made["deepcopy"].model is not model


def test_a_pickle_has_one_model_for_all_its_streams() -> None:
    model = make("lstm", 40, 50)
    streams = [moved(model, 1) for _ in range(20)]
    data = pickle.dumps((streams, model))
    weights = sum(array.nbytes for array in model.parameters.values())
    assert weights < len(data) < 1.5 * weights
    loaded, again = pickle.loads(data)
    assert all(stream.model is again for stream in loaded)
    for stream, other in zip(streams, loaded, strict=True):
        assert_same_bits(stream.state, other.state)
    both = copy.deepcopy((streams[0], model))
    assert both[0].model is both[1]


class Special(lstmfast.Stream[Any]):
    """Made in another way, and with more in it."""

    def __init__(self, name: str) -> None:
        super().__init__(make("lstm", 3, 7), 2)
        self.name = name


class SpecialPool(lstmfast.StreamPool[Any]):
    def __init__(self, name: str) -> None:
        super().__init__(make("lstm", 3, 7), 2)
        self.name = name


def test_a_subclass_stays_one() -> None:
    for cls in (Special, SpecialPool):
        for made in copies(cls("tom")).values():
            assert type(made) is cls
            assert made.name == "tom"


def test_a_snapshot_cannot_be_changed() -> None:
    snapshot = moved(make("lstm", 3, 7), 2).snapshot()
    for half in (snapshot._h, snapshot._c):
        with pytest.raises(ValueError, match="read-only"):
            half[...] = 0
        with pytest.raises(ValueError, match="WRITEABLE"):
            half.flags.writeable = True
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(snapshot, protocol))
        assert_same_bits((again._h, again._c), (snapshot._h, snapshot._c))
        assert not again._h.flags.writeable
    with pytest.raises(TypeError, match=r"^h: expected an array of a stream's, got 1"):
        lstmfast.StreamSnapshot(1, None)
    with pytest.raises(TypeError, match=r"^c: expected an array of a stream's, got 2"):
        lstmfast.StreamSnapshot(snapshot._h, 2)


def test_nothing_keeps_a_stream() -> None:
    model = make("lstm", 3, 7)
    stream = model.stream()
    seen = weakref.ref(stream)
    del stream
    assert seen() is None
    # A circle through the model is found by the collector.
    model.its_stream = model.stream()
    seen = weakref.ref(model.its_stream)
    of_model = weakref.ref(model)
    del model
    gc.collect()
    assert seen() is None
    assert of_model() is None


def test_reference_counts_stay_even() -> None:
    import sys

    model = make("lstm", 3, 7)
    stream, x, y = model.stream(), np.zeros(3, np.float32), np.empty(7, np.float32)
    things = (model, stream, x, y, model._network, stream._core)

    def counts() -> list[int]:
        return [sys.getrefcount(thing) for thing in things]

    before = counts()
    for _ in range(1_000):
        stream.step(x, out=y)
        stream.run(x[np.newaxis])
        stream.snapshot()
        with pytest.raises(ValueError, match=r"^x: "):
            stream.step(y)
    gc.collect()
    assert counts() == before
