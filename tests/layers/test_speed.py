"""How many times the NumPy reference and PyTorch, and what cuts and small tapes cost. Not run by default.

`pytest -m speed`. What is compared is measured in one process, in turns, one thread each (BLAS has its own,
which would spin beside ours), and the best round of each counts: a disturbance slows a round, never the best
of many.

Five times the reference is held in geometric mean over H of 32 to 256 at batch 1. Not in every row: at batch
16 and H = 256 BLAS runs the reference at a third of what the multiply-add units can do, so that five times is
out of reach there; docs/performance.md has the rows and their ceilings.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast._bench.cases import Case
from lstmfast._bench.limits import geometric_mean
from lstmfast._bench.suites import SUITES

from ..core_helpers import run_python

pytestmark = [
    pytest.mark.speed,
    pytest.mark.skipif(
        lstmfast.isa() != lstmfast.available_isas()[0],
        reason="NumPy and PyTorch use the best that the CPU has, too",
    ),
]

WANTED_MEAN_AT_BATCH_1 = 5.0
WANTED_IN_EVERY_ROW = 1.5
WANTED_TIMES_PACKED_SEQUENCE = 5.0
MOST_FOR_RESET = 1.05  # of the time without, in mean over the shapes
MOST_FOR_RECOMPUTE = 1.4  # of the time without
MOST_OF_THE_TAPE = 1 / 3  # of its bytes without recompute

# What every measurement begins with.
COMMON = """
import json, sys, time
import numpy as np
import lstmfast
from lstmfast._bench import problem
from lstmfast._bench.cases import Case

def best(rounds, *works):
    seconds = [np.inf] * len(works)
    for _ in range(rounds):
        for n, work in enumerate(works):
            begin = time.perf_counter()
            work()
            seconds[n] = min(seconds[n], time.perf_counter() - begin)
    return seconds

def train(model, x, dy, **more):
    y, _, tape = model.forward(x, **more)
    return y, model.backward(tape, dy)

def cases():
    for values in json.loads(sys.argv[1]):
        case, rng = Case(**values), np.random.default_rng(0)
        x = rng.standard_normal((case.T, case.B, case.I), np.float32)
        dy = rng.standard_normal((case.T, case.B, case.directions * case.H), np.float32)
        yield case, rng, problem.model(case, seed=0), x, dy

table = []
"""


def measured(script: str, cases: list[Case] | None = None) -> Any:
    """The table that a script fills, its cases those of `cases()`."""
    given = json.dumps([asdict(case) for case in cases or []])
    output = run_python(
        f"{COMMON}{script}\nprint(json.dumps(table))",
        given,
        OPENBLAS_NUM_THREADS="1",
        OMP_NUM_THREADS="1",
        LSTMFAST_NUM_THREADS="1",
    )
    return json.loads(output)


# Beside others ---------------------------------------------------------------------------------------

REFERENCE = """
ROUNDS = 15
STEPS = {1: 200, 16: 50}  # by batch: some milliseconds for the reference
for B, T in STEPS.items():
    for H in (32, 64, 128, 256):
        rng = np.random.default_rng(H)
        model = lstmfast.LSTM(H, H, seed=0)
        truth = lstmfast.reference.Reference("lstm", model.parameters, dtype="float32")
        x, dy = rng.standard_normal((2, T, B, H)).astype(np.float32)
        zero = np.zeros((1, B, H), np.float32)

        def ours_both():
            y, grads = train(model, x, dy)
            return y, grads.x

        def theirs_both():
            y, _, cache = truth.forward(x, zero, zero)
            return y, truth.backward(cache, dy, zero, zero)[0]

        for mine, other in zip(ours_both(), theirs_both()):
            np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-4)
        works = {
            "forward": (lambda: model(x), lambda: truth.forward(x, zero, zero)),
            "forward and backward": (ours_both, theirs_both),
        }
        for what, contestants in works.items():
            table.append([B, T, H, what, *best(ROUNDS, *contestants)])
"""

PACKED = """
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

torch.set_num_threads(1)
for case, rng, model, x, dy in cases():
    lengths = problem._draw_lengths(case, rng)
    module = torch.nn.LSTM(case.I, case.H)
    module.load_state_dict({name: torch.tensor(array) for name, array in model.state_dict().items()})
    x_torch, dy_torch = torch.tensor(x, requires_grad=True), torch.tensor(dy)
    lengths_torch = torch.tensor(lengths)
    wanted = (x_torch, *module.parameters())

    def packed():
        sequence = pack_padded_sequence(x_torch, lengths_torch, enforce_sorted=False)
        y, _ = pad_packed_sequence(module(sequence)[0], total_length=case.T)
        return y, torch.autograd.grad(y, wanted, dy_torch)

    (y, grads), (y_torch, grads_torch) = train(model, x, dy, lengths=lengths), packed()
    for mine, other in zip((y, grads.x, *grads.parameters.values()), (y_torch.detach(), *grads_torch)):
        np.testing.assert_allclose(mine, other, rtol=1e-3, atol=1e-4)
    table.append(best(15, lambda: train(model, x, dy, lengths=lengths), packed))
