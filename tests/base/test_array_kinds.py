"""Whatever an array is like, results have the bits that a clean copy gives, and it is left as it was."""

from __future__ import annotations

import array as stdlib_array
import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ..helpers import KINDS, Array, assert_same_bits, everything, has_memory, make, random

T, B, INPUT, HIDDEN = 6, 4, 3, 5


def integers(shape: tuple[int, ...], seed: int = 0) -> Array:
    """Numbers that every dtype below can hold exactly, as float64."""
    return np.random.default_rng(seed).integers(0, 2, shape).astype("float64")


def test_numbers_beyond_float32_become_infinite_without_a_word(kind: str) -> None:
    # Warnings are errors in these tests. The last is a signalling NaN, which a conversion makes a quiet one.
    x = np.array([1e39, -1e39, 1e300, 0, 0, 0, 0, 0, 0]).reshape(3, 1, 3)
    x.view(np.uint64)[2, 0, 0] = 0x7FF0000000000001
    single = np.array([np.inf, -np.inf, np.inf, 0, 0, 0, np.nan, 0, 0], "float32").reshape(3, 1, 3)
    model = make(kind, 3, 5)
    assert_same_bits(model(x)[0], model(single)[0])
    assert_same_bits(model(x[:, 0])[0], model(single[:, 0])[0])
    y, _, tape = model.forward(single[1:2])
    assert_same_bits(
        model.backward(tape, np.full(y.shape, 1e39)).x, model.backward(tape, np.full(y.shape, np.inf, "f4")).x
    )
    model.update({"weight_hh_l0": np.full(model.parameters["weight_hh_l0"].shape, -1e39)})
    assert (model.parameters["weight_hh_l0"] == -np.inf).all()


