"""What revisions are timed by, how far the machine can be trusted, and whether this one is slower."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from statistics import fmean
from typing import Any

from .cases import Case
from .limits import geometric_mean
from .words import time

__all__ = ["SHAPES", "THIS", "TWIN", "Comparison", "Limits", "Row", "Shape"]

FORMAT = 1
# This revision is there twice, in two processes: how far these are apart is noise.
THIS, TWIN = "this", "this again"
GROUPS = ("sequences", "steps", "training", "smaller weights")


@dataclass(frozen=True)
class Shape:
    """A case, and the type of its weights."""

    case: Case
    precision: str = "float32"

    @property
    def label(self) -> str:
        """All on one line."""
        return self.case.label if self.precision == "float32" else f"{self.case.label} {self.precision}"

    @property
    def group(self) -> str:
        """Which of `GROUPS` it is of."""
        if self.precision != "float32":
            return "smaller weights"
        return "training" if self.case.trains else "steps" if self.case.work == "step" else "sequences"


def _of(*cases: Case, precision: str = "float32", **changes: Any) -> tuple[Shape, ...]:  # noqa: ANN401
    return tuple(Shape(replace(case, **changes), precision) for case in cases)


# What most programs do, in every way that the core has of its own: one row and few, merged input products,
# whole tiles, weights within each cache, lanes left over, both directions. Releases are told by this list.
SHAPES = (
    *_of(*(Case(100, B, H, H) for H, B in product((64, 128, 256, 512), (1, 16)))),
    *_of(Case(100, 64, 128, 128), Case(100, 4, 256, 256), Case(100, 16, 13, 40)),
    *_of(Case(50, 16, 128, 128, layers=2, directions=2), Case(100, 16, 128, 128, cell="gru")),
    *_of(*(Case(1, 1, H, H) for H in (32, 64, 128, 256)), work="step"),
    *_of(Case(100, 1, 128, 128), Case(100, 16, 64, 64), Case(100, 16, 128, 128), work="train"),
    *_of(Case(50, 16, 256, 256), Case(50, 16, 13, 40), Case(50, 16, 128, 128, cell="gru"), work="train"),
    *(
        shape
        for precision in ("bfloat16", "int8")
        for shape in (
            *_of(Case(100, 1, 256, 256), Case(100, 16, 256, 256), precision=precision),
            *_of(Case(1, 1, 256, 256), precision=precision, work="step"),
        )
    ),
)


@dataclass(frozen=True)
class Limits:
    """By what part of the earlier revision's time this one may be slower, beyond the noise."""

    row: float = 0.05
    mean: float = 0.02
    # Of the means of the same revision, apart by more than this: then nothing can be told here and now.
    noise: float = 0.03


@dataclass
class Row:
    """One shape: of each revision the seconds of the best round, launch by launch."""

    shape: Shape
    best: dict[str, list[float]] = field(default_factory=dict)
    same_bits: dict[str, bool] = field(default_factory=dict)  # as this revision's results
    notes: dict[str, str] = field(default_factory=dict)  # why a revision has no time

    def logs(self, name: str) -> list[float]:
        """Return, launch by launch, the logarithm of this revision's time over another's; [] of none."""
        this, other = self.best.get(THIS, []), self.best.get(name, [])
        if not this or len(this) != len(other):
            return []
        return [math.log(mine / theirs) for mine, theirs in zip(this, other, strict=True)]

    def ratio(self, name: str) -> float | None:
        """Return how many times the other's time is ours, in geometric mean; above 1 this one is slower."""
        logs = self.logs(name)
        return math.exp(fmean(logs)) if logs else None

    def words(self, name: str) -> str:
        """Put a revision's ratio, its spread and its bits into words, or why there are none."""
        ratio, logs = self.ratio(name), self.logs(name)
        if ratio is None:
            return self.notes.get(name, "-")
        bits = "" if self.same_bits.get(name) else ", other bits"
        return f"{ratio:.3f} ({math.exp(min(logs)):.3f} to {math.exp(max(logs)):.3f}){bits}"

    @property
    def noise(self) -> float:
        """By how much, as a logarithm, the same revision was apart from itself at most."""
        return max(map(abs, self.logs(TWIN)), default=math.inf)


