"""Training runs, ours beside PyTorch's: 100 steps of Adam on real data, from the same weights.

Adam is as it is by default. At its rate of 1e-3 no run leaves the path that exact arithmetic takes; from 2e-3
on some do, PyTorch's float32 beside its own float64 as ours does. From four weights of each of these networks
the most that two curves differed, relative to the loss, was

    5.5e-7   ours and PyTorch's in float32 (from float64: ours 7.6e-7, PyTorch's 4.2e-7)
    6.7e-16  ours and PyTorch's in float64

The bounds are 8 times float32's epsilon (9.5e-7), and in float64 1e-12, far below what any mistake does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pytest

import lstmfast
from lstmfast import datasets, training

from ..core_helpers import reference_of
from ..helpers import Array
from ..reference.helpers import torch_model

torch = pytest.importorskip("torch")

STEPS = 100
BOUNDS = {"float32": 8 * 2.0**-23, "float64": 1e-12}
UNITS = 32
YEARS, ROWS = 24, 12  # of each window, and windows
LENGTHS = [24, 3, 14, 24, 8, 20, 1, 17, 23, 2, 11, 19]

Read: TypeAlias = Callable[[Any, Any], Any]  # PyTorch's module and x to y


class Data(NamedTuple):
    """Windows of the series: each year is to tell the next."""

    x: Array  # [T, B, 1]
    target: Array  # [T, B, 1]
    there: Any  # [T, B], the steps that count


def sunspots(dtype: str, lengths: list[int] | None = None) -> Data:
    """The sunspots' roots, which are about as spread at maxima as at minima, to mean 0 and deviation 1."""
    roots = np.sqrt(datasets.sunspots()[1])
    series = ((roots - roots.mean()) / roots.std()).astype("float32").astype(dtype)  # the same for both
    windows = np.stack([series[n * YEARS : (n + 1) * YEARS + 1] for n in range(ROWS)], axis=1)
    there = np.arange(YEARS)[:, np.newaxis] < ([YEARS] * ROWS if lengths is None else lengths)
    return Data(windows[:-1, :, np.newaxis], windows[1:, :, np.newaxis], there)


def models(dtype: str, **options: Any) -> tuple[Any, training.Dense]:
    """Two layers and a head to forecast."""
    lstm = lstmfast.LSTM(1, UNITS, 2, dtype=dtype, seed=0, **options)
    width = (lstm.proj_size or UNITS) * (2 if lstm.bidirectional else 1)
    return lstm, training.Dense(width, 1, dtype=dtype, seed=1)


def our_curve(lstm: Any, head: training.Dense, data: Data, **options: Any) -> list[float]:
    """The loss before each step; options are forward's."""
    adam, losses = training.Adam(lstm, head), []
    for _ in range(STEPS):
        y, _, lstm_tape = lstm.forward(data.x, **options)
        p, head_tape = head.forward(y)
        loss, dp_there = training.mean_squared_error(p[data.there], data.target[data.there])
        dp = np.zeros_like(p)
        dp[data.there] = dp_there
        head_grads = head.backward(head_tape, dp)
        adam.step(lstm.backward(lstm_tape, head_grads.x).parameters, head_grads.parameters)
        losses.append(loss)
    return losses


def their_curve(lstm: Any, head: training.Dense, data: Data, read: Read) -> list[float]:
    """Likewise PyTorch's, from the weights that these models have now."""
    torch.set_num_threads(1)
    dtype = getattr(torch, data.x.dtype.name)
    module = torch_model(reference_of(lstm)).to(dtype)
    linear = torch.nn.Linear(head.in_features, head.out_features, dtype=dtype)
    linear.load_state_dict({name: torch.from_numpy(array) for name, array in head.state_dict().items()})
    adam = torch.optim.Adam([*module.parameters(), *linear.parameters()])
    x, target, there = (torch.from_numpy(array) for array in data)
    losses = []
    for _ in range(STEPS):
        p = linear(read(module, x))
        loss = torch.nn.functional.mse_loss(p[there], target[there])
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return losses


def assert_same_curves(ours: list[float], theirs: list[float], dtype: str) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=BOUNDS[dtype], atol=0)
    assert ours[-1] < ours[0] / 3  # it has learned something


def plain(module: Any, x: Any) -> Any:
    return module(x)[0]


def test_windows(dtype: str) -> None:
    lstm, head = models(dtype)
    data = sunspots(dtype)
    theirs = their_curve(lstm, head, data, plain)
    weights = [model.state_dict() for model in (lstm, head)]
    assert_same_curves(our_curve(lstm, head, data), theirs, dtype)
    lstm.update(weights[0])
    head.update(weights[1])
    assert_same_curves(our_curve(lstm, head, data, recompute=True), theirs, dtype)


def test_rows_of_different_lengths(dtype: str) -> None:
    """PyTorch's are packed sequences. Two directions, for the reverse one must begin at each row's end."""
    lstm, head = models(dtype, bidirectional=True)
    data = sunspots(dtype, LENGTHS)

    def packed(module: Any, x: Any) -> Any:
        rnn = torch.nn.utils.rnn
        rows = rnn.pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
        return rnn.pad_packed_sequence(module(rows)[0], total_length=YEARS)[0]

    theirs = their_curve(lstm, head, data, packed)
    assert_same_curves(our_curve(lstm, head, data, lengths=LENGTHS), theirs, dtype)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_windows_one_after_the_other(dtype: str) -> None:
    """Two windows in each row, the second one marked by reset; PyTorch has them in rows of their own."""
    lstm, head = models(dtype, bidirectional=True, proj_size=12)
    data = sunspots(dtype)
    theirs = their_curve(lstm, head, data, plain)
    joined = Data(*(np.concatenate(np.split(array, 2, axis=1)) for array in data))
    reset = np.zeros((2 * YEARS, ROWS // 2), bool)
    reset[YEARS] = True
    assert_same_curves(our_curve(lstm, head, joined, reset=reset), theirs, dtype)


def test_dropout(dtype: str) -> None:
    """PyTorch's generator is another, so its layers are run one by one, with masks from ours in between."""
    p = 0.3
    lstm, head = models(dtype, dropout=p)
    data = sunspots(dtype)
    generator = np.random.default_rng(2)

    def masked(module: Any, x: Any) -> Any:
        for layer in (0, 1):
            alone = torch.nn.LSTM(module.weight_ih_l0.shape[1] if layer == 0 else UNITS, UNITS)
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                setattr(alone, f"{kind}_l0", getattr(module, f"{kind}_l{layer}"))
            if layer == 1:
                kept = generator.random((1, YEARS, ROWS, UNITS), dtype=np.float32)[0] >= p
                x = x * torch.from_numpy(kept) / (1 - p)
            x = alone(x)[0]
        return x

    theirs = their_curve(lstm, head, data, masked)
    assert_same_curves(our_curve(lstm, head, data, seed=np.random.default_rng(2)), theirs, dtype)
