"""From arrays of any form to ours, and back: one layer in one direction, arrays of any namespace.

Ours are PyTorch's by name, without layer and direction: weight_ih, weight_hh, bias_ih, bias_hh, weight_hr,
and weight_ch of peepholes. Both ways every number is one of theirs, moved, but that

- the blocks of an update gate that means the opposite (h' = z * n + (1 - z) * h) are negated: 1 - sigmoid(a)
  is sigmoid(-a);
- of two biases where somebody has one, that one is the sum. The bias that is read becomes bias_ih, and
  bias_hh is 0, so that what was read is written again to the bit;
- what a cell adds to its forget gate when it runs is bias_hh of that gate, and is taken from there again.
"""

from __future__ import annotations

from collections.abc import Mapping

from .forms import MATRICES, STATES, VECTORS, Array, Form, Part, Sizes
from .namespaces import Numbers, filled, is_zero, joined, stacked, turned
from .orders import OURS

_NAMES = {
    "x": "weight_ih",
    "h": "weight_hh",
    "b": "bias_ih",
    "bh": "bias_hh",
    "p": "weight_ch",
    "r": "weight_hr",
}
_STATES = {"h0": "h_0", "c0": "c_0"}


def read(arrays: Mapping[str, Numbers], form: Form, kind: str, sizes: Sizes) -> dict[str, Numbers]:
    """Turn their arrays into ours.

    Parameters
    ----------
    arrays
        All arrays of `form` by name, of its shapes.
    form
        Without the arrays that may be missing and are.
    kind
        "LSTM", "GRU" or "RNN".
    sizes
        Of the layer.

    Returns
    -------
    dict
        Our parameters, without ``_l0`` in their names; h_0 and c_0, [H], where the form has them.
    """
    blocks: dict[tuple[str, str], Numbers] = {}
    for array in form.arrays:
        for part, numbers in zip(array.parts, _taken_apart(arrays[array.name], array, sizes), strict=True):
            blocks |= _blocks(numbers, part, sizes)
    letters = OURS.gates[kind]
    if form.inverted:
        _negate(blocks)
    ours = {_NAMES[of]: joined([blocks[of, letter] for letter in letters]) for of in MATRICES}
    if any(of == "b" for of, _ in blocks):
        first = [blocks["b", letter] for letter in letters]
        second = [_second(blocks, letter, form.forget_offset) for letter in letters]
        ours |= {"bias_ih": joined(first), "bias_hh": joined(second)}
    if ("p", OURS.peepholes[0]) in blocks:
        ours[_NAMES["p"]] = stacked([blocks["p", letter] for letter in OURS.peepholes])
    if ("r", "") in blocks:
        ours[_NAMES["r"]] = blocks["r", ""]
    return ours | {_STATES[of]: blocks[of, ""] for of in STATES if (of, "") in blocks}


def written(
    parameters: Mapping[str, Numbers], form: Form, kind: str, sizes: Sizes, *, gradients: bool = False
) -> dict[str, Numbers]:
    """Turn ours into theirs; what their form must have and ours have not is 0.

    Parameters
    ----------
    parameters
        Ours, as `read` returns them.
    form, kind, sizes
        As for `read`.
    gradients
        Whether they are derivatives by our parameters, of which derivatives by theirs are made: those by a
        bias that is both of ours are those by either, and what a cell adds is no matter.

    Raises
    ------
    ValueError
        If the second bias of a GRU's n is not 0 where theirs has none and r would multiply it.
    """
    letters = OURS.gates[kind]
    blocks: dict[tuple[str, str], Numbers] = {}
    for of in (*MATRICES, "b", "bh"):
        if _NAMES[of] in parameters:
            blocks |= _cut(parameters[_NAMES[of]], of, letters, sizes.H)
    one_number = parameters["weight_hh"][: sizes.H, 0]  # of each unit, to be filled
    for letter in letters:
        _set_biases(blocks, letter, form, one_number, gradients)
    if "p" in form.parts:
        for k, letter in enumerate(OURS.peepholes):
            whole = parameters.get(_NAMES["p"])
            blocks["p", letter] = filled(one_number, 0) if whole is None else whole[k]
    if "r" in form.parts:
        blocks["r", ""] = parameters[_NAMES["r"]]
    for of in STATES:
        if of in form.parts:
            blocks[of, ""] = parameters[_STATES[of]] if _STATES[of] in parameters else filled(one_number, 0)
    if form.inverted:
        _negate(blocks)
    return {array.name: _put_together(blocks, array) for array in form.arrays}


