"""Memory that is asked for in a real-time thread.

Where: NeuralAmpModelerCore, whose LSTM took memory several times a sample
(https://github.com/sdatkinson/NeuralAmpModelerCore/pull/299); ONNX Runtime promises nothing of the kind
(https://github.com/microsoft/onnxruntime/issues/15303).
What comes of it: clicks, where the allocator took longer than a block of audio lasts.
Here: steps of streams and pools with `out=` take nothing from the heap, counted by a malloc of our own in
front of the system's (compiled by the C compiler, if there is one; on Linux with glibc), and no Python object
that stays.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np

import lstmfast

STEPS = 20_000 if "--long" in sys.argv[1:] else 2000
COUNTER = """
#include <stddef.h>
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
static _Atomic long taken;
long how_many_taken(void) { return taken; }
void *malloc(size_t n) { taken++; return __libc_malloc(n); }
void *calloc(size_t n, size_t size) { taken++; return __libc_calloc(n, size); }
void *realloc(void *p, size_t n) { taken++; return __libc_realloc(p, n); }
void *memalign(size_t a, size_t n) { taken++; return __libc_memalign(a, n); }
void *aligned_alloc(size_t a, size_t n) { taken++; return __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) { taken++; *p = __libc_memalign(a, n); return *p ? 0 : 12; }
"""


def steps() -> dict[str, Callable[[], object]]:
    """What a real-time thread does, again and again."""
    found: dict[str, Callable[[], object]] = {}
    for layer in (
        lstmfast.LSTM(3, 16, num_layers=2, seed=0),
        lstmfast.LSTM(3, 300, seed=0),  # for which the GIL is given back
        lstmfast.LSTM(8, 40, proj_size=12, dtype="float64", seed=0),
        lstmfast.GRU(3, 16, seed=0),
        lstmfast.RNN(3, 16, seed=0),
        lstmfast.LSTM(3, 16, seed=0).quantize("int8"),
    ):
        stream, pool = layer.stream(), layer.stream_pool(8)
        ids = np.array([pool.open() for _ in range(8)])[::2].copy()
        x = np.ones((4, layer.input_size), layer.dtype)
        y = np.zeros((4, layer.proj_size or layer.hidden_size), layer.dtype)
        one, y_one = x[0], y[0]
        found[f"a step of {layer!r}"] = lambda stream=stream, x=one, y=y_one: stream.step(x, out=y)
        found[f"a pool's step of {layer!r}"] = lambda pool=pool, ids=ids, x=x, y=y: pool.step(ids, x, out=y)
    return found


def again(call: Callable[[], object]) -> None:
    for _ in itertools.repeat(None, STEPS):
        call()


def count() -> None:
    """Count what steps take: in a process that has the counter in front of malloc."""
    counter = ctypes.CDLL(sys.argv[-1])
    counter.how_many_taken.restype = ctypes.c_long

    def taken(call: Callable[[], object]) -> int:
        before = counter.how_many_taken()
        again(call)
        return int(counter.how_many_taken() - before)

    if taken(lambda: np.empty(4000)) < STEPS:
        sys.exit("the counter of memory does not count")
    for what, call in steps().items():
        again(call)
        if (found := min(taken(call) for _ in range(3))) > 3:
            sys.exit(f"lstmfast: {STEPS} times {what} took memory {found} times")
    print(f"lstmfast: {STEPS} steps of streams and pools take nothing from the heap")


def main() -> None:
    for what, call in steps().items():
        again(call)
        tracemalloc.start()
        before, _ = tracemalloc.get_traced_memory()
        again(call)
        kept, most = (number - before for number in tracemalloc.get_traced_memory())
        tracemalloc.stop()
        if kept > 200 or most > 1000:
            sys.exit(f"lstmfast: {STEPS} times {what} took {most} bytes of Python's, and kept {kept}")
    print(f"lstmfast: {STEPS} steps of streams and pools make no Python object that stays, and no array")
    compiler = os.environ.get("CC") or shutil.which("cc")
    if not compiler or platform.libc_ver()[0] != "glibc" or "LD_PRELOAD" in os.environ:
        print("what they take from the heap was not counted: that needs glibc and a C compiler")
        return
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "counter.c"), Path(folder, "counter.so")
        source.write_text(COUNTER, encoding="ascii")
        built = subprocess.run(
            [*compiler.split(), "-shared", "-fPIC", "-O1", str(source), "-o", str(library)], check=False
        )
        if built.returncode != 0:
            print("what they take from the heap was not counted: the counter could not be compiled")
            return
        own = {**os.environ, "LD_PRELOAD": str(library), "LSTMFAST_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], "count", str(library)], env=own, check=False
        )
    if done.returncode != 0:
        sys.exit(done.returncode)


if __name__ == "__main__":
    if "count" in sys.argv[1:]:
        count()
    else:
        main()
