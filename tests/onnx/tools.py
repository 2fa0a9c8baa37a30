"""What other tools make of a model, before it is run."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

Inputs = Mapping[str, Any]


def onnxsim(model: Any, inputs: Inputs, folder: Path) -> Any:
    """Constants folded, nodes joined."""
    simplified, same = pytest.importorskip("onnxsim").simplify(model)
    assert same
    return simplified


def onnxslim(model: Any, inputs: Inputs, folder: Path) -> Any:
    """The same, by another."""
    return pytest.importorskip("onnxslim").slim(model)


def float16_of_transformers(model: Any, inputs: Inputs, folder: Path) -> Any:
    """ONNX Runtime's, with inputs and outputs left as they are; nodes may come out of order."""
    convert = pytest.importorskip("onnxruntime.transformers.float16").convert_float_to_float16
    return convert(model, keep_io_types=True)


def float16_of_converters(model: Any, inputs: Inputs, folder: Path) -> Any:
    """onnxconverter-common's."""
    convert = pytest.importorskip("onnxconverter_common.float16").convert_float_to_float16
    return convert(model, keep_io_types=True)


def dynamic_int8(model: Any, inputs: Inputs, folder: Path) -> Any:
    """ONNX Runtime's int8 of weights, within what eight bits hold on every CPU."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    before, after = _files(model, folder)
    quantization.quantize_dynamic(before, after, reduce_range=True)
    return importlib.import_module("onnx").load(after)


def static_int8(model: Any, inputs: Inputs, folder: Path, operators: list[str] | None = None) -> Any:
    """ONNX Runtime's int8 of weights and what flows between nodes, scaled for these inputs."""
    quantization = pytest.importorskip("onnxruntime.quantization")

    class Once(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            self._left = [dict(inputs)]

        def get_next(self) -> Any:
            return self._left.pop() if self._left else None

    before, after = _files(model, folder)
    quantization.quantize_static(before, after, Once(), op_types_to_quantize=operators)
    return importlib.import_module("onnx").load(after)


def static_int8_of_layers(model: Any, inputs: Inputs, folder: Path) -> Any:
    """With recurrent nodes named, whose weights then come out of DequantizeLinear."""
    return static_int8(model, inputs, folder, ["LSTM", "GRU", "RNN", "MatMul"])


def _files(model: Any, folder: Path) -> tuple[str, str]:
    """A model's file, and where another is to be written."""
    before, after = str(folder / "before.onnx"), str(folder / "after.onnx")
    importlib.import_module("onnx").save(model, before)
    return before, after


TOOLS: dict[str, Callable[[Any, Inputs, Path], Any]] = {
    "as it is": lambda model, inputs, folder: model,
    "onnxsim": onnxsim,
    "onnxslim": onnxslim,
    "float16 (transformers)": float16_of_transformers,
    "float16 (converters)": float16_of_converters,
    "dynamic int8": dynamic_int8,
    "static int8": static_int8,
    "static int8, layers": static_int8_of_layers,
}
