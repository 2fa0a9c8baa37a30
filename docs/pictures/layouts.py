"""What is kept, how weights lie, and in which order work is done."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Patch, Rectangle
from numbers_drawn import Numbers
from svg import INK, figure

from lstmfast._base.colours import BLUE, GREEN, GREY, ORANGE

GATES = {"i": BLUE, "f": ORANGE, "g": GREEN, "o": GREY}


def tape(numbers: Numbers) -> Figure:
    """Draw how many numbers are kept, as bars."""
    picture = figure(2.4)
    axes = picture.add_axes((0.33, 0.2, 0.65, 0.78))
    rows = [(kind, n) for kind in numbers for n in (0, 1) if kind != "RNN" or n == 0]
    for y, (kind, n) in enumerate(reversed(rows)):
        kept = numbers[kind][n]
        whole = round(kept)
        memory = 1 if kind == "LSTM" else 0  # c of every step
        axes.barh(y, whole - memory, color=BLUE, height=0.6)
        axes.barh(y, memory, left=whole - memory, color=ORANGE, height=0.6)
        axes.text(kept + 0.12, y, f"{kept:.2f}", va="center", fontsize=9)
    axes.set_yticks(range(len(rows)), [f"{kind}{', recompute' * n}" for kind, n in reversed(rows)])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlim(0, 5.9)
    handles = [Patch(color=BLUE, label="gates"), Patch(color=ORANGE, label="c")]
    axes.legend(handles=handles, loc="lower right", fontsize=9, handlelength=1.0)
    axes.set_xlabel("numbers for each unit, step and row")
    return picture


def panels(numbers: Numbers) -> Figure:
    """Draw the rows of a weight as they come, by gates, and as they are packed, by blocks of units."""
    picture, axes = _sheet(2.9, -1, 69)
    blocks, size = 3, 4.4
    axes.text(4, 63, "as PyTorch has them", fontsize=9)
    axes.text(60, 63, "packed: three panels", fontsize=9)
    for gate, (name, colour) in enumerate(GATES.items()):
        for block in range(blocks):
            y = 56 - (gate * blocks + block) * size
            _row(axes, 10, y, size, colour)
            packed = 56 - (block * 4 + gate) * size - 1.2 * block
            _row(axes, 66, packed, size, colour)
            axes.text(64, packed + size / 2, name, fontsize=8, ha="right", va="center", style="italic")
            if name == "f":
                start, end = (34.0, y + size / 2), (60.5, packed + size / 2)
                axes.add_patch(
                    FancyArrowPatch(
                        start, end, arrowstyle="-|>", mutation_scale=8, color=ORANGE, linewidth=1.0
                    )
                )
        middle = 56 - (gate * blocks + 1) * size + size / 2
        axes.text(8, middle, name, fontsize=10, ha="right", va="center", style="italic")
    axes.text(78, 0.6, "one read, front to back", fontsize=9, ha="center")
    axes.text(22, 0.6, "W, rows by gates", fontsize=9, ha="center")
    return picture


def _sheet(height: float, bottom: float, top: float) -> tuple[Figure, Axes]:
    """Make a picture, so many inches high, that is one plane without axes: x from 0 to 100, y as given."""
    picture = figure(height)
    axes = picture.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set(xlim=(0, 100), ylim=(bottom, top))
    axes.axis("off")
    return picture, axes


def _row(axes: Axes, x: float, y: float, height: float, colour: str) -> None:
    axes.add_patch(Rectangle((x, y), 24, height - 0.7, facecolor=colour, edgecolor="none"))


def loop(numbers: Numbers) -> Figure:
    """Draw the forward pass of a few rows: all products with x, then a loop that has only h to multiply."""
    picture, axes = _sheet(2.5, 0, 59)
    steps, width, half = 8, 12.0, 3.6
    for t in range(steps):
        x = 8 + t * width
        for y, name in ((50, f"x{t}"), (13, f"h{t}")):
            box = Rectangle(
                (x - half, y - 3.6), 2 * half, 7.2, facecolor="none", edgecolor=INK, linewidth=0.9
            )
            axes.add_patch(box)
            axes.text(x, y - 0.3, name, ha="center", va="center", fontsize=8.5)
        _arrow(axes, (x, 46.4), (x, 39), GREEN)
        _arrow(axes, (x, 28), (x, 16.6), GREEN)
        if t + 1 < steps:
            _arrow(axes, (x + half, 13), (x + width - half, 13), BLUE)
    box = Rectangle((8 - half, 28), (steps - 1) * width + 2 * half, 11, facecolor="none", edgecolor=GREEN)
    box.set_linewidth(1.4)
    axes.add_patch(box)
    axes.text(50, 33.2, "x times W_ih, several steps in one product", ha="center", va="center", fontsize=9)
    axes.text(50, 3.5, "h times W_hh, step after step", ha="center", va="center", fontsize=9)
    return picture


def chunks(numbers: Numbers) -> Figure:
    """Draw the backward pass of a sequence in three chunks: a loop, then products over all of its steps."""
    picture, axes = _sheet(2.7, 0, 64)
    steps, chunk, width = 12, 4, 7.6
    for t in range(steps):
        x = 5 + t * width
        axes.add_patch(Rectangle((x, 50), 5, 7, facecolor="none", edgecolor=INK, linewidth=0.9))
        axes.text(x + 2.5, 53.3, f"{t}", ha="center", va="center", fontsize=8)
        if t + 1 < steps:
            _arrow(axes, (x + 5, 55.5), (x + width, 55.5), BLUE)
            _arrow(axes, (x + width, 51.5), (x + 5, 51.5), ORANGE)
    axes.text(5, 60, "forward →", fontsize=9)
    axes.text(95, 60, "← back, step by step: dz", fontsize=9, ha="right")
    for k in range(steps // chunk):
        left = 5 + k * chunk * width
        right = left + (chunk - 1) * width + 5
        axes.plot([left, left, right, right], [47, 44, 44, 47], color=INK, linewidth=0.9)
        order = steps // chunk - k
        _arrow(axes, ((left + right) / 2, 44), ((left + right) / 2, 36), ORANGE)
        box = Rectangle((left, 14), right - left, 22, facecolor="none", edgecolor=GREEN, linewidth=1.4)
        axes.add_patch(box)
        lines = f"chunk {order}", "dx = dz W_ih", "dW += dzᵀ [x, h]"
        for n, line in enumerate(lines):
            axes.text((left + right) / 2, 31.5 - 6.2 * n, line, ha="center", va="center", fontsize=8.5)
    axes.text(50, 6, "two products for all steps of a chunk at once", fontsize=9, ha="center")
    return picture


def _arrow(axes: Axes, begin: tuple[float, float], end: tuple[float, float], colour: str) -> None:
    axes.add_patch(
        FancyArrowPatch(
            begin, end, arrowstyle="-|>", mutation_scale=7, color=colour, linewidth=1.1, shrinkA=0, shrinkB=0
        )
    )
