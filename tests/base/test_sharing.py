"""Threads that share layers, streams and pools, and do with them what they like: nothing is lost or mixed.

`nox -s races` runs these under ThreadSanitizer, on a Python without a GIL: there each call is at work beside
each other one, also where it would have kept the GIL.
"""

from __future__ import annotations

import copy
import os
import pickle
import random
import subprocess
import sys
import sysconfig
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import lstmfast

from ..helpers import assert_same_bits, make
from ..helpers import random as random_array
from ..together import together

THREADS = 4
BUSY = "another thread is using this object: it serves one at a time, give each its own"
# Steps that are done before the GIL could be handed over, and steps without it.
every_width = pytest.mark.parametrize("hidden", [2, 256])


def counting(hidden: int) -> Any:
    """A layer whose h' = h + x: its state says how many steps were made."""
    model = lstmfast.RNN(1, hidden, bias=False, activations=(("Affine", 1.0, 0.0),), dtype="float64")
    model.update({"weight_ih_l0": np.ones((hidden, 1)), "weight_hh_l0": np.eye(hidden)})
    return model


def was_let(act: Callable[[], Any], *refusals: str) -> bool:
    """Act, and say whether that was let: not where the object was taken, or as these words say."""
    try:
        act()
    except (RuntimeError, ValueError) as error:
        if not any(words in str(error) for words in (BUSY, *refusals)):
            raise
        return False
    return True


