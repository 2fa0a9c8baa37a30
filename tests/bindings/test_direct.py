"""The compiled core, called past the Python layers: an exception or a right result, never a crash.

The core does not convert and its messages are for us; what it must check is what could lead it outside an
array's memory, and sizes whose products do not fit.
"""

from __future__ import annotations

import copy
import pickle
import sys
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided

from lstmfast import _core

from ..core_helpers import run_python, unaligned
from ..helpers import ISAS, KINDS, Array, assert_same_bits, gates_of, random

T, B, I, H = 5, 3, 4, 6


def weights(
    cell: str = "lstm", *, layers: int = 1, directions: int = 1, dtype: str = "float32"
) -> list[Array]:
    """Parameters in the core's order."""
    rows = gates_of(cell) * H
    arrays = []
    for layer in range(layers):
        for direction in range(directions):
            shapes = [(rows, directions * H if layer else I), (rows, H), (rows,), (rows,)]
            seed = 10 * (2 * layer + direction)
            arrays += [random(shape, dtype, seed + n, scale=0.4) for n, shape in enumerate(shapes)]
    return arrays


def network(cell: str = "lstm", *, layers: int = 1, directions: int = 1, dtype: str = "float32") -> Any:
    kind: Any = {"float32": _core.Network32, "float64": _core.Network64}[dtype]
    parameters = weights(cell, layers=layers, directions=directions, dtype=dtype)
    return kind(cell, I, H, layers, directions == 2, True, parameters, ISAS[0])


def inputs(dtype: Any = "float32") -> tuple[Array, Array, Array]:
    """x, h0 and c0."""
    return random((T, B, I), dtype), random((1, B, H), dtype, 1), random((1, B, H), dtype, 2)


def empty_of(*shape: int) -> Array:
    """An array of any shape that holds no number: it says nothing about memory."""
    assert 0 in shape
    return as_strided(np.zeros(0, np.float32), shape=shape, strides=(4,) * len(shape))


# Construction.

GOOD: dict[str, Any] = {
    "cell": "lstm",
    "input_size": I,
    "hidden_size": H,
    "num_layers": 1,
    "bidirectional": False,
    "bias": True,
    "parameters": weights(),
    "isa": ISAS[0],
}


def replaced(position: int, value: Any) -> list[Any]:
    arrays: list[Any] = list(weights())
    arrays[position] = value
    return arrays


