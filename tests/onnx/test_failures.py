"""The programs in failures/ about ONNX files end well, and see it when they should not."""

from __future__ import annotations

import runpy
from functools import partial

import pytest

import lstmfast.onnx

from ..core_helpers import run_python
from ..helpers import ROOT

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

FAILURES = ROOT / "failures"
NAMES = ("export_fixes_time", "ignored_attributes")


@pytest.mark.parametrize("name", NAMES)
def test_ours(name: str) -> None:
    run = "import runpy, sys; runpy.run_path(sys.argv[1])['main']()"
    assert run_python(run, str(FAILURES / f"{name}.py")).startswith("lstmfast: ")


def test_an_attribute_that_is_ignored_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    program = runpy.run_path(str(FAILURES / "ignored_attributes.py"))
    main, truth = program["main"], program["truth"]
    monkeypatch.setitem(main.__globals__, "by_session", lambda name: truth("nothing more"))
    with pytest.raises(SystemExit, match="of a node with reverse is off by"):
        main()


def test_a_time_that_is_fixed_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lstmfast.onnx, "export", partial(lstmfast.onnx.export, time=1))
    with pytest.raises(Exception, match="invalid dimensions for input: x"):
        runpy.run_path(str(FAILURES / "export_fixes_time.py"))["main"]()
