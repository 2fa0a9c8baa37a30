"""Neural Amp Modeler's .nam files with an LSTM.

Their "weights" are one list: of each layer the rows [x, h] of its matrix, a bias, the states h and c to begin
with; then a head, the H weights and one bias of the sum that is the sample put out.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np

from .. import checks
from ..checks import AnyArray
from .holding import CALLED, Layers
from .parsed import item, numbers, parsed

_SIZES = ("input_size", "hidden_size", "num_layers")


def read(value: object, kind: str, options: MutableMapping[str, Any]) -> tuple[Layers, dict[str, Any]]:
    """Read a path or what is parsed of a file: layers, and the rest: head_weight, head_bias and file."""
    model = parsed(value, "nam")
    architecture = item(model, "architecture")
    if architecture != "LSTM":
        raise ValueError(f"{CALLED}['architecture']: expected 'LSTM', got {checks.shown(architecture)}")
    config = item(model, "config")
    I, H, L = (
        checks.integer(item(config, name, f"{CALLED}['config']"), f"{CALLED}['config'][{name!r}]", 1)
        for name in _SIZES
    )
    whole = numbers(item(model, "weights"), f"{CALLED}['weights']")
    counts = [4 * H * ((I if k == 0 else H) + H) + 6 * H for k in range(L)]
    expected = sum(counts) + H + 1
    if whole.shape != (expected,):
        raise ValueError(
            f"{CALLED}['weights']: expected {expected} numbers for {L} layers of {H} units and {I} inputs and"
            f" a head, got an array of shape {whole.shape}"
        )
    layers: Layers = []
    *pieces, head = np.split(whole, np.cumsum(counts))
    for k, piece in enumerate(pieces):
        w, b, h, c = np.split(piece, [len(piece) - 6 * H, len(piece) - 2 * H, len(piece) - H])
        arrays = {"w": w.reshape(4 * H, -1), "b": b, "h": h, "c": c}
        layers.append([(f"{CALLED} (layer {k})", arrays)])
    others = {name: each for name, each in model.items() if name != "weights"}
    return layers, {"head_weight": head[:H], "head_bias": head[H:], "file": others}


def written(
    layers: Sequence[Sequence[Mapping[str, AnyArray]]], kind: str, rest: Mapping[str, Any]
) -> dict[str, Any]:
    """Make what JSON can hold of a file. Without a head in rest there is no such file."""
    if len(layers[0]) > 1:
        raise ValueError("to_weights: expected a layer of one direction for 'nam', got a bidirectional one")
    H = layers[0][0]["h"].shape[0]
    head = []
    for name, shape in (("head_weight", (H,)), ("head_bias", (1,))):
        if name not in rest:
            raise ValueError(
                f"rest: expected a dict with 'head_weight' and 'head_bias' for 'nam', got none with {name!r}"
            )
        array = checks.weight(rest[name], f"rest[{name!r}]")
        if array.shape != shape:
            raise ValueError(f"rest[{name!r}]: expected shape {shape}, got {array.shape}")
        head.append(array)
    pieces = [passes[0][name].reshape(-1) for passes in layers for name in ("w", "b", "h", "c")]
    config = {
        "input_size": layers[0][0]["w"].shape[1] - H,
        "hidden_size": H,
        "num_layers": len(layers),
    }
    file = {"version": "0.5.4", "architecture": "LSTM", **rest.get("file", {})}
    file["config"] = {**file.get("config", {}), **config}
    return {**file, "weights": np.concatenate([*pieces, *head]).astype(np.float32).tolist()}
