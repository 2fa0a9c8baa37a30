"""What pieces begin from at a cut, and c of every step, in the NumPy reference: by finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ..differences import central_differences
from .helpers import KINDS, draw, loss_of, make

T, B = 4, 3


@pytest.mark.parametrize(("cell", "proj_size"), KINDS)
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_those_of_finite_differences(cell: str, proj_size: int, masked: bool) -> None:
    network = make(cell, 2, True, True, proj_size=proj_size)
    a = draw(network, T, B)
    rng = np.random.default_rng(3)
    cuts: dict[str, Any] = {"reset": rng.random((T, B)) < 0.4, "lengths": [4, 0, 3]}
    if masked:
        cuts["mask"] = rng.random((T, B)) < 0.6
    H = network.hidden_size
    begins = [rng.standard_normal((4, B, width)) for width in (network.output_size, H)]
    memory = cell == "lstm"
    begins, dc = begins[: 2 if memory else 1], rng.standard_normal((T, B, 2 * H)) if memory else None
    cuts["reset_to"] = (*begins, None)[:2]

    def loss() -> float:
        total = loss_of(network, a, **cuts)
        if dc is None:
            return total
        *_, cache = network.forward(a["x"], a["h0"], a.get("c0"), **cuts)
        return total + float(np.sum(dc * network.memory(cache)))

    *_, cache = network.forward(a["x"], a["h0"], a.get("c0"), **cuts)
    found = network.backward_with_cut(cache, a["dy"], a["dh_n"], a.get("dc_n"), dc)
    dx, dh0, dc0, dparameters, starts = found
    pairs = [("x", dx, a["x"]), ("h0", dh0, a["h0"]), ("reset_to h", starts.h, begins[0])]
    pairs += [
        (name, dparameters[name], network.parameters[name]) for name in ("weight_hh_l0", "weight_ih_l1")
    ]
    if memory:
        pairs += [("c0", dc0, a["c0"]), ("reset_to c", starts.c, begins[1])]  # type: ignore[list-item]
    for name, gradient, array in pairs:
        expected = central_differences(loss, array)
        np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-9, err_msg=name)
        assert np.abs(expected).max() > 1e-3
