"""README.md's example and that in examples/ do what they say."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

pytest.importorskip("sklearn")

from ..helpers import ROOT, run_example


def test_the_example_in_scikit_learn() -> None:
    names = run_example("lstmfast.sklearn")
    assert names["scores"].shape == (3,)
    assert names["scores"].mean() > 0.8
    assert names["ahead"].shape == (5,)
    assert (names["lower"] < names["ahead"]).all()
    assert (names["ahead"] < names["upper"]).all()


def test_classify_sequences() -> None:
    path = ROOT / "examples" / "classify_sequences.py"
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    right = [float(said) for said in re.findall(r": (\d+\.\d)%", done.stdout)]
    assert len(right) == 6
    *by_rows, linear = right
    assert by_rows == sorted(by_rows)
    assert by_rows[0] > 70
    assert by_rows[-1] > linear - 1 > 90  # of a model that has learned from beginnings as well
