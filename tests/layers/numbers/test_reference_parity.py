"""The core computes what the NumPy reference does: forward and every gradient, on every ISA.

float64 is compared number by number. float32 is compared in its error: how far it is from the reference in
float64, against how far the reference's own float32, and PyTorch's, are. Errors are pooled over several runs,
because the error of one small run is luck: the ratio of two such ranges from 0 to infinity.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstmfast
from lstmfast._base.kinds import BY_CELL

from ...core_helpers import Model, assert_close, from_reference, is_forward, ours, relative_square
from ...helpers import ISAS, KINDS, Array, everything, make, random_call
from ...torch_helpers import from_torch

CONFIGURATIONS = list(itertools.product((1, 2, 3), (False, True), (False, True)))
LAYOUTS = ("time first", "batch first", "unbatched", "unbatched, batch first")

# How much larger than the other's our pooled error may be. Measured: 0.2 to 1.4 times NumPy's; forward 1.0 to
# 2.3 and gradients 0.2 to 1.5 times PyTorch's. Each of our dot products is one chain, from the bias through x
# to h, which rounds at the size of the whole sum at every step; PyTorch sums shorter ones apart.
OF_NUMPY = {"forward": 1.75, "gradients": 1.75}
OF_PYTORCH = {"forward": 2.5, "gradients": 2.0}


@pytest.fixture(autouse=True)
def _one_thread(threads: None) -> None:
    """Bits do not depend on threads (test_bits.py), and none of these sizes is worth more than one."""
    lstmfast.set_num_threads(1)


def arguments_in(model: Model, layout: str, with_state: bool, seed: int = 1) -> Any:
    """Arguments for `everything` in one of LAYOUTS."""
    return random_call(model, 7, None if "unbatched" in layout else 4, with_state=with_state, seed=seed)


def pooled(errors: list[float]) -> float:
    """Root of the mean of squares."""
    return float(np.sqrt(np.mean(errors)))


class Errors:
    """Squares of relative errors of two implementations, apart for each kind of result."""

    def __init__(self) -> None:
        self.kept: dict[str, list[tuple[float, float]]] = {}

    def add(self, got: dict[str, Array], other: dict[str, Array], truth: dict[str, Array]) -> None:
        assert set(got) == set(other) == set(truth)
        for name, array in truth.items():
            group = "forward" if is_forward(name) else "dx and dstate"
            if name.startswith("d "):
                group = "biases" if "bias" in name else "weights"
            pair = relative_square(got[name], array), relative_square(other[name], array)
            self.kept.setdefault(group, []).append(pair)

    def check(self, other: str, allowed: dict[str, float]) -> None:
        for group, pairs in self.kept.items():
            mine, others = (pooled([pair[n] for pair in pairs]) for n in (0, 1))
            message = f"{group}: relative error {mine:.3g}, {mine / others:.2f} times {other}'s {others:.3g}"
            assert mine <= allowed.get(group, allowed["gradients"]) * others, message


@pytest.mark.parametrize(("num_layers", "bidirectional", "bias"), CONFIGURATIONS)
def test_float64(isa: str, kind: str, num_layers: int, bidirectional: bool, bias: bool) -> None:
    for layout, with_state in itertools.product(LAYOUTS, (True, False)):
        model = make(
            kind,
            5,
            9,
            num_layers=num_layers,
            bidirectional=bidirectional,
            bias=bias,
            batch_first="batch first" in layout,
            dtype="float64",
            isa=isa,
        )
        arguments = arguments_in(model, layout, with_state)
        assert_close(ours(everything(model, *arguments)), from_reference(model, *arguments), layout)


@pytest.mark.parametrize(("num_layers", "bidirectional", "bias"), CONFIGURATIONS)
def test_float32_is_as_exact_as_the_reference_in_float32(
    isa: str, kind: str, num_layers: int, bidirectional: bool, bias: bool
) -> None:
    errors = Errors()
    for (n, layout), with_state in itertools.product(enumerate(LAYOUTS), (True, False)):
        model = make(
            kind,
            5,
            9,
            num_layers=num_layers,
            bidirectional=bidirectional,
            bias=bias,
            batch_first="batch first" in layout,
            isa=isa,
            seed=n,
        )
        x, state, dy, dstate = arguments_in(model, layout, with_state, seed=10 * n)
        truth, float32 = (from_reference(model, x, state, dy, dstate, t) for t in ("float64", "float32"))
        errors.add(ours(everything(model, x, state, dy, dstate)), float32, truth)
    errors.check("NumPy", OF_NUMPY)


# T, B, I, H, layers, directions: short, deep, wide, and long sums of each kind.
SIZES = [
    (5, 3, 4, 7, 1, 1),
    (20, 4, 8, 16, 2, 2),
    (100, 2, 8, 32, 1, 1),
    (300, 1, 16, 64, 1, 1),
    (10, 5, 200, 128, 1, 1),
    (40, 3, 64, 64, 3, 1),
    (50, 64, 8, 16, 1, 1),
]


@pytest.mark.parametrize(("T", "B", "I", "H", "layers", "directions"), SIZES)
@pytest.mark.usefixtures("torch")
def test_float32_is_as_exact_as_pytorch(
    kind: str, T: int, B: int, I: int, H: int, layers: int, directions: int
) -> None:
    """On the default ISA: the bits are the same on all (test_bits.py)."""
    errors = Errors()
    for seed in range(4):
        model = make(kind, I, H, num_layers=layers, bidirectional=directions == 2, seed=seed)
        arguments = random_call(model, T, B, seed=1000 * seed)
        truth = from_reference(model, *arguments)
        errors.add(ours(everything(model, *arguments)), from_torch(model, *arguments), truth)
    errors.check("PyTorch", OF_PYTORCH)


@pytest.mark.parametrize(("T", "B"), [(1600, 4), (100, 64)])
def test_float32_sums_over_time_and_batch_stay_exact(kind: str, T: int, B: int) -> None:
    """A parameter's gradient has T*B terms; one chain of them all would lose a digit here."""
    errors = Errors()
    for seed in range(2):
        model = make(kind, 8, 16, seed=seed)
        x, state, dy, dstate = random_call(model, T, B, seed=1000 * seed)
        truth, float32 = (from_reference(model, x, state, dy, dstate, t) for t in ("float64", "float32"))
        errors.add(ours(everything(model, x, state, dy, dstate)), float32, truth)
    errors.check("NumPy", OF_NUMPY)


