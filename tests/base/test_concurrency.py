"""Threads of Python, the pool of the core, the GIL, and weights that change while others compute."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast import _core

from ..helpers import assert_same_bits, everything, make, random
from ..together import LONG_ENOUGH, together

# Shapes that are shared by rows, by directions and by panels, and one that is not shared: see
# layers/numbers/test_bits.py.
SHAPES = [
    {"kind": "lstm", "T": 12, "B": 13, "I": 16, "H": 48},
    {"kind": "lstm", "T": 90, "B": 1, "I": 40, "H": 60, "bidirectional": True},
    {"kind": "lstm", "T": 20, "B": 1, "I": 70, "H": 256},
    {"kind": "rnn_tanh", "T": 3, "B": 2, "I": 3, "H": 5},
]


def made(shape: dict[str, Any]) -> tuple[Any, Any]:
    """A model and its input."""
    rest = {key: value for key, value in shape.items() if key not in {"kind", "T", "B", "I", "H"}}
    model = make(shape["kind"], shape["I"], shape["H"], **rest)
    return model, random((shape["T"], shape["B"], shape["I"]))


@pytest.mark.parametrize("allowed", [1, 3])
def test_many_threads_on_one_object(threads: None, isa: str, allowed: int) -> None:
    """Only one call at a time gets the pool, the others work alone: nobody waits, and bits are the same."""
    model = make("lstm", 8, 24, num_layers=2, bidirectional=True, isa=isa)
    inputs = [random((12, B, 8), seed=B) for B in (1, 5, 13)]
    lstmfast.set_num_threads(1)
    expected = [everything(model, x) for x in inputs]
    lstmfast.set_num_threads(allowed)

    def job() -> None:
        for _ in range(8):
            for x, wanted in zip(inputs, expected, strict=True):
                assert_same_bits(everything(model, x), wanted)

    together([job] * 6)


def test_many_threads_on_many_objects(threads: None) -> None:
    lstmfast.set_num_threads(4)
    jobs: list[Callable[[], None]] = []
    for shape in SHAPES * 2:
        model, x = made(shape)
        expected = everything(model, x)

        def job(model: Any = model, x: Any = x, expected: Any = expected) -> None:
            for _ in range(8):
                assert_same_bits(everything(model, x), expected)

        jobs.append(job)
    together(jobs)


def test_first_backward_of_many_threads() -> None:
    """The weights are packed for backward when the first one comes; here six come at once."""
    x, dy = random((2, 1, 100)), random((2, 1, 200))
    wanted = everything(make("lstm", 100, 200, num_layers=2), x, dy=dy)
    for _ in range(8):
        model = make("lstm", 100, 200, num_layers=2)
        tape = model.forward(x)[2]

        def job(model: Any = model, tape: Any = tape) -> None:
            assert_same_bits(model.backward(tape, dy).x, wanted["dx"])

        together([job] * 6)


def test_one_tape_in_many_threads(threads: None) -> None:
    lstmfast.set_num_threads(2)
    model, x = made(SHAPES[0])
    y, _, tape = model.forward(x)
    expected = model.backward(tape, y)

    def job() -> None:
        for _ in range(10):
            grads = model.backward(tape, y)
            assert_same_bits(grads.x, expected.x)
            assert_same_bits(grads.parameters, expected.parameters)

    together([job] * 5)


def test_number_of_threads_changes_between_and_during_calls(threads: None) -> None:
    pairs = [made(shape) for shape in SHAPES]
    lstmfast.set_num_threads(1)
    expected = [everything(model, x) for model, x in pairs]
    for allowed in (1, 5, 2, 3, 1, 4):
        lstmfast.set_num_threads(allowed)
        assert lstmfast.get_num_threads() == allowed
        for (model, x), wanted in zip(pairs, expected, strict=True):
            assert_same_bits(everything(model, x), wanted)
    stop = threading.Event()

    def change() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            lstmfast.set_num_threads(1 + n % 5)
            time.sleep(1e-4)

    def compute() -> None:
        try:
            for _ in range(15):
                for (model, x), wanted in zip(pairs, expected, strict=True):
                    assert_same_bits(everything(model, x), wanted)
        finally:
            stop.set()

    together([change, compute])


# Weights.


def test_results_are_of_old_weights_or_of_new_ones(threads: None) -> None:
    """Never of some of each: all layers, both directions, forward and backward."""
    lstmfast.set_num_threads(2)
    options: dict[str, Any] = {"num_layers": 3, "bidirectional": True}
    model = make("lstm", 6, 12, seed=0, **options)
    x, dy = random((7, 5, 6)), random((7, 5, 24), seed=1)
    weights = [make("lstm", 6, 12, seed=seed, **options).state_dict() for seed in (0, 1)]
    allowed: dict[bytes, list[bytes]] = {}
    for version in weights:
        model.update(version)
        y, _, tape = model.forward(x)
        grads = model.backward(tape, dy)
        allowed[y.tobytes()] = [grads.x.tobytes(), *(array.tobytes() for array in grads.parameters.values())]
    assert len(allowed) == 2
    stop = threading.Event()
    seen: set[bytes] = set()
    refused = []

    def update() -> None:
        try:
            deadline = time.monotonic() + LONG_ENOUGH / 2
            for n in itertools.count():
                model.update(weights[n % 2])
                if n >= 300 and (len(seen) == 2 or time.monotonic() > deadline):
                    break
        finally:
            stop.set()

    def compute() -> None:
        while not stop.is_set():
            assert model(x)[0].tobytes() in allowed
            y, _, tape = model.forward(x)
            wanted = allowed[y.tobytes()]  # KeyError if it is of neither
            seen.add(y.tobytes())
            try:
                grads = model.backward(tape, dy)
            except ValueError as error:  # the weights that made this tape are gone
                refused.append(str(error))
                continue
            assert [grads.x.tobytes(), *(array.tobytes() for array in grads.parameters.values())] == wanted

    together([update, compute, compute, compute])
    assert seen == set(allowed)
    assert all("the weights have changed" in message for message in refused)


# The GIL.


@pytest.mark.alone
def test_the_gil_is_free_while_the_core_works(threads: None) -> None:
    """Another thread of Python goes on in the middle of each kind of long call."""
    lstmfast.set_num_threads(1)
    model = make("lstm", 64, 192)
    x = random((900, 8, 64))
    y, _, tape = model.forward(x)
    wide = make("rnn_tanh", 2500, 2500)
    weights = [wide.parameters[name] for name in wide.parameters]
    numbers = random((20_000_000,))
    calls: dict[str, Callable[[], object]] = {
        "call": lambda: model(x),
        "forward": lambda: model.forward(x),
        "backward": lambda: model.backward(tape, y),
        "packing": lambda: _core.Network32("rnn_tanh", 2500, 2500, 1, False, True, weights, "scalar"),
        "sigmoid": lambda: _core.sigmoid(numbers, "scalar"),
        "tanh": lambda: _core.tanh(numbers, "scalar"),
        "peak_gflops": lambda: _core.peak_gflops("scalar", "float32", 0.1),
    }
    beats: list[float] = []
    stop = threading.Event()

    def beat() -> None:
        while not stop.is_set():
            beats.append(time.perf_counter())
            time.sleep(5e-4)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        for name, call in calls.items():
            # The first and the last quarter of a call may be Python's, its checks and its new arrays. On a
            # busy machine the other thread may not have been scheduled in time; not so five times over.
            for _ in range(5):
                begin = time.perf_counter()
                call()
                end = time.perf_counter()
                quarter = (end - begin) / 4
                if sum(begin + quarter < t < end - quarter for t in list(beats)) >= 3:
                    break
            else:
                pytest.fail(f"{name}: nothing else ran in the middle of {end - begin:.3f} s")
    finally:
        stop.set()
        thread.join()


def test_results_outlive_their_model(threads: None) -> None:
    """A tape keeps its network and its arrays; each may go in any order, in any thread."""
    lstmfast.set_num_threads(2)

    def job() -> None:
        for seed in range(10):
            model = make("lstm", 8, 24, seed=seed)
            y, _, tape = model.forward(np.ones((3, 2, 8), np.float32))
            wanted = model.backward(tape, y).x
            network = model._network
            core_tape = tape._core
            del model, tape
            assert_same_bits(network.backward(core_tape, np.ascontiguousarray(y), None, None)[0], wanted)
            del network

    together([job] * 4)
