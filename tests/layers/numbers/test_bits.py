"""The same bits every time: no result depends on the ISA, the threads, the batch, or how a sequence is cut.

All ISAs that a machine offers together have fused multiply-adds; `scalar` on a CPU without is alone there.
What threads change is how the work is split, by rows, directions, or panels of units; SPLITS has a shape for
each way, above the sizes in cpp/core/split.cpp below which a call stays on one thread.
"""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lstmfast

from ...core_helpers import Model, run_python, state_like
from ...helpers import (
    DTYPES,
    ISAS,
    KINDS,
    Array,
    assert_same_bits,
    everything,
    make,
    parts,
    random,
    random_state,
    random_x,
)
from . import helpers

pytestmark = pytest.mark.usefixtures("one_thread")

THREADS = (1, 2, 3, 4, 5)


def arguments(model: Model, T: int, B: int, seed: int = 1) -> tuple[Array, Any, Array, Any]:
    """x, state, dy and dstate, time first."""
    D = 2 if model.bidirectional else 1
    H, dtype, depth = model.hidden_size, model.dtype, D * model.num_layers
    x, dy = random((T, B, model.input_size), dtype, seed), random((T, B, D * H), dtype, seed + 1)
    h, c, dh, dc = (random((depth, B, H), dtype, seed + 2 + n) for n in range(4))
    return x, state_like(model, h, c), dy, state_like(model, dh, dc)


def rows_of(state: Any, rows: Any) -> Any:
    """The state of some rows of a batch."""
    picked = [np.ascontiguousarray(part[:, rows]) for part in parts(state)]
    return tuple(picked) if isinstance(state, tuple) else picked[0]


# ISAs.


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    ("T", "B", "I", "H"), [(1, 1, 1, 1), (7, 1, 5, 33), (9, 7, 3, 17), (3, 53, 70, 65), (600, 2, 3, 40)]
)
def test_isas(kind: str, dtype: str, T: int, B: int, I: int, H: int, bidirectional: bool) -> None:
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": bidirectional, "dtype": dtype}
    results = []
    for isa in ISAS:
        model = make(kind, I, H, isa=isa, **options)
        assert model.isa == isa
        results.append(everything(model, *arguments(model, T, B)))
    for isa, result in zip(ISAS[1:], results[1:], strict=True):
        assert_same_bits(result, results[0], f"{isa} and {ISAS[0]}: ")


# Threads.


class Split(NamedTuple):
    """A shape, and how many threads share it with 2 and with 5 threads allowed: forward and backward."""

    T: int
    B: int
    I: int
    H: int
    directions: int = 1
    layers: int = 1
    kind: str = "lstm"
    used: tuple[int, int] = (2, 5)


SPLITS = {
    "rows, small weights": Split(T=12, B=13, I=16, H=48),
    "rows, full tiles": Split(T=3, B=61, I=90, H=140),
    "rows, two directions, three layers": Split(T=5, B=31, I=6, H=24, directions=2, layers=3),
    "fewer rows than threads": Split(T=40, B=3, I=30, H=40, used=(2, 3)),
    "directions": Split(T=90, B=1, I=40, H=60, directions=2, used=(2, 2)),
    "directions, three layers": Split(T=56, B=1, I=9, H=33, directions=2, layers=3, used=(2, 2)),
    "panels": Split(T=33, B=1, I=70, H=256),
    "panels of two rows": Split(T=19, B=2, I=40, H=250),
    "panels of an RNN": Split(T=36, B=1, I=70, H=520, kind="rnn_tanh"),
    "panels, two layers": Split(T=11, B=1, I=3, H=253, layers=2),
    "directions and panels": Split(T=4, B=1, I=100, H=253, directions=2, layers=2, used=(2, 4)),
    "panels of one step": Split(T=1, B=1, I=300, H=600),
    "not worth a thread": Split(T=1, B=3, I=4, H=30, used=(1, 1)),
}


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS.keys())
def test_threads(dtype: str, isa: str, split: Split) -> None:
    options: dict[str, Any] = {"num_layers": split.layers, "bidirectional": split.directions == 2}
    model = make(split.kind, split.I, split.H, dtype=dtype, isa=isa, **options)
    given_ = arguments(model, split.T, split.B)
    one = everything(model, *given_)
    for threads in THREADS[1:]:
        lstmfast.set_num_threads(threads)
        for _ in range(3):  # a short call is shared only if one came just before
            assert_same_bits(everything(model, *given_), one, f"{threads} threads: ")


