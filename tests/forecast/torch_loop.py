"""The forecaster's training loop in PyTorch: same weights, same batches, same steps.

Run as ``python -m tests.forecast.torch_loop`` it times both on 10,000 hours of one series, in turns.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import lstmfast
from lstmfast._fitting import Settings, Windows, fit, streams
from lstmfast._forecast.forecaster import Forecaster
from lstmfast._forecast.network import Network


def load(rows: int, seed: int = 0) -> NDArray[np.float64]:
    """Make hours of a load: days, weeks and a year, and what is left of the weather, [rows]."""
    generator = np.random.default_rng(seed)
    hours = np.arange(rows)
    day = np.sin(2 * np.pi * (hours - 6) / 24) + 0.5 * np.sin(4 * np.pi * hours / 24)
    week = np.where((hours // 24) % 7 < 5, 1.0, 0.5)
    weather = np.zeros(rows)
    for hour in range(1, rows):
        weather[hour] = 0.8 * weather[hour - 1] + 0.15 * generator.standard_normal()
    return 50 + 10 * week * day * (1 + 0.2 * np.sin(2 * np.pi * hours / 8760)) + 6 * weather


def prepared(values: NDArray[np.float64], **chosen: Any) -> tuple[Network, Windows, Windows]:
    """Return a network as `Forecaster.fit` makes it, and the windows that it learns from and stops by."""
    forecaster = Forecaster(settings=Settings(epochs=1), **chosen).fit(values)
    learned, parts = forecaster.learned, forecaster.parts
    assert learned
    assert parts
    trained = learned.network
    z = learned.scaling.to_model(values[:, np.newaxis])
    observed = np.ones(z.shape, bool)
    anchor = trained.baselines.ahead(z, forecaster.horizon)
    network = Network.new(trained.shape, trained.baselines, z, observed, anchor, parts.train, forecaster.seed)
    return network, *network.windows(z, observed, anchor, parts.train, parts.stop)


def train_ours(
    network: Network, data: Windows, later: Windows, settings: Settings
) -> list[tuple[float, float]]:
    """Train; return the training and the held-out loss of every epoch."""
    history = fit(network.layer, network.head, data, held_out=later, settings=settings)
    return list(zip(history.train_loss, history.held_out_loss, strict=True))


def train_theirs(
    network: Network, data: Windows, later: Windows, settings: Settings
) -> list[tuple[float, float]]:
    """Do the same in PyTorch, as one writes it there; the network's own weights stay as they are."""
    import torch

    lstm, head = (
        network.layer.to_torch(),
        torch.nn.Linear(network.head.in_features, network.head.out_features),
    )
    with torch.no_grad():
        for name, array in network.head.parameters.items():
            getattr(head, name).copy_(torch.from_numpy(np.array(array)))
    parameters = [*lstm.parameters(), *head.parameters()]
    adam = torch.optim.Adam(parameters, lr=settings.learning_rate)
    order = streams(settings.seed, 2)[0]

    def loss_of(batch: Any) -> Any:
        y, _ = lstm(torch.from_numpy(np.ascontiguousarray(batch.x)))
        error = (head(y[network.context :]) - torch.from_numpy(batch.target)) ** 2
        if batch.weight is None:
            return error.mean()
        weight = torch.from_numpy(np.ascontiguousarray(batch.weight, np.float32)).expand_as(error)
        return (error * weight).sum() / weight.sum()

    def counted(batch: Any) -> float:
        return batch.target.size if batch.weight is None else float(batch.weight.sum())

    def mean(pairs: list[tuple[float, float]]) -> float:
        return sum(v * n for v, n in pairs) / sum(n for _, n in pairs)

    losses = []
    for _ in range(settings.epochs):
        steps = []
        for batch in data.shuffled(settings.batch_size, order):
            adam.zero_grad()
            loss = loss_of(batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, settings.max_norm)
            adam.step()
            steps.append((loss.item(), counted(batch)))
        with torch.no_grad():
            held_out = [(loss_of(batch).item(), counted(batch)) for batch in later.in_order(256)]
        losses.append((mean(steps), mean(held_out)))
    return losses


def seconds(work: Callable[..., Any], *given: Any) -> tuple[tuple[float, float], Any]:
    """Return how long it took and how much of the CPUs, and what came of it."""
    begin = time.perf_counter(), time.process_time()
    done = work(*given)
    return (time.perf_counter() - begin[0], time.process_time() - begin[1]), done


def main() -> None:
    """Time both, in turns; see that their losses agree."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--hidden", type=int, default=24)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    lstmfast.set_num_threads(options.threads)
    values = load(options.rows)
    settings = Settings(epochs=options.epochs, batch_size=options.batch, patience=None)
    ours, theirs = [], []
    for _ in range(options.rounds):
        network, data, later = prepared(values, horizon=24, seasons=(24, 168), hidden_size=options.hidden)
        given = network, data, later, settings
        time_theirs, their_losses = seconds(train_theirs, *given)
        time_ours, our_losses = seconds(train_ours, *given)
        np.testing.assert_allclose(our_losses, their_losses, rtol=1e-3)
        ours.append(np.array(time_ours) / options.epochs)
        theirs.append(np.array(time_theirs) / options.epochs)
    print(
        f"{options.rows} rows, {len(data)} windows of {data.length} steps, batches of {options.batch},"
        f" hidden {options.hidden}, {options.threads} threads; best / median of {options.rounds} rounds"
    )
    for k, what in enumerate(("ms an epoch", "CPU ms an epoch")):
        both = [np.array([each[k] for each in times]) for times in (ours, theirs)]
        said = [f"{1e3 * times.min():.1f} / {1e3 * np.median(times):.1f}" for times in both]
        ratio = f"{both[1].min() / both[0].min():.2f} / {np.median(both[1]) / np.median(both[0]):.2f}"
        print(f"{what}: lstmfast {said[0]}, PyTorch {said[1]}, times as fast {ratio}")
    print(f"losses after the last epoch: {our_losses[-1]} and {their_losses[-1]}")


if __name__ == "__main__":
    main()
