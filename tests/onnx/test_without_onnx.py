"""What is there of ONNX's side where the package onnx is not."""

from __future__ import annotations

from ..core_helpers import run_python


def test_lstmfast_does_not_import_it() -> None:
    run_python(
        """
import sys
import lstmfast, lstmfast.onnx
assert "onnx" not in sys.modules
"""
    )


def test_each_function_says_what_is_missing(tmp_path: object) -> None:
    program = f"""
import os, sys
sys.modules["onnx"] = None
import lstmfast, lstmfast.onnx
lstm = lstmfast.LSTM(2, 3)
path = os.path.join({str(tmp_path)!r}, "model.onnx")
for name, call in {{
    "layers": lambda: lstmfast.onnx.layers(path),
    "replace": lambda: lstmfast.onnx.replace(path, {{}}),
    "export": lambda: lstmfast.onnx.export(lstm),
    "to_onnx": lambda: lstm.to_onnx(path),
}}.items():
    try:
        call()
    except ImportError as error:
        assert str(error) == name + " needs onnx: pip install 'lstmfast[onnx]'", error
    else:
        raise AssertionError(name)
assert not os.path.exists(path)
"""
    run_python(program)