COUNT_THREADS = """
import json, os, sys, warnings
import numpy as np
import lstmfast
from lstmfast._base.kinds import BY_CELL, class_named
warnings.simplefilter("ignore")
lstmfast._core.ignore_crowding(True)

def count(split, allowed):
    T, B, I, H, directions, layers, kind, _ = split
    make = class_named(BY_CELL[kind].name)
    model = make(I, H, layers, bidirectional=directions == 2, seed=0)
    x = np.ones((T, B, I), np.float32)
    lstmfast.set_num_threads(allowed)
    # A child starts without a pool: its threads are those that this very call asks for.
    reader, writer = os.pipe()
    if not os.fork():
        y, _, tape = model.forward(x)
        forward = len(os.listdir("/proc/self/task"))
        model.backward(tape, y)
        backward = len(os.listdir("/proc/self/task"))
        os.write(writer, f"{forward} {backward}".encode())
        os._exit(0)
    os.wait()
    return list(map(int, os.read(reader, 100).split()))

print(json.dumps({name: [count(split, allowed) for allowed in (2, 5)]
                  for name, split in json.loads(sys.argv[1]).items()}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")
def test_these_shapes_are_really_shared() -> None:
    import json

    counted = json.loads(run_python(COUNT_THREADS, json.dumps(SPLITS)))
    expected = {name: list(split.used) for name, split in SPLITS.items()}
    assert {name: [forward for forward, _ in counts] for name, counts in counted.items()} == expected
    # Backward may take more threads (its directions follow one another), never fewer in this list.
    for name, counts in counted.items():
        for (forward, backward), allowed in zip(counts, (2, 5), strict=True):
            assert forward <= backward <= allowed, name


# Batches.


def assert_rows_alone(model: Model, T: int, B: int, picks: list[Array], seed: int = 1) -> None:
    """Each pick of rows, as a batch of its own, must give what these rows gave in the whole batch.

    Not so the parameters' gradients, which are sums over the batch.
    """
    x, state, dy, dstate = arguments(model, T, B, seed)
    whole = everything(model, x, state, dy, dstate)
    for rows in picks:
        part = everything(model, x[:, rows], rows_of(state, rows), dy[:, rows], rows_of(dstate, rows))
        names = [name for name in whole if not name.startswith("d ")]
        expected = {name: whole[name][:, rows] for name in names}
        assert_same_bits({name: part[name] for name in names}, expected, f"{len(rows)} of {B} rows: ")


ROW_COUNTS = (2, 3, 4, 5, 6, 7, 12, 13, 24, 25, 47, 48, 49, 53)


def test_rows_alone(kind: str, dtype: str, isa: str) -> None:
    model = make(kind, 5, 18, dtype=dtype, isa=isa, num_layers=2, bidirectional=True)
    picks = [np.array([row]) for row in range(0, 53, 4)]
    assert_rows_alone(model, 4, 53, picks + [np.arange(53 - size, 53) for size in ROW_COUNTS])


@pytest.mark.parametrize(("I", "H"), [(133, 137), (1030, 3), (3, 1030)])
def test_rows_alone_of_wide_models(kind: str, dtype: str, isa: str, I: int, H: int) -> None:
    """Long chains, in tiles of many rows and of few."""
    if kind == "lstm" and H > 1000:
        pytest.skip("four times the work of an RNN for the same chains")
    model = make(kind, I, H, dtype=dtype, isa=isa)
    assert_rows_alone(model, 2, 13, [np.array([3]), np.arange(2), np.arange(6), np.arange(13)[::-1]])


@settings(max_examples=40)
@given(data=st.data(), kind=st.sampled_from(KINDS), dtype=st.sampled_from(DTYPES), isa=st.sampled_from(ISAS))
def test_any_rows_in_any_order(data: st.DataObject, kind: str, dtype: str, isa: str) -> None:
    I, H = data.draw(st.integers(1, 70)), data.draw(st.integers(1, 40))
    T, B = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 60))
    rows = data.draw(st.lists(st.integers(0, B - 1), min_size=1, max_size=60))
    lstmfast.set_num_threads(data.draw(st.integers(1, 2)))
    model = make(kind, I, H, dtype=dtype, isa=isa, num_layers=data.draw(st.integers(1, 2)))
    assert_rows_alone(model, T, B, [np.array(rows)], data.draw(st.integers(0, 2**31)))


# Cuts in time.


def assert_cuts(model: Model, T: int, B: int, cuts: list[list[int]], seed: int = 1) -> None:
    """Piece after piece, the state carried on and its gradient carried back, must give what the whole gives.

    Not so the parameters' gradients, which are sums over time.
    """
    x, state, dy, dstate = arguments(model, T, B, seed)
    whole = everything(model, x, state, dy, dstate)
    for cut in cuts:
        pieces = list(zip([0, *cut], [*cut, T], strict=True))
        carried, called, outputs, called_outputs, tapes = state, state, [], [], []
        for begin, end in pieces:
            y, carried, tape = model.forward(x[begin:end], carried)
            called_y, called = model(x[begin:end], called)
            outputs.append(y)
            called_outputs.append(called_y)
            tapes.append(tape)
        back, dxs = dstate, []
        for (begin, end), tape in zip(reversed(pieces), reversed(tapes), strict=True):
            grads = model.backward(tape, dy[begin:end], back)
            back = grads.state
            dxs.append(grads.x)
        got = {
            "called": np.concatenate(called_outputs),
            "y": np.concatenate(outputs),
            "dx": np.concatenate(dxs[::-1]),
        }
        for n, (a, b, c) in enumerate(zip(parts(called), parts(carried), parts(back), strict=True)):
            got |= {f"called state {n}": a, f"state {n}": b, f"dstate {n}": c}
        names = [name for name in whole if not name.startswith("d ")]
        expected = {name: whole[name] for name in names}
        assert_same_bits({name: got[name] for name in names}, expected, f"cut at {cut}: ")


@pytest.mark.parametrize("B", [1, 2, 7])
def test_step_by_step(kind: str, dtype: str, isa: str, B: int) -> None:
    model = make(kind, 5, 19, dtype=dtype, isa=isa, num_layers=2)
    assert_cuts(model, 12, B, [list(range(1, 12)), [1], [11], [5, 6]])


@pytest.mark.parametrize("B", [1, 33])
def test_cuts_of_long_sequences(dtype: str, isa: str, B: int) -> None:
    """Longer than a chunk of the merged input product, and than one of the backward pass."""
    T = 600 if B == 1 else 90
    model = make("lstm", 3, 64, dtype=dtype, isa=isa)
    assert_cuts(model, T, B, [[T // 2 + 1], [1, 2, T - 1]])


def test_cuts_of_calls_with_large_weights(isa: str) -> None:
    """So large (34 MB) that several steps' input products are made at once although rows fill the tiles, and
    that panels are prefetched, which for a row alone they are not.
    """
    model = make("rnn_tanh", 2600, 1900, isa=isa)
    x, state = random_x(model, 5, 8), random_state(model, 8)
    whole, end = model(x, state)
    for cut in (1, 2, 5):
        carried, outputs = state, []
        for begin in range(0, 5, cut):
            y, carried = model(x[begin : begin + cut], carried)
            outputs.append(y)
        assert_same_bits((np.concatenate(outputs), carried), (whole, end))
    for row in (0, 6):
        alone = model(x[:, row : row + 1], np.ascontiguousarray(state[:, row : row + 1]))
        assert_same_bits(alone, (whole[:, row : row + 1], end[:, row : row + 1]))


@pytest.mark.parametrize("layers", [2, 3, 5])
def test_cuts_of_stacks(kind: str, dtype: str, isa: str, layers: int) -> None:
    """Layers take turns over chunks of 16 steps where there are so many rows and units."""
    model = make(kind, 3, 33, dtype=dtype, isa=isa, num_layers=layers)
    x, state = random_x(model, 37, 200), random_state(model, 200)
    assert_same_bits(model(x, state), model.forward(x, state)[:2])
    outputs, carried = [], state
    for begin in range(0, 37, 10):
        y, carried = model(x[begin : begin + 10], carried)
        outputs.append(y)
    assert_same_bits((np.concatenate(outputs), carried), model(x, state))


def test_chunks_of_stacks_whose_panels_are_shared(dtype: str, isa: str) -> None:
    """Threads meet after every step, every layer and, with 546 or 273 steps a chunk, every chunk."""
    model = make("lstm", 5, 120, dtype=dtype, isa=isa, num_layers=2)
    x, state = random_x(model, 600, 1), random_state(model, 1)
    expected = model(x, state)
    lstmfast.set_num_threads(2)
    for _ in range(3):
        assert_same_bits(model(x, state), expected)


@settings(max_examples=40)
@given(data=st.data(), kind=st.sampled_from(KINDS), dtype=st.sampled_from(DTYPES), isa=st.sampled_from(ISAS))
def test_any_cuts(data: st.DataObject, kind: str, dtype: str, isa: str) -> None:
    T, B = data.draw(st.integers(1, 30)), data.draw(st.integers(1, 10))
    cut = sorted(data.draw(st.lists(st.integers(0, T), max_size=8)))  # pieces of no step, too
    model = make(
        kind,
        data.draw(st.integers(1, 70)),
        data.draw(st.integers(1, 40)),
        num_layers=data.draw(st.integers(1, 3)),
        bias=data.draw(st.booleans()),
        dtype=dtype,
        isa=isa,
    )
    assert_cuts(model, T, B, [cut], data.draw(st.integers(0, 2**31)))


# Calls and tapes.


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS.keys())
def test_call_and_forward(dtype: str, split: Split) -> None:
    options: dict[str, Any] = {"num_layers": split.layers, "bidirectional": split.directions == 2}
    model = make(split.kind, split.I, split.H, dtype=dtype, **options)
    x, state, _, _ = arguments(model, split.T, split.B)
    for threads in (1, 5):
        lstmfast.set_num_threads(threads)
        y, end, _ = model.forward(x, state)
        assert_same_bits(model(x, state), (y, end))


def test_backward_again_and_again(kind: str, dtype: str, isa: str) -> None:
    """On one tape, between other calls, with other numbers of threads."""
    model = make(kind, 30, 40, dtype=dtype, isa=isa, num_layers=2, bidirectional=True)
    x, state, dy, dstate = arguments(model, 16, 5)
    y, _, tape = model.forward(x, state)
    kept = x.copy(), y.copy()

    def gradients() -> list[Array]:
        grads = model.backward(tape, dy, dstate)
        return [grads.x, *parts(grads.state), *grads.parameters.values()]

    first = gradients()
    copies = [array.copy() for array in first]
    for threads in (2, 1, 5):
        lstmfast.set_num_threads(threads)
        model(x + 1)
        model.backward(model.forward(x - 1)[2], dy)
        assert_same_bits(gradients(), first)
    assert_same_bits(first, copies)  # results are nobody's scratch
    assert_same_bits((x, y), kept)


# Rows that end or begin anew, and projections.


def assert_rows_alone_with_times(model: Model, T: int, B: int, times: str, picks: list[Array]) -> None:
    """As `assert_rows_alone`, each row with its own length and marks."""
    given, cut = helpers.arguments(model, T, B), helpers.times_of(times, T, B)
    whole = helpers.run(model, **given, **cut)
    if cut:  # or nothing would be compared but what other tests do
        assert (whole["y"] != helpers.run(model, **given)["y"]).any()
    names = [name for name in whole if not name.startswith("d ")]
    for rows in picks:
        few = {name: np.ascontiguousarray(array[..., rows]) for name, array in cut.items()}
        x, dy = given["x"][:, rows], given["dy"][:, rows]
        state, dstate = rows_of(given["state"], rows), rows_of(given["dstate"], rows)
        part = helpers.run(model, x, state, dy, dstate, **few)
        expected = {name: whole[name][:, rows] for name in names}
        assert_same_bits({name: part[name] for name in names}, expected, f"{len(rows)} of {B} rows: ")


@pytest.mark.parametrize("cell", helpers.CELLS)
@pytest.mark.parametrize("times", helpers.TIMES)
def test_rows_alone_with_times(cell: str, dtype: str, isa: str, times: str) -> None:
    """What a row gives depends on no other row: not on their lengths, nor on where it stands among them."""
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True}
    model = helpers.make_cell(cell, 5, 18, dtype=dtype, isa=isa, **options)
    picks = [np.array([row]) for row in range(29)]
    picks += [np.arange(29 - size, 29)[::-1] for size in (2, 3, 6, 13, 24)]
    assert_rows_alone_with_times(model, 7, 29, times, picks)


@pytest.mark.parametrize("cell", helpers.CELLS)
@pytest.mark.parametrize("times", helpers.TIMES)
def test_rows_alone_with_times_in_long_calls(cell: str, isa: str, times: str) -> None:
    """Longer than a chunk of the backward pass with all rows, and than merged input products with one."""
    model = helpers.make_cell(cell, 3, 40, isa=isa)
    assert_rows_alone_with_times(model, 420, 4, times, [np.array([0]), np.array([3, 1])])


@pytest.mark.parametrize("cell", helpers.CELLS)
@pytest.mark.parametrize("times", helpers.TIMES)
def test_isas_with_times(cell: str, dtype: str, times: str) -> None:
    for T, B, I, H in ((1, 1, 1, 2), (7, 1, 5, 33), (9, 7, 3, 17), (5, 53, 70, 65)):
        results = []
        for isa in ISAS:
            options: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "dtype": dtype, "isa": isa}
            model = helpers.make_cell(cell, I, H, **options)
            given, cut = helpers.arguments(model, T, B), helpers.times_of(times, T, B)
            results.append(helpers.run(model, **given, **cut))
        for isa, result in zip(ISAS[1:], results[1:], strict=True):
            assert_same_bits(result, results[0], f"{isa} and {ISAS[0]}, {B} rows: ")


TIMED_SPLITS = {name: split for name, split in SPLITS.items() if split.T > 1}


@pytest.mark.parametrize("times", ["plain", "lengths", "reset", "lengths and reset"])
@pytest.mark.parametrize("projected", [False, True])
@pytest.mark.parametrize("split", TIMED_SPLITS.values(), ids=TIMED_SPLITS.keys())
def test_threads_with_times(dtype: str, split: Split, projected: bool, times: str) -> None:
    """Weight gradients, too: whichever thread adds up which part, each sum is in one order."""
    if projected and split.kind != "lstm":
        pytest.skip("an RNN has no projection")
    options: dict[str, Any] = {"num_layers": split.layers, "bidirectional": split.directions == 2}
    if projected:
        options["proj_size"] = split.H // 3
    model = make(split.kind, split.I, split.H, dtype=dtype, **options)
    given = helpers.arguments(model, split.T, split.B)
    cut = helpers.times_of(times, split.T, split.B)
    one = helpers.run(model, **given, **cut)
    for threads in (2, 3, 5):
        lstmfast.set_num_threads(threads)
        for _ in range(2):
            assert_same_bits(helpers.run(model, **given, **cut), one, f"{threads} threads: ")
