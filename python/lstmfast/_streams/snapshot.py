"""The state of a stream at one time."""

from __future__ import annotations

from typing import Any

import numpy as np

from .._base import checks
from .._base.checks import Array
from .._base.parameters import read_only


class StreamSnapshot:
    """The state of a stream at one time, from `Stream.snapshot`. It cannot be changed; it can be pickled."""

    __slots__ = ("_c", "_h")

    _h: Array  # [L, B, S]
    _c: Array | None  # [L, B, H]; None for an RNN

    def __init__(self, h: Any, c: Any) -> None:  # noqa: ANN401 - arrays, or a mistake
        for half, name in ((h, "h"), (c, "c")):
            if not isinstance(half, np.ndarray) and (half is not None or name == "h"):
                raise TypeError(f"{name}: expected an array of a stream's, got {checks.shown(half)}")
        self._h = read_only(h)
        self._c = None if c is None else read_only(c)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._h, self._c)

    @property
    def nbytes(self) -> int:
        """Bytes held."""
        return self._h.nbytes + (0 if self._c is None else self._c.nbytes)

    def __repr__(self) -> str:
        shapes = [half.shape for half in (self._h, self._c) if half is not None]
        return f"{type(self).__name__}({described(shapes, self._h.dtype)})"


def described(shapes: list[tuple[int, ...]], dtype: np.dtype[Any]) -> str:
    """Say what states are, by their shapes."""
    return f"{' and '.join(map(str, shapes))} of {dtype}"
