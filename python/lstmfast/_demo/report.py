"""What the demo says on the terminal: a bar while it trains, a table for each result."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import lstmfast

from .gradients import STEPS, Curve
from .pictures import Forecasts
from .series import root_mean_squared_error
from .speed import Row


class Terminal(Console):
    """Prints what it is given: no markup in it, no guessed colours, no path cut in two."""

    def __init__(self) -> None:
        super().__init__(markup=False, highlight=False, soft_wrap=True)

    def on_broken_pipe(self) -> None:
        """Let the BrokenPipeError at hand go on to the command line, which knows what to do."""
        raise


@contextmanager
def training_bar(epochs: int) -> Iterator[Callable[[int, float], None]]:
    """Show a bar on stderr; the value is `on_epoch` for `train.train`."""
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("training", total=epochs, loss="-")
        yield lambda epoch, loss: progress.update(task, completed=epoch, loss=f"{loss:.4f}")


def forecast_table(forecasts: Forecasts) -> Table:
    """Show the errors on the held-out years."""
    truth = forecasts.numbers[-forecasts.held_out :]
    naive = root_mean_squared_error(forecasts.naive, truth)
    table = _table(
        f"Root mean squared error one year ahead, "
        f"{forecasts.years[-forecasts.held_out]}-{forecasts.years[-1]}"
    )
    table.add_column("forecast")
    table.add_column("sunspot numbers", justify="right")
    table.add_column("of naive", justify="right")
    for name, values in [("naive: same as last year", forecasts.naive), ("LSTM", forecasts.lstm)]:
        error = root_mean_squared_error(values, truth)
        table.add_row(name, f"{error:.1f}", f"{error / naive:.0%}")
    return table


def gradient_table(curves: list[Curve]) -> Table:
    """Show what is left of each gradient at the first step."""
    table = _table(f"Gradient {STEPS} steps before the loss (1 = at the last step)")
    table.add_column("network")
    table.add_column("weights")
    table.add_column("norm", justify="right")
    table.add_column("per step", justify="right")
    for curve in curves:
        per_step = curve.at_start ** (1 / STEPS)
        table.add_row(curve.cell, curve.weights, f"{curve.at_start:.1e}", f"x {per_step:.2f}")
    return table


def speed_table(hidden: int, rows: list[Row]) -> Table:
    """Show times beside those of the NumPy reference."""
    threads = lstmfast.get_num_threads()
    table = _table(
        f"Speed against the NumPy reference: {hidden} units, float32, {lstmfast.isa()}, "
        f"{threads} thread{'s' if threads > 1 else ''}"
    )
    table.add_column("steps\nx rows")
    table.add_column("work")
    for name in ("lstmfast, ms", "NumPy, ms", "times faster"):
        table.add_column(f"{name}\nbest / median", justify="right")
    for row in rows:
        table.add_row(
            row.shape,
            row.work,
            *(f"{_ms(min(t))} / {_ms(statistics.median(t))}" for t in (row.ours, row.reference)),
            f"{row.ratio:.1f} / {row.median_ratio:.1f}",
        )
    return table


def _ms(seconds: float) -> str:
    ms = 1e3 * seconds
    return f"{ms:.3f}" if ms < 1 else f"{ms:.2f}"


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
    )
