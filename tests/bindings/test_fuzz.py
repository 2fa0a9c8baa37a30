"""Arrays of any shape, strides, alignment and dtype against the compiled core: an exception or a result."""

from __future__ import annotations

import pytest

from ..core_helpers import run_python

FUZZ = """
import faulthandler, itertools, sys
import numpy as np
from numpy.lib.stride_tricks import as_strided
from lstmfast import _core
from lstmfast._base.kinds import BY_CELL
faulthandler.enable()
generator = np.random.default_rng(int(sys.argv[1]))
pick = lambda *values: values[generator.integers(len(values))]
memory = {t: generator.standard_normal(4096).astype(t) for t in ("f4", "f8")}

def anything(wanted, dtype):
    "An array that is often right, and else wrong in a way that a check could overlook."
    shape = list(wanted)
    if generator.random() < 0.3:
        for _ in range(generator.integers(1, 3)):
            axis = generator.integers(len(shape))
            shape[axis] = int(pick(0, 1, 2, shape[axis] + 1, shape[axis] - 1, 2 * shape[axis]))
            shape = [max(0, n) for n in shape]
    if generator.random() < 0.1:
        shape = shape[:-1] if generator.random() < 0.5 else [1, *shape]
    if generator.random() < 0.1:
        return None
    if generator.random() < 0.1:
        dtype = pick("f4", "f8", "i4", ">f4", "c8", "f2")
    kind = pick(0, 0, 0, 1, 2, 3, 4)
    if kind == 0 or dtype not in memory:
        return generator.standard_normal(shape).astype(dtype)
    size = np.dtype(dtype).itemsize
    if kind == 1:  # any strides within the memory that is there
        strides = [int(generator.integers(0, 20)) * pick(size, size, size, 1) for _ in shape]
        if generator.random() < 0.7 and strides:
            strides[-1] = size
        reach = sum(max(0, n - 1) * s for n, s in zip(shape, strides))
        if reach + size <= memory[dtype].nbytes - 8:
            place = memory[dtype].view("u1")[pick(0, 0, size, 1):][: reach + size]
            return np.ndarray(shape, dtype, buffer=place, strides=strides)
    if kind == 2:
        return np.asfortranarray(generator.standard_normal(shape).astype(dtype))
    if kind == 3:
        return generator.standard_normal(shape).astype(dtype)[::-1] if shape else np.array(1, dtype)
    return np.broadcast_to(np.array(1, dtype), shape)

done = refused = 0
for _ in range(int(sys.argv[2])):
    cell = pick(*BY_CELL)
    dtype = pick("f4", "f8")
    I, H, L, D = (int(generator.integers(1, n)) for n in (20, 20, 3, 3))
    T, B = int(generator.integers(0, 6)), int(generator.integers(0, 9))
    G, bias = BY_CELL[cell].gates, bool(generator.integers(2))
    shapes = []
    for layer, _ in itertools.product(range(L), range(D)):
        shapes += [(G * H, I if layer == 0 else D * H), (G * H, H)] + [(G * H,)] * (2 * bias)
    parameters = [generator.standard_normal(s).astype(dtype) for s in shapes]
    if generator.random() < 0.1:
        parameters[generator.integers(len(parameters))] = anything(pick(*shapes), dtype)
    first = bool(generator.integers(2))
    try:
        make = _core.Network32 if dtype == "f4" else _core.Network64
        net = make(cell, I, H, L, D == 2, bias, parameters, pick(*_core.available_isas()))
        batch = (B, T) if first else (T, B)
        state = (L * D, B, H)
        x = anything((*batch, I), dtype)
        h0 = anything(state, dtype) if generator.random() < 0.5 else None
        c0 = anything(state, dtype) if generator.random() < 0.3 and BY_CELL[cell].has_memory else None
        results = net.forward(x, h0, c0, first)
        assert results[0].shape == (*x.shape[:2], D * H)
        again = net.infer(x, h0, c0, first)
        assert np.array_equal(results[0], again[0], equal_nan=True)
        T, B = x.shape[:2] if not first else x.shape[1::-1]
        batch, state = x.shape[:2], (L * D, B, H)
        dy = anything((*batch, D * H), dtype)
        dh = anything(state, dtype) if generator.random() < 0.5 else None
        gradients = net.backward(results[3], dy, dh, None)
        assert gradients[0].shape == x.shape
        done += 1
    except (ValueError, TypeError, MemoryError):
        refused += 1
assert done and refused, (done, refused)
print("done")
"""


@pytest.mark.parametrize("seed", range(3))
def test_anything(seed: int) -> None:
    assert run_python(FUZZ, str(seed), "2500") == "done\n"
