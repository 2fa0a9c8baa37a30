"""What ONNX models are built of here: nodes, and constants, whose weights may be smaller ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .._base.checks import AnyArray
from .onnx_weights import Numbers


class Graph:
    """Nodes and constants, as they come."""

    def __init__(self, onnx: Any) -> None:
        self._helper = onnx.helper
        self._types = onnx.TensorProto
        self._from_array = onnx.numpy_helper.from_array
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def add(
        self,
        operator: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        name: str = "",
        **attributes: Any,
    ) -> None:
        """Add a node."""
        self.nodes.append(self._helper.make_node(operator, inputs, outputs, name=name, **attributes))

    def constant(self, name: str, array: AnyArray) -> str:
        """Add a constant; return its name."""
        self.constants.append(self._from_array(np.ascontiguousarray(array), name))
        return name

    def weight(self, name: str, numbers: Numbers) -> str:
        """Add a weight, [D, G*H, inputs], that nodes see as floats; return its name."""
        if not numbers.kind:
            return self.constant(name, numbers.array)
        if numbers.scale is not None:
            self._whole(name, numbers.array, numbers.scale, numbers.divisor)
        else:
            stored = f"{name}_{numbers.kind}"
            if numbers.kind == "bfloat16":
                self._bits(stored, self._types.BFLOAT16, numbers.array)
            else:
                self.constant(stored, numbers.array)
            self.add("Cast", [stored], [name], to=self._types.FLOAT)
        return name

    def _bits(self, name: str, kind: int, array: AnyArray) -> None:
        """Add a constant of a kind that NumPy has not, of its bits."""
        raw = array.astype("<u2").tobytes()
        self.constants.append(self._helper.make_tensor(name, kind, array.shape, raw, raw=True))

    def _whole(self, name: str, array: AnyArray, scale: AnyArray, divisor: AnyArray | None) -> None:
        """Add whole numbers with what each row is multiplied by.

        Not by DequantizeLinear: MNN gets it wrong with a scale for each row, and ONNX Runtime computes it
        anew in every call, where it folds a product of constants.
        """
        self.constant(f"{name}_int8", array)
        self.constant(f"{name}_scale", scale[..., None])
        self.add("Cast", [f"{name}_int8"], [f"{name}_float"], to=self._types.FLOAT)
        rows = name if divisor is None else f"{name}_rows"
        self.add("Mul", [f"{name}_float", f"{name}_scale"], [rows])
        if divisor is not None:
            self.add("Div", [rows, self.constant(f"{name}_range", divisor)], [name])

    def made(self, name: str, inputs: Sequence[Any], outputs: Sequence[Any], opset: int, version: str) -> Any:
        """Make the model; inputs and outputs are what `value` gives."""
        helper = self._helper
        graph = helper.make_graph(self.nodes, name, inputs, outputs, self.constants)
        opsets = [helper.make_opsetid("", opset)]
        return helper.make_model(
            graph,
            opset_imports=opsets,
            ir_version=helper.find_min_ir_version_for(opsets),
            producer_name="lstmfast",
            producer_version=version,
        )

    def value(self, name: str, dtype: np.dtype[Any], shape: Sequence[int | str]) -> Any:
        """Describe an input or an output; an axis with a name is free."""
        return self._helper.make_tensor_value_info(name, self._helper.np_dtype_to_tensor_dtype(dtype), shape)
