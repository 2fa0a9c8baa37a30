"""One case: the sizes of an LSTM and what is done with it, and the work that no implementation can save."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

__all__ = ["WORKS", "Case", "Work"]

# sequence: inference over T steps from a zero state. step: one step, its state carried from call to call,
# as a program that streams does. train: forward over T steps, then gradients of x and of every weight.
Work: TypeAlias = Literal["sequence", "step", "train"]
WORKS: tuple[Work, ...] = get_args(Work)

FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class Case:
    """Sizes: T time steps, B batch rows, I input, H hidden; layers and directions as in PyTorch."""

    T: int
    B: int
    I: int
    H: int
    layers: int = 1
    directions: int = 1
    work: Work = "sequence"
    suite: str = "own"

    @property
    def label(self) -> str:
        """All sizes on one line: T=100 B=1 train I=64 H=64 L=2 D=2."""
        train = " train" if self.work == "train" else ""
        deep = f" L={self.layers} D={self.directions}" if self.layers > 1 or self.directions > 1 else ""
        return f"T={self.T} B={self.B}{train} I={self.I} H={self.H}{deep}"

    @property
    def input_sizes(self) -> list[int]:
        """What each layer takes: I, and then the outputs of both directions of the layer below."""
        return [self.I] + [self.directions * self.H] * (self.layers - 1)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all matrices in float32; biases are left out, here and in `limits`."""
        return sum(FLOAT32 * 4 * self.H * (size + self.H) for size in self.input_sizes) * self.directions

    @property
    def flops(self) -> int:
        """Operations of the matrix products, a multiplication and an addition each.

        The gates of a step take 2 * 4H * (I + H) a row, for each layer and direction. Training takes them
        three times: forward, gradients of inputs, gradients of weights.
        """
        one = sum(2 * 4 * self.H * (size + self.H) for size in self.input_sizes)
        return one * self.directions * self.T * self.B * (3 if self.work == "train" else 1)

    @property
    def reference_bytes(self) -> int:
        """About what the float64 reference holds at once: ten arrays of H numbers a step, row and layer."""
        states = self.T * self.B * self.layers * self.directions * self.H
        return 8 * (10 * states + 2 * self.T * self.B * self.I) + 3 * self.weight_bytes
