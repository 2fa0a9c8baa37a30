"""What several test files need: the ISAs of this machine, models of every kind, and comparison bit by bit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import lstmfast
from lstmfast._base.kinds import BY_CELL, class_named

Array: TypeAlias = NDArray[Any]

ROOT = Path(__file__).resolve().parents[1]  # of the checkout
# README.md's examples in Python.
EXAMPLES = re.findall(
    r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.S | re.M
)

ISAS = lstmfast.available_isas()
DTYPES = ("float32", "float64")
# By the names of their cells: those that PyTorch has as well. Others have tests of their own.
KINDS = tuple(name for name, kind in BY_CELL.items() if kind.in_torch)
# Every one of them, and a projection where it has one.
CELLS = tuple((name, size) for name in KINDS for size in ((0, 4) if BY_CELL[name].projects else (0,)))


def make(kind: str, input_size: int, hidden_size: int, **options: Any) -> Any:
    """A layer of one of `KINDS`; options are the constructor's, with seed 0 unless they say else.

    A proj_size of 0 may be given to any kind.
    """
    options.setdefault("seed", 0)
    if options.get("proj_size") == 0:
        del options["proj_size"]
    (cell,) = (cell for cell in BY_CELL[kind].cells if cell.name == kind)
    return class_named(BY_CELL[kind].name)(input_size, hidden_size, **cell.choices, **options)


def has_memory(kind: str) -> bool:
    """Whether a state of this kind is a pair, h and c."""
    return BY_CELL[kind].has_memory


def gates_of(kind: str) -> int:
    """How many rows of a weight belong to each unit."""
    return BY_CELL[kind].gates


def random(shape: tuple[int, ...], dtype: Any = "float32", seed: int = 0, scale: float = 1.0) -> Array:
    """Normally distributed numbers."""
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(dtype)


def random_x(model: Any, T: int, B: int, seed: int = 1) -> Array:
    """An input for `model` in its layout and dtype."""
    shape = (B, T, model.input_size) if model.batch_first else (T, B, model.input_size)
    return random(shape, model.dtype, seed)


def random_state(model: Any, B: int, seed: int = 2) -> Any:
    """An initial state for `model`: a pair for a cell with memory, else an array."""
    depth = model.num_layers * (2 if model.bidirectional else 1)
    widths = (model.proj_size or model.hidden_size, model.hidden_size)
    h, c = (random((depth, B, width), model.dtype, seed + 1000 * n) for n, width in enumerate(widths))
    return (h, c) if model._KIND.has_memory else h


def random_call(model: Any, T: int, B: int | None, *, with_state: bool = True, seed: int = 1) -> Any:
    """x, state, dy and dstate for `model` in its layout and dtype; unbatched if B is None.

    Without a state the gradient of the last one is left out, too.
    """
    D = 2 if model.bidirectional else 1
    H, P = model.hidden_size, model.proj_size or model.hidden_size
    axes = (T,) if B is None else (B, T) if model.batch_first else (T, B)
    depth = (model.num_layers * D,) if B is None else (model.num_layers * D, B)
    x = random((*axes, model.input_size), model.dtype, seed)
    dy = random((*axes, D * P), model.dtype, seed + 100)
    if not with_state:
        return x, None, dy, None
    h, c, dh, dc = (
        random((*depth, size), model.dtype, seed + 200 + n) for n, size in enumerate((P, H, P, H))
    )
    memory = model._KIND.has_memory
    return x, (h, c) if memory else h, dy, (dh, dc) if memory else dh


def parts(state: Any) -> list[Array]:
    """The arrays of a state (or of its gradient): two of a cell with memory, else one."""
    return list(state) if isinstance(state, tuple) else [state]


def everything(
    model: Any,
    x: Any,
    state: Any = None,
    dy: Any = None,
    dstate: Any = None,
    *,
    lengths: Any = None,
    reset: Any = None,
    mask: Any = None,
    recompute: bool = False,
    seed: Any = None,
) -> dict[str, Array]:
    """All arrays that inference, forward and backward give, by name. Without dy and dstate, dy is made up."""
    cuts = {"lengths": lengths, "reset": reset, "mask": mask}
    called, called_state = model(x, state, **cuts)
    y, end, tape = model.forward(x, state, **cuts, recompute=recompute, seed=seed)
    if dy is None and dstate is None:
        dy = random(y.shape, y.dtype, seed=3)
    grads = model.backward(tape, dy, dstate)
    arrays = {"called": called, "y": y, "dx": grads.x}
    for n, (a, b, c) in enumerate(zip(parts(called_state), parts(end), parts(grads.state), strict=True)):
        arrays |= {f"called state {n}": a, f"state {n}": b, f"dstate {n}": c}
    return arrays | {f"d {name}": array for name, array in grads.parameters.items()}


def assert_same_bits(actual: Any, expected: Any, what: str = "array") -> None:
    """Compare shapes, dtypes and bits (of NaN and -0, too) of arrays, or of dicts or sequences of them."""
    if isinstance(expected, dict):
        assert list(actual) == list(expected), what
        for key in expected:
            assert_same_bits(actual[key], expected[key], f"{what}[{key!r}]")
        return
    if isinstance(expected, (tuple, list)):
        assert len(actual) == len(expected), what
        for n, (a, e) in enumerate(zip(actual, expected, strict=True)):
            assert_same_bits(a, e, f"{what}[{n}]")
        return
    assert isinstance(actual, np.ndarray), f"{what}: {type(actual)}"
    assert actual.shape == expected.shape, f"{what}: shapes {actual.shape} and {expected.shape}"
    assert actual.dtype == expected.dtype, f"{what}: dtypes {actual.dtype} and {expected.dtype}"
    word = np.dtype(f"u{actual.dtype.itemsize}")
    differ = np.ascontiguousarray(actual).view(word) != np.ascontiguousarray(expected).view(word)
    if differ.any():
        where = tuple(int(n[0]) for n in np.nonzero(differ))
        raise AssertionError(
            f"{what}: {np.count_nonzero(differ)} of {differ.size} differ in their bits,"
            f" first at {where}: {actual[where]!r} and {expected[where]!r}"
        )


def run_example(word: str) -> dict[str, Any]:
    """Run the one example of README.md's in which a word is, and return its variables."""
    (example,) = (text for text in EXAMPLES if word in text)
    names: dict[str, Any] = {}
    exec(compile(example, "README.md", "exec"), names)
    return names
