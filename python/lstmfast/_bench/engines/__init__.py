"""What the benchmark asks of an engine; each has a file of its own, and is imported only to be measured."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

import lstmfast

from ..environment import HELD
from ..problem import Array, Problem, Results

__all__ = [
    "ASKED_FOR",
    "BEHIND_TORCH",
    "ENGINES",
    "INSIDE",
    "IN_JAX",
    "IN_KERAS",
    "IN_ONNX_RUNTIME",
    "KIN",
    "NO_SPINNING",
    "OURS",
    "QUANTIZED",
    "Engine",
    "Run",
    "UnsupportedError",
    "load",
    "named",
]

_T = TypeVar("_T")

OURS = "lstmfast"

# Name to "module:class", in the order in which they are measured and shown.
ENGINES: Mapping[str, str] = {
    OURS: f"{__name__}.ours:Ours",
    f"{OURS} float16": f"{__name__}.ours:Float16",
    f"{OURS} bfloat16": f"{__name__}.ours:Bfloat16",
    f"{OURS} int8": f"{__name__}.ours:Int8",
    "lstmfast.torch": f"{__name__}.torch_module:Module",
    "lstmfast.torch frozen": f"{__name__}.torch_module:FrozenModule",
    "NumPy": f"{__name__}.numpy_reference:NumPy",
    "PyTorch": f"{__name__}.pytorch:PyTorch",
    "ONNX Runtime": f"{__name__}.onnx_runtime:OnnxRuntime",
    "ONNX Runtime bound": f"{__name__}.onnx_runtime:OnnxRuntimeBound",
    "lstmfast in ONNX Runtime": f"{__name__}.in_onnx_runtime:InOnnxRuntime",
    "ONNX Runtime bound no spinning": f"{__name__}.onnx_runtime:OnnxRuntimeBoundNoSpinning",
    "lstmfast in ONNX Runtime no spinning": f"{__name__}.in_onnx_runtime:InOnnxRuntimeNoSpinning",
    "OpenVINO": f"{__name__}.open_vino:OpenVino",
    "JAX": f"{__name__}.jax_scan:Jax",
    "lstmfast in JAX": f"{__name__}.in_jax:InJax",
    "Keras torch": f"{__name__}.keras_backends:KerasTorch",
    "lstmfast in Keras torch": f"{__name__}.in_keras:InKerasTorch",
    "Keras JAX": f"{__name__}.keras_backends:KerasJax",
    "lstmfast in Keras JAX": f"{__name__}.in_keras:InKerasJax",
    "Keras TensorFlow": f"{__name__}.keras_backends:KerasTensorFlow",
    "lstmfast in Keras TensorFlow": f"{__name__}.in_keras:InKerasTensorFlow",
    "TensorFlow": f"{__name__}.tensor_flow:TensorFlow",
    "LiteRT": f"{__name__}.lite_rt:LiteRt",
    "OpenCV": f"{__name__}.open_cv:OpenCv",
    "ncnn row by row": f"{__name__}.ncnn_layers:Ncnn",
    "MNN": f"{__name__}.mnn_module:Mnn",
    "tract": f"{__name__}.tract_onnx:Tract",
    "PyTorch int8": f"{__name__}.pytorch:PyTorchInt8",
    "ONNX Runtime int8": f"{__name__}.onnx_runtime:OnnxRuntimeInt8",
}

# lstmfast behind PyTorch's modules, and with quantised weights, the largest first.
BEHIND_TORCH = ("lstmfast.torch", "lstmfast.torch frozen")
QUANTIZED = (f"{OURS} float16", f"{OURS} bfloat16", f"{OURS} int8")
# lstmfast as a provider of ONNX Runtime, and the same sessions with its own operators.
IN_ONNX_RUNTIME: Mapping[str, str] = {
    "lstmfast in ONNX Runtime": "ONNX Runtime bound",
    "lstmfast in ONNX Runtime no spinning": "ONNX Runtime bound no spinning",
}
# Sessions whose threads go to sleep after their work at once; of one thread they are no others.
NO_SPINNING = frozenset({"lstmfast in ONNX Runtime no spinning", "ONNX Runtime bound no spinning"})
# lstmfast inside Keras, and inside functions that JAX compiles, and the same with what they have themselves.
IN_KERAS: Mapping[str, str] = {
    f"lstmfast in Keras {backend}": f"Keras {backend}" for backend in ("torch", "JAX", "TensorFlow")
}
IN_JAX: Mapping[str, str] = {"lstmfast in JAX": "JAX"}
# All of these, by the suite that is theirs.
INSIDE: Mapping[str, Mapping[str, str]] = {"onnx": IN_ONNX_RUNTIME, "keras": IN_KERAS, "jax": IN_JAX}
# All of lstmfast by another name: shown, but no rivals of its.
KIN = frozenset({*BEHIND_TORCH, *QUANTIZED, *(ours for pairs in INSIDE.values() for ours in pairs)})
# Measured only where they are.
ASKED_FOR = KIN | NO_SPINNING | {"Keras TensorFlow"}


class UnsupportedError(Exception):
    """An engine does not do such work at all; its text says why. No failure: the cell stays empty."""


@dataclass(frozen=True)
class Run:
    """A case as one engine runs it."""

    # What is timed: arrays in the engine's own containers in, results in its own containers out. For a
    # step the state goes on from call to call, beginning at zero; of a pool each stream's own.
    call: Callable[[], Any]
    # What `call` returned as NumPy arrays, shaped like the truth; not timed.
    results: Callable[[Any], Results]
    # Entered around every round, as a user would around a loop.
    context: Callable[[], AbstractContextManager[object]] = nullcontext
    keep: object = None  # what must live as long as the run does
    tape_bytes: int | None = None  # what training keeps for its backward pass beyond x and y, if it is known
    # Where the engine lives in a process of its own: computes a function of the run over there.
    away: Callable[..., Any] | None = None

    def do(self, function: Callable[..., _T], *arguments: object) -> _T:
        """Return function(run, *arguments), computed where the engine is; of a module, to be found there."""
        found: _T = function(self, *arguments) if self.away is None else self.away(function, *arguments)
        return found


class Engine(Protocol):
    """One way of running recurrent networks. Nothing of it is imported before `missing` is asked.

    One whose class has `apart`, variables of the environment by name, gets a process of its own with these in
    it (`_bench.apart`).
    """

    name: str
    precision: str  # of the weights: only engines of the same one are rivals

    def __init__(self, threads: int, isa: str | None) -> None:
        """Take the number of threads, and the instruction set that all are held to where they can be."""

    def missing(self) -> str | None:
        """Import the engine, set it up and return None; or return why it cannot be had."""

    def version(self) -> str:
        """Return its version."""

    def settings(self) -> dict[str, str]:
        """Return what it was told, beyond the environment's variables."""

    def prepare(self, problem: Problem) -> Run:
        """Build the model. Raises `UnsupportedError`, or whatever the engine raises."""


