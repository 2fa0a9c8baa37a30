"""The examples in docs/jax.md run as they stand, of Flax, Equinox and Haiku where these are there."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import pytest

import lstmfast

from ..pages import run_page

pytest.importorskip("jax")


def test_the_page() -> None:
    names: dict[str, Any] = {}
    if find_spec("equinox"):
        import equinox
        import jax

        names["cell"] = equinox.nn.GRUCell(3, 4, key=jax.random.key(0))
        names["equinox"] = equinox
        of_haiku = lstmfast.LSTM(3, 4, seed=0).to_weights("haiku")
        names["haiku_params"] = {f"lstm/{name}": weights for name, weights in of_haiku.items()}
    done = run_page("jax.md", names, packages=("flax", "equinox"))
    assert set(done["gradients"] if not names else done["params"]) >= {"weight_ih_l0", "weight_hh_l0"}
    assert done["exported"].in_avals
