"""The examples in docs/sklearn.md run as they stand."""

from __future__ import annotations

import pytest

pytest.importorskip("sklearn")

from ..pages import run_page


def test_the_page() -> None:
    done = run_page("sklearn.md")
    assert done["after_each"].shape == (309, 5)
    assert (done["lower"] < done["upper"]).all()
    assert done["lower"].shape == (3,)
