"""What the losses refuse: above all shapes that NumPy would broadcast in silence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lstmfast.training import Dense, cross_entropy, mean_squared_error


@pytest.mark.parametrize(
    ("p", "target", "error", "message"),
    [
        (np.ones((4, 1)), np.ones(4), ValueError, r"target: expected shape \(4, 1\), that of p, got \(4,\)"),
        (
            np.ones((4, 2)),
            np.ones((4, 1)),
            ValueError,
            r"target: expected shape \(4, 2\), that of p, got \(4, 1\)",
        ),
        (
            np.ones((0, 2)),
            np.ones((0, 2)),
            ValueError,
            r"p: expected at least one output .* got shape \(0, 2\)",
        ),
        (np.ones(1, complex), np.ones(1), TypeError, "p: expected an array of real numbers"),
        (np.ones(1), ["a"], TypeError, "target: expected an array of real numbers"),
    ],
)
def test_squared_error_refuses(p: Any, target: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        mean_squared_error(p, target)


@pytest.mark.parametrize(
    ("activation", "target", "error", "message"),
    [
        (
            "identity",
            np.ones((4, 3)),
            ValueError,
            "tape: expected that of a sigmoid or softmax head, got that of an identity",
        ),
        ("sigmoid", np.ones(4, int), ValueError, r"target: expected shape \(4, 3\), that of p, got \(4,\)"),
        ("sigmoid", np.full((4, 3), 1.5), ValueError, "target: expected numbers from 0 to 1, got 1.5"),
        ("sigmoid", np.full((4, 3), -1), ValueError, "target: expected numbers from 0 to 1, got -1"),
        ("sigmoid", np.full((4, 3), np.nan), ValueError, "target: expected numbers from 0 to 1, got nan"),
        ("softmax", [0, 1, 2, 3], ValueError, "target: expected classes from 0 to 2, got 3"),
        ("softmax", [0, 1, -1, 2], ValueError, "target: expected classes from 0 to 2, got -1"),
        (
            "softmax",
            [0.0, 1.0, 1.0, 2.0],
            TypeError,
            r"target: expected integer classes \(4,\) or probabilities \(4, 3\)",
        ),
        ("softmax", [True] * 4, TypeError, "target: expected integer classes .*, got dtype bool"),
        ("softmax", np.ones((4, 3)), ValueError, "target: expected a sum of 1 over the last axis, got 3.0"),
        ("softmax", np.full((4, 3), [2, -1, 0]), ValueError, "target: expected numbers from 0 to 1"),
        (
            "softmax",
            [[0, 1, 2, 0]],
            ValueError,
            r"target: expected shape \(4, 3\), that of p, or integer classes of shape \(4,\)",
        ),
        ("softmax", None, TypeError, "target: expected an array of real numbers"),
    ],
)
def test_cross_entropy_refuses(activation: str, target: Any, error: type[Exception], message: str) -> None:
    _, tape = Dense(2, 3, activation).forward(np.ones((4, 2)))
    with pytest.raises(error, match=message):
        cross_entropy(tape, target)


def test_cross_entropy_wants_the_tape_and_at_least_one_output() -> None:
    p, _ = Dense(2, 3, "softmax").forward(np.ones((4, 2)))
    with pytest.raises(TypeError, match=r"tape: expected the DenseTape that Dense\.forward returns beside p"):
        cross_entropy(p, np.ones((4, 3)))  # type: ignore[arg-type]
    for activation in ("sigmoid", "softmax"):
        _, tape = Dense(2, 3, activation).forward(np.ones((0, 2)))
        with pytest.raises(ValueError, match=r"p: expected at least one output .* got shape \(0, 3\)"):
            cross_entropy(tape, np.ones((0, 3)))


def test_numbers_beyond_the_dtype_are_infinite_without_a_word() -> None:
    # Warnings are errors in these tests.
    loss, dp = mean_squared_error(np.ones(3, "float32"), [1.0, 1e39, 1.0])
    assert loss == np.inf
    np.testing.assert_array_equal(dp, np.array([0, -np.inf, 0], "float32"))
    assert mean_squared_error(np.array([1e200]), [0.0])[0] == np.inf
    if np.finfo(np.longdouble).max > np.finfo(np.float64).max:
        assert mean_squared_error(np.array([2], np.longdouble) ** 2000, [0.0])[0] == np.inf


@pytest.mark.parametrize("activation", ["identity", "sigmoid", "softmax"])
def test_heads_take_what_is_beyond_their_dtype_without_a_word(activation: str) -> None:
    head = Dense(2, 2, activation, bias=False)
    head.update({"weight": [[1.0, 0.5], [1.0, 2.0]]})
    single = np.array([[np.inf, -np.inf], [np.inf, 1], [-np.inf, 1], [3e38, 3e38]], "float32")
    double = np.where(np.isinf(single), np.sign(single).astype(float) * 1e39, single)
    results: list[tuple[Any, ...]] = []
    for x in (double, single):
        p, tape = head.forward(x)
        grads = head.backward(tape, np.full(p.shape, 1e39))
        results.append((head(x), p, grads.x, grads.parameters["weight"]))
        if activation != "identity":
            loss, gradient = cross_entropy(tape, np.full(p.shape, 0.5))
            results[-1] += (np.array(loss), gradient.array)
    for ours, wanted in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, wanted)
    head.load_state_dict({"weight": np.full((2, 2), 1e39)})
    assert (head.parameters["weight"] == np.inf).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_squared_error_with_weights(dtype: str) -> None:
    """A place that counts k times is k places, and one that does not count may be anything."""
    p = np.array([[1, 2], [3, 4], [5, np.nan]], dtype)
    target = np.array([[0, 2.5], [1, np.nan], [7, 8]])
    weight = np.array([[1, 2], [3, 0], [1, 0]])
    loss, dp = mean_squared_error(p, target, weight)
    repeated = np.repeat(np.array([1, 2, 3, 5], dtype), [1, 2, 3, 1])
    wanted, each = mean_squared_error(repeated, np.repeat([0, 2.5, 1, 7], [1, 2, 3, 1]))
    assert loss == pytest.approx(wanted, rel=1e-15)
    assert dp.dtype == dtype
    np.testing.assert_allclose(dp, [[each[0], 2 * each[1]], [3 * each[3], 0], [each[6], 0]], rtol=1e-6)
    rows = mean_squared_error(p[:2, :1], target[:2, :1], [[1], [3]])
    np.testing.assert_array_equal(rows[1], mean_squared_error(p[:2, :1], target[:2, :1], weight[:2, :1])[1])


@pytest.mark.parametrize("activation", ["sigmoid", "softmax", "softmax, classes"])
def test_cross_entropy_with_weights(activation: str) -> None:
    head = Dense(2, 3, activation.partition(",")[0], dtype="float64", seed=0)
    x = np.random.default_rng(0).standard_normal((4, 2))
    weight = np.array([1, 2, 0, 3])
    target = np.array([0, 2, 7, 1])
    if not activation.endswith("classes"):
        target = np.eye(8)[target][:, :3]
        target[2] = 5
    _, tape = head.forward(x)
    places = weight if head.activation == "softmax" else weight[:, np.newaxis]
    loss, gradient = cross_entropy(tape, target, places)
    order = np.repeat(np.arange(4), weight)
    _, repeated = head.forward(x[order])
    wanted, each = cross_entropy(repeated, target[order])
    assert loss == pytest.approx(wanted, rel=1e-14)
    np.testing.assert_allclose(gradient.array[[0, 1, 3]], each.array[[0, 1, 3]] * [[1], [2], [3]], rtol=1e-13)
    assert not gradient.array[2].any()


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (
            [1, 2],
            ValueError,
            r"weight: expected shape \(4, 3\), that of p, or one that broadcasts .* got \(2,\)",
        ),
        ([1, -1, 1], ValueError, "weight: expected finite numbers that are not negative, got -1.0"),
        ([1, np.nan, 1], ValueError, "weight: expected finite numbers that are not negative, got nan"),
        ([0, 0, 0], ValueError, "weight: expected a finite sum above 0, got 0.0"),
        (["a"], TypeError, "weight: expected an array of real numbers"),
    ],
)
def test_weights_that_are_refused(weight: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        mean_squared_error(np.ones((4, 3)), np.ones((4, 3)), weight)
    _, tape = Dense(2, 3, "sigmoid").forward(np.ones((4, 2)))
    with pytest.raises(error, match=message):
        cross_entropy(tape, np.ones((4, 3)), weight)
