"""Bytes that a fuzzer chose, taken as whatever a target asks for; when they have run out, all is zero."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

_T = TypeVar("_T")

# At which something ends.
EDGES = (0, 1, -1, 2, 7, 255, 2**15, 2**31 - 1, 2**31, 2**32, 2**40, 2**62, 2**63 - 1, 2**63, 2**64, 10**30)
TEXTS = ("", "x", "float32", "float64", "float16", "int8", "bfloat16", "tanh", "relu", "Sigmoid", "Elu")


class Draw:
    """The bytes, from the first on."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    @property
    def empty(self) -> bool:
        return self._at >= len(self._data)

    def take(self, count: int) -> bytes:
        """As many as there are, and no more than `count`."""
        found = self._data[self._at : self._at + count]
        self._at += count
        return found

    def rest(self) -> bytes:
        return self.take(len(self._data))

    def byte(self) -> int:
        return (self.take(1) or b"\0")[0]

    def flag(self) -> bool:
        return self.byte() % 2 == 1

    def seldom(self) -> bool:
        """Once in eight times; not when bytes have run out."""
        return self.byte() % 8 == 7

    def below(self, count: int) -> int:
        """0 to count - 1."""
        return (self.byte() if count <= 256 else self.byte() + 256 * self.byte()) % count

    def one_of(self, values: Sequence[_T]) -> _T:
        return values[self.below(len(values))]

    def integer(self) -> int:
        """Mostly a small one, else one at which something ends."""
        kind = self.byte()
        if kind < 160:
            return kind % 16 - 2
        return self.one_of(EDGES) + kind % 3 - 1

    def real(self) -> float:
        """Mostly a usual one, else any bits."""
        kind = self.byte()
        if kind < 128:
            return (kind - 64) / 16
        if kind < 192:
            return self.one_of(
                (0.0, -0.0, 1.0, float("inf"), -float("inf"), float("nan"), 1e308, 5e-324, 0.5)
            )
        return float(struct.unpack("<d", self.take(8).ljust(8, b"\0"))[0])

    def text(self, most: int = 12) -> str:
        if self.flag():
            return self.one_of(TEXTS)
        return self.take(self.below(most + 1)).decode("utf-8", "surrogateescape")

    def value(self, depth: int = 0) -> Any:
        """Anything that Python has a literal for."""
        kind = self.below(10 if depth < 3 else 6)
        if kind == 0:
            return None
        if kind == 1:
            return self.flag()
        if kind == 2:
            return self.integer()
        if kind == 3:
            return self.real()
        if kind == 4:
            return self.text()
        if kind == 5:
            return self.take(self.below(5))
        if kind == 6:
            return array(self, self.below(3))
        parts = [self.value(depth + 1) for _ in range(self.below(4))]
        if kind == 7:
            return parts
        if kind == 8:
            return tuple(parts)
        return {self.text(): part for part in parts}


DTYPES = ("f4", "f8", "f4", "f8", "f2", "i4", "u1", "i8", "?", ">f4", ">f8", "c8", "O", "U3", "M8[s]")


def numbers(draw: Draw, shape: Sequence[int], dtype: str = "f8") -> Any:
    """Numbers of a shape by one byte, some of them anything."""
    found = np.asarray(np.random.default_rng(draw.byte()).standard_normal(shape), dtype)
    if found.size and found.dtype.kind == "f" and draw.seldom():
        with np.errstate(over="ignore"):
            found.flat[draw.below(min(found.size, 256))] = draw.real()
    return found


def laid(draw: Draw, found: Any) -> Any:
    """The same numbers, laid out in another way."""
    kind = draw.below(8)
    if kind == 1:
        return np.asfortranarray(found)
    if kind == 2 and found.ndim:
        return np.repeat(found, 2, axis=-1)[..., ::2]
    if kind == 3 and found.ndim:
        return np.ascontiguousarray(found[::-1])[::-1]
    if kind == 4 and found.ndim > 1:
        return np.ascontiguousarray(found.swapaxes(0, 1)).swapaxes(0, 1)
    if kind == 5 and found.dtype.kind != "O":
        view = np.zeros(found.nbytes + 1, np.uint8)[1:].view(found.dtype).reshape(found.shape)
        view[...] = found
        return view
    if kind == 6:
        found = found.copy()
        found.flags.writeable = False
        return found
    if kind == 7 and draw.seldom():
        return found.tolist()
    return found


def array(draw: Draw, axes: int) -> Any:
    """Any array of so many axes."""
    shape = [draw.below(5) for _ in range(axes)]
    dtype = draw.one_of(DTYPES)
    with np.errstate(all="ignore"):
        values = np.asarray(np.random.default_rng(draw.byte()).standard_normal(shape) * 3)
        if dtype.startswith("M8"):
            values = values.astype("i8")
        return laid(draw, np.asarray(values.astype(dtype)))


def nearly(draw: Draw, shape: Sequence[int], dtype: str = "f4") -> Any:
    """Mostly an array of this shape and dtype, in any layout; else one that is off in something, or none."""
    kind = draw.below(16)
    if kind == 15:
        return draw.value()
    if kind == 14 and len(shape):
        sizes = list(shape)
        sizes[draw.below(len(sizes))] += draw.below(3) - 1
        shape = [max(0, size) for size in sizes]
    if kind == 13:
        dtype = draw.one_of(DTYPES)
    if dtype in ("O", "U3", "M8[s]", "c8"):
        return array(draw, len(shape))
    with np.errstate(all="ignore"):
        return laid(draw, numbers(draw, shape, dtype))
