"""LSTM and RNN with smaller weights, for inference."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from . import _checks, _core, _parameters, _quantize
from ._cells import LstmCell, Pair, PairLike, RnnCell
from ._checks import AnyArray, Array
from ._inference import Inference, StateLikeT
from ._lstm import LSTM
from ._quantize import Floats, Form
from ._rnn import RNN
from ._tape import StateT

if TYPE_CHECKING:
    from ._recurrent import Recurrent


class Quantized(Inference[StateT, StateLikeT]):
    """Base of `QuantizedLSTM` and `QuantizedRNN`. See `LSTM.quantize` and `RNN.quantize`."""

    _MODEL: ClassVar[Any]  # whose weights were made smaller
    _MORE = ("weight_dtype", "calibrated", "saturated")

    _weight_dtype: str
    _calibrated: bool
    _saturated: Mapping[str, int]

    def __init__(self, *_args: object, **_options: object) -> None:
        raise TypeError(f"{type(self).__name__}: made by {self._MODEL.__name__}.quantize, not by hand")

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

    def dequantize(self) -> Recurrent[StateT, StateLikeT]:
        """Make a model of float32 with the weights as they are now, rounded.

        With "float16" and "bfloat16" its results have the same bits as this layer's. With "int8" they are not
        the same, for this layer rounds x and h as well.

        Returns
        -------
        LSTM or RNN
            Of this layer's configuration and `isa`.
        """
        model: Recurrent[StateT, StateLikeT] = self._MODEL.__new__(self._MODEL)
        model._configure(self._config(), self.isa)
        model._install(_widened(self._parameters, self._weight_dtype))
        return model

    def _config(self) -> dict[str, Any]:
        return {**super()._config(), "saturated": dict(self._saturated)}

    def _configure(self, config: Mapping[str, Any], isa: object) -> None:
        super()._configure(config, isa)
        if self._dtype != _checks.FLOAT32:
            raise ValueError(f"dtype: expected float32, in which quantized layers compute, got {self._dtype}")
        self._weight_dtype = _checks.choice(config["weight_dtype"], "weight_dtype", _quantize.KINDS)
        self._calibrated = _checks.flag(config["calibrated"], "calibrated")
        if self._calibrated and self._weight_dtype != "int8":
            raise ValueError(f"calibrated: expected False for {self._weight_dtype}, got True")
        self._saturated = _checked_counts(config["saturated"])

    def _install(self, parameters: Mapping[str, AnyArray]) -> None:
        """Pack `parameters`, checked and nobody else's, in the order in which they are stored."""
        layout = self._layout
        arrays = {name: _parameters.read_only(array) for name, array in parameters.items()}
        given = [
            array.view(np.uint16) if array.dtype == np.float16 else array
            for name, array in arrays.items()
            if name != _quantize.INPUT_RANGE
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
            arrays.get(_quantize.INPUT_RANGE),
        )
        self._parameters = MappingProxyType(arrays)

    def _stored(
        self, names: Collection[Any], argument: str
    ) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        form = Form(self._layout, self._weight_dtype, self._calibrated)
        return _parameters.by_name(names, argument, self._layout, form.count, form.arrays())

    def _restore(self, arrays: Mapping[str, Any], argument: str) -> None:
        copies = {}
        for name, (shape, dtype) in self._stored(arrays, argument).items():
            called = f"{argument}[{name!r}]"
            array = np.asarray(arrays[name])
            if array.shape != shape or array.dtype != dtype:
                raise ValueError(f"{called}: expected {dtype} {shape}, got {array.dtype} {array.shape}")
            _check_numbers(array, called, name, self._weight_dtype)
            copies[name] = np.array(array, order="C")
        if set(self._saturated) != {name for name in copies if _quantize.is_weight(name)}:
            raise ValueError(f"saturated: expected a count for each weight, got {sorted(self._saturated)}")
        self._install(copies)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._arguments()}) of {self._weight_dtype}>"


class QuantizedLSTM(LstmCell, Quantized[Pair, PairLike]):
    """An `LSTM` with smaller weights, for inference; made by `LSTM.quantize`.

    Calls, `stream`, `stream_pool`, `save`, pickles and copies are those of `LSTM`, in float32. Results do not
    depend on batch, threads, steps or chunks, or ISA, as those of `LSTM` do not.

    Notes
    -----
    "float16" and "bfloat16" are widened as they are read, and everything else is the arithmetic of float32
    weights: the results have the bits of `dequantize()`'s.

    "int8": each row of a weight is whole numbers q from -127 to 127 times a scale. At each step, and for each
    row of the batch by itself, x and h (and with a projection o * tanh(c')) become whole numbers a times a
    scale: s = max|v| / 127, a = round(v / s). The sums of products a q are exact, and multiplied by both
    scales; biases, gates, c and h are float32. Where x (over its range, with a calibration) or h is not
    finite, the row's results are NaN. docs/numerics.md has the errors. A call needs 96 KiB of its thread's
    stack.

    Examples
    --------
    >>> import lstmfast
    >>> small = lstmfast.LSTM(3, 32, seed=0).quantize("int8")
    >>> y, (h_n, c_n) = small(np.zeros((7, 2, 3), np.float32))
    >>> y.shape, small.weight_dtype, small.nbytes
    ((7, 2, 32), 'int8', 6528)
    """

    _KIND = "QuantizedLSTM"
    _MODEL = LSTM


