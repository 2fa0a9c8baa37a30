"""int8: the bits of the NumPy model on every ISA, whatever the sizes, the batch, the threads and the cuts.

The sums of products are whole numbers and must be exact: with worst-case inputs, all of them +-127, and with
more terms than are summed at once.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstmfast

from ..core_helpers import reference_of
from ..helpers import CELLS, ISAS, Array, assert_same_bits, make, parts, random, random_state, random_x
from ..pieces import NETWORKS, SHAPES, Shape, random_lengths, random_reset
from .helpers import (
    Int8Model,
    calls,
    every_cell,
    f32,
    fma,
    in_both_orders,
    needs_fma,
    plain_nan,
    trained,
)

pytestmark = needs_fma


@pytest.fixture(autouse=True)
def _one_thread(threads: None) -> None:
    lstmfast.set_num_threads(1)


def on_every_isa(model: Any, calibration: Any = None) -> dict[str, Any]:
    """The int8 form of a model on each ISA."""
    made = {}
    for isa in ISAS:
        kind = "lstm" if isinstance(model, lstmfast.LSTM) else f"rnn_{model.nonlinearity}"
        same = make(
            kind,
            model.input_size,
            model.hidden_size,
            num_layers=model.num_layers,
            bias=model.bias,
            batch_first=model.batch_first,
            bidirectional=model.bidirectional,
            proj_size=model.proj_size,
            isa=isa,
        )
        same.load_state_dict(model.state_dict())
        made[isa] = same.quantize("int8", calibration)
        assert made[isa].isa == isa
    return made


class Compared:
    """A model's int8 form on each ISA, and the NumPy model."""

    def __init__(self, model: Any, calibration: Any = None) -> None:
        self.made, self.exact = on_every_isa(model, calibration), Int8Model(model, calibration)

    def check(self, *arguments: Any, **named: Any) -> Any:
        """Compare one call, and return its results."""
        expected = self.exact(*arguments, **named)
        for isa, q in self.made.items():
            assert_same_bits(plain_nan(q(*arguments, **named)), plain_nan(expected), f"{isa}: ")
        return expected


def check(model: Any, *arguments: Any, calibration: Any = None, **named: Any) -> Any:
    """Compare one call on every ISA with the NumPy model, and return its results."""
    return Compared(model, calibration).check(*arguments, **named)


# The NumPy model.


def test_multiply_adds_round_once() -> None:
    generator = np.random.default_rng(0)
    a, b = generator.standard_normal((2, 3000)).astype(np.float32)
    near = generator.choice([0, 1e-7, 1e-3, 1, 1e4], 3000)  # what cancels most, and what does not
    c = (-(a * b) * (1 + near * generator.standard_normal(3000))).astype(np.float32)
    with np.errstate(all="ignore"):
        got = fma(a, b, c)
    up, down = np.nextafter(got, np.float32(np.inf)), np.nextafter(got, np.float32(-np.inf))
    for n in range(3000):
        exact = Fraction(float(a[n])) * Fraction(float(b[n])) + Fraction(float(c[n]))
        off = abs(Fraction(float(got[n])) - exact)
        assert off <= min(abs(Fraction(float(other[n])) - exact) for other in (up, down))
    # 641 * 6700417 is 2**32 + 1: the sum is 1 + 2**-24 and a bit that float64 has no room for, without
    # which it would be a tie, and go to the even 1.
    a, b = f32([641]), f32([6700417]) * np.float32(2.0**-56)
    assert fma(a, b, f32([1]))[0] == np.float32(1 + 2.0**-23)
    assert fma(-a, b, f32([-1]))[0] == -np.float32(1 + 2.0**-23)


# Every way through the code.


