"""Engines and files by their published formulas."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from .formulas import Array, Case, H, I, Numbers, P, X, both_ways, gru, lstm, rnn, split


def onednn(seed: int = 1) -> list[Case]:
    """oneDNN's developer guide, RNN: gates i, f, c~, o; u, r, o; peepholes and projection of LSTMP."""
    n = Numbers(seed)
    S = P

    def run(x: Array, a: Any) -> Array:
        def gates(step: Array, h: Array) -> Any:
            return (
                np.einsum("i,igh->gh", step, a["weights_layer"])
                + np.einsum("i,igh->gh", h, a["weights_iter"])
                + a["bias"]
            )

        return lstm(x, gates, peepholes=a["weights_peephole"], projection=a["weights_projection"])

    both = {
        "weights_layer": n(1, 2, I, 4, H),
        "weights_iter": n(1, 2, S, 4, H),
        "bias": n(1, 2, 4, H),
        "weights_peephole": n(1, 2, 3, H),
        "weights_projection": n(1, 2, H, P),
    }
    ways = [{name: array[0, d] for name, array in both.items()} for d in range(2)]
    y = both_ways(X, *(partial(run, a=way) for way in ways))
    cases = [Case("onednn lstm, both ways", "LSTM", "onednn", both, y)]
    for after in (False, True):
        W, R, b = n(1, 1, I, 3, H), n(1, 1, H, 3, H), n(1, 1, 4 if after else 3, H)
        cases.append(_onednn_gru(W, R, b, after))
    W, R, b = n(1, 1, I, 1, H), n(1, 1, H, 1, H), n(1, 1, 1, H)
    y = rnn(X, lambda s, h: s @ W[0, 0, :, 0] + h @ R[0, 0, :, 0] + b[0, 0, 0])
    cases.append(Case("onednn rnn", "RNN", "onednn", _onednn(W, R, b), y))
    return cases


def _onednn(W: Array, R: Array, b: Array) -> dict[str, Array]:
    return {"weights_layer": W, "weights_iter": R, "bias": b}


def _onednn_gru(W: Array, R: Array, b: Array, after: bool) -> Case:
    w, u, v = W[0, 0], R[0, 0], b[0, 0]

    def gates(step: Array, h: Array) -> Any:
        update = step @ w[:, 0] + h @ u[:, 0] + v[0]
        reset = step @ w[:, 1] + h @ u[:, 1] + v[1]
        return reset, update

    def candidate(step: Array, h: Array, r: Array) -> Array:
        if after:
            return step @ w[:, 2] + r * (h @ u[:, 2] + v[3]) + v[2]
        return step @ w[:, 2] + (r * h) @ u[:, 2] + v[2]

    y = gru(X, gates, candidate)
    return Case(f"onednn gru, after={after}", "GRU", "onednn", _onednn(W, R, b), y)


def openvino(seed: int = 2) -> list[Case]:
    """OpenVINO's operation set: LSTMSequence f, i, c, o; GRUSequence z, r, h, four biases or three."""
    n = Numbers(seed)
    W, R, B = n(1, 4 * H, I), n(1, 4 * H, H), n(1, 4 * H)

    def gates(step: Array, h: Array) -> Any:
        f, i, c, o = split(W[0] @ step + R[0] @ h + B[0], 4)
        return i, f, c, o

    cases = [Case("openvino lstm", "LSTM", "openvino", {"W": W, "R": R, "B": B}, lstm(X, gates))]
    for after in (False, True):
        V, Q, b = n(1, 3 * H, I), n(1, 3 * H, H), n(1, (4 if after else 3) * H)
        cases.append(_openvino_gru(V, Q, b, after))
    return cases


def _openvino_gru(W: Array, R: Array, B: Array, after: bool) -> Case:
    wz, wr, wh = split(W[0], 3)
    rz, rr, rh = split(R[0], 3)
    b = B[0].reshape(-1, H)

    def candidate(step: Array, h: Array, r: Array) -> Array:
        if after:
            return wh @ step + r * (rh @ h + b[3]) + b[2]
        return wh @ step + rh @ (r * h) + b[2]

    y = gru(X, lambda s, h: (wr @ s + rr @ h + b[1], wz @ s + rz @ h + b[0]), candidate)
    return Case(f"openvino gru, after={after}", "GRU", "openvino", {"W": W, "R": R, "B": B}, y)


