"""The core reads nothing beside the arrays it is given: each lies against a page that nobody may read.

A vector at a tail that is read whole finds other numbers there, most often of the same process, and no result
shows it. Here it ends the process, which is why each test is one of its own.
"""

from __future__ import annotations

import sys

import pytest

from ..core_helpers import run_python

SCRIPT = """
import ctypes, faulthandler, itertools, mmap, sys
import numpy as np
from lstmfast import _core
from lstmfast._base.kinds import BY_CELL
faulthandler.enable()
isa, dtype, side = sys.argv[1:]
make = {"float32": _core.Network32, "float64": _core.Network64}[dtype]
libc = ctypes.CDLL(None, use_errno=True)
page = mmap.PAGESIZE
generator = np.random.default_rng(0)

class Fenced:
    "Memory between two pages that cannot be read, for one array at a time."

    def __init__(self, size):
        self.size = -(-size // page) * page
        self.map = mmap.mmap(-1, self.size + 2 * page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        for address in (start, start + page + self.size):
            if libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(page), 0):
                raise OSError(ctypes.get_errno(), "mprotect")
        self.bytes = np.frombuffer(self.map, np.uint8)[page : page + self.size]

    def array(self, *shape, scale=1.0):
        "An array that ends where the memory ends, or begins where it begins."
        values = (scale * generator.standard_normal(shape)).astype(dtype)
        place = self.bytes[: values.nbytes] if side == "before" else self.bytes[self.size - values.nbytes :]
        view = place.view(dtype).reshape(shape)
        view[...] = values
        return view

fences = [Fenced(1 << 19) for _ in range(48)]
sizes = [
    (H, I, B, 3)
    for H, I in ((1, 1), (3, 2), (5, 7), (8, 8), (9, 5), (16, 3), (17, 15), (33, 1), (47, 9))
    for B in (1, 2, 3, 4, 7, 13, 26)
]
# Past the chunks of the input product: 64 KiB of z are 204 steps at most, of scalar's float32.
sizes += [(20, 3, 2, 450), (20, 1, 1, 1000)]
# Of each cell its gates, whether it has c, and what it has besides: peepholes, and layer normalisation.
cells = {name: (kind.gates, kind.has_memory, 0, kind.normalises) for name, kind in BY_CELL.items()}
cells |= {"lstm_variant": (4, True, 3, False), "lstm_coupled": (3, True, 2, False)}
cells |= {"rnn_variant": (1, False, 0, False)}
cells |= {"gru_variant": (3, False, 0, False), "gru_reset_before": (3, False, 0, False)}
some = ("Elu", 0.5, 0.0), ("Softsign", 0.0, 0.0), ("Tanh", 0.0, 0.0), 0.7
count = 0
for cell, (H, I, B, T) in itertools.product(cells, sizes):
    for L, D, batch_first in ((1, 1, False), (2, 2, True)):
        G, has_memory, peepholes, normalises = cells[cell]
        more = [(peepholes, H)] if peepholes else []
        more += [(G * H,), (G * H,), (H,), (H,)] if normalises else []
        variant = None if cell in BY_CELL else (*some, peepholes > 0)
        fence = iter(fences)
        weights = []
        for layer, _ in itertools.product(range(L), range(D)):
            for shape in ((G * H, I if layer == 0 else D * H), (G * H, H), (G * H,), (G * H,), *more):
                weights.append(next(fence).array(*shape, scale=0.1))
        net = make(cell, I, H, L, D == 2, True, weights, isa, variant=variant)
        batch = (B, T) if batch_first else (T, B)
        x, h0, c0 = (next(fence).array(*s) for s in ((*batch, I), (L * D, B, H), (L * D, B, H)))
        dy, dh, dc = (next(fence).array(*s) for s in ((*batch, D * H), (L * D, B, H), (L * D, B, H)))
        if not has_memory:
            c0 = dc = None
        net.infer(x, h0, c0, batch_first)
        tape = net.forward(x, h0, c0, batch_first)[3]
        net.backward(tape, dy, dh, dc)
        count += 1
for n in range(1, 40):
    _core.sigmoid(fences[0].array(n), isa)
    _core.tanh(fences[0].array(n), isa)
assert count == 130 * len(cells)
print("done")
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no mprotect")


@pytest.mark.parametrize("side", ["before", "after"])
def test_nothing_beside_an_array_is_read(isa: str, dtype: str, side: str) -> None:
    assert run_python(SCRIPT, isa, dtype, side) == "done\n"


def test_the_fences_hold() -> None:
    """Or the test above could not fail."""
    script = SCRIPT[: SCRIPT.index("fences =")]
    for side, reach in (("before", -1), ("after", 7)):
        probe = (
            "import os\n"
            "a = Fenced(100).array(7)\n"
            f"address = a.ctypes.data + {reach} * a.itemsize\n"
            "pid = os.fork()\n"
            "if pid == 0:\n"
            "    faulthandler.disable()\n"
            "    ctypes.c_char.from_address(address).value\n"
            "    os._exit(0)\n"
            "print(os.wait()[1] != 0)\n"
        )
        assert run_python(script + probe, "scalar", "float32", side) == "True\n"
