"""A stream gives what the whole sequence gives, to the bit: frame by frame, in chunks, and in any mixture."""

from __future__ import annotations

import itertools
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import lstmfast

from ..core_helpers import in_every_form
from ..helpers import CELLS, assert_same_bits, make, parts, random, random_state, random_x
from .chunks import WAYS, check_threads, streamed, whole


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("kind", "proj_size"), CELLS)
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_same_bits(kind: str, proj_size: int, layers: int, dtype: str, isa: str, way: str) -> None:
    for batch, batch_first in ((1, False), (5, True), (5, False)):
        model = make(
            kind, 3, 21, num_layers=layers, proj_size=proj_size, dtype=dtype, isa=isa, batch_first=batch_first
        )
        x, state = random_x(model, 11, batch), random_state(model, batch)
        for cuts in (list(range(1, 11)), [4, 5], []):
            for given in (None, state):
                assert_same_bits(streamed(model, x, cuts, given, way), whole(model, x, given))


@hypothesis.settings(max_examples=400)
@hypothesis.given(st.data())
def test_same_bits_however_it_is_cut(data: st.DataObject) -> None:
    kind, proj_size = data.draw(st.sampled_from(CELLS), label="cell")
    model = make(
        kind,
        data.draw(st.integers(1, 9), label="I"),
        data.draw(st.integers(5, 40), label="H"),
        num_layers=data.draw(st.integers(1, 3), label="layers"),
        bias=data.draw(st.booleans(), label="bias"),
        batch_first=data.draw(st.booleans(), label="batch_first"),
        dtype=data.draw(st.sampled_from(["float32", "float64"]), label="dtype"),
        isa=data.draw(st.sampled_from(lstmfast.available_isas()), label="isa"),
        proj_size=proj_size,
    )
    T, B = data.draw(st.integers(1, 25), label="T"), data.draw(st.integers(1, 20), label="B")
    cuts = data.draw(st.lists(st.integers(1, max(T - 1, 1)), max_size=T), label="cuts")
    x = random_x(model, T, B)
    state = data.draw(st.sampled_from([None, random_state(model, B)]), label="state")
    cuts = sorted({cut for cut in cuts if cut < T})
    assert_same_bits(streamed(model, x, cuts, state), whole(model, x, state))


@pytest.mark.parametrize("rows", [127, 128, 129, 600])
@pytest.mark.parametrize(("kind", "proj_size"), CELLS)
def test_more_rows_than_a_block(kind: str, proj_size: int, rows: int) -> None:
    model = make(kind, 3, 9, num_layers=3, proj_size=proj_size)
    x = random_x(model, 3, rows)
    assert_same_bits(streamed(model, x, [1, 2]), whole(model, x))


# A single row is shared, by panels, only in such large models.
SIZES = [("lstm", 0, 1, 700), ("lstm", 350, 1, 1400), ("rnn_tanh", 0, 1, 1600), ("lstm", 200, 3, 700)]
SIZES += [(*cell, *size) for cell in CELLS for size in ((1, 300), (3, 300), (200, 64), (700, 40))]


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(("kind", "proj_size", "rows", "hidden"), SIZES)
def test_same_bits_on_several_threads(kind: str, proj_size: int, rows: int, hidden: int) -> None:
    model = make(kind, 200, hidden, num_layers=2, proj_size=proj_size)
    x = random_x(model, 6, rows)
    check_threads(model, x, 3)


@pytest.mark.parametrize("way", WAYS)
def test_a_single_row_needs_no_axis_for_it(kind: str, dtype: str, way: str) -> None:
    step, run = WAYS[way]
    for batch_first in (False, True):
        model = make(kind, 3, 7, num_layers=2, dtype=dtype, batch_first=batch_first)
        x = random((9, 3), dtype)
        y, _ = model(x)
        stream = model.stream()
        for t in range(4):
            frame = step(stream, x[t])
            assert frame.shape == (7,)
            assert_same_bits(frame, y[t])
        assert_same_bits(run(stream, x[4:8]), y[4:8])
        assert_same_bits(step(stream, x[8:9]), y[8:9])
        stream.reset()
        axis = 0 if batch_first else 1
        assert_same_bits(run(stream, np.expand_dims(x, axis)), np.expand_dims(y, axis))


