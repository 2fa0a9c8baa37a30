"""The RNN and the LSTM in NumPy: what right means in this library.

Read it beside the equations. Products between vectors are elementwise, ``[h, x]`` is h above x:

    i = sigmoid(W_i [h, x] + b_i)    f = sigmoid(W_f [h, x] + b_f)    o = sigmoid(W_o [h, x] + b_o)
    g = tanh(W_g [h, x] + b_g)       c' = f * c + i * g               h' = o * tanh(c')
    RNN:  h' = tanh(U x + V h + b), or relu instead of tanh
    LSTM with a projection:  h' = W_hr (o * tanh(c')), so that h may be narrower than c

The LSTM is that of Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997,
with the forget gate f of Gers, Schmidhuber & Cummins, "Learning to forget", Neural Computation 12(10),
2000. The projection is that of Sak, Senior & Beaufays, "Long short-term memory recurrent neural network
architectures for large scale acoustic modeling", Interspeech 2014. Gradients are those of
backpropagation through time (Werbos, Proceedings of the IEEE 78(10), 1990).

The four gates are stacked in PyTorch's order i, f, g, o, and each W is cut into what it does to x and
what it does to h, so that all gates of a step are one product each:

    z = weight_ih x + bias_ih + weight_hh h + bias_hh        z = [z_i, z_f, z_g, z_o]

Sizes: T time steps, B batch rows, I input, H hidden, P the width of h (H unless there is a projection),
L layers, D directions, G = 4H (LSTM) or H (RNN).
Sequences are time-major, [T, B, I]; for batch-first data pass ``x.swapaxes(0, 1)``. Samples are rows, so
``weight_ih x`` is written ``x @ weight_ih.T``. The gradient of the loss E with respect to v is called dv.

The layer functions want arrays of one dtype, float64 or float32; `Reference` converts and checks for
them. Nothing here imports anything of this package: the truth stands alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = [
    "LSTMCache",
    "NetworkCache",
    "Piece",
    "PiecesCache",
    "RNNCache",
    "Reference",
    "lstm_layer_backward",
    "lstm_layer_forward",
    "rnn_layer_backward",
    "rnn_layer_forward",
    "sigmoid",
]

Array: TypeAlias = NDArray[np.floating[Any]]


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) for any shape, as accurate for x = -700 as for x = 0, and never overflowing.

    It is exp(x) / (1 + exp(x)) where x < 0, so that nothing but exp of x <= 0 is ever taken.
    """
    y: Array = np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))
    return y


# LSTM ------------------------------------------------------------------------------------------------


class LSTMCache(NamedTuple):
    """What one layer's forward pass keeps for its backward pass."""

    x: Array  # [T, B, I]
    h: Array  # [T+1, B, P]: h[0] is the initial state, h[t+1] the state after step t
    c: Array  # [T+1, B, H], likewise
    gates: Array  # [T, B, 4H]: i, f, g, o after their activations
    weight_ih: Array  # [4H, I]
    weight_hh: Array  # [4H, P]
    weight_hr: Array | None  # [P, H]


def lstm_layer_forward(
    x: Array,
    h0: Array,
    c0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    weight_hr: Array | None = None,
) -> tuple[Array, LSTMCache]:
    """One LSTM layer in one direction.

    Parameters
    ----------
    x : [T, B, I]
    h0 : [B, P]
    c0 : [B, H]
    weight_ih : [4H, I]
    weight_hh : [4H, P]
    bias_ih, bias_hh : [4H], or None for no bias
    weight_hr : [P, H], or None for no projection: then P = H

    Returns
    -------
    y : [T, B, P]
        h after each step. A view of ``cache.h``.
    cache : LSTMCache
        For `lstm_layer_backward`; ``cache.h[-1]`` and ``cache.c[-1]`` are the final state.
    """
    T, B, _ = x.shape
    H, P = len(weight_hh) // 4, weight_hh.shape[1]
    z_x = _input_product(x, weight_ih, bias_ih, bias_hh)
    gates = np.empty((T, B, 4 * H), x.dtype)
    h = np.empty((T + 1, B, P), x.dtype)
    c = np.empty((T + 1, B, H), x.dtype)
    h[0], c[0] = h0, c0
    for t in range(T):
        z = z_x[t] + h[t] @ weight_hh.T
        gates[t] = sigmoid(z)  # i, f and o; one call for all is faster than leaving g out
        gates[t, :, 2 * H : 3 * H] = np.tanh(z[:, 2 * H : 3 * H])
        i, f, g, o = _split_gates(gates[t])
        c[t + 1] = f * c[t] + i * g
        m = o * np.tanh(c[t + 1])
        h[t + 1] = m if weight_hr is None else m @ weight_hr.T
    return h[1:], LSTMCache(x, h, c, gates, weight_ih, weight_hh, weight_hr)


