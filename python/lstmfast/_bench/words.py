"""Numbers and remarks in words, for the terminal and the page alike."""

from __future__ import annotations

import math

from . import inside
from .engines import BEHIND_TORCH, IN_ONNX_RUNTIME, OURS, QUANTIZED
from .memory import MODEL
from .results import Cell, Report
from .targets import Outcome, outcomes

__all__ = [
    "MEMORY_HEADS",
    "aim",
    "headline",
    "memory_line",
    "named_ratio",
    "no_time",
    "notes",
    "percent",
    "ratio",
    "time",
]

MEMORY_HEADS = ("sessions", "its own", "lstmfast", "part", "aimed at", "held: its own", "held: lstmfast")


def time(seconds: float | None) -> str:
    """Write a time with three digits in the unit that suits it."""
    if seconds is None:
        return "-"
    for unit, name in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= 0.9995 * unit:
            return f"{_three_digits(seconds / unit)}{name}"
    return f"{_three_digits(seconds * 1e6)}us"


def _three_digits(value: float) -> str:
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def ratio(value: float | None) -> str:
    """Write how many times faster we are."""
    return "-" if value is None or math.isnan(value) else f"{_three_digits(value)}x"


def named_ratio(name: str | None, value: float | None) -> str:
    """Write how many times faster we are, and than whom."""
    return ratio(value) if value is None else f"{ratio(value)} {name}"


def aim(found: Outcome) -> list[str]:
    """Say which rows and whom, what was aimed at, what was reached, and where we are slowest among them."""
    target = found.target
    return [
        f"{found.engine}: {target.rows} ({found.count})",
        f"{ratio(target.least)} {'in geometric mean' if target.mean else 'in each'}",
        f"{ratio(found.value)}{'' if found.met else ' missed'}",
        found.slowest.label,
    ]


def memory_line(found: inside.Memory) -> list[str]:
    """Say what is under `MEMORY_HEADS`."""
    part = "-" if found.part is None else f"{found.part:.2f}{'' if found.met else ' missed'}"
    return [
        str(found.sessions),
        _mebibytes(found.its.resident),
        _mebibytes(found.ours.resident),
        part,
        f"{found.most:.2f} at most",
        _mebibytes(found.its.held),
        _mebibytes(found.ours.held),
    ]


def _mebibytes(count: int | None) -> str:
    return "-" if count is None else f"{count / 2**20:.0f} MiB"


def percent(value: float | None) -> str:
    """Write a part."""
    return "-" if value is None else f"{value:.0%}"


def no_time(cell: Cell | None, between: str = " ") -> str:
    """Say in a few words why an engine has no time in a row: "wrong by 0.3", its two words with `between`."""
    if cell is None or cell.status not in {"wrong", "failed"}:
        return "-"
    if cell.status == "failed" or cell.difference is None:
        return cell.status
    return f"wrong{between}by {cell.difference:.1g}"


def headline(report: Report) -> list[str]:
    """Say where and how it was measured, and what the machine itself can do."""
    settings, machine = report.settings, report.machine
    threads = settings["threads"]
    what = (
        f"lstmfast {machine['lstmfast']}, {report.isa}, {threads} thread{'s' if threads > 1 else ''}, float32"
    )
    where = f"{machine['CPU']}, {machine['CPUs usable']} CPU(s) usable, load {machine['load']}"
    lines = [f"{what}; {where}; {settings['date']}"]
    if limits := report.limits:
        loads = ", ".join(f"{level.name} {level.gbps:.0f}" for level in limits.levels)
        lines.append(
            f"The machine itself: {limits.gflops:.0f} GFLOP/s of multiply-adds; "
            + (f"loads in GB/s: {loads}" if loads else "its caches are not known")
        )
    return lines


