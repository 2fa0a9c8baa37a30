"""Pieces that begin from a given state instead of zero (`reset_to`), and c of every step (`return_c`)."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import lstmfast
from lstmfast.reference import Reference

from ..helpers import (
    CELLS,
    ISAS,
    assert_same_bits,
    has_memory,
    make,
    parts,
    random,
    random_call,
    random_state,
)
from .helpers import results, state_for_all, with_rows


@pytest.mark.parametrize(("cell", "proj_size"), CELLS)
@settings(max_examples=40)
@given(data=st.data())
def test_as_in_the_reference(cell: str, proj_size: int, data: st.DataObject) -> None:
    T, B, H = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 6)), data.draw(st.integers(5, 37))
    options: dict[str, Any] = {"num_layers": data.draw(st.sampled_from((1, 2)))}
    way = data.draw(st.sampled_from(("forward", "reverse", "both")))
    options |= {"bidirectional": way == "both"} if way != "reverse" else {"direction": "reverse"}
    isa = data.draw(st.sampled_from(ISAS))
    before = cell == "gru" and data.draw(st.booleans())
    if before:
        options["reset_after"] = False
    model = make(cell, 3, H, proj_size=proj_size, dtype="float64", isa=isa, **options)
    call = random_call(model, T, B, seed=data.draw(st.integers(0, 99)))
    rng = np.random.default_rng(T)
    cuts: dict[str, Any] = {"reset": rng.random((T, B)) < data.draw(st.sampled_from((0.2, 0.7)))}
    if data.draw(st.booleans()):
        cuts["lengths"] = rng.integers(0, T + 1, B)
    shared = data.draw(st.booleans())
    begins = state_for_all(model) if shared else random_state(model, B, 5)
    asked: dict[str, Any] = {}
    dc = None
    if has_memory(cell):
        asked["return_c"] = True
        dc = random((T, B, (2 if way == "both" else 1) * H), "float64", seed=8)
    recompute = data.draw(st.booleans())
    found = results(model, call, dc, **cuts, reset_to=begins, recompute=recompute, **asked)

    name = "gru_reset_before" if before else cell
    network = Reference(name, model.parameters, model.num_layers, way == "both", reverse=way == "reverse")
    x, state, dy, dstate = call
    full = with_rows(begins, B) if shared else begins
    y, ends, cache = network.forward(x, *parts(state), **cuts, reset_to=(*parts(full), None)[:2])  # type: ignore[arg-type]
    dh_n, dc_n = (*parts(dstate), None)[:2]
    dx, dh, dc0, gradients, dcut = network.backward_with_cut(cache, dy, dh_n, dc_n, dc)
    expected = {"y": y, "dx": dx, **{f"d {name}": array for name, array in gradients.items()}}
    if dc is not None:
        expected["c"] = network.memory(cache)
    for name, halves in (("end", ends), ("dstate", (dh, dc0)), ("dreset_to", dcut)):
        for n, half in enumerate(halves[: 2 if has_memory(cell) else 1]):
            assert half is not None
            summed = name == "dreset_to" and shared
            expected[f"{name} {n}"] = half.sum(axis=1) if summed else half
    assert set(found) == set(expected)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-10, atol=1e-10, err_msg=name)


@pytest.mark.parametrize(("cell", "proj_size"), CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_bits_on_every_isa_with_any_threads_and_by_rows(
    cell: str, proj_size: int, bidirectional: bool, threads: None
) -> None:
    options = {"proj_size": proj_size, "num_layers": 2, "bidirectional": bidirectional}
    models = [make(cell, 3, 70, isa=isa, **options) for isa in ISAS]
    call, begins = random_call(models[0], 40, 5), random_state(models[0], 5, 5)
    reset = np.random.default_rng(2).random((40, 5)) < 0.2
    asked: dict[str, Any] = {"return_c": True} if has_memory(cell) else {}
    lstmfast.set_num_threads(1)
    first = results(models[0], call, reset=reset, reset_to=begins, **asked)
    for model in models:
        for count in (1, 2, 3):
            lstmfast.set_num_threads(count)
            assert_same_bits(results(model, call, reset=reset, reset_to=begins, **asked), first)
            called = model(call[0], call[1], reset=reset, reset_to=begins, **asked)
            assert_same_bits(called[0], first["y"])
            if asked:
                assert_same_bits(called[2], first["c"])
    for b in range(5):
        one = slice(b, b + 1)
        alone = results(
            models[0],
            tuple(
                tuple(half[:, one] for half in part) if isinstance(part, tuple) else part[:, one]
                for part in call
            ),
            reset=reset[:, one],
            reset_to=tuple(half[:, one] for half in begins) if isinstance(begins, tuple) else begins[:, one],
        )
        for name in ("y", "dx", "dreset_to 0"):
            assert_same_bits(alone[name], first[name][:, one])


def test_zero_is_as_without(kind: str) -> None:
    model = make(kind, 3, 20, num_layers=2, bidirectional=True)
    call = random_call(model, 9, 4)
    reset = np.random.default_rng(2).random((9, 4)) < 0.3
    zero = with_rows(state_for_all(model), 4)
    zero = tuple(0 * half for half in zero) if has_memory(kind) else 0 * zero
    found = results(model, call, reset=reset, reset_to=zero)
    plain = results(model, call, reset=reset)
    assert_same_bits({name: found[name] for name in plain}, plain)
    assert any(np.abs(found[name]).max() > 1e-3 for name in set(found) - set(plain))


def test_layouts_halves_and_smaller_weights() -> None:
    model = lstmfast.LSTM(3, 20, batch_first=True, seed=0)
    x = random((4, 9, 3))
    reset = np.random.default_rng(2).random((4, 9)) < 0.3
    h, c = state_for_all(model)
    y, _, memory = model(x, reset=reset, reset_to=(None, c), return_c=True)
    assert_same_bits(model(x, reset=reset, reset_to=(0 * h, c))[0], y)
    assert memory.shape == (4, 9, 20)
    one, _, of_one = model(x[2], reset=reset[2], reset_to=(None, c), return_c=True)
    assert_same_bits([one, of_one], [y[2], memory[2]])
    # c of every step is what a stream's state is after it.
    stream = lstmfast.LSTM(3, 20, seed=0).stream()
    for t in range(9):
        if reset[2, t]:
            stream.reset(to=(None, c))
        assert_same_bits(stream.step(x[2, t : t + 1])[0], one[t])
        assert_same_bits(stream.state[1][0, 0], of_one[t])
    out = (np.empty_like(y), (np.empty((1, 4, 20), np.float32), np.empty((1, 4, 20), np.float32)))
    model(x, reset=reset, reset_to=(None, c), out=out)
    assert_same_bits(out[0], y)
    small = model.quantize("int8")
    assert np.abs(small(x, reset=reset, reset_to=(None, c))[0] - y).max() < 0.1
    _, _, tape = model.forward(x, reset=reset, reset_to=(None, c))
    grads = model.backward(tape, np.ones_like(y))
    assert grads.reset_to is not None
    assert [half.shape for half in grads.reset_to] == [(1, 20), (1, 20)]


def test_streams_and_pools_begin_from_a_state(kind: str) -> None:
    model = make(kind, 3, 20, num_layers=2)
    begins = state_for_all(model)
    x = random((6, 3, 3))
    y, _ = model(x, with_rows(begins, 3))
    stream = model.stream(batch=3)
    stream.step(x[0])
    stream.reset([0, 2], to=begins)
    stream.reset(np.array([False, True, False]), to=begins)
    pool = model.stream_pool(5)
    ids = [pool.open(begins), pool.open(begins), pool.open()]
    pool.step(ids[2], x[0, 0])
    pool.reset(ids[2], to=begins)
    for frame, expected in zip(x, y, strict=True):
        assert_same_bits(stream.step(frame), expected)
        assert_same_bits(pool.step(ids, frame), expected)


def test_bad_input() -> None:
    lstm, rnn = lstmfast.LSTM(3, 20, seed=0), lstmfast.RNN(3, 20, seed=0)
    x, reset = random((4, 2, 3)), np.ones((4, 2), bool)
    h, c = state_for_all(lstm)
    wrong: tuple[tuple[Any, type[Exception], str], ...] = (
        (h, TypeError, r"^reset_to: expected a pair \(h, c\), got an array"),
        ((h, c, c), ValueError, r"^reset_to: expected a pair \(h, c\)"),
        (
            (h[:, :3], c),
            ValueError,
            r"^reset_to: h: expected shape \(1, 20\) \[L\*D, H\], got \(1, 3\)",
        ),
        ((h, c[0]), ValueError, r"^reset_to: c: expected shape \(1, 2, 20\)"),
        (
            (with_rows((h, c), 3)),
            ValueError,
            r"^reset_to: h: expected shape \(1, 2, 20\) .*, got \(1, 3, 20\)",
        ),
        ((h, with_rows((h, c), 2)[1]), ValueError, "^reset_to: expected h and c both with an axis of rows"),
        (("a", c), TypeError, "^reset_to: h: expected"),
    )
    for reset_to, error, message in wrong:
        for call in (lstm, lstm.forward):
            with pytest.raises(error, match=message):
                call(x, reset=reset, reset_to=reset_to)
    with pytest.raises(ValueError, match=r"^return_c: expected False, for RNN has no c"):
        rnn(x, return_c=True)
    with pytest.raises(TypeError, match=r"^return_c: expected True or False, got 1"):
        lstm(x, return_c=1)  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"^out: expected None with return_c=True"):
        lstm(x, return_c=True, out=lstm(x))  # type: ignore[call-overload]
    begins, out = random_state(lstm, 2), lstm(x)
    with pytest.raises(
        ValueError, match=r"^out: c_n: expected memory of its own, got some that reset_to: c has"
    ):
        lstm(x, reset=reset, reset_to=begins, out=(out[0], (out[1][0], begins[1])))
    y, _, tape = rnn.forward(x)
    with pytest.raises(ValueError, match=r"^dc: expected None, for RNN has no c"):
        rnn.backward(tape, y, dc=y)
    y, _, lstm_tape = lstm.forward(x)
    with pytest.raises(ValueError, match=r"^dc: expected shape \(4, 2, 20\) \[T, B, D\*H\], got \(4, 2, 3\)"):
        lstm.backward(lstm_tape, y, dc=x)
    stream, pool = lstm.stream(batch=2), lstm.stream_pool(2)
    before = stream.state
    id = pool.open()
    for refused in (
        lambda: stream.reset([0, 5], to=(h, c)),
        lambda: stream.reset([0], to=(h[:, :3], c)),
        lambda: pool.open((h[:, :3], c)),
        lambda: pool.reset([id, id], to=(h, c)),
        lambda: pool.reset([id], to=(h, c[0])),
    ):
        with pytest.raises(ValueError, match=r"^(rows|to: [hc]|state: h|ids): expected"):
            refused()
    assert_same_bits(stream.state, before)
    assert len(pool) == 1
    assert not np.any(pool.state(id)[0])
