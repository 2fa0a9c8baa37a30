"""Curves over time: gradients on their way back, and errors of smaller weights."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numbers_drawn import STEPS, Numbers, sigmoid
from svg import figure

from lstmfast._base.colours import BLUE, GREEN, GREY, ORANGE


def vanishing(numbers: Numbers) -> Figure:
    """Draw what is left of one loss's gradient at each earlier step."""
    picture, axes = _plot(3.0)
    names = {
        "RNN, ordinary weights": ("RNN", ORANGE, (44, 1e-22)),
        "LSTM, ordinary weights": ("LSTM", BLUE, (22, 1e-12)),
        "LSTM, forget bias + 3": ("LSTM, forget gates\nopen at first", GREEN, (4, 1e-5)),
    }
    for name, (label, colour, place) in names.items():
        axes.plot(range(STEPS + 1), numbers[name], color=colour, linewidth=1.8)
        axes.text(*place, label, fontsize=9, va="center")
    axes.set_yscale("log")
    _finish(axes, f"time step (the loss is at step {STEPS})", "norm of the gradient")
    return picture


def forgetting(numbers: Numbers) -> Figure:
    """Draw the gradient at c for several biases, and what the forget gate alone would leave of it."""
    picture, axes = _plot(3.0)
    back = np.arange(STEPS)
    for (bias, norms), colour in zip(numbers.items(), (ORANGE, GREY, BLUE, GREEN), strict=True):
        axes.plot(back, norms[::-1], color=colour, linewidth=1.8, label=f"bias {bias}")
        axes.plot(back, sigmoid(float(bias)) ** back, color=colour, linewidth=1.0, linestyle=":")
    axes.set_yscale("log")
    axes.set_ylim(1e-12, 10)
    axes.legend(loc="lower left", fontsize=8.5, handlelength=0.9, handletextpad=0.4, borderaxespad=0.1)
    _finish(axes, "steps back from the end", "gradient at c")
    return picture


def rounding(numbers: Numbers) -> Figure:
    """Draw the largest error of y at each step."""
    picture, axes = _plot(2.6)
    for (kind, errors), colour in zip(numbers.items(), (GREEN, BLUE, ORANGE), strict=True):
        axes.plot(errors, color=colour, linewidth=1.0)
        above = kind == "int8"
        place = 1.25 * max(errors) if above else 0.85 * min(errors)
        axes.text(len(errors) - 1, place, kind, fontsize=9, ha="right", va="bottom" if above else "top")
    axes.set_yscale("log")
    axes.set_ylim(1e-5, 4e-3)
    _finish(axes, "time step", "largest error of y")
    return picture


def _plot(height: float) -> tuple[Figure, Axes]:
    picture = figure(height)
    bottom = 0.45 / height
    return picture, picture.add_axes((0.165, bottom, 0.815, 0.97 - bottom))


def _finish(axes: Axes, x: str, y: str) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.yaxis.set_major_locator(LogLocator(numticks=7))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    axes.grid(axis="y", linewidth=0.4, alpha=0.5, color=GREY)