@every_cell
@pytest.mark.parametrize(("num_layers", "bidirectional"), NETWORKS)
def test_every_call(kind: str, proj_size: int, num_layers: int, bidirectional: bool) -> None:
    for model in in_both_orders(kind, proj_size, num_layers, bidirectional):
        made, exact = on_every_isa(model), Int8Model(model)
        for n, arguments in enumerate(calls(model, 7, 5)):
            expected = exact(**arguments)
            for isa, q in made.items():
                assert_same_bits(q(**arguments), expected, f"{isa}, call {n}: ")


SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 67, 129]


@pytest.mark.parametrize("H", SIZES)
def test_odd_sizes(kind: str, H: int) -> None:
    """Words of two or four terms, vectors and panels, full or not."""
    for I in (1, 2, 3, 5, 16, 67):
        model = trained(kind, I, H)
        exact, made = Int8Model(model), on_every_isa(model)
        for B in (1, 7):
            x, state = random_x(model, 3, B), random_state(model, B)
            expected = exact(x, state)
            for isa, q in made.items():
                assert_same_bits(q(x, state), expected, f"{isa}, I={I}, B={B}: ")


@pytest.mark.parametrize("H", [2, 3, 5, 16, 17, 33, 66, 131])
def test_odd_sizes_of_projections(H: int) -> None:
    for P in sorted({1, 2, 3, 15, 16, 17, 31, 65, H - 1}):
        if P >= H:
            continue
        model = trained("lstm", 3, H, proj_size=P, num_layers=2)
        exact, made = Int8Model(model), on_every_isa(model)
        for B in (1, 7):
            x, state = random_x(model, 3, B), random_state(model, B)
            expected = exact(x, state)
            for isa, q in made.items():
                assert_same_bits(q(x, state), expected, f"{isa}, P={P}, B={B}: ")


@settings(max_examples=60)
@given(data=st.data(), cell=st.sampled_from(CELLS))
def test_any_call(data: st.DataObject, cell: tuple[str, int]) -> None:
    kind, proj_size = cell
    model = trained(
        kind,
        data.draw(st.integers(1, 80), label="I"),
        data.draw(st.integers(5, 80), label="H"),
        num_layers=data.draw(st.integers(1, 3), label="layers"),
        bidirectional=data.draw(st.booleans(), label="bidirectional"),
        bias=data.draw(st.booleans(), label="bias"),
        batch_first=data.draw(st.booleans(), label="batch_first"),
        proj_size=proj_size,
        seed=data.draw(st.integers(0, 1000), label="seed"),
        isa=data.draw(st.sampled_from(ISAS), label="isa"),
    )
    T, B = data.draw(st.integers(1, 9), label="T"), data.draw(st.integers(1, 40), label="B")
    lstmfast.set_num_threads(data.draw(st.integers(1, 2), label="threads"))
    x = random_x(model, T, B)
    calibration = x if data.draw(st.booleans(), label="calibrated") else None
    q, exact = model.quantize("int8", calibration), Int8Model(model, calibration)
    axes = (B, T) if model.batch_first else (T, B)
    lengths = data.draw(st.sampled_from([None, random_lengths(T, B)]), label="lengths")
    reset = data.draw(st.sampled_from([None, random_reset(*axes)]), label="reset")
    state = data.draw(st.sampled_from([None, random_state(model, B)]), label="state")
    assert_same_bits(q(x, state, lengths=lengths, reset=reset), exact(x, state, lengths=lengths, reset=reset))


# Shapes of threads, chunks and turns: the NumPy model would take long, but it need see them only once.
SMALL = [name for name, shape in SHAPES.items() if shape.T * shape.B * shape.H < 70_000]


