"""The picture: the end of the series and its forecast with both intervals, and the errors by steps ahead."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .._base.colours import BLUE, GREEN, GREY, ORANGE
from .._files import writing
from .baselines import LAST, LINEAR, SEASON
from .evaluation import Evaluation
from .forecaster import Prediction
from .series import Series

__all__ = ["draw"]

MOST_COLUMNS = 6
SEEN = 6  # horizons of the past that are shown, at the least
_BASELINES = {LAST: (GREY, ":"), SEASON: (GREEN, "--"), LINEAR: (ORANGE, "-.")}


def draw(series: Series, prediction: Prediction, evaluation: Evaluation | None) -> bytes:
    """Return the picture as a PNG. Drawn without pyplot: no display, no global state."""
    shown = min(len(series.names), MOST_COLUMNS)
    panels = shown + (evaluation is not None)
    figure = Figure(figsize=(10, 1 + 2.6 * panels), dpi=130, layout="constrained")
    axes = figure.subplots(panels, 1, squeeze=False)[:, 0]
    for c in range(shown):
        _forecast(axes[c], series, prediction, c)
    if evaluation is not None:
        _errors(axes[-1], evaluation)
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    return writing.picture(figure, "png")


def _forecast(axes: Axes, series: Series, prediction: Prediction, c: int) -> None:
    horizon = len(prediction.mean)
    seen = min(len(series.values), max(SEEN * horizon, 60))
    past, ahead = series.times[-seen:], series.ahead(horizon)
    axes.plot(past, series.values[-seen:, c], color="black", linewidth=0.9)
    # From the last value, where nothing is uncertain.
    times = np.concatenate([series.times[-1:], ahead])
    now = series.values[-1:, c]
    for k, level, alpha in ((1, prediction.levels[1], 0.18), (0, prediction.levels[0], 0.3)):
        lower, upper = (np.concatenate([now, ends[k, :, c]]) for ends in (prediction.lower, prediction.upper))
        axes.fill_between(
            times, lower, upper, color=BLUE, alpha=alpha, linewidth=0, label=f"{level:.0%} interval"
        )
    middle = np.concatenate([now, prediction.mean[:, c]])
    marker = "o" if horizon == 1 else None
    axes.plot(times, middle, color=BLUE, linewidth=1.6, marker=marker, markersize=3, label="forecast")
    axes.set_title(series.names[c], loc="left", parse_math=False)  # a $ is a dollar
    axes.margins(x=0.01)
    axes.legend(loc="upper left", frameon=False, ncols=3, fontsize="small")
    low, high = axes.get_ylim()
    axes.set_ylim(top=high + 0.2 * (high - low))  # room for the legend


def _errors(axes: Axes, evaluation: Evaluation) -> None:
    ahead = np.arange(1, len(evaluation.network.scaled) + 1)
    for scores in evaluation.baselines:
        color, style = _BASELINES[scores.name]
        axes.plot(ahead, scores.scaled, color=color, linestyle=style, linewidth=1.6, label=scores.name)
    network = evaluation.network
    axes.plot(ahead, network.scaled, color=BLUE, linewidth=1.6, marker=".", label=network.name)
    axes.set_title("Errors on the last rows, by rows ahead (mean absolute scaled error)", loc="left")
    axes.set_xlabel("rows ahead")
    axes.set_ylim(bottom=0)
    axes.legend(loc="best", frameon=False, fontsize="small")
