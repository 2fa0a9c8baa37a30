"""What a run says on the terminal: a bar while it measures, then one table, and how to read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from . import inside
from .engines import OURS
from .results import Report, Row
from .targets import outcomes
from .words import MEMORY_HEADS, aim, headline, memory_line, named_ratio, no_time, notes, percent, ratio, time

__all__ = [
    "Terminal",
    "inside_table",
    "latencies_table",
    "memory_table",
    "progress",
    "quantized_table",
    "results_table",
    "targets_table",
]

WIDTH_OF_A_FILE = 132  # columns, where the output goes to no terminal
ANY_WIDTH = 1000


class Terminal(Console):
    """Prints what it is given: no markup in it, no guessed colours."""

    def __init__(self) -> None:
        super().__init__(markup=False, highlight=False)
        if not self.is_terminal:
            self.width = WIDTH_OF_A_FILE

    def print_report(self, report: Report) -> None:
        """Print everything."""
        for line in headline(report):
            self.print(line, soft_wrap=True)
        self.print()
        for found in self._fitting(report):
            self.print(found)
        if report.quantized_suites:
            self.print(quantized_table(report))
        if inside.suites(report):
            self.print(inside_table(report))
        if report.latencies:
            self.print(latencies_table(report))
        if outcomes(report):
            self.print(targets_table(report))
        if inside.memory(report):
            self.print(memory_table(report))
        for line in notes(report):
            self.print(line)

    def _fitting(self, report: Report) -> list[Table]:
        """Return the table; if it is wider than the terminal, without the engines of another precision.

        If that is too wide as well, with all of them in as many tables as it takes.
        """
        for names in (report.others, report.rivals()):
            if self._fits(found := results_table(report, names)):
                return [found]
        parts: list[list[str]] = [[]]
        for name in report.others:
            if parts[-1] and not self._fits(results_table(report, [*parts[-1], name])):
                parts.append([])
            parts[-1].append(name)
        return [results_table(report, names) for names in parts]

    def _fits(self, table: Table) -> bool:
        return Measurement.get(self, self.options.update(width=ANY_WIDTH), table).maximum <= self.width

    def on_broken_pipe(self) -> None:
        """Let the BrokenPipeError at hand go on to the command line, which knows what to do."""
        raise


@contextmanager
def progress(rows: int) -> Iterator[Callable[[int, str], None]]:
    """Show a bar on stderr; the value is told how many rows are done, and what comes now.

    It draws when it is told something and never by itself: drawing takes time that is being measured.
    """
    columns = (
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as bar:
        task = bar.add_task("starting", total=rows)

        def show(done: int, doing: str) -> None:
            bar.update(task, completed=done, description=doing, refresh=True)

        yield show


def results_table(report: Report, others: list[str]) -> Table:
    """Lay out all rows, suite by suite, each with the geometric means of its ratios to the `others`."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("suite\nshape", no_wrap=True)
    table.add_column("lstmfast\nGFLOP/s", justify="right", no_wrap=True)
    table.add_column("of\nlimit", justify="right", no_wrap=True)
    table.add_column("fastest\nother", justify="right", no_wrap=True, style="bold")
    for name in others:
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    for suite, rows in report.suites.items():
        table.add_row(suite, style="bold")
        for row in rows:
            table.add_row(*_cells(report, row, others))
        table.add_row(*_means(report, "geometric mean", rows, others), end_section=True)
    if len(report.suites) > 1:
        table.add_row(*_means(report, "all rows", report.rows, others), style="bold")
    return table


