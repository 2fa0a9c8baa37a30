"""lstmfast as functions of JAX's: what is left of its speed where XLA hands it arrays and takes them back."""

from __future__ import annotations

import importlib
from typing import Any

import lstmfast

from . import UnsupportedError
from .jax_scan import Jax

__all__ = ["JaxFunction"]


class JaxFunction(Jax):
    """`lstmfast.jax` in place of the scan; all else, weights as arguments and `vjp` too, is JAX's row."""

    name = "lstmfast.jax"

    def missing(self) -> str | None:
        """Import JAX, and set the threads of both."""
        lstmfast.set_num_threads(self._threads)
        return super().missing()

    def version(self) -> str:
        """Return lstmfast's version, and JAX's."""
        return f"{lstmfast.__version__} in JAX {super().version()}"

    def settings(self) -> dict[str, str]:
        """Return what it was told."""
        return {
            "threads": f"{self._threads} (NPROC, XLA_FLAGS)",
            "platform": "cpu",
            "instruction set": lstmfast.isa(),
        }

    def _forward(self, weights: Any, x: Any, state: Any, cuts: Any, layers: int) -> Any:  # noqa: ANN401
        if self._isa not in (None, lstmfast.isa()):
            raise UnsupportedError("its instruction set is that of the process (LSTMFAST_ISA)")
        ours = importlib.import_module("lstmfast.jax")
        lengths, reset = cuts
        rows, units = weights["weight_hh_l0"].shape
        if rows == units:
            y, h = ours.rnn(x, weights, state[0], lengths=lengths, reset=reset)
            return y, (h,)
        if len(state) == 1:
            y, h = ours.gru(x, weights, state[0], lengths=lengths, reset=reset)
            return y, (h,)
        return ours.lstm(x, weights, state, lengths=lengths, reset=reset)
