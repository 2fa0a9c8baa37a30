"""JAX: `jit` of a `lax.scan` over the steps, the inputs' product made for all of them at once."""

from __future__ import annotations

import importlib
from typing import Any

from ..problem import Problem, Results
from . import Run, held, layers_alone, named, try_import

__all__ = ["Jax"]

# JAX's arrays and functions have no types here: it may not be there for the type checker.


class Jax:
    """Weights are arguments, as in training; `vjp` gives the gradients, compiled with the forward pass.

    Past a row's end `where` keeps the state as it is, and y zero: every step is computed, whether or not it
    counts. Where a row starts anew `where` makes the state zero before the step.
    """

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
            "lengths": "masked by where",
            "reset": "the state masked by where",
            "instruction set": held(self._isa, "XLA_FLAGS"),
        }

    def prepare(self, problem: Problem) -> Run:
        """Compile for these shapes."""
        layers_alone(problem)
        case, jax = problem.case, self._jax
        numpy = jax.numpy
        weights = {name: numpy.array(array) for name, array in problem.weights.items()}
        x, dy = numpy.array(problem.x), numpy.array(problem.dy)
        zeros = (numpy.zeros((case.layers * case.directions, case.B, case.H), numpy.float32),) * case.halves
        lengths = None if problem.lengths is None else numpy.array(problem.lengths, numpy.int32)
        reset = None if problem.reset is None else numpy.array(problem.reset)
        cuts = (lengths, reset)

        if case.work == "train":

            def both(weights: Any, x: Any, cuts: Any, dy: Any) -> Any:  # noqa: ANN401
                def forward(weights: Any, x: Any) -> Any:  # noqa: ANN401
                    return self._forward(weights, x, zeros, cuts, case.layers)[0]

                y, back = jax.vjp(forward, weights, x)
                return y, *back(dy)

            compiled = jax.jit(both)
            return Run(lambda: jax.block_until_ready(compiled(weights, x, cuts, dy)), _gradients)

        forward = jax.jit(self._forward, static_argnames="layers")
        if case.work == "step":
            state = zeros

            def step() -> Any:  # noqa: ANN401
                nonlocal state
                y, state = jax.block_until_ready(forward(weights, x, state, cuts, layers=case.layers))
                return y, state

            return Run(step, _states)

        return Run(
            lambda: jax.block_until_ready(forward(weights, x, zeros, cuts, layers=case.layers)), _states
        )

    def _forward(self, weights: Any, x: Any, state: Any, cuts: Any, layers: int) -> Any:  # noqa: ANN401
        """All layers: y, and h and for an LSTM c after the last steps.

        cuts are lengths and reset; without lengths (None) all steps count, without reset no row starts anew.
        """
        numpy = self._jax.numpy
        lengths, reset = cuts
        # [T, B, 1]: whether a step is within its row's length.
        within = None if lengths is None else numpy.arange(len(x))[:, None, None] < lengths[:, None]
        # [T, B, 1]: whether a row starts anew before a step. In reverse the step before it in time does.
        anew: dict[str, Any] = {"": None, "_reverse": None}
        if reset is not None:
            anew[""] = reset[:, :, None]
            anew["_reverse"] = numpy.roll(reset.at[0].set(False), -1, axis=0)[:, :, None]
        y = x
        ends: list[Any] = []
        for layer in range(layers):
            outputs = []
            for way in ("", "_reverse"):
                suffix = f"_l{layer}{way}"
                if f"weight_ih{suffix}" not in weights:
                    continue
                begin = tuple(half[len(ends)] for half in state)
                out, end = self._layer(weights, suffix, y, begin, (within, anew[way]))
                outputs.append(out)
                ends.append(end)
            y = numpy.concatenate(outputs, axis=2) if len(outputs) > 1 else outputs[0]
        return y, tuple(numpy.stack(halves) for halves in zip(*ends, strict=True))

    def _layer(self, weights: Any, suffix: str, x: Any, state: Any, masks: Any) -> Any:  # noqa: ANN401
        """One layer in one direction: y [T, B, H], the state after its last step.

        masks [T, B, 1] are which steps count and at which a row starts anew; either may be None.
        """
        jax, where = self._jax, self._jax.numpy.where
        weight_hh = weights[f"weight_hh{suffix}"].T
        bias, bias_hh = weights[f"bias_ih{suffix}"], weights[f"bias_hh{suffix}"]
        gru = len(bias) == 3 * len(weight_hh)
        if not gru:  # of which r multiplies one alone
            bias = bias + bias_hh
        z_x = x @ weights[f"weight_ih{suffix}"].T + bias

        def gru_cell(h: Any, z_x: Any) -> Any:  # noqa: ANN401
            r_x, z_x, n_x = jax.numpy.split(z_x, 3, axis=-1)
            r_h, z_h, n_h = jax.numpy.split(h @ weight_hh + bias_hh, 3, axis=-1)
            z = jax.nn.sigmoid(z_x + z_h)
            n = jax.numpy.tanh(n_x + jax.nn.sigmoid(r_x + r_h) * n_h)
            return (1 - z) * n + z * h

        def cell(state: Any, z_x: Any) -> Any:  # noqa: ANN401
            if gru:
                return (gru_cell(state[0], z_x),)
            z = z_x + state[0] @ weight_hh
            if len(state) == 1:
                return (jax.numpy.tanh(z),)
            i, f, g, o = jax.numpy.split(z, 4, axis=-1)
            c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jax.numpy.tanh(g)
            return jax.nn.sigmoid(o) * jax.numpy.tanh(c), c

        def step(state: Any, of_step: Any) -> Any:  # noqa: ANN401
            z_x, (within, anew) = of_step
            if anew is not None:
                state = tuple(where(anew, 0, half) for half in state)
            after = cell(state, z_x)
            if within is None:
                return after, after[0]
            kept = tuple(where(within, new, old) for new, old in zip(after, state, strict=True))
            return kept, where(within, after[0], 0)

        end, y = jax.lax.scan(step, state, (z_x, masks), reverse=suffix.endswith("_reverse"))
        return y, end


def _states(returned: Any) -> Results:  # noqa: ANN401
    y, state = returned
    return named(y, *state)


def _gradients(returned: Any) -> Results:  # noqa: ANN401
    y, dweights, dx = returned
    return {"y": y, "dx": dx, **{f"d {name}": array for name, array in dweights.items()}}
