"""The two pictures. Drawn without pyplot: no display, no global state."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator
from numpy.typing import NDArray

from .._base.colours import BLUE, GREEN, GREY, ORANGE
from .._files import writing
from .gradients import STEPS, Curve
from .series import root_mean_squared_error


@dataclass(frozen=True)
class Forecasts:
    """What the forecast picture shows."""

    years: NDArray[np.int64]  # [Y], the whole series
    numbers: NDArray[np.float64]  # [Y]
    held_out: int  # the last so many of them
    lstm: NDArray[np.float64]  # [held_out], one year ahead
    naive: NDArray[np.float64]  # [held_out]
    free: NDArray[np.float64]  # [F], onward from the last training year alone


def draw_forecast(forecasts: Forecasts, path: Path) -> None:
    """Draw the whole series above, the held-out years with their forecasts below."""
    figure = Figure(figsize=(10, 7), dpi=130, layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=[1, 2])
    years, numbers, first = forecasts.years, forecasts.numbers, len(forecasts.years) - forecasts.held_out
    truth = numbers[first:]

    above.plot(years, numbers, color="black", linewidth=0.9)
    above.axvspan(years[first] - 0.5, years[-1] + 0.5, color=BLUE, alpha=0.12, linewidth=0)
    _write(above, years[first] + 1, "held out", color=BLUE)
    _write(above, years[0], f"training years {years[0]}-{years[first - 1]}")
    above.set_title("Yearly sunspot numbers", loc="left")
    above.set_xlim(years[0] - 2, years[-1] + 2)
    above.set_ylim(top=1.25 * numbers.max())  # room for the two lines of text

    ahead = years[first:]
    below.plot(ahead, truth, color="black", linewidth=1.4, marker="o", markersize=3, label="truth")
    for values, color, style, name in [
        (forecasts.lstm, BLUE, "-", "LSTM, one year ahead"),
        (forecasts.naive, GREY, ":", "naive: same as last year"),
    ]:
        error = root_mean_squared_error(values, truth)
        below.plot(
            ahead, values, color=color, linestyle=style, linewidth=1.6, label=f"{name} (RMSE {error:.1f})"
        )
    free = forecasts.free
    below.plot(
        ahead[: len(free)],
        free,
        color=ORANGE,
        linestyle="--",
        linewidth=1.6,
        label=f"LSTM, told nothing after {years[first - 1]}",
    )
    below.set_title("Held-out years", loc="left")
    below.set_xlim(ahead[0] - 1, ahead[-1] + 1)
    below.set_xlabel("year")
    below.legend(loc="upper center", ncols=2, frameon=False)
    below.set_ylim(top=1.35 * truth.max())  # room for the legend
    for axes in (above, below):
        axes.set_ylabel("sunspot number")
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    writing.write(path, writing.picture(figure, "png"))


def _write(axes: Axes, x: float, text: str, color: str = "black") -> None:
    axes.text(x, 0.97, text, color=color, transform=axes.get_xaxis_transform(), va="top")


def draw_gradients(curves: list[Curve], path: Path) -> None:
    """Draw the RNN and the LSTM beside each other, on one logarithmic scale."""
    figure = Figure(figsize=(10, 4.8), dpi=130, layout="constrained")
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, cell in zip(panels, ("RNN", "LSTM"), strict=True):
        axes.axhline(1.0, color=GREY, linewidth=0.8)
        for curve in curves:
            if curve.cell == cell:
                color = ORANGE if curve.larger else GREEN if curve.open_gates else BLUE
                axes.plot(np.arange(STEPS + 1), curve.norm, color=color, linewidth=1.8, label=curve.weights)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=12))
        axes.set_title(cell, loc="left")
        axes.set_xlabel(f"time step (the loss is at step {STEPS})")
        axes.grid(axis="y", linewidth=0.4, alpha=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(loc="best", frameon=False)
    panels[0].set_ylabel("norm of the gradient\n(1 = at the last step)")
    figure.suptitle("What is left of a loss's gradient at each earlier time step")
    writing.write(path, writing.picture(figure, "png"))
