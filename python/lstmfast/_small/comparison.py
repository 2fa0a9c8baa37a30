"""What a comparison of two layers says, as a report and as a picture; `compare` makes it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .._base import checks
from .._base.colours import BLUE, GREY, ORANGE
from .._files import writing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats: TypeAlias = NDArray[np.float64]

# Numbers beyond these are drawn there, or matplotlib's margins of an axis of so many powers would overflow.
DRAWN = (1e-100, 1e100)

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
        with checks.quiet():
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
        text = checks.path(path)
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
        writing.write(text, writing.picture(figure, kind))

    def _draw(self, figure: Figure) -> None:
        over_time, nbytes, seconds = figure.subplots(1, 3, width_ratios=[4, 1, 1])
        figure.suptitle(f"{self.kinds[1]} beside {self.kinds[0]}: {self._sizes()}")
        self._draw_errors(over_time)
        nbytes.set_title("bytes", loc="left")
        self._draw_bars(nbytes, self.nbytes, _bytes(self.nbytes))
        seconds.set_title("time", loc="left")
        self._draw_bars(seconds, self.seconds, _times(self.seconds))
        seconds.set_xlabel(self._machine())
        for axes in (over_time, nbytes, seconds):
            axes.spines[["top", "right"]].set_visible(False)

    def _draw_errors(self, axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        axes.set_title(f"error of y: max {self.max_error:.2e}, mean {self.mean_error:.2e}", loc="left")
        axes.set_xlabel("time step")
        axes.set_ylabel("|difference| of y")
        # A group of steps: the largest of its largest, the mean of its means.
        size = -(-len(self.y_max) // POINTS)
        begins = np.arange(0, len(self.y_max), size)
        rows = np.add.reduceat(self.rows, begins)
        with checks.quiet():
            largest = np.maximum.reduceat(self.y_max, begins)
            mean = np.add.reduceat(self.y_mean * self.rows, begins) / np.maximum(rows, 1)
        marker = "." if len(begins) <= 100 else ""  # a point alone is no line
        drawn = False
        for values, color, label in ((largest, ORANGE, "largest"), (mean, BLUE, "mean")):
            there = np.isfinite(values) & (values > 0)
            drawn |= bool(there.any())
            line = np.where(there, np.clip(values, *DRAWN), np.nan)
            axes.plot(begins, line, color=color, marker=marker, linewidth=1.4, label=label)
        axes.set_xlim(-0.5, len(self.y_max) - 0.5)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
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
