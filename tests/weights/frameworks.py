"""Frameworks that need not be installed, by their published formulas."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .formulas import Array, Case, H, I, Numbers, P, X, both_ways, gru, lstm, rnn, split


def matlab(seed: int = 11) -> list[Case]:
    """MathWorks' pages of lstmLayer, bilstmLayer and gruLayer, with its three modes of the reset gate."""
    n = Numbers(seed)
    W, R, b = n(8 * H, I), n(8 * H, H), n(8 * H, 1)

    def run(x: Array, d: int) -> Array:
        rows = slice(4 * H * d, 4 * H * (d + 1))
        return lstm(x, lambda s, h: split(W[rows] @ s + R[rows] @ h + b[rows, 0], 4))

    one = _matlab(W[: 4 * H], R[: 4 * H], b[: 4 * H])
    y = both_ways(X, partial(run, d=0), partial(run, d=1))
    cases = [
        Case("matlab lstm", "LSTM", "matlab", one, run(X, 0)),
        Case("matlab bilstm", "LSTM", "matlab", _matlab(W, R, b), y),
    ]
    for mode in ("after", "before", "recurrent bias"):
        cases.append(_matlab_gru(n(3 * H, I), n(3 * H, H), n((6 if "bias" in mode else 3) * H, 1), mode))
    return cases


def _matlab(W: Array, R: Array, b: Array) -> dict[str, Array]:
    return {"InputWeights": W, "RecurrentWeights": R, "Bias": b}


def _matlab_gru(W: Array, R: Array, b: Array, mode: str) -> Case:
    (wr, wz, wh), (rr, rz, rh) = split(W, 3), split(R, 3)
    own = b.reshape(-1, 3, H)
    br, bz, bh = own[0]
    qr, qz, qh = own[1] if len(own) > 1 else np.zeros((3, H))

    def candidate(s: Array, h: Array, r: Array) -> Array:
        if mode == "before":
            return wh @ s + rh @ (r * h) + bh
        return wh @ s + r * (rh @ h + qh) + bh

    y = gru(X, lambda s, h: (wr @ s + rr @ h + br + qr, wz @ s + rz @ h + bz + qz), candidate)
    options = {"reset_after": False} if mode == "before" else {}
    return Case(f"matlab gru, {mode}", "GRU", "matlab", _matlab(W, R, b), y, options)


def flux(seed: int = 12) -> list[Case]:
    """Flux.jl's recurrent.jl: LSTMCell, GRUCell, GRUv3Cell, RNNCell; matrices as Julia shows them."""
    n = Numbers(seed)
    W, R, b = n(4 * H, I), n(4 * H, H), n(4 * H)
    y = lstm(X, lambda s, h: split(W @ s + R @ h + b, 4))
    cases = [
        Case("flux lstm", "LSTM", "flux", {"Wi": W, "Wh": R, "bias": b}, y),
        Case("flux lstm, 0.14", "LSTM", "flux", {"Wi": W, "Wh": R, "b": b}, y),
    ]
    cases[1].written = cases[0].arrays
    V, Q, v = n(3 * H, I), n(3 * H, H), n(3 * H)
    (wr, wz, wn), (rr, rz, rn), (br, bz, bn) = (split(a, 3) for a in (V, Q, v))

    def gates(s: Array, h: Array) -> Any:
        return wr @ s + rr @ h + br, wz @ s + rz @ h + bz

    y = gru(X, gates, lambda s, h, r: wn @ s + r * (rn @ h) + bn)
    cases.append(Case("flux gru", "GRU", "flux", {"Wi": V, "Wh": Q, "b": v}, y))
    y = gru(X, gates, lambda s, h, r: wn @ s + rn @ (r * h) + bn)
    v3 = {"Wi": V, "Wh": Q[: 2 * H], "b": v, "Wh_h\u0303": rn}
    cases.append(Case("flux gru v3", "GRU", "flux", v3, y))
    A, B, a = n(H, I), n(H, H), n(H)
    y = rnn(X, lambda s, h: A @ s + B @ h + a)
    return [*cases, Case("flux rnn", "RNN", "flux", {"Wi": A, "Wh": B, "bias": a}, y)]


