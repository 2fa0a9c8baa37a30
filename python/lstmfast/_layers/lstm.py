"""The LSTM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from .._base import checks, kinds
from .._base.states import Pair, PairLike, PairState
from .._base.variants import ActivationLike
from .recurrent import Recurrent

if TYPE_CHECKING:
    from typing_extensions import Self


@kinds.register
class LSTM(PairState, Recurrent[Pair, PairLike]):
    """Long short-term memory, with the names, shapes and meaning of `torch.nn.LSTM`.

    For every time step, with x the step's input, h and c the state, and `*` elementwise::

        i = sigmoid(W_ii x + b_ii + W_hi h + b_hi)     f = sigmoid(W_if x + b_if + W_hf h + b_hf)
        g = tanh(W_ig x + b_ig + W_hg h + b_hg)        o = sigmoid(W_io x + b_io + W_ho h + b_ho)
        c' = f * c + i * g                             h' = o * tanh(c')

    Sizes: T time steps, B batch rows, I `input_size`, H `hidden_size`, L `num_layers`, D directions (1, or 2
    with `bidirectional`). Layer l > 0 takes the D*H outputs of the layer before it.

    With a projection, P `proj_size`, ``h' = W_hr (o * tanh(c'))``: h, and so y and what the next layer takes,
    has P numbers where shapes below say H. c keeps H.

    Parameters
    ----------
    input_size, hidden_size, num_layers
        I, H and L, integers >= 1.
    bias
        False leaves out both bias vectors.
    batch_first
        x and y are [B, T, ...] rather than [T, B, ...]. States are not affected.
    dropout
        p, a number from 0 to 1: in `forward`, and only there, each output of every layer but the last is
        dropped (it becomes 0) with probability p before the next layer reads it, and else multiplied by
        1 / (1 - p). Every number of every step and row is drawn by itself. With one layer there is nothing
        to drop: PyTorch warns of that, here nothing happens.
    bidirectional
        Every layer also runs from the last step to the first.
    proj_size
        P, an integer from 1 to H - 1; 0 for no projection.
    peephole
        The gates see c as well, each unit its own: i and f the c before the step, o the new one. Their
        weights are `weight_ch_l0` and so on, [3, H] of i, f and o; quantized layers have them in float32.
    coupled
        f is 1 - i. The gates are then i, g and o: weights have 3*H rows, `weight_ch_l0` is [2, H] of i and o.
    clip
        The arguments of i, f, g and o are kept within -clip and clip, a positive, finite number, as ONNX
        Runtime does it; c is not. The gradient stops where something was cut off. None: nothing is.
    activations
        What is applied instead of (sigmoid, tanh, tanh): to i, f and o, to g, and to the new c. Three of
        ONNX's names, each alone or with its numbers, as in ("Sigmoid", ("LeakyRelu", 0.1), "Tanh"): Tanh,
        Sigmoid, Relu, Affine (alpha x + beta), LeakyRelu (alpha; 0.01), ThresholdedRelu (alpha), ScaledTanh
        (alpha tanh(beta x)), HardSigmoid (alpha x + beta, from 0 to 1; 0.2, 0.5), Elu (alpha; 1), Softsign,
        Softplus. Numbers without a value here must be given. A slope at a corner is that on its left, and
        HardSigmoid's 0.
    direction
        "forward", or "reverse": every layer runs from the last step to the first, y[t] being what it gives
        at step t. Parameters have the same names. There are no streams.
    zoneout
        p, a number from 0 to 1: in `forward`, each number of h, of every step, row, layer and direction by
        itself, stays with probability p what it was before the step. Calls and streams take what is expected:
        p times the old h plus 1 - p times the new.
    recurrent_dropout
        p, a number from 0 to 1: in `forward`, and only there, each weight of every `weight_hh` is dropped (it
        becomes 0) with probability p, the same ones at all steps of all rows, and else multiplied by
        1 / (1 - p). Each such pass packs its weights anew.
    dtype
        "float32" or "float64", of weights, states and results.
    seed
        None, an integer or a `numpy.random.Generator`, which draws the weights in their order.
    init
        How they are drawn, layer by layer. "uniform", as PyTorch does: all by
        `uniform(-1/sqrt(H), 1/sqrt(H), shape)`. "xavier": weights by `uniform(-a, a, shape)` with
        a = sqrt(6 / (n + H)), n numbers being read by a gate and H given (of W_hr, H are read and P given),
        biases zero. "orthogonal": as "xavier", but W_hh of each gate is an orthogonal matrix (with a
        projection [H, P] with orthonormal columns): the one that NumPy's QR decomposition makes of
        `standard_normal((H, H))`, with signs that make it unique, so that only its last bits depend on the
        machine.
    forget_bias
        A number: the forget gate begins with this as b_if, and zero as b_hf, in every layer and direction;
        nothing else changes. At 1 an LSTM remembers from the start. None: as `init` has it.
    isa
        One of `lstmfast.available_isas()`, to run this object on; None is `lstmfast.isa()`. Results have
        the same bits on all (`scalar` on a CPU without FMA excepted).

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or value; the message names it, what was expected and what came.
    MemoryError
        If the weights do not fit in memory.

    Notes
    -----
    Calls: `y, (h_n, c_n) = lstm(x, (h_0, c_0))`, and `forward` and `backward` to train.

    x is [T, B, I], [B, T, I] with `batch_first`, or [T, I] unbatched; y is alike with D*H for I. States are
    [L*D, B, H], or [L*D, H] unbatched, layer by layer, forward direction before reverse; without an initial
    state (or with None for a half of it) it is zero. Arrays of any real dtype and layout are taken, and
    copied only if they are not of the model's dtype, aligned, with the last axis dense; nothing is written
    to them, `out` excepted. NaN and infinities are data like any other.

    Rows may be sequences of different lengths, or of several sequences one after the other. Results and
    gradients are those of the sequences alone: no gradient crosses a cut or comes from past an end. Steps
    may be skipped. All these arguments are copied.

    `lengths`, integers [B] from 0 to T in any order (one integer if x is unbatched): row b is a sequence of
    its first `lengths[b]` steps, and what x has after them, NaN too, is no matter. There y is 0, and so is
    dx. h_n and c_n are the state after each row's own last step, and the reverse direction starts there. A
    row of length 0 keeps its initial state.

    `reset`, bools in x's first axes ([T, B], [B, T] with `batch_first`, or [T] unbatched): where it is True
    a new sequence begins, from the zero state, in every layer (what ends with step t, an episode say, is a
    mark at t+1). It is the same as cutting the row before that step and running the pieces one by one.
    Forward direction: the initial state is that of the row's first piece (of none, if the row's first step
    is marked), h_n and c_n are those of its last. Reverse direction, in which a row's last piece is the
    first to run: the initial state is that of the last piece, h_n and c_n are those of the first; a mark at
    the row's first step cuts nothing. Marks past a row's length are ignored.

    `mask`, bools in x's first axes: where it is False a step is skipped, in every layer and direction,
    wherever it lies in the row: the state stays as it is, and what x has there, NaN too, is no matter. y
    repeats the output that its direction made last, of the step before or, in reverse, of the one after, and
    is 0 where there is none yet; a gradient of a repeated output is one of the step that made it, and dx is
    0. The state after a row's last step is that after its last taken one; a row that takes none keeps its
    initial state. Lengths count all steps, past a row's length y is 0 all the same, and a mark of `reset` at
    a skipped step is one at the next that is taken. This is what Keras does with a mask, but that its
    `Bidirectional` makes the outputs of skipped steps 0.

    `reset_to`, a state: what the pieces that begin at a cut begin from instead of zero, a learned state, say.
    It is shaped like the initial state, or [L*D, H] where all rows share one; `Gradients.reset_to` has its
    gradient.

    Data that arrives frame by frame: `stream` keeps a state from call to call, `stream_pool` those of
    thousands of streams.

    Any number of threads may use one object at once. The GIL is released while the core works,
    but for calls of a few microseconds.

    Source: S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997) 1735-1780;
    the forget gate f: F. A. Gers, J. Schmidhuber and F. Cummins, "Learning to forget", Neural Computation 12
    (2000) 2451-2471, and its bias: R. Jozefowicz, W. Zaremba and I. Sutskever, "An empirical exploration of
    recurrent network architectures", ICML 2015; the projection: H. Sak, A. Senior and F. Beaufays, "Long
    short-term memory recurrent neural network architectures for large scale acoustic modeling", Interspeech
    2014; peepholes: F. A. Gers and J. Schmidhuber, "Recurrent nets that time and count", IJCNN 2000; coupled
    gates: K. Greff et al., "LSTM: a search space odyssey", arXiv:1503.04069; dropout between layers: W.
    Zaremba, I. Sutskever and O. Vinyals, "Recurrent neural network regularization", arXiv:1409.2329 (2014);
    "xavier": X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks", AISTATS 2010; "orthogonal": A. M. Saxe, J. L. McClelland and S. Ganguli, "Exact solutions to
    the nonlinear dynamics of learning in deep linear neural networks", ICLR 2014.

    Examples
    --------
    >>> lstm = LSTM(3, 5, seed=0)
    >>> y, (h_n, c_n) = lstm(np.zeros((7, 2, 3), np.float32))
    >>> y.shape, h_n.shape, c_n.shape
    ((7, 2, 5), (1, 2, 5), (1, 2, 5))
    """

    _KIND = kinds.LSTM

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        peephole: bool = False,
        coupled: bool = False,
        clip: float | None = None,
        activations: Sequence[ActivationLike] | None = None,
        direction: str = "forward",
        zoneout: float = 0.0,
        recurrent_dropout: float = 0.0,
        dtype: DTypeLike = "float32",
        seed: int | np.random.Generator | None = None,
        init: str = "uniform",
        forget_bias: float | None = None,
        isa: str | None = None,
    ) -> None:
        config = {
            "input_size": input_size,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "bias": bias,
            "batch_first": batch_first,
            "dropout": dropout,
            "bidirectional": bidirectional,
            "proj_size": proj_size,
            "dtype": dtype,
            "peephole": peephole,
            "coupled": coupled,
            "clip": clip,
            "activations": activations,
            "direction": direction,
            "zoneout": zoneout,
            "recurrent_dropout": recurrent_dropout,
        }
        self._configure(config, isa)
        self._initialise(seed, init, forget_bias)

    @classmethod
    def from_gates(
        cls,
        *,
        W_f: ArrayLike,
        W_i: ArrayLike,
        W_o: ArrayLike,
        W_c: ArrayLike,
        b_f: ArrayLike | None = None,
        b_i: ArrayLike | None = None,
        b_o: ArrayLike | None = None,
        b_c: ArrayLike | None = None,
        batch_first: bool = False,
        dtype: DTypeLike = "float32",
        isa: str | None = None,
    ) -> Self:
        """Make a one-layer LSTM from weights as textbooks write them, on h and x joined.

        With [h, x] the H numbers of the state followed by the I of the input::

            f = sigmoid(W_f [h, x] + b_f)    i = sigmoid(W_i [h, x] + b_i)    o = sigmoid(W_o [h, x] + b_o)
            c' = f * c + i * tanh(W_c [h, x] + b_c)                           h' = o * tanh(c')

        Parameters
        ----------
        W_f, W_i, W_o, W_c
            Weights of the forget, input and output gates and of the new cell content (g elsewhere in this
            package), each [H, H+I].
        b_f, b_i, b_o, b_c
            Biases, each [H]; all four, or none for a model with `bias=False`. They become `bias_ih_l0`, and
            `bias_hh_l0` is zero.
        batch_first, dtype, isa
            As for the class.

        Returns
        -------
        LSTM
            Of a subclass, made by `cls(I, H, bias=..., batch_first=..., dtype=..., isa=...)`, so that nothing
            its constructor sets is missing: one that takes other arguments needs a `from_gates` of its own.

        Raises
        ------
        TypeError, ValueError
            If a weight or bias is not an array of real numbers, or its shape does not fit the others.
        """
        weights = {
            name: checks.weight(value, name)
            for name, value in (("W_i", W_i), ("W_f", W_f), ("W_c", W_c), ("W_o", W_o))  # PyTorch's order
        }
        shape = weights["W_i"].shape
        for name, weight in weights.items():
            if weight.ndim != 2 or not 1 <= weight.shape[0] < weight.shape[1]:
                raise ValueError(f"{name}: expected shape [H, H+I] with H, I >= 1, got {weight.shape}")
            if weight.shape != shape:
                raise ValueError(f"{name}: expected shape {shape} [H, H+I] like W_i's, got {weight.shape}")
        hidden_size, columns = shape
        given = {"b_i": b_i, "b_f": b_f, "b_c": b_c, "b_o": b_o}
        missing = [name for name, value in given.items() if value is None]
        if 0 < len(missing) < 4:
            raise ValueError(f"{', '.join(missing)}: expected all four biases or none, got None")
        biases = {} if missing else {name: checks.weight(value, name) for name, value in given.items()}
        for name, bias in biases.items():
            if bias.shape != (hidden_size,):
                raise ValueError(f"{name}: expected shape {(hidden_size,)} [H], got {bias.shape}")

        lstm = cls(
            columns - hidden_size,
            hidden_size,
            bias=bool(biases),
            batch_first=batch_first,
            dtype=dtype,
            isa=isa,
        )
        from .._base.conventions import forms, table, walking  # the table takes long to read

        (form,) = table.forms(table.row("textbook"), cls._KIND.name)
        sizes = forms.Sizes(lstm.input_size, hidden_size)
        parameters = walking.read(
            weights | biases, form if biases else form.without("b"), cls._KIND.name, sizes
        )
        lstm.load_state_dict({f"{name}_l0": array for name, array in parameters.items()})
        return lstm
