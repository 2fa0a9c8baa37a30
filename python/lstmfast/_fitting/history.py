"""What a training was like."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class History:
    """Losses of each epoch, and how it ended.

    Attributes
    ----------
    train_loss : list of float
        Mean loss of each epoch's batches, each with the weights of its own step and with dropout.
    held_out_loss : list of float
        Loss of the held-out data after each epoch; empty where there are none.
    best_epoch : int
        The epoch, the first being 1, whose weights the models have now: with held-out data that of the least
        loss, else the last one. 0: those that they came with.
    ended : str
        "epochs": all of them were done. "early": the held-out loss fell no more. "interrupted": by
        KeyboardInterrupt.
    """

    train_loss: list[float] = field(default_factory=list)
    held_out_loss: list[float] = field(default_factory=list)
    best_epoch: int = 0
    ended: str = "epochs"

    def add(self, train_loss: float, held_out_loss: float | None) -> None:
        """Note an epoch's losses."""
        self.train_loss.append(train_loss)
        if held_out_loss is not None:
            self.held_out_loss.append(held_out_loss)

    @property
    def epochs(self) -> int:
        """How many epochs were done."""
        return len(self.train_loss)

    @property
    def best_loss(self) -> float:
        """The held-out loss of the best epoch; without held-out data its training loss. NaN before any."""
        losses = self.held_out_loss or self.train_loss
        return losses[self.best_epoch - 1] if self.best_epoch else float("nan")