class QuantizedRNN(RnnCell, Quantized[Array, ArrayLike]):
    """An `RNN` with smaller weights, for inference; made by `RNN.quantize`. All is as for `QuantizedLSTM`."""

    _KIND = "QuantizedRNN"
    _MODEL = RNN


_LARGEST = np.finfo(np.float32).max
_CLASSES: Mapping[str, type[Quantized[Any, Any]]] = {"LSTM": QuantizedLSTM, "RNN": QuantizedRNN}


def quantized(
    model: Recurrent[StateT, StateLikeT], kind: object, calibration: ArrayLike | None
) -> Quantized[StateT, StateLikeT]:
    """Make the layer; see `Recurrent.quantize`."""
    kind = _checks.choice(kind, "kind", _quantize.KINDS)
    input_range = None if calibration is None else _checked_ranges(calibration, kind, model)
    arrays: dict[str, AnyArray] = {}
    saturated = {}
    for name, array in model.parameters.items():
        arrays[name] = numbers = _in_float32(array, name)
        if not _quantize.is_weight(name):
            continue
        if input_range is not None and _quantize.reads_input(name):
            with _checks.quiet():
                numbers = (array * input_range).astype(np.float32)
            _check_finite(numbers, f"{name}, times the calibration's ranges")
        saturated[name] = 0
        if kind == "float16":
            arrays[name], saturated[name] = _quantize.to_float16(numbers)
        elif kind == "bfloat16":
            arrays[name], saturated[name] = _quantize.to_bfloat16(numbers)
        else:
            arrays[name], arrays[_quantize.scale_name(name)] = _quantize.to_int8(numbers)
    if input_range is not None:
        arrays[_quantize.INPUT_RANGE] = input_range

    cls = _CLASSES[model._KIND]
    layer = cls.__new__(cls)
    more = {"dtype": "float32", "weight_dtype": kind, "calibrated": input_range is not None}
    layer._configure({**model._config(), **more, "saturated": saturated}, model.isa)
    layer._install(arrays)
    return layer


def _in_float32(array: Array, name: str) -> Floats:
    """Copy numbers; ValueError that names them if one is not finite."""
    with _checks.quiet():
        numbers = np.array(array, np.float32)
    _check_finite(numbers, name, array)
    return numbers


def _check_finite(numbers: Floats, name: str, shown: Array | None = None) -> None:
    """ValueError that says where the first number is that is not finite. shown: as it came."""
    wrong = np.argwhere(~np.isfinite(numbers))
    if wrong.size:
        place = tuple(map(int, wrong[0]))
        found = (numbers if shown is None else shown)[place]
        raise ValueError(f"{name}: expected finite numbers, got {found} at {place}")


def _checked_ranges(calibration: ArrayLike, kind: str, model: Recurrent[Any, Any]) -> Floats:
    """Find what x is divided by, [I], from data like x."""
    if kind != "int8":
        raise ValueError(
            f"calibration: expected None for {kind}, which does not round x, got {_checks.shown(calibration)}"
        )
    data = _checks.real_array(calibration, "calibration")
    size = model.input_size
    if data.ndim not in (2, 3) or data.shape[-1] != size:
        axes = "[B, T, I]" if model.batch_first else "[T, B, I]"
        raise ValueError(f"calibration: expected {axes} or [T, I] with I = {size}, got shape {data.shape}")
    if data.size == 0:
        raise ValueError(f"calibration: expected at least one row of one step, got shape {data.shape}")
    return _quantize.ranges(_in_float32(data, "calibration"))


def _widened(parameters: Mapping[str, AnyArray], kind: str) -> dict[str, Floats]:
    """Return a model's parameters of float32, as new arrays."""
    input_range = parameters.get(_quantize.INPUT_RANGE)
    widened: dict[str, Floats] = {}
    for name, array in parameters.items():
        if not _quantize.is_weight(name):
            if name.startswith("bias_"):
                widened[name] = array.copy()
        elif kind == "bfloat16":
            widened[name] = _quantize.from_bfloat16(array)
        elif kind == "float16":
            widened[name] = array.astype(np.float32)
        else:
            with _checks.quiet():  # the largest float of all is less than 127 of its own steps
                numbers = array * parameters[_quantize.scale_name(name)][:, np.newaxis]
            widened[name] = np.clip(numbers, -_LARGEST, _LARGEST)
            if input_range is not None and _quantize.reads_input(name):
                widened[name] /= input_range
    return widened


def _checked_counts(counts: object) -> Mapping[str, int]:
    """How many weights are saturated, by name, from a file or a pickle."""
    if not isinstance(counts, Mapping) or not all(
        isinstance(name, str) and type(count) is int and count >= 0 for name, count in counts.items()
    ):
        raise ValueError(f"saturated: expected counts by name, got {_checks.shown(counts)}")
    return MappingProxyType(dict(counts))


def _check_numbers(array: AnyArray, argument: str, name: str, kind: str) -> None:
    """ValueError if numbers of a file or a pickle are none that quantizing makes."""
    if _quantize.is_weight(name) and kind == "int8":
        if array.min() < -127:
            raise ValueError(f"{argument}: expected whole numbers from -127 to 127, got {array.min()}")
    elif _quantize.is_weight(name) or name.startswith("bias_"):
        _check_finite(_quantize.from_bfloat16(array) if array.dtype == np.uint16 else array, argument)
    else:  # what is multiplied or divided by
        wrong = array[~((array >= _quantize.LEAST_SCALE) & np.isfinite(array))]
        if wrong.size:
            raise ValueError(f"{argument}: expected finite numbers of at least 2**-126, got {wrong[0]}")
