"""A NumPy model of quantised weights: how they are rounded, and what int8 computes, bit by bit.

Nothing here is the package's but sigmoid and tanh, which are the core's own: the rest of an int8 step is
whole numbers, and float32 operations that each round once. T, B, I, H, P, L and D are as in
`lstmfast.reference`; K is the width of whatever a matrix is multiplied with, G*H or P its rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast import _core

from ..helpers import CELLS, ISAS, Array, make, parts, random_state

WEIGHT_DTYPES = ("float16", "bfloat16", "int8")
HALVES = ("float16", "bfloat16")
LEAST = np.float32(2.0**-126)  # of a scale: the smallest normal float32
LARGEST = float(np.finfo("float32").max)
CHUNK = 32768  # terms that are summed as whole numbers before they are scaled

every_weight_dtype = pytest.mark.parametrize("weight_dtype", WEIGHT_DTYPES)
every_half = pytest.mark.parametrize("weight_dtype", HALVES)
every_cell = pytest.mark.parametrize(("kind", "proj_size"), CELLS)
# On a CPU without FMA `scalar` is alone, and rounds once more than the model.
needs_fma = pytest.mark.skipif(ISAS == ["scalar"], reason="multiply-adds may not be fused")


def f32(values: Any) -> Array:
    """An array of float32."""
    return np.array(values, np.float32)


def with_numbers(numbers: Any, dtype: str = "float32", name: str = "weight_ih_l0") -> lstmfast.LSTM:
    """A model in whose weights these numbers come first; all others are small."""
    model: lstmfast.LSTM = make("lstm", 4, 16, dtype=dtype)
    array = model.parameters[name].copy()
    array.ravel()[: len(numbers)] = numbers
    model.update({name: array})
    return model


# How weights are rounded.


def bfloat16_bits(w: Array) -> tuple[Array, int]:
    """The upper halves of float32, rounded to nearest even, [...] uint16; and how many would be infinite."""
    bits = w.astype(np.float32).view(np.uint32).astype(np.uint64)
    upper = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    infinite = (upper & 0x7FFF) == 0x7F80
    return np.where(infinite, upper - 1, upper).astype(np.uint16), int(infinite.sum())


def float16_of(w: Array) -> tuple[Array, int]:
    """Rounded to nearest even, [...] float16; and how many are larger than it can hold."""
    large = np.abs(w) > 65504
    return np.clip(w.astype(np.float32), -65504, 65504).astype(np.float16), int(large.sum())


def widened(array: Array) -> Array:
    """The very numbers as float32, of float16 or of the bits of bfloat16."""
    if array.dtype == np.uint16:
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32)


def int8_rows(w: Array) -> tuple[Array, Array]:
    """Whole numbers [rows, K] int8 from -127 to 127, and a scale for each row, [rows] float32."""
    w = w.astype(np.float32)
    scale = np.maximum(np.abs(w).max(axis=1) / np.float32(127), LEAST)
    whole = np.rint(w / scale[:, np.newaxis])
    assert np.abs(whole).max() <= 127
    return whole.astype(np.int8), scale


def input_range(calibration: Any) -> Array:
    """The largest magnitude of each feature, [I] float32; x is [..., I]."""
    x = np.asarray(calibration)
    largest = np.abs(x).reshape(-1, x.shape[-1]).max(axis=0).astype(np.float32)
    there = largest >= LEAST
    found: Array = np.where(there, largest, largest[there].min() if there.any() else 1).astype(np.float32)
    return found


def quantized_parameters(model: Any, weight_dtype: str, calibration: Any = None) -> dict[str, Array]:
    """What `model.quantize(weight_dtype, calibration).parameters` must hold."""
    made: dict[str, Array] = {}
    found = None if calibration is None else input_range(calibration)
    for name, w in model.parameters.items():
        if name.startswith("bias"):
            made[name] = w.astype(np.float32)
        elif weight_dtype == "int8":
            first = name in ("weight_ih_l0", "weight_ih_l0_reverse") and found is not None
            made[name], made[f"{name}_scale"] = int8_rows((w * found).astype(np.float32) if first else w)
        else:
            w = w.astype(np.float32)
            made[name] = (float16_of(w) if weight_dtype == "float16" else bfloat16_bits(w))[0]
    return made if found is None else made | {"input_range": found}


# What int8 computes.


def fma(a: Array, b: Array, c: Array) -> Array:
    """a * b + c of float32, rounded once.

    The product is exact in float64. Where the sum is not, its last bit is made odd, away from what was lost,
    so that rounding to float32 never meets a tie that is none. Source: S. Boldo, G. Melquiond, "Emulation of
    FMA and correctly rounded sums: proved algorithms using rounding to odd", IEEE Trans. Computers 57 (2008).
    """
    product, c64 = np.broadcast_arrays(a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64))
    total = product + c64
    part = total - product
    lost = (product - (total - part)) + (c64 - part)
    odd = total.view(np.int64) & 1 == 1
    nudge = np.isfinite(total) & (lost != 0) & ~odd
    rounded: Array = np.where(nudge, np.nextafter(total, np.copysign(np.inf, lost)), total).astype(np.float32)
    return rounded


def whole_rows(v: Array) -> tuple[Array, Array]:
    """Activations [..., K] as whole numbers from -127 to 127, in float64, and their scale [..., 1] float32.

    A row with NaN or an infinity is zeros, with a scale of NaN.
    """
    lost = ~np.isfinite(v).all(axis=-1, keepdims=True)
    largest = np.abs(np.where(lost, np.float32(0), v)).max(axis=-1, keepdims=True)
    scale = np.maximum(largest / np.float32(127), LEAST)
    inverse = np.float32(1) / scale
    whole = np.rint(np.where(lost, np.float32(0), v * inverse))
    assert np.abs(whole).max(initial=0) <= 127
    return whole.astype(np.float64), np.where(lost, np.float32(np.nan), scale)


def add_product(z: Array, v: Array, whole: Array, scale: Array) -> Array:
    """z [..., rows] + v [..., K] times whole * scale [rows, K], chunk by chunk.

    Sums of products of whole numbers are exact in float64, whatever the order; they must fit in an int32.
    """
    a, row_scale = whole_rows(v)
    for first in range(0, v.shape[-1], CHUNK):
        terms = slice(first, first + CHUNK)
        total = a[..., terms] @ whole[:, terms].astype(np.float64).T
        sums = total.astype(np.int64)
        assert (sums == total).all()
        assert (np.abs(sums) <= np.iinfo(np.int32).max).all()
        z = fma(sums.astype(np.float32) * row_scale, scale, z)
    return z


def _sigmoid(x: Array) -> Array:
    return _core.sigmoid(np.ascontiguousarray(x).ravel(), ISAS[0]).reshape(x.shape)


def _tanh(x: Array) -> Array:
    return _core.tanh(np.ascontiguousarray(x).ravel(), ISAS[0]).reshape(x.shape)


class Int8Model:
    """What the int8 form of `model` must compute, of `quantized_parameters`."""

    def __init__(self, model: Any, calibration: Any = None) -> None:
        self.model = model
        self.parameters = quantized_parameters(model, "int8", calibration)

    def __call__(self, x: Any, state: Any = None, *, lengths: Any = None, reset: Any = None) -> Any:
        """The results of a call, for the same arguments: in any layout, batched or not."""
        model = self.model
        x = np.asarray(x).astype(np.float32)
        batched = x.ndim == 3
        axis = 0 if model.batch_first else 1
        x = x if batched else np.expand_dims(x, axis)
        x = x.swapaxes(0, 1) if model.batch_first else x
        T, B = x.shape[:2]
        ends = np.full(B, T) if lengths is None else np.atleast_1d(np.asarray(lengths))
        marks = np.zeros((T, B), bool)
        if reset is not None:
            marks = np.asarray(reset).reshape(x.shape[1::-1] if model.batch_first else x.shape[:2])
            marks = marks.T if model.batch_first else marks
        depth = model.num_layers * (2 if model.bidirectional else 1)
        h, c = (
            np.zeros((depth, B, width), np.float32)
            for width in (model.proj_size or model.hidden_size, model.hidden_size)
        )
        if state is not None:
            for half, given in zip((h, c), parts(state), strict=False):
                half[...] = given if batched else given[:, np.newaxis]
        with np.errstate(all="ignore"):
            y, h, c = self._run(x, h, c, ends, marks)
        y = y.swapaxes(0, 1) if model.batch_first else y
        if not batched:
            y, h, c = y.squeeze(axis), h[:, 0], c[:, 0]
        return np.ascontiguousarray(y), (h, c) if model._KIND.has_memory else h

    def _run(self, x: Array, h: Array, c: Array, ends: Array, marks: Array) -> tuple[Array, Array, Array]:
        """All layers, time first; h and c are [L*D, B, ...]."""
        D = 2 if self.model.bidirectional else 1
        h_n, c_n = np.empty_like(h), np.empty_like(c)
        for layer in range(self.model.num_layers):
            outputs = []
            for direction in range(D):
                n = layer * D + direction
                y, h_n[n], c_n[n] = self._direction(x, h[n], c[n], layer, direction == 1, ends, marks)
                outputs.append(y)
            x = np.concatenate(outputs, axis=2)
        return x, h_n, c_n

    def _direction(
        self, x: Array, h: Array, c: Array, layer: int, reverse: bool, ends: Array, marks: Array
    ) -> tuple[Array, Array, Array]:
        """One layer and direction: y [T, B, P], and h and c after each row's last step."""
        suffix = f"_l{layer}{'_reverse' if reverse else ''}"
        weights = {
            name: (self.parameters[name + suffix], self.parameters[f"{name}{suffix}_scale"])
            for name in ("weight_ih", "weight_hh", "weight_hr")
            if name + suffix in self.parameters
        }
        z0 = np.zeros(len(weights["weight_ih"][0]), np.float32)
        of_h = z0
        if self.model.bias:
            of_h = self.parameters[f"bias_hh{suffix}"]
            z0 = self.parameters[f"bias_ih{suffix}"] + of_h
            if isinstance(self.model, lstmfast.GRU):  # what h makes of the candidate has a bias of its own
                own = slice(2 * self.model.hidden_size, None)
                z0[own] = self.parameters[f"bias_ih{suffix}"][own]
        if layer == 0 and "input_range" in self.parameters:
            x = x * (np.float32(1) / self.parameters["input_range"])
        of_x = add_product(z0, x, *weights["weight_ih"])  # of all steps at once: each is by itself
        T, B = x.shape[:2]
        begins = marks
        if reverse:  # a piece begins with its last step: where the next one has a mark
            begins = np.concatenate([marks[1:], np.zeros((1, B), bool)]) & (
                np.arange(1, T + 1)[:, np.newaxis] < ends
            )
        y = np.zeros((T, B, h.shape[1]), np.float32)
        for t in range(T - 1, -1, -1) if reverse else range(T):
            runs, fresh = (t < ends)[:, np.newaxis], begins[t][:, np.newaxis] & (t < ends)[:, np.newaxis]
            h, c = np.where(fresh, np.float32(0), h), np.where(fresh, np.float32(0), c)
            h_out, c_out = self._step(of_x[t], of_h, h, c, weights)
            y[t] = np.where(runs, h_out, np.float32(0))
            h, c = np.where(runs, h_out, h), np.where(runs, c_out, c)
        return y, h, c

    def _step(
        self, of_x: Array, bias_hh: Array, h: Array, c: Array, weights: dict[str, tuple[Array, Array]]
    ) -> tuple[Array, Array]:
        """From what x has made of the gates' sums, [B, G*H], to the new h and c."""
        if isinstance(self.model, lstmfast.GRU):
            H = self.model.hidden_size
            from_bias = np.broadcast_to(bias_hh[2 * H :], (len(h), H))
            z = add_product(np.concatenate([of_x[:, : 2 * H], from_bias], axis=1), h, *weights["weight_hh"])
            n = _tanh(fma(_sigmoid(z[:, :H]), z[:, 2 * H :], of_x[:, 2 * H :]))
            return fma(_sigmoid(z[:, H : 2 * H]), h - n, n), c
        z = add_product(of_x, h, *weights["weight_hh"])
        if isinstance(self.model, lstmfast.RNN):
            zero = np.float32(0)
            return (_tanh(z) if self.model.nonlinearity == "tanh" else np.where(zero > z, zero, z)), c
        assert isinstance(self.model, lstmfast.LSTM), "the step of another kind is to be written here"
        i, f, g, o = np.split(z, 4, axis=1)
        c = fma(_sigmoid(f), c, _sigmoid(i) * _tanh(g))
        h = _sigmoid(o) * _tanh(c)
        if "weight_hr" in weights:
            h = add_product(np.zeros(len(weights["weight_hr"][0]), np.float32), h, *weights["weight_hr"])
        return h, c