def test_any_real_input(dtype: str) -> None:
    model = make("lstm", 4, 6, dtype=dtype)
    x = np.arange(24).reshape(2, 3, 4) - 9  # T=2, B=3
    inputs = in_every_form(x, dtype)
    expected, _ = model(x)
    for name, given in inputs.items():
        stream = model.stream(3)
        assert_same_bits(stream.run(given), expected, name)
        stream.reset()
        assert_same_bits(stream.step(given[0]), expected[0], name)


def test_nan_and_infinity_are_data() -> None:
    model = make("lstm", 2, 5)
    x = random_x(model, 6, 3)
    x[2, 0], x[3, 1] = np.nan, np.inf
    y, _ = streamed(model, x, [1, 2, 3, 4])
    assert_same_bits(y, whole(model, x)[0])
    assert np.isnan(y[2:, 0]).all()
    assert not np.isnan(y[:, 2]).any()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_no_steps_change_nothing(way: str, batch_first: bool) -> None:
    _, run = WAYS[way]
    model = make("lstm", 2, 5, batch_first=batch_first)
    for batch, shape in ((3, (3, 0) if batch_first else (0, 3)), (1, (0,))):
        stream = model.stream(batch)
        stream.state = random_state(model, batch)
        before = stream.state
        out = np.empty((*shape, 5), np.float32)
        for empty in (np.zeros((*shape, 2), np.float32), np.zeros((*shape, 2))):
            assert run(stream, empty).shape == (*shape, 5)
            assert run(stream, empty, out=out) is out
            assert_same_bits(stream.state, before)


@pytest.mark.parametrize("way", WAYS)
def test_out_is_what_is_returned(kind: str, dtype: str, way: str) -> None:
    step, run = WAYS[way]
    model = make(kind, 3, 7, dtype=dtype)
    x = random_x(model, 6, 2)
    expected, _ = model(x)
    stream = model.stream(2)
    y, ys = np.empty((2, 7), dtype), np.empty((5, 2, 7), dtype)
    assert step(stream, x[0], out=y) is y
    assert run(stream, x[1:], out=ys) is ys
    assert_same_bits((y, ys), (expected[0], expected[1:]))
    single, one, many = model.stream(), np.empty(7, dtype), np.empty((5, 7), dtype)
    assert step(single, x[0, 0], out=one) is one
    assert run(single, np.ascontiguousarray(x[1:, 0]), out=many) is many
    assert_same_bits((one, many), (expected[0, 0], expected[1:, 0].copy()))
    assert step(single, x[0, 0], out=None) is not one


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_out_of_an_unusual_input(batch_first: bool, way: str, dtype: str) -> None:
    step, run = WAYS[way]
    model = make("lstm", 4, 7, num_layers=2, dtype=dtype, batch_first=batch_first)
    x = random_x(model, 6, 3)
    y, end = model(x)
    frame = (slice(None), 0) if batch_first else 0
    for given in (x, x.tolist(), x.astype("longdouble"), np.asfortranarray(x), np.repeat(x, 2, -1)[..., ::2]):
        stream, out = model.stream(3), np.full_like(y, np.nan)
        assert run(stream, given, out=out) is out
        assert_same_bits((out, stream.state), (y, end))
        stream.reset()
        first = np.full((3, 7), np.nan, dtype)
        assert step(stream, np.asarray(given)[frame], out=first) is first
        assert_same_bits(first, y[frame].copy())


def outcome(call: Any, stream: Any, x: Any, out: Any) -> tuple[Any, Any]:
    """Whether `out` comes back, and a copy of what does; or what was raised."""
    try:
        y = call(stream, x, out=out)
    except Exception as error:
        return type(error), str(error)
    return y is out, y.copy()


