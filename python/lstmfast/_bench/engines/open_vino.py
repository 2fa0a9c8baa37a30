"""OpenVINO: one sequence operator a layer, built with its own operators, all tensors set beforehand."""

from __future__ import annotations

import importlib
import itertools
from typing import Any

import numpy as np

from ..problem import Array, Problem, Results
from . import Run, UnsupportedError, held, layers_alone, named, try_import
from .stacked import gru_biases, layer_weights

__all__ = ["OpenVino"]


class OpenVino:
    """`request.infer()` on one request (for a step on two, whose states are each other's).

    Sequences are batch-first, as OpenVINO itself has them: x comes in that layout, and y stays in it. Rows'
    lengths are an input of the model; where all are T long, they are a constant.
    """

    name = "OpenVINO"
    precision = "float32"

    def __init__(self, threads: int, isa: str | None) -> None:
        self._isa = isa
        self._config: dict[str, Any] = {
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",  # or else bfloat16 where the CPU has it
        }
        self._openvino: Any = None
        self._core: Any = None

    def missing(self) -> str | None:
        """Import it."""
        if reason := try_import("openvino", "openvino.opset8"):
            return reason
        self._openvino = importlib.import_module("openvino")
        self._core = self._openvino.Core()
        return None

    def version(self) -> str:
        """Return its version."""
        return str(self._openvino.__version__).partition("-")[0]

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        told = {key: str(value) for key, value in self._config.items()}
        return {**told, "lengths": "an input", "instruction set": held(self._isa, "ONEDNN_MAX_CPU_ISA")}

    def prepare(self, problem: Problem) -> Run:
        """Build and compile the model."""
        layers_alone(problem)
        if problem.case.work == "train":
            raise UnsupportedError("inference only")
        if problem.reset is not None:
            raise UnsupportedError("its operators cannot start a row anew within a sequence")
        case, halves = problem.case, problem.case.halves
        model = self._core.compile_model(self._model(problem), "CPU", self._config)
        x = np.ascontiguousarray(problem.x.swapaxes(0, 1))
        y = np.zeros([int(size) for size in model.outputs[0].shape], np.float32)
        given = [x] if problem.lengths is None else [x, problem.lengths.astype(np.int32)]
        # h and c of each layer, twice. A tensor does not keep the array alive whose memory it shares: the run
        # must.
        state_shape = (case.layers * halves, case.B, case.directions, case.H)
        sets = [np.zeros(state_shape, np.float32) for _ in range(2)]
        ways = [sets, sets[::-1]] if case.work == "step" else [sets]
        requests = []
        for before, after in ways:
            request = model.create_infer_request()
            for k, array in enumerate((*given, *(before if case.work == "step" else ()))):
                request.set_input_tensor(k, self._openvino.Tensor(array, shared_memory=True))
            for k, array in enumerate((y, *after)):
                request.set_output_tensor(k, self._openvino.Tensor(array, shared_memory=True))
            requests.append((request.infer, after))

        if len(requests) == 1:
            ((infer, end),) = requests

            def run() -> Array:
                infer(share_outputs=True)
                return end

        else:
            turns = itertools.cycle(requests)

            def run() -> Array:
                infer, end = next(turns)
                infer(share_outputs=True)
                return end

        def results(end: Array) -> Results:
            # A half is [L, B, D, H], y [B, D, T, H].
            parts = (end[k::halves].swapaxes(1, 2).reshape(-1, case.B, case.H) for k in range(halves))
            return named(y.transpose(2, 0, 1, 3).reshape(case.T, case.B, -1), *parts)

        return Run(run, results, keep=(*given, *sets))

    def _model(self, problem: Problem) -> Any:  # noqa: ANN401 - openvino is not there for the type checker
        ops = importlib.import_module("openvino.opset8")
        case = problem.case
        B, H, D = case.B, case.H, case.directions
        sequence = getattr(ops, f"{case.cell}_sequence")
        step, halves = case.work == "step", case.halves
        parameters = [ops.parameter([B, case.T, case.I], np.float32)]
        if problem.lengths is None:
            lengths = ops.constant(np.full(B, case.T, np.int32))
        else:
            parameters.append(lengths := ops.parameter([B], np.int32))
        zeros = ops.constant(np.zeros((B, D, H), np.float32))
        # r multiplies what W_hn has made of h, as in PyTorch.
        more = {"linear_before_reset": True} if case.cell == "gru" else {}
        x, ends = parameters[0], []
        for layer in range(case.layers):
            if step:
                parameters += (state := [ops.parameter([B, D, H], np.float32) for _ in range(halves)])
            else:
                state = [zeros] * halves
            W, R, b_ih, b_hh = layer_weights(problem, layer, lstm="figo", gru="zrn")
            biases = gru_biases(b_ih, b_hh) if case.cell == "gru" else b_ih + b_hh
            weights = [ops.constant(array) for array in (W, R, biases)]
            direction = "forward" if D == 1 else "bidirectional"
            node = sequence(x, *state, lengths, *weights, H, direction, **more)
            y, *end = (node.output(k) for k in range(1 + halves))
            ends += end
            if layer < case.layers - 1:  # [B, D, T, H] to [B, T, D*H]
                swapped = ops.transpose(y, ops.constant(np.array([0, 2, 1, 3])))
                x = ops.reshape(swapped, ops.constant(np.array([B, case.T, D * H])), False)
        return self._openvino.Model([y, *ends], parameters, "lstm")
