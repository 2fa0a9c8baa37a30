"""Rows cut by lengths and resets, and what they must give: what each piece gives as a batch of one row."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest

from .core_helpers import Model, assert_close
from .helpers import CELLS, Array, assert_same_bits, everything, make, parts


class Shape(NamedTuple):
    """Sizes of a call and of its model."""

    T: int
    B: int
    I: int
    H: int
    kind: str = "lstm"
    proj_size: int = 0
    layers: int = 1
    directions: int = 1

    def model(self, dtype: str, isa: str | None = None) -> Any:
        return make(
            self.kind,
            self.I,
            self.H,
            num_layers=self.layers,
            bidirectional=self.directions == 2,
            proj_size=self.proj_size,
            dtype=dtype,
            isa=isa,
        )


# Each way that the core goes (cpp/core/split.cpp, forward_loop.h and backward.cpp): how threads share a call,
# several steps' input products at once (few rows), layers that take turns over chunks of steps in inference,
# and several chunks of steps in the backward pass. Fewer and fewer rows take part as a call goes on, so one
# call goes more than one way.
SHAPES = {
    "one row, two chunks": Shape(T=300, B=1, I=5, H=64),
    "few rows, four chunks": Shape(T=300, B=3, I=20, H=64),
    "ten chunks, rows shared": Shape(T=60, B=40, I=10, H=64),
    "chunks of a step": Shape(T=5, B=150, I=9, H=130),
    "rows shared, three layers, two directions": Shape(T=8, B=31, I=6, H=24, layers=3, directions=2),
    "directions shared": Shape(T=90, B=1, I=40, H=60, layers=2, directions=2),
    "panels shared": Shape(T=20, B=2, I=30, H=200),
    "panels shared, two layers": Shape(T=11, B=3, I=3, H=253, layers=2),
    "directions and panels shared": Shape(T=6, B=1, I=100, H=253, layers=2, directions=2),
    "layers by turns, rows shared": Shape(T=37, B=150, I=3, H=40, layers=2),
    "layers by turns, panels shared": Shape(T=600, B=1, I=5, H=120, layers=2),
    "projection, rows shared": Shape(T=40, B=25, I=10, H=60, proj_size=17, layers=2),
    "projection, panels shared": Shape(T=20, B=2, I=30, H=200, proj_size=70, layers=2, directions=2),
    "RNN, rows shared": Shape(T=150, B=30, I=8, H=40, kind="rnn_relu", layers=2, directions=2),
    "RNN, panels shared": Shape(T=36, B=2, I=70, H=520, kind="rnn_tanh"),
}


NETWORKS = [(layers, bidirectional) for layers in (1, 2, 3) for bidirectional in (False, True)]

every_network = pytest.mark.parametrize(("num_layers", "bidirectional"), NETWORKS)
every_cell = pytest.mark.parametrize(("kind", "proj_size"), CELLS)
every_shape = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())


def random_lengths(T: int, B: int, seed: int = 0) -> Array:
    """Lengths in any order, 0 and T among them as far as there are rows for that."""
    rng = np.random.default_rng(seed)
    if B == 1:
        return np.array([T - T // 4])
    return rng.permutation([T, 0, *rng.integers(1, T + 1, B - 2)][:B] if B > 2 else [T, T // 2])


def random_reset(T: int, B: int, rate: float = 0.1, seed: int = 0) -> Array:
    """Marks [T, B], step 0 among them; every fourth row has many, one after the other."""
    rates = np.where(np.arange(B) % 4 == 3, 0.7, rate)
    marks: Array = np.random.default_rng(seed).random((T, B)) < rates
    marks[0, ::2] = True
    return marks


def pieces_of(length: int, marks: Array) -> list[tuple[int, int]]:
    """Where the pieces of a row begin and end; a row of length 0 is one piece without steps."""
    cuts = [t for t in range(1, length) if marks[t]]
    return list(itertools.pairwise([0, *cuts, length]))


def everything_by_pieces(
    model: Model, arguments: Any, lengths: Any = None, reset: Array | None = None
) -> dict[str, Array]:
    """What `everything` must give, of pieces without lengths and reset; parameters' gradients are float64.

    Arguments are x, state, dy and dstate, time first.
    """
    x, state, dy, dstate = arguments
    T, B = x.shape[:2]
    D = 2 if model.bidirectional else 1
    reverse = (np.arange(model.num_layers * D) % D == 1)[:, np.newaxis, np.newaxis]
    reset = np.zeros((T, B), bool) if reset is None else reset

    def masked(state: Any, row: int, where: Any) -> Any:
        taken = [np.where(where, part[:, row : row + 1], part.dtype.type(0)) for part in parts(state)]
        return tuple(taken) if isinstance(state, tuple) else taken[0]

    results = {"called": np.zeros_like(dy), "y": np.zeros_like(dy), "dx": np.zeros_like(x)}
    for n, part in enumerate(parts(state)):
        results |= {f"{name} {n}": np.zeros_like(part) for name in ("called state", "state", "dstate")}
    results |= {f"d {name}": np.zeros(array.shape) for name, array in model.parameters.items()}
    for row, length in enumerate([T] * B if lengths is None else lengths):
        for start, stop in pieces_of(length, reset[:, row]):
            ignored = length > 0 and reset[0, row]  # the initial state, by the forward direction
            takes = np.where(reverse, stop == length, start == 0 and not ignored)
            gives = np.where(reverse, start == 0, stop == length)
            alone = everything(
                model,
                x[start:stop, row : row + 1],
                masked(state, row, takes),
                dy[start:stop, row : row + 1],
                masked(dstate, row, gives),
            )
            for name, array in alone.items():
                whole = results[name]
                if name.startswith("d "):
                    whole += array
                elif "state" in name:
                    where = takes if name.startswith("dstate") else gives
                    np.copyto(whole[:, row : row + 1], array, where=where)
                else:
                    whole[start:stop, row : row + 1] = array
    return results


def assert_pieces(
    model: Model, arguments: Any, lengths: Any = None, reset: Array | None = None, **options: Any
) -> None:
    """The whole gives what the pieces give, bit by bit, but for sums over them: the parameters' gradients."""
    whole = everything(model, *arguments, lengths=lengths, reset=reset, **options)
    by_pieces = everything_by_pieces(model, arguments, lengths, reset)
    sums = [name for name in whole if name.startswith("d ")]
    assert_same_bits(
        {name: array for name, array in whole.items() if name not in sums},
        {name: array for name, array in by_pieces.items() if name not in sums},
    )
    # Of some hundred terms at most: rounding may grow where they cancel, but one that is lost shows by far.
    bound, least = (1e-10, 0.0) if model.dtype == "float64" else (1e-3, 1.0)
    assert_close(
        {name: whole[name] for name in sums},
        {name: by_pieces[name] for name in sums},
        "sums over pieces",
        gradients=bound,
        least=least,
    )