def load(spec: str, threads: int, isa: str | None) -> Engine:
    """Make the engine that "module:class" names."""
    module, _, name = spec.partition(":")
    engine: Engine = getattr(importlib.import_module(module), name)(threads, isa)
    return engine


def named(y: Array, h_n: Array, c_n: Array | None = None) -> Results:
    """Name the results of inference as the truth does: a state with no c is h alone."""
    return {"y": y, "h_n": h_n} | ({} if c_n is None else {"c_n": c_n})


def turns(problem: Problem) -> list[tuple[Array, Array]]:
    """List the orders [B] in which a pool's streams come, call by call, with x so ordered [1, B, I]."""
    assert problem.orders is not None
    return [(order, problem.x[:, order]) for order in problem.orders]


def in_order(y: Array, order: Array) -> Array:
    """Return y [1, B, H] of streams that came in this order as y of all in their own."""
    returned = np.empty_like(y)
    returned[:, order] = y
    return returned


def no_models(problem: Problem) -> None:
    """Raise `UnsupportedError` where a framework's own loop is to call a whole model."""
    if problem.case.work in {"predict", "fit"}:
        raise UnsupportedError("predict and fit are measured in Keras")


def no_chains(problem: Problem) -> None:
    """Raise `UnsupportedError` where a chain of nodes is to be run: a graph, which only some engines have."""
    if problem.case.work == "chain":
        raise UnsupportedError("chains of nodes are measured in ONNX Runtime")


def no_graphs(problem: Problem) -> None:
    """Raise `UnsupportedError` where more than a layer's own calls is to be run: a chain, a whole model."""
    no_models(problem)
    no_chains(problem)


def layers_alone(problem: Problem) -> None:
    """Raise `UnsupportedError` where streams are to be stepped, or step modules, chains or models called."""
    no_graphs(problem)
    rows_alone(problem)


def rows_alone(problem: Problem) -> None:
    """Raise `UnsupportedError` where many streams are to be stepped, or step modules called."""
    if problem.case.work == "pool":
        raise UnsupportedError("pools are measured with other engines")
    if problem.case.stepwise:
        raise UnsupportedError("step modules are measured with other engines")


def process_isa(isa: str | None) -> None:
    """Raise `UnsupportedError` where lstmfast behind others is held to another one than the process is."""
    if isa not in (None, lstmfast.isa()):
        raise UnsupportedError("its instruction set is that of the process (LSTMFAST_ISA)")


def inference_alone(problem: Problem) -> None:
    """Raise `UnsupportedError` unless whole rows are to be run, or one step of them, as every engine can."""
    layers_alone(problem)
    if problem.case.work == "train":
        raise UnsupportedError("inference only")
    if problem.lengths is not None:
        raise UnsupportedError("it takes no lengths")
    if problem.reset is not None:
        raise UnsupportedError("it cannot start a row anew within a sequence")


def try_import(*modules: str) -> str | None:
    """Import modules; return why one of them cannot be had, or None."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            return f"{error.name} is not installed"
        except Exception as error:  # a broken installation raises anything
            return f"{module} cannot be imported: {type(error).__name__}: {error}"
    return None


def held(isa: str | None, *variables: str) -> str:
    """Say which of the variables that an engine reads hold it to an instruction set, if any does."""
    if isa is None:
        return "its own choice"
    told = [name for name in variables if name in HELD.get(isa, {})]
    return f"{isa} ({', '.join(told)})" if told else f"its own choice: it cannot be held to {isa}"
