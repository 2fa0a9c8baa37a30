"""The way of usual arguments past Python: the same results, the same errors, and nothing leaks."""

from __future__ import annotations

import gc
import inspect
import sys
from typing import Any

import numpy as np
import pytest
from helpers import ISAS
from numpy.typing import NDArray

import lstmfast

GENERAL = lstmfast.LSTM.__call__.__wrapped__  # type: ignore[attr-defined]


def model(cell: str, **options: Any) -> Any:
    cls = lstmfast.LSTM if cell == "lstm" else lstmfast.RNN
    return cls(3, 5, **options, seed=1)


def leaves(result: object) -> list[NDArray[Any]]:
    if isinstance(result, tuple):
        return [leaf for part in result for leaf in leaves(part)]
    assert isinstance(result, np.ndarray)
    return [result]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("cell", ["lstm", "rnn"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("with_state", ["no", "None", "yes"])
def test_same_as_the_general_way(
    isa: str, dtype: str, cell: str, bidirectional: bool, batch_first: bool, with_state: str
) -> None:
    m = model(cell, num_layers=2, dtype=dtype, bidirectional=bidirectional, batch_first=batch_first, isa=isa)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 4, 3)).astype(dtype)
    rows = 2 if batch_first else 4
    h = rng.standard_normal((4 if bidirectional else 2, rows, 5)).astype(dtype)
    state = {"no": (), "None": (None,), "yes": ((h, 2 * h) if cell == "lstm" else h,)}[with_state]
    fast, general = m(x, *state), GENERAL(m, x, *state)
    assert type(fast) is type(general)
    for a, b in zip(leaves(fast), leaves(general), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype == np.dtype(dtype)
        assert a.flags.c_contiguous
        assert a.flags.writeable
        assert a.flags.owndata
        assert a.tobytes() == b.tobytes()


def test_usual_arguments_do_not_pass_through_python(monkeypatch: pytest.MonkeyPatch) -> None:
    m = model("lstm")
    x = np.zeros((4, 1, 3), np.float32)

    def fail(*_args: object, **_kwargs: object) -> None:
        raise AssertionError("the general way was taken")

    monkeypatch.setattr(type(m), "_take", fail)
    _, state = m(x)
    m(x, state)
    m(x, None)
    for unusual in (
        x.astype(np.float64),
        x[0],
        x[::2],
        x.tolist(),
        np.asfortranarray(np.zeros((2, 4, 3), np.float32)),
    ):
        with pytest.raises(AssertionError, match="general way"):
            m(unusual)
    for unusual in (
        list(state),
        (state[0], None),
        (state[0][:, ::-1].copy()[:, ::-1], state[1].astype(np.float64)),
    ):
        with pytest.raises(AssertionError, match="general way"):
            m(x, unusual)
    with pytest.raises(AssertionError, match="general way"):
        m(x, state=state)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 1, 4), np.float32),), r"x: expected shape .* got \(2, 1, 4\)"),
        ((np.zeros((2, 1, 3), np.complex64),), "x: expected an array of real numbers"),
        ((np.zeros((2, 1, 3), np.float32), np.zeros((1, 1, 5), np.float32)), "state: expected a pair"),
        (
            (np.zeros((2, 1, 3), np.float32), (np.zeros((1, 2, 5), np.float32),) * 2),
            r"h_0: expected shape \(1, 1, 5\)",
        ),
        ((np.zeros((2, 1, 3), np.float32), (np.zeros((1, 1, 5), np.float32),) * 3), "state: expected a pair"),
        ((), "missing 1 required positional argument: 'x'"),
        ((1, 2, 3), "takes from 2 to 3 positional arguments"),
    ],
)
def test_mistakes_get_the_general_messages(arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        model("lstm")(*arguments)


def test_looks_like_the_function_it_wraps() -> None:
    call = lstmfast.LSTM.__call__
    assert inspect.getdoc(call) == inspect.getdoc(GENERAL)
    assert list(inspect.signature(call).parameters) == ["self", "x", "state", "lengths", "reset"]
    bound = model("lstm").__call__
    assert inspect.ismethod(bound)
    y, _ = bound(np.zeros((2, 1, 3), np.float32))
    assert y.shape == (2, 1, 5)


def test_a_subclass_may_have_its_own_call() -> None:
    class Doubled(lstmfast.LSTM):
        def __call__(self, x: Any, state: Any = None, **options: Any) -> Any:
            y, last = super().__call__(x, state, **options)
            return 2 * y, last

    x = np.ones((2, 1, 3), np.float32)
    np.testing.assert_array_equal(Doubled(3, 5, seed=1)(x)[0], 2 * model("lstm")(x)[0])


def test_without_a_network_the_general_way_reports_it() -> None:
    unfinished = lstmfast.LSTM.__new__(lstmfast.LSTM)
    with pytest.raises(AttributeError):
        unfinished(np.zeros((2, 1, 3), np.float32))


def test_nothing_leaks() -> None:
    m = model("lstm")
    x = np.zeros((2, 1, 3), np.float32)
    _, state = m(x)

    def calls() -> None:
        for _ in range(50):
            m(x, state)
            m(x)
            m(x.tolist())

    calls()
    gc.collect()
    before = [sys.getrefcount(o) for o in (m, x, state, state[0], m._network, x.dtype, GENERAL, None)][:-1]
    blocks = sys.getallocatedblocks()
    calls()
    gc.collect()
    assert [sys.getrefcount(o) for o in (m, x, state, state[0], m._network, x.dtype, GENERAL, None)][
        :-1
    ] == before
    assert sys.getallocatedblocks() - blocks < 50
