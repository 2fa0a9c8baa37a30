"""The table's rows of frameworks in which layers are trained, in the lines that `forms` explains.

Where a row has several forms of a kind, the first is what its framework does where the arrays do not tell.
"""

from __future__ import annotations

from .convention import Convention, in_rows, row
from .forms import Form, form


def _flax(i: str, f: str, g: str, o: str) -> Form:
    names = {"i": i, "f": f, "g": g, "o": o}
    return form(
        *(f"i{name}/kernel = x[I, {letter}]" for letter, name in names.items()),
        *(f"h{name[0]}/kernel = h[S, {letter}]" for letter, name in names.items()),
        *(f"h{name[0]}/bias = b[{letter}]" for letter, name in names.items()),
    )


def _block(gates: str, offset: float) -> Form:
    return form(
        f"w = x[I, {gates}] + h[S, {gates}] @0",
        f"b = b[{gates}]",
        *(f"wc{letter}? = p[{letter}]" for letter in "ifo"),
        forget_offset=offset,
    )


def _madmom(gate: str, letter: str, *, peephole: bool = False) -> list[str]:
    lines = [
        f"{gate}/weights = x[I, {letter}]",
        f"{gate}/recurrent_weights = h[S, {letter}]",
        f"{gate}/bias = b[{letter}]",
    ]
    return [*lines, f"{gate}/peephole_weights? = p[{letter}]"] if peephole else lines


