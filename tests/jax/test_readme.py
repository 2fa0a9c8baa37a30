"""README.md's example of JAX does what it says."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import ROOT

pytest.importorskip("jax")


def test_the_example() -> None:
    examples = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.S | re.M
    )
    (example,) = (text for text in examples if "lstmfast.jax" in text)
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    lstm = lstmfast.LSTM(3, 32, seed=0)
    y, _, tape = lstm.forward(np.asarray(names["x"]))
    wanted = lstm.backward(tape, 2 * y / y.size).parameters
    assert set(names["gradients"]) == set(wanted)
    for name, gradient in names["gradients"].items():
        np.testing.assert_allclose(gradient, wanted[name], rtol=1e-5, atol=1e-7)
