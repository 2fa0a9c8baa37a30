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
