"""What training holds: the numbers that a tape says it keeps, and what the system says the process has."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..core_helpers import Model, run_python
from ..layers.numbers.helpers import CELLS, TIMES, arguments, features_of, make_cell, times_of, width_of


def most_numbers(model: Model, T: int, B: int, recompute: bool) -> int:
    """How many numbers a tape may keep.

    Of each row, step, layer and direction: the gates (4H, of an RNN H), unless they are made anew, and c (H,
    of an LSTM). Of each row and step: outputs of the layers but the last, and with dropout what is left of
    them. Of each row: the initial state.
    """
    H, L, D = model.hidden_size, model.num_layers, 2 if model.bidirectional else 1
    memory = H if model._KIND.has_memory else 0
    gates = 0 if recompute else (H if isinstance(model, lstmfast.RNN) else 4 * H)
    between = (L - 1) * features_of(model) * (2 if model.dropout else 1)
    return T * B * (L * D * (gates + memory) + between) + L * D * B * (width_of(model) + memory)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("times", TIMES)
@pytest.mark.parametrize("recompute", [False, True])
def test_numbers_on_a_tape(cell: str, times: str, dtype: str, recompute: bool) -> None:
    T, B = 50, 4
    for layers, bidirectional, dropout in ((1, False, 0), (1, True, 0), (2, False, 0), (3, True, 0.3)):
        options: dict[str, Any] = {"bidirectional": bidirectional, "dropout": dropout, "dtype": dtype}
        model = make_cell(cell, 3, 40, num_layers=layers, **options)
        given = arguments(model, T, B)
        cut: dict[str, Any] = {**times_of(times, T, B)}
        tape = model.forward(given["x"], given["state"], recompute=recompute, **cut)[2]
        masks = (layers - 1) * T * B * features_of(model) if dropout else 0  # a byte each
        # A number of a row and one of a step for lengths; a byte of a row and step for reset.
        plan = (8 * (2 * B + T) if cut else 0) + (T * B if "reset" in cut else 0)
        most = most_numbers(model, T, B, recompute) * model.dtype.itemsize
        assert tape.nbytes <= most + masks + plan, options


@pytest.mark.parametrize(("layers", "share"), [(1, 1 / 5), (2, 3 / 11), (4, 7 / 23)])
def test_an_lstm_without_gates_keeps_a_third_or_less(dtype: str, layers: int, share: float) -> None:
    """Per row and step c for 5H numbers in one layer; of two layers h between them, too: 3H for 11H."""
    model = lstmfast.LSTM(3, 40, layers, dtype=dtype, seed=0)
    x = np.ones((500, 4, 3))
    full, short = (model.forward(x, recompute=recompute)[2].nbytes for recompute in (False, True))
    assert short <= 1.01 * share * full  # the initial state is a thousandth


# What the system says. Peaks of a process only rise, so each measurement has a process of its own.

MEASURE = r"""
import json, re, sys
import numpy as np
import lstmfast

def peak():
    # Not getrusage's: that begins with what the process that started this one had.
    with open("/proc/self/status") as status:
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status.read())[1])

model_options, T, B, forward_options = json.loads(sys.argv[1])
model = lstmfast.LSTM(**model_options, seed=0)
reset = np.zeros((T, B), bool)
if forward_options.pop("cut"):
    reset[T // 2, 0] = True
    forward_options["lengths"] = [T] * (B - 1) + [T - 1]
forward_options["reset"] = reset
for steps in (2, 3):  # what is made once: packed weights, the pool's threads
    few = {**forward_options, "reset": reset[:steps]}
    if "lengths" in few:
        few["lengths"] = [1] * B
    small, _, tape = model.forward(np.ones((steps, B, model.input_size), np.float32), **few)
    model.backward(tape, small)
x = np.ones((T, B, model.input_size), np.float32)
before = peak()
y, _, tape = model.forward(x, **forward_options)
after_forward = peak()
grads = model.backward(tape, y)
print(json.dumps({"forward": after_forward - before, "backward": peak() - after_forward,
                  "tape": tape.nbytes, "y": y.nbytes, "dx": grads.x.nbytes}))
"""

MIB = 1 << 20
# Beside what grows with T there are chunks of dz (512 KiB, and as much again for gates that are made anew),
# the addresses of their rows, and ends of arrays where the system's pages are of 2 MiB.
CONSTANT = 6 * MIB

needs_peaks = pytest.mark.skipif(sys.platform != "linux", reason="reads peaks in /proc")


def measured(T: int, B: int, forward_options: dict[str, Any], **model_options: Any) -> dict[str, int]:
    """Bytes by which the peak of a process rose in forward and then in backward, and the arrays' sizes."""
    given = json.dumps([model_options, T, B, {"cut": False, **forward_options}])
    results: dict[str, int] = json.loads(run_python(MEASURE, given, LSTMFAST_NUM_THREADS="1"))
    return results


@needs_peaks
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("recompute", [False, True])
def test_forward_takes_y_and_the_tape(recompute: bool, cut: bool) -> None:
    options = {"recompute": recompute, "cut": cut}
    sizes = measured(4000, 16, options, input_size=2, hidden_size=64, num_layers=2)
    assert sizes["tape"] > 40 * MIB
    # The tape does not hold more than it says, nor say more than it holds.
    assert sizes["tape"] + sizes["y"] - CONSTANT < sizes["forward"] < sizes["tape"] + sizes["y"] + CONSTANT


@needs_peaks
@pytest.mark.parametrize("options", [{}, {"proj_size": 30}, {"bidirectional": True}], ids=str)
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("recompute", [False, True])
def test_backward_of_long_sequences_takes_dx_and_chunks(
    recompute: bool, cut: bool, options: dict[str, Any]
) -> None:
    """dz of all 20000 steps, or gates made anew of all, would be 39 MiB in each direction."""
    given = {"recompute": recompute, "cut": cut}
    sizes = measured(20_000, 2, given, input_size=4, hidden_size=64, **options)
    assert sizes["backward"] < sizes["dx"] + CONSTANT


@needs_peaks
@pytest.mark.parametrize("recompute", [False, True])
def test_backward_of_many_layers_takes_two_gradients_between_them(recompute: bool) -> None:
    """Each [T, B, D*H], 20 MiB here, however many layers there are."""
    T, B, H = 20_000, 4, 64
    given = {"recompute": recompute}
    sizes = measured(T, B, given, input_size=4, hidden_size=H, num_layers=5)
    assert sizes["backward"] < sizes["dx"] + 2 * T * B * H * 4 + CONSTANT