def cudnn(seed: int = 3) -> list[Case]:
    """cuDNN's API, cudnnRNNMode_t and cudnnGetRNNWeightParams; the row as jax.experimental.rnn packs it."""
    n = Numbers(seed)
    passes = [(n(4 * H, size), n(4 * H, H), n(4 * H), n(4 * H)) for size in (I, I, 2 * H, 2 * H)]

    def run(x: Array, place: int) -> Array:
        W, R, b_w, b_r = passes[place]
        return lstm(x, lambda step, h: split(W @ step + R @ h + b_w + b_r, 4))

    y = X
    for k in (0, 2):
        y = both_ways(y, partial(run, place=k), partial(run, place=k + 1))
    row = [a.ravel() for each in passes for a in each[:2]] + [a for each in passes for a in each[2:]]
    sizes: dict[str, Any] = {"input_size": I, "hidden_size": H}
    more = {**sizes, "num_layers": 2, "bidirectional": True}
    cases = [Case("cudnn lstm, deep, both ways", "LSTM", "cudnn", np.concatenate(row), y, more)]
    W, R, b, q = n(3 * H, I), n(3 * H, H), n(3 * H), n(3 * H)
    (wr, wi, wn), (rr, ri, rn), (br, bi, bn), (qr, qi, qn) = (split(a, 3) for a in (W, R, b, q))
    y = gru(
        X,
        lambda s, h: (wr @ s + rr @ h + br + qr, wi @ s + ri @ h + bi + qi),
        lambda s, h, r: wn @ s + bn + r * (rn @ h + qn),
    )
    row = [a.ravel() for a in (W, R, b, q)]
    return [*cases, Case("cudnn gru", "GRU", "cudnn", np.concatenate(row), y, sizes)]


def coreml(seed: int = 4) -> list[Case]:
    """Core ML's NeuralNetwork.proto, LSTMParams, GRULayerParams and SimpleRecurrentLayerParams."""
    n = Numbers(seed)
    names = ("inputGate", "forgetGate", "blockInput", "outputGate")

    def one() -> dict[str, Array]:
        arrays = {f"{name}WeightMatrix": n(H, I) for name in names}
        arrays |= {f"{name}RecursionMatrix": n(H, H) for name in names}
        arrays |= {f"{name}BiasVector": n(H) for name in names}
        return arrays | {f"{name}PeepholeVector": n(H) for name in names if name != "blockInput"}

    def argument(a: dict[str, Array], name: str, step: Array, h: Array) -> Array:
        return a[f"{name}WeightMatrix"] @ step + a[f"{name}RecursionMatrix"] @ h + a[f"{name}BiasVector"]

    def run(x: Array, a: dict[str, Array]) -> Array:
        peepholes = [a[f"{name}PeepholeVector"] for name in ("inputGate", "forgetGate", "outputGate")]
        return lstm(x, lambda s, h: [argument(a, name, s, h) for name in names], peepholes=peepholes)

    pair = (one(), one())
    y = both_ways(X, *(partial(run, a=way) for way in pair))
    cases = [Case("coreml lstm, both ways", "LSTM", "coreml", pair, y)]
    a: dict[str, Array] = {}
    for name in ("updateGate", "resetGate", "outputGate"):
        a |= {f"{name}WeightMatrix": n(H, I), f"{name}RecursionMatrix": n(H, H), f"{name}BiasVector": n(H)}
    y = gru(
        X,
        lambda s, h: (argument(a, "resetGate", s, h), argument(a, "updateGate", s, h)),
        lambda s, h, r: argument(a, "outputGate", s, h * r),
    )
    cases.append(Case("coreml gru", "GRU", "coreml", a, y))
    W, R, b = n(H, I), n(H, H), n(H)
    simple = {"weightMatrix": W, "recursionMatrix": R, "biasVector": b}
    y = rnn(X, lambda s, h: W @ s + R @ h + b)
    return [*cases, Case("coreml rnn", "RNN", "coreml", simple, y)]


