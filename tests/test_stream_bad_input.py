"""Mistakes with streams: a message that names the argument, and a state that is as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers import assert_same_bits, make, random, random_state, random_x

import lstmfast
from lstmfast import _core


def moved(model: Any, rows: int) -> Any:
    stream = model.stream(rows)
    stream.state = random_state(model, rows)
    return stream


def refused(error: type[Exception], match: str | None, stream: Any, call: Any) -> None:
    """Check the exception, and that the state is as before."""
    before = stream.state
    with pytest.raises(error, match=match):
        call()
    assert_same_bits(stream.state, before)


F32 = np.float32


@pytest.mark.parametrize(
    ("x", "error", "match"),
    [
        (np.zeros((3, 2), F32), ValueError, r"^x: expected shape \(3, 4\) \[B, I\], got \(3, 2\)$"),
        (np.zeros((2, 4), F32), ValueError, r"^x: expected shape \(3, 4\) \[B, I\], got \(2, 4\)$"),
        (np.zeros((4, 3), F32), ValueError, r"^x: .* got \(4, 3\)$"),
        (np.zeros((1, 3, 4), F32), ValueError, r"^x: .* got \(1, 3, 4\)$"),
        (np.zeros(4, F32), ValueError, r"^x: .* got \(4,\)$"),
        (np.zeros(12, F32), ValueError, r"^x: .* got \(12,\)$"),
        (np.zeros((0, 4), F32), ValueError, r"^x: .* got \(0, 4\)$"),
        (np.float32(1), ValueError, r"^x: .* got \(\)$"),
        (np.zeros((3, 4), complex), TypeError, r"^x: expected an array of real numbers, got .*complex128$"),
        (np.zeros((3, 4), object), TypeError, "^x: expected an array of real numbers"),
        (np.ma.masked_array(np.zeros((3, 4))), TypeError, r"^x: .* got a masked array"),
        ([[1, 2], [3]], ValueError, "^x: expected an array of real numbers"),
        ("frame", TypeError, "^x: expected an array of real numbers"),
        (None, TypeError, "^x: expected an array of real numbers"),
    ],
    ids=str,
)
def test_frames(x: Any, error: type[Exception], match: str) -> None:
    stream = moved(make("lstm", 4, 5, num_layers=2), 3)
    refused(error, match, stream, lambda: stream.step(x))


def test_frames_of_a_single_row() -> None:
    stream = moved(make("lstm", 4, 5), 1)
    for shape in ((3,), (4, 1), (1, 1, 4), (2, 4)):
        match = r"^x: expected shape \(1, 4\) \[B, I\] or \(4,\) \[I\], got "
        refused(ValueError, match, stream, lambda shape=shape: stream.step(np.zeros(shape, F32)))


@pytest.mark.parametrize(
    ("shape", "match"),
    [
        ((7, 3, 5), r"^x: expected shape \[T, B, 4\] or, unbatched, \[T, 4\]"),
        ((3, 5), r"^x: expected shape \[T, B, 4\]"),
        ((4,), r"^x: expected shape \[T, B, 4\]"),
        ((7, 2, 4), r"^x: expected \[T, B, I\] with the stream's 3 rows, got 2$"),
        ((3, 7, 4), r"^x: expected \[T, B, I\] with the stream's 3 rows, got 7$"),
        ((7, 4), r"^x: expected \[T, B, I\] with the stream's 3 rows, got \[T, I\], which is one row$"),
    ],
)
def test_chunks(shape: tuple[int, ...], match: str) -> None:
    stream = moved(make("lstm", 4, 5), 3)
    refused(ValueError, match, stream, lambda: stream.run(np.zeros(shape, F32)))


def test_chunks_batch_first() -> None:
    stream = moved(make("lstm", 4, 5, batch_first=True), 3)
    match = r"^x: expected \[B, T, I\] with the stream's 3 rows, got 7$"
    refused(ValueError, match, stream, lambda: stream.run(np.zeros((7, 3, 4), F32)))


def read_only(array: Any) -> Any:
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("out", "error", "match"),
    [
        (np.zeros((3, 4), F32), ValueError, r"^out: expected shape \(3, 5\) \[B, H\], got \(3, 4\)$"),
        (np.zeros(5, F32), ValueError, r"^out: expected shape \(3, 5\)"),
        (np.zeros((1, 3, 5), F32), ValueError, r"^out: expected shape \(3, 5\)"),
        (np.zeros((3, 5)), TypeError, r"^out: expected an array of dtype float32, got .* float64$"),
        (np.zeros((5, 3), F32).T, ValueError, "^out: expected an aligned array in C order"),
        (read_only(np.zeros((3, 5), F32)), ValueError, "^out: expected a writeable array"),
        (np.ma.masked_array(np.zeros((3, 5), F32)), TypeError, "^out: .* got a masked array"),
        ([[0.0] * 5] * 3, TypeError, "^out: expected an array of shape"),
        ((np.zeros((3, 5), F32), None), TypeError, "^out: expected an array of shape"),
    ],
    ids=str,
)
def test_out(out: Any, error: type[Exception], match: str) -> None:
    stream = moved(make("lstm", 4, 5), 3)
    refused(error, match, stream, lambda: stream.step(np.zeros((3, 4), F32), out=out))
    more = out[np.newaxis] if isinstance(out, np.ndarray) and not np.ma.isMaskedArray(out) else out
    if getattr(out, "shape", None) != (5, 3) and not np.ma.isMaskedArray(out):
        match = match.replace(r"\(3, ", r"\(1, 3, ").replace("[B", "[T, B")
        match = match.replace("got \\(3, 4", "got \\(1, 3, 4")
        refused(error, match, stream, lambda: stream.run(np.zeros((1, 3, 4), F32), out=more))


def test_out_that_is_also_x() -> None:
    stream = moved(make("lstm", 5, 5), 3)
    memory = np.zeros((4, 3, 5), F32)
    match = "^out: expected memory of its own, got some that x has, too$"
    refused(ValueError, match, stream, lambda: stream.step(memory[0], out=memory[0]))
    refused(ValueError, match, stream, lambda: stream.run(memory[:3], out=memory[1:]))
    flat = memory.reshape(-1)
    shifted = flat[1:16].reshape(3, 5)
    refused(ValueError, match, stream, lambda: stream.step(memory[0], out=shifted))
    assert not memory.any()
    stream.step(memory[0], out=memory[1])  # neighbours are no overlap


@pytest.mark.parametrize(
    ("batch", "error", "match"),
    [
        (0, ValueError, "^batch: expected an integer >= 1, got 0"),
        (-3, ValueError, "^batch: expected an integer >= 1"),
        (1.5, TypeError, "^batch: expected an integer >= 1"),
        (True, TypeError, "^batch: expected an integer >= 1, got the bool True"),
        (None, TypeError, "^batch: "),
        ("2", TypeError, "^batch: "),
        (2**62, ValueError, "^batch: .* more than the address space"),
        (2**80, ValueError, "^batch: expected an integer <= "),
        (2**48, MemoryError, None),
    ],
    ids=str,
)
def test_batch(batch: Any, error: type[Exception], match: str | None) -> None:
    with pytest.raises(error, match=match):
        make("lstm", 4, 5).stream(batch)


def test_models() -> None:
    for model in (make("lstm", 3, 4, bidirectional=True), make("rnn_tanh", 3, 4, bidirectional=True)):
        with pytest.raises(ValueError, match=r"^model: expected one direction, got bidirectional=True"):
            model.stream()
    for other in (None, 3, lstmfast.LSTM, make("lstm", 3, 4).stream()):
        with pytest.raises(TypeError, match=r"^model: expected an LSTM or an RNN"):
            lstmfast.Stream(other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("state", "error", "match"),
    [
        (np.zeros((2, 3, 5)), TypeError, r"^state: expected a pair \(h, c\)"),
        ((np.zeros((2, 3, 5)),), ValueError, r"^state: expected a pair \(h, c\)"),
        (3, TypeError, r"^state: expected a pair \(h, c\)"),
        ((np.zeros((2, 3, 4)), None), ValueError, r"^state: h: expected shape \(2, 3, 5\) \[L\*D, B, H\]"),
        ((np.zeros((2, 5)), None), ValueError, r"^state: h: expected shape \(2, 3, 5\)"),
        ((None, np.zeros((1, 3, 5))), ValueError, r"^state: c: expected shape \(2, 3, 5\) \[L\*D, B, H\]"),
        ((np.zeros((2, 3, 5), complex), None), TypeError, "^state: h: expected an array of real numbers"),
        ((None, "c"), TypeError, "^state: c: expected an array of real numbers"),
    ],
    ids=str,
)
def test_states(state: Any, error: type[Exception], match: str) -> None:
    stream = moved(make("lstm", 4, 5, num_layers=2), 3)
    refused(error, match, stream, lambda: setattr(stream, "state", state))


def test_states_of_an_rnn() -> None:
    stream = moved(make("rnn_tanh", 4, 5), 3)
    pair = (np.zeros((1, 3, 5)), np.zeros((1, 3, 5)))
    refused(TypeError, "^state: expected one array h", stream, lambda: setattr(stream, "state", pair))


@pytest.mark.parametrize(
    ("rows", "error", "match"),
    [
        (3, ValueError, "^rows: expected integers from 0 to 2, got 3$"),
        (-1, ValueError, "^rows: expected integers from 0 to 2, got -1$"),
        ([0, 2**40], ValueError, "^rows: expected integers from 0 to 2, got 1099511627776$"),
        (
            np.array([2**63], np.uint64),
            ValueError,
            "^rows: expected integers from 0 to 2, got 9223372036854775808$",
        ),
        ([True, False], ValueError, r"^rows: expected 3 bools \[B\], got \(2,\)$"),
        (True, ValueError, r"^rows: expected 3 bools \[B\], got \(\)$"),
        ([[0, 1]], ValueError, r"^rows: expected one axis, got \(1, 2\)$"),
        ([0.0], TypeError, "^rows: expected integers from 0 to 2, or bools"),
        ("all", TypeError, "^rows: expected integers from 0 to 2, or bools"),
    ],
    ids=str,
)
def test_rows(rows: Any, error: type[Exception], match: str) -> None:
    stream = moved(make("lstm", 4, 5), 3)
    refused(error, match, stream, lambda: stream.reset(rows))


def test_snapshots() -> None:
    stream = moved(make("lstm", 4, 5), 3)
    for other in (None, stream.state, stream):
        refused(
            TypeError,
            r"^snapshot: expected one from snapshot\(\)",
            stream,
            lambda other=other: stream.restore(other),
        )
    models = {
        "other rows": make("lstm", 4, 5).stream(2),
        "layers": make("lstm", 4, 5, num_layers=2).stream(3),
        "size": make("lstm", 4, 6).stream(3),
        "cell": make("rnn_tanh", 4, 5).stream(3),
        "dtype": make("lstm", 4, 5, dtype="float64").stream(3),
        "projection": make("lstm", 4, 5, proj_size=2).stream(3),
    }
    for other in models.values():
        match = r"^snapshot: expected \(1, 3, 5\) and \(1, 3, 5\) of float32, got StreamSnapshot\("
        refused(ValueError, match, stream, lambda other=other: stream.restore(other.snapshot()))


def test_arguments_that_there_are_not() -> None:
    stream = moved(make("lstm", 4, 5), 3)
    x = np.zeros((3, 4), F32)
    for call in (
        lambda: stream.step(),
        lambda: stream.step(x, x),
        lambda: stream.step(x, state=None),
        lambda: stream.step(x, out=None, more=1),
        lambda: stream.run(),
        lambda: stream.run(x, x),
    ):
        refused(TypeError, "argument", stream, call)
    refused(AttributeError, None, stream, lambda: setattr(stream, "batch", 3))
    refused(AttributeError, None, stream, lambda: setattr(stream, "model", None))


def test_objects_that_were_never_made() -> None:
    for cls in (lstmfast.Stream, lstmfast.StreamPool):
        empty = cls.__new__(cls)
        for name in ("step", "run", "reset", "open", "close", "state", "batch", "nbytes", "model", "ids"):
            with pytest.raises((AttributeError, TypeError)):
                getattr(empty, name)(np.zeros((1, 4), F32))
    for core in ("Stream32", "Stream64", "StreamPool32", "StreamPool64"):
        cls = getattr(_core, core)
        with pytest.raises((TypeError, RuntimeError)):
            cls.read(cls.__new__(cls))
    with pytest.raises((AttributeError, TypeError)):
        lstmfast.Stream.step(make("lstm", 4, 5), np.zeros((1, 4), F32))


def test_the_core_by_itself() -> None:
    model = make("lstm", 4, 5)
    network, x = model._network, np.zeros((3, 4), F32)
    core = _core.Stream32(network, 3)
    others = [make("lstm", 4, 6), make("lstm", 4, 5, num_layers=2), make("lstm", 4, 5, bias=False)]
    others += [make("rnn_tanh", 4, 5), make("lstm", 4, 5, bidirectional=True)]
    for other in others:
        with pytest.raises(ValueError, match=r"^network: "):
            core.step(other._network, x)
        with pytest.raises(ValueError, match=r"^network: "):
            core.run(other._network, x[np.newaxis], False)
    with pytest.raises(ValueError, match=r"^network: expected one direction"):
        _core.Stream32(others[-1]._network, 1)
    with pytest.raises(ValueError, match=r"^rows: expected 1 to "):
        _core.Stream32(network, 0)
    with pytest.raises(TypeError):
        core.step(make("lstm", 4, 5, dtype="float64")._network, x)
    with pytest.raises(TypeError):
        core.step(network, x.astype("float64"))
    for wrong in (x[:2], x[:, :3], x[np.newaxis], np.asfortranarray(x)):
        with pytest.raises(ValueError, match=r"^x: "):
            core.step(network, wrong)
    with pytest.raises(ValueError, match=r"^y: "):
        core.step(network, x, np.zeros((3, 4), F32))
    with pytest.raises(ValueError, match=r"^x: expected 3 rows, got 2"):
        core.run(network, np.zeros((4, 2, 4), F32), False)
    with pytest.raises(ValueError, match=r"^rows: expected 0 to 2, got 3"):
        core.clear(np.array([0, 3]))
    with pytest.raises(ValueError, match=r"^h: "):
        core.write(np.zeros((1, 2, 5), F32), None)
    rnn = _core.Stream32(others[3]._network, 2)
    with pytest.raises(ValueError, match=r"^c: expected None"):
        rnn.write(None, np.zeros((1, 2, 5), F32))
    h, c = rnn.read()
    assert (h.shape, c) == ((1, 2, 5), None)


def test_a_model_that_has_lost_its_network() -> None:
    model = make("lstm", 4, 5)
    stream = model.stream()
    del model._network
    with pytest.raises(AttributeError, match="_network"):
        stream.step(random((4,)))
    model._network = random_x
    with pytest.raises(TypeError):
        stream.step(random((4,)))
