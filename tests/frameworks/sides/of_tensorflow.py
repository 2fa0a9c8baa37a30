"""TensorFlow: BlockLSTM, BlockLSTMV2 and GRUBlockCell, and the cells of TensorFlow 1 that are still there."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from ..outcomes import B, H, I, Outcome, T, inputs, output_gradient, random, random_like

NEEDS = ("tensorflow",)


def _block_lstm(operator: str, convention: str, peepholes: bool, **ours: Any) -> Outcome:
    import tensorflow as tf

    names = ("w", "b", *(("wci", "wcf", "wco") if peepholes else ()))
    shapes = [(I + H, 4 * H), (4 * H,), (H,), (H,), (H,)]
    arrays = dict(zip(names, random_like(shapes[: len(names)]), strict=True))
    x, dy = inputs(), output_gradient(H)
    given = {name: tf.Variable(array) for name, array in arrays.items()}
    none, zero = tf.zeros(H), tf.zeros((B, H))
    cells = [given.get(name, none) for name in ("wci", "wcf", "wco")]
    fixed = {"use_peephole": peepholes, "cell_clip": -1.0} | (ours if operator == "BlockLSTM" else {})
    with tf.GradientTape() as tape:
        result = getattr(tf.raw_ops, operator)(
            seq_len_max=tf.constant(T, tf.int64),
            x=x,
            cs_prev=zero,
            h_prev=zero,
            w=given["w"],
            wci=cells[0],
            wcf=cells[1],
            wco=cells[2],
            b=given["b"],
            **fixed,
        )
        loss = tf.reduce_sum(result.h * dy)
    gradients = None
    if operator == "BlockLSTM":  # the other's gradient has wrong numbers in some versions
        found = tape.gradient(loss, given)
        gradients = {name: array.numpy() for name, array in found.items()}
    versions = {"tensorflow": tf.__version__}
    return Outcome("LSTM", convention, arrays, x, result.h.numpy(), dy, gradients, ours, versions)


def _block_gru() -> Outcome:
    import tensorflow as tf

    shapes = {"w_ru": (I + H, 2 * H), "w_c": (I + H, H), "b_ru": (2 * H,), "b_c": (H,)}
    arrays = dict(zip(shapes, random_like(shapes.values()), strict=True))
    x = inputs()
    h, outputs = tf.zeros((B, H)), []
    for t in range(T):
        h = tf.raw_ops.GRUBlockCell(x=x[t], h_prev=h, **arrays).h
        outputs.append(h.numpy())
    return Outcome(
        "GRU", "tensorflow-block", arrays, x, np.stack(outputs), versions={"tensorflow": tf.__version__}
    )


def _cell(kind: str, name: str, options: dict[str, Any], **ours: Any) -> Outcome:
    import tensorflow as tf
    from tensorflow.python.keras.layers.legacy_rnn import rnn_cell_impl

    cell = getattr(rnn_cell_impl, name)(H, **options)
    x = inputs()
    state = cell.zero_state(B, tf.float32)
    cell(tf.constant(x[0]), state)  # which makes its variables
    variables = cell.trainable_variables
    for k, variable in enumerate(variables):
        variable.assign(random(*variable.shape, seed=k + 1))
    outputs = []
    with tf.GradientTape() as tape:
        for t in range(T):
            y, state = cell(tf.constant(x[t]), state)
            outputs.append(y)
        y = tf.stack(outputs)
        dy = output_gradient(y.shape[-1])
        loss = tf.reduce_sum(y * dy)
    gradients = tape.gradient(loss, variables)
    prefix = _common([variable.name for variable in variables])
    written = {v.name.removesuffix(":0"): v.numpy() for v in variables}
    return Outcome(
        kind,
        "tensorflow1",
        {variable.name: variable.numpy() for variable in variables},
        x,
        y.numpy(),
        dy,
        {v.name.removesuffix(":0"): g.numpy() for v, g in zip(variables, gradients, strict=True)},
        ours | {"prefix": prefix},
        {"tensorflow": tf.__version__},
        written,
    )


def _common(names: list[str]) -> str:
    """The scope of a cell's variables, if they have one."""
    first = names[0].split("/")[0] + "/"
    return first if all(name.startswith(first) for name in names) else ""


CASES: dict[str, Callable[[], Outcome]] = {
    "BlockLSTM": partial(_block_lstm, "BlockLSTM", "tensorflow-block", False),
    "BlockLSTM peepholes": partial(_block_lstm, "BlockLSTM", "tensorflow-block", True),
    "BlockLSTM forget_bias": partial(_block_lstm, "BlockLSTM", "tensorflow-block", True, forget_bias=0.25),
    "BlockLSTMV2": partial(_block_lstm, "BlockLSTMV2", "tensorflow-block-v2", False),
    "BlockLSTMV2 peepholes": partial(_block_lstm, "BlockLSTMV2", "tensorflow-block-v2", True),
    "GRUBlockCell": _block_gru,
    "BasicLSTMCell": partial(_cell, "LSTM", "BasicLSTMCell", {}),
    "BasicLSTMCell forget_bias": partial(
        _cell, "LSTM", "BasicLSTMCell", {"forget_bias": 0.0}, forget_bias=0.0
    ),
    "LSTMCell peepholes": partial(_cell, "LSTM", "LSTMCell", {"use_peepholes": True}),
    "LSTMCell projected": partial(_cell, "LSTM", "LSTMCell", {"num_proj": 3}),
    "GRUCell": partial(_cell, "GRU", "GRUCell", {}),
    "BasicRNNCell": partial(_cell, "RNN", "BasicRNNCell", {}),
}
