"""What a call is beside its arrays: all that makes one compiled call differ from another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .. import _core
from .._base.parameters import Layout

STATES = ("h0", "c0")
CUTS = ("lengths", "reset", "dropped")


@dataclass(frozen=True)
class Spec:
    """Configuration of a call; hashable, for JAX compares it to find what it has compiled.

    Its arrays are x, those of `given` in that order, and the weights in the core's order.
    """

    cell: str  # the core's
    layout: Layout
    variant: tuple[Any, ...] | None  # as the core takes it
    has_memory: bool
    batch_first: bool
    recompute: bool
    dropout: float
    given: tuple[str, ...]  # of STATES and CUTS, in their order
    returns_c: bool = False  # whether c of every step is a result
    samples: int = -1  # how many calls it is in one, along a leading axis of its arrays; -1: one, without it

    def with_rows_first(self) -> Spec:
        """Return the same for x and y [B, T, ...]."""
        return replace(self, batch_first=True)

    def of_samples(self, samples: int) -> Spec:
        """Return the same for so many calls in one."""
        return replace(self, samples=samples)

    @property
    def weights(self) -> int:
        """How many weights there are."""
        return self.layout.count

    @property
    def names(self) -> tuple[str, ...]:
        """Name the arrays; weights are all called so."""
        return ("x", *self.given, *("weight",) * self.weights)

    @property
    def passes(self) -> int:
        """L*D."""
        return self.layout.num_layers * self.layout.directions

    def extent(self, x_shape: tuple[int, ...]) -> tuple[int, int]:
        """T and B, of the shape of a sample's x."""
        first, second = x_shape[-3:-1]
        return (second, first) if self.batch_first else (first, second)

    def ranks(self) -> tuple[int, ...]:
        """Axes of each array, without the samples'."""
        ranks = {"x": 3, "h0": 3, "c0": 3, "lengths": 1, "reset": 2, "dropped": 4}
        shapes = [len(shape) for _, shape, _ in self.layout.shapes()]
        return (3, *(ranks[name] for name in self.given), *shapes)

    def result_shapes(self, x_shape: tuple[int, ...]) -> list[tuple[int, ...]]:
        """Shapes of a sample's y, h_n and, of a cell with memory, c_n; and c, where it is returned."""
        rows = self.extent(x_shape)[1]
        layout = self.layout
        shapes = [
            (*x_shape[-3:-1], layout.features),
            (self.passes, rows, layout.output_size),
        ]
        if self.has_memory:
            shapes.append((self.passes, rows, layout.hidden_size))
        if self.returns_c:
            shapes.append((*x_shape[-3:-1], layout.directions * layout.hidden_size))
        return shapes

    def tape_numbers(self, x_shape: tuple[int, ...], dtype: Any) -> int:
        """Count the numbers of a sample's tape."""
        steps, rows = self.extent(x_shape)
        layout = self.layout
        return _core.jax_tape_numbers(
            np.dtype(dtype) == np.float64,
            steps * rows,
            rows,
            self.recompute,
            "dropped" in self.given,
            self.cell,
            layout.input_size,
            layout.hidden_size,
            layout.num_layers,
            layout.bidirectional,
            layout.bias,
            layout.proj_size,
            self.variant,
            layout.reverse,
        )

    def attributes(
        self, given: tuple[str, ...], wanted: tuple[str, ...] = (), gradients: str = ""
    ) -> dict[str, Any]:
        """Say it all for a handler, by name, so that a program says it by itself wherever it is loaded."""
        layout = self.layout
        numbers: dict[str, Any] = {
            "input_size": layout.input_size,
            "hidden_size": layout.hidden_size,
            "num_layers": layout.num_layers,
            "bidirectional": layout.bidirectional,
            "bias": layout.bias,
            "proj_size": layout.proj_size,
            "reverse": layout.reverse,
            "batch_first": self.batch_first,
            "recompute": self.recompute,
            "samples": self.samples,
            "variant": self.variant is not None,
        }
        attributes: dict[str, Any] = {name: np.int64(number) for name, number in numbers.items()}
        attributes["cell"] = self.cell
        attributes["dropout_scale"] = np.float64(1 / (1 - self.dropout) if self.dropout < 1 else 0.0)
        attributes["given"] = " ".join(given)
        attributes["wanted"] = " ".join(wanted)
        attributes["gradients"] = gradients
        if self.variant is not None:
            *activations, clip, peephole = self.variant
            for letter, (name, alpha, beta) in zip("fgh", activations, strict=True):
                attributes[letter] = name
                attributes[f"{letter}_alpha"] = np.float64(alpha)
                attributes[f"{letter}_beta"] = np.float64(beta)
            attributes["clip"] = np.float64(clip)
            attributes["peephole"] = np.int64(peephole)
        return attributes
