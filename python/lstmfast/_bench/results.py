"""What was measured, row by row, and what follows from it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .cases import Case
from .engines import INSIDE, KIN, OURS, QUANTIZED
from .latency import Latency
from .limits import Level, Limits, geometric_mean, intensity, least_quantized_seconds, least_seconds
from .memory import Growth

__all__ = ["REFERENCES", "Cell", "EngineInfo", "Report", "Row"]

FORMAT = 1
# What our quantised engines are held against: our float32, the fastest other float32 engine, and for int8 the
# fastest other engine that has it.
REFERENCES = (OURS, "fastest_other", "fastest_other_int8")
# A process that uses more CPU time than its threads could was not alone with itself.
CPUS_TOO_MANY = 0.3


@dataclass
class Cell:
    """One engine in one row."""

    status: str  # "ok", "wrong", "failed" or "unsupported"
    note: str = ""  # what went wrong
    difference: float | None = None  # from the truth, in units of its largest value
    calls: int = 0  # in a round
    seconds: list[float] = field(default_factory=list)  # a call, round by round
    cpus: float = 0.0  # CPU time over time
    tape_bytes: int | None = None  # what training keeps for its backward pass, where it is known
    latency: Latency | None = None  # of single calls, where each was timed

    @property
    def best(self) -> float:
        """Seconds of the best round."""
        return min(self.seconds)

    @property
    def median(self) -> float:
        """Seconds of the median round."""
        return statistics.median(self.seconds)


@dataclass
class EngineInfo:
    """An engine as it was in this run."""

    name: str
    precision: str
    missing: str | None = None
    version: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Row:
    """One case and its cells."""

    case: Case
    cells: dict[str, Cell]

    def best(self, name: str) -> float | None:
        """Return an engine's best time, or None where it has none."""
        cell = self.cells.get(name)
        return cell.best if cell is not None and cell.status == "ok" and cell.seconds else None

    def ratio(self, name: str, ours: str = OURS) -> float | None:
        """Return how many times an engine's best time is ours (or our kin's): above 1 we are faster."""
        theirs, mine = self.best(name), self.best(ours)
        return None if theirs is None or mine is None else theirs / mine


