"""PyTorch's modules as our models, and back: configuration and weights, copied once."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from .._base import checks, parameters
from .._base.kinds import CELLS_BY_MODE, Kind

_SIZES = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional")


def read(module: Any, kind: Kind) -> tuple[dict[str, Any], dict[str, Any]]:  # noqa: ANN401
    """Read a `torch.nn.LSTM` or its like: the arguments that make a model like it, and its weights by name.

    PyTorch is not imported: where it has not been, no object is a module.
    """
    _expect_in_torch(kind)
    torch: Any = sys.modules.get("torch")
    if torch is None or not isinstance(module, getattr(torch.nn, kind.name)):
        raise TypeError(f"module: expected a torch.nn.{kind.name}, got {checks.shown(module)}")
    config = {name: getattr(module, name) for name in _SIZES}
    config["dropout"] = float(config["dropout"])
    if kind.projects:
        config["proj_size"] = module.proj_size
    config.update(CELLS_BY_MODE[module.mode].choices)  # the mode is what it computes by
    layout = parameters.Layout(
        kind.gates,
        config["input_size"],
        config["hidden_size"],
        config["num_layers"],
        config["bidirectional"],
        config["bias"],
        config.get("proj_size", 0),
    )
    known = {torch.float32: "float32", torch.float64: "float64"}
    weights = {}
    for name, shape, symbols in layout.shapes():
        with torch.no_grad():
            # By its name, as the module itself finds it: it may be computed (torch.nn.utils.parametrize).
            weight = getattr(module, name, None)
        if not isinstance(weight, torch.Tensor):
            raise ValueError(f"module: expected a tensor {name}, got {checks.shown(weight)}")
        if weight.is_meta:
            raise ValueError(f"module: expected weights with numbers in them, got {name} on the device meta")
        if weight.dtype not in known:
            raise ValueError(
                f"module: expected weights of float32 or float64, got {name} of {weight.dtype};"
                " module.float() makes them float32"
            )
        if tuple(weight.shape) != shape:
            raise ValueError(f"module: expected {name} of shape {shape} {symbols}, got {tuple(weight.shape)}")
        weights[name] = weight.detach().cpu()
    dtypes = {weight.dtype for weight in weights.values()}
    if len(dtypes) != 1:
        found = " and ".join(sorted(map(str, dtypes)))
        raise ValueError(f"module: expected weights of one dtype, got {found}")
    config["dtype"] = known[dtypes.pop()]
    return config, weights


def make(kind: Kind, config: Mapping[str, Any], parameters: Mapping[str, checks.Array]) -> Any:  # noqa: ANN401
    """Make a `torch.nn.LSTM` or its like of a model's configuration, with copies of its weights."""
    _expect_in_torch(kind)
    try:
        import torch
    except ImportError as error:
        raise ImportError("to_torch needs PyTorch: pip install 'lstmfast[torch]'") from error

    # Dropout is set afterwards: PyTorch warns of it where there is one layer, and whoever made the model need
    # not be told again. Without memory (on meta) nothing is drawn, so PyTorch's generator stays where it is.
    arguments = {**config, "dtype": getattr(torch, config["dtype"]), "dropout": 0.0}
    module = getattr(torch.nn, kind.name)(**arguments, device="meta").to_empty(device="cpu")
    module.dropout = config["dropout"]
    module.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in parameters.items()})
    return module


def _expect_in_torch(kind: Kind) -> None:
    if not kind.in_torch:
        raise TypeError(f"expected a kind that PyTorch has, got {kind.name}")