BAD_NETWORKS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"cell": "mgu"}, ValueError, "cell"),
    ({"cell": ""}, ValueError, "cell"),
    ({"cell": None}, TypeError, ""),
    ({"cell": 3}, TypeError, ""),
    ({"input_size": 0}, ValueError, "input_size"),
    ({"input_size": -1}, ValueError, "input_size"),
    ({"hidden_size": 0}, ValueError, "hidden_size"),
    ({"hidden_size": -(2**63)}, ValueError, "hidden_size"),
    ({"num_layers": 0}, ValueError, "num_layers"),
    ({"num_layers": 2}, ValueError, "parameters"),
    ({"num_layers": 2**62}, ValueError, "num_layers"),
    ({"num_layers": 2**63 - 1, "bidirectional": True}, ValueError, "num_layers"),
    ({"num_layers": 2**62, "bidirectional": True, "parameters": []}, ValueError, "num_layers"),
    ({"num_layers": 2**40, "bidirectional": True, "parameters": []}, ValueError, "parameters"),
    ({"num_layers": 2**64}, TypeError, ""),
    ({"hidden_size": 1.5}, TypeError, ""),
    ({"hidden_size": None}, TypeError, ""),
    ({"hidden_size": H + 1}, ValueError, "weight_ih"),
    ({"hidden_size": 2**40}, ValueError, "weight_ih"),
    ({"hidden_size": 2**61}, ValueError, "hidden_size"),
    ({"hidden_size": 2**62}, ValueError, "hidden_size"),
    ({"hidden_size": 2**63 - 1}, ValueError, "hidden_size"),
    ({"input_size": 2**62}, ValueError, "input_size"),
    ({"cell": "rnn_tanh"}, ValueError, "weight_ih"),
    ({"bidirectional": True}, ValueError, "parameters"),
    ({"bias": False}, ValueError, "parameters"),
    ({"parameters": []}, ValueError, "parameters"),
    ({"parameters": weights()[:3]}, ValueError, "parameters"),
    ({"parameters": weights() * 2}, ValueError, "parameters"),
    ({"parameters": None}, TypeError, ""),
    ({"parameters": 3}, TypeError, ""),
    ({"parameters": "abcd"}, TypeError, "parameters"),
    ({"parameters": weights(dtype="float64")}, TypeError, "parameters"),
    ({"parameters": replaced(0, None)}, TypeError, "parameters"),
    ({"parameters": replaced(0, weights()[0].astype("int32"))}, TypeError, "parameters"),
    ({"parameters": replaced(0, weights()[0].astype(">f4"))}, TypeError, "parameters"),
    ({"parameters": replaced(0, weights()[0].tolist())}, TypeError, "parameters"),
    ({"parameters": replaced(0, weights()[0].astype("complex64"))}, TypeError, "parameters"),
    ({"parameters": replaced(0, np.asfortranarray(weights()[0]))}, ValueError, "weight_ih"),
    ({"parameters": replaced(0, weights()[0][::-1])}, ValueError, "weight_ih"),
    ({"parameters": replaced(0, weights()[0].T)}, ValueError, "weight_ih"),
    ({"parameters": replaced(0, weights()[0].ravel())}, ValueError, "weight_ih"),
    ({"parameters": replaced(0, weights()[0][:-1])}, ValueError, "weight_ih"),
    ({"parameters": replaced(0, unaligned(weights()[0]))}, ValueError, "weight_ih"),
    ({"parameters": replaced(0, np.broadcast_to(np.float32(1), (4 * H, I)))}, ValueError, "weight_ih"),
    ({"parameters": replaced(1, weights()[1][:, :-1])}, ValueError, "weight_hh"),
    ({"parameters": replaced(1, np.zeros((4 * H, H, 1), "f"))}, ValueError, "weight_hh"),
    ({"parameters": replaced(2, weights()[2][:-1])}, ValueError, "bias_ih"),
    ({"parameters": replaced(3, np.zeros(8 * H, "f")[::2])}, ValueError, "bias_hh"),
    ({"parameters": replaced(3, np.float32(1))}, TypeError, "parameters"),
    ({"parameters": replaced(3, np.array(1, "f"))}, ValueError, "bias_hh"),
    ({"isa": "mmx"}, ValueError, "isa"),
    ({"isa": ""}, ValueError, "isa"),
    ({"isa": ISAS[0] + "\0"}, ValueError, "isa"),
    ({"isa": None}, TypeError, ""),
    ({"bidirectional": "yes"}, TypeError, ""),
]


@pytest.mark.parametrize(("change", "error", "named"), BAD_NETWORKS, ids=lambda value: str(value)[:60])
def test_bad_networks(change: dict[str, Any], error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=rf"^{named}: " if named else None):
        _core.Network32(**{**GOOD, **change})
    _core.Network32(**GOOD)


def test_objects_cannot_be_made_without_what_they_need() -> None:
    for kind in (_core.Network32, _core.Network64, _core.Tape32, _core.Tape64):
        with pytest.raises(TypeError):
            kind()  # type: ignore[call-arg]
    net = network()
    for made in (net, net.forward(X, H0, C0, False)[3]):
        for way in (copy.copy, copy.deepcopy, pickle.dumps):
            with pytest.raises(TypeError):
                way(made)


def test_classes_are_final() -> None:
    for kind in (_core.Network32, _core.Network64, _core.Tape32, _core.Tape64):
        with pytest.raises(TypeError):
            type("Sub", (kind,), {})


# Calls.

X, H0, C0 = inputs()