def lstm_layer_backward(
    cache: LSTMCache, dy: Array, dh_n: Array, dc_n: Array
) -> tuple[Array, Array, Array, tuple[Array, ...]]:
    """Gradients of one LSTM layer in one direction.

    Parameters
    ----------
    cache : LSTMCache
        Of `lstm_layer_forward`. It is not changed, and may be used again.
    dy : [T, B, P]
    dh_n : [B, P]
    dc_n : [B, H]

    Returns
    -------
    dx : [T, B, I]
    dh0 : [B, P]
    dc0 : [B, H]
    (dweight_ih, dweight_hh, dbias, dweight_hr) : [4H, I], [4H, P], [4H], [P, H]
        dbias belongs to bias_ih and to bias_hh alike: z sees only their sum. Without a projection there is
        no dweight_hr.
    """
    x, h, c, gates, weight_ih, weight_hh, weight_hr = cache
    i, f, g, o = _split_gates(gates)
    tanh_c = np.tanh(c[1:])

    # Partial derivatives within one step. They need the forward pass alone, so all T at once. With
    # s = sigmoid(z): ds/dz = s (1 - s), and with s = tanh(z): ds/dz = 1 - s^2.
    c_by_zi = g * i * (1 - i)  # c' = f c + i g
    c_by_zf = c[:-1] * f * (1 - f)
    c_by_zg = i * (1 - g * g)
    m_by_zo = tanh_c * o * (1 - o)  # m = o tanh(c')
    m_by_c = o * (1 - tanh_c * tanh_c)

    dz = np.empty_like(gates)
    dz_i, dz_f, dz_g, dz_o = _split_gates(dz)
    dh_after = np.empty_like(h[1:])  # of each h' in full, which the projection's weights ask for
    dh, dc = dh_n, dc_n  # of the state after step t, as far as later steps and the end use it
    for t in reversed(range(len(x))):
        dh_after[t] = dh + dy[t]  # h' is also the output of this step
        dm = dh_after[t] if weight_hr is None else dh_after[t] @ weight_hr  # h' = m, or weight_hr m
        dc = dc + dm * m_by_c[t]  # c' acts on later steps and, through m, at once
        dz_i[t] = dc * c_by_zi[t]
        dz_f[t] = dc * c_by_zf[t]
        dz_g[t] = dc * c_by_zg[t]
        dz_o[t] = dm * m_by_zo[t]
        dh = dz[t] @ weight_hh  # z = ... + weight_hh h
        dc = dc * f[t]  # c' = f c + ...: no matrix and no squashing on this path, so it need not vanish
    dx, dweights = _input_and_weight_gradients(dz, x, h[:-1], weight_ih)
    if weight_hr is None:
        return dx, dh, dc, dweights
    P, H = weight_hr.shape
    dweight_hr = dh_after.reshape(-1, P).T @ (o * tanh_c).reshape(-1, H)
    return dx, dh, dc, (*dweights, dweight_hr)


def _split_gates(gates: Array) -> tuple[Array, Array, Array, Array]:
    """Cut [..., 4H] into views [..., H] of i, f, g and o."""
    H = gates.shape[-1] // 4
    return gates[..., :H], gates[..., H : 2 * H], gates[..., 2 * H : 3 * H], gates[..., 3 * H :]


# RNN -------------------------------------------------------------------------------------------------


