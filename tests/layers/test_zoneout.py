"""Noise inside the recurrence: zoneout, and dropout of the weights that read h."""

from __future__ import annotations

import pickle
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import lstmfast
from lstmfast.reference import Reference

from ..helpers import ISAS, Array, assert_same_bits, everything, parts, random, random_call

CELLS = {"LSTM": "lstm", "GRU": "gru", "RNN": "rnn_tanh", "LayerNormLSTM": "lstm_norm"}


def drawn(model: Any, T: int, B: int, seed: int) -> tuple[Array | None, Array | None, dict[str, Array]]:
    """What forward draws, by its docstring: masks of dropout and of zoneout, factors of recurrent weights."""
    rng = np.random.default_rng(seed)
    D, S = 2 if model.bidirectional else 1, model.proj_size or model.hidden_size
    L = model.num_layers
    masks = renewed = None
    if model.dropout and L > 1:
        masks = rng.random((L - 1, T, B, D * S), dtype=np.float32) >= model.dropout
    if model.zoneout:
        renewed = rng.random((L * D, T, B, S), dtype=np.float32) >= model.zoneout
    factors = {}
    if model.recurrent_dropout:
        for name, weight in model.parameters.items():
            if name.startswith("weight_hh"):
                kept = rng.random(weight.shape, dtype=np.float32) >= model.recurrent_dropout
                factors[name] = kept / (1 - model.recurrent_dropout)
    return masks, renewed, factors


@pytest.mark.parametrize("kind", CELLS)
@settings(max_examples=60)
@given(data=st.data())
def test_all_is_as_in_the_reference(kind: str, data: st.DataObject) -> None:
    T, B, H = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 6)), data.draw(st.integers(4, 37))
    options: dict[str, Any] = {"num_layers": data.draw(st.sampled_from((1, 2)))}
    way = data.draw(st.sampled_from(("forward", "reverse", "both")))
    options |= {"bidirectional": True} if way == "both" else {"direction": way}
    if kind == "LSTM":
        options["proj_size"] = data.draw(st.sampled_from((0, 3)))
        options["peephole"] = data.draw(st.booleans())
    if kind == "GRU":
        options["reset_after"] = data.draw(st.booleans())
    options["zoneout"] = data.draw(st.sampled_from((0.0, 0.3, 1.0)))
    options["recurrent_dropout"] = data.draw(st.sampled_from((0.0, 0.4)))
    options["dropout"] = data.draw(st.sampled_from((0.0, 0.5)))
    isa = data.draw(st.sampled_from(ISAS))
    model = getattr(lstmfast, kind)(3, H, dtype="float64", seed=1, isa=isa, **options)
    x, state, dy, dstate = random_call(model, T, B, seed=data.draw(st.integers(0, 99)))
    rng = np.random.default_rng(T)
    cuts: dict[str, Any] = {}
    if data.draw(st.booleans()):
        cuts["lengths"] = rng.integers(0, T + 1, B)
    if data.draw(st.booleans()):
        cuts["reset"] = rng.random((T, B)) < 0.3
    if data.draw(st.booleans()):
        cuts["mask"] = rng.random((T, B)) < 0.7
    y, ends, tape = model.forward(x, state, seed=5, recompute=data.draw(st.booleans()), **cuts)
    grads = model.backward(tape, dy, dstate)

    masks, renewed, factors = drawn(model, T, B, 5)
    name = CELLS[kind] if kind != "GRU" or options["reset_after"] else "gru_reset_before"
    weights = {key: array * factors.get(key, 1) for key, array in model.parameters.items()}
    layers, both = model.num_layers, way == "both"
    network = Reference(name, weights, layers, both, reverse=way == "reverse", zoneout=model.zoneout)
    scaled = None if masks is None else masks / (1 - model.dropout)
    expected, expected_ends, cache = network.forward(x, *parts(state), masks=scaled, renewed=renewed, **cuts)
    dx, dh, dc, gradients = network.backward(cache, dy, *parts(dstate))
    pairs = [(y, expected), (grads.x, dx), *zip(parts(ends), expected_ends, strict=False)]
    pairs += [*zip(parts(grads.state), (dh, dc), strict=False)]
    pairs += [(grads.parameters[key], array * factors.get(key, 1)) for key, array in gradients.items()]
    for ours, theirs in pairs:
        assert theirs is not None
        scale = 1 + np.abs(theirs).max(initial=0)
        np.testing.assert_allclose(ours / scale, theirs / scale, rtol=0, atol=1e-10)

    # A call takes what is expected, with all weights.
    plain = Reference(name, model.parameters, layers, both, reverse=way == "reverse", zoneout=model.zoneout)
    np.testing.assert_allclose(
        model(x, state, **cuts)[0], plain.forward(x, *parts(state), **cuts)[0], rtol=1e-10, atol=1e-10
    )


