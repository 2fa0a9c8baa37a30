"""Two layers on one input: how far their results are apart, and how long each takes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._base import checks, runtime
from .._base.checks import Array
from .._base.inference import Inference
from .comparison import Comparison, Error, Floats
from .quantized import Quantized

Layer: TypeAlias = Inference[Any, Any]

# Seconds for all timing, and for one layer's turn.
TIMING, TURN = 0.5, 0.02
BLOCK = 1 << 20  # numbers of y that are compared at once, so that float64 copies of all of it are not needed


def compare(
    model: Layer,
    quantized: Layer,
    x: ArrayLike,
    state: Any = None,  # noqa: ANN401 - a pair for an LSTM, an array for an RNN
    *,
    lengths: ArrayLike | None = None,
    reset: ArrayLike | None = None,
) -> Comparison:
    """Run two layers on the same input: how far their results are apart, their sizes and their speed.

    It is for a layer and its quantised form, on data of the kind that it will meet; any two layers of one
    form can be compared.

    Parameters
    ----------
    model : LSTM, RNN, QuantizedLSTM or QuantizedRNN
        The first layer, of float32 or float64.
    quantized : QuantizedLSTM, QuantizedGRU, QuantizedRNN, or a layer as `model` is
        The second, of the same cell, sizes, layers, directions and `batch_first`. Its dtype, biases, dropout
        (which plays no part here) and `isa` may be others.
    x : array [T, B, I], [B, T, I] with ``batch_first``, or [T, I]
        The input, with at least one time step and one row. Each layer is given it, and the state, in its own
        dtype, so that no conversion is timed.
    state, lengths, reset
        As for a call of `LSTM` or `RNN`. What is past a row's end does not count.

    Returns
    -------
    Comparison
        Errors, bytes and times. Its `seconds` are of single calls on this very x: both layers take turns of
        some 20 ms for half a second at most, and the least time of each is kept. Where a call of each
        together takes more than a quarter second, only the calls that gave the results are timed. Threads
        that share a CPU with another program's wait for each other and can make a call many times slower,
        of one layer and not of the other: see `set_num_threads`.

    Raises
    ------
    TypeError
        If `model` or `quantized` is no layer, or an array is not of real numbers.
    ValueError
        If `quantized` is a layer of another form, x has no time step or row, or a shape is not as above.

    Examples
    --------
    >>> import lstmfast
    >>> lstm = lstmfast.LSTM(3, 32, seed=0)
    >>> x = np.random.default_rng(0).standard_normal((100, 8, 3))
    >>> report = lstmfast.compare(lstm, lstm.quantize("float16"), x)
    >>> report.max_error < 1e-3, report.nbytes
    (True, (18944, 9984))
    """
    _check_layers(model, quantized)
    x_1, h, c, B, batched = model._take(x, state)
    if 0 in x_1.shape:
        raise ValueError(f"x: expected at least one time step and one row, got shape {np.shape(x)}")
    ends, starts, _ = model._cut(lengths, reset, None, x_1.shape, batched)
    # From here on with all three axes.
    cuts: dict[str, Any] = {}
    if ends is not None:
        cuts["lengths"] = ends
    if starts is not None:
        cuts["reset"] = starts.T if model.batch_first else starts
    state_1 = None if state is None else model._join(h, c, True)  # type: ignore[arg-type]
    x_2, h, c, _, _ = quantized._take(x, state)
    state_2 = None if state is None else quantized._join(h, c, True)  # type: ignore[arg-type]
    (y_1, end_1), (y_2, end_2), seconds = _measured(
        lambda: model(x_1, state_1, **cuts), lambda: quantized(x_2, state_2, **cuts)
    )

    if model.batch_first:
        y_1, y_2 = y_1.swapaxes(0, 1), y_2.swapaxes(0, 1)
    T, layout = len(y_1), model._layout
    rows = _rows_at_each_step(ends, T, B)
    y_max, y_mean = _over_time(y_1, y_2, rows)
    h_n, c_n = _of_states(end_1, end_2)
    saturated = quantized.saturated if isinstance(quantized, Quantized) else {}
    return Comparison(
        y_max=y_max,
        y_mean=y_mean,
        rows=rows,
        h_n=h_n,
        c_n=c_n,
        saturated={name: count for name, count in saturated.items() if count},
        nbytes=(_nbytes(model), _nbytes(quantized)),
        seconds=seconds,
        kinds=(_kind(model), _kind(quantized)),
        isa=(model.isa, quantized.isa),
        threads=runtime.get_num_threads(),
        sizes={
            "T": T,
            "B": B,
            "I": layout.input_size,
            "H": layout.hidden_size,
            "P": layout.proj_size,
            "L": layout.num_layers,
            "D": layout.directions,
        },
    )


def _check_layers(model: object, quantized: object) -> None:
    """Check that both are layers, and the second of the first one's form."""
    forms = []
    for name, layer in (("model", model), ("quantized", quantized)):
        if not isinstance(layer, Inference):
            raise TypeError(
                f"{name}: expected an LSTM, a GRU or an RNN, quantised or not, got {checks.shown(layer)}"
            )
        forms.append(_form(layer))
    names = [name for name in forms[0] if name in forms[1] and forms[0][name] != forms[1][name]]
    if names:
        expected, got = (", ".join(f"{name}={form[name]!r}" for name in names) for form in forms)
        raise ValueError(f"quantized: expected a layer of model's form, {expected}, got {got}")


