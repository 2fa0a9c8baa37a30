"""Layers as files and pickles: a configuration and arrays, and a layer made of them again."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from .._base.layer import Layer
from . import format


class Saved(Layer):
    """Base of every layer that can be saved and pickled."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write configuration and weights to a safetensors file, which `lstmfast.load` reads.

        The file appears at once and whole: a write that fails leaves what was there before.

        Raises
        ------
        ImportError
            If safetensors is not installed: `pip install 'lstmfast[save]'`.
        OSError
            If the file cannot be written.
        """
        format.save(self._NAME, self._config(), self._parameters, path)

    @abstractmethod
    def _stored(
        self, names: Collection[Any], argument: str
    ) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        """Shape and dtype of each array that this configuration is saved with, once `names` are theirs."""

    @abstractmethod
    def _restore(self, arrays: Mapping[str, Any], argument: str) -> None:
        """Check such arrays, copy them and make the network of them."""

    def __getstate__(self) -> dict[str, Any]:
        return {"config": self._config(), "parameters": dict(self._parameters), "extra": self._added()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # Without the ISA: the machine that unpickles may have others.
        self._configure(state["config"], None)
        self._restore(state["parameters"], "pickle")
        self.__dict__.update(state["extra"])