def dl4j(seed: int = 13) -> list[Case]:
    """LSTMHelpers.java: "input", a tanh; forget; output; "input modulation gate", a sigmoid."""
    n = Numbers(seed)
    W, R, b, peepholes = n(I, 4 * H), n(H, 4 * H), n(1, 4 * H), n(H, 3)

    def gates(s: Array, h: Array) -> Any:
        activations, forget, output, modulation = split(s @ W + h @ R + b[0], 4)
        return modulation, forget, activations, output

    y = lstm(X, gates)
    cases = [Case("dl4j lstm", "LSTM", "dl4j", {"W": W, "RW": R, "b": b}, y)]
    forget, output, modulation = peepholes.T  # wFF, wOO, wGG
    y = lstm(X, gates, peepholes=(modulation, forget, output))
    graves = {"W": W, "RW": np.concatenate([R, peepholes], axis=1), "b": b}
    return [*cases, Case("dl4j graves", "LSTM", "dl4j", graves, y)]


def madmom(seed: int = 14) -> list[Case]:
    """madmom.ml.nn.layers: LSTMLayer with peepholes, GRULayer, whose z is the share of what is new."""
    n = Numbers(seed)

    def gate(*names: str) -> dict[str, Array]:
        arrays = {"weights": n(I, H), "recurrent_weights": n(H, H), "bias": n(H)}
        return arrays | {name: n(H) for name in names}

    def argument(a: dict[str, Array], s: Array, h: Array) -> Array:
        return s @ a["weights"] + a["bias"] + h @ a["recurrent_weights"]

    peep = ("peephole_weights",)
    i, f, g, o = gate(*peep), gate(*peep), gate(), gate(*peep)
    y = lstm(
        X,
        lambda s, h: [argument(each, s, h) for each in (i, f, g, o)],
        peepholes=[each["peephole_weights"] for each in (i, f, o)],
    )
    layer = {"input_gate": i, "forget_gate": f, "cell": g, "output_gate": o}
    cases = [Case("madmom lstm", "LSTM", "madmom", layer, y)]
    r, z, c = gate(), gate(), gate()
    y = gru(
        X,
        lambda s, h: (argument(r, s, h), argument(z, s, h)),
        lambda s, h, reset: s @ c["weights"] + c["bias"] + reset * (h @ c["recurrent_weights"]),
        new_share=True,
    )
    layer = {"reset_gate": r, "update_gate": z, "cell": c}
    cases.append(Case("madmom gru", "GRU", "madmom", layer, y))
    a = gate()
    return [*cases, Case("madmom rnn", "RNN", "madmom", a, rnn(X, lambda s, h: argument(a, s, h)))]


def tensorflow1(seed: int = 15) -> list[Case]:
    """rnn_cell_impl.py: LSTMCell's i, j, f, o, forget_bias; GRUCell's r, u; BasicRNNCell."""
    n = Numbers(seed)
    K, b = n(I + P, 4 * H), n(4 * H)
    diagonals, projection = {f"w_{gate}_diag": n(H) for gate in "ifo"}, n(H, P)

    def gates(s: Array, h: Array) -> Any:
        i, j, f, o = split(np.concatenate([s, h]) @ K + b, 4)
        return i, f + 0.25, j, o

    y = lstm(X, gates, peepholes=list(diagonals.values()), projection=projection)
    arrays = {"kernel": K, "bias": b, **diagonals, "projection/kernel": projection}
    named = {f"rnn/lstm_cell/{name}:0": array for name, array in arrays.items()}
    options = {"forget_bias": 0.25, "prefix": "rnn/lstm_cell/"}
    cases = [Case("tensorflow1 lstm", "LSTM", "tensorflow1", named, y, options)]
    G, C, g, c = n(I + H, 2 * H), n(I + H, H), n(2 * H), n(H)
    y = _tensorflow_gru(G, C, g, c)
    arrays = {"gates/kernel": G, "gates/bias": g, "candidate/kernel": C, "candidate/bias": c}
    cases.append(Case("tensorflow1 gru", "GRU", "tensorflow1", arrays, y))
    arrays = {"w_ru": G, "w_c": C, "b_ru": g, "b_c": c}
    cases.append(Case("tensorflow-block gru", "GRU", "tensorflow-block", arrays, y))
    y = rnn(X, lambda s, h: np.concatenate([s, h]) @ C + c)
    return [*cases, Case("tensorflow1 rnn", "RNN", "tensorflow1", {"kernel": C, "bias": c}, y)]


def _tensorflow_gru(G: Array, C: Array, g: Array, c: Array) -> Array:
    return gru(
        X,
        lambda s, h: split(np.concatenate([s, h]) @ G + g, 2),
        lambda s, h, r: np.concatenate([s, r * h]) @ C + c,
    )


