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
from differences import central_differences
from numpy.typing import NDArray

import lstmfast
from lstmfast import reference
from lstmfast.reference import Reference

Array = NDArray[np.floating[Any]]
CELLS = ("lstm", "rnn_tanh", "rnn_relu")
NETWORKS = list(itertools.product(CELLS, (1, 2), (False, True), (True, False)))
T, B, H, INPUT = 5, 3, 4, 2


def make(
    cell: str, num_layers: int, bidirectional: bool, bias: bool, dtype: str = "float64", seed: int = 0
) -> Reference:
    rng = np.random.default_rng(seed)
    G, D = (4 * H if cell == "lstm" else H), (2 if bidirectional else 1)
    parameters = {}
    for layer in range(num_layers):
        for way in ("", "_reverse")[:D]:
            parameters[f"weight_ih_l{layer}{way}"] = rng.uniform(-0.7, 0.7, (G, D * H if layer else INPUT))
            parameters[f"weight_hh_l{layer}{way}"] = rng.uniform(-0.7, 0.7, (G, H))
            if bias:
                parameters[f"bias_ih_l{layer}{way}"] = rng.uniform(-0.7, 0.7, G)
                parameters[f"bias_hh_l{layer}{way}"] = rng.uniform(-0.7, 0.7, G)
    return Reference(cell, parameters, num_layers, bidirectional, dtype)


def draw(network: Reference, steps: int = T, rows: int = B, seed: int = 1) -> dict[str, Array]:
    """Inputs of forward, and gradients for backward, by their names."""
    rng = np.random.default_rng(seed)
    states = (network.num_layers * network.num_directions, rows, H)
    shapes = {"x": (steps, rows, INPUT), "h0": states, "c0": states}
    shapes |= {"dy": (steps, rows, network.num_directions * H), "dh_n": states, "dc_n": states}
    drawn = {name: rng.standard_normal(shape).astype(network.dtype) for name, shape in shapes.items()}
    return drawn if network.cell == "lstm" else {k: v for k, v in drawn.items() if k not in ("c0", "dc_n")}