@dataclass
class Report:
    """A whole run."""

    settings: dict[str, Any]  # threads, isa, seconds, command, date, environment
    planned: list[Case]
    machine: dict[str, str] = field(default_factory=dict)
    isa: str = ""
    engines: list[EngineInfo] = field(default_factory=list)
    probes: list[Limits] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    memory: list[Growth] = field(default_factory=list)  # that sessions take
    trouble: str = ""  # why it ended early, if it did
    finished: bool = False

    def take(self, event: Mapping[str, Any]) -> None:
        """Take in an event of the measuring process."""
        kind = event["event"]
        if kind == "environment":
            self.settings["environment"] = event["variables"]
        elif kind == "machine":
            self.machine, self.isa = event["machine"], event["isa"]
        elif kind == "engine":
            self.engines.append(EngineInfo(**{k: v for k, v in event.items() if k != "event"}))
        elif kind == "limits":
            levels = (
                Level(v["name"], math.inf if v["capacity"] is None else v["capacity"], v["gbps"])
                for v in event["levels"]
            )
            self.probes.append(Limits(event["gflops"], tuple(levels)))
        elif kind == "row":
            cells = {name: _cell(values) for name, values in event["cells"].items()}
            self.rows.append(Row(self.planned[event["row"]], cells))
        elif kind == "memory":
            self.memory.append(Growth(**event["growth"]))
        elif kind == "end":
            self.finished = True

    @property
    def names(self) -> list[str]:
        """The engines that were there, in their order."""
        return [engine.name for engine in self.engines if engine.missing is None]

    def rivals(self, precision: str = "float32") -> list[str]:
        """Those that count for "the fastest other engine": others of the same precision, and not our kin."""
        return [
            engine.name
            for engine in self.engines
            if engine.missing is None and engine.precision == precision and engine.name not in {OURS, *KIN}
        ]

    @property
    def others(self) -> list[str]:
        """Whom our float32 is held against one by one.

        All but our quantised engines, for `references`, and ours inside others, for `inside`.
        """
        apart = {OURS, *QUANTIZED, *(ours for pairs in INSIDE.values() for ours in pairs)}
        return [name for name in self.names if name not in apart]

    @property
    def quantized(self) -> dict[str, str]:
        """Our quantised engines that were there, and the type of their weights."""
        return {
            engine.name: engine.precision
            for engine in self.engines
            if engine.missing is None and engine.name in QUANTIZED
        }

    @property
    def limits(self) -> Limits | None:
        """The best of what the probes reached."""
        if not self.probes:
            return None
        first, *later = self.probes
        levels = tuple(
            Level(level.name, level.capacity, max([level.gbps, *(other.levels[k].gbps for other in later)]))
            for k, level in enumerate(first.levels)
        )
        return Limits(max(probe.gflops for probe in self.probes), levels)

    def fastest_other(self, row: Row, precision: str = "float32") -> str | None:
        """Name the fastest other engine of a row that has this precision."""
        times = {name: time for name in self.rivals(precision) if (time := row.best(name)) is not None}
        return min(times, key=times.__getitem__, default=None)

    def references(self, row: Row, name: str) -> dict[str, tuple[str | None, float | None]]:
        """Name each of `REFERENCES` of one of our quantised engines, and how many times its time that is."""
        int8 = self.fastest_other(row, "int8") if self.quantized[name] == "int8" else None
        found = zip(REFERENCES, (OURS, self.fastest_other(row), int8), strict=True)
        return {key: (other, None if other is None else row.ratio(other, name)) for key, other in found}

    def ratio(self, row: Row) -> float | None:
        """Return how many times the fastest other engine's time is ours."""
        other = self.fastest_other(row)
        return None if other is None else row.ratio(other)

    def gflops(self, row: Row) -> float | None:
        """Return what our best time comes to, in 1e9 operations of the matrix products a second."""
        ours = row.best(OURS)
        return None if ours is None else row.case.flops / ours / 1e9

    def reached(self, row: Row) -> float | None:
        """Return what part of this machine's limit our best time reaches; 1 is the limit."""
        ours, limits = row.best(OURS), self.limits
        return None if ours is None or limits is None else least_seconds(row.case, limits) / ours

    def reached_quantized(self, row: Row, name: str) -> float | None:
        """Return the same for one of our quantised engines; None also where no limit is known."""
        best, limits = row.best(name), self.limits
        if best is None or limits is None:
            return None
        least = least_quantized_seconds(row.case, limits, self.quantized[name])
        return None if least is None else least / best

    @property
    def suites(self) -> dict[str, list[Row]]:
        """The rows by suite."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.case.suite, []).append(row)
        return found

    def mean_ratio(self, rows: Iterable[Row], name: str | None = None) -> float:
        """Return the geometric mean of the ratios to one engine, or to the fastest other one; NaN of none."""
        ratios = [self.ratio(row) if name is None else row.ratio(name) for row in rows]
        return geometric_mean([ratio for ratio in ratios if ratio is not None])

    def mean_references(self, rows: Iterable[Row], name: str) -> dict[str, float]:
        """Return the geometric mean of each ratio in `references`; NaN of none."""
        found = [self.references(row, name) for row in rows]
        return {
            key: geometric_mean([ratio for each in found if (ratio := each[key][1]) is not None])
            for key in REFERENCES
        }

    @property
    def quantized_suites(self) -> dict[str, list[Row]]:
        """The rows, by suite, that one of our quantised engines could have done."""
        found = {
            suite: [
                row
                for row in rows
                if any(
                    name in row.cells and row.cells[name].status != "unsupported" for name in self.quantized
                )
            ]
            for suite, rows in self.suites.items()
        }
        return {suite: rows for suite, rows in found.items() if rows}

    @property
    def latencies(self) -> list[Row]:
        """The rows in which single calls were timed."""
        return [row for row in self.rows if self.latencies_of(row)]

    def latencies_of(self, row: Row) -> list[tuple[str, Latency]]:
        """Return a row's engines in which single calls were timed, and these times."""
        cells = ((name, row.cells[name].latency) for name in self.names if name in row.cells)
        return [(name, latency) for name, latency in cells if latency is not None]

    @property
    def wrong(self) -> list[str]:
        """Every cell whose result is wrong, in words; first those of lstmfast itself, by whatever name."""
        own = {OURS, *KIN}
        return self._cells("wrong", own) + self._cells("wrong", {*self.names} - own)

    @property
    def own_wrong(self) -> list[str]:
        """Those of lstmfast itself."""
        return self._cells("wrong", {OURS, *KIN})

    @property
    def failures(self) -> list[str]:
        """Every cell that has no time and should have: results that are wrong, then what failed."""
        memory = [f"{growth.engine}'s memory: failed: {growth.note}" for growth in self.memory if growth.note]
        return self.wrong + self._cells("failed", {*self.names}) + memory

    def _cells(self, status: str, names: Collection[str]) -> list[str]:
        return [
            f"{name} at {row.case.label}: {cell.status}: {cell.note}"
            for row in self.rows
            for name, cell in row.cells.items()
            if cell.status == status and name in names
        ]

    @property
    def remarks(self) -> list[str]:
        """What casts doubt on a figure without making it void."""
        found = []
        threads = self.settings["threads"]
        for name in self.names:
            cpus = [row.cells[name].cpus for row in self.rows if name in row.cells]
            most = max(cpus, default=0.0)
            if most > threads + CPUS_TOO_MANY:
                found.append(f"{name}: up to {most:.1f} CPUs were busy while it ran with {threads} thread(s)")
        return found

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON holds it: all rounds, and what follows from them."""
        limits = self.limits
        return {
            "format": FORMAT,
            "finished": self.finished,
            "trouble": self.trouble,
            "settings": self.settings,
            "machine": self.machine,
            "isa": self.isa,
            "engines": [asdict(engine) for engine in self.engines],
            "limits": None if limits is None else _limits_to_json(limits),
            "probes": [_limits_to_json(probe) for probe in self.probes],
            "rows": [self._row_to_json(row, limits) for row in self.rows],
            "geometric_means": {
                suite: {
                    "fastest_other": _number(self.mean_ratio(rows)),
                    **{name: _number(self.mean_ratio(rows, name)) for name in self.names if name != OURS},
                }
                for suite, rows in {**self.suites, "all rows": self.rows}.items()
            },
            "quantized_geometric_means": {
                suite: {
                    name: {key: _number(mean) for key, mean in self.mean_references(rows, name).items()}
                    for name in self.quantized
                }
                for suite, rows in self.quantized_suites.items()
            },
            "failures": self.failures,
            "remarks": self.remarks,
        }

    def _row_to_json(self, row: Row, limits: Limits | None) -> dict[str, Any]:
        cells = {}
        for name, cell in row.cells.items():
            cells[name] = asdict(cell)
            if cell.seconds:
                cells[name] |= {"best": cell.best, "median": cell.median, "ratio": row.ratio(name)}
        return {
            **asdict(row.case),
            "flops": row.case.flops,
            "weight_bytes": row.case.weight_bytes,
            "flops_per_weight_byte": intensity(row.case),
            "limit_seconds": None if limits is None else least_seconds(row.case, limits),
            "limit_reached": self.reached(row),
            "gflops": self.gflops(row),
            "fastest_other": self.fastest_other(row),
            "ratio": self.ratio(row),
            "quantized": {name: self._quantized_to_json(row, name, limits) for name in self.quantized},
            "cells": cells,
        }

    def _quantized_to_json(self, row: Row, name: str, limits: Limits | None) -> dict[str, Any]:
        weights = self.quantized[name]
        return {
            "weights": weights,
            "limit_seconds": None if limits is None else least_quantized_seconds(row.case, limits, weights),
            "limit_reached": self.reached_quantized(row, name),
            "references": {
                key: {"engine": other, "ratio": ratio}
                for key, (other, ratio) in self.references(row, name).items()
            },
        }


def _cell(values: Mapping[str, Any]) -> Cell:
    latency = values.get("latency")
    return Cell(**{**values, "latency": None if latency is None else Latency(**latency)})


def _limits_to_json(limits: Limits) -> dict[str, Any]:
    return {
        "gflops": limits.gflops,
        "levels": [{**asdict(level), "capacity": _number(level.capacity)} for level in limits.levels],
    }


def _number(value: float) -> float | None:
    """JSON has neither NaN nor infinity."""
    return value if math.isfinite(value) else None