@pytest.mark.parametrize("rows", [1, 3])
def test_nobody_can_tell_the_ways_apart(rows: int) -> None:
    model = make("rnn_tanh", 2, 4, num_layers=2)
    x, state = random((5, rows, 2)), random_state(model, rows)
    odd: list[Any] = [x, x[0], x[:, 0], x[0, 0], x[..., :1], x[:, :0], x[:0], x[::2], x[None], None, 3, "x"]
    odd += [x.astype("f8"), x[0].astype("f8"), x.tolist(), x[0].tolist(), x.astype("c8"), x.view(np.recarray)]
    shapes = [None, (4,), (rows, 4), (5, 4), (5, rows, 4), (0, rows, 4), (rows, 3)]
    for given, shape, method in itertools.product(odd, shapes, (0, 1)):
        general, fast = WAYS["general"][method], WAYS["fast"][method]
        results = []
        for call in (general, fast, lambda stream, x, out, call=fast: call(stream, x=x, out=out)):
            stream, out = model.stream(rows), None if shape is None else np.zeros(shape, np.float32)
            stream.state = state
            results.append((*outcome(call, stream, given, out), stream.state))
        for kind, result, after in results[1:]:
            assert kind == results[0][0]
            if isinstance(kind, bool):
                assert_same_bits(result, results[0][1])
            else:
                assert result == results[0][1]
            assert_same_bits(after, results[0][2])


def test_a_snapshot_of_every_frame() -> None:
    model = make("lstm", 3, 7, num_layers=2)
    x = random_x(model, 6, 2)
    stream, y = model.stream(2), model(x)[0]
    snapshots = [(stream.snapshot(), stream.step(frame))[0] for frame in x]
    for t in (5, 0, 3, 3, 1):
        stream.restore(snapshots[t])
        assert_same_bits(stream.run(x[t:]), y[t:])


@pytest.mark.parametrize("give", ["update", "load_state_dict"])
def test_weights_given_later_hold_from_the_next_call_on(give: str) -> None:
    model = make("lstm", 3, 7, num_layers=2)
    other = make("lstm", 3, 7, num_layers=2, seed=5)
    x = random_x(model, 9, 2)
    stream = model.stream(2)
    first, state = whole(model, x[:4])
    assert_same_bits(stream.run(x[:4]), first)
    getattr(model, give)(other.state_dict())
    second, state = whole(other, x[4:], state)
    assert_same_bits(stream.step(x[4]), second[0])
    assert_same_bits(stream.run(x[5:]), second[1:])
    assert_same_bits(stream.state, state)
    assert not np.array_equal(second, make("lstm", 3, 7, num_layers=2)(x)[0][4:])


def test_streams_of_one_model_do_not_meet() -> None:
    model = make("rnn_relu", 3, 7)
    x = random_x(model, 8, 3)
    streams = [model.stream() for _ in range(3)]
    expected, _ = model(x)
    for t in range(8):
        for b in ((0, 1, 2), (2, 0, 1), (1, 2, 0))[t % 3]:
            assert_same_bits(streams[b].step(x[t, b]), expected[t, b])


def test_a_stream_keeps_its_model() -> None:
    stream = make("lstm", 3, 7).stream()
    assert stream.model.hidden_size == 7
    assert_same_bits(stream.step([1, 2, 3]), make("lstm", 3, 7)(np.array([[1, 2, 3]]))[0][0])


def test_what_it_says_of_itself() -> None:
    stream = make("lstm", 3, 32, num_layers=2).stream(4)
    assert repr(stream) == "Stream(LSTM(3, 32, num_layers=2), batch=4)"
    assert stream.batch == 4
    states = sum(half.nbytes for half in parts(stream.state))
    assert states <= stream.nbytes <= states + 4 * 32 * 4 + 1024
