"""What the benchmark's tests of reports have in common."""

from __future__ import annotations

import io

from lstmfast._bench import table
from lstmfast._bench.results import Report


def printed(report: Report, width: int) -> str:
    """The report as a terminal of so many columns shows it."""
    terminal = table.Terminal()
    terminal.width = width
    terminal.file = io.StringIO()
    terminal.print_report(report)
    return terminal.file.getvalue()
