"""The LSTM with layer normalisation."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

import lstmfast
from lstmfast.reference import Reference

from ..helpers import ISAS, assert_same_bits, everything, random, random_call, random_state


def make(
    input_size: int, hidden_size: int, layers: int = 1, seed: int = 0, **options: Any
) -> lstmfast.LayerNormLSTM:
    """A model whose gains are not 1."""
    model = lstmfast.LayerNormLSTM(input_size, hidden_size, layers, seed=seed, **options)
    rng = np.random.default_rng(seed)
    model.update(
        {name: array + 0.3 * rng.standard_normal(array.shape) for name, array in model.parameters.items()}
    )
    return model


@settings(max_examples=80)
@given(data=st.data())
def test_all_is_as_in_the_reference(data: st.DataObject) -> None:
    T, B, H = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 6)), data.draw(st.integers(3, 50))
    layers = data.draw(st.sampled_from((1, 2)))
    way = data.draw(st.sampled_from(("forward", "reverse", "both")))
    options: dict[str, Any] = {"bias": data.draw(st.booleans()), "dtype": "float64"}
    options |= {"bidirectional": True} if way == "both" else {"direction": way}
    model = make(3, H, layers, isa=data.draw(st.sampled_from(ISAS)), **options)
    x, state, dy, dstate = random_call(model, T, B, seed=data.draw(st.integers(0, 99)))
    rng = np.random.default_rng(T)
    cuts: dict[str, Any] = {}
    begins = None
    if data.draw(st.booleans()):
        cuts["lengths"] = rng.integers(0, T + 1, B)
    if data.draw(st.booleans()):
        cuts["reset"] = rng.random((T, B)) < 0.3
        begins = random_state(model, B, 5)
    dc = random((T, B, (2 if way == "both" else 1) * H), "float64", seed=8)
    recompute = data.draw(st.booleans())
    y, ends, tape, memory = model.forward(
        x, state, recompute=recompute, reset_to=begins, return_c=True, **cuts
    )
    grads = model.backward(tape, dy, dstate, dc=dc)
    assert_same_bits(model(x, state, reset_to=begins, **cuts)[0], y)

    network = Reference("lstm_norm", model.parameters, layers, way == "both", reverse=way == "reverse")
    expected, expected_ends, cache = network.forward(x, *state, **cuts, reset_to=begins or (None, None))
    dx, dh, dc0, gradients, dcut = network.backward_with_cut(cache, dy, dstate[0], dstate[1], dc)
    pairs = [
        (y, expected),
        (memory, network.memory(cache)),
        (grads.x, dx),
        *zip(ends, expected_ends, strict=True),
    ]
    pairs += [*zip(grads.state, (dh, dc0), strict=True)]
    pairs += [(grads.parameters[name], array) for name, array in gradients.items()]
    if begins is not None:
        assert grads.reset_to is not None
        pairs += [*zip(grads.reset_to, dcut, strict=True)]
    for ours, theirs in pairs:
        assert theirs is not None
        scale = 1 + np.abs(theirs).max(initial=0)
        np.testing.assert_allclose(ours / scale, theirs / scale, rtol=0, atol=1e-10)


@pytest.mark.parametrize("H", [5, 40, 130])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_are_the_same_on_every_isa_by_rows_and_with_any_threads(
    H: int, dtype: str, threads: None
) -> None:
    models = [make(6, H, 2, isa=isa, dtype=dtype, bidirectional=True) for isa in ISAS]
    call = random_call(models[0], 11, 7)
    lstmfast.set_num_threads(1)
    first = everything(models[0], *call)
    for model in models:
        for count in (1, 2, 3):
            lstmfast.set_num_threads(count)
            assert_same_bits(everything(model, *call), first)
        for b in range(7):
            one = slice(b, b + 1)
            h, c = call[1]
            assert_same_bits(model(call[0][:, one], (h[:, one], c[:, one]))[0], first["y"][:, one])


def test_streams_files_pickles_and_copies(isa: str, tmp_path: Path) -> None:
    model = make(6, 20, 2, isa=isa)
    x = random((9, 3, 6))
    y, _ = model(x)
    stream, pool = model.stream(batch=3), model.stream_pool(4)
    ids = [pool.open() for _ in range(3)]
    assert_same_bits(np.stack([stream.step(frame) for frame in x]), y)
    assert_same_bits(np.stack([pool.step(ids, frame) for frame in x]), y)
    made = eval(f"lstmfast.{model!r}")
    made.load_state_dict(model.state_dict())
    others = [made, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    pytest.importorskip("safetensors")
    model.save(tmp_path / "model")
    others.append(lstmfast.load(tmp_path / "model"))
    for other in others:
        assert type(other) is lstmfast.LayerNormLSTM
        assert repr(other) == repr(model)
        assert_same_bits(other(x)[0], y)


def test_what_it_is_made_of() -> None:
    model = lstmfast.LayerNormLSTM(3, 5, seed=0, init="orthogonal", forget_bias=1.0)
    assert list(model.parameters) == [
        *("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"),
        *("gain_ih_l0", "gain_hh_l0", "gain_c_l0", "bias_c_l0"),
    ]
    for name, value in (("gain_ih", 1), ("gain_hh", 1), ("gain_c", 1), ("bias_c", 0)):
        assert (model.parameters[f"{name}_l0"] == value).all()
    assert (model.parameters["bias_ih_l0"][5:10] == 1).all()
    # A row is normalised: x and weights of any size give the same.
    x = random((4, 2, 3)).astype(np.float64)
    double = lstmfast.LayerNormLSTM(3, 5, dtype="float64")
    double.update(dict(model.parameters))
    np.testing.assert_allclose(double(1000 * x)[0], double(100000 * x)[0], atol=1e-6)


def test_what_it_does_not_have() -> None:
    model = lstmfast.LayerNormLSTM(3, 5)
    with pytest.raises(
        TypeError, match=r"^quantize: expected a layer that has smaller weights, got LayerNormLSTM"
    ):
        model.quantize("int8")
    with pytest.raises(TypeError, match=r"^expected a kind that PyTorch has, got LayerNormLSTM"):
        model.to_torch()
    for option in ("proj_size", "peephole", "coupled", "clip", "activations"):
        with pytest.raises(TypeError, match=option):
            lstmfast.LayerNormLSTM(3, 5, **{option: 1})  # type: ignore[arg-type]
    core = lstmfast._core
    given = [np.zeros((20, 3), np.uint16), np.zeros((20, 5), np.uint16)]
    with pytest.raises(ValueError, match=r"^cell: expected one that has smaller weights, got 'lstm_norm'"):
        core.small_network("lstm_norm", 3, 5, 1, False, False, "float16", given, ISAS[0])


def test_nan_and_infinity_stay_in_their_row() -> None:
    model = make(3, 20)
    x = random((5, 4, 3))
    clean, _ = model(x)
    x[2, 1], x[3, 2, 0] = np.nan, np.inf
    y, _ = model(x)
    assert_same_bits(y[:, [0, 3]], clean[:, [0, 3]])
    assert np.isnan(y[2:, 1]).all()
    assert np.isnan(y[3:, 2]).all()
    assert_same_bits(y[:2], clean[:2])


def test_what_no_number_holds_is_nan_and_not_zero() -> None:
    model = make(3, 20)
    x = random((5, 2, 3))
    x[3:, 1] = 1e30
    y, _ = model(x)
    assert np.isfinite(y[:, 0]).all()
    assert np.isnan(y[3:, 1]).all()
