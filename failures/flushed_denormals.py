"""Denormal numbers that are zero for some threads, and for some hosts.

Where: `torch.set_flush_denormal` sets the calling thread alone, so that parts of one product are flushed and
others are not; audio hosts, games and libraries linked with -ffast-math set it for theirs. oneDNN's LSTM took
20 times as long with denormals (https://github.com/uxlfoundation/oneDNN/issues/561), which is why it is set.
What comes of it: results that differ between a plug-in and its test, or from run to run with the thread that
computed.
Here: every call computes in the default environment, on all threads, and leaves the caller's as it was. Tried
with flushing and with other roundings (x86-64 and arm64, Linux).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import platform
import sys

import numpy as np

import lstmfast

# Where the control word lies in fenv_t, in bytes, and what is set there: both flushings, and two roundings.
PLACES = {"x86_64": (28, (0x9FC0, 0x5F80, 0x7F80)), "aarch64": (0, (1 << 24, 1 << 22, 3 << 22))}


def main() -> None:
    if not sys.platform.startswith("linux") or platform.machine() not in PLACES:
        print("not run: how this machine's floating-point environment is set is not known here")
        return
    place, controls = PLACES[platform.machine()]
    libm = ctypes.CDLL(ctypes.util.find_library("m"))
    kept = (ctypes.c_char * 64)()

    def control() -> bytes:
        libm.fegetenv(kept)
        return bytes(kept[place : place + 4])

    echo = lstmfast.RNN(1, 1, bias=False, nonlinearity="relu")  # h' = x + h
    echo.update({"weight_ih_l0": [[1.0]], "weight_hh_l0": [[1.0]]})
    tiny = np.full((3, 1), 1e-40, np.float32)  # a third of a hundredth of the smallest normal number
    lstm = lstmfast.LSTM(24, 48, num_layers=2, seed=0)
    small = lstm.quantize("float16")
    x = 1e-3 * np.random.default_rng(0).standard_normal((20, 16, 24)).astype(np.float32)
    dy = np.full((20, 16, 48), 1e-36, np.float32)  # whose gradients are denormal in part

    def results() -> list[bytes]:
        y, _, tape = lstm.forward(x)
        grads = lstm.backward(tape, dy)
        return [a.tobytes() for a in (echo(tiny)[0], y, grads.x, *grads.parameters.values(), small(x)[0])]

    lstmfast.set_num_threads(2)
    expected = results()
    if echo(tiny)[0].tobytes() != np.cumsum(tiny.view(np.int32)).astype(np.int32).tobytes():
        sys.exit("lstmfast: denormal numbers are not added up as they are")
    usual = control()
    for value in controls:
        word = value.to_bytes(4, "little")
        kept[place : place + 4] = word
        libm.fesetenv(kept)
        found = results()
        stays = control()
        kept[place : place + 4] = usual
        libm.fesetenv(kept)
        if found != expected:
            sys.exit(f"lstmfast: results are other where the caller's environment is {value:#x}")
        mask = 0xFFC0 if platform.machine() == "x86_64" else 0xFFFFFFFF  # without flags of what has happened
        if int.from_bytes(stays, "little") & mask != value & mask:
            sys.exit(f"lstmfast: the caller's environment was {value:#x}, and is {stays[::-1].hex()}")
    print("lstmfast: the same bits where the caller flushes denormals or rounds otherwise")


def pytorch() -> None:
    import torch

    torch.set_num_threads(2)
    denormals, ones = torch.full((1 << 20,), 1e-40), torch.ones(1 << 20)
    ones * ones
    torch.set_flush_denormal(True)
    part = ((denormals * ones).view(torch.int32) == 0).float().mean()
    torch.set_flush_denormal(False)
    print(f"PyTorch {torch.__version__}: {part:.2f} of a product's denormals are flushed")


if __name__ == "__main__":
    main()
    try:
        pytorch()
    except Exception as error:  # whatever it does: this is about lstmfast
        print("PyTorch:", error)