class RNNCache(NamedTuple):
    """What one layer's forward pass keeps for its backward pass."""

    x: Array  # [T, B, I]
    h: Array  # [T+1, B, H]: h[0] is the initial state, h[t+1] the state after step t
    weight_ih: Array  # [H, I]
    weight_hh: Array  # [H, H]
    nonlinearity: str


def rnn_layer_forward(
    x: Array,
    h0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
    *,
    nonlinearity: str = "tanh",
) -> tuple[Array, RNNCache]:
    """One RNN layer in one direction.

    As `lstm_layer_forward` with H for 4H and no c; nonlinearity is "tanh" or "relu".
    """
    T, B, _ = x.shape
    H = weight_hh.shape[1]
    z_x = _input_product(x, weight_ih, bias_ih, bias_hh)
    h = np.empty((T + 1, B, H), x.dtype)
    h[0] = h0
    for t in range(T):
        z = z_x[t] + h[t] @ weight_hh.T
        h[t + 1] = np.tanh(z) if nonlinearity == "tanh" else np.maximum(z, 0)
    return h[1:], RNNCache(x, h, weight_ih, weight_hh, nonlinearity)


def rnn_layer_backward(
    cache: RNNCache, dy: Array, dh_n: Array
) -> tuple[Array, Array, tuple[Array, Array, Array]]:
    """Gradients of one RNN layer in one direction: dx, dh0, (dweight_ih, dweight_hh, dbias).

    As `lstm_layer_backward` with H for 4H and no c. The slope of relu at 0 is taken as 0, and as in PyTorch
    relu stops nothing where h' is NaN.
    """
    x, h, weight_ih, weight_hh, nonlinearity = cache
    y = h[1:]
    dz = np.empty_like(y)
    dh = dh_n
    for t in reversed(range(len(x))):
        dh = dh + dy[t]  # h' is also the output of this step
        # From the output: tanh'(z) = 1 - h'^2, relu'(z) = 0 where h' <= 0 and else 1. Chosen, not multiplied:
        # where h' is NaN the gradient is not zero, and zero times infinity would be NaN.
        dz[t] = dh * (1 - y[t] * y[t]) if nonlinearity == "tanh" else np.where(y[t] <= 0, 0, dh)
        dh = dz[t] @ weight_hh  # every step multiplies by weight_hh: gradients vanish or explode
    dx, dweights = _input_and_weight_gradients(dz, x, h[:-1], weight_ih)
    return dx, dh, dweights


# Shared by both cells --------------------------------------------------------------------------------


def _input_product(x: Array, weight_ih: Array, bias_ih: Array | None, bias_hh: Array | None) -> Array:
    """Everything in z but the recurrent product, [T, B, G]: one product for all time steps."""
    T, B, _ = x.shape
    z_x = x.reshape(T * B, weight_ih.shape[1]) @ weight_ih.T
    if bias_ih is not None:
        z_x += bias_ih
    if bias_hh is not None:
        z_x += bias_hh
    return z_x.reshape(T, B, len(weight_ih))


def _input_and_weight_gradients(
    dz: Array, x: Array, h_before: Array, weight_ih: Array
) -> tuple[Array, tuple[Array, Array, Array]]:
    """Gradients of z = weight_ih x + weight_hh h + bias with respect to x, and to the shared weights.

    The weights are the same at every step and for every row: their gradients are sums over T and B.
    """
    T, B, G = dz.shape
    rows = dz.reshape(T * B, G)
    dx = (rows @ weight_ih).reshape(x.shape)
    dweight_ih = rows.T @ x.reshape(T * B, x.shape[2])
    dweight_hh = rows.T @ h_before.reshape(T * B, h_before.shape[2])
    return dx, (dweight_ih, dweight_hh, rows.sum(axis=0))


# Layers and directions -------------------------------------------------------------------------------

_GATES = {"lstm": 4, "rnn_tanh": 1, "rnn_relu": 1}
_TIME = (slice(None), slice(None, None, -1))  # per direction: the reverse one reads x from its end


class NetworkCache(NamedTuple):
    """What whole sequences through all layers keep for their backward pass."""

    layers: list[LSTMCache | RNNCache]  # L*D, forward direction before reverse
    masks: Array | None  # [L-1, T, B, D*P]


