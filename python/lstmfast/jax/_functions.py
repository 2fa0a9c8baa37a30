"""`lstm`, `gru` and `rnn`: what users call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax

from .._base import checks, kinds, variants
from .._base.kinds import Kind
from .._base.variants import ActivationLike
from . import _arguments, _primitives
from ._skipping import Skips
from ._spec import Spec
from ._varying import alike

# Arrays are jax.Array, or what JAX takes for one: Any, for the types must do without JAX.


def lstm(
    x: Any,
    params: Mapping[str, Any],
    state: tuple[Any, Any] | None = None,
    *,
    lengths: Any = None,
    mask: Any = None,
    reset: Any = None,
    batch_first: bool = False,
    reverse: bool = False,
    activations: Sequence[ActivationLike] | None = None,
    clip: float | None = None,
    recompute: bool = False,
    dropout: float = 0.0,
    key: Any = None,
    return_c: bool = False,
) -> Any:
    """Run an LSTM's steps, as `lstmfast.LSTM` does, with the same bits.

    Parameters
    ----------
    x
        [T, B, I], [B, T, I] with `batch_first`, or [T, I].
    params
        Arrays by PyTorch's names, as `lstmfast.LSTM.state_dict` has them: `weight_ih_l0` [4*H, I],
        `weight_hh_l0` [4*H, H], `bias_ih_l0` and `bias_hh_l0` [4*H], for the reverse direction the same with
        `_reverse`, and so on for each layer. Layers, directions and biases are read off the names, sizes off
        the shapes; `weight_hr_l0` [P, H] makes it one with a projection, `weight_ch_l0` [3, H] one with
        peepholes, `gain_ih_l0` and the like one with layer normalisation, and 3*H rows one with coupled
        gates. All of one dtype, float32 or float64.
    state
        (h_0, c_0) of [L*D, B, S] and [L*D, B, H] (without B where x has none); None, or None for a part of
        it, is zero.
    lengths
        [B] integers from 0 to T: y is zero past a row's end, the new state is that of its own last step, and
        the reverse direction begins there. They may be traced: numbers out of range are then an error when it
        runs.
    mask
        Bools in x's first axes: steps that are False are skipped, holes in the midst of rows included. A
        skipped step keeps the state, and its y repeats that of the step before, or is 0 where there is none.
    reset
        Bools in x's first axes: where True, the row begins anew from zero before that step.
    batch_first, reverse
        Whether x and y are [B, T, ...]; whether a lone direction runs from the last step to the first.
    activations, clip
        As of `lstmfast.LSTM`.
    recompute
        Whether a gradient makes the gates anew instead of keeping them: less memory, the same bits.
    dropout, key
        Probability that outputs of all layers but the last are dropped, and the key for it: with None nothing
        is.
    return_c
        Whether to return c of every step as well.

    Returns
    -------
    y
        [T, B, D*S], [B, T, D*S] or [T, D*S], S being P with a projection and else H.
    state
        (h_n, c_n), shaped like the initial one.
    c
        With `return_c` alone: the last layer's c at every step, shaped like y but H wide where y is P.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as above. float64 without `jax_enable_x64` is one of those.
    """
    options = {"activations": activations, "clip": clip}
    y, h, c, *more = _run(
        kinds.LSTM,
        (x, params, state, lengths, mask, reset),
        (batch_first, reverse, recompute),
        options,
        (dropout, key),
        return_c=checks.flag(return_c, "return_c"),
    )
    return (y, (h, c), *more)


def gru(
    x: Any,
    params: Mapping[str, Any],
    state: Any = None,
    *,
    lengths: Any = None,
    mask: Any = None,
    reset: Any = None,
    batch_first: bool = False,
    reverse: bool = False,
    reset_after: bool = True,
    activations: Sequence[ActivationLike] | None = None,
    clip: float | None = None,
    recompute: bool = False,
    dropout: float = 0.0,
    key: Any = None,
) -> tuple[Any, Any]:
    """Run a GRU's steps, as `lstmfast.GRU` does; see `lstm`. Weights have 3*H rows, r, z, n.

    Returns
    -------
    y
        [T, B, D*H], [B, T, D*H] or [T, D*H].
    h_n
        [L*D, B, H], or [L*D, H] where x has no B.
    """
    options = {"activations": activations, "clip": clip, "reset_after": reset_after}
    y, h, *_ = _run(
        kinds.GRU,
        (x, params, state, lengths, mask, reset),
        (batch_first, reverse, recompute),
        options,
        (dropout, key),
    )
    return y, h


def rnn(
    x: Any,
    params: Mapping[str, Any],
    state: Any = None,
    *,
    lengths: Any = None,
    mask: Any = None,
    reset: Any = None,
    batch_first: bool = False,
    reverse: bool = False,
    nonlinearity: str = "tanh",
    activations: Sequence[ActivationLike] | None = None,
    clip: float | None = None,
    recompute: bool = False,
    dropout: float = 0.0,
    key: Any = None,
) -> tuple[Any, Any]:
    """Run the steps of an RNN, "tanh" or "relu", as `lstmfast.RNN` does; see `lstm`. Weights have H rows.

    Returns
    -------
    y
        [T, B, D*H], [B, T, D*H] or [T, D*H].
    h_n
        [L*D, B, H], or [L*D, H] where x has no B.
    """
    options = {"activations": activations, "clip": clip, "nonlinearity": nonlinearity}
    y, h, *_ = _run(
        kinds.RNN,
        (x, params, state, lengths, mask, reset),
        (batch_first, reverse, recompute),
        options,
        (dropout, key),
    )
    return y, h


def _run(
    kind: Kind,
    arrays: tuple[Any, ...],
    flags: tuple[object, object, object],
    options: Mapping[str, Any],
    dropping: tuple[object, Any],
    *,
    return_c: bool = False,
) -> tuple[Any, ...]:
    """Check a call and run it: y, h_n and c_n, None without memory; and c, where it is returned."""
    x, params, state, lengths, mask, reset = arrays
    batch_first, reverse, recompute = (
        checks.flag(value, name)
        for value, name in zip(flags, ("batch_first", "reverse", "recompute"), strict=True)
    )
    gates = (kind.gates - 1, kind.gates) if kind.coupled else (kind.gates,)
    layout, weights = _arguments.weights(params, gates, reverse, kind.name)
    dtype = next(iter(weights.values())).dtype
    for name, weight in weights.items():
        if weight.dtype != dtype:
            raise TypeError(f"params[{name!r}]: expected {dtype}, as the others have, got {weight.dtype}")
    kind, cell, variant = _cell(kind, options, layout, dtype)
    given = _arguments.sequence(x, layout, batch_first, dtype)
    halves = _state(kind, state, layout, given, dtype)
    ends = _arguments.ends(lengths, given)
    starts = _arguments.marks(reset, "reset", given)
    taken = _arguments.marks(mask, "mask", given)
    skips = None
    x = given.x
    if taken is not None and given.steps:
        skips = Skips(taken, ends, starts, given, layout)
        ends, starts, x = skips.lengths, skips.reset, skips.taken(x)
    dropped, probability = _dropped(dropping, layout, given)
    others = {**halves, "lengths": ends, "reset": starts, "dropped": dropped}
    there = {name: array for name, array in others.items() if array is not None}
    spec = Spec(
        cell=cell,
        layout=layout,
        variant=variant,
        has_memory=kind.has_memory,
        batch_first=batch_first,
        recompute=recompute,
        dropout=probability if dropped is not None else 0.0,
        given=tuple(there),
        returns_c=return_c,
    )
    y, *found = _primitives.infer(spec, *alike(x, *there.values(), *weights.values()))
    states, memory = found[: 1 + kind.has_memory], found[1 + kind.has_memory :]
    sequences = [given.as_given(each if skips is None else skips.repeated(each)) for each in (y, *memory)]
    if not given.batched:
        states = [half[:, 0] for half in states]
    return (sequences[0], states[0], states[1] if kind.has_memory else None, *sequences[1:])


def _cell(
    kind: Kind, options: Mapping[str, Any], layout: Any, dtype: Any
) -> tuple[Kind, str, tuple[Any, ...] | None]:
    """Find the core's cell and variant of a layer."""
    config = {**options, "peephole": layout.peepholes > 0, "coupled": layout.gates < kind.gates}
    chosen = {name: checks.choice(config[name], name, values) for name, values in kind.choices.items()}
    variant = variants.read(config, kind.activations, checks.float_dtype(dtype))
    if layout.norms:
        kind = kinds.LAYER_NORM_LSTM if kind is kinds.LSTM else kind
        if kind is not kinds.LAYER_NORM_LSTM or not variant.plain or layout.proj_size:
            raise ValueError("params: expected no gain_ih_l0 but in a plain LSTM without a projection")
        return kind, kind.cell({}).name, None
    if variant.plain:
        return kind, kind.cell(chosen).name, None
    return kind, kind.variant_cell(variant.coupled, variant.reset_after), variant.for_core()


