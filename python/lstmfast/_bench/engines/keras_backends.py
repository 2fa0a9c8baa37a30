"""Keras on each of its backends, in a process of its own each: the backend is chosen when it is imported."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..problem import Problem, Results
from . import Run, UnsupportedError, held, keras_loops, no_chains, rows_alone, try_import
from .keras_model import KerasModel

__all__ = ["KerasJax", "KerasTensorFlow", "KerasTorch"]


class _Keras:
    """What all have in common. Rows' lengths are a mask, as an embedding or a `Masking` layer makes it."""

    precision = "float32"
    _backend = ""
    _call = ""

    def __init__(self, threads: int, isa: str | None) -> None:
        self._threads = threads
        self._isa = isa
        self._library: Any = None  # the backend itself

    def missing(self) -> str | None:
        """Import the backend and Keras, and see that Keras has taken it."""
        if reason := try_import(self._backend, "keras"):
            return reason
        taken = importlib.import_module("keras").backend.backend()
        if taken != self._backend:
            return f"keras has taken the backend {taken}, not {self._backend}"
        self._library = importlib.import_module(self._backend)
        return None

    def version(self) -> str:
        """Return Keras's version, and the backend's."""
        keras = importlib.import_module("keras")
        return f"{keras.__version__} on {self._backend} {self._library.__version__}"

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        loops = "predict_on_batch; train_on_batch with Adam"
        return {"call": self._call, "loops": loops, "lengths": "a mask, zero_output_for_mask"}

    def prepare(self, problem: Problem) -> Run:
        """Build the model."""
        no_chains(problem)
        rows_alone(problem)
        if problem.reset is not None:
            raise UnsupportedError("it cannot start a row anew within a sequence")
        built = KerasModel(problem)
        self._prepare(built)
        if problem.case.work == "predict":
            return keras_loops.predict(built)
        if problem.case.work == "fit":
            return keras_loops.fit(built)
        return self._run(built, problem)

    def _prepare(self, built: KerasModel) -> None:
        """Do what its users do to a model before they call it."""

    def _run(self, built: KerasModel, problem: Problem) -> Run:
        raise NotImplementedError


class KerasTorch(_Keras):
    """`model(inputs)` under `no_grad`; for training `torch.autograd.grad`."""

    name = "Keras torch"
    apart: Mapping[str, str] = {"KERAS_BACKEND": "torch", "KERAS_TORCH_DEVICE": "cpu"}
    _backend = "torch"
    _call = "model(inputs), no_grad around the loop; autograd for training"

    def missing(self) -> str | None:
        """Import it, and set PyTorch's threads."""
        reason = super().missing()
        if reason is None:
            self._library.set_num_threads(self._threads)
        return reason

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        variables = ("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY", "MKL_ENABLE_INSTRUCTIONS")
        threads = str(self._library.get_num_threads())
        return {"threads": threads, **super().settings(), "instruction set": held(self._isa, *variables)}

    def _run(self, built: KerasModel, problem: Problem) -> Run:
        torch, model = self._library, built.model
        given = [torch.tensor(array) for array in built.given]

        if problem.case.work == "train":
            x, dy = given[0].requires_grad_(), torch.tensor(built.dy)
            weights = [variable.value for variable in built.variables]

            def train() -> Any:  # noqa: ANN401 - PyTorch is not there for the type checker
                y = model(given)[0]
                return y, torch.autograd.grad(y, (x, *weights), dy)

            def gradients(returned: Any) -> Results:  # noqa: ANN401
                y, (dx, *dweights) = returned
                return built.gradients(y.detach().numpy(), dx.numpy(), [one.numpy() for one in dweights])

            return Run(train, gradients)

        def results(returned: Any) -> Results:  # noqa: ANN401
            return built.states([one.numpy() for one in returned])

        return Run(_calling(lambda: model(given), given, problem), results, torch.no_grad)


class KerasJax(_Keras):
    """`jit` of `model.stateless_call`, as Keras's own `fit` and `predict` compile it; for training `vjp`."""

    name = "Keras JAX"
    apart: Mapping[str, str] = {"KERAS_BACKEND": "jax"}
    _backend = "jax"
    _call = "jit of model.stateless_call; vjp for training"

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        threads = f"{self._threads} (NPROC, XLA_FLAGS)"
        return {"threads": threads, **super().settings(), "instruction set": held(self._isa, "XLA_FLAGS")}

    def _run(self, built: KerasModel, problem: Problem) -> Run:
        jax, model = self._library, built.model
        given = [jax.numpy.array(array) for array in built.given]
        weights = [variable.value for variable in built.variables]
        # Trained are all variables of the model, in its own order; what is asked for is in ours.
        order = [[one is mine for mine in built.variables].index(True) for one in model.trainable_variables]
        others = [variable.value for variable in model.non_trainable_variables]

        def forward(weights: Any, inputs: Any) -> Any:  # noqa: ANN401 - JAX is not there for the type checker
            return model.stateless_call([weights[k] for k in order], others, inputs)[0]

        if problem.case.work == "train":
            dy = jax.numpy.array(built.dy)

            def both(weights: Any, inputs: Any, dy: Any) -> Any:  # noqa: ANN401
                y, back = jax.vjp(
                    lambda weights, x: forward(weights, [x, *inputs[1:]])[0], weights, inputs[0]
                )
                return y, *back(dy)

            compiled = jax.jit(both)

            def gradients(returned: Any) -> Results:  # noqa: ANN401
                y, dweights, dx = returned
                return built.gradients(np.asarray(y), np.asarray(dx), [np.asarray(one) for one in dweights])

            return Run(lambda: jax.block_until_ready(compiled(weights, given, dy)), gradients)

        compiled = jax.jit(forward)

        def results(returned: Any) -> Results:  # noqa: ANN401
            return built.states([np.asarray(one) for one in returned])

        call = _calling(lambda: jax.block_until_ready(compiled(weights, given)), given, problem)
        return Run(call, results)


class KerasTensorFlow(_Keras):
    """Whole models alone: `predict_on_batch` and `train_on_batch`, as Keras compiles them for TensorFlow."""

    name = "Keras TensorFlow"
    # No search for GPUs, and no reports of it.
    apart: Mapping[str, str] = {
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "2",
    }
    _backend = "tensorflow"
    _call = "its loops"

    def missing(self) -> str | None:
        """Import it, and set TensorFlow's threads."""
        reason = super().missing()
        if reason is None:
            self._library.config.threading.set_intra_op_parallelism_threads(self._threads)
            self._library.config.threading.set_inter_op_parallelism_threads(1)
        return reason

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        threads = self._library.config.threading.get_intra_op_parallelism_threads()
        told = {"threads": f"intra_op {threads}, inter_op 1", **super().settings()}
        return {**told, "instruction set": held(self._isa, "ONEDNN_MAX_CPU_ISA")}

    def _run(self, built: KerasModel, problem: Problem) -> Run:
        raise UnsupportedError("Keras on TensorFlow is measured by predict and fit")


def _calling(call: Callable[[], Any], given: list[Any], problem: Problem) -> Callable[[], Any]:
    """Return the call itself, or for a step one that carries its state on, in `given`."""
    if problem.case.work != "step":
        return call

    def step() -> Any:  # noqa: ANN401 - as the backend returns it
        returned = call()
        given[1:] = returned[1:]
        return returned

    return step
