"""A single step of the compiled core on memory by address, called without PyTorch, for which it is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lstmfast import _core

from ..helpers import DTYPES, ISAS, Array, assert_same_bits, has_memory, make, random

ROWS, I, H = 5, 7, 70  # 64 rows of h are more than fit on the stack
NONE = 0


def at(array: Array | None) -> int:
    return NONE if array is None else int(array.ctypes.data)


class Step:
    """A network of one layer, what a step reads, and room for what it gives."""

    def __init__(self, kind: str, dtype: str, isa: str | None = None, rows: int = ROWS) -> None:
        model = make(kind, I, H, dtype=dtype, isa=isa)
        self.network, self.rows = model._network, rows
        self.x = random((rows, I), dtype)
        self.h = random((rows, H), dtype, 1)
        self.c = random((rows, H), dtype, 2) if has_memory(kind) else None
        self.new_h = np.empty_like(self.h)
        self.new_c = None if self.c is None else np.empty_like(self.c)
        self.y = np.empty_like(self.h)
        kept = _core.kept_array32 if dtype == "float32" else _core.kept_array64
        self.tape: Array = kept(self.network.tape_size(rows, rows))

    def laid(self, array: Array | None) -> Any:
        return None if array is None else array[np.newaxis]

    def addresses(self) -> list[int]:
        return [at(array) for array in (self.x, self.h, self.c, self.new_h, self.new_c)]


@pytest.fixture(params=["lstm", "gru", "rnn_tanh", "rnn_relu"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("rows", [1, ROWS, 64])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("with_state", [False, True])
def test_bits_of_a_layers_step(kind: str, isa: str, rows: int, dtype: str, with_state: bool) -> None:
    step = Step(kind, dtype, isa, rows)
    if not with_state:
        step.h = step.c = None  # type: ignore[assignment]
    _, *expected = step.network.infer(step.laid(step.x), step.laid(step.h), step.laid(step.c), False)
    _core.cell_infer(step.network, 0, rows, *step.addresses())
    found = [step.new_h] if step.new_c is None else [step.new_h, step.new_c]
    assert_same_bits(found, [array[0] for array in expected if array is not None])
    for array in found:
        array[...] = 0
    _core.cell_forward(step.network, 1, rows, *step.addresses(), at(step.y), at(step.tape))
    assert_same_bits([*found, step.y], [*(array[0] for array in expected if array is not None), found[0]])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("wants_x", [False, True])
@pytest.mark.parametrize("given", ["h", "c", "both"])
def test_bits_on_the_way_back(kind: str, dtype: str, wants_x: bool, given: str) -> None:
    step = Step(kind, dtype)
    if step.c is None and given == "c":
        return
    _, _, _, tape = step.network.forward(step.laid(step.x), step.laid(step.h), step.laid(step.c), False)
    dh = random((ROWS, H), dtype, 3) if given != "c" else None
    dc = random((ROWS, H), dtype, 4) if given != "h" and step.c is not None else None
    dx, dh0, dc0, _ = step.network.backward(tape, None, step.laid(dh), step.laid(dc), None)
    _core.cell_forward(step.network, 0, ROWS, *step.addresses(), at(step.y), at(step.tape))
    results = [np.empty_like(array) for array in (step.x, step.h)]
    results += [] if step.c is None else [np.empty_like(step.c)]
    places = [at(array) if wants_x or n else NONE for n, array in enumerate(results)] + [NONE]
    _core.cell_backward(
        step.network, 0, ROWS, at(step.x), at(step.y), at(step.tape), at(dh), at(dc), *places[:3]
    )
    expected = [array[0] for array in (dx, dh0, dc0) if array is not None]
    assert_same_bits(results[0 if wants_x else 1 :], expected[0 if wants_x else 1 :])


BAD: dict[str, tuple[Callable[[Step], Any], type[Exception], str]] = {
    "no network": (lambda s: (None, 0, ROWS, *s.addresses()), TypeError, "network: expected a Network32"),
    "too few": (lambda s: (s.network, 0, ROWS, *s.addresses()[:4]), TypeError, "expected 8 arguments, got 7"),
    "nothing": (lambda s: (), TypeError, "expected 8 arguments, got 0"),
    "no rows": (lambda s: (s.network, 0, 0, *s.addresses()), ValueError, "rows: expected at least 1"),
    "rows of text": (lambda s: (s.network, 0, "3", *s.addresses()), TypeError, "int"),
    "no x": (lambda s: (s.network, 0, ROWS, 0, *s.addresses()[1:]), ValueError, "expected memory, got 0"),
    "no room for h": (
        lambda s: (s.network, 0, ROWS, *s.addresses()[:3], 0, at(s.c)),
        ValueError,
        "expected memory, got 0",
    ),
    "no number": (lambda s: (s.network, 0, ROWS, "x", *s.addresses()[1:]), TypeError, "int"),
    "two layers": (
        lambda s: (make("lstm", I, H, num_layers=2)._network, 0, ROWS, *s.addresses()),
        ValueError,
        "network: expected one layer",
    ),
    "a projection": (
        lambda s: (make("lstm", I, H, proj_size=3)._network, 0, ROWS, *s.addresses()),
        ValueError,
        "network: expected one layer",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_can_be_seen_to_be_wrong(name: str) -> None:
    step = Step("lstm", "float32")
    arguments, error, words = BAD[name]
    with pytest.raises(error, match=words):
        _core.cell_infer(*arguments(step))


def test_tapes_are_aligned_and_weights_whole() -> None:
    step = Step("lstm", "float32")
    with pytest.raises(ValueError, match="tape: expected alignment to 64 bytes"):
        _core.cell_forward(step.network, 0, ROWS, *step.addresses(), at(step.y), at(step.tape) + 4)
    small = make("lstm", I, H).quantize("float16")._network
    _core.cell_infer(small, 0, ROWS, *step.addresses())
    with pytest.raises(ValueError, match="network: expected one layer"):
        _core.cell_forward(small, 0, ROWS, *step.addresses(), at(step.y), at(step.tape))
