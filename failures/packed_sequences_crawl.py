"""Sequences of different lengths that take many times what a padded batch takes.

Where: PyTorch's packed sequences (https://github.com/pytorch/pytorch/issues/149194), which leave its fused
LSTM for a loop over steps: 5 times slower than padded at 10 steps, 100 times at 1,000, as measured there.
What comes of it: packing, which is to save the padding's work, is what makes a model slow; so users pad, and
get the state after the padding.
Here: `lengths` costs what the valid steps cost. Measured as CPU time of one thread, the best of five, with
wide margins: a batch in which a tenth of the steps are valid takes less than half of the whole one, and equal
lengths less than twice.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

import lstmfast

T, B, SIZE = (2000 if "--long" in sys.argv[1:] else 400), 32, 64


def best(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds of this thread's CPU time that each takes at least, one after the other, five times."""
    seconds = dict.fromkeys(calls, float("inf"))
    for _ in range(5):
        for name, call in calls.items():
            begin = time.thread_time()
            call()
            seconds[name] = min(seconds[name], time.thread_time() - begin)
    return seconds


def main() -> None:
    lstmfast.set_num_threads(1)
    layer = lstmfast.LSTM(SIZE, SIZE, seed=0)
    x = np.random.default_rng(0).standard_normal((T, B, SIZE)).astype(np.float32)
    few = np.full(B, T // 16)
    few[B // 2] = T  # one row goes on to the end

    def train(lengths: object) -> None:
        y, _, tape = layer.forward(x, lengths=lengths)
        layer.backward(tape, y)

    works: dict[str, Callable[[object], object]] = {
        "inference": lambda lengths: layer(x, lengths=lengths),
        "training": train,
    }
    for name, work in works.items():
        kinds = {"whole": None, "few": few, "equal": np.full(B, T - 1)}
        took = best(
            {kind: lambda lengths=lengths, work=work: work(lengths) for kind, lengths in kinds.items()}
        )
        few_part, equal_part = took["few"] / took["whole"], took["equal"] / took["whole"]
        print(
            f"lstmfast, {name}: {few.sum() / (T * B):.2f} of the steps take {few_part:.2f} of the time,"
            f" equal lengths {equal_part:.2f}"
        )
        if few_part > 0.5:
            sys.exit(f"lstmfast: few valid steps take {few_part:.2f} of the time of all of them in {name}")
        if equal_part > 2:
            sys.exit(f"lstmfast: equal lengths take {equal_part:.2f} times as long as none in {name}")


def in_pytorch() -> None:
    """A PackedSequence in `lstmfast.torch`, where PyTorch is."""
    try:
        import torch
    except ImportError:
        print("PyTorch: not installed")
        return
    import lstmfast.torch

    torch.set_num_threads(1)
    lstm, x = lstmfast.torch.LSTM(SIZE, SIZE), torch.randn(T, B, SIZE)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, [T] * B)
    few = torch.nn.utils.rnn.pack_padded_sequence(x, [T] + [T // 16] * (B - 1))
    took = best({"padded": lambda: lstm(x), "packed": lambda: lstm(packed), "few": lambda: lstm(few)})
    equal_part, few_part = took["packed"] / took["padded"], took["few"] / took["padded"]
    print(
        f"lstmfast.torch: packed, equal lengths take {equal_part:.1f} times what they take padded,"
        f" a tenth of the steps {few_part:.2f}"
    )
    if equal_part > 2:
        sys.exit(f"lstmfast.torch: packed, equal lengths take {equal_part:.1f} times as long as padded")
    if few_part > 0.5:
        sys.exit(f"lstmfast.torch: a tenth of the steps, packed, take {few_part:.2f} of the time of all")


def pytorch() -> None:
    import torch

    torch.set_num_threads(1)
    lstm, x = torch.nn.LSTM(SIZE, SIZE), torch.randn(T, B, SIZE)
    packed = torch.nn.utils.rnn.pack_padded_sequence(x, [T] * B)
    for name in ("inference", "training"):
        with torch.set_grad_enabled(name == "training"):
            took = best({"padded": lambda: lstm(x), "packed": lambda: lstm(packed)})
        print(
            f"PyTorch {torch.__version__}, {name}, forward: packed sequences of equal lengths take"
            f" {took['packed'] / took['padded']:.1f} times what they take padded"
        )


if __name__ == "__main__":
    main()
    in_pytorch()
    try:
        pytorch()
    except Exception as error:  # whatever it does: this is about lstmfast
        print("PyTorch:", error)
