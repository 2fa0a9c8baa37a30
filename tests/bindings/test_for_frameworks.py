"""What the compiled core has for tensors that live elsewhere: lent memory, packed sequences, fingerprints.

PyTorch's side alone uses these. Here they are called without it, so that they are tested, and sanitized, also
where it is not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lstmfast import _core

from ..helpers import DTYPES, ISAS, assert_same_bits, make, random

LENGTHS = np.array([5, 3, 3, 1], np.int64)  # the longest first


def core(dtype: str, name: str) -> Any:
    return getattr(_core, name.format("32" if dtype == "float32" else "64"))


def over(array: Any) -> Any:
    """The same memory as another array."""
    named = "bools_over" if array.dtype == np.bool_ else core(str(array.dtype), "array{}_over").__name__
    strides = [stride // array.itemsize for stride in array.strides]
    return getattr(_core, named)(array.ctypes.data, list(array.shape), strides, array)


@pytest.mark.parametrize(
    "array", [random((3, 4)), random((3, 4), "float64").T, np.array([True, False])], ids=str
)
def test_memory_of_others_is_read_where_it_lies(array: Any) -> None:
    assert_same_bits(over(array), array)
    assert over(array).ctypes.data == array.ctypes.data
    assert over(array).base is not None


@pytest.mark.parametrize("dtype", DTYPES)
def test_kept_memory_is_aligned_and_writable(dtype: str) -> None:
    for count in (1, 70_000, 70_000):
        array = core(dtype, "kept_array{}")(count)
        array[:] = 1
        assert (array.shape, str(array.dtype), array.ctypes.data % 64) == ((count,), dtype, 0)


def test_idle_memory_is_counted() -> None:
    """What a freed array leaves, until another takes it."""
    count = 3_333_333  # floats, as nothing else takes here
    array = core("float32", "kept_array{}")(count)
    before = _core.idle_bytes()
    del array
    with_it = _core.idle_bytes()
    assert 4 * count <= with_it - before <= 4 * count + 64
    again = core("float32", "kept_array{}")(count)
    assert (again.size, _core.idle_bytes()) == (count, before)


@pytest.mark.parametrize("isa", ISAS)
def test_a_fingerprint_is_of_the_contents(isa: str) -> None:
    arrays = [random((7, 5)), random((300_000,), "float64")]  # the second is shared among threads

    def taken(threads: int = 0) -> bytes:
        places, sizes = [a.ctypes.data for a in arrays], [a.nbytes for a in arrays]
        return _core.fingerprint(isa, places, sizes, threads)

    before = taken()
    arrays = [array.copy() for array in arrays]
    assert taken() == taken(2) == before
    arrays[1][123_456] += 1
    assert taken() != before


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("own", [True, False], ids=["own memory", "lent memory"])
def test_packed_rows_are_rows_with_lengths(dtype: str, own: bool) -> None:
    network = make("lstm", 3, 5, num_layers=2, dtype=dtype, seed=0)._network
    x = random((5, 4, 3), dtype)
    there = np.arange(5)[:, np.newaxis] < LENGTHS  # [T, B]: a packed sequence has these rows, step by step
    y, h_n, c_n, tape = network.forward(x, None, None, False, LENGTHS)
    memory = None
    if not own:
        memory = core(dtype, "kept_array{}")(network.tape_size(len(x[there]), 4))
    packed = np.ascontiguousarray(x[there])
    py, ph, pc, ptape = network.forward(
        packed, None, None, False, LENGTHS, None, False, None, 0.0, None, None, None, memory
    )
    for ours, theirs in (
        (py, y[there]),
        (ph, h_n),
        (pc, c_n),
        (network.infer(packed, None, None, False, None, None, None, LENGTHS)[0], py),
    ):
        assert_same_bits(ours, np.ascontiguousarray(theirs))
    if memory is not None:  # as it is made again from what a graph has saved
        ptape = core(dtype, "Tape{}")(network, packed, py, memory, False, LENGTHS)
    dy = random(y.shape, dtype, 3) * there[..., np.newaxis]
    dx, dh, dc, dweights = network.backward(tape, dy, None, None)
    pdx, pdh, pdc, pdweights = network.backward(ptape, np.ascontiguousarray(dy[there]), None, None)
    for ours, theirs in ((pdx, dx[there]), (pdh, dh), (pdc, dc), *zip(pdweights, dweights, strict=True)):
        assert_same_bits(ours, np.ascontiguousarray(theirs))


@pytest.mark.parametrize("dtype", DTYPES)
def test_streams_of_both_dtypes_say_their_size_and_clear_rows(dtype: str) -> None:
    stream = make("lstm", 3, 5, dtype=dtype, seed=0).stream(2)
    fresh = stream.nbytes
    stream.step(random((2, 3), dtype))
    stream.reset([1])
    assert stream.nbytes == fresh > 0
    h, c = stream.state
    assert h[:, 0].any()
    assert not h[:, 1].any()
    assert not c[:, 1].any()


def test_no_runtime_is_no_runtime() -> None:
    with pytest.raises(ValueError, match="addresses of four functions"):
        _core.lend_threads(0, 0, 0, 0)