def run(network: Reference, a: dict[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Every output of forward and of backward, by its name."""
    y, (h_n, c_n), cache = network.forward(a["x"], a["h0"], a.get("c0"))
    dx, dh0, dc0, dparameters = network.backward(cache, a["dy"], a["dh_n"], a.get("dc_n"))
    outputs, gradients = {"y": y, "h_n": h_n}, {"x": dx, "h0": dh0, **dparameters}
    if network.cell == "lstm":
        assert c_n is not None
        assert dc0 is not None
        outputs["c_n"], gradients["c0"] = c_n, dc0
    else:
        assert c_n is None
        assert dc0 is None
    return outputs, gradients


@pytest.mark.parametrize(("cell", "num_layers", "bidirectional", "bias"), NETWORKS)
def test_every_gradient_is_that_of_finite_differences(
    cell: str, num_layers: int, bidirectional: bool, bias: bool
) -> None:
    network = make(cell, num_layers, bidirectional, bias)
    a = draw(network)

    def loss() -> float:
        y, (h_n, c_n), _ = network.forward(a["x"], a["h0"], a.get("c0"))
        total = np.sum(a["dy"] * y) + np.sum(a["dh_n"] * h_n)
        return float(total if c_n is None else total + np.sum(a["dc_n"] * c_n))

    _, gradients = run(network, a)
    inputs = {name: a[name] for name in ("x", "h0", "c0") if name in a} | network.parameters
    assert set(gradients) == set(inputs)
    for name, at in inputs.items():
        expected = central_differences(loss, at)
        np.testing.assert_allclose(gradients[name], expected, rtol=0, atol=1e-9, err_msg=name)


def textbook_sigmoid(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z))


def dot(u: Iterable[float], v: Iterable[float]) -> float:
    return math.fsum(a * b for a, b in zip(u, v, strict=True))


def test_lstm_is_the_textbook_formula() -> None:
    # Unit by unit from W [H, H+I] on [h, x], in plain Python and with nothing taken from the reference.
    rng = np.random.default_rng(2)
    W = {gate: rng.uniform(-0.7, 0.7, (H, H + INPUT)) for gate in "ifgo"}
    b = {gate: rng.uniform(-0.7, 0.7, H) for gate in "ifgo"}
    x, h0, c0 = rng.standard_normal((T, INPUT)), rng.standard_normal(H), rng.standard_normal(H)

    h, c, expected = list(h0), list(c0), []
    for t in range(T):
        hx = [*h, *x[t]]
        z = {gate: [dot(row, hx) for row in W[gate]] for gate in "ifgo"}
        for unit in range(H):
            i, f, o = (textbook_sigmoid(z[gate][unit] + b[gate][unit]) for gate in "ifo")
            g = math.tanh(z["g"][unit] + b["g"][unit])
            c[unit] = f * c[unit] + i * g
            h[unit] = o * math.tanh(c[unit])
        expected.append(list(h))

    y, cache = reference.lstm_layer_forward(
        x[:, np.newaxis],
        h0[np.newaxis],
        c0[np.newaxis],
        np.concatenate([W[gate][:, H:] for gate in "ifgo"]),
        np.concatenate([W[gate][:, :H] for gate in "ifgo"]),
        np.concatenate([b[gate] for gate in "ifgo"]),
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


@pytest.mark.parametrize("cell", CELLS)
def test_layers_and_directions_are_single_layers_put_together(cell: str) -> None:
    network = make(cell, 2, True, True)
    a = draw(network)
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


@pytest.mark.parametrize(("cell", "num_layers", "bidirectional", "bias"), NETWORKS)
def test_parity_with_torch(cell: str, num_layers: int, bidirectional: bool, bias: bool) -> None:
    torch = pytest.importorskip("torch")
    network = make(cell, num_layers, bidirectional, bias)
    a = draw(network, steps=9)
    outputs, gradients = run(network, a)

    kwargs = {"nonlinearity": cell[4:]} if cell != "lstm" else {}
    model = (torch.nn.LSTM if cell == "lstm" else torch.nn.RNN)(
        INPUT, H, num_layers, bias=bias, bidirectional=bidirectional, dtype=torch.float64, **kwargs
    )
    assert list(model.state_dict()) == list(network.parameters) == [n for n in gradients if "_l" in n]
    model.load_state_dict({name: torch.from_numpy(value) for name, value in network.parameters.items()})
    t = {name: torch.from_numpy(value).requires_grad_() for name, value in a.items()}
    y, state = model(t["x"], (t["h0"], t["c0"]) if cell == "lstm" else t["h0"])
    final = dict(zip(("h_n", "c_n"), state if cell == "lstm" else (state,), strict=False))
    loss = (y * t["dy"]).sum() + sum((v * t[f"d{name}"]).sum() for name, v in final.items())
    loss.backward()

    theirs = {"y": y, **final}
    assert set(theirs) == set(outputs)
    for name, value in theirs.items():
        np.testing.assert_allclose(
            outputs[name], value.detach().numpy(), rtol=1e-12, atol=1e-12, err_msg=name
        )
    their_gradients = {name: t[name].grad for name in ("x", "h0", "c0") if name in t}
    their_gradients |= {name: value.grad for name, value in model.named_parameters()}
    assert set(their_gradients) == set(gradients)
    for name, value in their_gradients.items():
        np.testing.assert_allclose(gradients[name], value.numpy(), rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize(("steps", "rows"), [(0, B), (T, 0), (0, 0), (1, 1)])
@pytest.mark.parametrize("cell", CELLS)
def test_no_steps_and_no_rows(cell: str, steps: int, rows: int) -> None:
    network = make(cell, 2, True, True)
    a = draw(network, steps, rows)
    outputs, gradients = run(network, a)
    assert outputs["y"].shape == a["dy"].shape
    for name in ("h", "c") if cell == "lstm" else ("h",):
        assert outputs[f"{name}_n"].shape == a[f"{name}0"].shape
        if steps == 0:  # the final state is the initial one, and so are their gradients
            np.testing.assert_array_equal(outputs[f"{name}_n"], a[f"{name}0"])
            np.testing.assert_array_equal(gradients[f"{name}0"], a[f"d{name}_n"])
    assert gradients["x"].shape == a["x"].shape
    for name, value in network.parameters.items():
        assert gradients[name].shape == value.shape
        assert np.any(gradients[name]) == (steps * rows > 0)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtype_is_kept_and_float32_is_near_float64(cell: str, dtype: str) -> None:
    network = make(cell, 2, True, True, dtype)
    outputs, gradients = run(network, draw(network))
    assert {value.dtype.name for value in (outputs | gradients).values()} == {dtype}

    exact = Reference(cell, network.parameters, 2, True)  # float64, from the very same weights
    outputs64, gradients64 = run(exact, draw(network))
    assert {value.dtype.name for value in (outputs64 | gradients64).values()} == {"float64"}
    for name, value in (outputs | gradients).items():
        np.testing.assert_allclose(value, (outputs64 | gradients64)[name], rtol=0, atol=5e-6, err_msg=name)


@pytest.mark.parametrize("cell", CELLS)
def test_missing_states_and_gradients_are_zeros(cell: str) -> None:
    network = make(cell, 2, True, True, "float32")
    a = draw(network)
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
@pytest.mark.parametrize("cell", CELLS)
def test_backward_leaves_cache_and_arguments_as_they_were(cell: str, bidirectional: bool) -> None:
    network = make(cell, 2, bidirectional, True)
    a = draw(network)
    before = {name: value.copy() for name, value in a.items()}
    y, _, cache = network.forward(a["x"], a["h0"], a.get("c0"))
    y[...] = np.nan  # y is the caller's own: the cache must not share it
    first = network.backward(cache, a["dy"], a["dh_n"], a.get("dc_n"))
    second = network.backward(cache, a["dy"], a["dh_n"], a.get("dc_n"))
    assert np.all(np.isfinite(first[0]))
    np.testing.assert_array_equal(first[0], second[0])
    for name in network.parameters:
        np.testing.assert_array_equal(first[3][name], second[3][name])
    for name, value in before.items():
        np.testing.assert_array_equal(a[name], value)


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


def test_relu_of_the_extremes_is_that_of_torch() -> None:
    """It stops the gradient where h is not above 0, and there all of it; a NaN is not such a place."""
    torch = pytest.importorskip("torch")
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
    with pytest.raises(ValueError, match="cell must be one of lstm, rnn_tanh, rnn_relu, got 'gru'"):
        Reference("gru", good)
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


def test_shapes_that_numpy_would_broadcast_are_refused() -> None:
    network = make("lstm", 1, False, True)
    a = draw(network)
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
    with pytest.raises(ValueError, match="c0 must be None: an RNN has no c"):
        rnn.forward(a["x"], a["h0"], a["c0"])


def test_it_stands_alone() -> None:
    # Loaded by its path and run, it brings in nothing of the package: neither the core nor __init__.
    program = f"""
import importlib.util, sys
import numpy as np
spec = importlib.util.spec_from_file_location("alone", {reference.__file__!r})
alone = importlib.util.module_from_spec(spec)
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
