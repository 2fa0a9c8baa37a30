"""Safetensors files taken apart, put together by hand, and broken."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

import lstmfast

# As errors name them.
CLASSES = "'GRU' or 'LayerNormLSTM' or 'LSTM' or 'RNN' or 'QuantizedLSTM' or 'QuantizedRNN' or 'QuantizedGRU'"


def header_of(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON header of a safetensors file, and what follows it."""
    size = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + size]), data[8 + size :]


def with_header(header: Any, tensors: bytes) -> bytes:
    """A safetensors file put together by hand."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + tensors


def check_changed(path: Path, content: bytes, data: st.DataObject, header: int) -> None:
    """With some bytes changed, mostly of the first `header`, a file loads and runs, or is a ValueError."""
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.one_of(st.integers(0, header), st.integers(0, len(changed) - 1)))
        changed[position] = data.draw(st.integers(0, 255))
    path.write_bytes(changed)
    try:
        layer = lstmfast.load(path)
    except ValueError as error:
        message = str(error)
    else:
        message = f"{path}: loaded"
        layer(np.zeros((2, layer.input_size)))
    assert message.startswith(f"{path}: ")


def refuses(path: Path, data: bytes, words: str = "") -> None:
    """Loading these bytes is a ValueError that begins with the path and has the words in it."""
    path.write_bytes(data)
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is looked at below
        lstmfast.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert words in message, message
