"""The NumPy reference is right: by finite differences, by the textbook, by PyTorch; and it stands alone."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from collections.abc import Iterable
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast import reference
from lstmfast.reference import Reference

from ..differences import central_differences
from .helpers import (
    CELLS,
    INPUT,
    KINDS,
    MEMORY,
    PROJECTED,
    TORCH_KINDS,
    Array,
    H,
    assert_backward_changes_nothing,
    assert_close,
    draw,
    loss_of,
    make,
    run,
    torch_inputs,
    torch_model,
    torch_results,
    torch_state,
)

NETWORKS = [(*kind, *rest) for kind, *rest in itertools.product(KINDS, (1, 2), (False, True), (True, False))]
TORCH_NETWORKS = [network for network in NETWORKS if network[:2] in TORCH_KINDS]
T, B = 5, 3


@pytest.mark.parametrize(("cell", "proj_size", "num_layers", "bidirectional", "bias"), NETWORKS)
def test_every_gradient_is_that_of_finite_differences(
    cell: str, proj_size: int, num_layers: int, bidirectional: bool, bias: bool
) -> None:
    network = make(cell, num_layers, bidirectional, bias, proj_size=proj_size)
    a = draw(network, T, B)
    _, gradients = run(network, a)
    inputs = {name: a[name] for name in ("x", "h0", "c0") if name in a} | network.parameters
    assert set(gradients) == set(inputs)
    for name, at in inputs.items():
        expected = central_differences(lambda: loss_of(network, a), at)
        np.testing.assert_allclose(gradients[name], expected, rtol=0, atol=1e-9, err_msg=name)


def textbook_sigmoid(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z))


def dot(u: Iterable[float], v: Iterable[float]) -> float:
    return math.fsum(a * b for a, b in zip(u, v, strict=True))


@pytest.mark.parametrize("projected", [False, True])
def test_lstm_is_the_textbook_formula(projected: bool) -> None:
    # Unit by unit from W [H, H+I] on [h, x], in plain Python and with nothing taken from the reference.
    rng = np.random.default_rng(2)
    P = PROJECTED if projected else H
    W = {gate: rng.uniform(-0.7, 0.7, (H, P + INPUT)) for gate in "ifgo"}
    b = {gate: rng.uniform(-0.7, 0.7, H) for gate in "ifgo"}
    W_hr = rng.uniform(-0.7, 0.7, (P, H)) if projected else None
    x, h0, c0 = rng.standard_normal((T, INPUT)), rng.standard_normal(P), rng.standard_normal(H)

    h, c, m, expected = list(h0), list(c0), [0.0] * H, []
    for t in range(T):
        hx = [*h, *x[t]]
        z = {gate: [dot(row, hx) for row in W[gate]] for gate in "ifgo"}
        for unit in range(H):
            i, f, o = (textbook_sigmoid(z[gate][unit] + b[gate][unit]) for gate in "ifo")
            g = math.tanh(z["g"][unit] + b["g"][unit])
            c[unit] = f * c[unit] + i * g
            m[unit] = o * math.tanh(c[unit])
        h = list(m) if W_hr is None else [dot(row, m) for row in W_hr]
        expected.append(h)

    y, cache = reference.lstm_layer_forward(
        x[:, np.newaxis],
        h0[np.newaxis],
        c0[np.newaxis],
        np.concatenate([W[gate][:, P:] for gate in "ifgo"]),
        np.concatenate([W[gate][:, :P] for gate in "ifgo"]),
        np.concatenate([b[gate] for gate in "ifgo"]),
        weight_hr=W_hr,
    )
    np.testing.assert_allclose(y[:, 0], expected, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(cache.c[-1, 0], c, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_rnn_is_the_textbook_formula(nonlinearity: str) -> None:
    rng = np.random.default_rng(3)
    U, V, b = rng.uniform(-0.7, 0.7, (H, INPUT)), rng.uniform(-0.7, 0.7, (H, H)), rng.uniform(-0.7, 0.7, H)
    x, h0 = rng.standard_normal((T, INPUT)), rng.standard_normal(H)

    h, expected = list(h0), []
    for t in range(T):
        z = [dot(U[k], x[t]) + dot(V[k], h) + b[k] for k in range(H)]
        h = [math.tanh(v) if nonlinearity == "tanh" else max(v, 0.0) for v in z]
        expected.append(h)

    y, _ = reference.rnn_layer_forward(
        x[:, np.newaxis], h0[np.newaxis], U, V, None, b, nonlinearity=nonlinearity
    )
    np.testing.assert_allclose(y[:, 0], expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("reset_after", [False, True])
def test_gru_is_the_textbook_formula(reset_after: bool) -> None:
    rng = np.random.default_rng(5)
    W = {gate: rng.uniform(-0.7, 0.7, (H, INPUT)) for gate in "rzn"}
    U = {gate: rng.uniform(-0.7, 0.7, (H, H)) for gate in "rzn"}
    b, d = ({gate: rng.uniform(-0.7, 0.7, H) for gate in "rzn"} for _ in range(2))
    x, h0 = rng.standard_normal((T, INPUT)), rng.standard_normal(H)

    h, expected = list(h0), []
    for t in range(T):
        r, z = (
            [
                textbook_sigmoid(dot(W[gate][k], x[t]) + b[gate][k] + dot(U[gate][k], h) + d[gate][k])
                for k in range(H)
            ]
            for gate in "rz"
        )
        if reset_after:
            from_h = [r[k] * (dot(U["n"][k], h) + d["n"][k]) for k in range(H)]
        else:
            kept = [r[k] * h[k] for k in range(H)]
            from_h = [dot(U["n"][k], kept) + d["n"][k] for k in range(H)]
        n = [math.tanh(dot(W["n"][k], x[t]) + b["n"][k] + from_h[k]) for k in range(H)]
        h = [(1 - z[k]) * n[k] + z[k] * h[k] for k in range(H)]
        expected.append(h)

    stacked = [np.concatenate([of[gate] for gate in "rzn"]) for of in (W, U, b, d)]
    y, _ = reference.gru_layer_forward(x[:, np.newaxis], h0[np.newaxis], *stacked, reset_after=reset_after)
    np.testing.assert_allclose(y[:, 0], expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("cell", CELLS)
def test_layers_and_directions_are_single_layers_put_together(cell: str) -> None:
    network = make(cell, 2, True, True)
    a = draw(network, T, B)
    y = a["x"]
    finals: dict[str, list[Array]] = {"h": [], "c": []}
    for layer in range(2):
        below, halves = y, []
        for direction, way in enumerate(("", "_reverse")):
            k = 2 * layer + direction
            p = [value for name, value in network.parameters.items() if name.endswith(f"_l{layer}{way}")]
            x = np.flip(below, 0) if direction else below
            if cell == "lstm":
                out, cache = reference.lstm_layer_forward(x, a["h0"][k], a["c0"][k], *p)
                finals["c"].append(cache.c[-1])
            elif cell.startswith("gru"):
                out, _ = reference.gru_layer_forward(x, a["h0"][k], *p, reset_after=cell == "gru")
            else:
                out, _ = reference.rnn_layer_forward(x, a["h0"][k], *p, nonlinearity=cell[4:])
            finals["h"].append(out[-1])
            halves.append(np.flip(out, 0) if direction else out)
        y = np.concatenate(halves, axis=-1)
    outputs, _ = run(network, a)
    np.testing.assert_array_equal(outputs["y"], y)
    np.testing.assert_array_equal(outputs["h_n"], finals["h"])
    if cell == "lstm":
        np.testing.assert_array_equal(outputs["c_n"], finals["c"])


@pytest.mark.parametrize(("cell", "proj_size", "num_layers", "bidirectional", "bias"), TORCH_NETWORKS)
@pytest.mark.usefixtures("torch")
def test_parity_with_torch(
    cell: str, proj_size: int, num_layers: int, bidirectional: bool, bias: bool
) -> None:
    network = make(cell, num_layers, bidirectional, bias, proj_size=proj_size)
    a = draw(network, 9, B)
    ours = run(network, a)
    assert [name for name in ours[1] if "_l" in name] == list(network.parameters)

    model, t = torch_model(network), torch_inputs(a)
    y, state = model(t["x"], torch_state(t))
    assert_close(ours, torch_results(t, y, state, dict(model.named_parameters())))


@pytest.mark.parametrize(("steps", "rows"), [(0, B), (T, 0), (0, 0), (1, 1)])
@pytest.mark.parametrize(("cell", "proj_size"), KINDS)
def test_no_steps_and_no_rows(cell: str, proj_size: int, steps: int, rows: int) -> None:
    network = make(cell, 2, True, True, proj_size=proj_size)
    a = draw(network, steps, rows)
    outputs, gradients = run(network, a)
    assert outputs["y"].shape == a["dy"].shape
    for name in ("h", "c") if cell in MEMORY else ("h",):
        assert outputs[f"{name}_n"].shape == a[f"{name}0"].shape
        if steps == 0:  # the final state is the initial one, and so are their gradients
            np.testing.assert_array_equal(outputs[f"{name}_n"], a[f"{name}0"])
            np.testing.assert_array_equal(gradients[f"{name}0"], a[f"d{name}_n"])
    assert gradients["x"].shape == a["x"].shape
    for name, value in network.parameters.items():
        assert gradients[name].shape == value.shape
        assert np.any(gradients[name]) == (steps * rows > 0)


@pytest.mark.parametrize(("cell", "proj_size"), KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept_and_float32_is_near_float64(cell: str, proj_size: int, dtype: str) -> None:
    network = make(cell, 2, True, True, dtype, proj_size=proj_size)
    outputs, gradients = run(network, draw(network, T, B))
    assert {value.dtype.name for value in (outputs | gradients).values()} == {dtype}

    exact = Reference(cell, network.parameters, 2, True)  # float64, from the very same weights
    outputs64, gradients64 = run(exact, draw(network, T, B))
    assert {value.dtype.name for value in (outputs64 | gradients64).values()} == {"float64"}
    for name, value in (outputs | gradients).items():
        np.testing.assert_allclose(value, (outputs64 | gradients64)[name], rtol=0, atol=5e-6, err_msg=name)


@pytest.mark.parametrize("cell", CELLS)
def test_missing_states_and_gradients_are_zeros(cell: str) -> None:
    network = make(cell, 2, True, True, "float32")
    a = draw(network, T, B)
    y, (h_n, _), cache = network.forward(a["x"])
    dx, dh0, _, dparameters = network.backward(cache, a["dy"])
    got = {"y": y, "h_n": h_n, "x": dx, "h0": dh0, **dparameters}

    zeros = {name: np.zeros_like(value) for name, value in a.items()}
    outputs, gradients = run(network, zeros | {"x": a["x"], "dy": a["dy"]})
    for name, value in got.items():
        assert value.dtype == np.float32
        np.testing.assert_array_equal(value, (outputs | gradients)[name])

    # The other way round: no dy, but gradients that arrive at the final state alone.
    dx, _, _, _ = network.backward(cache, None, a["dh_n"])
    _, gradients = run(network, zeros | {"x": a["x"], "dh_n": a["dh_n"]})
    assert np.any(dx)
    np.testing.assert_array_equal(dx, gradients["x"])


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("cell", "proj_size"), KINDS)
def test_backward_leaves_cache_and_arguments_as_they_were(
    cell: str, proj_size: int, bidirectional: bool
) -> None:
    network = make(cell, 2, bidirectional, True, proj_size=proj_size)
    assert_backward_changes_nothing(network, draw(network, T, B))


def test_sizes_are_those_of_the_parameters() -> None:
    plain, projected = (make("lstm", 2, True, True, proj_size=proj_size) for proj_size in (0, PROJECTED))
    assert (plain.input_size, plain.hidden_size, plain.proj_size, plain.output_size) == (INPUT, H, 0, H)
    assert (projected.input_size, projected.hidden_size) == (INPUT, H)
    assert (projected.proj_size, projected.output_size) == (PROJECTED, PROJECTED)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_is_accurate_everywhere(dtype: str) -> None:
    x = np.concatenate([np.linspace(-87, 87, 997), [-1e-3, -1e-30, 0.0, 1e-30]]).astype(dtype)
    if dtype == "float64":
        x = np.concatenate([x, np.linspace(-708, -87, 97)])
    with localcontext() as context:
        context.prec = 40
        expected = [float(1 / (1 + (-Decimal(float(v))).exp())) for v in x]
    y = reference.sigmoid(x)
    assert y.dtype == dtype
    np.testing.assert_allclose(y, expected, rtol=4 * float(np.finfo(dtype).eps), atol=0)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_of_the_extremes_raises_no_flag(dtype: str) -> None:
    largest = np.finfo(dtype).max
    x = np.array([-np.inf, -largest, -1000, 1000, largest, np.inf, np.nan], dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        y = reference.sigmoid(x)
    np.testing.assert_array_equal(y, [0, 0, 0, 1, 1, 1, np.nan])


def test_slope_of_relu_at_zero_is_zero() -> None:
    one = np.ones((1, 1))
    _, cache = reference.rnn_layer_forward(
        np.zeros((1, 1, 1)), np.zeros((1, 1)), one, one, nonlinearity="relu"
    )
    dx, dh0, _ = reference.rnn_layer_backward(cache, np.ones((1, 1, 1)), one)
    assert dx.item() == 0
    assert dh0.item() == 0


def test_relu_of_the_extremes_is_that_of_torch(torch: Any) -> None:
    """It stops the gradient where h is not above 0, and there all of it; a NaN is not such a place."""
    special = np.array([np.nan, np.inf, -np.inf, 1.0, -1.0, 0.0])
    x, dy = (grid.reshape(1, -1, 1) for grid in np.meshgrid(special, special))
    zero, one = np.zeros((x.size, 1)), np.ones((1, 1))
    y, cache = reference.rnn_layer_forward(x, zero, one, 0 * one, nonlinearity="relu")
    with np.errstate(invalid="ignore"):
        dx, _, _ = reference.rnn_layer_backward(cache, dy, zero)

    their_x = torch.from_numpy(x).requires_grad_()
    their_y = torch.relu(their_x)
    their_y.backward(torch.from_numpy(dy))
    np.testing.assert_array_equal(y, their_y.detach().numpy())
    np.testing.assert_array_equal(dx, their_x.grad.numpy())


def test_kernels_do_with_extremes_in_relu_as_the_reference_does(isa: str, dtype: str) -> None:
    special = np.array([np.nan, np.inf, -np.inf, 1.0, -1.0, 0.0], dtype)
    x, dy = (grid.reshape(1, -1, 1) for grid in np.meshgrid(special, special))
    rnn = lstmfast.RNN(1, 1, nonlinearity="relu", bias=False, dtype=dtype, isa=isa)
    rnn.load_state_dict({"weight_ih_l0": [[1]], "weight_hh_l0": [[0]]})
    network = reference.Reference("rnn_relu", rnn.parameters, dtype=dtype)
    y, _, tape = rnn.forward(x)
    grads = rnn.backward(tape, dy)
    with np.errstate(invalid="ignore"):
        expected, _, cache = network.forward(x)
        dx, _, _, _ = network.backward(cache, dy)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(grads.x, dx)


def test_wrong_names_and_shapes_are_refused() -> None:
    good = make("lstm", 1, False, True).parameters
    with pytest.raises(ValueError, match=r"cell must be one of lstm, rnn_tanh, rnn_relu, gru, .*, got 'mgu'"):
        Reference("mgu", good)
    with pytest.raises(ValueError, match="weight_ih_l1"):
        Reference("lstm", good, 2)
    with pytest.raises(ValueError, match="_reverse"):
        Reference("lstm", good, 1, True)
    with pytest.raises(ValueError, match="bias_hh_l0"):
        Reference("lstm", {name: value for name, value in good.items() if name != "bias_hh_l0"})
    with pytest.raises(ValueError, match=r"weight_ih_l0 must have shape \(4, 2\), got \(16, 2\)"):
        Reference("rnn_tanh", good)
    with pytest.raises(ValueError, match=r"bias_ih_l0 must have shape \(16,\), got \(1,\)"):
        Reference("lstm", good | {"bias_ih_l0": np.zeros(1)})
    projected = make("lstm", 1, True, True, proj_size=PROJECTED).parameters
    with pytest.raises(ValueError, match=r"weight_hr_l0 must have shape \(3, 4\), got \(2, 4\)"):
        Reference("lstm", projected | {"weight_hr_l0": np.zeros((2, H))}, 1, True)
    without_one = {name: value for name, value in projected.items() if name != "weight_hr_l0_reverse"}
    with pytest.raises(ValueError, match=r"must be .*weight_hr_l0_reverse, got"):
        Reference("lstm", without_one, 1, True)
    with pytest.raises(ValueError, match=r"must be .*bias_hh_l0_reverse, got .*weight_hr_l0"):
        Reference("rnn_tanh", projected, 1, True)


def test_shapes_that_numpy_would_broadcast_are_refused() -> None:
    network = make("lstm", 1, False, True)
    a = draw(network, T, B)
    with pytest.raises(ValueError, match=r"x must have shape \[T, B, I\], got \(5, 2\)"):
        network.forward(a["x"][:, 0])
    with pytest.raises(ValueError, match=r"x must have shape \(5, 3, 2\), got \(5, 3, 1\)"):
        network.forward(a["x"][..., :1])
    with pytest.raises(ValueError, match=r"h0 must have shape \(1, 3, 4\), got \(1, 1, 4\)"):
        network.forward(a["x"], a["h0"][:, :1])
    _, _, cache = network.forward(a["x"])
    with pytest.raises(ValueError, match=r"dy must have shape \(5, 3, 4\), got \(1, 3, 4\)"):
        network.backward(cache, a["dy"][:1])
    rnn = make("rnn_tanh", 1, False, True)
    with pytest.raises(ValueError, match="c0 must be None: only an LSTM has a c"):
        rnn.forward(a["x"], a["h0"], a["c0"])


def test_it_stands_alone() -> None:
    # Loaded by its path and run, it brings in nothing of the package: neither the core nor __init__.
    program = f"""
import importlib.util, sys
import numpy as np
spec = importlib.util.spec_from_file_location("alone", {reference.__file__!r})
alone = sys.modules["alone"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(alone)
for cell, G in (("lstm", 4), ("rnn_tanh", 1), ("rnn_relu", 1)):
    network = alone.Reference(cell, {{"weight_ih_l0": np.ones((G, 1)), "weight_hh_l0": np.ones((G, 1))}})
    y, _, cache = network.forward(np.ones((2, 1, 1)))
    network.backward(cache, y)
print(sorted(name for name in sys.modules if name.partition(".")[0] == "lstmfast"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[]\n"
