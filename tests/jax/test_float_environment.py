"""The same bits inside XLA's programs, which flush denormals, whatever environment their callers have."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..float_helpers import CAN_BE_SET, CONTROLS, DEFAULT, set_control
from ..helpers import assert_same_bits, make, random_call
from ..helpers import everything as of_layer

jax = pytest.importorskip("jax")

from .helpers import everything  # noqa: E402

pytestmark = [
    pytest.mark.skipif(not CAN_BE_SET, reason="where fenv_t is another"),
    pytest.mark.usefixtures("default_floats", "threads"),
]
LEAST = np.float32(2.0**-126)
CONTROL = pytest.mark.parametrize("given", CONTROLS.values(), ids=CONTROLS)


def small(model: Any, call: Any) -> Any:
    """The model with weights around the smallest normal number, and a call with such states."""
    model.update({name: array * LEAST for name, array in model.parameters.items()})
    x, state, dy, dstate = call

    def times(value: Any) -> Any:
        return tuple(part * LEAST for part in value) if isinstance(value, tuple) else value * LEAST

    return x, times(state), dy, dstate


def expected_of(model: Any, call: Any) -> dict[str, Any]:
    expected = dict(sorted(of_layer(model, *call).items()))
    for name in ("y", "dx"):
        array = expected[name]
        assert ((array != 0) & (np.abs(array) < LEAST)).any(), name
    return expected


@contextmanager
def set_to(value: int) -> Iterator[None]:
    """Have another environment for a while. XLA itself may leave its caller's thread another rounding."""
    set_control(value)
    try:
        yield
    finally:
        set_control(DEFAULT)


@CONTROL
@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn_tanh"])
def test_denormals_stay(kind: str, jit: bool, given: int) -> None:
    model = make(kind, 5, 20)
    call = small(model, random_call(model, 6, 3))
    expected = expected_of(model, call)
    with set_to(given):
        found = everything(model, *call, jit=jit)
    assert_same_bits(found, expected)


def test_on_xlas_threads() -> None:
    """Which come to help, and whose environment is XLA's."""
    model = make("lstm", 64, 256)
    call = small(model, random_call(model, 6, 16))
    lstmfast.set_num_threads(1)
    expected = expected_of(model, call)
    lstmfast.set_num_threads(4)
    for _ in range(3):
        assert_same_bits(everything(model, *call), expected)
