"""gradient_flow against computations that share nothing with it: Jacobians, finite differences, float64."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
from numpy.typing import NDArray

from lstmfast import LSTM, RNN, GradientFlow, gradient_flow
from lstmfast.training import mean_squared_error

Array: TypeAlias = NDArray[Any]


def halved_square(y: Array) -> tuple[float, Array]:
    """Loss |y|^2 / 2, whose gradient is y."""
    return float(np.sum(y * y)) / 2, y


def random_input(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def by_finite_differences(model: Any, x: Array) -> list[Array]:
    """|dloss/dh_t| and |dloss/dc_t|: change each number of the state after step t, run what is left."""
    T, step = x.shape[0], 1e-6
    is_lstm = isinstance(model, LSTM)

    def loss_from(t: int, state: list[Array]) -> float:
        """Loss if the state after step t is this one; the output is the last layer's h."""
        if t == T - 1:
            return halved_square(state[0][-1])[0]
        y, _ = model(x[t + 1 :], tuple(state) if is_lstm else state[0])
        return halved_square(y[-1])[0]

    norms = []
    for t in range(T):
        _, after = model(x[: t + 1])
        parts = [part.copy() for part in (after if is_lstm else (after,))]
        row = []
        for part in parts:
            gradient = np.empty(part.shape)
            for index in np.ndindex(gradient.shape):
                old = part[index]
                part[index] = old + step
                above = loss_from(t, parts)
                part[index] = old - step
                gradient[index] = (above - loss_from(t, parts)) / (2 * step)
                part[index] = old
            row.append(np.sqrt(np.sum(gradient**2)))
        norms.append(row)
    return [np.array(column) for column in zip(*norms, strict=True)]


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("proj_size", [0, 2])
def test_lstm_against_finite_differences(num_layers: int, bias: bool, proj_size: int) -> None:
    model = LSTM(3, 4, num_layers, bias=bias, proj_size=proj_size, dtype="float64", seed=1)
    x = random_input(6, 2, 3)
    flow = gradient_flow(model, x, halved_square)
    h, c = by_finite_differences(model, x)
    assert flow.c is not None
    np.testing.assert_allclose(flow.h, h, rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(flow.c, c, rtol=1e-6, atol=1e-10)
    np.testing.assert_allclose(flow.norm, np.sqrt(h**2 + c**2), rtol=1e-6)
    assert flow.c[-1] == 0.0


@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_rnn_against_finite_differences(nonlinearity: str) -> None:
    model = RNN(3, 5, 2, nonlinearity, dtype="float64", seed=2)
    x = random_input(6, 2, 3)
    flow = gradient_flow(model, x, halved_square)
    (h,) = by_finite_differences(model, x)
    np.testing.assert_allclose(flow.h, h, rtol=1e-6, atol=1e-10)
    assert flow.c is None
    np.testing.assert_array_equal(flow.norm, flow.h)


def test_rnn_is_the_product_of_its_jacobians() -> None:
    T, H = 60, 7
    model = RNN(2, H, dtype="float64", seed=3)
    x = random_input(T, 2)
    y, _ = model(x)
    expected = np.empty(T)
    gradient = np.arange(1.0, H + 1)
    for t in reversed(range(T)):
        expected[t] = np.sqrt(np.sum(gradient**2))
        jacobian = (1 - y[t] ** 2)[:, np.newaxis] * model.parameters["weight_hh_l0"]
        gradient = jacobian.T @ gradient
    flow = gradient_flow(model, x, lambda y_last: (0.0, np.arange(1.0, H + 1)))
    np.testing.assert_allclose(flow.norm, expected, rtol=1e-10)
    assert flow.norm[0] < 1e-10 * flow.norm[-1]  # so it has vanished, and not for want of digits


@pytest.mark.parametrize("model_class", [LSTM, RNN])
def test_nothing_is_dropped(model_class: type[LSTM | RNN]) -> None:
    """It is of the network that a call runs, not of one that dropout has thinned out."""
    x = random_input(6, 2, 3)
    plain = gradient_flow(model_class(3, 4, 3, dtype="float64", seed=1), x, halved_square)
    model = model_class(3, 4, 3, dropout=0.5, dtype="float64", seed=1)
    np.testing.assert_array_equal(gradient_flow(model, x, halved_square).norm, plain.norm)
    assert model.dropout == 0.5


def test_layouts_agree() -> None:
    x = random_input(5, 3, 2)
    time_first = LSTM(2, 4, 2, dtype="float64", seed=4)
    batch_first = LSTM(2, 4, 2, batch_first=True, dtype="float64", seed=4)
    expected = gradient_flow(time_first, x, halved_square)
    got = gradient_flow(batch_first, x.swapaxes(0, 1), halved_square)
    np.testing.assert_array_equal(got.norm, expected.norm)

    one_row = gradient_flow(time_first, x[:, :1], halved_square)
    for model in (time_first, batch_first):
        np.testing.assert_array_equal(gradient_flow(model, x[:, 0], halved_square).norm, one_row.norm)


@pytest.mark.parametrize("model_class", [LSTM, RNN])
def test_rows_are_joined(model_class: type[LSTM | RNN]) -> None:
    model = model_class(2, 4, dtype="float64", seed=5)
    x = random_input(8, 3, 2)
    rows = [gradient_flow(model, x[:, row], halved_square).norm for row in range(3)]
    together = gradient_flow(model, x, halved_square).norm
    np.testing.assert_allclose(together, np.sqrt(np.sum(np.square(rows), axis=0)), rtol=1e-12)


@pytest.mark.parametrize(("batch_first", "batched", "expected"), [
    (False, True, (3, 4)), (True, True, (3, 4)), (False, False, (4,)), (True, False, (4,)),
])  # fmt: skip
def test_the_loss_is_given_the_last_output(
    batch_first: bool, batched: bool, expected: tuple[int, ...]
) -> None:
    model = LSTM(2, 4, 2, batch_first=batch_first, dtype="float64", seed=6)
    x = random_input(5, 3, 2) if batched else random_input(5, 2)
    if batched and batch_first:
        x = x.swapaxes(0, 1)
    seen: list[Array] = []

    def loss(y: Array) -> tuple[float, Array]:
        seen.append(y.copy())
        return 0.0, y

    gradient_flow(model, x, loss)
    (y_last,) = seen
    y, _ = model(x)
    assert y_last.shape == expected
    np.testing.assert_array_equal(y_last, y[:, -1] if batched and batch_first else y[-1])


def test_losses_of_the_training_module_fit() -> None:
    model = LSTM(2, 4, seed=7)
    x = random_input(5, 3, 2)
    target = np.ones((3, 4), np.float32)
    flow = gradient_flow(model, x, lambda y: mean_squared_error(y, target))
    y, _ = model(x)
    np.testing.assert_allclose(flow.h[-1], np.linalg.norm(2 * (y[-1] - target) / target.size), rtol=1e-5)


def test_float32_follows_float64() -> None:
    x = random_input(10, 2, 3)
    flows = [
        gradient_flow(LSTM(3, 8, dtype=dtype, seed=8), x.astype(np.float32), halved_square)
        for dtype in ("float32", "float64")
    ]
    assert flows[0].norm.dtype == np.float64
    np.testing.assert_allclose(flows[0].norm, flows[1].norm, rtol=1e-4)


@pytest.mark.parametrize("factor", [0.0, 1e-200, 1e-30, 1e200])
def test_norms_of_every_size(factor: float) -> None:
    # Squares of these would vanish or overflow, the norms do not.
    model = LSTM(1, 3, dtype="float64", seed=9)
    x = random_input(4, 1)
    ordinary = gradient_flow(model, x, lambda y: (0.0, np.ones(3)))
    flow = gradient_flow(model, x, lambda y: (0.0, np.full(3, factor)))
    np.testing.assert_allclose(flow.norm, factor * ordinary.norm, rtol=1e-12)


def test_one_step_is_the_loss_itself() -> None:
    flow = gradient_flow(RNN(1, 4, dtype="float64", seed=0), [[1.0]], lambda y: (0, [3.0, 0.0, 4.0, 0.0]))
    np.testing.assert_array_equal(flow.norm, [5.0])


def test_the_model_and_the_input_stay_as_they_are() -> None:
    model = LSTM(2, 3, seed=10)
    x = random_input(4, 2, 2).astype(np.float32)
    before, parameters = x.copy(), model.state_dict()
    gradient_flow(model, x, halved_square)
    np.testing.assert_array_equal(x, before)
    for name, value in parameters.items():
        np.testing.assert_array_equal(model.parameters[name], value)


def test_what_the_lstm_is_for() -> None:
    """Over 100 steps an RNN's gradient vanishes, or explodes with larger weights; an open LSTM's does not."""
    x = random_input(101, 1)

    def kept(model: LSTM | RNN, change: Callable[[dict[str, Array]], None]) -> float:
        weights = model.state_dict()
        change(weights)
        model.load_state_dict(weights)
        norm = gradient_flow(model, x, lambda y: (0.0, np.ones_like(y))).norm
        return float(norm[0] / norm[-1])

    def larger(weights: dict[str, Array]) -> None:
        weights["weight_hh_l0"] *= 8

    def open_gates(weights: dict[str, Array]) -> None:
        weights["bias_ih_l0"][16:32] += 3

    assert kept(RNN(1, 16, dtype="float64", seed=0), lambda weights: None) < 1e-12
    assert kept(RNN(1, 16, dtype="float64", seed=0), larger) > 1e6
    assert 1e-2 < kept(LSTM(1, 16, dtype="float64", seed=0), open_gates) < 10


def test_frozen() -> None:
    flow = gradient_flow(RNN(1, 2, seed=0), [[1.0]], halved_square)
    assert isinstance(flow, GradientFlow)
    with pytest.raises(dataclasses.FrozenInstanceError):
        flow.norm = np.zeros(1)  # type: ignore[misc]


# Misuse ----------------------------------------------------------------------------------------------


def test_bidirectional_is_refused_with_the_reason() -> None:
    for model in (LSTM(2, 3, bidirectional=True), RNN(2, 3, bidirectional=True)):
        with pytest.raises(ValueError, match=r"model: expected one direction.*reverse pass"):
            gradient_flow(model, random_input(4, 2), halved_square)


@pytest.mark.parametrize("model", [None, "lstm", LSTM, 3])
def test_no_model(model: Any) -> None:
    with pytest.raises(TypeError, match="model: expected an LSTM, a GRU or an RNN, got"):
        gradient_flow(model, random_input(4, 2), halved_square)


@pytest.mark.parametrize("shape", [(0, 2), (0, 3, 2), (4, 0, 2)])
def test_nothing_to_follow(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="x: expected at least one time step and one row"):
        gradient_flow(LSTM(2, 3), np.zeros(shape), halved_square)


@pytest.mark.parametrize("shape", [(), (2,), (4, 3), (4, 1, 1, 2)])
def test_shape_of_x(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="x: expected shape"):
        gradient_flow(LSTM(2, 3), np.zeros(shape), halved_square)


@pytest.mark.parametrize("x", [[["a", "b"]], np.zeros((4, 2), complex), None])
def test_type_of_x(x: Any) -> None:
    with pytest.raises(TypeError, match="x: expected an array of real numbers"):
        gradient_flow(LSTM(2, 3), x, halved_square)


@pytest.mark.parametrize("loss", [None, 1.0, "sum"])
def test_loss_is_no_function(loss: Any) -> None:
    with pytest.raises(TypeError, match="loss: expected a function"):
        gradient_flow(LSTM(2, 3), random_input(4, 2), loss)


@pytest.mark.parametrize(("result", "error"), [
    (None, TypeError), (1.0, TypeError), (np.ones(3), TypeError),
    ((1.0,), ValueError), ((1, 2, 3), ValueError),
])  # fmt: skip
def test_loss_returns_no_pair(result: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"loss\(y_last\): expected a pair \(value, dy_last\)"):
        gradient_flow(LSTM(2, 3), random_input(4, 2), lambda y: result)


@pytest.mark.parametrize("dy", [1.0, np.ones(2), np.ones((1, 3)), np.ones((4, 3))])
def test_gradient_of_a_wrong_shape(dy: Any) -> None:
    with pytest.raises(ValueError, match="dy_last: expected shape"):
        gradient_flow(LSTM(2, 3), random_input(4, 2), lambda y: (0.0, dy))


def test_gradient_of_a_wrong_type() -> None:
    nothing: Any = [None] * 3
    with pytest.raises(TypeError, match="dy_last: expected an array of real numbers"):
        gradient_flow(LSTM(2, 3), random_input(4, 2), lambda y: (0.0, nothing))


def test_an_error_in_the_loss_comes_through() -> None:
    def loss(y: Array) -> Any:
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        gradient_flow(LSTM(2, 3), random_input(4, 2), loss)
