"""`LSTMCell`, `GRUCell` and `RNNCell`: PyTorch's modules of single steps, with the core's work in them."""

from __future__ import annotations

from typing import Any

import torch

from . import _cell_calls, _cell_graph, _paths
from ._ours import Offers, Ours, offer


class RecurrentCell(Ours):
    """What every module of single steps has whose work is lstmfast's."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Run one step: arguments, results and errors are those of PyTorch's class.

        Parameters
        ----------
        input
            [B, I], or unbatched [I].
        hx
            h, [B, H] or [H]; of an LSTMCell the pair of h and c. None: zeros.

        Returns
        -------
        tensor, or pair of tensors
            The new h; of an LSTMCell the new h and c.
        """
        if torch.compiler.is_compiling() or _paths.dispatch_modes():
            weights = _cell_graph.constants(self)
            return super().forward(input, hx) if weights is None else weights.forward(input, hx)  # type: ignore[misc]
        found = _cell_calls.call(self, input, hx)
        if found is None:
            _cell_calls.refuse_rows(self, input, hx)
            return super().forward(input, hx)  # type: ignore[misc]
        return found


class RecurrentLSTMCell(RecurrentCell, torch.nn.LSTMCell):  # type: ignore[misc]
    """Ours below a class of somebody else's over torch.nn.LSTMCell."""


class RecurrentGRUCell(RecurrentCell, torch.nn.GRUCell):  # type: ignore[misc]
    """The same for torch.nn.GRUCell."""


class RecurrentRNNCell(RecurrentCell, torch.nn.RNNCell):  # type: ignore[misc]
    """The same for torch.nn.RNNCell."""


class LSTMCell(Offers, RecurrentLSTMCell):
    """`torch.nn.LSTMCell` whose work on the CPU, in float32 and float64, is done by lstmfast.

    Constructor, parameters, `state_dict`, initial values under a seed, arguments, results, gradients and
    errors are those of `torch.nn.LSTMCell`. What the core does not do (other devices and dtypes, autocast,
    torch.func, TorchScript, compiled and exported graphs) goes along PyTorch's own path;
    `lstmfast.torch.explain(module, x)` says which way a call goes, and why.

    Notes
    -----
    A loop of calls, step by step, has the bits of `lstmfast.torch.LSTM` over the whole sequence: results, and
    gradients as well. Of the weights, all steps of a backward pass together make the gradients, when the last
    of them is done: a product and a sum less for each step.

    Each call looks whether the weights have changed, by one pass over them; `freeze()` saves that pass, which
    at larger sizes is most of a step.
    """


class GRUCell(Offers, RecurrentGRUCell):
    """`torch.nn.GRUCell` whose work on the CPU, in float32 and float64, is done by lstmfast.

    See `LSTMCell`: all that is said there holds for `torch.nn.GRUCell`.
    """


class RNNCell(Offers, RecurrentRNNCell):
    """`torch.nn.RNNCell` whose work on the CPU, in float32 and float64, is done by lstmfast.

    See `LSTMCell`: all that is said there holds for `torch.nn.RNNCell` and both of its nonlinearities.
    """


offer(LSTMCell, RecurrentLSTMCell, torch.nn.LSTMCell)
offer(GRUCell, RecurrentGRUCell, torch.nn.GRUCell)
offer(RNNCell, RecurrentRNNCell, torch.nn.RNNCell)
