"""The RNN and the LSTM in NumPy: what right means in this library.

Read it beside the equations. Products between vectors are elementwise, ``[h, x]`` is h above x:

    i = sigmoid(W_i [h, x] + b_i)    f = sigmoid(W_f [h, x] + b_f)    o = sigmoid(W_o [h, x] + b_o)
    g = tanh(W_g [h, x] + b_g)       c' = f * c + i * g               h' = o * tanh(c')
    RNN:  h' = tanh(U x + V h + b), or relu instead of tanh

The LSTM is that of Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997,
with the forget gate f of Gers, Schmidhuber & Cummins, "Learning to forget", Neural Computation 12(10),
2000. Gradients are those of backpropagation through time (Werbos, Proceedings of the IEEE 78(10), 1990).

The four gates are stacked in PyTorch's order i, f, g, o, and each W is cut into what it does to x and
what it does to h, so that all gates of a step are one product each:

    z = weight_ih x + bias_ih + weight_hh h + bias_hh        z = [z_i, z_f, z_g, z_o]

Sizes: T time steps, B batch rows, I input, H hidden, L layers, D directions, G = 4H (LSTM) or H (RNN).
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
    h: Array  # [T+1, B, H]: h[0] is the initial state, h[t+1] the state after step t
    c: Array  # [T+1, B, H], likewise
    gates: Array  # [T, B, 4H]: i, f, g, o after their activations
    weight_ih: Array  # [4H, I]
    weight_hh: Array  # [4H, H]


def lstm_layer_forward(
    x: Array,
    h0: Array,
    c0: Array,
    weight_ih: Array,
    weight_hh: Array,
    bias_ih: Array | None = None,
    bias_hh: Array | None = None,
) -> tuple[Array, LSTMCache]:
    """One LSTM layer in one direction.

    Parameters
    ----------
    x : [T, B, I]
    h0, c0 : [B, H]
    weight_ih : [4H, I]
    weight_hh : [4H, H]
    bias_ih, bias_hh : [4H], or None for no bias

    Returns
    -------
    y : [T, B, H]
        h after each step. A view of ``cache.h``.
    cache : LSTMCache
        For `lstm_layer_backward`; ``cache.h[-1]`` and ``cache.c[-1]`` are the final state.
    """
    T, B, _ = x.shape
    H = weight_hh.shape[1]
    z_x = _input_product(x, weight_ih, bias_ih, bias_hh)
    gates = np.empty((T, B, 4 * H), x.dtype)
    h = np.empty((T + 1, B, H), x.dtype)
    c = np.empty((T + 1, B, H), x.dtype)
    h[0], c[0] = h0, c0
    for t in range(T):
        z = z_x[t] + h[t] @ weight_hh.T
        gates[t] = sigmoid(z)  # i, f and o; one call for all is faster than leaving g out
        gates[t, :, 2 * H : 3 * H] = np.tanh(z[:, 2 * H : 3 * H])
        i, f, g, o = _split_gates(gates[t])
        c[t + 1] = f * c[t] + i * g
        h[t + 1] = o * np.tanh(c[t + 1])
    return h[1:], LSTMCache(x, h, c, gates, weight_ih, weight_hh)


def lstm_layer_backward(
    cache: LSTMCache, dy: Array, dh_n: Array, dc_n: Array
) -> tuple[Array, Array, Array, tuple[Array, Array, Array]]:
    """Gradients of one LSTM layer in one direction.

    Parameters
    ----------
    cache : LSTMCache
        Of `lstm_layer_forward`. It is not changed, and may be used again.
    dy : [T, B, H]
    dh_n, dc_n : [B, H]

    Returns
    -------
    dx : [T, B, I]
    dh0, dc0 : [B, H]
    (dweight_ih, dweight_hh, dbias) : [4H, I], [4H, H], [4H]
        dbias belongs to bias_ih and to bias_hh alike: z sees only their sum.
    """
    x, h, c, gates, weight_ih, weight_hh = cache
    i, f, g, o = _split_gates(gates)
    tanh_c = np.tanh(c[1:])

    # Partial derivatives within one step. They need the forward pass alone, so all T at once. With
    # s = sigmoid(z): ds/dz = s (1 - s), and with s = tanh(z): ds/dz = 1 - s^2.
    c_by_zi = g * i * (1 - i)  # c' = f c + i g
    c_by_zf = c[:-1] * f * (1 - f)
    c_by_zg = i * (1 - g * g)
    h_by_zo = tanh_c * o * (1 - o)  # h' = o tanh(c')
    h_by_c = o * (1 - tanh_c * tanh_c)

    dz = np.empty_like(gates)
    dz_i, dz_f, dz_g, dz_o = _split_gates(dz)
    dh, dc = dh_n, dc_n  # of the state after step t, as far as later steps and the end use it
    for t in reversed(range(len(x))):
        dh = dh + dy[t]  # h' is also the output of this step
        dc = dc + dh * h_by_c[t]  # c' acts on later steps and, through h', at once
        dz_i[t] = dc * c_by_zi[t]
        dz_f[t] = dc * c_by_zf[t]
        dz_g[t] = dc * c_by_zg[t]
        dz_o[t] = dh * h_by_zo[t]
        dh = dz[t] @ weight_hh  # z = ... + weight_hh h
        dc = dc * f[t]  # c' = f c + ...: no matrix and no squashing on this path, so it need not vanish
    dx, dweights = _input_and_weight_gradients(dz, x, h[:-1], weight_ih)
    return dx, dh, dc, dweights


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


class Reference:
    """A whole RNN or LSTM: layers on top of each other, each in one direction or in both.

    Parameters
    ----------
    cell : {"lstm", "rnn_tanh", "rnn_relu"}
    parameters : mapping
        PyTorch's names to arrays: weight_ih_l0 [G, I], weight_hh_l0 [G, H] and, unless there is no
        bias, bias_ih_l0 [G] and bias_hh_l0 [G]; then _l0_reverse, _l1 (whose input is D*H wide) and
        so on. Copied.
    num_layers, bidirectional
        As in PyTorch.
    dtype : float64 or float32
        What everything is converted to and computed in.

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
        kinds = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
        if "bias_ih_l0" not in parameters:
            kinds = kinds[:2]
        # Layer by layer, forward direction before reverse, as in PyTorch's state_dict.
        ways = ["", "_reverse"][: self.num_directions]
        suffixes = [f"_l{layer}{way}" for layer in range(num_layers) for way in ways]
        self._names = [[kind + suffix for kind in kinds] for suffix in suffixes]
        names = [name for of_one in self._names for name in of_one]
        if set(names) != set(parameters):
            raise ValueError(f"parameters must be {', '.join(names)}, got {', '.join(parameters)}")
        self.parameters: dict[str, Array] = {name: np.array(parameters[name], self.dtype) for name in names}
        self.input_size = self.parameters["weight_ih_l0"].shape[-1]
        self.hidden_size = H = self.parameters["weight_hh_l0"].shape[-1]
        G = _GATES[cell] * H
        for name, value in self.parameters.items():
            width = self.input_size if "_l0" in name else self.num_directions * H
            shapes = {"weight_ih": (G, width), "weight_hh": (G, H)}
            self._array(name, value, shapes.get(name[:9], (G,)))

    def forward(
        self, x: ArrayLike, h0: ArrayLike | None = None, c0: ArrayLike | None = None
    ) -> tuple[Array, tuple[Array, Array | None], list[LSTMCache | RNNCache]]:
        """Run the network over whole sequences.

        Parameters
        ----------
        x : [T, B, I]
            The cache may refer to it: it must not change before `backward`.
        h0, c0 : [L*D, B, H], or None for zeros
            c0 is for the LSTM alone.

        Returns
        -------
        y : [T, B, D*H]
        (h_n, c_n) : [L*D, B, H]
            The state after the last step, which for the reverse direction is t = 0; c_n is None for an RNN.
        cache
            For `backward`.
        """
        if np.ndim(x) != 3:
            raise ValueError(f"x must have shape [T, B, I], got {np.shape(x)}")
        T, B = np.shape(x)[:2]
        y = self._array("x", x, (T, B, self.input_size))
        states = (self.num_layers * self.num_directions, B, self.hidden_size)
        h0, c0 = self._array("h0", h0, states), self._array("c0", c0, states)
        caches: list[LSTMCache | RNNCache] = []
        for _ in range(self.num_layers):
            outputs = []
            for time in _TIME[: self.num_directions]:
                k = len(caches)
                weights = [self.parameters[name] for name in self._names[k]]
                cache: LSTMCache | RNNCache
                if self.cell == "lstm":
                    out, cache = lstm_layer_forward(y[time], h0[k], c0[k], *weights)
                else:
                    nonlinearity = self.cell.removeprefix("rnn_")
                    out, cache = rnn_layer_forward(y[time], h0[k], *weights, nonlinearity=nonlinearity)
                outputs.append(out[time])
                caches.append(cache)
            y = np.concatenate(outputs, axis=2)
        h_n = np.array([cache.h[-1] for cache in caches])
        c_n = np.array([cache.c[-1] for cache in caches if isinstance(cache, LSTMCache)])
        return y, (h_n, c_n if self.cell == "lstm" else None), caches

    def backward(
        self,
        cache: list[LSTMCache | RNNCache],
        dy: ArrayLike | None = None,
        dh_n: ArrayLike | None = None,
        dc_n: ArrayLike | None = None,
    ) -> tuple[Array, Array, Array | None, dict[str, Array]]:
        """Gradients of a loss, given its gradients with respect to y, h_n and c_n.

        Parameters
        ----------
        cache
            Of `forward`. It is not changed, and may be used again.
        dy : [T, B, D*H], or None for zeros
        dh_n, dc_n : [L*D, B, H], or None for zeros
            dc_n is for the LSTM alone.

        Returns
        -------
        dx : [T, B, I]
        dh0, dc0 : [L*D, B, H]
            dc0 is None for an RNN.
        dparameters : dict
            The names and shapes of the parameters.
        """
        H, D = self.hidden_size, self.num_directions
        T, B, _ = cache[0].x.shape
        states = (len(cache), B, H)
        dy = self._array("dy", dy, (T, B, D * H))
        dh_n, dc_n = self._array("dh_n", dh_n, states), self._array("dc_n", dc_n, states)
        dh0, dc0 = np.empty_like(dh_n), np.empty_like(dc_n)
        dparameters = dict.fromkeys(self.parameters, dy)  # in the order of the parameters
        for layer in reversed(range(self.num_layers)):
            dx = np.zeros_like(cache[layer * D].x)
            for direction, time in enumerate(_TIME[:D]):
                k = layer * D + direction
                layer_cache = cache[k]
                dy_k = dy[time, :, direction * H : (direction + 1) * H]
                if isinstance(layer_cache, LSTMCache):
                    dx_k, dh0[k], dc0[k], dweights = lstm_layer_backward(layer_cache, dy_k, dh_n[k], dc_n[k])
                else:
                    dx_k, dh0[k], dweights = rnn_layer_backward(layer_cache, dy_k, dh_n[k])
                dx += dx_k[time]  # both directions read the same x
                dweight_ih, dweight_hh, dbias = dweights
                gradients = (dweight_ih, dweight_hh, dbias, dbias.copy())
                dparameters.update(zip(self._names[k], gradients, strict=False))  # no bias: the first two
            dy = dx  # this layer's x is the y of the layer below
        return dy, dh0, dc0 if self.cell == "lstm" else None, dparameters

    def _array(self, name: str, value: ArrayLike | None, shape: tuple[int, ...]) -> Array:
        """Value in our dtype, None as zeros; NumPy would broadcast a wrong shape in silence."""
        if name in ("c0", "dc_n") and value is not None and self.cell != "lstm":
            raise ValueError(f"{name} must be None: an RNN has no c")
        array: Array = np.zeros(shape, self.dtype) if value is None else np.asarray(value, self.dtype)
        if array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, got {array.shape}")
        return array
