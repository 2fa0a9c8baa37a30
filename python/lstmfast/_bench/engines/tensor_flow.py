"""TensorFlow: its fused kernel for a whole layer, the raw operator BlockLSTMV2, which Keras does not call.

TensorFlow has registered the gradient of the operator's first version for it, whose gates have another order;
it is wrong. Here it gets its own, the raw operator BlockLSTMGradV2, which TensorFlow's Python does not call.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..problem import Array, Problem, Results
from . import Run, UnsupportedError, held, layers_alone, named, try_import

__all__ = ["TensorFlow"]


class TensorFlow:
    """One `tf.function` for all layers; with two directions x is reversed before and y after the second.

    For training a `GradientTape` within it.
    """

    name = "TensorFlow"
    precision = "float32"
    # No search for GPUs, and no reports of it.
    apart: Mapping[str, str] = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "2"}

    def __init__(self, threads: int, isa: str | None) -> None:
        self._threads = threads
        self._isa = isa
        self._tf: Any = None

    def missing(self) -> str | None:
        """Import it, and set its threads."""
        if reason := try_import("tensorflow"):
            return reason
        self._tf = importlib.import_module("tensorflow")
        self._tf.config.threading.set_intra_op_parallelism_threads(self._threads)
        self._tf.config.threading.set_inter_op_parallelism_threads(1)
        return None

    def version(self) -> str:
        """Return its version."""
        return str(self._tf.__version__)

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        threads = self._tf.config.threading.get_intra_op_parallelism_threads()
        return {
            "threads": f"intra_op {threads}, inter_op 1",
            "operator": "raw_ops.BlockLSTMV2 in a tf.function; BlockLSTMGradV2",
            "instruction set": held(self._isa, "ONEDNN_MAX_CPU_ISA"),
        }

    def prepare(self, problem: Problem) -> Run:
        """Trace the function."""
        layers_alone(problem)
        case, tf = problem.case, self._tf
        if case.cell != "lstm":
            raise UnsupportedError(f"the operator is no {case.kind.name}")
        if problem.lengths is not None:
            raise UnsupportedError("the operator takes one length for all rows")
        if problem.reset is not None:
            raise UnsupportedError("it cannot start a row anew within a sequence")
        # By suffix, w [I + H, 4H] and b [4H], the two biases' sum.
        weights = {
            suffix: [tf.constant(one) for one in _weights(problem, suffix)] for suffix in _suffixes(problem)
        }
        x, dy = tf.constant(problem.x), tf.constant(problem.dy)
        state = [tf.zeros((case.B, case.H)) for _ in range(len(weights) * case.halves)]

        if case.work == "train":

            def train(weights: Any, x: Any, state: Any, dy: Any) -> Any:  # noqa: ANN401
                with tf.GradientTape() as tape:
                    tape.watch((weights, x))
                    y = self._forward(weights, x, state)[0]
                return y, *tape.gradient(y, (weights, x), output_gradients=dy)

            def gradients(returned: Any) -> Results:  # noqa: ANN401
                y, dweights, dx = returned
                return {"y": y.numpy(), "dx": dx.numpy(), **_gradients(dweights, case.H)}

            trained = tf.function(train)
            return Run(lambda: trained(weights, x, state, dy), gradients)

        forward = tf.function(self._forward)

        def step() -> Any:  # noqa: ANN401
            nonlocal state
            y, state = forward(weights, x, state)
            return y, state

        def results(returned: Any) -> Results:  # noqa: ANN401
            y, state = returned
            return named(y.numpy(), *(np.stack([one.numpy() for one in state[k::2]]) for k in range(2)))

        return Run(step if case.work == "step" else lambda: forward(weights, x, state), results)

    def _forward(self, weights: Any, x: Any, state: Any) -> Any:  # noqa: ANN401
        """All layers: y [T, B, D*H], and h and c of each layer and direction, one after the other."""
        tf = self._tf
        y = x
        ends: list[Any] = []
        outputs: list[Any] = []
        for suffix, (w, b) in weights.items():
            back = suffix.endswith("_reverse")
            if not back and outputs:
                y, outputs = tf.concat(outputs, 2) if len(outputs) > 1 else outputs[0], []
            h, c = state[len(ends) : len(ends) + 2]
            cs, hs = self._layer(tf.reverse(y, [0]) if back else y, c, h, w, b)
            outputs.append(tf.reverse(hs, [0]) if back else hs)
            ends += [hs[-1], cs[-1]]
        return tf.concat(outputs, 2) if len(outputs) > 1 else outputs[0], ends

    def _layer(self, *taken: Any) -> Any:  # noqa: ANN401
        """All c and h of one layer and direction, of x, its first c and h, w and b."""
        tf = self._tf

        def layer(x: Any, c: Any, h: Any, w: Any, b: Any) -> Any:  # noqa: ANN401
            given = {
                "seq_len_max": tf.constant(len(x), tf.int64),
                "x": x,
                "cs_prev": c,
                "h_prev": h,
                "w": w,
                "b": b,
                "use_peephole": False,
                # Not used, and must be there.
                **dict.fromkeys(("wci", "wcf", "wco"), tf.zeros(h.shape[1])),
            }
            made = tf.raw_ops.BlockLSTMV2(**given, cell_clip=0.0)

            def back(dcs: Any, dhs: Any) -> Any:  # noqa: ANN401
                d = tf.raw_ops.BlockLSTMGradV2(**given, **made._asdict(), cs_grad=dcs, h_grad=dhs)
                return d.x_grad, d.cs_prev_grad, d.h_prev_grad, d.w_grad, d.b_grad

            return (made.cs, made.h), back

        return tf.custom_gradient(layer)(*taken)


def _suffixes(problem: Problem) -> list[str]:
    ways = ("", "_reverse")[: problem.case.directions]
    return [f"_l{layer}{way}" for layer in range(problem.case.layers) for way in ways]


def _weights(problem: Problem, suffix: str) -> tuple[Array, Array]:
    """Return one layer's weights of x and h, one below the other, and its bias; gates stay i, f, g, o."""
    weights = problem.weights
    w = np.concatenate([weights[f"weight_ih{suffix}"].T, weights[f"weight_hh{suffix}"].T])
    return w, weights[f"bias_ih{suffix}"] + weights[f"bias_hh{suffix}"]


def _gradients(dweights: Mapping[str, Any], H: int) -> dict[str, Array]:
    """Name gradients as PyTorch names the parameters; that of the sum of two biases is each one's."""
    found = {}
    for suffix, (dw, db) in dweights.items():
        found[f"d weight_ih{suffix}"], found[f"d weight_hh{suffix}"] = np.split(dw.numpy().T, [-H], axis=1)
        found |= {f"d bias_ih{suffix}": db.numpy(), f"d bias_hh{suffix}": db.numpy()}
    return found
