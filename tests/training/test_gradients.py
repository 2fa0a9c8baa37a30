"""Gradients of the head and the losses: finite differences, PyTorch, and logits of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import lstmfast
from lstmfast.training import Dense, DenseTape, LogitGradient, cross_entropy, mean_squared_error

from ..differences import central_differences

Array = NDArray[np.floating[Any]]
LEADING = [(), (4,), (3, 2), (2, 1, 3)]
IN, OUT = 3, 4


def softmax_rows(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    rows: Array = rng.exponential(size=shape)
    rows /= rows.sum(axis=-1, keepdims=True)
    return rows


def check_all_gradients(head: Dense, x: Array, of: Callable[[], tuple[float, Any, DenseTape]]) -> None:
    """`of` runs the head on x and gives the loss, its gradient and the tape."""
    _, gradient, tape = of()
    grads = head.backward(tape, gradient)
    np.testing.assert_allclose(grads.x, central_differences(lambda: of()[0], x), rtol=0, atol=1e-10)
    assert list(grads.parameters) == list(head.parameters)
    for name, value in head.state_dict().items():

        def loss(name: str = name, value: Array = value) -> float:
            head.update({name: value})
            return of()[0]

        expected = central_differences(loss, value)
        head.update({name: value})
        np.testing.assert_allclose(grads.parameters[name], expected, rtol=0, atol=1e-10, err_msg=name)


@pytest.mark.parametrize("leading", LEADING)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["identity", "sigmoid", "softmax"])
def test_head_with_squared_error(activation: str, bias: bool, leading: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    head = Dense(IN, OUT, activation, bias=bias, dtype="float64", seed=1)
    x, target = rng.standard_normal((*leading, IN)), rng.standard_normal((*leading, OUT))

    def of() -> tuple[float, Array, DenseTape]:
        p, tape = head.forward(x)
        loss, dp = mean_squared_error(p, target)
        return loss, dp, tape

    check_all_gradients(head, x, of)


@pytest.mark.parametrize("leading", LEADING)
@pytest.mark.parametrize("kind", ["sigmoid", "softmax, classes", "softmax, probabilities"])
def test_head_with_cross_entropy(kind: str, leading: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    head = Dense(IN, OUT, kind.partition(",")[0], dtype="float64", seed=3)
    x = rng.standard_normal((*leading, IN))
    target: NDArray[Any] = rng.uniform(size=(*leading, OUT))
    if kind == "softmax, classes":
        target = rng.integers(OUT, size=leading)
    elif kind == "softmax, probabilities":
        target = 1.0005 * softmax_rows(rng, (*leading, OUT))  # as far as sums may be from 1, and yet exact

    def of() -> tuple[float, LogitGradient, DenseTape]:
        _, tape = head.forward(x)
        return *cross_entropy(tape, target), tape

    check_all_gradients(head, x, of)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_the_short_cut_past_the_activation_ends_where_the_long_way_does(activation: str) -> None:
    # Where p is neither 0 nor 1, dL/dp through the activation and cross_entropy's dL/dz are the same.
    rng = np.random.default_rng(4)
    head = Dense(IN, OUT, activation, dtype="float64", seed=5)
    t = softmax_rows(rng, (6, OUT))
    p, tape = head.forward(rng.standard_normal((6, IN)))
    dp = -t / p / 6 if activation == "softmax" else (p - t) / (p * (1 - p)) / p.size
    log_loss = -t * np.log(p) if activation == "softmax" else -t * np.log(p) - (1 - t) * np.log(1 - p)
    loss, gradient = cross_entropy(tape, t)
    assert loss == pytest.approx(log_loss.sum() / (6 if activation == "softmax" else p.size), rel=1e-13)
    long_way, short_cut = head.backward(tape, dp), head.backward(tape, gradient)
    np.testing.assert_allclose(short_cut.x, long_way.x, rtol=1e-12, atol=1e-15)
    for name, value in long_way.parameters.items():
        np.testing.assert_allclose(short_cut.parameters[name], value, rtol=1e-12, atol=1e-15)


def tape_of_logits(activation: str, logits: Array) -> tuple[Array, DenseTape, Dense]:
    """A head whose logits are exactly these."""
    n = logits.shape[-1]
    head = Dense(n, n, activation, bias=False, dtype=logits.dtype, seed=0)
    head.update({"weight": np.eye(n)})
    p, tape = head.forward(logits)
    np.testing.assert_array_equal(tape.logits, logits)
    return p, tape, head


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_sigmoid_cross_entropy_where_p_is_0_or_1(dtype: str) -> None:
    z = np.array([[-2000, 2000, -2000, 2000, -2000, 2000]], dtype)
    t = np.array([[0, 1, 1, 0, 0.25, 0.25]], dtype)
    p, tape, head = tape_of_logits("sigmoid", z)
    np.testing.assert_array_equal(p, [[0, 1, 0, 1, 0, 1]])
    loss, gradient = cross_entropy(tape, t)
    assert loss == (0 + 0 + 2000 + 2000 + 500 + 1500) / 6
    np.testing.assert_array_equal(gradient.array, (np.array([[0, 0, -1, 1, -0.25, 0.75]]) / 6).astype(dtype))
    np.testing.assert_array_equal(head.backward(tape, gradient).x, gradient.array)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("one_hot", [False, True])
def test_softmax_cross_entropy_where_p_is_0_or_1(dtype: str, one_hot: bool) -> None:
    z = np.array([[2000, 0, -2000], [2000, 0, -2000], [-5000, -5000, 5000]], dtype)
    classes = np.array([0, 2, 1])
    p, tape, head = tape_of_logits("softmax", z)
    np.testing.assert_array_equal(p, [[1, 0, 0], [1, 0, 0], [0, 0, 1]])
    loss, gradient = cross_entropy(tape, np.eye(3)[classes] if one_hot else classes)
    assert loss == pytest.approx((0 + 4000 + 10000) / 3, rel=1e-15)
    expected = np.array([[0, 0, 0], [1, 0, -1], [0, -1, 1]], dtype) / 3
    np.testing.assert_array_equal(gradient.array, expected.astype(dtype))
    np.testing.assert_array_equal(head.backward(tape, gradient).x, gradient.array)


def test_small_losses_keep_their_digits() -> None:
    # -log(sigmoid(40)) is exp(-40) to 17 digits, but sigmoid(40) itself rounds to 1.
    _, tape, _ = tape_of_logits("sigmoid", np.array([[40.0]]))
    assert cross_entropy(tape, [[1]])[0] == pytest.approx(np.exp(-40), rel=1e-14, abs=0)


@pytest.mark.parametrize("target_dtype", ["int8", "uint64", "int64", ">i4"])
def test_every_integer_type_is_a_class(target_dtype: str) -> None:
    rng = np.random.default_rng(6)
    _, tape, _ = tape_of_logits("softmax", rng.standard_normal((5, 4)))
    classes = np.array([3, 0, 1, 2, 3])
    expected = cross_entropy(tape, np.eye(4)[classes])
    loss, gradient = cross_entropy(tape, classes.astype(target_dtype))
    assert loss == expected[0]
    np.testing.assert_array_equal(gradient.array, expected[1].array)
    assert cross_entropy(tape, np.eye(4, dtype=bool)[classes])[0] == loss
    assert cross_entropy(tape, classes.tolist())[0] == loss


def test_parity_with_torch(torch: Any) -> None:
    rng = np.random.default_rng(7)
    x = rng.standard_normal((5, 2, IN))
    classes = rng.integers(OUT, size=(5, 2))
    t = rng.uniform(size=(5, 2, OUT))
    rows = softmax_rows(rng, (5, 2, OUT))
    losses = torch.nn.functional
    cases: list[tuple[str, NDArray[Any], Callable[[Any, Any], Any]]] = [
        ("identity", t, lambda z, t: losses.mse_loss(z, t)),
        ("sigmoid", t, lambda z, t: losses.binary_cross_entropy_with_logits(z, t)),
        ("softmax", classes, lambda z, t: losses.cross_entropy(z.reshape(-1, OUT), t.reshape(-1))),
        ("softmax", rows, lambda z, t: losses.cross_entropy(z.reshape(-1, OUT), t.reshape(-1, OUT))),
    ]
    for activation, target, their_loss in cases:
        linear = torch.nn.Linear(IN, OUT, dtype=torch.float64)
        head = Dense(IN, OUT, activation, dtype="float64")
        head.load_state_dict(linear.state_dict())
        their_x = torch.from_numpy(x).requires_grad_()
        theirs = their_loss(linear(their_x), torch.from_numpy(target))
        theirs.backward()

        p, tape = head.forward(x)
        loss, gradient = (
            mean_squared_error(p, target) if activation == "identity" else cross_entropy(tape, target)
        )
        grads = head.backward(tape, gradient)
        assert loss == pytest.approx(theirs.item(), rel=1e-13)
        np.testing.assert_allclose(grads.x, their_x.grad.numpy(), rtol=1e-12, atol=1e-15)
        for name, value in linear.named_parameters():
            np.testing.assert_allclose(grads.parameters[name], value.grad.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["identity", "sigmoid", "softmax"])
def test_dtype_is_kept(activation: str, dtype: str) -> None:
    head = Dense(IN, OUT, activation, dtype=dtype, seed=0)
    p, tape = head.forward(np.ones((2, IN)))
    loss, dp = mean_squared_error(p, np.full((2, OUT), 0.25))
    arrays = [p, head(np.ones((2, IN), int)), dp, head.backward(tape, dp).x]
    arrays += head.backward(tape, dp.astype(">f8")).parameters.values()
    losses = [loss]
    if activation != "identity":
        entropy, gradient = cross_entropy(tape, np.full((2, OUT), 0.25))
        arrays.append(gradient.array)
        losses.append(entropy)
    if activation == "softmax":
        entropy, gradient = cross_entropy(tape, [0, 3])
        arrays.append(gradient.array)
        losses.append(entropy)
    assert {array.dtype for array in arrays} == {np.dtype(dtype)}
    assert {type(loss) for loss in losses} == {float}


def test_squared_error_of_other_types_is_in_float64() -> None:
    loss, dp = mean_squared_error([1, 2, 4], np.array([1, 1, 1], "uint8"))
    assert loss == (0 + 1 + 9) / 3
    np.testing.assert_array_equal(dp, np.array([0, 2, 6]) / 3)
    assert dp.dtype == np.float64
    assert mean_squared_error(np.ones(3, ">f4"), np.zeros(3))[1].dtype == np.dtype("=f4")


def test_tape_outlives_changes_of_p_and_of_the_weights() -> None:
    x, dp = np.ones((2, IN)), np.ones((2, OUT))
    for activation in ("identity", "sigmoid", "softmax"):
        head = Dense(IN, OUT, activation, dtype="float64", seed=8)
        p, tape = head.forward(x)
        before = head.backward(tape, dp)
        p[...] = np.nan
        head.update({"weight": np.zeros((OUT, IN))})
        after = head.backward(tape, dp)
        np.testing.assert_array_equal(after.x, before.x)
        np.testing.assert_array_equal(after.parameters["weight"], before.parameters["weight"])


@pytest.mark.parametrize("rows", [0, 1])
def test_no_rows(rows: int) -> None:
    head = Dense(IN, OUT, "softmax", seed=0)
    p, tape = head.forward(np.zeros((5, rows, IN)))
    grads = head.backward(tape, np.ones_like(p))
    assert p.shape == (5, rows, OUT)
    assert grads.x.shape == (5, rows, IN)
    assert grads.parameters["weight"].shape == (OUT, IN)
    if rows == 0:
        assert not np.any(grads.parameters["weight"])
        assert not np.any(grads.parameters["bias"])


def test_through_head_and_lstm_at_once() -> None:
    rng = np.random.default_rng(9)
    lstm = lstmfast.LSTM(2, 3, 2, bidirectional=True, dtype="float64", seed=10)
    head = Dense(6, OUT, "softmax", dtype="float64", seed=11)
    x, classes = rng.standard_normal((4, 2, 2)), rng.integers(OUT, size=(4, 2))

    def loss() -> float:
        _, tape = head.forward(lstm(x)[0])
        return cross_entropy(tape, classes)[0]

    h, _, lstm_tape = lstm.forward(x)
    _, head_tape = head.forward(h)
    _, gradient = cross_entropy(head_tape, classes)
    grads = lstm.backward(lstm_tape, head.backward(head_tape, gradient).x)
    np.testing.assert_allclose(grads.x, central_differences(loss, x), rtol=0, atol=1e-10)
