"""Numbers of 32 bits as smaller ones, and back: which kinds there are, which arrays each consists of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._base.checks import FLOAT32, AnyArray, Array, quiet
from .._base.parameters import PEEPHOLES, Layout

Floats: TypeAlias = NDArray[np.float32]

# How a weight is stored. NumPy has no bfloat16: its bits.
STORED: Mapping[str, np.dtype[Any]] = {
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(np.uint16),
    "int8": np.dtype(np.int8),
}

LEAST_SCALE = np.float32(2.0**-126)  # what whole numbers are multiplied by must be a normal float
_MOST_INT8 = 127
_MOST_BFLOAT16 = np.uint32(0x7F7F0000)  # as bits of a float32

INPUT_RANGE = "input_range"


@dataclass(frozen=True)
class Form:
    """The arrays of a layer's weights in a smaller kind."""

    layout: Layout
    kind: str
    calibrated: bool

    @property
    def count(self) -> int:
        """How many arrays there are."""
        layout = self.layout
        matrices = 2 + (1 if layout.proj_size else 0)
        per_pass = matrices * (2 if self.kind == "int8" else 1) + (2 if layout.bias else 0)
        per_pass += 1 if layout.peepholes else 0
        return layout.num_layers * layout.directions * per_pass + (1 if self.calibrated else 0)

    def arrays(self) -> Iterator[tuple[str, tuple[int, ...], np.dtype[Any]]]:
        """Name, shape and dtype of each: a model's parameters, in their order, a weight's scales after it."""
        for name, shape, _ in self.layout.shapes():
            weight = is_weight(name)
            yield name, shape, STORED[self.kind] if weight else FLOAT32
            if weight and self.kind == "int8":
                yield scale_name(name), shape[:1], FLOAT32
        if self.calibrated:
            yield INPUT_RANGE, (self.layout.input_size,), FLOAT32


def is_weight(name: str) -> bool:
    """Whether a parameter of a model is a matrix that is multiplied, and so one that becomes smaller."""
    return name.startswith("weight_") and not name.endswith("_scale") and not is_vector(name)


def is_vector(name: str) -> bool:
    """Whether a parameter is biases or peepholes, which stay as they are."""
    return name.startswith(("bias_", PEEPHOLES))


def scale_name(name: str) -> str:
    """Name the scales of a weight, one for each row."""
    return f"{name}_scale"


def reads_input(name: str) -> bool:
    """Whether a parameter is a matrix that x is multiplied with."""
    return name.startswith("weight_ih_l0")


def to_float16(weights: Floats) -> tuple[NDArray[np.float16], int]:
    """Round to nearest, to even in the middle; also how many are larger than the largest, and become that."""
    largest = np.finfo(np.float16).max
    with quiet():
        rounded = weights.astype(np.float16)
    lost = np.isinf(rounded)
    return np.where(lost, np.copysign(largest, weights), rounded).astype(np.float16), int(lost.sum())


def to_bfloat16(weights: Floats) -> tuple[NDArray[np.uint16], int]:
    """Likewise; the bits."""
    bits = weights.view(np.uint32)
    rounded = bits + (np.uint32(0x7FFF) + (bits >> 16 & np.uint32(1)))  # the exponent takes what is carried
    magnitude, sign = rounded & np.uint32(0x7FFFFFFF), bits & np.uint32(0x80000000)
    lost = magnitude > (_MOST_BFLOAT16 | np.uint32(0xFFFF))
    kept = np.where(lost, _MOST_BFLOAT16, magnitude) | sign
    return (kept >> np.uint32(16)).astype(np.uint16), int(lost.sum())


def to_int8(weights: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Whole numbers from -127 to 127, and what those of each row are multiplied by."""
    largest = np.abs(weights).max(axis=1)
    scale = np.maximum(largest / np.float32(_MOST_INT8), LEAST_SCALE)
    whole = np.rint(weights / scale[:, np.newaxis])
    return np.clip(whole, -_MOST_INT8, _MOST_INT8).astype(np.int8), scale


def from_bfloat16(bits: NDArray[np.uint16]) -> Floats:
    """Widen, which is exact."""
    widened = np.empty(bits.shape, np.float32)  # not a view, which could be made writeable again
    widened.view(np.uint32)[...] = bits.astype(np.uint32) << np.uint32(16)
    return widened


def ranges(calibration: AnyArray) -> Floats:
    """Find what each input is divided by, [I]: its largest magnitude in the data, [..., I].

    An input that is always 0 there could become anything. It is taken for one of the smallest, so that its
    weights do not make those of the others coarser.
    """
    largest = np.abs(calibration).max(axis=tuple(range(calibration.ndim - 1))).astype(np.float32)
    there = largest >= LEAST_SCALE
    return np.where(there, largest, largest[there].min() if there.any() else np.float32(1))


def check_finite(numbers: Floats, name: str, shown: Array | None = None) -> None:
    """ValueError that says where the first number is that is not finite. shown: as it came."""
    wrong = np.argwhere(~np.isfinite(numbers))
    if wrong.size:
        place = tuple(map(int, wrong[0]))
        found = (numbers if shown is None else shown)[place]
        raise ValueError(f"{name}: expected finite numbers, got {found} at {place}")
