"""One case: the sizes of a network and what is done with it, and the work that no implementation can save."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from lstmfast._base.kinds import BY_NAME, KINDS, Kind

__all__ = ["CELLS", "WORKS", "Case", "Cell", "Work"]

# sequence: inference over T steps from a zero state. step: one step, its state carried from call to call,
# as a program that streams does. pool: one step of B streams, each with a state of its own, that come in
# another order each time, as on a server. chain: T nodes of one step in one graph, which share their weights,
# from a zero state; each takes as x what the one before it has put out, as in a decoder that was unrolled.
# train: forward over T steps, then gradients of x and of every weight. predict, fit: what Keras itself makes
# of a batch, from NumPy arrays to NumPy arrays: results, or one step of training with loss and optimiser.
Work: TypeAlias = Literal["sequence", "step", "pool", "chain", "train", "predict", "fit"]
WORKS: tuple[Work, ...] = get_args(Work)

# Each kind's first cell: rnn is the vanilla RNN with tanh.
Cell: TypeAlias = str  # one of these
CELLS = tuple(kind.name.lower() for kind in KINDS if kind.in_torch)

FLOAT32 = 4  # bytes


@dataclass(frozen=True)
class Case:
    """Sizes: T time steps, B batch rows, I input, H hidden; layers and directions as in PyTorch.

    With less than 100 percent `valid` the rows have lengths of their own, the longest T, whose sum is that
    part of T * B. At `reset` percent of all T * B places a row starts anew, from the zero state. With
    `recompute` training keeps no gates, where an engine can do without; others train as ever.

    With `stepwise` each step is a call of its own, of a step module where an engine has such, as in programs
    that decide in between what comes next: a step is one call, and training a loop over T of them.
    """

    T: int
    B: int
    I: int
    H: int
    layers: int = 1
    directions: int = 1
    work: Work = "sequence"
    cell: Cell = "lstm"
    valid: int = 100
    reset: int = 0
    recompute: bool = False
    stepwise: bool = False
    suite: str = "own"

    @property
    def label(self) -> str:
        """All sizes on one line: T=100 B=1 RNN train I=64 H=64 L=2 D=2 65 % valid."""
        return " ".join(self.label_parts)

    @property
    def label_parts(self) -> list[str]:
        """The same for narrow columns: what comes in, the network, and each thing that few rows have."""
        kind = f" {self.kind.name}" if self.cell != "lstm" else ""
        work = f" {self.work}" if self.work in {"train", "pool", "chain"} else ""
        deep = f" L={self.layers} D={self.directions}" if self.layers > 1 or self.directions > 1 else ""
        parts = [f"T={self.T} B={self.B}{kind}{work}", f"I={self.I} H={self.H}{deep}"]
        if self.work in {"predict", "fit"}:
            parts.append(self.work)
        if self.valid < 100:
            parts.append(f"{self.valid} % valid")
        if self.reset:
            parts.append(f"reset {self.reset} %")
        parts += ["recompute"] if self.recompute else []
        return [*parts, "stepwise"] if self.stepwise else parts

    @property
    def kind(self) -> Kind:
        """The kind of its layers."""
        return BY_NAME[self.cell.upper()]

    @property
    def goes_on(self) -> bool:
        """Whether the state is carried on from call to call."""
        return self.work in {"step", "pool"}

    @property
    def trains(self) -> bool:
        """Whether there is a backward pass."""
        return self.work in {"train", "fit"}

    @property
    def gates(self) -> int:
        """How many times H numbers a step computes from x and h."""
        return self.kind.gates

    @property
    def halves(self) -> int:
        """Of how many arrays a state is: h and, of an LSTM, c."""
        return len(self.kind.states)

    @property
    def states(self) -> list[str]:
        """Name each layer's h and, of an LSTM, c, layer by layer: h0, c0, h1, c1."""
        return [name for layer in range(self.layers) for name in self.states_of(layer)]

    def states_of(self, layer: int) -> list[str]:
        """Name one layer's."""
        return [f"{half}{layer}" for half in "hc"[: self.halves]]

    @property
    def steps(self) -> int:
        """Steps of all rows together that are within their row's length."""
        return round(self.T * self.B * self.valid / 100)

    @property
    def starts(self) -> int:
        """At how many places a row starts anew."""
        return round(self.T * self.B * self.reset / 100)

    @property
    def input_sizes(self) -> list[int]:
        """What each layer takes: I, and then the outputs of both directions of the layer below."""
        return [self.I] + [self.directions * self.H] * (self.layers - 1)

    @property
    def weight_bytes(self) -> int:
        """Bytes of all matrices in float32; biases are left out, here and in `limits`."""
        one = sum(FLOAT32 * self.gates * self.H * (size + self.H) for size in self.input_sizes)
        return one * self.directions

    @property
    def flops(self) -> int:
        """Operations of the matrix products, a multiplication and an addition each.

        The four gates of a step take 2 * 4H * (I + H) a row, for each layer and direction, a GRU's three
        gates three quarters of that, the one sum of an RNN a quarter; steps past a row's length take none.
        Training takes them three times: forward, gradients of inputs, gradients of weights. Gates that are
        computed once more are no work that has to be done, and do not count.
        """
        one = sum(2 * self.gates * self.H * (size + self.H) for size in self.input_sizes)
        return one * self.directions * self.steps * (3 if self.trains else 1)

    @property
    def reference_bytes(self) -> int:
        """About what the float64 reference holds at once: ten arrays of H numbers a step, row and layer."""
        states = self.T * self.B * self.layers * self.directions * self.H
        return 8 * (10 * states + 2 * self.T * self.B * self.I) + 3 * self.weight_bytes
