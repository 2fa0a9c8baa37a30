"""Weight files of every kind, changed: each loads and computes, or is a ValueError that names the path."""

from __future__ import annotations

import functools
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import lstmfast

from ...files.helpers import header_of, with_header
from ..draw import Draw
from ..outcome import REFUSED, expect, outcome


def layers() -> list[Any]:
    lstm, gru, rnn = lstmfast.LSTM, lstmfast.GRU, lstmfast.RNN
    plain = [
        lstm(2, 3, seed=0),
        lstm(2, 3, 2, bidirectional=True, batch_first=True, seed=0),
        lstm(2, 4, proj_size=2, bias=False, dtype="float64", seed=0),
        lstm(2, 3, peephole=True, coupled=True, clip=0.5, seed=0),
        gru(2, 3, seed=0),
        gru(2, 3, reset_after=False, activations=("Sigmoid", ("Elu", 0.5)), direction="reverse", seed=0),
        rnn(2, 3, nonlinearity="relu", zoneout=0.5, seed=0),
        lstmfast.LayerNormLSTM(2, 3, seed=0),
    ]
    x = np.linspace(-1, 1, 12).reshape(3, 2, 2)
    small: list[Any] = [lstm(2, 3, seed=0).quantize(kind) for kind in ("float16", "bfloat16", "int8")]
    small += [gru(2, 3, seed=0).quantize("int8", x), rnn(2, 3, seed=0).quantize("int8")]
    return plain + small


@functools.cache
def saved() -> list[bytes]:
    """What save writes of them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        found = []
        for layer in layers():
            layer.save(path)
            found.append(path.read_bytes())
        return found


@functools.cache
def scratch() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz-files-")) / "model"


def with_bytes(draw: Draw, data: bytes) -> bytes:
    """Some bytes of the file changed, or cut off, or there twice."""
    changed = bytearray(data)
    for _ in range(1 + draw.below(4)):
        at = draw.below(min(len(changed), 65536)) if changed else 0
        kind = draw.below(8)
        if kind < 5 and changed:
            changed[at] = draw.byte()
        elif kind == 5:
            del changed[at:]
        elif kind == 6:
            changed[at:at] = draw.take(draw.below(9))
        else:
            del changed[at : at + draw.below(9)]
    return bytes(changed)


def with_entries(draw: Draw, data: bytes) -> bytes:
    """Some entries of the header, of the description in it and of the configuration in that changed."""
    header, tensors = header_of(data)
    description = json.loads(header["__metadata__"]["lstmfast"])
    for _ in range(1 + draw.below(3)):
        tensor = draw.one_of([name for name in header if name != "__metadata__"])
        where: Any = draw.one_of(
            (description["config"], description["config"], description, header, header[tensor])
        )
        if not isinstance(where, dict):
            break
        name = draw.one_of(sorted(where)) if where and not draw.seldom() else draw.text()
        value = draw.value()
        try:
            json.dumps([name, value])
        except (TypeError, ValueError):
            value = str(type(value))
        if draw.seldom():
            where.pop(name, None)
        elif where is not header or name != "__metadata__":
            where[name] = value
        if not isinstance(description.get("config"), dict):
            break
        if not all(isinstance(entry, dict) for entry in header.values()):
            break
    if isinstance(header.get("__metadata__"), dict):
        header["__metadata__"]["lstmfast"] = json.dumps(description)
    return with_header(header, tensors)


def one(data: bytes) -> None:
    draw = Draw(data)
    base = draw.one_of(saved())
    kind = draw.below(4)
    content = draw.rest() if kind == 3 else with_entries(draw, base) if kind else with_bytes(draw, base)
    path = scratch()
    path.write_bytes(content)
    layer = outcome(lambda: lstmfast.load(path), words=f"{path}: ")
    if layer is REFUSED:
        return
    y, _ = layer(np.zeros((2, layer.input_size)))
    width = (2 if layer.bidirectional else 1) * (
        layer.proj_size if getattr(layer, "proj_size", 0) else layer.hidden_size
    )
    expect(y.shape == (2, width), f"y of {layer!r} has the shape {y.shape}")
    layer.save(path)
    again = lstmfast.load(path)
    expect(
        again(np.zeros((2, layer.input_size)))[0].tobytes() == y.tobytes(), f"{layer!r} is another when saved"
    )
