"""ONNX Runtime: plain `run`, with everything bound beforehand, and with int8 weights."""

from __future__ import annotations

import contextlib
import importlib
import itertools
import platform
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..._base import cpu
from ..environment import HELD
from ..problem import Problem, Results
from . import (
    Run,
    UnsupportedError,
    held,
    in_order,
    no_graphs,
    no_models,
    onnx_chain,
    onnx_model,
    try_import,
    turns,
)

__all__ = ["OnnxRuntime", "OnnxRuntimeBound", "OnnxRuntimeBoundNoSpinning", "OnnxRuntimeInt8"]

ERRORS_ONLY = 3  # of its log levels


class OnnxRuntime:
    """`session.run(None, {...})`: NumPy arrays in, new NumPy arrays out.

    Of many streams the states are gathered into a batch before the call and put back after it.
    """

    _pool_settings = "states gathered into a batch and put back"
    _provider = "CPUExecutionProvider"
    _spinning = True  # whether its threads look for more work before they sleep: as they do by default

    name = "ONNX Runtime"
    precision = "float32"

    def __init__(self, threads: int, isa: str | None) -> None:
        self._threads = threads
        self._isa = isa
        self._ort: Any = None

    def missing(self) -> str | None:
        """Import it, and the onnx package, which the model is built with."""
        if reason := try_import("onnxruntime", "onnx"):
            return reason
        self._ort = importlib.import_module("onnxruntime")
        return None

    def version(self) -> str:
        """Return its version."""
        return str(self._ort.__version__)

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        return {
            "threads": f"intra_op_num_threads {self._threads}, inter_op_num_threads 1",
            "spinning": f"allow_spinning {int(self._spinning)}",
            "provider": self._provider,
            "lengths": "sequence_lens",
            "pool": self._pool_settings,
            "instruction set": held(self._isa),
        }

    def session(self, model: Any) -> Any:  # noqa: ANN401 - onnxruntime is not there for the type checker
        """Make a session of a model, bytes or a path."""
        return self._ort.InferenceSession(model, self._options(), providers=[self._provider])

    def _options(self) -> Any:  # noqa: ANN401
        options = self._ort.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        options.add_session_config_entry("session.intra_op.allow_spinning", str(int(self._spinning)))
        return options

    def _model(self, problem: Problem) -> bytes:
        no_models(problem)
        if problem.case.work == "train":
            raise UnsupportedError("inference only")
        if problem.case.stepwise:
            raise UnsupportedError("step modules are measured with other engines")
        if problem.reset is not None:
            raise UnsupportedError("its operators cannot start a row anew within a sequence")
        build = onnx_chain.build if problem.case.work == "chain" else onnx_model.build
        model: bytes = build(problem).SerializeToString()
        return model

    def prepare(self, problem: Problem) -> Run:
        """Build the session."""
        session = self.session(self._model(problem))
        taken = onnx_model.outputs(problem.case)
        feed = onnx_model.inputs(problem)

        def results(returned: Any) -> Results:  # noqa: ANN401
            return onnx_model.results(dict(zip(taken, returned, strict=True)), problem)

        if problem.case.work == "step":
            states = problem.case.states  # in the order of the outputs after y

            def step() -> Any:  # noqa: ANN401
                returned = session.run(None, feed)
                feed.update(zip(states, returned[1:], strict=True))
                return returned

            return Run(step, results)

        if problem.case.work == "pool":
            return _gathering(session, problem)

        return Run(lambda: session.run(None, feed), results)


