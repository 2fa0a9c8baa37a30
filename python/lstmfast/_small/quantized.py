"""Layers with smaller weights, for inference: what is the same for all kinds."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import numpy as np

from .. import _core
from .._base import checks, kinds
from .._base.arguments import StateLikeT, StateT
from .._base.checks import AnyArray
from .._base.parameters import by_name, read_only
from .._files.onnx_weights import Numbers
from .._files.saved import Saved
from .._streams.streamed import Streamed
from . import rounding
from .rounding import Floats, Form, check_finite

ModelT = TypeVar("ModelT")  # whose weights were made smaller

_LARGEST = np.finfo(np.float32).max


class Quantized(Streamed[StateT, StateLikeT], Saved, Generic[StateT, StateLikeT, ModelT]):
    """Base of every layer with smaller weights. See `LSTM.quantize`."""

    _MORE = ("weight_dtype", "calibrated", "saturated")

    _weight_dtype: str
    _calibrated: bool
    _saturated: Mapping[str, int]

    def __init__(self, *_args: object, **_options: object) -> None:
        raise TypeError(f"{type(self).__name__}: made by {self._KIND.name}.quantize, not by hand")

    @property
    def weight_dtype(self) -> str:
        """What the weights are: "float16", "bfloat16" or "int8". Biases are float32."""
        return self._weight_dtype

    @property
    def calibrated(self) -> bool:
        """Whether each input is rounded in proportion to its own range, found in data: `input_range`."""
        return self._calibrated

    @property
    def nbytes(self) -> int:
        """Bytes of all `parameters`."""
        return sum(array.nbytes for array in self._parameters.values())

    @property
    def parameters(self) -> Mapping[str, AnyArray]:
        """The weights by name: a read-only mapping of read-only arrays, as they are saved.

        Weights are of float16, of uint16 (the bits of bfloat16) or of int8. Of int8, `weight_ih_l0_scale`
        [rows] and its like have what the whole numbers of each row are multiplied by, and with a calibration
        `input_range` [I] has what x is divided by (and `weight_ih_l0` was multiplied by).
        """
        return self._parameters

    @property
    def saturated(self) -> Mapping[str, int]:
        """How many numbers of each weight would have become infinite, and are the kind's largest instead.

        Of int8 none ever would: each row's largest weight is 127 steps.
        """
        return self._saturated

    def dequantize(self) -> ModelT:
        """Make a model of float32 with the weights as they are now, rounded.

        With "float16" and "bfloat16" its results have the same bits as this layer's. With "int8" they are not
        the same, for this layer rounds x and h as well.

        Returns
        -------
        LSTM, GRU or RNN
            Of this layer's configuration and `isa`.
        """
        cls: Any = kinds.class_named(self._KIND.name)
        model = cls.__new__(cls)
        model._configure(self._config(), self.isa)
        model._install(_widened(self._parameters, self._weight_dtype))
        return model  # type: ignore[no-any-return] # the class of this name is ModelT

    def _numbers(self) -> dict[str, Numbers]:
        arrays, kind = self._parameters, self._weight_dtype
        input_range = arrays.get(rounding.INPUT_RANGE)
        numbers = {name: Numbers(array) for name, array in arrays.items() if rounding.is_vector(name)}
        for name in filter(rounding.is_weight, arrays):
            divisor = input_range if rounding.reads_input(name) else None
            numbers[name] = Numbers(arrays[name], kind, arrays.get(rounding.scale_name(name)), divisor)
            if numbers[name].overflows:  # who multiplies without looking would have infinities
                numbers[name] = Numbers(_widened(arrays, kind)[name])
        return numbers

    def _config(self) -> dict[str, Any]:
        return {**super()._config(), "saturated": dict(self._saturated)}

    def _configure(self, config: Mapping[str, Any], isa: object) -> None:
        super()._configure(config, isa)
        if self._dtype != checks.FLOAT32:
            raise ValueError(f"dtype: expected float32, in which quantized layers compute, got {self._dtype}")
        self._weight_dtype = checks.choice(config["weight_dtype"], "weight_dtype", self._KIND.smaller)
        self._calibrated = checks.flag(config["calibrated"], "calibrated")
        if self._calibrated and self._weight_dtype != "int8":
            raise ValueError(f"calibrated: expected False for {self._weight_dtype}, got True")
        self._saturated = _checked_counts(config["saturated"])

    def _install(self, parameters: Mapping[str, AnyArray]) -> None:
        """Pack `parameters`, checked and nobody else's, in the order in which they are stored."""
        layout = self._layout
        arrays = {name: read_only(array) for name, array in parameters.items()}
        given = [
            array.view(np.uint16) if array.dtype == np.float16 else array
            for name, array in arrays.items()
            if name != rounding.INPUT_RANGE
        ]
        self._network = _core.small_network(
            self._cell(),
            layout.input_size,
            layout.hidden_size,
            layout.num_layers,
            layout.bidirectional,
            layout.bias,
            self._weight_dtype,
            given,
            self._isa,
            layout.proj_size,
            arrays.get(rounding.INPUT_RANGE),
            variant=self._variant_for_core(),
            reverse=layout.reverse,
            zoneout=self._zoneout,
        )
        self._parameters = MappingProxyType(arrays)

    def _stored(
        self, names: Collection[Any], argument: str
    ) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        form = Form(self._layout, self._weight_dtype, self._calibrated)
        return by_name(names, argument, self._layout, form.count, form.arrays())

    def _restore(self, arrays: Mapping[str, Any], argument: str) -> None:
        copies = {}
        for name, (shape, dtype) in self._stored(arrays, argument).items():
            called = f"{argument}[{name!r}]"
            array = np.asarray(arrays[name])
            if array.shape != shape or array.dtype != dtype:
                raise ValueError(f"{called}: expected {dtype} {shape}, got {array.dtype} {array.shape}")
            _check_numbers(array, called, name, self._weight_dtype)
            copies[name] = np.array(array, order="C")
        if set(self._saturated) != {name for name in copies if rounding.is_weight(name)}:
            raise ValueError(f"saturated: expected a count for each weight, got {sorted(self._saturated)}")
        self._install(copies)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._arguments()}) of {self._weight_dtype}>"


