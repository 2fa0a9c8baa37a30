"""`LSTM`, `GRU` and `RNN`: PyTorch's modules, whose work on the CPU is the core's."""

from __future__ import annotations

from typing import Any

import torch

from .._base import checks
from . import _calls, _graph, _paths, _pieces, _quantized
from ._ours import Offers, Ours, offer
from ._own import own_of, recomputes, set_recompute


class Recurrent(Ours):
    """What every module of sequences has whose work is lstmfast's."""

    def forward(
        self, input: Any, hx: Any = None, *, lengths: Any = None, reset: Any = None, reset_to: Any = None
    ) -> Any:
        """Run all steps: arguments, results and errors are those of PyTorch's class, and three keywords more.

        Results and gradients with either are those of the sequences alone, in all layers and directions: no
        state and no gradient crosses a cut, or comes from past an end. They are as in `lstmfast.LSTM`, whose
        words say more.

        Parameters
        ----------
        input, hx
            As in PyTorch. T steps and B rows in what follows.
        lengths
            Integers [B] from 0 to T in any order (one integer if the input is unbatched), a tensor, an array
            or a list: row b has `lengths[b]` steps. What the input has after them, NaN too, is no matter.
            There y is 0, and so is the input's gradient. h_n and c_n are the state after each row's own last
            step; a row of length 0 keeps its initial state.
        reset
            Bools, or 0 and 1 of any dtype, in the input's first axes ([T, B], [B, T] with `batch_first`, [T]
            unbatched), a tensor, an array or lists: where it is True the row begins anew from the zero state,
            before that step. Marks past a row's length are ignored.
        reset_to
            A state of the input's dtype: what rows begin anew from at a cut instead of zero. It has gradients
            and may be learned (a `torch.nn.Parameter`). Shaped like `hx`, or [L*D, H] (of an LSTM a pair
            of such, h with a projection [L*D, P]) where all rows share one; half a pair may be None, for
            zero. `hx` is still what the input's first steps begin from.

        Raises
        ------
        TypeError, ValueError
            If `lengths`, `reset` or `reset_to` is not as above, or is given beside a PackedSequence, which
            says itself where its rows end. The message names it, what was expected and what came.
        """
        if torch.compiler.is_compiling() or _paths.dispatch_modes():
            return _graph.forward(self, input, hx, lengths, reset, reset_to)
        prepared = _calls.prepare(self, input, hx, lengths, reset, reset_to)
        if isinstance(prepared, str):
            _quantized.refuse(own_of(self), prepared)
            run = super().forward  # type: ignore[misc]
            if lengths is None and reset is None and reset_to is None:
                return run(input, hx)
            return _pieces.forward(self, input, hx, lengths, reset, reset_to, run)
        return _calls.run(self, prepared)


class RecurrentLSTM(Recurrent, torch.nn.LSTM):  # type: ignore[misc]
    """Ours below a class of somebody else's over torch.nn.LSTM: no more names than PyTorch's, but ours."""


class RecurrentGRU(Recurrent, torch.nn.GRU):  # type: ignore[misc]
    """The same for torch.nn.GRU."""


class RecurrentRNN(Recurrent, torch.nn.RNN):  # type: ignore[misc]
    """The same for torch.nn.RNN."""


class OffersRecompute(Offers):
    """What our own classes of sequences offer besides."""

    def __init__(self, *args: Any, recompute: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.recompute = recompute

    @property
    def recompute(self) -> bool:
        """Whether the gates of every step are made anew by the backward pass, and not kept for it.

        The same bits for less memory and more time: of an LSTM's 5 H numbers for each row and step, 1 H is
        kept, and of a GRU's 4 H nothing. An RNN keeps no gates in any case. May be set at any time, and holds
        for calls from then on; copies and pickles have it, too, and `restore` forgets it.
        """
        return recomputes(self)

    @recompute.setter
    def recompute(self, value: bool) -> None:
        set_recompute(self, checks.flag(value, "recompute"))


class LSTM(OffersRecompute, RecurrentLSTM):
    """`torch.nn.LSTM` whose work on the CPU, in float32 and float64, is done by lstmfast.

    Constructor, parameters, `state_dict`, initial values under a seed, arguments and results of calls,
    dropout under a seed, gradients and errors are those of `torch.nn.LSTM`. What the core does not do (other
    devices and dtypes, autocast, torch.func, TorchScript) goes along PyTorch's own path;
    `lstmfast.torch.explain(module, x)` says which way a call goes, and why.

    Its constructor takes one keyword more, `recompute` (False): see the property.

    Notes
    -----
    Results do not depend on the number of threads, which is the
    lower of `torch.get_num_threads()` and `lstmfast.get_num_threads()`; nor on the batch a row is in.

    Weights are packed when a call finds them changed, which it sees by one pass over them, whoever has
    written to them and however; `freeze()` saves that pass.
    """


class GRU(OffersRecompute, RecurrentGRU):
    """`torch.nn.GRU` whose work on the CPU, in float32 and float64, is done by lstmfast.

    See `LSTM`: all that is said there holds for `torch.nn.GRU`.
    """


class RNN(OffersRecompute, RecurrentRNN):
    """`torch.nn.RNN` whose work on the CPU, in float32 and float64, is done by lstmfast.

    See `LSTM`: all that is said there holds for `torch.nn.RNN` and both of its nonlinearities.
    """


offer(LSTM, RecurrentLSTM, torch.nn.LSTM)
offer(GRU, RecurrentGRU, torch.nn.GRU)
offer(RNN, RecurrentRNN, torch.nn.RNN)