ROWS: tuple[Convention, ...] = (
    row(
        "pytorch",
        "torch.nn: LSTM, GRU, RNN",
        in_rows("ifgo", "weight_hr? = r[P, H]"),
        in_rows("rzn"),
        in_rows("h"),
        holding="named",
    ),
    row(
        "pytorch-cell", "torch.nn: LSTMCell, GRUCell, RNNCell", in_rows("ifgo"), in_rows("rzn"), in_rows("h")
    ),
    row(
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
    row(
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
    row(
        "flax-nnx",
        "flax.nnx: LSTMCell, GRUCell, SimpleCell",
        _flax("i", "f_", "g", "o"),
        form("dense_i/kernel = x[I, rzn]", "dense_h/kernel = h[S, rzn]", "dense_i/bias = b[rzn]"),
        form("dense_i/kernel = x[I, h]", "dense_h/kernel = h[S, h]", "dense_i/bias = b[h]"),
        nesting="tree",
    ),
    row(
        "flax-nnx-optimized",
        "flax.nnx: OptimizedLSTMCell",
        form("dense_i/kernel = x[I, ifgo]", "dense_h/kernel = h[S, ifgo]", "dense_h/bias = b[ifgo]"),
        nesting="tree",
    ),
    row(
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
    row(
        "equinox",
        "Equinox: LSTMCell, GRUCell",
        form("weight_ih = x[ifgo, I]", "weight_hh = h[ifgo, S]", "bias? = b[ifgo]"),
        form("weight_ih = x[rzn, I]", "weight_hh = h[rzn, S]", "bias? = b[rzn]", "bias_n? = bh[n]"),
    ),
    row(
        "mlx",
        "MLX: LSTM, GRU, RNN",
        form("Wx = x[ifgo, I]", "Wh = h[ifgo, S]", "bias? = b[ifgo]"),
        form("Wx = x[rzn, I]", "Wh = h[rzn, S]", "b? = b[rzn]", "bhn? = bh[n]"),
        form("Wxh = x[h, I]", "Whh = h[h, S]", "bias? = b[h]"),
    ),
    row(
        "paddle",
        "PaddlePaddle: paddle.nn LSTM, GRU, SimpleRNN",
        in_rows("ifgo", "weight_ho? = r[H, P]"),
        in_rows("rzn"),
        in_rows("h"),
        holding="paddle",
    ),
    row(
        "paddle-cell",
        "PaddlePaddle: paddle.nn LSTMCell, GRUCell, SimpleRNNCell",
        in_rows("ifgo", "weight_ho? = r[H, P]"),
        in_rows("rzn"),
        in_rows("h"),
    ),
    row(
        "tensorflow1",
        "TensorFlow 1: BasicLSTMCell, LSTMCell, GRUCell, BasicRNNCell",
        form(
            "kernel = x[I, igfo] + h[S, igfo] @0",
            "bias = b[igfo]",
            *(f"w_{letter}_diag? = p[{letter}]" for letter in "ifo"),
            "projection/kernel? = r[H, P]",
            forget_offset=1.0,
        ),
        form(
            "gates/kernel = x[I, rz] + h[S, rz] @0",
            "gates/bias = b[rz]",
            "candidate/kernel = x[I, n] + h[S, n] @0",
            "candidate/bias = b[n]",
            reset_after=False,
        ),
        form("kernel = x[I, h] + h[S, h] @0", "bias = b[h]"),
        option=True,
    ),
    row(
        "tensorflow-block",
        "TensorFlow: BlockLSTM, LSTMBlockCell, GRUBlockCell",
        _block("igfo", 1.0),
        form(
            "w_ru = x[I, rz] + h[S, rz] @0",
            "w_c = x[I, n] + h[S, n] @0",
            "b_ru = b[rz]",
            "b_c = b[n]",
            reset_after=False,
        ),
        option=True,
    ),
    row("tensorflow-block-v2", "TensorFlow: BlockLSTMV2", _block("ifgo", 0.0)),
    row(
        "matlab",
        "MATLAB: lstmLayer, bilstmLayer, gruLayer",
        form("InputWeights = x[ifgo, I]", "RecurrentWeights = h[ifgo, S]", "Bias = b[ifgo, 1]"),
        (
            form("InputWeights = x[rzn, I]", "RecurrentWeights = h[rzn, S]", "Bias = b[rzn, 1]"),
            form(
                "InputWeights = x[rzn, I]",
                "RecurrentWeights = h[rzn, S]",
                "Bias = b[rzn, 1]",
                reset_after=False,
            ),
            form(
                "InputWeights = x[rzn, I]",
                "RecurrentWeights = h[rzn, S]",
                "Bias = b[rzn, 1] + bh[rzn, 1] @0",
            ),
        ),
        holding="rows",
    ),
    row(
        "flux",
        "Flux.jl: LSTMCell, GRUCell, GRUv3Cell, RNNCell",
        tuple(form("Wi = x[ifgo, I]", "Wh = h[ifgo, S]", f"{b}? = b[ifgo]") for b in ("bias", "b")),
        (
            *(form("Wi = x[rzn, I]", "Wh = h[rzn, S]", f"{b}? = b[rzn]") for b in ("b", "bias")),
            form(
                "Wi = x[rzn, I]",
                "Wh = h[rz, S]",
                "Wh_h\u0303 = h[n, S]",
                "b? = b[rzn]",
                reset_after=False,
            ),
        ),
        tuple(form("Wi = x[h, I]", "Wh = h[h, S]", f"{b}? = b[h]") for b in ("bias", "b")),
    ),
    row(
        "dl4j",
        "Deeplearning4j: LSTM, GravesLSTM",
        (
            form("W = x[I, gfoi]", "RW = h[S, gfoi]", "b = b[1, gfoi]"),
            form("W = x[I, gfoi]", "RW = h[S, gfoi] + p[H, foi] @1", "b = b[1, gfoi]"),
        ),
    ),
    row(
        "madmom",
        "madmom: LSTMLayer, GRULayer, RecurrentLayer",
        form(
            *(
                line
                for letter, gate in (
                    ("i", "input_gate"),
                    ("f", "forget_gate"),
                    ("g", "cell"),
                    ("o", "output_gate"),
                )
                for line in _madmom(gate, letter, peephole=letter != "g")
            )
        ),
        form(
            *_madmom("reset_gate", "r"),
            *_madmom("update_gate", "z"),
            *_madmom("cell", "n"),
            inverted=True,
        ),
        form("weights = x[I, h]", "recurrent_weights = h[S, h]", "bias = b[h]"),
        nesting="tree",
    ),
    row(
        "textbook",
        "a matrix for each gate, on [h, x]: W_f, W_i, W_c, W_o",
        form(
            *(
                f"W_{name} = h[{gate}, S] + x[{gate}, I] @1"
                for gate, name in zip("ifgo", "ifco", strict=True)
            ),
            *(f"b_{name}? = b[{gate}]" for gate, name in zip("ifgo", "ifco", strict=True)),
        ),
    ),
)
