"""Mistakes with streams: a message that names the argument, and a state that is as it was."""

from __future__ import annotations

import copy
import pickle
import re
from typing import Any, TypeAlias

import numpy as np
import pytest

import lstmfast
from lstmfast import _core

from ..core_helpers import unaligned
from ..helpers import assert_same_bits, make, random, random_state, random_x


def moved(model: Any, rows: int) -> Any:
    stream = model.stream(rows)
    stream.state = random_state(model, rows)
    return stream


Error: TypeAlias = type[Exception]


def refused(error: Error, match: str | None, stream: Any, name: str, *given: Any, **named: Any) -> None:
    """Check the exception of a method, and that the state is as before."""
    before = stream.state
    with pytest.raises(error, match=match):
        getattr(stream, name)(*given, **named)
    assert_same_bits(stream.state, before)


F32 = np.float32

# The forms of a call: a method, B, and x's axes before the last.
CALLS = [("step", 3, (3,)), ("step", 1, ()), ("run", 3, (7, 3)), ("run", 1, (7,))]

WRONG_FRAMES = {3: [(3, 2), (2, 4), (4, 3), (1, 3, 4), (3, 4, 1), (4,), (12,), (0, 4), (3, 0), ()]}
WRONG_FRAMES[1] = [(3,), (4, 1), (1, 1, 4), (2, 4), ()]


@pytest.mark.parametrize("rows", WRONG_FRAMES)
def test_frames(rows: int) -> None:
    stream = moved(make("lstm", 4, 5, num_layers=2), rows)
    expected = "(3, 4) [B, I]" if rows == 3 else "(1, 4) [B, I] or (4,) [I]"
    for shape in WRONG_FRAMES[rows]:
        match = f"^x: expected shape {re.escape(f'{expected}, got {shape}')}$"
        refused(ValueError, match, stream, "step", np.zeros(shape, F32))


@pytest.mark.parametrize(
    ("batch_first", "shape", "match"),
    [
        (False, (7, 3, 5), r"shape \[T, B, 4\] or, unbatched, \[T, 4\] .* got \(7, 3, 5\)$"),
        (False, (3, 5), r"shape \[T, B, 4\] or, unbatched, \[T, 4\] .* got \(3, 5\)$"),
        (False, (4,), r"shape \[T, B, 4\] or, unbatched, \[T, 4\] .* got \(4,\)$"),
        (False, (7, 2, 4), r"\[T, B, I\] with the stream's 3 rows, got 2$"),
        (False, (3, 7, 4), r"\[T, B, I\] with the stream's 3 rows, got 7$"),
        (False, (0, 2, 4), r"\[T, B, I\] with the stream's 3 rows, got 2$"),
        (False, (7, 4), r"\[T, B, I\] with the stream's 3 rows, got \[T, I\], which is one row$"),
        (True, (7, 3, 4), r"\[B, T, I\] with the stream's 3 rows, got 7$"),
        (True, (3, 4, 7), r"shape \[B, T, 4\] or, unbatched, \[T, 4\] .* got \(3, 4, 7\)$"),
    ],
)
def test_chunks(batch_first: bool, shape: tuple[int, ...], match: str) -> None:
    stream = moved(make("lstm", 4, 5, batch_first=batch_first), 3)
    refused(ValueError, f"^x: expected {match}", stream, "run", np.zeros(shape, F32))


NOT_REAL: dict[str, tuple[Any, Error, str]] = {
    "complex": (lambda x: x.astype(complex), TypeError, "one of dtype complex128$"),
    "object": (lambda x: x.astype(object), TypeError, "one of dtype object$"),
    "strings": (lambda x: x.astype(str), TypeError, "one of dtype <U32$"),
    "masked": (np.ma.masked_array, TypeError, "a masked array"),
    "ragged": (lambda x: [[1, 2], [3]], ValueError, "a list of length 2: "),
    "word": (lambda x: "frame", TypeError, r"'frame' \(str\), as an array of dtype <U5$"),
    "None": (lambda x: None, TypeError, "None, as an array of dtype object$"),
}


@pytest.mark.parametrize(("method", "rows", "shape"), CALLS)
@pytest.mark.parametrize("name", NOT_REAL)
def test_what_is_no_array_of_real_numbers(method: str, rows: int, shape: tuple[int, ...], name: str) -> None:
    spoil, error, got = NOT_REAL[name]
    match = f"^x: expected an array of real numbers, got {got}"
    refused(error, match, moved(make("lstm", 4, 5), rows), method, spoil(np.zeros((*shape, 4), F32)))


