"""Weights of each framework, read by `from_weights`, make our layers compute what the framework does.

So they are proved, not remembered: the arrays and the outputs come from the framework itself, which knows
nothing of our table. Gradients of our layers, written as the framework has weights, are the framework's own.
"""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._layers import weights

from ..helpers import ROOT, Array, assert_same_bits
from .outcomes import Outcome
from .side import side

SIDES = tuple(
    sorted(path.stem.removeprefix("of_") for path in (Path(__file__).parent / "sides").glob("of_*.py"))
)
CASES = [(name, case) for name in SIDES for case in side(name).CASES]


@cache
def outcomes(name: str) -> dict[str, Outcome | str]:
    """What a side makes of all its cases, in a process of its own."""
    missing = [package for package in side(name).NEEDS if importlib.util.find_spec(package) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outcomes"
        command = [sys.executable, "-m", f"{__package__}.side", name, str(path)]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
        assert run.returncode == 0, run.stderr
        found: dict[str, Outcome | str] = pickle.loads(path.read_bytes())
    return found


@pytest.fixture(params=CASES, ids=lambda each: f"{each[0]}: {each[1]}")
def outcome(request: pytest.FixtureRequest) -> Outcome:
    name, case = request.param
    found = outcomes(name)[case]
    assert isinstance(found, Outcome), found
    return found


def read(outcome: Outcome, rest: dict[str, Any] | None = None) -> Any:
    made = getattr(lstmfast, outcome.kind).from_weights
    return made(outcome.arrays, outcome.convention, rest=rest, **outcome.options)


def test_outputs(outcome: Outcome) -> None:
    rest: dict[str, Any] | None = {} if outcome.with_rest else None
    layer, state = read(outcome, rest), None
    if rest:
        state = tuple(np.repeat(rest[name][:, np.newaxis], outcome.x.shape[1], 1) for name in ("h_0", "c_0"))
    y, _ = layer(outcome.x, state)
    if rest:
        y = y @ rest["head_weight"][:, np.newaxis] + rest["head_bias"]
    assert outcome.y.dtype == np.float32
    # Sums of some twenty products in another order, through gates, six times.
    np.testing.assert_allclose(y, outcome.y, rtol=2e-5, atol=2e-6)
    assert np.abs(y).mean() > 0.05  # else anything would do


def test_there_and_back(outcome: Outcome) -> None:
    named = {name: outcome.options[name] for name in ("prefix", "forget_bias") if name in outcome.options}
    expected = outcome.arrays if outcome.written is None else outcome.written
    rest: dict[str, Any] | None = {} if outcome.with_rest else None
    written = read(outcome, rest).to_weights(outcome.convention, rest=rest, **named)
    compare(written, expected, assert_same_bits)


def test_gradients(outcome: Outcome) -> None:
    if outcome.gradients is None:
        pytest.skip("of inference alone")
    layer = read(outcome)
    _, _, tape = layer.forward(outcome.x)
    found = layer.backward(tape, outcome.dy)
    prefix = outcome.options.get("prefix", "")
    compare(weights.gradients(layer, found.parameters, outcome.convention, prefix), outcome.gradients, close)


def compare(actual: Any, expected: Any, arrays: Callable[[Any, Array], object]) -> None:
    """Compare what is put together alike, each array with its own."""
    if isinstance(expected, dict):
        assert set(actual) == set(expected)
        for name in expected:
            compare(actual[name], expected[name], arrays)
    elif isinstance(expected, (list, tuple)):
        assert type(actual) is type(expected)
        for one, other in zip(actual, expected, strict=True):
            compare(one, other, arrays)
    elif expected is None or isinstance(expected, (str, int, float)):  # of a file
        assert actual == expected
    else:
        arrays(actual, np.asarray(expected))


def close(actual: Array, expected: Array) -> None:
    np.testing.assert_allclose(actual, expected, rtol=2e-4, atol=2e-5)
    assert np.abs(expected).max() > 1e-2