def every_other(array: Array) -> Array:
    """The same numbers with a gap after each along every axis, as in a slice with steps of 2."""
    wide = np.full([2 * n for n in array.shape], np.nan, array.dtype)
    view = wide[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


def backwards(array: Array) -> Array:
    """The same numbers with all strides negative."""
    everywhere = tuple(slice(None, None, -1) for _ in array.shape)
    return np.ascontiguousarray(array[everywhere])[everywhere]


def unaligned(array: Array) -> Array:
    """The same numbers, one byte off."""
    buffer = np.zeros(array.nbytes + 1, np.uint8)[1:]
    view = buffer.view(array.dtype).reshape(array.shape)
    view[...] = array
    assert not view.flags.aligned
    return view


def odd_strides(array: Array) -> Array:
    """The same numbers in records whose size is no multiple of theirs."""
    records = np.zeros(array.shape, np.dtype([("value", array.dtype), ("pad", "u1")]))
    records["value"] = array
    return records["value"]


def odd_rows(array: Array) -> Array:
    """The same numbers with a dense last axis, in rows one byte longer than they need be."""
    rows = np.zeros(array.shape[:-1], np.dtype([("values", array.dtype, array.shape[-1:]), ("pad", "u1")]))
    rows["values"] = array
    return rows["values"]


def odd_steps(array: Array) -> Array:
    """The same numbers, dense but for one byte after each entry of the first axis."""
    steps = np.zeros(array.shape[:1], np.dtype([("values", array.dtype, array.shape[1:]), ("pad", "u1")]))
    steps["values"] = array
    return steps["values"]


def axes_swapped(array: Array) -> Array:
    """The same numbers with the first two axes in the other order in memory; the last one dense."""
    return np.ascontiguousarray(array.swapaxes(0, 1)).swapaxes(0, 1)


def padded(array: Array) -> Array:
    """The same numbers as the front part of longer rows."""
    wide = np.full((*array.shape[:-1], array.shape[-1] + 3), np.nan, array.dtype)
    wide[..., : array.shape[-1]] = array
    return wide[..., : array.shape[-1]]


def read_only(array: Array) -> Array:
    """A copy that cannot be written to."""
    copy = array.copy()
    copy.flags.writeable = False
    return copy


class Subclass(np.ndarray):
    """Its arithmetic would give itself away."""

    def __array_finalize__(self, obj: Any) -> None: ...


class Foreign:
    """Another library's array."""

    def __init__(self, array: Array) -> None:
        self._array = array

    def __array__(self, dtype: Any = None, copy: Any = None) -> Array:
        return self._array if dtype is None else self._array.astype(dtype)


# Same numbers, same dtype, other memory.
LAYOUTS: dict[str, Callable[[Array], Any]] = {
    "fortran": np.asfortranarray,
    "every other": every_other,
    "backwards": backwards,
    "unaligned": unaligned,
    "odd strides": odd_strides,
    "odd rows": odd_rows,
    "odd steps": odd_steps,
    "axes swapped": axes_swapped,
    "padded": padded,
    "read-only": read_only,
    "subclass": lambda array: array.view(Subclass),
    "foreign": Foreign,
    "memoryview": lambda array: np.ascontiguousarray(array).data,
    "nested lists": lambda array: array.tolist(),
    "nested tuples": lambda array: [tuple(map(np.asarray, row)) for row in array],
    "metadata": lambda array: array.astype(np.dtype(array.dtype, metadata={"unit": "m"})),
}

# Other dtypes; the numbers are 0 and 1.
OTHER_DTYPES = [
    "bool",
    *(f"{sign}{size}" for sign in "iu" for size in (1, 2, 4, 8)),
    "float16",
    "float32",
    "float64",
    "longdouble",
    ">f4",
    "<f4",
    ">f8",
    "<f8",
    ">i2",
]


def arguments(model: Any, make_array: Callable[[tuple[int, ...], int], Array]) -> dict[str, Any]:
    """What a round through the model takes, each array made by `make_array(shape, seed)`."""
    depth = model.num_layers * (2 if model.bidirectional else 1)
    width = HIDDEN * (2 if model.bidirectional else 1)
    state, dstate = (
        [make_array((depth, B, HIDDEN), seed + n) for n in range(2 if model._KIND.has_memory else 1)]
        for seed in (20, 30)
    )
    return {
        "x": make_array((T, B, INPUT), 1),
        "state": state,
        "dy": make_array((T, B, width), 2),
        "dstate": dstate,
    }


def converted(arguments: dict[str, Any], convert: Callable[[Array], Any]) -> dict[str, Any]:
    """The same with every array converted, and states as models take them."""

    def state(halves: list[Array]) -> Any:
        return tuple(map(convert, halves)) if len(halves) == 2 else convert(halves[0])

    return {
        "x": convert(arguments["x"]),
        "state": state(arguments["state"]),
        "dy": convert(arguments["dy"]),
        "dstate": state(arguments["dstate"]),
    }


def snapshot(arguments: dict[str, Any]) -> dict[str, list[Any]]:
    """Copies of the converted arguments' numbers."""
    return {
        name: [np.array(part, "float64") for part in (value if isinstance(value, tuple) else [value])]
        for name, value in arguments.items()
    }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_layouts(kind: str, dtype: str, isa: str, layout: str) -> None:
    model = make(kind, INPUT, HIDDEN, dtype=dtype, isa=isa, num_layers=2, bidirectional=True)
    clean = arguments(model, lambda shape, seed: random(shape, dtype, seed))
    expected = everything(model, **converted(clean, np.array))
    odd = converted(clean, LAYOUTS[layout])
    before = snapshot(odd)
    assert_same_bits(everything(model, **odd), expected)
    assert_same_bits(snapshot(odd), before)
    for name in odd:  # one odd array among clean ones
        assert_same_bits(everything(model, **{**converted(clean, np.array), name: odd[name]}), expected)


@pytest.mark.parametrize("other", OTHER_DTYPES)
def test_dtypes(kind: str, dtype: str, isa: str, other: str) -> None:
    model = make(kind, INPUT, HIDDEN, dtype=dtype, isa=isa, num_layers=2)
    clean = arguments(model, integers)
    expected = everything(model, **converted(clean, lambda array: array.astype(dtype)))
    odd = converted(clean, lambda array: array.astype(other))
    before = snapshot(odd)
    assert_same_bits(everything(model, **odd), expected)
    assert_same_bits(snapshot(odd), before)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_batch_first_and_unbatched_layouts(kind: str, layout: str) -> None:
    model = make(kind, INPUT, HIDDEN, batch_first=True)
    for shape in ((B, T, INPUT), (T, INPUT)):
        x = random(shape, "float32", 1)
        assert_same_bits(model(LAYOUTS[layout](x)), model(x))


def test_numbers_are_rounded_to_the_models_dtype(kind: str) -> None:
    model = make(kind, INPUT, HIDDEN)
    x = random((T, B, INPUT), "float64")
    assert (x.astype("float32") != x).any()
    assert_same_bits(model(x), model(x.astype("float32")))


@pytest.mark.parametrize("what", ["first", "second", "both", "all"])
def test_broadcast_arrays(kind: str, isa: str, what: str) -> None:
    model = make(kind, INPUT, HIDDEN, isa=isa)
    small = {"first": (1, B, INPUT), "second": (T, 1, INPUT), "both": (1, 1, INPUT), "all": (1, 1, 1)}[what]
    x = np.broadcast_to(random(small), (T, B, INPUT))
    assert 0 in x.strides
    expected = everything(model, x.copy(), dy=np.ones((T, B, HIDDEN), "float32"))
    assert_same_bits(everything(model, x, dy=np.broadcast_to(np.float32(1), (T, B, HIDDEN))), expected)


@pytest.mark.parametrize("batch_first", [False, True])
def test_axes_of_length_one_with_any_stride(kind: str, isa: str, batch_first: bool) -> None:
    """NumPy calls such arrays contiguous whatever these strides are; newaxis makes them 0."""
    series = random((T,))
    strange = np.lib.stride_tricks.as_strided(series, (T, 1, 1), (4, 12345, 54321))
    model = make(kind, 1, 1, isa=isa, batch_first=batch_first)
    for view in (series[:, None, None], strange):
        x = view.swapaxes(0, 1) if batch_first else view
        expected = everything(model, x.copy().reshape(x.shape))
        assert_same_bits(everything(model, x), expected)
    state: Any = random((1,))[:, None, None]
    state = state if not has_memory(kind) else (state, state)
    copies = tuple(map(np.array, state)) if has_memory(kind) else state.copy()
    assert_same_bits(model(x, state), model(x, copies))


def test_buffers_that_are_no_arrays(tmp_path: Path) -> None:
    model = make("lstm", 1, HIDDEN)
    numbers = random((T,))
    expected = model(numbers[:, None, None])
    pointer = np.ctypeslib.as_array(ctypes.pointer((ctypes.c_float * T)(*numbers.tolist())).contents)
    np.save(tmp_path / "x.npy", numbers)
    for buffer in (
        pointer,
        np.asarray(stdlib_array.array("f", numbers.tolist())),
        np.load(tmp_path / "x.npy", mmap_mode="r"),
    ):
        assert_same_bits(model(buffer[:, None, None]), expected)


def test_a_matrix_is_unbatched_input() -> None:
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.asmatrix(random((T, INPUT)))
    y, (h, c) = make("lstm", INPUT, HIDDEN)(matrix)
    assert {type(array) for array in (y, h, c)} == {np.ndarray}
    assert y.shape == (T, HIDDEN)


@pytest.mark.parametrize("convert", [*LAYOUTS.values()], ids=[*LAYOUTS])
def test_weights_of_any_layout(kind: str, dtype: str, convert: Callable[[Array], Any]) -> None:
    if convert in (axes_swapped,):
        convert = np.asfortranarray  # biases have one axis
    if convert is LAYOUTS["nested tuples"]:
        convert = LAYOUTS["nested lists"]
    source = make(kind, INPUT, HIDDEN, dtype=dtype, seed=1)
    weights = {name: convert(array) for name, array in source.state_dict().items()}
    whole, piecewise = (make(kind, INPUT, HIDDEN, dtype=dtype, seed=2) for _ in range(2))
    whole.load_state_dict(weights)
    for name, array in weights.items():
        piecewise.update({name: array})
    assert_same_bits(whole.state_dict(), source.state_dict())
    assert_same_bits(piecewise.state_dict(), source.state_dict())
    x = random((T, B, INPUT), dtype)
    assert_same_bits(everything(whole, x), everything(source, x))
    assert all(type(array) is np.ndarray and array.flags.c_contiguous for array in whole.parameters.values())


@pytest.mark.parametrize("other", OTHER_DTYPES)
def test_weights_of_any_dtype(kind: str, dtype: str, other: str) -> None:
    model = make(kind, INPUT, HIDDEN, dtype=dtype)
    weights = {name: integers(array.shape) for name, array in model.parameters.items()}
    model.load_state_dict({name: array.astype(other) for name, array in weights.items()})
    assert_same_bits(model.state_dict(), {name: array.astype(dtype) for name, array in weights.items()})


@st.composite
def views(draw: st.DrawFn, shape: tuple[int, ...]) -> Array:
    """An array of this shape, of float32 numbers, with strides of any kind."""
    order = draw(st.permutations(range(len(shape))))
    steps = [draw(st.sampled_from([1, 2, 3, -1, -2])) for _ in shape]
    starts = [draw(st.integers(0, 2)) for _ in shape]
    wide = [start + abs(step) * n + 1 for start, step, n in zip(starts, steps, shape, strict=True)]
    memory = np.full([wide[axis] for axis in order], np.nan, "float32")
    whole = memory.transpose(np.argsort(order))
    slices = []
    for start, step, n in zip(starts, steps, shape, strict=True):
        one_way = slice(start, start + abs(step) * n, abs(step))
        slices.append(one_way)
    view = whole[tuple(slices)]
    view = view[tuple(slice(None, None, 1 if step > 0 else -1) for step in steps)]
    assert view.shape == shape
    view[...] = random(shape, seed=draw(st.integers(0, 10)))
    return view


@given(data=st.data(), kind=st.sampled_from(KINDS), batch_first=st.booleans())
@settings(max_examples=100)
def test_strides_of_any_kind(data: st.DataObject, kind: str, batch_first: bool) -> None:
    steps, rows, inputs, hidden = (data.draw(st.integers(1, 4)) for _ in range(4))
    model = make(kind, inputs, hidden, batch_first=batch_first)
    batch = (rows, steps) if batch_first else (steps, rows)
    halves = 2 if has_memory(kind) else 1
    x, dy = data.draw(views((*batch, inputs))), data.draw(views((*batch, hidden)))
    state, dstate = ([data.draw(views((1, rows, hidden))) for _ in range(halves)] for _ in range(2))

    def round_trip(copied: Callable[[Array], Array]) -> Any:
        def whole(state: list[Array]) -> Any:
            return tuple(map(copied, state)) if halves == 2 else copied(state[0])

        return everything(model, copied(x), whole(state), copied(dy), whole(dstate))

    assert_same_bits(round_trip(lambda array: array), round_trip(np.ascontiguousarray))


class Recorder:
    """A network that keeps what it is called with."""

    def __init__(self, network: Any) -> None:
        self.network: Any = network
        self.seen: list[Any] = []

    def infer(self, *arguments: Any) -> Any:
        self.seen = list(arguments)
        return self.network.infer(*arguments)


@pytest.mark.parametrize("batch_first", [False, True])
def test_arrays_are_copied_only_if_they_must_be(kind: str, dtype: str, batch_first: bool) -> None:
    model: Any = make(kind, INPUT, HIDDEN, dtype=dtype, batch_first=batch_first)
    model._network = recorder = Recorder(model._network)
    x, state = random((B, B, INPUT), dtype), random((1, B, HIDDEN), dtype)
    for layout in ("read-only", "axes swapped", "padded", "subclass", "metadata"):
        for array in (LAYOUTS[layout](x), LAYOUTS[layout](x)[::-1]):
            model(array)
            assert np.shares_memory(recorder.seen[0], array) or layout == "metadata", layout
        model(LAYOUTS[layout](x[:, 0]))
    for layout in ("every other", "unaligned", "odd strides", "odd rows", "odd steps"):
        array = LAYOUTS[layout](x)
        model(array)
        assert not np.shares_memory(recorder.seen[0], array), layout
    model(x, (state, state) if has_memory(kind) else state)
    assert [array is state for array in recorder.seen[1:3]] == [True, has_memory(kind)]
    assert recorder.seen[0] is x
