"""README.md's example of JAX does what it says."""

from __future__ import annotations

import numpy as np
import pytest

import lstmfast

from ..helpers import run_example

pytest.importorskip("jax")


def test_the_example() -> None:
    names = run_example("lstmfast.jax")
    lstm = lstmfast.LSTM(3, 32, seed=0)
    y, _, tape = lstm.forward(np.asarray(names["x"]))
    wanted = lstm.backward(tape, 2 * y / y.size).parameters
    assert set(names["gradients"]) == set(wanted)
    for name, gradient in names["gradients"].items():
        np.testing.assert_allclose(gradient, wanted[name], rtol=1e-5, atol=1e-7)