def _state(kind: Kind, state: Any, layout: Any, given: _arguments.Sequence, dtype: Any) -> dict[str, Any]:
    """Check a state: h0 and c0, None where there is none."""
    if state is None:
        return {}
    depth = layout.num_layers * layout.directions
    rows = "B, " if given.batched else ""
    h_shape, c_shape = (depth, given.rows, layout.output_size), (depth, given.rows, layout.hidden_size)
    h_symbols, c_symbols = f"[L*D, {rows}{layout.output_symbol}]", f"[L*D, {rows}H]"
    if not kind.has_memory:
        if isinstance(state, tuple):  # an LSTM's, say
            raise TypeError(f"state: expected one array h_0, got {checks.shown(state)}")
        return {"h0": _arguments.state_part(state, "state: h_0", h_shape, h_symbols, given.batched, dtype)}
    h, c = checks.pair(state, "state", ("h_0", "c_0"))
    return {
        "h0": _arguments.state_part(h, "state: h_0", h_shape, h_symbols, given.batched, dtype),
        "c0": _arguments.state_part(c, "state: c_0", c_shape, c_symbols, given.batched, dtype),
    }


def _dropped(dropping: tuple[object, Any], layout: Any, given: _arguments.Sequence) -> tuple[Any, float]:
    """Draw which outputs between layers stay, [L-1, T, B, D*S]; None where all do."""
    probability, key = checks.probability(dropping[0], "dropout"), dropping[1]
    if key is None or not probability or layout.num_layers == 1:
        return None, probability
    shape = (layout.num_layers - 1, given.steps, given.rows, layout.features)
    return jax.random.bernoulli(key, 1 - probability, shape), probability