class Piece(NamedTuple):
    """Steps of one row that run as a sequence of their own."""

    rows: slice  # the one row, as a batch of its own
    steps: slice
    takes_initial: NDArray[np.bool_]  # [L*D, 1, 1]: starts from the row's initial state; else from zero
    gives_final: NDArray[np.bool_]  # [L*D, 1, 1]: ends in the row's final state


class PiecesCache(NamedTuple):
    """What all pieces keep for their backward pass."""

    x_shape: tuple[int, ...]  # [T, B, I]
    pieces: list[tuple[Piece, NetworkCache]]


class Reference:
    """A whole RNN or LSTM: layers on top of each other, each in one direction or in both.

    Parameters
    ----------
    cell : {"lstm", "rnn_tanh", "rnn_relu"}
    parameters : mapping
        PyTorch's names to arrays: weight_ih_l0 [G, I], weight_hh_l0 [G, P] and, unless there is no
        bias, bias_ih_l0 [G] and bias_hh_l0 [G]; for an LSTM with a projection also weight_hr_l0 [P, H],
        and else P = H; then _l0_reverse, _l1 (whose input is D*P wide) and so on. Copied.
    num_layers, bidirectional
        As in PyTorch.
    dtype : float64 or float32
        What everything is converted to and computed in.

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
    ) -> None:
        if cell not in _GATES:
            raise ValueError(f"cell must be one of {', '.join(_GATES)}, got {cell!r}")
        self.cell = cell
        self.num_layers = num_layers
        self.num_directions = 2 if bidirectional else 1
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        biased = "bias_ih_l0" in parameters
        projected = cell == "lstm" and "weight_hr_l0" in parameters
        self._kinds = ["weight_ih", "weight_hh"]
        self._kinds += ["bias_ih", "bias_hh"] if biased else []
        self._kinds += ["weight_hr"] if projected else []
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
        G = _GATES[cell] * H
        for name, value in self.parameters.items():
            width = self.input_size if "_l0" in name else self.num_directions * P
            shapes = {"weight_ih": (G, width), "weight_hh": (G, P), "weight_hr": (P, H)}
            self._array(name, value, shapes.get(name[:9], (G,)))

    def forward(
        self,
        x: ArrayLike,
        h0: ArrayLike | None = None,
        c0: ArrayLike | None = None,
        *,
        lengths: ArrayLike | None = None,
        reset: ArrayLike | None = None,
        masks: ArrayLike | None = None,
    ) -> tuple[Array, tuple[Array, Array | None], NetworkCache | PiecesCache]:
        """Run the network over whole sequences, or over the pieces that lengths and reset cut them into.

        This is the definition of lengths and reset: the steps of each row before its length are cut before
        every step that reset marks, and each piece runs as a sequence of its own, alone, through all layers.
        The forward direction starts the row's first piece from the row's initial state, unless reset marks
        step 0; the reverse direction, which comes from the other end, starts the last one from it. All other
        pieces start from zero. A row of length 0 is one piece without steps.

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

        Returns
        -------
        y : [T, B, D*P]
            0 where a row has ended.
        (h_n, c_n) : [L*D, B, P] and [L*D, B, H]
            The state after each row's last step, which for the reverse direction is t = 0; the initial state
            for a row without steps. c_n is None for an RNN.
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
        cache: NetworkCache | PiecesCache
        if lengths is None and reset is None:
            y, h_n, c_n, cache = self._forward_whole(x, h0, c0, masks)
        else:
            y, h_n, c_n, cache = self._forward_pieces(x, h0, c0, masks, self._cut(T, B, lengths, reset))
        return y, (h_n, c_n if self.cell == "lstm" else None), cache

    def backward(
        self,
        cache: NetworkCache | PiecesCache,
        dy: ArrayLike | None = None,
        dh_n: ArrayLike | None = None,
        dc_n: ArrayLike | None = None,
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

        Returns
        -------
        dx : [T, B, I]
            0 where a row has ended.
        dh0, dc0 : [L*D, B, P] and [L*D, B, H]
            dc0 is None for an RNN.
        dparameters : dict
            The names and shapes of the parameters.
        """
        T, B, _ = cache.x_shape if isinstance(cache, PiecesCache) else cache.layers[0].x.shape
        L, D, H, P = self.num_layers, self.num_directions, self.hidden_size, self.output_size
        dy = self._array("dy", dy, (T, B, D * P))
        dh_n, dc_n = self._array("dh_n", dh_n, (L * D, B, P)), self._array("dc_n", dc_n, (L * D, B, H))
        if isinstance(cache, PiecesCache):
            dx, dh0, dc0, dparameters = self._backward_pieces(cache, dy, dh_n, dc_n)
        else:
            dx, dh0, dc0, dparameters = self._backward_whole(cache, dy, dh_n, dc_n)
        return dx, dh0, dc0 if self.cell == "lstm" else None, dparameters

    # Whole sequences. Here and for pieces an RNN has c's as well, which nobody reads.

    def _forward_whole(
        self, x: Array, h0: Array, c0: Array, masks: Array | None
    ) -> tuple[Array, Array, Array, NetworkCache]:
        """Layer after layer, each over all T steps of all rows: y, h_n, c_n and the cache."""
        y, h_n, c_n = x, np.empty_like(h0), np.zeros_like(c0)
        caches: list[LSTMCache | RNNCache] = []
        for layer in range(self.num_layers):
            if masks is not None and layer > 0:
                y = y * masks[layer - 1]
            outputs = []
            for time in _TIME[: self.num_directions]:
                k = len(caches)
                weights = {kind: self.parameters[kind + self._suffixes[k]] for kind in self._kinds}
                cache: LSTMCache | RNNCache
                if self.cell == "lstm":
                    out, cache = lstm_layer_forward(y[time], h0[k], c0[k], **weights)
                    c_n[k] = cache.c[-1]
                else:
                    nonlinearity = self.cell.removeprefix("rnn_")
                    out, cache = rnn_layer_forward(y[time], h0[k], **weights, nonlinearity=nonlinearity)
                h_n[k] = cache.h[-1]
                outputs.append(out[time])
                caches.append(cache)
            y = np.concatenate(outputs, axis=2)
        return y, h_n, c_n, NetworkCache(caches, masks)

    def _backward_whole(
        self, cache: NetworkCache, dy: Array, dh_n: Array, dc_n: Array
    ) -> tuple[Array, Array, Array, dict[str, Array]]:
        """From the last layer to the first: dx, dh0, dc0 and dparameters."""
        P, D = self.output_size, self.num_directions
        dh0, dc0 = np.empty_like(dh_n), np.zeros_like(dc_n)
        dparameters = dict.fromkeys(self.parameters, dy)  # in the order of the parameters
        for layer in reversed(range(self.num_layers)):
            dx = np.zeros_like(cache.layers[layer * D].x)
            for direction, time in enumerate(_TIME[:D]):
                k = layer * D + direction
                layer_cache = cache.layers[k]
                dy_k = dy[time, :, direction * P : (direction + 1) * P]
                dweights: tuple[Array, ...]
                if isinstance(layer_cache, LSTMCache):
                    dx_k, dh0[k], dc0[k], dweights = lstm_layer_backward(layer_cache, dy_k, dh_n[k], dc_n[k])
                else:
                    dx_k, dh0[k], dweights = rnn_layer_backward(layer_cache, dy_k, dh_n[k])
                dx += dx_k[time]  # both directions read the same x
                kinds = ("weight_ih", "weight_hh", "bias_ih", "weight_hr")
                gradients = dict(zip(kinds, dweights, strict=False))  # no projection: the first three
                gradients["bias_hh"] = gradients["bias_ih"].copy()
                dparameters.update({kind + self._suffixes[k]: gradients[kind] for kind in self._kinds})
            if cache.masks is not None and layer > 0:
                dx = dx * cache.masks[layer - 1]
            dy = dx  # this layer's x is the y of the layer below
        return dy, dh0, dc0, dparameters

    # Pieces of sequences.

    def _cut(self, T: int, B: int, lengths: ArrayLike | None, reset: ArrayLike | None) -> list[Piece]:
        """All rows' pieces: row by row, each from its first step to its last."""
        L, D = self.num_layers, self.num_directions
        marks = _checked_reset(reset, T, B)
        pieces = []
        for row, length in enumerate(_checked_lengths(lengths, T, B)):
            cuts = [t for t in range(1, length) if marks[t, row]]
            for start, stop in zip([0, *cuts], [*cuts, length], strict=True):
                first, last = start == 0, stop == length
                fresh = length > 0 and bool(marks[0, row])  # the forward direction ignores the initial state
                takes_initial = [first and not fresh, last][:D] * L  # of each layer: forward, reverse
                gives_final = [last, first][:D] * L
                pieces.append(
                    Piece(
                        slice(row, row + 1),
                        slice(start, stop),
                        np.reshape(takes_initial, (L * D, 1, 1)),
                        np.reshape(gives_final, (L * D, 1, 1)),
                    )
                )
        return pieces

    def _forward_pieces(
        self, x: Array, h0: Array, c0: Array, masks: Array | None, pieces: list[Piece]
    ) -> tuple[Array, Array, Array, PiecesCache]:
        """Each piece alone, and what they give put together: y, h_n, c_n and the cache."""
        y = np.zeros((*x.shape[:2], self.num_directions * self.output_size), self.dtype)
        h_n, c_n = np.zeros_like(h0), np.zeros_like(c0)
        caches = []
        for piece in pieces:
            rows, steps, takes_initial, gives_final = piece
            y[steps, rows], h_end, c_end, cache = self._forward_whole(
                x[steps, rows],
                np.where(takes_initial, h0[:, rows], 0),
                np.where(takes_initial, c0[:, rows], 0),
                None if masks is None else masks[:, steps, rows],
            )
            h_n[:, rows] = np.where(gives_final, h_end, h_n[:, rows])
            c_n[:, rows] = np.where(gives_final, c_end, c_n[:, rows])
            caches.append((piece, cache))
        return y, h_n, c_n, PiecesCache(x.shape, caches)

    def _backward_pieces(
        self, cache: PiecesCache, dy: Array, dh_n: Array, dc_n: Array
    ) -> tuple[Array, Array, Array, dict[str, Array]]:
        """Each piece alone; its initial state is where gradients end, its final state where they start.

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
            )
            dh0[:, rows] = np.where(takes_initial, dh_start, dh0[:, rows])
            dc0[:, rows] = np.where(takes_initial, dc_start, dc0[:, rows])
            for name, gradient in dparameters_of_piece.items():
                dparameters[name] += gradient
        return dx, dh0, dc0, dparameters

    def _array(self, name: str, value: ArrayLike | None, shape: tuple[int, ...]) -> Array:
        """Value in our dtype, None as zeros; NumPy would broadcast a wrong shape in silence."""
        if name in ("c0", "dc_n") and value is not None and self.cell != "lstm":
            raise ValueError(f"{name} must be None: an RNN has no c")
        array: Array = np.zeros(shape, self.dtype) if value is None else np.asarray(value, self.dtype)
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
        return array


def _checked_lengths(lengths: ArrayLike | None, T: int, B: int) -> list[int]:
    """Every row's number of steps; None as T for all."""
    array = np.full(B, T) if lengths is None else np.asarray(lengths)
    if array.dtype.kind not in "iu":
        raise ValueError(f"lengths must be integers, got {array.dtype}")
    if array.shape != (B,):
        raise ValueError(f"lengths must have shape {(B,)}, got {array.shape}")
    whole: list[int] = array.tolist()
    for length in whole:
        if not 0 <= length <= T:
            raise ValueError(f"lengths must be from 0 to {T}, got {length}")
    return whole


def _checked_reset(reset: ArrayLike | None, T: int, B: int) -> NDArray[np.bool_]:
    """Where pieces start, [T, B]; None as nowhere. Numbers are refused: they could be lengths by mistake."""
    array = np.zeros((T, B), bool) if reset is None else np.asarray(reset)
    if array.dtype != bool:
        raise ValueError(f"reset must be bools, got {array.dtype}")
    if array.shape != (T, B):
        raise ValueError(f"reset must have shape {(T, B)}, got {array.shape}")
    return array
