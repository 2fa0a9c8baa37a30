"""Variants of the cells: peepholes, coupled gates, a clip, other activations, the reverse direction alone."""

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

from ..helpers import ISAS, Array, assert_same_bits, everything, parts, random, random_call
from .variants import ACTIVATIONS, CELLS, options_of, reference_of


def expected_of(model: Any, call: Any, **cuts: Any) -> dict[str, Array]:
    """What `everything` gives, from the reference."""
    x, state, dy, dstate = call
    reference = reference_of(model)
    y, ends, cache = reference.forward(x, *parts(state), **cuts)
    dx, dh, dc, gradients = reference.backward(cache, dy, *parts(dstate))
    found = {"called": y, "y": y, "dx": dx}
    for n, (end, start) in enumerate(zip(ends, (dh, dc), strict=True)):
        if end is not None and start is not None:
            found |= {f"called state {n}": end, f"state {n}": end, f"dstate {n}": start}
    return found | {f"d {name}": array for name, array in gradients.items()}


def assert_close(actual: dict[str, Array], expected: dict[str, Array]) -> None:
    assert set(actual) == set(expected)
    for name, array in expected.items():
        scale = 1 + np.abs(array).max(initial=0)
        np.testing.assert_allclose(actual[name] / scale, array / scale, rtol=0, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("kind", CELLS)
@settings(max_examples=60)
@given(data=st.data())
def test_all_is_as_in_the_reference(kind: str, data: st.DataObject) -> None:
    options = data.draw(options_of(kind))
    T, B, H = data.draw(st.integers(1, 7)), data.draw(st.integers(1, 6)), data.draw(st.integers(4, 37))
    isa = data.draw(st.sampled_from(ISAS))
    model = getattr(lstmfast, kind)(3, H, dtype="float64", seed=1, isa=isa, **options)
    call = random_call(model, T, B, seed=data.draw(st.integers(0, 99)))
    rng = np.random.default_rng(T)
    cuts: dict[str, Any] = {}
    if data.draw(st.booleans()):
        cuts["lengths"] = rng.integers(0, T + 1, B)
    if data.draw(st.booleans()):
        cuts["reset"] = rng.random((T, B)) < 0.3
    recompute = data.draw(st.booleans())
    assert_close(everything(model, *call, **cuts, recompute=recompute), expected_of(model, call, **cuts))


VARIANTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("LSTM", {"peephole": True}),
    ("LSTM", {"coupled": True, "peephole": True, "clip": 0.5, "proj_size": 5}),
    ("LSTM", {"activations": (("HardSigmoid", 0.2, 0.5), "Softsign", ("Elu", 0.5)), "num_layers": 2}),
    ("LSTM", {"direction": "reverse", "num_layers": 2}),
    ("GRU", {"clip": 0.5, "activations": ("Softplus", ("ScaledTanh", 0.8, 1.1)), "bidirectional": True}),
    ("GRU", {"reset_after": False, "num_layers": 2}),
    ("GRU", {"reset_after": False, "bidirectional": True, "clip": 0.5, "activations": ("Softplus", "Tanh")}),
    ("RNN", {"activations": (("LeakyRelu", 0.1),), "clip": 3.0}),
)


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
@pytest.mark.parametrize("H", [5, 40])
def test_bits_are_the_same_on_every_isa_by_rows_and_with_any_threads(
    kind: str, options: dict[str, Any], H: int, threads: None
) -> None:
    H = max(H, options.get("proj_size", 0) + 1)
    models = [getattr(lstmfast, kind)(6, H, seed=2, isa=isa, **options) for isa in ISAS]
    call = random_call(models[0], 11, 7)
    lstmfast.set_num_threads(1)
    first = everything(models[0], *call)
    for model in models:
        for count in (1, 2):
            lstmfast.set_num_threads(count)
            assert_same_bits(everything(model, *call), first)
        for b in range(7):
            one = slice(b, b + 1)
            state = tuple(part[:, one] for part in parts(call[1]))
            y, _ = model(call[0][:, one], state if len(state) > 1 else state[0])
            assert_same_bits(y, first["y"][:, one])


@pytest.mark.parametrize(("kind", "options"), [v for v in VARIANTS if v[1].get("direction") != "reverse"])
def test_streams_give_the_bits_of_a_call(kind: str, options: dict[str, Any], isa: str) -> None:
    if options.get("bidirectional"):
        options = options | {"bidirectional": False}
    model = getattr(lstmfast, kind)(6, 20, seed=2, isa=isa, **options)
    for layer in (model, model.quantize("int8")):
        x = random((9, 3, 6))
        y, _ = layer(x)
        stream, pool = layer.stream(batch=3), layer.stream_pool(4)
        ids = [pool.open() for _ in range(3)]
        assert_same_bits(np.stack([stream.step(frame) for frame in x]), y)
        assert_same_bits(np.stack([pool.step(ids, frame) for frame in x]), y)


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_smaller_weights(kind: str, options: dict[str, Any], isa: str, tmp_path: Path) -> None:
    model = getattr(lstmfast, kind)(6, 20, seed=2, isa=isa, **options)
    x = random((9, 3, 6))
    y, _ = model(x)
    for weights, most in (("float16", 2e-3), ("bfloat16", 2e-2), ("int8", 6e-2)):
        layer = model.quantize(weights)
        small, _ = layer(x)
        assert 0 < np.abs(small - y).max() < most * (1 + np.abs(y).max())
        if weights != "int8":
            assert_same_bits(small, layer.dequantize()(x)[0])
        assert_same_bits(pickle.loads(pickle.dumps(layer))(x)[0], small)
        pytest.importorskip("safetensors")
        layer.save(tmp_path / "small")
        assert_same_bits(lstmfast.load(tmp_path / "small")(x)[0], small)


