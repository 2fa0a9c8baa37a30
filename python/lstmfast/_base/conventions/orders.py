"""Orders of gates, peepholes and axes, as ONNX' nodes and we have them; ours are PyTorch's.

A node is no layer in one direction: its arrays may be quantised, of coupled gates, or there in part, and are
put back one by one. So what it needs is less than a row of the table: the order of blocks alone.

Gates are letters, in the order of their blocks of H rows: i, f, g, o of an LSTM, r, z, n of a GRU, and h of
an RNN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..checks import AnyArray
from ..kinds import Kind


@dataclass(frozen=True)
class Order:
    """An order, and the way from it to ours and back."""

    gates: Mapping[str, str]  # by the kind's name
    peepholes: str  # of gates that see c
    inputs_first: bool = False  # whether matrices are [inputs, G*H] and not [G*H, inputs]

    def read(self, array: AnyArray, kind: Kind, coupled: bool = False) -> AnyArray:
        """Turn a matrix, or numbers for each of its rows, [G*H], into ours. A coupled f is left out."""
        upright = array.T if self.inputs_first and array.ndim > 1 else array
        return _ordered(upright, self.gates[kind.name], _gates(kind, coupled))

    def written(self, array: AnyArray, kind: Kind, coupled: bool = False, f: float = 0) -> AnyArray:
        """Turn ours into theirs; of a coupled LSTM the rows of f become the number f."""
        ordered = _ordered(array, _gates(kind, coupled), self.gates[kind.name], f)
        return np.ascontiguousarray(ordered.T if self.inputs_first and array.ndim > 1 else ordered)

    def read_peepholes(self, array: AnyArray, coupled: bool = False) -> AnyArray:
        """Turn an LSTM's peepholes, [3*H], into ours, [3, H], or [2, H] of coupled gates."""
        letters = _peepholes(coupled)
        return _ordered(array, self.peepholes, letters).reshape(len(letters), -1)

    def written_peepholes(self, array: AnyArray, coupled: bool = False) -> AnyArray:
        """Turn ours into theirs."""
        return _ordered(array.reshape(-1), _peepholes(coupled), self.peepholes)


OURS = Order({"LSTM": "ifgo", "GRU": "rzn", "RNN": "h"}, "ifo")
ONNX = Order({"LSTM": "iofg", "GRU": "zrn", "RNN": "h"}, "iof")
ONNX_QUANTIZED = Order(ONNX.gates, ONNX.peepholes, inputs_first=True)  # com.microsoft's DynamicQuantizeLSTM


def _gates(kind: Kind, coupled: bool) -> str:
    letters = OURS.gates[kind.name]
    return letters.replace("f", "") if coupled else letters


def _peepholes(coupled: bool) -> str:
    return OURS.peepholes.replace("f", "") if coupled else OURS.peepholes


def _ordered(array: AnyArray, have: str, want: str, missing: float = 0) -> AnyArray:
    """Put the blocks of rows, of the letters `have`, in the order `want`; what is not there is `missing`."""
    blocks = dict(zip(have, np.split(array, len(have)), strict=True))
    absent = np.full_like(blocks[have[0]], missing)
    return np.concatenate([blocks.get(letter, absent) for letter in want])
