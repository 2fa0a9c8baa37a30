"""Weights that were changed, and a layer that goes on with the old ones.

Where: layers that keep a second copy of their weights, packed or flat. PyTorch's `_flat_weights` with a
parametrization, which trained and changed nothing (https://github.com/pytorch/pytorch/issues/65688);
recurrent dropout of public code, which writes weights behind the module's back
(https://github.com/pytorch/pytorch/issues/40193).
What comes of it: a loss that stays where it is, or a model that is not the file that was loaded.
Here: `update` and `load_state_dict` hold from the next call on, in streams and pools too, and arrays that
could be written to past them are read-only. `lstmfast.torch` reads all weights at each call, where they lie:
whatever wrote to them, it is seen.
"""

from __future__ import annotations

import contextlib
import copy
import pickle
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import lstmfast

T, I, H = 6, 4, 24


def main() -> None:
    layer = lstmfast.LSTM(I, H, seed=0)
    x = np.random.default_rng(0).standard_normal((T, I)).astype(np.float32)
    stream, pool = layer.stream(), layer.stream_pool(1)
    id = pool.open()
    copies = {"copy": copy.deepcopy(layer), "pickle": pickle.loads(pickle.dumps(layer))}
    before, _ = layer(x)
    for name, array in layer.parameters.items():
        with contextlib.suppress(ValueError):
            array[...] = 0
            sys.exit(f"lstmfast: {name} can be written to, which the packed weights would not notice")
    taken = layer.state_dict()
    for array in taken.values():
        array *= 2
    if not np.array_equal(layer(x)[0], before):
        sys.exit("lstmfast: who writes into what state_dict gave changes the layer, or a part of it")
    for change in (
        {name: 2 * array for name, array in layer.parameters.items()},
        {"bias_hh_l0": np.ones(4 * H)},
    ):
        layer.update(change)
        fresh = lstmfast.LSTM(I, H)
        fresh.load_state_dict(layer.state_dict())
        expected, _ = fresh(x)
        stream.reset()
        pool.reset(id)
        stepped = np.stack([pool.step(id, frame) for frame in x])
        y, _, tape = layer.forward(x)
        results = {"a call": layer(x)[0], "forward": y, "a stream": stream.run(x), "a pool": stepped}
        for what, found in results.items():
            if not np.array_equal(found, expected) or np.array_equal(found, before):
                sys.exit(f"lstmfast: {what} goes on with old weights after update")
        fresh_y, _, fresh_tape = fresh.forward(x)
        if not np.array_equal(layer.backward(tape, y).x, fresh.backward(fresh_tape, fresh_y).x):
            sys.exit("lstmfast: backward goes on with old weights after update")
    for what, other in copies.items():
        if not np.array_equal(other(x)[0], before):
            sys.exit(f"lstmfast: a {what} changes with the layer that it was made of")
    print("lstmfast: new weights hold from the next call on")


def changes(torch: Any) -> dict[str, Callable[[Any], None]]:
    """Ways to change a module's weights, some of which leave no trace in PyTorch's version counters."""

    def optimise(module: Any) -> None:
        optimiser = torch.optim.SGD(module.parameters(), 0.1)
        module(torch.ones(T, 2, I))[0].sum().backward()
        optimiser.step()
        module.zero_grad()

    def in_place(module: Any) -> None:
        with torch.no_grad():
            module.weight_hh_l0.mul_(1.5)

    def swap(module: Any) -> None:
        module.weight_ih_l0 = torch.nn.Parameter(module.weight_ih_l0.detach() + 0.1)

    def functionally(module: Any) -> None:
        torch.nn.utils.vector_to_parameters(
            0.9 * torch.nn.utils.parameters_to_vector(module.parameters()), module.parameters()
        )

    return {
        "in place": in_place,
        ".data": lambda module: module.weight_hh_l0.data.add_(0.05),
        ".data of a bias": lambda module: module.bias_ih_l0.data.fill_(0.3),
        ".data replaced": lambda module: setattr(module.weight_ih_l0, "data", module.weight_ih_l0.data * 1.1),
        "NumPy": lambda module: module.weight_ih_l0.detach().numpy().__setitem__((0, 0), 0.7),
        "an optimiser": optimise,
        "load_state_dict": lambda module: module.load_state_dict(
            {name: weight * 0.8 for name, weight in module.state_dict().items()}
        ),
        "another Parameter": swap,
        "one vector": functionally,
        "initialisation": lambda module: torch.nn.init.orthogonal_(module.weight_hh_l0),
        "a bit, by NumPy": lambda module: module.bias_hh_l0.detach().numpy().view(np.int32).__ixor__(1 << 24),
    }


def in_pytorch() -> None:
    """Every change is seen by `lstmfast.torch`, where PyTorch is; a parametrization, too."""
    try:
        import torch
    except ImportError:
        print("PyTorch: not installed")
        return
    import lstmfast.torch

    torch.manual_seed(0)
    x = torch.randn(T, 2, I)
    for train in (False, True):
        module = lstmfast.torch.accelerate(torch.nn.Sequential(torch.nn.LSTM(I, H)))[0].train(train)

        def outputs(module: Any = module, train: bool = train) -> Any:
            with torch.set_grad_enabled(train):
                return module(x)[0].detach()

        before = outputs()
        for what, change in changes(torch).items():
            change(module)
            found = outputs()
            fresh = torch.nn.LSTM(I, H)
            fresh.load_state_dict(module.state_dict())
            with torch.inference_mode():
                off = float((found - fresh(x)[0]).abs().max())
            if off > 1e-5 or torch.equal(found, before):
                sys.exit(f"lstmfast.torch: a change by {what} is not seen: off by {off:.2g}")
            before = found
        torch.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
        before = outputs()
        with torch.no_grad():
            module.parametrizations.weight_hh_l0.original0.mul_(2)
        if torch.equal(outputs(), before):
            sys.exit("lstmfast.torch: a change of a parametrized weight is not seen")
    print(f"lstmfast.torch: sees changes by {', '.join(changes(torch))}, and by a parametrization")


if __name__ == "__main__":
    main()
    in_pytorch()
