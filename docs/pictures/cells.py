"""One step of one unit: what it computes, and what its gradients do on their way back through it."""

from __future__ import annotations

import itertools

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch
from numbers_drawn import Numbers
from svg import INK, figure

from lstmfast._base.colours import BLUE, ORANGE

Point = tuple[float, float]

# Where things are, on 100 x 90. Gates stand where what they do is.
TOP, BUS = 80.0, 12.0
GATES = {"f": 22.0, "i": 40.0, "g": 58.0, "o": 76.0}
GATE, HALF = 28.0, 5.0  # the boxes' middle, and half their height
FORGET: Point = (22.0, TOP)
ADD: Point = (49.0, TOP)
WRITE: Point = (49.0, 52.0)
SQUASH: Point = (88.0, 64.0)
SHOW: Point = (88.0, 46.0)
R = 3.6


def forward(numbers: Numbers) -> Figure:
    """Draw the values."""
    picture, axes = _canvas()
    x, h, c = numbers["before"]
    i, f, g, o = numbers["gates"]
    h_new, c_new = numbers["after"]
    _cell(axes)
    _lines(axes, BLUE, [1.6] * 16, back=False)
    for name, value in zip("figo", (f, i, g, o), strict=True):
        axes.text(GATES[name] + 1.5, GATE + HALF + 1.5, f"{value:.2f}", fontsize=9)
    _text(axes, 0, TOP + 3.5, f"c = {c:.2f}", "left")
    _text(axes, 100, TOP + 3.5, f"c′ = {c_new:.2f}", "right")
    _text(axes, 100, SHOW[1] - 7.5, f"h′ = {h_new:.2f}", "right")
    _text(axes, 0, BUS - 8.5, f"x = {x:.2f},  h = {h:.2f}", "left")
    return picture


def backward(numbers: Numbers) -> Figure:
    """Draw the gradients; the wider an arrow, the more goes there."""
    picture, axes = _canvas()
    _, dh, dc = numbers["dbefore"]
    di, df, dg, do = numbers["dz"]
    f = numbers["gates"][1]
    at_sum = dc / f  # dc = dc' * f
    o, squashed = numbers["gates"][3], numbers["after"][0] / numbers["gates"][3]
    through = o * (1 - squashed**2)
    i, g = numbers["gates"][0], numbers["gates"][2]
    _cell(axes)
    widths = [
        *(1.0, at_sum, dc),  # along c: what arrives, with what comes through tanh, and after f
        *(1.0, through, through),  # from h', through tanh
        at_sum,
        *(at_sum * g, at_sum * i, at_sum * numbers["before"][2], squashed),  # to i, g, f and o
        *(di, dg, df, do),
        1.0,
    ]
    _lines(axes, ORANGE, [0.5 + 3.0 * abs(width) for width in widths], back=True)
    for name, value in zip("figo", (df, di, dg, do), strict=True):
        axes.text(GATES[name] + 1.8, GATE - HALF - 6.5, _signed(value), fontsize=9)
    _text(axes, 0, TOP + 3.5, f"∂c: {_signed(dc)}", "left")
    _text(axes, 100, TOP + 3.5, "∂c′: 1", "right")
    _text(axes, 68.5, TOP + 3.5, _signed(at_sum), "center", size=9)
    _text(axes, 100, SHOW[1] - 7.5, "∂h′: 1", "right")
    _text(axes, 0, BUS - 8.5, f"∂x: {_signed(numbers['dbefore'][0])},  ∂h: {_signed(dh)}", "left")
    return picture


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _canvas() -> tuple[Figure, Axes]:
    picture = figure(3.55)
    axes = picture.add_axes((0.02, 0.01, 0.96, 0.98))
    axes.set(xlim=(-1, 101), ylim=(0, 90))
    axes.axis("off")
    return picture, axes


def _text(axes: Axes, x: float, y: float, text: str, align: str, size: float = 10) -> None:
    axes.text(x, y, text, ha=align, va="baseline", fontsize=size)


def _cell(axes: Axes) -> None:
    """Draw the gates, and the points where values meet."""
    for name, x in GATES.items():
        box = FancyBboxPatch((x - 5, GATE - HALF), 10, 2 * HALF, boxstyle="round,pad=0,rounding_size=1.5")
        box.set(facecolor="none", edgecolor=INK, linewidth=1.0)
        axes.add_patch(box)
        axes.text(x, GATE - 0.4, name, ha="center", va="center", fontsize=11, style="italic")
    for (x, y), sign in ((FORGET, "×"), (ADD, "+"), (WRITE, "×"), (SHOW, "×")):
        axes.add_patch(Circle((x, y), R, facecolor="none", edgecolor=INK, linewidth=1.0))
        axes.text(x, y - 0.3, sign, ha="center", va="center", fontsize=11)
    box = FancyBboxPatch(
        (SQUASH[0] - 6.5, SQUASH[1] - 3.8), 13, 7.6, boxstyle="round,pad=0,rounding_size=1.5"
    )
    box.set(facecolor="none", edgecolor=INK, linewidth=1.0)
    axes.add_patch(box)
    axes.text(*SQUASH, "tanh", ha="center", va="center", fontsize=9)


def _lines(axes: Axes, colour: str, widths: list[float], *, back: bool) -> None:
    """Draw all ways, forwards or back, in the order of the list of widths in `backward`."""
    bottom, top = GATE - HALF, GATE + HALF
    last = GATES["o"]
    ways: list[list[Point]] = [
        [(SQUASH[0], TOP), (100, TOP)],
        [(ADD[0] + R, TOP), (SQUASH[0], TOP)],
        [(0, TOP), (FORGET[0] - R, TOP)],
        [(SHOW[0] + R, SHOW[1]), (100, SHOW[1])],
        [(SQUASH[0], SQUASH[1] - 3.8), (SHOW[0], SHOW[1] + R)],
        [(SQUASH[0], TOP), (SQUASH[0], SQUASH[1] + 3.8)],
        [(WRITE[0], WRITE[1] + R), (ADD[0], TOP - R)],
        [(GATES["i"], top), (GATES["i"], WRITE[1]), (WRITE[0] - R, WRITE[1])],
        [(GATES["g"], top), (GATES["g"], WRITE[1]), (WRITE[0] + R, WRITE[1])],
        [(GATES["f"], top), (FORGET[0], TOP - R)],
        [(last, top), (last, SHOW[1]), (SHOW[0] - R, SHOW[1])],
        *([(GATES[name], BUS), (GATES[name], bottom)] for name in "igfo"),
        [(0, BUS), (last, BUS)],
    ]
    for way, width in zip(ways, widths, strict=True):
        inner = way in (ways[1], ways[-1])  # which go on
        _way(axes, way[::-1] if back else way, colour, width, headless=inner and not back)
    between = [(FORGET[0] + R, TOP), (ADD[0] - R, TOP)]
    _way(axes, between[::-1] if back else between, colour, widths[1], headless=False)


def _way(axes: Axes, way: list[Point], colour: str, width: float, *, headless: bool) -> None:
    """Draw an arrow, round corners if there are any."""
    for begin, end in itertools.pairwise(way[:-1]):
        axes.plot(*zip(begin, end, strict=True), color=colour, linewidth=width, solid_capstyle="round")
    head = "-" if headless else "-|>,head_length=0.35,head_width=0.18"
    axes.add_patch(
        FancyArrowPatch(
            way[-2],
            way[-1],
            arrowstyle=head,
            mutation_scale=10 + 2 * width,
            shrinkA=0,
            shrinkB=0,
            color=colour,
            linewidth=width,
            capstyle="butt",
            joinstyle="miter",
        )
    )