def _second(blocks: Mapping[tuple[str, str], Numbers], letter: str, offset: float) -> Numbers:
    own = blocks.get(("bh", letter))
    added = offset if letter == "f" else 0.0
    if own is None:
        return filled(blocks["b", letter], added)
    return own + added if added else own


def _set_biases(
    blocks: dict[tuple[str, str], Numbers], letter: str, form: Form, like: Numbers, gradients: bool
) -> None:
    """Make their biases of a gate of ours, in place."""
    if "b" not in form.parts:
        return
    for of in ("b", "bh"):
        if (of, letter) not in blocks:
            blocks[of, letter] = filled(like, 0)
    if gradients:
        return
    first, second = blocks["b", letter], blocks["bh", letter]
    if letter == "f" and form.forget_offset:
        blocks["bh", letter] = second = second - form.forget_offset
    if letter in form.parts.get("bh", ""):
        return
    if letter == "n" and form.reset_after:
        if not is_zero(second):
            raise ValueError(
                "bias_hh: expected zeros for n, for there is no such bias where r multiplies what comes of h,"
                " got others"
            )
        return
    blocks["b", letter] = first + second


def _negate(blocks: dict[tuple[str, str], Numbers]) -> None:
    for of in (*MATRICES, *VECTORS):
        if (of, "z") in blocks:
            blocks[of, "z"] = -blocks[of, "z"]


def _taken_apart(numbers: Numbers, array: Array, sizes: Sizes) -> list[Numbers]:
    """Cut an array into its parts."""
    if array.axis is None:
        return [numbers[k] for k in range(len(array.parts))]
    if len(array.parts) == 1:
        return [numbers]
    pieces, start = [], 0
    for part in array.parts:
        stop = start + part.shape(sizes)[array.axis]
        pieces.append(numbers[start:stop] if array.axis == 0 else numbers[:, start:stop])
        start = stop
    return pieces


def _blocks(numbers: Numbers, part: Part, sizes: Sizes) -> dict[tuple[str, str], Numbers]:
    """Cut a part into its gates, each [H, inputs] or [H]."""
    if not part.gates:
        if part.of == "r" and part.axes == ("H", "P"):
            numbers = turned(numbers)
        return {(part.of, ""): numbers}
    return _cut(_upright(numbers, part), part.of, part.gates, sizes.H)


def _cut(numbers: Numbers, of: str, letters: str, H: int) -> dict[tuple[str, str], Numbers]:
    return {(of, letter): numbers[k * H : (k + 1) * H] for k, letter in enumerate(letters)}


def _upright(numbers: Numbers, part: Part) -> Numbers:
    """Bring a part to [G*H, inputs] or [G*H]."""
    if part.of not in MATRICES:
        if part.axes == ("H", part.gates):
            numbers = turned(numbers)
        return numbers.reshape(-1) if len(part.axes) > 1 else numbers
    if part.axes[0] == part.gates:
        return numbers.reshape(-1, numbers.shape[-1]) if part.apart else numbers
    return turned(numbers.reshape(numbers.shape[0], -1) if part.apart else numbers)


def _put_together(blocks: Mapping[tuple[str, str], Numbers], array: Array) -> Numbers:
    """Make an array of gates: what `_taken_apart` and `_upright` did, back."""
    parts = [_laid(blocks, part) for part in array.parts]
    return stacked(parts) if array.axis is None else joined(parts, array.axis)


def _laid(blocks: Mapping[tuple[str, str], Numbers], part: Part) -> Numbers:
    if not part.gates:
        whole = blocks[part.of, ""]
        return turned(whole) if part.of == "r" and part.axes == ("H", "P") else whole
    gates = [blocks[part.of, letter] for letter in part.gates]
    if part.of not in MATRICES:
        if part.axes == ("H", part.gates):
            return turned(stacked(gates))
        if part.axes == (part.gates, "H"):
            return stacked(gates)
        upright = joined(gates)
        if "1" in part.axes:
            return upright.reshape((1, -1) if part.axes[0] == "1" else (-1, 1))
        return upright
    upright = joined(gates)
    rows, columns = upright.shape
    if part.axes[0] == part.gates:
        return upright.reshape(len(gates), -1, columns) if part.apart else upright
    lying = turned(upright)
    return lying.reshape(columns, len(gates), rows // len(gates)) if part.apart else lying
