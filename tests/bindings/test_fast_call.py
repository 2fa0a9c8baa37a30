"""A call with usual arguments skips Python, all others do not: nobody can tell the two ways apart."""

from __future__ import annotations

import inspect
import pickle
import sys
from typing import Any

import numpy as np
import pytest

import lstmfast
from lstmfast import _core

from ..core_helpers import state_like, unaligned
from ..helpers import assert_same_bits, make, random, random_state, random_x


def general(model: Any) -> Any:
    """The way through Python."""
    call: Any = type(model).__call__
    return call.__wrapped__


def outcome(call: Any, *arguments: Any, **named: Any) -> Any:
    """A result, or what was raised."""
    try:
        return call(*arguments, **named)
    except Exception as error:
        return type(error), str(error)


def assert_same(model: Any, *arguments: Any, **named: Any) -> None:
    fast = outcome(model, *arguments, **named)
    slow = outcome(general(model), model, *arguments, **named)
    if isinstance(slow[0], type) or isinstance(fast[0], type):
        assert fast == slow
    else:
        assert type(fast) is type(slow) is tuple
        assert isinstance(fast[1], tuple) == isinstance(slow[1], tuple)
        assert_same_bits(fast, slow)


@pytest.mark.parametrize("options", [{}, {"num_layers": 3, "bidirectional": True}, {"batch_first": True}])
def test_same_results(kind: str, dtype: str, isa: str, options: dict[str, Any]) -> None:
    for H in (1, 17, 80):  # below and above the work for which the GIL is released
        model = make(kind, 3, H, dtype=dtype, isa=isa, **options)
        for T, B in ((1, 1), (1, 9), (12, 1), (12, 9), (0, 3), (3, 0)):
            x, state = random_x(model, T, B), random_state(model, B)
            for arguments in ((x,), (x, None), (x, state)):
                assert_same(model, *arguments)


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_a_dtype_is_known_by_what_it_is(name: str) -> None:
    """Arrays that were pickled, as processes of workers send them, have one of their own."""

    class Fast:
        __call__ = _core.fast_call(lambda *_: "the way through Python")

    model = make("lstm", 3, 4, dtype=name)
    fast: Any = Fast()
    fast._network, fast._batch_first = model._network, False
    x = random_x(model, 5, 2)
    pickled = pickle.loads(pickle.dumps(x))
    assert pickled.dtype is not x.dtype
    noted = x.view(np.dtype(name, metadata={"unit": "m"}))
    for usual in (x, pickled, noted):
        assert_same_bits(fast(usual)[0], model(x)[0])
    word = x.view(name.replace("float", "int"))  # numbers of as many bytes
    for odd in (x.astype(x.dtype.newbyteorder()), word, x.view("V" + str(x.itemsize)), x.astype("float16")):
        assert fast(odd) == "the way through Python"


def odd_arguments(model: Any) -> list[tuple[Any, ...]]:
    """What the fast way must not take for usual."""
    x, state = random_x(model, 5, 2), random_state(model, 2)
    other = "float64" if model.dtype == np.float32 else "float32"
    arrays: list[Any] = [
        x.astype(other),
        x.astype("float16"),
        x.astype(x.dtype.newbyteorder()),
        x.astype("int8"),
        x.tolist(),
        np.asfortranarray(x),
        x[::-1],
        x[:, ::-1],
        np.broadcast_to(x[:1], x.shape),
        unaligned(x),
        x[0],
        x[0, 0],
        x[None],
        x[..., :-1],
        np.zeros((5, 2, 0), x.dtype),
        x.view(np.recarray),
        np.ma.masked_array(x),
        np.frombuffer(x.tobytes(), x.dtype).reshape(x.shape),
        memoryview(x),  # type: ignore[arg-type]
        None,
        3,
        "x",
        object(),
    ]
    calls: list[tuple[Any, ...]] = [(array, *rest) for array in arrays for rest in ((), (state,))]
    h = state[0] if isinstance(state, tuple) else state
    states: list[Any] = [
        h.astype(other),
        h.tolist(),
        np.asfortranarray(h),
        unaligned(h),
        h[:, :1],
        h[..., :-1],
        h[0],
        np.concatenate([h, h]),
        None,
        3,
        "h",
    ]
    for odd in states:
        calls += [(x, state_like(model, odd, h)), (x, state_like(model, h, odd))]
    calls += [(x, (h,)), (x, (h, h, h)), (x, [h, h]), (x, ()), (x, h), (x, (h, h)), (x, {"h": h})]
    return [*calls, (), (x, state, None), (x, state, None, None)]


