"""What smaller weights cost and what they save: two layers on one input, compared."""

from __future__ import annotations

import io
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _checks, _runtime
from ._cells import RnnCell
from ._checks import Array
from ._inference import Inference
from ._quantized import Quantized

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Comparison", "Error", "compare"]

Floats: TypeAlias = NDArray[np.float64]
Layer: TypeAlias = Inference[Any, Any]

# Seconds for all timing, and for one layer's turn.
TIMING, TURN = 0.5, 0.02
BLOCK = 1 << 20  # numbers of y that are compared at once, so that float64 copies of all of it are not needed

# Okabe and Ito's colours, which people who are colour-blind can tell apart.
BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#8c8c8c"
POINTS = 2000  # of a line in a picture; more steps than these are drawn in groups


@dataclass(frozen=True)
class Error:
    """How far two arrays are apart.

    Attributes
    ----------
    max, mean : float
        The largest and the mean ``|difference|``; NaN where one array has NaN and the other has not.
    """

    max: float
    mean: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two layers on one input; made by `lstmfast.compare`. `print` gives a report of some lines.

    Differences are taken in float64 and have the unit of what they are of: y and h of an LSTM without
    projection, and of a tanh RNN, lie between -1 and 1. Pairs have the first layer's number first.

    Attributes
    ----------
    y_max, y_mean : float64 arrays [T]
        The largest and the mean ``|difference|`` of y at each step, over all rows that are there and all
        units; 0 at a step that no row has. NaN where one y is NaN and the other is not. Where both are, or
        are the same infinity, there is no difference.
    rows : int64 array [T]
        How many rows are there at each step: B, or fewer with `lengths`.
    h_n : Error
        Of the last states' h, over all layers, directions, rows and units.
    c_n : Error or None
        Of their c; None for an RNN, which has no c.
    saturated : dict of str to int
        How many numbers of a weight its kind cannot hold, of those weights of the second layer that have
        some; empty if none has, as in any layer that is not quantised.
    nbytes : pair of int
        Bytes of all parameters.
    seconds : pair of float
        Time of one call, the least of all that were measured; see `compare`.
    kinds : pair of str
        What the layers are, such as "LSTM of float32" and "QuantizedLSTM of int8".
    isa : pair of str
        The instruction sets that they ran on.
    threads : int
        How many threads they could use.
    sizes : dict of str to int
        T, B, I, H, P (0 without a projection), L and D.
    """

    y_max: Floats
    y_mean: Floats
    rows: NDArray[np.int64]
    h_n: Error
    c_n: Error | None
    saturated: Mapping[str, int]
    nbytes: tuple[int, int]
    seconds: tuple[float, float]
    kinds: tuple[str, str]
    isa: tuple[str, str]
    threads: int
    sizes: Mapping[str, int]

    @property
    def max_error(self) -> float:
        """The largest ``|difference|`` of y; NaN if there is one anywhere."""
        return float(self.y_max.max())

    @property
    def worst_step(self) -> int:
        """The step, from 0, with the largest difference of y (or the first NaN); the first of equals."""
        return int(self.y_max.argmax())

    @property
    def mean_error(self) -> float:
        """The mean ``|difference|`` of y, over all steps that are there, their rows and units."""
        count = int(self.rows.sum())
        with _checks.quiet():
            return float((self.y_mean * self.rows).sum() / count) if count else 0.0

    @property
    def speedup(self) -> float:
        """How many times faster the second layer is."""
        return self.seconds[0] / self.seconds[1]

    @property
    def ratio(self) -> float:
        """How many times fewer bytes the second layer's parameters are."""
        return self.nbytes[0] / self.nbytes[1]

    def __str__(self) -> str:
        y = Error(self.max_error, self.mean_error)
        where = f", largest at step {self.worst_step}" if y.max != 0 else ""
        lines = [
            ("first", self.kinds[0]),
            ("second", self.kinds[1]),
            ("sizes", self._sizes()),
            ("error of y", f"{_error(y)}{where}"),
            ("error of h_n", _error(self.h_n)),
            *([] if self.c_n is None else [("error of c_n", _error(self.c_n))]),
            ("bytes", f"{self.nbytes[0]:,} and {self.nbytes[1]:,}: ratio {self.ratio:.2f}"),
            ("time of a call", f"{' and '.join(_times(self.seconds))}: ratio {self.speedup:.2f}"),
            ("measured on", self._machine()),
            ("saturated", ", ".join(f"{name} {n:,}" for name, n in self.saturated.items()) or "none"),
        ]
        return "\n".join(f"{name:<16}{text}" for name, text in lines)

    def _sizes(self) -> str:
        return ", ".join(f"{name}={size}" for name, size in self.sizes.items() if name != "P" or size)

    def _machine(self) -> str:
        isas = " and ".join(dict.fromkeys(self.isa))
        return f"{isas}, {self.threads} thread{'' if self.threads == 1 else 's'}"

    def save_picture(self, path: str | os.PathLike[str]) -> None:
        """Draw the error of y over time, and beside it bytes and time of both layers.

        Parameters
        ----------
        path
            The file to write, png, svg, pdf or whatever else matplotlib knows by its suffix.

        Raises
        ------
        ImportError
            If matplotlib is not installed: `pip install 'lstmfast[demo]'`.
        TypeError
            If path is no string or path.
        ValueError
            If path has no suffix that matplotlib knows.
        OSError
            If the file cannot be written.

        Notes
        -----
        Drawn without pyplot: no display, and nothing global changes. Steps without any difference have no
        place on a logarithmic axis and are left out; those whose difference is NaN or infinite are marked
        at the lower edge. Of more than 2000 steps, each point stands for a group of them.
        """
        text = _path(path)
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise ImportError("save_picture needs matplotlib: pip install 'lstmfast[demo]'") from error

        figure = Figure(figsize=(11, 4.8), dpi=130, layout="constrained")
        known = figure.canvas.get_supported_filetypes()
        kind = os.path.splitext(text)[1].lower().removeprefix(".")
        if kind not in known:
            expected = ", ".join(sorted(known))
            raise ValueError(f"path: expected a suffix that matplotlib knows ({expected}), got {text!r}")
        self._draw(figure)
        picture = io.BytesIO()  # first: a picture that cannot be drawn leaves no file
        figure.savefig(picture, format=kind)
        with open(text, "wb") as file:
            file.write(picture.getbuffer())

    def _draw(self, figure: Figure) -> None:
        over_time, nbytes, seconds = figure.subplots(1, 3, width_ratios=[4, 1, 1])
        figure.suptitle(f"{self.kinds[1]} beside {self.kinds[0]}: {self._sizes()}")
        self._draw_errors(over_time)
        nbytes.set_title("bytes of parameters", loc="left")
        self._draw_bars(nbytes, self.nbytes, _bytes(self.nbytes))
        seconds.set_title("time of a call", loc="left")
        self._draw_bars(seconds, self.seconds, _times(self.seconds))
        seconds.set_xlabel(self._machine())
        for axes in (over_time, nbytes, seconds):
            axes.spines[["top", "right"]].set_visible(False)

    def _draw_errors(self, axes: Axes) -> None:
        axes.set_title(f"error of y: max {self.max_error:.2e}, mean {self.mean_error:.2e}", loc="left")
        axes.set_xlabel("time step")
        axes.set_ylabel("|difference| of y")
        # A group of steps: the largest of its largest, the mean of its means.
        size = -(-len(self.y_max) // POINTS)
        begins = np.arange(0, len(self.y_max), size)
        rows = np.add.reduceat(self.rows, begins)
        with _checks.quiet():
            largest = np.maximum.reduceat(self.y_max, begins)
            mean = np.add.reduceat(self.y_mean * self.rows, begins) / np.maximum(rows, 1)
        marker = "." if len(begins) <= 100 else ""  # a point alone is no line
        drawn = False
        for values, color, label in ((largest, ORANGE, "largest"), (mean, BLUE, "mean")):
            there = np.isfinite(values) & (values > 0)
            drawn |= bool(there.any())
            line = np.where(there, values, np.nan)
            axes.plot(begins, line, color=color, marker=marker, linewidth=1.4, label=label)
        axes.set_xlim(-0.5, len(self.y_max) - 0.5)
        if drawn:
            axes.set_yscale("log")
            axes.grid(axis="y", linewidth=0.4, alpha=0.6)
        else:  # a logarithmic axis has no place for these numbers
            axes.set_yticks([])
        lost = ~np.isfinite(largest)
        if lost.any():
            axes.plot(
                begins[lost],
                np.zeros(np.count_nonzero(lost)),
                transform=axes.get_xaxis_transform(),
                color="black",
                linestyle="",
                marker="x",
                clip_on=False,
                label="NaN or infinite",
            )
        elif not drawn:
            axes.text(0.5, 0.5, "no difference", transform=axes.transAxes, ha="center", va="center")
        if drawn or lost.any():
            axes.legend(loc="best", frameon=False)

    def _draw_bars(self, axes: Axes, values: tuple[float, float], labels: tuple[str, str]) -> None:
        bars = axes.bar([0, 1], values, color=[GREY, BLUE], width=0.6)
        axes.bar_label(bars, labels, padding=2)
        axes.set_xticks([0, 1], [kind.rpartition(" ")[2] for kind in self.kinds])
        axes.set_yticks([])
        axes.set_ylim(top=1.1 * max(values))  # room for the numbers


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
    quantized : QuantizedLSTM, QuantizedRNN, LSTM or RNN
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
        together takes more than a quarter second, only the calls that gave the results are timed.

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
    ends, starts = model._cut(lengths, reset, x_1.shape, batched)
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
        threads=_runtime.get_num_threads(),
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
                f"{name}: expected an LSTM or an RNN, quantised or not, got {_checks.shown(layer)}"
            )
        forms.append(_form(layer))
    names = [name for name in forms[0] if name in forms[1] and forms[0][name] != forms[1][name]]
    if names:
        expected, got = (", ".join(f"{name}={form[name]!r}" for name in names) for form in forms)
        raise ValueError(f"quantized: expected a layer of model's form, {expected}, got {got}")