def _form(layer: Layer) -> dict[str, object]:
    """Return what must be the same of two layers that are compared, by name."""
    form: dict[str, object] = {"cell": layer._KIND.name}
    names = ("input_size", "hidden_size", "num_layers", "bidirectional", "proj_size", "batch_first")
    return form | {name: getattr(layer, name) for name in (*layer._KIND.choices, *names)}


def _kind(layer: Layer) -> str:
    """Say what a layer is, without its sizes."""
    numbers = layer.weight_dtype if isinstance(layer, Quantized) else layer.dtype.name
    return f"{type(layer).__name__} of {numbers}"


def _nbytes(layer: Layer) -> int:
    return sum(array.nbytes for array in layer._parameters.values())


# Time.


def _measured(first: Callable[[], Any], second: Callable[[], Any]) -> tuple[Any, Any, tuple[float, float]]:
    """Return what both calls give, and the least seconds that each took."""
    results, least = [], []
    for call in (first, second):
        start = time.perf_counter()
        results.append(call())
        least.append(time.perf_counter() - start)
    # In turns, so that what else the machine does meets both; of more than one call, so that the other
    # one's weights are out of the caches.
    round_seconds = sum(least)
    began = time.perf_counter()
    while time.perf_counter() - began + round_seconds <= TIMING:
        start = time.perf_counter()
        for n, call in enumerate((first, second)):
            least[n] = min(least[n], _least_of_a_turn(call))
        round_seconds = time.perf_counter() - start
    return results[0], results[1], (least[0], least[1])


def _least_of_a_turn(call: Callable[[], Any]) -> float:
    least = math.inf
    end = time.perf_counter() + TURN
    while True:
        start = time.perf_counter()
        call()
        stop = time.perf_counter()
        least = min(least, stop - start)
        if stop >= end:
            return least


# Differences.


def _rows_at_each_step(ends: NDArray[np.int64] | None, T: int, B: int) -> NDArray[np.int64]:
    """How many rows there are, [T]. ends: of each row, [B]; None if all are T."""
    if ends is None:
        return np.full(T, B, np.int64)
    return B - np.searchsorted(np.sort(ends), np.arange(T), side="right").astype(np.int64)


def _over_time(first: Array, second: Array, rows: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Return the largest and the mean |difference| of two y, [T, B, D*H], at each step, [T].

    Past a row's end both are 0, which adds nothing to a sum over those that are there.
    """
    T, B, features = first.shape
    largest, mean = np.empty(T), np.empty(T)
    size = max(BLOCK // (B * features), 1)
    for begin in range(0, T, size):
        steps = slice(begin, begin + size)
        difference = _difference(first[steps], second[steps])
        with checks.quiet():
            largest[steps] = difference.max(axis=(1, 2))
            mean[steps] = difference.sum(axis=(1, 2)) / (features * np.maximum(rows[steps], 1))
    return largest, mean


def _of_states(first: object, second: object) -> tuple[Error, Error | None]:
    """Compare two last states; the second result is None without c."""
    if isinstance(first, tuple) and isinstance(second, tuple):
        return _overall(first[0], second[0]), _overall(first[1], second[1])
    return _overall(first, second), None


def _overall(first: Any, second: Any) -> Error:  # noqa: ANN401 - arrays of a state
    difference = _difference(first, second)
    with checks.quiet():
        return Error(float(difference.max()), float(difference.mean()))


def _difference(first: Array, second: Array) -> Floats:
    """|first - second| in float64. What is alike differs by 0, NaN and infinities too."""
    with checks.quiet():
        difference = np.abs(np.subtract(first, second, dtype=np.float64))
        difference[(first == second) | (np.isnan(first) & np.isnan(second))] = 0.0
    return difference
