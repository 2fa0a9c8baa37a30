"""The pictures, drawn without pyplot: no display, no globals.

Speed-ups row by row and a roofline of a run; and of a comparison, how fast each revision is.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from .._base.colours import BLUE, GREEN, GREY, ORANGE
from .._files.writing import picture
from .comparison import GROUPS, THIS, Comparison
from .engines import OURS
from .limits import intensity
from .results import Report

__all__ = ["both", "by_revision", "roofline", "speedups"]

OURS_COLOR, SLOWER_COLOR = BLUE, ORANGE
COLORS = {
    "NumPy": "#999999",
    "PyTorch": ORANGE,
    "ONNX Runtime": GREEN,
    "ONNX Runtime bound": "#117755",
    "ONNX Runtime bound no spinning": "#66BB99",
    "lstmfast in ONNX Runtime": "#4477AA",
    "lstmfast in ONNX Runtime no spinning": "#99BBDD",
    "OpenVINO": "#CC79A7",
    "JAX": "#E69F00",
    "Keras torch": "#8C564B",
    "Keras JAX": "#BCBD22",
    "TensorFlow": "#9467BD",
    "LiteRT": "#C5B0D5",
    "OpenCV": "#17BECF",
    "ncnn row by row": "#7F7F7F",
    "MNN": "#D62728",
    "tract": "#8C8C00",
    "PyTorch int8": ORANGE,
    "ONNX Runtime int8": GREEN,
    "lstmfast float16": "#56B4E9",
    "lstmfast bfloat16": BLUE,
    "lstmfast int8": "#003B5C",
}
ROW_HEIGHT = 0.24  # inches


def both(report: Report, kind: str) -> bytes:
    """Draw both pictures side by side; `kind` is png, svg or pdf."""
    figure = Figure(figsize=(16, _height(report)), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_speedups(left, report)
    _draw_roofline(right, report)
    return picture(figure, kind)


def speedups(report: Report, kind: str = "svg") -> bytes:
    """Draw how many times each engine's time is ours."""
    figure = Figure(figsize=(10, _height(report)), dpi=110, layout="constrained")
    _draw_speedups(figure.subplots(), report)
    return picture(figure, kind)


def roofline(report: Report, kind: str = "svg") -> bytes:
    """Draw what the machine can do, and what we and the fastest other engine do."""
    figure = Figure(figsize=(10, 6.5), dpi=110, layout="constrained")
    _draw_roofline(figure.subplots(), report)
    return picture(figure, kind)


def by_revision(comparison: Comparison, kind: str = "svg") -> bytes:
    """Draw how many times as fast as the first revision each is: means of groups, and faintly rows."""
    figure = Figure(figsize=(9, 5), dpi=110, layout="constrained")
    _draw_by_revision(figure.subplots(), comparison)
    return picture(figure, kind)


def _draw_by_revision(axes: Axes, comparison: Comparison) -> None:
    names = [*comparison.revisions, THIS]
    for group, color in zip(GROUPS, (BLUE, GREEN, ORANGE, GREY), strict=True):
        for row in comparison.rows:
            if row.shape.group == group:
                axes.plot(*_speeds(names, row.ratio), color=color, alpha=0.25, linewidth=0.8)
        means = {name: comparison.group_means(name).get(group) for name in comparison.revisions}
        axes.plot(*_speeds(names, means.get), color=color, linewidth=2, marker="o", label=group)
    axes.axhline(1, color="black", linewidth=0.8)
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    # Between revisions that are alike, no whole step of a decade lies in the picture.
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5)) if high > 4 * low else MaxNLocator(8))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(range(len(names)), names)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_title("How many times as fast as the first revision that has it", loc="left")
    axes.legend(fontsize=8)


def _speeds(names: list[str], ratio: Callable[[str], float | None]) -> tuple[list[int], list[float]]:
    """Place each revision that has a time by its speed, that of the first one being 1.

    `ratio` is of this revision's time to another's: so much slower, or faster, than this one that other is.
    """
    speeds = {k: 1.0 if name == THIS else ratio(name) for k, name in enumerate(names)}
    there = {k: speed for k, speed in speeds.items() if speed is not None}
    first = next(iter(there.values()))
    return list(there), [speed / first for speed in there.values()]


