"""Whole networks: layers on top of each other, in one direction or both, over whole rows or their pieces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .cells import LayerCache, chosen
from .layer_norm import LayerNormCache
from .lstm import LSTMCache
from .pieces import Piece, cut
from .products import Array
from .variants import VariantCache
from .zoneout import Bools, Zoneout

# Per direction: the reverse one reads x from its end.
_TIME: tuple[slice, ...] = (slice(None), slice(None, None, -1))


class NetworkCache(NamedTuple):
    """What whole sequences through all layers keep for their backward pass."""

    layers: list[LayerCache]  # L*D, forward direction before reverse
    masks: Array | None  # [L-1, T, B, D*P]


class PiecesCache(NamedTuple):
    """What all pieces keep for their backward pass."""

    x_shape: tuple[int, ...]  # [T, B, I]
    pieces: list[tuple[Piece, NetworkCache]]


class Cut(NamedTuple):
    """What pieces that begin at a cut begin from, and of a gradient what arrives there."""

    h: Array  # [L*D, B, P]
    c: Array  # [L*D, B, H]


class Reference:
    """A whole RNN, LSTM or GRU: layers on top of each other, each in one direction or in both.

    Parameters
    ----------
    cell : {"lstm", "rnn_tanh", "rnn_relu", "gru", "gru_reset_before"}
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
        masks: ArrayLike | None = None,
        reset_to: tuple[ArrayLike | None, ArrayLike | None] = (None, None),
        renewed: ArrayLike | None = None,
    ) -> tuple[Array, tuple[Array, Array | None], NetworkCache | PiecesCache]:
        """Run the network over whole sequences, or over the pieces that lengths and reset cut them into.

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
        cache: NetworkCache | PiecesCache
        if lengths is None and reset is None:
            y, h_n, c_n, cache = self._forward_whole(x, h0, c0, masks, renewals)
        else:
            pieces = cut(T, B, lengths, reset, L, self._ways)
            starts = Cut(self._array("h0", reset_to[0], h0.shape), self._array("c0", reset_to[1], c0.shape))
            y, h_n, c_n, cache = self._forward_pieces(x, h0, c0, masks, pieces, starts, renewals)
        return y, (h_n, c_n if self._cell.has_memory else None), cache

    def backward(
        self,
        cache: NetworkCache | PiecesCache,
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
        cache: NetworkCache | PiecesCache,
        dy: ArrayLike | None = None,
        dh_n: ArrayLike | None = None,
        dc_n: ArrayLike | None = None,
        dc: ArrayLike | None = None,
    ) -> tuple[Array, Array, Array | None, dict[str, Array], Cut]:
        """As `backward`, and the gradients of reset_to."""
        T, B, _ = cache.x_shape if isinstance(cache, PiecesCache) else cache.layers[0].x.shape
        L, D, H, P = self.num_layers, self.num_directions, self.hidden_size, self.output_size
        dy = self._array("dy", dy, (T, B, D * P))
        dh_n, dc_n = self._array("dh_n", dh_n, (L * D, B, P)), self._array("dc_n", dc_n, (L * D, B, H))
        dc_y = None if dc is None else self._array("dc", dc, (T, B, D * H))
        starts = Cut(np.zeros_like(dh_n), np.zeros_like(dc_n))
        if isinstance(cache, PiecesCache):
            dx, dh0, dc0, dparameters = self._backward_pieces(cache, dy, dh_n, dc_n, dc_y, starts)
        else:
            dx, dh0, dc0, dparameters = self._backward_whole(cache, dy, dh_n, dc_n, dc_y)
        return dx, dh0, dc0 if self._cell.has_memory else None, dparameters, starts

    def memory(self, cache: NetworkCache | PiecesCache) -> Array:
        """Return the last layer's c after every step of `forward`, [T, B, D*H]; 0 where a row has ended."""
        if isinstance(cache, PiecesCache):
            c = np.zeros((*cache.x_shape[:2], self.num_directions * self.hidden_size), self.dtype)
            for (rows, steps, _, _), piece in cache.pieces:
                c[steps, rows] = self.memory(piece)
            return c
        last = cache.layers[-self.num_directions :]
        memories = [
            layer.c[1:][time]
            for layer, time in zip(last, _TIME[self._ways], strict=True)
            if isinstance(layer, (LSTMCache, VariantCache, LayerNormCache))
        ]
        return np.concatenate(memories, axis=2)

    # Whole sequences. Here and for pieces all cells have c's, which nobody reads of those without.

    def _forward_whole(
        self, x: Array, h0: Array, c0: Array, masks: Array | None, renewed: Bools | None
    ) -> tuple[Array, Array, Array, NetworkCache]:
        """Layer after layer, each over all T steps of all rows: y, h_n, c_n and the cache."""
        y, h_n, c_n = x, np.empty_like(h0), np.zeros_like(c0)
        caches: list[LayerCache] = []
        for layer in range(self.num_layers):
            if masks is not None and layer > 0:
                y = y * masks[layer - 1]
            outputs = []
            for time in _TIME[self._ways]:
                k = len(caches)
                weights = {kind: self.parameters[kind + self._suffixes[k]] for kind in self._kinds}
                zoneout = Zoneout(self.zoneout, None if renewed is None else renewed[k][time])
                out, c_n[k], cache = self._cell.forward(y[time], h0[k], c0[k], weights, zoneout)
                h_n[k] = cache.h[-1]
                outputs.append(out[time])
                caches.append(cache)
            y = np.concatenate(outputs, axis=2)
        return y, h_n, c_n, NetworkCache(caches, masks)

    def _backward_whole(
        self, cache: NetworkCache, dy: Array, dh_n: Array, dc_n: Array, dc_y: Array | None
    ) -> tuple[Array, Array, Array, dict[str, Array]]:
        """From the last layer to the first: dx, dh0, dc0 and dparameters."""
        P, D = self.output_size, self.num_directions
        dh0, dc0 = np.empty_like(dh_n), np.zeros_like(dc_n)
        dparameters = dict.fromkeys(self.parameters, dy)  # in the order of the parameters
        for layer in reversed(range(self.num_layers)):
            dx = np.zeros_like(cache.layers[layer * D].x)
            for direction, time in enumerate(_TIME[self._ways]):
                k = layer * D + direction
                layer_cache = cache.layers[k]
                dy_k = dy[time, :, direction * P : (direction + 1) * P]
                H = self.hidden_size
                dc_k = None if dc_y is None else dc_y[time, :, direction * H : (direction + 1) * H]
                dx_k, dh0[k], dc0[k], gradients = self._cell.backward(
                    layer_cache, dy_k, dh_n[k], dc_n[k], dc_k
                )
                dx += dx_k[time]  # both directions read the same x
                dparameters.update({kind + self._suffixes[k]: gradients[kind] for kind in self._kinds})
            if cache.masks is not None and layer > 0:
                dx = dx * cache.masks[layer - 1]
            dy = dx  # this layer's x is the y of the layer below
            dc_y = None  # c of the last layer alone is an output
        return dy, dh0, dc0, dparameters

    # Pieces of sequences.

    def _forward_pieces(
        self,
        x: Array,
        h0: Array,
        c0: Array,
        masks: Array | None,
        pieces: list[Piece],
        starts: Cut,
        renewed: Bools | None,
    ) -> tuple[Array, Array, Array, PiecesCache]:
        """Each piece alone, and what they give put together: y, h_n, c_n and the cache."""
        y = np.zeros((*x.shape[:2], self.num_directions * self.output_size), self.dtype)
        h_n, c_n = np.zeros_like(h0), np.zeros_like(c0)
        caches = []
        for piece in pieces:
            rows, steps, takes_initial, gives_final = piece
            y[steps, rows], h_end, c_end, cache = self._forward_whole(
                x[steps, rows],
                np.where(takes_initial, h0[:, rows], starts.h[:, rows]),
                np.where(takes_initial, c0[:, rows], starts.c[:, rows]),
                None if masks is None else masks[:, steps, rows],
                None if renewed is None else renewed[:, steps, rows],
            )
            h_n[:, rows] = np.where(gives_final, h_end, h_n[:, rows])
            c_n[:, rows] = np.where(gives_final, c_end, c_n[:, rows])
            caches.append((piece, cache))
        return y, h_n, c_n, PiecesCache(x.shape, caches)

    def _backward_pieces(
        self, cache: PiecesCache, dy: Array, dh_n: Array, dc_n: Array, dc_y: Array | None, starts: Cut
    ) -> tuple[Array, Array, Array, dict[str, Array]]:
        """Each piece alone; its initial state is where gradients end, its final state where they start.

        To starts is added what arrives at what cuts began from.

        The weights are the same in every piece: their gradients are sums over all.
        """
        dx = np.zeros(cache.x_shape, self.dtype)
        dh0, dc0 = np.zeros_like(dh_n), np.zeros_like(dc_n)
        dparameters = {name: np.zeros_like(value) for name, value in self.parameters.items()}
        for (rows, steps, takes_initial, gives_final), piece_cache in cache.pieces:
            dx[steps, rows], dh_start, dc_start, dparameters_of_piece = self._backward_whole(
                piece_cache,
                dy[steps, rows],
                np.where(gives_final, dh_n[:, rows], 0),
                np.where(gives_final, dc_n[:, rows], 0),
                None if dc_y is None else dc_y[steps, rows],
            )
            # A row without steps begins from nothing: its gradients go on to the initial state.
            starts.h[:, rows] += np.where(takes_initial, 0, dh_start)
            starts.c[:, rows] += np.where(takes_initial, 0, dc_start)
            dh0[:, rows] = np.where(takes_initial, dh_start, dh0[:, rows])
            dc0[:, rows] = np.where(takes_initial, dc_start, dc0[:, rows])
            for name, gradient in dparameters_of_piece.items():
                dparameters[name] += gradient
        return dx, dh0, dc0, dparameters

    def _array(self, name: str, value: ArrayLike | None, shape: tuple[int, ...]) -> Array:
        """Value in our dtype, None as zeros; NumPy would broadcast a wrong shape in silence."""
        if name in ("c0", "dc_n") and value is not None and not self._cell.has_memory:
            raise ValueError(f"{name} must be None: only an LSTM has a c")
        array: Array = np.zeros(shape, self.dtype) if value is None else np.asarray(value, self.dtype)
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
        return array
