"""lstmfast inside ONNX Runtime, Keras and JAX beside what they have themselves: what is told of both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from .engines import IN_ONNX_RUNTIME, INSIDE
from .limits import geometric_mean
from .memory import MODEL, SESSIONS, Growth
from .results import Report, Row

__all__ = ["MOST", "Memory", "mean", "memory", "pairs", "place", "suites", "to_json"]

# Of what its own operators grow a process by, the most that ours may.
MOST = {1: 1.0, 3: 0.5}


def pairs(report: Report) -> dict[str, str]:
    """Name each of our engines that was there beside the one without us, told the same."""
    there = set(report.names)
    everyone = {ours: its for pairs in INSIDE.values() for ours, its in pairs.items()}
    return {ours: its for ours, its in everyone.items() if {ours, its} <= there}


def place(ours: str) -> str:
    """Say inside of what an engine of ours is."""
    return ours.partition(" in ")[2]


def suites(report: Report) -> dict[str, dict[tuple[str, str], list[Row]]]:
    """Return by suite, and by pair of ours and its, the rows that one of the two could have done."""
    found: dict[str, dict[tuple[str, str], list[Row]]] = {}
    for suite, rows in report.suites.items():
        for pair in pairs(report).items():
            if done := [row for row in rows if any(_could(row, name) for name in pair)]:
                found.setdefault(suite, {})[pair] = done
    return found


def _could(row: Row, name: str) -> bool:
    return name in row.cells and row.cells[name].status != "unsupported"


def mean(rows: Iterable[Row], ours: str, its: str) -> float | None:
    """Return the geometric mean of how many times our time its own is; None of none."""
    ratios = [ratio for row in rows if (ratio := row.ratio(its, ours)) is not None]
    return geometric_mean(ratios) if ratios else None


@dataclass(frozen=True)
class Memory:
    """By how much a process grew for so many sessions, and what was aimed at."""

    sessions: int
    ours: Growth
    its: Growth

    @property
    def part(self) -> float | None:
        """Our growth as a part of its own."""
        ours, its = self.ours.mebibytes, self.its.mebibytes
        return None if ours is None or not its else ours / its

    @property
    def most(self) -> float:
        """What it may be at most."""
        return MOST[self.sessions]

    @property
    def met(self) -> bool:
        """Whether it is no more than that."""
        return self.part is not None and self.part <= self.most


def memory(report: Report) -> list[Memory]:
    """Return what was found for each number of sessions for which both were measured."""
    found = {(growth.engine, growth.sessions): growth for growth in report.memory}
    ours, its = next(iter(IN_ONNX_RUNTIME.items()))
    return [
        Memory(count, found[ours, count], found[its, count])
        for count in SESSIONS
        if (ours, count) in found and (its, count) in found
    ]


def to_json(report: Report) -> dict[str, Any]:
    """Return the same as JSON holds it."""
    return {
        "rows": [
            {
                "suite": suite,
                "shape": row.case.label,
                "engine": ours,
                "rival": its,
                "ratio": row.ratio(its, ours),
            }
            for suite, found in suites(report).items()
            for (ours, its), rows in found.items()
            for row in rows
        ],
        "geometric_means": {
            suite: {ours: mean(rows, ours, its) for (ours, its), rows in found.items()}
            for suite, found in suites(report).items()
        },
        "memory": {
            "model_bytes": MODEL.weight_bytes,
            "growth": [asdict(growth) for growth in report.memory],
            "targets": [
                {"sessions": each.sessions, "most": each.most, "value": each.part, "met": each.met}
                for each in memory(report)
            ],
        },
    }