BAD_CALLS: list[tuple[tuple[Any, Any, Any], type[Exception], str]] = [
    ((None, None, None), TypeError, ""),
    ((3, None, None), TypeError, ""),
    ((X.tolist(), None, None), TypeError, ""),
    ((X.astype("float64"), None, None), TypeError, ""),
    ((X.astype("float16"), None, None), TypeError, ""),
    ((X.astype("int32"), None, None), TypeError, ""),
    ((X.astype(">f4"), None, None), TypeError, ""),
    ((X.astype(object), None, None), TypeError, ""),
    ((X.astype("S4"), None, None), TypeError, ""),
    ((X[0], None, None), ValueError, "x"),
    ((X[0, 0], None, None), ValueError, "x"),
    ((X[..., 0], None, None), ValueError, "x"),
    ((np.float32(1), None, None), TypeError, ""),
    ((np.array(1, "f"), None, None), ValueError, "x"),
    ((X[None], None, None), ValueError, "x"),
    ((X[..., :-1], None, None), ValueError, "x"),
    ((np.zeros((T, B, I + 1), "f"), None, None), ValueError, "x"),
    ((np.zeros((T, B, 0), "f"), None, None), ValueError, "x"),
    ((np.zeros((T, B, 2 * I), "f")[..., ::2], None, None), ValueError, "x"),
    ((X[..., ::-1], None, None), ValueError, "x"),
    ((np.asfortranarray(X), None, None), ValueError, "x"),
    ((X.transpose(0, 2, 1).copy().transpose(0, 2, 1), None, None), ValueError, "x"),
    ((np.broadcast_to(np.float32(1), X.shape), None, None), ValueError, "x"),
    ((unaligned(X), None, None), ValueError, "x"),
    ((np.zeros((T, B), np.dtype([("v", "f4", I), ("pad", "u1")]))["v"], None, None), ValueError, "x"),
    ((X, H0[:, :-1].copy(), C0), ValueError, "h0"),
    ((X, H0, C0[..., :-1].copy()), ValueError, "c0"),
    ((X, H0[0], C0), ValueError, "h0"),
    ((X, H0.astype("float64"), C0), TypeError, ""),
    ((X, H0, C0.tolist()), TypeError, ""),
    ((X, np.asfortranarray(H0), C0), ValueError, "h0"),
    ((X, H0[:, ::-1], C0), ValueError, "h0"),
    ((X, H0, unaligned(C0)), ValueError, "c0"),
    ((X, np.broadcast_to(H0[:, :1], H0.shape), C0), ValueError, "h0"),
    ((X, np.zeros((2, B, H), "f"), C0), ValueError, "h0"),
    ((X, np.zeros((0, B, H), "f"), C0), ValueError, "h0"),
]


@pytest.mark.parametrize("method", ["infer", "forward"])
@pytest.mark.parametrize(
    ("arguments", "error", "named"), BAD_CALLS, ids=lambda value: value if isinstance(value, str) else ""
)
def test_bad_calls(method: str, arguments: tuple[Any, Any, Any], error: type[Exception], named: str) -> None:
    net = network()
    before = net.infer(X, H0, C0, False)
    with pytest.raises(error, match=rf"^{named}: " if named else None):
        getattr(net, method)(*arguments, False)
    assert_same_bits(net.infer(X, H0, C0, False), before)


@pytest.mark.parametrize("cell", ["rnn_tanh", "rnn_relu"])
def test_an_rnn_has_no_memory(cell: str) -> None:
    net = network(cell)
    for method in (net.infer, net.forward):
        with pytest.raises(ValueError, match=r"^c0: "):
            method(X, H0, C0, False)
    y, h_n, c_n, tape = net.forward(X, H0, None, False)
    assert c_n is None
    with pytest.raises(ValueError, match=r"^dc_n: "):
        net.backward(tape, y, h_n, C0)
    assert net.backward(tape, y, h_n, None)[2] is None


