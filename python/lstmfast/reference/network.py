"""Whole networks: layers on top of each other, in one direction or both, over whole rows or parts of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from . import pieces, skipping, stack
from .cells import chosen
from .pieces import Cut, PiecesCache
from .products import Array
from .skipping import StepsCache
from .stack import NetworkCache, Stack

Cache: TypeAlias = NetworkCache | PiecesCache | StepsCache


class Reference:
    """A whole RNN, LSTM or GRU: layers on top of each other, each in one direction or in both.

    Parameters
    ----------
    cell : {"lstm", "rnn_tanh", "rnn_relu", "gru", "gru_reset_before"}
        What all layers are made of.
    parameters : mapping
        PyTorch's names to arrays: weight_ih_l0 [G, I], weight_hh_l0 [G, P] and, unless there is no
        bias, bias_ih_l0 [G] and bias_hh_l0 [G]; for an LSTM with peepholes weight_ch_l0, [3, H] of i, f and o
        or, coupled, [2, H] of i and o; with a projection also weight_hr_l0 [P, H], and else P = H; then
        _l0_reverse, _l1 (whose input is D*P wide) and so on. Copied.
    num_layers, bidirectional
        As in PyTorch.
    dtype : float64 or float32
        What everything is converted to and computed in.
    coupled, clip, activations
        Of `lstmfast.reference.variants`; activations are pairs of a name and its numbers, None for the usual.
    reverse : bool
        Of one direction: whether it runs from the last step to the first.
    zoneout : float
        Probability that a number of h stays as it was at a step.

    Attributes
    ----------
    input_size, hidden_size : int
        I and H.
    proj_size : int
        P, or 0 if there is no projection.
    output_size : int
        P with a projection and H without: the width of h.

    Raises
    ------
    ValueError
        If the cell is unknown, or names or shapes are not those of such a network.
    """

    def __init__(
        self,
        cell: str,
        parameters: Mapping[str, ArrayLike],
        num_layers: int = 1,
        bidirectional: bool = False,
        dtype: DTypeLike = np.float64,
        *,
        coupled: bool = False,
        clip: float | None = None,
        activations: tuple[tuple[str, tuple[float, ...]], ...] | None = None,
        reverse: bool = False,
        zoneout: float = 0.0,
    ) -> None:
        self.zoneout = zoneout
        peephole = "weight_ch_l0" in parameters
        self._cell = chosen(cell, coupled, peephole, clip, activations, zoneout)
        self.cell = cell
        self.num_layers = num_layers
        self.num_directions = 2 if bidirectional else 1
        self._ways = slice(1, 2) if reverse else slice(self.num_directions)  # of forward and reverse
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        biased = "bias_ih_l0" in parameters
        projected = cell == "lstm" and "weight_hr_l0" in parameters
        self._kinds = ["weight_ih", "weight_hh"]
        self._kinds += ["bias_ih", "bias_hh"] if biased else []
        self._kinds += ["weight_ch"] if peephole else []
        self._kinds += ["weight_hr"] if projected else []
        self._kinds += ["gain_ih", "gain_hh", "gain_c", "bias_c"] if cell == "lstm_norm" else []
        # Layer by layer, forward direction before reverse, as in PyTorch's state_dict.
        ways = ["", "_reverse"][: self.num_directions]
        self._suffixes = [f"_l{layer}{way}" for layer in range(num_layers) for way in ways]
        names = [kind + suffix for suffix in self._suffixes for kind in self._kinds]
        if set(names) != set(parameters):
            raise ValueError(f"parameters must be {', '.join(names)}, got {', '.join(parameters)}")
        self.parameters: dict[str, Array] = {name: np.array(parameters[name], self.dtype) for name in names}
        self.input_size = self.parameters["weight_ih_l0"].shape[-1]
        self.output_size = P = self.parameters["weight_hh_l0"].shape[-1]
        self.hidden_size = H = self.parameters["weight_hr_l0"].shape[-1] if projected else P
        self.proj_size = P if projected else 0
        G = self._cell.gates * H
        for name, value in self.parameters.items():
            width = self.input_size if "_l0" in name else self.num_directions * P
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (G, width),
                "weight_hh": (G, P),
                "weight_hr": (P, H),
            }
            shapes["weight_ch"] = (self._cell.gates - 1, H)
            shapes |= {"gain_c_l": (H,), "bias_c_l": (H,)}
            self._array(name, value, shapes.get(name[:9], shapes.get(name[:8], (G,))))

    def forward(
        self,
        x: ArrayLike,
        h0: ArrayLike | None = None,
        c0: ArrayLike | None = None,
        *,
        lengths: ArrayLike | None = None,
        reset: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        masks: ArrayLike | None = None,
        reset_to: tuple[ArrayLike | None, ArrayLike | None] = (None, None),
        renewed: ArrayLike | None = None,
    ) -> tuple[Array, tuple[Array, Array | None], Cache]:
        """Run the network over whole sequences, or over the pieces that lengths and reset cut them into.

        Or step by step, where a mask says which are skipped.

        This is the definition of lengths and reset: the steps of each row before its length are cut before
        every step that reset marks, and each piece runs as a sequence of its own, alone, through all layers.
        The forward direction starts the row's first piece from the row's initial state, unless reset marks
        step 0; the reverse direction, which comes from the other end, starts the last one from it. All other
        pieces start from zero, or from what reset_to says. A row of length 0 is one piece without steps.

        Parameters
        ----------
        x : [T, B, I]
            The cache may refer to it: it must not change before `backward`.
        h0, c0 : [L*D, B, P] and [L*D, B, H], or None for zeros
            c0 is for the LSTM alone.
        lengths : [B] integers, or None for T
            How many steps each row has; what x holds after them is not read.
        reset : [T, B] bools, or None for no cuts
            Marks at and after a row's length mean nothing, nor does one at step 0 to the reverse direction.
        mask : [T, B] bools, or None for all True
            False where a step is skipped: there the state stays, in all layers and directions, x is not read,
            and y is that of the step before, in the order of its direction, or 0 if there is none yet. A mark
            of reset at such a step is one at the next that is taken, if there is one.
        masks : [L-1, T, B, D*P], or None for no dropout
            What the outputs of every layer but the last are multiplied with before the next layer reads
            them. For dropout of probability p: 0 with that probability, and else 1 / (1 - p). As x, it must
            not change before `backward`.
        reset_to : pair of [L*D, B, P] and [L*D, B, H], None for zeros
            What each row's pieces start from but for the one that takes the initial state.
        renewed : [L*D, T, B, P] bools, or None for what is expected
            With zoneout, where h takes its new value.

        Returns
        -------
        y : [T, B, D*P]
            0 where a row has ended.
        (h_n, c_n) : [L*D, B, P] and [L*D, B, H]
            The state after each row's last step, which for the reverse direction is t = 0; the initial state
            for a row without steps. c_n is None but for an LSTM.
        cache
            For `backward`.
        """
        if np.ndim(x) != 3:
            raise ValueError(f"x must have shape [T, B, I], got {np.shape(x)}")
        T, B = np.shape(x)[:2]
        L, D, H, P = self.num_layers, self.num_directions, self.hidden_size, self.output_size
        x = self._array("x", x, (T, B, self.input_size))
        h0, c0 = self._array("h0", h0, (L * D, B, P)), self._array("c0", c0, (L * D, B, H))
        masks = None if masks is None else self._array("masks", masks, (L - 1, T, B, D * P))
        renewals = None if renewed is None else np.asarray(renewed, bool)
        starts = Cut(self._array("h0", reset_to[0], h0.shape), self._array("c0", reset_to[1], c0.shape))
        cache: Cache
        if mask is not None:
            plan = skipping.plan(T, B, lengths, reset, mask)
            y, h_n, c_n, cache = skipping.forward(self._stack, x, h0, c0, masks, plan, starts, renewals)
        elif lengths is None and reset is None:
            y, h_n, c_n, cache = stack.forward(self._stack, x, h0, c0, masks, renewals)
        else:
            cut = pieces.cut(T, B, lengths, reset, L, self._ways)
            y, h_n, c_n, cache = pieces.forward(self._stack, x, h0, c0, masks, cut, starts, renewals)
        return y, (h_n, c_n if self._cell.has_memory else None), cache

    def backward(
        self,
        cache: Cache,
        dy: ArrayLike | None = None,
        dh_n: ArrayLike | None = None,
        dc_n: ArrayLike | None = None,
        dc: ArrayLike | None = None,
    ) -> tuple[Array, Array, Array | None, dict[str, Array]]:
        """Gradients of a loss, given its gradients with respect to y, h_n and c_n.

        Parameters
        ----------
        cache
            Of `forward`. It is not changed, and may be used again.
        dy : [T, B, D*P], or None for zeros
            Where a row has ended it is not read.
        dh_n, dc_n : [L*D, B, P] and [L*D, B, H], or None for zeros
            dc_n is for the LSTM alone.
        dc : [T, B, D*H], or None for zeros
            Of what `memory` gives.

        Returns
        -------
        dx : [T, B, I]
            0 where a row has ended.
        dh0, dc0 : [L*D, B, P] and [L*D, B, H]
            dc0 is None but for an LSTM.
        dparameters : dict
            The names and shapes of the parameters.
        """
        return self.backward_with_cut(cache, dy, dh_n, dc_n, dc)[:4]

    def backward_with_cut(
        self,
        cache: Cache,
        dy: ArrayLike | None = None,
        dh_n: ArrayLike | None = None,
        dc_n: ArrayLike | None = None,
        dc: ArrayLike | None = None,
    ) -> tuple[Array, Array, Array | None, dict[str, Array], Cut]:
        """As `backward`, and the gradients of reset_to."""
        T, B = cache.steps_and_rows
        L, D, H, P = self.num_layers, self.num_directions, self.hidden_size, self.output_size
        dy = self._array("dy", dy, (T, B, D * P))
        dh_n, dc_n = self._array("dh_n", dh_n, (L * D, B, P)), self._array("dc_n", dc_n, (L * D, B, H))
        dc_y = None if dc is None else self._array("dc", dc, (T, B, D * H))
        starts = Cut(np.zeros_like(dh_n), np.zeros_like(dc_n))
        if isinstance(cache, NetworkCache):
            dx, dh0, dc0, dweights = stack.backward(self._stack, cache, dy, dh_n, dc_n, dc_y)
        elif isinstance(cache, PiecesCache):
            dx, dh0, dc0, dweights = pieces.backward(self._stack, cache, dy, dh_n, dc_n, dc_y, starts)
        else:
            dx, dh0, dc0, dweights = skipping.backward(self._stack, cache, dy, dh_n, dc_n, dc_y, starts)
        dparameters = {
            kind + suffix: gradients[kind]
            for suffix, gradients in zip(self._suffixes, dweights, strict=True)
            for kind in self._kinds
        }
        return dx, dh0, dc0 if self._cell.has_memory else None, dparameters, starts

    def memory(self, cache: Cache) -> Array:
        """Return the last layer's c after every step of `forward`, [T, B, D*H]; 0 where a row has ended.

        At skipped steps it is repeated as y is.
        """
        if isinstance(cache, NetworkCache):
            return stack.memory(self._stack, cache)
        if isinstance(cache, PiecesCache):
            return pieces.memory(self._stack, cache)
        return skipping.memory(self._stack, cache)

    @property
    def _stack(self) -> Stack:
        """With the parameters of today."""
        kinds, suffixes = self._kinds, self._suffixes
        weights = [{kind: self.parameters[kind + suffix] for kind in kinds} for suffix in suffixes]
        return Stack(self._cell, weights, self._ways, self.hidden_size, self.output_size, self.zoneout)

    def _array(self, name: str, value: ArrayLike | None, shape: tuple[int, ...]) -> Array:
        """Value in our dtype, None as zeros; NumPy would broadcast a wrong shape in silence."""
        if name in ("c0", "dc_n") and value is not None and not self._cell.has_memory:
            raise ValueError(f"{name} must be None: only an LSTM has a c")
        array: Array = np.zeros(shape, self.dtype) if value is None else np.asarray(value, self.dtype)
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
        return array