BAD_OUT: dict[str, tuple[Any, Error, str]] = {
    "width": (lambda y: y[..., :-1].copy(), ValueError, "SHAPE, got"),
    "axes": (lambda y: y[np.newaxis], ValueError, "SHAPE, got"),
    "form": (lambda y: y.reshape(-1, 1), ValueError, "SHAPE, got"),
    "dtype": (lambda y: y.astype("float64"), TypeError, "an array of dtype float32, got .* float64$"),
    "bytes": (lambda y: y.astype(">f4"), TypeError, "an array of dtype float32, got .* >f4$"),
    "strided": (lambda y: np.repeat(y, 2, axis=-1)[..., ::2], ValueError, "an aligned array in C order"),
    "Fortran": (lambda y: np.asfortranarray(y) if y.ndim > 1 else y[::-1], ValueError, "an aligned array in"),
    "unaligned": (unaligned, ValueError, "an aligned array in C order"),
    "read-only": (lambda y: np.frombuffer(bytes(y), F32).reshape(y.shape), ValueError, "a writeable array"),
    "masked": (np.ma.masked_array, TypeError, "an array of SHAPE, got a masked array$"),
    "list": (lambda y: y.tolist(), TypeError, "an array of SHAPE, got a list"),
    "pair": (lambda y: (y, y), TypeError, "an array of SHAPE, got a tuple"),
}


@pytest.mark.parametrize(("method", "rows", "shape"), CALLS)
@pytest.mark.parametrize("name", BAD_OUT)
def test_out(method: str, rows: int, shape: tuple[int, ...], name: str) -> None:
    spoil, error, match = BAD_OUT[name]
    axes = {0: "[H]", 1: "[B, H]" if method == "step" else "[T, H]", 2: "[T, B, H]"}[len(shape)]
    match = f"^out: expected {match.replace('SHAPE', re.escape(f'shape {(*shape, 5)} {axes}'))}"
    stream, x = moved(make("lstm", 4, 5), rows), np.ones((*shape, 4), F32)
    out = spoil(np.full((*shape, 5), 9, F32))
    for given in (x, x.tolist()):
        refused(error, match, stream, method, given, out=out)
    assert (np.asarray(out) == 9).all()


def test_out_that_is_also_x() -> None:
    stream = moved(make("lstm", 5, 5), 3)
    memory = np.zeros((4, 3, 5), F32)
    match = "^out: expected memory of its own, got some that x has, too$"
    refused(ValueError, match, stream, "step", memory[0], out=memory[0])
    refused(ValueError, match, stream, "run", memory[:3], out=memory[1:])
    refused(ValueError, match, stream, "step", memory[0], out=memory.reshape(-1)[1:16].reshape(3, 5))
    assert not memory.any()
    stream.step(memory[0], out=memory[1])  # neighbours are no overlap


@pytest.mark.parametrize(
    ("batch", "error", "match"),
    [
        (0, ValueError, "batch: expected an integer >= 1, got 0"),
        (-3, ValueError, "batch: expected an integer >= 1, got -3"),
        (1.5, TypeError, "batch: expected an integer >= 1, got 1.5"),
        (True, TypeError, "batch: expected an integer >= 1, got the bool True"),
        (None, TypeError, "batch: expected an integer >= 1, got None"),
        ("2", TypeError, "batch: expected an integer >= 1, got '2'"),
        (2**62, ValueError, "batch: 4611686018427387904 .* more than the address space"),
        (2**80, ValueError, "batch: expected an integer <= "),
        (2**48, MemoryError, ""),
    ],
    ids=str,
)
def test_batch(batch: Any, error: Error, match: str) -> None:
    with pytest.raises(error, match=f"^{match}"):
        make("lstm", 4, 5).stream(batch)


def test_models() -> None:
    for model in (make("lstm", 3, 4, bidirectional=True), make("rnn_tanh", 3, 4, bidirectional=True)):
        with pytest.raises(ValueError, match=r"^model: expected one direction.* got bidirectional=True"):
            model.stream()
    for other in (None, 3, lstmfast.LSTM, make("lstm", 3, 4).stream()):
        with pytest.raises(TypeError, match=r"^model: expected an LSTM, a GRU or an RNN"):
            lstmfast.Stream(other)  # type: ignore[arg-type]


