#!/usr/bin/env bash
# torch.set_flush_denormal(True) sets the calling thread alone. The threads that PyTorch shares an operator with were
# made with the environment of their maker, so within one elementwise product some elements are flushed to zero and
# others are not: which ones depends on the number of threads and on when the first of them was made.
#
# Seen with torch 2.13.0 on Linux, x86-64, two threads: of 1 << 20 denormals times one, the first half came out as zeros
# and the second half as they went in. With one thread all were zeros.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6

"$folder/venv/bin/python" - <<'PYTHON'
import torch

N = 1 << 20
denormals = torch.full((N,), 1e-40)


def flushed(threads: int) -> list[float]:
    """The part of each quarter that is zero."""
    torch.set_num_threads(threads)
    product = denormals * torch.ones(N)
    bits = product.view(torch.int32)  # a comparison of floats would read denormals as zeros, too
    return [float((quarter == 0).float().mean()) for quarter in bits.chunk(4)]


torch.set_num_threads(2)
torch.ones(N) * torch.ones(N)  # the other thread is there now
assert flushed(2) == [0, 0, 0, 0]
assert torch.set_flush_denormal(True)
together, alone = flushed(2), flushed(1)
print("torch", torch.__version__, "flushed, by quarter: two threads", together, "one thread", alone)
assert torch.__version__.startswith("2.13.0")
assert together == [1, 1, 0, 0]
assert alone == [1, 1, 1, 1]
PYTHON