@every_width
def test_a_stream_in_many_hands(threads: None, hidden: int) -> None:
    """Every call does all of its work or is refused and does none, whatever the others do meanwhile."""
    lstmfast.set_num_threads(2)
    stream = counting(hidden).stream()
    frame, chunk = np.ones(1), np.ones((3, 1))
    counted = [0] * THREADS

    def whole(state: Any) -> None:
        assert (state == state.flat[0]).all(), "a state in the midst of a step"

    acts: list[tuple[int, Callable[[], Any]]] = [
        (1, lambda: stream.step(frame)),
        (1, lambda: stream.step(frame, out=np.empty(hidden))),
        (1, lambda: stream.step([1.0])),
        (3, lambda: stream.run(chunk)),
        (0, lambda: whole(stream.state)),
        (0, lambda: whole(copy.copy(stream).state)),
        (0, lambda: whole(pickle.loads(pickle.dumps(stream)).state)),
        (0, lambda: stream.snapshot()),
        (0, lambda: (stream.batch, stream.nbytes, stream.model.update(stream.model.state_dict()))),
    ]

    def job(k: int) -> None:
        for number in range(600):
            steps, act = acts[number % 4 if number % 5 else (number // 5 + k) % len(acts)]
            if was_let(act):
                counted[k] += steps

    together([partial(job, k) for k in range(THREADS)])
    assert sum(counted) > 0
    assert (stream.state == sum(counted)).all()


@every_width
def test_a_pool_in_many_hands(threads: None, hidden: int) -> None:
    """Each of its streams has the steps that were made with it, whatever was opened, closed and grown."""
    lstmfast.set_num_threads(2)
    pool = counting(hidden).stream_pool(8)
    common = pool.open()
    made: list[Counter[int]] = [Counter() for _ in range(THREADS)]
    kept: list[list[int]] = [[] for _ in range(THREADS)]

    def look() -> None:
        assert common in pool
        assert len(pool) > 0
        assert pool.nbytes > 0

    def job(k: int) -> None:
        draw, steps, own = random.Random(k), made[k], kept[k]
        for number in range(400):
            if number % 40 == 0:
                was_let(lambda: pool.grow(pool.capacity + 8), "capacity: expected at least")
            elif number % 10 == 0 and len(own) < 6:
                was_let(lambda: own.append(pool.open()), "streams of the pool are open")
            elif number % 25 == 24 and own:
                last = [own.pop()]
                while not was_let(partial(pool.close, last)):
                    pass
            elif number % 7 == 0:
                was_let(look)
            elif number % 9 == 0:
                was_let(lambda: pickle.loads(pickle.dumps(pool)))
            else:
                ids = np.array([common, *own])[:: draw.choice((1, -1))]
                if was_let(partial(pool.step, ids, np.ones((len(ids), 1)))):
                    steps.update(ids.tolist())

    together([partial(job, k) for k in range(THREADS)])
    steps = sum(made, Counter[int]())
    assert steps[common] > 0
    still_open = pool.ids.tolist()
    assert sorted(still_open) == sorted([common, *(id for own in kept for id in own)])
    state = pool.state(still_open)[0]  # [n, H]
    assert_same_bits(state, np.array([[float(steps[id])] * hidden for id in still_open]))


def test_a_layer_in_many_hands(threads: None) -> None:
    """All that a layer can be asked for at once: results are of the old weights or of the new ones."""
    lstmfast.set_num_threads(2)
    model = make("lstm", 6, 40, num_layers=2)
    x = random_array((7, 5, 6))
    weights = [make("lstm", 6, 40, num_layers=2, seed=seed).state_dict() for seed in (0, 1)]
    allowed: dict[bytes, bytes] = {}
    smaller: set[bytes] = set()
    for version in weights:
        model.load_state_dict(version)
        y, _, tape = model.forward(x)
        allowed[y.tobytes()] = model.backward(tape, y).x.tobytes()
        smaller.add(model.quantize("int8")(x)[0].tobytes())
    assert len(allowed) == len(smaller) == 2

    def known(y: Any) -> None:
        assert y.tobytes() in allowed

    def called_with_out() -> None:
        out = (np.empty((7, 5, 40), np.float32), model(x)[1])
        assert model(x, out=out) is out
        known(out[0])

    def trained() -> None:
        y, _, tape = model.forward(x)

        def backward() -> None:
            assert model.backward(tape, y).x.tobytes() == allowed[y.tobytes()]

        was_let(backward, "the weights have changed")

    def quantized() -> None:
        assert model.quantize("int8")(x)[0].tobytes() in smaller

    acts: list[Callable[[], Any]] = [
        lambda: known(model(x)[0]),
        called_with_out,
        trained,
        lambda: known(model.stream(5).run(x)),  # a chunk has one set of weights from end to end
        lambda: known(model(x, lengths=[7] * 5, reset=np.zeros((7, 5), bool))[0]),
        lambda: known(copy.copy(model)(x)[0]),
        lambda: known(copy.deepcopy(model)(x)[0]),
        lambda: known(pickle.loads(pickle.dumps(model))(x)[0]),
        quantized,
        lambda: model.load_state_dict(weights[0]),
        lambda: model.update(weights[1]),
        lambda: lstmfast.set_num_threads(1 + threading.get_ident() % 3),
    ]

    def job(k: int) -> None:
        for number in range(60):
            acts[(number * (2 * k + 1) + k) % len(acts)]()

    together([partial(job, k) for k in range(THREADS)])


def test_a_stream_that_is_made_again_while_others_step_it(threads: None) -> None:
    """Whoever is in the midst of a step has the stream that it began with; nobody's memory is gone."""
    lstmfast.set_num_threads(1)
    models = [counting(2), counting(3)]
    stream = models[0].stream()
    done = threading.Event()

    def again() -> None:
        try:
            for number in range(1500):
                lstmfast.Stream.__init__(stream, models[number % 2])
        finally:
            done.set()

    def step() -> None:
        while not done.is_set():
            # Between the two that make a stream, its states and its model, it has one of each.
            was_let(lambda: stream.step(np.ones(1)), "network: expected one of the shape")

    together([again, step, step])
    assert stream.step(np.ones(1)).shape == (3,)


WITHOUT_GIL = "import sys, lstmfast; print(sys._is_gil_enabled())"


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a GIL")
def test_importing_it_leaves_the_gil_off() -> None:
    """Without the declaration Python would switch it on, for the whole process, and warn."""
    command = [sys.executable, "-W", "error", "-c", WITHOUT_GIL]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    assert subprocess.check_output(command, text=True, env=environment).strip() == "False"
