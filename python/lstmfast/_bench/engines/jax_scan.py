"""JAX: `jit` of a `lax.scan` over the steps, the inputs' product made for all of them at once."""

from __future__ import annotations

import importlib
from typing import Any

from ..problem import Problem, Results
from . import Run, held, try_import

__all__ = ["Jax"]

# JAX's arrays and functions have no types here: it may not be there for the type checker.


class Jax:
    """Weights are arguments, as in training; `vjp` gives the gradients, compiled with the forward pass."""

    name = "JAX"
    precision = "float32"

    def __init__(self, threads: int, isa: str | None) -> None:
        self._threads = threads
        self._isa = isa
        self._jax: Any = None

    def missing(self) -> str | None:
        """Import it, and see that it finds the CPU."""
        if reason := try_import("jax"):
            return reason
        self._jax = importlib.import_module("jax")
        try:
            self._jax.devices("cpu")
        except RuntimeError as error:
            return f"jax finds no CPU backend: {error}"
        return None

    def version(self) -> str:
        """Return its version."""
        return str(self._jax.__version__)

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        return {
            "threads": f"{self._threads} (NPROC, XLA_FLAGS)",
            "platform": "cpu",
            "instruction set": held(self._isa, "XLA_FLAGS"),
        }

    def prepare(self, problem: Problem) -> Run:
        """Compile for these shapes."""
        case, jax = problem.case, self._jax
        numpy = jax.numpy
        weights = {name: numpy.array(array) for name, array in problem.weights.items()}
        x, dy = numpy.array(problem.x), numpy.array(problem.dy)
        zeros = numpy.zeros((case.layers * case.directions, case.B, case.H), numpy.float32)

        if case.work == "train":

            def both(weights: Any, x: Any, dy: Any) -> Any:  # noqa: ANN401
                y, back = jax.vjp(lambda weights, x: self._forward(weights, x, zeros, zeros, case.layers)[0],
                                  weights, x)  # fmt: skip
                return y, *back(dy)

            compiled = jax.jit(both)
            return Run(lambda: jax.block_until_ready(compiled(weights, x, dy)), _gradients)

        forward = jax.jit(self._forward, static_argnames="layers")
        if case.work == "step":
            h = c = zeros

            def step() -> Any:  # noqa: ANN401
                nonlocal h, c
                y, h, c = jax.block_until_ready(forward(weights, x, h, c, layers=case.layers))
                return y, h, c

            return Run(step, _states)

        return Run(
            lambda: jax.block_until_ready(forward(weights, x, zeros, zeros, layers=case.layers)), _states
        )

    def _forward(self, weights: Any, x: Any, h0: Any, c0: Any, layers: int) -> Any:  # noqa: ANN401
        numpy = self._jax.numpy
        y = x
        h_n: list[Any] = []
        c_n: list[Any] = []
        for layer in range(layers):
            outputs = []
            for way in ("", "_reverse"):
                suffix = f"_l{layer}{way}"
                if f"weight_ih{suffix}" not in weights:
                    continue
                k = len(h_n)
                out, h, c = self._layer(weights, suffix, y, h0[k], c0[k])
                outputs.append(out)
                h_n.append(h)
                c_n.append(c)
            y = numpy.concatenate(outputs, axis=2) if len(outputs) > 1 else outputs[0]
        return y, numpy.stack(h_n), numpy.stack(c_n)

    def _layer(self, weights: Any, suffix: str, x: Any, h: Any, c: Any) -> Any:  # noqa: ANN401
        """One layer in one direction: y [T, B, H], h and c after its last step."""
        jax = self._jax
        weight_hh = weights[f"weight_hh{suffix}"].T
        bias = weights[f"bias_ih{suffix}"] + weights[f"bias_hh{suffix}"]
        z_x = x @ weights[f"weight_ih{suffix}"].T + bias

        def step(state: Any, z_x: Any) -> Any:  # noqa: ANN401
            h, c = state
            i, f, g, o = jax.numpy.split(z_x + h @ weight_hh, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jax.numpy.tanh(g)
            h = jax.nn.sigmoid(o) * jax.numpy.tanh(c)
            return (h, c), h

        (h, c), y = jax.lax.scan(step, (h, c), z_x, reverse=suffix.endswith("_reverse"))
        return y, h, c


def _states(returned: Any) -> Results:  # noqa: ANN401
    y, h_n, c_n = returned
    return {"y": y, "h_n": h_n, "c_n": c_n}


def _gradients(returned: Any) -> Results:  # noqa: ANN401
    y, dweights, dx = returned
    return {"y": y, "dx": dx, **{f"d {name}": array for name, array in dweights.items()}}