@pytest.mark.parametrize("kind", CELLS)
def test_bits_on_every_isa_and_with_any_threads(kind: str, threads: None) -> None:
    options: dict[str, Any] = {"zoneout": 0.3, "recurrent_dropout": 0.2, "bidirectional": True}
    models = [getattr(lstmfast, kind)(6, 70, 2, seed=2, isa=isa, **options) for isa in ISAS]
    call = random_call(models[0], 30, 5)
    lstmfast.set_num_threads(1)
    first = everything(models[0], *call, seed=3)
    for model in models:
        for count in (1, 2, 3):
            lstmfast.set_num_threads(count)
            assert_same_bits(everything(model, *call, seed=3), first)
            assert_same_bits(everything(model, *call, seed=3, recompute=True), first)


@pytest.mark.parametrize("kind", CELLS)
def test_streams_pools_and_smaller_weights_take_what_is_expected(kind: str, isa: str) -> None:
    model = getattr(lstmfast, kind)(6, 20, 2, seed=2, isa=isa, zoneout=0.3)
    x = random((9, 3, 6))
    layers = [model] if kind == "LayerNormLSTM" else [model, model.quantize("float16")]
    for layer in layers:
        y, _ = layer(x)
        stream, pool = layer.stream(batch=3), layer.stream_pool(4)
        ids = [pool.open() for _ in range(3)]
        assert_same_bits(np.stack([stream.step(frame) for frame in x]), y)
        assert_same_bits(np.stack([pool.step(ids, frame) for frame in x]), y)


@pytest.mark.parametrize("kind", CELLS)
def test_seeds_pickles_and_repr(kind: str) -> None:
    model = getattr(lstmfast, kind)(3, 20, seed=2, zoneout=0.3, recurrent_dropout=0.2)
    assert repr(model) == f"{kind}(3, 20, zoneout=0.3, recurrent_dropout=0.2)"
    x = random((9, 3, 3))
    y, _, _ = model.forward(x, seed=1)
    assert_same_bits(model.forward(x, seed=1)[0], y)
    assert_same_bits(pickle.loads(pickle.dumps(model)).forward(x, seed=1)[0], y)
    assert (model.forward(x, seed=2)[0] != y).any()
    assert (model.forward(x)[0] != model.forward(x)[0]).any()
    assert (model(x)[0] != y).any()
    plain = getattr(lstmfast, kind)(3, 20, seed=2)
    assert_same_bits(plain.forward(x)[0], plain(x)[0])


def test_a_tape_with_dropped_weights_is_of_its_model() -> None:
    model = lstmfast.LSTM(3, 20, seed=0, recurrent_dropout=0.5)
    x = random((4, 2, 3))
    y, _, tape = model.forward(x, seed=1)
    first = model.backward(tape, np.ones_like(y))
    assert_same_bits(model.backward(tape, np.ones_like(y)).parameters, first.parameters)
    dropped = first.parameters["weight_hh_l0"] == 0
    assert 0.4 < dropped.mean() < 0.6
    model.update({"bias_ih_l0": np.zeros(80)})
    with pytest.raises(ValueError, match=r"^tape: the weights have changed"):
        model.backward(tape, y)


@pytest.mark.parametrize("name", ["zoneout", "recurrent_dropout"])
@pytest.mark.parametrize(
    ("value", "error"), [(-0.1, ValueError), (1.5, ValueError), (True, TypeError), ("a", TypeError)]
)
def test_bad_input(name: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=rf"^{name}: expected a number from 0 to 1"):
        lstmfast.LSTM(3, 5, **{name: value})


@pytest.mark.parametrize("kind", CELLS)
def test_gradient_flow_takes_what_is_expected(kind: str) -> None:
    model = getattr(lstmfast, kind)(3, 8, dtype="float64", seed=2, zoneout=0.3, recurrent_dropout=0.5)
    x = random((6, 2, 3), "float64")

    def loss(y: Array) -> tuple[float, Array]:
        return float((y * y).sum() / 2), y

    assert_same_bits(lstmfast.gradient_flow(model, x, loss).h, lstmfast.gradient_flow(model, x, loss).h)
    # Its gradients are those of the call.
    quiet = model._without_dropout()
    y, _, tape = quiet.forward(x)
    assert_same_bits(y, model(x)[0])
    dx = quiet.backward(tape, y).x
    for index in [(0, 0, 0), (3, 1, 2), (5, 0, 1)]:
        changed = []
        for change in (-1e-6, 1e-6):
            moved = x.copy()
            moved[index] += change
            changed.append(loss(model(moved)[0])[0])
        assert abs((changed[1] - changed[0]) / 2e-6 - dx[index]) < 1e-7