def _widened(parameters: Mapping[str, AnyArray], kind: str) -> dict[str, Floats]:
    """Return a model's parameters of float32, as new arrays."""
    input_range = parameters.get(rounding.INPUT_RANGE)
    widened: dict[str, Floats] = {}
    for name, array in parameters.items():
        if not rounding.is_weight(name):
            if rounding.is_vector(name):
                widened[name] = array.copy()
        elif kind == "bfloat16":
            widened[name] = rounding.from_bfloat16(array)
        elif kind == "float16":
            widened[name] = array.astype(np.float32)
        else:
            with checks.quiet():  # the largest float of all is less than 127 of its own steps
                numbers = array * parameters[rounding.scale_name(name)][:, np.newaxis]
            widened[name] = np.clip(numbers, -_LARGEST, _LARGEST)
            if input_range is not None and rounding.reads_input(name):
                widened[name] /= input_range
    return widened


def _checked_counts(counts: object) -> Mapping[str, int]:
    """How many weights are saturated, by name, from a file or a pickle."""
    if not isinstance(counts, Mapping) or not all(
        isinstance(name, str) and type(count) is int and count >= 0 for name, count in counts.items()
    ):
        raise ValueError(f"saturated: expected counts by name, got {checks.shown(counts)}")
    return MappingProxyType(dict(counts))


def _check_numbers(array: AnyArray, argument: str, name: str, kind: str) -> None:
    """ValueError if numbers of a file or a pickle are none that quantizing makes."""
    if rounding.is_weight(name) and kind == "int8":
        if array.min() < -127:
            raise ValueError(f"{argument}: expected whole numbers from -127 to 127, got {array.min()}")
    elif rounding.is_weight(name) or rounding.is_vector(name):
        check_finite(rounding.from_bfloat16(array) if array.dtype == np.uint16 else array, argument)
    else:  # what is multiplied or divided by
        wrong = array[~((array >= rounding.LEAST_SCALE) & np.isfinite(array))]
        if wrong.size:
            raise ValueError(f"{argument}: expected finite numbers of at least 2**-126, got {wrong[0]}")
