"""NaN, infinities, zeros with signs, denormals: where they go, the same everywhere.

Which numbers are NaN is the same everywhere; a NaN's sign and its payload are the CPU's business.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmfast

from ...core_helpers import from_reference
from ...helpers import (
    CELLS,
    ISAS,
    Array,
    assert_same_bits,
    everything,
    make,
    parts,
    random,
    random_call,
    random_state,
    random_x,
)
from ...small.helpers import needs_fma

pytestmark = pytest.mark.usefixtures("one_thread")

LAYERS: dict[str, tuple[str, dict[str, Any]]] = {
    "LSTM": ("LSTM", {"num_layers": 2, "bidirectional": True}),
    "projection": ("LSTM", {"proj_size": 7}),
    "GRU": ("GRU", {"num_layers": 2, "bidirectional": True}),
    "tanh": ("RNN", {}),
    "relu": ("RNN", {"nonlinearity": "relu"}),
    "peepholes": ("LSTM", {"peephole": True, "coupled": True, "clip": 2.0}),
    "functions": ("LSTM", {"activations": ("HardSigmoid", "Softsign", "Softplus")}),
    "more functions": ("RNN", {"activations": (("Elu", 0.5),)}),
    "reset before": ("GRU", {"reset_after": False}),
    "layer norm": ("LayerNormLSTM", {}),
    "zoneout": ("LSTM", {"zoneout": 0.25}),
}
T, B, I, H = 6, 13, 5, 21


def model_of(name: str, isa: str = ISAS[0], dtype: str = "float32") -> Any:
    kind, options = LAYERS[name]
    return getattr(lstmfast, kind)(I, H, seed=0, isa=isa, dtype=dtype, **options)


def with_specials(call: Any) -> Any:
    """x, state, dy, dstate: rows that hold one kind of special number each, or two, and rows of none."""
    x, state, dy, dstate = call
    least, largest = np.finfo(x.dtype).smallest_subnormal, np.finfo(x.dtype).max
    x[2, 1, 3], x[1, 2, 0], x[3, 3, 4] = np.nan, np.inf, -np.inf
    x[2, 4, :2] = np.inf, -np.inf
    x[2, 1, 1], x[3, 1, 2] = -np.nan, np.array(0x7FC12345, np.uint32).view(np.float32)  # other NaNs than that
    x[:, 5] = -0.0
    x[1, 6], x[2, 7] = 3 * least, (largest, -largest, largest, 0, -0.0)
    for part in parts(state):
        part[0, 5], part[0, 8, 1], part[0, 9, 2] = -0.0, np.nan, np.inf
    dy[3, 10, 2], dy[4, 11] = np.nan, -0.0
    parts(dstate)[0][0, 12, 1] = -np.inf
    return x, state, dy, dstate


def plain(results: dict[str, Array]) -> dict[str, Array]:
    """With one NaN for all."""
    return {
        name: np.where(np.isnan(array), array.dtype.type(np.nan), array) for name, array in results.items()
    }


@needs_fma
@pytest.mark.parametrize("name", LAYERS)
def test_every_isa(name: str, dtype: str) -> None:
    """With all gradients."""
    call = with_specials(random_call(model_of(name, dtype=dtype), T, B))
    first, *others = (plain(everything(model_of(name, isa, dtype), *call, seed=0)) for isa in ISAS)
    assert np.isnan(first["y"]).any()
    for other in others:
        assert_same_bits(other, first)


@pytest.mark.parametrize("name", [name for name in LAYERS if name != "zoneout"])  # drawn by a row's place
def test_a_row_is_not_anothers(name: str, isa: str) -> None:
    """Alone or among such ones, on one thread or more; the weights' gradients, sums over rows, are NaN."""
    model = model_of(name, isa)
    x, state, dy, dstate = with_specials(random_call(model, T, B))
    whole = everything(model, x, state, dy, dstate)
    assert all(np.isnan(array).any() for key, array in whole.items() if key.startswith("d "))
    rows_of = {key: plain({key: array})[key] for key, array in whole.items() if not key.startswith("d ")}
    clean = np.flatnonzero([not any(np.isnan(rows_of[key][:, b]).any() for key in rows_of) for b in range(B)])
    assert set(clean) >= {0, 5, 6}

    def picked(value: Any, row: int) -> Any:
        found = [np.ascontiguousarray(part[:, row : row + 1]) for part in parts(value)]
        return tuple(found) if isinstance(value, tuple) else found[0]

    for row in range(B):
        alone = everything(model, *(picked(value, row) for value in (x, state, dy, dstate)))
        expected = {key: array[:, row : row + 1] for key, array in rows_of.items()}
        assert_same_bits({key: plain(alone)[key] for key in expected}, expected, f"row {row}")
    lstmfast.set_num_threads(3)
    assert_same_bits(plain(everything(model, x, state, dy, dstate)), plain(whole))


