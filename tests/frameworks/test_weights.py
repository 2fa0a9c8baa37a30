"""Weights of each framework, read by `from_weights`, make our layers compute what the framework does.

So they are proved, not remembered: the arrays and the outputs come from the framework itself, which knows
nothing of our table. Gradients of our layers, written as the framework has weights, are the framework's own.
"""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._layers import weights

from ..helpers import ROOT, assert_same_bits
from .outcomes import Outcome

SIDES = tuple(
    sorted(path.stem for path in (Path(__file__).parent / "sides").glob("*.py") if path.stem != "__init__")
)
CASES = [
    (side, case) for side in SIDES for case in importlib.import_module(f"tests.frameworks.sides.{side}").CASES
]
# Sums of some twenty products in another order, through gates, six times: a float32 has 6e-8 of its size.
TOLERANCE = {"rtol": 2e-5, "atol": 2e-6}


@cache
def outcomes(side: str) -> dict[str, Outcome | str]:
    """What a side makes of all its cases."""
    needs = importlib.import_module(f"tests.frameworks.sides.{side}").NEEDS
    missing = [name for name in needs if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    path = Path(_folder()) / f"{side}.pickle"
    run = subprocess.run(
        [sys.executable, "-m", "tests.frameworks.side", side, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, Outcome | str] = pickle.loads(path.read_bytes())
    return found


@cache
def _folder() -> str:
    import atexit
    import shutil
    import tempfile

    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@pytest.fixture(params=CASES, ids=lambda each: f"{each[0]}: {each[1]}")
def outcome(request: pytest.FixtureRequest) -> Outcome:
    side, case = request.param
    found = outcomes(side)[case]
    assert isinstance(found, Outcome), found
    return found


def read(outcome: Outcome) -> Any:
    return getattr(lstmfast, outcome.kind).from_weights(outcome.arrays, outcome.convention, **outcome.options)


def test_outputs(outcome: Outcome) -> None:
    y, _ = read(outcome)(outcome.x)
    assert outcome.y.dtype == np.float32
    np.testing.assert_allclose(y, outcome.y, **TOLERANCE)
    assert np.abs(y).mean() > 0.05  # else anything would do


def test_there_and_back(outcome: Outcome) -> None:
    prefix = outcome.options.get("prefix", "")
    more = {name: outcome.options[name] for name in ("forget_bias",) if name in outcome.options}
    expected = outcome.arrays if outcome.written is None else outcome.written
    assert_same_arrays(read(outcome).to_weights(outcome.convention, prefix=prefix, **more), expected)


def assert_same_arrays(actual: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert set(actual) == set(expected)
        for name in expected:
            assert_same_arrays(actual[name], expected[name])
    elif isinstance(expected, (list, tuple)):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_same_arrays(one, other)
    else:
        assert_same_bits(actual, np.asarray(expected))


def test_gradients(outcome: Outcome) -> None:
    if outcome.gradients is None:
        pytest.skip("of inference alone")
    layer = read(outcome)
    _, _, tape = layer.forward(outcome.x)
    found = layer.backward(tape, outcome.dy)
    written = weights.write(
        found.parameters,
        layer._layout,
        layer._KIND,
        layer._variant,
        outcome.convention,
        outcome.options.get("prefix", ""),
        None,
        None,
        gradients=True,
    )
    assert_close(written, outcome.gradients)


def assert_close(actual: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert set(actual) == set(expected)
        for name in expected:
            assert_close(actual[name], expected[name])
    elif isinstance(expected, (list, tuple)):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            assert_close(one, other)
    else:
        np.testing.assert_allclose(actual, expected, rtol=2e-4, atol=2e-5)
        assert np.abs(expected).max() > 1e-2