@pytest.mark.parametrize("name", SMALL)
def test_large_calls(name: str) -> None:
    shape = SHAPES[name]
    model = shape.model("float32")
    lengths = random_lengths(shape.T, shape.B)
    check(model, random_x(model, shape.T, shape.B), random_state(model, shape.B), lengths=lengths)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_isas_and_threads(shape: Shape) -> None:
    model = shape.model("float32")
    x, state = random_x(model, shape.T, shape.B), random_state(model, shape.B)
    cut = {"lengths": random_lengths(shape.T, shape.B), "reset": random_reset(shape.T, shape.B)}
    made = on_every_isa(model)
    plain, timed = made[ISAS[0]](x, state), made[ISAS[0]](x, state, **cut)
    for isa, q in made.items():
        for threads in (1, 2, 3, 5):
            lstmfast.set_num_threads(threads)
            for _ in range(2 if threads > 1 else 1):  # a short call is shared only if one came just before
                assert_same_bits(q(x, state), plain, f"{isa}, {threads} threads: ")
            assert_same_bits(q(x, state, **cut), timed, f"{isa}, {threads} threads, cut: ")


ROWS = 53


@every_cell
def test_a_row_depends_on_no_other(kind: str, proj_size: int, isa: str) -> None:
    """Batches of every size, and each row at any place in a tile."""
    model = trained(kind, 5, 18, num_layers=2, bidirectional=True, proj_size=proj_size, isa=isa)
    q = model.quantize("int8")
    x, state = random_x(model, 4, ROWS), random_state(model, ROWS)
    x *= np.exp(np.linspace(-5, 5, ROWS)).astype(np.float32)[:, np.newaxis]  # every row its own scale
    y, end = q(x, state)
    generator = np.random.default_rng(0)
    for size in (*range(1, 27), 47, 48, 49, ROWS):
        rows = generator.permutation(ROWS)[:size]
        few, few_end = q(x[:, rows], rows_of(state, rows))
        assert_same_bits(few, y[:, rows], f"{size} rows: ")
        assert_same_bits(few_end, rows_of(end, rows), f"{size} rows: ")


def rows_of(state: Any, rows: Any) -> Any:
    """The state of some rows."""
    picked = [np.ascontiguousarray(half[:, rows]) for half in parts(state)]
    return tuple(picked) if isinstance(state, tuple) else picked[0]


@every_cell
@pytest.mark.parametrize("B", [1, 3, 33])
def test_cuts_in_time(kind: str, proj_size: int, isa: str, B: int) -> None:
    model = trained(kind, 5, 19, num_layers=2, proj_size=proj_size, isa=isa)
    q = model.quantize("int8", random_x(model, 3, 2))
    x, state = random_x(model, 40, B), random_state(model, B)
    whole = q(x, state)
    for cuts in ([*range(1, 40)], [1], [39], [16, 17], [5, 21]):
        ys, carried = [], state
        for begin, end in itertools.pairwise([0, *cuts, 40]):
            y, carried = q(x[begin:end], carried)
            ys.append(y)
        assert_same_bits((np.concatenate(ys), carried), whole, f"{cuts}: ")


@every_cell
def test_repeatable(kind: str, proj_size: int, isa: str) -> None:
    """Nothing is left over from calls before, whatever they were."""
    model = trained(kind, 5, 19, num_layers=2, proj_size=proj_size, isa=isa)
    q = model.quantize("int8")
    x = random_x(model, 9, 5)
    first = q(x)
    kept = plain_copy(first)
    for other in (x * 1e30, x * np.float32(np.nan), x[:1], x[:, :1]):
        q(other)
        assert_same_bits(q(x), kept)
    assert_same_bits(first, kept)


def plain_copy(results: Any) -> Any:
    """Copies of all arrays."""
    return tuple(map(plain_copy, results)) if isinstance(results, tuple) else results.copy()


# The largest sums that there are.


