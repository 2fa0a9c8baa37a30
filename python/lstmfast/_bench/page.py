"""The report as one page that opens from disk: pictures and style inside, nothing fetched, no scripts."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from html import escape

from . import inside, pictures
from .engines import OURS, QUANTIZED
from .results import Report, Row
from .targets import outcomes
from .words import MEMORY_HEADS, aim, headline, memory_line, named_ratio, no_time, notes, percent, ratio, time

__all__ = ["render"]

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1400px; padding: 0 1em; }
table { border-collapse: collapse; margin: 1em 0; font-size: 13px; }
th, td { padding: 3px 8px; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
tr.mean td { font-weight: bold; background: #f4f4f4; }
td.fastest { background: #e3eef7; }
td.bad { color: #b00020; }
td small { color: #666; }
img { max-width: 100%; }
dl { display: grid; grid-template-columns: max-content auto; gap: 2px 1em; }
dt { font-weight: bold; }
dd { margin: 0; overflow-wrap: anywhere; }
"""


def render(report: Report) -> str:
    """Return the page."""
    title = (
        f"lstmfast bench: {report.machine.get('CPU', 'unknown CPU')}, {report.settings['threads']} thread(s)"
    )
    body = [f"<h1>{escape(title)}</h1>"]
    if report.machine:
        body += [f"<p>{escape(line)}</p>" for line in headline(report)]
    body += [
        _picture("Speed-ups", pictures.speedups(report)),
        _picture("Roofline", pictures.roofline(report)),
    ]
    body += [_suite(report, suite, rows) for suite, rows in report.suites.items()]
    if len(report.suites) > 1:
        body.append(_table(report, "All rows", [_mean(report, report.rows)]))
    if report.quantized_suites:
        body.append(_quantized(report))
    if inside.suites(report):
        body.append(_inside(report))
    if outcomes(report):
        body.append(_targets(report))
    if inside.memory(report):
        body.append(_memory(report))
    if report.latencies:
        body.append(_latencies(report))
    body.append(
        "<h2>Notes</h2><ul>" + "".join(f"<li>{escape(line)}</li>" for line in notes(report)) + "</ul>"
    )
    body.append(_facts("Machine", report.machine))
    body.append(_facts("Settings", {k: _plain(v) for k, v in report.settings.items()}))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _picture(name: str, svg: bytes) -> str:
    data = base64.b64encode(svg).decode("ascii")
    return f'<h2>{name}</h2><img alt="{name}" src="data:image/svg+xml;base64,{data}">'


def _suite(report: Report, suite: str, rows: list[Row]) -> str:
    lines = [_row(report, row) for row in rows]
    return _table(report, suite, [*lines, _mean(report, rows)])


def _quantized(report: Report) -> str:
    heads = ["suite", "shape", "weights", "time", "of limit", "lstmfast float32"]
    heads += ["fastest other float32", "fastest other int8"]
    lines = []
    for suite, rows in report.quantized_suites.items():
        for row in rows:
            for name, weights in report.quantized.items():
                (_, to_ours), *others = report.references(row, name).values()
                lines.append(
                    f"<tr><td>{escape(suite)}</td><td>{escape(row.case.label)}</td><td>{weights}</td>"
                    + _time(row, name, "")
                    + f"<td>{percent(report.reached_quantized(row, name))}</td><td>{ratio(to_ours)}</td>"
                    + "".join(f"<td>{escape(named_ratio(*each))}</td>" for each in others)
                    + "</tr>"
                )
        for name, weights in report.quantized.items():
            means = report.mean_references(rows, name).values()
            cells = "".join(f"<td>{ratio(mean)}</td>" for mean in means)
            lines.append(
                f'<tr class="mean"><td>{escape(suite)}</td><td>geometric mean</td><td>{weights}</td>'
                f"<td></td><td></td>{cells}</tr>"
            )
    return _tabled("Quantised weights", heads, lines)


