"""Which rows are read and written by code of their own: files, and numbers that do not say their sizes."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any, NamedTuple, Protocol

from ..checks import AnyArray
from . import cudnn, nam, rtneural
from .holding import Layers


class _Read(Protocol):
    def __call__(
        self, value: object, kind: str, options: MutableMapping[str, Any], /
    ) -> tuple[Layers, dict[str, Any]]: ...


class _Written(Protocol):
    def __call__(
        self, layers: Sequence[Sequence[Mapping[str, AnyArray]]], kind: str, rest: Mapping[str, Any], /
    ) -> Any: ...  # noqa: ANN401 - whatever the convention has


class Format(NamedTuple):
    """The way from a value to the arrays of each layer and direction, and back."""

    read: _Read
    written: _Written
    parts: tuple[str, ...] = ()  # what `rest` has of it besides states


FORMATS = {
    "cudnn": Format(cudnn.read, cudnn.written),
    "nam": Format(nam.read, nam.written, ("head_weight", "head_bias", "file")),
    "rtneural": Format(rtneural.read, rtneural.written, ("before", "after")),
}
