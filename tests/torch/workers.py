"""A program whose data are made by workers that run modules, however these are begun.

A file of its own, for workers of `spawn` and `forkserver` import the module that they were begun from.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import torch

import lstmfast
import lstmfast.torch


class Features(torch.utils.data.Dataset):  # type: ignore[misc, type-arg, unused-ignore]
    """What a module of ours and a stream of the core make of each piece."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.module = lstmfast.torch.LSTM(16, 64)
        self.stream = lstmfast.LSTM(16, 32, seed=0).stream()
        self.state = self.stream.snapshot()

    def __len__(self) -> int:
        return 4

    def __getitem__(self, n: int) -> Any:
        x = np.random.default_rng(n).standard_normal((10, 16)).astype("f")
        self.stream.restore(self.state)  # pieces do not follow one another
        with torch.no_grad():
            y, _ = self.module(torch.from_numpy(x))
        return torch.cat([y, torch.from_numpy(self.stream.run(x))], dim=1)


def main(method: str) -> None:
    """Compare with what this process makes of them, which trains between."""
    torch.set_num_threads(2)
    data = Features()
    wanted = [data[n] for n in range(len(data))]
    y, _ = data.module(torch.ones(3, 16))
    y.sum().backward()  # PyTorch's threads and ours have worked
    loader = torch.utils.data.DataLoader(data, batch_size=None, num_workers=1, multiprocessing_context=method)
    print(all(torch.equal(*pair) for pair in zip(loader, wanted, strict=True)))


if __name__ == "__main__":
    main(sys.argv[1])
