"""The table's rows of engines that run what was trained, and of files, in the lines that `forms` explains.

Where a row has several forms of a kind, the first is what its engine does where the arrays do not tell.
"""

from __future__ import annotations

from collections.abc import Mapping

from .convention import Convention, in_rows, row
from .forms import Form, form
from .orders import ONNX


def _onnx(kind: str, *more: str, reset_after: bool = True) -> Form:
    gates = ONNX.gates[kind]
    lines = (f"W = x[{gates}, I]", f"R = h[{gates}, S]", f"B? = b[{gates}] + bh[{gates}] @0", *more)
    return form(*lines, reset_after=reset_after)


def _onednn(gates: str, *more: str, reset_after: bool = True) -> Form:
    return form(
        f"weights_layer = x[I, {gates}, H]",
        f"weights_iter = h[S, {gates}, H]",
        *more,
        reset_after=reset_after,
    )


def _openvino(gates: str, bias: str, *, reset_after: bool = True) -> Form:
    return form(f"W = x[{gates}, I]", f"R = h[{gates}, S]", f"B = {bias}", reset_after=reset_after)


def _coreml(gates: Mapping[str, str], *more: str, reset_after: bool = True) -> Form:
    return form(
        *(f"{name}WeightMatrix = x[{letter}, I]" for letter, name in gates.items()),
        *(f"{name}RecursionMatrix = h[{letter}, S]" for letter, name in gates.items()),
        *(f"{name}BiasVector? = b[{letter}]" for letter, name in gates.items()),
        *more,
        reset_after=reset_after,
    )


_COREML_LSTM = {"i": "inputGate", "f": "forgetGate", "g": "blockInput", "o": "outputGate"}
_COREML_GRU = {"z": "updateGate", "r": "resetGate", "n": "outputGate"}

ROWS: tuple[Convention, ...] = (
    row(
        "onnx",
        "ONNX operators LSTM, GRU, RNN",
        _onnx("LSTM", f"P? = p[{ONNX.peepholes}]"),
        (_onnx("GRU", reset_after=False), _onnx("GRU")),
        _onnx("RNN"),
        holding="D",
    ),
    row(
        "openvino",
        "OpenVINO: LSTMSequence, GRUSequence, RNNSequence",
        _openvino("figo", "b[figo]"),
        (
            _openvino("zrn", "b[zrn]", reset_after=False),
            _openvino("zrn", "b[zrn] + bh[n] @0"),
        ),
        _openvino("h", "b[h]"),
        holding="D",
    ),
    row(
        "onednn",
        "oneDNN: vanilla RNN, LSTM, GRU, linear-before-reset GRU",
        _onednn(
            "ifgo", "bias? = b[ifgo, H]", "weights_peephole? = p[ifo, H]", "weights_projection? = r[H, P]"
        ),
        (
            _onednn("zrn", "bias? = b[zrn, H]", reset_after=False),
            _onednn("zrn", "bias? = b[zrn, H] + bh[n, H] @0"),
        ),
        _onednn("h", "bias? = b[h, H]"),
        holding="LD",
    ),
    row(
        "cudnn",
        "cuDNN: the weights of an RNN, one after the other",
        in_rows("ifgo"),
        in_rows("rzn"),
        in_rows("h"),
        file="cudnn",
    ),
    row(
        "coreml",
        "Core ML: NeuralNetwork's UniDirectionalLSTM, BiDirectionalLSTM, GRU, SimpleRecurrent",
        _coreml(_COREML_LSTM, *(f"{_COREML_LSTM[gate]}PeepholeVector? = p[{gate}]" for gate in "ifo")),
        _coreml(_COREML_GRU, reset_after=False),
        form("weightMatrix = x[h, I]", "recursionMatrix = h[h, S]", "biasVector? = b[h]"),
    ),
    row(
        "coreml-mil",
        "Core ML: the operators lstm, gru, rnn of ML programs",
        form(
            "weight_ih = x[ifog, I]",
            "weight_hh = h[ifog, S]",
            "bias? = b[ifog]",
            "peephole? = p[ifo]",
        ),
        form("weight_ih = x[rnz, I]", "weight_hh = h[rnz, S]", "bias? = b[rnz]"),
        form("weight_ih = x[h, I]", "weight_hh = h[h, S]", "bias? = b[h]"),
        holding="back",
    ),
    row(
        "rtneural",
        "RTNeural: JSON files with lstm and gru layers",
        form("kernel = x[I, ifgo]", "recurrent = h[S, ifgo]", "bias = b[ifgo]"),
        form("kernel = x[I, zrn]", "recurrent = h[S, zrn]", "bias = b[zrn] & bh[zrn]"),
        file="rtneural",
    ),
    row(
        "nam",
        "Neural Amp Modeler: .nam files with an LSTM",
        form("w = x[ifgo, I] + h[ifgo, S] @1", "b = b[ifgo]", "h = h0[H]", "c = c0[H]"),
        file="nam",
    ),
)