class OnnxRuntimeBound(OnnxRuntime):
    """`session.run_with_iobinding`: inputs and outputs are memory that was bound beforehand.

    A step's states go to and fro between two sets of memory, each with a binding of its own. So do those of
    each of many streams, which are stepped one by one.
    """

    name = "ONNX Runtime bound"
    _pool_settings = "streams stepped one by one, each with bindings of its own"

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        return {**super().settings(), "I/O binding": "inputs, outputs and states"}

    def prepare(self, problem: Problem) -> Run:
        """Build the session and the bindings."""
        if problem.case.work == "pool":
            return self._one_by_one(problem)
        session = self.session(self._model(problem))
        return self._bound(session, problem)

    def _one_by_one(self, problem: Problem) -> Run:
        """Step each of many streams by itself, in the order in which they come."""
        case = replace(problem.case, B=1, work="step")
        rows = [replace(problem, case=case, x=problem.x[:, k : k + 1].copy()) for k in range(problem.case.B)]
        session = self.session(self._model(rows[0]))
        runs = [self._bound(session, row) for row in rows]
        orders = itertools.cycle([order.tolist() for order, _ in turns(problem)])

        def step() -> list[Any]:
            returned: list[Any] = [None] * len(runs)
            for k in next(orders):
                returned[k] = runs[k].call()
            return returned

        def results(returned: Any) -> Results:  # noqa: ANN401
            each = [run.results(one) for run, one in zip(runs, returned, strict=True)]
            return {name: np.concatenate([one[name] for one in each], axis=1) for name in each[0]}

        return Run(step, results, keep=runs)

    def _bound(self, session: Any, problem: Problem) -> Run:  # noqa: ANN401
        value = self._ort.OrtValue.ortvalue_from_numpy
        given = {name: value(array) for name, array in onnx_model.inputs(problem).items()}
        zeros = {name: np.zeros(size, np.float32) for name, size in onnx_model.outputs(problem.case).items()}
        y = value(zeros.pop("y"))
        sets = [{name: value(array.copy()) for name, array in zeros.items()} for _ in range(2)]

        bindings = []
        for before, after in (sets, sets[::-1]) if problem.case.work == "step" else (sets,):
            binding = session.io_binding()
            for name, array in given.items():
                binding.bind_ortvalue_input(name, before.get(f"{name}_n", array))
            outputs = {"y": y, **after}
            for name, array in outputs.items():
                binding.bind_ortvalue_output(name, array)
            bindings.append((binding, outputs))

        if len(bindings) == 1:
            ((only, outputs),) = bindings

            def run() -> Any:  # noqa: ANN401
                session.run_with_iobinding(only)
                return outputs

        else:
            turns = itertools.cycle(bindings)

            def run() -> Any:  # noqa: ANN401
                binding, outputs = next(turns)
                session.run_with_iobinding(binding)
                return outputs

        def results(returned: Any) -> Results:  # noqa: ANN401
            return onnx_model.results({name: array.numpy() for name, array in returned.items()}, problem)

        return Run(run, results, keep=given)


class OnnxRuntimeBoundNoSpinning(OnnxRuntimeBound):
    """The same with threads that go to sleep as soon as their work is done."""

    name = "ONNX Runtime bound no spinning"
    _spinning = False


class OnnxRuntimeInt8(OnnxRuntimeBound):
    """Weights in int8, activations quantised as they come: `quantize_dynamic`, with everything bound.

    With weights of seven bits (`reduce_range`) where sums would overflow: results would be off by 0.1 to 0.3.
    """

    name = "ONNX Runtime int8"
    precision = "int8"

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        told = f"quantize_dynamic, reduce_range={sums_overflow(self._isa)}"
        return {**super().settings(), "quantisation": told}

    def _model(self, problem: Problem) -> bytes:
        no_graphs(problem)
        model = super()._model(problem)
        if problem.case.cell != "lstm":
            raise UnsupportedError(f"quantize_dynamic has no {problem.case.kind.name}")
        quantization = importlib.import_module("onnxruntime.quantization")
        # It works on files, and writes advice to standard output.
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(None):
            plain, small = Path(folder, "plain.onnx"), Path(folder, "small.onnx")
            plain.write_bytes(model)
            quantization.quantize_dynamic(plain, small, reduce_range=sums_overflow(self._isa))
            return small.read_bytes()


def sums_overflow(isa: str | None) -> bool:
    """Whether int8 weights must have seven bits: on x86-64 without VNNI, or held to an ISA that has none.

    There two products of a byte and a weight are added up in 16 bits, which is too few for large ones.
    """
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return False
    return isa in HELD or not cpu.features() & {"avx512vnni", "avxvnni"}


def _gathering(session: Any, problem: Problem) -> Run:  # noqa: ANN401
    """Step many streams as one batch."""
    case = problem.case
    zeros = onnx_model.inputs(problem)
    kept = {name: zeros[name] for name in case.states}
    gathered = {name: half.copy() for name, half in kept.items()}
    calls = itertools.cycle(turns(problem))

    def step() -> Any:  # noqa: ANN401
        order, x = next(calls)
        for name, half in kept.items():
            half.take(order, axis=1, out=gathered[name], mode="clip")  # other modes copy once more
        y, *news = session.run(None, {"x": x, **gathered})
        for half, new in zip(kept.values(), news, strict=True):
            half[:, order] = new
        return y, order

    def results(returned: Any) -> Results:  # noqa: ANN401
        y, order = returned
        ends = {f"{name}_n": half for name, half in kept.items()}
        return onnx_model.results({"y": in_order(y.reshape(1, case.B, -1), order), **ends}, problem)

    return Run(step, results)
