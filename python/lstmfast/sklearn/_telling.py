"""What verbose estimators say."""

from __future__ import annotations


def tell(epoch: int, train_loss: float, held_out_loss: float | None) -> None:
    """Print an epoch's losses."""
    held_out = "" if held_out_loss is None else f", held out {held_out_loss:.6f}"
    print(f"epoch {epoch}: loss {train_loss:.6f}{held_out}")
