"""The table: a row for each convention, in the lines that `forms` explains.

Where a row has several forms of a kind, the first is what its framework does where the arrays do not tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .. import checks
from .forms import Form, form
from .orders import ONNX


@dataclass(frozen=True)
class Convention:
    """A row."""

    name: str
    title: str  # what has these arrays
    forms: Mapping[str, tuple[Form, ...]] = field(default_factory=dict)  # by the kind's name
    holding: str = "apart"  # how layers and directions are put together: see `holding`
    nesting: str = ""  # how names are: see `names`
    nonlinearity: str = "tanh"  # of its plain RNN
    option: bool = False  # whether the forget gate's offset is an argument of the framework's cell


def _row(
    name: str,
    title: str,
    lstm: Form | tuple[Form, ...] = (),
    gru: Form | tuple[Form, ...] = (),
    rnn: Form | tuple[Form, ...] = (),
    *,
    holding: str = "apart",
    nesting: str = "",
    nonlinearity: str = "tanh",
    option: bool = False,
) -> Convention:
    forms = {
        kind: (found,) if isinstance(found, Form) else found
        for kind, found in (("LSTM", lstm), ("GRU", gru), ("RNN", rnn))
        if found
    }
    return Convention(name, title, forms, holding, nesting, nonlinearity, option)


def _torch(gates: str, *more: str) -> Form:
    return form(
        f"weight_ih = x[{gates}, I]",
        f"weight_hh = h[{gates}, S]",
        f"bias_ih? = b[{gates}]",
        f"bias_hh? = bh[{gates}]",
        *more,
    )


def _flax(i: str, f: str, g: str, o: str) -> Form:
    names = {"i": i, "f": f, "g": g, "o": o}
    return form(
        *(f"i{name}/kernel = x[I, {letter}]" for letter, name in names.items()),
        *(f"h{name[0]}/kernel = h[S, {letter}]" for letter, name in names.items()),
        *(f"h{name[0]}/bias = b[{letter}]" for letter, name in names.items()),
    )


def _onnx(kind: str, *more: str, reset_after: bool = True) -> Form:
    gates = ONNX.gates[kind]
    lines = (f"W = x[{gates}, I]", f"R = h[{gates}, S]", f"B? = b[{gates}] + bh[{gates}] @0", *more)
    return form(*lines, reset_after=reset_after)


ROWS = (
    _row(
        "pytorch",
        "torch.nn: LSTM, GRU, RNN",
        _torch("ifgo", "weight_hr? = r[P, H]"),
        _torch("rzn"),
        _torch("h"),
        holding="named",
    ),
    _row("pytorch-cell", "torch.nn: LSTMCell, GRUCell, RNNCell", _torch("ifgo"), _torch("rzn"), _torch("h")),
    _row(
        "keras",
        "Keras 3 and tf.keras 2: LSTM, GRU, SimpleRNN",
        form("kernel = x[I, ifgo]", "recurrent_kernel = h[S, ifgo]", "bias? = b[ifgo]"),
        (
            form("kernel = x[I, zrn]", "recurrent_kernel = h[S, zrn]", "bias? = b[zrn] & bh[zrn]"),
            form("kernel = x[I, zrn]", "recurrent_kernel = h[S, zrn]", "bias? = b[zrn]", reset_after=False),
        ),
        form("kernel = x[I, h]", "recurrent_kernel = h[S, h]", "bias? = b[h]"),
        holding="listed",
    ),
    _row(
        "flax",
        "flax.linen: LSTMCell, OptimizedLSTMCell, GRUCell, SimpleCell",
        _flax("i", "f", "g", "o"),
        form(
            *(f"i{gate}/kernel = x[I, {gate}]" for gate in "rzn"),
            *(f"h{gate}/kernel = h[S, {gate}]" for gate in "rzn"),
            *(f"i{gate}/bias = b[{gate}]" for gate in "rzn"),
            "hn/bias = bh[n]",
        ),
        form("i/kernel = x[I, h]", "h/kernel = h[S, h]", "i/bias = b[h]"),
        nesting="tree",
    ),
    _row(
        "flax-nnx",
        "flax.nnx: LSTMCell, GRUCell, SimpleCell",
        _flax("i", "f_", "g", "o"),
        form("dense_i/kernel = x[I, rzn]", "dense_h/kernel = h[S, rzn]", "dense_i/bias = b[rzn]"),
        form("dense_i/kernel = x[I, h]", "dense_h/kernel = h[S, h]", "dense_i/bias = b[h]"),
        nesting="tree",
    ),
    _row(
        "flax-nnx-optimized",
        "flax.nnx: OptimizedLSTMCell",
        form("dense_i/kernel = x[I, ifgo]", "dense_h/kernel = h[S, ifgo]", "dense_h/bias = b[ifgo]"),
        nesting="tree",
    ),
    _row(
        "haiku",
        "Haiku: LSTM, GRU, VanillaRNN",
        form("linear/w = x[I, igfo] + h[S, igfo] @0", "linear/b = b[igfo]", forget_offset=1.0),
        form("w_i = x[I, zrn]", "w_h = h[S, zrn]", "b = b[zrn]", reset_after=False, inverted=True),
        (
            form("linear/w = x[I, h]", "linear_1/w = h[S, h]", "linear/b = b[h]", "linear_1/b = bh[h]"),
            form("linear/w = x[I, h]", "linear_1/w = h[S, h]", "linear/b = b[h]"),
        ),
        nesting="module",
        nonlinearity="relu",
    ),
    _row(
        "equinox",
        "Equinox: LSTMCell, GRUCell",
        form("weight_ih = x[ifgo, I]", "weight_hh = h[ifgo, S]", "bias? = b[ifgo]"),
        form("weight_ih = x[rzn, I]", "weight_hh = h[rzn, S]", "bias? = b[rzn]", "bias_n? = bh[n]"),
    ),
    _row(
        "onnx",
        "ONNX operators LSTM, GRU, RNN",
        _onnx("LSTM", f"P? = p[{ONNX.peepholes}]"),
        (_onnx("GRU", reset_after=False), _onnx("GRU")),
        _onnx("RNN"),
        holding="D",
    ),
    _row(
        "textbook",
        "a matrix for each gate, on [h, x]: W_f, W_i, W_c, W_o",
        form(
            *(
                f"W_{name} = h[{letter}, S] + x[{letter}, I] @1"
                for letter, name in zip("ifgo", "ifco", strict=True)
            ),
            *(f"b_{name}? = b[{letter}]" for letter, name in zip("ifgo", "ifco", strict=True)),
        ),
    ),
)

TABLE: Mapping[str, Convention] = {row.name: row for row in ROWS}


def row(name: object) -> Convention:
    """Find a row by its name."""
    expected = f"convention: expected one of {', '.join(map(repr, TABLE))}"
    if not isinstance(name, str):
        raise TypeError(f"{expected}, got {checks.shown(name)}")
    if name not in TABLE:
        raise ValueError(f"{expected}, got {checks.shown(name)}")
    return TABLE[name]


def forms(convention: Convention, kind: str) -> tuple[Form, ...]:
    """Find the forms of a kind of layer."""
    if kind not in convention.forms:
        there = " or ".join(convention.forms)
        raise ValueError(
            f"convention: expected one that has {kind}, got {convention.name!r}, which has {there}"
        )
    return convention.forms[kind]