def test_sizes_that_no_machine_has() -> None:
    """Arrays of a few bytes that stand for more numbers than there are addresses, and results likewise."""
    net = network(directions=2)
    for steps, rows in ((2**40, 2**18), (2**50, 1), (1, 2**50), (2**45, 2**4), (2**29, 2**29), (2**58, 1)):
        x = as_strided(np.zeros(I, np.float32), shape=(steps, rows, I), strides=(0, 0, 4))
        for method in (net.infer, net.forward):
            for batch_first in (False, True):
                with pytest.raises((MemoryError, ValueError)):
                    method(x, None, None, batch_first)
    # Results that are empty but for the state.
    for shape in ((0, 2**50, I), (0, 2**58, I)):
        with pytest.raises((MemoryError, ValueError)):
            net.infer(empty_of(*shape), None, None, False)
    # And a tape that is larger than what is returned.
    deep = network(layers=3)
    x = as_strided(np.zeros(I, np.float32), shape=(2**44, 1, I), strides=(0, 0, 4))
    with pytest.raises(MemoryError):
        deep.forward(x, None, None, False)


@pytest.mark.parametrize("cell", KINDS)
def test_no_rows_are_no_work_however_many_steps(cell: str) -> None:
    net = network(cell, layers=2, directions=2)
    for steps in (2**31, 2**55):
        y, h_n, _, tape = net.forward(empty_of(steps, 0, I), None, None, False)
        assert y.shape == (steps, 0, 2 * H)
        assert h_n.shape == (4, 0, H)
        dx, _, _, gradients = net.backward(tape, None, None, None)
        assert dx.shape == (steps, 0, I)
        assert not any(array.any() for array in gradients)


def test_strides_that_are_taken_are_followed() -> None:
    """Negative, zero, overlapping and padded strides of T and B are all right, and read nothing else."""
    net = network()
    wide = np.full((2 * T, 2 * B, I + 3), np.nan, np.float32)
    wide[::2, ::2, :I] = X
    overlapping = as_strided(random((T + B + I,)), shape=(T, B, I), strides=(4, 4, 4))
    views = [
        wide[::2, ::2, :I],
        X[::-1].copy()[::-1],
        X[:, ::-1].copy()[:, ::-1],
        np.broadcast_to(X[:1], X.shape),
        np.broadcast_to(X[:, :1], X.shape),
        overlapping,
        np.ascontiguousarray(X.swapaxes(0, 1)).swapaxes(0, 1),
    ]
    for x in views:
        copy = np.ascontiguousarray(x)
        y, h_n, c_n, tape = net.forward(x, H0, C0, False)
        expected_y, expected_h, expected_c, expected_tape = net.forward(copy, H0, C0, False)
        assert_same_bits((y, h_n, c_n), (expected_y, expected_h, expected_c))
        dy = as_strided(random((T + B + H,)), shape=(T, B, H), strides=(4, 4, 4))
        got, expected = net.backward(tape, dy, None, None), net.backward(expected_tape, dy.copy(), None, None)
        assert_same_bits((got[0], got[3]), (expected[0], expected[3]))


# Tapes.

NOTHING = """
import numpy as np
from lstmfast import _core
net = _core.Network32("lstm", 1, 1, 1, False, False, [np.zeros((4, 1), "f")] * 2, "scalar")
x = np.zeros((1, 1, 1), "f")
y, _, _, tape = net.forward(x, None, None, False)
half = _core.Network32.__new__(_core.Network32), _core.Tape32.__new__(_core.Tape32)
for call in (
    lambda: net.backward(None, y, None, None),
    lambda: net.backward(half[1], y, None, None),
    lambda: _core.Network32.infer(None, x, None, None, False),
    lambda: _core.Network32.forward(None, x, None, None, False),
    lambda: _core.Network32.backward(None, tape, y, None, None),
    lambda: _core.Network32.isa.fget(None),
    lambda: _core.Tape32.nbytes.fget(None),
    lambda: half[0].infer(x, None, None, False),
    lambda: half[0].isa,
    lambda: half[1].nbytes,
):
    try:
        call()
    except (TypeError, RuntimeError):
        continue
    raise SystemExit("no exception")
print("done")
"""


def test_nothing_in_the_place_of_an_object() -> None:
    """None, or an object that was never constructed. In a process of its own, to crash alone."""
    assert run_python(NOTHING) == "done\n"


