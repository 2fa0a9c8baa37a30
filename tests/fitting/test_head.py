"""A head's products by the core: those of the `Dense`, and the same bits for a row wherever it is."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._fitting.head import Head
from lstmfast.training import Dense

from ..helpers import assert_same_bits, random


@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_dense(dtype: str, bias: bool) -> None:
    dense = Dense(5, 3, bias=bias, dtype=dtype, seed=0)
    head = Head(dense, lstmfast.isa())
    x, dz = random((7, 4, 5), dtype), random((7, 4, 3), dtype, seed=1)
    for _ in range(2):
        p, tape = dense.forward(x)
        passed = head.forward(x)
        dx, parameters = head.backward(passed, dz)
        grads = dense.backward(tape, dz)
        tolerance: Any = {
            "rtol": 1e-5 if dtype == "float32" else 1e-13,
            "atol": 1e-5 if dtype == "float32" else 1e-13,
        }
        np.testing.assert_allclose(passed.z, p, **tolerance)
        np.testing.assert_allclose(dx, grads.x, **tolerance)
        assert list(parameters) == list(grads.parameters)
        for name, gradient in grads.parameters.items():
            np.testing.assert_allclose(parameters[name], gradient, **tolerance)
        dense.update({"weight": random((3, 5), dtype, seed=2)})  # which the next pass has to see


def test_rows_do_not_depend_on_the_batch(isa: str, threads: None) -> None:
    head = Head(Dense(37, 9, seed=0), isa)
    x = random((50, 37))
    together = head.logits(x)
    lstmfast.set_num_threads(2)
    assert_same_bits(head.forward(x[20:33]).z, together[20:33])
    assert_same_bits(np.stack([head.logits(row[np.newaxis])[0] for row in x]), together)