def targets_table(report: Report) -> Table:
    """Lay out what suites were to show, and what they did."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("suite\nrows", "\naimed at", "\nreached", "\nslowest"):
        table.add_column(name)
    suite = ""
    for found in outcomes(report):
        if found.suite != suite:
            table.add_row(suite := found.suite, style="bold")
        table.add_row(*aim(found), style="" if found.met else "bold")
    return table


def inside_table(report: Report) -> Table:
    """Lay out what others take with what they have themselves, beside what they take with ours."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("inside others\nshape", no_wrap=True)
    for name in ("\nits own", "\nlstmfast", "\nfaster"):
        table.add_column(name, justify="right", no_wrap=True)
    for suite, found in inside.suites(report).items():
        for (ours, its), rows in found.items():
            table.add_row(f"{suite}, in {inside.place(ours)}", style="bold")
            for row in rows:
                times = [_time(row, name) for name in (its, ours)]
                table.add_row(row.case.label, *times, ratio(row.ratio(its, ours)))
            table.add_row("geometric mean", "", "", ratio(inside.mean(rows, ours, its)))
    return table


def memory_table(report: Report) -> Table:
    """Lay out by how much a process grows for sessions of one model."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name in MEMORY_HEADS:
        table.add_column(name, justify="right")
    for found in inside.memory(report):
        table.add_row(*memory_line(found), style="" if found.met else "bold")
    return table


def _time(row: Row, name: str) -> str:
    best = row.best(name)
    return no_time(row.cells.get(name)) if best is None else time(best)


def latencies_table(report: Report) -> Table:
    """Lay out what part of single calls is done within what time, for every engine that was so timed."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("single calls\nshape", no_wrap=True)
    table.add_column("engine", no_wrap=True)
    for name in ("calls", "p50", "p99", "p99.9"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in report.latencies:
        for k, (name, latency) in enumerate(report.latencies_of(row)):
            shape = row.case.label if k == 0 else ""
            table.add_row(shape, name, f"{latency.calls:,}", *map(time, latency.parts))
    return table


def quantized_table(report: Report) -> Table:
    """Lay out our quantised engines, of each row one below the other, beside what they are held against."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("quantised\nshape", "lstmfast\nweights"):
        table.add_column(name, no_wrap=True)
    for name in ("\ntime", "of\nlimit", "lstmfast\nfloat32"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("fastest other\nfloat32", "fastest other\nint8"):
        table.add_column(name, no_wrap=True)
    for suite, rows in report.quantized_suites.items():
        table.add_row(suite, style="bold")
        for row in rows:
            lines = [_quantized(report, row, name) for name in report.quantized]
            table.add_row("\n".join(row.case.label_parts), *map("\n".join, zip(*lines, strict=True)))
        lines = [_quantized_means(report, rows, name) for name in report.quantized]
        table.add_row("geometric mean", *map("\n".join, zip(*lines, strict=True)), end_section=True)
    return table


def _quantized(report: Report, row: Row, name: str) -> list[str]:
    (_, to_ours), *others = report.references(row, name).values()
    return [
        report.quantized[name],
        _time(row, name),
        percent(report.reached_quantized(row, name)),
        ratio(to_ours),
        *(named_ratio(*each) for each in others),
    ]


def _quantized_means(report: Report, rows: list[Row], name: str) -> list[str]:
    return [report.quantized[name], "", "", *map(ratio, report.mean_references(rows, name).values())]


def _cells(report: Report, row: Row, others: list[str]) -> list[str]:
    case = row.case
    ours, gflops = row.best(OURS), report.gflops(row)
    fastest = report.fastest_other(row)
    return [
        "\n".join(case.label_parts),
        f"{time(ours)}\n{gflops:.3g}" if ours and gflops else no_time(row.cells.get(OURS), "\n"),
        percent(report.reached(row)),
        ratio(report.ratio(row)),
        *(_other(row, name, fastest) for name in others),
    ]


def _other(row: Row, name: str, fastest: str | None) -> str:
    best = row.best(name)
    if best is None:
        return no_time(row.cells.get(name), "\n")
    return f"{time(best)}\n{ratio(row.ratio(name))}{'*' if name == fastest else ' '}"


def _means(report: Report, title: str, rows: list[Row], others: list[str]) -> list[str]:
    return [
        title,
        "",
        "",
        ratio(report.mean_ratio(rows)),
        *(f"{ratio(report.mean_ratio(rows, name))} " for name in others),
    ]
