"""The public calls, each on objects of its own: to be tried where something fails in their midst."""

from __future__ import annotations

import copy
import os
import pickle
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

import lstmfast
from lstmfast import training

from ..helpers import make, random, random_state


@dataclass
class Call:
    """A public call, and all that can be seen of the objects that it may change."""

    run: Callable[[], Any]
    seen: Callable[[], Any] = lambda: None


def bits(value: Any) -> bytes:
    """The same for results of the same bits."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype.str}{value.shape}".encode() + value.tobytes()
    if isinstance(value, (tuple, list)):
        return b"(" + b",".join(map(bits, value)) + b")"
    if isinstance(value, Mapping):
        return bits(list(value.items()))
    if isinstance(value, (lstmfast.Gradients, training.DenseGradients)):
        return bits([*vars(value).values()])
    if isinstance(value, (lstmfast.Tape, training.DenseTape)):
        return b"tape"  # backward passes see what is in it
    if isinstance(value, (lstmfast.Stream, lstmfast.StreamPool)):
        return bits([*map(bits, value.__reduce__()[1][2:])])
    if isinstance(value, lstmfast.StreamSnapshot):
        return bits(list(value.__reduce__()[1]))
    if hasattr(value, "parameters"):
        numbers = [] if isinstance(value, training.Dense) else value(X[..., : value.input_size])
        return bits(value.parameters) + bits(numbers)
    return repr(value).encode()


X = random((3, 2, 4))
STRIDED = random((3, 2, 8))[..., ::2]  # not as the core takes it, nor is
WIDE_X = X.astype(np.float64)
LENGTHS = np.array([3, 1])
MASK = np.array([[True, True], [False, True], [True, False]])
FRAMES = random((2, 4))


def lstm(**options: Any) -> Any:
    return make("lstm", 4, 6, num_layers=2, **options)


ROW = tuple(half[:, 0] for half in random_state(lstm(), 1))


def calls(kind: str, out: bool, **options: Any) -> Call:
    model = make(kind, 4, 6, num_layers=2)
    x = options.pop("x", X)
    if not out:
        return Call(lambda: model(x, **options), lambda: bits(model))
    state = random_state(model, 2)
    y = np.full((3, 2, 6), 7.0, np.float32)
    return Call(lambda: model(x, state, out=(y, state), **options), lambda: [bits(y), bits(state)])


def passes(**options: Any) -> Call:
    model = lstm(dropout=0.5, **options.pop("made", {}))

    def run() -> Any:
        y, state, tape = model.forward(X, seed=3, **options)
        return y, state, model.backward(tape, np.ones_like(y), state)

    return Call(run, lambda: bits(model))


def backward_again() -> Call:
    model = lstm()
    y, state, tape = model.forward(X)
    dy = np.ones_like(y)
    return Call(lambda: model.backward(tape, dy, state), lambda: [bits(model), bits(y)])


def changes(change: Callable[[Any, Any], Any]) -> Call:
    model, new = lstm(), lstm(seed=1).state_dict()
    model.forward(X)
    return Call(lambda: change(model, new), lambda: bits(model))


def small(kind: str) -> Call:
    model = lstm()
    return Call(lambda: model.quantize(kind), lambda: bits(model))


def small_called(kind: str) -> Call:
    model = lstm().quantize(kind)
    state = random_state(lstm(), 2)
    y = np.full((3, 2, 6), 7.0, np.float32)
    return Call(lambda: (model(WIDE_X), model(X, state, out=(y, state))), lambda: [bits(y), bits(state)])


def streams(run: Callable[[Any], Any], batch: int = 2) -> Call:
    stream = lstm().stream(batch)
    stream.step(random((batch, 4), seed=5))
    return Call(lambda: run(stream), lambda: bits(stream))


def checked_step() -> Call:
    """What a step does that has had to look at its arguments."""
    stream = lstm().stream(1)
    network, x = stream.model._network, random((1, 4))

    # Made here and not in the call, whose memory is to be our own and not the interpreter's.
    def step(y: Any) -> Any:
        return stream._core.step(network, x, y)

    return Call(lambda: stream._result(step, x, None, (6,), "[H]"), lambda: bits(stream))


def in_place() -> Call:
    """Likewise a call whose new state replaces the old."""
    model = lstm()
    h, c = random_state(model, 2)
    y = np.full((3, 2, 6), 7.0, np.float32)
    return Call(lambda: model._network.infer(X, h, c, False, y, h, c), lambda: [bits(y), bits(h), bits(c)])


def stream_out(run: Callable[[Any, Any, Any], Any], x: Any) -> Call:
    stream, y = lstm().stream(2), np.full((*x.shape[:-1], 6), 7.0, np.float32)
    return Call(lambda: run(stream, x, y), lambda: [bits(stream), bits(y)])


def pools(run: Callable[[Any, list[int]], Any]) -> Call:
    pool = lstm().stream_pool(5)
    pool.close([pool.open(), pool.open(), pool.open(), pool.open()])  # small integers are there already
    ids = [pool.open() for _ in range(3)]
    pool.step(ids, random((3, 4)))
    return Call(lambda: run(pool, ids), lambda: bits(pool))


def restored() -> Call:
    stream = lstm().stream(2)
    before = stream.snapshot()
    stream.step(FRAMES)
    return Call(lambda: stream.restore(before), lambda: [bits(stream), bits(before)])


def optimised() -> Call:
    models = [lstm(), training.Dense(6, 2, seed=0)]
    adam = training.Adam(*models, learning_rate=0.1)
    gradients = [{name: np.ones_like(w) for name, w in model.parameters.items()} for model in models]
    adam.step(*gradients)

    def seen() -> Any:
        kept = [pair for moments in adam._moments for pair in moments.values()]
        return [*map(bits, models), bits(kept), repr(adam)]

    return Call(lambda: adam.step(*gradients), seen)


def head() -> Call:
    dense = training.Dense(6, 3, activation="softmax", seed=0)
    x, labels = random((5, 6)), np.array([0, 1, 2, 0, 1])

    def run() -> Any:
        _, tape = dense.forward(x)
        loss, gradient = training.cross_entropy(tape, labels)
        found = dense.backward(tape, gradient)
        return loss, found, training.clip_global_norm(found.parameters, max_norm=0.5)

    return Call(run, lambda: bits(dense))


def saved() -> Call:
    folder = tempfile.mkdtemp()
    path = os.path.join(folder, "model")
    lstm(seed=9).save(path)
    model = lstm()

    def seen() -> Any:
        with open(path, "rb") as file:
            return [file.read(), os.listdir(folder), bits(model)]

    return Call(lambda: model.save(path), seen)


def loaded() -> Call:
    path = os.path.join(tempfile.mkdtemp(), "model")
    lstm().save(path)
    return Call(lambda: lstmfast.load(path))


def of_weights() -> Call:
    model = make("lstm", 4, 6)
    arrays = model.to_weights("keras")
    return Call(
        lambda: (model.to_weights("keras"), lstmfast.LSTM.from_weights(arrays, "keras")), lambda: bits(model)
    )


def copied(copy_of: Callable[[Any], Any]) -> Call:
    model = lstm()
    stream, pool = model.stream(2), model.stream_pool(3)
    pool.open()
    return Call(lambda: [copy_of(each) for each in (model, stream, pool)], lambda: bits(model))


# In which next to nothing runs but this package, the interpreter, and NumPy where it makes an array.
OWN: dict[str, Callable[[], Call]] = {
    "call": lambda: calls("lstm", out=False),
    "call, out": lambda: calls("lstm", out=True),
    "call, out of an RNN": lambda: calls("rnn_tanh", out=True),
    "backward": backward_again,
    "state_dict": lambda: changes(lambda model, new: model.state_dict()),
    "stream": lambda: Call(partial(lstm().stream, 3)),
    "infer, in place": in_place,
    "step": lambda: streams(lambda stream: stream.step(FRAMES)),
    "step, checked": checked_step,
    "step, out": lambda: stream_out(lambda stream, x, y: stream.step(x, out=y), FRAMES),
    "run": lambda: streams(lambda stream: stream.run(X)),
    "run, out": lambda: stream_out(lambda stream, x, y: stream.run(x, out=y), X),
    "state": lambda: streams(lambda stream: stream.state),
    "reset": lambda: streams(lambda stream: stream.reset()),
    "snapshot": lambda: streams(lambda stream: stream.snapshot()),
    "restore": restored,
    "stream_pool": lambda: Call(partial(lstm().stream_pool, 9)),
    "open": lambda: pools(lambda pool, ids: pool.open()),
    "close": lambda: pools(lambda pool, ids: pool.close(np.array(ids[1:]))),
    "pool step": lambda: pools(lambda pool, ids: pool.step(np.array(ids[:2]), FRAMES)),
    "pool state": lambda: pools(lambda pool, ids: (pool.state(np.array(ids)), len(pool), ids[0] in pool)),
    "grow": lambda: pools(lambda pool, ids: pool.grow(200)),
}
# Of these, those that go into compiled code at once, past all functions of Python's.
DIRECT = (
    "call",
    "call, out",
    "call, out of an RNN",
    "infer, in place",
    "step",
    "step, out",
    "run",
    "pool step",
)
CALLS: dict[str, Callable[[], Call]] = {
    **OWN,
    "LSTM": lambda: Call(lstm),
    "GRU, float64": lambda: Call(lambda: lstmfast.GRU(4, 6, bidirectional=True, dtype="float64", seed=0)),
    "LayerNormLSTM": lambda: Call(lambda: lstmfast.LayerNormLSTM(4, 6, seed=0)),
    "call, converted": lambda: calls("gru", out=False, x=WIDE_X),
    "call, converted, out": lambda: calls("gru", out=True, x=WIDE_X),
    "call, lengths, out": lambda: calls("lstm", out=True, lengths=LENGTHS),
    "call, reset, out": lambda: calls("lstm", out=True, lengths=LENGTHS, reset=MASK),
    "call, mask, out": lambda: calls("lstm", out=True, mask=MASK),
    "call, return_c": lambda: calls("lstm", out=False, return_c=True, mask=MASK),
    "forward, backward": passes,
    "forward, backward, recompute": lambda: passes(recompute=True, lengths=LENGTHS),
    "forward, backward, mask": lambda: passes(mask=MASK, reset_to=random_state(lstm(), 2)),
    "forward, backward, drawn": lambda: passes(made={"zoneout": 0.1, "recurrent_dropout": 0.2}),
    "update": lambda: changes(lambda model, new: model.update({"weight_hh_l1": new["weight_hh_l1"]})),
    "load_state_dict": lambda: changes(lambda model, new: model.load_state_dict(new)),
    "weights": of_weights,
    "quantize, int8": lambda: small("int8"),
    "quantize, bfloat16": lambda: small("bfloat16"),
    "call, int8": lambda: small_called("int8"),
    "dequantize": lambda: Call(lstm().quantize("float16").dequantize),
    "step, strided": lambda: streams(lambda stream: stream.step(STRIDED[0])),
    "step, of one row": lambda: streams(lambda stream: stream.step(STRIDED[0, 0]), 1),
    "step, strided, out": lambda: stream_out(lambda stream, x, y: stream.step(x, out=y), STRIDED[0]),
    "pool step, strided": lambda: pools(lambda pool, ids: pool.step(np.array(ids[:2]), STRIDED[0])),
    "step, converted": lambda: streams(lambda stream: stream.step(FRAMES.tolist())),
    "run, converted": lambda: streams(lambda stream: stream.run(WIDE_X)),
    "state, set": lambda: streams(lambda stream: setattr(stream, "state", random_state(lstm(), 2))),
    "reset, to": lambda: streams(lambda stream: stream.reset([1], to=ROW)),
    "open, with a state": lambda: pools(lambda pool, ids: pool.open(ROW)),
    "pool step, converted": lambda: pools(lambda pool, ids: pool.step(ids[:2], FRAMES.tolist())),
    "set_state": lambda: pools(lambda pool, ids: pool.set_state(ids[:2], random_state(lstm(), 2))),
    "pool reset": lambda: pools(lambda pool, ids: pool.reset(ids[:2], to=ROW)),
    "copy": lambda: copied(copy.copy),
    "deepcopy": lambda: copied(copy.deepcopy),
    "pickle": lambda: copied(lambda each: pickle.loads(pickle.dumps(each))),
    "save": saved,
    "load": loaded,
    "Adam": optimised,
    "Dense": head,
}