@dataclass
class Comparison:
    """A whole run."""

    revisions: Sequence[str]  # the earlier ones, the earliest first
    versions: Mapping[str, str] = field(default_factory=dict)  # what each says of itself
    rows: list[Row] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)  # what is wrong or ended
    settings: dict[str, Any] = field(default_factory=dict)
    machine: Mapping[str, str] = field(default_factory=dict)

    def mean(self, name: str) -> float:
        """Return the geometric mean of the ratios to a revision; NaN of none."""
        return geometric_mean([ratio for row in self.rows if (ratio := row.ratio(name)) is not None])

    @property
    def noise(self) -> float:
        """By how much, as a logarithm, the mean over all rows was apart for the same revision, at most."""
        launches = zip(*filter(None, (row.logs(TWIN) for row in self.rows)), strict=True)
        return max((abs(fmean(logs)) for logs in launches), default=math.inf)

    def slower(self, limits: Limits) -> list[str]:
        """Say in words where this revision is slower than the limits allow, by more than the noise."""
        found = []
        for name in self.revisions:
            mean = self.mean(name)
            if math.log(mean) > math.log1p(limits.mean) + self.noise:  # false of NaN
                found.append(f"all rows take {mean:.3f} of the time of {name}, in geometric mean")
            for row in self.rows:
                ratio = row.ratio(name)
                if ratio is not None and math.log(ratio) > math.log1p(limits.row) + row.noise:
                    found.append(f"{row.shape.label} takes {ratio:.3f} of the time of {name}")
        return found

    def too_noisy(self, limits: Limits) -> bool:
        """Whether the same revision was so far apart from itself that nothing can be told."""
        return not self.noise <= limits.noise

    def group_means(self, name: str) -> dict[str, float]:
        """Return the geometric mean of the ratios to a revision by group, where there are any."""
        found = {
            group: [r for row in self.rows if row.shape.group == group and (r := row.ratio(name)) is not None]
            for group in GROUPS
        }
        return {group: geometric_mean(ratios) for group, ratios in found.items() if ratios}

    def table(self) -> list[str]:
        """Return the lines of a table in Markdown, which terminals show as well."""
        lines = [["shape", "this", *(f"/ {name}" for name in self.revisions), "noise"]]
        for row in self.rows:
            mine = row.best.get(THIS)
            cells = [time(min(mine)) if mine else "-"]
            lines.append([row.shape.label, *cells, *map(row.words, self.revisions), _percent(row.noise)])
        means = [f"**{self.mean(name):.3f}**" for name in self.revisions]
        lines.append(["geometric mean", "", *means, _percent(self.noise)])
        for group in GROUPS:
            groups = [self.group_means(name).get(group) for name in self.revisions]
            lines.append([group, "", *(f"{mean:.3f}" if mean else "-" for mean in groups), ""])
        return list(_aligned(lines))

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON holds it."""
        return {
            "format": FORMAT,
            "revisions": list(self.revisions),
            "versions": dict(self.versions),
            "settings": self.settings,
            "machine": dict(self.machine),
            "rows": [{**asdict(row), "group": row.shape.group} for row in self.rows],
            "means": {name: _number(self.mean(name)) for name in self.revisions},
            "noise": _number(self.noise),
            "failures": self.failures,
        }


def _percent(log: float) -> str:
    return f"{100 * math.expm1(log):.1f} %" if math.isfinite(log) else "-"


def _aligned(lines: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(len(line[k]) for line in lines) for k in range(len(lines[0]))]
    for number, line in enumerate(lines):
        yield "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        if number == 0:
            yield "| " + " | ".join("-" * width for width in widths) + " |"


def _number(value: float) -> float | None:
    """JSON has neither NaN nor infinity."""
    return value if math.isfinite(value) else None