def _form(layer: Layer) -> dict[str, object]:
    """Return what must be the same of two layers that are compared, by name."""
    form: dict[str, object] = {"cell": "LSTM" if layer._HAS_MEMORY else "RNN"}
    if isinstance(layer, RnnCell):
        form["nonlinearity"] = layer.nonlinearity
    names = ("input_size", "hidden_size", "num_layers", "bidirectional", "proj_size", "batch_first")
    return form | {name: getattr(layer, name) for name in names}


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
        with _checks.quiet():
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
    with _checks.quiet():
        return Error(float(difference.max()), float(difference.mean()))


def _difference(first: Array, second: Array) -> Floats:
    """|first - second| in float64. What is alike differs by 0, NaN and infinities too."""
    with _checks.quiet():
        difference = np.abs(np.subtract(first, second, dtype=np.float64))
        difference[(first == second) | (np.isnan(first) & np.isnan(second))] = 0.0
    return difference


# Words.


def _error(error: Error) -> str:
    return f"max {error.max:.2e}, mean {error.mean:.2e}"


def _times(seconds: tuple[float, float]) -> tuple[str, str]:
    return _in_one_unit(seconds, ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")))


def _bytes(counts: tuple[int, int]) -> tuple[str, str]:
    return _in_one_unit(counts, ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")))


def _in_one_unit(values: tuple[float, float], units: tuple[tuple[float, str], ...]) -> tuple[str, str]:
    """Write both in the largest unit of which the larger has one, or in the last."""
    unit, name = next((unit for unit in units if max(values) >= unit[0]), units[-1])
    return f"{_digits(values[0] / unit)} {name}", f"{_digits(values[1] / unit)} {name}"


def _digits(value: float) -> str:
    return f"{value:.3g}" if value < 99.95 else f"{value:.0f}"  # not 1e+03


def _path(path: object) -> str:
    try:
        return os.fsdecode(path)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"path: expected a string or a path, got {_checks.shown(path)}") from None