@st.composite
def cuts(draw: st.DrawFn, model: Model, T: int, B: int | None) -> dict[str, Any]:
    """Any lengths and any reset for x of these sizes, in the model's layout, or none."""
    length = st.integers(0, T)
    lengths = draw(st.none() | (length if B is None else st.lists(length, min_size=B, max_size=B)))
    rate = draw(st.sampled_from([None, 0.1, 0.5, 1.0]))
    if rate is None:
        return {"lengths": lengths, "reset": None}
    axes = (T,) if B is None else (B, T) if model.batch_first else (T, B)
    marks = np.random.default_rng(draw(st.integers(0, 2**31))).random(axes) < rate
    return {"lengths": lengths, "reset": marks}


@st.composite
def models(draw: st.DrawFn) -> tuple[Model, tuple[Any, ...], dict[str, Any]]:
    """Any small network in float64 with any input, weights from almost nothing to saturation."""
    kind, hidden_size = draw(st.sampled_from(KINDS)), draw(st.integers(1, 40))
    model = make(
        kind,
        draw(st.integers(1, 40)),
        hidden_size,
        num_layers=draw(st.integers(1, 3)),
        bidirectional=draw(st.booleans()),
        bias=draw(st.booleans()),
        batch_first=draw(st.booleans()),
        proj_size=draw(st.just(0) | st.integers(0, hidden_size - 1)) if BY_CELL[kind].projects else 0,
        dtype="float64",
        isa=draw(st.sampled_from(ISAS)),
        seed=draw(st.integers(0, 2**31)),
    )
    scale = draw(st.sampled_from([1e-3, 0.3, 1.0, 2.0]))
    model.load_state_dict({name: scale * array for name, array in model.state_dict().items()})
    T, B = draw(st.integers(0, 12)), draw(st.none() | st.integers(0, 30))
    arguments = random_call(model, T, B, with_state=draw(st.booleans()), seed=draw(st.integers(0, 2**31)))
    return model, arguments, draw(cuts(model, T, B))


@settings(max_examples=300)
@given(models(), st.booleans())
def test_any_configuration(drawn: tuple[Model, tuple[Any, ...], dict[str, Any]], recompute: bool) -> None:
    model, arguments, cut = drawn
    truth = from_reference(model, *arguments, **cut)
    results = ours(everything(model, *arguments, **cut, recompute=recompute))
    # Where a cell is saturated, 1 - h*h is off by an ULP of 1 however small it is: of gradients that are all
    # tiny, 1e-15 can be promised, which is still nothing beside an element that is lost or doubled.
    assert_close(results, truth, f"{model} on {model.isa}", least=1e-5)