def signs(pattern: str, shape: tuple[int, int]) -> Array:
    """+1 and -1 in a pattern over the last axis, another in every row."""
    rows, K = shape
    k, r = np.arange(K), np.arange(rows)[:, np.newaxis]
    if pattern == "all alike":
        return np.broadcast_to(np.where(r % 2 == 0, 1.0, -1.0), shape)
    if pattern == "by turns":
        return np.where((k + r) % 2 == 0, 1.0, -1.0)
    if pattern == "in pairs":
        return np.where((k // 2 + r) % 2 == 0, 1.0, -1.0)
    if pattern == "halves":  # a sum goes far up and comes back
        return np.where((k < K // 2) ^ (r % 2 == 0), 1.0, -1.0)
    return np.random.default_rng(0).choice([-1.0, 1.0], shape)


PATTERNS = ("all alike", "by turns", "in pairs", "halves", "random")
LARGE = (32766, 32767, 32768, 32769, 32771, 40000, 65536, 65537, 70001)


def loudest(kind: str, I: int, H: int, pattern: str, proj_size: int = 0) -> Any:
    """A model without bias whose every weight is +-127 as a whole number, and whose sums are not too large.

    Of a relu RNN h is the sum itself.
    """
    model = make(kind, I, H, bias=False, proj_size=proj_size)
    weights = {}
    for name, array in model.parameters.items():
        weights[name] = signs(pattern, array.shape) / (array.shape[1] if name.endswith("ih_l0") else 1)
    model.load_state_dict(weights)
    for array in Int8Model(model).parameters.values():
        assert array.dtype == np.float32 or (np.abs(array) == 127).all()
    return model


@pytest.mark.parametrize("I", LARGE)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_largest_sums_of_the_input(pattern: str, I: int) -> None:
    """Every product is 127 * 127: up to 2**29 in 32 bits, and then more chunks."""
    for kind in ("rnn_relu", "lstm"):
        model = loudest(kind, I, 3, pattern)
        rows = np.concatenate([signs(other, (2, I)) for other in (pattern, "all alike", "by turns")])
        x = np.float32(0.7) * np.stack([rows, -rows]).astype(np.float32)  # T=2, B=6
        compared = Compared(model)
        y, _ = compared.check(x)
        if kind == "rnn_relu":
            # |x| times the sum of all |weights|, as it must be but for rounding.
            assert y[0].max() == pytest.approx(0.7, rel=1e-5)
        for row in (0, 3):
            compared.check(x[:, row : row + 1].copy())


@pytest.mark.parametrize("together", [1, 2, 6, 7, 13])
def test_largest_sums_in_tiles(together: int) -> None:
    """As many rows as a pass has at once, and panels one by one, two by two, full or not."""
    for H in (1, 5, 17, 40):
        model = loudest("rnn_relu", 3000, H, "by turns")
        x = random((1, together, 1)) * f32(signs("by turns", (together, 3000)))
        y, _ = check(model, x.astype(np.float32))
        assert y.max() > 0.1


@pytest.mark.parametrize("pattern", PATTERNS)
def test_largest_sums_of_the_state(pattern: str) -> None:
    H = 1500
    model = loudest("rnn_relu", 1, H, pattern)
    state = np.float32(3) * f32(signs(pattern, (5, H)))[np.newaxis]
    y, _ = check(model, np.zeros((1, 5, 1), np.float32), state)
    assert y.max() == pytest.approx(3 * H, rel=1e-5)


@pytest.mark.parametrize("H", [32767, 32768, 32769, 33000, 40001])
def test_largest_sums_of_the_projection(H: int) -> None:
    """All units alike, so that what is projected is +-127 throughout, over more than one chunk."""
    model = loudest("lstm", 1, H, "all alike", proj_size=2)
    alike = {name: np.ones_like(w) for name, w in model.parameters.items() if "hr" not in name}
    model.update(alike)
    x = f32([[[0.5], [-0.5], [0.001]]])
    state = (np.zeros((1, 3, 2), np.float32), np.full((1, 3, H), 2, np.float32))
    y, _ = check(model, x, state)
    assert np.abs(y).max() > H / 4
    check(model, x[:, :1].copy())


def test_long_rows_beside_long_rows(kind: str) -> None:
    """Rows that do not fit in the scratch together with others, of every number."""
    for I in (5000, 11000, 21000, 32768):
        model = make(kind, I, 9)
        x, compared = random((2, 7, I), scale=0.05), Compared(model)
        for B in (1, 2, 7):
            compared.check(x[:, :B].copy(), random_state(model, B))


# Numbers that are none, and those at the ends of float32.


@every_cell
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_with_nan_or_infinity(kind: str, proj_size: int, value: float) -> None:
    """It is NaN from that step on; no other row is."""
    model = trained(kind, 5, 19, num_layers=2, proj_size=proj_size)
    x, state = random_x(model, 6, 14), random_state(model, 14)
    clean, _ = Int8Model(model)(x, state)
    assert np.isfinite(clean).all()
    for row, t, feature in ((3, 2, 0), (7, 0, 4), (8, 5, 2)):
        x[t, row, feature] = value
        clean[t:, row] = np.nan
    y, _ = check(model, x, state)
    assert_same_bits(plain_nan(y), clean)


@every_cell
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_state_with_nan_or_infinity(kind: str, proj_size: int, value: float) -> None:
    model = trained(kind, 5, 19, num_layers=2, proj_size=proj_size)
    x, state = random_x(model, 6, 9), random_state(model, 9)
    clean, _ = Int8Model(model)(x, state)
    h = parts(state)[0]
    h[1, 2, -1] = h[0, 5, 0] = value  # of the second layer, and of the first
    clean[:, [2, 5]] = np.nan
    y, _ = check(model, x, state)
    assert_same_bits(plain_nan(y), clean)
    if kind == "lstm":
        state = random_state(model, 9)
        state[1][0, 4, 7] = value
        y, _ = check(model, x, state)
        assert np.isfinite(np.delete(y, 4, axis=1)).all()
        assert np.isnan(y).any() == np.isnan(value)


def test_nan_past_the_end_or_before_a_mark(isa: str) -> None:
    model = trained("lstm", 5, 19, num_layers=2, bidirectional=True, isa=isa)
    q = model.quantize("int8")
    x = random_x(model, 6, 4)
    expected = q(x, lengths=[6, 3, 0, 5])
    for spoilt in (np.nan, np.inf):
        x[3:, 1] = x[:, 2] = x[5:, 3] = spoilt
        assert_same_bits(q(x, lengths=[6, 3, 0, 5]), expected)
    one = trained("lstm", 5, 19, num_layers=2, isa=isa).quantize("int8")
    x = random_x(model, 6, 1)
    reset = np.zeros((6, 1), bool)
    reset[3] = True
    whole, end = one(x, reset=reset)
    x[:3] = np.nan
    y, spoilt_end = one(x, reset=reset)
    assert np.isnan(y[:3]).all()
    assert_same_bits((y[3:], spoilt_end), (whole[3:], end))


@pytest.mark.parametrize("scale", [3e38, 1e38, 1e30, 1e20, 1e-20, 1e-30, 1e-37, 1e-38, 1e-40, 1e-44, 0.0])
def test_rows_of_every_size(kind: str, scale: float) -> None:
    """Down to subnormal numbers, which are not flushed to zero, and up to where float32 ends."""
    model = trained(kind, 5, 19)
    x = random_x(model, 3, 9)
    x = np.float32(scale) * (x / np.abs(x).max())
    check(model, x, random_state(model, 9))
    # Where the weights are so small that the largest inputs count no more than others.
    small = make(kind, 5, 19)
    shrunk = small.parameters["weight_ih_l0"].astype("float64") / (scale or 1)
    small.update({"weight_ih_l0": np.clip(shrunk, -1e38, 1e38)})
    check(small, x)


def test_ties_go_to_even() -> None:
    """v / s of exactly n + 1/2, and just beside it."""
    I = 255
    model = make("rnn_relu", I, I, bias=False)
    identity = 127 * np.eye(I)  # of which the scale is 1, too
    model.load_state_dict({"weight_ih_l0": identity, "weight_hh_l0": identity * 0})
    halves = (np.arange(I) - 127) / 2  # up to 63.5
    x = f32([halves, np.nextafter(f32(halves), np.float32(np.inf)), -halves])
    x[:, 0] = 127  # the scale is 1
    y, _ = check(model, x[np.newaxis])
    assert_same_bits(y[0, 0, 1:], f32(127 * np.maximum(np.rint(halves[1:]), 0)))


def test_a_sum_of_nothing_is_the_bias() -> None:
    """Rows of weights that are zeros, and inputs that are."""
    model = trained("rnn_relu", 5, 19)
    weights = model.state_dict()
    weights["weight_ih_l0"][::2] = 0
    weights["weight_hh_l0"][::2] = 0
    model.load_state_dict(weights)
    y, _ = check(model, random_x(model, 4, 3), random_state(model, 3))
    bias = np.maximum(weights["bias_ih_l0"] + weights["bias_hh_l0"], 0)
    assert_same_bits(y[:, :, ::2], np.broadcast_to(bias[::2], (4, 3, 10)).copy())
    y, _ = check(model, np.zeros((1, 3, 5), np.float32))
    assert_same_bits(y[0], np.broadcast_to(bias, (3, 19)).copy())


@every_cell
def test_states_beyond_one(kind: str, proj_size: int) -> None:
    """An h of LSTM's own is within [-1, 1]; the user's may be anything."""
    model = trained(kind, 5, 19, num_layers=2, bidirectional=True, proj_size=proj_size)
    for scale in (2, 50, 1e6, 1e30):
        state = random_state(model, 6)
        state = tuple(np.float32(scale) * half for half in parts(state))
        check(model, random_x(model, 4, 6), state if kind == "lstm" else state[0])


def test_a_relu_that_grows_out_of_float32(isa: str) -> None:
    """Numbers become infinite, and then NaN; the model and the code agree from step to step."""
    model = make("rnn_relu", 2, 5)
    model.update({"weight_hh_l0": np.full((5, 5), 3e4), "weight_ih_l0": np.full((5, 2), 1e3)})
    x = np.abs(random((12, 3, 2)))
    x[:, 1] = 0
    y, _ = check(model, x)
    assert np.isinf(y).any()
    assert np.isnan(y).any()
    assert np.isfinite(y[:4]).all()


# Calibration.


def features_of_every_size(model: Any, sizes: Array, T: int, B: int, seed: int = 0) -> Array:
    """x whose features differ in size; weight_ih is made to give all of them the same part in the sums."""
    model.update({"weight_ih_l0": model.parameters["weight_ih_l0"] / sizes})
    return (random((T, B, len(sizes)), seed=seed) * sizes).astype(np.float32)


def error(model: Any, q: Any, x: Array) -> float:
    """Root mean square of y, off from the reference in float64."""
    truth = reference_of(model).forward(x.astype(np.float64), None, None)[0]
    return float(np.sqrt(np.mean((q(x)[0] - truth) ** 2)))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_calibration_exactly(kind: str, num_layers: int, bidirectional: bool) -> None:
    sizes = np.array([1e-6, 1, 1e-2, 300, 1e5])
    model = trained(kind, 5, 19, num_layers=num_layers, bidirectional=bidirectional)
    x = features_of_every_size(model, sizes, 7, 6)
    check(model, x, calibration=x)
    check(model, x, random_state(model, 6), calibration=x, lengths=[7, 0, 3, 1, 7, 5])
    check(model, x, calibration=x[:1, :1] * np.float32(1e-3))  # most of x is beyond the range
    check(model, x, calibration=np.float32(3) * x)
    x[2, 3, 1], x[1, 1, 0] = np.nan, np.inf
    check(model, x, calibration=np.nan_to_num(x, posinf=1))


def test_calibration_of_odd_and_large_sizes() -> None:
    for I in (1, 3, 16, 17, 67, 1000, 32769):
        model = make("lstm", I, 5)
        sizes = np.exp(np.linspace(-8, 8, I))
        x = features_of_every_size(model, sizes, 3, 4)
        compared = Compared(model, x)
        compared.check(x)
        compared.check(x[:, :1].copy())


def test_calibration_keeps_what_small_features_say(kind: str) -> None:
    sizes = np.array([1e-4, 1, 1e-2, 300, 1e4])
    model = trained(kind, 5, 32)
    model.update(
        {"weight_hh_l0": 0.2 * model.parameters["weight_hh_l0"]}
    )  # or a relu's h would grow and grow
    x = features_of_every_size(model, sizes, 30, 8)
    later = (random((30, 8, 5), seed=9) * sizes).astype(np.float32)
    plain, calibrated = model.quantize("int8"), model.quantize("int8", x)
    for data in (x, later):
        assert error(model, calibrated, data) < error(model, plain, data) / 5


def test_calibration_of_features_of_one_size_changes_little(kind: str) -> None:
    model = trained(kind, 16, 32)
    x = random_x(model, 30, 8)
    assert error(model, model.quantize("int8", x), x) < 1.5 * error(model, model.quantize("int8"), x)


def test_calibration_by_powers_of_two_changes_nothing() -> None:
    """All ranges 1: numbers are what they were."""
    model = trained("lstm", 5, 19)
    x = random_x(model, 6, 3)
    assert_same_bits(model.quantize("int8", np.ones((1, 5)))(x), model.quantize("int8")(x))
    assert_same_bits(model.quantize("int8", np.zeros((1, 5)))(x), model.quantize("int8")(x))


@pytest.mark.parametrize("batch_first", [False, True])
def test_any_form_of_calibration(batch_first: bool) -> None:
    model = make("lstm", 3, 5, batch_first=batch_first, dtype="float64")
    x = np.arange(36).reshape(4, 3, 3) - 11
    expected = f32([22, 23, 24])
    forms: dict[str, Any] = {
        "integers": x,
        "lists": x.tolist(),
        "float16": x.astype("float16"),
        "float32": x.astype("float32"),
        "float64": x.astype("float64"),
        "big-endian": x.astype(">f4"),
        "strided": np.repeat(x, 2, axis=-1)[..., ::2],
        "unbatched": x.reshape(12, 3),
        "one step": x[-1:],
        "read-only": np.broadcast_to(x[-1], (2, 3, 3)),
    }
    for name, form in forms.items():
        q = model.quantize("int8", calibration=form)
        assert_same_bits(q.parameters["input_range"], expected, name)
        assert_same_bits(q.parameters["input_range"], model.quantize("int8", form).parameters["input_range"])
    # Of which int8 has no magnitude, nor uint64 a float32 of its own.
    for form, largest in ((np.array([[-128, 1, 2]], np.int8), 128), (np.array([[2**64 - 1, 1, 2]]), 2.0**64)):
        assert model.quantize("int8", form).parameters["input_range"][0] == largest


@pytest.mark.parametrize(
    ("largest", "expected"),
    [
        ([2, 0, 3], [2, 2, 3]),
        ([0, 0, 3], [3, 3, 3]),
        ([0, 0, 0], [1, 1, 1]),
        ([-2, 0, 0.5], [2, 0.5, 0.5]),
        ([1e-39, 4, 3], [3, 4, 3]),
        ([1e-39, 1e-45, 0], [1, 1, 1]),
        ([2.0**-126, 4, 0], [2.0**-126, 4, 2.0**-126]),
        ([3e38, 1, 1], [3e38, 1, 1]),
    ],
)
def test_ranges_of_features_that_say_nothing(largest: list[float], expected: list[float]) -> None:
    model = make("lstm", 3, 5)
    model.update({"weight_ih_l0": model.parameters["weight_ih_l0"] * f32([1e-3, 1, 1])})
    q = model.quantize("int8", np.array([[0, 0, 0], largest]))
    assert_same_bits(q.parameters["input_range"], f32(expected))
    x = random_x(model, 3, 2)
    assert_same_bits(
        plain_nan(q(x)), plain_nan(Int8Model(model, np.array([[0, 0, 0], largest], np.float64))(x))
    )