def notes(report: Report) -> list[str]:
    """Say how to read the table, who is missing, what went wrong, and what each engine was told."""
    lines = [
        "Times are those of one call, the best round of each; 2.00x: that engine takes twice our time.",
        "*: the fastest other float32 engine. of limit: 100% is the least time that multiply-adds and reading"
        " the weights take on this machine.",
    ]
    if report.wrong:
        lines.append(
            "wrong by: what a result is off by, in units of the reference's largest value; it is no time,"
            " and no rival."
        )
    if any(row.case.valid < 100 for row in report.rows):
        lines.append(
            "% valid: rows of different lengths; GFLOP/s and limit count that part of T*B steps, no others."
        )
    if any(row.case.reset for row in report.rows):
        lines.append("reset n %: at n % of the T*B places a row starts anew, from the zero state.")
    if any(row.case.recompute for row in report.rows):
        lines.append(
            f"recompute: {OURS} keeps no gates and computes them once more, which counts as no work;"
            " the others train as ever."
        )
    if any(row.case.stepwise for row in report.rows):
        lines.append(
            f"stepwise: each step is a call of its own, as where a program decides in between; of {OURS} a"
            " stream's, and in training forward and backward of one step; of PyTorch a step module's, such as"
            " LSTMCell."
        )
    if any(row.case.work == "pool" for row in report.rows):
        lines.append("pool: a step of B streams, each with a state of its own, in another order each time.")
    if any(row.case.work == "chain" for row in report.rows):
        lines.append(
            "chain: T nodes of one step in one graph, which share their weights; the time is that of all."
        )
    if report.latencies:
        lines.append(
            "p50, p99, p99.9: within this time so many percent of single calls are done, the clock's own time"
            " (some 0.1 us) included."
        )
    if outcomes(report):
        lines.append(
            "aimed at: how many times our time the fastest other float32 engine, or the one that is named,"
            " was to take, and in how many rows; missed: it took less."
        )
    foreign = [engine for engine in report.engines if engine.name not in QUANTIZED]
    if others := [engine.name for engine in foreign if engine.precision != "float32"]:
        lines.append(f"{', '.join(others)}: another precision, shown but never the fastest other engine.")
    if report.quantized_suites:
        lines.append(
            f"quantised weights: {OURS} with smaller ones, never the fastest other engine; 2.00x: that engine"
            " takes twice the time of these weights. of limit: with int8 reading them alone, and so only with"
            " one row."
        )
    if kin := [engine.name for engine in report.engines if engine.name in BEHIND_TORCH]:
        lines.append(f"{', '.join(kin)}: {OURS} behind PyTorch's modules, never the fastest other engine.")
    pairs = {pair for found in inside.suites(report).values() for pair in found}
    if any(ours in IN_ONNX_RUNTIME for ours, _ in pairs):
        lines.append(
            "in ONNX Runtime: whole sessions of the same model with the same options, inputs and outputs"
            " bound, with its own operators and with lstmfast's. Its threads look for more work for some 40"
            " ms before they sleep, unless it says no spinning; nobody's turn begins before they sleep."
        )
    if pairs:
        there = [ours for ours, its in inside.pairs(report).items() if (ours, its) in pairs]
        lines.append(f"{', '.join(there)}: {OURS} inside others, never the fastest other engine.")
    if any(row.case.work in {"predict", "fit"} for row in report.rows):
        lines.append(
            "predict, fit: predict_on_batch and train_on_batch of Keras, with Adam; NumPy arrays in and out."
        )
    if inside.memory(report):
        lines.append(
            "sessions: by how much a process grows that makes so many of a model of"
            f" {_mebibytes(MODEL.weight_bytes)}, in whole MiB. held: what of it stays when what was freed is"
            " given back to the system."
        )
    lines += [f"{engine.name}: not measured: {engine.missing}" for engine in report.engines if engine.missing]
    lines += report.failures
    lines += report.remarks
    for engine in report.engines:
        if engine.missing is None and engine.name != OURS:
            told = "; ".join(f"{key} {value}" for key, value in engine.settings.items())
            lines.append(f"{engine.name} {engine.version}: {told}")
    if report.trouble:
        lines.append(f"Not finished: {report.trouble}")
    return lines
