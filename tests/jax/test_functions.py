"""`lstm`, `gru` and `rnn` beside lstmfast's layers: the same bits, forward and backward, compiled or not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import CELLS, assert_same_bits, make
from ..helpers import everything as of_layer

jax = pytest.importorskip("jax")

from .helpers import CUTS, B, H, I, T, everything, function_of, on_axes, params_of, random_call  # noqa: E402

CELL = pytest.mark.parametrize(("kind", "proj_size"), CELLS)
VARIANTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "peephole": (lstmfast.LSTM, {"peephole": True, "num_layers": 2}),
    "peephole, projection": (lstmfast.LSTM, {"peephole": True, "proj_size": 3}),
    "coupled": (lstmfast.LSTM, {"coupled": True, "clip": 0.5}),
    "activations": (lstmfast.LSTM, {"activations": ("HardSigmoid", ("Elu", 0.7), "Softsign")}),
    "reset before": (lstmfast.GRU, {"reset_after": False, "bidirectional": True}),
    "GRU clip": (lstmfast.GRU, {"clip": 0.25}),
    "RNN activation": (lstmfast.RNN, {"activations": (("ScaledTanh", 1.7, 0.6),)}),
    "reverse": (lstmfast.LSTM, {"direction": "reverse", "num_layers": 2}),
    "norms": (lstmfast.LayerNormLSTM, {"bidirectional": True}),
}


def expected_of(model: Any, arguments: Any, **options: Any) -> dict[str, Any]:
    """What the layer gives; the state's gradient only where there is a state, as with jax.vjp."""
    all_of_it = of_layer(model, *arguments, **options)
    return {
        name: array
        for name, array in sorted(all_of_it.items())
        if arguments[1] is not None or "dstate" not in name
    }


@CELL
@pytest.mark.parametrize(("layers", "batch_first"), [(1, False), (2, True)])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_bits_of_the_layers(
    kind: str, proj_size: int, layers: int, batch_first: bool, bidirectional: bool
) -> None:
    model = make(
        kind,
        I,
        H,
        proj_size=proj_size,
        num_layers=layers,
        bidirectional=bidirectional,
        batch_first=batch_first,
    )
    arguments = random_call(model, T, B)
    assert_same_bits(everything(model, *arguments), expected_of(model, arguments))


@CELL
@pytest.mark.parametrize(
    ("rows", "with_state", "bias", "jit"),
    [(B, False, True, False), (None, True, False, True), (None, False, True, True), (B, True, False, False)],
)
def test_bits_of_what_is_given(
    kind: str, proj_size: int, rows: int | None, with_state: bool, bias: bool, jit: bool
) -> None:
    model = make(kind, I, H, proj_size=proj_size, bias=bias)
    arguments = random_call(model, T, rows, with_state=with_state)
    assert_same_bits(everything(model, *arguments, jit=jit), expected_of(model, arguments))


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("recompute", [False, True])
def test_variants(name: str, recompute: bool) -> None:
    cls, options = VARIANTS[name]
    model = cls(I, H, seed=0, **options)
    arguments = random_call(model, T, B)
    found = everything(model, *arguments, recompute=recompute, **CUTS)
    expected = expected_of(model, arguments, recompute=recompute, **CUTS)
    # What steps repeat is added up by JAX, in another order.
    for each in ("dx", *(key for key in expected if key[:2] == "d ")):
        np.testing.assert_allclose(found.pop(each), expected.pop(each), rtol=2e-5, atol=2e-6)
    del found["dstate 0"], expected["dstate 0"]
    found.pop("dstate 1", None), expected.pop("dstate 1", None)
    assert_same_bits(found, expected)


@pytest.mark.usefixtures("x64")
@CELL
def test_float64(kind: str, proj_size: int) -> None:
    model = make(kind, I, H, proj_size=proj_size, dtype="float64", bidirectional=True)
    arguments = random_call(model, T, B)
    cuts: dict[str, Any] = {name: CUTS[name] for name in ("lengths", "reset")}
    assert_same_bits(everything(model, *arguments, **cuts), expected_of(model, arguments, **cuts))


@pytest.mark.parametrize("names", [("lengths",), ("reset",), ("mask",), ("lengths", "reset"), tuple(CUTS)])
@pytest.mark.parametrize(
    ("batch_first", "jit", "way"), [(False, True, "forward"), (True, False, "reverse"), (True, True, "both")]
)
def test_cuts(names: tuple[str, ...], batch_first: bool, jit: bool, way: str) -> None:
    """Also of traced arrays, whose numbers nobody knows."""
    direction: dict[str, Any] = {"bidirectional": True} if way == "both" else {"direction": way}
    model = lstmfast.LSTM(I, H, 2, batch_first=batch_first, seed=0, **direction)
    arguments = random_call(model, T, B)
    cuts = on_axes(model, {name: CUTS[name] for name in names})
    found, expected = everything(model, *arguments, jit=jit, **cuts), expected_of(model, arguments, **cuts)
    if "mask" in names and way != "forward":  # the order in which what is repeated is added up
        for name in [name for name in expected if name.startswith("d")]:
            np.testing.assert_allclose(found.pop(name), expected.pop(name), rtol=2e-5, atol=2e-6)
    assert_same_bits(found, expected)