@pytest.mark.parametrize("name", LAYERS)
def test_step_by_step(name: str, isa: str) -> None:
    """And in streams, where there are such."""
    model = model_of(name, isa)
    x, state, _, _ = with_specials(random_call(model, T, B))
    if model.bidirectional:
        model = getattr(lstmfast, LAYERS[name][0])(I, H, 2, seed=0, isa=isa)
        state = random_state(model, B)
    y, end = model(x, state)
    stream, carried, found = model.stream(batch=B), state, []
    stream.state = state
    for frame, expected in zip(x, y, strict=True):
        one, carried = model(frame[np.newaxis], carried)
        found.append(one[0])
        assert_same_bits(plain({"y": stream.step(frame)}), plain({"y": expected}))
    assert_same_bits(plain({"y": np.stack(found)}), plain({"y": y}))
    for a, b, c in zip(parts(carried), parts(end), parts(stream.state), strict=True):
        assert_same_bits([plain({"": a}), plain({"": c})], [plain({"": b})] * 2)


# Where they go.


@pytest.mark.parametrize(("kind", "proj_size"), CELLS)
@pytest.mark.parametrize("where", ["x", "state", "weight_ih_l0", "weight_hh_l1", "bias_ih_l0_reverse"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_as_in_the_reference(kind: str, proj_size: int, where: str, value: float, isa: str) -> None:
    """NaN is where the float64 reference has it, and infinities likewise."""
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "proj_size": proj_size}
    model = make(kind, I, H, isa=isa, **options)
    x, state = random_x(model, T, 4), random_state(model, 4)
    if where == "x":
        x[2, 1, 3] = value
    elif where == "state":
        for part in parts(state):
            part[1, 2, 3] = value
    else:
        weight = model.parameters[where].copy()
        weight.flat[-3] = value
        model.update({where: weight})
    y, end = model(x, state)
    with np.errstate(all="ignore"):
        expected = from_reference(model, x, state, random(y.shape), None)
    for found, name in zip((y, *parts(end)), ("y", "state 0", "state 1"), strict=False):
        for test in (np.isnan, np.isposinf, np.isneginf):
            np.testing.assert_array_equal(test(found), test(expected[name]), err_msg=f"{name} {test}")


@pytest.mark.parametrize(("kind", "proj_size"), CELLS)
def test_a_weights_nan_reaches_what_reads_it(kind: str, proj_size: int, isa: str) -> None:
    """In a step that is one unit; of directions and layers what is computed from them."""
    model = make(kind, I, H, isa=isa)
    x = random_x(model, 1, 7)
    clean, _ = model(x)
    weight = model.parameters["weight_ih_l0"].copy()
    unit = 17
    weight[unit, 2] = np.nan  # of its first gate
    model.update({"weight_ih_l0": weight})
    y, _ = model(x)
    assert np.isnan(y[:, :, unit]).all()
    assert_same_bits(np.delete(y, unit, axis=2), np.delete(clean, unit, axis=2))

    deep = make(kind, I, H, isa=isa, num_layers=2, bidirectional=True, proj_size=proj_size)
    x, width = random_x(deep, T, 3), proj_size or H
    clean, end = deep(x)
    weight = deep.parameters["weight_hh_l1_reverse"].copy()
    weight[:] = np.nan
    deep.update({"weight_hh_l1_reverse": weight})
    y, spoilt_end = deep(x)
    assert_same_bits(y[..., :width], clean[..., :width])
    assert np.isnan(y[..., width:]).all()
    for found, expected in zip(parts(spoilt_end), parts(end), strict=True):
        assert_same_bits(found[:3], expected[:3])


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_zeros_have_signs(nonlinearity: str, dtype: str, isa: str) -> None:
    """All parts of a sum are -0, and so is it; one +0 among them makes it +0."""
    model = lstmfast.RNN(I, H, nonlinearity=nonlinearity, dtype=dtype, isa=isa)
    zeros = {name: np.full(value.shape, -0.0, dtype) for name, value in model.parameters.items()}
    model.update({name: np.abs(zero) if name.startswith("weight") else zero for name, zero in zeros.items()})
    x, state = np.full((2, 3, I), -1, dtype), np.full((1, 3, H), -1, dtype)
    x[0, 1, 2] = 1
    y, _ = model(x, state)
    assert not y.any()
    assert np.signbit(y[0]).all(axis=1).tolist() == [True, False, True]
    assert not np.signbit(y[0, 1]).any()
    without = lstmfast.RNN(I, H, nonlinearity=nonlinearity, bias=False, dtype=dtype, isa=isa)
    without.update({name: np.zeros_like(value) for name, value in without.parameters.items()})
    assert not np.signbit(without(x, state)[0]).any()


def test_a_pools_other_streams_do_not_see_it(kind: str, isa: str) -> None:
    """And the one that has it is as new once it is reset."""
    model = make(kind, I, H, isa=isa, num_layers=2)
    pool, clean = model.stream_pool(4), model.stream_pool(4)
    ids, others = [pool.open() for _ in range(4)], [clean.open() for _ in range(4)]
    frames = random((3, 4, I))
    expected = [clean.step(others, frame) for frame in frames]
    frames[0, 2, 1] = np.nan
    found = [pool.step(ids, frame) for frame in frames]
    assert all(np.isnan(y[2]).all() for y in found)
    for a, b in zip(found, expected, strict=True):
        assert_same_bits(np.delete(a, 2, axis=0), np.delete(b, 2, axis=0))
    pool.reset([ids[2]])
    clean.reset([others[2]])
    assert_same_bits(pool.step(ids, frames[1]), clean.step(others, frames[1]))
