"""What a run says on stdout: plain text, the same in a terminal and in a file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .baselines import SEASON
from .evaluation import Comparison, Evaluation, Scores
from .forecaster import Forecaster, Prediction
from .intervals import LEVELS
from .series import Series

__all__ = ["evaluation", "forecast", "heading", "table", "verdict"]

MOST_STEPS = 6  # columns of the table of errors
MOST_ROWS = 12  # of the table of the forecast


def heading(series: Series) -> list[str]:
    """Say what was read, and what was made of it."""
    first, last = series.shown(series.times[[0, -1]])
    names = ", ".join(map(repr, series.names))
    return [
        f"{series.source}: {names}, {len(series.values):,} rows from {first} to {last},"
        f" a step of {series.step}",
        # So that who reads a file with other decimal points sees it.
        f"Numbers: {_ranges(series)}.",
        *series.notes,
    ]


def evaluation(series: Series, forecaster: Forecaster) -> list[str]:
    """Say how good it is, beside the baselines, and whether intervals hold."""
    found, parts, history, learned = (
        forecaster.evaluation,
        forecaster.parts,
        forecaster.history,
        forecaster.learned,
    )
    assert found
    assert parts
    assert history
    assert learned
    network = learned.network
    first, last = series.shown(series.times[[parts.calibrate, -1]])
    train, stop = series.shown(series.times[[parts.train - 1, parts.stop - 1]])
    baselines = network.baselines
    season = f"a season of {baselines.period} rows" if baselines.period else "no season found"
    logs = [name for name, log in zip(series.names, learned.scaling.log, strict=True) if log]
    lines = [
        f"Learned from the rows to {train}, {season}; training ended after {history.epochs} epochs,"
        f" by the rows to {stop}.",
    ]
    if logs:
        lines.append(f"In logarithms, as spread grows with size: {', '.join(map(repr, logs))}.")
    single = len(series.names) == 1
    what = "Mean absolute error" if single else "Mean absolute scaled error, all columns"
    steps = _some(forecaster.horizon)
    rows = [["rows ahead", *map(str, [*(steps + 1), "all"])]]
    for scores in (found.network, *found.baselines):
        by_step = scores.mae[:, 0] if single else scores.scaled
        rows.append([scores.name, *(f"{v:.4g}" for v in [*by_step[steps], by_step.mean()])])
    for k, level in enumerate(LEVELS):
        held = found.coverage[k]
        rows.append([f"within the {level:.0%} interval", *(f"{v:.0%}" for v in [*held[steps], held.mean()])])
    if not baselines.period:
        lines.append(f"There is no baseline {SEASON!r} without a season.")
    changed = [
        "These rows differ from those before them: intervals held less often than chance explains, and those"
        " of the forecast may be too narrow."
    ]
    chance = [f"{100 * found.spread[k].max():.0f}" for k in range(len(LEVELS))]
    return [
        *lines,
        "",
        f"{what} over {found.rows:,} rows from {first} to {last}, each forecast from the rows before it:",
        *table(rows),
        f"(Intervals were measured by the rows before these. Chance alone moves their parts by {chance[0]}"
        f" and {chance[1]} points, one standard error, at the last step ahead.)",
        *(changed if found.too_narrow else []),
        "",
        *verdict(found.network, found.comparison, found, network.is_silent, baselines.anchor),
    ]


def verdict(
    network: Scores, comparison: Comparison, found: Evaluation, silent: bool, anchor: str
) -> list[str]:
    """Say plainly whether the network is better than the best baseline."""
    name, best = network.name, comparison.baseline
    more, less = "larger", "smaller"
    size = f"{abs(comparison.change):.1%} {less if comparison.change <= 0 else more}"
    span = f"95 % interval {comparison.low:+.1%} to {comparison.high:+.1%}"
    lines = []
    if silent:
        lines.append(
            f"The {name} found nothing in the series that held on later rows beyond the baseline {anchor!r}:"
            " its forecast is that baseline's."
        )
    if comparison.verdict == "better":
        lines.append(
            f"The {name} beats every baseline: its errors are {size} than those of {best!r} ({span})."
        )
    elif comparison.verdict == "worse":
        lines.append(
            f"The {name} does not beat the baselines: {best!r} is better; the {name}'s errors are {size}"
            f" ({span})."
        )
    elif silent and best == anchor:
        lines.append(f"The {name} does not beat the baselines: {best!r} is as good.")
    else:
        lines.append(
            f"The {name} does not beat the baselines: its errors are {size} than those of {best!r}, which may"
            f" be chance or is too little to matter ({span})."
        )
    return lines


def forecast(series: Series, prediction: Prediction) -> list[str]:
    """Show the first rows of the forecast."""
    rows = [[series.time_name, "column", "forecast", *(f"{level:.0%} interval" for level in LEVELS)]]
    times = series.shown(series.ahead(len(prediction.mean)))
    shown = max(1, MOST_ROWS // len(series.names))
    for h, when in enumerate(times[:shown]):
        for c, name in enumerate(series.names):
            ends = [
                f"{prediction.lower[k, h, c]:.5g} to {prediction.upper[k, h, c]:.5g}"
                for k in range(len(LEVELS))
            ]
            rows.append([when, name, f"{prediction.mean[h, c]:.5g}", *ends])
    more = [f"... and {len(times) - shown} more rows."] if len(times) > shown else []
    return [*table(rows), *more]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out rows of text: the first column to the left, all others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip()
        for row in rows
    ]


def _ranges(series: Series) -> str:
    """Say between which numbers each column is."""
    ends = [f"{c.min():.6g} to {c.max():.6g}" for c in series.values.T]
    if len(ends) == 1:
        return ends[0]
    return ", ".join(f"{name!r} {both}" for name, both in zip(series.names, ends, strict=True))


def _some(horizon: int) -> NDArray[np.int64]:
    """Return a few steps ahead, the first and the last among them, from 0."""
    return np.unique(np.round(np.geomspace(1, horizon, min(horizon, MOST_STEPS))).astype(np.int64)) - 1