@pytest.mark.parametrize("names", [("lengths",), ("reset",), ("mask",), tuple(CUTS)])
def test_unbatched_cuts(names: tuple[str, ...]) -> None:
    model = lstmfast.GRU(I, H, bidirectional=True, seed=0)
    arguments = random_call(model, T, None)
    cuts: dict[str, Any] = {
        "lengths": np.int64(T - 1),
        "reset": CUTS["reset"][:, 0],
        "mask": CUTS["mask"][:, 0],
    }
    cuts = {name: cuts[name] for name in names}
    expected = expected_of(model, arguments, **cuts)
    found = everything(model, *arguments, **cuts)
    for name in ("called", "y", "state 0", "called state 0"):
        assert_same_bits(found[name], expected[name])


def test_masks_that_take_nothing() -> None:
    model = lstmfast.LSTM(I, H, bidirectional=True, seed=0)
    arguments = random_call(model, T, B)
    mask = np.zeros((T, B), bool)
    found = everything(model, *arguments, mask=mask)
    assert not found["y"].any()
    assert_same_bits(found, expected_of(model, arguments, mask=mask))


@pytest.mark.parametrize("axes", [(0, B), (T, 0), (0, 0)])
@pytest.mark.parametrize("jit", [False, True])
def test_nothing_to_do(axes: tuple[int, int], jit: bool) -> None:
    model = lstmfast.LSTM(I, H, bidirectional=True, seed=0)
    arguments = random_call(model, *axes)
    assert_same_bits(everything(model, *arguments, jit=jit), expected_of(model, arguments))
    cuts: dict[str, Any] = {
        "mask": np.ones(axes, bool), "reset": np.ones(axes, bool), "lengths": np.zeros(axes[1], np.int32)
    }  # fmt: skip
    assert_same_bits(everything(model, *arguments, jit=jit, **cuts), expected_of(model, arguments, **cuts))


def test_a_part_of_the_state() -> None:
    model = lstmfast.LSTM(I, H, seed=0)
    x, (h, c), *_ = random_call(model, T, B)
    run, params = function_of(model), params_of(model)
    for state in ((h, None), (None, c), (None, None)):
        y, end = run(x, params, state)
        expected, expected_end = model(x, state)
        assert_same_bits([np.asarray(array) for array in (y, *end)], [expected, *expected_end])


def test_dropout_is_between_layers_and_the_keys() -> None:
    model = lstmfast.LSTM(I, 64, 2, seed=0)
    run, params = function_of(model), params_of(model)
    x = random_call(model, T, B)[0]
    whole = run(x, params)[0]
    assert (run(x, params, dropout=0.5)[0] == whole).all()  # no key
    first, again, other = (run(x, params, dropout=0.5, key=jax.random.key(seed))[0] for seed in (0, 0, 1))
    assert (first == again).all()
    assert not (first == other).all()
    lone = {name: array for name, array in params.items() if "l0" in name}
    assert (run(x, lone, dropout=0.5, key=jax.random.key(0))[0] == run(x, lone)[0]).all()
    # Everything dropped: the second layer reads zeros.
    upper = {name.replace("l1", "l0"): array for name, array in params.items() if "l1" in name}
    zeros = np.zeros((T, B, 64), np.float32)
    found = run(x, params, dropout=1.0, key=jax.random.key(0))[0]
    assert (found == run(zeros, upper)[0]).all()
    # And on average an output is what it would be.
    keys = jax.random.split(jax.random.key(3), 300)
    one = {name: array * 0.01 if "l1" in name else array for name, array in params.items()}
    mean = jax.vmap(lambda key: run(x, one, dropout=0.3, key=key)[0])(keys).mean(0)
    np.testing.assert_allclose(mean, run(x, one)[0], atol=3e-5)


def test_gradients_with_dropout() -> None:
    model = lstmfast.LSTM(I, H, 2, bidirectional=True, seed=0)
    run, params = function_of(model), params_of(model)
    x = random_call(model, T, B)[0]

    def loss(params: Any) -> Any:
        return (run(x, params, dropout=0.4, key=jax.random.key(5))[0] ** 2).sum()

    gradient = jax.jit(jax.grad(loss))(params)
    step = 1e-2
    for name in ("weight_ih_l0", "weight_hh_l1_reverse"):
        up, down = (loss({**params, name: params[name].at[2, 1].add(by)}) for by in (step, -step))
        np.testing.assert_allclose(gradient[name][2, 1], (up - down) / (2 * step), rtol=2e-2, atol=1e-4)