@pytest.mark.parametrize(("kind", "options"), VARIANTS)
def test_files_pickles_copies_and_repr(kind: str, options: dict[str, Any], tmp_path: Path) -> None:
    model = getattr(lstmfast, kind)(6, 20, seed=2, **options)
    x = random((9, 3, 6))
    y, _ = model(x)
    made = eval(f"lstmfast.{model!r}")
    made.load_state_dict(model.state_dict())
    others = [made, pickle.loads(pickle.dumps(model)), copy.deepcopy(model)]
    if pytest.importorskip("safetensors"):
        model.save(tmp_path / "model")
        others.append(lstmfast.load(tmp_path / "model"))
    for other in others:
        assert repr(other) == repr(model)
        assert_same_bits(other(x)[0], y)
    with pytest.raises(
        TypeError, match=f"^to_torch: expected a layer that PyTorch has, got one with {'|'.join(options)}"
    ):
        model.to_torch()


@pytest.mark.parametrize("kind", CELLS)
def test_a_variant_that_changes_nothing_has_the_bits_of_the_plain_cell(kind: str, isa: str) -> None:
    make = getattr(lstmfast, kind)
    plain = make(6, 20, 2, bidirectional=True, seed=2, isa=isa)
    call = random_call(plain, 11, 7)
    wide = make(6, 20, 2, bidirectional=True, seed=2, isa=isa, clip=1e30)
    assert wide._cell() != plain._cell()
    assert_same_bits(everything(wide, *call), everything(plain, *call))
    named = make(6, 20, seed=2, activations=plain.activations)
    assert named._cell() == plain._cell()
    assert repr(named) == f"{kind}(6, 20)"


def test_peepholes_are_parameters_like_others() -> None:
    model = lstmfast.LSTM(3, 5, 2, bidirectional=True, peephole=True, seed=0)
    names = [name for name in model.parameters if name.startswith("weight_ch")]
    assert names == ["weight_ch_l0", "weight_ch_l0_reverse", "weight_ch_l1", "weight_ch_l1_reverse"]
    assert {model.parameters[name].shape for name in names} == {(3, 5)}
    x = random((4, 2, 3))
    before = model(x)[0]
    model.update({name: np.zeros((3, 5)) for name in names})
    plain = lstmfast.LSTM(3, 5, 2, bidirectional=True, seed=1)
    plain.update({name: model.parameters[name] for name in plain.parameters})
    assert_same_bits(model(x)[0], plain(x)[0])
    assert np.abs(before - plain(x)[0]).max() > 1e-3
    assert lstmfast.LSTM(3, 5, peephole=True, coupled=True).parameters["weight_ch_l0"].shape == (2, 5)
    assert lstmfast.LSTM(3, 5, coupled=True).parameters["weight_ih_l0"].shape == (15, 3)


# What a function is applied to, in one step of a unit that hands its input on.
SPECIAL = [0.0, -0.0, 1e-30, -1e-30, 1e-3, -1e-3, 0.3, -0.3, 1, -1, 5, -5, 30, -30, 200, -200, 1e30, -1e30]