"""


def test_times_the_reference() -> None:
    table = measured(REFERENCE)
    text = "\n".join(
        [
            "   B    T    H                        reference       ours  times",
            *(
                f"{B:4} {T:4} {H:4} {what:22} {1e3 * other:7.3f} ms {1e3 * ours:7.3f} ms {other / ours:6.1f}"
                for B, T, H, what, ours, other in table
            ),
        ]
    )
    print(text)
    for what in ("forward", "forward and backward"):
        ratios = [other / ours for B, _, _, kind, ours, other in table if (B, kind) == (1, what)]
        mean = float(np.exp(np.mean(np.log(ratios))))
        assert mean >= WANTED_MEAN_AT_BATCH_1, f"{what} at batch 1: {mean:.2f} times\n{text}"
    assert min(other / ours for *_, ours, other in table) >= WANTED_IN_EVERY_ROW, text


@pytest.mark.usefixtures("torch")
def test_times_pytorch_with_packed_sequences() -> None:
    case = Case(100, 32, 64, 64, work="train", valid=65)
    ((ours, theirs),) = measured(PACKED, [case])
    text = f"{case.label}: {1e3 * ours:.3f} ms, PyTorch {1e3 * theirs:.3f} ms, {theirs / ours:.1f} times"
    print(text)
    assert theirs / ours >= WANTED_TIMES_PACKED_SEQUENCE, text


# Beside ourselves ------------------------------------------------------------------------------------

CUT = """
for case, rng, model, x, dy in cases():
    cut = {"reset": problem._draw_reset(case, rng)} if case.reset else {
        "lengths": problem._draw_lengths(case, rng)
    }
    rounds = 15 if case.T * case.B * case.H > 1 << 20 else 60
    inference = best(rounds, lambda: model(x), lambda: model(x, **cut))
    training = best(rounds, lambda: train(model, x, dy), lambda: train(model, x, dy, **cut))
    table.append([inference, training])
"""

RECOMPUTE = """
for case, rng, model, x, dy in cases():
    works = (lambda: train(model, x, dy), lambda: train(model, x, dy, recompute=True))
    nbytes = [model.forward(x, recompute=recompute)[2].nbytes for recompute in (False, True)]
    table.append([best(15 if case.H > 128 else 60, *works), nbytes])
"""


def shapes(suite: str, **what: Any) -> list[Case]:
    """The cases of a suite that have these values."""
    return [case for case in SUITES[suite] if all(getattr(case, k) == v for k, v in what.items())]


def listed(cases: list[Case], names: tuple[str, str], figures: list[tuple[float, float]]) -> str:
    """A case and its two figures on each line, for reading and for messages."""
    lines = [
        f"{case.label:42}" + ", ".join(f"{n} {f:.3f}" for n, f in zip(names, two, strict=True))
        for case, two in zip(cases, figures, strict=True)
    ]
    text = "\n".join(lines)
    print(text)
    return text


def cut_times(cases: list[Case]) -> list[tuple[float, float]]:
    """Of each case: time with cuts over time without, for inference and for training."""
    return [(a[1] / a[0], b[1] / b[0]) for a, b in measured(CUT, cases)]


def test_what_starts_cost() -> None:
    cases = shapes("reset", reset=1, work="sequence")
    ratios = cut_times(cases)
    works = ("inference", "training")
    text = listed(cases, works, ratios)
    for what, of_work in zip(works, zip(*ratios, strict=True), strict=True):
        mean = geometric_mean(of_work)
        assert mean < MOST_FOR_RESET, f"{what}: {mean:.3f} of the time without\n{text}"


def test_lengths_are_faster_than_padding() -> None:
    cases = shapes("lengths", valid=65, work="sequence")
    ratios = cut_times(cases)
    text = listed(cases, ("inference", "training"), ratios)
    assert max(max(of_case) for of_case in ratios) < 1, text


def test_what_a_small_tape_costs_and_saves() -> None:
    cases = shapes("recompute", recompute=True)
    found = [(small / plain, part / whole) for (plain, small), (whole, part) in measured(RECOMPUTE, cases)]
    text = listed(cases, ("time", "bytes"), found)
    assert max(time for time, _ in found) < MOST_FOR_RECOMPUTE, text
    assert max(nbytes for _, nbytes in found) <= MOST_OF_THE_TAPE, text