def test_bad_tapes() -> None:
    net, other, double = network(), network(), network(dtype="float64")
    y, _, _, tape = net.forward(X, H0, C0, False)
    x64, h64, c64 = inputs("float64")
    y64, _, _, tape64 = double.forward(x64, h64, c64, False)
    with pytest.raises(ValueError, match=r"^tape: "):
        other.backward(tape, y, None, None)  # its twin
    for bad in (tape64, 3, "tape", net, y, object()):
        with pytest.raises(TypeError):
            net.backward(bad, y, None, None)
    with pytest.raises(TypeError):
        double.backward(tape, y64, None, None)
    net.backward(tape, y, None, None)
    double.backward(tape64, y64, None, None)


def test_bad_gradients() -> None:
    net = network()
    y, h_n, c_n, tape = net.forward(X, H0, C0, False)
    good = net.backward(tape, y, h_n, c_n)
    cases: list[tuple[tuple[Any, Any, Any], type[Exception], str]] = [
        ((y[:-1], h_n, c_n), ValueError, "dy"),
        ((y[..., :-1], h_n, c_n), ValueError, "dy"),
        ((y[:, 0], h_n, c_n), ValueError, "dy"),
        ((y.swapaxes(0, 1), h_n, c_n), ValueError, "dy"),
        ((y[..., ::-1], h_n, c_n), ValueError, "dy"),
        ((unaligned(y), h_n, c_n), ValueError, "dy"),
        ((np.asfortranarray(y), h_n, c_n), ValueError, "dy"),
        ((y.astype("float64"), h_n, c_n), TypeError, ""),
        ((y.tolist(), h_n, c_n), TypeError, ""),
        ((3, h_n, c_n), TypeError, ""),
        ((y, h_n[0], c_n), ValueError, "dh_n"),
        ((y, h_n[:, :-1].copy(), c_n), ValueError, "dh_n"),
        ((y, np.asfortranarray(h_n), c_n), ValueError, "dh_n"),
        ((y, unaligned(h_n), c_n), ValueError, "dh_n"),
        ((y, h_n, c_n[..., :-1].copy()), ValueError, "dc_n"),
        ((y, h_n, c_n.astype("float64")), TypeError, ""),
        ((y, h_n, np.zeros((2, B, H), "f")), ValueError, "dc_n"),
    ]
    for arguments, error, named in cases:
        with pytest.raises(error, match=rf"^{named}: " if named else None):
            net.backward(tape, *arguments)
    again = net.backward(tape, y, h_n, c_n)
    assert_same_bits(again[:3], good[:3])
    assert_same_bits(again[3], good[3])


def test_batch_first_is_the_tapes() -> None:
    net = network()
    y, _, _, tape = net.forward(np.ascontiguousarray(X.swapaxes(0, 1)), None, None, True)
    assert y.shape == (B, T, H)
    with pytest.raises(ValueError, match=r"^dy: "):
        net.backward(tape, np.zeros((T, B, H), "f"), None, None)
    assert net.backward(tape, y, None, None)[0].shape == (B, T, I)


def test_tape_keeps_what_it_refers_to() -> None:
    net = network()
    x = X.copy()
    references = sys.getrefcount(x)
    tape = net.forward(x, H0.copy(), C0.copy(), False)[3]
    assert sys.getrefcount(x) == references + 1
    wanted = [array.copy() for array in net.backward(tape, None, H0, C0)[3]]
    del x
    for _ in range(30):
        np.full((T, B, I), 1e9, "f")
        np.full((T, B, H), 1e9, "f")
    assert_same_bits(net.backward(tape, None, H0, C0)[3], wanted)


def test_nbytes_of_a_tape() -> None:
    _, _, _, tape = network(layers=2, directions=2).forward(X, None, None, False)
    places = T * B
    parts = 2 * [4 * B * H]  # h0 and c0
    parts += 4 * [places * 4 * H, places * H]  # gates and c
    parts += [places * 2 * H]  # between layers
    assert tape.nbytes == sum(-(-4 * numbers // 64) * 64 for numbers in parts)  # each from a cache line on
    with pytest.raises(AttributeError):
        tape.nbytes = 3