def _inside(report: Report) -> str:
    heads = ("suite", "shape", "in", "its own", "lstmfast", "faster")
    lines = []
    for suite, found in inside.suites(report).items():
        for (ours, its), rows in found.items():
            place = f"<td>{escape(inside.place(ours))}</td>"
            for row in rows:
                lines.append(
                    f"<tr><td>{escape(suite)}</td><td>{escape(row.case.label)}</td>{place}"
                    + "".join(_time(row, name, "", alone=True) for name in (its, ours))
                    + f"<td>{ratio(row.ratio(its, ours))}</td></tr>"
                )
            mean = ratio(inside.mean(rows, ours, its))
            lines.append(
                f'<tr class="mean"><td>{escape(suite)}</td><td>geometric mean</td>{place}'
                f"<td></td><td></td><td>{mean}</td></tr>"
            )
    return _tabled("Inside others", heads, lines)


def _memory(report: Report) -> str:
    lines = []
    for found in inside.memory(report):
        cells = "".join(f"<td>{escape(text)}</td>" for text in memory_line(found))
        lines.append(f"<tr>{cells}</tr>")
    return _tabled("Memory of sessions", MEMORY_HEADS, lines)


def _targets(report: Report) -> str:
    lines = []
    for found in outcomes(report):
        rows, least, value, slowest = map(escape, aim(found))
        kind = "" if found.met else ' class="bad"'
        lines.append(
            f"<tr><td>{escape(found.suite)}</td><td>{rows}</td><td>{least}</td><td{kind}>{value}</td>"
            f"<td>{slowest}</td></tr>"
        )
    return _tabled("Targets", ("suite", "rows", "aimed at", "reached", "slowest"), lines)


def _latencies(report: Report) -> str:
    lines = [
        f"<tr><td>{escape(row.case.label)}</td><td>{escape(name)}</td><td>{latency.calls:,}</td>"
        + "".join(f"<td>{time(part)}</td>" for part in latency.parts)
        + "</tr>"
        for row in report.latencies
        for name, latency in report.latencies_of(row)
    ]
    return _tabled("Single calls", ("shape", "engine", "calls", "p50", "p99", "p99.9"), lines)


def _table(report: Report, title: str, lines: Iterable[str]) -> str:
    heads = ["shape", OURS, "GFLOP/s", "of limit", "to fastest other", *report.others]
    return _tabled(escape(title), map(escape, heads), lines)


def _tabled(title: str, heads: Iterable[str], lines: Iterable[str]) -> str:
    """Return a table under its title; all of it is HTML already."""
    head = "".join(f"<th>{name}</th>" for name in heads)
    return f"<h2>{title}</h2><table><tr>{head}</tr>{''.join(lines)}</table>"


def _row(report: Report, row: Row) -> str:
    gflops = report.gflops(row)
    cells = [
        f"<td>{escape(row.case.label)}</td>",
        _time(row, OURS, ""),
        f"<td>{'-' if gflops is None else f'{gflops:.3g}'}</td>",
        f"<td>{percent(report.reached(row))}</td>",
        f"<td><b>{ratio(report.ratio(row))}</b></td>",
    ]
    fastest = report.fastest_other(row)
    for name in report.others:
        cells.append(_time(row, name, ' class="fastest"' if name == fastest else ""))
    return f"<tr>{''.join(cells)}</tr>"


def _time(row: Row, name: str, kind: str, *, alone: bool = False) -> str:
    cell = row.cells.get(name)
    if cell is None or cell.status == "unsupported":
        return "<td>-</td>"
    best = row.best(name)
    if best is None:
        return f'<td class="bad" title="{escape(cell.note)}">{no_time(cell)}</td>'
    times = "" if alone or name in {OURS, *QUANTIZED} else f"<small> {ratio(row.ratio(name))}</small>"
    return (
        f'<td{kind} title="median {time(cell.median)}, {len(cell.seconds)} rounds">{time(best)}{times}</td>'
    )


def _mean(report: Report, rows: list[Row]) -> str:
    means = [report.mean_ratio(rows), *(report.mean_ratio(rows, name) for name in report.others)]
    cells = "".join(f"<td>{ratio(mean)}</td>" for mean in means)
    return f'<tr class="mean"><td>geometric mean</td><td></td><td></td><td></td>{cells}</tr>'


def _facts(title: str, facts: Mapping[str, str]) -> str:
    items = "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in facts.items())
    return f"<h2>{title}</h2><dl>{items}</dl>"


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key}={item}" for key, item in value.items())
    if isinstance(value, list):
        return " ".join(map(str, value))
    return str(value)