def coreml_mil(seed: int = 5) -> list[Case]:
    """coremltools' operator definitions, iOS15 lstm and gru: i, f, o, cell; r, o, z."""
    n = Numbers(seed)
    names = ("weight_ih", "weight_hh", "bias", "peephole")
    ways = [(n(4 * H, I), n(4 * H, H), n(4 * H), n(3 * H)) for _ in range(2)]

    def run(x: Array, way: Any) -> Array:
        W, R, b, p = way

        def gates(step: Array, h: Array) -> Any:
            i, f, o, z = split(W @ step + R @ h + b, 4)
            return i, f, z, o

        return lstm(x, gates, peepholes=split(p, 3))

    arrays = {
        f"{name}{end}": a
        for way, end in zip(ways, ("", "_back"), strict=True)
        for name, a in zip(names, way, strict=True)
    }
    y = both_ways(X, *(partial(run, way=way) for way in ways))
    cases = [Case("coreml-mil lstm, both ways", "LSTM", "coreml-mil", arrays, y)]
    W, R, b = n(3 * H, I), n(3 * H, H), n(3 * H)
    (wr, wo, wz), (rr, ro, rz), (br, bo, bz) = (split(a, 3) for a in (W, R, b))
    y = gru(
        X,
        lambda s, h: (wr @ s + rr @ h + br, wz @ s + rz @ h + bz),
        lambda s, h, r: wo @ s + bo + r * (ro @ h),
    )
    arrays = {"weight_ih": W, "weight_hh": R, "bias": b}
    return [*cases, Case("coreml-mil gru", "GRU", "coreml-mil", arrays, y)]


def rtneural(seed: int = 6) -> list[Case]:
    """RTNeural's lstm.tpp and gru.tpp: i, f, c, o; z, r, c with two biases."""
    n = Numbers(seed)
    K, U, b = n(I, 4 * H), n(H, 4 * H), n(4 * H)
    y = lstm(X, lambda s, h: split(s @ K + h @ U + b, 4))
    cases = [Case("rtneural lstm", "LSTM", "rtneural", _rtneural("lstm", K, U, b), y)]
    K, U, b = n(I, 3 * H), n(H, 3 * H), n(2, 3 * H)
    (kz, kr, kc), (uz, ur, uc) = (np.split(a, 3, axis=1) for a in (K, U))
    bz, br, bc = np.split(b, 3, axis=1)
    y = gru(
        X,
        lambda s, h: (s @ kr + h @ ur + br[0] + br[1], s @ kz + h @ uz + bz[0] + bz[1]),
        lambda s, h, r: s @ kc + bc[0] + r * (h @ uc + bc[1]),
    )
    cases.append(Case("rtneural gru", "GRU", "rtneural", _rtneural("gru", K, U, b), y))
    for case in cases:
        case.rest = {"after": case.arrays["layers"][1:]}
        case.tolerance = 2e-6  # its numbers are float32
    return cases


def _rtneural(kind: str, *weights: Array) -> dict[str, Any]:
    layer = {
        "type": kind,
        "activation": "tanh",
        "shape": [None, None, H],
        "weights": [a.astype(np.float32).tolist() for a in weights],
    }
    head = {"type": "dense", "activation": "", "shape": [None, None, 1], "weights": [[[1.0]] * H, [0.5]]}
    return {"in_shape": [None, None, I], "layers": [layer, head]}


def nam(seed: int = 7) -> list[Case]:
    """NeuralAmpModelerCore's lstm.cpp: of each layer the rows [x, h] of i, f, g, o, a bias, h, c; a head."""
    n = Numbers(seed)
    layers = [(n(4 * H, size + H), n(4 * H), n(H), n(H)) for size in (I, H)]
    y = X
    for w, b, h, c in layers:
        y = lstm(y, partial(_nam, w, b), h=h, c=c)
    head = [n(H), n(1)]
    whole = np.concatenate([a.ravel() for each in layers for a in each] + head).astype(np.float32)
    file = {
        "version": "0.5.4",
        "architecture": "LSTM",
        "config": {"input_size": I, "hidden_size": H, "num_layers": 2},
    }
    rest = {"head_weight": head[0], "head_bias": head[1], "file": file}
    rest |= {"h_0": np.stack([each[2] for each in layers]), "c_0": np.stack([each[3] for each in layers])}
    arrays = {**file, "weights": whole.tolist()}
    return [Case("nam", "LSTM", "nam", arrays, y, rest=rest, tolerance=2e-6)]


def _nam(w: Array, b: Array, step: Array, h: Array) -> list[Array]:
    return split(w @ np.concatenate([step, h]) + b, 4)


CASES = [case for make in (onednn, openvino, cudnn, coreml, coreml_mil, rtneural, nam) for case in make()]