def test_odd_arguments(kind: str, dtype: str) -> None:
    for options in ({}, {"batch_first": True}):
        model = make(kind, 3, 6, dtype=dtype, **options)
        calls = odd_arguments(model)
        assert len(calls) > 70
        for arguments in calls:
            assert_same(model, *arguments)


def test_keywords(kind: str) -> None:
    model = make(kind, 3, 6)
    x, state = random_x(model, 5, 2), random_state(model, 2)
    for named in (
        {"state": state},
        {"state": None},
        {"lengths": None},
        {"reset": None},
        {"lengths": [5, 5]},
        {"lengths": [5, 3]},
        {"lengths": [5, 6]},
        {"lengths": [5, 0], "reset": np.eye(5, 2, -1, bool)},
        {"mask": None},
        {"mask": np.eye(5, 2, -1, bool)},
        {"reset": np.eye(2, 5, dtype=bool)},
        {"hidden": 1},
        {"x": x},
    ):
        assert_same(model, x, **named)
    assert_same(model, x=x)
    assert_same(model, x=x, state=state)


def test_anything_for_self() -> None:
    """What carries the attributes but is no model, and what carries other things under their names."""
    call = lstmfast.LSTM.__call__
    x = np.zeros((1, 1, 3), np.float32)

    class Odd:
        _batch_first = False
        _network: Any = None

    for network in (None, 3, x, _core, make("lstm", 3, 4)):
        odd = Odd()
        odd._network = network
        with pytest.raises((AttributeError, TypeError)):
            call(odd, x)  # type: ignore[call-overload]
    half = Odd()
    half._network = _core.Network32.__new__(_core.Network32)
    with pytest.raises((AttributeError, TypeError, RuntimeError)):
        call(half, x)  # type: ignore[call-overload]
    for bad in (None, 3, object(), x):
        with pytest.raises((AttributeError, TypeError)):
            call(bad, x)  # type: ignore[call-overload]
    with pytest.raises(TypeError):
        call()  # type: ignore[call-overload]


def test_results_are_new_and_nothing_leaks(kind: str) -> None:
    model = make(kind, 3, 6)
    x, state = random_x(model, 5, 2), random_state(model, 2)
    watched = [x, x.dtype, state, model, model._network, *(state if isinstance(state, tuple) else ())]

    def counts() -> list[int]:
        return [sys.getrefcount(thing) for thing in watched]

    y, end = model(x, state)
    for array in (y, *(end if isinstance(end, tuple) else (end,))):
        assert array.flags.owndata
        assert array.flags.writeable
        assert array.flags.c_contiguous
        assert not np.shares_memory(array, x)
    del y, end, array
    before = counts()
    for _ in range(1000):
        model(x, state)
        model(x)
        outcome(model, x, 3)
        outcome(model, x[..., :2])
    # A leak is a reference for each of a thousand calls; other threads may hold one for a moment.
    assert all(abs(after - first) < 100 for first, after in zip(before, counts(), strict=True))


def test_it_looks_like_a_method() -> None:
    call = lstmfast.LSTM.__call__
    assert call.__name__ == "__call__"
    assert call.__doc__ == general(lstmfast.LSTM(1, 1)).__doc__
    names = ["self", "x", "state", "lengths", "reset", "mask", "reset_to", "return_c", "out"]
    assert list(inspect.signature(call).parameters) == names

    class Twice(lstmfast.LSTM):
        def __call__(self, x: Any, state: Any = None, **options: Any) -> Any:
            y, end = super().__call__(x, state, **options)
            return 2 * y, end

    model, twice = lstmfast.LSTM(3, 4, seed=0), Twice(3, 4, seed=0)
    x = random((5, 2, 3))
    assert_same_bits(twice(x)[0], 2 * model(x)[0])
    bound = model.__call__
    assert_same_bits(bound(x), model(x))
