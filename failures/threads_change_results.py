"""Results that depend on the number of threads.

Where: engines that cut sums among threads. PyTorch 2.13 gives the same bits with one thread and with two in
inference, and not always in gradients of weights.
What comes of it: a training run that cannot be repeated on a machine with another number of cores.
Here: threads share outputs and never a sum, so that nothing depends on how many there are, forward and
backward.
"""

from __future__ import annotations

import sys

import numpy as np

import lstmfast

# T, B, I, H: shared among threads by rows, by directions and by panels of weights.
SHAPES = {"rows": (20, 16, 96, 128), "directions": (60, 1, 160, 160), "panels": (60, 1, 160, 320)}


def main() -> None:
    rng = np.random.default_rng(0)
    for what, (T, B, I, H) in SHAPES.items():
        layer = lstmfast.LSTM(I, H, bidirectional=what == "directions", seed=0)
        x = rng.standard_normal((T, B, I)).astype(np.float32)
        expected: dict[str, np.ndarray] = {}
        for threads in (1, 2, 3, 5, 2, 1):
            lstmfast.set_num_threads(threads)
            y, _, tape = layer.forward(x)
            grads = layer.backward(tape, y)
            found = {"y": y, "a call's y": layer(x)[0], "dx": grads.x, **grads.parameters}
            for name, array in found.items():
                if not np.array_equal(array, expected.setdefault(name, array)):
                    sys.exit(f"lstmfast: {name} is other with {threads} threads (shared by {what})")
    print("lstmfast: the same bits with 1, 2, 3 and 5 threads")


def pytorch() -> None:
    import torch

    torch.manual_seed(0)
    lstm, x = torch.nn.LSTM(96, 128), torch.randn(100, 32, 96)
    gradients = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        lstm.zero_grad()
        lstm(x)[0].square().mean().backward()
        gradients.append([weight.grad.clone() for weight in lstm.parameters()])
    off = max(float((one - two).abs().max()) for one, two in zip(*gradients, strict=True))
    print(f"PyTorch {torch.__version__}: gradients of weights with 1 and with 2 threads are {off:.2g} apart")


if __name__ == "__main__":
    main()
    try:
        pytorch()
    except Exception as error:  # whatever it does: this is about lstmfast
        print("PyTorch:", error)
