"""What arrays somebody has for a layer in one direction, written as one line each.

A line is ``name = part[axes]``, or several parts that are one array: ``kernel = x[I, igfo] + h[S, igfo] @0``
(joined on axis 0), ``bias = b[zrn] & bh[zrn]`` (on a first axis of their own). A name with ``?`` behind it
may be missing. Parts are

- ``x``, ``h``: what the inputs and the state before are multiplied with;
- ``b``: the bias, and ``bh``: a second one, beside the product with h. Where a gate has a b and no bh, its b
  is both;
- ``p``: peepholes; ``r``: the projection of h; ``h0`` and ``c0``: a state to begin with.

Axes are gates by letter (of an LSTM i, f, g, o; of a GRU r, z, n; of an RNN h), in the order of their blocks
of H numbers, and sizes: I inputs, H units, S numbers of h (H, or P with a projection), P, or 1. Where H is an
axis beside the gates, they are an axis of their own, [4, H] and not [4*H].
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

MATRICES = ("x", "h")
VECTORS = ("b", "bh", "p")
STATES = ("h0", "c0")


@dataclass(frozen=True)
class Sizes:
    """I, H and P of a layer; P is 0 without a projection."""

    I: int
    H: int
    P: int = 0

    @property
    def S(self) -> int:  # noqa: N802
        """How many numbers h has."""
        return self.P or self.H

    def of(self, axis: str) -> int:
        """Give the size that a letter says, or "1"."""
        return 1 if axis == "1" else int(getattr(self, axis))


@dataclass(frozen=True)
class Part:
    """Numbers of one sort within an array."""

    of: str
    axes: tuple[str, ...]

    @cached_property
    def gates(self) -> str:
        """Its gates, in order; of what has none, nothing."""
        return next((axis for axis in self.axes if axis.islower()), "")

    @property
    def apart(self) -> bool:
        """Whether gates and units are axes of their own."""
        return "H" in self.axes

    def shape(self, sizes: Sizes) -> tuple[int, ...]:
        """Give its shape."""
        return tuple(
            len(axis) * (1 if self.apart else sizes.H) if axis == self.gates else sizes.of(axis)
            for axis in self.axes
        )

    def symbols(self) -> tuple[str, ...]:
        """Give its shape in words."""
        return tuple(_symbol(axis, self.apart) if axis == self.gates else axis for axis in self.axes)


def _symbol(gates: str, apart: bool) -> str:
    count = len(gates)
    if apart:
        return str(count)
    return "H" if count == 1 else f"{count}*H"


@dataclass(frozen=True)
class Array:
    """An array that somebody has."""

    name: str
    parts: tuple[Part, ...]
    axis: int | None = 0  # on which its parts are joined; None: on a first one of their own
    optional: bool = False

    def shape(self, sizes: Sizes) -> tuple[int, ...]:
        """Give its shape."""
        shapes = [part.shape(sizes) for part in self.parts]
        if self.axis is None:
            return (len(shapes), *shapes[0])
        whole = list(shapes[0])
        whole[self.axis] = sum(shape[self.axis] for shape in shapes)
        return tuple(whole)

    def symbols(self) -> str:
        """Give its shape in words."""
        words = [part.symbols() for part in self.parts]
        if self.axis is None:
            return f"[{', '.join((str(len(words)), *words[0]))}]"
        whole = list(words[0])
        whole[self.axis] = _sum([word[self.axis] for word in words])
        return f"[{', '.join(whole)}]"

    @property
    def rank(self) -> int:
        """How many axes it has."""
        return len(self.parts[0].axes) + (1 if self.axis is None else 0)


def _sum(words: list[str]) -> str:
    blocks = [re.fullmatch(r"(?:(\d+)\*)?H", word) for word in words]
    if len(words) > 1 and all(blocks):
        return f"{sum(int(block[1] or 1) for block in blocks if block)}*H"
    return " + ".join(words)


@dataclass(frozen=True)
class Form:
    """The arrays of a layer in one direction, and what its cell does beside what they say."""

    arrays: tuple[Array, ...]
    reset_after: bool = True  # of a GRU: whether r multiplies what comes of h, and not h itself
    forget_offset: float = 0.0  # of an LSTM: what its cell adds to the forget gate's argument
    inverted: bool = False  # of a GRU: whether h' = z * n + (1 - z) * h

    @cached_property
    def parts(self) -> Mapping[str, str]:
        """The gates of each sort of parts, all arrays together; what has none is there with nothing."""
        found: dict[str, str] = {}
        for array in self.arrays:
            for part in array.parts:
                found[part.of] = found.get(part.of, "") + part.gates
        return found

    def having(self, *sorts: str) -> Iterator[Array]:
        """Find the arrays with parts of these sorts."""
        return (array for array in self.arrays if any(part.of in sorts for part in array.parts))

    def without(self, *sorts: str) -> Form:
        """Leave out what may be missing, of these sorts."""
        left = {array.name for array in self.having(*sorts) if array.optional}
        return self.of(tuple(array for array in self.arrays if array.name not in left))

    def of(self, arrays: tuple[Array, ...]) -> Form:
        """Give the form of the same cell with other arrays."""
        return Form(arrays, self.reset_after, self.forget_offset, self.inverted)

    def adding(self, forget_offset: float) -> Form:
        """Give the form of a cell that adds another number to the forget gate's argument."""
        return Form(self.arrays, self.reset_after, forget_offset, self.inverted)


_LINE = re.compile(r"(?P<name>\S+?)(?P<optional>\??) = (?P<parts>.+?)(?: @(?P<axis>\d))?")
_PART = re.compile(r"(\w+)\[([^\]]+)\]")


def form(*lines: str, reset_after: bool = True, forget_offset: float = 0.0, inverted: bool = False) -> Form:
    """Read a form's lines."""
    return Form(tuple(map(_array, lines)), reset_after, forget_offset, inverted)


def _array(line: str) -> Array:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ValueError(f"line: expected name = part[axes], got {line!r}")
    parts = tuple(Part(of, tuple(axes.split(", "))) for of, axes in _PART.findall(match["parts"]))
    axis = None if " & " in match["parts"] else int(match["axis"] or 0)
    return Array(match["name"], parts, axis, bool(match["optional"]))