def plain_nan(value: Any) -> Any:
    """The same arrays, or tuples of them, with one and the same NaN for all kinds of it."""
    if isinstance(value, tuple):
        return tuple(map(plain_nan, value))
    return np.where(np.isnan(value), np.float32(np.nan), value)


# Models.


def trained(kind: str, input_size: int, hidden_size: int, **options: Any) -> Any:
    """A model with weights like those of a trained one, from a seed.

    Tails are long and rows differ in size: that is what 8 bits for a row have to live with. Forget gates are
    mostly open.
    """
    seed = options.setdefault("seed", 0)
    model = make(kind, input_size, hidden_size, **options)
    generator = np.random.default_rng([seed, 77])
    weights = {}
    for name, array in model.parameters.items():
        if array.ndim == 2:
            sizes = np.exp(0.5 * generator.standard_normal((len(array), 1)))
            weights[name] = sizes * generator.standard_t(5, array.shape) / np.sqrt(array.shape[1])
        else:
            weights[name] = 0.3 * generator.standard_normal(array.shape)
            if kind == "lstm" and name.startswith("bias_ih"):
                weights[name][hidden_size : 2 * hidden_size] += 1
    model.load_state_dict(weights)
    return model


def calls(model: Any, T: int, B: int) -> Iterator[dict[str, Any]]:
    """Arguments of calls of every kind: with and without a state, lengths and marks, and of a lone row."""
    generator = np.random.default_rng(3)
    axes = (B, T) if model.batch_first else (T, B)
    x = generator.standard_normal((*axes, model.input_size)).astype(np.float32)
    state = random_state(model, B)
    state = tuple(np.float32(half) for half in state) if isinstance(state, tuple) else np.float32(state)
    lengths = generator.integers(0, T + 1, B)
    reset = generator.random(axes) < 0.3
    yield {"x": x}
    yield {"x": x, "state": state}
    yield {"x": x, "state": state, "lengths": lengths}
    yield {"x": x, "state": state, "reset": reset}
    yield {"x": x, "state": state, "lengths": lengths, "reset": reset}
    alone = tuple(half[:, 0].copy() for half in parts(state))
    yield {
        "x": x[0] if model.batch_first else x[:, 0].copy(),
        "state": alone if len(alone) == 2 else alone[0],
    }


def in_both_orders(
    kind: str, proj_size: int, num_layers: int, bidirectional: bool, isa: str | None = None
) -> Iterator[Any]:
    """Models of one form, one with time first and biases, one with the batch first and none."""
    for batch_first in (False, True):
        yield trained(
            kind,
            5,
            19,
            num_layers=num_layers,
            bidirectional=bidirectional,
            batch_first=batch_first,
            bias=not batch_first,
            proj_size=proj_size,
            isa=isa,
        )