HALF = np.zeros((2, 3, 5))


@pytest.mark.parametrize(
    ("kind", "state", "error", "match"),
    [
        ("lstm", HALF, TypeError, r"state: expected a pair \(h, c\), got an array"),
        ("lstm", (HALF,), ValueError, r"state: expected a pair \(h, c\), got a tuple of length 1"),
        ("lstm", 3, TypeError, r"state: expected a pair \(h, c\), got 3"),
        ("lstm", (HALF[..., 1:], None), ValueError, r"state: h: expected shape SHAPE, got \(2, 3, 4\)$"),
        ("lstm", (HALF[:, 0], None), ValueError, r"state: h: expected shape SHAPE, got \(2, 5\)$"),
        ("lstm", (None, HALF[1:]), ValueError, r"state: c: expected shape SHAPE, got \(1, 3, 5\)$"),
        ("lstm", (HALF + 0j, None), TypeError, "state: h: expected an array of real numbers, got one of"),
        ("lstm", (None, "c"), TypeError, "state: c: expected an array of real numbers, got 'c'"),
        (
            "lstm",
            ([[1], [1, 2]], None),
            ValueError,
            "state: h: expected an array of real numbers, got a list",
        ),
        ("rnn_tanh", (HALF, HALF), TypeError, "state: expected one array h"),
        ("rnn_tanh", HALF[:, 1:], ValueError, r"state: h: expected shape SHAPE, got \(2, 2, 5\)$"),
    ],
)
def test_states(kind: str, state: Any, error: Error, match: str) -> None:
    match = "^" + match.replace("SHAPE", r"\(2, 3, 5\) \[L\*D, B, H\]")
    refused(error, match, moved(make(kind, 4, 5, num_layers=2), 3), "__setattr__", "state", state)


@pytest.mark.parametrize(
    ("rows", "error", "match"),
    [
        (3, ValueError, "integers from 0 to 2, got 3$"),
        (-1, ValueError, "integers from 0 to 2, got -1$"),
        ([0, 2**40], ValueError, "integers from 0 to 2, got 1099511627776$"),
        (np.array([2**63], np.uint64), ValueError, "integers from 0 to 2, got 9223372036854775808$"),
        ([True, False], ValueError, r"3 bools \[B\], got \(2,\)$"),
        (True, ValueError, r"3 bools \[B\], got \(\)$"),
        ([[0, 1]], ValueError, r"one axis, got \(1, 2\)$"),
        ([0.0], TypeError, "integers from 0 to 2, or bools"),
        ("all", TypeError, "integers from 0 to 2, or bools"),
    ],
    ids=str,
)
def test_rows(rows: Any, error: Error, match: str) -> None:
    refused(error, f"^rows: expected {match}", moved(make("lstm", 4, 5), 3), "reset", rows)


def test_snapshots() -> None:
    stream = moved(make("lstm", 4, 5), 3)
    for other in (None, stream.state, stream):
        refused(TypeError, r"^snapshot: expected one from snapshot\(\)", stream, "restore", other)
    others = [make("lstm", 4, 5).stream(2), make("rnn_tanh", 4, 5).stream(3), make("lstm", 4, 6).stream(3)]
    for options in ({"num_layers": 2}, {"dtype": "float64"}, {"proj_size": 2}):
        others.append(make("lstm", 4, 5, **options).stream(3))
    for other in others:
        match = r"^snapshot: expected \(1, 3, 5\) and \(1, 3, 5\) of float32, got StreamSnapshot\("
        refused(ValueError, match, stream, "restore", other.snapshot())


def test_arguments_that_there_are_not() -> None:
    stream = moved(make("lstm", 4, 5), 3)
    x = np.zeros((3, 4), F32)
    for method in ("step", "run"):
        missing = "missing 1 required positional argument: 'x'"
        refused(TypeError, missing, stream, method)
        refused(TypeError, missing, stream, method, out=np.zeros((3, 5), F32))
        refused(TypeError, "takes 2 positional arguments but 3 were given", stream, method, x, x)
        refused(TypeError, "unexpected keyword argument 'state'", stream, method, x, state=None)
        refused(TypeError, "unexpected keyword argument 'more'", stream, method, x, out=None, more=1)
        refused(TypeError, "multiple values for argument 'x'", stream, method, x, x=x)
    for name in ("batch", "model", "nbytes"):
        refused(AttributeError, None, stream, "__setattr__", name, 3)