def _height(report: Report) -> float:
    return max(6.5, 1.8 + ROW_HEIGHT * len(report.rows))


def _draw_speedups(axes: Axes, report: Report) -> None:
    rows = report.rows
    for k, row in enumerate(rows):
        if (value := report.ratio(row)) is not None:
            color = OURS_COLOR if value >= 1 else SLOWER_COLOR
            axes.barh(k, value - 1, left=1, height=0.6, color=color, alpha=0.25, linewidth=0)
    for name in report.names:
        found = [(ratio, k) for k, row in enumerate(rows) if (ratio := row.ratio(name)) is not None]
        if name == OURS or not found:
            continue
        other = next(engine for engine in report.engines if engine.name == name).precision != "float32"
        color = COLORS.get(name, "black")
        axes.plot(
            *zip(*found, strict=True),
            linestyle="",
            marker="D" if other else "o",
            markersize=5,
            color=color,
            markerfacecolor="none" if other else color,
            label=name,
        )
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xlim(left=min(0.8, axes.get_xlim()[0]))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_yticks(range(len(rows)), [f"{row.case.suite}  {row.case.label}" for row in rows], fontsize=7)
    axes.set_ylim(max(len(rows), 1) - 0.5, -0.5)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    threads = report.settings["threads"]
    axes.set_title(f"How many times faster lstmfast is ({report.isa}, {threads} thread(s))", loc="left")
    axes.set_xlabel("time of the other engine / time of lstmfast; bar: the fastest other float32 engine")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.07 if len(rows) < 40 else -0.02), ncols=4, fontsize=8
        )


def _draw_roofline(axes: Axes, report: Report) -> None:
    points = {OURS: _points(report, ours=True), "fastest other": _points(report, ours=False)}
    every = [point for found in points.values() for point in found]
    axes.set_title("Roofline: what this machine can do, and what is reached", loc="left")
    axes.set_xlabel("operations per byte of weights that must be read")
    axes.set_ylabel("GFLOP/s")
    axes.set_xscale("log")
    axes.set_yscale("log")
    limits = report.limits
    if not every or limits is None:
        return
    low, high = min(x for x, _ in every) / 2, max(x for x, _ in every) * 2
    axes.plot([low, high], [limits.gflops] * 2, color="black", linewidth=1.2)
    axes.annotate(
        f"multiply-adds {limits.gflops:.0f}", (high, limits.gflops), ha="right", va="bottom", fontsize=8
    )
    for level in limits.levels:
        end = min(high, limits.gflops / level.gbps)
        if end <= low:
            continue
        axes.plot([low, end], [low * level.gbps, end * level.gbps], color=GREY, linewidth=1)
        place = (low, low * level.gbps)
        axes.annotate(
            f"{level.name} {level.gbps:.0f} GB/s",
            place,
            xytext=(4, 6),
            textcoords="offset points",
            fontsize=8,
            color=GREY,
        )
    for (name, found), marker in zip(points.items(), ("o", "x"), strict=True):
        color = OURS_COLOR if name == OURS else SLOWER_COLOR
        if found:
            axes.plot(
                *zip(*found, strict=True), linestyle="", marker=marker, markersize=5, color=color, label=name
            )
    least = min(y for _, y in every)
    axes.set_ylim(least / 2, limits.gflops * 2)
    axes.set_xlim(low, high)
    axes.grid(color="#eeeeee", linewidth=0.6)
    axes.legend(loc="lower right", fontsize=8)


def _points(report: Report, *, ours: bool) -> list[tuple[float, float]]:
    found = []
    for row in report.rows:
        name = OURS if ours else report.fastest_other(row)
        best = None if name is None else row.best(name)
        if best is not None and math.isfinite(best):
            found.append((intensity(row.case), row.case.flops / best / 1e9))
    return found