def applied(activation: Any, z: Array, isa: str, dtype: str) -> tuple[Array, Array]:
    """f(z) and f'(z), of an RNN with one unit."""
    model = lstmfast.RNN(1, 1, bias=False, dtype=dtype, isa=isa, activations=(activation,))
    model.update({"weight_ih_l0": [[1]], "weight_hh_l0": [[0]]})
    y, _, tape = model.forward(z.reshape(1, -1, 1))
    return y.ravel(), model.backward(tape, np.ones_like(y)).x.ravel()


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@pytest.mark.parametrize(("dtype", "most"), [("float32", 4), ("float64", 4)])
def test_functions_and_slopes_everywhere(activation: Any, dtype: str, most: int, isa: str) -> None:
    from lstmfast.reference.variants import FUNCTIONS

    z = np.concatenate([SPECIAL, np.linspace(-12, 12, 4001), np.linspace(-110, 110, 501)]).astype(dtype)
    name, *numbers = (activation,) if isinstance(activation, str) else activation
    exact = z.astype(np.longdouble)
    rounded: Any = tuple(np.longdouble(np.dtype(dtype).type(number)) for number in numbers)
    y, dy = applied(activation, z, isa, dtype)
    with np.errstate(all="ignore"):
        for found, function in zip((y, dy), FUNCTIONS[name], strict=True):
            expected = np.asarray(function(exact, rounded)).astype(np.longdouble)
            unit = np.spacing(np.abs(expected).astype(dtype))
            # exp() that is no normal number may be zero. Slopes made of 1 - y are as right as y is.
            least = np.finfo(dtype).eps if found is dy else 2 * np.finfo(dtype).tiny
            error = np.abs(found - expected) / np.maximum(unit, least)
            assert error.max() <= most, (z[error.argmax()], found[error.argmax()], expected[error.argmax()])


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_nan_stays_and_infinity_is_a_limit(activation: Any, isa: str) -> None:
    y, _ = applied(activation, np.array([np.nan, np.inf, -np.inf], np.float32), isa, "float32")
    far, _ = applied(activation, np.array([0, 1e30, -1e30], np.float32), isa, "float32")
    assert np.isnan(y[0])
    for limit, near in zip(y[1:], far[1:], strict=True):
        assert limit == near or (np.isinf(limit) and np.sign(limit) == np.sign(near))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"clip": 0}, ValueError, "^clip: expected None or a positive, finite number.*got 0"),
        ({"clip": -1.0}, ValueError, "^clip: expected None or a positive, finite number.*got -1"),
        ({"clip": np.inf}, ValueError, "^clip: expected None or a positive, finite number.*got inf"),
        ({"clip": np.nan}, ValueError, "^clip: expected None or a positive, finite number.*got nan"),
        (
            {"clip": 1e-60},
            ValueError,
            "^clip: expected None or a positive, finite number of float32.*got 1e-60",
        ),
        ({"clip": 10**400}, ValueError, "^clip: expected None or a positive, finite number"),
        ({"clip": True}, TypeError, "^clip: expected None or a positive, finite number, got True"),
        ({"clip": "1"}, TypeError, "^clip: expected None or a positive, finite number, got '1'"),
        ({"peephole": 1}, TypeError, "^peephole: expected True or False, got 1"),
        ({"coupled": None}, TypeError, "^coupled: expected True or False, got None"),
        (
            {"direction": "backward"},
            ValueError,
            "^direction: expected 'forward' or 'reverse', got 'backward'",
        ),
        ({"direction": "reverse", "bidirectional": True}, ValueError, "^direction: expected 'forward'.*both"),
        ({"activations": "Tanh"}, TypeError, "^activations: expected None or 3 of them.*got 'Tanh'"),
        ({"activations": ("Tanh",)}, ValueError, "^activations: expected None or 3 of them.*got 1"),
        (
            {"activations": ("Sigmoid", "Tahn", "Tanh")},
            ValueError,
            r"^activations\[1\]: expected one of Tanh, Sigmoid, .*, Softplus, got 'Tahn'",
        ),
        ({"activations": ("Sigmoid", 3, "Tanh")}, TypeError, r"^activations\[1\]: expected a name or"),
        (
            {"activations": (("Sigmoid", 1.0), "Tanh", "Tanh")},
            ValueError,
            r"^activations\[0\]: Sigmoid takes no numbers after its name, got 1 numbers",
        ),
        (
            {"activations": ("Sigmoid", ("LeakyRelu", 0.1, 0.2), "Tanh")},
            ValueError,
            r"^activations\[1\]: LeakyRelu takes alpha after its name, got 2 numbers",
        ),
        (
            {"activations": ("Affine", "Tanh", "Tanh")},
            ValueError,
            r"^activations\[0\]: Affine takes alpha and beta",
        ),
        (
            {"activations": ("Sigmoid", ("Elu", np.nan), "Tanh")},
            ValueError,
            r"^activations\[1\]: expected finite numbers of float32 after the name, got nan",
        ),
        (
            {"activations": ("Sigmoid", ("Elu", "1"), "Tanh")},
            TypeError,
            r"^activations\[1\]: expected finite",
        ),
    ],
)
def test_bad_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        lstmfast.LSTM(3, 5, **options)


def test_options_that_a_cell_does_not_have() -> None:
    for name in ("peephole", "coupled"):
        with pytest.raises(TypeError, match=name):
            lstmfast.GRU(3, 5, **{name: True})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^nonlinearity: expected 'tanh' where activations say otherwise"):
        lstmfast.RNN(3, 5, nonlinearity="relu", activations=("Elu",))
    model = lstmfast.LSTM(3, 5, direction="reverse")
    for streams in (model.stream, lambda: model.stream_pool(2)):
        with pytest.raises(
            ValueError, match=r"^model: expected one direction, forward, got direction='reverse'"
        ):
            streams()
    with pytest.raises(ValueError, match=r"^model: expected the forward direction, got direction='reverse'"):
        lstmfast.gradient_flow(model, random((4, 2, 3)), lambda y: (0.0, y))


def test_defaults_of_activations_are_those_of_onnx() -> None:
    model = lstmfast.LSTM(3, 5, activations=("HardSigmoid", "LeakyRelu", "elu"))
    assert model.activations == (("HardSigmoid", 0.2, 0.5), ("LeakyRelu", 0.01), ("Elu", 1.0))