def test_objects_that_were_never_made() -> None:
    for cls in (lstmfast.Stream, lstmfast.StreamPool):
        empty = cls.__new__(cls)
        for name in ("step", "run", "reset", "open", "close", "state", "batch", "nbytes", "model", "ids"):
            with pytest.raises((AttributeError, TypeError)):
                getattr(empty, name)(np.zeros((1, 4), F32))
    model = make("lstm", 4, 5)
    stream: Any = lstmfast.Stream.__new__(lstmfast.Stream)
    uses: list[Any] = [repr, pickle.dumps, copy.copy, lambda s: s.snapshot(), lambda s: s.reset()]
    uses += [lambda s: setattr(s, "state", None), lambda s: s.restore(model.stream().snapshot())]
    uses += [lambda s: s.step(np.zeros(4, F32)), lambda s: s.run(np.zeros((2, 4), F32))]
    for use in uses:
        with pytest.raises(AttributeError):
            use(stream)
    stream._model = model
    cores: list[Any] = [3, model, _core.Stream32.__new__(_core.Stream32), model.stream_pool(1)._core]
    for core in (*cores, make("lstm", 4, 5, dtype="float64").stream()._core):
        stream._core = core
        for use in uses[-2:]:
            with pytest.raises((AttributeError, TypeError, RuntimeError)):
                use(stream)
    for name in ("Stream32", "Stream64", "StreamPool32", "StreamPool64"):
        made = getattr(_core, name)
        with pytest.raises((TypeError, RuntimeError)):
            made.read(made.__new__(made))
    with pytest.raises((AttributeError, TypeError)):
        lstmfast.Stream.step(model, np.zeros((1, 4), F32))


def test_the_core_by_itself() -> None:
    model = make("lstm", 4, 5)
    network, x = model._network, np.zeros((3, 4), F32)
    core = _core.Stream32(network, 3)
    others = [make("lstm", 4, 6), make("lstm", 4, 5, num_layers=2), make("lstm", 4, 5, bias=False)]
    others += [make("rnn_tanh", 4, 5), make("lstm", 4, 5, bidirectional=True)]
    rnn, double = _core.Stream32(others[3]._network, 2), make("lstm", 4, 5, dtype="float64")
    wide, h = np.zeros((4, 2, 4), F32), np.zeros((1, 2, 5), F32)
    calls: list[tuple[Error, str, Any, tuple[Any, ...]]] = [
        (ValueError, "^network: expected one direction", _core.Stream32, (others[-1]._network, 1)),
        (ValueError, "^rows: expected 1 to ", _core.Stream32, (network, 0)),
        (TypeError, "^network: expected a Network32, got Network64", core.step, (double._network, x)),
        (
            TypeError,
            "^x: expected an array of float32, got float64",
            core.step,
            (network, x.astype("float64")),
        ),
        (TypeError, "^x: expected an array of float32, got list", core.step, (network, x.tolist())),
        (TypeError, "^network: expected a Network32, got NoneType", core.step, (None, x)),
        (TypeError, "^self: expected a Stream32, got int", _core.Stream32.step, (3, network, x)),
        (ValueError, "^y: ", core.step, (network, x, np.zeros((3, 4), F32))),
        (ValueError, "^x: expected 3 rows, got 2", core.run, (network, wide, False)),
        (ValueError, "^rows: expected 0 to 2, got 3", core.clear, (np.array([0, 3]),)),
        (ValueError, "^h: ", core.write, (h, None)),
        (ValueError, "^c: expected None", rnn.write, (None, h)),
    ]
    wrong = (x[:2], x[:, :3], x[np.newaxis], np.asfortranarray(x))
    calls += [(ValueError, "^x: ", core.step, (network, array)) for array in wrong]
    calls += [(ValueError, "^network: ", core.step, (other._network, x)) for other in others]
    calls += [(ValueError, "^network: ", core.run, (other._network, x[None], False)) for other in others]
    for error, match, call, given in calls:
        with pytest.raises(error, match=match):
            call(*given)
    read = rnn.read()
    assert (read[0].shape, read[1]) == ((1, 2, 5), None)


def test_a_model_that_has_lost_its_network() -> None:
    model = make("lstm", 4, 5)
    stream = model.stream()
    del model._network
    with pytest.raises(AttributeError, match="_network"):
        stream.step(random((4,)))
    model._network = random_x
    with pytest.raises(TypeError):
        stream.step(random((4,)))
