"""Layers as files and pickles: a configuration and arrays, and a layer made of them again."""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from .._base import checks
from .._base.layer import Layer
from . import format, onnx_model, writing
from .onnx_weights import Numbers

_STATE = frozenset(("config", "parameters", "extra"))  # of a pickle


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

    def to_onnx(
        self,
        path: str | os.PathLike[str],
        *,
        states: bool = False,
        lengths: bool = False,
        time: int | None = None,
        batch: int | None = None,
        opset: int = onnx_model.OPSET,
    ) -> None:
        """Write an ONNX model of this layer; `lstmfast.onnx.export` makes it in memory.

        Its inputs are `x` and, if wanted, `lengths`, `h_0` and `c_0`; its outputs `y`, `h_n` and, of an LSTM,
        `c_n`. All have the shapes of a call. Where x is `batch_first`, so it is there. Dropout of any kind is
        left out, as in a call. docs/onnx.md says what other engines make of it.

        The file appears at once and whole: a write that fails leaves what was there before.

        Parameters
        ----------
        path
            Of the file.
        states
            Whether the model takes the initial state, all of it; else it is zero.
        lengths
            Whether it takes `lengths`, int32 [B]. Of a row of length 0 ONNX Runtime gives zeros for the last
            state, and not its initial one.
        time, batch
            How many steps and rows it takes, for engines that need to know: OpenVINO heeds lengths only then.
            None: any number, by an axis of that name.
        opset
            The version of ONNX's operators, from 13 to the newest that the package onnx knows.

        Raises
        ------
        ImportError
            If onnx is not installed: `pip install 'lstmfast[onnx]'`.
        TypeError, ValueError
            If ONNX has no node for such a layer (layer normalisation, a projection, zoneout), if an argument
            is not as above, or if the file would be larger than 2 GiB.
        OSError
            If the file cannot be written.

        Notes
        -----
        Weights of float64 make a model of double. Smaller ones are stored as they are, and widened by the
        model: "float16" and "bfloat16" by a Cast, "int8" by a Cast and a product. So such a model computes
        what `dequantize()` does: of "int8", not what the layer itself does, which rounds x and h as well.

        `clip` and the numbers of activations are float32 in ONNX.
        """
        text = checks.path(path)
        onnx_model.check_size(self)
        model = self._onnx_model("to_onnx", states, lengths, opset, {"time": time, "batch": batch})
        writing.write(text, model.SerializeToString())

    def _onnx_model(
        self, who: str, states: object, lengths: object, opset: object, sizes: Mapping[str, object]
    ) -> Any:  # noqa: ANN401
        """Make the model. who: is asked for it, in messages. sizes: time, batch."""
        return onnx_model.build(self, self._numbers(), who, states, lengths, opset, sizes)

    def _numbers(self) -> dict[str, Numbers]:
        """Return the parameters, and what belongs to each."""
        return {name: Numbers(array) for name, array in self._parameters.items()}

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

    def __setstate__(self, state: Any) -> None:  # noqa: ANN401 - of a pickle, which may hold anything
        if not isinstance(state, dict) or _STATE - state.keys() or not isinstance(state["extra"], dict):
            got = sorted(map(str, state)) if isinstance(state, dict) else checks.shown(state)
            raise ValueError(f"pickle: expected a dict of {sorted(_STATE)}, extra itself a dict, got {got}")
        # Without the ISA: the machine that unpickles may have others.
        self._configure(self._expected_config(state["config"]), None)
        self._restore(state["parameters"], "pickle")
        self.__dict__.update(state["extra"])

    @classmethod
    def _expected_config(cls, config: object) -> dict[str, Any]:
        """Check that what a file or a pickle has is a configuration, but for its values."""
        names = set(cls._config_names())
        if not isinstance(config, dict) or config.keys() - set(cls._KIND.options) != names:
            came = sorted(map(str, config)) if isinstance(config, dict) else checks.shown(config)
            raise ValueError(f"config: expected {sorted(names)}, got {came}")
        return config
