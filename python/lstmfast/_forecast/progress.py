"""How far training is, on stderr: a bar where there are rich and a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

__all__ = ["OnEpoch", "shown"]

OnEpoch: TypeAlias = Callable[[int, float, "float | None"], Any]
SECONDS = 5.0  # between lines


@contextmanager
def shown(epochs: int, quiet: bool) -> Iterator[OnEpoch | None]:
    """Give what `Forecaster.fit` takes as on_epoch, None where nothing is to be shown.

    The time left is what all `epochs` would take; training may end earlier.
    """
    if quiet:
        yield None
    elif sys.stderr is not None and sys.stderr.isatty() and _has_rich():
        with _bar(epochs) as on_epoch:
            yield on_epoch
    else:
        yield _lines(epochs)


def _has_rich() -> bool:
    try:
        import rich.progress  # noqa: F401
    except ImportError:
        return False
    return True


@contextmanager
def _bar(epochs: int) -> Iterator[OnEpoch]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("training, epochs"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("held-out loss {task.fields[loss]}, at most"),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("training", total=epochs, loss="-")

        def on_epoch(epoch: int, loss: float, held_out: float | None) -> None:
            progress.update(task, completed=epoch, loss=f"{loss if held_out is None else held_out:.4f}")

        yield on_epoch


def _lines(epochs: int) -> OnEpoch:
    begun = said = time.monotonic()

    def on_epoch(epoch: int, loss: float, held_out: float | None) -> None:
        nonlocal said
        now = time.monotonic()
        if now - said < SECONDS:
            return
        said = now
        left = (now - begun) / epoch * (epochs - epoch)
        judged = loss if held_out is None else held_out
        print(
            f"training: epoch {epoch} of {epochs}, held-out loss {judged:.4f}, at most {left:.0f} s left",
            file=sys.stderr,
        )

    return on_epoch
