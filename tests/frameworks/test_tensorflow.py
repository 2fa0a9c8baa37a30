"""TensorFlow's own operators of blocks (float32), and the cells of TensorFlow 1 where tf_keras keeps them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from .helpers import B as ROWS
from .helpers import Call, H, I, Result, T, Tree, prove, randomised

tf = pytest.importorskip("tensorflow")


def differentiated(arrays: Tree, call: Call, compute: Any) -> Result:
    """Run ``compute(weights, x, state) -> (y, state)``, and differentiate it."""
    weights = constants(arrays)
    with tf.GradientTape() as tape:
        tape.watch(weights)
        y, end = compute(weights, tf.constant(call.x), tuple(map(tf.constant, call.state)))
        terms = [y * call.dy, *(part * d for part, d in zip(end, call.dstate, strict=True))]
        loss = tf.add_n([tf.reduce_sum(term) for term in terms])
    gradients = tape.gradient(loss, weights)
    return Result(
        y.numpy(),
        tuple(part.numpy() for part in end),
        {name: gradient.numpy() for name, gradient in gradients.items()},
    )


def forward(arrays: Tree, call: Call, compute: Any) -> Result:
    """Run it alone."""
    y, end = compute(constants(arrays), tf.constant(call.x), tuple(map(tf.constant, call.state)))
    return Result(y.numpy(), tuple(part.numpy() for part in end))


def constants(arrays: Tree) -> dict[str, Any]:
    return {name: tf.constant(array) for name, array in arrays.items()}


def empty(**shapes: tuple[int, ...]) -> Tree:
    return {name: np.empty(shape) for name, shape in shapes.items()}


@pytest.mark.parametrize("peephole", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_block_lstm(second: bool, peephole: bool) -> None:
    """BlockLSTM and BlockLSTMV2, whose order of gates is another and which adds nothing to f.

    BlockLSTMV2's gradient is TensorFlow's for the order of BlockLSTM, so wrong, by finite differences too.
    """
    shapes = {"w": (I + H, 4 * H), "b": (4 * H,)}
    if peephole:
        shapes |= {"wci": (H,), "wcf": (H,), "wco": (H,)}

    def compute(weights: Any, x: Any, state: tuple[Any, ...]) -> Any:
        operator = tf.raw_ops.BlockLSTMV2 if second else tf.raw_ops.BlockLSTM
        more = {} if second else {"forget_bias": 0.75}
        none = {name: tf.zeros(H) for name in ("wci", "wcf", "wco")}
        h, c = (part[0] for part in state)
        given = operator(
            seq_len_max=tf.constant(T, tf.int64),
            x=x,
            cs_prev=c,
            h_prev=h,
            **(none | weights),
            cell_clip=-1.0,
            use_peephole=peephole,
            **more,
        )
        return given.h, (given.h[-1:], given.cs[-1:])

    options: dict[str, Any] = {} if second else {"forget_bias": 0.75}
    prove(
        "LSTM",
        "tensorflow-block-v2" if second else "tensorflow-block",
        randomised(empty(**shapes), "float32"),
        lambda arrays, call: differentiated(arrays, call, compute),
        dtype="float32",
        same_bits=second,
        gradients=not second,
        **options,
    )


def test_gru_block() -> None:
    """It has no gradient."""
    shapes = empty(w_ru=(I + H, 2 * H), w_c=(I + H, H), b_ru=(2 * H,), b_c=(H,))

    def compute(weights: Any, x: Any, state: tuple[Any, ...]) -> Any:
        h, ys = state[0][0], []
        for step in tf.unstack(x):
            h = tf.raw_ops.GRUBlockCell(x=step, h_prev=h, **weights).h
            ys.append(h)
        return tf.stack(ys), (h[None],)

    prove(
        "GRU",
        "tensorflow-block",
        randomised(shapes, "float32"),
        lambda arrays, call: forward(arrays, call, compute),
        dtype="float32",
    )


CELLS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("LSTM", "BasicLSTMCell", {"forget_bias": 1.0}),
    ("LSTM", "BasicLSTMCell", {"forget_bias": 0.25}),
    ("LSTM", "LSTMCell", {}),
    ("LSTM", "LSTMCell", {"use_peepholes": True}),
    ("LSTM", "LSTMCell", {"num_proj": 2}),
    ("GRU", "GRUCell", {}),
    ("RNN", "BasicRNNCell", {}),
)


@pytest.mark.filterwarnings("ignore::UserWarning")  # that the cells are old
@pytest.mark.parametrize(("kind", "name", "options"), CELLS, ids=str)
def test_cells(kind: str, name: str, options: dict[str, Any]) -> None:
    legacy = pytest.importorskip("tf_keras.src.layers.rnn.legacy_cells")
    cell = getattr(legacy, name)(H, dtype=tf.float64, **options)
    cell(tf.zeros((ROWS, I), tf.float64), cell.zero_state(ROWS, tf.float64))
    variables = {weight.name.partition("/")[2].removesuffix(":0"): weight for weight in cell.weights}

    def run(arrays: Tree, call: Call) -> Result:
        for each, variable in variables.items():
            variable.assign(arrays[each])
        with tf.GradientTape() as tape:
            now = tuple(tf.constant(part[0]) for part in call.state)
            ys = []
            for step in tf.unstack(tf.constant(call.x)):
                y, after = cell(step, legacy.LSTMStateTuple(*now[::-1]) if len(now) > 1 else now[0])
                now = tuple(after)[::-1] if len(now) > 1 else (after,)
                ys.append(y)
            every, end = tf.stack(ys), tuple(part[None] for part in now)
            terms = [every * call.dy, *(part * d for part, d in zip(end, call.dstate, strict=True))]
            loss = tf.add_n([tf.reduce_sum(term) for term in terms])
        gradients = tape.gradient(loss, list(variables.values()))
        return Result(
            every.numpy(),
            tuple(part.numpy() for part in end),
            {each: gradient.numpy() for each, gradient in zip(variables, gradients, strict=True)},
        )

    ours: dict[str, Any] = {"forget_bias": options["forget_bias"]} if "forget_bias" in options else {}
    arrays = randomised({each: variable.numpy() for each, variable in variables.items()})
    prove(kind, "tensorflow1", arrays, run, same_bits=kind != "LSTM", **ours)