def tensorflow_block(seed: int = 16) -> list[Case]:
    """BlockLSTM's "icfo" and forget_bias, 1 unless told; BlockLSTMV2's "ifco", which has none."""
    n = Numbers(seed)
    w, b = n(I + H, 4 * H), n(4 * H)
    wc = {f"wc{gate}": n(H) for gate in "ifo"}

    def first(s: Array, h: Array) -> Any:
        i, c, f, o = split(np.concatenate([s, h]) @ w + b, 4)
        return i, f + 1, c, o

    def second(s: Array, h: Array) -> Any:
        return split(np.concatenate([s, h]) @ w + b, 4)

    arrays = {"w": w, "b": b, **wc}
    y, y2 = (lstm(X, gates, peepholes=list(wc.values())) for gates in (first, second))
    return [
        Case("tensorflow-block lstm", "LSTM", "tensorflow-block", arrays, y),
        Case("tensorflow-block-v2 lstm", "LSTM", "tensorflow-block-v2", arrays, y2),
    ]


def textbook(seed: int = 17) -> list[Case]:
    """A matrix for each gate on [h, x], as LSTM.from_gates has it."""
    n = Numbers(seed)
    W, b = ({gate: n(H, *more) for gate in "fico"} for more in ((H + I,), ()))

    def gates(s: Array, h: Array) -> Any:
        return [W[gate] @ np.concatenate([h, s]) + b[gate] for gate in "ifco"]

    arrays = {f"W_{gate}": W[gate] for gate in "fico"} | {f"b_{gate}": b[gate] for gate in "fico"}
    return [Case("textbook lstm", "LSTM", "textbook", arrays, lstm(X, gates))]


def mlx(seed: int = 18) -> list[Case]:
    """mlx/nn/layers/recurrent.py: LSTM, GRU with bhn within r's product, RNN."""
    n = Numbers(seed)
    W, R, b = n(4 * H, I), n(4 * H, H), n(4 * H)
    y = lstm(X, lambda s, h: split(W @ s + R @ h + b, 4))
    cases = [Case("mlx lstm", "LSTM", "mlx", {"Wx": W, "Wh": R, "bias": b}, y)]
    V, Q, v, bhn = n(3 * H, I), n(3 * H, H), n(3 * H), n(H)
    cases.append(
        Case("mlx gru", "GRU", "mlx", {"Wx": V, "Wh": Q, "b": v, "bhn": bhn}, _torch_gru(V, Q, v, bhn))
    )
    A, B, a = n(H, I), n(H, H), n(H)
    arrays = {"Wxh": A, "Whh": B, "bias": a}
    return [*cases, Case("mlx rnn", "RNN", "mlx", arrays, rnn(X, lambda s, h: A @ s + B @ h + a))]


def _torch_gru(W: Array, R: Array, b: Array, second: Array) -> Array:
    """r, z, n, with a second bias of n."""
    (wr, wz, wn), (rr, rz, rn), (br, bz, bn) = (split(a, 3) for a in (W, R, b))
    return gru(
        X,
        lambda s, h: (wr @ s + rr @ h + br, wz @ s + rz @ h + bz),
        lambda s, h, r: wn @ s + bn + r * (rn @ h + second),
    )


def paddle(seed: int = 19) -> list[Case]:
    """paddle/nn/layer/rnn.py: weights as PyTorch's, each by two names; the projection [H, P]."""
    n = Numbers(seed)
    W, R, b, q, projection = n(4 * H, I), n(4 * H, P), n(4 * H), n(4 * H), n(H, P)
    y = lstm(X, lambda s, h: split(W @ s + R @ h + b + q, 4), projection=projection)
    cell = {"weight_ih": W, "weight_hh": R, "bias_ih": b, "bias_hh": q}
    both = {f"{name}_l0": a for name, a in cell.items()} | {f"0.cell.{name}": a for name, a in cell.items()}
    cell["weight_ho"] = both["0.cell.weight_ho"] = projection
    cases = [
        Case("paddle lstm", "LSTM", "paddle", both, y),
        Case("paddle-cell lstm", "LSTM", "paddle-cell", cell, y),
    ]
    V, Q, v, u = n(3 * H, I), n(3 * H, H), n(3 * H), n(3 * H)
    arrays = {"weight_ih": V, "weight_hh": Q, "bias_ih": v, "bias_hh": u}
    one_bias = np.concatenate([v[: 2 * H] + u[: 2 * H], v[2 * H :]])
    y = _torch_gru(V, Q, one_bias, u[2 * H :])
    return [*cases, Case("paddle-cell gru", "GRU", "paddle-cell", arrays, y)]


MAKERS = (matlab, flux, dl4j, madmom, tensorflow1, tensorflow_block, textbook, mlx, paddle)
CASES = [case for make in MAKERS for case in make()]
