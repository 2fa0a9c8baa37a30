"""ncnn: its own LSTM, GRU and RNN layers, a network for one row; a batch is a loop over rows."""

from __future__ import annotations

import importlib
import importlib.metadata
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..cases import Case
from ..problem import Array, Problem, Results
from . import Run, held, inference_alone, named, try_import
from .stacked import gru_biases, layer_weights

__all__ = ["Ncnn"]

MAGIC = 7767517  # of its text format
# Of its layers' parameters: by the row's direction.
FORWARD, BOTH = 0, 2


class Ncnn:
    """An extractor for every row of every call: of a batch it would compute the first row alone.

    The network is written in its own format, text and weights. pnnx, which makes such files from PyTorch's
    modules, writes the same layers; weights in float16, unless it is told not to.
    """

    name = "ncnn row by row"
    precision = "float32"
    apart: Mapping[str, str] = {}

    def __init__(self, threads: int, isa: str | None) -> None:
        self._threads = threads
        self._isa = isa
        self._ncnn: Any = None

    def missing(self) -> str | None:
        """Import it."""
        if reason := try_import("ncnn"):
            return reason
        self._ncnn = importlib.import_module("ncnn")
        return None

    def version(self) -> str:
        """Return its version."""
        return importlib.metadata.version("ncnn")

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        return {
            "threads": f"num_threads {self._threads}",
            "batch": "a loop over its rows",
            "precision": "no float16, no bfloat16",
            "instruction set": held(self._isa),
        }

    def prepare(self, problem: Problem) -> Run:
        """Write the network, and load it."""
        inference_alone(problem)
        case = problem.case
        net = self._net(problem)
        ends = [f"{name}_n" for name in case.states]
        zeros = np.zeros((case.directions, case.H), np.float32)
        # What each row takes: x, and its state by name.
        rows = [
            {"x": self._mat(problem.x[:, k]), **{name: self._mat(zeros) for name in case.states}}
            for k in range(case.B)
        ]

        def call() -> list[list[Any]]:
            returned = []
            for given in rows:
                extractor = net.create_extractor()
                for name, mat in given.items():
                    extractor.input(name, mat)
                returned.append([extractor.extract(name)[1] for name in ("y", *ends)])
            return returned

        def step() -> list[list[Any]]:
            returned = call()
            for given, (_, *state) in zip(rows, returned, strict=True):
                given.update(zip(case.states, state, strict=True))
            return returned

        def results(returned: list[list[Any]]) -> Results:
            y, *states = ([np.array(mat) for mat in each] for each in zip(*returned, strict=True))
            y = [array.reshape(case.T, -1) for array in y]
            # Of each layer h and, of an LSTM, c: [D, H] a row.
            halves = [np.stack([array.reshape(-1, case.H) for array in each], axis=1) for each in states]
            parts = (np.concatenate(halves[k :: case.halves]) for k in range(case.halves))
            return named(np.stack(y, axis=1), *parts)

        return Run(step if case.work == "step" else call, results, keep=net)

    def _mat(self, array: Array) -> Any:  # noqa: ANN401 - ncnn is not there for the type checker
        """Return its matrix of an array, with memory of its own."""
        # Its Mat looks at the array's memory and does not keep it: the array must live until it is cloned.
        held_on = np.ascontiguousarray(array)
        return self._ncnn.Mat(held_on).clone()

    def _net(self, problem: Problem) -> Any:  # noqa: ANN401
        net = self._ncnn.Net()
        net.opt.num_threads = self._threads
        net.opt.use_vulkan_compute = False
        for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_storage"):
            setattr(net.opt, f"use_{name}", False)
        with tempfile.TemporaryDirectory() as folder:
            text, weights = Path(folder, "net.param"), Path(folder, "net.bin")
            text.write_text(_text(problem.case))
            weights.write_bytes(_weights(problem))
            if net.load_param(str(text)) or net.load_model(str(weights)):
                raise RuntimeError("ncnn did not load the network")
        return net


def _text(case: Case) -> str:
    """Write the network: inputs, then layer after layer, each with its state in and out."""
    lines = [f"Input {name} 0 1 {name}" for name in ("x", *case.states)]
    x = "x"
    for layer in range(case.layers):
        states = case.states_of(layer)
        y = "y" if layer == case.layers - 1 else f"y{layer}"
        taken, made = [x, *states], [y, *(f"{name}_n" for name in states)]
        D, size = case.directions, case.input_sizes[layer]
        numbers = f"0={case.H} 1={D * case.gates * case.H * size} 2={BOTH if D == 2 else FORWARD}"
        counts = f"{len(taken)} {len(made)}"
        lines.append(f"{case.kind.name} layer{layer} {counts} {' '.join(taken)} {' '.join(made)} {numbers}")
        x = y
    blobs = sum(int(line.split()[3]) for line in lines)
    return "\n".join([str(MAGIC), f"{len(lines)} {blobs}", *lines]) + "\n"


def _weights(problem: Problem) -> bytes:
    """Write all weights: for each layer W [D, 4H, I], b [D, 4H], R [D, 4H, H], an RNN's with H for 4H.

    A GRU's have 3H for 4H, but its biases: the candidate has two. Each array begins with a tag, which is 0:
    float32.
    """
    written = []
    for layer in range(problem.case.layers):
        W, R, b_ih, b_hh = layer_weights(problem, layer, lstm="ifog", gru="rzn")
        biases = gru_biases(b_ih, b_hh) if problem.case.cell == "gru" else b_ih + b_hh
        for array in (W, biases, R):
            written += [struct.pack("<i", 0), array.astype("<f4").tobytes()]
    return b"".join(written)
