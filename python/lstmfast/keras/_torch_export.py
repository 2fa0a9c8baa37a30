"""What `torch.onnx.export`, and so Keras' `model.export(format="onnx")`, sees of our layers on PyTorch.

PyTorch's own LSTM, GRU and RNN, which its exporters turn into ONNX's nodes of these names, with batch and
time as free as the input has them. Keras' own steps would be traced one by one, for an example's number.
"""

from __future__ import annotations

from typing import Any

import torch

from ._reading import Recurrence
from ._weights import arranged


def refusal(recurrences: list[Recurrence]) -> str | None:
    """Say why a call cannot be written as PyTorch's own, or None."""
    if any(it.variant is not None for it in recurrences):
        return "PyTorch, which writes ONNX, has no layer with such activations or such a reset gate"
    return None


def run(
    recurrence: Recurrence, weights: list[Any], x: Any, state: list[Any], skipping: Any, wants_states: bool
) -> tuple[Any, list[Any]]:
    """Run one cell over all steps, as PyTorch's own.

    Raises
    ------
    NotImplementedError
        If c is wanted of rows that end where only a mask says: PyTorch's LSTM gives that of the last step.
    """
    if skipping is not None and wants_states and recurrence.has_memory:
        raise NotImplementedError(
            "an LSTM's last c with a mask cannot be written as ONNX, only its outputs and its last h:"
            " export a model that does not return it"
        )
    zeros = weights[0].new_zeros(weights[0].shape[1])
    laid_out = arranged(recurrence, weights, lambda parts: torch.cat(parts, -1), zeros)
    laid_out = [weight.contiguous() for weight in laid_out]
    states = tuple(part.unsqueeze(0) for part in state)
    operator = getattr(torch, recurrence.cell)
    # Biases, one layer, no dropout, no training, one direction, and time first: batch_first makes transposes.
    how = (recurrence.bias, 1, 0.0, False, False, False)
    hx = states if recurrence.has_memory else states[0]
    y, *ends = operator(x.transpose(0, 1), hx, laid_out, *how)
    y = y.transpose(0, 1)
    ends = [end.squeeze(0) for end in ends]
    if skipping is not None:  # the nodes have run on past the ends of rows
        ends[0] = skipping.ends(y, state[0])
    return y, ends


def refuse_own_path(layer: Any, x: Any, reason: str) -> None:
    """Raise a NotImplementedError where Keras' own path would write one step in place of all."""
    if torch.jit.is_tracing() and int(x.shape[1]) == 1:
        raise NotImplementedError(
            f"layer {layer.name}: it goes along Keras' own path ({reason}), which writes a fixed number of"
            " steps into an ONNX file, here one; give the number in input_signature to have it so"
        )
